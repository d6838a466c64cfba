// The relay with real sockets, a real lane and the real engine; only the journal is in memory, and
// the node is a script. Nothing sleeps: whoever waits, waits for an event.
#include "server/relay.hpp"

#include <chrono>
#include <future>

#include "api/http.hpp"
#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "sealing/canonical_json.hpp"
#include "server/aci_desk.hpp"
#include "tests/catch.hpp"
#include "tests/matching/sim_journal.hpp"
#include "trust/aci_report.hpp"

using namespace cocoon;
using namespace cocoon::server;

namespace {

constexpr Duration patience = seconds(20);

// A queue that one thread fills and another drains.
template <class T>
class Channel {
public:
    void put(T item) {
        const std::lock_guard lock{mutex_};
        items_.push_back(std::move(item));
        arrived_.notify_all();
    }
    T take() {
        std::unique_lock lock{mutex_};
        if (!arrived_.wait_for(lock, std::chrono::microseconds{patience.us},
                               [&] { return !items_.empty(); })) {
            throw std::runtime_error{"nothing came"};
        }
        T item = std::move(items_.front());
        items_.pop_front();
        return item;
    }
    bool empty() {
        const std::lock_guard lock{mutex_};
        return items_.empty();
    }

private:
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<T> items_;
};

struct Message {
    std::string bytes;
    bool binary = false;
    bool closed = false;
    std::uint16_t code = 0;
};

// The node's side: its socket's messages in a channel, and helpers that speak the protocol.
struct ScriptedNode {
    std::shared_ptr<net::WebSocket> socket;
    std::shared_ptr<Channel<Message>> inbox = std::make_shared<Channel<Message>>();
    std::uint64_t stream = 0;
    sealing::Sha256 request_hash, response_hash;

    sealing::Json control(std::string_view type) {
        while (true) {
            const Message message = inbox->take();
            if (message.closed)
                throw std::runtime_error{"closed while waiting for " + std::string{type}};
            if (message.binary) continue;
            auto json = sealing::Json::parse(message.bytes);
            REQUIRE(json);
            if (json->text_at("type") == type) return *json;
        }
    }
    sealing::Json opened() {
        auto open = control("open");
        stream = std::stoull(std::string{*open.text_at("stream")});
        return open;
    }
    // All request bytes up to the end.
    std::string request() {
        std::string body;
        while (true) {
            const Message message = inbox->take();
            REQUIRE_FALSE(message.closed);
            if (!message.binary) continue;
            const auto frame = parse_frame(message.bytes);
            REQUIRE(frame);
            if (frame->type == FrameType::request_end) break;
            if (frame->type != FrameType::request_data) continue;
            body += frame->payload;
        }
        request_hash.update(as_bytes(body));
        return body;
    }
    bool cancelled() {
        while (true) {
            const Message message = inbox->take();
            if (message.closed) return false;
            if (message.binary && parse_frame(message.bytes)->type == FrameType::cancel)
                return true;
        }
    }
    std::uint16_t close_code() {
        while (true) {
            const Message message = inbox->take();
            if (message.closed) return message.code;
        }
    }
    void respond(std::string_view bytes) {
        response_hash.update(as_bytes(bytes));
        socket->send_binary(make_frame(FrameType::response_data, stream, bytes));
    }
};

std::string chunk(std::string_view text) {
    return std::string(1, static_cast<char>(text.size())) + std::string{text};
}
const std::string nonce(16, 'n');
const std::string final_chunk = std::string(1, '\0') + "sealed end";

struct Key {
    sealing::SigningKey receipt = sealing::SigningKey::generate();
    sealing::Keyset keyset;
    Key() {
        sealing::Keyset parts;
        parts.receipt_keys.push_back({"r1", receipt.public_key()});
        parts.sealing_keys.push_back({"s1", sealing::ohttp::make_key_config(
                                                1, sealing::SealingKey::generate().public_key())});
        parts.not_after = SystemClock{}.now() + hours(12);
        parts.not_after.us -= parts.not_after.us % 1'000'000;
        keyset = *sealing::build_keyset(parts);
    }
};

class World {
public:
    explicit World(Duration heartbeat = milliseconds(20), net::WebSocketOptions socket = {},
                   AciDeskOptions desk_options = {}) {
        writer = std::make_unique<matching::Writer>(journal);
        furnish();
        directory.fill(writer->state());
        Lane::Doors lane_doors{[this](std::function<void()> call) { loop.post(std::move(call)); },
                               [this](const matching::Batch& batch) {
                                   directory.apply(batch, clock.now());
                                   relay->stored(batch);
                               },
                               {},
                               {}};
        lane = std::make_unique<Lane>(*writer, clock, metrics, LaneOptions{}, lane_doors);
        const auto submit = [this](matching::Command command, Lane::Done done) {
            matching::Envelope envelope;
            envelope.command = std::move(command);
            return lane->submit(std::move(envelope), std::move(done));
        };
        const auto rematched = [](const matching::RequestAnswer& answer, std::string_view) {
            api::Response response;
            response.status = 409;
            response.body = "rematched " + answer.job->id.text();
            return response;
        };
        RelayOptions options;
        options.heartbeat = heartbeat;
        options.cancel_grace = milliseconds(300);
        options.socket = socket;
        relay = std::make_unique<Relay>(
            RelayDoors{loop,
                       workers,
                       directory,
                       clock,
                       metrics,
                       {"market-1", market_key},
                       "00",
                       submit,
                       rematched,
                       [](AccountId, std::uint64_t) {},
                       [this](NodeId node, std::uint64_t ticket, const std::string& why) {
                           desk->failed(node, ticket, why);
                       }},
            options);
        desk =
            std::make_unique<AciDesk>(AciDeskDoors{loop, workers, directory, clock, metrics,
                                                   [this](NodeId node, std::string message) {
                                                       return relay->tell(node, std::move(message));
                                                   }},
                                      desk_options);
        net::HttpHandler handler;
        handler.on_head = [](const net::RequestHead& head) {
            const bool whole = head.websocket || head.path.starts_with("/aci/");
            return whole ? net::Decision::accept() : net::Decision::stream();
        };
        handler.on_request = [this](std::shared_ptr<net::Exchange> exchange) {
            take(std::move(exchange));
        };
        handler.error_response = [](ErrorCode code, std::string_view) {
            return net::Response{describe(code).status, {}, {}};
        };
        web = std::make_unique<net::HttpServer>(loop, net::HttpServerOptions{}, handler);
        lane->start();
        loop.post([this] { relay->start(); });
        thread = std::thread{[this] { loop.run(); }};
    }
    ~World() {
        std::promise<void> closed;
        loop.post([&] {
            relay->close_all();
            web.reset();
            closed.set_value();
        });
        closed.get_future().wait();
        lane->stop();
        workers.stop();
        loop.stop();
        thread.join();
    }

    void take(std::shared_ptr<net::Exchange> exchange) {
        Admitted admitted;
        const net::Request& request = exchange->request();
        admitted.principal.account =
            AccountId::parse(request.headers.get("As")).value_or(developer);
        admitted.principal.node = NodeId::parse(request.headers.get("Node")).value_or(NodeId{});
        admitted.principal.key = KeyId::parse(request.headers.get("Key")).value_or(KeyId{});
        const bool websocket = request.websocket;
        const auto job = JobId::parse(std::string_view{request.path}.substr(1)).value_or(JobId{});
        const auto in = std::make_shared<Incoming>(std::move(exchange), admitted, "", clock.now(),
                                                   clock, metrics, answers);
        // "/aci/node_1?nonce=", "/aci/node_1/7"
        if (const std::string path = in->request().path; path.starts_with("/aci/")) {
            const std::size_t slash = path.find('/', 5);
            const std::string of = path.substr(5, slash - 5);
            return slash == path.npos ? desk->ask(in, of)
                                      : desk->answer(in, of, path.substr(slash + 1));
        }
        websocket ? relay->accept_node(in) : relay->begin(in, job);
    }

    template <class Expected>
    Expected must(matching::Command command, AccountId actor = {}) {
        matching::Envelope envelope;
        envelope.actor = actor;
        envelope.scopes = ~matching::ScopeSet{0};
        envelope.command = std::move(command);
        matching::Reply reply = refuse(ErrorCode::internal_error);
        if (!lane) {
            reply = writer->step(std::span{&envelope, 1}, clock.now()).front().reply;
        } else {
            std::promise<matching::Reply> promise;
            REQUIRE(lane->submit(envelope, [&](matching::Answered answered) {
                promise.set_value(std::move(answered.reply));
            }));
            reply = promise.get_future().get();
        }
        if (!reply)
            throw std::runtime_error{std::string{describe(reply.error().code).name} + " " +
                                     reply.error().detail};
        return std::get<Expected>(*reply);
    }

    void furnish() {
        using namespace matching;
        for (int i = 0; i < 2; ++i) {
            OpenAccount open;
            open.kind = i == 0 ? AccountKind::developer : AccountKind::provider;
            open.name = "someone";
            open.profile = "{}";
            open.deposit_memo = "memo" + std::to_string(i);
            open.first_key.secret_hash[0] = static_cast<std::uint8_t>(i + 1);
            open.first_key.scopes = i == 0 ? scope_read | scope_work : scope_read | scope_offer;
            const auto answer = must<AccountAnswer>(open);
            (i == 0 ? developer : provider) = answer.account;
            if (i == 0) work_key = answer.key;
        }
        must<DepositAnswer>(CreditDeposit{"memo0", Nano{1'000'000'000'000}, "chain:1"});
        for (std::size_t i = 0; i < 2; ++i) {
            Digest token{};
            token[0] = static_cast<std::uint8_t>(50 + i);
            must<Done>(IssueEnrolment{provider, token, hours(1)});
            EnrolNode enrol;
            enrol.token_hash = token;
            enrol.node.name = "n";
            enrol.node.region = "eu-west";
            enrol.node.country = "DE";
            enrol.node.gpu_model = "H100";
            enrol.node.gpu_count = 1;
            enrol.node.hardware = "{}";
            enrol.credential.secret_hash[0] = static_cast<std::uint8_t>(60 + i);
            const auto enrolled = must<NodeAnswer>(enrol);
            nodes[i] = enrolled.node;
            node_keys[i] = enrolled.key;
            SubmitVerdict verdict;
            verdict.node = nodes[i];
            verdict.tier = Tier::tdx;
            verdict.measurement = std::string(96, 'a');
            verdict.identities = {"cpu:" + std::to_string(i)};
            verdict.keyset_digest = keys[i].keyset.digest;
            verdict.keyset_document = keys[i].keyset.document;
            verdict.evidence_hash = std::string(64, 'c');
            verdict.evidence = "evidence";
            verdict.verdict = "{}";
            verdict.valid_until = clock.now() + hours(10);
            must<VerdictAnswer>(verdict);
            PlaceOffer place;
            place.market = "inference:x";
            place.offer.provider = provider;
            place.offer.node = nodes[i];
            place.offer.price = {
                {1'000'000'000}, {}, {2'000'000'000 + static_cast<std::int64_t>(i)}, {}, {}, {}};
            place.offer.slots = 8;
            must<OfferAnswer>(place, provider);
        }
    }

    matching::Job match(bool session = false) {
        matching::PlaceRequest place;
        place.alternatives = {{"inference:x", ""}};
        place.request.account = developer;
        place.request.key = work_key;
        place.request.quantity = {1'000, 0, 1'000, 0, 10, 0};
        place.request.session = session;
        place.request.job_duration = seconds(300);
        auto answer = must<matching::RequestAnswer>(place, developer);
        if (!answer.job) throw std::runtime_error{"no match"};
        return *answer.job;
    }

    ScriptedNode connect(std::size_t which) {
        ScriptedNode node;
        std::promise<std::shared_ptr<net::WebSocket>> promise;
        net::Headers headers{{"Node", nodes[which].text()},
                             {"Key", node_keys[which].text()},
                             {"As", provider.text()}};
        const auto inbox = node.inbox;
        net::connect_websocket(
            loop, "ws://127.0.0.1:" + std::to_string(web->port()) + "/relay", headers, {},
            [&](Result<std::shared_ptr<net::WebSocket>> socket) {
                if (socket) {
                    (*socket)->on_message([inbox](std::string_view bytes, bool binary) {
                        inbox->put({std::string{bytes}, binary});
                    });
                    (*socket)->on_closed([inbox](std::uint16_t code, const std::string&) {
                        inbox->put({"", false, true, code});
                    });
                }
                promise.set_value(socket ? *socket : nullptr);
            });
        node.socket = promise.get_future().get();
        REQUIRE(node.socket);
        node.socket->send_text(R"({"type":"hello","protocol":1,"program":"script"})");
        node.control("welcome");
        // The presence command was sent before the welcome could be read: a no-op behind it waits
        // for it.
        must<matching::Done>(matching::DrainNode{provider, nodes[which], false}, provider);
        return node;
    }

    std::string sealed(std::size_t which, std::size_t bytes = 100) const {
        const auto& config = keys[which].keyset.sealing_keys[0].config;
        std::string body{static_cast<char>(config.key_id), 0, 0x20, 0, 1, 0, 1};
        for (std::size_t i = body.size(); i < bytes; ++i)
            body.push_back(static_cast<char>('a' + i % 23));
        return body;
    }

    static std::string terms(const matching::Job& job, matching::QuantityVector quantity) {
        using sealing::Json;
        return Json::object(
                   {{"version", 1},
                    {"job", job.id.text()},
                    {"market", "inference:x"},
                    {"fencing_token", std::to_string(job.fencing_token)},
                    {"expires_at", job.expires_at.text()},
                    {"price",
                     Json::object({{"prompt_nano_per_mtok", job.price.prompt.text()},
                                   {"completion_nano_per_mtok", job.price.completion.text()}})},
                    {"quantity", Json::object({{"prompt_tokens", quantity.prompt},
                                               {"completion_tokens", quantity.completion},
                                               {"requests", quantity.requests}})}})
            .canonical();
    }

    struct Answer {
        int status = 0;
        std::string body;
        bool whole = false;
        std::string receipt, envelope;  // from the trailers
    };
    net::ClientRequest call(const matching::Job& job, std::string body,
                            std::optional<matching::QuantityVector> quantity = {}) const {
        net::ClientRequest request;
        request.method = "POST";
        request.url = "http://127.0.0.1:" + std::to_string(web->port()) + "/" + job.id.text();
        request.headers.add("Content-Type", "message/ohttp-chunked-req");
        request.headers.add("Cocoon-Fencing-Token", std::to_string(job.fencing_token));
        request.headers.add("Cocoon-Terms",
                            to_base64url(as_bytes(terms(job, quantity.value_or(job.quantity)))));
        request.body = std::move(body);
        return request;
    }
    std::future<Answer> exchange(net::ClientRequest request, net::CancelToken* cancel = nullptr,
                                 std::shared_future<void> gate = {}) {
        return std::async(std::launch::async, [this, request = std::move(request), cancel, gate] {
            Answer answer;
            const auto done = client.stream(
                request,
                [&](const net::ClientResponse& head) {
                    answer.status = head.status;
                    return true;
                },
                [&](std::string_view bytes) {
                    if (gate.valid()) gate.wait();
                    answer.body += bytes;
                    return true;
                },
                cancel);
            answer.whole = done.has_value();
            if (!done) return answer;
            answer.status = done->status;
            answer.receipt = done->trailers.get("Cocoon-Receipt");
            const auto envelope = from_base64url(done->trailers.get("Cocoon-Receipt-Envelope"));
            if (envelope) answer.envelope = as_text(*envelope);
            return answer;
        });
    }

    std::string receipt(ScriptedNode& node, std::size_t which, const matching::Job& job,
                        sealing::ReceiptStatus status, std::int64_t tokens,
                        std::uint64_t counter = 0, std::int64_t cumulative = 0) {
        sealing::JobReceipt receipt;
        receipt.receipt_id = job.id.text() + (counter ? "." + std::to_string(counter) : "");
        receipt.job = job.id.text();
        receipt.request = job.request.text();
        receipt.node = nodes[which].text();
        receipt.market = "inference:x";
        receipt.model = "x";
        receipt.prices = {job.price.prompt.value, 0, job.price.completion.value, 0, 0, 0};
        receipt.usage = {10, 0, tokens, 0, 1, 0};
        receipt.cost = *matching::cost(job.price, {10, 0, tokens, 0, 1, 0});
        receipt.sealed_request_sha256 = node.request_hash.finish();
        receipt.sealed_response_sha256 = node.response_hash.finish();
        receipt.status = status;
        receipt.session_counter = counter;
        if (counter) {
            receipt.cumulative_usage = {10 * static_cast<std::int64_t>(counter), 0, cumulative, 0,
                                        static_cast<std::int64_t>(counter),      0};
            receipt.cumulative_cost =
                *matching::cost(job.price, {10 * static_cast<std::int64_t>(counter), 0, cumulative,
                                            0, static_cast<std::int64_t>(counter), 0});
        }
        receipt.endpoint = "/v1/chat/completions";
        receipt.method = "POST";
        receipt.served_at = Instant{clock.now().unix_seconds() * 1'000'000};
        auto document =
            sealing::sign_receipt(receipt, keys[which].keyset, "r1", keys[which].receipt);
        if (!document) throw std::runtime_error{document.error().detail};
        return *document;
    }
    std::future<net::ClientResponse> ask_report(const std::string& target,
                                                net::CancelToken* cancel = nullptr) {
        return std::async(std::launch::async, [this, target, cancel] {
            net::ClientRequest request;
            request.url = "http://127.0.0.1:" + std::to_string(web->port()) + "/aci/" + target;
            auto response = client.send(request, cancel);
            return response ? *std::move(response) : net::ClientResponse{};
        });
    }
    std::size_t questions() {  // as the I/O thread knows it
        std::promise<std::size_t> promise;
        loop.post([&] { promise.set_value(desk->waiting()); });
        return promise.get_future().get();
    }
    int post_report(std::size_t which, const std::string& ticket, std::string report) {
        net::ClientRequest request;
        request.method = "POST";
        request.url = "http://127.0.0.1:" + std::to_string(web->port()) + "/aci/" +
                      nodes[0].text() + "/" + ticket;
        request.headers.add("Node", nodes[which].text());
        request.headers.add("Content-Type", "application/json");
        request.body = std::move(report);
        const auto response = client.send(request, nullptr);
        return response ? response->status : 0;
    }
    void finish(ScriptedNode& node, std::string_view receipt) {
        node.socket->send_binary(make_frame(FrameType::response_end, node.stream, receipt));
    }

    matching::Job job(JobId id) {  // as the I/O thread knows it
        std::promise<matching::Job> promise;
        loop.post([&] { promise.set_value(*directory.job(id)); });
        return promise.get_future().get();
    }

    const SystemClock clock;
    net::EventLoop loop;
    net::WorkerPool workers{"worker", 2};
    Metrics metrics;
    AnswerPolicy answers{"", false, false};
    matching::SimJournal journal;
    Directory directory;
    std::unique_ptr<matching::Writer> writer;
    std::unique_ptr<Lane> lane;
    std::unique_ptr<Relay> relay;
    std::unique_ptr<AciDesk> desk;
    std::unique_ptr<net::HttpServer> web;
    net::HttpClient client;
    sealing::SigningKey market_key = sealing::SigningKey::generate();
    Key keys[2];
    AccountId developer, provider;
    KeyId work_key, node_keys[2];
    NodeId nodes[2];
    std::thread thread;
};

}  // namespace

TEST_CASE("a whole exchange: bytes pass unchanged, the end comes with the capture") {
    World world;
    auto node = world.connect(0);
    const auto job = world.match();
    REQUIRE(job.node == world.nodes[0]);
    auto answer = world.exchange(world.call(job, world.sealed(0, 200'000)));
    const auto open = node.opened();
    CHECK(open.text_at("job") == job.id.text());
    CHECK(open.text_at("terms") == World::terms(job, job.quantity));
    CHECK(node.request() == world.sealed(0, 200'000));
    node.respond(nonce + chunk("one"));
    node.respond(chunk("two") + final_chunk);
    world.finish(node, world.receipt(node, 0, job, sealing::ReceiptStatus::completed, 20));
    const auto got = answer.get();
    CHECK(got.status == 200);
    CHECK(got.whole);
    CHECK(got.body == nonce + chunk("one") + chunk("two") + final_chunk);
    const auto ended = world.job(job.id);
    CHECK(ended.state == matching::JobState::completed);
    CHECK(ended.captured == *matching::cost(job.price, {10, 0, 20, 0, 1, 0}));
    CHECK(ended.hold == Nano{});
    CHECK(node.control("receipt_ack").text_at("job") == job.id.text());
    const auto inner = sealing::receipt_of_envelope(got.envelope);
    REQUIRE(inner);
    const auto verdict = sealing::verify_job_receipt(*inner, world.keys[0].keyset);
    REQUIRE(verdict.receipt().job);
    CHECK(verdict.receipt().job->job == job.id.text());
}

TEST_CASE("what is wrong with a call is said before a node hears of it") {
    World world;
    auto node = world.connect(0);
    const auto job = world.match();
    const auto status = [&](const std::function<void(net::ClientRequest&)>& change) {
        auto request = world.call(job, world.sealed(0));
        change(request);
        return world.exchange(request).get().status;
    };
    CHECK(status([](auto& r) {
              r.body = R"({"model":"x","messages":[]})" + std::string(100, ' ');
          }) == 400);
    CHECK(status([](auto& r) { r.body = ""; }) == 400);
    CHECK(status([&](auto& r) { r.body = world.sealed(0, 54); }) == 400);
    CHECK(status([](auto& r) { r.body[0] = 9; }) == 400);  // another key id
    CHECK(status([](auto& r) { r.headers.set("Content-Type", "application/json"); }) == 415);
    CHECK(status([](auto& r) {
              r.headers.set("Cocoon-Fencing-Token", "1");
              r.headers.set("Cocoon-Fencing-Token", "999");
          }) == 409);
    CHECK(status([](auto& r) { r.headers.remove("Cocoon-Fencing-Token"); }) == 409);
    CHECK(status([](auto& r) { r.headers.remove("Cocoon-Terms"); }) == 422);
    CHECK(status([](auto& r) { r.headers.set("Cocoon-Terms", "!!"); }) == 422);
    CHECK(status([&](auto& r) {
              r.headers.set("Cocoon-Terms",
                            to_base64url(as_bytes(World::terms(job, {999, 0, 1'000, 0, 10, 0}))));
          }) == 422);
    CHECK(status([&](auto& r) { r.headers.add("As", world.provider.text()); }) == 404);
    CHECK(status([&](auto& r) { r.url += "9"; }) == 404);
    CHECK(node.inbox->empty());
    CHECK(world.job(job.id).state == matching::JobState::reserved);
}

TEST_CASE(
    "a node lost before its first byte: another one is found and the client told to seal "
    "anew") {
    World world;
    auto first = world.connect(0), second = world.connect(1);
    const auto job = world.match();
    REQUIRE(job.node == world.nodes[0]);
    auto answer = world.exchange(world.call(job, world.sealed(0)));
    first.opened();
    first.socket->abort();
    const auto got = answer.get();
    CHECK(got.status == 409);
    CHECK(got.body == "rematched job_2");
    CHECK(world.job(job.id).state == matching::JobState::failed);
    CHECK(world.job(JobId{2}).node == world.nodes[1]);
}

TEST_CASE(
    "a node that fails before its first byte is replaced, too; a caller's fault is the "
    "caller's") {
    World world;
    auto first = world.connect(0), second = world.connect(1);
    const struct {
        const char* code;
        int status;
        matching::JobState other;
    } rows[] = {{"upstream_failed", 409, matching::JobState::reserved},
                {"sealed_message_invalid", 400, matching::JobState::failed}};
    for (const auto& row : rows) {
        const auto job = world.match();
        ScriptedNode& node = job.node == world.nodes[0] ? first : second;
        auto answer =
            world.exchange(world.call(job, world.sealed(job.node == world.nodes[0] ? 0 : 1)));
        node.opened();
        node.socket->send_text(R"({"type":"failed","stream":")" + std::to_string(node.stream) +
                               R"(","code":")" + row.code + R"("})");
        CHECK(answer.get().status == row.status);
        CHECK(world.job(job.id).state == matching::JobState::failed);
        CHECK(world.job(job.id).captured == Nano{});
    }
}

TEST_CASE(
    "a node lost after its first byte: the client sees the cut, and the late receipt is "
    "paid") {
    World world;
    auto node = world.connect(0);
    const auto job = world.match();
    auto answer = world.exchange(world.call(job, world.sealed(0)));
    node.opened();
    node.request();
    std::promise<void> flowing;
    node.respond(nonce + chunk("partial"));
    node.socket->close(1001, "restart");
    const auto got = answer.get();
    if (got.status == 200) CHECK_FALSE(got.whole);
    REQUIRE(got.status == 200);
    const std::string document = world.receipt(node, 0, job, sealing::ReceiptStatus::partial, 3);
    auto again = world.connect(0);
    again.socket->send_text(R"({"type":"receipt","job":")" + job.id.text() + R"(","receipt":)" +
                            document + "}");
    CHECK(again.control("receipt_ack").text_at("job") == job.id.text());
    CHECK(world.job(job.id).captured == *matching::cost(job.price, {10, 0, 3, 0, 1, 0}));
    again.socket->send_text(R"({"type":"receipt","job":")" + job.id.text() + R"(","receipt":)" +
                            document + "}");
    CHECK(again.control("receipt_ack").text_at("job") == job.id.text());  // twice is once
    CHECK(world.job(job.id).captured == *matching::cost(job.price, {10, 0, 3, 0, 1, 0}));
}

namespace {

// An exchange whose node is lost after its first byte; its job goes on in the books.
matching::Job cut_off(World& world, ScriptedNode& node) {
    const auto job = world.match();
    auto answer = world.exchange(world.call(job, world.sealed(0)));
    node.opened();
    node.request();
    node.respond(nonce + chunk("partial"));
    // Only what the client has seen begin is cut; before that the market matches anew.
    while (world.metrics.relay_response_bytes.value() == 0) std::this_thread::yield();
    node.socket->close(1001, "restart");
    const auto got = answer.get();
    REQUIRE(got.status == 200);
    CHECK_FALSE(got.whole);
    // Its start is committed beside the relaying.
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (world.job(job.id).state == matching::JobState::reserved &&
           std::chrono::steady_clock::now() < patience)
        std::this_thread::yield();
    CHECK(world.job(job.id).state == matching::JobState::running);
    return job;
}

std::string late_receipt(const matching::Job& job, const std::string& document) {
    return R"({"type":"receipt","job":")" + job.id.text() + R"(","receipt":)" + document + "}";
}
std::string no_receipt(const matching::Job& job) {
    return R"({"type":"no_receipt","job":")" + job.id.text() + R"("})";
}

}  // namespace

TEST_CASE("bug: a node that came back without its receipt held money until the job's expiry") {
    World world;
    auto node = world.connect(0);
    const auto job = cut_off(world, node);
    // Another node has no say in it.
    auto other = world.connect(1);
    other.socket->send_text(no_receipt(job));
    other.socket->send_text(R"({"type":"receipt","job":"job_999","receipt":{}})");
    other.control("receipt_ack");
    CHECK(world.job(job.id).state == matching::JobState::running);

    auto again = world.connect(0);
    const auto wanted = again.control("receipts_wanted");
    REQUIRE(wanted.find("jobs")->items().size() == 1);
    CHECK(wanted.find("jobs")->items()[0].text() == job.id.text());
    again.socket->send_text(no_receipt(job));
    again.socket->send_text(no_receipt(job));  // twice is once
    while (world.job(job.id).state == matching::JobState::running) std::this_thread::yield();
    const auto ended = world.job(job.id);
    CHECK(ended.state == matching::JobState::failed);
    CHECK(ended.reason == "no_receipt");
    CHECK(ended.captured == Nano{});
    CHECK(ended.hold == Nano{});
    // A receipt after that word comes too late, and is not asked for again.
    again.socket->send_text(
        late_receipt(job, world.receipt(node, 0, job, sealing::ReceiptStatus::partial, 3)));
    CHECK(again.control("receipt_ack").text_at("job") == job.id.text());
    CHECK(world.job(job.id).captured == Nano{});
}

TEST_CASE("a late receipt that does not verify ends its job unpaid, and is acknowledged") {
    World world;
    auto node = world.connect(0);
    const auto job = cut_off(world, node);
    auto again = world.connect(0);
    again.control("receipts_wanted");
    again.socket->send_text(
        late_receipt(job, world.receipt(node, 0, job, sealing::ReceiptStatus::partial, 1'001)));
    CHECK(again.control("receipt_ack").text_at("job") == job.id.text());
    CHECK(world.job(job.id).state == matching::JobState::failed);
    CHECK(world.job(job.id).reason == "receipt_invalid");
    CHECK(world.job(job.id).hold == Nano{});
}

TEST_CASE("a job whose exchange is open is not ended by the word that it has no receipt") {
    World world;
    auto node = world.connect(0);
    const auto job = world.match();
    auto answer = world.exchange(world.call(job, world.sealed(0)));
    node.opened();
    node.request();
    while (world.job(job.id).state != matching::JobState::running) std::this_thread::yield();
    node.socket->send_text(no_receipt(job));
    node.respond(nonce + chunk("text") + final_chunk);
    world.finish(node, world.receipt(node, 0, job, sealing::ReceiptStatus::completed, 5));
    CHECK(answer.get().whole);
    CHECK(world.job(job.id).state == matching::JobState::completed);
}

TEST_CASE("bug: each credit made an exchange wait once more for a full connection") {
    net::WebSocketOptions socket;
    socket.pending_bytes_max = 2 << 10;  // control messages fit, pieces of a long request never do
    World world{milliseconds(20), socket};
    auto node = world.connect(0);
    const auto waits_for = [&](std::int64_t streams) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (world.metrics.relay_streams_blocked.value() != streams)
            if (std::chrono::steady_clock::now() > end) return false;
        return true;
    };
    std::uint64_t ids[2];
    std::future<World::Answer> answers[2];
    for (int i = 0; i < 2; ++i) {
        const auto job = world.match();
        answers[i] = world.exchange(world.call(job, world.sealed(0, 1 << 20)));
        node.opened();
        ids[i] = node.stream;
        REQUIRE(waits_for(i + 1));
    }
    for (const int i : {1, 0}) {
        for (const std::uint64_t id : ids)
            for (int n = 0; n < 10; ++n) node.socket->send_binary(make_credit(id, 1));
        node.socket->send_text(R"({"type":"failed","stream":")" + std::to_string(ids[i]) +
                               R"(","code":"sealed_message_invalid"})");
        answers[i].get();
        CHECK(waits_for(i));
    }
}

TEST_CASE("bug: a node stayed connected after its rotated key had ended") {
    World world;
    auto node = world.connect(0);
    matching::RotateKey rotate;
    rotate.account = world.provider;
    rotate.key = world.node_keys[0];
    rotate.secret_hash[0] = 77;
    rotate.overlap = milliseconds(50);
    world.must<matching::KeyAnswer>(rotate, world.provider);
    CHECK(node.close_code() == 4003);
}

TEST_CASE("a receipt that does not fit what was relayed pays nothing and cuts the answer") {
    World world;
    auto node = world.connect(0);
    for (const std::string what : {"hash", "usage", "truncated", "garbage"}) {
        const auto job = world.match();
        auto answer = world.exchange(world.call(job, world.sealed(0)));
        node.opened();
        node.request();
        node.respond(nonce + chunk("text") + (what == "truncated" ? "" : final_chunk));
        if (what == "hash") node.response_hash.update(as_bytes("more"));
        std::string document = world.receipt(node, 0, job, sealing::ReceiptStatus::completed,
                                             what == "usage" ? 1'001 : 5);
        world.finish(node, what == "garbage" ? "{}" : document);
        const auto got = answer.get();
        CAPTURE(what);
        CHECK_FALSE((got.whole && got.status == 200));
        CHECK(world.job(job.id).state == matching::JobState::failed);
        CHECK(world.job(job.id).captured == Nano{});
    }
}

TEST_CASE("bug: a receipt overtook the start of its job, and the node was not paid") {
    World world{milliseconds(200)};  // until the start is tried again
    auto node = world.connect(0);
    const auto job = world.match();
    const std::uint64_t lost = world.metrics.lane_not_stored.value();
    world.journal.next_fault = matching::Fault::refuse;  // of the commit that starts the job
    auto answer = world.exchange(world.call(job, world.sealed(0)));
    node.opened();
    while (world.metrics.lane_not_stored.value() == lost) std::this_thread::yield();
    node.request();
    node.respond(nonce + chunk("text") + final_chunk);
    world.finish(node, world.receipt(node, 0, job, sealing::ReceiptStatus::completed, 5));
    const auto got = answer.get();
    CHECK(got.status == 200);
    CHECK(got.whole);
    CHECK(world.job(job.id).state == matching::JobState::completed);
    CHECK(world.job(job.id).captured == *matching::cost(job.price, {10, 0, 5, 0, 1, 0}));
}

TEST_CASE("bug: a node stayed connected after its key was revoked") {
    World world;
    auto node = world.connect(0);
    auto other = world.connect(1);
    world.must<matching::Done>(matching::RevokeKey{world.provider, world.node_keys[0]},
                               world.provider);
    CHECK(node.close_code() == 4003);
    const auto job = world.match();
    CHECK(job.node == world.nodes[1]);
    auto answer = world.exchange(world.call(job, world.sealed(1)));
    other.opened();
    other.request();
    other.respond(nonce + chunk("text") + final_chunk);
    world.finish(other, world.receipt(other, 1, job, sealing::ReceiptStatus::completed, 5));
    CHECK(answer.get().whole);
}

TEST_CASE("a client that hangs up: the node is cancelled, and partial work is paid") {
    World world;
    auto node = world.connect(0);
    const auto job = world.match();
    net::CancelToken hang_up;
    auto answer = world.exchange(world.call(job, world.sealed(0)), &hang_up);
    node.opened();
    node.request();
    node.respond(nonce + chunk("some"));
    hang_up.cancel();
    CHECK(node.cancelled());
    const std::string document = world.receipt(node, 0, job, sealing::ReceiptStatus::partial, 7);
    node.socket->send_text(R"({"type":"failed","stream":")" + std::to_string(node.stream) +
                           R"(","code":"upstream_failed","started":true,"receipt":)" + document +
                           "}");
    node.control("receipt_ack");
    const auto ended = world.job(job.id);
    CHECK(ended.captured == *matching::cost(job.price, {10, 0, 7, 0, 1, 0}));
    CHECK(ended.hold == Nano{});
}

TEST_CASE("a node that stays silent after a hang-up is not paid, and nothing stays held") {
    World world;
    auto node = world.connect(0);
    const auto job = world.match();
    net::CancelToken hang_up;
    auto answer = world.exchange(world.call(job, world.sealed(0)), &hang_up);
    node.opened();
    node.request();
    hang_up.cancel();
    CHECK(node.cancelled());
    const auto open = [&] {
        const auto state = world.job(job.id).state;
        return state == matching::JobState::reserved || state == matching::JobState::running;
    };
    while (open()) std::this_thread::yield();
    CHECK(world.job(job.id).state == matching::JobState::failed);
    CHECK(world.job(job.id).hold == Nano{});
}

TEST_CASE("credit holds both directions") {
    World world;
    auto node = world.connect(0);
    const auto job = world.match();
    const std::string body = world.sealed(0, 3 << 20);
    std::promise<void> slow;
    auto answer = world.exchange(world.call(job, body), nullptr, slow.get_future().share());
    node.opened();
    std::string got;
    while (got.size() < limits::relay_window_bytes) {
        const Message message = node.inbox->take();
        if (message.binary) got += parse_frame(message.bytes)->payload;
    }
    CHECK(got.size() == limits::relay_window_bytes);  // and no byte more until there is credit
    node.socket->send_binary(make_credit(node.stream, 4 << 20));
    got += node.request();
    CHECK(got == body);
    // The client takes nothing, so nothing is granted; a node that goes on all the same is cut off.
    const std::string flood =
        make_frame(FrameType::response_data, node.stream, std::string(200'000, 'x'));
    while (!node.socket->closed()) {
        if (!node.socket->send_binary(flood)) std::this_thread::yield();
    }
    CHECK(node.close_code() == 1002);
    slow.set_value();
    CHECK_FALSE(answer.get().whole);
}

TEST_CASE("malformed frames close the socket, and a newer connection replaces the older") {
    World world;
    for (const bool binary : {true, false}) {
        auto node = world.connect(0);
        binary ? node.socket->send_binary("\x7f") : node.socket->send_text("{}");
        CHECK(node.close_code() == 1002);
    }
    auto older = world.connect(0);
    auto newer = world.connect(0);
    CHECK(older.close_code() == 4001);
    const auto job = world.match();
    auto answer = world.exchange(world.call(job, world.sealed(0)));
    CHECK(newer.opened().text_at("job") == job.id.text());
    newer.socket->abort();
    CHECK(answer.get().status == 503);  // nobody else is there
}

TEST_CASE("bug: a late session receipt beyond the session was captured, and no refusal was told") {
    World world;
    auto node = world.connect(0);
    const auto job = world.match(true);
    const auto late = [&](std::int64_t cumulative) {
        const std::string document =
            world.receipt(node, 0, job, sealing::ReceiptStatus::partial, 5, 1, cumulative);
        node.socket->send_text(R"({"type":"receipt","job":")" + job.id.text() + R"(","receipt":)" +
                               document + "}");
        const auto acknowledged = node.control("receipt_ack");
        return std::string{acknowledged.text_at("refused").value_or("")};
    };
    CHECK(late(1'001) == "usage_over_bound");  // each exchange in its bound, their sum beyond
    CHECK(world.job(job.id).captured == Nano{});
    world.must<matching::JobAnswer>(matching::CancelJob{world.developer, job.id}, world.developer);
    CHECK(late(5) == "reservation_expired");
    CHECK(world.job(job.id).captured == Nano{});
}

TEST_CASE("a session: exchanges at once, each bounded, captured by newest counter") {
    World world;
    auto node = world.connect(0);
    const auto job = world.match(true);
    const matching::QuantityVector part{400, 0, 400, 0, 1, 0};
    auto one = world.exchange(world.call(job, world.sealed(0), part));
    node.opened();
    node.request();
    const std::uint64_t first_stream = node.stream;
    auto two = world.exchange(world.call(job, world.sealed(0, 150), part));
    ScriptedNode other = {node.socket, node.inbox, 0, {}, {}};
    other.opened();
    other.request();
    // 400+400+400 > 1000
    CHECK(world.exchange(world.call(job, world.sealed(0), part)).get().status == 422);
    node.stream = first_stream;
    other.respond(nonce + chunk("b") + final_chunk);
    world.finish(other, world.receipt(other, 0, job, sealing::ReceiptStatus::completed, 30, 1, 30));
    const auto second = two.get();
    CHECK(second.whole);
    CHECK(second.receipt == job.id.text() + ".1");
    node.respond(nonce + chunk("a") + final_chunk);
    world.finish(node, world.receipt(node, 0, job, sealing::ReceiptStatus::completed, 20, 2, 50));
    const auto first = one.get();
    CHECK(first.whole);
    CHECK(first.receipt == job.id.text() + ".2");
    CHECK(first.envelope.find(job.id.text() + ".2") != std::string::npos);
    const auto now = world.job(job.id);
    CHECK(now.state == matching::JobState::running);
    CHECK(now.counter == 2);
    CHECK(now.captured == *matching::cost(job.price, {20, 0, 50, 0, 2, 0}));
    auto three = world.exchange(world.call(job, world.sealed(0), part));  // room again
    ScriptedNode third = {node.socket, node.inbox, 0, {}, {}};
    third.opened();
    third.request();
    third.respond(nonce + final_chunk);
    // sums go back
    world.finish(third, world.receipt(third, 0, job, sealing::ReceiptStatus::completed, 1, 3, 40));
    CHECK_FALSE(three.get().whole);
    CHECK(world.job(job.id).counter == 2);
}

// ---- Nodes as ACI services ----------------------------------------------------------------------

namespace {

const std::string asked_nonce(64, '3');

std::string report_of(const Key& key, std::optional<std::string_view> nonce = asked_nonce) {
    return trust::make_aci_report(key.keyset, nonce, {"simulated", {1, 2, 3}}, {}).value();
}

std::string code_of(const net::ClientResponse& response) {
    const auto body = sealing::Json::parse(response.body);
    return body ? std::string{body->text_at("code").value_or("")} : "";
}

// More questions than any test asks, unless it is about that.
AciDeskOptions many_questions() {
    AciDeskOptions options;
    options.per_node = options.per_address = {1'000, seconds(60)};
    return options;
}

}  // namespace

TEST_CASE("whoever asks a node over a nonce of their own gets the node's own answer") {
    World world{milliseconds(20), {}, many_questions()};
    ScriptedNode node = world.connect(0);
    const std::string target = world.nodes[0].text();
    auto fresh = world.ask_report(target + "?nonce=" + asked_nonce);
    const auto question = node.control("aci_attest");
    CHECK(question.text_at("nonce") == asked_nonce);
    const std::string ticket{*question.text_at("ticket")};
    // Another node's key cannot answer for it, nor a guessed ticket.
    CHECK(world.post_report(1, ticket, report_of(world.keys[0])) == 403);
    CHECK(world.post_report(0, "999", report_of(world.keys[0])) == 404);
    CHECK(world.post_report(0, ticket, report_of(world.keys[0])) == 204);
    const auto answer = fresh.get();
    CHECK(answer.status == 200);
    CHECK(answer.body == report_of(world.keys[0]));
    CHECK(answer.headers.get("X-ACI-Keyset-Digest") == world.keys[0].keyset.digest);
    CHECK(answer.headers.get("X-ACI-Version") == "aci/1");
    CHECK(world.post_report(0, ticket, report_of(world.keys[0])) == 404);  // once
    // Without a nonce: evidence of no particular moment.
    auto any = world.ask_report(target);
    const auto second = node.control("aci_attest");
    CHECK(second.find("nonce")->is_null());
    CHECK(world.post_report(0, std::string{*second.text_at("ticket")},
                            report_of(world.keys[0], std::nullopt)) == 204);
    CHECK(any.get().status == 200);
    CHECK(world.metrics.aci_reports.value() == 2);
}

TEST_CASE("a question that a node cannot or does not answer ends with its own refusal") {
    AciDeskOptions options = many_questions();
    options.patience = milliseconds(300);
    World world{milliseconds(20), {}, options};
    const std::string target = world.nodes[0].text();
    const std::string query = "?nonce=" + asked_nonce;
    CHECK(code_of(world.ask_report("node_999" + query).get()) == "not_found");
    CHECK(code_of(world.ask_report("acc_1" + query).get()) == "not_found");
    for (const char* wrong : {"?nonce=abc", "?nonce=", "?other=1",
                              "?nonce="
                              "A",
                              "?nonce=a&nonce=b"})
        CHECK(world.ask_report(target + wrong).get().status == 400);
    CHECK(code_of(world.ask_report(target + query).get()) == "node_unavailable");

    ScriptedNode node = world.connect(0);
    CHECK(code_of(world.ask_report(target + query).get()) == "deadline_exceeded");
    node.control("aci_attest");
    // It says that it cannot, and why.
    auto refused = world.ask_report(target + query);
    auto question = node.control("aci_attest");
    node.socket->send_text(R"({"type":"aci_failed","ticket":")" +
                           std::string{*question.text_at("ticket")} +
                           R"(","detail":"the GPU is away"})");
    const auto told = refused.get();
    CHECK(code_of(told) == "node_unavailable");
    CHECK(told.status == 503);
    CHECK(told.headers.get("Retry-After") != "");
    CHECK(told.body.find("the GPU is away") != std::string::npos);
    // It answers another question, or with other keys than it has attested.
    for (const std::string& report : {report_of(world.keys[0], std::string(64, '4')),
                                      report_of(world.keys[1]), std::string{"{}"}}) {
        auto misled = world.ask_report(target + query);
        question = node.control("aci_attest");
        CHECK(world.post_report(0, std::string{*question.text_at("ticket")}, report) == 400);
        CHECK(code_of(misled.get()) == "upstream_failed");
    }
    // It goes away, or whoever asked does.
    net::CancelToken cancel;
    auto left = world.ask_report(target + query, &cancel);
    node.control("aci_attest");
    cancel.cancel();
    CHECK(left.get().status == 0);
    while (world.questions() != 0) {
    }
    auto next = world.ask_report(target + query);
    question = node.control("aci_attest");
    CHECK(world.post_report(0, std::string{*question.text_at("ticket")},
                            report_of(world.keys[0])) == 204);
    CHECK(next.get().status == 200);
}

TEST_CASE("questions to nodes are few: one at a time, so many a minute, from each address") {
    AciDeskOptions options = many_questions();
    options.per_node = {3, seconds(600)};
    World world{milliseconds(20), {}, options};
    ScriptedNode node = world.connect(0);
    const std::string target = world.nodes[0].text() + "?nonce=" + asked_nonce;
    auto first = world.ask_report(target);
    const auto question = node.control("aci_attest");
    CHECK(code_of(world.ask_report(target).get()) == "rate_limited");  // one at a time
    CHECK(world.post_report(0, std::string{*question.text_at("ticket")},
                            report_of(world.keys[0])) == 204);
    CHECK(first.get().status == 200);
    auto third = world.ask_report(target);
    CHECK(world.post_report(0, std::string{*node.control("aci_attest").text_at("ticket")},
                            report_of(world.keys[0])) == 204);
    CHECK(third.get().status == 200);
    CHECK(code_of(world.ask_report(target).get()) == "rate_limited");
    AciDeskOptions none = many_questions();
    none.waiting_max = 0;
    World full{milliseconds(20), {}, none};
    ScriptedNode other = full.connect(0);
    CHECK(code_of(full.ask_report(full.nodes[0].text()).get()) == "overloaded");
    none = many_questions();
    none.per_address = {1, seconds(600)};
    none.patience = milliseconds(10);
    World from_one{milliseconds(20), {}, none};
    ScriptedNode silent = from_one.connect(0);
    ScriptedNode beside = from_one.connect(1);
    CHECK(code_of(from_one.ask_report(from_one.nodes[0].text()).get()) == "deadline_exceeded");
    CHECK(code_of(from_one.ask_report(from_one.nodes[1].text()).get()) == "rate_limited");
}
