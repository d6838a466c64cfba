// What no customer can make the market do: work, remember or owe without end.
#include "core/limits.hpp"
#include "matching/invariants.hpp"
#include "tests/catch.hpp"
#include "tests/matching/world.hpp"

namespace cocoon::matching {
namespace {

// Rules under which a few dozen requests are as good as a hundred thousand.
Rules narrow() {
    Rules rules;
    rules.resting_requests_per_command_max = 4;
    rules.resting_requests_per_tick_max = 10;
    return rules;
}

struct Crowd {
    World world{narrow()};
    OfferId offer;
    RequestId held;  // takes the offer's one slot

    explicit Crowd(std::uint32_t slots = 1) {
        PlaceOffer placed = world.offer();
        placed.offer.slots = slots;
        offer = world.must<OfferAnswer>(placed).offer.id;
        PlaceRequest all = world.request();
        all.request.slots = slots;
        held = world.must<RequestAnswer>(all).request.id;
    }
    PlaceRequest resting() {
        PlaceRequest made = world.request();
        made.request.time_in_force = TimeInForce::rest;
        made.request.rest_until = world.now + days(1);
        return made;
    }
    RequestId rest(const PlaceRequest& request) {
        const auto placed = world.must<RequestAnswer>(request).request;
        REQUIRE(placed.state == RequestState::resting);
        return placed.id;
    }
    // Elsewhere: there is no such place.
    void rest_hopeless(int count) {
        PlaceRequest hopeless = resting();
        hopeless.request.constraints.regions = {"nowhere"};
        for (int i = 0; i < count; ++i) rest(hopeless);
    }
    // How many resting requests it made the engine look at.
    std::uint64_t looked(Command command) {
        const std::uint64_t before = world.owned->engine().resting_looked_at();
        REQUIRE(world.ask(std::move(command)).reply);
        return world.owned->engine().resting_looked_at() - before;
    }
    RequestState state_of(RequestId id) const {
        return world.owned->state().requests.find(id)->request.state;
    }
    JobId job_of(RequestId id) const { return world.owned->state().requests.find(id)->request.job; }
};

}  // namespace

TEST_CASE("bug: every freed slot looked at all that rested") {
    Crowd crowd;
    crowd.rest_hopeless(100);
    const RequestId served = crowd.rest(crowd.resting());
    crowd.rest_hopeless(100);
    CHECK(crowd.looked(CancelRequest{crowd.world.developer, crowd.held}) == 4);
    CHECK(crowd.state_of(served) == RequestState::resting);
    int ticks = 0;
    for (; crowd.state_of(served) == RequestState::resting; ++ticks) {
        REQUIRE(crowd.world.owned->next_due() == Instant{});
        CHECK(crowd.looked(Tick{}) <= 10);
    }
    CHECK(ticks == 10);              // 4 of 101 were looked at by the command
    CHECK(crowd.world.tick() <= 1);  // the offer is taken: nothing is left to do
    CHECK(crowd.looked(CancelRequest{crowd.world.developer, served}) == 4);
    CHECK(crowd.world.tick() > 0);
    CHECK(check(crowd.world.owned->state(), crowd.world.now).empty());
}

TEST_CASE("an offer that all have seen is not shown again because one more of its slots is free") {
    Crowd crowd{3};
    crowd.rest_hopeless(50);
    PlaceRequest one = crowd.world.request();
    REQUIRE(crowd.world.ask(CancelRequest{crowd.world.developer, crowd.held}).reply);
    crowd.world.tick();
    const RequestId first = crowd.world.must<RequestAnswer>(one).request.id;
    const RequestId second = crowd.world.must<RequestAnswer>(one).request.id;
    CHECK(crowd.looked(CancelRequest{crowd.world.developer, first}) == 0);
    CHECK_FALSE(crowd.world.owned->next_due() == Instant{});
    // Somebody wants as many as will be free then: that is news.
    PlaceRequest three = crowd.resting();
    three.request.slots = 3;
    const RequestId wide = crowd.rest(three);
    CHECK(crowd.looked(CancelRequest{crowd.world.developer, second}) > 0);
    crowd.world.tick();
    CHECK(crowd.state_of(wide) == RequestState::matched);
}

TEST_CASE("a walk outlives those it passes, its offer's end and a restart") {
    const auto crowded = [] {
        auto crowd = std::make_unique<Crowd>();
        crowd->rest_hopeless(30);
        return crowd;
    };
    SECTION("the request at which it goes on leaves") {
        const auto crowd = crowded();
        const RequestId served = crowd->rest(crowd->resting());
        REQUIRE(crowd->world.ask(CancelRequest{crowd->world.developer, crowd->held}).reply);
        for (std::uint64_t id = crowd->held.value + 1; id < served.value; ++id)
            REQUIRE(crowd->world.ask(CancelRequest{crowd->world.developer, RequestId{id}}).reply);
        crowd->world.tick();
        CHECK(crowd->state_of(served) == RequestState::matched);
    }
    SECTION("the offer ends") {
        const auto crowd = crowded();
        REQUIRE(crowd->world.ask(CancelRequest{crowd->world.developer, crowd->held}).reply);
        REQUIRE(crowd->world.ask(CancelOffer{crowd->world.provider, crowd->offer, 0}).reply);
        CHECK(crowd->looked(Tick{}) == 0);
        CHECK_FALSE(crowd->world.owned->next_due() == Instant{});
    }
    SECTION("the program is started again on the way") {
        const auto crowd = crowded();
        const RequestId served = crowd->rest(crowd->resting());
        REQUIRE(crowd->world.ask(CancelRequest{crowd->world.developer, crowd->held}).reply);
        crowd->world.owned = std::make_unique<Writer>(crowd->world.journal, crowd->world.rules);
        CHECK(crowd->state_of(served) == RequestState::resting);
        crowd->world.tick();
        CHECK(crowd->state_of(served) == RequestState::matched);
    }
}

TEST_CASE("bug: money that came was offered to all who lacked any") {
    Crowd crowd;
    REQUIRE(crowd.world.ask(CancelRequest{crowd.world.developer, crowd.held}).reply);
    AmendKey cap{crowd.world.developer, crowd.world.work, {}, Nano{1}, {}, {}};
    REQUIRE(crowd.world.ask(cap).reply);
    std::vector<RequestId> poor;
    // They come while nothing is offered, and lack money once something is.
    REQUIRE(crowd.world.ask(SetNodePresence{crowd.world.node, false}).reply);
    PlaceRequest request = crowd.resting();
    for (int i = 0; i < 40; ++i) {
        request.request.quantity.prompt = 1'000'000 * (40 - i);
        poor.push_back(crowd.rest(request));
    }
    REQUIRE(crowd.world.ask(SetNodePresence{crowd.world.node, true}).reply);
    crowd.world.tick();
    CHECK(crowd.world.owned->state().starved.size() == 1);
    // Not enough for any of them: nobody is asked.
    cap.cap_total = Nano{150};
    CHECK(crowd.looked(cap) == 0);
    cap.cap_total = Nano{200};
    CHECK(crowd.looked(cap) == 1);
    CHECK(crowd.state_of(poor.back()) == RequestState::matched);
    crowd.world.tick();
    CHECK(crowd.state_of(poor.front()) == RequestState::resting);
    CHECK(check(crowd.world.owned->state(), crowd.world.now).empty());
}

TEST_CASE("bug: a longer stay cost as much as there were others at the price") {
    Crowd crowd;
    const RequestId first = crowd.rest(crowd.resting());
    const RequestId last = crowd.rest(crowd.resting());
    AmendRequest amend;
    amend.account = crowd.world.developer;
    amend.request = first;
    amend.rest_until = crowd.world.now + days(2);
    REQUIRE(crowd.world.ask(amend).reply);
    REQUIRE(crowd.world.ask(CancelRequest{crowd.world.developer, crowd.held}).reply);
    CHECK(crowd.state_of(first) == RequestState::matched);  // it kept its place
    CHECK(crowd.state_of(last) == RequestState::resting);
}

// ---- Remembered answers
// ---------------------------------------------------------------------------

TEST_CASE("a full memory of answers refuses what it could not recognise again") {
    struct Row {
        const char* name;
        Rules rules;
    };
    Rules own, bytes, all;
    own.remembered_per_account_max = 3;
    bytes.remembered_bytes_per_account_max = 600;
    all.remembered_max = 3;
    for (const Row& row : {Row{"answers of an account", own}, Row{"bytes of an account", bytes},
                           Row{"answers of all", all}}) {
        INFO(row.name);
        World world{row.rules};
        const auto offer = [&](int i) {
            return world.ask(world.offer(), "k" + std::to_string(i), static_cast<std::uint8_t>(i));
        };
        int taken = 0;
        while (offer(taken).reply) REQUIRE(++taken < 10);
        REQUIRE(taken > 0);
        const std::size_t offers = world.owned->state().offers.size();
        CHECK(offers == static_cast<std::size_t>(taken));
        const Answered full = offer(taken);
        CHECK(code_of(full) == ErrorCode::idempotency_memory_full);
        CHECK(full.reply.error().retry_after_seconds == limits::idempotency_seconds);
        CHECK(world.owned->state().offers.size() == offers);
        CHECK(offer(0).replayed);                           // what is remembered still answers
        CHECK(world.ask(world.offer()).reply.has_value());  // without a key nothing is remembered
        world.owned = std::make_unique<Writer>(world.journal, world.rules);
        CHECK(code_of(offer(taken)) == ErrorCode::idempotency_memory_full);
        world.now = world.now + hours(23);
        CHECK(offer(taken).reply.error().retry_after_seconds == 3'600);
        world.now = world.now + hours(1);
        CHECK(offer(taken).reply.has_value());
        CHECK_FALSE(offer(0).replayed);  // a day has passed
    }
}

TEST_CASE("one account's full memory is its own") {
    Rules rules;
    rules.remembered_per_account_max = 1;
    World world{rules};
    REQUIRE(world.ask(world.offer(), "a").reply);
    CHECK(code_of(world.ask(world.offer(), "b")) == ErrorCode::idempotency_memory_full);
    Envelope other;
    other.actor = world.provider;
    other.idempotency_key = "b";
    other.command = world.offer();
    CHECK(world.owned->step(std::vector<Envelope>{other}, world.now).at(0).reply.has_value());
    CHECK(world.owned->state().remembered_of(world.provider).answers == 1);
    CHECK(world.owned->state().remembered_of_all().answers == 2);
}

// ---- Keys
// -----------------------------------------------------------------------------------------

TEST_CASE("bug: a rotated key had a cap of its own beside the old one's") {
    World world;
    PlaceOffer wide = world.offer();  // each request holds 200
    wide.offer.slots = 10;
    world.must<OfferAnswer>(wide);
    AmendKey cap{world.developer, world.work, {}, Nano{500}, {}, {}};
    REQUIRE(world.ask(cap).reply);
    const auto rotated = [&](KeyId key) {
        return world
            .must<KeyAnswer>(RotateKey{world.developer, key, world.digest(), "ck_", hours(1)})
            .key;
    };
    const auto placed = [&](KeyId key) {
        PlaceRequest request = world.request();
        request.request.key = key;
        return world.ask(request);
    };
    const Answered first = placed(world.work);
    REQUIRE(first.reply);
    const KeyId second = rotated(world.work), third = rotated(second);
    REQUIRE(placed(third).reply);
    for (const KeyId key : {world.work, second, third})
        CHECK(code_of(placed(key)) == ErrorCode::spend_cap_reached);  // 400 of 500 are held
    const State& state = world.owned->state();
    CHECK(state.keys.find(world.work)->key.held == Nano{400});
    // Through whichever key work ends, all see it.
    const Job job = *std::get<RequestAnswer>(*first.reply).job;
    world.must<JobAnswer>(StartJob{job.id, job.fencing_token});
    CompleteJob done;
    done.job = job.id;
    done.fencing_token = job.fencing_token;
    done.usage = {500'000, 0, 500'000, 0, 1, 0};
    world.must<JobAnswer>(done);
    CHECK(state.keys.find(world.work)->key.spent_total == Nano{100});
    CHECK(placed(second).reply.has_value());
    CHECK(code_of(placed(third)) == ErrorCode::spend_cap_reached);
    // A cap raised through any of them is raised for all.
    cap.key = third;
    cap.cap_total = Nano{700};
    REQUIRE(world.ask(cap).reply);
    CHECK(placed(world.work).reply.has_value());
    CHECK(code_of(placed(second)) == ErrorCode::spend_cap_reached);
    CHECK(check(state, world.now).empty());
}

TEST_CASE("bug: renewing with a key that is over spoke of its cap") {
    World world;
    world.must<OfferAnswer>(world.offer());
    PlaceRequest session = world.request();
    session.request.session = true;
    session.request.job_duration = hours(5);
    const Job job = *world.must<RequestAnswer>(session).job;
    const RenewJob renew{world.developer, job.id, {1'000'000, 0, 0, 0, 0, 0}, seconds(1)};
    AmendKey key{world.developer, world.work, {}, Nano{250}, {}, {}};
    REQUIRE(world.ask(key).reply);
    const Answered spent = world.ask(renew);
    CHECK(code_of(spent) == ErrorCode::spend_cap_reached);
    CHECK(spent.reply.error().detail ==
          "The renewal needs 100 nano more; the key's cap leaves 50.");
    key.cap_total = Nano{};
    key.expires_at = monday + hours(1);
    REQUIRE(world.ask(key).reply);
    world.now = monday + hours(2);
    CHECK(code_of(world.ask(renew)) == ErrorCode::key_expired);
    key.expires_at = monday + hours(9);
    REQUIRE(world.ask(key).reply);
    CHECK(world.ask(renew).reply.has_value());
    world.must<Done>(RevokeKey{world.developer, world.work});
    CHECK(code_of(world.ask(renew)) == ErrorCode::key_revoked);
}

// ---- Receipts and payouts
// -------------------------------------------------------------------------

TEST_CASE("bug: a session's usage was captured beyond its bound") {
    World world;
    world.must<OfferAnswer>(world.offer());
    PlaceRequest session = world.request();
    session.request.session = true;
    const Job job = *world.must<RequestAnswer>(session).job;
    world.must<JobAnswer>(StartJob{job.id, job.fencing_token});
    const auto capture = [&](std::int64_t prompt, std::uint64_t counter) {
        return world.ask(
            CaptureUsage{job.id, job.fencing_token, counter, {prompt, 0, 0, 0, 1, 0}, "r", "{}"});
    };
    CHECK(capture(1'000'000, 1).reply.has_value());
    const Answered over = capture(1'000'001, 2);
    CHECK(code_of(over) == ErrorCode::usage_over_bound);
    CHECK(over.reply.error().detail == "prompt side 1000001 of 1000000.");
    world.must<JobAnswer>(CancelJob{world.developer, job.id});
    CHECK(code_of(capture(1'000'001, 2)) == ErrorCode::usage_over_bound);  // after its end, too
    const State& state = world.owned->state();
    CHECK(state.jobs.find(job.id)->job.captured == Nano{100});
    CHECK(state.jobs.find(job.id)->job.counter == 1);
    CompleteJob done;
    done.job = job.id;
    done.fencing_token = job.fencing_token;
    done.usage = {1'000'000, 0, 1'000'001, 0, 1, 0};
    done.counter = 2;
    CHECK(code_of(world.ask(done)) == ErrorCode::usage_over_bound);
}

TEST_CASE("a payout has a least amount, and an account so many open ones") {
    Rules rules;
    rules.payout_min = Nano{1'000};
    rules.open_payouts_per_account_max = 2;
    World world{rules};
    AmendAccount address{world.developer, {}, {}, "address"};
    REQUIRE(world.ask(address).reply);
    const auto payout = [&](std::int64_t amount) {
        return world.ask(RequestPayout{world.developer, Bucket::available, Nano{amount}});
    };
    CHECK(code_of(payout(999)) == ErrorCode::payout_too_small);
    const auto first = std::get<PayoutAnswer>(*payout(1'000).reply).payout.id;
    CHECK(payout(1'000).reply.has_value());
    CHECK(code_of(payout(1'000)) == ErrorCode::limit_reached);
    world.owned = std::make_unique<Writer>(world.journal, world.rules);
    CHECK(code_of(payout(1'000)) == ErrorCode::limit_reached);
    REQUIRE(world.ask(AdvancePayouts{{first}, PayoutState::returned, "x"}).reply);
    CHECK(payout(1'000).reply.has_value());
}

}  // namespace cocoon::matching
