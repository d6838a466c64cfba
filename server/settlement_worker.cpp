#include "server/settlement_worker.hpp"

#include <algorithm>
#include <chrono>

#include "core/log.hpp"

namespace cocoon::server {
namespace {

using db::BatchPhase;
using settlement::Entry;

// A channel that closes is claimed from anew this often, until its answer is in the history.
constexpr Duration closing_claim_interval = seconds(60);

// Refusals that another try will not change: the step was done before, or cannot be done.
bool settled(const Error& error) { return !describe(error.code).retryable; }

}  // namespace

SettlementWorker::SettlementWorker(SettlementDoors doors, SettlementOptions options)
    : doors_{std::move(doors)}, options_{options} {}

SettlementWorker::~SettlementWorker() { stop(); }

void SettlementWorker::fill(const matching::State& state) {
    for (const auto& [id, payout] : state.payouts) put(payout);
    const std::lock_guard lock{mutex_};
    paused_ = state.payouts_paused;
}

void SettlementWorker::stored(const matching::Batch& batch) {
    for (const matching::Payout& payout : batch.changes.payouts) put(payout);
    if (!batch.changes.payouts_paused) return;
    const std::lock_guard lock{mutex_};
    paused_ = *batch.changes.payouts_paused;
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
            if (wake_.wait_for(lock, std::chrono::microseconds{options_.interval.us},
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

// A provider that answers no questions may still take messages, so batches are sent again whatever
// became of the rest.
void SettlementWorker::round() {
    const auto head = doors_.chain.head();
    if (!head) {
        chain_failed(head.error());
    } else if (follow_history(*head)) {
        chain_failure_.clear();
        expire(*head);
        build_batch(*head);
        claim(*head);
        reconcile(*head);
    }
    resend();
    doors_.metrics.settlement_deposits_on_hold.set(static_cast<std::int64_t>(doors_.store.holds()));
}

// Said once while it goes on for the same reason, and counted each time.
void SettlementWorker::chain_failed(const Error& error) {
    doors_.metrics.settlement_failures.add();
    if (error.detail != chain_failure_) log::warning("chain_unavailable", {{"why", error.detail}});
    chain_failure_ = error.detail;
}

// The cursor moves after its page is in the books: a crash in between credits nothing twice,
// because a reference is credited once, and a batch ends once. True: all that `head` knows is
// taken.
bool SettlementWorker::follow_history(const settlement::Head& head) {
    settlement::Cursor cursor = doors_.store.cursor();
    while (cursor != head.position) {
        auto page = doors_.chain.entries(cursor, head.position, settlement::entries_page_max);
        if (!page) {
            chain_failed(page.error());
            return false;
        }
        if (page->entries.empty()) return false;
        for (Entry& entry : page->entries) {
            if (!take(entry)) return false;
        }
        doors_.store.take(page->entries, page->next);
        cursor = page->next;
    }
    return true;
}

// False: not now. What is known only here of the entry (whose channel it is from) is put right in
// it before it is noted.
bool SettlementWorker::take(Entry& entry) {
    switch (entry.kind) {
        case Entry::Kind::deposit:
            return entry.report && doors_.channels ? take_report(entry) : credit(entry, entry.memo);
        case Entry::Kind::bounced: return take_bounce(entry);
        case Entry::Kind::accepted:
        case Entry::Kind::refused:
        case Entry::Kind::executed: return take_batch(entry);
        case Entry::Kind::operator_funds:
        case Entry::Kind::other: return true;
    }
    return true;
}

// What a channel of the market's pays is its account's. What else its message brings is left of
// what travelled with the claim, and counts against what the claim cost.
bool SettlementWorker::take_report(Entry& entry) {
    const settlement::ton::ChannelNotice& notice = entry.report->notice;
    const std::string address = entry.report->channel.raw();
    const auto channel = doors_.channels->find(address);
    if (!channel) {
        entry.report.reset();
        return credit(entry, entry.memo);
    }
    const auto memo = doors_.channels->memo(address);
    if (!memo) return false;  // its account is not in the tables yet
    const Nano promised = channel->best ? channel->best->voucher.amount : Nano{};
    if (notice.status.claimed > promised)  // this database is older than what was claimed
        log::error("channel_paid_more_than_promised",
                   {{"channel", address},
                    {"claimed_nano", notice.status.claimed.value},
                    {"promised_nano", promised.value}});
    entry.fees -= entry.in - notice.paid;
    entry.in = notice.paid;
    if (entry.in.value == 0) entry.kind = Entry::Kind::other;
    // Who sees it claimed must find it in the balance, or promises the next step too early.
    else if (!credit(entry, *memo) || !doors_.projected())
        return false;
    doors_.channels->report(address, notice.status);
    return true;
}

bool SettlementWorker::credit(const Entry& entry, const std::string& memo) {
    if (entry.in < doors_.chain.deposit_minimum() && entry.kind == Entry::Kind::deposit &&
        !entry.report) {
        doors_.store.hold(entry, "below_minimum");
        return true;
    }
    const auto reply = doors_.ask(matching::CreditDeposit{memo, entry.in, entry.reference});
    if (!reply) return false;
    if (*reply) {
        doors_.metrics.settlement_deposits.add();
        return true;
    }
    const Error& error = reply->error();
    if (!settled(error)) return false;
    log::warning("deposit_on_hold",
                 {{"reference", entry.reference}, {"why", describe(error.code).name}});
    doors_.store.hold(entry, error.code == ErrorCode::not_found
                                 ? "unknown_memo"
                                 : std::string{describe(error.code).name});
    return true;
}

// A payout was paid and its address sent the coins back: they are its account's again, less what
// the way cost, as a deposit whose reference is this transaction.
bool SettlementWorker::take_bounce(const Entry& entry) {
    if (entry.in.value <= 0) return true;
    doors_.metrics.settlement_bounces.add();
    const auto payout = PayoutId::parse(std::string{PayoutTag::prefix} + entry.memo);
    const auto memo = payout ? doors_.store.memo_of_payout(payout->value) : std::nullopt;
    log::warning("payout_bounced",
                 {{"payout", payout ? payout->text() : ""}, {"reference", entry.reference}});
    if (memo) return credit(entry, *memo);
    doors_.store.hold(entry, "bounced");
    return true;
}

bool SettlementWorker::take_batch(Entry& entry) {
    const auto found = doors_.store.batch_by_key(entry.batch);
    if (!found) {
        // Somebody else signs with the wallet's key, or the database is not the one that did.
        doors_.metrics.settlement_unknown_batches.add();
        log::error("payout_batch_unknown", {{"reference", entry.reference}});
        return true;
    }
    // What claims carry comes back, from each channel by itself: a cost until then, nobody's pay.
    if (found->batch.rows.empty() && entry.kind == Entry::Kind::executed) {
        entry.fees += entry.out;
        entry.out = Nano{};
    }
    const bool open = found->phase == BatchPhase::open || found->phase == BatchPhase::accepted;
    const std::uint64_t number = found->batch.number;
    if (!open) {
        // Seen before; but an expired one that is executed was given up too early.
        if (found->phase == BatchPhase::expired && entry.kind != Entry::Kind::refused) {
            doors_.metrics.settlement_unknown_batches.add();
            log::error("payout_batch_executed_after_its_end", {{"batch", number}});
        }
        return true;
    }
    if (entry.kind == Entry::Kind::executed) return settle(found->batch, entry);
    if (entry.kind == Entry::Kind::accepted) {
        doors_.store.accept(number);
        log::info("payout_batch_accepted", {{"batch", number}, {"reference", entry.reference}});
        return true;
    }
    doors_.store.close(number, BatchPhase::refused);  // its rows go into the next batch
    log::warning("payout_batch_refused", {{"batch", number}, {"reference", entry.reference}});
    return true;
}

bool SettlementWorker::settle(const settlement::PayoutBatch& batch, const Entry& entry) {
    std::vector<PayoutId> paid, left_out;
    std::vector<std::uint64_t> paid_numbers;
    for (const settlement::PayoutRow& row : batch.rows) {
        const bool sent =
            std::any_of(entry.sent.begin(), entry.sent.end(),
                        [&](const auto& payment) { return doors_.chain.pays(row, payment); });
        (sent ? paid : left_out).push_back(PayoutId{row.payout});
        if (sent) paid_numbers.push_back(row.payout);
    }
    const std::size_t paid_count = paid.size(), left_count = left_out.size();
    if (!advance(std::move(paid), matching::PayoutState::paid, entry.reference) ||
        !advance(std::move(left_out), matching::PayoutState::returned, entry.reference))
        return false;
    doors_.store.close(batch.number, BatchPhase::executed, paid_numbers);
    doors_.metrics.settlement_payouts_paid.add(paid_count);
    doors_.metrics.settlement_payouts_returned.add(left_count);
    log::info("payout_batch_done",
              {{"batch", batch.number}, {"paid", paid_count}, {"left_out", left_count}});
    return true;
}

// A batch that a certain head, whose whole history was taken, is past: it never will be executed,
// and its rows go into the next one.
void SettlementWorker::expire(const settlement::Head& head) {
    std::optional<settlement::Head> certain;
    for (const db::StoredBatch& stored : doors_.store.open_batches()) {
        if (stored.phase != BatchPhase::open || head.at < stored.batch.expires_at) continue;
        if (!certain) {
            auto asked = doors_.chain.certain_head();
            if (!asked) return chain_failed(asked.error());
            certain = std::move(*asked);
        }
        if (certain->position != doors_.store.cursor() || certain->at < stored.batch.expires_at)
            continue;
        doors_.store.close(stored.batch.number, BatchPhase::expired);
        doors_.metrics.settlement_batches_expired.add();
        log::warning("payout_batch_expired", {{"batch", stored.batch.number}});
    }
}

// Payouts that are in no open batch, in their order. One whose address is not of this chain (the
// market moved to another) goes back to its account.
std::vector<settlement::PayoutRow> SettlementWorker::waiting_rows() {
    std::set<std::uint64_t> taken;
    for (const db::StoredBatch& stored : doors_.store.open_batches()) {
        for (const settlement::PayoutRow& row : stored.batch.rows) taken.insert(row.payout);
    }
    std::vector<settlement::PayoutRow> rows;
    std::vector<PayoutId> unpayable;
    {
        const std::lock_guard lock{mutex_};
        for (const auto& [id, payout] : payouts_) {
            if (rows.size() >= settlement::batch_rows_max) break;
            if (taken.contains(id.value)) continue;
            if (doors_.chain.normal_address(payout.address))
                rows.push_back({id.value, payout.address, payout.amount});
            else
                unpayable.push_back(id);
        }
    }
    if (!unpayable.empty()) {
        const std::size_t count = unpayable.size();
        if (advance(std::move(unpayable), matching::PayoutState::returned, "address_of_no_use"))
            doors_.metrics.settlement_payouts_returned.add(count);
    }
    return rows;
}

// As many waiting payouts as the wallet can pay go into a new batch: stored first, sent afterwards.
void SettlementWorker::build_batch(const settlement::Head& head) {
    std::vector<settlement::PayoutRow> rows = waiting_rows();
    doors_.metrics.settlement_wallet_short.set(0);
    const bool paused = [this] {
        const std::lock_guard lock{mutex_};
        return paused_;
    }();
    doors_.metrics.settlement_payouts_paused.set(paused);
    if (rows.empty() || paused) return;
    const Nano free = free_of(head);
    const std::uint64_t number = doors_.store.next_batch_number();
    while (!rows.empty()) {
        const auto batch = doors_.chain.build(number, rows);
        if (!batch) return chain_failed(batch.error());
        if (batch->cost <= free) {
            if (!doors_.store.store(*batch)) {
                // Another process of this market, or this one's memory is behind: the next round
                // knows more.
                doors_.metrics.settlement_failures.add();
                return log::error("payout_claimed_elsewhere", {{"batch", number}});
            }
            log::info("payout_batch_built",
                      {{"batch", batch->number}, {"payouts", batch->rows.size()}});
            return;
        }
        rows.resize(rows.size() / 2);
    }
    doors_.metrics.settlement_wallet_short.set(1);
    log::warning("wallet_short", {{"balance_nano", head.balance.value}, {"free_nano", free.value}});
}

// What the wallet holds beyond its least and what is signed already.
Nano SettlementWorker::free_of(const settlement::Head& head) {
    Nano free = head.balance - doors_.chain.balance_minimum();
    for (const db::StoredBatch& stored : doors_.store.open_batches()) free -= stored.batch.cost;
    return free;
}

// Channels that give more than was claimed of them, in one batch; the next one waits for its end. A
// claim lost or made twice costs its fees: it names the total, and the channel pays what is new.
void SettlementWorker::claim(const settlement::Head& head) {
    if (!doors_.channels) return;
    {
        const std::lock_guard lock{mutex_};
        if (paused_) return;  // nothing new is signed
    }
    for (const db::StoredBatch& stored : doors_.store.open_batches()) {
        if (stored.batch.rows.empty()) return;
    }
    const Instant now = doors_.clock.now();
    const Duration closing = std::min(options_.claim_interval, closing_claim_interval);
    std::vector<settlement::ChannelClaim> claims;
    std::vector<std::string> addresses;
    for (const db::ChannelRow& channel : doors_.channels->to_claim(
             now - options_.claim_interval, now - closing, settlement::batch_rows_max)) {
        // A closing channel with nothing left to claim is let go at once.
        const bool more = channel.best && channel.best->voucher.amount > channel.status.claimed &&
                          channel.status.deposited > channel.status.claimed;
        claims.push_back({settlement::ton::channel_state(channel.terms).address(),
                          more ? channel.best : std::nullopt});
        addresses.push_back(channel.address);
    }
    if (claims.empty()) return;
    const auto batch = doors_.chain.build_claims(doors_.store.next_batch_number(), claims);
    if (!batch) return chain_failed(batch.error());
    if (batch->cost > free_of(head)) {
        doors_.metrics.settlement_wallet_short.set(1);
        return log::warning("wallet_short", {{"claims", claims.size()}});
    }
    if (!doors_.store.store(*batch)) return;  // another process's number: the next round's is free
    doors_.channels->claim_sent(addresses, now);
    log::info("claims_built", {{"batch", batch->number}, {"channels", claims.size()}});
}

void SettlementWorker::resend() {
    const Instant now = doors_.clock.now();
    std::map<std::uint64_t, Instant> again;
    for (const db::StoredBatch& stored : doors_.store.open_batches()) {
        const settlement::PayoutBatch& batch = stored.batch;
        if (stored.phase != BatchPhase::open) continue;
        const auto planned = resend_at_.find(batch.number);
        if (planned != resend_at_.end() && now < planned->second) {
            again.insert(*planned);
            continue;
        }
        std::vector<PayoutId> payouts;
        for (const settlement::PayoutRow& row : batch.rows) payouts.push_back(PayoutId{row.payout});
        if (!advance(std::move(payouts), matching::PayoutState::sent, batch.message_hash)) continue;
        again[batch.number] = now + options_.resend_interval;
        const auto sent = doors_.chain.submit(batch);  // proves nothing either way
        if (!sent)
            log::info("payout_batch_not_taken",
                      {{"batch", batch.number}, {"why", sent.error().detail}});
    }
    resend_at_ = std::move(again);
}

// Both sides add up to the same, or an operator must look. Only this thread changes what either
// side says about the chain, so that nothing moves in between.
void SettlementWorker::reconcile(const settlement::Head& head) {
    const Instant now = doors_.clock.now();
    if (reconciled_at_ && now - *reconciled_at_ < options_.reconcile_interval) return;
    if (!doors_.projected()) return;
    db::Reconciliation found = doors_.store.totals();
    found.at = now;
    found.balance = head.balance;
    found.difference = found.balance -
                       (found.owed + found.held + found.operator_funds - found.fees - found.moving);
    doors_.store.store(found);
    reconciled_at_ = now;
    Metrics& metrics = doors_.metrics;
    metrics.settlement_wallet_nano.set(found.balance.value);
    metrics.settlement_owed_nano.set(found.owed.value);
    metrics.settlement_cover_nano.set(found.cover().value);
    metrics.settlement_difference_nano.set(found.difference.value);
    metrics.settlement_reconciled_at_seconds.set(now.unix_seconds());
    if (found.difference.value != 0)
        log::error("chain_and_books_differ", {{"difference_nano", found.difference.value},
                                              {"balance_nano", found.balance.value},
                                              {"owed_nano", found.owed.value}});
    if (found.cover().value < 0)
        log::error("wallet_holds_less_than_it_owes", {{"cover_nano", found.cover().value}});
    doors_.reconciled(found);  // last, because it may throw
}

// True once the payouts are in that state, by this call or an earlier one.
bool SettlementWorker::advance(std::vector<PayoutId> payouts, matching::PayoutState state,
                               const std::string& reference) {
    {
        const std::lock_guard lock{mutex_};
        std::erase_if(payouts, [&](PayoutId id) {
            const auto found = payouts_.find(id);
            return found == payouts_.end() || found->second.state == state;
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
