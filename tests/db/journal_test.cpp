// The journal on a real PostgreSQL: durable order, one writer, answers in doubt, restarts.
#include <thread>

#include "db/load.hpp"
#include "db/replay.hpp"
#include "tests/db/market.hpp"

using namespace cocoon;
using namespace cocoon::db;
using namespace cocoon::db::test;

namespace {

std::unique_ptr<State> restored(const Database& database) {
    Connection connection{database.options()};
    Transaction snapshot{connection, Transaction::Kind::read_only_snapshot};
    return restore_state(connection);
}

void end_lane_backend(const Database& database) {
    database.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = '" +
                     database.name() + "' and application_name = 'db_test lane'");
}

Batch one_event(std::uint64_t previous, Event event = FeeChanged{700}) {
    Batch batch{.previous = previous, .entries = {}, .changes = {}};
    batch.entries.push_back({.sequence = previous + 1,
                             .at = {5},
                             .actor = {},
                             .idempotency_key = {},
                             .events = {std::move(event)},
                             .answer = {},
                             .postings = {}});
    batch.changes.counters.sequence = previous + 1;
    batch.changes.fee_basis_points = 700;
    return batch;
}

}  // namespace

TEST_CASE(
    "journal: a whole small market reads back from projections, from the journal, and from both") {
    Database database;
    std::string hash;
    std::uint64_t sequence = 0;
    {
        TestMarket market{database};
        market.furnish();
        market.live_a_little();
        hash = market.hash();
        sequence = market.writer->state().counters.sequence;
        SECTION("all projected") { market.project(); }
        SECTION("nothing projected") {}
        SECTION("half projected") {
            REQUIRE(market.projector.step(Duration{0}));
            market.projecting = false;
            market.must<Done>(SetFee{251, "unprojected"});
            market.complete(*market.matched("late").job);
            hash = market.hash();
            sequence = market.writer->state().counters.sequence;
        }
    }
    TestMarket again{database};
    CHECK(again.writer->state().counters.sequence == sequence);
    CHECK(again.hash() == hash);
    again.project();
    CHECK(restored(database)->hash().text() == hash);
    CHECK(check_books(database.options()).empty());
}

TEST_CASE("journal: a stored state hash is verified by the load that passes it") {
    Database database;
    StateHash hash;
    {
        TestMarket market{database};
        market.furnish();
        hash = market.writer->state().hash();
        market.journal.store_state_hash(market.writer->state().counters.sequence, hash);
        market.live_a_little();
    }
    // Nothing is projected yet, so that each load replays everything and passes the hash.
    PgJournal journal{database.options(), {}};
    REQUIRE(journal.elect());
    const std::uint64_t at =
        static_cast<std::uint64_t>(database.number("select sequence from state_hash"));
    CHECK(journal.load()->counters.sequence > at);
    StateHash wrong = hash;
    wrong.low ^= 1;
    journal.store_state_hash(at, wrong);
    CHECK_THROWS_AS(journal.load(), Failure);
    // And at the very place where the projections are.
    Projector{database.options()}.catch_up();
    CHECK_NOTHROW(journal.load());
    journal.store_state_hash(journal.last_sequence(), wrong);
    CHECK_THROWS_AS(journal.load(), Failure);
}

TEST_CASE("journal: idempotency keys and answers survive a restart") {
    Database database;
    RequestId placed;
    PlaceRequest asked;
    {
        TestMarket market{database};
        market.furnish();
        asked = market.request();
        placed = market.matched("key \xc3\xa9'\"\\ 1").request.id;
    }
    TestMarket again{database};
    const Answered replay = again.send(asked, {asked.request.account}, "key \xc3\xa9'\"\\ 1");
    REQUIRE(replay.reply);
    CHECK(replay.replayed);
    CHECK(std::get<RequestAnswer>(*replay.reply).request.id == placed);
    const Answered other =
        again.send(asked, {asked.request.account}, "key \xc3\xa9'\"\\ 1", digest(9));
    REQUIRE(!other.reply);
    CHECK(other.reply.error().code == ErrorCode::idempotency_key_reused);
}

TEST_CASE("journal: commit refuses what does not continue, all or nothing") {
    Database database;
    PgJournal journal{database.options(), {}};
    REQUIRE(journal.elect());
    CHECK(journal.last_sequence() == 0);
    CHECK(journal.commit(one_event(0)) == Journal::Outcome::stored);
    CHECK(journal.commit(one_event(0)) == Journal::Outcome::not_stored);
    CHECK(journal.commit(one_event(5)) == Journal::Outcome::not_stored);
    // The row breaks a constraint: the lane's step must not stay.
    database.execute("insert into journal values (2, 2, 1, '')");
    CHECK_THROWS_AS(journal.commit(one_event(1)), Failure);
    CHECK(journal.last_sequence() == 1);
    database.execute("delete from journal where first = 2");
    CHECK(journal.commit(one_event(1)) == Journal::Outcome::stored);
    CHECK(journal.commit(Batch{.previous = 2, .entries = {}, .changes = {}}) ==
          Journal::Outcome::stored);
}

TEST_CASE("journal: a second writer is shut out while the first lives, and fences it afterwards") {
    Database database;
    ConnectOptions standby = database.options();
    standby.application_name = "db_test standby";
    PgJournal first{database.options(), {}}, second{standby, {}};
    REQUIRE(first.elect());
    CHECK_FALSE(second.elect());
    CHECK_THROWS_AS(second.last_sequence(), Fenced);
    CHECK(first.commit(one_event(0)) == Journal::Outcome::stored);
    // The first loses its lock without noticing, as after a network partition.
    end_lane_backend(database);
    while (!second.elect()) {
    }
    CHECK(second.epoch() > first.epoch());
    CHECK_THROWS_AS(first.commit(one_event(1)), ConnectionLost);
    CHECK_THROWS_AS(first.last_sequence(), Fenced);
    CHECK_THROWS_AS(first.commit(one_event(1)), Fenced);
    CHECK_THROWS_AS(first.load(), Fenced);
    CHECK(second.last_sequence() == 1);
    CHECK(second.commit(one_event(1)) == Journal::Outcome::stored);
    CHECK(database.number("select count(*) from journal") == 2);
}

TEST_CASE("journal: an old writer with a live connection stores nothing under a newer epoch") {
    Database database;
    PgJournal journal{database.options(), {}};
    REQUIRE(journal.elect());
    database.execute("update lane set epoch = epoch + 1, writer = 1");
    CHECK(journal.commit(one_event(0)) == Journal::Outcome::not_stored);
    CHECK_THROWS_AS(journal.load(), Fenced);
    CHECK(database.number("select count(*) from journal") == 0);
}

TEST_CASE("journal: a backend killed between commits costs nothing but a reconnect") {
    Database database;
    TestMarket market{database};
    market.furnish();
    end_lane_backend(database);
    CHECK_FALSE(
        market.send(SetFee{300, "lost"}).reply);  // answered commit_failed: certainly not stored
    market.must<Done>(SetFee{301, "kept"});
    CHECK(market.writer->state().fee_basis_points == 301);
    market.project();
    CHECK(database.number("select fee_basis_points from projection") == 301);
}

// The commit's backend is held inside its transaction by a row lock, then killed: whatever the
// client was told, the sequence it reads afterwards is final.
TEST_CASE("journal: a commit in doubt is settled by the lane's sequence") {
    Database database;
    std::vector<std::uint64_t> observed;
    PgJournal journal{database.options(),
                      [&](const Batch& batch, bool) { observed.push_back(batch.last()); }};
    REQUIRE(journal.elect());
    const bool killed = GENERATE(true, false);
    Connection blocker{database.options()};
    blocker.execute("BEGIN; SELECT * FROM lane FOR UPDATE");
    std::exception_ptr failure;
    Journal::Outcome outcome = Journal::Outcome::not_stored;
    std::thread committing{[&] {
        try {
            outcome = journal.commit(one_event(0));
        } catch (...) {
            failure = std::current_exception();
        }
    }};
    Connection watcher{database.options()};
    const std::string waiting =
        "select count(*) from pg_stat_activity where datname = '" + database.name() +
        "' and application_name = 'db_test lane' and wait_event_type = 'Lock'";
    while (watcher.query(waiting).integer(0, 0) == 0) {
    }
    if (killed) end_lane_backend(database);
    blocker.execute("COMMIT");
    committing.join();
    CHECK(static_cast<bool>(failure) == killed);
    CHECK(journal.last_sequence() == (killed ? 0u : 1u));
    CHECK((outcome == Journal::Outcome::stored) == !killed);
    CHECK(observed == (killed ? std::vector<std::uint64_t>{} : std::vector<std::uint64_t>{1}));
    CHECK(database.number("select count(*) from journal") == (killed ? 0 : 1));
    // And the next one goes on from there.
    CHECK(journal.commit(one_event(killed ? 0 : 1)) == Journal::Outcome::stored);
}

TEST_CASE("journal: a broken body is reported, never guessed") {
    Database database;
    {
        TestMarket market{database};
        market.furnish();
    }
    database.execute("update journal set body = body || '\\x00' where first = 3");
    PgJournal journal{database.options(), {}};
    REQUIRE(journal.elect());
    CHECK_THROWS_AS(journal.load(), Failure);
}

TEST_CASE("journal: a row with other entries than it says is reported") {
    Database database;
    {
        TestMarket market{database};
        market.furnish();
    }
    database.execute("update journal set last = last + 1 where first = 3");
    PgJournal journal{database.options(), {}};
    REQUIRE(journal.elect());
    CHECK_THROWS_AS(journal.load(), Failure);
}

TEST_CASE("journal: what is committed together reads back from any sequence, in any number") {
    Database database;
    PgJournal journal{database.options(), {}};
    REQUIRE(journal.elect());
    std::uint64_t sequence = 0;
    for (std::uint64_t size = 1; size <= 5; ++size) {
        Batch batch{.previous = sequence, .entries = {}, .changes = {}};
        for (std::uint64_t count = 0; count < size; ++count) {
            ++sequence;
            batch.entries.push_back({.sequence = sequence,
                                     .at = {static_cast<std::int64_t>(sequence / 2)},
                                     .actor = {sequence},
                                     .idempotency_key = sequence % 2 ? "key" : "",
                                     .events = {FeeChanged{7}},
                                     .answer = sequence % 2 ? "answer" : "",
                                     .postings = {}});
        }
        REQUIRE(journal.commit(batch) == Journal::Outcome::stored);
    }
    Connection connection{database.options()};
    CHECK(journal_sequence(connection) == sequence);
    for (std::uint64_t after = 0; after <= sequence; ++after)
        for (const std::size_t most : {std::size_t{0}, std::size_t{1}, std::size_t{4}, SIZE_MAX}) {
            const std::vector<Entry> entries = read_entries(connection, after, most);
            REQUIRE(entries.size() == std::min<std::size_t>(most, sequence - after));
            for (std::size_t index = 0; index < entries.size(); ++index) {
                CHECK(entries[index].sequence == after + index + 1);
                CHECK(entries[index].actor.value == entries[index].sequence);
            }
        }
    // The entries of instant n are 2n and 2n + 1, within a row or not.
    for (std::uint64_t at = 0; at <= sequence; ++at)
        CHECK(sequence_before(connection, {static_cast<std::int64_t>(at)}, sequence) ==
              std::min(sequence, at == 0 ? 0 : 2 * at - 1));
}

TEST_CASE("journal: a missing entry is reported") {
    Database database;
    {
        TestMarket market{database};
        market.furnish();
    }
    database.execute("delete from journal where first = 3");
    PgJournal journal{database.options(), {}};
    REQUIRE(journal.elect());
    CHECK_THROWS_AS(journal.load(), Failure);
}
