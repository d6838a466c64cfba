// Private to sealing/: QUIC's variable-length integer (RFC 9000 §16), which binary HTTP and
// chunked OHTTP share. Longer spellings of a small number are legal in both.
#pragma once

#include <cstdint>
#include <optional>

#include "core/encoding.hpp"

namespace cocoon::sealing {

constexpr std::uint64_t varint_max = (std::uint64_t{1} << 62) - 1;

struct Varint {
    std::uint64_t value;
    std::size_t size;  // bytes it took
};

// The integer that `bytes` begin with, or nothing if they end within it.
inline std::optional<Varint> read_varint(ByteView bytes) {
    if (bytes.empty()) return std::nullopt;
    const std::size_t size = std::size_t{1} << (bytes[0] >> 6);
    if (bytes.size() < size) return std::nullopt;
    std::uint64_t value = bytes[0] & 0x3F;
    for (std::size_t i = 1; i < size; ++i) value = value << 8 | bytes[i];
    return Varint{value, size};
}

// The shortest spelling. REQUIRES: value <= varint_max.
inline void append_varint(Bytes& out, std::uint64_t value) {
    const int power = value < 1u << 6 ? 0 : value < 1u << 14 ? 1 : value < 1u << 30 ? 2 : 3;
    const int size = 1 << power;
    for (int i = size - 1; i >= 0; --i) {
        const auto byte = static_cast<std::uint8_t>(value >> (8 * i));
        out.push_back(i == size - 1 ? static_cast<std::uint8_t>(byte | power << 6) : byte);
    }
}

}  // namespace cocoon::sealing
