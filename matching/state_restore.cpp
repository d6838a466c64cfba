// The state from the projections' rows: records first, in any order, then links, books and timers.
// Rows that contradict each other are a broken machine: std::runtime_error.
#include <algorithm>
#include <stdexcept>

#include "core/limits.hpp"
#include "matching/state.hpp"

namespace cocoon::matching {
namespace {

template <class Record>
Record& required(Record* record, const char* what) {
    if (record == nullptr)
        throw std::runtime_error{std::string{"stored state refers to a missing "} + what};
    return *record;
}

template <class IdType, class Record>
Record& fresh(Table<IdType, Record>& table, IdType id, const char* what) {
    if (!id || table.find(id) != nullptr)
        throw std::runtime_error{std::string{"stored state repeats a "} + what};
    return table.insert(id);
}

bool open(JobState state) { return state == JobState::reserved || state == JobState::running; }
bool open(RequestState state) {
    return state == RequestState::resting || state == RequestState::matched;
}
bool listed(OfferState state) { return state == OfferState::active || state == OfferState::paused; }

}  // namespace

void State::restore(Account account) {
    if (!account.deposit_memo.empty()) memos_[account.deposit_memo] = account.id;
    AccountRecord* existing = account.id == house ? accounts.find(house) : nullptr;
    AccountRecord& record = existing ? *existing : fresh(accounts, account.id, "account");
    record.account = std::move(account);
}

void State::restore(ApiKey key) {
    secrets_[key.secret_hash] = key.id;
    fresh(keys, key.id, "key").key = std::move(key);
}

void State::restore(Enrolment enrolment) {
    enrolments[enrolment.token_hash] = std::move(enrolment);
}

void State::restore(Node node) {
    NodeRecord& record = fresh(nodes, node.id, "node");
    record.node = std::move(node);
    record.penalty_permille = node_penalty_permille(record.node);
    record.keyset_document = std::make_shared<const std::string>(record.node.keyset_document);
}

void State::restore(Market market) {
    market_names_[market.name] = market.id;
    MarketRecord& record = fresh(markets, market.id, "market");
    record.book.kind = market.kind;
    record.alone = {{market.id, {}}};
    record.market = std::move(market);
}

void State::restore(Offer offer) { fresh(offers, offer.id, "offer").offer = std::move(offer); }
void State::restore(Request request) {
    fresh(requests, request.id, "request").request = std::move(request);
}
void State::restore(Job job) { fresh(jobs, job.id, "job").job = std::move(job); }
void State::restore(Payout payout) { payouts[payout.id] = std::move(payout); }
void State::restore(Webhook webhook) { webhooks[webhook.id] = std::move(webhook); }
void State::restore(const Deposit& deposit) { deposits[deposit.reference] = deposit.id; }
void State::restore(Measurement measurement) { add(measurement); }
void State::restore(Platform platform) {
    platforms.insert_or_assign(platform.identity, std::move(platform));
}
void State::restore(Denial denial) { denials.insert_or_assign(denial.identity, std::move(denial)); }
void State::restore_fee(int basis_points) { fee_basis_points = basis_points; }
void State::restore_payouts_paused(bool paused) { payouts_paused = paused; }
void State::restore(const TrustRule& rule) { trust_rule = rule; }

void State::finish_restore(const Counters& stored) {
    counters = stored;
    restore_links();
    restore_timers();
    discard_changes();
}

void State::restore_links() {
    keys.for_each([&](KeyRecord& record) {
        AccountRecord& account = required(accounts.find(record.key.account), "account");
        if (!record.key.revoked && !record.key.node) ++account.live_keys;
        if (record.key.purse) required(keys.find(record.key.purse), "key");
    });
    for (const auto& [id, webhook] : webhooks)
        ++required(accounts.find(webhook.account), "account").webhooks;
    for (const auto& [id, payout] : payouts)
        if (unsettled(payout.state))
            ++required(accounts.find(payout.account), "account").open_payouts;
    for (const auto& [digest, enrolment] : enrolments)
        ++required(accounts.find(enrolment.provider), "account").enrolments;
    for (auto& [joined, ids] : measurements_by_registers_) std::sort(ids.begin(), ids.end());
    for (const auto& [id, measurement] : measurements)
        ++required(accounts.find(measurement.submitter), "account").measurements;
    nodes.for_each([&](NodeRecord& record) {
        record.provider = &required(accounts.find(record.node.provider), "account");
        record.provider->nodes.push_back(&record);
    });
    std::vector<OfferRecord*> by_priority;
    offers.for_each([&](OfferRecord& record) {
        record.node = &required(nodes.find(record.offer.node), "node");
        record.market = &required(markets.find(record.offer.market), "market");
        if (!listed(record.offer.state)) return;
        link(record);
        by_priority.push_back(&record);
    });
    jobs.for_each([&](JobRecord& record) {
        if (!open(record.job.state)) return;
        record.node = &required(nodes.find(record.job.node), "node");
        record.offer = &required(offers.find(record.job.offer), "offer");
        required(requests.find(record.job.request), "request");
        required(keys.find(record.job.key), "key");
        link(record);
    });
    std::sort(by_priority.begin(), by_priority.end(),
              [](const OfferRecord* a, const OfferRecord* b) {
                  return a->offer.priority < b->offer.priority;
              });
    for (OfferRecord* record : by_priority) index(*record);
    std::vector<RequestRecord*> resting;
    requests.for_each([&](RequestRecord& record) {
        if (record.request.alternatives.empty())
            throw std::runtime_error{"a stored request names no market"};
        for (const Alternative& alternative : record.request.alternatives)
            required(markets.find(alternative.market), "market");
        required(accounts.find(record.request.account), "account");
        required(keys.find(record.request.key), "key");
        if (record.request.state == RequestState::resting) resting.push_back(&record);
    });
    std::sort(resting.begin(), resting.end(), [](const RequestRecord* a, const RequestRecord* b) {
        return a->request.priority < b->request.priority;
    });
    for (RequestRecord* record : resting) index(*record);
}

void State::restore_timers() {
    const Instant now = counters.last_at;
    std::vector<Ended> ended;
    jobs.for_each([&](JobRecord& record) {
        if (open(record.job.state))
            timers.add(record.job.expires_at, TimerKind::job, record.job.id.value);
        else
            ended.push_back({record.job.ended_at, Ended::job, record.job.id.value});
    });
    requests.for_each([&](RequestRecord& record) {
        const Request& request = record.request;
        if (!open(request.state))
            ended.push_back({request.ended_at, Ended::request, request.id.value});
        else if (request.time_in_force == TimeInForce::rest)
            timers.add(request.rest_until, TimerKind::request, request.id.value);
    });
    offers.for_each([&](OfferRecord& record) {
        if (listed(record.offer.state))
            schedule(record, now);
        else if (record.offer.slots_used == 0)
            ended.push_back({now, Ended::offer, record.offer.id.value});
    });
    for (const auto& [id, payout] : payouts)
        if (!unsettled(payout.state)) ended.push_back({payout.settled_at, Ended::payout, id.value});
    std::sort(ended.begin(), ended.end(),
              [](const Ended& a, const Ended& b) { return a.at < b.at; });
    ended_.assign(ended.begin(), ended.end());
    for (const auto& [digest, enrolment] : enrolments)
        timers.add(enrolment.expires_at, TimerKind::enrolments, 0);
    nodes.for_each([&](NodeRecord& record) { schedule_evidence(record); });
    // When a node left is not stored: its grace begins again.
    nodes.for_each([&](NodeRecord& record) {
        if (record.node.connected || record.jobs.empty()) return;
        record.away_since = now;
        timers.add(now + seconds(limits::node_away_grace_seconds), TimerKind::node_away,
                   record.node.id.value);
    });
}

}  // namespace cocoon::matching
