// The market's REST API as the client calls it: one JSON call at a time, problems as values. Called
// by worker threads of the sidecar and by the command line; blocking; any number of threads. Knows
// nothing of sealing; exchange.cpp uses its HTTP client for the sealed exchange itself.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client/config.hpp"
#include "client/openai_error.hpp"
#include "net/http_client.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::client {

// A refusal of the market (RFC 9457), or of the way to it.
struct Problem {
    Error error;
    int status = 0;                        // 0: no answer came
    std::int64_t retry_after_seconds = 0;  // 0: not said
    sealing::Json document;                // the problem as it came; null when there was none
};

struct ApiAnswer {
    std::optional<Problem> problem;
    int status = 0;
    net::Headers headers;
    sealing::Json body;
    bool ok() const { return !problem.has_value(); }
};

struct ApiCall {
    std::string method = "GET";
    std::string path;  // with query, "/v1/models"
    std::optional<sealing::Json> body;
    std::string idempotency_key;    // sent when not empty
    std::int64_t wait_seconds = 0;  // Prefer: wait=N
    bool authenticated = true;
    std::string request_id;
};

// A problem from an answer with status >= 400. `body` may be anything.
Problem problem_of(int status, const net::Headers& headers, std::string_view body);
// For people: which offers were removed and what would help, one line; empty without an
// explanation.
std::string explanation_text(const sealing::Json& problem_document, std::string_view coin);

class MarketApi {
public:
    explicit MarketApi(const Config& config);

    ApiAnswer call(const ApiCall& call, net::CancelToken* cancel = nullptr);
    // DELETE /v1/jobs/{id}; whatever comes back is only logged.
    void cancel_job(JobId job);

    net::HttpClient& http() { return http_; }
    std::string url(std::string_view path) const { return config_.market_url + std::string{path}; }
    const Config& config() const { return config_; }

private:
    const Config& config_;
    net::HttpClient http_;
};

// 22 random characters: for Idempotency-Key.
std::string random_key();

Failure failure_of(const Problem& problem, std::string_view model, std::string_view coin);

}  // namespace cocoon::client
