// Server-sent events: an account's own (from the journal, so that nothing can be missed) and public
// market data (from memory). I/O thread; journal reads run on workers. The journal is the buffer of
// a slow or absent reader: a subscriber is only a cursor, and what it cannot take is read again
// later. Only one who is further behind than `behind_entries_max` is told so by an explicit `gap`.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "db/pool.hpp"
#include "db/projector.hpp"
#include "net/event_loop.hpp"
#include "net/worker_pool.hpp"
#include "server/directory.hpp"
#include "server/incoming.hpp"
#include "server/lane.hpp"

namespace cocoon::server {

struct FeedDoors {
    net::EventLoop& loop;
    net::WorkerPool& workers;
    db::Pool& pool;
    db::Projector& projector;
    const Directory& directory;
    std::function<std::shared_ptr<const matching::MarketsView>()> views;
    const Clock& clock;
    Metrics& metrics;
};

struct FeedOptions {
    std::size_t subscribers_max = limits::feed_subscribers_max;
    // kept for those who come back
    std::size_t public_events_max = limits::feed_pending_events_max;
    std::uint64_t behind_entries_max = 100'000;
    std::size_t page_entries = 500;
    Duration poll_interval = milliseconds(50);   // events gather a little before they are read
    Duration book_interval = milliseconds(250);  // per market
    Duration keep_alive = seconds(15);
};

class Feed {
public:
    explicit Feed(FeedDoors doors, FeedOptions options = {});

    // GET /v1/events and GET /v1/market-events.
    void account_events(std::shared_ptr<Incoming> in);
    void market_events(std::shared_ptr<Incoming> in);
    void stored(const matching::Batch& batch);
    // Ends every stream with a `closed` event: the process is going away and clients reconnect
    // elsewhere. An account's stream also ends so with the key it was opened by.
    void close_all();

private:
    struct Subscriber;
    struct Page;
    struct Public {
        std::uint64_t sequence = 0;
        std::string market, text;
    };
    using SubscriberPtr = std::shared_ptr<Subscriber>;

    SubscriberPtr admit(const std::shared_ptr<Incoming>& in);
    void wake(const SubscriberPtr& subscriber);
    void poll(const SubscriberPtr& subscriber);
    Page read_page(AccountId account, std::uint64_t after) const;
    void take_page(const SubscriberPtr& subscriber, Page page);
    void publish(Public event);
    void publish_books();
    bool write(const SubscriberPtr& subscriber, const std::string& text);
    void end(const SubscriberPtr& subscriber);
    void close(const SubscriberPtr& subscriber, std::string_view reason);
    void watch_key(const SubscriberPtr& subscriber);
    void beat();

    FeedDoors doors_;
    const FeedOptions options_;
    std::unordered_map<AccountId, std::vector<SubscriberPtr>> accounts_;
    std::unordered_set<SubscriberPtr> all_;
    std::deque<Public> recent_;
    std::uint64_t newest_ = 0;  // sequence of the newest batch
    std::unordered_set<MarketId> books_stale_;
    bool books_armed_ = false;
    net::Timer books_timer_, heartbeat_;
};

// One event as SSE sends it; without an id the reader's position does not move.
std::string sse_event(std::string_view name, std::uint64_t id, std::string_view data);

}  // namespace cocoon::server
