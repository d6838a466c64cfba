#include "net/event_loop.hpp"

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>

#include "core/ensure.hpp"
#include "core/log.hpp"

namespace cocoon::net {
namespace {

void run_logged(const std::function<void()>& call) {
    try {
        call();
    } catch (const std::exception& failure) {
        log::error("loop_call_failed", {{"detail", failure.what()}});
    }
}

}  // namespace

// Owned by the handler that waits for the timer, so that it ends with the loop at the latest; a
// Timer only refers to it. `timer` is touched on the loop's thread alone.
struct Timer::Pending {
    EventLoop* loop = nullptr;
    std::chrono::steady_clock::time_point at;
    std::atomic<bool> over{false};
    std::function<void()> call;
    std::optional<boost::asio::steady_timer> timer;

    void drop() {
        call = nullptr;
        if (timer) timer->cancel();
    }
};

struct EventLoop::Impl {
    std::mutex mutex;
    std::vector<std::function<void()>> mailbox;
    bool closed = false;
    std::atomic<std::thread::id> thread{};
    std::function<void(int)> on_signal;
    // Last, so that it goes first: handlers it destroys may still post, to no effect.
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
        context.get_executor()};
    std::optional<boost::asio::signal_set> signals;

    void deliver() {
        std::vector<std::function<void()>> calls;
        {
            const std::lock_guard lock{mutex};
            calls.swap(mailbox);
        }
        for (const auto& call : calls) run_logged(call);
    }

    void wait_signal() {
        signals->async_wait([this](boost::system::error_code failure, int signal) {
            if (failure) return;
            run_logged([&] { on_signal(signal); });
            wait_signal();
        });
    }

    static void arm(const std::shared_ptr<Timer::Pending>& pending,
                    boost::asio::io_context& context) {
        if (pending->over) return;
        pending->timer.emplace(context, pending->at);
        pending->timer->async_wait([pending](boost::system::error_code failure) {
            pending->timer.reset();
            auto call = std::move(pending->call);
            if (!failure && !pending->over.exchange(true) && call) run_logged(call);
        });
    }
};

Timer& Timer::operator=(Timer&& other) noexcept {
    if (this != &other) {
        cancel();
        pending_ = std::move(other.pending_);
    }
    return *this;
}

void Timer::cancel() noexcept {
    auto pending = pending_.lock();
    pending_.reset();
    if (!pending || pending->over.exchange(true)) return;
    EventLoop& loop = *pending->loop;
    if (loop.in_loop_thread())
        pending->drop();
    else
        loop.post([pending = std::move(pending)] { pending->drop(); });
}

EventLoop::EventLoop() : impl_{std::make_unique<Impl>()} {}

EventLoop::~EventLoop() {
    std::vector<std::function<void()>> dropped;
    const std::lock_guard lock{impl_->mutex};
    impl_->closed = true;
    dropped.swap(impl_->mailbox);
}

void EventLoop::run() {
    impl_->thread = std::this_thread::get_id();
    for (;;) {
        try {
            impl_->context.run();
            break;
        } catch (const std::exception& failure) {
            log::error("loop_handler_failed", {{"detail", failure.what()}});
        }
    }
    impl_->thread = std::thread::id{};
}

void EventLoop::stop() { impl_->context.stop(); }

void EventLoop::post(std::function<void()> call) {
    Impl& impl = *impl_;
    {
        const std::lock_guard lock{impl.mutex};
        if (impl.closed) return;
        impl.mailbox.push_back(std::move(call));
        if (impl.mailbox.size() > 1) return;  // somebody has already woken the loop
    }
    boost::asio::post(impl.context, [&impl] { impl.deliver(); });
}

Timer EventLoop::call_after(Duration delay, std::function<void()> call) {
    auto pending = std::make_shared<Timer::Pending>();
    pending->loop = this;
    pending->at = std::chrono::steady_clock::now() + std::chrono::microseconds{delay.us};
    pending->call = std::move(call);
    Timer timer;
    timer.pending_ = pending;
    if (in_loop_thread())
        Impl::arm(pending, impl_->context);
    else
        post([pending, &context = impl_->context] { Impl::arm(pending, context); });
    return timer;
}

void EventLoop::on_signals(std::vector<int> signals, std::function<void(int)> call) {
    ENSURE(!impl_->signals);
    impl_->on_signal = std::move(call);
    impl_->signals.emplace(impl_->context);
    for (const int signal : signals) impl_->signals->add(signal);
    impl_->wait_signal();
}

bool EventLoop::in_loop_thread() const noexcept {
    return impl_->thread == std::this_thread::get_id();
}

boost::asio::io_context& EventLoop::context() noexcept { return impl_->context; }

}  // namespace cocoon::net
