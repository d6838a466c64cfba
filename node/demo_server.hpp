// The demo engine behind a socket: answers of demo_engine over net's HTTP server, with the
// configured delay between tokens and the configured failure. Called by main_demo_engine and tests;
// runs on the loop's thread. Must not know what the answers mean.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "net/event_loop.hpp"
#include "net/http_server.hpp"
#include "node/demo_engine.hpp"

namespace cocoon::node::demo {

class Server {
public:
    // Throws std::runtime_error when the address cannot be bound. Port 0: the kernel chooses.
    Server(net::EventLoop& loop, const std::string& address, std::uint16_t port, Options options);
    // REQUIRES: the loop's thread, or the loop is not running.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    std::uint16_t port() const { return server_->port(); }
    // Answers that are being written now, and how many callers hung up before theirs was complete.
    // Loop's thread.
    std::size_t open_answers() const { return streams_.size(); }
    std::uint64_t hang_ups() const { return server_->counters().hang_ups.load(); }
    void stop_accepting() { server_->stop_accepting(); }

private:
    struct Stream {
        std::shared_ptr<net::Exchange> exchange;
        Answer answer;
        std::size_t next = 0;
        net::Timer timer;
    };

    void serve(std::shared_ptr<net::Exchange> exchange);
    void advance(std::uint64_t number);
    void write_event(std::uint64_t number);

    net::EventLoop& loop_;
    Options options_;
    std::map<std::uint64_t, Stream> streams_;
    std::uint64_t streams_begun_ = 0;
    std::unique_ptr<net::HttpServer> server_;
};

}  // namespace cocoon::node::demo
