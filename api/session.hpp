// A session: an API key of its own that ends by itself, whose secret is in a cookie and nowhere
// else. What the sign-in (sessions.cpp), admission and renewal must agree on. Pure functions; any
// thread. Must not know how a person was recognised.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/time.hpp"
#include "matching/types.hpp"

namespace cocoon::api {

// Unlike any key's: neither is good in the place of the other.
constexpr std::string_view session_prefix = "cs_";

// SHA-256 of a session's secret; nothing if it has not the form of one.
std::optional<matching::Digest> session_hash(std::string_view secret);

// How long one lasts: without a request, and in all.
struct SessionLife {
    Duration idle, whole;
};
SessionLife session_life(matching::AccountKind kind);
// When it ends if nothing is heard from `now` on.
Instant session_end(matching::AccountKind kind, Instant opened_at, Instant now);

// Whether it is an account of those who run the market, or watch who does.
inline bool operates(matching::AccountKind kind) {
    return kind == matching::AccountKind::admin || kind == matching::AccountKind::auditor;
}
// What the pages may do for such an account: all but place work, which takes a key that is never in
// a browser.
matching::ScopeSet session_scopes(matching::AccountKind kind);

// `__Host-` lets no other host, path or plain connection set the cookie; without TLS browsers
// refuse that name, so the plain one is for loopback.
std::string_view session_cookie_name(bool secure);
// The value of Set-Cookie. An empty secret takes the cookie away.
std::string session_cookie(bool secure, std::string_view secret, Duration lifetime);

}  // namespace cocoon::api
