// What the operator may set and the engine obeys: bounds of work, memory and money, none of them
// part of the state. A journal written under other rules replays the same. Made by the server from
// its settings, by tests as they like; plain values.
#pragma once

#include <cstddef>

#include "core/limits.hpp"
#include "core/money.hpp"

namespace cocoon::matching {

struct Rules {
    // Resting requests that one command, one Tick, looks at. What is left waits for the next Tick.
    std::size_t resting_requests_per_command_max = limits::resting_requests_per_command_max;
    std::size_t resting_requests_per_tick_max = limits::resting_requests_per_tick_max;
    // Answers remembered for their idempotency keys, of one account and of all: beyond that, keyed
    // commands are refused (idempotency_memory_full), never executed without being remembered.
    std::size_t remembered_per_account_max = limits::remembered_per_account_max;
    std::size_t remembered_bytes_per_account_max = limits::remembered_bytes_per_account_max;
    std::size_t remembered_max = limits::remembered_max;
    std::size_t remembered_bytes_max = limits::remembered_bytes_max;
    // A payout below it would cost the chain's fee many times over.
    Nano payout_min{limits::payout_nano_min};
    std::size_t open_payouts_per_account_max = limits::open_payouts_per_account_max;
    // A payout of this much or more waits for two admins; 0: none does.
    Nano payout_approval_min;
};

}  // namespace cocoon::matching
