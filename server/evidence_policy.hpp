// What evidence the market accepts: the operator's policy, raised by the newest collateral that any
// evidence has shown, so that nobody can come back with older one, not even after a restart. Owned
// by app; read by workers that judge evidence. Any thread. Knows no node and no verdict.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "attestation/policy.hpp"

namespace cocoon::server {

class EvidencePolicy {
public:
    // Stores what was seen; may throw, and is called again then with the next thing that is newer.
    using Keep = std::function<void(const attestation::CollateralSeen&)>;

    // The file's, or without a file the built-in one. Throws std::runtime_error when the file
    // cannot be used.
    explicit EvidencePolicy(const std::string& file);

    // From here on what was seen is kept: what an earlier process has kept counts at once.
    void remember(const attestation::CollateralSeen& kept, Keep keep);

    attestation::Policy current() const;
    // Stores what is newer before it counts: a restart never accepts what this process refused.
    void note(const attestation::CollateralSeen& seen);

private:
    attestation::Policy policy_;
    mutable std::mutex mutex_;
    attestation::CollateralSeen seen_;
    Keep keep_;
    bool unkept_ = false;  // storing failed
};

}  // namespace cocoon::server
