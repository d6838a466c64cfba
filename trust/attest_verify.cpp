#include "trust/attest_verify.hpp"

#include "attestation/bundle.hpp"
#include "attestation/lifetimes.hpp"
#include "core/encoding.hpp"
#include "core/table.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::trust {
namespace {

using sealing::Json;

// Collateral of one's own, instead of what came with the evidence.
Result<void> replace_collateral(const std::string& path, NodeEvidence& evidence) {
    const auto text = file_text(path, attestation::tdx_collateral_bytes_max);
    if (!text) return text.error();
    const auto bytes = from_base64(evidence.evidence_base64);
    auto bundle = attestation::read_bundle(bytes ? ByteView{*bytes} : ByteView{});
    if (!bundle) return bundle.error();
    if (auto added = attestation::add_collateral(*bundle, *text); !added) return added;
    evidence.evidence_base64 = to_base64(as_bytes(attestation::write_bundle(*bundle)));
    return {};
}

// The policy of --policy whole, else the one given; a command line never adds what neither has.
Result<attestation::Policy> policy_of(const Arguments& arguments,
                                      const attestation::Policy& otherwise) {
    if (!arguments.has("--policy")) return otherwise;
    const auto text = file_text(arguments.get("--policy"), attestation::policy_bytes_max);
    if (!text) return text.error();
    return attestation::parse_policy(*text);
}

// When what the evidence rests on ends, the first first.
std::vector<attestation::Lifetime> lifetimes_of(const NodeEvidence& evidence) {
    const auto bytes = from_base64(evidence.evidence_base64);
    const auto bundle = attestation::read_bundle(bytes ? ByteView{*bytes} : ByteView{});
    return bundle ? attestation::lifetimes(*bundle) : std::vector<attestation::Lifetime>{};
}

struct Judged {
    NodeEvidence evidence;
    std::string keyset_digest;
    attestation::Verdict verdict;
    Result<TrustedNode> node;
};

Json json_of(const Judged& judged) {
    const attestation::Verdict& verdict = judged.verdict;
    Json reasons = Json::array(), pieces = Json::array();
    for (const attestation::Reason& reason : verdict.reasons)
        reasons.push(Json::object({{"check", reason.code},
                                   {"outcome", attestation::to_text(reason.outcome)},
                                   {"text", reason.text}}));
    for (const attestation::Lifetime& each : lifetimes_of(judged.evidence))
        pieces.push(Json::object({{"what", each.what}, {"ends_at", each.ends.text()}}));
    Json body = Json::object({{"accepted", judged.node.has_value()},
                              {"status", attestation::to_text(verdict.status)},
                              {"tier", verdict.tier},
                              {"measurement", verdict.measurement},
                              {"platform_id", verdict.platform_id},
                              {"tcb_status", verdict.tcb_status},
                              {"keyset_digest", judged.keyset_digest},
                              {"rests_on", std::move(pieces)},
                              {"reasons", std::move(reasons)}});
    if (judged.node) body.set("valid_until", judged.node->valid_until.text());
    if (!judged.node) body.set("refusal", judged.node.error().detail);
    return body;
}

std::string page_of(const Judged& judged) {
    Table checks{{"CHECK", "OUTCOME", "WHAT WAS FOUND"}};
    for (const attestation::Reason& reason : judged.verdict.reasons)
        checks.add({reason.code, std::string{attestation::to_text(reason.outcome)}, reason.text});
    std::string page = checks.text();
    if (const auto pieces = lifetimes_of(judged.evidence); !pieces.empty()) {
        Table ends{{"IT RESTS ON", "UNTIL"}};
        for (const attestation::Lifetime& each : pieces) ends.add({each.what, each.ends.text()});
        page += "\n" + ends.text() + "\n";
    }
    if (judged.node)
        return page + "accepted: tier " + printable(judged.node->tier) + ", valid until " +
               judged.node->valid_until.text() + "\n";
    return page + std::string{attestation::to_text(judged.verdict.status)} + ": " +
           printable(judged.node.error().detail) + "\n";
}

}  // namespace

std::vector<OptionSpec> attest_options() {
    return {{"--evidence", "FILE", "with `verify`: what GET /v1/nodes/{id}/evidence answered"},
            {"--collateral", "FILE", "JSON, used instead of what came with the evidence"},
            {"--policy", "FILE", "a whole policy, instead of the settings'"},
            {"--at", "TIME", "judge as of this instant (RFC 3339)"}};
}

Result<NodeEvidence> read_evidence_file(const std::string& path) {
    const auto text = file_text(path, evidence_document_bytes_max);
    if (!text) return text.error();
    return parse_node_evidence(*text);
}

Output attest_verify(const Arguments& arguments, const attestation::Policy& policy) {
    auto evidence = read_evidence_file(arguments.get("--evidence"));
    if (!evidence) return failed(refusal_text(evidence.error()));
    return attest_report(arguments, *std::move(evidence), policy);
}

Output attest_report(const Arguments& arguments, NodeEvidence evidence,
                     const attestation::Policy& otherwise) {
    const auto policy = policy_of(arguments, otherwise);
    if (!policy) return failed("--policy: " + refusal_text(policy.error()));
    Instant at = SystemClock{}.now();
    if (arguments.has("--at")) {
        const auto given = Instant::parse(arguments.get("--at"));
        if (!given) return usage_error("--at must be a time such as 2026-11-22T12:00:00Z");
        at = *given;
    }
    if (arguments.has("--collateral")) {
        const auto replaced = replace_collateral(arguments.get("--collateral"), evidence);
        if (!replaced) return failed("--collateral: " + refusal_text(replaced.error()));
    }
    const auto keyset = sealing::parse_keyset(evidence.keyset_document);
    if (!keyset) return failed("the keyset is malformed: " + keyset.error().detail);
    attestation::Verdict verdict;
    auto node = verify_node(evidence, keyset->digest, *policy, at, &verdict);
    const Judged judged{std::move(evidence), keyset->digest, std::move(verdict), std::move(node)};
    Output output =
        printed(arguments.has("--json") ? json_of(judged).serialize() + "\n" : page_of(judged));
    const bool open =
        judged.verdict.status == attestation::Status::unknown && !judged.verdict.reasons.empty();
    output.exit_code = judged.node ? 0 : open ? exit_unknown : exit_refused;
    return output;
}

}  // namespace cocoon::trust
