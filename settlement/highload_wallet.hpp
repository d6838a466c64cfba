// Highload wallet v3: up to 254 payouts in one signed message, many messages in flight, and each
// one executed at most once (contract of ton-blockchain/highload-wallet-contract-v3, audited in
// 2025). Called by the chain adapter to build batches and to find them again in the wallet's
// history; any thread. It must not know accounts, and it keeps no counter: the caller's database
// does.
//
// A message is known by (query, created_at). The wallet takes it while created_at lies within
// (now - timeout, now], and a query number once in that time.
#pragma once

#include <vector>

#include "settlement/actions.hpp"
#include "settlement/fees.hpp"

namespace cocoon::settlement::ton {

constexpr std::uint32_t highload_subwallet = 0x10AD;
constexpr std::uint32_t highload_queries = (1u << 13) * 1023;   // numbers a wallet can tell apart
constexpr std::uint32_t highload_timeout_max = (1u << 22) - 1;  // seconds
// The contract takes 254; with 100-byte comments only 200 fit the 65,535 bytes of a message.
constexpr std::size_t highload_actions_max = 254;

class HighloadWallet {
public:
    // REQUIRES: 1 <= timeout_seconds <= highload_timeout_max.
    HighloadWallet(SigningKey key, std::uint32_t timeout_seconds,
                   std::uint32_t subwallet = highload_subwallet);

    const StateInit& state() const { return state_; }
    const Address& address() const { return address_; }
    const PublicKey& owner() const { return key_.public_key(); }
    std::uint32_t timeout_seconds() const { return timeout_seconds_; }

    struct Query {
        std::uint32_t number = 0;      // below highload_queries
        std::uint64_t created_at = 0;  // Unix seconds of chain time, some 30 s back: blocks lag
        bool deploy = false;           // carry the state along (the first message only)
    };
    // The external message that has the wallet send `actions`, wrapped in a message to itself that
    // carries `own_value` there and back (0.05 coins are plenty).
    // invalid_body: no actions or more than highload_actions_max, a query number out of range, or a
    // message over the chain's limits.
    Result<CellRef> batch(const Query& query, std::span<const OutAction> actions,
                          Nano own_value) const;
    // One message without the detour. invalid_body also: the message carries a state.
    Result<CellRef> single(const Query& query, const OutAction& action) const;

private:
    Result<CellRef> external(const Query& query, const OutAction& action) const;

    const SigningKey key_;
    const std::uint32_t timeout_seconds_, subwallet_;
    const StateInit state_;
    const Address address_;
};

// Gas of the two transactions of a batch when the replay marks are at their fullest (measured).
constexpr std::uint64_t highload_gas_max = 14'280;
constexpr std::uint64_t highload_self_gas = 1'756;

// What the wallet pays for a batch beside the values it sends and its storage: the way in, the gas
// of both transactions, the message to itself and every payout's way out. malformed_request: no
// batch.
Result<Nano> highload_batch_fee(const CellRef& external, const GasPrices& gas,
                                const ForwardPrices& forward,
                                std::uint64_t first_gas = highload_gas_max,
                                std::uint64_t second_gas = highload_self_gas);

// An external message to a highload wallet, read back. What was signed, not whether.
struct HighloadRequest {
    Signature signature{};
    Hash signed_hash{};  // what the signature is over
    std::uint32_t subwallet = 0, query = 0, timeout_seconds = 0;
    std::uint64_t created_at = 0;
    OutAction action;

    // malformed_request: another kind of message, or a query number that does not exist.
    static Result<HighloadRequest> parse(const Message& message);
};

// The message a highload wallet sends to itself for a batch: what the second transaction is to
// send.
struct HighloadBatch {
    std::uint64_t query_id = 0;  // as the contract spells it; see query_of
    std::vector<OutAction> actions;

    // malformed_request: another body.
    static Result<HighloadBatch> parse(const CellRef& body);
    // The query's number; nothing when no query has this id.
    std::optional<std::uint32_t> query() const;
};

}  // namespace cocoon::settlement::ton
