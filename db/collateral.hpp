// The memory of the newest collateral (attestation/collateral_seen.hpp), kept across restarts. Its
// own short transactions on the pool. Called at start and whenever evidence shows something newer,
// by server/evidence_policy.hpp; any thread. Knows no policy and no evidence.
#pragma once

#include "attestation/collateral_seen.hpp"
#include "db/pool.hpp"

namespace cocoon::db {

class CollateralMemory {
public:
    explicit CollateralMemory(Pool& pool) : pool_{pool} {}

    // All zero for a new market. Throws Failure, also for rows that this program does not know.
    attestation::CollateralSeen load();
    // Each value becomes the larger of what is stored and what is given, whoever else writes at the
    // same time.
    void raise(const attestation::CollateralSeen& seen);

private:
    Pool& pool_;
};

}  // namespace cocoon::db
