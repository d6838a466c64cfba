// Evidence of real hardware: the CPU's quote or report, the GPUs' reports, and what collateral is
// at hand, as one bundle (attestation/bundle.hpp). Called by attestor on its thread and by doctor.
// Must not know keysets or the market; judges nothing but what only this machine can tell: that the
// CPU answered our question, and that its GPUs are in confidential mode.
#pragma once

#include <memory>

#include "attestation/bundle.hpp"
#include "node/evidence.hpp"
#include "node/nvml.hpp"
#include "node/tdx_guest.hpp"
#include "node/tsm.hpp"

namespace cocoon::node {

// What stands between the collectors and the kernel: the kernel itself, or a test.
struct Machine {
    std::shared_ptr<TsmFiles> files = std::make_shared<TsmFiles>();
    DeviceCall call = call_kernel;
    TdxGuest::Connect connect{};  // empty: to the host, by vsock
};

class HardwareEvidenceProvider final : public EvidenceProvider {
public:
    // `tier` is one of tdx, tdx+gpu-cc, snp, snp+gpu-cc.
    HardwareEvidenceProvider(std::string tier, CollectorSettings collectors, Machine machine = {});

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
    Bytes firmware_log(ByteView quote);

    const std::string tier_;
    const CollectorSettings collectors_;
    const Machine machine_;
};

// What is wrong with a mode for selling confidential GPU work: `wrong_state` with the remedy.
Result<void> check_confidential(const GpuMode& mode);

}  // namespace cocoon::node
