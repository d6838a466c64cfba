#include "net/websocket.hpp"

#include <sys/socket.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <deque>
#include <mutex>
#include <optional>

#include "core/log.hpp"
#include "net/stream.hpp"

namespace cocoon::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ws = boost::beast::websocket;

constexpr std::uint16_t going_away = 1001;
constexpr std::uint16_t abnormal = 1006;
constexpr std::size_t close_reason_bytes_max = 123;  // RFC 6455 §5.5
constexpr std::size_t masking_buffer_bytes = 64 << 10;

std::chrono::microseconds chrono_of(Duration duration) {
    return std::chrono::microseconds{duration.us};
}

void run_logged(const std::function<void()>& call) {
    try {
        call();
    } catch (const std::exception& failure) {
        log::error("websocket_callback_failed", {{"detail", failure.what()}});
    }
}

class Core;

// The half that any thread may touch. `core` is touched on the loop's thread only.
struct Shared : std::enable_shared_from_this<Shared> {
    struct Message {
        std::string bytes;
        bool binary = false;
    };

    mutable std::mutex mutex;
    EventLoop* loop = nullptr;  // nullptr: the connection is gone
    Core* core = nullptr;
    std::string remote_address;
    std::size_t pending_bytes_max = 0;

    std::deque<Message> outbox;
    std::size_t pending_bytes = 0;  // in the outbox or being written
    bool refused_send = false;
    bool closing = false;
    bool aborting = false;
    bool posted = false;
    bool closed_told = false;
    std::uint16_t close_code = 0;
    std::string close_reason;
    std::function<void(std::string_view, bool)> on_message;
    std::function<void()> on_drained;
    std::function<void(std::uint16_t, std::string)> on_closed;

    bool send(Message message);
    void wake(std::unique_lock<std::mutex>& lock);
};

// The half on the loop: owned by its own pending operations, so it ends with them or with the loop.
class Core : public std::enable_shared_from_this<Core> {
public:
    Core(EventLoop& loop, Stream stream, WebSocketOptions options, std::shared_ptr<void> ticket)
        : loop_{loop},
          socket_{std::move(stream)},
          options_{options},
          ticket_{std::move(ticket)},
          anchor_{socket_.get_executor()},
          patience_{socket_.get_executor()} {
        shared_->loop = &loop;
        shared_->core = this;
        shared_->pending_bytes_max = options.pending_bytes_max;
        ErrorStatus ignored;
        auto& tcp = socket_.next_layer().socket();
        tcp.set_option(Tcp::no_delay{true}, ignored);
        const auto peer = tcp.remote_endpoint(ignored);
        if (!ignored) shared_->remote_address = peer.address().to_string();
        configure();
    }
    ~Core() { end(abnormal, {}, false); }

    ws::stream<Stream, false>& socket() { return socket_; }
    std::shared_ptr<WebSocket> handle();
    void run();
    void service();
    void end(std::uint16_t code, std::string reason, bool tell);

private:
    void configure();
    void read();
    void took(ErrorStatus failure);
    void write();
    void wrote(ErrorStatus failure);
    void begin_close();

    EventLoop& loop_;
    ws::stream<Stream, false> socket_;
    const WebSocketOptions options_;
    std::shared_ptr<void> ticket_;
    const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
    asio::steady_timer anchor_;    // its wait owns the Core while nothing is being read
    asio::steady_timer patience_;  // bounds the flush and the handshake of a close
    beast::flat_buffer buffer_;
    Shared::Message writing_;
    bool is_writing_ = false;
    bool message_waits_ = false;  // one whole message came before on_message was set
    bool close_begun_ = false;
    bool close_sent_ = false;
    bool ended_ = false;
};

// What users hold. Dropping it closes the connection.
class Handle final : public WebSocket {
public:
    explicit Handle(std::shared_ptr<Shared> shared) : shared_{std::move(shared)} {}
    ~Handle() override { close(going_away, {}); }

    bool send_text(std::string text) override { return shared_->send({std::move(text), false}); }
    bool send_binary(std::string bytes) override { return shared_->send({std::move(bytes), true}); }
    std::size_t pending_bytes() const override {
        const std::lock_guard lock{shared_->mutex};
        return shared_->pending_bytes;
    }
    bool closed() const override {
        const std::lock_guard lock{shared_->mutex};
        return shared_->loop == nullptr || shared_->closing;
    }
    void on_message(std::function<void(std::string_view, bool)> call) override {
        set([&] { shared_->on_message = std::move(call); });
    }
    void on_drained(std::function<void()> call) override {
        set([&] { shared_->on_drained = std::move(call); });
    }
    void on_closed(std::function<void(std::uint16_t, std::string)> call) override;
    void close(std::uint16_t code, std::string reason) override {
        reason.resize(std::min(reason.size(), close_reason_bytes_max));
        std::unique_lock lock{shared_->mutex};
        if (shared_->closing || !shared_->loop) return;
        shared_->closing = true;
        shared_->close_code = code;
        shared_->close_reason = std::move(reason);
        shared_->wake(lock);
    }
    void abort() override {
        std::unique_lock lock{shared_->mutex};
        if (!shared_->loop) return;
        shared_->closing = shared_->aborting = true;
        shared_->wake(lock);
    }
    const std::string& remote_address() const override { return shared_->remote_address; }

private:
    template <class Set>
    void set(const Set& assign) {
        std::unique_lock lock{shared_->mutex};
        if (!shared_->loop) return;
        assign();
        shared_->wake(lock);
    }

    const std::shared_ptr<Shared> shared_;
};

bool Shared::send(Message message) {
    std::unique_lock lock{mutex};
    if (!loop || closing) return false;
    const std::size_t bytes = message.bytes.size();
    if (pending_bytes + bytes > pending_bytes_max) {
        refused_send = true;
        return false;
    }
    pending_bytes += bytes;
    outbox.push_back(std::move(message));
    wake(lock);
    return true;
}

// Lets the core look at what changed: now when this is the loop's thread, else by one post for any
// number of changes. REQUIRES: `lock` holds the mutex; released here.
void Shared::wake(std::unique_lock<std::mutex>& lock) {
    if (!loop) return;
    if (loop->in_loop_thread()) {
        lock.unlock();
        const auto keep = shared_from_this();
        if (core) core->service();
        return;
    }
    if (posted) return;
    posted = true;
    loop->post([shared = shared_from_this()] {
        {
            const std::lock_guard relock{shared->mutex};
            shared->posted = false;
        }
        if (shared->core) shared->core->service();
    });
}

void Handle::on_closed(std::function<void(std::uint16_t, std::string)> call) {
    std::unique_lock lock{shared_->mutex};
    if (!shared_->closed_told) {
        shared_->on_closed = std::move(call);
        return;
    }
    const std::uint16_t code = shared_->close_code;
    std::string reason = shared_->close_reason;
    lock.unlock();
    call(code, std::move(reason));
}

void Core::configure() {
    ws::stream_base::timeout timeout{};
    timeout.handshake_timeout = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        chrono_of(options_.handshake_timeout));
    // Beast pings after half of this time of silence and gives up after the whole.
    timeout.idle_timeout = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        chrono_of(options_.ping_interval * 2));
    timeout.keep_alive_pings = true;
    socket_.set_option(timeout);
    socket_.read_message_max(options_.message_bytes_max);
    socket_.auto_fragment(false);
    socket_.write_buffer_bytes(masking_buffer_bytes);
}

std::shared_ptr<WebSocket> Core::handle() { return std::make_shared<Handle>(shared_); }

// Starts reading. REQUIRES: the opening handshake is done.
void Core::run() {
    anchor_.expires_at(std::chrono::steady_clock::time_point::max());
    anchor_.async_wait([self = shared_from_this()](ErrorStatus) {});
    read();
}

void Core::read() {
    socket_.async_read(buffer_, [self = shared_from_this()](ErrorStatus failure, std::size_t) {
        self->took(failure);
    });
}

void Core::took(ErrorStatus failure) {
    if (ended_) return;
    if (failure) {
        std::uint16_t code = abnormal;
        std::string reason;
        if (failure == ws::error::closed) {
            code = socket_.reason().code == ws::close_code::none ? 1005 : socket_.reason().code;
            reason.assign(socket_.reason().reason.data(), socket_.reason().reason.size());
        } else if (failure == ws::error::message_too_big || failure == ws::error::buffer_overflow) {
            code = ws::close_code::too_big;
        } else if (failure.category() == make_error_code(ws::error::bad_opcode).category()) {
            code = ws::close_code::protocol_error;
        }
        end(code, std::move(reason), true);
        return;
    }
    message_waits_ = true;
    service();
}

// Looks at everything that may have changed. Loop's thread; may be entered from a callback.
void Core::service() {
    const auto self = shared_from_this();
    if (ended_) return;
    std::unique_lock lock{shared_->mutex};
    if (shared_->aborting) {
        lock.unlock();
        end(abnormal, {}, true);
        return;
    }
    if (shared_->closing && !close_begun_) {
        close_begun_ = true;
        patience_.expires_after(chrono_of(options_.handshake_timeout));
        patience_.async_wait([self](ErrorStatus failure) {
            if (!failure) self->end(abnormal, {}, true);
        });
        if (shared_->outbox.empty() && !is_writing_) {
            lock.unlock();
            begin_close();
            lock.lock();
        }
    }
    const bool has_output = !shared_->outbox.empty();
    std::function<void(std::string_view, bool)> on_message;
    if (message_waits_ && (shared_->on_message || shared_->closing))
        on_message = shared_->on_message;
    const bool consume = message_waits_ && (on_message || shared_->closing);
    const bool deliver = consume && on_message && !shared_->closing;
    lock.unlock();

    if (has_output && !is_writing_) write();
    if (!consume) return;
    message_waits_ = false;
    if (deliver) {
        const auto data = buffer_.data();
        const std::string_view bytes{static_cast<const char*>(data.data()), data.size()};
        const bool binary = socket_.got_binary();
        run_logged([&] { on_message(bytes, binary); });
    }
    if (ended_) return;
    buffer_.consume(buffer_.size());
    read();
}

void Core::write() {
    {
        const std::lock_guard lock{shared_->mutex};
        writing_ = std::move(shared_->outbox.front());
        shared_->outbox.pop_front();
    }
    is_writing_ = true;
    socket_.binary(writing_.binary);
    socket_.async_write(
        asio::const_buffer{writing_.bytes.data(), writing_.bytes.size()},
        [self = shared_from_this()](ErrorStatus failure, std::size_t) { self->wrote(failure); });
}

void Core::wrote(ErrorStatus failure) {
    is_writing_ = false;
    if (ended_) return;
    if (failure) {
        end(abnormal, {}, true);
        return;
    }
    std::function<void()> drained;
    bool more = false;
    bool close_now = false;
    {
        const std::lock_guard lock{shared_->mutex};
        shared_->pending_bytes -= writing_.bytes.size();
        more = !shared_->outbox.empty();
        close_now = shared_->closing && !more;
        if (shared_->refused_send && shared_->pending_bytes < shared_->pending_bytes_max / 2) {
            shared_->refused_send = false;
            drained = shared_->on_drained;
        }
    }
    if (more)
        write();
    else if (close_now)
        begin_close();
    if (drained) run_logged(drained);
}

void Core::begin_close() {
    // the last write and the wish to close may both ask
    if (std::exchange(close_sent_, true)) return;
    ws::close_reason reason;
    {
        const std::lock_guard lock{shared_->mutex};
        reason.code = shared_->close_code;
        reason.reason.assign(shared_->close_reason.data(), shared_->close_reason.size());
    }
    socket_.async_close(reason, [self = shared_from_this()](ErrorStatus failure) {
        std::uint16_t code = abnormal;
        std::string text;
        if (!failure) {
            const std::lock_guard lock{self->shared_->mutex};
            code = self->shared_->close_code;
            text = self->shared_->close_reason;
        }
        self->end(code, std::move(text), true);
    });
}

// The connection is over: nothing of the socket is used afterwards. Once.
void Core::end(std::uint16_t code, std::string reason, bool tell) {
    if (ended_) return;
    ended_ = true;
    std::function<void(std::uint16_t, std::string)> on_closed;
    std::function<void(std::string_view, bool)> on_message;  // destroyed outside the lock
    std::function<void()> on_drained;
    {
        const std::lock_guard lock{shared_->mutex};
        shared_->loop = nullptr;
        shared_->core = nullptr;
        shared_->outbox.clear();
        shared_->pending_bytes = 0;
        shared_->closed_told = true;
        shared_->close_code = code;
        shared_->close_reason = reason;
        on_closed = std::move(shared_->on_closed);
        on_message = std::move(shared_->on_message);
        on_drained = std::move(shared_->on_drained);
        shared_->on_closed = nullptr;
        shared_->on_message = nullptr;
        shared_->on_drained = nullptr;
    }
    anchor_.cancel();
    patience_.cancel();
    socket_.next_layer().cut();
    ticket_.reset();
    if (tell && on_closed) run_logged([&] { on_closed(code, std::move(reason)); });
}

ErrorCode code_of_status(unsigned status) {
    switch (status) {
        case 401: return ErrorCode::unauthenticated;
        case 403: return ErrorCode::forbidden;
        case 404: return ErrorCode::not_found;
        case 409: return ErrorCode::wrong_state;
        case 429: return ErrorCode::rate_limited;
        case 503: return ErrorCode::overloaded;
        default: return ErrorCode::upstream_failed;
    }
}

struct Url {
    bool secure = false;
    std::string host;       // without brackets
    std::string authority;  // for the Host field
    std::string port;
    std::string target;
};

Result<Url> parse_url(std::string_view text) {
    const auto bad = [] {
        return refuse(ErrorCode::malformed_request, "not a ws:// or wss:// URL");
    };
    Url url;
    if (text.starts_with("wss://"))
        url.secure = true;
    else if (!text.starts_with("ws://"))
        return bad();
    text.remove_prefix(url.secure ? 6 : 5);
    for (const char c : text)
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F || c == '#') return bad();
    const std::size_t slash = text.find_first_of("/?");
    std::string_view authority = text.substr(0, slash);
    url.target = slash == std::string_view::npos ? "/" : std::string{text.substr(slash)};
    if (url.target.front() == '?') url.target.insert(0, "/");
    if (authority.find('@') != std::string_view::npos) return bad();
    url.authority = authority;
    std::string_view port;
    if (authority.starts_with('[')) {
        const std::size_t end = authority.find(']');
        if (end == std::string_view::npos) return bad();
        url.host = authority.substr(1, end - 1);
        authority.remove_prefix(end + 1);
        if (!authority.empty() && !authority.starts_with(':')) return bad();
        port = authority.empty() ? authority : authority.substr(1);
    } else {
        const std::size_t colon = authority.find(':');
        url.host = authority.substr(0, colon);
        if (colon != std::string_view::npos) port = authority.substr(colon + 1);
    }
    if (port.size() > 5 || port.find_first_not_of("0123456789") != std::string_view::npos)
        return bad();
    url.port = port.empty() ? (url.secure ? "443" : "80") : std::string{port};
    if (url.host.empty()) return bad();
    return url;
}

// One attempt to open a WebSocket: resolve, connect, TLS, HTTP. Owned by its pending operation.
class Connector : public std::enable_shared_from_this<Connector> {
public:
    using Done = std::function<void(Result<std::shared_ptr<WebSocket>>)>;

    Connector(EventLoop& loop, Url url, Headers headers, WebSocketConnectOptions options, Done done)
        : loop_{loop},
          url_{std::move(url)},
          headers_{std::move(headers)},
          options_{std::move(options)},
          done_{std::move(done)},
          resolver_{loop.context()},
          socket_{loop.context().get_executor()},
          patience_{loop.context()} {}

    void start() {
        patience_.expires_after(chrono_of(options_.socket.handshake_timeout));
        patience_.async_wait([weak = weak_from_this()](ErrorStatus failure) {
            if (const auto self = weak.lock(); self && !failure) self->give_up();
        });
        resolver_.async_resolve(
            url_.host, url_.port,
            [self = shared_from_this()](ErrorStatus failure, Tcp::resolver::results_type found) {
                self->resolved(failure, found);
            });
    }

private:
    void give_up();
    void resolved(ErrorStatus failure, const Tcp::resolver::results_type& found);
    void connected(ErrorStatus failure);
    void start_tls();
    void start_handshake(Stream stream);
    void shook_hands(ErrorStatus failure);
    void finish(Result<std::shared_ptr<WebSocket>> result);

    EventLoop& loop_;
    const Url url_;
    const Headers headers_;
    const WebSocketConnectOptions options_;
    Done done_;
    Tcp::resolver resolver_;
    Socket socket_;
    asio::steady_timer patience_;
    std::optional<asio::ssl::context> tls_;
    std::optional<Stream> stream_;
    std::shared_ptr<Core> core_;
    ws::response_type answer_;
};

void Connector::finish(Result<std::shared_ptr<WebSocket>> result) {
    if (!done_) return;
    patience_.cancel();
    const Done done = std::move(done_);
    done_ = nullptr;
    run_logged([&] { done(std::move(result)); });
}

void Connector::give_up() {
    resolver_.cancel();
    ErrorStatus ignored;
    socket_.close(ignored);
    if (stream_) stream_->cut();
    if (core_) core_->socket().next_layer().cut();
    finish(refuse(ErrorCode::deadline_exceeded, "the peer did not answer in time"));
}

void Connector::resolved(ErrorStatus failure, const Tcp::resolver::results_type& found) {
    if (!done_) return;
    if (failure) return finish(refuse(ErrorCode::node_unavailable, "the name cannot be resolved"));
    asio::async_connect(socket_, found,
                        [self = shared_from_this()](ErrorStatus status, const Tcp::endpoint&) {
                            self->connected(status);
                        });
}

void Connector::connected(ErrorStatus failure) {
    if (!done_) return;
    if (failure) return finish(refuse(ErrorCode::node_unavailable, failure.message()));
    if (url_.secure)
        start_tls();
    else
        start_handshake(Stream{std::move(socket_)});
}

void Connector::start_tls() {
    ErrorStatus failure;
    tls_.emplace(asio::ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(tls_->native_handle(), TLS1_2_VERSION);
    if (options_.ca_file.empty())
        tls_->set_default_verify_paths(failure);
    else
        tls_->load_verify_file(options_.ca_file, failure);
    if (failure) return finish(refuse(ErrorCode::node_unavailable, "the CA file cannot be used"));
    stream_.emplace(std::move(socket_), *tls_);
    auto& tls = *stream_->tls();
    tls.set_verify_mode(asio::ssl::verify_peer, failure);
    tls.set_verify_callback(asio::ssl::host_name_verification{url_.host}, failure);
    SSL_set_tlsext_host_name(tls.native_handle(), url_.host.c_str());
    tls.async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](
                                                            ErrorStatus status) {
        if (!self->done_) return;
        if (status)
            return self->finish(refuse(ErrorCode::node_unavailable, "TLS: " + status.message()));
        Stream stream = std::move(*self->stream_);
        self->stream_.reset();
        self->start_handshake(std::move(stream));
    });
}

void Connector::start_handshake(Stream stream) {
    core_ = std::make_shared<Core>(loop_, std::move(stream), options_.socket, nullptr);
    core_->socket().set_option(
        ws::stream_base::decorator([headers = headers_](ws::request_type& request) {
            for (const Header& field : headers) request.insert(field.name, field.value);
        }));
    core_->socket().async_handshake(
        answer_, url_.authority, url_.target,
        [self = shared_from_this()](ErrorStatus failure) { self->shook_hands(failure); });
}

void Connector::shook_hands(ErrorStatus failure) {
    if (!done_) return;
    const auto core = std::move(core_);
    core_ = nullptr;
    if (failure == ws::error::upgrade_declined)
        return finish(
            refuse(code_of_status(answer_.result_int()),
                   "the upgrade was refused with status " + std::to_string(answer_.result_int())));
    if (failure == beast::error::timeout)
        return finish(refuse(ErrorCode::deadline_exceeded, "the peer did not answer in time"));
    if (failure) return finish(refuse(ErrorCode::upstream_failed, failure.message()));
    auto handle = core->handle();
    core->run();
    finish(std::move(handle));
}

}  // namespace

void accept_websocket(EventLoop& loop, Stream stream, const Request& request,
                      WebSocketOptions options, Headers headers, std::shared_ptr<void> ticket,
                      std::function<void(std::shared_ptr<WebSocket>)> done) {
    http::request<http::empty_body> upgrade;
    upgrade.method(http::verb::get);
    upgrade.target(request.target);
    upgrade.version(11);
    for (const Header& field : request.headers) upgrade.insert(field.name, field.value);
    const auto core = std::make_shared<Core>(loop, std::move(stream), options, std::move(ticket));
    headers.set("X-Request-Id", request.id);
    core->socket().set_option(
        ws::stream_base::decorator([headers = std::move(headers)](ws::response_type& answer) {
            answer.erase(http::field::server);
            for (const Header& field : headers) answer.insert(field.name, field.value);
        }));
    core->socket().async_accept(upgrade, [core, done = std::move(done)](ErrorStatus failure) {
        if (failure) {
            core->end(abnormal, {}, false);
            run_logged([&] { done(nullptr); });
            return;
        }
        auto handle = core->handle();
        core->run();
        run_logged([&] { done(std::move(handle)); });
    });
}

void connect_websocket(EventLoop& loop, const std::string& url, Headers headers,
                       WebSocketConnectOptions options,
                       std::function<void(Result<std::shared_ptr<WebSocket>>)> done) {
    auto parsed = parse_url(url);
    if (!parsed) {
        loop.post([done = std::move(done), error = parsed.error()] { done(error); });
        return;
    }
    for (const Header& field : headers)
        if ((field.name + field.value).find_first_of(std::string_view{"\r\n\0", 3}) !=
            std::string::npos) {
            loop.post([done = std::move(done)] {
                done(refuse(ErrorCode::malformed_request, "a header cannot be sent"));
            });
            return;
        }
    loop.post([&loop, url = std::move(*parsed), headers = std::move(headers),
               options = std::move(options), done = std::move(done)] {
        std::make_shared<Connector>(loop, url, headers, options, done)->start();
    });
}

}  // namespace cocoon::net
