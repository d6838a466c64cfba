#include "server/webhooks.hpp"

#include <arpa/inet.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

#include "api/events.hpp"
#include "core/log.hpp"
#include "sealing/signing.hpp"

namespace cocoon::server {
namespace {

constexpr std::size_t plan_entries = 500;
constexpr std::uint32_t due_rows = 512;
constexpr std::uint32_t due_webhook_rows = 32;
constexpr std::uint32_t forget_rows = 1'000;
// Together more than a day.
constexpr std::array<std::int64_t, 11> pauses_seconds{5,     30,     120,    600,    1'800, 3'600,
                                                      7'200, 14'400, 21'600, 28'800, 36'000};

bool starts_with_bits(const std::array<std::uint8_t, 16>& address,
                      std::initializer_list<std::uint8_t> prefix, int bits) {
    std::size_t i = 0;
    for (const std::uint8_t byte : prefix) {
        const int left = bits - static_cast<int>(i) * 8;
        if (left <= 0) return true;
        const auto mask = static_cast<std::uint8_t>(left >= 8 ? 0xff : 0xff << (8 - left));
        if ((address[i] & mask) != (byte & mask)) return false;
        ++i;
    }
    return true;
}

}  // namespace

std::string webhook_signature(std::string_view secret, std::string_view id, std::int64_t timestamp,
                              std::string_view body) {
    constexpr std::string_view prefix = "whsec_";
    if (!secret.starts_with(prefix)) return {};
    const auto key = from_base64(secret.substr(prefix.size()));
    if (!key || key->empty()) return {};
    const std::string signed_text =
        std::string{id} + "." + std::to_string(timestamp) + "." + std::string{body};
    std::array<std::uint8_t, 32> digest{};
    unsigned length = 0;
    if (HMAC(EVP_sha256(), key->data(), static_cast<int>(key->size()), as_bytes(signed_text).data(),
             signed_text.size(), digest.data(), &length) == nullptr)
        return {};
    return "v1," + to_base64(digest);
}

bool is_loopback_address(std::string_view address) {
    return address == "::1" || address.starts_with("127.") || address.starts_with("::ffff:127.");
}

bool is_public_address(std::string_view text) {
    const std::string copy{text};
    std::array<std::uint8_t, 16> a{};
    if (inet_pton(AF_INET, copy.c_str(), a.data()) != 1) {
        if (inet_pton(AF_INET6, copy.c_str(), a.data()) != 1) return false;
        const bool mapped = starts_with_bits(a, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96);
        if (!mapped) {  // only global unicast, without documentation, Teredo and 6to4 ranges
            return starts_with_bits(a, {0x20}, 3) &&
                   !starts_with_bits(a, {0x20, 0x01, 0x0d, 0xb8}, 32) &&
                   !starts_with_bits(a, {0x20, 0x01, 0x00, 0x00}, 32) &&
                   !starts_with_bits(a, {0x20, 0x02}, 16);
        }
        std::memmove(a.data(), a.data() + 12, 4);
    }
    const bool special =
        starts_with_bits(a, {0}, 8) || starts_with_bits(a, {10}, 8) ||
        starts_with_bits(a, {100, 64}, 10) || starts_with_bits(a, {127}, 8) ||
        starts_with_bits(a, {169, 254}, 16) || starts_with_bits(a, {172, 16}, 12) ||
        starts_with_bits(a, {192, 0, 0}, 24) || starts_with_bits(a, {192, 0, 2}, 24) ||
        starts_with_bits(a, {192, 168}, 16) || starts_with_bits(a, {198, 18}, 15) ||
        starts_with_bits(a, {198, 51, 100}, 24) || starts_with_bits(a, {203, 0, 113}, 24) ||
        starts_with_bits(a, {224}, 3);
    return !special;
}

std::optional<Duration> retry_pause(std::uint32_t attempts, std::uint32_t chance) {
    if (attempts == 0 || attempts > pauses_seconds.size()) return std::nullopt;
    const std::int64_t us = pauses_seconds[attempts - 1] * 1'000'000;
    return Duration{us - us / 5 + us * 2 / 5 * static_cast<std::int64_t>(chance % 1000) / 1000};
}

// A webhook is a stranger's way to have the market call addresses: only those that are everyone's.
// Judged when connecting, so no proxy may stand between, and no second look-up can answer
// otherwise.
static net::HttpClientOptions client_options(const WebhookOptions& options) {
    net::HttpClientOptions client;
    client.environment_proxy = false;
    client.address_allowed = [loopback = options.loopback_allowed](std::string_view address) {
        return is_public_address(address) || (loopback && is_loopback_address(address));
    };
    return client;
}

Webhooks::Webhooks(WebhookDoors doors, WebhookOptions options)
    : doors_{std::move(doors)},
      options_{options},
      client_{client_options(options)},
      senders_{"webhook", options.senders, options.senders} {}

Webhooks::~Webhooks() { stop(); }

void Webhooks::start() {
    thread_ = std::thread{[this] {
        while (true) {
            try {
                round();
            } catch (const std::exception& failure) {
                log::warning("webhooks_failed", {{"why", failure.what()}});
            }
            std::unique_lock lock{mutex_};
            wake_.wait_for(lock, std::chrono::microseconds{options_.idle_interval.us},
                           [this] { return stopping_ || woken_; });
            // A busy market wakes this at every commit: what comes within a moment is one round.
            wake_.wait_for(lock, std::chrono::microseconds{options_.gather.us},
                           [this] { return stopping_; });
            woken_ = false;
            if (stopping_) return;
        }
    }};
}

void Webhooks::wake() {
    {
        const std::lock_guard lock{mutex_};
        if (woken_) return;
        woken_ = true;
    }
    wake_.notify_one();
}

void Webhooks::stop() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_all();
    cancel_.cancel();
    if (thread_.joinable()) thread_.join();
    senders_.stop();
}

void Webhooks::round() {
    while (plan()) {
        const std::lock_guard lock{mutex_};
        if (stopping_) return;
    }
    take_due();
    forget_old();
}

// Turns journal entries into deliveries. True: there is more.
bool Webhooks::plan() {
    const std::uint64_t from = doors_.outbox.cursor();
    if (doors_.projector.sequence() <= from) return false;
    db::Reader reader{doors_.pool};
    if (!reader.any_webhook()) {  // nobody listens: the journal need not be read once more
        doors_.outbox.advance(from, reader.as_of(), {});
        return false;
    }
    const db::Feed feed = reader.feed(AccountId{}, from, plan_entries);
    std::unordered_map<AccountId, std::vector<matching::Webhook>> known;
    std::vector<db::Delivery> deliveries;
    for (const db::FeedEvent& event : feed.events) {
        const std::string_view name = api::event_name(event.event);
        if (name.empty()) continue;
        for (const AccountId account : {event.account, event.provider}) {
            if (!account) continue;
            auto found = known.find(account);
            if (found == known.end())
                found = known.emplace(account, reader.webhooks(account)).first;
            for (const matching::Webhook& webhook : found->second) {
                const bool wanted = webhook.events.empty() ||
                                    std::find(webhook.events.begin(), webhook.events.end(), name) !=
                                        webhook.events.end();
                if (webhook.disabled || !wanted) continue;
                db::Delivery delivery;
                delivery.webhook = webhook.id;
                delivery.key = event.key;
                delivery.next_attempt_at = doors_.clock.now();
                deliveries.push_back(std::move(delivery));
            }
            if (event.provider == event.account) break;
        }
    }
    doors_.outbox.advance(from, feed.scanned_to, deliveries);
    return feed.more;
}

// What ended long ago is forgotten, some at a time so that no transaction is long.
void Webhooks::forget_old() {
    const Instant now = doors_.clock.now();
    if (now < forgotten_at_ + options_.forget_interval) return;
    while (doors_.outbox.forget(now - options_.retention, forget_rows) == forget_rows) {
        const std::lock_guard lock{mutex_};
        if (stopping_) return;
    }
    forgotten_at_ = now;
}

// Deliveries whose time has come join their account's line.
void Webhooks::take_due() {
    db::Outbox::Due asked;
    asked.now = doors_.clock.now();
    asked.rows_max = due_rows;
    asked.webhook_rows_max = due_webhook_rows;
    // Whatever is being sent when the rows are read may be recorded before they are looked at, and
    // still stand there as due: only what was idle before the reading is taken.
    std::set<Name> busy;
    {
        const std::lock_guard lock{mutex_};
        busy = taken_;
        for (const auto& [account, line] : lines_)
            if (line.waiting.size() >= options_.line_deliveries_max)
                asked.passed_over.push_back(account);
    }
    std::vector<db::Delivery> due = doors_.outbox.due(asked);
    const std::lock_guard lock{mutex_};
    for (db::Delivery& delivery : due) {
        if (busy.contains({delivery.webhook, delivery.key})) continue;
        taken_.insert({delivery.webhook, delivery.key});
        Line& line = lines_[delivery.account];
        if (line.waiting.empty()) turns_.push_back(delivery.account);
        line.waiting.push_back(std::move(delivery));
    }
    start_sending();
}

// One delivery of each account in turn, while there are senders. Accounts whose last attempt failed
// get one sender each and share half of them all: receivers that hang, however many accounts they
// belong to, leave the rest to those that answer. REQUIRES: the mutex.
void Webhooks::start_sending() {
    for (std::size_t held = 0; !stopping_ && sending_ < options_.senders && held < turns_.size();) {
        const AccountId account = turns_.front();
        turns_.pop_front();
        Line& line = lines_[account];
        const bool holds = line.failing
                               ? line.sending > 0 || sending_failing_ >= options_.senders / 2
                               : line.sending >= options_.account_senders_max;
        if (!holds) start(account, line);
        if (!line.waiting.empty()) turns_.push_back(account);
        held = holds ? held + 1 : 0;
    }
}

// REQUIRES: the mutex, and that something waits in the line.
void Webhooks::start(AccountId account, Line& line) {
    db::Delivery delivery = std::move(line.waiting.front());
    line.waiting.pop_front();
    const bool as_failing = line.failing;
    ++line.sending;
    ++sending_;
    sending_failing_ += as_failing ? 1 : 0;
    // Refused only while stopping, and then nothing is counted any more.
    [[maybe_unused]] const bool queued = senders_.submit([this, account, as_failing, delivery] {
        bool failed = true;
        try {
            failed = send(delivery);
        } catch (const std::exception& failure) {
            log::warning("webhook_not_recorded", {{"why", failure.what()}});  // due again
        }
        sent(account, {delivery.webhook, delivery.key}, as_failing, failed);
    });
}

void Webhooks::sent(AccountId account, const Name& name, bool as_failing, bool failed) {
    bool empty = false;
    {
        const std::lock_guard lock{mutex_};
        taken_.erase(name);
        Line& line = lines_[account];
        --line.sending;
        --sending_;
        sending_failing_ -= as_failing ? 1 : 0;
        line.failing = failed;
        empty = line.waiting.empty();
        if (empty && line.sending == 0 && !line.failing) lines_.erase(account);
        start_sending();
    }
    if (empty) wake();  // there may be more of its deliveries in the database
}

// Whether an attempt failed.
bool Webhooks::send(db::Delivery delivery) {
    std::optional<db::FeedEvent> event;
    std::optional<matching::Webhook> webhook;
    if (delivery.account) {
        db::Reader reader{doors_.pool};
        event = reader.event_at(delivery.key);
        for (matching::Webhook& each : reader.webhooks(delivery.account))
            if (each.id == delivery.webhook) webhook = std::move(each);
    }
    const bool gone = !event || !webhook || webhook->disabled;
    ++delivery.attempts;
    delivery.status = 0;
    delivery.failure = gone ? "the webhook is gone" : attempt(*webhook, *event, delivery.status);
    const bool failed = !delivery.failure.empty();
    std::optional<Duration> pause;
    if (failed && !gone) {
        std::array<std::uint8_t, 2> chance{};
        sealing::fill_random(chance);
        pause =
            retry_pause(delivery.attempts, static_cast<std::uint32_t>(chance[0] << 8 | chance[1]));
    }
    const Instant now = doors_.clock.now();
    delivery.next_attempt_at = pause ? now + *pause : Instant{};
    delivery.ended_at = pause ? Instant{} : now;
    (failed ? doors_.metrics.webhook_failures : doors_.metrics.webhook_deliveries).add();
    if (!cancel_.cancelled()) doors_.outbox.record(delivery);
    return failed && !gone;
}

// Why it failed; empty: delivered.
std::string Webhooks::attempt(const matching::Webhook& webhook, const db::FeedEvent& event,
                              std::int32_t& status) {
    const auto views = doors_.views();
    const api::MarketNames names = [&views](MarketId id) {
        for (const auto& [name, view] : views->by_name) {
            if (view->id == id) return name;
        }
        return std::string{};
    };
    const std::string id =
        "evt_" + std::to_string(event.key.sequence) + "_" + std::to_string(event.key.ordinal);
    const std::int64_t timestamp = doors_.clock.now().unix_seconds();
    net::ClientRequest request;
    request.method = "POST";
    request.url = webhook.url;
    request.body = api::event_json(event, names);
    request.headers.add("Content-Type", "application/json");
    request.headers.add("webhook-id", id);
    request.headers.add("webhook-timestamp", std::to_string(timestamp));
    request.headers.add("webhook-signature",
                        webhook_signature(webhook.secret, id, timestamp, request.body));
    request.total_timeout = options_.attempt_timeout;
    request.response_bytes_max = 64 << 10;
    const auto answer = client_.send(request, &cancel_);
    if (!answer && answer.error().code == ErrorCode::forbidden)
        return "the host's address is not public";
    if (!answer) return std::string{describe(answer.error().code).name};
    status = answer->status;
    return status >= 200 && status < 300 ? std::string{} : "status " + std::to_string(status);
}

}  // namespace cocoon::server
