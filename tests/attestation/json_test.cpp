#include "attestation/json.hpp"

#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

TEST_CASE("evidence's JSON is taken strictly or not at all") {
    const std::string deep_fine = std::string(16, '[') + std::string(16, ']');
    const std::string deep_over = std::string(17, '[') + std::string(17, ']');
    const std::string deep_abyss = std::string(4000, '[');
    struct Row {
        std::string text;
        bool taken;
    };
    const Row rows[] = {
        {R"({"a":1,"b":{"a":2}})", true},
        {R"([{"a":1},{"a":1}])", true},
        {"5", true},
        {deep_fine, true},
        {deep_over, false},
        {deep_abyss, false},
        {R"({"a":1,"a":1})", false},
        {R"({"x":[{"b":1,"b":2}]})", false},
        {R"({"\u0061":1,"a":1})", false},
        {"", false},
        {"{", false},
        {"{} {}", false},
        {"NaN", false},
        {"\"\xff\"", false},
        {"[1,]", false},
        {"// c\n1", false},
        {"[01]", false},
    };
    for (const Row& row : rows) {
        INFO(row.text.substr(0, 60));
        CHECK(parse_json(row.text, 8192).has_value() == row.taken);
    }
    CHECK(parse_json("[1,2]", 5).has_value());
    CHECK_FALSE(parse_json("[1,2] ", 5).has_value());
}

TEST_CASE("a member of another type is no member") {
    const Json object =
        parse_json(R"({"t":"x","n":7,"big":18446744073709551615,"f":1.0,"l":[]})", 99).value();
    CHECK(text_at(object, "t") == "x");
    CHECK_FALSE(text_at(object, "n"));
    CHECK(integer_at(object, "n") == 7);
    for (const char* name : {"big", "f", "t", "absent"}) CHECK_FALSE(integer_at(object, name));
    CHECK(array_at(object, "l") != nullptr);
    CHECK(array_at(object, "t") == nullptr);
    CHECK(member(Json(5), "a") == nullptr);
}
