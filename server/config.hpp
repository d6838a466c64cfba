// The settings of cocoon-market: read once at start from the environment through one table
// (config.cpp), then read-only. Called by main and app. Knows no other part; every MARKET_* it does
// not know refuses the start, so that a typing error cannot silently mean the default.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/log.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "matching/types.hpp"

namespace cocoon::server {

struct Config {
    std::string listen_address = "127.0.0.1";
    std::uint16_t listen_port = 8080;
    std::string database_url;  // secret
    std::string public_url;    // empty: made from the listening address
    std::string tls_certificate_file, tls_key_file;
    std::string key_file;
    std::int64_t fee_basis_points = 500;
    std::string simulated_tier, attestation_policy_file, approved_tiers, chain, chain_file,
        coin_name, admin_token_file, admin_login_file, cors_origin, web_root;
    std::string ton_endpoints, ton_api_keys_file, ton_wallet_file, ton_network;
    std::int64_t ton_calls_per_second = 1, ton_message_seconds = 3600, ton_clock_skew_seconds = 60;
    std::int64_t ton_deposit_minimum_nano = 0, ton_balance_minimum_nano = 0;
    std::int64_t reconcile_interval_ms = 0, channel_claim_seconds = 0;
    std::string collateral_tdx_url, collateral_tdx_root_list_url, collateral_snp_url;
    std::string collateral_rim_url, collateral_ocsp_url;
    std::int64_t collateral_fresh_seconds = 0, evidence_check_seconds = 0;
    std::string webhook_destinations, proxy_addresses, log_level, access_log;
    std::int64_t workers = 4, read_connections = 4;
    std::int64_t rate_per_minute = 0, address_rate_per_minute = 0,
                 failed_credentials_per_minute = 0;
    std::int64_t login_attempts_per_address = 0;
    std::int64_t sign_ups_per_hour = 0, sign_ups_of_all_per_hour = 0, sign_ins_per_hour = 0;
    std::int64_t remembered_per_account_max = 0, remembered_max = 0;
    std::int64_t payout_min_nano = 0, open_payouts_per_account_max = 0;
    std::int64_t payout_approval_nano = 0, solvency_interval_ms = 0;
    std::string more_admins;
    std::int64_t connections_max = 0, connections_per_address_max = 0;
    std::int64_t inbox_commands_max = 0, batch_commands_max = 0;
    std::int64_t drain_seconds = 0, settlement_interval_ms = 0, probation_jobs = 0;
    std::int64_t webhook_retention_days = 0;

    bool simulated_allowed() const { return simulated_tier == "allow"; }
    // The chain's own number of itself. REQUIRES: MARKET_TON_NETWORK was accepted.
    std::int32_t ton_network_number() const;
    log::Level level() const;
    matching::TrustRule trust_rule() const;
    // Where clients, and the operator's own commands, reach this market.
    std::string own_url() const;
    // MARKET_MORE_ADMINS, each name once.
    std::vector<std::string> more_admin_names() const;
};

using Environment = std::vector<std::pair<std::string, std::string>>;

// The process's own environment.
Environment process_environment();
// invalid_body with one field error per wrong setting; the path is the setting's name and no
// message holds the value of a secret.
Result<Config> read_config(const Environment& environment);
// The table as text for --help.
std::string config_help();
// What was set, one "NAME=value" each, secrets as "***": logged at start.
std::vector<std::string> describe_config(const Environment& environment);

}  // namespace cocoon::server
