#include "client/receipts.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/log.hpp"

namespace cocoon::client {

using sealing::Json;
using Outcome = ReceiptCheck::Outcome;

namespace {

Json evidence_json(const NodeEvidence& evidence) {
    return Json::object({{"tier", evidence.tier},
                         {"nonce", evidence.nonce},
                         {"evidence", evidence.evidence_base64}});
}

Result<void> read_digest(const Json& value, std::string_view name,
                         std::optional<sealing::Digest>& into) {
    const Json* found = value.find(name);
    if (!found || found->is_null()) return {};
    into = sealing::parse_digest_text(found->text().value_or(""));
    if (into) return {};
    return refuse(ErrorCode::malformed_request, std::string{name} + " is no sha256 digest");
}

Result<ReceiptBundle> read_bundle(const Json& document) {
    ReceiptBundle bundle;
    bundle.envelope = document.find("envelope")->serialize();
    bundle.keyset_document = document.text_at("keyset_document").value_or("");
    if (const Json* evidence = document.find("evidence"); evidence && evidence->is_object()) {
        bundle.evidence = NodeEvidence{std::string{evidence->text_at("tier").value_or("")},
                                       std::string{evidence->text_at("nonce").value_or("")},
                                       std::string{evidence->text_at("evidence").value_or("")},
                                       bundle.keyset_document};
    }
    if (const auto key = document.text_at("market_key")) {
        bundle.market_key = sealing::parse_hex_32(*key);
        if (!bundle.market_key) return refuse(ErrorCode::malformed_request, "market_key is no key");
    }
    const auto request =
        read_digest(document, "sealed_request_sha256", bundle.sealed_request_sha256);
    if (!request) return request.error();
    const auto response =
        read_digest(document, "sealed_response_sha256", bundle.sealed_response_sha256);
    if (!response) return response.error();
    if (const Json* price = document.find("price"); price && !price->is_null()) {
        const auto prices = parse_prices(*price);
        if (!prices) return prices.error();
        bundle.price = *prices;
    }
    if (const Json* usage = document.find("usage"); usage && !usage->is_null()) {
        const auto quantities = parse_quantities(*usage);
        if (!quantities) return quantities.error();
        bundle.usage = *quantities;
    }
    return bundle;
}

// What the answer itself says is what an OpenAI engine counts: tokens. GPU time is the node's
// alone.
bool same_tokens(const Quantities& a, const Quantities& b) {
    return a.prompt == b.prompt && a.cached == b.cached && a.completion == b.completion &&
           a.reasoning == b.reasoning;
}

// Collects the checks of one receipt.
class Checker {
public:
    Checker(const ReceiptBundle& bundle, ReceiptReport& report)
        : bundle_{bundle}, report_{report} {}

    void run(const attestation::Policy& policy) {
        const auto keyset = sealing::parse_keyset(bundle_.keyset_document);
        if (bundle_.keyset_document.empty())
            return note("node_signature", false, "no keyset to check it with");
        if (!keyset)
            return note("node_signature", false,
                        "the keyset is malformed: " + keyset.error().detail);
        if (!signatures(*keyset)) return;
        const sealing::JobReceipt& job = *report_.job;
        cost(job);
        hash("sealed_request", bundle_.sealed_request_sha256, job.sealed_request_sha256);
        hash("sealed_response", bundle_.sealed_response_sha256, job.sealed_response_sha256);
        if (!bundle_.price)
            skip("agreed_price", "the agreed price is not known here");
        else
            note("agreed_price", *bundle_.price == job.prices,
                 "the receipt's prices are the job's");
        if (!bundle_.usage)
            skip("reported_usage", "the answer's own usage is not known here");
        else
            note("reported_usage", same_tokens(*bundle_.usage, job.usage),
                 "the receipt counts what the answer said");
        evidence(*keyset, job, policy);
    }

private:
    void note(std::string name, bool passed, std::string text) {
        report_.checks.push_back(
            {std::move(name), passed ? Outcome::passed : Outcome::failed, std::move(text)});
    }
    void skip(std::string name, std::string text) {
        report_.checks.push_back({std::move(name), Outcome::skipped, std::move(text)});
    }

    bool signatures(const sealing::Keyset& keyset) {
        const auto inner = sealing::receipt_of_envelope(bundle_.envelope);
        const std::string receipt = inner ? *inner : bundle_.envelope;
        const auto verdict = sealing::verify_job_receipt(receipt, keyset);
        if (!verdict) {
            const auto& refusal = verdict.refusal();
            note("node_signature", false,
                 std::string{sealing::to_text(refusal.fault)} + ": " + refusal.detail);
            return false;
        }
        report_.job = verdict.receipt().job;
        report_.digest = verdict.receipt().digest;
        note("node_signature", true,
             "signed by key " + verdict.receipt().key_id + " of the node's keyset");
        if (!inner) {
            skip("market_cosignature", "the receipt is not cosigned");
        } else if (!bundle_.market_key) {
            skip("market_cosignature", "the market's key is not known here (--market-key)");
        } else {
            const auto cosigned =
                sealing::verify_cosigned(bundle_.envelope, keyset, *bundle_.market_key);
            const std::string key_from =
                bundle_.market_key_pinned ? "the given key" : "the key kept with the receipt";
            note("market_cosignature", static_cast<bool>(cosigned),
                 cosigned ? "cosigned by the market with " + key_from
                          : std::string{sealing::to_text(cosigned.refusal().fault)});
        }
        return report_.job.has_value();
    }

    void cost(const sealing::JobReceipt& job) {
        const auto expected = cost_of(job.prices, job.usage);
        note("cost", expected && *expected == job.cost,
             expected ? "usage at these prices costs " + expected->text() +
                            " nano, the receipt says " + job.cost.text()
                      : "the cost cannot be represented");
    }

    void hash(std::string name, const std::optional<sealing::Digest>& ours,
              const sealing::Digest& theirs) {
        if (!ours) return skip(std::move(name), "the sealed message is not given");
        note(std::move(name), *ours == theirs, "the sealed bytes are those the node signed for");
    }

    void evidence(const sealing::Keyset& keyset, const sealing::JobReceipt& job,
                  attestation::Policy policy) {
        if (!bundle_.evidence) return skip("evidence", "no evidence is given for the keyset");
        // Judged as of the moment of the work; what was acceptable is the reader's policy of today.
        const auto node = verify_node(*bundle_.evidence, keyset.digest, policy, job.served_at);
        note("evidence", node.has_value(),
             node ? "the keyset was attested: tier " + node->tier + ", measurement " +
                        node->measurement.substr(0, 16)
                  : node.error().detail);
    }

    const ReceiptBundle& bundle_;
    ReceiptReport& report_;
};

// A session's newest receipt may already be that of a later exchange, which asks for it itself.
bool overtaken(const ReceiptKeeper::Answered& answered, const ReceiptReport& report) {
    return answered.job.session && report.job &&
           report.job->sealed_request_sha256 != answered.sealed_request_sha256;
}

}  // namespace

std::string bundle_document(const ReceiptBundle& bundle) {
    Json document = Json::object({{"version", 1}});
    if (auto envelope = Json::parse(bundle.envelope))
        document.set("envelope", *std::move(envelope));
    document.set("keyset_document", bundle.keyset_document);
    if (bundle.evidence) document.set("evidence", evidence_json(*bundle.evidence));
    if (bundle.market_key) document.set("market_key", to_hex(*bundle.market_key));
    if (bundle.sealed_request_sha256)
        document.set("sealed_request_sha256", sealing::digest_text(*bundle.sealed_request_sha256));
    if (bundle.sealed_response_sha256)
        document.set("sealed_response_sha256",
                     sealing::digest_text(*bundle.sealed_response_sha256));
    if (bundle.price) document.set("price", prices_json(*bundle.price));
    if (bundle.usage) document.set("usage", quantities_json(*bundle.usage));
    return document.serialize() + "\n";
}

Result<ReceiptBundle> parse_bundle(std::string_view document) {
    const auto parsed = Json::parse(document, {.bytes_max = bundle_bytes_max});
    if (!parsed) return parsed.error();
    if (!parsed->is_object()) return refuse(ErrorCode::malformed_request, "this is no receipt");
    if (parsed->find("envelope")) return read_bundle(*parsed);
    ReceiptBundle bundle;
    if (const Json* receipt = parsed->find("receipt"); receipt && parsed->find("cosignature")) {
        // The market's answer may carry more beside the two; the envelope is exactly these.
        const Json* cosignature = parsed->find("cosignature");
        bundle.envelope =
            Json::object({{"cosignature", *cosignature}, {"receipt", *receipt}}).serialize();
    } else {
        bundle.envelope = parsed->serialize();
    }
    return bundle;
}

std::string_view to_text(Outcome outcome) {
    return outcome == Outcome::passed   ? "passed"
           : outcome == Outcome::failed ? "failed"
                                        : "skipped";
}

bool ReceiptReport::valid() const {
    return !checks.empty() && job.has_value() &&
           std::none_of(checks.begin(), checks.end(),
                        [](const ReceiptCheck& check) { return check.outcome == Outcome::failed; });
}

ReceiptReport check_receipt(const ReceiptBundle& bundle, const attestation::Policy& policy) {
    ReceiptReport report;
    Checker{bundle, report}.run(policy);
    return report;
}

bool is_receipt_id(std::string_view text) {
    const auto dot = text.find('.');
    if (!JobId::parse(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    const std::string_view counter = text.substr(dot + 1);
    return !counter.empty() && counter.size() <= 19 &&
           counter.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string receipt_path(const Config& config, std::string_view receipt) {
    return (std::filesystem::path{config.receipts_directory} / (std::string{receipt} + ".json"))
        .string();
}

ReceiptKeeper::ReceiptKeeper(MarketApi& market) : market_{market}, pool_{"receipts", 1} {
    market_key_ = market.config().market_public_key;
    const std::string& directory = market.config().receipts_directory;
    if (directory.empty()) return;
    std::filesystem::create_directories(directory);
    std::vector<std::pair<std::filesystem::file_time_type, std::string>> found;
    for (const auto& entry : std::filesystem::directory_iterator{directory})
        if (entry.is_regular_file() && is_receipt_id(entry.path().stem().string()))
            found.emplace_back(entry.last_write_time(), entry.path().filename().string());
    std::sort(found.begin(), found.end());
    for (auto& [at, name] : found) kept_.push_back(std::move(name));
}

void ReceiptKeeper::stop() { pool_.stop(); }

void ReceiptKeeper::keep(Answered answered) {
    const std::string receipt = answered.receipt;
    if (!pool_.submit([this, answered = std::move(answered)] { check(answered); }))
        log::warning("receipt_not_kept",
                     {{"receipt", receipt}, {"reason", "too many are waiting"}});
}

std::optional<ReceiptBundle> ReceiptKeeper::bundle_of(const Answered& answered) {
    if (!answered.envelope.empty()) {
        if (auto bundle = parse_bundle(answered.envelope)) return *std::move(bundle);
        log::warning("receipt_malformed", {{"receipt", answered.receipt}});
    }
    ApiCall call;
    call.path = "/v1/jobs/" + answered.job.id.text() + "/receipt";
    const ApiAnswer answer = market_.call(call);
    if (!answer.ok()) {
        // A cut answer may have no receipt: then nothing was paid.
        log::write(
            answered.whole ? log::Level::warning : log::Level::info, "receipt_missing",
            {{"receipt", answered.receipt}, {"code", describe(answer.problem->error.code).name}});
        return std::nullopt;
    }
    auto bundle = parse_bundle(answer.body.serialize());
    if (bundle) return *std::move(bundle);
    log::warning("receipt_malformed", {{"receipt", answered.receipt}});
    return std::nullopt;
}

void ReceiptKeeper::check(const Answered& answered) {
    auto bundle = bundle_of(answered);
    if (!bundle) return;
    bundle->keyset_document = answered.node->keyset.document;
    bundle->evidence = answered.node->evidence;
    bundle->market_key = market_key();
    bundle->sealed_request_sha256 = answered.sealed_request_sha256;
    if (answered.whole) bundle->sealed_response_sha256 = answered.sealed_response_sha256;
    bundle->price = answered.job.price;
    if (answered.whole) bundle->usage = answered.usage;
    const ReceiptReport report = check_receipt(*bundle, policy_of(market_.config()));
    if (overtaken(answered, report)) return;
    if (!report.valid()) {
        for (const ReceiptCheck& check : report.checks)
            if (check.outcome == Outcome::failed)
                log::error(
                    "receipt_invalid",
                    {{"receipt", answered.receipt}, {"check", check.name}, {"reason", check.text}});
    } else {
        log::debug("receipt_valid", {{"receipt", answered.receipt}, {"digest", report.digest}});
    }
    if (market_.config().receipts_directory.empty()) return;
    const bool named = report.job && report.job->job == answered.job.id.text();
    store(named ? report.job->receipt_id : answered.receipt, bundle_document(*bundle));
}

std::optional<sealing::PublicKey> ReceiptKeeper::market_key() {
    const std::lock_guard lock{mutex_};
    if (market_key_) return market_key_;
    ApiCall call;
    call.path = "/v1/market-key";
    const ApiAnswer answer = market_.call(call);
    if (answer.ok())
        market_key_ = sealing::parse_hex_32(answer.body.text_at("public_key").value_or(""));
    return market_key_;
}

void ReceiptKeeper::store(const std::string& name, const std::string& document) {
    if (!is_receipt_id(name)) return;
    const std::string path = receipt_path(market_.config(), name);
    {
        std::ofstream file{path + ".part", std::ios::binary | std::ios::trunc};
        file << document;
        if (!file) return log::warning("receipt_not_kept", {{"receipt", name}});
    }
    std::error_code failure;
    std::filesystem::rename(path + ".part", path, failure);
    if (failure) return log::warning("receipt_not_kept", {{"receipt", name}});
    kept_.push_back(name + ".json");
    forget_oldest();
}

void ReceiptKeeper::forget_oldest() {
    while (kept_.size() > static_cast<std::size_t>(market_.config().receipts_max)) {
        std::error_code failure;
        std::filesystem::remove(
            std::filesystem::path{market_.config().receipts_directory} / kept_.front(), failure);
        kept_.erase(kept_.begin());
    }
}

}  // namespace cocoon::client
