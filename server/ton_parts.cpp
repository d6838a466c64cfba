#include "server/ton_parts.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "core/log.hpp"
#include "sealing/signing.hpp"
#include "server/bootstrap.hpp"
#include "settlement/mnemonic.hpp"

namespace cocoon::server {
namespace {

namespace ton = settlement::ton;

ton::Network network_of(const Config& config) {
    return static_cast<ton::Network>(config.ton_network_number());
}

std::uint64_t random_number() {
    std::uint64_t number = 0;
    for (const std::uint8_t byte : sealing::random_bytes(8)) number = number << 8 | byte;
    return number;
}

ToncenterOptions toncenter_of(const Config& config) {
    ToncenterOptions options;
    options.endpoints = ton_endpoints(config.ton_endpoints, config.ton_api_keys_file);
    options.calls_per_second = config.ton_calls_per_second;
    options.network = network_of(config);
    options.clock_skew_max = seconds(config.ton_clock_skew_seconds);
    options.seed = random_number();
    return options;
}

ton::TonOptions chain_of(const Config& config, Metrics& metrics) {
    ton::TonOptions options;
    options.network = network_of(config);
    options.deposit_minimum = Nano{config.ton_deposit_minimum_nano};
    options.balance_minimum = Nano{config.ton_balance_minimum_nano};
    options.clock_skew_max = seconds(config.ton_clock_skew_seconds);
    options.prices_changed = [&metrics] {
        metrics.chain_price_changes.add();
        log::warning("chain_prices_changed");
    };
    return options;
}

ton::HighloadWallet wallet_of(const Config& config) {
    const bool may_make = network_of(config) != ton::Network::mainnet;
    return {wallet_key(config.ton_wallet_file, may_make),
            static_cast<std::uint32_t>(config.ton_message_seconds)};
}

}  // namespace

ton::SigningKey wallet_key(const std::string& file, bool may_make) {
    if (!std::filesystem::exists(file)) {
        if (!may_make)
            throw std::runtime_error("MARKET_TON_WALLET_FILE " + file +
                                     " does not exist; on mainnet it is not made");
        write_secret_file(file, to_hex(sealing::random_bytes(32)) + "\n");
    }
    std::string content = read_secret_file(file);
    std::string_view text = content;
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
        text.remove_suffix(1);
    auto seed = from_hex(text);
    auto key = seed ? ton::SigningKey::from_seed(*seed) : ton::key_from_mnemonic(text);
    if (seed) ton::wipe(*seed);
    ton::wipe({reinterpret_cast<std::uint8_t*>(content.data()), content.size()});
    if (!key)
        throw std::runtime_error("MARKET_TON_WALLET_FILE " + file + ": " + key.error().detail);
    return std::move(*key);
}

std::vector<TonEndpoint> ton_endpoints(const std::string& urls, const std::string& keys_file) {
    std::vector<TonEndpoint> endpoints;
    std::istringstream list{urls};
    for (std::string url; std::getline(list, url, ',');) {
        while (!url.empty() && url.back() == '/') url.pop_back();
        if (!url.starts_with("https://") && !url.starts_with("http://"))
            throw std::runtime_error("MARKET_TON_ENDPOINTS: '" + url +
                                     "' does not start with http:// or https://");
        endpoints.push_back({std::move(url), {}});
    }
    if (endpoints.empty()) throw std::runtime_error("MARKET_TON_ENDPOINTS names no endpoint");
    if (keys_file.empty()) return endpoints;
    std::istringstream lines{read_secret_file(keys_file)};
    for (std::string url, key; lines >> url >> key;) {
        while (!url.empty() && url.back() == '/') url.pop_back();
        const auto found = std::find_if(endpoints.begin(), endpoints.end(),
                                        [&](const TonEndpoint& at) { return at.url == url; });
        if (found == endpoints.end())
            throw std::runtime_error("MARKET_TON_API_KEYS_FILE: " + url +
                                     " is not in MARKET_TON_ENDPOINTS");
        found->key = key;
    }
    return endpoints;
}

TonParts::TonParts(const Config& config, const Clock& clock, Metrics& metrics)
    : toncenter_{toncenter_of(config), client_, clock, metrics},
      chain_{wallet_of(config), toncenter_, clock, chain_of(config, metrics)} {
    log::info("ton_wallet", {{"address", chain_.deposit_address()},
                             {"network", config.ton_network},
                             {"endpoints", toncenter_.providers()}});
}

}  // namespace cocoon::server
