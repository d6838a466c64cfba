// NVIDIA's management library, as far as confidential computing needs it: what mode the driver and
// its GPUs are in, and their evidence. The library is looked for at run time, so that this program
// builds and starts without it. Called by the evidence provider and doctor, blocking, one thread at
// a time. Must not know what a nonce binds. Source: NVML API reference, "Confidential Compute".
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attestation/nvidia.hpp"
#include "core/result.hpp"

namespace cocoon::node {

// As the driver says; nothing of this is evidence for anyone else.
struct GpuMode {
    bool confidential = false;     // the feature is on
    bool production = false;       // the environment is neither absent nor simulated
    bool developer_tools = false;  // on: memory can be read by debuggers, whatever else is said
    bool protected_pcie = false;   // several GPUs over switches that have evidence of their own
    bool ready = false;            // the guest has let the GPUs accept work
};

struct GpuDevice {
    std::string name;           // "NVIDIA H100 80GB HBM3"
    std::string vbios_version;  // "96.00.A5.00.01"
};

class Nvml {
public:
    static constexpr const char* usual_library = "libnvidia-ml.so.1";

    // `not_found` without the library or with one that lacks a function we need, `internal_error`
    // when it does not start (no driver, no device).
    static Result<std::unique_ptr<Nvml>> open(const std::string& library);
    ~Nvml();
    Nvml(const Nvml&) = delete;
    Nvml& operator=(const Nvml&) = delete;

    // All: `internal_error` with the library's own words.
    Result<std::string> driver_version();
    Result<GpuMode> mode();
    Result<std::vector<GpuDevice>> devices();
    // Every GPU's report over `nonce` with its certificates, in the driver's order. A GPU out of
    // confidential mode refuses.
    Result<std::vector<attestation::NvidiaEvidence>> evidence(
        const attestation::NvidiaNonce& nonce);

private:
    struct Library;
    explicit Nvml(std::unique_ptr<Library> library);
    Error refused(const std::string& what, int code) const;
    Result<std::vector<void*>> handles();
    Result<attestation::NvidiaEvidence> evidence_of(void* device,
                                                    const attestation::NvidiaNonce& nonce);

    std::unique_ptr<Library> library_;
};

}  // namespace cocoon::node
