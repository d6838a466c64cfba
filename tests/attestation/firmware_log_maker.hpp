// Makes the event log of a TD's firmware in its binary form, part by part.
#pragma once

#include "attestation/firmware_log.hpp"
#include "tests/attestation/pki_maker.hpp"

namespace cocoon::attestation::test {

struct FirmwareEvent {
    std::uint32_t measured_register = 1;  // 0 is MRTD, 1 to 4 are RTMR0 to RTMR3
    std::uint32_t type = 4;
    std::string data;
    std::vector<std::pair<std::uint16_t, Bytes>> digests;  // empty: SHA-384 of the data
    bool no_digests = false;
};

struct FirmwareLogMaker {
    std::uint32_t header_type = 3;
    std::string signature{"Spec ID Event03\0", 16};
    std::vector<std::pair<std::uint16_t, std::uint16_t>> algorithms = {{0x000C, 48}};
    std::string vendor;
    std::vector<FirmwareEvent> events = {
        {1, 0x8000000B, "handoff", {}, false},
        {1, 4, std::string(4, '\0'), {}, false},
        {2, 0x80000003, "boot loader", {}, false},
        {3, 0xD, std::string{"kernel command line\0", 20}, {}, false},
        {2, 0x80000007, "Exit Boot Services Invocation", {}, false},
        {0, 3, "note", {}, true}};
    Bytes padding = Bytes(64, 0xFF);

    Bytes make() const {
        Bytes spec;
        append(spec, as_bytes(signature));
        append(spec, Bytes{0, 0, 0, 0, 0, 2, 105, 2});
        append_little(spec, algorithms.size(), 4);
        for (const auto& [algorithm, bytes] : algorithms) {
            append_little(spec, algorithm, 2);
            append_little(spec, bytes, 2);
        }
        append_little(spec, vendor.size(), 1);
        append(spec, as_bytes(vendor));
        Bytes out;
        append_little(out, 1, 4);
        append_little(out, header_type, 4);
        out.resize(out.size() + 20);
        append_little(out, spec.size(), 4);
        append(out, spec);
        for (const FirmwareEvent& event : events) put(out, event);
        append(out, padding);
        return out;
    }

private:
    static void put(Bytes& out, const FirmwareEvent& event) {
        auto digests = event.digests;
        if (digests.empty() && !event.no_digests) {
            const Digest384 hash = sha384(as_bytes(event.data));
            digests = {{std::uint16_t{0x000C}, Bytes{hash.begin(), hash.end()}}};
        }
        append_little(out, event.measured_register, 4);
        append_little(out, event.type, 4);
        append_little(out, digests.size(), 4);
        for (const auto& [algorithm, digest] : digests) {
            append_little(out, algorithm, 2);
            append(out, digest);
        }
        append_little(out, event.data.size(), 4);
        append(out, as_bytes(event.data));
    }
};

}  // namespace cocoon::attestation::test
