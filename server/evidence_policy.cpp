#include "server/evidence_policy.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "core/log.hpp"

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

void EvidencePolicy::remember(const attestation::CollateralSeen& kept, Keep keep) {
    const std::lock_guard lock{mutex_};
    seen_.note(kept);
    keep_ = std::move(keep);
}

void EvidencePolicy::note(const attestation::CollateralSeen& seen) {
    attestation::CollateralSeen raised;
    {
        const std::lock_guard lock{mutex_};
        raised = seen_;
        raised.note(seen);
        if (raised == seen_ && !unkept_) return;
    }
    bool kept = true;
    try {
        if (keep_) keep_(raised);  // each value on its own only rises: order does not matter
    } catch (const std::exception& failure) {
        // The minimum counts in this process all the same.
        log::warning("collateral_memory_not_stored", {{"why", failure.what()}});
        kept = false;
    }
    const std::lock_guard lock{mutex_};
    seen_.note(raised);
    unkept_ = !kept;
}

}  // namespace cocoon::server
