// One named figure of the small benches: how often a call is repeated in a round, and what each
// round gave.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "bench/http_peer.hpp"

namespace cocoon::bench {

struct Figure {
    const char* name;
    int repeats;
    std::function<void()> call;
    std::vector<double> microseconds{};

    void round() {
        const std::int64_t begin = now_ns();
        for (int i = 0; i < repeats; ++i) call();
        microseconds.push_back(static_cast<double>(now_ns() - begin) / 1e3 / repeats);
    }
    double median() {
        std::sort(microseconds.begin(), microseconds.end());
        return microseconds[microseconds.size() / 2];
    }
};

}  // namespace cocoon::bench
