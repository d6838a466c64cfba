#include "client/trust.hpp"

#include <algorithm>

#include "sealing/signing.hpp"

namespace cocoon::client {

using sealing::Json;

namespace {

Error refused(std::string detail) { return refuse(ErrorCode::verdict_refused, std::move(detail)); }

bool holds(const std::vector<std::string>& list, const std::string& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

attestation::Policy policy_of(const Config& config) {
    attestation::Policy policy = config.evidence_policy;
    policy.accepted_tiers = config.tiers;
    policy.simulated_enabled = holds(config.tiers, "simulated");
    policy.accepted_measurements = config.measurements;
    policy.age_max = seconds(config.evidence_age_seconds_max);
    return policy;
}

Result<NodeEvidence> fetch_evidence(MarketApi& market, NodeId node, const std::string& hash,
                                    net::CancelToken* cancel) {
    ApiCall call;
    call.path =
        "/v1/nodes/" + node.text() + "/evidence" + (hash.empty() ? std::string{} : "?hash=" + hash);
    const ApiAnswer answer = market.call(call, cancel);
    if (!answer.ok()) return answer.problem->error;
    NodeEvidence evidence;
    evidence.tier = answer.body.text_at("tier").value_or("");
    evidence.nonce = answer.body.text_at("nonce").value_or("");
    evidence.evidence_base64 = answer.body.text_at("evidence").value_or("");
    evidence.keyset_document = answer.body.text_at("keyset_document").value_or("");
    if (evidence.keyset_document.empty() || evidence.evidence_base64.empty())
        return refuse(ErrorCode::upstream_failed, "the market shows no evidence of " + node.text());
    const auto bytes = from_base64(evidence.evidence_base64);
    if (!hash.empty() && (!bytes || to_hex(sealing::sha256(*bytes)) != hash))
        return refused("the market shows other evidence than the job names");
    return evidence;
}

TrustStore::TrustStore(MarketApi& market, const Clock& clock)
    : market_{market}, clock_{clock}, policy_{policy_of(market.config())} {}

Result<std::shared_ptr<const TrustedNode>> TrustStore::verify(
    const Match& match, const std::vector<std::string>& tiers,
    const std::vector<std::string>& measurements, net::CancelToken* cancel) {
    const Instant at = clock_.now();
    const std::string key = match.job.keyset_digest + " " + match.job.evidence_hash;
    auto node = remembered(key, at);
    if (!node) {
        // What the job was matched by: the node may have attested anew since, with other keys.
        const auto evidence =
            fetch_evidence(market_, match.node.id, match.job.evidence_hash, cancel);
        if (!evidence) return evidence.error();
        attestation::Verdict verdict;
        auto verified = verify_node(*evidence, match.job.keyset_digest, policy(), at, &verdict);
        if (!verified) return verified.error();
        note(verdict.seen);
        node = std::make_shared<const TrustedNode>(*std::move(verified));
        remember(key, node, at);
        log::info("node_verified", {{"node", match.node.id.text()},
                                    {"tier", node->tier},
                                    {"valid_until", node->valid_until.text()}});
    }
    if (!holds(tiers, node->tier))
        return refused("the node proves tier " + node->tier + ", which this call refuses");
    if (!measurements.empty() && !holds(measurements, node->measurement))
        return refused("the node's measurement is not one this call accepts");
    return node;
}

attestation::Policy TrustStore::policy() {
    const std::lock_guard lock{mutex_};
    return attestation::against_rollback(policy_, seen_);
}

void TrustStore::note(const attestation::CollateralSeen& seen) {
    const std::lock_guard lock{mutex_};
    seen_.note(seen);
}

std::shared_ptr<const TrustedNode> TrustStore::remembered(const std::string& key, Instant at) {
    const std::lock_guard lock{mutex_};
    const auto found = nodes_.find(key);
    if (found == nodes_.end()) return nullptr;
    if (found->second->valid_until > at) return found->second;
    nodes_.erase(found);
    return nullptr;
}

void TrustStore::remember(const std::string& key, std::shared_ptr<const TrustedNode> node,
                          Instant at) {
    const std::lock_guard lock{mutex_};
    std::erase_if(nodes_, [at](const auto& entry) { return entry.second->valid_until <= at; });
    if (nodes_.size() >= trusted_nodes_max)
        nodes_.erase(
            std::min_element(nodes_.begin(), nodes_.end(), [](const auto& a, const auto& b) {
                return a.second->valid_until < b.second->valid_until;
            }));
    nodes_[key] = std::move(node);
}

}  // namespace cocoon::client
