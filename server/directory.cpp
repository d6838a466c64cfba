#include "server/directory.hpp"

#include "core/limits.hpp"
#include "core/log.hpp"

namespace cocoon::server {
namespace {

// A node's earlier keysets stay known while its jobs may still bring receipts.
constexpr std::size_t keysets_per_node_max = 4;

bool open(matching::JobState state) {
    return state == matching::JobState::reserved || state == matching::JobState::running;
}

}  // namespace

void Directory::fill(const matching::State& state) {
    state.accounts.for_each([this](const matching::AccountRecord& record) { put(record.account); });
    state.keys.for_each([this](const matching::KeyRecord& record) { put(record.key); });
    state.nodes.for_each([this](const matching::NodeRecord& record) { put(record.node); });
    state.markets.for_each([this](const matching::MarketRecord& record) {
        markets_[record.market.id] = std::make_shared<const std::string>(record.market.name);
    });
    state.jobs.for_each(
        [this](const matching::JobRecord& record) { put(record.job, record.job.ended_at); });
}

void Directory::apply(const matching::Batch& batch, Instant now) {
    for (const matching::Account& account : batch.changes.accounts) put(account);
    for (const matching::ApiKey& key : batch.changes.keys) put(key);
    for (const matching::Node& node : batch.changes.nodes) put(node);
    for (const matching::Market& market : batch.changes.markets) {
        markets_[market.id] = std::make_shared<const std::string>(market.name);
    }
    for (const matching::Job& job : batch.changes.jobs) put(job, now);
    forget(now);
}

void Directory::put(const matching::Account& account) {
    accounts_[account.id] = {account.kind, account.frozen};
}

void Directory::put(const matching::ApiKey& key) {
    Credential& credential = credentials_[key.secret_hash];
    credential = {key.id,         key.account,    key.node,   key.scopes,
                  key.created_at, key.expires_at, key.revoked};
    keys_[key.id] = &credential;
}

void Directory::put(const matching::Node& node) {
    nodes_[node.id] = {
        node.provider,         node.tier,      node.standing,  node.evidence_valid_until,
        node.collateral_until, node.connected, node.suspended, node.keyset_digest};
    if (!node.keyset_digest.empty() && !keysets_.contains(node.keyset_digest)) {
        keep_keyset(node.id, node.keyset_digest, node.keyset_document);
    }
}

void Directory::keep_keyset(NodeId node, const std::string& digest, const std::string& document) {
    auto parsed = sealing::parse_keyset(document);
    if (!parsed || parsed->digest != digest) {
        log::error("keyset_unusable", {{"node", node.text()}});
        return;
    }
    keysets_[digest] = std::make_shared<const sealing::Keyset>(std::move(*parsed));
    std::deque<std::string>& kept = node_keysets_[node];
    kept.push_back(digest);
    if (kept.size() <= keysets_per_node_max) return;
    keysets_.erase(kept.front());
    kept.pop_front();
}

void Directory::put(const matching::Job& job, Instant now) {
    std::shared_ptr<const matching::Job>& place = jobs_[job.id];
    const bool was_open = place && open(place->state);
    if (place) --job_counts_[static_cast<std::size_t>(place->state)];
    if (!place) by_age_.push_back(job.id);
    ++job_counts_[static_cast<std::size_t>(job.state)];
    place = std::make_shared<const matching::Job>(job);
    if (job.state == matching::JobState::running && !job.session) {
        running_[job.node].insert(job.id);
    } else if (const auto node = running_.find(job.node); node != running_.end()) {
        node->second.erase(job.id);
        if (node->second.empty()) running_.erase(node);
    }
    JobId& newest = newest_jobs_[job.request];
    newest = std::max(newest, job.id);
    if (!open(job.state) &&
        (was_open || job.ended_at == now || ended_.empty() || ended_.back().job != job.id)) {
        ended_.push_back({now, job.id});
    }
}

void Directory::forget(Instant now) {
    while (!ended_.empty() &&
           ended_.front().at + seconds(limits::terminal_in_memory_seconds) < now) {
        const JobId id = ended_.front().job;
        ended_.pop_front();
        const auto found = jobs_.find(id);
        if (found == jobs_.end() || open(found->second->state)) continue;
        --job_counts_[static_cast<std::size_t>(found->second->state)];
        const auto newest = newest_jobs_.find(found->second->request);
        if (newest != newest_jobs_.end() && newest->second == id) newest_jobs_.erase(newest);
        jobs_.erase(found);
    }
}

const Credential* Directory::credential(const matching::Digest& secret_hash) const {
    const auto found = credentials_.find(secret_hash);
    return found == credentials_.end() ? nullptr : &found->second;
}

const Credential* Directory::credential(KeyId id) const {
    const auto found = keys_.find(id);
    return found == keys_.end() ? nullptr : found->second;
}

const AccountEntry* Directory::account(AccountId id) const {
    const auto found = accounts_.find(id);
    return found == accounts_.end() ? nullptr : &found->second;
}

const NodeEntry* Directory::node(NodeId id) const {
    const auto found = nodes_.find(id);
    return found == nodes_.end() ? nullptr : &found->second;
}

std::shared_ptr<const sealing::Keyset> Directory::keyset(const std::string& digest) const {
    const auto found = keysets_.find(digest);
    return found == keysets_.end() ? nullptr : found->second;
}

std::shared_ptr<const std::string> Directory::market_name(MarketId id) const {
    static const auto unknown = std::make_shared<const std::string>();
    const auto found = markets_.find(id);
    return found == markets_.end() ? unknown : found->second;
}

std::shared_ptr<const matching::Job> Directory::job(JobId id) const {
    const auto found = jobs_.find(id);
    return found == jobs_.end() ? nullptr : found->second;
}

std::vector<JobId> Directory::running_jobs(NodeId node) const {
    const auto found = running_.find(node);
    return found == running_.end() ? std::vector<JobId>{}
                                   : std::vector<JobId>{found->second.begin(), found->second.end()};
}

std::shared_ptr<const matching::Job> Directory::newest_job(RequestId id) const {
    const auto found = newest_jobs_.find(id);
    return found == newest_jobs_.end() ? nullptr : job(found->second);
}

std::vector<NodeId> Directory::connected_nodes() const {
    std::vector<NodeId> connected;
    for (const auto& [id, node] : nodes_) {
        if (node.connected) connected.push_back(id);
    }
    return connected;
}

NodeCounts Directory::count_nodes(Instant now) const {
    // As long before the end as its provider is told first.
    const Duration collateral_ending_ahead = matching::collateral_notices.front().second;
    NodeCounts counts;
    for (const auto& [id, node] : nodes_) {
        if (!node.connected) continue;
        if (node.evidence_valid_until <= now) {
            ++counts.unattested;
            continue;
        }
        ++counts.attested[static_cast<std::size_t>(node.tier)]
                         [static_cast<std::size_t>(node.standing)];
        if (node.evidence_valid_until <= now + matching::evidence_notice_ahead)
            ++counts.evidence_ending;
        if (node.collateral_until.us != 0 && node.collateral_until <= now + collateral_ending_ahead)
            ++counts.collateral_ending;
    }
    return counts;
}

Instant Directory::oldest_hold() const {
    while (!by_age_.empty()) {
        const auto found = jobs_.find(by_age_.front());
        if (found != jobs_.end() && open(found->second->state)) return found->second->reserved_at;
        by_age_.pop_front();
    }
    return {};
}

}  // namespace cocoon::server
