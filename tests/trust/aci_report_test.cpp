// A node's ACI report: what a verifier of aci/1 looks for is there, and what is not its own is told
// apart.
#include "trust/aci_report.hpp"

#include "attestation/bundle.hpp"
#include "core/encoding.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/statement.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::trust;
using sealing::Json;

namespace {

const std::string nonce(64, '5');

sealing::Keyset keyset(const char* subject = "node_1") {
    sealing::Keyset parts;
    parts.subject = subject;
    parts.receipt_keys = {{"receipt-1", sealing::SigningKey::generate().public_key()}};
    parts.sealing_keys = {{"seal-1", sealing::ohttp::make_key_config(
                                         1, sealing::SealingKey::generate().public_key())}};
    parts.not_after = Instant{1'800'000'000'000'000};
    return sealing::build_keyset(parts).value();
}

attestation::Evidence tdx_evidence() {
    attestation::Bundle bundle;
    bundle.cpu = attestation::TdxPart{{1, 2, 3}, "[]"};
    const std::string document = attestation::write_bundle(bundle);
    return {"tdx+gpu-cc", {document.begin(), document.end()}};
}

}  // namespace

TEST_CASE("a report says what aci/1 asks for") {
    const auto keys = keyset();
    const auto evidence = tdx_evidence();
    const auto made = make_aci_report(keys, nonce, evidence,
                                      {"https://example.org/image", std::string(40, 'a'), ""});
    REQUIRE(made);
    const auto report = Json::parse(*made);
    REQUIRE(report);
    CHECK(report->text_at("api_version") == "aci/1");
    CHECK(report->text_at("workload_keyset_digest") == keys.digest);
    const Json& attestation = *report->find("attestation");
    CHECK(attestation.text_at("tee_type") == "tdx");
    CHECK(attestation.find("workload_keyset")->canonical() == keys.document);
    const auto expected = sealing::report_data_for(keys.digest, nonce).value();
    CHECK(attestation.text_at("report_data") == to_hex(ByteView{expected}.first(32)));
    const Json& source = *attestation.find("source_provenance");
    CHECK(source.text_at("repo_url") == "https://example.org/image");
    CHECK(source.text_at("repo_commit") == std::string(40, 'a'));
    CHECK(source.find("image_digest")->is_null());
    const Json& shown = *attestation.find("evidence");
    CHECK(shown.text_at("quote") == "010203");
    CHECK(shown.text_at("event_log") == "[]");
    CHECK(from_base64(*shown.text_at("document")) == evidence.bytes);
    CHECK(report->find("service_capabilities")->text_at("serving") == "direct");
    CHECK(check_aci_report(*made, keys.digest, nonce));
    // Without a nonce it proves no freshness, and says so in what it binds.
    const auto old = make_aci_report(keys, std::nullopt, evidence, {});
    REQUIRE(old);
    CHECK(check_aci_report(*old, keys.digest, std::nullopt));
    CHECK_FALSE(check_aci_report(*old, keys.digest, nonce));
    const auto simulated = make_aci_report(keys, nonce, {"simulated", {7}}, {});
    REQUIRE(simulated);
    CHECK(Json::parse(*simulated)->find("attestation")->text_at("tee_type") == "simulated");
    CHECK_FALSE(make_aci_report(keys, "abc", evidence, {}));
    CHECK(make_aci_report(keys, nonce, {"tdx", Bytes(aci_report_bytes_max)}, {}).error().code ==
          ErrorCode::body_too_large);
}

TEST_CASE("a report about other keys, for another nonce, or that is none, is not passed on") {
    const auto keys = keyset();
    const std::string good = make_aci_report(keys, nonce, tdx_evidence(), {}).value();
    CHECK_FALSE(check_aci_report(good, keyset("node_2").digest, nonce));
    CHECK_FALSE(check_aci_report(good, keys.digest, std::string(64, '6')));
    CHECK_FALSE(check_aci_report(good, keys.digest, std::nullopt));
    auto edited = Json::parse(good).value();
    edited.set("workload_keyset_digest", keyset("node_2").digest);
    CHECK_FALSE(check_aci_report(edited.serialize(), keys.digest, nonce));
    for (const std::string& text :
         {std::string{}, std::string{"[]"}, std::string{"{}"},
          std::string{R"({"api_version":"aci/1"})"},
          std::string{R"({"api_version":"aci/1","attestation":{"workload_keyset":7}})"}, good + "x",
          std::string(aci_report_bytes_max + 1, ' ')}) {
        const auto refused = check_aci_report(text, keys.digest, nonce);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::malformed_request);
    }
}
