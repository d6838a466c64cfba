// What the tests of net/ share: a loop on its own thread, a server in front of it, and a raw socket
// that says exactly what the test says. Blocking reads with a generous limit instead of sleeps.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "net/event_loop.hpp"
#include "net/http_server.hpp"

namespace net_test {

using namespace cocoon;
using namespace cocoon::net;

constexpr int patience_ms = 20'000;  // only ever used up by a failing test

class LoopThread {
public:
    LoopThread() : thread_{[this] { loop.run(); }} {}
    ~LoopThread() {
        loop.stop();
        thread_.join();
    }
    // Runs `call` on the loop and waits for its answer.
    template <class Call>
    auto ask(Call call) {
        std::promise<decltype(call())> answer;
        loop.post([&] {
            if constexpr (std::is_void_v<decltype(call())>) {
                call();
                answer.set_value();
            } else {
                answer.set_value(call());
            }
        });
        return answer.get_future().get();
    }

    EventLoop loop;

private:
    std::thread thread_;
};

// A value another thread will give; get() fails the test when it does not come.
template <class T>
class Eventually {
public:
    void set(T value) {
        const std::lock_guard lock{mutex_};
        value_ = std::move(value);
        ready_.notify_all();
    }
    T get() {
        std::unique_lock lock{mutex_};
        if (!ready_.wait_for(lock, std::chrono::milliseconds{patience_ms},
                             [&] { return value_.has_value(); }))
            throw std::runtime_error{"waited in vain"};
        return *value_;
    }

private:
    std::mutex mutex_;
    std::condition_variable ready_;
    std::optional<T> value_;
};

inline Response plain_error(ErrorCode code, std::string_view) {
    return {
        describe(code).status, {{"Content-Type", "text/plain"}}, std::string{describe(code).name}};
}

// A server on its own loop; gone on the loop's thread.
class TestServer {
public:
    explicit TestServer(HttpHandler handler, HttpServerOptions options = {}) {
        if (!handler.error_response) handler.error_response = plain_error;
        server.emplace(thread.loop, std::move(options), std::move(handler));
    }
    ~TestServer() {
        thread.ask([&] { server.reset(); });
    }
    std::uint16_t port() const { return server->port(); }

    LoopThread thread;
    std::optional<HttpServer> server;
};

class RawClient {
public:
    explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0) {
        socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
        if (receive_buffer_bytes > 0)
            setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes,
                       sizeof receive_buffer_bytes);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error{"cannot connect"};
    }
    ~RawClient() { close(); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    // False when the peer has reset the connection.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    void end_sending() { ::shutdown(socket_, SHUT_WR); }
    void close() {
        if (socket_ >= 0) ::close(socket_);
        socket_ = -1;
    }
    void reset() {
        const linger hard{1, 0};
        setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close();
    }

    // Everything until the peer closes. `was_reset` afterwards says how.
    std::string read_all() {
        while (fill()) {
        }
        return std::exchange(buffer_, {});
    }
    // Up to and including `end`; less only when the peer closed before.
    std::string read_until(std::string_view end) {
        for (;;) {
            const std::size_t at = buffer_.find(end);
            if (at != std::string::npos) return take(at + end.size());
            if (!fill()) return std::exchange(buffer_, {});
        }
    }
    std::string read_exactly(std::size_t count) {
        while (buffer_.size() < count && fill()) {
        }
        return take(std::min(count, buffer_.size()));
    }
    // One answer with Content-Length, or without a body.
    std::string read_answer() {
        std::string answer = read_until("\r\n\r\n");
        const std::size_t at = answer.find("Content-Length: ");
        if (at != std::string::npos) answer += read_exactly(std::stoul(answer.substr(at + 16)));
        return answer;
    }

    bool was_reset = false;

private:
    std::string take(std::size_t count) {
        std::string taken = buffer_.substr(0, count);
        buffer_.erase(0, count);
        return taken;
    }
    bool fill() {
        pollfd wait{socket_, POLLIN, 0};
        if (::poll(&wait, 1, patience_ms) != 1) throw std::runtime_error{"the peer is silent"};
        char bytes[16384];
        const auto got = ::recv(socket_, bytes, sizeof bytes, 0);
        was_reset = got < 0;
        if (got <= 0) return false;
        buffer_.append(bytes, static_cast<std::size_t>(got));
        return true;
    }

    int socket_ = -1;
    std::string buffer_;
};

// "HTTP/1.1 413 …" → 413; 0 when there is no answer.
inline int status_of(std::string_view answer) {
    return answer.size() >= 12 && answer.starts_with("HTTP/1.")
               ? std::stoi(std::string{answer.substr(9, 3)})
               : 0;
}

inline std::string body_of(std::string_view answer) {
    const std::size_t at = answer.find("\r\n\r\n");
    return at == std::string_view::npos ? std::string{} : std::string{answer.substr(at + 4)};
}

}  // namespace net_test
