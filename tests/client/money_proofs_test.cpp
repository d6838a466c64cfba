// What `cocoon-client verify` says of the market's words about money: true ones pass, every changed
// one is found, and what nobody knows is not called good.
#include "client/money_proofs.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "client/commands.hpp"
#include "sealing/market_statement.hpp"
#include "settlement/merkle_sum.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::client;
using sealing::Json;

namespace {

const sealing::SigningKey market = *sealing::SigningKey::from_seed(Bytes(32, 3));
const std::optional<sealing::PublicKey> pinned = market.public_key();

settlement::MerkleSum tree() {
    std::vector<settlement::Liability> owed;
    for (std::uint64_t i = 2; i < 13; ++i)
        owed.push_back({i, sealing::sha256(as_bytes(std::to_string(i))),
                        Nano{static_cast<std::int64_t>(i * 1'000)}});
    return settlement::MerkleSum::build(owed).value();
}

Json signed_solvency(std::optional<std::int64_t> balance) {
    const auto root = tree().root();
    sealing::SolvencyStatement statement;
    statement.sequence = 9;
    statement.at = Instant{1'700'000'000'000'000};
    statement.accounts = tree().leaves();
    statement.root = root.hash;
    statement.liabilities = root.sum;
    if (balance)
        statement.wallet = sealing::SolvencyStatement::Wallet{"EQwallet", Nano{*balance}, Nano{20},
                                                              Nano{10}, statement.at};
    return Json::parse(sealing::sign_statement(statement, "market-1", market)).value();
}

// As GET /v1/account/proof answers.
Json account_proof(std::optional<std::int64_t> balance = 77'000) {
    const auto proof = tree().proof(5).value();
    Json path = Json::array();
    for (const auto& node : proof.path)
        path.push(Json::object({{"hash", to_hex(node.hash)}, {"sum_nano", node.sum.text()}}));
    return Json::object({{"solvency", signed_solvency(balance)},
                         {"leaf", Json::object({{"account", "acc_5"},
                                                {"salt", to_hex(proof.leaf.salt)},
                                                {"amount_nano", proof.leaf.amount.text()}})},
                         {"index", std::to_string(proof.index)},
                         {"path", std::move(path)}});
}

Json signed_earnings(std::uint64_t counter, std::int64_t earned, std::int64_t paid,
                     const std::string& account = "acc_5") {
    sealing::EarningsStatement statement{
        account,      "UQme",     counter, Instant{1'700'000'000'000'000},
        Nano{earned}, Nano{paid}, Nano{5}};
    return Json::parse(sealing::sign_statement(statement, "market-1", market)).value();
}

std::string outcomes(const MoneyReport& report) {
    std::string text;
    for (const ReceiptCheck& check : report.checks)
        text += (text.empty() ? "" : ", ") + check.name + " " + std::string{to_text(check.outcome)};
    return text;
}

Json changed(Json document, const std::string& member, const std::string& name, Json value) {
    document.find(member)->set(name, std::move(value));
    return document;
}

}  // namespace

TEST_CASE("a proof of solvency is judged with and without one's own leaf") {
    const struct {
        Json document;
        const char* expected;
        bool valid, certain;
    } rows[] = {
        {account_proof(), "market_signature passed, own_leaf passed, wallet passed", true, true},
        // 77 000 are owed: 20 on their way and 10 on hold make 10 more than the balance.
        {account_proof(76'990), "market_signature passed, own_leaf passed, wallet passed", true,
         true},
        {account_proof(76'989), "market_signature passed, own_leaf passed, wallet failed", false,
         true},
        {account_proof(std::nullopt), "market_signature passed, own_leaf passed, wallet skipped",
         true, false},
        {signed_solvency(80'000), "market_signature passed, own_leaf skipped, wallet passed", true,
         true},
        {changed(account_proof(), "leaf", "amount_nano", "5001"),
         "market_signature passed, own_leaf failed, wallet passed", false, true},
        {changed(account_proof(), "leaf", "account", "acc_6"),
         "market_signature passed, own_leaf failed, wallet passed", false, true},
        {changed(account_proof(), "leaf", "amount_nano", "-1"),
         "market_signature passed, own_leaf failed, wallet passed", false, true},
        {changed(account_proof(), "leaf", "salt", "00"),
         "market_signature passed, own_leaf failed, wallet passed", false, true},
        {Json::object(), "market_signature failed", false, true},
        {Json::array(), "market_signature failed", false, true},
        {signed_earnings(1, 10, 5), "market_signature failed", false, true},
    };
    for (const auto& row : rows) {
        INFO(row.document.serialize());
        const MoneyReport report = check_solvency(row.document, pinned);
        CHECK(outcomes(report) == row.expected);
        CHECK(report.valid() == row.valid);
        CHECK(report.certain == row.certain);
    }
    const auto other = sealing::SigningKey::from_seed(Bytes(32, 4)).value().public_key();
    CHECK(outcomes(check_solvency(account_proof(), other)) == "market_signature failed");
    CHECK(check_solvency(account_proof(), std::nullopt).valid());
    CHECK(check_solvency(account_proof(), pinned).facts.text_at("liabilities_nano") == "77000");
}

TEST_CASE("no changed character of a proof passes") {
    const std::string good = account_proof().serialize();
    std::size_t looked_at = 0;
    for (std::size_t i = 0; i < good.size(); ++i) {
        std::string lie = good;
        lie[i] = lie[i] == '3' ? '4' : '3';
        const auto document = Json::parse(lie);
        if (!document) continue;
        const MoneyReport report = check_solvency(*document, pinned);
        // Only the key's name, which is not signed, may change; a leaf under another name is none.
        const bool harmless = lie.find("\"key_id\":\"market-1\"") == std::string::npos ||
                              (report.checks.size() > 1 &&
                               report.checks[1].outcome == ReceiptCheck::Outcome::skipped);
        INFO(lie);
        CHECK((harmless || !report.valid()));
        ++looked_at;
    }
    CHECK(looked_at > 900);
}

TEST_CASE("signed earnings are judged alone and against older ones") {
    const Json now = signed_earnings(10, 100, 40);
    const struct {
        std::optional<Json> older;
        const char* expected;
    } rows[] = {
        {std::nullopt, "older skipped"},
        {now, "older passed"},
        {signed_earnings(9, 100, 40), "older passed"},
        {signed_earnings(9, 99, 39), "older passed"},
        {signed_earnings(9, 101, 40), "older failed"},
        {signed_earnings(9, 100, 41), "older failed"},
        {signed_earnings(11, 100, 40), "older failed"},
        {signed_earnings(10, 99, 40), "older failed"},  // two words on one state
        {signed_earnings(9, 100, 40, "acc_6"), "older failed"},
        {Json::object(), "older failed"},
    };
    for (const auto& row : rows) {
        const MoneyReport report = check_earnings(now, row.older, pinned);
        CHECK(outcomes(report) ==
              std::string{"market_signature passed, sums passed, "} + row.expected);
        CHECK(report.valid() == (std::string{row.expected} != "older failed"));
    }
    CHECK(outcomes(check_earnings(signed_earnings(1, 44, 40), {}, pinned)) ==
          "market_signature passed, sums failed, older skipped");
    CHECK(check_earnings(now, {}, pinned).facts.text_at("owed_nano") == "60");
}

TEST_CASE("the command line judges files and says so with its exit code") {
    char name[] = "/tmp/cocoon-money-proofs-XXXXXX";
    const std::string folder = mkdtemp(name);
    const auto file = [&](const std::string& text) {
        static int files = 0;
        const std::string path = folder + "/" + std::to_string(++files);
        std::ofstream{path} << text;
        return path;
    };
    const auto exit_code = [](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), "verify");
        return run_command(arguments, {[](const char*) { return std::string{}; }, "test"})
            .exit_code;
    };
    const std::string key = to_hex(*pinned);
    CHECK(exit_code({"--solvency", file(account_proof().serialize()), "--market-key", key}) == 0);
    CHECK(exit_code({"--solvency", file(signed_solvency(1).serialize())}) == 1);
    CHECK(exit_code({"--solvency", file(account_proof(std::nullopt).serialize())}) == 3);
    CHECK(exit_code({"--solvency", file("{")}) == 1);
    CHECK(exit_code({"--solvency", folder + "/none"}) == 2);
    CHECK(exit_code({"--solvency", file("{}"), "--market-key", "00"}) == 2);
    CHECK(exit_code({"--solvency", file("{}"), "job_9"}) == 2);
    const std::string older = file(signed_earnings(9, 90, 40).serialize());
    CHECK(exit_code({"--earnings", file(signed_earnings(10, 100, 40).serialize()), "--older",
                     older}) == 0);
    CHECK(exit_code({"--earnings", file(signed_earnings(10, 89, 40).serialize()), "--older",
                     older}) == 1);
    CHECK(exit_code({}) == 2);
    std::filesystem::remove_all(folder);
}
