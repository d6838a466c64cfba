#include "attestation/json.hpp"

#include <unordered_set>
#include <vector>

namespace cocoon::attestation {

Result<Json> parse_json(std::string_view text, std::size_t bytes_max) {
    const auto refused = [](const char* why) { return refuse(ErrorCode::malformed_request, why); };
    if (text.size() > bytes_max) return refused("the JSON document is too long");
    // The parser would take a zero byte for the end, and skip a byte order mark.
    if (text.find('\0') != std::string_view::npos || text.starts_with("\xEF\xBB\xBF"))
        return refused("not a JSON document");
    const char* fault = nullptr;
    std::vector<std::unordered_set<std::string>> open;  // names seen, one set an open object
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
        using Event = Json::parse_event_t;
        if (fault) return false;  // the rest is dropped as it is read
        const bool opens = event == Event::object_start || event == Event::array_start;
        if (opens && depth >= static_cast<int>(json_depth_max))
            fault = "the JSON document is nested too deep";
        if (event == Event::object_start) open.emplace_back();
        if (event == Event::object_end) open.pop_back();
        if (event == Event::key && !open.back().insert(value.get<std::string>()).second)
            fault = "the JSON document has a member twice";
        return fault == nullptr;
    };
    Json document = Json::parse(text, watch, false);
    if (fault) return refused(fault);
    if (document.is_discarded()) return refused("not a JSON document");
    return document;
}

const Json* member(const Json& object, std::string_view name) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
}

std::optional<std::string> text_at(const Json& object, std::string_view name) {
    const Json* found = member(object, name);
    return found && found->is_string() ? std::optional{found->get<std::string>()} : std::nullopt;
}

std::optional<std::int64_t> integer_at(const Json& object, std::string_view name) {
    const Json* found = member(object, name);
    if (!found || !found->is_number_integer()) return std::nullopt;
    if (found->is_number_unsigned() &&
        found->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
        return std::nullopt;
    return found->get<std::int64_t>();
}

const Json* array_at(const Json& object, std::string_view name) {
    const Json* found = member(object, name);
    return found && found->is_array() ? found : nullptr;
}

}  // namespace cocoon::attestation
