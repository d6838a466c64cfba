// Offers: capacity for sale. Changes need If-Match, so that nobody reprices an offer they have not
// seen.
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/wire_requests.hpp"
#include "api/wire_supply.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::array<std::string_view, 4> offer_states{"active", "paused", "cancelled", "expired"};

Response offer_response(int status, const Offer& offer, std::string_view market) {
    JsonWriter out;
    out.open_object();
    write_offer_members(out, offer, market);
    out.close_object();
    Response response = json_response(status, out.take());
    response.headers.emplace_back("ETag", etag_of(offer.version));
    return response;
}

// A change answers with the offer as it is now, or with nothing where the lane tells nothing.
std::function<Response(const Answer&, bool)> render_changed(const Context& context) {
    return [&context](const Answer& answer, bool) {
        if (std::holds_alternative<Done>(answer)) return no_content();
        const Offer& offer = answer_as<OfferAnswer>(answer).offer;
        return offer_response(200, offer, names_from_views(context)(offer.market));
    };
}

}  // namespace

Result<Response> list_offers(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    const auto state = query.maybe_choice("state", offer_states);
    Page page{call, context, query, "/v1/offers"};
    if (auto begun = page.begin(query, state ? std::string{offer_states[*state]} : ""); !begun)
        return begun.error();
    db::OfferFilter filter;
    filter.provider = viewer(call);
    if (call.principal.has(scope_node)) filter.node = call.principal.node;
    if (state) filter.state = static_cast<OfferState>(*state);
    const auto offers = reader.offers(filter, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const db::OfferRow& row : offers.rows) {
        out.open_object();
        write_offer_members(out, row.offer, row.market);
        out.close_object();
    }
    const std::uint64_t last = offers.rows.empty() ? 0 : offers.rows.back().offer.id.value;
    return page.finish(out, offers.more, {last, 0}, reader.as_of());
}

Result<PendingCommand> place_offer(const Call& call, const Context&) {
    const NodeId own = call.principal.has(scope_node) ? call.principal.node : NodeId{};
    FieldReader in{call.body};
    PlaceOffer place = read_place_offer(in.root(), own, call.at);
    if (auto done = in.finish(); !done) return done.error();
    if (own && place.offer.node != own)
        return refuse(ErrorCode::forbidden, "A node's key may only place offers for that node.");
    place.offer.provider = call.principal.account;
    PendingCommand pending;
    pending.render = [market = place.market](const Answer& answer, bool) {
        const Offer& offer = answer_as<OfferAnswer>(answer).offer;
        Response response = offer_response(201, offer, market);
        response.headers.emplace_back("Location", "/v1/offers/" + offer.id.text());
        return response;
    };
    pending.command = std::move(place);
    return pending;
}

Result<Response> read_offer(const Call& call, db::Reader& reader, const Context&) {
    const auto id = captured_id<OfferId>(call);
    if (!id) return id.error();
    const auto row = reader.offer(*id);
    const AccountId who = viewer(call);
    if (!row || (who && row->offer.provider != who)) return refuse(ErrorCode::not_found);
    Response response = offer_response(200, row->offer, row->market);
    response.headers.clear();
    return with_etag(call, std::move(response), row->offer.version);
}

Result<PendingCommand> amend_offer(const Call& call, const Context& context) {
    const auto id = captured_id<OfferId>(call);
    if (!id) return id.error();
    const auto version = if_match(call);
    if (!version) return version.error();
    FieldReader in{call.body};
    AmendOffer amend = read_amend_offer(in.root(), call.at);
    if (auto done = in.finish(); !done) return done.error();
    amend.provider = call.principal.account;
    amend.offer = *id;
    amend.version = *version;
    PendingCommand pending;
    pending.command = std::move(amend);
    pending.render = render_changed(context);
    return pending;
}

Result<PendingCommand> cancel_offer(const Call& call, const Context& context) {
    const auto id = captured_id<OfferId>(call);
    if (!id) return id.error();
    const auto version = if_match(call);
    if (!version) return version.error();
    if (auto empty = no_body(call); !empty) return empty.error();
    PendingCommand pending;
    pending.command = CancelOffer{call.principal.account, *id, *version};
    pending.render = render_changed(context);
    return pending;
}

}  // namespace cocoon::api
