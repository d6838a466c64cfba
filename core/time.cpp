#include "core/time.hpp"

#include <chrono>
#include <cstdio>

namespace cocoon {
namespace {

// Reads exactly `count` digits at the front of `text`, moves past them; -1 if there are fewer.
int take_digits(std::string_view& text, int count) {
    if (static_cast<int>(text.size()) < count) return -1;
    int value = 0;
    for (int i = 0; i < count; ++i) {
        const char c = text[static_cast<std::size_t>(i)];
        if (c < '0' || c > '9') return -1;
        value = value * 10 + (c - '0');
    }
    text.remove_prefix(static_cast<std::size_t>(count));
    return value;
}

bool take(std::string_view& text, char expected) {
    if (!text.starts_with(expected)) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

std::string Instant::text() const {
    using namespace std::chrono;
    const sys_time<std::chrono::microseconds> point{std::chrono::microseconds{us}};
    const auto day = floor<std::chrono::days>(point);
    const year_month_day date{day};
    const hh_mm_ss<std::chrono::microseconds> clock{point - day};
    char buffer[48];
    std::snprintf(
        buffer, sizeof buffer, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
        static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
        static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
    return buffer;
}

std::optional<Instant> Instant::parse(std::string_view text) {
    using namespace std::chrono;
    const int year = take_digits(text, 4);
    if (year < 1970 || !take(text, '-')) return std::nullopt;
    const int month = take_digits(text, 2);
    if (!take(text, '-')) return std::nullopt;
    const int day = take_digits(text, 2);
    if (!take(text, 'T') && !take(text, 't')) return std::nullopt;
    const int hour = take_digits(text, 2);
    if (!take(text, ':')) return std::nullopt;
    const int minute = take_digits(text, 2);
    if (!take(text, ':')) return std::nullopt;
    const int second = take_digits(text, 2);
    std::int64_t fraction_us = 0;
    if (take(text, '.')) {
        int digits = 0;
        for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; ++digits) {
            if (digits < 6) fraction_us = fraction_us * 10 + (text.front() - '0');
            text.remove_prefix(1);
        }
        if (digits == 0 || digits > 9) return std::nullopt;
        for (; digits < 6; ++digits) fraction_us *= 10;
    }
    int offset_minutes = 0;
    if (!take(text, 'Z') && !take(text, 'z')) {
        const bool east = text.starts_with('+');
        if (!east && !text.starts_with('-')) return std::nullopt;
        text.remove_prefix(1);
        const int hours_off = take_digits(text, 2);
        if (!take(text, ':')) return std::nullopt;
        const int minutes_off = take_digits(text, 2);
        if (hours_off < 0 || hours_off > 23 || minutes_off < 0 || minutes_off > 59)
            return std::nullopt;
        offset_minutes = (east ? 1 : -1) * (hours_off * 60 + minutes_off);
    }
    const year_month_day date{std::chrono::year{year},
                              std::chrono::month{static_cast<unsigned>(month)},
                              std::chrono::day{static_cast<unsigned>(day)}};
    if (!text.empty() || !date.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 ||
        second < 0 || second > 59)
        return std::nullopt;
    const std::int64_t days_since = sys_days{date}.time_since_epoch().count();
    return Instant{((days_since * 24 + hour) * 60 + minute - offset_minutes) * 60'000'000 +
                   second * 1'000'000LL + fraction_us};
}

Instant SystemClock::now() const {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return Instant{std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
}

}  // namespace cocoon
