#include "settlement/dev_chain.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

#include "core/encoding.hpp"
#include "core/limits.hpp"

namespace cocoon::settlement {
namespace {

constexpr std::string_view file_title = "cocoon-market development chain v1";

std::string hash_hex(std::string_view bytes) {
    std::array<std::uint8_t, 32> digest{};
    unsigned length = 0;
    if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) !=
        1) {
        throw std::runtime_error("development chain: SHA-256 failed");
    }
    return to_hex(digest);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

template <class Integer>
Integer number_in(std::string_view text) {
    Integer value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size()) {
        throw std::runtime_error("development chain: a number in the file is broken");
    }
    return value;
}

std::string text_in(std::string_view hex) {
    const auto bytes = from_hex(hex);
    if (!bytes) throw std::runtime_error("development chain: a text in the file is broken");
    return std::string{as_text(*bytes)};
}

bool printable(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string reference_of(const Cursor& id) {
    return "dev:" + std::to_string(id.lt) + ":" + id.hash;
}

Error unreachable() {
    return refuse(ErrorCode::upstream_failed, "the development chain does not answer");
}

}  // namespace

DevChain::DevChain(DevChainOptions options, const Clock& clock)
    : options_{std::move(options)}, clock_{clock} {
    file_ = ::open(options_.file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file_ < 0) throw std::runtime_error("development chain: cannot open " + options_.file);
    try {
        read_file();
    } catch (...) {
        ::close(file_);
        throw;
    }
}

DevChain::~DevChain() { ::close(file_); }

// Line 1: title and genesis. Then one line per transaction:
//   lt block in|out amount hex(address) hex(memo) message_hash payout hash
// where hash = SHA-256(previous hash, space, all before it), so that an edited history is noticed.
void DevChain::read_file() {
    std::string content;
    std::array<char, 65536> buffer;
    for (ssize_t got; (got = ::read(file_, buffer.data(), buffer.size())) != 0;) {
        if (got < 0) throw std::runtime_error("development chain: cannot read " + options_.file);
        content.append(buffer.data(), static_cast<std::size_t>(got));
    }
    const std::size_t whole =
        content.rfind('\n') == std::string::npos ? 0 : content.rfind('\n') + 1;
    if (whole != content.size() && ::ftruncate(file_, static_cast<off_t>(whole)) != 0) {
        throw std::runtime_error("development chain: cannot mend " + options_.file);
    }
    content.resize(whole);
    if (content.empty()) {
        genesis_ = clock_.now();
        const std::string head = std::string{file_title} + " " + std::to_string(genesis_.us) + "\n";
        if (::write(file_, head.data(), head.size()) != static_cast<ssize_t>(head.size()) ||
            ::fsync(file_) != 0) {
            throw std::runtime_error("development chain: cannot write " + options_.file);
        }
        return;
    }
    content.pop_back();
    const auto lines = split(content, '\n');
    if (!lines[0].starts_with(file_title)) {
        throw std::runtime_error("development chain: " + options_.file +
                                 " is another kind of file");
    }
    genesis_.us = number_in<std::int64_t>(lines[0].substr(file_title.size() + 1));
    for (std::size_t i = 1; i < lines.size(); ++i) take_line(std::string{lines[i]});
}

void DevChain::take_line(const std::string& line) {
    const auto parts = split(line, ' ');
    if (parts.size() != 9)
        throw std::runtime_error("development chain: a line of the file is broken");
    Transaction transaction;
    transaction.id.lt = number_in<std::uint64_t>(parts[0]);
    transaction.block = number_in<std::uint64_t>(parts[1]);
    transaction.incoming = parts[2] == "in";
    transaction.amount.value = number_in<std::int64_t>(parts[3]);
    transaction.address = text_in(parts[4]);
    transaction.memo = text_in(parts[5]);
    transaction.message_hash = parts[6] == "-" ? std::string{} : std::string{parts[6]};
    transaction.payout = number_in<std::uint64_t>(parts[7]);
    transaction.id.hash = parts[8];
    const std::string previous = history_.empty() ? std::string{} : history_.back().id.hash;
    const std::string body = line.substr(0, line.size() - parts[8].size() - 1);
    if (hash_hex(previous + " " + body) != transaction.id.hash ||
        transaction.id.lt != history_.size() + 1) {
        throw std::runtime_error("development chain: the history in " + options_.file +
                                 " does not link");
    }
    if (!transaction.incoming) executed_.insert(transaction.message_hash);
    history_.push_back(std::move(transaction));
}

// All of `transactions` in one write. A crash inside it may leave the first lines only: then the
// batch was executed in part, as a real wallet may do, and its entry lists no more than that.
void DevChain::append(std::vector<Transaction> transactions) {
    std::string text;
    std::string previous = history_.empty() ? std::string{} : history_.back().id.hash;
    std::uint64_t lt = history_.size();
    for (Transaction& transaction : transactions) {
        transaction.id.lt = ++lt;
        std::string body = std::to_string(lt) + " " + std::to_string(transaction.block) +
                           (transaction.incoming ? " in " : " out ") + transaction.amount.text() +
                           " " + to_hex(as_bytes(transaction.address)) + " " +
                           to_hex(as_bytes(transaction.memo)) + " " +
                           (transaction.message_hash.empty() ? "-" : transaction.message_hash) +
                           " " + std::to_string(transaction.payout);
        transaction.id.hash = hash_hex(previous + " " + body);
        previous = transaction.id.hash;
        text += body + " " + previous + "\n";
    }
    if (::write(file_, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(file_) != 0) {
        throw std::runtime_error("development chain: cannot write " + options_.file);
    }
    for (Transaction& transaction : transactions) {
        if (!transaction.incoming) executed_.insert(transaction.message_hash);
        history_.push_back(std::move(transaction));
    }
}

std::uint64_t DevChain::height() const {
    const std::int64_t elapsed = (clock_.now() - genesis_).us;
    const std::uint64_t by_clock =
        elapsed <= 0 ? 0 : static_cast<std::uint64_t>(elapsed / options_.block_interval.us);
    // A clock set back must not put a transaction into an older block than its predecessor.
    return history_.empty() ? by_clock : std::max(by_clock, history_.back().block);
}

// How much of the history is final.
std::size_t DevChain::final_count() const {
    const std::uint64_t now = height();
    std::size_t count = history_.size();
    while (count > 0 && history_[count - 1].block + options_.confirmations > now) --count;
    return count;
}

Instant DevChain::time_of(std::uint64_t block) const {
    return genesis_ + options_.block_interval * static_cast<std::int64_t>(block);
}

std::string DevChain::deposit_address() const { return "dev:market"; }

Result<std::string> DevChain::normal_address(const std::string& address) const {
    const bool good = address.size() >= 3 && address.size() <= address_bytes_max &&
                      std::all_of(address.begin(), address.end(), [](char c) {
                          return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                                 (c >= 'A' && c <= 'Z') ||
                                 std::string_view{"_-:+/=."}.find(c) != std::string_view::npos;
                      });
    if (!good) return refuse(ErrorCode::invalid_body, "not an address of the development chain");
    return address;
}

Result<Head> DevChain::head() {
    const std::lock_guard lock{mutex_};
    Head head;
    const std::size_t count = final_count();
    for (std::size_t i = 0; i < count; ++i) {
        if (history_[i].incoming)
            head.balance += history_[i].amount;
        else
            head.balance -= history_[i].amount;
    }
    if (count > 0) head.position = history_[count - 1].id;
    const std::uint64_t now = height();
    head.at = time_of(now > options_.confirmations ? now - options_.confirmations : 0);
    return head;
}

// The entry that begins at `index`, which moves behind it: one line that came in, or all lines of a
// batch, which stand together.
Entry DevChain::entry_from(std::size_t& index) const {
    const Transaction& first = history_[index];
    Entry entry;
    entry.at = time_of(first.block);
    if (first.incoming) {
        entry.kind =
            first.memo == operator_memo ? Entry::Kind::operator_funds : Entry::Kind::deposit;
        entry.source = first.address;
        entry.memo = first.memo;
        entry.in = first.amount;
        ++index;
    } else {
        entry.kind = Entry::Kind::executed;
        entry.batch = first.message_hash;
        for (; index < history_.size() && history_[index].message_hash == first.message_hash;
             ++index) {
            const Transaction& line = history_[index];
            entry.out += line.amount;
            entry.sent.push_back({line.payout, line.address, line.amount});
        }
    }
    entry.position = history_[index - 1].id;
    entry.reference = reference_of(entry.position);
    return entry;
}

Result<EntryPage> DevChain::entries(const Cursor& after, const Cursor& until,
                                    std::size_t count_max) {
    ENSURE(count_max > 0);
    const std::lock_guard lock{mutex_};
    const auto known = [&](const Cursor& cursor) {
        return cursor.lt == 0
                   ? cursor.hash.empty()
                   : cursor.lt <= history_.size() && history_[cursor.lt - 1].id == cursor;
    };
    if (!known(after) || !known(until)) {
        return refuse(ErrorCode::wrong_state,
                      "the cursor is of another history of the development chain");
    }
    EntryPage page;
    page.next = after;
    for (std::size_t i = after.lt; i < until.lt && page.entries.size() < count_max;) {
        page.entries.push_back(entry_from(i));
        page.next = page.entries.back().position;
    }
    return page;
}

Result<PayoutBatch> DevChain::build(std::uint64_t number, std::vector<PayoutRow> rows) {
    ENSURE(!rows.empty() && rows.size() <= batch_rows_max);
    const std::lock_guard lock{mutex_};
    PayoutBatch batch;
    batch.number = number;
    batch.expires_at = time_of(height()) + options_.batch_lifetime;
    batch.message =
        "batch " + std::to_string(number) + " until " + std::to_string(batch.expires_at.us);
    for (const PayoutRow& row : rows) {
        batch.message +=
            "\n" + std::to_string(row.payout) + " " + row.amount.text() + " " + row.address;
        batch.cost += row.amount;
    }
    batch.message_hash = batch.key = hash_hex(batch.message);
    batch.rows = std::move(rows);
    return batch;
}

Result<void> DevChain::submit(const PayoutBatch& batch) {
    if (options_.fail_before && options_.fail_before()) return unreachable();
    {
        const std::lock_guard lock{mutex_};
        if (hash_hex(batch.message) != batch.message_hash) {
            return refuse(ErrorCode::invalid_body,
                          "the batch's message is not the one that was built");
        }
        const std::uint64_t block = height();
        const Instant chain_time = time_of(block);
        const bool executed_before = executed_.contains(batch.message_hash);
        if (!executed_before && chain_time >= batch.expires_at) {
            return refuse(ErrorCode::deadline_exceeded, "the batch has expired");
        }
        std::vector<Transaction> transactions;
        for (const PayoutRow& row : batch.rows) {
            Transaction transaction;
            transaction.block = block;
            transaction.address = row.address;
            transaction.amount = row.amount;
            transaction.message_hash = batch.message_hash;
            transaction.payout = row.payout;
            transactions.push_back(std::move(transaction));
        }
        if (!executed_before) append(std::move(transactions));
    }
    if (options_.fail_after && options_.fail_after()) return unreachable();
    return {};
}

Result<std::string> DevChain::faucet(const std::string& memo, Nano amount,
                                     const std::string& source) {
    if (amount.value < 1 || amount.value > limits::amount_nano_max) {
        return Error{ErrorCode::invalid_body,
                     "",
                     {{"/amount_nano", "must be between 1 and the coin's supply"}}};
    }
    if (memo.size() > memo_bytes_max || !printable(memo)) {
        return Error{ErrorCode::invalid_body,
                     "",
                     {{"/memo", "must be at most 128 printable ASCII characters"}}};
    }
    const std::lock_guard lock{mutex_};
    Transaction transaction;
    transaction.block = height();
    transaction.incoming = true;
    transaction.address = source;
    transaction.memo = memo;
    transaction.amount = amount;
    append({std::move(transaction)});
    return reference_of(history_.back().id);
}

Nano DevChain::paid_to(const std::string& address) const {
    const std::lock_guard lock{mutex_};
    Nano sum;
    for (const Transaction& transaction : history_) {
        if (!transaction.incoming && transaction.address == address) sum += transaction.amount;
    }
    return sum;
}

}  // namespace cocoon::settlement
