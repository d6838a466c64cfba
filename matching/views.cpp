#include "matching/views.hpp"

#include <set>

namespace cocoon::matching {
namespace {

void add_asks(MarketView& view, const Book& book, Instant at) {
    for (const auto& [key, level] : book.levels) {
        // Levels of one price that differ by penalty are neighbours unless prices share a blended
        // value.
        if (view.asks.empty() || !(view.asks.back().price == key.price)) {
            if (view.asks.size() == view_levels_max) continue;
            view.asks.push_back({key.price, key.blended, 0, 0, {}});
        }
        ViewLevel& shown = view.asks.back();
        for (const OfferRecord* record = level.head; record != nullptr;
             record = record->link.next) {
            const Node& node = record->node->node;
            if (node.evidence_valid_until <= at || node.standing != Standing::good ||
                !window_open(record->offer.windows, at))
                continue;
            const auto tier = static_cast<std::size_t>(node.tier);
            ++shown.offers;
            ++shown.offers_by_tier[tier];
            shown.slots_free += record->offer.slots - record->offer.slots_used;
            ++view.offers;
            ++view.offers_by_tier[tier];
            view.slots_free += record->offer.slots - record->offer.slots_used;
        }
        if (shown.offers == 0) view.asks.pop_back();
    }
}

void add_bids(MarketView& view, const Book& book) {
    for (const auto& [bound, level] : book.bids) {
        if (view.bids.size() == view_levels_max) break;
        ViewDemand& shown = view.bids.emplace_back();
        shown.blended_max = bound;
        for (const BidLink* bid = level.head; bid != nullptr; bid = bid->next) {
            const Request& request = bid->request->request;
            ++shown.requests;
            shown.slots += request.slots;
            shown.quantity.prompt += request.quantity.prompt;
            shown.quantity.cached += request.quantity.cached;
            shown.quantity.completion += request.quantity.completion;
            shown.quantity.reasoning += request.quantity.reasoning;
            shown.quantity.requests += request.quantity.requests;
            shown.quantity.gpu_seconds += request.quantity.gpu_seconds;
        }
    }
    view.requests = static_cast<std::uint32_t>(book.requests);
}

}  // namespace

std::shared_ptr<const MarketView> make_view(const State& state, const MarketRecord& market,
                                            Instant at) {
    auto view = std::make_shared<MarketView>();
    view->id = market.market.id;
    view->name = market.market.name;
    view->kind = market.market.kind;
    view->paused = market.market.paused;
    view->sequence = state.counters.sequence;
    view->at = at;
    add_asks(*view, market.book, at);
    add_bids(*view, market.book);
    std::set<std::string> builds, regions;
    for (const OfferRecord* record : market.offers) {
        ++view->offers_listed;
        view->slots_total += record->offer.slots;
        if (!record->offer.build.empty()) builds.insert(record->offer.build);
        if (!record->node->node.region.empty()) regions.insert(record->node->node.region);
    }
    view->builds.assign(builds.begin(), builds.end());
    view->regions.assign(regions.begin(), regions.end());
    if (market.last_trade) {
        view->last_price = market.last_trade->price;
        view->last_trade_at = market.last_trade->at;
    }
    return view;
}

std::shared_ptr<const MarketsView> Views::rebuild(State& state, Instant at) {
    state.take_markets_seen();
    auto views = std::make_shared<MarketsView>();
    views->sequence = state.counters.sequence;
    views->at = at;
    state.markets.for_each([&](const MarketRecord& market) {
        views->by_name[market.market.name] = make_view(state, market, at);
    });
    return newest_ = views;
}

std::shared_ptr<const MarketsView> Views::refresh(State& state, Instant at) {
    const std::vector<MarketId> seen = state.take_markets_seen();
    if (seen.empty()) return newest_;
    auto views = std::make_shared<MarketsView>(*newest_);
    views->sequence = state.counters.sequence;
    views->at = at;
    for (const MarketId id : seen) {
        const MarketRecord& market = *state.markets.find(id);
        views->by_name[market.market.name] = make_view(state, market, at);
    }
    return newest_ = views;
}

}  // namespace cocoon::matching
