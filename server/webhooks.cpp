#include "server/webhooks.hpp"

#include <arpa/inet.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <unordered_map>

#include "api/events.hpp"
#include "core/log.hpp"
#include "sealing/signing.hpp"

namespace cocoon::server {
namespace {

constexpr std::size_t plan_entries = 500;
constexpr std::uint32_t due_rows = 64;
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
      senders_{"webhook", options.senders, due_rows} {}

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
    send_due();
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

void Webhooks::send_due() {
    // Whatever is being sent when the rows are read may be recorded before they are looked at, and
    // still stand there as due: only what was idle before the reading is sent.
    std::set<InFlight> busy;
    {
        const std::lock_guard lock{mutex_};
        busy = in_flight_;
    }
    for (db::Delivery& delivery : doors_.outbox.due(doors_.clock.now(), due_rows)) {
        const InFlight name{delivery.webhook.value, delivery.key};
        if (busy.contains(name)) continue;
        {
            const std::lock_guard lock{mutex_};
            if (stopping_) return;
            in_flight_.insert(name);
        }
        const bool taken = senders_.submit([this, delivery, name] {
            try {
                send(delivery);
            } catch (const std::exception& failure) {
                log::warning("webhook_not_recorded", {{"why", failure.what()}});  // due again
            }
            const std::lock_guard lock{mutex_};
            in_flight_.erase(name);
        });
        if (taken) continue;
        const std::lock_guard lock{mutex_};
        in_flight_.erase(name);
        return;
    }
}

void Webhooks::send(db::Delivery delivery) {
    std::optional<db::FeedEvent> event;
    std::optional<matching::Webhook> webhook;
    {
        db::Reader reader{doors_.pool};
        event = reader.event_at(delivery.key);
        for (const AccountId account :
             {event ? event->account : AccountId{}, event ? event->provider : AccountId{}}) {
            if (!account) continue;
            for (matching::Webhook& each : reader.webhooks(account)) {
                if (each.id == delivery.webhook) webhook = std::move(each);
            }
        }
    }
    ++delivery.attempts;
    delivery.status = 0;
    std::optional<Duration> pause;
    if (!event || !webhook || webhook->disabled) {
        delivery.failure = "the webhook is gone";
    } else {
        delivery.failure = attempt(*webhook, *event, delivery.status);
        std::array<std::uint8_t, 2> chance{};
        sealing::fill_random(chance);
        if (!delivery.failure.empty())
            pause = retry_pause(delivery.attempts,
                                static_cast<std::uint32_t>(chance[0] << 8 | chance[1]));
    }
    const Instant now = doors_.clock.now();
    delivery.next_attempt_at = pause ? now + *pause : Instant{};
    if (delivery.failure.empty()) delivery.delivered_at = now;
    (delivery.failure.empty() ? doors_.metrics.webhook_deliveries : doors_.metrics.webhook_failures)
        .add();
    if (!cancel_.cancelled()) doors_.outbox.record(delivery);
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
