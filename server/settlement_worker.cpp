#include "server/settlement_worker.hpp"

#include <algorithm>
#include <chrono>

#include "core/log.hpp"

namespace cocoon::server {
namespace {

// Refusals that another try will not change: the step was done before, or cannot be done.
bool settled(const Error& error) { return !describe(error.code).retryable; }

}  // namespace

SettlementWorker::SettlementWorker(SettlementDoors doors, Duration interval)
    : doors_{std::move(doors)}, interval_{interval} {}

SettlementWorker::~SettlementWorker() { stop(); }

void SettlementWorker::fill(const matching::State& state) {
    for (const auto& [id, payout] : state.payouts) put(payout);
}

void SettlementWorker::stored(const matching::Batch& batch) {
    for (const matching::Payout& payout : batch.changes.payouts) put(payout);
}

void SettlementWorker::put(const matching::Payout& payout) {
    const std::lock_guard lock{mutex_};
    const bool open = payout.state == matching::PayoutState::queued ||
                      payout.state == matching::PayoutState::sent;
    if (open) {
        payouts_[payout.id] = payout;
    } else {
        payouts_.erase(payout.id);
    }
}

void SettlementWorker::start() {
    thread_ = std::thread{[this] {
        while (true) {
            try {
                round();
            } catch (const std::exception& failure) {
                doors_.metrics.settlement_failures.add();
                log::warning("settlement_failed", {{"why", failure.what()}});
            }
            std::unique_lock lock{mutex_};
            if (wake_.wait_for(lock, std::chrono::microseconds{interval_.us},
                               [this] { return stopping_; }))
                return;
        }
    }};
}

void SettlementWorker::stop() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void SettlementWorker::round() {
    take_deposits();
    send_batch();
    for (const settlement::PayoutBatch& batch : doors_.store.open_batches()) follow(batch);
    doors_.metrics.settlement_deposits_on_hold.set(static_cast<std::int64_t>(doors_.store.holds()));
}

// The cursor moves after its page is in the books: a crash in between credits nothing twice,
// because a reference is credited once.
void SettlementWorker::take_deposits() {
    settlement::Cursor cursor = doors_.store.cursor();
    while (true) {
        const auto page = doors_.chain.transfers_since(cursor, settlement::transfers_page_max);
        if (!page) {
            doors_.metrics.settlement_failures.add();
            return log::warning("chain_unavailable", {{"why", page.error().detail}});
        }
        if (page->next == cursor) return;
        for (const settlement::Transfer& transfer : page->transfers) {
            if (!credit(transfer)) return;
        }
        doors_.store.move_cursor(page->next);
        cursor = page->next;
    }
}

// False: not now.
bool SettlementWorker::credit(const settlement::Transfer& transfer) {
    if (transfer.amount < doors_.chain.deposit_minimum()) {
        doors_.store.hold(transfer, "below_minimum");
        return true;
    }
    const auto reply =
        doors_.ask(matching::CreditDeposit{transfer.memo, transfer.amount, transfer.reference});
    if (!reply) return false;
    if (*reply) {
        doors_.metrics.settlement_deposits.add();
        return true;
    }
    const Error& error = reply->error();
    if (!settled(error)) return false;
    log::warning("deposit_on_hold",
                 {{"reference", transfer.reference}, {"why", describe(error.code).name}});
    doors_.store.hold(transfer, error.code == ErrorCode::not_found
                                    ? "unknown_memo"
                                    : std::string{describe(error.code).name});
    return true;
}

// Payouts that are in no open batch go into a new one: stored first, sent afterwards.
void SettlementWorker::send_batch() {
    std::set<std::uint64_t> taken;
    for (const settlement::PayoutBatch& batch : doors_.store.open_batches()) {
        for (const settlement::PayoutRow& row : batch.rows) taken.insert(row.payout);
    }
    std::vector<settlement::PayoutRow> rows;
    {
        const std::lock_guard lock{mutex_};
        for (const auto& [id, payout] : payouts_) {
            if (rows.size() >= settlement::batch_rows_max) break;
            if (!taken.contains(id.value))
                rows.push_back({id.value, payout.address, payout.amount});
        }
    }
    if (rows.empty()) return;
    const auto batch = doors_.chain.build(doors_.store.next_batch_number(), std::move(rows));
    if (!batch) {
        doors_.metrics.settlement_failures.add();
        return log::warning("chain_unavailable", {{"why", batch.error().detail}});
    }
    doors_.store.store(*batch);
    log::info("payout_batch_built", {{"batch", batch->number}, {"payouts", batch->rows.size()}});
}

void SettlementWorker::follow(const settlement::PayoutBatch& batch) {
    const auto state = doors_.chain.state_of(batch);
    if (!state) {
        doors_.metrics.settlement_failures.add();
        return log::warning("chain_unavailable", {{"why", state.error().detail}});
    }
    if (state->phase == settlement::BatchState::Phase::expired) {
        doors_.store.close(batch.number, false);  // its rows go into the next batch
        return log::warning("payout_batch_expired", {{"batch", batch.number}});
    }
    if (state->phase == settlement::BatchState::Phase::pending) {
        std::vector<PayoutId> payouts;
        for (const settlement::PayoutRow& row : batch.rows) payouts.push_back(PayoutId{row.payout});
        if (!advance(std::move(payouts), matching::PayoutState::sent, batch.message_hash)) return;
        const auto sent = doors_.chain.submit(batch);  // proves nothing either way
        if (!sent)
            log::warning("payout_batch_send_failed",
                         {{"batch", batch.number}, {"why", sent.error().detail}});
        return;
    }
    for (const settlement::BatchState::Row& row : state->rows) {
        const auto end = row.paid ? matching::PayoutState::paid : matching::PayoutState::returned;
        if (!advance({PayoutId{row.payout}}, end, row.paid ? row.reference : batch.message_hash))
            return;
        (row.paid ? doors_.metrics.settlement_payouts_paid
                  : doors_.metrics.settlement_payouts_returned)
            .add();
    }
    doors_.store.close(batch.number, true);
    log::info("payout_batch_done", {{"batch", batch.number}});
}

// True once the payouts are in that state, by this call or an earlier one.
bool SettlementWorker::advance(std::vector<PayoutId> payouts, matching::PayoutState state,
                               const std::string& reference) {
    {
        const std::lock_guard lock{mutex_};
        std::erase_if(payouts, [&](PayoutId id) {
            const auto found = payouts_.find(id);
            return found == payouts_.end() ||
                   (found->second.state == state && found->second.reference == reference);
        });
    }
    if (payouts.empty()) return true;
    const auto reply = doors_.ask(matching::AdvancePayouts{std::move(payouts), state, reference});
    if (!reply) return false;
    if (!*reply)
        log::warning("payout_not_advanced", {{"state", matching::name_of(state)},
                                             {"code", describe(reply->error().code).name}});
    return reply->has_value() || settled(reply->error());
}

}  // namespace cocoon::server
