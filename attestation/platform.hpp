// The tiers of real hardware: a bundle's CPU evidence, its GPUs and what binds the two, judged as
// one verdict. Rows of verdict.cpp's table; call verify() instead. Pure, any thread. Must not know
// keysets or challenges: the caller computes the report data.
#pragma once

#include "attestation/verdict.hpp"

namespace cocoon::attestation {

// Codes, beside those of the verifiers, which come with "cpu_", "gpu_0_", "gpu_service_": bundle,
// cpu_kind, report_data (other keys or another challenge), measurement, event_log, firmware_log,
// gpu_evidence (a tier with GPUs without theirs, or the other way round), gpu_collateral,
// gpu_device_count, gpu_device_duplicate, gpu_switches_present, and the claims that no evidence
// proves: gpu_place, gpu_mode, gpu_workload, gpu_uniqueness, always not_checked.
Verdict verify_platform(const Evidence& evidence, const ReportData& expected_report_data,
                        const Policy& policy, Instant at);

// What a TDX machine runs, as one value: SHA-384 of "cocoon-market/tdx-measurement/v1", a zero
// octet, MRTD and RTMR0 to RTMR3. 96 hex characters, as an SNP measurement.
struct TdReport;
std::string tdx_measurement(const TdReport& report);

}  // namespace cocoon::attestation
