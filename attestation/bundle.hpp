// What a node with real hardware shows, as one document: the CPU's quote or report, the GPUs'
// reports, and the collateral to judge them by. Made by the node, completed by whoever has better
// collateral, verified by platform.cpp, kept as it was judged so that anyone can judge it again.
// Pure, any thread. Proves nothing by itself: must not know keys, policy or a clock.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "attestation/nvidia.hpp"
#include "attestation/snp.hpp"
#include "attestation/tdx_collateral.hpp"
#include "attestation/verdict.hpp"

namespace cocoon::attestation {

constexpr std::int64_t bundle_version = 1;

struct TdxPart {
    Bytes quote;
    std::string event_log;  // dstack's JSON array; empty: none
    Bytes firmware_log{};   // the CCEL's bytes (firmware_log.hpp); empty: none
    bool operator==(const TdxPart&) const = default;
};

struct SnpPart {
    Bytes report;
    bool operator==(const SnpPart&) const = default;
};

// NVIDIA's own judgement of the GPUs, instead of their reports.
struct NvidiaServiceEvidence {
    std::string answer;   // JSON, as served
    std::string key_set;  // JSON, of the same day
    bool operator==(const NvidiaServiceEvidence&) const = default;
};

// What is fetched for GPUs, unread: each piece as served.
struct NvidiaFiles {
    std::vector<Bytes> manifests;         // signed XML
    std::vector<Bytes> ocsp_responses;    // DER
    std::vector<Bytes> revocation_lists;  // DER
    bool operator==(const NvidiaFiles&) const = default;
};

struct Bundle {
    std::variant<TdxPart, SnpPart> cpu;
    std::vector<NvidiaEvidence> gpus;  // GPUs and switches; empty in the tiers without
    NvidiaServiceEvidence gpu_service;
    // Collateral; an empty member is not at hand.
    TdxCollateral tdx;
    SnpCollateral snp;
    NvidiaFiles nvidia;
};

// {"version": 1, "cpu": {"kind": "tdx", "quote", "event_log"?, "firmware_log"?} | {"kind": "snp",
// "report"},
//  "gpus"?: [{"report", "certificates"}], "gpu_service"?: {"answer", "key_set"},
//  "collateral"?: {"tdx"?, "snp"?, "nvidia"?}}; octets are base64 (RFC 4648, 4), the TDX part is
// tdx_collateral.hpp's document. `malformed_request` names the first member that is unknown,
// missing or beyond a limit; never throws on peer data.
Result<Bundle> read_bundle(ByteView document);
std::string write_bundle(const Bundle& bundle);

// Puts collateral into a bundle, instead of what it has of that kind: an object as "collateral"
// above. `malformed_request` as read_bundle().
Result<void> add_collateral(Bundle& bundle, std::string_view json);

}  // namespace cocoon::attestation
