// An Intel TDX quote, version 4 or 5, taken apart: header, TD report 1.0 or 1.5, signature data
// with the quoting enclave's report and the PCK chain. Called by tdx.hpp, collectors and people's
// tools, on any thread. Proves nothing: must not know keys, collateral or policy. Source: Intel TDX
// DCAP Quoting Library API, appendix A.3; TDX Module Base Architecture Specification, TDREPORT.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "attestation/digest.hpp"
#include "attestation/verdict.hpp"

namespace cocoon::attestation {

constexpr std::size_t tdx_quote_bytes_max = 64 << 10;

using Svn16 = std::array<std::uint8_t, 16>;  // sixteen security version numbers, one a component

struct TdReport {
    bool version_1_5 = false;
    Svn16 tee_tcb_svn{};  // [0] module SVN, [1] module major version, [2] SEAM loader SVN
    Digest384 mr_seam{}, mr_signer_seam{};
    std::array<std::uint8_t, 8> seam_attributes{};
    std::uint64_t td_attributes = 0;  // little-endian in the report
    std::uint64_t xfam = 0;
    Digest384 mr_td{}, mr_config_id{}, mr_owner{}, mr_owner_config{};
    std::array<Digest384, 4> rtmr{};
    ReportData report_data{};
    Svn16 tee_tcb_svn_2{};      // 1.5: of the module that runs now; else zero
    Digest384 mr_service_td{};  // 1.5: bound service TDs; else zero
};

struct QeReport {
    std::array<std::uint8_t, 16> cpu_svn{};
    std::array<std::uint8_t, 4> misc_select{};
    std::array<std::uint8_t, 16> attributes{};
    Digest256 mr_enclave{}, mr_signer{};
    std::uint16_t isv_prod_id = 0, isv_svn = 0;
    ReportData report_data{};
};

// Views point into the bytes that were parsed.
struct TdxQuote {
    std::uint16_t version = 0;
    std::array<std::uint8_t, 20> user_data{};  // of the header; the first 16 bytes name the QE
    TdReport report;
    ByteView signed_bytes;     // header and body
    ByteView signature;        // r || s, 64 bytes, by the attestation key
    ByteView attestation_key;  // x || y, P-256
    ByteView qe_report_bytes;
    QeReport qe_report;
    ByteView qe_report_signature;  // r || s, by the PCK key
    ByteView qe_auth_data;
    std::string_view pck_chain;      // PEM, leaf first
    std::size_t trailing_bytes = 0;  // after the signature data: quotes come in fixed buffers
};

// `malformed_request`, with what is wrong, for any other version, TEE, key or certification data
// type, and for lengths that do not fit each other exactly. Trailing bytes are counted, not read.
Result<TdxQuote> parse_tdx_quote(ByteView bytes);

}  // namespace cocoon::attestation
