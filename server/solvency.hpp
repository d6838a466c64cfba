// Proves now and then what the market owes: a Merkle-sum tree over every account's money at one
// sequence of the journal, signed with the market's key, and beside it what the chain then held.
// The settlement worker calls reconciled() on its thread, between two of its steps, so that books
// and chain are of the same moment; where it does not (no chain, or the chain cannot be seen), a
// thread of this class makes the proof without the chain. Never in the lane, never while a request
// waits. Any thread may ask for newest(). It must not know HTTP, JSON or SQL.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "api/solvency.hpp"
#include "core/encoding.hpp"
#include "core/time.hpp"
#include "db/rows.hpp"
#include "sealing/market_statement.hpp"
#include "server/metrics.hpp"
#include "server/receipts.hpp"

namespace cocoon::server {

struct SolvencyDoors {
    std::function<db::Liabilities()> read;  // what the projections owe; throws db::Failure
    MarketSigner signer;
    std::string secret;  // of the market: salts come from it, so nobody else can guess an amount
    const Clock& clock;
    Metrics& metrics;
};

struct SolvencyOptions {
    Duration interval = minutes(1);  // a proof is at least so old before the next is made
    std::string wallet;              // the chain's address of it; empty: there is no chain
};

class Solvency {
public:
    Solvency(SolvencyDoors doors, SolvencyOptions options);
    ~Solvency();  // stop()
    Solvency(const Solvency&) = delete;
    Solvency& operator=(const Solvency&) = delete;

    // Makes the first proof, without the chain, before anybody may ask. Throws db::Failure.
    void start();
    void stop();

    // The chain is in step with the projections, and `found` says what it holds. Throws
    // db::Failure.
    void reconciled(const db::Reconciliation& found);
    // Never null once started.
    std::shared_ptr<const api::SolvencyProof> newest() const;

private:
    using Wallet = sealing::SolvencyStatement::Wallet;
    bool due(Duration grace) const;  // REQUIRES: making_ is held
    void make(const std::optional<Wallet>& wallet);

    const SolvencyDoors doors_;
    const SolvencyOptions options_;
    std::mutex making_;  // one proof at a time
    Instant made_at_;
    bool chain_seen_ = false;
    std::uint64_t sequence_ = 0;  // of the tree in newest_
    mutable std::mutex mutex_;    // of what follows
    std::shared_ptr<const api::SolvencyProof> newest_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace cocoon::server
