#include "api/wire_supply.hpp"

#include "api/wire_accounts.hpp"
#include "api/wire_trust.hpp"
#include "api/wire_vectors.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::int64_t week_minutes = 7 * 24 * 60;

std::optional<std::vector<Window>> read_windows(ObjectReader& in) {
    auto items = in.maybe_objects("windows", limits::schedule_windows_max);
    if (!items) return std::nullopt;
    std::vector<Window> windows;
    for (ObjectReader& item : *items) {
        Window window;
        window.from_minute =
            static_cast<std::uint16_t>(item.integer("from_minute", {0, week_minutes - 1}));
        window.to_minute = static_cast<std::uint16_t>(item.integer("to_minute", {1, week_minutes}));
        if (window.to_minute <= window.from_minute)
            item.refuse("to_minute", "must be after from_minute");
        windows.push_back(window);
    }
    return windows;
}

void check_expiry(ObjectReader& in, std::optional<Instant> expires_at, Instant at) {
    if (expires_at && *expires_at <= at) in.refuse("expires_at", "must be in the future");
}

void count_or_null(JsonWriter& out, std::string_view name, std::int64_t count) {
    if (count > 0)
        out.integer(name, count);
    else
        out.null(name);
}

}  // namespace

PlaceOffer read_place_offer(ObjectReader in, NodeId own_node, Instant at) {
    PlaceOffer place;
    Offer& offer = place.offer;
    if (own_node)
        offer.node = in.maybe_id<NodeId>("node").value_or(own_node);
    else
        offer.node = in.id<NodeId>("node");
    place.market = in.text("market", market_name_rule);
    offer.build = in.maybe_text("build").value_or(std::string{});
    offer.price = read_price(in.object("price"));
    offer.slots = static_cast<std::uint32_t>(in.integer("slots", {1, limits::slots_per_offer_max}));
    offer.context_tokens_max =
        in.maybe_integer("context_tokens_max", {0, limits::tokens_max}).value_or(0);
    offer.output_tokens_max =
        in.maybe_integer("output_tokens_max", {0, limits::tokens_max}).value_or(0);
    const auto policies = in.maybe_choices("data_policy", data_policy_names());
    for (const std::size_t index : policies.value_or(std::vector<std::size_t>{}))
        offer.data_policy |= static_cast<DataPolicySet>(1u << index);
    offer.windows = read_windows(in).value_or(std::vector<Window>{});
    offer.notice_seconds = in.maybe_integer("notice_seconds", {0, notice_seconds_max}).value_or(0);
    offer.allow =
        in.maybe_ids<AccountId>("allow", limits::list_items_max).value_or(std::vector<AccountId>{});
    offer.deny =
        in.maybe_ids<AccountId>("deny", limits::list_items_max).value_or(std::vector<AccountId>{});
    const auto expires_at = in.maybe_instant("expires_at");
    check_expiry(in, expires_at, at);
    offer.expires_at = expires_at.value_or(Instant{});
    return place;
}

AmendOffer read_amend_offer(ObjectReader in, Instant at) {
    AmendOffer amend;
    if (ObjectReader price = in.maybe_object("price"); price.exists())
        amend.price = read_price(price);
    if (const auto slots = in.maybe_integer("slots", {1, limits::slots_per_offer_max}))
        amend.slots = static_cast<std::uint32_t>(*slots);
    amend.windows = read_windows(in);
    amend.allow = in.maybe_ids<AccountId>("allow", limits::list_items_max);
    amend.deny = in.maybe_ids<AccountId>("deny", limits::list_items_max);
    amend.paused = in.maybe_boolean("paused");
    amend.expires_at = in.maybe_instant("expires_at");
    check_expiry(in, amend.expires_at, at);
    bool any = false;
    for (const char* name : {"price", "slots", "windows", "allow", "deny", "paused", "expires_at"})
        any = any || in.has(name);
    if (!any) in.refuse_whole("must change something");
    return amend;
}

void write_offer_members(JsonWriter& out, const Offer& offer, std::string_view market) {
    out.id("id", offer.id);
    out.id("provider", offer.provider);
    out.id("node", offer.node);
    out.text("market", market);
    out.text_or_null("build", offer.build);
    write_price(out, "price", offer.price);
    out.integer("slots", offer.slots);
    out.integer("slots_used", offer.slots_used);
    count_or_null(out, "context_tokens_max", offer.context_tokens_max);
    count_or_null(out, "output_tokens_max", offer.output_tokens_max);
    write_data_policy(out, "data_policy", offer.data_policy);
    out.open_array("windows");
    for (const Window& window : offer.windows) {
        out.open_object();
        out.integer("from_minute", window.from_minute);
        out.integer("to_minute", window.to_minute);
        out.close_object();
    }
    out.close_array();
    out.integer("notice_seconds", offer.notice_seconds);
    write_accounts(out, "allow", offer.allow);
    write_accounts(out, "deny", offer.deny);
    out.text("state", name_of(offer.state));
    out.instant("placed_at", offer.placed_at);
    out.instant_or_null("expires_at", offer.expires_at);
    out.decimal("version", offer.version);
}

void write_node_members(JsonWriter& out, const Node& node, Instant at, bool everything) {
    const bool attested = node.evidence_valid_until.us != 0;
    out.id("id", node.id);
    out.id("provider", node.provider);
    if (attested)
        out.text("tier", tier_name(node.tier));
    else
        out.null("tier");
    out.text("region", node.region);
    out.text("country", node.country);
    out.text("gpu_model", node.gpu_model);
    out.integer("gpu_count", node.gpu_count);
    out.text_or_null("measurement", node.measurement);
    write_registers(out, "registers", node.registers);
    out.id_or_null("measurement_id", node.measurement_id);
    out.text("standing", name_of(node.standing));
    out.integer("probation_jobs_left", node.probation_jobs_left);
    out.text_or_null("evidence_hash", node.evidence_hash);
    out.instant_or_null("evidence_valid_until", node.evidence_valid_until);
    out.text_or_null("evidence_url",
                     attested ? "/v1/nodes/" + node.id.text() + "/evidence" : std::string{});
    out.text_or_null("keyset_digest", node.keyset_digest);
    out.boolean("available", node.connected && !node.draining && !node.suspended && !node.retired &&
                                 node.standing == Standing::good && node.evidence_valid_until > at);
    out.integer("reliability_permille", node.reliability_permille);
    count_or_null(out, "first_output_ms", node.first_output_ms);
    count_or_null(out, "tokens_per_second", node.tokens_per_second);
    out.integer("jobs_completed", static_cast<std::int64_t>(node.jobs_completed));
    out.integer("jobs_failed", static_cast<std::int64_t>(node.jobs_failed));
    if (!everything) return;
    out.text("name", node.name);
    write_stored_json(out, "hardware", node.hardware);
    write_texts(out, "identities", node.identities);
    out.text_or_null("standing_reason", node.standing_reason);
    out.boolean("retired", node.retired);
    out.boolean("connected", node.connected);
    out.boolean("draining", node.draining);
    out.boolean("suspended", node.suspended);
    out.text_or_null("suspended_reason", node.suspended_reason);
    out.instant("enrolled_at", node.enrolled_at);
}

void write_verdict_members(JsonWriter& out, const attestation::Verdict& verdict) {
    out.text("status", attestation::to_text(verdict.status));
    out.text("tier", verdict.tier);
    out.text_or_null("measurement", verdict.measurement);
    write_texts(out, "registers", verdict.registers);
    out.text_or_null("platform_id", verdict.platform_id);
    out.text_or_null("family", verdict.family);
    write_texts(out, "devices", verdict.devices);
    out.text_or_null("tcb_status", verdict.tcb_status);
    write_texts(out, "advisory_ids", verdict.advisory_ids);
    out.instant_or_null("valid_until", verdict.valid_until);
    out.open_array("reasons");
    for (const attestation::Reason& reason : verdict.reasons) {
        out.open_object();
        out.text("code", reason.code);
        out.text("outcome", attestation::to_text(reason.outcome));
        out.text("text", reason.text);
        out.close_object();
    }
    out.close_array();
}

std::optional<std::string> nonce_in(std::string_view verdict_document) {
    const auto verdict = sealing::Json::parse(verdict_document);
    const auto nonce = verdict ? verdict->text_at("nonce") : std::nullopt;
    return nonce ? std::optional<std::string>{*nonce} : std::nullopt;
}

std::string verdict_document(const attestation::Verdict& verdict, std::string_view nonce) {
    JsonWriter out;
    out.open_object();
    write_verdict_members(out, verdict);
    out.text("nonce", nonce);
    out.close_object();
    std::string text = out.take();
    const auto parsed = sealing::Json::parse(text);
    return parsed ? parsed->canonical() : text;
}

}  // namespace cocoon::api
