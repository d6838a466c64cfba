// The one list of refusals. A refusal has a stable code (its wire name never changes), an HTTP
// status, a human title, and says whether the same call can succeed later without being changed.
// Handlers, the engine, the sealed exchange and both command-line programs all use this list.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cocoon {

enum class ErrorCode {
#define COCOON_REFUSAL(name, status, retryable, title) name,
#include "core/refusals.inc"
#undef COCOON_REFUSAL
};

struct ErrorInfo {
    ErrorCode code;
    std::string_view name;   // wire name, snake_case, stable
    int status;              // HTTP status of the answer that carries it
    bool retryable;          // the same call may succeed later, unchanged
    std::string_view title;  // one short sentence for people
};

// One field of a body, query or header that was refused. `path` is a JSON pointer
// ("/price/prompt"), or "?name" for a query parameter and "Name:" for a header.
struct FieldError {
    std::string path;
    std::string message;

    bool operator==(const FieldError&) const = default;
};

struct Error {
    ErrorCode code;
    std::string detail;              // for people; never holds a secret or a job's content
    std::vector<FieldError> fields;  // every field at once, only for `invalid_body` and its kin
    // When the same call may succeed, if that is known: the answer's Retry-After. 0: not known.
    std::int64_t retry_after_seconds = 0;

    bool operator==(const Error&) const = default;
};

// The row of the list for `code`.
const ErrorInfo& describe(ErrorCode code);
// All rows in the order of the list.
std::span<const ErrorInfo> all_errors();
// The row with this wire name, or nullptr.
const ErrorInfo* find_error(std::string_view name);

// Error{code, detail} without the braces' noise at call sites.
Error refuse(ErrorCode code, std::string detail = {});

}  // namespace cocoon
