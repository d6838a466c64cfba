// Decides: takes a command, an actor and an instant, refuses or answers, and records what happened
// as events that it applies to the state at once. Deterministic; no clock, chance or storage.
// Called by the Writer on the lane's thread, and by tests.
#pragma once

#include "matching/commands.hpp"
#include "matching/rules.hpp"
#include "matching/state.hpp"

namespace cocoon::matching {

struct Actor {
    AccountId account;  // 0: the market itself, which may do everything
    KeyId key;
    ScopeSet scopes = 0;  // of the key
};

// Filled by one command; the caller reuses or keeps the buffers.
struct Happened {
    std::vector<Event> events;
    std::vector<Posting> postings;
    void clear() {
        events.clear();
        postings.clear();
    }
};

class Engine {
public:
    explicit Engine(State& state, Rules rules = {}) : state_{state}, rules_{rules} {}

    // REQUIRES: at >= state.counters.last_at. Appends to `happened`; a refusal appends nothing.
    Reply apply(const Command& command, const Actor& actor, Instant at, Happened& happened);

    // When the next Tick has something to do, Instant{} for at once; nothing if never.
    std::optional<Instant> next_due() const;

    // Shows what rests to every offer, in Ticks: what was under way before the load, and which
    // requests lack only money, is not stored. Once after a load.
    void begin();

    // Resting requests looked at since the start: by commands and Ticks, each within its bound.
    std::uint64_t resting_looked_at() const { return resting_looked_at_; }

private:
    class Task;     // one command at work (engine_task.hpp)
    struct Freed {  // what resting requests may take now; empty between commands
        std::vector<OfferId> offers;
        std::vector<AccountId> funded;  // may pay for starved requests now
    };
    State& state_;
    const Rules rules_;
    Freed freed_;
    std::deque<AccountId> unserved_;  // funded ones that a Tick goes on with
    std::uint64_t resting_looked_at_ = 0;
};

// Expired things that one Tick handles; the rest stays due and the next Tick follows at once.
constexpr int tick_expiries_max = 1024;

}  // namespace cocoon::matching
