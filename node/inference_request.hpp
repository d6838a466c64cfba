// From the client's opened HTTP request to what the engine gets: which calls are allowed, the
// model's name, the output bound of the job, and usage in streams. Everything else in the body
// passes untouched. Called by exchange on worker threads; pure. Must not know prices or sockets.
#pragma once

#include <string>
#include <variant>

#include "node/metering.hpp"
#include "node/settings.hpp"
#include "node/wire.hpp"
#include "sealing/binary_http.hpp"

namespace cocoon::node {

struct EngineRequest {
    std::string path;
    std::string body;
    bool stream = false;
    bool generates = true;  // false: embeddings
    StreamMeter::Shown shown = StreamMeter::Shown::none;
};

// An answer of the node itself to a request it will not forward, in OpenAI's error shape.
struct InferenceRefusal {
    int status = 400;
    std::string message = {};
    std::string parameter = {};  // empty: null
    std::string code = {};       // stable
    std::string body() const;
};

// The three calls a node answers.
bool is_served(std::string_view path);

struct InferenceRules {
    std::string job;           // must be named by the request's cocoon-job field
    std::string model;         // of the market
    std::string build;         // "model@build" is accepted as the same model
    std::string engine_model;  // what the engine calls it
    sealing::ReceiptUsage quantity;
    std::int64_t output_tokens_max = 0;  // of the offer; 0: no bound
    bool continuous_usage = true;
};

std::variant<EngineRequest, InferenceRefusal> prepare(const sealing::bhttp::Request& request,
                                                      ByteView content,
                                                      const InferenceRules& rules);

}  // namespace cocoon::node
