// A journal that reaches further back than the state remembers what has ended: whoever replays it
// must still write every end into the tables.
#include "core/limits.hpp"
#include "db/load.hpp"
#include "db/replay.hpp"
#include "tests/catch.hpp"
#include "tests/db/market.hpp"

using namespace cocoon;
using namespace cocoon::db;
using namespace cocoon::db::test;
using namespace cocoon::matching;

namespace {

constexpr Duration beyond_memory = seconds(limits::terminal_in_memory_seconds + 60);

// One of everything that ends and is forgotten, each followed by more than the memory's span.
void live_long(TestMarket& market) {
    market.furnish();
    market.must<Done>(AmendAccount{market.developer, {}, {}, "address"}, market.developer);
    const auto pass = [&] {
        market.now = market.now + beyond_memory;
        market.send(Tick{});
        market.must<Done>(SetFee{static_cast<int>(++market.secrets % 1'000), "time passes"});
    };
    market.complete(*market.matched().job);
    pass();
    const RequestAnswer late = market.matched();  // expires by itself
    pass();
    const RequestId resting = market
                                  .must<RequestAnswer>(
                                      [&] {
                                          PlaceRequest place = market.request(TimeInForce::rest);
                                          place.request.cap_total = {1};
                                          return place;
                                      }(),
                                      market.developer)
                                  .request.id;
    market.must<RequestAnswer>(CancelRequest{market.developer, resting}, market.developer);
    pass();
    const PayoutId payout =
        market
            .must<PayoutAnswer>(RequestPayout{market.developer, Bucket::available, {5'000}},
                                market.developer)
            .payout.id;
    market.must<Done>(AdvancePayouts{{payout}, PayoutState::paid, "tx"});
    pass();
    market.must<OfferAnswer>(CancelOffer{market.provider, market.place_offer(3).id, 0},
                             market.provider);
    pass();
    // Nothing of it is left in memory, so only the journal knows.
    REQUIRE(market.writer->state().jobs.size() == 0);
    REQUIRE(market.writer->state().requests.size() == 0);
    REQUIRE(market.writer->state().payouts.empty());
    REQUIRE_FALSE(late.job->id == JobId{});
}

void expect_all_ends(const Database& database) {
    CHECK(database.number(
              "select count(*) from jobs where state = 'completed' and captured_nano > 0") == 1);
    CHECK(database.number("select count(*) from jobs where state = 'expired'") == 1);
    CHECK(database.number("select count(*) from jobs where ended_at is null") == 0);
    CHECK(database.number("select count(*) from requests where state = 'completed'") == 1);
    CHECK(database.number("select count(*) from requests where state = 'expired'") == 1);
    CHECK(database.number("select count(*) from requests where state = 'cancelled'") == 1);
    CHECK(database.number("select count(*) from payouts where state = 'paid'") == 1);
    CHECK(database.number("select count(*) from offers where state = 'cancelled'") == 1);
    CHECK(check_books(database.options()).empty());
}

}  // namespace

TEST_CASE("a projector that slept for an hour writes every end it slept through") {
    const Database database;
    std::string hash;
    std::uint64_t sequence = 0;
    {
        TestMarket market{database};
        market.projecting = false;
        live_long(market);
        hash = market.hash();
        sequence = market.writer->state().counters.sequence;
    }
    Projector late{database.options()};
    late.catch_up();
    CHECK(late.sequence() == sequence);
    expect_all_ends(database);
    Connection connection{database.options()};
    CHECK(restore_state(connection)->hash().text() == hash);
}

TEST_CASE("a lane that loads an hour of journal hands every end to its projector") {
    const Database database;
    {
        TestMarket market{database};
        market.projecting = false;
        live_long(market);
    }
    Projector projector{database.options()};
    PgJournal journal{database.options(), [&](const SharedBatch& batch, bool replayed) {
                          REQUIRE(replayed);
                          projector.enqueue(batch, replayed);
                      }};
    REQUIRE(journal.elect());
    const auto state = journal.load();
    while (projector.sequence() < state->counters.sequence) REQUIRE(projector.step(Duration{0}));
    expect_all_ends(database);
}

TEST_CASE("a replayed batch ends before anything that ended inside it is forgotten") {
    const Database database;
    TestMarket market{database};
    market.projecting = false;
    live_long(market);
    Connection connection{database.options()};
    State state;
    state.finish_restore({});
    std::size_t batches = 0;
    while (true) {
        const Batch batch = replay_next(connection, state, 100'000);
        if (batch.entries.empty()) break;
        ++batches;
        CHECK(batch.entries.back().at - batch.entries.front().at <
              seconds(limits::terminal_in_memory_seconds));
    }
    CHECK(batches >= 5);
    CHECK(state.hash().text() == market.hash());
}
