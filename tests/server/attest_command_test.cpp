// `cocoon-market attest verify`: the operator repeats a verdict from a file, with no database.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "attestation/bundle.hpp"
#include "attestation/policy.hpp"
#include "core/encoding.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/keyset.hpp"
#include "sealing/ohttp.hpp"
#include "sealing/signing.hpp"
#include "sealing/statement.hpp"
#include "tests/attestation/tdx_maker.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using sealing::Json;

namespace {

struct Run {
    int status = -1;
    std::string output;  // of both streams
};

Run market(const std::string& arguments) {
    const auto program =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "cocoon-market";
    const std::string command = "'" + program.string() + "' " + arguments + " 2>&1";
    FILE* pipe = ::popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    Run run;
    char buffer[4096];
    while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe))
        run.output.append(buffer, count);
    run.status = WEXITSTATUS(::pclose(pipe));
    return run;
}

struct Folder {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("attest_" + sealing::make_nonce().substr(0, 12));
    Folder() { std::filesystem::create_directory(path); }
    ~Folder() { std::filesystem::remove_all(path); }

    std::string file(const std::string& name, std::string_view text) const {
        std::ofstream{path / name, std::ios::binary} << text;
        return (path / name).string();
    }
};

}  // namespace

TEST_CASE("the market's attest verify: the exit code says what the evidence proves") {
    using namespace cocoon::attestation;
    const Folder folder;
    const std::string nonce = sealing::make_nonce();
    sealing::Keyset parts;
    parts.receipt_keys = {{"r1", sealing::SigningKey::generate().public_key()}};
    parts.sealing_keys = {
        {"s1", sealing::ohttp::make_key_config(1, sealing::SealingKey::generate().public_key())}};
    parts.not_after = attestation::test::tdx_made_at + hours(12);
    const auto keyset = sealing::build_keyset(parts).value();
    const auto made = attestation::test::make_tdx([&](attestation::test::TdxParts& tdx) {
        tdx.report.report_data = sealing::report_data_for(keyset.digest, nonce).value();
    });
    Bundle bundle;
    bundle.cpu = TdxPart{made.quote, {}};
    bundle.tdx = made.collateral;
    const std::string evidence = folder.file(
        "evidence.json", Json::object({{"tier", "tdx"},
                                       {"nonce", nonce},
                                       {"keyset_document", keyset.document},
                                       {"evidence", to_base64(as_bytes(write_bundle(bundle)))}})
                             .serialize());
    Policy policy;
    policy.tdx = made.policy;
    const std::string rules = folder.file("policy.json", policy_document(policy));
    const std::string judged =
        "attest verify --evidence '" + evidence + "' --at " + attestation::test::tdx_made_at.text();
    const Run good = market(judged + " --json --policy '" + rules + "'");
    INFO(good.output);
    CHECK(good.status == 0);
    const auto body = Json::parse(good.output);
    REQUIRE(body);
    CHECK(body->text_at("status") == "proven");
    CHECK(body->find("rests_on")->items().size() == 8);
    const Run page = market(judged + " --policy '" + rules + "'");
    CHECK(page.output.find("Intel's TCB info of the family") != std::string::npos);
    // The operator's own policy, where no other is named: it pins Intel's key, not the test's.
    CHECK(market(judged).status == 1);
    ::setenv("MARKET_ATTESTATION_POLICY", rules.c_str(), 1);
    CHECK(market(judged).status == 0);
    ::unsetenv("MARKET_ATTESTATION_POLICY");
    bundle.tdx = {};
    const std::string open = folder.file(
        "open.json", Json::object({{"tier", "tdx"},
                                   {"nonce", nonce},
                                   {"keyset_document", keyset.document},
                                   {"evidence", to_base64(as_bytes(write_bundle(bundle)))}})
                         .serialize());
    CHECK(market("attest verify --evidence '" + open + "' --policy '" + rules + "' --at " +
                 attestation::test::tdx_made_at.text())
              .status == 3);
    CHECK(market("attest verify").status == 2);
    CHECK(market("attest --help").status == 0);
    CHECK(market("attest verify --evidence /nonexistent").status == 1);
}
