// Collateral that was fetched, by name, for as long as it is valid. Fresh until half of its life;
// then the next use fetches it anew, and the old one is served while that fails. One fetch at a
// time for each name: who needs it meanwhile waits, or takes the old one. Bounded; what was not
// used for longest goes first. What it holds it also puts on a shelf that outlives the process. Any
// worker thread; get() blocks. Must not know formats, URLs or vendors.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "core/encoding.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "db/collateral_pieces.hpp"
#include "server/metrics.hpp"

namespace cocoon::server {

using db::CollateralPiece;

struct CollateralCacheLimits {
    std::size_t entries_max = 4'096;  // also names that are known not to be had
    std::size_t bytes_max = 64 << 20;
};

// How long a piece serves: fresh for half of its life, at most `fresh_max`; at all until its end,
// and while it cannot be had anew `stale_max` longer, as far as whoever judges it allows that.
struct CollateralUse {
    Duration fresh_max;
    Duration stale_max{};
};

// Where pieces outlive the process. May throw: then it stays in memory only.
struct CollateralShelf {
    std::function<void(const db::KeptCollateral&)> keep;
    std::function<void(const std::vector<std::string>& names)> forget;
};

class CollateralCache {
public:
    using Found = std::shared_ptr<const CollateralPiece>;
    using Fetch = std::function<Result<CollateralPiece>()>;

    CollateralCache(const Clock& clock, Metrics& metrics, CollateralCacheLimits limits = {})
        : clock_{clock}, metrics_{metrics}, limits_{limits} {}

    // What an earlier process kept, and where this one does. Before any get().
    void remember(std::vector<db::KeptCollateral> kept, CollateralShelf shelf);

    // What is valid now, fetched if need be. Otherwise the error of `fetch`, or
    // `malformed_request` if what it brought is over or older than what it brought before.
    // `not_found` and `malformed_request` are remembered for a while: asking again would not help.
    Result<Found> get(const std::string& name, const CollateralUse& use, const Fetch& fetch);

    std::size_t entries() const;
    // Pieces in use that end within `ahead` although such pieces live longer: nobody replaces them.
    // Also sets the gauge.
    std::size_t ending(Duration ahead);

private:
    struct Entry {
        Found piece;
        Instant fresh_until, used_at, fetched_at;
        bool fetching = false;
        std::uint32_t failures = 0;
        Instant retry_at;
        Error error;  // while retry_at is to come
    };

    Result<CollateralPiece> checked(const Fetch& fetch, const Found& before,
                                    Duration stale_max) const;
    void keep(Entry& entry, CollateralPiece piece, Duration fresh_max);
    // The names of those that had a piece.
    std::vector<std::string> forget_unused();
    void shelve(const db::KeptCollateral& kept, const std::vector<std::string>& forgotten) const;

    const Clock& clock_;
    Metrics& metrics_;
    const CollateralCacheLimits limits_;
    CollateralShelf shelf_;
    mutable std::mutex mutex_;
    std::condition_variable fetched_;
    std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
    std::size_t bytes_ = 0;
};

}  // namespace cocoon::server
