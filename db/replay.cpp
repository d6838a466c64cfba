#include "db/replay.hpp"

#include <algorithm>

#include "db/columns.hpp"
#include "db/connection.hpp"
#include "db/load.hpp"
#include "db/project.hpp"

namespace cocoon::db {
namespace {

constexpr std::size_t entries_max = 2'000;  // in one transaction

// Every projection and its primary key. What is not here is not rebuilt: the journal itself,
// webhook deliveries, stored hashes.
struct Projection {
    const char* table;
    const char* key;
};
constexpr Projection projections[] = {
    {"accounts", "id"},
    {"api_keys", "id"},
    {"enrolments", "encode(token_hash, 'hex')"},
    {"webhooks", "id"},
    {"nodes", "id"},
    {"evidence", "node || '/' || sequence"},
    {"measurements", "id"},
    {"platforms", "identity"},
    {"denials", "identity"},
    {"markets", "id"},
    {"offers", "id"},
    {"requests", "id"},
    {"jobs", "id"},
    {"postings", "sequence || '/' || ordinal"},
    {"receipts", "job || '/' || counter"},
    {"deposits", "id"},
    {"payouts", "id"},
    {"audit", "sequence || '/' || ordinal"},
    {"candles", "market || '/' || minute"},
    {"price_histogram", "market || '/' || hour || '/' || unit_price"},
    {"demand", "market || '/' || hour"},
    {"projection", "sequence"}};

// A schema of our own that disappears with us.
class ScratchSchema {
public:
    explicit ScratchSchema(Connection& connection)
        : connection_{connection}, name_{"replay_" + std::to_string(connection.backend_pid())} {
        connection_.execute("drop schema if exists " + name_ + " cascade; create schema " + name_);
        for (const Projection& projection : projections)
            connection_.execute("create unlogged table " + name_ + "." + projection.table +
                                " (like " + live() + "." + projection.table + " including all)");
        connection_.execute("insert into " + name_ + ".projection (sequence) values (0)");
        connection_.execute("set search_path = " + name_ + ", " + live());
    }
    ~ScratchSchema() {
        try {
            connection_.execute("drop schema " + name_ + " cascade");
        } catch (const Failure&) {
            // The next replay with this backend's number drops it; nothing reads it.
        }
    }
    const std::string& name() const { return name_; }
    // Where the market's own tables are.
    static std::string live() { return "public"; }

private:
    Connection& connection_;
    std::string name_;
};

TableDifference compare(Connection& connection, const std::string& scratch,
                        const Projection& projection) {
    const std::string ours = scratch + "." + projection.table,
                      live = ScratchSchema::live() + "." + projection.table;
    const auto difference = [&](const std::string& left, const std::string& right) {
        return connection.query("select count(*) over (), (" + std::string{projection.key} +
                                ")::text from (select * from " + left +
                                " except all select * from " + right + ") d order by 2 limit 5");
    };
    const Rows missing = difference(ours, live), unexpected = difference(live, ours);
    TableDifference found{.table = projection.table, .missing = 0, .unexpected = 0, .examples = {}};
    if (!missing.empty()) found.missing = static_cast<std::uint64_t>(missing.integer(0, 0));
    if (!unexpected.empty())
        found.unexpected = static_cast<std::uint64_t>(unexpected.integer(0, 0));
    for (const Rows* rows : {&missing, &unexpected})
        for (std::size_t row = 0; row < rows->size(); ++row)
            if (const std::string key{rows->text(row, 1)};
                found.examples.size() < 5 &&
                std::ranges::find(found.examples, key) == found.examples.end())
                found.examples.push_back(key);
    return found;
}

// Replays up to `target`; every chunk is one call of the projector's own code.
void rebuild(Connection& connection, matching::State& state, std::uint64_t target,
             bool own_transactions) {
    while (state.counters.sequence < target) {
        const std::uint64_t cursor = state.counters.sequence;
        const matching::Batch batch = replay_next(connection, state, entries_max, target);
        if (batch.entries.empty()) return;
        const matching::Batch* batches[] = {&batch};
        if (own_transactions) {
            Transaction transaction{connection};
            project(connection, batches, cursor);
            transaction.commit();
        } else {
            project(connection, batches, cursor);
        }
        state.forget(batch.entries.back().at);
    }
}

const Statement live_cursor{"replay_live_cursor", "select sequence from public.projection"};
const Statement run_checks{"check_books",
                           "select problem, subject from check_books() union all "
                           "select problem, subject from check_journal()"};

}  // namespace

ReplayReport rebuild_and_compare(const ConnectOptions& options) {
    ConnectOptions patient = options;
    patient.application_name += " replay";
    patient.statement_milliseconds = 0;
    Connection connection{patient};
    const ScratchSchema scratch{connection};
    matching::State state;
    const auto cursor = [&] {
        return static_cast<std::uint64_t>(connection.run(live_cursor).integer(0, 0));
    };
    rebuild(connection, state, cursor(), true);
    // The live tables have moved on meanwhile: one snapshot holds them still for the last few
    // entries.
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
    ReplayReport report;
    report.sequence = cursor();
    rebuild(connection, state, report.sequence, false);
    report.entries = state.counters.sequence;
    for (const Projection& projection : projections) {
        report.tables.emplace_back(projection.table);
        TableDifference difference = compare(connection, scratch.name(), projection);
        if (difference.missing || difference.unexpected)
            report.differences.push_back(std::move(difference));
    }
    connection.execute("COMMIT");
    return report;
}

std::vector<BookProblem> check_books(const ConnectOptions& options) {
    ConnectOptions patient = options;
    patient.statement_milliseconds = 0;
    Connection connection{patient};
    const Rows rows = connection.run(run_checks);
    std::vector<BookProblem> problems;
    for (std::size_t row = 0; row < rows.size(); ++row)
        problems.push_back({std::string{rows.text(row, 0)}, std::string{rows.text(row, 1)}});
    return problems;
}

}  // namespace cocoon::db
