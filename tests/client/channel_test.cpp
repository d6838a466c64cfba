// What a developer's key promises, whatever the market says: against a market that lies, over real
// HTTP.
#include "client/channel.hpp"

#include "net/event_loop.hpp"
#include "net/http_server.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::client;
using namespace cocoon::settlement::ton;
using sealing::Json;

namespace {

constexpr std::int32_t network = 20'261'122;
constexpr std::int64_t coin = 1'000'000'000;

Address address_of(std::uint8_t byte) {
    Address address;
    address.id.fill(byte);
    return address;
}

// Shows one channel as it is told to, and keeps the vouchers it is given.
class Peer {
public:
    std::string address;  // what it calls the channel
    Nano deposited, claimed, available;
    std::optional<Json> voucher;  // shown as ours
    std::vector<Json> given, registered;

    Peer() {
        net::HttpHandler handler;
        handler.on_head = [](const net::RequestHead&) { return net::Decision::accept(1 << 16); };
        handler.on_request = [this](std::shared_ptr<net::Exchange> exchange) { serve(*exchange); };
        handler.error_response = [](ErrorCode, std::string_view) {
            return net::Response{500, {}, {}};
        };
        server_ =
            std::make_unique<net::HttpServer>(loop_, net::HttpServerOptions{}, std::move(handler));
        thread_ = std::thread{[this] { loop_.run(); }};
    }
    ~Peer() {
        loop_.stop();
        thread_.join();
        server_.reset();
    }

    Config config() const {
        Config config;
        config.market_url = "http://127.0.0.1:" + std::to_string(server_->port());
        config.api_key = "ck_test";
        return config;
    }
    std::size_t vouchers() {
        const std::lock_guard lock{mutex_};
        return given.size();
    }

private:
    Json channel() const {
        return Json::object({{"address", address},
                             {"stage", "open"},
                             {"deposited_nano", deposited.text()},
                             {"claimed_nano", claimed.text()},
                             {"voucher", voucher ? *voucher : Json{}}});
    }
    void serve(net::Exchange& exchange) {
        const std::lock_guard lock{mutex_};
        const net::Request& request = exchange.request();
        Json body = Json::object();
        if (request.path == "/v1/account") {
            body.set("id", "acct_1");
        } else if (request.path == "/v1/account/balance") {
            body.set("available_nano", available.text());
        } else if (request.path.ends_with("/vouchers")) {
            given.push_back(Json::parse(request.body).value());
            voucher = given.back();
            body = channel();
        } else if (request.method == "POST") {
            registered.push_back(Json::parse(request.body).value());
            body = channel();
        } else {
            body.set("network", network);
            body.set("payee", address_of(2).raw());
            body.set("payee_key", std::string(64, '5'));
            body.set("cap_nano_max", "100000000000");
            body.set("challenge_seconds_min", 86'400);
            body.set("items", Json::array({channel()}));
        }
        exchange.respond({200, {{"Content-Type", "application/json"}}, body.serialize()});
    }

    std::mutex mutex_;
    net::EventLoop loop_;
    std::unique_ptr<net::HttpServer> server_;
    std::thread thread_;
};

Json voucher_of(const sealing::SigningKey& key, std::int64_t amount) {
    const Voucher voucher{static_cast<Network>(network), address_of(7), Nano{amount}, 4};
    return Json::object({{"amount_nano", voucher.amount.text()},
                         {"sequence", "4"},
                         {"signature", to_hex(key.sign(voucher.cell()->hash()))}});
}

}  // namespace

TEST_CASE("a promise grows from what our own signature proves, and ends at the deposit") {
    const sealing::SigningKey key = sealing::SigningKey::generate();
    Peer peer;
    peer.address = address_of(7).raw();
    peer.deposited = Nano{5 * coin};
    const Config config = peer.config();
    MarketApi market{config};
    ChannelPayer payer{key, address_of(7)};

    CHECK(payer.promise(market, Nano{coin})->promised == Nano{coin});
    CHECK(payer.promise(market, Nano{coin})->promised == Nano{2 * coin});
    const Voucher second{static_cast<Network>(network), address_of(7), Nano{2 * coin}, 2};
    CHECK(peer.given.at(1).text_at("signature") == to_hex(key.sign(second.cell()->hash())));
    // A total that somebody else signed is not ours: nothing is added to it.
    peer.voucher = voucher_of(sealing::SigningKey::generate(), 4 * coin);
    CHECK(payer.view(market)->promised == Nano{});
    CHECK(payer.promise(market, Nano{coin})->promised == Nano{coin});
    peer.voucher = voucher_of(key, 4 * coin);
    CHECK(payer.promise(market, Nano{3 * coin})->promised == Nano{5 * coin});
    const std::size_t before = peer.vouchers();
    const auto refused = payer.promise(market, Nano{coin});
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::insufficient_funds);
    CHECK(peer.vouchers() == before);

    peer.address = address_of(8).raw();  // another channel is not ours either
    CHECK(payer.view(market).error().code == ErrorCode::not_found);
}

TEST_CASE("a channel is opened only if the market means the same contract") {
    const sealing::SigningKey key = sealing::SigningKey::generate();
    Peer peer;
    peer.address = address_of(9).raw();
    const Config config = peer.config();
    MarketApi market{config};
    const ChannelWish wish{address_of(1).raw(), {}, 0, 3};
    const auto refused = open_channel(market, key, wish, Nano{coin});
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::upstream_failed);

    ChannelTerms terms;
    terms.payer_key = key.public_key();
    terms.payee_key.fill(0x55);
    terms.payer = address_of(1);
    terms.payee = address_of(2);
    terms.challenge_seconds = 86'400;
    terms.cap = channel_cap_max;
    terms.salt = 3;
    const Address address = channel_state(terms).address();
    peer.address = address.raw();
    const auto opened = open_channel(market, key, wish, Nano{coin});
    REQUIRE(opened);
    CHECK(parse_address(opened->address, Network::testnet)->address == address);
    CHECK(opened->link.find("amount=1025000000") != std::string::npos);
    const auto signature = from_hex(peer.registered.back().text_at("signature").value()).value();
    CHECK(sealing::verify_signature(key.public_key(), registration_message("acct_1", address),
                                    signature));
    const ChannelWish short_challenge{address_of(1).raw(), {}, 60, 3};
    CHECK(open_channel(market, key, short_challenge, Nano{coin}).error().code ==
          ErrorCode::invalid_body);
}
