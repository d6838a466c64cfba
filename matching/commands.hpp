// All that may be asked of the market, and what it answers. A command carries names and ids from
// outside, already well-formed (types and ranges are the API's work); whether it is allowed and
// possible is decided here, by the engine. Time and ids are stamped by the lane, chance travels in
// the command.
#pragma once

#include <memory>
#include <variant>

#include "matching/types.hpp"

namespace cocoon::matching {

// ---- Accounts, keys, nodes --------------------------------------------------------------------

struct OpenAccount {
    AccountKind kind = AccountKind::developer;
    std::string name, profile, payout_address;
    std::string deposit_memo;          // random, unique
    ApiKey first_key;                  // id, account and created_at are filled in
    std::optional<ApiKey> second_key;  // likewise
};
struct AmendAccount {
    AccountId account;
    std::optional<std::string> name, profile, payout_address;
};
struct CreateKey {
    ApiKey key;                     // account set; id and created_at are filled in
    std::vector<KeyId> replaces{};  // of the same account: revoked with it
    std::string sign_in{};          // a session: how its person was known; audited for operators
};
struct AmendKey {
    AccountId account;
    KeyId key;
    std::optional<std::string> name;
    std::optional<Nano> cap_total, cap_day;
    std::optional<Instant> expires_at;
};
// A second key with the same rights and the same caps, which both fill together; the old one ends
// after `overlap`.
struct RotateKey {
    AccountId account;
    KeyId key;
    Digest secret_hash{};
    std::string shown;
    Duration overlap;
};
struct RevokeKey {
    AccountId account;
    KeyId key;
};
// What became of an account's way to sign in, which itself is no business of the journal's:
// audited for operators.
struct NoteLogin {
    AccountId account;
    std::string action;            // "set_login", "sign_in_refused"
    std::vector<KeyId> revokes{};  // sessions that end with it
    std::string note{};
};
struct IssueEnrolment {
    AccountId provider;
    Digest token_hash{};
    Duration lifetime;
};
struct EnrolNode {
    Digest token_hash{};
    Node node;          // name, region, country, gpu_model, gpu_count, hardware
    ApiKey credential;  // scope_node; ids are filled in
};
struct SubmitVerdict {  // the API verified the evidence; a refuted verdict never gets here
    NodeId node;
    Tier tier = Tier::simulated;
    std::string measurement;
    Registers registers;
    Identities identities;
    std::string keyset_digest, keyset_document, evidence_hash, evidence, verdict;
    Instant valid_until;
    Instant collateral_until;
    std::string collateral_first;
    std::uint32_t gpus = 0;  // that the evidence shows; switches are none
};
struct DoubtEvidence {  // the market judged the stored evidence anew, and it is refuted
    NodeId node;
    std::string evidence_hash;
    Duration grace;  // until it ends; zero: at once
    std::string reason;
};
struct SetNodePresence {
    NodeId node;
    bool connected = false;
};  // from the relay
struct DrainNode {
    AccountId provider;
    NodeId node;
    bool draining = true;
};
struct RetireNode {  // for good: its hardware may show itself as another node at once
    AccountId provider;
    NodeId node;
};

// ---- Trust ------------------------------------------------------------------------------------

struct SubmitMeasurement {
    Measurement measurement;  // submitter, name, version, source, notes, registers
};
struct DecideMeasurement {  // audited; revoking takes its nodes out at once
    MeasurementId measurement;
    MeasurementState state = MeasurementState::approved;  // or revoked
    std::string reason;
};
struct DenyIdentity {  // audited; takes its nodes out at once
    std::string identity, reason;
};
struct LiftDenial {  // audited; lets its nodes back in at once
    DenialId denial;
    std::string reason;
};
struct SetTrustRule {  // audited
    TrustRule rule;
    std::string note;
};

// ---- Supply -----------------------------------------------------------------------------------

struct PlaceOffer {
    Offer offer;         // id, market, state, counters are filled in
    std::string market;  // "inference:<model>", opened if new
};
struct AmendOffer {
    AccountId provider;
    OfferId offer;
    std::uint64_t version = 0;  // If-Match; 0: any
    std::optional<PriceVector> price;
    std::optional<std::uint32_t> slots;
    std::optional<std::vector<Window>> windows;
    std::optional<std::vector<AccountId>> allow, deny;
    std::optional<bool> paused;
    std::optional<Instant> expires_at;
};
struct CancelOffer {
    AccountId provider;
    OfferId offer;
    std::uint64_t version = 0;
};

// ---- Demand -----------------------------------------------------------------------------------

struct NamedAlternative {
    std::string market, build;
};  // market must exist
struct PlaceRequest {
    Request request;  // account, key, quantity, caps, constraints, slots, session, time in force
    std::vector<NamedAlternative> alternatives;
};
struct PlaceRequests {
    std::vector<PlaceRequest> requests;
};                     // 1..limits::request_batch_max, each on its own
struct AmendRequest {  // resting only
    AccountId account;
    RequestId request;
    std::uint64_t version = 0;
    std::optional<Nano> cap_total;
    std::optional<PriceVector> cap_price;
    std::optional<Instant> rest_until;
    std::optional<Constraints> constraints;
};
struct CancelRequest {
    AccountId account;
    RequestId request;
};  // resting: ends; matched: its job too

// ---- Jobs (from the relay; fencing tokens from the reservation) --------------------------------

struct StartJob {
    JobId job;
    std::uint64_t fencing_token = 0;
};
struct CompleteJob {  // a verified receipt; status partial pays what was delivered
    JobId job;
    std::uint64_t fencing_token = 0;
    QuantityVector usage;
    std::uint64_t counter = 0;  // sessions: usage is cumulative
    std::string receipt_hash, receipt;
    bool partial = false;
    std::string reason;  // for partial
    std::uint32_t first_output_ms = 0, output_ms = 0;
    bool node_at_fault = false;
};
struct FailJob {  // no receipt: nothing is paid
    JobId job;
    std::uint64_t fencing_token = 0;
    std::string reason;
    bool node_at_fault = false;
    bool rematch = false;  // no output was delivered: match the request again
};
struct CaptureUsage {  // sessions: newest signed counter
    JobId job;
    std::uint64_t fencing_token = 0;
    std::uint64_t counter = 0;
    QuantityVector usage;  // cumulative
    std::string receipt_hash, receipt;
};
struct RenewJob {
    AccountId account;
    JobId job;
    QuantityVector more;
    Duration longer;
};
struct CancelJob {
    AccountId account;
    JobId job;
};
// From the relay: the session's time is over and none of its exchanges is open, so no receipt can
// follow; what is still held need not wait for the grace of one.
struct CloseSession {
    JobId job;
    std::uint64_t fencing_token = 0;
};

// ---- Money ------------------------------------------------------------------------------------

struct CreditDeposit {
    std::string memo;
    Nano amount;
    std::string reference;
};  // from the chain adapter
// A transfer that came without a memo of ours, or too small for one, and was kept aside: an
// operator says whose it is. Credited once by its reference, whoever asks.
struct CreditHeldDeposit {
    AccountId account;
    Nano amount;
    std::string reference;
    std::string note;
};
struct RequestPayout {
    AccountId account;
    Bucket source = Bucket::earned;
    Nano amount;
};
struct AdvancePayouts {
    std::vector<PayoutId> payouts;
    PayoutState state = PayoutState::sent;
    std::string reference;
};
// By an admin, never by the market itself: one of the payout_approvals that a large payout needs.
struct ApprovePayout {
    PayoutId payout;
    std::string note;
};
struct RejectPayout {  // of those that wait for approval; one admin's no is enough
    PayoutId payout;
    std::string reason;
};

// ---- Operation (audited) ----------------------------------------------------------------------

struct FreezeAccount {
    AccountId account;
    bool frozen = true;
    std::string note;
};
struct SuspendNode {
    NodeId node;
    bool suspended = true;
    std::string reason;
};
struct PauseMarket {
    std::string market;
    bool paused = true;
    std::string note;
};
struct SetFee {
    int basis_points = 0;
    std::string note;
};
struct PausePayouts {  // what is signed goes on, nothing new is
    bool paused = true;
    std::string note;
};

struct PutWebhook {
    Webhook webhook;
};  // id 0: new
struct RemoveWebhook {
    AccountId account;
    WebhookId webhook;
};

// Expires whatever is due at the stamped instant. Sent by the lane, never by a peer.
struct Tick {};

// ---- Questions: no event, never journaled -----------------------------------------------------

struct Explain {
    AccountId account;
    RequestId request;
};
struct WhatIf {
    PlaceRequest request;
};

using Command =
    std::variant<OpenAccount, AmendAccount, CreateKey, AmendKey, RotateKey, RevokeKey, NoteLogin,
                 IssueEnrolment, EnrolNode, SubmitVerdict, DoubtEvidence, SetNodePresence,
                 DrainNode, RetireNode, SubmitMeasurement, DecideMeasurement, DenyIdentity,
                 LiftDenial, SetTrustRule, PlaceOffer, AmendOffer, CancelOffer, PlaceRequest,
                 PlaceRequests, AmendRequest, CancelRequest, StartJob, CompleteJob, FailJob,
                 CaptureUsage, RenewJob, CancelJob, CloseSession, CreditDeposit, CreditHeldDeposit,
                 RequestPayout, AdvancePayouts, ApprovePayout, RejectPayout, PausePayouts,
                 FreezeAccount, SuspendNode, PauseMarket, SetFee, PutWebhook, RemoveWebhook, Tick,
                 Explain, WhatIf>;

// ---- Answers ----------------------------------------------------------------------------------

enum class Constraint : std::uint8_t {
    build,
    state,
    node_away,
    draining,
    suspended,
    evidence,
    platform_denied,
    measurement_revoked,
    measurement_pending,
    tier,
    region,
    country,
    measurement,
    gpu,
    data_policy,
    notice,
    reputation,
    context,
    output,
    schedule,
    provider_list,
    developer_list,
    lost_node,
    slots,
    probation,
    price_dimension,
    price_total
};
std::string_view name_of(Constraint);
std::string_view name_of(TimeInForce);

// One way to make the request match: what to change, to what, and what it would then cost.
struct Relaxation {
    Constraint constraint = Constraint::price_total;
    std::string suggestion;    // the value that would do: a price in nanoTON, a region, a tier name
    std::uint32_t offers = 0;  // how many offers would then be eligible
    Nano cost;                 // hold at the best of them
    COCOON_FIELDS(Relaxation, constraint, suggestion, offers, cost)
};
struct Candidate {  // an eligible offer as the ranking saw it
    OfferId offer;
    NodeId node;
    Nano cost, effective_cost;  // expected, and after the reliability and preference weights
    std::uint32_t penalty_permille = 1000;
    COCOON_FIELDS(Candidate, offer, node, cost, effective_cost, penalty_permille)
};
struct Explanation {
    std::uint32_t offers_seen = 0;
    bool truncated = false;  // more offers than limits allow to look at
    std::vector<std::pair<Constraint, std::uint32_t>>
        removed;                          // by the first constraint that failed
    std::vector<Relaxation> relaxations;  // nearest first
    std::vector<Candidate> best;          // eligible, best first, at most 10
};

struct Done {};  // nothing to tell
struct AccountAnswer {
    AccountId account;
    KeyId key, second_key;
    COCOON_FIELDS(AccountAnswer, account, key, second_key)
};
struct KeyAnswer {
    KeyId key;
    COCOON_FIELDS(KeyAnswer, key)
};
struct NodeAnswer {
    NodeId node;
    KeyId key;
    COCOON_FIELDS(NodeAnswer, node, key)
};
// What the accepted evidence is good for.
struct VerdictAnswer {
    Standing standing = Standing::good;
    MeasurementId measurement;  // none: unregistered
    std::string reason;
    std::uint32_t probation_jobs_left = 0;
    COCOON_FIELDS(VerdictAnswer, standing, measurement, reason, probation_jobs_left)
};
struct MeasurementAnswer {
    Measurement measurement;
    COCOON_FIELDS(MeasurementAnswer, measurement)
};
struct DenialAnswer {
    Denial denial;
    COCOON_FIELDS(DenialAnswer, denial)
};
struct OfferAnswer {
    Offer offer;
    COCOON_FIELDS(OfferAnswer, offer)
};
// A placed, resting, matched or unmatched request. The node's keyset travels with a match so that
// the client can seal at once; it is shared with the state, never copied or stored with the answer.
struct RequestAnswer {
    Request request;
    std::optional<Job> job;
    std::optional<Explanation> why;  // when it did not match
    std::shared_ptr<const std::string> keyset_document;
    Tier tier = Tier::simulated;
};
struct RequestsAnswer {
    std::vector<Result<RequestAnswer>> answers;
};
struct JobAnswer {
    Job job;
    std::optional<RequestAnswer> rematched;
};
struct DepositAnswer {
    Deposit deposit;
    bool already_credited = false;
};
struct PayoutAnswer {
    Payout payout;
    COCOON_FIELDS(PayoutAnswer, payout)
};
struct WebhookAnswer {
    WebhookId webhook;
    COCOON_FIELDS(WebhookAnswer, webhook)
};
struct ExplainAnswer {
    RequestState state = RequestState::resting;
    Explanation explanation;
};

using Answer = std::variant<Done, AccountAnswer, KeyAnswer, NodeAnswer, OfferAnswer, RequestAnswer,
                            RequestsAnswer, JobAnswer, DepositAnswer, PayoutAnswer, WebhookAnswer,
                            ExplainAnswer, VerdictAnswer, MeasurementAnswer, DenialAnswer>;
using Reply = Result<Answer>;

}  // namespace cocoon::matching
