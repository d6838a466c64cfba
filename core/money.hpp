// Money: a signed 64-bit count of nanoTON (1 coin = 10^9). Arithmetic is checked: an overflow is a
// refusal in paths that peers can reach (try_*), and ENSURE inside the ledger, where the invariants
// bound every sum by the coin's whole supply. Decimal strings on the wire, never floating point.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/ensure.hpp"

namespace cocoon {

struct Nano {
    std::int64_t value = 0;

    constexpr auto operator<=>(const Nano&) const = default;

    friend Nano operator+(Nano a, Nano b) {
        Nano sum;
        ENSURE(!__builtin_add_overflow(a.value, b.value, &sum.value));
        return sum;
    }
    friend Nano operator-(Nano a, Nano b) {
        Nano difference;
        ENSURE(!__builtin_sub_overflow(a.value, b.value, &difference.value));
        return difference;
    }
    Nano operator-() const { return Nano{} - *this; }
    Nano& operator+=(Nano other) { return *this = *this + other; }
    Nano& operator-=(Nano other) { return *this = *this - other; }

    std::string text() const { return std::to_string(value); }
    // A decimal integer of at most 19 digits with an optional minus; no plus, spaces or leading
    // zeros.
    static std::optional<Nano> parse(std::string_view text);
};

// floor(amount * basis_points / 10000), exact through 128 bits.
// REQUIRES: 0 <= basis_points <= 10000, amount >= 0.
Nano basis_points_of(Nano amount, int basis_points);

// "1.5" for 1'500'000'000; all nine places are kept only as far as they are not zero.
std::string coins_text(Nano amount);

}  // namespace cocoon
