// Carries coins between chain and books, in rounds on its own thread: deposits become
// CreditDeposit, queued payouts become batches, batches become AdvancePayouts. Nothing waits for
// it; when the chain or the database is gone it logs, counts, and tries again later. The order of
// its steps is the exactly-once rule of settlement/chain.hpp; every step may be repeated.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "db/settlement.hpp"
#include "matching/state.hpp"
#include "server/metrics.hpp"
#include "settlement/chain.hpp"

namespace cocoon::server {

struct SettlementDoors {
    settlement::Chain& chain;
    db::Settlement& store;
    Metrics& metrics;
    // To the lane as the market itself; waits for the answer. Nothing: not answered in time or
    // stopping.
    std::function<std::optional<matching::Reply>(matching::Command)> ask;
};

class SettlementWorker {
public:
    SettlementWorker(SettlementDoors doors, Duration interval);
    ~SettlementWorker();  // stop()
    SettlementWorker(const SettlementWorker&) = delete;
    SettlementWorker& operator=(const SettlementWorker&) = delete;

    // The open payouts of a loaded state, before start().
    void fill(const matching::State& state);
    // Payouts of each stored batch. I/O thread.
    void stored(const matching::Batch& batch);

    void start();
    void stop();
    // One round; what start()'s thread repeats. Throws db::Failure.
    void round();

private:
    void put(const matching::Payout& payout);
    void take_deposits();
    bool credit(const settlement::Transfer& transfer);
    void send_batch();
    void follow(const settlement::PayoutBatch& batch);
    bool advance(std::vector<PayoutId> payouts, matching::PayoutState state,
                 const std::string& reference);

    SettlementDoors doors_;
    const Duration interval_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::map<PayoutId, matching::Payout> payouts_;  // queued or sent
    std::thread thread_;
};

}  // namespace cocoon::server
