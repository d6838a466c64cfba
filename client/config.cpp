#include "client/config.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "client/field_reader.hpp"
#include "settlement/channel.hpp"

namespace cocoon::client {

using sealing::Json;

namespace {

constexpr std::size_t config_bytes_max = 256 << 10;
constexpr std::array<std::string_view, 5> tier_names{"simulated", "snp", "tdx", "snp+gpu-cc",
                                                     "tdx+gpu-cc"};

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
    std::ifstream file{path, std::ios::binary};
    if (!file) return refuse(ErrorCode::not_found, "cannot read " + path);
    std::string text(bytes_max + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > bytes_max) return refuse(ErrorCode::body_too_large, path + " is too large");
    return text;
}

std::string trimmed(std::string text) {
    const auto last = text.find_last_not_of(" \t\r\n");
    text.erase(last == std::string::npos ? 0 : last + 1);
    text.erase(0, std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    return text;
}

// A secret stands in the settings or in a file of its own that only its owner may read.
void read_secret(FieldReader& fields, std::string_view name, const std::string& directory,
                 std::string& into) {
    const std::string file_name = std::string{name} + "_file";
    std::string direct, path;
    fields.text(name, direct);
    fields.text(file_name, path);
    if (!direct.empty() && !path.empty())
        fields.problem(file_name, "is there beside " + std::string{name});
    if (!direct.empty()) into = direct;
    if (path.empty()) return;
    const std::string whole = (std::filesystem::path{directory} / path).string();
    struct stat status {};
    if (::stat(whole.c_str(), &status) == 0 && (status.st_mode & 077) != 0)
        return fields.problem(file_name, whole + " can be read by others: chmod 600 it");
    auto text = read_file(whole, 4096);
    if (!text) return fields.problem(file_name, text.error().detail);
    into = trimmed(*std::move(text));
    if (into.empty()) fields.problem(file_name, whole + " is empty");
}

bool is_url(std::string_view url) {
    for (const std::string_view scheme : {"http://", "https://"})
        if (url.starts_with(scheme) && url.size() > scheme.size())
            return url.find_first_of(" ?#\r\n\t", scheme.size()) == std::string_view::npos;
    return false;
}

void read_listen(FieldReader& fields, Config& config) {
    std::string listen;
    fields.text("listen", listen);
    if (listen.empty()) return;
    const auto colon = listen.rfind(':');
    std::uint16_t port = 0;
    const char* const end = listen.data() + listen.size();
    const char* const digits = colon == std::string::npos ? end : listen.data() + colon + 1;
    const auto [read, failure] = std::from_chars(digits, end, port);
    if (colon == std::string::npos || colon == 0 || read != end || failure != std::errc{})
        return fields.problem("listen", "must be address:port");
    config.listen_address = listen.substr(0, colon);
    if (config.listen_address.starts_with('[') && config.listen_address.ends_with(']'))
        config.listen_address = config.listen_address.substr(1, config.listen_address.size() - 2);
    config.listen_port = port;
}

void read_policy(FieldReader& fields, const std::string& directory, Config& config) {
    std::string path;
    fields.text("policy_file", path);
    if (path.empty()) return;
    const auto text = read_file((std::filesystem::path{directory} / path).string(),
                                attestation::policy_bytes_max);
    if (!text) return fields.problem("policy_file", text.error().detail);
    auto policy = attestation::parse_policy(*text);
    if (policy) {
        config.evidence_policy = *std::move(policy);
        return;
    }
    fields.problem("policy_file", policy.error().detail);
    for (const FieldError& field : policy.error().fields)
        fields.problem("policy_file", field.path + " " + field.message);
}

void read_trust(FieldReader& fields, const std::string& directory, Config& config) {
    fields.texts("tiers", config.tiers, tier_names.size());
    if (fields.has("tiers") && config.tiers.empty())
        fields.problem("tiers", "must name at least one tier");
    for (const std::string& tier : config.tiers)
        if (!is_tier(tier)) fields.problem("tiers", "\"" + tier + "\" is no tier");
    fields.texts("measurements", config.measurements, limits::list_items_max, 256);
    fields.integer("evidence_age_seconds_max", config.evidence_age_seconds_max, 60, 30 * 86'400);
    read_policy(fields, directory, config);
}

void read_constraints(const Json& value, Config& config, std::vector<FieldError>& problems) {
    FieldReader fields{value, "/constraints", problems};
    std::vector<std::string> texts;
    std::int64_t number = 0;
    for (const char* name :
         {"regions", "countries", "gpu_models", "data_policy", "providers_allow", "providers_deny"})
        fields.texts(name, texts, limits::list_items_max, limits::name_bytes_max);
    fields.integer("reputation_permille_min", number, 0, 1'000);
    fields.integer("notice_seconds_min", number, 0, limits::reservation_seconds_max);
    fields.integer("first_output_ms_preferred", number, 0, 3'600'000);
    fields.integer("tokens_per_second_preferred", number, 0, 1'000'000);
    fields.finish();
    config.constraints = value;
}

void read_estimate(const Json& value, EstimateSettings& into, std::vector<FieldError>& problems) {
    FieldReader fields{value, "/estimate", problems};
    fields.integer("prompt_bytes_per_token", into.prompt_bytes_per_token, 1, 8);
    fields.integer("output_tokens_default", into.output_tokens_default, 1, 10'000'000);
    fields.integer("media_tokens_each", into.media_tokens_each, 0, 1'000'000);
    fields.finish();
}

void read_calls(const Json& value, CallSettings& into, std::vector<FieldError>& problems) {
    FieldReader fields{value, "/calls", problems};
    fields.integer("concurrent_max", into.concurrent_max, 1,
                   static_cast<std::int64_t>(limits::client_concurrent_calls_max));
    fields.integer("attempts_max", into.attempts_max, 1, 10);
    fields.integer("wait_seconds", into.wait_seconds, 0, 3'600);
    fields.integer("job_seconds", into.job_seconds, 5, 86'400);
    fields.integer("total_seconds_max", into.total_seconds_max, 5, 86'400);
    fields.integer("body_bytes_max", into.body_bytes_max, 1'024,
                   static_cast<std::int64_t>(limits::http_sealed_body_bytes_max) * 15 / 16);
    fields.finish();
}

void read_session(const Json& value, SessionSettings& into, std::vector<FieldError>& problems) {
    into.enabled = true;
    FieldReader fields{value, "/session", problems};
    fields.integer("seconds", into.seconds, 30, limits::reservation_seconds_max);
    fields.integer("slots", into.slots, 1, limits::slots_per_offer_max);
    fields.integer("prompt_tokens", into.prompt_tokens, 1, limits::tokens_max);
    fields.integer("output_tokens", into.output_tokens, 1, limits::tokens_max);
    fields.integer("requests", into.requests, 1, 1'000'000'000);
    fields.integer("renew_seconds_before", into.renew_seconds_before, 1, 86'400);
    fields.finish();
    if (into.renew_seconds_before * 2 > into.seconds)
        fields.problem("renew_seconds_before", "must be at most half of seconds");
}

void read_channel(const Json& value, const std::string& directory, ChannelSettings& into,
                  std::vector<FieldError>& problems) {
    FieldReader fields{value, "/channel", problems};
    fields.text("key_file", into.key_file);
    fields.text("address", into.address);
    fields.money("step_nano", into.step, settlement::ton::channel_step_min,
                 settlement::ton::channel_cap_max);
    fields.money("low_nano", into.low, Nano{1}, Nano{limits::amount_nano_max});
    fields.integer("seconds", into.seconds, 1, 3'600);
    fields.finish();
    if (into.key_file.empty()) fields.problem("key_file", "is required");
    if (into.address.empty()) fields.problem("address", "is required");
    into.key_file = (std::filesystem::path{directory} / into.key_file).string();
}

void read_prices(const Json& value, Prices& into, std::vector<FieldError>& problems) {
    FieldReader fields{value, "/price_max", problems};
    for (const Dimension& dimension : dimensions) {
        Nano amount{-1};
        fields.money(dimension.price_name, amount, Nano{0}, Nano{limits::price_nano_max});
        into.*dimension.price = amount.value;
    }
    fields.finish();
}

void read_log_level(FieldReader& fields, Config& config) {
    std::string level;
    fields.text("log_level", level);
    if (level.empty()) return;
    constexpr std::array<std::pair<std::string_view, log::Level>, 4> levels{
        {{"debug", log::Level::debug},
         {"info", log::Level::info},
         {"warning", log::Level::warning},
         {"error", log::Level::error}}};
    for (const auto& [name, value] : levels)
        if (name == level) {
            config.log_level = value;
            return;
        }
    fields.problem("log_level", "must be debug, info, warning or error");
}

void read_market(FieldReader& fields, const std::string& directory, Config& config) {
    fields.text("market_url", config.market_url);
    if (!config.market_url.empty() && !is_url(config.market_url))
        fields.problem("market_url", "must be an http:// or https:// URL without query");
    read_secret(fields, "api_key", directory, config.api_key);
    fields.text("ca_file", config.ca_file);
    if (!config.ca_file.empty())
        config.ca_file = (std::filesystem::path{directory} / config.ca_file).string();
    std::string key;
    fields.text("market_public_key", key);
    if (key.empty()) return;
    config.market_public_key = sealing::parse_hex_32(key);
    if (!config.market_public_key)
        fields.problem("market_public_key", "must be 64 lower-case hex characters");
}

}  // namespace

bool is_tier(std::string_view name) {
    return std::find(tier_names.begin(), tier_names.end(), name) != tier_names.end();
}

bool is_loopback(std::string_view address) {
    return address == "localhost" || address == "::1" || address.starts_with("127.");
}

Result<Config> parse_config(std::string_view document, const std::string& directory) {
    const auto parsed = Json::parse(document, {.bytes_max = config_bytes_max});
    if (!parsed) return Error{ErrorCode::invalid_body, "not JSON: " + parsed.error().detail, {}};
    Config config;
    std::vector<FieldError> problems;
    FieldReader fields{*parsed, "", problems};
    read_market(fields, directory, config);
    read_listen(fields, config);
    read_secret(fields, "local_key", directory, config.local_key);
    fields.text("coin", config.coin, 16);
    read_log_level(fields, config);
    read_trust(fields, directory, config);
    if (const Json* value = fields.object("constraints"))
        read_constraints(*value, config, problems);
    Nano cost{-1};
    fields.money("cost_nano_max", cost, Nano{1}, Nano{limits::amount_nano_max});
    if (cost.value > 0) config.cost_max = cost;
    if (const Json* value = fields.object("price_max"))
        read_prices(*value, config.price_max, problems);
    if (const Json* value = fields.object("estimate"))
        read_estimate(*value, config.estimate, problems);
    if (const Json* value = fields.object("calls")) read_calls(*value, config.calls, problems);
    if (const Json* value = fields.object("session"))
        read_session(*value, config.session, problems);
    if (const Json* value = fields.object("channel"))
        read_channel(*value, directory, config.channel, problems);
    fields.text("receipts_directory", config.receipts_directory);
    if (!config.receipts_directory.empty())
        config.receipts_directory =
            (std::filesystem::path{directory} / config.receipts_directory).string();
    fields.integer("receipts_max", config.receipts_max, 1, 10'000'000);
    fields.finish();
    if (!problems.empty())
        return Error{ErrorCode::invalid_body, "the settings have problems", std::move(problems)};
    while (config.market_url.ends_with('/')) config.market_url.pop_back();
    return config;
}

Result<Config> load_config(const std::string& path,
                           const std::function<std::string(const char*)>& environment) {
    Config config;
    if (!path.empty()) {
        const auto text = read_file(path, config_bytes_max);
        if (!text) return text.error();
        auto parsed = parse_config(*text, std::filesystem::path{path}.parent_path().string());
        if (!parsed) return parsed.error();
        config = *std::move(parsed);
    }
    if (std::string url = environment("COCOON_MARKET_URL"); !url.empty()) {
        if (!is_url(url))
            return Error{ErrorCode::invalid_body,
                         "COCOON_MARKET_URL must be an http:// or https:// URL",
                         {}};
        while (url.ends_with('/')) url.pop_back();
        config.market_url = std::move(url);
    }
    if (std::string key = environment("COCOON_API_KEY"); !key.empty())
        config.api_key = std::move(key);
    return config;
}

Result<void> check_servable(const Config& config) {
    std::vector<FieldError> problems;
    if (config.market_url.empty())
        problems.push_back({"/market_url", "is required (or COCOON_MARKET_URL)"});
    if (config.api_key.empty())
        problems.push_back({"/api_key_file", "is required (or api_key, or COCOON_API_KEY)"});
    if (config.local_key.empty() && !is_loopback(config.listen_address))
        problems.push_back(
            {"/local_key_file", "is required to listen on " + config.listen_address +
                                    ": anyone who reaches it could spend your money"});
    if (problems.empty()) return {};
    return Error{ErrorCode::invalid_body, "the settings do not allow to serve",
                 std::move(problems)};
}

}  // namespace cocoon::client
