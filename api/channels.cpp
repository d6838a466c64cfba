// Payment channels: registering one, listing them, and taking vouchers. What a voucher gives is
// credited once the settlement worker has claimed it on the chain.
#include "api/channels.hpp"

#include "api/handlers.hpp"
#include "api/respond.hpp"
#include "api/wire_vectors.hpp"
#include "settlement/boc.hpp"

namespace cocoon::api {
namespace {

using namespace settlement::ton;

constexpr TextRule address_rule{1, 128};
constexpr std::size_t signature_hex = 128;
constexpr TextRule signature_rule{signature_hex, signature_hex};
constexpr int promise_attempts_max = 8;  // each failed one means that another voucher was stored

template <std::size_t size>
std::array<std::uint8_t, size> read_hex(ObjectReader& in, std::string_view name,
                                        const TextRule& rule) {
    std::array<std::uint8_t, size> read{};
    const std::string text = in.text(name, rule);
    if (text.empty()) return read;
    const auto bytes = from_hex(text);
    if (!bytes || bytes->size() != size)
        in.refuse(name, "must be " + std::to_string(size * 2) + " hexadecimal digits");
    else
        std::copy(bytes->begin(), bytes->end(), read.begin());
    return read;
}

std::uint64_t read_decimal(ObjectReader& in, std::string_view name) {
    const auto number = in.maybe_decimal(name);
    if (!number) in.refuse(name, "is required");
    return number.value_or(0);
}

Result<const ChannelMarket*> open_market(const Context& context) {
    if (context.channels) return context.channels.get();
    return refuse(ErrorCode::not_found, "This market takes no payment channels.");
}

void write_channel_members(JsonWriter& out, const db::ChannelRow& channel,
                           const ChannelMarket& market) {
    const Address address = channel_state(channel.terms).address();
    out.text("address", address.friendly(true, market.network));
    out.text("payer", channel.terms.payer.friendly(false, market.network));
    out.text("payer_key", to_hex(channel.terms.payer_key));
    out.integer("challenge_seconds", channel.terms.challenge_seconds);
    out.money("cap_nano", channel.terms.cap);
    out.decimal("salt", channel.terms.salt);
    out.text("stage", name_of(channel.status.stage));
    out.money("deposited_nano", channel.status.deposited);
    out.money("claimed_nano", channel.status.claimed);
    if (channel.status.stage == ChannelStage::open)
        out.null("close_at");
    else
        out.instant("close_at", Instant{std::int64_t{channel.status.close_at} * 1'000'000});
    out.instant("opened_at", channel.opened_at);
    if (!channel.best) return out.null("voucher");
    out.open_object("voucher");
    out.money("amount_nano", channel.best->voucher.amount);
    out.decimal("sequence", channel.best->voucher.sequence);
    out.text("signature", to_hex(channel.best->signature));
    out.close_object();
}

Response channel_answer(int status, const db::ChannelRow& channel, const ChannelMarket& market) {
    JsonWriter out;
    out.open_object();
    write_channel_members(out, channel, market);
    out.close_object();
    return json_response(status, out.take());
}

// Known already: the same account may say it again.
Result<Response> opened_before(const db::ChannelRow& wanted, const ChannelMarket& market) {
    const auto known = market.store.find(wanted.address);
    if (!known)
        return refuse(ErrorCode::limit_reached,
                      "The account has as many open channels as it may have.");
    if (known->account != wanted.account)
        return refuse(ErrorCode::already_exists, "The channel is registered for another account.");
    return channel_answer(200, *known, market);
}

// The channel that the path names, if it is the caller's.
Result<db::ChannelRow> own_channel(const Call& call, const ChannelMarket& market) {
    const auto address = parse_address(call.captured.front(), market.network);
    if (!address) return refuse(ErrorCode::not_found);
    auto channel = market.store.find(address->address.raw());
    if (!channel || channel->account != call.principal.account) return refuse(ErrorCode::not_found);
    return std::move(*channel);
}

}  // namespace

Result<Response> open_channel(const Call& call, const Context& context) {
    const auto market = open_market(context);
    if (!market) return market.error();
    FieldReader in{call.body};
    ObjectReader root = in.root();
    db::ChannelRow channel;
    channel.account = call.principal.account;
    channel.opened_at = call.at;
    ChannelTerms& terms = channel.terms;
    terms.payer_key = read_hex<32>(root, "payer_key", hex64_rule);
    const auto payer = parse_address(root.text("payer", address_rule), (*market)->network);
    if (!payer) root.refuse("payer", "is not an address of this chain");
    if (payer) terms.payer = payer->address;
    terms.challenge_seconds = static_cast<std::uint32_t>(root.integer(
        "challenge_seconds", {channel_challenge_seconds_min, channel_challenge_seconds_max}));
    terms.cap = root.money("cap_nano", {1, channel_cap_max.value});
    terms.salt = read_decimal(root, "salt");
    const Signature signature = read_hex<64>(root, "signature", signature_rule);
    if (auto done = in.finish(); !done) return done.error();
    terms.payee_key = (*market)->payee.key;
    terms.payee = (*market)->payee.wallet;
    if (auto checked = check_terms(terms, (*market)->payee); !checked) return checked.error();
    const Address address = channel_state(terms).address();
    const Bytes message = registration_message(channel.account.text(), address);
    if (!verify_signature(terms.payer_key, message, signature))
        return refuse(ErrorCode::invalid_body,
                      "The payer's key did not sign that this account registers the channel.");
    channel.address = address.raw();
    if (!(*market)->store.open(channel, db::channels_per_account_max))
        return opened_before(channel, **market);
    return channel_answer(201, channel, **market);
}

Result<Response> list_channels(const Call& call, const Context& context) {
    const auto market = open_market(context);
    if (!market) return market.error();
    const ChannelMarket& channels = **market;
    JsonWriter out;
    out.open_object();
    out.text("payee", channels.payee.wallet.friendly(false, channels.network));
    out.text("payee_key", to_hex(channels.payee.key));
    out.integer("network", static_cast<std::int32_t>(channels.network));
    out.money("cap_nano_max", channel_cap_max);
    out.integer("challenge_seconds_min", channel_challenge_seconds_min);
    out.open_array("items");
    for (const db::ChannelRow& channel : channels.store.of(call.principal.account)) {
        out.open_object();
        write_channel_members(out, channel, channels);
        out.close_object();
    }
    out.close_array();
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> take_voucher(const Call& call, const Context& context) {
    const auto market = open_market(context);
    if (!market) return market.error();
    const ChannelMarket& channels = **market;
    FieldReader in{call.body};
    ObjectReader root = in.root();
    SignedVoucher given;
    given.voucher.network = channels.network;
    given.voucher.amount = root.money("amount_nano", {1, limits::amount_nano_max});
    given.voucher.sequence = read_decimal(root, "sequence");
    given.signature = read_hex<64>(root, "signature", signature_rule);
    if (auto done = in.finish(); !done) return done.error();
    for (int attempt = 0; attempt < promise_attempts_max; ++attempt) {
        auto channel = own_channel(call, channels);
        if (!channel) return channel.error();
        PayeeChannel payee{channel->terms, channels.network, channel->status, channel->best};
        given.voucher.channel = payee.address();
        const Nano before = payee.promised();
        const auto more = payee.accept(given);
        if (!more) return more.error();
        if (more->value > 0 && *more < channel_step_min &&
            given.voucher.amount < channel->status.deposited)
            return Error{ErrorCode::invalid_body,
                         {},
                         {{"/amount_nano", "adds at least " + channel_step_min.text() +
                                               ", or gives all that is deposited"}}};
        if (more->value > 0 && !channels.store.promise(channel->address, before, given)) continue;
        channel->best = payee.best();
        return channel_answer(200, *channel, channels);
    }
    return refuse(ErrorCode::overloaded, "Vouchers of this channel come faster than one by one.");
}

}  // namespace cocoon::api
