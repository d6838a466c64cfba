#include "net/event_loop.hpp"

#include <csignal>

#include "net/worker_pool.hpp"
#include "tests/catch.hpp"
#include "tests/net/support.hpp"

using namespace net_test;

TEST_CASE("posted calls run in order, on the loop's thread, whatever they throw") {
    LoopThread thread;
    std::vector<int> order;
    for (int i = 0; i < 1000; ++i)
        thread.loop.post([&order, i] {
            order.push_back(i);
            if (i == 500) throw std::runtime_error{"one broken call"};
        });
    CHECK(thread.ask([&] { return thread.loop.in_loop_thread(); }));
    CHECK_FALSE(thread.loop.in_loop_thread());
    REQUIRE(order.size() == 1000);
    for (int i = 0; i < 1000; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("timers fire in order of time; cancelled, destroyed or replaced ones never") {
    LoopThread thread;
    std::vector<int> fired;
    Eventually<bool> last;
    std::vector<Timer> timers;
    thread.ask([&] {
        timers.push_back(thread.loop.call_after(milliseconds(20), [&] { fired.push_back(2); }));
        timers.push_back(thread.loop.call_after(milliseconds(10), [&] { fired.push_back(1); }));
        timers.push_back(thread.loop.call_after(milliseconds(5), [&] { fired.push_back(-1); }));
        timers.back().cancel();
        {
            const Timer dropped =
                thread.loop.call_after(milliseconds(5), [&] { fired.push_back(-2); });
        }
        Timer replaced = thread.loop.call_after(milliseconds(5), [&] { fired.push_back(-3); });
        replaced = thread.loop.call_after(milliseconds(15), [&] { fired.push_back(15); });
        timers.push_back(std::move(replaced));
    });
    // Of another thread, and the last to be due however long that thread was kept waiting.
    Timer outside = thread.loop.call_after(milliseconds(30), [&] {
        fired.push_back(3);
        last.set(true);
    });
    Timer never = thread.loop.call_after(seconds(1000), [&] { fired.push_back(-4); });
    never.cancel();
    last.get();
    CHECK(thread.ask([&] { return fired; }) == std::vector<int>{1, 15, 2, 3});
}

TEST_CASE("a timer may outlive its loop") {
    Timer timer;
    {
        EventLoop loop;
        timer = loop.call_after(seconds(1000), [] {});
    }
    timer.cancel();
}

TEST_CASE("signals reach the loop") {
    EventLoop loop;
    int seen = 0;
    loop.on_signals({SIGUSR1}, [&](int signal) {
        seen = signal;
        loop.stop();
    });
    loop.post([] { ::raise(SIGUSR1); });
    loop.run();
    CHECK(seen == SIGUSR1);
}

TEST_CASE("a worker pool is bounded, survives exceptions, and finishes what it took") {
    WorkerPool pool{"test", 2, 4};
    std::promise<void> gate;
    const std::shared_future<void> open = gate.get_future().share();
    std::atomic<int> started{0};
    std::atomic<int> done{0};
    const auto wait = [&] {
        ++started;
        open.wait();
        ++done;
    };
    REQUIRE(pool.submit(wait));
    REQUIRE(pool.submit(wait));
    while (started < 2) std::this_thread::yield();
    CHECK(pool.busy() == 2);
    for (int i = 0; i < 4; ++i)
        REQUIRE(pool.submit([&, i] {
            ++done;
            if (i % 2 == 0) throw std::runtime_error{"broken call"};
        }));
    CHECK(pool.queued() == 4);
    CHECK_FALSE(pool.submit(wait));
    gate.set_value();
    pool.stop();
    pool.stop();
    CHECK(done == 6);
    CHECK_FALSE(pool.submit(wait));
}
