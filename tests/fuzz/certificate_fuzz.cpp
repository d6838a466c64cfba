// Any bytes as certificate, as PEM chain and as revocation list: they are read in their one
// encoding or refused, and no chain of them ends at a pin.
#include <cstdint>
#include <cstdlib>

#include "attestation/certificate.hpp"
#include "attestation/tdx_pck.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

constexpr Instant at{1'795'348'800'000'000};  // 2026-11-22T12:00:00Z

void check(bool holds) {
    if (!holds) std::abort();
}

void try_certificate(ByteView bytes) {
    const auto certificate = Certificate::from_der(bytes);
    if (!certificate) return;
    const Bytes& der = certificate->der();
    check(std::equal(der.begin(), der.end(), bytes.begin(), bytes.end()));
    (void)read_pck_identity(*certificate);
    (void)certificate->extension("1.3.6.1.4.1.3704.1.3.1");
    (void)certificate->signed_by(certificate->public_key());
    (void)certificate->public_key().verify_ecdsa(Hash::sha256, bytes, Bytes(64, 1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes{data, size};
    try_certificate(bytes);
    if (const auto list = RevocationList::from_der(bytes)) check(list->der().size() == size);
    if (const auto chain = certificates_from_pem(as_text(bytes))) {
        for (const Certificate& each : *chain) try_certificate(each.der());
        ChainRules rules;
        rules.pins = {std::string(64, '0')};
        check(!check_chain(*chain, rules, at).empty());
    }
    return 0;
}
