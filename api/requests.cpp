// Requests: work to be matched. The hottest handlers of the market are here.
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/wire_requests.hpp"
#include "api/wire_vectors.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::array<std::string_view, 7> request_states{
    "resting", "matched", "completed", "failed", "cancelled", "expired", "unmatched"};
constexpr std::int64_t wait_seconds_max = 60;

// Prefer: wait=N (RFC 7240 §4.3). A preference that makes no sense is ignored, as the RFC asks.
Duration wait_of(const Call& call) {
    std::string_view prefer = call.header("Prefer");
    const std::size_t at = prefer.find("wait=");
    if (at == std::string_view::npos) return {};
    prefer.remove_prefix(at + 5);
    std::int64_t wanted = 0;
    for (std::size_t i = 0; i < prefer.size() && i < 4 && prefer[i] >= '0' && prefer[i] <= '9'; ++i)
        wanted = wanted * 10 + (prefer[i] - '0');
    return seconds(std::min(wanted, wait_seconds_max));
}

// Why an immediate request found nothing, as the refusal that the lane gave as its reason.
Error unmatched_error(const RequestAnswer& answer) {
    const ErrorInfo* info = find_error(answer.request.reason);
    Error error = refuse(info ? info->code : ErrorCode::no_eligible_offer);
    if (answer.why && !answer.why->relaxations.empty()) {
        const Relaxation& nearest = answer.why->relaxations.front();
        error.detail = "Nearest change: " + std::string{name_of(nearest.constraint)} + " to " +
                       nearest.suggestion + ", then " + std::to_string(nearest.offers) +
                       " offers would do.";
    }
    return error;
}

bool is_unmatched(const RequestAnswer& answer) {
    return answer.request.state == RequestState::unmatched ||
           (answer.request.state == RequestState::failed && !answer.job);
}

void write_unmatched(JsonWriter& out, const RequestAnswer& answer, const MarketNames& market) {
    if (answer.request.id) {
        out.open_object("request");
        write_request_members(out, answer.request, market);
        out.close_object();
    }
    if (answer.why) write_explanation(out, "explanation", *answer.why);
}

Response answer_response(int status, const RequestAnswer& answer, const MarketNames& market,
                         std::string_view request_id) {
    if (is_unmatched(answer))
        return problem_with(unmatched_error(answer), request_id,
                            [&](JsonWriter& out) { write_unmatched(out, answer, market); });
    JsonWriter out;
    out.open_object();
    write_request_answer(out, answer, market);
    out.close_object();
    Response response = json_response(status, out.take());
    response.headers.emplace_back("ETag", etag_of(answer.request.version));
    if (status == 201)
        response.headers.emplace_back("Location", "/v1/requests/" + answer.request.id.text());
    return response;
}

std::function<Response(const Answer&, bool)> render_changed(const Call& call,
                                                            const Context& context) {
    return [&context, id = call.request_id](const Answer& answer, bool) {
        if (std::holds_alternative<Done>(answer)) return no_content();
        const RequestAnswer& changed = answer_as<RequestAnswer>(answer);
        JsonWriter out;
        out.open_object();
        write_request_answer(out, changed, names_from_views(context));
        out.close_object();
        Response response = json_response(200, out.take());
        response.headers.emplace_back("ETag", etag_of(changed.request.version));
        return response;
    };
}

Response explain_response(RequestState state, const Explanation& explanation) {
    JsonWriter out;
    out.open_object();
    out.text("state", name_of(state));
    write_explanation(out, "explanation", explanation);
    out.close_object();
    return json_response(200, out.take());
}

}  // namespace

Result<Response> list_requests(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    const auto state = query.maybe_choice("state", request_states);
    Page page{call, context, query, "/v1/requests"};
    if (auto begun = page.begin(query, state ? std::string{request_states[*state]} : ""); !begun)
        return begun.error();
    db::RequestFilter filter;
    if (state) filter.state = static_cast<RequestState>(*state);
    const auto requests =
        reader.requests(viewer(call), filter, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const db::RequestRow& row : requests.rows) {
        out.open_object();
        write_request_members(out, row.request, names_of_row(row.markets, row.request));
        out.close_object();
    }
    const std::uint64_t last = requests.rows.empty() ? 0 : requests.rows.back().request.id.value;
    return page.finish(out, requests.more, {last, 0}, reader.as_of());
}

Result<PendingCommand> place_request(const Call& call, const Context& context) {
    FieldReader in{call.body};
    PlaceRequest place =
        read_place_request(in.root(), context, call.principal.account, call.principal.key, call.at);
    if (auto done = in.finish(); !done) return done.error();
    PendingCommand pending;
    if (place.request.time_in_force == TimeInForce::rest) pending.wait = wait_of(call);
    pending.render = [named = place.alternatives, id = call.request_id](const Answer& answer,
                                                                        bool) {
        const RequestAnswer& placed = answer_as<RequestAnswer>(answer);
        return answer_response(201, placed, names_of_request(named, placed.request), id);
    };
    pending.command = std::move(place);
    return pending;
}

Result<PendingCommand> place_requests(const Call& call, const Context& context) {
    FieldReader in{call.body};
    PlaceRequests place;
    for (ObjectReader& item : in.root().objects("requests", 1, limits::request_batch_max))
        place.requests.push_back(
            read_place_request(item, context, call.principal.account, call.principal.key, call.at));
    if (auto done = in.finish(); !done) return done.error();
    std::vector<std::vector<NamedAlternative>> named;
    for (const PlaceRequest& request : place.requests) named.push_back(request.alternatives);
    PendingCommand pending;
    pending.command = std::move(place);
    pending.render = [named = std::move(named), id = call.request_id](const Answer& answer, bool) {
        const RequestsAnswer& placed = answer_as<RequestsAnswer>(answer);
        JsonWriter out;
        out.open_object();
        out.open_array("results");
        for (std::size_t i = 0; i < placed.answers.size() && i < named.size(); ++i) {
            const Result<RequestAnswer>& one = placed.answers[i];
            out.open_object();
            if (one && !is_unmatched(*one)) {
                out.integer("status", 201);
                write_request_answer(out, *one, names_of_request(named[i], one->request));
            } else {
                const Error error = one ? unmatched_error(*one) : one.error();
                out.integer("status", describe(error.code).status);
                out.open_object("problem");
                write_problem(out, error, id);
                if (one) write_unmatched(out, *one, names_of_request(named[i], one->request));
                out.close_object();
            }
            out.close_object();
        }
        out.close_array();
        out.close_object();
        return json_response(200, out.take());
    };
    return pending;
}

Result<PendingCommand> what_if(const Call& call, const Context& context) {
    FieldReader in{call.body};
    PlaceRequest place =
        read_place_request(in.root(), context, call.principal.account, call.principal.key, call.at);
    if (auto done = in.finish(); !done) return done.error();
    PendingCommand pending;
    pending.command = WhatIf{std::move(place)};
    pending.render = [](const Answer& answer, bool) {
        const ExplainAnswer& explained = answer_as<ExplainAnswer>(answer);
        return explain_response(explained.state, explained.explanation);
    };
    return pending;
}

Result<Response> read_request(const Call& call, db::Reader& reader, const Context&) {
    const auto id = captured_id<RequestId>(call);
    if (!id) return id.error();
    const auto row = reader.request(viewer(call), *id);
    if (!row) return refuse(ErrorCode::not_found);
    const Request& request = row->request;
    JsonWriter out;
    out.open_object();
    out.open_object("request");
    write_request_members(out, request, names_of_row(row->markets, request));
    out.close_object();
    const auto job = request.job ? reader.job(viewer(call), request.job) : std::nullopt;
    if (job) {
        out.open_object("job");
        write_job_members(out, job->job, job->market);
        out.close_object();
        const auto evidence = reader.evidence(job->job.node, job->job.evidence_hash);
        write_job_node(out, "node", job->job, evidence ? evidence->tier : job->tier,
                       evidence ? &evidence->keyset_document : nullptr);
    }
    out.close_object();
    return with_etag(call, json_response(200, out.take()), request.version);
}

Result<PendingCommand> amend_request(const Call& call, const Context& context) {
    const auto id = captured_id<RequestId>(call);
    if (!id) return id.error();
    const auto version = if_match(call);
    if (!version) return version.error();
    FieldReader in{call.body};
    AmendRequest amend = read_amend_request(in.root(), context, call.at);
    if (auto done = in.finish(); !done) return done.error();
    amend.account = call.principal.account;
    amend.request = *id;
    amend.version = *version;
    PendingCommand pending;
    pending.command = std::move(amend);
    pending.render = render_changed(call, context);
    return pending;
}

Result<PendingCommand> cancel_request(const Call& call, const Context& context) {
    const auto id = captured_id<RequestId>(call);
    if (!id) return id.error();
    if (auto empty = no_body(call); !empty) return empty.error();
    PendingCommand pending;
    pending.command = CancelRequest{call.principal.account, *id};
    pending.render = render_changed(call, context);
    return pending;
}

Result<PendingCommand> explain_request(const Call& call, const Context&) {
    const auto id = captured_id<RequestId>(call);
    if (!id) return id.error();
    PendingCommand pending;
    pending.command = Explain{call.principal.account, *id};
    pending.render = [](const Answer& answer, bool) {
        const ExplainAnswer& explained = answer_as<ExplainAnswer>(answer);
        return explain_response(explained.state, explained.explanation);
    };
    return pending;
}

Response rematched_problem(const RequestAnswer& rematched, std::string_view request_id,
                           const Context& context) {
    const Error error =
        refuse(ErrorCode::job_rematched, "Verify the new node, seal anew and send to the new job.");
    return problem_with(error, request_id, [&](JsonWriter& out) {
        write_request_answer(out, rematched, names_from_views(context));
    });
}

}  // namespace cocoon::api
