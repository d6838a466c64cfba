// Any bytes as an event log: what reads replays to its own registers, and one event less does not.
#include <cstdlib>

#include "attestation/event_log.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto events = parse_event_log(as_text({data, size}));
    if (!events || events->empty()) return 0;
    check(events->size() <= event_log_events_max);
    const Registers registers = replay(*events);
    const auto reasons = check_event_log(*events, registers);
    for (std::size_t i = 0; i < registers.size(); ++i) check(reasons[i].outcome == Outcome::passed);
    const std::size_t index = events->back().index;
    const std::span shorter{events->data(), events->size() - 1};
    check(check_event_log(shorter, registers)[index].outcome == Outcome::failed);
    const MeasuredEvent* named = find_runtime_event(*events, events->back().name);
    check(!named || (named->index == runtime_register && named->name == events->back().name));
    return 0;
}
