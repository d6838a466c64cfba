// What an NVIDIA GPU or NVSwitch signs, as fields: the SPDM 1.1 GET_MEASUREMENTS request and its
// MEASUREMENTS response in one buffer (DMTF DSP0274 1.1, 10.11; opaque fields as NVIDIA's open
// verifier lists them). Called by nvidia.cpp and by people's reports. Plain values, any thread.
// Must not know certificates, manifests or policy: nothing here says that a report is genuine.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/encoding.hpp"
#include "core/result.hpp"

namespace cocoon::attestation {

constexpr std::size_t nvidia_report_bytes_max = 16 << 10;
constexpr std::size_t nvidia_request_bytes = 37;
constexpr std::size_t nvidia_signature_bytes = 96;    // ECDSA P-384, r || s big-endian
constexpr std::size_t nvidia_measurement_bytes = 48;  // SHA-384

// Types of opaque fields that are judged or shown here; a device sends others too.
enum class NvidiaField : std::uint16_t {
    driver_version = 3,
    gpu_info = 4,
    vbios_version = 6,
    nvdec0_status = 11,
    measurement_counts = 12,
    protection_info = 13,
    board_id = 14,
    chip_sku = 15,
    chip_sku_mod = 16,
    project = 17,
    project_sku = 18,
    project_sku_mod = 19,
    firmware_id = 20,
    protected_pcie_status = 21,
    switch_pdi = 22,
    floorswept_ports = 23,
    position_id = 24,
    lock_switch_status = 25,
    gpu_link_connections = 32,
    system_enable_status = 33,
    opaque_data_version = 34,
    chip_info = 35,
    feature_flag = 36,
};

// How the GPU is given to guests, as the device's feature flag says.
enum class NvidiaMode { single_passthrough, multi_passthrough, protected_pcie };
std::string_view to_text(NvidiaMode mode);

using NvidiaNonce = std::array<std::uint8_t, 32>;
using NvidiaMeasurement = std::array<std::uint8_t, nvidia_measurement_bytes>;

struct NvidiaReport {
    NvidiaNonce nonce{};                                     // the requester's
    std::map<std::uint8_t, NvidiaMeasurement> measurements;  // by SPDM index, from 1
    std::map<std::uint16_t, Bytes> opaque;                   // by type
    std::size_t record_bytes = 0;                            // the measurement record's length
    std::size_t opaque_bytes = 0;                            // the opaque data's length
    Bytes signed_bytes;  // request and response before the signature
    Bytes signature;     // nvidia_signature_bytes

    // The field's bytes, or nullptr.
    const Bytes* field(NvidiaField field) const;
    // The field as text without closing zeros; empty if it is missing or not printable.
    std::string text(NvidiaField field) const;
    std::string driver_version() const { return text(NvidiaField::driver_version); }
    // "96.00.A5.00.01", from eight packed bytes (GPUs) or from text (switches); empty if missing.
    std::string vbios_version() const;
    bool nvdec0_disabled() const;
    // Nothing if the device does not say, or says a mode that is not known.
    std::optional<NvidiaMode> mode() const;
};

// The report, every length of which fits to the last byte. `malformed_request` for other versions
// or codes, for a request that asked for less than all measurements signed, for measurements that
// are not SHA-384, for an index or an opaque type that occurs twice, and for trailing bytes.
Result<NvidiaReport> parse_nvidia_report(ByteView bytes);

}  // namespace cocoon::attestation
