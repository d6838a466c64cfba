// Reads a binary structure front to back. Never reads past the end: a field that is not there
// comes back as zero or empty and the reader remembers it, so a parser reads everything and asks
// ok() once. Called by the parsers of this folder, on any thread. Must not know any format.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>

#include "core/encoding.hpp"

namespace cocoon::attestation {

class Reader {
public:
    explicit Reader(ByteView bytes) : rest_{bytes} {}

    bool ok() const { return ok_; }
    bool finished() const { return ok_ && rest_.empty(); }  // everything was there and was read
    std::size_t left() const { return rest_.size(); }

    ByteView take(std::size_t count) {
        if (!ok_ || count > rest_.size()) {
            ok_ = false;
            rest_ = {};
            return {};
        }
        const ByteView taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }
    ByteView take_rest() { return take(left()); }
    void skip(std::size_t count) { take(count); }

    template <std::size_t count>
    std::array<std::uint8_t, count> array() {
        std::array<std::uint8_t, count> out{};
        const ByteView taken = take(count);
        std::copy(taken.begin(), taken.end(), out.begin());
        return out;
    }
    template <std::unsigned_integral T>
    T little() {
        const ByteView taken = take(sizeof(T));
        std::uint64_t value = 0;
        for (std::size_t i = taken.size(); i-- > 0;) value = value << 8 | taken[i];
        return static_cast<T>(value);
    }
    template <std::unsigned_integral T>
    T big() {
        std::uint64_t value = 0;
        for (const std::uint8_t byte : take(sizeof(T))) value = value << 8 | byte;
        return static_cast<T>(value);
    }

private:
    ByteView rest_;
    bool ok_ = true;
};

}  // namespace cocoon::attestation
