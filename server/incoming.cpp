#include "server/incoming.hpp"

#include "core/log.hpp"

namespace cocoon::server {

int retry_after_seconds(ErrorCode code) {
    switch (code) {
        case ErrorCode::overloaded:
        case ErrorCode::commit_failed: return 1;
        case ErrorCode::rate_limited:
        case ErrorCode::too_many_connections: return 1;
        case ErrorCode::no_eligible_offer:
        case ErrorCode::price_cap_too_low: return 5;
        case ErrorCode::node_unavailable: return 2;
        case ErrorCode::collateral_unavailable: return 30;
        case ErrorCode::draining: return 5;
        default: return 0;
    }
}

Incoming::Incoming(std::shared_ptr<net::Exchange> exchange, Admitted admitted, std::string address,
                   Instant arrived, const Clock& clock, Metrics& metrics,
                   const AnswerPolicy& policy)
    : exchange_{std::move(exchange)},
      admitted_{std::move(admitted)},
      address_{std::move(address)},
      arrived_{arrived},
      clock_{clock},
      metrics_{metrics},
      policy_{policy} {}

Incoming::~Incoming() {
    // A part dropped the request: net answers 500 or cuts the stream; the line says so.
    if (!noted_.load()) note(answered_.load() ? started_status_ : 500, "dropped", 0);
}

net::Headers Incoming::common_headers() const {
    net::Headers headers;
    headers.reserve(8);
    if (!admitted_.policy_name.empty()) add_rate_headers(admitted_, headers);
    return headers;
}

void Incoming::respond(api::Response response) {
    if (answered_.exchange(true)) return;
    net::Response answer;
    answer.status = response.status;
    answer.headers = common_headers();
    if (!response.content_type.empty() && response.status != 204 && response.status != 304) {
        answer.headers.add("Content-Type", std::move(response.content_type));
    }
    if (admitted_.principal.account && !answer.headers.contains("Cache-Control")) {
        answer.headers.add("Cache-Control", "private, no-store");
    }
    for (auto& [name, value] : response.headers) {
        if (net::same_ignoring_case(name, "Retry-After") ||
            net::same_ignoring_case(name, "Cache-Control")) {
            answer.headers.set(name, value);
        } else {
            answer.headers.add(std::move(name), std::move(value));
        }
    }
    if ((answer.status == 429 || answer.status == 503) && !answer.headers.contains("Retry-After")) {
        answer.headers.add("Retry-After", "1");
    }
    answer.body = std::move(response.body);
    const std::uint64_t bytes = answer.body.size();
    const int status = answer.status;
    exchange_->respond(std::move(answer));
    note(status, "", bytes);
}

void Incoming::refuse(const Error& error) {
    api::Response response = api::problem(error, request_id());
    const int wait = retry_after_seconds(error.code);
    if (error.retry_after_seconds == 0 && wait > 0 && admitted_.rate.allowed) {
        response.headers.emplace_back("Retry-After", std::to_string(wait));
    }
    respond(std::move(response));
}

void Incoming::start(int status, std::string_view content_type, net::Headers more) {
    if (answered_.exchange(true)) return;
    started_status_ = status;
    net::Headers headers = common_headers();
    headers.add("Content-Type", std::string{content_type});
    headers.add("Cache-Control", "no-store");
    for (const net::Header& header : more) headers.add(header.name, header.value);
    exchange_->start(status, std::move(headers));
}

void Incoming::finished(std::string_view outcome, std::uint64_t bytes) {
    note(outcome == "upgraded" ? 101 : started_status_, outcome, bytes);
}

void Incoming::note(int status, std::string_view outcome, std::uint64_t bytes) {
    if (noted_.exchange(true)) return;
    const Duration took = clock_.now() - arrived_;
    const auto status_class = static_cast<std::size_t>(status / 100);
    if (status_class < metrics_.http_responses.size()) metrics_.http_responses[status_class].add();
    metrics_.http_request_seconds.observe(took);
    if (status == 429) metrics_.http_rate_limited.add();
    if (status == 401) metrics_.http_unauthenticated.add();
    const bool failure = status >= 500 || status == 429 || outcome == "aborted";
    if (!(policy_.log_all || (failure && policy_.log_failures))) return;
    log::info("request", {{"request_id", request_id()},
                          {"method", request().method},
                          {"route", route},
                          {"status", status},
                          {"duration_us", took.us},
                          {"bytes", bytes},
                          {"address", address_},
                          {"account", admitted_.principal.account.value},
                          {"outcome", outcome}});
}

}  // namespace cocoon::server
