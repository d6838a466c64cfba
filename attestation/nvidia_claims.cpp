#include "attestation/nvidia_claims.hpp"

namespace cocoon::attestation {

std::vector<Reason> nvidia_claims_not_proven() {
    const auto claim = [](const char* code, const char* text) {
        return Reason{code, Outcome::not_checked, text};
    };
    return {
        claim("gpu_place",
              "nothing in the report ties the GPU to the CPU's machine: it rests on "
              "the measured guest asking its own GPU with a nonce bound to the quote"),
        claim("gpu_mode",
              "the report does not say that confidential mode is on and developer "
              "tools are off: the measured guest must ask the driver and refuse to start"),
        claim("gpu_workload",
              "the report does not say what runs on the GPU or which model: that "
              "is the guest's measured configuration"),
        claim("gpu_uniqueness",
              "one GPU can answer for several nodes: whoever keeps the register "
              "must hold each platform id for one node at a time"),
    };
}

}  // namespace cocoon::attestation
