// Any bytes as a signed manifest: nothing crashes, nothing of the signature is left in what is
// read, and what is accepted is within its limits.
#include <cstdint>
#include <cstdlib>

#include "attestation/nvidia_manifest.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

void must(bool holds) {
    if (!holds) std::abort();
}

void unsigned_only(const XmlElement& element) {
    must(element.space != "http://www.w3.org/2000/09/xmldsig#");
    for (const XmlElement& child : element.children) unsigned_only(child);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes{data, size};
    const auto read = SignedXml::parse(bytes);
    if (!read) return 0;
    unsigned_only(read->root());
    must(!read->certificates().empty());
    (void)read->check(read->certificates().front());
    const auto manifest = parse_nvidia_manifest(bytes);
    if (!manifest) return 0;
    must(!manifest->version.empty() && !manifest->measurements.empty());
    for (const auto& [index, accepted] : manifest->measurements)
        must(index < 255 && !accepted.empty());
    return 0;
}
