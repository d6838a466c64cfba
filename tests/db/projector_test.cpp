// The projections: coalescing, gaps, overlaps, backpressure, broken connections; and the two
// audits.
#include <thread>

#include "db/load.hpp"
#include "db/replay.hpp"
#include "tests/db/market.hpp"

using namespace cocoon;
using namespace cocoon::db;
using namespace cocoon::db::test;

namespace {

std::vector<std::string> differences(const Database& database) {
    std::vector<std::string> tables;
    for (const TableDifference& difference : rebuild_and_compare(database.options()).differences)
        tables.push_back(difference.table);
    return tables;
}
std::vector<std::string> problems(const Database& database) {
    std::vector<std::string> checks;
    for (const BookProblem& problem : check_books(database.options()))
        checks.push_back(problem.check);
    return checks;
}

}  // namespace

TEST_CASE("projector: however batches are grouped, the tables are those of a replay") {
    Database database;
    TestMarket market{database};
    const std::size_t every = GENERATE(1u, 5u, 1000u);
    market.furnish();
    market.project();
    std::size_t count = 0;
    for (int round = 0; round < 4; ++round) {
        market.live_a_little();
        if (++count % every == 0) market.project();
    }
    market.project();
    const ReplayReport report = rebuild_and_compare(database.options());
    CHECK(report.sequence == market.writer->state().counters.sequence);
    CHECK(report.entries == report.sequence);
    CHECK(report.tables.size() == 22);
    for (const TableDifference& difference : report.differences)
        FAIL_CHECK(difference.table << " missing " << difference.missing << " unexpected "
                                    << difference.unexpected);
    CHECK(problems(database).empty());
    CHECK(database.number("select count(*) from pg_namespace where nspname like 'replay%'") == 0);
    // Something of everything was there to compare.
    for (const char* table : {"accounts", "api_keys", "webhooks", "nodes", "evidence", "markets",
                              "offers", "requests", "jobs", "postings", "receipts", "deposits",
                              "payouts", "audit", "candles", "price_histogram", "demand"}) {
        INFO(table);
        CHECK(database.number("select count(*) from " + std::string{table}) > 0);
    }
}

TEST_CASE("replay: each kind of tampering is found and named") {
    Database database;
    {
        TestMarket market{database};
        market.furnish();
        market.live_a_little();
        market.project();
    }
    struct Case {
        const char* sql;
        const char* table;
    };
    const Case cases[] = {
        {"update accounts set name = 'somebody' where id = 3", "accounts"},
        {"delete from postings where amount_nano = (select max(amount_nano) from postings)",
         "postings"},
        {"insert into deposits values (99, 3, 5, 'chain:99', 1)", "deposits"},
        {"update receipts set document = document || ' '", "receipts"},
        {"update candles set volume = volume + 1", "candles"},
        {"update audit set note = 'nothing happened'", "audit"},
        {"update projection set fee_basis_points = 1", "projection"},
    };
    CHECK(differences(database).empty());
    for (const Case& each : cases) {
        INFO(each.sql);
        Database copy{database.name()};
        copy.execute(each.sql);
        CHECK(differences(copy) == std::vector<std::string>{each.table});
    }
}

TEST_CASE("check: each invariant that breaks is named") {
    Database database;
    {
        TestMarket market{database};
        market.furnish();
        market.live_a_little();
        market.project();
    }
    struct Case {
        const char* sql;
        const char* check;
    };
    const Case cases[] = {
        {"update accounts set available_nano = available_nano + 1 where id = 3",
         "balances_sum_to_zero"},
        {"update accounts set available_nano = available_nano - 1, held_nano = held_nano + 1 where "
         "id = 3",
         "held_equals_open_jobs"},
        {"update postings set amount_nano = amount_nano + 1 where \"from\" = 1",
         "balance_equals_postings"},
        {"update offers set slots_used = slots_used + 1", "slots_equal_open_jobs"},
        {"delete from payouts", "paying_equals_open_payouts"},
        {"update requests set state = 'cancelled' where state = 'matched'",
         "open_job_has_matched_request"},
        {"update jobs set captured_nano = captured_nano + 1 where captured_nano > 0",
         "captured_equals_postings"},
        {"update api_keys set held_nano = 0", "key_held_equals_open_jobs"},
        {"delete from journal where first = 2", "journal_has_no_gap"},
        {"update lane set sequence = sequence + 1", "lane_is_at_the_journals_end"},
        {"update projection set sequence = sequence + 1", "projection_is_not_ahead"},
    };
    CHECK(problems(database).empty());
    for (const Case& each : cases) {
        INFO(each.sql);
        Database copy{database.name()};
        copy.execute(each.sql);
        CHECK_THAT(problems(copy), Catch::VectorContains(std::string{each.check}));
    }
}

TEST_CASE("projector: gaps, overlaps and repeats end at the same tables") {
    Database database;
    TestMarket market{database};
    std::vector<Batch> batches;
    PgJournal* const journal = &market.journal;
    market.furnish();
    market.project();
    market.projecting = false;
    market.live_a_little();
    {
        Connection connection{database.options()};
        std::unique_ptr<State> state;
        {
            Transaction snapshot{connection, Transaction::Kind::read_only_snapshot};
            state = restore_state(connection);
        }
        for (std::size_t size = 3;; size = 5) {
            batches.push_back(replay_next(connection, *state, size));
            if (batches.back().entries.empty()) break;
        }
        batches.pop_back();
    }
    REQUIRE(batches.size() > 3);
    Batch whole{.previous = batches.front().previous, .entries = {}, .changes = {}};
    SECTION("repeated") {
        for (const Batch& batch : batches)
            market.projector.enqueue(batch), market.projector.enqueue(batch);
    }
    SECTION("one is missing: the journal fills in") {
        for (std::size_t index = 0; index < batches.size(); ++index)
            if (index != 1) market.projector.enqueue(batches[index]);
    }
    SECTION("only the last") { market.projector.enqueue(batches.back()); }
    SECTION("a load's replay overlaps what was queued before") {
        market.projector.enqueue(batches[0]);
        market.projector.enqueue(batches[1]);
        market.projecting = true;
        CHECK(journal->load() != nullptr);
    }
    market.project();
    CHECK(differences(database).empty());
    CHECK(problems(database).empty());
}

TEST_CASE("projector: a killed connection loses nothing and doubles nothing") {
    Database database;
    TestMarket market{database};
    market.furnish();
    market.project();
    market.live_a_little();
    const std::string kill =
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '" +
        database.name() + "' and application_name = 'db_test projector'";
    SECTION("before it writes") {
        database.execute(kill);
        CHECK_THROWS_AS(market.projector.step(Duration{0}), Failure);
    }
    SECTION("while it writes") {
        Connection blocker{database.options()};
        blocker.execute("BEGIN; LOCK TABLE jobs");  // after the cursor has moved, before the end
        bool failed = false;
        std::thread projecting{[&] {
            try {
                market.projector.step(Duration{0});
            } catch (const Failure&) {
                failed = true;
            }
        }};
        const std::string waiting =
            "select count(*) from pg_stat_activity where datname = '" + database.name() +
            "' and application_name = 'db_test projector' and wait_event_type = 'Lock'";
        Connection watcher{database.options()};
        while (watcher.query(waiting).integer(0, 0) == 0) {
        }
        database.execute(kill);
        blocker.execute("COMMIT");
        projecting.join();
        CHECK(failed);
    }
    CHECK(market.projector.lag().entries > 0);
    market.project();
    CHECK(market.projector.lag().entries == 0);
    CHECK(differences(database).empty());
}

TEST_CASE("projector: two of them write every entry once") {
    Database database;
    TestMarket market{database};
    market.furnish();
    Projector other{database.options()};
    other.catch_up();
    CHECK(other.sequence() == market.writer->state().counters.sequence);
    market.live_a_little();
    market.project();  // its cursor is stale: it notices, reads the journal, goes on
    other.catch_up();
    CHECK(differences(database).empty());
    CHECK(problems(database).empty());
}

TEST_CASE(
    "projector: a full queue holds the lane, a reader's wait hurries it, stop frees everyone") {
    Database database;
    TestMarket market{database};
    market.furnish();
    market.project();
    market.projecting = false;
    market.must<Done>(SetFee{100, "one"});
    Projector slow{database.options(),
                   {.queue_entries_max = 1, .write_entries_max = 10, .gather = hours(1)}};
    slow.catch_up();
    const std::uint64_t base = slow.sequence();
    Batch next{.previous = base, .entries = {}, .changes = {}};
    next.entries.push_back({.sequence = base + 1,
                            .at = market.now,
                            .actor = {},
                            .idempotency_key = {},
                            .events = {FeeChanged{7}},
                            .answer = {},
                            .postings = {}});
    next.changes.fee_basis_points = 7;
    next.changes.counters = market.writer->state().counters;
    slow.enqueue(next);
    std::atomic<bool> entered{false};
    std::thread lane{[&] {
        Batch after = next;
        after.previous = base + 1;
        after.entries[0].sequence = base + 2;
        slow.enqueue(after);
        entered = true;
    }};
    CHECK_FALSE(entered);
    bool seen = false;
    std::thread reader{[&] { seen = slow.wait_for(base + 2, hours(1)); }};
    CHECK(slow.step(hours(1)));
    CHECK(slow.step(hours(1)));
    lane.join();
    reader.join();
    CHECK(entered);
    CHECK(seen);
    CHECK_FALSE(slow.wait_for(base + 3, milliseconds(1)));
    std::thread waiting{[&] { CHECK_FALSE(slow.wait_for(base + 3, hours(1))); }};
    slow.stop();
    waiting.join();
    CHECK_FALSE(slow.step(hours(1)));
}

TEST_CASE("projector: the lane waits while something old is being written, and for nothing else") {
    Database database;
    TestMarket market{database};
    market.furnish();
    market.project();
    market.projecting = false;
    std::uint64_t base = market.writer->state().counters.sequence;
    Projector slow{database.options(), {.behind_max = Duration{0}, .gather = Duration{0}}};
    slow.catch_up();
    const auto next = [&] {
        Batch batch{.previous = base, .entries = {}, .changes = {}};
        batch.entries.push_back({.sequence = ++base,
                                 .at = market.now,
                                 .actor = {},
                                 .idempotency_key = {},
                                 .events = {FeeChanged{7}},
                                 .answer = {},
                                 .postings = {}});
        batch.changes.counters = market.writer->state().counters;
        return batch;
    };
    slow.enqueue(next());
    slow.enqueue(next());  // old, but nobody writes
    CHECK(slow.lag().entries == 2);
    Connection blocker{database.options()};
    blocker.execute("BEGIN; SELECT * FROM projection FOR UPDATE");
    bool stepped = false;
    std::thread projecting{[&] { stepped = slow.step(Duration{0}); }};
    Connection watcher{database.options()};
    const std::string waiting =
        "select count(*) from pg_stat_activity where datname = '" + database.name() +
        "' and application_name = 'db_test projector' and wait_event_type = 'Lock'";
    while (watcher.query(waiting).integer(0, 0) == 0) {
    }
    const Batch late = next();
    std::atomic<bool> entered{false};
    std::thread lane{[&] {
        slow.enqueue(late);
        entered = true;
    }};
    CHECK_FALSE(entered);
    CHECK(slow.lag().entries == 2);
    blocker.execute("COMMIT");
    projecting.join();
    lane.join();
    CHECK(stepped);
    CHECK(slow.lag().entries == 1);
    // A transaction that fails lets the lane go as well.
    database.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = '" +
                     database.name() + "' and application_name = 'db_test projector'");
    CHECK_THROWS_AS(slow.step(Duration{0}), Failure);
    slow.enqueue(next());
    CHECK(slow.lag().entries == 2);
    CHECK(slow.step(Duration{0}));
}
