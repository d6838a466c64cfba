// The whole life of a write: stamps, applies, commits, answers. The only owner of the state. Called
// by the lane's thread; no thread, lock or clock of its own, so that tests and the simulator drive
// it.
//
// A lane that overlaps builds batch n+1 with prepare() while another thread runs commit() of batch
// n, then settles them in order. When n turns out not to be stored, n and everything prepared on
// top of it is answered commit_failed and the state is loaded again.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "matching/engine.hpp"
#include "matching/journal.hpp"

namespace cocoon::matching {

struct Envelope {
    AccountId actor;  // 0: the market itself
    KeyId key;
    ScopeSet scopes = 0;
    std::string idempotency_key;  // empty: none
    Digest input_hash{};          // of the body, only with an idempotency key
    Command command;
};

struct Answered {
    Reply reply;
    bool replayed = false;       // the stored answer of an earlier call with this idempotency key
    std::uint64_t sequence = 0;  // a read that has seen this entry has seen the change
};

struct Pending {
    Batch batch;                    // moved out once nothing joins it any more
    std::size_t entries = 0;        // of the batch
    std::vector<Answered> answers;  // one per envelope, in order; only valid once settled as stored
    std::uint64_t generation = 0;
};

class Writer {
public:
    // Loads the state. Throws what the journal throws.
    explicit Writer(Journal& journal, Rules rules = {});

    // Applies the envelopes on top of everything prepared so far. Loads the state again first when
    // the last settle() dropped it (throws what the journal throws; call again later). A batch
    // without entries needs no commit but is settled in its turn all the same.
    Pending prepare(std::span<const Envelope> envelopes, Instant now);

    // Blocks until it is certain whether the batch is stored. When the machine is broken it throws:
    // the batch is still in doubt and commit must be asked again with resolve(). Safe beside
    // prepare().
    Journal::Outcome commit(const SharedBatch& batch);
    // What became of a batch in doubt. Throws while the journal cannot tell.
    Journal::Outcome resolve(const Batch& batch);

    // The answers in the order of the envelopes. `not_stored` drops the state.
    std::vector<Answered> settle(Pending pending, Journal::Outcome outcome);

    // prepare + commit + settle for callers that do not overlap. Throws only when the journal
    // cannot tell what became of the batch; then the state is dropped and the answers are unknown.
    std::vector<Answered> step(std::span<const Envelope> envelopes, Instant now);

    // When the lane should send a Tick. Nothing if nothing is due ever.
    std::optional<Instant> next_due() const;

    // REQUIRES: loaded().
    const State& state() const { return *state_; }
    State& state() { return *state_; }
    bool loaded() const { return state_ != nullptr; }
    const Engine& engine() const { return *engine_; }  // REQUIRES: loaded()

private:
    void load();
    Answered handle(const Envelope& envelope, Instant at, Batch& batch);
    std::optional<Answered> replayed(const Envelope& envelope, Instant at);
    std::optional<Error> memory_full(AccountId actor, Instant at) const;

    Journal& journal_;
    const Rules rules_;
    std::unique_ptr<State> state_;
    std::unique_ptr<Engine> engine_;
    std::uint64_t generation_ = 1;
    Happened happened_;  // of the command at work
};

// Commands that leave no entry whatever they answer.
bool is_question(const Command& command);

}  // namespace cocoon::matching
