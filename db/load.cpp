#include "db/load.hpp"

#include <unordered_set>

#include "core/limits.hpp"
#include "db/columns.hpp"
#include "matching/codec.hpp"

namespace cocoon::db {
namespace {

// Ended requests and jobs that a restart brings back, so that a late receipt still finds its job.
// After an hour of full load there are millions: the newest of them are enough.
constexpr std::int64_t ended_rows_max = 100'000;

template <class Noun>
std::string select_sql(std::string_view table, std::string_view rest) {
    return "select " + column_list(columns_of<Noun>(), "t") + " from " + std::string{table} +
           " t " + std::string{rest};
}

const Statement read_journal{
    "read_journal",
    "select first, last, at, body from journal where first <= $2::bigint and first >= coalesce("
    "(select first from journal where first <= $1::bigint + 1 order by first desc limit 1), 0) "
    "order by first"};
const Statement read_journal_end{
    "read_journal_end",
    "select coalesce((select last from journal order by first desc limit 1), 0)"};
const Statement read_projection{
    "read_projection",
    "select sequence, fee_basis_points, counters, coalesce(approved_tiers, 0), "
    "coalesce(probation_jobs, 0), payouts_paused from projection"};
const Statement read_hash{"read_state_hash", "select sequence, hash from state_hash"};

const Statement load_accounts{"load_accounts", select_sql<matching::Account>("accounts", "")};
const Statement load_keys{"load_keys", select_sql<matching::ApiKey>("api_keys", "")};
const Statement load_enrolments{"load_enrolments",
                                select_sql<matching::Enrolment>("enrolments", "")};
const Statement load_webhooks{"load_webhooks", select_sql<matching::Webhook>("webhooks", "")};
const Statement load_nodes{"load_nodes", select_sql<matching::Node>("nodes", "")};
const Statement load_markets{"load_markets", select_sql<matching::Market>("markets", "")};
const Statement load_deposits{"load_deposits", select_sql<matching::Deposit>("deposits", "")};
const Statement load_measurements{"load_measurements",
                                  select_sql<matching::Measurement>("measurements", "")};
const Statement load_platforms{"load_platforms", select_sql<matching::Platform>("platforms", "")};
const Statement load_denials{"load_denials", select_sql<matching::Denial>("denials", "")};
const Statement load_offers{
    "load_offers",
    select_sql<matching::Offer>("offers", "where state in ('active', 'paused') or slots_used > 0")};
const Statement load_requests{
    "load_requests",
    select_sql<matching::Request>("requests", "where state = 'resting'") + " union all " +
        select_sql<matching::Request>("jobs j join requests",
                                      "on (t.account, t.id) = (j.account, j.request) "
                                      "where j.ended_at is null and t.state <> 'resting'")};
const Statement load_jobs{"load_jobs", select_sql<matching::Job>("jobs", "where ended_at is null")};
const Statement load_ended_requests{
    "load_ended_requests",
    select_sql<matching::Request>("requests",
                                  "where ended_at >= $1::bigint and state <> 'resting' "
                                  "order by ended_at desc limit $2::bigint")};
const Statement load_ended_jobs{
    "load_ended_jobs", select_sql<matching::Job>("jobs",
                                                 "where ended_at >= $1::bigint "
                                                 "order by ended_at desc limit $2::bigint")};
const Statement load_payouts{"load_payouts",
                             select_sql<matching::Payout>("payouts", "where settled_at is null")};
const Statement journaled_at{
    "journaled_at",
    "select at, first from journal where first <= $1::bigint order by first desc limit 1"};

[[noreturn]] void unreadable(std::uint64_t sequence, const Error& error) {
    throw Failure{"journal entry " + std::to_string(sequence) + " cannot be read: " + error.detail,
                  "XX001"};
}

template <class Noun>
void restore_each(Connection& connection, const Statement& statement, matching::State& state,
                  const Parameters& parameters = {}) {
    const Rows rows = connection.run(statement, parameters);
    for (std::size_t row = 0; row < rows.size(); ++row) state.restore(read_row<Noun>(rows, row));
}

// A request may be found twice: its job is open, and it ended lately itself.
void restore_requests(Connection& connection, matching::State& state, const Parameters& ended) {
    std::unordered_set<std::uint64_t> seen;
    const auto restore = [&](const Rows& rows) {
        for (std::size_t row = 0; row < rows.size(); ++row)
            if (auto request = read_row<matching::Request>(rows, row);
                seen.insert(request.id.value).second)
                state.restore(std::move(request));
    };
    restore(connection.run(load_requests));
    restore(connection.run(load_ended_requests, ended));
}

void restore_remembered(Connection& connection, matching::State& state,
                        const matching::Counters& counters) {
    const Instant oldest = counters.last_at - seconds(limits::idempotency_seconds);
    std::uint64_t after = sequence_before(connection, oldest, counters.sequence);
    constexpr std::size_t step = 10'000;  // bounds the memory of one answer
    for (; after < counters.sequence; after += step)
        for (matching::Entry& entry : read_entries(
                 connection, after, std::min<std::size_t>(step, counters.sequence - after)))
            if (!entry.idempotency_key.empty())
                state.remember(
                    entry.actor, std::move(entry.idempotency_key),
                    {entry.input_hash, std::move(entry.answer), entry.at, entry.sequence});
}

}  // namespace

std::uint64_t sequence_before(Connection& connection, Instant at, std::uint64_t last) {
    std::uint64_t low = 0, high = last;  // every row up to `low` begins before `at`
    while (low < high) {
        const std::uint64_t middle = low + (high - low + 1) / 2;
        const Rows rows =
            connection.run(journaled_at, Parameters{}.add(static_cast<std::int64_t>(middle)));
        if (!rows.empty() && rows.integer(0, 0) < at.us) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    if (low == 0) return 0;
    // A row tells the instant of its first entry only: the one that ends here may reach beyond
    // `at`.
    const Rows row = connection.run(journaled_at, Parameters{}.add(static_cast<std::int64_t>(low)));
    const auto first = static_cast<std::uint64_t>(row.integer(0, 1));
    for (const matching::Entry& entry : read_entries(connection, first - 1, low - first + 1))
        if (entry.at >= at) return entry.sequence - 1;
    return low;
}

std::vector<matching::Entry> read_entries(Connection& connection, std::uint64_t after,
                                          std::size_t entries_max) {
    const std::uint64_t until = after + std::min<std::uint64_t>(entries_max, INT64_MAX - after);
    const Rows rows = connection.run(
        read_journal,
        Parameters{}.add(static_cast<std::int64_t>(after)).add(static_cast<std::int64_t>(until)));
    std::vector<matching::Entry> entries;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const auto first = static_cast<std::uint64_t>(rows.integer(row, 0));
        const auto last = static_cast<std::uint64_t>(rows.integer(row, 1));
        auto stored = matching::decode_entries(rows.text(row, 3), first, {rows.integer(row, 2)});
        if (!stored) unreadable(first, stored.error());
        if (stored->empty() || stored->back().sequence != last)
            unreadable(first,
                       {ErrorCode::internal_error, "its row holds other entries than it says", {}});
        for (matching::Entry& entry :
             *stored)  // the first and the last row may reach beyond what is wanted
            if (entry.sequence > after && entry.sequence <= until)
                entries.push_back(std::move(entry));
    }
    return entries;
}

std::uint64_t journal_sequence(Connection& connection) {
    return static_cast<std::uint64_t>(connection.run(read_journal_end).integer(0, 0));
}

std::uint64_t projection_sequence(Connection& connection) {
    return static_cast<std::uint64_t>(connection.run(read_projection).integer(0, 0));
}

std::unique_ptr<matching::State> restore_state(Connection& connection) {
    auto state = std::make_unique<matching::State>();
    const Rows cursor = connection.run(read_projection);
    matching::Counters counters;
    if (!cursor.null(0, 2)) {
        auto decoded = matching::decode_counters(cursor.text(0, 2));
        if (!decoded) throw Failure{"the projections' counters cannot be read", "XX001"};
        counters = *decoded;
    }
    const Parameters ended =
        Parameters{}
            .add((counters.last_at - seconds(limits::terminal_in_memory_seconds)).us)
            .add(ended_rows_max);
    restore_each<matching::Account>(connection, load_accounts, *state);
    restore_each<matching::ApiKey>(connection, load_keys, *state);
    restore_each<matching::Enrolment>(connection, load_enrolments, *state);
    restore_each<matching::Webhook>(connection, load_webhooks, *state);
    restore_each<matching::Node>(connection, load_nodes, *state);
    restore_each<matching::Market>(connection, load_markets, *state);
    restore_each<matching::Deposit>(connection, load_deposits, *state);
    restore_each<matching::Measurement>(connection, load_measurements, *state);
    restore_each<matching::Platform>(connection, load_platforms, *state);
    restore_each<matching::Denial>(connection, load_denials, *state);
    restore_each<matching::Offer>(connection, load_offers, *state);
    restore_requests(connection, *state, ended);
    restore_each<matching::Job>(connection, load_jobs, *state);
    restore_each<matching::Job>(connection, load_ended_jobs, *state, ended);
    restore_each<matching::Payout>(connection, load_payouts, *state);
    if (!cursor.null(0, 1)) state->restore_fee(static_cast<int>(cursor.integer(0, 1)));
    state->restore_payouts_paused(cursor.boolean(0, 5));
    state->restore(matching::TrustRule{static_cast<matching::TierSet>(cursor.integer(0, 3)),
                                       static_cast<std::uint32_t>(cursor.integer(0, 4))});
    restore_remembered(connection, *state, counters);
    state->finish_restore(counters);
    state->discard_changes();
    return state;
}

matching::Batch replay_next(Connection& connection, matching::State& state, std::size_t entries_max,
                            std::uint64_t no_further_than) {
    matching::Batch batch{.previous = state.counters.sequence, .entries = {}, .changes = {}};
    if (no_further_than <= batch.previous) return batch;
    entries_max = static_cast<std::size_t>(
        std::min<std::uint64_t>(entries_max, no_further_than - batch.previous));
    batch.entries = read_entries(connection, batch.previous, entries_max);
    if (batch.entries.empty()) return batch;
    // The state forgets what ended terminal_in_memory_seconds before an entry, and with it that it
    // changed: a batch must end before anything that ended inside it could be forgotten.
    const Instant until =
        batch.entries.front().at + seconds(limits::terminal_in_memory_seconds / 2);
    std::erase_if(batch.entries,
                  [until](const matching::Entry& entry) { return entry.at > until; });
    std::uint64_t expected = batch.previous;
    for (const matching::Entry& entry : batch.entries) {
        if (entry.sequence != ++expected)
            throw Failure{"the journal lacks entry " + std::to_string(expected), "XX001"};
        state.replay(entry);
    }
    batch.changes = state.take_changes();
    return batch;
}

std::optional<StoredHash> read_state_hash(Connection& connection) {
    const Rows rows = connection.run(read_hash);
    if (rows.empty()) return std::nullopt;
    StoredHash stored{.sequence = static_cast<std::uint64_t>(rows.integer(0, 0)), .hash = {}};
    for (std::size_t index = 0; index < 16; ++index) {
        std::uint64_t& half = index < 8 ? stored.hash.high : stored.hash.low;
        half = half << 8 | rows.bytes(0, 1)[index];
    }
    return stored;
}

}  // namespace cocoon::db
