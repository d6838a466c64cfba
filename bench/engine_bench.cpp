// engine_bench [resting...]: the matching engine against a plain one, the same stream for both,
// alternated round by round in one process. 60 % rest, 20 % match, 20 % cancel, on a book that is brought
// back to its size between segments (not timed). Both sides check the same constraints, hold the
// money, keep the same entities and write the same events; the plain one stores them as one would at
// first: std::map<price, deque> with std::unordered_map. A third line is the bare map<price, deque> of
// integers, without constraints, money or events, for scale. Each operation is timed by itself with
// the time-stamp counter (about 20 ns of each figure).
#include <malloc.h>
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>
#include <unordered_map>

#include "matching/engine.hpp"
#include "matching/search.hpp"

namespace cocoon::matching {
namespace {

constexpr int rounds = 7, segments = 40, segment_operations = 512;
constexpr std::int64_t middle = 10'000;
constexpr std::uint64_t developers = 64, providers = 16;
constexpr Instant start{1'790'000'000'000'000};

enum class Kind : std::uint8_t { rest, match, cancel };
struct Operation {
    Kind kind = Kind::rest;
    bool offer = false;            // else a request
    std::int64_t tick = 0;
    std::uint64_t party = 0;       // node or developer
    std::uint64_t pick = 0;        // which live order to cancel
};

class Dice {
public:
    explicit Dice(std::uint64_t seed) : random_{seed} {}
    Operation next() {
        Operation made;
        const std::uint64_t luck = random_() % 100;
        made.kind = luck < 60 ? Kind::rest : luck < 80 ? Kind::match : Kind::cancel;
        made.offer = random_() % 2 == 0;
        const auto away = 1 + static_cast<std::int64_t>(std::abs(normal_(random_)) * 200);
        const bool above = made.offer == (made.kind == Kind::rest);
        made.tick = above ? middle + away : middle - away;
        if (made.kind == Kind::match) made.tick = made.offer ? middle - 2'000 : middle + 2'000;
        made.party = random_();
        made.pick = random_();
        return made;
    }
private:
    std::mt19937_64 random_;
    std::normal_distribution<double> normal_;
};

PriceVector price_of(std::int64_t tick) { return {{tick}, {}, {tick}, {tick}, {}, {}}; }

void fill(Offer& offer, const Operation& operation, std::uint64_t nodes) {
    offer.node = NodeId{1 + operation.party % nodes};
    offer.provider = AccountId{2 + developers + (offer.node.value - 1) % providers};
    offer.price = price_of(operation.tick);
    offer.slots = 1;
}

void fill(Request& request, const Operation& operation) {
    request.account = AccountId{2 + operation.party % developers};
    request.key = KeyId{2 * (request.account.value - 1)};
    request.quantity = {20'000, 0, 4'000, 0, 1, 0};
    request.cap_price.prompt = request.cap_price.completion = Nano{operation.tick};
    request.constraints.regions.assign(1, "eu");
    request.constraints.reputation_permille_min = 500;
    const bool rests = operation.kind == Kind::rest;
    request.time_in_force = rests ? TimeInForce::rest : TimeInForce::immediate;
    request.job_duration = seconds(300);
}

// The live resting orders, for random cancels. Matched ones are dropped when they are drawn.
struct Live {
    std::vector<std::pair<bool, std::uint64_t>> orders;  // offer?, id
    template <class Rests>
    std::optional<std::pair<bool, std::uint64_t>> draw(std::uint64_t pick, Rests&& rests) {
        while (!orders.empty()) {
            auto& place = orders[pick % orders.size()];
            const auto drawn = place;
            place = orders.back();
            orders.pop_back();
            if (rests(drawn)) return drawn;
        }
        return std::nullopt;
    }
};

// ---- Ours -------------------------------------------------------------------------------------
class Ours {
public:
    explicit Ours(std::size_t resting) : nodes_{std::max<std::uint64_t>(16, resting / 20)} { people(); }
    Instant now() { return at_ = at_ + milliseconds(5); }
    void place(const Operation& operation) {
        happened_.clear();
        if (operation.offer) {
            fill(std::get<PlaceOffer>(offer_).offer, operation, nodes_);
            const Reply reply = engine_.apply(offer_, nobody_, now(), happened_);
        } else {
            Request& request = std::get<PlaceRequest>(request_).request;
            fill(request, operation);
            request.rest_until = at_ + days(1);
            const Reply reply = engine_.apply(request_, nobody_, now(), happened_);
        }
    }
    void cancel(std::pair<bool, std::uint64_t> order) {
        happened_.clear();
        if (order.first) {
            const OfferRecord& record = *state_.offers.find({order.second});
            const Reply reply = engine_.apply(CancelOffer{record.offer.provider, {order.second}, 0},
                                              nobody_, now(), happened_);
        } else {
            const RequestRecord& record = *state_.requests.find({order.second});
            const Reply reply = engine_.apply(CancelRequest{record.request.account, {order.second}},
                                              nobody_, now(), happened_);
        }
    }
    bool rests(std::pair<bool, std::uint64_t> order) const {
        if (order.first) {
            const OfferRecord* record = state_.offers.find({order.second});
            return record != nullptr && record->link.indexed;
        }
        const RequestRecord* record = state_.requests.find({order.second});
        return record != nullptr && record->bid.book != nullptr;
    }
    // Not timed: jobs of the segment end, crossing offers leave.
    void tidy() {
        std::vector<JobId> open;
        for (const JobId id : jobs_) open.push_back(id);
        for (const JobId id : open) {
            const JobRecord* record = state_.jobs.find(id);
            if (record == nullptr || record->job.state != JobState::reserved) continue;
            const Job job = record->job;
            happened_.clear();
            if (state_.offers.find(job.offer)->offer.price.prompt.value < middle)
                last_ = engine_.apply(CancelOffer{job.provider, job.offer, 0}, nobody_, now(), happened_);
            last_ = engine_.apply(CancelJob{job.account, id}, nobody_, now(), happened_);
        }
        jobs_.clear();
        state_.discard_changes();
        state_.take_markets_seen();
    }
    void note() {
        for (const Event& event : happened_.events)
            if (const auto* reserved = std::get_if<JobReserved>(&event)) jobs_.push_back(reserved->job.id);
    }
    std::uint64_t matched() const { return matched_; }
    void count() { matched_ += jobs_.size(); }
    std::size_t resting() const {
        const MarketRecord* market = state_.market_by_name("inference:m");
        return market ? market->book.offers + market->book.requests : 0;
    }
    std::pair<bool, std::uint64_t> newest(bool offer) const {
        return {offer, offer ? state_.counters.offer - 1 : state_.counters.request - 1};
    }

private:
    void send(Command command) {
        happened_.clear();
        last_ = engine_.apply(command, nobody_, now(), happened_);
        if (!last_) std::fprintf(stderr, "set-up refused: %s\n", last_.error().detail.c_str()), std::exit(1);
    }
    Digest digest() {
        Digest made{};
        ++digests_;
        for (int i = 0; i < 8; ++i)
            made[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(digests_ >> (8 * i));
        return made;
    }
    void people() {
        for (std::uint64_t i = 0; i < developers + providers; ++i) {
            OpenAccount command;
            command.kind = i < developers ? AccountKind::developer : AccountKind::provider;
            command.name = "someone";
            command.deposit_memo = "memo" + std::to_string(i);
            command.first_key.secret_hash = digest();
            command.first_key.scopes = scope_read;
            command.second_key.emplace();
            command.second_key->secret_hash = digest();
            command.second_key->scopes = i < developers ? scope_work : scope_offer;
            send(command);
            if (i < developers)
                send(CreditDeposit{command.deposit_memo, Nano{1'000'000'000'000'000},
                                   "tx" + std::to_string(i)});
        }
        for (std::uint64_t i = 0; i < nodes_; ++i) {
            // Straight into the state: the bench has more nodes than a provider may enrol.
            Node node;
            node.id = NodeId{state_.counters.node};
            node.provider = AccountId{2 + developers + i % providers};
            node.region = "eu";
            node.connected = true;
            node.tier = Tier::tdx_gpu_cc;
            node.evidence_valid_until = start + days(30);
            state_.apply(NodeEnrolled{node, {}}, start);
        }
        std::get<PlaceOffer>(offer_).market = "inference:m";
        std::get<PlaceRequest>(request_).alternatives = {{"inference:m", ""}};
    }
    std::uint64_t nodes_, digests_ = 0, matched_ = 0;
    State state_;
    Engine engine_{state_};
    Actor nobody_;
    Happened happened_;
    std::vector<JobId> jobs_;
    Command offer_{PlaceOffer{}}, request_{PlaceRequest{}};
    Reply last_{Answer{Done{}}};
    Instant at_ = start;
};

// ---- Plain: the same duties the first way one would write them --------------------------------
class Plain {
public:
    explicit Plain(std::size_t resting) : nodes_{std::max<std::uint64_t>(16, resting / 20)} {
        for (std::uint64_t i = 1; i <= nodes_; ++i) {
            Node& node = nodes[NodeId{i}];
            node.id = NodeId{i};
            node.region = "eu";
            node.connected = true;
            node.tier = Tier::tdx_gpu_cc;
            node.evidence_valid_until = start + days(30);
        }
        for (std::uint64_t i = 0; i < developers; ++i)
            accounts[AccountId{2 + i}].balances[0] = Nano{1'000'000'000'000'000};
    }
    void place(const Operation& operation) {
        events.clear();
        at_ = at_ + milliseconds(5);
        if (operation.offer) place_offer(operation);
        else place_request(operation);
    }
    void cancel(std::pair<bool, std::uint64_t> order) {
        events.clear();
        if (order.first) {
            const OfferId id{order.second};
            leave(asks, offer_at.at(id), id);
            offer_at.erase(id);
            events.push_back(OfferEnded{id, OfferState::cancelled});
            offers.erase(id);
        } else {
            const RequestId id{order.second};
            leave(bids, request_at.at(id), id);
            request_at.erase(id);
            events.push_back(RequestEnded{id, RequestState::cancelled, "cancelled"});
            --accounts[requests.at(id).account].open_requests;
            requests.erase(id);
        }
    }
    bool rests(std::pair<bool, std::uint64_t> order) const {
        return order.first ? offer_at.contains({order.second}) : request_at.contains({order.second});
    }
    void note() {
        for (const Event& event : events)
            if (const auto* reserved = std::get_if<JobReserved>(&event)) open_jobs.push_back(reserved->job.id);
    }
    void count() { matched_ += open_jobs.size(); }
    std::uint64_t matched() const { return matched_; }
    void tidy() {
        for (const JobId id : open_jobs) {
            const Job job = jobs.at(id);
            accounts[job.account].balances[0] += job.hold;
            accounts[job.account].balances[1] -= job.hold;
            requests.erase(job.request);
            Offer& offer = offers.at(job.offer);
            offer.slots_used = 0;
            if (offer.price.prompt.value < middle) offers.erase(job.offer);
            else {
                asks[offer.price.prompt.value].push_back(job.offer);
                offer_at[job.offer] = offer.price.prompt.value;
            }
            jobs.erase(id);
        }
        open_jobs.clear();
    }
    std::size_t resting() const { return offer_at.size() + request_at.size(); }
    std::pair<bool, std::uint64_t> newest(bool offer) const {
        return {offer, offer ? next_offer - 1 : next_request - 1};
    }

private:
    template <class Side, class IdType>
    static void leave(Side& side, std::int64_t tick, IdType id) {
        auto level = side.find(tick);
        auto& queue = level->second;
        queue.erase(std::find(queue.begin(), queue.end(), id));
        if (queue.empty()) side.erase(level);
    }
    bool fits(const Offer& offer, const Request& request) {
        static const std::string any;
        return !first_failed({offer, nodes.at(offer.node), request, any, true, at_}) &&
               !price_failed(offer.price, request);
    }
    void reserve(Offer& offer, Request& request) {
        Job job;
        job.id = JobId{next_job++};
        job.request = request.id;
        job.account = request.account;
        job.offer = offer.id;
        job.node = offer.node;
        job.provider = offer.provider;
        job.price = offer.price;
        job.quantity = request.quantity;
        job.hold = *cost_max(offer.price, request.quantity);
        job.expires_at = at_ + request.job_duration;
        accounts[job.account].balances[0] -= job.hold;
        accounts[job.account].balances[1] += job.hold;
        ++offer.slots_used;
        request.state = RequestState::matched;
        events.push_back(JobReserved{job, next_priority++});
        jobs.emplace(job.id, job);
    }
    void place_offer(const Operation& operation) {
        Offer offer;
        fill(offer, operation, nodes_);
        offer.id = OfferId{next_offer++};
        events.push_back(OfferPlaced{offer});
        Offer& kept = offers.emplace(offer.id, offer).first->second;
        for (auto level = bids.begin(); level != bids.end() && level->first >= operation.tick; ++level)
            for (auto place = level->second.begin(); place != level->second.end(); ++place) {
                Request& request = requests.at(*place);
                if (!fits(kept, request)) continue;
                reserve(kept, request);
                request_at.erase(*place);
                level->second.erase(place);
                if (level->second.empty()) bids.erase(level);
                return;
            }
        asks[operation.tick].push_back(kept.id);
        offer_at[kept.id] = operation.tick;
    }
    void place_request(const Operation& operation) {
        Request request;
        fill(request, operation);
        request.id = RequestId{next_request++};
        request.alternatives = {{MarketId{1}, ""}};
        events.push_back(RequestPlaced{request});
        Request& kept = requests.emplace(request.id, request).first->second;
        for (auto level = asks.begin(); level != asks.end() && level->first <= operation.tick; ++level)
            for (auto place = level->second.begin(); place != level->second.end(); ++place) {
                Offer& offer = offers.at(*place);
                if (!fits(offer, kept)) continue;
                reserve(offer, kept);
                offer_at.erase(*place);
                level->second.erase(place);
                if (level->second.empty()) asks.erase(level);
                return;
            }
        ++accounts[kept.account].open_requests;
        bids[operation.tick].push_back(kept.id);
        request_at[kept.id] = operation.tick;
    }
    std::uint64_t nodes_, next_offer = 1, next_request = 1, next_job = 1, next_priority = 1, matched_ = 0;
    std::unordered_map<NodeId, Node> nodes;
    std::unordered_map<AccountId, Account> accounts;
    std::unordered_map<OfferId, Offer> offers;
    std::unordered_map<RequestId, Request> requests;
    std::unordered_map<JobId, Job> jobs;
    std::map<std::int64_t, std::deque<OfferId>> asks;
    std::map<std::int64_t, std::deque<RequestId>, std::greater<>> bids;
    std::unordered_map<OfferId, std::int64_t> offer_at;
    std::unordered_map<RequestId, std::int64_t> request_at;
    std::vector<Event> events;
    std::vector<JobId> open_jobs;
    Instant at_ = start;
};

// ---- Bare: integers only ----------------------------------------------------------------------
class Bare {
public:
    explicit Bare(std::size_t) {}
    void place(const Operation& operation) {
        const std::uint64_t id = next_++;
        if (operation.kind == Kind::match) {
            auto take = [&](auto& side) {
                if (side.empty()) return;
                auto level = side.begin();
                at_.erase(level->second.front());
                level->second.pop_front();
                if (level->second.empty()) side.erase(level);
                ++taken_;
            };
            if (operation.offer) take(bids_);
            else take(asks_);
            return;
        }
        (operation.offer ? asks_[operation.tick] : bids_[operation.tick]).push_back(id);
        at_.emplace(id, std::pair{operation.offer, operation.tick});
    }
    void cancel(std::pair<bool, std::uint64_t> order) {
        const auto found = at_.find(order.second);
        const auto [offer, tick] = found->second;
        const auto leave = [&](auto& side) {
            auto level = side.find(tick);
            level->second.erase(std::find(level->second.begin(), level->second.end(), order.second));
            if (level->second.empty()) side.erase(level);
        };
        if (offer) leave(asks_);
        else leave(bids_);
        at_.erase(found);
    }
    bool rests(std::pair<bool, std::uint64_t> order) const { return at_.contains(order.second); }
    void note() {}
    void count() { matched_ += std::exchange(taken_, 0); }
    void tidy() {}
    std::uint64_t matched() const { return matched_; }
    std::size_t resting() const { return at_.size(); }
    std::pair<bool, std::uint64_t> newest(bool offer) const { return {offer, next_ - 1}; }

private:
    std::uint64_t next_ = 1, matched_ = 0, taken_ = 0;
    std::map<std::int64_t, std::deque<std::uint64_t>> asks_;
    std::map<std::int64_t, std::deque<std::uint64_t>, std::greater<>> bids_;
    std::unordered_map<std::uint64_t, std::pair<bool, std::int64_t>> at_;
};

// ---- Driver -----------------------------------------------------------------------------------
double ticks_per_ns() {
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t from = __rdtsc();
    while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds{100}) {}
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                        std::chrono::steady_clock::now() - begin)
                        .count();
    return static_cast<double>(__rdtsc() - from) / static_cast<double>(ns);
}

// In use, not resident: memory that an earlier contestant gave back counts again.
std::size_t allocated_bytes() {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}
double at_share(std::vector<std::uint32_t>& values, double share) {
    if (values.empty()) return 0;
    const auto place = values.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), place, values.end());
    return *place;
}

template <class Engine>
struct Contestant {
    Contestant(const char* its_name, std::size_t resting) : name{its_name}, size{resting} {}

    const char* name;
    std::size_t size;
    std::size_t before = allocated_bytes();
    Engine engine{size};
    Live live;
    Dice dice{42};
    std::size_t after = 0;
    std::vector<double> millions_per_second;
    std::array<std::vector<double>, 3> p50, p99;

    void fill_up() {
        while (engine.resting() < size) {
            Operation operation = dice.next();
            operation.kind = Kind::rest;
            operation.tick = operation.offer ? middle + std::abs(operation.tick - middle) % 2'000 + 1
                                             : middle - std::abs(operation.tick - middle) % 2'000 - 1;
            engine.place(operation);
            live.orders.push_back(engine.newest(operation.offer));
        }
        engine.tidy();
        after = allocated_bytes();
    }
    void round(double per_ns) {
        std::uint64_t total = 0, operations = 0;
        std::array<std::vector<std::uint32_t>, 3> took;
        for (int segment = 0; segment < segments; ++segment) {
            for (int i = 0; i < segment_operations; ++i) {
                const Operation operation = dice.next();
                std::optional<std::pair<bool, std::uint64_t>> order;
                if (operation.kind == Kind::cancel) {
                    order = live.draw(operation.pick, [&](auto drawn) { return engine.rests(drawn); });
                    if (!order) continue;
                }
                const std::uint64_t from = __rdtsc();
                if (order) engine.cancel(*order);
                else engine.place(operation);
                const std::uint64_t ticks = __rdtsc() - from;
                total += ticks;
                ++operations;
                took[static_cast<std::size_t>(operation.kind)].push_back(
                    static_cast<std::uint32_t>(static_cast<double>(ticks) / per_ns));
                engine.note();
                if (operation.kind == Kind::rest) live.orders.push_back(engine.newest(operation.offer));
            }
            engine.count();
            engine.tidy();
            while (engine.resting() > size) {
                const auto order = live.draw(dice.next().pick, [&](auto drawn) { return engine.rests(drawn); });
                if (!order) break;
                engine.cancel(*order);
            }
            engine.tidy();
        }
        millions_per_second.push_back(static_cast<double>(operations) * per_ns * 1e3 / static_cast<double>(total));
        for (std::size_t kind = 0; kind < 3; ++kind) {
            p50[kind].push_back(at_share(took[kind], 0.5));
            p99[kind].push_back(at_share(took[kind], 0.99));
        }
    }
    void report() {
        std::printf("| %zu | %s | %.2f | %.0f/%.0f | %.0f/%.0f | %.0f/%.0f | %zu | %llu |\n", size,
                    name, median(millions_per_second), median(p50[0]), median(p99[0]),
                    median(p50[1]), median(p99[1]), median(p50[2]), median(p99[2]),
                    (after - before) / size, static_cast<unsigned long long>(engine.matched()));
        std::fflush(stdout);
    }
};

void contest(std::size_t size, double per_ns) {
    Contestant<Ours> ours{"engine", size};
    ours.fill_up();
    Contestant<Plain> plain{"plain engine (map, deque, unordered_map)", size};
    plain.fill_up();
    Contestant<Bare> bare{"bare map<price, deque> of integers", size};
    bare.fill_up();
    std::vector<double> ratio, bare_ratio;
    for (int round = 0; round < rounds; ++round) {
        ours.round(per_ns);
        plain.round(per_ns);
        bare.round(per_ns);
        if (round == 0) {  // warm-up
            for (auto* values :
                 {&ours.millions_per_second, &plain.millions_per_second, &bare.millions_per_second})
                values->clear();
            continue;
        }
        ratio.push_back(ours.millions_per_second.back() / plain.millions_per_second.back());
        bare_ratio.push_back(ours.millions_per_second.back() / bare.millions_per_second.back());
    }
    ours.report();
    plain.report();
    bare.report();
    std::printf("ratio at %zu resting: %.2f of the plain engine, %.2f of the bare book\n", size,
                median(ratio), median(bare_ratio));
}

}  // namespace
}  // namespace cocoon::matching

int main(int argc, char** argv) {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);  // memory is recycled, not given back: first touches are not measured
    mallopt(M_TRIM_THRESHOLD, -1);
    const double per_ns = cocoon::matching::ticks_per_ns();
    std::printf(
        "| resting | what | M op/s | rest ns p50/p99 | match | cancel | bytes per resting order | "
        "matches |\n|---|---|---|---|---|---|---|---|\n");
    if (argc > 1)
        for (int i = 1; i < argc; ++i) cocoon::matching::contest(std::strtoull(argv[i], nullptr, 10), per_ns);
    else
        for (const std::size_t size : {1'000u, 100'000u, 1'000'000u}) cocoon::matching::contest(size, per_ns);
    return 0;
}
