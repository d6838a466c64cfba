// What no evidence of a GPU proves, whichever route it takes. Called by nvidia.cpp and
// nvidia_token.cpp, on any thread. Must not know evidence.
#pragma once

#include <vector>

#include "attestation/verdict.hpp"

namespace cocoon::attestation {

// Claims of their own, always not_checked: gpu_place, gpu_mode, gpu_workload, gpu_uniqueness. They
// stand beside a verdict, so that one green tick never covers them.
std::vector<Reason> nvidia_claims_not_proven();

}  // namespace cocoon::attestation
