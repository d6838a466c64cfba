// The demo engine's answers: a small deterministic stand-in for an OpenAI-compatible inference
// engine. It is no language model and says so in every answer; it exists so that a market can be
// shown and tested on any machine. Called by demo_server and tests, any thread: a pure function of
// request and options. Must not know sockets, the market or anything sealed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"

namespace cocoon::node::demo {

constexpr std::string_view default_model = "demo-small";
constexpr std::int64_t answer_tokens_max = 32'768;  // "write 99999999 words" ends here
constexpr std::int64_t context_tokens_max = 131'072;
constexpr std::size_t embedding_dimensions_default = 64;
constexpr std::size_t embedding_dimensions_max = 1'024;
constexpr std::size_t embedding_inputs_max = 2'048;

struct Options {
    std::vector<std::string> models = {std::string{default_model}};
    Duration token_delay;  // between two events of a stream; whole answers wait for the sum
    std::int64_t fail_after =
        -1;  // events or tokens until the connection is cut; 0: 503; -1: never
};

// One answer. Streams are `events` (each one "data: ...\n\n"), everything else is `body`.
struct Answer {
    int status = 200;
    std::string content_type = "application/json";
    bool streamed = false;
    std::vector<std::string> events;
    std::string body;
    std::int64_t output_tokens = 0;
};

// `at` becomes the `created` fields; nothing else depends on it. Understands GET /v1/models,
// GET /v1/models/{name}, POST /v1/chat/completions, /v1/completions, /v1/embeddings; the rest is a
// 404 in OpenAI's error shape.
Answer answer(const Options& options, std::string_view method, std::string_view path,
              std::string_view body, Instant at);

// Pieces of `text` whose concatenation is `text`: white space goes with what follows it, letters
// and digits in runs of at most 8 bytes (never inside a UTF-8 character), every other character
// alone.
std::vector<std::string_view> tokens_of(std::string_view text);

}  // namespace cocoon::node::demo
