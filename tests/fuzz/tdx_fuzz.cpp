// Any bytes as quote and collateral (four bytes of length, the quote, then the collateral as JSON).
// Nothing is proven, since the pin is nobody's; the parts behind the signatures are run by hand.
#include <cstdint>
#include <cstdlib>

#include "attestation/reader.hpp"
#include "attestation/tdx.hpp"
#include "attestation/tdx_tcb.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

constexpr Instant at{1'795'348'800'000'000};  // 2026-11-22T12:00:00Z
const TdxPolicy policy = [] {
    TdxPolicy out;
    out.pins = {std::string(64, '0')};
    return out;
}();

void check(bool holds) {
    if (!holds) std::abort();
}

void evaluate(ByteView bytes, const TdxCollateral& collateral) {
    const auto quote = parse_tdx_quote(bytes);
    const auto info = parse_tcb_info(collateral.tcb_info);
    const auto identity = parse_qe_identity(collateral.qe_identity);
    if (!quote || !info || !identity) return;
    check(quote->signed_bytes.size() + quote->trailing_bytes < bytes.size());
    PckIdentity pck;
    pck.components = quote->report.tee_tcb_svn;
    pck.pce_svn = quote->qe_report.isv_svn;
    const TcbEvaluation tcb =
        evaluate_tcb(*info, *identity, pck, quote->report, quote->qe_report.isv_svn);
    check(!tcb.status || (tcb.platform_level && tcb.qe_level && tcb.module));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Reader in{{data, size}};
    const ByteView quote = in.take(in.little<std::uint32_t>());
    const auto collateral = read_tdx_collateral(as_text(in.take_rest()));
    const TdxCollateral none;
    const TdxResult result = verify_tdx(quote, collateral ? *collateral : none, policy, at);
    check(result.status != Status::proven && !result.report && !result.reasons.empty());
    if (!collateral) return 0;
    check(read_tdx_collateral(write_tdx_collateral(*collateral)).value() == *collateral);
    evaluate(quote, *collateral);
    return 0;
}
