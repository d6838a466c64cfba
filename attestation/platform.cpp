#include "attestation/platform.hpp"

#include <algorithm>
#include <set>

#include "attestation/binding.hpp"
#include "attestation/bundle.hpp"
#include "attestation/event_log.hpp"
#include "attestation/firmware_log.hpp"
#include "attestation/policy.hpp"

namespace cocoon::attestation {
namespace {

// Gathers what the verifiers of one bundle found into one verdict.
class Judgement {
public:
    Judgement(const Evidence& evidence, const ReportData& expected, const Policy& policy,
              Instant at)
        : policy_{policy}, expected_{expected}, at_{at} {
        verdict_.tier = evidence.tier;
        verdict_.status = Status::proven;
        verdict_.valid_until = at + policy.age_max;
    }

    bool check(std::string_view code, bool passed, std::string good, std::string bad) {
        verdict_.reasons.push_back({std::string{code}, passed ? Outcome::passed : Outcome::failed,
                                    passed ? std::move(good) : std::move(bad)});
        if (!passed) verdict_.status = Status::refuted;
        return passed;
    }
    void cpu(const TdxPart& evidence, const TdxCollateral& collateral);
    void cpu(const SnpPart& evidence, const SnpCollateral& collateral);
    void firmware_log(ByteView area, const Registers& rtmrs);
    void gpus(const Bundle& bundle);
    void gpu_service(const NvidiaServiceEvidence& evidence);
    Verdict finish() { return std::move(verdict_); }

private:
    void take(const std::string& prefix, const std::vector<Reason>& reasons) {
        for (const Reason& reason : reasons) {
            if (reason.outcome == Outcome::failed) verdict_.status = Status::refuted;
            verdict_.reasons.push_back({prefix + reason.code, reason.outcome, reason.text});
        }
    }
    // What is not proven by one part is not proven by the whole.
    void lower(Status status) {
        if (status == Status::refuted || verdict_.status == Status::refuted)
            verdict_.status = Status::refuted;
        else if (status == Status::unknown)
            verdict_.status = Status::unknown;
    }
    void until(Instant end) { verdict_.valid_until = std::min(verdict_.valid_until, end); }
    void bound(const ReportData& found) {
        check("report_data", found == expected_,
              "the evidence binds this node's keys and this challenge",
              "the evidence binds other keys or another challenge; make it anew for the current "
              "nonce");
    }
    void identified(const NvidiaIdentity& device) {
        verdict_.devices.push_back(device.platform_id());
        if (device.certificate_id() != device.platform_id())
            verdict_.device_certificates.push_back(device.certificate_id());
        // One device, whether it shows itself, the vendor vouches for it, or both.
        if (!device.is_switch && counted_.insert(device.certificate_id()).second) ++verdict_.gpus;
    }
    void measured(std::string measurement, const std::string& parts) {
        const auto& accepted = policy_.accepted_measurements;
        const bool listed =
            std::find(accepted.begin(), accepted.end(), measurement) != accepted.end();
        check(
            "measurement", accepted.empty() || listed,
            (accepted.empty() ? "the policy accepts any measurement: " : "the policy lists it: ") +
                parts,
            "the policy does not list " + measurement + ": " + parts);
        verdict_.measurement = std::move(measurement);
    }

    const Policy& policy_;
    const ReportData& expected_;
    const Instant at_;
    Verdict verdict_;
    std::set<std::string> counted_;  // certificates of GPUs
};

void Judgement::cpu(const TdxPart& evidence, const TdxCollateral& collateral) {
    const TdxResult result = verify_tdx(evidence.quote, collateral, policy_.tdx, at_);
    take("cpu_", result.reasons);
    take("cpu_", result.policy_reasons);
    lower(result.status);
    until(result.valid_until);
    if (result.tcb_status) verdict_.tcb_status = to_text(*result.tcb_status);
    verdict_.advisory_ids = result.advisory_ids;
    verdict_.seen.note(result);
    if (!result.report) return lower(Status::unknown);  // nothing is bound: never proven
    const TdReport& report = *result.report;
    verdict_.platform_id = result.platform_id;
    verdict_.family = result.fmspc;
    bound(report.report_data);
    std::string parts = "MRTD " + to_hex(report.mr_td);
    verdict_.registers = {"tdx.mrtd:" + to_hex(report.mr_td)};
    for (std::size_t i = 0; i < report.rtmr.size(); ++i) {
        parts += ", RTMR" + std::to_string(i) + " " + to_hex(report.rtmr[i]);
        verdict_.registers.push_back("tdx.rtmr" + std::to_string(i) + ":" + to_hex(report.rtmr[i]));
    }
    measured(tdx_measurement(report), parts);
    if (!evidence.firmware_log.empty()) firmware_log(evidence.firmware_log, report.rtmr);
    if (evidence.event_log.empty()) return;
    const auto events = parse_event_log(evidence.event_log);
    if (check("event_log", events.has_value(), "the event log is well-formed",
              events ? std::string{} : events.error().detail))
        take("cpu_", check_event_log(*events, report.rtmr));
}

void Judgement::firmware_log(ByteView area, const Registers& rtmrs) {
    const auto log = parse_firmware_log(area);
    if (check("firmware_log", log.has_value(), "the firmware's event log is well-formed",
              log ? std::string{} : log.error().detail))
        take("cpu_firmware_log_", check_firmware_log(log->events, rtmrs));
}

void Judgement::cpu(const SnpPart& evidence, const SnpCollateral& collateral) {
    const SnpResult result = verify_snp(evidence.report, collateral, policy_.snp, at_);
    take("cpu_", result.reasons);
    take("cpu_", result.policy_reasons);
    lower(result.status);
    until(result.valid_until);
    verdict_.seen.note(result);
    if (!result.report || !result.product) return lower(Status::unknown);  // as above
    const SnpReport& report = *result.report;
    verdict_.platform_id = result.platform_id;
    verdict_.tcb_status = snp_tcb(report.reported_tcb, *result.product).text();
    bound(report.report_data);
    const std::string measurement = to_hex(report.measurement);
    verdict_.registers = {"snp.measurement:" + measurement};
    measured(measurement, "launch digest " + measurement);
}

void Judgement::gpus(const Bundle& bundle) {
    const auto collateral = read_nvidia_collateral(
        bundle.nvidia.manifests, bundle.nvidia.ocsp_responses, bundle.nvidia.revocation_lists);
    if (!check("gpu_collateral", collateral.has_value(), "the GPUs' collateral is well-formed",
               collateral ? std::string{} : collateral.error().detail))
        return;
    const NvidiaNodeResult result =
        verify_nvidia_node(bundle.gpus, gpu_nonce(expected_), *collateral, policy_.nvidia, at_);
    for (std::size_t i = 0; i < result.devices.size(); ++i) {
        const NvidiaResult& device = result.devices[i];
        const std::string prefix = "gpu_" + std::to_string(i) + "_";
        take(prefix, device.reasons);
        take(prefix, device.policy_reasons);
        if (device.report) identified(device.identity);
        if (i == 0) take("", device.not_proven);
    }
    take("gpu_", result.reasons);
    take("gpu_", result.policy_reasons);
    lower(result.status);
    until(result.valid_until);
}

void Judgement::gpu_service(const NvidiaServiceEvidence& evidence) {
    const auto keys = parse_nvidia_key_set(evidence.key_set);
    if (!check("gpu_collateral", keys.has_value(), "the service's key set is well-formed",
               keys ? std::string{} : keys.error().detail))
        return;
    const NvidiaTokenResult result = verify_nvidia_answer(
        evidence.answer, *keys, gpu_nonce(expected_), policy_.nvidia_service, at_);
    take("gpu_service_", result.reasons);
    take("gpu_service_", result.policy_reasons);
    take("", result.not_proven);
    for (const NvidiaTokenDevice& device : result.devices)
        identified({.product = {}, .device = {}, .leaf_serial = device.leaf_serial});
    lower(result.status);
    until(result.valid_until);
}

}  // namespace

std::string tdx_measurement(const TdReport& report) {
    constexpr std::string_view tag = "cocoon-market/tdx-measurement/v1";
    Bytes bytes{tag.begin(), tag.end()};
    bytes.push_back(0);
    bytes.insert(bytes.end(), report.mr_td.begin(), report.mr_td.end());
    for (const Digest384& rtmr : report.rtmr) bytes.insert(bytes.end(), rtmr.begin(), rtmr.end());
    return to_hex(sha384(bytes));
}

Verdict verify_platform(const Evidence& evidence, const ReportData& expected_report_data,
                        const Policy& policy, Instant at) {
    Judgement judgement{evidence, expected_report_data, policy, at};
    const auto bundle = read_bundle(evidence.bytes);
    if (!judgement.check("bundle", bundle.has_value(), "the evidence is a well-formed bundle",
                         bundle ? std::string{} : bundle.error().detail))
        return judgement.finish();
    const auto* tdx = std::get_if<TdxPart>(&bundle->cpu);
    const bool with_gpus = evidence.tier.ends_with("+gpu-cc");
    if (!judgement.check("cpu_kind", evidence.tier.starts_with(tdx ? "tdx" : "snp"),
                         "the CPU's evidence is of the tier's kind",
                         "the CPU's evidence is not of the tier's kind"))
        return judgement.finish();
    if (tdx)
        judgement.cpu(*tdx, bundle->tdx);
    else
        judgement.cpu(std::get<SnpPart>(bundle->cpu), bundle->snp);
    const bool service = bundle->gpu_service != NvidiaServiceEvidence{};
    const bool shown = !bundle->gpus.empty() || service;
    if (!judgement.check(
            "gpu_evidence", shown == with_gpus,
            with_gpus ? "GPU evidence stands beside the CPU's"
                      : "no GPU is claimed and none is shown",
            with_gpus ? "the tier claims a confidential GPU and shows no evidence of one"
                      : "GPU evidence is shown, but the tier claims none: submit the +gpu-cc tier"))
        return judgement.finish();
    if (!bundle->gpus.empty()) judgement.gpus(*bundle);
    if (service) judgement.gpu_service(bundle->gpu_service);
    return judgement.finish();
}

}  // namespace cocoon::attestation
