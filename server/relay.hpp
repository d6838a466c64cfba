// The relay: sealed requests to nodes, sealed answers back, and the money word that follows from
// what happened. Nodes hold one WebSocket each; an exchange is a stream on it. Everything runs on
// the I/O thread; signatures are checked by workers, and every decision about a job is a command to
// the lane. It hashes and counts bytes and cannot read them. Contract: docs of the exchange and
// relay routes.
//
// An exchange lives through
//   checking   the client's headers, terms and first bytes are looked at; no node knows of it yet
//   open       bytes flow; each direction by credit, each buffer bounded by the window
// stopping   the client left or the job ended: CANCEL was sent, the node may still bring a receipt
//   settling   the node has spoken its last word; receipt and commit are awaited, the final sealed
//              chunk is held back until the capture is durable
// and is then forgotten.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "net/event_loop.hpp"
#include "net/worker_pool.hpp"
#include "server/directory.hpp"
#include "server/incoming.hpp"
#include "server/lane.hpp"
#include "server/metrics.hpp"
#include "server/receipts.hpp"
#include "server/relay_frames.hpp"

namespace cocoon::server {

struct RelayOptions {
    std::size_t window_bytes = limits::relay_window_bytes;
    Duration cancel_grace = seconds(10);  // for the node's last word after CANCEL
    Duration hello_grace = seconds(10);
    Duration attest_notice = minutes(10);  // before the evidence ends
    Duration heartbeat = milliseconds(100);
    int command_attempts_max = 100;  // of a command that the lane could not take or store
    net::WebSocketOptions socket;
};

struct RelayDoors {
    net::EventLoop& loop;
    net::WorkerPool& workers;
    const Directory& directory;
    const Clock& clock;
    Metrics& metrics;
    MarketSigner signer;
    std::string market_public_key;  // hex
    // To the lane, as the market itself.
    std::function<Result<void>(matching::Command, Lane::Done)> submit;
    // 409 job_rematched with what the client needs to seal anew.
    std::function<api::Response(const matching::RequestAnswer&, std::string_view request_id)>
        rematched;
    // The account was told of something at this sequence: later reads must include it.
    std::function<void(AccountId, std::uint64_t sequence)> answered;
    // A node cannot make evidence for that ticket (aci_desk.hpp); may be empty.
    std::function<void(NodeId, std::uint64_t ticket, const std::string& why)> aci_failed{};
};

// Finds where the final chunk of a chunked OHTTP message begins (draft-ietf-ohai-chunked-ohttp §6),
// without keys: the framing is in the clear. Everything before it may go on at once.
class FinalChunkFinder {
public:
    explicit FinalChunkFinder(std::size_t nonce_bytes = 0) : nonce_left_{nonce_bytes} {}
    // How many of the bytes come before the final chunk; the rest (and all later ones) belong to
    // it.
    std::size_t feed(std::string_view bytes);
    bool found() const { return found_; }

private:
    std::size_t nonce_left_ = 0;
    std::uint64_t chunk_left_ = 0, length_ = 0;
    int length_bytes_left_ = 0;
    bool found_ = false;
};

class Relay {
public:
    Relay(RelayDoors doors, RelayOptions options = {});
    ~Relay();
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    // Tells the lane which nodes are really there: none, after a start. Once, on the loop's thread.
    void start();
    // GET /v1/relay by a node's own key.
    void accept_node(std::shared_ptr<Incoming> in);
    // POST /v1/jobs/{id}/exchange. The request's body must be streamed.
    void begin(std::shared_ptr<Incoming> in, JobId job);
    // After the directory has taken the batch: jobs that ended elsewhere stop here.
    void stored(const matching::Batch& batch);
    // A control message to a node; false: it is not connected.
    bool tell(NodeId node, std::string message);
    // No new exchanges; nodes are told. Those open go on.
    void drain();
    // Closes every node's socket (1001).
    void close_all();

    std::size_t streams() const { return streams_.size(); }

private:
    struct Link;
    struct Stream;
    struct Session;
    struct Orphan;
    struct Retry;
    using StreamPtr = std::shared_ptr<Stream>;
    enum class Phase { checking, open, stopping, settling };

    // Clients' side
    Result<StreamPtr> examine(const std::shared_ptr<Incoming>& in, JobId job);
    Result<void> check_terms(Stream& stream, std::string_view header);
    Result<void> check_prefix(Stream& stream);
    void read_more(const StreamPtr& stream);
    void take_piece(const StreamPtr& stream, Result<net::BodyPiece> piece);
    void open(const StreamPtr& stream);
    void pump_request(const StreamPtr& stream);
    void client_gone(const StreamPtr& stream);
    void stop(const StreamPtr& stream, std::string reason);
    void flush();
    void flush(const StreamPtr& stream);
    void grant(const StreamPtr& stream);

    // Nodes' side
    void greet(const std::shared_ptr<Link>& link);
    void take_message(const std::shared_ptr<Link>& link, std::string_view bytes, bool binary);
    void take_frame(const std::shared_ptr<Link>& link, const Frame& frame);
    void take_response(const std::shared_ptr<Link>& link, const StreamPtr& stream,
                       std::string_view payload);
    void take_failed(const StreamPtr& stream, Failed failed);
    void take_late_receipt(const std::shared_ptr<Link>& link, LateReceipt late);
    void want_receipts(const std::shared_ptr<Link>& link, std::vector<JobId> jobs);
    void take_no_receipt(const std::shared_ptr<Link>& link, JobId id);
    void drop_ended_key(const std::shared_ptr<Link>& link);
    void block(const std::shared_ptr<Link>& link, const StreamPtr& stream);
    void unblock(const std::shared_ptr<Link>& link, const StreamPtr& stream);
    void link_closed(const std::shared_ptr<Link>& link);
    void node_lost(const StreamPtr& stream);
    void send(const std::shared_ptr<Link>& link, std::string message, bool binary);
    void drained(const std::shared_ptr<Link>& link);

    // What becomes of the job
    void settle_receipt(const StreamPtr& stream, std::string document);
    void receipt_checked(const StreamPtr& stream, Result<CheckedReceipt> checked);
    void complete(const StreamPtr& stream, const CheckedReceipt& receipt);
    void end_unpaid(const std::shared_ptr<const matching::Job>& job, std::string reason,
                    std::function<void()> then);
    void session_receipt(const StreamPtr& stream, CheckedReceipt receipt);
    void capture(JobId job);
    void captured(JobId job, std::uint64_t counter, const matching::Answered& answer);
    void fail(const StreamPtr& stream, const Error& error, bool node_at_fault, bool rematch);
    void failed(const StreamPtr& stream, const Error& error, const matching::Answered& answer);
    void deliver_end(const StreamPtr& stream);
    void cut(const StreamPtr& stream, std::string_view why);
    void forget(const StreamPtr& stream);
    void close_if_over(JobId id);
    void command(matching::Command command, Lane::Done done);
    void submit_once(const std::shared_ptr<Retry>& retry);
    void beat();

    StreamPtr find(std::uint64_t id) const;

    RelayDoors doors_;
    const RelayOptions options_;
    std::uint64_t next_stream_ = 1;
    bool draining_ = false, flush_posted_ = false;
    std::unordered_map<NodeId, std::shared_ptr<Link>> links_;
    std::unordered_map<std::uint64_t, StreamPtr> streams_;
    std::unordered_map<JobId, std::vector<std::uint64_t>> by_job_;
    std::unordered_map<JobId, std::unique_ptr<Session>> sessions_;
    std::unordered_map<JobId, std::unique_ptr<Orphan>> orphans_;
    std::vector<std::weak_ptr<Stream>> dirty_;
    std::deque<std::shared_ptr<Retry>> retries_;
    net::Timer heartbeat_;
};

}  // namespace cocoon::server
