// RFC 8785 at its edges: numbers, sorting, escapes; and everything the strict reader refuses.
#include "sealing/canonical_json.hpp"

#include <bit>

#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::sealing;

namespace {

std::string canonical(std::string_view text) {
    const auto parsed = Json::parse(text);
    return parsed ? parsed->canonical()
                  : "refused " + std::string{describe(parsed.error().code).name};
}

}  // namespace

TEST_CASE("numbers are written as ECMAScript writes them") {
    struct Row {
        std::uint64_t bits;
        const char* text;
    };
    const Row rows[] = {
        // RFC 8785, appendix B
        {0x0000000000000000, "0"},
        {0x8000000000000000, "0"},
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7fefffffffffffff, "1.7976931348623157e+308"},
        {0xffefffffffffffff, "-1.7976931348623157e+308"},
        {0x4340000000000000, "9007199254740992"},
        {0xc340000000000000, "-9007199254740992"},
        {0x4430000000000000, "295147905179352830000"},
        {0x44b52d02c7e14af5, "9.999999999999997e+22"},
        {0x44b52d02c7e14af6, "1e+23"},
        {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
        {0x444b1ae4d6e2ef4e, "999999999999999700000"},
        {0x444b1ae4d6e2ef4f, "999999999999999900000"},
        {0x444b1ae4d6e2ef50, "1e+21"},
        {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
        {0x3eb0c6f7a0b5ed8d, "0.000001"},
        {0x41b3de4355555553, "333333333.3333332"},
        {0x41b3de4355555554, "333333333.33333325"},
        {0x41b3de4355555555, "333333333.3333333"},
        {0x41b3de4355555556, "333333333.3333334"},
        {0x41b3de4355555557, "333333333.33333343"},
        {0xbecbf647612f3696, "-0.0000033333333333333333"},
        {0x43143ff3c1cb0959, "1424953923781206.2"},
    };
    for (const Row& row : rows)
        CHECK(ecmascript_number(std::bit_cast<double>(row.bits)) == row.text);
}

TEST_CASE("documents become canonical") {
    struct Row {
        const char* text;
        const char* expected;
    };
    const Row rows[] = {
        {" { \"b\" : 1 , \"a\" : [ ] } ", R"({"a":[],"b":1})"},
        {"[1E30,4.50,2e-3,1e-27,-0,-0.0,1.0]", "[1e+30,4.5,0.002,1e-27,0,0,1]"},
        {"9007199254740993", "9007199254740992"},
        {"18446744073709551615", "18446744073709552000"},
        {R"("\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/")",
         "\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\""},
        {R"("\b\f\n\r\t\u0000\u001f\u007f")", "\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\""},
        {R"("\ud83d\ude00")", "\"\xF0\x9F\x98\x80\""},
        // UTF-16 order: U+1F600 (D83D DE00) comes before U+FB33, after U+20AC.
        {R"({"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7})",
         "{\"\\r\":2,\"1\":4,\"\xC2\x80\":6,\"\xC3\xB6\":7,\"\xE2\x82\xAC\":1,\"\xF0\x9F\x98\x80\":"
         "5,\"\xEF\xAC\xB3\":3}"},
        {R"({"aa":1,"a":2,"":3})", R"({"":3,"a":2,"aa":1})"},
        {"true", "true"},
        {"null", "null"},
        {"\"\"", "\"\""},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        CHECK(canonical(row.text) == row.expected);
        CHECK(canonical(canonical(row.text)) == row.expected);
    }
}

TEST_CASE("what strict reading refuses") {
    const std::string_view rows[] = {
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "01",
        "+1",
        ".5",
        "1.",
        "0x1",
        "NaN",
        "Infinity",
        "1 2",
        "{} x",
        "nul",
        "\"\\x\"",
        "\"\n\"",
        "\"\\ud800\"",
        "\"\\ud800x\"",
        "\"\\udc00\"",
        "\"\\ude00\\ud83d\"",
        "\"\xff\"",
        "\"\xC0\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"",
        "1e400",
        "-1e400",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":2}",
        "\xEF\xBB\xBF{}",
        "// c\n1",
        "[1 /* c */]",
        std::string_view{"1\0", 2},
        std::string_view{"{}\0{}", 5},
    };
    for (const std::string_view row : rows) {
        INFO(row);
        CHECK(canonical(row) == "refused malformed_request");
    }
    std::string many = "{";
    for (int i = 0; i < 100; ++i) many += "\"n" + std::to_string(i) + "\":1,";
    CHECK(Json::parse(many + "\"n100\":1}"));
    CHECK_FALSE(Json::parse(many + "\"n3\":1}"));
    CHECK_FALSE(Json::parse(many + "\"n99\":1}"));
    CHECK(Json::parse(R"([{"a":{"a":1}},{"a":1}])"));  // the same name in different objects is fine
}

TEST_CASE("size, depth and count of values are bounded") {
    JsonLimits limits{20, 3, 5};
    const auto code = [&](std::string_view text) {
        const auto parsed = Json::parse(text, limits);
        return parsed ? std::string{"fine"} : std::string{describe(parsed.error().code).name};
    };
    CHECK(code("[[[]]]") == "fine");
    CHECK(code("[[[[]]]]") == "body_too_large");
    CHECK(code("[1,2,3,4]") == "fine");
    CHECK(code("[1,2,3,4,5]") == "body_too_large");
    CHECK(code("\"012345678901234567\"") == "fine");
    CHECK(code("\"0123456789012345678\"") == "body_too_large");
    CHECK_FALSE(Json::parse(std::string(1'000'000, '[')));
}

TEST_CASE("values are read by kind and changed in place") {
    Json document = Json::parse(R"({"t":"x","n":12,"f":1.5,"w":2.0,"big":9223372036854775807,)"
                                R"("b":true,"z":null,"l":[1]})")
                        .value();
    CHECK(document.text_at("t") == "x");
    CHECK(document.integer_at("n") == 12);
    CHECK_FALSE(document.integer_at("f"));
    CHECK(document.integer_at("w") == 2);
    CHECK(document.integer_at("big") == INT64_MAX);
    CHECK(document.find("f")->number() == 1.5);
    CHECK(document.boolean_at("b") == true);
    CHECK(document.find("z")->is_null());
    CHECK(document.find("l")->items().size() == 1);
    CHECK(document.find("nothing") == nullptr);
    CHECK_FALSE(document.text_at("n"));
    CHECK_FALSE(document.find("n")->find("x"));
    CHECK(document.find("t")->items().empty());
    CHECK(
        document.serialize() ==
        R"({"t":"x","n":12,"f":1.5,"w":2.0,"big":9223372036854775807,"b":true,"z":null,"l":[1]})");
    document.set("n", 13).set("new", Json::array({1, "two", nullptr}));
    CHECK(document.erase("f"));
    CHECK_FALSE(document.erase("f"));
    document.find("l")->push(false);
    CHECK(document.canonical() == R"({"b":true,"big":9223372036854776000,"l":[1,false],"n":13,)"
                                  R"("new":[1,"two",null],"t":"x","w":2,"z":null})");
    CHECK(Json::parse("{\"a\":1.0,\"b\":2}").value() == Json::object({{"b", 2}, {"a", 1}}));
    CHECK_FALSE(Json::parse("1e300")->integer());
    CHECK_FALSE(Json::parse("9007199254740992.0")->integer());
}

TEST_CASE("a refusal does not quote the document") {
    const auto refused = Json::parse("{\"key\":\"hunter2\" oops}");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().detail.find("hunter2") == std::string::npos);
    CHECK(refused.error().detail.find("oops") == std::string::npos);
}
