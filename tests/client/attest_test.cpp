// `cocoon-client attest verify`: evidence from files, judged offline, the exit code by the verdict.
#include <filesystem>
#include <fstream>

#include "attestation/bundle.hpp"
#include "attestation/policy.hpp"
#include "client/commands.hpp"
#include "tests/attestation/tdx_maker.hpp"
#include "tests/catch.hpp"
#include "tests/client/scripted_market.hpp"

using namespace cocoon;
using namespace cocoon::client;
using cocoon::client::test::ScriptedNode;
using cocoon::sealing::Json;

namespace {

struct Folder {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("attest_" + sealing::make_nonce().substr(0, 12));
    Folder() { std::filesystem::create_directory(path); }
    ~Folder() { std::filesystem::remove_all(path); }

    std::string file(const std::string& name, std::string_view text) const {
        std::ofstream{path / name, std::ios::binary} << text;
        return (path / name).string();
    }
    // As GET /v1/nodes/{id}/evidence answers.
    std::string evidence(const ScriptedNode& node, const std::string& tier, ByteView bytes) const {
        return file("evidence.json", Json::object({{"tier", tier},
                                                   {"nonce", node.nonce},
                                                   {"keyset_document", node.keyset.document},
                                                   {"evidence", to_base64(bytes)}})
                                         .serialize());
    }
};

Output attest(std::vector<std::string> options) {
    options.insert(options.begin(), {"attest", "verify"});
    return run_command(options, {[](const char*) { return std::string{}; }, "test"});
}

}  // namespace

TEST_CASE("attest verify: a file's evidence, without any market") {
    const Folder folder;
    const ScriptedNode node{"node_1"};
    const std::string file = folder.evidence(node, "simulated", node.evidence);
    const Output good = attest({"--evidence", file, "--tiers", "simulated", "--json"});
    CHECK(good.exit_code == 0);
    const auto body = Json::parse(good.out);
    REQUIRE(body);
    CHECK(body->text_at("status") == "proven");
    CHECK(body->text_at("keyset_digest") == node.keyset.digest);

    // The settings' own tiers are of real hardware.
    const Output refused = attest({"--evidence", file});
    CHECK(refused.exit_code == 1);
    CHECK(refused.out.find("simulated_enabled") != std::string::npos);
    const Output old = attest({"--evidence", file, "--tiers", "simulated", "--at",
                               (SystemClock{}.now() + minutes(59) + hours(24)).text()});
    CHECK(old.exit_code == 1);

    CHECK(attest({}).exit_code == 2);
    CHECK(attest({"--evidence", file, "--at", "noon"}).exit_code == 2);
    CHECK(attest({"--evidence", (folder.path / "none").string()}).exit_code == 1);
    CHECK(attest({"--evidence", folder.file("junk", "{")}).exit_code == 1);
    CHECK(attest({"--evidence", file, "--policy", folder.file("policy", "{}")}).exit_code == 1);
}

TEST_CASE("attest verify: without collateral it cannot tell, with a reader's own it can") {
    using namespace cocoon::attestation;
    const Folder folder;
    const ScriptedNode node{"node_1"};
    const auto made = attestation::test::make_tdx([&](attestation::test::TdxParts& parts) {
        parts.report.report_data = sealing::report_data_for(node.keyset.digest, node.nonce).value();
    });
    Bundle bundle;
    bundle.cpu = TdxPart{made.quote, {}};
    const std::string evidence = folder.evidence(node, "tdx", as_bytes(write_bundle(bundle)));
    Policy policy;
    policy.tdx = made.policy;
    const std::string rules = folder.file("policy.json", policy_document(policy));
    const std::string at = attestation::test::tdx_made_at.text();

    const Output open = attest({"--evidence", evidence, "--policy", rules, "--at", at});
    INFO(open.out << open.err);
    CHECK(open.exit_code == 3);
    CHECK(open.out.find("unknown: ") != std::string::npos);

    const std::string collateral =
        folder.file("collateral.json", "{\"tdx\":" + write_tdx_collateral(made.collateral) + "}");
    const Output told =
        attest({"--evidence", evidence, "--policy", rules, "--at", at, "--collateral", collateral});
    INFO(told.out << told.err);
    CHECK(told.exit_code == 0);
    CHECK(told.out.find("cpu_tcb_status") != std::string::npos);

    CHECK(attest({"--evidence", evidence, "--policy", rules, "--at", at, "--collateral",
                  folder.file("wrong.json", R"({"sgx":{}})")})
              .exit_code == 1);
    // Another's pins: a genuine quote of a root that one does not trust.
    CHECK(attest({"--evidence", evidence, "--at", at, "--tiers", "tdx", "--collateral", collateral})
              .exit_code == 1);
}
