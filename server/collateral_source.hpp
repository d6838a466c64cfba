// One service that collateral is fetched from (Intel, AMD, NVIDIA, or a mirror of theirs), and how
// politely: after a failure it is left alone for a while, longer each time, and for as long as it
// asks to be. Used by collateral.cpp, on any worker thread; blocks. Must not know what it serves:
// answers are signed, and judged elsewhere.
#pragma once

#include <mutex>
#include <string>

#include "net/http_client.hpp"
#include "server/metrics.hpp"

namespace cocoon::server {

struct CollateralDoors {
    net::HttpClient& client;
    net::CancelToken& cancel;
    const Clock& clock;
    Metrics& metrics;
};

class CollateralSource {
public:
    // `name` is for people: "the TDX collateral service". `url` without a trailing slash; empty:
    // off.
    CollateralSource(CollateralDoors doors, std::string name, std::string url)
        : doors_{doors}, name_{std::move(name)}, url_{std::move(url)} {}

    bool enabled() const { return !url_.empty(); }
    const std::string& name() const { return name_; }

    // `request.url` is what follows this service's own URL. A value has status 200. `not_found`: it
    // answers, and has no such thing; `malformed_request`: it answers without end;
    // `upstream_failed`: it is down, or is being left alone. The detail says which and until when.
    Result<net::ClientResponse> ask(net::ClientRequest request);

private:
    Error paused(Instant now) const;
    void failed(const std::string& why, Duration asked_for);

    CollateralDoors doors_;
    const std::string name_, url_;
    std::mutex mutex_;
    std::uint32_t failures_ = 0;  // in a row
    Instant silent_until_;
    std::string why_;
};

// After the n-th failure in a row (from 1): 1 s, doubled each time, at most 5 minutes.
Duration collateral_pause(std::uint32_t failures);

}  // namespace cocoon::server
