// How often somebody may try to sign in: a few wrong attempts in a row are free, then each costs a
// longer wait. Counted by what was typed as the account, existing or not, and by the address it
// came from. Called by the sign-in on worker threads; any thread. Memory of this process: a restart
// forgets, and no stranger can cause one. Must not know accounts or passwords.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "core/sign_in_limits.hpp"
#include "core/result.hpp"
#include "core/time.hpp"

namespace cocoon::api {

struct LoginLimits {
    int account_attempts_free = limits::login_attempts_free;
    int address_attempts_free = limits::login_attempts_free_address;
    std::size_t subjects_max = limits::login_subjects_max;
};

class LoginGuard {
public:
    explicit LoginGuard(LoginLimits limits = {}) : limits_{limits} {}

    // `address`: its bucket (Call::address_bucket). Before an attempt is looked at: it counts as
    // failed until forgive(), so that many at once cannot slip through while each waits for its
    // hash. login_locked with the time to wait.
    Result<void> begin(std::string_view account, std::uint64_t address, Instant now);
    // The attempt was right. The account's failures are forgotten; of the address only this one is
    // taken back, or whoever has an account of their own could guess at others for ever.
    void forgive(std::string_view account, std::uint64_t address);

private:
    struct Subject {
        int failures = 0;
        Instant last, open_at;
    };
    Subject& of(const std::string& name, Instant now);
    std::string account_at(std::string_view account, std::uint64_t address) const;
    Instant open_at(const std::string& name) const;

    const LoginLimits limits_;
    std::mutex mutex_;
    std::unordered_map<std::string, Subject> subjects_;
    Subject rest_;                           // of all that found no room
    std::unordered_set<std::string> known_;  // account and address that were right once
};

}  // namespace cocoon::api
