// The order book of one market: offers that can be matched now in price levels, and resting
// requests by the highest price they bear. Both are intrusive lists in records that State owns;
// nothing here walks a list to remove from it. State keeps it in step with the records, the engine
// searches it. Knows no account, money or time.
#pragma once

#include <deque>
#include <map>

#include "matching/ranking.hpp"

namespace cocoon::matching {

struct OfferRecord;
struct RequestRecord;

struct LevelKey {
    std::int64_t blended = 0;
    std::uint32_t penalty_permille = 1000;
    PriceVector price;

    friend bool operator<(const LevelKey& a, const LevelKey& b);
};

// Offers of one price and one node penalty, longest waiting first (ascending priority).
struct Level {
    OfferRecord* head = nullptr;
    OfferRecord* tail = nullptr;
    std::uint64_t newest = 0;  // the tail's priority: whoever joins has more
};
using Levels = std::map<LevelKey, Level>;

struct OfferLink {
    OfferRecord* previous = nullptr;
    OfferRecord* next = nullptr;
    Levels::iterator level{};
    bool indexed = false;
};

struct BidLink;
struct BidLevel {
    BidLink* head = nullptr;
    BidLink* tail = nullptr;
    std::uint64_t newest = 0;  // the tail's priority
};
using BidLevels = std::map<std::int64_t, BidLevel, std::greater<>>;

struct Book;
// One alternative of a resting request.
struct BidLink {
    RequestRecord* request = nullptr;
    BidLink* previous = nullptr;
    BidLink* next = nullptr;
    Book* book = nullptr;  // nullptr: not indexed
    BidLevels::iterator level{};
    std::uint32_t alternative = 0;
    bool watched = false;  // some offer's walk goes on here
};

// How many resting requests name which number: 16 free slots only matter to those that want 16.
class Thresholds {
public:
    void add(std::uint32_t value) { ++counts_[value]; }
    void remove(std::uint32_t value) {
        const auto found = counts_.find(value);
        if (--found->second == 0) counts_.erase(found);
    }
    // Whether something that rises from `before` to `after` reaches one of them.
    bool reached(std::uint32_t before, std::uint32_t after) const {
        const auto next = counts_.upper_bound(before);
        return next != counts_.end() && next->first <= after;
    }

private:
    std::map<std::uint32_t, std::uint32_t> counts_;
};

// An offer on its way past the resting requests, and the next of them; one command only goes so
// far.
struct Walk {
    OfferRecord* offer = nullptr;
    BidLink* at = nullptr;
};

struct Book {
    MarketKind kind = MarketKind::inference;
    Levels levels;
    BidLevels bids;
    std::size_t offers = 0, requests = 0;  // indexed
    // Every level's completion : prompt ratio lies between these (in 1/1024); a search that knows
    // them can stop much earlier. They only widen, until enough new levels have come to look at all
    // again.
    std::int64_t ratio_low = ratio_any, ratio_high = 0;
    std::size_t levels_since_look = 0;
    std::deque<Walk> walks;                       // unfinished ones, first come first
    bool has_turn = false;                        // the market waits in State::walked_markets
    Thresholds slots_wanted, reputations_wanted;  // of requests for more than one slot, than any
    static constexpr std::int64_t ratio_any = INT64_MAX / 4;

    // Least multiple (in 1 / share_unit) of its blended price that `quantity` costs at any level
    // here.
    std::int64_t least_share(const QuantityVector& quantity) const;

    // The level of an offer at this price and penalty, made if it is not there. An offer must then
    // join it.
    Levels::iterator level_for(const PriceVector& price, std::uint32_t penalty_permille);
    void add(OfferRecord& offer,
             Levels::iterator level);  // REQUIRES: highest priority of its level
    void remove(OfferRecord& offer);
    void send_back(OfferRecord& offer);  // to the end of its level; its priority is the newest
    void add(BidLink& bid, std::int64_t bound);
    static void remove(BidLink& bid);

    // The resting requests from the dearest and longest waiting on; nullptr: no more.
    BidLink* first_bid() const { return bids.empty() ? nullptr : bids.begin()->second.head; }
    static BidLink* after(const BidLink& bid);
    static BidLink* after_level(const BidLink& bid);  // the first below its level
    // The offer's walk goes on at `at` when there is time, before the others or after them.
    // REQUIRES: it has no walk yet.
    enum class Turn { first, last };
    void postpone(OfferRecord& offer, BidLink& at, Turn turn);
    void drop_walk(OfferRecord& offer);  // if it has one
    Walk take_walk();                    // the first. REQUIRES: there is one

private:
    void move_walks(BidLink& from);
    void widen(const PriceVector& price);
};

}  // namespace cocoon::matching
