// Evidence of real hardware: the CPU's quote or report, the GPUs' reports, and what collateral is
// at hand, as one bundle (attestation/bundle.hpp). Called by attestor on its thread and by doctor.
// Must not know keysets or the market; judges nothing but what only this machine can tell: that the
// CPU answered our question, and that its GPUs are in confidential mode.
#pragma once

#include <memory>

#include "attestation/bundle.hpp"
#include "node/evidence.hpp"
#include "node/nvml.hpp"
#include "node/sev_guest.hpp"
#include "node/tsm.hpp"

namespace cocoon::node {

class HardwareEvidenceProvider final : public EvidenceProvider {
public:
    // `tier` is one of tdx, tdx+gpu-cc, snp, snp+gpu-cc. `files` and `call` stand between this and
    // the kernel; empty: the kernel itself.
    HardwareEvidenceProvider(std::string tier, CollectorSettings collectors,
                             std::shared_ptr<TsmFiles> files = {}, SevGuest::Call call = {});

    std::string tier() const override { return tier_; }
    // Beside EvidenceProvider's codes: `wrong_state` for a machine that is not what its tier says
    // (another CPU, no GPU, a GPU with confidential mode off or developer tools on);
    // `malformed_request` for a collateral file or event log that nobody would accept;
    // `body_too_large` when all together is more than a bundle may hold.
    Result<attestation::Evidence> collect(const attestation::ReportData& report_data,
                                          Instant at) override;

private:
    Result<CpuReport> cpu_report(const attestation::ReportData& report_data);
    Result<void> add_cpu(attestation::Bundle& bundle, const attestation::ReportData& report_data);
    Result<void> add_gpus(attestation::Bundle& bundle, const attestation::ReportData& report_data);
    Result<void> add_files(attestation::Bundle& bundle);

    const std::string tier_;
    const CollectorSettings collectors_;
    const std::shared_ptr<TsmFiles> files_;
    const SevGuest::Call call_;
};

// What is wrong with a mode for selling confidential GPU work: `wrong_state` with the remedy.
Result<void> check_confidential(const GpuMode& mode);

}  // namespace cocoon::node
