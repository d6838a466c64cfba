// Coins in and out through restarts and faults, with a real database and the development chain:
// every deposit is credited once, every payout is paid once, and the books agree with the chain.
#include "server/settlement_worker.hpp"

#include <cstdio>

#include "settlement/dev_chain.hpp"
#include "tests/catch.hpp"
#include "tests/db/market.hpp"

using namespace cocoon;
using namespace cocoon::server;

namespace {

struct TestClock final : Clock {
    Instant at{1'700'000'000'000'000};
    Instant now() const override { return at; }
};

// Covers what the test market's accounts are furnished with.
constexpr Nano operator_funds{2'000'000'000'000};

// One market, one chain, and a worker that is thrown away and made again before every round.
struct Settled {
    db::test::Database database;
    db::test::TestMarket market{database};
    db::Pool pool{database.options(), 2};
    db::Settlement store{pool};
    Metrics metrics;
    TestClock clock;
    std::string file = "/tmp/cocoon_settlement_" + std::to_string(::getpid()) + ".txt";
    std::string faults;  // one letter per submit: 'b' fails before, 'a' after it took effect
    std::size_t submits = 0;
    int lane_down = 0;  // answers "overloaded" so many times
    std::unique_ptr<settlement::DevChain> chain;
    std::optional<db::Reconciliation> reconciled;  // the newest that was told

    Settled() {
        std::remove(file.c_str());
        settlement::DevChainOptions options;
        options.file = file;
        options.batch_lifetime = seconds(30);
        options.fail_before = [this] {
            return submits < faults.size() && faults[submits] == 'b' && ++submits;
        };
        options.fail_after = [this] {
            return submits < faults.size() && faults[submits] == 'a' && ++submits;
        };
        chain = std::make_unique<settlement::DevChain>(options, clock);
    }
    ~Settled() { std::remove(file.c_str()); }

    void round() {
        SettlementDoors doors{*chain,
                              store,
                              metrics,
                              clock,
                              [this](matching::Command command) -> std::optional<matching::Reply> {
                                  if (lane_down > 0 && lane_down--)
                                      return matching::Reply{refuse(ErrorCode::overloaded)};
                                  return market.send(std::move(command)).reply;
                              },
                              [this] {
                                  market.project();
                                  return true;
                              },
                              [this](const db::Reconciliation& found) { reconciled = found; }};
        SettlementWorker worker{doors, {}};
        worker.fill(market.writer->state());
        worker.round();
    }
    void rounds(int count) {
        for (; count > 0; --count) {
            clock.at = clock.at + seconds(1);
            round();
        }
    }
    Nano balance(matching::Bucket bucket) {
        return market.writer->state()
            .accounts.find(market.developer)
            ->account.balances[static_cast<std::size_t>(bucket)];
    }
    matching::Payout payout(Nano amount) {
        return market
            .must<matching::PayoutAnswer>(
                matching::RequestPayout{market.developer, matching::Bucket::available, amount},
                market.developer)
            .payout;
    }
    void open() {
        market.furnish();
        market.must<matching::Done>(
            matching::AmendAccount{market.developer, {}, {}, "dev:developer"}, market.developer);
        REQUIRE(chain->faucet(std::string{settlement::operator_memo}, operator_funds));
        rounds(3);
    }
};

}  // namespace

TEST_CASE("deposits are credited once, unknown memos and dust are held back") {
    Settled world;
    world.open();
    const Nano before = world.balance(matching::Bucket::available);
    REQUIRE(world.chain->faucet("memo-d", Nano{7'000'000}));
    REQUIRE(world.chain->faucet("nobody", Nano{8'000'000}));
    REQUIRE(world.chain->faucet("memo-d", Nano{1}));
    world.lane_down = 2;
    world.rounds(8);
    CHECK(world.balance(matching::Bucket::available) == before + Nano{7'000'000});
    CHECK(world.store.holds() == 2);
    CHECK(world.metrics.settlement_deposits_on_hold.value() == 2);
    // the cursor lost: everything is seen again
    world.database.execute("update chain_cursor set lt = 0, hash = ''");
    world.rounds(2);
    CHECK(world.balance(matching::Bucket::available) == before + Nano{7'000'000});
    CHECK(world.store.holds() == 2);
}

TEST_CASE(
    "a payout is paid once through faults of chain and lane and restarts between any two "
    "rounds") {
    for (const std::string faults : {"", "b", "a", "bbaab"}) {
        Settled world;
        world.open();
        world.faults = faults;
        const Nano before = world.balance(matching::Bucket::available);
        world.payout(Nano{5'000'000});
        world.payout(Nano{6'000'000});
        world.lane_down = 3;
        world.rounds(14);
        CAPTURE(faults);
        CHECK(world.chain->paid_to("dev:developer") == Nano{11'000'000});
        CHECK(world.balance(matching::Bucket::available) == before - Nano{11'000'000});
        CHECK(world.balance(matching::Bucket::paying) == Nano{});
        CHECK(world.store.open_batches().empty());
        CHECK(world.metrics.settlement_payouts_paid.value() == 2);
    }
}

TEST_CASE("a batch that expired unseen is paid by a later one") {
    Settled world;
    world.open();
    world.faults = std::string(64, 'b');
    world.payout(Nano{5'000'000});
    world.rounds(34);  // never sent, past its life, and finally so
    CHECK(world.chain->paid_to("dev:developer") == Nano{});
    world.faults.clear();
    world.rounds(8);
    CHECK(world.chain->paid_to("dev:developer") == Nano{5'000'000});
    CHECK(world.balance(matching::Bucket::paying) == Nano{});
    CHECK(world.database.number("select count(*) from payout_batches where phase = 'expired'") ==
          1);
}

TEST_CASE("a batch's bytes are stored before the first is sent") {
    Settled world;
    world.open();
    world.faults = "b";
    const auto payout = world.payout(Nano{5'000'000});
    world.rounds(1);
    const auto batches = world.store.open_batches();
    REQUIRE(batches.size() == 1);
    CHECK(batches[0].phase == db::BatchPhase::open);
    const settlement::PayoutBatch& batch = batches[0].batch;
    CHECK(batch.rows ==
          std::vector<settlement::PayoutRow>{{payout.id.value, "dev:developer", Nano{5'000'000}}});
    CHECK(*world.chain->build(batch.number, batch.rows) == batch);
}

TEST_CASE("a payout is never in two batches, whatever two processes believe") {
    Settled world;
    const auto batch = *world.chain->build(1, {{7, "dev:a", Nano{5}}, {8, "dev:b", Nano{6}}});
    REQUIRE(world.store.store(batch));
    const auto again = *world.chain->build(2, {{9, "dev:c", Nano{1}}, {8, "dev:b", Nano{6}}});
    CHECK_FALSE(world.store.store(again));
    CHECK(world.store.next_batch_number() == 2);  // nothing of it was stored
    // Executed: what was paid is bound for ever, what was left out is free.
    const std::uint64_t paid[] = {8};
    world.store.close(1, db::BatchPhase::executed, paid);
    CHECK_FALSE(world.store.store(again));
    REQUIRE(world.store.store(*world.chain->build(2, {{7, "dev:a", Nano{5}}})));
    world.store.close(1, db::BatchPhase::expired);  // ended before: changes nothing
    CHECK_FALSE(world.store.store(again));
    CHECK(world.store.batch_by_key(batch.key)->phase == db::BatchPhase::executed);
}

TEST_CASE("books and chain are compared to the nanoton, and a difference is said") {
    Settled world;
    world.open();
    world.market.project();
    // Furnished from nowhere, which is just what the comparison is to find.
    const std::int64_t furnished = world.store.totals().owed.value;
    REQUIRE(world.chain->faucet("memo-d", Nano{70'000'000}));
    REQUIRE(world.chain->faucet("nobody", Nano{8'000'000}));
    world.rounds(4);
    world.payout(Nano{5'000'000});
    world.rounds(8);
    CHECK(world.metrics.settlement_owed_nano.value() == furnished + 65'000'000);
    CHECK(world.metrics.settlement_wallet_nano.value() == operator_funds.value + 73'000'000);
    CHECK(world.metrics.settlement_cover_nano.value() == operator_funds.value - furnished);
    CHECK(world.metrics.settlement_difference_nano.value() == -furnished);
    CHECK(world.metrics.settlement_deposits_on_hold.value() == 1);
    // Whose it is moves it inside the books, and the chain knows nothing of it.
    const auto held = world.store.held({1});
    REQUIRE(held);
    world.market.must<matching::DepositAnswer>(matching::CreditHeldDeposit{
        world.market.developer, held->amount, held->reference, "ticket 318"});
    world.rounds(2);
    CHECK(world.metrics.settlement_deposits_on_hold.value() == 0);
    CHECK(world.metrics.settlement_owed_nano.value() == furnished + 73'000'000);
    CHECK(world.metrics.settlement_difference_nano.value() == -furnished);
    REQUIRE(world.reconciled);
    CHECK(world.reconciled->owed == Nano{furnished + 73'000'000});
    world.database.execute(
        "update chain_totals set in_nano = in_nano - 1 where kind = 'operator_funds'");
    world.rounds(2);
    CHECK(world.metrics.settlement_difference_nano.value() == 1 - furnished);
}

TEST_CASE("a large payout is sent once two admins approved it, and never when one rejected it") {
    Settled world;
    world.open();
    const Nano large{1'000'000'000};
    const Nano before = world.balance(matching::Bucket::available);
    const AccountId one = world.market.admin(), other = world.market.admin();
    const auto approved = world.payout(large), rejected = world.payout(large + Nano{1});
    const auto approve = [&](AccountId admin) {
        world.market.must<matching::PayoutAnswer>(
            matching::ApprovePayout{approved.id, "asked them"}, admin);
        world.rounds(6);
    };
    world.rounds(3);
    approve(one);
    CHECK(world.store.next_batch_number() == 1);
    CHECK(world.balance(matching::Bucket::paying) == large + large + Nano{1});
    world.market.must<matching::PayoutAnswer>(
        matching::RejectPayout{rejected.id, "another address"}, other);
    approve(other);
    CHECK(world.chain->paid_to("dev:developer") == large);
    CHECK(world.balance(matching::Bucket::available) == before - large);
    CHECK(world.balance(matching::Bucket::paying) == Nano{});
    world.market.project();
    CHECK(world.database.number("select count(*) from payouts where state = 'rejected' and "
                                "reason = 'another address' and settled_at is not null") == 1);
    CHECK(world.database.number(
              "select cardinality(approvers) from payouts where state = 'paid'") == 2);
    CHECK(world.database.number("select count(*) from check_books()") == 0);
}

TEST_CASE("an operator stops payouts and lets them go on") {
    Settled world;
    world.open();
    world.market.must<matching::Done>(matching::PausePayouts{true, "the key is being changed"});
    world.payout(Nano{5'000'000});
    world.rounds(6);
    CHECK(world.store.open_batches().empty());
    CHECK(world.metrics.settlement_payouts_paused.value() == 1);
    world.market.must<matching::Done>(matching::PausePayouts{false, "it was changed"});
    world.rounds(6);
    CHECK(world.chain->paid_to("dev:developer") == Nano{5'000'000});
    CHECK(world.metrics.settlement_payouts_paused.value() == 0);
}
