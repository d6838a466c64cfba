#include "matching/codec.hpp"

#include "core/ensure.hpp"
#include "matching/encoder.hpp"

namespace cocoon::matching {
namespace {

using wire::Reader;
using wire::StringSink;

// What an answer leaves behind: the same shapes without explanations and shared documents. Each has
// its own index on the wire; append only.
void put_error(StringSink& sink, const Error& error) {
    wire::put(
        sink,
        std::string{describe(error.code).name});  // by name: the list of codes may grow anywhere
    wire::put(sink, error.detail);
    wire::put_varint(sink, error.fields.size());
    for (const FieldError& field : error.fields) {
        wire::put(sink, field.path);
        wire::put(sink, field.message);
    }
}

Error get_error(Reader& reader) {
    Error error{ErrorCode::internal_error, {}, {}};
    std::string name;
    wire::get(reader, name);
    if (const ErrorInfo* info = find_error(name))
        error.code = info->code;
    else
        reader.fail();
    wire::get(reader, error.detail);
    const std::uint64_t count = reader.count();
    for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
        FieldError& field = error.fields.emplace_back();
        wire::get(reader, field.path);
        wire::get(reader, field.message);
    }
    return error;
}

void put_answer(StringSink& sink, const RequestAnswer& answer) {
    wire::put(sink, answer.request);
    wire::put(sink, answer.job);
    wire::put(sink, answer.tier);
}

void get_answer(Reader& reader, RequestAnswer& answer) {
    wire::get(reader, answer.request);
    wire::get(reader, answer.job);
    wire::get(reader, answer.tier);
}

void put_answer(StringSink& sink, const RequestsAnswer& answer) {
    wire::put_varint(sink, answer.answers.size());
    for (const Result<RequestAnswer>& one : answer.answers) {
        wire::put(sink, one.has_value());
        if (one)
            put_answer(sink, *one);
        else
            put_error(sink, one.error());
    }
}

void get_answer(Reader& reader, RequestsAnswer& answer) {
    const std::uint64_t count = reader.count();
    for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
        bool good = false;
        wire::get(reader, good);
        if (good) {
            RequestAnswer one;
            get_answer(reader, one);
            answer.answers.emplace_back(std::move(one));
        } else {
            answer.answers.emplace_back(get_error(reader));
        }
    }
}

void put_answer(StringSink& sink, const JobAnswer& answer) {
    wire::put(sink, answer.job);
    wire::put(sink, answer.rematched.has_value());
    if (answer.rematched) put_answer(sink, *answer.rematched);
}

void get_answer(Reader& reader, JobAnswer& answer) {
    wire::get(reader, answer.job);
    bool rematched = false;
    wire::get(reader, rematched);
    if (rematched) get_answer(reader, answer.rematched.emplace());
}

void put_answer(StringSink& sink, const DepositAnswer& answer) {
    wire::put(sink, answer.deposit);
    wire::put(sink, answer.already_credited);
}

void get_answer(Reader& reader, DepositAnswer& answer) {
    wire::get(reader, answer.deposit);
    wire::get(reader, answer.already_credited);
}

void put_answer(StringSink&, const Done&) {}
void get_answer(Reader&, Done&) {}
void put_answer(StringSink& sink, const ExplainAnswer& answer) { wire::put(sink, answer.state); }
void get_answer(Reader& reader, ExplainAnswer& answer) { wire::get(reader, answer.state); }
template <class T>
void put_answer(StringSink& sink, const T& answer) {
    wire::put(sink, answer);
}
template <class T>
void get_answer(Reader& reader, T& answer) {
    wire::get(reader, answer);
}

template <std::size_t I = 0>
void get_reply(Reader& reader, std::size_t index, Answer& answer) {
    if constexpr (I < std::variant_size_v<Answer>) {
        if (index == I) return get_answer(reader, answer.emplace<I>());
        get_reply<I + 1>(reader, index, answer);
    } else {
        reader.fail();
    }
}

Error bad_bytes() { return refuse(ErrorCode::internal_error, "Stored bytes do not decode."); }

template <class T>
std::string encode_value(const T& value) {
    std::string out;
    StringSink sink{out};
    sink.byte(codec_version);
    wire::put(sink, value);
    return out;
}

template <class T>
Result<T> decode_value(std::string_view bytes) {
    Reader reader{bytes};
    if (reader.byte() != codec_version) return bad_bytes();
    T value;
    wire::get(reader, value);
    if (!reader.finished()) return bad_bytes();
    return value;
}

}  // namespace

std::string encode_entries(std::span<const Entry> entries) {
    std::string out;
    StringSink sink{out};
    sink.byte(codec_version);
    wire::put_varint(sink, entries.size());
    for (const Entry& entry : entries) {
        ENSURE(entry.sequence ==
               entries.front().sequence + static_cast<std::size_t>(&entry - entries.data()));
        ENSURE(entry.at >= entries.front().at);
        wire::put(sink, entry.at - entries.front().at);
        wire::put(sink, entry.actor);
        wire::put(sink, entry.events);
        wire::put(sink, entry.postings);
        wire::put(sink, entry.idempotency_key);
        if (entry.idempotency_key.empty()) continue;
        wire::put(sink, entry.input_hash);
        wire::put(sink, entry.answer);
    }
    return out;
}

Result<std::vector<Entry>> decode_entries(std::string_view bytes, std::uint64_t first, Instant at) {
    Reader reader{bytes};
    if (reader.byte() != codec_version) return bad_bytes();
    std::vector<Entry> entries;
    const std::uint64_t count = reader.count();
    for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
        Entry& entry = entries.emplace_back();
        entry.sequence = first + i;
        Duration later;
        wire::get(reader, later);
        if (later.us < 0 || at.us > INT64_MAX - later.us || (i == 0 && later.us != 0))
            return bad_bytes();
        entry.at = at + later;
        wire::get(reader, entry.actor);
        wire::get(reader, entry.events);
        wire::get(reader, entry.postings);
        wire::get(reader, entry.idempotency_key);
        if (entry.idempotency_key.empty()) continue;
        wire::get(reader, entry.input_hash);
        wire::get(reader, entry.answer);
    }
    if (!reader.finished()) return bad_bytes();
    return entries;
}

std::string encode_counters(const Counters& counters) { return encode_value(counters); }
Result<Counters> decode_counters(std::string_view bytes) { return decode_value<Counters>(bytes); }

std::string encode_reply(const Reply& reply) {
    std::string out;
    StringSink sink{out};
    sink.byte(codec_version);
    wire::put(sink, reply.has_value());
    if (!reply) {
        put_error(sink, reply.error());
        return out;
    }
    sink.byte(static_cast<std::uint8_t>(reply->index()));
    std::visit([&](const auto& answer) { put_answer(sink, answer); }, *reply);
    return out;
}

Result<Reply> decode_reply(std::string_view bytes) {
    Reader reader{bytes};
    if (reader.byte() != codec_version) return bad_bytes();
    bool good = false;
    wire::get(reader, good);
    if (!good) {
        Error error = get_error(reader);
        if (!reader.finished()) return bad_bytes();
        return Result<Reply>{Reply{std::move(error)}};
    }
    Answer answer;
    get_reply(reader, reader.byte(), answer);
    if (!reader.finished()) return bad_bytes();
    return Result<Reply>{Reply{std::move(answer)}};
}

}  // namespace cocoon::matching
