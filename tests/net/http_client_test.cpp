#include "net/http_client.hpp"

#include <atomic>

#include "tests/catch.hpp"
#include "tests/net/certificate.hpp"
#include "tests/net/support.hpp"

using namespace net_test;

namespace {

std::string code_of(const Result<ClientResponse>& result) {
    return result ? std::to_string(result->status)
                  : std::string{describe(result.error().code).name};
}

// A server for clients: what it does is in the path.
class Peer {
public:
    explicit Peer(HttpServerOptions options = {}) {
        HttpHandler handler;
        handler.on_request = [this](std::shared_ptr<Exchange> exchange) {
            serve(std::move(exchange));
        };
        server.emplace(handler, std::move(options));
    }
    ~Peer() { held.set(nullptr); }
    std::string url(const std::string& path, const char* scheme = "http") const {
        return std::string{scheme} + "://localhost:" + std::to_string(server->port()) + path;
    }

    Eventually<std::shared_ptr<Exchange>> held;
    Eventually<bool> hung_up;
    std::optional<TestServer> server;

private:
    void serve(std::shared_ptr<Exchange> exchange) {
        const Request& request = exchange->request();
        if (request.path == "/echo")
            return exchange->respond(
                {201,
                 {{"X-Type", std::string{request.headers.get("Content-Type")}}},
                 request.method + " " + std::string{request.headers.get("X-A")} + request.body});
        if (request.path == "/large")
            return exchange->respond({200, {}, std::string(100'000, 'x')});
        if (request.path == "/moved")
            return exchange->respond({302, {{"Location", url("/echo")}}, {}});
        exchange->on_closed([this] { hung_up.set(true); });
        if (request.path == "/stall") {
            exchange->start(200, {});
            exchange->write("first");
        }
        if (request.path == "/cut") {
            exchange->start(200, {});
            exchange->write("part");
            return exchange->abort();
        }
        held.set(std::move(exchange));
    }
};

}  // namespace

TEST_CASE("the client sends what it is given and returns what came") {
    Peer peer;
    HttpClient client;
    auto echoed = client.send({"POST", peer.url("/echo"), {{"X-A", "a"}}, "body", {}, 0});
    REQUIRE(echoed);
    CHECK(echoed->status == 201);
    CHECK(echoed->body == "POST abody");
    CHECK(echoed->headers.get("x-type").empty());  // no content type of libcurl's own
    for (const char* method : {"GET", "DELETE", "PUT", "PATCH", "POST"}) {
        const auto answer =
            client.send({method, peer.url("/echo"), {{"Content-Type", "a/b"}}, "", {}, 0});
        REQUIRE(answer);
        CHECK(answer->body == std::string{method} + " ");
        CHECK(answer->headers.get("X-Type") == "a/b");
    }
    const auto head = client.send({"HEAD", peer.url("/large"), {}, "", {}, 0});
    REQUIRE(head);
    CHECK(head->headers.get("Content-Length") == "100000");
    CHECK(code_of(client.send({"GET", peer.url("/moved"), {}, "", {}, 0})) == "302");
    const auto big = client.send({"POST", peer.url("/echo"), {}, std::string(1 << 20, 'b'), {}, 0});
    REQUIRE(big);
    CHECK(big->body.size() == (1 << 20) + 5);
    // One connection served them all.
    CHECK(peer.server->server->counters().connections == 1);
}

TEST_CASE("what can go wrong with a call has its code") {
    Peer peer;
    HttpClientOptions options;
    options.connect_timeout = options.total_timeout = milliseconds(400);
    options.idle_timeout = milliseconds(100);
    options.response_bytes_max = 50'000;
    HttpClient client{options};
    CHECK(code_of(client.send({"GET", "ftp://localhost/", {}, "", {}, 0})) == "malformed_request");
    CHECK(code_of(client.send({"GET", "file:///etc/passwd", {}, "", {}, 0})) ==
          "malformed_request");
    CHECK(code_of(client.send({"GET", "nonsense", {}, "", {}, 0})) == "malformed_request");
    CHECK(code_of(client.send({"G ET", peer.url("/echo"), {}, "", {}, 0})) == "malformed_request");
    CHECK(code_of(client.send({"GET", peer.url("/echo"), {{"X", "a\r\nY: b"}}, "", {}, 0})) ==
          "malformed_request");
    CHECK(code_of(client.send({"GET", "http://does-not-exist.invalid/", {}, "", {}, 0})) ==
          "node_unavailable");
    CHECK(code_of(client.send({"GET", peer.url("/large"), {}, "", {}, 0})) == "body_too_large");
    CHECK(code_of(client.send({"GET", peer.url("/large"), {}, "", {}, 200'000})) == "200");
    CHECK(code_of(client.send({"GET", peer.url("/cut"), {}, "", {}, 0})) == "stream_truncated");
    CHECK(code_of(client.send({"GET", peer.url("/stall"), {}, "", {}, 0})) == "deadline_exceeded");
    CHECK(peer.hung_up.get());
    CHECK(code_of(client.send({"GET", peer.url("/hold"), {}, "", milliseconds(50), 0})) ==
          "deadline_exceeded");
    const std::string gone = peer.url("/echo");
    peer.held.set(nullptr);
    peer.server.reset();
    CHECK(code_of(client.send({"GET", gone, {}, "", {}, 0})) == "node_unavailable");
}

TEST_CASE("streaming hands pieces over as they come, and stops where the caller wants") {
    Peer peer;
    HttpClient client;
    SECTION("to the end") {
        std::string got;
        int status = 0;
        Eventually<bool> first;
        std::thread writer{[&] {
            const auto exchange = peer.held.get();
            first.get();  // the client has seen the first piece before the second is written
            exchange->write("second");
            exchange->finish({{"X-Sum", "7"}, {"X-Bad", "a\r\nX-Split: 1"}});
        }};
        const auto result = client.stream(
            {"GET", peer.url("/stall"), {}, "", {}, 0},
            [&](const ClientResponse& head) {
                status = head.status;
                return true;
            },
            [&](std::string_view piece) {
                got += piece;
                first.set(true);
                return true;
            });
        writer.join();
        CHECK(code_of(result) == "200");
        CHECK(status == 200);
        CHECK(got == "firstsecond");
        CHECK(result->trailers.get("X-Sum") == "7");
        CHECK(result->trailers.size() == 1);
        CHECK_FALSE(result->headers.contains("X-Sum"));
    }
    SECTION("refused at the head, or at a piece") {
        for (const bool at_head : {true, false}) {
            const auto result = client.stream(
                {"GET", peer.url("/stall"), {}, "", {}, 0},
                [&](const ClientResponse&) { return !at_head; },
                [&](std::string_view) { return false; });
            REQUIRE_FALSE(result);
            CHECK(result.error().detail == "cancelled");
            CHECK(peer.hung_up.get());
        }
    }
    SECTION("an exception of the caller comes out") {
        CHECK_THROWS_AS(client.stream(
                            {"GET", peer.url("/stall"), {}, "", {}, 0},
                            [](const ClientResponse&) { return true; },
                            [](std::string_view) -> bool { throw std::runtime_error{"caller"}; }),
                        std::runtime_error);
    }
}

TEST_CASE("a token cancels at once, while waiting for the head or for a piece, and for good") {
    Peer peer;
    HttpClient client;
    for (const char* path : {"/hold", "/stall"}) {
        CancelToken token;
        std::thread canceller{[&] {
            peer.held.get();
            token.cancel();
        }};
        const auto begun = std::chrono::steady_clock::now();
        const auto result = client.send({"GET", peer.url(path), {}, "", {}, 0}, &token);
        canceller.join();
        REQUIRE_FALSE(result);
        CHECK(result.error().code == ErrorCode::upstream_failed);
        CHECK(result.error().detail == "cancelled");
        CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds{10});
        CHECK(peer.hung_up.get());
        CHECK_FALSE(client.send({"GET", peer.url("/echo"), {}, "", {}, 0}, &token));
    }
}

TEST_CASE("many threads share one client") {
    Peer peer;
    HttpClient client;
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 25; ++i) {
                const std::string body = std::to_string(t * 1000 + i);
                const auto answer = client.send({"POST", peer.url("/echo"), {}, body, {}, 0});
                if (answer && answer->body == "POST " + body) ++right;
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(right == 200);
    CHECK(peer.server->server->counters().connections <= 8);
}

TEST_CASE("https: the server's certificate is verified, and large answers cross whole") {
    const TestCertificate certificate;
    HttpServerOptions options;
    options.certificate_file = certificate.certificate_file;
    options.private_key_file = certificate.key_file;
    Peer peer{options};
    HttpClientOptions trusting;
    trusting.ca_file = certificate.certificate_file;
    HttpClient client{trusting};
    CHECK(code_of(client.send({"POST", peer.url("/echo", "https"), {}, "x", {}, 0})) == "201");
    const auto large = client.send({"GET", peer.url("/large", "https"), {}, "", {}, 0});
    REQUIRE(large);
    CHECK(large->body == std::string(100'000, 'x'));
    CHECK(peer.server->server->counters().connections == 1);
    CHECK(code_of(client.send({"GET", peer.url("/cut", "https"), {}, "", {}, 0})) != "200");
    HttpClient strict;
    CHECK(code_of(strict.send({"GET", peer.url("/echo", "https"), {}, "", {}, 0})) ==
          "upstream_failed");
    // Plain HTTP on a TLS port ends at once, and harms nobody.
    RawClient plain{peer.server->port()};
    plain.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    plain.read_all();
    CHECK(code_of(client.send({"POST", peer.url("/echo", "https"), {}, "x", {}, 0})) == "201");
}
