#include "api/wire_markets.hpp"

#include "api/wire_vectors.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

void write_by_tier(JsonWriter& out, std::string_view name,
                   const std::array<std::uint32_t, tier_count>& offers) {
    out.open_object(name);
    for (std::size_t i = 0; i < tier_count; ++i)
        if (offers[i]) out.integer(tier_name(static_cast<Tier>(i)), offers[i]);
    out.close_object();
}

std::int64_t count(std::uint64_t value) { return static_cast<std::int64_t>(value); }

}  // namespace

std::string book_json(const MarketView& view, std::size_t levels_max) {
    JsonWriter out;
    out.open_object();
    out.text("market", view.name);
    out.decimal("as_of", view.sequence);
    out.instant("at", view.at);
    out.boolean("paused", view.paused);
    out.open_array("offers");
    for (std::size_t i = 0; i < view.asks.size() && i < levels_max; ++i) {
        const ViewLevel& level = view.asks[i];
        out.open_object();
        write_price(out, "price", level.price);
        out.decimal("blended_nano", level.blended);
        out.integer("offers", level.offers);
        out.integer("slots_free", count(level.slots_free));
        write_by_tier(out, "offers_by_tier", level.offers_by_tier);
        out.close_object();
    }
    out.close_array();
    out.open_array("requests");
    for (std::size_t i = 0; i < view.bids.size() && i < levels_max; ++i) {
        const ViewDemand& level = view.bids[i];
        out.open_object();
        if (level.blended_max == INT64_MAX)
            out.null("blended_max_nano");
        else
            out.decimal("blended_max_nano", level.blended_max);
        out.integer("requests", level.requests);
        out.integer("slots", count(level.slots));
        write_quantity(out, "quantity", level.quantity);
        out.close_object();
    }
    out.close_array();
    out.open_object("totals");
    out.integer("offers", view.offers);
    out.integer("offers_listed", view.offers_listed);
    out.integer("requests", view.requests);
    out.integer("slots_free", count(view.slots_free));
    out.integer("slots_total", count(view.slots_total));
    out.close_object();
    write_texts(out, "regions", view.regions);
    write_texts(out, "builds", view.builds);
    if (view.last_price)
        write_price(out, "last_price", *view.last_price);
    else
        out.null("last_price");
    out.instant_or_null("last_trade_at", view.last_trade_at);
    out.close_object();
    return out.take();
}

void write_market_members(JsonWriter& out, const db::MarketRow& row) {
    out.text("name", row.market.name);
    out.text("kind", name_of(row.market.kind));
    out.boolean("paused", row.market.paused);
    out.integer("offers", row.offers);
    out.integer("slots", row.slots);
    out.integer("slots_used", row.slots_used);
    out.integer("resting_requests", row.resting);
    if (row.best_price)
        write_price(out, "best_price", *row.best_price);
    else
        out.null("best_price");
    write_tiers(out, "tiers", row.tiers);
    if (row.context_tokens_max > 0)
        out.integer("context_tokens_max", row.context_tokens_max);
    else
        out.null("context_tokens_max");
    if (row.last_trade_at.us != 0)
        out.money("last_unit_price_nano", row.last_unit_price);
    else
        out.null("last_unit_price_nano");
    out.instant_or_null("last_trade_at", row.last_trade_at);
}

void write_trade_members(JsonWriter& out, const db::TradeRow& row) {
    out.instant("at", row.at);
    out.text_or_null("build", row.build);
    out.text("tier", tier_name(row.tier));
    write_price(out, "price", row.price);
    write_quantity(out, "quantity", row.quantity);
    out.money("unit_price_nano", row.unit_price);
    out.integer("slots", row.slots);
}

void write_candle_members(JsonWriter& out, const db::CandleRow& row) {
    out.instant("from", row.from);
    out.money("open_nano", row.open);
    out.money("high_nano", row.high);
    out.money("low_nano", row.low);
    out.money("close_nano", row.close);
    out.integer("volume", row.volume);
    out.integer("trades", row.count);
}

}  // namespace cocoon::api
