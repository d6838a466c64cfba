#include "matching/state.hpp"

#include <bit>
#include <cstring>

#include "core/encoding.hpp"
#include "core/limits.hpp"
#include "matching/encoder.hpp"

namespace cocoon::matching {
namespace {

bool open(JobState state) { return state == JobState::reserved || state == JobState::running; }
bool open(RequestState state) {
    return state == RequestState::resting || state == RequestState::matched;
}
bool listed(OfferState state) { return state == OfferState::active || state == OfferState::paused; }
constexpr std::size_t forget_ahead = 16;  // records, a few commands: as long as a miss takes

bool live(const Offer& offer) { return listed(offer.state) || offer.slots_used > 0; }

std::string remembered_name(AccountId actor, const std::string& key) {
    return std::to_string(actor.value) + ":" + key;
}

// With what the containers take for an entry, about.
std::size_t bytes_of(const std::pair<const std::string, Remembered>& entry) {
    constexpr std::size_t places = 64;
    return sizeof entry + places + entry.first.size() + entry.second.answer.size();
}

// Two multiply-rotate lanes over the binary form. Guards against our own mistakes, not against
// an adversary, who has no way to choose what both sides hash.
class Hasher {
public:
    template <class T>
    void add(std::uint8_t kind, const T& value) {
        buffer_.assign(1, static_cast<char>(kind));
        wire::StringSink sink{buffer_};
        wire::put(sink, value);
        buffer_.append(8 - buffer_.size() % 8, '\0');
        for (std::size_t i = 0; i < buffer_.size(); i += 8) {
            std::uint64_t word;
            std::memcpy(&word, buffer_.data() + i, 8);
            high_ = std::rotl((high_ ^ word) * 0x9E3779B97F4A7C15ull, 31);
            low_ = std::rotl(low_ + word, 23) * 0xC2B2AE3D27D4EB4Full ^ (high_ >> 29);
        }
    }
    StateHash result() const {
        return {high_ * 0xFF51AFD7ED558CCDull ^ (low_ >> 33), low_ * 0xC4CEB9FE1A85EC53ull};
    }

private:
    std::string buffer_;
    std::uint64_t high_ = 0x243F6A8885A308D3ull, low_ = 0x13198A2E03707344ull;
};

template <class IdType, class Records, class Take>
void drain(std::vector<IdType>& touched, Records& records, Take&& take) {
    for (const IdType id : touched)
        if (auto* record = records.find(id); record && record->changed) {
            record->changed = false;
            take(*record);
        }
    touched.clear();
}

}  // namespace

std::string StateHash::text() const {
    std::array<std::uint8_t, 16> bytes;
    for (int i = 0; i < 8; ++i) {
        bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
        bytes[static_cast<std::size_t>(i) + 8] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
    }
    return to_hex(bytes);
}

std::size_t DigestHash::operator()(const Digest& digest) const noexcept {
    std::size_t value;  // the digest is already uniform
    std::memcpy(&value, digest.data(), sizeof value);
    return value;
}

std::int64_t day_of(Instant at) {
    constexpr std::int64_t day_us = 86'400'000'000;
    return at.us >= 0 ? at.us / day_us : -((-at.us + day_us - 1) / day_us);
}

State::State() {
    Account& market = accounts.insert(house).account;
    market.id = house;
    market.kind = AccountKind::house;
    market.name = "market";
}

// ---- Lookups ----------------------------------------------------------------------------------

AccountRecord* State::account_by_memo(const std::string& memo) {
    const auto found = memos_.find(memo);
    return found == memos_.end() ? nullptr : accounts.find(found->second);
}

KeyRecord* State::key_by_secret(const Digest& secret_hash) {
    const auto found = secrets_.find(secret_hash);
    return found == secrets_.end() ? nullptr : keys.find(found->second);
}

const ApiKey* State::key_by_secret(const Digest& secret_hash) const {
    const KeyRecord* record = const_cast<State*>(this)->key_by_secret(secret_hash);
    return record ? &record->key : nullptr;
}

KeyRecord& State::purse_of(KeyRecord& record) {
    return record.key.purse ? *keys.find(record.key.purse) : record;
}

const KeyRecord& State::purse_of(const KeyRecord& record) const {
    return const_cast<State*>(this)->purse_of(const_cast<KeyRecord&>(record));
}

MarketRecord* State::market_by_name(const std::string& name) {
    const auto found = market_names_.find(name);
    return found == market_names_.end() ? nullptr : markets.find(found->second);
}

const MarketRecord* State::market_by_name(const std::string& name) const {
    return const_cast<State*>(this)->market_by_name(name);
}

namespace {

std::string joined(std::span<const std::string> registers) {
    std::string text;
    for (const std::string& name : registers) text += name + ' ';
    return text;
}

}  // namespace

std::span<const MeasurementId> State::measurements_with(const Registers& registers) const {
    const auto found = measurements_by_registers_.find(joined(registers));
    if (found == measurements_by_registers_.end()) return {};
    return found->second;
}

const Measurement* State::measurement_with(const std::string& joined) const {
    const auto found = measurements_by_registers_.find(joined);
    if (found == measurements_by_registers_.end()) return nullptr;
    const Measurement* newest = nullptr;
    for (const MeasurementId id : found->second) {
        const Measurement& one = measurements.find(id)->second;
        if (newest == nullptr || one.decided_at > newest->decided_at ||
            (one.decided_at == newest->decided_at && one.decided_at.us != 0))
            newest = &one;
    }
    return newest;
}

void State::add(const Measurement& measurement) {
    measurements.insert_or_assign(measurement.id, measurement);
    measurements_by_registers_[joined(measurement.registers)].push_back(measurement.id);
}

// A register names at most limits::registers_max values, so all its subsets are few.
const Measurement* State::measurement_for(const Registers& registers) const {
    const Measurement* found = nullptr;
    const std::size_t count = std::min<std::size_t>(registers.size(), limits::registers_max);
    std::vector<std::string> shown;
    for (std::uint32_t chosen = 1; chosen < 1u << count; ++chosen) {
        shown.clear();
        for (std::size_t i = 0; i < count; ++i)
            if ((chosen >> i & 1) != 0) shown.push_back(registers[i]);
        const Measurement* one = measurement_with(joined(shown));
        if (one == nullptr) continue;
        if (found == nullptr || one->state > found->state ||
            (one->state == found->state && one->id < found->id))
            found = one;
    }
    return found;
}

bool State::open_for_trade(const OfferRecord& record) const {
    return !record.market->market.paused && !record.node->provider->account.frozen;
}

bool State::matchable(const OfferRecord& record) const {
    const Offer& offer = record.offer;
    const Node& node = record.node->node;
    return offer.state == OfferState::active && offer.slots_used < offer.slots && node.connected &&
           !node.draining && !node.suspended && !node.retired &&
           node.standing <= Standing::measurement_pending && open_for_trade(record);
}

// ---- Indexes and links ------------------------------------------------------------------------

// Whoever joins a level stands last in it, with a fresh priority if others there are newer: being
// away, full or paused costs the place, so that idle offers share the work.
void State::index(OfferRecord& record) {
    if (record.link.indexed || !matchable(record)) return;
    Book& book = record.market->book;
    const auto level = book.level_for(record.offer.price, record.node->penalty_permille);
    if (level->second.newest >= record.offer.priority) {
        record.offer.priority = counters.priority++;
        touch(record);
    }
    book.add(record, level);
}

void State::unindex(OfferRecord& record) {
    if (!record.link.indexed) return;
    record.market->book.remove(record);
    record.market->book.drop_walk(record);
    record.walked = false;
}

void State::reindex_node(NodeRecord& node) {
    node.penalty_permille = node_penalty_permille(node.node);
    std::vector<OfferRecord*> in_order = node.offers;
    std::sort(in_order.begin(), in_order.end(), [](const OfferRecord* a, const OfferRecord* b) {
        return a->offer.priority < b->offer.priority;
    });
    for (OfferRecord* offer : in_order) {
        const bool moves = offer->link.indexed &&
                           offer->link.level->first.penalty_permille != node.penalty_permille;
        if (!matchable(*offer))
            unindex(*offer);
        else if (moves)
            offer->market->book.remove(*offer);  // to another level; its walk goes on
        index(*offer);
        market_seen(*offer->market);
    }
}

void State::index(RequestRecord& record) {
    const Request& request = record.request;
    if (request.state != RequestState::resting || request.time_in_force != TimeInForce::rest)
        return;
    record.bids.resize(request.alternatives.size() - 1);
    for (std::size_t i = 0; i < request.alternatives.size(); ++i) {
        BidLink& bid = i == 0 ? record.bid : record.bids[i - 1];
        MarketRecord& market = *markets.find(request.alternatives[i].market);
        bid.request = &record;
        bid.alternative = static_cast<std::uint32_t>(i);
        market.book.add(bid, bid_bound(market.market.kind, request));
        market_seen(market);
    }
}

void State::unindex(RequestRecord& record) {
    if (record.bid.book == nullptr) return;
    Book::remove(record.bid);
    for (BidLink& bid : record.bids) Book::remove(bid);
    record.bids.clear();
    for (const Alternative& alternative : record.request.alternatives)
        market_seen(*markets.find(alternative.market));
}

void State::starve(RequestRecord& record, Nano hold, Instant at) {
    if (record.starved && record.starved_hold <= hold) return;
    unstarve(record);
    record.starved = true;
    record.starved_hold = hold;
    const Request& request = record.request;
    starved[{request.account, request.key}].emplace(hold, request.id);
    if (midnight_ <= at) {  // a key's daily cap opens again then
        midnight_ = Instant{(day_of(at) + 1) * days(1).us};
        timers.add(midnight_, TimerKind::midnight, 0);
    }
}

void State::unstarve(RequestRecord& record) {
    if (!std::exchange(record.starved, false)) return;
    const Request& request = record.request;
    const auto purse = starved.find({request.account, request.key});
    purse->second.erase({record.starved_hold, request.id});
    if (purse->second.empty()) starved.erase(purse);
}

bool State::has_starved(AccountId account) const {
    const auto first = starved.lower_bound({account, KeyId{}});
    return first != starved.end() && first->first.first == account;
}

void State::postpone_walk(OfferRecord& offer, BidLink& at, Book::Turn turn) {
    Book& book = offer.market->book;
    if (!std::exchange(book.has_turn, true)) walked_markets.push_back(offer.offer.market);
    book.postpone(offer, at, turn);
}

void State::link(OfferRecord& record) {
    record.node->offers.push_back(&record);
    record.market_position = static_cast<std::uint32_t>(record.market->offers.size());
    record.market->offers.push_back(&record);
}

void State::unlink(OfferRecord& record) {
    std::erase(record.node->offers, &record);
    std::vector<OfferRecord*>& all = record.market->offers;
    all[record.market_position] = all.back();
    all[record.market_position]->market_position = record.market_position;
    all.pop_back();
}

void State::link(JobRecord& record) {
    record.node->slots_used += record.job.slots;
    record.node_position = static_cast<std::uint32_t>(record.node->jobs.size());
    record.node->jobs.push_back(&record);
}

void State::unlink(JobRecord& record) {
    record.node->slots_used -= record.job.slots;
    std::vector<JobRecord*>& all = record.node->jobs;
    all[record.node_position] = all.back();
    all[record.node_position]->node_position = record.node_position;
    all.pop_back();
}

void State::schedule_window(OfferRecord& record, Instant at) {
    const auto edge = next_window_edge(record.offer.windows, at);
    record.window_edge = edge.value_or(Instant{});
    if (edge) timers.add(*edge, TimerKind::window, record.offer.id.value);
}

void State::reschedule(Instant before, Instant after, TimerKind kind, std::uint64_t id) {
    if (before == after) return;
    if (before.us != 0) timers.forget_one();
    if (after.us != 0) timers.add(after, kind, id);
}

Instant evidence_due(const Node& node) {
    const Instant end = node.evidence_valid_until;
    if (end.us == 0 || node.retired || (node.evidence_notices & notice_ended) != 0) return {};
    Instant due = end;
    if ((node.evidence_notices & notice_hour) == 0) due = end - evidence_notice_ahead;
    for (const auto& [notice, ahead] : collateral_notices)
        if (node.collateral_until.us != 0 && (node.evidence_notices & notice) == 0)
            due = std::min(due, node.collateral_until - ahead);
    return due;
}

void State::schedule_evidence(NodeRecord& record) {
    const Instant due = evidence_due(record.node);
    reschedule(record.evidence_due, due, TimerKind::evidence, record.node.id.value);
    record.evidence_due = due;
}

void State::schedule(OfferRecord& record, Instant at) {
    const Offer& offer = record.offer;
    if (offer.expires_at.us != 0) timers.add(offer.expires_at, TimerKind::offer, offer.id.value);
    schedule_window(record, at);
}

// ---- What changed -----------------------------------------------------------------------------

void State::touch(AccountRecord& record) {
    if (!std::exchange(record.changed, true)) accounts_touched_.push_back(record.account.id);
}
void State::touch(KeyRecord& record) {
    if (!std::exchange(record.changed, true)) keys_touched_.push_back(record.key.id);
}
void State::touch(NodeRecord& record) {
    if (!std::exchange(record.changed, true)) nodes_touched_.push_back(record.node.id);
}
void State::touch(MarketRecord& record) {
    if (!std::exchange(record.changed, true)) markets_touched_.push_back(record.market.id);
}
void State::touch(OfferRecord& record) {
    if (!std::exchange(record.changed, true)) offers_touched_.push_back(record.offer.id);
}
void State::touch(RequestRecord& record) {
    if (!std::exchange(record.changed, true)) requests_touched_.push_back(record.request.id);
}
void State::touch(JobRecord& record) {
    if (!std::exchange(record.changed, true)) jobs_touched_.push_back(record.job.id);
}
void State::touch(Platform& platform) { platforms_touched_.push_back(platform.identity); }
void State::market_seen(MarketRecord& record) {
    if (!std::exchange(record.seen_change, true)) markets_seen_.push_back(record.market.id);
}

std::vector<MarketId> State::take_markets_seen() {
    for (const MarketId id : markets_seen_) markets.find(id)->seen_change = false;
    return std::exchange(markets_seen_, {});
}

Changes State::take_changes() {
    Changes changes;
    drain(accounts_touched_, accounts,
          [&](AccountRecord& r) { changes.accounts.push_back(r.account); });
    drain(keys_touched_, keys, [&](KeyRecord& r) { changes.keys.push_back(r.key); });
    drain(nodes_touched_, nodes, [&](NodeRecord& r) { changes.nodes.push_back(r.node); });
    drain(markets_touched_, markets, [&](MarketRecord& r) { changes.markets.push_back(r.market); });
    drain(offers_touched_, offers, [&](OfferRecord& r) { changes.offers.push_back(r.offer); });
    drain(requests_touched_, requests,
          [&](RequestRecord& r) { changes.requests.push_back(r.request); });
    drain(jobs_touched_, jobs, [&](JobRecord& r) { changes.jobs.push_back(r.job); });
    const auto distinct = [](auto& list) {
        std::sort(list.begin(), list.end());
        list.erase(std::unique(list.begin(), list.end()), list.end());
    };
    distinct(payouts_touched_);
    for (const PayoutId id : std::exchange(payouts_touched_, {}))
        if (const auto found = payouts.find(id); found != payouts.end())
            changes.payouts.push_back(found->second);
    distinct(webhooks_touched_);
    for (const WebhookId id : std::exchange(webhooks_touched_, {})) {
        if (const auto found = webhooks.find(id); found != webhooks.end())
            changes.webhooks.push_back(found->second);
        else
            changes.webhooks_removed.push_back(id);
    }
    distinct(measurements_touched_);
    for (const MeasurementId id : std::exchange(measurements_touched_, {}))
        changes.measurements.push_back(measurements.at(id));
    distinct(platforms_touched_);
    for (const std::string& identity : std::exchange(platforms_touched_, {}))
        changes.platforms.push_back(platforms.at(identity));
    distinct(denials_touched_);
    for (const std::string& identity : std::exchange(denials_touched_, {})) {
        if (const auto found = denials.find(identity); found != denials.end())
            changes.denials.push_back(found->second);
        else
            changes.denials_ended.push_back(identity);
    }
    if (std::exchange(trust_rule_touched_, false)) changes.trust_rule = trust_rule;
    for (const Digest& digest : std::exchange(enrolments_touched_, {}))
        if (const auto found = enrolments.find(digest); found != enrolments.end())
            changes.enrolments.push_back(found->second);
    changes.enrolments_ended = std::exchange(enrolments_ended_, {});
    changes.deposits = std::exchange(deposits_new_, {});
    if (std::exchange(fee_touched_, false)) changes.fee_basis_points = fee_basis_points;
    if (std::exchange(pause_touched_, false)) changes.payouts_paused = payouts_paused;
    changes.counters = counters;
    return changes;
}

void State::discard_changes() {
    const auto nothing = [](auto&) {};
    drain(accounts_touched_, accounts, nothing);
    drain(keys_touched_, keys, nothing);
    drain(nodes_touched_, nodes, nothing);
    drain(markets_touched_, markets, nothing);
    drain(offers_touched_, offers, nothing);
    drain(requests_touched_, requests, nothing);
    drain(jobs_touched_, jobs, nothing);
    payouts_touched_.clear();
    webhooks_touched_.clear();
    enrolments_touched_.clear();
    enrolments_ended_.clear();
    deposits_new_.clear();
    measurements_touched_.clear();
    platforms_touched_.clear();
    denials_touched_.clear();
    fee_touched_ = pause_touched_ = trust_rule_touched_ = false;
}

StateHash State::hash() const {
    Hasher hasher;
    hasher.add(0, counters);
    hasher.add(1, fee_basis_points);
    accounts.for_each([&](const AccountRecord& r) { hasher.add(2, r.account); });
    keys.for_each([&](const KeyRecord& r) { hasher.add(3, r.key); });
    nodes.for_each([&](const NodeRecord& r) { hasher.add(4, r.node); });
    markets.for_each([&](const MarketRecord& r) { hasher.add(5, r.market); });
    offers.for_each([&](const OfferRecord& r) {
        if (matching::live(r.offer)) hasher.add(6, r.offer);
    });
    requests.for_each([&](const RequestRecord& r) {
        if (open(r.request.state)) hasher.add(7, r.request);
    });
    jobs.for_each([&](const JobRecord& r) {
        if (open(r.job.state)) hasher.add(8, r.job);
    });
    for (const auto& [id, payout] : payouts)
        if (unsettled(payout.state)) hasher.add(9, payout);
    for (const auto& [id, webhook] : webhooks) hasher.add(10, webhook);
    std::map<Digest, const Enrolment*> in_order;
    for (const auto& [digest, enrolment] : enrolments) in_order.emplace(digest, &enrolment);
    for (const auto& [digest, enrolment] : in_order) hasher.add(11, *enrolment);
    for (const auto& [id, measurement] : measurements) hasher.add(12, measurement);
    for (const auto& [identity, platform] : platforms) hasher.add(13, platform);
    for (const auto& [identity, denial] : denials) hasher.add(14, denial);
    hasher.add(15, trust_rule);
    hasher.add(16, payouts_paused);
    return hasher.result();
}

// ---- Forgetting -------------------------------------------------------------------------------

void State::finish(Ended::Kind kind, std::uint64_t id, Instant at) {
    ended_.push_back({at, kind, id});
}

// What ended long ago is in no cache any more: it is asked for some time before it is dropped.
void State::expect(const Ended& ended) const {
    switch (ended.kind) {
        case Ended::offer: return offers.expect({ended.id});
        case Ended::request: return requests.expect({ended.id});
        case Ended::job: return jobs.expect({ended.id});
        case Ended::payout: return;
    }
}

void State::forget(Instant at) {
    const Instant line = at - seconds(limits::terminal_in_memory_seconds);
    while (!ended_.empty() && ended_.front().at <= line) {
        const Ended ended = ended_.front();
        ended_.pop_front();
        if (ended_.size() > forget_ahead) expect(ended_[forget_ahead]);
        switch (ended.kind) {
            case Ended::offer:
                if (OfferRecord* record = offers.find({ended.id});
                    record && !matching::live(record->offer))
                    offers.erase({ended.id});
                break;
            case Ended::request:
                if (requests.find({ended.id})) requests.erase({ended.id});
                break;
            case Ended::job:
                if (jobs.find({ended.id})) jobs.erase({ended.id});
                break;
            case Ended::payout: payouts.erase(PayoutId{ended.id}); break;
        }
    }
    forget_answers(at - seconds(limits::idempotency_seconds));
    if (timers.wants_sweep()) timers.sweep([this](const Timer& timer) { return live(timer); });
}

bool State::live(const Timer& timer) const {
    switch (timer.kind) {
        case TimerKind::job: {
            // Its end, or after that the end of its node's grace.
            const JobRecord* record = jobs.find({timer.id});
            return record && open(record->job.state) && timer.at >= record->job.expires_at;
        }
        case TimerKind::request: {
            const RequestRecord* record = requests.find({timer.id});
            return record && open(record->request.state) && timer.at == record->request.rest_until;
        }
        case TimerKind::offer: {
            const OfferRecord* record = offers.find({timer.id});
            return record && listed(record->offer.state) && record->offer.expires_at == timer.at;
        }
        case TimerKind::window: {
            const OfferRecord* record = offers.find({timer.id});
            return record && listed(record->offer.state) && record->window_edge == timer.at;
        }
        case TimerKind::evidence: {
            const NodeRecord* record = nodes.find({timer.id});
            return record && record->evidence_due == timer.at;
        }
        case TimerKind::node_away:
        case TimerKind::enrolments:
        case TimerKind::midnight: return true;
    }
    return true;
}

// Calls come in the order of their instants.
void State::remember(AccountId actor, std::string idempotency_key, Remembered remembered) {
    const Instant at = remembered.at;
    std::string name = remembered_name(actor, idempotency_key);
    // Only a load meets a key that is over and was used again.
    if (const auto known = remembered_.find(name); known != remembered_.end())
        forget_answer(std::find_if(remembered_order_.begin(), remembered_order_.end(),
                                   [&](const auto& one) { return one.second == &*known; }));
    const auto place = remembered_.emplace(std::move(name), std::move(remembered)).first;
    const std::size_t bytes = bytes_of(*place);
    Memory& memory = memories_[actor];
    memory.bytes += bytes;
    memory.instants.push_back(at);
    remembered_bytes_ += bytes;
    remembered_order_.emplace_back(actor, &*place);
}

void State::forget_answers(Instant oldest) {
    while (!remembered_order_.empty() && remembered_order_.front().second->second.at <= oldest)
        forget_answer(remembered_order_.begin());
}

void State::forget_answer(RememberedOrder::iterator place) {
    const auto [actor, entry] = *place;
    remembered_order_.erase(place);
    const std::size_t bytes = bytes_of(*entry);
    const auto memory = memories_.find(actor);
    std::deque<Instant>& instants = memory->second.instants;
    memory->second.bytes -= bytes;
    instants.erase(std::lower_bound(instants.begin(), instants.end(), entry->second.at));
    if (instants.empty()) memories_.erase(memory);
    remembered_bytes_ -= bytes;
    remembered_.erase(remembered_.find(entry->first));
}

RememberedUse State::remembered_of(AccountId actor) const {
    const auto memory = memories_.find(actor);
    if (memory == memories_.end()) return {};
    return {memory->second.instants.size(), memory->second.bytes, memory->second.instants.front()};
}

RememberedUse State::remembered_of_all() const {
    if (remembered_order_.empty()) return {};
    return {remembered_order_.size(), remembered_bytes_,
            remembered_order_.front().second->second.at};
}

const Remembered* State::remembered(AccountId actor, const std::string& idempotency_key) const {
    const auto found = remembered_.find(remembered_name(actor, idempotency_key));
    return found == remembered_.end() ? nullptr : &found->second;
}

void State::replay(const Entry& entry) {
    forget(entry.at);
    for (const Event& event : entry.events) apply(event, entry.at);
    counters.sequence = entry.sequence;
    if (!entry.idempotency_key.empty())
        remember(entry.actor, entry.idempotency_key,
                 {entry.input_hash, entry.answer, entry.at, entry.sequence});
}

}  // namespace cocoon::matching
