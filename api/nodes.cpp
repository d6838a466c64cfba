// Nodes: enrolment by one-time token, challenge and evidence, drain and resume. Evidence is
// completed and verified here, on a worker that may wait; only a proven verdict becomes a command.
#include "api/challenges.hpp"
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/secrets.hpp"
#include "api/wire_accounts.hpp"
#include "api/wire_supply.hpp"
#include "api/wire_trust.hpp"
#include "api/wire_vectors.hpp"
#include "attestation/lifetimes.hpp"
#include "attestation/policy.hpp"
#include "core/encoding.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/keyset.hpp"
#include "sealing/statement.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::int64_t enrolment_seconds_min = 60;
constexpr std::int64_t enrolment_seconds_max = 7 * 86'400;
constexpr std::size_t hardware_bytes_max = 8 << 10;
// Shorter lives are no news: a week ahead would be at once.
constexpr Duration lasting_life_min = days(28);
constexpr std::size_t keyset_bytes_max = 64 << 10;

bool is_token(std::string_view text) {
    return text.starts_with("ce_") && credential_hash(text).has_value();
}
const TextRule token_rule{46, 46, is_token, "an enrolment token"};

bool is_tier(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '+';
    });
}
const TextRule tier_rule{1, 32, is_tier, "a tier name"};

// The node this call is about, if the key is that node's own.
Result<NodeId> own_node(const Call& call) {
    const auto id = captured_id<NodeId>(call);
    if (!id) return id.error();
    if (call.principal.node != *id)
        return refuse(ErrorCode::forbidden, "Only the node's own key may do that.");
    return *id;
}

Error refused_verdict(const attestation::Verdict& verdict, const CompletedEvidence& completed) {
    const bool later = verdict.status == attestation::Status::unknown && completed.vendor_down;
    Error error =
        later ? refuse(ErrorCode::collateral_unavailable)
              : refuse(ErrorCode::verdict_refused, "The evidence does not prove what it must.");
    for (const attestation::Reason& reason : verdict.reasons)
        if (reason.outcome == attestation::Outcome::failed)
            error.fields.push_back({"/evidence", reason.code + ": " + reason.text});
    // Refuted by nothing: then something could not be checked, which proves nothing either.
    const bool refuted = !error.fields.empty();
    for (const attestation::Reason& reason : verdict.reasons)
        if (!refuted && reason.outcome == attestation::Outcome::not_checked)
            error.fields.push_back({"/evidence", reason.code + " (not checked): " + reason.text});
    for (const std::string& why : completed.missing)
        if (!refuted) error.fields.push_back({"/evidence", "collateral (not checked): " + why});
    return error;
}

// Uses up the nonce, before anything is judged: a nonce that may be tried again and again is no
// proof of the moment.
Result<void> take_challenge(const Call& call, const Context& context, NodeId node,
                            std::string_view nonce) {
    const auto challenge = read_challenge(context, node, nonce);
    if (!challenge)
        return refused_nonce("nonce_unknown",
                             "this market has not made it for this node; ask for a challenge");
    const bool repeatable = !call.header("Idempotency-Key").empty();
    const Digest submission =
        repeatable ? sealing::sha256(as_bytes(std::string{call.header("Idempotency-Key")} + '\n' +
                                              std::string{call.body}))
                   : Digest{};
    return context.used_challenges->take(node, *challenge, submission, call.at);
}

// What the evidence rests on for weeks, and when the first of it ends: the provider is told days
// ahead. Evidence that is no bundle rests on nothing.
void note_collateral(SubmitVerdict& submit, ByteView evidence) {
    const auto bundle = attestation::read_bundle(evidence);
    const auto first = bundle ? attestation::first_to_end(*bundle, lasting_life_min) : std::nullopt;
    if (!first) return;
    submit.collateral_until = first->ends;
    submit.collateral_first = first->what;
}

struct Submitted {
    std::string nonce, document;
    attestation::Evidence evidence;
};

Result<Submitted> read_submitted(const Call& call) {
    FieldReader in{call.body};
    ObjectReader root = in.root();
    Submitted submitted;
    submitted.evidence.tier = root.text("tier", tier_rule);
    submitted.nonce = root.text("nonce", hex64_rule);
    submitted.document = root.text("keyset_document", {1, keyset_bytes_max, nullptr, {}, true});
    const bool given = root.has("evidence");
    const std::string encoded =
        root.text("evidence", {1, (attestation::evidence_bytes_max + 2) / 3 * 4});
    if (auto bytes = from_base64(encoded))
        submitted.evidence.bytes = std::move(*bytes);
    else if (given)
        root.refuse("evidence", "must be base64");
    if (auto done = in.finish(); !done) return done.error();
    return submitted;
}

}  // namespace

Result<PendingCommand> issue_enrolment(const Call& call, const Context& context) {
    FieldReader in{call.body, true};
    const auto lifetime =
        in.root().maybe_integer("lifetime_seconds", {enrolment_seconds_min, enrolment_seconds_max});
    if (auto done = in.finish(); !done) return done.error();
    const Duration life = lifetime ? seconds(*lifetime) : context.enrolment_lifetime;
    const FreshSecret token = fresh_secret(call, "ce_", "enrolment");
    PendingCommand pending;
    pending.command = IssueEnrolment{call.principal.account, token.hash, life};
    pending.render = [token, expires_at = call.at + life](const Answer& answer, bool replayed) {
        answer_as<Done>(answer);
        JsonWriter out;
        out.open_object();
        out.text_or_null("token", replayed ? std::string_view{} : token.text);
        out.instant_or_null("expires_at", replayed ? Instant{} : expires_at);
        out.close_object();
        return json_response(201, out.take());
    };
    return pending;
}

Result<PendingCommand> enrol_node(const Call& call, const Context&) {
    FieldReader in{call.body};
    ObjectReader root = in.root();
    EnrolNode enrol;
    const std::string token = root.text("token", token_rule);
    enrol.node.name = root.text("name");
    enrol.node.region = root.text("region", region_rule);
    enrol.node.country = root.text("country", country_rule);
    enrol.node.gpu_model = root.text("gpu_model");
    enrol.node.gpu_count = static_cast<std::uint32_t>(root.integer("gpu_count", {0, 65'536}));
    enrol.node.hardware = root.flat("hardware", hardware_bytes_max);
    if (auto done = in.finish(); !done) return done.error();
    enrol.token_hash = *credential_hash(token);
    const FreshSecret secret = fresh_secret(call, "ck_", "node_key");
    enrol.credential.name = enrol.node.name;
    enrol.credential.scopes = scope_node;
    enrol.credential.secret_hash = secret.hash;
    enrol.credential.shown = secret.shown;
    PendingCommand pending;
    pending.render = [node = enrol.node, secret](const Answer& answer, bool replayed) {
        const NodeAnswer& enrolled = answer_as<NodeAnswer>(answer);
        JsonWriter out;
        out.open_object();
        out.open_object("node");
        out.id("id", enrolled.node);
        out.text("name", node.name);
        out.text("region", node.region);
        out.text("country", node.country);
        out.close_object();
        out.open_object("key");
        out.id("id", enrolled.key);
        out.text_or_null("secret", replayed ? std::string_view{} : secret.text);
        out.text_or_null("shown", replayed ? std::string_view{} : secret.shown);
        out.close_object();
        out.close_object();
        return json_response(201, out.take());
    };
    pending.command = std::move(enrol);
    return pending;
}

Result<Response> list_nodes(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    db::NodeFilter filter;
    const auto measurement = query.maybe_id<MeasurementId>("measurement_id");
    filter.measurement = measurement.value_or(MeasurementId{});
    Page page{call, context, query, "/v1/nodes"};
    if (auto begun = page.begin(query, measurement ? measurement->text() : ""); !begun)
        return begun.error();
    filter.provider = viewer(call);
    const auto nodes = reader.nodes(filter, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const Node& node : nodes.rows) {
        out.open_object();
        write_node_members(out, node, call.at, true);
        out.close_object();
    }
    const std::uint64_t last = nodes.rows.empty() ? 0 : nodes.rows.back().id.value;
    return page.finish(out, nodes.more, {last, 0}, reader.as_of());
}

Result<Response> read_node(const Call& call, db::Reader& reader, const Context&) {
    const auto id = captured_id<NodeId>(call);
    if (!id) return id.error();
    const auto node = reader.node(*id);
    if (!node) return refuse(ErrorCode::not_found);
    const Principal& who = call.principal;
    const bool owner =
        who.account && (who.account == node->provider || who.has(scope_admin | scope_audit));
    JsonWriter out;
    out.open_object();
    write_node_members(out, *node, call.at, owner);
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> read_evidence(const Call& call, db::Reader& reader, const Context&) {
    const auto id = captured_id<NodeId>(call);
    if (!id) return id.error();
    QueryReader query{call.query};
    const auto hash = query.maybe_text("hash", hex64_rule);
    if (auto done = query.finish(); !done) return done.error();
    const auto row = hash ? reader.evidence(*id, *hash) : reader.evidence(*id);
    if (!row) return refuse(ErrorCode::not_found);
    JsonWriter out;
    out.open_object();
    out.id("node", row->node);
    out.text("tier", tier_name(row->tier));
    out.text("measurement", row->measurement);
    out.text("keyset_document", row->keyset_document);
    out.text("keyset_digest", row->keyset_digest);
    out.text_or_null("nonce", nonce_in(row->verdict).value_or(std::string{}));
    out.text("evidence", to_base64(as_bytes(row->evidence)));
    out.text("evidence_hash", row->evidence_hash);
    write_stored_json(out, "verdict", row->verdict);
    out.instant("valid_until", row->valid_until);
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> challenge_node(const Call& call, const Context& context) {
    const auto id = own_node(call);
    if (!id) return id.error();
    if (auto empty = no_body(call); !empty) return empty.error();
    const Challenge challenge = make_challenge(context, call, *id);
    JsonWriter out;
    out.open_object();
    out.text("nonce", challenge.nonce);
    out.instant("expires_at", challenge.expires_at);
    out.close_object();
    return json_response(200, out.take());
}

Result<PendingCommand> submit_evidence(const Call& call, const Context& context) {
    const auto id = own_node(call);
    if (!id) return id.error();
    auto submitted = read_submitted(call);
    if (!submitted) return submitted.error();
    const auto refuse_field = [](const char* path, std::string message) {
        return Error{
            ErrorCode::verdict_refused, "The evidence was refused.", {{path, std::move(message)}}};
    };
    if (auto taken = take_challenge(call, context, *id, submitted->nonce); !taken)
        return taken.error();
    const auto keyset = sealing::parse_keyset(submitted->document);
    if (!keyset) return refuse_field("/keyset_document", keyset.error().detail);
    if (keyset->expired(call.at)) return refuse_field("/keyset_document", "has expired");
    if (keyset->receipt_keys.empty() || keyset->sealing_keys.empty())
        return refuse_field("/keyset_document", "needs a receipt key and a sealing key");
    const auto expected = sealing::report_data_for(keyset->digest, submitted->nonce);
    if (!expected) return refuse_field("/nonce", expected.error().detail);

    attestation::Policy policy = context.evidence_policy();
    policy.simulated_enabled = context.simulated_allowed;
    CompletedEvidence completed =
        context.complete_evidence(*id, std::move(submitted->evidence.bytes));
    submitted->evidence.bytes = std::move(completed.bytes);
    const auto verdict = attestation::verify(submitted->evidence, *expected, policy, call.at);
    if (!verdict) return verdict.error();
    context.judged(*verdict);
    const auto tier = tier_from_name(verdict->tier);
    if (!verdict->proven() || !tier) return refused_verdict(*verdict, completed);
    context.collateral_seen(verdict->seen);

    SubmitVerdict submit;
    submit.node = *id;
    submit.tier = *tier;
    submit.measurement = verdict->measurement;
    submit.registers = registers_of(*verdict);
    submit.identities = identities_of(*verdict);
    submit.gpus = verdict->gpus;
    submit.keyset_digest = keyset->digest;
    submit.keyset_document = keyset->document;
    submit.evidence_hash = to_hex(sealing::sha256(submitted->evidence.bytes));
    submit.evidence = as_text(submitted->evidence.bytes);
    submit.verdict = verdict_document(*verdict, submitted->nonce);
    submit.valid_until = std::min(verdict->valid_until, keyset->not_after);
    note_collateral(submit, submitted->evidence.bytes);
    PendingCommand pending;
    pending.render = [verdict = *verdict, digest = submit.keyset_digest,
                      hash = submit.evidence_hash](const Answer& answer, bool) {
        const VerdictAnswer& stands = answer_as<VerdictAnswer>(answer);
        JsonWriter out;
        out.open_object();
        out.open_object("verdict");
        write_verdict_members(out, verdict);
        out.close_object();
        out.text("keyset_digest", digest);
        out.text("evidence_hash", hash);
        out.text("standing", name_of(stands.standing));
        out.text_or_null("standing_reason", stands.reason);
        out.text_or_null("advice", advice_for(stands, verdict.measurement));
        out.id_or_null("measurement_id", stands.measurement);
        write_registers(out, "registers", registers_of(verdict));
        out.integer("probation_jobs_left", stands.probation_jobs_left);
        out.close_object();
        return json_response(200, out.take());
    };
    pending.command = std::move(submit);
    return pending;
}

namespace {

Result<PendingCommand> set_draining(const Call& call, bool draining) {
    const auto id = captured_id<NodeId>(call);
    if (!id) return id.error();
    if (auto empty = no_body(call); !empty) return empty.error();
    if (call.principal.has(scope_node) && call.principal.node != *id)
        return refuse(ErrorCode::forbidden);
    PendingCommand pending;
    pending.command = DrainNode{call.principal.account, *id, draining};
    pending.render = [node = *id, draining](const Answer& answer, bool) {
        answer_as<Done>(answer);
        JsonWriter out;
        out.open_object();
        out.id("node", node);
        out.boolean("draining", draining);
        out.close_object();
        return json_response(200, out.take());
    };
    return pending;
}

}  // namespace

Result<PendingCommand> retire_node(const Call& call, const Context&) {
    const auto id = captured_id<NodeId>(call);
    if (!id) return id.error();
    if (auto empty = no_body(call); !empty) return empty.error();
    PendingCommand pending;
    pending.command = RetireNode{call.principal.account, *id};
    pending.render = done_without_content;
    return pending;
}

Result<PendingCommand> drain_node(const Call& call, const Context&) {
    return set_draining(call, true);
}
Result<PendingCommand> resume_node(const Call& call, const Context&) {
    return set_draining(call, false);
}

}  // namespace cocoon::api
