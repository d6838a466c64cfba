// The memory of the newest collateral: what was stored comes back, only rises, whoever writes, and
// in whatever order.
#include "db/collateral.hpp"

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
