// cocoon-demo-engine: the deterministic demo engine as a program. Arguments only, no files.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "core/log.hpp"
#include "node/demo_server.hpp"

namespace {

using namespace cocoon;

constexpr std::string_view usage_text =
    "cocoon-demo-engine: a deterministic stand-in for an OpenAI-compatible engine. No language "
    "model.\n"
    "  --listen ADDRESS:PORT    where to serve (default 127.0.0.1:18080)\n"
    "  --model NAME             a model it answers for; may be repeated (default demo-small)\n"
    "  --token-delay-ms N       pause between two tokens (default 0)\n"
    "  --fail-after N           cut every answer after N events; 0: refuse with 503 (for fault "
    "tests)\n"
    "  --help                   this text\n";

struct Arguments {
    std::string address = "127.0.0.1";
    std::uint16_t port = 18080;
    node::demo::Options options;
};

std::optional<std::int64_t> whole_number(const std::string& text, std::int64_t most) {
    if (text.empty() || text.size() > 9 ||
        text.find_first_not_of("0123456789") != std::string::npos)
        return std::nullopt;
    const std::int64_t value = std::stoll(text);
    return value > most ? std::nullopt : std::optional{value};
}

// What is wrong with the arguments, or "".
std::string read_arguments(int count, char** values, Arguments& arguments) {
    std::vector<std::string> models;
    for (int i = 1; i < count; ++i) {
        const std::string name = values[i];
        if (i + 1 == count) return name + " needs a value, or is unknown";
        const std::string value = values[++i];
        const auto colon = value.rfind(':');
        if (name == "--listen") {
            const auto port = colon == std::string::npos
                                  ? std::nullopt
                                  : whole_number(value.substr(colon + 1), 65'535);
            if (!port) return "--listen must be ADDRESS:PORT";
            arguments.address = value.substr(0, colon);
            arguments.port = static_cast<std::uint16_t>(*port);
        } else if (name == "--model") {
            models.push_back(value);
        } else if (name == "--token-delay-ms") {
            const auto delay = whole_number(value, 60'000);
            if (!delay) return "--token-delay-ms must be 0..60000";
            arguments.options.token_delay = milliseconds(*delay);
        } else if (name == "--fail-after") {
            const auto events = whole_number(value, 1'000'000);
            if (!events) return "--fail-after must be 0..1000000";
            arguments.options.fail_after = *events;
        } else {
            return name + " is unknown";
        }
    }
    if (!models.empty()) arguments.options.models = std::move(models);
    return {};
}

}  // namespace

int main(int count, char** values) {
    if (count == 2 && std::string_view{values[1]} == "--help") {
        std::fputs(usage_text.data(), stdout);
        return 0;
    }
    Arguments arguments;
    if (const std::string wrong = read_arguments(count, values, arguments); !wrong.empty()) {
        std::fprintf(stderr, "%s\n%s", wrong.c_str(), usage_text.data());
        return 2;
    }
    try {
        net::EventLoop loop;
        node::demo::Server server{loop, arguments.address, arguments.port, arguments.options};
        loop.on_signals({SIGTERM, SIGINT}, [&loop](int) { loop.stop(); });
        log::info("demo engine serving", {{"address", arguments.address}, {"port", server.port()}});
        loop.run();
    } catch (const std::exception& failure) {
        log::error("demo engine cannot serve", {{"cause", failure.what()}});
        return 1;
    }
    return 0;
}
