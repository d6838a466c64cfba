// What a node's operator decides: the configuration file as plain data. Read once at start by main
// and doctor; plain values, any thread. Strict: unknown and duplicate names are refused, every
// problem is reported at once with its JSON pointer, paths are relative to the file. Must not know
// sockets or keys, and holds no secret: secrets live in files of their own, named here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/log.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "sealing/receipt.hpp"
#include "trust/aci_report.hpp"

namespace cocoon::node {

struct Window {  // minutes of the week, Monday 00:00 UTC = 0
    int from_minute = 0;
    int to_minute = 0;
    bool operator==(const Window&) const = default;
};

struct OfferSettings {
    std::string market;        // "inference:<model>"
    std::string build;         // may be empty
    std::string engine_model;  // what the engine calls the model; empty: as in the market's name
    sealing::ReceiptPrices price;
    std::int64_t slots = 1;
    std::int64_t context_tokens_max = 0;  // 0: no bound
    std::int64_t output_tokens_max = 0;   // 0: no bound
    std::vector<std::string> data_policy;
    std::vector<Window> windows;
    std::int64_t notice_seconds = 0;
    std::vector<std::string> allow, deny;  // "acc_1"

    std::string model() const { return market.substr(market.find(':') + 1); }
};

struct EngineSettings {
    std::string url;           // "http://127.0.0.1:8000"; a trailing "/v1" is dropped
    std::string api_key_file;  // empty: none
    bool continuous_usage = true;
    Duration probe_interval = seconds(5);
    Duration answer_timeout = seconds(600);
    Duration idle_timeout = seconds(120);
};

// Where evidence of real hardware is collected. The usual places unless a test or an unusual
// machine says otherwise.
struct CollectorSettings {
    std::string tsm_directory = "/sys/kernel/config/tsm/report";
    // Kernels without the above.
    std::string tdx_guest_device = "/dev/tdx_guest";
    std::string sev_guest_device = "/dev/sev-guest";
    std::string nvml_library = "libnvidia-ml.so.1";  // as dlopen(3) finds it
    std::string event_log_file;                      // TDX: dstack's JSON array; empty: none
    // TDX: the firmware's own log; sent along where the machine has it.
    std::string firmware_log_file = "/sys/firmware/acpi/tables/data/CCEL";
    // Each an object as "collateral" of a bundle; sent along, so that nobody has to fetch it.
    std::vector<std::string> collateral_files;
};

struct Settings {
    trust::SourceProvenance source;  // told in ACI reports; proves nothing by itself
    std::string market_url;          // "https://market.example", no trailing slash
    std::string market_ca_file;
    std::string name;
    std::string region, country;
    std::string gpu_model;
    std::int64_t gpu_count = 1;
    std::string hardware = "{}";  // free JSON object, passed on at enrolment
    std::string state_directory;  // keys, credential, receipts: 0700
    std::string attestation_tier = "simulated";
    std::string platform_id;       // simulated tier
    std::string measurement;       // simulated tier; empty: from the program's own bytes
    CollectorSettings collectors;  // all other tiers
    EngineSettings engine;
    std::vector<OfferSettings> offers;
    Duration drain_deadline = seconds(60);
    log::Level log_level = log::Level::info;

    std::int64_t slots() const;
    const OfferSettings* find_offer(std::string_view market, std::string_view build) const;
    std::string receipt_key_file() const { return state_directory + "/receipt-ed25519.key"; }
    std::string credential_file() const { return state_directory + "/credential"; }
    std::string identity_file() const { return state_directory + "/node.json"; }
};

// `invalid_body` with every problem, or `malformed_request` when `text` is no JSON object.
// `directory` is what relative paths start from ("" leaves them).
Result<Settings> parse_settings(std::string_view text, const std::string& directory);
// The same from a file; `not_found` when it cannot be read.
Result<Settings> load_settings(const std::string& path);

}  // namespace cocoon::node
