// Finds where members stand inside JSON text, so that a body can be read, or one member changed,
// while every other byte stays as the caller wrote it. Validates strictly on the way (RFC 8259:
// grammar, UTF-8, unique names at the level asked for, depth). Called for each request and for each
// streamed event that carries usage; pure, one pass, no copies. For documents as values use
// sealing::Json.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace cocoon::client {

struct JsonMember {
    std::string name;        // decoded
    std::string_view value;  // its text, without white space around it
};

// The members of one object. Views point into the text that was read.
class JsonObjectText {
public:
    // Refuses with `malformed_request` and the byte where it went wrong.
    static Result<JsonObjectText> read(std::string_view text);

    const std::vector<JsonMember>& members() const { return members_; }
    // The value's text, or nothing when absent or null.
    std::optional<std::string_view> find(std::string_view name) const;
    // Strings anywhere inside that begin with "data:" (inline images, sound) and their bytes.
    std::size_t data_urls() const { return data_urls_; }
    std::size_t data_url_bytes() const { return data_url_bytes_; }

private:
    std::vector<JsonMember> members_;
    std::size_t data_urls_ = 0;
    std::size_t data_url_bytes_ = 0;
};

// The elements of an array's text. REQUIRES: `text` is a value found by JsonObjectText.
std::vector<std::string_view> json_elements(std::string_view text);

// The value's text as that kind, or nothing. REQUIRES: as above.
std::optional<std::string> json_text(std::string_view value);
std::optional<std::int64_t> json_integer(std::string_view value);
std::optional<bool> json_boolean(std::string_view value);
inline bool json_is_object(std::string_view value) { return value.starts_with('{'); }
inline bool json_is_array(std::string_view value) { return value.starts_with('['); }

// A JSON string of `text`, quotes included. REQUIRES: is_utf8(text).
std::string json_quote(std::string_view text);

// `document` with the part `old` (a view into it) replaced.
std::string replaced(std::string_view document, std::string_view old, std::string_view by);
// `document` with `members` ("\"a\":1") put first into `object` (a view into it).
std::string with_members(std::string_view document, std::string_view object,
                         std::string_view members);

}  // namespace cocoon::client
