#include "core/error.hpp"

#include <array>

namespace cocoon {
namespace {

constexpr std::array rows{
#define COCOON_REFUSAL(name, status, retryable, title) \
    ErrorInfo{ErrorCode::name, #name, status, retryable, title},
#include "core/refusals.inc"
#undef COCOON_REFUSAL
};

}  // namespace

const ErrorInfo& describe(ErrorCode code) { return rows[static_cast<std::size_t>(code)]; }

std::span<const ErrorInfo> all_errors() { return rows; }

const ErrorInfo* find_error(std::string_view name) {
    for (const ErrorInfo& row : rows)
        if (row.name == name) return &row;
    return nullptr;
}

Error refuse(ErrorCode code, std::string detail) { return Error{code, std::move(detail), {}}; }

}  // namespace cocoon
