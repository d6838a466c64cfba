// Collateral that was fetched, kept across restarts: so that a restart asks no vendor, and a vendor
// that is down then is no outage. Its own short statements on the pool. Called at start and by the
// workers that fetch (server/collateral_cache.hpp); any thread. Knows no format and no vendor: what
// is kept is as unverified as what was served.
#pragma once

#include <string>
#include <vector>

#include "core/encoding.hpp"
#include "core/time.hpp"
#include "db/pool.hpp"

namespace cocoon::db {

// One thing that a vendor serves, unverified.
struct CollateralPiece {
    std::string body;          // what is signed, or the whole of it
    Bytes signature;           // where it is served beside the body
    std::string issuer_chain;  // PEM; likewise
    Instant issued;            // zero if it has no such date
    Instant ends;
    bool operator==(const CollateralPiece&) const = default;
};

struct KeptCollateral {
    std::string name;  // of the service and of what it was asked for
    CollateralPiece piece;
    Instant fetched_at, fresh_until;
    bool operator==(const KeptCollateral&) const = default;
};

class CollateralPieces {
public:
    explicit CollateralPieces(Pool& pool) : pool_{pool} {}

    // The newest `rows_max` that end after `ends_after`, oldest fetch first; the others are
    // deleted. Throws Failure, as all of these.
    std::vector<KeptCollateral> load(Instant ends_after, std::size_t rows_max);
    // In the place of what was fetched earlier under that name.
    void keep(const KeptCollateral& kept);
    void forget(const std::vector<std::string>& names);

private:
    Pool& pool_;
};

}  // namespace cocoon::db
