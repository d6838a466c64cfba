#include "matching/search.hpp"

#include <algorithm>

#include "core/limits.hpp"

namespace cocoon::matching {
namespace {

Look look_at(const State& state, const OfferRecord& record, const Request& request,
             const Alternative& alternative, Instant at) {
    return {record.offer,
            record.node->node,
            request,
            alternative.build,
            record.node->slots_used,
            state.open_for_trade(record),
            at};
}

// Least cost * 1000 that any price of this blended value or more can come to. A cost is whole nano,
// rounded up, and so is this: cheap prices share few costs, and rounding down would look at twice
// the levels.
Wide least_effective(std::int64_t blended, std::int64_t share, std::int64_t unit) {
    const Wide exact = Wide{blended} * share;
    if (exact <= INT64_MAX - unit)  // nearly always; a 128-bit division costs twenty times as much
        return Wide{(static_cast<std::int64_t>(exact) + unit - 1) / unit} * 1000;
    return (exact + unit - 1) / unit * 1000;
}

// Takes the best of one level; offers of a level differ only in what the request prefers.
void search_level(const State& state, const Request& request, const Level& level,
                  const LevelKey& key, std::size_t alternative, Nano cost_here, Instant at,
                  Choice& best) {
    const Constraints& wants = request.constraints;
    const bool prefers =
        wants.first_output_ms_preferred != 0 || wants.tokens_per_second_preferred != 0;
    for (const OfferRecord* record = level.head; record != nullptr; record = record->link.next) {
        const std::uint32_t penalty =
            prefers ? penalty_permille(record->node->node, wants) : key.penalty_permille;
        const Rank rank{Wide{cost_here.value} * penalty, record->offer.priority};
        if (best.offer != nullptr && !(rank < best.rank)) {
            if (!prefers) return;  // those behind only stand later
            continue;
        }
        if (first_failed(look_at(state, *record, request, request.alternatives[alternative], at)))
            continue;
        best.offer = record;
        best.alternative = alternative;
        best.rank = rank;
        if (!prefers) return;
    }
}

void search_book(const State& state, const Book& book, const Request& request,
                 std::size_t alternative, Instant at, Nano budget, Choice& best) {
    const Constraints& wants = request.constraints;
    const bool prefers =
        wants.first_output_ms_preferred != 0 || wants.tokens_per_second_preferred != 0;
    std::optional<std::int64_t> share;  // costs divisions: only once there is something to beat
    const std::int64_t unit = share_unit(book.kind);
    const std::int64_t bound = bid_bound(book.kind, request);
    for (const auto& [key, level] : book.levels) {
        if (key.blended > bound) return;
        if (best.offer != nullptr) {
            if (!share) share = book.least_share(request.quantity);
            if (least_effective(key.blended, *share, unit) > best.rank.effective) return;
        }
        const Result<Nano> cost_here = cost(key.price, request.quantity);
        if (!cost_here) continue;
        if (best.offer !=
            nullptr) {  // within a level the first stands longest; preferences only add
            const Rank first{Wide{cost_here->value} * key.penalty_permille,
                             level.head->offer.priority};
            if (first.effective > best.rank.effective || (!prefers && !(first < best.rank)))
                continue;
        }
        if (price_failed(key.price, request)) continue;
        if (budget != unlimited) {
            const Nano hold = *cost_max(key.price, request.quantity);
            if (hold > budget) {
                best.beyond_hold = best.beyond_budget ? std::min(best.beyond_hold, hold) : hold;
                best.beyond_budget = true;
                continue;
            }
        }
        search_level(state, request, level, key, alternative, *cost_here, at, best);
    }
}

}  // namespace

Choice choose(const State& state, const Request& request, Instant at, Nano budget) {
    Choice best;
    for (std::size_t i = 0; i < request.alternatives.size(); ++i)
        if (const MarketRecord* market = state.markets.find(request.alternatives[i].market))
            search_book(state, market->book, request, i, at, budget, best);
    return best;
}

Choice choose_naive(const State& state, const Request& request, Instant at, Nano budget) {
    Choice best;
    state.offers.for_each([&](const OfferRecord& record) {
        for (std::size_t i = 0; i < request.alternatives.size(); ++i) {
            const Alternative& alternative = request.alternatives[i];
            if (record.offer.market != alternative.market) continue;
            if (all_failed(look_at(state, record, request, alternative, at)) != 0) continue;
            const Result<Nano> expected = cost(record.offer.price, request.quantity);
            if (!expected || *cost_max(record.offer.price, request.quantity) > budget) continue;
            const Rank rank{
                Wide{expected->value} * penalty_permille(record.node->node, request.constraints),
                record.offer.priority};
            if (best.offer == nullptr || rank < best.rank) best = {&record, i, rank, false, {}};
        }
    });
    return best;
}

Nano budget_of(const State& state, AccountId account, KeyId key, Instant at) {
    const KeyRecord& record = *state.keys.find(key);
    return budget_of(state.accounts.find(account)->account, record.key, state.purse_of(record).key,
                     at);
}

Nano budget_of(const Account& account, const ApiKey& key, const ApiKey& purse, Instant at) {
    const bool expired = key.expires_at.us != 0 && key.expires_at <= at;
    if (account.frozen || key.revoked || expired) return Nano{-1};
    Nano budget = account.balances[static_cast<std::size_t>(Bucket::available)];
    if (purse.cap_total.value > 0)
        budget = std::min(budget, purse.cap_total - purse.spent_total - purse.held);
    if (purse.cap_day.value > 0) {
        const Nano spent = purse.day == day_of(at) ? purse.spent_day : Nano{};
        budget = std::min(budget, purse.cap_day - spent - purse.held);
    }
    return budget;
}

// ---- Explaining -------------------------------------------------------------------------------
namespace {

struct Nearest {  // among offers that one constraint alone keeps away
    std::uint32_t offers = 0;
    const OfferRecord* offer = nullptr;
    Nano hold;
};

std::string suggestion_for(Constraint constraint, const OfferRecord& record, const Request& request,
                           Nano hold) {
    const Offer& offer = record.offer;
    const Node& node = record.node->node;
    switch (constraint) {
        case Constraint::build: return offer.build.empty() ? "any" : offer.build;
        case Constraint::tier: return std::string{tier_name(node.tier)};
        case Constraint::region: return node.region;
        case Constraint::country: return node.country;
        case Constraint::measurement:
        case Constraint::measurement_pending: return node.measurement;
        case Constraint::gpu: return node.gpu_model;
        case Constraint::data_policy: return std::to_string(offer.data_policy);
        case Constraint::notice: return std::to_string(offer.notice_seconds);
        case Constraint::reputation: return std::to_string(reputation_permille(node));
        case Constraint::context: return std::to_string(offer.context_tokens_max);
        case Constraint::output: return std::to_string(offer.output_tokens_max);
        case Constraint::developer_list: return offer.provider.text();
        case Constraint::slots:
            return std::to_string(offer.slots - std::min(offer.slots, offer.slots_used));
        case Constraint::price_total: return hold.text();
        case Constraint::price_dimension: {
            const PriceVector& price = offer.price;
            const PriceVector& cap = request.cap_price;
            std::string text;
            const auto name = [&](const char* dimension, Nano value, Nano most) {
                if (most.value < 0 || value <= most) return;
                text += (text.empty() ? "" : ", ") + std::string{dimension} + " " + value.text();
            };
            name("prompt", price.prompt, cap.prompt);
            name("cached", price.cached, cap.cached);
            name("completion", price.completion, cap.completion);
            name("reasoning", price.reasoning, cap.reasoning);
            name("request", price.request, cap.request);
            name("gpu_second", price.gpu_second, cap.gpu_second);
            return text;
        }
        default: return {};
    }
}

// What the developer could ask differently. The rest (a node away, a paused offer) is not theirs to
// change.
constexpr ConstraintSet relaxable =
    constraint_bit(Constraint::build) | constraint_bit(Constraint::measurement_pending) |
    constraint_bit(Constraint::tier) | constraint_bit(Constraint::region) |
    constraint_bit(Constraint::country) | constraint_bit(Constraint::measurement) |
    constraint_bit(Constraint::gpu) | constraint_bit(Constraint::data_policy) |
    constraint_bit(Constraint::notice) | constraint_bit(Constraint::reputation) |
    constraint_bit(Constraint::context) | constraint_bit(Constraint::output) |
    constraint_bit(Constraint::developer_list) | constraint_bit(Constraint::price_dimension) |
    constraint_bit(Constraint::price_total);

constexpr std::size_t constraint_count = static_cast<std::size_t>(Constraint::price_total) + 1;

struct Explainer {
    const State& state;
    const Request& request;
    Instant at;
    Explanation result;
    std::array<std::uint32_t, constraint_count> removed{};
    std::array<Nearest, constraint_count> nearest{};
    std::vector<std::pair<Rank, Candidate>> eligible;

    void consider(const OfferRecord& record, const Alternative& alternative) {
        ++result.offers_seen;
        const ConstraintSet failed = all_failed(look_at(state, record, request, alternative, at));
        if (failed == 0) return rank(record);
        const auto first = static_cast<std::size_t>(__builtin_ctz(failed));
        ++removed[first];
        // A cap per dimension and the total fail together so often that both count as one change.
        constexpr ConstraintSet price =
            constraint_bit(Constraint::price_dimension) | constraint_bit(Constraint::price_total);
        const bool alone = (failed & (failed - 1)) == 0 || failed == price;
        const Result<Nano> hold = cost_max(record.offer.price, request.quantity);
        if (!alone || (failed & relaxable) == 0 || !hold) return;
        Nearest& near = nearest[first];
        ++near.offers;
        if (near.offer == nullptr || *hold < near.hold) near = {near.offers, &record, *hold};
    }

    void rank(const OfferRecord& record) {
        const Result<Nano> expected = cost(record.offer.price, request.quantity);
        if (!expected) return;
        const std::uint32_t penalty = penalty_permille(record.node->node, request.constraints);
        const Rank rank{Wide{expected->value} * penalty, record.offer.priority};
        const Wide effective = std::min<Wide>(rank.effective / 1000, INT64_MAX);
        eligible.push_back({rank,
                            {record.offer.id, record.offer.node, *expected,
                             Nano{static_cast<std::int64_t>(effective)}, penalty}});
    }

    Explanation finish() {
        for (std::size_t i = 0; i < constraint_count; ++i) {
            const auto constraint = static_cast<Constraint>(i);
            if (removed[i] > 0) result.removed.emplace_back(constraint, removed[i]);
            if (const Nearest& near = nearest[i]; near.offer != nullptr)
                result.relaxations.push_back(
                    {constraint, suggestion_for(constraint, *near.offer, request, near.hold),
                     near.offers, near.hold});
        }
        std::stable_sort(result.relaxations.begin(), result.relaxations.end(),
                         [](const Relaxation& a, const Relaxation& b) { return a.cost < b.cost; });
        const std::size_t count = std::min<std::size_t>(eligible.size(), 10);
        std::partial_sort(eligible.begin(), eligible.begin() + static_cast<std::ptrdiff_t>(count),
                          eligible.end(),
                          [](const auto& a, const auto& b) { return a.first < b.first; });
        for (std::size_t i = 0; i < count; ++i) result.best.push_back(eligible[i].second);
        return std::move(result);
    }
};

}  // namespace

Explanation explain(const State& state, const Request& request, Instant at) {
    Explainer explainer{state, request, at, {}, {}, {}, {}};
    for (const Alternative& alternative : request.alternatives) {
        const MarketRecord* market = state.markets.find(alternative.market);
        if (market == nullptr) continue;
        for (const OfferRecord* record : market->offers) {
            if (explainer.result.offers_seen == limits::explain_offers_max) {
                explainer.result.truncated = true;
                return explainer.finish();
            }
            explainer.consider(*record, alternative);
        }
    }
    return explainer.finish();
}

}  // namespace cocoon::matching
