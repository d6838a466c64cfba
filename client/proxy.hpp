// `cocoon-client serve`: the OpenAI-compatible server on localhost. Owns the event loop, the HTTP
// server and every part behind it; routes requests to worker threads, one for each call in flight.
// Started by main.cpp and by tests; run() blocks its thread. No business rule lives here.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "client/call.hpp"
#include "client/channel.hpp"
#include "client/config.hpp"
#include "net/event_loop.hpp"
#include "net/http_server.hpp"
#include "net/worker_pool.hpp"

namespace cocoon::client {

// /v1/models is asked of the market this often at most
constexpr Duration models_cached = seconds(5);

class Proxy {
public:
    // Listens at once: a port that is taken is refused here. REQUIRES: check_servable(config).
    static Result<std::unique_ptr<Proxy>> start(Config config);
    ~Proxy();

    // Serves until stop() or SIGTERM/SIGINT (when `on_signals`), then finishes calls in flight.
    void run(bool on_signals);
    void stop();
    std::uint16_t port() const;

private:
    explicit Proxy(Config config);

    net::Decision decide(const net::RequestHead& head) const;
    void route(std::shared_ptr<net::Exchange> exchange);
    void submit(std::shared_ptr<net::Exchange> exchange, std::function<void(net::Exchange&)> work);
    void serve_models(net::Exchange& exchange, const std::string& id);
    Result<std::string> models();  // the list as JSON text

    const Config config_;
    SystemClock clock_;
    MarketApi market_;
    TrustStore trust_;
    SessionPool sessions_;
    ReceiptKeeper receipts_;
    CallServices services_;
    net::EventLoop loop_;
    std::unique_ptr<net::HttpServer> server_;
    std::mutex models_mutex_;
    std::string models_text_;
    Instant models_at_;
    std::atomic<std::int64_t> in_flight_{0};
    std::unique_ptr<net::WorkerPool> workers_;
    std::unique_ptr<ChannelFeeder> feeder_;  // with a channel only
};

// The market's model list as the SDK gets it: every member kept, `pricing`, `trust` and
// `context_length` always there. `upstream_failed` when it is no list.
Result<std::string> model_list(const sealing::Json& answer, const Config& config);

}  // namespace cocoon::client
