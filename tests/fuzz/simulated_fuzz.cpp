// Any bytes as simulated evidence, which nobody signed, and as the fields of evidence that the
// fuzzer signs, as anyone can: then it is proven only where a policy enables the tier, for the
// report data that it carries, within its time.
#include <cstdlib>

#include "attestation/policy.hpp"
#include "attestation/reader.hpp"
#include "attestation/simulated.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

constexpr Instant at{1'795'348'800'000'000};  // 2026-11-22T12:00:00Z
const Policy enabled = [] {
    Policy policy;
    policy.simulated_enabled = true;
    return policy;
}();

void check(bool holds) {
    if (!holds) std::abort();
}

bool proven(const Evidence& evidence, const ReportData& bound, const Policy& policy) {
    const auto verdict = verify(evidence, bound, policy, at);
    return verdict && verdict->proven();
}

void signed_by_us(Reader in) {
    SimulatedReport report;
    report.issued_at = Instant{} + seconds(in.little<std::uint32_t>());
    report.platform_id = as_text(in.take(in.little<std::uint8_t>()));
    report.measurement = as_text(in.take_rest());
    if (!in.ok()) return;
    const auto made = make_simulated_evidence(report);
    if (!made) return;
    check(!proven(*made, report.report_data, {}));
    ReportData other{};
    other.fill(1);
    check(!proven(*made, other, enabled));
    const auto verdict = verify(*made, report.report_data, enabled, at);
    check(verdict.has_value());
    if (!verdict->proven()) return;
    check(verdict->measurement == report.measurement && verdict->valid_until > at &&
          verdict->valid_until <= at + enabled.age_max + enabled.clock_skew_max);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ReportData unsigned_data;  // nothing in the corpus was signed for it
    unsigned_data.fill(0x55);
    check(!proven({std::string{simulated_tier}, {data, data + size}}, unsigned_data, enabled));
    signed_by_us(Reader{{data, size}});
    return 0;
}
