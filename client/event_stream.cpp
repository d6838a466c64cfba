#include "client/event_stream.hpp"

#include "client/json_spans.hpp"

namespace cocoon::client {
namespace {

// Length of the line end at `at`; 0: there is none; nothing: a CR that is last may be half of a
// CRLF.
std::optional<std::size_t> line_end(std::string_view text, std::size_t at) {
    if (text[at] == '\n') return 1;
    if (text[at] != '\r') return 0;
    if (at + 1 == text.size()) return std::nullopt;
    return text[at + 1] == '\n' ? 2 : 1;
}

bool is_done(std::string_view data) { return data == "[DONE]"; }

}  // namespace

std::optional<std::string_view> EventSplitter::next() {
    if (begin_ > 0 && begin_ * 2 >= buffer_.size()) {
        buffer_.erase(0, begin_);
        look_ -= begin_;
        begin_ = 0;
    }
    const std::string_view text = buffer_;
    while (look_ < text.size()) {
        const auto first = line_end(text, look_);
        if (!first) return std::nullopt;
        if (*first == 0) {
            ++look_;
            continue;
        }
        // A line ends here: a blank line follows if the next line end is at once.
        const std::size_t after = look_ + *first;
        if (after >= text.size()) return std::nullopt;
        const auto second = line_end(text, after);
        if (!second) return std::nullopt;
        if (*second == 0) {
            look_ = after;
            continue;
        }
        const std::string_view event = text.substr(begin_, after + *second - begin_);
        begin_ = look_ = after + *second;
        return event;
    }
    return std::nullopt;
}

std::optional<std::string> data_of(std::string_view event) {
    std::optional<std::string> data;
    while (!event.empty()) {
        const auto end = event.find_first_of("\r\n");
        std::string_view line = event.substr(0, end);
        event.remove_prefix(end == std::string_view::npos ? event.size() : end + 1);
        if (line == "data") line = "data:";
        if (!line.starts_with("data:")) continue;
        line.remove_prefix(5);
        if (line.starts_with(' ')) line.remove_prefix(1);
        if (data)
            *data += '\n';
        else
            data.emplace();
        *data += line;
    }
    return data;
}

std::string AnswerStream::rewritten(std::string_view event) {
    const auto data = data_of(event);
    if (!data) return std::string{event};
    const auto document = JsonObjectText::read(*data);
    if (!document) return std::string{event};
    const auto usage = document->find("usage");
    if (!usage || !json_is_object(*usage)) return std::string{event};
    const auto counted = usage_of(*usage);
    if (!counted) return std::string{event};
    usage_ = billed(*counted, Endpoint::chat_completions);
    const auto cost = cost_of(price_, *usage_);
    if (cost) cost_ = *cost;
    const auto choices = document->find("choices");
    const bool only_usage = choices && json_is_array(*choices) && json_elements(*choices).empty();
    if (only_usage && !include_usage_) return {};
    if (!cost) return std::string{event};
    return "data: " + with_members(*data, *usage, cost_members(*cost)) + "\n\n";
}

Result<std::string> AnswerStream::feed(std::string_view bytes) {
    splitter_.feed(bytes);
    std::string out;
    while (const auto event = splitter_.next()) {
        if (!held_.empty()) {
            held_ += *event;
        } else if (event->find("[DONE]") != std::string_view::npos &&
                   is_done(data_of(*event).value_or(""))) {
            held_ = *event;
        } else if (event->find("\"usage\"") != std::string_view::npos) {
            out += rewritten(*event);
        } else {
            out += *event;
        }
        if (held_.size() > event_bytes_max) break;
    }
    if (splitter_.pending_bytes() > event_bytes_max || held_.size() > event_bytes_max)
        return refuse(ErrorCode::upstream_failed, "the engine sent an event beyond the limit");
    return out;
}

std::string AnswerStream::finish(std::string_view receipt) {
    std::string out;
    std::string last{splitter_.rest()};
    if (!last.empty()) {
        // A last event without its blank line: whole, because the sealed stream was.
        last += last.ends_with('\n') ? "\n" : "\n\n";
        if (!held_.empty())
            held_ += last;
        else if (is_done(data_of(last).value_or("")))
            held_ = std::move(last);
        else
            out += rewritten(last);
    }
    // A comment, which every event-stream parser skips: receipt and cost for people and proxies.
    out += ": cocoon {\"receipt\":" + json_quote(receipt);
    if (cost_) out += "," + cost_members(*cost_);
    out += "}\n\n";
    return out + held_;
}

PricedAnswer price_answer(std::string body, const Prices& price, Endpoint endpoint) {
    PricedAnswer answer;
    const auto document = JsonObjectText::read(body);
    const auto usage = document ? document->find("usage") : std::nullopt;
    if (usage && json_is_object(*usage)) answer.usage = usage_of(*usage);
    if (answer.usage) {
        answer.usage = billed(*answer.usage, endpoint);
        const auto cost = cost_of(price, *answer.usage);
        if (cost) {
            answer.cost = *cost;
            answer.body = with_members(body, *usage, cost_members(*cost));
            return answer;
        }
    }
    answer.body = std::move(body);
    return answer;
}

}  // namespace cocoon::client
