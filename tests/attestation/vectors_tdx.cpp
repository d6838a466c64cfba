// TDX cases: verdict, statuses, advisories, policy and fields as recorded; for a rejection also
// that the recorded reason is among ours.
#include <algorithm>
#include <map>

#include "attestation/certificate.hpp"
#include "attestation/tdx.hpp"
#include "tests/attestation/vectors.hpp"

namespace cocoon::attestation::vectors {
namespace {

std::string text_or_null(const std::optional<TcbStatus>& status) {
    return status ? std::string{to_text(*status)} : "null";
}

std::string text_of(const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

bool not_passed(const TdxResult& result, const std::string& code) {
    return std::any_of(result.reasons.begin(), result.reasons.end(), [&](const Reason& reason) {
        return reason.code == code && reason.outcome != Outcome::passed;
    });
}

std::string summary_of(const TdxResult& result) {
    std::string out{to_text(result.status)};
    for (const Reason& reason : result.reasons)
        if (reason.outcome != Outcome::passed) out += " " + reason.code;
    return out;
}

// Recorded reasons in our words. The record names the first check in its order, we list all.
const std::map<std::string, std::vector<std::string>> reason_codes = {
    {"malformed", {"quote_format", "pck_chain_format"}},
    {"pck_chain_short", {"pck_chain_short"}},
    {"pck_chain_untrusted_root", {"pck_root_not_pinned"}},
    {"pck_chain_signature", {"pck_certificate_signature", "pck_chain_order"}},
    {"pck_cert_time", {"pck_certificate_expired", "pck_certificate_not_yet_valid"}},
    {"pck_cert_role", {"pck_role", "pck_extension", "pck_leaf_is_a_ca", "pck_not_a_ca"}},
    {"pck_revoked", {"pck_revocation"}},
    {"pckcrl_revoked", {"pck_ca_revocation"}},
    {"root_crl_missing", {"root_crl"}},
    {"root_crl_issuer", {"root_crl_issuer"}},
    {"root_crl_signature", {"root_crl_signature"}},
    {"root_crl_time", {"root_crl_issued", "root_crl_current"}},
    {"pck_crl_missing", {"pck_crl"}},
    {"pck_crl_issuer", {"pck_crl_issuer"}},
    {"pck_crl_signature", {"pck_crl_signature"}},
    {"pck_crl_time", {"pck_crl_issued", "pck_crl_current"}},
    {"tcbinfo_chain_short", {"tcb_info", "tcb_info_signer_chain_short"}},
    {"tcbinfo_chain_signature",
     {"tcb_info_signer_certificate_signature", "tcb_info_signer_chain_order"}},
    {"tcbinfo_signature", {"tcb_info_signature"}},
    {"tcbinfo_time", {"tcb_info_issued", "tcb_info_current"}},
    {"tcbinfo_mismatch", {"tcb_info_fmspc", "tcb_info_pce_id", "tcb_info_format"}},
    {"qeid_signature", {"qe_identity_signature"}},
    {"qeid_time", {"qe_identity_issued", "qe_identity_current"}},
    {"qeid_mismatch", {"qe_identity_format"}},
    {"qe_report_signature", {"qe_report_signature"}},
    {"qe_report_data", {"qe_report_data"}},
    {"qe_identity_mismatch", {"qe_misc_select", "qe_attributes", "qe_mr_signer", "qe_isv_prod_id"}},
    {"quote_signature", {"quote_signature"}},
    {"tdx_module_mismatch",
     {"tdx_module_identity", "tdx_module_signer", "tdx_module_attributes", "tdx_current_module"}},
    {"tdx_module_tcb_not_supported", {"tdx_module_tcb_level"}},
    {"tcb_not_supported", {"tcb_level", "qe_tcb_level"}},
    {"tcb_revoked", {"tcb_revocation"}},
};

void check_statuses(const TdxResult& result, const Json& wanted) {
    const auto same = [&](const char* name, const std::string& found) {
        if (wanted.contains(name)) expect_equal(found, text_of(wanted[name]), name);
    };
    same("tcb_status", text_or_null(result.tcb_status));
    same("platform_tcb_status", text_or_null(result.platform_tcb_status));
    same("tdx_module_status", text_or_null(result.tdx_module_status));
    same("qe_tcb_status", text_or_null(result.qe_tcb_status));
    same("tcb_evaluation_data_number",
         result.evaluation_number ? std::to_string(*result.evaluation_number) : "null");
    if (wanted.contains("platform_tcb_date")) {
        const auto date = Instant::parse(text_of(wanted["platform_tcb_date"]));
        expect(date == result.platform_tcb_date, "another platform_tcb_date");
    }
    if (!wanted.contains("advisory_ids")) return;
    auto ids = wanted["advisory_ids"].get<std::vector<std::string>>();
    std::sort(ids.begin(), ids.end());
    expect_equal(Json(result.advisory_ids).dump(), Json(ids).dump(), "advisory_ids");
}

void check_policy(const TdxResult& result, const Json& wanted) {
    if (!wanted.contains("policy_violations")) return;
    std::vector<std::string> found;
    for (const Reason& reason : result.policy_reasons)
        if (reason.outcome != Outcome::passed) found.push_back(reason.code);
    auto recorded = wanted["policy_violations"].get<std::vector<std::string>>();
    std::sort(found.begin(), found.end());
    std::sort(recorded.begin(), recorded.end());
    expect_equal(Json(found).dump(), Json(recorded).dump(), "policy_violations");
    if (wanted.contains("default_policy"))
        expect_equal(result.acceptable() ? "accept" : "refuse", text_of(wanted["default_policy"]),
                     "default_policy");
}

void check_verdict(const TdxResult& result, const Json& wanted) {
    const std::string verdict = wanted.value("verdict", "");
    const std::string summary = summary_of(result);
    if (verdict == "either") return;  // both answers are fine, a crash is not
    if (verdict == "verified") {
        expect(result.status == Status::proven, "not proven: " + summary);
        expect(result.valid_until != Instant{}, "the verdict has no end");
    } else {
        expect(verdict == "reject", "an unknown verdict is recorded: " + verdict);
        expect(result.status != Status::proven, "proven, and must not be");
        const auto known = reason_codes.find(wanted.value("reason", ""));
        const bool told =
            known == reason_codes.end() ||
            std::any_of(known->second.begin(), known->second.end(),
                        [&](const std::string& code) { return not_passed(result, code); });
        expect(told, "recorded is " + wanted.value("reason", "") + ", found " + summary);
    }
    check_statuses(result, wanted);
    check_policy(result, wanted);
}

template <class Octets>
std::string hex(const Octets& octets) {
    return to_hex(octets);
}

std::string little_endian_hex(std::uint64_t value) {
    Bytes bytes;
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> 8 * i));
    return to_hex(bytes);
}

// Fields of the quote by their recorded names.
std::map<std::string, std::string> fields_of(const TdxQuote& quote) {
    const TdReport& report = quote.report;
    std::map<std::string, std::string> out = {
        {"version", std::to_string(quote.version)},
        {"header_user_data", hex(quote.user_data)},
        {"tee_tcb_svn", hex(report.tee_tcb_svn)},
        {"mr_seam", hex(report.mr_seam)},
        {"mr_signer_seam", hex(report.mr_signer_seam)},
        {"seam_attributes", hex(report.seam_attributes)},
        {"td_attributes", little_endian_hex(report.td_attributes)},
        {"xfam", little_endian_hex(report.xfam)},
        {"mr_td", hex(report.mr_td)},
        {"mr_config_id", hex(report.mr_config_id)},
        {"mr_owner", hex(report.mr_owner)},
        {"mr_owner_config", hex(report.mr_owner_config)},
        {"report_data", hex(report.report_data)},
        {"bytes_after_signature_data", std::to_string(quote.trailing_bytes)},
        {"qe_auth_data_len", std::to_string(quote.qe_auth_data.size())},
    };
    for (std::size_t i = 0; i < report.rtmr.size(); ++i)
        out["rtmr" + std::to_string(i)] = hex(report.rtmr[i]);
    if (quote.version == 5) out["body_type"] = report.version_1_5 ? "3" : "2";
    if (report.version_1_5) {
        out["tee_tcb_svn2"] = hex(report.tee_tcb_svn_2);
        out["mr_servicetd"] = hex(report.mr_service_td);
    }
    return out;
}

std::map<std::string, std::string> fields_of(const QeReport& report) {
    return {{"cpusvn", hex(report.cpu_svn)},
            {"misc", hex(report.misc_select)},
            {"attributes", hex(report.attributes)},
            {"mrenclave", hex(report.mr_enclave)},
            {"mrsigner", hex(report.mr_signer)},
            {"isvprodid", std::to_string(report.isv_prod_id)},
            {"isvsvn", std::to_string(report.isv_svn)},
            {"report_data", hex(report.report_data)}};
}

std::map<std::string, std::string> fields_of(const PckIdentity& pck, const Certificate& leaf) {
    std::map<std::string, std::string> out = {
        {"fmspc", hex(pck.fmspc)},
        {"pceid", hex(pck.pce_id)},
        {"ppid", hex(pck.ppid)},
        {"pcesvn", std::to_string(pck.pce_svn)},
        {"cpusvn", hex(pck.cpu_svn)},
        {"sgx_tcb_components", Json(pck.components).dump()},
        {"sgx_type", std::to_string(pck.sgx_type)},
        {"serial", leaf.serial()},
    };
    if (pck.platform_instance_id) out["platform_instance_id"] = hex(*pck.platform_instance_id);
    if (pck.smt_enabled)
        out["configuration"] = Json{
            {"dynamicPlatform", pck.dynamic_platform.value_or(false)},
            {"cachedKeys", pck.cached_keys.value_or(false)},
            {"smtEnabled",
             *pck.smt_enabled}}.dump();
    return out;
}

void check_fields(const std::map<std::string, std::string>& found, const Json& wanted) {
    for (const auto& [name, value] : found)
        if (wanted.contains(name)) expect_equal(value, text_of(wanted[name]), name);
    for (const char* needed : {"fmspc", "mr_td", "report_data", "mr_servicetd"})
        expect(!wanted.contains(needed) || found.contains(needed),
               std::string{needed} + " was not found");
}

// What is recorded of the quote itself, whatever the verdict is.
void check_recorded(const Bytes& bytes, const Json& recorded) {
    const auto quote = parse_tdx_quote(bytes);
    expect(quote.has_value(), "the quote cannot be parsed");
    check_fields(fields_of(*quote), recorded);
    if (recorded.contains("qe_report"))
        check_fields(fields_of(quote->qe_report), recorded["qe_report"]);
    const auto chain = certificates_from_pem(quote->pck_chain);
    expect(chain.has_value(), "the PCK chain cannot be parsed");
    const auto pck = read_pck_identity(chain->front());
    expect(pck.has_value(), "the PCK certificate's extension cannot be read");
    if (recorded.contains("pck")) check_fields(fields_of(*pck, chain->front()), recorded["pck"]);
}

TdxPolicy policy_for(const std::filesystem::path& folder, const Json& test) {
    TdxPolicy policy;
    const std::string anchor = test.value("trust_anchor", "intel");
    if (anchor == "intel") return policy;
    const auto root = Certificate::from_pem(read_text(folder / anchor));
    expect(root.has_value(), "the trust anchor cannot be read");
    policy.pins = {root->public_key().spki_sha256()};
    return policy;
}

void run_case(const std::filesystem::path& folder, const Json& test) {
    const std::filesystem::path name = test.value("quote", "");
    const Bytes quote = read_file(folder / name);
    const auto collateral = read_tdx_collateral(read_text(folder / test.value("collateral", "")));
    expect(collateral.has_value(), "the collateral cannot be read");
    const TdxResult result = verify_tdx(quote, *collateral, policy_for(folder, test),
                                        instant_of(test.value("time", Json{})));
    const Json wanted = test.value("expect", Json::object());
    check_verdict(result, wanted);
    const auto recorded = folder / "expected" / name.filename().replace_extension(".json");
    if (!std::filesystem::exists(recorded)) return;
    const Json fields = read_json(recorded);
    check_recorded(quote, fields);
    if (!result.report) return;
    expect_equal(result.fmspc, text_of(fields["pck"]["fmspc"]), "fmspc of the result");
    expect_equal(hex(result.report->report_data), text_of(fields["report_data"]), "report data");
}

}  // namespace

void run_tdx(const std::filesystem::path& folder, Tally& tally) {
    for (const Json& test : read_cases(folder, tally))
        tally.run("tdx " + test.value("id", "?"), [&] { run_case(folder, test); });
}

}  // namespace cocoon::attestation::vectors
