#include "db/connection.hpp"

#include <pqxx/pqxx>
#if PQXX_VERSION_MAJOR < 7
#include <pqxx/tablewriter>
#endif

#include <algorithm>
#include <charconv>
#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
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

struct Registry {
    std::mutex mutex;
    std::vector<const Statement*> statements;
};
Registry& registry() {
    static Registry instance;
    return instance;
}

std::string trimmed(std::string_view message) {
    while (!message.empty() && (message.back() == '\n' || message.back() == ' '))
        message.remove_suffix(1);
    return std::string{message};
}

// Parameters travel in server messages only as DETAIL or CONTEXT, which terse messages lack: what
// is left after "ERROR:  " (in whatever language) and before " at character 15" is safe to log.
std::string primary_message(std::string_view message) {
    message = message.substr(0, message.find('\n'));
    if (const std::size_t colon = message.find(":  "); colon != message.npos)
        message.remove_prefix(colon + 3);
    constexpr std::string_view position = " at character ";
    const std::size_t at = message.rfind(position);
    if (at != message.npos &&
        message.find_first_not_of("0123456789", at + position.size()) == message.npos)
        message = message.substr(0, at);
    return trimmed(message);
}

[[noreturn]] void throw_wrong_type(const char* wanted) {
    throw Failure{std::string{"a column is not a "} + wanted, "42804"};
}

}  // namespace

// ---- Statement
// ------------------------------------------------------------------------------------

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
                           statement->microseconds_total.load(),
                           statement->microseconds_max.load()});
    std::ranges::sort(timings, {}, &StatementTiming::name);
    return timings;
}

// ---- Parameters
// -----------------------------------------------------------------------------------

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
Parameters& Parameters::add_bytes(ByteView value) {
    return add_encoded(std::string{as_text(value)});
}

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

// The values of one ArrayBuilder, front to back, as COPY's text form spells them.
class Cells {
public:
    explicit Cells(const ArrayBuilder& array) : type_{array.type_}, rest_{array.content_} {}

    // Appends the next value to `out`; false, and nothing appended, for a NULL.
    bool next(std::string& out) {
        const auto size = static_cast<std::int32_t>(integer(4));
        if (size < 0) return false;
        switch (type_) {
            using enum ArrayBuilder::Type;
            case bigint: append_decimal(out, static_cast<std::int64_t>(integer(8))); break;
            case boolean: out.push_back(integer(1) ? 't' : 'f'); break;
            case bytea:
                out += "\\x" + to_hex(as_bytes(take(static_cast<std::size_t>(size))));
                break;
            case text: out += take(static_cast<std::size_t>(size)); break;
        }
        return true;
    }

private:
    std::string_view take(std::size_t size) {
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }
    std::uint64_t integer(std::size_t size) {
        std::uint64_t value = 0;
        for (const char byte : take(size)) value = value << 8 | static_cast<unsigned char>(byte);
        return value;
    }
    static void append_decimal(std::string& out, std::int64_t value) {
        char digits[24];
        out.append(digits, std::to_chars(digits, std::end(digits), value).ptr);
    }

    ArrayBuilder::Type type_;
    std::string_view rest_;
};

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

// ---- Rows
// -----------------------------------------------------------------------------------------

// Values arrive in PostgreSQL's text form; views of them live as long as the result does.
struct Rows::Held {
    pqxx::result result;
    std::deque<std::string> decoded;  // what bytea columns held, for the views handed out

    pqxx::field field(std::size_t row, std::size_t column) const {
        if (row >= static_cast<std::size_t>(result.size()) ||
            column >= static_cast<std::size_t>(result.columns()))
            throw_wrong_type("result");
        return result[static_cast<pqxx::result::size_type>(row)]
                     [static_cast<pqxx::row::size_type>(column)];
    }
    std::string_view value(std::size_t row, std::size_t column) const {
        const pqxx::field found = field(row, column);
        return {found.c_str(), static_cast<std::size_t>(found.size())};
    }
    bool null(std::size_t row, std::size_t column) const { return field(row, column).is_null(); }
    unsigned type(std::size_t column) const {
        return result.column_type(static_cast<pqxx::row::size_type>(column));
    }
};

namespace {

int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    throw_wrong_type("bytea in hex");
}

std::string decode_bytea(std::string_view raw) {
    if (!raw.starts_with("\\x") || raw.size() % 2 != 0) throw_wrong_type("bytea in hex");
    raw.remove_prefix(2);
    std::string bytes(raw.size() / 2, '\0');
    for (std::size_t index = 0; index < bytes.size(); ++index)
        bytes[index] =
            static_cast<char>(hex_digit(raw[2 * index]) << 4 | hex_digit(raw[2 * index + 1]));
    return bytes;
}

std::int64_t parse_integer(std::string_view raw) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
    if (error != std::errc{} || end != raw.data() + raw.size()) throw_wrong_type("integer");
    return value;
}

// Takes one element off `raw`, which stands after '{' or ','. NULL elements do not occur in our
// arrays.
std::string take_element(std::string_view& raw) {
    std::string element;
    if (!raw.starts_with('"')) {
        const std::size_t end = raw.find_first_of(",}{\"\\");
        if (end == raw.npos || end == 0) throw_wrong_type("array");
        element = raw.substr(0, end);
        if (element == "NULL" || (raw[end] != ',' && raw[end] != '}')) throw_wrong_type("array");
        raw.remove_prefix(end);
        return element;
    }
    for (raw.remove_prefix(1);; raw.remove_prefix(1)) {
        if (!raw.empty() && raw[0] == '"') break;
        if (!raw.empty() && raw[0] == '\\') raw.remove_prefix(1);
        if (raw.empty()) throw_wrong_type("array");
        element.push_back(raw[0]);
    }
    raw.remove_prefix(1);
    return element;
}

// Calls `each` with every element of a one-dimensional array in text form: {1,2} or {a,"b \"c\""}.
template <class Each>
void for_each_element(std::string_view raw, Each&& each) {
    if (raw == "{}") return;
    if (!raw.starts_with('{')) throw_wrong_type("array");
    do {
        raw.remove_prefix(1);
        each(take_element(raw));
    } while (raw.starts_with(','));
    if (raw != "}") throw_wrong_type("array");
}

}  // namespace

Rows::Rows() = default;
Rows::Rows(Rows&&) noexcept = default;
Rows& Rows::operator=(Rows&&) noexcept = default;
Rows::~Rows() = default;

std::size_t Rows::size() const {
    return held_ ? static_cast<std::size_t>(held_->result.size()) : 0;
}

std::uint64_t Rows::affected() const {
    return held_ ? static_cast<std::uint64_t>(held_->result.affected_rows()) : 0;
}

bool Rows::null(std::size_t row, std::size_t column) const { return held_->null(row, column); }

std::string_view Rows::text(std::size_t row, std::size_t column) const {
    const std::string_view raw = held_->value(row, column);
    if (held_->type(column) != bytea_oid || held_->null(row, column)) return raw;
    return held_->decoded.emplace_back(decode_bytea(raw));
}

ByteView Rows::bytes(std::size_t row, std::size_t column) const {
    return as_bytes(text(row, column));
}

std::int64_t Rows::integer(std::size_t row, std::size_t column) const {
    return parse_integer(held_->value(row, column));
}

bool Rows::boolean(std::size_t row, std::size_t column) const {
    const std::string_view raw = held_->value(row, column);
    if (held_->type(column) != bool_oid || (raw != "t" && raw != "f")) throw_wrong_type("boolean");
    return raw == "t";
}

std::vector<std::int64_t> Rows::integers(std::size_t row, std::size_t column) const {
    std::vector<std::int64_t> values;
    const std::string_view raw = held_->value(row, column);
    if (held_->type(column) != bigint_array_oid) throw_wrong_type("bigint[]");
    for_each_element(raw,
                     [&](const std::string& element) { values.push_back(parse_integer(element)); });
    return values;
}

std::vector<std::string> Rows::texts(std::size_t row, std::size_t column) const {
    std::vector<std::string> values;
    const std::string_view raw = held_->value(row, column);
    if (held_->type(column) != text_array_oid) throw_wrong_type("text[]");
    for_each_element(raw, [&](std::string&& element) { values.push_back(std::move(element)); });
    return values;
}

// ---- The connection string
// ------------------------------------------------------------------------

namespace {

std::string percent_encoded(std::string_view text) {
    constexpr char digits[] = "0123456789ABCDEF";
    std::string encoded;
    for (const char byte : text) {
        const auto value = static_cast<unsigned char>(byte);
        encoded += {'%', digits[value >> 4], digits[value & 15]};
    }
    return encoded;
}

std::string quoted_value(std::string_view text) {
    std::string quoted{'\''};
    for (const char byte : text) {
        if (byte == '\'' || byte == '\\') quoted += '\\';
        quoted += byte;
    }
    return quoted + '\'';
}

bool is_url(std::string_view text) {
    return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

// Whether the query part of `url` has begun. A '?' inside a password is none: the password ends at
// '@'.
bool has_query(std::string_view url) {
    url.remove_prefix(url.find("://") + 3);
    if (const std::size_t end = url.find_first_of("@/"); end != url.npos && url[end] == '@')
        url.remove_prefix(end);
    return url.find('?') != url.npos;
}

// What `options` ask for, over what their url says: of two equal keywords libpq obeys the later
// one.
std::string connection_string(const ConnectOptions& options) {
    std::vector<std::pair<std::string_view, std::string>> settings{
        {"application_name", options.application_name},
        {"connect_timeout", std::to_string(options.connect_seconds)},
        {"client_encoding", "UTF8"},
        {"keepalives_idle", "10"},
        {"keepalives_interval", "5"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "30000"}};
    if (!options.database.empty()) settings.emplace_back("dbname", options.database);
    std::string text = options.url;
    if (!is_url(text)) {
        for (const auto& [name, value] : settings)
            text += ' ' + std::string{name} + '=' + quoted_value(value);
        return text;
    }
    bool first = !has_query(text) || text.ends_with('?');
    if (!has_query(text)) text += '?';
    for (const auto& [name, value] : settings) {
        if (!first) text += '&';
        text += std::string{name} + '=' + percent_encoded(value);
        first = false;
    }
    return text;
}

}  // namespace

// ---- What differs between libpqxx 6 (Debian 12) and 7 (Debian 13)
// ----------------------------------

namespace {

#if PQXX_VERSION_MAJOR < 7

// Rows in COPY's text form, separated by line ends.
std::string copy_text(std::span<const ArrayBuilder> arrays) {
    std::vector<Cells> cells{arrays.begin(), arrays.end()};
    std::string lines, value;
    for (std::size_t row = 0; row < arrays.front().size(); ++row) {
        if (row) lines.push_back('\n');
        for (std::size_t column = 0; column < cells.size(); ++column) {
            if (column) lines.push_back('\t');
            value.clear();
            if (!cells[column].next(value)) {
                lines += "\\N";
                continue;
            }
            for (const char byte : value) {
                if (byte == '\\' || byte == '\t' || byte == '\n' || byte == '\r')
                    lines.push_back('\\');
                lines.push_back(byte == '\t'   ? 't'
                                : byte == '\n' ? 'n'
                                : byte == '\r' ? 'r'
                                               : byte);
            }
        }
    }
    return lines;
}

// What every exception of the library's own is.
using PqxxFailure = pqxx::pqxx_exception;
const char* what_of(const PqxxFailure& failure) { return failure.base().what(); }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// A lost connection must stay lost: a silent new one would not be inside our transaction.
struct Session {
    pqxx::connection connection;
    pqxx::quiet_errorhandler quiet{connection};

    explicit Session(const std::string& text) : connection{text} {
        connection.inhibit_reactivation(true);
        connection.set_verbosity(pqxx::connection_base::terse);
    }
    void prepare(const Statement& statement) {
        connection.prepare(statement.name, statement.sql);
        connection.prepare_now(statement.name);
    }
    // exec_prepared() cannot mix NULLs and binary values when their number is only known at run
    // time.
    pqxx::result run(const std::string& name, const Parameters& parameters) {
        pqxx::nontransaction work{connection};
        pqxx::prepare::invocation invocation = work.prepared(name);
        for (std::size_t index = 0; index < parameters.values().size(); ++index) {
            const std::string& value = parameters.values()[index];
            invocation(pqxx::binarystring{value.data(), value.size()}, !parameters.nulls()[index]);
        }
        return invocation.exec();
    }
    // All rows as one "line": libpqxx adds the last line's end. stream_to would escape value by
    // value.
    void copy(const std::string& table, const std::string& columns,
              std::span<const ArrayBuilder> arrays) {
        pqxx::nontransaction work{connection};
        pqxx::tablewriter writer{work, table, &columns, &columns + 1};
        if (const std::string lines = copy_text(arrays); !lines.empty())
            writer.write_raw_line(lines);
        writer.complete();
    }
    int pid() const { return connection.backendpid(); }
};

#pragma GCC diagnostic pop

#else

// The rest that version 7 throws says that this program is broken.
using PqxxFailure = pqxx::failure;
const char* what_of(const PqxxFailure& failure) { return failure.what(); }

struct Session {
    pqxx::connection connection;

    explicit Session(const std::string& text) : connection{text} {
        connection.set_notice_handler([](pqxx::zview) noexcept {});
        connection.set_verbosity(pqxx::error_verbosity::terse);
    }
    void prepare(const Statement& statement) { connection.prepare(statement.name, statement.sql); }
    pqxx::result run(const std::string& name, const Parameters& parameters) {
        pqxx::params values;
        values.reserve(parameters.values().size());
        for (std::size_t index = 0; index < parameters.values().size(); ++index) {
            if (parameters.nulls()[index])
                values.append();
            else
                values.append(pqxx::binary_cast(parameters.values()[index]));
        }
        pqxx::nontransaction work{connection};
        return work.exec(pqxx::prepped{name}, values);
    }
    void copy(const std::string& table, const std::string& columns,
              std::span<const ArrayBuilder> arrays) {
        pqxx::nontransaction work{connection};
        pqxx::stream_to writer = pqxx::stream_to::raw_table(work, table, columns);
        std::vector<Cells> cells{arrays.begin(), arrays.end()};
        std::vector<std::optional<std::string>> row(arrays.size());
        for (std::size_t count = 0; count < arrays.front().size(); ++count) {
            for (std::size_t column = 0; column < cells.size(); ++column)
                if (std::string value; cells[column].next(value))
                    row[column] = std::move(value);
                else
                    row[column].reset();
            writer.write_row(row);
        }
        writer.complete();
    }
    int pid() const { return connection.backendpid(); }
};

#endif

}  // namespace

// ---- Connection
// -----------------------------------------------------------------------------------

struct Connection::Held {
    Session session;
    std::unordered_set<const Statement*> prepared;
    bool in_transaction = false;  // libpqxx does not tell what the server thinks

    explicit Held(const std::string& text) : session{text} {}

    [[noreturn]] void fail(std::string_view label, const char* what,
                           const std::string& sqlstate) const {
        const std::string message = std::string{label} + ": " + primary_message(what);
        if (!session.connection.is_open()) throw ConnectionLost{message};
        throw Failure{message, sqlstate};
    }

    // Calls `work`; whatever libpqxx throws becomes a Failure or a ConnectionLost.
    template <class Work>
    auto attempt(std::string_view label, Work&& work) {
        const auto lost = [&](const std::exception& error) {
            return ConnectionLost{std::string{label} + ": " + primary_message(error.what())};
        };
        try {
            return work();
        } catch (const pqxx::broken_connection& error) {
            throw lost(error);
        } catch (const pqxx::in_doubt_error& error) {
            throw lost(error);
        } catch (const pqxx::statement_completion_unknown& error) {
            throw lost(error);
        } catch (const pqxx::serialization_failure& error) {
            fail(label, error.what(), "40001");  // version 6 keeps no sqlstate in these three
        } catch (const pqxx::deadlock_detected& error) {
            fail(label, error.what(), "40P01");
        } catch (const pqxx::transaction_rollback& error) {
            fail(label, error.what(), "40000");
        } catch (const pqxx::sql_error& error) {
            fail(label, error.what(), error.sqlstate());
        } catch (const PqxxFailure& error) {
            fail(label, what_of(error), "");
        }
    }

    static Rows rows_of(pqxx::result result) {
        Rows rows;
        rows.held_ = std::make_unique<Rows::Held>();
        rows.held_->result = std::move(result);
        return rows;
    }

    pqxx::result execute(const std::string& sql) {
        pqxx::nontransaction work{session.connection};
        return work.exec(sql);
    }
};

namespace {

bool begins_with_word(std::string_view sql, std::string_view word) {
    return sql.size() >= word.size() &&
           std::ranges::equal(sql.substr(0, word.size()), word, {}, [](char letter) {
               return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 'a' + 'A')
                                                     : letter;
           });
}

}  // namespace

Connection::Connection(const ConnectOptions& options) {
    try {
        held_ = std::make_unique<Held>(connection_string(options));
    } catch (const PqxxFailure& error) {
        throw ConnectionLost{"connect: " + trimmed(what_of(error))};
    }
    const auto quoted = [&](const std::string& identifier) {
        return held_->attempt("quote",
                              [&] { return held_->session.connection.quote_name(identifier); });
    };
    std::string settings =
        "SET statement_timeout = " + std::to_string(options.statement_milliseconds) +
        "; SET lock_timeout = " + std::to_string(options.lock_milliseconds) +
        "; SET jit = off; SET synchronous_commit = on; SET timezone = 'UTC'"
        "; SET bytea_output = 'hex'";
    if (!options.schema.empty())
        settings += "; SET search_path = " + quoted(options.schema) + ", public";
    if (!options.role.empty()) settings += "; SET ROLE " + quoted(options.role);
    execute(settings);
}

Connection::~Connection() = default;

void Connection::prepare(const Statement& statement) {
    if (held_->prepared.contains(&statement)) return;
    held_->attempt(statement.name, [&] { held_->session.prepare(statement); });
    held_->prepared.insert(&statement);
}

Rows Connection::run(const Statement& statement, const Parameters& parameters) {
    const auto began = std::chrono::steady_clock::now();
    const auto note = [&](bool failed) {
        const auto spent =
            static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                           std::chrono::steady_clock::now() - began)
                                           .count());
        statement.calls += 1;
        statement.failures += failed ? 1 : 0;
        statement.microseconds_total += spent;
        std::uint64_t most = statement.microseconds_max.load();
        while (spent > most && !statement.microseconds_max.compare_exchange_weak(most, spent)) {
        }
    };
    try {
        prepare(statement);
        Rows rows = Held::rows_of(held_->attempt(
            statement.name, [&] { return held_->session.run(statement.name, parameters); }));
        note(false);
        return rows;
    } catch (...) {
        note(true);
        throw;
    }
}

void Connection::copy(const std::string& table, const std::string& columns,
                      std::span<const ArrayBuilder> arrays) {
    if (arrays.empty() || arrays.front().size() == 0) return;
    held_->attempt("copy " + table, [&] { held_->session.copy(table, columns, arrays); });
}

// Transactions are begun and ended here only, by a text that begins so. One counts as open from the
// moment its BEGIN is sent; COMMIT and ROLLBACK end it even when the server refuses the commit.
void Connection::execute(const std::string& sql) {
    const bool ends = begins_with_word(sql, "COMMIT") || begins_with_word(sql, "ROLLBACK");
    if (begins_with_word(sql, "BEGIN")) held_->in_transaction = true;
    try {
        held_->attempt("execute", [&] { return held_->execute(sql); });
    } catch (const ConnectionLost&) {
        throw;
    } catch (const Failure&) {
        if (ends) held_->in_transaction = false;
        throw;
    }
    if (ends) held_->in_transaction = false;
}

Rows Connection::query(const std::string& sql) {
    return Held::rows_of(held_->attempt("query", [&] { return held_->execute(sql); }));
}

bool Connection::usable() const {
    return held_->session.connection.is_open() && !held_->in_transaction;
}

int Connection::backend_pid() const { return held_->session.pid(); }

// ---- Transaction
// ----------------------------------------------------------------------------------

Transaction::Transaction(Connection& connection, Kind kind) : connection_{connection} {
    connection_.execute(
        kind == Kind::read_write ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
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
    const Rows rows = connection.query(
        "select pg_has_role(oid, 'member') from pg_roles where rolname = 'cocoon_reader'");
    return !rows.empty() && rows.boolean(0, 0) ? "cocoon_reader" : "";
}

// ---- Pool
// -----------------------------------------------------------------------------------------

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
