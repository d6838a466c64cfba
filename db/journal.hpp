// The journal on PostgreSQL: the truth of the market. One durable round trip per batch, one writer
// at a time (advisory lock elects, the lane's epoch fences the one before). Made by server/, called
// by matching::Writer: commits on the lane's committing thread, loads on the lane (locked inside).
// Does not know what a batch means, only how to keep it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "db/pool.hpp"
#include "matching/journal.hpp"
#include "matching/state.hpp"

namespace cocoon::db {

class Connection;

// Another process has become the writer, or this one never was. Nothing more will be stored through
// this journal: the process stops (or starts again as a standby).
class Fenced : public Failure {
public:
    Fenced() : Failure{"another process is the writer of this market", "55P03"} {}
};

class PgJournal final : public matching::Journal {
public:
    // Sees each batch once it is certainly stored, in order, on the thread that found out:
    // Projector::enqueue.
    // `replayed`: it comes from load(), may overlap earlier ones, and must not be waited for.
    using Observer = std::function<void(const matching::SharedBatch& batch, bool replayed)>;

    PgJournal(ConnectOptions options, Observer observer);
    ~PgJournal() override;

    // Becomes the writer if nobody else is: takes the lock and a new epoch. A standby calls it
    // again and again. Throws Failure on a broken machine.
    bool elect();

    // REQUIRES: elect() has succeeded. not_stored: fenced, or the sequence does not continue.
    Outcome commit(const matching::SharedBatch& batch) override;
    // The last stored sequence, certain: a commit in doubt can no longer happen once this returned.
    // Throws Fenced if another writer has taken over.
    std::uint64_t last_sequence() override;
    // Throws Fenced likewise, and Failure when a stored state hash does not match what was loaded.
    std::unique_ptr<matching::State> load() override;

    // Notes the state hash at `sequence`, verified by the load() that passes it (clean shutdown, or
    // now and then). REQUIRES: `sequence` is stored.
    void store_state_hash(std::uint64_t sequence, const matching::StateHash& hash);

    std::uint64_t epoch() const { return epoch_; }

private:
    Connection& connection();
    void resume();
    void settle_doubt();
    void note_backend();

    std::mutex mutex_;
    ConnectOptions options_;
    Observer observer_;
    std::unique_ptr<Connection> connection_;
    std::int64_t writer_ = 0;     // this process, at random
    std::uint64_t epoch_ = 0;     // 0: not elected
    std::uint64_t sequence_ = 0;  // last stored, as far as known
    std::int64_t backend_pid_ = 0, backend_started_ = 0;
    std::optional<matching::SharedBatch> in_doubt_;
};

}  // namespace cocoon::db
