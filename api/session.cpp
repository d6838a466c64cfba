#include "api/session.hpp"

#include <algorithm>

#include "core/encoding.hpp"
#include "core/sign_in_limits.hpp"
#include "sealing/signing.hpp"

namespace cocoon::api {
namespace {

using matching::AccountKind;

constexpr std::size_t secret_letters = 43;

}  // namespace

std::optional<matching::Digest> session_hash(std::string_view secret) {
    if (secret.size() != session_prefix.size() + secret_letters ||
        !secret.starts_with(session_prefix) ||
        !from_base64url(secret.substr(session_prefix.size())))
        return std::nullopt;
    return sealing::sha256(as_bytes(secret));
}

SessionLife session_life(AccountKind kind) {
    if (operates(kind))
        return {seconds(limits::operator_session_idle_seconds),
                seconds(limits::operator_session_seconds)};
    return {seconds(limits::session_idle_seconds), seconds(limits::session_seconds)};
}

Instant session_end(AccountKind kind, Instant opened_at, Instant now) {
    const SessionLife life = session_life(kind);
    return std::min(now + life.idle, opened_at + life.whole);
}

matching::ScopeSet session_scopes(AccountKind kind) {
    using namespace matching;
    switch (kind) {
        case AccountKind::developer: return scope_read | scope_manage;
        case AccountKind::provider: return scope_read | scope_offer | scope_manage;
        case AccountKind::admin: return scope_read | scope_manage | scope_admin | scope_audit;
        case AccountKind::auditor: return scope_read | scope_audit;
        case AccountKind::house: return 0;
    }
    return 0;
}

std::string_view session_cookie_name(bool secure) { return secure ? "__Host-session" : "session"; }

std::string session_cookie(bool secure, std::string_view secret, Duration lifetime) {
    std::string cookie{session_cookie_name(secure)};
    cookie.append("=").append(secret).append("; Path=/; HttpOnly; SameSite=Strict; Max-Age=");
    cookie += std::to_string(secret.empty() ? 0 : lifetime.seconds());
    if (secure) cookie += "; Secure";
    return cookie;
}

}  // namespace cocoon::api
