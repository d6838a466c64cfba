// The matching decision: which offer a request gets. `choose` searches the book and is what the
// engine does; `choose_naive` looks at every offer, and both must always agree (differential tests,
// invariants, anyone who verifies the market's rule). Pure; any thread that owns the state.
#pragma once

#include "matching/state.hpp"

namespace cocoon::matching {

constexpr Nano unlimited{INT64_MAX};

struct Choice {
    const OfferRecord* offer = nullptr;  // nullptr: none is eligible
    std::size_t alternative = 0;
    Rank rank;
    // Only choose(): some level within the caps was too dear for the budget, and the least hold
    // that any such level needs. No offer that fits needs less, unless one was chosen.
    bool beyond_budget = false;
    Nano beyond_hold;
};

// `budget`: the most the hold may be, from the account's balance and the key's caps.
Choice choose_naive(const State& state, const Request& request, Instant at,
                    Nano budget = unlimited);
// The same from the book, as the engine does it.
Choice choose(const State& state, const Request& request, Instant at, Nano budget = unlimited);

// What the account and its key can bear as one more hold; negative: nothing, not even a free job.
// REQUIRES: both exist.
Nano budget_of(const State& state, AccountId account, KeyId key, Instant at);
Nano budget_of(const Account& account, const ApiKey& key, const ApiKey& purse, Instant at);

// Why a request does or does not match, over at most limits::explain_offers_max offers.
Explanation explain(const State& state, const Request& request, Instant at);

}  // namespace cocoon::matching
