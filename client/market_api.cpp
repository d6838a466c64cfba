#include "client/market_api.hpp"

#include "sealing/signing.hpp"

namespace cocoon::client {

using sealing::Json;

namespace {

constexpr std::size_t answer_bytes_max = 8u << 20;

net::HttpClientOptions http_options(const Config& config) {
    net::HttpClientOptions options;
    options.total_timeout = seconds(config.calls.total_seconds_max);
    options.ca_file = config.ca_file;
    options.user_agent = "cocoon-client/0.1";
    options.idle_connections_max = static_cast<std::size_t>(config.calls.concurrent_max);
    return options;
}

ErrorCode code_by_status(int status) {
    switch (status) {
        case 400: return ErrorCode::malformed_request;
        case 401: return ErrorCode::unauthenticated;
        case 402: return ErrorCode::insufficient_funds;
        case 403: return ErrorCode::forbidden;
        case 404: return ErrorCode::not_found;
        case 409: return ErrorCode::wrong_state;
        case 410: return ErrorCode::reservation_expired;
        case 413: return ErrorCode::body_too_large;
        case 422: return ErrorCode::invalid_body;
        case 429: return ErrorCode::rate_limited;
        case 503: return ErrorCode::overloaded;
        case 504: return ErrorCode::deadline_exceeded;
        default: return ErrorCode::upstream_failed;
    }
}

std::string words(std::string_view name) {
    std::string text{name};
    for (char& c : text)
        if (c == '_') c = ' ';
    return text;
}

// A relaxation in words: "raise the price cap to 0.5 TON (3 offers)".
std::string relaxation_text(const Json& relaxation, std::string_view coin) {
    const std::string_view constraint = relaxation.text_at("constraint").value_or("");
    const std::string_view suggestion = relaxation.text_at("suggestion").value_or("");
    const auto offers = relaxation.integer_at("offers").value_or(0);
    const auto cost = Nano::parse(relaxation.text_at("cost_nano").value_or(""));
    std::string text = words(constraint);
    if (!suggestion.empty()) text += " " + std::string{suggestion};
    text += " (" + std::to_string(offers) + (offers == 1 ? " offer" : " offers");
    if (cost) text += ", holding " + coins_text(*cost) + " " + std::string{coin};
    return text + ")";
}

}  // namespace

Problem problem_of(int status, const net::Headers& headers, std::string_view body) {
    Problem problem;
    problem.status = status;
    problem.error.code = code_by_status(status);
    if (const auto wait = Nano::parse(headers.get("Retry-After"));
        wait && wait->value >= 0 && wait->value <= 86'400)
        problem.retry_after_seconds = wait->value;
    auto document = Json::parse(body, {.bytes_max = 1 << 20});
    if (!document || !document->is_object()) {
        problem.error.detail = "the market answered " + std::to_string(status);
        return problem;
    }
    problem.document = *std::move(document);
    if (const ErrorInfo* info = find_error(problem.document.text_at("code").value_or("")))
        problem.error.code = info->code;
    problem.error.detail = problem.document.text_at("detail").value_or("");
    if (const Json* errors = problem.document.find("errors"))
        for (const Json& item : errors->items())
            problem.error.fields.push_back({std::string{item.text_at("path").value_or("")},
                                            std::string{item.text_at("message").value_or("")}});
    return problem;
}

std::string explanation_text(const Json& document, std::string_view coin) {
    const Json* explanation = document.find("explanation");
    if (!explanation || !explanation->is_object()) return {};
    std::string text;
    if (const auto seen = explanation->integer_at("offers_seen"))
        text = std::to_string(*seen) + (*seen == 1 ? " offer" : " offers") + " seen";
    if (const Json* removed = explanation->find("removed")) {
        for (const Json& item : removed->items())
            text += ", " + std::to_string(item.integer_at("offers").value_or(0)) + " removed by " +
                    words(item.text_at("constraint").value_or("?"));
    }
    if (const Json* relaxations = explanation->find("relaxations");
        relaxations && !relaxations->items().empty())
        text += "; nearest: " + relaxation_text(relaxations->items().front(), coin);
    return text;
}

MarketApi::MarketApi(const Config& config) : config_{config}, http_{http_options(config)} {}

ApiAnswer MarketApi::call(const ApiCall& call, net::CancelToken* cancel) {
    net::ClientRequest request;
    request.method = call.method;
    request.url = url(call.path);
    request.total_timeout = seconds(30 + call.wait_seconds);
    request.response_bytes_max = answer_bytes_max;
    request.headers.add("Accept", "application/json");
    if (call.authenticated && !config_.api_key.empty())
        request.headers.add("Authorization", "Bearer " + config_.api_key);
    if (!call.request_id.empty()) request.headers.add("X-Request-Id", call.request_id);
    if (!call.idempotency_key.empty()) request.headers.add("Idempotency-Key", call.idempotency_key);
    if (call.wait_seconds > 0)
        request.headers.add("Prefer", "wait=" + std::to_string(call.wait_seconds));
    if (call.body) {
        request.headers.add("Content-Type", "application/json");
        request.body = call.body->serialize();
    }
    ApiAnswer answer;
    auto response = http_.send(request, cancel);
    if (!response) {
        answer.problem = Problem{response.error(), 0, 0, {}};
        return answer;
    }
    answer.status = response->status;
    answer.headers = std::move(response->headers);
    if (answer.status < 200 || answer.status >= 300) {
        answer.problem = problem_of(answer.status, answer.headers, response->body);
        return answer;
    }
    if (response->body.empty()) return answer;
    auto body =
        Json::parse(response->body, {.bytes_max = answer_bytes_max, .values_max = 1'000'000});
    if (!body)
        answer.problem =
            Problem{refuse(ErrorCode::upstream_failed, "the market's answer is not JSON"),
                    answer.status,
                    0,
                    {}};
    else
        answer.body = *std::move(body);
    return answer;
}

void MarketApi::cancel_job(JobId job) {
    const ApiCall cancel{.method = "DELETE",
                         .path = "/v1/jobs/" + job.text(),
                         .body = {},
                         .idempotency_key = {},
                         .wait_seconds = 0,
                         .authenticated = true,
                         .request_id = {}};
    const ApiAnswer answer = call(cancel);
    log::debug("job_cancelled", {{"job", job.text()}, {"status", answer.status}});
}

std::string random_key() { return to_base64url(sealing::random_bytes(16)); }

Failure failure_of(const Problem& problem, std::string_view model, std::string_view coin) {
    Failure failure{problem.error, problem.retry_after_seconds, std::string{model}, {}};
    // Without an answer the market itself is what could not be reached.
    if (problem.status == 0 && failure.error.code == ErrorCode::node_unavailable)
        failure.error.detail = "the market cannot be reached";
    if (const std::string explanation = explanation_text(problem.document, coin);
        !explanation.empty())
        failure.error.detail += (failure.error.detail.empty() ? "" : "; ") + explanation;
    return failure;
}

}  // namespace cocoon::client
