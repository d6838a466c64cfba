// The parts that make MARKET_CHAIN=ton, put together from the settings: the wallet's key, the
// endpoints, the adapter. Made by app before anything serves; throws std::runtime_error when a
// setting's file is of no use. It must not know what is done with the chain.
#pragma once

#include "server/config.hpp"
#include "server/toncenter.hpp"

namespace cocoon::server {

// The key in `file`: 24 words or 64 hexadecimal digits. Throws when others may read it, when it is
// no key, or when it is absent and may not be made.
settlement::ton::SigningKey wallet_key(const std::string& file, bool may_make);

// Pairs the URLs of MARKET_TON_ENDPOINTS with the keys of MARKET_TON_API_KEYS_FILE. Throws on a URL
// that is none, or a key for no endpoint.
std::vector<TonEndpoint> ton_endpoints(const std::string& urls, const std::string& keys_file);

class TonParts {
public:
    // `clock` and `metrics` outlive it.
    TonParts(const Config& config, const Clock& clock, Metrics& metrics);

    settlement::ton::TonChain& chain() { return chain_; }
    // Ends the open call; any thread.
    void stop() { toncenter_.stop(); }

private:
    net::HttpClient client_;
    Toncenter toncenter_;
    settlement::ton::TonChain chain_;
};

}  // namespace cocoon::server
