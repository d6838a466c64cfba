// Doctor's look at the tiers of real hardware, by doing what the node will do: load the driver's
// library, have evidence made, judge it, reach the vendors. Called by doctor and tests; blocking.
// Leaves nothing changed.
#pragma once

#include "attestation/policy.hpp"
#include "node/check.hpp"
#include "node/evidence.hpp"

namespace cocoon::node {

// "gpu.library", "gpu.driver", "gpu.mode", "gpu.ready", "gpu.vbios".
std::vector<Check> examine_gpus(const std::string& nvml_library);

// "evidence.collect": the provider's answer to random report data. "evidence.verdict": what anyone
// with `policy` and no collateral but the evidence's own makes of it.
std::vector<Check> examine_evidence(EvidenceProvider& provider, const attestation::Policy& policy,
                                    Instant at);

// "collateral.reachable" for each address; any answer will do. A node can do without: its market
// fetches what evidence lacks.
std::vector<Check> examine_collateral(const std::vector<std::string>& urls);
// Where vendors serve the collateral of a tier.
std::vector<std::string> collateral_urls(std::string_view tier);

}  // namespace cocoon::node
