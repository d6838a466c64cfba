// What evidence the market accepts: the operator's policy, raised by the newest collateral that any
// evidence has shown, so that nobody can come back with older one. Owned by app; read by workers
// that judge evidence. Any thread. Knows no node and no verdict.
#pragma once

#include <mutex>
#include <string>

#include "attestation/policy.hpp"

namespace cocoon::server {

class EvidencePolicy {
public:
    // The file's, or without a file the built-in one. Throws std::runtime_error when the file
    // cannot be used.
    explicit EvidencePolicy(const std::string& file);

    attestation::Policy current() const;
    void note(const attestation::CollateralSeen& seen);

private:
    attestation::Policy policy_;
    mutable std::mutex mutex_;
    attestation::CollateralSeen seen_;
};

}  // namespace cocoon::server
