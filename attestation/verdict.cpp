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

// Checks that an honest machine fails by waiting, after "cpu_", "gpu_", "gpu_0_", the manifests'
// prefix: those of the machine's own age, and those of the collateral's.
constexpr std::string_view machine_ageing[] = {"tcb_status",           "tcb_date",
                                               "advisories_tolerated", "tcb_level",
                                               "qe_tcb_level",         "tdx_module_tcb_level",
                                               "reported_tcb_minimum", "committed_tcb_minimum",
                                               "launch_tcb_minimum",   "driver_version_min"};
constexpr std::string_view collateral_rollback[] = {"tcb_info_rollback", "qe_identity_rollback",
                                                    "root_crl_rollback", "pck_crl_rollback",
                                                    "revocation_rollback"};
constexpr std::string_view collateral_ended[] = {"tcb_info_current",
                                                 "qe_identity_current",
                                                 "root_crl_current",
                                                 "pck_crl_current",
                                                 "revocation_expired",
                                                 "driver_manifest_revocation_expired",
                                                 "vbios_manifest_revocation_expired"};

template <std::size_t size>
bool holds(const std::string_view (&codes)[size], std::string_view code) {
    return std::find(std::begin(codes), std::end(codes), code) != std::end(codes);
}

// Without the part that it is about; empty for checks of no part.
std::string_view bare_code(std::string_view code) {
    if (!code.starts_with("cpu_") && !code.starts_with("gpu_")) return {};
    code.remove_prefix(4);
    if (const std::size_t end = code.find_first_not_of("0123456789");
        end != 0 && end != code.npos && code[end] == '_')
        code.remove_prefix(end + 1);
    return code;
}

template <class Of>
bool all_failures(const Verdict& verdict, Of&& of) {
    return verdict.first_failure() != nullptr &&
           std::all_of(verdict.reasons.begin(), verdict.reasons.end(), [&](const Reason& reason) {
               return reason.outcome != Outcome::failed || of(bare_code(reason.code));
           });
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
    return all_failures(verdict, [](std::string_view code) {
        return holds(machine_ageing, code) || holds(collateral_rollback, code);
    });
}

bool only_old_collateral(const Verdict& verdict) {
    return all_failures(verdict, [](std::string_view code) {
        return holds(collateral_rollback, code) || holds(collateral_ended, code);
    });
}

std::string kind_of(std::string_view reason_code) {
    constexpr std::string_view device = "gpu_";
    if (!reason_code.starts_with(device)) return std::string{reason_code};
    const std::string_view rest = reason_code.substr(device.size());
    const std::size_t end = rest.find_first_not_of("0123456789");
    const bool numbered = end != 0 && end != rest.npos && rest[end] == '_';
    return std::string{device} + std::string{numbered ? rest.substr(end + 1) : rest};
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
