// What the API's tests share: a context without a server, calls from literals, and short ways to
// see what a refusal says.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "api/challenges.hpp"
#include "api/routes.hpp"
#include "api/handlers.hpp"
#include "core/encoding.hpp"
#include "matching/views.hpp"
#include "tests/catch.hpp"

namespace cocoon::api {

inline Instant now() { return *Instant::parse("2026-11-22T17:00:00Z"); }

inline Context test_context() {
    Context context;
    context.secret = std::string(32, 's');
    context.used_challenges = std::make_shared<UsedChallenges>(16);
    context.simulated_allowed = true;
    context.webhooks_plain_allowed = false;
    context.deposit_address = "dev:wallet";
    context.market_key_id = "market-1";
    context.market_public_key = std::string(64, 'a');
    auto views = std::make_shared<matching::MarketsView>();
    auto view = std::make_shared<matching::MarketView>();
    view->id = MarketId{7};
    view->name = "inference:m/odel";
    view->asks.push_back({{Nano{1}, {}, Nano{2}, {}, {}, {}}, 3, 4, 1, {}});
    views->by_name.emplace(view->name, view);
    context.views = [views] { return views; };
    context.payout_address = [](const std::string& address) -> Result<std::string> {
        if (!address.starts_with("dev:")) return refuse(ErrorCode::invalid_body, "not an address");
        return address;
    };
    context.held_transfer = [](settlement::HoldId) {
        return settlement::HeldTransfer{"ton:5:ee", Nano{5}};
    };
    context.development_deposit = [](const std::string& memo, Nano amount) -> Result<std::string> {
        return memo + '/' + amount.text();
    };
    return context;
}

inline Principal principal_of(matching::AccountKind kind, matching::ScopeSet scopes) {
    Principal who;
    who.account = AccountId{11};
    who.kind = kind;
    who.key = KeyId{12};
    who.scopes = scopes;
    if (scopes & matching::scope_node) who.node = NodeId{5};
    return who;
}

inline Principal developer() {
    using namespace matching;
    return principal_of(AccountKind::developer, scope_read | scope_work | scope_manage);
}

// A call through the table as the server makes it. `target` is raw: path and query.
inline std::pair<const Route*, Call> call_of(Method method, std::string target,
                                             std::string body = {}, Principal who = developer()) {
    Call call;
    call.method = method;
    const std::size_t mark = target.find('?');
    call.path = target.substr(0, mark);
    if (mark != std::string::npos) call.query = target.substr(mark + 1);
    Lookup found = find_route(method, call.path);
    call.captured = found.captures;
    call.body = std::move(body);
    if (!call.body.empty()) call.headers.emplace_back("content-type", "application/json");
    call.headers.emplace_back("idempotency-key", "k1");
    call.headers.emplace_back("if-match", "\"3\"");
    call.principal = who;
    call.at = now();
    call.request_id = "rq1";
    call.entropy = std::string(64, 'e');
    return {found.route, std::move(call)};
}

inline Result<PendingCommand> command(Method method, const std::string& target,
                                      std::string body = {}, Principal who = developer(),
                                      const Context& context = test_context()) {
    const auto [route, call] = call_of(method, target, std::move(body), who);
    REQUIRE(route);
    REQUIRE(kind_of(*route) == Kind::command);
    return prepare_command(*route, call, context);
}

// "invalid_body /a /b" or "ok".
template <class Any>
std::string told(const Result<Any>& result) {
    if (result) return "ok";
    std::string text{describe(result.error().code).name};
    for (const FieldError& field : result.error().fields) text += ' ' + field.path;
    return text;
}

}  // namespace cocoon::api
