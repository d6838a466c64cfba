#include "settlement/fees.hpp"

#include <algorithm>
#include <set>

#include "settlement/dictionary.hpp"

namespace cocoon::settlement::ton {
namespace {

using Wide = unsigned __int128;

constexpr std::size_t periods_max = 64;

Error malformed(const char* what) { return refuse(ErrorCode::malformed_request, what); }

// Prices are divided by 2^16 once, upwards. Sums that no coin supply could pay are capped.
Nano rounded_up(Wide price) {
    return Nano{static_cast<std::int64_t>(std::min<Wide>((price + 0xFFFF) >> 16, INT64_MAX))};
}

Nano added(Nano fee, std::uint64_t more) {
    return Nano{
        static_cast<std::int64_t>(std::min<Wide>(static_cast<Wide>(fee.value) + more, INT64_MAX))};
}

void count(const CellRef& cell, std::set<Hash>& seen, Usage& usage) {
    if (!seen.insert(cell->hash()).second) return;
    ++usage.cells;
    usage.bits += cell->bits();
    for (const CellRef& child : cell->refs()) count(child, seen, usage);
}

}  // namespace

Result<GasPrices> GasPrices::parse(const CellRef& parameter) {
    Slice slice{parameter};
    GasPrices prices;
    std::uint64_t tag = slice.number(8);
    if (tag == 0xD1) {  // gas_flat_pfx
        prices.flat_gas = slice.number(64);
        prices.flat_price = slice.number(64);
        tag = slice.number(8);
    }
    prices.price_per_65536 = slice.number(64);
    // Gas limits follow: gas_prices_ext has one more than gas_prices.
    const std::size_t limits = tag == 0xDE ? 6 : 5;
    for (std::size_t i = 0; i < limits; ++i) slice.number(64);
    if ((tag != 0xDE && tag != 0xDD) || !slice.finished()) return malformed("not gas prices");
    return prices;
}

Nano GasPrices::fee(std::uint64_t gas) const {
    if (gas <= flat_gas) return added(Nano{}, flat_price);
    return added(rounded_up(Wide{price_per_65536} * (gas - flat_gas)), flat_price);
}

Usage message_usage(const CellRef& message) {
    Usage usage;
    std::set<Hash> seen;
    for (const CellRef& child : message->refs()) count(child, seen, usage);
    return usage;
}

Result<ForwardPrices> ForwardPrices::parse(const CellRef& parameter) {
    Slice slice{parameter};
    const bool tagged = slice.number(8) == 0xEA;
    ForwardPrices prices;
    prices.lump_price = slice.number(64);
    prices.bit_price_per_65536 = slice.number(64);
    prices.cell_price_per_65536 = slice.number(64);
    slice.number(32);  // hypercube routing
    prices.first_fraction = static_cast<std::uint16_t>(slice.number(16));
    slice.number(16);  // the fraction of further hops
    if (!tagged || !slice.finished()) return malformed("not forward prices");
    return prices;
}

Nano ForwardPrices::fee(const Usage& usage) const {
    const Wide price =
        Wide{bit_price_per_65536} * usage.bits + Wide{cell_price_per_65536} * usage.cells;
    return added(rounded_up(price), lump_price);
}

Nano ForwardPrices::first_part(Nano fee) const {
    return Nano{static_cast<std::int64_t>(static_cast<Wide>(fee.value) * first_fraction >> 16)};
}

Result<StoragePrices> StoragePrices::parse(const CellRef& parameter) {
    auto entries = read_dictionary(parameter, 32, periods_max);
    if (!entries) return entries.error();
    StoragePrices prices;
    for (DictionaryEntry& entry : *entries) {
        Slice& slice = entry.value;
        const bool tagged = slice.number(8) == 0xCC;
        Period period;
        period.since = static_cast<std::uint32_t>(slice.number(32));
        period.bit_price = slice.number(64);
        period.cell_price = slice.number(64);
        slice.number(64);  // the masterchain's two
        slice.number(64);
        if (!tagged || !slice.finished() || entry.key != period.since)
            return malformed("not storage prices");
        prices.periods.push_back(period);
    }
    return prices;
}

Nano StoragePrices::fee(const Usage& usage, std::uint32_t last_paid, std::uint32_t now) const {
    if (last_paid == 0) return Nano{};
    Wide price = 0;
    for (std::size_t i = 0; i < periods.size(); ++i) {
        const std::uint32_t from = std::max(last_paid, periods[i].since);
        const std::uint32_t until =
            i + 1 < periods.size() ? std::min(now, periods[i + 1].since) : now;
        if (from >= until) continue;
        const Wide rate =
            Wide{periods[i].bit_price} * usage.bits + Wide{periods[i].cell_price} * usage.cells;
        price += rate * (until - from);
    }
    return rounded_up(price);
}

}  // namespace cocoon::settlement::ton
