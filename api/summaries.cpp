// Sums for people: what an account bought or sold, and which machines the network has. Queries of
// one snapshot each; nothing here is needed to trade.
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/wire_supply.hpp"
#include "api/wire_vectors.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::array<std::string_view, 2> sides{"bought", "sold"};
constexpr std::array<std::string_view, 4> groups{"day", "market", "node", "key"};
constexpr Duration usage_span_default = days(30);
constexpr Duration usage_span_max = days(366);

// The group's name as ids are written; days and markets are named already.
void write_group_name(JsonWriter& out, db::UsageGroup group, const std::string& name) {
    if (group == db::UsageGroup::node) return out.text("name", "node_" + name);
    // Jobs placed before keys were noted have none.
    if (group == db::UsageGroup::key) return out.text("name", name == "0" ? "" : "key_" + name);
    out.text("name", name);
}

}  // namespace

Result<Response> read_usage(const Call& call, db::Reader& reader, const Context&) {
    QueryReader query{call.query};
    const std::size_t side = query.maybe_choice("side", sides).value_or(0);
    const std::size_t chosen = query.maybe_choice("group", groups).value_or(0);
    const Instant to = query.maybe_instant("to").value_or(call.at);
    const Instant from = query.maybe_instant("from").value_or(to - usage_span_default);
    if (to <= from) query.refuse("to", "must be after from");
    if (to - from > usage_span_max) query.refuse("to", "must be at most 366 days after from");
    if (auto done = query.finish(); !done) return done.error();
    const auto group = static_cast<db::UsageGroup>(chosen);
    const AccountId account = call.principal.account;
    const auto usage = side == 0 ? reader.usage_bought(account, group, from, to)
                                 : reader.usage_sold(account, group, from, to);
    JsonWriter out;
    out.open_object();
    out.text("side", sides[side]);
    out.text("group", groups[chosen]);
    out.instant("from", from);
    out.instant("to", to);
    out.open_array("items");
    for (const db::UsageRow& row : usage) {
        out.open_object();
        write_group_name(out, group, row.name);
        out.integer("jobs", row.jobs);
        out.integer("completed", row.completed);
        write_quantity(out, "usage", row.usage);
        out.money("captured_nano", row.captured);
        out.money("fee_nano", row.fee);
        out.close_object();
    }
    out.close_array();
    out.decimal("as_of", reader.as_of());
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> read_network(const Call& call, db::Reader& reader, const Context&) {
    if (auto none = QueryReader{call.query}.finish(); !none) return none.error();
    JsonWriter out;
    out.open_object();
    out.instant("at", call.at);
    out.open_array("items");
    for (const db::NetworkRow& row : reader.network(call.at)) {
        out.open_object();
        out.text_or_null("tier", row.tier ? tier_name(*row.tier) : std::string_view{});
        out.text("region", row.region);
        out.text("gpu_model", row.gpu_model);
        out.integer("nodes", row.nodes);
        out.integer("available", row.available);
        out.integer("gpus", row.gpus);
        out.integer("gpus_available", row.gpus_available);
        out.close_object();
    }
    out.close_array();
    out.decimal("as_of", reader.as_of());
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> list_network_nodes(const Call& call, db::Reader& reader, const Context& context) {
    static constexpr std::array<std::string_view, 2> truths{"false", "true"};
    QueryReader query{call.query};
    db::NodeFilter filter;
    if (const auto tier = query.maybe_choice("tier", tier_names()))
        filter.tier = static_cast<Tier>(*tier);
    filter.region = query.maybe_text("region", region_rule).value_or("");
    const auto measurement = query.maybe_id<MeasurementId>("measurement_id");
    filter.measurement = measurement.value_or(MeasurementId{});
    const bool available = query.maybe_choice("available", truths).value_or(0) == 1;
    if (available) filter.matchable_at = call.at;
    Page page{call, context, query, "/v1/network/nodes"};
    const std::string_view tier = filter.tier ? tier_name(*filter.tier) : std::string_view{};
    const std::string chosen = std::string{tier} + ' ' + filter.region +
                               (available ? " available" : "") +
                               (measurement ? measurement->text() : "");
    if (auto begun = page.begin(query, chosen); !begun) return begun.error();
    const auto nodes = reader.nodes(filter, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const Node& node : nodes.rows) {
        out.open_object();
        write_node_members(out, node, call.at, false);
        out.close_object();
    }
    const std::uint64_t last = nodes.rows.empty() ? 0 : nodes.rows.back().id.value;
    return page.finish(out, nodes.more, {last, 0}, reader.as_of());
}

}  // namespace cocoon::api
