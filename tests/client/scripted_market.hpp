// A market and two nodes in one process, for tests of the client: real HTTP, real keys, real seals
// and receipts; only the decisions are scripted. The script is set before a call and read on the
// loop's thread under the mutex.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "attestation/simulated.hpp"
#include "client/wire.hpp"
#include "net/http_server.hpp"
#include "sealing/binary_http.hpp"
#include "sealing/keyset.hpp"
#include "sealing/ohttp.hpp"
#include "sealing/receipt.hpp"
#include "sealing/statement.hpp"

namespace cocoon::client::test {

using sealing::Json;
namespace bhttp = sealing::bhttp;
namespace ohttp = sealing::ohttp;

struct ScriptedNode {
    std::string id;
    sealing::SigningKey receipt_key = sealing::SigningKey::generate();
    sealing::SealingKey sealing_key = sealing::SealingKey::generate();
    ohttp::KeyConfig config = ohttp::make_key_config(1, sealing_key.public_key());
    sealing::Keyset keyset;
    std::string nonce = sealing::make_nonce();
    Bytes evidence;
    std::string named_evidence_hash;  // by its jobs; empty: the right one

    explicit ScriptedNode(std::string name) : id{std::move(name)} {
        sealing::Keyset parts;
        parts.receipt_keys = {{"receipt-1", receipt_key.public_key()}};
        parts.sealing_keys = {{"seal-1", config}};
        parts.not_after = Instant{(SystemClock{}.now().unix_seconds() + 3'600) * 1'000'000};
        keyset = sealing::build_keyset(std::move(parts)).value();
        make_evidence(keyset.digest);
    }
    void make_evidence(const std::string& digest) {
        attestation::SimulatedReport report;
        report.measurement = std::string(96, 'a');
        report.platform_id = "test";
        report.report_data = sealing::report_data_for(digest, nonce).value();
        report.issued_at = Instant{SystemClock{}.now().unix_seconds() * 1'000'000};
        evidence = attestation::make_simulated_evidence(report).value().bytes;
    }
};

// What the market does with the next exchange.
enum class Act {
    answer,           // opened, answered, receipted
    rematch,          // 409 job_rematched to the other node
    expired,          // 410
    problem_503,      // 503 node_unavailable
    cut_after_head,   // the answer without its final sealed chunk, the HTTP stream whole
    cut_connection,   // the connection cut in the middle of the answer
    cut_before_head,  // 200, then cut before anything could be opened
    hold,             // the first piece, then nothing until the client goes away
    tampered,         // one bit of the sealed answer flipped
};

struct EngineAnswer {
    int status = 200;
    std::string content_type = "application/json";
    std::vector<std::string> pieces;
    Quantities usage;
};

class ScriptedMarket {
public:
    ScriptedNode node_1{"node_1"}, node_2{"node_2"};
    sealing::SigningKey key = sealing::SigningKey::generate();

    // ---- The script; change it through with() ---------------------------------------------------
    struct Script {
        std::deque<Act> acts;                              // for the next exchanges; empty: answer
        std::deque<std::pair<int, std::string>> placings;  // status and problem for the next orders
        EngineAnswer engine;
        Prices price{20'000'000, 5'000'000, 60'000'000, 60'000'000, 1'000, 0};
        std::string market;  // not empty: matched instead of what was asked
        bool session = false;
        int loss_of_receipts = 0;
    };
    Script script;
    // ---- What was seen --------------------------------------------------------------------------
    struct Seen {
        std::vector<Json> orders;
        std::vector<std::string> idempotency_keys;
        std::vector<bhttp::Request> requests;  // opened
        std::vector<std::string> cancelled;
        std::string raw;  // every byte of every exchange body
        int exchanges = 0, evidence_reads = 0, hang_ups = 0;
    };
    Seen seen;

    ScriptedMarket() {
        net::HttpServerOptions options;
        options.limits.connections_per_address_max = 4'096;
        net::HttpHandler handler;
        handler.on_head = [](const net::RequestHead&) {
            return net::Decision::accept(limits::http_sealed_body_bytes_max);
        };
        handler.on_request = [this](std::shared_ptr<net::Exchange> exchange) {
            serve(std::move(exchange));
        };
        handler.error_response = [](ErrorCode code, std::string_view) {
            return problem(refuse(code));
        };
        server_ = std::make_unique<net::HttpServer>(loop_, options, std::move(handler));
        thread_ = std::thread{[this] { loop_.run(); }};
    }
    ~ScriptedMarket() {
        loop_.stop();
        thread_.join();
        held_.clear();
        server_.reset();
    }

    std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }
    template <class Change>
    void with(Change change) {
        const std::lock_guard lock{mutex_};
        change();
    }
    // Waits until the condition holds, at most ten seconds.
    template <class Condition>
    bool wait(Condition condition) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, std::chrono::seconds{10}, condition);
    }

private:
    using Open = std::shared_ptr<net::Exchange>;

    static net::Response problem(const Error& error, Json more = Json::object()) {
        const ErrorInfo& info = describe(error.code);
        more.set("code", info.name);
        more.set("detail", error.detail);
        return {info.status, {{"Content-Type", "application/problem+json"}}, more.serialize()};
    }
    static net::Response json(int status, const Json& body) {
        return {status, {{"Content-Type", "application/json"}}, body.serialize()};
    }

    ScriptedNode& node(std::string_view id) { return id == node_2.id ? node_2 : node_1; }

    Json job_json(const std::string& id, const ScriptedNode& on, const Json& order) {
        Json job = Json::object(
            {{"id", id}, {"request", "req_" + id.substr(4)}, {"node", on.id}, {"offer", "off_1"}});
        job.set("market", script.market.empty() ? std::string{order.text_at("market").value_or("")}
                                                : script.market);
        job.set("build", order.find("build") ? *order.find("build") : Json{});
        job.set("session", script.session);
        job.set("price", prices_json(script.price));
        job.set("quantity", *order.find("quantity"));
        job.set("state", "reserved");
        job.set("hold_nano", "1");
        job.set("counter", "0");
        job.set("fencing_token", "77");
        job.set("keyset_digest", on.keyset.digest);
        job.set("evidence_hash", on.named_evidence_hash.empty()
                                     ? to_hex(sealing::sha256(on.evidence))
                                     : on.named_evidence_hash);
        job.set("expires_at", (SystemClock{}.now() + seconds(300)).text());
        return job;
    }
    static Json node_json(const ScriptedNode& node) {
        return Json::object({{"id", node.id},
                             {"tier", "simulated"},
                             {"keyset_digest", node.keyset.digest},
                             {"evidence_hash", to_hex(sealing::sha256(node.evidence))},
                             {"evidence_url", "/v1/nodes/" + node.id + "/evidence"}});
    }

    void serve(Open exchange) {
        const std::lock_guard lock{mutex_};
        const net::Request& request = exchange->request();
        if (request.path == "/v1/requests")
            place(*exchange);
        else if (request.path.ends_with("/exchange"))
            run(exchange);
        else if (request.path.ends_with("/evidence"))
            show_evidence(*exchange);
        else if (request.path.ends_with("/receipt"))
            show_receipt(*exchange);
        else if (request.path.ends_with(":renew"))
            renew(*exchange);
        else if (request.method == "DELETE") {
            seen.cancelled.push_back(request.path);
            exchange->respond({204, {}, {}});
        } else if (request.path == "/v1/market-key") {
            exchange->respond(json(
                200, Json::object({{"key_id", "m"}, {"public_key", to_hex(key.public_key())}})));
        } else if (request.path == "/v1/models") {
            exchange->respond(
                {200,
                 {},
                 R"({"object":"list","data":[{"id":"org/m","market":"inference:org/m",)"
                 R"("tiers":["simulated"],"offers":2}]})"});
        } else {
            exchange->respond(problem(refuse(ErrorCode::not_found)));
        }
        changed_.notify_all();
    }

    void place(net::Exchange& exchange) {
        const Json order = Json::parse(exchange.request().body).value();
        seen.orders.push_back(order);
        seen.idempotency_keys.emplace_back(exchange.request().headers.get("Idempotency-Key"));
        if (!script.placings.empty()) {
            const auto [status, body] = script.placings.front();
            script.placings.pop_front();
            if (status == 0) return exchange.abort();
            return exchange.respond({status, {{"Content-Type", "application/problem+json"}}, body});
        }
        const std::string id = "job_" + std::to_string(++jobs_);
        jobs_open_[id] = job_json(id, node_1, order);
        exchange.respond(
            json(201, Json::object({{"request", Json::object({{"id", "req_" + id.substr(4)}})},
                                    {"job", jobs_open_[id]},
                                    {"node", node_json(node_1)}})));
    }

    void renew(net::Exchange& exchange) {
        const std::string path = exchange.request().path;
        const std::string id = path.substr(9, path.rfind(':') - 9);
        jobs_open_[id].set("expires_at", (SystemClock{}.now() + seconds(600)).text());
        renewals_ += 1;
        exchange.respond(json(200, jobs_open_[id]));
    }

    void show_evidence(net::Exchange& exchange) {
        const ScriptedNode& from = node(exchange.request().path.substr(10, 6));
        ++seen.evidence_reads;
        exchange.respond(json(200, Json::object({{"node", from.id},
                                                 {"tier", "simulated"},
                                                 {"nonce", from.nonce},
                                                 {"keyset_document", from.keyset.document},
                                                 {"keyset_digest", from.keyset.digest},
                                                 {"evidence", to_base64(from.evidence)}})));
    }

    void show_receipt(net::Exchange& exchange) {
        const std::string path = exchange.request().path;
        const std::string id = path.substr(9, path.rfind('/') - 9);
        if (!receipts_.count(id)) return exchange.respond(problem(refuse(ErrorCode::not_found)));
        exchange.respond({200, {}, receipts_[id]});
    }

    // ---- The node's side ------------------------------------------------------------------------

    void run(const Open& exchange) {
        ++seen.exchanges;
        const net::Request& request = exchange->request();
        seen.raw += request.body;
        const std::string id = request.path.substr(9, request.path.rfind('/') - 9);
        Act act = Act::answer;
        if (!script.acts.empty()) {
            act = script.acts.front();
            script.acts.pop_front();
        }
        Json& job = jobs_open_[id];
        if (act == Act::expired)
            return exchange->respond(problem(refuse(ErrorCode::reservation_expired)));
        if (act == Act::problem_503)
            return exchange->respond(problem(refuse(ErrorCode::node_unavailable)));
        if (act == Act::rematch) {
            const std::string next = "job_" + std::to_string(++jobs_);
            jobs_open_[next] = job;
            Json& moved = jobs_open_[next];
            moved.set("id", next);
            moved.set("node", node_2.id);
            moved.set("keyset_digest", node_2.keyset.digest);
            moved.set("evidence_hash", to_hex(sealing::sha256(node_2.evidence)));
            moved.set("fencing_token", "78");
            return exchange->respond(
                problem(refuse(ErrorCode::job_rematched),
                        Json::object({{"job", moved}, {"node", node_json(node_2)}})));
        }
        answer(exchange, id, job, act);
    }

    void answer(const Open& exchange, const std::string& id, const Json& job, Act act) {
        const ScriptedNode& on = node(job.text_at("node").value());
        const net::Request& request = exchange->request();
        const auto terms = from_base64url(request.headers.get("Cocoon-Terms"));
        const bool terms_right =
            terms && Json::parse(as_text(*terms))->text_at("job") == id &&
            Json::parse(as_text(*terms))->canonical() == as_text(*terms) &&
            request.headers.get("Cocoon-Fencing-Token") == job.text_at("fencing_token");
        ohttp::ChunkedRequestOpener opener{{{on.config, on.sealing_key}}, terms.value_or(Bytes{})};
        auto first = opener.feed(as_bytes(request.body));
        auto last = first ? opener.finish() : first;
        if (!terms_right || !first || !last)
            return exchange->respond(problem(refuse(ErrorCode::sealed_message_invalid)));
        first->insert(first->end(), last->begin(), last->end());
        seen.requests.push_back(bhttp::parse_request(*first).value());

        auto sealer = opener.response_sealer().value();
        bhttp::ResponseWriter writer;
        std::vector<Bytes> sealed;
        const EngineAnswer& engine = script.engine;
        sealed.push_back(
            sealer
                .seal(writer.begin(engine.status, {{"content-type", engine.content_type}}).value())
                .value());
        for (const std::string& piece : engine.pieces)
            sealed.push_back(sealer.seal(writer.content(as_bytes(piece))).value());
        sealed.push_back(sealer.finish(writer.finish().value()).value());
        if (act == Act::tampered) sealed[1].back() ^= 1;

        exchange->start(200, {{"Content-Type", std::string{ohttp::chunked_response_media_type}},
                              {"Cocoon-Receipt", id}});
        if (act == Act::cut_before_head) {
            exchange->write(std::string{as_text(ByteView{sealed[0]}.first(8))});
            return exchange->finish();
        }
        sealing::Sha256 hash;
        const std::size_t pieces =
            act == Act::hold ? 2
                             : sealed.size() - (act == Act::answer || act == Act::tampered ? 0 : 1);
        for (std::size_t i = 0; i < pieces; ++i) {
            hash.update(sealed[i]);
            exchange->write(std::string{as_text(sealed[i])});
        }
        if (act == Act::hold) return hold(exchange);
        make_receipt(on, id, job, request.body, hash.finish(), engine.usage);
        if (act == Act::cut_connection)
            exchange->abort();
        else
            exchange->finish();
    }

    void hold(const Open& exchange) {
        held_.push_back(exchange);
        exchange->on_closed([this] {
            const std::lock_guard lock{mutex_};
            ++seen.hang_ups;
            changed_.notify_all();
        });
    }

    void make_receipt(const ScriptedNode& on, const std::string& id, const Json& job,
                      const std::string& sealed_request, const sealing::Digest& sealed_response,
                      const Quantities& usage) {
        sealing::JobReceipt receipt;
        receipt.receipt_id = receipt.job = id;
        receipt.request = job.text_at("request").value();
        receipt.node = on.id;
        receipt.market = job.text_at("market").value();
        receipt.model = "m";
        receipt.prices = script.price;
        receipt.usage = usage;
        receipt.cost = cost_of(script.price, usage).value();
        receipt.sealed_request_sha256 = sealing::sha256(as_bytes(sealed_request));
        receipt.sealed_response_sha256 = sealed_response;
        receipt.endpoint = "/v1/chat/completions";
        receipt.method = "POST";
        receipt.served_at = Instant{SystemClock{}.now().unix_seconds() * 1'000'000};
        const auto document =
            sealing::sign_receipt(receipt, on.keyset, "receipt-1", on.receipt_key).value();
        receipts_[id] = sealing::cosign_receipt(document, "m", key).value();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    int jobs_ = 0;
    int renewals_ = 0;
    std::map<std::string, Json> jobs_open_;
    std::map<std::string, std::string> receipts_;
    std::vector<Open> held_;
    net::EventLoop loop_;
    std::unique_ptr<net::HttpServer> server_;
    std::thread thread_;
};

}  // namespace cocoon::client::test
