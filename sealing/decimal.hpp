// Private to sealing/: numbers that documents carry as decimal strings, one spelling for each.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/money.hpp"

namespace cocoon::sealing {

// Without sign or leading zeros, 0..max.
inline std::optional<std::int64_t> decimal(std::optional<std::string_view> text, std::int64_t max) {
    if (!text || text->starts_with('-')) return std::nullopt;
    const std::optional<Nano> number = Nano::parse(*text);
    return number && number->value <= max ? std::optional{number->value} : std::nullopt;
}

inline std::optional<std::uint64_t> decimal_64(std::optional<std::string_view> text) {
    if (!text || text->empty() || (text->size() > 1 && text->front() == '0')) return std::nullopt;
    std::uint64_t number = 0;
    const char* end = text->data() + text->size();
    const auto [read, failure] = std::from_chars(text->data(), end, number);
    return failure == std::errc{} && read == end ? std::optional{number} : std::nullopt;
}

}  // namespace cocoon::sealing
