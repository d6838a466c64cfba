// The contract against a real market: Writer, PostgreSQL and Reader behind the table of routes, as
// the server joins them. Every answer is held to its schema in openapi.yaml.
#include <set>

#include "api/events.hpp"
#include "attestation/simulated.hpp"
#include "sealing/keyset.hpp"
#include "sealing/signing.hpp"
#include "sealing/statement.hpp"
#include "tests/api/house.hpp"

using namespace cocoon;
using namespace cocoon::api;
using namespace cocoon::api::test;
using namespace cocoon::matching;
using nlohmann::json;

namespace {

json evidence_body(House& house, const Principal& node, const std::string& nonce) {
    sealing::Keyset parts;
    parts.receipt_keys = {{"receipt-1", sealing::SigningKey::generate().public_key()}};
    parts.sealing_keys = {{"seal-1", sealing::ohttp::make_key_config(
                                         1, sealing::SealingKey::generate().public_key())}};
    parts.not_after = Instant{(house.market.now + hours(12)).unix_seconds() * 1'000'000};
    const auto keyset = sealing::build_keyset(parts);
    REQUIRE(keyset);
    attestation::SimulatedReport report;
    report.measurement = std::string(96, 'a');
    report.platform_id = "host-" + std::to_string(node.node.value);
    report.report_data = *sealing::report_data_for(keyset->digest, nonce);
    report.issued_at = Instant{house.market.now.unix_seconds() * 1'000'000};
    const auto evidence = attestation::make_simulated_evidence(report);
    REQUIRE(evidence);
    return {{"tier", "simulated"},
            {"nonce", nonce},
            {"keyset_document", keyset->document},
            {"evidence", to_base64(evidence->bytes)}};
}

// From a machine to an attested node with an offer.
Principal enrol(House& house, const Principal& provider) {
    const Heard token = house.post("/v1/nodes/enrolments", provider);
    REQUIRE(token.status == 201);
    const Heard enrolled = house.post("/v1/nodes:enrol", Principal{},
                                      {{"token", token.body["token"]},
                                       {"name", "rack 3"},
                                       {"region", "eu-west"},
                                       {"country", "NL"},
                                       {"gpu_model", "H100"},
                                       {"gpu_count", 8},
                                       {"hardware", {{"cpu", "x"}, {"vram_gib", 80}}}});
    REQUIRE(enrolled.status == 201);
    const auto id = *NodeId::parse(enrolled.body["node"]["id"].get<std::string>());
    const Principal node = person(provider.account, AccountKind::provider, scope_node,
                                  *KeyId::parse(enrolled.body["key"]["id"].get<std::string>()), id);
    const std::string path = "/v1/nodes/" + id.text();
    const auto fresh_nonce = [&] {
        house.market.now = house.market.now + milliseconds(1);
        const Heard challenge = house.post(path + "/challenge", node);
        REQUIRE(challenge.status == 200);
        return challenge.body["nonce"].get<std::string>();
    };
    // Another keyset than the evidence binds.
    json spoiled = evidence_body(house, node, fresh_nonce());
    spoiled["keyset_document"] = evidence_body(house, node, spoiled["nonce"])["keyset_document"];
    const Heard refused = house.post(path + "/evidence", node, spoiled);
    CHECK(refused.status == 412);
    CHECK(refused.body["errors"][0]["path"] == "/evidence");
    // What is judged and stored is what completing made of what was sent.
    json evidence;
    house.context.complete_evidence = [&](NodeId of, const Bytes& sent) {
        CHECK(of == id);
        CHECK(sent == Bytes(3, 0));
        return CompletedEvidence{*from_base64(evidence["evidence"].get<std::string>()),
                                 {"the vendor is away"}};
    };
    const auto bare = [&](const char* tier) {
        evidence = evidence_body(house, node, fresh_nonce());
        json body = evidence;
        body["evidence"] = to_base64(Bytes(3, 0));
        body["tier"] = tier;
        return body;
    };
    const Heard unknown = house.post(path + "/evidence", node, bare("unheard-of"));
    CHECK(unknown.status == 412);
    CHECK(unknown.text.find("collateral (not checked): the vendor is away") != std::string::npos);
    house.context.complete_evidence = [&](NodeId, const Bytes&) {
        CompletedEvidence down{*from_base64(evidence["evidence"].get<std::string>()),
                               {"the vendor is away"}};
        down.vendor_down = true;
        return down;
    };
    // Unknown because a vendor is down is neither proven nor refuted: later may be better.
    const Heard later = house.post(path + "/evidence", node, bare("unheard-of"));
    CHECK(later.status == 503);
    CHECK(later.body["code"] == "collateral_unavailable");
    const json accepted = bare("simulated");
    REQUIRE(house.post(path + "/evidence", node, accepted).status == 200);
    house.context.complete_evidence = Context{}.complete_evidence;
    // The nonce has proven what it could.
    const Heard again = house.post(path + "/evidence", node, evidence);
    CHECK(again.status == 412);
    CHECK(again.body["errors"][0]["path"] == "/nonce");
    CHECK(again.text.find("nonce_used") != std::string::npos);
    const Heard shown = house.get(path + "/evidence", Principal{});
    CHECK(shown.body["nonce"] == evidence["nonce"]);
    CHECK(shown.body["evidence"] == evidence["evidence"]);
    CHECK(house
              .get(path + "/evidence?hash=" + shown.body["evidence_hash"].get<std::string>(),
                   Principal{})
              .status == 200);
    house.market.must<Done>(SetNodePresence{id, true});
    return node;
}

const json request_body = {
    {"market", "inference:a/b"},
    {"quantity", {{"prompt_tokens", 1000}, {"completion_tokens", 500}, {"requests", 1}}},
    {"time_in_force", "immediate"},
    {"constraints", {{"tiers", {"simulated"}}}}};

}  // namespace

TEST_CASE("a market lives through its HTTP contract, and strangers see nothing of it") {
    House house;
    const auto [provider, provider_manager] = sign_up(house, "provider");
    const auto [developer, manager] = sign_up(house, "developer");
    const auto [stranger, stranger_manager] = sign_up(house, "developer");
    const Principal node = enrol(house, provider);
    const Principal auditor =
        person(AccountId{INT64_MAX - 1}, AccountKind::auditor, scope_read | scope_audit);

    // supply
    const Heard offer = house.post(
        "/v1/offers", node,
        {{"market", "inference:a/b"},
         {"slots", 8},
         {"price",
          {{"prompt_nano_per_mtok", "1000000000"}, {"completion_nano_per_mtok", "2000000000"}}}});
    REQUIRE(offer.status == 201);
    const std::string offer_path = "/v1/offers/" + offer.body["id"].get<std::string>();
    CHECK(house.call(Method::patch, offer_path, provider, {{"slots", 9}}).status == 428);
    CHECK(house.call(Method::patch, offer_path, provider, {{"slots", 9}}, {}, "\"77\"").status ==
          412);
    const Heard amended =
        house.call(Method::patch, offer_path, provider, {{"slots", 9}}, {}, offer.etag);
    CHECK(amended.status == 200);
    CHECK(amended.etag != offer.etag);
    CHECK(house.get(offer_path, provider).body["slots"] == 9);
    CHECK(house.get("/v1/offers?state=active", provider).body["items"].size() == 1);

    // money
    const Heard where = house.get("/v1/account/deposit", manager);
    REQUIRE(where.status == 200);
    house.market.must<DepositAnswer>(
        CreditDeposit{where.body["memo"], Nano{1'000'000'000}, "chain:1"});
    CHECK(house.get("/v1/account/balance", developer).body["available_nano"] == "1000000000");

    // demand
    CHECK(house.post("/v1/requests", stranger, request_body).status == 402);
    json elsewhere = request_body;
    elsewhere["market"] = "inference:none";
    CHECK(house.post("/v1/requests", developer, elsewhere).body["code"] == "unknown_market");
    json cheap = request_body;
    cheap["cap_total_nano"] = "1";
    const Heard poor = house.post("/v1/requests", developer, cheap);
    CHECK(poor.body["code"] == "price_cap_too_low");
    CHECK(poor.body.contains("explanation"));
    CHECK(house.post("/v1/requests:whatif", Principal{}, cheap).status == 200);
    const Heard first = house.call(Method::post, "/v1/requests", developer, request_body, "same");
    REQUIRE(first.status == 201);
    REQUIRE(first.body.contains("job"));
    CHECK(first.body["job"]["market"] == "inference:a/b");
    CHECK(first.body["node"]["keyset_document"].is_string());
    const Heard again = house.call(Method::post, "/v1/requests", developer, request_body, "same");
    CHECK(again.body["job"]["id"] == first.body["job"]["id"]);
    CHECK(house.call(Method::post, "/v1/requests", developer, cheap, "same").body["code"] ==
          "idempotency_key_reused");
    json resting = cheap;
    resting["time_in_force"] = "rest";
    resting["rest_until"] = (house.market.now + hours(1)).text();
    const Heard rests = house.post("/v1/requests", developer, resting);
    REQUIRE(rests.status == 201);
    const std::string request_path =
        "/v1/requests/" + rests.body["request"]["id"].get<std::string>();
    CHECK(house.get(request_path + "/explain", developer).status == 200);
    CHECK(
        house
            .call(Method::patch, request_path, developer, {{"cap_total_nano", "2"}}, {}, rests.etag)
            .status == 200);
    CHECK(house.call(Method::remove, request_path, developer).status < 300);
    const Heard batch =
        house.post("/v1/requests:batch", developer, {{"requests", {request_body, cheap}}});
    REQUIRE(batch.status == 200);
    CHECK(batch.body["results"][0]["status"] == 201);
    CHECK(batch.body["results"][1]["status"] == 503);

    // a finished job, its receipt and its money
    const JobId job = *JobId::parse(first.body["job"]["id"].get<std::string>());
    const std::uint64_t token = house.market.writer->state().jobs.find(job)->job.fencing_token;
    house.market.must<JobAnswer>(StartJob{job, token});
    const json envelope{
        {"receipt", {{"id", job.text()}}},
        {"cosignature", {{"key_id", "k"}, {"public_key", "p"}, {"signature", "s"}}}};
    house.market.must<JobAnswer>(
        CompleteJob{.job = job,
                    .fencing_token = token,
                    .usage = {.prompt = 900, .completion = 100, .requests = 1},
                    .receipt_hash = std::string(64, 'd'),
                    .receipt = envelope.dump(),
                    .reason = {}});
    const std::string job_path = "/v1/jobs/" + job.text();
    const Heard ended = house.get(job_path, developer);
    CHECK(ended.body["state"] == "completed");
    for (const char* group : {"day", "market", "node", "key"}) {
        CAPTURE(group);
        const std::string usage = "/v1/account/usage?group=" + std::string{group};
        const auto until = "&to=" + (house.market.now + hours(1)).text();
        const Heard bought = house.get(usage + until, developer);
        const Heard sold = house.get(usage + until + "&side=sold", provider);
        REQUIRE(bought.body["items"].size() == 1);
        CHECK(bought.body["items"][0]["captured_nano"] == ended.body["captured_nano"]);
        CHECK(bought.body["items"][0]["usage"]["completion_tokens"] == 100);
        CHECK(sold.body["items"] == bought.body["items"]);
        CHECK(house.get(usage + until, stranger).body["items"].empty());
    }
    CHECK(house.get("/v1/account/usage?group=day&from=2024-01-01T00:00:00Z", developer).status ==
          422);
    CHECK(house.get("/v1/account/usage?group=week", developer).status == 422);
    CHECK(house.get("/v1/account/usage", Principal{}).status == 401);
    CHECK(house.get(job_path, provider).body["captured_nano"] ==
          house.get(job_path, developer).body["captured_nano"]);
    const Heard cancelled = house.call(
        Method::remove, "/v1/jobs/" + batch.body["results"][0]["job"]["id"].get<std::string>(),
        developer);
    CHECK(cancelled.status < 300);
    const Heard statement = house.get("/v1/account/statement?limit=1", manager);
    CHECK(statement.body["has_more"] == true);
    const std::string next = "&cursor=" + statement.body["next_cursor"].get<std::string>();
    CHECK(house.get("/v1/account/statement?limit=1" + next, manager).body["items"] !=
          statement.body["items"]);
    CHECK(house.get("/v1/account/statement?limit=1" + next, stranger_manager).status == 422);
    CHECK(house.get("/v1/account/statement?from=2026-01-01T00:00:00Z" + next, manager).status ==
          422);
    const Heard sheet = house.get("/v1/account/statement?format=csv", manager);
    CHECK(sheet.text.starts_with("sequence,"));
    CHECK(std::count(sheet.text.begin(), sheet.text.end(), '\n') > 5);
    CHECK(
        house.post("/v1/payouts", provider_manager, {{"amount_nano", "1000"}, {"source", "earned"}})
            .status == 201);
    CHECK(house
              .post("/v1/payouts", provider_manager,
                    {{"amount_nano", "9000000000000"}, {"source", "earned"}})
              .status == 402);

    // keys and webhooks
    const Heard key = house.post("/v1/keys", manager, {{"name", "k"}, {"scopes", {"read"}}});
    REQUIRE(key.status == 201);
    const std::string key_path = "/v1/keys/" + key.body["id"].get<std::string>();
    CHECK(house.call(Method::patch, key_path, manager, {{"name", "k2"}}).status == 204);
    CHECK(house.post(key_path + ":rotate", manager, {{"overlap_seconds", 5}}).status == 201);
    CHECK(house.call(Method::remove, key_path, stranger_manager).status == 404);
    CHECK(house.call(Method::remove, key_path, manager).status == 204);
    const Heard pages = house.get("/v1/keys?limit=1", manager);
    CHECK(pages.body["has_more"] == true);
    const Heard hook = house.post("/v1/webhooks", manager,
                                  {{"url", "https://example.org"}, {"events", {"job.ended"}}});
    REQUIRE(hook.status == 201);
    const std::string hook_path = "/v1/webhooks/" + hook.body["id"].get<std::string>();
    CHECK(house.post(hook_path + ":redeliver", manager).status == 202);
    CHECK(house.post(hook_path + ":redeliver", stranger_manager).status == 404);
    CHECK(house.get("/v1/webhooks", manager).text.find("whsec_") == std::string::npos);

    // another tenant sees none of it
    for (const std::string& path : {offer_path, request_path, job_path, job_path + "/receipt"}) {
        INFO(path);
        CHECK(house.get(path, stranger).status == 404);
        CHECK(house.get(path, auditor).status == 200);
    }
    CHECK(house
              .call(Method::remove, offer_path,
                    person(stranger.account, AccountKind::provider, scope_offer), {}, {}, "*")
              .status == 404);
    CHECK(house.call(Method::remove, request_path, stranger).status == 404);
    CHECK(house.call(Method::remove, job_path, stranger).status == 404);
    for (const char* list :
         {"/v1/requests", "/v1/jobs", "/v1/offers", "/v1/nodes", "/v1/payouts", "/v1/deposits"}) {
        INFO(list);
        CHECK(house
                  .get(list, person(stranger.account, AccountKind::developer,
                                    ~ScopeSet{scope_audit | scope_admin | scope_node}))
                  .body["items"]
                  .empty());
    }
    const Heard everyone = house.get("/v1/network/nodes", Principal{});
    REQUIRE(everyone.body["items"].size() == 1);
    CHECK(everyone.body["items"][0].contains("name") == false);
    CHECK(house.get("/v1/network/nodes?region=us-east", Principal{}).body["items"].empty());
    CHECK(house.get("/v1/network/nodes?tier=golden", Principal{}).status == 422);
    CHECK(house.get("/v1/nodes/" + node.node.text(), stranger).body.contains("hardware") == false);
    CHECK(house.get("/v1/nodes/" + node.node.text(), provider).body.contains("hardware") == true);

    // everything else that can be read
    for (const char* path : {"/v1/account", "/v1/keys", "/v1/deposits", "/v1/payouts", "/v1/nodes"})
        CHECK(house.get(path, provider_manager).status == 200);
    for (const char* path :
         {"/v1/models", "/v1/markets", "/v1/markets/inference:a%2Fb",
          "/v1/markets/inference:a%2Fb/book", "/v1/markets/inference:a%2Fb/ticker",
          "/v1/markets/inference:a%2Fb/trades?limit=1",
          "/v1/markets/inference:a%2Fb/candles?interval=1m", "/v1/markets/inference:a%2Fb/prices",
          "/v1/markets/inference:a%2Fb/demand", "/v1/network",
          "/v1/network/nodes?tier=simulated&region=eu-west&available=true", "/version",
          "/v1/market-key"}) {
        INFO(path);
        CHECK(house.get(path, Principal{}).status == 200);
    }
    CHECK(house.get("/v1/markets/inference:none/ticker", Principal{}).body["code"] ==
          "unknown_market");
    for (const char* path :
         {"/v1/admin/overview", "/v1/admin/accounts?limit=2", "/v1/admin/applications",
          "/v1/admin/audit", "/v1/admin/ledger", "/v1/admin/settlement"}) {
        INFO(path);
        CHECK(house.get(path, auditor).status == 200);
        CHECK(house.get(path, manager).status == 403);
    }
    CHECK(house.get("/v1/admin/ledger", auditor).body["total_nano"] == "0");
    CHECK(house.call(Method::remove, offer_path, provider, {}, {}, amended.etag).status < 500);

    // events name no secret and have their JSON
    house.market.project();
    db::Reader reader{house.pool};
    const db::Feed feed = reader.feed(AccountId{}, 0, 1000);
    CHECK(feed.events.size() > 20);
    for (const db::FeedEvent& event : feed.events) {
        if (event_name(event.event).empty()) continue;
        const json told = json::parse(event_json(event, names_from_views(house.context)));
        CHECK(told["type"] == std::string{event_name(event.event)});
        CHECK(told.dump().find("whsec_") == std::string::npos);
        CHECK(told.dump().find("secret_hash") == std::string::npos);
    }
}
