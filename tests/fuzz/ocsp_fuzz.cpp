// Any bytes as an OCSP response and as a device certificate: nothing crashes, and no response is
// signed for a certificate whose key is not known to have signed anything.
#include <cstdint>
#include <cstdlib>

#include "attestation/nvidia_identity.hpp"
#include "attestation/revocation.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes{data, size};
    static std::optional<Certificate> last;  // the certificate met last, as subject and issuer
    if (auto certificate = Certificate::from_der(bytes)) {
        (void)nvidia_identity(*certificate).platform_id();
        (void)nvidia_firmware_id(*certificate);
        last = std::move(*certificate);
    }
    const auto response = OcspResponse::from_der(bytes);
    if (response && last) {
        (void)response->about(*last, *last);
        (void)response->signed_for(*last, Instant{} + seconds(1'800'000'000));
    }
    return 0;
}
