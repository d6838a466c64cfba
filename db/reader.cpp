#include "db/reader.hpp"

#include <unordered_map>

#include "db/columns.hpp"
#include "db/connection.hpp"
#include "db/load.hpp"
#include "matching/codec.hpp"

namespace cocoon::db {
namespace {

using namespace matching;

constexpr std::int64_t auditor_ids_max = 20'000;

template <class Noun>
std::string listed(std::string_view table = "t") {
    return column_list(columns_of<Noun>(), table);
}
template <class Noun>
std::size_t width() {
    static const std::size_t count = columns_of<Noun>().size();
    return count;
}

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }
// "Below" for pages that begin at the newest.
std::int64_t below(const PageBefore& page) {
    return page.before == 0 || page.before > INT64_MAX ? INT64_MAX
                                                       : static_cast<std::int64_t>(page.before);
}
template <class Tag>
void add_optional(Parameters& parameters, Id<Tag> id) {
    id ? parameters.add(number(id.value)) : parameters.add_null();
}
template <class Enum>
void add_optional(Parameters& parameters, std::optional<Enum> value) {
    value ? parameters.add_text(sql_name(*value)) : parameters.add_null();
}
std::uint64_t unsigned_at(const Rows& rows, std::size_t row, std::size_t column) {
    return static_cast<std::uint64_t>(rows.integer(row, column));
}

// The statements ask for one row more than wanted, which only says that there is more.
template <class Row, class Read>
Listed<Row> page_of(const Rows& rows, std::uint32_t rows_max, Read&& read) {
    Listed<Row> list;
    list.more = rows.size() > rows_max;
    const std::size_t count = std::min<std::size_t>(rows.size(), rows_max);
    list.rows.reserve(count);
    for (std::size_t row = 0; row < count; ++row) list.rows.push_back(read(rows, row));
    return list;
}
template <class Noun>
Listed<Noun> nouns_of(const Rows& rows, std::uint32_t rows_max) {
    return page_of<Noun>(rows, rows_max,
                         [](const Rows& all, std::size_t row) { return read_row<Noun>(all, row); });
}
template <class Row>
std::optional<Row> first_of(Listed<Row> list) {
    if (list.rows.empty()) return std::nullopt;
    return std::move(list.rows.front());
}

// A key that came by rotation is shown with the caps and sums that count for it.
void fill_from(const ApiKey& purse, ApiKey& key) {
    key.cap_total = purse.cap_total;
    key.cap_day = purse.cap_day;
    key.spent_total = purse.spent_total;
    key.spent_day = purse.spent_day;
    key.day = purse.day;
    key.held = purse.held;
}

// ---- Statements
// -----------------------------------------------------------------------------------

const Statement begin_reading{"read_cursor",
                              "select sequence, coalesce(fee_basis_points, 500) from projection"};

const Statement find_credential{
    "read_credential", "select " + listed<ApiKey>() +
                           ", a.kind, a.frozen from api_keys t "
                           "join accounts a on a.id = t.account where t.secret_hash = $1::bytea"};
const Statement find_account{
    "read_account", "select " + listed<Account>() + " from accounts t where id = $1::bigint"};
const Statement list_accounts{
    "list_accounts",
    "select " + listed<Account>() +
        " from accounts t where id < $1::bigint and "
        "($2::text is null or kind = $2::text::account_kind) order by id desc limit $3::bigint"};
const Statement list_keys{"list_keys",
                          "select " + listed<ApiKey>() +
                              " from api_keys t where account = $1::bigint "
                              "and ($2::bigint is null or id = $2::bigint) order by id"};
const Statement list_postings{
    "list_postings",
    "select p.sequence, p.ordinal, p.at, p.\"from\", p.from_bucket, p.\"to\", p.to_bucket, "
    "p.amount_nano, p.job, "
    "j.receipt_hash from ("
    "(select * from postings where \"from\" = $1::bigint and (sequence, ordinal) > ($2::bigint, "
    "$3::bigint) "
    "and sequence > $4::bigint and sequence <= $5::bigint order by sequence, ordinal limit "
    "$6::bigint) union all "
    "(select * from postings where \"to\" = $1::bigint and \"to\" <> \"from\" "
    "and (sequence, ordinal) > ($2::bigint, $3::bigint) and sequence > $4::bigint and sequence <= "
    "$5::bigint "
    "order by sequence, ordinal limit $6::bigint)) p "
    "left join jobs j on p.\"to\" <> p.\"from\" and j.account = p.\"from\" and j.id = p.job "
    "order by p.sequence, p.ordinal limit $6::bigint"};
const Statement list_deposits{
    "list_deposits",
    "select " + listed<Deposit>() +
        " from deposits t where id < $2::bigint "
        "and ($1::bigint is null or account = $1::bigint) order by id desc limit $3::bigint"};
const Statement list_payouts{
    "list_payouts",
    "select " + listed<Payout>() +
        " from payouts t where id < $2::bigint "
        "and ($1::bigint is null or account = $1::bigint) order by id desc limit $3::bigint"};
const Statement any_webhook_there{
    "any_webhook", "select exists (select from webhooks where not coalesce(disabled, false))"};
const Statement list_webhooks{"list_webhooks",
                              "select " + listed<Webhook>() +
                                  " from webhooks t "
                                  "where ($1::bigint is null or account = $1::bigint) order by id"};

const Statement list_nodes{"list_nodes",
                           "select " + listed<Node>() +
                               " from nodes t where ($1::bigint is null or provider = $1::bigint) "
                               "and id < $2::bigint and ($3::bigint is null or (connected and not "
                               "draining and not suspended and not retired "
                               "and standing in ('good', 'measurement_pending') "
                               "and valid_until > $3::bigint)) and ($5::text is null or (tier = "
                               "$5::text::tier and evidence_hash is not null)) and ($6::text is "
                               "null or region = $6::text) order by id desc limit $4::bigint"};
const Statement find_node{"read_node",
                          "select " + listed<Node>() + " from nodes t where id = $1::bigint"};
const Statement find_evidence{
    "read_evidence",
    "select node, sequence, at, valid_until, tier, measurement, keyset_digest, "
    "keyset_document, evidence_hash, evidence, verdict from evidence where node = $1::bigint "
    "and ($2::bytea is null or evidence_hash = $2::bytea) order by sequence desc limit 1"};
const Statement list_measurements{
    "list_measurements",
    "select " + listed<Measurement>() +
        " from measurements t where id < $1::bigint and ($2::text is null or state = "
        "$2::text::measurement_state) order by id desc limit $3::bigint"};
const Statement find_measurement{
    "read_measurement",
    "select " + listed<Measurement>() + " from measurements t where id = $1::bigint"};
const Statement list_denials{"list_denials",
                             "select " + listed<Denial>() +
                                 " from denials t where id < $1::bigint order by id desc "
                                 "limit $2::bigint"};
const std::string select_offers =
    "select " + listed<Offer>() +
    ", m.name, n.name, n.region, n.country, n.gpu_model, n.tier, n.connected, "
    "n.draining, n.suspended from offers t join markets m on m.id = t.market join nodes n on n.id "
    "= t.node ";
const Statement find_offer{"read_offer", select_offers + "where t.id = $1::bigint"};
const Statement list_offers_of_provider{
    "list_offers_of_provider", select_offers +
                                   "where t.provider = $1::bigint and t.id < $2::bigint "
                                   "and ($3::bigint is null or t.node = $3::bigint) and "
                                   "($4::bigint is null or t.market = $4::bigint) "
                                   "and ($5::text is null or t.state = $5::text::offer_state) "
                                   "order by t.id desc limit $6::bigint"};
const Statement list_offers_of_market{
    "list_offers_of_market",
    select_offers +
        "where t.market = $1::bigint and t.id < $2::bigint and t.state in ('active', 'paused') "
        "and ($3::bigint is null or t.node = $3::bigint) and ($4::text is null or t.state = "
        "$4::text::offer_state) "
        "order by t.id desc limit $5::bigint"};
const Statement list_all_offers{
    "list_offers", select_offers +
                       "where t.id < $1::bigint and ($2::bigint is null or t.node = $2::bigint) "
                       "and ($3::bigint is null or t.market = $3::bigint) "
                       "and ($4::text is null or t.state = $4::text::offer_state) order by t.id "
                       "desc limit $5::bigint"};

const std::string select_requests =
    "select " + listed<Request>() +
    ", array(select coalesce(m.name, '') from unnest(t.markets) with ordinality "
    "u(id, place) left join markets m on m.id = u.id order by u.place) from requests t ";
const Statement list_requests{
    "list_requests",
    select_requests +
        "where account = $1::bigint and id < $2::bigint "
        "and ($3::text is null or state = $3::text::request_state) "
        "and ($4::bigint is null or $4::bigint = any(markets)) order by id desc limit $5::bigint"};
const Statement list_all_requests{
    "list_all_requests",
    select_requests +
        "where id < $1::bigint and id >= $2::bigint "
        "and ($3::text is null or state = $3::text::request_state) "
        "and ($4::bigint is null or $4::bigint = any(markets)) order by id desc limit $5::bigint"};
const Statement find_request{"read_request",
                             select_requests + "where account = $1::bigint and id = $2::bigint"};
const Statement find_any_request{"read_any_request", select_requests + "where id = $1::bigint"};

const std::string job_extras = ", m.name, n.tier, n.name ";
const std::string job_joins = " join markets m on m.id = t.market join nodes n on n.id = t.node ";
const std::string job_filters =
    " and ($3::text is null or state = $3::text::job_state) and ($4::bigint is null or request = "
    "$4::bigint) "
    "and ($5::bigint is null or node = $5::bigint) and ($6::bigint is null or market = "
    "$6::bigint) ";
const Statement list_jobs{"list_jobs",
                          "select " + listed<Job>() + job_extras +
                              "from ("
                              "(select * from jobs where account = $1::bigint and id < $2::bigint" +
                              job_filters +
                              "order by id desc limit $7::bigint) union all "
                              "(select * from jobs where provider = $1::bigint and account <> "
                              "$1::bigint and id < $2::bigint" +
                              job_filters + "order by id desc limit $7::bigint)) t" + job_joins +
                              "order by t.id desc limit $7::bigint"};
const Statement list_all_jobs{"list_all_jobs", "select " + listed<Job>() + job_extras +
                                                   "from (select * from jobs where id < $2::bigint "
                                                   "and id >= $1::bigint" +
                                                   job_filters +
                                                   "order by id desc limit $7::bigint) t" +
                                                   job_joins + "order by t.id desc"};
const Statement find_job{
    "read_job", "select " + listed<Job>() + job_extras +
                    "from ("
                    "(select * from jobs where account = $1::bigint and id = $2::bigint) union all "
                    "(select * from jobs where provider = $1::bigint and account <> $1::bigint and "
                    "id = $2::bigint)) t" +
                    job_joins};
const Statement find_any_job{
    "read_any_job",
    "select " + listed<Job>() + job_extras + "from jobs t" + job_joins + "where t.id = $1::bigint"};
const Statement find_receipt{
    "read_receipt",
    "select job, counter, at, receipt_hash, document from receipts where job = $1::bigint "
    "and ($2::bigint is null or counter = $2::bigint) order by counter desc limit 1"};

// Sums over ended jobs; the name of a group is text, found after the sums.
std::string usage_sql(std::string_view whose, std::string_view group, std::string_view name,
                      std::string_view order) {
    std::string sql =
        "select " + std::string{name} +
        ", g.jobs, g.completed, g.prompt, g.cached, g.completion, g.reasoning, g.requests, "
        "g.gpu_seconds, g.captured, g.fee from (select " +
        std::string{group} +
        " as what, count(*) as jobs, count(*) filter (where state = 'completed') as completed";
    for (const char* column : {"used_prompt_tokens", "used_cached_tokens", "used_completion_tokens",
                               "used_reasoning_tokens", "used_requests", "used_gpu_seconds",
                               "captured_nano", "fee_nano"}) {
        const std::string_view whole{column};
        const std::string_view start = whole.starts_with("used_") ? whole.substr(5) : whole;
        const std::string_view as =
            start == "gpu_seconds" ? start : start.substr(0, start.find('_'));
        sql.append(", coalesce(sum(").append(whole).append("), 0)::bigint as ").append(as);
    }
    return sql + " from jobs where " + std::string{whose} +
           " = $1::bigint and ended_at >= $2::bigint and ended_at < $3::bigint group by 1) g "
           "order by " +
           std::string{order} + " limit 1000";
}
struct UsageStatements {
    Statement day, market, node, key;
    UsageStatements(std::string_view whose, const std::string& prefix)
        : day{prefix + "_day",
              usage_sql(whose, "ended_at / 86400000000",
                        "(date '1970-01-01' + g.what::integer)::text", "g.what desc")},
          market{prefix + "_market",
                 usage_sql(whose, "market", "(select m.name from markets m where m.id = g.what)",
                           "g.captured desc, 1")},
          node{prefix + "_node", usage_sql(whose, "node", "g.what::text", "g.captured desc, 1")},
          key{prefix + "_key",
              usage_sql(whose, "coalesce(key, 0)", "g.what::text", "g.captured desc, 1")} {}
    const Statement& of(UsageGroup group) const {
        switch (group) {
            case UsageGroup::day: return day;
            case UsageGroup::market: return market;
            case UsageGroup::node: return node;
            case UsageGroup::key: break;
        }
        return key;
    }
};

const UsageStatements usage_bought_by{"account", "usage_bought"};
const UsageStatements usage_sold_by{"provider", "usage_sold"};
const Statement read_network{
    "read_network",
    "select tier, coalesce(region, ''), coalesce(gpu_model, ''), count(*), "
    "count(*) filter (where up), sum(gpu_count)::bigint, "
    "coalesce(sum(gpu_count) filter (where up), 0)::bigint "
    "from (select case when evidence_hash is null then null else tier::text end as tier, region, "
    "gpu_model, gpu_count, connected and not draining and not suspended and "
    "standing = 'good' and coalesce(valid_until > $1::bigint, false) as "
    "up from nodes where not retired) n "
    "group by 1, 2, 3 order by 4 desc, 1, 2, 3 limit 1000"};
const Statement read_counters{"read_counters",
                              "select coalesce(counters, ''::bytea) from projection"};

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

const Statement read_overview{
    "read_overview",
    "select (select count(*) from accounts where kind = 'developer'), "
    "(select count(*) from accounts where kind = 'provider'), (select count(*) from accounts where "
    "frozen), "
    "(select count(*) from nodes), (select count(*) from nodes where connected), "
    "(select count(*) from nodes where suspended), (select count(*) from nodes where valid_until > "
    "$1::bigint), "
    "(select count(*) from markets), (select count(*) from offers where state = 'active'), "
    "(select coalesce(sum(slots), 0)::bigint from offers where state = 'active'), "
    "(select coalesce(sum(slots_used), 0)::bigint from offers where state in ('active', "
    "'paused')), "
    "(select count(*) from requests where state = 'resting'), (select count(*) from jobs where "
    "ended_at is null), "
    "(select count(*) from payouts where state in ('queued', 'sent'))"};
const Statement read_ledger{"read_ledger",
                            "select b.bucket::text, count(*) filter (where b.amount <> 0), "
                            "coalesce(sum(b.amount), 0)::bigint from accounts a, "
                            "lateral (values ('available', a.available_nano), ('held', "
                            "a.held_nano), ('earned', a.earned_nano), "
                            "('paying', a.paying_nano), ('fees', a.fees_nano), ('chain', "
                            "a.chain_nano)) b(bucket, amount) group by b.bucket"};
const Statement read_reconciliation{
    "read_reconciliation",
    "select at, lt, balance_nano, owed_nano, held_nano, operator_nano, fees_nano, moving_nano, "
    "difference_nano from chain_reconciliation"};
const Statement read_holds{
    "read_holds", "select count(*), coalesce(sum(amount_nano), 0)::bigint from chain_holds"};
const Statement read_paused{"read_paused",
                            "select paused from payout_switches order by number desc limit 1"};
const Statement read_open_batches{
    "read_open_batches",
    "select number, phase = 'accepted', cardinality(payouts), cost_nano, expires_at, message_hash "
    "from payout_batches where phase in ('open', 'accepted') order by number"};
const Statement list_holds{"list_holds",
                           "select reference, source, memo, reason, amount_nano, at from "
                           "chain_holds order by at desc, reference limit $1::bigint"};
const Statement list_audit{
    "list_audit",
    "select sequence, ordinal, at, actor, action, target, before, after, note from audit "
    "where (sequence, ordinal) < ($1::bigint, $2::bigint) "
    "order by sequence desc, ordinal desc limit $3::bigint"};

// Who an id belongs to, for events that carry only the id.
const Statement owners_of_jobs{
    "owners_of_jobs", "select id, account, provider from jobs where id = any($1::bigint[])"};
const Statement owners_of_requests{
    "owners_of_requests",
    "select id, account, 0::bigint from requests where id = any($1::bigint[])"};
const Statement owners_of_offers{
    "owners_of_offers", "select id, 0::bigint, provider from offers where id = any($1::bigint[])"};
const Statement owners_of_nodes{
    "owners_of_nodes", "select id, 0::bigint, provider from nodes where id = any($1::bigint[])"};
const Statement owners_of_measurements{
    "owners_of_measurements",
    "select id, submitter, 0::bigint from measurements where id = any($1::bigint[])"};
const Statement owners_of_payouts{
    "owners_of_payouts", "select id, account, 0::bigint from payouts where id = any($1::bigint[])"};
const Statement owners_of_keys{
    "owners_of_keys", "select id, account, 0::bigint from api_keys where id = any($1::bigint[])"};

// ---- Rows to structs
// --------------------------------------------------------------------------------

std::string text_or_empty(const Rows& rows, std::size_t row, std::size_t column) {
    return rows.null(row, column) ? std::string{} : unpack_text(rows.text(row, column));
}
std::string hash_or_empty(const Rows& rows, std::size_t row, std::size_t column,
                          std::string_view prefix = {}) {
    return rows.null(row, column) ? std::string{} : unpack_hash(rows.text(row, column), prefix);
}

OfferRow offer_row(const Rows& rows, std::size_t row) {
    const std::size_t next = width<Offer>();
    return {.offer = read_row<Offer>(rows, row),
            .market = text_or_empty(rows, row, next),
            .node_name = text_or_empty(rows, row, next + 1),
            .region = text_or_empty(rows, row, next + 2),
            .country = text_or_empty(rows, row, next + 3),
            .gpu_model = text_or_empty(rows, row, next + 4),
            .tier = enum_from_sql<Tier>(rows.text(row, next + 5)),
            .node_connected = rows.boolean(row, next + 6),
            .node_draining = rows.boolean(row, next + 7),
            .node_suspended = rows.boolean(row, next + 8)};
}
RequestRow request_row(const Rows& rows, std::size_t row) {
    return {.request = read_row<Request>(rows, row), .markets = rows.texts(row, width<Request>())};
}
JobRow job_row(const Rows& rows, std::size_t row) {
    const std::size_t next = width<Job>();
    return {.job = read_row<Job>(rows, row),
            .market = text_or_empty(rows, row, next),
            .tier = enum_from_sql<Tier>(rows.text(row, next + 1)),
            .node_name = text_or_empty(rows, row, next + 2)};
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
StatementLine statement_line(const Rows& rows, std::size_t row) {
    return {.key = {unsigned_at(rows, row, 0), static_cast<std::uint32_t>(rows.integer(row, 1))},
            .at = {rows.integer(row, 2)},
            .posting = {.from = {unsigned_at(rows, row, 3)},
                        .from_bucket = enum_from_sql<Bucket>(rows.text(row, 4)),
                        .to = {unsigned_at(rows, row, 5)},
                        .to_bucket = enum_from_sql<Bucket>(rows.text(row, 6)),
                        .amount = {rows.integer(row, 7)},
                        .job = {rows.null(row, 8) ? 0 : unsigned_at(rows, row, 8)}},
            .receipt_hash = hash_or_empty(rows, row, 9)};
}

}  // namespace

// ---- The snapshot
// ------------------------------------------------------------------------------------

struct Reader::Held {
    Pool::Lease lease;
    Transaction transaction;
    explicit Held(Pool::Lease&& taken)
        : lease{std::move(taken)}, transaction{*lease, Transaction::Kind::read_only_snapshot} {}
    Rows run(const Statement& statement, const Parameters& parameters = {}) {
        return lease->run(statement, parameters);
    }
    std::unordered_map<std::uint64_t, std::pair<AccountId, AccountId>> owners(
        const Statement& statement, std::vector<std::int64_t>& ids);
    void assign_owners(std::vector<FeedEvent>& events);
};

Reader::Reader(Pool& pool) {
    try {
        held_ = std::make_unique<Held>(pool.take());
    } catch (const ConnectionLost&) {
        // An idle connection may have died with the server's last restart; a fresh one decides.
        held_ = std::make_unique<Held>(pool.take());
    }
    const Rows cursor = held_->run(begin_reading);
    as_of_ = unsigned_at(cursor, 0, 0);
    fee_basis_points_ = static_cast<int>(cursor.integer(0, 1));
}

Reader::~Reader() = default;
Reader::Reader(Reader&&) noexcept = default;

// ---- Accounts and keys
// -------------------------------------------------------------------------------

std::optional<Credential> Reader::credential(const Digest& secret_hash) {
    const Rows rows = held_->run(find_credential, Parameters{}.add_bytes(secret_hash));
    if (rows.empty()) return std::nullopt;
    const std::size_t next = width<ApiKey>();
    return Credential{.key = read_row<ApiKey>(rows, 0),
                      .kind = enum_from_sql<AccountKind>(rows.text(0, next)),
                      .frozen = rows.boolean(0, next + 1)};
}

std::optional<Account> Reader::account(AccountId account) {
    return first_of(
        nouns_of<Account>(held_->run(find_account, Parameters{}.add(number(account.value))), 1));
}

Listed<Account> Reader::accounts(std::optional<AccountKind> kind, PageBefore page) {
    Parameters parameters;
    parameters.add(below(page));
    add_optional(parameters, kind);
    parameters.add(std::int64_t{page.rows_max} + 1);
    return nouns_of<Account>(held_->run(list_accounts, parameters), page.rows_max);
}

std::vector<ApiKey> Reader::keys(AccountId account) {
    std::vector<ApiKey> keys =
        read_all<ApiKey>(held_->run(list_keys, Parameters{}.add(number(account.value)).add_null()));
    // In the order of ids, and a purse is older than what came from it.
    for (ApiKey& key : keys) {
        if (!key.purse) continue;
        const auto purse = std::ranges::lower_bound(keys, key.purse, {}, &ApiKey::id);
        if (purse != keys.end() && purse->id == key.purse) fill_from(*purse, key);
    }
    return keys;
}

std::optional<ApiKey> Reader::key(AccountId account, KeyId key) {
    const auto read = [&](KeyId id) {
        return first_of(nouns_of<ApiKey>(
            held_->run(list_keys, Parameters{}.add(number(account.value)).add(number(id.value))),
            1));
    };
    std::optional<ApiKey> found = read(key);
    if (!found || !found->purse) return found;
    if (const std::optional<ApiKey> purse = read(found->purse)) fill_from(*purse, *found);
    return found;
}

Listed<StatementLine> Reader::statement(AccountId account, Instant from, Instant to, EntryKey after,
                                        std::uint32_t rows_max) {
    const std::uint64_t first = from.us == 0 ? 0 : sequence_before(*held_->lease, from, as_of_);
    const std::uint64_t last = to.us == 0 ? as_of_ : sequence_before(*held_->lease, to, as_of_);
    const Rows rows = held_->run(list_postings, Parameters{}
                                                    .add(number(account.value))
                                                    .add(number(after.sequence))
                                                    .add(std::int64_t{after.ordinal})
                                                    .add(number(first))
                                                    .add(number(last))
                                                    .add(std::int64_t{rows_max} + 1));
    return page_of<StatementLine>(rows, rows_max, statement_line);
}

Listed<Deposit> Reader::deposits(AccountId account, PageBefore page) {
    Parameters parameters;
    add_optional(parameters, account);
    parameters.add(below(page)).add(std::int64_t{page.rows_max} + 1);
    return nouns_of<Deposit>(held_->run(list_deposits, parameters), page.rows_max);
}

Listed<Payout> Reader::payouts(AccountId account, PageBefore page) {
    Parameters parameters;
    add_optional(parameters, account);
    parameters.add(below(page)).add(std::int64_t{page.rows_max} + 1);
    return nouns_of<Payout>(held_->run(list_payouts, parameters), page.rows_max);
}

bool Reader::any_webhook() { return held_->run(any_webhook_there).boolean(0, 0); }

std::vector<Webhook> Reader::webhooks(AccountId account) {
    Parameters parameters;
    add_optional(parameters, account);
    return read_all<Webhook>(held_->run(list_webhooks, parameters));
}

// ---- Supply
// --------------------------------------------------------------------------------------------

Listed<Node> Reader::nodes(const NodeFilter& filter, PageBefore page) {
    Parameters parameters;
    add_optional(parameters, filter.provider);
    parameters.add(below(page));
    filter.matchable_at ? parameters.add(filter.matchable_at->us) : parameters.add_null();
    parameters.add(std::int64_t{page.rows_max} + 1);
    add_optional(parameters, filter.tier);
    filter.region.empty() ? parameters.add_null() : parameters.add_text(filter.region);
    return nouns_of<Node>(held_->run(list_nodes, parameters), page.rows_max);
}

std::optional<Node> Reader::node(NodeId node) {
    return first_of(nouns_of<Node>(held_->run(find_node, Parameters{}.add(number(node.value))), 1));
}

Listed<Measurement> Reader::measurements(std::optional<MeasurementState> state, PageBefore page) {
    Parameters parameters;
    parameters.add(below(page));
    add_optional(parameters, state);
    parameters.add(std::int64_t{page.rows_max} + 1);
    return nouns_of<Measurement>(held_->run(list_measurements, parameters), page.rows_max);
}

std::optional<Measurement> Reader::measurement(MeasurementId measurement) {
    return first_of(nouns_of<Measurement>(
        held_->run(find_measurement, Parameters{}.add(number(measurement.value))), 1));
}

Listed<Denial> Reader::denials(PageBefore page) {
    Parameters parameters;
    parameters.add(below(page));
    parameters.add(std::int64_t{page.rows_max} + 1);
    return nouns_of<Denial>(held_->run(list_denials, parameters), page.rows_max);
}

std::optional<EvidenceRow> Reader::evidence(NodeId node) { return evidence(node, {}); }

std::optional<EvidenceRow> Reader::evidence(NodeId node, std::string_view evidence_hash) {
    Parameters parameters;
    parameters.add(number(node.value));
    evidence_hash.empty() ? parameters.add_null()
                          : parameters.add_bytes(as_bytes(pack_hash(evidence_hash, {})));
    const Rows rows = held_->run(find_evidence, parameters);
    if (rows.empty()) return std::nullopt;
    return EvidenceRow{.node = {unsigned_at(rows, 0, 0)},
                       .sequence = unsigned_at(rows, 0, 1),
                       .at = {rows.integer(0, 2)},
                       .valid_until = {rows.integer(0, 3)},
                       .tier = enum_from_sql<Tier>(rows.text(0, 4)),
                       .measurement = text_or_empty(rows, 0, 5),
                       .keyset_digest = hash_or_empty(rows, 0, 6, detail::keyset_prefix),
                       .keyset_document = text_or_empty(rows, 0, 7),
                       .evidence_hash = hash_or_empty(rows, 0, 8),
                       .evidence = std::string{rows.text(0, 9)},
                       .verdict = text_or_empty(rows, 0, 10)};
}

Listed<OfferRow> Reader::offers(const OfferFilter& filter, PageBefore page) {
    const bool live = filter.state == OfferState::active || filter.state == OfferState::paused;
    const bool by_market = !filter.provider && filter.market && live;
    Parameters parameters;
    if (filter.provider) parameters.add(number(filter.provider.value));
    if (by_market) parameters.add(number(filter.market.value));
    parameters.add(below(page));
    add_optional(parameters, filter.node);
    if (!by_market) add_optional(parameters, filter.market);
    add_optional(parameters, filter.state);
    parameters.add(std::int64_t{page.rows_max} + 1);
    const Statement& statement = filter.provider ? list_offers_of_provider
                                 : by_market     ? list_offers_of_market
                                                 : list_all_offers;
    return page_of<OfferRow>(held_->run(statement, parameters), page.rows_max, offer_row);
}

std::optional<OfferRow> Reader::offer(OfferId offer) {
    return first_of(page_of<OfferRow>(held_->run(find_offer, Parameters{}.add(number(offer.value))),
                                      1, offer_row));
}

// ---- Demand
// --------------------------------------------------------------------------------------------

Listed<RequestRow> Reader::requests(AccountId account, const RequestFilter& filter,
                                    PageBefore page) {
    Parameters parameters;
    if (account) {
        parameters.add(number(account.value)).add(below(page));
    } else {
        const std::int64_t end = std::min(below(page), newest_id() + 1);
        parameters.add(end).add(end - auditor_ids_max);
    }
    add_optional(parameters, filter.state);
    add_optional(parameters, filter.market);
    parameters.add(std::int64_t{page.rows_max} + 1);
    return page_of<RequestRow>(held_->run(account ? list_requests : list_all_requests, parameters),
                               page.rows_max, request_row);
}

std::optional<RequestRow> Reader::request(AccountId account, RequestId request) {
    Parameters parameters;
    if (account) parameters.add(number(account.value));
    parameters.add(number(request.value));
    return first_of(page_of<RequestRow>(
        held_->run(account ? find_request : find_any_request, parameters), 1, request_row));
}

Listed<JobRow> Reader::jobs(AccountId account, const JobFilter& filter, PageBefore page) {
    Parameters parameters;
    if (account) {
        parameters.add(number(account.value)).add(below(page));
    } else {
        const std::int64_t end = std::min(below(page), newest_id() + 1);
        parameters.add(end - auditor_ids_max).add(end);
    }
    add_optional(parameters, filter.state);
    add_optional(parameters, filter.request);
    add_optional(parameters, filter.node);
    add_optional(parameters, filter.market);
    parameters.add(std::int64_t{page.rows_max} + 1);
    return page_of<JobRow>(held_->run(account ? list_jobs : list_all_jobs, parameters),
                           page.rows_max, job_row);
}

std::optional<JobRow> Reader::job(AccountId account, JobId job) {
    Parameters parameters;
    if (account) parameters.add(number(account.value));
    parameters.add(number(job.value));
    return first_of(
        page_of<JobRow>(held_->run(account ? find_job : find_any_job, parameters), 1, job_row));
}

namespace {

std::optional<ReceiptRow> receipt_of(const Rows& rows) {
    if (rows.empty()) return std::nullopt;
    return ReceiptRow{.job = {unsigned_at(rows, 0, 0)},
                      .counter = unsigned_at(rows, 0, 1),
                      .at = {rows.integer(0, 2)},
                      .receipt_hash = hash_or_empty(rows, 0, 3),
                      .document = text_or_empty(rows, 0, 4)};
}

}  // namespace

std::optional<ReceiptRow> Reader::receipt(JobId job) {
    return receipt_of(held_->run(find_receipt, Parameters{}.add(number(job.value)).add_null()));
}

std::optional<ReceiptRow> Reader::receipt(JobId job, std::uint64_t counter) {
    return receipt_of(
        held_->run(find_receipt, Parameters{}.add(number(job.value)).add(number(counter))));
}

// ---- Public market data
// --------------------------------------------------------------------------------

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

// ---- Sums for people
// -----------------------------------------------------------------------------------

namespace {

std::vector<UsageRow> usage_of(const Rows& rows) {
    std::vector<UsageRow> usage;
    for (std::size_t row = 0; row < rows.size(); ++row)
        usage.push_back({.name = text_or_empty(rows, row, 0),
                         .jobs = rows.integer(row, 1),
                         .completed = rows.integer(row, 2),
                         .usage = {.prompt = rows.integer(row, 3),
                                   .cached = rows.integer(row, 4),
                                   .completion = rows.integer(row, 5),
                                   .reasoning = rows.integer(row, 6),
                                   .requests = rows.integer(row, 7),
                                   .gpu_seconds = rows.integer(row, 8)},
                         .captured = {rows.integer(row, 9)},
                         .fee = {rows.integer(row, 10)}});
    return usage;
}

Parameters usage_parameters(AccountId account, Instant from, Instant to) {
    Parameters parameters;
    parameters.add(number(account.value)).add(from.us).add(to.us);
    return parameters;
}

}  // namespace

std::vector<UsageRow> Reader::usage_bought(AccountId account, UsageGroup group, Instant from,
                                           Instant to) {
    return usage_of(held_->run(usage_bought_by.of(group), usage_parameters(account, from, to)));
}

std::vector<UsageRow> Reader::usage_sold(AccountId provider, UsageGroup group, Instant from,
                                         Instant to) {
    return usage_of(held_->run(usage_sold_by.of(group), usage_parameters(provider, from, to)));
}

std::vector<NetworkRow> Reader::network(Instant now) {
    const Rows rows = held_->run(read_network, Parameters{}.add(now.us));
    std::vector<NetworkRow> network;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        NetworkRow found{.tier = {},
                         .region = std::string{rows.text(row, 1)},
                         .gpu_model = std::string{rows.text(row, 2)},
                         .nodes = rows.integer(row, 3),
                         .available = rows.integer(row, 4),
                         .gpus = rows.integer(row, 5),
                         .gpus_available = rows.integer(row, 6)};
        if (!rows.null(row, 0)) found.tier = enum_from_sql<Tier>(rows.text(row, 0));
        network.push_back(std::move(found));
    }
    return network;
}

// ---- Operation
// -----------------------------------------------------------------------------------------

Overview Reader::overview(Instant now) {
    const Rows rows = held_->run(read_overview, Parameters{}.add(now.us));
    Overview overview;
    std::int64_t* const counts[] = {
        &overview.developers,     &overview.providers,       &overview.accounts_frozen,
        &overview.nodes,          &overview.nodes_connected, &overview.nodes_suspended,
        &overview.nodes_attested, &overview.markets,         &overview.offers_active,
        &overview.slots,          &overview.slots_used,      &overview.requests_resting,
        &overview.jobs_open,      &overview.payouts_open};
    for (std::size_t column = 0; column < std::size(counts); ++column)
        *counts[column] = rows.integer(0, column);
    overview.journal_sequence = as_of_;
    return overview;
}

std::vector<LedgerLine> Reader::ledger() {
    const Rows rows = held_->run(read_ledger);
    std::vector<LedgerLine> ledger(bucket_count);
    for (std::size_t index = 0; index < ledger.size(); ++index)
        ledger[index].bucket = static_cast<Bucket>(index);
    for (std::size_t row = 0; row < rows.size(); ++row) {
        LedgerLine& line =
            ledger[static_cast<std::size_t>(enum_from_sql<Bucket>(rows.text(row, 0)))];
        line.accounts = rows.integer(row, 1);
        line.amount = {rows.integer(row, 2)};
    }
    return ledger;
}

SettlementRow Reader::settlement() {
    SettlementRow settlement;
    const Rows found = held_->run(read_reconciliation);
    if (!found.empty()) {
        const auto money = [&](std::size_t column) { return Nano{found.integer(0, column)}; };
        settlement.reconciliation = Reconciliation{.at = {found.integer(0, 0)},
                                                   .lt = unsigned_at(found, 0, 1),
                                                   .balance = money(2),
                                                   .owed = money(3),
                                                   .held = money(4),
                                                   .operator_funds = money(5),
                                                   .fees = money(6),
                                                   .moving = money(7),
                                                   .difference = money(8)};
    }
    const Rows sums = held_->run(read_holds);
    settlement.holds = sums.integer(0, 0);
    settlement.held = Nano{sums.integer(0, 1)};
    const Rows paused = held_->run(read_paused);
    settlement.payouts_paused = !paused.empty() && paused.boolean(0, 0);
    const Rows batches = held_->run(read_open_batches);
    for (std::size_t row = 0; row < batches.size(); ++row) {
        settlement.batches.push_back({unsigned_at(batches, row, 0), batches.boolean(row, 1),
                                      batches.integer(row, 2), Nano{batches.integer(row, 3)},
                                      Instant{batches.integer(row, 4)},
                                      std::string{batches.text(row, 5)}});
    }
    return settlement;
}

std::vector<HoldRow> Reader::holds(std::uint32_t rows_max) {
    const Rows rows = held_->run(list_holds, Parameters{}.add(std::int64_t{rows_max}));
    std::vector<HoldRow> holds;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        holds.push_back({std::string{rows.text(row, 0)}, std::string{rows.text(row, 1)},
                         std::string{rows.text(row, 2)}, std::string{rows.text(row, 3)},
                         Nano{rows.integer(row, 4)}, Instant{rows.integer(row, 5)}});
    }
    return holds;
}

Listed<AuditRow> Reader::audit(EntryKey before, std::uint32_t rows_max) {
    if (before == EntryKey{}) before.sequence = static_cast<std::uint64_t>(INT64_MAX);
    const Rows rows = held_->run(list_audit, Parameters{}
                                                 .add(number(before.sequence))
                                                 .add(std::int64_t{before.ordinal})
                                                 .add(std::int64_t{rows_max} + 1));
    return page_of<AuditRow>(rows, rows_max, [](const Rows& all, std::size_t row) {
        return AuditRow{
            .key = {unsigned_at(all, row, 0), static_cast<std::uint32_t>(all.integer(row, 1))},
            .at = {all.integer(row, 2)},
            .actor = {unsigned_at(all, row, 3)},
            .action = text_or_empty(all, row, 4),
            .target = text_or_empty(all, row, 5),
            .before = text_or_empty(all, row, 6),
            .after = text_or_empty(all, row, 7),
            .note = text_or_empty(all, row, 8)};
    });
}

// No request or job has a greater id.
std::int64_t Reader::newest_id() {
    const Rows rows = held_->run(read_counters);
    const auto counters = decode_counters(rows.text(0, 0));
    return counters ? number(std::max(counters->request, counters->job)) : 0;
}

// ---- Feeds
// ---------------------------------------------------------------------------------------------

namespace {

// Whom an event concerns: directly, or by the id that has to be looked up.
enum class Lookup { none, job, request, offer, node, payout, key, measurement };
constexpr std::size_t lookup_count = 8;
struct Concern {
    AccountId account, provider;
    Lookup lookup = Lookup::none;
    std::uint64_t id = 0;
};

struct ConcernOf {
    using C = Concern;
    C operator()(const AccountOpened& e) const { return {e.account.id, {}}; }
    C operator()(const AccountAmended& e) const { return {e.account, {}}; }
    C operator()(const KeyCreated& e) const { return {e.key.account, {}}; }
    C operator()(const KeyAmended& e) const { return {{}, {}, Lookup::key, e.key.value}; }
    C operator()(const EnrolmentIssued& e) const { return {{}, e.enrolment.provider}; }
    C operator()(const EnrolmentEnded&) const { return {}; }
    C operator()(const NodeEnrolled& e) const { return {{}, e.node.provider}; }
    C operator()(const NodeAttested& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const NodePresence& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const NodeDrained& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const NodeSuspended& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const EvidenceExpiring& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const EvidenceDoubted& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const EvidenceEnded& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const MarketOpened&) const { return {}; }
    C operator()(const MarketPaused&) const { return {}; }
    C operator()(const OfferPlaced& e) const { return {{}, e.offer.provider}; }
    C operator()(const OfferAmended& e) const { return {{}, e.offer.provider}; }
    C operator()(const OfferEnded& e) const { return {{}, {}, Lookup::offer, e.offer.value}; }
    C operator()(const RequestPlaced& e) const { return {e.request.account, {}}; }
    C operator()(const RequestAmended& e) const { return {e.request.account, {}}; }
    C operator()(const RequestRested& e) const {
        return {{}, {}, Lookup::request, e.request.value};
    }
    C operator()(const RequestEnded& e) const { return {{}, {}, Lookup::request, e.request.value}; }
    C operator()(const JobReserved& e) const { return {e.job.account, e.job.provider}; }
    C operator()(const JobStarted& e) const { return {{}, {}, Lookup::job, e.job.value}; }
    C operator()(const JobRenewed& e) const { return {{}, {}, Lookup::job, e.job.value}; }
    C operator()(const UsageCaptured& e) const { return {{}, {}, Lookup::job, e.job.value}; }
    C operator()(const JobEnded& e) const { return {{}, {}, Lookup::job, e.job.value}; }
    C operator()(const ReceiptStored& e) const { return {{}, {}, Lookup::job, e.job.value}; }
    C operator()(const DepositCredited& e) const { return {e.deposit.account, {}}; }
    C operator()(const PayoutRequested& e) const { return {e.payout.account, {}}; }
    C operator()(const PayoutAdvanced& e) const { return {{}, {}, Lookup::payout, e.payout.value}; }
    C operator()(const FeeChanged&) const { return {}; }
    C operator()(const WebhookPut& e) const { return {e.webhook.account, {}}; }
    C operator()(const WebhookRemoved&) const { return {}; }
    C operator()(const Audited& e) const { return {e.actor, {}}; }
    C operator()(const NodeRetired& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const NodeStanding& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const MeasurementSubmitted& e) const { return {e.measurement.submitter, {}}; }
    C operator()(const MeasurementDecided& e) const {
        return {{}, {}, Lookup::measurement, e.measurement.value};
    }
    C operator()(const IdentityDenied&) const { return {}; }
    C operator()(const DenialLifted&) const { return {}; }
    C operator()(const TrustRuleChanged&) const { return {}; }
};

}  // namespace

std::unordered_map<std::uint64_t, std::pair<AccountId, AccountId>> Reader::Held::owners(
    const Statement& statement, std::vector<std::int64_t>& ids) {
    std::unordered_map<std::uint64_t, std::pair<AccountId, AccountId>> owners;
    if (ids.empty()) return owners;
    std::ranges::sort(ids);
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    ArrayBuilder array{ArrayBuilder::Type::bigint};
    for (const std::int64_t id : ids) array.add(id);
    const Rows rows = run(statement, Parameters{}.add_encoded(array.finish()));
    for (std::size_t row = 0; row < rows.size(); ++row)
        owners[unsigned_at(rows, row, 0)] = {{unsigned_at(rows, row, 1)},
                                             {unsigned_at(rows, row, 2)}};
    return owners;
}

void Reader::Held::assign_owners(std::vector<FeedEvent>& events) {
    std::vector<Concern> concerns;
    std::vector<std::int64_t> ids[lookup_count];
    for (const FeedEvent& event : events) {
        concerns.push_back(std::visit(ConcernOf{}, event.event));
        ids[static_cast<int>(concerns.back().lookup)].push_back(number(concerns.back().id));
    }
    const Statement* const statements[lookup_count] = {
        nullptr,          &owners_of_jobs,    &owners_of_requests, &owners_of_offers,
        &owners_of_nodes, &owners_of_payouts, &owners_of_keys,     &owners_of_measurements};
    std::unordered_map<std::uint64_t, std::pair<AccountId, AccountId>> found[lookup_count];
    for (std::size_t kind = 1; kind < lookup_count; ++kind)
        found[kind] = owners(*statements[kind], ids[kind]);
    for (std::size_t index = 0; index < events.size(); ++index) {
        const Concern& concern = concerns[index];
        events[index].account = concern.account;
        events[index].provider = concern.provider;
        const auto& known = found[static_cast<int>(concern.lookup)];
        if (const auto owner = known.find(concern.id); owner != known.end())
            std::tie(events[index].account, events[index].provider) = owner->second;
    }
}

Feed Reader::feed(AccountId account, std::uint64_t after, std::size_t entries_max) {
    Feed feed{.events = {}, .scanned_to = after, .more = false};
    if (after >= as_of_) return feed;
    // Only what the projections have: an event's owner is then in the tables.
    const std::size_t wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(entries_max, as_of_ - after));
    for (const Entry& entry : read_entries(*held_->lease, after, wanted)) {
        std::uint32_t ordinal = 0;
        for (const Event& event : entry.events)
            feed.events.push_back({{entry.sequence, ordinal++}, entry.at, event, {}, {}});
    }
    feed.scanned_to = after + wanted;
    held_->assign_owners(feed.events);
    if (account)
        std::erase_if(feed.events, [&](const FeedEvent& event) {
            return event.account != account && event.provider != account;
        });
    feed.more = feed.scanned_to < as_of_;
    return feed;
}

std::optional<FeedEvent> Reader::event_at(EntryKey key) {
    if (key.sequence == 0 || key.sequence > as_of_) return std::nullopt;
    const std::vector<Entry> entries = read_entries(*held_->lease, key.sequence - 1, 1);
    if (entries.empty() || entries[0].sequence != key.sequence ||
        key.ordinal >= entries[0].events.size())
        return std::nullopt;
    std::vector<FeedEvent> events{{key, entries[0].at, entries[0].events[key.ordinal], {}, {}}};
    held_->assign_owners(events);
    return std::move(events.front());
}

}  // namespace cocoon::db
