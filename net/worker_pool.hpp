// A fixed number of threads and a bounded queue for what may block: database reads, signatures,
// outbound HTTP. Called from any thread. Knows nothing of sockets.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/limits.hpp"

namespace cocoon::net {

class WorkerPool {
public:
    // `name` shows in the thread list and in logs (at most 15 bytes are shown).
    explicit WorkerPool(std::string name, std::size_t threads,
                        std::size_t queue_calls_max = limits::worker_queue_calls_max);
    ~WorkerPool();  // stop()
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    // False = the queue is full or the pool is stopping: answer `overloaded`. An exception out of
    // `call` is logged and ends only that call.
    [[nodiscard]] bool submit(std::function<void()> call);
    // Takes nothing more, finishes what is queued, joins. May be called twice.
    // REQUIRES: not one of the pool's threads.
    void stop();

    std::size_t queued() const;
    std::size_t busy() const;

private:
    void work();

    const std::string name_;
    const std::size_t queue_calls_max_;
    mutable std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<std::function<void()>> queue_;
    std::size_t busy_ = 0;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace cocoon::net
