// What travels over a connection: values in both directions, failures by kind, both forms of its
// string.
#include "tests/db/database.hpp"

using namespace cocoon;
using namespace cocoon::db;
using namespace cocoon::db::test;

TEST_CASE("Values come back as they were sent") {
    Connection connection{admin_options()};
    static const Statement echo{"test_echo",
                                "select $1::bigint, $2::boolean, $3::text, $4::bytea, $5::text, "
                                "$6::bigint[], $7::text[]"};
    const std::string bytes{"\0\x01\\x'\"\xff", 7};
    const std::vector<std::string> texts{
        "plain",       "",         "NULL",        "null", "a,b", "{c}", "say \"d\"",
        "back\\slash", " spaces ", "tab\tline\n", "ä漢"};
    ArrayBuilder numbers{ArrayBuilder::Type::bigint}, words{ArrayBuilder::Type::text};
    numbers.add(INT64_MIN);
    numbers.add(std::int64_t{0});
    numbers.add(INT64_MAX);
    for (const std::string& text : texts) words.add_raw(text);
    const Rows rows = connection.run(echo, Parameters{}
                                               .add(std::int64_t{-42})
                                               .add(true)
                                               .add_text("it's \"so\"\\")
                                               .add_bytes(as_bytes(bytes))
                                               .add_null()
                                               .add_encoded(numbers.finish())
                                               .add_encoded(words.finish()));
    CHECK(rows.size() == 1);
    CHECK(rows.integer(0, 0) == -42);
    CHECK(rows.boolean(0, 1));
    CHECK(rows.text(0, 2) == "it's \"so\"\\");
    CHECK(as_text(rows.bytes(0, 3)) == bytes);
    CHECK(rows.text(0, 3) == bytes);
    CHECK(rows.null(0, 4));
    CHECK(rows.integers(0, 5) == std::vector<std::int64_t>{INT64_MIN, 0, INT64_MAX});
    CHECK(rows.texts(0, 6) == texts);
}

TEST_CASE("A column that is something else is refused") {
    Connection connection{admin_options()};
    const Rows rows = connection.query(
        "select 'x'::text, null::bigint, array[1, null]::bigint[], array[[1, 2]]::bigint[], "
        "array['a', null]::text[], "
        "'[0:1]={1,2}'::bigint[], '{}'::bigint[], '\\x'::bytea");
    CHECK_THROWS_AS(rows.integer(0, 0), Failure);
    CHECK_THROWS_AS(rows.boolean(0, 0), Failure);
    CHECK_THROWS_AS(rows.texts(0, 0), Failure);
    CHECK_THROWS_AS(rows.integer(0, 1), Failure);
    CHECK_THROWS_AS(rows.integers(0, 2), Failure);
    CHECK_THROWS_AS(rows.integers(0, 3), Failure);
    CHECK_THROWS_AS(rows.texts(0, 4), Failure);
    CHECK_THROWS_AS(rows.integers(0, 5), Failure);
    CHECK(rows.integers(0, 6).empty());
    CHECK(rows.bytes(0, 7).empty());
    CHECK_THROWS_AS(rows.text(0, 8), Failure);
    CHECK_THROWS_AS(rows.text(1, 0), Failure);
    CHECK_THROWS_AS(rows.null(1, 0), Failure);
}

TEST_CASE("A failure carries its sqlstate and no values") {
    const Database database;
    Connection connection{database.options()};
    connection.execute(
        "create table secrets (id bigint primary key); insert into secrets values (987654)");
    const auto failure = [&](const std::string& sql) -> Failure {
        try {
            connection.query(sql);
        } catch (const Failure& caught) {
            return caught;
        }
        return {"none", ""};
    };
    const Failure duplicate = failure("insert into secrets values (987654)");
    CHECK(duplicate.sqlstate == "23505");
    CHECK(duplicate.what() ==
          std::string{"query: duplicate key value violates unique constraint \"secrets_pkey\""});
    CHECK(failure("select nothing").what() ==
          std::string{"query: column \"nothing\" does not exist"});
    for (const char* state : {"40001", "40P01", "57014", "P0001", "22012", "55P03", "23514"})
        CHECK(failure("do $$ begin raise exception 'on purpose' using errcode = '" +
                      std::string{state} + "'; end $$")
                  .sqlstate == state);
    CHECK(connection.usable());
}

TEST_CASE("A lost connection stays lost") {
    Connection connection{admin_options()};
    connection.execute("BEGIN");
    CHECK_FALSE(connection.usable());
    admin("select pg_terminate_backend(" + std::to_string(connection.backend_pid()) + ")");
    CHECK_THROWS_AS(connection.query("select 1"), ConnectionLost);
    CHECK_THROWS_AS(connection.query("select 1"), ConnectionLost);
    CHECK_FALSE(connection.usable());
}

TEST_CASE("Options speak over the connection string in each of its forms") {
    const std::string url = admin_options().url;
    const bool asks = url.find('?') != url.npos;
    for (const std::string& suffix :
         {std::string{}, std::string{asks ? "&" : "?"} + "application_name=other",
          std::string{asks ? "" : "?"}}) {
        ConnectOptions options = admin_options();
        options.url = url + suffix;
        options.application_name = "it's a name & 100% ours";
        options.database = "template1";
        const Rows rows = Connection{options}.query(
            "select current_setting('application_name'), "
            "current_database()::text");
        CHECK(rows.text(0, 0) == options.application_name);
        CHECK(rows.text(0, 1) == "template1");
    }
    ConnectOptions keywords = admin_options();
    keywords.url = "host=127.0.0.1 port=1 application_name=other connect_timeout=9";
    CHECK_THROWS_AS(Connection{keywords}, ConnectionLost);
}
