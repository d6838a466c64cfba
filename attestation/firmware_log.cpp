#include "attestation/firmware_log.hpp"

#include <algorithm>
#include <map>

#include "attestation/checklist.hpp"
#include "attestation/reader.hpp"

namespace cocoon::attestation {
namespace {

constexpr std::string_view signature{"Spec ID Event03\0", 16};
constexpr std::uint32_t no_action = 3;              // EV_NO_ACTION: about the log, extends nothing
constexpr std::uint16_t sha384_algorithm = 0x000C;  // TPM_ALG_SHA384
constexpr std::size_t algorithms_max = 8;
constexpr std::size_t digest_bytes_max = 64;
constexpr std::uint32_t registers_count = 5;  // 0 is MRTD, 1 to 4 are RTMR0 to RTMR3

using DigestSizes = std::map<std::uint16_t, std::size_t>;

Error malformed(std::string what) { return refuse(ErrorCode::malformed_request, std::move(what)); }

// TCG_PCClientPCREvent with a TCG_EfiSpecIDEvent: which digests each event has, and how long.
Result<DigestSizes> read_header(Reader& in) {
    in.skip(4);  // the register, which nothing extends
    const auto type = in.little<std::uint32_t>();
    in.skip(20);  // a SHA-1 that older logs had
    const auto size = in.little<std::uint32_t>();
    Reader event{in.take(size)};
    if (!in.ok() || type != no_action || as_text(event.take(signature.size())) != signature)
        return malformed("the log does not begin with a Spec ID Event03");
    event.skip(8);  // platform class, version, size of UINTN
    const auto count = event.little<std::uint32_t>();
    if (!event.ok() || count == 0 || count > algorithms_max)
        return malformed("the log's header names no algorithms, or too many");
    DigestSizes sizes;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto algorithm = event.little<std::uint16_t>();
        const std::size_t bytes = event.little<std::uint16_t>();
        if (bytes == 0 || bytes > digest_bytes_max || !sizes.emplace(algorithm, bytes).second)
            return malformed("the log's header names an algorithm twice or of no known size");
    }
    event.skip(event.little<std::uint8_t>());  // the vendor's
    if (!event.finished()) return malformed("the log's header is longer or shorter than it says");
    const auto found = sizes.find(sha384_algorithm);
    if (found == sizes.end() || found->second != Digest384{}.size())
        return malformed("the log has no SHA-384 digests");
    return sizes;
}

// TCG_PCR_EVENT2 with a CC_MR_INDEX. Nothing if it extended no RTMR.
Result<std::optional<MeasuredEvent>> read_event(Reader& in, const DigestSizes& sizes) {
    const auto measured_register = in.little<std::uint32_t>();
    MeasuredEvent event;
    event.type = in.little<std::uint32_t>();
    const auto count = in.little<std::uint32_t>();
    if (!in.ok() || count > sizes.size()) return malformed("it has more digests than algorithms");
    bool measured = false;
    std::uint32_t seen = 0;  // bits, by the algorithm's place in the header
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto found = sizes.find(in.little<std::uint16_t>());
        if (found == sizes.end()) return malformed("its digest is of an unknown algorithm");
        const std::uint32_t bit = 1u << std::distance(sizes.begin(), found);
        if ((seen & bit) != 0) return malformed("it has two digests of one algorithm");
        seen |= bit;
        const ByteView digest = in.take(found->second);
        if (!in.ok() || found->first != sha384_algorithm) continue;
        std::copy(digest.begin(), digest.end(), event.digest.begin());
        measured = true;
    }
    const ByteView payload = in.take(in.little<std::uint32_t>());
    if (!in.ok()) return malformed("it is cut short");
    if (measured_register >= registers_count) return malformed("there is no such register");
    if (event.type == no_action) return std::optional<MeasuredEvent>{};
    if (!measured) return malformed("it has no SHA-384 digest");
    if (measured_register == 0) return std::optional<MeasuredEvent>{};  // MRTD
    event.index = static_cast<std::uint8_t>(measured_register - 1);
    event.payload.assign(payload.begin(), payload.end());
    return std::optional{std::move(event)};
}

bool is_erased(ByteView rest) {
    return std::all_of(rest.begin(), rest.end(), [&](std::uint8_t byte) {
        return byte == rest.front() && (byte == 0xFF || byte == 0x00);
    });
}

}  // namespace

Result<FirmwareLog> parse_firmware_log(ByteView area) {
    if (area.size() > firmware_log_bytes_max) return malformed("the event log is too long");
    Reader in{area};
    const auto sizes = read_header(in);
    if (!sizes) return sizes.error();
    FirmwareLog log;
    std::size_t number = 0;
    while (true) {
        log.used_bytes = area.size() - in.left();
        if (is_erased(area.subspan(log.used_bytes))) return log;
        auto event = read_event(in, *sizes);
        if (!event)
            return malformed("event " + std::to_string(number) +
                             " cannot be read: " + event.error().detail);
        if (++number > event_log_events_max) return malformed("the log has too many events");
        if (*event) log.events.push_back(**std::move(event));
    }
}

std::vector<Reason> check_firmware_log(std::span<const MeasuredEvent> events,
                                       const Registers& rtmrs) {
    Checklist list;
    const Registers replayed = replay(events);
    for (std::size_t i = 0; i < rtmrs.size(); ++i) {
        const std::string index = std::to_string(i);
        const bool logged =
            std::any_of(events.begin(), events.end(),
                        [&](const MeasuredEvent& event) { return event.index == i; });
        if (i == runtime_register && !logged) continue;
        list.check("rtmr" + index, replayed[i] == rtmrs[i],
                   "the firmware's event log replays to RTMR" + index,
                   "the firmware's event log does not replay to RTMR" + index +
                       ": events are missing, added or changed");
    }
    return list.take_reasons();
}

}  // namespace cocoon::attestation
