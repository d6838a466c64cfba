#include "matching/book.hpp"

#include "matching/state.hpp"

namespace cocoon::matching {

bool operator<(const LevelKey& a, const LevelKey& b) {
    if (a.blended != b.blended) return a.blended < b.blended;
    if (a.penalty_permille != b.penalty_permille) return a.penalty_permille < b.penalty_permille;
    return a.price.fields() < b.price.fields();
}

void Book::widen(const PriceVector& price) {
    const Wide prompt = price.prompt.value, completion = price.completion.value;
    if (prompt == 0 && completion == 0) return;  // costs nothing of either
    const Wide low =
        prompt == 0 ? Wide{ratio_any} : std::min<Wide>(ratio_any, completion * 1024 / prompt);
    const Wide high = prompt == 0
                          ? Wide{ratio_any}
                          : std::min<Wide>(ratio_any, (completion * 1024 + prompt - 1) / prompt);
    ratio_low = std::min(ratio_low, static_cast<std::int64_t>(low));
    ratio_high = std::max(ratio_high, static_cast<std::int64_t>(high));
}

std::int64_t Book::least_share(const QuantityVector& quantity) const {
    if (kind == MarketKind::compute) return cost_share(kind, quantity);
    // With completion = r * prompt the cost is blended * (q_prompt + r * q_completion) / (3 + r),
    // which moves one way with r: the least is at an end of the range.
    const auto share_at = [&](std::int64_t ratio) -> std::int64_t {
        if (ratio >= ratio_any) return 3 * quantity.completion;
        return static_cast<std::int64_t>(
            3 * (Wide{quantity.prompt} * 1024 + Wide{ratio} * quantity.completion) /
            (3 * 1024 + Wide{ratio}));
    };
    return std::min(share_at(std::min(ratio_low, ratio_high)), share_at(ratio_high));
}

Levels::iterator Book::level_for(const PriceVector& price, std::uint32_t penalty_permille) {
    const auto [level, fresh] =
        levels.try_emplace(LevelKey{blended(kind, price), penalty_permille, price});
    if (!fresh) return level;
    widen(price);
    if (++levels_since_look > 2 * levels.size() + 64) {
        levels_since_look = 0;
        ratio_low = ratio_any;
        ratio_high = 0;
        for (const auto& [key, other] : levels) widen(key.price);
    }
    return level;
}

void Book::add(OfferRecord& offer, Levels::iterator place) {
    OfferLink& link = offer.link;
    ENSURE(!link.indexed);
    link.level = place;
    Level& level = place->second;
    ENSURE(level.newest < offer.offer.priority);
    level.newest = offer.offer.priority;
    link.previous = level.tail;
    link.next = nullptr;
    (level.tail ? level.tail->link.next : level.head) = &offer;
    level.tail = &offer;
    link.indexed = true;
    ++offers;
}

void Book::remove(OfferRecord& offer) {
    OfferLink& link = offer.link;
    ENSURE(link.indexed);
    Level& level = link.level->second;
    (link.previous ? link.previous->link.next : level.head) = link.next;
    (link.next ? link.next->link.previous : level.tail) = link.previous;
    if (level.head == nullptr)
        levels.erase(link.level);
    else if (link.next == nullptr)
        level.newest = level.tail->offer.priority;
    link = OfferLink{};
    --offers;
}

void Book::send_back(OfferRecord& offer) {
    OfferLink& link = offer.link;
    ENSURE(link.indexed);
    Level& level = link.level->second;
    level.newest = offer.offer.priority;
    if (level.tail == &offer) return;
    (link.previous ? link.previous->link.next : level.head) = link.next;
    link.next->link.previous = link.previous;
    link.previous = level.tail;
    link.next = nullptr;
    level.tail->link.next = &offer;
    level.tail = &offer;
}

void Book::add(BidLink& bid, std::int64_t bound) {
    ENSURE(bid.book == nullptr);
    bid.book = this;
    bid.level = bids.try_emplace(bound).first;
    BidLevel& level = bid.level->second;
    const std::uint64_t priority = bid.request->request.priority;
    // New requests come last; only those that return (a lost node, new money) look for their old
    // place.
    BidLink* before = nullptr;
    if (level.newest > priority) {
        before = level.head;
        while (before->request->request.priority < priority) before = before->next;
    } else {
        level.newest = priority;
    }
    bid.next = before;
    bid.previous = before ? before->previous : level.tail;
    (bid.previous ? bid.previous->next : level.head) = &bid;
    (before ? before->previous : level.tail) = &bid;
    const Request& request = bid.request->request;
    if (request.slots > 1) slots_wanted.add(request.slots);
    if (request.constraints.reputation_permille_min > 0)
        reputations_wanted.add(request.constraints.reputation_permille_min);
    ++requests;
}

void Book::remove(BidLink& bid) {
    if (bid.book == nullptr) return;
    if (bid.watched) bid.book->move_walks(bid);
    const Request& request = bid.request->request;
    if (request.slots > 1) bid.book->slots_wanted.remove(request.slots);
    if (request.constraints.reputation_permille_min > 0)
        bid.book->reputations_wanted.remove(request.constraints.reputation_permille_min);
    BidLevel& level = bid.level->second;
    (bid.previous ? bid.previous->next : level.head) = bid.next;
    (bid.next ? bid.next->previous : level.tail) = bid.previous;
    if (level.head == nullptr)
        bid.book->bids.erase(bid.level);
    else if (bid.next == nullptr)
        level.newest = level.tail->request->request.priority;
    --bid.book->requests;
    bid.book = nullptr;
    bid.previous = bid.next = nullptr;
}

// ---- Walks --------------------------------------------------------------------------------------

BidLink* Book::after(const BidLink& bid) {
    return bid.next != nullptr ? bid.next : after_level(bid);
}

BidLink* Book::after_level(const BidLink& bid) {
    const auto level = std::next(bid.level);
    return level == bid.book->bids.end() ? nullptr : level->second.head;
}

void Book::postpone(OfferRecord& offer, BidLink& at, Turn turn) {
    ENSURE(!offer.walking);
    offer.walking = true;
    at.watched = true;
    walks.insert(turn == Turn::first ? walks.begin() : walks.end(), {&offer, &at});
}

void Book::drop_walk(OfferRecord& offer) {
    if (!std::exchange(offer.walking, false)) return;
    std::erase_if(walks, [&](const Walk& walk) { return walk.offer == &offer; });
}

Walk Book::take_walk() {
    ENSURE(!walks.empty());
    const Walk walk = walks.front();
    walks.pop_front();
    walk.offer->walking = false;
    return walk;
}

// The request at which they would have gone on leaves: they go on at the next, or are over.
void Book::move_walks(BidLink& from) {
    from.watched = false;
    BidLink* to = after(from);
    for (Walk& walk : walks) {
        if (walk.at != &from) continue;
        walk.at = to;
        if (to != nullptr) to->watched = true;
    }
}

}  // namespace cocoon::matching
