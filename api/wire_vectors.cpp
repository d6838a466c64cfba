#include "api/wire_vectors.hpp"

#include <algorithm>
#include <array>

namespace cocoon::api {
namespace {

using namespace matching;

bool is_market_name(std::string_view text) {
    std::string_view rest = text;
    if (rest.starts_with("inference:"))
        rest.remove_prefix(10);
    else if (rest.starts_with("compute:"))
        rest.remove_prefix(8);
    else
        return false;
    return !rest.empty() &&
           std::all_of(rest.begin(), rest.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

bool is_region(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

bool is_country(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_lower_hex(std::string_view text) {
    return text.size() % 2 == 0 && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

const TextRule measurement_rule{32, 128, is_lower_hex, "lower-case hex"};

constexpr std::array<std::string_view, tier_count> tiers{"simulated", "snp", "tdx", "snp+gpu-cc",
                                                         "tdx+gpu-cc"};
constexpr std::array<std::string_view, 5> data_policies{"zero_retention", "no_training", "gdpr",
                                                        "hipaa", "soc2"};
constexpr std::array<std::string_view, 7> scopes{"read",  "work",  "offer", "manage",
                                                 "admin", "audit", "node"};

struct PriceField {
    std::string_view name;
    Nano PriceVector::*member;
};
constexpr std::array<PriceField, 6> price_fields{{
    {"prompt_nano_per_mtok", &PriceVector::prompt},
    {"cached_nano_per_mtok", &PriceVector::cached},
    {"completion_nano_per_mtok", &PriceVector::completion},
    {"reasoning_nano_per_mtok", &PriceVector::reasoning},
    {"request_nano", &PriceVector::request},
    {"gpu_second_nano", &PriceVector::gpu_second},
}};

struct QuantityField {
    std::string_view name;
    std::int64_t QuantityVector::*member;
    std::int64_t max;
};
constexpr std::array<QuantityField, 6> quantity_fields{{
    {"prompt_tokens", &QuantityVector::prompt, limits::tokens_max},
    {"cached_tokens", &QuantityVector::cached, limits::tokens_max},
    {"completion_tokens", &QuantityVector::completion, limits::tokens_max},
    {"reasoning_tokens", &QuantityVector::reasoning, limits::tokens_max},
    {"requests", &QuantityVector::requests, limits::tokens_max},
    {"gpu_seconds", &QuantityVector::gpu_seconds, limits::gpu_seconds_max},
}};

template <class Set, std::size_t N>
void write_set(JsonWriter& out, std::string_view name, Set set,
               const std::array<std::string_view, N>& names) {
    out.open_array(name);
    for (std::size_t i = 0; i < N; ++i)
        if (set >> i & 1u) out.item(names[i]);
    out.close_array();
}

}  // namespace

const TextRule market_name_rule{
    1, limits::name_bytes_max, is_market_name,
    "\"inference:<model>\" or \"compute:<gpu class>\" in printable ASCII without spaces"};
const TextRule region_rule{1, 32, is_region, "lower-case letters, digits and hyphens"};
const TextRule country_rule{2, 2, is_country, "two capital letters (ISO 3166)"};
const TextRule hex64_rule{64, 64, is_lower_hex, "64 lower-case hex characters"};

std::span<const std::string_view> tier_names() { return tiers; }
std::span<const std::string_view> data_policy_names() { return data_policies; }
std::span<const std::string_view> scope_names() { return scopes; }

PriceVector read_price(ObjectReader in) {
    PriceVector price;
    for (const PriceField& field : price_fields)
        price.*field.member =
            in.maybe_money(field.name, {0, limits::price_nano_max}).value_or(Nano{});
    return price;
}

PriceVector read_cap_price(ObjectReader in) {
    PriceVector price;
    for (const PriceField& field : price_fields)
        price.*field.member =
            in.maybe_money(field.name, {0, limits::price_nano_max}).value_or(Nano{-1});
    return price;
}

QuantityVector read_quantity(ObjectReader in) {
    QuantityVector quantity;
    for (const QuantityField& field : quantity_fields)
        quantity.*field.member = in.maybe_integer(field.name, {0, field.max}).value_or(0);
    return quantity;
}

Constraints read_constraints(ObjectReader in, bool simulated_allowed) {
    Constraints constraints;
    if (!in.exists()) return constraints;
    const auto named = in.maybe_choices("tiers", tiers);
    if (named && !named->empty()) {
        constraints.tiers = 0;
        for (std::size_t i = 0; i < named->size(); ++i) {
            const Tier tier = static_cast<Tier>((*named)[i]);
            if (tier == Tier::simulated && !simulated_allowed)
                in.refuse_item("tiers", i, "the simulated tier is not enabled on this market");
            constraints.tiers |= tier_bit(tier);
        }
    }
    const auto texts = [&](std::string_view name, const TextRule& rule) {
        return in.maybe_texts(name, limits::list_items_max, rule)
            .value_or(std::vector<std::string>{});
    };
    constraints.regions = texts("regions", region_rule);
    constraints.countries = texts("countries", country_rule);
    constraints.measurements = texts("measurements", measurement_rule);
    constraints.gpu_models = texts("gpu_models", TextRule{});
    const auto integer = [&](std::string_view name, std::int64_t max) {
        return in.maybe_integer(name, {0, max}).value_or(0);
    };
    constraints.reputation_permille_min =
        static_cast<std::uint32_t>(integer("reputation_permille_min", 1000));
    for (const std::size_t index :
         in.maybe_choices("data_policy", data_policies).value_or(std::vector<std::size_t>{}))
        constraints.data_policy |= static_cast<DataPolicySet>(1u << index);
    constraints.notice_seconds_min = integer("notice_seconds_min", notice_seconds_max);
    const auto ids = [&](std::string_view name) {
        return in.maybe_ids<AccountId>(name, limits::list_items_max)
            .value_or(std::vector<AccountId>{});
    };
    constraints.providers_allow = ids("providers_allow");
    constraints.providers_deny = ids("providers_deny");
    constraints.first_output_ms_preferred =
        static_cast<std::uint32_t>(integer("first_output_ms_preferred", 3'600'000));
    constraints.tokens_per_second_preferred =
        static_cast<std::uint32_t>(integer("tokens_per_second_preferred", 1'000'000));
    return constraints;
}

void write_price(JsonWriter& out, std::string_view name, const PriceVector& price) {
    out.open_object(name);
    for (const PriceField& field : price_fields) out.money(field.name, price.*field.member);
    out.close_object();
}

void write_cap_price(JsonWriter& out, std::string_view name, const PriceVector& price) {
    out.open_object(name);
    for (const PriceField& field : price_fields)
        if ((price.*field.member).value >= 0) out.money(field.name, price.*field.member);
    out.close_object();
}

void write_quantity(JsonWriter& out, std::string_view name, const QuantityVector& quantity) {
    out.open_object(name);
    for (const QuantityField& field : quantity_fields)
        out.integer(field.name, quantity.*field.member);
    out.close_object();
}

void write_constraints(JsonWriter& out, std::string_view name, const Constraints& constraints) {
    out.open_object(name);
    write_tiers(out, "tiers", constraints.tiers);
    if (!constraints.regions.empty()) write_texts(out, "regions", constraints.regions);
    if (!constraints.countries.empty()) write_texts(out, "countries", constraints.countries);
    if (!constraints.measurements.empty())
        write_texts(out, "measurements", constraints.measurements);
    if (!constraints.gpu_models.empty()) write_texts(out, "gpu_models", constraints.gpu_models);
    if (constraints.reputation_permille_min)
        out.integer("reputation_permille_min", constraints.reputation_permille_min);
    if (constraints.data_policy) write_data_policy(out, "data_policy", constraints.data_policy);
    if (constraints.notice_seconds_min)
        out.integer("notice_seconds_min", constraints.notice_seconds_min);
    if (!constraints.providers_allow.empty())
        write_accounts(out, "providers_allow", constraints.providers_allow);
    if (!constraints.providers_deny.empty())
        write_accounts(out, "providers_deny", constraints.providers_deny);
    if (constraints.first_output_ms_preferred)
        out.integer("first_output_ms_preferred", constraints.first_output_ms_preferred);
    if (constraints.tokens_per_second_preferred)
        out.integer("tokens_per_second_preferred", constraints.tokens_per_second_preferred);
    out.close_object();
}

void write_tiers(JsonWriter& out, std::string_view name, TierSet set) {
    write_set(out, name, set, tiers);
}

void write_data_policy(JsonWriter& out, std::string_view name, DataPolicySet policy) {
    write_set(out, name, policy, data_policies);
}

void write_scopes(JsonWriter& out, std::string_view name, ScopeSet set) {
    write_set(out, name, set, scopes);
}

void write_texts(JsonWriter& out, std::string_view name, std::span<const std::string> texts) {
    out.open_array(name);
    for (const std::string& text : texts) out.item(text);
    out.close_array();
}

void write_accounts(JsonWriter& out, std::string_view name, std::span<const AccountId> accounts) {
    out.open_array(name);
    for (const AccountId account : accounts) out.item(account);
    out.close_array();
}

}  // namespace cocoon::api
