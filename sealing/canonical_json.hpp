// JSON as a plain value, read strictly and written canonically (RFC 8785, JCS). Called by keyset,
// statement and receipt here, and by node and client for documents they read and build.
// Reading refuses (`malformed_request`): duplicate names, invalid UTF-8, lone surrogates, numbers
// beyond a double, a byte order mark, anything after the value; and (`body_too_large`) size, depth
// and count limits. Values are one thread's. Knows no schema; nlohmann stays in the .cpp.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/ensure.hpp"
#include "core/result.hpp"

namespace cocoon::sealing {

struct JsonLimits {
    std::size_t bytes_max = 1 << 20;
    std::size_t depth_max = 64;
    std::size_t values_max = 100'000;
};

class Json {
public:
    enum class Kind { null, boolean, number, string, array, object };
    using Array = std::vector<Json>;
    using Member = std::pair<std::string, Json>;
    using Object = std::vector<Member>;  // in the order read or set; names are unique

    Json() = default;
    Json(std::nullptr_t) {}
    Json(bool flag) : content_{flag} {}
    // Beyond +-(2^53 - 1) a JSON number is not exact for every reader: send such values as strings.
    template <class Integer>
    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>) Json(Integer number)
        : content_{whole(static_cast<std::int64_t>(number))} {
        ENSURE(std::in_range<std::int64_t>(number));
    }
    Json(std::string text) : content_{std::move(text)} {}
    Json(std::string_view text) : content_{std::string{text}} {}
    Json(const char* text) : content_{std::string{text}} {}
    static Json array(Array items = {});
    // REQUIRES: names are unique (later ones replace earlier ones).
    static Json object(std::initializer_list<Member> members = {});

    // The document in `text`, or why not.
    static Result<Json> parse(std::string_view text, const JsonLimits& limits = {});

    Kind kind() const { return static_cast<Kind>(content_.index()); }
    bool is_null() const { return kind() == Kind::null; }
    bool is_object() const { return kind() == Kind::object; }
    bool is_array() const { return kind() == Kind::array; }

    // The value as that kind, or nothing.
    std::optional<bool> boolean() const;
    std::optional<std::string_view> text() const;
    // A whole number within +-(2^53 - 1) however spelled, or any plain integer that fits 64 bits.
    std::optional<std::int64_t> integer() const;
    std::optional<double> number() const;  // never for money
    // The elements or members; empty for every other kind.
    const Array& items() const;
    const Object& members() const;

    // The member of that name, or nullptr (also when this is no object).
    const Json* find(std::string_view name) const;
    Json* find(std::string_view name);
    // find() and its kind in one step: the member's text, integer, flag.
    std::optional<std::string_view> text_at(std::string_view name) const;
    std::optional<std::int64_t> integer_at(std::string_view name) const;
    std::optional<bool> boolean_at(std::string_view name) const;

    // REQUIRES: an object (or null, which becomes one). Adds or replaces.
    Json& set(std::string name, Json value);
    // Whether there was such a member.
    bool erase(std::string_view name);
    // REQUIRES: an array (or null, which becomes one).
    Json& push(Json value);

    // RFC 8785: members by UTF-16 code units, ECMAScript numbers, no white space.
    // REQUIRES: all strings are UTF-8 (parse() guarantees it; values from elsewhere: is_utf8).
    std::string canonical() const;
    // Compact, but members in their order and numbers as they were spelled: for documents that are
    // passed on.
    std::string serialize() const;

    // Equal as documents: member order and number spelling do not matter.
    bool operator==(const Json& other) const;

private:
    struct Number {
        double value = 0;
        std::string spelling;
    };
    static Number whole(std::int64_t number);
    void write(std::string& out, bool canonical_form) const;
    void write_members(std::string& out, bool canonical_form) const;
    friend class JsonReader;
    std::variant<std::monostate, bool, Number, std::string, Array, Object> content_;
};

// ECMAScript's Number::toString for a finite value (RFC 8785 §3.2.2.3).
std::string ecmascript_number(double value);

}  // namespace cocoon::sealing
