// Refusals as an OpenAI SDK understands them: {"error": {message, type, param, code}}, the status
// that picks the right error class, Retry-After, and x-should-retry so that the SDK retries exactly
// where it can help and costs nothing twice. Called by proxy.cpp and call.cpp; pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "net/http.hpp"

namespace cocoon::client {

// Why a call failed, with what the caller may want to know beside it.
struct Failure {
    Error error;
    std::int64_t retry_after_seconds = 0;  // 0: the table's own, if any
    std::string model;                     // named in "model not found"
    std::string job;                       // "job_9" once there is one
};

// How the SDK sees a code.
struct OpenAiRow {
    ErrorCode code;
    int status;
    std::string_view type;
    std::string_view name;             // `code` on the wire
    std::optional<bool> should_retry;  // x-should-retry; nothing: the SDK's own judgement by status
    std::int64_t retry_after_seconds;  // 0: none
};
OpenAiRow openai_row(ErrorCode code);

// The error object alone (for an event in a stream begun) and the whole answer.
std::string error_json(const Failure& failure);
net::Response error_response(const Failure& failure);

}  // namespace cocoon::client
