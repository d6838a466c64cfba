#include "matching/timers.hpp"

namespace cocoon::matching {

void Timers::add(Instant at, TimerKind kind, std::uint64_t id) {
    heap_.push_back({at, kind, id});
    std::push_heap(heap_.begin(), heap_.end(), later);
}

std::optional<Instant> Timers::next() const {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().at;
}

std::optional<Timer> Timers::pop_due(Instant now) {
    if (heap_.empty() || heap_.front().at > now) return std::nullopt;
    const Timer timer = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), later);
    heap_.pop_back();
    return timer;
}

}  // namespace cocoon::matching
