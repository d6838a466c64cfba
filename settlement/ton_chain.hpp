// TON behind the seam of chain.hpp: one highload wallet that takes deposits by memo and pays
// batches. What to ask next and what an answer means; who is asked, and how, is the gateway's
// (server/toncenter). The settlement worker's thread, except where chain.hpp says otherwise. It
// must not know HTTP, JSON or SQL.
#pragma once

#include <functional>

#include "settlement/highload_wallet.hpp"
#include "settlement/ton_history.hpp"

namespace cocoon::settlement::ton {

// The chain as its providers show it. Every answer was checked: no provider's word is taken for
// what its own data disproves. Errors: upstream_failed.
class Gateway {
public:
    virtual ~Gateway() = default;

    // Never older than any view given before.
    virtual Result<AccountView> account(const Address& address) = 0;
    // What each provider says that answers now, each on its own.
    virtual std::vector<AccountView> witnesses(const Address& address) = 0;
    // How many providers there are.
    virtual std::size_t providers() const = 0;
    // Newest first from `newest` on, newer than `after_lt`; a verified_page().
    virtual Result<std::vector<Transaction>> transactions(const Address& address,
                                                          const TransactionId& newest,
                                                          std::uint64_t after_lt) = 0;
    // wrong_state: the account refuses it, with the contract's exit code in the detail.
    virtual Result<void> send(ByteView message) = 0;
    virtual Result<CellRef> parameter(int number) = 0;
};

struct TonOptions {
    Network network = Network::mainnet;
    Nano deposit_minimum{10'000'000};
    Nano balance_minimum{200'000'000};
    Duration clock_skew_max = seconds(60);  // what the gateway lets providers differ by
    Duration prices_interval = hours(1);
    // Told when the chain's prices are no longer those read before.
    std::function<void()> prices_changed = [] {};
};

class TonChain final : public Chain {
public:
    TonChain(HighloadWallet wallet, Gateway& gateway, const Clock& clock, TonOptions options);

    std::string deposit_address() const override;
    std::string deposit_link(const std::string& memo) const override;
    Nano deposit_minimum() const override { return options_.deposit_minimum; }
    bool pays(const PayoutRow& row, const SentPayout& sent) const override;
    Nano balance_minimum() const override { return options_.balance_minimum; }
    // Workchain 0 only. Bounceable is kept: such a payout comes back from a contract that refuses
    // it.
    Result<std::string> normal_address(const std::string& address) const override;

    Result<Head> head() override;
    Result<Head> certain_head() override;
    Result<EntryPage> entries(const Cursor& after, const Cursor& until,
                              std::size_t count_max) override;
    Result<PayoutBatch> build(std::uint64_t number, std::vector<PayoutRow> rows) override;
    Result<PayoutBatch> build_claims(std::uint64_t number,
                                     const std::vector<ChannelClaim>& claims) override;
    Result<void> submit(const PayoutBatch& batch) override;

    // Whom payment channels must pay. Any thread.
    ChannelPayee channel_payee() const { return {wallet_.owner(), wallet_.address()}; }

private:
    struct Prices {
        StoragePrices storage;
        GasPrices gas;
        ForwardPrices forward;
        bool operator==(const Prices&) const = default;
    };

    Result<void> read_prices();
    Result<std::vector<Transaction>> oldest_after(const TransactionId& after,
                                                  const TransactionId& until);
    Result<CellRef> payout_message(const PayoutRow& row);
    Result<PayoutBatch> signed_batch(PayoutBatch batch, std::span<const OutAction> actions) const;

    const HighloadWallet wallet_;
    Gateway& gateway_;
    const Clock& clock_;
    const TonOptions options_;
    std::optional<AccountView> view_;
    std::optional<Prices> prices_;
    Instant prices_at_;
    // Where pages begin that lie between the cursor and the newest transaction, newest first: a
    // long history is walked back once and then read from its old end.
    std::vector<TransactionId> waypoints_;
};

}  // namespace cocoon::settlement::ton
