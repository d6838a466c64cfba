// A market behind its HTTP contract without sockets and threads: Writer, PostgreSQL and Reader
// behind the table of routes, as the server joins them. Every answer is held to its schema in
// openapi.yaml. Used by the tests of this folder.
#pragma once

#include <nlohmann/json.hpp>

#include "api/embedded.hpp"
#include "api/login.hpp"
#include "api/login_guard.hpp"
#include "api/used_once.hpp"
#include "db/logins.hpp"
#include "sealing/signing.hpp"
#include "tests/api/support.hpp"
#include "tests/db/market.hpp"

namespace cocoon::api::test {

using namespace cocoon::matching;
using nlohmann::json;

// What of JSON Schema the contract uses. Empty: fits; else the first misfit's place and why.
class Schema {
public:
    std::string misfit(const json& schema, const json& value, const std::string& at = {}) const {
        if (schema.contains("$ref")) return misfit(contract_.at(pointer(schema)), value, at);
        for (const json& part : schema.value("allOf", json::array()))
            if (auto fault = misfit(part, value, at); !fault.empty()) return fault;
        if (schema.contains("oneOf")) {
            for (const json& part : schema.at("oneOf"))
                if (misfit(part, value, at).empty()) return {};
            return at + ": fits none of oneOf: " + value.dump();
        }
        if (schema.contains("type") && !of_type(schema.at("type"), value))
            return at + ": not " + schema.at("type").dump();
        if (schema.contains("const") && value != schema.at("const"))
            return at + ": not the constant";
        if (schema.contains("enum") &&
            std::find(schema["enum"].begin(), schema["enum"].end(), value) == schema["enum"].end())
            return at + ": not in enum: " + value.dump();
        if (value.is_object()) return object(schema, value, at);
        if (value.is_array() && schema.contains("items"))
            for (std::size_t i = 0; i < value.size(); ++i)
                if (auto fault = misfit(schema.at("items"), value[i], at + '/' + std::to_string(i));
                    !fault.empty())
                    return fault;
        return {};
    }
    // The schema of `route`'s answer with that status and media type, or nothing.
    const json* answer(const Route& route, int status, const std::string& type) const {
        std::string method{method_name(route.method)};
        for (char& c : method) c = static_cast<char>(std::tolower(c));
        const json& all =
            contract_.at("paths").at(std::string{route.pattern}).at(method).at("responses");
        const std::string code = std::to_string(status);
        const json* described = all.contains(code)        ? &all.at(code)
                                : all.contains("default") ? &all.at("default")
                                                          : nullptr;
        if (described && described->contains("$ref"))
            described = &contract_.at(pointer(*described));
        if (!described || !described->contains("content") ||
            !described->at("content").contains(type))
            return nullptr;
        return &described->at("content").at(type).at("schema");
    }

private:
    static json::json_pointer pointer(const json& schema) {
        return json::json_pointer{schema.at("$ref").get<std::string>().substr(1)};
    }
    static bool of_type(const json& type, const json& value) {
        if (type.is_array())
            return std::any_of(type.begin(), type.end(),
                               [&](const json& one) { return of_type(one, value); });
        const std::string name = type;
        return name == "object"    ? value.is_object()
               : name == "array"   ? value.is_array()
               : name == "string"  ? value.is_string()
               : name == "integer" ? value.is_number_integer()
               : name == "boolean" ? value.is_boolean()
                                   : value.is_null();
    }
    std::string object(const json& schema, const json& value, const std::string& at) const {
        for (const json& name : schema.value("required", json::array()))
            if (!value.contains(name.get<std::string>()))
                return at + ": lacks " + name.get<std::string>();
        if (!schema.contains("properties")) return {};
        for (const auto& [name, member] : value.items())
            if (schema["properties"].contains(name))
                if (auto fault = misfit(schema["properties"][name], member, at + '/' + name);
                    !fault.empty())
                    return fault;
        return {};
    }

    json contract_ = json::parse(openapi_json_text());
};

struct Heard {
    int status = 0;
    json body;
    std::string text, etag;
    std::vector<Header> headers;
};

// The server's part, without sockets and threads.
class House {
public:
    House() {
        context = test_context();
        context.redeliver = [](WebhookId, std::uint64_t) { return std::uint64_t{0}; };
        context.logins = &logins;
        context.login_keys = std::make_shared<const LoginKeys>(login_keys(context.secret));
        context.login_guard = std::make_shared<LoginGuard>();
        context.used_wallet_challenges = std::make_shared<UsedOnce>(16);
        context.note_login = [this](const NoteLogin& note) { noted.push_back(note); };
        context.views = [this] { return views.rebuild(market.writer->state(), market.now); };
    }

    Heard call(Method method, const std::string& target, const Principal& who,
               const json& body = {}, const std::string& key = {},
               const std::string& if_match = {}) {
        auto [route, made] = call_of(method, target, body.is_null() ? "" : body.dump(), who);
        REQUIRE(route);
        market.now = market.now + microseconds(1);  // no two calls come at once
        made.at = market.now;
        ++calls;
        made.entropy =
            sealing::digest_text(sealing::sha256(as_bytes("entropy" + std::to_string(calls))));
        for (auto& [name, value] : made.headers) {
            if (name == "idempotency-key")
                value = key.empty() ? "call-" + std::to_string(calls) : key;
            if (name == "if-match") value = if_match;
        }
        Response response = authorize(*route, who) ? answer(*route, made)
                                                   : problem(authorize(*route, who).error(), "rq");
        Heard heard{response.status, {}, response.body, {}, response.headers};
        for (const auto& [name, value] : response.headers)
            if (name == "ETag") heard.etag = value;
        INFO(method_name(method) << ' ' << target << " -> " << response.status << ' '
                                 << response.body.substr(0, 2000));
        if (!response.body.empty() && response.content_type.find("json") != std::string::npos) {
            heard.body = json::parse(response.body);
            const json* schema = schemas.answer(*route, response.status, response.content_type);
            CHECK(schema);
            if (schema) CHECK(schemas.misfit(*schema, heard.body) == "");
        }
        return heard;
    }
    Heard get(const std::string& target, const Principal& who) {
        return call(Method::get, target, who);
    }
    Heard post(const std::string& target, const Principal& who, const json& body = {}) {
        return call(Method::post, target, who, body);
    }

    db::test::Database database;
    db::test::TestMarket market{database};
    db::Pool pool{database.options(), 4};
    db::Logins logins{pool};
    Context context;
    std::vector<NoteLogin> noted;  // sign-ins that were refused

private:
    Response answer(const Route& route, const Call& made) {
        if (kind_of(route) == Kind::view) return answer_view(route, made, context);
        if (kind_of(route) == Kind::query) {
            market.project();
            db::Reader reader{pool};
            return answer_query(route, made, reader, context);
        }
        auto pending = prepare_command(route, made, context);
        if (!pending) return problem(pending.error(), "rq");
        Envelope envelope{pending->actor ? pending->actor : made.principal.account,
                          made.principal.key,
                          made.principal.scopes,
                          pending->idempotency_key,
                          pending->input_hash,
                          std::move(pending->command)};
        market.now = market.now + milliseconds(7);
        const auto done = market.writer->step(std::span{&envelope, 1}, market.now).front();
        return finish_command(*pending, done.reply, done.replayed, "rq");
    }

    Schema schemas;
    Views views;
    int calls = 0;
};

inline Principal person(AccountId account, AccountKind kind, ScopeSet scopes, KeyId key = {},
                        NodeId node = {}) {
    Principal who;
    who.account = account;
    who.kind = kind;
    who.scopes = scopes;
    who.key = key;
    who.node = node;
    return who;
}

inline const json developer_form = {{"models", {"m"}},
                                    {"daily_requests", 10},
                                    {"input_tokens_average", 9},
                                    {"output_tokens_average", 9}};
inline const json provider_form = {
    {"gpu_model", "H100"}, {"gpu_count", 8},      {"vram_gib", 80},
    {"cpu_tee", "tdx"},    {"ram_gib", 1},        {"disk_gib", 1},
    {"bandwidth_mbps", 1}, {"region", "eu-west"}, {"hours_available", 24}};

// Signs somebody up and gives back who they are with their work key and their management key.
inline std::pair<Principal, Principal> sign_up(House& house, const std::string& kind) {
    const bool provider = kind == "provider";
    json form{{"kind", kind},
              {"name", "Ada \"q\""},
              {"profile", provider ? provider_form : developer_form}};
    if (provider) form["payout_address"] = "dev:ada";
    const Heard opened = house.post("/v1/accounts", Principal{}, form);
    REQUIRE(opened.status == 201);
    const auto account = *AccountId::parse(opened.body["account"]["id"].get<std::string>());
    const auto key = [&](const char* name) {
        return *KeyId::parse(opened.body[name]["id"].get<std::string>());
    };
    const AccountKind is = provider ? AccountKind::provider : AccountKind::developer;
    return {
        person(account, is, scope_read | (provider ? scope_offer : scope_work), key("work_key")),
        person(account, is, scope_read | scope_manage, key("management_key"))};
}

}  // namespace cocoon::api::test
