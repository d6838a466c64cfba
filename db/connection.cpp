#include "db/connection.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <mutex>
#include <unordered_set>

#include "core/ensure.hpp"

namespace cocoon::db {
namespace {

constexpr unsigned bool_oid = 16, bytea_oid = 17, bigint_oid = 20, text_oid = 25;
constexpr unsigned bigint_array_oid = 1016, text_array_oid = 1009;

template <class Unsigned>
void append_big_endian(std::string& out, Unsigned value) {
    for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(value >> shift));
}

template <class Unsigned>
Unsigned read_big_endian(const char* bytes) {
    Unsigned value = 0;
    for (std::size_t index = 0; index < sizeof value; ++index)
        value = static_cast<Unsigned>(value << 8 | static_cast<unsigned char>(bytes[index]));
    return value;
}

struct Registry {
    std::mutex mutex;
    std::vector<const Statement*> statements;
};
Registry& registry() {
    static Registry instance;
    return instance;
}

std::string trimmed(const char* message) {
    std::string text{message ? message : ""};
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

// Parameters travel in server messages only as DETAIL or CONTEXT: the primary message is safe to log.
std::string primary_message(const PGresult* result, const PGconn* connection) {
    const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return primary ? trimmed(primary) : trimmed(PQerrorMessage(connection));
}

[[noreturn]] void throw_wrong_type(const char* wanted) {
    throw Failure{std::string{"a column is not a "} + wanted, "42804"};
}

}  // namespace

// ---- Statement ------------------------------------------------------------------------------------

Statement::Statement(std::string_view statement_name, std::string text)
    : name{statement_name}, sql{std::move(text)} {
    const std::lock_guard lock{registry().mutex};
    registry().statements.push_back(this);
}

Statement::~Statement() {
    const std::lock_guard lock{registry().mutex};
    std::erase(registry().statements, this);
}

std::vector<const Statement*> all_statements() {
    const std::lock_guard lock{registry().mutex};
    return registry().statements;
}

std::vector<StatementTiming> statement_timings() {
    std::vector<StatementTiming> timings;
    for (const Statement* statement : all_statements())
        timings.push_back({statement->name, statement->calls.load(), statement->failures.load(),
                           statement->microseconds_total.load(), statement->microseconds_max.load()});
    std::ranges::sort(timings, {}, &StatementTiming::name);
    return timings;
}

// ---- Parameters -----------------------------------------------------------------------------------

Parameters& Parameters::add_encoded(std::string value) {
    values_.push_back(std::move(value));
    nulls_.push_back(false);
    return *this;
}

Parameters& Parameters::add(std::int64_t value) {
    std::string encoded;
    append_big_endian(encoded, static_cast<std::uint64_t>(value));
    return add_encoded(std::move(encoded));
}

Parameters& Parameters::add(bool value) { return add_encoded(std::string(1, value ? '\1' : '\0')); }
Parameters& Parameters::add_text(std::string_view value) { return add_encoded(std::string{value}); }
Parameters& Parameters::add_bytes(ByteView value) { return add_encoded(std::string{as_text(value)}); }

Parameters& Parameters::add_null() {
    values_.emplace_back();
    nulls_.push_back(true);
    return *this;
}

ArrayBuilder::ArrayBuilder(Type type) : type_{type} {}

void ArrayBuilder::add(std::int64_t value) {
    append_big_endian(content_, std::uint32_t{8});
    append_big_endian(content_, static_cast<std::uint64_t>(value));
    ++count_;
}

void ArrayBuilder::add(bool value) {
    append_big_endian(content_, std::uint32_t{1});
    content_.push_back(value ? '\1' : '\0');
    ++count_;
}

void ArrayBuilder::add_raw(std::string_view value) {
    append_big_endian(content_, static_cast<std::uint32_t>(value.size()));
    content_.append(value);
    ++count_;
}

void ArrayBuilder::add_null() {
    append_big_endian(content_, ~std::uint32_t{0});
    has_null_ = true;
    ++count_;
}

std::string ArrayBuilder::finish() {
    static constexpr unsigned oids[] = {bigint_oid, bool_oid, text_oid, bytea_oid};
    std::string array;
    array.reserve(content_.size() + 20);
    append_big_endian(array, std::uint32_t{count_ ? 1u : 0u});  // dimensions
    append_big_endian(array, std::uint32_t{has_null_ ? 1u : 0u});
    append_big_endian(array, std::uint32_t{oids[static_cast<int>(type_)]});
    if (count_) {
        append_big_endian(array, count_);
        append_big_endian(array, std::uint32_t{1});  // lower bound
    }
    array.append(content_);
    content_.clear();
    count_ = 0;
    has_null_ = false;
    return array;
}

// ---- Rows -----------------------------------------------------------------------------------------

struct Rows::Held {
    PGresult* result = nullptr;
    ~Held() { PQclear(result); }
};

Rows::Rows() = default;
Rows::Rows(Rows&&) noexcept = default;
Rows& Rows::operator=(Rows&&) noexcept = default;
Rows::~Rows() = default;

std::size_t Rows::size() const {
    return held_ ? static_cast<std::size_t>(PQntuples(held_->result)) : 0;
}

std::uint64_t Rows::affected() const {
    return held_ ? std::strtoull(PQcmdTuples(held_->result), nullptr, 10) : 0;
}

bool Rows::null(std::size_t row, std::size_t column) const {
    return PQgetisnull(held_->result, static_cast<int>(row), static_cast<int>(column)) != 0;
}

ByteView Rows::bytes(std::size_t row, std::size_t column) const {
    const int r = static_cast<int>(row), c = static_cast<int>(column);
    if (r >= PQntuples(held_->result) || c >= PQnfields(held_->result)) throw_wrong_type("result");
    return {reinterpret_cast<const std::uint8_t*>(PQgetvalue(held_->result, r, c)),
            static_cast<std::size_t>(PQgetlength(held_->result, r, c))};
}

std::string_view Rows::text(std::size_t row, std::size_t column) const {
    return as_text(bytes(row, column));
}

std::int64_t Rows::integer(std::size_t row, std::size_t column) const {
    const std::string_view raw = text(row, column);
    switch (raw.size()) {
        case 8: return static_cast<std::int64_t>(read_big_endian<std::uint64_t>(raw.data()));
        case 4: return static_cast<std::int32_t>(read_big_endian<std::uint32_t>(raw.data()));
        case 2: return static_cast<std::int16_t>(read_big_endian<std::uint16_t>(raw.data()));
        default: throw_wrong_type("integer");
    }
}

bool Rows::boolean(std::size_t row, std::size_t column) const {
    const std::string_view raw = text(row, column);
    if (raw.size() != 1) throw_wrong_type("boolean");
    return raw[0] != '\0';
}

namespace {

// Calls `each` with every element's bytes. NULL elements do not occur in our arrays.
template <class Each>
void for_each_element(std::string_view raw, unsigned oid, Each&& each) {
    if (raw.size() < 12) throw_wrong_type("array");
    const auto dimensions = read_big_endian<std::uint32_t>(raw.data());
    if (read_big_endian<std::uint32_t>(raw.data() + 8) != oid || dimensions > 1) throw_wrong_type("array");
    if (dimensions == 0) return;
    if (raw.size() < 20) throw_wrong_type("array");
    const auto count = read_big_endian<std::uint32_t>(raw.data() + 12);
    raw.remove_prefix(20);
    for (std::uint32_t index = 0; index < count; ++index) {
        if (raw.size() < 4) throw_wrong_type("array");
        const auto length = read_big_endian<std::uint32_t>(raw.data());
        raw.remove_prefix(4);
        if (length > raw.size()) throw_wrong_type("array");
        each(raw.substr(0, length));
        raw.remove_prefix(length);
    }
}

}  // namespace

std::vector<std::int64_t> Rows::integers(std::size_t row, std::size_t column) const {
    std::vector<std::int64_t> values;
    for_each_element(text(row, column), bigint_oid, [&](std::string_view raw) {
        if (raw.size() != 8) throw_wrong_type("bigint");
        values.push_back(static_cast<std::int64_t>(read_big_endian<std::uint64_t>(raw.data())));
    });
    return values;
}

std::vector<std::string> Rows::texts(std::size_t row, std::size_t column) const {
    std::vector<std::string> values;
    for_each_element(text(row, column), text_oid, [&](std::string_view raw) { values.emplace_back(raw); });
    return values;
}

// ---- Connection -----------------------------------------------------------------------------------

struct Connection::Held {
    PGconn* connection = nullptr;
    std::unordered_set<const Statement*> prepared;
    ~Held() { PQfinish(connection); }

    // Throws unless `result` is a success; takes it.
    Rows checked(PGresult* result, std::string_view label) {
        Rows rows;
        rows.held_ = std::make_unique<Rows::Held>();
        rows.held_->result = result;
        const ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) return rows;
        const std::string message = std::string{label} + ": " + primary_message(result, connection);
        if (PQstatus(connection) != CONNECTION_OK) throw ConnectionLost{message};
        const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        throw Failure{message, state ? state : ""};
    }
};

Connection::Connection(const ConnectOptions& options) : held_{std::make_unique<Held>()} {
    const std::string patience = std::to_string(options.connect_seconds);
    const char* names[] = {"dbname", "application_name", "connect_timeout", "client_encoding",
                           "keepalives_idle", "keepalives_interval", "keepalives_count",
                           "tcp_user_timeout", options.database.empty() ? nullptr : "dbname", nullptr};
    const char* values[] = {options.url.c_str(), options.application_name.c_str(), patience.c_str(), "UTF8",
                            "10", "5", "3", "30000", options.database.c_str(), nullptr};
    held_->connection = PQconnectdbParams(names, values, 1);
    if (PQstatus(held_->connection) != CONNECTION_OK)
        throw ConnectionLost{"connect: " + trimmed(PQerrorMessage(held_->connection))};
    PQsetNoticeProcessor(held_->connection, [](void*, const char*) {}, nullptr);

    const auto quoted = [&](const std::string& identifier) {
        char* raw = PQescapeIdentifier(held_->connection, identifier.data(), identifier.size());
        if (!raw) throw Failure{"a role or schema name is not valid", "22021"};
        std::string text{raw};
        PQfreemem(raw);
        return text;
    };
    std::string settings = "SET statement_timeout = " + std::to_string(options.statement_milliseconds) +
                           "; SET lock_timeout = " + std::to_string(options.lock_milliseconds) +
                           "; SET jit = off; SET synchronous_commit = on; SET timezone = 'UTC'";
    if (!options.schema.empty()) settings += "; SET search_path = " + quoted(options.schema) + ", public";
    if (!options.role.empty()) settings += "; SET ROLE " + quoted(options.role);
    execute(settings);
}

Connection::~Connection() = default;

void Connection::prepare(const Statement& statement) {
    if (held_->prepared.contains(&statement)) return;
    held_->checked(PQprepare(held_->connection, statement.name.c_str(), statement.sql.c_str(), 0, nullptr),
                   statement.name);
    held_->prepared.insert(&statement);
}

Rows Connection::run(const Statement& statement, const Parameters& parameters) {
    const auto began = std::chrono::steady_clock::now();
    const std::size_t count = parameters.values().size();
    std::vector<const char*> values(count);
    std::vector<int> lengths(count), formats(count, 1);
    for (std::size_t index = 0; index < count; ++index) {
        if (!parameters.nulls()[index]) values[index] = parameters.values()[index].data();
        lengths[index] = static_cast<int>(parameters.values()[index].size());
    }
    const auto note = [&](bool failed) {
        const auto spent = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                                          std::chrono::steady_clock::now() - began).count());
        statement.calls += 1;
        statement.failures += failed ? 1 : 0;
        statement.microseconds_total += spent;
        std::uint64_t most = statement.microseconds_max.load();
        while (spent > most && !statement.microseconds_max.compare_exchange_weak(most, spent)) {}
    };
    try {
        prepare(statement);
        Rows rows = held_->checked(
            PQexecPrepared(held_->connection, statement.name.c_str(), static_cast<int>(count), values.data(),
                           lengths.data(), formats.data(), 1), statement.name);
        note(false);
        return rows;
    } catch (...) {
        note(true);
        throw;
    }
}

void Connection::execute(const std::string& sql) {
    held_->checked(PQexec(held_->connection, sql.c_str()), "execute");
}

Rows Connection::query(const std::string& sql) {
    return held_->checked(PQexecParams(held_->connection, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1),
                          "query");
}

bool Connection::usable() const {
    return PQstatus(held_->connection) == CONNECTION_OK &&
           PQtransactionStatus(held_->connection) == PQTRANS_IDLE;
}

int Connection::backend_pid() const { return PQbackendPID(held_->connection); }

// ---- Transaction ----------------------------------------------------------------------------------

Transaction::Transaction(Connection& connection, Kind kind) : connection_{connection} {
    connection_.execute(kind == Kind::read_write ? "BEGIN"
                                                 : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
}

Transaction::~Transaction() {
    if (!open_) return;
    try {
        connection_.execute("ROLLBACK");
    } catch (const Failure&) {
        // The connection is broken, which rolls back as well; its owner notices by usable().
    }
}

void Transaction::commit() {
    open_ = false;
    connection_.execute("COMMIT");
}

std::string reader_role(const ConnectOptions& options) {
    Connection connection{options};
    const Rows rows =
        connection.query("select pg_has_role(oid, 'member') from pg_roles where rolname = 'cocoon_reader'");
    return !rows.empty() && rows.boolean(0, 0) ? "cocoon_reader" : "";
}

// ---- Pool -----------------------------------------------------------------------------------------

Pool::Pool(ConnectOptions options, std::size_t connections_max)
    : options_{std::move(options)}, connections_max_{connections_max} {
    ENSURE(connections_max_ > 0);
}

Pool::~Pool() = default;

Pool::Lease::Lease(Pool& pool, std::unique_ptr<Connection> connection)
    : pool_{&pool}, connection_{std::move(connection)} {}

Pool::Lease::~Lease() {
    if (connection_) pool_->give_back(std::move(connection_));
}

Pool::Lease Pool::take(Duration patience) {
    std::unique_lock lock{mutex_};
    const bool free = freed_.wait_for(lock, std::chrono::microseconds{patience.us},
                                      [&] { return in_use_ < connections_max_; });
    if (!free) throw PoolExhausted{};
    ++in_use_;
    if (!idle_.empty()) {
        std::unique_ptr<Connection> connection = std::move(idle_.back());
        idle_.pop_back();
        return Lease{*this, std::move(connection)};
    }
    lock.unlock();
    try {
        return Lease{*this, std::make_unique<Connection>(options_)};
    } catch (...) {
        const std::lock_guard relock{mutex_};
        --in_use_;
        freed_.notify_one();
        throw;
    }
}

void Pool::give_back(std::unique_ptr<Connection> connection) {
    const bool usable = connection->usable();
    const std::lock_guard lock{mutex_};
    --in_use_;
    if (usable) {
        idle_.push_back(std::move(connection));
    } else {
        // One broken connection means the others have probably met the same server restart.
        idle_.clear();
    }
    freed_.notify_one();
}

std::size_t Pool::in_use() const {
    const std::lock_guard lock{mutex_};
    return in_use_;
}

}  // namespace cocoon::db
