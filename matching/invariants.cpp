#include "matching/invariants.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "matching/search.hpp"

namespace cocoon::matching {
namespace {

bool open(JobState state) { return state == JobState::reserved || state == JobState::running; }
bool open(RequestState state) {
    return state == RequestState::resting || state == RequestState::matched;
}

struct Checker {
    const State& state;
    Instant at;
    std::vector<std::string> violations;

    template <class... Parts>
    void expect(bool holds, const Parts&... parts) {
        if (holds || violations.size() >= 50) return;
        std::string line;
        ((line += parts), ...);
        violations.push_back(std::move(line));
    }

    void money() {
        Wide total = 0;
        state.accounts.for_each([&](const AccountRecord& record) {
            for (std::size_t i = 0; i < bucket_count; ++i) {
                const Nano balance = record.account.balances[i];
                total += balance.value;
                const bool chain = static_cast<Bucket>(i) == Bucket::chain;
                expect(balance.value >= 0 || chain, record.account.id.text(),
                       " has a negative balance: ", name_of(static_cast<Bucket>(i)), " ",
                       balance.text());
                expect(!chain || record.account.id == house || balance.value == 0,
                       "chain balance outside the house");
            }
        });
        expect(total == 0, "balances do not sum to zero");
    }

    void holds() {
        std::map<AccountId, Wide> by_account;
        std::map<KeyId, Wide> by_key;
        std::map<AccountId, Wide> paying;
        state.jobs.for_each([&](const JobRecord& record) {
            const Job& job = record.job;
            expect(open(job.state) || job.hold.value == 0, job.id.text(), " ended with money held");
            expect(job.hold.value >= 0, job.id.text(), " holds less than nothing");
            expect(job.fee == basis_points_of(job.captured, job.fee_basis_points), job.id.text(),
                   " has a wrong fee");
            if (!open(job.state)) return;
            by_account[job.account] += job.hold.value;
            by_key[state.purse_of(*state.keys.find(job.key)).key.id] += job.hold.value;
            const Result<Nano> most = cost_max(job.price, job.quantity);
            expect(most && job.hold + job.captured == *most, job.id.text(),
                   ": hold and captured are not the maximum");
        });
        for (const auto& [id, payout] : state.payouts)
            if (unsettled(payout.state)) paying[payout.account] += payout.amount.value;
        state.accounts.for_each([&](const AccountRecord& record) {
            const Account& account = record.account;
            const auto balance = [&](Bucket bucket) {
                return account.balances[static_cast<std::size_t>(bucket)].value;
            };
            expect(balance(Bucket::held) == by_account[account.id], account.id.text(),
                   ": held is not the sum of its holds");
            expect(balance(Bucket::paying) == paying[account.id], account.id.text(),
                   ": paying is not the sum of payouts");
        });
        state.keys.for_each([&](const KeyRecord& record) {
            expect(record.key.held.value == by_key[record.key.id], record.key.id.text(),
                   ": held is not the sum of its holds");
            expect(record.key.spent_total.value >= 0, record.key.id.text(), " spent below zero");
            expect(!record.key.purse ||
                       (record.key.held.value == 0 && record.key.spent_total.value == 0 &&
                        !state.keys.find(record.key.purse)->key.purse),
                   record.key.id.text(), " keeps count beside its purse");
        });
    }

    void slots() {
        std::map<OfferId, std::uint64_t> used;
        state.jobs.for_each([&](const JobRecord& record) {
            if (open(record.job.state)) used[record.job.offer] += record.job.slots;
        });
        state.offers.for_each([&](const OfferRecord& record) {
            const Offer& offer = record.offer;
            expect(offer.slots_used <= offer.slots, offer.id.text(), " is oversold");
            expect(offer.slots_used == used[offer.id], offer.id.text(),
                   ": used slots are not those of its jobs");
            used.erase(offer.id);
        });
        for (const auto& [id, count] : used)
            expect(count == 0, id.text(), " is gone but has open jobs");
    }

    void requests() {
        std::map<AccountId, std::uint32_t> open_requests;
        state.requests.for_each([&](const RequestRecord& record) {
            const Request& request = record.request;
            if (!open(request.state)) return;
            ++open_requests[request.account];
            if (request.state != RequestState::matched) {
                expect(request.time_in_force == TimeInForce::rest, request.id.text(),
                       " rests but is immediate");
                return;
            }
            const JobRecord* job = state.jobs.find(request.job);
            expect(job && open(job->job.state) && job->job.request == request.id, request.id.text(),
                   " is matched without an open job");
        });
        state.accounts.for_each([&](const AccountRecord& record) {
            expect(record.account.open_requests == open_requests[record.account.id],
                   record.account.id.text(), ": open requests are miscounted");
        });
    }

    void books() {
        std::map<MarketId, std::size_t> offers, bids;
        state.offers.for_each([&](const OfferRecord& record) {
            const bool belongs = state.matchable(record);
            expect(record.link.indexed == belongs, record.offer.id.text(),
                   belongs ? " is missing in" : " lingers in", " the book");
            if (!record.link.indexed) return;
            ++offers[record.offer.market];
            const LevelKey& key = record.link.level->first;
            expect(key.price == record.offer.price, record.offer.id.text(),
                   " stands at another price");
            expect(key.penalty_permille == node_penalty_permille(record.node->node),
                   record.offer.id.text(), " stands at another penalty");
            expect(record.link.next == nullptr ||
                       record.offer.priority < record.link.next->offer.priority,
                   record.offer.id.text(), " stands out of order");
        });
        state.requests.for_each([&](const RequestRecord& record) {
            const bool rests = record.request.state == RequestState::resting;
            expect((record.bid.book != nullptr) == rests, record.request.id.text(),
                   " and the book disagree");
            if (record.bid.book == nullptr) return;
            for (const Alternative& alternative : record.request.alternatives)
                ++bids[alternative.market];
        });
        state.markets.for_each([&](const MarketRecord& record) {
            expect(record.book.offers == offers[record.market.id], record.market.name,
                   ": offers are miscounted");
            expect(record.book.requests == bids[record.market.id], record.market.name,
                   ": requests are miscounted");
            std::size_t walked = 0;
            for (const auto& [key, level] : record.book.levels) {
                expect(level.head != nullptr, record.market.name, " has an empty level");
                expect(level.tail && level.newest == level.tail->offer.priority, record.market.name,
                       " has a level that mistakes its newest");
                for (const OfferRecord* offer = level.head; offer != nullptr;
                     offer = offer->link.next)
                    ++walked;
            }
            for (const auto& [bound, level] : record.book.bids)
                expect(level.tail && level.newest == level.tail->request->request.priority,
                       record.market.name, " has a level of requests that mistakes its newest");
            expect(walked == record.book.offers, record.market.name,
                   ": levels hold another number of offers");
        });
    }

    // The register's answer by looking at every entry, as the rule is written down.
    const Measurement* measurement_of(const Node& node) const {
        const auto shown = [&](const Measurement& one) {
            return std::includes(node.registers.begin(), node.registers.end(),
                                 one.registers.begin(), one.registers.end());
        };
        const Measurement* found = nullptr;
        for (const auto& entry : state.measurements) {
            const MeasurementId id = entry.first;
            const Measurement& one = entry.second;
            if (!shown(one)) continue;
            const bool superseded = std::any_of(
                state.measurements.begin(), state.measurements.end(), [&](const auto& other) {
                    const Measurement& later = other.second;
                    return later.registers == one.registers && later.id != id &&
                           std::pair{later.decided_at, later.decided_at.us ? later.id : id} >
                               std::pair{one.decided_at, id};
                });
            if (superseded) continue;
            if (found == nullptr || one.state > found->state) found = &one;
        }
        return found;
    }

    void trust() {
        std::map<std::string, const Node*> holders;
        state.nodes.for_each([&](const NodeRecord& record) {
            const Node& node = record.node;
            std::uint32_t slots = 0;
            for (const JobRecord* job : record.jobs) slots += job->job.slots;
            expect(record.slots_used == slots, node.id.text(), ": its jobs' slots are miscounted");
            if (node.evidence_valid_until.us == 0) return;
            const Measurement* measurement = measurement_of(node);
            expect(node.measurement_id == (measurement ? measurement->id : MeasurementId{}),
                   node.id.text(), " is spoken for by another measurement");
            const bool denied = std::any_of(
                node.identities.begin(), node.identities.end(),
                [&](const std::string& identity) { return state.denials.contains(identity); });
            const MeasurementState registered =
                measurement ? measurement->state : MeasurementState::pending;
            const bool wanted = (state.trust_rule.approved_tiers & tier_bit(node.tier)) != 0;
            const Standing right =
                denied                                              ? Standing::platform_denied
                : registered == MeasurementState::revoked           ? Standing::measurement_revoked
                : wanted && registered == MeasurementState::pending ? Standing::measurement_pending
                                                                    : Standing::good;
            expect(node.standing == right, node.id.text(), " stands as ", name_of(node.standing));
            for (const std::string& identity : node.identities) {
                if (!is_exclusive(identity)) continue;
                const auto platform = state.platforms.find(identity);
                expect(platform != state.platforms.end(), identity, " is not known");
                if (platform == state.platforms.end() || node.retired ||
                    node.evidence_valid_until <= at)
                    continue;
                expect(holders.emplace(identity, &node).second, identity, " is at two nodes");
                expect(platform->second.node == node.id, identity, " is at another node");
                expect(!identity.starts_with("cpu:") ||
                           platform->second.probation_jobs_left == node.probation_jobs_left,
                       node.id.text(), ": its probation is miscounted");
            }
        });
    }

    void evidence() {
        state.nodes.for_each([&](const NodeRecord& record) {
            const Node& node = record.node;
            expect(record.evidence_due == evidence_due(node), node.id.text(),
                   " has no timer for the end of its evidence");
            const bool ended = (node.evidence_notices & notice_ended) != 0;
            expect(!ended || node.evidence_valid_until <= at, node.id.text(),
                   ": evidence ended that still holds");
        });
    }

    void unmatched() {
        state.requests.for_each([&](const RequestRecord& record) {
            const Request& request = record.request;
            if (request.state != RequestState::resting) return;
            const Nano budget = budget_of(state, request.account, request.key, at);
            const Choice choice = choose_naive(state, request, at, budget);
            expect(choice.offer == nullptr, request.id.text(), " rests beside ",
                   choice.offer ? choice.offer->offer.id.text() : std::string{},
                   " which fits and is affordable");
        });
    }
};

}  // namespace

std::vector<std::string> check(const State& state, Instant at, CheckOptions options) {
    Checker checker{state, at, {}};
    checker.money();
    checker.holds();
    checker.slots();
    checker.requests();
    checker.books();
    checker.trust();
    checker.evidence();
    if (options.unmatched) checker.unmatched();
    return std::move(checker.violations);
}

}  // namespace cocoon::matching
