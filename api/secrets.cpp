#include "api/secrets.hpp"

#include <openssl/hmac.h>

#include <stdexcept>

#include "api/routes.hpp"
#include "core/encoding.hpp"
#include "core/sign_in_limits.hpp"
#include "sealing/secret.hpp"
#include "sealing/signing.hpp"

namespace cocoon::api {
namespace {

constexpr std::size_t cursor_mac_bytes = 16;
constexpr std::size_t cursor_payload_bytes = 13;  // version, major, minor
constexpr char cursor_version = 1;
constexpr std::size_t challenge_head_bytes = 16;  // 8 of expiry, 4 of the process, 4 of chance
constexpr std::size_t challenge_tag_bytes = 4;
constexpr std::size_t wallet_head_bytes = 24;  // 8 of expiry, 4 of the process, 12 of chance
constexpr std::size_t wallet_mac_bytes = 16;

void put_big_endian(std::string& out, std::uint64_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
}

std::uint64_t big_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
    return value;
}

// Fields with their lengths, so that no two sets of fields give one message.
std::string framed(std::string_view purpose, std::initializer_list<std::string_view> fields) {
    std::string message{purpose};
    message += '\0';
    for (const std::string_view field : fields) {
        put_big_endian(message, field.size(), 8);
        message += field;
    }
    return message;
}

std::string chance(const Call& call, std::string_view label) {
    return mac(call.entropy, framed("cocoon-market/call-entropy/v1", {label}));
}

}  // namespace

std::string mac(std::string_view key, std::string_view message) {
    unsigned char digest[32];
    unsigned int size = 0;
    if (!HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
              reinterpret_cast<const unsigned char*>(message.data()), message.size(), digest,
              &size) ||
        size != sizeof digest)
        throw std::runtime_error{"HMAC-SHA-256 failed"};
    return {reinterpret_cast<const char*>(digest), sizeof digest};
}

FreshSecret fresh_secret(const Call& call, std::string_view prefix, std::string_view label) {
    FreshSecret secret;
    secret.text = std::string{prefix} + to_base64url(as_bytes(chance(call, label)));
    secret.hash = sealing::sha256(as_bytes(secret.text));
    secret.shown = secret.text.substr(0, 10);
    return secret;
}

std::string fresh_memo(const Call& call) {
    // 32: no l, o, 0, 1
    static constexpr std::string_view letters = "abcdefghijkmnpqrstuvwxyz23456789";
    const std::string bytes = chance(call, "deposit_memo");
    std::string memo = "cm-";
    for (std::size_t i = 0; i < 16; ++i) memo += letters[static_cast<unsigned char>(bytes[i]) & 31];
    return memo;
}

std::string fresh_webhook_secret(const Call& call) {
    return "whsec_" + to_base64(as_bytes(chance(call, "webhook_secret")));
}

std::optional<matching::Digest> credential_hash(std::string_view secret) {
    if (secret.size() != 46 || (!secret.starts_with("ck_") && !secret.starts_with("ce_")))
        return std::nullopt;
    if (!from_base64url(secret.substr(3))) return std::nullopt;
    return sealing::sha256(as_bytes(secret));
}

namespace {

// The position and the MAC over it and everything it is bound to.
std::string cursor_tag(const Context& context, AccountId account, std::string_view route,
                       std::string_view filter, std::string_view payload) {
    const std::string message =
        framed("cocoon-market/cursor/v1", {account.text(), route, filter, payload});
    return mac(context.secret, message).substr(0, cursor_mac_bytes);
}

std::string masked(const Context& context, std::string_view tag, std::string payload) {
    const std::string stream = mac(context.secret, framed("cocoon-market/cursor-stream/v1", {tag}));
    for (std::size_t i = 0; i < payload.size(); ++i)
        payload[i] = static_cast<char>(payload[i] ^ stream[i]);
    return payload;
}

}  // namespace

std::string make_cursor(const Context& context, AccountId account, std::string_view route,
                        std::string_view filter, Position position) {
    std::string payload(1, cursor_version);
    put_big_endian(payload, position.major, 8);
    put_big_endian(payload, position.minor, 4);
    const std::string tag = cursor_tag(context, account, route, filter, payload);
    return to_base64url(as_bytes(tag + masked(context, tag, payload)));
}

std::optional<Position> read_cursor(const Context& context, AccountId account,
                                    std::string_view route, std::string_view filter,
                                    std::string_view cursor) {
    if (cursor.size() > 64) return std::nullopt;
    const std::optional<Bytes> bytes = from_base64url(cursor);
    if (!bytes || bytes->size() != cursor_payload_bytes + cursor_mac_bytes) return std::nullopt;
    const std::string_view tag = as_text(*bytes).substr(0, cursor_mac_bytes);
    const std::string payload =
        masked(context, tag, std::string{as_text(*bytes).substr(cursor_mac_bytes)});
    const std::string expected = cursor_tag(context, account, route, filter, payload);
    if (!sealing::equal_in_constant_time(as_bytes(expected), as_bytes(tag))) return std::nullopt;
    if (payload.front() != cursor_version) return std::nullopt;
    const std::string_view all = payload;
    return Position{big_endian(all.substr(1, 8)),
                    static_cast<std::uint32_t>(big_endian(all.substr(9, 4)))};
}

Challenge make_challenge(const Context& context, const Call& call, NodeId node) {
    const Instant expires_at = call.at + context.challenge_lifetime;
    std::string head;
    put_big_endian(head, static_cast<std::uint64_t>(expires_at.us), 8);
    head += context.process_tag;
    head += chance(call, "challenge").substr(0, challenge_head_bytes - head.size());
    const std::string message = framed("cocoon-market/challenge/v2", {node.text(), head});
    head += mac(context.secret, message).substr(0, 32 - challenge_head_bytes);
    return {to_hex(as_bytes(head)), expires_at};
}

std::optional<OwnChallenge> read_challenge(const Context& context, NodeId node,
                                           std::string_view nonce) {
    const std::optional<Bytes> bytes = from_hex(nonce);
    if (!bytes || bytes->size() != 32) return std::nullopt;
    const std::string_view all = as_text(*bytes);
    const std::string_view head = all.substr(0, challenge_head_bytes);
    const std::string message = framed("cocoon-market/challenge/v2", {node.text(), head});
    const std::string expected = mac(context.secret, message).substr(0, 32 - challenge_head_bytes);
    if (!sealing::equal_in_constant_time(as_bytes(expected),
                                         as_bytes(all.substr(challenge_head_bytes))))
        return std::nullopt;
    const Instant expires_at{static_cast<std::int64_t>(big_endian(head.substr(0, 8)))};
    return OwnChallenge{expires_at - context.challenge_lifetime, expires_at,
                        head.substr(8, challenge_tag_bytes) == context.process_tag};
}

namespace {

std::string wallet_mac(const Context& context, std::string_view head) {
    return mac(context.secret, framed("cocoon-market/wallet-challenge/v1", {head}))
        .substr(0, wallet_mac_bytes);
}

}  // namespace

WalletChallenge make_wallet_challenge(const Context& context, const Call& call) {
    const Instant expires_at = call.at + seconds(limits::wallet_challenge_seconds);
    std::string head;
    put_big_endian(head, static_cast<std::uint64_t>(expires_at.us), 8);
    head += context.process_tag;
    head += chance(call, "wallet_challenge").substr(0, wallet_head_bytes - head.size());
    return {to_base64url(as_bytes(head + wallet_mac(context, head))), expires_at};
}

std::optional<Instant> read_wallet_challenge(const Context& context, std::string_view payload) {
    const std::optional<Bytes> bytes = from_base64url(payload);
    if (!bytes || bytes->size() != wallet_head_bytes + wallet_mac_bytes) return std::nullopt;
    const std::string_view head = as_text(*bytes).substr(0, wallet_head_bytes);
    const std::string_view tag = as_text(*bytes).substr(wallet_head_bytes);
    if (!sealing::equal_in_constant_time(as_bytes(wallet_mac(context, head)), as_bytes(tag)))
        return std::nullopt;
    if (head.substr(8, challenge_tag_bytes) != context.process_tag) return std::nullopt;
    return Instant{static_cast<std::int64_t>(big_endian(head.substr(0, 8)))};
}

}  // namespace cocoon::api
