// cocoon-market: the server. Settings come from the environment (config.cpp); this file only
// chooses what to do and turns broken machines into exit status 1.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "core/command_line.hpp"
#include "core/log.hpp"
#include "db/migrate.hpp"
#include "db/replay.hpp"
#include "server/app.hpp"
#include "server/config.hpp"
#include "server/evidence_policy.hpp"
#include "server/payout_switch.hpp"
#include "trust/attest_verify.hpp"

namespace {

using namespace cocoon;

constexpr const char* usage =
    "cocoon-market COMMAND\n\n"
    "  attest verify --evidence FILE ...\n"
    "            judge a node's evidence again, offline; `attest --help` says more\n"
    "  serve     run the market\n"
    "  migrate   bring the database to this program's schema\n"
    "  check     do schema and books hold? exit status 0 if they do\n"
    "  replay    rebuild every table from the journal and compare; exit status 0 if equal\n"
    "  payouts pause NOTE    make no new payout batches, from now on\n"
    "  payouts resume NOTE   make them again\n"
    "  version   print the version\n\n";

db::ConnectOptions connection_of(const server::Config& config) {
    db::ConnectOptions options;
    options.url = config.database_url;
    options.statement_milliseconds = 0;  // audits take what they take
    return options;
}

int migrate(const server::Config& config) {
    const auto report = db::migrate(connection_of(config));
    if (!report) {
        std::fprintf(stderr, "cocoon-market: %s\n", report.error().detail.c_str());
        return 1;
    }
    for (const std::string& name : report->applied) std::printf("applied %s\n", name.c_str());
    std::printf("schema version %d\n", report->version_after);
    return 0;
}

int check(const server::Config& config) {
    if (const auto schema = db::check_schema(connection_of(config)); !schema) {
        std::printf("schema: %s\n", schema.error().detail.c_str());
        return 1;
    }
    const auto problems = db::check_books(connection_of(config));
    for (const auto& problem : problems)
        std::printf("books: %s: %s\n", problem.check.c_str(), problem.subject.c_str());
    if (problems.empty()) std::printf("the schema is this program's and the books balance\n");
    return problems.empty() ? 0 : 1;
}

int replay(const server::Config& config) {
    const auto report = db::rebuild_and_compare(connection_of(config));
    std::printf("replayed %llu entries up to sequence %llu into %zu tables\n",
                static_cast<unsigned long long>(report.entries),
                static_cast<unsigned long long>(report.sequence), report.tables.size());
    for (const auto& difference : report.differences) {
        std::printf("%s: %llu missing, %llu unexpected\n", difference.table.c_str(),
                    static_cast<unsigned long long>(difference.missing),
                    static_cast<unsigned long long>(difference.unexpected));
        for (const std::string& example : difference.examples)
            std::printf("  %s\n", example.c_str());
    }
    if (report.differences.empty()) std::printf("every table is what the journal says\n");
    return report.differences.empty() ? 0 : 1;
}

// Works while the market runs, and when it does not.
int switch_payouts(const server::Config& config, std::string_view what, const std::string& note) {
    if ((what != "pause" && what != "resume") || note.empty()) {
        std::fputs(usage, stderr);
        return 2;
    }
    const auto switched = server::switch_payouts(config, what == "pause", note);
    if (!switched) {
        std::fprintf(stderr, "cocoon-market: %s\n", switched.error().detail.c_str());
        return 1;
    }
    std::printf("payouts are %s\n", what == "pause" ? "paused" : "made again");
    return 0;
}

// Needs no database and no settings but the policy's file.
Output attest(const std::vector<std::string>& given) {
    std::vector<OptionSpec> specs = trust::attest_options();
    specs.push_back({"--json", "", "answer as one JSON document"});
    specs.push_back({"--help", "", "this page"});
    const std::string help =
        "Usage: cocoon-market attest verify --evidence FILE [options]\n\nThe policy is that of "
        "MARKET_ATTESTATION_POLICY, unless --policy names another.\n\n" +
        option_lines(specs) +
        "\nExit codes: 0 accepted, 1 refused, 2 wrong usage, 3 cannot tell.\n";
    const auto arguments = parse_arguments(given, specs);
    if (!arguments) return usage_error(arguments.error().detail + "\n\n" + help);
    if (arguments->has("--help")) return printed(help);
    if (arguments->positional != std::vector<std::string>{"verify"} ||
        !arguments->has("--evidence"))
        return usage_error(help);
    const char* file = std::getenv("MARKET_ATTESTATION_POLICY");
    const char* simulated = std::getenv("MARKET_SIMULATED_TIER");
    attestation::Policy policy = server::EvidencePolicy{file ? file : ""}.current();
    policy.simulated_enabled = simulated != nullptr && std::string_view{simulated} == "allow";
    return trust::attest_verify(*arguments, policy);
}

int run(std::string_view command, const std::vector<std::string>& more) {
    if (command == "version" || command == "--version") {
        std::printf("cocoon-market 0.1.0\n");
        return 0;
    }
    if (command == "--help" || command == "help" || command.empty()) {
        std::fputs(usage, stdout);
        std::fputs(server::config_help().c_str(), stdout);
        return command.empty() ? 2 : 0;
    }
    const auto config = server::read_config(server::process_environment());
    if (!config) {
        for (const FieldError& field : config.error().fields) {
            std::fprintf(stderr, "cocoon-market: %s %s\n", field.path.c_str(),
                         field.message.c_str());
        }
        return 2;
    }
    log::set_level(config->level());
    if (command == "payouts" && more.size() == 2) return switch_payouts(*config, more[0], more[1]);
    if (!more.empty()) {
        std::fputs(usage, stderr);
        return 2;
    }
    if (command == "serve") return server::serve(*config);
    if (command == "migrate") return migrate(*config);
    if (command == "check") return check(*config);
    if (command == "replay") return replay(*config);
    std::fputs(usage, stderr);
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc > 1 && std::string_view{argv[1]} == "attest") {
            const Output output = attest({argv + 2, argv + argc});
            std::fputs(output.out.c_str(), stdout);
            std::fputs(output.err.c_str(), stderr);
            return output.exit_code;
        }
        return run(argc < 2 ? "" : argv[1], {argv + std::min(argc, 2), argv + argc});
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "cocoon-market: %s\n", failure.what());
        return 1;
    }
}
