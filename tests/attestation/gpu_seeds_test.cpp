// Seeds for the fuzzers of GPU evidence.
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/seeds.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

TEST_CASE("seeds for the fuzzers of GPU evidence", "[.seeds]") {
    GpuMaker gpu;
    std::erase_if(gpu.report.measurements, [](const auto& one) { return one.first > 4; });
    gpu.driver.golden.resize(4);
    gpu.vbios.golden.resize(4);
    gpu.driver.golden[3].active = true;
    gpu.answer.devices.erase("GPU-2");
    save_seed("nvidia_report_fuzz", "gpu", gpu.evidence().report);
    const auto certificates = gpu.device.make();
    save_seed("ocsp_fuzz", "leaf_composite", certificates[0]);
    save_seed("ocsp_fuzz", "responder", gpu.responder_certificate(gpu.device.links[1]));
    save_seed("ocsp_fuzz", "good", gpu.ocsp(gpu.device, 0, {}));
    save_seed(
        "ocsp_fuzz", "on_hold",
        gpu.ocsp(gpu.device, 0, {V_OCSP_CERTSTATUS_REVOKED, OCSP_REVOKED_STATUS_CERTIFICATEHOLD}));
    gpu.device.links[0].parts.extensions[0] = {"2.23.133.5.4.1.1", tcb_info(firmware_digest())};
    save_seed("ocsp_fuzz", "leaf_tcb_info", gpu.device.make()[0]);
    gpu.report.opaque = {{NvidiaField::vbios_version, Bytes{'9', '6', '.', '1'}},
                         {NvidiaField::switch_pdi, Bytes(8, 7)}};
    save_seed("nvidia_report_fuzz", "switch", gpu.evidence().report);
    save_seed("nvidia_manifest_fuzz", "driver", gpu.manifests()[0]);
    save_seed("nvidia_manifest_fuzz", "vbios", gpu.manifests()[1]);
    save_seed("nvidia_token_fuzz", "answer", as_bytes(gpu.answer_text()));
    save_seed("nvidia_token_fuzz", "key_set", as_bytes(gpu.key_set()));
    save_seed("nvidia_token_fuzz", "token",
              as_bytes(gpu.answer.overall.make(gpu.service.links[0].key)));
}
