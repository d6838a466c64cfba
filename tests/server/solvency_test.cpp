// The proof of what the market owes, on a real database: it counts every account, says what the
// chain holds only as of the same books, and is made no oftener than it should be.
#include "server/solvency.hpp"

#include "db/settlement.hpp"
#include "tests/catch.hpp"
#include "tests/db/market.hpp"

using namespace cocoon;
using namespace cocoon::server;

namespace {

struct TestClock final : Clock {
    Instant at{1'700'000'000'000'000};
    Instant now() const override { return at; }
};

struct Proving {
    db::test::Database database;
    db::test::TestMarket market{database};
    db::Pool pool{database.options(), 2};
    db::Settlement store{pool};
    Metrics metrics;
    TestClock clock;
    sealing::SigningKey key = *sealing::SigningKey::from_seed(Bytes(32, 5));
    int reads = 0;
    Solvency solvency{{[this] {
                           ++reads;
                           return store.liabilities();
                       },
                       {"market-1", key},
                       "secret",
                       clock,
                       metrics},
                      {minutes(1), "dev:wallet"}};

    Proving() {
        market.furnish();
        market.project();
    }
    // The first proof, without the thread that would make more.
    void begin() {
        solvency.start();
        solvency.stop();
    }
    sealing::SolvencyStatement statement() {
        return sealing::verify_solvency(sealing::Json::parse(solvency.newest()->statement).value(),
                                        key.public_key())
            .value();
    }
    db::Reconciliation found(std::int64_t balance) {
        db::Reconciliation made;
        made.at = clock.at;
        made.balance = Nano{balance};
        made.moving = Nano{4};
        return made;
    }
    std::int64_t owed() {
        return database.number(
            "select sum(available_nano + held_nano + earned_nano + paying_nano)::bigint "
            "from accounts where kind <> 'house'");
    }
};

}  // namespace

TEST_CASE("the proof counts all that accounts have, and none of the market's own") {
    Proving world;
    world.market.live_a_little();  // holds, earnings, fees, a payout
    world.market.project();
    world.begin();
    const auto statement = world.statement();
    CHECK(statement.liabilities == Nano{world.owed()});
    CHECK(statement.sequence == world.market.writer->state().counters.sequence);
    CHECK(statement.accounts == 2);
    CHECK_FALSE(statement.wallet);
    CHECK(world.metrics.solvency_accounts.value() == 2);
    CHECK(world.metrics.solvency_liabilities_nano.value() == world.owed());
    const auto newest = world.solvency.newest();
    for (const AccountId id : {world.market.developer, world.market.provider}) {
        const auto proof = newest->tree.proof(id.value);
        REQUIRE(proof);
        const auto& balances = world.market.writer->state().accounts.find(id)->account.balances;
        CHECK(proof->leaf.amount == balances[0] + balances[1] + balances[2] + balances[3]);
        CHECK(*settlement::root_of(*proof) ==
              settlement::SumNode{statement.root, statement.liabilities});
    }
    CHECK_FALSE(newest->tree.proof(matching::house.value));
}

TEST_CASE("the same books have the same tree, other books other salts") {
    Proving world;
    world.begin();
    const auto first = world.statement();
    const auto salt = world.solvency.newest()->tree.proof(world.market.provider.value)->leaf.salt;
    // As after a restart.
    Solvency again{{[&] { return world.store.liabilities(); },
                    {"market-1", world.key},
                    "secret",
                    world.clock,
                    world.metrics},
                   {minutes(1), "dev:wallet"}};
    again.start();
    again.stop();
    CHECK(again.newest()->statement == world.solvency.newest()->statement);
    world.market.must<matching::Done>(matching::SetFee{77, "another sequence"});
    world.market.project();
    world.solvency.reconciled(world.found(1));
    CHECK(world.statement().root != first.root);
    CHECK(world.statement().liabilities == first.liabilities);
    CHECK(world.solvency.newest()->tree.proof(world.market.provider.value)->leaf.salt != salt);
}

TEST_CASE("a proof is made once an interval, and the chain is of its moment or unknown") {
    Proving world;
    settlement::Entry lost;
    lost.reference = "tx";
    lost.in = Nano{3};
    world.store.hold(lost, "unknown_memo");
    world.begin();
    CHECK_FALSE(world.statement().wallet);
    // The first word of the chain is not waited for.
    world.solvency.reconciled(world.found(50));
    REQUIRE(world.statement().wallet);
    CHECK(world.statement().wallet->address == "dev:wallet");
    CHECK(world.statement().wallet->balance == Nano{50});
    CHECK(world.statement().wallet->on_hold == Nano{3});
    CHECK(world.statement().wallet->moving == Nano{4});
    CHECK(world.reads == 2);
    world.clock.at = world.clock.at + seconds(59);
    world.solvency.reconciled(world.found(51));
    CHECK(world.statement().wallet->balance == Nano{50});
    CHECK(world.reads == 2);
    world.clock.at = world.clock.at + seconds(1);
    world.solvency.reconciled(world.found(52));
    CHECK(world.statement().wallet->balance == Nano{52});
    CHECK(world.statement().at == world.clock.at);
    CHECK(world.reads == 3);
    const auto root = world.statement().root;
    // Nobody saw the chain for an interval and more: what it held then is not said again.
    world.clock.at = world.clock.at + minutes(2);
    Solvency& solvency = world.solvency;
    solvency.start();
    solvency.stop();
    CHECK_FALSE(world.statement().wallet);
    CHECK(world.statement().root == root);
}
