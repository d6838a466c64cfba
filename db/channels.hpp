// Payment channels as the market remembers them: terms, the greatest voucher, what the chain said.
// Its own short transactions on the pool; any thread. Knows no rule of channels: what may be stored
// is decided by settlement/channel.hpp.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/ids.hpp"
#include "core/time.hpp"
#include "db/pool.hpp"
#include "settlement/channel.hpp"

namespace cocoon::db {

constexpr std::uint32_t channels_per_account_max = 16;  // that are not closed

struct ChannelRow {
    AccountId account;
    std::string address;                  // raw
    settlement::ton::ChannelTerms terms;  // the payee is not stored: it is the market
    settlement::ton::ChannelStatus status;
    std::optional<settlement::ton::SignedVoucher> best;
    Instant opened_at;
};

class Channels {
public:
    // Whose wallet and key every channel pays, on which network.
    Channels(Pool& pool, settlement::ton::ChannelPayee payee, settlement::ton::Network network)
        : pool_{pool}, payee_{payee}, network_{network} {}

    // False, and nothing is stored: the address is known, or the account has `account_max` open.
    bool open(const ChannelRow& channel, std::uint32_t account_max);
    std::optional<ChannelRow> find(const std::string& address);
    // An account's, oldest first.
    std::vector<ChannelRow> of(AccountId account);
    // The deposit memo of the account that a channel is registered for.
    std::optional<std::string> memo(const std::string& address);
    // Stores a greater voucher. False: another one was faster, see find().
    bool promise(const std::string& address, Nano before,
                 const settlement::ton::SignedVoucher& voucher);
    // What a final notice said; parts that are greater already stay.
    void report(const std::string& address, const settlement::ton::ChannelStatus& status);
    // Not closed, with something to claim or closing, and no claim sent since `before` (since
    // `closing_before`, when the channel closes).
    std::vector<ChannelRow> to_claim(Instant before, Instant closing_before,
                                     std::uint32_t rows_max);
    void claim_sent(std::span<const std::string> addresses, Instant at);

private:
    Pool& pool_;
    const settlement::ton::ChannelPayee payee_;
    const settlement::ton::Network network_;
};

}  // namespace cocoon::db
