// Plays confidential machines for end-to-end tests: evidence as their hardware would make it, under
// a PKI of this process. The first line it prints is the attestation policy that pins its roots;
// then each line it is given, {"nonce", "processor", "gpu", "image", …}, is answered by the body of
// a POST /v1/nodes/{id}/evidence, and {"vendor": edition} by what Intel's service serves at each of
// its addresses. Numbers stand for machines, images and editions; `edit` has the rest.
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

constexpr int updated_pce_svn = 14;  // one more than the machines have

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
        if (!wanted.value("bare", false)) bundle.tdx = made.collateral;
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

    // By address: the name of the header that has the issuer's chain, the chain, the body in
    // base64.
    static std::string vendor(const TestJson& wanted) {
        const TdxCollateral made = make_tdx([&](TdxParts& tdx) {
                                       publish(tdx, wanted.at("vendor").get<int>());
                                   }).collateral;
        const auto signed_object = [](const char* name, const std::string& text,
                                      const Bytes& signature) {
            return to_base64(as_bytes("{\"" + std::string{name} + "\":" + text +
                                      ",\"signature\":\"" + to_hex(signature) + "\"}"));
        };
        return TestJson{
            {"/tdx/certification/v4/tcb?fmspc=90c06f000000",
             {"TCB-Info-Issuer-Chain", made.tcb_info_issuer_chain,
              signed_object("tcbInfo", made.tcb_info, made.tcb_info_signature)}},
            {"/tdx/certification/v4/qe/identity",
             {"SGX-Enclave-Identity-Issuer-Chain", made.qe_identity_issuer_chain,
              signed_object("enclaveIdentity", made.qe_identity, made.qe_identity_signature)}},
            {"/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
             {"SGX-PCK-CRL-Issuer-Chain", made.pck_crl_issuer_chain, to_base64(made.pck_crl)}},
            {"/sgx/certification/v4/rootcacrl",
             {"", "", to_base64(as_bytes(to_hex(made.root_ca_crl)))}}}
            .dump();
    }

private:
    // What Intel says at its `edition`: from the first one on, that firmware is out of date which
    // was good before.
    static void publish(TdxParts& tdx, int edition) {
        const Instant issued = now() - days(2) + minutes(edition);
        for (TestJson* document : {&tdx.tcb_info, &tdx.qe_identity}) {
            (*document)["issueDate"] = vendor_time(issued);
            (*document)["nextUpdate"] = vendor_time(issued + days(30));
            (*document)["tcbEvaluationDataNumber"] = 20 + edition;
        }
        tdx.root_list = {1, now() - days(10), now() + days(300), {1000}};
        tdx.pck_list = {1, issued, issued + days(28), {1001}};
        if (edition == 0) return;
        tdx.tcb_info["tcbLevels"][0]["tcb"]["pcesvn"] = updated_pce_svn;
        tdx.tcb_info["tcbLevels"][1]["tcb"]["pcesvn"] = updated_pce_svn - 1;
    }
    void edit(TdxParts& tdx, const TestJson& wanted, const ReportData& bound) const {
        tdx.report.report_data = bound;
        tdx.report.mr_td.fill(wanted.at("image").get<std::uint8_t>());
        tdx.pck.ppid.fill(wanted.at("processor").get<std::uint8_t>());
        if (wanted.value("updated", false)) tdx.pck.pce_svn = updated_pce_svn;
        if (const int family = wanted.value("family", 0); family != 0)
            tdx.pck.fmspc.back() = static_cast<std::uint8_t>(family);
        publish(tdx, 0);
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
    for (std::string line; std::getline(std::cin, line);) {
        const TestJson wanted = TestJson::parse(line);
        std::cout << (wanted.contains("vendor") ? rack.vendor(wanted) : rack.evidence(wanted))
                  << std::endl;
    }
}
