#include "tests/catch.hpp"

#include "attestation/policy.hpp"
#include "net/http_server.hpp"
#include "node/agent.hpp"
#include "node/files.hpp"
#include "sealing/receipt.hpp"
#include "sealing/statement.hpp"
#include "tests/node/helpers.hpp"
#include "trust/aci_report.hpp"

using namespace cocoon;
using namespace cocoon::node;
using node::test::Ask;
using sealing::Json;

namespace {

// A market that does what the test says: checks evidence really, keeps offers, speaks the relay.
class ScriptedMarket {
public:
    ScriptedMarket() : nonce_{sealing::make_nonce()} {
        net::HttpHandler handler;
        handler.on_request = [this](std::shared_ptr<net::Exchange> exchange) {
            serve(std::move(exchange));
        };
        handler.error_response = [](ErrorCode code, std::string_view) {
            return net::Response{describe(code).status, {}, "{}"};
        };
        server_ = std::make_unique<net::HttpServer>(thread_.loop, net::HttpServerOptions{},
                                                    std::move(handler));
    }
    ~ScriptedMarket() {
        thread_.stop();
        socket_.reset();
        server_.reset();
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }

    // Waits until `holds(*this)`, which is asked after everything that happens.
    template <class Holds>
    bool wait(Holds holds) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, std::chrono::seconds{30}, holds);
    }
    template <class Change>
    void with(Change change) {
        const std::lock_guard lock{mutex_};
        change();
        changed_.notify_all();
    }
    void send(std::string frame, bool binary) {
        const std::lock_guard lock{mutex_};
        REQUIRE(socket_);
        if (binary)
            socket_->send_binary(std::move(frame));
        else
            socket_->send_text(std::move(frame));
    }
    void hang_up() {
        const std::lock_guard lock{mutex_};
        if (socket_) socket_->abort();
    }
    void open(const test::SealedAsk& sealed, std::uint64_t stream) {
        send(Json::object({{"type", "open"},
                           {"stream", std::to_string(stream)},
                           {"job", sealed.open.job},
                           {"request", sealed.open.request},
                           {"market", sealed.open.market},
                           {"build", ""},
                           {"fencing_token", std::to_string(sealed.open.fencing_token)},
                           {"session", sealed.open.session},
                           {"price", price_json(sealed.open.price)},
                           {"quantity", quantity_json(sealed.open.quantity)},
                           {"terms", sealed.open.terms}})
                 .serialize(),
             false);
        const std::string_view bytes = as_text(sealed.bytes);
        for (std::size_t at = 0; at < bytes.size(); at += 100)
            send(binary_frame(FrameType::request_data, stream, bytes.substr(at, 100)), true);
        send(binary_frame(FrameType::request_end, stream, {}), true);
    }

    struct Heard {
        Bytes sealed;
        std::string receipt;  // of the end frame
        std::optional<Json> failed;
    };
    // All under the lock of wait().
    std::shared_ptr<const sealing::Keyset> keyset;
    std::map<std::uint64_t, Heard> heard;
    std::vector<std::string> late_receipts, no_receipts;
    std::map<std::string, Json> offers;
    std::vector<std::string> calls;              // "POST /v1/offers"
    std::map<std::string, std::string> reports;  // by ticket
    int connections = 0;
    int open_sockets = 0;
    bool acknowledge = true;
    std::uint32_t window = 1 << 20;
    bool give_credit = true;

private:
    void serve(std::shared_ptr<net::Exchange> exchange) {
        const net::Request& request = exchange->request();
        const std::lock_guard lock{mutex_};
        calls.push_back(request.method + " " + request.path);
        changed_.notify_all();
        if (request.headers.get("Authorization") != "Bearer ck_test")
            return answer(*exchange, 401, R"({"code":"unauthenticated"})");
        if (request.path == "/v1/relay") return upgrade(exchange);
        if (request.path.ends_with("/challenge"))
            return answer(*exchange, 200,
                          R"({"nonce":")" + nonce_ + R"(","expires_at":"2030-01-01T00:00:00Z"})");
        if (request.path.ends_with("/evidence")) return take_evidence(*exchange);
        if (request.path.find("/aci-reports/") != request.path.npos) {
            reports[request.path.substr(request.path.rfind('/') + 1)] = request.body;
            return answer(*exchange, 204, "");
        }
        if (request.path.starts_with("/v1/offers")) return take_offer(*exchange);
        answer(*exchange, 200, "{}");
    }
    void answer(net::Exchange& exchange, int status, std::string body) {
        net::Response response;
        response.status = status;
        response.headers.set("Content-Type", "application/json");
        response.body = std::move(body);
        exchange.respond(std::move(response));
    }
    // What the real market does: nonce, keyset and evidence must belong together.
    void take_evidence(net::Exchange& exchange) {
        const auto body = *Json::parse(exchange.request().body);
        const auto parsed = sealing::parse_keyset(*body.text_at("keyset_document"));
        const auto report_data = sealing::report_data_for(parsed->digest, body.text_at("nonce"));
        attestation::Policy policy;
        policy.simulated_enabled = true;
        const auto verdict = attestation::verify(
            {std::string{*body.text_at("tier")}, *from_base64(*body.text_at("evidence"))},
            *report_data, policy, SystemClock{}.now());
        if (body.text_at("nonce") != nonce_ || !verdict->proven())
            return answer(exchange, 412, R"({"code":"verdict_refused"})");
        keyset = std::make_shared<sealing::Keyset>(*parsed);
        changed_.notify_all();
        answer(exchange, 200,
               R"({"verdict":{"status":"proven","valid_until":")" + verdict->valid_until.text() +
                   R"("}})");
    }
    void take_offer(net::Exchange& exchange) {
        const net::Request& request = exchange.request();
        if (request.method == "POST") ++offers_placed_;
        const std::string id = request.path.size() > 11 ? request.path.substr(11)
                                                        : "off_" + std::to_string(offers_placed_);
        if (request.method == "GET") {
            Json items = Json::array();
            for (const auto& [name, offer] : offers) items.push(offer);
            return answer(
                exchange, 200,
                Json::object({{"items", items}, {"has_more", false}, {"next_cursor", Json{}}})
                    .serialize());
        }
        Json offer = request.method == "POST" ? *Json::parse(request.body) : offers[id];
        if (request.method != "POST" &&
            request.headers.get("If-Match") != '"' + std::string{*offer.text_at("version")} + '"')
            return answer(exchange, 412, R"({"code":"precondition_failed"})");
        const Json body = request.body.empty() ? Json::object() : *Json::parse(request.body);
        if (request.method == "PATCH")
            for (const auto& [name, value] : body.members()) offer.set(name, value);
        offer.set("id", id);
        offer.set("version", std::to_string(++version_));
        offer.set("state", request.method == "DELETE" ? "cancelled" : "active");
        offers[id] = offer;
        answer(exchange, request.method == "POST" ? 201 : 200, offer.serialize());
    }
    void upgrade(const std::shared_ptr<net::Exchange>& exchange) {
        exchange->upgrade({}, {}, [this](std::shared_ptr<net::WebSocket> socket) {
            if (!socket) return;
            socket->on_message(
                [this](std::string_view bytes, bool binary) { hear(bytes, binary); });
            socket->on_closed([this](std::uint16_t, std::string) {
                with([this] {
                    --open_sockets;
                    socket_.reset();
                });
            });
            with([&] {
                ++connections;
                ++open_sockets;
                socket_ = std::move(socket);
                socket_->send_text(
                    Json::object({{"type", "welcome"},
                                  {"node", "node_4"},
                                  {"market_key", "00"},
                                  {"window_bytes", static_cast<std::int64_t>(window)}})
                        .serialize());
            });
        });
    }
    void hear(std::string_view bytes, bool binary) {
        const std::lock_guard lock{mutex_};
        if (binary) {
            const auto frame = parse_binary(bytes);
            if (!frame) return;
            Heard& stream = heard[frame->stream];
            if (frame->type == FrameType::response_data) {
                stream.sealed.insert(stream.sealed.end(), as_bytes(frame->payload).begin(),
                                     as_bytes(frame->payload).end());
                if (give_credit)
                    socket_->send_binary(credit_frame(
                        frame->stream, static_cast<std::uint32_t>(frame->payload.size())));
            }
            if (frame->type == FrameType::response_end) {
                stream.receipt = frame->payload;
                acknowledged(stream.receipt);
            }
        } else {
            const auto frame = *Json::parse(bytes);
            if (frame.text_at("type") == "failed")
                heard[std::stoull(std::string{*frame.text_at("stream")})].failed = frame;
            if (frame.text_at("type") == "no_receipt")
                no_receipts.emplace_back(*frame.text_at("job"));
            if (frame.text_at("type") == "receipt") {
                late_receipts.push_back(frame.find("receipt")->canonical());
                acknowledged(late_receipts.back());
            }
        }
        changed_.notify_all();
    }
    void acknowledged(const std::string& receipt) {
        const auto verdict = sealing::verify_job_receipt(receipt, *keyset);
        if (!acknowledge || !verdict || !socket_) return;
        const auto& job = *verdict.receipt().job;
        socket_->send_text(Json::object({{"type", "receipt_ack"},
                                         {"job", job.job},
                                         {"counter", std::to_string(job.session_counter)}})
                               .serialize());
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    const std::string nonce_;
    int offers_placed_ = 0;
    int version_ = 0;
    test::LoopThread thread_;
    std::shared_ptr<net::WebSocket> socket_;
    std::unique_ptr<net::HttpServer> server_;
};

struct House {
    explicit House(demo::Options engine_options = {}) : engine{std::move(engine_options)} {
        log::set_level(log::Level::error);
        settings = test::settings_for(engine.url(), scratch.path() + "/state", market.url());
        settings.offers[0].slots = 4;
        REQUIRE(make_private_directory(settings.state_directory));
        REQUIRE(save_identity(settings, {"node_4", "ck_test"}));
    }
    ~House() { stop(); }
    void start(AgentOptions options = {}) {
        auto opened = Agent::open(thread.loop, settings, make_evidence_provider(settings), options);
        REQUIRE(opened);
        agent = std::move(*opened);
        thread.on_loop([this] { agent->start(); });
    }
    void start_connected() {
        start();
        REQUIRE(market.wait([this] { return market.connections == 1 && market.keyset; }));
    }
    void stop() {
        if (agent) thread.on_loop([this] { agent.reset(); });
    }
    test::SealedAsk seal(const Ask& ask) {
        sealing::ohttp::KeyConfig config;
        market.with([&] { config = market.keyset->sealing_keys.at(0).config; });
        return test::seal(ask, config);
    }
    bool ended(std::uint64_t stream) {
        return market.wait([this, stream] {
            return !market.heard[stream].receipt.empty() || market.heard[stream].failed;
        });
    }

    test::ScratchDirectory scratch;
    test::EngineThread engine;
    ScriptedMarket market;
    Settings settings;
    test::LoopThread thread;
    std::unique_ptr<Agent> agent;
};

Ask long_stream(const std::string& job) {
    Ask ask;
    ask.job = ask.cocoon_job = job;
    ask.quantity.completion = 30'000;
    ask.body =
        R"({"model":"demo-small","stream":true,"messages":[{"role":"user","content":"write 20000 words"}]})";
    return ask;
}

}  // namespace

TEST_CASE("a node attests, offers, answers and is acknowledged") {
    House house;
    house.start_connected();
    REQUIRE(house.market.wait([&] { return house.market.offers.size() == 1; }));
    const auto sealed = house.seal(Ask{});
    house.market.open(sealed, 7);
    REQUIRE(house.ended(7));
    ScriptedMarket::Heard heard;
    house.market.with([&] { heard = house.market.heard[7]; });
    REQUIRE(!heard.failed);
    const auto answer = test::unseal(*sealed.opener, heard.sealed);
    REQUIRE(answer);
    CHECK(answer->status == 200);
    const auto verdict = sealing::verify_job_receipt(heard.receipt, *house.market.keyset);
    REQUIRE(verdict);
    CHECK(verdict.receipt().job->sealed_response_sha256 == sealing::sha256(heard.sealed));
    const std::string receipts = house.settings.state_directory + "/receipts";
    CHECK(test::eventually([&] { return std::filesystem::is_empty(receipts); }));
}

TEST_CASE("offers follow the configuration and only what it published is cancelled") {
    House house;
    house.market.with([&] {
        house.market.offers["off_90"] = *Json::parse(
            R"({"id":"off_90","node":"node_4","market":"inference:by-hand","price":{},"slots":1,"version":"1","state":"active"})");
    });
    house.start_connected();
    REQUIRE(house.market.wait([&] { return house.market.offers.contains("off_1"); }));
    REQUIRE(test::eventually([&] {
        return read_file(house.settings.state_directory + "/offers.json", 100, false).has_value();
    }));
    house.stop();
    const auto restart = [&] {
        std::size_t calls = 0;
        house.market.with([&] { calls = house.market.calls.size(); });
        house.start();
        const auto synced = [&] {
            return std::find(house.market.calls.begin() + static_cast<std::ptrdiff_t>(calls),
                             house.market.calls.end(),
                             "GET /v1/offers") != house.market.calls.end();
        };
        REQUIRE(house.market.wait(synced));
    };
    house.settings.offers[0].price.completion = 999;
    restart();
    REQUIRE(house.market.wait([&] {
        return house.market.offers["off_1"].find("price")->text_at("completion_nano_per_mtok") ==
               "999";
    }));
    CHECK(house.market.offers.size() == 2);  // amended, not placed again
    house.stop();
    house.settings.offers[0].market = "inference:other";
    restart();
    REQUIRE(house.market.wait(
        [&] { return house.market.offers["off_1"].text_at("state") == "cancelled"; }));
    REQUIRE(house.market.wait([&] { return house.market.offers.size() == 3; }));
    CHECK(house.market.offers["off_90"].text_at("state") == "active");
}

TEST_CASE("a market that gives no credit is not overrun, and goes on when it does") {
    House house;
    house.market.window = 1'000;
    house.market.give_credit = false;
    house.start_connected();
    Ask ask = long_stream("job_21");
    ask.body =
        R"({"model":"demo-small","stream":true,"messages":[{"role":"user","content":"write 200 words"}]})";
    const auto sealed = house.seal(ask);
    house.market.open(sealed, 1);
    REQUIRE(house.market.wait([&] { return house.market.heard[1].sealed.size() == 1'000; }));
    house.market.with([&] { house.market.give_credit = true; });
    house.market.send(credit_frame(1, 1'000), true);
    REQUIRE(house.ended(1));
    const auto answer = test::unseal(*sealed.opener, house.market.heard[1].sealed);
    REQUIRE(answer);
    CHECK(as_text(answer->content).ends_with("data: [DONE]\n\n"));
}

TEST_CASE("a cancel stops the engine and yields a partial receipt; a full node says so") {
    demo::Options options;
    options.token_delay = milliseconds(1);
    House house{options};
    house.settings.offers[0].slots = 1;
    house.start_connected();
    for (std::uint64_t stream = 1; stream <= 3; ++stream)
        house.market.open(house.seal(long_stream("job_3" + std::to_string(stream))), stream);
    REQUIRE(house.ended(3));  // beyond twice the slots
    CHECK(house.market.heard[3].failed->text_at("code") == "overloaded");
    REQUIRE(house.market.wait([&] { return !house.market.heard[1].sealed.empty(); }));
    house.market.send(binary_frame(FrameType::cancel, 1, {}), true);
    REQUIRE(house.ended(1));
    REQUIRE(house.market.heard[1].failed);
    const auto receipt = sealing::verify_job_receipt(
        house.market.heard[1].failed->find("receipt")->canonical(), *house.market.keyset);
    REQUIRE(receipt);
    CHECK(receipt.receipt().job->status == sealing::ReceiptStatus::partial);
    CHECK(receipt.receipt().job->sealed_response_sha256 ==
          sealing::sha256(house.market.heard[1].sealed));
    CHECK(test::eventually([&] { return house.engine.hang_ups() == 1; }));
    REQUIRE(house.market.wait(
        [&] { return !house.market.heard[2].sealed.empty(); }));  // the slot is free again
}

TEST_CASE("a lost connection is made anew and unacknowledged receipts are sent again") {
    demo::Options options;
    options.token_delay = milliseconds(1);
    House house{options};
    house.market.acknowledge = false;
    house.start_connected();
    house.market.open(house.seal(Ask{}), 1);
    REQUIRE(house.ended(1));
    house.market.open(house.seal(long_stream("job_41")), 2);
    REQUIRE(house.market.wait([&] { return !house.market.heard[2].sealed.empty(); }));
    house.market.hang_up();
    REQUIRE(house.market.wait([&] { return house.market.connections == 2; }));
    // The finished job's receipt for certain, the cut job's partial one as soon as it is signed.
    REQUIRE(house.market.wait([&] { return !house.market.late_receipts.empty(); }));
    std::string late;
    house.market.with([&] { late = house.market.late_receipts[0]; });
    CHECK(sealing::verify_job_receipt(late, *house.market.keyset));
    CHECK(test::eventually([&] { return house.engine.hang_ups() == 1; }));
    house.market.with([&] { house.market.acknowledge = true; });
    house.market.hang_up();
    REQUIRE(house.market.wait([&] { return house.market.connections == 3; }));
    CHECK(test::eventually([&] {
        std::size_t receipts = 0;
        for (const auto& entry :
             std::filesystem::directory_iterator{house.settings.state_directory + "/receipts"})
            receipts += entry.path().extension() == ".receipt" ? 1 : 0;
        return receipts == 0;
    }));
}

TEST_CASE("asked for receipts, a node says of which jobs there is none and will be none") {
    demo::Options options;
    options.token_delay = milliseconds(1);
    House house{options};
    house.market.acknowledge = false;
    house.start_connected();
    const auto ask = [&](const std::string& jobs) {
        house.market.send(R"({"type":"receipts_wanted","jobs":[)" + jobs + "]}", false);
    };
    house.market.open(house.seal(Ask{}), 1);  // job_9, its receipt unacknowledged
    REQUIRE(house.ended(1));
    house.market.open(house.seal(long_stream("job_41")), 2);
    REQUIRE(house.market.wait([&] { return !house.market.heard[2].sealed.empty(); }));
    ask(R"("job_9","job_41","job_77")");
    REQUIRE(house.market.wait([&] { return !house.market.no_receipts.empty(); }));
    // Cut off and asked about before its partial receipt is signed, or after: it comes either way.
    house.market.hang_up();
    REQUIRE(house.market.wait([&] { return house.market.connections == 2; }));
    ask(R"("job_41","job_78")");
    REQUIRE(house.market.wait([&] {
        return house.market.no_receipts.size() == 2 &&
               std::any_of(house.market.late_receipts.begin(), house.market.late_receipts.end(),
                           [](const std::string& receipt) {
                               return receipt.find(R"("job":"job_41")") != std::string::npos;
                           });
    }));
    CHECK(house.market.no_receipts == std::vector<std::string>{"job_77", "job_78"});
}

TEST_CASE("protocol errors of the market close the connection, and the node comes back") {
    House house;
    house.start_connected();
    int connections = 1;
    for (const std::string& frame : {std::string{"not json"}, std::string{R"({"type":"open"})"},
                                     std::string{R"({"type":"receipts_wanted"})"},
                                     std::string{R"({"type":"receipts_wanted","jobs":["x"]})"}}) {
        house.market.send(frame, false);
        ++connections;
        REQUIRE(house.market.wait([&] { return house.market.connections == connections; }));
    }
    house.market.send(std::string(9, '\x44'), true);
    REQUIRE(house.market.wait([&] { return house.market.connections == connections + 1; }));
}

TEST_CASE("whoever asks over their own nonce gets evidence made for it, with the keys in use") {
    House house;
    house.start_connected();
    const std::string nonce(64, '9');
    house.market.send(R"({"type":"aci_attest","ticket":"7","nonce":")" + nonce + "\"}", false);
    REQUIRE(house.market.wait([&] { return house.market.reports.contains("7"); }));
    const std::string report = house.market.reports["7"];
    CHECK(trust::check_aci_report(report, house.market.keyset->digest, nonce));
    const auto parsed = Json::parse(report);
    const auto shown = parsed->find("attestation")->find("evidence");
    attestation::Policy policy;
    policy.simulated_enabled = true;
    const auto bound = sealing::report_data_for(house.market.keyset->digest, nonce).value();
    const auto verdict = attestation::verify(
        {std::string{*shown->text_at("tier")}, *from_base64(*shown->text_at("document"))}, bound,
        policy, SystemClock{}.now());
    for (const auto& reason : verdict->reasons)
        UNSCOPED_INFO(reason.code << ": " << reason.text);
    CHECK(verdict->proven());
    house.market.send(R"({"type":"aci_attest","ticket":"8","nonce":null})", false);
    REQUIRE(house.market.wait([&] { return house.market.reports.contains("8"); }));
    CHECK(trust::check_aci_report(house.market.reports["8"], house.market.keyset->digest,
                                  std::nullopt));
}

TEST_CASE("keys rotate before they end, and what was sealed to the old ones is answered") {
    House house;
    AgentOptions options;
    options.keyset_life = seconds(24);
    options.renew_before = seconds(23);
    options.retry_min = milliseconds(100);
    house.start(options);
    REQUIRE(
        house.market.wait([&] { return house.market.connections == 1 && house.market.keyset; }));
    const auto first = house.market.keyset;
    const auto sealed = house.seal(Ask{});
    REQUIRE(house.market.wait([&] { return house.market.keyset->digest != first->digest; }));
    house.market.open(sealed, 5);
    REQUIRE(house.ended(5));
    CHECK(sealing::verify_job_receipt(house.market.heard[5].receipt, *first));
    CHECK(test::unseal(*sealed.opener, house.market.heard[5].sealed));
}

TEST_CASE("draining finishes what is open, refuses what is new, tells the market and ends") {
    demo::Options options;
    options.token_delay = milliseconds(2);
    House house{options};
    house.start_connected();
    Ask ask = long_stream("job_51");
    ask.body =
        R"({"model":"demo-small","stream":true,"messages":[{"role":"user","content":"write 300 words"}]})";
    const auto sealed = house.seal(ask);
    house.market.open(sealed, 1);
    REQUIRE(house.market.wait([&] { return !house.market.heard[1].sealed.empty(); }));
    std::promise<bool> done;
    house.thread.on_loop([&] { house.agent->drain([&](bool clean) { done.set_value(clean); }); });
    Ask late;
    late.job = late.cocoon_job = "job_52";
    house.market.open(house.seal(late), 2);
    REQUIRE(house.ended(2));
    CHECK(house.market.heard[2].failed->text_at("code") == "draining");
    CHECK(done.get_future().get());
    CHECK(test::unseal(*sealed.opener, house.market.heard[1].sealed));
    CHECK(house.market.wait([&] { return house.market.open_sockets == 0; }));
    CHECK(std::find(house.market.calls.begin(), house.market.calls.end(),
                    "POST /v1/nodes/node_4:drain") != house.market.calls.end());
    house.stop();
    house.start();  // the next life resumes by itself
    CHECK(house.market.wait([&] {
        return std::find(house.market.calls.begin(), house.market.calls.end(),
                         "POST /v1/nodes/node_4:resume") != house.market.calls.end();
    }));
}

TEST_CASE("a drain deadline cuts what is left, with a partial receipt") {
    demo::Options options;
    options.token_delay = milliseconds(1);
    House house{options};
    house.settings.drain_deadline = milliseconds(200);
    house.start_connected();
    house.market.open(house.seal(long_stream("job_61")), 1);
    REQUIRE(house.market.wait([&] { return !house.market.heard[1].sealed.empty(); }));
    std::promise<bool> done;
    house.thread.on_loop([&] { house.agent->drain([&](bool clean) { done.set_value(clean); }); });
    REQUIRE(house.ended(1));
    CHECK(house.market.heard[1].failed->find("receipt") != nullptr);
    CHECK(!done.get_future().get());
}

TEST_CASE("while the engine is down the node is drained") {
    House house;
    house.settings.engine.url = "http://127.0.0.1:1";
    house.start();
    CHECK(house.market.wait([&] {
        return std::find(house.market.calls.begin(), house.market.calls.end(),
                         "POST /v1/nodes/node_4:drain") != house.market.calls.end();
    }));
    CHECK(read_file(house.settings.state_directory + "/drained", 100, false));
    house.stop();
    house.settings.engine.url = house.engine.url();
    house.start();
    CHECK(house.market.wait([&] {
        return std::find(house.market.calls.begin(), house.market.calls.end(),
                         "POST /v1/nodes/node_4:resume") != house.market.calls.end();
    }));
    CHECK(test::eventually(
        [&] { return !read_file(house.settings.state_directory + "/drained", 100, false); }));
}

TEST_CASE("a node that cannot start says why") {
    House house;
    struct Row {
        std::string file;
        unsigned mode;
        ErrorCode code;
    };
    const Row rows[] = {{house.settings.credential_file(), 0644, ErrorCode::forbidden},
                        {house.settings.state_directory, 0755, ErrorCode::forbidden}};
    for (const Row& row : rows) {
        std::filesystem::permissions(row.file, static_cast<std::filesystem::perms>(row.mode));
        const auto opened = Agent::open(house.thread.loop, house.settings,
                                        make_evidence_provider(house.settings), {});
        REQUIRE(!opened);
        CHECK(opened.error().code == row.code);
        std::filesystem::permissions(
            row.file, static_cast<std::filesystem::perms>(row.mode == 0755 ? 0700 : 0600));
    }
    remove_file(house.settings.identity_file());
    CHECK(Agent::open(house.thread.loop, house.settings, make_evidence_provider(house.settings), {})
              .error()
              .code == ErrorCode::not_found);
}
