// engine_bench [resting...]: the matching engine against a plain one, the same commands for both,
// alternated round by round in one process. 60 % rest, 20 % match, 20 % cancel, on a book that is
// brought back to its size between segments (not timed).
//
// The plain engine is what one would write first: std::map<price, deque>, std::unordered_map by id,
// std::priority_queue for what expires. It comes twice. "plain" checks the constraints, bears the
// hold and notes events and postings, and forgets an order when it ends. "equal" has the engine's
// other duties too: it looks up market, node and key, checks the terms, schedules what expires,
// keeps what ended for as long, notes what the projector must write, and answers with the order as
// it then is. Both compare one price where the engine compares price vectors, penalties and
// alternatives. The last line is a bare map<price, deque> of integers, without any duty, for scale.
//
// Each operation is timed by itself with the time-stamp counter, whose own cost is taken off. A
// round's speed is the median of its segments', so that a time slice lost to another process does
// not count.
#include <malloc.h>
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <queue>
#include <random>
#include <unordered_map>

#include "core/limits.hpp"
#include "matching/engine.hpp"
#include "matching/search.hpp"

namespace cocoon::matching {
namespace {

constexpr int warm_up_rounds = 5,
              rounds = 7;  // after the warm-up as many orders are forgotten as end
constexpr int segments = 40, segment_operations = 512;
constexpr std::int64_t middle = 10'000;
constexpr std::uint64_t developers = 64, providers = 16;
constexpr Instant start{1'790'000'000'000'000};

enum class Kind : std::uint8_t { rest, match, cancel };
struct Operation {
    Kind kind = Kind::rest;
    bool offer = false;  // else a request
    std::int64_t tick = 0;
    std::uint64_t party = 0;  // node or developer
    std::uint64_t pick = 0;   // which live order to cancel
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

constexpr AccountId developer_id(std::uint64_t party) { return {2 + party % developers}; }
constexpr KeyId work_key_of(AccountId developer) { return {2 * (developer.value - 1)}; }
constexpr AccountId provider_of(NodeId node) {
    return {2 + developers + (node.value - 1) % providers};
}

// Both engines get their commands from here.
class Commands {
public:
    explicit Commands(std::uint64_t nodes) : nodes_{nodes} {
        std::get<PlaceOffer>(offer_).market = "inference:m";
        std::get<PlaceRequest>(request_).alternatives = {{"inference:m", ""}};
    }
    const Command& place(const Operation& operation, Instant at) {
        return operation.offer ? offer(operation) : request(operation, at);
    }
    Node node(std::uint64_t index) const {
        Node node;
        node.id = NodeId{1 + index};
        node.provider = provider_of(node.id);
        node.region = "eu";
        node.connected = true;
        node.tier = Tier::tdx_gpu_cc;
        node.evidence_valid_until = start + days(30);
        node.evidence_hash = std::string(64, 'e');
        node.keyset_digest = "sha256:" + std::string(64, 'd');
        return node;
    }

private:
    const Command& offer(const Operation& operation) {
        Offer& offer = std::get<PlaceOffer>(offer_).offer;
        offer.node = NodeId{1 + operation.party % nodes_};
        offer.provider = provider_of(offer.node);
        offer.price = price_of(operation.tick);
        offer.slots = 1;
        return offer_;
    }
    const Command& request(const Operation& operation, Instant at) {
        Request& request = std::get<PlaceRequest>(request_).request;
        request.account = developer_id(operation.party);
        request.key = work_key_of(request.account);
        request.quantity = {20'000, 0, 4'000, 0, 1, 0};
        request.cap_price.prompt = request.cap_price.completion = Nano{operation.tick};
        request.constraints.regions = {"eu"};
        request.constraints.reputation_permille_min = 500;
        const bool rests = operation.kind == Kind::rest;
        request.time_in_force = rests ? TimeInForce::rest : TimeInForce::immediate;
        request.rest_until = at + days(1);
        request.job_duration = seconds(300);
        return request_;
    }
    std::uint64_t nodes_;
    Command offer_{PlaceOffer{}}, request_{PlaceRequest{}};
};

std::uint64_t nodes_for(std::size_t resting) { return std::max<std::uint64_t>(16, resting / 20); }

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
    explicit Ours(std::size_t resting) : nodes_{nodes_for(resting)}, commands_{nodes_} { people(); }
    void place(const Operation& operation) {
        happened_.clear();
        const Instant at = now();
        const Reply reply = engine_.apply(commands_.place(operation, at), nobody_, at, happened_);
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
                last_ = engine_.apply(CancelOffer{job.provider, job.offer, 0}, nobody_, now(),
                                      happened_);
            last_ = engine_.apply(CancelJob{job.account, id}, nobody_, now(), happened_);
        }
        jobs_.clear();
        state_.discard_changes();
        state_.take_markets_seen();
    }
    void note() {
        for (const Event& event : happened_.events)
            if (const auto* reserved = std::get_if<JobReserved>(&event))
                jobs_.push_back(reserved->job.id);
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
        if (!last_)
            std::fprintf(stderr, "set-up refused: %s\n", last_.error().detail.c_str()),
                std::exit(1);
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
            state_.apply(NodeEnrolled{commands_.node(i), {}}, start);
        }
    }
    Instant now() { return at_ = at_ + milliseconds(5); }

    std::uint64_t nodes_, digests_ = 0, matched_ = 0;
    Commands commands_;
    State state_;
    Engine engine_{state_};
    Actor nobody_;
    Happened happened_;
    std::vector<JobId> jobs_;
    Reply last_{Answer{Done{}}};
    Instant at_ = start;
};

// ---- Plain: the duties the first way one would write them -------------------------------------
enum class Duties { fewest, all };

template <Duties duties>
class Plain {
    static constexpr bool all = duties == Duties::all;

public:
    explicit Plain(std::size_t resting) : commands_{nodes_for(resting)} {
        for (std::uint64_t i = 0; i < nodes_for(resting); ++i)
            nodes_[NodeId{i + 1}] = {commands_.node(i), 0};
        for (std::uint64_t i = 0; i < developers + providers; ++i) {
            Account& account = accounts_[AccountId{2 + i}];
            account.id = AccountId{2 + i};
            account.balances[0] = Nano{1'000'000'000'000'000};
            ApiKey& key = keys_[work_key_of(account.id)];
            key.id = work_key_of(account.id);
            key.account = account.id;
            key.scopes = scope_work;
        }
        markets_["inference:m"].id = MarketId{1};
    }
    void place(const Operation& operation) {
        begin();
        const Command& command = commands_.place(operation, at_);
        if (operation.offer)
            const Reply reply = place_offer(std::get<PlaceOffer>(command));
        else
            const Reply reply = place_request(std::get<PlaceRequest>(command));
    }
    void cancel(std::pair<bool, std::uint64_t> order) {
        begin();
        if (order.first)
            const Reply reply = cancel_offer(OfferId{order.second});
        else
            const Reply reply = cancel_request(RequestId{order.second});
    }
    bool rests(std::pair<bool, std::uint64_t> order) const {
        return order.first ? offer_at_.contains({order.second})
                           : request_at_.contains({order.second});
    }
    void note() {
        for (const Event& event : happened_.events)
            if (const auto* reserved = std::get_if<JobReserved>(&event))
                open_jobs_.push_back(reserved->job.id);
    }
    void count() { matched_ += open_jobs_.size(); }
    std::uint64_t matched() const { return matched_; }
    void tidy() {
        for (const JobId id : open_jobs_) {
            begin();
            if (const OfferId offer = jobs_.at(id).offer;
                offers_.at(offer).price.prompt.value < middle)
                const Reply reply = cancel_offer(offer);
            const Reply reply = cancel_job(id);
        }
        open_jobs_.clear();
        changed_offers_.clear();
        changed_requests_.clear();
        changed_jobs_.clear();
        changed_accounts_.clear();
        changed_keys_.clear();
    }
    std::size_t resting() const { return offer_at_.size() + request_at_.size(); }
    std::pair<bool, std::uint64_t> newest(bool offer) const {
        return {offer, offer ? next_offer_ - 1 : next_request_ - 1};
    }

private:
    using Asks = std::map<std::int64_t, std::deque<OfferId>>;
    using Bids = std::map<std::int64_t, std::deque<RequestId>, std::greater<>>;
    struct PlainMarket {
        MarketId id;
        Asks asks;
        Bids bids;
    };
    struct PlainNode {
        Node node;
        std::size_t offers = 0;
        std::uint32_t slots_used = 0;
    };
    struct Ended {
        Instant at;
        std::variant<OfferId, RequestId, JobId> id;
    };

    void begin() {
        happened_.clear();
        at_ = at_ + milliseconds(5);
        if constexpr (!all) return;
        const Instant line = at_ - seconds(limits::terminal_in_memory_seconds);
        for (; !ended_.empty() && ended_.front().at <= line; ended_.pop_front()) {
            const auto& id = ended_.front().id;
            std::visit([this](auto ended) { forget(ended); }, id);
        }
    }
    void forget(OfferId id) { offers_.erase(id); }
    void forget(RequestId id) { requests_.erase(id); }
    void forget(JobId id) { jobs_.erase(id); }
    template <class IdType>
    void end(IdType id) {
        if constexpr (all)
            ended_.push_back({at_, id});
        else
            forget(id);
    }
    template <class IdType>
    void changed(std::vector<IdType>& list, IdType id) {
        if constexpr (all) list.push_back(id);
    }
    void schedule(Instant at, TimerKind kind, std::uint64_t id) {
        if constexpr (all) timers_.push({at, kind, id});
    }
    template <class Side, class IdType>
    static void leave(Side& side, std::int64_t tick, IdType id) {
        auto level = side.find(tick);
        auto& queue = level->second;
        queue.erase(std::find(queue.begin(), queue.end(), id));
        if (queue.empty()) side.erase(level);
    }
    bool fits(const Offer& offer, const Request& request) {
        const PlainNode& node = nodes_.at(offer.node);
        const ApiKey& key = keys_.at(request.key);
        return !first_failed({offer, node.node, request, request.alternatives[0].build,
                              node.slots_used, true, at_}) &&
               !price_failed(offer.price, request) &&
               *cost_max(offer.price, request.quantity) <=
                   budget_of(accounts_.at(request.account), key, key, at_);
    }
    void move(const Job& job, Bucket from, Bucket to, Nano amount) {
        Account& account = accounts_.at(job.account);
        account.balances[static_cast<std::size_t>(from)] -= amount;
        account.balances[static_cast<std::size_t>(to)] += amount;
        happened_.postings.push_back({job.account, from, job.account, to, amount, job.id});
        changed(changed_accounts_, job.account);
    }
    void reserve(Offer& offer, Request& request) {
        PlainNode& plain = nodes_.at(offer.node);
        const Node& node = plain.node;
        Job job;
        job.id = JobId{next_job_++};
        job.request = request.id;
        job.account = request.account;
        job.key = request.key;
        job.provider = offer.provider;
        job.node = offer.node;
        job.offer = offer.id;
        job.market = offer.market;
        job.build = offer.build;
        job.session = request.session;
        job.price = offer.price;
        job.quantity = request.quantity;
        job.slots = request.slots;
        job.attempt = request.attempts + 1;
        job.fee_basis_points = 500;
        job.fencing_token = next_token_++;
        job.keyset_digest = node.keyset_digest;
        job.evidence_hash = node.evidence_hash;
        job.reserved_at = at_;
        job.expires_at = at_ + request.job_duration;
        job.hold = *cost_max(offer.price, request.quantity);
        move(job, Bucket::available, Bucket::held, job.hold);
        keys_.at(job.key).held += job.hold;
        changed(changed_keys_, job.key);
        offer.slots_used += job.slots;
        plain.slots_used += job.slots;
        offer.priority = next_priority_++;
        changed(changed_offers_, offer.id);
        request.state = RequestState::matched;
        request.job = job.id;
        request.attempts = job.attempt;
        ++request.version;
        changed(changed_requests_, request.id);
        schedule(job.expires_at, TimerKind::job, job.id.value);
        changed(changed_jobs_, job.id);
        happened_.events.emplace_back(std::in_place_type<JobReserved>, job, offer.priority);
        jobs_.emplace(job.id, std::move(job));
    }
    std::optional<Error> bad(const PlaceOffer& command) const {
        const auto node = nodes_.find(command.offer.node);
        if (node == nodes_.end() || node->second.node.provider != command.offer.provider)
            return refuse(ErrorCode::not_found);
        if (accounts_.at(command.offer.provider).frozen) return refuse(ErrorCode::account_frozen);
        if (!command.market.starts_with("inference:")) return refuse(ErrorCode::invalid_body);
        const PriceVector& price = command.offer.price;
        for (const Nano part :
             {price.prompt, price.cached, price.completion, price.reasoning, price.request})
            if (part.value < 0 || part.value > limits::price_nano_max)
                return refuse(ErrorCode::invalid_body);
        if (command.offer.slots < 1 || command.offer.slots > limits::slots_per_offer_max)
            return refuse(ErrorCode::invalid_body);
        if (node->second.offers >= limits::offers_per_node_max)
            return refuse(ErrorCode::limit_reached);
        return std::nullopt;
    }
    Reply place_offer(const PlaceOffer& command) {
        if constexpr (all)
            if (auto error = bad(command)) return std::move(*error);
        PlainMarket& market = markets_.at(command.market);
        Offer offer = command.offer;
        offer.id = OfferId{next_offer_++};
        offer.market = market.id;
        offer.placed_at = at_;
        offer.priority = next_priority_++;
        happened_.events.emplace_back(std::in_place_type<OfferPlaced>, offer);
        Offer& kept = offers_.emplace(offer.id, std::move(offer)).first->second;
        ++nodes_.at(kept.node).offers;
        changed(changed_offers_, kept.id);
        match(market, kept);
        if (kept.slots_used == 0) join(market, kept);
        return answer(kept);
    }
    void join(PlainMarket& market, const Offer& offer) {
        market.asks[offer.price.prompt.value].push_back(offer.id);
        offer_at_[offer.id] = offer.price.prompt.value;
    }
    void match(PlainMarket& market, Offer& offer) {
        const std::int64_t tick = offer.price.prompt.value;
        for (auto level = market.bids.begin(); level != market.bids.end() && level->first >= tick;
             ++level)
            for (auto place = level->second.begin(); place != level->second.end(); ++place) {
                Request& request = requests_.at(*place);
                if (!fits(offer, request)) continue;
                reserve(offer, request);
                request_at_.erase(request.id);
                level->second.erase(place);
                if (level->second.empty()) market.bids.erase(level);
                return;
            }
    }
    std::optional<Error> bad(const PlaceRequest& command) const {
        const auto account = accounts_.find(command.request.account);
        const auto key = keys_.find(command.request.key);
        if (account == accounts_.end() || key == keys_.end() ||
            key->second.account != account->first)
            return refuse(ErrorCode::not_found);
        if (key->second.revoked) return refuse(ErrorCode::key_revoked);
        if (key->second.expires_at.us != 0 && key->second.expires_at <= at_)
            return refuse(ErrorCode::key_expired);
        if ((key->second.scopes & scope_work) == 0) return refuse(ErrorCode::forbidden);
        if (account->second.frozen) return refuse(ErrorCode::account_frozen);
        if (account->second.open_requests >= limits::open_requests_per_account_max)
            return refuse(ErrorCode::limit_reached);
        const QuantityVector& quantity = command.request.quantity;
        for (const std::int64_t part :
             {quantity.prompt, quantity.cached, quantity.completion, quantity.reasoning})
            if (part < 0 || part > limits::tokens_max) return refuse(ErrorCode::invalid_body);
        if (command.request.slots < 1 || command.request.slots > limits::slots_per_offer_max)
            return refuse(ErrorCode::invalid_body);
        return std::nullopt;
    }
    Reply place_request(const PlaceRequest& command) {
        if constexpr (all)
            if (auto error = bad(command)) return std::move(*error);
        PlainMarket& market = markets_.at(command.alternatives[0].market);
        Request request = command.request;
        request.id = RequestId{next_request_++};
        request.alternatives = {{market.id, command.alternatives[0].build}};
        request.placed_at = at_;
        request.priority = next_priority_++;
        happened_.events.emplace_back(std::in_place_type<RequestPlaced>, request);
        Request& kept = requests_.emplace(request.id, std::move(request)).first->second;
        ++accounts_.at(kept.account).open_requests;
        changed(changed_accounts_, kept.account);
        changed(changed_requests_, kept.id);
        if (kept.time_in_force == TimeInForce::rest)
            schedule(kept.rest_until, TimerKind::request, kept.id.value);
        match(market, kept);
        if (kept.state == RequestState::resting) {
            const std::int64_t tick = kept.cap_price.prompt.value;
            market.bids[tick].push_back(kept.id);
            request_at_[kept.id] = tick;
        }
        return answer(kept);
    }
    void match(PlainMarket& market, Request& request) {
        const std::int64_t tick = request.cap_price.prompt.value;
        for (auto level = market.asks.begin(); level != market.asks.end() && level->first <= tick;
             ++level)
            for (auto place = level->second.begin(); place != level->second.end(); ++place) {
                Offer& offer = offers_.at(*place);
                if (!fits(offer, request)) continue;
                reserve(offer, request);
                offer_at_.erase(offer.id);
                level->second.erase(place);
                if (level->second.empty()) market.asks.erase(level);
                return;
            }
    }
    Reply answer(const Request& request) {
        Reply reply{Answer{}};
        if constexpr (!all) return reply;
        RequestAnswer& answer = reply->emplace<RequestAnswer>();
        answer.request = request;
        if (request.state == RequestState::matched) answer.job = jobs_.at(request.job);
        return reply;
    }
    static Reply answer(const Offer& offer) {
        Reply reply{Answer{}};
        if constexpr (!all) return reply;
        reply->emplace<OfferAnswer>().offer = offer;
        return reply;
    }
    Reply cancel_offer(OfferId id) {
        Offer& offer = offers_.at(id);
        if (const auto at = offer_at_.find(id); at != offer_at_.end()) {
            leave(markets_.at("inference:m").asks, at->second, id);
            offer_at_.erase(at);
        }
        offer.state = OfferState::cancelled;
        ++offer.version;
        --nodes_.at(offer.node).offers;
        changed(changed_offers_, id);
        happened_.events.emplace_back(OfferEnded{id, OfferState::cancelled});
        Reply reply = answer(offer);
        if (offer.slots_used == 0) end(id);
        return reply;
    }
    void end_request(Request& request) {
        request.state = RequestState::cancelled;
        request.reason = "cancelled";
        request.ended_at = at_;
        ++request.version;
        --accounts_.at(request.account).open_requests;
        changed(changed_accounts_, request.account);
        changed(changed_requests_, request.id);
        happened_.events.emplace_back(
            RequestEnded{request.id, RequestState::cancelled, "cancelled"});
    }
    Reply cancel_request(RequestId id) {
        Request& request = requests_.at(id);
        const auto at = request_at_.find(id);
        leave(markets_.at("inference:m").bids, at->second, id);
        request_at_.erase(at);
        end_request(request);
        Reply reply = answer(request);
        end(id);
        return reply;
    }
    Reply cancel_job(JobId id) {
        Job& job = jobs_.at(id);
        Offer& offer = offers_.at(job.offer);
        move(job, Bucket::held, Bucket::available, job.hold);
        keys_.at(job.key).held -= job.hold;
        job.state = JobState::cancelled;
        JobEnded event;
        event.job = id;
        event.released = std::exchange(job.hold, Nano{});
        happened_.events.emplace_back(std::move(event));
        nodes_.at(offer.node).slots_used -= offer.slots_used;
        offer.slots_used = 0;
        if (offer.state == OfferState::active)
            join(markets_.at("inference:m"), offer);
        else
            end(offer.id);
        end_request(requests_.at(job.request));
        end(job.request);
        Reply reply{Answer{}};
        if constexpr (all) reply->emplace<JobAnswer>().job = job;
        end(id);
        return reply;
    }

    Commands commands_;
    std::uint64_t next_offer_ = 1, next_request_ = 1, next_job_ = 1, next_priority_ = 1,
                  next_token_ = 1, matched_ = 0;
    std::unordered_map<std::string, PlainMarket> markets_;
    std::unordered_map<NodeId, PlainNode> nodes_;
    std::unordered_map<AccountId, Account> accounts_;
    std::unordered_map<KeyId, ApiKey> keys_;
    std::unordered_map<OfferId, Offer> offers_;
    std::unordered_map<RequestId, Request> requests_;
    std::unordered_map<JobId, Job> jobs_;
    std::unordered_map<OfferId, std::int64_t> offer_at_;  // where in the book
    std::unordered_map<RequestId, std::int64_t> request_at_;
    struct Later {
        bool operator()(const Timer& a, const Timer& b) const { return a.at > b.at; }
    };
    std::priority_queue<Timer, std::vector<Timer>, Later> timers_;
    std::deque<Ended> ended_;
    std::vector<OfferId> changed_offers_;
    std::vector<RequestId> changed_requests_;
    std::vector<JobId> changed_jobs_;
    std::vector<AccountId> changed_accounts_;
    std::vector<KeyId> changed_keys_;
    Happened happened_;
    std::vector<JobId> open_jobs_;
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
            if (operation.offer)
                take(bids_);
            else
                take(asks_);
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
            level->second.erase(
                std::find(level->second.begin(), level->second.end(), order.second));
            if (level->second.empty()) side.erase(level);
        };
        if (offer)
            leave(asks_);
        else
            leave(bids_);
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
    while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds{100}) {
    }
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                        std::chrono::steady_clock::now() - begin)
                        .count();
    return static_cast<double>(__rdtsc() - from) / static_cast<double>(ns);
}

// What reading the counter twice takes by itself.
std::uint64_t timer_ticks() {
    std::uint64_t least = UINT64_MAX;
    for (int i = 0; i < 10'000; ++i) {
        const std::uint64_t from = __rdtsc();
        least = std::min<std::uint64_t>(least, __rdtsc() - from);
    }
    return least;
}

// In use, not resident: memory that an earlier contestant gave back counts again.
std::size_t allocated_bytes() {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::nth_element(values.begin(),
                     values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}
double at_share(std::vector<std::uint32_t>& values, double share) {
    if (values.empty()) return 0;
    const auto place = values.begin() +
                       static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
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
            const Operation operation = dice.next();
            if (operation.kind != Kind::rest)
                continue;  // only these stand at prices as in the rounds
            engine.place(operation);
            live.orders.push_back(engine.newest(operation.offer));
        }
        engine.tidy();
        after = allocated_bytes();
    }
    void round(double per_ns, std::uint64_t own_ticks) {
        std::vector<double> speeds;
        std::array<std::vector<std::uint32_t>, 3> took;
        for (int segment = 0; segment < segments; ++segment) {
            std::uint64_t total = 0, operations = 0;
            for (int i = 0; i < segment_operations; ++i) {
                const Operation operation = dice.next();
                std::optional<std::pair<bool, std::uint64_t>> order;
                if (operation.kind == Kind::cancel) {
                    order =
                        live.draw(operation.pick, [&](auto drawn) { return engine.rests(drawn); });
                    if (!order) continue;
                }
                const std::uint64_t from = __rdtsc();
                if (order)
                    engine.cancel(*order);
                else
                    engine.place(operation);
                const std::uint64_t raw = __rdtsc() - from, ticks = raw - std::min(raw, own_ticks);
                total += ticks;
                ++operations;
                took[static_cast<std::size_t>(operation.kind)].push_back(
                    static_cast<std::uint32_t>(static_cast<double>(ticks) / per_ns));
                engine.note();
                if (operation.kind == Kind::rest)
                    live.orders.push_back(engine.newest(operation.offer));
            }
            speeds.push_back(static_cast<double>(operations) * per_ns * 1e3 /
                             static_cast<double>(total));
            engine.count();
            engine.tidy();
            while (engine.resting() > size) {
                const auto order =
                    live.draw(dice.next().pick, [&](auto drawn) { return engine.rests(drawn); });
                if (!order) break;
                engine.cancel(*order);
            }
            engine.tidy();
        }
        millions_per_second.push_back(median(speeds));
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
    Contestant<Plain<Duties::fewest>> plain{"plain engine: constraints, holds, events", size};
    plain.fill_up();
    Contestant<Plain<Duties::all>> equal{"equal: plain engine with all duties", size};
    equal.fill_up();
    Contestant<Bare> bare{"bare map<price, deque> of integers", size};
    bare.fill_up();
    const std::uint64_t own_ticks = timer_ticks();
    std::vector<double> ratio, equal_ratio, bare_ratio;
    for (int round = 0; round < warm_up_rounds + rounds; ++round) {
        ours.round(per_ns, own_ticks);
        plain.round(per_ns, own_ticks);
        equal.round(per_ns, own_ticks);
        bare.round(per_ns, own_ticks);
        if (round < warm_up_rounds) {
            for (auto* values : {&ours.millions_per_second, &plain.millions_per_second,
                                 &equal.millions_per_second, &bare.millions_per_second})
                values->clear();
            continue;
        }
        ratio.push_back(ours.millions_per_second.back() / plain.millions_per_second.back());
        equal_ratio.push_back(ours.millions_per_second.back() / equal.millions_per_second.back());
        bare_ratio.push_back(ours.millions_per_second.back() / bare.millions_per_second.back());
    }
    ours.report();
    plain.report();
    equal.report();
    bare.report();
    std::printf(
        "ratio at %zu resting: %.2f of the plain engine, %.2f with equal duties, %.2f of the bare "
        "book\n",
        size, median(ratio), median(equal_ratio), median(bare_ratio));
}

}  // namespace
}  // namespace cocoon::matching

int main(int argc, char** argv) {
    mallopt(M_MMAP_THRESHOLD,
            1 << 30);  // memory is recycled, not given back: first touches are not measured
    mallopt(M_TRIM_THRESHOLD, -1);
    const double per_ns = cocoon::matching::ticks_per_ns();
    std::printf(
        "| resting | what | M op/s | rest ns p50/p99 | match | cancel | bytes per resting order | "
        "matches |\n|---|---|---|---|---|---|---|---|\n");
    if (argc > 1)
        for (int i = 1; i < argc; ++i)
            cocoon::matching::contest(std::strtoull(argv[i], nullptr, 10), per_ns);
    else
        for (const std::size_t size : {1'000u, 100'000u, 1'000'000u})
            cocoon::matching::contest(size, per_ns);
    return 0;
}
