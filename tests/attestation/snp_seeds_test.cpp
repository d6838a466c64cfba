// Seeds for the fuzzers of SEV-SNP evidence, event logs and policies.
#include "attestation/event_log.hpp"
#include "attestation/policy.hpp"
#include "tests/attestation/seeds.hpp"
#include "tests/attestation/snp_maker.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

void append_piece(Bytes& out, ByteView piece) {
    out.push_back(static_cast<std::uint8_t>(piece.size()));
    out.push_back(static_cast<std::uint8_t>(piece.size() >> 8));
    out.insert(out.end(), piece.begin(), piece.end());
}

void save_evidence(const std::string& name, const SnpShape& shape) {
    const SnpEvidence evidence = make_snp(shape);
    Bytes whole = evidence.report;
    for (const Bytes* part :
         {&evidence.collateral.key_certificate, &evidence.collateral.signer_certificate,
          &evidence.collateral.root_certificate, &evidence.collateral.revocation_list})
        append_piece(whole, *part);
    save_seed("snp_fuzz", name, whole);
    Bytes extensions = evidence.report;
    for (const auto& [oid, octets] : snp_key_certificate(shape).extensions)
        append_piece(extensions, octets);
    save_seed("snp_fuzz", name + "_extensions", extensions);
}

}  // namespace

TEST_CASE("seeds for the fuzzers of SEV-SNP evidence, event logs and policies", "[.seeds]") {
    SnpShape shape;
    save_evidence("genoa_vcek", shape);
    shape.vlek = true;
    save_evidence("genoa_vlek", shape);
    shape = {};
    shape.product = SnpProduct::turin;
    shape.version = 5;
    save_evidence("turin_vcek", shape);

    std::string log = "[";
    for (const int index : {0, 3, 3}) {
        MeasuredEvent event{static_cast<std::uint8_t>(index), 0x08000001, {}, "app-id", {7}};
        event.digest = runtime_digest(event);
        log += R"({"imr":)" + std::to_string(index) + R"(,"event_type":134217729,"digest":")" +
               to_hex(event.digest) + R"(","event":"app-id","event_payload":"07"},)";
    }
    log.back() = ']';
    save_seed("event_log_fuzz", "log", as_bytes(log));
    save_seed("policy_fuzz", "standing", as_bytes(policy_document({})));
    save_seed("policy_fuzz", "small",
              as_bytes(R"({"version":1,"tiers":["snp"],"snp":{"products":["Milan"],)"
                       R"("tcb_minimums":[{"product":"Milan","tcb":{"bootloader":4,"tee":0,)"
                       R"("snp":24,"microcode":219}}]},"tdx":{"advisories_tolerated":)"
                       R"([{"id":"INTEL-SA-1","until":"2027-01-01T00:00:00Z"}]}})"));
}
