// SEV-SNP reports from kernels before configfs-tsm: the ioctls of /dev/sev-guest (Linux 5.19,
// Documentation/virt/coco/sev-guest.rst). Called by the evidence provider where configfs-tsm is
// missing; blocking. /dev/tdx_guest has no such fallback: its ioctl gives a local TDREPORT, which
// only the host's quoting service could turn into a quote.
#pragma once

#include <functional>
#include <string>

#include "node/tsm.hpp"

namespace cocoon::node {

class SevGuest {
public:
    static constexpr const char* usual_device = "/dev/sev-guest";
    // As ioctl(2) on the open device; a test stands in for it.
    using Call = std::function<int(int file, unsigned long request, void* argument)>;

    explicit SevGuest(std::string device, Call call = {});

    // `not_found` without the device, `internal_error` with the firmware's and the host's codes
    // when either refuses.
    Result<CpuReport> report(const attestation::ReportData& report_data);

private:
    const std::string device_;
    const Call call_;
};

}  // namespace cocoon::node
