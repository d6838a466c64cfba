// One overload per event: what it changes. No decision is taken here, so replaying yesterday's
// journal with today's matching rule gives yesterday's state. Events come from our own journal: an
// impossible one means a broken program or storage, and stops the process.
#include "core/limits.hpp"
#include "matching/state.hpp"

namespace cocoon::matching {
namespace {

template <class T>
T& present(T* record) {
    ENSURE(record != nullptr);
    return *record;
}

// Asks for what will be touched soon, so that the misses of one event pass together. Any address
// will do.
template <class... Places>
void near(const Places*... places) {
    (__builtin_prefetch(places), ...);
}

void add(Postings& postings, AccountId from, Bucket from_bucket, AccountId to, Bucket to_bucket,
         Nano amount, JobId job) {
    ENSURE(amount.value >= 0);
    if (amount.value == 0) return;
    postings.legs[postings.count++] = Posting{from, from_bucket, to, to_bucket, amount, job};
}

// From the developer's hold to the provider, and the fee to the house.
void add_capture(Postings& postings, const Job& job, Nano amount, Nano fee) {
    add(postings, job.account, Bucket::held, job.provider, Bucket::earned, amount - fee, job.id);
    add(postings, job.account, Bucket::held, house, Bucket::fees, fee, job.id);
}

struct Poster {
    const State& state;
    Postings postings;

    template <class T>
    void operator()(const T&) {}

    void operator()(const JobReserved& event) {
        const Job& job = event.job;
        add(postings, job.account, Bucket::available, job.account, Bucket::held, job.hold, job.id);
    }
    void operator()(const JobRenewed& event) {
        const Job& job = present(state.jobs.find(event.job)).job;
        add(postings, job.account, Bucket::available, job.account, Bucket::held, event.hold_added,
            job.id);
    }
    void operator()(const UsageCaptured& event) {
        add_capture(postings, present(state.jobs.find(event.job)).job, event.amount, event.fee);
    }
    void operator()(const JobEnded& event) {
        const Job& job = present(state.jobs.find(event.job)).job;
        add_capture(postings, job, event.amount, event.fee);
        add(postings, job.account, Bucket::held, job.account, Bucket::available, event.released,
            job.id);
    }
    void operator()(const DepositCredited& event) {
        add(postings, house, Bucket::chain, event.deposit.account, Bucket::available,
            event.deposit.amount, {});
    }
    void operator()(const PayoutRequested& event) {
        const Payout& payout = event.payout;
        add(postings, payout.account, payout.source, payout.account, Bucket::paying, payout.amount,
            {});
    }
    void operator()(const PayoutAdvanced& event) {
        const auto found = state.payouts.find(event.payout);
        ENSURE(found != state.payouts.end());
        const Payout& payout = found->second;
        if (event.state == PayoutState::paid)
            add(postings, payout.account, Bucket::paying, house, Bucket::chain, payout.amount, {});
        if (event.state == PayoutState::returned) give_back(payout);
    }
    void operator()(const PayoutRejected& event) {
        const auto found = state.payouts.find(event.payout);
        ENSURE(found != state.payouts.end());
        give_back(found->second);
    }
    void give_back(const Payout& payout) {
        add(postings, payout.account, Bucket::paying, payout.account, payout.source, payout.amount,
            {});
    }
};

}  // namespace

Postings postings_of(const Event& event, const State& state) {
    Poster poster{state, {}};
    std::visit(poster, event);
    return poster.postings;
}

void State::post(const Posting& posting) {
    AccountRecord& from = present(accounts.find(posting.from));
    AccountRecord& to = present(accounts.find(posting.to));
    from.account.balances[static_cast<std::size_t>(posting.from_bucket)] -= posting.amount;
    to.account.balances[static_cast<std::size_t>(posting.to_bucket)] += posting.amount;
    touch(from);
    touch(to);
}

struct State::Applier {
    State& state;
    Instant at;

    static void next_after(std::uint64_t& counter, std::uint64_t id) {
        counter = std::max(counter, id + 1);
    }

    // ---- Accounts, keys ---------------------------------------------------------------------
    void operator()(const AccountOpened& event) {
        AccountRecord& record = state.accounts.insert(event.account.id, event.account);
        if (!event.account.deposit_memo.empty())
            state.memos_[event.account.deposit_memo] = event.account.id;
        next_after(state.counters.account, event.account.id.value);
        state.touch(record);
    }
    void operator()(const AccountAmended& event) {
        AccountRecord& record = present(state.accounts.find(event.account));
        Account& account = record.account;
        const bool thawed_or_frozen = account.frozen != event.frozen;
        account.name = event.name;
        account.profile = event.profile;
        account.payout_address = event.payout_address;
        account.frozen = event.frozen;
        state.touch(record);
        if (thawed_or_frozen)
            for (NodeRecord* node : record.nodes) state.reindex_node(*node);
    }
    void operator()(const KeyCreated& event) {
        KeyRecord& record = state.keys.insert(event.key.id, event.key);
        state.secrets_[event.key.secret_hash] = event.key.id;
        AccountRecord& account = present(state.accounts.find(event.key.account));
        if (!event.key.node) ++account.live_keys;
        next_after(state.counters.key, event.key.id.value);
        state.touch(record);
    }
    void operator()(const KeyAmended& event) {
        KeyRecord& record = present(state.keys.find(event.key));
        ApiKey& key = record.key;
        if (event.revoked && !key.revoked && !key.node)
            --present(state.accounts.find(key.account)).live_keys;
        key.name = event.name;
        key.cap_total = event.cap_total;
        key.cap_day = event.cap_day;
        key.expires_at = event.expires_at;
        key.revoked = event.revoked;
        state.touch(record);
    }

    // ---- Nodes ------------------------------------------------------------------------------
    void operator()(const EnrolmentIssued& event) {
        state.enrolments[event.enrolment.token_hash] = event.enrolment;
        state.enrolments_touched_.push_back(event.enrolment.token_hash);
        ++present(state.accounts.find(event.enrolment.provider)).enrolments;
        state.timers.add(event.enrolment.expires_at, TimerKind::enrolments, 0);
    }
    void operator()(const EnrolmentEnded& event) {
        const auto found = state.enrolments.find(event.token_hash);
        if (found == state.enrolments.end()) return;
        --present(state.accounts.find(found->second.provider)).enrolments;
        state.enrolments.erase(found);
        state.enrolments_ended_.push_back(event.token_hash);
    }
    void operator()(const NodeEnrolled& event) {
        NodeRecord& record = state.nodes.insert(event.node.id, event.node);
        record.provider = &present(state.accounts.find(event.node.provider));
        record.provider->nodes.push_back(&record);
        record.penalty_permille = node_penalty_permille(record.node);
        record.keyset_document = std::make_shared<const std::string>();
        next_after(state.counters.node, event.node.id.value);
        state.touch(record);
    }
    void operator()(const NodeAttested& event) {
        NodeRecord& record = present(state.nodes.find(event.node));
        Node& node = record.node;
        node.tier = event.tier;
        node.measurement = event.measurement;
        node.registers = event.registers;
        node.identities = event.identities;
        node.keyset_digest = event.keyset_digest;
        node.keyset_document = event.keyset_document;
        node.evidence_hash = event.evidence_hash;
        node.evidence_valid_until = event.valid_until;
        node.probation_jobs_left = 0;
        for (const std::string& identity : event.identities)
            if (is_exclusive(identity)) shown(identity, node, event.probation_jobs);
        // The same collateral ends only once, however often evidence is made on it.
        const bool same_end = node.collateral_until == event.collateral_until;
        node.evidence_notices &= same_end ? notice_week | notice_day : NoticeSet{0};
        if (event.valid_until - at < evidence_notice_ahead * 4)
            node.evidence_notices |= notice_hour;
        node.collateral_until = event.collateral_until;
        node.collateral_first = event.collateral_first;
        record.keyset_document = std::make_shared<const std::string>(event.keyset_document);
        state.schedule_evidence(record);
        state.touch(record);
        state.reindex_node(record);
    }
    void operator()(const EvidenceExpiring& event) {
        NodeRecord& record = present(state.nodes.find(event.node));
        record.node.evidence_notices |= event.notices;
        state.schedule_evidence(record);
        state.touch(record);
    }
    void operator()(const EvidenceDoubted& event) {
        NodeRecord& record = present(state.nodes.find(event.node));
        // Whoever is told of the doubt knows when it ends.
        record.node.evidence_notices |= notice_doubt | notice_hour;
        record.node.evidence_valid_until = event.ends_at;
        state.schedule_evidence(record);
        state.touch(record);
        state.reindex_node(record);
    }
    void operator()(const EvidenceEnded& event) {
        NodeRecord& record = present(state.nodes.find(event.node));
        record.node.evidence_notices |= notice_ended;
        record.node.evidence_valid_until = std::min(record.node.evidence_valid_until, at);
        state.schedule_evidence(record);
        state.touch(record);
        state.reindex_node(record);
    }
    void shown(const std::string& identity, Node& node, std::uint32_t probation_jobs) {
        const auto [place, fresh] = state.platforms.try_emplace(identity);
        Platform& platform = place->second;
        const bool is_cpu = identity.starts_with("cpu:");
        if (fresh) platform = {identity, node.id, at, is_cpu ? probation_jobs : 0};
        platform.node = node.id;
        if (is_cpu) node.probation_jobs_left = platform.probation_jobs_left;
        state.touch(platform);
    }
    void operator()(const NodeRetired& event) {
        NodeRecord& record = present(state.nodes.find(event.node));
        record.node.retired = true;
        state.schedule_evidence(record);
        state.touch(record);
        state.reindex_node(record);
    }
    void operator()(const NodeStanding& event) {
        NodeRecord& record = present(state.nodes.find(event.node));
        record.node.measurement_id = event.measurement;
        record.node.standing = event.standing;
        record.node.standing_reason = event.reason;
        state.touch(record);
        state.reindex_node(record);
    }

    // ---- Trust ------------------------------------------------------------------------------
    void operator()(const MeasurementSubmitted& event) {
        const Measurement& measurement = event.measurement;
        state.add(measurement);
        next_after(state.counters.measurement, measurement.id.value);
        ++present(state.accounts.find(measurement.submitter)).measurements;
        state.measurements_touched_.push_back(measurement.id);
    }
    void operator()(const MeasurementDecided& event) {
        const auto found = state.measurements.find(event.measurement);
        ENSURE(found != state.measurements.end());
        found->second.state = event.state;
        found->second.reason = event.reason;
        found->second.decided_at = at;
        state.measurements_touched_.push_back(event.measurement);
    }
    void operator()(const IdentityDenied& event) {
        state.denials.insert_or_assign(event.denial.identity, event.denial);
        next_after(state.counters.denial, event.denial.id.value);
        state.denials_touched_.push_back(event.denial.identity);
    }
    void operator()(const DenialLifted& event) {
        state.denials.erase(event.identity);
        state.denials_touched_.push_back(event.identity);
    }
    void operator()(const TrustRuleChanged& event) {
        state.trust_rule = event.rule;
        state.trust_rule_touched_ = true;
    }

    void operator()(const NodePresence& event) {
        NodeRecord& record = present(state.nodes.find(event.node));
        record.node.connected = event.connected;
        record.away_since = event.connected ? Instant{} : at;
        if (!event.connected)
            state.timers.add(at + seconds(limits::node_away_grace_seconds), TimerKind::node_away,
                             event.node.value);
        state.touch(record);
        state.reindex_node(record);
    }
    void operator()(const NodeDrained& event) {
        NodeRecord& record = present(state.nodes.find(event.node));
        record.node.draining = event.draining;
        state.touch(record);
        state.reindex_node(record);
    }
    void operator()(const NodeSuspended& event) {
        NodeRecord& record = present(state.nodes.find(event.node));
        record.node.suspended = event.suspended;
        record.node.suspended_reason = event.reason;
        state.touch(record);
        state.reindex_node(record);
    }

    // ---- Markets, offers --------------------------------------------------------------------
    void operator()(const MarketOpened& event) {
        MarketRecord& record = state.markets.insert(event.market.id, event.market);
        record.book.kind = event.market.kind;
        record.alone = {{event.market.id, {}}};
        state.market_names_[event.market.name] = event.market.id;
        next_after(state.counters.market, event.market.id.value);
        state.touch(record);
        state.market_seen(record);
    }
    void operator()(const MarketPaused& event) {
        MarketRecord& record = present(state.markets.find(event.market));
        record.market.paused = event.paused;
        std::vector<OfferRecord*> in_order = record.offers;
        std::sort(in_order.begin(), in_order.end(), [](const OfferRecord* a, const OfferRecord* b) {
            return a->offer.priority < b->offer.priority;
        });
        for (OfferRecord* offer : in_order) {
            if (event.paused)
                state.unindex(*offer);
            else
                state.index(*offer);
        }
        state.touch(record);
        state.market_seen(record);
    }
    void operator()(const OfferPlaced& event) {
        const Offer& offer = event.offer;
        NodeRecord& node = present(state.nodes.find(offer.node));
        near(node.offers.data() + node.offers.size());
        OfferRecord& record = state.offers.insert(offer.id, offer);
        record.node = &node;
        record.market = &present(state.markets.find(offer.market));
        next_after(state.counters.offer, offer.id.value);
        next_after(state.counters.priority, offer.priority);
        state.link(record);
        state.schedule(record, at);
        state.touch(record);
        state.index(record);
        state.market_seen(*record.market);
    }
    void operator()(const OfferAmended& event) {
        OfferRecord& record = present(state.offers.find(event.offer.id));
        state.unindex(record);
        const std::uint32_t slots_used = record.offer.slots_used;
        const Instant expires_before = record.offer.expires_at, edge_before = record.window_edge;
        record.offer = event.offer;
        record.offer.slots_used = slots_used;
        next_after(state.counters.priority, event.offer.priority);
        record.window_edge = next_window_edge(record.offer.windows, at).value_or(Instant{});
        const std::uint64_t id = event.offer.id.value;
        state.reschedule(expires_before, record.offer.expires_at, TimerKind::offer, id);
        state.reschedule(edge_before, record.window_edge, TimerKind::window, id);
        state.touch(record);
        state.index(record);
        state.market_seen(*record.market);
    }
    void operator()(const OfferEnded& event) {
        OfferRecord& record = present(state.offers.find(event.offer));
        near(&record.node->offers, &record.market->offers[record.market_position],
             record.market->offers.back());
        if (record.link.indexed) near(record.link.previous, record.link.next);
        state.unindex(record);
        state.unlink(record);
        record.offer.state = event.state;
        ++record.offer.version;
        state.touch(record);
        state.market_seen(*record.market);
        if (record.offer.slots_used == 0) state.finish(Ended::offer, event.offer.value, at);
        if (record.offer.expires_at.us != 0) state.timers.forget_one();
    }

    // ---- Requests ---------------------------------------------------------------------------
    void operator()(const RequestPlaced& event) {
        RequestRecord& record = state.requests.insert(event.request.id, event.request);
        next_after(state.counters.request, event.request.id.value);
        next_after(state.counters.priority, event.request.priority);
        AccountRecord& account = present(state.accounts.find(event.request.account));
        ++account.account.open_requests;
        state.touch(account);
        state.touch(record);
        if (event.request.time_in_force == TimeInForce::rest)
            state.timers.add(event.request.rest_until, TimerKind::request, event.request.id.value);
        state.index(record);
    }
    void operator()(const RequestAmended& event) {
        RequestRecord& record = present(state.requests.find(event.request.id));
        // Whoever keeps its turn changed nothing that the book knows: looking for its old place
        // would cost as much as there are others at its price.
        const bool stays = record.request.priority == event.request.priority;
        if (!stays) state.unindex(record);
        state.unstarve(record);
        const Instant rest_before = record.request.rest_until;
        record.request = event.request;
        next_after(state.counters.priority, event.request.priority);
        state.reschedule(rest_before, event.request.rest_until, TimerKind::request,
                         event.request.id.value);
        state.touch(record);
        if (!stays) state.index(record);
    }
    void operator()(const RequestRested& event) {
        RequestRecord& record = present(state.requests.find(event.request));
        record.request.state = RequestState::resting;
        if (event.node_lost)
            record.request.nodes_lost = record.request.nodes_lost.with(event.node_lost);
        ++record.request.version;
        state.touch(record);
        state.index(record);
    }
    void operator()(const RequestEnded& event) {
        RequestRecord& record = present(state.requests.find(event.request));
        near(record.bid.previous, record.bid.next);
        state.unindex(record);
        state.unstarve(record);
        Request& request = record.request;
        request.state = event.state;
        request.reason = event.reason;
        request.ended_at = at;
        ++request.version;
        AccountRecord& account = present(state.accounts.find(request.account));
        --account.account.open_requests;
        state.touch(account);
        state.touch(record);
        state.finish(Ended::request, event.request.value, at);
        if (request.time_in_force == TimeInForce::rest) state.timers.forget_one();
    }

    // ---- Jobs -------------------------------------------------------------------------------
    void operator()(const JobReserved& event) {
        const Job& job = event.job;
        OfferRecord& offer = present(state.offers.find(job.offer));
        RequestRecord& request = present(state.requests.find(job.request));
        JobRecord& record = state.jobs.insert(job.id, job, offer.node, &offer);
        state.link(record);
        state.unindex(request);
        state.unstarve(request);
        request.request.state = RequestState::matched;
        request.request.job = job.id;
        request.request.attempts = job.attempt;
        ++request.request.version;
        state.touch(request);
        next_after(state.counters.job, job.id.value);
        next_after(state.counters.fencing_token, job.fencing_token);
        next_after(state.counters.priority, event.offer_priority);
        offer.offer.slots_used += job.slots;
        ENSURE(offer.offer.slots_used <= offer.offer.slots);
        offer.offer.priority = event.offer_priority;
        if (offer.link.indexed) {
            if (state.matchable(offer))
                offer.market->book.send_back(offer);
            else
                state.unindex(offer);
        }
        offer.market->last_trade = {job.price, job.reserved_at};
        state.market_seen(*offer.market);
        state.touch(offer);
        KeyRecord& key = state.purse_of(present(state.keys.find(job.key)));
        key.key.held += job.hold;
        state.touch(key);
        state.touch(record);
        state.timers.add(job.expires_at, TimerKind::job, job.id.value);
    }
    void operator()(const JobStarted& event) {
        JobRecord& record = present(state.jobs.find(event.job));
        record.job.state = JobState::running;
        record.job.started_at = at;
        state.touch(record);
    }
    void operator()(const JobRenewed& event) {
        JobRecord& record = present(state.jobs.find(event.job));
        Job& job = record.job;
        job.hold += event.hold_added;
        job.quantity = event.quantity;
        state.reschedule(job.expires_at, event.expires_at, TimerKind::job, job.id.value);
        job.expires_at = event.expires_at;
        KeyRecord& key = state.purse_of(present(state.keys.find(job.key)));
        key.key.held += event.hold_added;
        state.touch(key);
        state.touch(record);
    }
    // Money through the job's key: what its purse holds and what was spent from it, per UTC day.
    void settle_key(const Job& job, Nano captured, Nano released) {
        KeyRecord& record = state.purse_of(present(state.keys.find(job.key)));
        ApiKey& key = record.key;
        key.held -= captured + released;
        if (captured.value > 0) {
            const std::int64_t day = day_of(at);
            if (key.day != day) key.spent_day = Nano{};
            key.day = day;
            key.spent_day += captured;
            key.spent_total += captured;
        }
        state.touch(record);
    }
    void operator()(const UsageCaptured& event) {
        JobRecord& record = present(state.jobs.find(event.job));
        Job& job = record.job;
        job.hold -= event.amount;
        job.captured += event.amount;
        job.fee += event.fee;
        job.usage = event.usage;
        job.counter = event.counter;
        job.receipt_hash = event.receipt_hash;
        settle_key(job, event.amount, Nano{});
        state.touch(record);
    }
    void operator()(const JobEnded& event) {
        JobRecord& record = present(state.jobs.find(event.job));
        Job& job = record.job;
        ENSURE(job.hold == event.amount + event.released);
        job.state = event.state;
        job.reason = event.reason;
        job.usage = event.usage;
        job.hold = Nano{};
        job.captured += event.amount;
        job.fee += event.fee;
        job.counter = event.counter;
        job.receipt_hash = event.receipt_hash;
        job.first_output_ms = event.first_output_ms;
        job.output_ms = event.output_ms;
        job.ended_at = at;
        settle_key(job, event.amount, event.released);
        state.unlink(record);
        state.touch(record);
        free_slots(*record.offer, job.slots);
        if (event.node_outcome != NodeOutcome::none) measure_node(*record.node, event);
        state.index(*record.offer);
        record.node = nullptr;
        record.offer = nullptr;
        state.finish(Ended::job, event.job.value, at);
        state.timers.forget_one();
    }
    void free_slots(OfferRecord& offer, std::uint32_t slots) {
        ENSURE(offer.offer.slots_used >= slots);
        offer.offer.slots_used -= slots;
        state.touch(offer);
        state.market_seen(*offer.market);
        const bool gone =
            offer.offer.state == OfferState::cancelled || offer.offer.state == OfferState::expired;
        if (gone && offer.offer.slots_used == 0)
            state.finish(Ended::offer, offer.offer.id.value, at);
    }
    void measure_node(NodeRecord& node, const JobEnded& event) {
        measure(node.node, event.node_outcome == NodeOutcome::completed, event.first_output_ms,
                event.output_ms, event.usage.completion + event.usage.reasoning);
        if (node.node.probation_jobs_left > 0 && event.node_outcome == NodeOutcome::completed)
            count_probation(node.node);
        state.touch(node);
        if (node_penalty_permille(node.node) != node.penalty_permille) state.reindex_node(node);
    }
    // The CPU's count is the truth; a node that lost it to another one keeps what it had.
    void count_probation(Node& node) {
        for (const std::string& identity : node.identities) {
            const auto found = state.platforms.find(identity);
            if (found == state.platforms.end()) continue;
            Platform& platform = found->second;
            if (platform.node != node.id || platform.probation_jobs_left == 0) continue;
            node.probation_jobs_left = --platform.probation_jobs_left;
            state.touch(platform);
            return;
        }
    }
    void operator()(const ReceiptStored&) {}

    // ---- Money ------------------------------------------------------------------------------
    void operator()(const DepositCredited& event) {
        state.deposits[event.deposit.reference] = event.deposit.id;
        state.deposits_new_.push_back(event.deposit);
        next_after(state.counters.deposit, event.deposit.id.value);
    }
    void operator()(const PayoutRequested& event) {
        state.payouts[event.payout.id] = event.payout;
        ++present(state.accounts.find(event.payout.account)).open_payouts;
        state.payouts_touched_.push_back(event.payout.id);
        next_after(state.counters.payout, event.payout.id.value);
    }
    void operator()(const PayoutAdvanced& event) {
        Payout& payout = state.payouts[event.payout];
        payout.state = event.state;
        payout.reference = event.reference;
        state.payouts_touched_.push_back(event.payout);
        if (!unsettled(event.state)) settled(payout);
    }
    void operator()(const PayoutApproved& event) {
        Payout& payout = state.payouts[event.payout];
        payout.approvers = payout.approvers.with(event.admin);
        payout.state = event.state;
        state.payouts_touched_.push_back(event.payout);
    }
    void operator()(const PayoutRejected& event) {
        Payout& payout = state.payouts[event.payout];
        payout.state = PayoutState::rejected;
        payout.reason = event.reason;
        state.payouts_touched_.push_back(event.payout);
        settled(payout);
    }
    void settled(Payout& payout) {
        --present(state.accounts.find(payout.account)).open_payouts;
        payout.settled_at = at;
        state.finish(Ended::payout, payout.id.value, at);
    }
    void operator()(const PayoutsPaused& event) {
        state.payouts_paused = event.paused;
        state.pause_touched_ = true;
    }

    // ---- Operation --------------------------------------------------------------------------
    void operator()(const FeeChanged& event) {
        state.fee_basis_points = event.basis_points;
        state.fee_touched_ = true;
    }
    void operator()(const WebhookPut& event) {
        if (state.webhooks.insert_or_assign(event.webhook.id, event.webhook).second)
            ++present(state.accounts.find(event.webhook.account)).webhooks;
        state.webhooks_touched_.push_back(event.webhook.id);
        next_after(state.counters.webhook, event.webhook.id.value);
    }
    void operator()(const WebhookRemoved& event) {
        const auto found = state.webhooks.find(event.webhook);
        if (found == state.webhooks.end()) return;
        --present(state.accounts.find(found->second.account)).webhooks;
        state.webhooks.erase(found);
        state.webhooks_touched_.push_back(event.webhook);
    }
    void operator()(const Audited&) {}
};

Postings State::apply(const Event& event, Instant at) {
    counters.last_at = std::max(counters.last_at, at);
    const Postings postings = postings_of(event, *this);
    for (const Posting& posting : postings) post(posting);
    std::visit(Applier{*this, at}, event);
    return postings;
}

}  // namespace cocoon::matching
