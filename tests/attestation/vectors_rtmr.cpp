#include "tests/attestation/vectors.hpp"

namespace cocoon::attestation::vectors {

void run_rtmr(const std::filesystem::path& folder, Tally& tally) {
    for (const Json& test : read_cases(folder, tally))
        tally.fail("rtmr " + test.value("id", "?"), "this kind has no runner");
}

}  // namespace cocoon::attestation::vectors
