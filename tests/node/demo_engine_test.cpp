#include "tests/catch.hpp"

#include <cstring>

#include "net/http_client.hpp"
#include "tests/node/helpers.hpp"

using namespace cocoon;
using namespace cocoon::node;
using sealing::Json;

namespace {

net::ClientResponse call(net::HttpClient& client, const std::string& url, const std::string& path,
                         const std::string& body) {
    net::ClientRequest request;
    request.method = body.empty() ? "GET" : "POST";
    request.url = url + path;
    request.body = body;
    auto response = client.send(request);
    REQUIRE(response);
    return *response;
}

const Json& at(const Json& document, std::initializer_list<const char*> path) {
    const Json* value = &document;
    static const Json nothing;
    for (const std::string_view name : path) {
        if (value->is_array())
            value = std::stoul(std::string{name}) < value->items().size()
                        ? &value->items()[std::stoul(std::string{name})]
                        : nullptr;
        else
            value = value->find(name);
        if (value == nullptr) return nothing;
    }
    return *value;
}

std::vector<Json> chunks_of(const std::string& stream, bool& done) {
    std::vector<Json> chunks;
    done = stream.ends_with("data: [DONE]\n\n");
    for (std::size_t begin = 0; begin < stream.size();) {
        const std::size_t end = stream.find("\n\n", begin);
        REQUIRE(end != std::string::npos);
        const std::string event = stream.substr(begin, end - begin);
        REQUIRE(event.starts_with("data: "));
        if (event != "data: [DONE]") chunks.push_back(*Json::parse(event.substr(6)));
        begin = end + 2;
    }
    return chunks;
}

}  // namespace

TEST_CASE("demo engine: tokens put together are the text") {
    for (const char* text : {"", " ", "a", "Hello, world!", "eight888nine",
                             "äöü€uroŁódź漢字漢字漢字", "\n\n x\t y  "}) {
        std::string joined;
        for (const std::string_view token : demo::tokens_of(text)) {
            CHECK(!token.empty());
            CHECK(is_utf8(token));
            joined += token;
        }
        CHECK(joined == text);
    }
}

TEST_CASE("demo engine: refusals have OpenAI's shape") {
    const test::EngineThread engine;
    net::HttpClient client;
    struct Row {
        const char* path;
        const char* body;
        int status;
        const char* code;
        const char* parameter;
    };
    const Row rows[] = {
        {"/v1/chat/completions", "{", 400, "invalid_json", nullptr},
        {"/v1/chat/completions", "[]", 400, "invalid_json", nullptr},
        {"/v1/chat/completions", "{}", 400, "invalid_value", "model"},
        {"/v1/chat/completions", R"({"model":"gpt-9","messages":[{"role":"user","content":"x"}]})",
         404, "model_not_found", "model"},
        {"/v1/chat/completions", R"({"model":"demo-small"})", 400, "invalid_value", "messages"},
        {"/v1/chat/completions", R"({"model":"demo-small","messages":[]})", 400, "invalid_value",
         "messages"},
        {"/v1/chat/completions",
         R"({"model":"demo-small","messages":[{"role":"king","content":"x"}]})", 400,
         "invalid_value", "messages[0].role"},
        {"/v1/chat/completions",
         R"({"model":"demo-small","messages":[{"role":"user","content":7}]})", 400, "invalid_value",
         "messages[0].content"},
        {"/v1/chat/completions",
         R"({"model":"demo-small","n":2,"messages":[{"role":"user","content":"x"}]})", 400,
         "invalid_value", "n"},
        {"/v1/chat/completions",
         R"({"model":"demo-small","max_tokens":0,"messages":[{"role":"user","content":"x"}]})", 400,
         "invalid_value", "max_tokens"},
        {"/v1/chat/completions",
         R"({"model":"demo-small","stop":7,"messages":[{"role":"user","content":"x"}]})", 400,
         "invalid_value", "stop"},
        {"/v1/chat/completions",
         R"({"model":"demo-small","stream":"yes","messages":[{"role":"user","content":"x"}]})", 400,
         "invalid_value", "stream"},
        {"/v1/chat/completions",
         R"({"model":"demo-small","stream_options":{},"messages":[{"role":"user","content":"x"}]})",
         400, "invalid_value", "stream_options"},
        {"/v1/chat/completions",
         R"({"model":"demo-small","tools":[{}],"messages":[{"role":"user","content":"x"}]})", 400,
         "invalid_value", "tools[0].function.name"},
        {"/v1/completions", R"({"model":"demo-small"})", 400, "invalid_value", "prompt"},
        {"/v1/embeddings", R"({"model":"demo-small","input":[]})", 400, "invalid_value", "input"},
        {"/v1/embeddings", R"({"model":"demo-small","input":"x","encoding_format":"hex"})", 400,
         "invalid_value", "encoding_format"},
        {"/v1/embeddings", R"({"model":"demo-small","input":"x","dimensions":0})", 400,
         "invalid_value", "dimensions"},
        {"/v1/models/none", "", 404, "model_not_found", "model"},
        {"/v1/images", "{}", 404, "unknown_url", nullptr},
        {"/v1/chat/completions", "", 405, "method_not_allowed", nullptr},
    };
    for (const Row& row : rows) {
        INFO(row.path << " " << row.body);
        const auto response = call(client, engine.url(), row.path, row.body);
        CHECK(response.status == row.status);
        const auto document = Json::parse(response.body);
        REQUIRE(document);
        CHECK(at(*document, {"error", "code"}).text() == row.code);
        CHECK(!at(*document, {"error", "message"}).text().value_or("").empty());
        if (row.parameter != nullptr)
            CHECK(at(*document, {"error", "param"}).text() == row.parameter);
    }
}

TEST_CASE("demo engine: whole answers") {
    const test::EngineThread engine;
    net::HttpClient client;
    const std::string body =
        R"({"model":"demo-small","messages":[{"role":"system","content":"be kind"},{"role":"user","content":"Tell me about Utrecht"}]})";
    const auto first = Json::parse(call(client, engine.url(), "/v1/chat/completions", body).body);
    const auto second = Json::parse(call(client, engine.url(), "/v1/chat/completions", body).body);
    REQUIRE(first);
    CHECK(at(*first, {"choices", "0", "message", "content"}) ==
          at(*second, {"choices", "0", "message", "content"}));
    const auto text = at(*first, {"choices", "0", "message", "content"}).text().value_or("");
    CHECK(text.find("demo engine") != std::string_view::npos);
    CHECK(text.find("Tell me about Utrecht") != std::string_view::npos);
    CHECK(at(*first, {"usage", "completion_tokens"}).integer() ==
          static_cast<std::int64_t>(demo::tokens_of(text).size()));
    CHECK(at(*first, {"usage", "prompt_tokens_details", "cached_tokens"}).integer() == 5);

    struct Row {
        const char* extra;
        const char* finish;
        std::int64_t completion;
    };
    const Row rows[] = {
        {R"(,"max_tokens":3)", "length", 3},
        {R"(,"max_completion_tokens":2)", "length", 2},
        {R"(,"stop":"engine")", "stop", 3},
        {R"(,"stop":["nowhere","demo"])", "stop", 1},
        {R"(,"tool_choice":"required","tools":[{"type":"function","function":{"name":"look_up","parameters":{"properties":{"city":{"type":"string"},"n":{"type":"integer"}}}}}])",
         "tool_calls", -1},
        {R"(,"reasoning_effort":"low","max_tokens":40)", "length", 40},
    };
    for (const Row& row : rows) {
        INFO(row.extra);
        const auto answer = Json::parse(
            call(
                client, engine.url(), "/v1/chat/completions",
                R"({"model":"demo-small","messages":[{"role":"user","content":"3 days in Rome"}])" +
                    std::string{row.extra} + "}")
                .body);
        REQUIRE(answer);
        CHECK(at(*answer, {"choices", "0", "finish_reason"}).text() == row.finish);
        if (row.completion >= 0)
            CHECK(at(*answer, {"usage", "completion_tokens"}).integer() == row.completion);
    }
    const auto tool = Json::parse(
        call(client, engine.url(), "/v1/chat/completions",
             R"({"model":"demo-small","messages":[{"role":"user","content":"3 days in Rome"}])" +
                 std::string{rows[4].extra} + "}")
            .body);
    CHECK(
        at(*tool, {"choices", "0", "message", "tool_calls", "0", "function", "arguments"}).text() ==
        R"({"city":"Rome","n":3})");
    const auto after = Json::parse(
        call(
            client, engine.url(), "/v1/chat/completions",
            R"({"model":"demo-small","messages":[{"role":"user","content":"x"},{"role":"assistant","content":null},{"role":"tool","content":"21 degrees"}]})")
            .body);
    CHECK(
        at(*after, {"choices", "0", "message", "content"}).text().value_or("").find("21 degrees") !=
        std::string_view::npos);
    const auto completion =
        Json::parse(call(client, engine.url(), "/v1/completions",
                         R"({"model":"demo-small","prompt":["a","b"],"max_tokens":4})")
                        .body);
    CHECK(at(*completion, {"choices"}).items().size() == 2);
    CHECK(at(*completion, {"usage", "completion_tokens"}).integer() == 8);
}

TEST_CASE("demo engine: streams say the same as whole answers") {
    const test::EngineThread engine;
    net::HttpClient client;
    struct Row {
        const char* path;
        const char* body;
        const char* text_at;
    };
    const Row rows[] = {
        {"/v1/chat/completions",
         R"("messages":[{"role":"user","content":"Tell me about Utrecht"}])", "content"},
        {"/v1/chat/completions",
         R"("max_tokens":5,"messages":[{"role":"user","content":"write 50 words"}])", "content"},
        {"/v1/chat/completions",
         R"("reasoning_effort":"high","messages":[{"role":"user","content":"think"}])", "content"},
        {"/v1/completions", R"("max_tokens":100,"prompt":"Once")", "text"},
    };
    for (const Row& row : rows) {
        INFO(row.body);
        const auto whole =
            Json::parse(call(client, engine.url(), row.path,
                             R"({"model":"demo-small",)" + std::string{row.body} + "}")
                            .body);
        const auto response =
            call(client, engine.url(), row.path,
                 R"({"model":"demo-small","stream":true,"stream_options":{"include_usage":true},)" +
                     std::string{row.body} + "}");
        CHECK(response.headers.get("Content-Type") == "text/event-stream");
        bool done = false;
        const auto chunks = chunks_of(response.body, done);
        CHECK(done);
        REQUIRE(chunks.size() >= 3);
        std::string text;
        std::string finish;
        for (const Json& chunk : chunks) {
            text += at(chunk, {"choices", "0", "delta", row.text_at}).text().value_or("");
            text += at(chunk, {"choices", "0", row.text_at}).text().value_or("");
            finish += at(chunk, {"choices", "0", "finish_reason"}).text().value_or("");
        }
        const bool chat = std::string_view{row.text_at} == "content";
        CHECK(text == (chat ? at(*whole, {"choices", "0", "message", "content"})
                            : at(*whole, {"choices", "0", "text"}))
                          .text());
        CHECK(finish == at(*whole, {"choices", "0", "finish_reason"}).text());
        CHECK(at(chunks.back(), {"usage"}) == at(*whole, {"usage"}));
        CHECK(at(chunks.back(), {"choices"}).items().empty());
        if (chat)
            CHECK(at(chunks.front(), {"choices", "0", "delta", "role"}).text() == "assistant");
    }
}

TEST_CASE("demo engine: embeddings are deterministic unit vectors in both formats") {
    const test::EngineThread engine;
    net::HttpClient client;
    const auto floats =
        Json::parse(call(client, engine.url(), "/v1/embeddings",
                         R"({"model":"demo-small","input":["a b","c"],"dimensions":8})")
                        .body);
    const auto packed = Json::parse(
        call(
            client, engine.url(), "/v1/embeddings",
            R"({"model":"demo-small","input":["a b","c"],"dimensions":8,"encoding_format":"base64"})")
            .body);
    REQUIRE(floats);
    REQUIRE(at(*floats, {"data"}).items().size() == 2);
    CHECK(at(*floats, {"usage", "prompt_tokens"}).integer() == 3);
    for (const char* index : {"0", "1"}) {
        const auto bytes =
            from_base64(at(*packed, {"data", index, "embedding"}).text().value_or(""));
        REQUIRE(bytes);
        REQUIRE(bytes->size() == 32);
        double square = 0;
        for (std::size_t i = 0; i < 8; ++i) {
            float value = 0;
            std::memcpy(&value, bytes->data() + 4 * i, 4);
            CHECK(at(*floats, {"data", index, "embedding", std::to_string(i).c_str()}).number() ==
                  Approx(value));
            square += static_cast<double>(value) * value;
        }
        CHECK(square == Approx(1.0));
    }
}

TEST_CASE("demo engine: told to fail, it refuses or cuts; a caller who hangs up stops it") {
    net::HttpClient client;
    {
        demo::Options options;
        options.fail_after = 0;
        const test::EngineThread engine{options};
        CHECK(call(client, engine.url(), "/v1/models", "").status == 200);
        CHECK(call(client, engine.url(), "/v1/embeddings", R"({"model":"demo-small","input":"x"})")
                  .status == 503);
    }
    {
        demo::Options options;
        options.fail_after = 3;
        const test::EngineThread engine{options};
        for (const char* stream : {"true", "false"}) {
            net::ClientRequest request;
            request.method = "POST";
            request.url = engine.url() + "/v1/chat/completions";
            request.body =
                R"({"model":"demo-small","messages":[{"role":"user","content":"x"}],"stream":)" +
                std::string{stream} + "}";
            CHECK(!client.send(request));
        }
    }
    demo::Options options;
    options.token_delay = milliseconds(1);
    const test::EngineThread engine{options};
    net::ClientRequest request;
    request.method = "POST";
    request.url = engine.url() + "/v1/chat/completions";
    request.body =
        R"({"model":"demo-small","stream":true,"messages":[{"role":"user","content":"write 30000 words"}]})";
    int pieces = 0;
    const auto stopped = client.stream(
        request, [](const auto&) { return true; }, [&](std::string_view) { return ++pieces < 3; });
    CHECK(!stopped);
    CHECK(test::eventually([&] { return engine.hang_ups() == 1; }));
}
