// How the evidence of one node holds together: the GPU answers a nonce that is made of the CPU's
// report data, so its evidence commits to the same keys and the same challenge, and cannot be
// swapped for another node's or an older one. Called by node (asking) and by market and client
// (checking); pure, any thread. Must not know how either kind of evidence looks.
#pragma once

#include "attestation/digest.hpp"
#include "attestation/verdict.hpp"

namespace cocoon::attestation {

// SHA-256("cocoon-market/gpu-nonce/v1" || 0x00 || report data, all 64 bytes).
Digest256 gpu_nonce(const ReportData& report_data);

}  // namespace cocoon::attestation
