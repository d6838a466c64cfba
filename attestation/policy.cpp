#include "attestation/policy.hpp"

#include <algorithm>

namespace cocoon::attestation {

void CollateralSeen::note(const TdxResult& result) {
    tdx_evaluation_number = std::max(tdx_evaluation_number, result.evaluation_number.value_or(0));
    root_crl_issued = std::max(root_crl_issued, result.root_crl_issued);
    if (!result.pck_authority) return;
    Instant& list = pck_crl_issued[static_cast<std::size_t>(*result.pck_authority)];
    list = std::max(list, result.pck_crl_issued);
}

void CollateralSeen::note(const SnpResult& result) {
    if (!result.product) return;
    std::string& number = snp_revocation_numbers[static_cast<std::size_t>(*result.product)];
    number = std::max(number, result.revocation_number);
}

void CollateralSeen::note(const CollateralSeen& other) {
    tdx_evaluation_number = std::max(tdx_evaluation_number, other.tdx_evaluation_number);
    root_crl_issued = std::max(root_crl_issued, other.root_crl_issued);
    for (std::size_t i = 0; i < pck_crl_issued.size(); ++i)
        pck_crl_issued[i] = std::max(pck_crl_issued[i], other.pck_crl_issued[i]);
    for (std::size_t i = 0; i < snp_revocation_numbers.size(); ++i)
        snp_revocation_numbers[i] =
            std::max(snp_revocation_numbers[i], other.snp_revocation_numbers[i]);
}

Policy against_rollback(Policy policy, const CollateralSeen& seen) {
    TdxPolicy& tdx = policy.tdx;
    tdx.evaluation_number_min = std::max(tdx.evaluation_number_min, seen.tdx_evaluation_number);
    tdx.root_crl_issued_min = std::max(tdx.root_crl_issued_min, seen.root_crl_issued);
    for (std::size_t i = 0; i < tdx.pck_crl_issued_min.size(); ++i)
        tdx.pck_crl_issued_min[i] = std::max(tdx.pck_crl_issued_min[i], seen.pck_crl_issued[i]);
    for (SnpRoot& root : policy.snp.roots)
        root.revocation_number_min =
            std::max(root.revocation_number_min,
                     seen.snp_revocation_numbers[static_cast<std::size_t>(root.product)]);
    return policy;
}

}  // namespace cocoon::attestation
