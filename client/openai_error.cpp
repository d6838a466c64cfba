#include "client/openai_error.hpp"

#include <array>

#include "client/json_spans.hpp"
#include "core/encoding.hpp"

namespace cocoon::client {
namespace {

constexpr std::string_view invalid_request = "invalid_request_error";
constexpr std::string_view server_error = "server_error";
constexpr std::string_view unavailable = "service_unavailable_error";

// Where the SDK should see something else than the list of refusals says. Codes of the sealed
// exchange are the sidecar's business and become a server error; 409 would make SDKs retry blindly.
constexpr std::array rows{
    OpenAiRow{ErrorCode::not_found, 404, invalid_request, "not_found", {}, 0},
    OpenAiRow{ErrorCode::unknown_market, 404, invalid_request, "model_not_found", {}, 0},
    OpenAiRow{ErrorCode::not_sealed, 502, server_error, "not_sealed", false, 0},
    OpenAiRow{ErrorCode::sealed_message_invalid, 502, server_error, "sealed_message_invalid", false,
              0},
    OpenAiRow{ErrorCode::receipt_invalid, 502, server_error, "receipt_invalid", false, 0},
    OpenAiRow{ErrorCode::wrong_state, 503, unavailable, "wrong_state", true, 1},
    OpenAiRow{ErrorCode::already_exists, 409, invalid_request, "already_exists", false, 0},
    OpenAiRow{ErrorCode::platform_in_use, 409, invalid_request, "platform_in_use", false, 0},
    OpenAiRow{ErrorCode::approval_required, 409, invalid_request, "approval_required", false, 0},
    OpenAiRow{ErrorCode::stale_fencing_token, 503, unavailable, "stale_fencing_token", true, 1},
    OpenAiRow{ErrorCode::job_rematched, 503, unavailable, "job_rematched", true, 1},
    OpenAiRow{ErrorCode::reservation_expired, 503, unavailable, "reservation_expired", true, 1},
    OpenAiRow{ErrorCode::limit_reached, 429, "rate_limit_error", "limit_reached", true, 1},
    OpenAiRow{ErrorCode::verdict_refused, 503, unavailable, "verdict_refused", false, 30},
    OpenAiRow{ErrorCode::idempotency_key_reused, 502, server_error, "idempotency_key_reused", false,
              0},
    OpenAiRow{ErrorCode::rate_limited, 429, "rate_limit_error", "rate_limit_exceeded", true, 1},
    OpenAiRow{ErrorCode::too_many_connections, 429, "rate_limit_error", "too_many_connections",
              true, 1},
    // The node may have worked and been paid: repeating is the caller's decision, not the SDK's.
    OpenAiRow{ErrorCode::upstream_failed, 502, server_error, "upstream_failed", false, 0},
    OpenAiRow{ErrorCode::stream_truncated, 502, server_error, "stream_truncated", false, 0},
    OpenAiRow{ErrorCode::deadline_exceeded, 504, server_error, "deadline_exceeded", false, 0},
    OpenAiRow{ErrorCode::no_eligible_offer, 503, unavailable, "no_eligible_offer", true, 2},
    OpenAiRow{ErrorCode::price_cap_too_low, 503, unavailable, "price_cap_too_low", false, 30},
    OpenAiRow{ErrorCode::node_unavailable, 503, unavailable, "node_unavailable", true, 1},
    OpenAiRow{ErrorCode::overloaded, 503, unavailable, "overloaded", true, 1},
    OpenAiRow{ErrorCode::commit_failed, 503, unavailable, "commit_failed", true, 1},
    OpenAiRow{ErrorCode::draining, 503, unavailable, "draining", true, 2},
};

std::string_view type_by_status(int status) {
    switch (status) {
        case 401: return "authentication_error";
        case 402: return "insufficient_funds_error";
        case 403: return "permission_error";
        case 429: return "rate_limit_error";
        case 503: return unavailable;
        default: return status >= 500 ? server_error : invalid_request;
    }
}

// OpenAI names a parameter without its pointer: "/model" is "model", "X-Cocoon-Tiers:" loses its
// colon.
std::string param_of(const Error& error) {
    if (error.fields.empty()) return {};
    std::string path = error.fields.front().path;
    if (path.starts_with('/')) path.erase(0, 1);
    if (path.ends_with(':')) path.pop_back();
    return path;
}

std::string message_of(const Failure& failure) {
    if (failure.error.code == ErrorCode::unknown_market && !failure.model.empty())
        return "The model `" + failure.model +
               "` does not exist on this market. GET /v1/models lists what does.";
    std::string message{describe(failure.error.code).title};
    if (!failure.error.detail.empty()) message += ": " + failure.error.detail;
    if (!failure.job.empty()) message += " (" + failure.job + ")";
    return message;
}

}  // namespace

OpenAiRow openai_row(ErrorCode code) {
    for (const OpenAiRow& row : rows)
        if (row.code == code) return row;
    const ErrorInfo& info = describe(code);
    return {code, info.status, type_by_status(info.status), info.name, {}, 0};
}

std::string error_json(const Failure& failure) {
    const OpenAiRow row = openai_row(failure.error.code);
    std::string param =
        failure.error.code == ErrorCode::unknown_market ? "model" : param_of(failure.error);
    std::string message = message_of(failure);
    if (!is_utf8(message)) message = describe(failure.error.code).title;
    if (!is_utf8(param)) param.clear();
    return "{\"error\":{\"message\":" + json_quote(message) + ",\"type\":\"" +
           std::string{row.type} + "\",\"param\":" + (param.empty() ? "null" : json_quote(param)) +
           ",\"code\":\"" + std::string{row.name} + "\"}}";
}

net::Response error_response(const Failure& failure) {
    const OpenAiRow row = openai_row(failure.error.code);
    net::Response response;
    response.status = row.status;
    response.headers.set("Content-Type", "application/json");
    if (row.should_retry)
        response.headers.set("x-should-retry", *row.should_retry ? "true" : "false");
    const std::int64_t wait =
        failure.retry_after_seconds > 0 ? failure.retry_after_seconds : row.retry_after_seconds;
    if (wait > 0 && (row.status == 429 || row.status == 503))
        response.headers.set("Retry-After", std::to_string(wait));
    if (!failure.job.empty()) response.headers.set("X-Cocoon-Job", failure.job);
    response.body = error_json(failure);
    return response;
}

}  // namespace cocoon::client
