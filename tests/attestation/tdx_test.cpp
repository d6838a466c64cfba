// TDX under a PKI of the test's own: what verifies, and a row for each thing that must not.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "attestation/tdx_tcb.hpp"
#include "tests/attestation/tdx_maker.hpp"
#include "tests/attestation/reasons.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

TdxResult judged(const TdxEvidence& evidence, Instant at = tdx_made_at) {
    return verify_tdx(evidence.quote, evidence.collateral, evidence.policy, at);
}

std::string failed(const TdxResult& result) { return codes(result.reasons, Outcome::failed); }
std::string refused(const TdxResult& result) {
    return codes(result.policy_reasons, Outcome::failed);
}

struct Row {
    const char* codes;  // all that fail, and nothing else
    EditTdx edit;
};

void check_refuted(const TdxResult& result, const char* wanted) {
    INFO("wanted " << wanted);
    CHECK(failed(result) == wanted);
    CHECK(result.status == Status::refuted);
    CHECK_FALSE(result.acceptable());
    CHECK(result.valid_until == Instant{});
}

}  // namespace

TEST_CASE("TDX: quotes of both versions and both reports verify") {
    struct Layout {
        std::uint16_t version;
        bool report_1_5;
    };
    for (const Layout layout : {Layout{4, false}, Layout{5, false}, Layout{5, true}}) {
        const TdxEvidence evidence = make_tdx([&](TdxParts& parts) {
            parts.version = layout.version;
            parts.report.version_1_5 = layout.report_1_5;
        });
        const TdxResult result = judged(evidence);
        INFO("version " << layout.version << ": " << failed(result) << refused(result));
        REQUIRE(result.acceptable());
        CHECK(codes(result.reasons, Outcome::not_checked).empty());
        CHECK(result.tcb_status == TcbStatus::up_to_date);
        CHECK(result.tdx_module_status == TcbStatus::up_to_date);
        CHECK(result.evaluation_number == 20);
        CHECK(result.fmspc == "90c06f000000");
        CHECK(result.pck_serial == "03");
        CHECK(result.platform_id == to_hex(sha256(Bytes(16, 0x77))));
        CHECK(result.pck->smt_enabled == true);
        CHECK(result.report->version_1_5 == layout.report_1_5);
        CHECK(to_hex(result.report->mr_td).substr(0, 4) == "3d3d");
        CHECK(to_hex(result.report->rtmr[3]).substr(0, 4) == "7373");
        CHECK(result.report->report_data[1] == 0xA1);
        CHECK(result.root_crl_issued == tdx_made_at - days(10));
        CHECK(result.pck_crl_issued == tdx_made_at - days(2));
        CHECK(result.valid_until == tdx_made_at + days(26));  // the PCK list ends first
    }
}

TEST_CASE("TDX: each thing that is wrong with a quote has its own code") {
    const TdxKeys& keys = TdxKeys::get();
    const Row rows[] = {
        {"quote_signature", [&](TdxParts& p) { p.quote_signer = &keys.stranger; }},
        {"qe_report_signature", [&](TdxParts& p) { p.qe_report_signer = &keys.stranger; }},
        {"qe_report_data", [](TdxParts& p) { p.qe_report.report_data.fill(1); }},
        {"qe_misc_select", [](TdxParts& p) { p.qe_report.misc_select = {1}; }},
        {"qe_attributes", [](TdxParts& p) { p.qe_report.attributes[0] |= 2; }},  // debug
        {"qe_mr_signer", [](TdxParts& p) { p.qe_report.mr_signer.fill(0xD0); }},
        {"qe_isv_prod_id", [](TdxParts& p) { p.qe_report.isv_prod_id = 1; }},
        {"qe_tcb_level", [](TdxParts& p) { p.qe_report.isv_svn = 1; }},
        {"tcb_revocation", [](TdxParts& p) { p.qe_report.isv_svn = 3; }},
        {"tdx_module_identity", [](TdxParts& p) { p.report.tee_tcb_svn[1] = 7; }},
        {"tdx_module_signer", [](TdxParts& p) { p.report.mr_signer_seam[47] = 1; }},
        {"tdx_module_attributes", [](TdxParts& p) { p.report.seam_attributes[0] = 1; }},
        {"tdx_module_tcb_level", [](TdxParts& p) { p.report.tee_tcb_svn[0] = 1; }},
        {"tcb_revocation", [](TdxParts& p) { p.report.tee_tcb_svn[0] = 3; }},
        {"tcb_level", [](TdxParts& p) { p.report.tee_tcb_svn[2] = 0; }},
        {"tcb_level", [](TdxParts& p) { p.pck.components[15] = 1; }},
        {"tcb_level", [](TdxParts& p) { p.pck.pce_svn = 4; }},
        {"tcb_revocation", [](TdxParts& p) { p.pck.components[15] = 3; }},
        {"tdx_current_module",
         [](TdxParts& p) {
             p.report.tee_tcb_svn[0] = 5;
             p.report.tee_tcb_svn_2 = {9, 9, 9};
         }},
    };
    for (const Row& row : rows) check_refuted(judged(make_tdx(row.edit)), row.codes);
}

TEST_CASE("TDX: each thing that is wrong with a certificate has its own code") {
    const TdxKeys& keys = TdxKeys::get();
    const Row rows[] = {
        {"pck_certificate_signature", [&](TdxParts& p) { p.leaf_signer = &keys.stranger; }},
        {"pck_certificate_expired",
         [](TdxParts& p) { p.leaf.not_after = tdx_made_at - seconds(1); }},
        {"pck_certificate_not_yet_valid",
         [](TdxParts& p) { p.leaf.not_before = tdx_made_at + seconds(1); }},
        {"pck_certificate_expired",
         [](TdxParts& p) { p.authority.not_after = tdx_made_at - seconds(1); }},
        {"pck_key_usage", [](TdxParts& p) { p.leaf.key_usage = "critical,keyAgreement"; }},
        {"pck_key_usage pck_crl_signature",
         [](TdxParts& p) { p.authority.key_usage = "critical,digitalSignature"; }},
        {"pck_crl_signature", [](TdxParts& p) { p.authority.key_usage = "critical,keyCertSign"; }},
        {"pck_not_a_ca", [](TdxParts& p) { p.authority.basic_constraints = "critical,CA:FALSE"; }},
        {"pck_leaf_is_a_ca", [](TdxParts& p) { p.leaf.basic_constraints = "critical,CA:TRUE"; }},
        {"pck_path_length",
         [](TdxParts& p) { p.root.basic_constraints = "critical,CA:TRUE,pathlen:0"; }},
        {"pck_role", [](TdxParts& p) { p.leaf.common_name = "Test SGX Something"; }},
        {"pck_chain_order pck_role pck_crl_issuer",
         [](TdxParts& p) { p.authority.common_name = "Test SGX TCB Signing"; }},
        {"pck_extension", [](TdxParts& p) { p.sgx_extension.emplace(); }},
        {"pck_extension",
         [](TdxParts& p) {
             p.sgx_extension = Bytes{0x30, 0};
         }},
        {"pck_extension",
         [](TdxParts& p) {
             p.sgx_extension = make_sgx_extension(p.pck);
             p.sgx_extension->push_back(0);
         }},
        {"tcb_info_signer_role qe_identity_signer_role",
         [](TdxParts& p) { p.signer.common_name = "Test SGX PCK Certificate"; }},
        {"tcb_info_signer_certificate_expired qe_identity_signer_certificate_expired",
         [](TdxParts& p) { p.signer.not_after = tdx_made_at - seconds(1); }},
        {"tcb_info_signer_key_usage qe_identity_signer_key_usage",
         [](TdxParts& p) { p.signer.key_usage = "critical,keyAgreement"; }},
        {"tcb_info_signer_leaf_is_a_ca qe_identity_signer_leaf_is_a_ca",
         [](TdxParts& p) { p.signer.basic_constraints = "critical,CA:TRUE"; }},
    };
    for (const Row& row : rows) check_refuted(judged(make_tdx(row.edit)), row.codes);
}

TEST_CASE("TDX: each thing that is wrong with collateral has its own code") {
    const TdxKeys& keys = TdxKeys::get();
    const Instant at = tdx_made_at;
    const Row rows[] = {
        {"root_crl_signature", [&](TdxParts& p) { p.root_list_signer = &keys.stranger; }},
        {"root_crl_issued", [&](TdxParts& p) { p.root_list.this_update = at + seconds(1); }},
        {"root_crl_current", [&](TdxParts& p) { p.root_list.next_update = at - seconds(1); }},
        {"pck_ca_revocation", [](TdxParts& p) { p.root_list.revoked.push_back(2); }},
        {"tcb_info_signer_revocation qe_identity_signer_revocation",
         [](TdxParts& p) { p.root_list.revoked.push_back(4); }},
        {"pck_crl_signature", [&](TdxParts& p) { p.pck_list_signer = &keys.stranger; }},
        {"pck_crl_issued", [&](TdxParts& p) { p.pck_list.this_update = at + seconds(1); }},
        {"pck_crl_current", [&](TdxParts& p) { p.pck_list.next_update = at - seconds(1); }},
        {"pck_revocation", [](TdxParts& p) { p.pck_list.revoked.push_back(3); }},
        {"tcb_info_signature", [&](TdxParts& p) { p.tcb_info_signer = &keys.stranger; }},
        {"tcb_info_issued", [](TdxParts& p) { p.tcb_info["issueDate"] = "2026-11-22T12:00:01Z"; }},
        {"tcb_info_current",
         [](TdxParts& p) { p.tcb_info["nextUpdate"] = "2026-11-22T11:59:59Z"; }},
        {"tcb_info_fmspc", [](TdxParts& p) { p.tcb_info["fmspc"] = "B0C06F000000"; }},
        {"tcb_info_pce_id", [](TdxParts& p) { p.tcb_info["pceId"] = "0001"; }},
        {"tcb_info_format", [](TdxParts& p) { p.tcb_info["id"] = "SGX"; }},
        {"tcb_info_format", [](TdxParts& p) { p.tcb_info["version"] = 2; }},
        {"tcb_info_format", [](TdxParts& p) { p.tcb_info["tcbType"] = 1; }},
        {"tcb_info_format", [](TdxParts& p) { p.tcb_info.erase("tdxModule"); }},
        {"tcb_info_format", [](TdxParts& p) { p.tcb_info["tcbLevels"][0]["tcbStatus"] = "Fine"; }},
        {"tcb_info_format",
         [](TdxParts& p) { p.tcb_info["tcbLevels"][0]["tcbStatus"] = "TDRelaunchAdvised"; }},
        {"tcb_info_format",
         [](TdxParts& p) { p.tcb_info["tcbLevels"][1]["tcb"]["tdxtcbcomponents"].erase(15); }},
        {"tcb_info_format",
         [](TdxParts& p) { p.tcb_info["tcbLevels"][0]["tcb"]["pcesvn"] = 65536; }},
        {"tcb_info_format",
         [](TdxParts& p) {
             for (int i = 0; i < 257; ++i)
                 p.tcb_info["tcbLevels"].push_back(p.tcb_info["tcbLevels"][0]);
         }},
        {"qe_identity_signature", [&](TdxParts& p) { p.qe_identity_signer = &keys.stranger; }},
        {"qe_identity_issued",
         [](TdxParts& p) { p.qe_identity["issueDate"] = "2026-11-22T12:00:01Z"; }},
        {"qe_identity_current",
         [](TdxParts& p) { p.qe_identity["nextUpdate"] = "2026-11-22T11:59:59Z"; }},
        {"qe_identity_format", [](TdxParts& p) { p.qe_identity["id"] = "QE"; }},
        {"qe_identity_format", [](TdxParts& p) { p.qe_identity["version"] = 1; }},
        {"qe_identity_format",
         [](TdxParts& p) { p.qe_identity["tcbLevels"][0]["tcbStatus"] = "ConfigurationNeeded"; }},
    };
    for (const Row& row : rows) check_refuted(judged(make_tdx(row.edit)), row.codes);
    CHECK(judged(make_tdx([](TdxParts& p) { p.qe_identity["version"] = 3; })).acceptable());
}

TEST_CASE("TDX: collateral that was exchanged, spoiled or rolled back is refused") {
    const TdxEvidence good = make_tdx();
    const TdxEvidence other = make_tdx([](TdxParts& p) { p.tcb_info["extra"] = 1; });
    struct Swap {
        const char* codes;
        std::function<void(TdxEvidence&)> edit;
    };
    const Swap rows[] = {
        {"pck_root_not_pinned tcb_info_signer_root_not_pinned qe_identity_signer_root_not_pinned",
         [](TdxEvidence& e) { e.policy.pins = TdxPolicy{}.pins; }},
        {"tcb_info_signature",
         [&](TdxEvidence& e) { e.collateral.tcb_info = other.collateral.tcb_info; }},
        {"tcb_info_signature",
         [](TdxEvidence& e) { e.collateral.tcb_info_signature.push_back(0); }},
        {"tcb_info_signature qe_identity_signature",
         [](TdxEvidence& e) {
             std::swap(e.collateral.tcb_info_signature, e.collateral.qe_identity_signature);
         }},
        {"tcb_info_signer_leaf_is_a_ca tcb_info_signer_key_usage tcb_info_signer_role "
         "tcb_info_signature",
         [](TdxEvidence& e) {
             e.collateral.tcb_info_issuer_chain = e.collateral.pck_crl_issuer_chain;
         }},
        {"tcb_info_signer_format",
         [](TdxEvidence& e) { e.collateral.tcb_info_issuer_chain += "x"; }},
        {"tcb_info_signature tcb_info_format",
         [](TdxEvidence& e) { e.collateral.tcb_info += "{}"; }},
        {"pck_crl_issuer pck_crl_signature",
         [](TdxEvidence& e) { e.collateral.pck_crl = e.collateral.root_ca_crl; }},
        {"root_crl_issuer root_crl_signature",
         [](TdxEvidence& e) { e.collateral.root_ca_crl = e.collateral.pck_crl; }},
        {"pck_crl_format", [](TdxEvidence& e) { e.collateral.pck_crl.push_back(0); }},
        {"root_crl_format", [](TdxEvidence& e) { e.collateral.root_ca_crl = {0x30}; }},
        {"tcb_info_rollback qe_identity_rollback",
         [](TdxEvidence& e) { e.policy.evaluation_number_min = 21; }},
        {"pck_crl_rollback",
         [](TdxEvidence& e) { e.policy.pck_crl_issued_min[1] = tdx_made_at - days(1); }},
        {"root_crl_rollback",
         [](TdxEvidence& e) { e.policy.root_crl_issued_min = tdx_made_at - days(9); }},
    };
    for (const Swap& row : rows) {
        TdxEvidence evidence = good;
        row.edit(evidence);
        check_refuted(judged(evidence), row.codes);
    }
}

TEST_CASE("TDX: the lists of the two PCK authorities have minimums of their own") {
    struct Authority {
        PckAuthority which;
        const char* name;
    };
    for (const Authority& row : {Authority{PckAuthority::processor, "Test SGX PCK Processor CA"},
                                 Authority{PckAuthority::platform, "Test SGX PCK Platform CA"}}) {
        INFO(row.name);
        TdxEvidence evidence =
            make_tdx([&](TdxParts& parts) { parts.authority.common_name = row.name; });
        // Made before the name was edited: the leaf and the list name their issuer as it was.
        const std::size_t own = static_cast<std::size_t>(row.which);
        evidence.policy.pck_crl_issued_min[1 - own] = tdx_made_at - days(1);
        CHECK(judged(evidence).pck_authority == row.which);
        CHECK(failed(judged(evidence)).find("pck_crl_rollback") == std::string::npos);
        evidence.policy.pck_crl_issued_min[own] = tdx_made_at - days(1);
        CHECK(failed(judged(evidence)).find("pck_crl_rollback") != std::string::npos);
    }
}

TEST_CASE(
    "TDX: collateral that is not at hand leaves the status unknown, neither passed nor failed") {
    const TdxEvidence good = make_tdx();
    struct Lack {
        const char* codes;
        std::function<void(TdxCollateral&)> edit;
    };
    const Lack rows[] = {
        {"root_crl", [](TdxCollateral& c) { c.root_ca_crl.clear(); }},
        {"pck_crl", [](TdxCollateral& c) { c.pck_crl.clear(); }},
        {"tcb_info tcb_level", [](TdxCollateral& c) { c.tcb_info.clear(); }},
        {"tcb_info tcb_level", [](TdxCollateral& c) { c.tcb_info_signature.clear(); }},
        {"tcb_info tcb_level", [](TdxCollateral& c) { c.tcb_info_issuer_chain.clear(); }},
        {"qe_identity tcb_level", [](TdxCollateral& c) { c.qe_identity.clear(); }},
        {"root_crl pck_crl tcb_info qe_identity tcb_level", [](TdxCollateral& c) { c = {}; }},
    };
    for (const Lack& row : rows) {
        TdxEvidence evidence = good;
        row.edit(evidence.collateral);
        const TdxResult result = judged(evidence);
        INFO(row.codes);
        CHECK(result.status == Status::unknown);
        CHECK(failed(result).empty());
        CHECK(codes(result.reasons, Outcome::not_checked) == row.codes);
        CHECK_FALSE(result.acceptable());
        CHECK(result.report.has_value());  // the machine did sign it
    }
}

TEST_CASE("TDX: quotes are taken apart strictly") {
    const Bytes good = make_tdx().quote;
    const TdxEvidence evidence = make_tdx();
    constexpr std::size_t signature_at = 702 + 4;  // version 5, report 1.5
    struct Edit {
        const char* detail;
        std::function<void(Bytes&)> edit;
    };
    const auto put = [](std::size_t at, std::uint8_t value) {
        return [=](Bytes& quote) { quote[at] = value; };
    };
    const auto cut = [](std::size_t size) { return [=](Bytes& quote) { quote.resize(size); }; };
    const char* outer = "the certification data does not fill the signature data";
    const char* inner = "the PCK chain does not fill the certification data";
    const Edit rows[] = {
        {"the quote ends within its header", cut(0)},
        {"the quote ends within its header", cut(47)},
        {"the quote's version is neither 4 nor 5", put(0, 3)},
        {"the quote's version is neither 4 nor 5", put(1, 1)},
        {"the quote is not of a TDX machine", put(4, 0)},
        {"the quote's attestation key is not ECDSA P-256", put(2, 3)},
        {"the quote is not from Intel's quoting enclave", put(12, 0)},
        {"the quote's body is no TD report", put(48, 1)},
        {"the quote's body has another size than its type", put(48, 2)},
        {"the quote's body has another size than its type", put(53, 1)},
        {"the quote ends within its body", cut(701)},
        {"the quote ends within its signature data", cut(702)},
        {"the quote ends within its signature data", cut(good.size() - 1)},
        {"the quote ends within its signature data", put(705, 0xFF)},
        {outer, put(703, 0)},
        {outer, put(signature_at + 133, 0xFF)},
        {"the certification data is not a report of the quoting enclave",
         put(signature_at + 128, 5)},
        {inner, put(signature_at + 583, 0xFF)},
        {inner, put(signature_at + 584 + 32 + 5, 0xFF)},
        {inner, [](Bytes& quote) { ++quote[signature_at + 584 + 32 + 2]; }},
        {"the quote does not carry its PCK chain", put(signature_at + 584 + 32, 1)},
        {"the quote is over its size limit", cut(tdx_quote_bytes_max + 1)},
    };
    for (const Edit& row : rows) {
        Bytes quote = good;
        row.edit(quote);
        const auto parsed = parse_tdx_quote(quote);
        INFO(row.detail);
        REQUIRE_FALSE(parsed.has_value());
        CHECK(parsed.error().detail == row.detail);
        CHECK(failed(verify_tdx(quote, evidence.collateral, evidence.policy, tdx_made_at)) ==
              "quote_format");
    }
    Bytes padded = good;
    padded.resize(tdx_quote_bytes_max, 0xEE);
    CHECK(parse_tdx_quote(padded).value().trailing_bytes == padded.size() - good.size());
}

TEST_CASE("TDX: what is after the signature data is not signed and changes nothing") {
    const TdxEvidence padded = make_tdx([](TdxParts& p) { p.padding = Bytes(307, 0xAB); });
    const TdxResult result = judged(padded);
    CHECK(result.acceptable());
    CHECK(result.quote_hash == to_hex(sha256(ByteView{padded.quote}.first(702))));
    CHECK(judged(make_tdx([](TdxParts& p) { p.qe_auth_data.clear(); })).acceptable());
    CHECK(judged(make_tdx([](TdxParts& p) { p.qe_auth_data = Bytes(1000, 1); })).acceptable());
}

TEST_CASE("TDX: the PCK chain is leaf, authority, root and nothing else") {
    const TdxKeys& keys = TdxKeys::get();
    TdxParts parts;
    parts.leaf.extensions.emplace_back("1.2.840.113741.1.13.1", make_sgx_extension(parts.pck));
    const std::string root =
        pem_of(make_certificate(parts.root, keys.root, parts.root.common_name, keys.root));
    const std::string authority = pem_of(
        make_certificate(parts.authority, keys.authority, parts.root.common_name, keys.root));
    const std::string leaf =
        pem_of(make_certificate(parts.leaf, keys.pck, parts.authority.common_name, keys.authority));
    const std::string below =  // a PCK certificate issued by a PCK certificate
        pem_of(make_certificate(parts.leaf, keys.stranger, parts.leaf.common_name, keys.pck));
    TdxEvidence evidence = make_tdx();
    struct Chain {
        const char* code;
        std::string pem;
    };
    const Chain rows[] = {
        {"pck_chain_format", ""},
        {"pck_chain_format", "x" + leaf + authority + root},
        {"pck_chain_format", leaf + authority + root + leaf + leaf + leaf + leaf + leaf + leaf},
        {"pck_chain_short", leaf},
        {"pck_chain_short", leaf + root},
        {"pck_chain_order", leaf + root},
        {"pck_root_not_pinned", leaf + authority},
        {"pck_chain_order", root + authority + leaf},
        {"pck_root_not_pinned", root + authority + leaf},
        {"pck_chain_long", leaf + authority + root + root},
        {"pck_chain_long", below + leaf + authority + root},
        {"pck_not_a_ca", below + leaf + authority + root},
        {"pck_crl_issuer", below + leaf + authority + root},
    };
    for (const Chain& row : rows) {
        TdxParts again;
        evidence.quote = make_quote(again, row.pem);
        const TdxResult result = judged(evidence);
        INFO(row.code << " in " << failed(result));
        CHECK((" " + failed(result) + " ").find(std::string{" "} + row.code + " ") !=
              std::string::npos);
        CHECK(result.status == Status::refuted);
        CHECK_FALSE(result.report.has_value());
    }
    TdxParts again;
    evidence.quote = make_quote(again, "\n" + leaf + "\r\n" + authority + "\n" + root);
    CHECK(judged(evidence).acceptable());
}

TEST_CASE("TDX: validity is closed at both ends, and the verdict ends with what ends first") {
    const TdxEvidence evidence = make_tdx();
    const auto instant = [](const char* text) { return *Instant::parse(text); };
    CHECK(judged(evidence, tdx_made_at - days(2)).acceptable());
    CHECK(failed(judged(evidence, tdx_made_at - days(2) - microseconds(1))) == "pck_crl_issued");
    CHECK(judged(evidence, tdx_made_at + days(26)).acceptable());
    CHECK(failed(judged(evidence, tdx_made_at + days(26) + microseconds(1))) == "pck_crl_current");

    const TdxEvidence longer =
        make_tdx([](TdxParts& p) { p.pck_list.next_update = tdx_made_at + days(200); });
    CHECK(judged(longer).valid_until == instant("2026-12-20T00:00:00Z"));
    CHECK(judged(longer, instant("2026-12-20T00:00:00Z")).acceptable());
    CHECK(failed(judged(longer, instant("2026-12-20T00:00:00.000001Z"))) == "tcb_info_current");
    const TdxEvidence certificate =
        make_tdx([](TdxParts& p) { p.authority.not_after = tdx_made_at + days(3); });
    CHECK(judged(certificate).valid_until == tdx_made_at + days(3));
}

TEST_CASE("TDX: the TCB status follows Intel's algorithm") {
    using S = TcbStatus;
    struct Level {
        const char* what;
        S status;
        std::optional<S> module;
        std::vector<std::string> advisories;
        EditTdx edit;
    };
    const auto platform = [](const char* status) {
        return [=](TdxParts& p) { p.tcb_info["tcbLevels"][0]["tcbStatus"] = status; };
    };
    const auto old_module = [](TdxParts& p) { p.report.tee_tcb_svn[0] = 5; };
    const auto not_updated = [=](TdxParts& p) {
        old_module(p);
        p.report.tee_tcb_svn_2 = p.report.tee_tcb_svn;
    };
    const std::string sa1 = "INTEL-SA-90001", sa10 = "INTEL-SA-90010", sa20 = "INTEL-SA-90020";
    const Level rows[] = {
        {"as it is", S::up_to_date, S::up_to_date, {}, {}},
        {"platform", S::sw_hardening_needed, S::up_to_date, {}, platform("SWHardeningNeeded")},
        {"platform", S::configuration_needed, S::up_to_date, {}, platform("ConfigurationNeeded")},
        {"platform",
         S::configuration_and_sw_hardening_needed,
         S::up_to_date,
         {},
         platform("ConfigurationAndSWHardeningNeeded")},
        {"platform", S::out_of_date, S::up_to_date, {}, platform("OutOfDate")},
        {"platform",
         S::out_of_date_configuration_needed,
         S::up_to_date,
         {},
         platform("OutOfDateConfigurationNeeded")},
        {"platform", S::revoked, S::up_to_date, {}, platform("Revoked")},
        {"one component",
         S::out_of_date,
         S::up_to_date,
         {sa1},
         [](TdxParts& p) { p.pck.components[9] = 4; }},
        {"PCE", S::out_of_date, S::up_to_date, {sa1}, [](TdxParts& p) { p.pck.pce_svn = 12; }},
        {"loader",
         S::out_of_date,
         S::up_to_date,
         {sa1},
         [](TdxParts& p) { p.report.tee_tcb_svn[2] = 2; }},
        {"module version 3, components 0 and 1 are not compared",
         S::up_to_date,
         S::up_to_date,
         {},
         [](TdxParts& p) {
             p.report.tee_tcb_svn = {3, 3, 3};
         }},
        {"module version 0, all are compared",
         S::up_to_date,
         {},
         {},
         [](TdxParts& p) {
             p.report.tee_tcb_svn = {6, 0, 3};
         }},
        {"module version 0, component 0 below",
         S::out_of_date,
         {},
         {sa1},
         [](TdxParts& p) {
             p.report.tee_tcb_svn = {5, 0, 3};
         }},
        {"module", S::out_of_date, S::out_of_date, {sa10}, not_updated},
        {"module and hardening",
         S::out_of_date,
         S::out_of_date,
         {sa10},
         [=](TdxParts& p) {
             not_updated(p);
             platform("SWHardeningNeeded")(p);
         }},
        {"module and configuration",
         S::out_of_date_configuration_needed,
         S::out_of_date,
         {sa10},
         [=](TdxParts& p) {
             not_updated(p);
             platform("ConfigurationNeeded")(p);
         }},
        {"module and both",
         S::out_of_date_configuration_needed,
         S::out_of_date,
         {sa10},
         [=](TdxParts& p) {
             not_updated(p);
             platform("ConfigurationAndSWHardeningNeeded")(p);
         }},
        {"module revoked",
         S::revoked,
         S::revoked,
         {"INTEL-SA-90011"},
         [](TdxParts& p) { p.report.tee_tcb_svn[0] = 2; }},
        {"QE", S::out_of_date, S::up_to_date, {sa20}, [](TdxParts& p) { p.qe_report.isv_svn = 5; }},
        {"QE and configuration",
         S::out_of_date_configuration_needed,
         S::up_to_date,
         {sa20},
         [=](TdxParts& p) {
             p.qe_report.isv_svn = 4;
             platform("ConfigurationNeeded")(p);
         }},
        {"QE revoked", S::revoked, S::up_to_date, {}, [](TdxParts& p) { p.qe_report.isv_svn = 2; }},
        {"relaunch", S::td_relaunch_advised, S::out_of_date, {sa10}, old_module},
        {"relaunch, now under another module",
         S::td_relaunch_advised,
         S::out_of_date,
         {sa10},
         [=](TdxParts& p) {
             old_module(p);
             p.report.tee_tcb_svn_2 = {3, 3, 3};
         }},
        {"relaunch, now under module version 0",
         S::td_relaunch_advised,
         S::out_of_date,
         {sa10},
         [=](TdxParts& p) {
             old_module(p);
             p.report.tee_tcb_svn_2 = {6, 0, 3};
         }},
        {"no relaunch under module version 0",
         S::out_of_date,
         S::out_of_date,
         {sa10},
         [=](TdxParts& p) {
             old_module(p);
             p.report.tee_tcb_svn_2 = {5, 0, 3};
         }},
        {"no relaunch with an old loader",
         S::out_of_date,
         S::out_of_date,
         {sa10},
         [=](TdxParts& p) {
             old_module(p);
             p.report.tee_tcb_svn_2 = {6, 1, 2};
         }},
        {"relaunch and configuration",
         S::td_relaunch_advised_configuration_needed,
         S::out_of_date,
         {sa10},
         [=](TdxParts& p) {
             old_module(p);
             platform("ConfigurationNeeded")(p);
         }},
        {"relaunch, loader was old too: the SGX part alone decides",
         S::td_relaunch_advised,
         S::out_of_date,
         {sa1, sa10},
         [=](TdxParts& p) {
             p.report.tee_tcb_svn = {5, 1, 2};
         }},
        {"no relaunch when the platform's SGX part is old",
         S::out_of_date,
         S::out_of_date,
         {sa1, sa10},
         [=](TdxParts& p) {
             old_module(p);
             p.pck.components[0] = 4;
         }},
        {"no relaunch when the QE is old",
         S::out_of_date,
         S::out_of_date,
         {sa10, sa20},
         [=](TdxParts& p) {
             old_module(p);
             p.qe_report.isv_svn = 5;
         }},
        {"no relaunch in report 1.0",
         S::out_of_date,
         S::out_of_date,
         {sa10},
         [=](TdxParts& p) {
             old_module(p);
             p.report.version_1_5 = false;
         }},
    };
    for (const Level& row : rows) {
        const TdxResult result = judged(make_tdx(row.edit));
        INFO(row.what << ": " << failed(result));
        REQUIRE(result.tcb_status.has_value());
        CHECK(to_text(*result.tcb_status) == to_text(row.status));
        CHECK(result.tdx_module_status == row.module);
        CHECK(result.advisory_ids == row.advisories);
        CHECK(failed(result) == (row.status == S::revoked ? "tcb_revocation" : ""));
        const bool fine = row.status == S::up_to_date;
        CHECK(refused(result) == (fine ? "" : "tcb_status"));
    }
}

TEST_CASE("TDX: only an out-of-date or revoked part changes a platform's status") {
    using S = TcbStatus;
    const S all[] = {S::up_to_date,
                     S::sw_hardening_needed,
                     S::configuration_needed,
                     S::configuration_and_sw_hardening_needed,
                     S::td_relaunch_advised,
                     S::td_relaunch_advised_configuration_needed,
                     S::out_of_date,
                     S::out_of_date_configuration_needed,
                     S::revoked};
    for (const S status : all) {
        CHECK(converge(status, S::up_to_date) == status);
        CHECK(converge(status, S::revoked) == S::revoked);
        CHECK(tcb_status_of(to_text(status)) == status);
    }
    CHECK(converge(S::revoked, S::out_of_date) == S::revoked);
    CHECK(converge(S::td_relaunch_advised, S::out_of_date) == S::td_relaunch_advised);
    CHECK_FALSE(tcb_status_of("uptodate"));
}

TEST_CASE("TDX: each knob of the policy refuses on its own, and says nothing about being genuine") {
    const auto keep = [](TdxPolicy&) {};
    const auto bit = [](int number) {
        return [=](TdxParts& p) { p.report.td_attributes ^= 1ull << number; };
    };
    const EditTdx same, hardening = [](TdxParts&p) {
        p.tcb_info["tcbLevels"][0]["tcbStatus"] = "SWHardeningNeeded";
        p.tcb_info["tcbLevels"][0]["advisoryIDs"] = {"INTEL-SA-90003"};
    };
    struct Knob {
        const char* codes;
        EditTdx edit;
        std::function<void(TdxPolicy&)> policy;
    };
    const Knob rows[] = {
        {"debug", bit(0), keep},
        {"debug", bit(5), keep},
        {"sept_ve_disable_off", bit(28), keep},
        {"migratable", bit(29), keep},
        {"perfmon", bit(63), keep},
        {"unknown_attributes", bit(27), keep},
        {"unknown_attributes", bit(8), keep},
        {"unknown_attributes", bit(62), keep},
        {"", bit(30), keep},
        {"", bit(31), keep},
        {"pks", same,
         [](TdxPolicy& p) {
             p.attributes_required |= td_attribute::pks;
             p.attributes_free = 0;
         }},
        {"key_locker", bit(31), [](TdxPolicy& p) { p.attributes_free = td_attribute::pks; }},
        {"service_td", [](TdxParts& p) { p.report.mr_service_td[0] = 1; }, keep},
        {"", [](TdxParts& p) { p.report.mr_service_td.fill(0xAA); },
         [](TdxPolicy& p) { p.service_tds = {to_hex(Bytes(48, 0xAA))}; }},
        {"quote_version", same, [](TdxPolicy& p) { p.quote_versions = {4}; }},
        {"xfam", same,
         [](TdxPolicy& p) {
             p.xfam = {1, 2};
         }},
        {"", same, [](TdxPolicy& p) { p.xfam = {0x602E7}; }},
        {"mr_seam", same, [](TdxPolicy& p) { p.mr_seam = {std::string(96, '0')}; }},
        {"fmspc", same, [](TdxPolicy& p) { p.fmspc_denied = {"90c06f000000"}; }},
        {"platform", same,
         [](TdxPolicy& p) { p.platforms_denied = {to_hex(sha256(Bytes(16, 0x77)))}; }},
        {"pck_serial", same, [](TdxPolicy& p) { p.pck_serials_denied = {"03"}; }},
        {"tcb_date", same, [](TdxPolicy& p) { p.tcb_date_min = tdx_made_at; }},
        {"tcb_status", hardening, keep},
        {"advisories_tolerated", hardening,
         [](TdxPolicy& p) { p.tcb_statuses.push_back(TcbStatus::sw_hardening_needed); }},
        {"advisories_tolerated", hardening,
         [](TdxPolicy& p) {
             p.tcb_statuses.push_back(TcbStatus::sw_hardening_needed);
             p.advisories_tolerated = {{"INTEL-SA-90003", tdx_made_at - seconds(1)}};
         }},
        {"", hardening,
         [](TdxPolicy& p) {
             p.tcb_statuses.push_back(TcbStatus::sw_hardening_needed);
             p.advisories_tolerated = {{"INTEL-SA-90003", tdx_made_at}};
         }},
        {"advisories_denied", hardening,
         [](TdxPolicy& p) {
             p.tcb_statuses.push_back(TcbStatus::sw_hardening_needed);
             p.advisories_tolerated = {{"INTEL-SA-90003", tdx_made_at + days(1)}};
             p.advisories_denied = {"INTEL-SA-90003"};
         }},
    };
    for (const Knob& row : rows) {
        TdxEvidence evidence = make_tdx(row.edit);
        row.policy(evidence.policy);
        const TdxResult result = judged(evidence);
        INFO(row.codes << ", also " << failed(result));
        CHECK(result.status == Status::proven);
        CHECK(refused(result) == row.codes);
        CHECK(result.acceptable() == refused(result).empty());
    }
    TdxEvidence tolerated = make_tdx(hardening);
    tolerated.policy.tcb_statuses.push_back(TcbStatus::sw_hardening_needed);
    tolerated.policy.advisories_tolerated = {{"INTEL-SA-90003", tdx_made_at + days(1)}};
    CHECK(judged(tolerated).valid_until == tdx_made_at + days(1));
}

TEST_CASE("TDX: collateral travels as one JSON object and back") {
    const TdxCollateral collateral = make_tdx().collateral;
    CHECK(read_tdx_collateral(write_tdx_collateral(collateral)).value() == collateral);
    CHECK(read_tdx_collateral("{}").value() == TdxCollateral{});
    CHECK(read_tdx_collateral(R"({"version":3})").value() == TdxCollateral{});
    for (const char* bad : {"", "[]", R"({"tcb_info":1})", R"({"pck_crl":"0"})",
                            R"({"pck_crl":"AB"})", R"({"tcb_info":"","tcb_info":""})"})
        CHECK_FALSE(read_tdx_collateral(bad).has_value());
    TdxCollateral odd;
    odd.tcb_info = "\xFF";
    CHECK(read_tdx_collateral(write_tdx_collateral(odd)).has_value());
}

TEST_CASE("TDX: the SGX extension of a PCK certificate is read by name, each part once") {
    const TdxParts parts;
    const PckIdentity& pck = parts.pck;
    const auto read = [](const Bytes& extension) {
        const Instant from = tdx_made_at, until = tdx_made_at + days(1);
        const Key& key = TdxKeys::get().pck;
        CertificateParts certificate{"x", 1, from, until, "", "", {}};
        certificate.extensions = {{"1.2.840.113741.1.13.1", extension}};
        return read_pck_identity(
            Certificate::from_der(make_certificate(certificate, key, "x", key)).value());
    };
    const Bytes good = make_sgx_extension(pck);
    CHECK(read(good).value().components == pck.components);
    CHECK(read(good).value().platform_instance_id == pck.platform_instance_id);
    const ByteView inside = ByteView{good}.subspan(4);  // behind tag and two length octets
    const auto with = [&](const Bytes& more) {
        Bytes content{inside.begin(), inside.end()};
        append(content, more);
        return der_element(0x30, content);
    };
    CHECK(read(with(sgx_pair({9}, der_number(2, 1)))).has_value());  // not known: left alone
    const Bytes bad[] = {
        with(sgx_pair({4}, der_element(0x04, pck.fmspc))),  // twice
        with({0x05, 0x00}),
        with({0x30}),
        der_element(0x30, sgx_pair({1}, der_element(0x04, pck.ppid))),  // parts lack
        der_element(0x31, inside),
    };
    for (const Bytes& extension : bad) CHECK_FALSE(read(extension).has_value());
    PckIdentity large = pck;
    large.components.fill(0xFF);
    large.pce_svn = 0xFFFF;
    CHECK(read(make_sgx_extension(large)).value().pce_svn == 0xFFFF);
    CHECK(read(make_sgx_extension(large)).value().components[15] == 0xFF);
}

// Any byte of the quote or of the collateral. The quick run samples; COCOON_LONG takes all of them.
TEST_CASE("TDX: evidence with a byte flipped is never proven") {
    const char* wanted = std::getenv("COCOON_LONG");
    const bool all = wanted && *wanted;
    const std::uint32_t seed = std::random_device{}();
    std::printf("tdx mutation seed %u%s\n", seed, all ? ", every byte" : "");
    std::mt19937 chance{seed};
    const TdxEvidence good = make_tdx();
    struct Part {
        const char* name;
        std::size_t size;
        std::function<void(TdxEvidence&, std::size_t, std::uint8_t)> flip;
    };
    std::vector<Part> parts = {
        {"quote", good.quote.size(),
         [](TdxEvidence& e, std::size_t at, std::uint8_t by) { e.quote[at] ^= by; }}};
    const auto add = [&](const char* name, auto field) {
        parts.push_back({name, (good.collateral.*field).size(),
                         [=](TdxEvidence& e, std::size_t at, std::uint8_t by) {
                             auto& byte = (e.collateral.*field)[at];
                             byte = static_cast<std::decay_t<decltype(byte)>>(byte ^ by);
                         }});
    };
    add("tcb_info", &TdxCollateral::tcb_info);
    add("tcb_info_signature", &TdxCollateral::tcb_info_signature);
    add("tcb_info_issuer_chain", &TdxCollateral::tcb_info_issuer_chain);
    add("qe_identity", &TdxCollateral::qe_identity);
    add("qe_identity_signature", &TdxCollateral::qe_identity_signature);
    add("qe_identity_issuer_chain", &TdxCollateral::qe_identity_issuer_chain);
    add("root_ca_crl", &TdxCollateral::root_ca_crl);
    add("pck_crl", &TdxCollateral::pck_crl);
    std::size_t tried = 0;
    for (const Part& part : parts)
        for (std::size_t at = 0; at < part.size; ++at) {
            if (!all && chance() % 16 != 0) continue;
            const auto by = static_cast<std::uint8_t>(1u << chance() % 8);
            TdxEvidence evidence = good;
            part.flip(evidence, at, by);
            const bool proven = judged(evidence).status == Status::proven;
            INFO(part.name << " byte " << at << " by " << int{by});
            ++tried;
            if (proven) CHECK_FALSE(proven);
        }
    std::printf("tdx mutations tried: %zu\n", tried);
    CHECK(tried > 100);
}

// Not run by itself: `COCOON_CORPUS=tests/fuzz/corpus attestation_test "[corpus]"` makes the seeds
// that the fuzzers of this folder start from anew.
TEST_CASE("fuzzing: TDX's saved corpus", "[.][corpus]") {
    const char* folder = std::getenv("COCOON_CORPUS");
    REQUIRE(folder != nullptr);
    const auto write = [&](const std::string& name, ByteView bytes) {
        const auto path = std::filesystem::path{folder} / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream file{path, std::ios::binary};
        file << as_text(bytes);
        REQUIRE(file.good());
    };
    for (const bool report_1_5 : {false, true}) {
        const TdxEvidence evidence = make_tdx([&](TdxParts& parts) {
            parts.version = report_1_5 ? 5 : 4;
            parts.report.version_1_5 = report_1_5;
        });
        Bytes seed;
        append_little(seed, evidence.quote.size(), 4);
        append(seed, evidence.quote);
        append(seed, as_bytes(write_tdx_collateral(evidence.collateral)));
        write(report_1_5 ? "tdx_fuzz/version_5" : "tdx_fuzz/version_4", seed);
        if (!report_1_5) continue;
        const auto quote = parse_tdx_quote(evidence.quote);
        const auto chain = certificates_from_pem(quote->pck_chain);
        write("certificate_fuzz/chain.pem", as_bytes(quote->pck_chain));
        write("certificate_fuzz/pck.der", chain->front().der());
        write("certificate_fuzz/root.der", chain->back().der());
        write("certificate_fuzz/list.der", evidence.collateral.pck_crl);
    }
}
