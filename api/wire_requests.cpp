#include "api/wire_requests.hpp"

#include <array>

#include "api/wire_vectors.hpp"
#include "matching/views.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::array<std::string_view, 2> times_in_force{"immediate", "rest"};
constexpr std::int64_t attempts_max = 10;
constexpr std::int64_t slots_max = limits::slots_per_offer_max;

std::vector<NamedAlternative> read_alternatives(ObjectReader& in) {
    std::vector<NamedAlternative> alternatives;
    if (in.has("any_of")) {
        for (ObjectReader& item : in.objects("any_of", 1, limits::alternatives_max)) {
            NamedAlternative alternative;
            alternative.market = item.text("market", market_name_rule);
            alternative.build = item.maybe_text("build").value_or(std::string{});
            alternatives.push_back(std::move(alternative));
        }
        if (in.has("market")) in.refuse("market", "cannot be given with any_of");
        if (in.has("build")) in.refuse("build", "cannot be given with any_of");
        in.maybe_text("market", market_name_rule);
        in.maybe_text("build");
        return alternatives;
    }
    NamedAlternative only;
    only.market = in.text("market", market_name_rule);
    only.build = in.maybe_text("build").value_or(std::string{});
    alternatives.push_back(std::move(only));
    return alternatives;
}

void check_rest_until(ObjectReader& in, std::optional<Instant> until, Instant at) {
    if (!until) return;
    if (*until <= at)
        in.refuse("rest_until", "must be in the future");
    else if (*until - at > seconds(limits::rest_seconds_max))
        in.refuse("rest_until",
                  "must be at most " + std::to_string(limits::rest_seconds_max) + " seconds ahead");
}

}  // namespace

PlaceRequest read_place_request(ObjectReader in, const Context& context, AccountId account,
                                KeyId key, Instant at) {
    PlaceRequest place;
    Request& request = place.request;
    request.account = account;
    request.key = key;
    place.alternatives = read_alternatives(in);
    ObjectReader quantity = in.object("quantity");
    request.quantity = read_quantity(quantity);
    if (quantity.exists() && request.quantity == QuantityVector{})
        quantity.refuse_whole("must ask for something: every count is zero");
    request.cap_total =
        in.maybe_money("cap_total_nano", {1, limits::amount_nano_max}).value_or(Nano{});
    request.cap_price = read_cap_price(in.maybe_object("cap_price"));
    request.constraints =
        read_constraints(in.maybe_object("constraints"), context.simulated_allowed);
    request.slots =
        static_cast<std::uint32_t>(in.maybe_integer("slots", {1, slots_max}).value_or(1));
    request.session = in.maybe_boolean("session").value_or(false);
    request.time_in_force = static_cast<TimeInForce>(in.choice("time_in_force", times_in_force));
    const auto rest_until = in.maybe_instant("rest_until");
    check_rest_until(in, rest_until, at);
    if (request.time_in_force == TimeInForce::rest && !in.has("rest_until"))
        in.refuse("rest_until", "is required");
    if (request.time_in_force == TimeInForce::immediate && in.has("time_in_force") && rest_until)
        in.refuse("rest_until", "is only for requests that rest");
    request.rest_until = rest_until.value_or(Instant{});
    request.job_duration =
        seconds(in.maybe_integer("job_seconds", {1, limits::reservation_seconds_max})
                    .value_or(limits::reservation_seconds_default));
    request.attempts_max =
        static_cast<std::uint32_t>(in.maybe_integer("attempts_max", {1, attempts_max}).value_or(3));
    return place;
}

AmendRequest read_amend_request(ObjectReader in, const Context& context, Instant at) {
    AmendRequest amend;
    amend.cap_total = in.maybe_money("cap_total_nano", {1, limits::amount_nano_max});
    if (ObjectReader cap = in.maybe_object("cap_price"); cap.exists())
        amend.cap_price = read_cap_price(cap);
    amend.rest_until = in.maybe_instant("rest_until");
    check_rest_until(in, amend.rest_until, at);
    if (ObjectReader constraints = in.maybe_object("constraints"); constraints.exists())
        amend.constraints = read_constraints(constraints, context.simulated_allowed);
    if (!in.has("cap_total_nano") && !in.has("cap_price") && !in.has("rest_until") &&
        !in.has("constraints"))
        in.refuse_whole("must change something");
    return amend;
}

MarketNames names_from_views(const Context& context) {
    return [&context](MarketId id) {
        const auto views = context.views();
        for (const auto& [name, view] : views->by_name)
            if (view->id == id) return name;
        return std::string{};
    };
}

MarketNames names_of_request(const std::vector<NamedAlternative>& named, const Request& request) {
    return [&named, &request](MarketId id) {
        for (std::size_t i = 0; i < request.alternatives.size() && i < named.size(); ++i)
            if (request.alternatives[i].market == id) return named[i].market;
        return std::string{};
    };
}

MarketNames names_of_row(const std::vector<std::string>& names, const Request& request) {
    return [&names, &request](MarketId id) {
        for (std::size_t i = 0; i < request.alternatives.size() && i < names.size(); ++i)
            if (request.alternatives[i].market == id) return names[i];
        return std::string{};
    };
}

void write_request_members(JsonWriter& out, const Request& request, const MarketNames& market) {
    out.id("id", request.id);
    out.open_array("any_of");
    for (const Alternative& alternative : request.alternatives) {
        out.open_object();
        out.text("market", market(alternative.market));
        if (!alternative.build.empty()) out.text("build", alternative.build);
        out.close_object();
    }
    out.close_array();
    write_quantity(out, "quantity", request.quantity);
    if (request.cap_total.value > 0)
        out.money("cap_total_nano", request.cap_total);
    else
        out.null("cap_total_nano");
    write_cap_price(out, "cap_price", request.cap_price);
    write_constraints(out, "constraints", request.constraints);
    out.integer("slots", request.slots);
    out.boolean("session", request.session);
    out.text("time_in_force", name_of(request.time_in_force));
    out.instant_or_null("rest_until", request.rest_until);
    out.integer("job_seconds", request.job_duration.seconds());
    out.integer("attempts", request.attempts);
    out.integer("attempts_max", request.attempts_max);
    out.text("state", name_of(request.state));
    out.text_or_null("reason", request.reason);
    out.id_or_null("job", request.job);
    out.instant("placed_at", request.placed_at);
    out.instant_or_null("ended_at", request.ended_at);
    out.decimal("version", request.version);
}

void write_job_members(JsonWriter& out, const Job& job, std::string_view market) {
    out.id("id", job.id);
    out.id("request", job.request);
    out.id("provider", job.provider);
    out.id("node", job.node);
    out.id("offer", job.offer);
    out.text("market", market);
    out.text_or_null("build", job.build);
    out.boolean("session", job.session);
    write_price(out, "price", job.price);
    write_quantity(out, "quantity", job.quantity);
    out.integer("slots", job.slots);
    out.integer("attempt", job.attempt);
    out.text("state", name_of(job.state));
    out.text_or_null("reason", job.reason);
    out.money("hold_nano", job.hold);
    out.money("captured_nano", job.captured);
    out.money("fee_nano", job.fee);
    write_quantity(out, "usage", job.usage);
    out.decimal("counter", job.counter);
    out.decimal("fencing_token", job.fencing_token);
    out.text("keyset_digest", job.keyset_digest);
    out.text("evidence_hash", job.evidence_hash);
    out.instant("reserved_at", job.reserved_at);
    out.instant("expires_at", job.expires_at);
    out.instant_or_null("started_at", job.started_at);
    out.instant_or_null("ended_at", job.ended_at);
    out.text_or_null("receipt_hash", job.receipt_hash);
    if (job.first_output_ms)
        out.integer("first_output_ms", job.first_output_ms);
    else
        out.null("first_output_ms");
    if (job.output_ms)
        out.integer("output_ms", job.output_ms);
    else
        out.null("output_ms");
}

void write_job_node(JsonWriter& out, std::string_view name, const Job& job, Tier tier,
                    const std::string* keyset_document) {
    out.open_object(name);
    out.id("id", job.node);
    out.text("tier", tier_name(tier));
    if (keyset_document)
        out.text("keyset_document", *keyset_document);
    else
        out.null("keyset_document");
    out.text("keyset_digest", job.keyset_digest);
    out.text("evidence_hash", job.evidence_hash);
    out.text("evidence_url",
             "/v1/nodes/" + job.node.text() + "/evidence?hash=" + job.evidence_hash);
    out.close_object();
}

void write_explanation(JsonWriter& out, std::string_view name, const Explanation& explanation) {
    out.open_object(name);
    out.integer("offers_seen", explanation.offers_seen);
    out.boolean("truncated", explanation.truncated);
    out.open_array("removed");
    for (const auto& [constraint, offers] : explanation.removed) {
        out.open_object();
        out.text("constraint", name_of(constraint));
        out.integer("offers", offers);
        out.close_object();
    }
    out.close_array();
    out.open_array("relaxations");
    for (const Relaxation& relaxation : explanation.relaxations) {
        out.open_object();
        out.text("constraint", name_of(relaxation.constraint));
        out.text("suggestion", relaxation.suggestion);
        out.integer("offers", relaxation.offers);
        out.money("cost_nano", relaxation.cost);
        out.close_object();
    }
    out.close_array();
    out.open_array("best");
    for (const Candidate& candidate : explanation.best) {
        out.open_object();
        out.id("offer", candidate.offer);
        out.id("node", candidate.node);
        out.money("cost_nano", candidate.cost);
        out.money("effective_cost_nano", candidate.effective_cost);
        out.integer("penalty_permille", candidate.penalty_permille);
        out.close_object();
    }
    out.close_array();
    out.close_object();
}

void write_request_answer(JsonWriter& out, const RequestAnswer& answer, const MarketNames& market) {
    out.open_object("request");
    write_request_members(out, answer.request, market);
    out.close_object();
    if (answer.job) {
        out.open_object("job");
        write_job_members(out, *answer.job, market(answer.job->market));
        out.close_object();
        write_job_node(out, "node", *answer.job, answer.tier, answer.keyset_document.get());
    }
    if (answer.why) write_explanation(out, "explanation", *answer.why);
}

}  // namespace cocoon::api
