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

// Checks that an honest machine fails by waiting: after "cpu_", "gpu_", "gpu_0_".
constexpr std::string_view ageing_checks[] = {"tcb_status",
                                              "tcb_date",
                                              "advisories_tolerated",
                                              "tcb_level",
                                              "qe_tcb_level",
                                              "tdx_module_tcb_level",
                                              "tcb_info_rollback",
                                              "qe_identity_rollback",
                                              "root_crl_rollback",
                                              "pck_crl_rollback",
                                              "revocation_rollback",
                                              "reported_tcb_minimum",
                                              "committed_tcb_minimum",
                                              "launch_tcb_minimum",
                                              "driver_version_min"};

bool is_ageing(std::string_view code) {
    if (!code.starts_with("cpu_") && !code.starts_with("gpu_")) return false;
    code.remove_prefix(4);
    if (const std::size_t end = code.find_first_not_of("0123456789");
        end != 0 && end != code.npos && code[end] == '_')
        code.remove_prefix(end + 1);
    return std::find(std::begin(ageing_checks), std::end(ageing_checks), code) !=
           std::end(ageing_checks);
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

bool only_out_of_date(const Verdict& verdict) {
    return verdict.first_failure() != nullptr &&
           std::all_of(verdict.reasons.begin(), verdict.reasons.end(), [](const Reason& reason) {
               return reason.outcome != Outcome::failed || is_ageing(reason.code);
           });
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
