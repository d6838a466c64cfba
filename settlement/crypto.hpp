// What TON needs of OpenSSL: SHA-256, HMAC and PBKDF2 with SHA-512, Ed25519 (RFC 8032). Called by
// the formats of this folder, the wallets and the mnemonic; any thread, keys are immutable once
// made. The sealed exchange has keys of its own (another floor, other files); nothing is shared
// with it. Knows nothing about what is hashed or signed. A failing OpenSSL throws.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "core/encoding.hpp"
#include "core/result.hpp"

struct evp_pkey_st;

namespace cocoon::settlement::ton {

using Hash = std::array<std::uint8_t, 32>;
using PublicKey = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

Hash sha256(ByteView bytes);
std::array<std::uint8_t, 64> hmac_sha512(ByteView key, ByteView message);
std::array<std::uint8_t, 64> pbkdf2_sha512(ByteView password, std::string_view salt, int rounds);

// Overwrites `bytes` in a way the compiler keeps.
void wipe(std::span<std::uint8_t> bytes) noexcept;

// An Ed25519 private key. Copies share it; it is wiped with the last one.
class SigningKey {
public:
    // malformed_request: not 32 bytes.
    static Result<SigningKey> from_seed(ByteView seed);
    const PublicKey& public_key() const { return public_key_; }
    Signature sign(ByteView message) const;

private:
    SigningKey() = default;
    std::shared_ptr<evp_pkey_st> key_;
    PublicKey public_key_{};
};

// Keys whose owner can deny a signature that verifies (points of small order); the TVM refuses two
// of them from version 14 on, so a voucher under such a key would verify here and fail on the
// chain.
bool is_weak_key(const PublicKey& key);
// Whether `signature` is `key`'s over `message`; never true for a weak key.
bool verify_signature(const PublicKey& key, ByteView message, const Signature& signature);

}  // namespace cocoon::settlement::ton
