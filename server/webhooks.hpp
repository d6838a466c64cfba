// Standard Webhooks: each event of an account goes to its webhooks, signed, at least once, with
// retries for more than a day. The outbox cursor and the deliveries are in the database, so a
// restart loses nothing. One thread plans, a small pool sends: a line for each account, served in
// turn. Knows no event's meaning (api/events does).
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>

#include "db/outbox.hpp"
#include "db/pool.hpp"
#include "db/projector.hpp"
#include "db/reader.hpp"
#include "matching/views.hpp"
#include "net/http_client.hpp"
#include "net/worker_pool.hpp"
#include "server/metrics.hpp"

namespace cocoon::server {

struct WebhookDoors {
    db::Pool& pool;
    db::Outbox& outbox;
    db::Projector& projector;
    std::function<std::shared_ptr<const matching::MarketsView>()> views;
    const Clock& clock;
    Metrics& metrics;
};

struct WebhookOptions {
    bool loopback_allowed = false;         // for tests; every other private address stays refused
    std::size_t senders = 16;              // attempts at once
    std::size_t account_senders_max = 4;   // of them for one account
    std::size_t line_deliveries_max = 64;  // of one account taken from the database at a time
    Duration retention = days(30);         // of what was delivered or given up
    Duration forget_interval = hours(1);
    Duration attempt_timeout = seconds(10);
    Duration idle_interval = seconds(1);  // without a wake-up
    Duration gather = milliseconds(50);   // after one
};

class Webhooks {
public:
    Webhooks(WebhookDoors doors, WebhookOptions options);
    ~Webhooks();  // stop()
    Webhooks(const Webhooks&) = delete;
    Webhooks& operator=(const Webhooks&) = delete;

    void start();
    // There may be something new. Any thread.
    void wake();
    void stop();

private:
    using Name = std::pair<WebhookId, db::EntryKey>;  // a webhook and its event
    struct Line {
        std::deque<db::Delivery> waiting;
        std::size_t sending = 0;
        bool failing = false;  // its last attempt failed
    };

    void round();
    bool plan();
    void forget_old();
    void take_due();
    void start_sending();
    void start(AccountId account, Line& line);
    void sent(AccountId account, const Name& name, bool as_failing, bool failed);
    bool send(db::Delivery delivery);
    std::string attempt(const matching::Webhook& webhook, const db::FeedEvent& event,
                        std::int32_t& status);

    WebhookDoors doors_;
    const WebhookOptions options_;
    net::HttpClient client_;
    net::CancelToken cancel_;
    net::WorkerPool senders_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false, woken_ = false;
    // Under the mutex: what was taken from the database and has no recorded outcome yet.
    std::set<Name> taken_;
    std::unordered_map<AccountId, Line> lines_;
    std::deque<AccountId> turns_;  // of the lines in which something waits
    std::size_t sending_ = 0, sending_failing_ = 0;
    Instant forgotten_at_;  // the planning thread's
    std::thread thread_;
};

// "v1,<base64>" over "id.timestamp.body" (Standard Webhooks 1.0). `secret`: "whsec_" and base64;
// empty if it is not.
std::string webhook_signature(std::string_view secret, std::string_view id, std::int64_t timestamp,
                              std::string_view body);
// Whether an address is reachable for everyone: not private, loopback, link-local, multicast,
// reserved.
bool is_public_address(std::string_view address);
bool is_loopback_address(std::string_view address);
// The pause before attempt `attempts + 1`, with up to a fifth more or less by `chance` (0..999).
// Nothing: given up.
std::optional<Duration> retry_pause(std::uint32_t attempts, std::uint32_t chance);

}  // namespace cocoon::server
