// The table of everything that is served; tests hold it to openapi.yaml in both directions.
#include "api/routes.hpp"

#include <algorithm>
#include <array>

#include "api/field_reader.hpp"
#include "api/handlers.hpp"
#include "api/respond.hpp"
#include "sealing/signing.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr ScopeSet everyone = 0;
constexpr ScopeSet own = scope_read | scope_manage;                   // one's account
constexpr ScopeSet supply = scope_read | scope_offer | scope_manage;  // see nodes
constexpr ScopeSet offers_seen = scope_read | scope_offer | scope_node;
constexpr ScopeSet demand_seen = scope_read | scope_work;
constexpr ScopeSet jobs_seen = scope_read | scope_work | scope_offer | scope_node;
// To end work spends nothing, so who manages the account may, too: from the pages.
constexpr ScopeSet work_ended = scope_work | scope_manage;
// lists that auditors see whole
constexpr ScopeSet overseen = scope_audit;
constexpr ScopeSet operated = scope_admin | scope_audit;

constexpr bool keyed = true;  // Idempotency-Key is required
constexpr bool waits = true;
constexpr bool opens_account = true;
constexpr bool signs_in = true;

const Route table[] = {
    {Method::post, "/v1/accounts", everyone, open_account, keyed, !waits, opens_account},
    {Method::get, "/v1/account", own | overseen | scope_admin, read_account},
    {Method::patch, "/v1/account", scope_manage, amend_account},
    {Method::get, "/v1/account/balance", own | scope_work | scope_offer, read_balance},
    {Method::get, "/v1/account/statement", own, read_statement},
    {Method::get, "/v1/account/signed-statement", own, read_signed_statement},
    {Method::get, "/v1/account/proof", own, read_account_proof},
    {Method::get, "/v1/account/usage", own | scope_work | scope_offer, read_usage},
    {Method::get, "/v1/account/deposit", own, read_deposit_instructions},

    {Method::post, "/v1/session", everyone, open_session, !keyed, waits, !opens_account, signs_in},
    {Method::get, "/v1/session", own, read_session},
    {Method::remove, "/v1/session", own, close_session, !keyed, !waits, !opens_account, signs_in},
    {Method::put, "/v1/account/login", scope_manage, set_login, !keyed, waits, !opens_account,
     signs_in},
    {Method::get, "/v1/account/login", own, read_login},
    {Method::post, "/v1/session/wallet-challenges", everyone, challenge_wallet},
    {Method::get, "/v1/account/wallet", own, read_wallet},
    {Method::put, "/v1/account/wallet", scope_manage, set_wallet, !keyed, waits, !opens_account,
     signs_in},

    {Method::get, "/v1/keys", own, list_keys},
    {Method::post, "/v1/keys", scope_manage, create_key},
    {Method::patch, "/v1/keys/{id}", scope_manage, amend_key},
    {Method::remove, "/v1/keys/{id}", scope_manage, revoke_key},
    {Method::post, "/v1/keys/{id}:rotate", scope_manage, rotate_key},

    {Method::post, "/v1/nodes/enrolments", scope_offer | scope_manage, issue_enrolment},
    {Method::post, "/v1/nodes:enrol", everyone, enrol_node},
    {Method::get, "/v1/nodes", supply | overseen | scope_node, list_nodes},
    {Method::get, "/v1/nodes/{id}", everyone, read_node},
    {Method::get, "/v1/nodes/{id}/evidence", everyone, read_evidence},
    {Method::post, "/v1/nodes/{id}/evidence", scope_node, submit_evidence, !keyed, waits},
    {Method::post, "/v1/nodes/{id}/challenge", scope_node, challenge_node},
    {Method::post, "/v1/nodes/{id}/aci-reports/{ticket}", scope_node, Native::aci_report},
    {Method::post, "/v1/nodes/{id}:drain", scope_offer | scope_node, drain_node},
    {Method::post, "/v1/nodes/{id}:resume", scope_offer | scope_node, resume_node},
    {Method::post, "/v1/nodes/{id}:retire", scope_offer, retire_node},

    {Method::get, "/v1/measurements", everyone, list_measurements},
    {Method::post, "/v1/measurements", scope_offer | scope_manage, submit_measurement, keyed},
    {Method::get, "/v1/measurements/{id}", everyone, read_measurement},

    {Method::get, "/v1/offers", offers_seen | overseen, list_offers},
    {Method::post, "/v1/offers", scope_offer | scope_node, place_offer, keyed},
    {Method::get, "/v1/offers/{id}", offers_seen | overseen, read_offer},
    {Method::patch, "/v1/offers/{id}", scope_offer | scope_node, amend_offer},
    {Method::remove, "/v1/offers/{id}", scope_offer | scope_node, cancel_offer},

    {Method::get, "/v1/requests", demand_seen | overseen, list_requests},
    {Method::post, "/v1/requests", scope_work, place_request, keyed},
    {Method::post, "/v1/requests:batch", scope_work, place_requests, keyed},
    {Method::post, "/v1/requests:whatif", everyone, what_if},
    {Method::get, "/v1/requests/{id}", demand_seen | overseen, read_request},
    {Method::patch, "/v1/requests/{id}", scope_work, amend_request},
    {Method::remove, "/v1/requests/{id}", work_ended, cancel_request},
    {Method::get, "/v1/requests/{id}/explain", demand_seen, explain_request},

    {Method::get, "/v1/jobs", jobs_seen | overseen, list_jobs},
    {Method::get, "/v1/jobs/{id}", jobs_seen | overseen, read_job},
    {Method::remove, "/v1/jobs/{id}", work_ended, cancel_job},
    {Method::get, "/v1/jobs/{id}/receipt", jobs_seen | overseen, read_receipt},
    {Method::post, "/v1/jobs/{id}:renew", scope_work, renew_job, keyed},
    {Method::post, "/v1/jobs/{id}/exchange", scope_work, Native::exchange},
    {Method::get, "/v1/relay", scope_node, Native::relay},

    {Method::get, "/v1/models", everyone, list_models},
    {Method::get, "/v1/markets", everyone, list_markets},
    {Method::get, "/v1/markets/{name}", everyone, read_market},
    {Method::get, "/v1/markets/{name}/book", everyone, read_book},
    {Method::get, "/v1/markets/{name}/ticker", everyone, read_ticker},
    {Method::get, "/v1/markets/{name}/trades", everyone, list_trades},
    {Method::get, "/v1/markets/{name}/candles", everyone, list_candles},
    {Method::get, "/v1/markets/{name}/prices", everyone, read_prices},
    {Method::get, "/v1/markets/{name}/demand", everyone, read_demand},

    {Method::get, "/v1/network", everyone, read_network},
    {Method::get, "/v1/network/nodes", everyone, list_network_nodes},

    {Method::get, "/v1/events", own | scope_work | scope_offer, Native::account_events},
    {Method::get, "/v1/market-events", everyone, Native::market_events},
    {Method::get, "/v1/webhooks", own, list_webhooks},
    {Method::post, "/v1/webhooks", scope_manage, create_webhook},
    {Method::remove, "/v1/webhooks/{id}", scope_manage, remove_webhook},
    {Method::post, "/v1/webhooks/{id}:redeliver", scope_manage, redeliver},

    {Method::get, "/v1/payouts", own | overseen, list_payouts},
    {Method::post, "/v1/payouts", scope_manage, request_payout, keyed},
    {Method::get, "/v1/channels", own | scope_work, list_channels, !keyed, waits},
    {Method::post, "/v1/channels", scope_manage, open_channel, !keyed, waits},
    {Method::post, "/v1/channels/{address}/vouchers", scope_work | scope_manage, take_voucher,
     !keyed, waits},
    {Method::get, "/v1/deposits", own | overseen, list_deposits},
    {Method::post, "/v1/dev/faucet", everyone, faucet, !keyed, waits},

    {Method::get, "/v1/admin/overview", operated, read_overview},
    {Method::get, "/v1/admin/accounts", operated, list_accounts},
    {Method::get, "/v1/admin/applications", operated, list_applications},
    {Method::get, "/v1/admin/audit", operated, list_audit},
    {Method::get, "/v1/admin/ledger", operated, read_ledger},
    {Method::get, "/v1/admin/settlement", operated, read_settlement},
    {Method::get, "/v1/admin/held-deposits", operated, list_held_deposits},
    {Method::post, "/v1/admin/held-deposits/{id}:credit", scope_admin, credit_held_deposit, !keyed,
     waits},
    {Method::post, "/v1/admin/settlement:pause", scope_admin, pause_payouts},
    {Method::post, "/v1/admin/settlement:resume", scope_admin, resume_payouts},
    {Method::get, "/v1/admin/payouts", operated, list_payouts_overseen},
    {Method::post, "/v1/admin/payouts/{id}:approve", scope_admin, approve_payout},
    {Method::post, "/v1/admin/payouts/{id}:reject", scope_admin, reject_payout},
    {Method::post, "/v1/admin/accounts/{id}:freeze", scope_admin, freeze_account},
    {Method::post, "/v1/admin/accounts/{id}:unfreeze", scope_admin, unfreeze_account},
    {Method::post, "/v1/admin/nodes/{id}:suspend", scope_admin, suspend_node},
    {Method::post, "/v1/admin/nodes/{id}:restore", scope_admin, restore_node},
    {Method::post, "/v1/admin/measurements/{id}:approve", scope_admin, approve_measurement},
    {Method::post, "/v1/admin/measurements/{id}:revoke", scope_admin, revoke_measurement},
    {Method::get, "/v1/admin/denials", operated, list_denials},
    {Method::post, "/v1/admin/denials", scope_admin, deny_identity},
    {Method::post, "/v1/admin/denials/{id}:lift", scope_admin, lift_denial},
    {Method::post, "/v1/admin/markets/{name}:pause", scope_admin, pause_market},
    {Method::post, "/v1/admin/markets/{name}:resume", scope_admin, resume_market},
    {Method::put, "/v1/admin/fee", scope_admin, set_fee},

    // A node as the ACI service that it is: its base URL ends before /v1.
    {Method::get, "/nodes/{id}/v1/aci/attestation", everyone, Native::aci_attestation},
    {Method::get, "/nodes/{id}/v1/aci/receipts/{receipt}", jobs_seen | overseen, read_aci_receipt},

    {Method::get, "/v1/proof/solvency", everyone, read_solvency},
    {Method::get, "/v1/market-key", everyone, read_market_key},
    {Method::get, "/version", everyone, read_version},
    {Method::get, "/livez", everyone, Native::livez},
    {Method::get, "/readyz", everyone, Native::readyz},
    {Method::get, "/metrics", everyone, Native::metrics},
    {Method::get, "/openapi.yaml", everyone, openapi_yaml},
    {Method::get, "/openapi.json", everyone, openapi_json},
    {Method::get, "/docs", everyone, docs_page},
    {Method::get, "/docs/reference.js", everyone, docs_script},
    {Method::get, "/docs/reference.css", everyone, docs_style},
};

constexpr std::array<std::string_view, 5> method_names{"GET", "POST", "PUT", "PATCH", "DELETE"};

// How closely `path` fits `pattern`: 0 not at all; more literal text fits more closely, so that
// "/v1/nodes/enrolments" is not a node and "/v1/keys/{id}:rotate" not a key.
std::size_t fit(std::string_view pattern, std::string_view path,
                std::vector<std::string_view>& captures) {
    captures.clear();
    std::size_t literal = 1;
    while (!pattern.empty()) {
        if (pattern.front() != '{') {
            if (path.empty() || path.front() != pattern.front()) return 0;
            pattern.remove_prefix(1);
            path.remove_prefix(1);
            ++literal;
            continue;
        }
        pattern.remove_prefix(pattern.find('}') + 1);
        const std::string_view suffix = pattern.substr(0, pattern.find('/'));
        const std::string_view segment = path.substr(0, path.find('/'));
        if (segment.size() <= suffix.size() || !segment.ends_with(suffix)) return 0;
        captures.push_back(segment.substr(0, segment.size() - suffix.size()));
        pattern.remove_prefix(suffix.size());
        path.remove_prefix(segment.size());
        literal += suffix.size();
    }
    return path.empty() ? literal : 0;
}

// What each pattern begins with, up to its first capture: most routes are told apart by it at once.
std::span<const std::string_view> beginnings() {
    static const auto all = [] {
        std::array<std::string_view, std::size(table)> made;
        for (std::size_t i = 0; i < made.size(); ++i)
            made[i] = table[i].pattern.substr(0, table[i].pattern.find('{'));
        return made;
    }();
    return all;
}

matching::Digest input_hash(const Call& call) {
    sealing::Sha256 hash;
    const auto field = [&](std::string_view text) {
        const std::string size = std::to_string(text.size()) + ':';
        hash.update(as_bytes(size));
        hash.update(as_bytes(text));
    };
    field(method_name(call.method));
    field(call.path);
    field(call.query);
    field(call.body);
    return hash.finish();
}

bool is_json(std::string_view type) {
    const std::string_view media = type.substr(0, type.find(';'));
    std::string lower;
    for (const char c : media)
        if (c != ' ' && c != '\t') lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return lower == "application/json";
}

// The header's fault, or nothing. The key is a name, so visible ASCII is enough.
std::optional<FieldError> idempotency_fault(const Route& route, std::string_view key) {
    if (key.empty()) {
        if (!route.idempotency_key) return std::nullopt;
        return FieldError{"Idempotency-Key:", "is required"};
    }
    if (key.size() > limits::idempotency_key_bytes_max)
        return FieldError{"Idempotency-Key:", "must have at most 255 bytes"};
    for (const char c : key)
        if (c < ' ' || c >= 0x7F) return FieldError{"Idempotency-Key:", "must be printable ASCII"};
    return std::nullopt;
}

Error with_field(Error error, FieldError field) {
    error.fields.insert(error.fields.begin(), std::move(field));
    return error;
}

// What no page ever calls: a cookie is no credential there, whatever it may do elsewhere.
bool for_programs(const Route& route) {
    const auto* native = std::get_if<Native>(&route.handler);
    return native && *native != Native::account_events;
}

}  // namespace

std::string_view method_name(Method method) {
    return method_names[static_cast<std::size_t>(method)];
}

std::optional<Method> method_from_name(std::string_view name) {
    for (std::size_t i = 0; i < method_names.size(); ++i)
        if (method_names[i] == name) return static_cast<Method>(i);
    return std::nullopt;
}

std::span<const Route> routes() { return table; }

Lookup find_route(Method method, std::string_view raw_path) {
    Lookup found;
    std::size_t best = 0;
    std::vector<std::string_view> captures, best_captures;
    for (std::size_t i = 0; i < std::size(table); ++i) {
        if (!raw_path.starts_with(beginnings()[i])) continue;
        const Route& route = table[i];
        const std::size_t closeness = fit(route.pattern, raw_path, captures);
        if (closeness == 0 || closeness < best) continue;
        if (closeness > best) {
            best = closeness;
            found.route = nullptr;
            found.allow.clear();
        }
        if (!found.allow.empty()) found.allow += ", ";
        found.allow += method_name(route.method);
        if (route.method != method) continue;
        found.route = &route;
        best_captures = captures;
    }
    if (!found.route) return found;
    found.allow.clear();
    for (const std::string_view raw : best_captures) {
        auto decoded = percent_decoded(raw);
        if (!decoded || decoded->empty()) {
            found.route = nullptr;
            found.malformed = true;
            return found;
        }
        found.captures.push_back(std::move(*decoded));
    }
    return found;
}

Response no_route(const Lookup& lookup, std::string_view request_id) {
    if (lookup.malformed)
        return problem(refuse(ErrorCode::malformed_request, "The path is not properly encoded."),
                       request_id);
    if (lookup.allow.empty()) return problem(refuse(ErrorCode::not_found), request_id);
    Response response = problem(
        refuse(ErrorCode::method_not_allowed, "Allowed: " + lookup.allow + '.'), request_id);
    response.headers.emplace_back("Allow", lookup.allow);
    return response;
}

Result<void> authorize(const Route& route, const Principal& principal) {
    if (route.scopes == everyone) return {};
    if (!principal.account || (principal.session && for_programs(route)))
        return refuse(ErrorCode::unauthenticated, "Send Authorization: Bearer with an API key.");
    if (principal.has(route.scopes)) return {};
    return refuse(ErrorCode::forbidden, "This key has none of the scopes that this call needs.");
}

Result<PendingCommand> prepare_command(const Route& route, const Call& call,
                                       const Context& context) {
    ENSURE(kind_of(route) == Kind::command);
    if (!call.body.empty() && !is_json(call.header("Content-Type")))
        return refuse(ErrorCode::unsupported_media_type, "Send Content-Type: application/json.");
    const std::string_view key = call.header("Idempotency-Key");
    const std::optional<FieldError> fault = idempotency_fault(route, key);
    // Before the handler: a sign-in's has effects of its own.
    if (!call.query.empty()) {
        if (auto none = QueryReader{call.query}.finish(); !none) return none.error();
    }
    if (fault && route.signs_in) return Error{ErrorCode::invalid_body, {}, {*fault}};
    Result<PendingCommand> pending = std::get<CommandHandler>(route.handler)(call, context);
    if (fault && pending) return Error{ErrorCode::invalid_body, {}, {*fault}};
    if (fault && pending.error().code == ErrorCode::invalid_body)
        return with_field(pending.error(), *fault);
    if (!pending) return pending;
    if (!key.empty() && !route.signs_in) {  // a session is never given out twice
        pending->idempotency_key = key;
        pending->input_hash = input_hash(call);
    }
    return pending;
}

Response finish_command(const PendingCommand& pending, const Reply& reply, bool replayed,
                        std::string_view request_id) {
    Response response =
        reply ? pending.render(*reply, replayed) : problem(reply.error(), request_id);
    if (replayed) response.headers.emplace_back("Idempotency-Replayed", "true");
    return response;
}

Response answer_query(const Route& route, const Call& call, db::Reader& reader,
                      const Context& context) {
    ENSURE(kind_of(route) == Kind::query);
    Result<Response> response = std::get<QueryHandler>(route.handler)(call, reader, context);
    return response ? std::move(*response) : problem(response.error(), call.request_id);
}

Response answer_view(const Route& route, const Call& call, const Context& context) {
    ENSURE(kind_of(route) == Kind::view);
    Result<Response> response = std::get<ViewHandler>(route.handler)(call, context);
    return response ? std::move(*response) : problem(response.error(), call.request_id);
}

// ---- Shared by handlers -------------------------------------------------------------------------

AccountId viewer(const Call& call) {
    const Principal& who = call.principal;
    if (who.has(scope_audit) &&
        (who.kind == AccountKind::auditor || who.kind == AccountKind::admin))
        return {};
    return who.account ? who.account : AccountId{static_cast<std::uint64_t>(INT64_MAX)};
}

Result<void> no_body(const Call& call) {
    FieldReader in{call.body, true};
    in.root();
    return in.finish();
}

Response done_without_content(const Answer& answer, bool) {
    answer_as<Done>(answer);
    return no_content();
}

}  // namespace cocoon::api
