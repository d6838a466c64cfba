// A closed-loop HTTP load generator on one thread: N keep-alive connections, each sends its next
// request when its answer is whole. What wrk does, with what a market needs besides: an
// Idempotency-Key of its own for each request, API keys spread over the connections, the time of
// the first body byte of a stream. Prints one JSON object.
#include <map>
#include <memory>
#include <random>

#include "bench/http_peer.hpp"

namespace {

using namespace cocoon::bench;

struct Options {
    Endpoint endpoint;
    std::string method = "POST", path = "/", body;
    std::vector<std::string> headers, keys;
    bool idempotent = false;
    std::size_t connections = 1;
    double seconds = 5, warm_up_seconds = 0.5;
};

std::string read_whole(const std::string& path) {
    std::string text;
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) give_up("cannot read " + path);
    char buffer[4096];
    for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, file)) > 0;)
        text.append(buffer, got);
    std::fclose(file);
    return text;
}

Options read_options(int count, char** values) {
    Options options;
    if (count < 2)
        give_up(
            "usage: load_bench URL [--method M] [--body FILE] [--header 'N: V'] [--keys FILE] "
            "[--idempotent] "
            "[--connections N] [--seconds S] [--warm-up S]");
    const std::string url = values[1];
    options.endpoint = Endpoint::parse(url);
    const std::size_t slash = url.find('/', 7);
    if (slash != std::string::npos) options.path = url.substr(slash);
    for (int i = 2; i < count; ++i) {
        const std::string name = values[i];
        if (name == "--idempotent") {
            options.idempotent = true;
            continue;
        }
        if (++i == count) give_up(name + " needs a value");
        const std::string value = values[i];
        if (name == "--method")
            options.method = value;
        else if (name == "--body")
            options.body = read_whole(value);
        else if (name == "--header")
            options.headers.push_back(value);
        else if (name == "--connections")
            options.connections = static_cast<std::size_t>(std::stoul(value));
        else if (name == "--seconds")
            options.seconds = std::stod(value);
        else if (name == "--warm-up")
            options.warm_up_seconds = std::stod(value);
        else if (name == "--keys") {
            const std::string all = read_whole(value);
            for (std::size_t from = 0; from < all.size();) {
                const std::size_t end = std::min(all.find('\n', from), all.size());
                if (end > from) options.keys.push_back(all.substr(from, end - from));
                from = end + 1;
            }
        } else
            give_up("unknown option " + name);
    }
    return options;
}

struct Connection {
    explicit Connection(const Endpoint& endpoint) : peer{endpoint} {}
    Peer peer;
    AnswerReader answer;
    std::string head;  // all but the idempotency key
    std::int64_t sent_at = 0;
    bool first_seen = false;
};

class Load {
public:
    explicit Load(Options options) : options_{std::move(options)}, buffer_(256 << 10) {
        std::random_device random;
        run_ = std::to_string(random()) + "-";
        epoll_ = ::epoll_create1(0);
        for (std::size_t i = 0; i < options_.connections; ++i) {
            auto connection = std::make_unique<Connection>(options_.endpoint);
            connection->head = options_.method + " " + options_.path +
                               " HTTP/1.1\r\nHost: " + options_.endpoint.host + ":" +
                               std::to_string(options_.endpoint.port) + "\r\n";
            for (const std::string& header : options_.headers) connection->head += header + "\r\n";
            if (!options_.keys.empty())
                connection->head +=
                    "Authorization: Bearer " + options_.keys[i % options_.keys.size()] + "\r\n";
            if (!options_.body.empty())
                connection->head += "Content-Type: application/json\r\nContent-Length: " +
                                    std::to_string(options_.body.size()) + "\r\n";
            connections_.push_back(std::move(connection));
            watch(*connections_.back());
        }
    }

    void run() {
        for (const auto& connection : connections_) send(*connection);
        const std::int64_t begin = now_ns();
        counted_from_ = begin + static_cast<std::int64_t>(options_.warm_up_seconds * 1e9);
        const std::int64_t end = counted_from_ + static_cast<std::int64_t>(options_.seconds * 1e9);
        std::vector<epoll_event> events(options_.connections);
        std::int64_t now = begin;
        while (now < end) {
            const int ready =
                ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
            for (int i = 0; i < ready; ++i)
                take(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
            now = now_ns();
        }
        report(static_cast<double>(now - counted_from_) / 1e9);
    }

private:
    void watch(Connection& connection) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.ptr = &connection;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.peer.socket(), &event);
    }

    void send(Connection& connection) {
        request_ = connection.head;
        if (options_.idempotent)
            request_ += "Idempotency-Key: " + run_ + std::to_string(next_++) + "\r\n";
        request_ += "\r\n";
        request_ += options_.body;
        connection.answer.reset();
        connection.first_seen = false;
        connection.sent_at = now_ns();
        connection.peer.send(request_);
    }

    void take(Connection& connection) {
        bool gone = false, done = false;
        const std::string_view bytes = connection.peer.receive(buffer_, gone);
        if (gone) {
            ++reconnects_;
            connection.peer.reopen();
            watch(connection);
            return send(connection);
        }
        if (bytes.empty()) return;
        connection.answer.feed(
            bytes, [](std::string_view) {}, done);
        const std::int64_t now = now_ns();
        const bool counted = connection.sent_at >= counted_from_;
        if (connection.answer.body_begun() && !connection.first_seen) {
            connection.first_seen = true;
            if (counted) first_.add(now - connection.sent_at);
        }
        if (!done) return;
        // A rate counts answers of the window, a latency only those asked within it.
        if (now >= counted_from_) ++statuses_[connection.answer.status()];
        if (counted) whole_.add(now - connection.sent_at);
        if (connection.answer.closes()) {
            connection.peer.reopen();
            watch(connection);
        }
        send(connection);
    }

    void report(double seconds) {
        std::uint64_t good = 0, all = 0;
        std::string statuses;
        for (const auto& [status, count] : statuses_) {
            all += count;
            if (status >= 200 && status < 300) good += count;
            statuses += (statuses.empty() ? "" : ", ") +
                        ("\"" + std::to_string(status) + "\": " + std::to_string(count));
        }
        std::printf(
            "{\"seconds\": %.3f, \"answers\": %llu, \"good\": %llu, \"per_second\": %.1f, "
            "\"p50_us\": %.1f, "
            "\"p90_us\": %.1f, \"p99_us\": %.1f, \"first_p50_us\": %.1f, \"first_p99_us\": %.1f, "
            "\"reconnects\": "
            "%llu, "
            "\"statuses\": {%s}}\n",
            seconds, static_cast<unsigned long long>(all), static_cast<unsigned long long>(good),
            static_cast<double>(good) / seconds, whole_.permille(500), whole_.permille(900),
            whole_.permille(990), first_.permille(500), first_.permille(990),
            static_cast<unsigned long long>(reconnects_), statuses.c_str());
    }

    const Options options_;
    std::vector<char> buffer_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::string run_, request_;
    std::uint64_t next_ = 1, reconnects_ = 0;
    std::int64_t counted_from_ = 0;
    int epoll_ = -1;
    Samples whole_, first_;
    std::map<int, std::uint64_t> statuses_;
};

}  // namespace

int main(int count, char** values) {
    Load{read_options(count, values)}.run();
    return 0;
}
