// Seeds for the fuzzers of whole bundles and of simulated evidence.
#include "attestation/bundle.hpp"
#include "attestation/simulated.hpp"
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/seeds.hpp"
#include "tests/attestation/snp_maker.hpp"
#include "tests/attestation/tdx_maker.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

TEST_CASE("seeds for the fuzzers of bundles and of simulated evidence", "[.seeds]") {
    const auto save = [](const char* name, const Bundle& bundle) {
        save_seed("bundle_fuzz", name, as_bytes(write_bundle(bundle)));
    };
    const TdxEvidence tdx = make_tdx();
    GpuMaker gpu;
    std::erase_if(gpu.report.measurements, [](const auto& one) { return one.first > 4; });
    gpu.driver.golden.resize(4);
    gpu.vbios.golden.resize(4);
    gpu.driver.golden[3].active = true;
    Bundle bundle;
    bundle.cpu = TdxPart{tdx.quote, R"([{"imr":0,"event_type":1,"digest":"00"}])", Bytes(8, 1)};
    bundle.tdx = tdx.collateral;
    save("tdx", bundle);
    bundle.gpus = {gpu.evidence()};
    bundle.nvidia = {{gpu.manifests()[0]}, {gpu.ocsp(gpu.device, 0, {})}, {}};
    save("tdx_gpu", bundle);
    const SnpEvidence snp = make_snp();
    bundle = {};
    bundle.cpu = SnpPart{snp.report};
    bundle.snp = snp.collateral;
    bundle.gpu_service = {gpu.answer_text(), gpu.key_set()};
    save("snp_gpu_service", bundle);
    const std::string whole = write_bundle(bundle);
    save_seed("bundle_fuzz", "collateral",
              as_bytes(nlohmann::json::parse(whole)["collateral"].dump()));

    SimulatedReport report{std::string(96, 'a'), "sim-1", {}, snp_made_at};
    save_seed("simulated_fuzz", "evidence", make_simulated_evidence(report).value().bytes);
    Bytes fields;
    append_little(fields, static_cast<std::uint64_t>(snp_made_at.unix_seconds()), 4);
    fields.push_back(static_cast<std::uint8_t>(report.platform_id.size()));
    append(fields, as_bytes(report.platform_id));
    append(fields, as_bytes(report.measurement));
    save_seed("simulated_fuzz", "fields", fields);
}
