#include "matching/book.hpp"

#include "matching/state.hpp"

namespace cocoon::matching {

bool operator<(const LevelKey& a, const LevelKey& b) {
    if (a.blended != b.blended) return a.blended < b.blended;
    if (a.penalty_permille != b.penalty_permille) return a.penalty_permille < b.penalty_permille;
    return a.price.fields() < b.price.fields();
}

void Book::add(OfferRecord& offer, std::uint32_t penalty_permille) {
    OfferLink& link = offer.link;
    ENSURE(!link.indexed);
    const PriceVector& price = offer.offer.price;
    link.level = levels.try_emplace(LevelKey{blended(kind, price), penalty_permille, price}).first;
    Level& level = link.level->second;
    ENSURE(level.tail == nullptr || level.tail->offer.priority < offer.offer.priority);
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
    if (level.head == nullptr) levels.erase(link.level);
    link = OfferLink{};
    --offers;
}

void Book::send_back(OfferRecord& offer) {
    OfferLink& link = offer.link;
    ENSURE(link.indexed);
    Level& level = link.level->second;
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
    // New requests come last; only those that return (a lost node, new money) look for their old place.
    BidLink* before = nullptr;
    if (level.tail != nullptr && level.tail->request->request.priority > priority) {
        before = level.head;
        while (before->request->request.priority < priority) before = before->next;
    }
    bid.next = before;
    bid.previous = before ? before->previous : level.tail;
    (bid.previous ? bid.previous->next : level.head) = &bid;
    (before ? before->previous : level.tail) = &bid;
    ++requests;
}

void Book::remove(BidLink& bid) {
    if (bid.book == nullptr) return;
    BidLevel& level = bid.level->second;
    (bid.previous ? bid.previous->next : level.head) = bid.next;
    (bid.next ? bid.next->previous : level.tail) = bid.previous;
    if (level.head == nullptr) bid.book->bids.erase(bid.level);
    --bid.book->requests;
    bid.book = nullptr;
    bid.previous = bid.next = nullptr;
}

}  // namespace cocoon::matching
