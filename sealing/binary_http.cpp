#include "sealing/binary_http.hpp"

#include <algorithm>
#include <utility>

#include "sealing/varint.hpp"

namespace cocoon::sealing::bhttp {
namespace {

// Framing indicators (RFC 9292 §3.3).
constexpr std::uint64_t known_request = 0;
constexpr std::uint64_t known_response = 1;
constexpr std::uint64_t open_request = 2;
constexpr std::uint64_t open_response = 3;

Error malformed(const char* why) { return refuse(ErrorCode::malformed_request, why); }
Error section_too_large() {
    return refuse(ErrorCode::headers_too_large, "a section of the message is over the limit");
}
Error content_too_large() {
    return refuse(ErrorCode::body_too_large, "the message's content is over the limit");
}

bool is_token(std::string_view text) {
    constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               others.find(c) != std::string_view::npos;
    });
}

bool is_field_name(std::string_view text) {
    return is_token(text) &&
           std::none_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_field_value(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    if (!text.empty() && (blank(text.front()) || blank(text.back()))) return false;
    return text.find_first_of(std::string_view{"\0\r\n", 3}) == std::string_view::npos;
}

bool is_scheme(std::string_view text) {
    return text == "https" || text == "http" || (is_token(text) && text.size() <= 32);
}

// Printable ASCII without space: what RFC 9113 §8.3.1 leaves for :authority and :path.
bool is_visible(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

bool is_path(std::string_view text) {
    return text == "*" ||
           (text.starts_with('/') && is_visible(text) && text.find('#') == std::string_view::npos);
}

Result<void> check_fields(const Fields& fields) {
    for (const Field& field : fields)
        if (!is_field_name(field.name) || !is_field_value(field.value))
            return malformed("a field name or value is not allowed in HTTP");
    return {};
}

Result<void> check_control(const Request& request) {
    if (!is_token(request.method)) return malformed("the method is not a token");
    if (!is_scheme(request.scheme)) return malformed("the scheme is not a scheme");
    if (!is_visible(request.authority))
        return malformed("the authority has characters that are not allowed");
    if (!is_path(request.path)) return malformed("the path is not an absolute path");
    return {};
}

// ---- Writing ------------------------------------------------------------------------------------

void append(Bytes& out, std::string_view text) { out.insert(out.end(), text.begin(), text.end()); }
void append_text(Bytes& out, std::string_view text) {
    append_varint(out, text.size());
    append(out, text);
}

void append_lines(Bytes& out, const Fields& fields) {
    for (const Field& field : fields) {
        append_text(out, field.name);
        append_text(out, field.value);
    }
}

void append_known_section(Bytes& out, const Fields& fields) {
    Bytes lines;
    append_lines(lines, fields);
    append_varint(out, lines.size());
    append(out, as_text(lines));
}

void append_open_section(Bytes& out, const Fields& fields) {
    append_lines(out, fields);
    append_varint(out, 0);
}

void append_control(Bytes& out, const Request& request) {
    append_text(out, request.method);
    append_text(out, request.scheme);
    append_text(out, request.authority);
    append_text(out, request.path);
}

Result<void> append_informational(Bytes& out, const std::vector<Informational>& interim,
                                  void (*append_section)(Bytes&, const Fields&)) {
    for (const Informational& one : interim) {
        if (one.status < 100 || one.status > 199)
            return malformed("an interim status is 100 to 199");
        if (const auto fits = check_fields(one.fields); !fits) return fits.error();
        append_varint(out, static_cast<std::uint64_t>(one.status));
        append_section(out, one.fields);
    }
    return {};
}

Result<void> append_status(Bytes& out, int status) {
    if (status < 200 || status > 599) return malformed("a final status is 200 to 599");
    append_varint(out, static_cast<std::uint64_t>(status));
    return {};
}

void append_known_rest(Bytes& out, const Fields& fields, ByteView content, const Fields& trailers,
                       std::size_t padded_to) {
    append_known_section(out, fields);
    append_varint(out, content.size());
    append(out, as_text(content));
    append_known_section(out, trailers);
    if (padded_to > 1) out.resize((out.size() + padded_to - 1) / padded_to * padded_to);
}

Bytes open_piece(ByteView piece) {
    Bytes out;
    if (piece.empty()) return out;  // a zero length would end the content
    out.reserve(piece.size() + 8);
    append_varint(out, piece.size());
    append(out, as_text(piece));
    return out;
}

Result<Bytes> open_end(const Fields& trailers) {
    if (const auto fits = check_fields(trailers); !fits) return fits.error();
    Bytes out;
    append_varint(out, 0);
    append_open_section(out, trailers);
    return out;
}

// A length-prefixed text at the start of `bytes`.
struct TextRead {
    std::string_view text;
    std::size_t size;  // bytes it took with its length
};
// Nothing if more bytes are needed; refuses a length over `max`.
Result<std::optional<TextRead>> read_text(ByteView bytes, std::size_t max) {
    const std::optional<Varint> length = read_varint(bytes);
    if (!length) return std::optional<TextRead>{};
    if (length->value > max) return section_too_large();
    if (bytes.size() - length->size < length->value) return std::optional<TextRead>{};
    const ByteView text = bytes.subspan(length->size, length->value);
    return std::optional{TextRead{as_text(text), length->size + text.size()}};
}

// A field line. Nothing if more bytes are needed.
struct LineRead {
    Field field;
    std::size_t size;
};
Result<std::optional<LineRead>> read_line(ByteView bytes, std::size_t max) {
    const auto name = read_text(bytes, max);
    if (!name) return name.error();
    if (!*name) return std::optional<LineRead>{};
    const auto value = read_text(bytes.subspan((*name)->size), max);
    if (!value) return value.error();
    if (!*value) return std::optional<LineRead>{};
    if (!is_field_name((*name)->text) || !is_field_value((*value)->text))
        return malformed("a field name or value is not allowed in HTTP");
    LineRead line{{std::string{(*name)->text}, std::string{(*value)->text}},
                  (*name)->size + (*value)->size};
    return std::optional{std::move(line)};
}

}  // namespace

const std::string* find_field(const Fields& fields, std::string_view name) {
    for (const Field& field : fields)
        if (field.name == name) return &field.value;
    return nullptr;
}

Result<Bytes> encode_request(const Request& request, std::size_t padded_to) {
    if (const auto fits = check_control(request); !fits) return fits.error();
    for (const Fields* fields : {&request.fields, &request.trailers})
        if (const auto fits = check_fields(*fields); !fits) return fits.error();
    Bytes out;
    append_varint(out, known_request);
    append_control(out, request);
    append_known_rest(out, request.fields, request.content, request.trailers, padded_to);
    return out;
}

Result<Bytes> encode_response(const Response& response, std::size_t padded_to) {
    for (const Fields* fields : {&response.fields, &response.trailers})
        if (const auto fits = check_fields(*fields); !fits) return fits.error();
    Bytes out;
    append_varint(out, known_response);
    if (const auto fits = append_informational(out, response.informational, append_known_section);
        !fits)
        return fits.error();
    if (const auto fits = append_status(out, response.status); !fits) return fits.error();
    append_known_rest(out, response.fields, response.content, response.trailers, padded_to);
    return out;
}

Result<Bytes> RequestWriter::begin(const Request& head) {
    if (const auto fits = check_control(head); !fits) return fits.error();
    if (const auto fits = check_fields(head.fields); !fits) return fits.error();
    Bytes out;
    append_varint(out, open_request);
    append_control(out, head);
    append_open_section(out, head.fields);
    return out;
}

Bytes RequestWriter::content(ByteView piece) { return open_piece(piece); }
Result<Bytes> RequestWriter::finish(const Fields& trailers) { return open_end(trailers); }

Result<Bytes> ResponseWriter::begin(int status, const Fields& fields,
                                    const std::vector<Informational>& informational) {
    if (const auto fits = check_fields(fields); !fits) return fits.error();
    Bytes out;
    append_varint(out, open_response);
    if (const auto fits = append_informational(out, informational, append_open_section); !fits)
        return fits.error();
    if (const auto fits = append_status(out, status); !fits) return fits.error();
    append_open_section(out, fields);
    return out;
}

Bytes ResponseWriter::content(ByteView piece) { return open_piece(piece); }
Result<Bytes> ResponseWriter::finish(const Fields& trailers) { return open_end(trailers); }

// ---- Reading ------------------------------------------------------------------------------------

Result<void> Reader::feed(ByteView bytes) {
    if (failed_) return *failed_;
    if (finished_) return refuse(ErrorCode::wrong_state, "this message has ended");
    if (used_bytes_ > buffer_.size() / 2) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(used_bytes_));
        used_bytes_ = 0;
    }
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    Result<void> done = advance();
    if (!done) failed_ = done.error();
    return done;
}

Result<void> Reader::finish() {
    if (failed_) return *failed_;
    finished_ = true;
    if (may_end()) {
        state_ = State::padding;  // sections that were left away are empty, so the head is whole
        return {};
    }
    failed_ = refuse(ErrorCode::stream_truncated, "the message ended before it was complete");
    return *failed_;
}

Bytes Reader::take_content() { return std::exchange(content_, {}); }

bool Reader::may_end() const {
    if (!rest().empty()) return false;
    switch (state_) {
        case State::framing:
        case State::control: return false;
        case State::fields: return !informational_ && section_bytes_ == 0;
        case State::content: return !content_started_;
        case State::trailers: return section_bytes_ == 0;
        case State::padding: return true;
    }
    return false;
}

Result<void> Reader::advance() {
    while (true) {
        const Result<bool> progress = step();
        if (!progress) return progress.error();
        if (!*progress) return {};
    }
}

Result<bool> Reader::step() {
    switch (state_) {
        case State::framing: return read_framing();
        case State::control:
            return kind_ == Kind::request ? read_request_control() : read_response_control();
        case State::fields:
            if (informational_) return read_section(response_.informational.back().fields);
            return read_section(kind_ == Kind::request ? request_.fields : response_.fields);
        case State::content: return read_content();
        case State::trailers: return read_section(trailers_);
        case State::padding: break;
    }
    return read_padding();
}

Result<bool> Reader::read_framing() {
    const std::optional<Varint> indicator = read_varint(rest());
    if (!indicator) return false;
    if (indicator->value > open_response) return malformed("unknown framing indicator");
    const bool request = indicator->value == known_request || indicator->value == open_request;
    if (request != (kind_ == Kind::request))
        return malformed("a request where a response belongs, or the reverse");
    known_length_ = indicator->value == known_request || indicator->value == known_response;
    use(indicator->size);
    state_ = State::control;
    return true;
}

Result<bool> Reader::read_request_control() {
    std::size_t at = 0;
    Request read;
    for (std::string* part : {&read.method, &read.scheme, &read.authority, &read.path}) {
        const auto text = read_text(rest().subspan(at), limits_.section_bytes_max);
        if (!text) return text.error();
        if (!*text) {
            if (rest().size() > limits_.section_bytes_max + 32) return section_too_large();
            return false;
        }
        *part = (*text)->text;
        at += (*text)->size;
        if (at > limits_.section_bytes_max) return section_too_large();
    }
    if (const auto fits = check_control(read); !fits) return fits.error();
    request_ = std::move(read);
    use(at);
    state_ = State::fields;
    return true;
}

Result<bool> Reader::read_response_control() {
    const std::optional<Varint> status = read_varint(rest());
    if (!status) return false;
    if (status->value < 100 || status->value > 599) return malformed("a status is 100 to 599");
    informational_ = status->value < 200;
    if (informational_) {
        if (response_.informational.size() >= limits_.informational_max)
            return refuse(ErrorCode::headers_too_large, "too many interim responses");
        response_.informational.push_back({static_cast<int>(status->value), {}});
    } else {
        response_.status = static_cast<int>(status->value);
    }
    use(status->size);
    state_ = State::fields;
    return true;
}

void Reader::end_section() {
    section_bytes_ = 0;
    if (state_ == State::trailers)
        state_ = State::padding;
    else
        state_ = informational_ ? State::control : State::content;
}

Result<bool> Reader::read_section(Fields& into) {
    return known_length_ ? read_known_section(into) : read_open_section(into);
}

Result<bool> Reader::read_known_section(Fields& into) {
    const std::optional<Varint> length = read_varint(rest());
    if (!length) return false;
    if (length->value > limits_.section_bytes_max) return section_too_large();
    if (rest().size() - length->size < length->value) return false;
    ByteView lines = rest().subspan(length->size, length->value);
    while (!lines.empty()) {
        auto line = read_line(lines, limits_.section_bytes_max);
        if (!line) return line.error();
        if (!*line) return malformed("a field line runs past the end of its section");
        if (into.size() >= limits_.fields_max) return section_too_large();
        lines = lines.subspan((*line)->size);
        into.push_back(std::move((*line)->field));
    }
    use(length->size + length->value);
    end_section();
    return true;
}

Result<bool> Reader::read_open_section(Fields& into) {
    const std::optional<Varint> terminator = read_varint(rest());
    if (!terminator) return false;
    if (terminator->value == 0) {
        use(terminator->size);
        end_section();
        return true;
    }
    const std::size_t left = limits_.section_bytes_max - section_bytes_;
    auto line = read_line(rest(), left);
    if (!line) return line.error();
    if (!*line) {
        if (rest().size() > left) return section_too_large();
        return false;
    }
    if ((*line)->size > left || into.size() >= limits_.fields_max) return section_too_large();
    section_bytes_ += (*line)->size;
    use((*line)->size);
    into.push_back(std::move((*line)->field));
    return true;
}

Result<bool> Reader::read_content() {
    if (content_left_ > 0) {
        const std::size_t count = std::min<std::uint64_t>(content_left_, rest().size());
        if (count == 0) return false;
        const ByteView piece = rest().first(count);
        content_.insert(content_.end(), piece.begin(), piece.end());
        use(count);
        content_left_ -= count;
        if (content_left_ == 0 && known_length_) state_ = State::trailers;
        return true;
    }
    const std::optional<Varint> length = read_varint(rest());
    if (!length) return false;
    if (length->value > limits_.content_bytes_max - content_bytes_) return content_too_large();
    content_bytes_ += length->value;
    content_left_ = length->value;
    content_started_ = true;
    use(length->size);
    if (length->value == 0) state_ = State::trailers;
    return true;
}

Result<bool> Reader::read_padding() {
    const ByteView padding = rest();
    if (padding.empty()) return false;
    if (std::any_of(padding.begin(), padding.end(), [](std::uint8_t byte) { return byte != 0; }))
        return malformed("bytes after the message that are not padding");
    if (padding.size() > limits_.padding_bytes_max - padding_bytes_)
        return refuse(ErrorCode::body_too_large, "the message's padding is over the limit");
    padding_bytes_ += padding.size();
    use(padding.size());
    return true;
}

namespace {

Result<void> read_whole(Reader& reader, ByteView bytes) {
    if (const auto read = reader.feed(bytes); !read) return read;
    return reader.finish();
}

}  // namespace

Result<Request> parse_request(ByteView bytes, const Limits& limits) {
    Reader reader{Reader::Kind::request, limits};
    if (const auto read = read_whole(reader, bytes); !read) return read.error();
    Request request = reader.request();
    request.content = reader.take_content();
    request.trailers = reader.trailers();
    return request;
}

Result<Response> parse_response(ByteView bytes, const Limits& limits) {
    Reader reader{Reader::Kind::response, limits};
    if (const auto read = read_whole(reader, bytes); !read) return read.error();
    Response response = reader.response();
    response.content = reader.take_content();
    response.trailers = reader.trailers();
    return response;
}

}  // namespace cocoon::sealing::bhttp
