// A node whose engine is the bench: it enrols, attests in the simulated tier, offers and connects
// to the relay like cocoon-node, but what it answers with is made by the load itself. Used by
// relay_bench. Calls of the HTTP API block and come before the loop runs; the socket's callbacks
// are the loop's.
#pragma once

#include <memory>
#include <string>

#include "bench/http_peer.hpp"
#include "net/event_loop.hpp"
#include "net/websocket.hpp"
#include "node/evidence.hpp"
#include "node/keyring.hpp"
#include "node/market_api.hpp"
#include "node/settings.hpp"
#include "node/wire.hpp"
#include "sealing/statement.hpp"

namespace cocoon::bench {

template <class Value>
Value must(Result<Value> result, const char* what) {
    if (result) return *std::move(result);
    std::string why = std::string{what} + ": " + std::string{describe(result.error().code).name} +
                      " " + result.error().detail;
    for (const FieldError& field : result.error().fields)
        why += "; " + field.path + " " + field.message;
    give_up(why);
}

class ScriptedNode {
public:
    ScriptedNode(std::string market_url, const std::string& token, std::string name)
        : settings_{settings_of(std::move(market_url), std::move(name))},
          identity_{must(node::MarketApi{settings_, ""}.enrol(settings_, token), "enrol")},
          market_{settings_, identity_.credential},
          keyring_{sealing::SigningKey::generate(), identity_.node} {
        const Instant now = SystemClock{}.now();
        const auto keys = must(keyring_.make(now, hours(12)), "keys");
        keyring_.adopt(keys);
        const std::string nonce = must(market_.challenge(identity_.node), "challenge");
        const auto report_data =
            must(sealing::report_data_for(keys->keyset.digest, nonce), "report data");
        node::SimulatedEvidenceProvider evidence{"bench", ""};
        must(market_.submit_evidence(identity_.node, keys->keyset, nonce,
                                     must(evidence.collect(report_data, now), "evidence")),
             "submit evidence");
    }

    void offer(const std::string& market, std::int64_t slots,
               std::int64_t completion_nano_per_mtok) {
        node::OfferSettings offer;
        offer.market = market;
        offer.slots = slots;
        offer.price.prompt = completion_nano_per_mtok / 4;
        offer.price.completion = completion_nano_per_mtok;
        offer.price.request = 1;
        must(market_.place_offer(identity_.node, offer), "place offer");
    }

    // `on_message` also gets the welcome. REQUIRES: the loop's thread, or the loop is not running.
    void connect(net::EventLoop& loop, std::function<void(std::string_view, bool)> on_message) {
        net::WebSocketConnectOptions options;
        net::connect_websocket(
            loop, "ws" + settings_.market_url.substr(4) + "/v1/relay",
            net::Headers{{"Authorization", "Bearer " + identity_.credential}}, options,
            [this, on_message](Result<std::shared_ptr<net::WebSocket>> opened) {
                socket_ = must(std::move(opened), "relay");
                socket_->on_message(on_message);
                socket_->on_closed([](std::uint16_t code, std::string reason) {
                    give_up("the relay closed: " + std::to_string(code) + " " + reason);
                });
                socket_->send_text(node::hello_frame());
            });
    }

    net::WebSocket& socket() { return *socket_; }
    const std::string& id() const { return identity_.node; }
    std::shared_ptr<const node::KeysetKeys> keys() const { return keyring_.current(); }

private:
    static node::Settings settings_of(std::string market_url, std::string name) {
        node::Settings settings;
        settings.market_url = std::move(market_url);
        settings.name = std::move(name);
        settings.region = "eu-west";
        settings.country = "NL";
        settings.gpu_model = "H100";
        return settings;
    }

    const node::Settings settings_;
    const node::Identity identity_;
    node::MarketApi market_;
    node::Keyring keyring_;
    std::shared_ptr<net::WebSocket> socket_;
};

}  // namespace cocoon::bench
