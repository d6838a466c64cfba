// AMD SEV-SNP: is this report genuine (signed by a key of AMD's chain for this very chip, firmware
// and product), and is what it says acceptable. AMD 56860 (report), 57230 (VCEK, VLEK and the KDS).
// Called by the table in verdict.cpp and by people's tools; pure, any thread. Must not know where
// collateral comes from, nor what the report data binds.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/certificate.hpp"
#include "attestation/snp_report.hpp"
#include "attestation/verdict.hpp"

namespace cocoon::attestation {

// What the key distribution service serves, each one DER object; empty: not at hand.
struct SnpCollateral {
    Bytes key_certificate;     // VCEK or VLEK
    Bytes signer_certificate;  // ASK or ASVK
    Bytes root_certificate;    // ARK
    Bytes revocation_list;     // of the ARK; it names revoked ASK and ASVK
};

// A root key that we trust, for one product.
struct SnpRoot {
    SnpProduct product = SnpProduct::genoa;
    std::string spki_sha256;  // lower-case hex
    std::string
        revocation_number_min{};  // of its list, 40 hex characters; empty: any. Against rollback
    bool operator==(const SnpRoot&) const = default;
};
// AMD's ARK-Milan, ARK-Genoa and ARK-Turin.
std::vector<SnpRoot> snp_production_roots();

// Firmware below this is refused, in the reported, the committed and the launch version alike.
struct SnpTcbMinimum {
    SnpProduct product = SnpProduct::genoa;
    SnpTcb tcb;
    bool operator==(const SnpTcbMinimum&) const = default;
};

struct SnpPolicy {
    std::vector<SnpRoot> roots = snp_production_roots();
    // Milan is left out: its root seed can be read by software (arXiv 2605.12990), and then every
    // report, of any firmware version, can be forged.
    std::vector<SnpProduct> products = {SnpProduct::genoa, SnpProduct::turin};
    // What patched machines report since AMD-SB-3019 (microcode signatures); none is known to us
    // for Turin.
    std::vector<SnpTcbMinimum> tcb_minimums = {{SnpProduct::milan, {0, 4, 0, 24, 219}},
                                               {SnpProduct::genoa, {0, 10, 0, 23, 84}}};
    bool revocation_required = true;  // without the root's list the status is unknown
    std::uint32_t report_version_min = 2;
    bool vlek_allowed = false;  // a VLEK names a cloud, not a chip
    bool debug_allowed = false;
    bool migration_allowed = false;
    bool smt_allowed = true;
    std::uint32_t vmpl_max = 0;
    std::uint8_t abi_major_min = 0;  // the firmware interface that the guest policy insists on
    std::uint8_t abi_minor_min = 0;
    // (bits & mask) must be value: guest policy and platform information as in the report.
    std::uint64_t guest_policy_mask = 0;
    std::uint64_t guest_policy_value = 0;
    std::uint64_t platform_info_mask = 0;
    std::uint64_t platform_info_value = 0;
    std::uint64_t mitigations_required = 0;   // bits of the current vector, reports of version 5
    std::vector<std::string> id_key_digests;  // lower-case hex; empty: any, also none
    std::vector<std::string> author_key_digests;
    std::vector<std::string> host_data;
    std::vector<std::string> platforms_denied;  // platform ids

    bool operator==(const SnpPolicy&) const = default;
};

struct SnpResult {
    // Codes of `reasons`: report_format, report_version, signature_algorithm, signing_key,
    // certificate_format, certificate_chain or a ChainFault's code, those of judge_revocation,
    // revocation_format, revocation_rollback, certificate_role, report_signature, product,
    // reported_tcb, chip_id.
    // Of `policy_reasons`: product_accepted, report_version_min, vlek, debug, migrate_ma, vmpl,
    // smt, abi, guest_policy, platform_info, mitigations, reported_tcb_minimum,
    // committed_tcb_minimum, launch_tcb_minimum, id_key, author_key, host_data, platform.
    Status status = Status::unknown;  // is it genuine: follows from `reasons` alone
    std::vector<Reason> reasons;
    std::vector<Reason> policy_reasons;  // is it acceptable; empty unless the signature was right

    // Nothing of the rest is set unless chain and signature were right.
    std::optional<SnpReport> report;
    std::optional<SnpProduct> product;
    bool vlek = false;
    std::string product_name;       // as the certificate says: "Milan-B0", "Genoa"
    std::string cloud;              // of a VLEK: "CN=cc-us-east-2.amazonaws.com"
    std::string platform_id;        // the chip, lower-case hex; empty when masked
    std::string revocation_number;  // of the list that was used: the next minimum
    Instant valid_until;            // the first end of certificates and revocation list

    // Genuine, and nothing in it that the policy refuses.
    bool acceptable() const;
};

// Never throws on peer data; every input may be any bytes.
SnpResult verify_snp(ByteView report, const SnpCollateral& collateral, const SnpPolicy& policy,
                     Instant at);

}  // namespace cocoon::attestation
