// openapi.yaml against the program, in both directions: routes, error codes, parameters, examples.
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "api/embedded.hpp"
#include "api/events.hpp"
#include "sealing/signing.hpp"
#include "settlement/channel.hpp"
#include "tests/api/support.hpp"

using namespace cocoon;
using namespace cocoon::api;
using nlohmann::json;

namespace {

const json& contract() {
    static const json document = json::parse(openapi_json_text());
    return document;
}

std::string lower(std::string_view text) {
    std::string out{text};
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

const json& operation(const Route& route) {
    return contract()
        .at("paths")
        .at(std::string{route.pattern})
        .at(lower(method_name(route.method)));
}

const json& resolved(const json& value) {
    if (!value.contains("$ref")) return value;
    return contract().at(json::json_pointer{value.at("$ref").get<std::string>().substr(1)});
}

// "Idempotency-Key" and so on, by place, that the operation (or its path) declares.
std::set<std::string> parameters(const Route& route, const std::string& place) {
    std::set<std::string> names;
    const json& path = contract().at("paths").at(std::string{route.pattern});
    for (const json* holder : {&path, &operation(route)})
        if (holder->contains("parameters"))
            for (const json& one : holder->at("parameters"))
                if (resolved(one).at("in") == place)
                    names.insert(resolved(one).at("name").get<std::string>());
    return names;
}

bool is_required(const Route& route, const std::string& header) {
    for (const json& one : operation(route).value("parameters", json::array()))
        if (resolved(one).at("name") == header) return resolved(one).value("required", false);
    return false;
}

std::string file(const std::string& name) {
    std::ifstream in{COCOON_SOURCE_DIR "/api/" + name, std::ios::binary};
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

}  // namespace

TEST_CASE("the JSON contract is made from the YAML one and both are embedded") {
    const std::string yaml = file("openapi.yaml");
    REQUIRE_FALSE(yaml.empty());
    CHECK(openapi_yaml_text() == yaml);
    CHECK(openapi_json_text() == file("openapi.json"));
    // Fails after an edit of openapi.yaml without a run of api/make_openapi_json.py.
    CHECK(contract().at("x-source-sha256") == to_hex(sealing::sha256(as_bytes(yaml))));
    CHECK(contract().at("openapi") == "3.1.0");
}

TEST_CASE("every route is in the contract and every operation is a route") {
    std::set<std::string> served, written;
    for (const Route& route : routes())
        CHECK(served.insert(lower(method_name(route.method)) + ' ' + std::string{route.pattern})
                  .second);
    std::set<std::string> names;
    for (const auto& [path, item] : contract().at("paths").items())
        for (const auto& [method, described] : item.items()) {
            if (method == "parameters") continue;
            written.insert(method + ' ' + path);
            CHECK(names.insert(described.at("operationId").get<std::string>()).second);
            CHECK_FALSE(described.at("summary").get<std::string>().empty());
        }
    CHECK(served == written);
}

TEST_CASE("the contract tells who may call without credentials") {
    for (const Route& route : routes()) {
        INFO(route.pattern);
        bool open = false;
        if (const json& described = operation(route); described.contains("security"))
            open = described.at("security").empty() || described.at("security").at(0).empty();
        CHECK(open == (route.scopes == 0));
    }
}

TEST_CASE("the contract declares captures, idempotency keys and request bodies") {
    for (const Route& route : routes()) {
        INFO(method_name(route.method) << ' ' << route.pattern);
        std::set<std::string> captures;
        for (std::string_view rest = route.pattern; rest.find('{') != std::string_view::npos;) {
            rest.remove_prefix(rest.find('{') + 1);
            captures.emplace(rest.substr(0, rest.find('}')));
        }
        CHECK(parameters(route, "path") == captures);
        CHECK(is_required(route, "Idempotency-Key") == route.idempotency_key);
    }
}

TEST_CASE("error codes in the contract are the core's list") {
    std::set<std::string> core, spec;
    for (const ErrorInfo& info : all_errors()) core.emplace(info.name);
    for (const json& code :
         contract()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
        spec.insert(code.get<std::string>());
    CHECK(core == spec);
}

TEST_CASE("enumerations in the contract are the program's") {
    const auto listed = [](const std::string& schema) {
        return contract()["components"]["schemas"][schema]["enum"].get<std::vector<std::string>>();
    };
    std::vector<std::string> events;
    for (const std::string_view name : event_names()) events.emplace_back(name);
    CHECK(listed("EventName") == events);
    std::vector<std::string> constraints;
    for (int i = 0; i <= static_cast<int>(matching::Constraint::price_total); ++i)
        constraints.emplace_back(matching::name_of(static_cast<matching::Constraint>(i)));
    CHECK(listed("ConstraintName") == constraints);
    std::vector<std::string> tiers;
    for (std::size_t i = 0; i < matching::tier_count; ++i)
        tiers.emplace_back(matching::tier_name(static_cast<matching::Tier>(i)));
    CHECK(listed("Tier") == tiers);
    std::vector<std::string> jobs, requests, offers, payouts;
    for (int i = 0; i < 6; ++i) jobs.emplace_back(name_of(static_cast<matching::JobState>(i)));
    for (int i = 0; i < 7; ++i)
        requests.emplace_back(name_of(static_cast<matching::RequestState>(i)));
    for (int i = 0; i < 4; ++i) offers.emplace_back(name_of(static_cast<matching::OfferState>(i)));
    for (int i = 0; i < 6; ++i)
        payouts.emplace_back(name_of(static_cast<matching::PayoutState>(i)));
    CHECK(listed("JobState") == jobs);
    CHECK(listed("RequestState") == requests);
    CHECK(listed("OfferState") == offers);
    CHECK(listed("PayoutState") == payouts);
    std::vector<std::string> measurements, standings;
    for (int i = 0; i < 3; ++i)
        measurements.emplace_back(name_of(static_cast<matching::MeasurementState>(i)));
    for (int i = 0; i < 4; ++i) standings.emplace_back(name_of(static_cast<matching::Standing>(i)));
    CHECK(listed("MeasurementState") == measurements);
    std::vector<std::string> stages;
    for (int i = 0; i < 3; ++i)
        stages.emplace_back(name_of(static_cast<settlement::ton::ChannelStage>(i)));
    CHECK(listed("ChannelStage") == stages);
    CHECK(listed("Standing") == standings);
}

TEST_CASE("every reference in the contract leads somewhere") {
    const std::function<void(const json&)> walk = [&](const json& value) {
        if (value.is_object() && value.contains("$ref")) {
            INFO(value.at("$ref"));
            CHECK(contract().contains(
                json::json_pointer{value.at("$ref").get<std::string>().substr(1)}));
        }
        if (value.is_structured())
            for (const json& child : value) walk(child);
    };
    walk(contract());
}

TEST_CASE("every example of a request body is accepted by the real reader") {
    int examples = 0;
    for (const Route& route : routes()) {
        if (kind_of(route) != Kind::command || !operation(route).contains("requestBody")) continue;
        if (route.signs_in) continue;  // asks tables: session_test.cpp
        const json& media = operation(route)["requestBody"]["content"]["application/json"];
        for (const auto& [name, example] : media.at("examples").items()) {
            INFO(method_name(route.method) << ' ' << route.pattern << ' ' << name);
            // A node's key may only speak for its own node; the examples are written for people's
            // keys.
            const matching::ScopeSet people =
                route.scopes & ~matching::ScopeSet{matching::scope_node};
            const Principal who = principal_of(matching::AccountKind::developer,
                                               people ? people : matching::ScopeSet{route.scopes});
            std::string path{route.pattern};
            if (const std::size_t at = path.find("{id}"); at != std::string::npos) {
                const std::string schema =
                    path.starts_with("/v1/nodes") || path.find("nodes") != std::string::npos
                        ? "node_5"
                    : path.find("offers") != std::string::npos       ? "off_5"
                    : path.find("keys") != std::string::npos         ? "key_5"
                    : path.find("jobs") != std::string::npos         ? "job_5"
                    : path.find("accounts") != std::string::npos     ? "acc_5"
                    : path.find("measurements") != std::string::npos ? "meas_5"
                    : path.find("denials") != std::string::npos      ? "deny_5"
                    : path.find("held") != std::string::npos         ? "hold_5"
                    : path.find("payouts") != std::string::npos      ? "pay_5"
                                                                     : "req_5";
                path.replace(at, 4, schema);
            }
            if (const std::size_t at = path.find("{name}"); at != std::string::npos)
                path.replace(at, 6, "inference:m%2Fodel");
            Context context = test_context();
            context.payout_address = [](const std::string& address) -> Result<std::string> {
                return address;
            };
            const auto result =
                command(route.method, path, example.at("value").dump(), who, context);
            ++examples;
            // The evidence of the example is well-formed but proves nothing.
            if (route.pattern == "/v1/nodes/{id}/evidence")
                CHECK(told(result) == "verdict_refused /nonce");
            else
                CHECK(told(result) == "ok");
        }
    }
    CHECK(examples >= 25);
}

TEST_CASE("the reference page is self-contained") {
    const auto [route, call] = call_of(Method::get, "/docs");
    const Response page = answer_view(*route, call, test_context());
    CHECK(page.status == 200);
    CHECK(page.body.find("style=") == std::string::npos);
    CHECK(page.body.find("<style") == std::string::npos);
    CHECK(page.body.find("onclick") == std::string::npos);
    for (const std::string_view text : {reference_html(), reference_js(), reference_css()}) {
        CHECK_FALSE(text.empty());
        CHECK(text.find("http://") == std::string_view::npos);
        CHECK(text.find("https://") == std::string_view::npos);
        CHECK(text.find("innerHTML") == std::string_view::npos);
    }
    bool strict = false;
    for (const auto& [name, value] : page.headers)
        strict = strict ||
                 (name == "Content-Security-Policy" && value.find("unsafe") == std::string::npos);
    CHECK(strict);
}
