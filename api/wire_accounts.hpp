// JSON of people and money: accounts, sign-up forms, keys, payouts, deposits, statements. Called by
// accounts.cpp, keys.cpp, payouts.cpp and admin.cpp; pure functions. Never writes a secret or its
// hash.
#pragma once

#include <string>

#include "api/field_reader.hpp"
#include "api/json_writer.hpp"
#include "db/rows.hpp"
#include "matching/types.hpp"

namespace cocoon::api {

// The sign-up form of that kind as canonical JSON (RFC 8785).
std::string read_profile(ObjectReader in, matching::AccountKind kind);

// Members of an open object.
void write_account_members(JsonWriter& out, const matching::Account& account);
void write_key_members(JsonWriter& out, const matching::ApiKey& key);
void write_payout_members(JsonWriter& out, const matching::Payout& payout);
void write_deposit_members(JsonWriter& out, const matching::Deposit& deposit);
// The stored JSON of a form; {} if it is none.
void write_stored_json(JsonWriter& out, std::string_view name, const std::string& json);

// One change of one balance of `account`.
struct StatementEntry {
    matching::Bucket bucket = matching::Bucket::available;
    Nano amount;                   // signed
    std::string_view counterpart;  // "self", "market", "account"
    matching::Bucket counterpart_bucket = matching::Bucket::available;
};
// One or two entries, for each side of the posting that is the account's.
std::vector<StatementEntry> entries_of(const db::StatementLine& line, AccountId account);
void write_statement_entry(JsonWriter& out, const db::StatementLine& line,
                           const StatementEntry& entry);
std::string statement_csv_header();
std::string statement_csv_row(const db::StatementLine& line, const StatementEntry& entry);

}  // namespace cocoon::api
