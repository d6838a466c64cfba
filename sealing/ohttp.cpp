#include "sealing/ohttp.hpp"

#include <algorithm>

#include "core/ensure.hpp"
#include "sealing/varint.hpp"

namespace cocoon::sealing::ohttp {
namespace {

// What distinguishes the two variants: HPKE info and export labels.
struct Labels {
    std::string_view request;
    std::string_view response;
};
constexpr Labels single_labels{"message/bhttp request", "message/bhttp response"};
constexpr Labels chunked_labels{"message/bhttp chunked request", "message/bhttp chunked response"};
constexpr std::string_view final_aad = "final";
constexpr std::size_t header_bytes = request_header_bytes + hpke::encapsulated_key_bytes;

Error does_not_open(const char* why) { return refuse(ErrorCode::sealed_message_invalid, why); }
Error truncated(const char* why) { return refuse(ErrorCode::stream_truncated, why); }
Error not_for_us(const char* why) { return refuse(ErrorCode::not_sealed, why); }
Error over() { return refuse(ErrorCode::wrong_state, "this sealed stream has ended"); }

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void append_16(Bytes& out, std::size_t number) {
    out.push_back(static_cast<std::uint8_t>(number >> 8));
    out.push_back(static_cast<std::uint8_t>(number));
}
std::uint16_t read_16(ByteView bytes) {
    return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}

// max(Nn, Nk): size of the response nonce and of the exported secret (RFC 9458 §4.4).
std::size_t response_nonce_bytes(Aead aead) {
    return std::max(aead_nonce_bytes, aead_key_bytes(aead));
}

Bytes request_header(std::uint8_t key_id, Aead aead) {
    Bytes header{key_id};
    append_16(header, hpke::kem_x25519_hkdf_sha256);
    append_16(header, hpke::kdf_hkdf_sha256);
    append_16(header, static_cast<std::uint16_t>(aead));
    return header;
}

// RFC 9458 §4.3, with our associated bytes after it: the part before has one fixed length, so two
// different (header, associated) pairs never give the same info.
Bytes hpke_info(std::string_view label, ByteView header, ByteView associated) {
    Bytes info;
    info.reserve(label.size() + 1 + header.size() + associated.size());
    append(info, as_bytes(label));
    info.push_back(0);
    append(info, header);
    append(info, associated);
    return info;
}

struct ClientSide {
    Aead aead{};
    Bytes prefix;  // header and encapsulated key: how every request begins
    PublicKey encapsulated_key{};
    Secret response_secret;
    hpke::Context context;
};

Result<ClientSide> start_client(const KeyConfig& config, const ClientOptions& options,
                                const Labels& labels) {
    const std::optional<Aead> aead = options.aead ? options.aead : config.preferred();
    if (!aead || !config.offers(*aead))
        return not_for_us("the key configuration offers no algorithms that we have");
    Bytes prefix = request_header(config.key_id, *aead);
    const Bytes info = hpke_info(labels.request, prefix, options.associated);
    hpke::SenderOptions setup;
    setup.info = info;
    setup.ephemeral = options.ephemeral;
    Result<hpke::Sender> sender = hpke::setup_sender(*aead, config.public_key, setup);
    if (!sender) return sender.error();
    append(prefix, sender->encapsulated_key);
    Result<Secret> secret =
        sender->context.export_secret(as_bytes(labels.response), response_nonce_bytes(*aead));
    if (!secret) return secret.error();
    return ClientSide{*aead, std::move(prefix), sender->encapsulated_key, std::move(*secret),
                      std::move(sender->context)};
}

struct GatewaySide {
    Aead aead{};
    PublicKey encapsulated_key{};
    Secret response_secret;
    hpke::Context context;
};

// Which of the offered algorithms the 7 bytes name, or nothing.
std::optional<Aead> named_aead(ByteView header, const KeyConfig& config) {
    if (header[0] != config.key_id || read_16(header.subspan(1)) != hpke::kem_x25519_hkdf_sha256 ||
        read_16(header.subspan(3)) != hpke::kdf_hkdf_sha256)
        return std::nullopt;
    const std::optional<Aead> aead = find_aead(read_16(header.subspan(5)));
    if (!aead || !config.offers(*aead)) return std::nullopt;
    return aead;
}

// REQUIRES: prefix.size() >= header_bytes.
Result<GatewaySide> start_gateway(std::span<const GatewayKey> keys, ByteView prefix,
                                  ByteView associated, const Labels& labels) {
    const ByteView header = prefix.first(request_header_bytes);
    const ByteView enc = prefix.subspan(request_header_bytes, hpke::encapsulated_key_bytes);
    for (const GatewayKey& key : keys) {
        const std::optional<Aead> aead = named_aead(header, key.config);
        if (!aead) continue;
        const Bytes info = hpke_info(labels.request, header, associated);
        hpke::ReceiverOptions setup;
        setup.info = info;
        Result<hpke::Context> context = hpke::setup_receiver(*aead, key.key, enc, setup);
        if (!context) return context.error();
        Result<Secret> secret =
            context->export_secret(as_bytes(labels.response), response_nonce_bytes(*aead));
        if (!secret) return secret.error();
        PublicKey encapsulated_key{};
        std::copy(enc.begin(), enc.end(), encapsulated_key.begin());
        return GatewaySide{*aead, encapsulated_key, std::move(*secret), std::move(*context)};
    }
    return not_for_us("the message names no key and algorithms of this gateway");
}

Result<Bytes> make_response_nonce(Aead aead, ByteView given) {
    const std::size_t size = response_nonce_bytes(aead);
    if (given.empty()) return random_bytes(size);
    if (given.size() != size) return does_not_open("a response nonce of the wrong size was given");
    return Bytes{given.begin(), given.end()};
}

// A stream's plaintext as sealed chunks. Cipher: hpke::Context or ResponseCipher.
template <class Cipher>
Result<void> append_chunk(Cipher& cipher, Bytes& out, ByteView plaintext, bool final) {
    append_varint(out, final ? 0 : plaintext.size() + aead_tag_bytes);
    return cipher.seal_to(out, final ? as_bytes(final_aad) : ByteView{}, plaintext);
}

// Every full piece becomes a chunk; with `finish` the last one, which may be empty, is the final
// chunk.
template <class Cipher>
Result<Bytes> seal_pieces(Cipher& cipher, Bytes& prefix, ByteView plaintext, bool finish) {
    Bytes out;
    if (plaintext.empty() && !finish) return out;
    const std::size_t chunks = plaintext.size() / sealed_chunk_bytes_default + 1;
    out.reserve(prefix.size() + plaintext.size() + chunks * (aead_tag_bytes + 4));
    append(out, prefix);
    prefix.clear();
    while (plaintext.size() > sealed_chunk_bytes_default || (!finish && !plaintext.empty())) {
        const ByteView piece =
            plaintext.first(std::min(plaintext.size(), sealed_chunk_bytes_default));
        if (const auto sealed = append_chunk(cipher, out, piece, false); !sealed)
            return sealed.error();
        plaintext = plaintext.subspan(piece.size());
    }
    if (finish)
        if (const auto sealed = append_chunk(cipher, out, plaintext, true); !sealed)
            return sealed.error();
    return out;
}

// All whole chunks that have arrived.
template <class Cipher>
Result<Bytes> open_pieces(Cipher& cipher, ChunkFraming& framing) {
    Bytes out;
    while (true) {
        const Result<std::optional<ByteView>> chunk = framing.next();
        if (!chunk) return chunk.error();
        if (!*chunk) return out;
        const std::size_t before = out.size();
        if (const auto opened = cipher.open_to(out, {}, **chunk); !opened) return opened.error();
        if (const auto fits = framing.account(out.size() - before); !fits) return fits.error();
    }
}

template <class Cipher>
Result<Bytes> open_final(Cipher& cipher, ChunkFraming& framing) {
    const Result<ByteView> chunk = framing.last();
    if (!chunk) return chunk.error();
    Bytes out;
    // Its length is where the stream ended, so a final chunk that does not open was most likely
    // cut.
    if (!cipher.open_to(out, as_bytes(final_aad), *chunk))
        return truncated("the final chunk is cut short or was altered");
    if (const auto fits = framing.account(out.size()); !fits) return fits.error();
    return out;
}

}  // namespace

// ---- Key configurations -------------------------------------------------------------------------

bool KeyConfig::offers(Aead aead) const {
    if (aead == Aead::export_only) return false;
    const Algorithms wanted{hpke::kdf_hkdf_sha256, static_cast<std::uint16_t>(aead)};
    return std::find(algorithms.begin(), algorithms.end(), wanted) != algorithms.end();
}

std::optional<Aead> KeyConfig::preferred() const {
    for (const Algorithms& offer : algorithms)
        if (const std::optional<Aead> aead = find_aead(offer.aead);
            aead && offer.kdf == hpke::kdf_hkdf_sha256 && *aead != Aead::export_only)
            return aead;
    return std::nullopt;
}

KeyConfig make_key_config(std::uint8_t key_id, const PublicKey& public_key) {
    KeyConfig config{key_id, public_key, {}};
    for (const Aead aead : {Aead::aes_128_gcm, Aead::aes_256_gcm, Aead::chacha20_poly1305})
        config.algorithms.push_back({hpke::kdf_hkdf_sha256, static_cast<std::uint16_t>(aead)});
    return config;
}

Bytes encode(const KeyConfig& config) {
    Bytes out{config.key_id};
    append_16(out, hpke::kem_x25519_hkdf_sha256);
    append(out, config.public_key);
    append_16(out, config.algorithms.size() * 4);
    for (const Algorithms& offer : config.algorithms) {
        append_16(out, offer.kdf);
        append_16(out, offer.aead);
    }
    return out;
}

Result<KeyConfig> parse_key_config(ByteView bytes) {
    const auto refused = [](const char* why) { return refuse(ErrorCode::malformed_request, why); };
    constexpr std::size_t fixed_bytes = 1 + 2 + 32 + 2;
    if (bytes.size() < 3) return refused("the key configuration is cut short");
    if (read_16(bytes.subspan(1)) != hpke::kem_x25519_hkdf_sha256)
        return refused("the key configuration's KEM is not X25519");
    if (bytes.size() < fixed_bytes) return refused("the key configuration is cut short");
    KeyConfig config;
    config.key_id = bytes[0];
    std::copy_n(bytes.begin() + 3, 32, config.public_key.begin());
    const std::size_t length = read_16(bytes.subspan(35));
    const ByteView offers = bytes.subspan(fixed_bytes);
    if (length != offers.size())
        return refused("the key configuration's algorithms do not fit its length");
    if (length == 0 || length % 4 != 0)
        return refused("the key configuration's algorithms are not pairs of two-byte ids");
    for (std::size_t at = 0; at < length; at += 4)
        config.algorithms.push_back({read_16(offers.subspan(at)), read_16(offers.subspan(at + 2))});
    return config;
}

Bytes encode_key_list(std::span<const KeyConfig> configs) {
    Bytes out;
    for (const KeyConfig& config : configs) {
        const Bytes encoded = encode(config);
        append_16(out, encoded.size());
        append(out, encoded);
    }
    return out;
}

Result<std::vector<KeyConfig>> parse_key_list(ByteView bytes) {
    std::vector<KeyConfig> configs;
    while (!bytes.empty()) {
        if (bytes.size() < 2 || bytes.size() - 2 < read_16(bytes))
            return refuse(ErrorCode::malformed_request,
                          "a key configuration runs past the end of the list");
        const ByteView encoded = bytes.subspan(2, read_16(bytes));
        bytes = bytes.subspan(2 + encoded.size());
        // Of a KEM that we do not know, not even the key's size is known.
        if (encoded.size() >= 3 && read_16(encoded.subspan(1)) != hpke::kem_x25519_hkdf_sha256)
            continue;
        Result<KeyConfig> config = parse_key_config(encoded);
        if (!config) return config.error();
        configs.push_back(std::move(*config));
    }
    if (configs.empty())
        return refuse(ErrorCode::malformed_request,
                      "the list has no key configuration that we can use");
    return configs;
}

Result<void> looks_sealed(ByteView first_bytes, const KeyConfig& config) {
    if (first_bytes.size() < sealed_prefix_bytes_min)
        return not_for_us("the body is shorter than any sealed request");
    if (!named_aead(first_bytes, config))
        return not_for_us("the body does not begin like a request sealed to the node's key");
    return {};
}

// ---- Single messages ----------------------------------------------------------------------------

Result<ClientRequest> ClientRequest::seal(const KeyConfig& config, ByteView request,
                                          const ClientOptions& options) {
    Result<ClientSide> side = start_client(config, options, single_labels);
    if (!side) return side.error();
    ClientRequest made;
    made.sealed_ = std::move(side->prefix);
    made.aead_ = side->aead;
    made.encapsulated_key_ = side->encapsulated_key;
    made.response_secret_ = std::move(side->response_secret);
    if (const auto sealed = side->context.seal_to(made.sealed_, {}, request); !sealed)
        return sealed.error();
    return made;
}

Result<Bytes> ClientRequest::open_response(ByteView sealed_response) const {
    const std::size_t nonce_bytes = response_nonce_bytes(aead_);
    if (sealed_response.size() < nonce_bytes + aead_tag_bytes)
        return truncated("the sealed response is shorter than its nonce and tag");
    ResponseCipher cipher{aead_, response_secret_, encapsulated_key_,
                          sealed_response.first(nonce_bytes)};
    Bytes out;
    if (const auto opened = cipher.open_to(out, {}, sealed_response.subspan(nonce_bytes)); !opened)
        return opened.error();
    return out;
}

Result<GatewayRequest> GatewayRequest::open(std::span<const GatewayKey> keys,
                                            ByteView sealed_request, ByteView associated) {
    if (sealed_request.size() < header_bytes + aead_tag_bytes)
        return not_for_us("the message is shorter than any sealed request");
    Result<GatewaySide> side = start_gateway(keys, sealed_request, associated, single_labels);
    if (!side) return side.error();
    GatewayRequest made;
    made.aead_ = side->aead;
    made.encapsulated_key_ = side->encapsulated_key;
    made.response_secret_ = std::move(side->response_secret);
    const auto opened =
        side->context.open_to(made.request_, {}, sealed_request.subspan(header_bytes));
    if (!opened) return opened.error();
    return made;
}

Result<Bytes> GatewayRequest::seal_response(ByteView response, ByteView response_nonce) const {
    Result<Bytes> nonce = make_response_nonce(aead_, response_nonce);
    if (!nonce) return nonce;
    ResponseCipher cipher{aead_, response_secret_, encapsulated_key_, *nonce};
    Bytes out = std::move(*nonce);
    if (const auto sealed = cipher.seal_to(out, {}, response); !sealed) return sealed.error();
    return out;
}

// ---- Chunked messages: the parts both directions share ------------------------------------------

ResponseCipher::ResponseCipher(Aead aead, const Secret& secret, const PublicKey& encapsulated_key,
                               ByteView nonce) {
    Bytes salt{encapsulated_key.begin(), encapsulated_key.end()};
    append(salt, nonce);
    const Secret prk = hpke::hkdf_extract(salt, secret.view());
    cipher_.emplace(aead,
                    hpke::hkdf_expand(prk.view(), as_bytes("key"), aead_key_bytes(aead)).view());
    const Secret base = hpke::hkdf_expand(prk.view(), as_bytes("nonce"), aead_nonce_bytes);
    std::copy(base.view().begin(), base.view().end(), base_nonce_.begin());
}

std::array<std::uint8_t, aead_nonce_bytes> ResponseCipher::next_nonce() const {
    std::array<std::uint8_t, aead_nonce_bytes> nonce = base_nonce_;
    for (std::size_t i = 0; i < sizeof counter_; ++i)
        nonce[aead_nonce_bytes - 1 - i] ^= static_cast<std::uint8_t>(counter_ >> (8 * i));
    return nonce;
}

Result<void> ResponseCipher::seal_to(Bytes& out, ByteView aad, ByteView plaintext) {
    if (counter_ == UINT64_MAX)
        return refuse(ErrorCode::limit_reached, "the chunk counter is used up");
    cipher_->seal_to(out, next_nonce(), aad, plaintext);
    ++counter_;
    return {};
}

Result<void> ResponseCipher::open_to(Bytes& out, ByteView aad, ByteView ciphertext) {
    if (counter_ == UINT64_MAX)
        return refuse(ErrorCode::limit_reached, "the chunk counter is used up");
    if (!cipher_->open_to(out, next_nonce(), aad, ciphertext))
        return does_not_open("the sealed response does not open");
    ++counter_;
    return {};
}

void ChunkFraming::add(ByteView bytes) {
    // Used bytes go when they are most of the buffer, so each byte is moved a bounded number of
    // times.
    if (used_bytes_ > buffer_.size() / 2) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_bytes_));
        used_bytes_ = 0;
    }
    append(buffer_, bytes);
}

Result<std::optional<ByteView>> ChunkFraming::next() {
    const auto too_large = [] {
        return refuse(ErrorCode::body_too_large, "a sealed chunk is over the limit");
    };
    const std::size_t sealed_bytes_max = limits_.chunk_bytes_max + aead_tag_bytes;
    if (!in_final_) {
        const std::optional<Varint> length = read_varint(rest());
        if (!length) return std::optional<ByteView>{};
        if (length->value == 0) {
            use(length->size);
            in_final_ = true;
        } else {
            if (length->value > sealed_bytes_max) return too_large();
            if (length->value <= aead_tag_bytes)
                return does_not_open("a chunk that is not the final one is empty");
            const ByteView chunk = rest().subspan(length->size);
            if (chunk.size() < length->value) return std::optional<ByteView>{};
            use(length->size + length->value);
            return std::optional<ByteView>{chunk.first(length->value)};
        }
    }
    if (rest().size() > sealed_bytes_max) return too_large();
    return std::optional<ByteView>{};
}

Result<ByteView> ChunkFraming::last() const {
    if (!in_final_) return truncated("the sealed stream ended before its final chunk");
    if (rest().size() < aead_tag_bytes) return truncated("the final chunk is cut short");
    return rest();
}

Result<void> ChunkFraming::account(std::size_t plaintext_bytes) {
    if (plaintext_bytes > limits_.total_bytes_max - total_bytes_)
        return refuse(ErrorCode::body_too_large, "the sealed stream is over the limit");
    total_bytes_ += plaintext_bytes;
    return {};
}

// ---- Chunked messages: client -------------------------------------------------------------------

Result<ChunkedRequestSealer> ChunkedRequestSealer::start(const KeyConfig& config,
                                                         const ClientOptions& options) {
    Result<ClientSide> side = start_client(config, options, chunked_labels);
    if (!side) return side.error();
    ChunkedRequestSealer made;
    made.prefix_ = std::move(side->prefix);
    made.aead_ = side->aead;
    made.encapsulated_key_ = side->encapsulated_key;
    made.response_secret_ = std::move(side->response_secret);
    made.context_.emplace(std::move(side->context));
    return made;
}

Result<Bytes> ChunkedRequestSealer::seal(ByteView plaintext) {
    if (finished_) return over();
    return seal_pieces(*context_, prefix_, plaintext, false);
}

Result<Bytes> ChunkedRequestSealer::finish(ByteView last_plaintext) {
    if (finished_) return over();
    finished_ = true;
    return seal_pieces(*context_, prefix_, last_plaintext, true);
}

ChunkedResponseOpener ChunkedRequestSealer::response_opener(StreamLimits limits) const {
    ChunkedResponseOpener opener{limits};
    opener.aead_ = aead_;
    opener.encapsulated_key_ = encapsulated_key_;
    opener.response_secret_ = response_secret_.copy();
    return opener;
}

Result<bool> ChunkedResponseOpener::begin() {
    if (cipher_) return true;
    const std::size_t nonce_bytes = response_nonce_bytes(aead_);
    if (framing_.rest().size() < nonce_bytes) return false;
    cipher_.emplace(aead_, response_secret_, encapsulated_key_, framing_.rest().first(nonce_bytes));
    framing_.use(nonce_bytes);
    return true;
}

Result<Bytes> ChunkedResponseOpener::feed_checked(ByteView sealed) {
    framing_.add(sealed);
    const Result<bool> ready = begin();
    if (!ready) return ready.error();
    if (!*ready) return Bytes{};
    return open_pieces(*cipher_, framing_);
}

Result<Bytes> ChunkedResponseOpener::feed(ByteView sealed) {
    if (failed_) return *failed_;
    if (finished_) return over();
    Result<Bytes> out = feed_checked(sealed);
    if (!out) failed_ = out.error();
    return out;
}

Result<Bytes> ChunkedResponseOpener::finish() {
    if (failed_) return *failed_;
    if (finished_) return over();
    Result<Bytes> out =
        cipher_ ? open_final(*cipher_, framing_)
                : Result<Bytes>{truncated("the sealed response ended within its nonce")};
    if (!out) failed_ = out.error();
    finished_ = true;
    return out;
}

// ---- Chunked messages: gateway ------------------------------------------------------------------

ChunkedRequestOpener::ChunkedRequestOpener(std::vector<GatewayKey> keys, Bytes associated,
                                           StreamLimits limits)
    : keys_{std::move(keys)}, associated_{std::move(associated)}, framing_{limits} {}

Result<bool> ChunkedRequestOpener::begin() {
    if (context_) return true;
    if (framing_.rest().size() < header_bytes) return false;
    Result<GatewaySide> side = start_gateway(keys_, framing_.rest(), associated_, chunked_labels);
    if (!side) return side.error();
    aead_ = side->aead;
    encapsulated_key_ = side->encapsulated_key;
    response_secret_ = std::move(side->response_secret);
    context_.emplace(std::move(side->context));
    framing_.use(header_bytes);
    return true;
}

Result<Bytes> ChunkedRequestOpener::feed_checked(ByteView sealed) {
    framing_.add(sealed);
    const Result<bool> ready = begin();
    if (!ready) return ready.error();
    if (!*ready) return Bytes{};
    return open_pieces(*context_, framing_);
}

Result<Bytes> ChunkedRequestOpener::feed(ByteView sealed) {
    if (failed_) return *failed_;
    if (finished_) return over();
    Result<Bytes> out = feed_checked(sealed);
    if (!out) failed_ = out.error();
    return out;
}

Result<Bytes> ChunkedRequestOpener::finish() {
    if (failed_) return *failed_;
    if (finished_) return over();
    Result<Bytes> out =
        context_ ? open_final(*context_, framing_)
                 : Result<Bytes>{truncated("the sealed request ended within its header")};
    if (!out) failed_ = out.error();
    finished_ = true;
    return out;
}

Result<ChunkedResponseSealer> ChunkedRequestOpener::response_sealer(ByteView response_nonce) const {
    if (!context_) return refuse(ErrorCode::wrong_state, "the request's header has not been read");
    Result<Bytes> nonce = make_response_nonce(aead_, response_nonce);
    if (!nonce) return nonce.error();
    ChunkedResponseSealer sealer;
    sealer.cipher_.emplace(aead_, response_secret_, *encapsulated_key_, *nonce);
    sealer.prefix_ = std::move(*nonce);
    return sealer;
}

Result<Bytes> ChunkedResponseSealer::seal(ByteView plaintext) {
    if (finished_) return over();
    return seal_pieces(*cipher_, prefix_, plaintext, false);
}

Result<Bytes> ChunkedResponseSealer::finish(ByteView last_plaintext) {
    if (finished_) return over();
    finished_ = true;
    return seal_pieces(*cipher_, prefix_, last_plaintext, true);
}

}  // namespace cocoon::sealing::ohttp
