// What is asked of the public market.
#include "db/reader_parts.hpp"

namespace cocoon::db {

using namespace matching;

namespace {

const std::string market_offers =
    "(select market, count(*) as offers, sum(slots) as slots, sum(slots_used) as used, "
    "max(context_tokens_max) as context from offers where state = 'active' group by market)";

// What can be bought now: active offers of nodes in reach.
const std::string market_reach =
    "(select o.market, min(coalesce(prompt_nano_per_mtok, 0)) as p0, "
    "min(coalesce(cached_nano_per_mtok, 0)) as p1, "
    "min(coalesce(completion_nano_per_mtok, 0)) as p2, min(coalesce(reasoning_nano_per_mtok, 0)) "
    "as p3, "
    "min(coalesce(request_nano, 0)) as p4, min(coalesce(gpu_second_nano, 0)) as p5, "
    "bit_or(1 << (array_position(enum_range(null::tier), n.tier) - 1)) as tiers "
    "from offers o join nodes n on n.id = o.node where o.state = 'active' and n.connected and not "
    "n.draining "
    "and not n.suspended and not n.retired and n.standing = 'good' "
    "group by o.market)";

const Statement list_markets{"list_markets",
                             "select " + listed<Market>() +
                                 ", coalesce(o.offers, 0)::bigint, coalesce(o.slots, 0)::bigint, "
                                 "coalesce(o.used, 0)::bigint, coalesce(o.context, 0)::bigint, "
                                 "r.p0, r.p1, r.p2, r.p3, r.p4, r.p5, "
                                 "coalesce(r.tiers, 0)::bigint, coalesce(w.resting, 0)::bigint, "
                                 "coalesce((select c.close from candles c where c.market = t.id "
                                 "order by c.minute desc limit 1), 0), "
                                 "coalesce((select j.reserved_at from jobs j where j.market = t.id "
                                 "order by j.id desc limit 1), 0) "
                                 "from markets t left join " +
                                 market_offers + " o on o.market = t.id left join " + market_reach +
                                 " r on r.market = t.id left join (select u.id, count(*) as "
                                 "resting from requests q, unnest(q.markets) u(id) "
                                 "where q.state = 'resting' group by u.id) w on w.id = t.id "
                                 "where ($1::text is null or t.name = $1::text) order by t.name"};
const Statement list_trades{
    "list_trades",
    "select " + listed<Job>() +
        ", n.tier from jobs t join nodes n on n.id = t.node "
        "where t.market = $1::bigint and t.id < $2::bigint order by t.id desc limit $3::bigint"};
const Statement list_candles{"list_candles",
                             "select (minute / $2::bigint) * $2::bigint, (array_agg(open order by "
                             "minute))[1], max(high), min(low), "
                             "(array_agg(close order by minute desc))[1], sum(volume)::bigint, "
                             "sum(count)::bigint from candles "
                             "where market = $1::bigint and minute >= $3::bigint and minute < "
                             "$4::bigint group by 1 order by 1"};
const Statement read_percentiles{
    "read_percentiles",
    "select coalesce(max(total), 0)::bigint, coalesce(min(unit_price) filter (where sofar * 10 >= "
    "total), 0), "
    "coalesce(min(unit_price) filter (where sofar * 2 >= total), 0), "
    "coalesce(min(unit_price) filter (where sofar * 10 >= total * 9), 0) from "
    "(select unit_price, sum(n) over (order by unit_price) as sofar, sum(n) over () as total from "
    "(select unit_price, sum(count) as n from price_histogram where market = $1::bigint and hour "
    ">= $2::bigint "
    "and hour < $3::bigint group by unit_price) prices) ranked"};
const Statement list_demand{
    "list_demand",
    "select hour, placed, matched, unmatched, wanted, unmet from demand where market = $1::bigint "
    "and hour >= $2::bigint and hour < $3::bigint order by hour"};

MarketRow market_row(const Rows& rows, std::size_t row) {
    const std::size_t next = width<Market>();
    MarketRow market{.market = read_row<Market>(rows, row),
                     .offers = rows.integer(row, next),
                     .slots = rows.integer(row, next + 1),
                     .slots_used = rows.integer(row, next + 2),
                     .resting = rows.integer(row, next + 11),
                     .best_price = std::nullopt,
                     .tiers = static_cast<TierSet>(rows.integer(row, next + 10)),
                     .context_tokens_max = rows.integer(row, next + 3),
                     .last_unit_price = {rows.integer(row, next + 12)},
                     .last_trade_at = {rows.integer(row, next + 13)}};
    if (!rows.null(row, next + 4))
        market.best_price =
            PriceVector{{rows.integer(row, next + 4)}, {rows.integer(row, next + 5)},
                        {rows.integer(row, next + 6)}, {rows.integer(row, next + 7)},
                        {rows.integer(row, next + 8)}, {rows.integer(row, next + 9)}};
    return market;
}

TradeRow trade_row(const Rows& rows, std::size_t row) {
    const Job job = read_row<Job>(rows, row);
    return {.number = job.id.value,
            .at = job.reserved_at,
            .market = job.market,
            .build = job.build,
            .tier = enum_from_sql<Tier>(rows.text(row, width<Job>())),
            .price = job.price,
            .quantity = job.quantity,
            .unit_price = unit_price(job.price, job.quantity),
            .slots = job.slots};
}

}  // namespace

std::vector<MarketRow> Reader::markets() {
    const Rows rows = held_->run(list_markets, Parameters{}.add_null());
    std::vector<MarketRow> markets;
    for (std::size_t row = 0; row < rows.size(); ++row) markets.push_back(market_row(rows, row));
    return markets;
}

std::optional<MarketRow> Reader::market(std::string_view name) {
    const Rows rows = held_->run(list_markets, Parameters{}.add_text(pack_text(name)));
    if (rows.empty()) return std::nullopt;
    return market_row(rows, 0);
}

Listed<TradeRow> Reader::trades(MarketId market, PageBefore page) {
    const Rows rows = held_->run(list_trades, Parameters{}
                                                  .add(number(market.value))
                                                  .add(below(page))
                                                  .add(std::int64_t{page.rows_max} + 1));
    return page_of<TradeRow>(rows, page.rows_max, trade_row);
}

std::vector<CandleRow> Reader::candles(MarketId market, Duration interval, Instant from,
                                       Instant to) {
    const std::int64_t step = std::max<std::int64_t>(1, interval.us / minutes(1).us);
    const Rows rows =
        held_->run(list_candles, Parameters{}
                                     .add(number(market.value))
                                     .add(step)
                                     .add(from.us / minutes(1).us / step * step)
                                     .add((to.us + minutes(1).us - 1) / minutes(1).us));
    std::vector<CandleRow> candles;
    for (std::size_t row = 0; row < rows.size(); ++row)
        candles.push_back({.from = {rows.integer(row, 0) * minutes(1).us},
                           .open = {rows.integer(row, 1)},
                           .high = {rows.integer(row, 2)},
                           .low = {rows.integer(row, 3)},
                           .close = {rows.integer(row, 4)},
                           .volume = rows.integer(row, 5),
                           .count = rows.integer(row, 6)});
    return candles;
}

PercentileRow Reader::percentiles(MarketId market, Instant from, Instant to) {
    const std::int64_t first = from.us / hours(1).us, end = (to.us + hours(1).us - 1) / hours(1).us;
    const Rows rows =
        held_->run(read_percentiles, Parameters{}.add(number(market.value)).add(first).add(end));
    return {.from = {first * hours(1).us},
            .to = {end * hours(1).us},
            .count = rows.integer(0, 0),
            .p10 = {rows.integer(0, 1)},
            .p50 = {rows.integer(0, 2)},
            .p90 = {rows.integer(0, 3)}};
}

std::vector<DemandRow> Reader::demand(MarketId market, Instant from, Instant to) {
    const Rows rows = held_->run(list_demand, Parameters{}
                                                  .add(number(market.value))
                                                  .add(from.us / hours(1).us)
                                                  .add((to.us + hours(1).us - 1) / hours(1).us));
    std::vector<DemandRow> demand;
    for (std::size_t row = 0; row < rows.size(); ++row)
        demand.push_back({.from = {rows.integer(row, 0) * hours(1).us},
                          .placed = rows.integer(row, 1),
                          .matched = rows.integer(row, 2),
                          .unmatched = rows.integer(row, 3),
                          .wanted = rows.integer(row, 4),
                          .unmet = rows.integer(row, 5)});
    return demand;
}

}  // namespace cocoon::db
