#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "client/config.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::client;

namespace {

struct Directory {
    std::string path;
    Directory() {
        char name[] = "/tmp/cocoon-client-config-XXXXXX";
        path = mkdtemp(name);
    }
    ~Directory() { std::filesystem::remove_all(path); }
    void write(const std::string& name, const std::string& text, mode_t mode) const {
        std::ofstream{path + "/" + name} << text;
        chmod((path + "/" + name).c_str(), mode);
    }
};

// "path message" of every problem, joined.
std::string problems_of(const std::string& document,
                        const std::string& directory = "/nonexistent") {
    const auto config = parse_config(document, directory);
    if (config) return "accepted";
    std::string text = config.error().fields.empty() ? config.error().detail : "";
    for (const FieldError& field : config.error().fields)
        text += field.path + " " + field.message + "; ";
    return text;
}

}  // namespace

TEST_CASE("config: each bad value is refused by its path") {
    struct Row {
        const char* document;
        const char* expected;
    };
    const Row rows[] = {
        {R"({})", "accepted"},
        {R"([])", "/ must be an object; "},
        {R"({"market_url":"ftp://x"})",
         "/market_url must be an http:// or https:// URL without query; "},
        {R"({"market_url":"https://x/?a=1"})",
         "/market_url must be an http:// or https:// URL without query; "},
        {R"({"market_url":7})", "/market_url must be a string; "},
        {R"({"api_key":""})", "/api_key must not be empty; "},
        {R"({"api_key":"a","api_key_file":"b"})",
         "/api_key_file is there beside api_key; /api_key_file cannot read /nonexistent/b; "},
        {R"({"listen":"8081"})", "/listen must be address:port; "},
        {R"({"listen":"127.0.0.1:"})", "/listen must be address:port; "},
        {R"({"listen":"127.0.0.1:70000"})", "/listen must be address:port; "},
        {R"({"listen":"[::1]:80"})", "accepted"},
        {R"({"tiers":[]})", "/tiers must name at least one tier; "},
        {R"({"tiers":["tdx","moon"]})", "/tiers \"moon\" is no tier; "},
        {R"({"tiers":["tdx","tdx"]})", "/tiers/1 is there twice; "},
        {R"({"tiers":"tdx"})", "/tiers must be an array of strings; "},
        {R"({"tiers":[1]})",
         "/tiers/0 must be a string of 1 to 128 bytes; /tiers must name at least one tier; "},
        {R"({"market_public_key":"AB"})",
         "/market_public_key must be 64 lower-case hex characters; "},
        {R"({"cost_nano_max":5})",
         "/cost_nano_max must be a decimal string of nano from 1 to 5000000000000000000; "},
        {R"({"cost_nano_max":"0"})",
         "/cost_nano_max must be a decimal string of nano from 1 to 5000000000000000000; "},
        {R"({"cost_nano_max":"1.5"})",
         "/cost_nano_max must be a decimal string of nano from 1 to 5000000000000000000; "},
        {R"({"price_max":{"prompt":"1"}})", "/price_max/prompt is not a known field; "},
        {R"({"price_max":{"request_nano":"-1"}})",
         "/price_max/request_nano must be a decimal string of nano from 0 to 1000000000000000; "},
        {R"({"estimate":{"prompt_bytes_per_token":0}})",
         "/estimate/prompt_bytes_per_token must be a whole number from 1 to 8; "},
        {R"({"estimate":{"prompt_bytes_per_token":2.5}})",
         "/estimate/prompt_bytes_per_token must be a whole number from 1 to 8; "},
        {R"({"calls":{"concurrent_max":513}})",
         "/calls/concurrent_max must be a whole number from 1 to 512; "},
        {R"({"calls":{"attempts_max":true}})",
         "/calls/attempts_max must be a whole number from 1 to 10; "},
        {R"({"session":{"seconds":60,"renew_seconds_before":31}})",
         "/session/renew_seconds_before must be at most half of seconds; "},
        {R"({"constraints":{"regions":["a"],"planet":"x"}})",
         "/constraints/planet is not a known field; "},
        {R"({"constraints":7})", "/constraints must be an object; "},
        {R"({"log_level":"loud"})", "/log_level must be debug, info, warning or error; "},
        {R"({"receipts_max":0})", "/receipts_max must be a whole number from 1 to 10000000; "},
        {R"({"marketurl":"x"})", "/marketurl is not a known field; "},
    };
    for (const Row& row : rows) {
        INFO(row.document);
        CHECK(problems_of(row.document) == row.expected);
    }
}

TEST_CASE("config: every problem is told at once") {
    CHECK(
        problems_of(
            R"({"market_url":1,"listen":"x","tiers":["moon"],"calls":{"attempts_max":0,"x":1},"y":null})") ==
        "/market_url must be a string; /listen must be address:port; /tiers \"moon\" is no tier; "
        "/calls/attempts_max must be a whole number from 1 to 10; /calls/x is not a known field; "
        "/y is not a known field; ");
}

TEST_CASE("config: what is not one strict JSON object is refused") {
    for (const char* document :
         {"", "{", "{}{}", "{\"coin\":\"A\",\"coin\":\"B\"}", "\xEF\xBB\xBF{}", "{'a':1}"})
        CHECK(problems_of(document).starts_with("not JSON: "));
}

TEST_CASE("config: the example in the repository is accepted, but for its key file") {
    std::ifstream file{COCOON_SOURCE_DIR "/client/client.example.json"};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    REQUIRE(!text.empty());
    const Directory directory;
    CHECK(problems_of(text, directory.path) ==
          "/api_key_file cannot read " + directory.path + "/work.key; ");
    directory.write("work.key", "ck_abc\n", 0600);
    const auto config = parse_config(text, directory.path);
    REQUIRE(config);
    CHECK(config->api_key == "ck_abc");
    CHECK(config->cost_max == Nano{50'000'000});
    CHECK(config->session.enabled);
    CHECK(config->receipts_directory == directory.path + "/receipts");
}

TEST_CASE("config: a key file that others can read is refused") {
    const Directory directory;
    directory.write("work.key", "ck_abc\n", 0644);
    CHECK(problems_of(R"({"api_key_file":"work.key"})", directory.path) ==
          "/api_key_file " + directory.path + "/work.key can be read by others: chmod 600 it; ");
    directory.write("empty.key", " \n", 0600);
    CHECK(problems_of(R"({"api_key_file":"empty.key"})", directory.path) ==
          "/api_key_file " + directory.path + "/empty.key is empty; ");
}

TEST_CASE("config: the environment overrides, and loopback is needed without a local key") {
    const auto environment = [](const char* name) -> std::string {
        if (name == std::string_view{"COCOON_MARKET_URL"}) return "http://m/";
        if (name == std::string_view{"COCOON_API_KEY"}) return "ck_env";
        return "";
    };
    auto config = load_config("", environment);
    REQUIRE(config);
    CHECK(config->market_url == "http://m");
    CHECK(config->api_key == "ck_env");
    CHECK(check_servable(*config));
    struct Row {
        const char* address;
        const char* local_key;
        bool servable;
    };
    const Row rows[] = {
        {"127.0.0.1", "", true},  {"127.9.9.9", "", true},  {"::1", "", true},
        {"localhost", "", true},  {"0.0.0.0", "", false},   {"::", "", false},
        {"192.0.2.1", "", false}, {"0.0.0.0", "key", true}, {"128.0.0.1", "", false}};
    for (const Row& row : rows) {
        INFO(row.address);
        config->listen_address = row.address;
        config->local_key = row.local_key;
        CHECK(check_servable(*config).has_value() == row.servable);
    }
    const auto missing = check_servable(Config{});
    REQUIRE(!missing);
    CHECK(missing.error().fields.size() == 2);
    CHECK(!load_config("/nonexistent/client.json", environment));
}
