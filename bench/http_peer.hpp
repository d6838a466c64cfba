// A keep-alive HTTP/1.1 client connection for load generators: one blocking connect, then
// non-blocking bytes; the answer is read incrementally, whole or chunked. Used by load_bench and
// relay_bench on their own epoll thread. Trusts the server it measures: malformed answers end the
// program, not the connection.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace cocoon::bench {

[[noreturn]] inline void give_up(const std::string& why) {
    std::fprintf(stderr, "bench: %s\n", why.c_str());
    std::exit(1);
}

inline std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

struct Endpoint {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;

    // "http://127.0.0.1:8080" with anything behind it.
    static Endpoint parse(std::string_view url) {
        constexpr std::string_view scheme = "http://";
        if (!url.starts_with(scheme)) give_up("only http:// is measured");
        url.remove_prefix(scheme.size());
        url = url.substr(0, url.find('/'));
        const std::size_t colon = url.rfind(':');
        if (colon == std::string_view::npos) give_up("the URL needs a port");
        Endpoint endpoint{std::string{url.substr(0, colon)}, 0};
        const std::string_view port = url.substr(colon + 1);
        std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
        return endpoint;
    }
};

// One answer, fed in pieces.
class AnswerReader {
public:
    int status() const { return status_; }
    bool body_begun() const { return body_begun_; }
    bool closes() const { return closes_; }

    // Calls on_body(piece) for body bytes; how many bytes belonged to this answer. `done` once
    // whole.
    template <class OnBody>
    std::size_t feed(std::string_view bytes, OnBody on_body, bool& done) {
        std::size_t at = 0;
        done = false;
        while (at < bytes.size()) {
            if (state_ == State::head) {
                at += take_head(bytes.substr(at));
            } else if (state_ == State::line) {
                at += take_size_line(bytes.substr(at));
            } else {
                const std::size_t step = std::min<std::size_t>(left_, bytes.size() - at);
                if (state_ == State::body && step > 0) {
                    body_begun_ = true;
                    on_body(bytes.substr(at, step));
                }
                at += step;
                left_ -= step;
                if (left_ == 0) after_piece();
            }
            if (state_ == State::done) {
                done = true;
                return at;
            }
        }
        return at;
    }
    void reset() { *this = AnswerReader{}; }

private:
    enum class State { head, line, body, gap, last_gap, done };

    std::size_t take_head(std::string_view bytes) {
        const std::size_t before = text_.size();
        text_.append(bytes);
        const std::size_t end = text_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
        if (end == std::string::npos) return bytes.size();
        const std::string head = text_.substr(0, end + 2);
        text_.clear();
        read_head(head);
        return end + 4 - before;
    }

    void read_head(const std::string& head) {
        if (head.size() < 12) give_up("not HTTP: " + head);
        status_ = std::atoi(head.c_str() + 9);
        std::string_view rest = std::string_view{head}.substr(head.find("\r\n") + 2);
        left_ = 0;
        while (!rest.empty()) {
            const std::size_t end = rest.find("\r\n");
            field(rest.substr(0, end));
            rest.remove_prefix(end + 2);
        }
        if (chunked_)
            state_ = State::line;
        else
            state_ = left_ == 0 ? State::done : State::body;
    }

    void field(std::string_view line) {
        const auto named = [&](std::string_view name) {
            if (line.size() <= name.size() || line[name.size()] != ':') return false;
            for (std::size_t i = 0; i < name.size(); ++i)
                if ((line[i] | 0x20) != name[i]) return false;
            return true;
        };
        const auto value = [&] {
            return line.substr(line.find_first_not_of(" ", line.find(':') + 1));
        };
        if (named("content-length")) {
            const std::string_view text = value();
            std::from_chars(text.data(), text.data() + text.size(), left_);
        } else if (named("transfer-encoding")) {
            chunked_ = true;
        } else if (named("connection")) {
            closes_ = value() == "close";
        }
    }

    std::size_t take_size_line(std::string_view bytes) {
        const std::size_t end = bytes.find('\n');
        text_.append(bytes.substr(0, end));
        if (end == std::string_view::npos) return bytes.size();
        left_ = 0;
        std::from_chars(text_.data(), text_.data() + text_.size(), left_, 16);
        text_.clear();
        const bool last = left_ == 0;
        if (last) left_ = 2;  // no trailers are sent by what we measure
        state_ = last ? State::last_gap : State::body;
        return end + 1;
    }

    void after_piece() {
        if (state_ == State::last_gap)
            state_ = State::done;
        else if (state_ == State::gap)
            state_ = State::line;
        else if (chunked_)
            state_ = State::gap, left_ = 2;
        else
            state_ = State::done;
    }

    State state_ = State::head;
    std::string text_;
    std::uint64_t left_ = 0;
    int status_ = 0;
    bool chunked_ = false, body_begun_ = false, closes_ = false;
};

class Peer {
public:
    explicit Peer(const Endpoint& endpoint) : endpoint_{endpoint} { open(); }
    ~Peer() { ::close(socket_); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    int socket() const { return socket_; }
    void reopen() {
        ::close(socket_);
        open();
    }

    // Small requests fit the socket's buffer; what does not is waited for.
    void send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent > 0)
                bytes.remove_prefix(static_cast<std::size_t>(sent));
            else if (sent < 0 && errno != EAGAIN && errno != EINTR)
                return;  // the read side will see it
        }
    }

    // Bytes there now; nothing: none yet. `gone` when the server closed.
    std::string_view receive(std::vector<char>& buffer, bool& gone) const {
        const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
        gone = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
        return {buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
    }

private:
    void open() {
        socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(endpoint_.port);
        ::inet_pton(AF_INET, endpoint_.host.c_str(), &address.sin_addr);
        if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
            give_up("cannot connect to " + endpoint_.host + ":" + std::to_string(endpoint_.port));
        const int on = 1;
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL) | O_NONBLOCK);
    }

    const Endpoint endpoint_;
    int socket_ = -1;
};

// Microseconds, kept whole: a run has at most some millions of samples.
class Samples {
public:
    void add(std::int64_t ns) {
        values_.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(ns / 100, UINT32_MAX)));
    }
    std::size_t count() const { return values_.size(); }
    // 0..1000; microseconds.
    double permille(std::size_t which) {
        if (values_.empty()) return 0;
        std::sort(values_.begin(), values_.end());
        return values_[std::min(values_.size() - 1, values_.size() * which / 1000)] / 10.0;
    }

private:
    std::vector<std::uint32_t> values_;  // tenths
};

}  // namespace cocoon::bench
