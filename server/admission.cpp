#include "server/admission.hpp"

#include <algorithm>

#include "api/routes.hpp"
#include "api/session.hpp"
#include "server/own_pages.hpp"

namespace cocoon::server {
namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// A renewal whose commit was lost is asked for again.
constexpr Duration renewal_patience = seconds(30);
constexpr std::size_t renewals_max = 4'096;

void fill(api::Principal& principal, const Credential& credential, const AccountEntry& account) {
    principal.account = credential.account;
    principal.kind = account.kind;
    principal.key = credential.key;
    principal.node = credential.node;
    principal.scopes = credential.scopes;
}

std::int64_t seconds_up(Duration time) { return (time.us + 999'999) / 1'000'000; }

}  // namespace

Admission::Admission(const Directory& directory, AdmissionOptions options)
    : directory_{directory},
      options_{std::move(options)},
      keys_{options_.per_key},
      addresses_{options_.per_address},
      failures_{options_.failed_credentials},
      sign_ups_{options_.sign_ups},
      sign_ups_of_all_{options_.sign_ups_of_all},
      sign_ins_{options_.sign_ins} {}

std::optional<Error> Admission::sign_in(AccountId account, Instant now) {
    const RateAnswer answer = sign_ins_.take(account.value, now);
    if (answer.allowed) return std::nullopt;
    Error error = refuse(ErrorCode::rate_limited, "This account signs in too often.");
    error.retry_after_seconds = std::max<std::int64_t>(1, seconds_up(answer.retry_after));
    return error;
}

std::string Admission::address_of(const net::RequestHead& head) const {
    const auto& proxies = options_.proxy_addresses;
    if (std::find(proxies.begin(), proxies.end(), head.remote_address) == proxies.end())
        return head.remote_address;
    // The last entry is the one our own proxy added; those before it are the caller's own words.
    const auto all = head.headers.all("X-Forwarded-For");
    if (all.empty()) return head.remote_address;
    std::string_view last = all.back();
    if (const std::size_t comma = last.rfind(','); comma != std::string_view::npos)
        last.remove_prefix(comma + 1);
    last = trimmed(last);
    return last.empty() || last.size() > 64 ? head.remote_address : std::string{last};
}

std::optional<Error> Admission::recognise(std::string_view authorization, Instant now,
                                          api::Principal& principal) const {
    constexpr std::string_view scheme = "Bearer ";
    if (authorization.size() <= scheme.size() ||
        !net::same_ignoring_case(authorization.substr(0, scheme.size()), scheme)) {
        return refuse(ErrorCode::unauthenticated, "Authorization must be: Bearer <API key>");
    }
    const auto hash = api::credential_hash(trimmed(authorization.substr(scheme.size())));
    const Credential* credential = hash ? directory_.credential(*hash) : nullptr;
    if (credential == nullptr)
        return refuse(ErrorCode::unauthenticated, "this API key is not known");
    if (credential->revoked) return refuse(ErrorCode::key_revoked);
    if (credential->expires_at.us != 0 && credential->expires_at <= now)
        return refuse(ErrorCode::key_expired);
    const AccountEntry* account = directory_.account(credential->account);
    if (account == nullptr) return refuse(ErrorCode::unauthenticated, "this API key is not known");
    fill(principal, *credential, *account);
    return std::nullopt;
}

// A cookie that is no session, or not any more, is no credential and no failure: browsers send it
// with everything, public pages included.
void Admission::recognise_session(const net::RequestHead& head, Instant now, Admitted& admitted) {
    const auto hash = api::session_hash(cookie_of(head.headers, options_.session_cookie));
    const Credential* credential = hash ? directory_.credential(*hash) : nullptr;
    if (credential == nullptr || credential->ended(now)) return;
    const AccountEntry* account = directory_.account(credential->account);
    if (account == nullptr) return;
    const api::SessionLife life = api::session_life(account->kind);
    // However often it was renewed, and by whomever.
    if (credential->created_at + life.whole <= now) return;
    if (!may_be_own_pages(head, options_.own_origin)) return;
    fill(admitted.principal, *credential, *account);
    admitted.principal.session = true;
    const Instant end = api::session_end(account->kind, credential->created_at, now);
    if ((credential->expires_at - now) * 2 >= life.idle || end <= credential->expires_at) return;
    if (renewing_.size() >= renewals_max)
        std::erase_if(renewing_,
                      [now](const auto& entry) { return entry.second + renewal_patience <= now; });
    Instant& asked_at = renewing_[credential->key];
    if (asked_at + renewal_patience > now) return;
    asked_at = now;
    admitted.renew_until = end;
}

bool Admission::from_own_pages(const net::RequestHead& head) const {
    return server::from_own_pages(head, options_.own_origin);
}

Admitted Admission::admit(const net::RequestHead& head, Instant now) {
    Admitted admitted;
    const std::uint64_t address = address_bucket(address_of(head));
    const std::string* authorization = head.headers.find("Authorization");
    if (authorization != nullptr) {
        admitted.refused = recognise(*authorization, now, admitted.principal);
        // A right key always passes: behind one address others may be guessing, and 256 random bits
        // are not guessed. What is limited is the noise of wrong ones.
        if (admitted.refused && !failures_.take(address, now).allowed) {
            admitted.rate = failures_.look(address, now);
            admitted.policy = failures_.policy();
            admitted.policy_name = "failed-credentials";
            admitted.refused =
                refuse(ErrorCode::rate_limited, "too many wrong credentials from this address");
            return admitted;
        }
    } else {
        recognise_session(head, now, admitted);
    }
    if (admitted.principal.account) {
        admitted.rate = keys_.take(admitted.principal.key.value, now);
        admitted.policy = keys_.policy();
        admitted.policy_name = "key";
    } else {
        admitted.rate = addresses_.take(address, now);
        admitted.policy = addresses_.policy();
        admitted.policy_name = "address";
    }
    if (!admitted.rate.allowed) admitted.refused = refuse(ErrorCode::rate_limited);
    return admitted;
}

std::optional<Error> Admission::sign_up(const std::string& address, Instant now) {
    constexpr std::uint64_t all = 0;
    const RateAnswer own = sign_ups_.take(address_bucket(address), now);
    const RateAnswer answer = own.allowed ? sign_ups_of_all_.take(all, now) : own;
    if (answer.allowed) return std::nullopt;
    Error error =
        refuse(ErrorCode::rate_limited, own.allowed ? "too many new accounts; try again later"
                                                    : "too many new accounts from this address");
    error.retry_after_seconds = std::max<std::int64_t>(1, seconds_up(answer.retry_after));
    return error;
}

void add_rate_headers(const Admitted& admitted, net::Headers& headers) {
    const auto field = [&](const char* first, std::int64_t one, const char* second,
                           std::int64_t other) {
        std::string value;
        value.reserve(64);
        value.append("\"").append(admitted.policy_name).append("\"");
        value.append(first).append(std::to_string(one));
        return value.append(second).append(std::to_string(other));
    };
    headers.add("RateLimit-Policy",
                field(";q=", admitted.policy.limit, ";w=", admitted.policy.window.seconds()));
    headers.add("RateLimit",
                field(";r=", admitted.rate.remaining, ";t=", seconds_up(admitted.rate.reset)));
    if (!admitted.rate.allowed) {
        headers.add("Retry-After", std::to_string(std::max<std::int64_t>(
                                       1, seconds_up(admitted.rate.retry_after))));
    }
}

}  // namespace cocoon::server
