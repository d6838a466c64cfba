// The seam between the books and a chain. server/settlement_worker drives it from its own thread; a
// chain's adapter implements it (dev_chain here, TON later). Calls may block. It must not know
// accounts, SQL or HTTP: it sees transfers into one wallet and payouts out of it.
//
// Exactly once, whatever crashes (the database is the only truth, the chain the only witness): in
// transfers_since() hands out finalised transfers in the order of the wallet's own history. Each
// has an identity that never changes (`reference`); the books credit a reference once, so a cursor
// that
//        is lost or set back only costs time.
// out build() makes the signed message of a batch and sends nothing. The caller stores its bytes,
// and only then submits them, as often as it likes: the chain executes one message at most once,
// and never after `expires_at`. What submit() answers proves nothing either way. Only state_of()
// settles a batch, from finalised history: `executed` with the fate of every row, or `expired`,
// which promises that the message was not and will not be executed. Rows of a batch that is neither
// may
//        never go into another batch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/money.hpp"
#include "core/result.hpp"
#include "core/time.hpp"

namespace cocoon::settlement {

constexpr std::size_t transfers_page_max = 100;
constexpr std::size_t batch_rows_max = 250;  // below highload wallets' 254 messages
// a longer comment is cut: it cannot be a memo of ours
constexpr std::size_t memo_bytes_max = 128;
constexpr std::size_t address_bytes_max = 128;

// Where a reader of the wallet's history stands: the newest transaction it has taken. lt (logical
// time) grows strictly within one wallet; `hash` proves that it is still the same history. lt 0:
// nothing yet.
struct Cursor {
    std::uint64_t lt = 0;
    std::string hash;  // lower-case hex; empty with lt 0
    bool operator==(const Cursor&) const = default;
};

struct Transfer {  // coins that came in, finalised
    Cursor position;
    std::string reference;  // unique for ever on this chain: "<chain>:<lt>:<hash>"
    std::string source;
    std::string memo;  // UTF-8 or empty
    Nano amount;
    Instant at;
    bool operator==(const Transfer&) const = default;
};

struct TransferPage {
    std::vector<Transfer> transfers;  // ascending by lt
    // the cursor after this page; equal to the one given: nothing new
    Cursor next;
};

struct PayoutRow {
    std::uint64_t payout = 0;  // the books' own number of it
    std::string address;       // as normal_address() gave it
    Nano amount;
    bool operator==(const PayoutRow&) const = default;
};

// A batch as it is stored before anything is sent.
struct PayoutBatch {
    std::uint64_t number = 0;  // unique for ever; part of what is signed
    Instant expires_at;        // never executed after this chain time
    std::vector<PayoutRow> rows;
    std::string message;       // the signed bytes
    std::string message_hash;  // lower-case hex; names the message
    bool operator==(const PayoutBatch&) const = default;
};

struct BatchState {
    enum class Phase { pending, executed, expired };
    struct Row {
        std::uint64_t payout = 0;
        bool paid = false;      // false: left out or bounced; the coins are still the wallet's
        std::string reference;  // the transaction that paid it
    };
    Phase phase = Phase::pending;
    std::vector<Row> rows;  // one for each row of the batch; only when executed
};

class Chain {
public:
    virtual ~Chain() = default;

    // Where customers send coins to, in the form they type.
    virtual std::string deposit_address() const = 0;
    // Smaller deposits are not credited (dust).
    virtual Nano deposit_minimum() const = 0;
    // `address` in the one form that is stored and compared, or invalid_body.
    virtual Result<std::string> normal_address(const std::string& address) const = 0;

    // Errors of all below: upstream_failed (the chain or its endpoint cannot be reached, lags or
    // lies: try again later), wrong_state (the cursor is not of this history: an operator must
    // look).

    // Finalised transfers after `cursor`, at most `count_max`, which may be fewer than there are.
    virtual Result<TransferPage> transfers_since(const Cursor& cursor, std::size_t count_max) = 0;
    // REQUIRES: 1..batch_rows_max rows. Deterministic: the same arguments at the same chain time
    // give the same bytes.
    virtual Result<PayoutBatch> build(std::uint64_t number, std::vector<PayoutRow> rows) = 0;
    virtual Result<void> submit(const PayoutBatch& batch) = 0;
    virtual Result<BatchState> state_of(const PayoutBatch& batch) = 0;
};

}  // namespace cocoon::settlement
