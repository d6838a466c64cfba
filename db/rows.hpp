// What the readers hand out: the market's own nouns as the tables have them, and a few plain
// structs for what only exists in tables. All money in nanoTON, all times as Instant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "matching/events.hpp"
#include "matching/types.hpp"
#include "settlement/hold.hpp"

namespace cocoon::db {

// A page of a list. `more`: there are rows behind the last one; ask again from its key.
template <class Row>
struct Listed {
    std::vector<Row> rows;
    bool more = false;
};

// Newest first: rows with an id (or sequence) below `before`; 0 begins at the newest.
struct PageBefore {
    std::uint64_t before = 0;
    std::uint32_t rows_max = 50;
};
// Oldest first: entries after this one.
struct EntryKey {
    std::uint64_t sequence = 0;
    std::uint32_t ordinal = 0;
    auto operator<=>(const EntryKey&) const = default;
};

// What admission needs to know about a credential, by the SHA-256 of its secret.
struct Credential {
    matching::ApiKey key;
    matching::AccountKind kind = matching::AccountKind::developer;
    bool frozen = false;
};

struct StatementLine {  // one double entry that touches the account
    EntryKey key;
    Instant at;
    matching::Posting posting;
    std::string receipt_hash;  // of a captured job, otherwise empty
};

struct OfferRow {
    matching::Offer offer;
    std::string market;  // name
    std::string node_name, region, country, gpu_model;
    matching::Tier tier = matching::Tier::simulated;
    bool node_connected = false, node_draining = false, node_suspended = false;
};
struct RequestRow {
    matching::Request request;
    std::vector<std::string> markets;  // names, in the order of request.alternatives
};
struct JobRow {
    matching::Job job;
    std::string market;                               // name
    matching::Tier tier = matching::Tier::simulated;  // the node's, now
    std::string node_name;
};

struct ReceiptRow {
    JobId job;
    std::uint64_t counter = 0;
    Instant at;
    std::string receipt_hash, document;
};
struct EvidenceRow {  // the newest bundle of a node and what it proved
    NodeId node;
    std::uint64_t sequence = 0;
    Instant at, valid_until;
    matching::Tier tier = matching::Tier::simulated;
    std::string measurement, keyset_digest, keyset_document, evidence_hash, evidence, verdict;
};
struct AuditRow {
    EntryKey key;
    Instant at;
    AccountId actor;
    std::string action, target, before, after, note;
};

// ---- Public market data -----------------------------------------------------------------------

// One number for a match in charts and percentiles: what the request's own expected quantity costs
// per million tokens, rounded down; without tokens per GPU-second, else per request.
Nano unit_price(const matching::PriceVector& price, const matching::QuantityVector& quantity);
// What "volume" counts: tokens, else GPU-seconds, else requests.
std::int64_t volume(const matching::QuantityVector& quantity);

struct TradeRow {              // a match, without the people
    std::uint64_t number = 0;  // ascends; the page key, and nothing a stranger should be shown
    Instant at;
    MarketId market;
    std::string build;
    matching::Tier tier = matching::Tier::simulated;
    matching::PriceVector price;
    matching::QuantityVector quantity;
    Nano unit_price;  // see unit_price() below
    std::uint32_t slots = 0;
};
struct CandleRow {
    Instant from;
    Nano open, high, low, close;  // unit prices
    std::int64_t volume = 0;      // tokens (inference) or GPU-seconds (compute) matched
    std::int64_t count = 0;
};
struct PercentileRow {
    Instant from, to;
    std::int64_t count = 0;  // 0: the prices are 0
    Nano p10, p50, p90;      // nearest rank over all matches
};
struct DemandRow {
    Instant from;  // hour
    std::int64_t placed = 0, matched = 0, unmatched = 0;
    std::int64_t wanted = 0, unmet = 0;  // tokens or GPU-seconds
};
struct MarketRow {
    matching::Market market;
    std::int64_t offers = 0, slots = 0, slots_used = 0;  // active offers only
    std::int64_t resting = 0;                            // requests
    std::optional<matching::PriceVector> best_price;  // least in each dimension, of nodes in reach
    matching::TierSet tiers = 0;                      // of nodes that offer here
    std::int64_t context_tokens_max = 0;
    Nano last_unit_price;  // 0: never traded
    Instant last_trade_at;
};

// ---- Sums for people ---------------------------------------------------------------------------

enum class UsageGroup { day, market, node, key };
struct UsageRow {
    std::string name;  // "2026-11-22" (UTC), a market's name, or the number of a node or key
    std::int64_t jobs = 0, completed = 0;
    matching::QuantityVector usage;
    Nano captured, fee;
};
struct NetworkRow {
    std::optional<matching::Tier> tier;  // none before the first verdict
    std::string region, gpu_model;
    std::int64_t nodes = 0, available = 0, gpus = 0, gpus_available = 0;
};

// ---- Operation --------------------------------------------------------------------------------

struct Overview {
    std::int64_t developers = 0, providers = 0, accounts_frozen = 0;
    std::int64_t nodes = 0, nodes_connected = 0, nodes_suspended = 0, nodes_attested = 0;
    std::int64_t markets = 0, offers_active = 0, slots = 0, slots_used = 0;
    std::int64_t requests_resting = 0, jobs_open = 0, payouts_open = 0;
    std::uint64_t journal_sequence = 0;
};
struct LedgerLine {  // all accounts together, per bucket
    matching::Bucket bucket = matching::Bucket::available;
    std::int64_t accounts = 0;  // with a balance that is not zero
    Nano amount;
};

// ---- Feeds ------------------------------------------------------------------------------------

// One event with the accounts it concerns (none of them: public or the market's own).
struct FeedEvent {
    EntryKey key;
    Instant at;
    matching::Event event;
    AccountId account, provider;
};
struct Feed {
    std::vector<FeedEvent> events;
    std::uint64_t scanned_to = 0;  // go on from here
    bool more = false;             // the journal has entries behind scanned_to
};

// One event for one webhook, until it is delivered or given up.
struct Delivery {
    AccountId account;  // the webhook's; none: it is gone. Only read by Outbox::due
    WebhookId webhook;
    EntryKey key;
    std::uint32_t attempts = 0;
    Instant next_attempt_at;  // 0: ended
    Instant ended_at;         // delivered, or given up (then `failure` says why); 0: not yet
    std::int32_t status = 0;  // HTTP status of the last attempt; 0: none
    std::string failure;      // short reason of the last failed attempt
};

// Where the wallet's coins are, as one sum: its balance is what is owed, what is held, and what the
// operator put in, less fees and what is on its way to the wallet itself.
struct Reconciliation {
    Instant at;
    std::uint64_t lt = 0;  // of the newest transaction it includes
    Nano balance;          // the chain's
    Nano owed;             // the books': to all accounts together
    Nano held;             // belongs to nobody yet
    Nano operator_funds;   // put in by the operator, and what else nobody else claims
    Nano fees;             // taken by the chain so far
    Nano moving;           // left the wallet for itself and is not back
    Nano difference;       // balance less all of that; not zero: an operator must look

    // What is the operator's own in the wallet; below zero, it holds less than it owes.
    Nano cover() const { return balance + moving - owed - held; }
    bool operator==(const Reconciliation&) const = default;
};

// What is owed to each account but the house, at one sequence of the projections.
struct Liabilities {
    std::uint64_t sequence = 0;
    std::vector<std::pair<std::uint64_t, Nano>> accounts;  // by id
    Nano on_hold;  // came in and belongs to none of them, at that moment
};
// What became of what an account earned and asked to be paid, and the instant of that state.
struct EarnedSums {
    Nano paid, paying;
    Instant at;
};

// A payout batch that has not ended.
struct OpenBatchRow {
    std::uint64_t number = 0;
    bool accepted = false;  // the wallet took it
    std::int64_t payouts = 0;
    Nano cost;
    Instant expires_at;
    std::string message_hash;
};
// What the settlement worker knows of the chain.
struct SettlementRow {
    std::optional<Reconciliation> reconciliation;  // the newest; nothing before the first
    std::int64_t holds = 0;
    Nano held;
    std::vector<OpenBatchRow> batches;  // by number
    bool payouts_paused = false;
};
// A build of the register, and the machines that show all of its registers by evidence that holds.
struct MeasurementRow {
    matching::Measurement measurement;
    std::int64_t nodes = 0, nodes_connected = 0;
};
// What the operator decided about it.
struct DecisionRow {
    Instant at;
    std::string from, to, reason;
};

// Coins that came in and could not be credited by themselves.
struct HoldRow {
    settlement::HoldId id;
    std::string reference, source, memo, reason;
    Nano amount;
    Instant at;
    AccountId credited_to;  // by an operator; none: still on hold
};

}  // namespace cocoon::db
