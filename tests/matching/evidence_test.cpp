// Evidence in time: who is told what when it nears its end, is doubted or over, once each, across
// restarts; and that no match outlives it.
#include "matching/writer.hpp"
#include "tests/catch.hpp"
#include "tests/matching/sim_journal.hpp"

namespace cocoon::matching {
namespace {

constexpr Instant start{1'795'000'000'000'000};

struct Told {
    std::string what;
    Duration after;  // the start
    bool operator==(const Told&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Told& told) {
    return out << told.what << " after " << told.after.seconds() << " s";
}

// One provider with one node, and time.
struct World {
    SimJournal journal;
    std::unique_ptr<Writer> writer = std::make_unique<Writer>(journal);
    Instant now = start;
    NodeId node;
    AccountId provider, developer;
    KeyId work;
    std::uint8_t digests = 0;

    Digest digest() {
        Digest made{};
        made[0] = ++digests;
        return made;
    }
    Reply ask(Command command) {
        Envelope envelope;
        envelope.command = std::move(command);
        return writer->step(std::vector<Envelope>{envelope}, now).at(0).reply;
    }
    template <class T>
    T must(Command command) {
        return std::get<T>(ask(std::move(command)).value());
    }
    AccountAnswer open(AccountKind kind, ScopeSet scopes) {
        OpenAccount command;
        command.kind = kind;
        command.name = "someone";
        command.deposit_memo = "memo" + std::to_string(digests);
        command.first_key.secret_hash = digest();
        command.first_key.scopes = scopes;
        const auto answer = must<AccountAnswer>(command);
        must<DepositAnswer>(
            CreditDeposit{command.deposit_memo, Nano{1'000'000}, command.deposit_memo});
        return answer;
    }
    World() {
        const auto buyer = open(AccountKind::developer, scope_work);
        developer = buyer.account, work = buyer.key;
        provider = open(AccountKind::provider, scope_offer).account;
        const Digest token = digest();
        must<Done>(IssueEnrolment{provider, token, hours(1)});
        EnrolNode command;
        command.token_hash = token;
        command.node.name = "node";
        command.credential.secret_hash = digest();
        node = must<NodeAnswer>(command).node;
        must<Done>(SetNodePresence{node, true});
    }
    void attest(Duration life, Duration collateral = {}, const char* hash = "aa") {
        SubmitVerdict verdict;
        verdict.node = node;
        verdict.tier = Tier::tdx;
        verdict.keyset_digest = "sha256:1";
        verdict.keyset_document = "{}";
        verdict.evidence_hash = hash;
        verdict.valid_until = now + life;
        if (collateral.us != 0) {
            verdict.collateral_until = now + collateral;
            verdict.collateral_first = "Intel's TCB info";
        }
        must<VerdictAnswer>(verdict);
    }
    // Lets time pass as the lane does: Ticks when something is due.
    void pass_to(Duration after) {
        while (writer->next_due() && *writer->next_due() <= start + after) {
            now = std::max(now, *writer->next_due());
            must<Done>(Tick{});
        }
        now = start + after;
    }
    void restart() { writer = std::make_unique<Writer>(journal); }
    const Node& seen() const { return writer->state().nodes.find(node)->node; }
    // Everything that was said of evidence, in order.
    std::vector<Told> told() {
        std::vector<Told> all;
        for (std::uint64_t sequence = 1; sequence <= journal.last_sequence(); ++sequence) {
            const Entry entry = journal.entry(sequence);
            const Duration after = entry.at - start;
            for (const Event& event : entry.events) {
                if (const auto* e = std::get_if<EvidenceExpiring>(&event))
                    all.push_back({e->what.empty() ? "evidence ends" : e->what + " ends", after});
                if (const auto* e = std::get_if<EvidenceDoubted>(&event))
                    all.push_back({"doubted: " + e->reason, after});
                if (const auto* e = std::get_if<EvidenceEnded>(&event))
                    all.push_back({"ended: " + e->reason, after});
            }
        }
        return all;
    }
};

}  // namespace

TEST_CASE("a provider is told seven days, one day and one hour ahead, and of the end") {
    World world;
    world.attest(days(30), days(30));
    world.pass_to(days(40));
    const std::vector<Told> expected{{"Intel's TCB info ends", days(23)},
                                     {"Intel's TCB info ends", days(29)},
                                     {"evidence ends", days(30) - hours(1)},
                                     {"ended: expired", days(30)}};
    CHECK(world.told() == expected);
    CHECK(world.seen().evidence_notices == (notice_week | notice_day | notice_hour | notice_ended));
}

TEST_CASE("the same collateral is told of once, however often the node attests on it") {
    World world;
    for (int round = 0; round < 20; ++round) {
        world.attest(hours(24), days(10) - hours(12 * round));
        world.restart();
        world.pass_to(hours(12 * (round + 1)));
    }
    const std::vector<Told> expected{{"Intel's TCB info ends", days(3)},
                                     {"Intel's TCB info ends", days(9)}};
    CHECK(world.told() == expected);
    // Newer collateral: the clock begins again.
    world.attest(days(9), days(8));
    world.pass_to(days(11));
    CHECK(world.told().back() == Told{"Intel's TCB info ends", days(11)});
}

TEST_CASE("who attests shortly before an end is told once, of the nearest") {
    World world;
    world.attest(days(2), hours(20));
    world.pass_to(hours(1));
    CHECK(world.told() == std::vector<Told>{{"Intel's TCB info ends", {}}});
}

TEST_CASE("evidence that lives for an hour is not worth an hour's notice") {
    World world;
    world.attest(hours(3));
    world.pass_to(hours(4));
    CHECK(world.told() == std::vector<Told>{{"ended: expired", hours(3)}});
    world.attest(hours(4));
    world.pass_to(hours(9));
    CHECK(world.told().at(1) == Told{"evidence ends", hours(7)});
    CHECK(world.told().at(2) == Told{"ended: expired", hours(8)});
}

TEST_CASE("a doubt warns first, ends the evidence when its grace is over, and ends with new one") {
    World world;
    world.attest(days(10));
    world.pass_to(hours(1));
    const DoubtEvidence doubt{world.node, "aa", hours(48), "tcb_status"};
    world.must<Done>(doubt);
    CHECK(world.seen().evidence_valid_until == start + hours(49));
    // Said again, it changes nothing: the grace began with the first.
    world.pass_to(hours(2));
    world.restart();
    world.must<Done>(doubt);
    world.pass_to(days(20));
    const std::vector<Told> expected{{"doubted: tcb_status", hours(1)},
                                     {"ended: out_of_date", hours(49)}};
    CHECK(world.told() == expected);
    CHECK(world.ask(doubt).error().code == ErrorCode::wrong_state);
    world.attest(days(10), {}, "bb");
    CHECK(world.seen().evidence_notices == 0);
    CHECK(world.ask(doubt).error().code == ErrorCode::wrong_state);  // about other evidence
    world.must<Done>(DoubtEvidence{world.node, "bb", {}, "revoked"});
    CHECK(world.told().back() == Told{"ended: revoked", days(20)});
    CHECK(world.seen().evidence_valid_until == world.now);
    // Its own end may come before the grace's.
    world.attest(hours(10), {}, "cc");
    world.must<Done>(DoubtEvidence{world.node, "cc", days(2), "tcb_status"});
    CHECK(world.seen().evidence_valid_until == world.now + hours(10));
}

TEST_CASE("no match outlives the evidence it rests on") {
    World world;
    PlaceOffer offer;
    offer.offer.provider = world.provider;
    offer.offer.node = world.node;
    offer.offer.slots = 8;
    offer.offer.price.prompt = offer.offer.price.completion = Nano{1};
    offer.market = "inference:m";
    world.attest(hours(2));
    world.must<OfferAnswer>(offer);
    const auto place = [&](Duration job) {
        PlaceRequest command;
        command.request.account = world.developer;
        command.request.key = world.work;
        command.request.quantity = {1'000, 0, 1'000, 0, 1, 0};
        command.request.job_duration = job;
        command.alternatives = {{"inference:m", ""}};
        const auto answer = world.must<RequestAnswer>(command);
        if (answer.job) return std::string{"matched"};
        for (const auto& [constraint, count] : answer.why->removed)
            if (count != 0) return std::string{name_of(constraint)};
        return std::string{"?"};
    };
    CHECK(place(hours(2)) == "matched");
    CHECK(place(hours(2) + microseconds(1)) == "evidence");
    world.must<Done>(DoubtEvidence{world.node, "aa", hours(1), "tcb_status"});
    CHECK(place(hours(2)) == "evidence");
    CHECK(place(hours(1)) == "matched");
    world.pass_to(hours(1));
    CHECK(place(seconds(60)) == "evidence");
    world.attest(hours(2));
    CHECK(place(hours(2)) == "matched");
}

}  // namespace cocoon::matching
