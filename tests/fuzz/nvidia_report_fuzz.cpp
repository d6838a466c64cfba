// Any bytes as a device's measurement report: what is accepted is accounted for to the last byte,
// and nothing without a chain is proven.
#include <cstdint>
#include <cstdlib>

#include "attestation/nvidia.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

void must(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes{data, size};
    const auto report = parse_nvidia_report(bytes);
    if (report) {
        must(report->signed_bytes.size() + report->signature.size() == size);
        must(report->signature.size() == nvidia_signature_bytes);
        must(report->record_bytes + report->opaque_bytes < size);
        must(!report->measurements.contains(0));
        (void)report->mode();
        (void)report->nvdec0_disabled();
        for (const std::string& text : {report->driver_version(), report->vbios_version()})
            for (const char c : text) must(c > 0x20 && c < 0x7F);
        must(compare_measurements(*report, {}).mismatched.empty());
    }
    const NvidiaEvidence evidence{{data, data + size}, {}};
    must(verify_nvidia(evidence, {}, {}, {}, Instant{}).status == Status::refuted);
    return 0;
}
