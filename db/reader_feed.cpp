// What happened, and whom it concerns.
#include "db/reader_parts.hpp"

namespace cocoon::db {

using namespace matching;

namespace {

// Who an id belongs to, for events that carry only the id.
const Statement owners_of_jobs{
    "owners_of_jobs", "select id, account, provider from jobs where id = any($1::bigint[])"};

const Statement owners_of_requests{
    "owners_of_requests",
    "select id, account, 0::bigint from requests where id = any($1::bigint[])"};
const Statement owners_of_offers{
    "owners_of_offers", "select id, 0::bigint, provider from offers where id = any($1::bigint[])"};
const Statement owners_of_nodes{
    "owners_of_nodes", "select id, 0::bigint, provider from nodes where id = any($1::bigint[])"};
const Statement owners_of_measurements{
    "owners_of_measurements",
    "select id, submitter, 0::bigint from measurements where id = any($1::bigint[])"};
const Statement owners_of_payouts{
    "owners_of_payouts", "select id, account, 0::bigint from payouts where id = any($1::bigint[])"};
const Statement owners_of_keys{
    "owners_of_keys", "select id, account, 0::bigint from api_keys where id = any($1::bigint[])"};

// Whom an event concerns: directly, or by the id that has to be looked up.
enum class Lookup { none, job, request, offer, node, payout, key, measurement };

constexpr std::size_t lookup_count = 8;

struct Concern {
    AccountId account, provider;
    Lookup lookup = Lookup::none;
    std::uint64_t id = 0;
};

struct ConcernOf {
    using C = Concern;
    C operator()(const AccountOpened& e) const { return {e.account.id, {}}; }
    C operator()(const AccountAmended& e) const { return {e.account, {}}; }
    C operator()(const KeyCreated& e) const { return {e.key.account, {}}; }
    C operator()(const KeyAmended& e) const { return {{}, {}, Lookup::key, e.key.value}; }
    C operator()(const EnrolmentIssued& e) const { return {{}, e.enrolment.provider}; }
    C operator()(const EnrolmentEnded&) const { return {}; }
    C operator()(const NodeEnrolled& e) const { return {{}, e.node.provider}; }
    C operator()(const NodeAttested& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const NodePresence& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const NodeDrained& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const NodeSuspended& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const EvidenceExpiring& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const EvidenceDoubted& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const EvidenceEnded& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const MarketOpened&) const { return {}; }
    C operator()(const MarketPaused&) const { return {}; }
    C operator()(const OfferPlaced& e) const { return {{}, e.offer.provider}; }
    C operator()(const OfferAmended& e) const { return {{}, e.offer.provider}; }
    C operator()(const OfferEnded& e) const { return {{}, {}, Lookup::offer, e.offer.value}; }
    C operator()(const RequestPlaced& e) const { return {e.request.account, {}}; }
    C operator()(const RequestAmended& e) const { return {e.request.account, {}}; }
    C operator()(const RequestRested& e) const {
        return {{}, {}, Lookup::request, e.request.value};
    }
    C operator()(const RequestEnded& e) const { return {{}, {}, Lookup::request, e.request.value}; }
    C operator()(const JobReserved& e) const { return {e.job.account, e.job.provider}; }
    C operator()(const JobStarted& e) const { return {{}, {}, Lookup::job, e.job.value}; }
    C operator()(const JobRenewed& e) const { return {{}, {}, Lookup::job, e.job.value}; }
    C operator()(const UsageCaptured& e) const { return {{}, {}, Lookup::job, e.job.value}; }
    C operator()(const JobEnded& e) const { return {{}, {}, Lookup::job, e.job.value}; }
    C operator()(const ReceiptStored& e) const { return {{}, {}, Lookup::job, e.job.value}; }
    C operator()(const DepositCredited& e) const { return {e.deposit.account, {}}; }
    C operator()(const PayoutRequested& e) const { return {e.payout.account, {}}; }
    C operator()(const PayoutAdvanced& e) const { return {{}, {}, Lookup::payout, e.payout.value}; }
    C operator()(const FeeChanged&) const { return {}; }
    C operator()(const WebhookPut& e) const { return {e.webhook.account, {}}; }
    C operator()(const WebhookRemoved&) const { return {}; }
    C operator()(const Audited& e) const { return {e.actor, {}}; }
    C operator()(const NodeRetired& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const NodeStanding& e) const { return {{}, {}, Lookup::node, e.node.value}; }
    C operator()(const MeasurementSubmitted& e) const { return {e.measurement.submitter, {}}; }
    C operator()(const MeasurementDecided& e) const {
        return {{}, {}, Lookup::measurement, e.measurement.value};
    }
    C operator()(const IdentityDenied&) const { return {}; }
    C operator()(const DenialLifted&) const { return {}; }
    C operator()(const TrustRuleChanged&) const { return {}; }
    C operator()(const PayoutApproved& e) const { return {{}, {}, Lookup::payout, e.payout.value}; }
    C operator()(const PayoutRejected& e) const { return {{}, {}, Lookup::payout, e.payout.value}; }
    C operator()(const PayoutsPaused&) const { return {}; }
};

}  // namespace

std::unordered_map<std::uint64_t, std::pair<AccountId, AccountId>> Reader::Held::owners(
    const Statement& statement, std::vector<std::int64_t>& ids) {
    std::unordered_map<std::uint64_t, std::pair<AccountId, AccountId>> owners;
    if (ids.empty()) return owners;
    std::ranges::sort(ids);
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    ArrayBuilder array{ArrayBuilder::Type::bigint};
    for (const std::int64_t id : ids) array.add(id);
    const Rows rows = run(statement, Parameters{}.add_encoded(array.finish()));
    for (std::size_t row = 0; row < rows.size(); ++row)
        owners[unsigned_at(rows, row, 0)] = {{unsigned_at(rows, row, 1)},
                                             {unsigned_at(rows, row, 2)}};
    return owners;
}

void Reader::Held::assign_owners(std::vector<FeedEvent>& events) {
    std::vector<Concern> concerns;
    std::vector<std::int64_t> ids[lookup_count];
    for (const FeedEvent& event : events) {
        concerns.push_back(std::visit(ConcernOf{}, event.event));
        ids[static_cast<int>(concerns.back().lookup)].push_back(number(concerns.back().id));
    }
    const Statement* const statements[lookup_count] = {
        nullptr,          &owners_of_jobs,    &owners_of_requests, &owners_of_offers,
        &owners_of_nodes, &owners_of_payouts, &owners_of_keys,     &owners_of_measurements};
    std::unordered_map<std::uint64_t, std::pair<AccountId, AccountId>> found[lookup_count];
    for (std::size_t kind = 1; kind < lookup_count; ++kind)
        found[kind] = owners(*statements[kind], ids[kind]);
    for (std::size_t index = 0; index < events.size(); ++index) {
        const Concern& concern = concerns[index];
        events[index].account = concern.account;
        events[index].provider = concern.provider;
        const auto& known = found[static_cast<int>(concern.lookup)];
        if (const auto owner = known.find(concern.id); owner != known.end())
            std::tie(events[index].account, events[index].provider) = owner->second;
    }
}

Feed Reader::feed(AccountId account, std::uint64_t after, std::size_t entries_max) {
    Feed feed{.events = {}, .scanned_to = after, .more = false};
    if (after >= as_of_) return feed;
    // Only what the projections have: an event's owner is then in the tables.
    const std::size_t wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(entries_max, as_of_ - after));
    for (const Entry& entry : read_entries(*held_->lease, after, wanted)) {
        std::uint32_t ordinal = 0;
        for (const Event& event : entry.events)
            feed.events.push_back({{entry.sequence, ordinal++}, entry.at, event, {}, {}});
    }
    feed.scanned_to = after + wanted;
    held_->assign_owners(feed.events);
    if (account)
        std::erase_if(feed.events, [&](const FeedEvent& event) {
            return event.account != account && event.provider != account;
        });
    feed.more = feed.scanned_to < as_of_;
    return feed;
}

std::optional<FeedEvent> Reader::event_at(EntryKey key) {
    if (key.sequence == 0 || key.sequence > as_of_) return std::nullopt;
    const std::vector<Entry> entries = read_entries(*held_->lease, key.sequence - 1, 1);
    if (entries.empty() || entries[0].sequence != key.sequence ||
        key.ordinal >= entries[0].events.size())
        return std::nullopt;
    std::vector<FeedEvent> events{{key, entries[0].at, entries[0].events[key.ordinal], {}, {}}};
    held_->assign_owners(events);
    return std::move(events.front());
}

}  // namespace cocoon::db
