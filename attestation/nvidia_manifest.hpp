// NVIDIA's reference integrity manifests: a SWID tag (TCG Reference Integrity Manifest 1.1, ISO/IEC
// 19770-2:2015) that lists, signed, the measurements that a driver or a VBIOS may have. Called by
// nvidia.cpp and by people's reports; an object is one thread's. Must not know reports' bytes,
// revocation or where a manifest comes from.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "attestation/nvidia_identity.hpp"
#include "attestation/nvidia_report.hpp"
#include "attestation/signed_xml.hpp"

namespace cocoon::attestation {

struct NvidiaManifest {
    std::string version;  // of the driver or VBIOS it is for: "550.144.03", "96.00.5E.00.01"
    std::string product;  // "GH100", "LS10"
    std::string tag_id;
    // Every measurement that must match, by index from 0 (SPDM index - 1): any one of its values.
    std::map<std::uint16_t, std::vector<NvidiaMeasurement>> measurements;
    SignedXml signed_xml;
};

// The manifest; `malformed_request` unless it is a signed SWID tag whose measurements are complete
// and unambiguous. Says nothing about who signed it.
Result<NvidiaManifest> parse_nvidia_manifest(ByteView document);

// The names under which NVIDIA's manifest service serves what this report needs: driver (of GPUs),
// then VBIOS. A name that the report's fields do not make is left out.
std::vector<std::string> nvidia_manifest_names(const NvidiaReport& report,
                                               const NvidiaIdentity& identity);

struct NvidiaComparison {
    std::vector<std::uint16_t> golden;      // indices that some manifest lists
    std::vector<std::uint16_t> mismatched;  // of them: the report has another value, or none
    std::vector<std::uint16_t> contested;   // listed by more than one manifest
};

// The report's measurements against all manifests together. The measurement of the video decoder is
// not compared where the report says that the decoder is disabled.
NvidiaComparison compare_measurements(const NvidiaReport& report,
                                      std::span<const NvidiaManifest* const> manifests);

}  // namespace cocoon::attestation
