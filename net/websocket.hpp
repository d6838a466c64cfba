// A WebSocket (RFC 6455), accepted by HttpServer or opened by connect_websocket. Carries the relay.
// Every method may be called from any thread; callbacks run on the loop's thread. Knows nothing of
// what the messages mean. Permessage-deflate is off (sealed bytes do not compress), Nagle too.
#pragma once

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

namespace cocoon::net {

struct WebSocketOptions {
    std::size_t message_bytes_max =
        limits::relay_frame_bytes_max + 1024;  // larger: closed with 1009
    // Sent but not yet taken by the peer; a send beyond it is refused.
    std::size_t pending_bytes_max = 4 * limits::relay_window_bytes;
    // A peer silent for `ping_interval` is pinged, and closed when it stays silent as long again.
    Duration ping_interval = seconds(limits::relay_ping_seconds);
    Duration handshake_timeout = seconds(10);  // opening (TCP, TLS, HTTP) and closing
};

class WebSocket {
public:
    virtual ~WebSocket() = default;

    // Queues one message. False, and nothing queued, when the socket is closed or pending_bytes()
    // would pass the bound (then closed() tells which).
    virtual bool send_text(std::string text) = 0;
    virtual bool send_binary(std::string bytes) = 0;
    virtual std::size_t pending_bytes() const = 0;
    virtual bool closed() const = 0;

    // Called for each whole message. Messages that arrive before it is set wait in the socket. The
    // view is valid during the call. Set it before on_closed.
    virtual void on_message(std::function<void(std::string_view bytes, bool binary)> call) = 0;
    // Called each time the pending bytes have fallen below half of the bound after a refused send.
    virtual void on_drained(std::function<void()> call) = 0;
    // Called once when the socket is gone, for whatever cause (1006 without a close frame); at once
    // if it already is. Afterwards all callbacks are dropped.
    virtual void on_closed(std::function<void(std::uint16_t code, std::string reason)> call) = 0;

    // Sends what is pending, then a close frame; the handshake may take `handshake_timeout`, then
    // the connection is cut. Nothing can be sent afterwards. `reason` is cut to 123 bytes.
    virtual void close(std::uint16_t code = 1000, std::string reason = {}) = 0;
    // Cuts the connection now.
    virtual void abort() = 0;

    // "192.0.2.7"
    virtual const std::string& remote_address() const = 0;
};

struct WebSocketConnectOptions {
    WebSocketOptions socket;
    std::string
        ca_file;  // PEM; empty = the system's store. wss:// is always verified, name included.
};

// Opens `url` (ws://host[:port]/path or wss://…) and calls `done` once, on the loop's thread.
// Errors: malformed_request (url), node_unavailable (cannot connect, TLS), deadline_exceeded,
// unauthenticated/forbidden/overloaded… by the status of a refused handshake, else upstream_failed.
void connect_websocket(EventLoop& loop, const std::string& url, Headers headers,
                       WebSocketConnectOptions options,
                       std::function<void(Result<std::shared_ptr<WebSocket>>)> done);

}  // namespace cocoon::net
