#include "node/hardware_evidence.hpp"

#include "attestation/binding.hpp"
#include "attestation/event_log.hpp"
#include "attestation/firmware_log.hpp"
#include "attestation/snp_report.hpp"
#include "attestation/snp_table.hpp"
#include "attestation/tdx_quote.hpp"
#include "core/log.hpp"
#include "node/files.hpp"
#include "node/sev_guest.hpp"

namespace cocoon::node {
namespace {

using attestation::Bundle;
using attestation::ReportData;

constexpr std::size_t collateral_file_bytes_max = attestation::evidence_bytes_max;

// The 64 bytes that the report carries, or why it is none.
Result<ReportData> report_data_of(const CpuReport& report) {
    if (report.provider == "tdx_guest") {
        const auto quote = attestation::parse_tdx_quote(report.report);
        if (!quote) return quote.error();
        return quote->report.report_data;
    }
    const auto parsed = attestation::parse_snp_report(report.report);
    if (!parsed) return parsed.error();
    return parsed->report_data;
}

Error at_file(const std::string& path, const Error& error) {
    return refuse(error.code, path + ": " + error.detail);
}

}  // namespace

HardwareEvidenceProvider::HardwareEvidenceProvider(std::string tier, CollectorSettings collectors,
                                                   Machine machine)
    : tier_{std::move(tier)}, collectors_{std::move(collectors)}, machine_{std::move(machine)} {}

Result<attestation::Evidence> HardwareEvidenceProvider::collect(const ReportData& report_data,
                                                                Instant) {
    Bundle bundle;
    if (auto added = add_cpu(bundle, report_data); !added) return added.error();
    if (tier_.ends_with("+gpu-cc"))
        if (auto added = add_gpus(bundle, report_data); !added) return added.error();
    if (auto added = add_files(bundle); !added) return added.error();
    const std::string document = attestation::write_bundle(bundle);
    if (document.size() > attestation::evidence_bytes_max)
        return refuse(ErrorCode::body_too_large, "the evidence has " +
                                                     std::to_string(document.size()) +
                                                     " bytes with its collateral and event log");
    return attestation::Evidence{tier_, {document.begin(), document.end()}};
}

Result<CpuReport> HardwareEvidenceProvider::cpu_report(const ReportData& report_data) {
    auto report = Tsm{collectors_.tsm_directory, *machine_.files}.report(report_data);
    if (report || report.error().code != ErrorCode::not_found) return report;
    auto older =
        tier_.starts_with("tdx")
            ? TdxGuest{collectors_.tdx_guest_device, machine_.call, machine_.connect}.report(
                  report_data)
            : SevGuest{collectors_.sev_guest_device, machine_.call}.report(report_data);
    if (older || older.error().code != ErrorCode::not_found) return older;
    return report;  // neither way: name the one that current kernels have
}

Result<void> HardwareEvidenceProvider::add_cpu(Bundle& bundle, const ReportData& report_data) {
    auto report = cpu_report(report_data);
    if (!report) return report.error();
    const std::string wanted = tier_.starts_with("tdx") ? "tdx_guest" : "sev_guest";
    if (report->provider != wanted)
        return refuse(ErrorCode::wrong_state, "the tier " + tier_ + " needs " + wanted +
                                                  ", this machine is " + report->provider);
    const auto carried = report_data_of(*report);
    if (!carried) return refuse(ErrorCode::internal_error, carried.error().detail);
    if (*carried != report_data)
        return refuse(ErrorCode::internal_error, "the CPU's report answers another question");
    if (wanted == "tdx_guest") {
        bundle.cpu = attestation::TdxPart{std::move(report->report), {}};
        return {};
    }
    bundle.cpu = attestation::SnpPart{std::move(report->report)};
    // The host fills this table in; what it spoils, the market fetches.
    if (auto table = attestation::read_snp_table(report->certificate_table))
        bundle.snp = *std::move(table);
    else
        log::warning("the host's certificate table is of no use",
                     {{"cause", table.error().detail}});
    return {};
}

Result<void> HardwareEvidenceProvider::add_gpus(Bundle& bundle, const ReportData& report_data) {
    // Opened anew each time: a driver may have been replaced since.
    auto nvml = Nvml::open(collectors_.nvml_library);
    if (!nvml) return nvml.error();
    const auto mode = (*nvml)->mode();
    if (!mode) return mode.error();
    if (auto fit = check_confidential(*mode); !fit) return fit.error();
    auto gpus = (*nvml)->evidence(attestation::gpu_nonce(report_data));
    if (!gpus) return gpus.error();
    if (gpus->empty()) return refuse(ErrorCode::wrong_state, "the driver sees no GPU");
    bundle.gpus = *std::move(gpus);
    return {};
}

Result<void> HardwareEvidenceProvider::add_files(Bundle& bundle) {
    if (auto* tdx = std::get_if<attestation::TdxPart>(&bundle.cpu);
        tdx != nullptr && !collectors_.event_log_file.empty()) {
        const std::string& path = collectors_.event_log_file;
        auto log = read_file(path, attestation::event_log_bytes_max, false);
        if (!log) return at_file(path, log.error());
        if (const auto events = attestation::parse_event_log(*log); !events)
            return at_file(path, events.error());
        tdx->event_log = *std::move(log);
    }
    if (auto* tdx = std::get_if<attestation::TdxPart>(&bundle.cpu))
        tdx->firmware_log = firmware_log(tdx->quote);
    for (const std::string& path : collectors_.collateral_files) {
        const auto json = read_file(path, collateral_file_bytes_max, false);
        if (!json) return at_file(path, json.error());
        if (auto added = attestation::add_collateral(bundle, *json); !added)
            return at_file(path, added.error());
    }
    return {};
}

// The firmware's event log, if the machine has one that says what the quote's registers hold. It
// explains them and proves nothing more: without it, or where software has extended them since the
// firmware's end, evidence goes without. Linux shows the whole area; what was never written is left
// behind.
Bytes HardwareEvidenceProvider::firmware_log(ByteView quote) {
    const std::string& path = collectors_.firmware_log_file;
    const auto area = read_file(path, attestation::firmware_log_bytes_max, false);
    if (!area && area.error().code == ErrorCode::not_found) return {};
    const auto read = area ? attestation::parse_firmware_log(as_bytes(*area))
                           : Result<attestation::FirmwareLog>{area.error()};
    if (!read) {
        log::warning("the firmware's event log is of no use", {{"cause", read.error().detail}});
        return {};
    }
    const auto parsed = attestation::parse_tdx_quote(quote);
    if (!parsed) return {};
    for (const attestation::Reason& reason :
         attestation::check_firmware_log(read->events, parsed->report.rtmr))
        if (reason.outcome != attestation::Outcome::passed) {
            log::warning("the firmware's event log is left out", {{"cause", reason.text}});
            return {};
        }
    const ByteView used = as_bytes(*area).first(read->used_bytes);
    return {used.begin(), used.end()};
}

Result<void> check_confidential(const GpuMode& mode) {
    if (!mode.confidential)
        return refuse(ErrorCode::wrong_state,
                      "the GPU's confidential mode is off: the host must turn it on and reset the "
                      "GPU (nvidia_gpu_tools.py --set-cc-mode=on --reset-after-cc-mode-switch)");
    if (mode.developer_tools)
        return refuse(ErrorCode::wrong_state,
                      "the GPU is in DevTools mode, in which its memory can be read: the host must "
                      "set the mode on instead");
    if (!mode.production)
        return refuse(ErrorCode::wrong_state,
                      "the driver says that this confidential environment is no production one");
    if (mode.protected_pcie)
        return refuse(ErrorCode::wrong_state,
                      "the GPUs are in protected PCIe mode: their switches must be attested too, "
                      "which this program cannot; use single GPU passthrough");
    return {};
}

}  // namespace cocoon::node
