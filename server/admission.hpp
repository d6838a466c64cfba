// Who is calling, and whether they may call so often: the first thing a request meets, on the I/O
// thread, from memory alone. Knows headers and the directory; whether the route allows the caller
// is api's question (authorize).
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/http.hpp"
#include "net/http.hpp"
#include "server/directory.hpp"
#include "server/rate.hpp"

namespace cocoon::server {

struct AdmissionOptions {
    RatePolicy per_key{60'000};
    RatePolicy per_address{6'000};      // calls without a key
    RatePolicy failed_credentials{30};  // per address
    RatePolicy sign_ups{30, hours(1)};  // per address
    RatePolicy sign_ups_of_all{3'000, hours(1)};
    RatePolicy sign_ins{360, hours(1)};        // with a credential: per account
    std::vector<std::string> proxy_addresses;  // whose X-Forwarded-For is believed
    std::string own_origin;                    // of our pages, "https://market.example"
    std::string session_cookie;                // its name
};

struct Admitted {
    api::Principal principal;  // without account: no credential was presented
    // unauthenticated, key_expired, key_revoked, account_frozen, rate_limited
    std::optional<Error> refused;
    RateAnswer rate;
    std::string_view policy_name;  // "key" or "address"
    RatePolicy policy;
    // A session that was used in the second half of its quiet time: until when it should last now.
    // 0: nothing to do.
    Instant renew_until;
};

class Admission {
public:
    Admission(const Directory& directory, AdmissionOptions options);

    Admitted admit(const net::RequestHead& head, Instant now);
    // Whether a stranger from `address` may open an account now. An account stays for good, so they
    // are counted apart from calls. rate_limited, with the time to wait.
    std::optional<Error> sign_up(const std::string& address, Instant now);
    // Whether this account may sign in or set a sign-in now: each costs a hash, or a key for good.
    // rate_limited, with the time to wait.
    std::optional<Error> sign_in(AccountId account, Instant now);
    // The caller's address: the peer's, or what a trusted proxy says.
    std::string address_of(const net::RequestHead& head) const;

    // Whether a change that a browser may have been made to send comes from our own pages.
    bool from_own_pages(const net::RequestHead& head) const;

private:
    std::optional<Error> recognise(std::string_view authorization, Instant now,
                                   api::Principal& principal) const;
    void recognise_session(const net::RequestHead& head, Instant now, Admitted& admitted);

    const Directory& directory_;
    const AdmissionOptions options_;
    RateTable keys_, addresses_, failures_, sign_ups_, sign_ups_of_all_, sign_ins_;
    std::unordered_map<KeyId, Instant> renewing_;  // sessions, and when that was asked for
};

// RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10), and Retry-After when
// refused.
void add_rate_headers(const Admitted& admitted, net::Headers& headers);

}  // namespace cocoon::server
