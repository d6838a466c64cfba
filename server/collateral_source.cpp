#include "server/collateral_source.hpp"

#include <algorithm>
#include <charconv>

#include "core/log.hpp"

namespace cocoon::server {
namespace {

constexpr Duration pause_max = minutes(5);
constexpr Duration asked_pause_max = hours(1);  // of what a service may ask for

// Retry-After in seconds (RFC 9110, 10.2.3); zero for a date or for none: then the pause is ours.
Duration retry_after(const net::ClientResponse& response) {
    const std::string_view text = response.headers.get("Retry-After");
    std::uint32_t count = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (failure != std::errc{} || end != text.data() + text.size()) return {};
    return std::min(seconds(count), asked_pause_max);
}

// Not this request's fault: the next one would meet the same.
bool is_busy_or_down(int status) { return status == 408 || status == 429 || status >= 500; }

}  // namespace

Duration collateral_pause(std::uint32_t failures) {
    const std::uint32_t doublings = std::min<std::uint32_t>(failures, 10);
    return std::min(milliseconds(std::int64_t{500} << doublings), pause_max);
}

Error CollateralSource::paused(Instant now) const {
    return refuse(ErrorCode::upstream_failed,
                  name_ + " " + why_ + "; it is asked again in " +
                      std::to_string((silent_until_ - now).seconds() + 1) + " s");
}

void CollateralSource::failed(const std::string& why, Duration asked_for) {
    const std::lock_guard lock{mutex_};
    ++failures_;
    why_ = why;
    const Duration pause = std::max(collateral_pause(failures_), asked_for);
    silent_until_ = std::max(silent_until_, doors_.clock.now() + pause);
    log::warning("collateral_source_failed",
                 {{"source", name_}, {"why", why}, {"pause_seconds", pause.seconds()}});
}

Result<net::ClientResponse> CollateralSource::ask(net::ClientRequest request) {
    {
        const std::lock_guard lock{mutex_};
        if (const Instant now = doors_.clock.now(); now < silent_until_) return paused(now);
    }
    request.url = url_ + request.url;
    doors_.metrics.collateral_fetches.add();
    auto response = doors_.client.send(request, &doors_.cancel);
    if (!response && response.error().code == ErrorCode::body_too_large) {
        doors_.metrics.collateral_failures.add();
        return refuse(ErrorCode::malformed_request, name_ + " answers more than it may");
    }
    if (!response || is_busy_or_down(response->status)) {
        doors_.metrics.collateral_failures.add();
        failed(response
                   ? "answered " + std::to_string(response->status)
                   : "cannot be used (" + std::string{describe(response.error().code).name} + ")",
               response ? retry_after(*response) : Duration{});
        const std::lock_guard lock{mutex_};
        return paused(doors_.clock.now());
    }
    {
        const std::lock_guard lock{mutex_};
        if (failures_ > 0) log::info("collateral_source_back", {{"source", name_}});
        failures_ = 0;
    }
    if (response->status == 200) return response;
    doors_.metrics.collateral_failures.add();
    return refuse(ErrorCode::not_found,
                  name_ + " answered " + std::to_string(response->status) + " for this platform");
}

}  // namespace cocoon::server
