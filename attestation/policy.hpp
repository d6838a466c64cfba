// What evidence is accepted, as data: tiers, and for each kind of hardware its pins, minimum
// firmware, tolerated advisories, attributes, products and deny-lists. The market's and each
// client's own; read from a file or from a person by policy_codec.cpp. Plain values. Must not know
// a verifier's steps: each kind's part stands with its verifier.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/collateral_seen.hpp"
#include "attestation/nvidia.hpp"
#include "attestation/nvidia_token.hpp"
#include "attestation/snp.hpp"
#include "attestation/tdx.hpp"
#include "attestation/verdict.hpp"

namespace cocoon::attestation {

constexpr std::int64_t policy_version = 1;  // of the document; another one is refused
constexpr std::size_t policy_bytes_max = 1 << 20;
constexpr std::size_t policy_list_items_max = 4096;

// From most to least proven. `+gpu-cc`: a GPU's evidence stands beside the CPU's and answers a
// nonce made of it. `simulated` proves nothing about hardware.
constexpr std::array<std::string_view, 5> all_tiers{"tdx+gpu-cc", "snp+gpu-cc", "tdx", "snp",
                                                    "simulated"};

struct Policy {
    std::vector<std::string> accepted_tiers;  // empty: every tier that has a verifier
    bool simulated_enabled = false;           // `simulated` also needs this, whatever the list says
    std::vector<std::string> accepted_measurements;  // lower-case hex; empty: any
    Duration age_max = hours(24);                    // of evidence, from its challenge on
    Duration clock_skew_max = minutes(5);  // evidence "from the future" up to this is fine
    // How long evidence still counts, within its life, that newer collateral calls out of date.
    Duration outdated_grace = hours(12);
    TdxPolicy tdx;
    SnpPolicy snp;
    NvidiaPolicy nvidia;
    NvidiaTokenPolicy nvidia_service;  // the other route to a GPU's verdict

    bool operator==(const Policy&) const = default;
};

// The policy, refusing collateral older than what was seen. Minimums only rise.
Policy against_rollback(Policy policy, const CollateralSeen& seen);

// A JSON object with "version" and any of the members that policy_document() writes; what is absent
// stands as in Policy{}. `invalid_body` with every wrong, unknown or misplaced member and its path;
// `malformed_request` if it is no JSON document.
Result<Policy> parse_policy(std::string_view json);

// All of it, every member written out, indented for people. parse_policy() gives the same back.
std::string policy_document(const Policy& policy);

}  // namespace cocoon::attestation
