#include "settlement/highload_wallet.hpp"

#include <algorithm>

#include "settlement/wallet_code.hpp"

namespace cocoon::settlement::ton {
namespace {

constexpr std::uint32_t internal_transfer_tag = 0xAE42E5A4;
constexpr std::uint32_t bits_per_shift = 1023;  // marks in one cell of the replay dictionary

Error refused(const char* why) { return refuse(ErrorCode::invalid_body, why); }

StateInit initial_state(const PublicKey& key, std::uint32_t subwallet,
                        std::uint32_t timeout_seconds) {
    StateInit state;
    state.code = wallet_code(highload_v3_code);
    state.data = Builder{}
                     .bytes(key)
                     .number(subwallet, 32)
                     .bit(false)     // no old queries
                     .bit(false)     // no queries
                     .number(0, 64)  // last cleaned
                     .number(timeout_seconds, 22)
                     .cell();
    return state;
}

std::uint64_t query_id(std::uint32_t number) {
    return std::uint64_t{number / bits_per_shift} << 10 | number % bits_per_shift;
}

}  // namespace

HighloadWallet::HighloadWallet(SigningKey key, std::uint32_t timeout_seconds,
                               std::uint32_t subwallet)
    : key_{std::move(key)},
      timeout_seconds_{timeout_seconds},
      subwallet_{subwallet},
      state_{initial_state(key_.public_key(), subwallet, timeout_seconds)},
      address_{state_.address()} {
    ENSURE(timeout_seconds >= 1 && timeout_seconds <= highload_timeout_max);
}

Result<CellRef> HighloadWallet::batch(const Query& query, std::span<const OutAction> actions,
                                      Nano own_value) const {
    if (actions.empty() || actions.size() > highload_actions_max)
        return refused("a batch has 1 to 254 messages");
    if (query.number >= highload_queries) return refused("a query number out of range");
    Transfer to_itself;
    to_itself.to = address_;
    to_itself.value = own_value;
    to_itself.bounce = true;
    to_itself.body = Builder{}
                         .number(internal_transfer_tag, 32)
                         .number(query_id(query.number), 64)
                         .ref(out_list(actions))
                         .cell();
    return external(query, {internal_message(to_itself), usual_mode});
}

Result<CellRef> HighloadWallet::single(const Query& query, const OutAction& action) const {
    if (query.number >= highload_queries) return refused("a query number out of range");
    const auto message = Message::parse(action.message, true);
    if (!message) return message.error();
    if (message->init) return refused("the contract sends no state outside a batch");
    return external(query, action);
}

Result<CellRef> HighloadWallet::external(const Query& query, const OutAction& action) const {
    const std::uint64_t id = query_id(query.number);
    const CellRef inner = Builder{}
                              .number(subwallet_, 32)
                              .ref(action.message)
                              .number(action.mode, 8)
                              .number(id >> 10, 13)
                              .number(id & 1023, 10)
                              .number(query.created_at, 64)
                              .number(timeout_seconds_, 22)
                              .cell();
    const CellRef body = Builder{}.bytes(key_.sign(inner->hash())).ref(inner).cell();
    const CellRef message =
        external_message(address_, query.deploy ? std::optional{state_} : std::nullopt, body, true);
    // Sizes are the chain's to refuse; finding out here costs nothing and names the limit.
    const auto read_back = parse_boc(write_boc(message), message_boc_limits);
    if (!read_back) return refused("the batch is over the limits of one message");
    return message;
}

Result<HighloadRequest> HighloadRequest::parse(const Message& message) {
    HighloadRequest request;
    Slice body{message.body};
    const Bytes signature = body.bytes(request.signature.size());
    std::copy(signature.begin(), signature.end(), request.signature.begin());
    const CellRef inner = body.ref();
    Slice slice{inner};
    request.subwallet = static_cast<std::uint32_t>(slice.number(32));
    request.action.message = slice.ref();
    request.action.mode = static_cast<std::uint8_t>(slice.number(8));
    const auto shift = static_cast<std::uint32_t>(slice.number(13));
    const auto bit = static_cast<std::uint32_t>(slice.number(10));
    request.query = shift * bits_per_shift + bit;
    request.created_at = slice.number(64);
    request.timeout_seconds = static_cast<std::uint32_t>(slice.number(22));
    if (message.kind != Message::Kind::external_in || !body.finished() || !slice.finished() ||
        bit >= bits_per_shift)
        return refuse(ErrorCode::malformed_request, "not a request to a highload wallet");
    request.signed_hash = inner->hash();
    return request;
}

Result<HighloadBatch> HighloadBatch::parse(const CellRef& body) {
    Slice slice{body};
    HighloadBatch batch;
    const bool tagged = slice.number(32) == internal_transfer_tag;
    batch.query_id = slice.number(64);
    const CellRef list = slice.ref();
    if (!tagged || !slice.finished())
        return refuse(ErrorCode::malformed_request, "not a batch of a highload wallet");
    auto actions = parse_out_list(list);
    if (!actions) return actions.error();
    batch.actions = std::move(*actions);
    return batch;
}

Result<Nano> highload_batch_fee(const CellRef& external, const GasPrices& gas,
                                const ForwardPrices& forward, std::uint64_t first_gas,
                                std::uint64_t second_gas) {
    const auto message = Message::parse(external);
    if (!message) return message.error();
    const auto request = HighloadRequest::parse(*message);
    if (!request) return request.error();
    const CellRef& to_itself = request->action.message;
    const auto inner = Message::parse(to_itself, true);
    if (!inner) return inner.error();
    const auto batch = HighloadBatch::parse(inner->body);
    if (!batch) return batch.error();
    Nano fee = forward.fee(message_usage(external)) + gas.fee(first_gas);
    fee += forward.fee(message_usage(to_itself)) + gas.fee(second_gas);
    for (const OutAction& action : batch->actions)
        fee += forward.fee(message_usage(action.message));
    return fee;
}

std::optional<std::uint32_t> HighloadBatch::query() const {
    const std::uint64_t shift = query_id >> 10;
    const std::uint64_t bit = query_id & 1023;
    if (shift >= 1u << 13 || bit >= bits_per_shift) return std::nullopt;
    return static_cast<std::uint32_t>(shift * bits_per_shift + bit);
}

}  // namespace cocoon::settlement::ton
