// The job's side of the relay: which word goes to the lane when an exchange ends, and what the
// client is told once the lane has answered. The rules themselves (who is paid, who is matched
// again) are the engine's.
#include <algorithm>
#include <charconv>

#include "core/log.hpp"
#include "server/relay.hpp"
#include "server/relay_parts.hpp"

namespace cocoon::server {
namespace {

constexpr std::int64_t matching::QuantityVector::*dimensions[] = {
    &matching::QuantityVector::prompt,     &matching::QuantityVector::cached,
    &matching::QuantityVector::completion, &matching::QuantityVector::reasoning,
    &matching::QuantityVector::requests,   &matching::QuantityVector::gpu_seconds};

bool at_least(const matching::QuantityVector& a, const matching::QuantityVector& b) {
    return std::all_of(std::begin(dimensions), std::end(dimensions),
                       [&](auto member) { return a.*member >= b.*member; });
}

std::uint32_t milliseconds_between(Instant from, Instant to) {
    if (from.us == 0 || to <= from) return 0;
    return static_cast<std::uint32_t>(
        std::min<std::int64_t>((to - from).milliseconds(), UINT32_MAX));
}

// "job_9.5" inside the receipt: 5. 0 if it is no session's.
std::uint64_t counter_in(std::string_view receipt) {
    constexpr std::string_view name = "\"receipt_id\":\"";
    const std::size_t found = receipt.find(name);
    if (found == std::string_view::npos) return 0;
    std::string_view id = receipt.substr(found + name.size());
    id = id.substr(0, id.find('"'));
    const std::size_t dot = id.find('.');
    std::uint64_t counter = 0;
    if (dot != std::string_view::npos)
        std::from_chars(id.data() + dot + 1, id.data() + id.size(), counter);
    return counter;
}

ErrorCode code_of(const Failed& failed) {
    const ErrorInfo* info = find_error(failed.code);
    return info != nullptr ? info->code : ErrorCode::upstream_failed;
}

}  // namespace

matching::QuantityVector sum(const matching::QuantityVector& a, const matching::QuantityVector& b) {
    // every part is bounded by limits::tokens_max, so nothing overflows
    matching::QuantityVector total = a;
    for (const auto member : dimensions) total.*member += b.*member;
    return total;
}

matching::QuantityVector difference(const matching::QuantityVector& a,
                                    const matching::QuantityVector& b) {
    matching::QuantityVector rest = a;
    for (const auto member : dimensions) rest.*member -= b.*member;
    return rest;
}

bool is_open(matching::JobState state) {
    return state == matching::JobState::reserved || state == matching::JobState::running;
}

// ---- The node's last word ----------------------------------------------------------------------

void Relay::settle_receipt(const StreamPtr& stream, std::string document) {
    if (stream->phase == Phase::settling) return;
    if (stream->phase == Phase::open && stream->reason.empty() && !stream->final_chunk.found()) {
        return fail(
            stream,
            refuse(ErrorCode::stream_truncated, "the node ended its answer before the final chunk"),
            true, !stream->started);
    }
    stream->phase = Phase::settling;
    struct Task {
        std::string document;
        std::shared_ptr<const sealing::Keyset> keyset;
        ReceiptExpectation expected;
    };
    const auto task = std::make_shared<Task>();
    task->document = std::move(document);
    task->keyset = stream->keyset;
    task->expected = {
        *stream->job, *stream->market, stream->terms.quantity,
        stream->request_digest ? *stream->request_digest : stream->request_hash.finish(),
        stream->response_hash.finish()};
    const auto check = [this, task] {
        return check_receipt(task->document, *task->keyset, task->expected, doors_.signer);
    };
    const auto on_worker = [this, stream, check] {
        auto checked = std::make_shared<Result<CheckedReceipt>>(check());
        doors_.loop.post([this, stream, checked] { receipt_checked(stream, std::move(*checked)); });
    };
    // The only exchange has nobody to keep waiting, and two hand-overs would cost it as much as the
    // check. Busy workers: slower for all, but no work is lost.
    const bool alone = streams_.size() == 1;
    if (alone || !doors_.workers.submit(on_worker)) receipt_checked(stream, check());
}

void Relay::receipt_checked(const StreamPtr& stream, Result<CheckedReceipt> checked) {
    if (stream->starting) {  // tried again, perhaps, and a job that has not started pays nobody
        stream->when_started = [this, weak = std::weak_ptr{stream}, checked] {
            if (const StreamPtr alive = weak.lock()) receipt_checked(alive, checked);
        };
        return;
    }
    if (!checked) {
        doors_.metrics.relay_receipts_refused.add();
        log::warning("receipt_refused", {{"job", stream->job->id.text()},
                                         {"node", stream->job->node.text()},
                                         {"why", checked.error().detail}});
        return fail(stream, checked.error(), true, !stream->started && !stream->client_left);
    }
    stream->envelope = checked->cosigned;
    if (stream->job->session) return session_receipt(stream, std::move(*checked));
    complete(stream, *checked);
}

void Relay::complete(const StreamPtr& stream, const CheckedReceipt& receipt) {
    matching::CompleteJob done;
    done.job = stream->job->id;
    done.fencing_token = stream->job->fencing_token;
    done.usage = receipt.usage;
    done.receipt_hash = receipt.hash;
    done.receipt = receipt.cosigned;
    done.partial = receipt.status != sealing::ReceiptStatus::completed || !stream->reason.empty();
    if (done.partial) done.reason = stream->reason.empty() ? "partial" : stream->reason;
    done.first_output_ms = milliseconds_between(stream->opened_at, stream->first_output_at);
    done.output_ms = milliseconds_between(stream->first_output_at, stream->last_output_at);
    done.node_at_fault =
        done.partial && describe(ErrorCode::upstream_failed).name == stream->reason;
    command(std::move(done), [this, stream](matching::Answered answer) {
        const matching::Job& job = *stream->job;
        if (!answer.reply) {
            log::warning(
                "completion_refused",
                {{"job", job.id.text()}, {"code", describe(answer.reply.error().code).name}});
            cut(stream, "completion_refused");
            return forget(stream);
        }
        doors_.answered(job.account, answer.sequence);
        doors_.answered(job.provider, answer.sequence);
        if (const auto link = stream->link.lock())
            send(link, receipt_ack_message(job.id, 0), false);
        if (!stream->reason.empty()) {
            cut(stream, stream->reason);
            return forget(stream);
        }
        deliver_end(stream);
    });
}

// The capture is durable: the client may have the end.
void Relay::deliver_end(const StreamPtr& stream) {
    stream->backlog += stream->held;
    stream->held.clear();
    stream->finishing = true;
    if (stream->client_left) return forget(stream);
    flush(stream);
}

// Ends the client's answer so that it cannot be taken for a whole one.
void Relay::cut(const StreamPtr& stream, std::string_view why) {
    if (stream->client_left || stream->cut) return;
    stream->cut = true;
    if (!stream->started)
        return stream->in->refuse(refuse(ErrorCode::upstream_failed, std::string{why}));
    stream->in->finished("aborted", stream->response_bytes);
    stream->in->exchange().abort();
}

void Relay::take_failed(const StreamPtr& stream, Failed failed) {
    if (stream->phase == Phase::settling) return;
    const ErrorCode code = code_of(failed);
    const bool stopping = stream->phase == Phase::stopping;
    log::info("exchange_failed", {{"job", stream->job->id.text()},
                                  {"code", describe(code).name},
                                  {"started", stream->started},
                                  {"stopping", stopping}});
    const bool worked = stream->any_output() && !failed.receipt.empty();
    if (worked && (stream->started || stopping)) {
        if (stream->reason.empty()) stream->reason = std::string{describe(code).name};
        return settle_receipt(stream, std::move(failed.receipt));
    }
    if (stopping) return fail(stream, refuse(code, stream->reason), false, false);
    const bool callers_fault = describe(code).status < 500;
    const bool nodes_fault = !callers_fault && code != ErrorCode::draining;
    fail(stream, refuse(code, std::move(failed.detail)), nodes_fault,
         !stream->started && !callers_fault);
}

void Relay::node_lost(const StreamPtr& stream) {
    const Error error = refuse(ErrorCode::node_unavailable, "the node's connection was lost");
    if (stream->phase == Phase::stopping) return fail(stream, error, false, false);
    if (!stream->started) return fail(stream, error, true, true);
    // The engine ends the job by itself; until then the node may come back with its receipt.
    auto orphan = std::make_unique<Orphan>();
    orphan->request_digest = stream->request_digest;
    orphan->bounds = stream->terms.quantity;
    orphan->first_output_ms = milliseconds_between(stream->opened_at, stream->first_output_at);
    orphan->output_ms = milliseconds_between(stream->first_output_at, stream->last_output_at);
    if (!stream->job->session) orphans_[stream->job->id] = std::move(orphan);
    cut(stream, "node_lost");
    forget(stream);
}

// No receipt, no pay. `rematch`: nothing reached the client, so another node may do it.
void Relay::fail(const StreamPtr& stream, const Error& error, bool node_at_fault, bool rematch) {
    stream->phase = Phase::settling;
    const auto job = doors_.directory.job(stream->job->id);
    const bool open = job && is_open(job->state);
    // A running session goes on without this exchange; its node's absence is the engine's to judge.
    if (!open || (job->session && (job->state == matching::JobState::running || !rematch))) {
        if (!stream->started) stream->in->refuse(error);
        cut(stream, describe(error.code).name);
        return forget(stream);
    }
    matching::FailJob failure;
    failure.job = job->id;
    failure.fencing_token = job->fencing_token;
    failure.reason =
        stream->reason.empty() ? std::string{describe(error.code).name} : stream->reason;
    failure.node_at_fault = node_at_fault;
    failure.rematch = rematch && !stream->client_left;
    command(std::move(failure),
            [this, stream, error](matching::Answered answer) { failed(stream, error, answer); });
}

void Relay::failed(const StreamPtr& stream, const Error& error, const matching::Answered& answer) {
    if (answer.reply) {
        doors_.answered(stream->job->account, answer.sequence);
        const auto* ended = std::get_if<matching::JobAnswer>(&*answer.reply);
        if (ended != nullptr && ended->rematched && ended->rematched->job && !stream->started &&
            !stream->client_left) {
            doors_.metrics.relay_rematched.add();
            stream->in->respond(doors_.rematched(*ended->rematched, stream->in->request_id()));
            return forget(stream);
        }
    }
    if (!stream->started) stream->in->refuse(error);
    cut(stream, describe(error.code).name);
    forget(stream);
}

void Relay::forget(const StreamPtr& stream) {
    if (streams_.erase(stream->id) == 0) return;
    doors_.metrics.relay_streams.set(static_cast<std::int64_t>(streams_.size()));
    if (const auto link = stream->link.lock()) {
        link->streams.erase(stream->id);
        unblock(link, stream);
    }
    const JobId job = stream->job->id;
    const auto ids = by_job_.find(job);
    if (ids != by_job_.end()) {
        std::erase(ids->second, stream->id);
        if (ids->second.empty()) by_job_.erase(ids);
    }
    const auto session = sessions_.find(job);
    if (session == sessions_.end()) return;
    session->second->in_flight = difference(session->second->in_flight, stream->terms.quantity);
    const auto now = doors_.directory.job(job);
    if (!by_job_.contains(job) && !session->second->capturing && (!now || !is_open(now->state)))
        sessions_.erase(session);
    else
        close_if_over(job);
}

// A session past its time (cancelled, or at its end) with nothing open inside it: its hold is
// released now. While its node is away a receipt may still be on the way, so the engine's grace
// decides.
void Relay::close_if_over(JobId id) {
    const auto job = doors_.directory.job(id);
    if (!job || !job->session || job->state != matching::JobState::running) return;
    if (job->expires_at > doors_.clock.now() || by_job_.contains(id)) return;
    const auto link = links_.find(job->node);
    if (link == links_.end() || !link->second->greeted) return;
    const auto session = sessions_.find(id);
    if (session != sessions_.end()) {
        if (session->second->capturing || session->second->pending || session->second->closing)
            return;
        session->second->closing = true;
    }
    command(matching::CloseSession{id, job->fencing_token}, [this, id](const matching::Answered&) {
        const auto closed = sessions_.find(id);
        if (closed != sessions_.end() && !by_job_.contains(id)) sessions_.erase(closed);
    });
}

// ---- Sessions ----------------------------------------------------------------------------------

void Relay::session_receipt(const StreamPtr& stream, CheckedReceipt receipt) {
    const JobId job = stream->job->id;
    Session& session = *sessions_[job];
    const auto current = doors_.directory.job(job);
    const bool newer = receipt.counter > session.counter;
    const bool next = receipt.counter == session.counter + 1;
    const auto expected = sum(session.newest, receipt.usage);
    // Receipts are checked by several workers, so an older one may come after a newer: it is
    // covered.
    const bool sums_fit =
        !newer || (next ? receipt.cumulative == expected : at_least(receipt.cumulative, expected));
    if (!current || !sums_fit || !matching::within(receipt.cumulative, current->quantity)) {
        doors_.metrics.relay_receipts_refused.add();
        log::warning("receipt_refused", {{"job", job.text()},
                                         {"node", stream->job->node.text()},
                                         {"why", "the session's sums do not fit"}});
        cut(stream, "receipt_invalid");
        return forget(stream);
    }
    stream->counter = receipt.counter;
    session.unacknowledged[receipt.counter] = stream->link;
    if (newer) {
        session.counter = receipt.counter;
        session.newest = receipt.cumulative;
        session.pending = std::move(receipt);
    }
    session.waiting.push_back(stream);
    if (!session.capturing) capture(job);
}

// What arrives while a capture is being committed is captured together by the next one: a session's
// batch forms itself, as the lane's does.
void Relay::capture(JobId job) {
    Session& session = *sessions_[job];
    const auto current = doors_.directory.job(job);
    if (!current) return;
    if (!session.pending) {
        if (!session.waiting.empty())
            captured(job, session.captured_counter, {matching::Answer{matching::Done{}}, false, 0});
        return;
    }
    matching::CaptureUsage usage;
    usage.job = job;
    usage.fencing_token = current->fencing_token;
    usage.counter = session.pending->counter;
    usage.usage = session.pending->cumulative;
    usage.receipt_hash = session.pending->hash;
    usage.receipt = std::move(session.pending->cosigned);
    session.pending.reset();
    session.capturing = true;
    const std::uint64_t counter = usage.counter;
    command(std::move(usage),
            [this, job, counter](matching::Answered answer) { captured(job, counter, answer); });
}

void Relay::captured(JobId job, std::uint64_t counter, const matching::Answered& answer) {
    const auto found = sessions_.find(job);
    if (found == sessions_.end()) return;
    Session& session = *found->second;
    session.capturing = false;
    if (answer.reply) session.captured_counter = std::max(session.captured_counter, counter);
    std::vector<StreamPtr> settled;
    std::erase_if(session.waiting, [&](const StreamPtr& stream) {
        if (stream->counter > counter) return false;
        settled.push_back(stream);
        return true;
    });
    for (auto entry = session.unacknowledged.begin();
         entry != session.unacknowledged.end() && entry->first <= counter;) {
        const auto link = entry->second.lock();
        if (link && answer.reply) send(link, receipt_ack_message(job, entry->first), false);
        entry = session.unacknowledged.erase(entry);
    }
    if (!answer.reply)
        log::warning("capture_refused",
                     {{"job", job.text()}, {"code", describe(answer.reply.error().code).name}});
    const auto current = doors_.directory.job(job);
    if (answer.reply && current && answer.sequence > 0) {
        doors_.answered(current->account, answer.sequence);
        doors_.answered(current->provider, answer.sequence);
    }
    if (session.pending) capture(job);
    for (const StreamPtr& stream : settled) {  // forget() may end the session: last
        if (answer.reply && stream->reason.empty()) {
            deliver_end(stream);
        } else {
            cut(stream, stream->reason.empty() ? "capture_refused" : stream->reason);
            forget(stream);
        }
    }
}

// ---- Receipts after the fact -------------------------------------------------------------------

void Relay::take_late_receipt(const std::shared_ptr<Link>& link, LateReceipt late) {
    const std::uint64_t counter = counter_in(late.receipt);
    const auto job = doors_.directory.job(late.job);
    const bool busy = by_job_.contains(late.job);
    if (job && job->node == link->node && !is_open(job->state)) {
        const bool paid = job->session ? counter <= job->counter : !job->receipt_hash.empty();
        const Error over =
            refuse(ErrorCode::reservation_expired, "the job ended without it: " + job->reason);
        return send(link,
                    paid ? receipt_ack_message(late.job, counter)
                         : receipt_refused_message(late.job, counter, over),
                    false);
    }
    // Ended long ago, or none of this node's: it may forget it.
    if (!job || job->node != link->node)
        return send(link, receipt_ack_message(late.job, counter), false);
    if (job->session ? counter <= job->counter : busy) {
        if (job->session) send(link, receipt_ack_message(late.job, counter), false);
        return;  // its exchange is still being settled and will acknowledge
    }
    const auto keyset = doors_.directory.keyset(job->keyset_digest);
    if (!keyset) return;
    const std::weak_ptr<Link> weak = link;
    const auto orphan = orphans_.find(late.job);
    ReceiptExpectation expected{*job, *doors_.directory.market_name(job->market), job->quantity,
                                std::nullopt, std::nullopt};
    std::uint32_t first_output_ms = 0, output_ms = 0;
    if (orphan != orphans_.end()) {
        expected.request_hash = orphan->second->request_digest;
        expected.bounds = orphan->second->bounds;
        first_output_ms = orphan->second->first_output_ms;
        output_ms = orphan->second->output_ms;
    }
    auto checked = check_receipt(late.receipt, *keyset, expected, doors_.signer);
    if (!checked) {
        doors_.metrics.relay_receipts_refused.add();
        log::warning("late_receipt_refused",
                     {{"job", late.job.text()}, {"why", checked.error().detail}});
        const auto tell = [this, weak, id = late.job, counter, why = checked.error()] {
            if (const auto alive = weak.lock())
                send(alive, receipt_refused_message(id, counter, why), false);
        };
        if (job->session || job->state != matching::JobState::running) return tell();
        // No better one will follow, as in an exchange that still passes here.
        return end_unpaid(job, "receipt_invalid", tell);
    }
    const auto acknowledge = [this, weak, counter, job](const matching::Answered& answer) {
        const auto alive = weak.lock();
        if (!answer.reply) {
            const Error& why = answer.reply.error();
            log::warning("late_receipt_unpaid",
                         {{"job", job->id.text()}, {"code", describe(why.code).name}});
            if (alive && !describe(why.code).retryable)
                send(alive, receipt_refused_message(job->id, counter, why), false);
            return;
        }
        doors_.answered(job->account, answer.sequence);
        doors_.answered(job->provider, answer.sequence);
        if (alive) send(alive, receipt_ack_message(job->id, counter), false);
    };
    if (job->session) {
        return command(
            matching::CaptureUsage{job->id, job->fencing_token, checked->counter,
                                   checked->cumulative, checked->hash, checked->cosigned},
            acknowledge);
    }
    matching::CompleteJob done;
    done.job = job->id;
    done.fencing_token = job->fencing_token;
    done.usage = checked->usage;
    done.receipt_hash = checked->hash;
    done.receipt = checked->cosigned;
    done.partial = true;
    done.reason = "node_lost";
    done.first_output_ms = first_output_ms;
    done.output_ms = output_ms;
    command(std::move(done), acknowledge);
}

// Running jobs whose exchange ended here without a word of their node, by its loss or by our
// restart: it answers with the receipt, or that there is none, and nothing stays held until then.
void Relay::want_receipts(const std::shared_ptr<Link>& link, std::vector<JobId> jobs) {
    std::erase_if(jobs, [this](JobId job) { return by_job_.contains(job); });
    for (std::size_t from = 0; from < jobs.size(); from += receipts_wanted_jobs_max) {
        const std::size_t count = std::min(receipts_wanted_jobs_max, jobs.size() - from);
        send(link, receipts_wanted_message(std::span{jobs}.subspan(from, count)), false);
    }
}

void Relay::take_no_receipt(const std::shared_ptr<Link>& link, JobId id) {
    const auto job = doors_.directory.job(id);
    if (!job || job->node != link->node || job->session ||
        job->state != matching::JobState::running || by_job_.contains(id))
        return;
    doors_.metrics.relay_receipts_missing.add();
    log::warning("receipt_missing", {{"job", id.text()}, {"node", link->node.text()}});
    end_unpaid(job, "no_receipt", {});
}

// A running job that nobody will claim: free for its developer, the slot free for the next one.
// What its developer cut short is not the node's fault.
void Relay::end_unpaid(const std::shared_ptr<const matching::Job>& job, std::string reason,
                       std::function<void()> then) {
    matching::FailJob failure;
    failure.job = job->id;
    failure.fencing_token = job->fencing_token;
    failure.reason = std::move(reason);
    failure.node_at_fault = job->expires_at > doors_.clock.now();
    command(std::move(failure), [this, job, then](const matching::Answered& answer) {
        if (!answer.reply)
            return log::warning(
                "job_not_ended",
                {{"job", job->id.text()}, {"code", describe(answer.reply.error().code).name}});
        doors_.answered(job->account, answer.sequence);
        doors_.answered(job->provider, answer.sequence);
        if (then) then();
    });
}

// ---- Jobs that end elsewhere, commands, time ---------------------------------------------------

void Relay::stored(const matching::Batch& batch) {
    for (const matching::ApiKey& key : batch.changes.keys) {
        const auto found = links_.find(key.node);
        if (found != links_.end() && found->second->key == key.id)
            drop_ended_key(std::shared_ptr{found->second});
    }
    for (const matching::Job& job : batch.changes.jobs) {
        if (is_open(job.state)) {
            close_if_over(job.id);
            // Its exchange may have ended here before its start was stored.
            const bool owed = job.state == matching::JobState::running && !job.session &&
                              !by_job_.contains(job.id);
            const auto link = owed ? links_.find(job.node) : links_.end();
            if (link != links_.end() && link->second->greeted)
                want_receipts(link->second, {job.id});
            continue;
        }
        orphans_.erase(job.id);
        const auto found = by_job_.find(job.id);
        if (found == by_job_.end()) continue;
        const std::vector<std::uint64_t> ids = found->second;
        for (const std::uint64_t id : ids) {
            const StreamPtr stream = find(id);
            if (!stream || stream->phase != Phase::open) continue;
            const bool expired = job.state == matching::JobState::expired;
            if (!stream->started) {
                stream->in->refuse(expired ? refuse(ErrorCode::reservation_expired)
                                           : refuse(ErrorCode::wrong_state, "the job has ended"));
                stream->cut = true;
            }
            stop(stream, "job_" + std::string{matching::name_of(job.state)});
        }
    }
}

// A connection lasts no longer than the key it was opened with.
void Relay::drop_ended_key(const std::shared_ptr<Link>& link) {
    const Credential* key = doors_.directory.credential(link->key);
    if (key != nullptr && !key->ended(doors_.clock.now())) return;
    const bool revoked = key == nullptr || key->revoked;
    link->socket->close(4003, revoked ? "the node's key was revoked" : "the node's key has ended");
    link_closed(link);
    link->replaced = true;  // nothing more is taken from it
}

void Relay::command(matching::Command command, Lane::Done done) {
    auto retry = std::make_shared<Retry>();
    retry->command = std::move(command);
    retry->done = std::move(done);
    submit_once(retry);
}

void Relay::submit_once(const std::shared_ptr<Retry>& retry) {
    ++retry->attempts;
    const auto again = [this, retry](const Error& error) {
        const bool passing =
            error.code == ErrorCode::overloaded || error.code == ErrorCode::commit_failed;
        if (!passing || retry->attempts >= options_.command_attempts_max) return false;
        retries_.push_back(retry);
        return true;
    };
    const auto submitted = doors_.submit(retry->command, [retry, again](matching::Answered answer) {
        if (!answer.reply && again(answer.reply.error())) return;
        if (retry->done) retry->done(std::move(answer));
    });
    if (submitted || again(submitted.error())) return;
    if (retry->done) retry->done({matching::Reply{submitted.error()}, false, 0});
}

void Relay::beat() {
    heartbeat_ = doors_.loop.call_after(options_.heartbeat, [this] { beat(); });
    const Instant now = doors_.clock.now();
    const auto retries = std::move(retries_);
    retries_.clear();
    for (const auto& retry : retries) submit_once(retry);
    const auto links = links_;
    for (const auto& [node, link] : links) {
        if (!link->greeted && link->opened_at + options_.hello_grace < now)
            link->socket->close(1002, "no hello");
        const NodeEntry* entry = doors_.directory.node(node);
        const bool ends_soon =
            entry != nullptr && entry->evidence_valid_until < now + options_.attest_notice;
        if (link->greeted && ends_soon && link->attest_told_at + minutes(1) < now) {
            link->attest_told_at = now;
            send(link, attest_message(), false);
        }
        drop_ended_key(link);
    }
    std::vector<StreamPtr> silent, expired;
    for (const auto& [id, stream] : streams_) {
        if (stream->phase == Phase::stopping && stream->give_up_at < now) silent.push_back(stream);
        if (stream->phase != Phase::open) continue;
        // The end of its time, or a cancellation: the engine then lets a running job expire at
        // once.
        const auto job = doors_.directory.job(stream->job->id);
        if (job && is_open(job->state) && job->expires_at <= now) expired.push_back(stream);
    }
    for (const StreamPtr& stream : expired) {
        if (!stream->started) stream->in->refuse(refuse(ErrorCode::reservation_expired));
        stop(stream, "expired");
    }
    std::vector<JobId> sessions;
    for (const auto& [job, session] : sessions_) sessions.push_back(job);
    for (const JobId job : sessions) close_if_over(job);
    for (const StreamPtr& stream : silent)
        fail(stream, refuse(ErrorCode::upstream_failed, stream->reason), false, false);
}

}  // namespace cocoon::server
