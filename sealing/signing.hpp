// Keys and hashes: Ed25519 signatures (RFC 8032), X25519 key pairs for HPKE (RFC 7748), SHA-256.
// Called by node, client, market (cosignature, relay hashes) and the formats in this folder.
// Keys are immutable after they are made and may be used from any thread at once; Sha256 is one
// thread's. Knows nothing about what is signed. A failing OpenSSL or file system throws; a bad key
// file, key or signature is a value.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/encoding.hpp"
#include "core/result.hpp"
#include "sealing/secret.hpp"

struct evp_pkey_st;
struct evp_md_ctx_st;

namespace cocoon::sealing {

constexpr std::size_t seed_bytes = 32;
constexpr std::size_t signature_bytes = 64;

using Digest = std::array<std::uint8_t, 32>;     // SHA-256
using PublicKey = std::array<std::uint8_t, 32>;  // Ed25519 or X25519, raw
using Signature = std::array<std::uint8_t, signature_bytes>;

// From the operating system's generator; throws if that fails.
void fill_random(std::span<std::uint8_t> out);
Bytes random_bytes(std::size_t count);

Digest sha256(ByteView bytes);
// "sha256:" and 64 lower-case hex characters, and back (nothing else is accepted).
std::string digest_text(const Digest& digest);
std::optional<Digest> parse_digest_text(std::string_view text);
// 64 lower-case hex characters as 32 bytes.
std::optional<std::array<std::uint8_t, 32>> parse_hex_32(std::string_view text);

// SHA-256 of a stream: the relay and both ends hash sealed bytes as they pass.
class Sha256 {
public:
    Sha256();
    void update(ByteView bytes);
    // The digest of all bytes so far; the object then starts anew.
    Digest finish();

private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const noexcept;
    };
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

// What SigningKey and SealingKey share: a 32-byte private seed and its file.
// Files hold the raw 32 bytes with mode 0600; a file that group or others can read is refused
// (`forbidden`), as are a missing one (`not_found`) and one of another size (`malformed_request`).
class SigningKey {  // Ed25519
public:
    static SigningKey generate();
    static Result<SigningKey> from_seed(ByteView seed);
    static Result<SigningKey> load(const std::string& path);
    // Loads the file, or makes a key and saves it if there is none.
    static Result<SigningKey> load_or_generate(const std::string& path);
    // Creates the file; `already_exists` if there is one.
    Result<void> save(const std::string& path) const;

    const PublicKey& public_key() const { return public_key_; }
    Secret seed() const;
    Signature sign(ByteView message) const;

private:
    SigningKey() = default;
    std::shared_ptr<evp_pkey_st> key_;  // immutable, so copies may share it
    PublicKey public_key_{};
};

// Whether `signature` (64 bytes) is `key`'s over `message`. Keys of small order are never valid:
// their owner could deny a signature that verifies.
bool verify_signature(const PublicKey& key, ByteView message, ByteView signature);

class SealingKey {  // X25519
public:
    static SealingKey generate();
    static Result<SealingKey> from_private(ByteView private_key);
    static Result<SealingKey> load(const std::string& path);
    static Result<SealingKey> load_or_generate(const std::string& path);
    Result<void> save(const std::string& path) const;

    const PublicKey& public_key() const { return public_key_; }
    Secret private_key() const;
    // X25519(private, peer), 32 bytes; refused (`sealed_message_invalid`) when the result is all
    // zero (RFC 9180 §7.1.4) or `peer` has not 32 bytes.
    Result<Secret> exchange(ByteView peer) const;

private:
    SealingKey() = default;
    std::shared_ptr<evp_pkey_st> key_;
    PublicKey public_key_{};
};

}  // namespace cocoon::sealing
