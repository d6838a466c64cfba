// The streamed answer on its way to the SDK: cuts server-sent events (WHATWG HTML §9.2) out of
// bytes split anywhere, adds the cost to usage, keeps back "[DONE]" until the sealed stream has
// really ended. Everything else goes through byte for byte, as soon as its event is whole. One
// call's worker thread; pure, no sockets.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/openai.hpp"
#include "client/wire.hpp"
#include "core/result.hpp"

namespace cocoon::client {

constexpr std::size_t event_bytes_max = 4 << 20;  // one event; more is `upstream_failed`

// Splits at blank lines (LF, CRLF or CR), delivering each event with its terminator.
class EventSplitter {
public:
    void feed(std::string_view bytes) { buffer_.append(bytes); }
    // The next whole event, or nothing. The view is valid until the next call of either.
    std::optional<std::string_view> next();
    // What is left when the stream ends without a last blank line.
    std::string_view rest() const { return std::string_view{buffer_}.substr(begin_); }
    std::size_t pending_bytes() const { return buffer_.size() - begin_; }

private:
    std::string buffer_;
    std::size_t begin_ = 0;  // of the event being read
    std::size_t look_ = 0;   // everything before has been searched for the end
};

// The event's data lines joined by LF (without "data:" and one space), or nothing if it has none.
std::optional<std::string> data_of(std::string_view event);

// What the SDK gets, from what the engine sent.
class AnswerStream {
public:
    // `price` is the job's; without `include_usage` the usage event is meant for the meter only and
    // is dropped, because callers that did not ask for it do not expect an event without choices.
    AnswerStream(const Prices& price, bool include_usage)
        : price_{price}, include_usage_{include_usage} {}

    // The bytes to pass on now; may be empty. `upstream_failed` when an event is over the limit.
    Result<std::string> feed(std::string_view bytes);
    // REQUIRES: the sealed stream ended with its final chunk. The comment with the cost, then
    // "[DONE]".
    std::string finish(std::string_view receipt);

    const std::optional<Quantities>& usage() const { return usage_; }
    const std::optional<Nano>& cost() const { return cost_; }

private:
    std::string rewritten(std::string_view event);

    Prices price_;
    bool include_usage_;
    EventSplitter splitter_;
    std::string held_;  // "[DONE]" and whatever follows it
    std::optional<Quantities> usage_;
    std::optional<Nano> cost_;
};

// A whole answer: the same document with the cost in its usage member, and what was found there.
struct PricedAnswer {
    std::string body;
    std::optional<Quantities> usage;  // as billed
    std::optional<Nano> cost;
};
PricedAnswer price_answer(std::string body, const Prices& price, Endpoint endpoint);

}  // namespace cocoon::client
