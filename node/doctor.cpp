#include "node/doctor.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "attestation/simulated.hpp"
#include "node/doctor_evidence.hpp"
#include "node/engine.hpp"
#include "node/files.hpp"
#include "node/market_api.hpp"
#include "node/metering.hpp"
#include "node/sev_guest.hpp"
#include "node/tdx_guest.hpp"
#include "node/tsm.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/signing.hpp"

namespace cocoon::node {
namespace {

namespace fs = std::filesystem;
using sealing::Json;

constexpr Duration clock_warn = seconds(2);
constexpr Duration clock_fail = seconds(30);
constexpr std::uintmax_t disk_bytes_min = 1ull << 30;

bool present(const std::string& path) {
    std::error_code failure;
    return fs::exists(path, failure);
}

std::string first_line(const std::string& path) {
    std::ifstream file{path};
    std::string line;
    std::getline(file, line);
    return line;
}

// ---- Host --------------------------------------------------------------------------------------

Check check_cpu_tee(const std::string& root, std::string_view tier) {
    const std::string name = "host.cpu_tee";
    const bool tdx = present(root + TdxGuest::usual_device);
    const bool snp = present(root + SevGuest::usual_device);
    const bool simulated = tier == attestation::simulated_tier;
    if (tdx && !tier.starts_with("snp")) return passed(name, "Intel TDX guest (/dev/tdx_guest)");
    if (snp && !tier.starts_with("tdx")) return passed(name, "AMD SEV-SNP guest (/dev/sev-guest)");
    if (tdx || snp)
        return failed(name,
                      std::string{"this machine is "} + (tdx ? "a TDX" : "an SEV-SNP") +
                          " guest, the tier is " + std::string{tier},
                      "set attestation.tier to what this machine is");
    const std::string found =
        "neither /dev/tdx_guest nor /dev/sev-guest is there: this is no confidential VM";
    const std::string remedy =
        "boot this machine as a TDX or SEV-SNP guest with a kernel of 6.7 or newer; "
        "until then only the simulated tier works, which proves nothing";
    return simulated ? warned(name, found, remedy) : failed(name, found, remedy);
}

Check check_report_interface(const std::string& root, std::string_view tier) {
    const std::string name = "host.tsm_report";
    const std::string path = Tsm::usual_directory;
    if (present(root + path)) return passed(name, "reports by " + path);
    const std::string remedy =
        "mount configfs (mount -t configfs none /sys/kernel/config) and load tdx_guest or "
        "sev-guest";
    // Older kernels' devices do, if the host plays its part.
    const bool older =
        present(root + (tier.starts_with("tdx") ? TdxGuest::usual_device : SevGuest::usual_device));
    return older || tier == attestation::simulated_tier
               ? warned(name, path + " is missing", remedy)
               : failed(name, path + " is missing", remedy);
}

Check check_gpu(const std::string& root, std::string_view tier) {
    std::error_code failure;
    std::size_t gpus = 0;
    for (const auto& entry : fs::directory_iterator{root + "/proc/driver/nvidia/gpus", failure}) {
        (void)entry;
        ++gpus;
    }
    const bool confidential = tier.ends_with("gpu-cc");
    if (gpus == 0) {
        const std::string found =
            "no NVIDIA GPU is visible to the driver (/proc/driver/nvidia/gpus)";
        const std::string remedy = "install the NVIDIA driver and pass the GPU through to this VM";
        return confidential ? failed("host.gpu", found, remedy) : warned("host.gpu", found, remedy);
    }
    const std::string version = first_line(root + "/proc/driver/nvidia/version");
    return passed("host.gpu", std::to_string(gpus) + " GPU(s); " +
                                  (version.empty() ? "driver version unknown" : version));
}

Check check_kernel(const std::string& root) {
    const std::string release = first_line(root + "/proc/sys/kernel/osrelease");
    int major = 0;
    int minor = 0;
    if (std::sscanf(release.c_str(), "%d.%d", &major, &minor) != 2)
        return warned("host.kernel", "the kernel's version cannot be read", "mount /proc");
    if (major < 6 || (major == 6 && minor < 7))
        return warned("host.kernel", "Linux " + release,
                      "configfs-tsm reports need Linux 6.7 or newer");
    return passed("host.kernel", "Linux " + release);
}

Check check_swap(const std::string& root) {
    std::ifstream swaps{root + "/proc/swaps"};
    std::string line;
    std::size_t lines = 0;
    while (std::getline(swaps, line)) ++lines;
    if (lines > 1)
        return warned("host.swap", "swap is on: plaintext could reach the disk",
                      "run swapoff -a, or encrypt the swap");
    return passed("host.swap", "no swap");
}

Check check_memory_lock(const std::string& root) {
    // The limit belongs to this process; a tree under `root` may show another one for tests.
    std::ifstream limits{root + "/proc/self/limits"};
    std::string line;
    while (std::getline(limits, line)) {
        if (!line.starts_with("Max locked memory")) continue;
        const std::string soft = line.substr(
            17, line.find_first_of("0123456789u", 17) == std::string::npos ? 0 : std::string::npos);
        unsigned long long bytes = 0;
        const bool unlimited = soft.find("unlimited") != std::string::npos &&
                               soft.find_first_of("0123456789") == std::string::npos;
        const auto digit = soft.find_first_of("0123456789");
        if (!unlimited && digit != std::string::npos)
            bytes = std::strtoull(soft.c_str() + digit, nullptr, 10);
        if (unlimited || bytes >= (64u << 20))
            return passed("host.memory_lock",
                          unlimited ? "unlimited" : std::to_string(bytes >> 20) + " MiB");
        return warned("host.memory_lock", std::to_string(bytes >> 10) + " KiB may be locked",
                      "set LimitMEMLOCK=infinity for the service, so that keys and prompts can be "
                      "kept from swap");
    }
    return warned("host.memory_lock", "the limit cannot be read", "mount /proc");
}

// ---- Configuration, files -----------------------------------------------------------------------

void check_files(const Settings& settings, std::vector<Check>& checks) {
    struct stat status {};
    if (::stat(settings.state_directory.c_str(), &status) != 0)
        checks.push_back(failed("files.state", settings.state_directory + " does not exist",
                                "run: cocoon-node enrol --token ce_…"));
    else if ((status.st_mode & 0077) != 0)
        checks.push_back(failed("files.state", "others may enter " + settings.state_directory,
                                "run: chmod 700 " + settings.state_directory));
    else
        checks.push_back(passed("files.state", settings.state_directory + " (0700)"));
    const auto identity = load_identity(settings);
    if (identity)
        checks.push_back(passed("files.credential", "enrolled as " + identity->node));
    else
        checks.push_back(failed("files.credential", described(identity.error()),
                                identity.error().code == ErrorCode::forbidden
                                    ? "run: chmod 600 " + settings.credential_file()
                                    : "run: cocoon-node enrol --token ce_…"));
    const auto key = sealing::SigningKey::load(settings.receipt_key_file());
    if (key)
        checks.push_back(passed("files.receipt_key", settings.receipt_key_file() + " (0600)"));
    else
        checks.push_back(failed(
            "files.receipt_key", described(key.error()),
            "run: chmod 600 " + settings.receipt_key_file() + ", or enrol if it does not exist"));
    struct statvfs disk {};
    const std::string where = present(settings.state_directory) ? settings.state_directory : "/";
    if (::statvfs(where.c_str(), &disk) == 0) {
        const std::uintmax_t free = static_cast<std::uintmax_t>(disk.f_bavail) * disk.f_frsize;
        const std::string found = std::to_string(free >> 20) + " MiB free for receipts at " + where;
        checks.push_back(free >= disk_bytes_min
                             ? passed("files.disk", found)
                             : warned("files.disk", found, "free at least 1 GiB"));
    }
}

// ---- Market -------------------------------------------------------------------------------------

void check_market(const Settings& settings, const Clock& clock, std::vector<Check>& checks) {
    MarketApi market{settings, {}};
    const auto reached = market.reach(clock);
    if (!reached) {
        checks.push_back(
            failed("market.reachable", settings.market_url + ": " + described(reached.error()),
                   "check market.url, DNS, the firewall (outbound only) and market.ca_file"));
        return;
    }
    const std::string found = settings.market_url + " answered " + std::to_string(reached->status) +
                              " in " + std::to_string(reached->round_trip.milliseconds()) + " ms";
    if (reached->status != 200)
        checks.push_back(failed("market.reachable", found,
                                "this does not look like a market; check market.url"));
    else if (!settings.market_url.starts_with("https://"))
        checks.push_back(warned("market.reachable", found + ", without TLS",
                                "use an https:// URL outside this machine"));
    else
        checks.push_back(passed("market.reachable", found + ", TLS verified"));
    if (!reached->clock_ahead) {
        checks.push_back(warned("market.clock", "the market sent no Date",
                                "make sure that time is synchronised (NTP)"));
        return;
    }
    const Duration skew{std::max<std::int64_t>(
        std::abs(reached->clock_ahead->us) - 500'000 - reached->round_trip.us / 2, 0)};
    const std::string apart =
        "clocks differ by at least " + std::to_string(skew.milliseconds()) + " ms";
    if (skew > clock_fail)
        checks.push_back(
            failed("market.clock", apart,
                   "synchronise the clock (NTP): evidence and reservations carry times"));
    else if (skew > clock_warn)
        checks.push_back(warned("market.clock", apart, "synchronise the clock (NTP)"));
    else
        checks.push_back(passed("market.clock", apart));
}

// ---- Engine -------------------------------------------------------------------------------------

void check_generates(Engine& engine, const std::string& model, bool continuous,
                     std::vector<Check>& checks) {
    Json body = Json::object(
        {{"model", model},
         {"max_tokens", 1},
         {"stream", true},
         {"messages",
          Json::array({Json::object({{"role", "user"}, {"content", "Say one word."}})})}});
    Json options = Json::object({{"include_usage", true}});
    if (continuous) options.set("continuous_usage_stats", true);
    body.set("stream_options", std::move(options));
    StreamMeter meter{StreamMeter::Shown::always};
    net::CancelToken token;
    int status = 0;
    const auto answered = engine.stream(
        "/v1/chat/completions", body.serialize(), token,
        [&](const net::ClientResponse& head) {
            status = head.status;
            return true;
        },
        [&](std::string_view chunk) { return status != 200 || meter.feed(chunk).has_value(); });
    const std::string name = "engine.generates";
    if (!answered || status != 200) {
        checks.push_back(failed(
            name,
            model + ": " +
                (answered ? "status " + std::to_string(status) : described(answered.error())),
            "ask the engine for a chat completion of this model by hand; embeddings-only models "
            "cannot pass this"));
        return;
    }
    const std::string rest = meter.finish();
    if (!meter.metered().output) {
        checks.push_back(failed(name, model + " streamed no output",
                                "the engine must stream chat completions as OpenAI does"));
        return;
    }
    checks.push_back(passed(name, model + " generated a token"));
    if (meter.metered().usage)
        checks.push_back(passed("engine.usage", model + " reports usage in streams"));
    else
        checks.push_back(warned("engine.usage", model + " reports no usage in streams",
                                "enable stream_options.include_usage in the engine: without it "
                                "only streamed pieces are billed, prompts are not"));
}

void check_engine(const Settings& settings, std::vector<Check>& checks) {
    auto engine = Engine::open(settings.engine, 1);
    if (!engine) {
        checks.push_back(failed("engine.reachable", described(engine.error()),
                                "fix engine.api_key_file (mode 0600)"));
        return;
    }
    const auto models = (*engine)->models(seconds(10));
    if (!models) {
        checks.push_back(failed(
            "engine.reachable", settings.engine.url + ": " + described(models.error()),
            "start the engine (vLLM, SGLang, llama.cpp server, Ollama) and check engine.url"));
        return;
    }
    checks.push_back(passed("engine.reachable", settings.engine.url + " lists " +
                                                    std::to_string(models->size()) + " model(s)"));
    for (const OfferSettings& offer : settings.offers) {
        const std::string name = offer.engine_model.empty() ? offer.model() : offer.engine_model;
        if (std::find(models->begin(), models->end(), name) == models->end()) {
            checks.push_back(
                failed("engine.model", "the engine does not list " + name,
                       "serve it, or set engine_model of the offer for " + offer.market));
            continue;
        }
        checks.push_back(passed("engine.model", name + " is served"));
        check_generates(**engine, name, settings.engine.continuous_usage, checks);
    }
    if (settings.offers.empty())
        checks.push_back(
            warned("engine.model", "no offers are configured", "add offers to the configuration"));
}

// ---- Evidence -----------------------------------------------------------------------------------

void check_evidence(Settings settings, const std::string& root, const Clock& clock,
                    std::vector<Check>& checks) {
    const auto add = [&checks](std::vector<Check> more) {
        for (Check& check : more) checks.push_back(std::move(check));
    };
    CollectorSettings& collectors = settings.collectors;
    collectors.tsm_directory = root + collectors.tsm_directory;
    collectors.tdx_guest_device = root + collectors.tdx_guest_device;
    collectors.sev_guest_device = root + collectors.sev_guest_device;
    collectors.firmware_log_file = root + collectors.firmware_log_file;
    const std::string& tier = settings.attestation_tier;
    if (tier.ends_with("+gpu-cc")) add(examine_gpus(collectors.nvml_library));
    add(examine_evidence(*make_evidence_provider(settings), {}, clock.now()));
    add(examine_collateral(collateral_urls(tier)));
}

}  // namespace

std::string_view to_text(Health health) {
    switch (health) {
        case Health::pass: return "PASS";
        case Health::warn: return "WARN";
        case Health::fail: return "FAIL";
    }
    return "FAIL";
}

bool Examination::fit() const {
    return std::none_of(checks.begin(), checks.end(),
                        [](const Check& check) { return check.health == Health::fail; });
}

std::vector<Check> examine_host(const std::string& root, std::string_view tier) {
    return {check_cpu_tee(root, tier), check_report_interface(root, tier),
            check_gpu(root, tier),     check_kernel(root),
            check_swap(root),          check_memory_lock(root)};
}

Examination examine(const Result<Settings>& settings, const std::string& root, const Clock& clock) {
    Examination examination;
    std::vector<Check>& checks = examination.checks;
    if (!settings) {
        for (const FieldError& field : settings.error().fields)
            checks.push_back(failed("config", field.path + " " + field.message,
                                    "correct the configuration file"));
        if (settings.error().fields.empty())
            checks.push_back(
                failed("config", described(settings.error()), "start from node.example.json"));
    } else {
        checks.push_back(passed("config", "valid; " + std::to_string(settings->offers.size()) +
                                              " offer(s), " + std::to_string(settings->slots()) +
                                              " slot(s)"));
        check_files(*settings, checks);
        check_market(*settings, clock, checks);
        check_engine(*settings, checks);
    }
    for (Check& check :
         examine_host(root, settings ? std::string_view{settings->attestation_tier} : "simulated"))
        checks.push_back(std::move(check));
    if (settings && settings->attestation_tier != attestation::simulated_tier)
        check_evidence(*settings, root, clock, checks);
    return examination;
}

std::string report_text(const Examination& examination) {
    std::string text;
    std::size_t counts[3] = {};
    for (const Check& check : examination.checks) {
        ++counts[static_cast<std::size_t>(check.health)];
        text += std::string{to_text(check.health)} + "  " + check.name + ": " + check.found + "\n";
        if (!check.remedy.empty()) text += "      -> " + check.remedy + "\n";
    }
    return text + std::to_string(counts[0]) + " passed, " + std::to_string(counts[1]) +
           " warnings, " + std::to_string(counts[2]) + " failed: " +
           (examination.fit() ? "this node can work\n" : "this node cannot work yet\n");
}

std::string report_json(const Examination& examination) {
    Json checks = Json::array();
    for (const Check& check : examination.checks)
        checks.push(Json::object({{"name", check.name},
                                  {"health", to_text(check.health)},
                                  {"found", check.found},
                                  {"remedy", check.remedy}}));
    return Json::object({{"fit", examination.fit()}, {"checks", std::move(checks)}}).serialize() +
           "\n";
}

}  // namespace cocoon::node
