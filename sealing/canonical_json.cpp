// The only file of this folder that includes nlohmann: its SAX reader does the lexing (UTF-8,
// escapes, surrogates), and everything it would let pass is refused here.
#include "sealing/canonical_json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "core/encoding.hpp"

namespace cocoon::sealing {
namespace {

constexpr double exact_integer_max = 9007199254740991.0;  // 2^53 - 1
constexpr std::size_t names_compared_linearly = 16;

void append_string(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += '"';
    std::size_t plain = 0;  // where the run that needs no escape began
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
        out += text.substr(plain, at - plain);
        plain = at + 1;
        switch (byte) {
            case '"': out += "\\\""; break;
            case '\\': out += "\\\\"; break;
            case '\b': out += "\\b"; break;
            case '\f': out += "\\f"; break;
            case '\n': out += "\\n"; break;
            case '\r': out += "\\r"; break;
            case '\t': out += "\\t"; break;
            default:
                out += "\\u00";
                out += digits[byte >> 4];
                out += digits[byte & 15];
        }
    }
    out += text.substr(plain);
    out += '"';
}

// RFC 8785 §3.2.3: by UTF-16 code units. UTF-8's bytes sort as code points do, and those differ
// from code units only where one side is beyond the basic plane (lead byte F0 or more): its first
// unit is a surrogate, D800..DFFF, below U+E000..U+FFFF (lead bytes EE and EF). REQUIRES: UTF-8.
bool utf16_less(std::string_view a, std::string_view b) {
    const auto [at_a, at_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (at_a == a.end() || at_b == b.end()) return at_b != b.end();
    const auto byte_a = static_cast<unsigned char>(*at_a);
    const auto byte_b = static_cast<unsigned char>(*at_b);
    if (byte_a >= 0xEE && byte_b >= 0xEE && (byte_a >= 0xF0) != (byte_b >= 0xF0))
        return byte_a >= 0xF0;
    return byte_a < byte_b;
}

}  // namespace

std::string ecmascript_number(double value) {
    ENSURE(std::isfinite(value));
    if (value == 0) return "0";  // also -0
    char buffer[64];
    // to_chars gives the fewest digits that read back the same, which is what ECMAScript asks for.
    const auto [end, failure] = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(value),
                                              std::chars_format::scientific);
    ENSURE(failure == std::errc{});
    const std::string_view text{buffer, static_cast<std::size_t>(end - buffer)};
    const std::size_t mark = text.find('e');
    int exponent = 0;
    const char* digits_of_exponent = text.data() + mark + (text[mark + 1] == '+' ? 2 : 1);
    std::from_chars(digits_of_exponent, end, exponent);
    std::string digits;
    for (const char character : text.substr(0, mark))
        if (character != '.') digits += character;

    const int count = static_cast<int>(digits.size());
    const int point = exponent + 1;  // ECMAScript's n: value = 0.digits * 10^n
    std::string out = value < 0 ? "-" : "";
    if (count <= point && point <= 21) {
        out += digits + std::string(static_cast<std::size_t>(point - count), '0');
    } else if (0 < point && point <= 21) {
        const auto split = static_cast<std::size_t>(point);
        out += digits.substr(0, split) + "." + digits.substr(split);
    } else if (-6 < point && point <= 0) {
        out += "0." + std::string(static_cast<std::size_t>(-point), '0') + digits;
    } else {
        out += digits[0];
        if (count > 1) out += "." + digits.substr(1);
        out += exponent < 0 ? "e-" : "e+";
        out += std::to_string(std::abs(exponent));
    }
    return out;
}

// Builds the value from SAX events and refuses what RFC 8259 leaves open.
class JsonReader {
public:
    explicit JsonReader(const JsonLimits& limits) : limits_{limits} {}

    bool null() { return put(Json{}); }
    bool boolean(bool flag) { return put(Json{flag}); }
    bool number_integer(std::int64_t value) {
        return put_number(static_cast<double>(value), std::to_string(value));
    }
    bool number_unsigned(std::uint64_t value) {
        return put_number(static_cast<double>(value), std::to_string(value));
    }
    bool number_float(double value, const std::string& spelling) {
        return put_number(value, spelling);
    }
    bool string(std::string& text) { return put(Json{std::move(text)}); }
    bool binary(nlohmann::json::binary_t&) {
        return refuse_with(ErrorCode::malformed_request, "not JSON");
    }

    bool start_object(std::size_t) { return open(Json::object()); }
    bool start_array(std::size_t) { return open(Json::array()); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool key(std::string& name) {
        Level& level = levels_.back();
        const Json::Object& members = std::get<Json::Object>(level.value.content_);
        if (members.size() == names_compared_linearly)
            for (const Json::Member& member : members) level.names.insert(member.first);
        const bool known = members.size() < names_compared_linearly
                               ? level.value.find(name) != nullptr
                               : !level.names.insert(name).second;
        if (known)
            return refuse_with(ErrorCode::malformed_request, "a name occurs twice in one object");
        level.name = std::move(name);
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
        // The parser's own message quotes the document, which may be secret.
        return refuse_with(ErrorCode::malformed_request,
                           "not JSON at byte " + std::to_string(position));
    }

    Error error() const { return error_; }
    Json take() { return std::move(root_); }

private:
    struct Level {
        Json value;
        std::string name;                       // of the member being read
        std::unordered_set<std::string> names;  // only for objects with many members
    };

    bool refuse_with(ErrorCode code, std::string why) {
        error_ = refuse(code, std::move(why));
        return false;
    }
    bool count_value() {
        if (++values_ > limits_.values_max)
            return refuse_with(ErrorCode::body_too_large, "the document has too many values");
        return true;
    }
    bool put_number(double value, std::string spelling) {
        if (!std::isfinite(value))
            return refuse_with(ErrorCode::malformed_request, "a number is out of range");
        Json made;
        made.content_ = Json::Number{value, std::move(spelling)};
        return put(std::move(made));
    }
    bool put(Json value) { return count_value() && place(std::move(value)); }
    bool open(Json value) {
        if (!count_value()) return false;
        if (levels_.size() >= limits_.depth_max)
            return refuse_with(ErrorCode::body_too_large, "the document is nested too deep");
        levels_.push_back({std::move(value), {}, {}});
        return true;
    }
    bool close() {
        Json done = std::move(levels_.back().value);
        levels_.pop_back();
        return place(std::move(done));
    }
    bool place(Json value) {
        if (levels_.empty()) {
            root_ = std::move(value);
            return true;
        }
        Level& level = levels_.back();
        if (level.value.is_array())
            std::get<Json::Array>(level.value.content_).push_back(std::move(value));
        else
            std::get<Json::Object>(level.value.content_)
                .emplace_back(std::move(level.name), std::move(value));
        return true;
    }

    JsonLimits limits_;
    std::vector<Level> levels_;
    Json root_;
    std::size_t values_ = 0;
    Error error_{ErrorCode::malformed_request, "not JSON", {}};
};

Result<Json> Json::parse(std::string_view text, const JsonLimits& limits) {
    if (text.size() > limits.bytes_max)
        return refuse(ErrorCode::body_too_large, "the document is over its size limit");
    if (text.starts_with("\xEF\xBB\xBF"))
        return refuse(ErrorCode::malformed_request, "a JSON document has no byte order mark");
    // nlohmann's lexer takes a zero byte for the end of the text and would not look behind it.
    if (text.find('\0') != std::string_view::npos)
        return refuse(ErrorCode::malformed_request, "a JSON document holds no zero byte");
    JsonReader reader{limits};
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), &reader)) return reader.error();
    return reader.take();
}

Json::Number Json::whole(std::int64_t number) {
    return {static_cast<double>(number), std::to_string(number)};
}

Json Json::array(Array items) {
    Json made;
    made.content_ = std::move(items);
    return made;
}

Json Json::object(std::initializer_list<Member> members) {
    Json made;
    made.content_ = Object{};
    for (const Member& member : members) made.set(member.first, member.second);
    return made;
}

std::optional<bool> Json::boolean() const {
    if (const bool* flag = std::get_if<bool>(&content_)) return *flag;
    return std::nullopt;
}

std::optional<std::string_view> Json::text() const {
    if (const std::string* found = std::get_if<std::string>(&content_))
        return std::string_view{*found};
    return std::nullopt;
}

std::optional<std::int64_t> Json::integer() const {
    const Number* found = std::get_if<Number>(&content_);
    if (!found) return std::nullopt;
    const std::string& spelling = found->spelling;
    std::int64_t exact = 0;
    const char* end = spelling.data() + spelling.size();
    const auto [read, failure] = std::from_chars(spelling.data(), end, exact);
    if (failure == std::errc{} && read == end) return exact;
    if (std::fabs(found->value) > exact_integer_max || std::trunc(found->value) != found->value)
        return std::nullopt;
    return static_cast<std::int64_t>(found->value);
}

std::optional<double> Json::number() const {
    if (const Number* found = std::get_if<Number>(&content_)) return found->value;
    return std::nullopt;
}

const Json::Array& Json::items() const {
    static const Array none;
    const Array* found = std::get_if<Array>(&content_);
    return found ? *found : none;
}

const Json::Object& Json::members() const {
    static const Object none;
    const Object* found = std::get_if<Object>(&content_);
    return found ? *found : none;
}

const Json* Json::find(std::string_view name) const {
    for (const Member& member : members())
        if (member.first == name) return &member.second;
    return nullptr;
}

Json* Json::find(std::string_view name) {
    return const_cast<Json*>(std::as_const(*this).find(name));
}

std::optional<std::string_view> Json::text_at(std::string_view name) const {
    const Json* found = find(name);
    return found ? found->text() : std::nullopt;
}

std::optional<std::int64_t> Json::integer_at(std::string_view name) const {
    const Json* found = find(name);
    return found ? found->integer() : std::nullopt;
}

std::optional<bool> Json::boolean_at(std::string_view name) const {
    const Json* found = find(name);
    return found ? found->boolean() : std::nullopt;
}

Json& Json::set(std::string name, Json value) {
    if (is_null()) content_ = Object{};
    ENSURE(is_object());
    if (Json* found = find(name))
        *found = std::move(value);
    else
        std::get<Object>(content_).emplace_back(std::move(name), std::move(value));
    return *this;
}

bool Json::erase(std::string_view name) {
    Object* members_found = std::get_if<Object>(&content_);
    return members_found && std::erase_if(*members_found, [&](const Member& member) {
                                return member.first == name;
                            }) > 0;
}

Json& Json::push(Json value) {
    if (is_null()) content_ = Array{};
    ENSURE(is_array());
    std::get<Array>(content_).push_back(std::move(value));
    return *this;
}

void Json::write(std::string& out, bool canonical_form) const {
    switch (kind()) {
        case Kind::null: out += "null"; break;
        case Kind::boolean: out += std::get<bool>(content_) ? "true" : "false"; break;
        case Kind::number: {
            const Number& number_found = std::get<Number>(content_);
            out += canonical_form ? ecmascript_number(number_found.value) : number_found.spelling;
            break;
        }
        case Kind::string: append_string(out, std::get<std::string>(content_)); break;
        case Kind::array: {
            out += '[';
            for (const Json& item : items()) {
                if (&item != &items().front()) out += ',';
                item.write(out, canonical_form);
            }
            out += ']';
            break;
        }
        case Kind::object: write_members(out, canonical_form); break;
    }
}

void Json::write_members(std::string& out, bool canonical_form) const {
    out += '{';
    bool first = true;
    const auto put = [&](const Member& member) {
        if (!std::exchange(first, false)) out += ',';
        append_string(out, member.first);
        out += ':';
        member.second.write(out, canonical_form);
    };
    const auto before = [](const Member& a, const Member& b) {
        return utf16_less(a.first, b.first);
    };
    const Object& all = members();
    if (!canonical_form || std::is_sorted(all.begin(), all.end(), before)) {
        for (const Member& member : all) put(member);
    } else {
        std::vector<const Member*> order;
        order.reserve(all.size());
        for (const Member& member : all) order.push_back(&member);
        std::sort(order.begin(), order.end(),
                  [&](const Member* a, const Member* b) { return before(*a, *b); });
        for (const Member* member : order) put(*member);
    }
    out += '}';
}

std::string Json::canonical() const {
    std::string out;
    write(out, true);
    return out;
}

std::string Json::serialize() const {
    std::string out;
    write(out, false);
    return out;
}

bool Json::operator==(const Json& other) const {
    if (kind() != other.kind()) return false;
    switch (kind()) {
        case Kind::null: return true;
        case Kind::boolean: return std::get<bool>(content_) == std::get<bool>(other.content_);
        case Kind::number:
            return std::get<Number>(content_).value == std::get<Number>(other.content_).value;
        case Kind::string:
            return std::get<std::string>(content_) == std::get<std::string>(other.content_);
        case Kind::array: return items() == other.items();
        case Kind::object: break;
    }
    const Object& ours = members();
    const Object& theirs = other.members();
    if (ours.size() != theirs.size()) return false;
    for (std::size_t i = 0; i < ours.size(); ++i) {  // mostly in the same order
        const auto& [name, value] = ours[i];
        const Json* found = theirs[i].first == name ? &theirs[i].second : other.find(name);
        if (!found || !(value == *found)) return false;
    }
    return true;
}

}  // namespace cocoon::sealing
