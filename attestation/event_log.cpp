#include "attestation/event_log.hpp"

#include <algorithm>

#include "attestation/checklist.hpp"
#include "attestation/json.hpp"

namespace cocoon::attestation {
namespace {

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

// Nothing unless `entry` is one event.
std::optional<MeasuredEvent> read_event(const Json& entry) {
    const auto index = integer_at(entry, "imr");
    const auto type = integer_at(entry, "event_type");
    const auto digest = from_hex(text_at(entry, "digest").value_or(""));
    const auto name = text_at(entry, "event");
    const auto payload_text = text_at(entry, "event_payload");
    const auto payload = payload_text ? from_hex(*payload_text) : std::nullopt;
    if (!index || !type || !digest || !name || !payload) return std::nullopt;
    MeasuredEvent event;
    if (*index < 0 || *index > 3 || *type < 0 || *type > UINT32_MAX ||
        digest->size() != event.digest.size())
        return std::nullopt;
    event.index = static_cast<std::uint8_t>(*index);
    event.type = static_cast<std::uint32_t>(*type);
    std::copy(digest->begin(), digest->end(), event.digest.begin());
    event.name = *name;
    event.payload = *payload;
    return event;
}

// The digest does not say where a name ends: with ':' in it, "a:b" and "c" measures like "a" and
// "b:c". No event that we know has one.
bool payload_measured(const MeasuredEvent& event) {
    return event.name.find(':') == std::string::npos && runtime_digest(event) == event.digest;
}

}  // namespace

Result<std::vector<MeasuredEvent>> parse_event_log(std::string_view json) {
    const auto document = parse_json(json, event_log_bytes_max);
    if (!document) return document.error();
    if (!document->is_array()) return refuse(ErrorCode::malformed_request, "not a list of events");
    if (document->size() > event_log_events_max)
        return refuse(ErrorCode::malformed_request, "the log has too many events");
    std::vector<MeasuredEvent> events;
    for (const Json& entry : *document) {
        auto event = read_event(entry);
        if (!event)
            return refuse(ErrorCode::malformed_request,
                          "event " + std::to_string(events.size()) + " cannot be read");
        events.push_back(std::move(*event));
    }
    return events;
}

Registers replay(std::span<const MeasuredEvent> events) {
    Registers registers{};
    for (const MeasuredEvent& event : events) {
        Digest384& value = registers[event.index & 3];
        Bytes joined{value.begin(), value.end()};
        append(joined, event.digest);
        value = sha384(joined);
    }
    return registers;
}

Digest384 runtime_digest(const MeasuredEvent& event) {
    Bytes measured;
    for (int shift = 0; shift < 32; shift += 8)
        measured.push_back(static_cast<std::uint8_t>(event.type >> shift));
    append(measured, as_bytes(":"));
    append(measured, as_bytes(event.name));
    append(measured, as_bytes(":"));
    append(measured, event.payload);
    return sha384(measured);
}

std::vector<Reason> check_event_log(std::span<const MeasuredEvent> events, const Registers& rtmrs) {
    Checklist list;
    const Registers replayed = replay(events);
    for (std::size_t i = 0; i < rtmrs.size(); ++i) {
        const std::string index = std::to_string(i);
        list.check("rtmr" + index, replayed[i] == rtmrs[i], "the event log replays to RTMR" + index,
                   "the event log does not replay to RTMR" + index +
                       ": events are missing, added or changed");
    }
    const auto lie = std::find_if(events.begin(), events.end(), [](const MeasuredEvent& event) {
        return event.index == runtime_register && !payload_measured(event);
    });
    list.check(
        "event_payloads", lie == events.end(), "each run-time event is what was measured",
        "event " + std::to_string(lie - events.begin()) + " of the log is not what was measured");
    return list.take_reasons();
}

const MeasuredEvent* find_runtime_event(std::span<const MeasuredEvent> events,
                                        std::string_view name) {
    const MeasuredEvent* found = nullptr;
    for (const MeasuredEvent& event : events) {
        if (event.index != runtime_register || event.name != name) continue;
        if (found) return nullptr;
        found = &event;
    }
    return found;
}

}  // namespace cocoon::attestation
