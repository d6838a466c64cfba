// What Intel publishes about TDX machines: TCB info (which versions are how good), the quoting
// enclave's identity, and revocation lists. Carried as the exact bytes that were signed, and read
// here. Called by tdx.hpp, the collateral service and people's tools, on any thread. Must not know
// whether signatures hold, nor a clock. Source: Intel PCS API v4, "Get TDX TCB Info" (TCB info v3),
// "Get TDX QE Identity" (enclave identity v2). nlohmann stays in the .cpp.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/tdx_quote.hpp"

namespace cocoon::attestation {

constexpr std::size_t tdx_collateral_bytes_max = 4 << 20;  // of the JSON document
constexpr std::size_t tcb_info_bytes_max = 256 << 10;
constexpr std::size_t tcb_levels_max = 256;

// The same members as Intel's sgx_ql_qve_collateral_t. An empty member is not at hand.
struct TdxCollateral {
    std::string tcb_info;               // the bytes that are signed
    Bytes tcb_info_signature;           // r || s
    std::string tcb_info_issuer_chain;  // PEM, leaf first
    std::string qe_identity;
    Bytes qe_identity_signature;
    std::string qe_identity_issuer_chain;
    Bytes root_ca_crl;  // DER
    Bytes pck_crl;      // DER
    // For other verifiers: we ask the list to be issued by the quote's own PCK authority.
    std::string pck_crl_issuer_chain;
    bool operator==(const TdxCollateral&) const = default;
};

// Collateral as one JSON object of texts, with signatures and lists in lower-case hex, and back.
// Absent members are empty and other members are left alone (Intel's structure has a version and a
// TEE type); `malformed_request` if one of ours is anything else.
Result<TdxCollateral> read_tdx_collateral(std::string_view json);
std::string write_tdx_collateral(const TdxCollateral& collateral);

enum class TcbStatus {
    up_to_date,
    sw_hardening_needed,
    configuration_needed,
    configuration_and_sw_hardening_needed,
    td_relaunch_advised,
    td_relaunch_advised_configuration_needed,
    out_of_date,
    out_of_date_configuration_needed,
    revoked,
};
std::string_view to_text(TcbStatus status);  // Intel's spelling: "UpToDate"
std::optional<TcbStatus> tcb_status_of(std::string_view text);

struct TcbLevel {
    Svn16 sgx{}, tdx{};
    std::uint16_t pce_svn = 0;
    TcbStatus status = TcbStatus::revoked;
    Instant date;
    std::vector<std::string> advisory_ids;
};

// Of a TDX module or an enclave, which have one version number.
struct IsvLevel {
    std::uint16_t isv_svn = 0;
    TcbStatus status = TcbStatus::revoked;
    Instant date;
    std::vector<std::string> advisory_ids;
};

struct TdxModule {
    Digest384 mr_signer{};
    std::array<std::uint8_t, 8> attributes{}, attributes_mask{};
};
struct TdxModuleIdentity {
    std::string id;  // upper case: "TDX_03"
    TdxModule module;
    std::vector<IsvLevel> levels;  // newest first, as served
};

struct TcbInfo {
    Instant issue_date, next_update;
    std::array<std::uint8_t, 6> fmspc{};
    std::array<std::uint8_t, 2> pce_id{};
    std::uint32_t evaluation_number = 0;  // tcbEvaluationDataNumber
    TdxModule module;                     // of TDX 1.0 machines
    std::vector<TdxModuleIdentity> module_identities;
    std::vector<TcbLevel> levels;  // newest first, as served
};

struct QeIdentity {
    Instant issue_date, next_update;
    std::uint32_t evaluation_number = 0;
    std::array<std::uint8_t, 4> misc_select{}, misc_select_mask{};
    std::array<std::uint8_t, 16> attributes{}, attributes_mask{};
    Digest256 mr_signer{};
    std::uint16_t isv_prod_id = 0;
    std::vector<IsvLevel> levels;
};

// `malformed_request` for other kinds (SGX) and versions, and if a member that counts is missing.
// Members that are not known are left alone: the object is signed by Intel.
Result<TcbInfo> parse_tcb_info(std::string_view json);
Result<QeIdentity> parse_qe_identity(std::string_view json);

}  // namespace cocoon::attestation
