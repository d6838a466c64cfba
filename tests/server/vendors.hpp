// Vendors of the tests' own on loopback, as Intel, AMD and NVIDIA serve collateral, and evidence
// that a test PKI signs. For tests of what fetches and judges it.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "attestation/binding.hpp"
#include "attestation/bundle.hpp"
#include "attestation/policy.hpp"
#include "net/http_server.hpp"
#include "server/collateral.hpp"
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/snp_maker.hpp"
#include "tests/attestation/tdx_maker.hpp"
#include "tests/catch.hpp"

namespace cocoon::server::test {

using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

inline constexpr const char* tcb_path = "/intel/tdx/certification/v4/tcb?fmspc=90c06f000000";
inline constexpr const char* identity_path = "/intel/tdx/certification/v4/qe/identity";
inline constexpr const char* pck_list_path =
    "/intel/sgx/certification/v4/pckcrl?ca=platform&encoding=der";
inline constexpr const char* root_list_path = "/intel/sgx/certification/v4/rootcacrl";
inline constexpr const char* ocsp_path = "/ocsp";

class ManualClock final : public Clock {
public:
    Instant now() const override { return Instant{us_}; }
    void pass(Duration time) { us_ += time.us; }

private:
    std::atomic<std::int64_t> us_{tdx_made_at.us};
};

inline std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

inline std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
        out += plain ? std::string{c} : "%" + to_hex(as_bytes(std::string_view{&c, 1}));
    }
    return out;
}

// Which certificate an OCSP request asks about.
inline std::int64_t serial_asked(const std::string& der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    const Owned<OCSP_REQUEST, OCSP_REQUEST_free> request{
        d2i_OCSP_REQUEST(nullptr, &at, static_cast<long>(der.size()))};
    must(request && OCSP_request_onereq_count(request.get()) == 1, "OCSP request");
    must(OCSP_REQUEST_get_ext_by_NID(request.get(), NID_id_pkix_OCSP_Nonce, -1) >= 0, "nonce");
    ASN1_INTEGER* serial = nullptr;
    OCSP_id_get0_info(nullptr, nullptr, nullptr, &serial,
                      OCSP_onereq_get0_id(OCSP_request_onereq_get0(request.get(), 0)));
    return ASN1_INTEGER_get(serial);
}

// Intel, AMD and NVIDIA in one: serves what it was given, counts who asks for what.
class Vendors {
public:
    Vendors() {
        net::HttpHandler handler;
        handler.on_request = [this](std::shared_ptr<net::Exchange> exchange) {
            exchange->respond(answer(exchange->request()));
        };
        handler.error_response = [](ErrorCode code, std::string_view) {
            return net::Response{describe(code).status, {}, {}};
        };
        server_ = std::make_unique<net::HttpServer>(loop_, net::HttpServerOptions{}, handler);
        thread_ = std::thread{[this] { loop_.run(); }};
    }
    ~Vendors() {
        loop_.stop();
        thread_.join();
        server_.reset();
    }

    CollateralUrls urls() const {
        const std::string base = "http://127.0.0.1:" + std::to_string(server_->port());
        return {base + "/intel", {}, base + "/amd", base + "/nvidia", base + ocsp_path};
    }
    void serve(const std::string& target, net::Response response) {
        const std::lock_guard lock{mutex_};
        served_[target] = std::move(response);
    }
    net::Response served(const std::string& target) {
        const std::lock_guard lock{mutex_};
        return served_.at(target);
    }
    void serve_ocsp(std::int64_t serial, const Bytes& response) {
        const std::lock_guard lock{mutex_};
        answers_[serial] = text_of(response);
    }
    // Answers everything so, until told otherwise with status 0.
    void fail_with(int status, net::Headers headers = {}) {
        const std::lock_guard lock{mutex_};
        failure_ = {status, std::move(headers), {}};
    }
    int asked(const std::string& target) {
        const std::lock_guard lock{mutex_};
        return asked_[target];
    }
    int asked() {
        const std::lock_guard lock{mutex_};
        int sum = 0;
        for (const auto& [target, count] : asked_) sum += count;
        return sum;
    }

    void serve_tdx(const TdxCollateral& tdx) {
        const auto object = [](const char* name, const std::string& text, const Bytes& signature) {
            return "{\"" + std::string{name} + "\":" + text + ",\"signature\":\"" +
                   to_hex(signature) + "\"}";
        };
        serve(tcb_path, {200,
                         {{"TCB-Info-Issuer-Chain", percent_encoded(tdx.tcb_info_issuer_chain)}},
                         object("tcbInfo", tdx.tcb_info, tdx.tcb_info_signature)});
        serve(
            identity_path,
            {200,
             {{"SGX-Enclave-Identity-Issuer-Chain", percent_encoded(tdx.qe_identity_issuer_chain)}},
             object("enclaveIdentity", tdx.qe_identity, tdx.qe_identity_signature)});
        serve(pck_list_path,
              {200,
               {{"SGX-PCK-CRL-Issuer-Chain", percent_encoded(tdx.pck_crl_issuer_chain)}},
               text_of(tdx.pck_crl)});
        serve(root_list_path, {200, {}, to_hex(tdx.root_ca_crl)});  // as a PCCS does
    }
    void serve_snp(const SnpCollateral& snp) {
        const std::string chip = to_hex(snp_chip(SnpProduct::genoa));
        serve("/amd/vcek/v1/Genoa/" + chip + "?blSPL=10&teeSPL=1&snpSPL=24&ucodeSPL=219",
              {200, {}, text_of(snp.key_certificate)});
        serve("/amd/vcek/v1/Genoa/cert_chain",
              {200, {}, pem_of(snp.signer_certificate) + pem_of(snp.root_certificate)});
        serve("/amd/vcek/v1/Genoa/crl", {200, {}, text_of(snp.revocation_list)});
    }
    void serve_gpu(const GpuMaker& gpu) {
        const auto manifests = gpu.manifests();
        const char* names[] = {"NV_GPU_DRIVER_GH100_570.86",
                               "NV_GPU_VBIOS_G520_0200_882_9600A50001"};
        for (std::size_t i = 0; i < 2; ++i)
            serve("/nvidia/v1/rim/" + std::string{names[i]},
                  {200, {}, R"({"id":"x","rim":")" + to_base64(manifests[i]) + "\"}"});
        for (const ChainMaker* chain : {&gpu.device, &gpu.signer})
            for (std::size_t i = 0; i + 1 < chain->links.size(); ++i)
                serve_ocsp(chain->links[i].parts.serial, gpu.ocsp(*chain, i, {}));
    }

private:
    net::Response answer(const net::Request& request) {
        const std::lock_guard lock{mutex_};
        ++asked_[request.target];
        if (failure_.status != 0) return failure_;
        if (request.target == ocsp_path) {
            const auto found = answers_.find(serial_asked(request.body));
            return found == answers_.end() ? net::Response{404, {}, {}}
                                           : net::Response{200, {}, found->second};
        }
        const auto found = served_.find(request.target);
        return found == served_.end() ? net::Response{404, {}, {}} : found->second;
    }

    net::EventLoop loop_;
    std::mutex mutex_;
    std::map<std::string, net::Response> served_;
    std::map<std::int64_t, std::string> answers_;
    std::map<std::string, int> asked_;
    net::Response failure_{0, {}, {}};
    std::unique_ptr<net::HttpServer> server_;
    std::thread thread_;
};

// Evidence for one challenge, whole and without its collateral, and the policy its makers suit.
struct Made {
    std::string tier;
    Bundle whole, bare;
    Policy policy;
    std::unique_ptr<GpuMaker> gpu;
};

inline ReportData expected() {
    ReportData data;
    data.fill(7);
    return data;
}

inline Made make(const std::string& tier, const EditTdx& edit = {}) {
    Made made;
    made.tier = tier;
    if (tier.starts_with("tdx")) {
        auto tdx = make_tdx([&](TdxParts& parts) {
            parts.report.report_data = expected();
            if (edit) edit(parts);
        });
        made.bare.cpu = TdxPart{tdx.quote, {}};
        made.whole.tdx = tdx.collateral;
        made.policy.tdx = tdx.policy;
    } else {
        SnpShape shape;
        shape.edit_report = [](Bytes& report) { std::fill_n(report.begin() + 0x50, 64, 7); };
        auto snp = make_snp(shape);
        made.bare.cpu = SnpPart{snp.report};
        made.whole.snp = snp.collateral;
        made.policy.snp = snp.policy;
    }
    if (tier.ends_with("+gpu-cc")) {
        made.gpu = std::make_unique<GpuMaker>();
        made.gpu->report.nonce = gpu_nonce(expected());
        const auto put = [&](NvidiaField field, std::string_view text) {
            made.gpu->report.field(field) = Bytes{text.begin(), text.end()};
        };
        put(NvidiaField::project, "G520");
        put(NvidiaField::project_sku, "0200");
        put(NvidiaField::chip_sku, "882");
        made.bare.gpus = {made.gpu->evidence()};
        made.policy.nvidia = made.gpu->policy;
    }
    made.whole.cpu = made.bare.cpu;
    return made;
}

inline Bytes document_of(const Bundle& bundle) {
    const std::string text = write_bundle(bundle);
    return {text.begin(), text.end()};
}

}  // namespace cocoon::server::test
