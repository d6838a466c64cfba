#include "client/call.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "client/event_stream.hpp"
#include "core/log.hpp"

namespace cocoon::client {

using sealing::Json;
using Kind = ExchangeEnd::Kind;

namespace {

constexpr Duration error_flush_max = seconds(2);

// The SDK's hang-up, for whoever waits: cancels the HTTP call under way and ends pauses.
class HangUp {
public:
    void hang_up() {
        {
            const std::lock_guard lock{mutex_};
            gone_ = true;
        }
        changed_.notify_all();
        token_.cancel();
    }
    net::CancelToken& token() { return token_; }
    bool gone() const { return token_.cancelled(); }
    // False: the SDK hung up meanwhile.
    bool pause(Duration duration) {
        std::unique_lock lock{mutex_};
        return !changed_.wait_for(lock, std::chrono::microseconds{duration.us},
                                  [this] { return gone_; });
    }

private:
    net::CancelToken token_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool gone_ = false;
};

Duration pause_before(int attempt, std::int64_t retry_after_seconds) {
    if (retry_after_seconds > 0) return std::min(seconds(retry_after_seconds), retry_pause_max);
    thread_local std::minstd_rand random{std::random_device{}()};
    const std::int64_t most =
        std::min<std::int64_t>(50'000LL << std::min(attempt, 5), retry_pause_max.us);
    return microseconds(most / 2 + static_cast<std::int64_t>(random()) % (most / 2));
}

bool is_event_stream(const sealing::bhttp::Fields& fields) {
    const std::string* type = sealing::bhttp::find_field(fields, "content-type");
    return type && type->starts_with("text/event-stream");
}

// Which refusals of an exchange mean that the node did nothing and another match may do better.
bool may_match_again(ErrorCode code) {
    return code == ErrorCode::job_rematched || code == ErrorCode::stale_fencing_token ||
           code == ErrorCode::reservation_expired || code == ErrorCode::node_unavailable ||
           code == ErrorCode::wrong_state || code == ErrorCode::not_found;
}

bool may_place_again(const Problem& problem) {
    const ErrorCode code = problem.error.code;
    if (problem.status == 0) return code != ErrorCode::malformed_request;
    if (problem.retry_after_seconds > retry_pause_max.seconds()) return false;
    return code == ErrorCode::rate_limited || code == ErrorCode::commit_failed ||
           code == ErrorCode::overloaded;
}

// What the sealed answer becomes for the SDK.
class Forwarder {
public:
    Forwarder(net::Exchange& exchange, const Job& job, const InspectedRequest& request)
        : exchange_{exchange},
          job_{job},
          request_{request},
          stream_{job.price, request.include_usage} {}

    bool on_head(int status, const sealing::bhttp::Fields& fields) {
        status_ = status;
        streaming_ = status == 200 && is_event_stream(fields);
        if (const std::string* type = sealing::bhttp::find_field(fields, "content-type"))
            headers_.set("Content-Type", *type);
        if (const std::string* wait = sealing::bhttp::find_field(fields, "retry-after"))
            headers_.set("Retry-After", *wait);
        headers_.set("X-Cocoon-Job", job_.id.text());
        headers_.set("X-Cocoon-Node", job_.node.text());
        headers_.set("X-Cocoon-Receipt", job_.id.text());
        if (!streaming_) return true;
        headers_.set("Cache-Control", "no-cache");
        exchange_.start(status, headers_);
        return true;
    }

    bool on_content(std::string_view content) {
        if (!streaming_) {
            body_.append(content);
            if (body_.size() > limits::engine_answer_bytes_max)
                failed_ = refuse(ErrorCode::upstream_failed, "the answer is larger than the limit");
            return !failed_;
        }
        auto out = stream_.feed(content);
        if (!out) {
            failed_ = out.error();
            return false;
        }
        return out->empty() || exchange_.write_blocking(*std::move(out));
    }

    // The sealed message was whole: usage() is known from here on, the SDK's answer not yet ended.
    void close() {
        if (!streaming_) answer_ = price_answer(std::move(body_), job_.price, request_.endpoint);
    }

    // REQUIRES: close().
    void complete(const std::string& receipt) {
        if (streaming_) {
            exchange_.write_blocking(stream_.finish(receipt));
            exchange_.finish();
            return;
        }
        headers_.set("X-Cocoon-Receipt", receipt);
        if (answer_.cost) headers_.set("X-Cocoon-Cost-Nano", answer_.cost->text());
        net::Response response{status_, std::move(headers_), std::move(answer_.body)};
        exchange_.respond(std::move(response));
    }

    // It was not: an error the SDK raises, then a cut connection, never a short answer.
    void cut(const Failure& failure) {
        if (!streaming_) return exchange_.respond(error_response(failure));
        if (exchange_.write_blocking("data: " + error_json(failure) + "\n\n")) {
            // The event must reach the SDK before the cut; a reader that takes nothing is not
            // waited for.
            const Instant until = SystemClock{}.now() + error_flush_max;
            while (exchange_.pending_bytes() > 0 && SystemClock{}.now() < until)
                std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
        exchange_.abort();
    }

    bool streaming() const { return streaming_; }
    const std::optional<Error>& failed() const { return failed_; }
    const std::optional<Quantities>& usage() const {
        return streaming_ ? stream_.usage() : answer_.usage;
    }

private:
    net::Exchange& exchange_;
    const Job& job_;
    const InspectedRequest& request_;
    AnswerStream stream_;
    net::Headers headers_;
    int status_ = 0;
    bool streaming_ = false;
    std::string body_;
    PricedAnswer answer_;
    std::optional<Error> failed_;
};

class Call {
public:
    Call(const CallServices& services, std::shared_ptr<net::Exchange> exchange,
         InspectedRequest request, CallOptions options)
        : services_{services},
          exchange_{std::move(exchange)},
          request_{std::move(request)},
          options_{std::move(options)},
          hang_up_{std::make_shared<HangUp>()} {
        // Only the hang-up is captured: the exchange must not own itself through its callbacks.
        exchange_->on_closed([hang_up = hang_up_] { hang_up->hang_up(); });
    }

    void run() {
        std::optional<Match> match;
        Failure failure;
        for (int attempt = 1; attempt <= services_.config.calls.attempts_max; ++attempt) {
            if (hang_up_->gone()) break;
            if (!match && attempt == 1) {
                if (auto lease = services_.sessions.acquire(request_, options_)) {
                    const Step step = in_session(*lease, failure);
                    if (step == Step::answered) return;
                    continue;
                }
            }
            if (!match) {
                match = place(failure);
                if (!match) return answer(failure);
            }
            const Step step = in_order(match, failure);
            if (step == Step::answered) return;
            if (step == Step::failed) return answer(failure);
            if (!match && !hang_up_->pause(pause_before(attempt, failure.retry_after_seconds)))
                break;
        }
        if (match) services_.market.cancel_job(match->job.id);
        answer(failure);
    }

private:
    enum class Step { answered, failed, again };

    void answer(Failure failure) {
        if (hang_up_->gone()) return exchange_->abort();
        failure.model = request_.model;
        log::info("call_failed", {{"request_id", exchange_->request().id},
                                  {"model", request_.model},
                                  {"job", failure.job},
                                  {"code", describe(failure.error.code).name}});
        exchange_->respond(error_response(failure));
    }

    // ---- The order ------------------------------------------------------------------------------

    std::optional<Match> place(Failure& failure) {
        ApiCall call;
        call.method = "POST";
        call.path = "/v1/requests";
        call.body = placing_body(request_, options_, services_.config);
        if (options_.wait_seconds > 0)
            call.body->set("rest_until",
                           (services_.clock.now() + seconds(options_.wait_seconds)).text());
        call.idempotency_key = random_key();
        call.wait_seconds = options_.wait_seconds;
        call.request_id = exchange_->request().id;
        // An immediate order is soon answered and must not be lost sight of; only a rest is cut
        // short.
        net::CancelToken* const cancel = options_.wait_seconds > 0 ? &hang_up_->token() : nullptr;
        ApiAnswer placed = services_.market.call(call, cancel);
        for (int attempt = 1; !placed.ok() && may_place_again(*placed.problem) &&
                              attempt < services_.config.calls.attempts_max;
             ++attempt) {
            if (!hang_up_->pause(pause_before(attempt, placed.problem->retry_after_seconds))) break;
            placed = services_.market.call(call, cancel);
        }
        if (cancel && hang_up_->gone()) withdraw_unseen(call);
        if (!placed.ok()) {
            failure = failure_of(*placed.problem, request_.model, services_.config.coin);
            return std::nullopt;
        }
        return read_match(placed.body, failure);
    }

    // The SDK hung up while the order rested, so its id is not known: the same Idempotency-Key
    // tells it.
    void withdraw_unseen(ApiCall call) {
        call.wait_seconds = 0;
        const ApiAnswer placed = services_.market.call(call);
        if (!placed.ok()) return;
        Failure failure;
        if (const auto match = read_match(placed.body, failure))
            services_.market.cancel_job(match->job.id);
    }

    std::optional<Match> read_match(const Json& placed, Failure& failure) {
        const Json* job = placed.find("job");
        if (!job || job->is_null()) return give_up_waiting(placed, failure);
        auto match = parse_match(placed);
        if (!match) {
            failure = Failure{match.error(), 0, {}, {}};
            return std::nullopt;
        }
        return *std::move(match);
    }

    // The time to rest is over: withdraw, unless it matched at that very moment.
    std::optional<Match> give_up_waiting(const Json& placed, Failure& failure) {
        const Json* request = placed.find("request");
        const std::string id{request ? request->text_at("id").value_or("") : ""};
        failure = Failure{
            refuse(ErrorCode::no_eligible_offer,
                   "nothing matched within " + std::to_string(options_.wait_seconds) + " seconds"),
            0,
            {},
            {}};
        if (!RequestId::parse(id)) return std::nullopt;
        ApiCall withdraw;
        withdraw.method = "DELETE";
        withdraw.path = "/v1/requests/" + id;
        services_.market.call(withdraw);
        return std::nullopt;
    }

    // ---- The exchange ---------------------------------------------------------------------------

    Result<std::shared_ptr<const TrustedNode>> examine(const Match& match) {
        const Job& job = match.job;
        if (job.market != "inference:" + request_.model)
            return refuse(ErrorCode::upstream_failed, "the market matched another model");
        const std::string& build = request_.build.empty() ? options_.build : request_.build;
        if (!build.empty() && job.build != build)
            return refuse(ErrorCode::upstream_failed, "the market matched another build");
        for (const Dimension& dimension : dimensions) {
            const std::int64_t cap = options_.price_max.*dimension.price;
            if (cap >= 0 && job.price.*dimension.price > cap)
                return refuse(
                    ErrorCode::upstream_failed,
                    "the market matched above the price cap for " + std::string{dimension.name});
        }
        const auto most = cost_bound(job.price, job.quantity);
        if (!most || (options_.cost_max && *most > *options_.cost_max))
            return refuse(ErrorCode::upstream_failed, "the market matched above the cost cap");
        if (job.expires <= services_.clock.now())
            return refuse(ErrorCode::reservation_expired,
                          "the market matched with a reservation that has ended");
        return services_.trust.verify(match, options_.tiers, options_.measurements,
                                      &hang_up_->token());
    }

    // On `again`, `match` is the new match to seal for, or nothing: place a new order.
    Step in_order(std::optional<Match>& match, Failure& failure) {
        const JobId id = match->job.id;
        const auto node = examine(*match);
        if (!node) {
            failure = Failure{node.error(), 0, {}, id.text()};
            services_.market.cancel_job(id);
            match.reset();
            // Evidence may have been renewed between match and look: one more order tells.
            const bool first_doubt = !std::exchange(doubted_, true);
            return node.error().code == ErrorCode::verdict_refused && first_doubt ? Step::again
                                                                                  : Step::failed;
        }
        if (hang_up_->gone()) return Step::again;  // run() sees it and cancels the job
        const Job job = match->job;
        match.reset();
        ExchangeEnd end = exchange(job, *node, job.quantity, failure, {});
        // A hang-up may have met the market before the exchange began there: then only this ends
        // the reservation, and the slot and the money are not held until it expires.
        if (end.kind == Kind::stopped) services_.market.cancel_job(id);
        if (end.kind == Kind::complete || end.kind == Kind::cut || end.kind == Kind::stopped)
            return Step::answered;
        if (end.kind == Kind::refused && end.match) {
            match = std::move(end.match);
            return Step::again;
        }
        const bool again = end.kind == Kind::unreached ||
                           (end.kind == Kind::refused && may_match_again(end.problem.error.code));
        services_.market.cancel_job(id);
        return again ? Step::again : Step::failed;
    }

    Step in_session(const SessionPool::Lease& lease, Failure& failure) {
        // The slot is given back before the SDK sees the end, so that its next call finds it free.
        bool released = false;
        const auto settled = [&](const std::optional<Quantities>& used) {
            services_.sessions.release(lease, used, false);
            released = true;
        };
        const ExchangeEnd end = exchange(lease.job, lease.node, lease.bound, failure, settled);
        const bool lost =
            end.kind == Kind::refused || end.kind == Kind::unreached || end.kind == Kind::uncertain;
        if (!released) services_.sessions.release(lease, std::nullopt, lost);
        if (!lost) return Step::answered;
        if (end.kind != Kind::uncertain) return Step::again;
        answer(failure);
        return Step::answered;
    }

    // Runs one exchange and answers the SDK if anything came; `failure` says why nothing did.
    // `settled`, if any, is told the usage of a whole answer before the SDK sees its end.
    ExchangeEnd exchange(const Job& job, const std::shared_ptr<const TrustedNode>& node,
                         const Quantities& bound, Failure& failure,
                         const std::function<void(const std::optional<Quantities>&)>& settled) {
        Forwarder forwarder{*exchange_, job, request_};
        SealedEvents events;
        events.on_head = [&forwarder](int status, const auto& fields) {
            return forwarder.on_head(status, fields);
        };
        events.on_content = [&forwarder](std::string_view content) {
            return forwarder.on_content(content);
        };
        const SealedCall call{path_of(request_.endpoint),
                              request_.stream ? "text/event-stream" : "application/json",
                              request_.body, bound, exchange_->request().id};
        ExchangeEnd end =
            exchange_sealed(services_.market, job, *node, call, events, hang_up_->token());
        failure = failure_of(end.problem, request_.model, services_.config.coin);
        failure.job = job.id.text();
        switch (end.kind) {
            case Kind::complete:
                forwarder.close();
                if (settled) settled(forwarder.usage());
                forwarder.complete(end.receipt);
                break;
            case Kind::cut: forwarder.cut(failure); break;
            case Kind::stopped:
                if (forwarder.failed())
                    forwarder.cut(Failure{*forwarder.failed(), 0, {}, job.id.text()});
                else
                    exchange_->abort();
                break;
            default: return end;
        }
        note(job, end);
        services_.receipts.keep({job, node, end.receipt, std::move(end.envelope),
                                 end.sealed_request_sha256, end.sealed_response_sha256,
                                 forwarder.usage(), end.kind == Kind::complete});
        return end;
    }

    void note(const Job& job, const ExchangeEnd& end) {
        const std::string_view how = end.kind == Kind::complete ? "complete"
                                     : end.kind == Kind::cut    ? "cut"
                                                                : "stopped";
        log::info("call_answered", {{"request_id", exchange_->request().id},
                                    {"model", request_.model},
                                    {"job", job.id.text()},
                                    {"node", job.node.text()},
                                    {"end", how}});
    }

    const CallServices& services_;
    const std::shared_ptr<net::Exchange> exchange_;
    const InspectedRequest request_;
    const CallOptions options_;
    const std::shared_ptr<HangUp> hang_up_;
    bool doubted_ = false;
};

}  // namespace

void serve_call(const CallServices& services, Endpoint endpoint,
                std::shared_ptr<net::Exchange> exchange) {
    const net::Request& http = exchange->request();
    auto request = inspect_request(endpoint, http.body, services.config.estimate);
    if (!request) return exchange->respond(error_response({request.error(), 0, {}, {}}));
    auto options = read_call_options(http.headers, services.config);
    if (!options) return exchange->respond(error_response({options.error(), 0, {}, {}}));
    Call call{services, std::move(exchange), *std::move(request), *std::move(options)};
    call.run();
}

}  // namespace cocoon::client
