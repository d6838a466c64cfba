#include "matching/ranking.hpp"

#include <algorithm>

namespace cocoon::matching {
namespace {

template <class T>
bool contains(const List<T>& list, const T& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
}

// An empty list allows everything.
template <class T>
bool allows(const List<T>& list, const T& item) {
    return list.empty() || contains(list, item);
}

constexpr std::int64_t week_minutes = 7 * 24 * 60;

// Minutes since Monday 00:00 UTC. 1970-01-01 was a Thursday.
std::int64_t week_minute(Instant at) {
    const std::int64_t minute = at.us / 60'000'000 + 3 * 24 * 60;
    return ((minute % week_minutes) + week_minutes) % week_minutes;
}

bool exceeds(const PriceVector& price, const PriceVector& cap) {
    const auto over = [](Nano value, Nano most) { return most.value >= 0 && value > most; };
    return over(price.prompt, cap.prompt) || over(price.cached, cap.cached) ||
           over(price.completion, cap.completion) || over(price.reasoning, cap.reasoning) ||
           over(price.request, cap.request) || over(price.gpu_second, cap.gpu_second);
}

std::uint32_t moved(std::uint32_t average, std::uint32_t sample) {
    if (average == 0) return sample;
    const std::int64_t step =
        (static_cast<std::int64_t>(sample) - average) / static_cast<std::int64_t>(speed_divisor);
    return static_cast<std::uint32_t>(average + step);
}

// Calls `failed(constraint)` for each that fails, in order, until it returns true.
template <class Failed>
void judge(const Look& look, Failed&& failed) {
    const Offer& offer = look.offer;
    const Node& node = look.node;
    const Request& request = look.request;
    const Constraints& wants = request.constraints;
    const std::int64_t in = request.quantity.prompt + request.quantity.cached;
    const std::int64_t out = request.quantity.completion + request.quantity.reasoning;
    using enum Constraint;
#define COCOON_REQUIRE(condition, constraint) \
    if (!(condition) && failed(constraint)) return
    COCOON_REQUIRE(look.build.empty() || offer.build == look.build, build);
    COCOON_REQUIRE(offer.state == OfferState::active && look.open &&
                       (offer.expires_at.us == 0 || offer.expires_at > look.at),
                   state);
    COCOON_REQUIRE(node.connected, node_away);
    COCOON_REQUIRE(!node.draining, draining);
    COCOON_REQUIRE(!node.suspended, suspended);
    // The proof must outlive the job that relies on it.
    COCOON_REQUIRE(node.evidence_valid_until >= look.at + request.job_duration, evidence);
    COCOON_REQUIRE(node.standing != Standing::platform_denied, platform_denied);
    COCOON_REQUIRE(node.standing != Standing::measurement_revoked, measurement_revoked);
    // Who names a measurement has looked at it; the register need not have.
    COCOON_REQUIRE(node.standing != Standing::measurement_pending ||
                       contains(wants.measurements, node.measurement),
                   measurement_pending);
    COCOON_REQUIRE((wants.tiers & tier_bit(node.tier)) != 0, tier);
    COCOON_REQUIRE(allows(wants.regions, node.region), region);
    COCOON_REQUIRE(allows(wants.countries, node.country), country);
    COCOON_REQUIRE(allows(wants.measurements, node.measurement), measurement);
    COCOON_REQUIRE(allows(wants.gpu_models, node.gpu_model), gpu);
    COCOON_REQUIRE((offer.data_policy & wants.data_policy) == wants.data_policy, data_policy);
    COCOON_REQUIRE(offer.notice_seconds >= wants.notice_seconds_min, notice);
    COCOON_REQUIRE(wants.reputation_permille_min == 0 ||
                       reputation_permille(node) >= wants.reputation_permille_min,
                   reputation);
    COCOON_REQUIRE(
        request.session || offer.context_tokens_max == 0 || in + out <= offer.context_tokens_max,
        context);
    COCOON_REQUIRE(
        request.session || offer.output_tokens_max == 0 || out <= offer.output_tokens_max, output);
    COCOON_REQUIRE(offer.windows.empty() || window_open(offer.windows, look.at), schedule);
    COCOON_REQUIRE(allows(offer.allow, request.account) && !contains(offer.deny, request.account),
                   provider_list);
    COCOON_REQUIRE(allows(wants.providers_allow, offer.provider) &&
                       !contains(wants.providers_deny, offer.provider),
                   developer_list);
    COCOON_REQUIRE(!contains(request.nodes_lost, offer.node), lost_node);
    COCOON_REQUIRE(
        offer.slots >= offer.slots_used && offer.slots - offer.slots_used >= request.slots, slots);
    COCOON_REQUIRE(node.probation_jobs_left == 0 ||
                       look.node_slots_used + request.slots <= weights.probation_slots,
                   probation);
#undef COCOON_REQUIRE
}

}  // namespace

std::uint32_t reputation_permille(const Node& node) {
    return node.probation_jobs_left == 0
               ? node.reliability_permille
               : std::min(node.reliability_permille, reliability_start_permille);
}

std::uint32_t node_penalty_permille(const Node& node) {
    const std::uint32_t step = weights.reliability_step_permille;
    const std::uint32_t reliability =
        std::min(1000u, (reputation_permille(node) + step - 1) / step * step);
    return 1000 + weights.reliability_permille * (1000 - reliability) / 1000;
}

std::uint32_t penalty_permille(const Node& node, const Constraints& constraints) {
    std::uint32_t penalty = node_penalty_permille(node);
    if (constraints.first_output_ms_preferred != 0 &&
        (node.first_output_ms == 0 || node.first_output_ms > constraints.first_output_ms_preferred))
        penalty += weights.first_output_missed_permille;
    if (constraints.tokens_per_second_preferred != 0 &&
        node.tokens_per_second < constraints.tokens_per_second_preferred)
        penalty += weights.tokens_per_second_missed_permille;
    return penalty;
}

void measure(Node& node, bool completed, std::uint32_t first_output_ms, std::uint32_t output_ms,
             std::int64_t output_tokens) {
    std::uint32_t& reliability = node.reliability_permille;
    if (!completed) {
        reliability -= std::min(
            reliability, (reliability + reliability_down_divisor - 1) / reliability_down_divisor);
        ++node.jobs_failed;
        return;
    }
    reliability = std::min(1000u, reliability);
    reliability += (1000 - reliability + reliability_up_divisor - 1) / reliability_up_divisor;
    ++node.jobs_completed;
    if (first_output_ms > 0) node.first_output_ms = moved(node.first_output_ms, first_output_ms);
    if (output_ms > 0 && output_tokens > 0) {
        const Wide speed = Wide{output_tokens} * 1000 / output_ms;
        const auto sample =
            static_cast<std::uint32_t>(std::min<Wide>(std::max<Wide>(speed, 1), 1'000'000'000));
        node.tokens_per_second = moved(node.tokens_per_second, sample);
    }
}

std::int64_t blended(MarketKind kind, const PriceVector& price) {
    return kind == MarketKind::compute ? price.gpu_second.value
                                       : 3 * price.prompt.value + price.completion.value;
}

std::int64_t cost_share(MarketKind kind, const QuantityVector& quantity) {
    return kind == MarketKind::compute ? quantity.gpu_seconds
                                       : std::min(quantity.prompt, 3 * quantity.completion);
}

std::int64_t hold_share(MarketKind kind, const QuantityVector& quantity) {
    return kind == MarketKind::compute ? quantity.gpu_seconds
                                       : std::min(quantity.prompt + quantity.cached,
                                                  3 * (quantity.completion + quantity.reasoning));
}

std::int64_t share_unit(MarketKind kind) { return kind == MarketKind::compute ? 1 : 3'000'000; }

std::int64_t bid_bound(MarketKind kind, const Request& request) {
    Wide bound = INT64_MAX;
    const std::int64_t share = hold_share(kind, request.quantity);
    if (request.cap_total.value > 0 && share > 0)
        bound = std::min(bound, Wide{request.cap_total.value} * share_unit(kind) / share);
    const PriceVector& cap = request.cap_price;
    if (kind == MarketKind::compute) {
        if (cap.gpu_second.value >= 0) bound = std::min(bound, Wide{cap.gpu_second.value});
    } else if (cap.prompt.value >= 0 && cap.completion.value >= 0) {
        bound = std::min(bound, Wide{cap.prompt.value} * 3 + cap.completion.value);
    }
    return static_cast<std::int64_t>(bound);
}

std::optional<Constraint> first_failed(const Look& look) {
    std::optional<Constraint> first;
    judge(look, [&](Constraint constraint) {
        first = constraint;
        return true;
    });
    return first;
}

std::optional<Constraint> price_failed(const PriceVector& price, const Request& request) {
    if (exceeds(price, request.cap_price)) return Constraint::price_dimension;
    const Result<Nano> hold = cost_max(price, request.quantity);
    if (!hold || (request.cap_total.value > 0 && *hold > request.cap_total))
        return Constraint::price_total;
    return std::nullopt;
}

ConstraintSet all_failed(const Look& look) {
    ConstraintSet set = 0;
    judge(look, [&](Constraint constraint) {
        set |= constraint_bit(constraint);
        return false;
    });
    if (exceeds(look.offer.price, look.request.cap_price))
        set |= constraint_bit(Constraint::price_dimension);
    const Result<Nano> hold = cost_max(look.offer.price, look.request.quantity);
    if (!hold || (look.request.cap_total.value > 0 && *hold > look.request.cap_total))
        set |= constraint_bit(Constraint::price_total);
    return set;
}

bool window_open(std::span<const Window> windows, Instant at) {
    if (windows.empty()) return true;
    const std::int64_t minute = week_minute(at);
    return std::any_of(windows.begin(), windows.end(), [&](const Window& window) {
        return window.from_minute <= minute && minute < window.to_minute;
    });
}

std::optional<Instant> next_window_edge(std::span<const Window> windows, Instant at) {
    if (windows.empty()) return std::nullopt;
    const std::int64_t now = week_minute(at);
    std::int64_t nearest = week_minutes;
    const auto consider = [&](std::int64_t edge) {
        const std::int64_t ahead = ((edge - now) % week_minutes + week_minutes) % week_minutes;
        nearest = std::min(nearest, ahead == 0 ? week_minutes : ahead);
    };
    for (const Window& window : windows) {
        consider(window.from_minute);
        consider(window.to_minute);
    }
    const std::int64_t minute_start = at.us / 60'000'000 * 60'000'000;
    return Instant{minute_start + nearest * 60'000'000};
}

}  // namespace cocoon::matching
