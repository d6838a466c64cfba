#include "server/config.hpp"

#include <algorithm>
#include <charconv>
#include <variant>

#include "core/limits.hpp"

extern char** environ;  // NOLINT: POSIX

namespace cocoon::server {
namespace {

using Text = std::string Config::*;
using Number = std::int64_t Config::*;
struct Listen {};  // "address:port" into two members

struct Setting {
    std::string_view name;
    std::variant<Text, Number, Listen> member;
    std::string_view default_value;
    std::string_view choices;               // texts: "a|b", empty: any
    std::int64_t minimum = 0, maximum = 0;  // numbers
    bool secret = false;
    bool required = false;
    std::string_view help;
};

Setting text(std::string_view name, Text member, std::string_view default_value,
             std::string_view help, std::string_view choices = {}) {
    return {name, member, default_value, choices, 0, 0, false, false, help};
}
Setting number(std::string_view name, Number member, std::string_view default_value,
               std::int64_t minimum, std::int64_t maximum, std::string_view help) {
    return {name, member, default_value, {}, minimum, maximum, false, false, help};
}

Setting secret(std::string_view name, Text member, std::string_view help) {
    return {name, member, "", {}, 0, 0, true, true, help};
}

// What one customer, or a stranger, may cost all the others.
std::vector<Setting> bound_settings() {
    return {
        number("MARKET_SIGN_UPS_PER_HOUR", &Config::sign_ups_per_hour, "30", 1, 1'000'000'000,
               "new accounts per address (IPv6: per /64), then 429"),
        number("MARKET_SIGN_INS_PER_HOUR", &Config::sign_ins_per_hour, "360", 1, 1'000'000'000,
               "sign-ins and changes of a sign-in, of one account with a credential"),
        number("MARKET_SIGN_UPS_OF_ALL_PER_HOUR", &Config::sign_ups_of_all_per_hour, "3000", 1,
               1'000'000'000, "new accounts of all addresses together, then 429"),
        number("MARKET_REMEMBERED_PER_ACCOUNT_MAX", &Config::remembered_per_account_max, "500000",
               1, 1'000'000'000,
               "answers kept 24 h for an account's Idempotency-Keys, then 429; 1 KiB each on "
               "average"),
        number("MARKET_REMEMBERED_MAX", &Config::remembered_max, "2000000", 1, 1'000'000'000,
               "the same for all accounts together; about as many KiB of memory"),
        number("MARKET_PAYOUT_MIN_NANO", &Config::payout_min_nano, "100000000", 1,
               1'000'000'000'000'000'000, "the least payout; well above what its transfer costs"),
        number("MARKET_PAYOUT_APPROVAL_NANO", &Config::payout_approval_nano, "0", 0,
               1'000'000'000'000'000'000,
               "a payout of so much or more waits for two admins (MARKET_MORE_ADMINS); 0: none "
               "does"),
        text("MARKET_MORE_ADMINS", &Config::more_admins, "",
             "comma-separated names: each gets an admin account of its own at the next start, its "
             "key in MARKET_ADMIN_TOKEN_FILE.NAME; hand it over and delete the file"),
        number("MARKET_OPEN_PAYOUTS_PER_ACCOUNT_MAX", &Config::open_payouts_per_account_max, "16",
               1, 100'000, "payouts of an account that are not settled yet, then 409"),
    };
}

// What evidence counts, and where it is completed from.
std::vector<Setting> trust_settings() {
    return {
        text("MARKET_SIMULATED_TIER", &Config::simulated_tier, "refuse",
             "whether evidence of the `simulated` tier (proves nothing) may trade", "refuse|allow"),
        text("MARKET_ATTESTATION_POLICY", &Config::attestation_policy_file, "",
             "JSON file: what evidence is accepted, instead of the built-in policy"),
        text("MARKET_APPROVED_TIERS", &Config::approved_tiers, "tdx+gpu-cc,snp+gpu-cc,tdx,snp",
             "tiers whose machines trade only with a measurement that the register has approved, "
             "or for who names it; `none`: any build"),
        number("MARKET_PROBATION_JOBS", &Config::probation_jobs, "20", 0,
               limits::probation_jobs_max,
               "jobs that a CPU never seen before completes with few slots at a time"),
        text("MARKET_COLLATERAL_TDX_URL", &Config::collateral_tdx_url, "",
             "Intel PCS v4 or a PCCS, for TDX evidence that lacks collateral; empty: not asked"),
        text("MARKET_COLLATERAL_TDX_ROOT_LIST_URL", &Config::collateral_tdx_root_list_url, "",
             "Intel's root revocation list, which the PCS itself does not serve; default: where a "
             "PCCS has it"),
        text("MARKET_COLLATERAL_SNP_URL", &Config::collateral_snp_url, "",
             "AMD KDS or a mirror, for SEV-SNP evidence; empty: not asked"),
        text("MARKET_COLLATERAL_RIM_URL", &Config::collateral_rim_url, "",
             "NVIDIA's manifest service or a mirror, for GPU evidence; empty: not asked"),
        text("MARKET_COLLATERAL_OCSP_URL", &Config::collateral_ocsp_url, "",
             "NVIDIA's OCSP responder, for GPU evidence; empty: not asked"),
        number("MARKET_COLLATERAL_FRESH_SECONDS", &Config::collateral_fresh_seconds, "86400", 1,
               2'592'000, "fetched collateral is asked for again after half of its life, or this"),
        number("MARKET_EVIDENCE_CHECK_SECONDS", &Config::evidence_check_seconds, "3600", 1, 86'400,
               "how often a connected node's evidence is judged anew with the newest collateral"),
    };
}

std::vector<Setting> chain_settings() {
    return {
        text("MARKET_TON_ENDPOINTS", &Config::ton_endpoints, "https://toncenter.com",
             "comma-separated servers of toncenter's APIs (before /api/v2); two or more are safer"),
        text("MARKET_TON_API_KEYS_FILE", &Config::ton_api_keys_file, "",
             "lines `URL KEY`, mode 0600; empty: no keys"),
        number("MARKET_TON_CALLS_PER_SECOND", &Config::ton_calls_per_second, "1", 1, 10'000,
               "what each endpoint allows"),
        text("MARKET_TON_NETWORK", &Config::ton_network, "mainnet",
             "mainnet, testnet, or the number (global_id) of a private chain"),
        text("MARKET_TON_WALLET_FILE", &Config::ton_wallet_file, "var/ton-wallet.key",
             "the hot wallet's key, mode 0600: 24 words, or 64 hexadecimal digits; made if absent, "
             "except on mainnet"),
        number("MARKET_TON_MESSAGE_SECONDS", &Config::ton_message_seconds, "3600", 8, 86'400,
               "how long a payout message stays valid; part of the wallet's address"),
        number("MARKET_TON_CLOCK_SKEW_SECONDS", &Config::ton_clock_skew_seconds, "60", 1, 600,
               "endpoints whose time differs by more are not believed"),
        number("MARKET_TON_DEPOSIT_MINIMUM_NANO", &Config::ton_deposit_minimum_nano, "10000000", 1,
               1'000'000'000'000, "smaller deposits are held back"),
        number("MARKET_TON_BALANCE_MINIMUM_NANO", &Config::ton_balance_minimum_nano, "200000000",
               100'000'000, 1'000'000'000'000'000, "what stays in the wallet for fees"),
        number("MARKET_CHANNEL_CLAIM_SECONDS", &Config::channel_claim_seconds, "0", 0, 86'400,
               "how often a payment channel is claimed from; 0: channels are not taken"),
        number("MARKET_RECONCILE_INTERVAL_MS", &Config::reconcile_interval_ms, "60000", 100,
               3'600'000, "how often books and chain are compared"),
        number("MARKET_SOLVENCY_INTERVAL_MS", &Config::solvency_interval_ms, "60000", 100,
               86'400'000, "how often the proof of what the market owes is made anew"),
    };
}

// Who may come in, and from where.
std::vector<Setting> sign_in_settings() {
    return {
        text("MARKET_ADMIN_TOKEN_FILE", &Config::admin_token_file, "var/admin-token",
             "the first admin key is written here (0600) when a new market starts"),
        text("MARKET_ADMIN_LOGIN_FILE", &Config::admin_login_file, "var/admin-login",
             "the first admin's password and code secret for the pages, likewise"),
        text("MARKET_CORS_ORIGIN", &Config::cors_origin, "*",
             "browsers of this origin may call; `*` any (sessions are for our own pages alone), "
             "`none` no "
             "other"),
        number("MARKET_LOGIN_ATTEMPTS_PER_ADDRESS", &Config::login_attempts_per_address, "20", 1,
               1'000'000, "wrong sign-ins of one address before each costs a growing wait"),
    };
}

std::vector<Setting> market_settings() {
    return {
        {"MARKET_LISTEN",
         Listen{},
         "127.0.0.1:8080",
         {},
         0,
         0,
         false,
         false,
         "address and port; [::1]:8080 for IPv6; port 0 lets the kernel choose"},
        secret("DATABASE_URL", &Config::database_url,
               "PostgreSQL: postgresql://user:password@host:port/name"),
        text("MARKET_PUBLIC_URL", &Config::public_url, "",
             "how clients reach this market; default http(s)://MARKET_LISTEN"),
        text("MARKET_TLS_CERTIFICATE", &Config::tls_certificate_file, "",
             "PEM chain; with MARKET_TLS_KEY the port speaks TLS only"),
        text("MARKET_TLS_KEY", &Config::tls_key_file, "", "PEM private key"),
        text("MARKET_KEY_FILE", &Config::key_file, "var/market.key",
             "raw 32-byte Ed25519 seed that cosigns receipts, mode 0600; made if absent"),
        number("MARKET_FEE_BASIS_POINTS", &Config::fee_basis_points, "500", 0, 10'000,
               "the market's fee; only for a new market, later PUT /v1/admin/fee"),
        text("MARKET_CHAIN", &Config::chain, "none",
             "where deposits and payouts happen; `dev` is a file, no real coin", "none|dev|ton"),
        text("MARKET_CHAIN_FILE", &Config::chain_file, "var/dev-chain.txt",
             "the development chain's file"),
        text("MARKET_COIN_NAME", &Config::coin_name, "TON", "the coin's name as people see it"),
        text("MARKET_WEBHOOK_DESTINATIONS", &Config::webhook_destinations, "public",
             "`loopback` also lets webhooks go to 127.0.0.0/8 and ::1, for tests",
             "public|loopback"),
        number("MARKET_WEBHOOK_RETENTION_DAYS", &Config::webhook_retention_days, "30", 1, 3'650,
               "ended deliveries are kept and can be sent again for so long"),
        text("MARKET_WEB_ROOT", &Config::web_root, "",
             "folder of the built pages (web/dist), read at start; empty: no pages are served"),
        text("MARKET_PROXY_ADDRESSES", &Config::proxy_addresses, "",
             "comma-separated addresses whose X-Forwarded-For is believed"),
        text("MARKET_LOG_LEVEL", &Config::log_level, "info", "lines below are dropped",
             "debug|info|warning|error"),
        text("MARKET_ACCESS_LOG", &Config::access_log, "all",
             "one line per request: all, only 5xx and 429, or none", "all|failures|none"),
        number("MARKET_WORKERS", &Config::workers, "4", 1, 256,
               "threads for reads, receipts and evidence"),
        number("MARKET_READ_CONNECTIONS", &Config::read_connections, "4", 1, 256,
               "database connections for reads"),
        number("MARKET_RATE_PER_MINUTE", &Config::rate_per_minute, "60000", 1, 1'000'000'000,
               "requests per API key"),
        number("MARKET_ADDRESS_RATE_PER_MINUTE", &Config::address_rate_per_minute, "6000", 1,
               1'000'000'000, "requests without a key per address (IPv6: per /64)"),
        number("MARKET_FAILED_CREDENTIALS_PER_MINUTE", &Config::failed_credentials_per_minute, "30",
               1, 1'000'000'000, "wrong credentials per address, then 429"),
        number("MARKET_CONNECTIONS_MAX", &Config::connections_max, std::string_view{"4096"}, 1,
               1'000'000, "open connections"),
        number("MARKET_CONNECTIONS_PER_ADDRESS_MAX", &Config::connections_per_address_max, "1024",
               1, 1'000'000, "open connections of one address"),
        number("MARKET_INBOX_COMMANDS_MAX", &Config::inbox_commands_max, "4096", 16, 1'000'000,
               "commands waiting for the lane, then 503"),
        number("MARKET_BATCH_COMMANDS_MAX", &Config::batch_commands_max, "512", 1, 65'536,
               "commands in one commit"),
        number("MARKET_DRAIN_SECONDS", &Config::drain_seconds, "20", 0, 3'600,
               "after SIGTERM open answers may go on so long"),
        number("MARKET_SETTLEMENT_INTERVAL_MS", &Config::settlement_interval_ms, "1000", 10,
               3'600'000, "how often the chain is asked"),
    };
}

const std::vector<Setting>& settings() {
    static const std::vector<Setting> table = [] {
        std::vector<Setting> all = market_settings();
        for (Setting& setting : trust_settings()) all.push_back(setting);
        for (Setting& setting : sign_in_settings()) all.push_back(setting);
        for (Setting& setting : bound_settings()) all.push_back(setting);
        for (Setting& setting : chain_settings()) all.push_back(setting);
        return all;
    }();
    return table;
}

// Settings that are URLs: kept without a trailing slash.
constexpr std::pair<std::string_view, Text> urls[] = {
    {"MARKET_PUBLIC_URL", &Config::public_url},
    {"MARKET_COLLATERAL_TDX_URL", &Config::collateral_tdx_url},
    {"MARKET_COLLATERAL_TDX_ROOT_LIST_URL", &Config::collateral_tdx_root_list_url},
    {"MARKET_COLLATERAL_SNP_URL", &Config::collateral_snp_url},
    {"MARKET_COLLATERAL_RIM_URL", &Config::collateral_rim_url},
    {"MARKET_COLLATERAL_OCSP_URL", &Config::collateral_ocsp_url},
};

std::optional<std::int64_t> integer_in(std::string_view value) {
    std::int64_t parsed = 0;
    const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (failure != std::errc{} || end != value.data() + value.size()) return std::nullopt;
    return parsed;
}

// Nothing if one of the comma-separated names is no tier.
std::optional<matching::TierSet> tiers_in(std::string_view names) {
    matching::TierSet tiers = 0;
    while (names != "none") {
        const std::size_t end = names.find(',');
        const auto tier = matching::tier_from_name(names.substr(0, end));
        if (!tier) return std::nullopt;
        tiers |= matching::tier_bit(*tier);
        if (end == std::string_view::npos) break;
        names.remove_prefix(end + 1);
    }
    return tiers;
}

// They are also parts of file names.
bool is_admin_name(std::string_view name) {
    return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-';
    });
}

bool among(std::string_view value, std::string_view choices) {
    while (true) {
        const std::size_t end = choices.find('|');
        if (choices.substr(0, end) == value) return true;
        if (end == std::string_view::npos) return false;
        choices.remove_prefix(end + 1);
    }
}

// Empty: taken. Otherwise why not, without the value of a secret.
std::string take_listen(Config& config, std::string_view value) {
    const std::size_t colon = value.rfind(':');
    if (colon == std::string_view::npos || colon == 0) return "must be ADDRESS:PORT";
    std::string_view address = value.substr(0, colon);
    if (address.front() == '[' && address.back() == ']' && address.size() > 2) {
        address = address.substr(1, address.size() - 2);
    } else if (address.find(':') != std::string_view::npos) {
        return "an IPv6 address must stand in brackets";
    }
    const auto port = integer_in(value.substr(colon + 1));
    if (!port || *port < 0 || *port > 65'535) return "the port must be 0..65535";
    config.listen_address = std::string{address};
    config.listen_port = static_cast<std::uint16_t>(*port);
    return {};
}

std::string take(Config& config, const Setting& setting, std::string_view value) {
    if (std::holds_alternative<Listen>(setting.member)) return take_listen(config, value);
    if (const Number* member = std::get_if<Number>(&setting.member)) {
        const auto parsed = integer_in(value);
        if (!parsed || *parsed < setting.minimum || *parsed > setting.maximum) {
            return "must be a whole number " + std::to_string(setting.minimum) + ".." +
                   std::to_string(setting.maximum);
        }
        config.*(*member) = *parsed;
        return {};
    }
    if (setting.required && value.empty()) return "must be set";
    if (!setting.choices.empty() && !among(value, setting.choices)) {
        return "must be one of " + std::string{setting.choices};
    }
    if (value.size() > 4096) return "must be at most 4096 bytes";
    config.*std::get<Text>(setting.member) = std::string{value};
    return {};
}

const Setting* find_setting(std::string_view name) {
    for (const Setting& setting : settings()) {
        if (setting.name == name) return &setting;
    }
    return nullptr;
}

}  // namespace

std::int32_t Config::ton_network_number() const {
    if (ton_network == "mainnet") return -239;
    if (ton_network == "testnet") return -3;
    return static_cast<std::int32_t>(integer_in(ton_network).value());
}

log::Level Config::level() const {
    if (log_level == "debug") return log::Level::debug;
    if (log_level == "warning") return log::Level::warning;
    if (log_level == "error") return log::Level::error;
    return log::Level::info;
}

std::string Config::own_url() const {
    if (!public_url.empty()) return public_url;
    const bool v6 = listen_address.find(':') != std::string::npos;
    return (tls_key_file.empty() ? "http://" : "https://") +
           (v6 ? "[" + listen_address + "]" : listen_address) + ":" + std::to_string(listen_port);
}

std::vector<std::string> Config::more_admin_names() const {
    std::vector<std::string> names;
    for (std::size_t from = 0; from < more_admins.size();) {
        const std::size_t comma = std::min(more_admins.find(',', from), more_admins.size());
        std::string name = more_admins.substr(from, comma - from);
        if (std::find(names.begin(), names.end(), name) == names.end())
            names.push_back(std::move(name));
        from = comma + 1;
    }
    return names;
}

matching::TrustRule Config::trust_rule() const {
    return {tiers_in(approved_tiers).value_or(matching::real_tiers),
            static_cast<std::uint32_t>(probation_jobs)};
}

Environment process_environment() {
    Environment environment;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view pair{*entry};
        const std::size_t equals = pair.find('=');
        if (equals == std::string_view::npos) continue;
        environment.emplace_back(std::string{pair.substr(0, equals)},
                                 std::string{pair.substr(equals + 1)});
    }
    return environment;
}

Result<Config> read_config(const Environment& environment) {
    Config config;
    Error error = refuse(ErrorCode::invalid_body, "the settings are wrong");
    for (const auto& [name, value] : environment) {
        if (name.starts_with("MARKET_") && find_setting(name) == nullptr) {
            error.fields.push_back({name, "there is no such setting; see --help"});
        }
    }
    for (const Setting& setting : settings()) {
        std::string_view value = setting.default_value;
        for (const auto& [name, given] : environment) {
            if (name == setting.name) value = given;
        }
        if (const std::string why = take(config, setting, value); !why.empty()) {
            error.fields.push_back({std::string{setting.name}, why});
        }
    }
    if (config.tls_certificate_file.empty() != config.tls_key_file.empty()) {
        error.fields.push_back(
            {"MARKET_TLS_KEY", "must be set together with MARKET_TLS_CERTIFICATE"});
    }
    if (!tiers_in(config.approved_tiers))
        error.fields.push_back(
            {"MARKET_APPROVED_TIERS", "must be tiers with commas between them, or none"});
    const auto network = integer_in(config.ton_network);
    if (config.ton_network != "mainnet" && config.ton_network != "testnet" &&
        (!network || !std::in_range<std::int32_t>(*network))) {
        error.fields.push_back({"MARKET_TON_NETWORK", "must be mainnet, testnet or a number"});
    }
    for (const std::string& name : config.more_admin_names())
        if (!is_admin_name(name))
            error.fields.push_back({"MARKET_MORE_ADMINS",
                                    "must be names of 1..32 letters, digits and hyphens with "
                                    "commas between them"});
    if (config.chain == "ton" && config.ton_endpoints.empty())
        error.fields.push_back({"MARKET_TON_ENDPOINTS", "must name an endpoint"});
    if (config.batch_commands_max > config.inbox_commands_max) {
        error.fields.push_back(
            {"MARKET_BATCH_COMMANDS_MAX", "must not exceed MARKET_INBOX_COMMANDS_MAX"});
    }
    for (const auto& [name, member] : urls) {
        std::string& url = config.*member;
        while (!url.empty() && url.back() == '/') url.pop_back();
        if (!url.empty() && !url.starts_with("http://") && !url.starts_with("https://"))
            error.fields.push_back({std::string{name}, "must start with http:// or https://"});
    }
    if (!error.fields.empty()) return error;
    return config;
}

std::string config_help() {
    std::string help = "Settings (environment variables):\n";
    for (const Setting& setting : settings()) {
        help += "\n  " + std::string{setting.name};
        if (setting.required) help += " (required)";
        if (!setting.default_value.empty()) help += " = " + std::string{setting.default_value};
        if (!setting.choices.empty()) help += "   [" + std::string{setting.choices} + "]";
        if (std::holds_alternative<Number>(setting.member)) {
            help += "   [" + std::to_string(setting.minimum) + ".." +
                    std::to_string(setting.maximum) + "]";
        }
        help += "\n      " + std::string{setting.help} + "\n";
    }
    return help;
}

std::vector<std::string> describe_config(const Environment& environment) {
    std::vector<std::string> lines;
    for (const auto& [name, value] : environment) {
        const Setting* setting = find_setting(name);
        if (setting != nullptr)
            lines.push_back(name + "=" + (setting->secret ? std::string{"***"} : value));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
}

}  // namespace cocoon::server
