// Any bytes as a bundle, as collateral to put into one, and as evidence of every tier: what reads
// is written and read again to the same, and nothing is proven, since nobody signed it.
#include <cstdlib>

#include "attestation/bundle.hpp"
#include "attestation/lifetimes.hpp"
#include "attestation/policy.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

constexpr Instant at{1'795'348'800'000'000};  // 2026-11-22T12:00:00Z
const Policy policy;                          // the vendors' own roots

void check(bool holds) {
    if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes{data, size};
    const Bytes evidence{data, data + size};
    for (const std::string_view tier : all_tiers) {
        const auto verdict = verify({std::string{tier}, evidence}, ReportData{}, policy, at);
        if (!verdict) return 0;  // over its limit
        check(!verdict->proven() && !verdict->reasons.empty() && verdict->valid_until == Instant{});
    }
    auto bundle = read_bundle(bytes);
    Bundle other;
    if (add_collateral(other, as_text(bytes)))
        check(read_bundle(as_bytes(write_bundle(other))).has_value());
    if (!bundle) return 0;
    const std::string written = write_bundle(*bundle);
    const auto again = read_bundle(as_bytes(written));
    // What a host calls its certificates may be any bytes, and is replaced when written.
    if (again) check(write_bundle(*again) == written);
    const auto ends = lifetimes(*bundle);
    for (std::size_t i = 1; i < ends.size(); ++i) check(ends[i - 1].ends <= ends[i].ends);
    return 0;
}
