// A small market on a real database, driven as the lane does: Writer, PgJournal, Projector.
#pragma once

#include <chrono>

#include "db/journal.hpp"
#include "db/projector.hpp"
#include "db/reader.hpp"
#include "matching/writer.hpp"
#include "tests/db/database.hpp"

namespace cocoon::db::test {

using namespace matching;

inline Digest digest(std::uint64_t number) {
    Digest value{};
    for (int index = 0; index < 8; ++index)
        value[index] = static_cast<std::uint8_t>(number >> (8 * index));
    value[31] = 1;
    return value;
}

class TestMarket {
public:
    explicit TestMarket(const Database& database)
        : projector{database.options()},
          journal{database.options(), [this](const SharedBatch& batch, bool replayed) {
                      if (projecting) projector.enqueue(batch, replayed);
                  }} {
        // The server ends a session, and frees its lock, a moment after the socket closed.
        const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{10};
        while (!journal.elect())
            if (std::chrono::steady_clock::now() > patience)
                throw std::runtime_error{"somebody else writes this database"};
        projector.catch_up();
        Rules rules;
        rules.payout_min = Nano{1};  // tests count in small numbers
        rules.payout_approval_min = Nano{1'000'000'000};
        writer = std::make_unique<Writer>(journal, rules);
    }

    // One command alone, as the market itself unless an actor is named.
    Answered send(Command command, AccountId actor = {}, std::string idempotency_key = {},
                  Digest input_hash = {}) {
        Envelope envelope{
            actor, {}, ~ScopeSet{0}, std::move(idempotency_key), input_hash, std::move(command)};
        now = now + milliseconds(7);
        return writer->step(std::span{&envelope, 1}, now).front();
    }
    template <class Expected>
    Expected must(Command command, AccountId actor = {}, std::string idempotency_key = {}) {
        Answered answered = send(std::move(command), actor, std::move(idempotency_key));
        INFO((answered.reply ? std::string{}
                             : std::string{describe(answered.reply.error().code).name} + " " +
                                   answered.reply.error().detail +
                                   (answered.reply.error().fields.empty()
                                        ? ""
                                        : answered.reply.error().fields[0].path)));
        REQUIRE(answered.reply);
        return std::get<Expected>(*answered.reply);
    }
    AccountId admin() {
        OpenAccount open{.kind = AccountKind::admin,
                         .name = "admin",
                         .profile = "{}",
                         .payout_address = {},
                         .deposit_memo = "memo-a" + std::to_string(++secrets),
                         .first_key = {},
                         .second_key = {}};
        open.first_key.secret_hash = digest(secrets);
        open.first_key.scopes = scope_read | scope_admin;
        return must<AccountAnswer>(open).account;
    }
    // Writes all that is queued.
    void project() {
        while (projector.sequence() < writer->state().counters.sequence)
            REQUIRE(projector.step(Duration{0}));
    }
    std::string hash() const { return writer->state().hash().text(); }

    // A provider with one node and one offer, a developer with money and a key.
    void furnish(std::uint32_t slots = 64) {
        OpenAccount supply{.kind = AccountKind::provider,
                           .name = "GPU 'barn' \"north\"\\",
                           .profile = "{\"gpu\":8}",
                           .payout_address = "EQ-address",
                           .deposit_memo = "memo-p",
                           .first_key = {},
                           .second_key = {}};
        supply.first_key.secret_hash = digest(++secrets);
        supply.first_key.scopes = scope_read | scope_offer;
        provider = must<AccountAnswer>(supply).account;
        OpenAccount demand{.kind = AccountKind::developer,
                           .name = "Zoë; drop table accounts",
                           .profile = "{}",
                           .payout_address = {},
                           .deposit_memo = "memo-d",
                           .first_key = {},
                           .second_key = {}};
        demand.first_key.secret_hash = digest(++secrets);
        demand.first_key.name = "work";
        demand.first_key.shown = "ck_abcdefg";
        demand.first_key.scopes = scope_read | scope_work;
        const AccountAnswer opened = must<AccountAnswer>(demand);
        developer = opened.account;
        key = opened.key;
        must<DepositAnswer>(CreditDeposit{"memo-d", {1'000'000'000'000}, "chain:1"});
        must<Done>(IssueEnrolment{provider, digest(++secrets), hours(1)});
        EnrolNode enrol{.token_hash = digest(secrets), .node = {}, .credential = {}};
        enrol.node.name = "node,{1}";
        enrol.node.region = "eu-west";
        enrol.node.country = "IS";
        enrol.node.gpu_model = "H100";
        enrol.node.gpu_count = 8;
        enrol.node.hardware = "{}";
        enrol.credential.secret_hash = digest(++secrets);
        node = must<NodeAnswer>(enrol).node;
        must<VerdictAnswer>(SubmitVerdict{.node = node,
                                          .tier = Tier::tdx_gpu_cc,
                                          .measurement = std::string(64, 'a'),
                                          .registers = {"tdx.mrtd:aa", "tdx.rtmr0:bb"},
                                          .identities = {"cpu:1", "gpu:2", "fmspc:00"},
                                          .keyset_digest = "sha256:" + std::string(64, 'b'),
                                          .keyset_document = "{\"keys\":[]}",
                                          .evidence_hash = std::string(64, 'c'),
                                          .evidence = std::string("\0\1\xff binary", 10),
                                          .verdict = "{\"checks\":[]}",
                                          .valid_until = now + days(30),
                                          .collateral_until = now + days(60),
                                          .collateral_first = "a list",
                                          .gpus = 8});
        must<Done>(SetNodePresence{node, true});
        offer = place_offer(slots).id;
    }
    Offer place_offer(std::uint32_t slots, std::int64_t completion = 2'000'000'000) {
        PlaceOffer place{.offer = {}, .market = "inference:llama"};
        place.offer.provider = provider;
        place.offer.node = node;
        place.offer.price = {{1'000'000'000}, {500'000'000}, {completion}, {completion}, {100}, {}};
        place.offer.slots = slots;
        place.offer.windows = {{0, 5'000}, {5'000, 10'080}};
        place.offer.data_policy = zero_retention;
        return must<OfferAnswer>(place, provider).offer;
    }
    PlaceRequest request(TimeInForce time_in_force = TimeInForce::immediate) const {
        PlaceRequest place{.request = {}, .alternatives = {{"inference:llama", ""}}};
        place.request.account = developer;
        place.request.key = key;
        place.request.quantity = {.prompt = 1'000, .completion = 500, .requests = 1};
        place.request.time_in_force = time_in_force;
        place.request.job_duration = seconds(300);
        if (time_in_force == TimeInForce::rest) place.request.rest_until = now + hours(1);
        return place;
    }
    RequestAnswer matched(std::string idempotency_key = {}) {
        RequestAnswer answer =
            must<RequestAnswer>(request(), developer, std::move(idempotency_key));
        REQUIRE(answer.job);
        return answer;
    }
    void complete(const Job& job) {
        must<JobAnswer>(StartJob{job.id, job.fencing_token});
        CompleteJob done{.job = job.id,
                         .fencing_token = job.fencing_token,
                         .usage = {},
                         .receipt_hash = {},
                         .receipt = "{\"receipt\":true}",
                         .reason = {}};
        done.usage = {.prompt = 900, .completion = 100, .requests = 1};
        done.receipt_hash = std::string(64, 'd');
        done.first_output_ms = 120;
        done.output_ms = 900;
        must<JobAnswer>(done);
    }
    // Something of everything: matches, ends, unmatched and resting requests, payouts, webhooks,
    // audit.
    void live_a_little() {
        for (int round = 0; round < 3; ++round)
            complete(*matched("idem-" + std::to_string(++secrets)).job);
        matched();  // stays open
        must<RequestAnswer>(request(TimeInForce::rest), developer);
        PlaceRequest dear = request();
        dear.request.cap_total = {1};
        dear.request.constraints.regions = {"eu\"west\\", "{us}"};
        send(dear, developer);
        PlaceRequest waiting = request(TimeInForce::rest);
        waiting.request.cap_total = {1};
        waiting.request.constraints.regions = {"mars, {deep}", "\"quoted\\\""};
        must<RequestAnswer>(waiting, developer);
        must<PayoutAnswer>(RequestPayout{provider, Bucket::earned, {1'000'000}});
        Webhook webhook{.id = {},
                        .account = developer,
                        .url = "https://example.org/hook",
                        .secret = "whsec",
                        .events = {"job.completed", "deposit.credited"}};
        must<WebhookAnswer>(PutWebhook{webhook});
        const WebhookId second = must<WebhookAnswer>(PutWebhook{webhook}).webhook;
        must<Done>(RemoveWebhook{developer, second});
        must<Done>(SetFee{250, "spring"});
        must<Done>(FreezeAccount{provider, true, "test"});
        must<Done>(FreezeAccount{provider, false, "over"});
        trust_a_little();
    }
    // Entries in each state, a denial that stands and one that was lifted, a rule.
    void trust_a_little() {
        if (!writer->state().measurements.empty()) return;
        const char* registers[] = {"tdx.mrtd:00", "tdx.mrtd:{1}", "tdx.mrtd:\"2\""};
        std::vector<MeasurementId> made;
        for (const char* text : registers) {
            SubmitMeasurement submit;
            submit.measurement.submitter = developer;
            submit.measurement.name = "image";
            submit.measurement.version = "1, \"x\"";
            submit.measurement.source = "https://example.org/{1}";
            submit.measurement.registers = {text, "tdx.rtmr0:00"};
            made.push_back(must<MeasurementAnswer>(submit, developer).measurement.id);
        }
        must<MeasurementAnswer>(DecideMeasurement{made[1], MeasurementState::approved, "rebuilt"});
        must<MeasurementAnswer>(DecideMeasurement{made[2], MeasurementState::revoked, "leaks"});
        must<DenialAnswer>(DenyIdentity{"fmspc:07", "extracted"});
        const Denial gone = must<DenialAnswer>(DenyIdentity{"gpu:07", "shown twice"}).denial;
        must<Done>(LiftDenial{gone.id, "mended"});
        must<Done>(SetTrustRule{{tier_bit(Tier::snp), 3}, "from now on"});
    }

    bool projecting = true;
    Projector projector;
    PgJournal journal;
    std::unique_ptr<Writer> writer;
    Instant now{1'790'000'000'000'000};
    AccountId provider, developer;
    KeyId key;
    NodeId node;
    OfferId offer;
    std::uint64_t secrets = 0;
};

}  // namespace cocoon::db::test
