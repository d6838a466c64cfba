// Settings of cocoon-client: one strict JSON file and a few environment variables. Unknown fields
// and bad values are refused, all at once. Read once at start by main.cpp; immutable afterwards,
// any thread may read it. Must not know sockets. client/README.md explains every field.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/policy.hpp"
#include "client/wire.hpp"
#include "core/limits.hpp"
#include "core/log.hpp"
#include "core/result.hpp"
#include "sealing/signing.hpp"

namespace cocoon::client {

// How many tokens a call may take at most, from what is known before it runs. See openai.hpp.
struct EstimateSettings {
    std::int64_t prompt_bytes_per_token = 2;     // 1 is certain, larger holds less money
    std::int64_t output_tokens_default = 4'096;  // when the caller names no max_tokens
    std::int64_t media_tokens_each = 4'096;      // each inline image or sound
};

struct CallSettings {
    std::int64_t concurrent_max = 128;  // then 503: one worker thread each
    std::int64_t attempts_max = 3;      // matches tried before the caller sees a failure
    std::int64_t wait_seconds = 0;      // rest in the book so long when nothing matches
    std::int64_t job_seconds = limits::reservation_seconds_default;
    std::int64_t total_seconds_max = 600;
    std::int64_t body_bytes_max = 16 << 20;
};

struct SessionSettings {
    bool enabled = false;
    std::int64_t seconds = 600;
    std::int64_t slots = 1;
    std::int64_t prompt_tokens = 1'000'000;
    std::int64_t output_tokens = 250'000;
    std::int64_t requests = 1'000;
    std::int64_t renew_seconds_before = 60;
};

// A payment channel that keeps the account fed (docs/channel.md).
struct ChannelSettings {
    std::string key_file, address;  // empty: none
    Nano step{1'000'000'000};       // promised at a time
    Nano low{500'000'000};          // an available balance below this asks for the next step
    std::int64_t seconds = 5;       // between two looks
};

struct Config {
    std::string market_url;                               // without a trailing '/'
    std::string api_key;                                  // ck_...; a secret
    std::string ca_file;                                  // PEM; empty: the system's store
    std::optional<sealing::PublicKey> market_public_key;  // pinned cosigning key
    std::string listen_address = "127.0.0.1";
    std::uint16_t listen_port = 8081;
    // bearer that callers must present; empty: none (loopback only)
    std::string local_key;
    std::string coin = "TON";
    log::Level log_level = log::Level::info;

    // Trust: what the client itself accepts, whatever the market says.
    std::vector<std::string> tiers{"tdx+gpu-cc", "snp+gpu-cc"};
    std::vector<std::string> measurements;  // empty: any
    std::int64_t evidence_age_seconds_max = 86'400;
    attestation::Policy evidence_policy;  // policy_file's; what stands above rules over it

    // further wishes, as the market reads them
    sealing::Json constraints = sealing::Json::object();
    std::optional<Nano> cost_max;              // most one call may hold
    Prices price_max{-1, -1, -1, -1, -1, -1};  // most per dimension; -1: no cap

    EstimateSettings estimate;
    CallSettings calls;
    SessionSettings session;
    ChannelSettings channel;
    std::string receipts_directory;  // empty: receipts are verified but not kept
    std::int64_t receipts_max = 10'000;
};

// The tiers there are; `simulated` proves nothing and must be named to be accepted.
bool is_tier(std::string_view name);

// Relative paths in the document (key files, receipts) are relative to `directory`.
// `invalid_body` with every problem at once; a key file that cannot be read is one of them.
Result<Config> parse_config(std::string_view document, const std::string& directory);

// The file (or, when `path` is empty, built-in defaults), then COCOON_MARKET_URL and COCOON_API_KEY
// as `environment(name)` gives them ("" = unset). Also checks what only the whole can tell.
Result<Config> load_config(const std::string& path,
                           const std::function<std::string(const char*)>& environment);

// Whether `serve` may start: a market, a key, and a local key unless it listens on loopback only.
Result<void> check_servable(const Config& config);

bool is_loopback(std::string_view address);

}  // namespace cocoon::client
