// The seam between the pure market and what keeps it. db/ implements it on PostgreSQL, the simulator
// in memory with faults. Called by the Writer; commit and load block and may throw (broken machine).
#pragma once

#include <cstdint>
#include <memory>
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
    std::uint64_t sequence = 0;   // gap-free from 1
    Instant at;
    AccountId actor;              // 0: the market itself
    std::string idempotency_key;  // empty: none
    Digest input_hash{};          // of the body that came with the key
    std::vector<Event> events;
    std::string answer;           // encode_reply(), only with a key
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
    int fee_basis_points = -1;    // -1: unchanged
};

struct Batch {
    std::uint64_t previous = 0;   // sequence before the first entry
    std::vector<Entry> entries;
    Changes changes;
    std::uint64_t last() const { return entries.empty() ? previous : entries.back().sequence; }
};

class Journal {
public:
    virtual ~Journal() = default;

    enum class Outcome { stored, not_stored };
    // All or nothing and durable on return. `not_stored`: certainly absent (for instance the sequence or
    // epoch no longer fits). Throws on a broken machine; then the caller asks last_sequence() and, if that
    // fails too, keeps asking: never retried, never guessed.
    virtual Outcome commit(const Batch& batch) = 0;
    virtual std::uint64_t last_sequence() = 0;
    // The state at last_sequence(): newest snapshot (projections) plus the entries after it.
    // The entries replayed are handed to `replayed` so that the projector can catch up.
    virtual std::unique_ptr<State> load() = 0;
};

}  // namespace cocoon::matching
