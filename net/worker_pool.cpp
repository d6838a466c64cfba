#include "net/worker_pool.hpp"

#include <pthread.h>

#include "core/log.hpp"

namespace cocoon::net {

WorkerPool::WorkerPool(std::string name, std::size_t threads, std::size_t queue_calls_max)
    : name_{std::move(name)}, queue_calls_max_{queue_calls_max} {
    threads_.reserve(threads);
    for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

WorkerPool::~WorkerPool() { stop(); }

bool WorkerPool::submit(std::function<void()> call) {
    {
        const std::lock_guard lock{mutex_};
        if (stopping_ || queue_.size() >= queue_calls_max_) return false;
        queue_.push_back(std::move(call));
    }
    ready_.notify_one();
    return true;
}

void WorkerPool::stop() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    ready_.notify_all();
    for (std::thread& thread : threads_)
        if (thread.joinable()) thread.join();
}

std::size_t WorkerPool::queued() const {
    const std::lock_guard lock{mutex_};
    return queue_.size();
}

std::size_t WorkerPool::busy() const {
    const std::lock_guard lock{mutex_};
    return busy_;
}

void WorkerPool::work() {
    pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
    std::unique_lock lock{mutex_};
    for (;;) {
        ready_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        auto call = std::move(queue_.front());
        queue_.pop_front();
        ++busy_;
        lock.unlock();
        try {
            call();
        } catch (const std::exception& failure) {
            log::error("worker_call_failed", {{"pool", name_}, {"detail", failure.what()}});
        } catch (...) {
            log::error("worker_call_failed", {{"pool", name_}, {"detail", "not a std::exception"}});
        }
        call = nullptr;  // what it holds is released before the thread counts as free
        lock.lock();
        --busy_;
    }
}

}  // namespace cocoon::net
