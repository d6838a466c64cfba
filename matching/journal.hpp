// The seam between the pure market and what keeps it. db/ implements it on PostgreSQL, the
// simulator in memory with faults. Called by the Writer; commit and load block and may throw
// (broken machine).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "matching/commands.hpp"
#include "matching/events.hpp"

namespace cocoon::matching {

struct State;

// One accepted command as the journal keeps it. Refused commands and questions leave no entry, with
// one exception: a refusal that consumed an idempotency key is kept so that a replay refuses alike.
struct Entry {
    std::uint64_t sequence = 0;  // gap-free from 1
    Instant at;
    AccountId actor;              // 0: the market itself
    std::string idempotency_key;  // empty: none
    Digest input_hash{};          // of the body that came with the key
    std::vector<Event> events;
    std::string answer;  // encode_reply(), only with a key
    std::vector<Posting>
        postings;  // of all events, in order; derived, kept for the ledger projection
};

// What the market counts. Part of the state hash, so a reload that lost a number is noticed.
struct Counters {
    std::uint64_t sequence = 0;  // of the newest entry
    std::uint64_t account = 2, key = 1, node = 1, market = 1, offer = 1, request = 1, job = 1,
                  payout = 1, deposit = 1, webhook = 1, measurement = 1,
                  denial = 1;         // the next id of each kind; account 1 is the house
    std::uint64_t priority = 1;       // next place in a queue
    std::uint64_t fencing_token = 1;  // next
    Instant last_at;                  // of the newest event: time never goes back
    COCOON_FIELDS(Counters, sequence, account, key, node, market, offer, request, job, payout,
                  deposit, webhook, measurement, denial, priority, fencing_token, last_at)
};

// The newest value of everything a batch touched: what the projector writes, last value wins.
struct Changes {
    std::vector<Account> accounts;
    std::vector<ApiKey> keys;
    std::vector<Enrolment> enrolments;
    std::vector<Digest> enrolments_ended;
    std::vector<Node> nodes;
    std::vector<Market> markets;
    std::vector<Offer> offers;
    std::vector<Request> requests;
    std::vector<Job> jobs;
    std::vector<Payout> payouts;
    std::vector<Webhook> webhooks;
    std::vector<WebhookId> webhooks_removed;
    std::vector<Measurement> measurements;
    std::vector<Platform> platforms;
    std::vector<Denial> denials;
    std::vector<std::string> denials_ended;
    std::optional<TrustRule> trust_rule;
    int fee_basis_points = -1;  // -1: unchanged
    std::optional<bool> payouts_paused;
    std::vector<Deposit> deposits;  // all are new
    Counters counters;              // as of the last entry of the batch
};

struct Batch {
    std::uint64_t previous = 0;  // sequence before the first entry
    std::vector<Entry> entries;  // their instants ascend
    Changes changes;
    std::uint64_t last() const { return entries.empty() ? previous : entries.back().sequence; }
};

// A batch that is no longer changed: lane, journal, projector and feeds keep the same one.
class SharedBatch {
public:
    SharedBatch(Batch batch) : batch_{std::make_shared<const Batch>(std::move(batch))} {}
    operator const Batch&() const { return *batch_; }
    const Batch& operator*() const { return *batch_; }
    const Batch* operator->() const { return batch_.get(); }

private:
    std::shared_ptr<const Batch> batch_;
};

class Journal {
public:
    virtual ~Journal() = default;

    enum class Outcome { stored, not_stored };
    // All or nothing and durable on return. `not_stored`: certainly absent (for instance the
    // sequence or epoch no longer fits). Throws on a broken machine; then the caller asks
    // last_sequence() and, if that fails too, keeps asking: never retried, never guessed.
    virtual Outcome commit(const SharedBatch& batch) = 0;
    virtual std::uint64_t last_sequence() = 0;
    // The state at last_sequence(): newest snapshot (projections) plus the entries after it.
    // The entries replayed are handed to `replayed` so that the projector can catch up.
    virtual std::unique_ptr<State> load() = 0;
};

}  // namespace cocoon::matching
