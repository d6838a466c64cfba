// The command line of cocoon-client for people and scripts: verify, book, models, request, cancel,
// balance, deposit, attest. Called by main.cpp and by tests; prints nothing itself.
// Exit codes: 0 done or valid; 1 refused, unreachable or invalid; 2 wrong usage or settings; 3
// cannot tell.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "client/config.hpp"
#include "core/command_line.hpp"
#include "core/result.hpp"

namespace cocoon::client {

struct CommandContext {
    std::function<std::string(const char*)> environment;  // "" = unset
    std::string version;
};

// `arguments` without the program's name. For `serve` with right arguments, which main.cpp runs
// itself, the exit code is -1.
Output run_command(const std::vector<std::string>& arguments, const CommandContext& context);

// The settings for these arguments: --config FILE, else ./client.json if there is one, else
// built-in ones; then the environment, then --market URL. Refuses with every problem at once.
Result<Config> settings_for(const std::vector<std::string>& arguments,
                            const CommandContext& context);

}  // namespace cocoon::client
