#include "node/settings.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "attestation/policy.hpp"
#include "attestation/simulated.hpp"
#include "core/ids.hpp"
#include "core/limits.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::node {
namespace {

using sealing::Json;

constexpr std::size_t settings_bytes_max = 256 << 10;
constexpr std::size_t offers_max = limits::offers_per_node_max;
constexpr std::size_t path_bytes_max = 4096;
constexpr std::int64_t slots_max = 512;  // each slot is a thread that waits for the engine

// Reads one object: each get marks its name as known, finish() reports the rest.
class ObjectReader {
public:
    ObjectReader(const Json& object, std::string path, std::vector<FieldError>& problems)
        : object_{object}, path_{std::move(path)}, problems_{problems} {
        if (!object.is_object()) problem("", "must be an object");
    }
    ~ObjectReader() {
        for (const auto& [name, value] : object_.members())
            if (std::find(known_.begin(), known_.end(), name) == known_.end())
                problem(name, "unknown field");
    }
    ObjectReader(const ObjectReader&) = delete;
    ObjectReader& operator=(const ObjectReader&) = delete;

    const Json* get(const std::string& name) {
        known_.push_back(name);
        const Json* value = object_.find(name);
        return value == nullptr || value->is_null() ? nullptr : value;
    }
    void problem(const std::string& name, std::string message) {
        problems_.push_back({name.empty() ? path_ : path_ + "/" + name, std::move(message)});
    }
    std::string under(const std::string& name) const { return path_ + "/" + name; }
    std::vector<FieldError>& problems() { return problems_; }

    void text(const std::string& name, std::string& into, bool required, std::size_t bytes_max) {
        const Json* value = get(name);
        if (value == nullptr) {
            if (required) problem(name, "is required");
            return;
        }
        const auto given = value->text();
        if (!given || given->size() > bytes_max || (required && given->empty()))
            return problem(name, "must be a string of " + std::string{required ? "1" : "0"} +
                                     " to " + std::to_string(bytes_max) + " bytes");
        if (std::any_of(given->begin(), given->end(),
                        [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
            return problem(name, "must not contain control characters");
        into = *given;
    }
    void number(const std::string& name, std::int64_t& into, std::int64_t least,
                std::int64_t most) {
        const Json* value = get(name);
        if (value == nullptr) return;
        const auto given = value->integer();
        if (!given || *given < least || *given > most)
            return problem(name, "must be an integer from " + std::to_string(least) + " to " +
                                     std::to_string(most));
        into = *given;
    }
    void boolean(const std::string& name, bool& into) {
        const Json* value = get(name);
        if (value == nullptr) return;
        if (const auto given = value->boolean())
            into = *given;
        else
            problem(name, "must be true or false");
    }
    void span(const std::string& name, Duration& into, std::int64_t least, std::int64_t most) {
        std::int64_t count = into.seconds();
        number(name, count, least, most);
        into = seconds(count);
    }
    template <class Check>
    void texts(const std::string& name, std::vector<std::string>& into, Check check,
               const char* expected) {
        const Json* value = get(name);
        if (value == nullptr) return;
        if (!value->is_array() || value->items().size() > limits::list_items_max)
            return problem(name, "must be an array of at most " +
                                     std::to_string(limits::list_items_max) + " strings");
        for (std::size_t i = 0; i < value->items().size(); ++i) {
            const auto item = value->items()[i].text();
            if (item && check(*item))
                into.emplace_back(*item);
            else
                problem(name + "/" + std::to_string(i), expected);
        }
    }

private:
    const Json& object_;
    std::string path_;
    std::vector<FieldError>& problems_;
    std::vector<std::string> known_;
};

void read_price(const Json* value, const std::string& path, sealing::ReceiptPrices& price,
                std::vector<FieldError>& problems) {
    if (value == nullptr) {
        problems.push_back({path, "is required"});
        return;
    }
    ObjectReader reader{*value, path, problems};
    const auto amount = [&reader](const char* name, std::int64_t& into) {
        const Json* given = reader.get(name);
        if (given == nullptr) return;
        const auto text = given->text();
        const auto nano = text ? Nano::parse(*text) : std::nullopt;
        if (!nano || nano->value < 0 || nano->value > limits::price_nano_max)
            return reader.problem(name, "must be a decimal string from 0 to " +
                                            std::to_string(limits::price_nano_max));
        into = nano->value;
    };
    amount("prompt_nano_per_mtok", price.prompt);
    amount("cached_nano_per_mtok", price.cached);
    amount("completion_nano_per_mtok", price.completion);
    amount("reasoning_nano_per_mtok", price.reasoning);
    amount("request_nano", price.request);
    amount("gpu_second_nano", price.gpu_second);
}

void read_windows(ObjectReader& reader, std::vector<Window>& windows) {
    const Json* value = reader.get("windows");
    if (value == nullptr) return;
    if (!value->is_array() || value->items().size() > limits::schedule_windows_max)
        return reader.problem("windows", "must be an array of at most " +
                                             std::to_string(limits::schedule_windows_max));
    for (std::size_t i = 0; i < value->items().size(); ++i) {
        ObjectReader window{value->items()[i], reader.under("windows/" + std::to_string(i)),
                            reader.problems()};
        std::int64_t from = -1;
        std::int64_t to = -1;
        window.number("from_minute", from, 0, 7 * 24 * 60);
        window.number("to_minute", to, 0, 7 * 24 * 60);
        if (from < 0 || to <= from) window.problem("", "needs from_minute < to_minute");
        windows.push_back({static_cast<int>(from), static_cast<int>(to)});
    }
}

OfferSettings read_offer(const Json& value, const std::string& path,
                         std::vector<FieldError>& problems) {
    ObjectReader reader{value, path, problems};
    OfferSettings offer;
    reader.text("market", offer.market, true, limits::name_bytes_max);
    if (!offer.market.empty() && (!offer.market.starts_with("inference:") || offer.model().empty()))
        reader.problem("market", "must be inference:<model>; an engine serves no other market");
    reader.text("build", offer.build, false, limits::name_bytes_max);
    reader.text("engine_model", offer.engine_model, false, 256);
    read_price(reader.get("price"), reader.under("price"), offer.price, problems);
    reader.number("slots", offer.slots, 1, slots_max);
    reader.number("context_tokens_max", offer.context_tokens_max, 0, limits::tokens_max);
    reader.number("output_tokens_max", offer.output_tokens_max, 0, limits::tokens_max);
    reader.number("notice_seconds", offer.notice_seconds, 0, limits::reservation_seconds_max);
    static constexpr std::array<std::string_view, 5> policies = {"zero_retention", "no_training",
                                                                 "gdpr", "hipaa", "soc2"};
    const auto is_policy = [](std::string_view name) {
        return std::find(policies.begin(), policies.end(), name) != policies.end();
    };
    const auto is_account = [](std::string_view id) { return AccountId::parse(id).has_value(); };
    reader.texts("data_policy", offer.data_policy, is_policy,
                 "must be one of zero_retention, no_training, gdpr, hipaa, soc2");
    reader.texts("allow", offer.allow, is_account, "must be an account id like acc_1");
    reader.texts("deny", offer.deny, is_account, "must be an account id like acc_1");
    read_windows(reader, offer.windows);
    return offer;
}

bool is_http_url(std::string_view url) {
    const bool scheme = url.starts_with("http://") || url.starts_with("https://");
    return scheme && url.find("://") + 3 < url.size() &&
           url.find_first_of(" ?#@") == std::string_view::npos;
}

void read_url(ObjectReader& reader, const std::string& name, std::string& into) {
    reader.text(name, into, true, 512);
    while (into.ends_with('/')) into.pop_back();
    if (!into.empty() && !is_http_url(into))
        reader.problem(
            name,
            "must be http://host[:port] or https://host[:port], without user, query or fragment");
}

std::string resolve(const std::string& path, const std::string& directory) {
    if (path.empty() || directory.empty() || path.front() == '/') return path;
    return (std::filesystem::path{directory} / path).lexically_normal().string();
}

void read_engine(ObjectReader& root, Settings& settings, const std::string& directory) {
    const Json* value = root.get("engine");
    if (value == nullptr) return root.problem("engine", "is required");
    ObjectReader reader{*value, "/engine", root.problems()};
    read_url(reader, "url", settings.engine.url);
    if (settings.engine.url.ends_with("/v1"))
        settings.engine.url.resize(settings.engine.url.size() - 3);
    reader.text("api_key_file", settings.engine.api_key_file, false, path_bytes_max);
    settings.engine.api_key_file = resolve(settings.engine.api_key_file, directory);
    reader.boolean("continuous_usage", settings.engine.continuous_usage);
    reader.span("probe_seconds", settings.engine.probe_interval, 1, 3'600);
    reader.span("answer_seconds_max", settings.engine.answer_timeout, 1, 86'400);
    reader.span("idle_seconds_max", settings.engine.idle_timeout, 1, 86'400);
}

void read_simulated(ObjectReader& reader, Settings& settings) {
    reader.text("platform_id", settings.platform_id, true, 64);
    if (settings.platform_id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") !=
        std::string::npos)
        reader.problem("platform_id", "may only hold a-z, 0-9, '.', '_' and '-'");
    reader.text("measurement", settings.measurement, false, 96);
    if (!settings.measurement.empty() &&
        (settings.measurement.size() != 96 || !from_hex(settings.measurement).has_value()))
        reader.problem("measurement", "must be 96 lower-case hex characters");
}

void read_collectors(ObjectReader& reader, CollectorSettings& collectors,
                     const std::string& directory) {
    const auto path = [&](const char* name, std::string& into) {
        const std::string usual = into;
        reader.text(name, into, false, path_bytes_max);
        into = into.empty() ? usual : resolve(into, directory);
    };
    path("tsm_directory", collectors.tsm_directory);
    path("tdx_guest_device", collectors.tdx_guest_device);
    path("sev_guest_device", collectors.sev_guest_device);
    path("event_log_file", collectors.event_log_file);
    path("firmware_log_file", collectors.firmware_log_file);
    // A bare name is looked for where the system keeps its libraries.
    reader.text("nvml_library", collectors.nvml_library, false, path_bytes_max);
    const auto is_path = [](std::string_view text) {
        return !text.empty() && text.size() <= path_bytes_max;
    };
    reader.texts("collateral_files", collectors.collateral_files, is_path, "must be a path");
    for (std::string& file : collectors.collateral_files) file = resolve(file, directory);
}

// The members of one kind of tier are unknown in the other: hardware says itself what it is.
void read_attestation(ObjectReader& root, Settings& settings, const std::string& directory) {
    const Json* value = root.get("attestation");
    if (value == nullptr) return root.problem("attestation", "is required");
    ObjectReader reader{*value, "/attestation", root.problems()};
    reader.text("tier", settings.attestation_tier, true, 32);
    const auto& tiers = attestation::all_tiers;
    if (std::find(tiers.begin(), tiers.end(), settings.attestation_tier) == tiers.end())
        reader.problem("tier", "must be tdx+gpu-cc, snp+gpu-cc, tdx, snp or simulated");
    if (settings.attestation_tier == attestation::simulated_tier)
        read_simulated(reader, settings);
    else
        read_collectors(reader, settings.collectors, directory);
}

// Where the measured software comes from; all of it may be absent.
void read_source(ObjectReader& root, Settings& settings) {
    const Json* value = root.get("source");
    if (value == nullptr) return;
    ObjectReader reader{*value, "/source", root.problems()};
    trust::SourceProvenance& source = settings.source;
    reader.text("repository_url", source.repository_url, false, 512);
    if (!source.repository_url.empty() && !source.repository_url.starts_with("https://"))
        reader.problem("repository_url", "must begin with https://");
    reader.text("commit", source.repository_commit, false, 64);
    const auto bytes = from_hex(source.repository_commit);
    if (!bytes || (!bytes->empty() && bytes->size() != 20 && bytes->size() != 32))
        reader.problem("commit", "must be 40 or 64 lower-case hex characters");
    reader.text("image_digest", source.image_digest, false, 128);
    if (!source.image_digest.empty() && !source.image_digest.starts_with("sha256:"))
        reader.problem("image_digest", "must begin with sha256:");
}

void read_market(ObjectReader& root, Settings& settings, const std::string& directory) {
    const Json* value = root.get("market");
    if (value == nullptr) return root.problem("market", "is required");
    ObjectReader reader{*value, "/market", root.problems()};
    read_url(reader, "url", settings.market_url);
    reader.text("ca_file", settings.market_ca_file, false, path_bytes_max);
    settings.market_ca_file = resolve(settings.market_ca_file, directory);
}

void read_log_level(ObjectReader& root, Settings& settings) {
    std::string level;
    root.text("log_level", level, false, 16);
    if (level == "debug")
        settings.log_level = log::Level::debug;
    else if (level == "warning")
        settings.log_level = log::Level::warning;
    else if (level == "error")
        settings.log_level = log::Level::error;
    else if (!level.empty() && level != "info")
        root.problem("log_level", "must be debug, info, warning or error");
}

void read_offers(ObjectReader& root, Settings& settings) {
    const Json* value = root.get("offers");
    if (value == nullptr) return;
    if (!value->is_array() || value->items().size() > offers_max)
        return root.problem(
            "offers", "must be an array of at most " + std::to_string(offers_max) + " offers");
    for (std::size_t i = 0; i < value->items().size(); ++i) {
        const std::string path = "/offers/" + std::to_string(i);
        OfferSettings offer = read_offer(value->items()[i], path, root.problems());
        if (settings.find_offer(offer.market, offer.build) != nullptr)
            root.problems().push_back({path, "a second offer for the same market and build"});
        settings.offers.push_back(std::move(offer));
    }
    if (settings.slots() > slots_max)
        root.problem("offers", "all slots together must be at most " + std::to_string(slots_max));
}

void read_root(const Json& document, const std::string& directory, Settings& settings,
               std::vector<FieldError>& problems) {
    ObjectReader root{document, "", problems};
    read_market(root, settings, directory);
    root.text("name", settings.name, true, limits::name_bytes_max);
    root.text("region", settings.region, true, limits::name_bytes_max);
    root.text("country", settings.country, true, 2);
    const bool letters = std::all_of(settings.country.begin(), settings.country.end(),
                                     [](char c) { return c >= 'A' && c <= 'Z'; });
    if (settings.country.size() != 2 || !letters)
        root.problem("country", "must be two capital letters (ISO 3166-1)");
    if (const Json* gpu = root.get("gpu")) {
        ObjectReader reader{*gpu, "/gpu", problems};
        reader.text("model", settings.gpu_model, true, limits::name_bytes_max);
        reader.number("count", settings.gpu_count, 0, 1'024);
    } else {
        root.problem("gpu", "is required");
    }
    if (const Json* hardware = root.get("hardware")) {
        settings.hardware = hardware->canonical();
        if (!hardware->is_object() || settings.hardware.size() > limits::profile_bytes_max)
            root.problem("hardware", "must be an object of at most " +
                                         std::to_string(limits::profile_bytes_max) + " bytes");
    }
    root.text("state_directory", settings.state_directory, true, path_bytes_max);
    settings.state_directory = resolve(settings.state_directory, directory);
    read_attestation(root, settings, directory);
    read_source(root, settings);
    read_engine(root, settings, directory);
    read_offers(root, settings);
    root.span("drain_seconds_max", settings.drain_deadline, 0, 86'400);
    read_log_level(root, settings);
}

}  // namespace

std::int64_t Settings::slots() const {
    std::int64_t sum = 0;
    for (const OfferSettings& offer : offers) sum += offer.slots;
    return sum;
}

const OfferSettings* Settings::find_offer(std::string_view market, std::string_view build) const {
    for (const OfferSettings& offer : offers)
        if (offer.market == market && offer.build == build) return &offer;
    return nullptr;
}

Result<Settings> parse_settings(std::string_view text, const std::string& directory) {
    const auto document = Json::parse(text, {.bytes_max = settings_bytes_max});
    if (!document)
        return refuse(ErrorCode::malformed_request,
                      "the configuration is not JSON: " + document.error().detail);
    if (!document->is_object())
        return refuse(ErrorCode::malformed_request, "the configuration must be a JSON object");
    Settings settings;
    Error error = refuse(ErrorCode::invalid_body, "the configuration has problems");
    read_root(*document, directory, settings, error.fields);
    if (!error.fields.empty()) return error;
    return settings;
}

Result<Settings> load_settings(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) return refuse(ErrorCode::not_found, "cannot read the configuration file " + path);
    std::ostringstream text;
    text << file.rdbuf();
    return parse_settings(text.str(), std::filesystem::absolute(path).parent_path().string());
}

}  // namespace cocoon::node
