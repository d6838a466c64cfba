// Everything the market knows, and the one function that changes it. The lane's Writer owns it; tests
// and the replay tool own theirs. It is only a cache of the journal: apply(all events) rebuilds it.
#pragma once

#include <unordered_map>

#include "matching/events.hpp"
#include "matching/journal.hpp"

namespace cocoon::matching {

// The answer that an idempotency key already got.
struct Remembered {
    Digest input_hash{};
    std::string answer;   // encode_reply()
    Instant at;
    COCOON_FIELDS(Remembered, input_hash, answer, at)
};

}  // namespace cocoon::matching
