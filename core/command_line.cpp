#include "core/command_line.hpp"

#include <algorithm>
#include <fstream>

#include "core/money.hpp"
#include "core/table.hpp"

namespace cocoon {

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

std::string option_lines(const std::vector<OptionSpec>& options) {
    std::string text;
    for (const OptionSpec& option : options) {
        std::string left = "  " + std::string{option.name};
        if (!option.value.empty()) left += " " + std::string{option.value};
        left.resize(std::max<std::size_t>(left.size() + 2, 27), ' ');
        text += left + std::string{option.help} + "\n";
    }
    return text;
}

Output usage_error(std::string text) { return {{}, std::move(text) + "\n", exit_usage}; }
Output failed(std::string text) { return {{}, std::move(text) + "\n", exit_refused}; }
Output printed(std::string text) { return {std::move(text), {}, 0}; }

std::string refusal_text(const Error& error) {
    std::string text =
        std::string{describe(error.code).name} + ": " +
        (error.detail.empty() ? std::string{describe(error.code).title} : printable(error.detail));
    for (const FieldError& field : error.fields)
        text += "\n  " + printable(field.path + " " + field.message);
    return text;
}

Result<std::string> file_text(const std::string& path, std::size_t bytes_max) {
    std::ifstream file{path, std::ios::binary};
    if (!file) return refuse(ErrorCode::not_found, "cannot read " + path);
    std::string text(bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > bytes_max) return refuse(ErrorCode::body_too_large, path + " is too large");
    return text;
}

}  // namespace cocoon
