#include "trust/aci_report.hpp"

#include "attestation/bundle.hpp"
#include "core/encoding.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/receipt.hpp"
#include "sealing/statement.hpp"

namespace cocoon::trust {
namespace {

using sealing::Json;

constexpr std::size_t report_data_bytes = 32;  // of the 64, as §3.2 has it

Json text_or_null(const std::string& text) { return text.empty() ? Json{} : Json{text}; }

std::string tee_type(std::string_view tier) {
    if (tier.starts_with("tdx")) return "tdx";
    if (tier.starts_with("snp")) return "sev_snp";
    return std::string{tier};
}

// ACI leaves this object to the verifier's policy.
Json evidence_json(const attestation::Evidence& evidence) {
    Json out = Json::object({{"format", "cocoon-market/evidence/v1"},
                             {"tier", evidence.tier},
                             {"document", to_base64(evidence.bytes)}});
    const auto bundle = attestation::read_bundle(evidence.bytes);
    if (!bundle) return out;
    if (const auto* tdx = std::get_if<attestation::TdxPart>(&bundle->cpu)) {
        out.set("quote", to_hex(tdx->quote));
        if (!tdx->event_log.empty()) out.set("event_log", tdx->event_log);
    } else {
        out.set("report", to_hex(std::get<attestation::SnpPart>(bundle->cpu).report));
    }
    return out;
}

Error malformed(std::string what) {
    return refuse(ErrorCode::malformed_request, "the report " + std::move(what));
}

}  // namespace

Result<std::string> make_aci_report(const sealing::Keyset& keyset,
                                    std::optional<std::string_view> nonce,
                                    const attestation::Evidence& evidence,
                                    const SourceProvenance& source) {
    const auto report_data = sealing::report_data_for(keyset.digest, nonce);
    if (!report_data) return report_data.error();
    auto keyset_json = Json::parse(keyset.document);
    if (!keyset_json) return keyset_json.error();
    Json provenance = Json::object({{"repo_url", text_or_null(source.repository_url)},
                                    {"repo_commit", text_or_null(source.repository_commit)},
                                    {"image_digest", text_or_null(source.image_digest)},
                                    {"image_provenance", Json{}}});
    Json attestation =
        Json::object({{"tee_type", tee_type(evidence.tier)},
                      {"workload_keyset", *std::move(keyset_json)},
                      {"report_data", to_hex(ByteView{*report_data}.first(report_data_bytes))},
                      {"source_provenance", std::move(provenance)},
                      {"evidence", evidence_json(evidence)}});
    Json capabilities =
        Json::object({{"supported_e2ee_versions", Json::array()}, {"serving", "direct"}});
    std::string report = Json::object({{"api_version", sealing::aci_version},
                                       {"workload_keyset_digest", keyset.digest},
                                       {"attestation", std::move(attestation)},
                                       {"service_capabilities", std::move(capabilities)}})
                             .serialize();
    if (report.size() > aci_report_bytes_max)
        return refuse(ErrorCode::body_too_large, "the evidence is too large for a report");
    return report;
}

Result<void> check_aci_report(std::string_view json, std::string_view keyset_digest,
                              std::optional<std::string_view> nonce) {
    const auto report = Json::parse(json, {.bytes_max = aci_report_bytes_max});
    if (!report || !report->is_object()) return malformed("is no JSON object");
    const Json* attestation = report->find("attestation");
    const Json* keyset =
        attestation && attestation->is_object() ? attestation->find("workload_keyset") : nullptr;
    if (report->text_at("api_version") != sealing::aci_version || keyset == nullptr)
        return malformed("is not of aci/1");
    const auto parsed = sealing::parse_keyset(keyset->serialize());
    if (!parsed || parsed->digest != keyset_digest ||
        report->text_at("workload_keyset_digest") != keyset_digest)
        return malformed("is about another keyset than the node has attested");
    const auto expected = sealing::report_data_for(keyset_digest, nonce);
    if (!expected ||
        attestation->text_at("report_data") != to_hex(ByteView{*expected}.first(report_data_bytes)))
        return malformed("is for another nonce");
    return {};
}

}  // namespace cocoon::trust
