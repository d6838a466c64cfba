// Binary HTTP: both framings, whole and in pieces, where it may end and where not, and every limit.
#include "sealing/binary_http.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::sealing::bhttp;

namespace {

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }
Bytes hex(std::string_view text) { return from_hex(text).value(); }
void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

Request sample_request() {
    return {"POST",
            "https",
            "node",
            "/v1/chat/completions?x=1",
            {{"content-type", "application/json"}, {"accept", ""}, {"accept", "text/event-stream"}},
            bytes_of("{\"model\":\"m\"}"),
            {{"checksum", "7"}}};
}
Response sample_response() {
    return {{{102, {{"running", "\"sleep 15\""}}}, {103, {}}},
            200,
            {{"content-type", "text/event-stream"}},
            bytes_of("data: x\n\n"),
            {{"t", "v"}}};
}

Bytes open_request(const Request& request, std::size_t piece_bytes) {
    RequestWriter writer;
    Bytes out = writer.begin(request).value();
    for (std::size_t at = 0; at < request.content.size(); at += piece_bytes)
        append(out, writer.content(ByteView{request.content}.subspan(
                        at, std::min(piece_bytes, request.content.size() - at))));
    append(out, writer.finish(request.trailers).value());
    return out;
}
Bytes open_response(const Response& response) {
    ResponseWriter writer;
    Bytes out = writer.begin(response.status, response.fields, response.informational).value();
    append(out, writer.content(response.content));
    append(out, writer.content({}));
    append(out, writer.finish(response.trailers).value());
    return out;
}

// The message read in pieces of `step` bytes.
Result<Response> read_in_steps(ByteView bytes, std::size_t step) {
    Reader reader{Reader::Kind::response};
    Bytes content;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
        if (const auto fed = reader.feed(bytes.subspan(at, std::min(step, bytes.size() - at)));
            !fed)
            return fed.error();
        append(content, reader.take_content());
    }
    if (const auto ended = reader.finish(); !ended) return ended.error();
    Response response = reader.response();
    response.content = content;
    response.trailers = reader.trailers();
    return response;
}

}  // namespace

TEST_CASE("messages survive both framings") {
    const Request request = sample_request();
    CHECK(parse_request(encode_request(request).value()).value() == request);
    for (const std::size_t piece : {1, 5, 1000})
        CHECK(parse_request(open_request(request, piece)).value() == request);
    const Response response = sample_response();
    CHECK(parse_response(encode_response(response).value()).value() == response);
    CHECK(parse_response(open_response(response)).value() == response);
    const Request bare{"GET", "https", "", "/", {}, {}, {}};
    CHECK(parse_request(encode_request(bare).value()).value() == bare);
}

TEST_CASE("padding hides the size and is checked") {
    for (const std::size_t multiple : {0, 1, 64, 256}) {
        const Bytes padded = encode_request(sample_request(), multiple).value();
        if (multiple > 1) CHECK(padded.size() % multiple == 0);
        CHECK(parse_request(padded).value() == sample_request());
    }
    Bytes dirty = encode_request(sample_request(), 256).value();
    dirty.back() = 1;
    CHECK(parse_request(dirty).error().code == ErrorCode::malformed_request);
    Limits limits;
    limits.padding_bytes_max = 10;
    Bytes padded = encode_request(sample_request()).value();
    padded.resize(padded.size() + 10);
    CHECK(parse_request(padded, limits));
    padded.push_back(0);
    CHECK(parse_request(padded, limits).error().code == ErrorCode::body_too_large);
}

TEST_CASE("a response reads the same however it is cut into pieces") {
    for (const Bytes& encoded :
         {encode_response(sample_response()).value(), open_response(sample_response())})
        for (std::size_t step = 1; step <= encoded.size(); ++step)
            CHECK(read_in_steps(encoded, step).value() == sample_response());
}

TEST_CASE("a message may end only before an empty section") {
    // Lengths at which the rest is empty, and so may be missing (RFC 9292 §3.8).
    Response response{{}, 200, {{"a", "b"}}, bytes_of("xyz"), {}};
    const auto check_cuts = [&](const Bytes& encoded,
                                const std::vector<std::size_t>& may_end_before) {
        for (std::size_t size = 0; size < encoded.size(); ++size) {
            INFO(size);
            const auto read = parse_response(ByteView{encoded}.first(size));
            const bool fine = std::find(may_end_before.begin(), may_end_before.end(), size) !=
                              may_end_before.end();
            CHECK(read.has_value() == fine);
            if (!read) CHECK(read.error().code == ErrorCode::stream_truncated);
        }
    };
    // 01 40c8 | 04 01a 01b | 03 xyz | 00: after the status, the fields and the content.
    check_cuts(encode_response(response).value(), {3, 8, 12});
    // 03 40c8 | 01a 01b 00 | 03 xyz 00 | 00
    check_cuts(open_response(response), {3, 8, 13});
    response.informational = {{103, {}}};
    // 03 4067 00 40c8 ...: not within nor right after the interim response.
    check_cuts(open_response(response), {6, 11, 16});
}

TEST_CASE("the examples of RFC 9292 read as the RFC says") {
    const auto chunked =
        parse_response(hex("0140c8001d5468697320636f6e74656e7420636f6e7461696e732043524c462e0d0a"
                           "0d07747261696c65720474657874"));
    REQUIRE(chunked);
    CHECK(chunked->status == 200);
    CHECK(as_text(chunked->content) == "This content contains CRLF.\r\n");
    CHECK(chunked->trailers == Fields{{"trailer", "text"}});
    const Bytes request =
        hex("02034745540568747470730"
            "00a2f68656c6c6f2e747874"
            "04686f73740f7777772e6578616d706c652e636f6d"
            "00000000000000000000000000");
    const auto read = parse_request(request);
    REQUIRE(read);
    CHECK(read->path == "/hello.txt");
    CHECK(*find_field(read->fields, "host") == "www.example.com");
    CHECK(find_field(read->fields, "accept") == nullptr);
    // "anything up to 12 bytes can be removed" of the final thirteen zeros.
    for (std::size_t removed = 0; removed <= 12; ++removed)
        CHECK(parse_request(ByteView{request}.first(request.size() - removed)).value() == *read);
    CHECK_FALSE(parse_request(ByteView{request}.first(request.size() - 13)));
    CHECK(parse_response(hex("0140c8"))->status == 200);
}

TEST_CASE("what HTTP does not allow is refused when read and when written") {
    const auto with_field = [](std::string name, std::string value) {
        Request request = sample_request();
        request.fields = {{std::move(name), std::move(value)}};
        return request;
    };
    struct Row {
        std::string name, value;
        bool fine;
    };
    const Row rows[] = {
        {"a", "b", true},          {"a", "", true},
        {"x-1_~", "b c\td", true}, {"a", "\xC3\xA9", true},
        {"", "b", false},          {"A", "b", false},
        {"a b", "b", false},       {"a:", "b", false},
        {":path", "b", false},     {"a\n", "b", false},
        {"\xC3\xA9", "b", false},  {"a", "b\r", false},
        {"a", "b\n", false},       {"a", std::string{"b\0c", 3}, false},
        {"a", " b", false},        {"a", "b ", false},
        {"a", "\tb", false},
    };
    for (const Row& row : rows) {
        INFO(row.name << "=" << row.value);
        CHECK(encode_request(with_field(row.name, row.value)).has_value() == row.fine);
        CHECK(ResponseWriter{}.begin(200, {{row.name, row.value}}).has_value() == row.fine);
        CHECK(ResponseWriter{}.finish({{row.name, row.value}}).has_value() == row.fine);
        // The same on the wire: one-byte lengths, written by hand.
        Bytes wire = hex("0340c8");
        for (const std::string* text : {&row.name, &row.value}) {
            wire.push_back(static_cast<std::uint8_t>(text->size()));
            append(wire, as_bytes(*text));
        }
        append(wire, hex("000000"));
        if (!row.name.empty()) CHECK(parse_response(wire).has_value() == row.fine);
    }
    struct Control {
        std::string method, scheme, authority, path;
        bool fine;
    };
    const Control controls[] = {
        {"GET", "https", "", "/", true},     {"OPTIONS", "https", "a", "*", true},
        {"", "https", "", "/", false},       {"G T", "https", "", "/", false},
        {"GET", "", "", "/", false},         {"GET", "https", "a b", "/", false},
        {"GET", "https", "", "", false},     {"GET", "https", "", "x", false},
        {"GET", "https", "", "/a b", false}, {"GET", "https", "", "/\n", false},
        {"GET", "https", "", "/#f", false},  {"GET", "https", "\r\n", "/", false},
    };
    for (const Control& row : controls) {
        INFO(row.method << " " << row.scheme << " " << row.authority << " " << row.path);
        CHECK(encode_request({row.method, row.scheme, row.authority, row.path, {}, {}, {}})
                  .has_value() == row.fine);
        Bytes wire{0};
        for (const std::string* text : {&row.method, &row.scheme, &row.authority, &row.path}) {
            wire.push_back(static_cast<std::uint8_t>(text->size()));
            append(wire, as_bytes(*text));
        }
        CHECK(parse_request(wire).has_value() == row.fine);
    }
    for (const int status : {99, 100, 199, 600, 0, -1})
        CHECK_FALSE(encode_response({{}, status, {}, {}, {}}));
    CHECK_FALSE(encode_response({{{200, {}}}, 200, {}, {}, {}}));
    for (const char* wire : {"04", "00034745", "0140", "014257ff", "0163", "4258"}) {
        INFO(wire);
        CHECK_FALSE(parse_response(hex(wire)));
    }
    CHECK_FALSE(parse_request(encode_response(sample_response()).value()));
    CHECK_FALSE(parse_response(encode_request(sample_request()).value()));
    CHECK_FALSE(parse_response(hex("0140c803016101")));  // a field line longer than its section
}

TEST_CASE("sections, fields, interim responses and content have limits") {
    Limits limits;
    limits.section_bytes_max = 40;
    limits.fields_max = 3;
    limits.informational_max = 2;
    limits.content_bytes_max = 10;
    const auto code_of = [&](const Response& response) {
        std::vector<ErrorCode> codes;
        for (const Bytes& wire : {encode_response(response).value(), open_response(response)}) {
            const auto read = parse_response(wire, limits);
            codes.push_back(read ? ErrorCode::internal_error : read.error().code);
        }
        CHECK(codes[0] == codes[1]);
        return codes[0];
    };
    const ErrorCode fine = ErrorCode::internal_error;
    const Fields long_field{{"a", std::string(37, 'x')}};
    const Fields longer_field{{"a", std::string(38, 'x')}};
    const Field small{"a", "b"};
    CHECK(code_of({{}, 200, long_field, bytes_of("0123456789"), long_field}) == fine);
    CHECK(code_of({{}, 200, longer_field, {}, {}}) == ErrorCode::headers_too_large);
    CHECK(code_of({{}, 200, {}, {}, longer_field}) == ErrorCode::headers_too_large);
    CHECK(code_of({{}, 200, {small, small, small}, {}, {}}) == fine);
    CHECK(code_of({{}, 200, {small, small, small, small}, {}, {}}) == ErrorCode::headers_too_large);
    CHECK(code_of({{{103, {}}, {103, {}}}, 200, {}, {}, {}}) == fine);
    CHECK(code_of({{{103, {}}, {103, {}}, {103, {}}}, 200, {}, {}, {}}) ==
          ErrorCode::headers_too_large);
    CHECK(code_of({{}, 200, {}, bytes_of("0123456789a"), {}}) == ErrorCode::body_too_large);
    Request request{"GET", "https", "", "/" + std::string(100, 'x'), {}, {}, {}};
    CHECK(parse_request(encode_request(request).value(), limits).error().code ==
          ErrorCode::headers_too_large);
    // Many pieces count together; lengths of 2^62 - 1 are refused when read.
    ResponseWriter writer;
    Bytes wire = writer.begin(200, {}).value();
    for (int i = 0; i < 11; ++i) append(wire, writer.content(bytes_of("x")));
    CHECK(parse_response(wire, limits).error().code == ErrorCode::body_too_large);
    for (const char* prefix : {"0340c8", "0140c8", "0340c800", "0140c800"}) {
        Bytes endless = hex(prefix);
        append(endless, Bytes(8, 0xFF));
        Reader reader{Reader::Kind::response, limits};
        const auto fed = reader.feed(endless);
        REQUIRE_FALSE(fed);
        CHECK(reader.feed({}).error() == fed.error());
        CHECK(reader.finish().error() == fed.error());
    }
}

TEST_CASE("a head whose empty sections were left away is ready at the end") {
    Reader reader{Reader::Kind::response};
    REQUIRE(reader.feed(hex("0140c8")));
    CHECK_FALSE(reader.head_ready());
    REQUIRE(reader.finish());
    CHECK(reader.head_ready());
    CHECK(reader.response().status == 200);
    Reader cut{Reader::Kind::response};
    REQUIRE(cut.feed(hex("0140")));
    CHECK_FALSE(cut.finish());
    CHECK_FALSE(cut.head_ready());
}

TEST_CASE("content comes out of a stream as it arrives") {
    ResponseWriter writer;
    Reader reader{Reader::Kind::response};
    REQUIRE(reader.feed(writer.begin(200, {{"content-type", "text/event-stream"}}).value()));
    CHECK(reader.head_ready());
    CHECK(reader.response().status == 200);
    for (const char* piece : {"data: 1\n\n", "data: 2\n\n"}) {
        REQUIRE(reader.feed(writer.content(bytes_of(piece))));
        CHECK(as_text(reader.take_content()) == piece);
    }
    CHECK(reader.take_content().empty());
    REQUIRE(reader.feed(writer.finish().value()));
    CHECK(reader.finish());
    CHECK(reader.feed({}).error().code == ErrorCode::wrong_state);
}
