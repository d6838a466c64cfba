// All that can have happened. The journal stores events, never commands: replaying them rebuilds
// the state whatever the matching rule has become since. `State::apply` is the only code that
// changes state, and money moves only through `postings_of(event)`.
#pragma once

#include <variant>

#include "matching/types.hpp"

namespace cocoon::matching {

struct AccountOpened {
    Account account;
    COCOON_FIELDS(AccountOpened, account)
};
struct AccountAmended {
    AccountId account;
    std::string name, profile, payout_address;
    bool frozen = false;
    COCOON_FIELDS(AccountAmended, account, name, profile, payout_address, frozen)
};
struct KeyCreated {
    ApiKey key;
    COCOON_FIELDS(KeyCreated, key)
};
struct KeyAmended {  // caps, name, expiry; revocation is `revoked`
    KeyId key;
    std::string name;
    Nano cap_total, cap_day;
    Instant expires_at;
    bool revoked = false;
    COCOON_FIELDS(KeyAmended, key, name, cap_total, cap_day, expires_at, revoked)
};
struct EnrolmentIssued {
    Enrolment enrolment;
    COCOON_FIELDS(EnrolmentIssued, enrolment)
};
struct EnrolmentEnded {
    Digest token_hash{};
    COCOON_FIELDS(EnrolmentEnded, token_hash)
};  // used or expired
struct NodeEnrolled {
    Node node;
    Digest token_hash{};
    COCOON_FIELDS(NodeEnrolled, node, token_hash)
};
struct NodeAttested {
    NodeId node;
    Tier tier = Tier::simulated;
    std::string measurement;
    Registers registers;
    Identities identities;
    std::string keyset_digest, keyset_document, evidence_hash;
    std::string evidence;  // the raw bundle, for buyers; kept by the projection, not in memory
    std::string verdict;   // canonical JSON of all checks; likewise
    Instant valid_until;
    std::uint32_t probation_jobs = 0;  // of its CPU, if that was never seen before
    Instant collateral_until;          // as Node has it
    std::string collateral_first;      // likewise
    COCOON_FIELDS(NodeAttested, node, tier, measurement, registers, identities, keyset_digest,
                  keyset_document, evidence_hash, evidence, verdict, valid_until, probation_jobs,
                  collateral_until, collateral_first)
};
struct EvidenceExpiring {  // the provider is told ahead, once for each notice
    NodeId node;
    NoticeSet notices = 0;  // that are told with this
    Instant ends_at;
    std::string what;  // ends then; empty: the evidence itself
    COCOON_FIELDS(EvidenceExpiring, node, notices, ends_at, what)
};
struct EvidenceDoubted {  // newer collateral or policy refuses it: it ends sooner
    NodeId node;
    Instant ends_at;
    std::string reason;
    COCOON_FIELDS(EvidenceDoubted, node, ends_at, reason)
};
struct EvidenceEnded {  // no match until the node has attested anew
    NodeId node;
    std::string reason;
    COCOON_FIELDS(EvidenceEnded, node, reason)
};
struct NodeRetired {
    NodeId node;
    COCOON_FIELDS(NodeRetired, node)
};
struct NodeStanding {
    NodeId node;
    MeasurementId measurement;
    Standing standing = Standing::good;
    std::string reason;
    COCOON_FIELDS(NodeStanding, node, measurement, standing, reason)
};
struct MeasurementSubmitted {
    Measurement measurement;
    COCOON_FIELDS(MeasurementSubmitted, measurement)
};
struct MeasurementDecided {
    MeasurementId measurement;
    MeasurementState state = MeasurementState::approved;
    std::string reason;
    COCOON_FIELDS(MeasurementDecided, measurement, state, reason)
};
struct IdentityDenied {
    Denial denial;
    COCOON_FIELDS(IdentityDenied, denial)
};
struct DenialLifted {
    std::string identity;
    COCOON_FIELDS(DenialLifted, identity)
};
struct TrustRuleChanged {
    TrustRule rule;
    COCOON_FIELDS(TrustRuleChanged, rule)
};
struct NodePresence {
    NodeId node;
    bool connected = false;
    COCOON_FIELDS(NodePresence, node, connected)
};
struct NodeDrained {
    NodeId node;
    bool draining = false;
    COCOON_FIELDS(NodeDrained, node, draining)
};
struct NodeSuspended {
    NodeId node;
    bool suspended = false;
    std::string reason;
    COCOON_FIELDS(NodeSuspended, node, suspended, reason)
};
struct MarketOpened {
    Market market;
    COCOON_FIELDS(MarketOpened, market)
};
struct MarketPaused {
    MarketId market;
    bool paused = false;
    COCOON_FIELDS(MarketPaused, market, paused)
};
struct OfferPlaced {
    Offer offer;
    COCOON_FIELDS(OfferPlaced, offer)
};
struct OfferAmended {
    Offer offer;
    COCOON_FIELDS(OfferAmended, offer)
};  // the new whole; slots_used untouched
struct OfferEnded {
    OfferId offer;
    OfferState state = OfferState::cancelled;
    COCOON_FIELDS(OfferEnded, offer, state)
};
struct RequestPlaced {
    Request request;
    COCOON_FIELDS(RequestPlaced, request)
};
struct RequestAmended {
    Request request;
    COCOON_FIELDS(RequestAmended, request)
};
struct RequestRested {  // a lost node's request waits again
    RequestId request;
    NodeId node_lost;  // none if it was not a node's fault
    COCOON_FIELDS(RequestRested, request, node_lost)
};
struct RequestEnded {
    RequestId request;
    RequestState state = RequestState::cancelled;
    std::string reason;
    COCOON_FIELDS(RequestEnded, request, state, reason)
};
// Takes the slots, moves `job.hold` from available to held, makes the request `matched`, and sends
// the offer to the back of its price (round robin) with `offer_priority`.
struct JobReserved {
    Job job;
    std::uint64_t offer_priority = 0;
    COCOON_FIELDS(JobReserved, job, offer_priority)
};
struct JobStarted {
    JobId job;
    COCOON_FIELDS(JobStarted, job)
};
struct JobRenewed {  // sessions: more hold, more quantity, longer life
    JobId job;
    Nano hold_added;
    QuantityVector quantity;
    Instant expires_at;
    COCOON_FIELDS(JobRenewed, job, hold_added, quantity, expires_at)
};
struct UsageCaptured {  // sessions: cumulative usage up to `counter`; `amount` is what is new
    JobId job;
    std::uint64_t counter = 0;
    QuantityVector usage;
    Nano amount, fee;
    std::string receipt_hash;
    COCOON_FIELDS(UsageCaptured, job, counter, usage, amount, fee, receipt_hash)
};
// The last word on a job: `amount` more is captured (0 for none), everything still held is
// released, slots return. `node_outcome` feeds the node's measured reliability.
enum class NodeOutcome : std::uint8_t { none, completed, failed };
struct JobEnded {
    JobId job;
    JobState state = JobState::completed;
    std::string reason;
    QuantityVector usage;
    Nano amount, fee, released;
    std::uint64_t counter = 0;
    std::string receipt_hash;
    std::uint32_t first_output_ms = 0, output_ms = 0;
    NodeOutcome node_outcome = NodeOutcome::none;
    COCOON_FIELDS(JobEnded, job, state, reason, usage, amount, fee, released, counter, receipt_hash,
                  first_output_ms, output_ms, node_outcome)
};
// The document behind a receipt hash: kept by the projection only.
struct ReceiptStored {
    JobId job;
    std::uint64_t counter = 0;
    std::string receipt_hash, document;
    COCOON_FIELDS(ReceiptStored, job, counter, receipt_hash, document)
};
struct DepositCredited {
    Deposit deposit;
    COCOON_FIELDS(DepositCredited, deposit)
};
struct PayoutRequested {
    Payout payout;
    COCOON_FIELDS(PayoutRequested, payout)
};
struct PayoutAdvanced {  // sent, paid, or returned (money back to its source)
    PayoutId payout;
    PayoutState state = PayoutState::sent;
    std::string reference;
    COCOON_FIELDS(PayoutAdvanced, payout, state, reference)
};
struct PayoutApproved {
    PayoutId payout;
    AccountId admin;
    PayoutState state = PayoutState::queued;  // from now on
    COCOON_FIELDS(PayoutApproved, payout, admin, state)
};
struct PayoutRejected {  // money back to its source
    PayoutId payout;
    AccountId admin;
    std::string reason;
    COCOON_FIELDS(PayoutRejected, payout, admin, reason)
};
struct PayoutsPaused {
    bool paused = false;
    COCOON_FIELDS(PayoutsPaused, paused)
};
struct FeeChanged {
    int basis_points = 0;
    COCOON_FIELDS(FeeChanged, basis_points)
};
struct WebhookPut {
    Webhook webhook;
    COCOON_FIELDS(WebhookPut, webhook)
};
struct WebhookRemoved {
    WebhookId webhook;
    COCOON_FIELDS(WebhookRemoved, webhook)
};
struct Audited {  // what an admin did; kept by the projection only
    AccountId actor;
    std::string action, target, before, after, note;
    COCOON_FIELDS(Audited, actor, action, target, before, after, note)
};

// The order is the journal's wire form: append only.
using Event =
    std::variant<AccountOpened, AccountAmended, KeyCreated, KeyAmended, EnrolmentIssued,
                 EnrolmentEnded, NodeEnrolled, NodeAttested, NodePresence, NodeDrained,
                 NodeSuspended, MarketOpened, MarketPaused, OfferPlaced, OfferAmended, OfferEnded,
                 RequestPlaced, RequestAmended, RequestRested, RequestEnded, JobReserved,
                 JobStarted, JobRenewed, UsageCaptured, JobEnded, ReceiptStored, DepositCredited,
                 PayoutRequested, PayoutAdvanced, FeeChanged, WebhookPut, WebhookRemoved, Audited,
                 NodeRetired, NodeStanding, MeasurementSubmitted, MeasurementDecided,
                 IdentityDenied, DenialLifted, TrustRuleChanged, EvidenceExpiring, EvidenceDoubted,
                 EvidenceEnded, PayoutApproved, PayoutRejected, PayoutsPaused>;

}  // namespace cocoon::matching
