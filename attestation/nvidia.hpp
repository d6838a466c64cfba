// NVIDIA GPUs and NVSwitches (Hopper, Blackwell): is this measurement report genuine (signed, with
// our nonce, by a key that NVIDIA's chain certifies for this very device and firmware), are its
// measurements those that NVIDIA's signed manifests list for the driver and VBIOS, and is what it
// says acceptable. Called by the table in verdict.cpp and by people's tools; pure, one call is one
// thread's. Must not know where collateral comes from, nor what the nonce binds.
//
// A genuine report proves that a genuine device signed this nonce. It does not prove that the
// device is in the CPU's machine, that confidential mode is on, what runs on it, or that it serves
// one node only. `not_proven` of a result says so, and nothing here turns it into a passed check.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attestation/certificate.hpp"
#include "attestation/nvidia_identity.hpp"
#include "attestation/nvidia_manifest.hpp"
#include "attestation/nvidia_report.hpp"
#include "attestation/revocation.hpp"
#include "attestation/verdict.hpp"

namespace cocoon::attestation {

constexpr std::size_t nvidia_chain_bytes_max = 16 << 10;
constexpr std::size_t nvidia_devices_max = 32;    // GPUs and switches of one node
constexpr std::size_t nvidia_manifests_max = 16;  // of one bundle

// SHA-256 of the SubjectPublicKeyInfo of NVIDIA's two roots.
constexpr std::string_view nvidia_device_root_pin =
    "a90c4eb5acfd3e3d03a25db6a26b84f720ad0503196c627c21ddd48dd85b06a4";
constexpr std::string_view nvidia_manifest_root_pin =
    "dec1dc316477aa851eebdf51327ae9f864bc8d89254657ed1e7eb9168af1e1a3";

struct NvidiaEvidence {
    Bytes report;              // SPDM request and response, as the device's driver gives them
    std::string certificates;  // PEM, leaf first
};

// What one bundle or cache holds; what does not concern a device is passed over.
struct NvidiaCollateral {
    std::vector<NvidiaManifest> manifests;
    RevocationCollateral revocation;
};

// Reads a bundle's pieces. `malformed_request` and `body_too_large` name the first that is refused.
Result<NvidiaCollateral> read_nvidia_collateral(std::span<const Bytes> manifests,
                                                std::span<const Bytes> ocsp_responses,
                                                std::span<const Bytes> revocation_lists);

struct NvidiaPolicy {
    std::vector<std::string> device_roots{std::string{nvidia_device_root_pin}};
    std::vector<std::string> manifest_roots{std::string{nvidia_manifest_root_pin}};
    bool manifests_required = true;  // without them the status is unknown
    // Device chains from the second certificate on (the vendor does not answer for every leaf,
    // which changes with the firmware), manifest chains whole.
    bool revocation_required = true;
    bool leaf_revocation_required = false;
    Duration revocation_stale_max;  // how long an answer is served after its end

    std::vector<std::string> products;         // "GH100"; empty: any
    bool firmware_id_required = false;         // old drivers and switches report none
    std::string driver_version_min;            // "570.86.10"; empty: any
    std::vector<std::string> denied_versions;  // of drivers or VBIOSes
    std::vector<std::string> denied_devices;   // platform ids or leaf serials
    std::vector<NvidiaMode> modes;             // empty: any, also none
    bool switches_required = true;  // GPUs in protected PCIe mode come with all their switches

    bool operator==(const NvidiaPolicy&) const = default;
};

struct NvidiaResult {
    // Codes of `reasons`: report_format, certificate_format, certificate_chain or a ChainFault's
    // code, report_signature, nonce, firmware_id, judge_revocation()'s, measurements,
    // measurement_contested; and for each manifest, after "driver_manifest_" or "vbios_manifest_":
    // missing, certificate_chain or a ChainFault's code, digest, signature, judge_revocation()'s.
    // Of `policy_reasons`: product_accepted, firmware_id_present, driver_version_min,
    // version_denied, device_denied, mode_accepted.
    Status status = Status::unknown;  // is it genuine: follows from `reasons` alone
    std::vector<Reason> reasons;
    std::vector<Reason> policy_reasons;  // is it acceptable; empty unless the signature was right
    // What no report proves, as claims of its own: gpu_place, gpu_mode, gpu_workload,
    // gpu_uniqueness. Always not_checked.
    std::vector<Reason> not_proven;

    // Nothing of the rest is set unless chain and signature were right.
    std::optional<NvidiaReport> report;
    NvidiaIdentity identity;
    std::vector<std::string> certificates;  // subjects, leaf first
    bool firmware_id_checked = false;
    std::string driver_version;
    std::string vbios_version;
    NvidiaComparison comparison;  // with those of the manifests that were genuine
    Instant valid_until;          // the first end of anything it rests on; 0 unless proven

    // Genuine, and nothing in it that the policy refuses.
    bool acceptable() const;
};

// Never throws on peer data; every input may be any bytes.
NvidiaResult verify_nvidia(const NvidiaEvidence& evidence, const NvidiaNonce& nonce,
                           const NvidiaCollateral& collateral, const NvidiaPolicy& policy,
                           Instant at);

// Who signed a manifest and whether all of it is signed. Codes as above, without a prefix.
struct ManifestResult {
    Status status = Status::unknown;
    std::vector<Reason> reasons;
    Instant valid_until;  // 0 unless proven
};
ManifestResult verify_nvidia_manifest(const NvidiaManifest& manifest,
                                      const RevocationCollateral& revocation,
                                      const NvidiaPolicy& policy, Instant at);

// All devices of one node, with one nonce.
struct NvidiaNodeResult {
    std::vector<NvidiaResult> devices;  // in the order of the evidence
    // Codes: device_count, device_duplicate, gpu_present. Of `policy_reasons`: switches_present.
    std::vector<Reason> reasons;
    std::vector<Reason> policy_reasons;
    Status status = Status::unknown;  // the worst of all
    Instant valid_until;

    bool acceptable() const;
};
NvidiaNodeResult verify_nvidia_node(std::span<const NvidiaEvidence> evidence,
                                    const NvidiaNonce& nonce, const NvidiaCollateral& collateral,
                                    const NvidiaPolicy& policy, Instant at);

}  // namespace cocoon::attestation
