#include "server/rate.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace cocoon::server {

RateTable::RateTable(RatePolicy policy, std::size_t entries_max)
    : policy_{policy},
      interval_{
          std::max<std::int64_t>(1, policy.window.us / std::max<std::int64_t>(1, policy.limit))},
      entries_max_{entries_max} {}

RateAnswer RateTable::measure(Instant full_at, Instant now) const {
    RateAnswer answer;
    const Duration owed = full_at > now ? full_at - now : Duration{};
    const Duration room = interval_ * policy_.limit - owed;
    answer.allowed = room >= interval_;
    answer.remaining = answer.allowed ? room.us / interval_.us : 0;
    answer.reset = owed;
    if (!answer.allowed) answer.retry_after = interval_ - room;
    return answer;
}

RateAnswer RateTable::take(std::uint64_t caller, Instant now) {
    auto found = full_at_.find(caller);
    if (found == full_at_.end() && full_at_.size() >= prune_at_) prune(now);
    if (found == full_at_.end() && full_at_.size() < entries_max_)
        found = full_at_.emplace(caller, now).first;
    Instant& full_at = found != full_at_.end() ? found->second : shared_full_at_;
    RateAnswer answer = measure(full_at, now);
    if (answer.allowed) {
        full_at = std::max(full_at, now) + interval_;
        --answer.remaining;
        answer.reset = full_at - now;
    }
    return answer;
}

RateAnswer RateTable::look(std::uint64_t caller, Instant now) const {
    const auto found = full_at_.find(caller);
    return measure(found == full_at_.end() ? Instant{} : found->second, now);
}

void RateTable::prune(Instant now) {
    std::erase_if(full_at_, [now](const auto& entry) { return entry.second <= now; });
    prune_at_ = std::clamp<std::size_t>(full_at_.size() * 2, 1'024, entries_max_);
}

std::uint64_t address_bucket(std::string_view address) {
    const std::string text{address};
    std::array<std::uint8_t, 16> bytes{};
    std::uint64_t bucket = 0;
    if (inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
        std::uint32_t whole = 0;
        std::memcpy(&whole, bytes.data(), sizeof whole);
        return (1ull << 32) | whole;  // no IPv6 /64 in use begins with 31 zero bits
    }
    if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) {
        constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        if (std::equal(mapped.begin(), mapped.end(), bytes.begin())) {
            std::uint32_t whole = 0;
            std::memcpy(&whole, bytes.data() + 12, sizeof whole);
            return (1ull << 32) | whole;
        }
        std::memcpy(&bucket, bytes.data(), sizeof bucket);
    }
    return bucket;
}

}  // namespace cocoon::server
