// The lane: the one writer. Commands come in from any thread through a bounded inbox, are applied
// by one thread and made durable by another, and answered on the I/O thread, one mailbox post per
// batch. What arrives during a commit is the next batch; there is no timer. Knows no command's
// meaning.
//
// Two threads share the Writer as its header allows: the applier prepares batch n+1 and settles,
// the committer only calls commit and resolve. When a batch was not stored, the applier waits for
// nothing in flight, answers commit_failed, and the next prepare loads the state again.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/limits.hpp"
#include "matching/views.hpp"
#include "matching/writer.hpp"
#include "server/metrics.hpp"

namespace cocoon::server {

struct LaneOptions {
    std::size_t inbox_commands_max = limits::lane_inbox_commands_max;
    std::size_t batch_commands_max = limits::lane_batch_commands_max;
    Duration view_interval = milliseconds(50);    // public snapshots are not remade more often
    Duration retry_interval = milliseconds(200);  // between attempts on a broken machine
};

class Lane {
public:
    // Takes the answer; on the thread that runs what `post` is given.
    using Done = std::function<void(matching::Answered)>;

    struct Doors {
        // Runs a call on the I/O thread.
        std::function<void(std::function<void()>)> post;
        // On the I/O thread, for each stored batch in order, before its answers are delivered.
        std::function<void(const matching::Batch&)> stored;
        // On a lane thread, once: another writer took over, or the program's own state is broken.
        std::function<void(const std::string& why)> fenced;
        // Whether this failure means that another process is the writer (then no retry).
        std::function<bool(const std::exception&)> is_fenced;
        // Optional: runs a call when the calling thread has done what it has at hand; at once on
        // any thread but the I/O thread's. Commands that are read together then wake the lane once.
        std::function<void(std::function<void()>)> end_of_turn{};
    };

    // REQUIRES: the writer is loaded. The writer belongs to the lane until stop() has returned.
    Lane(matching::Writer& writer, const Clock& clock, Metrics& metrics, LaneOptions options,
         Doors doors);
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    void start();
    // Any thread. overloaded: the inbox is full; draining: stop() was called. Then `done` is
    // dropped.
    Result<void> submit(matching::Envelope envelope, Done done);
    // The newest published snapshot; never null. Any thread.
    std::shared_ptr<const matching::MarketsView> views() const {
        const std::lock_guard lock{views_mutex_};
        return views_;
    }
    // Takes nothing more, finishes what is in the inbox, joins. Answers may still be in the
    // mailbox.
    void stop();

    std::size_t waiting() const;
    // When the oldest batch now being committed began; 0: none. For /readyz.
    Instant committing_since() const {
        return Instant{committing_since_.load(std::memory_order_relaxed)};
    }

private:
    struct Item {
        matching::Envelope envelope;
        Done done;
    };
    // A batch under construction or in flight.
    struct Work {
        matching::Pending pending;
        std::vector<Done> dones;
        std::optional<matching::SharedBatch> batch{};  // the pending one once it is whole
        // of exactly this batch; null: not remade
        std::shared_ptr<const matching::MarketsView> view{};
        bool merged = false;
    };
    enum class Verdict { none, stored, not_stored, fenced };

    void wake_applier();
    void apply_loop();
    bool wait_for_work(std::vector<Item>& items, bool& tick, Verdict& verdict);
    bool prepare(std::vector<Item> items, bool tick);
    void hand_over();
    void settle(matching::Journal::Outcome outcome);
    std::shared_ptr<const matching::MarketsView> make_views();
    // A book deep enough to take long is shown less often: views take a twentieth of the lane.
    Duration view_pause() const;
    void publish(std::shared_ptr<const matching::MarketsView> views);
    void deliver(std::vector<Done> dones, std::vector<matching::Answered> answers,
                 std::optional<matching::SharedBatch> batch);
    void give_up(const std::string& why);
    bool wait_or_stop(Duration time);
    void commit_loop();
    Verdict commit_until_certain(const matching::SharedBatch& batch);

    matching::Writer& writer_;
    const Clock& clock_;
    Metrics& metrics_;
    const LaneOptions options_;
    const Doors doors_;

    mutable std::mutex mutex_;
    std::condition_variable applier_, committer_;
    std::deque<Item> inbox_;
    std::size_t wake_at_ = SIZE_MAX;  // inbox size at which a sleeping applier wants to be woken
    bool wake_posted_ = false;        // it will be at the end of the turn
    bool stopping_ = false, finished_ = false, broken_ = false;
    const matching::SharedBatch* to_commit_ =
        nullptr;  // the committer's work; it answers with verdict_
    Verdict verdict_ = Verdict::none;
    std::atomic<std::int64_t> committing_since_{0};

    // The applier's own.
    std::optional<Work> in_flight_;
    std::optional<Work> next_;
    matching::Views view_maker_;
    Instant views_made_at_;
    Duration views_took_;
    bool views_stale_ = true;
    bool views_lost_ = false;  // the state was loaded again: every view must be remade
    // Not std::atomic<shared_ptr>: that of g++ 12 unlocks relaxed, a race that TSan reports.
    mutable std::mutex views_mutex_;
    std::shared_ptr<const matching::MarketsView> views_;

    std::thread apply_thread_, commit_thread_;
};

}  // namespace cocoon::server
