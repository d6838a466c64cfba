// Writes JSON text front to back into one string; every answer of the API is made with it.
// Hand-made because building a document tree first costs more than the rest of a hot answer. One
// thread. The caller keeps the order right (open, members, close); commas are put here. Knows no
// resource.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/ids.hpp"
#include "core/money.hpp"
#include "core/time.hpp"

namespace cocoon::api {

class JsonWriter {
public:
    JsonWriter() { text_.reserve(2048); }

    void open_object() {
        begin();
        text_ += '{';
        comma_ = false;
    }
    void open_object(std::string_view name) {
        member(name);
        text_ += '{';
        comma_ = false;
    }
    void close_object() {
        text_ += '}';
        comma_ = true;
    }
    void open_array() {
        begin();
        text_ += '[';
        comma_ = false;
    }
    void open_array(std::string_view name) {
        member(name);
        text_ += '[';
        comma_ = false;
    }
    void close_array() {
        text_ += ']';
        comma_ = true;
    }

    // Members of an object. REQUIRES: `name` needs no escapes (else: escaped(name)).
    void text(std::string_view name, std::string_view value) {
        member(name);
        quote(value);
        comma_ = true;
    }
    void integer(std::string_view name, std::int64_t value) {
        member(name);
        number(value);
        comma_ = true;
    }
    void boolean(std::string_view name, bool value) {
        member(name);
        text_ += value ? "true" : "false";
        comma_ = true;
    }
    void null(std::string_view name) {
        member(name);
        text_ += "null";
        comma_ = true;
    }
    void money(std::string_view name, Nano value) { decimal(name, value.value); }
    template <class Integer>
    void decimal(std::string_view name, Integer value) {
        member(name);
        text_ += '"';
        number(value);
        text_ += '"';
        comma_ = true;
    }
    void instant(std::string_view name, Instant value) { text(name, value.text()); }
    // null for "never" (0) and for empty texts and ids.
    void instant_or_null(std::string_view name, Instant value) {
        value.us == 0 ? null(name) : instant(name, value);
    }
    void text_or_null(std::string_view name, std::string_view value) {
        value.empty() ? null(name) : text(name, value);
    }
    template <class Tag>
    void id(std::string_view name, Id<Tag> value) {
        member(name);
        put_id(value);
        comma_ = true;
    }
    template <class Tag>
    void id_or_null(std::string_view name, Id<Tag> value) {
        value ? id(name, value) : null(name);
    }
    // A member that is JSON already.
    void raw(std::string_view name, std::string_view json) {
        member(name);
        text_ += json;
        comma_ = true;
    }

    // Items of an array.
    void item(std::string_view value) {
        begin();
        quote(value);
        comma_ = true;
    }
    template <class Tag>
    void item(Id<Tag> value) {
        begin();
        put_id(value);
        comma_ = true;
    }
    void raw_item(std::string_view json) {
        begin();
        text_ += json;
        comma_ = true;
    }

    static std::string escaped(std::string_view name) {
        JsonWriter one;
        one.quote(name);
        return one.text_.substr(1, one.text_.size() - 2);
    }

    std::string take() { return std::move(text_); }

private:
    void begin() {
        if (comma_) text_ += ',';
    }
    void member(std::string_view name) {
        text_ += comma_ ? ",\"" : "\"";
        text_ += name;
        text_ += "\":";
    }
    template <class Integer>
    void number(Integer value) {
        char buffer[24];
        const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
        text_.append(buffer, end);
    }
    template <class Tag>
    void put_id(Id<Tag> value) {
        text_ += '"';
        text_ += Tag::prefix;
        number(value.value);
        text_ += '"';
    }
    void quote(std::string_view value) {
        text_ += '"';
        std::size_t from = 0;
        for (std::size_t i = 0; i < value.size(); ++i) {
            const auto c = static_cast<unsigned char>(value[i]);
            if (c >= 0x20 && c != '"' && c != '\\') continue;
            text_.append(value, from, i - from);
            from = i + 1;
            static constexpr char hex[] = "0123456789abcdef";
            if (c == '"')
                text_ += "\\\"";
            else if (c == '\\')
                text_ += "\\\\";
            else if (c == '\n')
                text_ += "\\n";
            else {
                text_ += "\\u00";
                text_ += hex[c >> 4];
                text_ += hex[c & 15];
            }
        }
        text_.append(value, from);
        text_ += '"';
    }

    std::string text_;
    bool comma_ = false;
};

}  // namespace cocoon::api
