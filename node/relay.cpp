#include "node/relay.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "core/log.hpp"
#include "sealing/signing.hpp"

namespace cocoon::node {
namespace {

// Credit is returned in lumps: a frame for every few hundred bytes would cost more than the bytes.
constexpr std::size_t credit_step_bytes = limits::relay_window_bytes / 4;
constexpr std::size_t payload_bytes_max = limits::relay_frame_bytes_max - frame_header_bytes;

}  // namespace

// One socket's life. Exchanges keep it, so that a late answer can never go out on a newer
// connection, where its stream number would mean something else.
class Relay::Connection {
public:
    explicit Connection(std::shared_ptr<net::WebSocket> socket) : socket_{std::move(socket)} {}

    net::WebSocket& socket() { return *socket_; }

    // Blocks while the socket is full. False when it is closed.
    bool send_blocking(std::string frame, bool binary) {
        std::unique_lock lock{mutex_};
        for (;;) {
            if (closed_) return false;
            // The socket takes its argument even when it refuses it, so it gets a copy.
            if (binary ? socket_->send_binary(frame) : socket_->send_text(frame)) return true;
            if (socket_->closed()) return false;
            // wake() needs the lock, so no notice is lost between the refusal and the wait; the
            // bound is for a socket that closes without saying so.
            drained_.wait_for(lock, std::chrono::seconds{1});
        }
    }
    void wake(bool closed) {
        const std::lock_guard lock{mutex_};
        closed_ = closed_ || closed;
        drained_.notify_all();
    }

private:
    const std::shared_ptr<net::WebSocket> socket_;
    std::mutex mutex_;
    std::condition_variable drained_;
    bool closed_ = false;
};

// One exchange: what the loop's thread receives for it and what its worker sends.
class Relay::Stream final : public Outlet {
public:
    Stream(OpenFrame open, std::shared_ptr<Connection> connection, std::size_t window_bytes)
        : open{std::move(open)},
          connection{std::move(connection)},
          credit_{static_cast<std::int64_t>(window_bytes)} {}

    bool send_sealed(ByteView bytes) override {
        std::string_view rest = as_text(bytes);
        while (!rest.empty()) {
            const std::size_t piece = take_credit(std::min(rest.size(), payload_bytes_max));
            if (piece == 0) return false;
            if (!connection->send_blocking(
                    binary_frame(FrameType::response_data, open.stream, rest.substr(0, piece)),
                    true))
                return false;
            rest.remove_prefix(piece);
        }
        return true;
    }
    void send_end(const std::string& receipt) override {
        connection->send_blocking(binary_frame(FrameType::response_end, open.stream, receipt),
                                  true);
    }
    void send_failed(const FailedFrame& failed) override {
        connection->send_blocking(failed_frame(failed), false);
    }
    bool cancelled() const override { return token.cancelled(); }

    void add_credit(std::uint32_t bytes) {
        const std::lock_guard lock{mutex_};
        credit_ = std::min<std::int64_t>(credit_ + bytes, INT64_MAX / 2);
        changed_.notify_all();
    }
    void cancel() {
        token.cancel();
        const std::lock_guard lock{mutex_};
        changed_.notify_all();
    }

    const OpenFrame open;
    const std::shared_ptr<Connection> connection;
    net::CancelToken token;
    // Loop's thread until the worker has the request.
    Bytes sealed;
    std::size_t received_bytes = 0;
    std::size_t credit_owed = 0;
    bool submitted = false;

private:
    // At least one and at most `wanted` bytes of credit; 0 when cancelled.
    std::size_t take_credit(std::size_t wanted) {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return credit_ > 0 || token.cancelled(); });
        if (token.cancelled()) return 0;
        const auto taken = std::min(wanted, static_cast<std::size_t>(credit_));
        credit_ -= static_cast<std::int64_t>(taken);
        return taken;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::int64_t credit_;
};

Relay::Relay(net::EventLoop& loop, RelayOptions options, const ExchangeParts& parts,
             RelayEvents events)
    : loop_{loop},
      options_{std::move(options)},
      parts_{parts},
      events_{std::move(events)},
      backoff_{options_.reconnect_min},
      jobs_{
          std::make_unique<net::WorkerPool>("exchange", options_.slots, 2 * options_.slots + 16)} {}

Relay::~Relay() {
    alive_.reset();
    closing_ = true;
    cancel_all();
    if (connection_) {
        connection_->wake(true);
        connection_->socket().abort();
    }
    jobs_.reset();
}

void Relay::connect() {
    if (connecting_ || connection_ || closing_) return;
    connecting_ = true;
    net::Headers headers{{"Authorization", "Bearer " + options_.credential}};
    net::WebSocketConnectOptions connect_options;
    connect_options.ca_file = options_.ca_file;
    connect_options.socket.message_bytes_max = limits::relay_frame_bytes_max + 1024;
    net::connect_websocket(
        loop_, options_.url, std::move(headers), std::move(connect_options),
        [this, alive = std::weak_ptr{alive_}](Result<std::shared_ptr<net::WebSocket>> socket) {
            if (!alive.expired()) on_socket(std::move(socket));
        });
}

void Relay::on_socket(Result<std::shared_ptr<net::WebSocket>> socket) {
    connecting_ = false;
    if (!socket) {
        log::warning(
            "the market's relay cannot be reached",
            {{"code", describe(socket.error().code).name}, {"detail", socket.error().detail}});
        const bool credential = socket.error().code == ErrorCode::unauthenticated ||
                                socket.error().code == ErrorCode::forbidden;
        if (credential && events_.on_refused) events_.on_refused(socket.error());
        return reconnect_later();
    }
    if (closing_) return (*socket)->abort();
    connection_ = std::make_shared<Connection>(std::move(*socket));
    net::WebSocket& opened = connection_->socket();
    const auto alive = std::weak_ptr{alive_};
    opened.on_message([this, alive](std::string_view bytes, bool binary) {
        if (!alive.expired()) on_message(bytes, binary);
    });
    opened.on_drained([weak = std::weak_ptr{connection_}] {
        if (const auto connection = weak.lock()) connection->wake(false);
    });
    opened.on_closed([this, alive](std::uint16_t code, std::string reason) {
        if (!alive.expired()) on_closed(code, reason);
    });
    opened.send_text(hello_frame());
}

void Relay::on_closed(std::uint16_t code, const std::string& reason) {
    log::warning("disconnected from the market", {{"close_code", code}, {"reason", reason}});
    if (connection_) connection_->wake(true);
    connection_.reset();
    welcomed_ = false;
    // Nobody takes these answers any more: stop the engine, keep the partial receipts.
    for (auto& [number, stream] : streams_) {
        stream->cancel();
        if (stream->submitted) orphans_.insert(stream);
        buffered_bytes_ -= stream->received_bytes;
    }
    // Stream numbers begin anew on the next connection, and the market asks anew.
    streams_.clear();
    wanted_.clear();
    if (events_.on_disconnected) events_.on_disconnected();
    reconnect_later();
}

void Relay::reconnect_later() {
    if (closing_) return;
    // Full jitter over the upper half, so that a restarted market is not met by all nodes at once.
    std::uint8_t chance[2];
    sealing::fill_random(chance);
    const std::int64_t half = backoff_.us / 2;
    const Duration wait{half + half * (chance[0] << 8 | chance[1]) / 65'536};
    backoff_ = std::min(backoff_ * 2, options_.reconnect_max);
    reconnect_ = loop_.call_after(wait, [this] { connect(); });
}

void Relay::on_message(std::string_view bytes, bool binary) {
    if (!binary) return on_control(bytes);
    const auto frame = parse_binary(bytes);
    if (!frame) return protocol_error("malformed binary frame");
    const auto found = streams_.find(frame->stream);
    if (found == streams_.end()) return;  // ended meanwhile
    const std::shared_ptr<Stream> stream = found->second;
    switch (frame->type) {
        case FrameType::request_data: return on_request_data(*stream, frame->payload);
        case FrameType::request_end: return on_request_end(stream);
        case FrameType::credit: return stream->add_credit(frame->credit);
        case FrameType::cancel: return on_cancel(stream);
        case FrameType::response_data:
        case FrameType::response_end: return protocol_error("a frame of the node's own direction");
    }
}

void Relay::on_control(std::string_view text) {
    auto frame = parse_control(text);
    if (!frame) return protocol_error("malformed control frame");
    if (auto* open = std::get_if<OpenFrame>(&*frame)) return on_open(std::move(*open));
    if (const auto* welcome = std::get_if<WelcomeFrame>(&*frame)) return on_welcome(*welcome);
    if (const auto* ack = std::get_if<ReceiptAckFrame>(&*frame)) {
        if (!ack->refused.empty())
            log::error("the market refused a receipt, which will not be paid",
                       {{"job", ack->job},
                        {"counter", ack->counter},
                        {"code", ack->refused},
                        {"why", ack->detail}});
        return parts_.receipts.acknowledge(ack->job, ack->counter);
    }
    if (const auto* wanted = std::get_if<ReceiptsWantedFrame>(&*frame))
        return on_receipts_wanted(*wanted);
    if (const auto* asked = std::get_if<AciAttestFrame>(&*frame); asked && events_.on_aci_attest)
        events_.on_aci_attest(*asked);
    if (std::holds_alternative<AttestFrame>(*frame) && events_.on_attest) events_.on_attest();
    if (std::holds_alternative<DrainFrame>(*frame)) log::info("the market drains this connection");
}

void Relay::on_welcome(const WelcomeFrame& welcome) {
    if (welcome.node != parts_.node) return protocol_error("welcomed as another node");
    welcomed_ = true;
    window_bytes_ = welcome.window_bytes;
    backoff_ = options_.reconnect_min;
    log::info("connected to the market", {{"node", welcome.node}});
    resend_receipts(parts_.clock.now());
    if (events_.on_connected) events_.on_connected();
}

void Relay::resend_receipts(Instant before) {
    if (!welcomed_ || !connection_) return;
    for (const ReceiptBook::Pending& receipt : parts_.receipts.pending(before))
        if (!connection_->socket().send_text(receipt_frame(receipt.job, receipt.document))) break;
}

// What is signed was sent at the welcome; what is still being served is answered when it ends.
void Relay::on_receipts_wanted(const ReceiptsWantedFrame& wanted) {
    const auto serves = [](const auto& streams, const auto& matches) {
        return std::any_of(streams.begin(), streams.end(), matches);
    };
    for (const std::string& job : wanted.jobs) {
        const bool orphan =
            serves(orphans_, [&](const auto& stream) { return stream->open.job == job; });
        const bool served = orphan || serves(streams_, [&](const auto& entry) {
                                return entry.second->open.job == job;
                            });
        if (orphan) wanted_.insert(job);
        if (served || parts_.receipts.document(job)) continue;
        log::warning("no receipt of a job the market asks about", {{"job", job}});
        connection_->socket().send_text(no_receipt_frame(job));
    }
}

void Relay::refuse_aci(std::uint64_t ticket, const std::string& detail) {
    if (connection_) connection_->socket().send_text(aci_failed_frame(ticket, detail));
}

void Relay::on_open(OpenFrame open) {
    if (!welcomed_) return protocol_error("open before welcome");
    if (streams_.contains(open.stream)) return protocol_error("a stream opened twice");
    if (draining_) return refuse_stream(open.stream, ErrorCode::draining, "the node is draining");
    // Twice the slots: the market may fill a slot again before its last exchange is tidied up here.
    if (open_exchanges() >= 2 * options_.slots)
        return refuse_stream(open.stream, ErrorCode::overloaded, "every slot of the node is taken");
    const std::uint64_t number = open.stream;
    streams_.emplace(number, std::make_shared<Stream>(std::move(open), connection_, window_bytes_));
}

void Relay::refuse_stream(std::uint64_t stream, ErrorCode code, std::string detail) {
    FailedFrame failed;
    failed.stream = stream;
    failed.code = std::string{describe(code).name};
    failed.detail = std::move(detail);
    connection_->socket().send_text(failed_frame(failed));
}

void Relay::on_request_data(Stream& stream, std::string_view payload) {
    if (stream.submitted) return protocol_error("request bytes after their end");
    stream.received_bytes += payload.size();
    stream.credit_owed += payload.size();
    buffered_bytes_ += payload.size();
    const bool too_large = stream.received_bytes > limits::http_sealed_body_bytes_max;
    if (too_large || buffered_bytes_ > relay_buffered_bytes_max) {
        buffered_bytes_ -= payload.size();
        stream.received_bytes -= payload.size();
        const std::uint64_t number = stream.open.stream;
        refuse_stream(number, too_large ? ErrorCode::body_too_large : ErrorCode::overloaded,
                      "the sealed request is too large now");
        return drop_stream(streams_.find(number));
    }
    const ByteView bytes = as_bytes(payload);
    stream.sealed.insert(stream.sealed.end(), bytes.begin(), bytes.end());
    if (stream.credit_owed < credit_step_bytes) return;
    connection_->socket().send_binary(
        credit_frame(stream.open.stream, static_cast<std::uint32_t>(stream.credit_owed)));
    stream.credit_owed = 0;
}

void Relay::on_request_end(const std::shared_ptr<Stream>& stream) {
    if (stream->submitted) return protocol_error("a request ended twice");
    stream->submitted = true;
    const auto serve = [this, stream] {
        serve_exchange(parts_, stream->open, std::move(stream->sealed), *stream, stream->token);
        if (events_.on_receipt_signed) events_.on_receipt_signed();
        loop_.post([this, stream, alive = std::weak_ptr{alive_}] {
            if (!alive.expired()) end_stream(stream);
        });
    };
    if (jobs_->submit(serve)) return;
    stream->submitted = false;  // so that nobody waits for its worker
    refuse_stream(stream->open.stream, ErrorCode::overloaded, "every slot of the node is taken");
    drop_stream(streams_.find(stream->open.stream));
}

void Relay::on_cancel(const std::shared_ptr<Stream>& stream) {
    stream->cancel();
    if (stream->submitted) return;  // its worker answers
    refuse_stream(stream->open.stream, ErrorCode::upstream_failed, "cancelled");
    drop_stream(streams_.find(stream->open.stream));
}

void Relay::end_stream(const std::shared_ptr<Stream>& stream) {
    const auto found = streams_.find(stream->open.stream);
    if (found != streams_.end() && found->second == stream) return drop_stream(found);
    orphans_.erase(stream);
    if (const std::string& job = stream->open.job; wanted_.erase(job) > 0 && connection_) {
        const auto receipt = parts_.receipts.document(job);
        connection_->socket().send_text(receipt ? receipt_frame(job, *receipt)
                                                : no_receipt_frame(job));
    }
    tell_if_idle();
}

void Relay::drop_stream(
    std::unordered_map<std::uint64_t, std::shared_ptr<Stream>>::iterator position) {
    if (position == streams_.end()) return;
    buffered_bytes_ -= position->second->received_bytes;
    streams_.erase(position);
    tell_if_idle();
}

void Relay::tell_if_idle() {
    if (open_exchanges() == 0 && events_.on_idle) events_.on_idle();
}

void Relay::cancel_all() {
    for (auto& [number, stream] : streams_) stream->cancel();
}

void Relay::close() {
    closing_ = true;
    reconnect_.cancel();
    if (connection_) connection_->socket().close(1000, "node stops");
}

void Relay::protocol_error(const char* what) {
    log::error("the market broke the relay's protocol", {{"what", what}});
    if (connection_) connection_->socket().close(1002, what);
}

}  // namespace cocoon::node
