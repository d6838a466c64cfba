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
#include "trust/node_evidence.hpp"

namespace cocoon::client {

// remembered; beyond it the soonest to end is forgotten
constexpr std::size_t trusted_nodes_max = 4'096;

using trust::NodeEvidence;
using trust::TrustedNode;
using trust::verify_node;

// The policy of the settings: its tiers and measurements, `simulated` only if it is named.
attestation::Policy policy_of(const Config& config);

// GET /v1/nodes/{id}/evidence, the newest or that of a hash; `upstream_failed` when malformed,
// `verdict_refused` when it is not what the hash names.
Result<NodeEvidence> fetch_evidence(MarketApi& market, NodeId node, const std::string& hash = {},
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
