// The GPU's nonce, against a figure computed elsewhere.
#include "attestation/binding.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

TEST_CASE("the GPU's nonce is made of every byte of the report data") {
    ReportData data{};
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i);
    const Digest256 nonce = gpu_nonce(data);
    CHECK(to_hex(nonce) == "8f71a67246b1d62efb7bd3881027f354895d5e78f575d35b0ea125540deba2f1");
    for (std::size_t i = 0; i < data.size(); ++i) {
        data[i] ^= 1;
        CHECK(gpu_nonce(data) != nonce);
        data[i] ^= 1;
    }
}
