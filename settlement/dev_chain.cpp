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
    if (!transaction.incoming) executed_[transaction.message_hash].push_back(history_.size());
    history_.push_back(std::move(transaction));
}

// All of `transactions` in one write. A crash inside it may leave the first lines only: then the
// batch was executed in part, as a real wallet may do, and state_of() says `paid: false` for the
// rest.
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
        if (!transaction.incoming) executed_[transaction.message_hash].push_back(history_.size());
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

bool DevChain::final_at(const Transaction& transaction, std::uint64_t now) const {
    return transaction.block + options_.confirmations <= now;
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

Result<TransferPage> DevChain::transfers_since(const Cursor& cursor, std::size_t count_max) {
    const std::lock_guard lock{mutex_};
    if (cursor.lt > history_.size() || (cursor.lt > 0 && history_[cursor.lt - 1].id != cursor)) {
        return refuse(ErrorCode::wrong_state,
                      "the cursor is of another history of the development chain");
    }
    TransferPage page;
    page.next = cursor;
    const std::uint64_t now = height();
    for (std::size_t i = cursor.lt; i < history_.size() && final_at(history_[i], now); ++i) {
        const Transaction& transaction = history_[i];
        if (transaction.incoming) {
            if (page.transfers.size() >= std::min(count_max, transfers_page_max)) break;
            Transfer transfer;
            transfer.position = transaction.id;
            transfer.reference =
                "dev:" + std::to_string(transaction.id.lt) + ":" + transaction.id.hash;
            transfer.source = transaction.address;
            transfer.memo = transaction.memo;
            transfer.amount = transaction.amount;
            transfer.at =
                genesis_ + options_.block_interval * static_cast<std::int64_t>(transaction.block);
            page.transfers.push_back(std::move(transfer));
        }
        page.next = transaction.id;
    }
    return page;
}

Result<PayoutBatch> DevChain::build(std::uint64_t number, std::vector<PayoutRow> rows) {
    ENSURE(!rows.empty() && rows.size() <= batch_rows_max);
    const std::lock_guard lock{mutex_};
    PayoutBatch batch;
    batch.number = number;
    const std::int64_t chain_us = options_.block_interval.us * static_cast<std::int64_t>(height());
    batch.expires_at = genesis_ + microseconds(chain_us) + options_.batch_lifetime;
    batch.message =
        "batch " + std::to_string(number) + " until " + std::to_string(batch.expires_at.us);
    for (const PayoutRow& row : rows) {
        batch.message +=
            "\n" + std::to_string(row.payout) + " " + row.amount.text() + " " + row.address;
    }
    batch.message_hash = hash_hex(batch.message);
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
        const Instant chain_time =
            genesis_ + options_.block_interval * static_cast<std::int64_t>(block);
        const bool executed_before = executed_.contains(batch.message_hash);
        if (!executed_before && chain_time > batch.expires_at) {
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

Result<BatchState> DevChain::state_of(const PayoutBatch& batch) {
    const std::lock_guard lock{mutex_};
    const std::uint64_t now = height();
    BatchState state;
    const auto found = executed_.find(batch.message_hash);
    if (found == executed_.end()) {
        // Expired for certain only once a FINAL block is past the expiry: until then it may still
        // come.
        const std::uint64_t final_height =
            now > options_.confirmations ? now - options_.confirmations : 0;
        const Instant final_time =
            genesis_ + options_.block_interval * static_cast<std::int64_t>(final_height);
        if (final_time > batch.expires_at) state.phase = BatchState::Phase::expired;
        return state;
    }
    for (const std::size_t index : found->second) {
        if (!final_at(history_[index], now)) return state;
    }
    state.phase = BatchState::Phase::executed;
    for (const PayoutRow& row : batch.rows) {
        BatchState::Row settled{row.payout, false, {}};
        for (const std::size_t index : found->second) {
            if (history_[index].payout != row.payout) continue;
            settled.paid = true;
            settled.reference =
                "dev:" + std::to_string(history_[index].id.lt) + ":" + history_[index].id.hash;
        }
        state.rows.push_back(std::move(settled));
    }
    return state;
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
    return "dev:" + std::to_string(history_.back().id.lt) + ":" + history_.back().id.hash;
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
