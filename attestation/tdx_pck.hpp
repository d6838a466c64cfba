// What Intel wrote into a PCK certificate about one processor: identity, TCB, family. Called by
// tdx.hpp and people's tools, on any thread. Must not know whether the certificate is genuine.
// Source: Intel SGX PCK Certificate and Certificate Revocation List Profile Specification, 1.3.5.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "attestation/certificate.hpp"

namespace cocoon::attestation {

struct PckIdentity {
    std::array<std::uint8_t, 16> ppid{};  // one processor for ever: personal data, keep it hashed
    std::array<std::uint8_t, 16> components{};  // SGX TCB component SVNs
    std::uint16_t pce_svn = 0;
    std::array<std::uint8_t, 16> cpu_svn{};
    std::array<std::uint8_t, 2> pce_id{};
    std::array<std::uint8_t, 6> fmspc{};  // family, model, stepping, platform, custom SKU
    std::int64_t sgx_type = 0;            // 0 standard, 1 scalable, 2 scalable with integrity
    // Of multi-package platforms (issued by the Platform CA) only.
    std::optional<std::array<std::uint8_t, 16>> platform_instance_id;
    std::optional<bool> dynamic_platform, cached_keys, smt_enabled;
};

// `malformed_request` if the certificate has no SGX extension, or that is not DER, lacks a part or
// has one twice. Parts that are not known are left alone.
Result<PckIdentity> read_pck_identity(const Certificate& certificate);

}  // namespace cocoon::attestation
