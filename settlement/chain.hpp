// The seam between the books and a chain. server/settlement_worker drives it from its own thread; a
// chain's adapter implements it (dev_chain, ton_chain). Calls may block. It must not know accounts,
// SQL or HTTP: it sees one wallet, its history, and payouts out of it.
//
// Exactly once, whatever crashes (the database is the only truth, the chain the only witness):
// in  entries() hands out the wallet's final transactions in their own order, each with an identity
//     that never changes (`reference`); the books credit a reference once, so a cursor that is lost
//     or set back only costs time.
// out build() makes the signed message of a batch and sends nothing. The caller stores its bytes,
//     and only then submits them, as often as it likes: the chain executes one message at most
//     once. What submit() answers proves nothing either way. Only the history settles a batch:
//     `executed` says which rows were paid; `refused` and a head past `expires_at` whose whole
//     history never took the message promise that it was not and will not be executed. Rows of a
//     batch that is neither may never go into another batch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/money.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "settlement/channel.hpp"

namespace cocoon::settlement {

constexpr std::size_t entries_page_max = 100;
constexpr std::size_t batch_rows_max = 200;  // with comments, what one message's 65,535 bytes hold
constexpr std::size_t memo_bytes_max = 128;  // a longer comment cannot be a memo of ours
constexpr std::size_t address_bytes_max = 128;
// Coins sent with this comment are the operator's own: they pay fees, and nobody is credited.
constexpr std::string_view operator_memo = "market-funds";

// Where a reader of the wallet's history stands: the newest transaction it has taken. lt (logical
// time) grows strictly within one wallet; `hash` proves that it is still the same history. lt 0:
// nothing yet.
struct Cursor {
    std::uint64_t lt = 0;
    std::string hash;  // lower-case hex; empty with lt 0
    bool operator==(const Cursor&) const = default;
};

// The newest final state of the wallet that is known.
struct Head {
    Cursor position;  // its newest transaction
    Instant at;       // the chain's time of this state
    Nano balance;
};

// A payout that a transaction of the wallet sent.
struct SentPayout {
    std::uint64_t payout = 0;
    std::string address;  // in the chain's own spelling, see Chain::pays
    Nano amount;
    bool operator==(const SentPayout&) const = default;
};

// What the sender of a transfer says of itself as a payment channel. Anybody can say it: to be
// believed of a channel that the market knows, and of no other.
struct ChannelReport {
    ton::Address channel;
    ton::ChannelNotice notice;
    bool operator==(const ChannelReport&) const = default;
};

// One final transaction of the wallet. Its balance changed by in - out - fees, to the nanoton.
struct Entry {
    enum class Kind : std::uint8_t {
        deposit,         // from somebody, to be credited by its memo
        operator_funds,  // from the operator, see operator_memo
        bounced,         // a payout that came back; `memo` is its number
        accepted,        // the wallet took a batch's message: it will be executed
        refused,         // it took it and will send nothing of it, for certain
        executed,        // the batch's end: what is not in `sent` was not paid
        other,
    };
    Cursor position;
    Instant at;
    Kind kind = Kind::other;
    std::string reference;     // unique for ever on this chain: "<chain>:<lt>:<hash>"
    std::string source, memo;  // of what came in; printable UTF-8 or empty
    Nano in, out, fees;
    std::string batch;  // accepted, refused, executed: PayoutBatch::key
    std::vector<SentPayout> sent;
    std::optional<ChannelReport> report;  // deposits only
    bool operator==(const Entry&) const = default;
};
std::string_view name_of(Entry::Kind kind);

struct EntryPage {
    std::vector<Entry> entries;  // ascending by lt
    Cursor next;                 // the cursor after this page; equal to the one given: nothing new
};

struct PayoutRow {
    std::uint64_t payout = 0;  // the books' own number of it
    std::string address;       // as normal_address() gave it
    Nano amount;
    bool operator==(const PayoutRow&) const = default;
};

// What a payment channel is asked for: all that `voucher` gives of it, or, without one, to give
// back to its payer what is left.
struct ChannelClaim {
    ton::Address channel;
    std::optional<ton::SignedVoucher> voucher;
};

// A batch as it is stored before anything is sent.
struct PayoutBatch {
    std::uint64_t number = 0;     // unique for ever; part of what is signed
    std::string key;              // what the wallet's history will call it
    Instant expires_at;           // a head as late as this that never saw it: it never will be
    std::vector<PayoutRow> rows;  // none: a batch of claims
    Nano cost;                    // at most, with all fees
    std::string message;          // the signed bytes
    std::string message_hash;     // lower-case hex; how explorers find the message
    bool operator==(const PayoutBatch&) const = default;
};

class Chain {
public:
    virtual ~Chain() = default;

    // Where customers send coins to, in the form they type; and as a link that wallets open with
    // the memo filled in, empty where there is no such thing. All up to head(): any thread.
    virtual std::string deposit_address() const = 0;
    virtual std::string deposit_link(const std::string& memo) const = 0;
    // Smaller deposits are not credited (dust).
    virtual Nano deposit_minimum() const = 0;
    // `address` in the one form that is stored and compared, or invalid_body.
    virtual Result<std::string> normal_address(const std::string& address) const = 0;
    // Whether what was sent is what `row` asked for.
    virtual bool pays(const PayoutRow& row, const SentPayout& sent) const = 0;
    // What stays in the wallet whatever is paid, so that it can always pay its fees.
    virtual Nano balance_minimum() const = 0;

    // Errors of all below: upstream_failed (the chain or its endpoint cannot be reached, lags or
    // lies: try again later), wrong_state (the cursor is not of this history: an operator must
    // look).

    virtual Result<Head> head() = 0;
    // The same, with as many independent sources agreeing as there are: for what cannot be undone.
    virtual Result<Head> certain_head() = 0;
    // Final transactions after `after` and up to `until`, which is a head's position; at most
    // `count_max`, which may be fewer than there are. REQUIRES: count_max > 0.
    virtual Result<EntryPage> entries(const Cursor& after, const Cursor& until,
                                      std::size_t count_max) = 0;
    // REQUIRES: 1..batch_rows_max rows; head() was called. Deterministic: the same arguments at the
    // same chain time give the same bytes.
    virtual Result<PayoutBatch> build(std::uint64_t number, std::vector<PayoutRow> rows) = 0;
    // The same for claims, which pay nobody and cost little: the channels send their value back. A
    // claim made twice is refused by its channel. REQUIRES: as above. wrong_state: this chain has
    // no channels.
    virtual Result<PayoutBatch> build_claims(std::uint64_t number,
                                             const std::vector<ChannelClaim>& claims);
    virtual Result<void> submit(const PayoutBatch& batch) = 0;
};

}  // namespace cocoon::settlement
