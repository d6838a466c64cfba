// Coins in and out of a real chain: the real virtual machine behind toncenter's API, a real
// database, and everything that goes wrong in between. Every deposit is credited once, every payout
// is paid once, and books and chain agree to the nanoton.
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>

#include "server/settlement_worker.hpp"
#include "server/toncenter.hpp"
#include "tests/catch.hpp"
#include "tests/db/market.hpp"
#include "tests/server/sandbox_chain.hpp"

using namespace cocoon;
using namespace cocoon::server;
namespace ton = cocoon::settlement::ton;

namespace {

constexpr auto dev_network = static_cast<ton::Network>(20261122);
constexpr std::uint32_t message_seconds = 8;
constexpr Duration skew = seconds(3);

struct Crash {};  // the process ends here

// The chain as the worker sees it, until the process dies at a chosen call.
class Mortal final : public settlement::Chain {
public:
    explicit Mortal(settlement::Chain& chain) : chain_{chain} {}

    // Where to die: before the n-th call of its kind from now on takes effect, or after it did.
    std::function<void(const char* call, bool after)> fate = [](const char*, bool) {};

    std::string deposit_address() const override { return chain_.deposit_address(); }
    std::string deposit_link(const std::string& memo) const override {
        return chain_.deposit_link(memo);
    }
    Nano deposit_minimum() const override { return chain_.deposit_minimum(); }
    Nano balance_minimum() const override { return chain_.balance_minimum(); }
    Result<std::string> normal_address(const std::string& address) const override {
        return chain_.normal_address(address);
    }
    bool pays(const settlement::PayoutRow& row, const settlement::SentPayout& sent) const override {
        return chain_.pays(row, sent);
    }
    Result<settlement::Head> head() override { return chain_.head(); }
    Result<settlement::Head> certain_head() override { return chain_.certain_head(); }
    Result<settlement::EntryPage> entries(const settlement::Cursor& after,
                                          const settlement::Cursor& until,
                                          std::size_t count_max) override {
        auto page = chain_.entries(after, until, count_max);
        fate("entries", true);
        return page;
    }
    Result<settlement::PayoutBatch> build(std::uint64_t number,
                                          std::vector<settlement::PayoutRow> rows) override {
        auto batch = chain_.build(number, std::move(rows));
        fate("build", true);
        return batch;
    }
    Result<void> submit(const settlement::PayoutBatch& batch) override {
        fate("submit", false);
        auto sent = chain_.submit(batch);
        fate("submit", true);
        return sent;
    }

private:
    settlement::Chain& chain_;
};

// One market and one chain; the worker, its view of the chain and its connections are thrown away
// and made again whenever the process "dies".
struct World {
    test::SandboxChain sandbox;
    db::test::Database database;
    db::test::TestMarket market{database};
    db::Pool pool{database.options(), 2};
    db::Settlement store{pool};
    Metrics metrics;
    SystemClock clock;
    net::HttpClient client;
    std::unique_ptr<Toncenter> toncenter;
    std::unique_ptr<ton::TonChain> chain;
    std::unique_ptr<Mortal> mortal;
    std::unique_ptr<SettlementWorker> worker;
    std::function<void(const char*, bool)> fate = [](const char*, bool) {};
    std::vector<AccountId> providers;
    int deaths = 0;
    Nano furnished;

    World() {
        market.furnish();
        live();
        market.must<matching::Done>(matching::AmendAccount{market.developer, {}, {}, payee(0)},
                                    market.developer);
        market.project();
        furnished = store.totals().owed;
    }

    static std::string payee(std::size_t number) {
        ton::Address address;
        address.id.fill(0x70);
        address.id[0] = static_cast<std::uint8_t>(number);
        address.id[1] = static_cast<std::uint8_t>(number >> 8);
        return address.friendly(false, dev_network);
    }

    // A process starts.
    void live() {
        worker.reset();
        ToncenterOptions options;
        options.endpoints = {{sandbox.url(0), ""}, {sandbox.url(1), ""}};
        options.calls_per_second = 1000;
        options.network = dev_network;
        options.clock_skew_max = skew;
        options.call_timeout = seconds(2);
        toncenter = std::make_unique<Toncenter>(options, client, clock, metrics);
        ton::TonOptions terms;
        terms.network = dev_network;
        terms.clock_skew_max = skew;
        chain = std::make_unique<ton::TonChain>(
            ton::HighloadWallet{ton::SigningKey::from_seed(Bytes(32, 9)).value(), message_seconds},
            *toncenter, clock, terms);
        mortal = std::make_unique<Mortal>(*chain);
        mortal->fate = [this](const char* call, bool after) { fate(call, after); };
        SettlementDoors doors{*mortal,
                              store,
                              metrics,
                              clock,
                              [this](matching::Command command) -> std::optional<matching::Reply> {
                                  fate("books", false);
                                  auto reply = market.send(std::move(command)).reply;
                                  fate("books", true);
                                  forget_ended();
                                  return reply;
                              },
                              [this] {
                                  market.project();
                                  return true;
                              }};
        worker = std::make_unique<SettlementWorker>(
            doors, SettlementOptions{seconds(1), milliseconds(300), seconds(1)});
        worker->fill(market.writer->state());
    }
    // What stored() would have told the worker.
    void forget_ended() {
        matching::Batch batch;
        for (const auto& [id, payout] : market.writer->state().payouts)
            batch.changes.payouts.push_back(payout);
        worker->stored(batch);
    }

    // Rounds until `done` or `patience`; a process that dies is followed by a new one.
    bool until(const std::function<bool()>& done, Duration patience = seconds(60)) {
        const Instant end = clock.now() + patience;
        while (clock.now() < end) {
            try {
                forget_ended();
                worker->round();
                if (done()) return true;
            } catch (const Crash&) {
                ++deaths;
                live();
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{30});
        }
        return false;
    }

    std::string address() const { return chain->deposit_address(); }
    Nano balance(matching::Bucket bucket) {
        return market.writer->state()
            .accounts.find(market.developer)
            ->account.balances[static_cast<std::size_t>(bucket)];
    }
    void fund(std::int64_t amount) {
        sandbox.faucet(address(), amount, std::string{settlement::operator_memo});
        REQUIRE(until([&] { return store.totals().operator_funds >= Nano{amount}; }));
    }
    matching::Payout payout(Nano amount) {
        return market
            .must<matching::PayoutAnswer>(
                matching::RequestPayout{market.developer, matching::Bucket::available, amount},
                market.developer)
            .payout;
    }
    bool all_paid() {
        return balance(matching::Bucket::paying) == Nano{} && store.open_batches().empty();
    }
    // Books and chain, to the nanoton, but for what the market was furnished with from nowhere.
    bool agrees() {
        metrics.settlement_difference_nano.set(1);
        live();  // reconciles anew
        return until([&] { return metrics.settlement_difference_nano.value() == -furnished.value; },
                     seconds(10));
    }
};

}  // namespace

TEST_CASE("deposits by memo are credited once, from a real chain") {
    if (!test::SandboxChain::installed()) return;
    World world;
    const Nano before = world.balance(matching::Bucket::available);
    world.sandbox.faucet(world.address(), 1'000'000'000, "memo-d");
    world.sandbox.faucet(world.address(), 2'000'000'000, "nobody");
    world.sandbox.faucet(world.address(), 3'000'000'000, R"(memo-d\u0000)");
    world.sandbox.faucet(world.address(), 9'999'999, "memo-d");
    REQUIRE(world.until([&] { return world.store.holds() == 3; }));
    REQUIRE(world.until([&] {
        return world.balance(matching::Bucket::available) == before + Nano{1'000'000'000};
    }));
    world.database.execute("update chain_cursor set lt = 0, hash = ''");  // the cursor lost
    world.live();
    REQUIRE(world.until([&] { return world.store.cursor().lt > 0; }));
    CHECK(world.balance(matching::Bucket::available) == before + Nano{1'000'000'000});
    CHECK(world.store.holds() == 3);
    CHECK(world.agrees());
}

TEST_CASE("payouts arrive once, with the wallet deployed by the first batch") {
    if (!test::SandboxChain::installed()) return;
    World world;
    world.fund(5'000'000'000);
    for (int batch = 0; batch < 3; ++batch) {
        for (int i = 0; i < 4; ++i) world.payout(Nano{10'000'000});
        REQUIRE(world.until([&] { return world.all_paid(); }));
    }
    CHECK(world.sandbox.balance(World::payee(0)) == 120'000'000);
    CHECK(world.metrics.settlement_payouts_paid.value() == 12);
    CHECK(world.agrees());
    CHECK(world.metrics.settlement_unknown_batches.value() == 0);
}

TEST_CASE("a wallet that holds too little pays what it can, and the rest once it is filled") {
    if (!test::SandboxChain::installed()) return;
    World world;
    world.fund(300'000'000);
    for (int i = 0; i < 4; ++i) world.payout(Nano{20'000'000});
    REQUIRE(world.until([&] { return world.metrics.settlement_wallet_short.value() == 1; }));
    CHECK(world.sandbox.balance(World::payee(0)) <= 40'000'000);
    world.fund(1'000'000'000);
    REQUIRE(world.until([&] { return world.all_paid(); }));
    CHECK(world.sandbox.balance(World::payee(0)) == 80'000'000);
    CHECK(world.agrees());
}

// The eight points of the exactly-once state machine: where the process dies, and what the chain's
// providers do meanwhile.
TEST_CASE("a payout is paid once whatever happens between its request and its end") {
    if (!test::SandboxChain::installed()) return;
    struct Row {
        const char* name;
        const char* call;    // dies at the first two calls of this kind, if there are two
        bool after;          // after they took effect
        const char* first;   // faults of the first provider
        const char* second;  // and of the second
        bool halt;           // the chain stands still past the message's life
    };
    const auto row = GENERATE(
        Row{"before the batch is stored", "build", true, "", "", false},
        Row{"stored and not sent", "submit", false, "", "", false},
        Row{"sent and not answered", "submit", true, "", "", false},
        Row{"the answer is lost", "entries", true,
            R"({"method":"sendBoc","kind":"accept_then_timeout","count":3})",
            R"({"method":"sendBoc","kind":"accept_then_timeout","count":3})", false},
        Row{"everything arrives twice", "entries", true,
            R"({"method":"sendBoc","kind":"duplicate"},{"kind":"delay","value":500,"count":1})",
            R"({"method":"sendBoc","kind":"duplicate"})", false},
        Row{"one provider is far behind and one forgets messages", "submit", true,
            R"({"kind":"stale","value":1500})", R"({"method":"sendBoc","kind":"drop","count":3})",
            false},
        Row{"the chain stands still", "submit", false, "", "", true},
        Row{"one provider's clock is wrong and its hashes too", "submit", true,
            R"({"kind":"time_skew","value":3600},{"kind":"wrong_hash"},{"kind":"lying_fields"})",
            R"({"kind":"status","value":429,"probability":0.2},
               {"kind":"status","value":542,"probability":0.1})",
            false});
    CAPTURE(row.name);
    World world;
    world.fund(3'000'000'000);
    int dies = 2;
    world.fate = [&](const char* call, bool after) {
        if (dies > 0 && std::string_view{call} == row.call && after == row.after && dies--)
            throw Crash{};
    };
    world.sandbox.faults(0, row.first, 3);
    world.sandbox.faults(1, row.second, 4);
    for (int i = 0; i < 3; ++i) world.payout(Nano{10'000'000});
    if (row.halt) {
        world.sandbox.halt(true);
        CHECK_FALSE(world.until([&] { return world.all_paid(); }, seconds(14)));
        world.sandbox.halt(false);
    }
    CHECK(world.until([&] { return world.all_paid(); }));
    CHECK(world.deaths >= 1);
    world.sandbox.faults(0, "");
    world.sandbox.faults(1, "");
    CHECK(world.agrees());
    CHECK(world.sandbox.balance(World::payee(0)) == 30'000'000);
    CHECK(world.metrics.settlement_unknown_batches.value() == 0);
}

// Each crash point under each fault of a provider, one after the other on one chain: a sample of
// them, or with COCOON_LONG all.
TEST_CASE("every crash point under every fault pays once and credits once") {
    if (!test::SandboxChain::installed()) return;
    const std::pair<const char*, bool> points[] = {{"build", true},  {"submit", false},
                                                   {"submit", true}, {"entries", true},
                                                   {"books", false}, {"books", true}};
    const char* faults[] = {
        R"({"method":"sendBoc","kind":"drop","count":2})",
        R"({"method":"sendBoc","kind":"delay","value":1500,"count":2})",
        R"({"method":"sendBoc","kind":"duplicate"})",
        R"({"kind":"accept_then_timeout","probability":0.4})",
        R"({"kind":"status","value":429,"probability":0.5})",
        R"({"kind":"status","value":500,"probability":0.5})",
        R"({"kind":"status","value":504,"probability":0.5})",
        R"({"kind":"status","value":542,"probability":0.5})",
        R"({"kind":"slow","value":400,"probability":0.5})",
        R"({"kind":"stale","value":25})",
        R"({"kind":"time_skew","value":60})",
        R"({"kind":"time_skew","value":-60})",
        R"({"kind":"wrong_hash"})",
        R"({"kind":"lying_fields"})",
    };
    const bool thorough = std::getenv("COCOON_LONG") != nullptr;
    const std::uint32_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 chance{seed};
    World world;
    world.fund(20'000'000'000);
    std::int64_t paid = 0, credited = 0;
    const Nano before = world.balance(matching::Bucket::available);
    std::size_t number = 0;
    for (const auto& [call, after] : points) {
        for (const char* fault : faults) {
            if (!thorough && number++ % 7 != seed % 7) continue;
            CAPTURE(call, after, fault);
            int dies = 2;
            world.fate = [&](const char* at, bool done) {
                if (dies > 0 && std::string_view{call} == at && after == done && dies--)
                    throw Crash{};
            };
            // Of two providers one at least is mostly well; which one, and how, is chance.
            const std::size_t ill = chance() % 2;
            world.sandbox.faults(ill, fault, chance());
            world.sandbox.faults(1 - ill, R"({"kind":"status","value":500,"probability":0.1})",
                                 chance());
            const int payouts = thorough ? 20 : 5;
            for (int i = 0; i < payouts; ++i) {
                const std::int64_t amount = 10'000'000 + chance() % 1'000'000;
                world.payout(Nano{amount});
                paid += amount;
            }
            const std::int64_t deposit = 10'000'000 + chance() % 1'000'000;
            world.sandbox.faucet(world.address(), deposit, "memo-d");
            credited += deposit;
            REQUIRE(world.until([&] {
                return world.all_paid() && world.balance(matching::Bucket::available) ==
                                               before - Nano{paid} + Nano{credited};
            }));
        }
    }
    for (const std::size_t provider : {0, 1}) world.sandbox.faults(provider, "");
    CHECK(world.deaths > 0);
    CHECK(world.agrees());
    CHECK(world.sandbox.balance(World::payee(0)) == paid);
    CHECK(world.store.holds() == 0);
    CHECK(world.metrics.settlement_unknown_batches.value() == 0);
}

TEST_CASE("an endpoint of another network is never believed") {
    if (!test::SandboxChain::installed()) return;
    test::SandboxChain sandbox{1};
    net::HttpClient client;
    SystemClock clock;
    Metrics metrics;
    ToncenterOptions options;
    options.endpoints = {{sandbox.url(0), ""}};
    options.calls_per_second = 100;
    Toncenter toncenter{options, client, clock, metrics};
    const auto account = toncenter.account({});
    REQUIRE_FALSE(account);
    CHECK(account.error().code == ErrorCode::upstream_failed);
    CHECK_FALSE(toncenter.send(Bytes{1}));
}
