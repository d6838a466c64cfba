// What a node showed, judged as one: its evidence, the keyset that the evidence must bind, and a
// policy. Called by the client before it seals anything, and by whoever repeats a verdict from a
// file. Pure, any thread. Must not know where the evidence came from.
#pragma once

#include <string>
#include <string_view>

#include "attestation/policy.hpp"
#include "core/time.hpp"
#include "sealing/keyset.hpp"

namespace cocoon::trust {

constexpr std::size_t evidence_document_bytes_max = 2 << 20;

// Enough for anyone to check it again, offline.
struct NodeEvidence {
    std::string tier;
    std::string nonce;  // 64 hex
    std::string evidence_base64;
    std::string keyset_document;  // canonical
};

struct TrustedNode {
    sealing::Keyset keyset;
    sealing::ohttp::KeyConfig seal_to;
    NodeEvidence evidence;
    std::string tier;  // as verified
    std::string measurement;
    Instant valid_until;  // of evidence and keyset, whichever ends first
};

// As GET /v1/nodes/{id}/evidence answers; members that are not needed are passed over, those that
// are missing are empty and refused when verified. `malformed_request` for what is no JSON object.
Result<NodeEvidence> parse_node_evidence(std::string_view json);

// Checks evidence against a keyset digest. `verdict_refused` with the reason, and `verdict` (when
// not null) as far as it got.
Result<TrustedNode> verify_node(const NodeEvidence& evidence, std::string_view keyset_digest,
                                const attestation::Policy& policy, Instant at,
                                attestation::Verdict* verdict = nullptr);

}  // namespace cocoon::trust
