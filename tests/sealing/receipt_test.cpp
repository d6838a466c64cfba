// Keysets, statements and receipts: built here, read back, and refused for each fault by its name.
#include "sealing/receipt.hpp"

#include "core/limits.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/statement.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::sealing;

namespace {

const SigningKey receipt_key = SigningKey::generate();
const SealingKey sealing_key = SealingKey::generate();
const SigningKey market_key = SigningKey::generate();

Keyset parts() {
    Keyset keyset;
    keyset.subject = "node.example";
    keyset.receipt_keys = {{"receipt-1", receipt_key.public_key()}};
    keyset.sealing_keys = {{"ohttp-1", ohttp::make_key_config(1, sealing_key.public_key())}};
    keyset.tls_keys = {{"node.example", sha256(as_bytes("spki"))}, {"", sha256(as_bytes("other"))}};
    keyset.not_after = *Instant::parse("2026-11-23T00:00:00Z");
    return keyset;
}
const Keyset keyset = build_keyset(parts()).value();

JobReceipt sample(std::uint64_t counter = 0) {
    JobReceipt receipt;
    receipt.receipt_id = counter ? "job_9." + std::to_string(counter) : "job_9";
    receipt.job = "job_9";
    receipt.request = "req_5";
    receipt.node = "node_2";
    receipt.market = "inference:llama";
    receipt.model = "llama";
    receipt.chat_id = "chatcmpl-1";
    receipt.prices = {1, 2, 3, 4, 5, limits::price_nano_max};
    receipt.usage = {10, 20, 30, 40, 1, 0};
    receipt.cost = Nano{123'456'789};
    receipt.sealed_request_sha256 = sha256(as_bytes("request"));
    receipt.sealed_response_sha256 = sha256(as_bytes("response"));
    receipt.session_counter = counter;
    if (counter) {
        receipt.cumulative_usage = {100, 0, 0, 0, 10, 0};
        receipt.cumulative_cost = Nano{5'000'000'000};
    }
    receipt.endpoint = "/v1/chat/completions";
    receipt.method = "POST";
    receipt.served_at = *Instant::parse("2026-11-22T12:00:00Z");
    return receipt;
}

Json signed_json(const JobReceipt& receipt = sample()) {
    return Json::parse(sign_receipt(receipt, keyset, "receipt-1", receipt_key).value()).value();
}

// Signs whatever the document now says.
std::string resigned(Json document) {
    document.erase("signature");
    document.set("signature", to_hex(receipt_key.sign(as_bytes(document.canonical()))));
    return document.serialize();
}

Json& job_event_of(Json& document) {
    return const_cast<Json&>(document.find("event_log")->items()[1]);
}

std::string fault_of(const ReceiptVerdict& verdict) {
    return verdict ? "verified" : std::string{to_text(verdict.refusal().fault)};
}

// The signed document with one member of it, or of its job event, set to something else.
Json changed(const char* name, Json value) {
    Json document = signed_json();
    document.set(name, std::move(value));
    return document;
}
std::string with_event(const char* name, Json value) {
    Json document = signed_json();
    job_event_of(document).set(name, std::move(value));
    return resigned(std::move(document));
}
// The document with its event log changed and signed anew.
template <class Change>
std::string with_log(Change change) {
    Json::Array events = signed_json().find("event_log")->items();
    change(events);
    return resigned(changed("event_log", Json::array(std::move(events))));
}

struct FaultRow {
    std::string fault;
    std::string document;
};
void check_faults(std::span<const FaultRow> rows) {
    for (const FaultRow& row : rows) {
        INFO(row.document.substr(0, 2000));
        const ReceiptVerdict verdict = verify_job_receipt(row.document, keyset);
        CHECK(fault_of(verdict) == row.fault);
        if (!verdict) CHECK(verdict.refusal().error().code == ErrorCode::receipt_invalid);
    }
}

}  // namespace

TEST_CASE("a keyset survives any spelling and names its digest") {
    CHECK(keyset.digest == digest_text(sha256(as_bytes(keyset.document))));
    const Keyset read = parse_keyset(Json::parse(keyset.document)->serialize()).value();
    CHECK(read.digest == keyset.digest);
    CHECK(read.subject == "node.example");
    CHECK(read.receipt_keys == parts().receipt_keys);
    CHECK(read.sealing_keys == parts().sealing_keys);
    CHECK(read.tls_keys == parts().tls_keys);
    CHECK(read.not_after == parts().not_after);
    CHECK_FALSE(read.expired(read.not_after - seconds(1)));
    CHECK(read.expired(read.not_after));
    // An OHTTP client can use the entry as it stands.
    CHECK(ohttp::ClientRequest::seal(read.sealing_keys[0].config, as_bytes("q")));
    Keyset other = parts();
    other.not_after = other.not_after + seconds(1);
    CHECK(build_keyset(other)->digest != keyset.digest);
}

TEST_CASE("keysets with unknown algorithms are read, wrong ones refused") {
    const std::string hex64(64, 'a');
    const auto keys = [](const std::string& entries) {
        return R"({"not_after":1,"receipt_signing_keys":[)" + entries + "]}";
    };
    const std::string ed = R"({"algo":"ed25519","key_id":"k","public_key":")" + hex64 + "\"}";
    struct Row {
        std::string document;
        bool fine;
    };
    const Row rows[] = {
        {keys(ed), true},
        {keys(R"({"algo":"ml-dsa-65","key_id":"k","public_key":"zz"})"), true},
        {keys(R"({"algo":"ml-dsa-65","key_id":"k","public_key":"zz"},)" + ed), true},
        {keys(""), true},
        {keys(ed + "," + ed), false},
        {keys(R"({"algo":"ed25519","key_id":"k","public_key":"aa"})"), false},
        {keys(R"({"algo":"ed25519","key_id":"k","public_key":")" + std::string(64, 'A') + "\"}"),
         false},
        {keys(R"({"algo":"ed25519","key_id":"","public_key":")" + hex64 + "\"}"), false},
        {keys(R"({"algo":"ed25519","public_key":")" + hex64 + "\"}"), false},
        {keys("7"), false},
        {"{}", false},
        {"[]", false},
        {"", false},
        {R"({"receipt_signing_keys":[]})", false},
        {R"({"not_after":"1","receipt_signing_keys":[]})", false},
        {R"({"not_after":1.5,"receipt_signing_keys":[]})", false},
        {R"({"not_after":0,"receipt_signing_keys":[]})", false},
        {R"({"not_after":253402300800,"receipt_signing_keys":[]})", false},
        {R"({"not_after":1e9,"receipt_signing_keys":[]})", true},
        {R"({"not_after":1,"receipt_signing_keys":[],"subject":null})", true},
        {R"({"not_after":1,"receipt_signing_keys":[],"subject":1})", false},
        {R"({"not_after":1,"not_after":1,"receipt_signing_keys":[]})", false},
        {R"({"not_after":1,"receipt_signing_keys":[],"tls_public_keys":[{"spki_sha256":"00"}]})",
         false},
        {R"({"not_after":1,"receipt_signing_keys":[],"tls_public_keys":{}})", false},
        {R"({"not_after":1,"receipt_signing_keys":[],)"
         R"("e2ee_public_keys":[{"algo":"ohttp-x25519-hkdf-sha256","key_id":"o",)"
         R"("public_key":"00"}]})",
         false},
        {R"({"not_after":1,"receipt_signing_keys":[],)"
         R"("e2ee_public_keys":[{"algo":"other","key_id":"o","public_key":"00"}]})",
         true},
    };
    for (const Row& row : rows) {
        INFO(row.document);
        CHECK(parse_keyset(row.document).has_value() == row.fine);
    }
    std::string many = ed;
    for (int i = 0; i < 64; ++i) many += R"(,{"algo":"x","key_id":"k","public_key":""})";
    CHECK_FALSE(parse_keyset(keys(many)));
}

TEST_CASE("the statement binds keyset and nonce, and the GPU's nonce binds the statement") {
    const std::string nonce = make_nonce();
    CHECK(is_nonce(nonce));
    const std::string statement = attestation_statement(keyset.digest, nonce).value();
    CHECK(statement == R"({"keyset_digest":")" + keyset.digest + R"(","nonce":")" + nonce +
                           R"(","purpose":"aci.report_data.v1"})");
    const ReportData data = report_data_for(keyset.digest, nonce).value();
    const Digest digest = sha256(as_bytes(statement));
    CHECK(std::equal(digest.begin(), digest.end(), data.begin()));
    CHECK(std::all_of(data.begin() + 32, data.end(), [](std::uint8_t byte) { return byte == 0; }));
    CHECK(attestation_statement(keyset.digest, std::nullopt)->find(R"("nonce":null)") !=
          std::string::npos);
    for (const std::string& bad :
         {std::string{}, std::string(63, '0'), std::string(65, '0'), std::string(64, 'A')}) {
        CHECK_FALSE(report_data_for(keyset.digest, bad));
        CHECK_FALSE(report_data_for("sha256:" + bad, nonce));
    }
}

TEST_CASE("a session's id covers its document and its evidence must be its own") {
    const auto session = [](const char* version, const std::string& data) {
        const std::string digest = digest_text(sha256(as_bytes("evidence")));
        return Json::object({{"api_version", version},
                             {"evidence", Json::object({{"digest", digest}, {"data", data}})}});
    };
    const std::string data = "data:text/plain;base64," + to_base64(as_bytes("evidence"));
    const Json good = session("aci/1", data);
    CHECK(session_id(good.serialize()).value() == to_hex(sha256(as_bytes(good.canonical()))));
    CHECK(session_id(R"({"api_version":"aci/1","evidence":{"digest":"x"}})"));
    CHECK_FALSE(session_id(session("aci/2", data).serialize()));
    CHECK_FALSE(session_id(session("aci/1", data + "AAAA").serialize()));
    CHECK_FALSE(session_id(session("aci/1", to_base64(as_bytes("evidence"))).serialize()));
    CHECK_FALSE(session_id("[]"));
}

TEST_CASE("a receipt says what was signed, in any spelling") {
    for (const std::uint64_t counter : {std::uint64_t{0}, std::uint64_t{7}, UINT64_MAX}) {
        const JobReceipt receipt = sample(counter);
        const std::string document =
            sign_receipt(receipt, keyset, "receipt-1", receipt_key).value();
        const ReceiptVerdict verdict = verify_job_receipt(document, keyset);
        INFO(fault_of(verdict));
        REQUIRE(verdict);
        REQUIRE(verdict.receipt().job);
        CHECK(*verdict.receipt().job == receipt);
        CHECK(verdict.receipt().document == document);
        CHECK(verdict.receipt().digest == digest_text(sha256(as_bytes(document))));
        std::string spaced = document;
        spaced.insert(1, "\n  ");
        CHECK(verify_job_receipt(spaced, keyset).receipt().digest == verdict.receipt().digest);
    }
    // The market stores receipts: nothing of the exchange is in them but sealed hashes.
    const std::string document = signed_json().serialize();
    CHECK(document.find(to_hex(sha256(as_bytes("request")))) != std::string::npos);
}

TEST_CASE("each fault of a receipt's document has its name") {
    std::string upper{signed_json().text_at("signature").value()};
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    const FaultRow rows[] = {
        {"verified", resigned(signed_json())},
        {"malformed", "{"},
        {"malformed", "[]"},
        {"malformed", std::string(receipt_bytes_max + 1, ' ')},
        {"wrong_api_version", resigned(changed("api_version", "aci/2"))},
        {"wrong_keyset", resigned(changed("workload_keyset_digest", digest_text(Digest{})))},
        {"unknown_key", resigned(changed("key_id", "receipt-2"))},
        {"unknown_key", resigned(changed("key_id", 1))},
        {"bad_signature_format", changed("signature", upper).serialize()},
        {"bad_signature_format", changed("signature", "00").serialize()},
        {"bad_signature_format", changed("signature", nullptr).serialize()},
        {"bad_signature", changed("model", "other").serialize()},
        {"bad_signature", changed("extra", 1).serialize()},
        {"verified", resigned(changed("extra", 1))},
        {"malformed", resigned(changed("served_at", "now"))},
        {"malformed", resigned(changed("endpoint", ""))},
        {"malformed", resigned(changed("model", 3))},
        {"malformed", resigned(changed("event_log", 3))},
    };
    check_faults(rows);
    for (const char* name :
         {"receipt_id", "endpoint", "method", "served_at", "event_log", "key_id", "api_version"}) {
        INFO(name);
        Json missing = signed_json();
        missing.erase(name);
        CHECK_FALSE(verify_job_receipt(resigned(missing), keyset));
    }
}

TEST_CASE("each fault of a receipt's events has its name") {
    const std::string jobless = with_log([](Json::Array& log) { log.erase(log.begin() + 1); });
    const FaultRow rows[] = {
        {"malformed", with_log([](Json::Array& log) {
             while (log.size() <= receipt_events_max)
                 log.push_back(Json::object({{"type", "note"}}));
         })},
        {"wrong_event_order", with_log([](Json::Array& log) { log.clear(); })},
        {"wrong_event_order", with_log([](Json::Array& log) { std::swap(log[0], log[1]); })},
        {"no_job_event", jobless},
        {"no_job_event", with_log([](Json::Array& log) { log.push_back(Json{log[1]}); })},
        {"malformed", with_log([](Json::Array& log) { log.push_back(Json{log[0]}); })},
        {"malformed", with_log([](Json::Array& log) { log[2].set("body_hash", "aa"); })},
        {"hash_mismatch",
         with_log([](Json::Array& log) { log[2].set("body_hash", digest_text(sha256({}))); })},
        {"hash_mismatch", with_log([](Json::Array& log) { log.pop_back(); })},
        {"verified", with_log([](Json::Array& log) {
             log.push_back(Json::object({{"type", "note"}}));
         })},
        {"bad_job_event", with_event("version", "2")},
        {"bad_job_event", with_event("surplus", "1")},
        {"bad_job_event", with_event("cost_nano", 5)},
        {"bad_job_event", with_event("cost_nano", "-5")},
        {"bad_job_event", with_event("cost_nano", "05")},
        {"bad_job_event", with_event("cost_nano", "9223372036854775807")},
        {"bad_job_event", with_event("usage_prompt_tokens", "1000000000001")},
        {"bad_job_event", with_event("price_request_nano", "1000000000000001")},
        {"bad_job_event", with_event("status", "done")},
        {"bad_job_event", with_event("job", "req_9")},
        {"bad_job_event", with_event("node", "node_0")},
        {"bad_job_event", with_event("market", "")},
        {"bad_job_event", with_event("session_counter", "1")},  // without its sums
        {"bad_job_event", with_event("session_counter", "18446744073709551616")},
        {"bad_job_event", with_event("sealed_request_sha256", "aa")},
    };
    check_faults(rows);
    CHECK(verify_receipt(jobless, keyset));  // fine as a receipt of another service
    CHECK_FALSE(verify_receipt(jobless, keyset).receipt().job);
    Json whole = signed_json();
    for (const auto& member : job_event_of(whole).members()) {
        INFO(member.first);
        Json missing = signed_json();
        job_event_of(missing).erase(member.first);
        CHECK_FALSE(verify_job_receipt(resigned(missing), keyset));
    }
}

TEST_CASE("a node cannot sign what nobody would take") {
    const auto refused = [](auto change) {
        JobReceipt receipt = sample();
        change(receipt);
        return !sign_receipt(receipt, keyset, "receipt-1", receipt_key);
    };
    CHECK_FALSE(refused([](JobReceipt&) {}));
    CHECK(refused([](JobReceipt& r) { r.cost = Nano{-1}; }));
    CHECK(refused([](JobReceipt& r) { r.usage.prompt = -1; }));
    CHECK(refused([](JobReceipt& r) { r.prices.prompt = limits::price_nano_max + 1; }));
    CHECK(refused([](JobReceipt& r) { r.market = std::string(257, 'x'); }));
    CHECK(refused([](JobReceipt& r) { r.market = "\xff"; }));
    CHECK(refused([](JobReceipt& r) { r.receipt_id.clear(); }));
    CHECK(refused([](JobReceipt& r) { r.served_at = Instant{-1'000'000}; }));
    CHECK_FALSE(sign_receipt(sample(), keyset, "receipt-2", receipt_key));
    CHECK_FALSE(sign_receipt(sample(), keyset, "receipt-1", SigningKey::generate()));
}

TEST_CASE("a cosigned receipt needs both signatures") {
    const std::string receipt = sign_receipt(sample(), keyset, "receipt-1", receipt_key).value();
    const std::string envelope = cosign_receipt(receipt, "market-1", market_key).value();
    const ReceiptVerdict verdict = verify_cosigned(envelope, keyset, market_key.public_key());
    REQUIRE(verdict);
    CHECK(verdict.receipt().document == receipt);
    CHECK(receipt_of_envelope(envelope).value() == receipt);
    CHECK(fault_of(verify_cosigned(envelope, keyset, receipt_key.public_key())) ==
          "wrong_market_key");
    const auto changed = [&](auto change) {
        Json document = Json::parse(envelope).value();
        change(document);
        return fault_of(verify_cosigned(document.serialize(), keyset, market_key.public_key()));
    };
    CHECK(changed([](Json& d) { d.find("receipt")->set("model", "x"); }) == "bad_cosignature");
    CHECK(changed([](Json& d) {
              d.find("cosignature")->set("signature", std::string(128, '0'));
          }) == "bad_cosignature");
    CHECK(changed([](Json& d) { d.find("cosignature")->erase("signature"); }) == "bad_cosignature");
    CHECK(changed([](Json& d) { d.erase("cosignature"); }) == "malformed");
    CHECK(changed([](Json& d) { d.set("more", 1); }) == "malformed");
    // The market vouches, yet the node's own signature still has to hold.
    Json forged = Json::parse(receipt).value();
    forged.set("model", "other");
    const std::string vouched = cosign_receipt(forged.serialize(), "market-1", market_key).value();
    CHECK(fault_of(verify_cosigned(vouched, keyset, market_key.public_key())) == "bad_signature");
    // A receipt key's signature is not a cosignature: the two have different first bytes.
    CHECK_FALSE(receipt_of_envelope("{}"));
    CHECK_FALSE(receipt_of_envelope("{\"receipt\":3}"));
}
