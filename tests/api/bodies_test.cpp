// Every field of every body, spoiled in every way: the answer is invalid_body with exactly that
// path. The bodies name every property that the contract has; the first test holds them to it.
#include <nlohmann/json.hpp>
#include <set>

#include "api/embedded.hpp"
#include "tests/api/support.hpp"

using namespace cocoon;
using namespace cocoon::api;
using namespace cocoon::matching;
using nlohmann::json;

namespace {

struct Whole {
    Method method;
    std::string target;
    std::string pattern;
    std::string schema;
    ScopeSet scopes;
    std::string body;
};

const char* const constraints =
    R"({"tiers":["tdx"],"regions":["eu-west"],"countries":["NL"],)"
    R"("measurements":["0123456789abcdef0123456789abcdef"],)"
    R"("gpu_models":["H100"],"reputation_permille_min":900,"data_policy":["gdpr"],"notice_seconds_min":60,)"
    R"("providers_allow":["acc_3"],"providers_deny":["acc_4"],"first_output_ms_preferred":500,)"
    R"("tokens_per_second_preferred":50})";
const char* const price =
    R"({"prompt_nano_per_mtok":"1","cached_nano_per_mtok":"1","completion_nano_per_mtok":"1",)"
    R"("reasoning_nano_per_mtok":"1","request_nano":"1","gpu_second_nano":"1"})";
const char* const quantity = R"({"prompt_tokens":1,"cached_tokens":1,"completion_tokens":1,)"
                             R"("reasoning_tokens":1,"requests":1,"gpu_seconds":1})";

std::string request(const char* where, const char* when) {
    return std::string{"{"} + where + R"("quantity":)" + quantity +
           R"(,"cap_total_nano":"9","cap_price":)" + price + R"(,"constraints":)" + constraints +
           R"(,"slots":2,"session":true,)" + when + R"("job_seconds":60,"attempts_max":2})";
}
const char* const one_market = R"("market":"inference:m","build":"q8",)";
const char* const any_market = R"("any_of":[{"market":"inference:m","build":"q8"}],)";
const char* const rests = R"("time_in_force":"rest","rest_until":"2026-11-23T00:00:00Z",)";

std::vector<Whole> wholes() {
    const std::string offer =
        std::string{R"({"node":"node_5","market":"inference:m","build":"q8","price":)"} + price +
        R"(,"slots":2,"context_tokens_max":9,"output_tokens_max":9,"data_policy":["gdpr"],)"
        R"("windows":[{"from_minute":0,"to_minute":9}],"notice_seconds":9,)"
        R"("allow":["acc_3"],"deny":["acc_4"],)"
        R"("expires_at":"2026-11-23T00:00:00Z"})";
    const std::string amend_offer = std::string{R"({"price":)"} + price +
                                    R"(,"slots":2,"windows":[{"from_minute":0,"to_minute":9}],)"
                                    R"("allow":["acc_3"],"deny":["acc_4"],"paused":true,)"
                                    R"("expires_at":"2026-11-23T00:00:00Z"})";
    return {
        {Method::post, "/v1/accounts", "/v1/accounts", "AccountCreate", scope_read,
         R"({"kind":"developer","name":"a","payout_address":"dev:x",)"
         R"("profile":{"models":["m"],"daily_requests":1,)"
         R"("input_tokens_average":1,"output_tokens_average":1,"contact":"c"}})"},
        {Method::post, "/v1/accounts", "/v1/accounts", "AccountCreate", scope_read,
         R"({"kind":"provider","name":"a","payout_address":"dev:x",)"
         R"("profile":{"gpu_model":"H100","gpu_count":1,)"
         R"("vram_gib":80,"cpu_tee":"tdx","ram_gib":1,"disk_gib":1,"bandwidth_mbps":1,"region":"eu-west",)"
         R"("hours_available":24,"contact":"c"}})"},
        {Method::patch, "/v1/account", "/v1/account", "AccountAmend", scope_manage,
         R"({"name":"a","payout_address":"dev:x","profile":{"models":["m"],"daily_requests":1,)"
         R"("input_tokens_average":1,"output_tokens_average":1,"contact":"c"}})"},
        {Method::post, "/v1/keys", "/v1/keys", "KeyCreate", scope_manage,
         R"({"name":"a","scopes":["read"],"cap_total_nano":"1","cap_day_nano":"1",)"
         R"("expires_at":"2026-11-23T00:00:00Z"})"},
        {Method::patch, "/v1/keys/key_5", "/v1/keys/{id}", "KeyAmend", scope_manage,
         R"({"name":"a","cap_total_nano":"1","cap_day_nano":"1","expires_at":"2026-11-23T00:00:00Z"})"},
        {Method::post, "/v1/keys/key_5:rotate", "/v1/keys/{id}:rotate", "KeyRotate", scope_manage,
         R"({"overlap_seconds":60})"},
        {Method::post, "/v1/nodes/enrolments", "/v1/nodes/enrolments", "EnrolmentCreate",
         scope_manage, R"({"lifetime_seconds":60})"},
        {Method::post, "/v1/nodes:enrol", "/v1/nodes:enrol", "NodeEnrol", scope_read,
         R"({"token":"ce_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8","name":"a",)"
         R"("region":"eu-west","country":"NL",)"
         R"("gpu_model":"H100","gpu_count":8,"hardware":{}})"},
        {Method::post, "/v1/offers", "/v1/offers", "OfferCreate", scope_offer, offer},
        {Method::patch, "/v1/offers/off_5", "/v1/offers/{id}", "OfferAmend", scope_offer,
         amend_offer},
        {Method::post, "/v1/requests", "/v1/requests", "RequestCreate", scope_work,
         request(one_market, rests)},
        {Method::post, "/v1/requests", "/v1/requests", "RequestCreate", scope_work,
         request(any_market, rests)},
        {Method::post, "/v1/requests:whatif", "/v1/requests:whatif", "RequestCreate", scope_work,
         request(one_market, rests)},
        {Method::post, "/v1/requests:batch", "/v1/requests:batch", "RequestBatch", scope_work,
         R"({"requests":[)" + request(one_market, rests) + "]}"},
        {Method::patch, "/v1/requests/req_5", "/v1/requests/{id}", "RequestAmend", scope_work,
         std::string{R"({"cap_total_nano":"1","cap_price":)"} + price +
             R"(,"rest_until":"2026-11-23T00:00:00Z","constraints":)" + constraints + "}"},
        {Method::post, "/v1/jobs/job_5:renew", "/v1/jobs/{id}:renew", "JobRenew", scope_work,
         std::string{R"({"quantity":)"} + quantity + R"(,"seconds":60})"},
        {Method::post, "/v1/webhooks", "/v1/webhooks", "WebhookCreate", scope_manage,
         R"({"url":"https://example.org/x","events":["job.ended"]})"},
        {Method::post, "/v1/payouts", "/v1/payouts", "PayoutCreate", scope_manage,
         R"({"amount_nano":"1","source":"earned"})"},
        {Method::post, "/v1/admin/held-deposits/hold_5:credit",
         "/v1/admin/held-deposits/{id}:credit", "HeldDepositCredit", scope_admin,
         R"({"account":"acc_5","note":"n"})"},
        {Method::post, "/v1/admin/accounts/acc_5:freeze", "/v1/admin/accounts/{id}:freeze",
         "AdminNote", scope_admin, R"({"note":"n"})"},
        {Method::post, "/v1/admin/nodes/node_5:suspend", "/v1/admin/nodes/{id}:suspend",
         "AdminNote", scope_admin, R"({"note":"n"})"},
        {Method::post, "/v1/admin/markets/inference:m:pause", "/v1/admin/markets/{name}:pause",
         "AdminNote", scope_admin, R"({"note":"n"})"},
        {Method::post, "/v1/admin/settlement:pause", "/v1/admin/settlement:pause", "AdminNote",
         scope_admin, R"({"note":"n"})"},
        {Method::post, "/v1/admin/payouts/pay_5:approve", "/v1/admin/payouts/{id}:approve",
         "AdminNote", scope_admin, R"({"note":"n"})"},
        {Method::post, "/v1/admin/payouts/pay_5:reject", "/v1/admin/payouts/{id}:reject",
         "PublicReason", scope_admin, R"({"reason":"r"})"},
        {Method::put, "/v1/admin/fee", "/v1/admin/fee", "FeeSet", scope_admin,
         R"({"basis_points":500,"note":"n"})"},
    };
}

std::string answer(const Whole& whole, const std::string& body) {
    Principal who = principal_of(AccountKind::developer, whole.scopes);
    return told(command(whole.method, whole.target, body, who));
}

// Every pointer of the document to something inside an object or list, root excluded.
void pointers(const json& value, const std::string& at, std::vector<std::string>& out) {
    if (!at.empty()) out.push_back(at);
    if (value.is_object())
        for (const auto& [name, child] : value.items()) pointers(child, at + '/' + name, out);
    if (value.is_array())
        for (std::size_t i = 0; i < value.size(); ++i)
            pointers(value[i], at + '/' + std::to_string(i), out);
}

bool names(const std::string& refusal, const std::string& path) {
    return refusal.starts_with("invalid_body ") &&
           (refusal + ' ').find(' ' + path + ' ') != std::string::npos;
}

}  // namespace

TEST_CASE("the whole bodies name every property of the contract and are accepted") {
    const json contract = json::parse(openapi_json_text());
    std::map<std::string, std::set<std::string>> tested;
    for (const Whole& whole : wholes()) {
        INFO(whole.target << ' ' << whole.body);
        CHECK(answer(whole, whole.body) == "ok");
        const json body = json::parse(whole.body);
        for (const auto& [name, value] : body.items()) tested[whole.schema].insert(name);
    }
    for (const auto& [schema, properties] : tested) {
        INFO(schema);
        std::set<std::string> described;
        const json& properties_of = contract["components"]["schemas"][schema]["properties"];
        for (const auto& [name, value] : properties_of.items()) described.insert(name);
        CHECK(properties == described);
    }
}

TEST_CASE("every field of every body is refused when it is spoiled") {
    int spoiled_bodies = 0;
    for (const Whole& whole : wholes()) {
        const json body = json::parse(whole.body);
        std::vector<std::string> all;
        pointers(body, "", all);
        for (const std::string& path : all) {
            const json::json_pointer at{path};
            const auto with = [&](json value) {
                json changed = body;
                changed[at] = std::move(value);
                ++spoiled_bodies;
                return answer(whole, changed.dump());
            };
            INFO(whole.target << ' ' << path);
            const json& leaf = body[at];
            // A list inside a list and a fraction fit no field of the contract.
            CHECK(names(with(json::array({json::array()})), path + (leaf.is_array() ? "/0" : "")));
            CHECK(names(with(0.5), path));
            if (path != "/hardware")  // takes any flat object
                CHECK(names(with(json::object({{"unknown", 1}})),
                            path + (leaf.is_object() ? "/unknown" : "")));
            if (leaf.is_number()) {
                CHECK(names(with("1"), path));
                CHECK(names(with(-1), path));
                CHECK(names(with(std::uint64_t{1} << 63), path));
                CHECK(names(with(INT64_MAX), path));
            }
            if (leaf.is_string()) {
                CHECK(names(with(1), path));
                CHECK(names(with(std::string(2000, 'a')), path));
                CHECK(names(with("a\x01"), path));
                CHECK(names(with(""), path));
                CHECK(names(with("\xE2\x80\xAE"), path));
            }
            if (leaf.is_boolean()) CHECK(names(with(1), path));
        }
    }
    CHECK(spoiled_bodies > 1000);
}

TEST_CASE("unknown and repeated members of every object are refused") {
    for (const Whole& whole : wholes()) {
        const json body = json::parse(whole.body);
        std::vector<std::string> all;
        pointers(body, "", all);
        all.push_back("");
        for (const std::string& path : all) {
            const json& value = body[json::json_pointer{path}];
            if (!value.is_object() || path == "/hardware") continue;
            json more = body;
            more[json::json_pointer{path}]["not_a_field"] = 1;
            INFO(whole.target << ' ' << path);
            CHECK(names(answer(whole, more.dump()), path + "/not_a_field"));
            for (const auto& [name, member] : value.items()) {
                // The library cannot hold a name twice, so the text gets it.
                json marked = body;
                marked[json::json_pointer{path}]["twice_marker"] = member;
                std::string text = marked.dump();
                const std::size_t marker = text.find("\"twice_marker\"");
                text.replace(marker, 14, '"' + name + '"');
                CHECK(names(answer(whole, text), path + '/' + name));
            }
        }
    }
}

TEST_CASE("rules between fields of a request") {
    std::string batch = R"({"requests":[)";
    for (int i = 0; i < 257; ++i)
        batch += std::string{i ? "," : ""} + R"({"market":"inference:m","quantity":{"requests":1},)"
                                             R"("time_in_force":"immediate"})";
    const std::pair<std::string, std::string> rows[] = {
        {R"({"quantity":{"requests":1},"time_in_force":"immediate"})", "invalid_body /market"},
        {R"({"market":"inference:m","any_of":[{"market":"inference:m"}],)"
         R"("quantity":{"requests":1},"time_in_force":"immediate"})",
         "invalid_body /market"},
        {R"({"any_of":[],"quantity":{"requests":1},"time_in_force":"immediate"})",
         "invalid_body /any_of"},
        {R"({"any_of":[{"market":"inference:a"},{"market":"inference:a"},)"
         R"({"market":"inference:a"},{"market":"inference:a"},)"
         R"({"market":"inference:a"}],"quantity":{"requests":1},)"
         R"("time_in_force":"immediate"})",
         "invalid_body /any_of"},
        {R"({"market":"inference:m","quantity":{},"time_in_force":"immediate"})",
         "invalid_body /quantity"},
        {R"({"market":"inference:m","quantity":{"requests":1},)"
         R"("time_in_force":"rest"})",
         "invalid_body /rest_until"},
        {R"({"market":"inference:m","quantity":{"requests":1},)"
         R"("time_in_force":"rest","rest_until":"2026-11-22T16:59:59Z"})",
         "invalid_body /rest_until"},
        {R"({"market":"inference:m","quantity":{"requests":1},)"
         R"("time_in_force":"rest","rest_until":"2026-11-30T17:00:00Z"})",
         "invalid_body /rest_until"},
        {R"({"market":"inference:m","quantity":{"requests":1},)"
         R"("time_in_force":"immediate","rest_until":"2026-11-22T18:00:00Z"})",
         "invalid_body /rest_until"},
        {R"({"market":"gpu:m","quantity":{"requests":1},)"
         R"("time_in_force":"immediate"})",
         "invalid_body /market"},
        {R"({"market":"inference:","quantity":{"requests":1},)"
         R"("time_in_force":"immediate"})",
         "invalid_body /market"},
        {R"({"market":"inference:a b","quantity":{"requests":1},)"
         R"("time_in_force":"immediate"})",
         "invalid_body /market"},
    };
    for (const auto& [body, expected] : rows) {
        INFO(body);
        CHECK(told(command(Method::post, "/v1/requests", body)) == expected);
    }
    CHECK(told(command(Method::post, "/v1/requests:batch", batch + "]}")) ==
          "invalid_body /requests");
    CHECK(told(command(Method::post, "/v1/requests:batch", R"({"requests":[]})")) ==
          "invalid_body /requests");

    Context strict = test_context();
    strict.simulated_allowed = false;
    CHECK(told(command(Method::post, "/v1/requests",
                       R"({"market":"inference:m","quantity":{"requests":1},)"
                       R"("time_in_force":"immediate","constraints":{"tiers":["tdx",)"
                       R"("simulated"]}})",
                       developer(), strict)) == "invalid_body /constraints/tiers/1");
}
