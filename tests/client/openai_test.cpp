#include "client/json_spans.hpp"
#include "client/openai.hpp"
#include "client/openai_error.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::client;
using cocoon::sealing::cost_of;

namespace {

constexpr Endpoint chat = Endpoint::chat_completions;
constexpr Endpoint text = Endpoint::completions;
constexpr Endpoint embed = Endpoint::embeddings;

std::string refused_param(Endpoint endpoint, const std::string& body) {
    const auto request = inspect_request(endpoint, body, {});
    if (request) return "accepted";
    CHECK(describe(request.error().code).status == 400);
    return request.error().fields.empty() ? "-" : request.error().fields.front().path;
}

}  // namespace

TEST_CASE("openai: the output bound follows max_tokens, n, best_of and prompts") {
    struct Row {
        Endpoint endpoint;
        const char* body;
        std::int64_t output;
    };
    const Row rows[] = {
        {chat, R"({"model":"m"})", 4096},
        {chat, R"({"model":"m","max_tokens":5})", 5},
        {chat, R"({"model":"m","max_tokens":5,"max_completion_tokens":7})", 7},
        {chat, R"({"model":"m","max_completion_tokens":null,"max_tokens":5})", 5},
        {chat, R"({"model":"m","max_tokens":5,"n":3})", 15},
        {chat, R"({"model":"m","max_tokens":5,"best_of":9})", 5},
        {text, R"({"model":"m","max_tokens":5,"n":2,"best_of":3})", 15},
        {text, R"({"model":"m","max_tokens":5,"prompt":["a","b","c"]})", 15},
        {text, R"({"model":"m","max_tokens":5,"prompt":[1,2,3]})", 5},
        {text, R"({"model":"m","max_tokens":5,"prompt":[[1,2],[3]]})", 10},
        {text, R"({"model":"m","max_tokens":5,"prompt":[]})", 5},
        {embed, R"({"model":"m","input":"a","max_tokens":5})", 0},
    };
    for (const Row& row : rows) {
        INFO(row.body);
        const auto request = inspect_request(row.endpoint, row.body, {});
        REQUIRE(request);
        CHECK(request->bound.completion == row.output);
        CHECK(request->bound.requests == 1);
        CHECK(request->bound.cached == 0);
        CHECK(request->bound.reasoning == 0);
    }
}

TEST_CASE("openai: the prompt bound counts bytes, and inline media apart") {
    const std::string plain = R"({"model":"m","messages":[{"role":"user","content":"abcdefgh"}]})";
    const auto bound = [](const std::string& body, std::int64_t per_token) {
        EstimateSettings settings;
        settings.prompt_bytes_per_token = per_token;
        settings.media_tokens_each = 1'000;
        const auto request = inspect_request(chat, body, settings);
        REQUIRE(request);
        return request->bound.prompt;
    };
    const auto size = static_cast<std::int64_t>(plain.size());
    CHECK(bound(plain, 1) == size + 64);
    CHECK(bound(plain, 2) == (size + 1) / 2 + 64);
    CHECK(bound(plain, 8) == (size + 7) / 8 + 64);
    const std::string url = "\"data:image/png;base64," + std::string(100'000, 'A') + "\"";
    const std::string before =
        R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url",)"
        R"("image_url":{"url":)";
    const auto rest = static_cast<std::int64_t>(before.size() + 6);
    CHECK(bound(before + url + "}}]}]}", 1) == rest + 64 + 1'000);
}

TEST_CASE("openai: bodies pass byte for byte, but for a pinned build") {
    const std::string odd =
        "{ \"tools\" : [ 1e2 , {\"x\":\"\\u00e9\"} ],\n\"model\":\"m\", "
        "\"zzz\":{\"unknown\":true},\"big\":12345678901234567890 }";
    const auto request = inspect_request(chat, odd, {});
    REQUIRE(request);
    CHECK(request->body == odd);
    CHECK(request->model == "m");
    struct Row {
        const char* model;
        const char* name;
        const char* build;
        const char* sent;
    };
    const Row rows[] = {
        {R"("a@b")", "a", "b", R"("a")"},
        {R"("org/a@b@c")", "org/a@b", "c", R"("org/a@b")"},
        {R"("\u0061@q8")", "a", "q8", R"("a")"},
        {R"("a\"b@q8")", "a\"b", "q8", R"("a\"b")"},
    };
    for (const Row& row : rows) {
        INFO(row.model);
        const auto pinned = inspect_request(chat,
                                            "{\"x\": 1,\"model\" : " + std::string{row.model} +
                                                " ,"
                                                "\"y\":[ ]}",
                                            {});
        REQUIRE(pinned);
        CHECK(pinned->model == row.name);
        CHECK(pinned->build == row.build);
        CHECK(pinned->body == "{\"x\": 1,\"model\" : " + std::string{row.sent} + " ,\"y\":[ ]}");
    }
}

TEST_CASE("openai: bodies that cannot be understood are refused by their member") {
    struct Row {
        Endpoint endpoint;
        std::string body;
        const char* param;
    };
    const Row rows[] = {
        {chat, "", "-"},
        {chat, "[]", "-"},
        {chat, "{", "-"},
        {chat, "{}x", "-"},
        {chat, "\xff", "-"},
        {chat, R"({"model":"m",})", "-"},
        {chat, R"({"model":"m" "x":1})", "-"},
        {chat, R"({"model":"m","a":01})", "-"},
        {chat, R"({"model":"m","a":.5})", "-"},
        {chat, R"({"model":"m","a":"\x"})", "-"},
        {chat, "{\"model\":\"m\",\"a\":\"\n\"}", "-"},
        {chat, R"({"model":"m","a":nul})", "-"},
        {chat, "{\"a\":" + std::string(100'000, '['), "-"},
        {chat, R"({"model":"m","model":"n"})", "/model"},
        {chat, R"({})", "/model"},
        {chat, R"({"model":null})", "/model"},
        {chat, R"({"model":7})", "/model"},
        {chat, R"({"model":""})", "/model"},
        {chat, R"({"model":"@b"})", "/model"},
        {chat, R"({"model":"a@"})", "/model"},
        {chat, "{\"model\":\"" + std::string(129, 'm') + "\"}", "/model"},
        {chat, R"({"model":"m","max_tokens":0})", "/max_tokens"},
        {chat, R"({"model":"m","max_tokens":-1})", "/max_tokens"},
        {chat, R"({"model":"m","max_tokens":1.5})", "/max_tokens"},
        {chat, R"({"model":"m","max_tokens":"5"})", "/max_tokens"},
        {chat, R"({"model":"m","max_tokens":99999999999999999999})", "/max_tokens"},
        {chat, R"({"model":"m","max_completion_tokens":0})", "/max_completion_tokens"},
        {chat, R"({"model":"m","n":0})", "/n"},
        {chat, R"({"model":"m","n":129})", "/n"},
        {chat, R"({"model":"m","max_tokens":1000000000000,"n":2})", "/max_tokens"},
        {chat, R"({"model":"m","stream":"yes"})", "/stream"},
        {chat, R"({"model":"m","stream":true,"stream_options":[]})", "/stream_options"},
        {chat, R"({"model":"m","stream":true,"stream_options":{"include_usage":1}})",
         "/stream_options"},
        {chat, R"({"model":"m","stream":null,"n":null,"max_tokens":null,"stream_options":null})",
         "accepted"},
    };
    for (const Row& row : rows) {
        INFO(row.body.substr(0, 100));
        CHECK(refused_param(row.endpoint, row.body) == row.param);
    }
}

TEST_CASE("openai: every prefix of a body is refused or read, never worse") {
    const std::string body =
        R"({"model":"m","messages":[{"role":"user","content":"h\u00e9 \"x\" 1.5e-7"}],)"
        R"("n":1,"stream":true})";
    for (std::size_t length = 0; length < body.size(); ++length) {
        INFO(length);
        CHECK(!inspect_request(chat, body.substr(0, length), {}));
    }
    CHECK(inspect_request(chat, body, {}));
}

TEST_CASE("openai: headers tighten the settings and never loosen them") {
    Config config;
    config.tiers = {"tdx", "snp"};
    config.cost_max = Nano{1'000};
    config.price_max.prompt = 50;
    config.constraints = sealing::Json::parse(R"({"regions":["eu","us"],"data_policy":["gdpr"],)"
                                              R"("reputation_permille_min":900})")
                             .value();
    const auto read = [&](const char* name, const char* value) {
        return read_call_options(net::Headers{{"Authorization", "x"}, {name, value}}, config);
    };
    // of the placing body
    struct Row {
        const char* name;
        const char* value;
        const char* expected;
    };
    const Row rows[] = {
        {"Accept", "x",
         R"({"cap":"1000","prompt":"50","constraints":{"data_policy":["gdpr"],"regions":["eu",)"
         R"("us"],"reputation_permille_min":900,"tiers":["tdx","snp"]},"tif":"immediate"})"},
        {"X-Cocoon-Max-Cost-Nano", "999",
         R"({"cap":"999","prompt":"50","constraints":{"data_policy":["gdpr"],)"
         R"("regions":["eu","us"],"reputation_permille_min":900,"tiers":["tdx","snp"]},"tif":"immediate"})"},
        {"X-Cocoon-Max-Cost-Nano", "1001",
         R"({"cap":"1000","prompt":"50","constraints":{"data_policy":["gdpr"],"regions":["eu","us"],)"
         R"("reputation_permille_min":900,"tiers":["tdx","snp"]},"tif":"immediate"})"},
        {"x-cocoon-max-price-prompt-nano", "7",
         R"({"cap":"1000","prompt":"7","constraints":{"data_policy":["gdpr"],"regions":["eu","us"],)"
         R"("reputation_permille_min":900,"tiers":["tdx","snp"]},"tif":"immediate"})"},
        {"X-Cocoon-Tiers", " snp ",
         R"({"cap":"1000","prompt":"50","constraints":{"data_policy":["gdpr"],)"
         R"("regions":["eu","us"],"reputation_permille_min":900,"tiers":["snp"]},"tif":"immediate"})"},
        {"X-Cocoon-Regions", "us",
         R"({"cap":"1000","prompt":"50","constraints":{"data_policy":["gdpr"],)"
         R"("regions":["us"],"reputation_permille_min":900,"tiers":["tdx","snp"]},"tif":"immediate"})"},
        {"X-Cocoon-Data-Policy", "soc2,gdpr",
         R"({"cap":"1000","prompt":"50","constraints":{"data_policy":["gdpr","soc2"],"regions":["eu","us"],)"
         R"("reputation_permille_min":900,"tiers":["tdx","snp"]},"tif":"immediate"})"},
        {"X-Cocoon-Reputation-Min-Permille", "5",
         R"({"cap":"1000","prompt":"50","constraints":{"data_policy":["gdpr"],"regions":["eu","us"],)"
         R"("reputation_permille_min":900,"tiers":["tdx","snp"]},"tif":"immediate"})"},
        {"X-Cocoon-Wait-Seconds", "9",
         R"({"cap":"1000","prompt":"50","constraints":{"data_policy":["gdpr"],)"
         R"("regions":["eu","us"],"reputation_permille_min":900,"tiers":["tdx","snp"]},"tif":"rest"})"},
    };
    const auto request = inspect_request(chat, R"({"model":"m"})", {});
    REQUIRE(request);
    for (const Row& row : rows) {
        INFO(row.name << ": " << row.value);
        const auto options = read(row.name, row.value);
        REQUIRE(options);
        const sealing::Json body = placing_body(*request, *options, config);
        sealing::Json seen = sealing::Json::object(
            {{"cap", *body.find("cap_total_nano")},
             {"prompt", *body.find("cap_price")->find("prompt_nano_per_mtok")},
             {"constraints", *body.find("constraints")},
             {"tif", *body.find("time_in_force")}});
        CHECK(seen.canonical() == sealing::Json::parse(row.expected)->canonical());
        CHECK(options->as_configured == (row.name == std::string_view{"Accept"}));
    }
    for (const auto& [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
             {"X-Cocoon-Max-Cost", "5"},
             {"X-Cocoon-Max-Cost-Nano", "-5"},
             {"X-Cocoon-Max-Cost-Nano", "1e3"},
             {"X-Cocoon-Max-Cost-Nano", ""},
             {"X-Cocoon-Tiers", "simulated"},
             {"X-Cocoon-Tiers", ""},
             {"X-Cocoon-Regions", "mars"},
             {"X-Cocoon-Regions", ","},
             {"X-Cocoon-Wait-Seconds", "3601"},
             {"X-Cocoon-Build", ""},
             {"X-Cocoon-Nonsense", "1"},
             {"X-Cocoon-", "1"},
             {"X-Cocoon-Max-Price-Gpu-Second-Nano", "x"},
             {"X-Cocoon-Reputation-Min-Permille", "1001"}}) {
        INFO(name << ": " << value);
        const auto options = read(name, value);
        REQUIRE(!options);
        CHECK(options.error().fields.front().path == std::string{name} + ":");
    }
}

TEST_CASE("openai: usage as disjoint counts, and the exact cost") {
    struct Row {
        const char* usage;
        Quantities expected;
    };
    const Row rows[] = {
        {R"({"prompt_tokens":10,"completion_tokens":4,"total_tokens":14})", {10, 0, 4, 0, 1, 0}},
        {R"({"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":3},)"
         R"("completion_tokens_details":{"reasoning_tokens":1}})",
         {7, 3, 3, 1, 1, 0}},
        {R"({"prompt_tokens":10,"prompt_tokens_details":{"cached_tokens":30},)"
         R"("completion_tokens_details":null})",
         {0, 10, 0, 0, 1, 0}},
        {R"({"prompt_tokens":-1,"completion_tokens":9007199254740993})", {0, 0, 0, 0, 1, 0}},
    };
    for (const Row& row : rows) {
        INFO(row.usage);
        const auto usage = usage_of(row.usage);
        REQUIRE(usage);
        CHECK(*usage == row.expected);
    }
    CHECK(!usage_of("{}"));
    CHECK(!usage_of("{\"total_tokens\":1}"));
    const Prices price{20'000'000, 5'000'000, 60'000'000, 60'000'000, 1'000, 0};
    CHECK(cost_of(price, {10, 0, 4, 0, 1, 0})->value == 1'440);
    CHECK(cost_of(price, {0, 1, 0, 0, 0, 0})->value == 5);
    CHECK(cost_of({1, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0})->value == 1);  // one rounding, up
    CHECK(cost_of({1, 1, 0, 0, 0, 0}, {1, 1, 0, 0, 0, 0})->value == 1);  // not one for each
    CHECK(cost_of({1, 0, 0, 0, 0, 0}, {0, 0, 0, 0, 0, 0})->value == 0);
    CHECK(!cost_of({INT64_MAX, 0, 0, 0, 0, 0}, {INT64_MAX, 0, 0, 0, 0, 0}));
    CHECK(!cost_of({-1, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0}));
    CHECK(cost_bound({20, 50, 60, 70, 0, 0}, {1'000'000, 0, 1'000'000, 0, 0, 0})->value == 120);
    CHECK(billed({10, 0, 0, 0, 1, 0}, chat) == Quantities{});
    CHECK(billed({10, 0, 0, 0, 1, 0}, embed) == Quantities{10, 0, 0, 0, 1, 0});
}

TEST_CASE("openai: every refusal has the status that picks the SDK's error class") {
    struct Row {
        ErrorCode code;
        int status;
        const char* type;
        const char* name;
        const char* retry;
        const char* wait;
    };
    const Row rows[] = {
        {ErrorCode::malformed_request, 400, "invalid_request_error", "malformed_request", "", ""},
        {ErrorCode::unauthenticated, 401, "authentication_error", "unauthenticated", "", ""},
        {ErrorCode::key_expired, 401, "authentication_error", "key_expired", "", ""},
        {ErrorCode::insufficient_funds, 402, "insufficient_funds_error", "insufficient_funds", "",
         ""},
        {ErrorCode::spend_cap_reached, 402, "insufficient_funds_error", "spend_cap_reached", "",
         ""},
        {ErrorCode::forbidden, 403, "permission_error", "forbidden", "", ""},
        {ErrorCode::unknown_market, 404, "invalid_request_error", "model_not_found", "", ""},
        {ErrorCode::not_found, 404, "invalid_request_error", "not_found", "", ""},
        {ErrorCode::body_too_large, 413, "invalid_request_error", "body_too_large", "", ""},
        {ErrorCode::invalid_body, 422, "invalid_request_error", "invalid_body", "", ""},
        {ErrorCode::rate_limited, 429, "rate_limit_error", "rate_limit_exceeded", "true", "1"},
        {ErrorCode::limit_reached, 429, "rate_limit_error", "limit_reached", "true", "1"},
        {ErrorCode::internal_error, 500, "server_error", "internal_error", "", ""},
        {ErrorCode::upstream_failed, 502, "server_error", "upstream_failed", "false", ""},
        {ErrorCode::stream_truncated, 502, "server_error", "stream_truncated", "false", ""},
        {ErrorCode::sealed_message_invalid, 502, "server_error", "sealed_message_invalid", "false",
         ""},
        {ErrorCode::no_eligible_offer, 503, "service_unavailable_error", "no_eligible_offer",
         "true", "2"},
        {ErrorCode::price_cap_too_low, 503, "service_unavailable_error", "price_cap_too_low",
         "false", "30"},
        {ErrorCode::verdict_refused, 503, "service_unavailable_error", "verdict_refused", "false",
         "30"},
        {ErrorCode::job_rematched, 503, "service_unavailable_error", "job_rematched", "true", "1"},
        {ErrorCode::overloaded, 503, "service_unavailable_error", "overloaded", "true", "1"},
        {ErrorCode::deadline_exceeded, 504, "server_error", "deadline_exceeded", "false", ""},
    };
    for (const Row& row : rows) {
        INFO(row.name);
        const net::Response response = error_response({refuse(row.code, "why"), 0, "m", {}});
        CHECK(response.status == row.status);
        CHECK(response.headers.get("x-should-retry") == row.retry);
        CHECK(response.headers.get("Retry-After") == row.wait);
        const auto body = sealing::Json::parse(response.body);
        REQUIRE(body);
        const sealing::Json* error = body->find("error");
        REQUIRE(error);
        CHECK(error->text_at("type") == row.type);
        CHECK(error->text_at("code") == row.name);
        CHECK(error->text_at("message"));
        CHECK(error->find("param"));
    }
    // Every refusal there is: an error status, a type, and no 409, which SDKs repeat blindly.
    for (const ErrorInfo& info : all_errors()) {
        INFO(info.name);
        const net::Response response = error_response({refuse(info.code), 0, {}, {}});
        CHECK(response.status >= 400);
        CHECK((response.status != 409 || response.headers.get("x-should-retry") == "false"));
    }
    CHECK(
        error_response({refuse(ErrorCode::rate_limited), 17, {}, {}}).headers.get("Retry-After") ==
        "17");
}

TEST_CASE("openai: a refusal names its parameter and survives any text") {
    const Error error{
        ErrorCode::malformed_request, "bad \"quote\" \n \xff", {{"/max_tokens", "x"}}};
    const auto body = sealing::Json::parse(error_json({error, 0, {}, "job_1"}));
    REQUIRE(body);
    CHECK(body->find("error")->text_at("param") == "max_tokens");
    const Error header{ErrorCode::malformed_request, "x", {{"X-Cocoon-Tiers:", "x"}}};
    CHECK(sealing::Json::parse(error_json({header, 0, {}, {}}))->find("error")->text_at("param") ==
          "X-Cocoon-Tiers");
}
