#include "db/migrate.hpp"

#include <algorithm>

#include "db/connection.hpp"

namespace cocoon::db {
namespace {

constexpr Migration embedded[] = {
#include "migrations.inc"
};

// One number for "the schema of this market is being changed", among all advisory locks.
const Statement lock_schema{"lock_schema", "select pg_advisory_xact_lock(7290442113)"};
const Statement hash_migration{"hash_migration", "select encode(sha256($1::bytea), 'hex')"};

struct Applied {
    int version = 0;
    std::string name, sha256;
};

void create_book_of_migrations(Connection& connection) {
    connection.execute(
        "create table if not exists schema_migrations ("
        "version integer primary key, name text not null, sha256 text not null, "
        "applied_at timestamptz not null default now())");
}

std::vector<Applied> read_applied(Connection& connection) {
    std::vector<Applied> applied;
    if (connection.query("select to_regclass('schema_migrations')::text").null(0, 0))
        return applied;
    const Rows rows =
        connection.query("select version, name, sha256 from schema_migrations order by version");
    for (std::size_t row = 0; row < rows.size(); ++row)
        applied.push_back({static_cast<int>(rows.integer(row, 0)), std::string{rows.text(row, 1)},
                           std::string{rows.text(row, 2)}});
    return applied;
}

std::string sha256_of(Connection& connection, std::string_view sql) {
    return std::string{
        connection.run(hash_migration, Parameters{}.add_bytes(as_bytes(sql))).text(0, 0)};
}

// What was applied must be a prefix of what this program knows, byte for byte.
Result<void> compare(Connection& connection, const std::vector<Applied>& applied,
                     std::span<const Migration> migrations) {
    for (std::size_t index = 0; index < migrations.size(); ++index)
        if (migrations[index].version != static_cast<int>(index) + 1)
            return refuse(ErrorCode::wrong_state,
                          "migrations have a gap before " + std::string{migrations[index].name});
    for (std::size_t index = 0; index < applied.size(); ++index) {
        if (index >= migrations.size())
            return refuse(ErrorCode::wrong_state, "the database has migration " +
                                                      applied[index].name +
                                                      ", which this program does not know");
        const Migration& known = migrations[index];
        if (applied[index].version != known.version || applied[index].name != known.name)
            return refuse(ErrorCode::wrong_state,
                          "the database has migration " + applied[index].name +
                              " where this program has " + std::string{known.name});
        if (applied[index].sha256 != sha256_of(connection, known.sql))
            return refuse(ErrorCode::wrong_state, "migration " + applied[index].name +
                                                      " was edited after it had been applied");
    }
    return {};
}

}  // namespace

std::span<const Migration> embedded_migrations() { return embedded; }

Result<MigrationReport> migrate(const ConnectOptions& options,
                                std::span<const Migration> migrations) {
    ConnectOptions patient = options;
    patient.statement_milliseconds = 0;  // a migration may rewrite a large table
    patient.lock_milliseconds = 60'000;  // and waits for its neighbour's
    Connection connection{patient};
    MigrationReport report;
    for (bool first = true;; first = false) {
        Transaction transaction{connection};
        connection.run(lock_schema);
        create_book_of_migrations(connection);
        const std::vector<Applied> applied = read_applied(connection);
        if (const Result<void> same = compare(connection, applied, migrations); !same)
            return same.error();
        if (first) report.version_before = static_cast<int>(applied.size());
        report.version_after = static_cast<int>(applied.size());
        if (applied.size() == migrations.size()) {
            transaction.commit();
            return report;
        }
        const Migration& next = migrations[applied.size()];
        connection.execute(std::string{next.sql});
        static const Statement note{"note_migration",
                                    "insert into schema_migrations (version, name, sha256) "
                                    "values ($1::bigint, $2::text, $3::text)"};
        connection.run(note, Parameters{}
                                 .add(std::int64_t{next.version})
                                 .add_text(next.name)
                                 .add_text(sha256_of(connection, next.sql)));
        transaction.commit();
        report.applied.emplace_back(next.name);
    }
}

Result<void> check_schema(const ConnectOptions& options, std::span<const Migration> migrations) {
    Connection connection{options};
    Transaction transaction{connection, Transaction::Kind::read_only_snapshot};
    const std::vector<Applied> applied = read_applied(connection);
    if (const Result<void> same = compare(connection, applied, migrations); !same) return same;
    if (applied.size() < migrations.size())
        return refuse(ErrorCode::wrong_state, "the database lacks migration " +
                                                  std::string{migrations[applied.size()].name} +
                                                  "; run cocoon-market migrate");
    return {};
}

}  // namespace cocoon::db
