// X.509 certificates, revocation lists and signatures (RFC 5280; FIPS 186-4) as evidence carries
// them, and the one way a chain is judged: against pinned root keys at a given instant. Called by
// the verifiers of this folder; values are immutable and cheap to copy, any thread may use them.
// Must not know what a certificate is for, a clock or a file. OpenSSL stays in the .cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/digest.hpp"
#include "core/encoding.hpp"
#include "core/result.hpp"
#include "core/time.hpp"

struct x509_st;
struct X509_crl_st;
struct evp_pkey_st;

namespace cocoon::attestation {

constexpr std::size_t certificate_bytes_max = 16 << 10;  // beyond: malformed_request
constexpr std::size_t certificates_max = 8;              // in one chain
constexpr std::size_t revocation_list_bytes_max = 1 << 20;

enum class Curve { p256, p384 };

class PublicKey {
public:
    // x || y, 64 or 96 bytes; `malformed_request` if the point is not on the curve.
    static Result<PublicKey> from_point(Curve curve, ByteView point);

    // SHA-256 of the DER SubjectPublicKeyInfo, lower-case hex: what pins are.
    const std::string& spki_sha256() const { return spki_sha256_; }
    // Whether `signature`, raw big-endian r || s of the curve's size, is this key's over `message`.
    // False for keys that are not on P-256 or P-384.
    bool verify_ecdsa(Hash hash, ByteView message, ByteView signature) const;

private:
    friend class Certificate;
    friend class RevocationList;
    PublicKey(std::shared_ptr<evp_pkey_st> key, std::string spki_sha256)
        : key_{std::move(key)}, spki_sha256_{std::move(spki_sha256)} {}
    std::shared_ptr<evp_pkey_st> key_;
    std::string spki_sha256_;
};

class Certificate {
public:
    // Exactly one certificate in its one encoding; `malformed_request` for anything else, for
    // repeated extensions and for extensions that cannot be read.
    static Result<Certificate> from_der(ByteView der);
    static Result<Certificate> from_pem(std::string_view pem);

    const Bytes& der() const { return parts_->der; }
    // RFC 4514, last relative name first: "CN=Intel SGX Root CA,O=Intel Corporation,...".
    const std::string& subject() const { return parts_->subject; }
    const std::string& issuer() const { return parts_->issuer; }
    // Of the subject, with '?' for what is not printable ASCII; at most 128 bytes.
    const std::string& common_name() const { return parts_->common_name; }
    const std::string& serial() const { return parts_->serial; }  // lower-case hex
    Instant not_before() const { return parts_->not_before; }
    Instant not_after() const { return parts_->not_after; }
    bool is_ca() const { return parts_->is_ca; }  // basicConstraints says so
    std::optional<std::int64_t> path_length() const { return parts_->path_length; }
    // Without a keyUsage extension every use is allowed (RFC 5280, 4.2.1.3).
    bool may_sign_certificates() const { return parts_->may_sign_certificates; }
    bool may_sign_revocation_lists() const { return parts_->may_sign_revocation_lists; }
    bool may_sign_data() const { return parts_->may_sign_data; }
    const PublicKey& public_key() const { return parts_->public_key; }

    // The octets inside extnValue of the extension with this dotted OID, if there is one.
    std::optional<Bytes> extension(std::string_view oid) const;
    // Dotted OIDs of critical extensions that are not judged here.
    const std::vector<std::string>& unknown_critical() const { return parts_->unknown_critical; }

    // The issuer's name is this certificate's issuer name (compared as DER names are).
    bool names_issuer(const Certificate& issuer) const;
    // The issuer's key made the signature, RSA-PSS and ECDSA included. Names are another question.
    bool signed_by(const PublicKey& issuer) const;

private:
    friend class RevocationList;
    struct Parts {
        std::shared_ptr<x509_st> certificate;
        PublicKey public_key;
        Bytes der{};
        std::string subject{}, issuer{}, common_name{}, serial{};
        Instant not_before{}, not_after{};
        bool is_ca = false;
        std::optional<std::int64_t> path_length{};
        bool may_sign_certificates = true;
        bool may_sign_revocation_lists = true;
        bool may_sign_data = true;
        std::vector<std::string> unknown_critical{};
    };
    explicit Certificate(std::shared_ptr<const Parts> parts) : parts_{std::move(parts)} {}
    std::shared_ptr<const Parts> parts_;
};

// Certificates one after another, in file order; nothing but line ends may stand between them, and
// NULs after the last (fixed buffers leave them). `malformed_request` if there are none or more
// than `count_max`.
Result<std::vector<Certificate>> certificates_from_pem(std::string_view pem,
                                                       std::size_t count_max = certificates_max);

class RevocationList {
public:
    // A complete list; deltas, indirect lists and lists of some reasons only are refused.
    static Result<RevocationList> from_der(ByteView der);
    static Result<RevocationList> from_pem(std::string_view pem);

    const Bytes& der() const { return parts_->der; }
    const std::string& issuer() const { return parts_->issuer; }
    // cRLNumber as 40 hex characters, so that text order is number order; empty if there is none.
    const std::string& number() const { return parts_->number; }
    Instant this_update() const { return parts_->this_update; }
    Instant next_update() const { return parts_->next_update; }  // lists without it are refused
    bool names_issuer(const Certificate& issuer) const;
    bool signed_by(const PublicKey& issuer) const;
    // Revoked or on hold. Only meaningful for certificates of this list's issuer.
    bool revokes(const Certificate& certificate) const;

private:
    struct Parts {
        std::shared_ptr<X509_crl_st> list;
        Bytes der{};
        std::string issuer{}, number{};
        Instant this_update{}, next_update{};
    };
    explicit RevocationList(std::shared_ptr<const Parts> parts) : parts_{std::move(parts)} {}
    std::shared_ptr<const Parts> parts_;
};

// One thing wrong with a chain. Codes: chain_short, chain_long, chain_order, certificate_signature,
// certificate_expired, certificate_not_yet_valid, not_a_ca, leaf_is_a_ca, path_length, key_usage,
// critical_extension, root_not_pinned.
struct ChainFault {
    std::string_view code;
    std::size_t position = 0;  // in the chain, leaf 0
    std::string text;          // for people
};

struct ChainRules {
    std::vector<std::string> pins;  // SPKI SHA-256 of accepted roots, lower-case hex
    std::size_t count_min = 2, count_max = certificates_max;
    std::vector<std::string> critical_allowed;  // OIDs of critical extensions the caller judges
    bool leaf_may_be_ca = false;                // a leaf that signs data although it is marked CA
};

// Every fault of the chain at `at`, leaf first, root last (the root must be there and be
// self-signed); empty: the chain holds. Validity is closed: not_before <= at <= not_after. RFC
// 5280, 6.1, for chains given in order, without policies and name constraints (critical ones are
// faults).
std::vector<ChainFault> check_chain(std::span<const Certificate> chain, const ChainRules& rules,
                                    Instant at);

// The earliest not_after of the chain.
Instant chain_not_after(std::span<const Certificate> chain);

}  // namespace cocoon::attestation
