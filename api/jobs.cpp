// Jobs: what a match became. The sealed exchange itself is server/'s (Native::exchange).
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/wire_accounts.hpp"
#include "api/wire_requests.hpp"
#include "api/wire_vectors.hpp"
#include "sealing/receipt.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::array<std::string_view, 6> job_states{"reserved", "running",   "completed",
                                                     "failed",   "cancelled", "expired"};

Response job_response(const Job& job, std::string_view market) {
    JsonWriter out;
    out.open_object();
    write_job_members(out, job, market);
    out.close_object();
    return json_response(200, out.take());
}

std::function<Response(const Answer&, bool)> render_job(const Context& context) {
    return [&context](const Answer& answer, bool) {
        if (std::holds_alternative<Done>(answer)) return no_content();
        const Job& job = answer_as<JobAnswer>(answer).job;
        return job_response(job, names_from_views(context)(job.market));
    };
}

}  // namespace

Result<Response> list_jobs(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    const auto state = query.maybe_choice("state", job_states);
    Page page{call, context, query, "/v1/jobs"};
    if (auto begun = page.begin(query, state ? std::string{job_states[*state]} : ""); !begun)
        return begun.error();
    db::JobFilter filter;
    if (state) filter.state = static_cast<JobState>(*state);
    if (call.principal.has(scope_node)) filter.node = call.principal.node;
    const auto jobs = reader.jobs(viewer(call), filter, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const db::JobRow& row : jobs.rows) {
        out.open_object();
        write_job_members(out, row.job, row.market);
        out.close_object();
    }
    const std::uint64_t last = jobs.rows.empty() ? 0 : jobs.rows.back().job.id.value;
    return page.finish(out, jobs.more, {last, 0}, reader.as_of());
}

Result<Response> read_job(const Call& call, db::Reader& reader, const Context&) {
    const auto id = captured_id<JobId>(call);
    if (!id) return id.error();
    const auto row = reader.job(viewer(call), *id);
    if (!row) return refuse(ErrorCode::not_found);
    return job_response(row->job, row->market);
}

Result<PendingCommand> cancel_job(const Call& call, const Context& context) {
    const auto id = captured_id<JobId>(call);
    if (!id) return id.error();
    if (auto empty = no_body(call); !empty) return empty.error();
    PendingCommand pending;
    pending.command = CancelJob{call.principal.account, *id};
    pending.render = render_job(context);
    return pending;
}

Result<Response> read_receipt(const Call& call, db::Reader& reader, const Context&) {
    const auto id = captured_id<JobId>(call);
    if (!id) return id.error();
    QueryReader query{call.query};
    const auto counter = query.maybe_integer("counter", {0, INT64_MAX});
    if (auto done = query.finish(); !done) return done.error();
    if (!reader.job(viewer(call), *id)) return refuse(ErrorCode::not_found);
    const auto receipt =
        counter ? reader.receipt(*id, static_cast<std::uint64_t>(*counter)) : reader.receipt(*id);
    if (!receipt) return refuse(ErrorCode::not_found, "This job has no receipt yet.");
    // The document is the cosigned envelope as the market signed it: passed on byte by byte.
    return json_response(200, receipt->document);
}

// A receipt by ACI's own name for it, without the market's words: "job_9", or "job_9.3" of a
// session.
Result<Response> read_aci_receipt(const Call& call, db::Reader& reader, const Context&) {
    const auto node = captured_id<NodeId>(call);
    if (!node) return node.error();
    const std::string& id = call.captured.back();
    const std::size_t dot = id.find('.');
    const auto job = JobId::parse(id.substr(0, dot));
    std::optional<std::uint64_t> counter;
    if (dot != std::string::npos) {
        const auto number = Nano::parse(id.substr(dot + 1));
        if (!number || number->value < 1) return refuse(ErrorCode::not_found);
        counter = static_cast<std::uint64_t>(number->value);
    }
    const auto row = job ? reader.job(viewer(call), *job) : std::nullopt;
    if (!row || row->job.node != *node) return refuse(ErrorCode::not_found);
    const auto receipt = reader.receipt(*job, counter.value_or(0));
    if (!receipt) return refuse(ErrorCode::not_found, "There is no such receipt yet.");
    auto document = sealing::receipt_of_envelope(receipt->document);
    if (!document) return document.error();
    Response response = json_response(200, *std::move(document));
    response.headers.emplace_back("X-ACI-Version", std::string{sealing::aci_version});
    response.headers.emplace_back("X-ACI-Keyset-Digest", row->job.keyset_digest);
    return response;
}

Result<PendingCommand> renew_job(const Call& call, const Context& context) {
    const auto id = captured_id<JobId>(call);
    if (!id) return id.error();
    FieldReader in{call.body};
    ObjectReader root = in.root();
    RenewJob renew;
    renew.account = call.principal.account;
    renew.job = *id;
    renew.more = read_quantity(root.object("quantity"));
    renew.longer = seconds(root.integer("seconds", {0, limits::reservation_seconds_max}));
    if (renew.more == QuantityVector{} && renew.longer.us == 0 && root.has("seconds"))
        root.refuse_whole("must ask for more quantity or time");
    if (auto done = in.finish(); !done) return done.error();
    PendingCommand pending;
    pending.command = std::move(renew);
    pending.render = render_job(context);
    return pending;
}

}  // namespace cocoon::api
