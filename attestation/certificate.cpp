#include "attestation/certificate.hpp"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <stdexcept>

namespace cocoon::attestation {
namespace {

constexpr int rsa_bits_max = 8192;
constexpr std::size_t extensions_max = 64;
constexpr std::size_t name_parts_max = 16;
constexpr int name_value_bytes_max = 128;  // RFC 5280, A.1: 64 for common names
// A SubjectPublicKeyInfo up to the coordinates (RFC 5480), "uncompressed" octet included.
constexpr std::string_view p256_spki_opening =
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004";
constexpr std::string_view p384_spki_opening = "3076301006072a8648ce3d020106052b8104002203620004";

template <auto function>
struct Free {
    template <class T>
    void operator()(T* object) const noexcept {
        function(object);
    }
};
template <class T, auto function>
using Owned = std::unique_ptr<T, Free<function>>;

void check(bool succeeded, const char* what) {
    if (!succeeded) throw std::runtime_error{std::string{"OpenSSL failed: "} + what};
}

Error malformed(std::string why) {
    ERR_clear_error();  // a refusal leaves nothing behind in the thread's error queue
    return refuse(ErrorCode::malformed_request, std::move(why));
}

template <class T>
Bytes encoded(const T* object, int (*encode)(const T*, unsigned char**)) {
    const int size = encode(object, nullptr);
    if (size <= 0) return {};
    Bytes out(static_cast<std::size_t>(size));
    unsigned char* at = out.data();
    check(encode(object, &at) == size, "encoding");
    return out;
}

std::optional<Instant> instant_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
    return Instant{} + seconds(::timegm(&parts));
}

std::string hex_of(const ASN1_INTEGER* number) {
    const Owned<BIGNUM, BN_free> value{ASN1_INTEGER_to_BN(number, nullptr)};
    check(value != nullptr, "integer");
    Bytes bytes(static_cast<std::size_t>(BN_num_bytes(value.get())));
    BN_bn2bin(value.get(), bytes.data());
    return bytes.empty() ? "00" : to_hex(bytes);
}

std::string dotted(const ASN1_OBJECT* object) {
    char text[128];
    const int size = OBJ_obj2txt(text, sizeof text, object, 1);
    return size <= 0 ? std::string{} : std::string{text};
}

// ---- Names (RFC 4514) ---------------------------------------------------------------------------

std::string type_of(const ASN1_OBJECT* object) {
    switch (OBJ_obj2nid(object)) {
        case NID_commonName: return "CN";
        case NID_localityName: return "L";
        case NID_stateOrProvinceName: return "ST";
        case NID_organizationName: return "O";
        case NID_organizationalUnitName: return "OU";
        case NID_countryName: return "C";
        case NID_streetAddress: return "STREET";
        case NID_domainComponent: return "DC";
        case NID_userId: return "UID";
        default: return dotted(object);
    }
}

std::string value_of(const ASN1_STRING* value) {
    unsigned char* raw = nullptr;
    const int size = ASN1_STRING_to_UTF8(&raw, value);
    if (size < 0) return "?";
    std::string text{reinterpret_cast<const char*>(raw), static_cast<std::size_t>(size)};
    OPENSSL_free(raw);
    return text;
}

std::string escaped(std::string_view value) {
    std::string out;
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        const bool edge = i == 0 ? c == ' ' || c == '#' : i + 1 == value.size() && c == ' ';
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            out += '\\';
            out += to_hex(as_bytes(value.substr(i, 1)));
        } else {
            if (edge || std::string_view{",+\"\\<>;"}.find(c) != std::string_view::npos)
                out += '\\';
            out += c;
        }
    }
    return out;
}

std::string text_of(const X509_NAME* name) {
    std::string out;
    int set = -1;
    for (int i = X509_NAME_entry_count(name); i-- > 0;) {
        const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
        if (!out.empty()) out += X509_NAME_ENTRY_set(entry) == set ? '+' : ',';
        set = X509_NAME_ENTRY_set(entry);
        out += type_of(X509_NAME_ENTRY_get_object(entry)) + "=" +
               escaped(value_of(X509_NAME_ENTRY_get_data(entry)));
    }
    return out;
}

// Names are what peers wrote: in texts for people only plain characters stand.
std::string common_name_of(const X509_NAME* name) {
    const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0) return {};
    std::string text = value_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    for (char& c : text)
        if (c < 0x20 || c == 0x7F) c = '?';
    return text;
}

bool name_bounded(const X509_NAME* name) {
    const int count = X509_NAME_entry_count(name);
    if (count > static_cast<int>(name_parts_max)) return false;
    for (int i = 0; i < count; ++i)
        if (ASN1_STRING_length(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i))) >
            name_value_bytes_max)
            return false;
    return true;
}

// ---- PEM (RFC 7468, strict) ---------------------------------------------------------------------

void skip_line_ends(std::string_view& text) {
    const std::size_t kept = text.find_first_not_of("\r\n");
    text.remove_prefix(kept == std::string_view::npos ? text.size() : kept);
}

// Takes one block off the front; nothing if it is not exactly one.
std::optional<Bytes> take_pem(std::string_view& text, std::string_view label) {
    const std::string opening = "-----BEGIN " + std::string{label} + "-----";
    const std::string closing = "-----END " + std::string{label} + "-----";
    if (!text.starts_with(opening)) return std::nullopt;
    text.remove_prefix(opening.size());
    const std::size_t end = text.find(closing);
    if (end == std::string_view::npos || end == 0 || text[end - 1] != '\n') return std::nullopt;
    std::string base64;
    base64.reserve(end);
    for (const char c : text.substr(0, end))
        if (c != '\n' && c != '\r') base64 += c;
    text.remove_prefix(end + closing.size());
    if (!text.empty() && text.front() != '\n' && text.front() != '\r') return std::nullopt;
    return from_base64(base64);
}

Result<Bytes> only_pem(std::string_view text, std::string_view label, std::size_t bytes_max) {
    if (text.size() > 2 * bytes_max) return malformed("the PEM text is too long");
    skip_line_ends(text);
    auto der = take_pem(text, label);
    skip_line_ends(text);
    if (!der || !text.empty()) return malformed("not one PEM block of " + std::string{label});
    return std::move(*der);
}

// ---- Keys ---------------------------------------------------------------------------------------

// Named curves and RSA of usual size only: an explicit curve is an attacker's choice of group.
bool key_supported(EVP_PKEY* key) {
    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
        return EVP_PKEY_get_bits(key) <= rsa_bits_max;
    char curve[64];
    return EVP_PKEY_is_a(key, "EC") == 1 &&
           EVP_PKEY_get_group_name(key, curve, sizeof curve, nullptr) == 1;
}

std::optional<std::size_t> coordinate_bytes(const EVP_PKEY* key) {
    char curve[64];
    if (EVP_PKEY_is_a(key, "EC") != 1 ||
        EVP_PKEY_get_group_name(key, curve, sizeof curve, nullptr) != 1)
        return std::nullopt;
    const std::string_view name{curve};
    if (name == SN_X9_62_prime256v1) return 32;
    if (name == SN_secp384r1) return 48;
    return std::nullopt;
}

Bytes der_signature(ByteView raw) {
    const auto half = static_cast<int>(raw.size() / 2);
    Owned<BIGNUM, BN_free> r{BN_bin2bn(raw.data(), half, nullptr)};
    Owned<BIGNUM, BN_free> s{BN_bin2bn(raw.data() + half, half, nullptr)};
    const Owned<ECDSA_SIG, ECDSA_SIG_free> signature{ECDSA_SIG_new()};
    check(r && s && signature, "signature");
    check(ECDSA_SIG_set0(signature.get(), r.release(), s.release()) == 1, "signature");
    return encoded<ECDSA_SIG>(signature.get(), i2d_ECDSA_SIG);
}

std::vector<std::string> unknown_critical_of(const X509* certificate) {
    std::vector<std::string> out;
    for (int i = 0; i < X509_get_ext_count(certificate); ++i) {
        X509_EXTENSION* extension = X509_get_ext(certificate, i);
        if (!X509_EXTENSION_get_critical(extension)) continue;
        const int kind = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
        if (kind != NID_basic_constraints && kind != NID_key_usage)
            out.push_back(dotted(X509_EXTENSION_get_object(extension)));
    }
    return out;
}

// RFC 5280, 4.2: no extension twice. The first would be judged and the second believed elsewhere.
bool extensions_unique(const X509* certificate) {
    const int count = X509_get_ext_count(certificate);
    for (int i = 0; i < count; ++i)
        if (X509_get_ext_by_OBJ(certificate,
                                X509_EXTENSION_get_object(X509_get_ext(certificate, i)), i) >= 0)
            return false;
    return true;
}

bool same_name(const X509_NAME* a, const X509_NAME* b) { return X509_NAME_cmp(a, b) == 0; }

}  // namespace

Result<PublicKey> PublicKey::from_point(Curve curve, ByteView point) {
    if (point.size() != (curve == Curve::p256 ? 64 : 96))
        return malformed("the point has another size than its curve's");
    Bytes spki = *from_hex(curve == Curve::p256 ? p256_spki_opening : p384_spki_opening);
    spki.insert(spki.end(), point.begin(), point.end());
    const unsigned char* at = spki.data();
    const std::shared_ptr<EVP_PKEY> key{d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())),
                                        Free<EVP_PKEY_free>{}};
    if (!key) return malformed("the point is not on the curve");
    return PublicKey{key, to_hex(sha256(spki))};
}

bool PublicKey::verify_ecdsa(Hash hash, ByteView message, ByteView signature) const {
    const auto size = coordinate_bytes(key_.get());
    if (!size || signature.size() != 2 * *size) return false;
    const Bytes der = der_signature(signature);
    const Owned<EVP_MD_CTX, EVP_MD_CTX_free> context{EVP_MD_CTX_new()};
    const EVP_MD* algorithm = hash == Hash::sha256 ? EVP_sha256() : EVP_sha384();
    check(context &&
              EVP_DigestVerifyInit(context.get(), nullptr, algorithm, nullptr, key_.get()) == 1,
          "verification");
    const bool right = EVP_DigestVerify(context.get(), der.data(), der.size(), message.data(),
                                        message.size()) == 1;
    ERR_clear_error();
    return right;
}

// ---- Certificate --------------------------------------------------------------------------------

Result<Certificate> Certificate::from_der(ByteView der) {
    if (der.empty() || der.size() > certificate_bytes_max)
        return malformed("the certificate is empty or too long");
    const unsigned char* at = der.data();
    const std::shared_ptr<X509> x509{d2i_X509(nullptr, &at, static_cast<long>(der.size())),
                                     Free<X509_free>{}};
    if (!x509 || at != der.data() + der.size()) return malformed("not one DER certificate");
    Bytes canonical = encoded<X509>(x509.get(), i2d_X509);
    if (!std::equal(canonical.begin(), canonical.end(), der.begin(), der.end()))
        return malformed("the certificate is not DER");
    const auto not_before = instant_of(X509_get0_notBefore(x509.get()));
    const auto not_after = instant_of(X509_get0_notAfter(x509.get()));
    if (!not_before || !not_after) return malformed("the certificate's dates cannot be read");
    const X509_NAME* subject = X509_get_subject_name(x509.get());
    const X509_NAME* issuer = X509_get_issuer_name(x509.get());
    if (!name_bounded(subject) || !name_bounded(issuer) ||
        X509_get_ext_count(x509.get()) > static_cast<int>(extensions_max))
        return malformed("the certificate's names or extensions are over their limits");
    const std::uint32_t flags = X509_get_extension_flags(x509.get());
    if ((flags & EXFLAG_INVALID) != 0 || !extensions_unique(x509.get()))
        return malformed("the certificate's extensions cannot be read");
    const std::shared_ptr<EVP_PKEY> key{X509_get_pubkey(x509.get()), Free<EVP_PKEY_free>{}};
    if (!key || !key_supported(key.get()))
        return malformed("the certificate's key is of no supported kind");

    const Bytes spki = encoded<X509_PUBKEY>(X509_get_X509_PUBKEY(x509.get()), i2d_X509_PUBKEY);
    Parts parts{.certificate = x509, .public_key = PublicKey{key, to_hex(sha256(spki))}};
    parts.der = std::move(canonical);
    parts.subject = text_of(subject);
    parts.issuer = text_of(issuer);
    parts.common_name = common_name_of(subject);
    parts.serial = hex_of(X509_get0_serialNumber(x509.get()));
    parts.not_before = *not_before;
    parts.not_after = *not_after;
    parts.is_ca = (flags & EXFLAG_BCONS) != 0 && (flags & EXFLAG_CA) != 0;
    if (const long length = X509_get_pathlen(x509.get()); length >= 0) parts.path_length = length;
    const std::uint32_t usage = X509_get_key_usage(x509.get());
    parts.may_sign_certificates = (usage & KU_KEY_CERT_SIGN) != 0;
    parts.may_sign_revocation_lists = (usage & KU_CRL_SIGN) != 0;
    parts.may_sign_data = (usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) != 0;
    parts.unknown_critical = unknown_critical_of(x509.get());
    ERR_clear_error();
    return Certificate{std::make_shared<const Parts>(std::move(parts))};
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
    const auto der = only_pem(pem, "CERTIFICATE", certificate_bytes_max);
    return der ? from_der(*der) : Result<Certificate>{der.error()};
}

std::optional<Bytes> Certificate::extension(std::string_view oid) const {
    const Owned<ASN1_OBJECT, ASN1_OBJECT_free> wanted{OBJ_txt2obj(std::string{oid}.c_str(), 1)};
    check(wanted != nullptr, "object identifier");
    const int at = X509_get_ext_by_OBJ(parts_->certificate.get(), wanted.get(), -1);
    if (at < 0) return std::nullopt;
    const ASN1_OCTET_STRING* value =
        X509_EXTENSION_get_data(X509_get_ext(parts_->certificate.get(), at));
    const unsigned char* data = ASN1_STRING_get0_data(value);
    return Bytes{data, data + ASN1_STRING_length(value)};
}

bool Certificate::names_issuer(const Certificate& issuer) const {
    return same_name(X509_get_issuer_name(parts_->certificate.get()),
                     X509_get_subject_name(issuer.parts_->certificate.get()));
}

bool Certificate::signed_by(const PublicKey& issuer) const {
    const bool right = X509_verify(parts_->certificate.get(), issuer.key_.get()) == 1;
    ERR_clear_error();
    return right;
}

Result<std::vector<Certificate>> certificates_from_pem(std::string_view pem,
                                                       std::size_t count_max) {
    pem = pem.substr(0, pem.find_last_not_of('\0') + 1);
    std::vector<Certificate> out;
    for (skip_line_ends(pem); !pem.empty(); skip_line_ends(pem)) {
        if (out.size() == count_max) return malformed("there are too many certificates");
        const auto der = take_pem(pem, "CERTIFICATE");
        if (!der) return malformed("not a PEM certificate");
        auto certificate = Certificate::from_der(*der);
        if (!certificate) return certificate.error();
        out.push_back(std::move(*certificate));
    }
    if (out.empty()) return malformed("there is no certificate");
    return out;
}

// ---- Revocation lists ---------------------------------------------------------------------------

namespace {

// A critical issuingDistributionPoint may only say where the list is found, not narrow its scope.
bool scope_complete(const X509_CRL* list) {
    int critical = 0;
    const Owned<ISSUING_DIST_POINT, ISSUING_DIST_POINT_free> point{static_cast<ISSUING_DIST_POINT*>(
        X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, &critical, nullptr))};
    if (!point) return critical == -1;  // -1: absent; otherwise repeated or unreadable
    return point->onlyuser <= 0 && point->onlyCA <= 0 && point->onlyattr <= 0 &&
           point->indirectCRL <= 0 && point->onlysomereasons == nullptr;
}

bool critical_known(const X509_CRL* list) {
    for (int i = 0; i < X509_CRL_get_ext_count(list); ++i) {
        X509_EXTENSION* extension = X509_CRL_get_ext(list, i);
        if (X509_EXTENSION_get_critical(extension) &&
            OBJ_obj2nid(X509_EXTENSION_get_object(extension)) != NID_issuing_distribution_point)
            return false;
    }
    return true;
}

// nullopt: there is one and it is unreadable, negative or over 20 octets.
std::optional<std::string> number_of(const X509_CRL* list) {
    int critical = 0;
    const Owned<ASN1_INTEGER, ASN1_INTEGER_free> number{
        static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(list, NID_crl_number, &critical, nullptr))};
    if (!number) return critical == -1 ? std::optional{std::string{}} : std::nullopt;
    std::string hex = hex_of(number.get());
    if (hex.size() > 40 || ASN1_STRING_type(number.get()) == V_ASN1_NEG_INTEGER)
        return std::nullopt;
    return std::string(40 - hex.size(), '0') + hex;
}

}  // namespace

Result<RevocationList> RevocationList::from_der(ByteView der) {
    if (der.empty() || der.size() > revocation_list_bytes_max)
        return malformed("the revocation list is empty or too long");
    const unsigned char* at = der.data();
    const std::shared_ptr<X509_CRL> list{d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())),
                                         Free<X509_CRL_free>{}};
    if (!list || at != der.data() + der.size()) return malformed("not one DER revocation list");
    Parts parts{.list = list, .der = encoded<X509_CRL>(list.get(), i2d_X509_CRL)};
    if (!std::equal(parts.der.begin(), parts.der.end(), der.begin(), der.end()))
        return malformed("the revocation list is not DER");
    const auto this_update = instant_of(X509_CRL_get0_lastUpdate(list.get()));
    const auto next_update = instant_of(X509_CRL_get0_nextUpdate(list.get()));
    if (!this_update || !next_update)
        return malformed("the revocation list's dates cannot be read");
    auto number = number_of(list.get());
    if (!number || !critical_known(list.get()) || !scope_complete(list.get()))
        return malformed("the revocation list is partial or its extensions cannot be read");
    if (!name_bounded(X509_CRL_get_issuer(list.get())))
        return malformed("the revocation list's issuer is over its limits");
    parts.issuer = text_of(X509_CRL_get_issuer(list.get()));
    parts.number = std::move(*number);
    parts.this_update = *this_update;
    parts.next_update = *next_update;
    ERR_clear_error();
    return RevocationList{std::make_shared<const Parts>(std::move(parts))};
}

Result<RevocationList> RevocationList::from_pem(std::string_view pem) {
    const auto der = only_pem(pem, "X509 CRL", revocation_list_bytes_max);
    return der ? from_der(*der) : Result<RevocationList>{der.error()};
}

bool RevocationList::names_issuer(const Certificate& issuer) const {
    return same_name(X509_CRL_get_issuer(parts_->list.get()),
                     X509_get_subject_name(issuer.parts_->certificate.get()));
}

bool RevocationList::signed_by(const PublicKey& issuer) const {
    const bool right = X509_CRL_verify(parts_->list.get(), issuer.key_.get()) == 1;
    ERR_clear_error();
    return right;
}

bool RevocationList::revokes(const Certificate& certificate) const {
    X509_REVOKED* entry = nullptr;
    return X509_CRL_get0_by_serial(parts_->list.get(), &entry,
                                   X509_get0_serialNumber(certificate.parts_->certificate.get())) !=
           0;
}

// ---- Chains -------------------------------------------------------------------------------------

namespace {

void judge_certificate(std::vector<ChainFault>& faults, const Certificate& certificate,
                       std::size_t position, const ChainRules& rules, Instant at) {
    const auto fault = [&](std::string_view code, const std::string& text) {
        faults.push_back({code, position, certificate.common_name() + ": " + text});
    };
    if (at < certificate.not_before())
        fault("certificate_not_yet_valid", "valid from " + certificate.not_before().text());
    if (at > certificate.not_after())
        fault("certificate_expired", "valid until " + certificate.not_after().text());
    for (const std::string& oid : certificate.unknown_critical())
        if (std::find(rules.critical_allowed.begin(), rules.critical_allowed.end(), oid) ==
            rules.critical_allowed.end())
            fault("critical_extension", "has the critical extension " + oid);
    if (position == 0) {
        if (certificate.is_ca() && !rules.leaf_may_be_ca)
            fault("leaf_is_a_ca", "stands as the leaf and is a certificate authority");
        if (!certificate.may_sign_data()) fault("key_usage", "may not sign data");
        return;
    }
    if (!certificate.is_ca()) fault("not_a_ca", "is not a certificate authority");
    if (!certificate.may_sign_certificates()) fault("key_usage", "may not sign certificates");
    // Position 1 signs the leaf: no authority is below it, position 2 has one below, and so on.
    const auto below = static_cast<std::int64_t>(position) - 1;
    if (certificate.path_length() && *certificate.path_length() < below)
        fault("path_length", "allows fewer authorities below it");
}

void judge_links(std::vector<ChainFault>& faults, std::span<const Certificate> chain) {
    for (std::size_t i = 0; i < chain.size(); ++i) {
        const Certificate& issuer = chain[std::min(i + 1, chain.size() - 1)];  // the root: itself
        const std::string& who = chain[i].common_name();
        if (!chain[i].names_issuer(issuer))
            faults.push_back({"chain_order", i, who + ": the next certificate is not its issuer"});
        else if (!chain[i].signed_by(issuer.public_key()))
            faults.push_back(
                {"certificate_signature", i, who + ": its issuer's key did not sign it"});
    }
}

}  // namespace

std::vector<ChainFault> check_chain(std::span<const Certificate> chain, const ChainRules& rules,
                                    Instant at) {
    if (chain.empty()) return {{"chain_short", 0, "the chain is empty"}};
    std::vector<ChainFault> faults;
    const std::string count = "the chain has " + std::to_string(chain.size()) + " certificates";
    if (chain.size() < rules.count_min) faults.push_back({"chain_short", chain.size() - 1, count});
    if (chain.size() > rules.count_max) faults.push_back({"chain_long", chain.size() - 1, count});
    const std::string& root = chain.back().public_key().spki_sha256();
    if (std::find(rules.pins.begin(), rules.pins.end(), root) == rules.pins.end())
        faults.push_back({"root_not_pinned", chain.size() - 1,
                          chain.back().common_name() + ": the root's key is " + root +
                              ", which is not among the pins"});
    judge_links(faults, chain);
    for (std::size_t i = 0; i < chain.size(); ++i)
        judge_certificate(faults, chain[i], i, rules, at);
    return faults;
}

Instant chain_not_after(std::span<const Certificate> chain) {
    Instant earliest{INT64_MAX};
    for (const Certificate& certificate : chain)
        earliest = std::min(earliest, certificate.not_after());
    return earliest;
}

}  // namespace cocoon::attestation
