// What is owed and who may let it go, over the API: every answer fits the contract, the signed ones
// verify, and a large payout takes two admins.
#include "api/solvency.hpp"
#include "db/settlement.hpp"
#include "sealing/market_statement.hpp"
#include "tests/api/house.hpp"

using namespace cocoon;
using namespace cocoon::api;
using namespace cocoon::api::test;
using namespace cocoon::matching;
using nlohmann::json;

namespace {

const sealing::SigningKey market_key = *sealing::SigningKey::from_seed(Bytes(32, 6));

struct Owing : House {
    Principal provider, provider_manager, one, other, auditor;

    Owing() {
        std::tie(provider, provider_manager) = sign_up(*this, "provider");
        const auto admin = [&] {
            return person(market.admin(), AccountKind::admin, scope_read | scope_admin);
        };
        one = admin();
        other = admin();
        auditor = person(AccountId{77}, AccountKind::auditor, scope_audit);
        context.sign_earnings = [](const sealing::EarningsStatement& statement) {
            return sealing::sign_statement(statement, "market-1", market_key);
        };
        context.payout_address = [](const std::string& address) -> Result<std::string> {
            return address;
        };
        REQUIRE(call(Method::patch, "/v1/account", provider_manager, {{"payout_address", "dev:me"}})
                    .status == 204);
        const auto* account = market.writer->state().accounts.find(provider.account);
        market.must<DepositAnswer>(
            CreditDeposit{account->account.deposit_memo, Nano{9'000'000'000}, "tx"});
    }
    json ask(const std::string& amount) {
        const Heard asked = post("/v1/payouts", provider_manager,
                                 {{"amount_nano", amount}, {"source", "available"}});
        REQUIRE(asked.status == 201);
        return asked.body;
    }
    sealing::EarningsStatement earnings() {
        const Heard heard = get("/v1/account/signed-statement", provider_manager);
        REQUIRE(heard.status == 200);
        return sealing::verify_earnings(sealing::Json::parse(heard.text).value(),
                                        market_key.public_key())
            .value();
    }
    // As server/solvency makes it.
    void prove() {
        market.project();
        const db::Liabilities owed = db::Settlement{pool}.liabilities();
        std::vector<settlement::Liability> leaves;
        for (const auto& [account, amount] : owed.accounts) leaves.push_back({account, {}, amount});
        auto tree = settlement::MerkleSum::build(std::move(leaves)).value();
        sealing::SolvencyStatement statement;
        statement.sequence = owed.sequence;
        statement.at = market.now;
        statement.accounts = tree.leaves();
        statement.root = tree.root().hash;
        statement.liabilities = tree.root().sum;
        auto proof = std::make_shared<const SolvencyProof>(SolvencyProof{
            sealing::sign_statement(statement, "market-1", market_key), std::move(tree)});
        context.solvency = [proof] { return proof; };
    }
};

}  // namespace

TEST_CASE("a large payout takes two admins, over the API") {
    Owing house;
    CHECK(house.ask("999999999")["state"] == "queued");
    const json large = house.ask("1000000000");
    CHECK(large["state"] == "awaiting_approval");
    CHECK(large["approvals"] == 0);
    const std::string path = "/v1/admin/payouts/" + large["id"].get<std::string>();
    const auto approve = [&](const Principal& who) {
        return house.post(path + ":approve", who, {{"note", "asked them"}});
    };
    CHECK(approve(house.provider_manager).status == 403);
    CHECK(approve(house.auditor).status == 403);
    CHECK(approve(house.one).body["approvals"] == 1);
    const Heard again = approve(house.one);
    CHECK(again.status == 403);
    CHECK(again.body["code"] == "own_approval");
    const Heard seen = house.get("/v1/admin/payouts?state=awaiting_approval", house.auditor);
    REQUIRE(seen.body["items"].size() == 1);
    CHECK(seen.body["items"][0]["account"] == house.provider.account.text());
    CHECK(seen.body["items"][0]["approvers"] == json{house.one.account.text()});
    CHECK(house.get("/v1/admin/payouts?state=lost", house.auditor).status == 422);
    CHECK(house.get("/v1/admin/payouts", house.auditor).body["items"].size() == 2);
    CHECK(house.get("/v1/admin/payouts", house.provider_manager).status == 403);
    CHECK(approve(house.other).body["state"] == "queued");
    CHECK(approve(house.other).status == 409);
    CHECK(house.post(path + ":reject", house.one, {{"reason", "late"}}).status == 409);

    const std::string second =
        "/v1/admin/payouts/" + house.ask("2000000000")["id"].get<std::string>();
    const Heard rejected = house.post(second + ":reject", house.one, {{"reason", "who is this?"}});
    CHECK(rejected.status == 200);
    CHECK(rejected.body["reason"] == "who is this?");
    CHECK(house.post("/v1/admin/payouts/pay_99:approve", house.one, {{"note", "n"}}).status == 404);
    CHECK(house.get("/v1/account/balance", house.provider_manager).body["paying_nano"] ==
          "1999999999");
}

TEST_CASE("payouts pause and go on over the API, and the audit log says who did it and why") {
    Owing house;
    const auto turn = [&](const char* to, const Principal& who) {
        return house.post(std::string{"/v1/admin/settlement:"} + to, who, {{"note", "drill"}})
            .status;
    };
    CHECK(turn("pause", house.auditor) == 403);
    CHECK(turn("pause", house.one) == 204);
    CHECK(turn("pause", house.other) == 204);  // as it was: nothing to audit
    CHECK(house.get("/v1/admin/settlement", house.auditor).body["payouts_paused"] == true);
    CHECK(turn("resume", house.other) == 204);
    CHECK(house.get("/v1/admin/settlement", house.auditor).body["payouts_paused"] == false);
    const json audit = house.get("/v1/admin/audit?limit=2", house.auditor).body["items"];
    CHECK(audit[0]["action"] == "resume_payouts");
    CHECK(audit[0]["actor"] == house.other.account.text());
    CHECK(audit[1]["action"] == "pause_payouts");
    CHECK(audit[1]["before"] == "running");
    CHECK(audit[1]["after"] == "paused");
    CHECK(audit[1]["note"] == "drill");
}

TEST_CASE("signed earnings only grow, and one state has one statement") {
    Owing house;
    const auto first = house.earnings();
    CHECK(first.account == house.provider.account.text());
    CHECK(first.payout_address == "dev:me");
    CHECK(first.earned == Nano{});
    CHECK(house.get("/v1/account/signed-statement", house.provider_manager).text ==
          house.get("/v1/account/signed-statement", house.provider_manager).text);
    // Somebody else's doings: a newer counter, the same sums.
    house.market.furnish();
    const auto later = house.earnings();
    CHECK(later.counter > first.counter);
    CHECK(later.at > first.at);

    const Principal earner =
        person(house.market.provider, AccountKind::provider, scope_read | scope_manage);
    const auto of_earner = [&] {
        return sealing::verify_earnings(
                   sealing::Json::parse(house.get("/v1/account/signed-statement", earner).text)
                       .value(),
                   market_key.public_key())
            .value();
    };
    sealing::EarningsStatement before = of_earner();
    const auto grows = [&] {
        const sealing::EarningsStatement now = of_earner();
        const auto& balances =
            house.market.writer->state().accounts.find(earner.account)->account.balances;
        CHECK(now.counter > before.counter);
        CHECK(now.earned >= before.earned);
        CHECK(now.paid >= before.paid);
        CHECK(now.owed() == balances[static_cast<std::size_t>(Bucket::earned)] + now.paying);
        before = now;
    };
    const auto payout = [&](std::int64_t amount) {
        return house.market
            .must<PayoutAnswer>(RequestPayout{earner.account, Bucket::earned, Nano{amount}})
            .payout.id;
    };
    const auto advance = [&](PayoutId id, PayoutState state) {
        house.market.must<Done>(AdvancePayouts{{id}, state, "batch"});
        grows();
    };
    for (int round = 0; round < 3; ++round) {
        house.market.complete(*house.market.matched().job);
        grows();
        const PayoutId paid = payout(1'000), returned = payout(2'000);
        grows();
        advance(paid, PayoutState::sent);
        advance(returned, PayoutState::returned);
        advance(paid, PayoutState::paid);
    }
    CHECK(before.paid == Nano{3'000});
    CHECK(before.paying == Nano{});
    CHECK(before.earned > before.paid);
}

TEST_CASE("everybody finds their leaf in the proof of solvency, and nobody else's") {
    Owing house;
    house.prove();
    const Heard open = house.get("/v1/proof/solvency", Principal{});
    const auto statement =
        sealing::verify_solvency(sealing::Json::parse(open.text).value(), market_key.public_key())
            .value();
    CHECK(statement.liabilities == Nano{9'000'000'000});
    const json mine = house.get("/v1/account/proof", house.provider_manager).body;
    CHECK(mine["solvency"] == open.body);
    CHECK(mine["leaf"]["account"] == house.provider.account.text());
    CHECK(mine["leaf"]["amount_nano"] == "9000000000");
    CHECK(house.get("/v1/account/proof", Principal{}).status == 401);
    // Opened after the proof was made.
    const auto [fresh, fresh_manager] = sign_up(house, "developer");
    CHECK(house.get("/v1/account/proof", fresh_manager).status == 404);
    house.prove();
    CHECK(house.get("/v1/account/proof", fresh_manager).body["leaf"]["amount_nano"] == "0");
}
