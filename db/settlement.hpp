// What the settlement worker remembers about the chain: its cursor and what it saw, coins that
// belong to nobody, and payout batches with the very bytes that are sent. Its own short
// transactions on the pool; background thread. Knows no chain.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "db/pool.hpp"
#include "db/rows.hpp"
#include "settlement/chain.hpp"
#include "settlement/hold.hpp"

namespace cocoon::db {

enum class BatchPhase : std::uint8_t { open, accepted, executed, refused, expired };

struct StoredBatch {
    settlement::PayoutBatch batch;
    BatchPhase phase = BatchPhase::open;
};

class Settlement {
public:
    explicit Settlement(Pool& pool) : pool_{pool} {}

    settlement::Cursor cursor();
    // Notes `entries`, each once for ever, and moves the cursor behind them, in one transaction.
    void take(std::span<const settlement::Entry> entries, const settlement::Cursor& next);
    // Keeps a transfer that could not be credited; the same reference twice is once.
    void hold(const settlement::Entry& entry, const std::string& reason);
    std::uint64_t holds();
    // One that is or was on hold.
    std::optional<settlement::HeldTransfer> held(settlement::HoldId hold);
    // The deposit memo of the account that a payout belongs to.
    std::optional<std::string> memo_of_payout(std::uint64_t payout);

    // The number for the next batch: one more than any stored one.
    std::uint64_t next_batch_number();
    // False, and nothing is stored: the number is taken or a payout is in another batch.
    bool store(const settlement::PayoutBatch& batch);
    // Open and accepted ones, by number.
    std::vector<StoredBatch> open_batches();
    std::optional<StoredBatch> batch_by_key(const std::string& key);
    void accept(std::uint64_t number);
    // Ends it; all of its payouts but `paid` are free for another batch.
    void close(std::uint64_t number, BatchPhase end, std::span<const std::uint64_t> paid = {});

    // What the wallet's noted history adds up to, and what the books owe as far as they are
    // projected, as of one instant: an operator may give what is held to an account meanwhile.
    // `at`, `balance` and `difference` are the caller's to fill in.
    Reconciliation totals();
    void store(const Reconciliation& reconciliation);
    // The same to each account, those with nothing too.
    Liabilities liabilities();

private:
    Pool& pool_;
};

}  // namespace cocoon::db
