// Makes TDX quotes and the collateral to judge them with, under a PKI of the test's own: good as
// they are, and a test may edit any part before it is signed.
#pragma once

#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>

#include "attestation/tdx.hpp"
#include "tests/attestation/pki_maker.hpp"

namespace cocoon::attestation::test {

inline const Instant tdx_made_at = *Instant::parse("2026-11-22T12:00:00Z");

// One set of keys a process.
struct TdxKeys {
    Key root{KeyKind::p256}, authority{KeyKind::p256}, pck{KeyKind::p256}, signer{KeyKind::p256},
        attestation{KeyKind::p256}, stranger{KeyKind::p256};
    static const TdxKeys& get() {
        static const TdxKeys keys;
        return keys;
    }
};

// ---- Bytes --------------------------------------------------------------------------------------

inline Bytes der_element(std::uint8_t tag, ByteView content) {
    Bytes out{tag};
    if (content.size() >= 0x100) {
        out.push_back(0x82);
        out.push_back(static_cast<std::uint8_t>(content.size() >> 8));
    } else if (content.size() >= 0x80) {
        out.push_back(0x81);
    }
    out.push_back(static_cast<std::uint8_t>(content.size()));
    append(out, content);
    return out;
}
inline Bytes der_number(std::uint8_t tag, std::uint32_t value) {
    Bytes content;
    for (int shift = 24; shift >= 0; shift -= 8) {
        const auto byte = static_cast<std::uint8_t>(value >> shift);
        if (byte != 0 || !content.empty() || shift == 0) content.push_back(byte);
    }
    if (content[0] >= 0x80) content.insert(content.begin(), 0);
    return der_element(tag, content);
}
// SEQUENCE {1.2.840.113741.1.13.1.<arcs>, value}
inline Bytes sgx_pair(const Bytes& arcs, const Bytes& value) {
    Bytes oid{0x2A, 0x86, 0x48, 0x86, 0xF8, 0x4D, 0x01, 0x0D, 0x01};
    append(oid, arcs);
    Bytes content = der_element(0x06, oid);
    append(content, value);
    return der_element(0x30, content);
}

inline Bytes make_sgx_extension(const PckIdentity& pck) {
    Bytes tcb;
    for (std::uint8_t i = 0; i < 16; ++i)
        append(tcb, sgx_pair({2, static_cast<std::uint8_t>(i + 1)},
                             der_number(0x02, pck.components[i])));
    append(tcb, sgx_pair({2, 17}, der_number(0x02, pck.pce_svn)));
    append(tcb, sgx_pair({2, 18}, der_element(0x04, pck.cpu_svn)));
    Bytes all = sgx_pair({1}, der_element(0x04, pck.ppid));
    append(all, sgx_pair({2}, der_element(0x30, tcb)));
    append(all, sgx_pair({3}, der_element(0x04, pck.pce_id)));
    append(all, sgx_pair({4}, der_element(0x04, pck.fmspc)));
    append(all, sgx_pair({5}, der_number(0x0A, static_cast<std::uint32_t>(pck.sgx_type))));
    if (pck.platform_instance_id)
        append(all, sgx_pair({6}, der_element(0x04, *pck.platform_instance_id)));
    if (pck.smt_enabled) {
        Bytes flags;
        const std::optional<bool> values[] = {pck.dynamic_platform, pck.cached_keys,
                                              pck.smt_enabled};
        for (std::uint8_t i = 0; i < 3; ++i) {
            const Bytes flag{static_cast<std::uint8_t>(values[i].value_or(false) ? 0xFF : 0)};
            append(flags, sgx_pair({7, static_cast<std::uint8_t>(i + 1)}, der_element(0x01, flag)));
        }
        append(all, sgx_pair({7}, der_element(0x30, flags)));
    }
    return der_element(0x30, all);
}

inline Bytes make_qe_report(const QeReport& report) {
    Bytes out;
    append(out, report.cpu_svn);
    append(out, report.misc_select);
    out.resize(48);
    append(out, report.attributes);
    append(out, report.mr_enclave);
    out.resize(128);
    append(out, report.mr_signer);
    out.resize(256);
    append_little(out, report.isv_prod_id, 2);
    append_little(out, report.isv_svn, 2);
    out.resize(320);
    append(out, report.report_data);
    return out;
}

inline Bytes make_td_report(const TdReport& report) {
    Bytes out;
    append(out, report.tee_tcb_svn);
    append(out, report.mr_seam);
    append(out, report.mr_signer_seam);
    append(out, report.seam_attributes);
    append_little(out, report.td_attributes, 8);
    append_little(out, report.xfam, 8);
    for (const Digest384* part :
         {&report.mr_td, &report.mr_config_id, &report.mr_owner, &report.mr_owner_config})
        append(out, *part);
    for (const Digest384& rtmr : report.rtmr) append(out, rtmr);
    append(out, report.report_data);
    if (report.version_1_5) {
        append(out, report.tee_tcb_svn_2);
        append(out, report.mr_service_td);
    }
    return out;
}

// ---- Good parts ---------------------------------------------------------------------------------

using TestJson = nlohmann::json;

inline TestJson components(std::uint8_t first, std::uint8_t second, std::uint8_t third,
                           std::uint8_t rest) {
    TestJson out = TestJson::array();
    for (int i = 0; i < 16; ++i)
        out.push_back({{"svn", i == 0 ? first : i == 1 ? second : i == 2 ? third : rest}});
    return out;
}

inline TestJson tcb_level(std::uint8_t sgx, int pce_svn, TestJson tdx, const char* status,
                          std::vector<std::string> advisories = {}) {
    TestJson level = {{"tcb",
                       {{"sgxtcbcomponents", components(sgx, sgx, sgx, sgx)},
                        {"pcesvn", pce_svn},
                        {"tdxtcbcomponents", std::move(tdx)}}},
                      {"tcbDate", "2026-01-01T00:00:00Z"},
                      {"tcbStatus", status}};
    if (!advisories.empty()) level["advisoryIDs"] = advisories;
    return level;
}
inline TestJson isv_level(int isv_svn, const char* status,
                          std::vector<std::string> advisories = {}) {
    TestJson level = {
        {"tcb", {{"isvsvn", isv_svn}}}, {"tcbDate", "2026-01-01T00:00:00Z"}, {"tcbStatus", status}};
    if (!advisories.empty()) level["advisoryIDs"] = advisories;
    return level;
}
inline TestJson module_identity(const char* id, TestJson levels) {
    return {{"id", id},
            {"mrsigner", std::string(96, '0')},
            {"attributes", std::string(16, '0')},
            {"attributesMask", std::string(16, 'F')},
            {"tcbLevels", std::move(levels)}};
}

inline TestJson good_tcb_info() {
    return {{"id", "TDX"},
            {"version", 3},
            {"issueDate", "2026-11-20T00:00:00Z"},
            {"nextUpdate", "2026-12-20T00:00:00Z"},
            {"fmspc", "90C06F000000"},
            {"pceId", "0000"},
            {"tcbType", 0},
            {"tcbEvaluationDataNumber", 20},
            {"tdxModule",
             {{"mrsigner", std::string(96, '0')},
              {"attributes", std::string(16, '0')},
              {"attributesMask", std::string(16, 'F')}}},
            {"tdxModuleIdentities",
             {module_identity("TDX_01", {isv_level(6, "UpToDate"),
                                         isv_level(4, "OutOfDate", {"INTEL-SA-90010"}),
                                         isv_level(2, "Revoked", {"INTEL-SA-90011"})}),
              module_identity("TDX_03", {isv_level(3, "UpToDate")})}},
            {"tcbLevels",
             {tcb_level(5, 13, components(6, 0, 3, 0), "UpToDate"),
              tcb_level(4, 12, components(4, 0, 2, 0), "OutOfDate", {"INTEL-SA-90001"}),
              tcb_level(2, 5, components(2, 0, 1, 0), "Revoked", {"INTEL-SA-90002"})}}};
}

inline TestJson good_qe_identity() {
    return {{"id", "TD_QE"},
            {"version", 2},
            {"issueDate", "2026-11-20T00:00:00Z"},
            {"nextUpdate", "2026-12-21T00:00:00Z"},
            {"tcbEvaluationDataNumber", 20},
            {"miscselect", "00000000"},
            {"miscselectMask", "FFFFFFFF"},
            {"attributes", "11000000000000000000000000000000"},
            {"attributesMask", "FBFFFFFFFFFFFFFF0000000000000000"},
            {"mrsigner", std::string(64, 'D')},
            {"isvprodid", 2},
            {"tcbLevels",
             {isv_level(6, "UpToDate"), isv_level(4, "OutOfDate", {"INTEL-SA-90020"}),
              isv_level(2, "Revoked")}}};
}

// Everything that goes in, before anything is signed.
struct TdxParts {
    std::uint16_t version = 5;
    TdReport report;
    QeReport qe_report;  // its report data is filled in, unless it is not zero
    Bytes qe_auth_data = Bytes(32, 0x5A);
    Bytes padding;  // after the signature data
    PckIdentity pck;
    std::optional<Bytes> sgx_extension;  // instead of the one made from `pck`; empty: none at all
    CertificateParts leaf, authority, root, signer;
    TestJson tcb_info = good_tcb_info(), qe_identity = good_qe_identity();
    RevocationListParts root_list, pck_list;
    // Who signs what; a test may put a stranger.
    const Key* quote_signer = &TdxKeys::get().attestation;
    const Key* qe_report_signer = &TdxKeys::get().pck;
    const Key* leaf_signer = &TdxKeys::get().authority;
    const Key* tcb_info_signer = &TdxKeys::get().signer;
    const Key* qe_identity_signer = &TdxKeys::get().signer;
    const Key* root_list_signer = &TdxKeys::get().root;
    const Key* pck_list_signer = &TdxKeys::get().authority;

    TdxParts() {
        report.version_1_5 = true;
        report.tee_tcb_svn = report.tee_tcb_svn_2 = {6, 1, 3};
        report.td_attributes = td_attribute::sept_ve_disable;
        report.xfam = 0x602E7;
        report.mr_seam.fill(0x5E);
        report.mr_td.fill(0x3D);
        for (std::size_t i = 0; i < 4; ++i)
            report.rtmr[i].fill(static_cast<std::uint8_t>(0x70 + i));
        for (std::size_t i = 0; i < 64; ++i)
            report.report_data[i] = static_cast<std::uint8_t>(0xA0 ^ i);
        qe_report.attributes = {0x15};  // initialised, 64 bit, provisioning key
        qe_report.mr_signer.fill(0xDD);
        qe_report.isv_prod_id = 2;
        qe_report.isv_svn = 6;
        pck.ppid.fill(0x77);
        pck.components.fill(5);
        pck.pce_svn = 13;
        pck.cpu_svn.fill(5);
        pck.fmspc = {0x90, 0xC0, 0x6F};
        pck.sgx_type = 1;
        pck.platform_instance_id.emplace().fill(0x99);
        pck.dynamic_platform = pck.cached_keys = pck.smt_enabled = true;
        const Instant from = tdx_made_at - days(400), until = tdx_made_at + days(4000);
        const char* ca_usage = "critical,keyCertSign,cRLSign";
        const char* leaf_usage = "critical,digitalSignature,nonRepudiation";
        root = {"Test SGX Root CA", 1, from, until, "critical,CA:TRUE,pathlen:1", ca_usage, {}};
        authority = {"Test SGX PCK Platform CA",   2,        from, until,
                     "critical,CA:TRUE,pathlen:0", ca_usage, {}};
        leaf = {"Test SGX PCK Certificate", 3, from, until, "critical,CA:FALSE", leaf_usage, {}};
        signer = {"Test SGX TCB Signing", 4, from, until, "critical,CA:FALSE", leaf_usage, {}};
        root_list = {1, tdx_made_at - days(10), tdx_made_at + days(300), {1000}};
        pck_list = {1, tdx_made_at - days(2), tdx_made_at + days(26), {1001, 1002}};
    }
};

struct TdxEvidence {
    Bytes quote;
    TdxCollateral collateral;
    TdxPolicy policy;  // under which it is acceptable
};

// ---- Signing ------------------------------------------------------------------------------------

inline Bytes make_quote(TdxParts& parts, const std::string& pck_chain) {
    Bytes quote;
    append_little(quote, parts.version, 2);
    append_little(quote, 2, 2);
    append_little(quote, 0x81, 4);
    append_little(quote, 0, 4);
    append(quote, *from_hex("939a7233f79c4ca9940a0db3957f0607"));
    quote.resize(48);
    const Bytes body = make_td_report(parts.report);
    if (parts.version == 5) {
        append_little(quote, parts.report.version_1_5 ? 3 : 2, 2);
        append_little(quote, body.size(), 4);
    }
    append(quote, body);
    const Bytes signature = parts.quote_signer->sign_raw(quote);
    const Bytes point = TdxKeys::get().attestation.point();
    if (parts.qe_report.report_data == ReportData{}) {
        Bytes bound = point;
        append(bound, parts.qe_auth_data);
        const Digest256 hash = sha256(bound);
        std::copy(hash.begin(), hash.end(), parts.qe_report.report_data.begin());
    }
    const Bytes report = make_qe_report(parts.qe_report);
    Bytes certification = report;
    append(certification, parts.qe_report_signer->sign_raw(report));
    append_little(certification, parts.qe_auth_data.size(), 2);
    append(certification, parts.qe_auth_data);
    append_little(certification, 5, 2);
    append_little(certification, pck_chain.size(), 4);
    append(certification, as_bytes(pck_chain));
    append_little(quote, 64 + 64 + 6 + certification.size(), 4);
    append(quote, signature);
    append(quote, point);
    append_little(quote, 6, 2);
    append_little(quote, certification.size(), 4);
    append(quote, certification);
    append(quote, parts.padding);
    return quote;
}

using EditTdx = std::function<void(TdxParts&)>;

inline TdxEvidence make_tdx(const EditTdx& edit = {}) {
    const TdxKeys& keys = TdxKeys::get();
    TdxParts parts;
    const std::string root_name = parts.root.common_name;
    const std::string authority_name = parts.authority.common_name;
    if (edit) edit(parts);
    const Bytes extension =
        parts.sgx_extension ? *parts.sgx_extension : make_sgx_extension(parts.pck);
    if (!extension.empty()) parts.leaf.extensions.emplace_back("1.2.840.113741.1.13.1", extension);
    const std::string leaf =
        pem_of(make_certificate(parts.leaf, keys.pck, authority_name, *parts.leaf_signer));
    const std::string authority =
        pem_of(make_certificate(parts.authority, keys.authority, root_name, keys.root));
    const Bytes root = make_certificate(parts.root, keys.root, root_name, keys.root);
    const std::string signer =
        pem_of(make_certificate(parts.signer, keys.signer, root_name, keys.root));

    TdxEvidence made;
    made.quote = make_quote(parts, leaf + authority + pem_of(root) + '\0');
    TdxCollateral& out = made.collateral;
    out.tcb_info = parts.tcb_info.dump();
    out.tcb_info_signature = parts.tcb_info_signer->sign_raw(as_bytes(out.tcb_info));
    out.qe_identity = parts.qe_identity.dump();
    out.qe_identity_signature = parts.qe_identity_signer->sign_raw(as_bytes(out.qe_identity));
    out.tcb_info_issuer_chain = out.qe_identity_issuer_chain = signer + pem_of(root);
    out.root_ca_crl = make_revocation_list(parts.root_list, root_name, *parts.root_list_signer);
    out.pck_crl = make_revocation_list(parts.pck_list, authority_name, *parts.pck_list_signer);
    out.pck_crl_issuer_chain = authority + pem_of(root);
    made.policy.pins = {Certificate::from_der(root)->public_key().spki_sha256()};
    return made;
}

}  // namespace cocoon::attestation::test
