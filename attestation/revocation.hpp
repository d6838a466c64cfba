// Whether a chain's certificates are revoked, by OCSP answers (RFC 6960) and revocation lists (RFC
// 5280, 5) that were fetched beforehand. Called by the verifiers of this folder; values are
// immutable, any thread. Must not know where answers come from, nor ask for any. OpenSSL stays in
// the .cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/certificate.hpp"
#include "attestation/checklist.hpp"
#include "core/encoding.hpp"
#include "core/result.hpp"
#include "core/time.hpp"

struct ocsp_basic_response_st;

namespace cocoon::attestation {

constexpr std::size_t ocsp_response_bytes_max = 32 << 10;
constexpr std::size_t ocsp_answers_max = 64;  // in one response

// `on_hold`: revoked, but the issuer may take it back. `unknown`: the responder does not know it.
enum class RevocationState { good, revoked, on_hold, unknown };

struct OcspAnswer {
    RevocationState state;
    Instant this_update;
    std::optional<Instant> next_update;  // RFC 6960: without it there is always a newer answer
};

class OcspResponse {
public:
    // A successful basic response in DER; `malformed_request` for anything else, responses that
    // carry an error ("try later") included.
    static Result<OcspResponse> from_der(ByteView der);

    // What it says about the certificate, or nothing if it does not speak of it.
    std::optional<OcspAnswer> about(const Certificate& certificate,
                                    const Certificate& issuer) const;
    // Signed by the issuer itself or by a responder whose certificate the issuer signed for that
    // purpose (RFC 6960, 4.2.2.2), valid at `at`.
    bool signed_for(const Certificate& issuer, Instant at) const;
    // The nonce that the responder echoes (RFC 9654), or nothing: whoever asked compares it.
    std::optional<Bytes> nonce() const;

private:
    explicit OcspResponse(std::shared_ptr<ocsp_basic_response_st> response)
        : response_{std::move(response)} {}
    std::shared_ptr<ocsp_basic_response_st> response_;
};

// What to ask a responder about one certificate: an OCSPRequest in DER, not signed, its certificate
// named by SHA-384, with this nonce. REQUIRES: `nonce` has 1 to 128 bytes (RFC 9654, 2.1).
Bytes make_ocsp_request(const Certificate& certificate, const Certificate& issuer, ByteView nonce);

// Everything at hand; what does not concern a chain is passed over.
struct RevocationCollateral {
    std::vector<OcspResponse> responses;
    std::vector<RevocationList> lists;
};

struct RevocationRules {
    std::size_t required_from = 0;  // certificates before this position may go unanswered
    bool required = true;           // a certificate without an answer leaves the status unknown
    Duration stale_max;             // an answer is served this long after its next_update
    Duration answer_age_max = hours(24);   // of answers that say no next_update
    Duration clock_skew_max = minutes(1);  // answers "from the future" up to this are fine
};

// Judges every certificate of the chain (leaf first) but the root. Codes, each after `prefix`:
// certificate_revoked, certificate_on_hold, revocation_signature, revocation_not_yet_valid,
// revocation_expired, revocation_missing, and revocation when all is well. Returns until when that
// holds. REQUIRES: check_chain() found no fault.
Instant judge_revocation(Checklist& checklist, const std::string& prefix,
                         std::span<const Certificate> chain, const RevocationCollateral& collateral,
                         const RevocationRules& rules, Instant at);

}  // namespace cocoon::attestation
