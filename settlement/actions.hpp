// What a contract asks the chain to do after it ran: here only "send this message" (TL-B `OutList`,
// `action_send_msg`, block.tlb). Written by the wallets, read back when a batch is confirmed; any
// thread. It must not know who signs.
#pragma once

#include <vector>

#include "settlement/message.hpp"

namespace cocoon::settlement::ton {

constexpr std::size_t actions_max = 255;

// How a message is paid for and what happens when it cannot be sent.
constexpr std::uint8_t pay_fees_separately = 1;
constexpr std::uint8_t ignore_errors = 2;
constexpr std::uint8_t usual_mode = pay_fees_separately | ignore_errors;

struct OutAction {
    CellRef message;
    std::uint8_t mode = usual_mode;
};

// The first action lies innermost. REQUIRES: at most actions_max.
CellRef out_list(std::span<const OutAction> actions);
// malformed_request: anything in it but messages to send, or more than actions_max.
Result<std::vector<OutAction>> parse_out_list(const CellRef& list);

}  // namespace cocoon::settlement::ton
