// The embedded development chain: a wallet with a history in one file, so that a market can be
// tried whole (deposits by memo, payouts, restarts) without any network. Blocks come with the
// clock; a transaction is final some blocks after its own. Called by the settlement worker and by
// the faucet's route, from any thread. It moves no real coin and says so in its addresses ("dev:").
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "settlement/chain.hpp"

namespace cocoon::settlement {

struct DevChainOptions {
    // made if absent; every transaction is on disk before it is told
    std::string file{};
    Duration block_interval = seconds(1);
    // blocks on top of a transaction's own until it is final
    std::uint64_t confirmations = 2;
    Duration batch_lifetime = minutes(5);  // from build() until a block executes it no more
    // Called before a submit takes effect (true: the endpoint fails and nothing happened) and after
    // (true: it took effect and the answer is lost). For tests of the caller; empty in the product.
    std::function<bool()> fail_before{}, fail_after{};
};

class DevChain final : public Chain {
public:
    // Reads the file. Throws std::runtime_error when it cannot be read or its hashes do not link;
    // an unfinished last line (a crash while writing) is cut off.
    DevChain(DevChainOptions options, const Clock& clock);
    ~DevChain() override;
    DevChain(const DevChain&) = delete;
    DevChain& operator=(const DevChain&) = delete;

    std::string deposit_address() const override;
    std::string deposit_link(const std::string&) const override { return {}; }
    Nano deposit_minimum() const override { return Nano{1'000'000}; }
    bool pays(const PayoutRow& row, const SentPayout& sent) const override {
        return row.payout == sent.payout && row.address == sent.address &&
               row.amount == sent.amount;
    }
    Nano balance_minimum() const override { return Nano{}; }
    Result<std::string> normal_address(const std::string& address) const override;
    Result<Head> head() override;
    Result<Head> certain_head() override { return head(); }
    Result<EntryPage> entries(const Cursor& after, const Cursor& until,
                              std::size_t count_max) override;
    Result<PayoutBatch> build(std::uint64_t number, std::vector<PayoutRow> rows) override;
    Result<void> submit(const PayoutBatch& batch) override;

    // A transfer into the wallet from nowhere, as if a customer had sent it. Returns its reference.
    // invalid_body: amount not in 1..limits::amount_nano_max, memo too long or not printable ASCII.
    Result<std::string> faucet(const std::string& memo, Nano amount,
                               const std::string& source = "dev:faucet");
    // What the wallet paid to `address`, final or not.
    Nano paid_to(const std::string& address) const;

private:
    struct Transaction {
        Cursor id;
        std::uint64_t block = 0;
        bool incoming = false;
        std::string address, memo;  // incoming: source and comment; outgoing: destination
        Nano amount;
        std::string message_hash;  // outgoing: the batch
        std::uint64_t payout = 0;  // outgoing
    };

    std::uint64_t height() const;
    std::size_t final_count() const;
    Instant time_of(std::uint64_t block) const;
    Entry entry_from(std::size_t& index) const;
    void read_file();
    void take_line(const std::string& line);
    void append(std::vector<Transaction> transactions);

    const DevChainOptions options_;
    const Clock& clock_;
    mutable std::mutex mutex_;
    int file_ = -1;
    Instant genesis_;
    std::vector<Transaction> history_;
    std::set<std::string> executed_;  // message hashes
};

}  // namespace cocoon::settlement
