#include "trust/node_evidence.hpp"

#include <algorithm>

#include "sealing/canonical_json.hpp"
#include "sealing/statement.hpp"

namespace cocoon::trust {
namespace {

Error refused(std::string detail) { return refuse(ErrorCode::verdict_refused, std::move(detail)); }

Result<attestation::Verdict> judge(const NodeEvidence& evidence, std::string_view keyset_digest,
                                   const attestation::Policy& policy, Instant at) {
    if (!sealing::is_nonce(evidence.nonce)) return refused("the evidence has no valid nonce");
    auto bytes = from_base64(evidence.evidence_base64);
    if (!bytes) return refused("the evidence is not base64");
    const auto expected = sealing::report_data_for(keyset_digest, evidence.nonce);
    if (!expected) return refused("the keyset digest is malformed");
    return attestation::verify({evidence.tier, *std::move(bytes)}, *expected, policy, at);
}

}  // namespace

Result<NodeEvidence> parse_node_evidence(std::string_view json) {
    const auto document = sealing::Json::parse(json, {.bytes_max = evidence_document_bytes_max});
    if (!document) return document.error();
    if (!document->is_object())
        return refuse(ErrorCode::malformed_request, "the evidence is no JSON object");
    const auto text = [&](std::string_view name) {
        return std::string{document->text_at(name).value_or("")};
    };
    return NodeEvidence{text("tier"), text("nonce"), text("evidence"), text("keyset_document")};
}

Result<TrustedNode> verify_node(const NodeEvidence& evidence, std::string_view keyset_digest,
                                const attestation::Policy& policy, Instant at,
                                attestation::Verdict* verdict) {
    auto keyset = sealing::parse_keyset(evidence.keyset_document);
    if (!keyset) return refused("the keyset is malformed: " + keyset.error().detail);
    if (keyset->digest != keyset_digest) return refused("the keyset is not the one the job names");
    if (keyset->expired(at)) return refused("the keyset has expired");
    if (keyset->sealing_keys.empty()) return refused("the keyset has no key to seal to");
    const auto judged = judge(evidence, keyset_digest, policy, at);
    if (!judged) return refused(judged.error().detail);
    if (verdict) *verdict = *judged;
    if (!judged->proven()) {
        const attestation::Reason* reason = judged->first_failure();
        if (reason) return refused(reason->code + ": " + reason->text);
        const auto open = std::find_if(judged->reasons.begin(), judged->reasons.end(),
                                       [](const attestation::Reason& each) {
                                           return each.outcome == attestation::Outcome::not_checked;
                                       });
        return refused(open == judged->reasons.end()
                           ? "nothing here can verify evidence of tier " + judged->tier
                           : open->code + " could not be checked: " + open->text);
    }
    TrustedNode node;
    node.seal_to = keyset->sealing_keys.front().config;
    node.valid_until = std::min(judged->valid_until, keyset->not_after);
    node.keyset = *std::move(keyset);
    node.evidence = evidence;
    node.tier = judged->tier;
    node.measurement = judged->measurement;
    return node;
}

}  // namespace cocoon::trust
