// One sealed exchange: an HTTP request sealed to a node's verified key, sent through the market,
// and the sealed answer opened piece by piece. Called by call.cpp on the call's worker thread;
// blocking. Knows neither OpenAI nor prices; whoever calls has verified the node before.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "client/market_api.hpp"
#include "client/trust.hpp"
#include "sealing/binary_http.hpp"
#include "sealing/signing.hpp"

namespace cocoon::client {

constexpr std::size_t sealed_size_step_bytes = 256;  // plaintext is padded to it: sizes say less

struct SealedCall {
    std::string_view path;    // "/v1/chat/completions"
    std::string_view accept;  // "application/json" or "text/event-stream"
    std::string_view body;
    Quantities bound;  // of this exchange; equals the job's unless it is a session
    std::string_view request_id;
};

// Called in order, on the calling thread. Returning false ends the exchange and tells the market.
struct SealedEvents {
    std::function<bool(int status, const sealing::bhttp::Fields& fields)> on_head;
    std::function<bool(std::string_view content)> on_content;
};

struct ExchangeEnd {
    enum class Kind {
        complete,   // the final chunk came: the answer is whole, paid and receipted
        refused,    // the market refused before the node answered; `problem` says why
        unreached,  // the market could not be reached: nothing was sent
        uncertain,  // no answer, but the node may have begun
        cut,        // the head came, the end did not
        stopped,    // the caller hung up, or a callback said no
    };
    Kind kind = Kind::complete;
    Problem problem;             // for all but complete
    std::optional<Match> match;  // with 409 job_rematched: seal anew for this one
    std::string receipt;         // "job_9" or "job_9.3"
    std::string envelope;        // the cosigned receipt, if it came with the answer
    sealing::Digest sealed_request_sha256{};
    sealing::Digest sealed_response_sha256{};
};

ExchangeEnd exchange_sealed(MarketApi& market, const Job& job, const TrustedNode& node,
                            const SealedCall& call, const SealedEvents& events,
                            net::CancelToken& cancel);

}  // namespace cocoon::client
