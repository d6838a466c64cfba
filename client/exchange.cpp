#include "client/exchange.hpp"

#include "client/receipts.hpp"
#include "core/encoding.hpp"
#include "sealing/ohttp.hpp"

namespace cocoon::client {

namespace bhttp = sealing::bhttp;
namespace ohttp = sealing::ohttp;

namespace {

constexpr std::size_t problem_bytes_max = 256 << 10;

struct Sealed {
    ohttp::ChunkedRequestSealer sealer;
    std::string bytes;
};

Result<Sealed> seal(const Job& job, const TrustedNode& node, const SealedCall& call,
                    std::string_view terms) {
    bhttp::Request request;
    request.method = "POST";
    request.scheme = "https";
    request.path = call.path;
    request.fields = {{"content-type", "application/json"},
                      {"accept", std::string{call.accept}},
                      {"cocoon-job", job.id.text()}};
    const ByteView body = as_bytes(call.body);
    request.content.assign(body.begin(), body.end());
    const auto plain = bhttp::encode_request(request, sealed_size_step_bytes);
    if (!plain) return plain.error();
    ohttp::ClientOptions options;
    options.associated = as_bytes(terms);
    auto sealer = ohttp::ChunkedRequestSealer::start(node.seal_to, options);
    if (!sealer) return sealer.error();
    auto chunks = sealer->seal(*plain);
    if (!chunks) return chunks.error();
    const auto last = sealer->finish();
    if (!last) return last.error();
    Sealed sealed{*std::move(sealer), {}};
    sealed.bytes.reserve(chunks->size() + last->size());
    sealed.bytes.append(as_text(*chunks)).append(as_text(*last));
    return sealed;
}

// Takes the market's answer as it arrives: a problem, or sealed bytes that are opened at once.
class AnswerReader {
public:
    AnswerReader(ohttp::ChunkedResponseOpener opener, const SealedEvents& events)
        : opener_{std::move(opener)}, reader_{bhttp::Reader::Kind::response}, events_{events} {}

    bool on_head(const net::ClientResponse& head) {
        status_ = head.status;
        headers_ = head.headers;
        sealed_ = head.status == 200 && net::same_ignoring_case(head.headers.get("Content-Type"),
                                                                ohttp::chunked_response_media_type);
        if (!sealed_ && head.status == 200)
            failed_ = refuse(ErrorCode::not_sealed, "the market's answer is not a sealed stream");
        return !failed_;
    }

    bool on_chunk(std::string_view bytes) {
        if (!sealed_) {
            problem_body_.append(bytes.substr(0, problem_bytes_max - problem_body_.size()));
            return true;
        }
        hash_.update(as_bytes(bytes));
        return take(opener_.feed(as_bytes(bytes)));
    }

    // The peer's stream has ended by its own rules: was it the whole message?
    bool finish() {
        if (!take(opener_.finish())) return false;
        const auto ended = reader_.finish();
        if (!ended) failed_ = ended.error();
        return ended.has_value() && deliver();
    }

    bool sealed() const { return sealed_; }
    bool head_given() const { return head_given_; }
    bool stopped() const { return stopped_; }
    const std::optional<Error>& failed() const { return failed_; }
    const net::Headers& headers() const { return headers_; }
    Problem problem() const { return problem_of(status_, headers_, problem_body_); }
    sealing::Digest digest() { return hash_.finish(); }

private:
    bool take(Result<Bytes> plain) {
        if (!plain) {
            failed_ = plain.error();
            return false;
        }
        const auto fed = reader_.feed(*plain);
        if (!fed) {
            failed_ = fed.error();
            return false;
        }
        return deliver();
    }

    bool deliver() {
        if (!reader_.head_ready()) return true;
        if (!head_given_) {
            head_given_ = true;
            if (!events_.on_head(reader_.response().status, reader_.response().fields))
                stopped_ = true;
        }
        const Bytes content = stopped_ ? Bytes{} : reader_.take_content();
        if (!content.empty() && !events_.on_content(as_text(content))) stopped_ = true;
        return !stopped_;
    }

    ohttp::ChunkedResponseOpener opener_;
    bhttp::Reader reader_;
    const SealedEvents& events_;
    sealing::Sha256 hash_;
    int status_ = 0;
    net::Headers headers_;
    std::string problem_body_;
    bool sealed_ = false;
    bool head_given_ = false;
    bool stopped_ = false;
    std::optional<Error> failed_;
};

net::ClientRequest exchange_request(MarketApi& market, const Job& job, const SealedCall& call,
                                    std::string_view terms) {
    net::ClientRequest request;
    request.method = "POST";
    request.url = market.url("/v1/jobs/" + job.id.text() + "/exchange");
    request.headers.add("Authorization", "Bearer " + market.config().api_key);
    request.headers.add("Content-Type", std::string{ohttp::chunked_request_media_type});
    request.headers.add("Accept", std::string{ohttp::chunked_response_media_type});
    request.headers.add("Cocoon-Fencing-Token", job.fencing_token);
    request.headers.add("Cocoon-Terms", to_base64url(as_bytes(terms)));
    request.headers.add("X-Request-Id", std::string{call.request_id});
    return request;
}

// The cosigned receipt that came with a whole answer; empty where something between us and the
// market dropped the trailer.
std::string envelope_in(const net::ClientResponse& response) {
    const auto bytes = from_base64url(response.trailers.get("Cocoon-Receipt-Envelope"));
    return bytes ? std::string{as_text(*bytes)} : std::string{};
}

ExchangeEnd::Kind kind_of_break(const Error& error, const AnswerReader& reader,
                                const net::CancelToken& cancel) {
    using Kind = ExchangeEnd::Kind;
    if (reader.stopped() || cancel.cancelled()) return Kind::stopped;
    if (reader.head_given()) return Kind::cut;
    if (!reader.failed() && error.code == ErrorCode::node_unavailable) return Kind::unreached;
    return Kind::uncertain;
}

}  // namespace

ExchangeEnd exchange_sealed(MarketApi& market, const Job& job, const TrustedNode& node,
                            const SealedCall& call, const SealedEvents& events,
                            net::CancelToken& cancel) {
    ExchangeEnd end;
    end.receipt = job.id.text();
    const std::string terms = terms_document(job, call.bound);
    auto sealed = seal(job, node, call, terms);
    if (!sealed) {
        end.kind = ExchangeEnd::Kind::unreached;
        end.problem.error = sealed.error();
        return end;
    }
    end.sealed_request_sha256 = sealing::sha256(as_bytes(sealed->bytes));
    net::ClientRequest request = exchange_request(market, job, call, terms);
    request.body = std::move(sealed->bytes);
    AnswerReader reader{
        sealed->sealer.response_opener({.total_bytes_max = limits::engine_answer_bytes_max}),
        events};
    const auto on_head = [&reader](const net::ClientResponse& head) {
        return reader.on_head(head);
    };
    const auto on_chunk = [&reader](std::string_view bytes) { return reader.on_chunk(bytes); };
    const auto response = market.http().stream(request, on_head, on_chunk, &cancel);
    end.sealed_response_sha256 = reader.digest();
    if (response && !reader.sealed()) {
        end.kind = ExchangeEnd::Kind::refused;
        end.problem = reader.problem();
        if (end.problem.error.code == ErrorCode::job_rematched)
            if (auto match = parse_match(end.problem.document)) end.match = *std::move(match);
        return end;
    }
    if (response && reader.finish()) {
        end.envelope = envelope_in(*response);
        // Within a session each exchange has a receipt of its own: "job_9.3".
        if (const std::string_view receipt = response->trailers.get("Cocoon-Receipt");
            receipt.starts_with(end.receipt + ".") && is_receipt_id(receipt))
            end.receipt = receipt;
        return end;
    }
    end.problem.error = reader.failed() ? *reader.failed()
                        : response      ? refuse(ErrorCode::stream_truncated)
                                        : response.error();
    end.kind = kind_of_break(end.problem.error, reader, cancel);
    return end;
}

}  // namespace cocoon::client
