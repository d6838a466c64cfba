#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "client/commands.hpp"
#include "client/proxy.hpp"
#include "client/receipts.hpp"
#include "tests/catch.hpp"
#include "tests/client/scripted_market.hpp"

using namespace cocoon;
using namespace cocoon::client;
using namespace cocoon::client::test;

namespace {

const std::string question = R"({"model":"org/m","max_tokens":9,"messages":[{"role":"user",)"
                             R"("content":"the secret plum"}]})";
const std::string streamed = R"({"model":"org/m","max_tokens":9,"stream":true,)"
                             R"("stream_options":{"include_usage":true},"messages":[]})";

EngineAnswer whole_answer() {
    return {200,
            "application/json",
            {R"({"id":"c1","choices":[{"message":{"content":"hi)",
             R"("}}],"usage":{"prompt_tokens":10,"completion_tokens":4}})"},
            {10, 0, 4, 0, 1, 0}};
}
EngineAnswer stream_answer() {
    return {
        200,
        "text/event-stream",
        {"data: {\"choices\":[{\"delta\":{\"content\":\"h\"}}]}\n",
         "\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n",
         "data: [DONE]\n\n"},
        {10, 0, 4, 0, 1, 0}};
}

// The sidecar against a scripted market, and a plain HTTP client in the SDK's place.
class Sidecar {
public:
    ScriptedMarket market;
    std::string directory;

    explicit Sidecar(const std::function<void(Config&)>& change = {}) {
        char name[] = "/tmp/cocoon-client-proxy-XXXXXX";
        directory = mkdtemp(name);
        Config config;
        config.market_url = market.url();
        config.api_key = "ck_market_key";
        config.listen_port = 0;
        config.tiers = {"simulated"};
        config.receipts_directory = directory;
        config.log_level = log::Level::error;
        log::set_level(log::Level::error);
        if (change) change(config);
        market.with([&] { market.script.engine = whole_answer(); });
        proxy_ = Proxy::start(std::move(config)).value();
        thread_ = std::thread{[this] { proxy_->run(false); }};
    }
    ~Sidecar() {
        stop();
        std::filesystem::remove_all(directory);
    }
    // Finishes everything, receipts included.
    void stop() {
        if (!thread_.joinable()) return;
        proxy_->stop();
        thread_.join();
    }

    net::ClientRequest request(std::string method, const std::string& path,
                               std::string body = {}) const {
        net::ClientRequest request;
        request.method = std::move(method);
        request.url = "http://127.0.0.1:" + std::to_string(proxy_->port()) + path;
        if (!body.empty()) request.headers.add("Content-Type", "application/json");
        request.body = std::move(body);
        return request;
    }
    net::ClientResponse ask(std::string body, net::Headers headers = {}) {
        net::ClientRequest call = request("POST", "/v1/chat/completions", std::move(body));
        for (const auto& header : headers) call.headers.add(header.name, header.value);
        auto response = http.send(call);
        if (!response) return {0, {}, {}, std::string{describe(response.error().code).name}};
        return *std::move(response);
    }
    net::HttpClient http;

private:
    std::unique_ptr<Proxy> proxy_;
    std::thread thread_;
};

std::string code_of(const net::ClientResponse& response) {
    const auto body = Json::parse(response.body);
    const Json* error = body ? body->find("error") : nullptr;
    return error ? std::string{error->text_at("code").value_or("?")} : "no error: " + response.body;
}

std::string problem_text(std::string_view code, std::string_view more = "") {
    return "{\"code\":\"" + std::string{code} + "\"" + std::string{more} + "}";
}

Output run(std::vector<std::string> arguments) {
    return run_command(arguments, {[](const char*) { return std::string{}; }, "test"});
}

std::string file_text(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

TEST_CASE("proxy: a sealed call is answered, priced, and its receipt verified and kept") {
    Sidecar sidecar;
    const auto response = sidecar.ask(question);
    REQUIRE(response.status == 200);
    CHECK(response.body ==
          R"({"id":"c1","choices":[{"message":{"content":"hi"}}],"usage":{"cost_nano":"1440",)"
          R"("cost":"0.00000144","prompt_tokens":10,"completion_tokens":4}})");
    CHECK(response.headers.get("X-Cocoon-Receipt") == "job_1");
    CHECK(response.headers.get("X-Cocoon-Job") == "job_1");
    CHECK(response.headers.get("X-Cocoon-Node") == "node_1");
    CHECK(response.headers.get("X-Cocoon-Cost-Nano") == "1440");
    CHECK(!response.headers.get("X-Request-Id").empty());
    sidecar.market.with([&] {
        REQUIRE(sidecar.market.seen.requests.size() == 1);
        const bhttp::Request& opened = sidecar.market.seen.requests.front();
        CHECK(as_text(opened.content) == question);
        CHECK(opened.path == "/v1/chat/completions");
        CHECK(*bhttp::find_field(opened.fields, "cocoon-job") == "job_1");
        CHECK(sidecar.market.seen.raw.find("plum") == std::string::npos);
        CHECK(sidecar.market.seen.orders.front().text_at("market") == "inference:org/m");
        CHECK(sidecar.market.seen.idempotency_keys.front().size() == 22);
    });
    sidecar.stop();
    const std::string bundle = file_text(sidecar.directory + "/job_1.json");
    CHECK(bundle.find("plum") == std::string::npos);
    CHECK(run({"verify", sidecar.directory + "/job_1.json", "--tiers", "simulated"}).exit_code ==
          0);
}

TEST_CASE("proxy: the node's evidence is read once and remembered") {
    Sidecar sidecar;
    for (int i = 0; i < 3; ++i) CHECK(sidecar.ask(question).status == 200);
    sidecar.market.with([&] { CHECK(sidecar.market.seen.evidence_reads == 1); });
}

TEST_CASE("proxy: a stream is forwarded and ends only after the sealed end") {
    Sidecar sidecar;
    sidecar.market.with([&] { sidecar.market.script.engine = stream_answer(); });
    const auto response = sidecar.ask(streamed);
    CHECK(response.status == 200);
    CHECK(response.headers.get("Content-Type") == "text/event-stream");
    CHECK(response.body ==
          "data: {\"choices\":[{\"delta\":{\"content\":\"h\"}}]}\n\n"
          "data: {\"choices\":[],\"usage\":{\"cost_nano\":\"1440\",\"cost\":\"0.00000144\","
          "\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n"
          ": cocoon {\"receipt\":\"job_1\",\"cost_nano\":\"1440\",\"cost\":\"0.00000144\"}\n\n"
          "data: [DONE]\n\n");
}

TEST_CASE("proxy: a cut answer is an error, never a short answer") {
    struct Row {
        Act act;
        bool stream;
    };
    for (const Row& row : {Row{Act::cut_after_head, false}, Row{Act::cut_connection, false},
                           Row{Act::tampered, false}, Row{Act::cut_before_head, false},
                           Row{Act::cut_before_head, true}, Row{Act::cut_after_head, true},
                           Row{Act::cut_connection, true}}) {
        INFO(static_cast<int>(row.act) << (row.stream ? " stream" : ""));
        Sidecar sidecar;
        sidecar.market.with([&] {
            sidecar.market.script.acts = {row.act};
            sidecar.market.script.engine = row.stream ? stream_answer() : whole_answer();
        });
        net::ClientRequest call =
            sidecar.request("POST", "/v1/chat/completions", row.stream ? streamed : question);
        std::string body;
        int status = 0;
        const auto response = sidecar.http.stream(
            call,
            [&](const net::ClientResponse& head) {
                status = head.status;
                return true;
            },
            [&](std::string_view bytes) {
                body += bytes;
                return true;
            });
        sidecar.market.with([&] { CHECK(sidecar.market.seen.exchanges == 1); });  // not tried again
        CHECK(body.find("[DONE]") == std::string::npos);
        if (row.stream && row.act != Act::cut_before_head) {
            REQUIRE(!response);
            CHECK(response.error().code == ErrorCode::stream_truncated);
            CHECK(body.find("data: {\"error\":{\"message\":") != std::string::npos);
        } else {
            REQUIRE(response);
            CHECK(status == 502);
            CHECK(response->headers.get("x-should-retry") == "false");
        }
    }
}

TEST_CASE("proxy: a rematched job is sealed anew for the new node") {
    Sidecar sidecar;
    sidecar.market.with([&] { sidecar.market.script.acts = {Act::rematch}; });
    const auto response = sidecar.ask(question);
    CHECK(response.status == 200);
    CHECK(response.headers.get("X-Cocoon-Node") == "node_2");
    CHECK(response.headers.get("X-Cocoon-Job") == "job_2");
    sidecar.market.with([&] {
        CHECK(sidecar.market.seen.orders.size() == 1);
        CHECK(sidecar.market.seen.exchanges == 2);
        CHECK(sidecar.market.seen.evidence_reads == 2);
    });
}

TEST_CASE("proxy: what is tried again, and how often") {
    struct Row {
        std::deque<Act> acts;
        int status;
        const char* code;
        std::size_t orders;
        int exchanges;
    };
    const Row rows[] = {
        {{Act::expired}, 200, "", 2, 2},
        {{Act::problem_503}, 200, "", 2, 2},
        {{Act::problem_503, Act::expired}, 200, "", 3, 3},
        {{Act::problem_503, Act::problem_503, Act::problem_503}, 503, "node_unavailable", 3, 3},
        {{Act::rematch, Act::rematch, Act::rematch}, 503, "job_rematched", 1, 3},
    };
    for (const Row& row : rows) {
        Sidecar sidecar;
        sidecar.market.with([&] { sidecar.market.script.acts = row.acts; });
        const auto response = sidecar.ask(question);
        INFO(response.body);
        CHECK(response.status == row.status);
        if (row.status != 200) CHECK(code_of(response) == row.code);
        sidecar.market.with([&] {
            CHECK(sidecar.market.seen.orders.size() == row.orders);
            CHECK(sidecar.market.seen.exchanges == row.exchanges);
        });
    }
}

TEST_CASE("proxy: the market's refusals become the SDK's errors") {
    struct Row {
        int status;
        std::string body;
        int seen;
        const char* code;
        std::size_t orders;
    };
    const std::string why =
        R"(,"detail":"d","explanation":{"offers_seen":2,"truncated":false,)"
        R"("removed":[{"constraint":"price_total","offers":2}],"relaxations":[{"constraint":"price_total",)"
        R"("suggestion":"5000000","offers":1,"cost_nano":"5000000"}],"best":[]})";
    const Row rows[] = {
        {401, problem_text("unauthenticated"), 401, "unauthenticated", 1},
        {402, problem_text("insufficient_funds"), 402, "insufficient_funds", 1},
        {403, problem_text("forbidden"), 403, "forbidden", 1},
        {404, problem_text("unknown_market"), 404, "model_not_found", 1},
        {422, problem_text("invalid_body"), 422, "invalid_body", 1},
        {429, problem_text("rate_limited"), 200, "", 2},
        {503, problem_text("price_cap_too_low", why), 503, "price_cap_too_low", 1},
        {503, problem_text("no_eligible_offer", why), 503, "no_eligible_offer", 1},
        {503, problem_text("commit_failed"), 200, "", 2},
        {500, "<html>", 502, "upstream_failed", 1},
        {0, "", 200, "", 2},  // the connection broke: asked again under the same key
    };
    for (const Row& row : rows) {
        INFO(row.status << " " << row.body);
        Sidecar sidecar;
        sidecar.market.with([&] { sidecar.market.script.placings = {{row.status, row.body}}; });
        const auto response = sidecar.ask(question);
        CHECK(response.status == row.seen);
        if (row.seen != 200) CHECK(code_of(response) == row.code);
        if (row.code == std::string_view{"price_cap_too_low"}) {
            CHECK(response.body.find("0.005 TON") != std::string::npos);
            CHECK(response.headers.get("x-should-retry") == "false");
        }
        sidecar.market.with([&] {
            CHECK(sidecar.market.seen.orders.size() == row.orders);
            if (row.orders == 2)
                CHECK(sidecar.market.seen.idempotency_keys[0] ==
                      sidecar.market.seen.idempotency_keys[1]);
        });
    }
}

TEST_CASE("proxy: nothing is sealed for a node whose evidence does not hold") {
    struct Row {
        const char* what;
        std::function<void(ScriptedNode&)> spoil;
    };
    const Row rows[] = {
        {"evidence of another keyset",
         [](ScriptedNode& node) { node.make_evidence("sha256:" + std::string(64, '0')); }},
        {"another nonce", [](ScriptedNode& node) { node.nonce = sealing::make_nonce(); }},
        {"no nonce", [](ScriptedNode& node) { node.nonce.clear(); }},
        {"one bit", [](ScriptedNode& node) { node.evidence[node.evidence.size() / 2] ^= 1; }},
        {"cut short", [](ScriptedNode& node) { node.evidence.pop_back(); }},
        {"other evidence than the job names",
         [](ScriptedNode& node) { node.named_evidence_hash = std::string(64, '0'); }},
        {"a keyset of someone else",
         [](ScriptedNode& node) { node.keyset.document = ScriptedNode{"node_1"}.keyset.document; }},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Sidecar sidecar;
        sidecar.market.with([&] { row.spoil(sidecar.market.node_1); });
        const auto response = sidecar.ask(question);
        CHECK(response.status == 503);
        CHECK(code_of(response) == "verdict_refused");
        CHECK(response.headers.get("x-should-retry") == "false");
        sidecar.market.with([&] {
            CHECK(sidecar.market.seen.exchanges == 0);
            CHECK(sidecar.market.seen.cancelled.size() == 2);  // both reservations are given back
        });
    }
    Sidecar strict{[](Config& config) { config.tiers = {"tdx"}; }};
    CHECK(code_of(strict.ask(question)) == "verdict_refused");
    strict.market.with([&] { CHECK(strict.market.seen.exchanges == 0); });
}

TEST_CASE("proxy: a match above the caps, or of something else, is refused before sealing") {
    struct Row {
        const char* what;
        std::function<void(ScriptedMarket::Script&)> change;
        net::Headers headers;
    };
    const Row rows[] = {
        {"price",
         [](auto& script) { script.price.prompt = 90'000'000; },
         {{"X-Cocoon-Max-Price-Prompt-Nano", "30000000"}}},
        {"total",
         [](auto& script) { script.price.request = 5'000'000; },
         {{"X-Cocoon-Max-Cost-Nano", "4000000"}}},
        {"market", [](auto& script) { script.market = "inference:other"; }, {}},
        {"build", [](auto&) {}, {}},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Sidecar sidecar;
        sidecar.market.with([&] { row.change(sidecar.market.script); });
        if (row.what == std::string_view{"build"}) {
            CHECK(sidecar.ask(question, {{"X-Cocoon-Build", "q8"}}).status == 200);
            continue;
        }
        const auto response = sidecar.ask(question, row.headers);
        CHECK(response.status == 502);
        sidecar.market.with([&] {
            CHECK(sidecar.market.seen.exchanges == 0);
            CHECK(sidecar.market.seen.cancelled == std::vector<std::string>{"/v1/jobs/job_1"});
        });
    }
}

TEST_CASE("proxy: the SDK's hang-up reaches the market at once") {
    Sidecar sidecar;
    sidecar.market.with([&] {
        sidecar.market.script.acts = {Act::hold};
        sidecar.market.script.engine = stream_answer();
        sidecar.market.script.engine.pieces.front() += "\n";
    });
    net::CancelToken cancel;
    const auto response = sidecar.http.stream(
        sidecar.request("POST", "/v1/chat/completions", streamed), [](const auto&) { return true; },
        [&](std::string_view) {
            cancel.cancel();
            return true;
        },
        &cancel);
    CHECK(!response);
    CHECK(sidecar.market.wait([&] { return sidecar.market.seen.hang_ups == 1; }));
}

TEST_CASE("proxy: a session serves many calls with one order, and ends when its node is lost") {
    Sidecar sidecar{[](Config& config) { config.session.enabled = true; }};
    sidecar.market.with([&] { sidecar.market.script.session = true; });
    for (int i = 0; i < 4; ++i) CHECK(sidecar.ask(question).headers.get("X-Cocoon-Job") == "job_1");
    sidecar.market.with([&] {
        REQUIRE(sidecar.market.seen.orders.size() == 1);
        CHECK(sidecar.market.seen.orders[0].boolean_at("session") == true);
        CHECK(sidecar.market.seen.orders[0].find("quantity")->integer_at("requests") == 1'000);
        sidecar.market.script.acts = {Act::expired};
        sidecar.market.script.session = false;
    });
    // Falls back to an order of its own; a per-call wish never uses the session.
    CHECK(sidecar.ask(question).headers.get("X-Cocoon-Job") == "job_2");
    sidecar.market.with([&] { sidecar.market.script.session = true; });
    CHECK(sidecar.ask(question).headers.get("X-Cocoon-Job") == "job_3");
    sidecar.market.with([&] { sidecar.market.script.session = false; });
    CHECK(sidecar.ask(question, {{"X-Cocoon-Max-Cost-Nano", "100000000"}})
              .headers.get("X-Cocoon-Job") == "job_4");
    sidecar.stop();
    sidecar.market.with([&] {
        CHECK(std::count(sidecar.market.seen.cancelled.begin(), sidecar.market.seen.cancelled.end(),
                         "/v1/jobs/job_3") == 1);
    });
}

TEST_CASE("proxy: models carry pricing, trust and context length") {
    Sidecar sidecar;
    const auto list = sidecar.http.send(sidecar.request("GET", "/v1/models"));
    REQUIRE(list);
    CHECK(
        list->body ==
        R"({"object":"list","data":[{"id":"org/m","market":"inference:org/m",)"
        R"("tiers":["simulated"],"offers":2,"object":"model","created":0,"owned_by":"market","pricing":null,)"
        R"("context_length":null,"trust":{"tiers":["simulated"],"accepted_tiers":["simulated"],"usable":true,)"
        R"("verified_by":"this client, before each seal"}}]})");
    const auto one = sidecar.http.send(sidecar.request("GET", "/v1/models/org%2Fm"));
    CHECK(one->status == 200);
    CHECK(sidecar.http.send(sidecar.request("GET", "/v1/models/org/m"))->status == 200);
    const auto none = sidecar.http.send(sidecar.request("GET", "/v1/models/nothing"));
    CHECK(none->status == 404);
    CHECK(code_of(*none) == "model_not_found");
}

TEST_CASE("proxy: the door") {
    Sidecar sidecar{[](Config& config) {
        config.local_key = "local";
        config.calls.body_bytes_max = 2'000;
    }};
    Sidecar open;
    const auto with = [](net::ClientRequest request, const char* name, const char* value) {
        request.headers.set(name, value);
        return request;
    };
    const auto keyed = [&](std::string method, const std::string& path, std::string body = {}) {
        return with(sidecar.request(std::move(method), path, std::move(body)), "Authorization",
                    "Bearer local");
    };
    struct Row {
        Sidecar& sidecar;
        net::ClientRequest request;
        int status;
        const char* code;
    };
    const Row rows[] = {
        {sidecar, keyed("POST", "/v1/chat/completions", question), 200, ""},
        {sidecar, sidecar.request("POST", "/v1/chat/completions", question), 401,
         "unauthenticated"},
        {sidecar, with(sidecar.request("GET", "/v1/models"), "Authorization", "Bearer locaL"), 401,
         "unauthenticated"},
        {sidecar, with(sidecar.request("GET", "/v1/models"), "Authorization", "Bearer"), 401,
         "unauthenticated"},
        {sidecar, sidecar.request("GET", "/livez"), 200, ""},
        {sidecar, keyed("GET", "/v1/chat/completions"), 405, "method_not_allowed"},
        {sidecar, keyed("POST", "/v1/audio/speech", "{}"), 413, "body_too_large"},
        {sidecar, keyed("GET", "/v1/nothing"), 404, "not_found"},
        {sidecar, keyed("GET", "/v1/models/%zz"), 404, "not_found"},
        {sidecar, with(keyed("POST", "/v1/embeddings", "{}"), "Content-Type", "text/plain"), 415,
         "unsupported_media_type"},
        {sidecar, keyed("POST", "/v1/embeddings", std::string(2'001, ' ')), 413, "body_too_large"},
        {sidecar, keyed("POST", "/v1/embeddings", "{}"), 400, "malformed_request"},
        {sidecar, with(keyed("POST", "/v1/embeddings", question), "X-Cocoon-Tiers", "tdx"), 400,
         "malformed_request"},
        {open, with(open.request("GET", "/v1/models"), "Host", "evil.example"), 403, "forbidden"},
        {open, with(open.request("GET", "/v1/models"), "Host", "localhost:1"), 200, ""},
    };
    for (const Row& row : rows) {
        INFO(row.request.method << " " << row.request.url << " -> " << row.status);
        const auto response = row.sidecar.http.send(row.request);
        REQUIRE(response);
        CHECK(response->status == row.status);
        if (row.status != 200) CHECK(code_of(*response) == row.code);
    }
}

TEST_CASE("proxy: an engine's refusal passes through as it is") {
    Sidecar sidecar;
    const std::string refusal = R"({"error":{"message":"too long","type":"invalid_request_error",)"
                                R"("param":"messages","code":"context_length_exceeded"}})";
    sidecar.market.with([&] {
        sidecar.market.script.engine = {400, "application/json", {refusal}, {}};
    });
    const auto response = sidecar.ask(question);
    CHECK(response.status == 400);
    CHECK(response.body == refusal);
}

TEST_CASE("verify: exit codes of whole and tampered receipts") {
    Sidecar sidecar;
    REQUIRE(sidecar.ask(question).status == 200);
    sidecar.stop();
    const std::string path = sidecar.directory + "/job_1.json";
    const Json kept = Json::parse(file_text(path)).value();
    const auto verify_changed = [&](const std::function<void(Json&)>& change,
                                    std::vector<std::string> options = {}) {
        Json document = kept;
        change(document);
        std::ofstream{sidecar.directory + "/changed.json"} << document.serialize();
        std::vector<std::string> arguments{"verify", sidecar.directory + "/changed.json", "--tiers",
                                           "simulated"};
        arguments.insert(arguments.end(), options.begin(), options.end());
        return run(arguments);
    };
    const auto receipt = [](Json& document) -> Json& {
        return *document.find("envelope")->find("receipt");
    };
    const std::string other(64, '0');
    struct Row {
        const char* what;
        std::function<void(Json&)> change;
        int exit_code;
        const char* failing;
    };
    const Row rows[] = {
        {"nothing", [](Json&) {}, 0, ""},
        {"white space and order",
         [](Json& d) {
             Json e = *d.find("envelope");
             d.erase("envelope");
             d.set("envelope", e);
         },
         0, ""},
        {"receipt id", [&](Json& d) { receipt(d).set("receipt_id", "job_2"); }, 1,
         "node_signature"},
        {"one member more", [&](Json& d) { receipt(d).set("x", 1); }, 1, "node_signature"},
        {"cosignature",
         [](Json& d) {
             d.find("envelope")->find("cosignature")->set("signature", std::string(128, '0'));
         },
         1, "market_cosignature"},
        {"market key", [&](Json& d) { d.set("market_key", other); }, 1, "market_cosignature"},
        {"agreed price", [](Json& d) { d.find("price")->set("prompt_nano_per_mtok", "1"); }, 1,
         "agreed_price"},
        {"usage", [](Json& d) { d.find("usage")->set("completion_tokens", 3); }, 1,
         "reported_usage"},
        {"sealed request", [&](Json& d) { d.set("sealed_request_sha256", "sha256:" + other); }, 1,
         "sealed_request"},
        {"sealed response", [&](Json& d) { d.set("sealed_response_sha256", "sha256:" + other); }, 1,
         "sealed_response"},
        {"evidence", [](Json& d) { d.find("evidence")->set("nonce", std::string(64, '1')); }, 1,
         "evidence"},
        {"keyset", [](Json& d) { d.set("keyset_document", "{}"); }, 1, "node_signature"},
        {"no keyset", [](Json& d) { d.erase("keyset_document"); }, 1, "node_signature"},
        {"not a digest", [](Json& d) { d.set("sealed_request_sha256", "sha256:x"); }, 1, ""},
        {"receipt gone", [](Json& d) { d.set("envelope", Json::object()); }, 1, "node_signature"},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        const Output output = verify_changed(row.change, {"--json"});
        CHECK(output.exit_code == row.exit_code);
        if (*row.failing == '\0') continue;
        const auto report = Json::parse(output.out);
        REQUIRE(report);
        CHECK(report->boolean_at("valid") == false);
        std::string failing;
        for (const Json& check : report->find("checks")->items())
            if (check.text_at("outcome") == "failed") failing = check.text_at("check").value();
        CHECK(failing == row.failing);
    }
    CHECK(verify_changed([](Json&) {}, {"--market-key", other}).exit_code == 1);
    CHECK(verify_changed([](Json&) {}, {"--market-key", to_hex(sidecar.market.key.public_key())})
              .exit_code == 0);
    CHECK(verify_changed([](Json&) {}, {"--market-key", "zz"}).exit_code == 2);
    // without naming it, the simulated tier is refused
    CHECK(run({"verify", path}).exit_code == 1);
    CHECK(run({"verify", "/nonexistent"}).exit_code == 2);
    CHECK(run({"verify", "job_1"}).exit_code == 2);
    CHECK(run({"verify"}).exit_code == 2);
    CHECK(run({"verify", path, path}).exit_code == 2);
    CHECK(run({"verify", path, "--jsom"}).exit_code == 2);
    const Output text = run({"verify", path, "--tiers", "simulated"});
    CHECK(text.out.find("VALID") != std::string::npos);
    CHECK(text.out.find("0.00000144 TON") != std::string::npos);
}
