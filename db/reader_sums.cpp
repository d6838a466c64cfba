// Sums for people: usage, the network, the whole house.
#include "db/reader_parts.hpp"

namespace cocoon::db {

using namespace matching;

namespace {

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
    "(select count(*) from payouts where settled_at is null)"};
const Statement read_ledger{"read_ledger",
                            "select b.bucket::text, count(*) filter (where b.amount <> 0), "
                            "coalesce(sum(b.amount), 0)::bigint from accounts a, "
                            "lateral (values ('available', a.available_nano), ('held', "
                            "a.held_nano), ('earned', a.earned_nano), "
                            "('paying', a.paying_nano), ('fees', a.fees_nano), ('chain', "
                            "a.chain_nano)) b(bucket, amount) group by b.bucket"};

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

}  // namespace cocoon::db
