// TDX quotes on kernels before configfs-tsm: /dev/tdx_guest gives a report that only this machine
// can check (Linux 6.2, Documentation/virt/coco/tdx-guest.rst), and the host's quote generation
// service turns it into a quote, asked over vsock with Intel's messages (DCAP, qgs_msg_lib.h, 1.0).
// Called by the evidence provider where configfs-tsm is missing; blocking.
#pragma once

#include <functional>
#include <string>

#include "node/device.hpp"
#include "node/tsm.hpp"

namespace cocoon::node {

class TdxGuest {
public:
    static constexpr const char* usual_device = "/dev/tdx_guest";
    static constexpr unsigned quote_port = 4050;  // where hosts run the service, by convention
    // An open stream to the service, or -1 and errno. A test stands in for it.
    using Connect = std::function<int()>;

    explicit TdxGuest(std::string device, DeviceCall call = call_kernel, Connect connect = {});

    // `not_found` without the device, `node_unavailable` when the host runs no such service or it
    // does not answer in time, `internal_error` with the kernel's or the service's reason.
    Result<CpuReport> report(const attestation::ReportData& report_data);

private:
    Result<Bytes> local_report(const attestation::ReportData& report_data);

    const std::string device_;
    const DeviceCall call_;
    const Connect connect_;
};

}  // namespace cocoon::node
