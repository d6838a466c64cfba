// Rate limits: one token bucket per key or address. Used by admission on the I/O thread only; one
// map look-up and a few integer operations per request, no allocation for a caller already known.
// Knows neither HTTP nor who the callers are.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "core/time.hpp"

namespace cocoon::server {

struct RatePolicy {
    std::int64_t limit = 0;  // calls per window; also the burst
    Duration window = seconds(60);
};

struct RateAnswer {
    bool allowed = true;
    std::int64_t remaining = 0;
    Duration reset;        // until the bucket is full again
    Duration retry_after;  // when refused: until one call would pass
};

// The generic cell rate algorithm: a bucket is one number, the instant at which it will be full. A
// quiet bucket is full and needs no memory; the table drops those when it has grown. When it holds
// `entries_max` busy callers, the rest share one bucket: a flood from many addresses is slowed as
// one.
class RateTable {
public:
    explicit RateTable(RatePolicy policy, std::size_t entries_max = 100'000);

    // Takes one call from the bucket of `caller`, if there is one.
    RateAnswer take(std::uint64_t caller, Instant now);
    // The same without taking.
    RateAnswer look(std::uint64_t caller, Instant now) const;

    const RatePolicy& policy() const { return policy_; }
    std::size_t entries() const { return full_at_.size(); }

private:
    RateAnswer measure(Instant full_at, Instant now) const;
    void prune(Instant now);

    RatePolicy policy_;
    Duration interval_;  // one call's share of the window
    std::size_t entries_max_;
    std::size_t prune_at_ = 1'024;
    Instant shared_full_at_;
    std::unordered_map<std::uint64_t, Instant> full_at_;
};

// A number for the bucket of an address: the whole of IPv4, the /64 of IPv6, 0 for anything else.
std::uint64_t address_bucket(std::string_view address);

}  // namespace cocoon::server
