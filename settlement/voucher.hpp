// Promises that only grow: a developer's voucher against a payment channel, and the market's
// statement of what a provider has earned. Each carries a running total, so a lost one does not
// matter, a repeated one changes nothing, and of two the larger counts. Called by the hot path's
// workers (verifying) and by client and market (signing); any thread. It must not know balances:
// whether a total is covered is the caller's question.
//
// voucher#56434831 global_id:int32 channel:MsgAddressInt amount:Coins seq:uint64
// statement#56434832 global_id:int32 vault:MsgAddressInt provider:MsgAddressInt amount:Coins
// seq:uint64
#pragma once

#include "settlement/slice.hpp"

namespace cocoon::settlement::ton {

struct Voucher {
    Network network = Network::mainnet;
    Address channel;             // the contract it draws on; no other takes it
    Nano amount;                 // since the channel was opened, in all
    std::uint64_t sequence = 0;  // the ledger's own number of it

    bool operator==(const Voucher&) const = default;
    // What is signed is this cell's hash.
    CellRef cell() const;
    // malformed_request: not exactly one voucher.
    static Result<Voucher> parse(const CellRef& cell);
};

struct Statement {
    Network network = Network::mainnet;
    Address vault;     // whom it obliges: the market's paying wallet
    Address provider;  // whom it is owed to
    Nano amount;       // earned since the first statement, in all
    std::uint64_t sequence = 0;

    bool operator==(const Statement&) const = default;
    CellRef cell() const;
    static Result<Statement> parse(const CellRef& cell);
};

// REQUIRES: the amount is not negative.
Signature sign(const SigningKey& key, const Voucher& voucher);
Signature sign(const SigningKey& key, const Statement& statement);
// Never true for a negative amount, or a weak key, whose vouchers would verify here and fail on the
// chain.
bool verify(const PublicKey& key, const Voucher& voucher, const Signature& signature);
bool verify(const PublicKey& key, const Statement& statement, const Signature& signature);

}  // namespace cocoon::settlement::ton
