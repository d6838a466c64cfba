// The optional payment channel in C++: the state a developer deploys, the messages both sides send,
// what the contract tells the payee, and what the market makes of it. The contract and its rules
// are settlement/channel/channel.tolk, the protocol docs/channel.md; vouchers are in voucher.hpp.
// Called by the client (opening, signing) and by the market (accepting, claiming); any thread. It
// must not know accounts, SQL or how messages travel.
#pragma once

#include "settlement/message.hpp"
#include "settlement/voucher.hpp"

namespace cocoon::settlement::ton {

// Of one channel at one time, until the contract has been audited by others.
constexpr Nano channel_cap_max{100'000'000'000};
// Shorter, and an outage of the market's loses what it has not claimed; longer, and the payer waits
// for no good.
constexpr std::uint32_t channel_challenge_seconds_min = 86'400;
constexpr std::uint32_t channel_challenge_seconds_max = 30 * 86'400;

// What the contract keeps of the first deposit, of each message but claims, and what a claim should
// bring: nearly all of it comes back.
constexpr Nano channel_reserve{20'000'000};
constexpr Nano channel_message_cost{5'000'000};
constexpr Nano channel_claim_value{10'000'000};
// The least that one voucher adds, unless it gives all that is deposited: each costs the payee a
// claim, some hundredth of this.
constexpr Nano channel_step_min{100'000'000};

// What is fixed when a channel is deployed, and makes its address.
struct ChannelTerms {
    PublicKey payer_key{}, payee_key{};  // sign vouchers; sign agreements beside it
    Address payer, payee;                // wallets: who gets what is left, who claims
    std::uint32_t challenge_seconds = 0;
    Nano cap;                // of what lies there at one time
    std::uint64_t salt = 0;  // one payer, several channels

    bool operator==(const ChannelTerms&) const = default;
};

// REQUIRES: the cap is not negative.
StateInit channel_state(const ChannelTerms& terms);

// Who the market is, as terms must name it.
struct ChannelPayee {
    PublicKey key{};
    Address wallet;
};
// Whether the market may take promises from such a channel. invalid_body with the reason: another
// payee, a payer's key that could deny its signatures, a payer outside workchain 0 or the payee
// itself, challenge time or cap beyond the limits above.
Result<void> check_terms(const ChannelTerms& terms, const ChannelPayee& payee);

// What the payer's key signs so that nobody else registers its channel as theirs: `account` is the
// market's own name of whoever is to be credited.
Bytes registration_message(std::string_view account, const Address& channel);

enum class ChannelStage : std::uint8_t { open = 0, closing = 1, closed = 2 };
std::string_view name_of(ChannelStage stage);

// What changes in a channel's life. All amounts only grow, and so does the stage, so of two
// statuses of one channel the later is the greater in every part.
struct ChannelStatus {
    ChannelStage stage = ChannelStage::open;
    Nano deposited, claimed;     // in all; claimed <= deposited
    std::uint32_t close_at = 0;  // Unix seconds: when anybody may end a closing channel

    bool operator==(const ChannelStatus&) const = default;
};

// The contract's data, at any time of its life.
struct ChannelData {
    ChannelTerms terms;
    ChannelStatus status;

    bool operator==(const ChannelData&) const = default;
    CellRef cell() const;
    // malformed_request: not exactly a channel's data.
    static Result<ChannelData> parse(const CellRef& cell);
};

// What the contract sends to the payee with each change. It proves what its sender's address
// proves: only the account of a channel whose terms the market checked may be believed.
struct ChannelNotice {
    std::uint64_t query = 0;  // of the message that caused it
    ChannelStatus status;
    Nano paid;  // of what the message brings; the rest is change

    bool operator==(const ChannelNotice&) const = default;
    // malformed_request: not exactly a notice.
    static Result<ChannelNotice> parse(const CellRef& body);
};

// What both sign to close at once: `amount` in all is the payee's, the rest the payer's. Who has
// signed one takes no voucher of the channel before `valid_until` has passed.
struct Agreement {
    Network network = Network::mainnet;
    Address channel;
    Nano amount;
    std::uint32_t valid_until = 0;  // Unix seconds

    bool operator==(const Agreement&) const = default;
    CellRef cell() const;
    // malformed_request: not exactly one agreement.
    static Result<Agreement> parse(const CellRef& cell);
};
Signature sign(const SigningKey& key, const Agreement& agreement);
bool verify(const PublicKey& key, const Agreement& agreement, const Signature& signature);

// A voucher as it travels and is stored.
struct SignedVoucher {
    Voucher voucher;
    Signature signature{};
    bool operator==(const SignedVoucher&) const = default;
};

// Bodies of messages to the channel, each with a number of the sender's own. All but claims must
// bring channel_message_cost; what a top-up brings beyond that, and the first beyond the reserve,
// is deposited.
CellRef top_up_body(std::uint64_t query);
// `total` in all is to be the payee's. REQUIRES: 0 <= total.
CellRef claim_body(std::uint64_t query, Nano total, const SignedVoucher& signed_voucher);
CellRef start_close_body(std::uint64_t query);
CellRef finish_close_body(std::uint64_t query);
CellRef close_together_body(std::uint64_t query, const Agreement& agreement,
                            const Signature& payer_signature, const Signature& payee_signature);

// Whether a body that bounced was the payee's to a channel, a claim or the end of a closing (old
// bounce format: its first 256 bits came back).
bool is_bounced_claim(const CellRef& body);

// A channel as the payee sees it: what final notices said of it, and the greatest voucher. A value:
// whoever owns it stores it before it answers for it.
class PayeeChannel {
public:
    // As it was stored, or new. REQUIRES: check_terms() was content.
    PayeeChannel(const ChannelTerms& terms, Network network, const ChannelStatus& status = {},
                 std::optional<SignedVoucher> best = {});

    const ChannelTerms& terms() const { return terms_; }
    const Address& address() const { return address_; }
    const ChannelStatus& status() const { return status_; }
    const std::optional<SignedVoucher>& best() const { return best_; }
    Nano promised() const { return best_ ? best_->voucher.amount : Nano{}; }
    // What a claim would bring now.
    Nano claimable() const { return promised() - status_.claimed; }

    // A notice from this channel's account, in any order and as often as it comes. wrong_state:
    // claims what this side has not been promised; the channel is not to be trusted any more, and
    // nothing changed.
    Result<void> take(const ChannelNotice& notice);

    // How much more the payee may now take: zero for a voucher that promises no more than one
    // before it. Costs one signature whatever the answer. malformed_request: for another channel or
    // network, or not the payer's; insufficient_funds: more than is deposited; wrong_state: the
    // channel closes.
    Result<Nano> accept(const SignedVoucher& signed_voucher);

private:
    ChannelTerms terms_;
    Network network_;
    Address address_;
    ChannelStatus status_;
    std::optional<SignedVoucher> best_;
};

}  // namespace cocoon::settlement::ton
