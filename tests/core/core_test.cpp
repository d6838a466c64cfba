// Money, ids, time and encodings: the words every floor shares, at their edges.
#include "core/encoding.hpp"
#include "core/error.hpp"
#include "core/ids.hpp"
#include "core/money.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "tests/catch.hpp"

using namespace cocoon;

TEST_CASE("money is read and written exactly") {
    struct Row {
        std::string_view text;
        std::optional<std::int64_t> value;
    };
    const Row rows[] = {
        {"0", 0},
        {"-1", -1},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"9223372036854775808", {}},
        {"", {}},
        {"-", {}},
        {"+1", {}},
        {"01", {}},
        {"-0", {}},
        {"1.0", {}},
        {" 1", {}},
        {"1 ", {}},
        {"1e3", {}},
        {"0x1", {}},
        {"99999999999999999999", {}},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        const auto read = Nano::parse(row.text);
        REQUIRE(read.has_value() == row.value.has_value());
        if (!read) continue;
        CHECK(read->value == *row.value);
        CHECK(read->text() == row.text);
    }
    CHECK(coins_text({1'500'000'000}) == "1.5");
    CHECK(coins_text({-1}) == "-0.000000001");
    CHECK(coins_text({INT64_MIN}) == "-9223372036.854775808");
    CHECK(basis_points_of({INT64_MAX}, 10'000).value == INT64_MAX);
    CHECK(basis_points_of({19'999}, 500).value == 999);
}

TEST_CASE("an id is refused under another kind's prefix") {
    CHECK(OfferId::parse("off_42") == OfferId{42});
    CHECK(OfferId{42}.text() == "off_42");
    for (const char* text : {"", "off_", "off_0", "off_042", "req_42", "42", "off_-1", "off_42 ",
                             "off_9223372036854775808", "off_18446744073709551616", "OFF_42"})
        CHECK_FALSE(OfferId::parse(text));
    CHECK(OfferId::parse("off_9223372036854775807"));
}

TEST_CASE("instants are RFC 3339") {
    CHECK(Instant{0}.text() == "1970-01-01T00:00:00.000000Z");
    CHECK(Instant::parse("2026-11-22T16:45:00.25Z")->text() == "2026-11-22T16:45:00.250000Z");
    CHECK(Instant::parse("2026-11-22T16:45:00+01:30")->text() == "2026-11-22T15:15:00.000000Z");
    CHECK(Instant::parse("2024-02-29T00:00:00Z"));
    for (const char* text :
         {"", "2026-11-22", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z", "2026-11-22T24:00:00Z",
          "2026-11-22T16:45:00", "2026-11-22T16:45:00.Z", "2026-11-22T16:45:00Zx",
          "2026-11-22 16:45:00Z", "1969-12-31T23:59:59Z"})
        CHECK_FALSE(Instant::parse(text));
}

TEST_CASE("encodings have one spelling") {
    const Bytes bytes{0, 1, 0xFE, 0xFF};
    CHECK(to_hex(bytes) == "0001feff");
    CHECK(from_hex("0001feff") == bytes);
    CHECK_FALSE(from_hex("0001FEFF"));
    CHECK_FALSE(from_hex("000"));
    CHECK(to_base64(bytes) == "AAH+/w==");
    CHECK(from_base64("AAH+/w==") == bytes);
    CHECK(to_base64url(bytes) == "AAH-_w");
    CHECK(from_base64url("AAH-_w") == bytes);
    for (const char* text : {"AAH+/w=", "AAH+/w", "AAH+/x==", "AAH-_w==", "A===", "AAH+ /w=="})
        CHECK_FALSE(from_base64(text));
    CHECK_FALSE(from_base64url("AAH-_w=="));
    CHECK(is_utf8("gr\xC3\xBC\xC3\x9F \xF0\x9F\xA6\x8B"));
    for (const char* text :
         {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3", "\xFF", "\x80"})
        CHECK_FALSE(is_utf8(text));
}

TEST_CASE("each refusal has one name") {
    for (const ErrorInfo& row : all_errors()) {
        CHECK(find_error(row.name) == &row);
        CHECK(row.status >= 400);
        CHECK(describe(row.code).name == row.name);
    }
    CHECK(find_error("no_such_code") == nullptr);
    Result<int> refused = refuse(ErrorCode::not_found);
    CHECK_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::not_found);
}
