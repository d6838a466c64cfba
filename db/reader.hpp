// All questions the API asks of the tables. One Reader is one read-only snapshot: everything read
// through it belongs together and is the market at as_of(). A worker thread makes it, asks,
// renders, drops it. Handlers see plain rows; tenancy is an argument, never forgotten: a row of
// another account is simply not found. Throws db::Failure on a broken machine.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "db/pool.hpp"
#include "db/rows.hpp"

namespace cocoon::db {

struct RequestFilter {
    std::optional<matching::RequestState> state{};
    MarketId market{};  // none: all; any alternative counts
};
struct JobFilter {
    std::optional<matching::JobState> state{};
    RequestId request{};
    NodeId node{};
    MarketId market{};
};
struct OfferFilter {
    AccountId provider{};  // none: every provider's
    NodeId node{};
    MarketId market{};
    std::optional<matching::OfferState> state{};
};
struct NodeFilter {
    AccountId provider{};  // none: every provider's
    std::optional<matching::Tier> tier{};
    std::string region{};         // empty: every one
    MeasurementId measurement{};  // that their evidence shows; none: any
    // Only nodes that are connected, not draining, not suspended, with evidence valid at this
    // instant.
    std::optional<Instant> matchable_at{};
};

struct MeasurementFilter {
    std::optional<matching::MeasurementState> state{};
    std::string kind{};     // "tdx"; empty: any
    std::string value{};    // one of its registers, hex; empty: any
    AccountId submitter{};  // none: anyone
};

class Reader {
public:
    // Takes a connection of the pool and begins the snapshot. Throws PoolExhausted, ConnectionLost.
    explicit Reader(Pool& pool);
    ~Reader();
    Reader(Reader&&) noexcept;

    // The journal sequence that everything read here includes.
    std::uint64_t as_of() const { return as_of_; }
    int fee_basis_points() const { return fee_basis_points_; }

    // ---- Accounts and keys
    std::optional<Credential> credential(const matching::Digest& secret_hash);
    std::optional<matching::Account> account(AccountId account);
    Listed<matching::Account> accounts(std::optional<matching::AccountKind> kind, PageBefore page);
    std::vector<matching::ApiKey> keys(AccountId account);
    std::optional<matching::ApiKey> key(AccountId account, KeyId key);
    // Entries that touch the account in [from, to), oldest first, after `after`. 0: open end.
    Listed<StatementLine> statement(AccountId account, Instant from, Instant to, EntryKey after,
                                    std::uint32_t rows_max);
    Listed<matching::Deposit> deposits(AccountId account, PageBefore page);  // none: everyone's
    Listed<matching::Payout> payouts(AccountId account, PageBefore page);    // none: everyone's
    // Everyone's, newest first; of one state, or of all.
    Listed<matching::Payout> payouts_in(std::optional<matching::PayoutState> state,
                                        PageBefore page);
    EarnedSums earned_sums(AccountId account);
    std::vector<matching::Webhook> webhooks(AccountId account);
    bool any_webhook();  // one that is not disabled, of whomever

    // ---- Supply
    Listed<matching::Node> nodes(const NodeFilter& filter, PageBefore page);
    std::optional<matching::Node> node(NodeId node);
    Listed<MeasurementRow> measurements(const MeasurementFilter& filter, Instant now,
                                        PageBefore page);
    std::optional<MeasurementRow> measurement(MeasurementId measurement, Instant now);
    std::vector<DecisionRow> decisions(MeasurementId measurement);  // oldest first
    Listed<matching::Denial> denials(PageBefore page);
    std::optional<EvidenceRow> evidence(NodeId node);
    // A bundle by its hash, for jobs whose node has attested anew since.
    std::optional<EvidenceRow> evidence(NodeId node, std::string_view evidence_hash);
    Listed<OfferRow> offers(const OfferFilter& filter, PageBefore page);
    std::optional<OfferRow> offer(OfferId offer);

    // ---- Demand. `account` sees its own; for jobs also as the provider. none: an auditor, all
    // (lists then look at the 20,000 newest ids before the page only).
    Listed<RequestRow> requests(AccountId account, const RequestFilter& filter, PageBefore page);
    std::optional<RequestRow> request(AccountId account, RequestId request);
    Listed<JobRow> jobs(AccountId account, const JobFilter& filter, PageBefore page);
    std::optional<JobRow> job(AccountId account, JobId job);
    std::optional<ReceiptRow> receipt(JobId job);  // newest counter
    std::optional<ReceiptRow> receipt(JobId job, std::uint64_t counter);

    // ---- Sums for people, over jobs that ended in [from, to). At most 1,000 groups; the newest
    // day, or the largest amount, first.
    std::vector<UsageRow> usage_bought(AccountId account, UsageGroup group, Instant from,
                                       Instant to);
    std::vector<UsageRow> usage_sold(AccountId provider, UsageGroup group, Instant from,
                                     Instant to);
    std::vector<NetworkRow> network(Instant now);

    // ---- Public market data
    std::vector<MarketRow> markets();
    std::optional<MarketRow> market(std::string_view name);
    Listed<TradeRow> trades(MarketId market, PageBefore page);  // newest first, by number
    // `interval` is a multiple of a minute that divides a day; ascending; [from, to).
    std::vector<CandleRow> candles(MarketId market, Duration interval, Instant from, Instant to);
    PercentileRow percentiles(MarketId market, Instant from, Instant to);
    std::vector<DemandRow> demand(MarketId market, Instant from, Instant to);

    // ---- Operation
    Overview overview(Instant now);
    std::vector<LedgerLine> ledger();
    SettlementRow settlement();
    // Newest first; `open`: only what is still on hold, or only what is no more.
    Listed<HoldRow> holds(std::optional<bool> open, PageBefore page);
    Listed<AuditRow> audit(EntryKey before, std::uint32_t rows_max);  // newest first

    // ---- Feeds: events that concern `account`, after `after`; looks at no more than `entries_max`
    // journal entries. none: all events, for the webhook worker and the auditor.
    Feed feed(AccountId account, std::uint64_t after, std::size_t entries_max);
    std::optional<FeedEvent> event_at(EntryKey key);

private:
    std::int64_t newest_id();

    struct Held;
    std::unique_ptr<Held> held_;
    std::uint64_t as_of_ = 0;
    int fee_basis_points_ = 0;
};

}  // namespace cocoon::db
