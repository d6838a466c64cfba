// JSON of the vectors and sets that many resources share: prices, quantities, constraints, tiers,
// policies. Called by the other wire_*.cpp and by handlers; pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/field_reader.hpp"
#include "api/json_writer.hpp"
#include "matching/types.hpp"

namespace cocoon::api {

constexpr std::int64_t notice_seconds_max = 31 * 86'400;

// Text rules of names on the wire.
extern const TextRule
    market_name_rule;  // "inference:…" or "compute:…", printable ASCII without spaces
extern const TextRule region_rule;   // lower-case letters, digits, hyphen; at most 32
extern const TextRule country_rule;  // two capital letters
extern const TextRule hex64_rule;    // 64 lower-case hex characters

std::span<const std::string_view> tier_names();
std::span<const std::string_view> data_policy_names();
std::span<const std::string_view> scope_names();  // bit i of a ScopeSet

// An absent object or dimension is free.
matching::PriceVector read_price(ObjectReader in);
// An absent object or dimension has no cap (-1).
matching::PriceVector read_cap_price(ObjectReader in);
matching::QuantityVector read_quantity(ObjectReader in);
// Refuses the simulated tier unless allowed.
matching::Constraints read_constraints(ObjectReader in, bool simulated_allowed);

void write_price(JsonWriter& out, std::string_view name, const matching::PriceVector& price);
// Dimensions without a cap are left out.
void write_cap_price(JsonWriter& out, std::string_view name, const matching::PriceVector& price);
void write_quantity(JsonWriter& out, std::string_view name,
                    const matching::QuantityVector& quantity);
void write_constraints(JsonWriter& out, std::string_view name,
                       const matching::Constraints& constraints);
void write_tiers(JsonWriter& out, std::string_view name, matching::TierSet tiers);
void write_data_policy(JsonWriter& out, std::string_view name, matching::DataPolicySet policy);
void write_scopes(JsonWriter& out, std::string_view name, matching::ScopeSet scopes);
void write_texts(JsonWriter& out, std::string_view name, std::span<const std::string> texts);
void write_accounts(JsonWriter& out, std::string_view name, std::span<const AccountId> accounts);

}  // namespace cocoon::api
