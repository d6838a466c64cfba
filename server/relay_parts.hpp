// The relay's own state, shared by relay.cpp (clients, nodes) and relay_outcome.cpp (what becomes
// of the job). Nobody else includes this.
#pragma once

#include "server/relay.hpp"

namespace cocoon::server {

// A node's socket.
struct Relay::Link {
    NodeId node;
    AccountId provider;
    KeyId key;  // the credential it came with
    std::shared_ptr<net::WebSocket> socket;
    std::string program;
    bool greeted = false, present = false, replaced = false;
    Instant opened_at, attest_told_at;
    std::unordered_set<std::uint64_t> streams;
    // What the socket could not take: control frames in order, and streams with request bytes
    // waiting.
    std::deque<std::pair<std::string, bool>> waiting;
    std::size_t waiting_bytes = 0;
    std::vector<std::uint64_t> blocked;  // each once: Stream::blocked
};

struct Relay::Stream {
    std::uint64_t id = 0;
    Phase phase = Phase::checking;
    std::shared_ptr<Incoming> in;
    std::shared_ptr<const matching::Job> job;
    std::shared_ptr<const std::string> market;
    std::shared_ptr<const sealing::Keyset> keyset;
    std::string terms_text;
    Terms terms;
    std::weak_ptr<Link> link;
    // request
    std::string prefix;  // until the first bytes were looked at
    bool prefix_checked = false;
    std::string unsent;
    std::uint64_t credit = 0;  // what the node will still take
    bool reading = false, body_ended = false, end_sent = false;
    bool blocked = false;  // waits in its link's list for room in the socket
    std::size_t nonce_bytes = 0;
    sealing::Sha256 request_hash;
    std::optional<sealing::Digest> request_digest;  // once the end was sent
    // response
    FinalChunkFinder final_chunk;
    std::string backlog;          // may go to the client
    std::string held;             // the final chunk
    std::uint64_t allowance = 0;  // what the node may still send
    std::uint64_t owed = 0;       // given to the client, not yet granted to the node again
    bool dirty = false, started = false, waiting_for_client = false;
    sealing::Sha256 response_hash;
    std::uint64_t response_bytes = 0;
    // outcome
    bool starting = false;               // StartJob is on its way: no receipt may overtake it
    std::function<void()> when_started;  // the receipt that waits for it
    bool client_left = false, finishing = false, cut = false;
    std::string reason;         // why it is stopping
    std::uint64_t counter = 0;  // session: its receipt's
    std::string envelope;       // the cosigned receipt, once it was checked
    Instant opened_at, first_output_at, last_output_at, give_up_at;

    bool any_output() const { return response_bytes > 0; }
};

// One session job: what is promised to open exchanges, and receipts on their way into the books.
struct Relay::Session {
    matching::QuantityVector in_flight;  // sum of the bounds of open exchanges
    matching::QuantityVector newest;     // cumulative usage of the newest receipt
    std::uint64_t counter = 0, captured_counter = 0;
    std::optional<CheckedReceipt> pending;  // newest receipt not yet submitted
    bool capturing = false;
    bool closing = false;                                         // CloseSession is submitted
    std::vector<StreamPtr> waiting;                               // settled but for the commit
    std::map<std::uint64_t, std::weak_ptr<Link>> unacknowledged;  // counter -> who sent it
};

// An exchange whose node was lost after its first output: its receipt may still come.
struct Relay::Orphan {
    std::optional<sealing::Digest> request_digest;
    matching::QuantityVector bounds;
    std::uint32_t first_output_ms = 0, output_ms = 0;
};

// A command that must reach the lane: tried again while the lane is full or did not store it.
struct Relay::Retry {
    matching::Command command;
    Lane::Done done;
    int attempts = 0;
};

matching::QuantityVector sum(const matching::QuantityVector& a, const matching::QuantityVector& b);
matching::QuantityVector difference(const matching::QuantityVector& a,
                                    const matching::QuantityVector& b);
bool is_open(matching::JobState state);

}  // namespace cocoon::server
