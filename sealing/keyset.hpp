// A node's identity: the ACI keyset document (aci/1). Its canonical bytes are what the digest, and
// through it the evidence, binds. Called by node (build), client and market (parse); plain values.
// Keys with algorithms we do not know are ignored, as the specification asks. Refuses with
// `malformed_request`; must not know where the document came from nor whether it is attested.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"
#include "sealing/ohttp.hpp"
#include "sealing/signing.hpp"

namespace cocoon::sealing {

constexpr std::string_view receipt_algorithm = "ed25519";
// Our entry of `e2ee_public_keys`: `public_key` is the hex of the RFC 9458 key configuration.
constexpr std::string_view ohttp_algorithm = "ohttp-x25519-hkdf-sha256";

struct ReceiptKey {
    std::string key_id;
    PublicKey public_key{};
    bool operator==(const ReceiptKey&) const = default;
};

struct SealingKeyEntry {
    std::string key_id;
    ohttp::KeyConfig config;
    bool operator==(const SealingKeyEntry&) const = default;
};

struct TlsKey {
    std::string domain;
    Digest spki_sha256{};
    bool operator==(const TlsKey&) const = default;
};

struct Keyset {
    std::optional<std::string> subject;
    std::vector<ReceiptKey> receipt_keys;       // Ed25519 entries of receipt_signing_keys
    std::vector<SealingKeyEntry> sealing_keys;  // our entries of e2ee_public_keys
    std::vector<TlsKey> tls_keys;
    Instant not_after;  // whole seconds

    std::string document;  // canonical bytes, unknown members and entries included
    std::string digest;    // "sha256:<hex>" of `document`

    const ReceiptKey* find_receipt_key(std::string_view key_id) const;
    bool expired(Instant at) const { return at >= not_after; }
};

// Fills `document` and `digest` from the other fields.
Result<Keyset> build_keyset(Keyset parts);
// Any JSON spelling of the document.
Result<Keyset> parse_keyset(std::string_view document);

}  // namespace cocoon::sealing
