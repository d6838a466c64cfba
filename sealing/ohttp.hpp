// Oblivious HTTP (RFC 9458) and its chunked variant (draft-ietf-ohai-chunked-ohttp): the market is
// the relay, the node the gateway. Client and gateway side as incremental objects that take bytes
// cut anywhere. Called by node, client and (looks_sealed only) the market; each object is one
// thread's. Must not know what it carries: binary HTTP is made and read by binary_http.hpp.
//
// `associated`: clear metadata both ends must agree on (market, limits, price). It is appended to
// the HPKE `info`: another value gives other keys, so the message does not open. That is the effect
// of AAD, while the bytes on the wire stay exactly RFC 9458's; empty means plain RFC 9458.
//
// Refusals: sealed_message_invalid (does not open, bad framing), not_sealed (not for this gateway),
// body_too_large (a limit below), stream_truncated (the stream ended before its final chunk was
// whole), wrong_state (used after its end). An opener that refused once refuses everything after.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/encoding.hpp"
#include "core/result.hpp"
#include "sealing/hpke.hpp"
#include "sealing/signing.hpp"

namespace cocoon::sealing::ohttp {

constexpr std::string_view keys_media_type = "application/ohttp-keys";
constexpr std::string_view request_media_type = "message/ohttp-req";
constexpr std::string_view response_media_type = "message/ohttp-res";
constexpr std::string_view chunked_request_media_type = "message/ohttp-chunked-req";
constexpr std::string_view chunked_response_media_type = "message/ohttp-chunked-res";

constexpr std::size_t request_header_bytes = 7;  // key id, KEM, KDF, AEAD
constexpr std::size_t sealed_prefix_bytes_min =  // the shortest sealed request there can be
    request_header_bytes + hpke::encapsulated_key_bytes + aead_tag_bytes;
// Plaintext of one chunk as we send it: what the draft obliges every receiver to take.
constexpr std::size_t sealed_chunk_bytes_default = 16 << 10;

// ---- Key configurations (RFC 9458 §3) ----------------------------------------------------------

struct Algorithms {
    std::uint16_t kdf;
    std::uint16_t aead;
    bool operator==(const Algorithms&) const = default;
};

struct KeyConfig {  // KEM is always DHKEM(X25519, HKDF-SHA256)
    std::uint8_t key_id = 0;
    PublicKey public_key{};
    std::vector<Algorithms> algorithms;  // as the gateway prefers them; may hold unknown ones
    bool operator==(const KeyConfig&) const = default;

    bool offers(Aead aead) const;
    // The first one we can use, or nothing.
    std::optional<Aead> preferred() const;
};

// All three AEADs, AES-128-GCM first (the fastest with AES instructions).
KeyConfig make_key_config(std::uint8_t key_id, const PublicKey& public_key);
Bytes encode(const KeyConfig& config);
// One configuration, nothing after it; an unknown KEM is refused.
Result<KeyConfig> parse_key_config(ByteView bytes);
// `application/ohttp-keys`: configurations with unknown KEMs are skipped; a list without any usable
// configuration, and any framing error, is refused.
Bytes encode_key_list(std::span<const KeyConfig> configs);
Result<std::vector<KeyConfig>> parse_key_list(ByteView bytes);

// What a relay can check without keys: `first_bytes` begin like a request sealed to `config` (key
// id, KEM, an offered KDF and AEAD) and the message is not shorter than the shortest possible one.
// `first_bytes` must hold the whole body or at least its first sealed_prefix_bytes_min bytes.
Result<void> looks_sealed(ByteView first_bytes, const KeyConfig& config);

// ---- Options ------------------------------------------------------------------------------------

struct ClientOptions {
    ByteView associated;
    std::optional<Aead> aead;               // otherwise the configuration's preferred()
    const SealingKey* ephemeral = nullptr;  // ONLY for test vectors
};

struct GatewayKey {
    KeyConfig config;
    SealingKey key;
};

struct StreamLimits {
    std::size_t chunk_bytes_max = 1 << 20;    // plaintext of one chunk, the final one too
    std::size_t total_bytes_max = 64u << 20;  // plaintext of the whole stream
};

// ---- Single messages (RFC 9458 §4) -------------------------------------------------------------

class ClientRequest {
public:
    static Result<ClientRequest> seal(const KeyConfig& config, ByteView request,
                                      const ClientOptions& options = {});
    const Bytes& sealed() const { return sealed_; }
    Result<Bytes> open_response(ByteView sealed_response) const;

private:
    ClientRequest() = default;
    Bytes sealed_;
    Aead aead_{};
    PublicKey encapsulated_key_{};
    Secret response_secret_;
};

class GatewayRequest {
public:
    static Result<GatewayRequest> open(std::span<const GatewayKey> keys, ByteView sealed_request,
                                       ByteView associated = {});
    const Bytes& request() const { return request_; }
    // For the gateway's memory of requests it has seen (RFC 9458 §6.5).
    const PublicKey& encapsulated_key() const { return encapsulated_key_; }
    // `response_nonce` ONLY for test vectors; empty: a fresh one.
    Result<Bytes> seal_response(ByteView response, ByteView response_nonce = {}) const;

private:
    GatewayRequest() = default;
    Bytes request_;
    Aead aead_{};
    PublicKey encapsulated_key_{};
    Secret response_secret_;
};

// ---- Chunked messages ---------------------------------------------------------------------------

// The AEAD of one answer (RFC 9458 §4.4) and the counter of its chunks.
class ResponseCipher {
public:
    ResponseCipher(Aead aead, const Secret& secret, const PublicKey& encapsulated_key,
                   ByteView nonce);
    Result<void> seal_to(Bytes& out, ByteView aad, ByteView plaintext);
    Result<void> open_to(Bytes& out, ByteView aad, ByteView ciphertext);

private:
    std::array<std::uint8_t, aead_nonce_bytes> next_nonce() const;

    std::optional<AeadCipher> cipher_;
    std::array<std::uint8_t, aead_nonce_bytes> base_nonce_{};
    std::uint64_t counter_ = 0;
};

// Seals one stream. Both directions have the same shape, so client and gateway share the words:
// seal() any number of times, then finish() once; concatenate what they return.
class ChunkedResponseSealer {
public:
    // Sealed chunks for `plaintext`, cut at sealed_chunk_bytes_default. Empty plaintext gives
    // nothing: an empty chunk that is not final is forbidden. The first bytes out are the response
    // nonce.
    Result<Bytes> seal(ByteView plaintext);
    // The final chunk, which ends the stream.
    Result<Bytes> finish(ByteView last_plaintext = {});
    bool finished() const { return finished_; }

private:
    friend class ChunkedRequestOpener;
    ChunkedResponseSealer() = default;

    Bytes prefix_;  // the response nonce, until the first bytes go out
    std::optional<ResponseCipher> cipher_;
    bool finished_ = false;
};

// The framing both openers share: (varint length, chunk)..., 0, final chunk to the end of the
// stream.
class ChunkFraming {
public:
    explicit ChunkFraming(StreamLimits limits) : limits_{limits} {}

    void add(ByteView bytes);
    // What has arrived and not been used.
    ByteView rest() const { return ByteView{buffer_}.subspan(used_bytes_); }
    void use(std::size_t count) { used_bytes_ += count; }
    // The next whole chunk that is not final, or nothing if more bytes are needed. The view is good
    // until add(). Refuses a chunk that would be empty or is over the limits.
    Result<std::optional<ByteView>> next();
    // At the end of the stream: the final chunk, or stream_truncated.
    Result<ByteView> last() const;
    // Plaintext opened so far, against the limit of the whole stream.
    Result<void> account(std::size_t plaintext_bytes);

private:
    StreamLimits limits_;
    Bytes buffer_;
    std::size_t used_bytes_ = 0;
    std::size_t total_bytes_ = 0;
    bool in_final_ = false;
};

class ChunkedResponseOpener {
public:
    // Plaintext of the chunks completed by these bytes; may be empty.
    Result<Bytes> feed(ByteView sealed);
    // The peer's stream has ended: plaintext of the final chunk, or stream_truncated.
    Result<Bytes> finish();

private:
    friend class ChunkedRequestSealer;
    explicit ChunkedResponseOpener(StreamLimits limits) : framing_{limits} {}
    Result<Bytes> feed_checked(ByteView sealed);
    Result<bool> begin();

    ChunkFraming framing_;
    Aead aead_{};
    PublicKey encapsulated_key_{};
    Secret response_secret_;
    std::optional<ResponseCipher> cipher_;  // once the response nonce is here
    std::optional<Error> failed_;
    bool finished_ = false;
};

class ChunkedRequestSealer {
public:
    static Result<ChunkedRequestSealer> start(const KeyConfig& config,
                                              const ClientOptions& options = {});
    // As ChunkedResponseSealer; the first bytes out are the request's header.
    Result<Bytes> seal(ByteView plaintext);
    Result<Bytes> finish(ByteView last_plaintext = {});
    // Opens the answer; may be made before the request is finished.
    ChunkedResponseOpener response_opener(StreamLimits limits = {}) const;

private:
    ChunkedRequestSealer() = default;

    Bytes prefix_;  // the header, until the first bytes go out
    Aead aead_{};
    PublicKey encapsulated_key_{};
    Secret response_secret_;
    std::optional<hpke::Context> context_;
    bool finished_ = false;
};

class ChunkedRequestOpener {
public:
    // `keys` and `associated` are copied; several keys may be valid during a rotation.
    ChunkedRequestOpener(std::vector<GatewayKey> keys, Bytes associated, StreamLimits limits = {});

    Result<Bytes> feed(ByteView sealed);
    Result<Bytes> finish();
    // Present once the header has been read (39 bytes).
    const std::optional<PublicKey>& encapsulated_key() const { return encapsulated_key_; }
    // Seals the answer; may be made once the header has been read, before the request is complete.
    // `response_nonce` ONLY for test vectors.
    Result<ChunkedResponseSealer> response_sealer(ByteView response_nonce = {}) const;

private:
    Result<Bytes> feed_checked(ByteView sealed);
    Result<bool> begin();

    std::vector<GatewayKey> keys_;
    Bytes associated_;
    ChunkFraming framing_;
    Aead aead_{};
    std::optional<PublicKey> encapsulated_key_;
    Secret response_secret_;
    std::optional<hpke::Context> context_;
    std::optional<Error> failed_;
    bool finished_ = false;
};

}  // namespace cocoon::sealing::ohttp
