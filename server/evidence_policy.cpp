#include "server/evidence_policy.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace cocoon::server {

EvidencePolicy::EvidencePolicy(const std::string& file) {
    if (file.empty()) return;
    std::ifstream in{file, std::ios::binary};
    if (!in) throw std::runtime_error{"cannot read the attestation policy " + file};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    auto policy = attestation::parse_policy(text);
    if (!policy) {
        std::string why = "the attestation policy " + file + ": " + policy.error().detail;
        for (const FieldError& field : policy.error().fields)
            why += "; " + field.path + " " + field.message;
        throw std::runtime_error{why};
    }
    policy_ = *std::move(policy);
}

attestation::Policy EvidencePolicy::current() const {
    const std::lock_guard lock{mutex_};
    return attestation::against_rollback(policy_, seen_);
}

void EvidencePolicy::note(const attestation::CollateralSeen& seen) {
    const std::lock_guard lock{mutex_};
    seen_.note(seen);
}

}  // namespace cocoon::server
