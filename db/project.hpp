// Writes what batches changed into the projection tables. Used only inside db/: by the projector,
// and by the replay tool in a scratch schema. Sets, not rows: a fixed number of statements whatever
// the number of batches. The caller owns the transaction.
#pragma once

#include <cstdint>
#include <span>

#include "db/connection.hpp"
#include "matching/journal.hpp"

namespace cocoon::db {

// Somebody else moved the projections' cursor.
class CursorMoved : public Failure {
public:
    CursorMoved() : Failure{"another projector has moved the cursor", "40001"} {}
};

struct Projected {
    std::uint64_t sequence = 0;  // the new cursor
    std::uint64_t rows = 0;
};

// REQUIRES: batches ascend and continue at `cursor`: none begins behind the entries before it, the
// first begins at or before `cursor` and ends after it. Entries up to `cursor` are skipped.
Projected project(Connection& connection, std::span<const matching::Batch* const> batches,
                  std::uint64_t cursor);

}  // namespace cocoon::db
