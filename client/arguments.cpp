#include "client/arguments.hpp"

#include <algorithm>

#include "core/money.hpp"

namespace cocoon::client {

std::string Arguments::get(std::string_view name) const {
    const auto found = options.find(name);
    return found == options.end() ? std::string{} : found->second;
}

Result<std::int64_t> Arguments::number(std::string_view name, std::int64_t otherwise,
                                       std::int64_t least, std::int64_t most) const {
    if (!has(name)) return otherwise;
    const auto value = Nano::parse(get(name));
    if (!value || value->value < least || value->value > most)
        return refuse(ErrorCode::malformed_request,
                      std::string{name} + " must be a whole number from " + std::to_string(least) +
                          " to " + std::to_string(most));
    return value->value;
}

Result<Arguments> parse_arguments(const std::vector<std::string>& arguments,
                                  const std::vector<OptionSpec>& specs) {
    Arguments parsed;
    bool options_over = false;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (options_over || !argument.starts_with("--")) {
            parsed.positional.push_back(argument);
            continue;
        }
        if (argument == "--") {
            options_over = true;
            continue;
        }
        const auto equals = argument.find('=');
        const std::string name = argument.substr(0, equals);
        const auto spec = std::find_if(specs.begin(), specs.end(),
                                       [&](const OptionSpec& row) { return row.name == name; });
        if (spec == specs.end())
            return refuse(ErrorCode::malformed_request, "unknown option " + name);
        if (parsed.has(name)) return refuse(ErrorCode::malformed_request, name + " is there twice");
        if (spec->value.empty()) {
            if (equals != std::string::npos)
                return refuse(ErrorCode::malformed_request, name + " takes no value");
            parsed.options[name] = "";
        } else if (equals != std::string::npos) {
            parsed.options[name] = argument.substr(equals + 1);
        } else if (i + 1 < arguments.size()) {
            parsed.options[name] = arguments[++i];
        } else {
            return refuse(ErrorCode::malformed_request, name + " needs a value");
        }
    }
    return parsed;
}

}  // namespace cocoon::client
