// Outbound HTTP over libcurl: chain, collateral, webhooks, engines, the market's own API. Blocking,
// one call per worker thread at a time, any number of threads. Connections are kept alive and
// reused. No redirects; TLS always verified; HTTP/1.1. libcurl stays in the .cpp.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/limits.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "net/http.hpp"

namespace cocoon::net {

// Cancels calls at once, from any thread. Final; a token may serve several calls.
class CancelToken {
public:
    CancelToken();
    ~CancelToken();
    CancelToken(const CancelToken&) = delete;
    CancelToken& operator=(const CancelToken&) = delete;

    void cancel() noexcept;
    bool cancelled() const noexcept;

private:
    friend class HttpClient;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

struct HttpClientOptions {
    Duration connect_timeout = seconds(10);
    Duration total_timeout = seconds(600);
    Duration idle_timeout =
        seconds(120);     // nothing received for so long, also before the first byte
    std::string ca_file;  // PEM; empty = the system's store
    std::string user_agent = "cocoon-market/0.1";
    std::size_t response_bytes_max = limits::engine_answer_bytes_max;
    std::size_t idle_connections_max = 64;  // sessions kept for reuse
    bool environment_proxy = true;          // http(s)_proxy; never for loopback hosts
    // Asked with the very address that is about to be connected to ("192.0.2.7", "2001:db8::1"), so
    // that no name can resolve to something else between a check and the call. Empty: every
    // address.
    std::function<bool(std::string_view address)> address_allowed;
};

struct ClientRequest {
    std::string method = "GET";
    std::string url;  // http:// or https://
    Headers headers;
    std::string body;
    // Zero = the client's own.
    Duration total_timeout{};
    std::size_t response_bytes_max = 0;
};

struct ClientResponse {
    int status = 0;
    Headers headers;
    Headers trailers;  // after a chunked body (RFC 9110 §6.5), if the peer sent any
    std::string body;  // empty after stream()
};

class HttpClient {
public:
    explicit HttpClient(HttpClientOptions options = {});
    ~HttpClient();
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    // Errors of both: malformed_request (url, method or headers unusable), node_unavailable (cannot
    // resolve or connect), deadline_exceeded (any of the timeouts), body_too_large,
    // stream_truncated (ended before its announced end), upstream_failed (TLS or protocol broken,
    // or cancelled: the detail is then "cancelled"). Any HTTP status is a value.
    Result<ClientResponse> send(const ClientRequest& request, CancelToken* cancel = nullptr);

    // Calls `on_head` once when the final head is there, then `on_chunk` for each piece as it
    // arrives, both on the calling thread; returning false cancels. Returns the head when the body
    // was whole.
    Result<ClientResponse> stream(const ClientRequest& request,
                                  const std::function<bool(const ClientResponse&)>& on_head,
                                  const std::function<bool(std::string_view)>& on_chunk,
                                  CancelToken* cancel = nullptr);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace cocoon::net
