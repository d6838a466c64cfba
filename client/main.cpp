// cocoon-client: the developer's side of the market. `serve` runs here; every other command answers
// from commands.cpp.
#include <csignal>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "client/commands.hpp"
#include "client/proxy.hpp"
#include "core/log.hpp"

namespace {

using namespace cocoon::client;

constexpr const char* version = "0.1.0";

int serve(const std::vector<std::string>& arguments, const CommandContext& context) {
    auto config = settings_for(arguments, context);
    if (!config) {
        std::fprintf(stderr, "%s\n", refusal_text(config.error()).c_str());
        return 2;
    }
    cocoon::log::set_level(config->log_level);
    const bool real =
        std::find(config->tiers.begin(), config->tiers.end(), "simulated") == config->tiers.end();
    if (!real)
        cocoon::log::warning("simulated_tier_accepted",
                             {{"meaning", "no hardware is proven for such nodes"}});
    auto proxy = Proxy::start(*std::move(config));
    if (!proxy) {
        std::fprintf(stderr, "%s\n", refusal_text(proxy.error()).c_str());
        return proxy.error().code == cocoon::ErrorCode::invalid_body ? 2 : 1;
    }
    (*proxy)->run(true);
    return 0;
}

int run(const std::vector<std::string>& arguments) {
    const CommandContext context{[](const char* name) {
                                     const char* value = std::getenv(name);
                                     return std::string{value ? value : ""};
                                 },
                                 version};
    const cocoon::Output output = run_command(arguments, context);
    if (output.exit_code < 0) return serve(arguments, context);
    std::fputs(output.out.c_str(), stdout);
    std::fputs(output.err.c_str(), stderr);
    return output.exit_code;
}

}  // namespace

int main(int count, char** values) {
    // Whoever reads the log may go away first; open sessions must still be cancelled.
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return run({values + 1, values + count});
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "cocoon-client: %s\n", failure.what());
        return 1;
    }
}
