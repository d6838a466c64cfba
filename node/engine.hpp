// The local inference engine over HTTP: models, and one call of the OpenAI shape. Called by
// exchange (worker threads), the health probe and doctor; any number of threads, each call blocks
// its own. The engine's API key is read from a private file and goes nowhere but into the request
// header. Must not know jobs or prices.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "net/http_client.hpp"
#include "node/settings.hpp"

namespace cocoon::node {

class Engine {
public:
    // Fails when the API key file cannot be used.
    static Result<std::unique_ptr<Engine>> open(const EngineSettings& settings,
                                                std::size_t connections);

    // Names of GET /v1/models.
    Result<std::vector<std::string>> models(Duration patience);

    // A whole answer, whatever its status.
    Result<net::ClientResponse> call(const std::string& path, const std::string& body,
                                     net::CancelToken& cancel);
    // The same piece by piece; see net::HttpClient::stream. `on_head` gets the status.
    Result<net::ClientResponse> stream(
        const std::string& path, const std::string& body, net::CancelToken& cancel,
        const std::function<bool(const net::ClientResponse&)>& on_head,
        const std::function<bool(std::string_view)>& on_chunk);

private:
    Engine(const EngineSettings& settings, std::string api_key, std::size_t connections);
    net::ClientRequest request(const char* method, const std::string& path) const;

    const std::string url_;
    const std::string api_key_;
    net::HttpClient client_;
};

}  // namespace cocoon::node
