#include "settlement/actions.hpp"

#include <algorithm>

namespace cocoon::settlement::ton {
namespace {

constexpr std::uint32_t send_message_tag = 0x0EC3C86D;

}  // namespace

CellRef out_list(std::span<const OutAction> actions) {
    ENSURE(actions.size() <= actions_max);
    CellRef list = Cell::empty();
    for (const OutAction& action : actions)
        list = Builder{}
                   .number(send_message_tag, 32)
                   .number(action.mode, 8)
                   .ref(list)
                   .ref(action.message)
                   .cell();
    return list;
}

Result<std::vector<OutAction>> parse_out_list(const CellRef& list) {
    std::vector<OutAction> actions;
    Slice slice{list};
    while (slice.good() && !slice.finished()) {
        if (actions.size() == actions_max || slice.number(32) != send_message_tag) slice.fail();
        OutAction action;
        action.mode = static_cast<std::uint8_t>(slice.number(8));
        const CellRef previous = slice.ref();
        action.message = slice.ref();
        if (!slice.finished()) break;
        actions.push_back(std::move(action));
        slice = Slice{previous};
    }
    if (!slice.finished())
        return refuse(ErrorCode::malformed_request, "not a list of messages to send");
    std::reverse(actions.begin(), actions.end());
    return actions;
}

}  // namespace cocoon::settlement::ton
