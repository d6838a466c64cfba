// The report that an ACI service gives of itself (aci/1 §4): its keyset and evidence for one
// nonce, as any ACI verifier reads it. Written by the node for the market to pass on, checked
// loosely by the market, read by tests. Pure, any thread. Judges nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "attestation/verdict.hpp"
#include "sealing/keyset.hpp"

namespace cocoon::trust {

constexpr std::size_t aci_report_bytes_max = 1 << 20;

// Where the measured software comes from, as the provider says; empty: not said.
struct SourceProvenance {
    std::string repository_url, repository_commit, image_digest;
    bool operator==(const SourceProvenance&) const = default;
};

// `evidence` must be made for report_data_for(keyset.digest, nonce). For TDX and SNP bundles the
// quote or report stands by itself beside the whole bundle, so that verifiers which know only the
// former find it. `malformed_request` if the nonce is none; `body_too_large` beyond
// aci_report_bytes_max.
Result<std::string> make_aci_report(const sealing::Keyset& keyset,
                                    std::optional<std::string_view> nonce,
                                    const attestation::Evidence& evidence,
                                    const SourceProvenance& source);

// Whether `json` is a report for that keyset and nonce, as far as it says of itself:
// `malformed_request` with what is wrong. The evidence is the reader's to judge.
Result<void> check_aci_report(std::string_view json, std::string_view keyset_digest,
                              std::optional<std::string_view> nonce);

}  // namespace cocoon::trust
