// The one I/O thread of a program: runs sockets, timers and everything posted to it, in order.
// Called by server/, node/, client/ and the rest of net/. One thread calls run(); post(),
// call_after() and stop() may be called from any thread. Knows nothing of HTTP. Asio stays behind
// the pimpl.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/time.hpp"

namespace boost::asio {
class io_context;
}

namespace cocoon::net {

// A call that is still to come. Destroying or cancelling it drops the call: for certain when done
// on the loop's thread; from another thread the call may be running at that very moment.
class Timer {
public:
    Timer() = default;
    Timer(Timer&&) noexcept = default;
    Timer& operator=(Timer&& other) noexcept;
    ~Timer() { cancel(); }

    void cancel() noexcept;

private:
    friend class EventLoop;
    struct Pending;
    std::weak_ptr<Pending> pending_;
};

class EventLoop {
public:
    EventLoop();
    ~EventLoop();
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    // Runs until stop(), also while there is nothing to do. An exception out of a posted call is
    // logged and the loop goes on: one broken call must not take every connection with it.
    void run();
    // run() returns soon; what is still posted is not run. Any thread; also before run(). Final.
    void stop();

    // Runs `call` on the loop's thread, in posting order. Cheap: a burst of posts is one wake-up.
    void post(std::function<void()> call);
    // Runs `call` on the loop's thread after `delay`, unless the Timer is cancelled or destroyed
    // first.
    [[nodiscard]] Timer call_after(Duration delay, std::function<void()> call);
    // Calls `call(signal)` on the loop's thread for each arrival of one of `signals` (SIGTERM,
    // SIGINT…). Once per loop, before run().
    void on_signals(std::vector<int> signals, std::function<void(int)> call);

    // Whether the calling thread is inside run().
    bool in_loop_thread() const noexcept;

    // For net/ only.
    boost::asio::io_context& context() noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace cocoon::net
