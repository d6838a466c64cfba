#include "node/exchange.hpp"

#include <algorithm>
#include <optional>
#include <variant>

#include "core/limits.hpp"
#include "core/log.hpp"
#include "node/inference_request.hpp"
#include "node/metering.hpp"
#include "sealing/binary_http.hpp"
#include "sealing/ohttp.hpp"

namespace cocoon::node {
namespace {

namespace bhttp = sealing::bhttp;
namespace ohttp = sealing::ohttp;

// The answer going out: binary HTTP inside sealed chunks, hashed as they leave. The head is kept
// back until there is content, so that an engine that dies before its first word costs nobody
// anything.
class SealedAnswer {
public:
    SealedAnswer(ohttp::ChunkedResponseSealer sealer, Outlet& outlet)
        : sealer_{std::move(sealer)}, outlet_{outlet} {}

    Result<void> begin(int status, std::string_view content_type) {
        bhttp::Fields fields{{"content-type", std::string{content_type}}};
        if (content_type == "text/event-stream") fields.push_back({"cache-control", "no-cache"});
        auto head = writer_.begin(status, fields);
        if (!head) return head.error();
        pending_ = std::move(*head);
        return {};
    }
    // False when nobody listens any more.
    bool write(std::string_view content) {
        if (content.empty()) return true;
        append(writer_.content(as_bytes(content)));
        const auto sealed = sealer_.seal(pending_);
        pending_.clear();
        return sealed && send(*sealed);
    }
    bool finish(std::string_view last_content) {
        if (!last_content.empty()) append(writer_.content(as_bytes(last_content)));
        const auto end = writer_.finish();
        if (!end) return false;
        append(*end);
        const auto sealed = sealer_.finish(pending_);
        pending_.clear();
        return sealed && send(*sealed);
    }
    bool started() const { return started_; }
    // Of everything handed to the outlet.
    sealing::Digest digest() { return hash_.finish(); }

private:
    void append(const Bytes& bytes) { pending_.insert(pending_.end(), bytes.begin(), bytes.end()); }
    bool send(const Bytes& sealed) {
        if (sealed.empty()) return true;
        if (!outlet_.send_sealed(sealed)) return false;
        hash_.update(sealed);
        started_ = true;
        return true;
    }

    ohttp::ChunkedResponseSealer sealer_;
    bhttp::ResponseWriter writer_;
    Outlet& outlet_;
    sealing::Sha256 hash_;
    Bytes pending_;
    bool started_ = false;
};

struct Opened {
    bhttp::Request request;
    Bytes content;
    std::shared_ptr<const KeysetKeys> keys;
    ohttp::ChunkedResponseSealer sealer;
};

class Service {
public:
    Service(const ExchangeParts& parts, const OpenFrame& open, Outlet& outlet,
            net::CancelToken& cancel)
        : parts_{parts}, open_{open}, outlet_{outlet}, cancel_{cancel} {}

    void run(const Bytes& sealed_request) {
        if (const auto refused = admit()) return fail(*refused, "refused");
        request_digest_ = sealing::sha256(sealed_request);
        auto opened = open_request(sealed_request);
        if (!opened) return fail(opened.error(), "not opened");
        keys_ = opened->keys;
        // Only a known path is public: a receipt must not carry what a client sealed.
        endpoint_ = is_served(opened->request.path) ? opened->request.path : "/";
        answer_.emplace(std::move(opened->sealer), outlet_);
        auto prepared = prepare(opened->request, opened->content, rules());
        if (const auto* refusal = std::get_if<InferenceRefusal>(&prepared))
            return answer_refusal(*refusal);
        request_ = std::get<EngineRequest>(std::move(prepared));
        if (request_.stream)
            stream();
        else
            whole();
    }

private:
    // Terms, replays of the reservation, room for the receipt.
    std::optional<Error> admit() {
        const Instant now = parts_.clock.now();
        const auto terms = check_terms(open_, now);
        if (!terms) return terms.error();
        terms_ = *terms;
        const bool offered = open_.market.starts_with("inference:") &&
                             parts_.settings.find_offer(open_.market, open_.build) != nullptr;
        if (!offered)
            return refuse(ErrorCode::node_unavailable, "this node no longer offers that market");
        if (const auto room = parts_.receipts.admit(); !room) return room.error();
        const auto fresh = parts_.replays.admit_job(open_.job, open_.fencing_token, open_.session,
                                                    terms_.expires_at);
        if (!fresh) return fresh.error();
        return std::nullopt;
    }

    Result<Opened> open_request(const Bytes& sealed) {
        const auto openers = parts_.keyring.openers(parts_.clock.now());
        std::vector<ohttp::GatewayKey> gateways;
        // The key configuration's id is the first byte of a sealed request (RFC 9458 §4.3). The
        // market has compared it with the job's keyset, so an unknown one was ours before a
        // restart.
        const bool known =
            !sealed.empty() && std::any_of(openers.begin(), openers.end(), [&](const auto& keys) {
                return keys->gateway.config.key_id == sealed.front();
            });
        if (!known)
            return refuse(ErrorCode::node_unavailable,
                          "sealed to keys that this node no longer has");
        for (const auto& keys : openers) gateways.push_back(keys->gateway);
        const ByteView associated = as_bytes(open_.terms);
        ohttp::ChunkedRequestOpener opener{std::move(gateways),
                                           Bytes{associated.begin(), associated.end()}};
        auto plain = opener.feed(sealed);
        if (!plain) return plain.error();
        auto last = opener.finish();
        // The market has delivered all there was: cut or forged, it is the sender's message, not
        // our fault.
        if (!last)
            return refuse(ErrorCode::sealed_message_invalid, "the sealed request does not open");
        plain->insert(plain->end(), last->begin(), last->end());
        for (const auto& keys : openers) {
            if (sealed.empty() || keys->gateway.config.key_id != sealed.front()) continue;
            const auto fresh =
                parts_.replays.admit(*opener.encapsulated_key(), keys->keyset.digest);
            if (!fresh) return fresh.error();
            auto request = bhttp::parse_request(*plain);
            // Its own words could quote the plaintext, and this refusal is read by the market.
            if (!request)
                return refuse(request.error().code, "the sealed request is no binary HTTP request");
            auto sealer = opener.response_sealer();
            if (!sealer) return sealer.error();
            Bytes content = std::move(request->content);
            return Opened{std::move(*request), std::move(content), keys, std::move(*sealer)};
        }
        return refuse(ErrorCode::sealed_message_invalid, "sealed to no key of this node");
    }

    InferenceRules rules() const {
        const OfferSettings& offer = *parts_.settings.find_offer(open_.market, open_.build);
        InferenceRules rules;
        rules.job = open_.job;
        rules.model = offer.model();
        rules.build = offer.build;
        rules.engine_model = offer.engine_model.empty() ? offer.model() : offer.engine_model;
        rules.quantity = terms_.quantity;
        rules.output_tokens_max = offer.output_tokens_max;
        rules.continuous_usage = parts_.settings.engine.continuous_usage;
        return rules;
    }

    // An answer of the node's own: sealed like any other, and free.
    void answer_refusal(const InferenceRefusal& refusal) {
        answer_whole(refusal.status, "application/json", refusal.body(), Metered{},
                     sealing::ReceiptStatus::failed);
    }

    void answer_whole(int status, std::string_view content_type, std::string_view body,
                      const Metered& metered, sealing::ReceiptStatus outcome) {
        if (const auto begun = answer_->begin(status, content_type); !begun)
            return fail(begun.error(), "answer");
        if (!answer_->finish(body)) return give_up(metered, {});
        end(metered, outcome);
    }

    void whole() {
        const auto response = parts_.engine.call(request_.path, request_.body, cancel_);
        if (!response) return give_up({}, response.error());
        if (response->status != 200) return engine_refused(response->status, response->body);
        const Metered metered = meter_whole(response->body);
        answer_whole(
            200, "application/json", response->body, metered,
            metered.failed ? sealing::ReceiptStatus::failed : sealing::ReceiptStatus::completed);
    }

    void stream() {
        StreamMeter meter{request_.shown};
        int status = 0;
        std::string refusal_body;
        const auto on_head = [&](const net::ClientResponse& head) {
            status = head.status;
            return status != 200 || answer_->begin(200, "text/event-stream").has_value();
        };
        const auto on_chunk = [&](std::string_view chunk) {
            if (status != 200) {
                refusal_body += chunk;
                return refusal_body.size() <= limits::http_body_bytes_max;
            }
            const auto shown = meter.feed(chunk);
            return shown && answer_->write(*shown);
        };
        const auto response =
            parts_.engine.stream(request_.path, request_.body, cancel_, on_head, on_chunk);
        if (status != 0 && status != 200 && response) return engine_refused(status, refusal_body);
        if (!response) return give_up(meter.metered(), response.error());
        const std::string rest = meter.finish();
        if (!meter.metered().finished && !meter.metered().failed)
            return give_up(meter.metered(),
                           refuse(ErrorCode::upstream_failed, "the engine's stream ended early"));
        if (!answer_->finish(rest)) return give_up(meter.metered(), {});
        end(meter.metered(), meter.metered().failed ? sealing::ReceiptStatus::partial
                                                    : sealing::ReceiptStatus::completed);
    }

    // The client's fault goes to the client as the engine put it; the engine's or ours sends the
    // job on.
    void engine_refused(int status, const std::string& body) {
        const bool clients_fault = status == 400 || status == 413 || status == 415 || status == 422;
        if (clients_fault)
            return answer_whole(status, "application/json", body, Metered{},
                                sealing::ReceiptStatus::failed);
        const ErrorCode code = status == 429 ? ErrorCode::overloaded : ErrorCode::upstream_failed;
        give_up({}, refuse(code, "the engine answered " + std::to_string(status)));
    }

    // No whole answer. What was delivered is billed by a partial receipt; nothing delivered is
    // free.
    void give_up(const Metered& metered, const Error& cause) {
        FailedFrame failed;
        failed.stream = open_.stream;
        failed.started = answer_->started();
        failed.code = std::string{
            describe(outlet_.cancelled() ? ErrorCode::upstream_failed : cause.code).name};
        if (cause.detail.empty() && !outlet_.cancelled())
            failed.code = describe(ErrorCode::upstream_failed).name;
        failed.detail = outlet_.cancelled() ? "cancelled" : cause.detail;
        log::info("exchange not completed", {{"job", open_.job},
                                             {"code", failed.code},
                                             {"started", failed.started},
                                             {"cancelled", outlet_.cancelled()}});
        if (!failed.started) return outlet_.send_failed(failed);
        const auto signed_receipt =
            parts_.receipts.sign(receipt(metered, sealing::ReceiptStatus::partial), open_.session,
                                 terms_.expires_at, *keys_, [&](const std::string& document) {
                                     failed.receipt = document;
                                     parts_.replays.answered(open_.job, open_.fencing_token);
                                     outlet_.send_failed(failed);
                                 });
        if (!signed_receipt) outlet_.send_failed(failed);
    }

    void end(const Metered& metered, sealing::ReceiptStatus outcome) {
        const auto signed_receipt =
            parts_.receipts.sign(receipt(metered, outcome), open_.session, terms_.expires_at,
                                 *keys_, [&](const std::string& document) {
                                     parts_.replays.answered(open_.job, open_.fencing_token);
                                     outlet_.send_end(document);
                                 });
        if (!signed_receipt) return fail(signed_receipt.error(), "no receipt");
        if (!metered.usage && outcome == sealing::ReceiptStatus::completed)
            log::warning("the engine gave no usage; billed by what was delivered",
                         {{"job", open_.job}});
        log::info("exchange completed",
                  {{"job", open_.job}, {"receipt", sealing::to_text(outcome)}});
    }

    sealing::JobReceipt receipt(const Metered& metered, sealing::ReceiptStatus outcome) {
        const OfferSettings& offer = *parts_.settings.find_offer(open_.market, open_.build);
        sealing::JobReceipt draft;
        draft.job = open_.job;
        draft.request = open_.request;
        draft.node = parts_.node;
        draft.market = open_.market;
        draft.model = offer.model();
        draft.build = open_.build;
        draft.chat_id = metered.answer_id;
        draft.prices = open_.price;
        if (outcome != sealing::ReceiptStatus::failed) draft.usage = billed(metered);
        draft.sealed_request_sha256 = request_digest_;
        draft.sealed_response_sha256 = answer_->digest();
        draft.status = outcome;
        draft.endpoint = endpoint_;
        draft.method = "POST";
        draft.served_at = Instant{parts_.clock.now().unix_seconds() * 1'000'000};
        return draft;
    }

    sealing::ReceiptUsage billed(const Metered& metered) const {
        const auto taken = metered.billed(request_.generates);
        const auto bill = cut_to(taken, terms_.quantity);
        if (bill != taken && taken.requests == bill.requests)
            log::warning("usage beyond the reservation is not billed", {{"job", open_.job}});
        return bill;
    }

    // Before there is anything to seal to, or when no receipt can be signed.
    void fail(const Error& error, std::string_view stage) {
        log::info("exchange refused",
                  {{"job", open_.job}, {"stage", stage}, {"code", describe(error.code).name}});
        FailedFrame failed;
        failed.stream = open_.stream;
        failed.code = std::string{describe(error.code).name};
        failed.detail = error.detail;
        failed.started = answer_ && answer_->started();
        outlet_.send_failed(failed);
    }

    const ExchangeParts& parts_;
    const OpenFrame& open_;
    Outlet& outlet_;
    net::CancelToken& cancel_;
    Terms terms_;
    sealing::Digest request_digest_{};
    std::string endpoint_;
    std::shared_ptr<const KeysetKeys> keys_;
    std::optional<SealedAnswer> answer_;
    EngineRequest request_;
};

}  // namespace

void serve_exchange(const ExchangeParts& parts, const OpenFrame& open, Bytes sealed_request,
                    Outlet& outlet, net::CancelToken& cancel) {
    Service service{parts, open, outlet, cancel};
    service.run(sealed_request);
}

}  // namespace cocoon::node
