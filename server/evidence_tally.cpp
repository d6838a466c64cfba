#include "server/evidence_tally.hpp"

#include <algorithm>
#include <set>

#include "attestation/nvidia_claims.hpp"

namespace cocoon::server {
namespace {

using attestation::Outcome;
using attestation::Status;

std::size_t index_of(std::string_view tier) {
    const auto& all = attestation::all_tiers;
    return static_cast<std::size_t>(std::find(all.begin(), all.end(), tier) - all.begin());
}

// What no evidence proves is no news of this one.
bool is_standing_claim(std::string_view code) {
    static const auto claims = attestation::nvidia_claims_not_proven();
    return std::any_of(claims.begin(), claims.end(),
                       [&](const attestation::Reason& claim) { return claim.code == code; });
}

}  // namespace

std::string_view EvidenceTally::tier_name(std::size_t tier) {
    return tier < attestation::all_tiers.size() ? attestation::all_tiers[tier] : "other";
}

void EvidenceTally::note(const attestation::Verdict& verdict) {
    verdicts_[index_of(verdict.tier)][static_cast<std::size_t>(verdict.status)].fetch_add(
        1, std::memory_order_relaxed);
    if (verdict.proven()) return;
    // Of evidence that is refuted what failed; of what cannot be told what could not be checked.
    const Outcome wanted =
        verdict.status == Status::refuted ? Outcome::failed : Outcome::not_checked;
    std::set<std::string> kinds;  // eight GPUs that fail alike are one reason
    for (const attestation::Reason& reason : verdict.reasons)
        if (reason.outcome == wanted && !is_standing_claim(reason.code))
            kinds.insert(attestation::kind_of(reason.code));
    const std::lock_guard lock{mutex_};
    for (const std::string& kind : kinds) {
        std::pair label{kind, to_text(wanted)};
        if (reasons_.size() >= kinds_max && !reasons_.contains(label)) label.first = "other";
        ++reasons_[std::move(label)];
    }
}

EvidenceTally::Reasons EvidenceTally::reasons() const {
    const std::lock_guard lock{mutex_};
    return reasons_;
}

}  // namespace cocoon::server
