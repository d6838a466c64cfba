// What the programs' command lines share: arguments against a table of what a command takes, files
// that are named there, and what a command answers. Called by the commands of cocoon-client and
// cocoon-market; any thread. Must not know a command.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace cocoon {

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

// One line for each option, for help pages.
std::string option_lines(const std::vector<OptionSpec>& options);

// Exit codes of commands; 0: done or valid.
constexpr int exit_refused = 1;  // also unreachable, invalid
constexpr int exit_usage = 2;    // also wrong settings
constexpr int exit_unknown = 3;  // cannot tell

struct Output {
    std::string out;  // for stdout: the answer
    std::string err;  // for stderr: what went wrong
    int exit_code = 0;
};
Output usage_error(std::string text);
Output failed(std::string text);
Output printed(std::string text);

// A refusal in words, one line for each field: for stderr.
std::string refusal_text(const Error& error);

// A whole file; `not_found`, or `body_too_large` beyond `bytes_max`.
Result<std::string> file_text(const std::string& path, std::size_t bytes_max);

}  // namespace cocoon
