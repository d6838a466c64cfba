#include "net/http_server.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <unordered_map>
#include <unordered_set>

#include "core/log.hpp"
#include "net/stream.hpp"

namespace cocoon::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Acceptor = asio::basic_socket_acceptor<Tcp, IoExecutor>;
using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;

constexpr std::size_t read_bytes_start = 4 << 10;
constexpr std::size_t body_read_bytes = 64 << 10;
// copied behind the head: cheaper than a second buffer
constexpr std::size_t inline_body_bytes = 8 << 10;
constexpr std::size_t headers_count_max = 128;  // then 431
constexpr std::size_t headers_count_usual = 12;
constexpr std::size_t head_bytes_usual = 512;
constexpr std::size_t lingering_connections_max = 256;
constexpr Duration linger_max = seconds(2);
constexpr Duration accept_pause = milliseconds(100);  // out of file descriptors

constexpr SteadyTime never = SteadyTime::max();

SteadyTime after(Duration duration) {
    return SteadyClock::now() + std::chrono::microseconds{duration.us};
}

template <class Call>
void run_logged(const Call& call) {
    try {
        call();
    } catch (const std::exception& failure) {
        log::error("http_callback_failed", {{"detail", failure.what()}});
    }
}

bool is_request_id(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    });
}

// For correlation in logs; nothing relies on its being unguessable.
std::string make_request_id() {
    static thread_local std::mt19937_64 random{std::random_device{}()};
    constexpr std::string_view digits = "0123456789abcdef";
    std::uint64_t bits = random();
    std::string id(16, '0');
    for (char& c : id) {
        c = digits[bits & 15];
        bits >>= 4;
    }
    return id;
}

// "Date: …" of this second (RFC 9110 §6.6.1), formatted once a second and thread.
std::string_view date_field() {
    static thread_local std::time_t second = 0;
    static thread_local char text[64];
    static thread_local std::size_t size = 0;
    const std::time_t now = std::time(nullptr);
    if (now != second) {
        second = now;
        std::tm utc{};
        gmtime_r(&now, &utc);
        size = std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    }
    return {text, size};
}

bool has_token(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        std::string_view item = list.substr(0, comma);
        while (!item.empty() && (item.front() == ' ' || item.front() == '\t'))
            item.remove_prefix(1);
        while (!item.empty() && (item.back() == ' ' || item.back() == '\t')) item.remove_suffix(1);
        if (same_ignoring_case(item, token)) return true;
        if (comma == std::string_view::npos) break;
        list.remove_prefix(comma + 1);
    }
    return false;
}

bool any_has_token(const Headers& headers, std::string_view name, std::string_view token) {
    for (const Header& field : headers)
        if (same_ignoring_case(field.name, name) && has_token(field.value, token)) return true;
    return false;
}

// RFC 6455 §4.2.1
bool asks_for_websocket(const RequestHead& head, bool http_11) {
    return http_11 && head.method == "GET" &&
           any_has_token(head.headers, "Connection", "upgrade") &&
           any_has_token(head.headers, "Upgrade", "websocket") &&
           head.headers.get("Sec-WebSocket-Version") == "13" &&
           head.headers.get("Sec-WebSocket-Key").size() == 24 &&
           head.headers.all("Sec-WebSocket-Key").size() == 1;
}

// Origin form, absolute form or "*" (RFC 9112 §3.2). False = none of them.
bool split_target(RequestHead& head) {
    std::string_view target = head.target;
    if (target == "*") {
        head.path = "*";
        return head.method == "OPTIONS";
    }
    for (const std::string_view scheme : {"http://", "https://"})
        if (target.size() > scheme.size() &&
            same_ignoring_case(target.substr(0, scheme.size()), scheme)) {
            target.remove_prefix(scheme.size());
            const std::size_t slash = target.find_first_of("/?");
            target = slash == std::string_view::npos ? std::string_view{"/"} : target.substr(slash);
            break;
        }
    const std::size_t question = target.find('?');
    head.path = target.substr(0, question);
    if (question != std::string_view::npos) head.query = target.substr(question + 1);
    if (head.path.empty() && question == 0) head.path = "/";
    return head.path.starts_with('/') && target.find('#') == std::string_view::npos;
}

// The server's own fields, and what would break the framing.
bool may_send(const Header& field) {
    if (field.name.empty()) return false;
    for (const std::string_view own :
         {"Content-Length", "Transfer-Encoding", "Connection", "Date", "X-Request-Id"})
        if (same_ignoring_case(field.name, own)) return false;
    for (const char c : field.name)
        if (static_cast<unsigned char>(c) <= 0x20 || c == ':' ||
            static_cast<unsigned char>(c) >= 0x7F)
            return false;
    return field.value.find_first_of(std::string_view{"\r\n\0", 3}) == std::string::npos;
}

void append_fields(std::string& text, const Headers& fields) {
    for (const Header& field : fields) {
        if (!may_send(field)) continue;
        text += field.name;
        text += ": ";
        text += field.value;
        text += "\r\n";
    }
}

void append_number(std::string& text, std::size_t number, int base) {
    char digits[24];
    const auto [end, failure] = std::to_chars(digits, digits + sizeof digits, number, base);
    text.append(digits, end);
}

class Connection;

// Where exchanges that other threads have changed wait for the loop: one post for any number of
// them.
struct ExchangeState;
struct Mailbox {
    std::string fields;  // those of every answer, as they go on the wire
    std::mutex mutex;
    EventLoop* loop = nullptr;  // nullptr: the server is gone
    std::vector<std::shared_ptr<ExchangeState>> changed;
    std::atomic<bool> draining{false};
};

// One exchange as all threads see it. What is framed for the wire is framed here, on the caller's
// thread.
struct ExchangeState : std::enable_shared_from_this<ExchangeState> {
    enum class Phase { waiting, streaming, complete, cut };

    Request request;
    std::shared_ptr<Mailbox> mailbox;
    std::size_t pending_bytes_max = 0;
    Duration write_max;
    bool http_11 = true;
    bool head_only = false;
    bool keep_alive = true;  // what the peer asked for
    bool chunked = false;
    Connection* connection = nullptr;  // loop's thread only

    mutable std::mutex mutex;
    std::condition_variable drained;
    Phase phase = Phase::waiting;
    bool closing = false;  // the answer said `Connection: close`
    bool closed = false;
    bool over = false;              // nothing more will come of it: callbacks are not kept
    bool body_open = false;         // a streamed body has not ended
    bool listed = false;            // waits in the mailbox
    std::string output;             // framed, not yet taken by the connection
    std::string body;               // of a whole answer, when too large to copy
    std::size_t pending_bytes = 0;  // output, body and what is being written
    int status = 0;
    std::function<void()> on_drained;
    std::vector<std::function<void()>> on_closed;
    std::function<void(Result<BodyPiece>)> on_body;
    std::function<void(std::shared_ptr<WebSocket>)> on_upgrade;
    WebSocketOptions upgrade_options;
    Headers upgrade_headers;

    void wake(std::unique_lock<std::mutex>& lock);
    void head(int code, const Headers& headers, std::optional<std::size_t> length);
    void respond(Response response);
    void start(int code, const Headers& headers);
    bool write(std::string_view bytes, bool blocking);
    void finish(const Headers& trailers);
    void abort();
    void drop();
};

// What users hold.
class Handle final : public Exchange {
public:
    explicit Handle(std::shared_ptr<ExchangeState> state) : state_{std::move(state)} {}
    ~Handle() override { state_->drop(); }

    const Request& request() const override { return state_->request; }
    void respond(Response response) override { state_->respond(std::move(response)); }
    void start(int status, Headers headers) override { state_->start(status, headers); }
    bool write(std::string bytes) override { return state_->write(bytes, false); }
    bool write_blocking(std::string bytes) override { return state_->write(bytes, true); }
    void finish(Headers trailers) override { state_->finish(trailers); }
    void abort() override { state_->abort(); }
    std::size_t pending_bytes() const override {
        const std::lock_guard lock{state_->mutex};
        return state_->pending_bytes;
    }
    void on_drained(std::function<void()> call) override;
    bool closed() const override {
        const std::lock_guard lock{state_->mutex};
        return state_->closed;
    }
    void on_closed(std::function<void()> call) override;
    void read_body(std::function<void(Result<BodyPiece>)> call) override;
    void upgrade(WebSocketOptions options, Headers headers,
                 std::function<void(std::shared_ptr<WebSocket>)> done) override;

private:
    const std::shared_ptr<ExchangeState> state_;
};

// Beast's parser, filling our own request: no second copy of the fields.
class Parser final : public http::basic_parser<true> {
public:
    Parser(Request& request, const HttpLimits& limits) : request_{request}, limits_{limits} {
        header_limit(static_cast<std::uint32_t>(limits.header_bytes_max));
        body_limit(boost::none);  // ours, known only after the head
        eager(false);
    }

    bool http_11() const { return version_ == 11; }
    bool in_start_line() const { return !has_start_line_; }
    bool has_body() const { return has_body_; }
    std::size_t body_bytes_max = 0;
    std::string* body = nullptr;  // where body bytes go
    std::size_t body_bytes = 0;
    ErrorCode refusal = ErrorCode::malformed_request;

private:
    void on_request_impl(http::verb, boost::beast::string_view method,
                         boost::beast::string_view target, int version,
                         ErrorStatus& failure) override {
        has_start_line_ = true;
        version_ = version;
        if (target.size() > limits_.target_bytes_max)
            return give_up(ErrorCode::uri_too_long, failure);
        if (version != 10 && version != 11) return give_up(ErrorCode::malformed_request, failure);
        request_.headers.reserve(headers_count_usual);
        request_.method.assign(method.data(), method.size());
        request_.target.assign(target.data(), target.size());
        if (!split_target(request_)) give_up(ErrorCode::malformed_request, failure);
    }
    void on_response_impl(int, boost::beast::string_view, int, ErrorStatus& failure) override {
        give_up(ErrorCode::malformed_request, failure);
    }
    void on_field_impl(http::field, boost::beast::string_view name, boost::beast::string_view value,
                       ErrorStatus& failure) override {
        if (in_trailer_) return;  // read past, never merged (RFC 9110 §6.5.1)
        if (request_.headers.size() >= headers_count_max)
            return give_up(ErrorCode::headers_too_large, failure);
        request_.headers.add(std::string{name.data(), name.size()},
                             std::string{value.data(), value.size()});
    }
    void on_header_impl(ErrorStatus& failure) override {
        in_trailer_ = true;
        std::size_t hosts = 0;
        std::size_t lengths = 0;
        std::size_t encodings = 0;
        for (const Header& field : request_.headers) {
            if (same_ignoring_case(field.name, "Host")) ++hosts;
            if (same_ignoring_case(field.name, "Content-Length")) ++lengths;
            if (same_ignoring_case(field.name, "Transfer-Encoding")) {
                ++encodings;
                if (!same_ignoring_case(field.value, "chunked")) ++encodings;
            }
        }
        // RFC 9112 §3.2, §6.3: what two parsers could read differently is refused.
        const bool framed_twice = encodings > 1 || lengths > 1 || (encodings > 0 && lengths > 0);
        if (hosts > 1 || (hosts == 0 && version_ == 11) || framed_twice ||
            (encodings > 0 && version_ == 10))
            give_up(ErrorCode::malformed_request, failure);
        has_body_ = encodings > 0 || content_length().value_or(0) > 0;
    }
    void on_body_init_impl(const boost::optional<std::uint64_t>& length,
                           ErrorStatus& failure) override {
        if (length && *length > body_bytes_max) give_up(ErrorCode::body_too_large, failure);
    }
    std::size_t on_body_impl(boost::beast::string_view bytes, ErrorStatus& failure) override {
        body_bytes += bytes.size();
        if (body_bytes > body_bytes_max) {
            give_up(ErrorCode::body_too_large, failure);
            return 0;
        }
        body->append(bytes.data(), bytes.size());
        return bytes.size();
    }
    void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, ErrorStatus&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view bytes,
                                   ErrorStatus& failure) override {
        return on_body_impl(bytes, failure);
    }
    void on_finish_impl(ErrorStatus&) override {}

    void give_up(ErrorCode code, ErrorStatus& failure) {
        refusal = code;
        failure = http::error::bad_value;
    }

    Request& request_;
    const HttpLimits& limits_;
    int version_ = 11;
    bool has_start_line_ = false;
    bool in_trailer_ = false;
    bool has_body_ = false;
};

// Counts that outlive the server while WebSockets do. Loop's thread.
struct Counts {
    HttpCounters counters;
    std::unordered_map<std::string, int> per_address;
};

// One counted connection; travels with it when it becomes a WebSocket.
struct Ticket {
    Ticket(std::shared_ptr<Counts> all, std::string key)
        : counts{std::move(all)}, address{std::move(key)} {
        ++counts->per_address[address];
        ++counts->counters.connections_open;
    }
    ~Ticket() {
        const auto found = counts->per_address.find(address);
        if (--found->second == 0) counts->per_address.erase(found);
        --counts->counters.connections_open;
        if (websocket) --counts->counters.websockets_open;
    }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    std::shared_ptr<Counts> counts;
    std::string address;
    bool websocket = false;
};

// One network of an IPv6 customer is one address: a /64 costs nothing.
std::string address_key(const asio::ip::address& address) {
    if (!address.is_v6()) return address.to_string();
    const auto bytes = address.to_v6().to_bytes();
    return "6:" + std::string{reinterpret_cast<const char*>(bytes.data()), 8};
}

asio::ip::address plain_address(const asio::ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    return address;
}

}  // namespace

struct HttpServerState : std::enable_shared_from_this<HttpServerState> {
    HttpServerState(EventLoop& event_loop, HttpServerOptions all, HttpHandler calls)
        : loop{event_loop},
          options{std::move(all)},
          handler{std::move(calls)},
          acceptor{event_loop.context().get_executor()},
          sweeper{event_loop.context()} {
        append_fields(mailbox->fields, options.fields);
        mailbox->loop = &loop;
    }

    EventLoop& loop;
    const HttpServerOptions options;
    const HttpHandler handler;
    const std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>();
    const std::shared_ptr<Counts> counts = std::make_shared<Counts>();
    std::optional<asio::ssl::context> tls;
    Acceptor acceptor;
    asio::steady_timer sweeper;
    Timer pause;
    Timer drain_deadline;
    std::uint16_t port = 0;
    bool stopped = false;
    std::function<void()> drained;
    std::unordered_set<std::shared_ptr<Connection>> connections;
    std::size_t lingering = 0;

    void listen();
    void accept();
    void accepted(Socket socket);
    void sweep();
    void shut();
    void deliver();
    void check_drained();
    // A copy: closing one changes the set.
    std::vector<std::shared_ptr<Connection>> all_connections() const {
        return {connections.begin(), connections.end()};
    }
};

namespace {

// A connection: reads, parses, hands out exchanges one after the other, writes their answers. Owned
// by the server until it closes, and by its pending operations. Loop's thread only.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(std::shared_ptr<HttpServerState> server, Stream stream, std::string address,
               std::shared_ptr<Ticket> ticket);
    ~Connection();

    void start();
    void start_refused(ErrorCode code);
    void on_exchange();  // an exchange changed; from any place on the loop's thread
    void check_deadlines(SteadyTime now);
    void close(bool tell = true);
    void close_if_idle();

private:
    enum class Phase { handshake, head, body, answering, lingering, closed };

    HttpServerState& server() { return *server_; }
    HttpCounters& counters() { return server_->counts->counters; }
    std::size_t buffered() const { return end_ - begin_; }
    // A read that is under way fills from `end_`: the places must not move under it.
    void rewind_buffer() {
        if (begin_ == end_ && !reading_) begin_ = end_ = 0;
    }

    void advance();
    bool step_head();
    bool step_body();
    bool step_answering();
    void take_head();
    void open_body(const Decision& decision);
    void hand_out();
    void refuse_request(ErrorCode code);
    void reject(Response response);
    void begin_request();
    ErrorStatus feed(std::size_t& consumed);
    bool make_room();
    void read();
    void was_read(ErrorStatus failure, std::size_t bytes);
    void peer_left(ErrorStatus failure);
    bool deliver_body();
    void refuse_body(ErrorCode code);
    bool flush();
    void write();
    void was_written(ErrorStatus failure, std::size_t bytes);
    void answer_written();
    void call_drained();
    void tell_closed();
    void end_exchange(bool hung_up, bool tell);
    void linger();
    void upgrade();

    std::shared_ptr<HttpServerState> server_;
    Stream stream_;
    std::string address_;
    std::shared_ptr<Ticket> ticket_;
    Phase phase_ = Phase::handshake;

    std::vector<char> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool reading_ = false;
    bool filled_ = false;  // by the last read, to its end
    bool peer_ended_ = false;
    SteadyTime read_deadline_ = never;
    SteadyTime write_deadline_ = never;

    std::optional<Parser> parser_;
    std::shared_ptr<ExchangeState> exchange_;
    bool request_begun_ = false;  // some byte of it has come
    bool handed_out_ = false;     // on_request has seen it
    std::optional<ErrorCode> body_refusal_;
    std::string piece_;  // of a streamed body, not yet asked for

    std::string writing_;
    std::string writing_body_;
    std::size_t written_ = 0;
    bool is_writing_ = false;
    bool advancing_ = false;
    bool again_ = false;
};

}  // namespace

// ---- ExchangeState: any thread ------------------------------------------------------------------

namespace {

// Lets the connection look at the exchange. Releases the lock first: the mailbox's comes before
// ours.
void ExchangeState::wake(std::unique_lock<std::mutex>& lock) {
    const bool already = listed;
    lock.unlock();
    std::unique_lock post{mailbox->mutex};
    if (!mailbox->loop) return;
    if (mailbox->loop->in_loop_thread()) {
        post.unlock();
        if (connection) connection->on_exchange();
        return;
    }
    if (already) return;
    lock.lock();
    const bool was_listed = std::exchange(listed, true);
    lock.unlock();
    if (was_listed) return;
    mailbox->changed.push_back(shared_from_this());
    if (mailbox->changed.size() > 1) return;
    mailbox->loop->post([box = mailbox] {
        std::vector<std::shared_ptr<ExchangeState>> changed;
        {
            const std::lock_guard guard{box->mutex};
            changed.swap(box->changed);
        }
        for (const auto& state : changed) {
            {
                const std::lock_guard guard{state->mutex};
                state->listed = false;
            }
            if (state->connection) state->connection->on_exchange();
        }
    });
}

// Writes the head into `output`. No length: chunked, or until close. REQUIRES: the lock.
void ExchangeState::head(int code, const Headers& headers, std::optional<std::size_t> length) {
    status = code;
    const bool bodiless = code == 204 || code == 304;
    closing = !keep_alive || body_open || mailbox->draining.load(std::memory_order_relaxed);
    chunked = !length && http_11 && !bodiless;
    if (!length && !http_11) closing = true;
    output.reserve(head_bytes_usual + mailbox->fields.size() +
                   (length && *length <= inline_body_bytes ? *length : 0));
    output += "HTTP/1.1 ";
    append_number(output, static_cast<std::size_t>(code), 10);
    output += ' ';
    output += reason_of(code);
    output += "\r\n";
    output += date_field();
    output += "X-Request-Id: ";
    output += request.id;
    output += "\r\n";
    output += mailbox->fields;
    append_fields(output, headers);
    if (length && !bodiless) {
        output += "Content-Length: ";
        append_number(output, *length, 10);
        output += "\r\n";
    }
    if (chunked) output += "Transfer-Encoding: chunked\r\n";
    if (closing)
        output += "Connection: close\r\n";
    else if (!http_11)
        output += "Connection: keep-alive\r\n";
    output += "\r\n";
}

void ExchangeState::respond(Response response) {
    std::unique_lock lock{mutex};
    if (phase != Phase::waiting) return;
    phase = Phase::complete;
    const std::size_t before = output.size();
    if (response.status < 200 || response.status > 599) response = Response{500, {}, {}};
    head(response.status, response.headers, response.body.size());
    if (!head_only && response.status != 204 && response.status != 304) {
        if (response.body.size() <= inline_body_bytes)
            output += response.body;
        else
            body = std::move(response.body);
    }
    pending_bytes += output.size() - before + body.size();
    wake(lock);
}

void ExchangeState::start(int code, const Headers& headers) {
    std::unique_lock lock{mutex};
    if (phase != Phase::waiting) return;
    phase = Phase::streaming;
    const std::size_t before = output.size();
    head(code < 200 || code > 599 ? 500 : code, headers, std::nullopt);
    pending_bytes += output.size() - before;
    wake(lock);
}

bool ExchangeState::write(std::string_view bytes, bool blocking) {
    std::unique_lock lock{mutex};
    if (blocking) {
        // The bound on the wait only matters when the loop itself has stopped: a reader that takes
        // nothing is cut by the write deadline well before.
        const auto patience = std::chrono::microseconds{write_max.us * 2};
        std::size_t before = pending_bytes;
        while (!closed && phase == Phase::streaming && pending_bytes >= pending_bytes_max) {
            if (drained.wait_for(lock, patience) == std::cv_status::timeout &&
                pending_bytes == before)
                return false;
            before = pending_bytes;
        }
    }
    if (closed || phase != Phase::streaming || pending_bytes >= pending_bytes_max) return false;
    if (bytes.empty() || head_only || status == 204 || status == 304) return true;
    const std::size_t before = output.size();
    if (chunked) {
        append_number(output, bytes.size(), 16);
        output += "\r\n";
    }
    output += bytes;
    if (chunked) output += "\r\n";
    pending_bytes += output.size() - before;
    wake(lock);
    return true;
}

void ExchangeState::finish(const Headers& trailers) {
    std::unique_lock lock{mutex};
    if (phase != Phase::streaming) return;
    phase = Phase::complete;
    if (chunked && !head_only) {
        const std::size_t before = output.size();
        output += "0\r\n";
        append_fields(output, trailers);
        output += "\r\n";
        pending_bytes += output.size() - before;
    }
    wake(lock);
}

void ExchangeState::abort() {
    std::unique_lock lock{mutex};
    if (phase == Phase::complete || phase == Phase::cut) return;
    phase = Phase::cut;
    wake(lock);
}

// The last handle is gone.
void ExchangeState::drop() {
    std::unique_lock lock{mutex};
    if (phase == Phase::streaming) {
        phase = Phase::cut;
        wake(lock);
    } else if (phase == Phase::waiting && !on_upgrade) {
        phase = Phase::complete;
        status = 0;  // the connection asks the caller's error_response for the 500
        wake(lock);
    }
}

void Handle::on_drained(std::function<void()> call) {
    std::unique_lock lock{state_->mutex};
    if (state_->closed || state_->over) return;
    state_->on_drained = std::move(call);
    state_->wake(lock);
}

void Handle::on_closed(std::function<void()> call) {
    std::unique_lock lock{state_->mutex};
    if (!state_->closed) {
        if (!state_->over) state_->on_closed.push_back(std::move(call));
        return;
    }
    lock.unlock();
    const std::lock_guard guard{state_->mailbox->mutex};
    if (state_->mailbox->loop) state_->mailbox->loop->post(std::move(call));
}

void Handle::read_body(std::function<void(Result<BodyPiece>)> call) {
    std::unique_lock lock{state_->mutex};
    if (state_->closed) {
        lock.unlock();
        const std::lock_guard guard{state_->mailbox->mutex};
        if (!state_->mailbox->loop) return;
        state_->mailbox->loop->post([call = std::move(call)] {
            call(refuse(ErrorCode::stream_truncated, "the peer is gone"));
        });
        return;
    }
    if (state_->over) return;
    state_->on_body = std::move(call);
    state_->wake(lock);
}

void Handle::upgrade(WebSocketOptions options, Headers headers,
                     std::function<void(std::shared_ptr<WebSocket>)> done) {
    std::unique_lock lock{state_->mutex};
    if (state_->phase != ExchangeState::Phase::waiting || state_->over) {
        lock.unlock();
        const std::lock_guard guard{state_->mailbox->mutex};
        if (state_->mailbox->loop)
            state_->mailbox->loop->post([done = std::move(done)] { done(nullptr); });
        return;
    }
    state_->upgrade_options = options;
    state_->upgrade_headers = std::move(headers);
    state_->on_upgrade = std::move(done);
    state_->wake(lock);
}

}  // namespace

// ---- Connection: the loop's thread --------------------------------------------------------------

namespace {

Connection::Connection(std::shared_ptr<HttpServerState> server, Stream stream, std::string address,
                       std::shared_ptr<Ticket> ticket)
    : server_{std::move(server)},
      stream_{std::move(stream)},
      address_{std::move(address)},
      ticket_{std::move(ticket)} {
    ErrorStatus ignored;
    stream_.socket().set_option(Tcp::no_delay{true}, ignored);
}

Connection::~Connection() { close(false); }

void Connection::start() {
    server().connections.insert(shared_from_this());
    if (!stream_.tls()) {
        begin_request();
        read_deadline_ = after(server().options.limits.header_read_max);
        advance();
        return;
    }
    read_deadline_ = after(server().options.limits.header_read_max);
    stream_.tls()->async_handshake(asio::ssl::stream_base::server,
                                   [self = shared_from_this()](ErrorStatus failure) {
                                       if (self->phase_ == Phase::closed) return;
                                       if (failure) return self->close();
                                       self->begin_request();
                                       self->advance();
                                   });
}

// Too many connections: one answer, nothing is read.
void Connection::start_refused(ErrorCode code) {
    server().connections.insert(shared_from_this());
    begin_request();
    refuse_request(code);
    advance();
}

void Connection::begin_request() {
    const HttpLimits& limits = server().options.limits;
    phase_ = Phase::head;
    exchange_ = std::make_shared<ExchangeState>();
    exchange_->mailbox = server().mailbox;
    exchange_->pending_bytes_max = limits.response_pending_bytes_max;
    exchange_->write_max = limits.write_max;
    exchange_->connection = this;
    parser_.emplace(exchange_->request, limits);
    request_begun_ = false;
    handed_out_ = false;
    body_refusal_.reset();
    piece_.clear();
    // idle ones stay small
    if (buffered() == 0 && !reading_ && buffer_.size() >= body_read_bytes) {
        std::vector<char>{}.swap(buffer_);
        begin_ = end_ = 0;
    }
    read_deadline_ = after(limits.idle_max);
}

void Connection::on_exchange() {
    if (phase_ == Phase::answering) advance();
}

// Goes on as far as it can without waiting. Callbacks that come back here only ask for another
// round.
void Connection::advance() {
    again_ = true;
    if (advancing_) return;
    advancing_ = true;
    const auto self = shared_from_this();
    while (again_) {
        again_ = false;
        bool more = true;
        while (more) {
            switch (phase_) {
                case Phase::head: more = step_head(); break;
                case Phase::body: more = step_body(); break;
                case Phase::answering: more = step_answering(); break;
                default: more = false;
            }
        }
    }
    advancing_ = false;
}

// One put() of what is buffered. need_more is no failure.
ErrorStatus Connection::feed(std::size_t& consumed) {
    ErrorStatus failure;
    const bool in_head = !parser_->is_header_done();
    const char* data = buffer_.data() + begin_;
    consumed = parser_->put(asio::const_buffer{data, buffered()}, failure);
    if (in_head && (!failure || failure == http::error::need_more)) {
        // Folded lines (RFC 9112 §5.2) are refused: intermediaries read them differently.
        for (const char* at = data;
             (at = static_cast<const char*>(
                  std::memchr(at, '\n', static_cast<std::size_t>(data + consumed - at))));) {
            if (++at == data + consumed) break;
            if (*at == ' ' || *at == '\t') failure = http::error::bad_obs_fold;
        }
    }
    begin_ += consumed;
    rewind_buffer();
    if (failure == http::error::need_more) failure = {};
    return failure;
}

bool Connection::step_head() {
    while (buffered() > 0 && parser_->in_start_line() &&
           (buffer_[begin_] == '\r' || buffer_[begin_] == '\n'))
        ++begin_;  // empty lines before a request (RFC 9112 §2.2)
    if (buffered() == 0) {
        rewind_buffer();
        read();
        return false;
    }
    if (!request_begun_) {
        request_begun_ = true;
        read_deadline_ = after(server().options.limits.header_read_max);
    }
    std::size_t consumed = 0;
    const char* data = buffer_.data() + begin_;
    const bool first_line_whole =
        !parser_->in_start_line() || std::memchr(data, '\n', buffered()) != nullptr;
    const ErrorStatus failure = feed(consumed);
    if (failure == http::error::header_limit) {
        refuse_request(first_line_whole ? ErrorCode::headers_too_large : ErrorCode::uri_too_long);
        return true;
    }
    if (failure) {
        refuse_request(failure == http::error::bad_value ? parser_->refusal
                                                         : ErrorCode::malformed_request);
        return true;
    }
    if (parser_->is_header_done()) {
        take_head();
        return true;
    }
    read();
    return false;
}

void Connection::take_head() {
    Request& request = exchange_->request;
    const std::string* id = request.headers.find("X-Request-Id");
    request.id = id && is_request_id(*id) ? *id : make_request_id();
    request.remote_address = address_;
    request.secure = stream_.tls() != nullptr;
    request.websocket = asks_for_websocket(request, parser_->http_11());
    exchange_->http_11 = parser_->http_11();
    exchange_->head_only = request.method == "HEAD";
    exchange_->keep_alive = parser_->keep_alive();
    counters().requests.fetch_add(1, std::memory_order_relaxed);

    Decision decision;
    if (server().handler.on_head) {
        try {
            decision = server().handler.on_head(request);
        } catch (const std::exception& failure) {
            log::error("http_on_head_failed",
                       {{"request_id", request.id}, {"detail", failure.what()}});
            refuse_request(ErrorCode::internal_error);
            return;
        }
    }
    if (decision.kind == Decision::Kind::reject) {
        reject(std::move(decision.response));
        return;
    }
    const auto length = parser_->content_length();
    if (length && *length > decision.body_bytes_max) {
        refuse_request(ErrorCode::body_too_large);
        return;
    }
    open_body(decision);
}

// The head is accepted: the body is awaited, or flows, or there is none.
void Connection::open_body(const Decision& decision) {
    const bool streamed = decision.kind == Decision::Kind::stream;
    parser_->body_bytes_max = decision.body_bytes_max;
    parser_->body = streamed ? &piece_ : &exchange_->request.body;
    if (!parser_->has_body()) return hand_out();
    if (parser_->http_11() && buffered() == 0 &&
        same_ignoring_case(exchange_->request.headers.get("Expect"), "100-continue")) {
        constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        exchange_->output = go_on;  // nobody else knows the exchange yet
        exchange_->pending_bytes = go_on.size();
        flush();
    }
    if (streamed) {
        exchange_->body_open = true;
        return hand_out();
    }
    phase_ = Phase::body;
    read_deadline_ = after(server().options.limits.body_read_max);
    exchange_->request.body.reserve(
        std::min<std::size_t>(parser_->content_length().value_or(0), body_read_bytes));
}

bool Connection::step_body() {
    if (parser_->is_done()) {
        hand_out();
        return true;
    }
    if (buffered() > 0) {
        std::size_t consumed = 0;
        const ErrorStatus failure = feed(consumed);
        if (failure) {
            refuse_request(failure == http::error::bad_value ? parser_->refusal
                                                             : ErrorCode::malformed_request);
            return true;
        }
        if (consumed > 0) return true;
        // a chunk head or trailer without end
        if (buffered() >= server().options.limits.header_bytes_max) {
            refuse_request(ErrorCode::malformed_request);
            return true;
        }
    }
    read();
    return false;
}

void Connection::hand_out() {
    phase_ = Phase::answering;
    read_deadline_ = never;
    handed_out_ = true;
    counters().exchanges_open.fetch_add(1, std::memory_order_relaxed);
    auto handle = std::make_shared<Handle>(exchange_);
    // When it throws, the handle is dropped unanswered, which answers 500.
    run_logged([&] { server().handler.on_request(std::move(handle)); });
}

// Answers what cannot be read further, and closes.
void Connection::refuse_request(ErrorCode code) {
    if (code == ErrorCode::request_timeout)
        ++counters().timeouts;
    else if (code != ErrorCode::internal_error && code != ErrorCode::too_many_connections)
        ++counters().protocol_errors;
    if (exchange_->request.id.empty()) exchange_->request.id = make_request_id();
    if (phase_ == Phase::head) exchange_->http_11 = parser_->http_11();
    Response response{describe(code).status, {}, {}};
    run_logged([&] { response = server().handler.error_response(code, exchange_->request.id); });
    {
        const std::lock_guard lock{exchange_->mutex};
        exchange_->body_open = true;  // what follows cannot be trusted to be a request
    }
    reject(std::move(response));
}

void Connection::reject(Response response) {
    phase_ = Phase::answering;
    read_deadline_ = never;
    if (!parser_->is_done()) {
        const std::lock_guard lock{exchange_->mutex};
        exchange_->body_open = true;
    }
    exchange_->respond(std::move(response));
}

bool Connection::step_answering() {
    const auto state = exchange_;
    std::unique_lock lock{state->mutex};
    const bool upgrading = state->on_upgrade && state->phase == ExchangeState::Phase::waiting;
    const bool dropped = state->phase == ExchangeState::Phase::complete && state->status == 0;
    const bool asked = static_cast<bool>(state->on_body);
    if (dropped) state->phase = ExchangeState::Phase::waiting;
    lock.unlock();

    if (upgrading) {
        upgrade();
        return phase_ == Phase::answering;
    }
    if (dropped) {
        log::error("http_exchange_dropped", {{"request_id", state->request.id}});
        Response response{500, {}, {}};
        run_logged([&] {
            response =
                server().handler.error_response(ErrorCode::internal_error, state->request.id);
        });
        state->respond(std::move(response));
        return true;
    }
    if (asked && deliver_body()) return true;
    if (phase_ != Phase::answering) return true;
    if (flush()) return true;
    call_drained();
    if (phase_ != Phase::answering || exchange_ != state) return true;
    // The read side is watched for a hang-up, unless the next thing is the next request anyway, or
    // the connection is about to become a WebSocket's.
    lock.lock();
    const bool watch = state->phase < ExchangeState::Phase::complete && !state->request.websocket;
    lock.unlock();
    if (watch && !body_refusal_) read();
    return false;
}

// Gives the piece asked for, if there is one. True: the callback ran.
bool Connection::deliver_body() {
    while (!body_refusal_ && !parser_->is_done() && buffered() > 0 &&
           piece_.size() < body_read_bytes) {
        std::size_t consumed = 0;
        const ErrorStatus failure = feed(consumed);
        if (failure) {
            refuse_body(failure == http::error::bad_value ? parser_->refusal
                                                          : ErrorCode::malformed_request);
        } else if (consumed == 0) {
            if (buffered() >= server().options.limits.header_bytes_max)
                refuse_body(ErrorCode::malformed_request);
            break;
        }
    }
    const bool last = parser_->is_done();
    if (!body_refusal_ && !last && piece_.empty()) {
        if (read_deadline_ == never) read_deadline_ = after(server().options.limits.body_read_max);
        return false;
    }
    read_deadline_ = never;
    std::function<void(Result<BodyPiece>)> call;
    {
        const std::lock_guard lock{exchange_->mutex};
        call = std::exchange(exchange_->on_body, nullptr);
        if (last && !body_refusal_) exchange_->body_open = false;
    }
    Result<BodyPiece> piece = BodyPiece{std::exchange(piece_, {}), last};
    if (body_refusal_) piece = refuse(*body_refusal_, "the body could not be read");
    run_logged([&] { call(std::move(piece)); });
    return true;
}

void Connection::refuse_body(ErrorCode code) {
    body_refusal_ = code;
    if (code == ErrorCode::request_timeout)
        ++counters().timeouts;
    else
        ++counters().protocol_errors;
}

// Room for one read. False = the buffer is as full as it may be.
bool Connection::make_room() {
    const bool in_body = phase_ == Phase::body || (exchange_ && exchange_->body_open);
    const std::size_t most =
        in_body ? body_read_bytes : server().options.limits.header_bytes_max + read_bytes_start;
    if (begin_ > 0 && (begin_ == end_ || end_ == buffer_.size())) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, buffered());
        end_ -= begin_;
        begin_ = 0;
    }
    const bool more_comes = in_body && filled_;  // a long body: in few reads
    if (end_ < buffer_.size() && !(more_comes && buffer_.size() < most)) return true;
    if (buffer_.size() >= most) return false;
    const std::size_t wanted = buffer_.empty() ? read_bytes_start
                               : in_body       ? body_read_bytes
                                               : buffer_.size() * 2;
    buffer_.resize(std::min(most, wanted));
    return true;
}

void Connection::read() {
    if (reading_ || peer_ended_ || phase_ == Phase::closed || !make_room()) return;
    reading_ = true;
    stream_.async_read_some(asio::mutable_buffer{buffer_.data() + end_, buffer_.size() - end_},
                            [self = shared_from_this()](ErrorStatus failure, std::size_t bytes) {
                                self->was_read(failure, bytes);
                            });
}

void Connection::was_read(ErrorStatus failure, std::size_t bytes) {
    reading_ = false;
    if (phase_ == Phase::closed) return;
    if (failure) {
        peer_left(failure);
        return;
    }
    counters().bytes_in.fetch_add(bytes, std::memory_order_relaxed);
    if (phase_ == Phase::lingering) {
        begin_ = end_ = 0;
        if (!stream_.tls()) read();
        return;
    }
    end_ += bytes;
    filled_ = end_ == buffer_.size();
    advance();
}

// End of input or a broken connection. A peer that only ended its sending side still gets a whole
// answer, but counts as gone: most of them are.
void Connection::peer_left(ErrorStatus failure) {
    if (phase_ != Phase::answering || failure != asio::error::eof || stream_.tls()) {
        close();
        return;
    }
    ExchangeState::Phase phase{};
    {
        const std::lock_guard lock{exchange_->mutex};
        phase = exchange_->phase;
    }
    const bool complete = phase == ExchangeState::Phase::complete;
    if (!complete && (phase != ExchangeState::Phase::waiting || exchange_->body_open)) {
        close();
        return;
    }
    peer_ended_ = true;
    if (!complete) tell_closed();
    advance();
}

// Hands the connection what is framed. True: the phase changed.
bool Connection::flush() {
    if (is_writing_) return false;
    ExchangeState& state = *exchange_;
    std::unique_lock lock{state.mutex};
    if (state.output.empty() && state.body.empty()) {
        const auto phase = state.phase;
        lock.unlock();
        if (phase == ExchangeState::Phase::complete) {
            answer_written();
            return true;
        }
        if (phase == ExchangeState::Phase::cut) {
            if (!state.http_11) {  // until-close framing: only a reset shows the truncation
                ErrorStatus ignored;
                stream_.socket().set_option(asio::socket_base::linger{true, 0}, ignored);
            }
            close();
            return true;
        }
        return false;
    }
    writing_.clear();
    writing_.swap(state.output);
    writing_body_ = std::move(state.body);
    state.body.clear();
    lock.unlock();
    is_writing_ = true;
    written_ = 0;
    write();
    return false;
}

void Connection::write() {
    write_deadline_ = after(server().options.limits.write_max);
    std::array<asio::const_buffer, 2> buffers{
        asio::const_buffer{writing_.data(), writing_.size()},
        asio::const_buffer{writing_body_.data(), writing_body_.size()}};
    std::size_t skip = written_;
    for (asio::const_buffer& buffer : buffers) {
        const std::size_t here = std::min(skip, buffer.size());
        buffer += here;
        skip -= here;
    }
    if (buffers[0].size() == 0) std::swap(buffers[0], buffers[1]);
    stream_.async_write_some(buffers,
                             [self = shared_from_this()](ErrorStatus failure, std::size_t bytes) {
                                 self->was_written(failure, bytes);
                             });
}

void Connection::was_written(ErrorStatus failure, std::size_t bytes) {
    if (phase_ == Phase::closed) return;
    if (failure) {
        close();
        return;
    }
    counters().bytes_out.fetch_add(bytes, std::memory_order_relaxed);
    written_ += bytes;
    {
        const std::lock_guard lock{exchange_->mutex};
        exchange_->pending_bytes -= bytes;
        if (exchange_->pending_bytes < exchange_->pending_bytes_max)
            exchange_->drained.notify_all();
    }
    if (written_ < writing_.size() + writing_body_.size()) {
        write();
        call_drained();
        return;
    }
    is_writing_ = false;
    write_deadline_ = never;
    writing_body_ = {};
    if (phase_ == Phase::answering) advance();
}

void Connection::call_drained() {
    std::function<void()> call;
    {
        const std::lock_guard lock{exchange_->mutex};
        if (exchange_->on_drained &&
            exchange_->pending_bytes < (exchange_->pending_bytes_max + 1) / 2)
            call = std::exchange(exchange_->on_drained, nullptr);
    }
    if (call) run_logged(call);
}

// Everything of this exchange is on the wire.
void Connection::answer_written() {
    bool closing = peer_ended_ || server().mailbox->draining || !parser_->is_done();
    {
        const std::lock_guard lock{exchange_->mutex};
        closing = closing || exchange_->closing;
    }
    end_exchange(false, true);
    if (closing) {
        linger();
        return;
    }
    begin_request();
}

// Marks the exchange as closed and says so, once.
void Connection::tell_closed() {
    std::vector<std::function<void()>> calls;
    std::function<void(Result<BodyPiece>)> on_body;
    {
        const std::lock_guard lock{exchange_->mutex};
        if (exchange_->closed) return;
        exchange_->closed = true;
        calls.swap(exchange_->on_closed);
        on_body = std::exchange(exchange_->on_body, nullptr);
    }
    exchange_->drained.notify_all();
    if (handed_out_) ++counters().hang_ups;
    if (on_body)
        run_logged([&] { on_body(refuse(ErrorCode::stream_truncated, "the peer is gone")); });
    for (const auto& call : calls) run_logged(call);
}

// Parts with the exchange; its handles stay valid and do nothing. Untold when the loop itself is
// gone.
void Connection::end_exchange(bool hung_up, bool tell) {
    const auto state = std::move(exchange_);
    exchange_ = nullptr;
    state->connection = nullptr;
    std::vector<std::function<void()>> on_closed;
    std::function<void()> on_drained;
    std::function<void(Result<BodyPiece>)> on_body;
    std::function<void(std::shared_ptr<WebSocket>)> on_upgrade;
    {
        const std::lock_guard lock{state->mutex};
        state->over = true;
        hung_up = hung_up && !std::exchange(state->closed, state->closed || hung_up);
        on_closed.swap(state->on_closed);
        on_drained.swap(state->on_drained);
        on_body.swap(state->on_body);
        on_upgrade.swap(state->on_upgrade);
        std::string{}.swap(state->output);
        std::string{}.swap(state->body);
    }
    state->drained.notify_all();
    if (!handed_out_) return;
    counters().exchanges_open.fetch_sub(1, std::memory_order_relaxed);
    if (!hung_up) return;
    ++counters().hang_ups;
    if (!tell) return;
    if (on_body)
        run_logged([&] { on_body(refuse(ErrorCode::stream_truncated, "the peer is gone")); });
    if (on_upgrade) run_logged([&] { on_upgrade(nullptr); });
    for (const auto& call : on_closed) run_logged(call);
}

// Ends our side and reads until the peer ends its own, so that our last answer is not lost to a
// reset because of bytes we never read (RFC 9112 §9.6).
void Connection::linger() {
    if (peer_ended_ || server().lingering >= lingering_connections_max) {
        close();
        return;
    }
    phase_ = Phase::lingering;
    ++server().lingering;
    read_deadline_ = after(linger_max);
    begin_ = end_ = 0;
    if (stream_.tls()) {
        stream_.tls()->async_shutdown([self = shared_from_this()](ErrorStatus) { self->close(); });
        return;
    }
    ErrorStatus ignored;
    stream_.socket().shutdown(Socket::shutdown_send, ignored);
    read();
}

void Connection::close(bool tell) {
    if (phase_ == Phase::closed) return;
    if (phase_ == Phase::lingering) --server().lingering;
    phase_ = Phase::closed;
    read_deadline_ = write_deadline_ = never;
    stream_.cut();
    ticket_.reset();
    const auto self = weak_from_this().lock();
    if (self) server().connections.erase(self);
    if (exchange_) end_exchange(true, tell);
    if (tell) server().check_drained();
}

void Connection::close_if_idle() {
    if (phase_ == Phase::head && !request_begun_) close();
}

void Connection::check_deadlines(SteadyTime now) {
    if (now >= write_deadline_) {
        ++counters().timeouts;
        close();
        return;
    }
    if (now < read_deadline_) return;
    read_deadline_ = never;
    switch (phase_) {
        case Phase::handshake:
            ++counters().timeouts;
            close();
            break;
        case Phase::head:
            if (!request_begun_) {
                close();
                break;
            }
            [[fallthrough]];
        case Phase::body: refuse_request(ErrorCode::request_timeout); break;
        case Phase::answering:
            refuse_body(ErrorCode::request_timeout);
            advance();
            break;
        case Phase::lingering: close(); break;
        case Phase::closed: break;
    }
}

void Connection::upgrade() {
    const auto state = exchange_;
    std::function<void(std::shared_ptr<WebSocket>)> done;
    {
        const std::lock_guard lock{state->mutex};
        done = std::exchange(state->on_upgrade, nullptr);
    }
    if (!state->request.websocket || buffered() > 0 || is_writing_ || !ticket_) {
        refuse_request(ErrorCode::malformed_request);
        run_logged([&] { done(nullptr); });
        return;
    }
    end_exchange(false, true);
    phase_ = Phase::closed;
    server().connections.erase(shared_from_this());
    ticket_->websocket = true;
    ++counters().websockets_open;
    accept_websocket(server().loop, std::move(stream_), state->request, state->upgrade_options,
                     std::move(state->upgrade_headers), std::move(ticket_), std::move(done));
    server().check_drained();
}

}  // namespace

// ---- The server ---------------------------------------------------------------------------------

namespace {

int choose_http_11(SSL*, const unsigned char** chosen, unsigned char* size,
                   const unsigned char* offered, unsigned int offered_size, void*) {
    static constexpr unsigned char ours[] = "\x08http/1.1";
    unsigned char* found = nullptr;
    const int result =
        SSL_select_next_proto(&found, size, ours, sizeof ours - 1, offered, offered_size);
    *chosen = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

asio::ssl::context make_tls(const HttpServerOptions& options) {
    asio::ssl::context context{asio::ssl::context::tls_server};
    SSL_CTX* native = context.native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_options(
        native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    // TLS 1.2: forward secrecy and AEAD only. TLS 1.3 has nothing else.
    if (SSL_CTX_set_cipher_list(native, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1)
        throw std::runtime_error{"the TLS ciphers are not available"};
    SSL_CTX_set_alpn_select_cb(native, &choose_http_11, nullptr);
    ErrorStatus failure;
    context.use_certificate_chain_file(options.certificate_file, failure);
    if (failure)
        throw std::runtime_error{"cannot use certificate " + options.certificate_file + ": " +
                                 failure.message()};
    context.use_private_key_file(options.private_key_file, asio::ssl::context::pem, failure);
    if (failure)
        throw std::runtime_error{"cannot use key " + options.private_key_file + ": " +
                                 failure.message()};
    if (SSL_CTX_check_private_key(native) != 1)
        throw std::runtime_error{"the private key does not belong to " + options.certificate_file};
    return context;
}

}  // namespace

void HttpServerState::listen() {
    ErrorStatus failure;
    const auto fail = [&](const char* what) {
        throw std::runtime_error{std::string{what} + " " + options.address + ":" +
                                 std::to_string(options.port) + ": " + failure.message()};
    };
    if (options.certificate_file.empty() != options.private_key_file.empty())
        throw std::runtime_error{"TLS needs both a certificate and a private key"};
    if (!options.certificate_file.empty()) tls.emplace(make_tls(options));
    const auto address = asio::ip::make_address(options.address, failure);
    if (failure) fail("cannot listen on");
    const Tcp::endpoint endpoint{address, options.port};
    acceptor.open(endpoint.protocol(), failure);
    if (failure) fail("cannot listen on");
    acceptor.set_option(asio::socket_base::reuse_address{true}, failure);
    if (address.is_v6()) acceptor.set_option(asio::ip::v6_only{false}, failure);
    acceptor.bind(endpoint, failure);
    if (failure) fail("cannot listen on");
    acceptor.listen(asio::socket_base::max_listen_connections, failure);
    if (failure) fail("cannot listen on");
    port = acceptor.local_endpoint().port();
}

void HttpServerState::accept() {
    acceptor.async_accept([self = shared_from_this()](ErrorStatus failure, Socket socket) {
        if (self->stopped) return;
        if (failure == asio::error::operation_aborted) return;
        if (failure && failure != asio::error::connection_aborted) {
            // Most likely out of descriptors: trying at once would spin.
            log::error("http_accept_failed", {{"detail", failure.message()}});
            self->pause = self->loop.call_after(accept_pause, [weak = self->weak_from_this()] {
                if (const auto state = weak.lock(); state && !state->stopped) state->accept();
            });
            return;
        }
        if (!failure) self->accepted(std::move(socket));
        self->accept();
    });
}

void HttpServerState::accepted(Socket socket) {
    ErrorStatus failure;
    const auto peer = socket.remote_endpoint(failure);
    if (failure) return;
    const auto address = plain_address(peer.address());
    const std::string key = address_key(address);
    ++counts->counters.connections;
    const auto known = counts->per_address.find(key);
    const bool too_many = counts->counters.connections_open >= options.limits.connections_max ||
                          (known != counts->per_address.end() &&
                           known->second >= options.limits.connections_per_address_max);
    if (too_many) {
        ++counts->counters.connections_refused;
        // A handshake costs more than the answer is worth; and the refused ones are bounded, too.
        if (tls || connections.size() >= static_cast<std::size_t>(options.limits.connections_max) +
                                             lingering_connections_max)
            return;
        std::make_shared<Connection>(shared_from_this(), Stream{std::move(socket)},
                                     address.to_string(), nullptr)
            ->start_refused(ErrorCode::too_many_connections);
        return;
    }
    auto ticket = std::make_shared<Ticket>(counts, key);
    Stream stream = tls ? Stream{std::move(socket), *tls} : Stream{std::move(socket)};
    std::make_shared<Connection>(shared_from_this(), std::move(stream), address.to_string(),
                                 std::move(ticket))
        ->start();
}

// One timer for all connections: a request then costs no timer operation at all. Deadlines are met
// up to a quarter of the shortest limit late, at most half a second.
void HttpServerState::sweep() {
    const HttpLimits& limits = options.limits;
    const Duration shortest = std::min({limits.header_read_max, limits.body_read_max,
                                        limits.idle_max, limits.write_max, linger_max});
    const std::int64_t tick_us = std::clamp<std::int64_t>(shortest.us / 4, 5'000, 500'000);
    sweeper.expires_after(std::chrono::microseconds{tick_us});
    sweeper.async_wait([weak = weak_from_this()](ErrorStatus failure) {
        const auto self = weak.lock();
        if (failure || !self) return;
        const auto all = self->all_connections();
        const SteadyTime now = SteadyClock::now();
        for (const auto& connection : all) connection->check_deadlines(now);
        self->sweep();
    });
}

void HttpServerState::check_drained() {
    if (!drained || !connections.empty()) return;
    drain_deadline.cancel();
    loop.post(std::exchange(drained, nullptr));
}

// Cuts everything.
void HttpServerState::shut() {
    stopped = true;
    ErrorStatus ignored;
    acceptor.close(ignored);
    sweeper.cancel();
    pause.cancel();
    drain_deadline.cancel();
    for (const auto& connection : all_connections()) connection->close();
    // What still waits here would keep itself alive: each exchange holds the mailbox that lists it.
    std::vector<std::shared_ptr<ExchangeState>> unread;
    const std::lock_guard lock{mailbox->mutex};
    mailbox->loop = nullptr;
    unread.swap(mailbox->changed);
}

HttpServer::HttpServer(EventLoop& loop, HttpServerOptions options, HttpHandler handler)
    : state_{std::make_shared<HttpServerState>(loop, std::move(options), std::move(handler))} {
    ENSURE(state_->handler.on_request && state_->handler.error_response);
    state_->listen();
    loop.post([state = state_] {
        if (state->stopped) return;
        state->accept();
        state->sweep();
    });
}

HttpServer::~HttpServer() { state_->shut(); }

std::uint16_t HttpServer::port() const noexcept { return state_->port; }

const HttpCounters& HttpServer::counters() const noexcept { return state_->counts->counters; }

void HttpServer::stop_accepting() {
    state_->loop.post([state = state_] {
        state->stopped = true;
        ErrorStatus ignored;
        state->acceptor.close(ignored);
    });
}

void HttpServer::drain(Duration deadline, std::function<void()> done) {
    stop_accepting();
    state_->mailbox->draining = true;
    state_->loop.post([state = state_, deadline, done = std::move(done)] {
        state->drained = done;
        state->drain_deadline = state->loop.call_after(deadline, [weak = std::weak_ptr{state}] {
            const auto self = weak.lock();
            if (!self) return;
            for (const auto& connection : self->all_connections()) connection->close();
            self->check_drained();
        });
        for (const auto& connection : state->all_connections()) connection->close_if_idle();
        state->check_drained();
    });
}

}  // namespace cocoon::net
