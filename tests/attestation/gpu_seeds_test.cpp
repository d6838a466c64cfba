// Writes the fuzzers' seeds for GPU evidence: attestation_test "[.seeds]" makes them anew under
// tests/fuzz/corpus/. Hidden, because every run makes other keys.
#include <filesystem>
#include <fstream>

#include "tests/attestation/gpu_maker.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

void save(const std::string& fuzzer, const std::string& name, ByteView bytes) {
    const std::filesystem::path folder =
        std::filesystem::path{COCOON_SOURCE_DIR} / "tests/fuzz/corpus" / fuzzer;
    std::filesystem::create_directories(folder);
    std::ofstream file{folder / name, std::ios::binary};
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    REQUIRE(file.good());
}

}  // namespace

TEST_CASE("seeds for the fuzzers of GPU evidence", "[.seeds]") {
    GpuMaker gpu;
    std::erase_if(gpu.report.measurements, [](const auto& one) { return one.first > 4; });
    gpu.driver.golden.resize(4);
    gpu.vbios.golden.resize(4);
    gpu.driver.golden[3].active = true;
    gpu.answer.devices.erase("GPU-2");
    save("nvidia_report_fuzz", "gpu", gpu.evidence().report);
    const auto certificates = gpu.device.make();
    save("ocsp_fuzz", "leaf_composite", certificates[0]);
    save("ocsp_fuzz", "responder", gpu.responder_certificate(gpu.device.links[1]));
    save("ocsp_fuzz", "good", gpu.ocsp(gpu.device, 0, {}));
    save("ocsp_fuzz", "on_hold",
         gpu.ocsp(gpu.device, 0, {V_OCSP_CERTSTATUS_REVOKED, OCSP_REVOKED_STATUS_CERTIFICATEHOLD}));
    gpu.device.links[0].parts.extensions[0] = {"2.23.133.5.4.1.1", tcb_info(firmware_digest())};
    save("ocsp_fuzz", "leaf_tcb_info", gpu.device.make()[0]);
    gpu.report.opaque = {{NvidiaField::vbios_version, Bytes{'9', '6', '.', '1'}},
                         {NvidiaField::switch_pdi, Bytes(8, 7)}};
    save("nvidia_report_fuzz", "switch", gpu.evidence().report);
    save("nvidia_manifest_fuzz", "driver", gpu.manifests()[0]);
    save("nvidia_manifest_fuzz", "vbios", gpu.manifests()[1]);
    save("nvidia_token_fuzz", "answer", as_bytes(gpu.answer_text()));
    save("nvidia_token_fuzz", "key_set", as_bytes(gpu.key_set()));
    save("nvidia_token_fuzz", "token", as_bytes(gpu.answer.overall.make(gpu.service.links[0].key)));
}
