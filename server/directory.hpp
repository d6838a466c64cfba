// What the I/O thread knows of the market without asking anyone: credentials, nodes with their
// keysets, open jobs. A copy of committed state, filled once at start and then fed by each stored
// batch, before the batch's answers are delivered: a revoked key is refused from the moment its
// revocation is answered. I/O thread only. Decides nothing.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "matching/state.hpp"
#include "sealing/keyset.hpp"

namespace cocoon::server {

struct Credential {
    KeyId key;
    AccountId account;
    NodeId node;
    matching::ScopeSet scopes = 0;
    Instant created_at;
    Instant expires_at;  // 0: never
    bool revoked = false;

    bool ended(Instant now) const { return revoked || (expires_at.us != 0 && expires_at <= now); }
};
struct AccountEntry {
    matching::AccountKind kind = matching::AccountKind::developer;
    bool frozen = false;
};
struct NodeEntry {
    AccountId provider;
    matching::Tier tier = matching::Tier::simulated;
    matching::Standing standing = matching::Standing::good;
    Instant evidence_valid_until, collateral_until;
    bool connected = false, suspended = false;
    std::string keyset_digest;
};

// Nodes that are connected.
struct NodeCounts {
    static constexpr std::size_t standing_count = 4;
    // Whose evidence holds, by tier and standing.
    std::array<std::array<std::size_t, standing_count>, matching::tier_count> attested{};
    std::size_t unattested = 0;
    std::size_t evidence_ending = 0;    // of those attested: within the hour
    std::size_t collateral_ending = 0;  // and: what their evidence rests on, within seven days
};

class Directory {
public:
    // Everything of a loaded state. Before any thread runs.
    void fill(const matching::State& state);
    void apply(const matching::Batch& batch, Instant now);

    const Credential* credential(const matching::Digest& secret_hash) const;
    // The same by the key's id, revoked and expired ones included.
    const Credential* credential(KeyId id) const;
    const AccountEntry* account(AccountId id) const;
    const NodeEntry* node(NodeId id) const;
    // A keyset some node has or recently had; nullptr if unknown or not parseable.
    std::shared_ptr<const sealing::Keyset> keyset(const std::string& digest) const;
    std::shared_ptr<const std::string> market_name(MarketId id) const;  // never null
    // Open jobs, and ended ones for limits::terminal_in_memory_seconds.
    std::shared_ptr<const matching::Job> job(JobId id) const;
    // Running jobs of a node that are no sessions: a receipt is owed for each of them.
    std::vector<JobId> running_jobs(NodeId node) const;
    // The newest job of a request, if it is in memory.
    std::shared_ptr<const matching::Job> newest_job(RequestId id) const;

    // Nodes that the journal believes connected: after a start none of them is.
    std::vector<NodeId> connected_nodes() const;
    std::size_t open_jobs(matching::JobState state) const {
        return job_counts_[static_cast<std::size_t>(state)];
    }
    NodeCounts count_nodes(Instant now) const;
    // Since when the oldest open job holds money; 0: none.
    Instant oldest_hold() const;

private:
    void put(const matching::Account& account);
    void put(const matching::ApiKey& key);
    void put(const matching::Node& node);
    void put(const matching::Job& job, Instant now);
    void keep_keyset(NodeId node, const std::string& digest, const std::string& document);
    void forget(Instant now);

    struct Ended {
        Instant at;
        JobId job;
    };

    std::unordered_map<matching::Digest, Credential, matching::DigestHash> credentials_;
    std::unordered_map<KeyId, const Credential*> keys_;  // into credentials_
    std::unordered_map<AccountId, AccountEntry> accounts_;
    std::unordered_map<NodeId, NodeEntry> nodes_;
    std::unordered_map<NodeId, std::deque<std::string>> node_keysets_;
    std::unordered_map<std::string, std::shared_ptr<const sealing::Keyset>> keysets_;
    std::unordered_map<MarketId, std::shared_ptr<const std::string>> markets_;
    std::unordered_map<JobId, std::shared_ptr<const matching::Job>> jobs_;
    std::unordered_map<NodeId, std::unordered_set<JobId>> running_;
    std::unordered_map<RequestId, JobId> newest_jobs_;
    std::deque<Ended> ended_;
    // open jobs in the order of their reservation, ended ones lazily dropped
    mutable std::deque<JobId> by_age_;
    std::array<std::size_t, 6> job_counts_{};
};

}  // namespace cocoon::server
