#include "net/http_server.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "net/worker_pool.hpp"
#include "tests/catch.hpp"
#include "tests/net/support.hpp"

using namespace net_test;

namespace {

// Answers what it understood: method, path, query, body.
HttpHandler echo() {
    HttpHandler handler;
    handler.on_request = [](std::shared_ptr<Exchange> exchange) {
        const Request& request = exchange->request();
        exchange->respond(
            {200,
             {},
             request.method + " " + request.path + " [" + request.query + "] " + request.body});
    };
    return handler;
}

HttpServerOptions with(std::function<void(HttpLimits&)> change) {
    HttpServerOptions options;
    change(options.limits);
    return options;
}

std::string repeated(std::string_view text, std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("requests that must be understood") {
    TestServer server{echo()};
    struct Row {
        const char* name;
        std::string sent;
        std::string answer;
    };
    const std::vector<Row> rows{
        {"plain", "GET /a?x=1&y HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         "GET /a [x=1&y] "},
        {"absolute form", "GET http://h/a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         "GET /a [b] "},
        {"absolute form, no path",
         "GET http://h?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "GET / [b] "},
        {"options of the server", "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         "OPTIONS * [] "},
        {"unknown method", "BREW /pot HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         "BREW /pot [] "},
        {"empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         "GET / [] "},
        {"length",
         "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
         "POST / [] hello"},
        {"zero length",
         "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
         "POST / [] "},
        {"chunked",
         "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
         "3\r\nhel\r\n2;note=x\r\nlo\r\n0\r\n\r\n",
         "POST / [] hello"},
        {"chunked with trailer",
         "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
         "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
         "POST / [] hello"},
        {"HTTP/1.0 closes", "GET / HTTP/1.0\r\n\r\n", "GET / [] "},
    };
    for (const Row& row : rows) {
        INFO(row.name);
        RawClient client{server.port()};
        REQUIRE(client.send(row.sent));
        const std::string answer = client.read_all();
        CHECK(status_of(answer) == 200);
        CHECK(body_of(answer) == row.answer);
        CHECK(answer.find("\r\nX-Request-Id: ") != std::string::npos);
        CHECK(answer.find("\r\nDate: ") != std::string::npos);
        CHECK(answer.find("\r\nConnection: close\r\n") != std::string::npos);

        // The same, a byte at a time.
        RawClient slow{server.port()};
        for (const char c : row.sent) REQUIRE(slow.send({&c, 1}));
        CHECK(body_of(slow.read_all()) == row.answer);
    }
    CHECK(server.server->counters().requests == 2 * rows.size());
    CHECK(server.server->counters().protocol_errors == 0);
}

TEST_CASE("requests that must be refused, each with its answer and an end of the connection") {
    TestServer server{echo(), with([](HttpLimits& limits) {
                          limits.header_bytes_max = 2048;
                          limits.target_bytes_max = 256;
                      })};
    const std::string host = "Host: h\r\n";
    const std::string chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct Row {
        const char* name;
        std::string sent;
        int status;
    };
    const std::vector<Row> rows{
        {"not HTTP", "hello there\r\n\r\n", 400},
        {"TLS hello on a plain port",
         std::string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15}, 400},
        {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
        {"unknown version", "GET / HTTP/3.1\r\n" + host + "\r\n", 400},
        {"no version", "GET /\r\n\r\n", 400},
        {"relative target", "GET a HTTP/1.1\r\n" + host + "\r\n", 400},
        {"authority target", "CONNECT h:80 HTTP/1.1\r\n" + host + "\r\n", 400},
        {"star for GET", "GET * HTTP/1.1\r\n" + host + "\r\n", 400},
        {"fragment", "GET /a#b HTTP/1.1\r\n" + host + "\r\n", 400},
        {"control character in target", "GET /\x01 HTTP/1.1\r\n" + host + "\r\n", 400},
        {"no host", "GET / HTTP/1.1\r\n\r\n", 400},
        {"two hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", 400},
        {"space before colon", "GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
        {"no colon", "GET / HTTP/1.1\r\n" + host + "nonsense\r\n\r\n", 400},
        {"folded line", "GET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n", 400},
        {"NUL in a value", "GET / HTTP/1.1\r\n" + host + std::string{"X: a\0b\r\n\r\n", 10}, 400},
        {"bare line feeds", "GET / HTTP/1.1\nHost: h\n\n\r\n\r\n", 400},
        {"length and chunked",
         "POST / HTTP/1.1\r\n" + host +
             "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"chunked and length",
         "POST / HTTP/1.1\r\n" + host +
             "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
         400},
        {"two lengths",
         "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
        {"the same length twice",
         "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
        {"a list of lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 5, 6\r\n\r\nhello",
         400},
        {"negative length", "POST / HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400},
        {"signed length", "POST / HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\nhello", 400},
        {"length beyond 64 bits",
         "POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {"unknown coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", 400},
        {"stacked codings",
         "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
        {"hidden coding",
         "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
         400},
        {"chunked in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         400},
        {"chunk size is no number", chunked + "zz\r\n", 400},
        {"chunk size too large", chunked + "fffffffffffffffff\r\n", 400},
        {"negative chunk size", chunked + "-5\r\n", 400},
        {"chunk without its end", chunked + "5\r\nhelloXX0\r\n\r\n", 400},
        {"endless chunk extension", chunked + "5;" + std::string(4096, 'x'), 400},
        {"body too large by length",
         "POST / HTTP/1.1\r\n" + host + "Content-Length: 1048577\r\n\r\n", 413},
        {"body too large by chunk", chunked + "100001\r\n" + std::string(0x100001, 'x'), 413},
        {"target too long", "GET /" + std::string(300, 'a') + " HTTP/1.1\r\n" + host + "\r\n", 414},
        {"endless target", "GET /" + std::string(4096, 'a'), 414},
        {"header too large",
         "GET / HTTP/1.1\r\n" + host + "X: " + std::string(4096, 'a') + "\r\n\r\n", 431},
        {"endless header", "GET / HTTP/1.1\r\n" + host + repeated("X: y\r\n", 700), 431},
        {"too many fields", "GET / HTTP/1.1\r\n" + host + repeated("X: y\r\n", 140) + "\r\n", 431},
    };
    for (const Row& row : rows) {
        INFO(row.name);
        RawClient client{server.port()};
        client.send(row.sent);  // may be cut short by the answer
        const std::string answer = client.read_all();
        CHECK(status_of(answer) == row.status);
        CHECK_FALSE(client.was_reset);
        CHECK(answer.find("\r\nConnection: close\r\n") != std::string::npos);
        // nothing of the rest was taken as a request
        CHECK(answer.find("HTTP/1.1", 1) == std::string::npos);
    }
    CHECK(server.server->counters().protocol_errors == rows.size());
    // The server lives on.
    RawClient client{server.port()};
    REQUIRE(client.send("GET /ok HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK(status_of(client.read_answer()) == 200);
}

TEST_CASE("keep-alive, pipelining and request ids") {
    TestServer server{echo()};
    RawClient client{server.port()};
    std::string all;
    for (int i = 0; i < 50; ++i)
        all += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\nX-Request-Id: id-" +
               std::to_string(i) + "\r\nContent-Length: 3\r\n\r\nabc";
    REQUIRE(client.send(all));
    for (int i = 0; i < 50; ++i) {
        const std::string answer = client.read_answer();
        CHECK(body_of(answer) == "POST /" + std::to_string(i) + " [] abc");
        CHECK(answer.find("\r\nX-Request-Id: id-" + std::to_string(i) + "\r\n") !=
              std::string::npos);
    }
    REQUIRE(client.send("GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: bad id!\r\n\r\n"));
    CHECK(client.read_answer().find("bad id!") == std::string::npos);

    // HTTP/1.0 keeps the connection only when asked to.
    RawClient old{server.port()};
    REQUIRE(old.send("GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    CHECK(old.read_answer().find("\r\nConnection: keep-alive\r\n") != std::string::npos);
    REQUIRE(old.send("GET /2 HTTP/1.0\r\n\r\n"));
    CHECK(body_of(old.read_all()) == "GET /2 [] ");

    // All requests of a sender that has already ended its side are answered.
    RawClient half{server.port()};
    REQUIRE(half.send("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"));
    half.end_sending();
    const std::string both = half.read_all();
    CHECK(both.find("GET /1 [] ") != std::string::npos);
    CHECK(both.find("GET /2 [] ") != std::string::npos);
}

TEST_CASE("HEAD has the length but no body, 204 neither") {
    HttpHandler handler;
    handler.on_request = [](std::shared_ptr<Exchange> exchange) {
        if (exchange->request().path == "/none") return exchange->respond({204, {}, "never"});
        if (exchange->request().path == "/stream") {
            exchange->start(200, {});
            exchange->write("abc");
            return exchange->finish();
        }
        exchange->respond(
            {200,
             {{"Content-Length", "99"}, {"X-Bad", "a\r\nX-Split: 1"}, {"X-Good", "1"}},
             "hello"});
    };
    TestServer server{handler};
    RawClient client{server.port()};
    REQUIRE(
        client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n"
                    "GET /none HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: "
                    "close\r\n\r\n"));
    const std::string head = client.read_until("\r\n\r\n");
    CHECK(head.find("Content-Length: 5\r\n") != std::string::npos);
    CHECK(head.find("99") == std::string::npos);
    CHECK(head.find("X-Split") == std::string::npos);
    CHECK(head.find("X-Good: 1\r\n") != std::string::npos);
    CHECK(status_of(client.read_until("\r\n\r\n")) == 200);
    const std::string none = client.read_until("\r\n\r\n");
    CHECK(status_of(none) == 204);
    CHECK(none.find("Content-Length") == std::string::npos);
    CHECK(body_of(client.read_all()) == "hello");
}

TEST_CASE("Expect: 100-continue is answered before the body, or by the refusal alone") {
    HttpHandler handler = echo();
    handler.on_head = [](const RequestHead& head) {
        if (head.path == "/no") return Decision::reject({403, {}, "no"});
        return head.path == "/small" ? Decision::accept(4) : Decision::accept();
    };
    TestServer server{handler};
    const auto ask = [](const std::string& path) {
        return "POST " + path +
               " HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    };
    RawClient client{server.port()};
    REQUIRE(client.send(ask("/yes")));
    CHECK(client.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    REQUIRE(client.send("hello"));
    CHECK(body_of(client.read_answer()) == "POST /yes [] hello");
    REQUIRE(client.send(ask("/no")));
    CHECK(status_of(client.read_all()) == 403);
    RawClient small{server.port()};
    REQUIRE(small.send(ask("/small")));
    CHECK(status_of(small.read_all()) == 413);
}

TEST_CASE("slow senders meet their deadline") {
    TestServer server{echo(), with([](HttpLimits& limits) {
                          limits.header_read_max = limits.body_read_max = limits.idle_max =
                              milliseconds(100);
                      })};
    struct Row {
        const char* name;
        std::string sent;
        int status;  // 0: closed without a word
    };
    for (const Row& row :
         {Row{"nothing", "", 0}, Row{"part of a head", "GET / HT", 408},
          Row{"head without end", "GET / HTTP/1.1\r\nHost: h\r\n", 408},
          Row{"part of a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", 408},
          Row{"part of a chunk",
              "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nab", 408},
          Row{"idle after a request", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 200}}) {
        INFO(row.name);
        RawClient client{server.port()};
        REQUIRE(client.send(row.sent));
        CHECK(status_of(client.read_all()) == row.status);
    }
    CHECK(server.server->counters().timeouts == 4);
}

TEST_CASE("connections are limited in all and per address") {
    const bool per_address = GENERATE(false, true);
    TestServer server{
        echo(), with([&](HttpLimits& limits) {
            (per_address ? limits.connections_per_address_max : limits.connections_max) = 2;
        })};
    RawClient first{server.port()};
    std::optional<RawClient> second;
    second.emplace(server.port());
    for (RawClient* client : {&first, &*second}) {
        REQUIRE(client->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
        CHECK(status_of(client->read_answer()) == 200);
    }
    RawClient third{server.port()};
    third.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string refused = third.read_all();
    CHECK(status_of(refused) == 429);
    CHECK(body_of(refused) == "too_many_connections");
    CHECK(server.server->counters().connections_refused == 1);

    REQUIRE(second->send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    CHECK(status_of(second->read_all()) == 200);
    second.reset();
    while (server.server->counters().connections_open > 1) std::this_thread::yield();
    RawClient fourth{server.port()};
    REQUIRE(fourth.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK(status_of(fourth.read_answer()) == 200);
}

TEST_CASE("an exchange may be answered from any thread, and is never left unanswered") {
    WorkerPool pool{"test", 4};
    HttpHandler handler;
    handler.on_request = [&](std::shared_ptr<Exchange> exchange) {
        const std::string& path = exchange->request().path;
        if (path == "/drop") return;
        if (path == "/throw") throw std::runtime_error{"broken handler"};
        if (!pool.submit([exchange] { exchange->respond({200, {}, exchange->request().path}); }))
            exchange->respond({503, {}, {}});
    };
    TestServer server{handler};
    std::vector<std::thread> clients;
    std::atomic<int> right{0};
    for (int c = 0; c < 8; ++c)
        clients.emplace_back([&, c] {
            RawClient client{server.port()};
            for (int i = 0; i < 100; ++i) {
                const std::string path = "/" + std::to_string(c) + "-" + std::to_string(i);
                client.send("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
                if (body_of(client.read_answer()) == path) ++right;
            }
        });
    for (auto& client : clients) client.join();
    CHECK(right == 800);
    RawClient client{server.port()};
    for (const char* path : {"/drop", "/throw"}) {
        REQUIRE(client.send("GET " + std::string{path} + " HTTP/1.1\r\nHost: h\r\n\r\n"));
        const std::string answer = client.read_answer();
        CHECK(status_of(answer) == 500);
        CHECK(body_of(answer) == "internal_error");
    }
    pool.stop();
}

TEST_CASE("streamed answers: framing, end, and visible truncation") {
    HttpHandler handler;
    handler.on_request = [](std::shared_ptr<Exchange> exchange) {
        exchange->start(200, {{"Content-Type", "text/event-stream"}});
        exchange->write("hello ");
        exchange->write("");
        exchange->write("world");
        if (exchange->request().path == "/abort") return exchange->abort();
        if (exchange->request().path == "/drop") return;
        exchange->finish();
        exchange->write("late");
        exchange->respond({200, {}, "late"});
    };
    TestServer server{handler};
    RawClient client{server.port()};
    REQUIRE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK(
        client.read_until("0\r\n\r\n").ends_with("\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"));
    for (const char* path : {"/abort", "/drop"}) {
        RawClient cut{server.port()};
        REQUIRE(cut.send("GET " + std::string{path} + " HTTP/1.1\r\nHost: h\r\n\r\n"));
        const std::string answer = cut.read_all();
        CHECK(answer.ends_with("5\r\nworld\r\n"));
    }
    RawClient old{server.port()};
    REQUIRE(old.send("GET / HTTP/1.0\r\n\r\n"));
    CHECK(body_of(old.read_all()) == "hello world");
    RawClient old_cut{server.port()};
    REQUIRE(old_cut.send("GET /abort HTTP/1.0\r\n\r\n"));
    old_cut.read_all();
    CHECK(old_cut.was_reset);
}

TEST_CASE("a hang-up is noticed while waiting and while streaming") {
    Eventually<bool> waiting, streaming, seen;
    std::shared_ptr<Exchange> held;
    HttpHandler handler;
    handler.on_request = [&](std::shared_ptr<Exchange> exchange) {
        const bool stream = exchange->request().path == "/stream";
        if (stream) {
            exchange->start(200, {});
            exchange->write("first");
        }
        exchange->on_closed([&, stream] { (stream ? streaming : waiting).set(true); });
        held = std::move(exchange);
        seen.set(true);
    };
    TestServer server{handler};
    SECTION("waiting, ordinary close") {
        RawClient client{server.port()};
        REQUIRE(client.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
        seen.get();
        client.close();
        CHECK(waiting.get());
    }
    SECTION("waiting, reset") {
        RawClient client{server.port()};
        REQUIRE(client.send("GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"));
        seen.get();
        client.reset();
        CHECK(waiting.get());
    }
    SECTION("streaming") {
        RawClient client{server.port()};
        REQUIRE(client.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"));
        client.read_until("first");
        client.close();
        CHECK(streaming.get());
        CHECK_FALSE(held->write("more"));
        CHECK_FALSE(held->write_blocking("more"));
    }
    CHECK(held->closed());
    Eventually<bool> late;
    held->on_closed([&] { late.set(true); });
    CHECK(late.get());
    CHECK(server.server->counters().hang_ups == 1);
    server.thread.ask([&] { held.reset(); });
}

TEST_CASE("a slow reader bounds what is pending, blocking and not") {
    constexpr std::size_t bound = 64 << 10;
    constexpr std::size_t total = 16 << 20;
    const std::string piece(8 << 10, 'x');
    std::atomic<std::size_t> most{0};
    std::atomic<int> pauses{0};
    WorkerPool pool{"test", 2};
    std::function<void(std::shared_ptr<Exchange>, std::size_t)> pump =
        [&](std::shared_ptr<Exchange> exchange, std::size_t left) {
            while (left > 0) {
                if (!exchange->write(piece)) {
                    if (exchange->closed()) return;
                    ++pauses;
                    exchange->on_drained([&pump, exchange, left] { pump(exchange, left); });
                    return;
                }
                most = std::max<std::size_t>(most, exchange->pending_bytes());
                left -= piece.size();
            }
            exchange->finish();
        };
    HttpHandler handler;
    handler.on_request = [&](std::shared_ptr<Exchange> exchange) {
        exchange->start(200, {});
        if (exchange->request().path == "/async") return pump(std::move(exchange), total);
        const bool taken = pool.submit([&, exchange] {
            for (std::size_t left = total; left > 0 && exchange->write_blocking(piece);
                 left -= piece.size())
                most = std::max<std::size_t>(most, exchange->pending_bytes());
            exchange->finish();
        });
        if (!taken) exchange->abort();
    };
    TestServer server{handler,
                      with([](HttpLimits& limits) { limits.response_pending_bytes_max = bound; })};
    for (const char* path : {"/async", "/blocking"}) {
        INFO(path);
        RawClient client{server.port(), 4096};
        REQUIRE(client.send("GET " + std::string{path} +
                            " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
        client.read_until("\r\n\r\n");
        const std::string body = client.read_all();
        CHECK(static_cast<std::size_t>(std::count(body.begin(), body.end(), 'x')) == total);
        CHECK(body.ends_with("\r\n0\r\n\r\n"));
    }
    CHECK(most <= bound + piece.size() + 512);
    CHECK(pauses > 0);
    pool.stop();
}

TEST_CASE("a reader that takes nothing is cut") {
    Eventually<bool> closed;
    HttpHandler handler;
    handler.on_request = [&](std::shared_ptr<Exchange> exchange) {
        exchange->on_closed([&] { closed.set(true); });
        exchange->respond({200, {}, std::string(32 << 20, 'x')});
    };
    TestServer server{handler,
                      with([](HttpLimits& limits) { limits.write_max = milliseconds(100); })};
    RawClient client{server.port(), 4096};
    REQUIRE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK(closed.get());
    CHECK(server.server->counters().timeouts == 1);
}

TEST_CASE("streamed request bodies arrive piece by piece, with backpressure and refusals") {
    constexpr std::size_t body_bytes = 8 << 20;
    struct Seen {
        std::size_t bytes = 0;
        std::size_t largest = 0;
        std::optional<ErrorCode> refusal;
    };
    std::function<void(std::shared_ptr<Exchange>, std::shared_ptr<Seen>)> pull =
        [&](std::shared_ptr<Exchange> exchange, std::shared_ptr<Seen> seen) {
            exchange->read_body([&pull, exchange, seen](Result<BodyPiece> piece) {
                if (!piece) {
                    exchange->respond({describe(piece.error().code).status, {}, {}});
                    return;
                }
                seen->bytes += piece->bytes.size();
                seen->largest = std::max(seen->largest, piece->bytes.size());
                if (!piece->last) return pull(exchange, seen);
                exchange->respond({200, {}, std::to_string(seen->bytes)});
            });
        };
    HttpHandler handler;
    Eventually<std::shared_ptr<Exchange>> held;
    handler.on_head = [](const RequestHead&) { return Decision::stream(body_bytes); };
    handler.on_request = [&](std::shared_ptr<Exchange> exchange) {
        if (exchange->request().path == "/early") return exchange->respond({401, {}, {}});
        if (exchange->request().path == "/hold") return held.set(std::move(exchange));
        pull(std::move(exchange), std::make_shared<Seen>());
    };
    TestServer server{handler,
                      with([](HttpLimits& limits) { limits.body_read_max = milliseconds(300); })};
    const auto head = [](const std::string& path, std::size_t length) {
        return "POST " + path +
               " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
    };
    SECTION("whole, then another on the same connection") {
        RawClient client{server.port()};
        REQUIRE(client.send(head("/", body_bytes) + std::string(body_bytes, 'x')));
        CHECK(body_of(client.read_answer()) == std::to_string(body_bytes));
        REQUIRE(client.send(head("/", 0)));
        CHECK(body_of(client.read_answer()) == "0");
        REQUIRE(client.send(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
        REQUIRE(client.send("2\r\nde\r\n0\r\n\r\n"));
        CHECK(body_of(client.read_answer()) == "5");
    }
    SECTION("answered before the body: the answer arrives, the connection ends") {
        RawClient client{server.port()};
        client.send(head("/early", body_bytes) + std::string(1 << 20, 'x'));
        const std::string answer = client.read_until("\r\n\r\n");
        CHECK(status_of(answer) == 401);
        CHECK(answer.find("Connection: close") != std::string::npos);
    }
    SECTION("too large, by length and by chunks") {
        RawClient announced{server.port()};
        REQUIRE(announced.send(head("/", body_bytes + 1)));
        CHECK(status_of(announced.read_all()) == 413);
        RawClient chunked{server.port()};
        chunked.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n800001\r\n" +
                     std::string(body_bytes + 1, 'x'));
        CHECK(status_of(chunked.read_until("\r\n\r\n")) == 413);
    }
    SECTION("too slow") {
        RawClient client{server.port()};
        REQUIRE(client.send(head("/", 10) + "abc"));
        CHECK(status_of(client.read_all()) == 408);
    }
    SECTION("what is not asked for stays with the sender") {
        RawClient client{server.port()};
        std::thread sender{
            [&] { client.send(head("/hold", body_bytes) + std::string(body_bytes, 'x')); }};
        const auto exchange = held.get();
        // The kernel's buffers and ours are far smaller than the body: the sender must be blocked
        // by now or soon. Reading on releases it.
        const auto before = server.server->counters().bytes_in.load();
        CHECK(before < body_bytes);
        server.thread.ask([&] { pull(exchange, std::make_shared<Seen>()); });
        CHECK(body_of(client.read_answer()) == std::to_string(body_bytes));
        sender.join();
        CHECK(server.server->counters().bytes_in.load() > body_bytes);
        held.set(nullptr);
    }
}

TEST_CASE("stop_accepting and drain: open work ends, nothing new begins") {
    Eventually<std::shared_ptr<Exchange>> held;
    Eventually<bool> done;
    HttpHandler handler;
    handler.on_request = [&](std::shared_ptr<Exchange> exchange) {
        if (exchange->request().path == "/now")
            exchange->respond({200, {}, {}});
        else
            held.set(std::move(exchange));
    };
    TestServer server{handler};
    RawClient idle{server.port()};
    REQUIRE(idle.send("GET /now HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK(status_of(idle.read_answer()) == 200);
    RawClient busy{server.port()};
    REQUIRE(busy.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\n"));
    auto exchange = held.get();
    held.set(nullptr);

    SECTION("in time") {
        server.server->drain(seconds(60), [&] { done.set(true); });
        CHECK(idle.read_all().empty());
        exchange->respond({200, {}, "served"});
        const std::string answer = busy.read_all();
        CHECK(body_of(answer) == "served");
        CHECK(answer.find("Connection: close") != std::string::npos);
        busy.close();
        CHECK(done.get());
        CHECK_THROWS(RawClient{server.port()});
    }
    SECTION("cut at the deadline") {
        server.server->drain(milliseconds(50), [&] { done.set(true); });
        CHECK(done.get());
        CHECK(busy.read_all().empty());
        CHECK(exchange->closed());
    }
    exchange.reset();
}

TEST_CASE("a server that goes away closes its exchanges, which stay safe to use") {
    Eventually<std::shared_ptr<Exchange>> held;
    std::shared_ptr<Exchange> exchange;
    {
        HttpHandler handler;
        handler.on_request = [&](std::shared_ptr<Exchange> one) {
            one->start(200, {});
            held.set(std::move(one));
        };
        TestServer server{handler};
        RawClient client{server.port()};
        REQUIRE(client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
        exchange = held.get();
        held.set(nullptr);
    }
    CHECK(exchange->closed());
    CHECK_FALSE(exchange->write("x"));
    CHECK_FALSE(exchange->write_blocking("x"));
    exchange->finish();
}

TEST_CASE("what cannot be listened on is said at once") {
    EventLoop loop;
    HttpHandler handler = echo();
    handler.error_response = plain_error;
    HttpServerOptions options;
    options.address = "not an address";
    CHECK_THROWS_AS((HttpServer{loop, options, handler}), std::runtime_error);
    options.address = "127.0.0.1";
    const HttpServer first{loop, options, handler};
    options.port = first.port();
    CHECK_THROWS_AS((HttpServer{loop, options, handler}), std::runtime_error);
    options.port = 0;
    options.certificate_file = "/nonexistent";
    CHECK_THROWS_AS((HttpServer{loop, options, handler}), std::runtime_error);
}
