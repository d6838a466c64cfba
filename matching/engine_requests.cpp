// Demand: placing, resting, matching.
#include "matching/engine_task.hpp"

namespace cocoon::matching {
namespace {

std::optional<Error> bad_quantity(const QuantityVector& quantity) {
    const auto tokens = {quantity.prompt, quantity.cached, quantity.completion, quantity.reasoning,
                         quantity.requests};
    bool any = quantity.gpu_seconds > 0;
    for (const std::int64_t count : tokens) {
        if (count < 0 || count > limits::tokens_max)
            return invalid("/quantity", "Each count lies between 0 and 10^12.");
        any = any || count > 0;
    }
    if (quantity.gpu_seconds < 0 || quantity.gpu_seconds > limits::gpu_seconds_max)
        return invalid("/quantity/gpu_seconds", "Out of range.");
    if (!any) return invalid("/quantity", "Something must be asked for.");
    return std::nullopt;
}

bool too_long(const Constraints& wants) {
    constexpr std::size_t most = limits::list_items_max;
    return wants.regions.size() > most || wants.countries.size() > most ||
           wants.measurements.size() > most || wants.gpu_models.size() > most ||
           wants.providers_allow.size() > most || wants.providers_deny.size() > most;
}

std::optional<Error> bad_terms(const Request& request, Instant at) {
    if (auto error = bad_quantity(request.quantity)) return error;
    if (request.slots < 1 || request.slots > limits::slots_per_offer_max)
        return invalid("/slots", "Between 1 and 4096.");
    if (request.cap_total.value < 0) return invalid("/cap_total_nano", "Not negative.");
    if (request.job_duration.us <= 0 ||
        request.job_duration > seconds(limits::reservation_seconds_max))
        return invalid("/job_seconds", "Between 1 second and 31 days.");
    if (request.attempts_max < 1 || request.attempts_max > 16)
        return invalid("/attempts_max", "Between 1 and 16.");
    if (too_long(request.constraints))
        return invalid("/constraints", "At most 64 items in a list.");
    if (request.time_in_force == TimeInForce::rest &&
        (request.rest_until <= at || request.rest_until > at + seconds(limits::rest_seconds_max)))
        return invalid("/rest_until", "In the future, at most 7 days ahead.");
    return std::nullopt;
}

// The refusal that an explanation amounts to. Price is the last constraint to be looked at, so an
// offer that fell to it had satisfied all others. The request keeps it as its reason: explanations
// are not stored, and who asks again with the same Idempotency-Key must hear the same refusal.
ErrorCode refusal_in(const Explanation& why) {
    for (const auto& [constraint, offers] : why.removed)
        if (offers > 0 &&
            (constraint == Constraint::price_dimension || constraint == Constraint::price_total))
            return ErrorCode::price_cap_too_low;
    return ErrorCode::no_eligible_offer;
}

}  // namespace

// ---- Placing ----------------------------------------------------------------------------------

// `request`: as new. Filled even when it is refused.
std::optional<Error> Engine::Task::prepare(const PlaceRequest& command, Request& request) const {
    const std::vector<NamedAlternative>& named = command.alternatives;
    if (named.empty() || named.size() > limits::alternatives_max)
        return invalid("/any_of", "Between 1 and 4 markets.");
    request = command.request;
    if (request.job_duration.us == 0)
        request.job_duration = seconds(limits::reservation_seconds_default);
    if (auto error = bad_terms(request, at_)) return error;
    std::vector<Alternative> alternatives;
    for (const NamedAlternative& alternative : named) {
        const MarketRecord* market = state_.market_by_name(alternative.market);
        if (market == nullptr) return refuse(ErrorCode::unknown_market, alternative.market);
        request.alternatives = market->alone;
        if (named.size() > 1 || !alternative.build.empty())
            alternatives.push_back({market->market.id, alternative.build});
    }
    if (!alternatives.empty()) request.alternatives = alternatives;
    request.state = RequestState::resting;
    request.reason.clear();
    request.placed_at = at_;
    request.ended_at = Instant{};
    request.job = JobId{};
    request.attempts = 0;
    request.nodes_lost = {};
    request.version = 1;
    return std::nullopt;
}

std::optional<Error> Engine::Task::place(const PlaceRequest& command, RequestAnswer& answer) {
    const AccountRecord* account = state_.accounts.find(command.request.account);
    const KeyRecord* key = state_.keys.find(command.request.key);
    if (account == nullptr || key == nullptr || key->key.account != command.request.account)
        return refuse(ErrorCode::not_found);
    if (key->key.revoked) return refuse(ErrorCode::key_revoked);
    if (key->key.expires_at.us != 0 && key->key.expires_at <= at_)
        return refuse(ErrorCode::key_expired);
    if ((key->key.scopes & scope_work) == 0)
        return refuse(ErrorCode::forbidden, "This key cannot place work.");
    if (account->account.frozen) return refuse(ErrorCode::account_frozen);
    if (account->account.open_requests >= limits::open_requests_per_account_max)
        return refuse(ErrorCode::limit_reached,
                      "The account has as many open requests as it may have.");
    Request& request = draft<RequestPlaced>().request;
    if (auto error = prepare(command, request)) return drop(), error;
    const Nano budget = budget_of(state_, command.request.account, command.request.key, at_);
    const Choice choice = choose(state_, request, at_, budget);
    if (choice.offer == nullptr && choice.beyond_budget &&
        choose(state_, request, at_).offer != nullptr) {
        Error error = unaffordable(request);
        return drop(), error;
    }
    request.id = RequestId{state_.counters.request};
    request.priority = state_.counters.priority;
    if (choice.offer != nullptr) request.state = RequestState::matched;  // never enters the book
    const RequestId id = request.id;
    const bool rests = request.time_in_force == TimeInForce::rest;
    emit_draft();
    RequestRecord& record = *state_.requests.find(id);
    if (choice.offer != nullptr)
        reserve(record.request, choice);
    else if (!rests) {
        answer.why = explain(state_, record.request, at_);
        end_request(id, RequestState::unmatched,
                    std::string{describe(refusal_in(*answer.why)).name});
    }
    fill(answer, record);
    return std::nullopt;
}

// There is an offer, but not the money: says which of the two purses is too small.
Error Engine::Task::unaffordable(const Request& request) const {
    const Account& account = state_.accounts.find(request.account)->account;
    const Choice best = choose(state_, request, at_);
    const Nano hold = *cost_max(best.offer->offer.price, request.quantity);
    const Nano available = account.balances[static_cast<std::size_t>(Bucket::available)];
    const std::string detail = "The best offer needs a hold of " + hold.text() + " nano";
    if (available < hold)
        return refuse(ErrorCode::insufficient_funds,
                      detail + "; available are " + available.text() + ".");
    return refuse(ErrorCode::spend_cap_reached, detail + ", more than the key's cap leaves.");
}

void Engine::Task::reserve(const Request& request, const Choice& choice) {
    const Offer& offer = choice.offer->offer;
    const Node& node = choice.offer->node->node;
    JobReserved& reserved = draft<JobReserved>();
    reserved.offer_priority = state_.counters.priority;
    Job& job = reserved.job;
    job.id = JobId{state_.counters.job};
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
    job.fee_basis_points = state_.fee_basis_points;
    job.fencing_token = state_.counters.fencing_token;
    job.keyset_digest = node.keyset_digest;
    job.evidence_hash = node.evidence_hash;
    job.reserved_at = at_;
    job.expires_at = at_ + request.job_duration;
    job.hold = *cost_max(offer.price, request.quantity);
    emit_draft();
}

// `answer`: as new.
void Engine::Task::fill(RequestAnswer& answer, const RequestRecord& record) const {
    answer.request = record.request;
    if (record.request.state != RequestState::matched) return;
    const JobRecord* job = state_.jobs.find(record.request.job);
    if (job == nullptr || job->node == nullptr) return;
    answer.job = job->job;
    answer.keyset_document = job->node->keyset_document;
    answer.tier = job->node->node.tier;
}

// Made in the caller's place: an answer is too large to be moved for nothing.
Reply Engine::Task::reply_with(const RequestRecord& record) const {
    Reply reply{Answer{}};
    fill(reply->emplace<RequestAnswer>(), record);
    return reply;
}

Reply Engine::Task::operator()(const PlaceRequest& command) {
    Reply reply{Answer{}};
    if (auto error = place(command, reply->emplace<RequestAnswer>()))
        reply = Reply{std::move(*error)};
    return reply;
}

Reply Engine::Task::operator()(const PlaceRequests& command) {
    if (command.requests.empty() || command.requests.size() > limits::request_batch_max)
        return invalid("/requests", "Between 1 and 256.");
    RequestsAnswer answer;
    answer.answers.reserve(command.requests.size());
    for (const PlaceRequest& one : command.requests) {
        Result<RequestAnswer>& placed = answer.answers.emplace_back(RequestAnswer{});
        if (auto error = place(one, *placed)) placed = Result<RequestAnswer>{std::move(*error)};
    }
    return Answer{std::move(answer)};
}

Reply Engine::Task::operator()(const AmendRequest& command) {
    RequestRecord* record = state_.requests.find(command.request);
    if (record == nullptr || record->request.account != command.account)
        return refuse(ErrorCode::not_found);
    if (record->request.state != RequestState::resting)
        return refuse(ErrorCode::wrong_state, "Only a resting request can be changed.");
    if (command.version != 0 && command.version != record->request.version)
        return refuse(ErrorCode::precondition_failed);
    Request request = record->request;
    if (command.cap_total) request.cap_total = *command.cap_total;
    if (command.cap_price) request.cap_price = *command.cap_price;
    if (command.constraints) request.constraints = *command.constraints;
    if (command.rest_until) request.rest_until = *command.rest_until;
    if (auto error = bad_terms(request, at_)) return *error;
    // New terms queue anew; a longer or shorter stay does not.
    if (command.cap_total || command.cap_price || command.constraints)
        request.priority = state_.counters.priority;
    ++request.version;
    emit(RequestAmended{std::move(request)});
    try_match(*record);
    return reply_with(*record);
}

Reply Engine::Task::operator()(const CancelRequest& command) {
    state_.requests.expect(command.request);
    RequestRecord* record = state_.requests.find(command.request);
    if (record == nullptr || record->request.account != command.account)
        return refuse(ErrorCode::not_found);
    if (!open(record->request.state))
        return refuse(ErrorCode::wrong_state, "The request has ended.");
    if (record->request.state == RequestState::resting)
        end_request(command.request, RequestState::cancelled, "cancelled");
    else
        cancel_job(*state_.jobs.find(record->request.job));
    return reply_with(*record);
}

Reply Engine::Task::operator()(const Explain& command) {
    const RequestRecord* record = state_.requests.find(command.request);
    if (record == nullptr || record->request.account != command.account)
        return refuse(ErrorCode::not_found);
    return Answer{ExplainAnswer{record->request.state, explain(state_, record->request, at_)}};
}

Reply Engine::Task::operator()(const WhatIf& command) {
    Request request;
    if (auto error = prepare(command.request, request)) return std::move(*error);
    const bool matches = choose(state_, request, at_).offer != nullptr;
    return Answer{ExplainAnswer{matches ? RequestState::matched : RequestState::unmatched,
                                explain(state_, request, at_)}};
}

void Engine::Task::end_request(RequestId id, RequestState state, std::string reason) {
    emit(RequestEnded{id, state, std::move(reason)});
}

// ---- Matching what rests ----------------------------------------------------------------------

bool Engine::Task::try_match(RequestRecord& record) {
    const Request& request = record.request;
    const Nano budget = budget_of(state_, request.account, request.key, at_);
    const Choice choice = choose(state_, request, at_, budget);
    if (choice.offer == nullptr) {
        if (choice.beyond_budget && choose(state_, request, at_).offer != nullptr)
            state_.starve(record, choice.beyond_hold, at_);
        return false;
    }
    reserve(request, choice);
    return true;
}

// Whether the offer now serves this request. A request that lacks only money is marked instead.
bool Engine::Task::consider(RequestRecord& record, const BidLink& bid, const OfferRecord& offer) {
    const Request& request = record.request;
    const Alternative& alternative = request.alternatives[bid.alternative];
    if (first_failed({offer.offer, offer.node->node, request, alternative.build,
                      offer.node->slots_used, true, at_}))
        return false;
    if (price_failed(offer.offer.price, request)) return false;
    const Nano hold = *cost_max(offer.offer.price, request.quantity);
    const Nano budget = budget_of(state_, request.account, request.key, at_);
    if (hold > budget) {
        state_.starve(record, hold, at_);
        return false;
    }
    reserve(request, choose(state_, request, at_, budget));
    return true;
}

bool Engine::Task::may_look() {
    if (allowance_ == 0) return false;
    --allowance_;
    ++engine_.resting_looked_at_;
    return true;
}

// The dearest bids first, then the longest waiting, from `bid` on; each gets its own best offer, so
// that nobody fills worse than an eligible better offer, whichever offer woke it.
void Engine::Task::walk(OfferRecord& offer, BidLink* bid, Book::Turn turn) {
    const std::int64_t blended_price = blended(offer.market->book.kind, offer.offer.price);
    while (offer.link.indexed && bid != nullptr && bid->level->first >= blended_price) {
        if (!may_look()) return state_.postpone_walk(offer, *bid, turn);
        RequestRecord& record = *bid->request;
        BidLink* next = bid->next;
        while (next != nullptr && next->request == &record)
            next = next->next;  // its other alternatives
        BidLink* const behind = next != nullptr ? next : Book::after_level(*bid);
        for (const BidLink* own = bid; own != next; own = own->next)
            if (consider(record, *own, offer)) break;
        bid = behind;
    }
    offer.walked = offer.link.indexed;
}

void Engine::Task::serve_resting(OfferRecord& offer) {
    Book& book = offer.market->book;
    book.drop_walk(offer);
    walk(offer, book.first_bid(), Book::Turn::last);
}

// The least hold first. False: the allowance is used up before the money.
bool Engine::Task::retry_starved(AccountId account) {
    auto purse = state_.starved.lower_bound({account, KeyId{}});
    while (purse != state_.starved.end() && purse->first.first == account) {
        const auto [hold, id] = *purse->second.begin();
        const auto here = purse->first;
        if (hold > budget_of(state_, account, here.second, at_)) {
            ++purse;
            continue;
        }
        if (!may_look()) return false;
        RequestRecord& record = *state_.requests.find(id);
        state_.unstarve(record);
        try_match(record);  // what still lacks money now waits for more than there is
        purse = state_.starved.lower_bound(here);
    }
    return true;
}

void Engine::Task::match_resting() {
    while (!freed_.offers.empty() || !freed_.funded.empty()) {
        if (!freed_.offers.empty()) {
            OfferRecord* offer = state_.offers.find(freed_.offers.back());
            freed_.offers.pop_back();
            if (offer != nullptr && offer->link.indexed) serve_resting(*offer);
            continue;
        }
        const AccountId account = freed_.funded.back();
        freed_.funded.pop_back();
        std::deque<AccountId>& later = engine_.unserved_;
        if (!retry_starved(account) &&
            std::find(later.begin(), later.end(), account) == later.end())
            later.push_back(account);
    }
}

void Engine::Task::match_postponed() {
    std::deque<AccountId>& later = engine_.unserved_;
    for (; allowance_ > 0 && !later.empty(); match_resting()) {
        const AccountId account = later.front();
        if (retry_starved(account)) later.pop_front();
    }
    std::deque<MarketId>& markets = state_.walked_markets;
    for (; allowance_ > 0 && !markets.empty(); match_resting()) {
        const MarketId market = markets.front();
        Book& book = state_.markets.find(market)->book;
        markets.pop_front();
        book.has_turn = !book.walks.empty();
        if (!book.has_turn) continue;
        markets.push_back(market);
        const Walk next = book.take_walk();
        walk(*next.offer, next.at, Book::Turn::first);
    }
}

}  // namespace cocoon::matching
