// Any bytes as what a market says of a node's evidence, and as a node's own ACI report: nothing of
// it is trusted under the vendors' roots, whatever keyset it brings.
#include <cstdlib>

#include "trust/aci_report.hpp"
#include "trust/node_evidence.hpp"

using namespace cocoon;
using namespace cocoon::trust;

namespace {

constexpr Instant at{1'795'348'800'000'000};  // 2026-11-22T12:00:00Z
const attestation::Policy policy;

void check(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = as_text({data, size});
    const std::string digest = "sha256:" + std::string(64, 'a');
    check(!check_aci_report(text, digest, std::nullopt) || text.find(digest) != text.npos);
    const auto evidence = parse_node_evidence(text);
    if (!evidence) return 0;
    const auto keyset = sealing::parse_keyset(evidence->keyset_document);
    check(!verify_node(*evidence, keyset ? keyset->digest : digest, policy, at));
    return 0;
}
