// Everything the market knows, and the one function that changes it. The lane's Writer owns it;
// tests and the replay tool own theirs. It is only a cache of the journal: replaying all entries
// rebuilds it, and so does restore() of the projections plus the entries after them. One thread.
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "matching/book.hpp"
#include "matching/events.hpp"
#include "matching/journal.hpp"
#include "matching/table.hpp"
#include "matching/timers.hpp"

namespace cocoon::matching {

// The answer that an idempotency key already got.
struct Remembered {
    Digest input_hash{};
    std::string answer;  // encode_reply()
    Instant at;
    std::uint64_t sequence = 0;
    COCOON_FIELDS(Remembered, input_hash, answer, at, sequence)
};

// ---- Records: an entity and its links. Links and indexes are derived, never stored. -----------

struct MarketRecord;
struct NodeRecord;
struct JobRecord;

struct AccountRecord {
    Account account;
    bool changed = false;
    std::uint32_t live_keys = 0;  // not revoked; nodes' own ones apart
    std::uint32_t webhooks = 0;
    std::uint32_t enrolments = 0;  // not used yet
    std::uint32_t measurements = 0;
    std::uint32_t open_payouts = 0;
    std::vector<NodeRecord*> nodes{};
};
struct KeyRecord {
    ApiKey key;
    bool changed = false;
};
struct NodeRecord {
    Node node;
    bool changed = false;
    AccountRecord* provider = nullptr;
    std::vector<OfferRecord*> offers{};  // active and paused ones
    std::vector<JobRecord*> jobs{};      // open ones
    std::uint32_t slots_used = 0;        // of all its offers
    std::uint32_t penalty_permille = 1000;
    Instant away_since{};
    Instant evidence_due{};                                // for which a timer stands
    std::shared_ptr<const std::string> keyset_document{};  // travels with matches
};
struct Trade {
    PriceVector price;
    Instant at;
};
struct MarketRecord {
    Market market;
    bool changed = false, seen_change = false;
    Book book{};
    std::vector<OfferRecord*> offers{};  // active and paused ones
    std::optional<Trade> last_trade{};   // since the start of this process
    List<Alternative> alone{};           // this market and nothing else: most requests share it
};
struct OfferRecord {
    Offer offer;
    OfferLink link{};
    NodeRecord* node = nullptr;
    MarketRecord* market = nullptr;
    std::uint32_t market_position = 0;
    Instant window_edge{};  // for which a timer stands
    bool changed = false;
    // Since the offer came into the book, as it is now: whether a walk past the resting requests is
    // unfinished, or done. Either way those that came since have looked at it themselves.
    bool walking = false, walked = false;
};
struct RequestRecord {
    Request request;
    BidLink bid{};                // of the first alternative
    std::vector<BidLink> bids{};  // of the others
    bool changed = false, starved = false;
    Nano starved_hold{};  // no offer that fits needs less than this
};
struct JobRecord {
    Job job;
    NodeRecord* node = nullptr;  // links of open jobs only
    OfferRecord* offer = nullptr;
    std::uint32_t node_position = 0;
    bool changed = false;
};

struct StateHash {
    std::uint64_t high = 0, low = 0;
    bool operator==(const StateHash&) const = default;
    std::string text() const;  // 32 hex digits
};

// At most three legs: an event moves money in few ways.
struct Postings {
    std::array<Posting, 3> legs{};
    std::size_t count = 0;

    const Posting* begin() const { return legs.data(); }
    const Posting* end() const { return legs.data() + count; }
    std::size_t size() const { return count; }
};

struct DigestHash {
    std::size_t operator()(const Digest& digest) const noexcept;
};

// How much is remembered of whom.
struct RememberedUse {
    std::size_t answers = 0, bytes = 0;
    Instant oldest;  // the next to be forgotten, limits::idempotency_seconds after it
};

struct State {
    State();
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    // ---- Change ---------------------------------------------------------------------------------
    // The only code that changes entities. `at` is the entry's. Returns the money it moved.
    Postings apply(const Event& event, Instant at);
    // Applies an entry of the journal whole: events, sequence, remembered key.
    void replay(const Entry& entry);

    // ---- Load: the projections' rows in any order, then finish_restore() once -------------------
    // Rows wanted: all accounts, keys, nodes, markets, webhooks, enrolments, deposits,
    // measurements, platforms, denials; offers that
    // are active or paused or have slots used; requests and jobs that are open or ended within
    // limits::terminal_in_memory_seconds; unsettled payouts; remembered keys younger than
    // limits::idempotency_seconds.
    void restore(Account account);
    void restore(ApiKey key);
    void restore(Enrolment enrolment);
    void restore(Node node);
    void restore(Market market);
    void restore(Offer offer);
    void restore(Request request);
    void restore(Job job);
    void restore(Payout payout);
    void restore(Webhook webhook);
    void restore(const Deposit& deposit);
    void restore(Measurement measurement);
    void restore(Platform platform);
    void restore(Denial denial);
    void restore_fee(int basis_points);
    void restore_payouts_paused(bool paused);
    void restore(const TrustRule& rule);
    void finish_restore(const Counters& counters);

    void remember(AccountId actor, std::string idempotency_key, Remembered remembered);
    const Remembered* remembered(AccountId actor, const std::string& idempotency_key) const;
    RememberedUse remembered_of(AccountId actor) const;
    RememberedUse remembered_of_all() const;

    // ---- What changed ---------------------------------------------------------------------------
    // The newest value of everything touched since the last take.
    Changes take_changes();
    void discard_changes();

    // Digest of every live entity: accounts, keys, enrolments, nodes, markets, live offers, open
    // requests and jobs, open payouts, webhooks, fee, counters. Ended ones that merely wait to be
    // forgotten, links, remembered keys and deposits are not part of it.
    StateHash hash() const;

    // Drops what ended limits::terminal_in_memory_seconds before `at`. Called between commands.
    void forget(Instant at);

    // ---- Lookups --------------------------------------------------------------------------------
    AccountRecord* account_by_memo(const std::string& memo);
    KeyRecord* key_by_secret(const Digest& secret_hash);
    const ApiKey* key_by_secret(const Digest& secret_hash) const;
    // The key whose caps and counters count for this one.
    KeyRecord& purse_of(KeyRecord& record);
    const KeyRecord& purse_of(const KeyRecord& record) const;
    MarketRecord* market_by_name(const std::string& name);
    const MarketRecord* market_by_name(const std::string& name) const;
    // The register's entries with exactly these registers, oldest first.
    std::span<const MeasurementId> measurements_with(const Registers& registers) const;
    // The entry that speaks for a machine with these registers: of those of which it shows all
    // registers, a revoked one before an approved one before a pending one. Where several have the
    // same registers, the newest decision counts. Null: none.
    const Measurement* measurement_for(const Registers& registers) const;
    bool deposit_known(const std::string& reference) const { return deposits.contains(reference); }

    // Whether the offer belongs in the book now (time aside: schedule and evidence are judged per
    // request).
    bool matchable(const OfferRecord& record) const;
    bool open_for_trade(const OfferRecord& record) const;  // market not paused, provider not frozen

    // ---- Marks the engine leaves (derived, found again after a load) ----------------------------
    // The request fits an offer but its account or key cannot bear `hold`, the least that any such
    // offer needs.
    void starve(RequestRecord& record, Nano hold, Instant at);
    void unstarve(RequestRecord& record);
    bool has_starved(AccountId account) const;
    // Leaves the offer's walk at a request, to be taken up by a Tick.
    void postpone_walk(OfferRecord& offer, BidLink& at, Book::Turn turn);
    void schedule_window(OfferRecord& record, Instant at);

    Table<AccountId, AccountRecord> accounts;
    Table<KeyId, KeyRecord> keys;
    Table<NodeId, NodeRecord> nodes;
    Table<MarketId, MarketRecord> markets;
    Table<OfferId, OfferRecord> offers;
    Table<RequestId, RequestRecord> requests;
    Table<JobId, JobRecord> jobs;
    std::map<PayoutId, Payout> payouts;
    std::map<WebhookId, Webhook> webhooks;
    std::map<MeasurementId, Measurement> measurements;
    std::map<std::string, Platform, std::less<>> platforms;  // by identity
    std::map<std::string, Denial, std::less<>> denials;      // likewise
    TrustRule trust_rule;
    std::unordered_map<Digest, Enrolment, DigestHash> enrolments;
    std::unordered_map<std::string, DepositId> deposits;  // reference → id: credited once
    int fee_basis_points = 500;
    bool payouts_paused = false;  // by the operator: no new batches
    Counters counters;
    Timers timers;
    // Resting requests that would match if there were money for them, by purse, the least hold
    // first: tried again when that much has come.
    using Starved = std::set<std::pair<Nano, RequestId>>;
    std::map<std::pair<AccountId, KeyId>, Starved> starved;
    std::deque<MarketId> walked_markets;  // whose books have unfinished walks, or had: by turns

private:
    struct Applier;  // one overload per event (state_apply.cpp)
    friend struct Applier;

    struct Ended {
        Instant at;
        enum Kind : std::uint8_t { offer, request, job, payout } kind;
        std::uint64_t id;
    };

    void post(const Posting& posting);
    void index(OfferRecord& record);
    void unindex(OfferRecord& record);
    void reindex_node(NodeRecord& node);
    void index(RequestRecord& record);
    void unindex(RequestRecord& record);
    void link(OfferRecord& record);
    void unlink(OfferRecord& record);
    void link(JobRecord& record);
    void unlink(JobRecord& record);
    void schedule(OfferRecord& record, Instant at);
    // A timer whose instant changed, and only then: 0 is none.
    void reschedule(Instant before, Instant after, TimerKind kind, std::uint64_t id);
    void finish(Ended::Kind kind, std::uint64_t id, Instant at);
    void expect(const Ended& ended) const;
    void schedule_evidence(NodeRecord& record);
    bool live(const Timer& timer) const;
    void restore_links();
    void restore_timers();
    void touch(AccountRecord& record);
    void touch(KeyRecord& record);
    void touch(NodeRecord& record);
    void touch(MarketRecord& record);
    void touch(OfferRecord& record);
    void touch(RequestRecord& record);
    void touch(JobRecord& record);
    void touch(Platform& platform);
    void market_seen(MarketRecord& record);
    void add(const Measurement& measurement);
    const Measurement* measurement_with(const std::string& joined) const;

    std::unordered_map<std::string, AccountId> memos_;
    std::unordered_map<Digest, KeyId, DigestHash> secrets_;
    std::unordered_map<std::string, MarketId> market_names_;
    // "actor:key" → answer, and the entries of that map in the order of their instants.
    using RememberedEntry = std::pair<const std::string, Remembered>;
    using RememberedOrder = std::deque<std::pair<AccountId, const RememberedEntry*>>;
    void forget_answers(Instant oldest);
    void forget_answer(RememberedOrder::iterator place);
    std::unordered_map<std::string, Remembered> remembered_;
    RememberedOrder remembered_order_;
    struct Memory {
        std::size_t bytes = 0;
        std::deque<Instant> instants;
    };
    std::unordered_map<AccountId, Memory> memories_;
    std::size_t remembered_bytes_ = 0;
    std::deque<Ended> ended_;
    Instant midnight_;  // for which a timer stands
    std::vector<Digest> enrolments_touched_, enrolments_ended_;
    std::vector<Deposit> deposits_new_;
    bool fee_touched_ = false, pause_touched_ = false, trust_rule_touched_ = false;
    std::unordered_map<std::string, std::vector<MeasurementId>> measurements_by_registers_;
    std::vector<MeasurementId> measurements_touched_;
    std::vector<std::string> platforms_touched_, denials_touched_;
    std::vector<AccountId> accounts_touched_;
    std::vector<KeyId> keys_touched_;
    std::vector<NodeId> nodes_touched_;
    std::vector<MarketId> markets_touched_;
    std::vector<OfferId> offers_touched_;
    std::vector<RequestId> requests_touched_;
    std::vector<JobId> jobs_touched_;
    std::vector<PayoutId> payouts_touched_;
    std::vector<WebhookId> webhooks_touched_;

public:
    // Markets whose public view changed since the last call (matching/views.hpp).
    std::vector<MarketId> take_markets_seen();

private:
    std::vector<MarketId> markets_seen_;
};

// How long ahead a provider is told of the end of what a node's evidence rests on.
constexpr std::array<std::pair<NoticeSet, Duration>, 2> collateral_notices{
    {{notice_week, days(7)}, {notice_day, days(1)}}};
// And of the evidence's own end, unless it lives less than four times as long.
constexpr Duration evidence_notice_ahead = hours(1);
// When a node's evidence next needs a word to its provider; 0: never.
Instant evidence_due(const Node& node);

// What money the event moves, given the state just before it. Pure: replay and ledger projection
// agree.
Postings postings_of(const Event& event, const State& state);

// Days since the epoch in UTC, for caps per day.
std::int64_t day_of(Instant at);

}  // namespace cocoon::matching
