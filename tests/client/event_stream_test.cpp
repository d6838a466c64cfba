#include "client/event_stream.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::client;

namespace {

const Prices price{20'000'000, 5'000'000, 60'000'000, 60'000'000, 1'000, 0};

std::vector<std::string> split(const std::vector<std::string>& pieces) {
    EventSplitter splitter;
    std::vector<std::string> events;
    for (const std::string& piece : pieces) {
        splitter.feed(piece);
        while (const auto event = splitter.next()) events.emplace_back(*event);
    }
    events.emplace_back(splitter.rest());
    return events;
}

struct Seen {
    std::string before_end, at_end;
};

Seen pass(const std::vector<std::string>& pieces, bool include_usage) {
    AnswerStream stream{price, include_usage};
    Seen seen;
    for (const std::string& piece : pieces) {
        const auto out = stream.feed(piece);
        REQUIRE(out);
        seen.before_end += *out;
    }
    seen.at_end = stream.finish("job_9");
    return seen;
}

const std::string delta =
    "data: {\"choices\":[{\"delta\":{\"content\":\"h\xC3\xA9 [DONE] \\\"usage\\\"\"}}]}\n\n";
const std::string null_usage = "data: {\"choices\":[{\"delta\":{}}],\"usage\":null}\n\n";
const std::string usage_event =
    "data: "
    "{\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n";
const std::string usage_priced =
    "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"cost_nano\":\"1440\",\"cost\":\"0.00000144\","
    "\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n";
const std::string done = "data: [DONE]\n\n";
const std::string note =
    ": cocoon {\"receipt\":\"job_9\",\"cost_nano\":\"1440\",\"cost\":\"0.00000144\"}\n\n";

}  // namespace

TEST_CASE("event stream: events are the same wherever the bytes are cut") {
    struct Row {
        std::string bytes;
        std::vector<std::string> events;
    };
    const Row rows[] = {
        {"a\n\nb\n\n", {"a\n\n", "b\n\n", ""}},
        {"a\r\n\r\nb\r\n\r\n", {"a\r\n\r\n", "b\r\n\r\n", ""}},
        {"a\r\rb\r\rc", {"a\r\r", "b\r\r", "c"}},
        {"a\nb\n\r\nc", {"a\nb\n\r\n", "c"}},
        {"a\n\n\nb", {"a\n\n", "\nb"}},
        {"", {""}},
        {"data: x", {"data: x"}},
    };
    for (const Row& row : rows) {
        INFO(row.bytes);
        for (std::size_t first = 0; first <= row.bytes.size(); ++first)
            for (std::size_t second = first; second <= row.bytes.size(); ++second)
                CHECK(split({row.bytes.substr(0, first), row.bytes.substr(first, second - first),
                             row.bytes.substr(second)}) == row.events);
    }
}

TEST_CASE("event stream: data lines") {
    struct Row {
        const char* event;
        std::optional<std::string> data;
    };
    const Row rows[] = {{"data: x\n\n", "x"},      {"data:x\n\n", "x"},
                        {"data:  x\n\n", " x"},    {"data: a\ndata: b\n\n", "a\nb"},
                        {": c\n\n", std::nullopt}, {"event: e\r\ndata: x\r\n\r\n", "x"},
                        {"data\n\n", ""},          {"database: x\n\n", std::nullopt}};
    for (const Row& row : rows) {
        INFO(row.event);
        CHECK(data_of(row.event) == row.data);
    }
}

TEST_CASE("event stream: what the SDK sees does not depend on how the bytes are cut") {
    const std::string whole = delta + null_usage + delta + usage_event + done;
    for (std::size_t at = 0; at <= whole.size(); ++at) {
        const Seen asked = pass({whole.substr(0, at), whole.substr(at)}, true);
        CHECK(asked.before_end == delta + null_usage + delta + usage_priced);
        CHECK(asked.at_end == note + done);
        const Seen not_asked = pass({whole.substr(0, at), whole.substr(at)}, false);
        CHECK(not_asked.before_end == delta + null_usage + delta);
        CHECK(not_asked.at_end == note + done);
    }
    std::vector<std::string> bytes;
    for (const char c : whole) bytes.emplace_back(1, c);
    CHECK(pass(bytes, true).before_end == delta + null_usage + delta + usage_priced);
}

TEST_CASE("event stream: [DONE] never goes out before the sealed end") {
    AnswerStream stream{price, true};
    CHECK(stream.feed(delta + done + ": after\n\n").value() == delta);
    CHECK(stream.finish("job_9") == ": cocoon {\"receipt\":\"job_9\"}\n\n" + done + ": after\n\n");
}

TEST_CASE("event stream: an end without a blank line loses nothing") {
    CHECK(pass({delta, "data: [DONE]"}, true).at_end ==
          ": cocoon {\"receipt\":\"job_9\"}\n\n" + done);
    CHECK(pass({delta, "data: [DONE]\n"}, true).at_end ==
          ": cocoon {\"receipt\":\"job_9\"}\n\n" + done);
    CHECK(pass({"data: x"}, true).at_end == "data: x\n\n: cocoon {\"receipt\":\"job_9\"}\n\n");
}

TEST_CASE("event stream: usage in an event with choices is kept and priced") {
    const std::string event =
        "data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":10,"
        "\"completion_tokens\":4}}\n\n";
    CHECK(pass({event}, false).before_end ==
          "data: "
          "{\"choices\":[{\"delta\":{}}],\"usage\":{\"cost_nano\":\"1440\",\"cost\":\"0.00000144\","
          "\"prompt_tokens\":10,\"completion_tokens\":4}}\n\n");
    const std::string odd = "data: {\"usage\":{broken\n\n";
    CHECK(pass({odd}, true).before_end == odd);
}

TEST_CASE("event stream: an event beyond the limit is refused") {
    AnswerStream stream{price, true};
    const std::string piece(1 << 20, 'x');
    Result<std::string> out{std::string{}};
    for (int i = 0; i < 5 && out; ++i) out = stream.feed(piece);
    REQUIRE(!out);
    CHECK(out.error().code == ErrorCode::upstream_failed);
}

TEST_CASE("event stream: whole answers get their cost and keep every other byte") {
    struct Row {
        const char* body;
        const char* expected;
    };
    const Row rows[] = {
        {R"({"id":"x","usage":{"prompt_tokens":10,"completion_tokens":4},"z":[1, 2]})",
         R"({"id":"x","usage":{"cost_nano":"1440","cost":"0.00000144","prompt_tokens":10,)"
         R"("completion_tokens":4},"z":[1, 2]})"},
        {R"({"usage":{}})", R"({"usage":{}})"},
        {R"({"usage":null})", R"({"usage":null})"},
        {R"({"error":{"message":"no"}})", R"({"error":{"message":"no"}})"},
        {"not json", "not json"},
    };
    for (const Row& row : rows) {
        INFO(row.body);
        CHECK(price_answer(row.body, price, Endpoint::chat_completions).body == row.expected);
    }
}
