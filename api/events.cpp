#include "api/events.hpp"

#include <array>

#include "api/wire_accounts.hpp"
#include "api/wire_supply.hpp"
#include "api/wire_trust.hpp"
#include "api/wire_vectors.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

// One entry for each alternative of Event, in its order; empty: never told.
constexpr std::array<std::string_view, std::variant_size_v<Event>> names{"account.opened",
                                                                         "account.amended",
                                                                         "key.created",
                                                                         "key.amended",
                                                                         "",
                                                                         "",
                                                                         "node.enrolled",
                                                                         "node.attested",
                                                                         "node.presence",
                                                                         "node.drained",
                                                                         "node.suspended",
                                                                         "market.opened",
                                                                         "market.paused",
                                                                         "offer.placed",
                                                                         "offer.amended",
                                                                         "offer.ended",
                                                                         "request.placed",
                                                                         "request.amended",
                                                                         "request.rested",
                                                                         "request.ended",
                                                                         "job.reserved",
                                                                         "job.started",
                                                                         "job.renewed",
                                                                         "job.captured",
                                                                         "job.ended",
                                                                         "receipt.stored",
                                                                         "deposit.credited",
                                                                         "payout.requested",
                                                                         "payout.advanced",
                                                                         "fee.changed",
                                                                         "webhook.put",
                                                                         "webhook.removed",
                                                                         "",
                                                                         "node.retired",
                                                                         "node.standing",
                                                                         "measurement.submitted",
                                                                         "measurement.decided",
                                                                         "",
                                                                         "",
                                                                         "",
                                                                         "node.evidence_expiring",
                                                                         "node.evidence_doubted",
                                                                         "node.evidence_ended",
                                                                         "payout.approved",
                                                                         "payout.rejected",
                                                                         ""};

struct DataWriter {
    JsonWriter& out;
    const MarketNames& market;
    Instant at;

    void operator()(const AccountOpened& event) { write_account_members(out, event.account); }
    void operator()(const AccountAmended& event) {
        out.id("id", event.account);
        out.text("name", event.name);
        write_stored_json(out, "profile", event.profile);
        out.text_or_null("payout_address", event.payout_address);
        out.boolean("frozen", event.frozen);
    }
    void operator()(const KeyCreated& event) { write_key_members(out, event.key); }
    void operator()(const KeyAmended& event) {
        out.id("id", event.key);
        out.text("name", event.name);
        out.money("cap_total_nano", event.cap_total);
        out.money("cap_day_nano", event.cap_day);
        out.instant_or_null("expires_at", event.expires_at);
        out.boolean("revoked", event.revoked);
    }
    void operator()(const EnrolmentIssued&) {}
    void operator()(const EnrolmentEnded&) {}
    void operator()(const NodeEnrolled& event) { write_node_members(out, event.node, at, true); }
    void operator()(const NodeAttested& event) {
        out.id("node", event.node);
        out.text("tier", tier_name(event.tier));
        out.text("measurement", event.measurement);
        out.text("evidence_hash", event.evidence_hash);
        out.text("keyset_digest", event.keyset_digest);
        out.instant("valid_until", event.valid_until);
    }
    void operator()(const NodePresence& event) {
        out.id("node", event.node);
        out.boolean("connected", event.connected);
    }
    void operator()(const NodeDrained& event) {
        out.id("node", event.node);
        out.boolean("draining", event.draining);
    }
    void operator()(const NodeSuspended& event) {
        out.id("node", event.node);
        out.boolean("suspended", event.suspended);
        out.text_or_null("reason", event.reason);
    }
    void operator()(const EvidenceExpiring& event) {
        const bool itself = event.what.empty();
        out.id("node", event.node);
        out.text("what", itself ? "the node's evidence" : event.what);
        out.instant("ends_at", event.ends_at);
        out.text("what_to_do",
                 itself ? "The node attests anew by itself while it runs and reaches the market: "
                          "see its log."
                        : "The node needs newer collateral the next time it attests: the market "
                          "fetches it where it can; refresh what the node brings itself.");
    }
    void operator()(const EvidenceDoubted& event) {
        out.id("node", event.node);
        out.text("reason", event.reason);
        out.instant("ends_at", event.ends_at);
        out.text("what_to_do",
                 "Update what the reason names and attest anew before the evidence ends.");
    }
    void operator()(const EvidenceEnded& event) {
        out.id("node", event.node);
        out.text("reason", event.reason);
        out.text("what_to_do",
                 "The node is not matched until it has attested anew; then it is at once.");
    }
    void operator()(const MarketOpened& event) {
        out.text("name", event.market.name);
        out.text("kind", name_of(event.market.kind));
    }
    void operator()(const MarketPaused& event) {
        out.text("name", market(event.market));
        out.boolean("paused", event.paused);
    }
    void operator()(const OfferPlaced& event) {
        write_offer_members(out, event.offer, market(event.offer.market));
    }
    void operator()(const OfferAmended& event) {
        write_offer_members(out, event.offer, market(event.offer.market));
    }
    void operator()(const OfferEnded& event) {
        out.id("id", event.offer);
        out.text("state", name_of(event.state));
    }
    void operator()(const RequestPlaced& event) {
        write_request_members(out, event.request, market);
    }
    void operator()(const RequestAmended& event) {
        write_request_members(out, event.request, market);
    }
    void operator()(const RequestRested& event) {
        out.id("id", event.request);
        out.id_or_null("node_lost", event.node_lost);
    }
    void operator()(const RequestEnded& event) {
        out.id("id", event.request);
        out.text("state", name_of(event.state));
        out.text_or_null("reason", event.reason);
    }
    void operator()(const JobReserved& event) {
        write_job_members(out, event.job, market(event.job.market));
    }
    void operator()(const JobStarted& event) { out.id("id", event.job); }
    void operator()(const JobRenewed& event) {
        out.id("id", event.job);
        out.money("hold_added_nano", event.hold_added);
        write_quantity(out, "quantity", event.quantity);
        out.instant("expires_at", event.expires_at);
    }
    void operator()(const UsageCaptured& event) {
        out.id("id", event.job);
        out.decimal("counter", event.counter);
        write_quantity(out, "usage", event.usage);
        out.money("amount_nano", event.amount);
        out.money("fee_nano", event.fee);
        out.text("receipt_hash", event.receipt_hash);
    }
    void operator()(const JobEnded& event) {
        out.id("id", event.job);
        out.text("state", name_of(event.state));
        out.text_or_null("reason", event.reason);
        write_quantity(out, "usage", event.usage);
        out.money("amount_nano", event.amount);
        out.money("fee_nano", event.fee);
        out.money("released_nano", event.released);
        out.decimal("counter", event.counter);
        out.text_or_null("receipt_hash", event.receipt_hash);
    }
    void operator()(const ReceiptStored& event) {
        out.id("job", event.job);
        out.decimal("counter", event.counter);
        out.text("receipt_hash", event.receipt_hash);
    }
    void operator()(const DepositCredited& event) { write_deposit_members(out, event.deposit); }
    void operator()(const PayoutRequested& event) { write_payout_members(out, event.payout); }
    void operator()(const PayoutAdvanced& event) {
        out.id("id", event.payout);
        out.text("state", name_of(event.state));
        out.text_or_null("reference", event.reference);
    }
    // Who decided is the audit log's to tell.
    void operator()(const PayoutApproved& event) {
        out.id("id", event.payout);
        out.text("state", name_of(event.state));
    }
    void operator()(const PayoutRejected& event) {
        out.id("id", event.payout);
        out.text("state", name_of(PayoutState::rejected));
        out.text("reason", event.reason);
    }
    void operator()(const PayoutsPaused& event) { out.boolean("paused", event.paused); }
    void operator()(const FeeChanged& event) { out.integer("basis_points", event.basis_points); }
    void operator()(const WebhookPut& event) {
        out.id("id", event.webhook.id);
        out.text("url", event.webhook.url);
        write_texts(out, "events", event.webhook.events);
        out.boolean("disabled", event.webhook.disabled);
    }
    void operator()(const WebhookRemoved& event) { out.id("id", event.webhook); }
    void operator()(const Audited&) {}
    void operator()(const NodeRetired& event) { out.id("node", event.node); }
    void operator()(const NodeStanding& event) {
        out.id("node", event.node);
        out.text("standing", name_of(event.standing));
        out.id_or_null("measurement_id", event.measurement);
        out.text_or_null("reason", event.reason);
    }
    void operator()(const MeasurementSubmitted& event) {
        write_measurement_members(out, event.measurement);
    }
    void operator()(const MeasurementDecided& event) {
        out.id("id", event.measurement);
        out.text("state", name_of(event.state));
        out.text("reason", event.reason);
    }
    void operator()(const IdentityDenied&) {}
    void operator()(const DenialLifted&) {}
    void operator()(const TrustRuleChanged&) {}
};

}  // namespace

std::span<const std::string_view> event_names() {
    static const std::vector<std::string_view> told = [] {
        std::vector<std::string_view> list;
        for (const std::string_view name : names)
            if (!name.empty()) list.push_back(name);
        return list;
    }();
    return told;
}

std::string_view event_name(const Event& event) { return names[event.index()]; }

std::string event_id(db::EntryKey key) {
    return std::to_string(key.sequence) + '.' + std::to_string(key.ordinal);
}

std::string event_json(const db::FeedEvent& event, const MarketNames& market) {
    JsonWriter out;
    out.open_object();
    out.text("type", event_name(event.event));
    out.text("id", event_id(event.key));
    out.instant("at", event.at);
    out.open_object("data");
    std::visit(DataWriter{out, market, event.at}, event.event);
    out.close_object();
    out.close_object();
    return out.take();
}

}  // namespace cocoon::api
