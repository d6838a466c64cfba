// A seeded world that sends the writer anything a client, node, chain or operator could, over a
// journal that fails, and checks everything after every step. Used by the tests (short) and by the
// program `simulation` (long). Throws std::runtime_error with what is wrong.
#pragma once

#include <chrono>
#include <random>
#include <stdexcept>
#include <string>

#include "matching/invariants.hpp"
#include "matching/search.hpp"
#include "matching/views.hpp"
#include "matching/writer.hpp"
#include "tests/matching/sim_journal.hpp"

namespace cocoon::matching {

class Simulation {
public:
    explicit Simulation(std::uint64_t seed) : random_{seed}, rules_{some_rules()} {
        writer_ = std::make_unique<Writer>(journal_, rules_);
        settle_in();
    }

    void step() {
        const std::uint64_t luck = pick(100);
        if (luck < 70)
            now_ = now_ + milliseconds(static_cast<std::int64_t>(pick(3'000)));
        else if (luck < 92)
            now_ = now_ + seconds(static_cast<std::int64_t>(pick(120)));
        else if (luck < 94)
            now_ = now_ + minutes(static_cast<std::int64_t>(pick(300)));
        else
            now_ = now_ - seconds(static_cast<std::int64_t>(pick(100)));
        if (pick(10) == 0)
            overlapped();
        else
            single();
        tick();
        verify();
        journal_.project(pick(4));
        if (pick(25) == 0) crash();
    }

    std::uint64_t commands() const { return commands_; }
    std::uint64_t matches() const { return matches_; }
    std::uint64_t faults() const { return faults_; }
    std::uint64_t replays() const { return replays_; }
    std::uint64_t refused() const { return refused_; }
    std::uint64_t entries() { return journal_.last_sequence(); }
    Entry entry(std::uint64_t sequence) const { return journal_.entry(sequence); }

    void verify_genesis() {
        if (!(journal_.load_from_genesis()->hash() == writer_->state().hash()))
            throw std::runtime_error{"replaying the whole journal gives another state"};
    }

private:
    // ---- dice ---------------------------------------------------------------------------------
    std::uint64_t pick(std::uint64_t below) { return below == 0 ? 0 : random_() % below; }
    bool chance(std::uint64_t percent) { return pick(100) < percent; }
    // Often so narrow that every bound is met.
    Rules some_rules() {
        Rules made;
        made.payout_min = Nano{static_cast<std::int64_t>(pick(3'000))};
        if (chance(30)) return made;
        made.resting_requests_per_command_max = pick(3);
        made.resting_requests_per_tick_max = 1 + pick(3);
        made.remembered_per_account_max = 1 + pick(200);
        made.remembered_bytes_per_account_max = 1 + pick(200'000);
        made.remembered_max = 1 + pick(400);
        made.open_payouts_per_account_max = pick(4);
        made.payout_approval_min = Nano{static_cast<std::int64_t>(pick(20'000))};
        return made;
    }
    Digest digest() {
        Digest value;
        for (auto& byte : value) byte = static_cast<std::uint8_t>(random_());
        return value;
    }
    template <class T>
    const T& any(const std::vector<T>& list) {
        return list[pick(list.size())];
    }

    // A random live id of a table, sometimes one that does not exist.
    template <class IdType, class Record, class Of>
    IdType some(const Table<IdType, Record>& table, std::uint64_t next, Of&& of) {
        if (chance(3)) return IdType{next + pick(5)};
        std::vector<IdType> ids;
        table.for_each([&](const Record& record) {
            if (of(record)) ids.push_back(id_of(record));
        });
        return ids.empty() ? IdType{pick(next) + 1} : any(ids);
    }
    static AccountId id_of(const AccountRecord& r) { return r.account.id; }
    static KeyId id_of(const KeyRecord& r) { return r.key.id; }
    static NodeId id_of(const NodeRecord& r) { return r.node.id; }
    static OfferId id_of(const OfferRecord& r) { return r.offer.id; }
    static RequestId id_of(const RequestRecord& r) { return r.request.id; }
    static JobId id_of(const JobRecord& r) { return r.job.id; }

    const State& state() { return writer_->state(); }
    AccountId some_account(AccountKind kind) {
        return some(state().accounts, state().counters.account,
                    [&](const AccountRecord& r) { return r.account.kind == kind; });
    }
    NodeId some_node() {
        return some(state().nodes, state().counters.node, [](const NodeRecord&) { return true; });
    }
    OfferId some_offer() {
        return some(state().offers, state().counters.offer,
                    [](const OfferRecord&) { return true; });
    }
    RequestId some_request(bool resting) {
        return some(state().requests, state().counters.request, [&](const RequestRecord& r) {
            return !resting || r.request.state == RequestState::resting;
        });
    }
    JobId some_job() {
        const bool only_open = chance(85);
        return some(state().jobs, state().counters.job, [&](const JobRecord& r) {
            return !only_open || r.job.state == JobState::reserved ||
                   r.job.state == JobState::running;
        });
    }
    KeyId some_key() {
        return some(state().keys, state().counters.key,
                    [](const KeyRecord& r) { return !r.key.node; });
    }
    AccountId owner(KeyId id) {
        const auto* r = state().keys.find(id);
        return r && !chance(3) ? r->key.account : AccountId{2};
    }

    // ---- commands -----------------------------------------------------------------------------
    ApiKey key(ScopeSet scopes) {
        ApiKey made;
        made.secret_hash = digest();
        made.scopes = scopes;
        if (chance(15)) made.cap_total = Nano{static_cast<std::int64_t>(pick(3'000'000))};
        if (chance(15)) made.cap_day = Nano{static_cast<std::int64_t>(pick(1'000'000))};
        return made;
    }
    OpenAccount open_account() {
        OpenAccount command;
        command.kind = chance(50) ? AccountKind::developer : AccountKind::provider;
        command.name = "someone";
        command.payout_address = chance(80) ? "address" : "";
        command.deposit_memo = "memo-" + std::to_string(pick(1'000'000));
        command.first_key = key(chance(5) ? scope_work | scope_manage : scope_manage | scope_read);
        command.second_key = key(command.kind == AccountKind::developer ? scope_work | scope_read
                                                                        : scope_offer | scope_read);
        return command;
    }
    PriceVector price(bool compute) {
        const auto amount = [&](std::uint64_t most, std::int64_t step = 1) {
            return Nano{static_cast<std::int64_t>(pick(most)) * step};
        };
        PriceVector made;
        if (compute) {
            made.gpu_second = amount(900);
            return made;
        }
        made.prompt = amount(20, 10'000);
        made.completion = amount(20, 40'000);
        made.cached = chance(50) ? made.prompt : amount(200, 1'000);
        made.reasoning = chance(70) ? made.completion : amount(900, 1'000);
        if (chance(10)) made.request = amount(100, 100);
        return made;
    }
    std::string market() {
        static const std::vector<std::string> names{"inference:a", "inference:a", "inference:b",
                                                    "inference:c", "compute:h100"};
        return chance(2) ? "inference:unknown" : any(names);
    }
    Envelope place_offer() {
        PlaceOffer command;
        command.offer.node = some_node();
        const auto* node = state().nodes.find(command.offer.node);
        command.offer.provider = node && !chance(3) ? node->node.provider : AccountId{3};
        do command.market = market();
        while (command.market == "inference:unknown");
        const bool compute = command.market.starts_with("compute");
        command.offer.price = price(compute != chance(2));
        command.offer.slots = static_cast<std::uint32_t>(pick(chance(3) ? 5'000 : 5));
        if (chance(10)) command.offer.build = "b1";
        if (chance(10)) command.offer.output_tokens_max = 1'000;
        if (chance(10)) command.offer.data_policy = 3;
        if (chance(10)) command.offer.notice_seconds = 60;
        if (chance(10)) command.offer.deny = {some_account(AccountKind::developer)};
        if (chance(5)) command.offer.allow = {some_account(AccountKind::developer)};
        if (chance(10))
            command.offer.expires_at = now_ + seconds(static_cast<std::int64_t>(pick(5'000)));
        if (chance(15)) {
            const auto from = static_cast<std::uint16_t>(pick(10'000));
            command.offer.windows = {{from, static_cast<std::uint16_t>(from + pick(2'000))}};
        }
        return market_itself(command);
    }
    PlaceRequest place_request() {
        PlaceRequest command;
        Request& request = command.request;
        request.key = some(state().keys, state().counters.key,
                           [](const KeyRecord& r) { return (r.key.scopes & scope_work) != 0; });
        request.account = owner(request.key);
        command.alternatives.push_back({market(), chance(5) ? "b1" : ""});
        while (chance(15) && command.alternatives.size() < 5)
            command.alternatives.push_back({market(), chance(20) ? "b1" : ""});
        if (command.alternatives[0].market.starts_with("compute"))
            request.quantity.gpu_seconds = static_cast<std::int64_t>(pick(2'000));
        else
            request.quantity = {static_cast<std::int64_t>(pick(900'000)),
                                chance(20) ? 1000 : 0,
                                static_cast<std::int64_t>(chance(15) ? 0 : pick(300'000)),
                                chance(20) ? 2'000 : 0,
                                1,
                                0};
        if (chance(2)) request.quantity.prompt = -1;
        if (chance(50)) request.cap_total = Nano{static_cast<std::int64_t>(pick(200'000))};
        if (chance(20))
            request.cap_price.completion = Nano{static_cast<std::int64_t>(pick(900'000))};
        if (chance(20)) request.cap_price.prompt = Nano{static_cast<std::int64_t>(pick(200'000))};
        Constraints& wants = request.constraints;
        wants.tiers = chance(92) ? 0b11111 : static_cast<TierSet>(pick(32));
        if (chance(8)) wants.regions = {"eu"};
        if (chance(10)) wants.measurements = {"m" + std::to_string(pick(3))};
        if (chance(10)) wants.providers_deny = {some_account(AccountKind::provider)};
        if (chance(10)) wants.reputation_permille_min = static_cast<std::uint32_t>(800 + pick(200));
        if (chance(15)) wants.first_output_ms_preferred = static_cast<std::uint32_t>(pick(500));
        if (chance(15)) wants.tokens_per_second_preferred = static_cast<std::uint32_t>(pick(100));
        if (chance(10)) wants.data_policy = 1;
        request.slots = chance(85) ? 1 : static_cast<std::uint32_t>(pick(4));
        request.session = chance(20);
        if (chance(55)) {
            request.time_in_force = TimeInForce::rest;
            request.rest_until = now_ + seconds(static_cast<std::int64_t>(pick(20'000)) - 100);
        }
        if (chance(50)) request.job_duration = seconds(static_cast<std::int64_t>(pick(900)));
        request.attempts_max = static_cast<std::uint32_t>(1 + pick(3));
        return command;
    }
    QuantityVector usage(const Job& job) {
        QuantityVector used = job.usage;
        const auto add = [&](std::int64_t& count, std::int64_t bound) {
            count += static_cast<std::int64_t>(
                pick(static_cast<std::uint64_t>(std::max<std::int64_t>(bound, 0) + 2)));
            if (chance(3)) count -= 10;
        };
        if (chance(80)) add(used.prompt, job.quantity.prompt);
        if (chance(80)) add(used.completion, job.quantity.completion);
        add(used.gpu_seconds, job.quantity.gpu_seconds);
        return used;
    }
    Envelope market_itself(Command command) {
        Envelope made;
        made.command = std::move(command);
        return made;
    }

    Envelope job_command() {
        const JobId id = some_job();
        const JobRecord* record = state().jobs.find(id);
        const Job job = record ? record->job : Job{};
        const std::uint64_t token = chance(95) ? job.fencing_token : pick(100);
        switch (pick(11)) {
            case 0:
            case 1:
            case 2: return market_itself(StartJob{id, token});
            case 9: return market_itself(CloseSession{id, token});
            case 3:
            case 4:
            case 5: {
                CompleteJob command{id,
                                    token,
                                    usage(job),
                                    job.counter + pick(2),
                                    "r" + std::to_string(pick(50)),
                                    "{}",
                                    chance(20),
                                    "",
                                    0,
                                    0,
                                    chance(5)};
                command.first_output_ms = static_cast<std::uint32_t>(pick(900));
                command.output_ms = static_cast<std::uint32_t>(pick(9'000));
                return market_itself(std::move(command));
            }
            case 6:
                return market_itself(FailJob{id, token, "upstream_failed", chance(70), chance(70)});
            case 7:
                return market_itself(CaptureUsage{id, token, job.counter + pick(3), usage(job),
                                                  "c" + std::to_string(pick(50)), "{}"});
            case 8:
                return market_itself(RenewJob{chance(95) ? job.account : AccountId{2},
                                              id,
                                              {1'000, 0, 1'000, 0, 1, 0},
                                              seconds(static_cast<std::int64_t>(pick(600)))});
            default: return market_itself(CancelJob{chance(95) ? job.account : AccountId{2}, id});
        }
    }
    Envelope node_command() {
        const NodeId id = some_node();
        const NodeRecord* record = state().nodes.find(id);
        switch (pick(14)) {
            case 12: return retire_node(id);
            case 0:
            case 1:
            case 2:
            case 3: return market_itself(verdict(id));
            case 13:
                return market_itself(DoubtEvidence{
                    id, record && chance(80) ? record->node.evidence_hash : "other",
                    minutes(static_cast<std::int64_t>(pick(600)) - 100), "tcb_status"});
            case 4:
            case 5:
            case 6:
            case 7: return market_itself(SetNodePresence{id, chance(85)});
            case 8:
                return market_itself(DrainNode{
                    record && chance(95) ? record->node.provider : AccountId{2}, id, chance(15)});
            case 9: return market_itself(SuspendNode{id, chance(15), "operator"});
            case 10: {
                const Digest token = digest();
                tokens_.push_back(token);
                return market_itself(IssueEnrolment{some_account(AccountKind::provider), token,
                                                    minutes(static_cast<std::int64_t>(pick(90)))});
            }
            default: {
                EnrolNode command;
                command.token_hash = tokens_.empty() ? digest() : any(tokens_);
                command.node.name = "node";
                command.node.region = chance(50) ? "eu" : "us";
                command.credential.secret_hash = digest();
                return market_itself(std::move(command));
            }
        }
    }
    SubmitVerdict verdict(NodeId id) {
        SubmitVerdict command;
        command.node = id;
        command.tier = static_cast<Tier>(pick(tier_count));
        command.keyset_digest = "sha256:" + std::to_string(pick(100));
        command.keyset_document = "{}";
        command.measurement = "m" + std::to_string(pick(3));
        command.registers = registers();
        const bool usual = chance(85);  // a machine of its own, now and then another's
        command.identities = {"cpu:" + std::to_string(usual ? id.value : pick(12)),
                              "gpu:" + std::to_string(usual ? id.value : pick(12)),
                              "fmspc:" + std::to_string(pick(3))};
        command.valid_until = now_ + minutes(static_cast<std::int64_t>(pick(4'000)) - 10);
        if (chance(70)) {
            command.collateral_until = now_ + hours(static_cast<std::int64_t>(pick(300)) + 1);
            command.collateral_first = "a list";
        }
        return command;
    }
    // Few values, so that entries and machines meet, whole or in part.
    Registers registers() {
        std::vector<std::string> made{"tdx.mrtd:" + std::to_string(pick(3))};
        if (chance(60)) made.push_back("tdx.rtmr0:" + std::to_string(pick(2)));
        if (chance(60)) made.push_back("tdx.rtmr1:" + std::to_string(pick(2)));
        return made;
    }
    Envelope retire_node(NodeId id) {
        const NodeRecord* record = state().nodes.find(id);
        if (chance(80)) return market_itself(verdict(id));
        return market_itself(
            RetireNode{record && chance(95) ? record->node.provider : AccountId{2}, id});
    }
    Envelope trust_command() {
        switch (pick(8)) {
            case 0:
            case 1:
            case 2: {
                Measurement made;
                made.submitter = some_account(AccountKind::developer);
                made.name = "image";
                made.version = "1";
                made.source = chance(95) ? "https://example.org/image" : "http://example.org";
                made.registers = registers();
                return market_itself(SubmitMeasurement{std::move(made)});
            }
            case 3:
            case 4: {
                const MeasurementId id{1 + pick(state().counters.measurement)};
                return market_itself(DecideMeasurement{
                    id, static_cast<MeasurementState>(chance(95) ? 1 + (chance(30) ? 1 : 0) : 0),
                    "reviewed"});
            }
            case 5:
            case 6: {
                const std::string kinds[] = {"cpu:", "gpu:", "fmspc:"};
                if (chance(60))
                    return market_itself(
                        LiftDenial{DenialId{1 + pick(state().counters.denial)}, "mended"});
                return market_itself(
                    DenyIdentity{kinds[pick(3)] + std::to_string(pick(9)), "leaked"});
            }
            default:
                return market_itself(
                    SetTrustRule{{static_cast<TierSet>(chance(60) ? pick(32) : 0),
                                  static_cast<std::uint32_t>(chance(60) ? pick(6) : 0)},
                                 "n"});
        }
    }
    Envelope money_command() {
        switch (pick(12)) {
            case 0:
                return market_itself(
                    CreditHeldDeposit{some_account(AccountKind::developer),
                                      Nano{static_cast<std::int64_t>(pick(400'000))},
                                      "tx" + std::to_string(pick(100'000)), "by ticket"});
            case 1:
            case 2:
            case 3: {
                const auto* account = state().accounts.find(some_account(AccountKind::developer));
                return market_itself(
                    CreditDeposit{account ? account->account.deposit_memo : "nobody",
                                  Nano{static_cast<std::int64_t>(pick(400'000))},
                                  "tx" + std::to_string(pick(100'000))});
            }
            case 4:
            case 5:
                return market_itself(RequestPayout{
                    some_account(chance(70) ? AccountKind::provider : AccountKind::developer),
                    chance(70) ? Bucket::earned : Bucket::available,
                    Nano{static_cast<std::int64_t>(pick(30'000))}});
            case 6:
            case 7:
            case 8: return payout_decision();
            default: {
                AdvancePayouts command;
                for (const auto& [id, payout] : state().payouts)
                    if (payout.state != PayoutState::awaiting_approval ? chance(30) : chance(2))
                        command.payouts.push_back(id);
                command.state = static_cast<PayoutState>(1 + pick(3));
                command.reference = "batch";
                return market_itself(std::move(command));
            }
        }
    }
    // Two or three admins, who also have money of their own.
    Envelope payout_decision() {
        Envelope made;
        made.actor = AccountId{2 + pick(3)};
        made.scopes = chance(95) ? scope_admin : scope_manage;
        PayoutId id{1 + pick(state().counters.payout)};
        for (const auto& [waiting, payout] : state().payouts)
            if (payout.state == PayoutState::awaiting_approval && chance(50)) id = waiting;
        if (chance(70))
            made.command = ApprovePayout{id, "paid for"};
        else if (chance(60))
            made.command = RejectPayout{id, "nobody knows them"};
        else
            made.command = PausePayouts{chance(50), "a drill"};
        return made;
    }
    Envelope key_command() {
        const KeyId id = some_key();
        switch (pick(9)) {
            case 0: {
                CreateKey command{key(chance(50) ? scope_work : scope_read)};
                command.key.account = owner(id);
                if (chance(10)) command.replaces = {id, some_key(), id};
                if (chance(50)) command.sign_in = "password and code";
                return market_itself(std::move(command));
            }
            case 1:
            case 2:
            case 3: {
                AmendKey command{owner(id), id, {}, {}, {}, {}};
                command.cap_total =
                    Nano{static_cast<std::int64_t>(chance(50) ? 0 : pick(5'000'000))};
                command.cap_day = Nano{static_cast<std::int64_t>(chance(50) ? 0 : pick(900'000))};
                return market_itself(std::move(command));
            }
            case 4:
                return market_itself(RotateKey{owner(id), id, digest(), "ck_",
                                               minutes(static_cast<std::int64_t>(pick(60)))});
            case 5:
                return chance(5) ? market_itself(RevokeKey{owner(id), id}) : market_itself(Tick{});
            case 6: {
                Webhook hook;
                hook.account = owner(id);
                hook.id = WebhookId{pick(3)};
                hook.url = "https://example.org";
                return market_itself(PutWebhook{hook});
            }
            case 7:
                return market_itself(NoteLogin{owner(id), "set_login",
                                               chance(5) ? std::vector{id} : std::vector<KeyId>{}});
            default: return market_itself(RemoveWebhook{owner(id), WebhookId{1 + pick(5)}});
        }
    }
    Envelope operator_command() {
        switch (pick(10)) {
            case 6:
            case 7:
            case 8:
            case 9: return trust_command();
            case 0:
            case 1:
                return market_itself(FreezeAccount{
                    some_account(chance(50) ? AccountKind::developer : AccountKind::provider),
                    chance(15), "n"});
            case 2:
            case 3: return market_itself(PauseMarket{market(), chance(15), "n"});
            case 4: return market_itself(SetFee{static_cast<int>(pick(11'000)) - 500, "n"});
            // not allowed
            default: {
                Envelope made = market_itself(SetFee{100, "n"});
                made.actor = AccountId{2};
                return made;
            }
        }
    }
    Envelope request_command() {
        const bool resting = chance(90);
        const RequestId id = some_request(resting);
        const RequestRecord* record = state().requests.find(id);
        const AccountId account = record && chance(96) ? record->request.account : AccountId{2};
        switch (pick(4)) {
            case 0: {
                AmendRequest command{account, id, chance(90) ? 0 : pick(4), {}, {}, {}, {}};
                if (chance(70)) command.cap_total = Nano{static_cast<std::int64_t>(pick(400'000))};
                if (chance(30))
                    command.rest_until = now_ + seconds(static_cast<std::int64_t>(pick(9'000)));
                if (chance(20)) command.constraints = Constraints{};
                return market_itself(std::move(command));
            }
            case 1: return market_itself(Explain{account, id});
            case 2: return market_itself(WhatIf{place_request()});
            default: return market_itself(CancelRequest{account, id});
        }
    }
    Envelope offer_command() {
        if (chance(45)) return place_offer();
        const OfferId id = some_offer();
        const OfferRecord* record = state().offers.find(id);
        const AccountId provider = record && chance(96) ? record->offer.provider : AccountId{3};
        if (chance(25)) return market_itself(CancelOffer{provider, id, 0});
        AmendOffer command;
        command.provider = provider;
        command.offer = id;
        command.version = chance(90) ? 0 : pick(5);
        const bool compute = record && record->market->market.kind == MarketKind::compute;
        if (chance(60)) command.price = price(compute);
        if (chance(30)) command.slots = static_cast<std::uint32_t>(pick(6));
        if (chance(30)) command.paused = chance(30);
        if (chance(10)) command.windows = std::vector<Window>{};
        return market_itself(std::move(command));
    }

    Envelope envelope() {
        Envelope made;
        const std::uint64_t luck = pick(100);
        if (luck < 30)
            made = market_itself(place_request());
        else if (luck < 33)
            made =
                market_itself(PlaceRequests{{place_request(), place_request(), place_request()}});
        else if (luck < 43)
            made = request_command();
        else if (luck < 58)
            made = offer_command();
        else if (luck < 78)
            made = job_command();
        else if (luck < 85)
            made = node_command();
        else if (luck < 92)
            made = money_command();
        else if (luck < 96)
            made = key_command();
        else if (luck < 98)
            made = operator_command();
        else
            made = market_itself(open_account());
        if (chance(25)) {
            made.actor = made.actor ? made.actor : AccountId{2 + pick(3)};
            if (std::holds_alternative<SetFee>(made.command) ||
                std::holds_alternative<FreezeAccount>(made.command))
                made.scopes = scope_admin;
            made.idempotency_key = "k" + std::to_string(pick(100'000));
            made.input_hash = digest();
            sent_.push_back(made);
            if (sent_.size() > 200) sent_.erase(sent_.begin());
        } else if (!sent_.empty() && chance(10)) {
            made = any(sent_);  // the client did not hear, and asks again
            if (chance(10)) made.input_hash = digest();
        }
        return made;
    }
    std::vector<Envelope> envelopes() {
        std::vector<Envelope> made;
        for (std::uint64_t count = 1 + pick(4); count > 0; --count) made.push_back(envelope());
        return made;
    }

    // ---- steps --------------------------------------------------------------------------------
    void settle_in() {
        std::vector<Envelope> first;
        for (int i = 0; i < 8; ++i) {
            OpenAccount command = open_account();
            command.kind = i < 4 ? AccountKind::developer : AccountKind::provider;
            command.first_key = key(scope_manage | scope_read);
            command.second_key = key(i < 4 ? scope_work | scope_read : scope_offer | scope_read);
            command.second_key->cap_total = command.second_key->cap_day = Nano{};
            command.deposit_memo = "memo" + std::to_string(i);
            command.payout_address = "address";
            first.push_back(market_itself(std::move(command)));
        }
        for (int i = 0; i < 4; ++i)
            first.push_back(market_itself(CreditDeposit{"memo" + std::to_string(i), Nano{5'000'000},
                                                        "first" + std::to_string(i)}));
        send(first);
        std::vector<Envelope> second;
        for (int i = 0; i < 6; ++i) {
            const Digest token = digest();
            second.push_back(market_itself(
                IssueEnrolment{AccountId{static_cast<std::uint64_t>(6 + i % 4)}, token, hours(1)}));
            EnrolNode command;
            command.token_hash = token;
            command.node.name = "node";
            command.node.region = i % 2 ? "eu" : "us";
            command.credential.secret_hash = digest();
            second.push_back(market_itself(std::move(command)));
        }
        send(second);
        std::vector<Envelope> third;
        for (std::uint64_t i = 1; i <= 6; ++i) {
            third.push_back(market_itself(verdict(NodeId{i})));
            third.push_back(market_itself(SetNodePresence{NodeId{i}, true}));
        }
        send(third);
    }
    void send(const std::vector<Envelope>& envelopes) {
        note(envelopes, writer_->step(envelopes, now_));
    }
    Fault fault() {
        if (!chance(15)) return Fault::none;
        ++faults_;
        return static_cast<Fault>(1 + pick(3));
    }
    void single() {
        const std::vector<Envelope> sent = envelopes();
        const StateHash before = state().hash();
        Pending pending = writer_->prepare(sent, now_);
        const StateHash after = state().hash();
        journal_.next_fault = pending.batch.entries.empty() ? Fault::none : fault();
        const auto outcome = writer_->commit(pending.batch);
        note(sent, writer_->settle(std::move(pending), outcome));
        if (!writer_->loaded()) writer_->prepare({}, now_);
        const StateHash& expected = outcome == Journal::Outcome::stored ? after : before;
        if (!(state().hash() == expected))
            throw std::runtime_error{"a commit was neither whole nor absent"};
    }
    void overlapped() {
        const std::vector<Envelope> one = envelopes();
        Pending first = writer_->prepare(one, now_);
        const std::vector<Envelope> two = envelopes();
        Pending second = writer_->prepare(two, now_);
        journal_.next_fault = first.batch.entries.empty() ? Fault::none : fault();
        const auto outcome = writer_->commit(first.batch);
        note(one, writer_->settle(std::move(first), outcome));
        const auto other = writer_->commit(second.batch);
        if (outcome != Journal::Outcome::stored && other == Journal::Outcome::stored &&
            !second.batch.entries.empty())
            throw std::runtime_error{"a batch was stored on top of one that was not"};
        note(two, writer_->settle(std::move(second), other));
        if (!writer_->loaded()) writer_->prepare({}, now_);
    }
    void tick() {
        for (int guard = 0; guard < 100'000; ++guard) {
            const auto due = writer_->next_due();
            const Instant at = std::max(now_, state().counters.last_at);
            if (!due || *due > at) return;
            send({market_itself(Tick{})});
        }
        throw std::runtime_error{"ticks do not end"};
    }
    void crash() {
        writer_ = std::make_unique<Writer>(journal_, rules_);
        tick();
    }
    void note(const std::vector<Envelope>& sent, const std::vector<Answered>& answers) {
        if (sent.size() != answers.size()) throw std::runtime_error{"answers are missing"};
        for (std::size_t i = 0; i < sent.size(); ++i) {
            ++commands_;
            const Answered& answered = answers[i];
            if (!answered.reply) ++refused_;
            const bool lost =
                !answered.reply && answered.reply.error().code == ErrorCode::commit_failed;
            if (lost) continue;
            if (answered.sequence > journal_.last_sequence())
                throw std::runtime_error{"an answer is ahead of the journal"};
            if (const auto* one =
                    answered.reply ? std::get_if<RequestAnswer>(&*answered.reply) : nullptr;
                one && one->job)
                ++matches_;
            if (!sent[i].idempotency_key.empty()) remember(sent[i], answered);
        }
    }
    void remember(const Envelope& sent, const Answered& answered) {
        if (!answered.reply && !answered.replayed &&
            (answered.reply.error().code == ErrorCode::idempotency_key_reused ||
             answered.reply.error().code == ErrorCode::idempotency_memory_full))
            return;
        const std::string name = std::to_string(sent.actor.value) + sent.idempotency_key;
        const std::string bytes = encode_reply(answered.reply);
        if (answered.replayed) {
            ++replays_;
            if (const auto known = answers_.find(name);
                known != answers_.end() && known->second != bytes)
                throw std::runtime_error{"a repeated key got another answer"};
        } else if (!is_question(sent.command)) {
            answers_[name] = bytes;
        }
    }
    void verify() {
        const Instant at = std::max(now_, state().counters.last_at);
        const std::vector<std::string> violations = check(state(), at);
        if (!violations.empty())
            throw std::runtime_error{violations.front() + " (" + std::to_string(violations.size()) +
                                     " violations)"};
        const std::unique_ptr<State> reloaded = journal_.load();
        if (!(reloaded->hash() == state().hash()))
            throw std::runtime_error{"the reloaded state differs"};
        const std::vector<std::string> others = check(*reloaded, at);
        if (!others.empty()) throw std::runtime_error{"after a reload: " + others.front()};
        compare_searches(at);
        views_.refresh(writer_->state(), at);
    }
    // A random request gets the same offer from the book and from the naive search.
    void compare_searches(Instant at) {
        for (int i = 0; i < 3; ++i) {
            const PlaceRequest command = place_request();
            Request request = command.request;
            for (const NamedAlternative& alternative : command.alternatives)
                if (const auto* market = state().market_by_name(alternative.market))
                    request.alternatives =
                        request.alternatives.with({market->market.id, alternative.build});
            request.quantity.prompt = std::max<std::int64_t>(request.quantity.prompt, 0);
            request.slots = std::max(request.slots, 1u);
            const Nano budget =
                chance(50) ? unlimited : Nano{static_cast<std::int64_t>(pick(100'000))};
            const Choice fast = choose(state(), request, at, budget),
                         slow = choose_naive(state(), request, at, budget);
            if (fast.offer != slow.offer || fast.alternative != slow.alternative)
                throw std::runtime_error{"the book and the naive search disagree"};
        }
    }

    std::mt19937_64 random_;
    const Rules rules_;
    SimJournal journal_;
    std::unique_ptr<Writer> writer_;
    Views views_;
    Instant now_{1'790'000'000'000'000};
    std::vector<Digest> tokens_;
    std::vector<Envelope> sent_;
    std::map<std::string, std::string> answers_;
    std::uint64_t commands_ = 0, matches_ = 0, faults_ = 0, replays_ = 0, refused_ = 0;
};

}  // namespace cocoon::matching
