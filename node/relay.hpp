// The node's end of the relay: one outbound WebSocket to the market, kept alive by reconnecting
// with jittered backoff, and the sealed exchanges multiplexed over it. Methods and callbacks run on
// the loop's thread; each exchange is served on a thread of the job pool. Knows frames and credit,
// and nothing of what is inside them.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "core/limits.hpp"
#include "net/event_loop.hpp"
#include "net/websocket.hpp"
#include "net/worker_pool.hpp"
#include "node/exchange.hpp"
#include "node/wire.hpp"

namespace cocoon::node {

// All requests that are being received, together; more: `overloaded`.
constexpr std::size_t relay_buffered_bytes_max = 512u << 20;

struct RelayOptions {
    std::string url;  // ws:// or wss://…/v1/relay
    std::string ca_file;
    std::string credential;
    std::size_t slots = 1;  // exchanges served at once; as many again may wait
    Duration reconnect_min = milliseconds(250);
    Duration reconnect_max = seconds(30);
};

struct RelayEvents {
    std::function<void()> on_connected;  // after the market's welcome
    std::function<void()> on_disconnected;
    std::function<void()> on_attest;  // the market wants fresh evidence
    std::function<void(const AciAttestFrame&)> on_aci_attest;
    std::function<void()> on_receipt_signed;       // worker thread
    std::function<void()> on_idle;                 // the last open exchange has ended
    std::function<void(const Error&)> on_refused;  // the credential does not work
};

class Relay {
public:
    Relay(net::EventLoop& loop, RelayOptions options, const ExchangeParts& parts,
          RelayEvents events);
    // REQUIRES: the loop's thread, or the loop is not running. Waits for running exchanges, which
    // are cancelled first.
    ~Relay();
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    void connect();
    bool connected() const { return welcomed_; }
    // New exchanges are refused with `draining`; those open go on.
    void start_draining() { draining_ = true; }
    // Cuts every open exchange: each answers with a partial receipt or none.
    void cancel_all();
    // Closes after what is pending has been sent; no reconnect.
    void close();
    // Being received or served, those of a lost connection included.
    std::size_t open_exchanges() const { return streams_.size() + orphans_.size(); }
    // Sends what was signed before `before` and is not acknowledged, as far as the socket has room.
    void resend_receipts(Instant before);
    // To whoever asked for a report that cannot be made; lost when the connection is.
    void refuse_aci(std::uint64_t ticket, const std::string& detail);

private:
    class Connection;
    class Stream;

    void on_socket(Result<std::shared_ptr<net::WebSocket>> socket);
    void on_message(std::string_view bytes, bool binary);
    void on_closed(std::uint16_t code, const std::string& reason);
    void on_control(std::string_view text);
    void on_welcome(const WelcomeFrame& welcome);
    void on_receipts_wanted(const ReceiptsWantedFrame& wanted);
    void on_open(OpenFrame open);
    void on_request_data(Stream& stream, std::string_view payload);
    void on_request_end(const std::shared_ptr<Stream>& stream);
    void on_cancel(const std::shared_ptr<Stream>& stream);
    void refuse_stream(std::uint64_t stream, ErrorCode code, std::string detail);
    void end_stream(const std::shared_ptr<Stream>& stream);
    void tell_if_idle();
    void drop_stream(std::unordered_map<std::uint64_t, std::shared_ptr<Stream>>::iterator position);
    void protocol_error(const char* what);
    void reconnect_later();

    net::EventLoop& loop_;
    const RelayOptions options_;
    const ExchangeParts& parts_;
    const RelayEvents events_;
    std::shared_ptr<Connection> connection_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Stream>> streams_;
    std::unordered_set<std::shared_ptr<Stream>> orphans_;  // served for a connection that is gone
    std::unordered_set<std::string> wanted_;  // orphans' jobs that the market asked about
    std::size_t buffered_bytes_ = 0;
    std::size_t window_bytes_ = limits::relay_window_bytes;
    Duration backoff_;
    net::Timer reconnect_;
    bool welcomed_ = false;
    bool connecting_ = false;
    bool draining_ = false;
    bool closing_ = false;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);  // posted calls check that we still are
    std::unique_ptr<net::WorkerPool> jobs_;                  // last: joined first
};

}  // namespace cocoon::node
