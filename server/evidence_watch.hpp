// Judges the evidence of every connected node anew, now and then, with the newest collateral: what
// was fine when it was submitted may be out of date or revoked since. That also keeps the
// collateral of every platform in use fetched ahead of its end. Made by app; rounds on its own
// thread. Decides nothing about a node: what it finds is a DoubtEvidence to the lane, and a vendor
// that is down is no finding.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>

#include "api/context.hpp"
#include "db/pool.hpp"
#include "db/reader.hpp"
#include "matching/commands.hpp"
#include "server/metrics.hpp"

namespace cocoon::server {

struct EvidenceWatchDoors {
    db::Pool& pool;
    // Stored evidence with what vendors serve now put in the place of what is older.
    std::function<api::CompletedEvidence(NodeId, Bytes)> refresh;
    std::function<attestation::Policy()> policy;
    std::function<void(const attestation::CollateralSeen&)> seen;
    // To the lane as the market itself; waits for the answer. Nothing: not answered in time.
    std::function<std::optional<matching::Reply>(matching::Command)> ask;
    const Clock& clock;
    Metrics& metrics;
};

struct EvidenceWatchOptions {
    Duration round_interval = minutes(5);
    Duration check_interval = hours(1);  // of one node's evidence
};

class EvidenceWatch {
public:
    explicit EvidenceWatch(EvidenceWatchDoors doors, EvidenceWatchOptions options = {});
    ~EvidenceWatch();  // stop()
    EvidenceWatch(const EvidenceWatch&) = delete;
    EvidenceWatch& operator=(const EvidenceWatch&) = delete;

    void start();
    void stop();
    // One round; what start()'s thread repeats. Throws db::Failure.
    void round();

private:
    struct Checked {
        std::string evidence_hash;
        Instant at;
    };

    bool stopping();
    std::vector<matching::Node> nodes_due(Instant now);
    void check(const matching::Node& node);
    void doubt(const matching::Node& node, const attestation::Verdict& verdict,
               const attestation::Policy& policy);

    EvidenceWatchDoors doors_;
    const EvidenceWatchOptions options_;
    std::unordered_map<NodeId, Checked> checked_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace cocoon::server
