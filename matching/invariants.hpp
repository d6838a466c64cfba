// What must be true of every state, checked from the entities alone. For the simulator after each
// step, for tests, and for `cocoon-market check`. Any thread that owns the state.
#pragma once

#include <string>
#include <vector>

#include "matching/state.hpp"

namespace cocoon::matching {

struct CheckOptions {
    bool unmatched =
        true;  // also that no affordable resting request is left beside an offer that fits
};

// Each violation as one line; empty: all holds. `at`: the instant of the newest command.
std::vector<std::string> check(const State& state, Instant at, CheckOptions options = {});

}  // namespace cocoon::matching
