#include "matching/engine.hpp"

#include "matching/engine_task.hpp"

namespace cocoon::matching {

Reply Engine::apply(const Command& command, const Actor& actor, Instant at, Happened& happened) {
    state_.forget(at);
    const bool tick = std::holds_alternative<Tick>(command);
    Task task{
        *this, actor, at, happened,
        tick ? rules_.resting_requests_per_tick_max : rules_.resting_requests_per_command_max};
    Reply reply = std::visit(task, command);
    task.match_resting();
    if (tick) task.match_postponed();
    return reply;
}

std::optional<Instant> Engine::next_due() const {
    if (!state_.walked_markets.empty() || !unserved_.empty()) return Instant{};
    return state_.timers.next();
}

void Engine::begin() {
    state_.markets.for_each([&](MarketRecord& market) {
        BidLink* first = market.book.first_bid();
        if (first == nullptr) return;
        for (OfferRecord* offer : market.offers)
            if (offer->link.indexed) state_.postpone_walk(*offer, *first, Book::Turn::last);
    });
}

void Engine::Task::emit_draft() {
    const Postings postings = state_.apply(happened_.events.back(), at_);
    for (const Posting& posting : postings) {
        happened_.postings.push_back(posting);
        if (posting.to_bucket != Bucket::available) continue;
        if (state_.has_starved(posting.to)) freed_.funded.push_back(posting.to);
    }
}

void Engine::Task::audit(std::string action, std::string target, std::string before,
                         std::string after, std::string note) {
    emit(Audited{actor_.account, std::move(action), std::move(target), std::move(before),
                 std::move(after), std::move(note)});
}

void Engine::Task::offers_of(NodeRecord& node) {
    for (const OfferRecord* offer : node.offers)
        if (offer->link.indexed) freed_.offers.push_back(offer->offer.id);
}

}  // namespace cocoon::matching
