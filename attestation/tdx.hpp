// Intel TDX: is this quote genuine (signed for this very machine by Intel's chain, by the real
// quoting enclave, in versions Intel vouches for), and is what it says acceptable. Called by the
// table in verdict.cpp and by people's tools; pure, any thread. Must not know where collateral
// comes from, nor what the report data binds. Source: Intel TDX DCAP Quoting Library API, 4.1.2.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/tdx_collateral.hpp"
#include "attestation/tdx_pck.hpp"
#include "attestation/tdx_quote.hpp"
#include "attestation/verdict.hpp"

namespace cocoon::attestation {

// SHA-256 of the Intel SGX Root CA's key. The pre-production root has the same name and another
// key.
constexpr std::string_view intel_sgx_root_pin =
    "a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e";

// TD_ATTRIBUTES, by bit: TDX Module Base Architecture Specification, "ATTRIBUTES".
namespace td_attribute {
constexpr std::uint64_t debug = 0xFF;  // bit 0, and seven more that put a TD under debug
constexpr std::uint64_t sept_ve_disable = 1ull << 28;
constexpr std::uint64_t migratable = 1ull << 29;
constexpr std::uint64_t pks = 1ull << 30;
constexpr std::uint64_t key_locker = 1ull << 31;
constexpr std::uint64_t perfmon = 1ull << 63;
}  // namespace td_attribute

// An advisory that an accepted status may come with, until that instant.
struct ToleratedAdvisory {
    std::string id;  // "INTEL-SA-01036"
    Instant until;
    bool operator==(const ToleratedAdvisory&) const = default;
};

struct TdxPolicy {
    std::vector<std::string> pins = {std::string{intel_sgx_root_pin}};
    // Against rollback: the highest number, and the newest lists' this_update, seen so far.
    std::uint32_t evaluation_number_min = 0;
    Instant root_crl_issued_min;
    std::array<Instant, pck_authorities_count> pck_crl_issued_min{};  // by PckAuthority

    std::vector<std::uint16_t> quote_versions = {4, 5};
    // Any other status is refused. One that is not UpToDate is accepted only if each of its
    // advisories is tolerated as well.
    std::vector<TcbStatus> tcb_statuses = {TcbStatus::up_to_date};
    std::vector<ToleratedAdvisory> advisories_tolerated;
    std::vector<std::string> advisories_denied;  // whatever the status
    Instant tcb_date_min;                        // of the platform's level
    // Attributes that must be set, and those that may be; all others must be clear.
    std::uint64_t attributes_required = td_attribute::sept_ve_disable;
    std::uint64_t attributes_free = td_attribute::pks | td_attribute::key_locker;
    std::vector<std::uint64_t> xfam;       // empty: any
    std::vector<std::string> mr_seam;      // lower-case hex; empty: any module that Intel signed
    std::vector<std::string> service_tds;  // MRSERVICETD, lower-case hex, beside "none bound"
    // Deny-lists, lower-case hex: platform families, platforms (platform_id), PCK serials.
    std::vector<std::string> fmspc_denied, platforms_denied, pck_serials_denied;
    bool operator==(const TdxPolicy&) const = default;
};

struct TdxResult {
    // Codes of `reasons`, a machine-readable list of every check in order: quote_format,
    // pck_chain_format, pck_chain or pck_<ChainFault's code>, pck_role, pck_extension,
    // {root,pck}_crl (not at hand),
    // {root,pck}_crl_{format,issuer,signature,issued,current,rollback}, pck_ca_revocation,
    // pck_revocation, {tcb_info,qe_identity} (not at hand) and these with _signer_format,
    // _signer_chain or _signer_<ChainFault's code>, _signer_role, _signer_revocation, _signature,
    // _format, _issued, _current, _rollback; tcb_info_fmspc, tcb_info_pce_id, qe_report_signature,
    // qe_report_data, qe_misc_select, qe_attributes, qe_mr_signer, qe_isv_prod_id, qe_tcb_level,
    // quote_signature, tdx_module_identity, tdx_module_signer, tdx_module_attributes,
    // tdx_module_tcb_level, tdx_current_module, tcb_level, tcb_revocation. Of `policy_reasons`:
    // quote_version, tcb_status, advisories_tolerated, advisories_denied, tcb_date, debug,
    // sept_ve_disable_off, migratable, perfmon, pks, key_locker, unknown_attributes, xfam, mr_seam,
    // service_td, fmspc, platform, pck_serial.
    Status status = Status::unknown;  // is it genuine: follows from `reasons` alone
    std::vector<Reason> reasons;
    std::vector<Reason> policy_reasons;  // is it acceptable; those that could be asked

    // Set if the chain to the pin and the three signatures of the quote hold.
    std::optional<TdReport> report;
    std::optional<PckIdentity> pck;
    std::string fmspc;        // lower-case hex
    std::string pck_serial;   // lower-case hex
    std::string platform_id;  // SHA-256 of the PPID, lower-case hex: one processor for ever
    std::string quote_hash;   // SHA-256 of the signed bytes; signatures and padding are malleable
    // Set as far as collateral that is right itself allows.
    std::optional<TcbStatus> tcb_status, platform_tcb_status, tdx_module_status, qe_tcb_status;
    std::optional<Instant> platform_tcb_date;
    std::optional<std::uint32_t> evaluation_number;
    std::vector<std::string> advisory_ids;
    Instant root_crl_issued, pck_crl_issued;    // 0 unless right: the policy's next minimum
    std::optional<PckAuthority> pck_authority;  // whose list pck_crl_issued is about
    Instant valid_until;  // the first end of collateral and certificates; 0 unless proven

    // Genuine, and nothing in it that the policy refuses.
    bool acceptable() const;
};

// Never throws on peer data; every input may be any bytes.
TdxResult verify_tdx(ByteView quote, const TdxCollateral& collateral, const TdxPolicy& policy,
                     Instant at);

}  // namespace cocoon::attestation
