#include "settlement/channel.hpp"

#include <algorithm>

#include "settlement/wallet_code.hpp"

namespace cocoon::settlement::ton {
namespace {

constexpr std::string_view channel_code =
#include "settlement/channel/code.inc"
    ;

constexpr std::uint32_t agreement_tag = 0x5643'4833;
constexpr std::uint32_t top_up_tag = 0x4368'7431;
constexpr std::uint32_t claim_tag = 0x4368'6331;
constexpr std::uint32_t start_close_tag = 0x4368'7331;
constexpr std::uint32_t finish_close_tag = 0x4368'6631;
constexpr std::uint32_t close_together_tag = 0x4368'6731;
constexpr std::uint32_t notice_tag = 0x4368'6E31;

Builder begin(std::uint32_t tag, std::uint64_t query) {
    Builder builder;
    return builder.number(tag, 32).number(query, 64);
}

ChannelStage read_stage(Slice& slice) {
    const std::uint64_t number = slice.number(2);
    if (number > static_cast<std::uint64_t>(ChannelStage::closed)) slice.fail();
    return static_cast<ChannelStage>(number);
}

std::uint32_t read_seconds(Slice& slice) { return static_cast<std::uint32_t>(slice.number(32)); }

// Of a status only the greater parts count, whichever came first.
ChannelStatus later_of(const ChannelStatus& one, const ChannelStatus& other) {
    return {std::max(one.stage, other.stage), std::max(one.deposited, other.deposited),
            std::max(one.claimed, other.claimed), std::max(one.close_at, other.close_at)};
}

Error bad(const char* why) { return refuse(ErrorCode::invalid_body, why); }

}  // namespace

std::string_view name_of(ChannelStage stage) {
    switch (stage) {
        case ChannelStage::open: return "open";
        case ChannelStage::closing: return "closing";
        case ChannelStage::closed: return "closed";
    }
    ENSURE(false);
}

StateInit channel_state(const ChannelTerms& terms) {
    static const CellRef code = wallet_code(channel_code);
    StateInit state;
    state.code = code;
    state.data = ChannelData{terms, {}}.cell();
    return state;
}

Result<void> check_terms(const ChannelTerms& terms, const ChannelPayee& payee) {
    if (terms.payee != payee.wallet || terms.payee_key != payee.key)
        return bad("the channel pays somebody else");
    if (is_weak_key(terms.payer_key)) return bad("signatures of the payer's key prove nothing");
    if (terms.payer_key == terms.payee_key || terms.payer == terms.payee)
        return bad("payer and payee are the same");
    if (terms.payer.workchain != 0) return bad("the payer's wallet is not in workchain 0");
    if (terms.challenge_seconds < channel_challenge_seconds_min ||
        terms.challenge_seconds > channel_challenge_seconds_max)
        return bad("the challenge time is too short or too long");
    if (terms.cap <= Nano{} || terms.cap > channel_cap_max)
        return bad("the channel may hold more than is allowed, or nothing");
    return {};
}

Bytes registration_message(std::string_view account, const Address& channel) {
    std::string text{"cocoon-market/channel/v1"};
    text.append(1, '\0').append(account).append(1, '\0').append(channel.raw());
    const ByteView bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

CellRef ChannelData::cell() const {
    const CellRef fixed = Builder{}
                              .bytes(terms.payee_key)
                              .address(terms.payer)
                              .number(terms.challenge_seconds, 32)
                              .coins(terms.cap)
                              .number(terms.salt, 64)
                              .cell();
    return Builder{}
        .number(static_cast<std::uint64_t>(status.stage), 2)
        .coins(status.deposited)
        .coins(status.claimed)
        .number(status.close_at, 32)
        .bytes(terms.payer_key)
        .address(terms.payee)
        .ref(fixed)
        .cell();
}

Result<ChannelData> ChannelData::parse(const CellRef& cell) {
    Slice slice{cell};
    ChannelData data;
    data.status.stage = read_stage(slice);
    data.status.deposited = slice.coins();
    data.status.claimed = slice.coins();
    data.status.close_at = read_seconds(slice);
    data.terms.payer_key = slice.hash();
    data.terms.payee = slice.address();
    const CellRef reference = slice.ref();
    if (!slice.finished()) return refuse(ErrorCode::malformed_request, "not a channel's data");
    Slice fixed{reference};
    data.terms.payee_key = fixed.hash();
    data.terms.payer = fixed.address();
    data.terms.challenge_seconds = read_seconds(fixed);
    data.terms.cap = fixed.coins();
    data.terms.salt = fixed.number(64);
    if (!fixed.finished() || data.status.claimed > data.status.deposited)
        return refuse(ErrorCode::malformed_request, "not a channel's data");
    return data;
}

Result<ChannelNotice> ChannelNotice::parse(const CellRef& body) {
    Slice slice{body};
    const bool tagged = slice.number(32) == notice_tag;
    ChannelNotice notice;
    notice.query = slice.number(64);
    notice.status.stage = read_stage(slice);
    notice.paid = slice.coins();
    notice.status.deposited = slice.coins();
    notice.status.claimed = slice.coins();
    notice.status.close_at = read_seconds(slice);
    if (!tagged || !slice.finished() || notice.status.claimed > notice.status.deposited ||
        notice.paid > notice.status.claimed)
        return refuse(ErrorCode::malformed_request, "not a channel's notice");
    return notice;
}

CellRef Agreement::cell() const {
    return Builder{}
        .number(agreement_tag, 32)
        .number(static_cast<std::uint32_t>(network), 32)
        .address(channel)
        .coins(amount)
        .number(valid_until, 32)
        .cell();
}

Result<Agreement> Agreement::parse(const CellRef& cell) {
    Slice slice{cell};
    const bool tagged = slice.number(32) == agreement_tag;
    Agreement agreement;
    agreement.network = static_cast<Network>(slice.signed_number(32));
    agreement.channel = slice.address();
    agreement.amount = slice.coins();
    agreement.valid_until = read_seconds(slice);
    if (!tagged || !slice.finished())
        return refuse(ErrorCode::malformed_request, "not an agreement");
    return agreement;
}

Signature sign(const SigningKey& key, const Agreement& agreement) {
    return key.sign(agreement.cell()->hash());
}

bool verify(const PublicKey& key, const Agreement& agreement, const Signature& signature) {
    return agreement.amount.value >= 0 &&
           verify_signature(key, agreement.cell()->hash(), signature);
}

CellRef top_up_body(std::uint64_t query) { return begin(top_up_tag, query).cell(); }
CellRef start_close_body(std::uint64_t query) { return begin(start_close_tag, query).cell(); }
CellRef finish_close_body(std::uint64_t query) { return begin(finish_close_tag, query).cell(); }

CellRef claim_body(std::uint64_t query, Nano total, const SignedVoucher& signed_voucher) {
    return begin(claim_tag, query)
        .coins(total)
        .bytes(signed_voucher.signature)
        .ref(signed_voucher.voucher.cell())
        .cell();
}

CellRef close_together_body(std::uint64_t query, const Agreement& agreement,
                            const Signature& payer_signature, const Signature& payee_signature) {
    return begin(close_together_tag, query)
        .bytes(payer_signature)
        .ref(Builder{}.bytes(payee_signature).ref(agreement.cell()).cell())
        .cell();
}

bool is_bounced_claim(const CellRef& body) {
    Slice slice{body};
    if (slice.number(32) != UINT32_MAX) return false;
    const std::uint64_t tag = slice.number(32);
    return tag == claim_tag || tag == finish_close_tag;
}

PayeeChannel::PayeeChannel(const ChannelTerms& terms, Network network, const ChannelStatus& status,
                           std::optional<SignedVoucher> best)
    : terms_{terms},
      network_{network},
      address_{channel_state(terms).address()},
      status_{status},
      best_{std::move(best)} {}

Result<void> PayeeChannel::take(const ChannelNotice& notice) {
    // Only an agreement ends a channel with another total than a voucher's, and never above it.
    if (notice.status.claimed > promised())
        return refuse(ErrorCode::wrong_state, "the channel paid more than was ever promised");
    status_ = later_of(status_, notice.status);
    return {};
}

Result<Nano> PayeeChannel::accept(const SignedVoucher& signed_voucher) {
    const Voucher& voucher = signed_voucher.voucher;
    if (!verify(terms_.payer_key, voucher, signed_voucher.signature))
        return refuse(ErrorCode::malformed_request, "the voucher is not signed by the payer");
    if (voucher.network != network_ || voucher.channel != address_)
        return refuse(ErrorCode::malformed_request, "the voucher is for another channel");
    if (voucher.amount <= promised()) return Nano{};
    if (status_.stage != ChannelStage::open)
        return refuse(ErrorCode::wrong_state, "the channel is closing or closed");
    if (voucher.amount > status_.deposited)
        return refuse(ErrorCode::insufficient_funds, "the voucher is over the channel's deposits");
    const Nano more = voucher.amount - promised();
    best_ = signed_voucher;
    return more;
}

}  // namespace cocoon::settlement::ton
