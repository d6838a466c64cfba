// What a bundle rests on, piece by piece, and which of it ends first.
#include "attestation/lifetimes.hpp"
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/snp_maker.hpp"
#include "tests/attestation/tdx_maker.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

std::vector<std::string> names(const Bundle& bundle) {
    std::vector<std::string> out;
    for (const Lifetime& each : lifetimes(bundle)) out.push_back(each.what);
    return out;
}

bool holds(const std::vector<std::string>& all, const std::string& part) {
    return std::any_of(all.begin(), all.end(), [&](const std::string& each) {
        return each.find(part) != std::string::npos;
    });
}

}  // namespace

TEST_CASE("every piece of a TDX bundle is named with its end, the first to end first") {
    const TdxEvidence made = make_tdx();
    Bundle bundle;
    bundle.cpu = TdxPart{made.quote, {}};
    bundle.tdx = made.collateral;
    const auto all = lifetimes(bundle);
    REQUIRE(all.size() == 8);  // four certificates, each once
    CHECK(all[0].what == "the revocation list of CN=Test SGX PCK Platform CA");
    CHECK(all[0].ends == tdx_made_at + days(26));
    CHECK(all[1].what == "Intel's TCB info of the family 90c06f000000");
    CHECK(all[1].begins == *Instant::parse("2026-11-20T00:00:00Z"));
    CHECK(all[1].ends == *Instant::parse("2026-12-20T00:00:00Z"));
    CHECK(all[2].what == "Intel's identity of the quoting enclave");
    CHECK(std::is_sorted(all.begin(), all.end(),
                         [](const Lifetime& a, const Lifetime& b) { return a.ends < b.ends; }));
    for (const char* part : {"PCK Certificate", "TCB Signing", "Platform CA", "Root CA"})
        CHECK(holds(names(bundle), part));
    CHECK(first_to_end(bundle, days(28)) == all[0]);
    CHECK(first_to_end(bundle, days(29)) == all[1]);
    CHECK_FALSE(first_to_end(bundle, days(100'000)).has_value());
}

TEST_CASE("SNP and GPU bundles name theirs; what cannot be read has no end") {
    const auto snp = make_snp({});
    Bundle bundle;
    bundle.cpu = SnpPart{snp.report};
    bundle.snp = snp.collateral;
    const std::size_t cpu_pieces = lifetimes(bundle).size();
    CHECK(cpu_pieces == 4);
    CHECK(holds(names(bundle), "revocation list"));
    const GpuMaker gpu;
    bundle.gpus = {gpu.evidence(), gpu.evidence()};
    const auto manifests = gpu.manifests();
    bundle.nvidia.manifests.assign(manifests.begin(), manifests.end());
    const std::size_t pieces = lifetimes(bundle).size();
    CHECK(pieces > cpu_pieces);
    bundle.gpus[1].certificates = "no certificate";
    bundle.nvidia.manifests.push_back({'<'});
    bundle.nvidia.revocation_lists.push_back({0x30});
    CHECK(lifetimes(bundle).size() == pieces);
    bundle = {};
    CHECK(lifetimes(bundle).empty());
}
