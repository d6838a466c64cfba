// The one table of everything the market serves, and the few functions with which server/ walks a
// call through it: find_route -> authorize -> (prepare_command | answer) . Routes say who may call,
// handlers are plain functions. Any thread; nothing here waits. Must not know sockets, threads or
// SQL.
//
//   const Lookup found = find_route(method, raw_path);           // null route: answer
//   no_route(found, …) if (auto allowed = authorize(*found.route, principal); !allowed) ->
//   problem(allowed.error(), ...) switch (kind_of(*found.route)):
//     command  worker: prepare_command() -> lane.submit(command, key, hash) -> finish_command()
//     query    worker: one read-only transaction around answer_query()
//     view     any thread: answer_view(); memory only, never blocks
//     native   server/ does it itself: see enum class Native
// A principal that is a session came by cookie: server/ lets through only what our own pages sent.
// The server adds X-Request-Id, RateLimit and RateLimit-Policy to every answer; HEAD is GET without
// body.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/context.hpp"
#include "api/http.hpp"
#include "core/result.hpp"
#include "matching/commands.hpp"

namespace cocoon::db {
class Reader;
}

namespace cocoon::api {

// A command handler's product. `render` may be called on any thread, once.
struct PendingCommand {
    matching::Command command;
    std::string idempotency_key;    // empty: none
    matching::Digest input_hash{};  // SHA-256 of method, path and body
    // The answer as HTTP. `replayed`: the lane found it under the idempotency key; secrets are then
    // left out. An Answer of an unexpected kind throws std::logic_error.
    std::function<Response(const matching::Answer& answer, bool replayed)> render;
    // Prefer: wait=N. When the answer is a RequestAnswer whose request is resting, the server may
    // hold the response that long and render the newer RequestAnswer instead. 0: answer at once.
    Duration wait;
    // Who the call turned out to come from, where it carried no credential: a sign-in. None: whose
    // credential it was.
    AccountId actor{};
};

using CommandHandler = Result<PendingCommand> (*)(const Call&, const Context&);
using QueryHandler = Result<Response> (*)(const Call&, db::Reader&, const Context&);
using ViewHandler = Result<Response> (*)(const Call&, const Context&);

// Routes that server/ implements itself, because they are streams or speak about the process.
enum class Native {
    relay,
    exchange,
    aci_attestation,
    aci_report,
    account_events,
    market_events,
    livez,
    readyz,
    metrics
};

enum class Kind { command, query, view, native };
using Handler = std::variant<CommandHandler, QueryHandler, ViewHandler, Native>;  // index = Kind

struct Route {
    Method method = Method::get;
    std::string_view pattern;       // "/v1/keys/{id}:rotate"; {…} captures one non-empty segment
    matching::ScopeSet scopes = 0;  // any one of these; 0: public
    Handler handler;
    bool idempotency_key = false;  // Idempotency-Key is required
    // Commands and views: may ask other services or wait for a disk, so neither the I/O thread nor
    // the workers of all other routes may run it.
    bool waits = false;
    bool opens_account = false;  // a stranger's calls have a rate of their own
    // Signs people in or out: slow hashes (with `waits`) run few at a time, only our own pages may
    // make a browser call it though it carries no credential yet, and a frozen account may leave.
    bool signs_in = false;
};

inline Kind kind_of(const Route& route) { return static_cast<Kind>(route.handler.index()); }
std::string_view method_name(Method method);                    // "GET", …, "DELETE"
std::optional<Method> method_from_name(std::string_view name);  // "HEAD" is not one of them

std::span<const Route> routes();

struct Lookup {
    const Route* route = nullptr;
    std::vector<std::string>
        captures;            // percent-decoded strictly: valid UTF-8, no control characters
    std::string allow;       // when only the method is wrong: "GET, POST"
    bool malformed = false;  // the path has a broken percent-encoding
};

// `raw_path`: the request target up to '?', still percent-encoded.
Lookup find_route(Method method, std::string_view raw_path);
// not_found, method_not_allowed with Allow, or malformed_request. REQUIRES: !lookup.route.
Response no_route(const Lookup& lookup, std::string_view request_id);

// unauthenticated or forbidden. A principal without account has no credentials.
Result<void> authorize(const Route& route, const Principal& principal);

// Checks Content-Type and Idempotency-Key, hashes the input and calls the handler.
// REQUIRES: kind_of(route) == Kind::command; call.captured set from the lookup.
Result<PendingCommand> prepare_command(const Route& route, const Call& call,
                                       const Context& context);
// The lane's reply as HTTP: renders, or the refusal as problem+json, adds Idempotency-Replayed.
Response finish_command(const PendingCommand& pending, const matching::Reply& reply, bool replayed,
                        std::string_view request_id);
// REQUIRES: kind_of(route) is query, or view.
Response answer_query(const Route& route, const Call& call, db::Reader& reader,
                      const Context& context);
Response answer_view(const Route& route, const Call& call, const Context& context);

// ---- Shared with server/ ------------------------------------------------------------------------

// SHA-256 of an API key or enrolment token as stored. Nothing if it has not the form of one
// ("ck_" or "ce_" and 43 base64url characters): such a credential needs no look-up.
std::optional<matching::Digest> credential_hash(std::string_view secret);

// What the client of a job needs to seal: the `job` and `node` members of answers, as JSON text
// (for 409 job_rematched, whose problem carries both).
Response rematched_problem(const matching::RequestAnswer& rematched, std::string_view request_id,
                           const Context& context);

}  // namespace cocoon::api
