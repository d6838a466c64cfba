#include "client/openai.hpp"

#include <algorithm>
#include <array>

#include "client/json_spans.hpp"
#include "core/encoding.hpp"

namespace cocoon::client {

using sealing::Json;

namespace {

constexpr std::array<std::pair<std::string_view, Endpoint>, 3> endpoints{
    {{"/v1/chat/completions", Endpoint::chat_completions},
     {"/v1/completions", Endpoint::completions},
     {"/v1/embeddings", Endpoint::embeddings}}};
// role markers and the generation prompt of a chat template
constexpr std::int64_t template_tokens = 64;
constexpr std::int64_t choices_max = 128;

Error wrong(std::string_view member, std::string message) {
    return Error{ErrorCode::malformed_request,
                 std::string{member} + " " + message,
                 {{"/" + std::string{member}, std::move(message)}}};
}

Result<std::int64_t> count_member(const JsonObjectText& object, std::string_view name,
                                  std::int64_t otherwise, std::int64_t most) {
    const auto value = object.find(name);
    if (!value) return otherwise;
    const auto number = json_integer(*value);
    if (!number || *number < 1 || *number > most)
        return wrong(name, "must be a whole number from 1 to " + std::to_string(most));
    return *number;
}

Result<bool> flag_member(const JsonObjectText& object, std::string_view name) {
    const auto value = object.find(name);
    if (!value) return false;
    const auto flag = json_boolean(*value);
    if (!flag) return wrong(name, "must be true or false");
    return *flag;
}

// How many separate prompts a completions body holds: a string or a list of token numbers is one.
std::int64_t prompts_in(const JsonObjectText& object) {
    const auto prompt = object.find("prompt");
    if (!prompt || !json_is_array(*prompt)) return 1;
    const auto elements = json_elements(*prompt);
    if (elements.empty() || json_integer(elements.front())) return 1;
    return static_cast<std::int64_t>(elements.size());
}

Result<std::int64_t> output_bound(Endpoint endpoint, const JsonObjectText& object,
                                  const EstimateSettings& estimate) {
    if (endpoint == Endpoint::embeddings) return std::int64_t{0};
    auto each =
        count_member(object, "max_tokens", estimate.output_tokens_default, limits::tokens_max);
    if (!each) return each;
    if (endpoint == Endpoint::chat_completions) {
        each = count_member(object, "max_completion_tokens", *each, limits::tokens_max);
        if (!each) return each;
    }
    auto choices = count_member(object, "n", 1, choices_max);
    if (!choices) return choices;
    std::int64_t times = *choices;
    if (endpoint == Endpoint::completions) {
        const auto best_of = count_member(object, "best_of", times, choices_max);
        if (!best_of) return best_of;
        times = std::max(times, *best_of) * prompts_in(object);
    }
    if (*each > limits::tokens_max / times)
        return wrong("max_tokens", "asks for more tokens than can be held");
    return *each * times;
}

Result<void> read_model(const JsonObjectText& object, InspectedRequest& request) {
    const auto value = object.find("model");
    if (!value) return wrong("model", "is required");
    const auto name = json_text(*value);
    if (!name || name->empty() || name->size() > limits::name_bytes_max)
        return wrong("model", "must be a string of 1 to " + std::to_string(limits::name_bytes_max) +
                                  " bytes");
    request.model = *name;
    const auto at = name->rfind('@');
    if (at == std::string::npos) return {};
    request.model = name->substr(0, at);
    request.build = name->substr(at + 1);
    if (request.model.empty() || request.build.empty())
        return wrong("model", "must be \"name\" or \"name@build\"");
    return {};
}

Result<void> read_streaming(const JsonObjectText& object, InspectedRequest& request) {
    const auto stream = flag_member(object, "stream");
    if (!stream) return stream.error();
    request.stream = *stream;
    const auto options = object.find("stream_options");
    if (!options || !request.stream) return {};
    const auto members = JsonObjectText::read(*options);
    if (!members) return wrong("stream_options", "must be an object");
    const auto include_usage = flag_member(*members, "include_usage");
    if (!include_usage) return wrong("stream_options", "include_usage must be true or false");
    request.include_usage = *include_usage;
    return {};
}

std::string lower(std::string_view text) {
    std::string result{text};
    for (char& c : result)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return result;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::vector<std::string> listed(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const auto comma = text.find(',');
        const std::string_view item = trimmed(text.substr(0, comma));
        if (!item.empty() && std::find(items.begin(), items.end(), item) == items.end())
            items.emplace_back(item);
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    return items;
}

Json json_list(const std::vector<std::string>& items) {
    Json list = Json::array();
    for (const std::string& item : items) list.push(item);
    return list;
}

std::optional<std::int64_t> whole_number(std::string_view text, std::int64_t most) {
    const auto amount = Nano::parse(text);
    if (!amount || amount->value < 0 || amount->value > most) return std::nullopt;
    return amount->value;
}

// Reads the headers one by one; each method says whether the header was one of its own.
class OptionReader {
public:
    OptionReader(CallOptions& options, const Config& config) : options_{options}, config_{config} {}

    std::vector<FieldError> problems;

    void read(const std::string& header, std::string_view value) {
        const std::string name = lower(header);
        const std::string_view rest =
            std::string_view{name}.substr(std::string_view{"x-cocoon-"}.size());
        if (!is_utf8(value)) return problem(header, "must be UTF-8");
        if (price(rest, header, value) || list(rest, header, value) || number(rest, header, value))
            return;
        if (rest == "build") {
            if (value.empty() || value.size() > limits::name_bytes_max)
                return problem(header, "must be a build");
            options_.build = value;
            return;
        }
        if (rest == "tiers" || rest == "measurements") return narrow(rest, header, listed(value));
        problem(header, "is not a known header");
    }

private:
    void problem(const std::string& header, std::string message) {
        problems.push_back({header + ":", std::move(message)});
    }

    bool price(std::string_view rest, const std::string& header, std::string_view value) {
        if (rest == "max-cost-nano") {
            const auto amount = whole_number(value, limits::amount_nano_max);
            if (!amount)
                problem(header, "must be a whole number of nano");
            else if (!options_.cost_max || *amount < options_.cost_max->value)
                options_.cost_max = Nano{*amount};
            return true;
        }
        for (const Dimension& dimension : dimensions) {
            std::string dashed{dimension.name};
            std::replace(dashed.begin(), dashed.end(), '_', '-');
            if (rest != "max-price-" + dashed + "-nano") continue;
            const auto amount = whole_number(value, limits::price_nano_max);
            std::int64_t& cap = options_.price_max.*dimension.price;
            if (!amount)
                problem(header, "must be a whole number of nano");
            else if (cap < 0 || *amount < cap)
                cap = *amount;
            return true;
        }
        return false;
    }

    bool list(std::string_view rest, const std::string& header, std::string_view value) {
        for (const char* name :
             {"regions", "countries", "data_policy", "providers_allow", "providers_deny"}) {
            std::string dashed{name};
            std::replace(dashed.begin(), dashed.end(), '_', '-');
            if (rest != dashed) continue;
            const auto items = listed(value);
            if (items.empty() || items.size() > limits::list_items_max)
                problem(header, "must be a comma-separated list");
            else
                combine(name, header, items);
            return true;
        }
        return false;
    }

    // Lists that say what is acceptable may only shrink; lists of demands and denials only grow.
    void combine(const char* name, const std::string& header,
                 const std::vector<std::string>& items) {
        std::vector<std::string> configured;
        if (const Json* list = config_.constraints.find(name))
            for (const Json& item : list->items())
                configured.emplace_back(item.text().value_or(""));
        const bool grows =
            name == std::string_view{"data_policy"} || name == std::string_view{"providers_deny"};
        std::vector<std::string> result = grows ? configured : std::vector<std::string>{};
        for (const std::string& item : items) {
            const bool there =
                std::find(configured.begin(), configured.end(), item) != configured.end();
            if (grows ? !there : (there || configured.empty()))
                result.push_back(item);
            else if (!grows)
                problem(header, "\"" + item + "\" is not accepted by this client's settings");
        }
        options_.constraints.set(name, json_list(result));
    }

    bool number(std::string_view rest, const std::string& header, std::string_view value) {
        if (rest == "wait-seconds") {
            const auto seconds = whole_number(value, 3'600);
            if (!seconds)
                problem(header, "must be a whole number from 0 to 3600");
            else
                options_.wait_seconds = *seconds;
            return true;
        }
        if (rest == "reputation-min-permille") {
            const auto least = whole_number(value, 1'000);
            const auto configured =
                config_.constraints.integer_at("reputation_permille_min").value_or(0);
            if (!least)
                problem(header, "must be a whole number from 0 to 1000");
            else
                options_.constraints.set("reputation_permille_min", std::max(*least, configured));
            return true;
        }
        return false;
    }

    void narrow(std::string_view rest, const std::string& header, std::vector<std::string> items) {
        const bool tiers = rest == "tiers";
        const std::vector<std::string>& accepted = tiers ? config_.tiers : config_.measurements;
        if (items.empty() || items.size() > limits::list_items_max)
            return problem(header, "must be a comma-separated list");
        for (const std::string& item : items)
            if ((tiers || !accepted.empty()) &&
                std::find(accepted.begin(), accepted.end(), item) == accepted.end())
                problem(header, "\"" + item + "\" is not accepted by this client's settings");
        (tiers ? options_.tiers : options_.measurements) = std::move(items);
    }

    CallOptions& options_;
    const Config& config_;
};

}  // namespace

std::string_view path_of(Endpoint endpoint) {
    return endpoints[static_cast<std::size_t>(endpoint)].first;
}

std::optional<Endpoint> endpoint_at(std::string_view path) {
    for (const auto& [known, endpoint] : endpoints)
        if (known == path) return endpoint;
    return std::nullopt;
}

Result<InspectedRequest> inspect_request(Endpoint endpoint, std::string body,
                                         const EstimateSettings& estimate) {
    InspectedRequest request;
    request.endpoint = endpoint;
    const auto object = JsonObjectText::read(body);
    if (!object) return object.error();
    const auto output = output_bound(endpoint, *object, estimate);
    if (!output) return output.error();
    if (endpoint != Endpoint::embeddings) {
        const auto streaming = read_streaming(*object, request);
        if (!streaming) return streaming.error();
    }
    const auto bytes = static_cast<std::int64_t>(body.size() - object->data_url_bytes());
    request.bound.prompt =
        (bytes + estimate.prompt_bytes_per_token - 1) / estimate.prompt_bytes_per_token +
        static_cast<std::int64_t>(object->data_urls()) * estimate.media_tokens_each +
        template_tokens;
    request.bound.completion = *output;
    request.bound.requests = 1;
    const auto model = read_model(*object, request);
    if (!model) return model.error();
    request.body = request.build.empty()
                       ? std::move(body)
                       : replaced(body, *object->find("model"), json_quote(request.model));
    return request;
}

Result<CallOptions> read_call_options(const net::Headers& headers, const Config& config) {
    CallOptions options;
    options.cost_max = config.cost_max;
    options.price_max = config.price_max;
    options.tiers = config.tiers;
    options.measurements = config.measurements;
    options.constraints = config.constraints;
    options.wait_seconds = config.calls.wait_seconds;
    OptionReader reader{options, config};
    for (const net::Header& header : headers)
        if (lower(header.name).starts_with("x-cocoon-")) {
            reader.read(header.name, trimmed(header.value));
            options.as_configured = false;
        }
    if (!reader.problems.empty()) {
        std::string detail = reader.problems.front().path + " " + reader.problems.front().message;
        return Error{ErrorCode::malformed_request, std::move(detail), std::move(reader.problems)};
    }
    options.constraints.set("tiers", json_list(options.tiers));
    if (!options.measurements.empty())
        options.constraints.set("measurements", json_list(options.measurements));
    return options;
}

Json placing_body(const InspectedRequest& request, const CallOptions& options,
                  const Config& config) {
    Json body = Json::object({{"market", "inference:" + request.model}});
    const std::string& build = request.build.empty() ? options.build : request.build;
    if (!build.empty()) body.set("build", build);
    body.set("quantity", quantities_json(request.bound));
    if (options.cost_max) body.set("cap_total_nano", options.cost_max->text());
    Json caps = Json::object();
    for (const Dimension& dimension : dimensions)
        if (options.price_max.*dimension.price >= 0)
            caps.set(std::string{dimension.price_name},
                     std::to_string(options.price_max.*dimension.price));
    if (!caps.members().empty()) body.set("cap_price", std::move(caps));
    body.set("constraints", options.constraints);
    body.set("time_in_force", options.wait_seconds > 0 ? "rest" : "immediate");
    body.set("job_seconds", config.calls.job_seconds);
    body.set("attempts_max", config.calls.attempts_max);
    return body;
}

std::optional<Quantities> usage_of(std::string_view usage_object) {
    const auto usage = JsonObjectText::read(usage_object);
    if (!usage) return std::nullopt;
    const auto count = [](const JsonObjectText& object, std::string_view name) -> std::int64_t {
        const auto value = object.find(name);
        const auto number = value ? json_integer(*value) : std::nullopt;
        return number && *number >= 0 && *number <= (std::int64_t{1} << 53) ? *number : 0;
    };
    const auto detail = [&](std::string_view group, std::string_view name) -> std::int64_t {
        const auto value = usage->find(group);
        if (!value) return 0;
        const auto object = JsonObjectText::read(*value);
        return object ? count(*object, name) : 0;
    };
    if (!usage->find("prompt_tokens") && !usage->find("completion_tokens")) return std::nullopt;
    Quantities quantity;
    const std::int64_t prompt = count(*usage, "prompt_tokens");
    const std::int64_t completion = count(*usage, "completion_tokens");
    quantity.cached = std::min(prompt, detail("prompt_tokens_details", "cached_tokens"));
    quantity.reasoning =
        std::min(completion, detail("completion_tokens_details", "reasoning_tokens"));
    quantity.prompt = prompt - quantity.cached;
    quantity.completion = completion - quantity.reasoning;
    quantity.requests = 1;
    return quantity;
}

Quantities billed(const Quantities& usage, Endpoint endpoint) {
    const bool nothing = usage.completion == 0 && usage.reasoning == 0;
    return endpoint != Endpoint::embeddings && nothing ? Quantities{} : usage;
}

std::string cost_members(Nano cost) {
    return "\"cost_nano\":\"" + cost.text() + "\",\"cost\":\"" + coins_text(cost) + "\"";
}

}  // namespace cocoon::client
