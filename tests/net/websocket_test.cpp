#include "net/websocket.hpp"

#include <atomic>
#include <deque>
#include <vector>

#include "tests/catch.hpp"
#include "tests/net/certificate.hpp"
#include "tests/net/support.hpp"

using namespace net_test;

namespace {

// Everything one socket reports, in order: "text:…", "binary:…", "closed:1000:bye".
class Record {
public:
    void watch(WebSocket& socket) {
        socket.on_message([this](std::string_view bytes, bool binary) {
            add((binary ? "binary:" : "text:") + std::string{bytes});
        });
        socket.on_closed([this](std::uint16_t code, std::string reason) {
            add("closed:" + std::to_string(code) + ":" + reason);
        });
    }
    std::string next() {
        std::unique_lock lock{mutex_};
        if (!ready_.wait_for(lock, std::chrono::milliseconds{patience_ms},
                             [&] { return !events_.empty(); }))
            throw std::runtime_error{"waited in vain"};
        std::string event = std::move(events_.front());
        events_.pop_front();
        return event;
    }

private:
    void add(std::string event) {
        const std::lock_guard lock{mutex_};
        events_.push_back(std::move(event));
        ready_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<std::string> events_;
};

using Connected = std::shared_ptr<Result<std::shared_ptr<WebSocket>>>;

// A server that upgrades /relay and refuses the rest, with both ends recorded.
class Pair {
public:
    explicit Pair(WebSocketOptions server_side = {}, const TestCertificate* certificate = nullptr) {
        HttpHandler handler;
        handler.on_request = [this, server_side](std::shared_ptr<Exchange> exchange) {
            if (exchange->request().path == "/forbidden") return exchange->respond({403, {}, {}});
            if (exchange->request().path == "/silent") return held.set(std::move(exchange));
            authorization = exchange->request().headers.get("Authorization");
            exchange->upgrade(server_side, {{"X-Extra", "1"}},
                              [this](std::shared_ptr<WebSocket> socket) {
                                  if (socket) at_server.watch(*socket);
                                  server_socket.set(std::move(socket));
                              });
        };
        HttpServerOptions options;
        if (certificate) {
            options.certificate_file = certificate->certificate_file;
            options.private_key_file = certificate->key_file;
        }
        server.emplace(handler, options);
    }
    ~Pair() {
        held.set(nullptr);
        server_socket.set(nullptr);
        server.reset();
    }

    Result<std::shared_ptr<WebSocket>> connect(const std::string& path = "/relay",
                                               WebSocketConnectOptions options = {},
                                               const char* scheme = "ws",
                                               const char* host = "127.0.0.1") {
        Eventually<Connected> done;
        connect_websocket(
            client_thread.loop,
            std::string{scheme} + "://" + host + ":" + std::to_string(server->port()) + path,
            {{"Authorization", "Bearer x"}}, options, [&](auto result) {
                if (result) at_client.watch(**result);
                done.set(std::make_shared<Result<std::shared_ptr<WebSocket>>>(std::move(result)));
            });
        return *done.get();
    }

    Record at_server, at_client;
    Eventually<std::shared_ptr<WebSocket>> server_socket;
    Eventually<std::shared_ptr<Exchange>> held;
    std::string authorization;
    std::optional<TestServer> server;
    LoopThread client_thread;
};

const std::string upgrade_request =
    "GET /relay HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// A masked client frame with an all-zero key (RFC 6455 §5.2), payload up to 125 bytes.
std::string frame(int first_byte, const std::string& payload) {
    return std::string{static_cast<char>(first_byte), static_cast<char>(0x80 | payload.size())} +
           std::string(4, '\0') + payload;
}

}  // namespace

TEST_CASE("messages of all sizes cross in both directions, in order, whole") {
    Pair pair;
    auto client = pair.connect();
    REQUIRE(client);
    auto server = pair.server_socket.get();
    CHECK(pair.authorization == "Bearer x");
    CHECK(server->remote_address() == "127.0.0.1");
    for (const std::size_t size : {0u, 1u, 125u, 126u, 65'535u, 65'536u, 262'144u}) {
        const std::string bytes(size, 'm');
        REQUIRE((*client)->send_binary(bytes));
        REQUIRE(server->send_text(bytes));
        CHECK(pair.at_server.next() == "binary:" + bytes);
        CHECK(pair.at_client.next() == "text:" + bytes);
    }
    for (int i = 0; i < 500; ++i) {
        REQUIRE((*client)->send_text(std::to_string(i)));
        REQUIRE(server->send_binary(std::to_string(i)));
    }
    for (int i = 0; i < 500; ++i) {
        CHECK(pair.at_server.next() == "text:" + std::to_string(i));
        CHECK(pair.at_client.next() == "binary:" + std::to_string(i));
    }
    CHECK(pair.server->server->counters().websockets_open == 1);
}

TEST_CASE("closing: code and reason reach both ends, after what was pending") {
    Pair pair;
    auto client = pair.connect();
    REQUIRE(client);
    auto server = pair.server_socket.get();
    SECTION("by the server") {
        CHECK(server->send_text("last"));
        server->close(4001, "draining");
        CHECK_FALSE(server->send_text("too late"));
        CHECK(pair.at_client.next() == "text:last");
        CHECK(pair.at_client.next() == "closed:4001:draining");
        CHECK(pair.at_server.next() == "closed:4001:draining");
    }
    SECTION("by the client, with a reason too long") {
        (*client)->close(1000, std::string(500, 'r'));
        CHECK(pair.at_server.next() == "closed:1000:" + std::string(123, 'r'));
        CHECK(pair.at_client.next().starts_with("closed:1000"));
    }
    SECTION("by dropping the last reference") {
        *client = nullptr;
        CHECK(pair.at_server.next().starts_with("closed:1001"));
    }
    SECTION("by cutting") {
        (*client)->abort();
        CHECK(pair.at_client.next() == "closed:1006:");
        CHECK(pair.at_server.next() == "closed:1006:");
    }
    CHECK(pair.server->server->counters().websockets_open <= 1);
    while (pair.server->server->counters().connections_open > 0) std::this_thread::yield();
    CHECK(pair.server->server->counters().websockets_open == 0);
    Eventually<std::uint16_t> late;
    server->on_closed([&](std::uint16_t code, std::string) { late.set(code); });
    CHECK(late.get() > 0);
    CHECK(server->closed());
}

TEST_CASE("a message over the limit closes with 1009") {
    WebSocketOptions options;
    options.message_bytes_max = 1000;
    Pair pair{options};
    auto client = pair.connect();
    REQUIRE(client);
    REQUIRE((*client)->send_binary(std::string(1000, 'x')));
    CHECK(pair.at_server.next().size() == 1007);
    REQUIRE((*client)->send_binary(std::string(1001, 'x')));
    CHECK(pair.at_server.next() == "closed:1009:");
    CHECK(pair.at_client.next().starts_with("closed:1009"));
}

TEST_CASE(
    "a peer that takes nothing: sends are refused at the bound, drained tells when to go on") {
    WebSocketOptions options;
    options.pending_bytes_max = 1 << 20;
    options.message_bytes_max = 1 << 20;
    Pair pair{options};
    // A raw peer, so that nothing is read until the test says so.
    RawClient client{pair.server->port(), 4096};
    REQUIRE(client.send(upgrade_request));
    CHECK(status_of(client.read_until("\r\n\r\n")) == 101);
    auto server = pair.server_socket.get();
    Eventually<bool> drained;
    server->on_drained([&] { drained.set(true); });
    const std::string message(16 << 10, 'x');
    std::size_t taken = 0;
    while (server->send_binary(message)) ++taken;
    CHECK_FALSE(server->closed());
    CHECK(server->pending_bytes() <= options.pending_bytes_max);
    CHECK(server->pending_bytes() > options.pending_bytes_max - message.size());
    const std::size_t framed = message.size() + 4;  // 16-bit length (RFC 6455 §5.2)
    CHECK(client.read_exactly(taken * framed).size() == taken * framed);
    CHECK(drained.get());
    CHECK(server->send_binary(message));
    CHECK(client.read_exactly(framed).size() == framed);
}

TEST_CASE("a silent peer is pinged, then closed") {
    WebSocketOptions options;
    options.ping_interval = milliseconds(100);
    Pair pair{options};
    RawClient client{pair.server->port()};
    REQUIRE(client.send(upgrade_request));
    client.read_until("\r\n\r\n");
    const std::string ping = client.read_exactly(2);
    CHECK(static_cast<unsigned char>(ping[0]) == 0x89);
    CHECK(pair.at_server.next() == "closed:1006:");
    CHECK(client.read_all().empty());
}

TEST_CASE("a peer that never completes the closing handshake is cut") {
    WebSocketOptions options;
    options.handshake_timeout = milliseconds(100);
    Pair pair{options};
    RawClient client{pair.server->port()};
    REQUIRE(client.send(upgrade_request));
    client.read_until("\r\n\r\n");
    auto server = pair.server_socket.get();
    server->close(1000, "bye");
    CHECK(pair.at_server.next().starts_with("closed:1006"));
}

TEST_CASE("malformed frames end the connection with a protocol error") {
    for (const auto& [name, bytes] : std::vector<std::pair<const char*, std::string>>{
             {"unmasked", std::string{"\x82\x01x", 3}},
             {"reserved bits", frame(0xF2, "x")},
             {"reserved opcode", frame(0x83, "x")},
             {"continuation of nothing", frame(0x80, "x")},
             {"text that is not UTF-8", frame(0x81, "\xff\xfe")},
             {"fragmented ping", frame(0x09, "x")},
             {"close with half a code", frame(0x88, "x")}}) {
        INFO(name);
        Pair pair;
        RawClient client{pair.server->port()};
        REQUIRE(client.send(upgrade_request));
        client.read_until("\r\n\r\n");
        REQUIRE(client.send(bytes));
        const std::string last = client.read_all();  // a close frame with its code
        CHECK((last.size() >= 4 && static_cast<unsigned char>(last[0]) == 0x88));
        client.close();
        CHECK(pair.at_server.next() == "closed:1002:");
    }
}

TEST_CASE("upgrades that are none") {
    Pair pair;
    for (const auto& [from, to] :
         std::vector<std::pair<std::string, std::string>>{{"Upgrade: websocket\r\n", ""},
                                                          {"Connection: Upgrade\r\n", ""},
                                                          {"Version: 13", "Version: 8"},
                                                          {"dGhlIHNhbXBsZSBub25jZQ==", "short"},
                                                          {"GET ", "POST "},
                                                          {"HTTP/1.1", "HTTP/1.0"}}) {
        INFO(from << " -> " << to);
        std::string request = upgrade_request;
        request.replace(request.find(from), from.size(), to);
        RawClient client{pair.server->port()};
        REQUIRE(client.send(request));
        CHECK(status_of(client.read_all()) == 400);
        CHECK(pair.server_socket.get() == nullptr);
    }
    RawClient early{pair.server->port()};
    REQUIRE(early.send(upgrade_request + frame(0x81, "early")));
    CHECK(status_of(early.read_all()) == 400);
}

TEST_CASE("connecting: what can go wrong has its code") {
    Pair pair;
    const auto code_of = [&](Result<std::shared_ptr<WebSocket>> result) {
        return result ? "connected" : std::string{describe(result.error().code).name};
    };
    CHECK(code_of(pair.connect("/forbidden")) == "forbidden");
    CHECK(code_of(pair.connect("/relay", {}, "http")) == "malformed_request");
    CHECK(code_of(pair.connect("/rel ay")) == "malformed_request");
    CHECK(code_of(pair.connect("/relay", {}, "ws", "user@127.0.0.1")) == "malformed_request");
    CHECK(code_of(pair.connect("/relay", {}, "wss")) == "node_unavailable");
    CHECK(code_of(pair.connect("/relay", {}, "ws", "does-not-exist.invalid")) ==
          "node_unavailable");
    WebSocketConnectOptions hasty;
    hasty.socket.handshake_timeout = milliseconds(100);
    CHECK(code_of(pair.connect("/silent", hasty)) == "deadline_exceeded");
    const std::string url = "ws://127.0.0.1:" + std::to_string(pair.server->port());
    pair.held.set(nullptr);
    pair.server.reset();
    Eventually<Connected> done;
    connect_websocket(pair.client_thread.loop, url, {}, {}, [&](auto result) {
        done.set(std::make_shared<Result<std::shared_ptr<WebSocket>>>(std::move(result)));
    });
    CHECK(code_of(*done.get()) == "node_unavailable");
}

TEST_CASE("wss: verified against the CA and the name") {
    const TestCertificate certificate;
    Pair pair{{}, &certificate};
    WebSocketConnectOptions trusting;
    trusting.ca_file = certificate.certificate_file;
    CHECK_FALSE(pair.connect("/relay", {}, "wss", "localhost"));
    auto client = pair.connect("/relay", trusting, "wss", "localhost");
    REQUIRE(client);
    auto server = pair.server_socket.get();
    const std::string bytes(200'000, 's');
    REQUIRE((*client)->send_binary(bytes));
    REQUIRE(server->send_binary(bytes));
    CHECK(pair.at_server.next() == "binary:" + bytes);
    CHECK(pair.at_client.next() == "binary:" + bytes);
    (*client)->close(1000, "done");
    CHECK(pair.at_server.next() == "closed:1000:done");
    const TestCertificate another;
    trusting.ca_file = another.certificate_file;
    CHECK_FALSE(pair.connect("/relay", trusting, "wss", "localhost"));
}

TEST_CASE("many threads send on one socket; the loop may end with it open") {
    std::shared_ptr<WebSocket> survivor;
    {
        Pair pair;
        auto client = pair.connect();
        REQUIRE(client);
        survivor = *client;
        std::vector<std::thread> senders;
        for (int t = 0; t < 4; ++t)
            senders.emplace_back([&] {
                for (int i = 0; i < 200; ++i) (*client)->send_binary("x");
            });
        for (auto& sender : senders) sender.join();
        for (int i = 0; i < 800; ++i) CHECK(pair.at_server.next() == "binary:x");
    }
    CHECK(survivor->closed());
    CHECK_FALSE(survivor->send_text("x"));
}
