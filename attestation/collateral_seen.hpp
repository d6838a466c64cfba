// The newest collateral that was seen, kept by the caller between verifications: whoever chooses
// collateral would choose an older one. Every verdict brings its own; merged by the market's
// directory and the client's trust store, applied by policy.hpp's against_rollback(). Plain value.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/time.hpp"

namespace cocoon::attestation {

struct TdxResult;
struct SnpResult;

struct CollateralSeen {
    std::uint32_t tdx_evaluation_number = 0;
    Instant root_crl_issued, pck_crl_issued;
    std::array<std::string, 3> snp_revocation_numbers{};  // by SnpProduct; 40 hex characters

    // Only results with right signatures move it.
    void note(const TdxResult& result);
    void note(const SnpResult& result);
    void note(const CollateralSeen& other);
    bool operator==(const CollateralSeen&) const = default;
};

}  // namespace cocoon::attestation
