// Any bytes as JSON: no crash, and the canonical form is a fixed point.
#include <cstdint>
#include <cstdlib>

#include "sealing/canonical_json.hpp"

using namespace cocoon::sealing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto parsed = Json::parse({reinterpret_cast<const char*>(data), size});
    if (!parsed) return 0;
    const std::string canonical = parsed->canonical();
    const auto again = Json::parse(canonical);
    const auto copied = Json::parse(parsed->serialize());
    if (!again || again->canonical() != canonical) std::abort();
    if (!copied || copied->canonical() != canonical) std::abort();
    return 0;
}
