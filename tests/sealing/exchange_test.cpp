// One whole exchange, as client, market and node make it: keyset, sealed request, streamed sealed
// answer, receipt, cosignature. The market's part sees sealed bytes only.
#include "sealing/binary_http.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/ohttp.hpp"
#include "sealing/receipt.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::sealing;

namespace {

constexpr std::string_view question =
    R"({"model":"m","messages":[{"role":"user","content":"secret"}]})";
constexpr std::string_view answers[] = {"data: {\"secret\":1}\n\n", "data: {\"secret\":2}\n\n",
                                        "data: [DONE]\n\n"};
const std::string terms =
    Json::object({{"version", 1}, {"job", "job_9"}, {"market", "inference:m"}}).canonical();

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

// A node: its keys, and what it does with one request.
struct Node {
    SigningKey receipt_key = SigningKey::generate();
    SealingKey sealing_key = SealingKey::generate();
    ohttp::GatewayKey gateway{ohttp::make_key_config(1, sealing_key.public_key()), sealing_key};
    Keyset keyset = [this] {
        Keyset parts;
        parts.receipt_keys = {{"receipt-1", receipt_key.public_key()}};
        parts.sealing_keys = {{"ohttp-1", gateway.config}};
        parts.not_after = *Instant::parse("2026-11-23T00:00:00Z");
        return build_keyset(parts).value();
    }();

    // The sealed answer, in the pieces it went out.
    std::vector<Bytes> answer(ByteView sealed_request) const {
        ohttp::ChunkedRequestOpener opener{{gateway}, Bytes{terms.begin(), terms.end()}};
        bhttp::Reader reader{bhttp::Reader::Kind::request};
        REQUIRE(reader.feed(opener.feed(sealed_request).value()));
        REQUIRE(reader.feed(opener.finish().value()));
        REQUIRE(reader.finish());
        CHECK(reader.request().path == "/v1/chat/completions");
        CHECK(as_text(reader.take_content()) == question);
        auto sealer = opener.response_sealer().value();
        bhttp::ResponseWriter writer;
        std::vector<Bytes> pieces;
        pieces.push_back(
            sealer.seal(writer.begin(200, {{"content-type", "text/event-stream"}}).value())
                .value());
        for (const std::string_view text : answers)
            pieces.push_back(sealer.seal(writer.content(as_bytes(text))).value());
        pieces.push_back(sealer.finish(writer.finish().value()).value());
        return pieces;
    }

    std::string receipt(const Digest& request, const Digest& response) const {
        JobReceipt made;
        made.receipt_id = made.job = "job_9";
        made.request = "req_5";
        made.node = "node_2";
        made.market = "inference:m";
        made.model = "m";
        made.usage.completion = 3;
        made.cost = Nano{30};
        made.sealed_request_sha256 = request;
        made.sealed_response_sha256 = response;
        made.endpoint = "/v1/chat/completions";
        made.method = "POST";
        made.served_at = *Instant::parse("2026-11-22T12:00:00Z");
        return sign_receipt(made, keyset, "receipt-1", receipt_key).value();
    }
};

}  // namespace

TEST_CASE("client, market and node make one whole exchange") {
    const Node node;
    const SigningKey market_key = SigningKey::generate();

    // Client: from the keyset document to the sealed request.
    const Keyset seen = parse_keyset(node.keyset.document).value();
    ohttp::ClientOptions options;
    options.associated = as_bytes(terms);
    auto client =
        ohttp::ChunkedRequestSealer::start(seen.sealing_keys.front().config, options).value();
    bhttp::Request request{
        "POST", "https", "node_2", "/v1/chat/completions", {{"content-type", "application/json"}},
        {},     {}};
    request.content.assign(question.begin(), question.end());
    Bytes sealed_request = client.finish(bhttp::encode_request(request, 256).value()).value();

    // Market: looks, hashes, relays.
    CHECK(ohttp::looks_sealed(sealed_request, seen.sealing_keys.front().config));
    CHECK(as_text(sealed_request).find("secret") == std::string_view::npos);
    Sha256 request_hash;
    request_hash.update(sealed_request);
    Sha256 response_hash;

    // Client: reads the answer as it comes.
    auto opener = client.response_opener();
    bhttp::Reader reader{bhttp::Reader::Kind::response};
    Bytes content;
    for (const Bytes& piece : node.answer(sealed_request)) {
        response_hash.update(piece);
        CHECK(as_text(piece).find("secret") == std::string_view::npos);
        REQUIRE(reader.feed(opener.feed(piece).value()));
        append(content, reader.take_content());
    }
    REQUIRE(reader.feed(opener.finish().value()));
    REQUIRE(reader.finish());
    CHECK(reader.response().status == 200);
    CHECK(as_text(content) ==
          std::string{answers[0]} + std::string{answers[1]} + std::string{answers[2]});

    // Receipt: signed by the node, checked and cosigned by the market, checked by the client.
    const Digest hashed_request = request_hash.finish();
    const std::string receipt = node.receipt(hashed_request, response_hash.finish());
    const ReceiptVerdict checked = verify_job_receipt(receipt, seen);
    REQUIRE(checked);
    CHECK(checked.receipt().job->sealed_request_sha256 == hashed_request);
    const std::string envelope = cosign_receipt(receipt, "market-1", market_key).value();
    CHECK(verify_cosigned(envelope, seen, market_key.public_key()));
    CHECK(envelope.find("secret") == std::string::npos);
}
