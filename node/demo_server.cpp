#include "node/demo_server.hpp"

#include "core/error.hpp"

namespace cocoon::node::demo {
namespace {

net::Response protocol_refusal(ErrorCode code, std::string_view) {
    const ErrorInfo& info = describe(code);
    net::Response response;
    response.status = info.status;
    response.headers.set("Content-Type", "application/json");
    response.body = R"({"error":{"message":")" + std::string{info.title} +
                    R"(","type":"invalid_request_error","param":null,"code":")" +
                    std::string{info.name} + R"("}})";
    return response;
}

}  // namespace

Server::Server(net::EventLoop& loop, const std::string& address, std::uint16_t port,
               Options options)
    : loop_{loop}, options_{std::move(options)} {
    net::HttpHandler handler;
    handler.on_head = [](const net::RequestHead&) { return net::Decision::accept(32u << 20); };
    handler.on_request = [this](std::shared_ptr<net::Exchange> exchange) {
        serve(std::move(exchange));
    };
    handler.error_response = protocol_refusal;
    net::HttpServerOptions server_options;
    server_options.address = address;
    server_options.port = port;
    server_ =
        std::make_unique<net::HttpServer>(loop, std::move(server_options), std::move(handler));
}

Server::~Server() {
    streams_.clear();
    server_.reset();
}

void Server::serve(std::shared_ptr<net::Exchange> exchange) {
    const net::Request& request = exchange->request();
    Answer result =
        answer(options_, request.method, request.path, request.body, SystemClock{}.now());
    const bool cut =
        !result.streamed && options_.fail_after > 0 && result.output_tokens >= options_.fail_after;
    const Duration wait = options_.token_delay * result.output_tokens;
    if (!result.streamed && !cut && wait.us == 0) {
        net::Response response;
        response.status = result.status;
        response.headers.set("Content-Type", result.content_type);
        response.body = std::move(result.body);
        exchange->respond(std::move(response));
        return;
    }
    const std::uint64_t number = ++streams_begun_;
    exchange->on_closed([this, number] { streams_.erase(number); });
    Stream& stream = streams_[number];
    stream.exchange = std::move(exchange);
    stream.answer = std::move(result);
    if (stream.answer.streamed) {
        net::Headers headers{{"Content-Type", stream.answer.content_type},
                             {"Cache-Control", "no-cache"}};
        stream.exchange->start(stream.answer.status, std::move(headers));
        advance(number);
        return;
    }
    stream.timer = loop_.call_after(wait, [this, number, cut] {
        auto node = streams_.extract(number);
        if (node.empty()) return;
        Stream& done = node.mapped();
        if (cut) {
            done.exchange->start(200, {});
            done.exchange->abort();
            return;
        }
        net::Response response;
        response.status = done.answer.status;
        response.headers.set("Content-Type", done.answer.content_type);
        response.body = std::move(done.answer.body);
        done.exchange->respond(std::move(response));
    });
}

// Schedules the next event, or ends the stream.
void Server::advance(std::uint64_t number) {
    const auto found = streams_.find(number);
    if (found == streams_.end()) return;
    Stream& stream = found->second;
    if (options_.fail_after > 0 && static_cast<std::int64_t>(stream.next) >= options_.fail_after) {
        const auto exchange = stream.exchange;
        streams_.erase(found);
        exchange->abort();
        return;
    }
    if (stream.next == stream.answer.events.size()) {
        const auto exchange = stream.exchange;
        streams_.erase(found);
        exchange->finish();
        return;
    }
    if (options_.token_delay.us > 0 && stream.next > 0) {
        stream.timer =
            loop_.call_after(options_.token_delay, [this, number] { write_event(number); });
        return;
    }
    write_event(number);
}

void Server::write_event(std::uint64_t number) {
    const auto found = streams_.find(number);
    if (found == streams_.end()) return;
    Stream& stream = found->second;
    if (!stream.exchange->write(stream.answer.events[stream.next])) {
        if (stream.exchange->closed()) {
            streams_.erase(found);
            return;
        }
        stream.exchange->on_drained([this, number] { advance(number); });
        return;
    }
    ++stream.next;
    // Posted, not called: a long answer without delay must not keep the loop from everyone else.
    loop_.post([this, number] { advance(number); });
}

}  // namespace cocoon::node::demo
