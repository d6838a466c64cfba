// What is asked of supply: nodes, their evidence, builds, offers.
#include "db/reader_parts.hpp"

namespace cocoon::db {

using namespace matching;

namespace {

const Statement list_nodes{
    "list_nodes", "select " + listed<Node>() +
                      " from nodes t where ($1::bigint is null or provider = $1::bigint) "
                      "and id < $2::bigint and ($3::bigint is null or (connected and not "
                      "draining and not suspended and not retired "
                      "and standing in ('good', 'measurement_pending') "
                      "and valid_until > $3::bigint)) and ($5::text is null or (tier = "
                      "$5::text::tier and evidence_hash is not null)) and ($6::text is "
                      "null or region = $6::text) and ($7::bigint is null or measurement_id "
                      "= $7::bigint) order by id desc limit $4::bigint"};
const Statement find_node{"read_node",
                          "select " + listed<Node>() + " from nodes t where id = $1::bigint"};
const Statement find_evidence{
    "read_evidence",
    "select node, sequence, at, valid_until, tier, measurement, keyset_digest, "
    "keyset_document, evidence_hash, evidence, verdict from evidence where node = $1::bigint "
    "and ($2::bytea is null or evidence_hash = $2::bytea) order by sequence desc limit 1"};
// Registers ascend, so that the first of a build's is the first of its machines'.
const std::string select_measurements =
    "select " + listed<Measurement>() +
    ", n.nodes, n.connected from measurements t cross join lateral (select count(*) as nodes, "
    "count(*) filter (where connected) as connected from nodes where registers[1] = "
    "t.registers[1] and registers @> t.registers and not retired and valid_until > $1::bigint) n ";
const Statement list_measurements{
    "list_measurements",
    select_measurements +
        "where t.id < $2::bigint and ($3::text is null or t.state = $3::text::measurement_state) "
        "and ($4::text is null or t.registers[1] like $4::text || '.%') and ($5::text is null or "
        "exists (select from unnest(t.registers) each where each like '%:' || $5::text)) and "
        "($6::bigint is null or t.submitter = $6::bigint) order by t.id desc limit $7::bigint"};
const Statement find_measurement{"read_measurement",
                                 select_measurements + "where t.id = $2::bigint"};
const Statement list_decisions{
    "list_decisions",
    "select at, before, after, note from audit where target = $1::text and action in "
    "('approve_measurement', 'revoke_measurement') order by sequence, ordinal"};
const Statement list_denials{"list_denials",
                             "select " + listed<Denial>() +
                                 " from denials t where id < $1::bigint order by id desc "
                                 "limit $2::bigint"};
const std::string select_offers =
    "select " + listed<Offer>() +
    ", m.name, n.name, n.region, n.country, n.gpu_model, n.tier, n.connected, "
    "n.draining, n.suspended from offers t join markets m on m.id = t.market join nodes n on n.id "
    "= t.node ";
const Statement find_offer{"read_offer", select_offers + "where t.id = $1::bigint"};
const Statement list_offers_of_provider{
    "list_offers_of_provider", select_offers +
                                   "where t.provider = $1::bigint and t.id < $2::bigint "
                                   "and ($3::bigint is null or t.node = $3::bigint) and "
                                   "($4::bigint is null or t.market = $4::bigint) "
                                   "and ($5::text is null or t.state = $5::text::offer_state) "
                                   "order by t.id desc limit $6::bigint"};
const Statement list_offers_of_market{
    "list_offers_of_market",
    select_offers +
        "where t.market = $1::bigint and t.id < $2::bigint and t.state in ('active', 'paused') "
        "and ($3::bigint is null or t.node = $3::bigint) and ($4::text is null or t.state = "
        "$4::text::offer_state) "
        "order by t.id desc limit $5::bigint"};
const Statement list_all_offers{
    "list_offers", select_offers +
                       "where t.id < $1::bigint and ($2::bigint is null or t.node = $2::bigint) "
                       "and ($3::bigint is null or t.market = $3::bigint) "
                       "and ($4::text is null or t.state = $4::text::offer_state) order by t.id "
                       "desc limit $5::bigint"};

MeasurementRow measurement_row(const Rows& rows, std::size_t row) {
    const std::size_t next = width<Measurement>();
    return {.measurement = read_row<Measurement>(rows, row),
            .nodes = rows.integer(row, next),
            .nodes_connected = rows.integer(row, next + 1)};
}

void add_text_or_null(Parameters& parameters, const std::string& text) {
    text.empty() ? parameters.add_null() : parameters.add_text(text);
}

OfferRow offer_row(const Rows& rows, std::size_t row) {
    const std::size_t next = width<Offer>();
    return {.offer = read_row<Offer>(rows, row),
            .market = text_or_empty(rows, row, next),
            .node_name = text_or_empty(rows, row, next + 1),
            .region = text_or_empty(rows, row, next + 2),
            .country = text_or_empty(rows, row, next + 3),
            .gpu_model = text_or_empty(rows, row, next + 4),
            .tier = enum_from_sql<Tier>(rows.text(row, next + 5)),
            .node_connected = rows.boolean(row, next + 6),
            .node_draining = rows.boolean(row, next + 7),
            .node_suspended = rows.boolean(row, next + 8)};
}

}  // namespace

Listed<Node> Reader::nodes(const NodeFilter& filter, PageBefore page) {
    Parameters parameters;
    add_optional(parameters, filter.provider);
    parameters.add(below(page));
    filter.matchable_at ? parameters.add(filter.matchable_at->us) : parameters.add_null();
    parameters.add(std::int64_t{page.rows_max} + 1);
    add_optional(parameters, filter.tier);
    add_text_or_null(parameters, filter.region);
    add_optional(parameters, filter.measurement);
    return nouns_of<Node>(held_->run(list_nodes, parameters), page.rows_max);
}

std::optional<Node> Reader::node(NodeId node) {
    return first_of(nouns_of<Node>(held_->run(find_node, Parameters{}.add(number(node.value))), 1));
}

Listed<MeasurementRow> Reader::measurements(const MeasurementFilter& filter, Instant now,
                                            PageBefore page) {
    Parameters parameters;
    parameters.add(now.us).add(below(page));
    add_optional(parameters, filter.state);
    add_text_or_null(parameters, filter.kind);
    add_text_or_null(parameters, filter.value);
    add_optional(parameters, filter.submitter);
    parameters.add(std::int64_t{page.rows_max} + 1);
    return page_of<MeasurementRow>(held_->run(list_measurements, parameters), page.rows_max,
                                   measurement_row);
}

std::optional<MeasurementRow> Reader::measurement(MeasurementId measurement, Instant now) {
    Parameters parameters;
    parameters.add(now.us).add(number(measurement.value));
    return first_of(
        page_of<MeasurementRow>(held_->run(find_measurement, parameters), 1, measurement_row));
}

std::vector<DecisionRow> Reader::decisions(MeasurementId measurement) {
    const Rows rows = held_->run(list_decisions, Parameters{}.add_text(measurement.text()));
    std::vector<DecisionRow> decisions;
    for (std::size_t row = 0; row < rows.size(); ++row)
        decisions.push_back({Instant{rows.integer(row, 0)}, text_or_empty(rows, row, 1),
                             text_or_empty(rows, row, 2), text_or_empty(rows, row, 3)});
    return decisions;
}

Listed<Denial> Reader::denials(PageBefore page) {
    Parameters parameters;
    parameters.add(below(page));
    parameters.add(std::int64_t{page.rows_max} + 1);
    return nouns_of<Denial>(held_->run(list_denials, parameters), page.rows_max);
}

std::optional<EvidenceRow> Reader::evidence(NodeId node) { return evidence(node, {}); }

std::optional<EvidenceRow> Reader::evidence(NodeId node, std::string_view evidence_hash) {
    Parameters parameters;
    parameters.add(number(node.value));
    evidence_hash.empty() ? parameters.add_null()
                          : parameters.add_bytes(as_bytes(pack_hash(evidence_hash, {})));
    const Rows rows = held_->run(find_evidence, parameters);
    if (rows.empty()) return std::nullopt;
    return EvidenceRow{.node = {unsigned_at(rows, 0, 0)},
                       .sequence = unsigned_at(rows, 0, 1),
                       .at = {rows.integer(0, 2)},
                       .valid_until = {rows.integer(0, 3)},
                       .tier = enum_from_sql<Tier>(rows.text(0, 4)),
                       .measurement = text_or_empty(rows, 0, 5),
                       .keyset_digest = hash_or_empty(rows, 0, 6, detail::keyset_prefix),
                       .keyset_document = text_or_empty(rows, 0, 7),
                       .evidence_hash = hash_or_empty(rows, 0, 8),
                       .evidence = std::string{rows.text(0, 9)},
                       .verdict = text_or_empty(rows, 0, 10)};
}

Listed<OfferRow> Reader::offers(const OfferFilter& filter, PageBefore page) {
    const bool live = filter.state == OfferState::active || filter.state == OfferState::paused;
    const bool by_market = !filter.provider && filter.market && live;
    Parameters parameters;
    if (filter.provider) parameters.add(number(filter.provider.value));
    if (by_market) parameters.add(number(filter.market.value));
    parameters.add(below(page));
    add_optional(parameters, filter.node);
    if (!by_market) add_optional(parameters, filter.market);
    add_optional(parameters, filter.state);
    parameters.add(std::int64_t{page.rows_max} + 1);
    const Statement& statement = filter.provider ? list_offers_of_provider
                                 : by_market     ? list_offers_of_market
                                                 : list_all_offers;
    return page_of<OfferRow>(held_->run(statement, parameters), page.rows_max, offer_row);
}

std::optional<OfferRow> Reader::offer(OfferId offer) {
    return first_of(page_of<OfferRow>(held_->run(find_offer, Parameters{}.add(number(offer.value))),
                                      1, offer_row));
}

}  // namespace cocoon::db
