// Plays confidential machines for end-to-end tests: evidence as their hardware would make it, under
// a PKI of this process. The first line it prints is the attestation policy that pins its roots;
// then each line it is given, {"nonce", "processor", "gpu", "image", "out_of_date"}, is answered by
// the body of a POST /v1/nodes/{id}/evidence. Numbers stand for machines and images.
#include <chrono>
#include <iostream>

#include "attestation/binding.hpp"
#include "attestation/bundle.hpp"
#include "attestation/policy.hpp"
#include "sealing/keyset.hpp"
#include "sealing/statement.hpp"
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/tdx_maker.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

Instant now() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::seconds>(since).count() * 1'000'000};
}

// As Intel writes them: whole seconds.
std::string vendor_time(Instant at) { return at.text().substr(0, 19) + "Z"; }

// One GPU, in whatever machine asks for it.
class Rack {
public:
    std::string policy() {
        Policy policy;
        policy.tdx.pins = make_tdx().policy.pins;
        policy.nvidia.device_roots = gpu_.policy.device_roots;
        policy.nvidia.manifest_roots = gpu_.policy.manifest_roots;
        return nlohmann::json::parse(policy_document(policy)).dump();
    }

    std::string evidence(const TestJson& wanted) {
        sealing::Keyset parts;
        parts.receipt_keys = {{"receipt-1", sealing::SigningKey::generate().public_key()}};
        parts.sealing_keys = {{"seal-1", sealing::ohttp::make_key_config(
                                             1, sealing::SealingKey::generate().public_key())}};
        parts.not_after = now() + hours(12);
        const auto keyset = sealing::build_keyset(parts).value();
        const std::string nonce = wanted.at("nonce");
        const ReportData bound = sealing::report_data_for(keyset.digest, nonce).value();
        const auto made = make_tdx([&](TdxParts& tdx) { edit(tdx, wanted, bound); });
        gpu_.report.nonce = gpu_nonce(bound);
        Bundle bundle;
        bundle.cpu = TdxPart{made.quote, {}};
        bundle.tdx = made.collateral;
        const bool has_gpu = wanted.value("gpu", false);
        if (has_gpu) {
            bundle.gpus = {gpu_.evidence()};
            bundle.nvidia = {gpu_.manifests(), ocsp_responses(), {}};
        }
        const std::string text = write_bundle(bundle);
        return TestJson{{"tier", has_gpu ? "tdx+gpu-cc" : "tdx"},
                        {"nonce", nonce},
                        {"keyset_document", keyset.document},
                        {"evidence", to_base64(as_bytes(text))}}
            .dump();
    }

private:
    void edit(TdxParts& tdx, const TestJson& wanted, const ReportData& bound) const {
        tdx.report.report_data = bound;
        tdx.report.mr_td.fill(wanted.at("image").get<std::uint8_t>());
        tdx.pck.ppid.fill(wanted.at("processor").get<std::uint8_t>());
        for (TestJson* document : {&tdx.tcb_info, &tdx.qe_identity}) {
            (*document)["issueDate"] = vendor_time(now() - days(2));
            (*document)["nextUpdate"] = vendor_time(now() + days(28));
        }
        tdx.root_list = {1, now() - days(10), now() + days(300), {1000}};
        tdx.pck_list = {1, now() - days(2), now() + days(26), {1001}};
        // The same machine, judged by collateral that knows of newer firmware.
        if (wanted.value("out_of_date", false)) {
            tdx.tcb_info["tcbLevels"][0]["tcbStatus"] = "OutOfDate";
            tdx.tcb_info["tcbLevels"][0]["advisoryIDs"] = {"INTEL-SA-90001"};
        }
    }
    std::vector<Bytes> ocsp_responses() const {
        OcspParts parts;
        parts.this_update = now() - hours(1);
        parts.next_update = now() + hours(23);
        std::vector<Bytes> out;
        for (const ChainMaker* chain : {&gpu_.device, &gpu_.signer})
            for (std::size_t i = 0; i + 1 < chain->links.size(); ++i)
                out.push_back(gpu_.ocsp(*chain, i, parts));
        return out;
    }

    GpuMaker gpu_;
};

}  // namespace

int main() {
    Rack rack;
    std::cout << rack.policy() << std::endl;
    for (std::string line; std::getline(std::cin, line);)
        std::cout << rack.evidence(TestJson::parse(line)) << std::endl;
}
