// The bounds of the sign-in: 401 login_refused, 429 login_locked, 503 overloaded. Part of the list in
// limits.hpp, apart from it because few files need these and every file includes that one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cocoon::limits {

constexpr std::int64_t session_seconds = 7 * 86'400;       // then a person signs in again
constexpr std::int64_t session_idle_seconds = 12 * 3'600;  // without a request
constexpr std::int64_t operator_session_seconds = 43'200;  // admins and auditors
constexpr std::int64_t operator_session_idle_seconds = 1'800;
constexpr std::size_t sessions_per_account_max = 8;  // one more, and the oldest ends
constexpr std::size_t password_bytes_min = 12;
constexpr std::size_t password_bytes_max = 256;
constexpr int login_attempts_free = 5;           // of one account in a row, before the first wait
constexpr int login_attempts_free_address = 20;  // of one address: people share them
constexpr std::int64_t login_wait_seconds_first = 15;  // then twice as long each time
constexpr std::int64_t login_wait_seconds_max = 900;
constexpr std::int64_t login_memory_seconds = 86'400;  // quiet so long: nothing is held against it
constexpr std::size_t login_subjects_max = 100'000;    // the rest share one
constexpr std::size_t sign_ins_waiting_max = 64;
constexpr std::int64_t wallet_challenge_seconds = 300;
constexpr std::size_t wallet_challenges_used_max = 100'000;

}  // namespace cocoon::limits
