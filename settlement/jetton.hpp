// Bodies of messages about jettons, the chain's tokens (TEP-74): ours that send some, and those
// that tell us some came in or went out. Called by the chain adapter; any thread. Whether a jetton
// wallet is the real one of the token is the caller's question: its address must be one the caller
// asked the token's master for.
#pragma once

#include "settlement/message.hpp"

namespace cocoon::settlement::ton {

// Amounts are counts of the token's smallest unit; larger ones than 2^64 - 1 are refused.
struct JettonTransfer {
    std::uint64_t query_id = 0;
    std::uint64_t amount = 0;
    Address to;
    std::optional<Address> excesses_to;  // who gets the rest of the coins back
    // Coins that travel on to the new owner; at least 1, or it is not notified.
    Nano forward_value{1};
    CellRef forward_payload;  // null: none; a comment names the payout
};
CellRef jetton_transfer(const JettonTransfer& transfer);

struct JettonNotification {  // to the owner, from its own jetton wallet
    std::uint64_t query_id = 0;
    std::uint64_t amount = 0;
    std::optional<Address> sender;
    CellRef forward_payload;

    // malformed_request: another body.
    static Result<JettonNotification> parse(const CellRef& body);
};

// The query whose transfer these returned coins end; malformed_request: another body.
Result<std::uint64_t> parse_jetton_excesses(const CellRef& body);

}  // namespace cocoon::settlement::ton
