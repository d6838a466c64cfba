// Any bytes as a policy: what reads is written and read again to the same.
#include <cstdlib>

#include "attestation/policy.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto policy = parse_policy(as_text({data, size}));
    if (!policy) return 0;
    const auto again = parse_policy(policy_document(*policy));
    if (!again || !(*again == *policy)) std::abort();
    const CollateralSeen nothing;
    if (!(against_rollback(*policy, nothing) == *policy)) std::abort();
    return 0;
}
