// What extended the run-time measurement registers of a TD, event by event, and the proof that the
// list is whole: replayed, it must end at the quote's RTMRs. Logs are dstack's JSON (events of
// RTMR3 name what was started). Called by the TDX tier and people's tools; pure, any thread. Must
// not know quotes: the caller passes registers that a verified quote holds.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/digest.hpp"
#include "attestation/verdict.hpp"

namespace cocoon::attestation {

constexpr std::size_t event_log_bytes_max = 1 << 20;
constexpr std::size_t event_log_events_max = 4096;
constexpr std::size_t runtime_register = 3;  // the one that software in the guest extends

using Registers = std::array<Digest384, 4>;  // RTMR0 to RTMR3

struct MeasuredEvent {
    std::uint8_t index = 0;  // of the register, 0 to 3
    std::uint32_t type = 0;
    Digest384 digest{};  // what the register was extended with
    std::string name;    // empty for events of the firmware
    Bytes payload;

    bool operator==(const MeasuredEvent&) const = default;
};

// A JSON array of {"imr", "event_type", "digest", "event", "event_payload"}, other members ignored.
// `malformed_request` beyond the limits above and for anything that is not this shape.
Result<std::vector<MeasuredEvent>> parse_event_log(std::string_view json);

// Each register from zeros: register = SHA-384(register || digest), in the order of the log.
Registers replay(std::span<const MeasuredEvent> events);

// Digest of a run-time event: SHA-384(type, 4 bytes little-endian || ":" || name || ":" ||
// payload).
Digest384 runtime_digest(const MeasuredEvent& event);

// The log against the registers: rtmr0 to rtmr3 (the replay ends there), and event_payloads (each
// event of RTMR3 says what its digest measured; without that a replayed log can still lie).
std::vector<Reason> check_event_log(std::span<const MeasuredEvent> events, const Registers& rtmrs);

// The one event of RTMR3 with this name ("compose-hash"), or nullptr if there are none or several:
// software that was started later can extend the register under any name again.
const MeasuredEvent* find_runtime_event(std::span<const MeasuredEvent> events,
                                        std::string_view name);

}  // namespace cocoon::attestation
