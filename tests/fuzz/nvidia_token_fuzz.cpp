// Any bytes as an answer of the attestation service, as one token and as a key set: nothing is
// proven with keys that signed nothing, and what is read is within its limits.
#include <cstdint>
#include <cstdlib>

#include "attestation/nvidia_token.hpp"
#include "attestation/nvidia_token_codec.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

void must(bool holds) {
    if (!holds) std::abort();
}

// P-384's generator under the key id of the seeds: nobody signed with it.
const NvidiaKeySet keys = [] {
    NvidiaKeySet made;
    const Bytes point = *from_hex(
        "aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872"
        "760a"
        "b73617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c"
        "90ea"
        "0e5f");
    made.keys.emplace("kid-1",
                      NvidiaKeySet::Key{PublicKey::from_point(Curve::p384, point).value(), {}});
    return made;
}();
const NvidiaTokenPolicy policy = [] {
    NvidiaTokenPolicy made;
    made.key_set_trusted = true;
    return made;
}();

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto result = verify_nvidia_answer(text, keys, {}, policy, Instant{});
    must(result.status == Status::refuted && result.devices.empty());
    if (const auto token = parse_nvidia_token(text)) {
        must(token->signed_text.size() < size);
        if (token->digests) must(token->digests->size() <= nvidia_token_devices_max);
    }
    if (const auto set = parse_nvidia_key_set(text)) must(set->keys.size() <= nvidia_keys_max);
    return 0;
}
