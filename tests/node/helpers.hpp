// What the node's tests share: a scratch directory, a loop on its own thread, settings, and a
// client that seals to a keyset as cocoon-client does.
#pragma once

#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "net/event_loop.hpp"
#include "node/demo_server.hpp"
#include "node/exchange.hpp"
#include "node/inference_request.hpp"
#include "node/settings.hpp"
#include "sealing/binary_http.hpp"
#include "sealing/ohttp.hpp"

namespace cocoon::node::test {

class ScratchDirectory {
public:
    ScratchDirectory() {
        char name[] = "/tmp/cocoon-node-test-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    ~ScratchDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// Runs a loop until the end of the test.
class LoopThread {
public:
    LoopThread() : thread_{[this] { loop.run(); }} {}
    ~LoopThread() { stop(); }
    void stop() {
        if (!thread_.joinable()) return;
        loop.stop();
        thread_.join();
    }
    // The result of `call` on the loop's thread.
    template <class Call>
    auto on_loop(Call call) {
        std::promise<decltype(call())> promise;
        loop.post([&] {
            if constexpr (std::is_void_v<decltype(call())>) {
                call();
                promise.set_value();
            } else {
                promise.set_value(call());
            }
        });
        return promise.get_future().get();
    }
    net::EventLoop loop;

private:
    std::thread thread_;
};

// A demo engine on a real socket.
class EngineThread {
public:
    explicit EngineThread(demo::Options options = {})
        : server_{
              std::make_unique<demo::Server>(thread_.loop, "127.0.0.1", 0, std::move(options))} {}
    ~EngineThread() {
        thread_.stop();
        server_.reset();
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
    std::uint16_t port() const { return server_->port(); }
    std::uint64_t hang_ups() const { return server_->hang_ups(); }

private:
    LoopThread thread_;
    std::unique_ptr<demo::Server> server_;
};

// True as soon as `holds()`; false when it has not for `patience`. Waits by yielding, for states
// that another thread reaches without telling us.
template <class Holds>
bool eventually(Holds holds, std::chrono::seconds patience = std::chrono::seconds{20}) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::yield();
    }
    return true;
}

inline Settings settings_for(const std::string& engine_url, const std::string& state,
                             const std::string& market_url) {
    Settings settings;
    settings.market_url = market_url;
    settings.name = "test";
    settings.region = "eu-west";
    settings.country = "NL";
    settings.gpu_model = "H100";
    settings.state_directory = state;
    settings.platform_id = "test";
    settings.measurement = std::string(96, 'a');
    settings.engine.url = engine_url;
    settings.engine.probe_interval = seconds(1);
    settings.log_level = log::Level::error;
    OfferSettings offer;
    offer.market = "inference:demo-small";
    offer.price = {100, 10, 400, 400, 7, 0};
    offer.slots = 2;
    settings.offers.push_back(offer);
    return settings;
}

struct Ask {
    std::string job = "job_9";
    std::uint64_t fencing_token = 5;
    sealing::ReceiptUsage quantity{1000, 0, 500, 0, 1, 0};
    sealing::ReceiptPrices price{100, 10, 400, 400, 7, 0};
    Instant expires_at{4'102'444'800'000'000};
    bool session = false;
    std::string path = "/v1/chat/completions";
    std::string body =
        R"({"model":"demo-small","messages":[{"role":"user","content":"Hello there"}]})";
    std::string cocoon_job = "job_9";
    std::string terms_override = {};  // other terms in the frame than those sealed
};

// The client's side of one exchange.
struct SealedAsk {
    OpenFrame open;
    Bytes bytes;
    std::shared_ptr<sealing::ohttp::ChunkedResponseOpener> opener;
};

inline std::string terms_of(const Ask& ask, const std::string& market = "inference:demo-small") {
    return sealing::Json::object({{"version", 1},
                                  {"job", ask.job},
                                  {"market", market},
                                  {"fencing_token", std::to_string(ask.fencing_token)},
                                  {"quantity", quantity_json(ask.quantity)},
                                  {"price", price_json(ask.price)},
                                  {"expires_at", ask.expires_at.text()}})
        .canonical();
}

inline SealedAsk seal(const Ask& ask, const sealing::ohttp::KeyConfig& config) {
    SealedAsk sealed;
    sealed.open.stream = 1;
    sealed.open.job = ask.job;
    sealed.open.request = "req_3";
    sealed.open.market = "inference:demo-small";
    sealed.open.fencing_token = ask.fencing_token;
    sealed.open.terms = terms_of(ask);
    sealed.open.price = ask.price;
    sealed.open.quantity = ask.quantity;
    sealed.open.session = ask.session;
    sealing::bhttp::Request request;
    request.method = "POST";
    request.scheme = "https";
    request.path = ask.path;
    request.fields = {{"content-type", "application/json"}, {"cocoon-job", ask.cocoon_job}};
    request.content = Bytes{as_bytes(ask.body).begin(), as_bytes(ask.body).end()};
    const auto plain = sealing::bhttp::encode_request(request, 256);
    sealing::ohttp::ClientOptions options;
    options.associated = as_bytes(sealed.open.terms);
    auto sealer = sealing::ohttp::ChunkedRequestSealer::start(config, options);
    sealed.bytes = *sealer->finish(*plain);
    sealed.opener =
        std::make_shared<sealing::ohttp::ChunkedResponseOpener>(sealer->response_opener());
    if (!ask.terms_override.empty()) sealed.open.terms = ask.terms_override;
    return sealed;
}

// The plain answer inside `sealed`, or why it cannot be had whole.
inline Result<sealing::bhttp::Response> unseal(sealing::ohttp::ChunkedResponseOpener& opener,
                                               ByteView sealed) {
    auto plain = opener.feed(sealed);
    if (!plain) return plain.error();
    auto last = opener.finish();
    if (!last) return last.error();
    plain->insert(plain->end(), last->begin(), last->end());
    return sealing::bhttp::parse_response(*plain);
}

}  // namespace cocoon::node::test
