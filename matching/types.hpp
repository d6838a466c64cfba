// The nouns of the market as plain structs. The engine changes them only through events
// (matching/events.hpp), the projector writes them to tables as they are, the API renders them.
// No behaviour here beyond arithmetic on vectors; nothing reads a clock.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.hpp"
#include "core/ids.hpp"
#include "core/money.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "matching/list.hpp"

namespace cocoon::matching {

// ---- Money ------------------------------------------------------------------------------------

// Where an account's money is. Each account has every bucket; kinds use those that make sense.
//   available  a developer may spend or withdraw it        held    promised to open jobs
//   earned     a provider may withdraw it                  paying  in a payout not yet settled
//   fees       the market's own income (house only)        chain   the coin outside the books
//   (house
//              only): minus everything the market owes or owns, so that all balances sum to zero
enum class Bucket : std::uint8_t { available, held, earned, paying, fees, chain };
constexpr std::size_t bucket_count = 6;
using Balances = std::array<Nano, bucket_count>;

// One leg pair of the double entry: `amount` > 0 moves from one balance to another, so a posting is
// balanced by construction. `cause` of a posting is the journal sequence that carries it.
struct Posting {
    AccountId from;
    Bucket from_bucket = Bucket::available;
    AccountId to;
    Bucket to_bucket = Bucket::available;
    Nano amount;
    JobId job;  // none for deposits and payouts
    COCOON_FIELDS(Posting, from, from_bucket, to, to_bucket, amount, job)
};

// The market's own account: fees and the chain.
constexpr AccountId house{1};

// ---- Vectors ----------------------------------------------------------------------------------

// nanoTON per million tokens of each sort, per request, per GPU-second. All >= 0, and at most
// limits::price_nano_max.
struct PriceVector {
    Nano prompt, cached, completion, reasoning, request, gpu_second;
    COCOON_FIELDS(PriceVector, prompt, cached, completion, reasoning, request, gpu_second)
};

// Disjoint counts: `prompt` are the prompt tokens not served from cache, `completion` the output
// tokens that are not reasoning. As a bound of a request: prompt + cached together bound the prompt
// side, completion + reasoning the output side; the split says what is expected and ranks offers.
struct QuantityVector {
    std::int64_t prompt = 0, cached = 0, completion = 0, reasoning = 0, requests = 0,
                 gpu_seconds = 0;
    COCOON_FIELDS(QuantityVector, prompt, cached, completion, reasoning, requests, gpu_seconds)
};

// Exact cost: 128-bit sum, one rounding, up. arithmetic_overflow if it exceeds int64.
Result<Nano> cost(const PriceVector& price, const QuantityVector& quantity);
// The most that any usage within `quantity` can cost: each side at the dearer of its two prices.
Result<Nano> cost_max(const PriceVector& price, const QuantityVector& quantity);
// Whether `usage` stays within the bounds that `quantity` sets (sides, requests, gpu_seconds).
bool within(const QuantityVector& usage, const QuantityVector& quantity);

// ---- Trust ------------------------------------------------------------------------------------

// What the evidence proves. `simulated` proves nothing about hardware; it exists for development
// and is matched only when the operator enables it and the request names it.
enum class Tier : std::uint8_t { simulated, snp, tdx, snp_gpu_cc, tdx_gpu_cc };
constexpr std::size_t tier_count = 5;
std::string_view tier_name(Tier tier);  // "simulated", "snp", "tdx", "snp+gpu-cc", "tdx+gpu-cc"
std::optional<Tier> tier_from_name(std::string_view name);
using TierSet = std::uint8_t;  // bit i = Tier i
constexpr TierSet tier_bit(Tier tier) {
    return static_cast<TierSet>(1u << static_cast<unsigned>(tier));
}
constexpr TierSet real_tiers = 0b11110;

// What a machine's evidence says it runs, as the registers that its hardware measured:
// "tdx.mrtd:<hex>", "snp.measurement:<hex>". Ascending, each name once.
using Registers = List<std::string>;
// Which hardware evidence shows: "cpu:<hex>" and "gpu:<hex>" are one device each and one node's at
// a time, "fmspc:<hex>" is a family, "simulated:<text>" is nothing but a name. The CPU's is first.
using Identities = List<std::string>;
constexpr bool is_exclusive(std::string_view identity) {
    return identity.starts_with("cpu:") || identity.starts_with("gpu:");
}

enum class MeasurementState : std::uint8_t { pending, approved, revoked };

// A build of the software that confidential machines run, in the public register. It speaks for
// every machine that shows all of its registers, whatever else that machine shows.
struct Measurement {
    MeasurementId id;
    AccountId submitter;
    std::string name, version;
    std::string source;  // https link to what it was built from
    std::string notes;
    Registers registers;
    MeasurementState state = MeasurementState::pending;
    std::string reason;  // of the newest decision
    Instant submitted_at, decided_at;
    COCOON_FIELDS(Measurement, id, submitter, name, version, source, notes, registers, state,
                  reason, submitted_at, decided_at)
};

// A CPU or GPU that evidence has shown.
struct Platform {
    std::string identity;
    NodeId node;  // the newest that showed it
    Instant first_seen_at;
    std::uint32_t probation_jobs_left = 0;  // CPUs only
    COCOON_FIELDS(Platform, identity, node, first_seen_at, probation_jobs_left)
};

// An identity whose nodes may not trade.
struct Denial {
    DenialId id;
    std::string identity, reason;
    Instant at;
    COCOON_FIELDS(Denial, id, identity, reason, at)
};

// What the operator demands of all nodes beyond a proven verdict.
struct TrustRule {
    TierSet approved_tiers = 0;        // of these, only machines whose measurement is approved
    std::uint32_t probation_jobs = 0;  // that a CPU never seen before completes under restraint
    COCOON_FIELDS(TrustRule, approved_tiers, probation_jobs)
};

// What register, deny-list and rule together say of a node. Only `good` trades with everybody; a
// `measurement_pending` one only with who names its measurement.
enum class Standing : std::uint8_t {
    good,
    measurement_pending,
    measurement_revoked,
    platform_denied
};

// Bits a provider promises and a developer may demand.
enum DataPolicy : std::uint8_t {
    zero_retention = 1,
    no_training = 2,
    gdpr = 4,
    hipaa = 8,
    soc2 = 16
};
using DataPolicySet = std::uint8_t;

// ---- People -----------------------------------------------------------------------------------

enum class AccountKind : std::uint8_t { house, developer, provider, admin, auditor };

struct Account {
    AccountId id;
    AccountKind kind = AccountKind::developer;
    bool frozen = false;
    std::string name;
    std::string profile;         // the sign-up form as canonical JSON; opaque here
    std::string payout_address;  // checked by the API; empty until given
    std::string deposit_memo;    // what a deposit must carry to reach this account
    Instant opened_at;
    std::uint32_t open_requests = 0;
    Balances balances{};
    COCOON_FIELDS(Account, id, kind, frozen, name, profile, payout_address, deposit_memo, opened_at,
                  open_requests, balances)
};

// What a key may do. A management key (accounts, keys, money) can never place work.
enum Scope : std::uint32_t {
    scope_read = 1,    // read own resources
    scope_work = 2,    // place requests, exchange, cancel
    scope_offer = 4,   // nodes and offers
    scope_manage = 8,  // keys, webhooks, profile, payouts
    scope_admin = 16,  // admin actions
    scope_audit = 32,  // read everything an auditor may
    scope_node = 64,   // one node's own credential: relay, evidence, its offers
};
using ScopeSet = std::uint32_t;
using Digest = std::array<std::uint8_t, 32>;  // SHA-256

struct ApiKey {
    KeyId id;
    AccountId account;
    NodeId node;  // only for scope_node
    Digest secret_hash{};
    std::string name;
    std::string shown;  // the first characters, so that people can tell keys apart
    ScopeSet scopes = 0;
    Instant created_at;
    Instant expires_at;  // 0: never
    bool revoked = false;
    Nano cap_total, cap_day;      // 0: none
    Nano spent_total, spent_day;  // captured through this key; spent_day counts for `day`
    std::int64_t day = 0;         // days since the epoch, UTC
    Nano held;                    // open holds of this key
    // The key from which this one came by rotation, in one step or many: its caps, and what was
    // spent and is held, are those of all its successors together. None: the key's own.
    KeyId purse;
    COCOON_FIELDS(ApiKey, id, account, node, secret_hash, name, shown, scopes, created_at,
                  expires_at, revoked, cap_total, cap_day, spent_total, spent_day, day, held, purse)
};

struct Enrolment {  // a one-time token that turns a machine into a node
    Digest token_hash{};
    AccountId provider;
    Instant expires_at;
    COCOON_FIELDS(Enrolment, token_hash, provider, expires_at)
};

struct Webhook {
    WebhookId id;
    AccountId account;
    std::string url;
    std::string secret;               // signs deliveries; shown once
    std::vector<std::string> events;  // wire names; empty: all
    bool disabled = false;
    COCOON_FIELDS(Webhook, id, account, url, secret, events, disabled)
};

// ---- Supply -----------------------------------------------------------------------------------

// What the provider was told about a node's newest evidence, as bits: what it rests on ends in
// seven days, in one; the evidence itself ends in an hour; newer collateral speaks against it; it
// ended.
using NoticeSet = std::uint32_t;
constexpr NoticeSet notice_week = 1, notice_day = 2, notice_hour = 4, notice_doubt = 8,
                    notice_ended = 16;

struct Node {
    NodeId id;
    AccountId provider;
    std::string name;
    std::string region, country;  // "eu-west", ISO 3166 alpha-2
    std::string gpu_model;
    std::uint32_t gpu_count = 0;
    std::string hardware;  // canonical JSON, opaque
    Instant enrolled_at;
    // presence and state
    bool connected = false;
    bool draining = false;   // no new matches; running jobs finish
    bool suspended = false;  // by the operator
    bool retired = false;    // by its provider, for good
    std::string suspended_reason;
    // trust: from the newest verdict
    Tier tier = Tier::simulated;
    std::string measurement;  // all registers as one value, hex
    Registers registers;
    Identities identities;
    MeasurementId measurement_id;  // the register's entry that speaks for it; none: unregistered
    Standing standing = Standing::good;
    std::string standing_reason;
    std::uint32_t probation_jobs_left = 0;
    Instant evidence_valid_until;  // 0: no verdict yet
    // When the first of the certificates and lists ends that the evidence rests on, and which; 0:
    // none does.
    Instant collateral_until;
    std::string collateral_first;
    NoticeSet evidence_notices = 0;
    std::string evidence_hash;    // hex SHA-256 of the bundle
    std::string keyset_digest;    // "sha256:..."
    std::string keyset_document;  // canonical JSON
    // measured behaviour: integers, decayed per job (matching/ranking.hpp)
    std::uint32_t reliability_permille = 1000;
    std::uint32_t first_output_ms = 0;    // 0: not measured
    std::uint32_t tokens_per_second = 0;  // 0: not measured
    std::uint64_t jobs_completed = 0, jobs_failed = 0;
    COCOON_FIELDS(Node, id, provider, name, region, country, gpu_model, gpu_count, hardware,
                  enrolled_at, connected, draining, suspended, retired, suspended_reason, tier,
                  measurement, registers, identities, measurement_id, standing, standing_reason,
                  probation_jobs_left, evidence_valid_until, collateral_until, collateral_first,
                  evidence_notices, evidence_hash, keyset_digest, keyset_document,
                  reliability_permille, first_output_ms, tokens_per_second, jobs_completed,
                  jobs_failed)
};

enum class MarketKind : std::uint8_t { inference, compute };

// "inference:<model>" or "compute:<gpu class>". A pinned build is a constraint inside the market.
struct Market {
    MarketId id;
    MarketKind kind = MarketKind::inference;
    std::string name;
    bool paused = false;
    Instant opened_at;
    COCOON_FIELDS(Market, id, kind, name, paused, opened_at)
};

// Minutes of the UTC week (Monday 00:00 = 0), [from, to); an offer without windows is always open.
struct Window {
    std::uint16_t from_minute = 0, to_minute = 0;
    COCOON_FIELDS(Window, from_minute, to_minute)
};

enum class OfferState : std::uint8_t { active, paused, cancelled, expired };

struct Offer {
    OfferId id;
    AccountId provider;
    NodeId node;
    MarketId market;
    std::string build;  // empty: not pinned
    PriceVector price;
    std::uint32_t slots = 1, slots_used = 0;
    std::int64_t context_tokens_max = 0;  // prompt + output of one request; 0: no bound
    std::int64_t output_tokens_max = 0;   // 0: no bound
    DataPolicySet data_policy = 0;
    List<Window> windows;
    std::int64_t notice_seconds = 0;  // warning the provider promises before reclaiming
    List<AccountId> allow, deny;      // developers; empty allow = everyone
    OfferState state = OfferState::active;
    Instant placed_at;
    Instant expires_at;  // 0: never
    std::uint64_t priority =
        0;  // smaller first among equal prices: set when placed, repriced or filled
    std::uint64_t version = 1;  // ETag
    COCOON_FIELDS(Offer, id, provider, node, market, build, price, slots, slots_used,
                  context_tokens_max, output_tokens_max, data_policy, windows, notice_seconds,
                  allow, deny, state, placed_at, expires_at, priority, version)
};

// ---- Demand -----------------------------------------------------------------------------------

struct Constraints {
    TierSet tiers = real_tiers;
    List<std::string> regions, countries, measurements, gpu_models;  // empty: any
    std::uint32_t reputation_permille_min = 0;
    DataPolicySet data_policy = 0;
    std::int64_t notice_seconds_min = 0;
    List<AccountId> providers_allow, providers_deny;
    // Preferences: an offer that misses one costs more in the ranking, it is not removed.
    std::uint32_t first_output_ms_preferred = 0;    // 0: none
    std::uint32_t tokens_per_second_preferred = 0;  // 0: none
    COCOON_FIELDS(Constraints, tiers, regions, countries, measurements, gpu_models,
                  reputation_permille_min, data_policy, notice_seconds_min, providers_allow,
                  providers_deny, first_output_ms_preferred, tokens_per_second_preferred)
};

struct Alternative {
    MarketId market;
    std::string build;  // empty: any
    COCOON_FIELDS(Alternative, market, build)
};

enum class TimeInForce : std::uint8_t { immediate, rest };
enum class RequestState : std::uint8_t {
    resting,
    matched,
    completed,
    failed,
    cancelled,
    expired,
    unmatched
};

struct Request {
    RequestId id;
    AccountId account;
    KeyId key;
    List<Alternative> alternatives;  // 1..limits::alternatives_max; the cheapest eligible wins
    QuantityVector quantity;
    Nano cap_total;                                             // most the hold may be; 0: none
    PriceVector cap_price{{-1}, {-1}, {-1}, {-1}, {-1}, {-1}};  // most per dimension; -1: none
    Constraints constraints;
    std::uint32_t slots = 1;  // of one offer, all or none
    bool session = false;     // many exchanges inside one job
    TimeInForce time_in_force = TimeInForce::immediate;
    Instant rest_until;              // when time_in_force is rest
    Duration job_duration;           // life of the reservation once matched
    std::uint32_t attempts_max = 3;  // matches before it fails, when nodes are lost
    // state
    RequestState state = RequestState::resting;
    std::string reason;  // why it ended
    Instant placed_at, ended_at;
    JobId job;  // the newest
    std::uint32_t attempts = 0;
    List<NodeId> nodes_lost;  // not matched again
    std::uint64_t priority = 0;
    std::uint64_t version = 1;
    COCOON_FIELDS(Request, id, account, key, alternatives, quantity, cap_total, cap_price,
                  constraints, slots, session, time_in_force, rest_until, job_duration,
                  attempts_max, state, reason, placed_at, ended_at, job, attempts, nodes_lost,
                  priority, version)
};

// A match and all that follows from it. The reservation is the job's first state: slots of the
// offer and money of the developer, held until `expires_at` under a fencing token.
enum class JobState : std::uint8_t { reserved, running, completed, failed, cancelled, expired };

struct Job {
    JobId id;
    RequestId request;
    AccountId account;
    KeyId key;
    AccountId provider;
    NodeId node;
    OfferId offer;
    MarketId market;
    std::string build;
    bool session = false;
    PriceVector price;        // the offer's at the match; bound to this job whatever happens later
    QuantityVector quantity;  // bound of the whole job
    std::uint32_t slots = 1;
    std::uint32_t attempt = 1;
    int fee_basis_points = 0;  // as it was at the match
    std::uint64_t fencing_token = 0;
    std::string keyset_digest, evidence_hash;  // what the client must find
    JobState state = JobState::reserved;
    std::string reason;
    Instant reserved_at, expires_at, started_at, ended_at;
    Nano hold;                  // still held
    Nano captured, fee;         // paid by the developer; the market's part of it
    QuantityVector usage;       // captured so far
    std::uint64_t counter = 0;  // sessions: newest captured counter
    std::string receipt_hash;   // hex SHA-256 of the newest captured receipt
    std::uint32_t first_output_ms = 0, output_ms = 0;  // as the relay measured them
    COCOON_FIELDS(Job, id, request, account, key, provider, node, offer, market, build, session,
                  price, quantity, slots, attempt, fee_basis_points, fencing_token, keyset_digest,
                  evidence_hash, state, reason, reserved_at, expires_at, started_at, ended_at, hold,
                  captured, fee, usage, counter, receipt_hash, first_output_ms, output_ms)
};

// ---- Chain ------------------------------------------------------------------------------------

struct Deposit {
    DepositId id;
    AccountId account;
    Nano amount;
    std::string reference;  // the chain's own identity of it, unique: credited once
    Instant at;
    COCOON_FIELDS(Deposit, id, account, amount, reference, at)
};

// A large payout waits for two people's word before it is queued. paid, returned (the chain left it
// out) and rejected (an admin said no) are its ends; the last two give the money back.
enum class PayoutState : std::uint8_t { queued, sent, paid, returned, awaiting_approval, rejected };
constexpr bool unsettled(PayoutState state) {
    return state == PayoutState::queued || state == PayoutState::sent ||
           state == PayoutState::awaiting_approval;
}
// How many admins, none of them twice, must approve a payout that waits for it.
constexpr std::size_t payout_approvals = 2;

struct Payout {
    PayoutId id;
    AccountId account;
    Bucket source = Bucket::earned;  // earned (provider) or available (developer's withdrawal)
    Nano amount;
    std::string address;
    PayoutState state = PayoutState::queued;
    std::string reference;  // batch while sent, transaction when paid
    Instant requested_at, settled_at;
    List<AccountId> approvers;  // admins who said yes, in their order
    std::string reason;         // why it was rejected
    COCOON_FIELDS(Payout, id, account, source, amount, address, state, reference, requested_at,
                  settled_at, approvers, reason)
};

// Names on the wire, in SQL and in metrics are the enumerators' own.
std::string_view name_of(Bucket);
std::string_view name_of(AccountKind);
std::string_view name_of(MarketKind);
std::string_view name_of(OfferState);
std::string_view name_of(TimeInForce);
std::string_view name_of(RequestState);
std::string_view name_of(JobState);
std::string_view name_of(PayoutState);
std::string_view name_of(MeasurementState);
std::string_view name_of(Standing);

}  // namespace cocoon::matching
