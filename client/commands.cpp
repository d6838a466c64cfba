#include "client/commands.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "client/channel.hpp"
#include "client/market_api.hpp"
#include "client/money_proofs.hpp"
#include "client/receipts.hpp"
#include "client/trust.hpp"
#include "core/command_line.hpp"
#include "core/table.hpp"
#include "sealing/statement.hpp"
#include "trust/attest_verify.hpp"

namespace cocoon::client {

using sealing::Json;

namespace {

constexpr int exit_run = -1;  // main.cpp runs this one itself

struct Invocation {
    const Arguments& arguments;
    const Config& config;
    MarketApi& market;
    bool json = false;
};

struct Command {
    std::string_view name;
    std::string_view positional;  // for the usage line; each word is one required argument
    std::string_view help;
    std::vector<OptionSpec> options;
    Output (*run)(const Invocation& call);
};

const std::vector<OptionSpec> common_options{
    {"--config", "FILE", "settings (default: ./client.json if there is one)"},
    {"--market", "URL", "the market, instead of the settings' market_url"},
    {"--json", "", "answer as one JSON document"},
    {"--help", "", "this page"},
};

// ---- Small words --------------------------------------------------------------------------------

Output refused(const Problem& problem, const Invocation& call) {
    const Failure failure = failure_of(problem, {}, call.config.coin);
    Output output = failed(refusal_text(failure.error));
    if (!call.json) return output;
    Json document = problem.document;
    if (!document.is_object())
        document = Json::object(
            {{"code", describe(problem.error.code).name}, {"detail", problem.error.detail}});
    output.out = document.serialize() + "\n";
    return output;
}

std::string coins_of(const Json& value, std::string_view name) {
    const auto amount = Nano::parse(value.text_at(name).value_or(""));
    return amount ? coins_text(*amount) : "-";
}

std::string count_of(const Json& value, std::string_view name) {
    const auto count = value.integer_at(name);
    return count ? std::to_string(*count) : "-";
}

std::string joined(const Json* list) {
    std::string text;
    if (list)
        for (const Json& item : list->items())
            text += (text.empty() ? "" : ",") + std::string{item.text().value_or("?")};
    return text.empty() ? "-" : text;
}

Json json_list(std::string_view commas) {
    Json list = Json::array();
    while (!commas.empty()) {
        const auto comma = commas.find(',');
        if (const std::string_view item = commas.substr(0, comma); !item.empty()) list.push(item);
        commas = comma == std::string_view::npos ? std::string_view{} : commas.substr(comma + 1);
    }
    return list;
}

// The settings' policy, with the tiers the command line names.
attestation::Policy policy_for(const Invocation& call) {
    if (!call.arguments.has("--tiers")) return policy_of(call.config);
    Config config = call.config;
    config.tiers.clear();
    const Json tiers = json_list(call.arguments.get("--tiers"));
    for (const Json& tier : tiers.items()) config.tiers.emplace_back(tier.text().value_or(""));
    return policy_of(config);
}

ApiAnswer get(const Invocation& call, std::string path) {
    ApiCall request;
    request.path = std::move(path);
    return call.market.call(request);
}

Output or_json(const Invocation& call, const Json& body, const std::function<std::string()>& text) {
    return printed(call.json ? body.serialize() + "\n" : text());
}

// "inference:" may be left out: a model's name is enough.
std::string market_name(const std::string& name) {
    return name.starts_with("inference:") || name.starts_with("compute:") ? name
                                                                          : "inference:" + name;
}

// ---- book, models -------------------------------------------------------------------------------

std::vector<std::string> price_cells(const Json* price) {
    static const Json none = Json::object();
    const Json& value = price && price->is_object() ? *price : none;
    std::vector<std::string> cells;
    for (const Dimension& dimension : dimensions)
        cells.push_back(coins_of(value, dimension.price_name));
    return cells;
}

Output show_book(const Invocation& call) {
    const auto depth = call.arguments.number("--depth", 20, 1, 100);
    if (!depth) return usage_error(depth.error().detail);
    const std::string name = market_name(call.arguments.positional.front());
    const ApiAnswer answer =
        get(call, "/v1/markets/" + percent_encode(name) + "/book?depth=" + std::to_string(*depth));
    if (!answer.ok()) return refused(*answer.problem, call);
    return or_json(call, answer.body, [&] {
        Table table{{"PROMPT", "CACHED", "COMPLETION", "REASONING", "REQUEST", "GPU_SECOND",
                     "OFFERS", "FREE"}};
        std::size_t levels = 0;
        if (const Json* offers = answer.body.find("offers"))
            for (const Json& level : offers->items()) {
                std::vector<std::string> cells = price_cells(level.find("price"));
                for (const char* member : {"offers", "slots_free"})
                    cells.push_back(count_of(level, member));
                table.add(std::move(cells));
                ++levels;
            }
        std::string text =
            printable(name) + "   prices in " + call.config.coin + " (tokens: per million)\n";
        text += levels ? table.text() : "no offers\n";
        // A plain count, or an object per price level with its own count.
        const Json* requests = answer.body.find("requests");
        std::int64_t resting = requests ? requests->integer().value_or(0) : 0;
        if (requests)
            for (const Json& level : requests->items())
                resting += level.integer_at("requests").value_or(1);
        return text + "resting requests: " + std::to_string(resting) + "\n";
    });
}

Output show_models(const Invocation& call) {
    const ApiAnswer answer = get(call, "/v1/models");
    if (!answer.ok()) return refused(*answer.problem, call);
    return or_json(call, answer.body, [&] {
        Table table{
            {"MODEL", "PROMPT", "COMPLETION", "REQUEST", "CONTEXT", "OFFERS", "FREE", "TIERS"}};
        if (const Json* data = answer.body.find("data"))
            for (const Json& model : data->items()) {
                const auto price = price_cells(model.find("pricing"));
                table.add({std::string{model.text_at("id").value_or("?")}, price[0], price[2],
                           price[4], count_of(model, "context_length"), count_of(model, "offers"),
                           count_of(model, "slots_free"), joined(model.find("tiers"))});
            }
        return "prices in " + call.config.coin + " (tokens: per million)\n" + table.text();
    });
}

// ---- balance, deposit ---------------------------------------------------------------------------

Output show_balance(const Invocation& call) {
    const ApiAnswer answer = get(call, "/v1/account/balance");
    if (!answer.ok()) return refused(*answer.problem, call);
    return or_json(call, answer.body, [&] {
        Table table{{"BALANCE", call.config.coin, "NANO"}};
        for (const char* name : {"available", "held", "earned", "paying"}) {
            const std::string member = std::string{name} + "_nano";
            table.add({name, coins_of(answer.body, member),
                       std::string{answer.body.text_at(member).value_or("-")}});
        }
        return table.text();
    });
}

Output show_deposit(const Invocation& call) {
    const ApiAnswer answer = get(call, "/v1/account/deposit");
    if (!answer.ok()) return refused(*answer.problem, call);
    const std::string address{answer.body.text_at("address").value_or("")};
    const std::string memo{answer.body.text_at("memo").value_or("")};
    std::string link;
    if (!address.empty())
        link = "ton://transfer/" + percent_encode(address) + "?text=" + percent_encode(memo);
    if (const std::string amount = call.arguments.get("--amount-nano"); !amount.empty()) {
        const auto nano = Nano::parse(amount);
        if (!nano || nano->value <= 0)
            return usage_error("--amount-nano must be a positive whole number");
        if (!link.empty()) link += "&amount=" + amount;
    }
    Json body = answer.body;
    body.set("link", link.empty() ? Json{} : Json{link});
    return or_json(call, body, [&] {
        const std::string coin{answer.body.text_at("coin").value_or(call.config.coin)};
        return "send     " + printable(coin) + ", at least " +
               coins_of(answer.body, "minimum_nano") + "\n" + "to       " +
               (address.empty() ? "(this market takes no deposits)" : printable(address)) + "\n" +
               "comment  " + printable(memo) +
               "   (without it the deposit cannot be credited to you)\n" +
               (link.empty() ? "" : "link     " + printable(link) + "\n");
    });
}

// ---- channel ------------------------------------------------------------------------------------

Output open_channel_command(const Invocation& call, const std::string& key_file) {
    const auto deposit = Nano::parse(call.arguments.get("--deposit-nano"));
    if (!deposit || deposit->value <= 0)
        return usage_error("channel open needs --payer ADDRESS and --deposit-nano N");
    ChannelWish wish;
    wish.payer = call.arguments.get("--payer");
    const auto challenge = call.arguments.number("--challenge-seconds", 0, 0, INT32_MAX);
    const auto salt = call.arguments.number("--salt", 1, 0, INT64_MAX);
    if (!challenge || !salt) return usage_error((!challenge ? challenge : salt).error().detail);
    wish.challenge_seconds = *challenge;
    wish.salt = static_cast<std::uint64_t>(*salt);
    const auto key = sealing::SigningKey::load_or_generate(key_file);
    if (!key) return failed(refusal_text(key.error()));
    const auto opened = open_channel(call.market, *key, wish, *deposit);
    if (!opened) return failed(refusal_text(opened.error()));
    const Json body = Json::object({{"address", opened->address}, {"link", opened->link}});
    return or_json(call, body, [&] {
        return "channel  " + opened->address + "\nkey      " + key_file +
               "   (keep it: who has it can promise the market all of the deposit)\nlink     " +
               opened->link + "\n";
    });
}

// Closing is the wallet's to ask for: links with what it must send.
Output close_channel_command(const Invocation& call, const std::string& address) {
    const auto links = closing_links(address);
    if (!links) return usage_error(refusal_text(links.error()));
    const Json body = Json::object({{"start", links->start}, {"finish", links->finish}});
    return or_json(call, body, [&] {
        return "start   " + links->start + "\nfinish  " + links->finish +
               "\nThe market lets go at once when it is there; otherwise finish once the challenge "
               "time is over.\n";
    });
}

Output channel_command(const Invocation& call) {
    const std::string& action = call.arguments.positional.front();
    const ChannelSettings& settings = call.config.channel;
    std::string key_file = call.arguments.get("--key-file");
    if (key_file.empty()) key_file = settings.key_file.empty() ? "channel.key" : settings.key_file;
    if (action == "open") return open_channel_command(call, key_file);
    std::string address = call.arguments.get("--address");
    if (address.empty()) address = settings.address;
    if (action == "close") return close_channel_command(call, address);
    if (action != "show" && action != "pay") return usage_error("channel open, show, pay or close");
    auto payer = ChannelPayer::load(key_file, address);
    if (!payer) return failed(refusal_text(payer.error()));
    const auto amount = Nano::parse(call.arguments.get("--amount-nano"));
    if (action == "pay" && (!amount || amount->value <= 0))
        return usage_error("channel pay needs --amount-nano N");
    const auto view =
        action == "pay" ? payer->promise(call.market, *amount) : payer->view(call.market);
    if (!view) return failed(refusal_text(view.error()));
    const Json body = Json::object({{"stage", view->stage},
                                    {"deposited_nano", view->deposited.text()},
                                    {"promised_nano", view->promised.text()},
                                    {"claimed_nano", view->claimed.text()}});
    return or_json(call, body, [&] {
        return "stage      " + printable(view->stage) + "\ndeposited  " +
               coins_text(view->deposited) + "\npromised   " + coins_text(view->promised) +
               "\nclaimed    " + coins_text(view->claimed) + "\n";
    });
}

// ---- request, cancel ----------------------------------------------------------------------------

Result<Json> request_body(const Invocation& call) {
    const Arguments& arguments = call.arguments;
    Quantities quantity;
    const auto prompt = arguments.number("--prompt-tokens", 1'000, 0, limits::tokens_max);
    const auto output = arguments.number("--output-tokens", 1'000, 0, limits::tokens_max);
    const auto requests = arguments.number("--requests", 1, 0, 1'000'000'000);
    const auto gpu_seconds = arguments.number("--gpu-seconds", 0, 0, limits::gpu_seconds_max);
    const auto wait = arguments.number("--wait", 0, 0, 3'600);
    for (const auto* number : {&prompt, &output, &requests, &gpu_seconds, &wait})
        if (!*number) return number->error();
    quantity.prompt = *prompt;
    quantity.completion = *output;
    quantity.requests = *requests;
    quantity.gpu_seconds = *gpu_seconds;
    Json body = Json::object({{"market", market_name(arguments.positional.front())}});
    if (arguments.has("--build")) body.set("build", arguments.get("--build"));
    body.set("quantity", quantities_json(quantity));
    Json constraints = call.config.constraints;
    Json tiers = Json::array();
    for (const std::string& tier : call.config.tiers) tiers.push(tier);
    constraints.set(
        "tiers", arguments.has("--tiers") ? json_list(arguments.get("--tiers")) : std::move(tiers));
    if (!call.config.measurements.empty()) {
        Json measurements = Json::array();
        for (const std::string& measurement : call.config.measurements)
            measurements.push(measurement);
        constraints.set("measurements", std::move(measurements));
    }
    for (const std::string name : {"regions", "countries"})
        if (arguments.has("--" + name))
            constraints.set(name, json_list(arguments.get("--" + name)));
    body.set("constraints", std::move(constraints));
    const auto cap = arguments.number(
        "--max-cost-nano", call.config.cost_max.value_or(Nano{}).value, 0, limits::amount_nano_max);
    if (!cap) return cap.error();
    if (*cap > 0) body.set("cap_total_nano", Nano{*cap}.text());
    if (arguments.has("--session")) body.set("session", true);
    body.set("time_in_force", *wait > 0 ? "rest" : "immediate");
    if (*wait > 0) body.set("rest_until", (SystemClock{}.now() + seconds(*wait)).text());
    return body;
}

std::string explanation_lines(const Json* explanation, std::string_view coin) {
    if (!explanation || !explanation->is_object()) return {};
    std::string text = "offers seen: " + count_of(*explanation, "offers_seen") + "\n";
    Table removed{{"REMOVED BY", "OFFERS"}};
    if (const Json* list = explanation->find("removed"); list && !list->items().empty()) {
        for (const Json& item : list->items())
            removed.add(
                {std::string{item.text_at("constraint").value_or("?")}, count_of(item, "offers")});
        text += removed.text();
    }
    Table relaxations{{"IT WOULD MATCH WITH", "VALUE", "OFFERS", "HOLDING " + std::string{coin}}};
    if (const Json* list = explanation->find("relaxations"); list && !list->items().empty()) {
        for (const Json& item : list->items())
            relaxations.add({std::string{item.text_at("constraint").value_or("?")},
                             std::string{item.text_at("suggestion").value_or("?")},
                             count_of(item, "offers"), coins_of(item, "cost_nano")});
        text += relaxations.text();
    }
    Table best{{"BEST OFFER", "NODE", "COST " + std::string{coin}, "PENALTY"}};
    if (const Json* list = explanation->find("best"); list && !list->items().empty()) {
        for (const Json& item : list->items())
            best.add({std::string{item.text_at("offer").value_or("?")},
                      std::string{item.text_at("node").value_or("?")}, coins_of(item, "cost_nano"),
                      count_of(item, "penalty_permille")});
        text += best.text();
    }
    return text;
}

Output place_request(const Invocation& call) {
    auto body = request_body(call);
    if (!body) return usage_error(body.error().detail);
    const bool what_if = call.arguments.has("--what-if");
    ApiCall request;
    request.method = "POST";
    request.path = what_if ? "/v1/requests:whatif" : "/v1/requests";
    request.body = *std::move(body);
    if (!what_if) request.idempotency_key = random_key();
    request.wait_seconds = what_if ? 0 : call.arguments.number("--wait", 0, 0, 3'600).value();
    const ApiAnswer answer = call.market.call(request);
    if (!answer.ok()) {
        Output output = refused(*answer.problem, call);
        if (!call.json)
            output.out =
                explanation_lines(answer.problem->document.find("explanation"), call.config.coin);
        return output;
    }
    return or_json(call, answer.body, [&] {
        if (what_if)
            return "would be: " + std::string{answer.body.text_at("state").value_or("?")} + "\n" +
                   explanation_lines(answer.body.find("explanation"), call.config.coin);
        const Json* placed = answer.body.find("request");
        std::string text =
            "request  " + std::string{placed ? placed->text_at("id").value_or("?") : "?"} + "  " +
            std::string{placed ? placed->text_at("state").value_or("?") : "?"} + "\n";
        const Json* job = answer.body.find("job");
        if (!job || !job->is_object()) return text;
        text += "job      " + std::string{job->text_at("id").value_or("?")} + " on " +
                std::string{job->text_at("node").value_or("?")} + "\n";
        text += "holds    " + coins_of(*job, "hold_nano") + " " + call.config.coin + " until " +
                std::string{job->text_at("expires_at").value_or("?")} + "\n";
        return text;
    });
}

Output cancel_work(const Invocation& call) {
    const std::string& id = call.arguments.positional.front();
    const bool job = JobId::parse(id).has_value();
    if (!job && !RequestId::parse(id))
        return usage_error("not a request or job id: " + printable(id));
    ApiCall request;
    request.method = "DELETE";
    request.path = (job ? "/v1/jobs/" : "/v1/requests/") + id;
    const ApiAnswer answer = call.market.call(request);
    if (!answer.ok()) return refused(*answer.problem, call);
    return or_json(call, answer.body, [&] { return id + " cancelled\n"; });
}

// ---- attest -------------------------------------------------------------------------------------

// A node by its id, through the market; or "verify": a file, offline.
Output attest_node(const Invocation& call) {
    const std::string& what = call.arguments.positional.front();
    const bool offline = what == "verify";
    const auto id = NodeId::parse(what);
    if (!offline && !id) return usage_error("neither a node id nor `verify`: " + printable(what));
    if (offline != call.arguments.has("--evidence"))
        return usage_error("`attest verify` needs --evidence FILE, and only it does");
    if (offline) return trust::attest_verify(call.arguments, policy_for(call));
    auto evidence = fetch_evidence(call.market, *id);
    if (!evidence) return failed(refusal_text(evidence.error()));
    return trust::attest_report(call.arguments, *std::move(evidence), policy_for(call));
}

// ---- verify -------------------------------------------------------------------------------------

Result<ReceiptBundle> bundle_for(const Invocation& call) {
    const std::string& name = call.arguments.positional.front();
    std::string path = name;
    if (!std::filesystem::exists(path) && is_receipt_id(name)) {
        if (call.config.receipts_directory.empty())
            return refuse(ErrorCode::not_found,
                          "the settings name no receipts_directory to look for " + name);
        path = receipt_path(call.config, name);
    }
    const auto text = file_text(path, bundle_bytes_max);
    if (!text) return text.error();
    return parse_bundle(*text);
}

Result<void> read_evidence(const std::string& path, ReceiptBundle& bundle) {
    auto evidence = trust::read_evidence_file(path);
    if (!evidence) return evidence.error();
    if (bundle.keyset_document.empty()) bundle.keyset_document = evidence->keyset_document;
    bundle.evidence = *std::move(evidence);
    return {};
}

// What the command line gives replaces what came with the receipt: the reader's word counts.
Result<void> add_given(const Invocation& call, ReceiptBundle& bundle) {
    const Arguments& arguments = call.arguments;
    if (arguments.has("--keyset")) {
        const auto text = file_text(arguments.get("--keyset"), bundle_bytes_max);
        if (!text) return text.error();
        bundle.keyset_document = *text;
    }
    if (arguments.has("--evidence")) {
        const auto read = read_evidence(arguments.get("--evidence"), bundle);
        if (!read) return read;
    }
    if (bundle.evidence) bundle.evidence->keyset_document = bundle.keyset_document;
    if (arguments.has("--market-key")) {
        bundle.market_key = sealing::parse_hex_32(arguments.get("--market-key"));
        if (!bundle.market_key)
            return refuse(ErrorCode::malformed_request, "--market-key must be 64 hex characters");
        bundle.market_key_pinned = true;
    } else if (call.config.market_public_key) {
        bundle.market_key = call.config.market_public_key;
        bundle.market_key_pinned = true;
    }
    for (const auto& [option, digest] :
         {std::pair{"--sealed-request", &bundle.sealed_request_sha256},
          std::pair{"--sealed-response", &bundle.sealed_response_sha256}})
        if (arguments.has(option)) {
            const auto bytes =
                file_text(arguments.get(option), limits::engine_answer_bytes_max * 2);
            if (!bytes) return bytes.error();
            *digest = sealing::sha256(as_bytes(*bytes));
        }
    return {};
}

std::string job_lines(const sealing::JobReceipt& job, std::string_view coin) {
    std::string text =
        "receipt   " + job.receipt_id + "  " + std::string{sealing::to_text(job.status)} + "\n";
    text += "work      " + job.job + " of " + job.request + " on " + job.node + ", " + job.market +
            (job.build.empty() ? "" : "@" + job.build) + ", " + job.served_at.text() + "\n";
    Table table{{"", "USAGE", "PRICE " + std::string{coin}}};
    for (const Dimension& dimension : dimensions)
        if (job.usage.*dimension.quantity != 0 || job.prices.*dimension.price != 0)
            table.add({std::string{dimension.name}, std::to_string(job.usage.*dimension.quantity),
                       coins_text(Nano{job.prices.*dimension.price})});
    return text + table.text() + "cost      " + coins_text(job.cost) + " " + std::string{coin} +
           "\n";
}

Output verify_receipt_command(const Invocation& call) {
    auto bundle = bundle_for(call);
    if (!bundle)
        return bundle.error().code == ErrorCode::not_found
                   ? usage_error(bundle.error().detail)
                   : failed("invalid: " + bundle.error().detail);
    const auto given = add_given(call, *bundle);
    if (!given) return usage_error(given.error().detail);
    const ReceiptReport report = check_receipt(*bundle, policy_for(call));
    Json checks = Json::array();
    Table table{{"CHECK", "OUTCOME", "WHAT WAS FOUND"}};
    for (const ReceiptCheck& check : report.checks) {
        const std::string outcome{to_text(check.outcome)};
        table.add({check.name, outcome, check.text});
        checks.push(
            Json::object({{"check", check.name}, {"outcome", outcome}, {"text", check.text}}));
    }
    Json body = Json::object(
        {{"valid", report.valid()}, {"checks", std::move(checks)}, {"digest", report.digest}});
    if (report.job) {
        body.set("receipt_id", report.job->receipt_id);
        body.set("cost_nano", report.job->cost.text());
        body.set("usage", quantities_json(report.job->usage));
        body.set("price", prices_json(report.job->prices));
    }
    Output output = or_json(call, body, [&] {
        return (report.job ? job_lines(*report.job, call.config.coin) : "") + table.text() +
               (report.valid() ? "VALID\n" : "INVALID\n");
    });
    output.exit_code = report.valid() ? 0 : exit_refused;
    return output;
}

// ---- What the market owes -----------------------------------------------------------------------

constexpr std::array<std::string_view, 2> money_proofs{"solvency", "earnings"};

std::optional<std::string_view> money_proof_asked(const Arguments& arguments) {
    for (const std::string_view what : money_proofs)
        if (arguments.has("--" + std::string{what})) return what;
    return std::nullopt;
}

// The key that the reader gives, here or in the settings.
Result<std::optional<sealing::PublicKey>> given_market_key(const Invocation& call) {
    if (!call.arguments.has("--market-key")) return call.config.market_public_key;
    const auto key = sealing::parse_hex_32(call.arguments.get("--market-key"));
    if (!key) return refuse(ErrorCode::malformed_request, "--market-key must be 64 hex characters");
    return std::optional{*key};
}

Result<Json> money_document(const std::string& path) {
    const auto text = file_text(path, money_proof_bytes_max);
    if (!text) return text.error();
    return Json::parse(*text, {.bytes_max = money_proof_bytes_max});
}

Output money_report(const Invocation& call, const MoneyReport& report) {
    Json checks = Json::array();
    Table table{{"CHECK", "OUTCOME", "WHAT WAS FOUND"}};
    for (const ReceiptCheck& check : report.checks) {
        const std::string outcome{to_text(check.outcome)};
        table.add({check.name, outcome, printable(check.text)});
        checks.push(
            Json::object({{"check", check.name}, {"outcome", outcome}, {"text", check.text}}));
    }
    Json body = report.facts;
    body.set("valid", report.valid());
    body.set("checks", std::move(checks));
    Output output = or_json(call, body, [&] {
        std::string text;
        for (const auto& [name, value] : report.facts.members()) {
            std::string left = name;
            left.resize(std::max<std::size_t>(left.size() + 1, 18), ' ');
            text += left + printable(std::string{value.text().value_or("")}) + "\n";
        }
        return text + table.text() +
               (!report.valid()  ? "INVALID\n"
                : report.certain ? "VALID\n"
                                 : "VALID, but whether the wallet holds it is unknown\n");
    });
    output.exit_code = !report.valid() ? exit_refused : report.certain ? 0 : exit_unknown;
    return output;
}

Output judge_money(const Invocation& call, std::string_view what, const Json& document) {
    const auto key = given_market_key(call);
    if (!key) return usage_error(key.error().detail);
    if (what == "solvency") return money_report(call, check_solvency(document, *key));
    std::optional<Json> older;
    if (call.arguments.has("--older")) {
        auto read = money_document(call.arguments.get("--older"));
        if (!read) return usage_error(read.error().detail);
        older = *std::move(read);
    }
    return money_report(call, check_earnings(document, older, *key));
}

// Fetches one's own, keeps it, and judges it at once.
Output fetch_money_proof(const Invocation& call) {
    const std::string& what = call.arguments.positional.front();
    if (what != "solvency" && what != "earnings") return usage_error("`solvency` or `earnings`");
    const ApiAnswer answer =
        get(call, what == "solvency" ? "/v1/account/proof" : "/v1/account/signed-statement");
    if (!answer.ok()) return refused(*answer.problem, call);
    if (call.arguments.has("--out")) {
        std::ofstream file{call.arguments.get("--out"), std::ios::binary | std::ios::trunc};
        file << answer.body.serialize() << '\n';
        file.close();
        if (!file) return failed("cannot write " + call.arguments.get("--out"));
    }
    return judge_money(call, what, answer.body);
}

Output verify_command(const Invocation& call) {
    const auto what = money_proof_asked(call.arguments);
    if (!what) return verify_receipt_command(call);
    const auto document = money_document(call.arguments.get("--" + std::string{*what}));
    if (!document)
        return document.error().code == ErrorCode::not_found
                   ? usage_error(document.error().detail)
                   : failed("invalid: " + document.error().detail);
    return judge_money(call, *what, *document);
}

std::vector<OptionSpec> attest_options() {
    std::vector<OptionSpec> options = trust::attest_options();
    options.push_back({"--tiers", "A,B", "acceptable trust tiers, instead of the settings'"});
    return options;
}

// ---- The table of commands ----------------------------------------------------------------------

const std::vector<Command>& commands() {
    static const std::vector<Command> table{
        {"serve", "", "OpenAI-compatible server on localhost; stops on SIGTERM.", {}, nullptr},
        {"verify",
         "RECEIPT",
         "Checks a receipt offline: a file, or an id (job_9) kept in receipts_directory. With "
         "--solvency or --earnings, what the market says it owes.",
         {{"--solvency", "FILE", "as `proof solvency --out` kept it, or GET /v1/proof/solvency"},
          {"--earnings", "FILE", "as `proof earnings --out` kept it"},
          {"--older", "FILE", "signed earnings kept before: nothing may have fallen since"},
          {"--keyset", "FILE", "the node's keyset document"},
          {"--evidence", "FILE", "the node's evidence, as GET /v1/nodes/{id}/evidence answers"},
          {"--market-key", "HEX", "the market's cosigning key, as GET /v1/market-key answers"},
          {"--sealed-request", "FILE", "the sealed request's bytes"},
          {"--sealed-response", "FILE", "the sealed response's bytes"},
          {"--tiers", "A,B", "acceptable trust tiers, instead of the settings'"}},
         verify_command},
        {"book",
         "MARKET",
         "Shows the offers of a market (inference:NAME, or just NAME; compute:CLASS).",
         {{"--depth", "N", "price levels (default 20)"}},
         show_book},
        {"models", "", "Lists models with their best prices.", {}, show_models},
        {"request",
         "MARKET",
         "Places a request, or asks what would happen to it, with reasons.",
         {{"--what-if", "", "place nothing, explain (needs no key)"},
          {"--build", "NAME", "only this build"},
          {"--prompt-tokens", "N", "at most (default 1000)"},
          {"--output-tokens", "N", "at most (default 1000)"},
          {"--requests", "N", "at most (default 1)"},
          {"--gpu-seconds", "N", "for compute markets"},
          {"--max-cost-nano", "N", "the most the hold may be"},
          {"--tiers", "A,B", "acceptable trust tiers"},
          {"--regions", "A,B", "acceptable regions"},
          {"--countries", "A,B", "acceptable countries"},
          {"--session", "", "many exchanges in one job"},
          {"--wait", "SECONDS", "rest in the book so long"}},
         place_request},
        {"cancel", "ID", "Cancels a request (req_1) or a job (job_1).", {}, cancel_work},
        {"balance", "", "Shows the account's money.", {}, show_balance},
        {"deposit",
         "",
         "Shows where to send coins, and the comment they need.",
         {{"--amount-nano", "N", "put the amount into the link"}},
         show_deposit},
        {"proof",
         "solvency|earnings",
         "Fetches and checks the market's proof of what it owes: to all, with your own leaf, or "
         "what you have earned.",
         {{"--out", "FILE", "keep it"},
          {"--older", "FILE", "signed earnings kept before: nothing may have fallen since"},
          {"--market-key", "HEX", "the market's key, as you know it"}},
         fetch_money_proof},
        {"channel",
         "open|show|pay|close",
         "A payment channel: your coins stay in a contract of your own (docs/channel.md).",
         {{"--key-file", "FILE", "session key; made by open (default: the settings', channel.key)"},
          {"--address", "ADDRESS", "the channel, instead of the settings'"},
          {"--payer", "ADDRESS", "open: the wallet that gets what is left"},
          {"--deposit-nano", "N", "open: the first deposit, for the link"},
          {"--challenge-seconds", "N", "open: how long the market may answer a closing"},
          {"--salt", "N", "open: another number makes another channel (default 1)"},
          {"--amount-nano", "N", "pay: promise so much more"}},
         channel_command},
        {"attest", "NODE|verify",
         "Verifies a node's evidence with your own policy: fetched from the market, or a file's.",
         attest_options(), attest_node},
    };
    return table;
}

constexpr std::string_view exit_codes =
    "Exit codes: 0 done or valid, 1 refused or invalid, 2 wrong usage or settings, 3 cannot "
    "tell.\n";

std::string overview() {
    std::string text =
        "cocoon-client: confidential AI on your own OpenAI SDK.\n\n"
        "Usage: cocoon-client COMMAND ...\n\n";
    for (const Command& command : commands()) {
        std::string left = "  " + std::string{command.name} + " " + std::string{command.positional};
        left.resize(std::max<std::size_t>(left.size() + 1, 21), ' ');
        text += left + std::string{command.help} + "\n";
    }
    text += "  version            Prints the version\n\n";
    text += option_lines(common_options);
    text += "\nEnvironment: COCOON_MARKET_URL, COCOON_API_KEY.\n";
    return text + std::string{exit_codes} + "`cocoon-client COMMAND --help` says more.\n";
}

std::string help_of(const Command& command) {
    std::string text = "Usage: cocoon-client " + std::string{command.name} +
                       (command.positional.empty() ? "" : " " + std::string{command.positional}) +
                       " [options]\n\n" + std::string{command.help} + "\n\n";
    return text + option_lines(command.options) + option_lines(common_options) + "\n" +
           std::string{exit_codes};
}

Output run_one(const Command& command, const std::vector<std::string>& rest,
               const CommandContext& context) {
    std::vector<OptionSpec> specs = command.options;
    specs.insert(specs.end(), common_options.begin(), common_options.end());
    const auto arguments = parse_arguments(rest, specs);
    if (!arguments) return usage_error(arguments.error().detail + "\n\n" + help_of(command));
    if (arguments->has("--help")) return printed(help_of(command));
    const bool names_nothing = command.positional.empty() || money_proof_asked(*arguments);
    if (arguments->positional.size() != (names_nothing ? 0 : 1))
        return usage_error(help_of(command));
    if (!command.run) return {{}, {}, exit_run};
    const auto config = settings_for(rest, context);
    if (!config) return usage_error(refusal_text(config.error()));
    const bool offline = command.name == "verify" || arguments->has("--evidence");
    if (config->market_url.empty() && !offline)
        return usage_error(
            "which market? --market URL, COCOON_MARKET_URL, or market_url in --config");
    MarketApi market{*config};
    return command.run({*arguments, *config, market, arguments->has("--json")});
}

}  // namespace

Result<Config> settings_for(const std::vector<std::string>& arguments,
                            const CommandContext& context) {
    const auto value_of = [&](const std::string& name) -> std::string {
        for (std::size_t i = 0; i < arguments.size(); ++i) {
            if (arguments[i] == name && i + 1 < arguments.size()) return arguments[i + 1];
            if (arguments[i].starts_with(name + "=")) return arguments[i].substr(name.size() + 1);
        }
        return {};
    };
    std::string path = value_of("--config");
    if (path.empty() && std::filesystem::exists("client.json")) path = "client.json";
    const std::string market = value_of("--market");
    return load_config(path, [&](const char* name) {
        return name == std::string_view{"COCOON_MARKET_URL"} && !market.empty()
                   ? market
                   : context.environment(name);
    });
}

Output run_command(const std::vector<std::string>& arguments, const CommandContext& context) {
    if (arguments.empty()) return usage_error(overview());
    const std::string& name = arguments.front();
    if (name == "--help" || name == "help" || name == "-h") return printed(overview());
    if (name == "version" || name == "--version")
        return printed("cocoon-client " + context.version + "\n");
    for (const Command& command : commands())
        if (command.name == name)
            return run_one(command, {arguments.begin() + 1, arguments.end()}, context);
    return usage_error("unknown command " + printable(name) + "\n\n" + overview());
}

}  // namespace cocoon::client
