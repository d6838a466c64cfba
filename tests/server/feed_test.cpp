// Account events over a real socket from a real journal: resume, order, an explicit gap.
#include "server/feed.hpp"

#include <future>

#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "tests/catch.hpp"
#include "tests/db/market.hpp"

using namespace cocoon;
using namespace cocoon::server;

namespace {

struct Stage {
    db::test::Database database;
    db::test::TestMarket market{database};
    db::Pool pool{database.options(), 2};
    const SystemClock clock;
    Metrics metrics;
    Directory directory;
    AnswerPolicy answers{"", false, false};
    net::EventLoop loop;
    net::WorkerPool workers{"worker", 1};
    std::shared_ptr<const matching::MarketsView> views = std::make_shared<matching::MarketsView>();
    std::unique_ptr<Feed> feed;
    std::unique_ptr<net::HttpServer> web;
    net::HttpClient client;
    std::thread thread;

    explicit Stage(FeedOptions options = {}) {
        market.furnish();
        market.project();
        directory.fill(market.writer->state());
        feed = std::make_unique<Feed>(FeedDoors{loop, workers, pool, market.projector, directory,
                                                [this] { return views; }, clock, metrics},
                                      options);
        net::HttpHandler handler;
        handler.on_request = [this](std::shared_ptr<net::Exchange> exchange) {
            Admitted admitted;
            admitted.principal.account = market.developer;
            admitted.principal.key = market.key;
            const bool own = exchange->request().path == "/own";
            const auto in = std::make_shared<Incoming>(std::move(exchange), admitted, "",
                                                       clock.now(), clock, metrics, answers);
            own ? feed->account_events(in) : feed->market_events(in);
        };
        handler.error_response = [](ErrorCode code, std::string_view) {
            return net::Response{describe(code).status, {}, {}};
        };
        web = std::make_unique<net::HttpServer>(loop, net::HttpServerOptions{}, handler);
        thread = std::thread{[this] { loop.run(); }};
    }
    ~Stage() {
        std::promise<void> closed;
        loop.post([&] {
            feed->close_all();
            web.reset();
            closed.set_value();
        });
        closed.get_future().wait();
        workers.stop();
        loop.stop();
        thread.join();
    }
    // What the lane does when a key has changed.
    void change_key(const std::function<void(matching::ApiKey&)>& change) {
        matching::ApiKey key = market.writer->state().keys.find(market.key)->key;
        change(key);
        loop.post([this, key] {
            matching::Batch batch;
            batch.previous = market.projector.sequence();
            batch.changes.keys = {key};
            directory.apply(batch, clock.now());
            feed->stored(batch);
        });
    }
    // The text of the stream until it contains `until`; empty: until it ends.
    std::string read(const std::string& path, const std::string& last_event_id,
                     const std::string& until, const std::function<void()>& begun = {}) {
        net::ClientRequest request;
        request.url = "http://127.0.0.1:" + std::to_string(web->port()) + path;
        request.total_timeout = seconds(20);
        if (!last_event_id.empty()) request.headers.add("Last-Event-ID", last_event_id);
        std::string text;
        const auto ended = client.stream(
            request, [](const auto&) { return true; },
            [&](std::string_view bytes) {
                if (text.empty() && begun) begun();
                text += bytes;
                return until.empty() || text.find(until) == std::string::npos;
            });
        if (until.empty()) CHECK(ended);
        return text;
    }
};

std::size_t count(std::string_view text, std::string_view what) {
    std::size_t found = 0;
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string_view::npos;
         at += what.size())
        ++found;
    return found;
}

}  // namespace

TEST_CASE("events come from the beginning, in order, and go on after the last one seen") {
    Stage stage;
    const std::string all = stage.read("/own", "0", "event: deposit.credited");
    CHECK(all.find("event: account.opened") < all.find("event: key.created"));
    CHECK(all.find("event: key.created") < all.find("event: deposit.credited"));
    CHECK(count(all, "event: account.opened") == 1);  // not the provider's
    const std::size_t at = all.find("id: ");
    const std::string first = all.substr(at + 4, all.find('\n', at) - at - 4);
    const std::string rest = stage.read("/own", first, "event: deposit.credited");
    CHECK(count(rest, "event: account.opened") == 0);
    CHECK(count(rest, "event: key.created") == 0);  // of the same entry
}

TEST_CASE("who is too far behind, or ahead of everything, is told of the gap") {
    FeedOptions options;
    options.behind_entries_max = 2;
    Stage stage{options};
    for (const std::string position : {"0", "999999"}) {
        const std::string text = stage.read("/own", position, "event: gap");
        const std::string expected = "id: " + std::to_string(stage.market.projector.sequence()) +
                                     "\nevent: gap\ndata: {\"after\":\"" + position + "\"";
        CHECK(text.find(expected) != std::string::npos);
    }
    CHECK(stage.read("/public", "1", "event: gap").find("event: gap") != std::string::npos);
}

TEST_CASE("bug: an account's stream outlived the key it was opened with") {
    Stage stage;
    const auto soon = [&](matching::ApiKey& key) {
        key.expires_at = stage.clock.now() + milliseconds(100);
    };
    const auto expired = [&](matching::ApiKey& key) { key.expires_at = stage.clock.now(); };
    const auto revoked = [](matching::ApiKey& key) { key.revoked = true; };
    const struct {
        std::function<void(matching::ApiKey&)> change;
        std::string reason;
    } rows[] = {{soon, "key_expired"}, {expired, "key_expired"}, {revoked, "key_revoked"}};
    for (const auto& row : rows) {
        stage.change_key([](matching::ApiKey&) {});
        const std::string text = stage.read("/own", "", "", [&] { stage.change_key(row.change); });
        const std::string last = "event: closed\ndata: {\"reason\":\"" + row.reason + "\"}\n\n";
        CHECK(text.ends_with(last));
    }
    // What is everybody's goes on: the market's going away is its only end.
    const std::string text = stage.read("/public", "", "", [&] {
        stage.change_key(revoked);
        stage.loop.post([&] { stage.feed->close_all(); });
    });
    CHECK(text.ends_with("event: closed\ndata: {\"reason\":\"draining\"}\n\n"));
}

TEST_CASE("more streams than there may be are refused") {
    FeedOptions options;
    options.subscribers_max = 0;
    Stage stage{options};
    net::ClientRequest request;
    request.url = "http://127.0.0.1:" + std::to_string(stage.web->port()) + "/own";
    CHECK(stage.client.send(request)->status == 429);
}
