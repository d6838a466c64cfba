#include "node/doctor_evidence.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "attestation/nvidia_claims.hpp"
#include "net/http_client.hpp"
#include "node/hardware_evidence.hpp"
#include "sealing/signing.hpp"

namespace cocoon::node {
namespace {

// The first branch with confidential computing for everybody.
constexpr int driver_major_min = 550;

Check check_driver(Nvml& nvml) {
    const std::string name = "gpu.driver";
    const auto version = nvml.driver_version();
    if (!version) return failed(name, described(version.error()), "reinstall the NVIDIA driver");
    int major = 0;
    std::from_chars(version->data(), version->data() + version->size(), major);
    if (major < driver_major_min)
        return failed(name, "driver " + *version,
                      "install a driver of branch R550 or newer: older ones have no confidential "
                      "computing for production");
    return passed(name, "driver " + *version);
}

void check_mode(Nvml& nvml, std::vector<Check>& checks) {
    const auto mode = nvml.mode();
    if (!mode) {
        checks.push_back(failed("gpu.mode", described(mode.error()),
                                "this driver or GPU has no confidential computing; it needs "
                                "Hopper or newer"));
        return;
    }
    if (const auto fit = check_confidential(*mode))
        checks.push_back(passed("gpu.mode", "confidential, production, no developer tools"));
    else
        checks.push_back(failed("gpu.mode", described(fit.error()),
                                "change the mode from the host, then start this VM anew"));
    if (mode->ready)
        checks.push_back(passed("gpu.ready", "the GPUs accept work"));
    else
        checks.push_back(warned("gpu.ready", "the GPUs do not accept work yet",
                                "once their evidence is judged, run: nvidia-smi conf-compute "
                                "-srs 1"));
}

Check check_vbios(Nvml& nvml) {
    const auto devices = nvml.devices();
    if (!devices)
        return failed("gpu.vbios", described(devices.error()),
                      "reset the GPU from the host, then start this VM anew");
    if (devices->empty())
        return failed("gpu.vbios", "the driver sees no GPU", "pass the GPU through to this VM");
    std::string found;
    for (const GpuDevice& device : *devices)
        found += (found.empty() ? "" : "; ") + device.name + ", VBIOS " + device.vbios_version;
    return passed("gpu.vbios", found);
}

std::string remedy_for(const Error& error) {
    switch (error.code) {
        case ErrorCode::not_found:
            return "install or mount what is missing: Linux 6.7 or newer with tdx_guest or "
                   "sev-guest loaded and configfs mounted, for GPUs the NVIDIA driver";
        case ErrorCode::wrong_state:
            return "set attestation.tier to what this machine is, or change the machine";
        case ErrorCode::malformed_request:
        case ErrorCode::body_too_large:
            return "correct attestation.collateral_files or attestation.event_log_file";
        case ErrorCode::forbidden: return "run the node as root, or give its user these files";
        default:
            return "look into the kernel's log (dmesg); for TDX ask the host whether its quote "
                   "generation service runs";
    }
}

// Codes that nobody could check, without the claims that no evidence ever proves.
std::string not_checked(const attestation::Verdict& verdict) {
    const auto claims = attestation::nvidia_claims_not_proven();
    std::string out;
    for (const attestation::Reason& reason : verdict.reasons) {
        const bool claim = std::any_of(claims.begin(), claims.end(),
                                       [&](const auto& one) { return one.code == reason.code; });
        if (reason.outcome == attestation::Outcome::not_checked && !claim)
            out += (out.empty() ? "" : ", ") + reason.code;
    }
    return out;
}

Check check_verdict(const attestation::Verdict& verdict) {
    const std::string name = "evidence.verdict";
    if (const auto* failure = verdict.first_failure())
        return failed(name, failure->code + ": " + failure->text,
                      "mend what the reason names; firmware and TCB updates come from the host's "
                      "vendor. A market may judge by a milder policy than this strict one");
    if (!verdict.proven())
        return warned(name, "not judged without collateral: " + not_checked(verdict),
                      "nothing, if the market completes collateral; else save it and name the file "
                      "in attestation.collateral_files");
    return passed(name, "proven until " + verdict.valid_until.text() + ", TCB " +
                            verdict.tcb_status + ", measurement " + verdict.measurement);
}

}  // namespace

std::vector<Check> examine_gpus(const std::string& nvml_library) {
    auto nvml = Nvml::open(nvml_library);
    if (!nvml)
        return {failed("gpu.library", described(nvml.error()),
                       "install the NVIDIA driver with its management library (libnvidia-ml1)")};
    std::vector<Check> checks{passed("gpu.library", nvml_library), check_driver(**nvml)};
    check_mode(**nvml, checks);
    checks.push_back(check_vbios(**nvml));
    return checks;
}

std::vector<Check> examine_evidence(EvidenceProvider& provider, const attestation::Policy& policy,
                                    Instant at) {
    attestation::ReportData report_data{};
    const Bytes random = sealing::random_bytes(report_data.size());
    std::copy(random.begin(), random.end(), report_data.begin());
    const auto before = std::chrono::steady_clock::now();
    const auto evidence = provider.collect(report_data, at);
    const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - before);
    if (!evidence)
        return {
            failed("evidence.collect", described(evidence.error()), remedy_for(evidence.error()))};
    std::vector<Check> checks{
        passed("evidence.collect", provider.tier() + ": " + std::to_string(evidence->bytes.size()) +
                                       " bytes in " + std::to_string(spent.count()) + " ms")};
    const auto verdict = attestation::verify(*evidence, report_data, policy, at);
    checks.push_back(verdict ? check_verdict(*verdict)
                             : failed("evidence.verdict", described(verdict.error()),
                                      "name fewer collateral files"));
    return checks;
}

std::vector<std::string> collateral_urls(std::string_view tier) {
    std::vector<std::string> urls;
    if (tier.starts_with("tdx"))
        urls.push_back("https://api.trustedservices.intel.com/tdx/certification/v4/qe/identity");
    if (tier.starts_with("snp")) urls.push_back("https://kdsintf.amd.com/vcek/v1/Genoa/cert_chain");
    if (tier.ends_with("+gpu-cc")) {
        urls.push_back("https://rim.attestation.nvidia.com/");
        urls.push_back("https://ocsp.ndis.nvidia.com/");
    }
    return urls;
}

std::vector<Check> examine_collateral(const std::vector<std::string>& urls) {
    net::HttpClientOptions options;
    options.connect_timeout = seconds(5);
    options.total_timeout = seconds(10);
    options.user_agent = "cocoon-node/0.1";
    net::HttpClient client{options};
    std::vector<Check> checks;
    for (const std::string& url : urls) {
        net::ClientRequest request;
        request.url = url;
        const auto answer = client.send(request);
        checks.push_back(
            answer ? passed("collateral.reachable",
                            url + " answered " + std::to_string(answer->status))
                   : warned("collateral.reachable", url + ": " + described(answer.error()),
                            "nothing, if the market completes collateral; else let this address "
                            "through the firewall"));
    }
    return checks;
}

}  // namespace cocoon::node
