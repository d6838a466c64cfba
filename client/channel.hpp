// The developer's side of a payment channel: the session key in a file, and promises that grow as
// the account's balance is used up. Called by `cocoon-client channel` and, on a thread of its own,
// by `serve`; blocking. The key signs nothing but vouchers and registrations of this one channel.
// What the market says is believed only where it costs the market: a greater voucher of ours counts
// if our own signature is under it. docs/channel.md is the protocol.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "client/market_api.hpp"
#include "sealing/signing.hpp"
#include "settlement/channel.hpp"

namespace cocoon::client {

// A channel as the market shows it. `promised` is what our own signature proves.
struct ChannelView {
    settlement::ton::Network network = settlement::ton::Network::mainnet;
    std::string stage;
    Nano deposited, promised, claimed;
    std::uint64_t sequence = 0;  // of the greatest voucher
};

class ChannelPayer {
public:
    // invalid_body: no address; and what sealing::SigningKey::load() refuses.
    static Result<ChannelPayer> load(const std::string& key_file, const std::string& address);
    ChannelPayer(sealing::SigningKey key, const settlement::ton::Address& address)
        : key_{std::move(key)}, address_{address} {}

    // not_found: the market does not know the channel; upstream_failed: it shows nonsense.
    Result<ChannelView> view(MarketApi& market);
    // Promises `more` than before, at most what is deposited. insufficient_funds: everything is
    // promised already. The view afterwards.
    Result<ChannelView> promise(MarketApi& market, Nano more);

private:
    sealing::SigningKey key_;
    settlement::ton::Address address_;
};

// What `channel open` needs, and makes of it.
struct ChannelWish {
    std::string payer;                   // the wallet that gets what is left
    Nano cap;                            // nothing: as much as the market allows
    std::int64_t challenge_seconds = 0;  // 0: as little as the market allows
    std::uint64_t salt = 1;
};
struct OpenedChannel {
    std::string address;
    std::string link;  // opens a wallet with contract and deposit filled in
};
// Registers a channel of `key` with the market and checks that both name the same contract.
Result<OpenedChannel> open_channel(MarketApi& market, const sealing::SigningKey& key,
                                   const ChannelWish& wish, Nano deposit);

// For the payer's wallet: the challenge time begins; and, when it is over, all that is left comes
// back. invalid_body: no address.
struct ClosingLinks {
    std::string start, finish;
};
Result<ClosingLinks> closing_links(const std::string& address);

// Keeps the account from running dry, from start to destruction: below `low` it promises `step`
// more, one promise at a time.
class ChannelFeeder {
public:
    // Throws nothing; a key that cannot be read is a refusal of start().
    static Result<std::unique_ptr<ChannelFeeder>> start(const ChannelSettings& settings,
                                                        MarketApi& market);
    ~ChannelFeeder();

private:
    ChannelFeeder(ChannelPayer payer, const ChannelSettings& settings, MarketApi& market);
    void look();

    ChannelPayer payer_;
    const ChannelSettings settings_;
    MarketApi& market_;
    std::string told_;  // the newest trouble, said once
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace cocoon::client
