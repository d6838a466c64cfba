// Keeps the tables that people and queries read (the projections) in step with the journal. The
// lane hands over each stored batch; one background thread calls step(). Larger transactions than
// the journal's, last value wins, the cursor in the same transaction: the projections at their
// cursor are exactly the state at that sequence. Knows no rule of the market.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "db/pool.hpp"
#include "matching/journal.hpp"

namespace cocoon::db {

class Connection;

struct ProjectorLimits {
    std::size_t queue_entries_max = 50'000;  // then enqueue() waits: backpressure on the lane
    // And it waits while something older than this is being written. The lane then makes no more
    // than is written: what is projected is less than a second behind as long as a transaction
    // takes a fraction of one. Nothing being written (a broken connection, no step()) holds nobody.
    Duration behind_max = milliseconds(250);
    std::size_t write_entries_max = 4'000;  // journal entries in one transaction
    Duration gather = milliseconds(50);     // lets batches gather, unless a reader waits for one
};

class Projector {
public:
    explicit Projector(ConnectOptions options, ProjectorLimits limits = {});
    ~Projector();

    // Replays what the journal has and the projections have not. Called before the lane starts,
    // with nothing queued; also what step() does by itself if a gap appears. Throws Failure.
    void catch_up();

    // From PgJournal's observer, lane thread. Waits while the queue is full unless `replayed`.
    void enqueue(const matching::SharedBatch& batch, bool replayed = false);

    // Waits up to `patience` for something to write, then writes what is queued in one transaction.
    // True if the cursor moved. Throws Failure when the database is gone: call again later, nothing
    // is lost.
    bool step(Duration patience = milliseconds(200));

    // Read your writes: true once the projections include `sequence`. Any thread.
    bool wait_for(std::uint64_t sequence, Duration patience);

    std::uint64_t sequence() const { return sequence_.load(std::memory_order_acquire); }
    // Wakes everyone who waits; later calls of enqueue and wait_for return at once.
    void stop();

    struct Lag {
        std::uint64_t entries = 0;  // queued, not yet written
        Duration oldest;            // age of the oldest of them
        std::uint64_t transactions = 0, rows_written = 0;
        Duration newest_transaction;  // how long it took
    };
    Lag lag() const;

private:
    struct Queued {
        matching::SharedBatch batch;
        std::int64_t queued_us = 0;
    };
    // All three REQUIRE mutex_.
    Duration oldest_age() const;
    bool has_room() const;
    void gather(std::unique_lock<std::mutex>& lock, Duration patience);

    bool take(Duration patience);
    void write_taken();
    void let_go(bool written);
    std::vector<const matching::Batch*> continuing(bool& gap) const;
    void write(std::span<const matching::Batch* const> batches);
    void advance(std::uint64_t sequence);
    Connection& connection();

    ConnectOptions options_;
    ProjectorLimits limits_;
    std::unique_ptr<Connection> connection_;

    mutable std::mutex mutex_;
    std::condition_variable arrived_, written_, room_;
    std::deque<Queued> queue_;
    std::vector<Queued> taken_;      // being written; only step()'s thread changes it
    std::size_t queue_entries_ = 0;  // of both
    bool writing_ = false;           // step() is at work on taken_
    std::uint64_t wanted_ = 0;       // highest sequence that somebody waits for
    bool stopped_ = false;
    std::atomic<std::uint64_t> sequence_{0};
    Lag totals_;
};

}  // namespace cocoon::db
