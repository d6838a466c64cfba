#include "node/engine.hpp"

#include "core/limits.hpp"
#include "node/files.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::node {
namespace {

net::HttpClientOptions client_options(const EngineSettings& settings, std::size_t connections) {
    net::HttpClientOptions options;
    options.connect_timeout = seconds(5);
    options.total_timeout = settings.answer_timeout;
    options.idle_timeout = settings.idle_timeout;
    options.user_agent = "cocoon-node/0.1";
    options.idle_connections_max = connections;
    options.environment_proxy = false;  // prompts must not leave the machine by an operator's proxy
    return options;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(const EngineSettings& settings,
                                             std::size_t connections) {
    std::string api_key;
    if (!settings.api_key_file.empty()) {
        auto content = read_file(settings.api_key_file, 4096, true);
        if (!content) return content.error();
        api_key = std::move(*content);
        while (!api_key.empty() && (api_key.back() == '\n' || api_key.back() == '\r'))
            api_key.pop_back();
    }
    return std::unique_ptr<Engine>{new Engine{settings, std::move(api_key), connections}};
}

Engine::Engine(const EngineSettings& settings, std::string api_key, std::size_t connections)
    : url_{settings.url},
      api_key_{std::move(api_key)},
      client_{client_options(settings, connections)} {}

net::ClientRequest Engine::request(const char* method, const std::string& path) const {
    net::ClientRequest call;
    call.method = method;
    call.url = url_ + path;
    if (!api_key_.empty()) call.headers.set("Authorization", "Bearer " + api_key_);
    return call;
}

Result<std::vector<std::string>> Engine::models(Duration patience) {
    net::ClientRequest call = request("GET", "/v1/models");
    call.total_timeout = patience;
    call.response_bytes_max = 4u << 20;
    const auto response = client_.send(call);
    if (!response) return response.error();
    if (response->status != 200)
        return refuse(ErrorCode::upstream_failed,
                      "the engine answered " + std::to_string(response->status) + " to /v1/models");
    const auto document = sealing::Json::parse(response->body, {.bytes_max = 4u << 20});
    const sealing::Json* data = document ? document->find("data") : nullptr;
    if (data == nullptr || !data->is_array())
        return refuse(ErrorCode::upstream_failed, "the engine's /v1/models is no OpenAI list");
    std::vector<std::string> names;
    for (const sealing::Json& model : data->items())
        if (const auto name = model.text_at("id")) names.emplace_back(*name);
    return names;
}

Result<net::ClientResponse> Engine::call(const std::string& path, const std::string& body,
                                         net::CancelToken& cancel) {
    net::ClientRequest call = request("POST", path);
    call.headers.set("Content-Type", "application/json");
    call.headers.set("Accept", "application/json");
    call.body = body;
    return client_.send(call, &cancel);
}

Result<net::ClientResponse> Engine::stream(
    const std::string& path, const std::string& body, net::CancelToken& cancel,
    const std::function<bool(const net::ClientResponse&)>& on_head,
    const std::function<bool(std::string_view)>& on_chunk) {
    net::ClientRequest call = request("POST", path);
    call.headers.set("Content-Type", "application/json");
    call.headers.set("Accept", "text/event-stream");
    call.body = body;
    return client_.stream(call, on_head, on_chunk, &cancel);
}

}  // namespace cocoon::node
