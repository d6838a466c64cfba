// Everything the API makes from chance or keeps unforgeable with a server secret: key secrets,
// deposit memos, page cursors, evidence challenges. Pure functions of the call's entropy and the
// context's secret; any thread. Nothing made here is ever logged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/context.hpp"
#include "api/http.hpp"
#include "core/result.hpp"
#include "matching/types.hpp"

namespace cocoon::api {

// HMAC-SHA-256 (RFC 2104), 32 raw bytes.
std::string mac(std::string_view key, std::string_view message);

// A fresh secret of this call, another for each label.
struct FreshSecret {
    std::string text;         // prefix and 43 base64url characters
    matching::Digest hash{};  // SHA-256 of the whole text
    std::string shown;        // its first ten characters
};
FreshSecret fresh_secret(const Call& call, std::string_view prefix, std::string_view label);
// "cm-" and 16 letters and digits that people do not mix up (80 bits).
std::string fresh_memo(const Call& call);
std::string fresh_webhook_secret(const Call& call);

// ---- Cursors: where a page ended ---------------------------------------------------------------
struct Position {
    std::uint64_t major = 0;
    std::uint32_t minor = 0;
    bool operator==(const Position&) const = default;
};
// Sealed with the secret (positions may be internal numbers) and bound to the account, the route's
// pattern and the filter, so that a cursor is worth nothing elsewhere. Deterministic: the MAC of
// the position is also what its key stream is derived from (as in RFC 5297).
std::string make_cursor(const Context& context, AccountId account, std::string_view route,
                        std::string_view filter, Position position);
std::optional<Position> read_cursor(const Context& context, AccountId account,
                                    std::string_view route, std::string_view filter,
                                    std::string_view cursor);

// ---- Evidence challenges ------------------------------------------------------------------------
// 32 bytes as hex: expiry (microseconds), this process's tag, chance, and a truncated MAC over them
// and the node. Nothing is stored when one is issued; what was used is kept by challenges.hpp.
struct Challenge {
    std::string nonce;
    Instant expires_at;
};
Challenge make_challenge(const Context& context, const Call& call, NodeId node);
// What a challenge says of itself.
struct OwnChallenge {
    Instant issued_at, expires_at;
    bool of_this_process = false;
};
// Nothing unless this market made the nonce for that node.
std::optional<OwnChallenge> read_challenge(const Context& context, NodeId node,
                                           std::string_view nonce);

// ---- Wallet challenges --------------------------------------------------------------------------
// What a wallet signs to show that it is its owner's: 54 characters of expiry, this process's tag,
// chance, and a MAC. Nothing is stored when one is issued; used_once.hpp keeps what was used.
struct WalletChallenge {
    std::string payload;
    Instant expires_at;
};
WalletChallenge make_wallet_challenge(const Context& context, const Call& call);
// When the payload ends; nothing unless this process made it.
std::optional<Instant> read_wallet_challenge(const Context& context, std::string_view payload);

}  // namespace cocoon::api
