#include "settlement/ton_history.hpp"

#include <algorithm>
#include <charconv>

#include "settlement/comment.hpp"
#include "settlement/highload_wallet.hpp"

namespace cocoon::settlement::ton {
namespace {

constexpr std::string_view payout_prefix = "pay_";
constexpr std::uint32_t bounce_tag = 0xFFFFFFFF;      // and the first 256 bits of our own body
constexpr std::uint32_t new_bounce_tag = 0xFFFFFFFE;  // with the body in a reference
constexpr std::size_t bounced_comment_bytes = 28;

Error lie(std::string what) {
    return refuse(ErrorCode::upstream_failed, "the provider's history " + std::move(what));
}

std::string reference_of(const Transaction& transaction) {
    return "ton:" + std::to_string(transaction.lt) + ":" + to_hex(transaction.hash);
}

// A memo is typed by people and stored as text: control characters have no place in it.
std::string printable(std::optional<std::string> text) {
    if (!text) return {};
    const bool clean = std::none_of(text->begin(), text->end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    });
    return clean ? std::move(*text) : std::string{};
}

// The number of the payout whose message came back; empty when the body names none.
std::string bounced_payout(const CellRef& body) {
    Slice slice{body};
    const std::uint64_t tag = slice.number(32);
    if (tag == new_bounce_tag) slice = Slice{slice.ref()};
    if ((tag != bounce_tag && tag != new_bounce_tag) || slice.number(32) != 0) return {};
    const std::size_t bytes = std::min(slice.bits_left() / 8, bounced_comment_bytes);
    const Bytes content = slice.bytes(bytes);
    const auto payout = payout_in(as_text(content));
    return payout ? std::to_string(*payout) : std::string{};
}

std::vector<SentPayout> payouts_sent(const Transaction& transaction) {
    std::vector<SentPayout> sent;
    for (const Message& message : transaction.out_messages) {
        if (message.kind != Message::Kind::internal || !message.destination) continue;
        const auto comment = read_comment(message.body);
        const auto payout = comment ? payout_in(*comment) : std::nullopt;
        if (!payout) continue;
        sent.push_back({*payout, message.destination->raw(), message.value});
    }
    return sent;
}

// The outside world's message to the wallet.
void read_request(const Transaction& transaction, Entry& entry) {
    auto key = batch_key(*transaction.in_message);
    const auto& description = transaction.description;
    if (!key || !description || !description->compute.success || !description->action ||
        !description->action->success)
        return;  // what failed may have left no mark, and could be tried again: only time ends it
    entry.kind = transaction.out_messages.empty() ? Entry::Kind::refused : Entry::Kind::accepted;
    entry.batch = std::move(*key);
}

void read_internal(const Transaction& transaction, const Address& wallet, Network network,
                   Entry& entry) {
    const Message& message = *transaction.in_message;
    if (message.source == wallet) {
        if (message.bounced || !HighloadBatch::parse(message.body)) return;
        entry.kind = Entry::Kind::executed;
        entry.batch = to_hex(message.body->hash());
        entry.sent = payouts_sent(transaction);
        return;
    }
    if (message.source) entry.source = message.source->friendly(false, network);
    if (message.bounced) {
        if (is_bounced_claim(message.body)) return;  // our own coins: nobody's payout
        entry.kind = Entry::Kind::bounced;
        entry.memo = bounced_payout(message.body);
        return;
    }
    if (!received(transaction)) return;
    entry.memo = printable(read_comment(message.body, memo_bytes_max));
    entry.kind = entry.memo == operator_memo ? Entry::Kind::operator_funds : Entry::Kind::deposit;
    const auto notice = ChannelNotice::parse(message.body);
    if (notice && message.source && notice->paid <= entry.in)
        entry.report = ChannelReport{*message.source, *notice};
}

}  // namespace

Cursor cursor_of(const TransactionId& id) {
    return {id.lt, id.lt == 0 ? std::string{} : to_hex(id.hash)};
}

std::optional<TransactionId> id_of(const Cursor& cursor) {
    TransactionId id{cursor.lt, {}};
    if (cursor.lt == 0) return cursor.hash.empty() ? std::optional{id} : std::nullopt;
    const auto hash = from_hex(cursor.hash);
    if (!hash || hash->size() != id.hash.size()) return std::nullopt;
    std::copy(hash->begin(), hash->end(), id.hash.begin());
    return id;
}

Result<std::vector<Transaction>> verified_page(const Address& account, const TransactionId& newest,
                                               std::span<const RawTransaction> page) {
    if (page.empty()) return lie("ends too early");
    std::vector<Transaction> transactions;
    TransactionId expected = newest;
    std::uint32_t after = UINT32_MAX;  // time only grows
    for (const RawTransaction& raw : page) {
        const auto cell = parse_boc(raw.boc, transaction_boc_limits);
        if (!cell) return lie("holds no transaction: " + cell.error().detail);
        auto transaction = Transaction::parse(*cell);
        if (!transaction) return lie("holds no transaction: " + transaction.error().detail);
        const TransactionId own{transaction->lt, transaction->hash};
        if (own != raw.id) return lie("names a transaction by a hash that is not its own");
        if (own != expected) return lie("has a gap");
        if (transaction->account != account.id) return lie("is another account's");
        if (transaction->previous_lt >= transaction->lt || transaction->now > after)
            return lie("runs backwards");
        after = transaction->now;
        expected = {transaction->previous_lt, transaction->previous_hash};
        transactions.push_back(std::move(*transaction));
        if (expected.lt == 0) break;
    }
    if (transactions.size() != page.size()) return lie("goes on before its beginning");
    return transactions;
}

std::string payout_comment(std::uint64_t payout) {
    return std::string{payout_prefix} + std::to_string(payout);
}

std::optional<std::uint64_t> payout_in(std::string_view comment) {
    if (!comment.starts_with(payout_prefix)) return std::nullopt;
    comment.remove_prefix(payout_prefix.size());
    std::uint64_t number = 0;
    const auto [end, failure] =
        std::from_chars(comment.data(), comment.data() + comment.size(), number);
    if (failure != std::errc{} || end != comment.data() + comment.size() ||
        number > static_cast<std::uint64_t>(INT64_MAX))
        return std::nullopt;
    return number;
}

Result<std::string> batch_key(const Message& external) {
    const auto request = HighloadRequest::parse(external);
    if (!request) return request.error();
    const auto to_itself = Message::parse(request->action.message, true);
    if (!to_itself) return to_itself.error();
    if (const auto batch = HighloadBatch::parse(to_itself->body); !batch) return batch.error();
    return to_hex(to_itself->body->hash());
}

Entry entry_of(const Transaction& transaction, const Address& wallet, Network network) {
    Entry entry;
    entry.position = cursor_of({transaction.lt, transaction.hash});
    entry.at = Instant{std::int64_t{transaction.now} * 1'000'000};
    entry.reference = reference_of(transaction);
    entry.fees = transaction.total_fees;
    for (const Message& message : transaction.out_messages) {
        entry.out += message.value;
        entry.fees += message.forward_fee;  // what the chain takes on the rest of its way
    }
    if (!transaction.in_message) return entry;
    entry.in = transaction.in_message->value;
    if (transaction.in_message->kind == Message::Kind::external_in) {
        read_request(transaction, entry);
    } else if (transaction.in_message->kind == Message::Kind::internal) {
        read_internal(transaction, wallet, network, entry);
    }
    return entry;
}

}  // namespace cocoon::settlement::ton
