#include "node/commands.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>

#include "core/log.hpp"
#include "node/agent.hpp"
#include "node/doctor.hpp"
#include "node/files.hpp"
#include "node/market_api.hpp"
#include "node/wire.hpp"

namespace cocoon::node {
namespace {

constexpr std::string_view usage_text =
    R"(cocoon-node: sells this machine's idle inference to a Cocoon Market.

  cocoon-node enrol  --token TOKEN     turn this machine into a node (TOKEN "-": from standard input)
  cocoon-node run                      serve until SIGTERM (finishes open jobs; a second signal stops at once)
  cocoon-node doctor [--json] [--root DIR]   what is missing on this host
  cocoon-node offers list              this node's offers
  cocoon-node offers set --market inference:MODEL [--build B] [--slots N] [--prompt NANO] [--cached NANO]
                         [--completion NANO] [--reasoning NANO] [--request NANO]
                                       place an offer, or change the one that stands (nanoTON per million tokens)
  cocoon-node offers cancel off_1      take an offer back; running jobs finish
  cocoon-node version

  --config FILE   the configuration (default node.json); see node.example.json
)";

struct Arguments {
    std::vector<std::string> words;              // "offers", "set", "off_1"
    std::map<std::string, std::string> options;  // "--config" -> "node.json"
};

// Nothing on an option that is unknown, repeated or lacks its value.
std::optional<Arguments> split(const std::vector<std::string>& given, std::string& wrong) {
    static constexpr std::array<std::string_view, 12> valued = {
        "--config", "--token",  "--root",       "--market",    "--build",   "--slots",
        "--prompt", "--cached", "--completion", "--reasoning", "--request", "--gpu-second"};
    Arguments arguments;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const std::string& word = given[i];
        if (!word.starts_with("--")) {
            arguments.words.push_back(word);
            continue;
        }
        std::string value;
        if (word != "--json" && word != "--help") {
            if (std::find(valued.begin(), valued.end(), word) == valued.end())
                wrong = word + " is unknown";
            else if (i + 1 == given.size())
                wrong = word + " needs a value";
            if (!wrong.empty()) return std::nullopt;
            value = given[++i];
        }
        if (!arguments.options.emplace(word, value).second) {
            wrong = word + " is given twice";
            return std::nullopt;
        }
    }
    return arguments;
}

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

int complain(const Error& error) {
    std::fprintf(stderr, "cocoon-node: %s%s%s\n", std::string{describe(error.code).title}.c_str(),
                 error.detail.empty() ? "" : ": ", error.detail.c_str());
    for (const FieldError& field : error.fields)
        std::fprintf(stderr, "  %s %s\n", field.path.empty() ? "/" : field.path.c_str(),
                     field.message.c_str());
    return 1;
}

int misuse(const std::string& wrong) {
    std::fprintf(stderr, "cocoon-node: %s\n%s", wrong.c_str(), std::string{usage_text}.c_str());
    return 2;
}

std::string option(const Arguments& arguments, const std::string& name,
                   std::string otherwise = {}) {
    const auto found = arguments.options.find(name);
    return found == arguments.options.end() ? std::move(otherwise) : found->second;
}

// ---- enrol --------------------------------------------------------------------------------------

int enrol(const Settings& settings, const Arguments& arguments) {
    std::string token = option(arguments, "--token");
    if (token == "-") std::getline(std::cin, token);
    if (token.empty()) return misuse("enrol needs --token");
    if (const auto known = load_identity(settings))
        return complain(refuse(ErrorCode::already_exists,
                               "this machine is " + known->node + " already; remove " +
                                   settings.identity_file() + " to enrol it anew"));
    if (auto made = make_private_directory(settings.state_directory); !made)
        return complain(made.error());
    // The key before the token is spent: a full disk must not cost the token.
    const auto key = sealing::SigningKey::load_or_generate(settings.receipt_key_file());
    if (!key) return complain(key.error());
    MarketApi market{settings, {}};
    const auto identity = market.enrol(settings, token);
    if (!identity) return complain(identity.error());
    if (auto saved = save_identity(settings, *identity); !saved) return complain(saved.error());
    print("enrolled as " + identity->node + "\nkeys and credential: " + settings.state_directory +
          "\nnext: cocoon-node doctor, then cocoon-node run\n");
    return 0;
}

// ---- run ----------------------------------------------------------------------------------------

int run(const Settings& settings) {
    log::set_level(settings.log_level);
    net::EventLoop loop;
    auto agent = Agent::open(loop, settings, make_evidence_provider(settings), {});
    if (!agent) return complain(agent.error());
    int exit_code = 0;
    bool stopping = false;
    loop.on_signals({SIGTERM, SIGINT}, [&](int signal) {
        if (stopping) ::_exit(128 + signal);  // the second signal: at once, receipts are on disk
        stopping = true;
        (*agent)->drain([&](bool clean) {
            exit_code = clean ? 0 : 3;
            loop.stop();
        });
    });
    loop.post([&] { (*agent)->start(); });
    loop.run();
    agent->reset();
    return exit_code;
}

// ---- offers -------------------------------------------------------------------------------------

std::string coins_per_million(std::int64_t nano) { return coins_text(Nano{nano}); }

int list_offers(MarketApi& market, const std::string& node) {
    const auto offers = market.offers();
    if (!offers) return complain(offers.error());
    print(
        "OFFER        MARKET                          STATE      SLOTS    COINS PER MILLION: "
        "PROMPT / COMPLETION\n");
    for (const StandingOffer& offer : *offers) {
        if (offer.node != node) continue;
        char line[512];
        std::snprintf(line, sizeof line, "%-12s %-31s %-10s %3lld/%-4lld %s / %s\n",
                      offer.id.c_str(),
                      (offer.market + (offer.build.empty() ? "" : "@" + offer.build)).c_str(),
                      offer.state.c_str(), static_cast<long long>(offer.slots_used),
                      static_cast<long long>(offer.terms.slots),
                      coins_per_million(offer.terms.price.prompt).c_str(),
                      coins_per_million(offer.terms.price.completion).c_str());
        print(line);
    }
    return 0;
}

int set_offer(MarketApi& market, const Settings& settings, const std::string& node,
              const Arguments& arguments) {
    const std::string name = option(arguments, "--market");
    const std::string build = option(arguments, "--build");
    if (!name.starts_with("inference:")) return misuse("offers set needs --market inference:MODEL");
    const auto offers = market.offers();
    if (!offers) return complain(offers.error());
    const StandingOffer* standing = nullptr;
    for (const StandingOffer& offer : *offers)
        if (offer.node == node && offer.market == name && offer.build == build) standing = &offer;
    OfferSettings wanted;
    if (standing != nullptr)
        wanted = standing->terms;
    else if (const OfferSettings* configured = settings.find_offer(name, build))
        wanted = *configured;
    else
        return complain(refuse(ErrorCode::unknown_market,
                               name +
                                   " is not in the configuration: the node would refuse its jobs. "
                                   "Add it to offers, then set its price here or there"));
    struct Amount {
        const char* option;
        std::int64_t* into;
        std::int64_t most;
    };
    const Amount amounts[] = {{"--prompt", &wanted.price.prompt, limits::price_nano_max},
                              {"--cached", &wanted.price.cached, limits::price_nano_max},
                              {"--completion", &wanted.price.completion, limits::price_nano_max},
                              {"--reasoning", &wanted.price.reasoning, limits::price_nano_max},
                              {"--request", &wanted.price.request, limits::price_nano_max},
                              {"--gpu-second", &wanted.price.gpu_second, limits::price_nano_max},
                              {"--slots", &wanted.slots, limits::slots_per_offer_max}};
    for (const Amount& amount : amounts) {
        if (!arguments.options.contains(amount.option)) continue;
        const auto value = Nano::parse(option(arguments, amount.option));
        if (!value || value->value < 0 || value->value > amount.most)
            return misuse(std::string{amount.option} + " is no sensible number");
        *amount.into = value->value;
    }
    if (standing == nullptr) {
        const auto placed = market.place_offer(node, wanted);
        if (!placed) return complain(placed.error());
        print("placed " + *placed + "\n");
        return 0;
    }
    if (auto amended = market.amend_offer(*standing, wanted); !amended)
        return complain(amended.error());
    print("amended " + standing->id +
          "; the configuration file wins again at the node's next start\n");
    return 0;
}

int cancel_offer(MarketApi& market, const std::string& id) {
    const auto offers = market.offers();
    if (!offers) return complain(offers.error());
    for (const StandingOffer& offer : *offers) {
        if (offer.id != id) continue;
        if (auto cancelled = market.cancel_offer(offer); !cancelled)
            return complain(cancelled.error());
        print("cancelled " + id + "\n");
        return 0;
    }
    return complain(refuse(ErrorCode::not_found, "there is no standing offer " + id));
}

int offers(const Settings& settings, const Arguments& arguments) {
    const auto identity = load_identity(settings);
    if (!identity) return complain(identity.error());
    MarketApi market{settings, identity->credential};
    const std::string verb = arguments.words.size() > 1 ? arguments.words[1] : "list";
    if (verb == "list" && arguments.words.size() <= 2) return list_offers(market, identity->node);
    if (verb == "set" && arguments.words.size() == 2)
        return set_offer(market, settings, identity->node, arguments);
    if (verb == "cancel" && arguments.words.size() == 3)
        return cancel_offer(market, arguments.words[2]);
    return misuse("offers: list, set or cancel ID");
}

int doctor(const Result<Settings>& settings, const Arguments& arguments) {
    const Examination examination = examine(settings, option(arguments, "--root"), SystemClock{});
    print(arguments.options.contains("--json") ? report_json(examination)
                                               : report_text(examination));
    return examination.fit() ? 0 : 1;
}

}  // namespace

int run_command(const std::vector<std::string>& given) {
    std::string wrong;
    const auto arguments = split(given, wrong);
    if (!arguments) return misuse(wrong);
    if (arguments->options.contains("--help")) {
        print(std::string{usage_text});
        return 0;
    }
    if (arguments->words.empty()) return misuse("a command is missing");
    const std::string& command = arguments->words.front();
    if (command == "version") {
        print("cocoon-node " + std::string{program_version} + "\n");
        return 0;
    }
    const std::array<std::string_view, 4> known = {"run", "enrol", "doctor", "offers"};
    if (std::find(known.begin(), known.end(), command) == known.end())
        return misuse(command + " is no command");
    const auto settings = load_settings(option(*arguments, "--config", "node.json"));
    if (command == "doctor") return doctor(settings, *arguments);
    if (!settings) return complain(settings.error());
    if (command == "enrol") return enrol(*settings, *arguments);
    if (command == "offers") return offers(*settings, *arguments);
    return run(*settings);
}

}  // namespace cocoon::node
