// Private to net/*.cpp (the one header that shows Asio): a TCP connection, plain or TLS, behind one
// type, so that the HTTP server and the WebSocket exist once. Loop's thread only.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/teardown.hpp>
#include <functional>
#include <memory>
#include <string>

#include "net/http.hpp"
#include "net/websocket.hpp"

namespace cocoon::net {

using Tcp = boost::asio::ip::tcp;
using IoExecutor = boost::asio::io_context::executor_type;
using Socket = boost::asio::basic_stream_socket<Tcp, IoExecutor>;
using ErrorStatus = boost::system::error_code;

class Stream {
public:
    using executor_type = IoExecutor;
    using Tls = boost::asio::ssl::stream<Socket>;

    explicit Stream(Socket socket) : plain_{std::move(socket)} {}
    Stream(Socket socket, boost::asio::ssl::context& context)
        : plain_{socket.get_executor()}, tls_{std::make_unique<Tls>(std::move(socket), context)} {}

    executor_type get_executor() { return socket().get_executor(); }
    Socket& socket() { return tls_ ? tls_->next_layer() : plain_; }
    Tls* tls() { return tls_.get(); }

    template <class Buffers, class Handler>
    void async_read_some(const Buffers& buffers, Handler&& handler) {
        if (tls_)
            tls_->async_read_some(buffers, std::forward<Handler>(handler));
        else
            plain_.async_read_some(buffers, std::forward<Handler>(handler));
    }

    template <class Buffers, class Handler>
    void async_write_some(const Buffers& buffers, Handler&& handler) {
        if (tls_)
            tls_->async_write_some(buffers, std::forward<Handler>(handler));
        else
            plain_.async_write_some(buffers, std::forward<Handler>(handler));
    }

    void cut() {
        ErrorStatus ignored;
        socket().close(ignored);
    }

private:
    Socket plain_;
    std::unique_ptr<Tls> tls_;
};

// What Beast's WebSocket asks of a stream of its own kind, found by argument-dependent lookup.
inline void beast_close_socket(Stream& stream) { stream.cut(); }

inline void teardown(boost::beast::role_type role, Stream& stream, ErrorStatus& failure) {
    if (stream.tls())
        boost::beast::teardown(role, *stream.tls(), failure);
    else
        boost::beast::websocket::teardown(role, stream.socket(), failure);
}

template <class Handler>
void async_teardown(boost::beast::role_type role, Stream& stream, Handler&& handler) {
    if (stream.tls())
        boost::beast::async_teardown(role, *stream.tls(), std::forward<Handler>(handler));
    else
        boost::beast::websocket::async_teardown(role, stream.socket(),
                                                std::forward<Handler>(handler));
}

// Answers the upgrade `request` (already found to be proper) on `stream` and hands the socket to
// `done`, or nullptr if the peer is gone. `ticket` is kept as long as the connection is.
void accept_websocket(EventLoop& loop, Stream stream, const Request& request,
                      WebSocketOptions options, Headers headers, std::shared_ptr<void> ticket,
                      std::function<void(std::shared_ptr<WebSocket>)> done);

}  // namespace cocoon::net
