// Reads the JSON that evidence and collateral carry: strict, bounded, no member twice. Only the
// codec files of this folder include it (nlohmann is heavy), on any thread. Must not know any
// document.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace cocoon::attestation {

using Json = nlohmann::json;

constexpr std::size_t json_depth_max = 16;

// One document; `malformed_request` if it is longer than `bytes_max`, nested too deep, has a member
// twice (the next reader may take the other one) or is not JSON (RFC 8259, UTF-8).
Result<Json> parse_json(std::string_view text, std::size_t bytes_max);

// Members of an object: nothing if `object` is none, has no such member or it is of another type.
const Json* member(const Json& object, std::string_view name);
std::optional<std::string> text_at(const Json& object, std::string_view name);
std::optional<std::int64_t> integer_at(const Json& object, std::string_view name);
const Json* array_at(const Json& object, std::string_view name);

}  // namespace cocoon::attestation
