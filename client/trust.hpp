// Whether a node may see a prompt: the client fetches the node's evidence and verifies it itself,
// with its own policy, before anything is sealed. The market's word is only where to look. Called
// by worker threads; verdicts are remembered by evidence until they end. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "attestation/policy.hpp"
#include "client/market_api.hpp"
#include "client/wire.hpp"
#include "core/time.hpp"
#include "sealing/keyset.hpp"

namespace cocoon::client {

// remembered; beyond it the soonest to end is forgotten
constexpr std::size_t trusted_nodes_max = 4'096;

// What a node showed: enough for anyone to check it again, offline.
struct NodeEvidence {
    std::string tier;
    std::string nonce;  // 64 hex
    std::string evidence_base64;
    std::string keyset_document;  // canonical
};

struct TrustedNode {
    sealing::Keyset keyset;
    sealing::ohttp::KeyConfig seal_to;
    NodeEvidence evidence;
    std::string tier;  // as verified
    std::string measurement;
    Instant valid_until;  // of evidence and keyset, whichever ends first
};

// The policy of the settings: its tiers and measurements, `simulated` only if it is named.
attestation::Policy policy_of(const Config& config);

// Checks evidence against a keyset digest; pure. `verdict_refused` with the reason, and `verdict`
// (when not null) as far as it got.
Result<TrustedNode> verify_node(const NodeEvidence& evidence, std::string_view keyset_digest,
                                const attestation::Policy& policy, Instant at,
                                attestation::Verdict* verdict = nullptr);

// GET /v1/nodes/{id}/evidence; `upstream_failed` when malformed.
Result<NodeEvidence> fetch_evidence(MarketApi& market, NodeId node,
                                    net::CancelToken* cancel = nullptr);

class TrustStore {
public:
    TrustStore(MarketApi& market, const Clock& clock);

    // The node of a match, verified for the keyset the job names; `tiers` and `measurements`
    // (empty: any) are what this call accepts. `verdict_refused`, or what kept the evidence from
    // coming.
    Result<std::shared_ptr<const TrustedNode>> verify(const Match& match,
                                                      const std::vector<std::string>& tiers,
                                                      const std::vector<std::string>& measurements,
                                                      net::CancelToken* cancel = nullptr);

private:
    std::shared_ptr<const TrustedNode> remembered(const std::string& key, Instant at);
    attestation::Policy policy();
    void note(const attestation::CollateralSeen& seen);
    void remember(const std::string& key, std::shared_ptr<const TrustedNode> node, Instant at);

    MarketApi& market_;
    const Clock& clock_;
    const attestation::Policy policy_;
    std::mutex mutex_;
    attestation::CollateralSeen seen_;  // older collateral is refused from then on
    // keyset digest and evidence hash
    std::map<std::string, std::shared_ptr<const TrustedNode>> nodes_;
};

}  // namespace cocoon::client
