// Each noun of the market and its columns: the one list that the projector writes by, the readers
// and the loader read by, and the upsert statements are made from. Used only inside db/.
// `required`: NOT NULL; `optional`: what is zero, empty or never is NULL; `key`: the conflict
// target.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "db/connection.hpp"
#include "matching/types.hpp"

namespace cocoon::db {

// ---- Enumerators by name ------------------------------------------------------------------------

std::string_view sql_name(matching::Tier tier);
template <class Enum>
std::string_view sql_name(Enum value) {
    return name_of(value);
}

struct SqlType {
    const char* name;  // in SQL
    int count;         // enumerators, from 0
};
template <class Enum>
inline constexpr SqlType sql_type{nullptr, 0};
template <>
inline constexpr SqlType sql_type<matching::AccountKind>{"account_kind", 5};
template <>
inline constexpr SqlType sql_type<matching::Bucket>{"bucket", 6};
template <>
inline constexpr SqlType sql_type<matching::Tier>{"tier", 5};
template <>
inline constexpr SqlType sql_type<matching::MarketKind>{"market_kind", 2};
template <>
inline constexpr SqlType sql_type<matching::OfferState>{"offer_state", 4};
template <>
inline constexpr SqlType sql_type<matching::TimeInForce>{"time_in_force", 2};
template <>
inline constexpr SqlType sql_type<matching::RequestState>{"request_state", 7};
template <>
inline constexpr SqlType sql_type<matching::JobState>{"job_state", 6};
template <>
inline constexpr SqlType sql_type<matching::PayoutState>{"payout_state", 6};
template <>
inline constexpr SqlType sql_type<matching::MeasurementState>{"measurement_state", 3};
template <>
inline constexpr SqlType sql_type<matching::Standing>{"standing", 4};

template <class Enum>
Enum enum_from_sql(std::string_view name) {
    for (int index = 0; index < sql_type<Enum>.count; ++index)
        if (sql_name(static_cast<Enum>(index)) == name) return static_cast<Enum>(index);
    throw Failure{"an enumerator is unknown", "22P02"};
}

// ---- One value of each C++ type in a column
// ------------------------------------------------------

// A hash kept as 32 bytes; text that is no hash (nothing real) keeps its own spelling.
std::string pack_hash(std::string_view text, std::string_view prefix);
std::string unpack_hash(std::string_view packed, std::string_view prefix);
// PostgreSQL's array literals, for arrays inside arrays of rows.
std::string array_literal(const std::vector<std::int64_t>& values);
std::string array_literal(std::span<const std::string> values);

// Text as PostgreSQL can keep it: what has a NUL or is no UTF-8 (nothing that the API lets in) is
// kept as a marker and its bytes in hex, so that no name can ever stop the projections.
std::string pack_text(std::string_view text);
std::string unpack_text(std::string_view packed);
bool storable(std::string_view text);

struct Hash {  // a hash member and the scheme its text form begins with
    std::string& text;
    std::string_view prefix;
};

template <class T, class = void>
struct Value;

template <class T>
struct Value<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>> {
    static constexpr auto type = ArrayBuilder::Type::bigint;
    static constexpr const char* cast = "";
    static bool none(const T& value) { return value == 0; }
    static void put(ArrayBuilder& out, const T& value) {
        out.add(static_cast<std::int64_t>(value));
    }
    static void get(const Rows& rows, std::size_t r, std::size_t c, T& value) {
        value = static_cast<T>(rows.integer(r, c));
    }
};
template <>
struct Value<bool> {
    static constexpr auto type = ArrayBuilder::Type::boolean;
    static constexpr const char* cast = "";
    static bool none(bool value) { return !value; }
    static void put(ArrayBuilder& out, bool value) { out.add(value); }
    static void get(const Rows& rows, std::size_t r, std::size_t c, bool& value) {
        value = rows.boolean(r, c);
    }
};
template <class T>
struct Value<Id<T>> {
    static constexpr auto type = ArrayBuilder::Type::bigint;
    static constexpr const char* cast = "";
    static bool none(Id<T> id) { return !id; }
    static void put(ArrayBuilder& out, Id<T> id) { out.add(static_cast<std::int64_t>(id.value)); }
    static void get(const Rows& rows, std::size_t r, std::size_t c, Id<T>& id) {
        id.value = static_cast<std::uint64_t>(rows.integer(r, c));
    }
};
template <>
struct Value<Nano> {
    static constexpr auto type = ArrayBuilder::Type::bigint;
    static constexpr const char* cast = "";
    static bool none(Nano value) { return value.value == 0; }
    static void put(ArrayBuilder& out, Nano value) { out.add(value.value); }
    static void get(const Rows& rows, std::size_t r, std::size_t c, Nano& value) {
        value.value = rows.integer(r, c);
    }
};
template <class T>
struct Value<T, std::enable_if_t<std::is_same_v<T, Instant> || std::is_same_v<T, Duration>>> {
    static constexpr auto type = ArrayBuilder::Type::bigint;
    static constexpr const char* cast = "";
    static bool none(T value) { return value.us == 0; }
    static void put(ArrayBuilder& out, T value) { out.add(value.us); }
    static void get(const Rows& rows, std::size_t r, std::size_t c, T& value) {
        value.us = rows.integer(r, c);
    }
};
template <>
struct Value<std::string> {
    static constexpr auto type = ArrayBuilder::Type::text;
    static constexpr const char* cast = "";
    static bool none(const std::string& value) { return value.empty(); }
    static void put(ArrayBuilder& out, const std::string& value) {
        storable(value) ? out.add_raw(value) : out.add_raw(pack_text(value));
    }
    static void get(const Rows& rows, std::size_t r, std::size_t c, std::string& value) {
        value = unpack_text(rows.text(r, c));
    }
};
template <>
struct Value<matching::Digest> {
    static constexpr auto type = ArrayBuilder::Type::bytea;
    static constexpr const char* cast = "";
    static bool none(const matching::Digest&) { return false; }
    static void put(ArrayBuilder& out, const matching::Digest& value) {
        out.add_raw(as_text(value));
    }
    static void get(const Rows& rows, std::size_t r, std::size_t c, matching::Digest& value) {
        const ByteView bytes = rows.bytes(r, c);
        if (bytes.size() != value.size()) throw Failure{"a digest is not 32 bytes", "22000"};
        std::ranges::copy(bytes, value.begin());
    }
};
template <>
struct Value<Hash> {
    static constexpr auto type = ArrayBuilder::Type::bytea;
    static constexpr const char* cast = "";
    static bool none(const Hash& hash) { return hash.text.empty(); }
    static void get(const Rows& rows, std::size_t r, std::size_t c, Hash& hash) {
        hash.text = unpack_hash(rows.text(r, c), hash.prefix);
    }
    static void put(ArrayBuilder& out, const Hash& hash) {
        out.add_raw(pack_hash(hash.text, hash.prefix));
    }
};
template <class Enum>
struct Value<Enum, std::enable_if_t<std::is_enum_v<Enum>>> {
    static constexpr auto type = ArrayBuilder::Type::text;
    static constexpr const char* cast = sql_type<Enum>.name;
    static bool none(Enum) { return false; }
    static void put(ArrayBuilder& out, Enum value) { out.add_raw(sql_name(value)); }
    static void get(const Rows& rows, std::size_t r, std::size_t c, Enum& value) {
        value = enum_from_sql<Enum>(rows.text(r, c));
    }
};
template <>
struct Value<std::vector<std::int64_t>> {
    static constexpr auto type = ArrayBuilder::Type::text;
    static constexpr const char* cast = "bigint[]";
    static bool none(const std::vector<std::int64_t>& values) { return values.empty(); }
    static void put(ArrayBuilder& out, const std::vector<std::int64_t>& values) {
        out.add_raw(array_literal(values));
    }
    static void get(const Rows& rows, std::size_t r, std::size_t c,
                    std::vector<std::int64_t>& values) {
        values = rows.integers(r, c);
    }
};
template <>
struct Value<std::vector<std::string>> {
    static constexpr auto type = ArrayBuilder::Type::text;
    static constexpr const char* cast = "text[]";
    static bool none(const std::vector<std::string>& values) { return values.empty(); }
    static void put(ArrayBuilder& out, const std::vector<std::string>& values) {
        out.add_raw(array_literal(values));
    }
    static void get(const Rows& rows, std::size_t r, std::size_t c,
                    std::vector<std::string>& values) {
        values = rows.texts(r, c);
        for (std::string& value : values) value = unpack_text(value);
    }
};

template <>
struct Value<matching::List<std::string>> {
    using Texts = matching::List<std::string>;
    static constexpr auto type = ArrayBuilder::Type::text;
    static constexpr const char* cast = "text[]";
    static bool none(const Texts& values) { return values.empty(); }
    static void put(ArrayBuilder& out, const Texts& values) {
        out.add_raw(array_literal(std::span{values}));
    }
    static void get(const Rows& rows, std::size_t r, std::size_t c, Texts& values) {
        std::vector<std::string> texts;
        Value<std::vector<std::string>>::get(rows, r, c, texts);
        values = texts;
    }
};

// ---- The three visitors -----------------------------------------------------------------------

struct Column {
    std::string name;
    ArrayBuilder::Type type = ArrayBuilder::Type::bigint;
    std::string cast;  // empty: none
    bool key = false;
};

class Describer {
public:
    static constexpr bool reads = false;
    template <class T>
    using Of = const T;
    std::vector<Column> columns;

    template <class T>
    void key(std::string_view name, const T&) {
        add<T>(name, true);
    }
    template <class T>
    void required(std::string_view name, const T&) {
        add<T>(name, false);
    }
    template <class T>
    void optional(std::string_view name, const T&) {
        add<T>(name, false);
    }
    template <class T>
    void optional_above(std::string_view name, const T&, const T&) {
        add<T>(name, false);
    }
    void raw(std::string_view name, const std::string&) {
        columns.push_back({std::string{name}, ArrayBuilder::Type::bytea, {}, false});
    }

private:
    template <class T>
    void add(std::string_view name, bool key) {
        columns.push_back({std::string{name}, Value<T>::type, Value<T>::cast, key});
    }
};

class ColumnWriter {
public:
    static constexpr bool reads = false;
    template <class T>
    using Of = const T;

    explicit ColumnWriter(std::vector<ArrayBuilder>& arrays) : arrays_{arrays} {}
    template <class T>
    void key(std::string_view name, const T& value) {
        required(name, value);
    }
    template <class T>
    void required(std::string_view, const T& value) {
        Value<T>::put(arrays_[next_++], value);
    }
    template <class T>
    void optional(std::string_view, const T& value) {
        ArrayBuilder& array = arrays_[next_++];
        Value<T>::none(value) ? array.add_null() : Value<T>::put(array, value);
    }
    // NULL when `value` is `none`, whatever that is.
    template <class T>
    void optional_above(std::string_view, const T& value, const T& none) {
        ArrayBuilder& array = arrays_[next_++];
        value == none ? array.add_null() : Value<T>::put(array, value);
    }
    // Bytes as they are, in a bytea column.
    void raw(std::string_view, const std::string& bytes) { arrays_[next_++].add_raw(bytes); }

private:
    std::vector<ArrayBuilder>& arrays_;
    std::size_t next_ = 0;
};

class ColumnReader {
public:
    static constexpr bool reads = true;
    template <class T>
    using Of = T;

    ColumnReader(const Rows& rows, std::size_t row, std::size_t first)
        : rows_{rows}, row_{row}, next_{first} {}
    template <class T>
    void key(std::string_view name, T&& value) {
        required(name, value);
    }
    template <class T>
    void required(std::string_view, T&& value) {
        Value<std::remove_cvref_t<T>>::get(rows_, row_, next_++, value);
    }
    template <class T>
    void optional(std::string_view name, T&& value) {
        rows_.null(row_, next_) ? void(++next_) : required(name, value);
    }
    template <class T>
    void optional_above(std::string_view name, T& value, const T& none) {
        if (rows_.null(row_, next_)) {
            value = none;
            ++next_;
        } else {
            required(name, value);
        }
    }
    std::size_t next() const { return next_; }

private:
    const Rows& rows_;
    std::size_t row_, next_;
};

// ---- The columns of each noun -------------------------------------------------------------------

namespace detail {

template <class V, class Price>
void price_columns(V& v, Price& price) {
    v.optional("prompt_nano_per_mtok", price.prompt);
    v.optional("cached_nano_per_mtok", price.cached);
    v.optional("completion_nano_per_mtok", price.completion);
    v.optional("reasoning_nano_per_mtok", price.reasoning);
    v.optional("request_nano", price.request);
    v.optional("gpu_second_nano", price.gpu_second);
}

template <class V, class Quantity>
void quantity_columns(V& v, Quantity& quantity, const std::string& prefix = {}) {
    v.optional(prefix + "prompt_tokens", quantity.prompt);
    v.optional(prefix + "cached_tokens", quantity.cached);
    v.optional(prefix + "completion_tokens", quantity.completion);
    v.optional(prefix + "reasoning_tokens", quantity.reasoning);
    v.optional(prefix + "requests", quantity.requests);
    v.optional(prefix + "gpu_seconds", quantity.gpu_seconds);
}

// A list of ids as bigint[].
template <class V, class List>
void id_list(V& v, std::string_view name, List& list) {
    std::vector<std::int64_t> values;
    if constexpr (!V::reads)
        for (const auto& id : list) values.push_back(static_cast<std::int64_t>(id.value));
    v.optional(name, values);
    if constexpr (V::reads) {
        std::vector<typename List::value_type> ids;
        for (const std::int64_t value : values) ids.push_back({static_cast<std::uint64_t>(value)});
        list = ids;
    }
}

template <class V, class Text>
void hash_column(V& v, std::string_view name, Text& text, std::string_view prefix = {}) {
    Hash hash{const_cast<std::string&>(text), prefix};  // written only by the reading visitor
    v.optional(name, hash);
}

constexpr std::string_view keyset_prefix = "sha256:";

}  // namespace detail

template <class V>
void columns(V& v, typename V::template Of<matching::Account>& a) {
    v.key("id", a.id);
    v.required("kind", a.kind);
    v.required("frozen", a.frozen);
    v.required("name", a.name);
    v.optional("profile", a.profile);
    v.optional("payout_address", a.payout_address);
    v.optional("deposit_memo", a.deposit_memo);
    v.required("opened_at", a.opened_at);
    v.required("open_requests", a.open_requests);
    v.required("available_nano", a.balances[0]);
    v.required("held_nano", a.balances[1]);
    v.required("earned_nano", a.balances[2]);
    v.required("paying_nano", a.balances[3]);
    v.required("fees_nano", a.balances[4]);
    v.required("chain_nano", a.balances[5]);
}

template <class V>
void columns(V& v, typename V::template Of<matching::ApiKey>& k) {
    v.key("id", k.id);
    v.required("account", k.account);
    v.optional("node", k.node);
    v.required("secret_hash", k.secret_hash);
    v.optional("name", k.name);
    v.optional("shown", k.shown);
    v.required("scopes", k.scopes);
    v.required("created_at", k.created_at);
    v.optional("expires_at", k.expires_at);
    v.required("revoked", k.revoked);
    v.optional("cap_total_nano", k.cap_total);
    v.optional("cap_day_nano", k.cap_day);
    v.required("spent_total_nano", k.spent_total);
    v.required("spent_day_nano", k.spent_day);
    v.required("day", k.day);
    v.required("held_nano", k.held);
    v.optional("purse", k.purse);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Enrolment>& e) {
    v.key("token_hash", e.token_hash);
    v.required("provider", e.provider);
    v.required("expires_at", e.expires_at);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Webhook>& w) {
    v.key("id", w.id);
    v.required("account", w.account);
    v.required("url", w.url);
    v.required("secret", w.secret);
    v.optional("events", w.events);
    v.required("disabled", w.disabled);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Node>& n) {
    v.key("id", n.id);
    v.required("provider", n.provider);
    v.required("name", n.name);
    v.optional("region", n.region);
    v.optional("country", n.country);
    v.optional("gpu_model", n.gpu_model);
    v.required("gpu_count", n.gpu_count);
    v.optional("hardware", n.hardware);
    v.required("enrolled_at", n.enrolled_at);
    v.required("connected", n.connected);
    v.required("draining", n.draining);
    v.required("suspended", n.suspended);
    v.optional("suspended_reason", n.suspended_reason);
    v.required("tier", n.tier);
    v.required("retired", n.retired);
    v.optional("measurement", n.measurement);
    v.optional("registers", n.registers);
    v.optional("identities", n.identities);
    v.optional("measurement_id", n.measurement_id);
    v.required("standing", n.standing);
    v.optional("standing_reason", n.standing_reason);
    v.optional("probation_jobs_left", n.probation_jobs_left);
    v.optional("valid_until", n.evidence_valid_until);
    v.optional("collateral_until", n.collateral_until);
    v.optional("collateral_first", n.collateral_first);
    v.required("evidence_notices", n.evidence_notices);
    detail::hash_column(v, "evidence_hash", n.evidence_hash);
    detail::hash_column(v, "keyset_digest", n.keyset_digest, detail::keyset_prefix);
    v.optional("keyset_document", n.keyset_document);
    v.required("reliability_permille", n.reliability_permille);
    v.optional("first_output_ms", n.first_output_ms);
    v.optional("tokens_per_second", n.tokens_per_second);
    v.required("jobs_completed", n.jobs_completed);
    v.required("jobs_failed", n.jobs_failed);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Measurement>& m) {
    v.key("id", m.id);
    v.required("submitter", m.submitter);
    v.required("name", m.name);
    v.required("version", m.version);
    v.required("source", m.source);
    v.optional("notes", m.notes);
    v.required("registers", m.registers);
    v.required("state", m.state);
    v.optional("reason", m.reason);
    v.required("submitted_at", m.submitted_at);
    v.optional("decided_at", m.decided_at);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Platform>& p) {
    v.key("identity", p.identity);
    v.required("node", p.node);
    v.required("first_seen_at", p.first_seen_at);
    v.required("probation_jobs_left", p.probation_jobs_left);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Denial>& d) {
    v.key("identity", d.identity);
    v.required("id", d.id);
    v.required("reason", d.reason);
    v.required("at", d.at);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Market>& m) {
    v.key("id", m.id);
    v.required("kind", m.kind);
    v.required("name", m.name);
    v.required("paused", m.paused);
    v.required("opened_at", m.opened_at);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Offer>& o) {
    v.key("id", o.id);
    v.required("provider", o.provider);
    v.required("node", o.node);
    v.required("market", o.market);
    v.optional("build", o.build);
    detail::price_columns(v, o.price);
    v.required("slots", o.slots);
    v.required("slots_used", o.slots_used);
    v.optional("context_tokens_max", o.context_tokens_max);
    v.optional("output_tokens_max", o.output_tokens_max);
    v.optional("data_policy", o.data_policy);
    std::vector<std::int64_t> from, to;
    if constexpr (!V::reads)
        for (const matching::Window& window : o.windows) {
            from.push_back(window.from_minute);
            to.push_back(window.to_minute);
        }
    v.optional("windows_from", from);
    v.optional("windows_to", to);
    if constexpr (V::reads) {
        std::vector<matching::Window> windows;
        for (std::size_t index = 0; index < std::min(from.size(), to.size()); ++index)
            windows.push_back(
                {static_cast<std::uint16_t>(from[index]), static_cast<std::uint16_t>(to[index])});
        o.windows = windows;
    }
    v.optional("notice_seconds", o.notice_seconds);
    detail::id_list(v, "allow", o.allow);
    detail::id_list(v, "deny", o.deny);
    v.required("state", o.state);
    v.required("placed_at", o.placed_at);
    v.optional("expires_at", o.expires_at);
    v.required("priority", o.priority);
    v.required("version", o.version);
}

template <class V, class Request>
void constraint_columns(V& v, Request& r) {
    const Nano none{-1};
    v.optional("cap_total_nano", r.cap_total);
    v.optional_above("cap_prompt_nano_per_mtok", r.cap_price.prompt, none);
    v.optional_above("cap_cached_nano_per_mtok", r.cap_price.cached, none);
    v.optional_above("cap_completion_nano_per_mtok", r.cap_price.completion, none);
    v.optional_above("cap_reasoning_nano_per_mtok", r.cap_price.reasoning, none);
    v.optional_above("cap_request_nano", r.cap_price.request, none);
    v.optional_above("cap_gpu_second_nano", r.cap_price.gpu_second, none);
    v.required("tiers", r.constraints.tiers);
    v.optional("regions", r.constraints.regions);
    v.optional("countries", r.constraints.countries);
    v.optional("measurements", r.constraints.measurements);
    v.optional("gpu_models", r.constraints.gpu_models);
    v.optional("reputation_permille_min", r.constraints.reputation_permille_min);
    v.optional("data_policy", r.constraints.data_policy);
    v.optional("notice_seconds_min", r.constraints.notice_seconds_min);
    detail::id_list(v, "providers_allow", r.constraints.providers_allow);
    detail::id_list(v, "providers_deny", r.constraints.providers_deny);
    v.optional("first_output_ms_preferred", r.constraints.first_output_ms_preferred);
    v.optional("tokens_per_second_preferred", r.constraints.tokens_per_second_preferred);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Request>& r) {
    v.key("account", r.account);
    v.key("id", r.id);
    v.optional("key", r.key);
    std::vector<std::int64_t> markets;
    std::vector<std::string> builds;
    if constexpr (!V::reads) {
        bool pinned = false;
        for (const matching::Alternative& alternative : r.alternatives) {
            markets.push_back(static_cast<std::int64_t>(alternative.market.value));
            builds.push_back(alternative.build);
            pinned = pinned || !alternative.build.empty();
        }
        if (!pinned) builds.clear();
    }
    v.required("markets", markets);
    v.optional("builds", builds);
    if constexpr (V::reads) {
        std::vector<matching::Alternative> alternatives;
        builds.resize(markets.size());
        for (std::size_t index = 0; index < markets.size(); ++index)
            alternatives.push_back({{static_cast<std::uint64_t>(markets[index])}, builds[index]});
        r.alternatives = alternatives;
    }
    detail::quantity_columns(v, r.quantity);
    constraint_columns(v, r);
    v.required("slots", r.slots);
    v.optional("session", r.session);
    v.required("time_in_force", r.time_in_force);
    v.optional("rest_until", r.rest_until);
    v.optional("job_duration_us", r.job_duration);
    v.required("attempts_max", r.attempts_max);
    v.required("state", r.state);
    v.optional("reason", r.reason);
    v.required("placed_at", r.placed_at);
    v.optional("ended_at", r.ended_at);
    v.optional("job", r.job);
    v.optional("attempts", r.attempts);
    detail::id_list(v, "nodes_lost", r.nodes_lost);
    v.optional("priority", r.priority);
    v.required("version", r.version);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Job>& j) {
    v.key("account", j.account);
    v.key("id", j.id);
    v.required("request", j.request);
    v.optional("key", j.key);
    v.required("provider", j.provider);
    v.required("node", j.node);
    v.required("offer", j.offer);
    v.required("market", j.market);
    v.optional("build", j.build);
    v.optional("session", j.session);
    detail::price_columns(v, j.price);
    detail::quantity_columns(v, j.quantity);
    v.required("slots", j.slots);
    v.required("attempt", j.attempt);
    v.required("fee_basis_points", j.fee_basis_points);
    v.required("fencing_token", j.fencing_token);
    detail::hash_column(v, "keyset_digest", j.keyset_digest, detail::keyset_prefix);
    detail::hash_column(v, "evidence_hash", j.evidence_hash);
    v.required("state", j.state);
    v.optional("reason", j.reason);
    v.required("reserved_at", j.reserved_at);
    v.required("expires_at", j.expires_at);
    v.optional("started_at", j.started_at);
    v.optional("ended_at", j.ended_at);
    v.optional("hold_nano", j.hold);
    v.optional("captured_nano", j.captured);
    v.optional("fee_nano", j.fee);
    detail::quantity_columns(v, j.usage, "used_");
    v.optional("counter", j.counter);
    detail::hash_column(v, "receipt_hash", j.receipt_hash);
    v.optional("first_output_ms", j.first_output_ms);
    v.optional("output_ms", j.output_ms);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Deposit>& d) {
    v.key("id", d.id);
    v.required("account", d.account);
    v.required("amount_nano", d.amount);
    v.required("reference", d.reference);
    v.required("at", d.at);
}

template <class V>
void columns(V& v, typename V::template Of<matching::Payout>& p) {
    v.key("id", p.id);
    v.required("account", p.account);
    v.required("source", p.source);
    v.required("amount_nano", p.amount);
    v.required("address", p.address);
    v.required("state", p.state);
    v.optional("reference", p.reference);
    v.required("requested_at", p.requested_at);
    v.optional("settled_at", p.settled_at);
    detail::id_list(v, "approvers", p.approvers);
    v.optional("reason", p.reason);
}

// ---- What follows from the lists ----------------------------------------------------------------

template <class Noun>
std::vector<Column> columns_of() {
    Describer describer;
    const Noun none{};
    columns(describer, none);
    return describer.columns;
}

std::string column_list(const std::vector<Column>& columns, std::string_view table = {});
// insert … select from unnest … on conflict (keys) do update, or do nothing when every column is a
// key.
std::string upsert_sql(std::string_view table, const std::vector<Column>& columns);
std::string insert_sql(std::string_view table, const std::vector<Column>& columns);
std::vector<ArrayBuilder> arrays_for(const std::vector<Column>& columns);
Parameters parameters_of(std::vector<ArrayBuilder>& arrays);

// The noun in `row`, its columns beginning at `first`.
template <class Noun>
Noun read_row(const Rows& rows, std::size_t row, std::size_t first = 0) {
    Noun noun;
    ColumnReader reader{rows, row, first};
    columns(reader, noun);
    return noun;
}

template <class Noun>
std::vector<Noun> read_all(const Rows& rows) {
    std::vector<Noun> nouns;
    nouns.reserve(rows.size());
    for (std::size_t row = 0; row < rows.size(); ++row) nouns.push_back(read_row<Noun>(rows, row));
    return nouns;
}

}  // namespace cocoon::db
