// `cocoon-market attest verify`: the operator repeats a verdict from a file, with no database, and
// hears the same as whoever asks `cocoon-client`.
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

Run run(const char* name, const std::string& arguments) {
    const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
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

Run market(const std::string& arguments) { return run("cocoon-market", arguments); }

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

// Evidence of a test's machine in a file, as GET /v1/nodes/{id}/evidence answers, and the policy
// that accepts it.
struct Shown {
    Folder folder;
    attestation::Policy policy;
    std::string evidence, rules;

    explicit Shown(const attestation::test::EditTdx& edit = {}, bool with_collateral = true) {
        using namespace attestation;
        const std::string nonce = sealing::make_nonce();
        sealing::Keyset parts;
        parts.receipt_keys = {{"r1", sealing::SigningKey::generate().public_key()}};
        parts.sealing_keys = {{"s1", sealing::ohttp::make_key_config(
                                         1, sealing::SealingKey::generate().public_key())}};
        parts.not_after = attestation::test::tdx_made_at + hours(12);
        const auto keyset = sealing::build_keyset(parts).value();
        const auto made = attestation::test::make_tdx([&](attestation::test::TdxParts& tdx) {
            tdx.report.report_data = sealing::report_data_for(keyset.digest, nonce).value();
            if (edit) edit(tdx);
        });
        Bundle bundle;
        bundle.cpu = TdxPart{made.quote, {}};
        if (with_collateral) bundle.tdx = made.collateral;
        evidence = folder.file(
            "evidence.json", Json::object({{"tier", "tdx"},
                                           {"nonce", nonce},
                                           {"keyset_document", keyset.document},
                                           {"evidence", to_base64(as_bytes(write_bundle(bundle)))}})
                                 .serialize());
        policy.tdx = made.policy;
        rules = folder.file("policy.json", policy_document(policy));
    }
    std::string arguments() const {
        return "attest verify --evidence '" + evidence + "' --policy '" + rules + "' --at " +
               attestation::test::tdx_made_at.text();
    }
};

}  // namespace

TEST_CASE("the market's attest verify: the exit code says what the evidence proves") {
    const Shown good;
    const Run told = market(good.arguments() + " --json");
    INFO(told.output);
    CHECK(told.status == 0);
    const auto body = Json::parse(told.output);
    REQUIRE(body);
    CHECK(body->text_at("status") == "proven");
    CHECK(body->find("rests_on")->items().size() == 8);
    CHECK(market(good.arguments()).output.find("Intel's TCB info of the family") !=
          std::string::npos);
    // The operator's own policy, where no other is named: it pins Intel's key, not the test's.
    const std::string judged = "attest verify --evidence '" + good.evidence + "' --at " +
                               attestation::test::tdx_made_at.text();
    CHECK(market(judged).status == 1);
    ::setenv("MARKET_ATTESTATION_POLICY", good.rules.c_str(), 1);
    CHECK(market(judged).status == 0);
    ::unsetenv("MARKET_ATTESTATION_POLICY");
    CHECK(market("attest verify").status == 2);
    CHECK(market("attest --help").status == 0);
    CHECK(market("attest verify --evidence /nonexistent").status == 1);
}

TEST_CASE("market and client report the same of the same evidence, for people and for programs") {
    const Shown accepted;
    const Shown refused{[](attestation::test::TdxParts& parts) {
        parts.pck_list.revoked.push_back(parts.leaf.serial);
    }};
    const Shown open{{}, false};
    const struct {
        const Shown& shown;
        int status;
        const char* word;
    } rows[] = {{accepted, 0, "proven"}, {refused, 1, "refuted"}, {open, 3, "unknown"}};
    for (const auto& row : rows) {
        INFO(row.word);
        for (const char* more : {"", " --json"}) {
            const Run ours = market(row.shown.arguments() + more);
            const Run theirs = run("cocoon-client", row.shown.arguments() + more);
            INFO(ours.output);
            CHECK(ours.status == row.status);
            CHECK(theirs.status == row.status);
            CHECK(ours.output == theirs.output);
        }
        const auto body = Json::parse(market(row.shown.arguments() + " --json").output);
        REQUIRE(body);
        CHECK(body->text_at("status") == row.word);
    }
}
