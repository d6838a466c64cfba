// One connection to PostgreSQL and the values that travel over it: parameters binary, answers text.
// Used only inside db/: nothing above sees SQL or a row that is not a plain struct. One thread at a
// time. libpqxx (6 in Debian 12, 7 in Debian 13) is only known to connection.cpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/encoding.hpp"
#include "db/pool.hpp"

namespace cocoon::db {

// A statement with a name: the name labels metrics, logs and the prepared statement. Every
// parameter is cast in the text ($1::bigint), so that its binary form is certain. Objects of
// namespace scope, beside the row mapping they belong to; each registers itself for metrics and for
// the test that prepares them all.
class Statement {
public:
    Statement(std::string_view name, std::string sql);
    Statement(const Statement&) = delete;
    ~Statement();

    const std::string name;
    const std::string sql;
    mutable std::atomic<std::uint64_t> calls{0}, failures{0}, microseconds_total{0},
        microseconds_max{0};
};

// Every statement of the program, in no particular order.
std::vector<const Statement*> all_statements();

// Values for $1, $2 … in PostgreSQL's binary form.
class Parameters {
public:
    Parameters& add(std::int64_t value);           // bigint
    Parameters& add(bool value);                   // boolean
    Parameters& add_text(std::string_view value);  // text (or an enum through a cast from text)
    Parameters& add_bytes(ByteView value);         // bytea
    Parameters& add_null();
    Parameters& add_encoded(std::string value);  // an array made by ArrayBuilder

    const std::vector<std::string>& values() const { return values_; }
    const std::vector<bool>& nulls() const { return nulls_; }

private:
    std::vector<std::string> values_;
    std::vector<bool> nulls_;
};

// A one-dimensional array in PostgreSQL's binary form, appended value by value.
class ArrayBuilder {
public:
    enum class Type { bigint, boolean, text, bytea };
    explicit ArrayBuilder(Type type);

    void add(std::int64_t value);
    void add(bool value);
    void add_raw(std::string_view value);  // text and bytea: the bytes as they are
    void add_null();

    std::size_t size() const { return count_; }
    // The whole array; the builder is empty afterwards.
    std::string finish();

private:
    friend class Cells;
    Type type_;
    std::uint32_t count_ = 0;
    bool has_null_ = false;
    std::string content_;
};

// The answer of one statement. Columns are read by position, in the order of the statement's text.
class Rows {
public:
    Rows();
    Rows(Rows&&) noexcept;
    Rows& operator=(Rows&&) noexcept;
    ~Rows();

    std::size_t size() const;
    bool empty() const { return size() == 0; }
    std::uint64_t affected() const;  // rows inserted, updated or deleted
    bool null(std::size_t row, std::size_t column) const;
    // bigint, integer or smallint. Throws Failure if the column is something else, as do those
    // below.
    std::int64_t integer(std::size_t row, std::size_t column) const;
    bool boolean(std::size_t row, std::size_t column) const;
    std::string_view text(std::size_t row, std::size_t column) const;  // valid as long as the Rows
    ByteView bytes(std::size_t row, std::size_t column) const;
    std::vector<std::int64_t> integers(std::size_t row, std::size_t column) const;  // bigint[]
    std::vector<std::string> texts(std::size_t row, std::size_t column) const;      // text[]

private:
    friend class Connection;
    struct Held;
    std::unique_ptr<Held> held_;
};

class Connection {
public:
    // Throws ConnectionLost if the server cannot be reached.
    explicit Connection(const ConnectOptions& options);
    ~Connection();

    // Prepares `statement` at its first use. Throws Failure, or ConnectionLost when it is unknown
    // whether the statement took effect.
    Rows run(const Statement& statement, const Parameters& parameters = {});
    // Inserts the rows that `arrays` hold, one array for each of `columns` (a list as SQL has it).
    // COPY: the server logs rows by the page instead of one by one. Throws like run().
    void copy(const std::string& table, const std::string& columns,
              std::span<const ArrayBuilder> arrays);
    // Unnamed SQL without parameters, several statements allowed: migrations, BEGIN, tests.
    void execute(const std::string& sql);
    Rows query(const std::string& sql);
    void prepare(const Statement& statement);

    bool usable() const;  // connected and not inside a transaction, failed or not
    int backend_pid() const;

private:
    struct Held;
    std::unique_ptr<Held> held_;
};

// BEGIN at construction, ROLLBACK at destruction unless committed.
class Transaction {
public:
    enum class Kind { read_write, read_only_snapshot };
    explicit Transaction(Connection& connection, Kind kind = Kind::read_write);
    Transaction(const Transaction&) = delete;
    ~Transaction();
    void commit();

private:
    Connection& connection_;
    bool open_ = true;
};

}  // namespace cocoon::db
