// One request on its way through the server: the socket's exchange, who calls, and the headers and
// the access line that every answer gets, whichever part gives it. Made by dispatch, passed to
// relay and feeds. Answers may be given from any thread; only the first counts.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/http.hpp"
#include "net/http_server.hpp"
#include "server/admission.hpp"
#include "server/metrics.hpp"

namespace cocoon::server {

struct AnswerPolicy {
    std::string cors_origin;  // empty: none
    bool log_all = true, log_failures = true;
};

class Incoming {
public:
    Incoming(std::shared_ptr<net::Exchange> exchange, Admitted admitted, std::string address,
             Instant arrived, const Clock& clock, Metrics& metrics, const AnswerPolicy& policy);
    ~Incoming();
    Incoming(const Incoming&) = delete;
    Incoming& operator=(const Incoming&) = delete;

    const net::Request& request() const { return exchange_->request(); }
    const api::Principal& principal() const { return admitted_.principal; }
    const std::string& request_id() const { return exchange_->request().id; }
    const std::string& address() const { return address_; }
    Instant arrived() const { return arrived_; }
    net::Exchange& exchange() { return *exchange_; }
    std::shared_ptr<net::Exchange> shared_exchange() { return exchange_; }
    // Shown in the access line: "POST /v1/requests" as the route's pattern, never the raw path.
    std::string_view route;

    // Whole answers.
    void respond(api::Response response);
    void refuse(const Error& error);
    // Streamed answers: start, then write on exchange(), then finished() once for the access line.
    void start(int status, std::string_view content_type, net::Headers more = {});
    void finished(std::string_view outcome, std::uint64_t bytes);

private:
    net::Headers common_headers() const;
    void note(int status, std::string_view outcome, std::uint64_t bytes);

    std::shared_ptr<net::Exchange> exchange_;
    const Admitted admitted_;
    const std::string address_;
    const Instant arrived_;
    const Clock& clock_;
    Metrics& metrics_;
    const AnswerPolicy& policy_;
    std::atomic<bool> answered_{false}, noted_{false};
    int started_status_ = 0;
};

// Seconds to wait before the same call may succeed, for a retryable refusal; 0: no Retry-After.
int retry_after_seconds(ErrorCode code);

}  // namespace cocoon::server
