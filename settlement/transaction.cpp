#include "settlement/transaction.hpp"

#include "settlement/dictionary.hpp"

namespace cocoon::settlement::ton {
namespace {

constexpr std::size_t out_messages_max = 255 + 1;  // the actions' own limit, and a bounce
constexpr std::size_t out_message_key_bits = 15;

Error malformed(const char* what) {
    return refuse(ErrorCode::malformed_request, std::string{"transaction: "} + what);
}

// CurrencyCollection; other currencies are not ours to count.
Nano read_currencies(Slice& slice) {
    const Nano amount = slice.coins();
    slice.maybe_ref();
    return amount;
}

Nano maybe_coins(Slice& slice) { return slice.bit() ? slice.coins() : Nano{}; }

// AccStatusChange: unchanged 0, frozen 10, deleted 11.
void skip_status_change(Slice& slice) {
    if (slice.bit()) slice.bit();
}

void skip_storage_used(Slice& slice) {
    slice.variable(3);  // cells
    slice.variable(3);  // bits
}

Nano read_storage_phase(Slice& slice) {
    const Nano collected = slice.coins();
    maybe_coins(slice);  // still due
    skip_status_change(slice);
    return collected;
}

Nano read_credit_phase(Slice& slice) {
    maybe_coins(slice);  // taken for debts
    return read_currencies(slice);
}

ComputePhase read_compute_phase(Slice& slice) {
    ComputePhase phase;
    if (!slice.bit()) {
        std::uint64_t reason = slice.number(2);
        if (reason == 3 && slice.bit()) slice.fail();
        phase.skipped = static_cast<ComputePhase::Skipped>(reason);
        return phase;
    }
    phase.success = slice.bit();
    slice.number(2);  // whether the message's state was used, and activated the account
    phase.gas_fees = slice.coins();
    Slice details{slice.ref()};
    phase.gas_used = details.variable(3);
    details.variable(3);                     // limit
    if (details.bit()) details.variable(2);  // credit
    details.number(8);                       // mode
    phase.exit_code = static_cast<std::int32_t>(details.signed_number(32));
    if (details.bit()) details.number(32);  // exit argument
    details.number(32);                     // steps
    details.hash();
    details.hash();
    if (!details.finished()) slice.fail();
    return phase;
}

ActionPhase read_action_phase(Slice slice, bool& good) {
    ActionPhase phase;
    phase.success = slice.bit();
    phase.valid = slice.bit();
    phase.no_funds = slice.bit();
    skip_status_change(slice);
    phase.forward_fees = maybe_coins(slice);
    phase.action_fees = maybe_coins(slice);
    phase.result_code = static_cast<std::int32_t>(slice.signed_number(32));
    if (slice.bit()) slice.number(32);  // result argument
    phase.actions = static_cast<std::uint16_t>(slice.number(16));
    slice.number(16);  // special actions
    phase.skipped_actions = static_cast<std::uint16_t>(slice.number(16));
    phase.messages_created = static_cast<std::uint16_t>(slice.number(16));
    slice.hash();
    skip_storage_used(slice);
    good = slice.finished();
    return phase;
}

// Whether the value went back.
bool read_bounce_phase(Slice& slice) {
    if (slice.bit()) {  // ok$1
        skip_storage_used(slice);
        slice.coins();
        slice.coins();
        return true;
    }
    if (slice.bit()) {  // nofunds$01
        skip_storage_used(slice);
        slice.coins();
    }
    return false;
}

Result<std::optional<Description>> read_description(const CellRef& cell) {
    Slice slice{cell};
    const std::uint64_t kind = slice.number(4);
    if (!slice.good() || kind > 7) return malformed("an unknown description");
    if (kind != 0) return std::optional<Description>{};  // storage, tick-tock, split, merge
    Description description;
    slice.bit();  // whether the credit phase came first
    if (slice.bit()) description.storage_fees = read_storage_phase(slice);
    if (slice.bit()) description.credit = read_credit_phase(slice);
    description.compute = read_compute_phase(slice);
    bool action_good = true;
    if (slice.bit()) {
        if (const CellRef action = slice.ref())
            description.action = read_action_phase(Slice{action}, action_good);
    }
    description.aborted = slice.bit();
    if (slice.bit()) description.bounced = read_bounce_phase(slice);
    description.destroyed = slice.bit();
    if (!slice.finished() || !action_good) return malformed("a malformed description");
    return std::optional{description};
}

Result<void> read_messages(const CellRef& cell, std::size_t count, Transaction& transaction) {
    Slice slice{cell};
    const CellRef in_message = slice.maybe_ref();
    const CellRef out_messages = slice.maybe_ref();
    if (!slice.finished()) return malformed("malformed messages");
    if (in_message) {
        auto message = Message::parse(in_message);
        if (!message) return message.error();
        transaction.in_message = std::move(*message);
    }
    auto entries = read_dictionary(out_messages, out_message_key_bits, out_messages_max);
    if (!entries) return entries.error();
    if (entries->size() != count) return malformed("another number of out-messages than it says");
    for (DictionaryEntry& entry : *entries) {
        if (entry.key != transaction.out_messages.size())
            return malformed("a gap in its out-messages");
        const CellRef referred = entry.value.ref();
        if (!entry.value.finished()) return malformed("a malformed out-message");
        auto message = Message::parse(referred);
        if (!message) return message.error();
        transaction.out_messages.push_back(std::move(*message));
    }
    return {};
}

}  // namespace

Result<Transaction> Transaction::parse(const CellRef& cell) {
    Slice slice{cell};
    if (slice.number(4) != 0b0111) return malformed("not a transaction");
    Transaction transaction;
    transaction.hash = cell->hash();
    transaction.account = slice.hash();
    transaction.lt = slice.number(64);
    transaction.previous_hash = slice.hash();
    transaction.previous_lt = slice.number(64);
    transaction.now = static_cast<std::uint32_t>(slice.number(32));
    const std::size_t out_count = slice.number(15);
    transaction.status_before = static_cast<AccountStatus>(slice.number(2));
    transaction.status_after = static_cast<AccountStatus>(slice.number(2));
    const CellRef messages = slice.ref();
    transaction.total_fees = read_currencies(slice);
    Slice update{slice.ref()};
    const bool is_update = update.number(8) == 0x72;  // HASH_UPDATE
    update.hash();
    update.hash();
    const CellRef description = slice.ref();
    if (!slice.finished() || !is_update || !update.finished()) return malformed("malformed");
    if (const auto read = read_messages(messages, out_count, transaction); !read)
        return read.error();
    auto described = read_description(description);
    if (!described) return described.error();
    transaction.description = std::move(*described);
    return transaction;
}

std::optional<Nano> received(const Transaction& transaction) {
    const auto& message = transaction.in_message;
    if (!message || message->kind != Message::Kind::internal || message->bounced)
        return std::nullopt;
    if (!transaction.description || transaction.description->bounced) return std::nullopt;
    if (message->source == message->destination || message->value.value <= 0) return std::nullopt;
    return message->value;
}

}  // namespace cocoon::settlement::ton
