// The collateral service against vendors of the tests' own on loopback: what a bundle lacks is
// fetched once and proves it; a vendor that is down, busy, wrong or behind refutes nobody.
#include "server/collateral.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <iostream>
#include <thread>

#include "attestation/binding.hpp"
#include "attestation/bundle.hpp"
#include "attestation/policy.hpp"
#include "attestation/vendor_answer.hpp"
#include "net/http_server.hpp"
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/snp_maker.hpp"
#include "tests/attestation/tdx_maker.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::server;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

constexpr const char* tcb_path = "/intel/tdx/certification/v4/tcb?fmspc=90c06f000000";
constexpr const char* identity_path = "/intel/tdx/certification/v4/qe/identity";
constexpr const char* pck_list_path = "/intel/sgx/certification/v4/pckcrl?ca=platform&encoding=der";
constexpr const char* root_list_path = "/intel/sgx/certification/v4/rootcacrl";
constexpr const char* ocsp_path = "/ocsp";

class ManualClock final : public Clock {
public:
    Instant now() const override { return Instant{us_}; }
    void pass(Duration time) { us_ += time.us; }

private:
    std::atomic<std::int64_t> us_{tdx_made_at.us};
};

std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
        out += plain ? std::string{c} : "%" + to_hex(as_bytes(std::string_view{&c, 1}));
    }
    return out;
}

// Which certificate an OCSP request asks about.
std::int64_t serial_asked(const std::string& der) {
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

ReportData expected() {
    ReportData data;
    data.fill(7);
    return data;
}

Made make(const std::string& tier, const EditTdx& edit = {}) {
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

Bytes document_of(const Bundle& bundle) {
    const std::string text = write_bundle(bundle);
    return {text.begin(), text.end()};
}

// One market with its vendors.
struct Stage {
    ManualClock clock;
    Metrics metrics;
    Vendors vendors;
    std::unique_ptr<CollateralService> service;

    explicit Stage(const std::function<void(CollateralOptions&)>& edit = {}) {
        CollateralOptions options;
        options.urls = vendors.urls();
        if (edit) edit(options);
        service = std::make_unique<CollateralService>(options, clock, metrics);
    }
    void serve(const Made& made) {
        if (made.tier.starts_with("tdx"))
            vendors.serve_tdx(made.whole.tdx);
        else
            vendors.serve_snp(made.whole.snp);
        if (made.gpu) vendors.serve_gpu(*made.gpu);
    }
    api::CompletedEvidence complete(const Bundle& bundle) {
        return service->complete(NodeId{1}, document_of(bundle));
    }
    // Completes and judges.
    Verdict judged(const Made& made, const Bundle& bundle) {
        return verify({made.tier, complete(bundle).bytes}, expected(), made.policy, clock.now())
            .value();
    }
};

std::string joined_text(const std::vector<std::string>& parts) {
    std::string out;
    for (const std::string& part : parts) out += part + "\n";
    return out;
}

}  // namespace

TEST_CASE("evidence without collateral is completed, proven, and complete for everyone after") {
    for (const char* tier : {"tdx", "snp", "tdx+gpu-cc", "snp+gpu-cc"}) {
        INFO(tier);
        const Made made = make(tier);
        Stage stage;
        stage.serve(made);
        const Bytes bare = document_of(made.bare);
        CHECK(verify({tier, bare}, expected(), made.policy, tdx_made_at).value().status ==
              Status::unknown);
        const auto completed = stage.service->complete(NodeId{1}, bare);
        INFO(joined_text(completed.missing));
        CHECK(completed.missing.empty());
        const auto verdict =
            verify({tier, completed.bytes}, expected(), made.policy, tdx_made_at).value();
        for (const Reason& reason : verdict.reasons) {
            INFO(reason.code << ": " << reason.text);
            CHECK(reason.outcome != Outcome::failed);
        }
        REQUIRE(verdict.proven());
        // What is there is not asked for again, and nothing is added to what is whole.
        const int asked = stage.vendors.asked();
        CHECK(stage.service->complete(NodeId{2}, bare).bytes == completed.bytes);
        CHECK(stage.service->complete(NodeId{2}, completed.bytes).bytes == completed.bytes);
        CHECK(stage.vendors.asked() == asked);
        CHECK(stage.metrics.collateral_fetches.value() == static_cast<std::uint64_t>(asked));
        CHECK(stage.metrics.collateral_failures.value() == 0);
    }
}

TEST_CASE("what is no bundle, or whose vendors are not asked, is left as it is") {
    Stage stage{[](CollateralOptions& options) { options.urls = {}; }};
    const Made made = make("tdx+gpu-cc");
    for (const Bytes& evidence :
         {Bytes{}, Bytes{'{'}, Bytes(100, 0xFF), document_of(made.bare), document_of(made.whole)}) {
        const auto completed = stage.service->complete(NodeId{1}, evidence);
        CHECK(completed.bytes == evidence);
        CHECK(completed.missing.empty());
    }
    CHECK(stage.vendors.asked() == 0);
}

TEST_CASE("a vendor that is down makes evidence unknown, and what is valid in memory outlives it") {
    const Made made = make("tdx");
    Stage stage;
    stage.vendors.fail_with(503);
    const auto completed = stage.complete(made.bare);
    CHECK(joined_text(completed.missing).find("answered 503") != std::string::npos);
    CHECK(stage.judged(made, made.bare).status == Status::unknown);
    // One call to each service, not one for each piece.
    CHECK(stage.vendors.asked() == 2);

    stage.vendors.fail_with(0);
    stage.serve(made);
    stage.clock.pass(minutes(1));
    CHECK(stage.judged(made, made.bare).proven());
    stage.vendors.fail_with(503);
    stage.clock.pass(days(2));  // no longer fresh
    CHECK(stage.judged(made, made.bare).proven());
    CHECK(stage.metrics.collateral_stale.value() == 4);
    stage.clock.pass(days(30));  // no longer valid
    CHECK(stage.judged(made, made.bare).status == Status::unknown);
}

TEST_CASE("a vendor's Retry-After is obeyed") {
    const Made made = make("snp");
    Stage stage;
    stage.serve(made);
    stage.vendors.fail_with(429, {{"Retry-After", "90"}});
    const auto completed = stage.complete(made.bare);
    CHECK(joined_text(completed.missing).find("answered 429; it is asked again in 9") !=
          std::string::npos);
    CHECK(stage.vendors.asked() == 1);
    stage.vendors.fail_with(0);
    stage.clock.pass(seconds(80));
    CHECK(stage.judged(made, made.bare).status == Status::unknown);
    CHECK(stage.vendors.asked() == 1);
    stage.clock.pass(seconds(11));
    CHECK(stage.judged(made, made.bare).proven());
}

TEST_CASE("a source that cannot be reached is left alone longer each time") {
    CHECK(collateral_pause(1) == seconds(1));
    CHECK(collateral_pause(2) == seconds(2));
    CHECK(collateral_pause(5) == seconds(16));
    CHECK(collateral_pause(100) == minutes(5));
    Stage stage{[](CollateralOptions& options) { options.urls.snp = "http://127.0.0.1:1"; }};
    const Made made = make("snp");
    CHECK(joined_text(stage.complete(made.bare).missing).find("cannot be used") !=
          std::string::npos);
    CHECK(stage.metrics.collateral_fetches.value() == 1);
}

TEST_CASE("malformed answers are not used, and not asked for again at once") {
    const Made made = make("tdx");
    const std::string chain = percent_encoded(made.whole.tdx.tcb_info_issuer_chain);
    const auto with_chain = [&](std::string body) {
        return net::Response{200, {{"TCB-Info-Issuer-Chain", chain}}, std::move(body)};
    };
    const std::string signature = R"(,"signature":")" + std::string(128, 'a') + "\"}";
    const std::string good = made.whole.tdx.tcb_info;
    std::string old = good;
    old.replace(old.find("2026-12-20"), 10, "2026-11-21");
    const net::Response rows[] = {
        with_chain(""),
        with_chain("[]"),
        with_chain("{}"),
        with_chain(R"({"tcbInfo":7)" + signature),
        with_chain(R"({"tcbInfo":{})" + signature),
        with_chain(R"({"tcbInfo":)" + good + "}"),
        with_chain(R"({"tcbInfo":)" + good + R"(,"signature":"aa"})"),
        with_chain(R"({"tcbInfo":)" + good + R"(,"tcbInfo":)" + good + signature),
        with_chain(R"({"tcb\u0049nfo":)" + good + signature),
        with_chain(R"({"tcbInfo":)" + old + signature),
        with_chain(std::string(vendor_answer_bytes_max + 1, ' ')),
        {200, {}, R"({"tcbInfo":)" + good + signature},
        {200, {{"TCB-Info-Issuer-Chain", "%2"}}, R"({"tcbInfo":)" + good + signature},
        {200, {{"TCB-Info-Issuer-Chain", "none"}}, R"({"tcbInfo":)" + good + signature},
        {404, {}, "no such FMSPC"},
    };
    for (const net::Response& row : rows) {
        INFO(row.body.substr(0, 80));
        Stage stage;
        stage.serve(made);
        stage.vendors.serve(tcb_path, row);
        const auto completed = stage.complete(made.bare);
        CHECK(completed.missing.size() == 1);
        CHECK(verify({"tdx", completed.bytes}, expected(), made.policy, stage.clock.now())
                  .value()
                  .status == Status::unknown);
        stage.complete(made.bare);
        CHECK(stage.vendors.asked(tcb_path) == 1);
    }
}

TEST_CASE("what a false source serves is refused where evidence is judged") {
    const Made made = make("tdx");
    const Made forged =
        make("tdx", [](TdxParts& parts) { parts.tcb_info_signer = &TdxKeys::get().stranger; });
    Stage stage;
    stage.vendors.serve_tdx(forged.whole.tdx);
    const Verdict verdict = stage.judged(made, made.bare);
    CHECK(verdict.status == Status::refuted);
    CHECK(verdict.first_failure() != nullptr);
}

TEST_CASE("the newest edition is used, whoever brings it, and none goes back") {
    const auto edition = [](const char* issued) {
        return make("tdx", [=](TdxParts& parts) { parts.tcb_info["issueDate"] = issued; });
    };
    const Made older = edition("2026-11-19T00:00:00Z"), newer = edition("2026-11-21T00:00:00Z");
    const auto tcb_of = [](const api::CompletedEvidence& completed) {
        return read_bundle(completed.bytes).value().tdx.tcb_info;
    };
    Stage stage;
    stage.serve(newer);
    CHECK(tcb_of(stage.complete(older.whole)) == newer.whole.tdx.tcb_info);
    stage.serve(older);
    stage.clock.pass(days(2));
    CHECK(tcb_of(stage.complete(older.bare)) == newer.whole.tdx.tcb_info);
    CHECK(stage.vendors.asked(tcb_path) == 2);
    Stage behind;
    behind.serve(older);
    CHECK(tcb_of(behind.complete(newer.whole)) == newer.whole.tdx.tcb_info);
}

TEST_CASE("many submissions at once fetch each piece once") {
    const Made made = make("tdx+gpu-cc");
    Stage stage;
    stage.serve(made);
    const Bytes bare = document_of(made.bare);
    std::array<api::CompletedEvidence, 8> completed;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < completed.size(); ++i)
        threads.emplace_back(
            [&, i] { completed[i] = stage.service->complete(NodeId{i + 1}, bare); });
    for (std::thread& thread : threads) thread.join();
    for (const auto& one : completed) CHECK(one.bytes == completed[0].bytes);
    for (const char* path : {tcb_path, identity_path, pck_list_path, root_list_path})
        CHECK(stage.vendors.asked(path) == 1);
    CHECK(stage.vendors.asked(ocsp_path) == 5);
}

TEST_CASE("a responder that knows no leaf leaves the rest proven; one that revokes is believed") {
    const Made made = make("snp+gpu-cc");
    Stage stage;
    stage.serve(made);
    OcspParts unknown;
    unknown.status = V_OCSP_CERTSTATUS_UNKNOWN;
    stage.vendors.serve_ocsp(11, made.gpu->ocsp(made.gpu->device, 0, unknown));
    CHECK(stage.complete(made.bare).missing.empty());
    CHECK(stage.judged(made, made.bare).proven());
    OcspParts revoked;
    revoked.status = V_OCSP_CERTSTATUS_REVOKED;
    revoked.this_update = gpu_made_at + hours(13);
    revoked.next_update = gpu_made_at + hours(37);
    stage.vendors.serve_ocsp(13, made.gpu->ocsp(made.gpu->device, 2, revoked));
    stage.clock.pass(hours(14));  // past half of the answers' lives
    CHECK(stage.judged(made, made.bare).status == Status::refuted);
}

TEST_CASE("an answer that is over is used as long as the policy says, and no longer") {
    Made made = make("snp+gpu-cc");
    made.policy.nvidia.revocation_stale_max = hours(6);
    made.policy.age_max = days(7);
    Stage stage{[](CollateralOptions& options) { options.ocsp_stale_max = hours(6); }};
    stage.serve(made);
    CHECK(stage.judged(made, made.bare).proven());
    stage.vendors.fail_with(503);
    stage.clock.pass(hours(26));  // the answers ended three hours ago
    CHECK(stage.judged(made, made.bare).proven());
    stage.clock.pass(hours(4));
    CHECK(stage.judged(made, made.bare).status == Status::unknown);
}

TEST_CASE("one node cannot make the market ask without end") {
    const Made made = make("snp");
    Stage stage{[](CollateralOptions& options) { options.calls_per_node = {2, minutes(10)}; }};
    stage.serve(made);
    const auto completed = stage.complete(made.bare);
    CHECK(stage.vendors.asked() == 2);
    CHECK(joined_text(completed.missing).find("asked for too much") != std::string::npos);
    CHECK(stage.service->complete(NodeId{2}, completed.bytes).missing.empty());
}

TEST_CASE("memory is bounded: what was not used for longest goes first") {
    ManualClock clock;
    Metrics metrics;
    CollateralCache cache{clock, metrics, {3, 1'000}};
    int fetched = 0;
    const auto get = [&](const std::string& name, std::size_t size) {
        clock.pass(seconds(1));
        return cache.get(name, days(1), [&]() -> Result<CollateralPiece> {
            ++fetched;
            if (size == 0) return refuse(ErrorCode::not_found);
            return CollateralPiece{std::string(size, 'x'), {}, {}, {}, clock.now() + days(2)};
        });
    };
    for (const char* name : {"a", "b", "c", "a", "d"}) REQUIRE(get(name, 100));
    CHECK(cache.entries() == 3);
    CHECK(fetched == 4);
    REQUIRE(get("a", 100));
    CHECK(fetched == 4);  // used lately
    REQUIRE(get("b", 100));
    CHECK(fetched == 5);  // was not
    REQUIRE(get("e", 950));
    CHECK(cache.entries() == 1);
    CHECK(metrics.collateral_bytes.value() == 950);
    // What cannot be had is a name as well.
    for (const char* name : {"f", "g", "h", "i"}) CHECK_FALSE(get(name, 0));
    CHECK(cache.entries() == 3);
    CHECK(metrics.collateral_pieces.value() == 3);
}

TEST_CASE("a fetch that throws leaves nobody waiting") {
    ManualClock clock;
    Metrics metrics;
    CollateralCache cache{clock, metrics};
    for (int i = 0; i < 2; ++i) {
        const auto found = cache.get(
            "a", days(1), []() -> Result<CollateralPiece> { throw std::runtime_error{"broken"}; });
        REQUIRE_FALSE(found);
        CHECK(found.error().code == ErrorCode::upstream_failed);
    }
}

TEST_CASE("Intel's own answers, as recorded, are read to the byte") {
    const std::string folder = COCOON_SOURCE_DIR "/../shared/vectors/tdx/pcs/";
    const auto text = [&](const std::string& name) {
        std::ifstream in{folder + name, std::ios::binary};
        return std::string{std::istreambuf_iterator<char>{in}, {}};
    };
    if (text("tcb.json").empty()) {
        std::cout << "SKIPPED: no recorded answers at " << folder << '\n';
        return;
    }
    Vendors vendors;
    const char* files[] = {"tcb.json", "qe_identity.json", "pckcrl_platform.der",
                           "root_ca_crl.der"};
    const char* paths[] = {tcb_path, identity_path, pck_list_path, root_list_path};
    for (std::size_t i = 0; i < 4; ++i) {
        const auto record = nlohmann::json::parse(text(std::string{files[i]} + ".http.json"));
        net::Response response{200, {}, text(files[i])};
        for (const auto& [name, value] : record["headers"].items())
            if (name.ends_with("Issuer-Chain"))
                response.headers.add(name, value.get<std::string>());
        vendors.serve(paths[i], std::move(response));
    }
    ManualClock clock;
    clock.pass(*Instant::parse("2026-06-29T12:00:00Z") - tdx_made_at);
    Metrics metrics;
    CollateralOptions options;
    options.urls = vendors.urls();
    CollateralService service{options, clock, metrics};
    // The quote only says what to ask for.
    const auto completed = service.complete(NodeId{1}, document_of(make("tdx").bare));
    INFO(joined_text(completed.missing));
    CHECK(completed.missing.empty());
    const TdxCollateral tdx = read_bundle(completed.bytes).value().tdx;
    CHECK(text("tcb.json").find(tdx.tcb_info) != std::string::npos);
    CHECK(parse_tcb_info(tdx.tcb_info).value().evaluation_number >= 17);
    CHECK(as_text(tdx.root_ca_crl) == text("root_ca_crl.der"));
    CHECK(as_text(tdx.pck_crl) == text("pckcrl_platform.der"));
    // The right bytes: Intel's signature holds over them.
    for (const auto& [body, signature, chain] :
         {std::tuple{tdx.tcb_info, tdx.tcb_info_signature, tdx.tcb_info_issuer_chain},
          std::tuple{tdx.qe_identity, tdx.qe_identity_signature, tdx.qe_identity_issuer_chain}}) {
        const auto signers = certificates_from_pem(chain).value();
        CHECK(signers[0].public_key().verify_ecdsa(Hash::sha256, as_bytes(body), signature));
    }
}
