// Makes the certificate table that an SEV-SNP host hands to its guests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/attestation/snp_maker.hpp"

namespace cocoon::attestation::test {

inline const std::string guid_vcek = "63da758de6644564adc5f4b93be8accd",
                         guid_vlek = "a8074bc2a25a483eaae639c045a0b8a1",
                         guid_ask = "4ab7b379bbac4fe4a02f05aef327c782",
                         guid_ark = "c0b406a4a803495297433fb6014cd0ae",
                         guid_crl = "92f81bc358114d3d97ffd19f88dc67ea";

// Entries, a zero entry, the blobs.
inline Bytes make_snp_table(const std::vector<std::pair<std::string, Bytes>>& entries) {
    Bytes out, blobs;
    const std::size_t head = 24 * (entries.size() + 1);
    for (const auto& [guid, blob] : entries) {
        const Bytes name = *from_hex(guid);
        out.insert(out.end(), name.begin(), name.end());
        append_little(out, head + blobs.size(), 4);
        append_little(out, blob.size(), 4);
        blobs.insert(blobs.end(), blob.begin(), blob.end());
    }
    out.resize(head);
    out.insert(out.end(), blobs.begin(), blobs.end());
    return out;
}

// As hosts have it: DER beside PEM, and an entry that only the host understands.
inline Bytes make_host_table(const SnpCollateral& collateral) {
    const std::string pem = pem_of(collateral.signer_certificate);
    return make_snp_table({{guid_vcek, collateral.key_certificate},
                           {"00112233445566778899aabbccddeeff", Bytes(40, 0xEE)},
                           {guid_ask, {pem.begin(), pem.end()}},
                           {guid_ark, collateral.root_certificate},
                           {guid_crl, collateral.revocation_list}});
}

}  // namespace cocoon::attestation::test
