// The public register of what confidential machines run, and the operator's deny-list of hardware.
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/wire_trust.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr TextRule reason_rule{1, 1024};
constexpr std::array<std::string_view, 3> states{"pending", "approved", "revoked"};
constexpr std::array<std::string_view, 2> truths{"false", "true"};

// How many machines show all of its registers: they leave the book when it is revoked.
void write_row_members(JsonWriter& out, const db::MeasurementRow& row) {
    write_measurement_members(out, row.measurement);
    out.open_object("nodes");
    out.integer("attested", row.nodes);
    out.integer("connected", row.nodes_connected);
    out.close_object();
}

std::string measurement_json(const Measurement& measurement) {
    JsonWriter out;
    out.open_object();
    write_measurement_members(out, measurement);
    out.close_object();
    return out.take();
}

Result<std::string> read_reason(const Call& call) {
    FieldReader in{call.body};
    std::string reason = in.root().text("reason", reason_rule);
    if (auto done = in.finish(); !done) return done.error();
    return reason;
}

Result<PendingCommand> decide(const Call& call, MeasurementState state) {
    const auto id = captured_id<MeasurementId>(call);
    if (!id) return id.error();
    auto reason = read_reason(call);
    if (!reason) return reason.error();
    PendingCommand pending;
    pending.command = DecideMeasurement{*id, state, std::move(*reason)};
    pending.render = [](const Answer& answer, bool) {
        return json_response(200,
                             measurement_json(answer_as<MeasurementAnswer>(answer).measurement));
    };
    return pending;
}

}  // namespace

Result<PendingCommand> submit_measurement(const Call& call, const Context&) {
    FieldReader in{call.body};
    SubmitMeasurement submit{measurement_from(in.root())};
    if (auto done = in.finish(); !done) return done.error();
    submit.measurement.submitter = call.principal.account;
    PendingCommand pending;
    pending.command = std::move(submit);
    pending.render = [](const Answer& answer, bool) {
        const Measurement& made = answer_as<MeasurementAnswer>(answer).measurement;
        Response response = json_response(201, measurement_json(made));
        response.headers.emplace_back("Location", "/v1/measurements/" + made.id.text());
        return response;
    };
    return pending;
}

Result<Response> list_measurements(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    db::MeasurementFilter filter;
    if (const auto state = query.maybe_choice("state", states))
        filter.state = static_cast<MeasurementState>(*state);
    if (const auto kind = query.maybe_choice("kind", machine_kinds))
        filter.kind = machine_kinds[*kind];
    filter.value = query.maybe_text("register", register_rule).value_or("");
    const bool mine = query.maybe_choice("mine", truths).value_or(0) == 1;
    Page page{call, context, query, "/v1/measurements"};
    const std::string chosen =
        std::string{filter.state ? name_of(*filter.state) : std::string_view{}} + ' ' +
        filter.kind + ' ' + filter.value + (mine ? " mine" : "");
    if (auto begun = page.begin(query, chosen); !begun) return begun.error();
    if (mine && !call.principal.account)
        return refuse(ErrorCode::unauthenticated, "Whose entries: send a key.");
    if (mine) filter.submitter = call.principal.account;
    const auto measurements =
        reader.measurements(filter, call.at, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const db::MeasurementRow& row : measurements.rows) {
        out.open_object();
        write_row_members(out, row);
        out.close_object();
    }
    const std::uint64_t last =
        measurements.rows.empty() ? 0 : measurements.rows.back().measurement.id.value;
    return page.finish(out, measurements.more, {last, 0}, reader.as_of());
}

Result<Response> read_measurement(const Call& call, db::Reader& reader, const Context&) {
    const auto id = captured_id<MeasurementId>(call);
    if (!id) return id.error();
    const auto row = reader.measurement(*id, call.at);
    if (!row) return refuse(ErrorCode::not_found);
    JsonWriter out;
    out.open_object();
    write_row_members(out, *row);
    out.open_array("history");
    for (const db::DecisionRow& decision : reader.decisions(*id)) {
        out.open_object();
        out.instant("at", decision.at);
        out.text("from", decision.from);
        out.text("to", decision.to);
        out.text("reason", decision.reason);
        out.close_object();
    }
    out.close_array();
    out.close_object();
    return json_response(200, out.take());
}

Result<PendingCommand> approve_measurement(const Call& call, const Context&) {
    return decide(call, MeasurementState::approved);
}
Result<PendingCommand> revoke_measurement(const Call& call, const Context&) {
    return decide(call, MeasurementState::revoked);
}

// ---- The deny-list ------------------------------------------------------------------------------

Result<Response> list_denials(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    Page page{call, context, query, "/v1/admin/denials"};
    if (auto begun = page.begin(query); !begun) return begun.error();
    const auto denials = reader.denials({page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const Denial& denial : denials.rows) {
        out.open_object();
        write_denial_members(out, denial);
        out.close_object();
    }
    const std::uint64_t last = denials.rows.empty() ? 0 : denials.rows.back().id.value;
    return page.finish(out, denials.more, {last, 0}, reader.as_of());
}

Result<PendingCommand> deny_identity(const Call& call, const Context&) {
    FieldReader in{call.body};
    ObjectReader root = in.root();
    DenyIdentity deny;
    deny.identity = read_identity(root);
    deny.reason = root.text("reason", reason_rule);
    if (auto done = in.finish(); !done) return done.error();
    PendingCommand pending;
    pending.command = std::move(deny);
    pending.render = [](const Answer& answer, bool) {
        JsonWriter out;
        out.open_object();
        write_denial_members(out, answer_as<DenialAnswer>(answer).denial);
        out.close_object();
        return json_response(201, out.take());
    };
    return pending;
}

Result<PendingCommand> lift_denial(const Call& call, const Context&) {
    const auto id = captured_id<DenialId>(call);
    if (!id) return id.error();
    auto reason = read_reason(call);
    if (!reason) return reason.error();
    PendingCommand pending;
    pending.command = LiftDenial{*id, std::move(*reason)};
    pending.render = done_without_content;
    return pending;
}

}  // namespace cocoon::api
