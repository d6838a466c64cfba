// What the relay costs. One process is both ends: a scripted node that answers with a stream of
// chunks of fixed size, and consumers that read it, each chunk stamped when it is made and when it
// is read.
//   relay   node -> WebSocket -> cocoon-market -> HTTP chunks -> consumer, with jobs placed, credit
//   kept,
//           every byte hashed, a signed receipt and a durable capture at the end of every stream
//   direct  the same producer behind our own HTTP server, read by the same consumer: the anchor
//   supply  only holds nodes with offers in the book, for the placing figures
// The producer runs on the loop's thread, consumers on the main thread; pin the process to one
// core. The chunks are random bytes in chunked-OHTTP framing: what is measured never looks inside.
#include <sched.h>

#include <csignal>
#include <cstring>
#include <deque>
#include <map>
#include <thread>

#include "bench/scripted_node.hpp"
#include "client/wire.hpp"
#include "core/log.hpp"
#include "net/http_server.hpp"
#include "sealing/ohttp.hpp"
#include "sealing/receipt.hpp"

namespace {

using namespace cocoon;
using namespace cocoon::bench;

constexpr std::size_t nonce_bytes = 16;    // response nonce of AES-128-GCM (RFC 9458 §4.4)
constexpr std::size_t final_bytes = 17;    // a zero length and a tag
constexpr std::int64_t price = 1'000'000;  // one nanoTON a token

struct Options {
    std::string mode, url, token_file, key_file, market = "inference:bench";
    std::size_t consumers = 64, chunk_bytes = 200, chunks = 2'000, nodes = 1, offers = 1;
    std::int64_t pace_us = 0, slots = 4'096;
    double seconds = 3, warm_up_seconds = 1;
    int cpu = -1;
};

std::vector<std::string> lines_of(const std::string& path) {
    std::vector<std::string> lines;
    std::FILE* file = std::fopen(path.c_str(), "r");
    if (file == nullptr) give_up("cannot read " + path);
    char line[512];
    while (std::fgets(line, sizeof line, file) != nullptr) {
        line[std::strcspn(line, "\n")] = 0;
        if (*line != 0) lines.emplace_back(line);
    }
    std::fclose(file);
    return lines;
}

Options read_options(int count, char** values) {
    if (count < 2)
        give_up(
            "usage: relay_bench relay|direct|supply [--market-url U] [--tokens FILE] [--keys FILE] "
            "[--market NAME] "
            "[--consumers N] [--chunk-bytes N] [--chunks N] [--pace-us N] [--seconds S] [--cpu N] "
            "[--offers N] [--slots N]");
    Options options;
    options.mode = values[1];
    std::map<std::string, std::function<void(const std::string&)>> known{
        {"--market-url", [&](const std::string& v) { options.url = v; }},
        {"--tokens", [&](const std::string& v) { options.token_file = v; }},
        {"--keys", [&](const std::string& v) { options.key_file = v; }},
        {"--market", [&](const std::string& v) { options.market = v; }},
        {"--consumers", [&](const std::string& v) { options.consumers = std::stoul(v); }},
        {"--chunk-bytes", [&](const std::string& v) { options.chunk_bytes = std::stoul(v); }},
        {"--chunks", [&](const std::string& v) { options.chunks = std::stoul(v); }},
        {"--pace-us", [&](const std::string& v) { options.pace_us = std::stoll(v); }},
        {"--seconds", [&](const std::string& v) { options.seconds = std::stod(v); }},
        {"--cpu", [&](const std::string& v) { options.cpu = std::stoi(v); }},
        {"--offers", [&](const std::string& v) { options.offers = std::stoul(v); }},
        {"--slots", [&](const std::string& v) { options.slots = std::stoll(v); }},
    };
    for (int i = 2; i + 1 < count; i += 2) {
        const auto found = known.find(values[i]);
        if (found == known.end()) give_up(std::string{"unknown option "} + values[i]);
        found->second(values[i + 1]);
    }
    if (options.chunk_bytes < 66 || options.chunk_bytes > 8'000)
        give_up("--chunk-bytes must be 66..8000");
    return options;
}

// ---- Making chunks -----------------------------------------------------------------------------

// One stream that is being answered.
struct Production {
    std::function<bool(std::string)> put;  // false: full, call again after wake()
    std::function<void()> end;
    std::size_t sent = 0;
    std::int64_t credit = INT64_MAX;
    bool begun = false, full = false;
    std::int64_t due_ns = 0;
    net::Timer timer;
};

class Producer {
public:
    Producer(net::EventLoop& loop, const Options& options)
        : loop_{loop}, options_{options}, filler_(options.chunk_bytes, 'x') {
        const std::size_t payload = options.chunk_bytes - 2;
        filler_[0] = static_cast<char>(0x40 | payload >> 8);  // two-byte length (RFC 9000 §16)
        filler_[1] = static_cast<char>(payload & 0xff);
    }

    void add(std::shared_ptr<Production> production) {
        if (options_.pace_us == 0) {
            running_.push_back(std::move(production));
            return pump_soon();
        }
        // Spread over one period, as independent streams are.
        production->due_ns = now_ns() + (spread_++ * 7919 % 1000) * options_.pace_us;
        pace(production);
    }
    void wake(const std::shared_ptr<Production>& production) {
        production->full = false;
        pump_soon();
    }
    void wake_all() {
        for (const auto& production : running_) production->full = false;
        pump_soon();
    }

private:
    // Whether the stream can go on at once.
    bool step(Production& production) {
        if (!production.begun) {
            production.full = !production.put(std::string(nonce_bytes, 'n'));
            production.begun = !production.full;
            return production.begun;
        }
        if (production.sent == options_.chunks) {
            production.full = !production.put(std::string(final_bytes, '\0'));
            if (production.full) return false;
            ++production.sent;
            production.end();
            return false;
        }
        if (production.credit < static_cast<std::int64_t>(options_.chunk_bytes)) return false;
        std::string chunk = filler_;
        const std::int64_t stamp = now_ns();
        std::memcpy(chunk.data() + 2, &stamp, sizeof stamp);
        if (!production.put(std::move(chunk))) {
            production.full = true;
            return false;
        }
        production.credit -= static_cast<std::int64_t>(options_.chunk_bytes);
        ++production.sent;
        return true;
    }
    bool ended(const Production& production) const { return production.sent > options_.chunks; }

    void pump_soon() {
        if (posted_) return;
        posted_ = true;
        loop_.post([this] { pump(); });
    }
    // A chunk of each stream in turn, as tokens of independent answers come: nobody can gather
    // them.
    void pump() {
        posted_ = false;
        bool more = false;
        for (const auto& production : running_)
            if (!production->full && step(*production)) more = true;
        std::erase_if(running_, [this](const auto& production) { return ended(*production); });
        if (more) pump_soon();
    }

    void pace(const std::shared_ptr<Production>& production) {
        const std::int64_t wait_us =
            std::max<std::int64_t>(0, (production->due_ns - now_ns()) / 1'000);
        production->timer = loop_.call_after(Duration{wait_us}, [this, production] {
            step(*production);
            production->due_ns += options_.pace_us * 1'000;
            if (!ended(*production)) return pace(production);
            loop_.post([production] { production->timer.cancel(); });
        });
    }

    net::EventLoop& loop_;
    const Options& options_;
    std::string filler_;
    std::vector<std::shared_ptr<Production>> running_;
    std::int64_t spread_ = 0;
    bool posted_ = false;
};

// ---- The node's end ----------------------------------------------------------------------------

class RelayNode {
public:
    RelayNode(net::EventLoop& loop, Producer& producer, ScriptedNode& node, const Options& options)
        : producer_{producer}, node_{node}, options_{options} {
        node_.connect(loop, [this](std::string_view bytes, bool binary) { take(bytes, binary); });
    }
    bool welcomed() const { return welcomed_; }

private:
    struct Stream {
        node::OpenFrame open;
        std::shared_ptr<Production> production;
        sealing::Sha256 request, response;
    };

    void take(std::string_view bytes, bool binary) {
        if (!binary) return take_control(bytes);
        const node::BinaryFrame frame = must(node::parse_binary(bytes), "frame");
        const auto found = streams_.find(frame.stream);
        if (found == streams_.end()) return;
        Stream& stream = *found->second;
        switch (frame.type) {
            case node::FrameType::request_data:
                return stream.request.update(as_bytes(frame.payload));
            case node::FrameType::request_end: return begin(found->second);
            case node::FrameType::credit:
                if (!stream.production) return;
                stream.production->credit += frame.credit;
                return producer_.wake(stream.production);
            case node::FrameType::cancel:
                node_.socket().send_text(
                    node::failed_frame({frame.stream, "upstream_failed", "cancelled", false, ""}));
                streams_.erase(found);
                return;
            default: give_up("a frame that no market sends");
        }
    }
    void take_control(std::string_view text) {
        auto control = must(node::parse_control(text), "control");
        if (const auto* welcome = std::get_if<node::WelcomeFrame>(&control)) {
            window_bytes_ = static_cast<std::int64_t>(welcome->window_bytes);
            node_.socket().on_drained([this] {
                send_receipts();
                producer_.wake_all();
            });
            welcomed_ = true;
        }
        if (auto* open = std::get_if<node::OpenFrame>(&control)) {
            const auto stream = std::make_shared<Stream>();
            stream->open = std::move(*open);
            streams_[stream->open.stream] = stream;
        }
    }

    void begin(const std::shared_ptr<Stream>& stream) {
        const auto production = std::make_shared<Production>();
        production->credit = window_bytes_ - static_cast<std::int64_t>(nonce_bytes + final_bytes);
        // The production dies with the stream: it must not own it.
        const std::weak_ptr<Stream> weak = stream;
        production->put = [this, weak](std::string bytes) {
            const auto alive = weak.lock();
            if (!alive) return true;
            if (!node_.socket().send_binary(
                    node::binary_frame(node::FrameType::response_data, alive->open.stream, bytes)))
                return false;
            alive->response.update(as_bytes(bytes));
            return true;
        };
        production->end = [this, weak] {
            if (const auto alive = weak.lock()) end(*alive);
        };
        stream->production = production;
        producer_.add(production);
    }

    void end(Stream& stream) {
        sealing::JobReceipt receipt;
        receipt.receipt_id = receipt.job = stream.open.job;
        receipt.request = stream.open.request;
        receipt.node = node_.id();
        receipt.market = stream.open.market;
        receipt.model = stream.open.market.substr(stream.open.market.find(':') + 1);
        receipt.prices = stream.open.price;
        receipt.usage.prompt = 1;
        receipt.usage.completion = static_cast<std::int64_t>(options_.chunks);
        receipt.usage.requests = 1;
        receipt.cost = must(sealing::cost_of(receipt.prices, receipt.usage), "cost");
        receipt.sealed_request_sha256 = stream.request.finish();
        receipt.sealed_response_sha256 = stream.response.finish();
        receipt.endpoint = "/v1/chat/completions";
        receipt.method = "POST";
        receipt.served_at = Instant{SystemClock{}.now().unix_seconds() * 1'000'000};
        const auto keys = node_.keys();
        const std::string document = must(
            sealing::sign_receipt(receipt, keys->keyset, keys->receipt_key_id, keys->receipt_key),
            "receipt");
        const std::uint64_t number = stream.open.stream;
        receipts_.push_back(node::binary_frame(node::FrameType::response_end, number, document));
        send_receipts();
        streams_.erase(number);
    }
    void send_receipts() {
        while (!receipts_.empty() && node_.socket().send_binary(receipts_.front()))
            receipts_.pop_front();
    }

    Producer& producer_;
    ScriptedNode& node_;
    const Options& options_;
    std::int64_t window_bytes_ = 0;
    std::map<std::uint64_t, std::shared_ptr<Stream>> streams_;
    std::deque<std::string> receipts_;  // that had no room
    std::atomic<bool> welcomed_{false};
};

// ---- The consumers' end ------------------------------------------------------------------------

struct Consumer {
    explicit Consumer(const Endpoint& endpoint) : peer{endpoint} {}
    Peer peer;
    AnswerReader answer;
    bool placing = false;
    std::string key, body, record;
    std::size_t nonce_left = 0;
    bool final_seen = false;
    std::uint64_t number = 0;
};

class Consumers {
public:
    // `sealed`: what is sent as the sealed request; empty: direct.
    Consumers(const Options& options, const Endpoint& endpoint, std::vector<std::string> keys,
              std::string sealed)
        : options_{options}, sealed_{std::move(sealed)}, buffer_(256 << 10) {
        epoll_ = ::epoll_create1(0);
        run_ = to_hex(sealing::random_bytes(6));
        for (std::size_t i = 0; i < options.consumers; ++i) {
            consumers_.push_back(std::make_unique<Consumer>(endpoint));
            if (!keys.empty()) consumers_.back()->key = keys[i % keys.size()];
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.ptr = consumers_.back().get();
            ::epoll_ctl(epoll_, EPOLL_CTL_ADD, consumers_.back()->peer.socket(), &event);
        }
    }

    void run() {
        for (const auto& consumer : consumers_) next(*consumer);
        counted_from_ = now_ns() + static_cast<std::int64_t>(options_.warm_up_seconds * 1e9);
        const std::int64_t end = counted_from_ + static_cast<std::int64_t>(options_.seconds * 1e9);
        std::vector<epoll_event> events(consumers_.size());
        while (now_ns() < end) {
            const int ready =
                ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
            for (int i = 0; i < ready; ++i)
                take(*static_cast<Consumer*>(events[static_cast<std::size_t>(i)].data.ptr));
        }
        const double seconds = static_cast<double>(now_ns() - counted_from_) / 1e9;
        std::printf(
            "{\"seconds\": %.3f, \"chunks_per_second\": %.1f, \"streams\": %llu, \"p50_us\": %.1f, "
            "\"p90_us\": %.1f, "
            "\"p99_us\": %.1f, \"refused\": %llu, \"cut\": %llu}\n",
            seconds, static_cast<double>(chunks_) / seconds,
            static_cast<unsigned long long>(streams_), latency_.permille(500),
            latency_.permille(900), latency_.permille(990),
            static_cast<unsigned long long>(refused_), static_cast<unsigned long long>(cut_));
    }

private:
    void next(Consumer& consumer) {
        consumer.answer.reset();
        consumer.body.clear();
        if (sealed_.empty()) {
            begin_reading(consumer);
            return consumer.peer.send("GET /stream HTTP/1.1\r\nHost: bench\r\n\r\n");
        }
        consumer.placing = true;
        const std::string body = R"({"market":")" + options_.market +
                                 R"(","quantity":{"prompt_tokens":1,"completion_tokens":)" +
                                 std::to_string(options_.chunks) +
                                 R"(,"requests":1},"constraints":{"tiers":["simulated"]},)" +
                                 R"("time_in_force":"immediate","job_seconds":600})";
        consumer.peer.send("POST /v1/requests HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " +
                           consumer.key + "\r\nIdempotency-Key: " + run_ + std::to_string(next_++) +
                           "\r\nContent-Type: application/json\r\nContent-Length: " +
                           std::to_string(body.size()) + "\r\n\r\n" + body);
    }
    static void begin_reading(Consumer& consumer) {
        consumer.placing = false;
        consumer.nonce_left = nonce_bytes;
        consumer.record.clear();
        consumer.final_seen = false;
    }

    void exchange(Consumer& consumer) {
        const auto answer = must(sealing::Json::parse(consumer.body), "placed");
        const client::Job job = must(client::parse_match(answer), "match").job;
        const std::string terms = client::terms_document(job, job.quantity);
        consumer.answer.reset();
        begin_reading(consumer);
        consumer.peer.send(
            "POST /v1/jobs/" + job.id.text() +
            "/exchange HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer " + consumer.key +
            "\r\nContent-Type: message/ohttp-chunked-req\r\nCocoon-Fencing-Token: " +
            job.fencing_token + "\r\nCocoon-Terms: " + to_base64url(as_bytes(terms)) +
            "\r\nContent-Length: " + std::to_string(sealed_.size()) + "\r\n\r\n" + sealed_);
    }

    void take(Consumer& consumer) {
        bool gone = false, done = false;
        const std::string_view bytes = consumer.peer.receive(buffer_, gone);
        if (gone) give_up("a stream was cut: " + consumer.body);
        if (bytes.empty()) return;
        const std::int64_t now = now_ns();
        consumer.answer.feed(
            bytes,
            [&](std::string_view piece) {
                if (consumer.placing || consumer.answer.status() != 200)
                    consumer.body.append(piece);
                else
                    read(consumer, piece, now);
            },
            done);
        if (!done) return;
        if (consumer.placing && consumer.answer.status() == 201) return exchange(consumer);
        if (consumer.placing || consumer.answer.status() != 200) {
            if (++refused_ > 10'000) give_up("refused: " + consumer.body);
            return next(consumer);
        }
        if (!consumer.final_seen) ++cut_;
        if (now >= counted_from_) ++streams_;
        next(consumer);
    }

    void read(Consumer& consumer, std::string_view bytes, std::int64_t now) {
        const std::size_t skipped = std::min(consumer.nonce_left, bytes.size());
        consumer.nonce_left -= skipped;
        bytes.remove_prefix(skipped);
        while (!bytes.empty() && !consumer.final_seen) {
            if (consumer.record.empty() && bytes.front() == 0) {
                consumer.final_seen = true;
                return;
            }
            const std::size_t step =
                std::min(options_.chunk_bytes - consumer.record.size(), bytes.size());
            consumer.record.append(bytes.substr(0, step));
            bytes.remove_prefix(step);
            if (consumer.record.size() < options_.chunk_bytes) return;
            std::int64_t stamp = 0;
            std::memcpy(&stamp, consumer.record.data() + 2, sizeof stamp);
            consumer.record.clear();
            if (now < counted_from_) continue;
            ++chunks_;
            latency_.add(now - stamp);
        }
    }

    const Options& options_;
    const std::string sealed_;
    std::vector<char> buffer_;
    std::vector<std::unique_ptr<Consumer>> consumers_;
    std::string run_;
    std::uint64_t next_ = 1, chunks_ = 0, streams_ = 0, refused_ = 0, cut_ = 0;
    std::int64_t counted_from_ = 0;
    int epoll_ = -1;
    Samples latency_;
};

// ---- The three modes ---------------------------------------------------------------------------

std::string sealed_request(const sealing::ohttp::KeyConfig& config) {
    auto sealer = must(sealing::ohttp::ChunkedRequestSealer::start(config), "seal");
    const Bytes first = must(sealer.seal(as_bytes(std::string(200, 'p'))), "seal");
    const Bytes last = must(sealer.finish(), "seal");
    return std::string{as_text(first)}.append(as_text(last));
}

int relay(const Options& options) {
    net::EventLoop loop;
    Producer producer{loop, options};
    ScriptedNode node{options.url, lines_of(options.token_file).front(), "relay-bench"};
    node.offer(options.market, options.slots, price);
    RelayNode relay_node{loop, producer, node, options};
    std::thread thread{[&] { loop.run(); }};
    while (!relay_node.welcomed()) std::this_thread::yield();
    Consumers consumers{options, Endpoint::parse(options.url), lines_of(options.key_file),
                        sealed_request(node.keys()->keyset.sealing_keys.front().config)};
    consumers.run();
    std::fflush(stdout);
    std::_Exit(0);  // streams are open; the market sees a node and clients that vanish
}

int direct(const Options& options) {
    net::EventLoop loop;
    Producer producer{loop, options};
    net::HttpHandler handler;
    handler.on_request = [&](std::shared_ptr<net::Exchange> exchange) {
        exchange->start(200, net::Headers{{"Content-Type", "message/ohttp-chunked-res"}});
        const auto production = std::make_shared<Production>();
        const std::weak_ptr<Production> weak = production;
        production->put = [&producer, exchange, weak](std::string bytes) {
            if (exchange->write(std::move(bytes))) return true;
            exchange->on_drained([&producer, weak] {
                if (const auto alive = weak.lock()) producer.wake(alive);
            });
            return false;
        };
        production->end = [exchange] { exchange->finish(); };
        producer.add(production);
    };
    handler.error_response = [](ErrorCode, std::string_view) { return net::Response{500, {}, {}}; };
    net::HttpServer server{loop, {}, handler};
    std::thread thread{[&] { loop.run(); }};
    Consumers consumers{options, Endpoint{"127.0.0.1", server.port()}, {}, {}};
    consumers.run();
    std::fflush(stdout);
    std::_Exit(0);
}

int supply(const Options& options) {
    net::EventLoop loop;
    std::vector<std::unique_ptr<ScriptedNode>> nodes;
    std::size_t welcomed = 0;
    std::int64_t offered = 0;  // each offer one percent of the first dearer than the one before
    for (const std::string& token : lines_of(options.token_file)) {
        nodes.push_back(std::make_unique<ScriptedNode>(options.url, token,
                                                       "supply-" + std::to_string(nodes.size())));
        for (std::size_t i = 0; i < options.offers; ++i)
            nodes.back()->offer(options.market, options.slots, price + offered++ * price / 100);
    }
    for (const auto& node : nodes)
        node->connect(loop, [&](std::string_view bytes, bool binary) {
            if (binary || !std::holds_alternative<node::WelcomeFrame>(
                              must(node::parse_control(bytes), "control")))
                return;
            if (++welcomed < nodes.size()) return;
            std::printf("ready\n");
            std::fflush(stdout);
        });
    loop.on_signals({SIGTERM, SIGINT}, [](int) { std::_Exit(0); });
    loop.run();
    return 0;
}

}  // namespace

int main(int count, char** values) {
    const Options options = read_options(count, values);
    if (options.cpu >= 0) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET(static_cast<std::size_t>(options.cpu), &cpus);
        ::sched_setaffinity(0, sizeof cpus, &cpus);
    }
    log::set_level(log::Level::error);
    if (options.mode == "relay") return relay(options);
    if (options.mode == "direct") return direct(options);
    if (options.mode == "supply") return supply(options);
    give_up("unknown mode " + options.mode);
}
