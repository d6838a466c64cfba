// Carries coins between chain and books, in rounds on its own thread: deposits become
// CreditDeposit, queued payouts become batches, what the wallet's history says of batches becomes
// AdvancePayouts, and now and then both sides are compared to the nanoton. Nothing waits for it;
// when the chain or the database is gone it logs, counts, and tries again later. The order of its
// steps is the exactly-once rule of settlement/chain.hpp; every step may be repeated.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "db/channels.hpp"
#include "db/settlement.hpp"
#include "matching/state.hpp"
#include "server/metrics.hpp"
#include "settlement/chain.hpp"

namespace cocoon::server {

struct SettlementDoors {
    settlement::Chain& chain;
    db::Settlement& store;
    Metrics& metrics;
    const Clock& clock;
    // To the lane as the market itself; waits for the answer. Nothing: not answered in time or
    // stopping.
    std::function<std::optional<matching::Reply>(matching::Command)> ask;
    // Waits until the tables include all that was answered; false: not in time.
    std::function<bool()> projected;
    // Told of each reconciliation while books and chain are in step.
    std::function<void(const db::Reconciliation&)> reconciled = [](const db::Reconciliation&) {};
    db::Channels* channels = nullptr;  // none: the market takes no payment channels
};

struct SettlementOptions {
    Duration interval = seconds(1);         // between rounds
    Duration resend_interval = seconds(3);  // of a batch that nothing is known of
    Duration reconcile_interval = minutes(1);
    Duration claim_interval = minutes(1);  // of one channel
};

class SettlementWorker {
public:
    SettlementWorker(SettlementDoors doors, SettlementOptions options);
    ~SettlementWorker();  // stop()
    SettlementWorker(const SettlementWorker&) = delete;
    SettlementWorker& operator=(const SettlementWorker&) = delete;

    // The open payouts of a loaded state, before start().
    void fill(const matching::State& state);
    // Payouts, and the operator's pause, of each stored batch. I/O thread.
    void stored(const matching::Batch& batch);

    void start();
    void stop();
    // One round; what start()'s thread repeats. Throws db::Failure.
    void round();

private:
    void put(const matching::Payout& payout);
    bool follow_history(const settlement::Head& head);
    bool take(settlement::Entry& entry);
    bool take_report(settlement::Entry& entry);
    bool credit(const settlement::Entry& entry, const std::string& memo);
    bool take_bounce(const settlement::Entry& entry);
    bool take_batch(settlement::Entry& entry);
    bool settle(const settlement::PayoutBatch& batch, const settlement::Entry& entry);
    void expire(const settlement::Head& head);
    void build_batch(const settlement::Head& head);
    Nano free_of(const settlement::Head& head);
    void claim(const settlement::Head& head);
    std::vector<settlement::PayoutRow> waiting_rows();
    void resend();
    void reconcile(const settlement::Head& head);
    bool advance(std::vector<PayoutId> payouts, matching::PayoutState state,
                 const std::string& reference);
    void chain_failed(const Error& error);

    SettlementDoors doors_;
    const SettlementOptions options_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::map<PayoutId, matching::Payout> payouts_;  // queued or sent
    bool paused_ = false;
    // The worker thread's own.
    std::map<std::uint64_t, Instant> resend_at_;  // of each open batch
    std::optional<Instant> reconciled_at_;
    std::string chain_failure_;  // the newest reason; empty while all is well
    std::thread thread_;
};

}  // namespace cocoon::server
