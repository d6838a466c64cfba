// The commands of `cocoon-node` as functions: arguments in, exit code out, text to stdout. Called
// by main and tests. Exit codes: 0 done, 1 refused or unfit, 2 wrong usage, 3 stopped with work
// cut.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cocoon::node {

constexpr std::string_view program_version = "0.1.0";

// `arguments` without the program's name.
int run_command(const std::vector<std::string>& arguments);

}  // namespace cocoon::node
