#include "tests/catch.hpp"

#include "core/limits.hpp"
#include "node/metering.hpp"
#include "node/wire.hpp"

using namespace cocoon;
using namespace cocoon::node;
using sealing::Json;
using sealing::ReceiptPrices;
using sealing::ReceiptUsage;

TEST_CASE("cost is exact, rounded up once, and refused where it cannot be represented") {
    struct Row {
        ReceiptPrices price;
        ReceiptUsage usage;
        std::int64_t cost;
    };  // -1: refused
    const std::int64_t most = INT64_MAX;
    const Row rows[] = {
        {{}, {1000, 0, 0, 0, 1, 0}, 0},
        {{1, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0}, 1},
        {{1, 1, 1, 1, 0, 0}, {1, 1, 1, 1, 0, 0}, 1},  // one rounding, not four
        {{1'000'000, 0, 0, 0, 0, 0}, {7, 0, 0, 0, 0, 0}, 7},
        {{500'000, 0, 0, 0, 0, 0}, {3, 0, 0, 0, 0, 0}, 2},  // 1.5
        {{0, 0, 0, 0, 5, 0}, {0, 0, 0, 0, 2, 0}, 10},
        {{0, 0, 0, 0, 0, 9}, {0, 0, 0, 0, 0, 60}, 540},
        {{50, 10, 200, 300, 7, 0},
         {1'000'000, 2'000'000, 3'000'000, 1'000'000, 1, 0},
         50 + 20 + 600 + 300 + 7},
        {{0, 0, 0, 0, most, 0}, {0, 0, 0, 0, 1, 0}, most},
        {{0, 0, 0, 0, most, 0}, {0, 0, 0, 0, 2, 0}, -1},
        {{1, 0, 0, 0, most, 0}, {1, 0, 0, 0, 1, 0}, -1},
        {{most, most, most, most, most, most}, {most, most, most, most, most, most}, -1},
        {{-1, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0}, -1},
        {{1, 0, 0, 0, 0, 0}, {-1, 0, 0, 0, 0, 0}, -1},
    };
    for (const Row& row : rows) {
        const auto cost = cost_of(row.price, row.usage);
        CHECK((cost ? cost->value : -1) == row.cost);
    }
}

TEST_CASE("an engine's usage is read as disjoint counts") {
    struct Row {
        const char* usage;
        bool known;
        ReceiptUsage split;
    };
    const Row rows[] = {
        {R"({"prompt_tokens":10,"completion_tokens":5})", true, {10, 0, 5, 0, 0, 0}},
        {R"({"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4},
             "completion_tokens_details":{"reasoning_tokens":2}})",
         true,
         {6, 4, 3, 2, 0, 0}},
        {R"({"prompt_tokens":10,"prompt_tokens_details":null})", true, {10, 0, 0, 0, 0, 0}},
        {R"({"prompt_tokens":3,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":9}})",
         true,
         {0, 3, 1, 0, 0, 0}},
        {R"({"prompt_tokens":3,"completion_tokens":-4})", true, {3, 0, 0, 0, 0, 0}},
        {R"({"prompt_tokens":3,"completion_tokens":9007199254740991})",
         true,
         {3, 0, limits::tokens_max, 0, 0, 0}},
        {R"({"prompt_tokens":"3"})", false, {}},
        {R"({"completion_tokens":3})", false, {}},
        {"null", false, {}},
        {"[]", false, {}},
    };
    for (const Row& row : rows) {
        INFO(row.usage);
        const auto usage = read_usage(*Json::parse(row.usage));
        REQUIRE(usage.has_value() == row.known);
        if (row.known) CHECK(*usage == row.split);
    }
}

TEST_CASE("what is billed follows the stated rule") {
    struct Row {
        const char* why;
        Metered metered;
        bool generates;
        ReceiptUsage bill;
    };
    const ReceiptUsage some{6, 4, 3, 2, 0, 0};
    const Row rows[] = {
        {"usage known", {some, 9, true, "", true, false}, true, {6, 4, 3, 2, 1, 0}},
        {"usage known, no output",
         {ReceiptUsage{6, 4, 0, 0, 0, 0}, 0, false, "", true, false},
         true,
         {}},
        {"stream without usage",
         {std::nullopt, 7, true, "", true, false},
         true,
         {0, 0, 7, 0, 1, 0}},
        {"whole without usage", {std::nullopt, 0, true, "", true, false}, true, {0, 0, 0, 0, 1, 0}},
        {"nothing at all", {}, true, {}},
        {"embeddings",
         {ReceiptUsage{6, 0, 0, 0, 0, 0}, 0, false, "", true, false},
         false,
         {6, 0, 0, 0, 1, 0}},
    };
    for (const Row& row : rows) {
        INFO(row.why);
        CHECK(row.metered.billed(row.generates) == row.bill);
    }
}

TEST_CASE("usage is cut to the reservation and sides are compared as sides") {
    struct Row {
        ReceiptUsage usage;
        ReceiptUsage bound;
        ReceiptUsage cut;
    };
    const Row rows[] = {
        {{10, 0, 5, 0, 1, 0}, {10, 0, 5, 0, 1, 0}, {10, 0, 5, 0, 1, 0}},
        {{5, 5, 2, 3, 1, 0}, {10, 0, 5, 0, 1, 0}, {5, 5, 2, 3, 1, 0}},
        {{11, 4, 9, 4, 1, 0}, {10, 0, 5, 0, 1, 0}, {6, 4, 1, 4, 1, 0}},
        {{0, 40, 0, 9, 1, 2}, {10, 0, 5, 0, 0, 1}, {0, 10, 0, 5, 0, 1}},
    };
    for (const Row& row : rows) {
        CHECK(cut_to(row.usage, row.bound) == row.cut);
        CHECK(fits(row.cut, row.bound));
        CHECK(fits(row.usage, row.bound) == (row.usage == row.cut));
    }
}

namespace {

const std::string head =
    R"({"id":"c1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]})";
const std::string word =
    R"({"id":"c1","choices":[{"index":0,"delta":{"content":"hi"}}],"odd":1.50})";
const std::string counted =
    R"({"id":"c1","choices":[{"index":0,"delta":{"content":"hi"}}],"usage":{"prompt_tokens":4,"completion_tokens":1}})";
const std::string nulled =
    R"({"id":"c1","choices":[{"index":0,"delta":{"content":"hi"}}],"usage":null})";
const std::string stop = R"({"id":"c1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})";
const std::string total =
    R"({"id":"c1","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}})";

std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

}  // namespace

TEST_CASE("a stream is metered and shown as the client asked, however it is cut") {
    using Shown = StreamMeter::Shown;
    const std::string bare = R"({"id":"c1","choices":[{"index":0,"delta":{"content":"hi"}}]})";
    struct Row {
        const char* why;
        Shown shown;
        std::string in;
        std::string out;
    };
    const std::string done = event("[DONE]");
    const Row rows[] = {
        {"nothing to hide", Shown::none, event(head) + event(word) + event(stop) + done,
         event(head) + event(word) + event(stop) + done},
        {"total not asked for", Shown::none, event(word) + event(stop) + event(total) + done,
         event(word) + event(stop) + done},
        {"null usage not asked for", Shown::none, event(nulled) + event(stop) + done,
         event(bare) + event(stop) + done},
        {"running usage not asked for", Shown::none,
         event(counted) + event(stop) + event(total) + done, event(bare) + event(stop) + done},
        {"total asked for", Shown::at_end, event(word) + event(stop) + event(total) + done,
         event(word) + event(stop) + event(total) + done},
        {"only the total asked for", Shown::at_end,
         event(counted) + event(stop) + event(total) + done,
         event(nulled) + event(stop) + event(total) + done},
        {"all asked for", Shown::always, event(counted) + event(stop) + event(total) + done,
         event(counted) + event(stop) + event(total) + done},
        {"comments, CRLF and other events", Shown::none,
         ": ping\n\nevent: x\ndata: y\n\ndata: " + word + "\r\n\r\n" + done,
         ": ping\n\nevent: x\ndata: y\n\ndata: " + word + "\r\n\r\n" + done},
        {"no blank line at the end", Shown::none, event(word) + "data: [DONE]",
         event(word) + "data: [DONE]"},
    };
    for (const Row& row : rows) {
        for (std::size_t piece : {std::size_t{1}, std::size_t{7}, row.in.size()}) {
            INFO(row.why << ", pieces of " << piece);
            StreamMeter meter{row.shown};
            std::string out;
            for (std::size_t at = 0; at < row.in.size(); at += piece) {
                const auto shown = meter.feed(std::string_view{row.in}.substr(at, piece));
                REQUIRE(shown);
                out += *shown;
            }
            out += meter.finish();
            CHECK(out == row.out);
            CHECK(meter.metered().finished);
            if (row.in.find(total) != std::string::npos)
                CHECK(meter.metered().usage == ReceiptUsage{4, 0, 2, 0, 0, 0});
        }
    }
}

TEST_CASE("a stream's meter counts output, sees errors and bounds an event") {
    StreamMeter meter{StreamMeter::Shown::none};
    for (const char* data :
         {R"({"id":"x","choices":[{"text":"a"}]})",
          R"({"choices":[{"delta":{"reasoning_content":"b"}}]})",
          R"({"choices":[{"delta":{"tool_calls":[{"index":0}]}}]})",
          R"({"choices":[{"delta":{}}]})",
          R"({"choices":[{"delta":{"role":"assistant","content":""}}]})", "not json"})
        REQUIRE(meter.feed(event(data)));
    CHECK(meter.metered().output_events == 3);
    CHECK(meter.metered().answer_id == "x");
    CHECK(!meter.metered().finished);
    REQUIRE(meter.feed(event(R"({"error":{"message":"out of memory"}})")));
    CHECK(meter.metered().failed);
    StreamMeter flooded{StreamMeter::Shown::none};
    CHECK(flooded.feed(std::string(stream_event_bytes_max, 'x')));
    CHECK(flooded.feed("x").error().code == ErrorCode::upstream_failed);
}

TEST_CASE("frames survive the way there and back; broken ones are refused") {
    const std::string data = binary_frame(FrameType::response_data, 0x0102030405060708, "abc");
    const auto frame = parse_binary(data);
    REQUIRE(frame);
    CHECK(frame->stream == 0x0102030405060708);
    CHECK(frame->payload == "abc");
    const auto credit = parse_binary(credit_frame(7, 0xDEADBEEF));
    REQUIRE(credit);
    CHECK(credit->credit == 0xDEADBEEF);
    for (const std::string& bytes :
         {std::string{}, std::string(8, '\1'), std::string(9, '\x33'),
          std::string("\x20\0\0\0\0\0\0\0\1abc", 12), std::string("\x21\0\0\0\0\0\0\0\1x", 10)})
        CHECK(!parse_binary(bytes));
    for (
        const char* text :
        {"", "[]", "{}", R"({"type":1})", R"({"type":"welcome"})",
         R"({"type":"welcome","window_bytes":0})",
         R"({"type":"receipt_ack","job":"off_1","counter":"0"})",
         R"({"type":"receipt_ack","job":"job_1","counter":"01"})",
         R"({"type":"open","stream":"1"})",
         R"({"type":"open","stream":"1","job":"job_1","request":"req_1","fencing_token":"1","market":"m","price":{},"quantity":{"prompt_tokens":-1}})",
         R"({"type":"open","stream":"1","job":"job_1","request":"req_1","fencing_token":"1","market":"m","price":{"prompt_nano_per_mtok":1},"quantity":{}})"}) {
        INFO(text);
        CHECK(!parse_control(text));
    }
    CHECK(std::holds_alternative<UnknownFrame>(
        *parse_control(R"({"type":"from the future","x":[1]})")));
    const auto refused = parse_control(
        R"({"type":"receipt_ack","job":"job_1","counter":"3","refused":"usage_over_bound","detail":"x"})");
    CHECK(std::get<ReceiptAckFrame>(*refused).refused == "usage_over_bound");
    const auto failed =
        Json::parse(failed_frame({4, "upstream_failed", "a \"quote\"", true, R"({"b":1})"}));
    REQUIRE(failed);
    CHECK(failed->find("receipt")->integer_at("b") == 1);
    CHECK(failed->text_at("stream") == "4");
}
