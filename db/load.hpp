// From tables to the market's state and from the journal to batches: what a restart, a projector
// that fell behind and the replay tool share. Used only inside db/. The caller owns the
// transaction.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "db/connection.hpp"
#include "matching/state.hpp"

namespace cocoon::db {

// The entries after `after`, at most `entries_max`, ascending.
std::vector<matching::Entry> read_entries(Connection& connection, std::uint64_t after,
                                          std::size_t entries_max);
std::uint64_t journal_sequence(Connection& connection);
std::uint64_t projection_sequence(Connection& connection);

// The last sequence before the first entry at or after `at`; instants ascend with sequences up to
// `last`.
std::uint64_t sequence_before(Connection& connection, Instant at, std::uint64_t last);

// The state as the projections have it, at their cursor. REQUIRES: one snapshot.
std::unique_ptr<matching::State> restore_state(Connection& connection);

// Applies the next entries (at most `entries_max`, none behind `no_further_than`) to `state` and
// returns them as the batch that the lane would have handed over. Empty at the end.
matching::Batch replay_next(Connection& connection, matching::State& state, std::size_t entries_max,
                            std::uint64_t no_further_than = UINT64_MAX);

struct StoredHash {
    std::uint64_t sequence = 0;
    matching::StateHash hash;
};
std::optional<StoredHash> read_state_hash(Connection& connection);

}  // namespace cocoon::db
