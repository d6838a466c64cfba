// Completes evidence with the vendors' collateral before it is judged: what a bundle lacks, or has
// in an older edition, is taken from memory or fetched, and the completed bundle is what is judged
// and stored, so that nobody who verifies it later needs a vendor. Called by the evidence route on
// workers that may wait (app.cpp wires it); never on the I/O thread or the lane. Must not judge:
// everything fetched is signed, and attestation/ says what it is worth.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "api/context.hpp"
#include "net/http_client.hpp"
#include "server/collateral_cache.hpp"
#include "server/collateral_source.hpp"
#include "server/rate.hpp"

namespace cocoon::server {

// Collateral that lives for weeks is replaced at half of its life; so near its end, something is
// wrong with whoever serves it.
constexpr Duration collateral_alarm_ahead = days(7);

// Without a trailing slash; empty: that service is not asked.
struct CollateralUrls {
    std::string tdx;            // Intel PCS v4 or a PCCS: "https://api.trustedservices.intel.com"
    std::string tdx_root_list;  // whole URL of the root's list; empty: <tdx>'s, as a PCCS has it
    std::string snp;            // AMD KDS: "https://kdsintf.amd.com"
    std::string manifests;      // NVIDIA RIM service: "https://rim.attestation.nvidia.com"
    std::string ocsp;           // NVIDIA's responder: "https://ocsp.ndis.nvidia.com"
};

struct CollateralOptions {
    CollateralUrls urls;
    Duration call_timeout = seconds(5);
    Duration patience = seconds(12);  // with one bundle; what is not there then is missing
    // The newest edition of Intel's data that was seen (tcbEvaluationDataNumber). Intel serves an
    // early and a standard one side by side: whoever brought the early one makes it the minimum.
    std::function<std::uint32_t()> evaluation_number_min = [] { return 0u; };
    Duration ocsp_stale_max;  // as the policy has it: answers are used so long after their end
    // How long what may be revoked or replaced any day is used before it is asked for again.
    Duration fresh_max = days(1);
    // What one node's evidence may make us ask for: it is not verified yet. The second burst of a
    // node with eight GPUs still passes.
    RatePolicy calls_per_node{240, minutes(10)};
    CollateralCacheLimits cache;
};

class CollateralService {
public:
    CollateralService(CollateralOptions options, const Clock& clock, Metrics& metrics);

    // Collateral that an earlier process fetched, and where this one keeps its own. Before all
    // else.
    void remember(std::vector<db::KeptCollateral> kept, CollateralShelf shelf) {
        cache_.remember(std::move(kept), std::move(shelf));
    }
    std::size_t pieces_max() const { return options_.cache.entries_max; }

    // The evidence itself if it is no bundle (the simulated tier, malformed ones) or lacks nothing
    // that can be had.
    api::CompletedEvidence complete(NodeId node, Bytes evidence);
    // Stored evidence with the newest collateral that can be had in the place of what it has, OCSP
    // answers included: to judge it again. What cannot be had is left as it was. Costs the node
    // none of its calls.
    api::CompletedEvidence refresh(NodeId node, Bytes evidence);
    // Measures how much of what is kept nears its end: the operator's alarm. Any thread.
    void measure() { cache_.ending(collateral_alarm_ahead); }
    // Ends every call under way and refuses further ones. Any thread.
    void stop() { cancel_.cancel(); }

private:
    class Completion;

    api::CompletedEvidence complete(NodeId node, Bytes evidence, bool anew);

    const CollateralOptions options_;
    const Clock& clock_;
    net::CancelToken cancel_;
    net::HttpClient client_;
    CollateralCache cache_;
    CollateralSource tdx_, tdx_root_list_, snp_, manifests_, ocsp_;
    std::mutex mutex_;
    RateTable calls_;
};

}  // namespace cocoon::server
