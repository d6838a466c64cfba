// The matching decision by brute force: looks at every offer. The book must always agree with it
// (differential tests, invariants, and anyone who wants to verify the market's rule). Pure.
#pragma once

#include "matching/state.hpp"

namespace cocoon::matching {

struct Choice {
    const OfferRecord* offer = nullptr;  // nullptr: none is eligible
    std::size_t alternative = 0;
    Rank rank;
};

Choice choose_naive(const State& state, const Request& request, Instant at);
// The same from the book, as the engine does it.
Choice choose(const State& state, const Request& request, Instant at);

// Why a request does or does not match, over at most limits::explain_offers_max offers.
Explanation explain(const State& state, const Request& request, Instant at);

}  // namespace cocoon::matching
