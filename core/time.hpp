// Time as data: microseconds since the Unix epoch. Only the lane, admission and the programs' own
// timers read a clock (`Clock::now`); everything else receives an Instant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cocoon {

struct Duration {
    std::int64_t us = 0;

    constexpr auto operator<=>(const Duration&) const = default;
    friend constexpr Duration operator+(Duration a, Duration b) { return {a.us + b.us}; }
    friend constexpr Duration operator-(Duration a, Duration b) { return {a.us - b.us}; }
    friend constexpr Duration operator*(Duration a, std::int64_t factor) { return {a.us * factor}; }
    constexpr std::int64_t milliseconds() const { return us / 1'000; }
    constexpr std::int64_t seconds() const { return us / 1'000'000; }
};

constexpr Duration microseconds(std::int64_t count) { return {count}; }
constexpr Duration milliseconds(std::int64_t count) { return {count * 1'000}; }
constexpr Duration seconds(std::int64_t count) { return {count * 1'000'000}; }
constexpr Duration minutes(std::int64_t count) { return {count * 60'000'000}; }
constexpr Duration hours(std::int64_t count) { return {count * 3'600'000'000}; }
constexpr Duration days(std::int64_t count) { return {count * 86'400'000'000}; }

struct Instant {
    std::int64_t us =
        0;  // microseconds since 1970-01-01T00:00:00Z; 0 means "never" where a field says so

    constexpr auto operator<=>(const Instant&) const = default;
    friend constexpr Instant operator+(Instant at, Duration by) { return {at.us + by.us}; }
    friend constexpr Instant operator-(Instant at, Duration by) { return {at.us - by.us}; }
    friend constexpr Duration operator-(Instant a, Instant b) { return {a.us - b.us}; }
    constexpr std::int64_t unix_seconds() const { return us / 1'000'000; }

    // RFC 3339 in UTC with microseconds, "2026-11-22T16:45:00.000001Z".
    std::string text() const;
    // RFC 3339 with "Z" or an offset and up to nine fraction digits; nothing else.
    static std::optional<Instant> parse(std::string_view text);
};

class Clock {
public:
    virtual ~Clock() = default;
    virtual Instant now() const = 0;
};

// The machine's wall clock.
class SystemClock final : public Clock {
public:
    Instant now() const override;
};

}  // namespace cocoon
