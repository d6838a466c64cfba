// How good a TDX machine's versions are, by Intel's own algorithm: platform, TDX module and quoting
// enclave, each against its levels, then converged; and the relaunch rule for TD report 1.5. Called
// by tdx.hpp, on any thread; pure. Must not know signatures, policy or time. Source: Intel TDX DCAP
// Quoting Library API and the Quote Verification Library's TCB evaluation (4.1.2.4.17).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attestation/tdx_collateral.hpp"
#include "attestation/tdx_pck.hpp"

namespace cocoon::attestation {

// Pointers point into the TCB info and QE identity that were given; nullptr: no level is reached.
struct TcbEvaluation {
    const TdxModule* module = nullptr;       // what the running module must be signed like
    bool module_has_levels = false;          // TDX 1.5 and later; earlier ones are in the platform
    const IsvLevel* module_level = nullptr;  // reached by TEE_TCB_SVN
    const TcbLevel* sgx_level = nullptr;     // reached by the SGX part alone
    const TcbLevel* platform_level = nullptr;
    const IsvLevel* qe_level = nullptr;
    bool current_module_known = true;  // 1.5: false if the module that runs now has no identity

    // All converged; nothing unless every part reached a level and every module is known.
    std::optional<TcbStatus> status;
    std::vector<std::string> advisory_ids;  // of the levels reached, sorted, each once
};

TcbEvaluation evaluate_tcb(const TcbInfo& info, const QeIdentity& qe_identity,
                           const PckIdentity& pck, const TdReport& report,
                           std::uint16_t qe_isv_svn);

// `platform`, made worse by an out-of-date or revoked part.
TcbStatus converge(TcbStatus platform, TcbStatus part);

}  // namespace cocoon::attestation
