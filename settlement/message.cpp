#include "settlement/message.hpp"

namespace cocoon::settlement::ton {
namespace {

Error malformed(const char* what) { return refuse(ErrorCode::malformed_request, what); }

StateInit read_state(Slice& slice) {
    StateInit state;
    if (slice.bit()) state.fixed_prefix_length = static_cast<std::uint8_t>(slice.number(5));
    if (slice.bit()) state.tick_tock = static_cast<std::uint8_t>(slice.number(2));
    state.code = slice.maybe_ref();
    state.data = slice.maybe_ref();
    state.libraries = slice.maybe_ref();
    return state;
}

void write_state(Builder& builder, const StateInit& state) {
    builder.bit(state.fixed_prefix_length.has_value());
    if (state.fixed_prefix_length) builder.number(*state.fixed_prefix_length, 5);
    builder.bit(state.tick_tock.has_value());
    if (state.tick_tock) builder.number(*state.tick_tock, 2);
    builder.maybe_ref(state.code).maybe_ref(state.data).maybe_ref(state.libraries);
}

void read_internal(Slice& slice, Message& message, bool relaxed) {
    message.kind = Message::Kind::internal;
    message.ihr_disabled = slice.bit();
    message.bounce = slice.bit();
    message.bounced = slice.bit();
    message.source = slice.maybe_address();
    if (!message.source && !relaxed) slice.fail();
    message.destination = slice.address();
    message.value = slice.coins();
    message.other_currencies = slice.maybe_ref();
    message.extra_flags = slice.coins();
    message.forward_fee = slice.coins();
    message.created_lt = slice.number(64);
    message.created_at = static_cast<std::uint32_t>(slice.number(32));
}

void read_external_out(Slice& slice, Message& message, bool relaxed) {
    message.kind = Message::Kind::external_out;
    message.source = slice.maybe_address();
    if (!message.source && !relaxed) slice.fail();
    slice.skip_external_address();
    message.created_lt = slice.number(64);
    message.created_at = static_cast<std::uint32_t>(slice.number(32));
}

void read_external_in(Slice& slice, Message& message) {
    message.kind = Message::Kind::external_in;
    slice.skip_external_address();
    message.destination = slice.address();
    message.import_fee = slice.coins();
}

// The parts that every kind of message ends with.
CellRef with_state_and_body(Builder builder, const std::optional<StateInit>& init,
                            const CellRef& body, bool in_references) {
    builder.bit(init.has_value());
    if (init) {
        const CellRef state = init->cell();
        const bool apart =
            in_references || !builder.fits(1 + state->bits() + 1, state->refs().size());
        builder.bit(apart);
        if (apart)
            builder.ref(state);
        else
            write_state(builder, *init);
    }
    const bool apart =
        in_references || body->is_exotic() || !builder.fits(1 + body->bits(), body->refs().size());
    builder.bit(apart);
    return apart ? builder.ref(body).cell() : builder.content(*body).cell();
}

}  // namespace

CellRef StateInit::cell() const {
    Builder builder;
    write_state(builder, *this);
    return builder.cell();
}

Address StateInit::address(std::int8_t workchain) const { return {workchain, cell()->hash()}; }

Result<StateInit> StateInit::parse(const CellRef& cell) {
    Slice slice{cell};
    StateInit state = read_state(slice);
    if (!slice.finished()) return malformed("not a StateInit");
    return state;
}

Result<Message> Message::parse(const CellRef& cell, bool relaxed) {
    if (cell->depth() > message_boc_limits.depth_max)
        return malformed("a message that is too deep");
    Slice slice{cell};
    Message message;
    message.cell = cell;
    if (!slice.bit())
        read_internal(slice, message, relaxed);
    else if (slice.bit())
        read_external_out(slice, message, relaxed);
    else
        read_external_in(slice, message);
    if (slice.bit()) {
        if (!slice.bit()) {
            message.init = read_state(slice);
        } else if (const CellRef state = slice.ref()) {
            auto parsed = StateInit::parse(state);
            if (!parsed) return parsed.error();
            message.init = std::move(*parsed);
        }
    }
    message.body = slice.bit() ? slice.ref() : slice.rest();
    if (!slice.finished()) return malformed("not a message");
    return message;
}

CellRef internal_message(const Transfer& transfer) {
    Builder builder;
    builder.bit(false)
        .bit(true)  // instant hypercube routing is off
        .bit(transfer.bounce)
        .bit(false)
        .no_address()
        .address(transfer.to)
        .coins(transfer.value)
        .bit(false)
        .coins(Nano{})
        .coins(Nano{})
        .number(0, 64)
        .number(0, 32);
    return with_state_and_body(builder, transfer.init,
                               transfer.body ? transfer.body : Cell::empty(), false);
}

CellRef external_message(const Address& to, const std::optional<StateInit>& init,
                         const CellRef& body, bool in_references) {
    Builder builder;
    builder.number(0b10, 2).no_address().address(to).coins(Nano{});
    return with_state_and_body(builder, init, body, in_references);
}

Hash normalised_hash(const Message& message) {
    ENSURE(message.kind == Message::Kind::external_in && message.destination);
    return Builder{}
        .number(0b10, 2)
        .no_address()
        .address(*message.destination)
        .coins(Nano{})
        .bit(false)
        .bit(true)
        .ref(message.body)
        .cell()
        ->hash();
}

}  // namespace cocoon::settlement::ton
