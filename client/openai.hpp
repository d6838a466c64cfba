// What the client must know of OpenAI's API: which endpoints, what a request asks for, how many
// tokens it may take, where usage stands in an answer. Bodies are never rewritten: at most one
// member is replaced or added in place, so tools and fields we have never heard of arrive as they
// were sent. Called by call.cpp on worker threads; pure. Must not know sockets or money beyond
// cost_of().
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/config.hpp"
#include "client/wire.hpp"
#include "core/result.hpp"
#include "net/http.hpp"

namespace cocoon::client {

enum class Endpoint { chat_completions, completions, embeddings };
std::string_view path_of(Endpoint endpoint);  // "/v1/chat/completions"
std::optional<Endpoint> endpoint_at(std::string_view path);

struct InspectedRequest {
    Endpoint endpoint = Endpoint::chat_completions;
    std::string model;  // without "@build"
    std::string build;  // empty: any
    bool stream = false;
    bool include_usage = false;  // the caller asked for usage in the stream
    Quantities bound;            // the most this call is expected to take; see below
    std::string body;            // as sent, "model" without "@build"
};

// Reads `body`. The bound, which is what the market holds money for:
//   prompt      ceil((bytes of the body outside inline "data:" URLs) / prompt_bytes_per_token)
//               + media_tokens_each for each inline "data:" URL + 64 for the chat template
//   completion  max_completion_tokens, else max_tokens, else output_tokens_default; times n or
//   best_of,
//               times the number of prompts; nothing for embeddings
//   requests    1
// One token takes at least one byte with every byte-level tokenizer, so prompt_bytes_per_token = 1
// is certain; 2 holds for all but digit- and symbol-heavy text.
// Refuses with `malformed_request` (400), naming the member in fields[0].
Result<InspectedRequest> inspect_request(Endpoint endpoint, std::string body,
                                         const EstimateSettings& estimate);

// Per-call wishes: the settings, tightened by X-Cocoon-* headers. A header can never loosen a cap
// or accept a tier that the settings refuse.
struct CallOptions {
    std::optional<Nano> cost_max;
    Prices price_max{-1, -1, -1, -1, -1, -1};
    std::vector<std::string> tiers;
    std::vector<std::string> measurements;
    sealing::Json constraints;  // for the market: settings, headers and the two lists above
    std::string build;
    std::int64_t wait_seconds = 0;
    bool as_configured = true;  // no header changed anything: a configured session may serve it
};
// Unknown or malformed X-Cocoon-* headers are refused (`malformed_request`), all at once: a cap
// that is misspelled must not be silently absent.
//   X-Cocoon-Max-Cost-Nano
//   X-Cocoon-Max-Price-{Prompt,Cached,Completion,Reasoning,Request,Gpu-Second}-Nano X-Cocoon-Tiers
//   X-Cocoon-Measurements  X-Cocoon-Regions  X-Cocoon-Countries  X-Cocoon-Data-Policy
//   X-Cocoon-Providers-Allow  X-Cocoon-Providers-Deny (comma-separated)
//   X-Cocoon-Reputation-Min-Permille X-Cocoon-Build  X-Cocoon-Wait-Seconds
Result<CallOptions> read_call_options(const net::Headers& headers, const Config& config);

// The body of POST /v1/requests for one call.
sealing::Json placing_body(const InspectedRequest& request, const CallOptions& options,
                           const Config& config);

// The usage member of an answer or a streamed event as disjoint counts, with requests = 1; nothing
// when there is none. Counts beyond 2^53 or below zero count as none.
std::optional<Quantities> usage_of(std::string_view usage_object);

// What a node bills for that usage: an answer without any output is free on endpoints that
// generate.
Quantities billed(const Quantities& usage, Endpoint endpoint);

// Members to put into a usage object: "cost_nano":"...","cost":"..." (decimal strings).
std::string cost_members(Nano cost);

}  // namespace cocoon::client
