// What a device certificate says about the NVIDIA device it was made in: which chip, which one, and
// the digest of the firmware that holds its key (TCG DICE Attestation Architecture 1.1, 6.1; DMTF
// DSP0274 1.1, 10.6.1). Called by nvidia.cpp and by people's reports, on any thread. Must not know
// reports, nor whether the certificate can be believed.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "attestation/certificate.hpp"
#include "attestation/nvidia_report.hpp"

namespace cocoon::attestation {

struct NvidiaIdentity {
    std::string product;      // "GH100", "GB100", "LS10"; empty if the certificate does not say
    std::string device;       // the device's own serial number, "48B02D69973DC1E4"; may be empty
    std::string leaf_serial;  // of the certificate, lower-case hex; changes with the firmware
    bool is_switch = false;
    // One name for this device in a register: its own serial, or the certificate's without one.
    std::string platform_id() const;
    // The certificate's name, by which alone NVIDIA's own service knows a device.
    std::string certificate_id() const;
};
NvidiaIdentity nvidia_identity(const Certificate& leaf);

// SHA-384 of the firmware. Nothing if the certificate has no such extension.
// `malformed_request` if it has one that cannot be read, or two that differ.
Result<std::optional<NvidiaMeasurement>> nvidia_firmware_id(const Certificate& leaf);

}  // namespace cocoon::attestation
