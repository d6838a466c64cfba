// Which single-use texts were used, until they end by themselves. Called by the wallet sign-in on
// worker threads; any thread. Memory of this process: what it remembers must be worthless to the
// next one. Must not know what the texts are.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/time.hpp"

namespace cocoon::api {

class UsedOnce {
public:
    explicit UsedOnce(std::size_t texts_max) : texts_max_{texts_max} {}

    // Whether this is the first use of `text`. False as well once it has ended, and when
    // `texts_max` others are remembered: never twice is worth more than always once.
    bool take(std::string_view text, Instant expires_at, Instant now) {
        if (expires_at <= now) return false;
        const std::lock_guard lock{mutex_};
        if (used_.size() >= texts_max_)
            std::erase_if(used_, [now](const auto& entry) { return entry.second <= now; });
        if (used_.size() >= texts_max_) return false;
        return used_.emplace(text, expires_at).second;
    }

private:
    const std::size_t texts_max_;
    std::mutex mutex_;
    std::unordered_map<std::string, Instant> used_;
};

}  // namespace cocoon::api
