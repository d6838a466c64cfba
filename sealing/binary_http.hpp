// Binary HTTP (RFC 9292), known-length and indeterminate-length: what travels inside the seal.
// Called by node and client; each reader and writer is one thread's. Strict and bounded: a message
// that ends anywhere but where RFC 9292 §3.8 allows is `stream_truncated`, other bad framing and
// bad field names are `malformed_request`, limits are `headers_too_large` and `body_too_large`.
// Knows no sockets and no sealing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/encoding.hpp"
#include "core/result.hpp"

namespace cocoon::sealing::bhttp {

constexpr std::string_view media_type = "message/bhttp";

// Names are lower-case tokens; values hold no CR, LF or NUL and neither begin nor end with white
// space (RFC 9113 §8.2.1). Pseudo-fields (":...") are refused: we know no extension that has one.
struct Field {
    std::string name;
    std::string value;
    bool operator==(const Field&) const = default;
};
using Fields = std::vector<Field>;

// The first field with this (lower-case) name, or nullptr.
const std::string* find_field(const Fields& fields, std::string_view name);

struct Request {
    std::string method;
    std::string scheme;     // "https"
    std::string authority;  // may be empty
    std::string path;       // with the query, "/v1/chat/completions"
    Fields fields;
    Bytes content;
    Fields trailers;
    bool operator==(const Request&) const = default;
};

struct Informational {
    int status = 0;  // 100..199
    Fields fields;
    bool operator==(const Informational&) const = default;
};

struct Response {
    std::vector<Informational> informational;
    int status = 0;  // 200..599
    Fields fields;
    Bytes content;
    Fields trailers;
    bool operator==(const Response&) const = default;
};

struct Limits {
    std::size_t section_bytes_max = 64 << 10;  // one field section, and the control data
    std::size_t fields_max = 256;              // field lines of one section
    std::size_t informational_max = 8;
    std::size_t content_bytes_max = 64u << 20;
    std::size_t padding_bytes_max = 1 << 20;
};

// ---- Writing ------------------------------------------------------------------------------------
// A field that may not be sent (bad name or value) is refused with `malformed_request`.

// Known-length. `padded_to`: zero bytes are added until the size is a multiple of it (0: none), so
// that the sealed size says less about the content.
Result<Bytes> encode_request(const Request& request, std::size_t padded_to = 0);
Result<Bytes> encode_response(const Response& response, std::size_t padded_to = 0);

// Indeterminate-length, piece by piece, for streams. Concatenate what the calls return.
// REQUIRES: begin once, then content any number of times, then finish once.
class RequestWriter {
public:
    Result<Bytes> begin(const Request& head);  // content and trailers of `head` are not looked at
    Bytes content(ByteView piece);             // an empty piece gives nothing
    Result<Bytes> finish(const Fields& trailers = {});
};
class ResponseWriter {
public:
    // Interim responses come first, each at once.
    Result<Bytes> begin(int status, const Fields& fields,
                        const std::vector<Informational>& informational = {});
    Bytes content(ByteView piece);
    Result<Bytes> finish(const Fields& trailers = {});
};

// ---- Reading ------------------------------------------------------------------------------------

// Takes bytes cut anywhere, in either framing. head_ready() as soon as the header section is whole,
// at the latest after finish(), because empty sections may be left away; take_content() hands out
// what has arrived since. finish() says whether the message was complete when its bytes ended.
// After a refusal every call gives the same refusal.
class Reader {
public:
    enum class Kind { request, response };
    explicit Reader(Kind kind, Limits limits = {}) : kind_{kind}, limits_{limits} {}

    Result<void> feed(ByteView bytes);
    Result<void> finish();

    bool head_ready() const { return state_ >= State::content; }
    // Control data and header fields; only what head_ready() covers is filled in. Which of the two
    // is meaningful follows from the kind.
    const Request& request() const { return request_; }
    const Response& response() const { return response_; }
    // Content that arrived since the last call.
    Bytes take_content();
    // Complete after finish().
    const Fields& trailers() const { return trailers_; }

private:
    enum class State { framing, control, fields, content, trailers, padding };

    Result<void> advance();
    // Whether a step was taken; false: more bytes are needed.
    Result<bool> step();
    Result<bool> read_framing();
    Result<bool> read_request_control();
    Result<bool> read_response_control();
    Result<bool> read_section(Fields& into);
    Result<bool> read_known_section(Fields& into);
    Result<bool> read_open_section(Fields& into);
    Result<bool> read_content();
    Result<bool> read_padding();
    void end_section();
    // Whether the message may end here (RFC 9292 §3.8).
    bool may_end() const;
    ByteView rest() const { return ByteView{buffer_}.subspan(used_bytes_); }
    void use(std::size_t count) { used_bytes_ += count; }

    Kind kind_;
    Limits limits_;
    State state_ = State::framing;
    bool known_length_ = false;
    bool informational_ = false;      // the section being read belongs to an interim response
    std::size_t section_bytes_ = 0;   // of the open section, used so far
    bool content_started_ = false;    // a length of the content has been read
    std::uint64_t content_left_ = 0;  // of the known length, or of the current piece
    std::size_t content_bytes_ = 0;
    std::size_t padding_bytes_ = 0;
    Request request_;
    Response response_;
    Fields trailers_;
    Bytes content_;
    Bytes buffer_;
    std::size_t used_bytes_ = 0;
    bool finished_ = false;
    std::optional<Error> failed_;
};

// Whole messages.
Result<Request> parse_request(ByteView bytes, const Limits& limits = {});
Result<Response> parse_response(ByteView bytes, const Limits& limits = {});

}  // namespace cocoon::sealing::bhttp
