#include "core/money.hpp"

#include <charconv>

namespace cocoon {

std::optional<Nano> Nano::parse(std::string_view text) {
    const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
    if (digits.empty() || digits.size() > 19) return std::nullopt;
    if (digits.front() == '0' && text != "0") return std::nullopt;
    Nano amount;
    const auto [end, failure] =
        std::from_chars(text.data(), text.data() + text.size(), amount.value);
    if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return amount;
}

Nano basis_points_of(Nano amount, int basis_points) {
    ENSURE(basis_points >= 0 && basis_points <= 10'000 && amount.value >= 0);
    return Nano{
        static_cast<std::int64_t>(static_cast<__int128>(amount.value) * basis_points / 10'000)};
}

std::string coins_text(Nano amount) {
    const bool negative = amount.value < 0;
    // Through unsigned, so that the most negative value has a magnitude.
    const std::uint64_t magnitude = negative ? 0 - static_cast<std::uint64_t>(amount.value)
                                             : static_cast<std::uint64_t>(amount.value);
    std::string text = (negative ? "-" : "") + std::to_string(magnitude / 1'000'000'000);
    std::string fraction = std::to_string(magnitude % 1'000'000'000);
    fraction.insert(0, 9 - fraction.size(), '0');
    while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
    if (!fraction.empty()) text += "." + fraction;
    return text;
}

}  // namespace cocoon
