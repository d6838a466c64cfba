// The attestation service's answer and tokens as plain values, for nvidia_token.cpp alone, on any
// thread. Must not judge: a claim that is missing or of another type is simply not there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "attestation/digest.hpp"
#include "attestation/nvidia_token.hpp"
#include "core/encoding.hpp"
#include "core/result.hpp"

namespace cocoon::attestation {

struct NvidiaAnswer {
    std::string overall;                         // compact token
    std::map<std::string, std::string> devices;  // name -> compact token
};
// `malformed_request` unless the text is [["JWT", token], {name: token, ...}].
Result<NvidiaAnswer> parse_nvidia_answer(std::string_view json);

struct NvidiaToken {
    std::string algorithm;
    std::string key_id;
    std::string signed_text;  // header and payload as they were signed
    Bytes signature;
    // Claims.
    std::optional<std::string> issuer, nonce;
    std::optional<std::int64_t> not_before, expires;  // seconds
    std::optional<std::string> overall;               // the claim's JSON text
    std::string claims_version;
    std::optional<std::map<std::string, Digest256>> digests;  // submods, all of them SHA-256
    NvidiaTokenDevice device;
};
// `malformed_request` unless it is three base64url parts, the first two JSON objects.
Result<NvidiaToken> parse_nvidia_token(std::string_view compact);

}  // namespace cocoon::attestation
