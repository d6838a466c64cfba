// What anyone may see of the markets: immutable snapshots that the lane makes after a commit and
// readers share. Holds no account, request or node identity. Built on the lane's thread.
#pragma once

#include <map>
#include <memory>

#include "matching/state.hpp"

namespace cocoon::matching {

constexpr std::size_t view_levels_max = 100;

// Offers of one price (all penalties together), or requests of one highest blended price.
struct ViewLevel {
    PriceVector price;
    std::int64_t blended = 0;
    std::uint64_t slots_free = 0;
    std::uint32_t offers = 0;
    std::array<std::uint32_t, tier_count> offers_by_tier{};
};
struct ViewDemand {
    std::int64_t blended_max = 0;  // INT64_MAX: any price
    std::uint64_t slots = 0;
    std::uint32_t requests = 0;
    QuantityVector quantity;
};
struct MarketView {
    MarketId id;
    std::string name;
    MarketKind kind = MarketKind::inference;
    bool paused = false;
    std::uint64_t sequence = 0;  // as of
    Instant at;
    std::vector<ViewLevel> asks;                    // cheapest first, at most view_levels_max
    std::vector<ViewDemand> bids;                   // dearest first, at most view_levels_max
    std::uint32_t offers = 0;                       // that can be matched now
    std::uint32_t offers_listed = 0;                // active and paused ones, node away or not
    std::uint32_t requests = 0;                     // resting
    std::uint64_t slots_free = 0, slots_total = 0;  // slots_total: of all listed offers
    std::array<std::uint32_t, tier_count> offers_by_tier{};
    std::vector<std::string> builds, regions;  // of the listed offers, sorted, distinct
    std::optional<PriceVector> last_price;
    Instant last_trade_at;
};
struct MarketsView {
    std::uint64_t sequence = 0;
    Instant at;
    std::map<std::string, std::shared_ptr<const MarketView>, std::less<>> by_name;
};

std::shared_ptr<const MarketView> make_view(const State& state, const MarketRecord& market,
                                            Instant at);

// Keeps the newest views and remakes those of markets that changed.
class Views {
public:
    // Everything new: after a load.
    std::shared_ptr<const MarketsView> rebuild(State& state, Instant at);
    // What changed since; the same pointer when nothing did.
    std::shared_ptr<const MarketsView> refresh(State& state, Instant at);

private:
    std::shared_ptr<const MarketsView> newest_ = std::make_shared<MarketsView>();
};

}  // namespace cocoon::matching
