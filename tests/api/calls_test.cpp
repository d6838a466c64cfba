// Calls through the table: routing, roles, headers, secrets, cursors, ETags, rendering.
#include <chrono>
#include <set>

#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/secrets.hpp"
#include "sealing/signing.hpp"
#include "tests/api/support.hpp"

using namespace cocoon;
using namespace cocoon::api;
using namespace cocoon::matching;

namespace {

std::string looked_up(Method method, std::string_view path) {
    const Lookup found = find_route(method, path);
    if (found.malformed) return "malformed";
    if (!found.route) return found.allow.empty() ? "404" : "405 " + found.allow;
    std::string text{found.route->pattern};
    for (const std::string& capture : found.captures) text += " [" + capture + ']';
    return text;
}

std::string header_of(const Response& response, std::string_view name) {
    for (const auto& [key, value] : response.headers)
        if (key == name) return value;
    return {};
}

RequestAnswer matched() {
    RequestAnswer answer;
    answer.request.id = RequestId{21};
    answer.request.state = RequestState::matched;
    answer.request.alternatives = {{MarketId{7}, ""}};
    answer.request.version = 2;
    answer.request.placed_at = now();
    Job job;
    job.id = JobId{22};
    job.request = RequestId{21};
    job.market = MarketId{7};
    job.node = NodeId{5};
    job.offer = OfferId{6};
    job.provider = AccountId{3};
    job.fencing_token = 18'000'000'000'000'000'000u;
    job.hold = Nano{900};
    job.reserved_at = now();
    job.expires_at = now() + seconds(300);
    job.keyset_digest = "sha256:" + std::string(64, 'd');
    job.evidence_hash = std::string(64, 'f');
    answer.job = job;
    answer.request.job = job.id;
    answer.tier = Tier::tdx;
    answer.keyset_document = std::make_shared<const std::string>(R"({"api_version":"aci/1"})");
    return answer;
}

const std::string small_request =
    R"({"market":"inference:m/odel","quantity":{"prompt_tokens":900,"completion_tokens":300,"requests":1},)"
    R"("cap_total_nano":"200000","time_in_force":"immediate",)"
    R"("constraints":{"tiers":["tdx+gpu-cc"],"regions":["eu-west"]}})";

}  // namespace

TEST_CASE("paths find their route, the closest pattern first") {
    const std::tuple<Method, std::string, std::string> rows[] = {
        {Method::post, "/v1/requests", "/v1/requests"},
        {Method::put, "/v1/requests", "405 GET, POST"},
        {Method::post, "/v1/requests/", "404"},
        {Method::get, "/v1/requests:batch", "405 POST"},
        {Method::get, "/v1/requests/req_1", "/v1/requests/{id} [req_1]"},
        {Method::post, "/v1/requests/req_1", "405 GET, PATCH, DELETE"},
        {Method::get, "/v1/requests/req_1/explain", "/v1/requests/{id}/explain [req_1]"},
        {Method::post, "/v1/keys/key_1:rotate", "/v1/keys/{id}:rotate [key_1]"},
        {Method::remove, "/v1/keys/key_1:rotate", "405 POST"},
        {Method::post, "/v1/nodes/enrolments", "/v1/nodes/enrolments"},
        {Method::get, "/v1/nodes/enrolments", "405 POST"},
        {Method::get, "/v1/markets/inference:a%2Fb/book",
         "/v1/markets/{name}/book [inference:a/b]"},
        {Method::get, "/v1/markets/inference:a/b/book", "404"},
        {Method::post, "/v1/admin/markets/inference:a:pause",
         "/v1/admin/markets/{name}:pause [inference:a]"},
        {Method::get, "/v1/markets/%zz", "malformed"},
        {Method::get, "/v1/markets/%2", "malformed"},
        {Method::get, "/v1/markets/%00", "malformed"},
        {Method::get, "/v1/markets/%C0%80", "malformed"},
        {Method::get, "/v1/markets//book", "404"},
        {Method::get, "", "404"},
        {Method::get, "/", "404"},
        {Method::get, "/V1/requests", "404"},
        {Method::get, "/v1/requests/req_1/explain/x", "404"},
        {Method::get, "/docs", "/docs"},
        {Method::get, "/docs/", "404"},
        {Method::post, "/v1/keys/:rotate", "405 PATCH, DELETE"},
    };
    for (const auto& [method, path, expected] : rows) {
        INFO(method_name(method) << ' ' << path);
        CHECK(looked_up(method, path) == expected);
    }
    const Response refused = no_route(find_route(Method::put, "/v1/requests"), "rq");
    CHECK(refused.status == 405);
    CHECK(header_of(refused, "Allow") == "GET, POST");
    CHECK(no_route(find_route(Method::get, "/nothing"), "rq").status == 404);
    CHECK(no_route(find_route(Method::get, "/v1/markets/%zz"), "rq").status == 400);
}

TEST_CASE("who may call what") {
    // n nobody, r read, w work, m manage, o offer, d node, a admin, u audit
    const std::pair<char, ScopeSet> roles[] = {
        {'r', scope_read}, {'w', scope_work},  {'m', scope_manage}, {'o', scope_offer},
        {'d', scope_node}, {'a', scope_admin}, {'u', scope_audit}};
    const std::pair<std::string, std::string> rows[] = {
        {"POST /v1/accounts", "nrwmodau"},
        {"GET /v1/account", "rmau"},
        {"PATCH /v1/account", "m"},
        {"GET /v1/account/balance", "rwmo"},
        {"GET /v1/account/statement", "rm"},
        {"GET /v1/account/signed-statement", "rm"},
        {"GET /v1/account/proof", "rm"},
        {"GET /v1/account/usage", "rwmo"},
        {"GET /v1/account/deposit", "rm"},
        {"POST /v1/session", "nrwmodau"},
        {"GET /v1/session", "rm"},
        {"DELETE /v1/session", "rm"},
        {"POST /v1/session/wallet-challenges", "nrwmodau"},
        {"GET /v1/account/wallet", "rm"},
        {"PUT /v1/account/wallet", "m"},
        {"GET /v1/account/login", "rm"},
        {"PUT /v1/account/login", "m"},
        {"GET /v1/keys", "rm"},
        {"POST /v1/keys", "m"},
        {"PATCH /v1/keys/{id}", "m"},
        {"DELETE /v1/keys/{id}", "m"},
        {"POST /v1/keys/{id}:rotate", "m"},
        {"POST /v1/nodes/enrolments", "mo"},
        {"POST /v1/nodes:enrol", "nrwmodau"},
        {"GET /v1/nodes", "rmodu"},
        {"GET /v1/nodes/{id}", "nrwmodau"},
        {"GET /v1/nodes/{id}/evidence", "nrwmodau"},
        {"POST /v1/nodes/{id}/evidence", "d"},
        {"POST /v1/nodes/{id}/challenge", "d"},
        {"POST /v1/nodes/{id}/aci-reports/{ticket}", "d"},
        {"GET /nodes/{id}/v1/aci/attestation", "nrwmodau"},
        {"GET /nodes/{id}/v1/aci/receipts/{receipt}", "rwodu"},
        {"POST /v1/nodes/{id}:drain", "od"},
        {"POST /v1/nodes/{id}:resume", "od"},
        {"POST /v1/nodes/{id}:retire", "o"},
        {"GET /v1/measurements", "nrwmodau"},
        {"POST /v1/measurements", "mo"},
        {"GET /v1/measurements/{id}", "nrwmodau"},
        {"GET /v1/offers", "rodu"},
        {"POST /v1/offers", "od"},
        {"GET /v1/offers/{id}", "rodu"},
        {"PATCH /v1/offers/{id}", "od"},
        {"DELETE /v1/offers/{id}", "od"},
        {"GET /v1/requests", "rwu"},
        {"POST /v1/requests", "w"},
        {"POST /v1/requests:batch", "w"},
        {"POST /v1/requests:whatif", "nrwmodau"},
        {"GET /v1/requests/{id}", "rwu"},
        {"PATCH /v1/requests/{id}", "w"},
        {"DELETE /v1/requests/{id}", "wm"},
        {"GET /v1/requests/{id}/explain", "rw"},
        {"GET /v1/jobs", "rwodu"},
        {"GET /v1/jobs/{id}", "rwodu"},
        {"DELETE /v1/jobs/{id}", "wm"},
        {"GET /v1/jobs/{id}/receipt", "rwodu"},
        {"POST /v1/jobs/{id}:renew", "w"},
        {"POST /v1/jobs/{id}/exchange", "w"},
        {"GET /v1/relay", "d"},
        {"GET /v1/events", "rwmo"},
        {"GET /v1/webhooks", "rm"},
        {"POST /v1/webhooks", "m"},
        {"DELETE /v1/webhooks/{id}", "m"},
        {"POST /v1/webhooks/{id}:redeliver", "m"},
        {"GET /v1/payouts", "rmu"},
        {"POST /v1/payouts", "m"},
        {"GET /v1/channels", "rwm"},
        {"POST /v1/channels", "m"},
        {"POST /v1/channels/{address}/vouchers", "wm"},
        {"GET /v1/deposits", "rmu"},
        {"POST /v1/dev/faucet", "nrwmodau"},
        {"GET /v1/admin/overview", "au"},
        {"GET /v1/admin/accounts", "au"},
        {"GET /v1/admin/applications", "au"},
        {"GET /v1/admin/audit", "au"},
        {"GET /v1/admin/ledger", "au"},
        {"GET /v1/admin/settlement", "au"},
        {"GET /v1/admin/held-deposits", "au"},
        {"POST /v1/admin/held-deposits/{id}:credit", "a"},
        {"POST /v1/admin/settlement:pause", "a"},
        {"POST /v1/admin/settlement:resume", "a"},
        {"GET /v1/admin/payouts", "au"},
        {"POST /v1/admin/payouts/{id}:approve", "a"},
        {"POST /v1/admin/payouts/{id}:reject", "a"},
        {"POST /v1/admin/accounts/{id}:freeze", "a"},
        {"POST /v1/admin/accounts/{id}:unfreeze", "a"},
        {"POST /v1/admin/nodes/{id}:suspend", "a"},
        {"POST /v1/admin/nodes/{id}:restore", "a"},
        {"POST /v1/admin/measurements/{id}:approve", "a"},
        {"POST /v1/admin/measurements/{id}:revoke", "a"},
        {"GET /v1/admin/denials", "au"},
        {"POST /v1/admin/denials", "a"},
        {"POST /v1/admin/denials/{id}:lift", "a"},
        {"POST /v1/admin/markets/{name}:pause", "a"},
        {"POST /v1/admin/markets/{name}:resume", "a"},
        {"PUT /v1/admin/fee", "a"},
    };
    const std::set<std::string> open_data{
        "/v1/models",     "/v1/network",        "/v1/network/nodes", "/v1/market-events",
        "/v1/market-key", "/v1/proof/solvency", "/version",          "/livez",
        "/readyz",        "/metrics",           "/openapi.yaml",     "/openapi.json"};
    std::map<std::string, std::string> expected{std::begin(rows), std::end(rows)};
    for (const Route& route : routes()) {
        const std::string name =
            std::string{method_name(route.method)} + ' ' + std::string{route.pattern};
        INFO(name);
        std::string allowed = authorize(route, Principal{}) ? "n" : "";
        for (const auto& [letter, scope] : roles)
            if (authorize(route, principal_of(AccountKind::developer, scope))) allowed += letter;
        if (const auto row = expected.find(name); row != expected.end()) {
            CHECK(allowed == row->second);
            expected.erase(row);
        } else {
            CHECK((open_data.count(std::string{route.pattern}) ||
                   route.pattern.starts_with("/v1/markets") || route.pattern.starts_with("/docs")));
            CHECK(allowed == "nrwmodau");
        }
        if (!authorize(route, Principal{}))
            CHECK(authorize(route, Principal{}).error().code == ErrorCode::unauthenticated);
    }
    CHECK(expected.empty());
}

TEST_CASE("headers of a command are checked with its body") {
    auto [route, call] = call_of(Method::post, "/v1/requests", small_request);
    const Context context = test_context();
    CHECK(prepare_command(*route, call, context));
    const auto with = [&](std::string_view name, std::string value, std::string body) {
        Call changed = call;
        changed.body = std::move(body);
        for (auto& header : changed.headers)
            if (header.first == name) header.second = value;
        return told(prepare_command(*route, changed, context));
    };
    CHECK(with("idempotency-key", "", small_request) == "invalid_body Idempotency-Key:");
    CHECK(with("idempotency-key", "", "{}") ==
          "invalid_body Idempotency-Key: /market /quantity /time_in_force");
    CHECK(with("idempotency-key", std::string(255, 'k'), small_request) == "ok");
    CHECK(with("idempotency-key", std::string(256, 'k'), small_request) ==
          "invalid_body Idempotency-Key:");
    CHECK(with("idempotency-key", "\xC3\xBC", small_request) == "invalid_body Idempotency-Key:");
    CHECK(with("content-type", "text/plain", small_request) == "unsupported_media_type");
    CHECK(with("content-type", "Application/JSON; charset=utf-8", small_request) == "ok");
    call.query = "x=1";
    CHECK(told(prepare_command(*route, call, context)) == "invalid_body ?x");
}

TEST_CASE("the input hash tells method, path and body apart") {
    std::set<Digest> hashes;
    for (const char* path : {"/v1/keys/key_1:rotate", "/v1/keys/key_2:rotate"})
        for (const char* body : {"{}", R"({"overlap_seconds":1})"}) {
            const auto pending = command(Method::post, path, body);
            REQUIRE(pending);
            CHECK(pending->idempotency_key == "k1");
            hashes.insert(pending->input_hash);
        }
    CHECK(hashes.size() == 4);
}

TEST_CASE("changes need If-Match") {
    const Context context = test_context();
    const std::tuple<std::string, std::string, std::uint64_t> rows[] = {
        {"", "precondition_required", 0},
        {"\"3\"", "ok", 3},
        {"*", "ok", 0},
        {"W/\"3\"", "precondition_failed", 0},
        {"3", "invalid_body If-Match:", 0},
        {"\"x\"", "precondition_failed", 0},
        {"\"-1\"", "precondition_failed", 0},
        {"\"0\"", "precondition_failed", 0},
        {"\"99999999999999999999\"", "precondition_failed", 0},
        {"\"1\", \"2\"", "precondition_failed", 0},
    };
    const std::tuple<Method, std::string, std::string> targets[] = {
        {Method::patch, "/v1/offers/off_1", R"({"paused":true})"},
        {Method::remove, "/v1/offers/off_1", ""},
        {Method::patch, "/v1/requests/req_1", R"({"cap_total_nano":"5"})"},
    };
    for (const auto& [method, target, body] : targets)
        for (const auto& [header, expected, version] : rows) {
            INFO(target << ' ' << header);
            auto [route, call] =
                call_of(method, target, body,
                        principal_of(AccountKind::provider, scope_offer | scope_work));
            for (auto& [name, value] : call.headers)
                if (name == "if-match") value = header;
            const auto pending = prepare_command(*route, call, context);
            CHECK(told(pending) == expected);
            if (!pending) continue;
            if (const auto* amend = std::get_if<AmendOffer>(&pending->command))
                CHECK(amend->version == version);
            if (const auto* cancel = std::get_if<CancelOffer>(&pending->command))
                CHECK(cancel->version == version);
            if (const auto* amend = std::get_if<AmendRequest>(&pending->command))
                CHECK(amend->version == version);
        }
    // Ids of another kind name nothing.
    for (const char* target :
         {"/v1/offers/req_1", "/v1/offers/off_0", "/v1/offers/off_01", "/v1/offers/1"})
        CHECK(told(command(Method::remove, target)) == "not_found");
}

TEST_CASE("secrets are in the first answer only, and nowhere in the command but hashed") {
    const std::string account = R"({"kind":"developer","name":"Ada","profile":{"models":["m"],)"
                                R"("daily_requests":1,"input_tokens_average":1,)"
                                R"("output_tokens_average":1}})";
    const auto opened = command(Method::post, "/v1/accounts", account, Principal{});
    REQUIRE(opened);
    const Answer answer = AccountAnswer{AccountId{2}, KeyId{3}, KeyId{4}};
    const Response first = finish_command(*opened, answer, false, "rq");
    const Response replayed = finish_command(*opened, answer, true, "rq");
    CHECK(first.status == 201);
    CHECK(header_of(first, "Idempotency-Replayed").empty());
    CHECK(header_of(replayed, "Idempotency-Replayed") == "true");
    const OpenAccount& open = std::get<OpenAccount>(opened->command);
    REQUIRE(open.second_key);
    CHECK(open.first_key.secret_hash != open.second_key->secret_hash);
    CHECK((open.first_key.scopes & scope_work) == 0);
    CHECK((open.second_key->scopes & scope_manage) == 0);
    std::size_t secrets = 0;
    for (std::size_t at = first.body.find("\"ck_"); at != std::string::npos;
         at = first.body.find("\"ck_", at + 1)) {
        const std::string secret = first.body.substr(at + 1, first.body.find('"', at + 1) - at - 1);
        if (secret.size() == 10) continue;  // the shown part
        const auto hash = credential_hash(secret);
        REQUIRE(hash);
        CHECK((*hash == open.first_key.secret_hash || *hash == open.second_key->secret_hash));
        ++secrets;
    }
    CHECK(secrets == 2);
    CHECK(replayed.body.find("ck_") == std::string::npos);
    CHECK(replayed.body.find("cm-") == std::string::npos);
    CHECK(replayed.body.find("\"secret\":null") != std::string::npos);
    CHECK(open.deposit_memo.size() == 19);

    const std::tuple<std::string, std::string, Answer> rows[] = {
        {"/v1/keys", R"({"name":"a","scopes":["read"]})", KeyAnswer{KeyId{3}}},
        {"/v1/keys/key_3:rotate", "", KeyAnswer{KeyId{4}}},
        {"/v1/nodes/enrolments", "", Done{}},
        {"/v1/nodes:enrol",
         R"({"token":"ce_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","name":"a",)"
         R"("region":"eu","country":"NL","gpu_model":"H","gpu_count":1})",
         NodeAnswer{NodeId{5}, KeyId{6}}},
        {"/v1/webhooks", R"({"url":"https://example.org"})", WebhookAnswer{WebhookId{1}}},
    };
    for (const auto& [target, body, given] : rows) {
        INFO(target);
        const auto pending = command(Method::post, target, body);
        REQUIRE(pending);
        const std::string shown = finish_command(*pending, given, false, "rq").body;
        const std::string again = finish_command(*pending, given, true, "rq").body;
        CHECK((shown.find("\"ck_") != std::string::npos ||
               shown.find("\"ce_") != std::string::npos ||
               shown.find("\"whsec_") != std::string::npos));
        for (const char* prefix : {"ck_", "ce_", "whsec_"})
            CHECK(again.find(prefix) == std::string::npos);
    }
    for (const char* bad : {"", "ck_", "ck_short", "cx_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
                            "ck_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh!",
                            "ck_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9x"})
        CHECK_FALSE(credential_hash(bad));
}

TEST_CASE("keys carry only scopes that their account may have") {
    const std::tuple<AccountKind, std::string, std::string> rows[] = {
        {AccountKind::developer, R"(["read","work"])", "ok"},
        {AccountKind::developer, R"(["manage"])", "ok"},
        {AccountKind::developer, R"(["manage","work"])", "invalid_body /scopes"},
        {AccountKind::developer, R"(["read","offer"])", "invalid_body /scopes/1"},
        {AccountKind::developer, R"(["admin"])", "invalid_body /scopes/0"},
        {AccountKind::developer, R"(["node"])", "invalid_body /scopes/0"},
        {AccountKind::developer, "[]", "invalid_body /scopes"},
        {AccountKind::provider, R"(["offer"])", "ok"},
        {AccountKind::provider, R"(["work"])", "invalid_body /scopes/0"},
        {AccountKind::admin, R"(["admin"])", "ok"},
        {AccountKind::auditor, R"(["audit"])", "ok"},
        {AccountKind::auditor, R"(["admin"])", "invalid_body /scopes/0"},
    };
    for (const auto& [kind, scopes, expected] : rows) {
        INFO(name_of(kind) << scopes);
        CHECK(told(command(Method::post, "/v1/keys", R"({"name":"a","scopes":)" + scopes + "}",
                           principal_of(kind, scope_manage))) == expected);
    }
}

TEST_CASE("cursors hold for one account, route and filter") {
    const Context context = test_context();
    const Position position{1234567890123, 45};
    const std::string cursor = make_cursor(context, AccountId{1}, "/v1/jobs", "running", position);
    CHECK(read_cursor(context, AccountId{1}, "/v1/jobs", "running", cursor) == position);
    CHECK_FALSE(read_cursor(context, AccountId{2}, "/v1/jobs", "running", cursor));
    CHECK_FALSE(read_cursor(context, AccountId{1}, "/v1/offers", "running", cursor));
    CHECK_FALSE(read_cursor(context, AccountId{1}, "/v1/jobs", "", cursor));
    Context other = context;
    other.secret = std::string(32, 't');
    CHECK_FALSE(read_cursor(other, AccountId{1}, "/v1/jobs", "running", cursor));
    for (std::size_t i = 0; i < cursor.size(); ++i) {
        std::string forged = cursor;
        forged[i] = forged[i] == 'A' ? 'B' : 'A';
        INFO(forged);
        CHECK_FALSE(read_cursor(context, AccountId{1}, "/v1/jobs", "running", forged));
    }
    for (const char* bad : {"", "A", "####", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})
        CHECK_FALSE(read_cursor(context, AccountId{1}, "/v1/jobs", "running", bad));
    // The number inside is not readable.
    const auto plain = from_base64url(cursor);
    REQUIRE(plain);
    CHECK(as_text(*plain).find(std::string{"\x01\x1F\x71\xFB\x04\xCB", 6}) == std::string::npos);

    auto [route, call] = call_of(Method::get, "/v1/jobs?limit=7&cursor=" + cursor);
    QueryReader query{call.query};
    Page page{call, context, query, "/v1/jobs"};
    const auto begun = page.begin(query);
    REQUIRE_FALSE(begun);
    CHECK(begun.error().fields.front().path == "?cursor");
    CHECK(page.link({1, 0}).second.starts_with("<?limit=7&cursor="));
}

namespace {

// What becomes of a nonce: "ok", or its reason code.
std::string taken(const Context& context, NodeId node, const std::string& nonce, Instant at,
                  const matching::Digest& submission = {}) {
    const auto challenge = read_challenge(context, node, nonce);
    if (!challenge) return "nonce_unknown";
    const auto result = context.used_challenges->take(node, *challenge, submission, at);
    if (result) return "ok";
    if (result.error().fields.empty()) return std::string{describe(result.error().code).name};
    const std::string& text = result.error().fields[0].message;
    return text.substr(0, text.find(':'));
}

std::string nonce_for(const Context& context, NodeId node, Instant at = now()) {
    Call call;
    call.at = at;
    call.entropy = std::string(64, 'e');
    return make_challenge(context, call, node).nonce;
}

}  // namespace

TEST_CASE("a challenge is one node's, once, until it expires, in this process") {
    Context context = test_context();
    const auto [route, call] = call_of(Method::post, "/v1/nodes/node_5/challenge", {},
                                       principal_of(AccountKind::provider, scope_node));
    const Response response = answer_view(*route, call, context);
    REQUIRE(response.status == 200);
    const std::size_t at = response.body.find("\"nonce\":\"") + 9;
    const std::string nonce = response.body.substr(at, 64);
    CHECK(taken(context, NodeId{5}, nonce, now() + minutes(5) + microseconds(1)) ==
          "nonce_expired");
    CHECK(taken(context, NodeId{6}, nonce, now()) == "nonce_unknown");
    CHECK(taken(context, NodeId{5}, nonce, now() + minutes(5)) == "ok");
    CHECK(taken(context, NodeId{5}, nonce, now()) == "nonce_used");
    // A newer one retires those before it, used or not.
    const std::string first = nonce_for(context, NodeId{5}, now() + seconds(1));
    const std::string second = nonce_for(context, NodeId{5}, now() + seconds(2));
    CHECK(taken(context, NodeId{5}, second, now() + seconds(3)) == "ok");
    CHECK(taken(context, NodeId{5}, first, now() + seconds(3)) == "nonce_used");
    // The same call may come again when it was made to be repeated, and only that.
    const matching::Digest call_hash{1}, other_hash{2};
    const std::string third = nonce_for(context, NodeId{5}, now() + seconds(4));
    CHECK(taken(context, NodeId{5}, third, now() + seconds(5), call_hash) == "ok");
    CHECK(taken(context, NodeId{5}, third, now() + seconds(5), call_hash) == "ok");
    CHECK(taken(context, NodeId{5}, third, now() + seconds(5), other_hash) == "nonce_used");
    CHECK(taken(context, NodeId{5}, third, now() + seconds(5)) == "nonce_used");
    // Repeated or not, a node submits so often in a while and no more; what was refused is not used
    // up.
    const Instant later = now() + submissions_window * 2;
    const std::string fourth = nonce_for(context, NodeId{7}, later);
    for (std::uint32_t i = 0; i < submissions_per_node_max; ++i)
        CHECK(taken(context, NodeId{7}, fourth, later, call_hash) == "ok");
    CHECK(taken(context, NodeId{7}, fourth, later, call_hash) == "rate_limited");
    const std::string fifth = nonce_for(context, NodeId{7}, later + submissions_window);
    CHECK(taken(context, NodeId{7}, nonce_for(context, NodeId{7}, later + seconds(1)),
                later + seconds(2)) == "rate_limited");
    CHECK(taken(context, NodeId{7}, fifth, later + submissions_window) == "ok");
    // A restart forgets what was used, so it refuses what it has not made itself.
    Context restarted = test_context();
    restarted.process_tag = "next";
    const std::string unused = nonce_for(context, NodeId{5}, now() + seconds(6));
    CHECK(taken(restarted, NodeId{5}, unused, now() + seconds(7)) == "nonce_of_older_process");
    CHECK(taken(context, NodeId{5}, unused, now() + seconds(7)) == "ok");
    for (std::size_t i = 0; i < nonce.size(); i += 7) {
        std::string forged = nonce;
        forged[i] = forged[i] == '0' ? '1' : '0';
        CHECK(taken(context, NodeId{5}, forged, now()) == "nonce_unknown");
    }
    auto [other_route, other] = call_of(Method::post, "/v1/nodes/node_6/challenge", {},
                                        principal_of(AccountKind::provider, scope_node));
    CHECK(answer_view(*other_route, other, context).status == 403);
}

TEST_CASE("the memory of used challenges is bounded and forgets what has expired") {
    const Context context = test_context();  // of 16 nodes
    for (std::uint64_t node = 1; node <= 16; ++node)
        CHECK(taken(context, NodeId{node}, nonce_for(context, NodeId{node}), now()) == "ok");
    CHECK(taken(context, NodeId{17}, nonce_for(context, NodeId{17}), now()) == "overloaded");
    const Instant later = now() + minutes(5);
    CHECK(taken(context, NodeId{1}, nonce_for(context, NodeId{1}, later), later) == "ok");
    const Instant after = later + seconds(1);
    CHECK(taken(context, NodeId{17}, nonce_for(context, NodeId{17}, after), after) == "ok");
}

TEST_CASE("a match is rendered with everything the client needs to seal") {
    const auto pending = command(Method::post, "/v1/requests", small_request);
    REQUIRE(pending);
    CHECK(std::get<PlaceRequest>(pending->command).request.account == AccountId{11});
    const Response response = finish_command(*pending, Answer{matched()}, false, "rq");
    CHECK(response.status == 201);
    CHECK(header_of(response, "ETag") == "\"2\"");
    CHECK(header_of(response, "Location") == "/v1/requests/req_21");
    for (const char* part :
         {R"("market":"inference:m/odel")", R"("fencing_token":"18000000000000000000")",
          R"("hold_nano":"900")", R"("keyset_document":"{\"api_version\":\"aci/1\"}")",
          R"("evidence_url":"/v1/nodes/node_5/evidence?hash=fff)", R"("tier":"tdx")"}) {
        INFO(part);
        CHECK(response.body.find(part) != std::string::npos);
    }
    const Response again = rematched_problem(matched(), "rq", test_context());
    CHECK(again.status == 409);
    CHECK(again.body.find("\"code\":\"job_rematched\"") != std::string::npos);
    CHECK(again.body.find("\"job\":{\"id\":\"job_22\"") != std::string::npos);
}

TEST_CASE("an immediate request without a match is a refusal with its explanation") {
    const auto pending = command(Method::post, "/v1/requests", small_request);
    REQUIRE(pending);
    RequestAnswer answer;
    answer.request.id = RequestId{21};
    answer.request.state = RequestState::unmatched;
    answer.why = Explanation{};
    answer.why->removed = {{Constraint::tier, 3}};
    const auto code = [&] {
        const Response response = finish_command(*pending, Answer{answer}, false, "rq");
        CHECK(response.status == 503);
        CHECK(header_of(response, "Retry-After") == "1");
        CHECK(response.content_type == "application/problem+json");
        CHECK(response.body.find("\"explanation\":{") != std::string::npos);
        const std::size_t at = response.body.find("\"code\":\"") + 8;
        return response.body.substr(at, response.body.find('"', at) - at);
    };
    CHECK(code() == "no_eligible_offer");
    answer.request.reason = "price_cap_too_low";  // also where the explanation is no longer known
    CHECK(code() == "price_cap_too_low");
    answer.request.reason = "no_eligible_offer";
    CHECK(code() == "no_eligible_offer");

    const auto batch = command(
        Method::post, "/v1/requests:batch",
        R"({"requests":[)" + small_request + "," + small_request + "," + small_request + "]}");
    REQUIRE(batch);
    RequestsAnswer answers;
    answers.answers.emplace_back(matched());
    answers.answers.emplace_back(refuse(ErrorCode::insufficient_funds));
    answers.answers.emplace_back(answer);
    const std::string body = finish_command(*batch, Answer{answers}, false, "rq").body;
    for (const char* part : {R"({"status":201,"request":)", R"({"status":402,"problem":{)",
                             R"({"status":503,"problem":{)"}) {
        INFO(part);
        CHECK(body.find(part) != std::string::npos);
    }
}

TEST_CASE("a refusal of the lane becomes problem+json") {
    const auto pending = command(Method::post, "/v1/requests", small_request);
    REQUIRE(pending);
    for (const ErrorInfo& info : all_errors()) {
        const Response response =
            finish_command(*pending, refuse(info.code, "why \"so\"\n"), false, "rq1");
        CHECK(response.status == info.status);
        CHECK(response.body.find("\"code\":\"" + std::string{info.name} + '"') !=
              std::string::npos);
        CHECK(response.body.find("\"request_id\":\"rq1\"") != std::string::npos);
        CHECK(response.body.find(R"("detail":"why \"so\"\n")") != std::string::npos);
        CHECK(header_of(response, "Retry-After").empty() ==
              (info.status != 429 && info.status != 503));
        CHECK(header_of(response, "WWW-Authenticate").empty() == (info.status != 401));
    }
}

TEST_CASE("public views answer from memory") {
    const Context context = test_context();
    const auto view = [&](const std::string& target, Method method = Method::get,
                          std::string body = {}) {
        const auto [route, call] = call_of(method, target, std::move(body), Principal{});
        REQUIRE(route);
        return answer_view(*route, call, context);
    };
    CHECK(view("/v1/markets/inference:m%2Fodel/book?depth=1").body.find("\"slots_free\":4") !=
          std::string::npos);
    CHECK(view("/v1/markets/inference:none/book").status == 404);
    CHECK(view("/v1/markets/inference:m%2Fodel/book?depth=0").status == 422);
    CHECK(view("/v1/market-key").body.find(std::string(64, 'a')) != std::string::npos);
    CHECK(view("/version").body.find("\"program\":\"cocoon-market\"") != std::string::npos);
    CHECK(view("/v1/dev/faucet", Method::post, R"({"memo":"m","amount_nano":"5"})").status == 202);
    CHECK(view("/v1/dev/faucet", Method::post, R"({"memo":"","amount_nano":"0"})").status == 422);
}

TEST_CASE("Prefer: wait is a bounded wish") {
    const std::string body = R"({"market":"inference:m","quantity":{"requests":1},)"
                             R"("time_in_force":"rest","rest_until":"2026-11-22T18:00:00Z"})";
    const std::pair<std::string, std::int64_t> rows[] = {
        {"wait=5", 5},     {"respond-async, wait=7", 7},
        {"wait=9999", 60}, {"wait=99999999999999", 60},
        {"wait=x", 0},     {"", 0}};
    for (const auto& [prefer, expected] : rows) {
        auto [route, call] = call_of(Method::post, "/v1/requests", body);
        call.headers.emplace_back("Prefer", prefer);
        const auto pending = prepare_command(*route, call, test_context());
        REQUIRE(pending);
        CHECK(pending->wait.seconds() == expected);
    }
}

// Not a bound that machines under load could keep, only the figure: run with [speed] to see it.
TEST_CASE("speed of the hottest call", "[.speed]") {
    const Context context = test_context();
    const auto [route, call] = call_of(Method::post, "/v1/requests", small_request);
    const Answer answer{matched()};
    constexpr int rounds = 20'000;
    std::size_t bytes = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i) {
        const Lookup found = find_route(call.method, call.path);
        const auto pending = prepare_command(*found.route, call, context);
        bytes += finish_command(*pending, answer, false, "rq").body.size();
    }
    const auto spent = std::chrono::steady_clock::now() - begin;
    WARN(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count() / rounds
         << " ns for parse and render, " << bytes / rounds << " bytes");
}
