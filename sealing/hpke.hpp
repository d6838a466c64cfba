// Hybrid public key encryption (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and the AEADs
// below, in all four modes. Called by ohttp.cpp and the vectors; a Context is one thread's.
// OpenSSL 3.0 has no HPKE, so the key schedule is here and the primitives are OpenSSL's.
// Refuses with `sealed_message_invalid` and never says why in more detail than the peer knows.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "core/encoding.hpp"
#include "core/result.hpp"
#include "sealing/aead.hpp"
#include "sealing/secret.hpp"
#include "sealing/signing.hpp"

namespace cocoon::sealing::hpke {

constexpr std::uint16_t kem_x25519_hkdf_sha256 = 0x0020;
constexpr std::uint16_t kdf_hkdf_sha256 = 0x0001;
constexpr std::size_t encapsulated_key_bytes = 32;
constexpr std::size_t export_bytes_max = 255 * 32;  // HKDF-Expand's own limit

enum class Mode : std::uint8_t { base = 0, psk = 1, auth = 2, auth_psk = 3 };

// Present exactly in the modes that name it (RFC 9180 §5.1, VerifyPSKInputs).
struct PreSharedKey {
    ByteView secret;
    ByteView id;
};

// One direction of one exchange (RFC 9180 §5.2). Each seal or open uses the next sequence number.
class Context {
public:
    // `plaintext` with a 16-byte tag. Refused for export_only and when the sequence is used up.
    Result<Bytes> seal(ByteView aad, ByteView plaintext);
    // Appends instead, for streams.
    Result<void> seal_to(Bytes& out, ByteView aad, ByteView plaintext);
    // A failed open does not use up the sequence number (RFC 9180 §5.2).
    Result<Bytes> open(ByteView aad, ByteView ciphertext);
    Result<void> open_to(Bytes& out, ByteView aad, ByteView ciphertext);
    // RFC 9180 §5.3; `length` <= export_bytes_max.
    Result<Secret> export_secret(ByteView exporter_context, std::size_t length) const;

    std::uint64_t sequence() const { return sequence_; }
    // Continues at a later number (tests of far sequences). Backwards is refused: a nonce is used
    // once.
    Result<void> skip_to(std::uint64_t sequence);

private:
    friend struct KeySchedule;
    Context() = default;
    Result<std::array<std::uint8_t, aead_nonce_bytes>> next_nonce() const;

    std::optional<AeadCipher> cipher_;  // none for export_only
    std::array<std::uint8_t, aead_nonce_bytes> base_nonce_{};
    std::uint64_t sequence_ = 0;
    std::uint16_t aead_id_ = 0;
    Secret exporter_secret_;
};

struct SenderOptions {
    Mode mode = Mode::base;
    ByteView info;
    PreSharedKey psk;
    const SealingKey* sender = nullptr;     // modes auth and auth_psk, in no other
    const SealingKey* ephemeral = nullptr;  // ONLY for test vectors; normally a fresh key is made
};

struct Sender {
    PublicKey encapsulated_key;
    Context context;
};

// SetupS (RFC 9180 §5.1). A mode whose keys are missing, or keys without their mode, are refused.
Result<Sender> setup_sender(Aead aead, const PublicKey& receiver, const SenderOptions& options);

struct ReceiverOptions {
    Mode mode = Mode::base;
    ByteView info;
    PreSharedKey psk;
    const PublicKey* sender = nullptr;
};

// SetupR (RFC 9180 §5.1).
Result<Context> setup_receiver(Aead aead, const SealingKey& receiver, ByteView encapsulated_key,
                               const ReceiverOptions& options);

// DeriveKeyPair (RFC 9180 §7.1.3) from at least 32 bytes of key material.
Result<SealingKey> derive_key_pair(ByteView input_key_material);

// HKDF-SHA256 (RFC 5869), as OHTTP uses it for responses.
// REQUIRES: input_key_material is not empty, 0 < length <= export_bytes_max.
Secret hkdf_extract(ByteView salt, ByteView input_key_material);
Secret hkdf_expand(ByteView pseudorandom_key, ByteView info, std::size_t length);

}  // namespace cocoon::sealing::hpke
