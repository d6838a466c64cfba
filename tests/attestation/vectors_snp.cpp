// snp/cases.json: report, three certificates, time -> verdict, the report's fields, and what a
// policy without minimum firmware, that accepts every product, has against it.
#include <algorithm>
#include <map>
#include <set>

#include "attestation/snp.hpp"
#include "tests/attestation/vectors.hpp"

namespace cocoon::attestation::vectors {
namespace {

namespace fs = std::filesystem;

// The DER of a PEM file; the file's own bytes if it holds no certificate, which verify_snp refuses.
Bytes der_of(const fs::path& path) {
    const std::string text = read_text(path);
    const auto certificate = Certificate::from_pem(text);
    return certificate ? certificate->der() : Bytes{text.begin(), text.end()};
}

// Files of the folder whose name is `pattern`, in which one '*' stands for anything.
std::vector<fs::path> matching(const fs::path& folder, const std::string& pattern) {
    const auto star = pattern.find('*');
    const std::string head = pattern.substr(0, star);
    const std::string tail = star == std::string::npos ? "" : pattern.substr(star + 1);
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator{folder}) {
        const std::string name = entry.path().filename().string();
        if (name == pattern || (star != std::string::npos && name.starts_with(head) &&
                                name.ends_with(tail) && name.size() >= pattern.size() - 1))
            found.push_back(entry.path());
    }
    return found;
}

std::vector<SnpRoot> roots_of(const fs::path& folder, const Json& test) {
    const std::string anchor = test.value("trust_anchor", "amd");
    if (anchor == "amd") return snp_production_roots();
    std::vector<SnpRoot> roots;
    for (const auto& path : matching(folder, anchor)) {
        const auto root = Certificate::from_pem(read_text(path));
        expect(root.has_value(), "the trust anchor is no certificate: " + path.string());
        const std::string& name = root->common_name();
        const auto product =
            snp_product_from(name.substr(std::min(name.size(), name.find('-') + 1)));
        expect(product.has_value(), "the trust anchor is of no product: " + name);
        roots.push_back({*product, root->public_key().spki_sha256()});
    }
    expect(!roots.empty(), "there is no trust anchor " + anchor);
    return roots;
}

SnpPolicy policy_of(const fs::path& folder, const Json& test) {
    SnpPolicy policy;
    policy.roots = roots_of(folder, test);
    policy.products = {SnpProduct::milan, SnpProduct::genoa, SnpProduct::turin};
    policy.tcb_minimums.clear();
    policy.revocation_required = false;
    policy.vlek_allowed = true;
    return policy;
}

std::string hex_number(std::uint64_t number) {
    std::string text;
    for (; number; number >>= 4) text.insert(text.begin(), "0123456789abcdef"[number & 15]);
    return "0x" + (text.empty() ? "0" : text);
}

Json tcb_parts(const SnpTcbVersion& version, SnpProduct product) {
    const SnpTcb tcb = snp_tcb(version, product);
    Json parts = {{"bootloader", tcb.bootloader},
                  {"tee", tcb.tee},
                  {"snp", tcb.snp},
                  {"microcode", tcb.microcode}};
    if (product == SnpProduct::turin) parts["fmc"] = tcb.fmc;
    return parts;
}

Json fields_of(const SnpReport& report, SnpProduct product) {
    const SnpGuestPolicy& guest = report.policy;
    const std::uint8_t cpu[] = {report.cpuid_family, report.cpuid_model, report.cpuid_stepping};
    const auto version = [](const SnpFirmware& firmware) { return firmware.text(); };
    return {{"version", report.version},
            {"guest_svn", report.guest_svn},
            {"policy", hex_number(guest.bits)},
            {"policy_flags",
             {{"abi_minor", guest.abi_minor()},
              {"abi_major", guest.abi_major()},
              {"smt", guest.smt()},
              {"migrate_ma", guest.migrate_ma()},
              {"debug", guest.debug()},
              {"single_socket", guest.single_socket()}}},
            {"family_id", to_hex(report.family_id)},
            {"image_id", to_hex(report.image_id)},
            {"vmpl", report.vmpl},
            {"signature_algo", report.signature_algorithm},
            {"current_tcb", to_hex(report.current_tcb)},
            {"current_tcb_parts", tcb_parts(report.current_tcb, product)},
            {"platform_info", hex_number(report.platform_info)},
            {"author_key_en", report.author_key_enabled},
            {"mask_chip_key", report.chip_key_masked},
            {"signing_key", report.signing_key},
            {"report_data", to_hex(report.report_data)},
            {"measurement", to_hex(report.measurement)},
            {"host_data", to_hex(report.host_data)},
            {"id_key_digest", to_hex(report.id_key_digest)},
            {"author_key_digest", to_hex(report.author_key_digest)},
            {"report_id", to_hex(report.report_id)},
            {"report_id_ma", to_hex(report.migration_agent_report_id)},
            {"reported_tcb", to_hex(report.reported_tcb)},
            {"reported_tcb_parts", tcb_parts(report.reported_tcb, product)},
            {"cpuid_family_model_stepping", to_hex(cpu)},
            {"chip_id", to_hex(report.chip_id)},
            {"committed_tcb", to_hex(report.committed_tcb)},
            {"current_version", version(report.current_firmware)},
            {"committed_version", version(report.committed_firmware)},
            {"launch_tcb", to_hex(report.launch_tcb)},
            {"launch_mit_vector", hex_number(report.launch_mitigations)},
            {"current_mit_vector", hex_number(report.current_mitigations)}};
}

void expect_members(const Json& found, const Json& wanted) {
    for (const auto& [name, value] : wanted.items())
        if (found.contains(name)) expect_equal(found[name].dump(), value.dump(), name);
}

std::set<std::string> failed_codes(const std::vector<Reason>& reasons) {
    std::set<std::string> codes;
    for (const Reason& reason : reasons)
        if (reason.outcome == Outcome::failed) codes.insert(reason.code);
    return codes;
}

// Ours for each recorded name; another order of checks may find another thing first, so one of the
// failed ones must be here. A name that is not in the table says nothing.
const std::map<std::string, std::set<std::string>> codes_of_reason{
    {"malformed", {"report_format", "certificate_format"}},
    {"unsupported_version", {"report_version"}},
    {"unsupported_signature_algorithm", {"signature_algorithm"}},
    {"unsigned_report", {"signing_key"}},
    {"signing_key_mismatch", {"signing_key", "certificate_role"}},
    {"chain_signature",
     {"certificate_signature", "chain_order", "certificate_format", "certificate_role"}},
    {"ark_untrusted", {"root_not_pinned"}},
    {"cert_time", {"certificate_expired", "certificate_not_yet_valid"}},
    {"report_signature", {"report_signature", "report_format"}},
    {"product_mismatch", {"product", "certificate_role"}},
    {"reported_tcb_mismatch", {"reported_tcb"}},
    {"chip_id_mismatch", {"chip_id"}},
};

void expect_refused(const SnpResult& result, const Json& wanted) {
    expect(result.status == Status::refuted, "it is not refused");
    const auto row = codes_of_reason.find(wanted.value("reason", ""));
    if (row == codes_of_reason.end()) return;
    std::string found;
    for (const std::string& code : failed_codes(result.reasons)) {
        if (row->second.contains(code)) return;
        found += code + " ";
    }
    throw CaseFailed{"refused for " + found + "and not for " + row->first};
}

void expect_verified(const SnpResult& result, const Json& wanted) {
    for (const std::string& code : failed_codes(result.reasons)) expect(false, "refused: " + code);
    expect(result.status == Status::proven && result.report && result.product, "not proven");
    expect_members({{"product", to_text(*result.product)},
                    {"signing_key", result.vlek ? "VLEK" : "VCEK"},
                    {"product_name", result.product_name},
                    {"csp_id", result.cloud.empty() ? Json{} : Json(result.cloud)}},
                   wanted);
    if (wanted.contains("fields"))
        expect_members(fields_of(*result.report, *result.product), wanted["fields"]);
    if (!wanted.contains("default_policy")) return;
    Json violations = Json::array();
    for (const std::string& code : failed_codes(result.policy_reasons))
        violations.push_back(code == "vmpl" ? "vmpl_not_0" : code);
    Json recorded = wanted.value("policy_violations", Json::array());
    std::sort(recorded.begin(), recorded.end());
    std::sort(violations.begin(), violations.end());
    expect_equal(violations.dump(), recorded.dump(), "policy_violations");
    expect_equal(result.acceptable() ? "accept" : "refuse", wanted["default_policy"], "policy");
}

void run_case(const fs::path& folder, const Json& test) {
    const auto file = [&](const char* member) {
        return folder / test.at(member).get<std::string>();
    };
    SnpCollateral collateral;
    collateral.key_certificate = der_of(file("vek"));
    collateral.signer_certificate = der_of(file("ask"));
    collateral.root_certificate = der_of(file("ark"));
    if (test.contains("crl")) collateral.revocation_list = read_file(file("crl"));
    const SnpResult result = verify_snp(read_file(file("report")), collateral,
                                        policy_of(folder, test), instant_of(test.at("time")));
    const Json& wanted = test.at("expect");
    const std::string verdict = wanted.at("verdict");
    if (verdict == "reject") return expect_refused(result, wanted);
    if (verdict == "verified") return expect_verified(result, wanted);
    expect(verdict == "either", "the recorded verdict is of no known kind: " + verdict);
}

}  // namespace

void run_snp(const fs::path& folder, Tally& tally) {
    for (const Json& test : read_cases(folder, tally))
        tally.run("snp " + test.value("id", "?"), [&] { run_case(folder, test); });
}

}  // namespace cocoon::attestation::vectors
