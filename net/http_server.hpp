// The HTTP/1.1 server (RFC 9110, 9112) of every program: connections, limits, timeouts, TLS,
// streaming and the upgrade to a WebSocket. It runs on an EventLoop's thread; an Exchange may be
// answered from any thread. It knows no routes and no error format: both come from the caller.
// Beast stays in the .cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/limits.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "net/event_loop.hpp"
#include "net/http.hpp"
#include "net/websocket.hpp"

namespace cocoon::net {

// A piece of a streamed request body.
struct BodyPiece {
    std::string bytes;  // may be empty in the last piece
    bool last = false;
};

// One request and its answer. Every method may be called from any thread; callbacks run on the
// loop's thread. Dropping the last reference without an answer answers 500, or cuts a stream begun.
// Callbacks must not own the Exchange (capture a weak_ptr), or it is never dropped while the peer
// stays.
class Exchange {
public:
    virtual ~Exchange() = default;

    virtual const Request& request() const = 0;

    // Answers whole. Only the first answer counts; later ones are ignored.
    virtual void respond(Response response) = 0;

    // Answers in pieces: start, write…, then finish or abort. Chunked for HTTP/1.1, until close
    // for 1.0.
    virtual void start(int status, Headers headers) = 0;
    // Queues `bytes` as one chunk. False, and nothing queued, when the peer is gone (closed()) or
    // pending_bytes() has already reached the bound: then wait for on_drained and write again.
    virtual bool write(std::string bytes) = 0;
    // The same for worker threads: waits for room. False only when the peer is gone.
    // REQUIRES: not the loop's thread.
    virtual bool write_blocking(std::string bytes) = 0;
    // `trailers` (RFC 9110 §6.5) follow the last chunk; they are lost where the answer is not
    // chunked (HTTP/1.0, HEAD), so they may only repeat what can be had otherwise.
    virtual void finish(Headers trailers) = 0;
    void finish() { finish(Headers{}); }
    // Cuts the connection without the last chunk, so that the peer sees the truncation.
    virtual void abort() = 0;

    // Bytes written but not yet taken by the peer's connection.
    virtual std::size_t pending_bytes() const = 0;
    // Called once when pending_bytes() is below half of the bound; at once (posted) if it already
    // is. Setting replaces the one set before.
    virtual void on_drained(std::function<void()> call) = 0;

    // The peer hung up (or was cut) before the answer was complete.
    virtual bool closed() const = 0;
    // Called once when that happens; at once (posted) if it already has. Dropped when the answer is
    // complete. Several may be set.
    virtual void on_closed(std::function<void()> call) = 0;

    // Streamed bodies only: asks for the next piece and gets it once. Not asking is the
    // backpressure: at most one buffer of unread bytes is kept, then TCP holds the sender. No piece
    // follows `last`. Errors: stream_truncated (peer gone), body_too_large, request_timeout,
    // malformed_request.
    virtual void read_body(std::function<void(Result<BodyPiece>)> call) = 0;

    // Answers 101 and hands the connection over; `done` gets the socket, or nullptr when the peer
    // is gone or had not asked properly (then 400 was answered). `headers` go into the 101.
    virtual void upgrade(WebSocketOptions options, Headers headers,
                         std::function<void(std::shared_ptr<WebSocket>)> done) = 0;
};

// What to do with a request once its head is known.
struct Decision {
    enum class Kind { accept, stream, reject };
    Kind kind = Kind::accept;
    std::size_t body_bytes_max = limits::http_body_bytes_max;  // more: 413 before or while reading
    Response response;                                         // for reject

    // The whole body, then on_request.
    static Decision accept(std::size_t body_bytes_max = limits::http_body_bytes_max) {
        return {Kind::accept, body_bytes_max, {}};
    }
    // on_request now; the body by Exchange::read_body as it arrives.
    static Decision stream(std::size_t body_bytes_max = limits::http_sealed_body_bytes_max) {
        return {Kind::stream, body_bytes_max, {}};
    }
    // This answer now; the body is not read.
    static Decision reject(Response response) { return {Kind::reject, 0, std::move(response)}; }
};

// All three run on the loop's thread and must not wait for anything.
struct HttpHandler {
    // Optional; without it every request is accepted with the default body limit.
    std::function<Decision(const RequestHead&)> on_head;
    std::function<void(std::shared_ptr<Exchange>)> on_request;
    // The protocol's own refusals (malformed_request, request_timeout, body_too_large,
    // uri_too_long, headers_too_large, too_many_connections, draining, internal_error) in the
    // caller's shape.
    std::function<Response(ErrorCode, std::string_view request_id)> error_response;
};

struct HttpLimits {
    std::size_t header_bytes_max = limits::http_header_bytes_max;  // 431
    std::size_t target_bytes_max = limits::http_target_bytes_max;  // 414
    Duration header_read_max =
        seconds(limits::http_header_read_seconds_max);  // 408, from the first byte
    // Whole bodies: from head to end. Streamed: from asking for a piece to its arrival. 408.
    Duration body_read_max = seconds(limits::http_body_read_seconds_max);
    Duration idle_max = seconds(limits::http_idle_seconds_max);  // keep-alive, closed silently
    Duration write_max =
        seconds(limits::http_write_seconds_max);         // a reader that takes nothing, cut
    int connections_max = limits::http_connections_max;  // 429
    int connections_per_address_max = limits::http_connections_per_address_max;
    std::size_t response_pending_bytes_max = limits::http_response_pending_bytes_max;
};

struct HttpServerOptions {
    std::string address = "127.0.0.1";  // "0.0.0.0", "::"
    std::uint16_t port = 0;             // 0: the kernel chooses
    std::string certificate_file;       // PEM chain; both set = TLS 1.2 or newer
    std::string private_key_file;       // PEM
    Headers fields;                     // sent with every answer, before its own
    HttpLimits limits;
};

// Counters since start; read from any thread.
struct HttpCounters {
    std::atomic<std::int64_t> connections_open{0};  // WebSockets included
    std::atomic<std::int64_t> websockets_open{0};
    std::atomic<std::int64_t> exchanges_open{0};
    std::atomic<std::uint64_t> connections{0};
    std::atomic<std::uint64_t> connections_refused{0};
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> bytes_in{0};  // before TLS; without WebSockets
    std::atomic<std::uint64_t> bytes_out{0};
    std::atomic<std::uint64_t> timeouts{0};
    std::atomic<std::uint64_t> protocol_errors{0};  // 400, 413, 414, 431
    std::atomic<std::uint64_t> hang_ups{0};         // peers gone before their answer was complete
};

struct HttpServerState;

class HttpServer {
public:
    // Listens at once; connections are served while `loop` runs. Throws std::runtime_error when the
    // address cannot be bound or the certificate cannot be used.
    HttpServer(EventLoop& loop, HttpServerOptions options, HttpHandler handler);
    // Cuts every connection. REQUIRES: the loop's thread, or the loop is not running.
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    std::uint16_t port() const noexcept;
    const HttpCounters& counters() const noexcept;

    // Closes the listening socket; open connections go on. Any thread.
    void stop_accepting();
    // Also closes idle connections, marks every answer `Connection: close`, and calls `done`
    // (loop's thread, once) when none is left, or after `deadline`, when the rest is cut.
    // WebSockets are their owners' business: neither waited for nor cut. Any thread.
    void drain(Duration deadline, std::function<void()> done);

private:
    std::shared_ptr<HttpServerState> state_;
};

}  // namespace cocoon::net
