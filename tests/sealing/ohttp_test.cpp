// OHTTP in both variants: fragments at every byte, cuts at every byte, flipped bits, limits, and
// the clear metadata bound on both sides.
#include "sealing/ohttp.hpp"

#include <chrono>

#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::sealing;
using namespace cocoon::sealing::ohttp;

namespace {

GatewayKey make_gateway(std::uint8_t key_id = 1) {
    const SealingKey key = SealingKey::generate();
    return {make_key_config(key_id, key.public_key()), key};
}

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

// Feeds in pieces of `step` bytes, then ends the stream.
template <class Opener>
Result<Bytes> open_all(Opener& opener, ByteView sealed, std::size_t step) {
    Bytes out;
    for (std::size_t at = 0; at < sealed.size(); at += step) {
        const auto plain = opener.feed(sealed.subspan(at, std::min(step, sealed.size() - at)));
        if (!plain) return plain.error();
        append(out, *plain);
    }
    const auto last = opener.finish();
    if (!last) return last.error();
    append(out, *last);
    return out;
}

Bytes seal_request(ChunkedRequestSealer& sealer, std::initializer_list<std::string_view> chunks,
                   std::string_view last) {
    Bytes out;
    for (const std::string_view chunk : chunks) append(out, sealer.seal(as_bytes(chunk)).value());
    append(out, sealer.finish(as_bytes(last)).value());
    return out;
}

struct Stream {
    GatewayKey gateway;
    Bytes sealed;
};
Stream make_stream(std::string_view last = "end") {
    const GatewayKey gateway = make_gateway();
    auto sealer = ChunkedRequestSealer::start(gateway.config).value();
    return {gateway, seal_request(sealer, {"one", "second", "x"}, last)};
}

constexpr std::string_view associated = R"({"job":"job_1","version":1})";

}  // namespace

TEST_CASE("a single exchange goes there and back with every AEAD") {
    const GatewayKey gateway = make_gateway();
    for (const Aead aead : {Aead::aes_128_gcm, Aead::aes_256_gcm, Aead::chacha20_poly1305}) {
        ClientOptions options;
        options.aead = aead;
        options.associated = as_bytes(associated);
        const auto client =
            ClientRequest::seal(gateway.config, as_bytes("question"), options).value();
        CHECK(looks_sealed(client.sealed(), gateway.config));
        const auto opened =
            GatewayRequest::open({&gateway, 1}, client.sealed(), as_bytes(associated));
        REQUIRE(opened);
        CHECK(as_text(opened->request()) == "question");
        const Bytes answer = opened->seal_response(as_bytes("answer")).value();
        CHECK(as_text(client.open_response(answer).value()) == "answer");
        for (std::size_t bit = 0; bit < answer.size() * 8; ++bit) {
            Bytes flipped = answer;
            flipped[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
            CHECK_FALSE(client.open_response(flipped));
        }
        for (std::size_t size = 0; size < answer.size(); ++size)
            CHECK_FALSE(client.open_response(ByteView{answer}.first(size)));
    }
}

TEST_CASE("a request opens only with the associated bytes it was sealed with") {
    const GatewayKey gateway = make_gateway();
    ClientOptions options;
    options.associated = as_bytes(associated);
    const auto single = ClientRequest::seal(gateway.config, as_bytes("q"), options).value();
    auto sealer = ChunkedRequestSealer::start(gateway.config, options).value();
    const Bytes chunked = seal_request(sealer, {"a"}, "b");
    struct Row {
        std::string_view text;
        bool opens;
    };
    const Row rows[] = {{associated, true},
                        {"", false},
                        {R"({"job":"job_2","version":1})", false},
                        {R"({"job":"job_1","version":1} )", false}};
    for (const Row& row : rows) {
        INFO(row.text);
        CHECK(
            GatewayRequest::open({&gateway, 1}, single.sealed(), as_bytes(row.text)).has_value() ==
            row.opens);
        const Bytes bound{row.text.begin(), row.text.end()};
        ChunkedRequestOpener opener{{gateway}, bound};
        CHECK(open_all(opener, chunked, 1000).has_value() == row.opens);
    }
}

TEST_CASE("a chunked stream opens however it is cut into pieces") {
    const Stream stream = make_stream();
    for (std::size_t step = 1; step <= stream.sealed.size(); ++step) {
        ChunkedRequestOpener opener{{stream.gateway}, {}};
        const auto opened = open_all(opener, stream.sealed, step);
        REQUIRE(opened);
        CHECK(as_text(*opened) == "onesecondxend");
    }
    for (std::size_t split = 0; split <= stream.sealed.size(); ++split) {
        ChunkedRequestOpener opener{{stream.gateway}, {}};
        Bytes out = opener.feed(ByteView{stream.sealed}.first(split)).value();
        append(out, opener.feed(ByteView{stream.sealed}.subspan(split)).value());
        append(out, opener.finish().value());
        CHECK(as_text(out) == "onesecondxend");
    }
}

TEST_CASE("a request cut at any byte is an error, never a short request") {
    for (const std::string_view last : {"end", ""}) {
        const Stream stream = make_stream(last);
        for (std::size_t size = 0; size < stream.sealed.size(); ++size) {
            INFO(size);
            ChunkedRequestOpener opener{{stream.gateway}, {}};
            const auto opened = open_all(opener, ByteView{stream.sealed}.first(size), 1000);
            REQUIRE_FALSE(opened);
            CHECK(opened.error().code == ErrorCode::stream_truncated);
        }
    }
}

TEST_CASE("every flipped bit of a chunked request is refused") {
    const Stream stream = make_stream();
    for (std::size_t bit = 0; bit < stream.sealed.size() * 8; ++bit) {
        Bytes flipped = stream.sealed;
        flipped[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        ChunkedRequestOpener opener{{stream.gateway}, {}};
        CHECK_FALSE(open_all(opener, flipped, 1000));
    }
}

TEST_CASE("a chunked answer opens however it is cut, and no cut or flipped bit passes") {
    const GatewayKey gateway = make_gateway();
    auto client = ChunkedRequestSealer::start(gateway.config).value();
    ChunkedRequestOpener opener{{gateway}, {}};
    CHECK_FALSE(opener.response_sealer());  // no header yet
    REQUIRE(opener.feed(client.seal(as_bytes("first")).value()));
    CHECK(opener.encapsulated_key());
    auto sealer = opener.response_sealer().value();  // the request goes on while the answer begins
    Bytes answer = sealer.seal(as_bytes("one")).value();
    CHECK(sealer.seal({})->empty());
    append(answer, sealer.seal(as_bytes("two")).value());
    append(answer, sealer.finish(as_bytes("three")).value());
    CHECK_FALSE(sealer.seal(as_bytes("late")));
    CHECK_FALSE(sealer.finish());
    for (std::size_t step = 1; step <= answer.size(); ++step) {
        auto response = client.response_opener();
        CHECK(as_text(open_all(response, answer, step).value()) == "onetwothree");
    }
    for (std::size_t size = 0; size < answer.size(); ++size) {
        auto response = client.response_opener();
        const auto opened = open_all(response, ByteView{answer}.first(size), 1000);
        REQUIRE_FALSE(opened);
        CHECK(opened.error().code == ErrorCode::stream_truncated);
    }
    for (std::size_t bit = 0; bit < answer.size() * 8; ++bit) {
        Bytes flipped = answer;
        flipped[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        auto response = client.response_opener();
        CHECK_FALSE(open_all(response, flipped, 1000));
    }
}

TEST_CASE("what a stream gives before it breaks is given once, and then only the error") {
    const Stream stream = make_stream();
    Bytes broken = stream.sealed;
    broken.back() ^= 1;
    ChunkedRequestOpener opener{{stream.gateway}, {}};
    CHECK(as_text(opener.feed(broken).value()) == "onesecondx");
    const auto end = opener.finish();
    REQUIRE_FALSE(end);
    CHECK(opener.feed(stream.sealed).error() == end.error());
    CHECK(opener.finish().error() == end.error());
    ChunkedRequestOpener whole{{stream.gateway}, {}};
    REQUIRE(whole.feed(stream.sealed));
    REQUIRE(whole.finish());
    CHECK(whole.feed(stream.sealed).error().code == ErrorCode::wrong_state);
    CHECK(whole.finish().error().code == ErrorCode::wrong_state);
}

TEST_CASE("large plaintext is cut into chunks every receiver must take") {
    const GatewayKey gateway = make_gateway();
    for (const std::size_t size :
         {sealed_chunk_bytes_default - 1, sealed_chunk_bytes_default,
          sealed_chunk_bytes_default + 1, 5 * sealed_chunk_bytes_default}) {
        const Bytes plain = random_bytes(size);
        for (const bool at_the_end : {false, true}) {
            auto client = ChunkedRequestSealer::start(gateway.config).value();
            Bytes sealed = at_the_end ? Bytes{} : client.seal(plain).value();
            append(sealed, client.finish(at_the_end ? ByteView{plain} : ByteView{}).value());
            StreamLimits limits;
            limits.chunk_bytes_max = sealed_chunk_bytes_default;
            ChunkedRequestOpener opener{{gateway}, {}, limits};
            CHECK(open_all(opener, sealed, 4096).value() == plain);
        }
    }
}

TEST_CASE("chunk and stream limits refuse before memory is spent") {
    const GatewayKey gateway = make_gateway();
    struct Row {
        std::size_t chunk_max, total_max;
        bool opens;
    };
    const Row rows[] = {
        {100, 300, true}, {99, 300, false}, {100, 299, false}, {1 << 20, 300, true}};
    for (const Row& row : rows) {
        INFO(row.chunk_max << " " << row.total_max);
        auto client = ChunkedRequestSealer::start(gateway.config).value();
        Bytes sealed;
        for (int i = 0; i < 2; ++i) append(sealed, client.seal(Bytes(100)).value());
        append(sealed, client.finish(Bytes(100)).value());
        ChunkedRequestOpener opener{{gateway}, {}, {row.chunk_max, row.total_max}};
        const auto opened = open_all(opener, sealed, 17);
        CHECK(opened.has_value() == row.opens);
        if (!opened) CHECK(opened.error().code == ErrorCode::body_too_large);
    }
    // A length of 2^62 - 1 is refused when it is read, not when it has arrived.
    auto client = ChunkedRequestSealer::start(gateway.config).value();
    Bytes sealed = client.seal(as_bytes("a")).value();
    append(sealed, Bytes(8, 0xFF));
    ChunkedRequestOpener opener{{gateway}, {}};
    CHECK(opener.feed(sealed).error().code == ErrorCode::body_too_large);
    // An endless final chunk is refused at the limit.
    ChunkedRequestOpener endless{{gateway}, {}, {100, 1000}};
    auto other = ChunkedRequestSealer::start(gateway.config).value();
    Bytes final_begun = other.seal(as_bytes("a")).value();
    final_begun.push_back(0);
    append(final_begun, Bytes(117));
    CHECK(endless.feed(final_begun).error().code == ErrorCode::body_too_large);
}

TEST_CASE("during a rotation each request finds its own key") {
    const GatewayKey old_key = make_gateway(1);
    const GatewayKey new_key = make_gateway(2);
    const GatewayKey stranger = make_gateway(3);
    const std::vector<GatewayKey> keys{old_key, new_key};
    for (const GatewayKey& key : keys)
        CHECK(GatewayRequest::open(keys, ClientRequest::seal(key.config, as_bytes("q"))->sealed()));
    const auto refused =
        GatewayRequest::open(keys, ClientRequest::seal(stranger.config, as_bytes("q"))->sealed());
    CHECK(refused.error().code == ErrorCode::not_sealed);
}

TEST_CASE("looks_sealed takes sealed beginnings and nothing else") {
    const GatewayKey gateway = make_gateway(9);
    const auto sealed = ClientRequest::seal(gateway.config, {}).value().sealed();
    REQUIRE(sealed.size() == sealed_prefix_bytes_min);
    CHECK(looks_sealed(sealed, gateway.config));
    CHECK_FALSE(looks_sealed(ByteView{sealed}.first(sealed.size() - 1), gateway.config));
    CHECK_FALSE(looks_sealed({}, gateway.config));
    for (std::size_t byte = 0; byte < request_header_bytes; ++byte) {
        Bytes other = sealed;
        other[byte] ^= 0x40;
        CHECK(looks_sealed(other, gateway.config).error().code == ErrorCode::not_sealed);
    }
    const std::string json =
        R"({"model":"m","messages":[{"role":"user","content":"a plain request of some length"}]})";
    CHECK_FALSE(looks_sealed(as_bytes(json), gateway.config));
    KeyConfig only_chacha = gateway.config;
    only_chacha.algorithms = {{hpke::kdf_hkdf_sha256, 3}};
    CHECK_FALSE(looks_sealed(sealed, only_chacha));
}

TEST_CASE("key configurations are read strictly") {
    const KeyConfig config = make_gateway(5).config;
    const Bytes encoded = encode(config);
    CHECK(parse_key_config(encoded).value() == config);
    for (std::size_t size = 0; size < encoded.size(); ++size)
        CHECK_FALSE(parse_key_config(ByteView{encoded}.first(size)));
    Bytes longer = encoded;
    longer.push_back(0);
    CHECK_FALSE(parse_key_config(longer));
    const KeyConfig both[] = {config, make_gateway(6).config};
    const Bytes list = encode_key_list(both);
    CHECK(parse_key_list(list).value() == std::vector<KeyConfig>(both, both + 2));
    for (std::size_t size = 0; size < list.size(); ++size)
        if (size != list.size() / 2) CHECK_FALSE(parse_key_list(ByteView{list}.first(size)));
    KeyConfig none = config;
    none.algorithms = {{2, 1}, {1, 0xFFFF}, {1, 99}};
    CHECK_FALSE(none.preferred());
    CHECK_FALSE(ClientRequest::seal(none, {}));
    KeyConfig unusual = config;
    unusual.algorithms = {{9, 9}, {1, 3}};
    CHECK(unusual.preferred() == Aead::chacha20_poly1305);
    PublicKey zero{};
    CHECK_FALSE(ClientRequest::seal(make_key_config(1, zero), {}));
}

TEST_CASE("a chunk costs microseconds", "[.timing]") {
    const GatewayKey gateway = make_gateway();
    auto client = ChunkedRequestSealer::start(gateway.config).value();
    ChunkedRequestOpener opener{{gateway}, {}};
    REQUIRE(opener.feed(client.seal(as_bytes("q")).value()));
    auto sealer = opener.response_sealer().value();
    auto response = client.response_opener();
    const Bytes chunk(200, 'x');
    constexpr int count = 100'000;
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    std::vector<Bytes> sealed;
    for (int i = 0; i < count; ++i) sealed.push_back(sealer.seal(chunk).value());
    const auto middle = Clock::now();
    std::size_t total = 0;
    for (const Bytes& piece : sealed) total += response.feed(piece).value().size();
    const auto end = Clock::now();
    CHECK(total == count * chunk.size());
    const auto micros = [](auto span) {
        return std::chrono::duration<double, std::micro>(span).count();
    };
    WARN("seal " << micros(middle - begin) / count << " us, open " << micros(end - middle) / count
                 << " us a chunk");
    const auto start = Clock::now();
    for (int i = 0; i < 500; ++i) {
        const auto one = ClientRequest::seal(gateway.config, chunk).value();
        REQUIRE(GatewayRequest::open({&gateway, 1}, one.sealed()));
    }
    WARN("set-up of both sides " << micros(Clock::now() - start) / 500 << " us");
}
