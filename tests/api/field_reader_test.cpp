// The strict reader: one line per body, the whole refusal last.
#include "api/field_reader.hpp"
#include "tests/api/support.hpp"

using namespace cocoon;
using namespace cocoon::api;

namespace {

// Reads an object of every kind the reader knows.
std::string read(std::string_view body) {
    static constexpr std::array<std::string_view, 2> colours{"red", "green"};
    FieldReader in{body};
    ObjectReader root = in.root();
    root.text("name", {1, 8});
    root.maybe_integer("count", {1, 10});
    root.maybe_money("amount_nano", {0, 1000});
    root.maybe_boolean("flag");
    root.maybe_instant("at");
    root.maybe_id<OfferId>("offer");
    root.maybe_ids<AccountId>("accounts", 2);
    root.maybe_choice("colour", colours);
    root.maybe_choices("colours", colours);
    root.maybe_texts("tags", 2);
    root.maybe_decimal("since");
    root.flat("bag", 64);
    ObjectReader inner = root.maybe_object("inner");
    inner.integer("x", {0, 5});
    for (ObjectReader& item : root.maybe_objects("list", 2).value_or(std::vector<ObjectReader>{}))
        item.integer("y", {0, 5});
    return told(in.finish());
}

std::string deep(int depth) {
    std::string text = R"({"name":"a","tags":)";
    for (int i = 1; i < depth; ++i) text += '[';
    for (int i = 1; i < depth; ++i) text += ']';
    return text + '}';
}

}  // namespace

TEST_CASE("a body is read strictly and every fault is told at once") {
    const std::pair<std::string, std::string> rows[] = {
        {R"({"name":"a"})", "ok"},
        {R"({"name":"a","count":null,"inner":null,"list":null,"bag":null})", "ok"},
        {R"({"name":"a","count":10,"amount_nano":"1000","flag":true,)"
         R"("at":"2026-11-22T17:00:00Z","offer":"off_1",)"
         R"("accounts":["acc_1"],"colour":"red","colours":["green"],"tags":["x"],)"
         R"("since":"5","bag":{"b":1,"a":"t"},)"
         R"("inner":{"x":5},"list":[{"y":0}]})",
         "ok"},
        // not an object, not JSON, bad encoding
        {"", "malformed_request"},
        {"[]", "malformed_request"},
        {"1", "malformed_request"},
        {"{", "malformed_request"},
        {R"({"name":"a"}x)", "malformed_request"},
        {R"({'name':1})", "malformed_request"},
        {R"({"name":"a",})", "malformed_request"},
        {"\xEF\xBB\xBF{\"name\":\"a\"}x", "malformed_request"},
        {"{\"name\":\"\xFF\"}", "malformed_request"},
        {"{\"name\":\"\xC0\x80\"}", "malformed_request"},
        {R"({"name":"\ud800"})", "malformed_request"},
        {R"({"name":NaN})", "malformed_request"},
        // required, unknown, duplicate
        {"{}", "invalid_body /name"},
        {R"({"name":null})", "invalid_body /name"},
        {R"({"name":"a","nam":1})", "invalid_body /nam"},
        {R"({"name":"a","name":"a"})", "invalid_body /name"},
        {R"({"name":"a","inner":{"x":1,"x":1}})", "invalid_body /inner/x"},
        {R"({"name":"a","inner":{"x":1,"z":{}}})", "invalid_body /inner/z"},
        {R"({"name":"a","a/b~c":1})", "invalid_body /a~1b~0c"},
        // text
        {R"({"name":""})", "invalid_body /name"},
        {R"({"name":"123456789"})", "invalid_body /name"},
        {R"({"name":1})", "invalid_body /name"},
        {R"({"name":"a\u0000b"})", "invalid_body /name"},
        {R"({"name":"a\u0085"})", "invalid_body /name"},
        {R"({"name":"a\u202e"})", "invalid_body /name"},
        {R"({"name":"gr\u00fc\u00df"})", "ok"},
        // numbers
        {R"({"name":"a","count":0})", "invalid_body /count"},
        {R"({"name":"a","count":11})", "invalid_body /count"},
        {R"({"name":"a","count":1.0})", "invalid_body /count"},
        {R"({"name":"a","count":1e0})", "invalid_body /count"},
        {R"({"name":"a","count":"1"})", "invalid_body /count"},
        {R"({"name":"a","count":true})", "invalid_body /count"},
        {R"({"name":"a","count":18446744073709551615})", "invalid_body /count"},
        {R"({"name":"a","count":99999999999999999999999})", "invalid_body /count"},
        // money
        {R"({"name":"a","amount_nano":1})", "invalid_body /amount_nano"},
        {R"({"name":"a","amount_nano":"1.5"})", "invalid_body /amount_nano"},
        {R"({"name":"a","amount_nano":"01"})", "invalid_body /amount_nano"},
        {R"({"name":"a","amount_nano":"-1"})", "invalid_body /amount_nano"},
        {R"({"name":"a","amount_nano":"1001"})", "invalid_body /amount_nano"},
        {R"({"name":"a","amount_nano":"9223372036854775808"})", "invalid_body /amount_nano"},
        // the rest of the kinds
        {R"({"name":"a","flag":1})", "invalid_body /flag"},
        {R"({"name":"a","at":"today"})", "invalid_body /at"},
        {R"({"name":"a","offer":"req_1"})", "invalid_body /offer"},
        {R"({"name":"a","offer":"off_01"})", "invalid_body /offer"},
        {R"({"name":"a","accounts":["acc_1","off_2"]})", "invalid_body /accounts/1"},
        {R"({"name":"a","accounts":["acc_1","acc_2","acc_3"]})", "invalid_body /accounts"},
        {R"({"name":"a","colour":"blue"})", "invalid_body /colour"},
        {R"({"name":"a","colours":["red","blue"]})", "invalid_body /colours/1"},
        {R"({"name":"a","tags":"x"})", "invalid_body /tags"},
        {R"({"name":"a","tags":["x",1]})", "invalid_body /tags/1"},
        {R"({"name":"a","since":5})", "invalid_body /since"},
        {R"({"name":"a","since":"-5"})", "invalid_body /since"},
        {R"({"name":"a","bag":{"x":{}}})", "invalid_body /bag/x"},
        {R"({"name":"a","bag":{"x":0.5}})", "invalid_body /bag/x"},
        {R"({"name":"a","bag":{"x":1,"x":2}})", "invalid_body /bag/x"},
        {R"({"name":"a","bag":[]})", "invalid_body /bag"},
        {R"({"name":"a","inner":[]})", "invalid_body /inner"},
        {R"({"name":"a","inner":{}})", "invalid_body /inner/x"},
        {R"({"name":"a","list":[{"y":1},{"y":9}]})", "invalid_body /list/1/y"},
        {R"({"name":"a","list":[1]})", "invalid_body /list/0"},
        {R"({"name":"a","list":[{"y":1},{"y":1},{"y":1}]})", "invalid_body /list"},
        // all at once
        {R"({"count":0,"flag":"no","inner":{"x":7,"w":1},"zz":1})",
         "invalid_body /name /count /flag /inner/x /inner/w /zz"},
        // structure limits
        {deep(3), "invalid_body /tags/0"},
        {deep(16), "invalid_body /tags/0"},
        {deep(17), "malformed_request"},
    };
    for (const auto& [body, expected] : rows) {
        INFO(body);
        CHECK(read(body) == expected);
    }
}

TEST_CASE("structure limits of a body hold at their edge") {
    std::string members = R"({"name":"a")";
    for (std::size_t i = 1; i < json_members_max; ++i)
        members += ",\"f" + std::to_string(i) + "\":1";
    CHECK(read(members + "}").starts_with("invalid_body /f1 "));
    CHECK(read(members + ",\"g\":1}") == "malformed_request");

    std::string values = R"({"name":"a","tags":[)";
    for (std::size_t i = 0; i < json_values_max; ++i) values += i ? ",0" : "0";
    CHECK(read(values + "]}") == "malformed_request");

    FieldReader in{[] {
        std::string body = "{";
        for (int i = 0; i < 100; ++i) body += (i ? ",\"u" : "\"u") + std::to_string(i) + "\":1";
        return body + "}";
    }()};
    in.root();
    const auto done = in.finish();
    REQUIRE_FALSE(done);
    CHECK(done.error().fields.size() == field_errors_max);
}

TEST_CASE("a refusal never quotes the body") {
    FieldReader in{R"({"token":"ck_secret" oops)"};
    const auto done = in.finish();
    REQUIRE_FALSE(done);
    CHECK(done.error().detail.find("secret") == std::string::npos);
}

TEST_CASE("query strings are read strictly") {
    const std::pair<std::string, std::string> rows[] = {
        {"", "ok"},
        {"limit=5", "ok"},
        {"limit=5&", "ok"},
        {"limit=%35", "ok"},
        {"limit=0", "invalid_body ?limit"},
        {"limit=101", "invalid_body ?limit"},
        {"limit=", "invalid_body ?limit"},
        {"limit=1.0", "invalid_body ?limit"},
        {"limit=5&limit=5", "invalid_body ?limit"},
        {"limits=5", "invalid_body ?limits"},
        {"limit=x&foo=1", "invalid_body ?limit ?foo"},
        {"at=2026-11-22T17:00:00%2B01:00", "ok"},
        {"at=2026-11-22T17:00:00+01:00", "invalid_body ?at"},
        {"limit=%3", "malformed_request"},
        {"limit=%zz", "malformed_request"},
        {"limit=%00", "malformed_request"},
        {"limit=%FF", "malformed_request"},
    };
    for (const auto& [text, expected] : rows) {
        INFO(text);
        QueryReader query{text};
        query.maybe_integer("limit", {1, 100});
        query.maybe_instant("at");
        CHECK(told(query.finish()) == expected);
    }
}
