// The memory of the newest collateral: what was stored comes back, only rises, whoever writes, and
// in whatever order.
#include "db/collateral.hpp"
#include "db/collateral_pieces.hpp"

#include <thread>

#include "tests/db/database.hpp"

using namespace cocoon;
using namespace cocoon::db;
using attestation::CollateralSeen;

namespace {

CollateralSeen seen_at(std::int64_t step) {
    CollateralSeen seen;
    seen.tdx_evaluation_number = static_cast<std::uint32_t>(17 + step);
    seen.root_crl_issued = Instant{} + days(20'000 + step);
    seen.pck_crl_issued = {Instant{} + days(20'100 + step), Instant{} + days(20'200 + step)};
    for (std::size_t product = 0; product < 3; ++product) {
        std::string number(40, '0');
        number[0] = static_cast<char>('0' + product);
        number[38] = static_cast<char>('0' + step / 10);
        number[39] = static_cast<char>('0' + step % 10);
        seen.snp_revocation_numbers[product] = number;
    }
    return seen;
}

}  // namespace

TEST_CASE("collateral: what was seen is kept and never sinks") {
    test::Database database;
    Pool pool{database.options(), 2};
    CollateralMemory memory{pool};
    CHECK(memory.load() == CollateralSeen{});
    memory.raise({});
    CHECK(memory.load() == CollateralSeen{});
    memory.raise(seen_at(3));
    CHECK(CollateralMemory{pool}.load() == seen_at(3));
    memory.raise(seen_at(2));
    CHECK(memory.load() == seen_at(3));
    // Each value for itself.
    CollateralSeen mixed = seen_at(1);
    mixed.pck_crl_issued[0] = seen_at(9).pck_crl_issued[0];
    memory.raise(mixed);
    CollateralSeen expected = seen_at(3);
    expected.pck_crl_issued[0] = seen_at(9).pck_crl_issued[0];
    CHECK(memory.load() == expected);
    database.execute(
        "insert into collateral_seen values ('else', decode(repeat('00', 20), 'hex'))");
    CHECK_THROWS_AS(memory.load(), Failure);
}

TEST_CASE("collateral: many writers at once leave the newest of all") {
    test::Database database;
    Pool pool{database.options(), 4};
    std::vector<std::thread> writers;
    for (int writer = 0; writer < 4; ++writer)
        writers.emplace_back([&pool, writer] {
            CollateralMemory memory{pool};
            for (int step = 0; step < 16; ++step) memory.raise(seen_at((step * 7 + writer) % 32));
        });
    for (std::thread& writer : writers) writer.join();
    CHECK(CollateralMemory{pool}.load() == seen_at(31));
}

TEST_CASE("collateral: what was fetched is kept to its end, the newest of each name, so many") {
    test::Database database;
    Pool pool{database.options(), 2};
    CollateralPieces pieces{pool};
    const Instant start = Instant{} + days(20'000);
    const auto piece = [&](const std::string& name, std::int64_t day, std::int64_t life_days) {
        const Instant at = start + days(day);
        return KeptCollateral{
            name,
            {std::string{"body\0of ", 8} + name, {1, 0, 255}, "chain", at, at + days(life_days)},
            at,
            at + days(1)};
    };
    using Kept = std::vector<KeptCollateral>;
    CHECK(pieces.load(start, 10).empty());
    for (const auto& each : {piece("b", 2, 30), piece("a", 1, 30), piece("short", 0, 3)})
        pieces.keep(each);
    CHECK(pieces.load(start, 10) ==
          Kept{piece("short", 0, 3), piece("a", 1, 30), piece("b", 2, 30)});
    pieces.keep(piece("a", 4, 30));
    pieces.keep(piece("a", 3, 30));  // came late
    CHECK(pieces.load(start + days(3), 10) == Kept{piece("b", 2, 30), piece("a", 4, 30)});
    CHECK(pieces.load(start, 1) == Kept{piece("a", 4, 30)});
    CHECK(pieces.load(start, 10).size() == 1);
    pieces.forget({});
    pieces.forget({"b", "a"});
    CHECK(pieces.load(start, 10).empty());
    CHECK_THROWS_AS(pieces.keep(piece(std::string(1'025, 'x'), 0, 1)), Failure);
}
