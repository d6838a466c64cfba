#include "node/metering.hpp"

#include <algorithm>

#include "core/limits.hpp"

namespace cocoon::node {
namespace {

using sealing::Json;
using sealing::ReceiptUsage;

// Deep enough for any answer, large enough for a whole one (logprobs, embeddings).
constexpr sealing::JsonLimits answer_limits{.bytes_max = limits::engine_answer_bytes_max,
                                            .values_max = 8'000'000};
constexpr std::size_t answer_id_bytes_max = 128;

std::int64_t count_at(const Json& object, std::string_view name) {
    const auto count = object.integer_at(name);
    return std::clamp<std::int64_t>(count.value_or(0), 0, limits::tokens_max);
}

std::int64_t detail_at(const Json& usage, std::string_view group, std::string_view name) {
    const Json* details = usage.find(group);
    return details == nullptr ? 0 : count_at(*details, name);
}

bool holds_text(const Json& object, std::string_view name) {
    const auto text = object.text_at(name);
    return text && !text->empty();
}

// Whether a streamed choice carries output: text, reasoning or a piece of a tool call.
bool has_output(const Json& choice) {
    if (holds_text(choice, "text")) return true;
    const Json* delta = choice.find("delta");
    if (delta == nullptr) return false;
    for (const std::string_view name : {"content", "reasoning_content", "reasoning", "refusal"})
        if (holds_text(*delta, name)) return true;
    const Json* calls = delta->find("tool_calls");
    return (calls != nullptr && !calls->items().empty()) || delta->find("function_call") != nullptr;
}

void take_answer_id(const Json& document, std::string& into) {
    if (!into.empty()) return;
    const auto id = document.text_at("id");
    if (id && id->size() <= answer_id_bytes_max) into = *id;
}

// The payload of an event: its "data:" lines joined by newlines (WHATWG HTML §9.2.6).
std::string data_of(std::string_view event) {
    std::string data;
    bool first = true;
    while (!event.empty()) {
        const std::size_t end = event.find('\n');
        std::string_view line = event.substr(0, end);
        event = end == std::string_view::npos ? std::string_view{} : event.substr(end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!line.starts_with("data:")) continue;
        line.remove_prefix(5);
        if (line.starts_with(' ')) line.remove_prefix(1);
        if (!first) data += '\n';
        first = false;
        data += line;
    }
    return data;
}

// Where the first event of `bytes` ends (past its blank line), or npos.
std::size_t end_of_event(std::string_view bytes, std::size_t from) {
    const std::size_t plain = bytes.find("\n\n", from);
    const std::size_t carriage = bytes.find("\n\r\n", from);
    if (plain == std::string_view::npos && carriage == std::string_view::npos) return plain;
    return plain < carriage ? plain + 2 : carriage + 3;
}

}  // namespace

ReceiptUsage sum_of(const ReceiptUsage& a, const ReceiptUsage& b) {
    const auto add = [](std::int64_t x, std::int64_t y) {
        return std::min(x + y, limits::tokens_max);
    };
    return {add(a.prompt, b.prompt),         add(a.cached, b.cached),
            add(a.completion, b.completion), add(a.reasoning, b.reasoning),
            add(a.requests, b.requests),     add(a.gpu_seconds, b.gpu_seconds)};
}

std::optional<ReceiptUsage> read_usage(const Json& usage) {
    if (!usage.is_object() || !usage.integer_at("prompt_tokens")) return std::nullopt;
    const std::int64_t prompt = count_at(usage, "prompt_tokens");
    const std::int64_t completion = count_at(usage, "completion_tokens");
    ReceiptUsage split;
    split.cached = std::min(prompt, detail_at(usage, "prompt_tokens_details", "cached_tokens"));
    split.prompt = prompt - split.cached;
    split.reasoning =
        std::min(completion, detail_at(usage, "completion_tokens_details", "reasoning_tokens"));
    split.completion = completion - split.reasoning;
    return split;
}

ReceiptUsage Metered::billed(bool generates) const {
    ReceiptUsage bill = usage.value_or(ReceiptUsage{});
    if (!usage) bill.completion = std::min(output_events, limits::tokens_max);
    const bool nothing = usage ? bill.completion == 0 && bill.reasoning == 0 : !output;
    if (generates && nothing) return {};
    bill.requests = 1;
    return bill;
}

Metered meter_whole(std::string_view body) {
    Metered metered;
    const auto document = Json::parse(body, answer_limits);
    if (!document || !document->is_object()) return metered;
    take_answer_id(*document, metered.answer_id);
    if (const Json* usage = document->find("usage")) metered.usage = read_usage(*usage);
    const Json* choices = document->find("choices");
    metered.output = choices != nullptr && !choices->items().empty();
    metered.finished = true;
    metered.failed = document->find("error") != nullptr;
    return metered;
}

Result<std::string> StreamMeter::feed(std::string_view bytes) {
    std::string out;
    std::size_t looked = buffer_.size() < 3 ? 0 : buffer_.size() - 3;
    buffer_ += bytes;
    std::size_t begin = 0;
    for (;;) {
        const std::size_t end = end_of_event(buffer_, std::max(begin, looked));
        if (end == std::string::npos) break;
        take_event(std::string_view{buffer_}.substr(begin, end - begin), out);
        begin = end;
        looked = end;
    }
    buffer_.erase(0, begin);
    if (buffer_.size() > stream_event_bytes_max)
        return refuse(ErrorCode::upstream_failed, "the engine sent an event beyond the limit");
    return out;
}

std::string StreamMeter::finish() {
    std::string out;
    if (!buffer_.empty()) take_event(buffer_, out);
    buffer_.clear();
    return out;
}

void StreamMeter::take_event(std::string_view event, std::string& out) {
    const std::string data = data_of(event);
    if (data == "[DONE]") metered_.finished = true;
    auto chunk = data.starts_with('{') ? Json::parse(data, answer_limits) : Result<Json>{Json{}};
    if (!chunk ||
        !chunk->is_object()) {  // a comment, [DONE], or nothing we understand: not ours to change
        out += event;
        return;
    }
    look_at(*chunk);
    bool drop = false;
    if (!rewrite(*chunk, drop)) {
        out += event;
    } else if (!drop) {
        out += "data: " + chunk->serialize() + "\n\n";
    }
}

void StreamMeter::look_at(const Json& chunk) {
    take_answer_id(chunk, metered_.answer_id);
    if (const Json* usage = chunk.find("usage"))
        if (const auto counts = read_usage(*usage)) metered_.usage = counts;
    if (chunk.find("error") != nullptr) metered_.failed = true;
    const Json* choices = chunk.find("choices");
    if (choices == nullptr) return;
    bool output = false;
    for (const Json& choice : choices->items()) {
        output = output || has_output(choice);
        const Json* reason = choice.find("finish_reason");
        if (reason != nullptr && !reason->is_null()) metered_.finished = true;
    }
    if (!output) return;
    metered_.output = true;
    ++metered_.output_events;
}

// Whether `chunk` differs from what the client asked for and was changed; `drop`: it is only ours.
bool StreamMeter::rewrite(Json& chunk, bool& drop) {
    Json* usage = chunk.find("usage");
    if (usage == nullptr || shown_ == Shown::always) return false;
    const Json* choices = chunk.find("choices");
    const bool final_chunk = choices != nullptr && choices->is_array() && choices->items().empty();
    if (shown_ == Shown::at_end) {
        if (final_chunk || usage->is_null()) return false;
        *usage = Json{};
        return true;
    }
    drop = final_chunk && usage->is_object();
    if (!drop) chunk.erase("usage");
    return true;
}

}  // namespace cocoon::node
