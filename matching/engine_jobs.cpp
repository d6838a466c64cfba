// Jobs: from the reservation to the last word.
#include "matching/engine_task.hpp"

namespace cocoon::matching {
namespace {

bool grew(const QuantityVector& before, const QuantityVector& after) {
    return after.prompt >= before.prompt && after.cached >= before.cached &&
           after.completion >= before.completion && after.reasoning >= before.reasoning &&
           after.requests >= before.requests && after.gpu_seconds >= before.gpu_seconds;
}

bool in_range(const QuantityVector& usage) {
    const auto good = [](std::int64_t count, std::int64_t most) {
        return count >= 0 && count <= most;
    };
    return good(usage.prompt, limits::tokens_max) && good(usage.cached, limits::tokens_max) &&
           good(usage.completion, limits::tokens_max) &&
           good(usage.reasoning, limits::tokens_max) && good(usage.requests, limits::tokens_max) &&
           good(usage.gpu_seconds, limits::gpu_seconds_max);
}

// A node signs no more than its job's bound allows (it is cut to it before): such a receipt pays
// nothing. Says which side, so that its operator finds the fault.
Error over_bound(const QuantityVector& usage, const QuantityVector& bound) {
    std::string detail;
    const auto side = [&](const char* name, std::int64_t used, std::int64_t most) {
        if (used > most)
            detail += (detail.empty() ? "" : ", ") + std::string{name} + " " +
                      std::to_string(used) + " of " + std::to_string(most);
    };
    side("prompt side", usage.prompt + usage.cached, bound.prompt + bound.cached);
    side("output side", usage.completion + usage.reasoning, bound.completion + bound.reasoning);
    side("requests", usage.requests, bound.requests);
    side("gpu_seconds", usage.gpu_seconds, bound.gpu_seconds);
    return refuse(ErrorCode::usage_over_bound, detail + ".");
}

// What is newly owed for cumulative `usage`: never more than is held.
Nano owed(const Job& job, const QuantityVector& usage) {
    const Result<Nano> total = cost(job.price, usage);
    if (!total) return job.hold;
    return std::min(job.hold, std::max(Nano{}, *total - job.captured));
}

// The fee on all captured so far, less what was taken: floors do not add up to less.
Nano fee_on(const Job& job, Nano amount) {
    return basis_points_of(job.captured + amount, job.fee_basis_points) - job.fee;
}

JobEnded ending(const Job& job, JobState state, std::string reason) {
    JobEnded ended;
    ended.job = job.id;
    ended.state = state;
    ended.reason = std::move(reason);
    ended.usage = job.usage;
    ended.counter = job.counter;
    ended.receipt_hash = job.receipt_hash;
    return ended;
}

RequestState request_state(JobState state) {
    switch (state) {
        case JobState::completed: return RequestState::completed;
        case JobState::cancelled: return RequestState::cancelled;
        case JobState::expired: return RequestState::expired;
        default: return RequestState::failed;
    }
}

}  // namespace

// The open job under this token. An ended one is refused by what became of it; a repeated receipt
// is recognised by the caller through `receipt_hash`.
Result<JobRecord*> Engine::Task::open_job(JobId id, std::uint64_t fencing_token,
                                          const std::string& receipt_hash) const {
    JobRecord* record = state_.jobs.find(id);
    if (record == nullptr) return refuse(ErrorCode::not_found);
    const Job& job = record->job;
    if (job.fencing_token != fencing_token) return refuse(ErrorCode::stale_fencing_token);
    if (open(job.state)) return record;
    if (!receipt_hash.empty() && job.receipt_hash == receipt_hash) return record;
    if (job.state == JobState::expired || job.state == JobState::failed)
        return refuse(ErrorCode::reservation_expired,
                      "The job ended without this receipt: " + job.reason);
    return refuse(ErrorCode::wrong_state, "The job has ended.");
}

void Engine::Task::end_job(JobRecord& record, JobEnded ended) {
    OfferRecord& offer = *record.offer;
    ended.fee = fee_on(record.job, ended.amount);
    ended.released = record.job.hold - ended.amount;
    NodeRecord& node = *record.node;
    const std::uint32_t reputation = reputation_permille(node.node);
    const bool on_probation = node.node.probation_jobs_left > 0;
    emit(std::move(ended));
    if (on_probation)
        offers_of(node);  // probation shares its slots out among them
    else
        slots_came(offer, record.job.slots);
    reputation_rose(node, reputation);
}

// Shows the offer to what rests, unless all of it has looked at the offer as it stood with fewer
// slots and nobody wanted as many as there are now.
void Engine::Task::slots_came(const OfferRecord& record, std::uint32_t slots) {
    if (!record.link.indexed) return;
    const std::uint32_t free = record.offer.slots - record.offer.slots_used;
    const bool known = record.walked || record.walking;
    if (known && !record.market->book.slots_wanted.reached(free - slots, free)) return;
    freed_.offers.push_back(record.offer.id);
}

void Engine::Task::reputation_rose(NodeRecord& node, std::uint32_t before) {
    const std::uint32_t now = reputation_permille(node.node);
    if (now <= before) return;
    for (const OfferRecord* offer : node.offers)
        if (offer->link.indexed && offer->market->book.reputations_wanted.reached(before, now))
            freed_.offers.push_back(offer->offer.id);
}

Reply Engine::Task::operator()(const StartJob& command) {
    Result<JobRecord*> found = open_job(command.job, command.fencing_token);
    if (!found) return std::move(found).error();
    JobRecord& record = **found;
    if (record.job.expires_at <= at_) return refuse(ErrorCode::reservation_expired);
    if (!record.node->node.connected) return refuse(ErrorCode::node_unavailable);
    if (record.job.state == JobState::running) {
        if (!record.job.session)
            return refuse(ErrorCode::wrong_state, "The job's one exchange has begun.");
        return Answer{JobAnswer{record.job, std::nullopt}};
    }
    emit(JobStarted{command.job});
    return Answer{JobAnswer{record.job, std::nullopt}};
}

Reply Engine::Task::operator()(const CompleteJob& command) {
    Result<JobRecord*> found = open_job(command.job, command.fencing_token, command.receipt_hash);
    if (!found) return std::move(found).error();
    JobRecord& record = **found;
    const Job& job = record.job;
    if (!open(job.state)) return Answer{JobAnswer{job, std::nullopt}};  // the same receipt again
    if (job.state == JobState::reserved)
        return refuse(ErrorCode::wrong_state, "The job has not started.");
    if (!in_range(command.usage)) return refuse(ErrorCode::receipt_invalid, "Usage out of range.");
    if (job.session && (!grew(job.usage, command.usage) || command.counter < job.counter))
        return refuse(ErrorCode::receipt_invalid, "A session's usage only grows.");
    if (!within(command.usage, job.quantity)) return over_bound(command.usage, job.quantity);
    const JobState state = command.partial ? JobState::failed : JobState::completed;
    JobEnded ended = ending(job, state, command.reason);
    ended.usage = command.usage;
    ended.counter = command.counter;
    ended.receipt_hash = command.receipt_hash;
    ended.first_output_ms = command.first_output_ms;
    ended.output_ms = command.output_ms;
    // A broken-off job without output is free, whatever was read.
    const bool empty =
        command.usage.completion + command.usage.reasoning == 0 && command.usage.gpu_seconds == 0;
    ended.amount = command.partial && empty && !job.session ? Nano{} : owed(job, command.usage);
    ended.node_outcome = command.node_at_fault ? NodeOutcome::failed
                         : command.partial     ? NodeOutcome::none
                                               : NodeOutcome::completed;
    const RequestId request = job.request;
    const std::string reason = ended.reason;
    if (!command.receipt.empty())
        emit(ReceiptStored{command.job, command.counter, command.receipt_hash, command.receipt});
    end_job(record, std::move(ended));
    end_request(request, request_state(state), reason);
    return Answer{JobAnswer{record.job, std::nullopt}};
}

Reply Engine::Task::operator()(const FailJob& command) {
    Result<JobRecord*> found = open_job(command.job, command.fencing_token);
    if (!found) return std::move(found).error();
    JobRecord& record = **found;
    const RequestId request = record.job.request;
    const NodeId node = record.job.node;
    JobEnded ended = ending(record.job, JobState::failed, command.reason);
    if (command.node_at_fault) ended.node_outcome = NodeOutcome::failed;
    // A session that delivered something is not begun anew: its client has the answers.
    const bool again = command.rematch && record.job.counter == 0;
    end_job(record, std::move(ended));
    JobAnswer answer;
    if (again) {
        rest_again(request, node, command.reason);
        fill(answer.rematched.emplace(), *state_.requests.find(request));
        if (!answer.rematched->job) answer.rematched.reset();
    } else {
        end_request(request, RequestState::failed, command.reason);
    }
    answer.job = record.job;
    return Answer{std::move(answer)};
}

void Engine::Task::rest_again(RequestId id, NodeId lost, std::string reason) {
    RequestRecord& record = *state_.requests.find(id);
    if (record.request.attempts >= record.request.attempts_max)
        return end_request(id, RequestState::failed, "attempts_exhausted");
    const bool rests = record.request.time_in_force == TimeInForce::rest;
    if (rests && record.request.rest_until <= at_)
        return end_request(id, RequestState::expired, "rest_until");
    emit(RequestRested{id, lost});
    if (!try_match(record) && !rests) end_request(id, RequestState::failed, std::move(reason));
}

Reply Engine::Task::operator()(const CaptureUsage& command) {
    Result<JobRecord*> found = open_job(command.job, command.fencing_token, command.receipt_hash);
    if (!found) return std::move(found).error();
    JobRecord& record = **found;
    const Job& job = record.job;
    if (!open(job.state)) return Answer{JobAnswer{job, std::nullopt}};
    if (!job.session)
        return refuse(ErrorCode::wrong_state, "Only a session captures usage on the way.");
    if (job.state == JobState::reserved)
        return refuse(ErrorCode::wrong_state, "The job has not started.");
    if (command.counter == job.counter) return Answer{JobAnswer{job, std::nullopt}};
    if (command.counter < job.counter)
        return refuse(ErrorCode::receipt_invalid, "A newer counter is captured.");
    if (!in_range(command.usage) || !grew(job.usage, command.usage))
        return refuse(ErrorCode::receipt_invalid, "A session's usage only grows.");
    if (!within(command.usage, job.quantity)) return over_bound(command.usage, job.quantity);
    const Nano amount = owed(job, command.usage);
    const Nano fee = fee_on(job, amount);
    if (!command.receipt.empty())
        emit(ReceiptStored{command.job, command.counter, command.receipt_hash, command.receipt});
    emit(UsageCaptured{command.job, command.counter, command.usage, amount, fee,
                       command.receipt_hash});
    return Answer{JobAnswer{record.job, std::nullopt}};
}

Reply Engine::Task::operator()(const RenewJob& command) {
    const JobRecord* record = state_.jobs.find(command.job);
    if (record == nullptr || record->job.account != command.account)
        return refuse(ErrorCode::not_found);
    const Job& job = record->job;
    if (!open(job.state) || job.expires_at <= at_) return refuse(ErrorCode::reservation_expired);
    if (!job.session) return refuse(ErrorCode::wrong_state, "Only a session is renewed.");
    if (!in_range(command.more) || command.longer.us < 0)
        return invalid("/quantity", "Out of range.");
    const Node& node = record->node->node;
    if (node.draining || node.suspended || node.retired ||
        node.standing > Standing::measurement_pending)
        return refuse(ErrorCode::wrong_state, "The node takes no more work.");
    QuantityVector quantity = job.quantity;
    quantity.prompt += command.more.prompt;
    quantity.cached += command.more.cached;
    quantity.completion += command.more.completion;
    quantity.reasoning += command.more.reasoning;
    quantity.requests += command.more.requests;
    quantity.gpu_seconds += command.more.gpu_seconds;
    if (!in_range(quantity)) return invalid("/quantity", "The session would exceed its limit.");
    const Instant expires_at = job.expires_at + command.longer;
    if (expires_at > at_ + seconds(limits::reservation_seconds_max))
        return invalid("/seconds", "At most 31 days ahead.");
    if (node.evidence_valid_until < expires_at)
        return refuse(ErrorCode::wrong_state, "The node's evidence ends before the session would.");
    const Result<Nano> whole = cost_max(job.price, quantity);
    if (!whole) return whole.error();
    const Nano added = *whole - job.hold - job.captured;
    const Nano cap = state_.requests.find(job.request)->request.cap_total;
    if (cap.value > 0 && *whole > cap) return refuse(ErrorCode::price_cap_too_low);
    const Account& account = state_.accounts.find(job.account)->account;
    if (account.frozen) return refuse(ErrorCode::account_frozen);
    if (added > account.balances[static_cast<std::size_t>(Bucket::available)])
        return refuse(ErrorCode::insufficient_funds,
                      "The renewal needs " + added.text() + " nano more.");
    const ApiKey& key = state_.keys.find(job.key)->key;
    if (key.revoked) return refuse(ErrorCode::key_revoked, "The key that placed the session.");
    if (key.expires_at.us != 0 && key.expires_at <= at_)
        return refuse(ErrorCode::key_expired, "The key that placed the session.");
    const Nano budget = budget_of(state_, job.account, job.key, at_);
    if (added > budget)
        return refuse(ErrorCode::spend_cap_reached, "The renewal needs " + added.text() +
                                                        " nano more; the key's cap leaves " +
                                                        std::max(budget, Nano{}).text() + ".");
    emit(JobRenewed{command.job, added, quantity, expires_at});
    return Answer{JobAnswer{record->job, std::nullopt}};
}

Reply Engine::Task::operator()(const CancelJob& command) {
    JobRecord* record = state_.jobs.find(command.job);
    if (record == nullptr || record->job.account != command.account)
        return refuse(ErrorCode::not_found);
    if (!open(record->job.state)) return refuse(ErrorCode::wrong_state, "The job has ended.");
    cancel_job(*record);
    return Answer{JobAnswer{record->job, std::nullopt}};
}

// One that has not started ends at once. A running one may already have delivered: it expires now,
// and its node has the usual grace to hand in the receipt of what it did.
void Engine::Task::cancel_job(JobRecord& record) {
    const Job& job = record.job;
    if (job.state == JobState::running) {
        if (job.expires_at > at_) emit(JobRenewed{job.id, Nano{}, job.quantity, at_});
        return;
    }
    const RequestId request = job.request;
    end_job(record, ending(job, JobState::cancelled, "cancelled"));
    end_request(request, RequestState::cancelled, "cancelled");
}

Reply Engine::Task::operator()(const CloseSession& command) {
    Result<JobRecord*> found = open_job(command.job, command.fencing_token);
    if (!found) return std::move(found).error();
    JobRecord& record = **found;
    const Job& job = record.job;
    if (!job.session || job.state != JobState::running || job.expires_at > at_)
        return refuse(ErrorCode::wrong_state, "Only a session whose time is over is closed.");
    const bool served = job.counter > 0;
    JobEnded ended =
        ending(job, served ? JobState::completed : JobState::cancelled, "session_over");
    if (served) ended.node_outcome = NodeOutcome::completed;
    const RequestId request = job.request;
    const RequestState state = request_state(ended.state);
    end_job(record, std::move(ended));
    end_request(request, state, "session_over");
    return Answer{JobAnswer{record.job, std::nullopt}};
}

// ---- Time -------------------------------------------------------------------------------------

void Engine::Task::due_job(const Timer& timer) {
    JobRecord* record = state_.jobs.find({timer.id});
    if (record == nullptr || !open(record->job.state)) return;
    const Job& job = record->job;
    if (job.expires_at > at_) return;  // renewed: it has a later timer
    const bool running = job.state == JobState::running;
    const Instant end =
        running ? job.expires_at + seconds(limits::receipt_grace_seconds) : job.expires_at;
    if (end > at_) return state_.timers.add(end, TimerKind::job, timer.id);
    const RequestId request = job.request;
    // Cut short by its developer, or a session that is merely over: not the node's fault.
    const bool cut =
        job.expires_at < job.reserved_at + state_.requests.find(request)->request.job_duration;
    JobEnded ended = ending(job, cut ? JobState::cancelled : JobState::expired,
                            running ? "no_receipt" : "not_started");
    const JobState state = ended.state;
    if (running && !cut && !job.session) ended.node_outcome = NodeOutcome::failed;
    end_job(*record, std::move(ended));
    end_request(request, request_state(state), running ? "no_receipt" : "not_started");
}

void Engine::Task::due_node(const Timer& timer) {
    NodeRecord* node = state_.nodes.find({timer.id});
    if (node == nullptr || node->node.connected || node->away_since.us == 0) return;
    if (node->away_since + seconds(limits::node_away_grace_seconds) > at_) return;
    std::vector<JobId> lost;
    for (const JobRecord* record : node->jobs) lost.push_back(record->job.id);
    for (const JobId id : lost) {
        JobRecord& record = *state_.jobs.find(id);
        const RequestId request = record.job.request;
        const bool started = record.job.state == JobState::running;
        JobEnded ended = ending(record.job, JobState::failed, "node_lost");
        ended.node_outcome = NodeOutcome::failed;
        end_job(record, std::move(ended));
        if (started)
            end_request(request, RequestState::failed, "node_lost");
        else
            rest_again(request, NodeId{timer.id}, "node_lost");
    }
}

void Engine::Task::due_enrolments() {
    std::vector<Digest> ended;
    for (const auto& [digest, enrolment] : state_.enrolments)
        if (enrolment.expires_at <= at_) ended.push_back(digest);
    std::sort(ended.begin(), ended.end());  // the journal never depends on a hash table's order
    for (const Digest& digest : ended) emit(EnrolmentEnded{digest});
}

void Engine::Task::due(const Timer& timer) {
    switch (timer.kind) {
        case TimerKind::job: return due_job(timer);
        case TimerKind::node_away: return due_node(timer);
        case TimerKind::enrolments: return due_enrolments();
        case TimerKind::evidence: return due_evidence(timer);
        case TimerKind::request: {
            const RequestRecord* record = state_.requests.find({timer.id});
            if (record && record->request.state == RequestState::resting &&
                record->request.rest_until <= at_)
                end_request({timer.id}, RequestState::expired, "rest_until");
            return;
        }
        case TimerKind::offer: {
            const OfferRecord* record = state_.offers.find({timer.id});
            if (record && listed(record->offer.state) && record->offer.expires_at.us != 0 &&
                record->offer.expires_at <= at_)
                emit(OfferEnded{{timer.id}, OfferState::expired});
            return;
        }
        case TimerKind::window: {
            OfferRecord* record = state_.offers.find({timer.id});
            if (record == nullptr || !listed(record->offer.state) ||
                record->window_edge != timer.at)
                return;
            state_.schedule_window(*record, at_);
            freed_.offers.push_back({timer.id});
            return;
        }
        case TimerKind::midnight:
            for (const auto& [purse, waiting] : state_.starved) {
                const AccountId account = purse.first;
                if (freed_.funded.empty() || freed_.funded.back() != account)
                    freed_.funded.push_back(account);
            }
            return;
    }
}

Reply Engine::Task::operator()(const Tick&) {
    for (int handled = 0; handled < tick_expiries_max; ++handled) {
        const std::optional<Timer> timer = state_.timers.pop_due(at_);
        if (!timer) break;
        due(*timer);
    }
    return Answer{Done{}};
}

}  // namespace cocoon::matching
