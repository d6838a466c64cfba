#include "db/projector.hpp"

#include <chrono>

#include "core/log.hpp"
#include "db/connection.hpp"
#include "db/load.hpp"
#include "db/project.hpp"

namespace cocoon::db {
namespace {

constexpr std::size_t catch_up_entries_max = 2'000;  // entries in one transaction while replaying

std::int64_t monotonic_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

}  // namespace

Projector::Projector(ConnectOptions options, ProjectorLimits limits)
    : options_{std::move(options)}, limits_{limits} {
    options_.application_name += " projector";
    options_.statement_milliseconds = 60'000;  // one of these statements writes thousands of rows
}

Projector::~Projector() = default;

Connection& Projector::connection() {
    if (!connection_ || !connection_->usable()) {
        connection_.reset();
        auto fresh = std::make_unique<Connection>(options_);
        // A write in doubt is settled by the cursor: it is there or it is not.
        advance(projection_sequence(*fresh));
        connection_ = std::move(fresh);
    }
    return *connection_;
}

void Projector::advance(std::uint64_t sequence) {
    const std::lock_guard lock{mutex_};
    sequence_.store(sequence, std::memory_order_release);
    written_.notify_all();
}

void Projector::catch_up() {
    Connection& live = connection();
    advance(projection_sequence(live));
    if (journal_sequence(live) <= sequence()) return;
    std::unique_ptr<matching::State> state;
    {
        Transaction snapshot{live, Transaction::Kind::read_only_snapshot};
        live.execute("SET LOCAL statement_timeout = 0");
        state = restore_state(live);
    }
    log::info("projector_catches_up", {{"sequence", sequence()}});
    while (true) {
        const matching::Batch batch = replay_next(live, *state, catch_up_entries_max);
        if (batch.entries.empty()) return;
        const matching::Batch* batches[] = {&batch};
        write(batches);
        state->forget(batch.entries.back().at);
    }
}

void Projector::write(std::span<const matching::Batch* const> batches) {
    const std::int64_t began = monotonic_us();
    Connection& live = connection();
    Projected projected;
    {
        Transaction transaction{live};
        live.execute("SET LOCAL plan_cache_mode = force_generic_plan");  // else thousands of values
                                                                         // are planned with
        projected = project(live, batches, sequence());
        transaction.commit();
    }
    advance(projected.sequence);
    const std::lock_guard lock{mutex_};
    totals_.transactions += 1;
    totals_.rows_written += projected.rows;
    totals_.newest_transaction = {monotonic_us() - began};
}

Duration Projector::oldest_age() const {
    const Queued* oldest = !taken_.empty()   ? &taken_.front()
                           : !queue_.empty() ? &queue_.front()
                                             : nullptr;
    return {oldest ? monotonic_us() - oldest->queued_us : 0};
}

bool Projector::has_room() const {
    const bool behind = writing_ && oldest_age() > limits_.behind_max;
    return !behind && queue_entries_ < limits_.queue_entries_max;
}

void Projector::enqueue(const matching::SharedBatch& batch, bool replayed) {
    std::unique_lock lock{mutex_};
    if (!replayed) room_.wait(lock, [&] { return stopped_ || has_room(); });
    queue_entries_ += batch->entries.size();
    queue_.push_back({batch, monotonic_us()});
    arrived_.notify_all();
}

// Batches that arrive together are written together; nobody who waits for one waits for this.
void Projector::gather(std::unique_lock<std::mutex>& lock, Duration patience) {
    const std::int64_t rest_us = std::min(limits_.gather, patience).us - oldest_age().us;
    arrived_.wait_for(lock, std::chrono::microseconds{rest_us}, [&] {
        return stopped_ || wanted_ > sequence_.load(std::memory_order_relaxed) ||
               queue_entries_ >= limits_.write_entries_max;
    });
}

// Takes from the queue what fits into one transaction. What was taken and could not be written
// stays in taken_ and is tried again.
bool Projector::take(Duration patience) {
    std::unique_lock lock{mutex_};
    if (!taken_.empty()) return writing_ = true;
    if (!arrived_.wait_for(lock, std::chrono::microseconds{patience.us},
                           [&] { return stopped_ || !queue_.empty(); }) ||
        queue_.empty())
        return false;
    gather(lock, patience);
    std::size_t entries = 0;
    while (!queue_.empty() && (taken_.empty() || entries + queue_.front().batch->entries.size() <=
                                                     limits_.write_entries_max)) {
        entries += queue_.front().batch->entries.size();
        taken_.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    return writing_ = true;
}

// The batches of taken_ that continue at the cursor, up to a gap. Those already written are left
// out.
std::vector<const matching::Batch*> Projector::continuing(bool& gap) const {
    std::vector<const matching::Batch*> batches;
    std::uint64_t position = sequence();
    gap = false;
    for (const Queued& queued : taken_) {
        if (queued.batch->last() <= position) continue;
        if (queued.batch->previous > position) {
            gap = true;
            break;
        }
        batches.push_back(&*queued.batch);
        position = queued.batch->last();
    }
    return batches;
}

void Projector::write_taken() {
    connection();  // a new one re-reads the cursor
    bool gap = false;
    try {
        if (const auto batches = continuing(gap); !batches.empty()) write(batches);
        if (gap) catch_up();
    } catch (const CursorMoved&) {
        catch_up();
    }
}

void Projector::let_go(bool written) {
    const std::lock_guard lock{mutex_};
    writing_ = false;
    if (written) {
        for (const Queued& queued : taken_) queue_entries_ -= queued.batch->entries.size();
        taken_.clear();
    }
    room_.notify_all();
}

bool Projector::step(Duration patience) {
    if (!take(patience)) return false;
    const std::uint64_t before = sequence();
    try {
        write_taken();
    } catch (...) {
        let_go(false);
        throw;
    }
    let_go(true);
    return sequence() != before;
}

bool Projector::wait_for(std::uint64_t sequence, Duration patience) {
    if (this->sequence() >= sequence) return true;
    std::unique_lock lock{mutex_};
    if (sequence > wanted_) {
        wanted_ = sequence;
        arrived_.notify_all();
    }
    written_.wait_for(lock, std::chrono::microseconds{patience.us},
                      [&] { return stopped_ || this->sequence() >= sequence; });
    return this->sequence() >= sequence;
}

void Projector::stop() {
    const std::lock_guard lock{mutex_};
    stopped_ = true;
    arrived_.notify_all();
    written_.notify_all();
    room_.notify_all();
}

Projector::Lag Projector::lag() const {
    const std::lock_guard lock{mutex_};
    Lag lag = totals_;
    lag.entries = queue_entries_;
    lag.oldest = oldest_age();
    return lag;
}

}  // namespace cocoon::db
