// One JSON line per event on stderr, with fixed field names. Never pass a secret, a token, a
// plaintext or a sealed body: the fields are ids, codes, counts and durations.
// Any thread; a line is written whole.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace cocoon::log {

enum class Level { debug, info, warning, error };

struct Field {
    std::string_view name;
    std::variant<std::string_view, std::int64_t, bool> value;

    Field(std::string_view name, std::string_view text) : name{name}, value{text} {}
    Field(std::string_view name, const std::string& text)
        : name{name}, value{std::string_view{text}} {}
    Field(std::string_view name, const char* text) : name{name}, value{std::string_view{text}} {}
    Field(std::string_view name, bool flag) : name{name}, value{flag} {}
    template <class Integer>
    requires(std::is_integral_v<Integer> && !std::is_same_v<Integer, bool>)
        Field(std::string_view name, Integer count)
        : name{name}, value{static_cast<std::int64_t>(count)} {}
};

// Lines below `level` are dropped. Default: info.
void set_level(Level level);
void write(Level level, std::string_view event, std::initializer_list<Field> fields = {});

inline void info(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::info, event, fields);
}
inline void warning(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::warning, event, fields);
}
inline void error(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::error, event, fields);
}
inline void debug(std::string_view event, std::initializer_list<Field> fields = {}) {
    write(Level::debug, event, fields);
}

}  // namespace cocoon::log
