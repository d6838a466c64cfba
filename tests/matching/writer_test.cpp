#include "core/limits.hpp"
#include "matching/views.hpp"
#include "tests/catch.hpp"
#include "tests/matching/world.hpp"

namespace cocoon::matching {
TEST_CASE("a repeated idempotency key gets the first answer, after a restart too") {
    World world;
    world.must<OfferAnswer>(world.offer());
    const Answered first = world.ask(world.request(), "k1", 7);
    CHECK_FALSE(first.replayed);
    const auto job = std::get<RequestAnswer>(*first.reply).job;
    REQUIRE(job.has_value());
    for (int restarted = 0; restarted < 2; ++restarted) {
        const Answered again = world.ask(world.request(), "k1", 7);
        CHECK(again.replayed);
        CHECK(again.sequence == first.sequence);
        const auto& answer = std::get<RequestAnswer>(*again.reply);
        CHECK(answer.job == job);
        REQUIRE(answer.keyset_document != nullptr);
        CHECK(*answer.keyset_document == "{\"keys\":1}");
        CHECK(code_of(world.ask(world.request(), "k1", 8)) == ErrorCode::idempotency_key_reused);
        world.owned = std::make_unique<Writer>(world.journal);
    }
    // A refusal used its key up as well: it is the same refusal later, whatever has changed.
    PlaceRequest dear = world.request();
    dear.request.slots = 0;
    CHECK(code_of(world.ask(dear, "k2", 1)) == ErrorCode::invalid_body);
    const Answered refused = world.ask(dear, "k2", 1);
    CHECK(refused.replayed);
    CHECK(code_of(refused) == ErrorCode::invalid_body);
}

TEST_CASE("bug: each amendment left a timer behind until its instant came") {
    World world;
    world.must<OfferAnswer>(world.offer(10'000'000));  // beyond the cap
    PlaceRequest place = world.request();
    place.request.cap_total = Nano{500'000};
    place.request.time_in_force = TimeInForce::rest;
    place.request.rest_until = monday + days(1);
    const auto placed = world.must<RequestAnswer>(place);
    REQUIRE(placed.request.state == RequestState::resting);
    AmendRequest amend;
    amend.account = world.developer;
    amend.request = placed.request.id;
    amend.version = placed.request.version;
    const auto amended = [&] {
        const auto answer = world.must<RequestAnswer>(amend);
        amend.version = answer.request.version;
    };
    const std::size_t before = world.owned->state().timers.size();
    for (int i = 0; i < 100; ++i) {
        amend.cap_total = Nano{500'000 + i};
        amended();
    }
    CHECK(world.owned->state().timers.size() == before);
    // To and fro: every second one has stood there before.
    for (int i = 0; i < 6'000; ++i) {
        amend.rest_until = monday + hours(i % 2 ? 30 : 40);
        amended();
    }
    CHECK(world.owned->state().timers.size() < before + 2'500);
}

TEST_CASE("a stranger's refusal leaves no entry; what a stranger opened is remembered") {
    World world;
    const auto ask = [&](Command command, const char* key) {
        Envelope envelope;
        envelope.idempotency_key = key;
        envelope.command = std::move(command);
        return world.owned->step(std::vector<Envelope>{envelope}, monday).at(0);
    };
    const std::uint64_t before = world.journal.last_sequence();
    for (int i = 0; i < 3; ++i) CHECK(code_of(ask(EnrolNode{}, "guess")) == ErrorCode::not_found);
    CHECK(world.journal.last_sequence() == before);
    const OpenAccount open = world.account(AccountKind::developer, scope_work);
    const Answered opened = ask(open, "sign-up");
    CHECK(world.journal.last_sequence() == before + 1);
    const Answered again = ask(open, "sign-up");
    CHECK(again.replayed);
    CHECK(std::get<AccountAnswer>(*again.reply).account ==
          std::get<AccountAnswer>(*opened.reply).account);
}

TEST_CASE("bug: a key past its end went on taking holds for what rested") {
    World world;
    const auto at = [&](Command command, Instant now) {
        Envelope envelope;
        envelope.command = std::move(command);
        return world.owned->step(std::vector<Envelope>{envelope}, now).at(0);
    };
    const OfferId gone = world.must<OfferAnswer>(world.offer()).offer.id;  // opens the market
    world.must<OfferAnswer>(CancelOffer{world.provider, gone, 0});
    PlaceRequest resting = world.request();
    resting.request.time_in_force = TimeInForce::rest;
    resting.request.rest_until = monday + days(2);
    const RequestId id = std::get<RequestAnswer>(*at(resting, monday).reply).request.id;
    AmendKey ends;
    ends.account = world.developer;
    ends.key = world.work;
    ends.expires_at = monday + hours(1);
    REQUIRE(at(ends, monday).reply);
    REQUIRE(at(world.offer(), monday + hours(2)).reply);  // it would fit
    const State& state = world.owned->state();
    CHECK(state.requests.find(id)->request.state == RequestState::resting);
    CHECK(state.keys.find(world.work)->key.held == Nano{});
    // Its owner gives it more time: what waited is matched at once.
    ends.expires_at = monday + days(3);
    REQUIRE(at(ends, monday + hours(3)).reply);
    CHECK(state.requests.find(id)->request.state == RequestState::matched);
}

TEST_CASE("a commit is stored, absent, or found out by reading back") {
    struct Row {
        Fault fault;
        bool stored;
    };
    for (const Row& row : {Row{Fault::none, true}, Row{Fault::refuse, false},
                           Row{Fault::throw_before, false}, Row{Fault::throw_after, true}}) {
        World world;
        const StateHash before = world.owned->state().hash();
        world.journal.next_fault = row.fault;
        const Answered answered = world.ask(world.offer());
        CHECK(answered.reply.has_value() == row.stored);
        if (!row.stored) {
            CHECK(code_of(answered) == ErrorCode::commit_failed);
            CHECK_FALSE(world.owned->loaded());
            CHECK(world.owned->prepare({}, monday).answers.empty());  // loads again
            CHECK(world.owned->state().hash() == before);
        } else {
            CHECK(answered.sequence == world.journal.last_sequence());
        }
    }
}

TEST_CASE("a batch prepared on top of one that is not stored falls with it") {
    World world;
    Envelope envelope;
    envelope.command = world.offer();
    const std::vector<Envelope> one{envelope};
    Pending first = world.owned->prepare(one, monday), second = world.owned->prepare(one, monday);
    world.journal.next_fault = Fault::refuse;
    const auto outcome = world.owned->commit(first.batch);
    CHECK(code_of(world.owned->settle(std::move(first), outcome).at(0)) ==
          ErrorCode::commit_failed);
    const auto other = world.owned->commit(second.batch);
    CHECK(other == Journal::Outcome::not_stored);
    CHECK(code_of(world.owned->settle(std::move(second), other).at(0)) == ErrorCode::commit_failed);
    CHECK(world.ask(world.offer()).reply.has_value());
    CHECK(world.owned->state().offers.size() == 1);
}

TEST_CASE("what a key may do ends at its scopes, its node and its account") {
    World world;
    PlaceRequest managed = world.request();
    managed.request.key = world.manage;
    world.must<OfferAnswer>(world.offer());
    CHECK(code_of(world.ask(managed)) == ErrorCode::forbidden);
    PlaceRequest foreign = world.request();
    foreign.request.key = world.offers;
    CHECK(code_of(world.ask(foreign)) == ErrorCode::not_found);
    const KeyId first_node_key = world.node_key;
    world.node = world.enrol();
    CHECK(code_of(world.ask(world.offer(), "n", 0, first_node_key)) == ErrorCode::not_found);
    CHECK(world.ask(world.offer(), "m", 0, world.node_key).reply.has_value());
    CHECK(code_of(world.ask(SetFee{1, ""}, "f", 0, world.work)) == ErrorCode::forbidden);
    world.must<Done>(RevokeKey{world.developer, world.work});
    CHECK(code_of(world.ask(world.request())) == ErrorCode::key_revoked);
}

TEST_CASE("limits of nodes, keys and webhooks are refused by name") {
    World world;
    for (std::uint32_t i = 0; i < limits::offers_per_node_max; ++i)
        REQUIRE(world.ask(world.offer(500)).reply.has_value());
    CHECK(code_of(world.ask(world.offer())) == ErrorCode::limit_reached);
    const auto key = [&](std::uint32_t i) {
        ApiKey made;
        made.account = world.developer;
        made.scopes = scope_read;
        made.secret_hash[1] = static_cast<std::uint8_t>(1 + i);
        return CreateKey{made};
    };
    for (std::uint32_t i = 2; i < limits::keys_per_account_max; ++i)
        REQUIRE(world.ask(key(i)).reply.has_value());
    CHECK(code_of(world.ask(key(200))) == ErrorCode::limit_reached);
    Webhook hook;
    hook.account = world.developer;
    for (std::uint32_t i = 0; i < limits::webhooks_per_account_max; ++i)
        REQUIRE(world.ask(PutWebhook{hook}).reply.has_value());
    CHECK(code_of(world.ask(PutWebhook{hook})) == ErrorCode::limit_reached);
    CHECK(code_of(world.ask(PlaceRequests{})) == ErrorCode::invalid_body);
    PlaceRequests many;
    many.requests.assign(limits::request_batch_max + 1, world.request());
    CHECK(code_of(world.ask(many)) == ErrorCode::invalid_body);
}

TEST_CASE("a sign-in ends the sessions it replaces, and an operator's is audited") {
    World world;
    OpenAccount open = world.account(AccountKind::admin, scope_read);
    open.first_key.scopes |= scope_admin;
    const AccountId admin = world.must<AccountAnswer>(open).account;
    // What the audit log says of the command, and its answer.
    std::vector<std::string> audited;
    const auto ask = [&](Command command) {
        std::array<Envelope, 1> envelope;
        envelope[0].command = std::move(command);
        Pending pending = world.owned->prepare(envelope, world.now);
        audited.clear();
        for (const Entry& entry : pending.batch.entries)
            for (const Event& event : entry.events)
                if (const auto* line = std::get_if<Audited>(&event))
                    audited.push_back(line->action + ' ' + line->target + ' ' + line->note);
        const auto outcome = world.owned->commit(pending.batch);
        return world.owned->settle(std::move(pending), outcome).at(0);
    };
    const auto key_of = [](const Answered& answered) {
        return std::get<KeyAnswer>(answered.reply.value()).key;
    };
    const auto session = [&](AccountId account, std::vector<KeyId> replaces) {
        CreateKey create;
        create.key.account = account;
        create.key.scopes = scope_read;
        create.key.secret_hash = world.digest();
        create.replaces = std::move(replaces);
        create.sign_in = "password and code";
        return create;
    };
    const auto revoked = [&](KeyId id) {
        return std::as_const(world.owned->state()).keys.find(id)->key.revoked;
    };
    const KeyId first = key_of(ask(session(admin, {world.work})));
    CHECK(audited == std::vector{"sign_in " + admin.text() + " password and code"});
    CHECK_FALSE(revoked(world.work));  // another account's
    const KeyId second = key_of(ask(session(admin, {first, first, KeyId{9'999}})));
    CHECK(revoked(first));
    ask(session(world.developer, {}));
    CHECK(audited.empty());

    ask(NoteLogin{admin, "set_login", {second, world.work}, "name root"});
    CHECK(audited == std::vector{"set_login " + admin.text() + " name root"});
    CHECK(revoked(second));
    CHECK_FALSE(revoked(world.work));
    CHECK(code_of(world.ask(NoteLogin{AccountId{77}, "set_login"})) == ErrorCode::not_found);

    // At the limit a session takes the place of those it ends, and nothing ends for a refusal.
    CreateKey more = session(world.developer, {});
    while (world.ask(more).reply.has_value()) more = session(world.developer, {});
    const KeyId last = key_of(ask(session(world.developer, {world.work})));
    CHECK(revoked(world.work));
    CHECK(code_of(world.ask(session(world.developer, {world.work}))) == ErrorCode::limit_reached);
    CHECK_FALSE(revoked(last));
}

TEST_CASE("each request of a batch stands for itself") {
    World world;
    world.must<OfferAnswer>(world.offer());
    PlaceRequest wrong = world.request();
    wrong.alternatives = {{"inference:none", ""}};
    const auto answers =
        world.must<RequestsAnswer>(PlaceRequests{{world.request(), wrong, world.request()}})
            .answers;
    REQUIRE(answers.size() == 3);
    CHECK(answers[0].value().job.has_value());
    CHECK(answers[1].error().code == ErrorCode::unknown_market);
    CHECK(answers[2].value().request.state == RequestState::unmatched);  // the one slot is taken
    CHECK(answers[2].value().why->removed.at(0) == std::pair{Constraint::slots, 1u});
}

TEST_CASE("the public view shows depth, demand and the last price, and only changes when they do") {
    World world;
    Views views;
    CHECK(views.rebuild(world.owned->state(), monday)->by_name.empty());
    PlaceOffer two = world.offer(100);
    two.offer.slots = 2;
    world.must<OfferAnswer>(two);
    world.must<OfferAnswer>(world.offer(100));
    world.must<OfferAnswer>(world.offer(300));
    PlaceRequest rests = world.request();
    rests.request.cap_total = Nano{50};
    rests.request.time_in_force = TimeInForce::rest;
    rests.request.rest_until = monday + hours(1);
    world.must<RequestAnswer>(rests);
    world.must<RequestAnswer>(world.request());
    const auto seen = views.refresh(world.owned->state(), monday);
    const MarketView& market = *seen->by_name.at("inference:m");
    REQUIRE(market.asks.size() == 2);
    CHECK(market.asks[0].price.prompt.value == 100);
    CHECK(market.asks[0].slots_free == 2);
    CHECK(market.asks[0].offers == 2);
    CHECK(market.offers_by_tier[static_cast<std::size_t>(Tier::tdx)] == 3);
    CHECK(market.slots_total == 4);
    REQUIRE(market.bids.size() == 1);
    CHECK(market.bids[0].requests == 1);
    CHECK(market.last_price->completion.value == 100);
    CHECK(views.refresh(world.owned->state(), monday) == seen);
    world.must<Done>(SetNodePresence{world.node, false});
    CHECK(views.refresh(world.owned->state(), monday)->by_name.at("inference:m")->asks.empty());
}

}  // namespace cocoon::matching
