#include "server/feed.hpp"

#include <algorithm>
#include <charconv>

#include "api/events.hpp"
#include "api/wire_markets.hpp"
#include "api/wire_vectors.hpp"
#include "core/log.hpp"
#include "db/reader.hpp"

namespace cocoon::server {
namespace {

constexpr Duration projection_patience = seconds(1);
constexpr std::size_t book_levels = 20;
constexpr Duration key_timer_max = days(1);  // an expiry may be further away than a timer reaches

// The position a client names, or nothing.
std::optional<std::uint64_t> last_event_id(const net::Request& request) {
    const std::string_view text = request.headers.get("Last-Event-ID");
    std::uint64_t id = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (text.empty() || failure != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return id;
}

// The `market` of a query, decoded; empty if there is none.
std::string market_in(std::string_view query) {
    std::string market;
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        std::string_view pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (!pair.starts_with("market=")) continue;
        pair.remove_prefix(7);
        for (std::size_t i = 0; i < pair.size(); ++i) {
            const auto byte =
                pair[i] == '%' && i + 2 < pair.size()
                    ? from_hex(std::string{static_cast<char>(std::tolower(pair[i + 1])),
                                           static_cast<char>(std::tolower(pair[i + 2]))})
                    : std::nullopt;
            market.push_back(byte ? static_cast<char>((*byte)[0]) : pair[i]);
            if (byte) i += 2;
        }
    }
    return market;
}

std::string gap_event(std::uint64_t from, std::uint64_t to) {
    return sse_event("gap", to,
                     "{\"after\":\"" + std::to_string(from) + "\",\"resumed_at\":\"" +
                         std::to_string(to) + "\"}");
}

}  // namespace

std::string sse_event(std::string_view name, std::uint64_t id, std::string_view data) {
    std::string text;
    text.reserve(data.size() + name.size() + 48);
    if (id != 0) text.append("id: ").append(std::to_string(id)).append("\n");
    return text.append("event: ").append(name).append("\ndata: ").append(data).append("\n\n");
}

struct Feed::Subscriber {
    std::shared_ptr<Incoming> in;
    AccountId account;         // none: public
    std::string market;        // public: only this one; empty: all
    std::uint64_t cursor = 0;  // sequence up to which everything was sent
    bool reading = false, wanted = false, blocked = false, ended = false;
    std::uint64_t bytes = 0;
    net::Timer poll_timer, key_timer;
};

struct Feed::Page {
    std::string text;
    std::uint64_t cursor = 0;
    std::size_t events = 0;
    bool more = false, gap = false, failed = false;
};

Feed::Feed(FeedDoors doors, FeedOptions options)
    : doors_{std::move(doors)}, options_{std::move(options)} {
    newest_ = doors_.projector.sequence();
}

Feed::SubscriberPtr Feed::admit(const std::shared_ptr<Incoming>& in) {
    if (all_.size() >= options_.subscribers_max) {
        in->refuse(refuse(ErrorCode::too_many_connections, "too many event streams"));
        return nullptr;
    }
    auto subscriber = std::make_shared<Subscriber>();
    subscriber->in = in;
    all_.insert(subscriber);
    doors_.metrics.feed_subscribers.set(static_cast<std::int64_t>(all_.size()));
    if (all_.size() == 1)
        heartbeat_ = doors_.loop.call_after(options_.keep_alive, [this] { beat(); });
    in->start(200, "text/event-stream", net::Headers{{"X-Accel-Buffering", "no"}});
    const std::weak_ptr<Subscriber> weak = subscriber;
    in->exchange().on_closed([this, weak] {
        if (const auto alive = weak.lock()) end(alive);
    });
    in->exchange().write(": cocoon-market\n\n");
    return subscriber;
}

void Feed::end(const SubscriberPtr& subscriber) {
    if (std::exchange(subscriber->ended, true)) return;
    subscriber->poll_timer.cancel();
    subscriber->key_timer.cancel();
    subscriber->in->finished("closed", subscriber->bytes);
    all_.erase(subscriber);
    doors_.metrics.feed_subscribers.set(static_cast<std::int64_t>(all_.size()));
    const auto found = accounts_.find(subscriber->account);
    if (found == accounts_.end()) return;
    std::erase(found->second, subscriber);
    if (found->second.empty()) accounts_.erase(found);
}

bool Feed::write(const SubscriberPtr& subscriber, const std::string& text) {
    if (subscriber->ended || !subscriber->in->exchange().write(text)) return false;
    subscriber->bytes += text.size();
    return true;
}

void Feed::close_all() {
    const auto all = all_;
    for (const SubscriberPtr& subscriber : all) close(subscriber, "draining");
}

// The last event says why nothing more comes. Whoever does not read it still sees the end.
void Feed::close(const SubscriberPtr& subscriber, std::string_view reason) {
    write(subscriber, sse_event("closed", 0, "{\"reason\":\"" + std::string{reason} + "\"}"));
    subscriber->in->exchange().finish();
    end(subscriber);
}

// A comment now and then, so that both ends notice a dead connection.
void Feed::beat() {
    const auto all = all_;
    for (const SubscriberPtr& subscriber : all) write(subscriber, ": keep-alive\n\n");
    if (!all_.empty()) heartbeat_ = doors_.loop.call_after(options_.keep_alive, [this] { beat(); });
}

// ---- An account's own --------------------------------------------------------------------------

void Feed::account_events(std::shared_ptr<Incoming> in) {
    const SubscriberPtr subscriber = admit(in);
    if (!subscriber) return;
    subscriber->account = in->principal().account;
    subscriber->cursor = last_event_id(in->request()).value_or(newest_);
    accounts_[subscriber->account].push_back(subscriber);
    watch_key(subscriber);
    wake(subscriber);
}

// An account's stream lasts no longer than the key it was opened with: looked at when it opens,
// when the key changes, and when it expires.
void Feed::watch_key(const SubscriberPtr& subscriber) {
    if (subscriber->ended) return;
    const Credential* key = doors_.directory.credential(subscriber->in->principal().key);
    const Instant now = doors_.clock.now();
    if (key == nullptr || key->revoked) return close(subscriber, "key_revoked");
    if (key->ended(now)) return close(subscriber, "key_expired");
    subscriber->key_timer.cancel();
    if (key->expires_at.us == 0) return;
    const std::weak_ptr<Subscriber> weak = subscriber;
    const Duration wait = std::min(key->expires_at - now, key_timer_max);
    subscriber->key_timer = doors_.loop.call_after(wait, [this, weak] {
        if (const auto alive = weak.lock()) watch_key(alive);
    });
}

void Feed::wake(const SubscriberPtr& subscriber) {
    if (subscriber->ended || subscriber->reading || subscriber->blocked) {
        subscriber->wanted = true;
        return;
    }
    subscriber->reading = true;
    const std::weak_ptr<Subscriber> weak = subscriber;
    subscriber->poll_timer = doors_.loop.call_after(options_.poll_interval, [this, weak] {
        if (const auto alive = weak.lock()) poll(alive);
    });
}

void Feed::poll(const SubscriberPtr& subscriber) {
    subscriber->wanted = false;
    const AccountId account = subscriber->account;
    const std::uint64_t after = subscriber->cursor, target = newest_;
    const bool taken = doors_.workers.submit([this, subscriber, account, after, target] {
        auto page = std::make_shared<Page>();
        try {
            doors_.projector.wait_for(target, projection_patience);
            *page = read_page(account, after);
        } catch (const std::exception& failure) {
            log::warning("feed_read_failed", {{"why", failure.what()}});
            page->failed = true;
        }
        doors_.loop.post([this, subscriber, page] { take_page(subscriber, std::move(*page)); });
    });
    if (taken) return;
    subscriber->reading = false;  // busy workers: at the next event, or the next beat of this timer
    wake(subscriber);
}

Feed::Page Feed::read_page(AccountId account, std::uint64_t after) const {
    db::Reader reader{doors_.pool};
    Page page;
    page.cursor = after;
    if (after > reader.as_of() || reader.as_of() - after > options_.behind_entries_max) {
        page.gap = true;
        page.cursor = reader.as_of();
        page.text = gap_event(after, page.cursor);
        return page;
    }
    const db::Feed feed = reader.feed(account, after, options_.page_entries);
    // A worker may not ask the directory; the snapshot knows the names, too.
    const auto views = doors_.views();
    const api::MarketNames names = [&views](MarketId id) {
        for (const auto& [name, view] : views->by_name) {
            if (view->id == id) return name;
        }
        return std::string{};
    };
    for (std::size_t i = 0; i < feed.events.size(); ++i) {
        const db::FeedEvent& event = feed.events[i];
        const std::string_view wire = api::event_name(event.event);
        if (wire.empty()) continue;
        // The id comes with the last event of an entry: who resumes after it has seen the whole
        // entry.
        const bool last =
            i + 1 == feed.events.size() || feed.events[i + 1].key.sequence != event.key.sequence;
        page.text += sse_event(wire, last ? event.key.sequence : 0, api::event_json(event, names));
        ++page.events;
    }
    page.cursor = std::max(after, feed.scanned_to);
    page.more = feed.more;
    return page;
}

void Feed::take_page(const SubscriberPtr& subscriber, Page page) {
    subscriber->reading = false;
    if (subscriber->ended) return;
    if (!page.text.empty() && !write(subscriber, page.text)) {
        if (subscriber->in->exchange().closed()) return;
        // Too slow: the cursor stays, and the journal is read again from it once there is room.
        subscriber->blocked = true;
        const std::weak_ptr<Subscriber> weak = subscriber;
        subscriber->in->exchange().on_drained([this, weak] {
            const auto alive = weak.lock();
            if (!alive) return;
            alive->blocked = false;
            wake(alive);
        });
        return;
    }
    subscriber->cursor = page.cursor;
    doors_.metrics.feed_events.add(page.events);
    if (page.gap) doors_.metrics.feed_gaps.add();
    if (page.more || page.failed || subscriber->wanted || subscriber->cursor < newest_)
        wake(subscriber);
}

// ---- Public market data ------------------------------------------------------------------------

void Feed::market_events(std::shared_ptr<Incoming> in) {
    const SubscriberPtr subscriber = admit(in);
    if (!subscriber) return;
    subscriber->market = market_in(in->request().query);
    const std::uint64_t after = last_event_id(in->request()).value_or(newest_);
    const std::uint64_t oldest = recent_.empty() ? newest_ : recent_.front().sequence - 1;
    if (after < oldest || after > newest_) {
        doors_.metrics.feed_gaps.add();
        write(subscriber, gap_event(after, oldest));
    }
    for (const Public& event : recent_) {
        if (event.sequence > after &&
            (subscriber->market.empty() || subscriber->market == event.market))
            write(subscriber, event.text);
    }
    const auto views = doors_.views();
    for (const auto& [name, view] : views->by_name) {
        if (subscriber->market.empty() || subscriber->market == name)
            write(subscriber, sse_event("book", 0, api::book_json(*view, book_levels)));
    }
}

void Feed::publish(Public event) {
    for (const SubscriberPtr& subscriber : all_) {
        if (subscriber->account ||
            (!subscriber->market.empty() && subscriber->market != event.market))
            continue;
        const std::string gap =
            subscriber->blocked ? gap_event(subscriber->cursor, event.sequence) : std::string{};
        if (write(subscriber, gap + event.text)) {
            if (subscriber->blocked) doors_.metrics.feed_gaps.add();
            subscriber->blocked = false;
            subscriber->cursor = event.sequence;
            doors_.metrics.feed_events.add();
        } else {
            subscriber->blocked = true;  // dropped; the next one that fits is preceded by a gap
        }
    }
    if (recent_.size() >= options_.public_events_max) recent_.pop_front();
    recent_.push_back(std::move(event));
}

void Feed::stored(const matching::Batch& batch) {
    newest_ = batch.last();
    for (const matching::ApiKey& key : batch.changes.keys) {
        const auto found = accounts_.find(key.account);
        if (found == accounts_.end()) continue;
        const std::vector<SubscriberPtr> subscribers = found->second;  // closing one removes it
        for (const SubscriberPtr& subscriber : subscribers)
            if (subscriber->in->principal().key == key.id) watch_key(subscriber);
    }
    std::unordered_set<AccountId> touched;
    const matching::Changes& changes = batch.changes;
    for (const auto& account : changes.accounts) touched.insert(account.id);
    for (const auto& key : changes.keys) touched.insert(key.account);
    for (const auto& node : changes.nodes) touched.insert(node.provider);
    for (const auto& offer : changes.offers) touched.insert(offer.provider);
    for (const auto& request : changes.requests) touched.insert(request.account);
    for (const auto& job : changes.jobs) touched.insert({job.account, job.provider});
    for (const auto& payout : changes.payouts) touched.insert(payout.account);
    for (const auto& webhook : changes.webhooks) touched.insert(webhook.account);
    for (const auto& [account, subscribers] : accounts_) {
        if (!touched.contains(account)) continue;
        for (const SubscriberPtr& subscriber : subscribers) wake(subscriber);
    }
    for (const matching::Offer& offer : changes.offers) books_stale_.insert(offer.market);
    for (const matching::Request& request : changes.requests) {
        for (const matching::Alternative& alternative : request.alternatives)
            books_stale_.insert(alternative.market);
    }
    for (const matching::Entry& entry : batch.entries) {
        for (const matching::Event& event : entry.events) {
            const auto* reserved = std::get_if<matching::JobReserved>(&event);
            if (reserved == nullptr) continue;
            const std::string market = *doors_.directory.market_name(reserved->job.market);
            api::JsonWriter out;
            out.open_object();
            out.text("market", market);
            out.instant("at", entry.at);
            api::write_price(out, "price", reserved->job.price);
            api::write_quantity(out, "quantity", reserved->job.quantity);
            out.integer("slots", reserved->job.slots);
            out.close_object();
            publish({entry.sequence, market, sse_event("trade", entry.sequence, out.take())});
        }
    }
    if (books_stale_.empty() || books_armed_) return;
    books_armed_ = true;
    books_timer_ = doors_.loop.call_after(options_.book_interval, [this] { publish_books(); });
}

void Feed::publish_books() {
    books_armed_ = false;
    const auto views = doors_.views();
    for (const MarketId market : books_stale_) {
        const auto found = views->by_name.find(*doors_.directory.market_name(market));
        if (found == views->by_name.end()) continue;
        publish({newest_, found->first,
                 sse_event("book", newest_, api::book_json(*found->second, book_levels))});
    }
    books_stale_.clear();
}

}  // namespace cocoon::server
