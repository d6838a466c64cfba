// Which of several equal providers to ask next: the one that answered last, unless it fails; one
// that failed is left alone for a while, longer each time, apart for each of its methods, because a
// provider can be well for reading and dead for sending. Pure: time and chance are arguments. Used
// by toncenter.cpp under its lock. It must not know what is asked.
#pragma once

#include <cstdint>
#include <vector>

#include "core/time.hpp"

namespace cocoon::server {

class Failover {
public:
    // REQUIRES: at least one provider and one method.
    Failover(std::size_t providers, std::size_t methods);

    // Those that may be asked now, the best first; may be empty.
    std::vector<std::size_t> candidates(std::size_t method, Instant now) const;
    // When the next one may be asked. REQUIRES: candidates() is empty.
    Instant next_at(std::size_t method) const;

    void succeeded(std::size_t provider, std::size_t method);
    // Left alone for the pause of its n-th failure in a row and up to half of it again by `chance`,
    // so that many markets do not come back together; no shorter than it `asked_for`.
    void failed(std::size_t provider, std::size_t method, Instant now, std::uint64_t chance,
                Duration asked_for = {});
    // Makes `provider` the first choice for `method`; sending goes round.
    void prefer(std::size_t provider, std::size_t method);

private:
    struct Health {
        std::uint32_t failures = 0;  // in a row
        Instant silent_until;
    };
    const Health& health(std::size_t provider, std::size_t method) const {
        return health_[method * providers_ + provider];
    }

    const std::size_t providers_;
    std::vector<Health> health_;
    std::vector<std::size_t> preferred_;  // [method]
};

// After the n-th failure in a row (from 1): half a second, doubled each time, at most a minute.
Duration failover_pause(std::uint32_t failures);

}  // namespace cocoon::server
