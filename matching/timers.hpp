// What falls due when: a heap of instants that forgets cancelled entries lazily and rebuilds itself
// before they outnumber the live ones. Filled by State, drained by the engine's Tick. An entry is
// only a hint: whoever pops it looks at the entity and decides whether it is really due.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/time.hpp"

namespace cocoon::matching {

enum class TimerKind : std::uint8_t {
    job,
    request,
    offer,
    window,
    node_away,
    enrolments,
    evidence,
    midnight
};

struct Timer {
    Instant at;
    TimerKind kind = TimerKind::job;
    std::uint64_t id = 0;

    bool operator==(const Timer&) const = default;
};

class Timers {
public:
    void add(Instant at, TimerKind kind, std::uint64_t id);
    // The entity of one entry is gone; the entry itself stays until popped or swept.
    void forget_one() { ++stale_; }
    // Whether so many are stale that sweep() pays.
    bool wants_sweep() const { return stale_ > 1024 && stale_ * 2 > heap_.size(); }
    template <class Live>
    void sweep(Live&& live) {
        std::erase_if(heap_, [&](const Timer& timer) { return !live(timer); });
        // An instant that was left and taken again stands here twice. Sorted, it is a heap as well.
        std::sort(heap_.begin(), heap_.end(),
                  [](const Timer& a, const Timer& b) { return later(b, a); });
        heap_.erase(std::unique(heap_.begin(), heap_.end()), heap_.end());
        stale_ = 0;
    }
    std::optional<Instant> next() const;
    // Takes the earliest entry that is due at `now`.
    std::optional<Timer> pop_due(Instant now);
    std::size_t size() const { return heap_.size(); }

private:
    static bool later(const Timer& a, const Timer& b) {
        if (a.at != b.at) return a.at > b.at;
        if (a.kind != b.kind) return a.kind > b.kind;
        return a.id > b.id;
    }
    std::vector<Timer> heap_;
    std::size_t stale_ = 0;
};

}  // namespace cocoon::matching
