#include "client/proxy.hpp"

#include <csignal>

#include <algorithm>

#include "client/json_spans.hpp"
#include "core/log.hpp"
#include "sealing/secret.hpp"

namespace cocoon::client {

using sealing::Json;

namespace {

constexpr Duration drain_max = seconds(30);
constexpr std::string_view models_path = "/v1/models";

Error no_such_url(const net::RequestHead& head) {
    return refuse(ErrorCode::not_found, "there is no " + head.method + " " + head.path);
}

net::Response json_response(std::string body) {
    net::Response response;
    response.headers.set("Content-Type", "application/json");
    response.body = std::move(body);
    return response;
}

bool is_json(std::string_view content_type) {
    const std::string_view type = content_type.substr(0, content_type.find(';'));
    return net::same_ignoring_case(type.substr(0, type.find(' ')), "application/json");
}

// A page in a browser must not reach the sidecar under a name of its own (DNS rebinding).
bool is_local_host(std::string_view host) {
    if (host.starts_with('[')) return host.starts_with("[::1]");
    host = host.substr(0, host.find(':'));
    return net::same_ignoring_case(host, "localhost") || host.starts_with("127.");
}

bool presents(const net::Headers& headers, const std::string& key) {
    constexpr std::string_view scheme = "bearer ";
    std::string_view value = headers.get("Authorization");
    if (value.size() <= scheme.size() ||
        !net::same_ignoring_case(value.substr(0, scheme.size()), scheme))
        return false;
    value.remove_prefix(scheme.size());
    return sealing::equal_in_constant_time(as_bytes(value), as_bytes(key));
}

Json list_of(const std::vector<std::string>& items) {
    Json list = Json::array();
    for (const std::string& item : items) list.push(item);
    return list;
}

// What a caller should know before sending: which tiers are on offer, and which this client
// accepts.
Json trust_of(const Json& model, const Config& config) {
    Json usable = Json::array();
    if (const Json* tiers = model.find("tiers"))
        for (const Json& tier : tiers->items())
            if (std::find(config.tiers.begin(), config.tiers.end(), tier.text().value_or("")) !=
                config.tiers.end())
                usable.push(tier);
    Json trust = Json::object();
    trust.set("tiers", model.find("tiers") ? *model.find("tiers") : Json::array());
    trust.set("accepted_tiers", list_of(config.tiers));
    trust.set("usable", !usable.items().empty());
    trust.set("verified_by", "this client, before each seal");
    return trust;
}

}  // namespace

Result<std::string> model_list(const Json& answer, const Config& config) {
    const Json* data = answer.find("data");
    if (!data || !data->is_array())
        return refuse(ErrorCode::upstream_failed, "the market shows no list of models");
    Json models = Json::array();
    for (const Json& item : data->items()) {
        if (!item.text_at("id")) continue;
        Json model = item;
        model.set("object", "model");
        if (!model.find("created")) model.set("created", 0);
        if (!model.find("owned_by")) model.set("owned_by", "market");
        for (const char* name : {"pricing", "context_length"})
            if (!model.find(name)) model.set(name, nullptr);
        model.set("trust", trust_of(item, config));
        models.push(std::move(model));
    }
    return Json::object({{"object", "list"}, {"data", std::move(models)}}).serialize();
}

Proxy::Proxy(Config config)
    : config_{std::move(config)},
      market_{config_},
      trust_{market_, clock_},
      sessions_{market_, trust_, clock_},
      receipts_{market_},
      services_{config_, clock_, market_, trust_, sessions_, receipts_} {}

Result<std::unique_ptr<Proxy>> Proxy::start(Config config) {
    const auto servable = check_servable(config);
    if (!servable) return servable.error();
    std::unique_ptr<Proxy> proxy{new Proxy{std::move(config)}};
    net::HttpServerOptions options;
    options.address =
        proxy->config_.listen_address == "localhost" ? "127.0.0.1" : proxy->config_.listen_address;
    options.port = proxy->config_.listen_port;
    net::HttpHandler handler;
    Proxy& self = *proxy;
    handler.on_head = [&self](const net::RequestHead& head) { return self.decide(head); };
    handler.on_request = [&self](std::shared_ptr<net::Exchange> exchange) {
        self.route(std::move(exchange));
    };
    handler.error_response = [](ErrorCode code, std::string_view) {
        return error_response({refuse(code), 0, {}, {}});
    };
    try {
        proxy->server_ =
            std::make_unique<net::HttpServer>(proxy->loop_, std::move(options), std::move(handler));
    } catch (const std::runtime_error& failure) {
        return refuse(ErrorCode::wrong_state, failure.what());
    }
    if (!proxy->config_.channel.address.empty()) {
        auto feeder = ChannelFeeder::start(proxy->config_.channel, proxy->market_);
        if (!feeder) return feeder.error();
        proxy->feeder_ = *std::move(feeder);
    }
    const auto threads = static_cast<std::size_t>(proxy->config_.calls.concurrent_max);
    proxy->workers_ = std::make_unique<net::WorkerPool>("calls", threads, threads);
    return proxy;
}

Proxy::~Proxy() {
    // Calls first: they use everything else. Then what they used, in reverse.
    if (workers_) workers_->stop();
    server_.reset();
}

std::uint16_t Proxy::port() const { return server_->port(); }

void Proxy::run(bool on_signals) {
    if (on_signals)
        loop_.on_signals({SIGTERM, SIGINT}, [this](int signal) {
            log::info("stopping", {{"signal", signal}});
            stop();
        });
    log::info(
        "listening",
        {{"address", config_.listen_address}, {"port", port()}, {"market", config_.market_url}});
    loop_.run();
    workers_->stop();
    sessions_.stop();
    receipts_.stop();
}

void Proxy::stop() {
    server_->drain(drain_max, [this] { loop_.stop(); });
}

net::Decision Proxy::decide(const net::RequestHead& head) const {
    const auto reject = [](Error error) {
        return net::Decision::reject(error_response({std::move(error), 0, {}, {}}));
    };
    if (!config_.local_key.empty()) {
        if (head.path.starts_with("/v1/") && !presents(head.headers, config_.local_key))
            return reject(refuse(ErrorCode::unauthenticated,
                                 "this client asks for its local key as bearer token"));
    } else if (!is_local_host(head.headers.get("Host"))) {
        return reject(
            refuse(ErrorCode::forbidden, "without a local key only localhost may be asked"));
    }
    if (!endpoint_at(head.path)) return net::Decision::accept(0);
    if (head.method != "POST") return reject(refuse(ErrorCode::method_not_allowed, "use POST"));
    // A browser sends this type to another origin only after a preflight, which is not answered
    // here.
    if (!is_json(head.headers.get("Content-Type")))
        return reject(
            refuse(ErrorCode::unsupported_media_type, "use Content-Type: application/json"));
    if (in_flight_ >= config_.calls.concurrent_max)
        return reject(
            refuse(ErrorCode::overloaded, "this client runs calls.concurrent_max calls already"));
    return net::Decision::accept(static_cast<std::size_t>(config_.calls.body_bytes_max));
}

void Proxy::route(std::shared_ptr<net::Exchange> exchange) {
    const net::Request& request = exchange->request();
    if (const auto endpoint = endpoint_at(request.path))
        return submit(exchange, [this, endpoint, exchange](net::Exchange&) {
            serve_call(services_, *endpoint, exchange);
        });
    const bool get = request.method == "GET";
    const bool list = request.path == models_path;
    if (get && (list || request.path.starts_with(std::string{models_path} + "/"))) {
        const auto id = percent_decode(list ? "" : request.path.substr(models_path.size() + 1));
        if (id)
            return submit(exchange,
                          [this, id = *id](net::Exchange& open) { serve_models(open, id); });
    }
    if (get && request.path == "/livez")
        return exchange->respond(json_response("{\"status\":\"ok\"}"));
    exchange->respond(error_response({no_such_url(request), 0, {}, {}}));
}

void Proxy::submit(std::shared_ptr<net::Exchange> exchange,
                   std::function<void(net::Exchange&)> work) {
    ++in_flight_;
    const auto run = [this, exchange, work = std::move(work)] {
        struct Leave {
            std::atomic<std::int64_t>& count;
            ~Leave() { --count; }
        } leave{in_flight_};
        work(*exchange);
    };
    if (workers_->submit(run)) return;
    --in_flight_;
    exchange->respond(error_response({refuse(ErrorCode::overloaded), 0, {}, {}}));
}

Result<std::string> Proxy::models() {
    const std::lock_guard lock{models_mutex_};
    const Instant now = clock_.now();
    if (!models_text_.empty() && now - models_at_ < models_cached) return models_text_;
    ApiCall call;
    call.path = "/v1/models";
    const ApiAnswer answer = market_.call(call);
    if (!answer.ok()) return failure_of(*answer.problem, {}, config_.coin).error;
    auto list = model_list(answer.body, config_);
    if (!list) return list;
    models_text_ = *std::move(list);
    models_at_ = now;
    return models_text_;
}

void Proxy::serve_models(net::Exchange& exchange, const std::string& id) {
    const auto list = models();
    if (!list) return exchange.respond(error_response({list.error(), 0, {}, {}}));
    if (id.empty()) return exchange.respond(json_response(*list));
    const auto document = JsonObjectText::read(*list);
    const auto data = document ? document->find("data") : std::nullopt;
    for (const std::string_view model : json_elements(data.value_or("[]"))) {
        const auto members = JsonObjectText::read(model);
        if (members && members->find("id") && json_text(*members->find("id")) == id)
            return exchange.respond(json_response(std::string{model}));
    }
    exchange.respond(error_response({refuse(ErrorCode::unknown_market), 0, id, {}}));
}

}  // namespace cocoon::client
