// Public market data: models, markets, book, prices, trades, demand. No login, no names of people.
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/wire_markets.hpp"
#include "api/wire_vectors.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

Result<db::MarketRow> market_of(const Call& call, db::Reader& reader) {
    auto row = call.captured.empty() ? std::nullopt : reader.market(call.captured.front());
    if (!row) return refuse(ErrorCode::unknown_market);
    return std::move(*row);
}

Result<void> no_parameters(const Call& call) { return QueryReader{call.query}.finish(); }

Instant floor_to(Instant at, Duration interval) { return Instant{at.us - at.us % interval.us}; }

// Hours as one candle; nothing if there was no trade.
std::optional<db::CandleRow> merged(const std::vector<db::CandleRow>& candles) {
    std::optional<db::CandleRow> day;
    for (const db::CandleRow& candle : candles) {
        if (!day) {
            day = candle;
            continue;
        }
        day->high = std::max(day->high, candle.high);
        day->low = std::min(day->low, candle.low);
        day->close = candle.close;
        day->volume += candle.volume;
        day->count += candle.count;
    }
    return day;
}

}  // namespace

Result<Response> list_models(const Call& call, db::Reader& reader, const Context&) {
    if (auto none = no_parameters(call); !none) return none.error();
    static constexpr std::string_view prefix = "inference:";
    JsonWriter out;
    out.open_object();
    out.text("object", "list");
    out.open_array("data");
    for (const db::MarketRow& row : reader.markets()) {
        if (!row.market.name.starts_with(prefix)) continue;
        out.open_object();
        out.text("id", std::string_view{row.market.name}.substr(prefix.size()));
        out.text("object", "model");
        out.integer("created", row.market.opened_at.unix_seconds());
        out.text("owned_by", "cocoon-market");
        out.text("market", row.market.name);
        if (row.best_price)
            write_price(out, "pricing", *row.best_price);
        else
            out.null("pricing");
        write_tiers(out, "tiers", row.tiers);
        out.integer("offers", row.offers);
        out.integer("slots_free", row.slots - row.slots_used);
        if (row.context_tokens_max > 0)
            out.integer("context_length", row.context_tokens_max);
        else
            out.null("context_length");
        out.close_object();
    }
    out.close_array();
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> list_markets(const Call& call, db::Reader& reader, const Context&) {
    if (auto none = no_parameters(call); !none) return none.error();
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const db::MarketRow& row : reader.markets()) {
        out.open_object();
        write_market_members(out, row);
        out.close_object();
    }
    out.close_array();
    out.decimal("as_of", reader.as_of());
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> read_market(const Call& call, db::Reader& reader, const Context&) {
    if (auto none = no_parameters(call); !none) return none.error();
    const auto row = market_of(call, reader);
    if (!row) return row.error();
    JsonWriter out;
    out.open_object();
    write_market_members(out, *row);
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> read_book(const Call& call, const Context& context) {
    QueryReader query{call.query};
    const auto depth =
        query.maybe_integer("depth", {1, static_cast<std::int64_t>(view_levels_max)});
    if (auto done = query.finish(); !done) return done.error();
    const auto views = context.views();
    const auto found =
        call.captured.empty() ? views->by_name.end() : views->by_name.find(call.captured.front());
    if (found == views->by_name.end()) return refuse(ErrorCode::unknown_market);
    return json_response(200,
                         book_json(*found->second, static_cast<std::size_t>(depth.value_or(20))));
}

Result<Response> read_ticker(const Call& call, db::Reader& reader, const Context&) {
    if (auto none = no_parameters(call); !none) return none.error();
    const auto row = market_of(call, reader);
    if (!row) return row.error();
    const Instant to = floor_to(call.at, hours(1)) + hours(1);
    const auto day = merged(reader.candles(row->market.id, hours(1), to - hours(24), to));
    JsonWriter out;
    out.open_object();
    out.text("market", row->market.name);
    out.decimal("as_of", reader.as_of());
    if (row->best_price)
        write_price(out, "best_price", *row->best_price);
    else
        out.null("best_price");
    if (row->last_trade_at.us != 0)
        out.money("last_unit_price_nano", row->last_unit_price);
    else
        out.null("last_unit_price_nano");
    out.instant_or_null("last_trade_at", row->last_trade_at);
    if (day) {
        out.open_object("day");
        write_candle_members(out, *day);
        out.close_object();
    } else {
        out.null("day");
    }
    out.integer("offers", row->offers);
    out.integer("slots", row->slots);
    out.integer("slots_used", row->slots_used);
    out.integer("resting_requests", row->resting);
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> list_trades(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    Page page{call, context, query, "/v1/markets/{name}/trades"};
    const std::string name = call.captured.empty() ? std::string{} : call.captured.front();
    if (auto begun = page.begin(query, name); !begun) return begun.error();
    const auto row = market_of(call, reader);
    if (!row) return row.error();
    const auto trades = reader.trades(row->market.id, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.text("market", row->market.name);
    out.open_array("items");
    Position last;
    for (const db::TradeRow& trade : trades.rows) {
        out.open_object();
        write_trade_members(out, trade);
        out.close_object();
        last.major = trade.number;
    }
    return page.finish(out, trades.more, last, reader.as_of());
}

Result<Response> list_candles(const Call& call, db::Reader& reader, const Context&) {
    static constexpr std::array<std::string_view, 3> names{"1m", "1h", "1d"};
    static constexpr std::array<Duration, 3> intervals{minutes(1), hours(1), days(1)};
    QueryReader query{call.query};
    const std::size_t chosen = query.maybe_choice("interval", names).value_or(1);
    const auto limit = query.maybe_integer("limit", {1, limits::page_rows_max});
    if (auto done = query.finish(); !done) return done.error();
    const auto row = market_of(call, reader);
    if (!row) return row.error();
    const Duration interval = intervals[chosen];
    const Instant to = floor_to(call.at, interval) + interval;
    JsonWriter out;
    out.open_object();
    out.text("market", row->market.name);
    out.text("interval", names[chosen]);
    out.open_array("items");
    const Duration span = interval * limit.value_or(limits::page_rows_default);
    for (const db::CandleRow& candle : reader.candles(row->market.id, interval, to - span, to)) {
        out.open_object();
        write_candle_members(out, candle);
        out.close_object();
    }
    out.close_array();
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> read_prices(const Call& call, db::Reader& reader, const Context&) {
    if (auto none = no_parameters(call); !none) return none.error();
    const auto row = market_of(call, reader);
    if (!row) return row.error();
    const db::PercentileRow prices =
        reader.percentiles(row->market.id, call.at - hours(24), call.at);
    JsonWriter out;
    out.open_object();
    out.text("market", row->market.name);
    out.instant("from", prices.from);
    out.instant("to", prices.to);
    out.integer("trades", prices.count);
    const auto price = [&](std::string_view name, Nano amount) {
        if (prices.count > 0)
            out.money(name, amount);
        else
            out.null(name);
    };
    price("p10_nano", prices.p10);
    price("p50_nano", prices.p50);
    price("p90_nano", prices.p90);
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> read_demand(const Call& call, db::Reader& reader, const Context&) {
    QueryReader query{call.query};
    const auto limit = query.maybe_integer("limit", {1, limits::page_rows_max});
    if (auto done = query.finish(); !done) return done.error();
    const auto row = market_of(call, reader);
    if (!row) return row.error();
    const Instant to = floor_to(call.at, hours(1)) + hours(1);
    JsonWriter out;
    out.open_object();
    out.text("market", row->market.name);
    out.integer("resting_requests", row->resting);
    out.open_array("items");
    for (const db::DemandRow& hour :
         reader.demand(row->market.id, to - hours(1) * limit.value_or(24), to)) {
        out.open_object();
        out.instant("from", hour.from);
        out.integer("placed", hour.placed);
        out.integer("matched", hour.matched);
        out.integer("unmatched", hour.unmatched);
        out.integer("wanted", hour.wanted);
        out.integer("unmet", hour.unmet);
        out.close_object();
    }
    out.close_array();
    out.close_object();
    return json_response(200, out.take());
}

}  // namespace cocoon::api
