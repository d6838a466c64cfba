// What the vendors' collateral services answer, taken apart: Intel PCS v4 and mirrors of it (PCCS),
// AMD KDS, NVIDIA RIM. Called by the market's collateral service and by people's tools; pure, any
// thread. Must not know URLs, HTTP, a clock, nor whether a signature holds. nlohmann stays in the
// .cpp.
#pragma once

#include <string>
#include <string_view>

#include "attestation/certificate.hpp"
#include "core/encoding.hpp"
#include "core/result.hpp"

namespace cocoon::attestation {

constexpr std::size_t vendor_answer_bytes_max = 512 << 10;

// One signed object of Intel's.
struct SignedText {
    std::string text;  // the bytes that are signed, as they were served
    Bytes signature;   // r || s, 64 bytes
};

// {"<name>": {...}, "signature": "hex"}: Intel PCS API v4, "Get TDX TCB Info" (`tcbInfo`) and "Get
// TDX QE Identity" (`enclaveIdentity`). `malformed_request` for anything else.
Result<SignedText> read_signed_text(std::string_view answer, std::string_view name);

// An issuer chain as Intel puts it into a header: PEM, percent-encoded (RFC 3986, 2.1).
// `malformed_request` unless certificates come out.
Result<std::string> read_issuer_chain(std::string_view header);

// A revocation list in DER, or in DER as hexadecimal text: a PCCS answers so.
Result<RevocationList> read_served_list(std::string_view body);

// The manifest inside NVIDIA's envelope, {"id", "rim": base64, ...}.
Result<Bytes> read_served_manifest(std::string_view answer);

}  // namespace cocoon::attestation
