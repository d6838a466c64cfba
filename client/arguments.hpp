// Command-line arguments against a table of what a command takes. Called by commands.cpp and
// main.cpp.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace cocoon::client {

struct OptionSpec {
    std::string_view name;   // "--depth"
    std::string_view value;  // "N"; empty: a flag
    std::string_view help;
};

struct Arguments {
    std::vector<std::string> positional;
    std::map<std::string, std::string, std::less<>> options;  // flags have the value ""

    bool has(std::string_view name) const { return options.find(name) != options.end(); }
    std::string get(std::string_view name) const;
    // A whole number from `least` to `most`; `otherwise` when absent; a refusal names the option.
    Result<std::int64_t> number(std::string_view name, std::int64_t otherwise, std::int64_t least,
                                std::int64_t most) const;
};

// "--name value" and "--name=value"; "--" ends options. Unknown and repeated options, missing
// values and values for flags are refused (`malformed_request`).
Result<Arguments> parse_arguments(const std::vector<std::string>& arguments,
                                  const std::vector<OptionSpec>& specs);

}  // namespace cocoon::client
