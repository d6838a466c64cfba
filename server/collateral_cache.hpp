// Collateral that was fetched, by name, for as long as it is valid. Fresh until half of its life;
// then the next use fetches it anew, and the old one is served while that fails. One fetch at a
// time for each name: who needs it meanwhile waits, or takes the old one. Bounded; what was not
// used for longest goes first. Any worker thread; get() blocks. Must not know formats, URLs or
// vendors.
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
#include "server/metrics.hpp"

namespace cocoon::server {

// One thing that a vendor serves, unverified.
struct CollateralPiece {
    std::string body;          // what is signed, or the whole of it
    Bytes signature;           // where it is served beside the body
    std::string issuer_chain;  // PEM; likewise
    Instant issued;            // zero if it has no such date
    Instant ends;
};

struct CollateralCacheLimits {
    std::size_t entries_max = 4'096;  // also names that are known not to be had
    std::size_t bytes_max = 64 << 20;
};

class CollateralCache {
public:
    using Found = std::shared_ptr<const CollateralPiece>;
    using Fetch = std::function<Result<CollateralPiece>()>;

    CollateralCache(const Clock& clock, Metrics& metrics, CollateralCacheLimits limits = {})
        : clock_{clock}, metrics_{metrics}, limits_{limits} {}

    // What is valid now, fetched if need be; it counts as fresh for half of its life, at most for
    // `fresh_max`. Otherwise the error of `fetch`, or `malformed_request` if what it brought is
    // over or older than what it brought before. `not_found` and `malformed_request` are remembered
    // for a while: asking again would not help.
    Result<Found> get(const std::string& name, Duration fresh_max, const Fetch& fetch);

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

    Result<CollateralPiece> checked(const Fetch& fetch, const Found& before) const;
    void keep(Entry& entry, CollateralPiece piece, Duration fresh_max);
    void forget_unused();

    const Clock& clock_;
    Metrics& metrics_;
    const CollateralCacheLimits limits_;
    mutable std::mutex mutex_;
    std::condition_variable fetched_;
    std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
    std::size_t bytes_ = 0;
};

}  // namespace cocoon::server
