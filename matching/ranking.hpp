// The rule of the market as pure functions: which offer may serve a request (and what the first
// reason against is), what it costs there, and which of two is better. The book only speeds this
// up; matching/naive.hpp applies it by brute force. Integers only; called by the lane and by tests.
#pragma once

#include "matching/commands.hpp"
#include "matching/types.hpp"

namespace cocoon::matching {

__extension__ using Wide = __int128;

// ---- Weights: data, so that a change of rule is a change of one table -------------------------

struct Weights {
    // An unreliable node's cost counts as more: at reliability 0 it counts 1 + reliability/1000
    // times.
    std::uint32_t reliability_permille = 1000;
    std::uint32_t reliability_step_permille =
        50;  // measured reliability is rounded up to such steps
    // Added when the node's measured figure misses what the request prefers, or is not known.
    std::uint32_t first_output_missed_permille = 150;
    std::uint32_t tokens_per_second_missed_permille = 150;
    // A node on probation is trusted with so many slots at a time, whatever it offers, and counts
    // as no more reliable than a fresh one, however well it did.
    std::uint32_t probation_slots = 4;
};
constexpr Weights weights{};

// Reliability: starts below perfect so that a fresh identity is no gain; each job moves it by a
// share.
constexpr std::uint32_t reliability_start_permille = 900;
constexpr std::uint32_t reliability_up_divisor = 32, reliability_down_divisor = 8;
constexpr std::uint32_t speed_divisor = 8;  // share of a new sample in the moving averages

// What the node's reliability counts for: measured, and less on probation.
std::uint32_t reputation_permille(const Node& node);
// The penalty that belongs to the node itself: 1000 (none) and up.
std::uint32_t node_penalty_permille(const Node& node);
// The whole penalty of a node for a request: the above plus missed preferences.
std::uint32_t penalty_permille(const Node& node, const Constraints& constraints);

// Feeds what one job showed into the node's measured figures.
// first_output_ms, output_ms: 0 when not measured; output_tokens: those of output_ms.
void measure(Node& node, bool completed, std::uint32_t first_output_ms, std::uint32_t output_ms,
             std::int64_t output_tokens);

// ---- Price as one number ----------------------------------------------------------------------

// Orders price levels: 3 * prompt + completion, or the GPU-second. Any price costs a request at
// least share * blended / share_unit, which is what lets a search stop early.
std::int64_t blended(MarketKind kind, const PriceVector& price);
// Least multiple (in units of 1 / share_unit) of the blended price that `quantity` costs; 0: no
// bound.
std::int64_t cost_share(MarketKind kind, const QuantityVector& quantity);  // of the expected cost
std::int64_t hold_share(MarketKind kind, const QuantityVector& quantity);  // of the hold
std::int64_t share_unit(MarketKind kind);

// The highest blended price at which the request's caps can still hold; INT64_MAX: no cap.
std::int64_t bid_bound(MarketKind kind, const Request& request);

// ---- Eligibility ------------------------------------------------------------------------------

// One bit for each Constraint that fails, in the order of the enumeration; 0: eligible.
using ConstraintSet = std::uint32_t;
constexpr ConstraintSet constraint_bit(Constraint constraint) {
    return ConstraintSet{1} << static_cast<unsigned>(constraint);
}

struct Look {  // what is judged
    const Offer& offer;
    const Node& node;
    const Request& request;
    const std::string& build;       // of the alternative
    std::uint32_t node_slots_used;  // of all offers of the node
    bool open;                      // market not paused and provider not frozen
    Instant at;
};

// The first constraint that fails apart from price, or nothing.
std::optional<Constraint> first_failed(const Look& look);
// All that fail, price included.
ConstraintSet all_failed(const Look& look);
// Whether the price is within the request's caps: the first that fails, or nothing. An overflowing
// cost counts as beyond the total.
std::optional<Constraint> price_failed(const PriceVector& price, const Request& request);

bool window_open(std::span<const Window> windows, Instant at);
// The next instant after `at` when the schedule opens or closes; nothing without windows.
std::optional<Instant> next_window_edge(std::span<const Window> windows, Instant at);

// ---- The order among eligible offers ----------------------------------------------------------

struct Rank {
    Wide effective = 0;  // expected cost * penalty, in nanoTON / 1000
    std::uint64_t priority = 0;
    friend bool operator<(const Rank& a, const Rank& b) {
        return a.effective != b.effective ? a.effective < b.effective : a.priority < b.priority;
    }
};

}  // namespace cocoon::matching
