// SEV-SNP reports from kernels before configfs-tsm: the ioctls of /dev/sev-guest (Linux 5.19,
// Documentation/virt/coco/sev-guest.rst). Called by the evidence provider where configfs-tsm is
// missing; blocking.
#pragma once

#include <string>

#include "node/device.hpp"
#include "node/tsm.hpp"

namespace cocoon::node {

class SevGuest {
public:
    static constexpr const char* usual_device = "/dev/sev-guest";

    explicit SevGuest(std::string device, DeviceCall call = call_kernel);

    // `not_found` without the device, `internal_error` with the firmware's and the host's codes
    // when either refuses.
    Result<CpuReport> report(const attestation::ReportData& report_data);

private:
    const std::string device_;
    const DeviceCall call_;
};

}  // namespace cocoon::node
