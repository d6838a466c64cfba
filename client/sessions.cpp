#include "client/sessions.hpp"

#include "core/log.hpp"

namespace cocoon::client {

using sealing::Json;

namespace {

constexpr Duration opening_pause = seconds(5);

bool covers(const Quantities& left, const Quantities& bound) {
    for (const Dimension& dimension : dimensions)
        if (left.*dimension.quantity < bound.*dimension.quantity) return false;
    return true;
}

void add(Quantities& into, const Quantities& more, int sign) {
    for (const Dimension& dimension : dimensions)
        into.*dimension.quantity += sign * more.*dimension.quantity;
}

// The two sides are bounded, not the four sorts: what was expected cached or reasoning counts
// there.
Quantities as_sides(Quantities quantity) {
    quantity.prompt += quantity.cached;
    quantity.completion += quantity.reasoning;
    quantity.cached = quantity.reasoning = 0;
    return quantity;
}

Quantities configured(const SessionSettings& settings) {
    Quantities quantity;
    quantity.prompt = settings.prompt_tokens;
    quantity.completion = settings.output_tokens;
    quantity.requests = settings.requests;
    return quantity;
}

}  // namespace

SessionPool::SessionPool(MarketApi& market, TrustStore& trust, const Clock& clock)
    : market_{market}, trust_{trust}, clock_{clock}, pool_{"sessions", 1} {}

void SessionPool::stop() {
    std::map<std::string, Session> open;
    {
        const std::lock_guard lock{mutex_};
        stopped_ = true;
        open.swap(sessions_);
    }
    pool_.stop();
    for (const auto& [key, session] : open)
        if (session.job) market_.cancel_job(session.job->id);
}

std::optional<SessionPool::Lease> SessionPool::acquire(const InspectedRequest& request,
                                                       const CallOptions& options) {
    if (!market_.config().session.enabled || !options.as_configured) return std::nullopt;
    const std::string key = request.model + "@" + request.build;
    {
        const std::lock_guard lock{mutex_};
        if (stopped_) return std::nullopt;
        const auto found = sessions_.find(key);
        if (found != sessions_.end() && found->second.job) {
            if (auto lease = take(found->second, key, request.bound)) return lease;
            return std::nullopt;
        }
        if (found == sessions_.end() && sessions_.size() >= sessions_max) return std::nullopt;
        Session& session = sessions_[key];
        // Another call is opening it, or that failed a moment ago.
        if (session.not_before > clock_.now()) return std::nullopt;
        session.not_before = clock_.now() + opening_pause;
    }
    if (!open(key, request, options)) return std::nullopt;
    const std::lock_guard lock{mutex_};
    const auto found = sessions_.find(key);
    if (found == sessions_.end() || !found->second.job) return std::nullopt;
    return take(found->second, key, request.bound);
}

std::optional<SessionPool::Lease> SessionPool::take(Session& session, const std::string& key,
                                                    const Quantities& bound) {
    const SessionSettings& settings = market_.config().session;
    const Instant at = clock_.now();
    const Duration remaining = session.job->expires - at;
    if (session.node->valid_until <= at || remaining <= Duration{}) {
        sessions_.erase(key);
        return std::nullopt;
    }
    const bool low = session.left.prompt < settings.prompt_tokens / 4 ||
                     session.left.completion < settings.output_tokens / 4 ||
                     session.left.requests < settings.requests / 4;
    if ((low || remaining < seconds(settings.renew_seconds_before)) && !session.renewing)
        session.renewing = pool_.submit([this, key, job = *session.job] { renew(key, job); });
    if (session.slots_used >= settings.slots || !covers(session.left, bound)) return std::nullopt;
    ++session.slots_used;
    add(session.left, bound, -1);
    return Lease{key, *session.job, session.node, bound};
}

void SessionPool::release(const Lease& lease, const std::optional<Quantities>& used, bool broken) {
    const std::lock_guard lock{mutex_};
    const auto found = sessions_.find(lease.key);
    if (found == sessions_.end() || !found->second.job || found->second.job->id != lease.job.id)
        return;
    if (broken) {
        log::info("session_ended", {{"job", lease.job.id.text()}, {"reason", "broken"}});
        sessions_.erase(found);
        return;
    }
    Session& session = found->second;
    --session.slots_used;
    if (!used) return;
    add(session.left, lease.bound, 1);
    add(session.left, as_sides(*used), -1);
}

bool SessionPool::open(const std::string& key, const InspectedRequest& request,
                       const CallOptions& options) {
    const Config& config = market_.config();
    InspectedRequest whole = request;
    whole.bound = configured(config.session);
    CallOptions session_options = options;
    session_options.cost_max.reset();  // a cap on one call; the prices stay capped
    session_options.wait_seconds = 0;
    Json body = placing_body(whole, session_options, config);
    body.set("session", true);
    body.set("slots", config.session.slots);
    body.set("job_seconds", config.session.seconds);
    ApiCall call;
    call.method = "POST";
    call.path = "/v1/requests";
    call.body = std::move(body);
    call.idempotency_key = random_key();
    const ApiAnswer answer = market_.call(call);
    if (!answer.ok()) {
        log::info("session_refused",
                  {{"model", request.model}, {"code", describe(answer.problem->error.code).name}});
        return false;
    }
    auto match = parse_match(answer.body);
    if (!match) return false;
    auto node = trust_.verify(*match, options.tiers, options.measurements);
    if (!node || !match->job.session || match->job.market != "inference:" + request.model) {
        market_.cancel_job(match->job.id);
        return false;
    }
    log::info("session_opened", {{"job", match->job.id.text()}, {"model", request.model}});
    const std::lock_guard lock{mutex_};
    if (stopped_) return false;
    Session& session = sessions_[key];
    session.left = as_sides(match->job.quantity);
    session.job = std::move(match->job);
    session.node = *std::move(node);
    return true;
}

void SessionPool::renew(const std::string& key, const Job& job) {
    const SessionSettings& settings = market_.config().session;
    const Quantities more = configured(settings);
    ApiCall call;
    call.method = "POST";
    call.path = "/v1/jobs/" + job.id.text() + ":renew";
    call.body = Json::object({{"quantity", quantities_json(more)}, {"seconds", settings.seconds}});
    call.idempotency_key = random_key();
    const ApiAnswer answer = market_.call(call);
    const Json* body = answer.body.find("job") ? answer.body.find("job") : &answer.body;
    auto renewed = answer.ok() ? parse_job(*body) : Result<Job>{refuse(ErrorCode::wrong_state)};
    log::info("session_renewed", {{"job", job.id.text()}, {"renewed", renewed.has_value()}});
    const std::lock_guard lock{mutex_};
    const auto found = sessions_.find(key);
    if (found == sessions_.end() || !found->second.job || found->second.job->id != job.id) return;
    // A refused renewal is not asked for again: the session serves until it is used up, then ends.
    if (!renewed || renewed->id != job.id) return;
    found->second.renewing = false;
    found->second.job = *std::move(renewed);
    add(found->second.left, more, 1);
}

}  // namespace cocoon::client
