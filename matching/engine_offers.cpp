// Offers and the markets they open.
#include "matching/engine_task.hpp"

namespace cocoon::matching {
namespace {

std::optional<Error> bad_price(const PriceVector& price, MarketKind kind) {
    const auto bad = [](Nano value) {
        return value.value < 0 || value.value > limits::price_nano_max;
    };
    if (bad(price.prompt) || bad(price.cached) || bad(price.completion) || bad(price.reasoning) ||
        bad(price.request) || bad(price.gpu_second))
        return invalid("/price", "Each price lies between 0 and 10^15 nano.");
    const bool tokens =
        price.prompt.value + price.cached.value + price.completion.value + price.reasoning.value >
        0;
    if (kind == MarketKind::compute && tokens)
        return invalid("/price", "A compute market has no token prices.");
    if (kind == MarketKind::inference && price.gpu_second.value > 0)
        return invalid("/price", "An inference market has no price per GPU-second.");
    return std::nullopt;
}

std::optional<Error> bad_windows(std::span<const Window> windows) {
    if (windows.size() > limits::schedule_windows_max)
        return invalid("/windows", "At most 21 windows.");
    for (const Window& window : windows)
        if (window.from_minute >= window.to_minute || window.to_minute > 7 * 24 * 60)
            return invalid("/windows", "A window is a span of minutes inside one week.");
    return std::nullopt;
}

std::optional<Error> bad_terms(const Offer& offer, MarketKind kind, Instant at) {
    if (auto error = bad_price(offer.price, kind)) return error;
    if (auto error = bad_windows(offer.windows)) return error;
    if (offer.slots < 1 || offer.slots > limits::slots_per_offer_max)
        return invalid("/slots", "Between 1 and 4096.");
    if (offer.context_tokens_max < 0 || offer.output_tokens_max < 0 || offer.notice_seconds < 0)
        return invalid("/limits", "Not negative.");
    if (offer.allow.size() > limits::list_items_max || offer.deny.size() > limits::list_items_max)
        return invalid("/allow", "At most 64 accounts.");
    if (offer.build.size() > limits::name_bytes_max) return invalid("/build", "At most 128 bytes.");
    if (offer.expires_at.us != 0 && offer.expires_at <= at)
        return invalid("/expires_at", "Lies in the past.");
    return std::nullopt;
}

std::optional<MarketKind> kind_of(const std::string& name) {
    constexpr std::string_view inference = "inference:", compute = "compute:";
    if (name.size() > limits::name_bytes_max) return std::nullopt;
    if (name.starts_with(inference) && name.size() > inference.size()) return MarketKind::inference;
    if (name.starts_with(compute) && name.size() > compute.size()) return MarketKind::compute;
    return std::nullopt;
}

// Made in the caller's place: an answer is too large to be moved for nothing.
Reply reply_offer(const Offer& offer) {
    Reply reply{Answer{}};
    reply->emplace<OfferAnswer>().offer = offer;
    return reply;
}

}  // namespace

Reply Engine::Task::operator()(const PlaceOffer& command) {
    const Offer& wanted = command.offer;
    state_.nodes.expect(wanted.node);
    const auto kind = kind_of(command.market);
    const MarketRecord* market = state_.market_by_name(command.market);
    const NodeRecord* node = state_.nodes.find(wanted.node);
    if (node == nullptr || node->node.provider != wanted.provider)
        return refuse(ErrorCode::not_found);
    if (const KeyRecord* key = state_.keys.find(actor_.key);
        key && key->key.node && key->key.node != wanted.node)
        return refuse(ErrorCode::not_found);
    if (node->provider->account.frozen) return refuse(ErrorCode::account_frozen);
    if (node->node.retired) return refuse(ErrorCode::wrong_state, "The node is retired.");
    if (!kind) return invalid("/market", "\"inference:<model>\" or \"compute:<gpu class>\".");
    if (auto error = bad_terms(wanted, *kind, at_)) return *error;
    if (node->offers.size() >= limits::offers_per_node_max)
        return refuse(ErrorCode::limit_reached, "The node has as many offers as it may have.");
    if (market == nullptr) {
        if (state_.markets.size() >= limits::markets_max)
            return refuse(ErrorCode::limit_reached, "There are as many markets as there may be.");
        emit(MarketOpened{{MarketId{state_.counters.market}, *kind, command.market, false, at_}});
        market = state_.market_by_name(command.market);
    }
    Offer& offer = draft<OfferPlaced>().offer;
    offer = wanted;
    offer.id = OfferId{state_.counters.offer};
    offer.market = market->market.id;
    offer.slots_used = 0;
    if (offer.state != OfferState::paused) offer.state = OfferState::active;
    offer.placed_at = at_;
    offer.priority = state_.counters.priority;
    offer.version = 1;
    const OfferId id = offer.id;
    emit_draft();
    freed_.offers.push_back(id);
    match_resting();  // so that the answer shows what is left
    return reply_offer(state_.offers.find(id)->offer);
}

Reply Engine::Task::operator()(const AmendOffer& command) {
    OfferRecord* record = state_.offers.find(command.offer);
    if (record == nullptr || record->offer.provider != command.provider)
        return refuse(ErrorCode::not_found);
    if (const KeyRecord* key = state_.keys.find(actor_.key);
        key && key->key.node && key->key.node != record->offer.node)
        return refuse(ErrorCode::not_found);
    if (!listed(record->offer.state)) return refuse(ErrorCode::wrong_state, "The offer has ended.");
    if (command.version != 0 && command.version != record->offer.version)
        return refuse(ErrorCode::precondition_failed);
    Offer offer = record->offer;
    if (command.price) offer.price = *command.price;
    if (command.slots) offer.slots = *command.slots;
    if (command.windows) offer.windows = *command.windows;
    if (command.allow) offer.allow = *command.allow;
    if (command.deny) offer.deny = *command.deny;
    if (command.paused) offer.state = *command.paused ? OfferState::paused : OfferState::active;
    if (command.expires_at) offer.expires_at = *command.expires_at;
    if (auto error = bad_terms(offer, record->market->market.kind, at_)) return *error;
    if (offer.slots < offer.slots_used)
        return refuse(ErrorCode::wrong_state,
                      "More slots are in use; pause the offer until they are free.");
    if (!(offer.price == record->offer.price)) offer.priority = state_.counters.priority;
    ++offer.version;
    emit(OfferAmended{std::move(offer)});
    freed_.offers.push_back(command.offer);
    match_resting();
    return reply_offer(record->offer);
}

Reply Engine::Task::operator()(const CancelOffer& command) {
    state_.offers.expect(command.offer);
    const OfferRecord* record = state_.offers.find(command.offer);
    if (record == nullptr || record->offer.provider != command.provider)
        return refuse(ErrorCode::not_found);
    if (const KeyRecord* key = state_.keys.find(actor_.key);
        key && key->key.node && key->key.node != record->offer.node)
        return refuse(ErrorCode::not_found);
    if (!listed(record->offer.state)) return refuse(ErrorCode::wrong_state, "The offer has ended.");
    if (command.version != 0 && command.version != record->offer.version)
        return refuse(ErrorCode::precondition_failed);
    emit(OfferEnded{command.offer, OfferState::cancelled});
    return reply_offer(record->offer);
}

Reply Engine::Task::operator()(const PauseMarket& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    const MarketRecord* record = state_.market_by_name(command.market);
    if (record == nullptr) return refuse(ErrorCode::unknown_market);
    if (record->market.paused == command.paused) return Answer{Done{}};
    emit(MarketPaused{record->market.id, command.paused});
    audit(command.paused ? "pause_market" : "resume_market", command.market,
          command.paused ? "open" : "paused", command.paused ? "paused" : "open", command.note);
    for (const OfferRecord* offer : record->offers)
        if (offer->link.indexed) freed_.offers.push_back(offer->offer.id);
    return Answer{Done{}};
}

}  // namespace cocoon::matching
