// The event log of a TD's firmware and boot loader, in the binary form in which Linux shows it
// (/sys/firmware/acpi/tables/data/CCEL): a crypto-agile TCG log whose events extended MRTD and the
// RTMRs. Called by the TDX tier, the node's collector and people's tools; pure, any thread. Must
// not know quotes. Sources: UEFI 2.10, 38.4 (EFI_CC_MEASUREMENT_PROTOCOL); TCG PC Client Platform
// Firmware Profile 1.06, 10 (events); ACPI 6.5, 5.2.34 (CCEL).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "attestation/event_log.hpp"

namespace cocoon::attestation {

constexpr std::size_t firmware_log_bytes_max = 512 << 10;  // of the area; 64 KiB is usual

struct FirmwareLog {
    std::vector<MeasuredEvent> events;  // those that extended an RTMR, without names
    std::size_t used_bytes = 0;         // of the area; the rest is erased memory
};

// The area as the table gives it: a "Spec ID Event03" header that names SHA-384, events in order,
// then nothing but 0xFF or nothing but 0x00. `malformed_request` for anything else: events without
// a SHA-384 digest or with another algorithm than the header names, registers that there are not,
// more than event_log_events_max events.
Result<FirmwareLog> parse_firmware_log(ByteView area);

// The log against the registers: rtmr0 to rtmr2 (the replay ends there). RTMR3 is the guest's own:
// compared only if the log has events of it.
std::vector<Reason> check_firmware_log(std::span<const MeasuredEvent> events,
                                       const Registers& rtmrs);

}  // namespace cocoon::attestation
