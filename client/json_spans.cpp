#include "client/json_spans.hpp"

#include <charconv>

#include "core/encoding.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::client {
namespace {

constexpr int depth_max = 64;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Every method leaves `at_` behind what it read, or says no and leaves it at the offending byte.
class Scanner {
public:
    explicit Scanner(std::string_view text) : text_{text} {}

    std::size_t position() const { return at_; }
    bool at_end() const { return at_ == text_.size(); }
    std::size_t data_urls = 0;
    std::size_t data_url_bytes = 0;

    void spaces() {
        while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    }

    bool take(char c) {
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }

    bool value(int depth) {
        if (at_ >= text_.size()) return false;
        switch (text_[at_]) {
            case '{': return object(depth, nullptr);
            case '[': return array(depth, nullptr);
            case '"': return string();
            case 't': return literal("true");
            case 'f': return literal("false");
            case 'n': return literal("null");
            default: return number();
        }
    }

    bool object(int depth, std::vector<JsonMember>* members) {
        if (depth >= depth_max || !take('{')) return false;
        spaces();
        if (take('}')) return true;
        for (;;) {
            const std::size_t name_at = at_;
            if (!string()) return false;
            const std::string_view name = text_.substr(name_at, at_ - name_at);
            spaces();
            if (!take(':')) return false;
            spaces();
            const std::size_t value_at = at_;
            if (!value(depth + 1)) return false;
            if (members) {
                auto decoded = json_text(name);
                if (!decoded) return false;
                members->push_back({*std::move(decoded), text_.substr(value_at, at_ - value_at)});
            }
            spaces();
            if (take('}')) return true;
            if (!take(',')) return false;
            spaces();
        }
    }

    bool array(int depth, std::vector<std::string_view>* elements) {
        if (depth >= depth_max || !take('[')) return false;
        spaces();
        if (take(']')) return true;
        for (;;) {
            const std::size_t value_at = at_;
            if (!value(depth + 1)) return false;
            if (elements) elements->push_back(text_.substr(value_at, at_ - value_at));
            spaces();
            if (take(']')) return true;
            if (!take(',')) return false;
            spaces();
        }
    }

private:
    bool string() {
        const std::size_t begin = at_;
        if (!take('"')) return false;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (static_cast<unsigned char>(c) < 0x20) return false;
            if (c == '"') {
                ++at_;
                if (text_.substr(begin + 1, 5) == "data:") {
                    ++data_urls;
                    data_url_bytes += at_ - begin;
                }
                return true;
            }
            if (c != '\\') {
                ++at_;
                continue;
            }
            if (!escape()) return false;
        }
        return false;
    }

    bool escape() {
        if (at_ + 1 >= text_.size()) return false;
        const char kind = text_[at_ + 1];
        if (kind == 'u') {
            for (std::size_t i = 2; i < 6; ++i)
                if (at_ + i >= text_.size() || !is_hex(text_[at_ + i])) return false;
            at_ += 6;
            return true;
        }
        if (std::string_view{"\"\\/bfnrt"}.find(kind) == std::string_view::npos) return false;
        at_ += 2;
        return true;
    }

    bool literal(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) return false;
        at_ += word.size();
        return true;
    }

    bool digits() {
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
        return at_ > begin;
    }

    bool number() {
        take('-');
        if (!take('0') && !digits()) return false;
        if (take('.') && !digits()) return false;
        if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
            ++at_;
            if (!take('+')) take('-');
            if (!digits()) return false;
        }
        return true;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

Result<JsonObjectText> JsonObjectText::read(std::string_view text) {
    if (!is_utf8(text)) return refuse(ErrorCode::malformed_request, "the body is not UTF-8");
    Scanner scanner{text};
    JsonObjectText object;
    scanner.spaces();
    const bool whole = scanner.object(0, &object.members_);
    if (whole) scanner.spaces();
    if (!whole || !scanner.at_end())
        return refuse(ErrorCode::malformed_request,
                      "the body is not a JSON object: byte " + std::to_string(scanner.position()));
    for (std::size_t i = 0; i < object.members_.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (object.members_[i].name == object.members_[j].name)
                return Error{ErrorCode::malformed_request,
                             "a field is there twice",
                             {{"/" + object.members_[i].name, "is there twice"}}};
    object.data_urls_ = scanner.data_urls;
    object.data_url_bytes_ = scanner.data_url_bytes;
    return object;
}

std::optional<std::string_view> JsonObjectText::find(std::string_view name) const {
    for (const JsonMember& member : members_)
        if (member.name == name)
            return member.value == "null" ? std::nullopt : std::optional{member.value};
    return std::nullopt;
}

std::vector<std::string_view> json_elements(std::string_view text) {
    std::vector<std::string_view> elements;
    Scanner scanner{text};
    if (!scanner.array(0, &elements)) elements.clear();
    return elements;
}

std::optional<std::string> json_text(std::string_view value) {
    if (value.size() < 2 || value.front() != '"') return std::nullopt;
    if (value.find('\\') == std::string_view::npos)
        return std::string{value.substr(1, value.size() - 2)};
    const auto parsed = sealing::Json::parse(value, {.bytes_max = value.size()});
    if (!parsed) return std::nullopt;  // a lone surrogate
    const auto text = parsed->text();
    return text ? std::optional{std::string{*text}} : std::nullopt;
}

std::optional<std::int64_t> json_integer(std::string_view value) {
    std::int64_t number = 0;
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (failure != std::errc{} || end != value.data() + value.size()) return std::nullopt;
    return number;
}

std::optional<bool> json_boolean(std::string_view value) {
    if (value == "true") return true;
    if (value == "false") return false;
    return std::nullopt;
}

std::string json_quote(std::string_view text) { return sealing::Json{text}.serialize(); }

std::string replaced(std::string_view document, std::string_view old, std::string_view by) {
    const auto at = static_cast<std::size_t>(old.data() - document.data());
    std::string result;
    result.reserve(document.size() - old.size() + by.size());
    result.append(document.substr(0, at)).append(by).append(document.substr(at + old.size()));
    return result;
}

std::string with_members(std::string_view document, std::string_view object,
                         std::string_view members) {
    std::size_t next = 1;
    while (next < object.size() && is_space(object[next])) ++next;
    std::string opening = "{" + std::string{members};
    if (next < object.size() && object[next] != '}') opening += ",";
    return replaced(document, object.substr(0, 1), opening);
}

}  // namespace cocoon::client
