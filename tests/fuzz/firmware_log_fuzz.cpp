// Any bytes as a firmware's event log: what reads replays to its own registers, reads the same
// without the memory behind it, and not cut short.
#include <cstdlib>

#include "attestation/firmware_log.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView area{data, size};
    const auto log = parse_firmware_log(area);
    if (!log) return 0;
    check(log->used_bytes <= size && log->events.size() <= event_log_events_max);
    const Registers registers = replay(log->events);
    for (const Reason& reason : check_firmware_log(log->events, registers))
        check(reason.outcome == Outcome::passed);
    const auto again = parse_firmware_log(area.first(log->used_bytes));
    check(again && again->events == log->events && again->used_bytes == log->used_bytes);
    return 0;
}
