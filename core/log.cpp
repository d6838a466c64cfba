#include "core/log.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "core/time.hpp"

namespace cocoon::log {
namespace {

std::atomic<Level> least_level{Level::info};

std::string_view name_of(Level level) {
    switch (level) {
        case Level::debug: return "debug";
        case Level::info: return "info";
        case Level::warning: return "warning";
        case Level::error: return "error";
    }
    return "error";
}

void append_json_string(std::string& line, std::string_view text) {
    line += '"';
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            line += '\\';
            line += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
            line += escape;
        } else {
            line += c;
        }
    }
    line += '"';
}

}  // namespace

void set_level(Level level) { least_level = level; }

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
    if (level < least_level.load(std::memory_order_relaxed)) return;
    std::string line = R"({"at":")" + SystemClock{}.now().text() + R"(","level":")";
    line += name_of(level);
    line += R"(","event":)";
    append_json_string(line, event);
    for (const Field& field : fields) {
        line += ',';
        append_json_string(line, field.name);
        line += ':';
        if (const auto* text = std::get_if<std::string_view>(&field.value))
            append_json_string(line, *text);
        else if (const auto* count = std::get_if<std::int64_t>(&field.value))
            line += std::to_string(*count);
        else
            line += std::get<bool>(field.value) ? "true" : "false";
    }
    line += "}\n";
    // One write call per line, so that lines of several threads never mix. A full pipe loses the
    // line: logging must not stop the market.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace cocoon::log
