// A transfer to the market's wallet that nobody could be credited with: its memo is unknown, or it
// is too small. It waits until an operator says whose it is. Numbered by the books, not by the
// journal: the market's state does not know of it before it is credited.
#pragma once

#include <string>

#include "core/ids.hpp"
#include "core/money.hpp"

namespace cocoon::settlement {

struct HoldTag {
    static constexpr std::string_view prefix = "hold_";
};
using HoldId = Id<HoldTag>;

struct HeldTransfer {
    std::string reference;  // the chain's own identity of it, credited once
    Nano amount;
};

}  // namespace cocoon::settlement
