// Makes keys, certificates and revocation lists for tests, so that no test needs a vendor's. Called
// by the makers of evidence in this folder; every key is fresh and dies with the process.
#pragma once

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "attestation/certificate.hpp"

namespace cocoon::attestation::test {

template <auto function>
struct Free {
    template <class T>
    void operator()(T* object) const noexcept {
        function(object);
    }
};
template <class T, auto function>
using Owned = std::unique_ptr<T, Free<function>>;

inline void must(bool succeeded, const char* what) {
    if (!succeeded) throw std::runtime_error{std::string{"test PKI: "} + what};
}

template <class T>
Bytes encoded(T* object, int (*encode)(const T*, unsigned char**)) {
    unsigned char* made = nullptr;
    const int size = encode(object, &made);
    must(size > 0, "encoding");
    Bytes out{made, made + size};
    OPENSSL_free(made);
    return out;
}

inline void append(Bytes& out, ByteView bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}
inline void append_little(Bytes& out, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}
inline std::string pem_of(const Bytes& der) {
    std::string out = "-----BEGIN CERTIFICATE-----\n";
    const std::string text = to_base64(der);
    for (std::size_t at = 0; at < text.size(); at += 64) out += text.substr(at, 64) + "\n";
    return out + "-----END CERTIFICATE-----\n";
}

// RSA signs as AMD does: PSS, SHA-384, a salt of 48 bytes. `p256` uses SHA-256, `p384` SHA-384.
// `rsa` is quickly made; `rsa_4096` is as long as AMD's.
enum class KeyKind { p256, p384, rsa, rsa_4096 };

class Key {
public:
    explicit Key(KeyKind kind) : kind_{kind}, key_{make(kind), Free<EVP_PKEY_free>{}} {
        must(key_ != nullptr, "key");
    }

    EVP_PKEY* get() const { return key_.get(); }
    // A context that X509_sign_ctx and X509_CRL_sign_ctx take.
    Owned<EVP_MD_CTX, EVP_MD_CTX_free> signing() const {
        Owned<EVP_MD_CTX, EVP_MD_CTX_free> context{EVP_MD_CTX_new()};
        EVP_PKEY_CTX* options = nullptr;
        const EVP_MD* hash = kind_ == KeyKind::p256 ? EVP_sha256() : EVP_sha384();
        must(EVP_DigestSignInit(context.get(), &options, hash, nullptr, get()) == 1, "signing");
        if (kind_ == KeyKind::rsa || kind_ == KeyKind::rsa_4096)
            must(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
                     EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_sha384()) == 1 &&
                     EVP_PKEY_CTX_set_rsa_pss_saltlen(options, 48) == 1,
                 "padding");
        return context;
    }
    // Of curves: r || s, big-endian, each of the curve's size.
    Bytes sign_raw(ByteView message) const {
        const auto context = signing();
        Bytes der(256);
        std::size_t size = der.size();
        must(EVP_DigestSign(context.get(), der.data(), &size, message.data(), message.size()) == 1,
             "signature");
        const unsigned char* at = der.data();
        const Owned<ECDSA_SIG, ECDSA_SIG_free> parts{
            d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size))};
        const int half = kind_ == KeyKind::p256 ? 32 : 48;
        Bytes raw(static_cast<std::size_t>(2 * half));
        must(parts && BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), raw.data(), half) == half &&
                 BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), raw.data() + half, half) == half,
             "signature");
        return raw;
    }
    // Of curves: x || y.
    Bytes point() const {
        Bytes octets(133);
        std::size_t size = 0;
        must(
            EVP_PKEY_get_octet_string_param(get(), "pub", octets.data(), octets.size(), &size) == 1,
            "point");
        return {octets.begin() + 1, octets.begin() + static_cast<std::ptrdiff_t>(size)};
    }

private:
    static EVP_PKEY* make(KeyKind kind) {
        switch (kind) {
            case KeyKind::p256: return EVP_EC_gen("P-256");
            case KeyKind::p384: return EVP_EC_gen("P-384");
            case KeyKind::rsa: return EVP_RSA_gen(2048);
            case KeyKind::rsa_4096: break;
        }
        return EVP_RSA_gen(4096);
    }

    KeyKind kind_;
    std::shared_ptr<EVP_PKEY> key_;
};

struct CertificateParts {
    std::string common_name;
    std::int64_t serial = 1;
    Instant not_before, not_after;
    std::string basic_constraints;  // OpenSSL's words: "critical,CA:TRUE,pathlen:0"; empty: none
    std::string key_usage;          // "critical,keyCertSign,cRLSign"; empty: none
    std::vector<std::pair<std::string, Bytes>> extensions;  // OID, octets inside extnValue
    std::vector<std::pair<std::string, Bytes>> critical{};  // the same, marked critical
};

inline ASN1_TIME* time_of(Instant at) {
    return ASN1_TIME_set(nullptr, static_cast<std::time_t>(at.unix_seconds()));
}

inline void add_name(X509_NAME* name, const std::string& common_name) {
    const auto* text = reinterpret_cast<const unsigned char*>(common_name.c_str());
    must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1, "name");
}

// One certificate, signed by `issuer_key` in the name of `issuer`.
inline Bytes make_certificate(const CertificateParts& parts, const Key& key,
                              const std::string& issuer, const Key& issuer_key) {
    const Owned<X509, X509_free> made{X509_new()};
    must(X509_set_version(made.get(), 2) == 1 && X509_set_pubkey(made.get(), key.get()) == 1,
         "certificate");
    ASN1_INTEGER_set_int64(X509_get_serialNumber(made.get()), parts.serial);
    const Owned<ASN1_TIME, ASN1_TIME_free> from{time_of(parts.not_before)};
    const Owned<ASN1_TIME, ASN1_TIME_free> until{time_of(parts.not_after)};
    X509_set1_notBefore(made.get(), from.get());
    X509_set1_notAfter(made.get(), until.get());
    add_name(X509_get_subject_name(made.get()), parts.common_name);
    const Owned<X509_NAME, X509_NAME_free> issuer_name{X509_NAME_new()};
    add_name(issuer_name.get(), issuer);
    X509_set_issuer_name(made.get(), issuer_name.get());
    const auto add_standard = [&](int kind, const std::string& words) {
        if (words.empty()) return;
        const Owned<X509_EXTENSION, X509_EXTENSION_free> extension{
            X509V3_EXT_conf_nid(nullptr, nullptr, kind, words.c_str())};
        must(extension && X509_add_ext(made.get(), extension.get(), -1) == 1, "extension");
    };
    add_standard(NID_basic_constraints, parts.basic_constraints);
    add_standard(NID_key_usage, parts.key_usage);
    const auto add_own = [&](const std::string& oid, const Bytes& octets, int critical) {
        const Owned<ASN1_OBJECT, ASN1_OBJECT_free> object{OBJ_txt2obj(oid.c_str(), 1)};
        const Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> data{ASN1_OCTET_STRING_new()};
        ASN1_OCTET_STRING_set(data.get(), octets.data(), static_cast<int>(octets.size()));
        const Owned<X509_EXTENSION, X509_EXTENSION_free> extension{
            X509_EXTENSION_create_by_OBJ(nullptr, object.get(), critical, data.get())};
        must(extension && X509_add_ext(made.get(), extension.get(), -1) == 1, "extension");
    };
    for (const auto& [oid, octets] : parts.extensions) add_own(oid, octets, 0);
    for (const auto& [oid, octets] : parts.critical) add_own(oid, octets, 1);
    const auto signing = issuer_key.signing();
    must(X509_sign_ctx(made.get(), signing.get()) > 0, "signature");
    return encoded<X509>(made.get(), i2d_X509);
}

struct RevocationListParts {
    std::int64_t number = 1;
    Instant this_update, next_update;
    std::vector<std::int64_t> revoked;  // serials
};

inline Bytes make_revocation_list(const RevocationListParts& parts, const std::string& issuer,
                                  const Key& issuer_key) {
    const Owned<X509_CRL, X509_CRL_free> made{X509_CRL_new()};
    X509_CRL_set_version(made.get(), 1);
    const Owned<X509_NAME, X509_NAME_free> name{X509_NAME_new()};
    add_name(name.get(), issuer);
    X509_CRL_set_issuer_name(made.get(), name.get());
    const Owned<ASN1_TIME, ASN1_TIME_free> from{time_of(parts.this_update)};
    const Owned<ASN1_TIME, ASN1_TIME_free> until{time_of(parts.next_update)};
    X509_CRL_set1_lastUpdate(made.get(), from.get());
    X509_CRL_set1_nextUpdate(made.get(), until.get());
    const Owned<ASN1_INTEGER, ASN1_INTEGER_free> number{ASN1_INTEGER_new()};
    ASN1_INTEGER_set_int64(number.get(), parts.number);
    must(X509_CRL_add1_ext_i2d(made.get(), NID_crl_number, number.get(), 0, 0) == 1, "number");
    for (const std::int64_t serial : parts.revoked) {
        X509_REVOKED* entry = X509_REVOKED_new();
        ASN1_INTEGER_set_int64(number.get(), serial);
        X509_REVOKED_set_serialNumber(entry, number.get());
        X509_REVOKED_set_revocationDate(entry, from.get());
        must(X509_CRL_add0_revoked(made.get(), entry) == 1, "entry");
    }
    X509_CRL_sort(made.get());
    const auto signing = issuer_key.signing();
    must(X509_CRL_sign_ctx(made.get(), signing.get()) > 0, "signature");
    return encoded<X509_CRL>(made.get(), i2d_X509_CRL);
}

}  // namespace cocoon::attestation::test
