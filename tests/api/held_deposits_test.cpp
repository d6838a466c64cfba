// Transfers on hold: what an operator sees of them, and what crediting one does.
#include "db/settlement.hpp"
#include "tests/api/house.hpp"
#include "tests/catch.hpp"

namespace cocoon::api {
namespace {

using namespace matching;
using namespace test;

settlement::Entry transfer(const std::string& reference, std::int64_t amount) {
    settlement::Entry entry;
    entry.kind = settlement::Entry::Kind::deposit;
    entry.reference = reference;
    entry.source = "UQ-somebody";
    entry.memo = "what for?";
    entry.at = now();
    entry.in = Nano{amount};
    return entry;
}

}  // namespace

TEST_CASE("an operator says whose a transfer is, and it is credited once") {
    House house;
    house.market.furnish();
    db::Settlement store{house.pool};
    house.context.held_transfer = [&](settlement::HoldId hold) { return store.held(hold); };
    store.hold(transfer("ton:1:aa", 700), "unknown_memo");
    store.hold(transfer("ton:2:bb", 3), "below_minimum");
    store.hold(transfer("ton:1:aa", 700), "unknown_memo");  // seen again
    const Principal admin = person(AccountId{1'000}, AccountKind::admin, scope_admin | scope_audit);
    const Principal developer =
        person(house.market.developer, AccountKind::developer, scope_read | scope_manage);
    const std::string list = "/v1/admin/held-deposits";

    CHECK(house.get(list, developer).status == 403);
    const Heard held = house.get(list, admin);
    REQUIRE(held.body["items"].size() == 2);
    CHECK(held.body["items"][0]["reference"] == "ton:2:bb");
    CHECK(held.body["items"][1]["reason"] == "unknown_memo");
    CHECK(held.body["items"][1]["credited_to"] == nullptr);
    const Heard first = house.get(list + "?limit=1", admin);
    CHECK(first.body["has_more"] == true);
    const std::string cursor = first.body["next_cursor"];
    CHECK(house.get(list + "?limit=1&cursor=" + cursor, admin).body["items"][0]["reference"] ==
          "ton:1:aa");

    const std::string credit =
        list + '/' + held.body["items"][1]["id"].get<std::string>() + ":credit";
    const json body{{"account", house.market.developer.text()}, {"note", "ticket 318"}};
    const std::string before =
        house.get("/v1/account/balance", developer).body["available_nano"].get<std::string>();
    const struct {
        std::string path;
        Principal who;
        json body;
        int status;
    } refused[] = {
        {credit, developer, body, 403},
        {list + "/hold_77:credit", admin, body, 404},
        {list + "/acc_1:credit", admin, body, 404},
        {credit, admin, {{"account", "acc_999"}, {"note", "x"}}, 404},
        {credit, admin, {{"account", house.market.developer.text()}}, 422},
        {credit, admin, {{"account", house.market.developer.text()}, {"note", ""}}, 422},
    };
    for (const auto& row : refused) {
        INFO(row.path << row.body);
        CHECK(house.post(row.path, row.who, row.body).status == row.status);
    }
    CHECK(store.totals().held == Nano{703});

    const Heard done = house.post(credit, admin, body);
    REQUIRE(done.status == 201);
    CHECK(done.body["reference"] == "ton:1:aa");
    CHECK(house.get("/v1/account/balance", developer).body["available_nano"] ==
          (*Nano::parse(before) + Nano{700}).text());
    CHECK(house.post(credit, admin, body).status == 409);
    CHECK(store.totals().held == Nano{3});
    CHECK(store.holds() == 1);
    CHECK(house.get(list + "?state=open", admin).body["items"].size() == 1);
    const Heard credited = house.get(list + "?state=credited", admin);
    REQUIRE(credited.body["items"].size() == 1);
    CHECK(credited.body["items"][0]["credited_to"] == house.market.developer.text());
    const Heard audit = house.get("/v1/admin/audit", admin);
    CHECK(audit.body["items"][0]["action"] == "credit_held_deposit");
    CHECK(audit.body["items"][0]["note"] == "ticket 318");
    CHECK(house.get("/v1/admin/ledger", admin).body["total_nano"] == "0");
}

}  // namespace cocoon::api
