// The newest collateral that was seen, kept by the caller between verifications: whoever chooses
// collateral would choose an older one. Every verdict brings its own; merged by the market's
// memory (server/evidence_policy.hpp) and the client's trust store, applied by policy.hpp's
// against_rollback(). Plain value.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/time.hpp"

namespace cocoon::attestation {

struct TdxResult;
struct SnpResult;

// Who issues PCK certificates, and with them a revocation list each. A list of one says nothing
// about the other's: each has its own minimum.
enum class PckAuthority : std::uint8_t { processor, platform };
constexpr std::size_t pck_authorities_count = 2;

struct CollateralSeen {
    std::uint32_t tdx_evaluation_number = 0;
    Instant root_crl_issued;
    std::array<Instant, pck_authorities_count> pck_crl_issued{};  // by PckAuthority
    std::array<std::string, 3> snp_revocation_numbers{};  // by SnpProduct; 40 hex characters

    // Only results with right signatures move it.
    void note(const TdxResult& result);
    void note(const SnpResult& result);
    void note(const CollateralSeen& other);
    bool operator==(const CollateralSeen&) const = default;
};

}  // namespace cocoon::attestation
