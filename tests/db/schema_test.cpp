// Migrations, statements, and the binary values that travel to and from PostgreSQL.
#include "db/columns.hpp"
#include "tests/db/database.hpp"

using namespace cocoon;
using namespace cocoon::db;
using namespace cocoon::db::test;

namespace {

constexpr Migration first{1, "0001_first", "create table one (id bigint primary key)"};
constexpr Migration edited{1, "0001_first", "create table one (id integer primary key)"};
constexpr Migration renamed{1, "0001_other", "create table one (id bigint primary key)"};
constexpr Migration second{2, "0002_second",
                           "create table two (id bigint); insert into two values (1)"};
constexpr Migration broken{2, "0002_second",
                           "create table two (id bigint); insert into nowhere values (1)"};
constexpr Migration late{3, "0003_late", "create table three (id bigint)"};

}  // namespace

TEST_CASE("migrate: from empty, again, forward, and refusals") {
    const std::string empty = "template0";
    Database database{empty};
    const ConnectOptions options = database.options();
    struct Case {
        std::vector<Migration> migrations;
        const char* refusal;  // nullptr: applied
        int version;          // afterwards
    };
    const Case cases[] = {
        {{late}, "gap", 0},
        {{first}, nullptr, 1},
        {{first}, nullptr, 1},
        {{edited}, "edited", 1},
        {{renamed}, "0001_other", 1},
        {{first, late}, "gap", 1},
        {{first, second}, nullptr, 2},
        {{first}, "does not know", 2},
        {{first, second, late}, nullptr, 3},
    };
    for (const Case& each : cases) {
        const auto report = migrate(options, each.migrations);
        INFO((report ? "applied" : report.error().detail));
        CHECK(report.has_value() == (each.refusal == nullptr));
        if (!report) {
            CHECK(report.error().code == ErrorCode::wrong_state);
            CHECK(report.error().detail.find(each.refusal) != std::string::npos);
            CHECK_FALSE(check_schema(options, each.migrations));
        } else {
            CHECK(report->version_after == each.version);
            CHECK(check_schema(options, each.migrations));
        }
        const bool any =
            database.number("select count(*) from pg_class where relname = 'schema_migrations'") >
            0;
        CHECK((any ? database.number("select count(*) from schema_migrations") : 0) ==
              each.version);
    }
    const Migration prefix[] = {first, second};
    CHECK_FALSE(check_schema(options, prefix));
}

TEST_CASE("migrate: a migration that fails half-way leaves nothing") {
    const std::string empty = "template0";
    Database database{empty};
    const Migration bad[] = {first, broken}, good[] = {first, second};
    CHECK_THROWS_AS(migrate(database.options(), bad), Failure);
    CHECK(database.number("select count(*) from schema_migrations") == 1);
    CHECK(database.number("select count(*) from pg_class where relname = 'two'") == 0);
    CHECK_FALSE(check_schema(database.options(), good));
    REQUIRE(migrate(database.options(), good));
    CHECK(database.number("select count(*) from two") == 1);
}

TEST_CASE("migrate: the embedded schema is complete and unedited") {
    Database database;
    CHECK(check_schema(database.options()));
    database.execute("update schema_migrations set sha256 = repeat('0', 64) where version = 1");
    CHECK_FALSE(check_schema(database.options()));
    CHECK_FALSE(migrate(database.options()));
}

TEST_CASE("statements: every one prepares against the schema, under its own name") {
    Database database;
    Connection connection{database.options()};
    connection.execute("create table nowhere ()");
    std::vector<std::string> names;
    for (const Statement* statement : all_statements()) {
        INFO(statement->name);
        CHECK_NOTHROW(connection.prepare(*statement));
        CHECK(std::ranges::find(names, statement->name) == names.end());
        names.push_back(statement->name);
    }
    CHECK(names.size() > 90);  // also those of readers, outbox and replay: their files are linked
    // Every parameter is one of the types whose binary form Parameters knows.
    CHECK(connection
              .query("select count(*) from pg_prepared_statements, unnest(parameter_types) t "
                     "where t::text not in ('bigint', 'text', 'boolean', 'bytea', "
                     "'bigint[]', 'text[]', 'boolean[]', 'bytea[]')")
              .integer(0, 0) == 0);
}

TEST_CASE("statements: time-outs, names and timings") {
    Database database;
    ConnectOptions options = database.options();
    options.statement_milliseconds = 50;
    options.application_name = "impatient";
    Connection connection{options};
    CHECK(connection.query("select current_setting('application_name')").text(0, 0) == "impatient");
    const Statement slow{"slow", "select pg_sleep(5)"};
    try {
        connection.run(slow);
        FAIL("should have been cancelled");
    } catch (const Failure& failure) {
        CHECK(failure.sqlstate == "57014");
        CHECK(std::string{failure.what()}.starts_with("slow: "));
    }
    CHECK(slow.calls == 1);
    CHECK(slow.failures == 1);
    CHECK(slow.microseconds_max >= 50'000);
    CHECK(connection.usable());
}

TEST_CASE("values: what goes in comes out, byte for byte") {
    Database database;
    Connection connection{database.options()};
    const Statement echo{"echo",
                         "select $1::bigint, $2::boolean, $3::text, $4::bytea, $5::bigint, "
                         "$6::text[], $7::bigint[]"};
    const std::string bytes("\0\1\x7f\x80\xff'\\", 7), text = "a'b\"c\\d{e},NULL\n\t\xc3\xa9$1";
    for (const std::int64_t number :
         {std::int64_t{0}, std::int64_t{-1}, INT64_MIN, INT64_MAX, std::int64_t{1} << 40}) {
        ArrayBuilder texts{ArrayBuilder::Type::text}, numbers{ArrayBuilder::Type::bigint};
        for (const std::string& each : {text, std::string{}, std::string{"NULL"}})
            texts.add_raw(each);
        numbers.add(number);
        const Rows rows = connection.run(echo, Parameters{}
                                                   .add(number)
                                                   .add(number > 0)
                                                   .add_text(text)
                                                   .add_bytes(as_bytes(bytes))
                                                   .add_null()
                                                   .add_encoded(texts.finish())
                                                   .add_encoded(numbers.finish()));
        CHECK(rows.integer(0, 0) == number);
        CHECK(rows.boolean(0, 1) == (number > 0));
        CHECK(rows.text(0, 2) == text);
        CHECK(as_text(rows.bytes(0, 3)) == bytes);
        CHECK(rows.null(0, 4));
        CHECK(rows.texts(0, 5) == std::vector<std::string>{text, "", "NULL"});
        CHECK(rows.integers(0, 6) == std::vector<std::int64_t>{number});
        CHECK_THROWS_AS(rows.integer(0, 2), Failure);
        CHECK_THROWS_AS(rows.boolean(0, 0), Failure);
        CHECK_THROWS_AS(rows.integers(0, 3), Failure);
        CHECK_THROWS_AS(rows.integer(0, 99), Failure);
        CHECK_THROWS_AS(rows.integer(1, 0), Failure);
    }
    ArrayBuilder none{ArrayBuilder::Type::text}, zero{ArrayBuilder::Type::bigint};
    const Rows rows = connection.run(echo, Parameters{}
                                               .add(std::int64_t{0})
                                               .add(false)
                                               .add_text("")
                                               .add_bytes({})
                                               .add_null()
                                               .add_encoded(none.finish())
                                               .add_encoded(zero.finish()));
    CHECK(rows.texts(0, 5).empty());
    CHECK(rows.integers(0, 6).empty());
}

TEST_CASE("values: texts that PostgreSQL cannot keep, hashes, array literals") {
    for (const std::string& text :
         {std::string{"plain"}, std::string("nul\0inside", 10), std::string{"\xff\xfe"},
          std::string{"\x01hex:00"}, std::string{}}) {
        CHECK(unpack_text(pack_text(text)) == text);
        CHECK(storable(pack_text(text)) == (pack_text(text) == text));
        CHECK(is_utf8(pack_text(text)));
    }
    const std::string hex(64, 'a');
    struct Case {
        std::string text;
        std::string_view prefix;
        std::size_t bytes;
    };
    const Case cases[] = {{hex, "", 32},
                          {"sha256:" + hex, "sha256:", 32},
                          {hex, "sha256:", 69},
                          {std::string(64, 'G'), "", 69},
                          {std::string(27, 'x'), "", 33},
                          {"", "", 5}};
    for (const Case& each : cases) {
        CHECK(pack_hash(each.text, each.prefix).size() == each.bytes);
        CHECK(unpack_hash(pack_hash(each.text, each.prefix), each.prefix) == each.text);
    }
    Database database;
    Connection connection{database.options()};
    const std::vector<std::string> texts{"a\"b\\c", "{x,y}", "", "NULL", " spaced ", "\n"};
    const Statement read{"read_literals", "select $1::text::text[], $2::text::bigint[]"};
    const Rows rows = connection.run(
        read, Parameters{}
                  .add_text(array_literal(texts))
                  .add_text(array_literal(std::vector<std::int64_t>{-5, 0, INT64_MAX})));
    CHECK(rows.texts(0, 0) == texts);
    CHECK(rows.integers(0, 1) == std::vector<std::int64_t>{-5, 0, INT64_MAX});
}

TEST_CASE("pool: bounded, and heals after the server drops its connections") {
    Database database;
    Pool pool{database.options(), 2};
    {
        const Pool::Lease one = pool.take(), two = pool.take();
        CHECK(pool.in_use() == 2);
        CHECK_THROWS_AS(pool.take(milliseconds(1)), PoolExhausted);
        database.execute("select pg_terminate_backend(" + std::to_string(one->backend_pid()) + ")");
        CHECK_THROWS_AS(one->execute("select 1"), ConnectionLost);
    }
    CHECK(pool.in_use() == 0);
    CHECK_NOTHROW(pool.take()->execute("select 1"));
    {
        const Pool::Lease lease = pool.take();
        CHECK_THROWS_AS(lease->execute("BEGIN; select 1/0"), Failure);
    }
    CHECK_NOTHROW(pool.take()->execute("select 1"));  // not the one stuck in a failed transaction
}

TEST_CASE("schema: rows that cannot be are not stored") {
    Database database;
    const char* impossible[] = {
        "insert into accounts values (2, 'developer', false, 'x', null, null, null, 1, 0, -1, 0, "
        "0, 0, 0, 0)",
        "insert into accounts values (2, 'developer', false, 'x', null, null, null, 1, 0, 0, 0, 0, "
        "0, 1, 0)",
        "insert into accounts values (2, 'developer', false, 'x', null, null, null, 1, 0, 0, 0, 0, "
        "0, 0, -1)",
        "insert into accounts values (1, 'house', false, 'x', null, null, null, 1, 0, 0, 0, 0, 0, "
        "0, 1)",
        "insert into postings values (2, 1, 1, 2, 0, null, 0, 'available', 'held')",
        "insert into postings values (2, 1, 1, 2, 5, null, 0, 'available', 'available')",
        "insert into journal values (0, 1, 1, '')",
        "insert into journal values (2, 1, 1, '')",
        "insert into projection values (false, 1)",
        "insert into candles values (1, 1, 5, 4, 3, 4, 1, 1)",
        "insert into payouts values (1, 2, 'held', 5, 'x', 'queued', null, 1, null)",
    };
    for (const char* sql : impossible) {
        INFO(sql);
        CHECK_THROWS_AS(database.execute(sql), Failure);
    }
}
