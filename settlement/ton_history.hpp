// What a provider's answers prove about a wallet: transactions re-derived from their own cells,
// each linked to the one before it, and what each of them means for the books. Called by ton_chain
// and by whoever speaks to providers (server/toncenter); any thread. It must not know how the
// answers came.
#pragma once

#include "settlement/chain.hpp"
#include "settlement/transaction.hpp"

namespace cocoon::settlement::ton {

// Names a transaction of one account. lt 0: none.
struct TransactionId {
    std::uint64_t lt = 0;
    Hash hash{};
    bool operator==(const TransactionId&) const = default;
};

Cursor cursor_of(const TransactionId& id);
// Nothing if `cursor` is no id of this chain.
std::optional<TransactionId> id_of(const Cursor& cursor);

// As a provider tells it.
struct RawTransaction {
    TransactionId id;
    Bytes boc;
};
// An account at the newest final masterchain block that a provider knows.
struct AccountView {
    std::uint32_t seqno = 0;  // of that block
    Instant at;               // when it was made
    Nano balance;
    AccountStatus status = AccountStatus::uninitialised;
    TransactionId last;
};

// A page of `account`'s transactions, newest first, that begins with `newest`. upstream_failed: a
// cell that is no transaction, a hash or a time that is not its own, another account's, or a gap.
// A page may be shorter than asked for; an empty one is refused.
Result<std::vector<Transaction>> verified_page(const Address& account, const TransactionId& newest,
                                               std::span<const RawTransaction> page);

// A payout travels with this comment, whose first 28 bytes a bounce brings back.
std::string payout_comment(std::uint64_t payout);
std::optional<std::uint64_t> payout_in(std::string_view comment);

// The key of a batch: the hash of the body that the wallet sends to itself. malformed_request: not
// the message of a batch.
Result<std::string> batch_key(const Message& external);

// What a final transaction of the wallet at `wallet` means. `network` spells addresses.
Entry entry_of(const Transaction& transaction, const Address& wallet, Network network);

}  // namespace cocoon::settlement::ton
