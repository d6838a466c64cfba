// Any bytes as SEV-SNP evidence: the report, then pieces with two bytes of length each. First as
// they are, four pieces being collateral: nothing is proven, since nobody signed it. Then the
// report signed by a chain of the fuzzer's own, the pieces being what the key's certificate says.
#include <cstdlib>

#include "attestation/reader.hpp"
#include "tests/attestation/snp_maker.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

const SnpKeys& keys = SnpKeys::get(KeyKind::p256);  // made before the first input is timed

void check(bool holds) {
    if (!holds) std::abort();
}

Bytes take_piece(Reader& in) {
    const ByteView piece = in.take(in.little<std::uint16_t>());
    return {piece.begin(), piece.end()};
}

void as_it_is(ByteView report, Reader pieces) {
    SnpCollateral collateral;
    for (Bytes* part : {&collateral.key_certificate, &collateral.signer_certificate,
                        &collateral.root_certificate, &collateral.revocation_list})
        *part = take_piece(pieces);
    const SnpResult result = verify_snp(report, collateral, {}, snp_made_at);
    check(result.status != Status::proven && !result.report && !result.reasons.empty());
}

void signed_by_us(ByteView report, Reader pieces) {
    SnpShape shape;
    shape.product = report[0x188] == 0x1A ? SnpProduct::turin : SnpProduct::genoa;
    shape.vlek = (report[0x048] & 0x1C) == 1 << 2;
    shape.edit_report = [&](Bytes& made) {
        std::copy_n(report.begin(), snp_signed_bytes, made.begin());
    };
    shape.edit_certificates = [&](CertificateParts& key, CertificateParts&, CertificateParts&) {
        for (auto& [oid, octets] : key.extensions)
            if (Bytes piece = take_piece(pieces); !piece.empty()) octets = std::move(piece);
    };
    const SnpEvidence evidence = make_snp(shape);
    const SnpResult result =
        verify_snp(evidence.report, evidence.collateral, evidence.policy, snp_made_at);
    if (result.status != Status::proven) return;
    check(result.report && result.product == shape.product && result.valid_until > snp_made_at);
    check(result.vlek ? !result.cloud.empty() : !result.platform_id.empty());
    const SnpReport& read = *result.report;
    check(read.version >= 2 && read.version <= 5 && read.tail_is_zero);
    if (!result.acceptable()) return;
    check(!read.policy.debug() && !read.policy.migrate_ma() && read.vmpl == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Reader in{{data, size}};
    const ByteView report = in.take(std::min(size, snp_report_bytes));
    as_it_is(report, in);
    if (report.size() == snp_report_bytes) signed_by_us(report, in);
    return 0;
}
