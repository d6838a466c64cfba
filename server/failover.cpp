#include "server/failover.hpp"

#include <algorithm>

#include "core/ensure.hpp"

namespace cocoon::server {
namespace {

constexpr Duration first_pause = milliseconds(500);
constexpr Duration longest_pause = minutes(1);

}  // namespace

Duration failover_pause(std::uint32_t failures) {
    ENSURE(failures > 0);
    const std::uint32_t doublings = std::min<std::uint32_t>(failures - 1, 16);
    return std::min(first_pause * (std::int64_t{1} << doublings), longest_pause);
}

Failover::Failover(std::size_t providers, std::size_t methods)
    : providers_{providers}, health_(providers * methods), preferred_(methods, 0) {
    ENSURE(providers > 0 && methods > 0);
}

std::vector<std::size_t> Failover::candidates(std::size_t method, Instant now) const {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < providers_; ++i) {
        const std::size_t provider = (preferred_[method] + i) % providers_;
        if (health(provider, method).silent_until <= now) found.push_back(provider);
    }
    // Those that failed last come after those that did not, else in their own order.
    std::stable_sort(found.begin(), found.end(), [&](std::size_t a, std::size_t b) {
        return (health(a, method).failures == 0) > (health(b, method).failures == 0);
    });
    return found;
}

Instant Failover::next_at(std::size_t method) const {
    Instant earliest = health(0, method).silent_until;
    for (std::size_t i = 1; i < providers_; ++i)
        earliest = std::min(earliest, health(i, method).silent_until);
    return earliest;
}

void Failover::succeeded(std::size_t provider, std::size_t method) {
    health_[method * providers_ + provider] = {};
    preferred_[method] = provider;
}

void Failover::failed(std::size_t provider, std::size_t method, Instant now, std::uint64_t chance,
                      Duration asked_for) {
    Health& health = health_[method * providers_ + provider];
    ++health.failures;
    const Duration pause = failover_pause(health.failures);
    const auto jitter =
        static_cast<std::int64_t>(chance % static_cast<std::uint64_t>(pause.us / 2 + 1));
    health.silent_until =
        std::max(health.silent_until, now + std::max(pause + microseconds(jitter), asked_for));
}

void Failover::prefer(std::size_t provider, std::size_t method) { preferred_[method] = provider; }

}  // namespace cocoon::server
