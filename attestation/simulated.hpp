// The `simulated` tier: evidence for machines without a TEE, so that the whole market runs on any
// laptop. It proves NOTHING about hardware: the signing key is derived from the public text below,
// so anyone can make such a report. Every other check is real, and the tier is refused unless a
// policy enables it. Made by cocoon-node, verified through verdict.hpp; pure functions.
#pragma once

#include <string>
#include <string_view>

#include "attestation/verdict.hpp"

namespace cocoon::attestation {

constexpr std::string_view simulated_tier = "simulated";
// The Ed25519 seed of the simulation key is SHA-256 of this text.
constexpr std::string_view simulation_key_text =
    "cocoon-market simulated attestation, proves nothing, v1";

struct SimulatedReport {
    std::string measurement;  // 96 lower-case hex characters, like an MRTD
    std::string platform_id;  // 1..64 characters of [a-z0-9._-]
    ReportData report_data{};
    Instant issued_at;  // whole seconds
};

// The signed report: 8-byte magic "CCNSIMv1", then lengths and fields in network byte order, then
// the signature over all before it. `malformed_request` if a field is outside its limits.
Result<Evidence> make_simulated_evidence(const SimulatedReport& report);

// Row of verdict.cpp's table; call verify() instead.
Verdict verify_simulated(const Evidence& evidence, const ReportData& expected_report_data,
                         const Policy& policy, Instant at);

}  // namespace cocoon::attestation
