#include "tests/matching/scenario.hpp"

#include <filesystem>
#include <fstream>

#include "matching/search.hpp"
#include "tests/catch.hpp"

namespace cocoon::matching {
namespace {

QuantityVector quantity_from(const Line& line, const std::string& key) {
    QuantityVector quantity;
    const Words parts = split(line.text(key, "0/0"), '/');
    quantity.prompt = std::stoll(parts.at(0));
    quantity.completion = std::stoll(parts.at(1));
    if (parts.size() > 2) quantity.cached = std::stoll(parts[2]);
    if (parts.size() > 3) quantity.reasoning = std::stoll(parts[3]);
    quantity.requests = line.number("requests", 1);
    quantity.gpu_seconds = line.number("gpu_seconds");
    return quantity;
}

PriceVector price_from(const Line& line) {
    const Words parts = split(line.text("price", "0/0"), '/');
    PriceVector price;
    price.prompt = Nano{std::stoll(parts.at(0))};
    price.completion = Nano{std::stoll(parts.at(1))};
    price.cached = Nano{line.number("cached")};
    price.reasoning = Nano{line.number("reasoning", price.completion.value)};
    price.request = Nano{line.number("per_request")};
    price.gpu_second = Nano{line.number("gpu_second")};
    return price;
}

std::vector<Window> windows_from(const Line& line) {
    std::vector<Window> windows;
    for (const std::string& one : split(line.text("windows"), ',')) {
        const Words parts = split(one, '-');
        windows.push_back({static_cast<std::uint16_t>(std::stoi(parts.at(0))),
                           static_cast<std::uint16_t>(std::stoi(parts.at(1)))});
    }
    return windows;
}

}  // namespace

Digest Scenario::digest() {
    Digest value{};
    for (std::size_t i = 0; i < 8; ++i)
        value[i] = static_cast<std::uint8_t>(next_digest_ * 2654435761u >> (i * 4));
    value[31] = static_cast<std::uint8_t>(next_digest_ & 0xff);
    value[30] = static_cast<std::uint8_t>(next_digest_++ >> 8);
    return value;
}

Reply Scenario::send(Command command, const std::string& idempotency_key, const Line* body) {
    Envelope envelope;
    envelope.command = std::move(command);
    if (!idempotency_key.empty()) {
        envelope.actor = AccountId{2};
        envelope.scopes = scope_admin;
        envelope.idempotency_key = idempotency_key;
        for (const auto& [key, value] : body->values)
            for (const char c : key + value)
                envelope.input_hash[0] = static_cast<std::uint8_t>(envelope.input_hash[0] * 31 + c);
    }
    return step(std::move(envelope));
}

Reply Scenario::send_as(AccountId admin, Command command) {
    Envelope envelope;
    envelope.actor = admin;
    envelope.scopes = scope_admin;
    envelope.command = std::move(command);
    return step(std::move(envelope));
}

Reply Scenario::step(Envelope envelope) {
    std::vector<Answered> answers = writer_.step(std::vector<Envelope>{std::move(envelope)}, now_);
    tick();
    return std::move(answers.at(0).reply);
}

void Scenario::tick() {
    for (int guard = 0; guard < 1000 && writer_.next_due() && *writer_.next_due() <= now_;
         ++guard) {
        Envelope envelope;
        envelope.command = Tick{};
        writer_.step(std::vector<Envelope>{envelope}, now_);
    }
}

std::string Scenario::told(const Explanation& explanation) {
    std::string text = "seen " + std::to_string(explanation.offers_seen);
    for (const auto& [constraint, count] : explanation.removed)
        text += " " + std::string{name_of(constraint)} + " " + std::to_string(count);
    for (const Relaxation& nearest : explanation.relaxations)
        text += " relax " + std::string{name_of(nearest.constraint)} + " to " + nearest.suggestion +
                " cost " + nearest.cost.text();
    for (const Candidate& candidate : explanation.best)
        text += " best " + offer_names_[candidate.offer.value];
    return text;
}

std::string Scenario::told(const RequestAnswer& answer) {
    if (answer.job)
        return "reserved " + offer_names_[answer.job->offer.value] + " hold " +
               answer.job->hold.text() + " attempt " + std::to_string(answer.job->attempt);
    std::string text{name_of(answer.request.state)};
    if (answer.why) text += " " + told(*answer.why);
    return text;
}

std::string Scenario::told(const Reply& reply) {
    if (!reply) return "refused " + std::string{describe(reply.error().code).name};
    if (const auto* answer = std::get_if<RequestAnswer>(&*reply)) return told(*answer);
    if (const auto* answer = std::get_if<ExplainAnswer>(&*reply))
        return std::string{name_of(answer->state)} + " " + told(answer->explanation);
    if (const auto* answer = std::get_if<JobAnswer>(&*reply)) {
        const Job& job = answer->job;
        std::string text = std::string{name_of(job.state)} + " captured " + job.captured.text() +
                           " fee " + job.fee.text() + " hold " + job.hold.text();
        if (!job.reason.empty()) text += " reason " + job.reason;
        if (answer->rematched) text += " rematched " + told(*answer->rematched);
        return text;
    }
    if (const auto* answer = std::get_if<DepositAnswer>(&*reply))
        return answer->already_credited ? "already_credited" : "credited";
    if (const auto* answer = std::get_if<PayoutAnswer>(&*reply))
        return std::string{name_of(answer->payout.state)};
    return "done";
}

std::string Scenario::open_account(const Line& line, AccountKind kind) {
    OpenAccount command;
    command.kind = kind;
    command.name = line.subject;
    command.deposit_memo = "memo-" + line.subject;
    command.payout_address = line.text("address", "EQ" + line.subject);
    command.first_key.secret_hash = digest();
    command.first_key.scopes = scope_manage | scope_read;
    command.second_key.emplace();
    command.second_key->secret_hash = digest();
    command.second_key->scopes = kind == AccountKind::developer  ? scope_work
                                 : kind == AccountKind::provider ? scope_offer
                                                                 : scope_admin;
    command.second_key->cap_total = Nano{line.number("cap")};
    command.second_key->cap_day = Nano{line.number("day_cap")};
    const Reply reply = send(std::move(command));
    if (!reply) return told(reply);
    const auto& answer = std::get<AccountAnswer>(*reply);
    accounts_[line.subject] = answer.account;
    keys_[line.subject] = answer.second_key;
    if (!line.has("funds")) return "opened";
    const Reply credited = send(
        CreditDeposit{"memo-" + line.subject, Nano{line.number("funds")}, "funds-" + line.subject});
    return credited ? "opened" : told(credited);
}

std::string Scenario::submit_verdict(const Line& line) {
    SubmitVerdict verdict;
    verdict.node = nodes_[line.subject];
    verdict.tier = tier_from_name(line.text("tier", "tdx+gpu-cc")).value();
    verdict.measurement = line.text("measurement", "aa");
    verdict.registers = split(line.text("registers", "tdx.mrtd:" + verdict.measurement), ',');
    verdict.identities = split(line.text("shows", "cpu:" + line.subject), ',');
    verdict.keyset_digest = "sha256:" + line.subject;
    verdict.keyset_document = "{}";
    verdict.valid_until = now_ + span_of(line.text("valid", "7d"));
    const Reply reply = send(std::move(verdict));
    if (!reply) return told(reply);
    const auto& answer = std::get<VerdictAnswer>(*reply);
    std::string text{name_of(answer.standing)};
    if (!answer.reason.empty()) text += " because " + answer.reason;
    if (answer.probation_jobs_left > 0)
        text += " probation " + std::to_string(answer.probation_jobs_left);
    return text;
}

std::string Scenario::add_node(const Line& line) {
    const Digest token = digest();
    const Reply issued = send(IssueEnrolment{accounts_[line.text("of")], token, hours(1)});
    if (!issued) return told(issued);
    EnrolNode command;
    command.token_hash = token;
    command.node.name = line.subject;
    command.node.region = line.text("region", "eu");
    command.node.country = line.text("country", "DE");
    command.node.gpu_model = line.text("gpu", "h100");
    command.credential.secret_hash = digest();
    const Reply reply = send(std::move(command));
    if (!reply) return told(reply);
    nodes_[line.subject] = std::get<NodeAnswer>(*reply).node;
    const std::string judged = submit_verdict(line);
    const Reply present = send(SetNodePresence{nodes_[line.subject], true});
    return present ? "enrolled " + judged : told(present);
}

std::string Scenario::trust_step(const Line& line) {
    if (line.verb == "measurement") {
        SubmitMeasurement command;
        Measurement& measurement = command.measurement;
        measurement.submitter = accounts_[line.text("by")];
        measurement.name = line.subject;
        measurement.version = "1";
        measurement.source = line.text("source", "https://example.org/" + line.subject);
        measurement.registers = split(line.text("registers"), ',');
        const Reply reply = send(std::move(command), line.text("key"), &line);
        if (!reply) return told(reply);
        const Measurement& made = std::get<MeasurementAnswer>(*reply).measurement;
        measurements_[line.subject] = made.id;
        return std::string{name_of(made.state)};
    }
    if (line.verb == "approve" || line.verb == "revoke") {
        const MeasurementState state =
            line.verb == "approve" ? MeasurementState::approved : MeasurementState::revoked;
        return told(send(DecideMeasurement{measurements_[line.subject], state,
                                           line.text("because", "reviewed")}));
    }
    if (line.verb == "deny")
        return told(send(DenyIdentity{line.subject, line.text("because", "reviewed")}));
    if (line.verb == "lift") {
        const auto& denials = writer_.state().denials;
        const auto denial = denials.find(line.subject);
        return told(
            send(LiftDenial{denial == denials.end() ? DenialId{} : denial->second.id, "mended"}));
    }
    if (line.verb == "retire") {
        const NodeRecord* node = writer_.state().nodes.find(nodes_[line.subject]);
        return told(
            send(RetireNode{line.has("by") ? accounts_[line.text("by")] : node->node.provider,
                            nodes_[line.subject]}));
    }
    TrustRule rule;
    for (const std::string& name : split(line.text("approved"), ','))
        rule.approved_tiers |= tier_bit(tier_from_name(name).value());
    rule.probation_jobs = static_cast<std::uint32_t>(line.number("probation"));
    return told(send(SetTrustRule{rule, "x"}));
}

std::string Scenario::place_offer(const Line& line) {
    PlaceOffer command;
    Offer& offer = command.offer;
    offer.node = nodes_[line.text("on")];
    const NodeRecord* node = writer_.state().nodes.find(offer.node);
    offer.provider = line.has("as") ? accounts_[line.text("as")]
                     : node         ? node->node.provider
                                    : AccountId{};
    command.market = line.text("market", "inference:m");
    offer.price = price_from(line);
    offer.slots = static_cast<std::uint32_t>(line.number("slots", 1));
    offer.build = line.text("build");
    offer.output_tokens_max = line.number("output_max");
    offer.context_tokens_max = line.number("context_max");
    offer.notice_seconds = line.number("notice");
    offer.data_policy = static_cast<DataPolicySet>(line.number("policy"));
    for (const std::string& name : split(line.text("allow"), ','))
        offer.allow = offer.allow.with(accounts_[name]);
    for (const std::string& name : split(line.text("deny"), ','))
        offer.deny = offer.deny.with(accounts_[name]);
    offer.windows = windows_from(line);
    if (line.has("expires")) offer.expires_at = now_ + span_of(line.text("expires"));
    const Reply reply = send(std::move(command), line.text("key"), &line);
    if (!reply) return told(reply);
    const Offer& placed = std::get<OfferAnswer>(*reply).offer;
    offers_[line.subject] = placed.id;
    offer_names_[placed.id.value] = line.subject;
    return "placed used " + std::to_string(placed.slots_used);
}

std::string Scenario::amend_offer(const Line& line) {
    const OfferId id = offers_[line.subject];
    const OfferRecord* record = writer_.state().offers.find(id);
    const AccountId provider = line.has("as") ? accounts_[line.text("as")]
                               : record       ? record->offer.provider
                                              : AccountId{};
    if (line.verb == "cancel_offer") {
        const Reply reply =
            send(CancelOffer{provider, id, static_cast<std::uint64_t>(line.number("version"))});
        return reply ? "cancelled" : told(reply);
    }
    AmendOffer command;
    command.provider = provider;
    command.offer = id;
    command.version = static_cast<std::uint64_t>(line.number("version"));
    if (line.has("price")) command.price = price_from(line);
    if (line.has("slots")) command.slots = static_cast<std::uint32_t>(line.number("slots"));
    if (line.has("paused")) command.paused = line.text("paused") == "yes";
    const Reply reply = send(std::move(command));
    return reply ? "amended used " + std::to_string(std::get<OfferAnswer>(*reply).offer.slots_used)
                 : told(reply);
}

PlaceRequest Scenario::request_from(const Line& line) {
    PlaceRequest command;
    Request& request = command.request;
    request.account = accounts_[line.text("by")];
    request.key = keys_[line.text("by")];
    for (const std::string& name : split(line.text("market", "inference:m"), ',')) {
        const Words parts = split(name, '@');
        command.alternatives.push_back({parts.at(0), parts.size() > 1 ? parts[1] : ""});
    }
    request.quantity = quantity_from(line, "tokens");
    request.cap_total = Nano{line.number("max")};
    request.cap_price.prompt = Nano{line.number("max_prompt", -1)};
    request.cap_price.completion = Nano{line.number("max_completion", -1)};
    Constraints& wants = request.constraints;
    if (line.has("tiers")) {
        wants.tiers = 0;
        for (const std::string& name : split(line.text("tiers"), ','))
            wants.tiers |= tier_bit(tier_from_name(name).value());
    }
    wants.regions = split(line.text("regions"), ',');
    wants.countries = split(line.text("countries"), ',');
    wants.measurements = split(line.text("measurements"), ',');
    wants.gpu_models = split(line.text("gpus"), ',');
    wants.reputation_permille_min = static_cast<std::uint32_t>(line.number("reputation"));
    wants.data_policy = static_cast<DataPolicySet>(line.number("policy"));
    wants.notice_seconds_min = line.number("notice");
    for (const std::string& name : split(line.text("allow"), ','))
        wants.providers_allow = wants.providers_allow.with(accounts_[name]);
    for (const std::string& name : split(line.text("deny"), ','))
        wants.providers_deny = wants.providers_deny.with(accounts_[name]);
    wants.first_output_ms_preferred = static_cast<std::uint32_t>(line.number("prefer_first"));
    wants.tokens_per_second_preferred = static_cast<std::uint32_t>(line.number("prefer_speed"));
    request.slots = static_cast<std::uint32_t>(line.number("slots", 1));
    request.session = line.text("session") == "yes";
    request.attempts_max = static_cast<std::uint32_t>(line.number("attempts", 3));
    if (line.has("job")) request.job_duration = span_of(line.text("job"));
    if (line.has("rest")) {
        request.time_in_force = TimeInForce::rest;
        request.rest_until = now_ + span_of(line.text("rest"));
    }
    return command;
}

std::string Scenario::place_request(const Line& line) {
    if (line.verb == "whatif") return told(send(WhatIf{request_from(line)}));
    const Reply reply = send(request_from(line), line.text("key"), &line);
    if (reply) {
        const auto& answer = std::get<RequestAnswer>(*reply);
        requests_[line.subject] = answer.request.id;
        if (answer.job) jobs_[line.subject].push_back(answer.job->id);
    }
    return told(reply);
}

Result<Job> Scenario::job_of(const Line& line) {
    const RequestRecord* request = writer_.state().requests.find(requests_[line.subject]);
    JobId id = request ? request->request.job : JobId{};
    if (line.has("attempt"))
        id = jobs_[line.subject].at(static_cast<std::size_t>(line.number("attempt") - 1));
    const JobRecord* record = writer_.state().jobs.find(id);
    if (record == nullptr) return refuse(ErrorCode::not_found);
    return record->job;
}

std::string Scenario::job_step(const Line& line) {
    const Result<Job> found = job_of(line);
    if (!found) return "refused not_found";
    const Job& job = *found;
    const std::uint64_t token =
        line.text("token") == "stale" ? job.fencing_token + 1000 : job.fencing_token;
    const AccountId account = line.has("by") ? accounts_[line.text("by")] : job.account;
    const auto counter =
        static_cast<std::uint64_t>(line.number("counter", static_cast<std::int64_t>(job.counter)));
    const bool fault = line.text("fault") == "node";
    Command command = StartJob{job.id, token};
    if (line.verb == "complete") {
        CompleteJob complete{job.id,
                             token,
                             quantity_from(line, "usage"),
                             counter,
                             line.text("receipt", "r1"),
                             "{}",
                             line.has("partial"),
                             line.text("partial"),
                             0,
                             0,
                             fault};
        complete.first_output_ms = static_cast<std::uint32_t>(line.number("first_ms"));
        complete.output_ms = static_cast<std::uint32_t>(line.number("output_ms"));
        command = std::move(complete);
    } else if (line.verb == "fail") {
        command = FailJob{job.id, token, line.text("reason", "upstream_failed"), fault,
                          line.text("rematch") == "yes"};
    } else if (line.verb == "capture") {
        command = CaptureUsage{
            job.id, token, counter, quantity_from(line, "usage"), "c" + std::to_string(counter),
            "{}"};
    } else if (line.verb == "renew") {
        command = RenewJob{account, job.id, quantity_from(line, "tokens"),
                           span_of(line.text("longer", "0s"))};
    } else if (line.verb == "cancel_job") {
        command = CancelJob{account, job.id};
    } else if (line.verb == "close") {
        command = CloseSession{job.id, token};
    }
    const Reply reply = send(std::move(command));
    if (reply)
        if (const auto* answer = std::get_if<JobAnswer>(&*reply);
            answer && answer->rematched && answer->rematched->job)
            jobs_[line.subject].push_back(answer->rematched->job->id);
    return told(reply);
}

std::string Scenario::money_step(const Line& line) {
    const AccountId account = accounts_[line.text("to", line.text("by"))];
    if (line.verb == "deposit")
        return told(send(CreditDeposit{line.text("memo", "memo-" + line.text("to")),
                                       Nano{line.number("amount")}, line.subject}));
    if (line.verb == "credit_held")
        return told(send(
            CreditHeldDeposit{account, Nano{line.number("amount")}, line.subject, "by ticket"}));
    if (line.verb == "payout") {
        const Reply reply = send(
            RequestPayout{account,
                          line.text("source") == "available" ? Bucket::available : Bucket::earned,
                          Nano{line.number("amount")}},
            line.text("key"), &line);
        if (reply) payouts_[line.subject] = std::get<PayoutAnswer>(*reply).payout.id;
        return told(reply);
    }
    static const std::map<std::string, PayoutState> states{{"sent", PayoutState::sent},
                                                           {"paid", PayoutState::paid},
                                                           {"returned", PayoutState::returned}};
    return told(
        send(AdvancePayouts{{payouts_[line.subject]}, states.at(line.text("to")), "batch"}));
}

std::string Scenario::decide_payout(const Line& line) {
    const AccountId admin = accounts_[line.text("by")];
    if (line.verb == "approve_payout")
        return told(send_as(admin, ApprovePayout{payouts_[line.subject], "x"}));
    if (line.verb == "reject_payout")
        return told(send_as(admin, RejectPayout{payouts_[line.subject], "x"}));
    const Reply reply = send_as(admin, PausePayouts{line.verb == "pause_payouts", "x"});
    return told(reply) + (writer_.state().payouts_paused ? " paused" : " running");
}

std::string Scenario::operator_step(const Line& line) {
    const std::string& verb = line.verb;
    if (verb == "away" || verb == "back")
        return told(send(SetNodePresence{nodes_[line.subject], verb == "back"}));
    if (verb == "suspend" || verb == "restore")
        return told(send(SuspendNode{nodes_[line.subject], verb == "suspend", "x"}));
    if (verb == "freeze" || verb == "unfreeze")
        return told(send(FreezeAccount{accounts_[line.subject], verb == "freeze", "x"}));
    if (verb == "pause" || verb == "reopen")
        return told(send(PauseMarket{line.subject, verb == "pause", "x"}));
    if (verb == "fee") return told(send(SetFee{std::stoi(line.subject), "x"}));
    if (verb == "key_cap")
        return send(AmendKey{accounts_[line.subject],
                             keys_[line.subject],
                             {},
                             Nano{line.number("total")},
                             Nano{line.number("day")},
                             {}})
                   ? "done"
                   : "refused";
    const NodeRecord* node = writer_.state().nodes.find(nodes_[line.subject]);
    return told(send(DrainNode{line.has("by") ? accounts_[line.text("by")] : node->node.provider,
                               nodes_[line.subject], verb == "drain"}));
}

std::string Scenario::look(const Line& line) {
    const State& state = writer_.state();
    if (line.verb == "balance") {
        const AccountId id = line.subject == "house" ? house : accounts_[line.subject];
        std::string text;
        for (std::size_t i = 0; i < bucket_count; ++i)
            text += std::string{name_of(static_cast<Bucket>(i))} + " " +
                    state.accounts.find(id)->account.balances[i].text() + " ";
        return text;
    }
    if (line.verb == "request_is") {
        const RequestRecord* record = state.requests.find(requests_[line.subject]);
        if (record == nullptr) return "forgotten";
        if (record->request.state == RequestState::matched) {
            const Job& job = state.jobs.find(record->request.job)->job;
            return "matched " + offer_names_[job.offer.value] + " " +
                   std::string{name_of(job.state)} + " hold " + job.hold.text();
        }
        return std::string{name_of(record->request.state)} + " " + record->request.reason;
    }
    if (line.verb == "offer_is") {
        const OfferRecord* record = state.offers.find(offers_[line.subject]);
        return record ? std::string{name_of(record->offer.state)} + " used " +
                            std::to_string(record->offer.slots_used)
                      : "forgotten";
    }
    const Node& node = state.nodes.find(nodes_[line.subject])->node;
    return std::string{name_of(node.standing)} + (node.retired ? " retired" : "") + " because " +
           node.standing_reason + " probation " + std::to_string(node.probation_jobs_left) +
           " reliability " + std::to_string(node.reliability_permille) + " first_output_ms " +
           std::to_string(node.first_output_ms) + " tokens_per_second " +
           std::to_string(node.tokens_per_second);
}

std::string Scenario::run(const Line& line) {
    const std::string& verb = line.verb;
    const auto one_of = [&](std::initializer_list<const char*> verbs) {
        return std::any_of(verbs.begin(), verbs.end(),
                           [&](const char* name) { return verb == name; });
    };
    if (verb == "developer") return open_account(line, AccountKind::developer);
    if (verb == "provider") return open_account(line, AccountKind::provider);
    if (verb == "admin") return open_account(line, AccountKind::admin);
    if (verb == "node") return add_node(line);
    if (verb == "verdict") return submit_verdict(line);
    if (verb == "offer") return place_offer(line);
    if (one_of({"amend_offer", "cancel_offer"})) return amend_offer(line);
    if (one_of({"request", "whatif"})) return place_request(line);
    if (verb == "explain")
        return told(send(Explain{accounts_[line.text("by")], requests_[line.subject]}));
    if (verb == "cancel_request")
        return told(send(CancelRequest{accounts_[line.text("by")], requests_[line.subject]}));
    if (verb == "amend_request") {
        AmendRequest command;
        command.account = accounts_[line.text("by")];
        command.request = requests_[line.subject];
        command.version = static_cast<std::uint64_t>(line.number("version"));
        if (line.has("max")) command.cap_total = Nano{line.number("max")};
        if (line.has("rest")) command.rest_until = now_ + span_of(line.text("rest"));
        return told(send(std::move(command)));
    }
    if (one_of({"start", "complete", "fail", "capture", "renew", "cancel_job", "close"}))
        return job_step(line);
    if (one_of({"deposit", "credit_held", "payout", "advance"})) return money_step(line);
    if (one_of({"approve_payout", "reject_payout", "pause_payouts", "resume_payouts"}))
        return decide_payout(line);
    if (one_of({"away", "back", "drain", "resume", "suspend", "restore", "freeze", "unfreeze",
                "pause", "reopen", "fee", "key_cap"}))
        return operator_step(line);
    if (one_of({"measurement", "approve", "revoke", "deny", "lift", "retire", "trust"}))
        return trust_step(line);
    if (one_of({"balance", "request_is", "offer_is", "node_is"})) return look(line);
    if (verb == "wait") {
        now_ = now_ + span_of(line.subject);
        tick();
        return "done";
    }
    return "unknown verb " + verb;
}

namespace {

Line parsed(const std::string& text) {
    const Words words = split(text);
    Line line;
    line.verb = words.at(0);
    if (words.size() > 1) line.subject = words[1];
    for (std::size_t i = 2; i + 1 < words.size(); i += 2) line.values[words[i]] = words[i + 1];
    return line;
}

bool in_order(const Words& expected, const Words& outcome) {
    std::size_t next = 0;
    for (const std::string& word : outcome)
        if (next < expected.size() && expected[next] == word) ++next;
    return next == expected.size();
}

}  // namespace

TEST_CASE("every scenario file runs as it says") {
    std::size_t files = 0, steps = 0;
    for (const auto& file :
         std::filesystem::directory_iterator{COCOON_SOURCE_DIR "/tests/scenarios"}) {
        if (file.path().extension() != ".market") continue;
        ++files;
        Scenario scenario;
        std::ifstream stream{file.path()};
        int number = 0;
        for (std::string text; std::getline(stream, text);) {
            ++number;
            if (const auto comment = text.find('#'); comment != std::string::npos)
                text.resize(comment);
            if (split(text).empty()) continue;
            const auto arrow = text.find("->");
            const Words expected =
                arrow == std::string::npos ? Words{} : split(text.substr(arrow + 2));
            ++steps;
            INFO(file.path().filename().string() << ":" << number << ": " << text);
            const std::string outcome = scenario.run(parsed(text.substr(0, arrow)));
            INFO("outcome: " << outcome);
            CHECK(in_order(expected, split(outcome)));
            CHECK((!expected.empty() ||
                   (!outcome.starts_with("refused") && !outcome.starts_with("unknown"))));
            for (const std::string& violation : scenario.violations()) FAIL_CHECK(violation);
        }
        INFO(file.path().filename().string());
        CHECK(scenario.reload_agrees());
    }
    CHECK(files >= 15);
    CHECK(steps >= 150);
}

}  // namespace cocoon::matching
