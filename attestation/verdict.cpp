#include "attestation/verdict.hpp"

#include <algorithm>

#include "attestation/platform.hpp"
#include "attestation/policy.hpp"
#include "attestation/simulated.hpp"

namespace cocoon::attestation {
namespace {

struct Verifier {
    std::string_view tier;
    Verdict (*verify)(const Evidence&, const ReportData&, const Policy&, Instant);
};

// One row for each kind of evidence we can judge.
constexpr std::array<Verifier, 5> verifiers{{{"tdx+gpu-cc", verify_platform},
                                             {"snp+gpu-cc", verify_platform},
                                             {"tdx", verify_platform},
                                             {"snp", verify_platform},
                                             {simulated_tier, verify_simulated}}};

// A printable, bounded copy of what a peer called its tier.
std::string shown(std::string_view tier) {
    std::string out;
    for (const char character : tier.substr(0, 64))
        out += character > 0x20 && character < 0x7F ? character : '?';
    return out;
}

Reason check_tier(const std::string& tier, const Policy& policy) {
    const auto& accepted = policy.accepted_tiers;
    if (accepted.empty() || std::find(accepted.begin(), accepted.end(), tier) != accepted.end())
        return {"tier_accepted", Outcome::passed, "the policy accepts the tier " + shown(tier)};
    return {"tier_accepted", Outcome::failed, "the policy does not accept the tier " + shown(tier)};
}

}  // namespace

std::string_view to_text(Status status) {
    switch (status) {
        case Status::proven: return "proven";
        case Status::refuted: return "refuted";
        case Status::unknown: break;
    }
    return "unknown";
}

std::string_view to_text(Outcome outcome) {
    switch (outcome) {
        case Outcome::passed: return "passed";
        case Outcome::failed: return "failed";
        case Outcome::not_checked: break;
    }
    return "not_checked";
}

const Reason* Verdict::first_failure() const {
    const auto found = std::find_if(reasons.begin(), reasons.end(), [](const Reason& reason) {
        return reason.outcome == Outcome::failed;
    });
    return found == reasons.end() ? nullptr : &*found;
}

Result<Verdict> verify(const Evidence& evidence, const ReportData& expected_report_data,
                       const Policy& policy, Instant at) {
    if (evidence.bytes.size() > evidence_bytes_max)
        return refuse(ErrorCode::body_too_large, "the evidence is over its size limit");
    const Reason tier = check_tier(evidence.tier, policy);
    for (const Verifier& row : verifiers) {
        if (row.tier != evidence.tier) continue;
        Verdict verdict = row.verify(evidence, expected_report_data, policy, at);
        verdict.reasons.insert(verdict.reasons.begin(), tier);
        // Judged here, so that no verifier can call proven what one of its own checks refused.
        verdict.status = verdict.first_failure() ? Status::refuted : verdict.status;
        if (!verdict.proven()) verdict.valid_until = {};
        return verdict;
    }
    Verdict verdict;
    verdict.tier = shown(evidence.tier);
    verdict.reasons = {
        tier, {"verifier", Outcome::not_checked, "this program has no verifier for this tier"}};
    return verdict;
}

}  // namespace cocoon::attestation
