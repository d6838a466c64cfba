#include "settlement/jetton.hpp"

namespace cocoon::settlement::ton {
namespace {

constexpr std::uint32_t transfer_tag = 0x0F8A7EA5;
constexpr std::uint32_t notification_tag = 0x7362D09C;
constexpr std::uint32_t excesses_tag = 0xD53276DB;
constexpr std::size_t amount_length_bits = 4;  // VarUInteger 16

}  // namespace

CellRef jetton_transfer(const JettonTransfer& transfer) {
    Builder builder;
    builder.number(transfer_tag, 32).number(transfer.query_id, 64);
    builder.variable(transfer.amount, amount_length_bits).address(transfer.to);
    if (transfer.excesses_to)
        builder.address(*transfer.excesses_to);
    else
        builder.no_address();
    builder.bit(false);  // no custom payload
    return builder.coins(transfer.forward_value).maybe_ref(transfer.forward_payload).cell();
}

Result<JettonNotification> JettonNotification::parse(const CellRef& body) {
    Slice slice{body};
    const bool tagged = slice.number(32) == notification_tag;
    JettonNotification notification;
    notification.query_id = slice.number(64);
    notification.amount = slice.variable(amount_length_bits);
    notification.sender = slice.maybe_address();
    notification.forward_payload = slice.bit() ? slice.ref() : slice.rest();
    if (!tagged || !slice.finished())
        return refuse(ErrorCode::malformed_request, "not a jetton notification");
    return notification;
}

Result<std::uint64_t> parse_jetton_excesses(const CellRef& body) {
    Slice slice{body};
    const bool tagged = slice.number(32) == excesses_tag;
    const std::uint64_t query_id = slice.number(64);
    if (!tagged || !slice.finished())
        return refuse(ErrorCode::malformed_request, "not jetton excesses");
    return query_id;
}

}  // namespace cocoon::settlement::ton
