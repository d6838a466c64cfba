// A journal in memory that fails on purpose. Keeps entries as encoded rows and, lagging behind like
// the projector, the tables that Changes describe; load() rebuilds a state from both.
#pragma once

#include <map>
#include <random>
#include <set>
#include <stdexcept>

#include "core/limits.hpp"
#include "matching/codec.hpp"
#include "matching/state.hpp"

namespace cocoon::matching {

enum class Fault { none, refuse, throw_before, throw_after };

class SimJournal final : public Journal {
public:
    Fault next_fault = Fault::none;  // of the next commit only

    Outcome commit(const SharedBatch& shared) override {
        const Batch& batch = shared;
        const Fault fault = std::exchange(next_fault, Fault::none);
        if (fault == Fault::refuse || batch.previous != last_sequence()) return Outcome::not_stored;
        if (fault == Fault::throw_before)
            throw std::runtime_error{"simulated: connection lost before the commit"};
        for (const Entry& entry : batch.entries) {
            if (entry.sequence != rows_.size() + 1) throw std::logic_error{"a gap in the sequence"};
            rows_.push_back({entry, encode_entries(std::span{&entry, 1})});
            rows_.back().entry.events.clear();
        }
        waiting_.push_back({batch.last(), batch.changes});
        if (fault == Fault::throw_after)
            throw std::runtime_error{"simulated: connection lost after the commit"};
        return Outcome::stored;
    }

    std::uint64_t last_sequence() override { return rows_.size(); }

    // The projector takes up to `batches` of what waits.
    void project(std::size_t batches) {
        while (batches-- > 0 && !waiting_.empty()) {
            project(waiting_.front().changes);
            projected_ = waiting_.front().sequence;
            waiting_.erase(waiting_.begin());
        }
    }

    std::unique_ptr<State> load() override {
        auto state = std::make_unique<State>();
        restore(*state);
        replay(*state, projected_);
        return state;
    }

    std::unique_ptr<State> load_from_genesis() {
        auto state = std::make_unique<State>();
        replay(*state, 0);
        return state;
    }

    Entry entry(std::uint64_t sequence) const {
        const Row& row = rows_.at(sequence - 1);
        return decode_entries(row.body, row.entry.sequence, row.entry.at).value().front();
    }

private:
    struct Row {
        Entry entry;
        std::string body;
    };
    struct Waiting {
        std::uint64_t sequence;
        Changes changes;
    };

    void replay(State& state, std::uint64_t after) const {
        for (std::uint64_t sequence = after + 1; sequence <= rows_.size(); ++sequence)
            state.replay(entry(sequence));
        state.discard_changes();
    }

    void project(const Changes& changes) {
        for (const auto& row : changes.accounts) accounts_[row.id] = row;
        for (const auto& row : changes.keys) keys_[row.id] = row;
        for (const auto& row : changes.enrolments) enrolments_[row.token_hash] = row;
        for (const auto& digest : changes.enrolments_ended) enrolments_.erase(digest);
        for (const auto& row : changes.nodes) nodes_[row.id] = row;
        for (const auto& row : changes.markets) markets_[row.id] = row;
        for (const auto& row : changes.offers) offers_[row.id] = row;
        for (const auto& row : changes.requests) requests_[row.id] = row;
        for (const auto& row : changes.jobs) jobs_[row.id] = row;
        for (const auto& row : changes.payouts) payouts_[row.id] = row;
        for (const auto& row : changes.webhooks) webhooks_[row.id] = row;
        for (const auto& id : changes.webhooks_removed) webhooks_.erase(id);
        for (const auto& row : changes.deposits) deposits_[row.id] = row;
        for (const auto& row : changes.measurements) measurements_[row.id] = row;
        for (const auto& row : changes.platforms) platforms_[row.identity] = row;
        for (const auto& row : changes.denials) denials_[row.identity] = row;
        for (const auto& identity : changes.denials_ended) denials_.erase(identity);
        if (changes.trust_rule) trust_rule_ = *changes.trust_rule;
        if (changes.payouts_paused) payouts_paused_ = *changes.payouts_paused;
        if (changes.fee_basis_points >= 0) fee_basis_points_ = changes.fee_basis_points;
        counters_ = changes.counters;
    }

    void restore(State& state) const {
        if (projected_ == 0) return;
        const Instant line = counters_.last_at - seconds(limits::terminal_in_memory_seconds);
        for (const auto& [id, row] : accounts_) state.restore(row);
        for (const auto& [id, row] : keys_) state.restore(row);
        for (const auto& [id, row] : enrolments_) state.restore(row);
        for (const auto& [id, row] : nodes_) state.restore(row);
        for (const auto& [id, row] : markets_) state.restore(row);
        for (const auto& [id, row] : offers_)
            if (row.state == OfferState::active || row.state == OfferState::paused ||
                row.slots_used > 0)
                state.restore(row);
        for (const auto& [id, row] : requests_)
            if (row.ended_at.us == 0 || row.ended_at > line) state.restore(row);
        for (const auto& [id, row] : jobs_)
            if (row.ended_at.us == 0 || row.ended_at > line) state.restore(row);
        for (const auto& [id, row] : payouts_)
            if (unsettled(row.state)) state.restore(row);
        for (const auto& [id, row] : webhooks_) state.restore(row);
        for (const auto& [id, row] : deposits_) state.restore(row);
        for (const auto& [id, row] : measurements_) state.restore(row);
        for (const auto& [identity, row] : platforms_) state.restore(row);
        for (const auto& [identity, row] : denials_) state.restore(row);
        state.restore(trust_rule_);
        state.restore_payouts_paused(payouts_paused_);
        state.restore_fee(fee_basis_points_);
        state.finish_restore(counters_);
        for (std::uint64_t sequence = 1; sequence <= projected_; ++sequence) {
            const Entry& row = rows_[sequence - 1].entry;
            if (!row.idempotency_key.empty() &&
                row.at > counters_.last_at - seconds(limits::idempotency_seconds))
                state.remember(row.actor, row.idempotency_key,
                               {row.input_hash, row.answer, row.at, row.sequence});
        }
    }

    std::vector<Row> rows_;
    std::vector<Waiting> waiting_;
    std::uint64_t projected_ = 0;
    std::map<AccountId, Account> accounts_;
    std::map<KeyId, ApiKey> keys_;
    std::map<Digest, Enrolment> enrolments_;
    std::map<NodeId, Node> nodes_;
    std::map<MarketId, Market> markets_;
    std::map<OfferId, Offer> offers_;
    std::map<RequestId, Request> requests_;
    std::map<JobId, Job> jobs_;
    std::map<PayoutId, Payout> payouts_;
    std::map<WebhookId, Webhook> webhooks_;
    std::map<DepositId, Deposit> deposits_;
    std::map<MeasurementId, Measurement> measurements_;
    std::map<std::string, Platform> platforms_;
    std::map<std::string, Denial> denials_;
    TrustRule trust_rule_;
    bool payouts_paused_ = false;
    int fee_basis_points_ = 500;
    Counters counters_;
};

}  // namespace cocoon::matching
