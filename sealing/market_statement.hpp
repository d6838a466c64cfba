// What the market says of its debts, signed with the key that cosigns receipts: what it owes to
// all at once (solvency), and what one account has earned and been paid (earnings). Made by the
// market, checked offline by cocoon-client and anybody else. Pure functions on plain values; they
// do not judge whether the figures are good, only who says them.
//
//   {"signature": {key_id, public_key, signature}, "statement": {type, ...}}
//
// Both parts are canonical JSON (RFC 8785). Signed is the label "cocoon-market/statement/v1", a
// byte 0, and the statement. Money, ids and sequences are decimal strings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/money.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/signing.hpp"

namespace cocoon::sealing {

constexpr std::size_t market_statement_bytes_max = 16 << 10;

// Everything owed at one sequence of the journal, and what the chain then held.
struct SolvencyStatement {
    std::uint64_t sequence = 0;
    Instant at;
    std::uint64_t accounts = 0;  // leaves of the tree (settlement/merkle_sum)
    Digest root{};
    Nano liabilities;  // the root's sum
    // As of the same books. Absent: the chain cannot be seen, so nobody should believe there is
    // enough.
    struct Wallet {
        std::string address;
        Nano balance;
        Nano moving;   // inside a batch under way, on its way back
        Nano on_hold;  // of the balance: came in and belongs to no account yet
        Instant at;
        bool operator==(const Wallet&) const = default;
    };
    std::optional<Wallet> wallet;
    bool operator==(const SolvencyStatement&) const = default;
};

// What one account has earned and been paid since it was opened. None of the sums ever falls, and
// the counter tells which of two statements is the newer.
struct EarningsStatement {
    std::string account;         // "acc_7"
    std::string payout_address;  // empty: none given yet
    std::uint64_t counter = 0;   // the journal's sequence: one state, one statement
    Instant at;                  // of that sequence
    Nano earned;                 // all of it, whatever became of it
    Nano paid;                   // out of it, on the chain
    Nano paying;                 // out of it, in payouts that are not settled
    Nano owed() const { return earned - paid; }
    bool operator==(const EarningsStatement&) const = default;
};

// The envelope, canonical. REQUIRES: texts are UTF-8.
std::string sign_statement(const SolvencyStatement& statement, std::string_view key_id,
                           const SigningKey& key);
std::string sign_statement(const EarningsStatement& statement, std::string_view key_id,
                           const SigningKey& key);

// The key that an envelope names: not yet whether it signed. Nothing: it is no envelope.
std::optional<PublicKey> key_of_statement(const Json& envelope);
// malformed_request: not such a statement, or a figure out of its range; receipt_invalid: not
// signed by `key`.
Result<SolvencyStatement> verify_solvency(const Json& envelope, const PublicKey& key);
Result<EarningsStatement> verify_earnings(const Json& envelope, const PublicKey& key);

}  // namespace cocoon::sealing
