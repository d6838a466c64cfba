// Webhooks from a real journal to a real receiver: nothing from before the first one, everything
// after it, nothing once it is gone; a receiver that fails is asked again, a private one never.
#include "server/webhooks.hpp"

#include <chrono>
#include <future>

#include "net/http_server.hpp"
#include "tests/catch.hpp"
#include "tests/db/market.hpp"

using namespace cocoon;
using namespace cocoon::server;

namespace {

// Keeps what is posted to it; answers as told, or, at another path, not at all.
class Receiver {
public:
    Receiver() {
        net::HttpHandler handler;
        handler.on_request = [this](std::shared_ptr<net::Exchange> exchange) {
            const std::lock_guard lock{mutex_};
            received_.push_back(exchange->request());
            if (silent_ && exchange->request().path == "/silent")
                held_.push_back(std::move(exchange));
            else
                exchange->respond(net::Response{status_, {}, {}});
            arrived_.notify_all();
        };
        handler.error_response = [](ErrorCode code, std::string_view) {
            return net::Response{describe(code).status, {}, {}};
        };
        server_ = std::make_unique<net::HttpServer>(loop_, net::HttpServerOptions{}, handler);
        thread_ = std::thread{[this] { loop_.run(); }};
    }
    ~Receiver() {
        loop_.stop();
        thread_.join();
        held_.clear();
        server_.reset();
    }

    std::string url(const std::string& path = "/hook") const {
        return "http://127.0.0.1:" + std::to_string(server_->port()) + path;
    }
    void fall_silent() {
        const std::lock_guard lock{mutex_};
        silent_ = true;
    }
    std::size_t held() {
        const std::lock_guard lock{mutex_};
        return held_.size();
    }
    void answer(int status) {
        const std::lock_guard lock{mutex_};
        status_ = status;
    }
    // Everything received so far, once it is at least `count`; empty if that never comes.
    std::vector<net::Request> wait_for(std::size_t count) {
        std::unique_lock lock{mutex_};
        if (!arrived_.wait_for(lock, std::chrono::seconds{20},
                               [&] { return received_.size() >= count; }))
            return {};
        return received_;
    }

private:
    net::EventLoop loop_;
    std::mutex mutex_;
    std::condition_variable arrived_;
    std::vector<net::Request> received_;
    std::vector<std::shared_ptr<net::Exchange>> held_;
    bool silent_ = false;
    int status_ = 204;
    std::unique_ptr<net::HttpServer> server_;
    std::thread thread_;
};

struct Stage {
    db::test::Database database;
    db::test::TestMarket market{database};
    db::Pool pool{database.options(), 4};
    db::Outbox outbox{pool};
    const SystemClock clock;
    Metrics metrics;
    std::shared_ptr<const matching::MarketsView> views = std::make_shared<matching::MarketsView>();
    Receiver receiver;
    std::unique_ptr<Webhooks> webhooks;
    const std::string secret = "whsec_c2VjcmV0LW9mLWEtdGVzdA==";

    explicit Stage(bool loopback_allowed = true, WebhookOptions options = {}) {
        market.furnish();
        options.loopback_allowed = loopback_allowed;
        options.gather = milliseconds(1);
        webhooks = std::make_unique<Webhooks>(
            WebhookDoors{pool, outbox, market.projector, [this] { return views; }, clock, metrics},
            options);
        webhooks->start();
    }
    ~Stage() { webhooks->stop(); }

    std::uint64_t sequence() const { return market.writer->state().counters.sequence; }
    // Until the worker has read all there is.
    void settle() {
        market.project();
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (outbox.cursor() < sequence()) {
            REQUIRE(std::chrono::steady_clock::now() < end);
            webhooks->wake();
        }
        CHECK(outbox.cursor() == sequence());
    }
    JobId complete_one() {
        const matching::Job job = *market.matched().job;
        market.complete(job);
        return job.id;
    }
    matching::Webhook webhook(bool disabled = false) const {
        matching::Webhook webhook;
        webhook.account = market.developer;
        webhook.url = receiver.url();
        webhook.secret = secret;
        webhook.events = {"job.ended"};
        webhook.disabled = disabled;
        return webhook;
    }
    WebhookId add(bool disabled = false) {
        return market.must<matching::WebhookAnswer>(matching::PutWebhook{webhook(disabled)})
            .webhook;
    }
    // An account with a webhook for its deposits, and its memo.
    std::string subscriber(const std::string& path) {
        matching::OpenAccount open;
        open.kind = matching::AccountKind::developer;
        open.name = "someone";
        open.profile = "{}";
        open.deposit_memo = "memo-" + std::to_string(++subscribers);
        open.first_key.secret_hash = db::test::digest(1'000 + subscribers);
        open.first_key.scopes = matching::scope_read;
        matching::Webhook wanted = webhook();
        wanted.account = market.must<matching::AccountAnswer>(open).account;
        wanted.url = receiver.url(path);
        wanted.events = {"deposit.credited"};
        market.must<matching::WebhookAnswer>(matching::PutWebhook{wanted});
        return open.deposit_memo;
    }
    void credit(const std::string& memo, int times = 1) {
        for (int i = 0; i < times; ++i)
            market.must<matching::DepositAnswer>(
                matching::CreditDeposit{memo, {5}, "chain:" + std::to_string(1'000 + ++deposits)});
    }
    std::uint64_t subscribers = 0, deposits = 0;
    std::int64_t deliveries() const {
        return database.number("select count(*) from webhook_deliveries");
    }
    std::string recorded(WebhookId id) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (std::chrono::steady_clock::now() < end) {
            const auto recent = outbox.recent(id, 1);
            if (!recent.empty() && recent.front().attempts > 0) return recent.front().failure;
        }
        return "nothing was recorded";
    }
};

bool names(const net::Request& request, JobId job) {
    return request.body.find("\"" + job.text() + "\"") != std::string::npos;
}

}  // namespace

TEST_CASE("the journal is passed over while nobody listens, and read from the first webhook on") {
    Stage stage;
    stage.complete_one();
    stage.settle();
    CHECK(stage.deliveries() == 0);

    const WebhookId id = stage.add();
    const JobId second = stage.complete_one();
    stage.settle();
    auto received = stage.receiver.wait_for(1);
    REQUIRE(received.size() == 1);
    CHECK(names(received[0], second));
    const std::string event{received[0].headers.get("webhook-id")};
    const std::string at{received[0].headers.get("webhook-timestamp")};
    CHECK(received[0].headers.get("webhook-signature") ==
          webhook_signature(stage.secret, event, std::stoll(at), received[0].body));

    // Gone, and the journal is passed over again.
    stage.market.must<matching::Done>(matching::RemoveWebhook{stage.market.developer, id});
    stage.complete_one();
    stage.settle();
    CHECK(stage.deliveries() == 1);
    // One that is disabled listens to nothing, too.
    const WebhookId third = stage.add(true);
    stage.complete_one();
    stage.settle();
    CHECK(stage.deliveries() == 1);
    // Enabled in the same breath as an event: that one already counts.
    matching::Webhook enabled = stage.webhook();
    enabled.id = third;
    stage.market.must<matching::WebhookAnswer>(matching::PutWebhook{enabled});
    const JobId last = stage.complete_one();
    stage.settle();
    received = stage.receiver.wait_for(2);
    REQUIRE(received.size() == 2);
    CHECK(names(received[1], last));
    CHECK(stage.deliveries() == 2);
}

TEST_CASE("a webhook gets its own account's events only, and only those it named") {
    Stage stage;
    stage.add();
    matching::Webhook theirs = stage.webhook();
    theirs.account = stage.market.provider;
    theirs.events = {"payout.requested", "payout.advanced"};
    stage.market.must<matching::WebhookAnswer>(matching::PutWebhook{theirs});
    const JobId job = stage.complete_one();
    stage.market.must<matching::DepositAnswer>(matching::CreditDeposit{"memo-d", {5}, "chain:9"});
    stage.settle();
    const auto received = stage.receiver.wait_for(1);
    REQUIRE(received.size() == 1);
    CHECK(names(received[0], job));
    CHECK(stage.deliveries() == 1);
}

TEST_CASE("a receiver that fails is asked again with the same id, and one that is private never") {
    {
        Stage stage;
        const WebhookId id = stage.add();
        stage.receiver.answer(500);
        stage.complete_one();
        stage.settle();
        REQUIRE(stage.receiver.wait_for(1).size() == 1);
        CHECK(stage.recorded(id) == "status 500");
        stage.receiver.answer(200);
        CHECK(stage.outbox.redeliver(id, {}, stage.clock.now()) == 1);
        stage.webhooks->wake();
        const auto received = stage.receiver.wait_for(2);
        REQUIRE(received.size() == 2);
        CHECK(received[0].headers.get("webhook-id") == received[1].headers.get("webhook-id"));
        CHECK(received[0].body == received[1].body);
    }
    Stage stage{false};
    const WebhookId id = stage.add();
    stage.complete_one();
    stage.settle();
    CHECK(stage.recorded(id) == "the host's address is not public");
}

TEST_CASE("bug: one account's silent receivers held up everybody's deliveries") {
    WebhookOptions options;
    options.senders = 4;
    options.account_senders_max = 3;
    options.attempt_timeout = minutes(5);
    Stage stage{true, options};
    const std::string slow = stage.subscriber("/silent"), well = stage.subscriber("/hook");
    stage.receiver.fall_silent();
    stage.credit(slow, 10);
    stage.settle();
    REQUIRE(stage.receiver.wait_for(3).size() == 3);
    stage.credit(well, 2);
    stage.settle();
    REQUIRE(stage.receiver.wait_for(5).size() == 5);
    CHECK(stage.receiver.held() == 3);
}

TEST_CASE("accounts whose last attempt failed share half of the senders, however many they are") {
    WebhookOptions options;
    options.senders = 4;
    options.attempt_timeout = minutes(5);
    Stage stage{true, options};
    std::vector<std::string> bad;
    for (int i = 0; i < 6; ++i) bad.push_back(stage.subscriber("/silent"));
    const std::string well = stage.subscriber("/hook");
    stage.receiver.answer(500);
    for (const std::string& memo : bad) stage.credit(memo);
    stage.settle();
    REQUIRE(stage.receiver.wait_for(6).size() == 6);
    while (stage.metrics.webhook_failures.value() < 6) std::this_thread::yield();
    stage.receiver.fall_silent();
    stage.receiver.answer(204);
    for (const std::string& memo : bad) stage.credit(memo, 2);
    stage.settle();
    REQUIRE(stage.receiver.wait_for(8).size() == 8);
    for (int i = 0; i < 3; ++i) {
        stage.credit(well);
        stage.settle();
        const std::size_t count = 9 + static_cast<std::size_t>(i);
        REQUIRE(stage.receiver.wait_for(count).size() == count);
        CHECK(stage.receiver.held() == 2);
    }
}

TEST_CASE("bug: ended deliveries were kept for ever") {
    WebhookOptions options;
    options.retention = Duration{};
    options.forget_interval = Duration{};
    Stage stage{true, options};
    stage.add();
    stage.complete_one();
    stage.settle();
    REQUIRE(stage.receiver.wait_for(1).size() == 1);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (stage.deliveries() > 0 && std::chrono::steady_clock::now() < end) stage.webhooks->wake();
    CHECK(stage.deliveries() == 0);
}
