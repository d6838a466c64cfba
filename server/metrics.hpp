// Every metric of the server, named once, and its text form (Prometheus exposition 0.0.4). Parts
// bump their members from any thread; app samples the rest at each scrape. Labels come from small
// closed sets (method, status, state, tier, reason); never an id, so that the number of series is
// bounded.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"
#include "matching/events.hpp"
#include "server/evidence_tally.hpp"

namespace cocoon::server {

class Counter {
public:
    void add(std::uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

class Gauge {
public:
    void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
    void add(std::int64_t change) { value_.fetch_add(change, std::memory_order_relaxed); }
    std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> value_{0};
};

// Twelve buckets from 50 us to 10 s for times, or 1 … 2048 for sizes.
class Histogram {
public:
    static constexpr std::size_t bucket_count = 12;
    using Bounds = std::array<std::int64_t, bucket_count>;
    static constexpr Bounds times_us{50,     200,    500,     1'000,     2'000,     5'000,
                                     10'000, 50'000, 200'000, 1'000'000, 3'000'000, 10'000'000};
    static constexpr Bounds sizes{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1'024, 2'048};

    explicit Histogram(const Bounds& bounds) : bounds_{bounds} {}
    void observe(std::int64_t value);
    void observe(Duration time) { observe(time.us); }

    const Bounds& bounds() const { return bounds_; }
    std::uint64_t in_bucket(std::size_t i) const {
        return counts_[i].load(std::memory_order_relaxed);
    }
    std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }
    std::uint64_t sum() const { return sum_.load(std::memory_order_relaxed); }

private:
    const Bounds& bounds_;
    std::array<std::atomic<std::uint64_t>, bucket_count> counts_{};
    std::atomic<std::uint64_t> count_{0}, sum_{0};
};

struct Metrics {
    // http
    std::array<Counter, 6> http_responses;  // [status / 100]
    Histogram http_request_seconds{Histogram::times_us};
    Counter http_rate_limited, http_unauthenticated;
    // lane
    Gauge lane_inbox_commands;
    Counter lane_commands, lane_refused_overloaded, lane_batches, lane_not_stored, lane_in_doubt;
    Gauge remembered_answers, remembered_bytes;
    Histogram lane_batch_commands{Histogram::sizes};
    Histogram lane_commit_seconds{Histogram::times_us};
    // market, from the events of stored batches
    Counter requests_placed, matches, nodes_lost, deposits_credited, payouts_requested;
    std::array<Counter, 6> jobs_ended;          // [JobState]
    std::array<Counter, 4> requests_unmatched;  // see unmatched_reasons
    Counter captured_nano, fees_nano;
    // relay
    Gauge relay_nodes, relay_streams, relay_streams_blocked;
    Counter relay_request_bytes, relay_response_bytes, relay_response_chunks, relay_streams_opened;
    Counter relay_receipts_refused, relay_receipts_missing, relay_nodes_lost, relay_client_hang_ups,
        relay_rematched;
    Histogram relay_first_output_seconds{Histogram::times_us};
    // feeds
    Gauge feed_subscribers;
    Counter feed_events, feed_gaps, webhook_deliveries, webhook_failures;
    // collateral
    Counter collateral_fetches, collateral_failures, collateral_hits, collateral_stale;
    Gauge collateral_pieces, collateral_bytes, collateral_ending_pieces;
    // evidence
    Counter evidence_checks, evidence_unknown, evidence_doubts, aci_reports;
    EvidenceTally evidence;
    // settlement
    Counter settlement_deposits, settlement_payouts_paid, settlement_payouts_returned,
        settlement_failures;
    Counter settlement_bounces, settlement_batches_expired, settlement_unknown_batches;
    Gauge settlement_deposits_on_hold, settlement_wallet_short, settlement_payouts_paused;
    Gauge settlement_wallet_nano, settlement_owed_nano, settlement_cover_nano,
        settlement_difference_nano, settlement_reconciled_at_seconds;
    Counter chain_calls, chain_endpoint_failures, chain_price_changes;
    Gauge solvency_accounts, solvency_liabilities_nano, solvency_proven_at_seconds;
    Histogram solvency_build_seconds{Histogram::times_us};
    Gauge books_balanced{};  // 1: the newest check found nothing

    // Counts what a stored entry says.
    void count(const matching::Event& event);
};

constexpr std::array<std::string_view, 4> unmatched_reasons{
    "no_eligible_offer", "price_cap_too_low", "insufficient_funds", "other"};

// One line group of a metric that is read when asked.
struct Sample {
    std::string_view name;  // "cocoon_nodes"
    std::string_view type;  // "gauge" or "counter"
    std::string_view help;
    std::string labels;  // "tier=\"tdx\"" or empty
    std::int64_t value = 0;
    bool seconds_from_us = false;  // value is microseconds, shown as seconds
};

// Samples of one name must be adjacent.
std::string render_metrics(const Metrics& metrics, const std::vector<Sample>& samples);

}  // namespace cocoon::server
