// The ACI attestation statement: what a quote's 64-byte report data commits to. Called by node (to
// ask for evidence), client and market (to know what to expect). Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "sealing/signing.hpp"

namespace cocoon::sealing {

using ReportData = std::array<std::uint8_t, 64>;

// A fresh nonce: 32 random bytes as 64 lower-case hex characters.
std::string make_nonce();
bool is_nonce(std::string_view text);

// The canonical statement {keyset_digest, nonce, purpose: "aci.report_data.v1"}. The digest must be
// "sha256:" and 64 lower-case hex characters; the nonce 64 lower-case hex characters or nothing
// (null in the document). Refused with `malformed_request`.
Result<std::string> attestation_statement(std::string_view keyset_digest,
                                          std::optional<std::string_view> nonce);
// SHA-256 of that statement in bytes 0..31, zeros after.
Result<ReportData> report_data_for(std::string_view keyset_digest,
                                   std::optional<std::string_view> nonce);

// ACI session id (aci.md §8): SHA-256 of the canonical document, lower-case hex. Refused with
// `malformed_request` if it is no aci/1 session or its evidence does not hash to its own digest.
Result<std::string> session_id(std::string_view document);

}  // namespace cocoon::sealing
