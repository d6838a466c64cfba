// The bytes' side of the relay: clients and nodes. relay_outcome.cpp decides nothing either, but
// says to the lane what happened.
#include "server/relay.hpp"

#include <algorithm>

#include "api/routes.hpp"
#include "core/encoding.hpp"
#include "core/log.hpp"
#include "server/relay_parts.hpp"

namespace cocoon::server {
namespace {

constexpr std::size_t request_piece_bytes_max = 64 << 10;
constexpr std::size_t link_waiting_bytes_max = 8 << 20;

}  // namespace

std::size_t FinalChunkFinder::feed(std::string_view bytes) {
    std::size_t at = 0;
    while (!found_ && at < bytes.size()) {
        const std::size_t left = bytes.size() - at;
        if (nonce_left_ > 0) {
            const std::size_t step = std::min(nonce_left_, left);
            nonce_left_ -= step;
            at += step;
        } else if (chunk_left_ > 0) {
            const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, left));
            chunk_left_ -= step;
            at += step;
        } else {  // a length: 1, 2, 4 or 8 bytes (RFC 9000 §16); zero announces the final chunk
            const auto byte = static_cast<std::uint8_t>(bytes[at++]);
            if (length_bytes_left_ == 0) {
                length_bytes_left_ = (1 << (byte >> 6)) - 1;
                length_ = byte & 0x3f;
            } else {
                length_ = length_ << 8 | byte;
                --length_bytes_left_;
            }
            if (length_bytes_left_ > 0) continue;
            chunk_left_ = length_;
            found_ = length_ == 0;
        }
    }
    return at;
}

Relay::Relay(RelayDoors doors, RelayOptions options)
    : doors_{std::move(doors)}, options_{std::move(options)} {}
Relay::~Relay() = default;

void Relay::start() {
    for (const NodeId node : doors_.directory.connected_nodes()) {
        command(matching::SetNodePresence{node, false}, {});
    }
    heartbeat_ = doors_.loop.call_after(options_.heartbeat, [this] { beat(); });
}

Relay::StreamPtr Relay::find(std::uint64_t id) const {
    const auto found = streams_.find(id);
    return found == streams_.end() ? nullptr : found->second;
}

// ---- Clients -----------------------------------------------------------------------------------

void Relay::begin(std::shared_ptr<Incoming> in, JobId job) {
    auto examined = examine(in, job);
    if (!examined) return in->refuse(examined.error());
    const StreamPtr stream = std::move(*examined);
    streams_[stream->id] = stream;
    by_job_[job].push_back(stream->id);
    doors_.metrics.relay_streams.set(static_cast<std::int64_t>(streams_.size()));
    if (stream->job->session) {
        auto& session = sessions_[job];
        if (!session) {
            session = std::make_unique<Session>();
            session->newest = stream->job->usage;
            session->counter = session->captured_counter = stream->job->counter;
        }
        session->in_flight = sum(session->in_flight, stream->terms.quantity);
    }
    const std::weak_ptr<Stream> weak = stream;
    in->exchange().on_closed([this, weak] {
        if (const StreamPtr alive = weak.lock()) client_gone(alive);
    });
    read_more(stream);
}

// Everything that can be said before the body is touched.
Result<Relay::StreamPtr> Relay::examine(const std::shared_ptr<Incoming>& in, JobId id) {
    const auto job = doors_.directory.job(id);
    if (!job || job->account != in->principal().account) return refuse(ErrorCode::not_found);
    if (draining_) return refuse(ErrorCode::draining);
    const net::Headers& headers = in->request().headers;
    if (!net::same_ignoring_case(headers.get("Content-Type"),
                                 sealing::ohttp::chunked_request_media_type)) {
        return refuse(ErrorCode::unsupported_media_type, "send message/ohttp-chunked-req");
    }
    const auto newest = doors_.directory.newest_job(job->request);
    if (headers.get("Cocoon-Fencing-Token") != std::to_string(job->fencing_token) ||
        (newest && newest->id != id)) {
        return refuse(ErrorCode::stale_fencing_token);
    }
    if (job->state == matching::JobState::expired ||
        (is_open(job->state) && job->expires_at <= doors_.clock.now())) {
        return refuse(ErrorCode::reservation_expired);
    }
    if (!is_open(job->state)) return refuse(ErrorCode::wrong_state, "the job has ended");
    const auto running = by_job_.find(id);
    const bool busy = running != by_job_.end() && !running->second.empty();
    if (!job->session && (busy || job->state == matching::JobState::running)) {
        return refuse(ErrorCode::wrong_state, "the job's one exchange has begun");
    }
    const auto stream = std::make_shared<Stream>();
    stream->id = next_stream_++;
    stream->in = in;
    stream->job = job;
    stream->market = doors_.directory.market_name(job->market);
    stream->keyset = doors_.directory.keyset(job->keyset_digest);
    if (!stream->keyset)
        return refuse(ErrorCode::node_unavailable, "the node's keys are not known any more");
    if (auto fits = check_terms(*stream, headers.get("Cocoon-Terms")); !fits)
        return std::move(fits).error();
    return stream;
}

// The client's terms must be the job's own, else node and client would seal under different ideas.
Result<void> Relay::check_terms(Stream& stream, std::string_view header) {
    const auto wrong = [](std::string why) {
        return Error{ErrorCode::invalid_body, "", {{"Cocoon-Terms:", std::move(why)}}};
    };
    const auto bytes = header.size() <= terms_bytes_max ? from_base64url(header) : std::nullopt;
    if (!bytes || bytes->empty()) return wrong("must be base64url of the terms");
    stream.terms_text = std::string{as_text(*bytes)};
    auto terms = parse_terms(stream.terms_text);
    if (!terms) return std::move(terms).error();
    stream.terms = std::move(*terms);
    const matching::Job& job = *stream.job;
    if (stream.terms.job != job.id) return wrong("/job is another job");
    if (stream.terms.market != *stream.market) return wrong("/market is not the job's");
    if (stream.terms.fencing_token != job.fencing_token)
        return refuse(ErrorCode::stale_fencing_token);
    if (!(stream.terms.price == job.price)) return wrong("/price is not the job's");
    if (!job.session) {
        if (stream.terms.expires_at != job.expires_at) return wrong("/expires_at is not the job's");
        if (!(stream.terms.quantity == job.quantity)) return wrong("/quantity is not the job's");
        return {};
    }
    if (stream.terms.expires_at > job.expires_at)
        return wrong("/expires_at is after the session's");
    const auto found = sessions_.find(job.id);
    matching::QuantityVector taken = job.usage;
    if (found != sessions_.end()) {
        taken = found->second->newest;
        taken = sum(taken, found->second->in_flight);
    }
    if (!matching::within(sum(taken, stream.terms.quantity), job.quantity)) {
        return wrong("/quantity exceeds what is left of the session");
    }
    return {};
}

void Relay::read_more(const StreamPtr& stream) {
    if (stream->reading || stream->body_ended) return;
    stream->reading = true;
    const std::weak_ptr<Stream> weak = stream;
    stream->in->exchange().read_body([this, weak](Result<net::BodyPiece> piece) {
        if (const StreamPtr alive = weak.lock()) take_piece(alive, std::move(piece));
    });
}

void Relay::take_piece(const StreamPtr& stream, Result<net::BodyPiece> piece) {
    stream->reading = false;
    if (stream->phase != Phase::checking && stream->phase != Phase::open) return;
    if (!piece) {
        if (stream->in->exchange().closed()) return client_gone(stream);
        if (stream->phase == Phase::checking) {
            stream->in->refuse(piece.error());
            return forget(stream);
        }
        stream->in->refuse(piece.error());
        return stop(stream, std::string{describe(piece.error().code).name});
    }
    stream->body_ended = piece->last;
    doors_.metrics.relay_request_bytes.add(piece->bytes.size());
    if (stream->phase == Phase::open) {
        stream->unsent += piece->bytes;
        return pump_request(stream);
    }
    stream->prefix += piece->bytes;
    if (stream->prefix.size() < sealing::ohttp::sealed_prefix_bytes_min && !stream->body_ended)
        return read_more(stream);
    if (const auto sealed = check_prefix(*stream); !sealed) {
        stream->in->refuse(sealed.error());
        return forget(stream);
    }
    open(stream);
}

// Whether the body begins like a message sealed to one of the node's keys: plaintext stops here.
Result<void> Relay::check_prefix(Stream& stream) {
    const ByteView bytes = as_bytes(stream.prefix);
    for (const sealing::SealingKeyEntry& entry : stream.keyset->sealing_keys) {
        if (!sealing::ohttp::looks_sealed(bytes, entry.config)) continue;
        // The response nonce is as long as the AEAD's key (RFC 9458 §4.4): 16 bytes for
        // AES-128-GCM.
        const unsigned aead = static_cast<unsigned>(bytes[5]) << 8 | bytes[6];
        stream.final_chunk = FinalChunkFinder{aead == 1 ? 16u : 32u};
        return {};
    }
    return refuse(ErrorCode::not_sealed, "the body must be sealed to a key of the node's keyset");
}

// The node hears of the exchange, and the lane that the job runs, at the same time.
void Relay::open(const StreamPtr& stream) {
    // The job may have ended or been replaced while the first bytes came.
    stream->job = doors_.directory.job(stream->job->id);
    if (!stream->job || !is_open(stream->job->state)) {
        stream->in->refuse(refuse(ErrorCode::wrong_state, "the job has ended"));
        return forget(stream);
    }
    stream->phase = Phase::open;
    stream->opened_at = doors_.clock.now();
    const auto found = links_.find(stream->job->node);
    if (found == links_.end() || !found->second->greeted ||
        found->second->streams.size() >= limits::relay_streams_per_node_max) {
        return node_lost(stream);
    }
    const std::shared_ptr<Link> link = found->second;
    stream->link = link;
    link->streams.insert(stream->id);
    stream->credit = stream->allowance = options_.window_bytes;
    doors_.metrics.relay_streams_opened.add();
    send(link,
         open_message(stream->id, *stream->job, *stream->market, stream->terms_text,
                      stream->in->request_id()),
         false);
    stream->unsent = std::move(stream->prefix);
    if (stream->job->state == matching::JobState::reserved) {
        const std::weak_ptr<Stream> weak = stream;
        stream->starting = true;
        command(matching::StartJob{stream->job->id, stream->job->fencing_token},
                [this, weak](matching::Answered answer) {
                    const StreamPtr alive = weak.lock();
                    if (!alive) return;
                    alive->starting = false;
                    if (const auto next = std::exchange(alive->when_started, {})) return next();
                    if (answer.reply || alive->phase != Phase::open) return;
                    // Another exchange of a session may have been first; anything else ends this
                    // one.
                    if (alive->job->session && answer.reply.error().code == ErrorCode::wrong_state)
                        return;
                    if (!alive->started) alive->in->refuse(answer.reply.error());
                    stop(alive, std::string{describe(answer.reply.error().code).name});
                });
    }
    pump_request(stream);
}

void Relay::pump_request(const StreamPtr& stream) {
    const std::shared_ptr<Link> link = stream->link.lock();
    if (!link || stream->phase != Phase::open) return;
    std::size_t sent = 0;
    while (sent < stream->unsent.size() && stream->credit > 0) {
        const std::size_t piece =
            std::min({stream->unsent.size() - sent, static_cast<std::size_t>(stream->credit),
                      request_piece_bytes_max});
        const std::string_view bytes = std::string_view{stream->unsent}.substr(sent, piece);
        if (!link->waiting.empty() ||
            !link->socket->send_binary(make_frame(FrameType::request_data, stream->id, bytes))) {
            block(link, stream);  // drained() comes back here
            break;
        }
        stream->request_hash.update(as_bytes(bytes));
        stream->credit -= piece;
        sent += piece;
    }
    stream->unsent.erase(0, sent);
    if (!stream->unsent.empty()) return;
    if (!stream->body_ended) return read_more(stream);
    if (stream->end_sent) return;
    stream->end_sent = true;
    stream->request_digest = stream->request_hash.finish();
    send(link, make_frame(FrameType::request_end, stream->id), true);
}

// Credit may come any number of times while the socket is full: a stream waits for it once.
void Relay::block(const std::shared_ptr<Link>& link, const StreamPtr& stream) {
    if (std::exchange(stream->blocked, true)) return;
    link->blocked.push_back(stream->id);
    doors_.metrics.relay_streams_blocked.add(1);
}

void Relay::unblock(const std::shared_ptr<Link>& link, const StreamPtr& stream) {
    if (!std::exchange(stream->blocked, false)) return;
    std::erase(link->blocked, stream->id);
    doors_.metrics.relay_streams_blocked.add(-1);
}

void Relay::client_gone(const StreamPtr& stream) {
    if (stream->client_left || stream->cut) return;
    stream->client_left = true;
    if (stream->finishing) return forget(stream);
    if (stream->phase == Phase::settling) return;  // the work is done and will be paid
    doors_.metrics.relay_client_hang_ups.add();
    if (stream->phase == Phase::checking) return forget(stream);
    if (stream->phase == Phase::open) stop(stream, "client_gone");
}

// Asks the node for its last word and waits a while for it.
void Relay::stop(const StreamPtr& stream, std::string reason) {
    stream->phase = Phase::stopping;
    stream->reason = std::move(reason);
    stream->unsent.clear();
    stream->backlog.clear();
    stream->give_up_at = doors_.clock.now() + options_.cancel_grace;
    if (stream->started && !stream->client_left) cut(stream, stream->reason);
    if (const auto link = stream->link.lock())
        send(link, make_frame(FrameType::cancel, stream->id), true);
}

// All that gathered in this turn of the loop goes to its clients in one write each.
void Relay::flush() {
    flush_posted_ = false;
    std::vector<std::weak_ptr<Stream>> dirty = std::move(dirty_);
    dirty_.clear();
    for (const auto& weak : dirty) {
        const StreamPtr stream = weak.lock();
        if (!stream) continue;
        stream->dirty = false;
        flush(stream);
    }
}

void Relay::flush(const StreamPtr& stream) {
    if (stream->client_left || stream->phase == Phase::stopping || stream->phase == Phase::checking)
        return;
    net::Exchange& exchange = stream->in->exchange();
    if (!stream->started) {
        stream->started = true;
        stream->in->start(200, sealing::ohttp::chunked_response_media_type,
                          net::Headers{{"Cocoon-Receipt", stream->job->id.text()},
                                       {"Trailer", "Cocoon-Receipt-Envelope"}});
    }
    if (!stream->backlog.empty()) {
        const std::size_t bytes = stream->backlog.size();
        if (!exchange.write(stream->backlog)) {
            if (exchange.closed()) return stream->finishing ? forget(stream) : void();
            if (stream->waiting_for_client) return;
            stream->waiting_for_client = true;
            const std::weak_ptr<Stream> weak = stream;
            exchange.on_drained([this, weak] {
                const StreamPtr alive = weak.lock();
                if (!alive) return;
                alive->waiting_for_client = false;
                flush(alive);
            });
            return;
        }
        stream->backlog.clear();
        stream->owed += bytes;
    }
    if (stream->phase == Phase::open) return grant(stream);
    if (!stream->finishing) return;
    // Finishing means captured: the receipt goes with the answer, and nobody has to ask for it.
    net::Headers trailers;
    if (stream->job->session)
        trailers.add("Cocoon-Receipt",
                     stream->job->id.text() + "." + std::to_string(stream->counter));
    if (stream->envelope.size() <= limits::receipt_trailer_bytes_max)
        trailers.add("Cocoon-Receipt-Envelope", to_base64url(as_bytes(stream->envelope)));
    exchange.finish(std::move(trailers));
    stream->in->finished("completed", stream->response_bytes);
    forget(stream);
}

// The node may send again what the client has taken; in quarters of the window, not byte by byte.
void Relay::grant(const StreamPtr& stream) {
    if (stream->owed < options_.window_bytes / 4 || stream->waiting_for_client) return;
    net::Exchange& exchange = stream->in->exchange();
    if (exchange.pending_bytes() > options_.window_bytes / 2) {
        stream->waiting_for_client = true;
        const std::weak_ptr<Stream> weak = stream;
        exchange.on_drained([this, weak] {
            const StreamPtr alive = weak.lock();
            if (!alive) return;
            alive->waiting_for_client = false;
            flush(alive);
        });
        return;
    }
    const std::shared_ptr<Link> link = stream->link.lock();
    if (!link) return;
    send(link, make_credit(stream->id, static_cast<std::uint32_t>(stream->owed)), true);
    stream->allowance += stream->owed;
    stream->owed = 0;
}

// ---- Nodes -------------------------------------------------------------------------------------

void Relay::accept_node(std::shared_ptr<Incoming> in) {
    const NodeId node = in->principal().node;
    if (!node)
        return in->refuse(
            refuse(ErrorCode::forbidden, "the relay is for nodes with their own key"));
    if (draining_) return in->refuse(refuse(ErrorCode::draining));
    if (!in->request().websocket) {
        return in->refuse(
            Error{ErrorCode::malformed_request, "", {{"Upgrade:", "must ask for a WebSocket"}}});
    }
    const AccountId provider = in->principal().account;
    const KeyId key = in->principal().key;
    const auto exchange = in->shared_exchange();
    exchange->upgrade(
        options_.socket, {},
        [this, node, provider, key, in](std::shared_ptr<net::WebSocket> socket) {
            if (!socket) return;
            in->finished("upgraded", 0);
            const auto link = std::make_shared<Link>();
            link->node = node;
            link->provider = provider;
            link->key = key;
            link->socket = std::move(socket);
            link->opened_at = link->attest_told_at = doors_.clock.now();
            const auto older = links_.find(node);
            if (older != links_.end()) {
                const std::shared_ptr<Link> replaced = older->second;
                replaced->replaced = true;
                replaced->socket->close(4001, "replaced by a newer connection");
                link_closed(replaced);
            }
            links_[node] = link;
            doors_.metrics.relay_nodes.set(static_cast<std::int64_t>(links_.size()));
            const std::weak_ptr<Link> weak = link;
            link->socket->on_drained([this, weak] {
                if (const auto alive = weak.lock()) drained(alive);
            });
            link->socket->on_message([this, weak](std::string_view bytes, bool binary) {
                if (const auto alive = weak.lock()) take_message(alive, bytes, binary);
            });
            link->socket->on_closed([this, weak](std::uint16_t code, const std::string& reason) {
                const auto alive = weak.lock();
                if (!alive) return;
                log::info("node_disconnected",
                          {{"node", alive->node.text()}, {"code", code}, {"why", reason}});
                link_closed(alive);
            });
        });
}

void Relay::greet(const std::shared_ptr<Link>& link) {
    link->greeted = link->present = true;
    log::info("node_connected", {{"node", link->node.text()}, {"program", link->program}});
    send(link, welcome_message(link->node, doors_.market_public_key, options_.window_bytes), false);
    command(matching::SetNodePresence{link->node, true}, {});
    want_receipts(link, doors_.directory.running_jobs(link->node));
}

void Relay::take_message(const std::shared_ptr<Link>& link, std::string_view bytes, bool binary) {
    if (link->replaced) return;
    if (binary) {
        const auto frame = parse_frame(bytes);
        if (!frame || !link->greeted) return link->socket->close(1002, "malformed frame");
        return take_frame(link, *frame);
    }
    auto control = parse_control(bytes);
    if (!control) return link->socket->close(1002, "malformed control message");
    if (const Hello* hello = std::get_if<Hello>(&*control)) {
        if (hello->protocol != 1) return link->socket->close(1002, "this market speaks protocol 1");
        link->program = hello->program;
        if (!link->greeted) greet(link);
        return;
    }
    if (!link->greeted) return link->socket->close(1002, "hello comes first");
    if (Failed* failed = std::get_if<Failed>(&*control)) {
        if (!link->streams.contains(failed->stream)) return;
        if (const StreamPtr stream = find(failed->stream)) take_failed(stream, std::move(*failed));
    } else if (LateReceipt* late = std::get_if<LateReceipt>(&*control)) {
        take_late_receipt(link, std::move(*late));
    } else if (const NoReceipt* none = std::get_if<NoReceipt>(&*control)) {
        take_no_receipt(link, none->job);
    } else if (const AciFailed* unable = std::get_if<AciFailed>(&*control)) {
        if (doors_.aci_failed) doors_.aci_failed(link->node, unable->ticket, unable->detail);
    }
}

bool Relay::tell(NodeId node, std::string message) {
    const auto found = links_.find(node);
    if (found == links_.end() || !found->second->greeted) return false;
    send(found->second, std::move(message), false);
    return true;
}

void Relay::take_frame(const std::shared_ptr<Link>& link, const Frame& frame) {
    if (!link->streams.contains(frame.stream)) return;  // of an exchange that is over
    const StreamPtr stream = find(frame.stream);
    if (!stream) return;
    switch (frame.type) {
        case FrameType::response_data: return take_response(link, stream, frame.payload);
        case FrameType::response_end: return settle_receipt(stream, std::string{frame.payload});
        case FrameType::credit: {
            const auto credit = parse_credit(frame.payload);
            if (!credit || stream->credit + *credit > (1u << 30))
                return link->socket->close(1002, "wrong credit");
            stream->credit += *credit;
            return pump_request(stream);
        }
        default: return link->socket->close(1002, "frame in the wrong direction");
    }
}

void Relay::take_response(const std::shared_ptr<Link>& link, const StreamPtr& stream,
                          std::string_view payload) {
    if (payload.empty() || stream->phase == Phase::settling) return;
    if (payload.size() > stream->allowance)
        return link->socket->close(1002, "more than the credit allows");
    stream->allowance -= payload.size();
    stream->response_hash.update(as_bytes(payload));
    const Instant now = doors_.clock.now();
    if (!stream->any_output()) {
        stream->first_output_at = now;
        doors_.metrics.relay_first_output_seconds.observe(now - stream->opened_at);
    }
    stream->last_output_at = now;
    stream->response_bytes += payload.size();
    doors_.metrics.relay_response_bytes.add(payload.size());
    doors_.metrics.relay_response_chunks.add();
    // nobody reads it any more, but the receipt's hash covers it
    if (stream->phase != Phase::open) return;
    const std::size_t passing = stream->final_chunk.feed(payload);
    stream->backlog.append(payload.substr(0, passing));
    stream->held.append(payload.substr(passing));
    if (stream->dirty || passing == 0) return;
    stream->dirty = true;
    dirty_.push_back(stream);
    if (flush_posted_) return;
    flush_posted_ = true;
    doors_.loop.post([this] { flush(); });
}

void Relay::link_closed(const std::shared_ptr<Link>& link) {
    const auto found = links_.find(link->node);
    const bool current = found != links_.end() && found->second == link;
    if (current) {
        links_.erase(found);
        doors_.metrics.relay_nodes.set(static_cast<std::int64_t>(links_.size()));
    }
    if (current && link->present && !link->replaced)
        command(matching::SetNodePresence{link->node, false}, {});
    const auto streams = std::exchange(link->streams, {});
    if (!streams.empty()) doors_.metrics.relay_nodes_lost.add();
    for (const std::uint64_t id : streams) {
        const StreamPtr stream = find(id);
        if (!stream) continue;
        unblock(link, stream);
        if (stream->phase != Phase::settling) node_lost(stream);
    }
}

// Control frames wait here while the socket is full; a node that takes nothing loses its
// connection.
void Relay::send(const std::shared_ptr<Link>& link, std::string message, bool binary) {
    if (link->waiting.empty()) {
        const bool sent =
            binary ? link->socket->send_binary(message) : link->socket->send_text(message);
        if (sent || link->socket->closed()) return;
    }
    link->waiting_bytes += message.size();
    if (link->waiting_bytes > link_waiting_bytes_max) return link->socket->abort();
    link->waiting.emplace_back(std::move(message), binary);
}

void Relay::drained(const std::shared_ptr<Link>& link) {
    while (!link->waiting.empty()) {
        const auto& [message, binary] = link->waiting.front();
        if (!(binary ? link->socket->send_binary(message) : link->socket->send_text(message)))
            return;
        link->waiting_bytes -= message.size();
        link->waiting.pop_front();
    }
    const auto blocked = std::exchange(link->blocked, {});
    std::vector<StreamPtr> waiting;
    for (const std::uint64_t id : blocked) {
        const StreamPtr stream = find(id);
        if (!stream) continue;
        unblock(link, stream);
        waiting.push_back(stream);
    }
    for (const StreamPtr& stream : waiting) pump_request(stream);
}

void Relay::drain() {
    draining_ = true;
    for (const auto& [node, link] : links_) send(link, drain_message(), false);
}

void Relay::close_all() {
    const auto links = links_;
    for (const auto& [node, link] : links) link->socket->close(1001, "the market is going away");
}

}  // namespace cocoon::server
