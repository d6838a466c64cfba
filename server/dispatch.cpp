#include "server/dispatch.hpp"

#include <algorithm>

#include "api/secrets.hpp"
#include "core/encoding.hpp"
#include "core/log.hpp"
#include "db/reader.hpp"
#include "sealing/signing.hpp"

namespace cocoon::server {
namespace {

// Turning a small body into a command takes about 10 us: less than a hand-over to a worker and
// back.
constexpr std::size_t inline_body_bytes_max = 16 << 10;
constexpr std::size_t entropy_bytes = 64;
constexpr std::size_t entropy_pool_bytes = 64 * entropy_bytes;
constexpr Duration read_patience = seconds(2);
constexpr std::size_t answered_accounts_max = 4'096;

bool is_exchange(const net::RequestHead& head) {
    return head.method == "POST" && head.path.starts_with("/v1/jobs/") &&
           head.path.ends_with("/exchange");
}

// An account keeps its Idempotency-Keys to itself; strangers are told apart by their address.
// Hashed, because the journal keeps the key and has no business with addresses.
std::string strangers_key(const api::Context& context, std::string_view address,
                          const std::string& key) {
    if (key.empty()) return key;
    const std::string name =
        "cocoon-market/stranger-key/v1 " + std::to_string(address_bucket(address)) + ' ' + key;
    return "stranger " + to_base64url(as_bytes(api::mac(context.secret, name)));
}

bool open_to_strangers(const matching::Command& command) {
    if (const auto* account = std::get_if<matching::OpenAccount>(&command))
        return account->kind == matching::AccountKind::developer ||
               account->kind == matching::AccountKind::provider;
    return std::holds_alternative<matching::EnrolNode>(command) ||
           std::holds_alternative<matching::WhatIf>(command);
}

}  // namespace

struct Dispatch::Task {
    std::shared_ptr<Incoming> in;
    const api::Route* route = nullptr;
    api::Call call;
    api::PendingCommand pending;
};

struct Dispatch::Parked {
    std::shared_ptr<Task> task;
    matching::Answered answer;
    RequestId request;
    net::Timer timer;
};

Dispatch::Dispatch(DispatchDoors doors) : doors_{std::move(doors)} {}

net::HttpHandler Dispatch::handler() {
    net::HttpHandler handler;
    handler.on_head = [](const net::RequestHead& head) {
        return is_exchange(head) ? net::Decision::stream() : net::Decision::accept();
    };
    handler.on_request = [this](std::shared_ptr<net::Exchange> exchange) {
        take(std::move(exchange));
    };
    handler.error_response = [](ErrorCode code, std::string_view request_id) {
        api::Response problem = api::problem(refuse(code), request_id);
        net::Response response;
        response.status = problem.status;
        response.headers.add("Content-Type", problem.content_type);
        for (auto& [name, value] : problem.headers) response.headers.add(name, value);
        if (response.status == 429 || response.status == 503)
            response.headers.set("Retry-After", "1");
        response.body = std::move(problem.body);
        return response;
    };
    return handler;
}

void Dispatch::take(std::shared_ptr<net::Exchange> exchange) {
    const net::Request& request = exchange->request();
    const Instant now = doors_.clock.now();
    Admitted admitted = doors_.admission.admit(request, now);
    const std::optional<Error> refused = admitted.refused;
    const Instant renew_until = admitted.renew_until;
    const auto in = std::make_shared<Incoming>(std::move(exchange), std::move(admitted),
                                               doors_.admission.address_of(request), now,
                                               doors_.clock, doors_.metrics, doors_.policy);
    in->route = "-";
    if (request.method == "OPTIONS") return preflight(*in);
    if (refused) return in->refuse(*refused);
    if (renew_until.us != 0) renew(in->principal(), renew_until);
    const auto method = api::method_from_name(request.method == "HEAD" ? "GET" : request.method);
    if (!method) return in->refuse(refuse(ErrorCode::method_not_allowed));
    api::Lookup lookup = api::find_route(*method, request.path);
    if (lookup.route == nullptr) return no_route(*in, lookup);
    const api::Route& route = *lookup.route;
    in->route = route.pattern;
    if (const auto no = admit_route(*in, route)) return in->refuse(*no);
    switch (api::kind_of(route)) {
        case api::Kind::native:
            return doors_.native(std::get<api::Native>(route.handler), in, lookup.captures);
        case api::Kind::view:
            return run_view(task_of(in, route, *method, std::move(lookup.captures)));
        case api::Kind::query:
            return run_query(task_of(in, route, *method, std::move(lookup.captures)));
        case api::Kind::command:
            return run_command(task_of(in, route, *method, std::move(lookup.captures)));
    }
}

// Whether this caller may go down this route, now.
std::optional<Error> Dispatch::admit_route(const Incoming& in, const api::Route& route) {
    const api::Principal& who = in.principal();
    if (const auto allowed = api::authorize(route, who); !allowed) return allowed.error();
    const bool reads = route.method == api::Method::get;
    // A browser can be made to send these by any site: a cookie goes along by itself, and a sign-in
    // would leave somebody else's.
    const bool unasked = who.session || (route.signs_in && !who.account);
    if (unasked && !reads && !doors_.admission.from_own_pages(in.request()))
        return refuse(ErrorCode::cross_site_refused,
                      "Only this market's own pages may send that without an API key.");
    if (route.signs_in && who.account && !reads && route.method != api::Method::remove)
        if (auto wait = doors_.admission.sign_in(who.account, in.arrived())) return wait;
    if (route.opens_account && !who.account)
        if (auto wait = doors_.admission.sign_up(in.address(), in.arrived())) return wait;
    const AccountEntry* account = doors_.directory.account(who.account);
    const bool signs_out = who.session && route.signs_in;
    if (account != nullptr && account->frozen && !reads && !signs_out)
        return refuse(ErrorCode::account_frozen);
    return std::nullopt;
}

// A session that is used lasts longer: the same command with which a person changes a key's end.
void Dispatch::renew(const api::Principal& session, Instant until) {
    matching::Envelope envelope;
    envelope.actor = session.account;
    matching::AmendKey amend;
    amend.account = session.account;
    amend.key = session.key;
    amend.expires_at = until;
    envelope.command = std::move(amend);
    // A full lane is asked again by the session's next request.
    (void)doors_.lane.submit(std::move(envelope), [](const matching::Answered&) {});
}

// What is no route may be a page; a path that is a route for other methods is not.
void Dispatch::no_route(Incoming& in, const api::Lookup& lookup) const {
    if (!lookup.malformed && lookup.allow.empty()) {
        if (auto page = doors_.pages.answer(in.request())) {
            in.route = "page";
            return in.respond(std::move(*page));
        }
    }
    in.respond(api::no_route(lookup, in.request_id()));
}

// Any origin may be allowed: the one credential that a browser adds by itself, a session's cookie,
// is good for our own pages alone, and X-Session is not among the headers allowed here.
void Dispatch::preflight(Incoming& in) const {
    api::Response response;
    response.status = 204;
    response.headers = {{"Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}};
    if (!doors_.policy.cors_origin.empty()) {
        response.headers.emplace_back("Access-Control-Allow-Methods",
                                      "GET, HEAD, POST, PUT, PATCH, DELETE");
        response.headers.emplace_back("Access-Control-Allow-Headers",
                                      "Authorization, Content-Type, Idempotency-Key, If-Match, "
                                      "Prefer, Last-Event-ID, "
                                      "X-Request-Id, Cocoon-Fencing-Token, Cocoon-Terms");
        response.headers.emplace_back("Access-Control-Max-Age", "600");
    }
    in.respond(std::move(response));
}

std::shared_ptr<Dispatch::Task> Dispatch::task_of(const std::shared_ptr<Incoming>& in,
                                                  const api::Route& route, api::Method method,
                                                  std::vector<std::string> captures) {
    auto task = std::make_shared<Task>();
    const net::Request& request = in->request();
    task->in = in;
    task->route = &route;
    task->call.method = method;
    task->call.path = request.path;
    task->call.captured = std::move(captures);
    task->call.query = request.query;
    task->call.headers.reserve(request.headers.size());
    for (const net::Header& header : request.headers) {
        if (!net::same_ignoring_case(header.name, "Authorization") &&
            !net::same_ignoring_case(header.name, "Cookie"))
            task->call.headers.emplace_back(header.name, header.value);
    }
    task->call.body = request.body;
    task->call.principal = in->principal();
    task->call.at = in->arrived();
    task->call.request_id = in->request_id();
    task->call.address_bucket = address_bucket(in->address());
    if (api::kind_of(route) != api::Kind::query) task->call.entropy = entropy();
    return task;
}

// Random bytes are drawn in bulk: one system call for many requests.
std::string Dispatch::entropy() {
    if (entropy_.size() < entropy_bytes) {
        entropy_.resize(entropy_pool_bytes);
        sealing::fill_random({reinterpret_cast<std::uint8_t*>(entropy_.data()), entropy_.size()});
    }
    std::string bytes = entropy_.substr(entropy_.size() - entropy_bytes);
    entropy_.resize(entropy_.size() - entropy_bytes);
    return bytes;
}

// A broken machine or handler ends one request, with an answer.
template <class Work>
void Dispatch::guarded(const Task& task, const Work& work) {
    const auto failed = [&task](std::string_view event, const char* why) {
        log::error(
            event,
            {{"request_id", task.in->request_id()}, {"route", task.in->route}, {"why", why}});
    };
    try {
        work();
    } catch (const db::Failure& failure) {
        failed("read_failed", failure.what());
        task.in->refuse(refuse(ErrorCode::overloaded, "the database does not answer"));
    } catch (const std::exception& failure) {
        failed("handler_failed", failure.what());
        task.in->refuse(refuse(ErrorCode::internal_error));
    }
}

// ---- Commands ----------------------------------------------------------------------------------

void Dispatch::run_command(const std::shared_ptr<Task>& task) {
    const auto prepare = [this, task] {
        guarded(*task, [&] {
            auto pending = api::prepare_command(*task->route, task->call, doors_.context);
            if (!pending) return task->in->refuse(pending.error());
            task->pending = std::move(*pending);
            submit(task);
        });
    };
    const bool waits = task->route->waits;
    if (!waits && task->call.body.size() <= inline_body_bytes_max) return prepare();
    net::WorkerPool& pool = task->route->signs_in ? doors_.sign_in_workers
                            : waits               ? doors_.waiting_workers
                                                  : doors_.workers;
    if (!pool.submit(prepare))
        task->in->refuse(refuse(ErrorCode::overloaded, "all workers are busy"));
}

void Dispatch::submit(const std::shared_ptr<Task>& task) {
    matching::Envelope envelope;
    envelope.actor = task->pending.actor ? task->pending.actor : task->call.principal.account;
    envelope.key = task->call.principal.key;
    envelope.scopes = task->call.principal.scopes;
    envelope.idempotency_key = envelope.actor ? task->pending.idempotency_key
                                              : strangers_key(doors_.context, task->in->address(),
                                                              task->pending.idempotency_key);
    envelope.input_hash = task->pending.input_hash;
    envelope.command = std::move(task->pending.command);
    // Without an account the actor is 0, which to the engine is the market itself. The routes table
    // already keeps strangers to these three; a route added in haste must not open the rest.
    if (!envelope.actor && !open_to_strangers(envelope.command))
        return task->in->refuse(refuse(ErrorCode::unauthenticated));
    const auto submitted = doors_.lane.submit(
        std::move(envelope),
        [this, task](matching::Answered answer) { finish(task, std::move(answer)); });
    if (!submitted) task->in->refuse(submitted.error());
}

void Dispatch::finish(const std::shared_ptr<Task>& task, matching::Answered answer) {
    answered(task->pending.actor ? task->pending.actor : task->call.principal.account,
             answer.sequence);
    // Whoever signs up was nobody when calling, and reads as the new account next.
    if (answer.reply)
        if (const auto* opened = std::get_if<matching::AccountAnswer>(&*answer.reply))
            answered(opened->account, answer.sequence);
    const auto* placed =
        answer.reply ? std::get_if<matching::RequestAnswer>(&*answer.reply) : nullptr;
    if (placed != nullptr && task->pending.wait.us > 0 &&
        placed->request.state == matching::RequestState::resting) {
        const RequestId request = placed->request.id;
        return park(task, std::move(answer), request);
    }
    task->in->respond(
        api::finish_command(task->pending, answer.reply, answer.replayed, task->in->request_id()));
}

void Dispatch::answered(AccountId account, std::uint64_t sequence) {
    if (!account || sequence == 0) return;
    if (answered_.size() >= answered_accounts_max) {
        const std::uint64_t projected = doors_.projector.sequence();
        std::erase_if(answered_,
                      [projected](const auto& entry) { return entry.second <= projected; });
    }
    std::uint64_t& newest = answered_[account];
    newest = std::max(newest, sequence);
}

// Prefer: wait=N on a resting request: the answer waits until the request is no longer resting.
void Dispatch::park(const std::shared_ptr<Task>& task, matching::Answered answer,
                    RequestId request) {
    const auto parked = std::make_shared<Parked>(Parked{task, std::move(answer), request, {}});
    const std::weak_ptr<Parked> weak = parked;
    parked->timer = doors_.loop.call_after(task->pending.wait, [this, weak] {
        if (const auto alive = weak.lock()) unpark(alive);
    });
    parked_[request].push_back(parked);
    task->in->exchange().on_closed([this, weak] {
        if (const auto alive = weak.lock()) unpark(alive);
    });
}

void Dispatch::unpark(const std::shared_ptr<Parked>& parked) {
    const auto found = parked_.find(parked->request);
    if (found == parked_.end() || std::erase(found->second, parked) == 0) return;
    if (found->second.empty()) parked_.erase(found);
    parked->timer.cancel();
    const Task& task = *parked->task;
    task.in->respond(api::finish_command(task.pending, parked->answer.reply,
                                         parked->answer.replayed, task.in->request_id()));
}

void Dispatch::stored(const matching::Batch& batch) {
    if (parked_.empty()) return;
    for (const matching::Request& request : batch.changes.requests) {
        const auto found = parked_.find(request.id);
        if (found == parked_.end() || request.state == matching::RequestState::resting) continue;
        matching::RequestAnswer newer;
        newer.request = request;
        if (const auto job = doors_.directory.job(request.job)) {
            newer.job = *job;
            if (const auto keyset = doors_.directory.keyset(job->keyset_digest)) {
                newer.keyset_document = std::make_shared<const std::string>(keyset->document);
            }
            if (const NodeEntry* node = doors_.directory.node(job->node)) newer.tier = node->tier;
        }
        const auto waiting = found->second;
        for (const auto& parked : waiting) {
            parked->answer.reply = matching::Reply{matching::Answer{newer}};
            answered(parked->task->call.principal.account, batch.last());
            unpark(parked);
        }
    }
}

// ---- Views and queries --------------------------------------------------------------------------

void Dispatch::run_view(const std::shared_ptr<Task>& task) {
    const auto answer = [this, task] {
        guarded(*task, [&] {
            task->in->respond(api::answer_view(*task->route, task->call, doors_.context));
        });
    };
    if (!task->route->waits) return answer();
    if (!doors_.waiting_workers.submit(answer))
        task->in->refuse(refuse(ErrorCode::overloaded, "all workers are busy"));
}

void Dispatch::run_query(const std::shared_ptr<Task>& task) {
    const auto found = answered_.find(task->call.principal.account);
    const std::uint64_t sequence = found == answered_.end() ? 0 : found->second;
    const bool taken = doors_.workers.submit(
        [this, task, sequence] { guarded(*task, [&] { answer_query(*task, sequence); }); });
    if (!taken) task->in->refuse(refuse(ErrorCode::overloaded, "all workers are busy"));
}

void Dispatch::answer_query(Task& task, std::uint64_t sequence) {
    // Nobody reads less than what they were told.
    if (!doors_.projector.wait_for(sequence, read_patience)) {
        return task.in->refuse(refuse(ErrorCode::overloaded, "the tables are behind; try again"));
    }
    std::optional<db::Reader> reader;
    reader.emplace(doors_.pool);
    api::Response response = api::answer_query(*task.route, task.call, *reader, doors_.context);
    reader.reset();
    task.in->respond(std::move(response));
}

}  // namespace cocoon::server
