#include "tests/catch.hpp"

#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "node/files.hpp"
#include "node/settings.hpp"
#include "sealing/canonical_json.hpp"
#include "tests/node/helpers.hpp"

using namespace cocoon;
using namespace cocoon::node;
using sealing::Json;

namespace {

std::string example() {
    std::ifstream file{std::string{COCOON_SOURCE_DIR} + "/node/node.example.json"};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// The example with `value` (JSON; "" removes it) at a path like
// "offers/0/price/prompt_nano_per_mtok".
std::string with(const std::string& path, const std::string& value) {
    Json document = *Json::parse(example());
    std::vector<std::string> names;
    std::istringstream parts{path};
    for (std::string name; std::getline(parts, name, '/');) names.push_back(name);
    std::function<Json(const Json&, std::size_t)> change = [&](const Json& at,
                                                               std::size_t depth) -> Json {
        if (depth == names.size()) return *Json::parse(value);
        if (at.is_array()) {
            Json array = Json::array();
            for (std::size_t i = 0; i < at.items().size(); ++i)
                array.push(std::to_string(i) == names[depth] ? change(at.items()[i], depth + 1)
                                                             : at.items()[i]);
            return array;
        }
        Json object = at;
        if (value.empty() && depth + 1 == names.size()) {
            object.erase(names[depth]);
            return object;
        }
        const Json* inner = at.find(names[depth]);
        object.set(names[depth], change(inner == nullptr ? Json{} : *inner, depth + 1));
        return object;
    };
    return change(document, 0).serialize();
}

}  // namespace

TEST_CASE("the example configuration is valid and complete") {
    const auto settings = parse_settings(example(), "/etc/cocoon");
    REQUIRE(settings);
    CHECK(settings->market_url == "http://127.0.0.1:8080");
    CHECK(settings->state_directory == "/etc/cocoon/node-state");
    CHECK(settings->engine.url == "http://127.0.0.1:18080");  // without /v1
    REQUIRE(settings->offers.size() == 1);
    CHECK(settings->offers[0].model() == "demo-small");
    CHECK(settings->offers[0].price.completion == 200'000'000);
    CHECK(settings->slots() == 4);
    CHECK(settings->drain_deadline == seconds(60));
}

TEST_CASE("a wrong field is refused with its path") {
    struct Row {
        const char* path;
        const char* value;
        const char* refused_at;
    };
    const Row rows[] = {
        {"surprise", "1", "/surprise"},
        {"market/surprise", "1", "/market/surprise"},
        {"offers/0/surprise", "1", "/offers/0/surprise"},
        {"offers/0/price/surprise", "\"1\"", "/offers/0/price/surprise"},
        {"market", "", "/market"},
        {"market/url", "\"ftp://market\"", "/market/url"},
        {"market/url", "\"http://user@market\"", "/market/url"},
        {"market/url", "7", "/market/url"},
        {"name", "\"\"", "/name"},
        {"name", "\"a\\nb\"", "/name"},
        {"region", "", "/region"},
        {"country", "\"nl\"", "/country"},
        {"gpu/count", "-1", "/gpu/count"},
        {"gpu/model", "", "/gpu/model"},
        {"hardware", "[]", "/hardware"},
        {"state_directory", "\"\"", "/state_directory"},
        {"attestation/tier", "\"sgx\"", "/attestation/tier"},
        {"attestation/tier", "\"tdx\"", "/attestation/platform_id"},  // hardware says it itself
        {"attestation/tsm_directory", "\"/x\"", "/attestation/tsm_directory"},
        {"attestation", R"({"tier":"tdx","collateral_files":[""]})",
         "/attestation/collateral_files/0"},
        {"attestation", R"({"tier":"snp","nvml_library":7})", "/attestation/nvml_library"},
        {"attestation/platform_id", "\"Rack 3\"", "/attestation/platform_id"},
        {"attestation/measurement", "\"ab\"", "/attestation/measurement"},
        {"engine", "", "/engine"},
        {"engine/url", "\"127.0.0.1:8000\"", "/engine/url"},
        {"engine/continuous_usage", "\"yes\"", "/engine/continuous_usage"},
        {"engine/probe_seconds", "0", "/engine/probe_seconds"},
        {"offers", "{}", "/offers"},
        {"offers/0/market", "\"compute:h100\"", "/offers/0/market"},
        {"offers/0/market", "\"inference:\"", "/offers/0/market"},
        {"offers/0/price", "", "/offers/0/price"},
        {"offers/0/price/prompt_nano_per_mtok", "5", "/offers/0/price/prompt_nano_per_mtok"},
        {"offers/0/price/prompt_nano_per_mtok", "\"1.5\"", "/offers/0/price/prompt_nano_per_mtok"},
        {"offers/0/price/prompt_nano_per_mtok", "\"-1\"", "/offers/0/price/prompt_nano_per_mtok"},
        {"offers/0/slots", "0", "/offers/0/slots"},
        {"offers/0/slots", "513", "/offers/0/slots"},
        {"offers/0/slots", "1.5", "/offers/0/slots"},
        {"offers/0/data_policy", "[\"none\"]", "/offers/0/data_policy/0"},
        {"offers/0/allow", "[\"dev_1\"]", "/offers/0/allow/0"},
        {"offers/0/windows", "[{\"from_minute\":9,\"to_minute\":9}]", "/offers/0/windows/0"},
        {"offers/0/windows", "[{\"from_minute\":0,\"to_minute\":10081}]",
         "/offers/0/windows/0/to_minute"},
        {"drain_seconds_max", "-1", "/drain_seconds_max"},
        {"log_level", "\"loud\"", "/log_level"},
    };
    for (const Row& row : rows) {
        INFO(row.path << " = " << row.value);
        const auto settings = parse_settings(with(row.path, row.value), "");
        REQUIRE(!settings);
        CHECK(settings.error().code == ErrorCode::invalid_body);
        bool found = false;
        for (const FieldError& field : settings.error().fields)
            found = found || field.path == row.refused_at;
        CHECK(found);
    }
}

TEST_CASE("the tiers of hardware need no more than their name, and may name every place") {
    for (const std::string tier : {"tdx", "tdx+gpu-cc", "snp", "snp+gpu-cc"}) {
        const auto settings =
            parse_settings(with("attestation", "{\"tier\":\"" + tier + "\"}"), "/etc/cocoon");
        REQUIRE(settings);
        CHECK(settings->attestation_tier == tier);
        CHECK(settings->collectors.tsm_directory == "/sys/kernel/config/tsm/report");
        CHECK(settings->collectors.nvml_library == "libnvidia-ml.so.1");
        CHECK(settings->collectors.event_log_file.empty());
    }
    const std::string all = R"({
        "tier": "tdx+gpu-cc", "tsm_directory": "/t", "tdx_guest_device": "/d",
        "sev_guest_device": "/s", "nvml_library": "/opt/libnvidia-ml.so.1",
        "event_log_file": "events.json", "collateral_files": ["c.json"]})";
    const auto settings = parse_settings(with("attestation", all), "/etc/cocoon");
    REQUIRE(settings);
    CHECK(settings->collectors.tsm_directory == "/t");
    CHECK(settings->collectors.tdx_guest_device == "/d");
    CHECK(settings->collectors.sev_guest_device == "/s");
    CHECK(settings->collectors.nvml_library == "/opt/libnvidia-ml.so.1");
    CHECK(settings->collectors.event_log_file == "/etc/cocoon/events.json");
    CHECK(settings->collectors.collateral_files == std::vector<std::string>{"/etc/cocoon/c.json"});
}

TEST_CASE("where the software comes from may be said, in its one shape") {
    const auto plain = parse_settings(with("source", "null"), "");
    REQUIRE(plain);
    CHECK(plain->source == trust::SourceProvenance{});
    const auto said = parse_settings(
        with("source", R"({"repository_url":"https://example.org/image","commit":")" +
                           std::string(40, 'a') + R"(","image_digest":"sha256:00"})"),
        "");
    REQUIRE(said);
    CHECK(said->source.repository_url == "https://example.org/image");
    CHECK(said->source.repository_commit == std::string(40, 'a'));
    CHECK(said->source.image_digest == "sha256:00");
    for (const char* wrong :
         {R"({"repository_url":"http://example.org"})", R"({"commit":"abc"})", R"({"commit":"A"})",
          R"({"image_digest":"md5:0"})", R"({"other":1})", "7"})
        CHECK_FALSE(parse_settings(with("source", wrong), ""));
}

TEST_CASE("all problems of a configuration are reported at once; what is no object is refused") {
    const auto settings =
        parse_settings(R"({"offers":[{"market":"x","slots":0,"what":1}],"unknown":2})", "");
    REQUIRE(!settings);
    CHECK(settings.error().fields.size() >= 10);
    for (const char* text : {"", "[]", "{", "null", R"({"name":"a","name":"b"})"}) {
        INFO(text);
        const auto refused = parse_settings(text, "");
        REQUIRE(!refused);
        CHECK(refused.error().code == ErrorCode::malformed_request);
    }
    const auto twice =
        parse_settings(with("offers/1", "1"), "");  // path beyond the array: unchanged, still valid
    CHECK(twice);
    CHECK(load_settings("/nonexistent/node.json").error().code == ErrorCode::not_found);
}

TEST_CASE("private files are whole, private, and refused when others may read them") {
    const test::ScratchDirectory scratch;
    const std::string directory = scratch.path() + "/a/b";
    REQUIRE(make_private_directory(directory));
    REQUIRE(make_private_directory(directory));
    const std::string file = directory + "/secret";
    for (const bool durable : {false, true}) {
        REQUIRE(replace_file(file, "first", durable));
        REQUIRE(replace_file(file, "second", durable));
        CHECK(*read_file(file, 100, true) == "second");
    }
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(read_file(file, 3, true).error().code == ErrorCode::body_too_large);
    REQUIRE(::chmod(file.c_str(), 0640) == 0);
    CHECK(read_file(file, 100, true).error().code == ErrorCode::forbidden);
    CHECK(read_file(file, 100, false));
    REQUIRE(::chmod(directory.c_str(), 0755) == 0);
    CHECK(make_private_directory(directory).error().code == ErrorCode::forbidden);
    CHECK(read_file(directory + "/none", 100, true).error().code == ErrorCode::not_found);
    CHECK(remove_file(file));
    CHECK(!remove_file(file));
    CHECK(std::distance(std::filesystem::directory_iterator{directory}, {}) ==
          0);  // nothing left beside it
}
