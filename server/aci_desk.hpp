// Answers GET /nodes/{id}/v1/aci/attestation: asks the node, through its relay connection, for
// evidence over the caller's nonce, and passes on the report that the node posts. Everything runs
// on the I/O thread but the reading of a report (workers). Bounded: one question per node at a
// time, few waiting, so many in a minute; a node that is away or silent is a typed refusal. Must
// not judge the evidence: whoever asked does.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "net/event_loop.hpp"
#include "net/worker_pool.hpp"
#include "server/directory.hpp"
#include "server/incoming.hpp"
#include "server/metrics.hpp"
#include "server/rate.hpp"

namespace cocoon::server {

struct AciDeskDoors {
    net::EventLoop& loop;
    net::WorkerPool& workers;
    const Directory& directory;
    const Clock& clock;
    Metrics& metrics;
    // A control message to a node's relay connection; false: it is not connected.
    std::function<bool(NodeId, std::string)> send;
};

struct AciDeskOptions {
    Duration patience = seconds(30);  // a quote with eight GPUs takes seconds
    std::size_t waiting_max = 256;    // in all; more: overloaded
    // Evidence costs a node work that nobody pays: more is rate_limited.
    RatePolicy per_node{12, seconds(60)};
    RatePolicy per_address{6, seconds(60)};
};

class AciDesk {
public:
    explicit AciDesk(AciDeskDoors doors, AciDeskOptions options = {});

    // By anyone; `node` is the path's text, the nonce the query's.
    void ask(std::shared_ptr<Incoming> in, const std::string& node);
    // POST /v1/nodes/{id}/aci-reports/{ticket} by the node's own key.
    void answer(std::shared_ptr<Incoming> in, const std::string& node, const std::string& ticket);
    // The node says that it cannot make evidence now.
    void failed(NodeId node, std::uint64_t ticket, const std::string& why);

    std::size_t waiting() const { return waiting_.size(); }

private:
    struct Question {
        std::shared_ptr<Incoming> in;
        NodeId node;
        std::optional<std::string> nonce;
        std::string keyset_digest;
        net::Timer timer;
    };

    std::optional<Question> take(NodeId node, std::uint64_t ticket);
    void deliver(const Question& question, std::string report);

    AciDeskDoors doors_;
    const AciDeskOptions options_;
    RateTable nodes_, addresses_;
    std::uint64_t next_ticket_ = 1;
    std::unordered_map<std::uint64_t, Question> waiting_;
    std::unordered_map<NodeId, std::uint64_t> asked_;  // the one question of a node
};

}  // namespace cocoon::server
