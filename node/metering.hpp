// What an answer took and what that costs: reads the engine's `usage`, whole or out of a stream of
// server-sent events, and takes the usage chunk out again if the client had not asked for it.
// Called by exchange on worker threads; each object is one thread's. Knows no prices but those it
// is given, and never keeps a word of the answer.
//
// The rule when an engine gives no usage: the node bills only what it can show. Output = number of
// streamed events that carried output (an engine sends at least one token in each, so this is a
// lower bound); the prompt is not billed; a whole (unstreamed) answer without usage bills the
// request only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/money.hpp"
#include "core/result.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/receipt.hpp"

namespace cocoon::node {

// a + b, each at most limits::tokens_max.
sealing::ReceiptUsage sum_of(const sealing::ReceiptUsage& a, const sealing::ReceiptUsage& b);

// An OpenAI `usage` object as disjoint counts; nothing if it is no such object. Absent details are
// 0; a detail larger than its whole is cut to it; counts are cut to limits::tokens_max.
std::optional<sealing::ReceiptUsage> read_usage(const sealing::Json& usage);

// What is known of an answer so far.
struct Metered {
    std::optional<sealing::ReceiptUsage> usage;  // by the engine, newest; `requests` is 0
    std::int64_t output_events = 0;              // streamed events that carried output
    bool output = false;                         // anything was generated at all
    std::string answer_id;                       // the engine's id of the answer
    bool finished = false;                       // a finish_reason or [DONE] was seen
    bool failed = false;                         // the engine sent an error inside the stream

    // What to bill under the rule above. `generates`: chat and text completions, where no output
    // means no cost; embeddings have none to count.
    sealing::ReceiptUsage billed(bool generates) const;
};

// A whole answer's body.
Metered meter_whole(std::string_view body);

// Server-sent events, cut anywhere.
class StreamMeter {
public:
    enum class Shown { none, at_end, always };  // what usage the client asked to see
    explicit StreamMeter(Shown shown) : shown_{shown} {}

    // Bytes for the client: whole events, in order, untouched but for `usage`.
    // `upstream_failed` when one event exceeds stream_event_bytes_max.
    Result<std::string> feed(std::string_view bytes);
    // What is left when the engine's stream has ended (an event without its blank line).
    std::string finish();

    const Metered& metered() const { return metered_; }

private:
    void take_event(std::string_view event, std::string& out);
    bool rewrite(sealing::Json& chunk, bool& drop);
    void look_at(const sealing::Json& chunk);

    Shown shown_;
    Metered metered_;
    std::string buffer_;
};

constexpr std::size_t stream_event_bytes_max = 4u << 20;

}  // namespace cocoon::node
