#include "tests/catch.hpp"

#include <sys/stat.h>

#include <fstream>

#include "node/doctor.hpp"
#include "node/files.hpp"
#include "node/market_api.hpp"
#include "sealing/canonical_json.hpp"
#include "tests/node/helpers.hpp"

using namespace cocoon;
using namespace cocoon::node;

namespace {

void put(const std::string& path, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path{path}.parent_path());
    std::ofstream{path} << content;
}

Health health_of(const std::vector<Check>& checks, const std::string& name) {
    for (const Check& check : checks)
        if (check.name == name) return check.health;
    FAIL("no check " << name);
    return Health::fail;
}

}  // namespace

TEST_CASE("doctor judges a host by its tier") {
    struct Row {
        const char* why;
        std::vector<std::pair<const char*, const char*>> files;
        const char* tier;
        const char* check;
        Health health;
    };
    const Row rows[] = {
        {"bare, simulated", {}, "simulated", "host.cpu_tee", Health::warn},
        {"bare, tdx", {}, "tdx", "host.cpu_tee", Health::fail},
        {"tdx guest", {{"/dev/tdx_guest", ""}}, "tdx", "host.cpu_tee", Health::pass},
        {"snp guest", {{"/dev/sev-guest", ""}}, "snp+gpu-cc", "host.cpu_tee", Health::pass},
        {"another guest", {{"/dev/sev-guest", ""}}, "tdx", "host.cpu_tee", Health::fail},
        {"another guest", {{"/dev/tdx_guest", ""}}, "snp", "host.cpu_tee", Health::fail},
        {"no reports", {}, "tdx", "host.tsm_report", Health::fail},
        {"older quotes", {{"/dev/tdx_guest", ""}}, "tdx", "host.tsm_report", Health::warn},
        {"older reports", {{"/dev/sev-guest", ""}}, "snp", "host.tsm_report", Health::warn},
        {"reports",
         {{"/sys/kernel/config/tsm/report/x", ""}},
         "tdx",
         "host.tsm_report",
         Health::pass},
        {"no GPU, none needed", {}, "tdx", "host.gpu", Health::warn},
        {"no GPU", {}, "tdx+gpu-cc", "host.gpu", Health::fail},
        {"GPU",
         {{"/proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: H100"},
          {"/proc/driver/nvidia/version", "NVRM version: 580"}},
         "tdx+gpu-cc",
         "host.gpu",
         Health::pass},
        {"new kernel",
         {{"/proc/sys/kernel/osrelease", "6.16.0-tdx\n"}},
         "tdx",
         "host.kernel",
         Health::pass},
        {"old kernel",
         {{"/proc/sys/kernel/osrelease", "6.1.0-28\n"}},
         "tdx",
         "host.kernel",
         Health::warn},
        {"no kernel", {}, "tdx", "host.kernel", Health::warn},
        {"swap", {{"/proc/swaps", "Filename\n/dev/sda2\n"}}, "tdx", "host.swap", Health::warn},
        {"no swap", {{"/proc/swaps", "Filename\n"}}, "tdx", "host.swap", Health::pass},
        {"little lock",
         {{"/proc/self/limits",
           "Max locked memory         8388608              8388608              bytes\n"}},
         "tdx",
         "host.memory_lock",
         Health::warn},
        {"much lock",
         {{"/proc/self/limits",
           "Max locked memory         134217728            134217728            bytes\n"}},
         "tdx",
         "host.memory_lock",
         Health::pass},
        {"any lock",
         {{"/proc/self/limits",
           "Max locked memory         unlimited            unlimited            bytes\n"}},
         "tdx",
         "host.memory_lock",
         Health::pass},
    };
    for (const Row& row : rows) {
        INFO(row.why);
        const test::ScratchDirectory root;
        for (const auto& [path, content] : row.files) put(root.path() + path, content);
        const auto checks = examine_host(root.path(), row.tier);
        CHECK(health_of(checks, row.check) == row.health);
        for (const Check& check : checks)
            CHECK(check.remedy.empty() == (check.health == Health::pass));
    }
}

TEST_CASE("doctor asks the engine for a token and says what is missing around it") {
    const test::ScratchDirectory scratch;
    const test::EngineThread engine;
    Settings settings =
        test::settings_for(engine.url(), scratch.path() + "/state", "http://127.0.0.1:1");
    settings.offers.push_back(settings.offers[0]);
    settings.offers[1].market = "inference:missing";
    const SystemClock clock;
    const auto before = examine(settings, scratch.path(), clock);
    CHECK(!before.fit());
    CHECK(health_of(before.checks, "files.state") == Health::fail);
    CHECK(health_of(before.checks, "files.credential") == Health::fail);
    CHECK(health_of(before.checks, "market.reachable") == Health::fail);
    CHECK(health_of(before.checks, "engine.reachable") == Health::pass);
    CHECK(health_of(before.checks, "engine.generates") == Health::pass);
    CHECK(health_of(before.checks, "engine.usage") == Health::pass);
    CHECK(report_text(before).find("the engine does not list missing") != std::string::npos);
    CHECK(sealing::Json::parse(report_json(before))->boolean_at("fit") == false);

    settings.offers.pop_back();
    REQUIRE(make_private_directory(settings.state_directory));
    REQUIRE(sealing::SigningKey::load_or_generate(settings.receipt_key_file()));
    REQUIRE(save_identity(settings, {"node_4", "ck_" + std::string(43, 'x')}));
    settings.market_url = engine.url();  // answers, but is no market
    const auto after = examine(settings, scratch.path(), clock);
    CHECK(health_of(after.checks, "files.state") == Health::pass);
    CHECK(health_of(after.checks, "files.credential") == Health::pass);
    CHECK(health_of(after.checks, "files.receipt_key") == Health::pass);
    CHECK(health_of(after.checks, "market.reachable") == Health::fail);
    CHECK(health_of(after.checks, "market.clock") == Health::pass);
    REQUIRE(::chmod(settings.credential_file().c_str(), 0644) == 0);
    CHECK(health_of(examine(settings, scratch.path(), clock).checks, "files.credential") ==
          Health::fail);

    const auto broken = examine(parse_settings("{}", ""), scratch.path(), clock);
    CHECK(!broken.fit());
    CHECK(health_of(broken.checks, "config") == Health::fail);
}

TEST_CASE("HTTP dates are read as RFC 9110 writes them") {
    CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == Instant{784'111'777'000'000});
    for (const char* text : {"", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
                             "Sun, 36 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT"})
        CHECK(!parse_http_date(text));
}
