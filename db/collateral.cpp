#include "db/collateral.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "core/encoding.hpp"
#include "db/connection.hpp"

namespace cocoon::db {
namespace {

using attestation::CollateralSeen;

constexpr std::size_t number_bytes = 20;

// In the order of their names: writers at the same time take rows in one order.
const Statement raise_seen{
    "raise_collateral_seen",
    "insert into collateral_seen (name, newest) "
    "select * from unnest($1::text[], $2::bytea[]) order by 1 on conflict (name) do update "
    "set newest = greatest(collateral_seen.newest, excluded.newest) "
    "where collateral_seen.newest < excluded.newest"};
const Statement load_seen{"load_collateral_seen", "select name, newest from collateral_seen"};

Bytes number_of(std::uint64_t value) {
    Bytes out(number_bytes);
    for (std::size_t i = 0; i < 8; ++i)
        out[number_bytes - 1 - i] = static_cast<std::uint8_t>(value >> (8 * i));
    return out;
}

std::uint64_t value_of(ByteView number) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : number.last(8)) value = value << 8 | byte;
    return value;
}

// A mark and how it is a number. Empty: nothing was seen.
struct Mark {
    const char* name;
    std::function<Bytes(const CollateralSeen&)> get;
    std::function<void(CollateralSeen&, ByteView)> set;
};

Mark time_mark(const char* name, std::function<Instant&(CollateralSeen&)> place) {
    return {name,
            [place](const CollateralSeen& seen) {
                CollateralSeen copy = seen;
                const Instant at = place(copy);
                return at.us > 0 ? number_of(static_cast<std::uint64_t>(at.us)) : Bytes{};
            },
            [place](CollateralSeen& seen, ByteView number) {
                place(seen) = Instant{static_cast<std::int64_t>(value_of(number))};
            }};
}

Mark list_mark(const char* name, std::size_t product) {
    return {name,
            [product](const CollateralSeen& seen) {
                return from_hex(seen.snp_revocation_numbers[product]).value_or(Bytes{});
            },
            [product](CollateralSeen& seen, ByteView number) {
                seen.snp_revocation_numbers[product] = to_hex(number);
            }};
}

const std::array<Mark, 7>& marks() {
    static const std::array<Mark, 7> table{
        {{"tdx_evaluation_number",
          [](const CollateralSeen& seen) {
              return seen.tdx_evaluation_number ? number_of(seen.tdx_evaluation_number) : Bytes{};
          },
          [](CollateralSeen& seen, ByteView number) {
              seen.tdx_evaluation_number = static_cast<std::uint32_t>(value_of(number));
          }},
         time_mark("tdx_root_list_issued",
                   [](CollateralSeen& seen) -> Instant& { return seen.root_crl_issued; }),
         time_mark("tdx_processor_list_issued",
                   [](CollateralSeen& seen) -> Instant& { return seen.pck_crl_issued[0]; }),
         time_mark("tdx_platform_list_issued",
                   [](CollateralSeen& seen) -> Instant& { return seen.pck_crl_issued[1]; }),
         list_mark("snp_milan_list_number", 0),
         list_mark("snp_genoa_list_number", 1),
         list_mark("snp_turin_list_number", 2)}};
    return table;
}

}  // namespace

CollateralSeen CollateralMemory::load() {
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(load_seen);
    CollateralSeen seen;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto& known = marks();
        const auto mark = std::find_if(known.begin(), known.end(), [&](const Mark& each) {
            return rows.text(i, 0) == each.name;
        });
        if (mark == known.end())
            throw Failure{"collateral_seen holds a name that this program does not know", ""};
        mark->set(seen, rows.bytes(i, 1));
    }
    return seen;
}

void CollateralMemory::raise(const CollateralSeen& seen) {
    ArrayBuilder names{ArrayBuilder::Type::text}, numbers{ArrayBuilder::Type::bytea};
    for (const Mark& mark : marks()) {
        const Bytes number = mark.get(seen);
        if (number.size() != number_bytes) continue;
        names.add_raw(mark.name);
        numbers.add_raw(as_text(number));
    }
    if (names.size() == 0) return;
    Parameters parameters;
    parameters.add_encoded(names.finish()).add_encoded(numbers.finish());
    Pool::Lease lease = pool_.take();
    lease->run(raise_seen, parameters);
}

}  // namespace cocoon::db
