// One transaction of an account, read from its own cell: what the chain did, link by link, with
// nothing taken from a provider's decoded fields (TL-B `Transaction`, `TransactionDescr`,
// block.tlb). Called by the chain adapter's workers; any thread. It must not know what the account
// is for.
#pragma once

#include <vector>

#include "settlement/message.hpp"

namespace cocoon::settlement::ton {

enum class AccountStatus : std::uint8_t {
    uninitialised = 0,
    frozen = 1,
    active = 2,
    nonexistent = 3
};

struct ComputePhase {
    enum class Skipped : std::uint8_t { no_state, bad_state, no_gas, suspended };
    std::optional<Skipped> skipped;  // when set, nothing below is
    bool success = false;
    Nano gas_fees;
    std::uint64_t gas_used = 0;
    std::int32_t exit_code = 0;
};

struct ActionPhase {
    bool success = false, valid = false, no_funds = false;
    Nano
        forward_fees;  // of all messages: what their senders pay, of which `action_fees` stays here
    Nano action_fees;
    std::int32_t result_code = 0;
    std::uint16_t actions = 0, skipped_actions = 0, messages_created = 0;
};

// The description of an ordinary transaction; the only kind wallets in workchain 0 ever have.
struct Description {
    Nano storage_fees;           // zero when there was no storage phase
    std::optional<Nano> credit;  // what the message brought
    ComputePhase compute;
    std::optional<ActionPhase> action;
    bool aborted = false;  // says little: a payment to an account without code is aborted
    bool bounced = false;  // the value went back to where it came from
    bool destroyed = false;
};

struct Transaction {
    Hash hash{};     // of the cell; with lt the transaction's identity
    Hash account{};  // within a workchain that the transaction does not name
    std::uint64_t lt = 0;
    std::uint64_t previous_lt = 0;  // zero: the account's first
    Hash previous_hash{};
    std::uint32_t now = 0;  // Unix seconds
    AccountStatus status_before = AccountStatus::nonexistent,
                  status_after = AccountStatus::nonexistent;
    std::optional<Message> in_message;
    std::vector<Message> out_messages;  // in the order they were sent
    Nano total_fees;
    std::optional<Description> description;  // nothing: not an ordinary transaction

    // malformed_request: not exactly one well-formed transaction, or out-messages whose numbers are
    // not 0, 1, 2, ...
    static Result<Transaction> parse(const CellRef& cell);
};

constexpr BocLimits transaction_boc_limits{1 << 20, 1 << 14, 600};

// How many coins the transaction brought to stay, or nothing: an internal message that is neither
// bounced nor from the account itself, whose value was not returned. `aborted` does not decide it.
std::optional<Nano> received(const Transaction& transaction);

}  // namespace cocoon::settlement::ton
