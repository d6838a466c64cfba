#include "matching/writer.hpp"

#include <algorithm>

#include "core/limits.hpp"
#include "matching/codec.hpp"

namespace cocoon::matching {
namespace {

Answered failed() {
    return {refuse(ErrorCode::commit_failed, "The change was not stored; send it again."), false,
            0};
}

// The keyset is not stored with an answer; it is worth giving again only while the job can be used.
void refill(const State& state, RequestAnswer& answer) {
    if (!answer.job) return;
    const NodeRecord* node = state.nodes.find(answer.job->node);
    if (node != nullptr && node->node.keyset_digest == answer.job->keyset_digest)
        answer.keyset_document = node->keyset_document;
}

void refill(const State& state, Reply& reply) {
    if (!reply) return;
    if (auto* one = std::get_if<RequestAnswer>(&*reply)) refill(state, *one);
    if (auto* many = std::get_if<RequestsAnswer>(&*reply))
        for (Result<RequestAnswer>& answer : many->answers)
            if (answer) refill(state, *answer);
    if (auto* job = std::get_if<JobAnswer>(&*reply))
        if (job->rematched) refill(state, *job->rematched);
}

}  // namespace

bool is_question(const Command& command) {
    return std::holds_alternative<Explain>(command) || std::holds_alternative<WhatIf>(command);
}

Writer::Writer(Journal& journal, Rules rules) : journal_{journal}, rules_{rules} { load(); }

void Writer::load() {
    std::unique_ptr<State> loaded = journal_.load();
    ENSURE(loaded != nullptr);
    state_ = std::move(loaded);
    engine_ = std::make_unique<Engine>(*state_, rules_);
    engine_->begin();
}

std::optional<Answered> Writer::replayed(const Envelope& envelope, Instant at) {
    const Remembered* known = state_->remembered(envelope.actor, envelope.idempotency_key);
    if (known == nullptr || known->at + seconds(limits::idempotency_seconds) <= at)
        return std::nullopt;
    if (known->input_hash != envelope.input_hash)
        return Answered{refuse(ErrorCode::idempotency_key_reused), false,
                        state_->counters.sequence};
    Result<Reply> reply = decode_reply(known->answer);
    if (!reply) return Answered{reply.error(), true, known->sequence};
    refill(*state_, *reply);
    return Answered{std::move(*reply), true, known->sequence};
}

// Nothing is forgotten early, because a call that is repeated then would be executed twice.
std::optional<Error> Writer::memory_full(AccountId actor, Instant at) const {
    const auto wait = [at](const RememberedUse& use) {
        const Instant end = use.oldest + seconds(limits::idempotency_seconds);
        return std::max<std::int64_t>(1, ((end - at).us + 999'999) / 1'000'000);
    };
    const RememberedUse own = state_->remembered_of(actor), all = state_->remembered_of_all();
    Error error = refuse(ErrorCode::idempotency_memory_full);
    if (own.answers >= rules_.remembered_per_account_max ||
        own.bytes >= rules_.remembered_bytes_per_account_max) {
        error.detail =
            "This account's answers of the last 24 hours are as many as may be; use "
            "sessions, or place requests in batches.";
        error.retry_after_seconds = wait(own);
        return error;
    }
    if (all.answers >= rules_.remembered_max || all.bytes >= rules_.remembered_bytes_max) {
        error.detail = "All accounts together have as many answers as may be.";
        error.retry_after_seconds = wait(all);
        return error;
    }
    return std::nullopt;
}

Answered Writer::handle(const Envelope& envelope, Instant at, Batch& batch) {
    const bool keyed = !envelope.idempotency_key.empty();
    if (keyed) {
        state_->forget(at);
        if (std::optional<Answered> known = replayed(envelope, at)) return std::move(*known);
        if (auto full = memory_full(envelope.actor, at); full && !is_question(envelope.command))
            return {std::move(*full), false, state_->counters.sequence};
    }
    happened_.clear();
    const Actor actor{envelope.actor, envelope.key, envelope.scopes};
    Answered answered{engine_->apply(envelope.command, actor, at, happened_), false,
                      state_->counters.sequence};
    // Nothing happened and nobody may ask again: no entry. A stranger may, but is refused anew:
    // what anybody can send for nothing must not fill journal and memory.
    const bool answers_again = keyed && envelope.actor && !is_question(envelope.command);
    if (happened_.events.empty() && !answers_again) return answered;
    Entry entry;
    entry.sequence = answered.sequence = ++state_->counters.sequence;
    entry.at = at;
    entry.actor = envelope.actor;
    entry.events.assign(std::move_iterator{happened_.events.begin()},
                        std::move_iterator{happened_.events.end()});
    entry.postings = happened_.postings;
    if (keyed) {
        entry.idempotency_key = envelope.idempotency_key;
        entry.input_hash = envelope.input_hash;
        entry.answer = encode_reply(answered.reply);
        state_->remember(entry.actor, entry.idempotency_key,
                         {entry.input_hash, entry.answer, at, entry.sequence});
    }
    batch.entries.push_back(std::move(entry));
    return answered;
}

Pending Writer::prepare(std::span<const Envelope> envelopes, Instant now) {
    if (!state_) load();
    Pending pending;
    pending.generation = generation_;
    pending.batch.previous = state_->counters.sequence;
    pending.answers.reserve(envelopes.size());
    const Instant at =
        std::max(now, state_->counters.last_at);  // the clock may step back, the journal not
    for (const Envelope& envelope : envelopes)
        pending.answers.push_back(handle(envelope, at, pending.batch));
    pending.entries = pending.batch.entries.size();
    pending.batch.changes = state_->take_changes();
    return pending;
}

Journal::Outcome Writer::commit(const SharedBatch& batch) {
    if (batch->entries.empty()) return Journal::Outcome::stored;
    try {
        return journal_.commit(batch);
    } catch (const std::exception&) {
        return resolve(batch);  // in doubt: never retried, never guessed
    }
}

Journal::Outcome Writer::resolve(const Batch& batch) {
    return journal_.last_sequence() >= batch.last() ? Journal::Outcome::stored
                                                    : Journal::Outcome::not_stored;
}

std::vector<Answered> Writer::settle(Pending pending, Journal::Outcome outcome) {
    const bool current = pending.generation == generation_;
    if (outcome == Journal::Outcome::stored && (current || pending.entries > 0))
        return std::move(pending.answers);
    if (current) {
        state_.reset();
        engine_.reset();
        ++generation_;  // whatever was prepared on top of this batch falls with it
    }
    std::vector<Answered> answers(pending.answers.size(), failed());
    return answers;
}

std::vector<Answered> Writer::step(std::span<const Envelope> envelopes, Instant now) {
    Pending pending = prepare(envelopes, now);
    Journal::Outcome outcome;
    try {
        outcome = commit(std::move(pending.batch));
    } catch (...) {
        state_.reset();
        engine_.reset();
        ++generation_;
        throw;
    }
    return settle(std::move(pending), outcome);
}

std::optional<Instant> Writer::next_due() const {
    if (!engine_) return std::nullopt;
    return engine_->next_due();
}

}  // namespace cocoon::matching
