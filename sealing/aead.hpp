// One AEAD key, ready for many messages: the cipher's context is keyed once and only the nonce
// changes, which is what makes a chunk cost microseconds. Called by hpke and ohttp; one thread's.
// Knows nothing about nonces: callers must never use one twice for sealing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/encoding.hpp"
#include "sealing/secret.hpp"

struct evp_cipher_ctx_st;

namespace cocoon::sealing {

// HPKE's registry (RFC 9180 §7.3).
enum class Aead : std::uint16_t {
    aes_128_gcm = 0x0001,
    aes_256_gcm = 0x0002,
    chacha20_poly1305 = 0x0003,
    export_only = 0xFFFF,
};

constexpr std::size_t aead_nonce_bytes = 12;
constexpr std::size_t aead_tag_bytes = 16;

std::optional<Aead> find_aead(std::uint16_t id);
std::size_t aead_key_bytes(Aead aead);  // 0 for export_only

class AeadCipher {
public:
    // REQUIRES: aead != export_only, key.size() == aead_key_bytes(aead).
    AeadCipher(Aead aead, ByteView key);

    // Appends ciphertext and tag to `out`. REQUIRES: nonce.size() == aead_nonce_bytes.
    void seal_to(Bytes& out, ByteView nonce, ByteView aad, ByteView plaintext);
    // Appends the plaintext, or leaves `out` as it was and returns false.
    bool open_to(Bytes& out, ByteView nonce, ByteView aad, ByteView ciphertext);

private:
    struct Free {
        void operator()(evp_cipher_ctx_st* context) const noexcept;
    };
    using Handle = std::unique_ptr<evp_cipher_ctx_st, Free>;
    Handle make(bool sealing) const;

    Aead aead_;
    Secret key_;
    Handle sealer_;  // keyed at the first use of its direction; OpenSSL wipes it on release
    Handle opener_;
};

}  // namespace cocoon::sealing
