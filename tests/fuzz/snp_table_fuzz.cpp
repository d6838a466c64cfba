// What a host puts beside an SEV-SNP report: every certificate that is read is one, in DER.
#include <cstdlib>

#include "attestation/certificate.hpp"
#include "attestation/snp_table.hpp"

using namespace cocoon;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto read = attestation::read_snp_table({data, size});
    if (!read) return 0;
    for (const Bytes* der :
         {&read->key_certificate, &read->signer_certificate, &read->root_certificate})
        if (!der->empty() && !attestation::Certificate::from_der(*der)) std::abort();
    return 0;
}
