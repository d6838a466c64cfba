// Answers of NVIDIA's remote attestation service: a detached EAT (RFC 9711) of one overall token
// and one token a device, each a JWS (RFC 7515) by ES384, and the service's key set (RFC 7517). The
// other route to a verdict on GPUs: the vendor has judged the reports, we judge the vendor's
// answer. Called by the table in verdict.cpp and by people's tools; pure, any thread. Must not know
// where answers and key sets come from, nor what the nonce binds. The JSON is read in
// nvidia_token_codec.cpp.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/certificate.hpp"
#include "attestation/nvidia_report.hpp"
#include "attestation/verdict.hpp"

namespace cocoon::attestation {

constexpr std::size_t nvidia_answer_bytes_max = 128 << 10;
constexpr std::size_t nvidia_key_set_bytes_max = 256 << 10;
constexpr std::size_t nvidia_keys_max = 128;
constexpr std::size_t nvidia_token_devices_max = 32;

// SHA-256 of the SubjectPublicKeyInfo of the authority that certifies the service's keys.
constexpr std::string_view nvidia_service_pin =
    "fd32837f954e2c45db073105166dfe6985ae0480bb113fba63b091a75affe896";
constexpr std::string_view nvidia_service_issuer = "https://nras.attestation.nvidia.com";

// The service's keys of a day. Keep it with the answer: after two days nobody serves it any more.
struct NvidiaKeySet {
    struct Key {
        PublicKey key;
        std::vector<Bytes> certificates;  // DER, the key's first; not read yet
    };
    std::map<std::string, Key> keys;  // by key id; keys of other kinds are left out
};
// `malformed_request` if it is not a key set, an id occurs twice or a key is not on its curve.
Result<NvidiaKeySet> parse_nvidia_key_set(std::string_view json);

struct NvidiaTokenPolicy {
    std::string issuer{nvidia_service_issuer};
    // Keys that may certify the key set's keys (x5c). Not looked at when the caller itself got the
    // key set from the service over TLS, and nobody could put in a key.
    std::vector<std::string> service_pins{std::string{nvidia_service_pin}};
    bool key_set_trusted = false;

    std::vector<std::string> products;         // hwmodel must begin with one: "GH100"; empty: any
    std::vector<std::string> denied_versions;  // of drivers or VBIOSes
    std::vector<std::string> denied_devices;   // platform ids or leaf serials

    bool operator==(const NvidiaTokenPolicy&) const = default;
};

struct NvidiaTokenDevice {
    std::string name;  // "GPU-0"
    std::string product, ueid, manufacturer, driver_version, vbios_version;
    std::string measurements;  // "success" or why not (measres)
    std::string debug;         // "disabled" is the only good one (dbgstat)
    std::optional<bool> secure_boot;
    std::optional<bool> nonce_matches;  // as the service found in the report
    std::optional<bool> signature_right;
    std::string leaf_serial;  // of the device's certificate, lower-case hex (from ueid)
};

struct NvidiaTokenResult {
    // Codes of `reasons`: token_format, token_algorithm, token_key, token_key_certificate,
    // token_signature, token_issuer, token_expired, token_not_yet_valid, token_nonce,
    // token_overall, token_devices, token_digest. Of `policy_reasons`: overall_result,
    // device_claims, device_duplicate, product_accepted, version_denied, device_denied.
    Status status = Status::unknown;  // is it the service's answer: follows from `reasons` alone
    std::vector<Reason> reasons;
    std::vector<Reason> policy_reasons;  // is it a good one; empty unless proven
    std::vector<Reason> not_proven;      // as of a report: gpu_place, gpu_mode, ...

    // Nothing of the rest is set unless every token was right.
    std::string overall;                     // the claim's JSON value: "true" is the only good one
    std::string claims_version;              // "2.0", "3.0"
    std::vector<NvidiaTokenDevice> devices;  // by name
    Instant valid_until;                     // the first end of tokens and key certificates

    // The service's answer, and a good one.
    bool acceptable() const;
};

// Never throws on peer data; every input may be any bytes.
NvidiaTokenResult verify_nvidia_answer(std::string_view answer, const NvidiaKeySet& keys,
                                       const NvidiaNonce& nonce, const NvidiaTokenPolicy& policy,
                                       Instant at);

}  // namespace cocoon::attestation
