// What the settlement worker remembers about the chain: its cursor, coins that belong to nobody,
// and payout batches with the very bytes that are sent. Its own short transactions on the pool;
// background thread. Knows no chain.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "db/pool.hpp"
#include "settlement/chain.hpp"

namespace cocoon::db {

class Settlement {
public:
    explicit Settlement(Pool& pool) : pool_{pool} {}

    settlement::Cursor cursor();
    void move_cursor(const settlement::Cursor& to);
    // Keeps a transfer that could not be credited; the same reference twice is once.
    void hold(const settlement::Transfer& transfer, const std::string& reason);
    std::uint64_t holds();

    // The number for the next batch: one more than any stored one.
    std::uint64_t next_batch_number();
    // Throws Failure if the number is taken.
    void store(const settlement::PayoutBatch& batch);
    std::vector<settlement::PayoutBatch> open_batches();
    void close(std::uint64_t number, bool executed);

private:
    Pool& pool_;
};

}  // namespace cocoon::db
