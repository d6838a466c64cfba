#include "api/field_reader.hpp"

#include <nlohmann/json.hpp>

#include "api/json_writer.hpp"
#include "core/encoding.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::api {
namespace {

constexpr std::uint32_t none = UINT32_MAX;
// every JSON reader keeps it exact
constexpr std::int64_t exact_integer_max = 9'007'199'254'740'991;

enum class Shape : std::uint8_t {
    null,
    boolean,
    integer,
    big_integer,
    fraction,
    text,
    array,
    object
};

// One value of the body. Texts live in the document's arena, so a body costs few allocations.
struct Value {
    Shape shape = Shape::null;
    bool seen = false;       // a reader asked for it
    bool opened = false;     // an object whose members are being read
    bool duplicate = false;  // the name occurred before in its object
    std::uint32_t name_at = 0, name_size = 0;
    std::uint32_t text_at = 0, text_size = 0;
    std::int64_t number = 0;  // also the flag
    std::uint32_t parent = none, first = none, last = none, next = none;
    std::uint32_t count = 0, place = 0;  // children; index in the parent
};

void note(std::vector<FieldError>& errors, std::string path, std::string message) {
    if (errors.size() < field_errors_max) errors.push_back({std::move(path), std::move(message)});
}

void append_pointer(std::string& path, std::string_view name) {
    path += '/';
    for (const char c : name) {
        if (c == '~')
            path += "~0";
        else if (c == '/')
            path += "~1";
        else
            path += c;
    }
}

std::string bounds_message(std::int64_t min, std::int64_t max) {
    return "must be from " + std::to_string(min) + " to " + std::to_string(max);
}

// Why `text` does not follow `rule`, or nothing.
std::optional<std::string> text_fault(std::string_view text, const TextRule& rule) {
    if (text.size() < rule.bytes_min)
        return text.empty() ? "must not be empty"
                            : "must have at least " + std::to_string(rule.bytes_min) + " bytes";
    if (text.size() > rule.bytes_max)
        return "must have at most " + std::to_string(rule.bytes_max) + " bytes";
    if (!rule.any_character && !is_printable(text)) return "must not contain control characters";
    if (rule.allowed && !rule.allowed(text)) return "must be " + std::string{rule.expected};
    return std::nullopt;
}

std::string one_of(std::span<const std::string_view> names) {
    std::string message = "must be one of";
    for (std::size_t i = 0; i < names.size(); ++i)
        message.append(i == 0 ? " " : ", ").append(names[i]);
    return message;
}

std::optional<std::size_t> index_of(std::span<const std::string_view> names,
                                    std::string_view text) {
    for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i] == text) return i;
    return std::nullopt;
}

}  // namespace

struct ObjectReader::Document {
    std::vector<Value> values;
    std::string arena;
    std::vector<FieldError> errors;
    std::string malformed;  // why the body is no JSON object; empty: it is one

    std::string_view name(const Value& value) const {
        return std::string_view{arena}.substr(value.name_at, value.name_size);
    }
    std::string_view text(const Value& value) const {
        return std::string_view{arena}.substr(value.text_at, value.text_size);
    }
    std::string path(std::uint32_t at) const {
        const Value& value = values[at];
        if (value.parent == none) return {};
        std::string path = this->path(value.parent);
        if (values[value.parent].shape == Shape::array)
            path += '/' + std::to_string(value.place);
        else
            append_pointer(path, name(value));
        return path;
    }
    std::uint32_t find(std::uint32_t object, std::string_view wanted) const {
        for (std::uint32_t at = values[object].first; at != none; at = values[at].next)
            if (name(values[at]) == wanted) return at;
        return none;
    }
    void refuse(std::uint32_t at, std::string message) {
        note(errors, path(at), std::move(message));
    }
    void note_unread(std::uint32_t at);
};

namespace {

// nlohmann's tokens into the flat document. Returns false to stop at a limit.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
public:
    Builder(std::vector<Value>& values, std::string& arena, std::string& fault)
        : values_{values}, arena_{arena}, fault_{fault} {}

    bool null() override { return add(Shape::null); }
    bool boolean(bool flag) override { return add(Shape::boolean, flag); }
    bool number_integer(number_integer_t number) override { return add(Shape::integer, number); }
    bool number_unsigned(number_unsigned_t number) override {
        if (number > static_cast<number_unsigned_t>(INT64_MAX)) return add(Shape::big_integer);
        return add(Shape::integer, static_cast<std::int64_t>(number));
    }
    bool number_float(number_float_t, const string_t&) override { return add(Shape::fraction); }
    bool string(string_t& text) override {
        if (!add(Shape::text)) return false;
        values_.back().text_at = static_cast<std::uint32_t>(arena_.size());
        values_.back().text_size = static_cast<std::uint32_t>(text.size());
        arena_ += text;
        return true;
    }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override { return open(Shape::object); }
    bool end_object() override { return close(); }
    bool start_array(std::size_t) override { return open(Shape::array); }
    bool end_array() override { return close(); }
    bool key(string_t& name) override {
        const Value& object = values_[open_];
        if (object.count >= json_members_max) return stop("an object has too many members");
        pending_name_at_ = static_cast<std::uint32_t>(arena_.size());
        pending_name_size_ = static_cast<std::uint32_t>(name.size());
        pending_duplicate_ = false;
        for (std::uint32_t at = object.first; at != none && !pending_duplicate_;
             at = values_[at].next)
            pending_duplicate_ =
                std::string_view{arena_}.substr(values_[at].name_at, values_[at].name_size) == name;
        arena_ += name;
        return true;
    }
    bool parse_error(std::size_t position, const std::string&,
                     const nlohmann::detail::exception&) override {
        // The library's message quotes the input, which may hold a secret.
        return stop("not JSON at byte " + std::to_string(position));
    }

private:
    bool stop(std::string why) {
        if (fault_.empty()) fault_ = std::move(why);
        return false;
    }
    bool add(Shape shape, std::int64_t number = 0) {
        if (values_.size() >= json_values_max) return stop("too many values");
        const auto at = static_cast<std::uint32_t>(values_.size());
        Value value;
        value.shape = shape;
        value.number = number;
        value.parent = open_;
        if (open_ != none) {
            Value& parent = values_[open_];
            if (parent.shape == Shape::object) {
                value.name_at = pending_name_at_;
                value.name_size = pending_name_size_;
                value.duplicate = pending_duplicate_;
            }
            value.place = parent.count++;
            if (parent.last == none)
                parent.first = at;
            else
                values_[parent.last].next = at;
            parent.last = at;
        }
        values_.push_back(value);
        return true;
    }
    bool open(Shape shape) {
        if (++depth_ > json_depth_max) return stop("nested too deeply");
        if (!add(shape)) return false;
        open_ = static_cast<std::uint32_t>(values_.size() - 1);
        return true;
    }
    bool close() {
        --depth_;
        open_ = values_[open_].parent;
        return true;
    }

    std::vector<Value>& values_;
    std::string& arena_;
    std::string& fault_;
    std::uint32_t open_ = none;
    std::size_t depth_ = 0;
    std::uint32_t pending_name_at_ = 0, pending_name_size_ = 0;
    bool pending_duplicate_ = false;
};

}  // namespace

void ObjectReader::Document::note_unread(std::uint32_t at) {
    const Value& value = values[at];
    if (value.shape == Shape::object && !value.opened) return;
    for (std::uint32_t child = value.first; child != none; child = values[child].next) {
        if (values[child].duplicate)
            refuse(child, "appears more than once");
        else if (value.shape == Shape::object && !values[child].seen)
            refuse(child, "is not a field of this object");
        else
            note_unread(child);
    }
}

FieldReader::FieldReader(std::string_view body, bool may_be_empty)
    : document_{std::make_unique<ObjectReader::Document>()} {
    if (body.empty() && may_be_empty) body = "{}";
    document_->values.reserve(64);
    document_->arena.reserve(body.size());
    Builder builder{document_->values, document_->arena, document_->malformed};
    if (!nlohmann::json::sax_parse(body.begin(), body.end(), &builder) &&
        document_->malformed.empty())
        document_->malformed = "not JSON";
    if (document_->malformed.empty() && document_->values.front().shape != Shape::object)
        document_->malformed = "not a JSON object";
}

FieldReader::~FieldReader() = default;

ObjectReader FieldReader::root() {
    if (!document_->malformed.empty()) return {};
    document_->values.front().opened = true;
    return {document_.get(), 0};
}

Result<void> FieldReader::finish() {
    if (!document_->malformed.empty())
        return refuse(ErrorCode::malformed_request,
                      "The body could not be read: " + document_->malformed + ".");
    document_->note_unread(0);
    if (document_->errors.empty()) return {};
    return Error{ErrorCode::invalid_body, {}, std::move(document_->errors)};
}

// ---- ObjectReader -------------------------------------------------------------------------------

bool ObjectReader::has(std::string_view name) const {
    if (!document_) return false;
    const std::uint32_t at = document_->find(node_, name);
    return at != none && document_->values[at].shape != Shape::null;
}

// The member, or none (noted if required). Null counts as absent.
std::uint32_t ObjectReader::take(std::string_view name, bool required) {
    if (!document_) return none;
    const std::uint32_t at = document_->find(node_, name);
    if (at != none) document_->values[at].seen = true;
    if (at != none && document_->values[at].shape != Shape::null) return at;
    if (required) refuse(name, "is required");
    return none;
}

void ObjectReader::refuse(std::string_view name, std::string message) {
    if (!document_) return;
    std::string path = document_->path(node_);
    append_pointer(path, name);
    note(document_->errors, std::move(path), std::move(message));
}

void ObjectReader::refuse_item(std::string_view name, std::size_t index, std::string message) {
    if (!document_) return;
    std::string path = document_->path(node_);
    append_pointer(path, name);
    path += '/' + std::to_string(index);
    note(document_->errors, std::move(path), std::move(message));
}

void ObjectReader::refuse_whole(std::string message) {
    if (document_) document_->refuse(node_, std::move(message));
}

std::optional<std::string> ObjectReader::maybe_text(std::string_view name, const TextRule& rule) {
    const std::uint32_t at = take(name, false);
    if (at == none) return std::nullopt;
    if (document_->values[at].shape != Shape::text) {
        document_->refuse(at, "must be a string");
        return std::nullopt;
    }
    const std::string_view text = document_->text(document_->values[at]);
    if (auto fault = text_fault(text, rule)) {
        document_->refuse(at, std::move(*fault));
        return std::nullopt;
    }
    return std::string{text};
}

std::string ObjectReader::text(std::string_view name, const TextRule& rule) {
    if (take(name, true) == none) return {};
    return maybe_text(name, rule).value_or(std::string{});
}

std::optional<std::int64_t> ObjectReader::maybe_integer(std::string_view name, IntegerRange range) {
    const std::uint32_t at = take(name, false);
    if (at == none) return std::nullopt;
    const Value& value = document_->values[at];
    if (value.shape != Shape::integer && value.shape != Shape::big_integer) {
        document_->refuse(at, "must be a whole number");
        return std::nullopt;
    }
    if (value.shape == Shape::big_integer || value.number < range.min || value.number > range.max) {
        document_->refuse(at, bounds_message(range.min, range.max));
        return std::nullopt;
    }
    return value.number;
}

std::int64_t ObjectReader::integer(std::string_view name, IntegerRange range) {
    if (take(name, true) == none) return range.min;
    return maybe_integer(name, range).value_or(range.min);
}

std::optional<bool> ObjectReader::maybe_boolean(std::string_view name) {
    const std::uint32_t at = take(name, false);
    if (at == none) return std::nullopt;
    if (document_->values[at].shape != Shape::boolean) {
        document_->refuse(at, "must be true or false");
        return std::nullopt;
    }
    return document_->values[at].number != 0;
}

bool ObjectReader::boolean(std::string_view name) {
    return take(name, true) != none && maybe_boolean(name).value_or(false);
}

std::optional<Nano> ObjectReader::maybe_money(std::string_view name, MoneyRange range) {
    const std::uint32_t at = take(name, false);
    if (at == none) return std::nullopt;
    const Value& value = document_->values[at];
    const std::optional<Nano> amount =
        value.shape == Shape::text ? Nano::parse(document_->text(value)) : std::nullopt;
    if (!amount) {
        document_->refuse(at, "must be a decimal integer of nano coins as a string");
        return std::nullopt;
    }
    if (amount->value < range.min || amount->value > range.max) {
        document_->refuse(at, bounds_message(range.min, range.max));
        return std::nullopt;
    }
    return amount;
}

Nano ObjectReader::money(std::string_view name, MoneyRange range) {
    if (take(name, true) == none) return {};
    return maybe_money(name, range).value_or(Nano{});
}

std::optional<std::uint64_t> ObjectReader::maybe_decimal(std::string_view name) {
    const std::uint32_t at = take(name, false);
    if (at == none) return std::nullopt;
    const Value& value = document_->values[at];
    const auto number =
        value.shape == Shape::text ? Nano::parse(document_->text(value)) : std::nullopt;
    if (!number || number->value < 0) {
        document_->refuse(at, "must be a decimal integer as a string");
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(number->value);
}

std::optional<Instant> ObjectReader::maybe_instant(std::string_view name) {
    const std::uint32_t at = take(name, false);
    if (at == none) return std::nullopt;
    const Value& value = document_->values[at];
    const auto instant = value.shape == Shape::text && value.text_size <= 40
                             ? Instant::parse(document_->text(value))
                             : std::nullopt;
    if (!instant) document_->refuse(at, "must be an RFC 3339 instant");
    return instant;
}

std::optional<std::size_t> ObjectReader::maybe_choice(std::string_view name,
                                                      std::span<const std::string_view> names) {
    const std::uint32_t at = take(name, false);
    if (at == none) return std::nullopt;
    const Value& value = document_->values[at];
    const auto index =
        value.shape == Shape::text ? index_of(names, document_->text(value)) : std::nullopt;
    if (!index) document_->refuse(at, one_of(names));
    return index;
}

std::size_t ObjectReader::choice(std::string_view name, std::span<const std::string_view> names) {
    if (take(name, true) == none) return 0;
    return maybe_choice(name, names).value_or(0);
}

std::optional<std::vector<std::size_t>> ObjectReader::maybe_choices(
    std::string_view name, std::span<const std::string_view> names) {
    const auto texts = maybe_texts(name, names.size());
    if (!texts) return std::nullopt;
    std::vector<std::size_t> indexes;
    for (std::size_t i = 0; i < texts->size(); ++i)
        if (const auto index = index_of(names, (*texts)[i]))
            indexes.push_back(*index);
        else
            refuse_item(name, i, one_of(names));
    return indexes;
}

std::optional<std::vector<std::string>> ObjectReader::maybe_texts(std::string_view name,
                                                                  std::size_t items_max,
                                                                  const TextRule& rule) {
    const std::uint32_t at = take(name, false);
    if (at == none) return std::nullopt;
    const Value& list = document_->values[at];
    if (list.shape != Shape::array) {
        document_->refuse(at, "must be a list");
        return std::nullopt;
    }
    if (list.count > items_max) {
        document_->refuse(at, "must have at most " + std::to_string(items_max) + " items");
        return std::nullopt;
    }
    std::vector<std::string> texts;
    bool whole = true;
    for (std::uint32_t item = list.first; item != none; item = document_->values[item].next) {
        const Value& value = document_->values[item];
        std::optional<std::string> fault = "must be a string";
        if (value.shape == Shape::text) fault = text_fault(document_->text(value), rule);
        if (fault) {
            document_->refuse(item, std::move(*fault));
            whole = false;
        } else {
            texts.emplace_back(document_->text(value));
        }
    }
    // Without all items, positions in `texts` would no longer be those of the body.
    if (!whole) return std::nullopt;
    return texts;
}

ObjectReader ObjectReader::maybe_object(std::string_view name) {
    const std::uint32_t at = take(name, false);
    if (at == none) return {};
    if (document_->values[at].shape != Shape::object) {
        document_->refuse(at, "must be an object");
        return {};
    }
    document_->values[at].opened = true;
    return {document_, at};
}

ObjectReader ObjectReader::object(std::string_view name) {
    return take(name, true) == none ? ObjectReader{} : maybe_object(name);
}

std::optional<std::vector<ObjectReader>> ObjectReader::maybe_objects(std::string_view name,
                                                                     std::size_t items_max) {
    const std::uint32_t at = take(name, false);
    if (at == none) return std::nullopt;
    if (document_->values[at].shape != Shape::array) {
        document_->refuse(at, "must be a list");
        return std::nullopt;
    }
    if (document_->values[at].count > items_max) {
        document_->refuse(at, "must have at most " + std::to_string(items_max) + " items");
        return std::nullopt;
    }
    std::vector<ObjectReader> items;
    for (std::uint32_t item = document_->values[at].first; item != none;
         item = document_->values[item].next) {
        if (document_->values[item].shape != Shape::object) {
            document_->refuse(item, "must be an object");
            continue;
        }
        document_->values[item].opened = true;
        items.push_back({document_, item});
    }
    return items;
}

std::vector<ObjectReader> ObjectReader::objects(std::string_view name, std::size_t items_min,
                                                std::size_t items_max) {
    const std::uint32_t at = take(name, true);
    if (at == none) return {};
    auto items = maybe_objects(name, items_max);
    if (!items) return {};
    if (document_->values[at].count < items_min)
        document_->refuse(at, "must have at least " + std::to_string(items_min) + " items");
    return std::move(*items);
}

std::string ObjectReader::flat(std::string_view name, std::size_t bytes_max) {
    const std::uint32_t at = take(name, false);
    if (at == none) return "{}";
    if (document_->values[at].shape != Shape::object) {
        document_->refuse(at, "must be an object");
        return "{}";
    }
    document_->values[at].opened = true;
    JsonWriter out;
    out.open_object();
    for (std::uint32_t item = document_->values[at].first; item != none;
         item = document_->values[item].next) {
        Value& value = document_->values[item];
        value.seen = true;
        if (value.duplicate) continue;  // noted by finish()
        const std::string_view raw = document_->name(value);
        const std::string member = JsonWriter::escaped(raw);
        if (raw.empty() || raw.size() > limits::name_bytes_max || !is_printable(raw)) {
            document_->refuse(item, "its name must be 1 to 128 printable bytes");
        } else if (value.shape == Shape::text && !text_fault(document_->text(value), {0, 1024})) {
            out.text(member, document_->text(value));
        } else if (value.shape == Shape::integer && value.number >= -exact_integer_max &&
                   value.number <= exact_integer_max) {
            out.integer(member, value.number);
        } else if (value.shape == Shape::boolean) {
            out.boolean(member, value.number != 0);
        } else {
            document_->refuse(item, "must be a short text, a whole number, true or false");
        }
    }
    out.close_object();
    auto parsed = sealing::Json::parse(out.take());
    const std::string document = parsed ? parsed->canonical() : "{}";
    if (document.size() > bytes_max)
        document_->refuse(at, "must have at most " + std::to_string(bytes_max) + " bytes");
    return document;
}

// ---- Texts and queries --------------------------------------------------------------------------

bool is_printable(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c < 0x20 || c == 0x7F) return false;
        if (c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0)
            return false;
        if (c != 0xE2 || i + 2 >= text.size()) {
            if (text.substr(i).starts_with("\xEF\xBB\xBF")) return false;  // U+FEFF
            continue;
        }
        // U+200B..200F, U+2028..202E, U+2060..206F: separators, joiners and direction marks.
        const auto second = static_cast<unsigned char>(text[i + 1]);
        const auto third = static_cast<unsigned char>(text[i + 2]);
        if (second == 0x80 &&
            ((third >= 0x8B && third <= 0x8F) || (third >= 0xA8 && third <= 0xAE)))
            return false;
        if (second == 0x81 && third >= 0xA0 && third <= 0xAF) return false;
    }
    return true;
}

std::optional<std::string> percent_decoded(std::string_view raw, bool plus_is_space) {
    const auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    std::string text;
    text.reserve(raw.size());
    for (std::size_t i = 0; i < raw.size(); ++i) {
        if (raw[i] == '+' && plus_is_space) {
            text += ' ';
        } else if (raw[i] != '%') {
            text += raw[i];
        } else {
            const int high = i + 2 < raw.size() ? digit(raw[i + 1]) : -1;
            const int low = i + 2 < raw.size() ? digit(raw[i + 2]) : -1;
            if (high < 0 || low < 0) return std::nullopt;
            text += static_cast<char>(high * 16 + low);
            i += 2;
        }
    }
    if (!is_utf8(text) || !is_printable(text)) return std::nullopt;
    return text;
}

QueryReader::QueryReader(std::string_view raw_query) {
    while (!raw_query.empty() && !malformed_) {
        const std::size_t end = raw_query.find('&');
        const std::string_view part = raw_query.substr(0, end);
        raw_query = end == std::string_view::npos ? std::string_view{} : raw_query.substr(end + 1);
        if (part.empty()) continue;
        const std::size_t equals = part.find('=');
        auto name = percent_decoded(part.substr(0, equals), true);
        auto value = equals == std::string_view::npos
                         ? std::string{}
                         : percent_decoded(part.substr(equals + 1), true);
        if (!name || !value || parameters_.size() >= json_members_max)
            malformed_ = true;
        else
            parameters_.push_back({std::move(*name), std::move(*value)});
    }
}

void QueryReader::refuse(std::string_view name, std::string message) {
    note(errors_, '?' + std::string{name}, std::move(message));
}

const std::string* QueryReader::take(std::string_view name) {
    const std::string* found = nullptr;
    for (Parameter& parameter : parameters_) {
        if (parameter.name != name) continue;
        if (found && !parameter.seen) refuse(name, "appears more than once");
        if (!found) found = &parameter.value;
        parameter.seen = true;
    }
    return found;
}

std::optional<std::string> QueryReader::maybe_text(std::string_view name, const TextRule& rule) {
    const std::string* text = take(name);
    if (!text) return std::nullopt;
    if (auto fault = text_fault(*text, rule)) {
        refuse(name, std::move(*fault));
        return std::nullopt;
    }
    return *text;
}

std::optional<std::int64_t> QueryReader::maybe_integer(std::string_view name, IntegerRange range) {
    const std::string* text = take(name);
    if (!text) return std::nullopt;
    const std::optional<Nano> number = Nano::parse(*text);
    if (!number)
        refuse(name, "must be a whole number");
    else if (number->value < range.min || number->value > range.max)
        refuse(name, bounds_message(range.min, range.max));
    else
        return number->value;
    return std::nullopt;
}

std::optional<Instant> QueryReader::maybe_instant(std::string_view name) {
    const std::string* text = take(name);
    if (!text) return std::nullopt;
    const auto instant = text->size() <= 40 ? Instant::parse(*text) : std::nullopt;
    if (!instant) refuse(name, "must be an RFC 3339 instant (with + as %2B)");
    return instant;
}

std::optional<std::size_t> QueryReader::maybe_choice(std::string_view name,
                                                     std::span<const std::string_view> names) {
    const std::string* text = take(name);
    if (!text) return std::nullopt;
    const auto index = index_of(names, *text);
    if (!index) refuse(name, one_of(names));
    return index;
}

Result<void> QueryReader::finish() {
    if (malformed_)
        return cocoon::refuse(ErrorCode::malformed_request,
                              "The query string is not properly encoded.");
    for (const Parameter& parameter : parameters_)
        if (!parameter.seen) refuse(parameter.name, "is not a parameter of this route");
    if (errors_.empty()) return {};
    return Error{ErrorCode::invalid_body, "Some parameters are invalid.", std::move(errors_)};
}

}  // namespace cocoon::api
