// The collectors against machines that behave as the kernel and NVML are documented, with evidence
// made under the tests' own PKI: what they collect is what a verifier proves.
#include <dlfcn.h>
#include <linux/sev-guest.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "attestation/binding.hpp"
#include "attestation/policy.hpp"
#include "node/doctor_evidence.hpp"
#include "node/hardware_evidence.hpp"
#include "tests/attestation/firmware_log_maker.hpp"
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/snp_maker.hpp"
#include "tests/attestation/snp_table_maker.hpp"
#include "tests/attestation/tdx_maker.hpp"
#include "tests/catch.hpp"
#include "tests/node/fake_kernel.hpp"
#include "tests/node/fake_nvml.hpp"

using namespace cocoon;
using namespace cocoon::node;
using attestation::ReportData;
namespace made = cocoon::attestation::test;
using test::FakeKernel;
using test::FakeMachine;

namespace {

const Instant now = made::tdx_made_at;

ReportData data_of(std::uint8_t value) {
    ReportData data;
    data.fill(value);
    return data;
}

Bytes make_quote(const ReportData& data) {
    return made::make_tdx([&](made::TdxParts& parts) { parts.report.report_data = data; }).quote;
}

made::SnpEvidence make_snp(const ReportData& data) {
    made::SnpShape shape;
    shape.edit_report = [&](Bytes& report) {
        std::copy(data.begin(), data.end(), report.begin() + 0x50);
    };
    return made::make_snp(shape);
}

std::shared_ptr<FakeKernel> tdx_kernel() {
    auto kernel = std::make_shared<FakeKernel>();
    kernel->answer = make_quote;
    return kernel;
}

// The fake library in use: `machine` answers until the end of the test.
class Gpus {
public:
    FakeMachine machine;

    Gpus() : handle_{::dlopen(COCOON_FAKE_NVML, RTLD_NOW)} {
        REQUIRE(handle_ != nullptr);
        use(&machine);
    }
    ~Gpus() {
        use(nullptr);
        ::dlclose(handle_);
    }
    void add(const made::GpuMaker& maker) {
        test::FakeGpu gpu;
        gpu.report = [own = made::GpuMaker{maker}](const attestation::NvidiaNonce& nonce) mutable {
            own.report.nonce = nonce;
            return own.evidence().report;
        };
        gpu.certificates = maker.evidence().certificates;
        machine.gpus.push_back(gpu);
    }

private:
    void use(FakeMachine* given) {
        reinterpret_cast<test::UseFakeNvml>(::dlsym(handle_, "fake_nvml_use"))(given);
    }
    void* handle_;
};

CollectorSettings collectors_at(const FakeKernel& kernel) {
    CollectorSettings collectors;
    collectors.tsm_directory = kernel.directory();
    collectors.tdx_guest_device = collectors.sev_guest_device = kernel.directory() + "-none";
    collectors.nvml_library = COCOON_FAKE_NVML;
    collectors.firmware_log_file = kernel.directory() + "-none";
    return collectors;
}

std::string put(const test::ScratchDirectory& scratch, const std::string& name,
                const std::string& content) {
    const std::string path = scratch.path() + "/" + name;
    std::ofstream{path, std::ios::binary} << content;
    return path;
}

// Collateral as a bundle holds it, alone.
std::string collateral_document(attestation::Bundle bundle) {
    bundle.cpu = attestation::SnpPart{};
    bundle.gpus.clear();
    const std::string all = attestation::write_bundle(bundle);
    const std::string start = "\"collateral\":";
    const auto at = all.find(start) + start.size();
    return all.substr(at, all.size() - at - 1);
}

attestation::Verdict judged(const attestation::Evidence& evidence, const ReportData& data,
                            const attestation::Policy& policy) {
    return attestation::verify(evidence, data, policy, now).value();
}

std::string failures(const attestation::Verdict& verdict) {
    std::string out;
    for (const attestation::Reason& reason : verdict.reasons)
        if (reason.outcome == attestation::Outcome::failed) out += reason.code + " ";
    return out;
}

// As the driver of /dev/sev-guest answers.
int answer_ioctl(unsigned long request, void* argument, const Bytes& report, const Bytes& table) {
    auto* exchange = static_cast<snp_guest_request_ioctl*>(argument);
    auto* asked = reinterpret_cast<snp_ext_report_req*>(exchange->req_data);
    if (request != SNP_GET_EXT_REPORT || exchange->msg_version == 0 ||
        asked->certs_len % 4096 != 0 || asked->certs_len > 0x4000) {
        errno = EINVAL;
        return -1;
    }
    if (table.size() > asked->certs_len) {
        exchange->vmm_error = 1;  // SNP_GUEST_VMM_ERR_INVALID_LEN
        errno = EIO;
        return -1;
    }
    std::copy(table.begin(), table.end(), reinterpret_cast<std::uint8_t*>(asked->certs_address));
    auto* response = reinterpret_cast<snp_report_resp*>(exchange->resp_data);
    Bytes message;
    made::append_little(message, 0, 4);
    made::append_little(message, report.size(), 4);
    message.resize(32);
    message.insert(message.end(), report.begin(), report.end());
    std::memcpy(response->data, message.data(), message.size());
    return 0;
}

Health health_of(const std::vector<Check>& checks, const std::string& name) {
    for (const Check& check : checks)
        if (check.name == name) return check.health;
    FAIL("no check " << name);
    return Health::fail;
}

}  // namespace

TEST_CASE("each tier's evidence, as its collectors find it, is proven") {
    const ReportData data = data_of(7);
    const made::GpuMaker maker;
    for (const std::string tier : {"tdx", "tdx+gpu-cc", "snp", "snp+gpu-cc"}) {
        const bool gpu = tier.ends_with("+gpu-cc"), tdx = tier.starts_with("tdx");
        const test::ScratchDirectory scratch;
        attestation::Policy policy;
        policy.nvidia = maker.policy;
        attestation::Bundle collateral;
        auto kernel = tdx_kernel();
        if (tdx) {
            const auto evidence = made::make_tdx();
            policy.tdx = evidence.policy;
            collateral.tdx = evidence.collateral;
        } else {
            kernel->provider = "sev_guest";
            kernel->answer = [](const ReportData& asked) { return make_snp(asked).report; };
            kernel->auxiliary = [](const ReportData& asked) {
                return made::make_host_table(make_snp(asked).collateral);
            };
            policy.snp = make_snp(data).policy;
        }
        Gpus gpus;
        gpus.add(maker);
        if (gpu) collateral.nvidia = {maker.manifests(), maker.ocsp_responses(), {}};
        CollectorSettings collectors = collectors_at(*kernel);
        if (tdx || gpu)
            collectors.collateral_files = {
                put(scratch, "collateral.json", collateral_document(collateral))};
        HardwareEvidenceProvider provider{tier, collectors, {.files = kernel}};
        CHECK(provider.tier() == tier);
        const auto evidence = provider.collect(data, now);
        INFO(tier << ": " << (evidence ? "" : evidence.error().detail));
        REQUIRE(evidence);
        const auto verdict = judged(*evidence, data, policy);
        INFO(failures(verdict));
        CHECK(verdict.proven());
        CHECK(verdict.tier == tier);
        CHECK(verdict.devices.size() == (gpu ? 1 : 0));
        // It answers this challenge and no other.
        CHECK(failures(judged(*evidence, data_of(8), policy)).starts_with("report_data "));
        CHECK(kernel->open_directories() == 0);
        CHECK(gpus.machine.starts == (gpu ? 1 : 0));
        CHECK(gpus.machine.ends == gpus.machine.starts);
    }
}

TEST_CASE("without collateral the evidence is whole and its verdict unknown") {
    const ReportData data = data_of(7);
    const auto kernel = tdx_kernel();
    Gpus gpus;
    made::GpuMaker one{"48B02D0000000001"}, two{"48B02D0000000002"};
    two.device.links[0].parts.serial = 15;
    gpus.add(one);
    gpus.add(two);
    HardwareEvidenceProvider provider{"tdx+gpu-cc", collectors_at(*kernel), {.files = kernel}};
    const auto evidence = provider.collect(data, now);
    REQUIRE(evidence);
    const auto bundle = attestation::read_bundle(evidence->bytes);
    REQUIRE(bundle);
    CHECK(bundle->gpus.size() == 2);
    attestation::Policy policy;
    policy.tdx = made::make_tdx().policy;
    policy.nvidia = one.policy;
    policy.nvidia.device_roots.push_back(two.policy.device_roots[0]);
    const auto verdict = judged(*evidence, data, policy);
    INFO(failures(verdict));
    CHECK(verdict.status == attestation::Status::unknown);
    CHECK(verdict.first_failure() == nullptr);
}

TEST_CASE("a machine that is not what its tier says makes no evidence, and says why") {
    const ReportData data = data_of(7);
    struct Row {
        const char* why;
        const char* tier;
        ErrorCode code;
        const char* words;
        std::function<void(FakeKernel&, FakeMachine&, CollectorSettings&)> spoil;
    };
    using K = FakeKernel&;
    using M = FakeMachine&;
    using C = CollectorSettings&;
    const Row rows[] = {
        {"no configfs-tsm", "tdx", ErrorCode::not_found, "No such file",
         [](K, M, C collectors) { collectors.tsm_directory += "-none"; }},
        {"neither way to a report", "snp", ErrorCode::not_found, "No such file",
         [](K, M, C collectors) { collectors.tsm_directory += "-none"; }},
        {"another CPU", "snp", ErrorCode::wrong_state, "is tdx_guest", [](K, M, C) {}},
        {"the kernel refuses", "tdx", ErrorCode::internal_error, "outblob",
         [](K kernel, M, C) { kernel.answer = [](const ReportData&) { return Bytes{}; }; }},
        {"no quote", "tdx", ErrorCode::internal_error, "",
         [](K kernel, M, C) { kernel.answer = [](const ReportData&) { return Bytes(700); }; }},
        {"an older quote", "tdx", ErrorCode::internal_error, "another question",
         [](K kernel, M, C) {
             kernel.answer = [](const ReportData&) { return make_quote(data_of(6)); };
         }},
        {"somebody else writes", "tdx", ErrorCode::wrong_state, "from 0 to 2",
         [](K kernel, M, C) { kernel.strangers_writes = 1; }},
        {"no NVML", "tdx+gpu-cc", ErrorCode::not_found, "none.so",
         [](K, M, C collectors) { collectors.nvml_library = "/nonexistent/none.so"; }},
        {"a library that is not NVML", "tdx+gpu-cc", ErrorCode::not_found, "R550",
         [](K, M, C collectors) { collectors.nvml_library = "libc.so.6"; }},
        {"NVML does not start", "tdx+gpu-cc", ErrorCode::internal_error, "Driver Not Loaded",
         [](K, M machine, C) { machine.refuses["nvmlInit_v2"] = 9; }},
        {"no GPU", "tdx+gpu-cc", ErrorCode::wrong_state, "no GPU",
         [](K, M machine, C) { machine.gpus.clear(); }},
        {"more GPUs than a bundle holds", "tdx+gpu-cc", ErrorCode::internal_error, "33 GPUs",
         [](K, M machine, C) { machine.gpus.resize(33, machine.gpus[0]); }},
        {"confidential mode off", "tdx+gpu-cc", ErrorCode::wrong_state, "is off",
         [](K, M machine, C) { machine.feature = 0; }},
        {"developer tools", "tdx+gpu-cc", ErrorCode::wrong_state, "DevTools",
         [](K, M machine, C) { machine.developer_tools = 1; }},
        {"a simulated environment", "tdx+gpu-cc", ErrorCode::wrong_state, "production",
         [](K, M machine, C) { machine.environment = 1; }},
        {"switches", "tdx+gpu-cc", ErrorCode::wrong_state, "protected PCIe",
         [](K, M machine, C) { machine.multi_gpu_mode = 1; }},
        {"no state", "tdx+gpu-cc", ErrorCode::internal_error, "Not Supported",
         [](K, M machine, C) {
             machine.refuses["nvmlSystemGetConfComputeSettings"] = 3;
             machine.refuses["nvmlSystemGetConfComputeState"] = 3;
         }},
        {"no report", "tdx+gpu-cc", ErrorCode::internal_error, "report: Unknown Error",
         [](K, M machine, C) {
             machine.refuses["nvmlDeviceGetConfComputeGpuAttestationReport"] = 999;
         }},
        {"no certificates", "tdx+gpu-cc", ErrorCode::internal_error, "certificates",
         [](K, M machine, C) { machine.refuses["nvmlDeviceGetConfComputeGpuCertificate"] = 3; }},
        {"no event log", "tdx", ErrorCode::not_found, "log.json",
         [](K, M, C collectors) { collectors.event_log_file = "/nonexistent/log.json"; }},
        {"no collateral file", "tdx", ErrorCode::not_found, "none.json",
         [](K, M, C collectors) { collectors.collateral_files = {"/nonexistent/none.json"}; }},
    };
    const made::GpuMaker maker;
    for (const Row& row : rows) {
        INFO(row.why);
        const auto kernel = tdx_kernel();
        Gpus gpus;
        gpus.add(maker);
        CollectorSettings collectors = collectors_at(*kernel);
        row.spoil(*kernel, gpus.machine, collectors);
        HardwareEvidenceProvider provider{row.tier, collectors, {.files = kernel}};
        const auto evidence = provider.collect(data, now);
        REQUIRE_FALSE(evidence);
        INFO(evidence.error().detail);
        CHECK(evidence.error().code == row.code);
        CHECK(evidence.error().detail.find(row.words) != std::string::npos);
        CHECK(kernel->open_directories() == 0);
        CHECK(gpus.machine.ends == gpus.machine.starts);
    }
}

TEST_CASE("drivers without the newer settings are asked for their state") {
    Gpus gpus;
    gpus.machine.refuses["nvmlSystemGetConfComputeSettings"] = 25;
    gpus.machine.ready = 0;
    auto nvml = Nvml::open(COCOON_FAKE_NVML);
    REQUIRE(nvml);
    const auto mode = (*nvml)->mode();
    REQUIRE(mode);
    CHECK(mode->confidential);
    CHECK(mode->production);
    CHECK_FALSE(mode->ready);
    CHECK(check_confidential(*mode));
}

TEST_CASE("an older kernel's sev-guest device serves where configfs-tsm is missing") {
    const ReportData data = data_of(7);
    const auto snp = make_snp(data);
    const test::ScratchDirectory scratch;
    CollectorSettings collectors;
    collectors.tsm_directory = scratch.path() + "/none";
    collectors.sev_guest_device = put(scratch, "sev-guest", "");
    attestation::Policy policy;
    policy.snp = snp.policy;
    const auto collect = [&](const Bytes& report, const Bytes& table) {
        HardwareEvidenceProvider provider{
            "snp", collectors, {.call = [&](int, unsigned long request, void* argument) {
                return answer_ioctl(request, argument, report, table);
            }}};
        return provider.collect(data, now);
    };
    const auto evidence = collect(snp.report, made::make_host_table(snp.collateral));
    REQUIRE(evidence);
    CHECK(judged(*evidence, data, policy).proven());
    // A host without certificates: zeros; whoever judges fetches them.
    const auto bare = collect(snp.report, {});
    REQUIRE(bare);
    CHECK(judged(*bare, data, policy).status == attestation::Status::unknown);
    // A table that is no table is left out, as if there were none.
    CHECK(judged(*collect(snp.report, Bytes(512, 0xFF)), data, policy).status ==
          attestation::Status::unknown);
    const auto short_report = collect(Bytes(100), {});
    REQUIRE_FALSE(short_report);
    CHECK(short_report.error().detail.find("100 bytes") != std::string::npos);
    const auto refused = collect(snp.report, Bytes(0x4001));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::internal_error);
    CHECK(refused.error().detail.find("host 1") != std::string::npos);
}

TEST_CASE("an older TDX kernel's local report becomes a quote at the host's service") {
    const ReportData data = data_of(7);
    const test::ScratchDirectory scratch;
    CollectorSettings collectors;
    collectors.tsm_directory = scratch.path() + "/none";
    collectors.tdx_guest_device = put(scratch, "tdx_guest", "");
    // The driver: the report holds what was asked, in its own place.
    const DeviceCall driver = [](int, unsigned long request, void* argument) {
        auto* bytes = static_cast<std::uint8_t*>(argument);
        if (request != 0xC4405401) return errno = ENOTTY, -1;  // _IOWR('T', 1, 1088 bytes)
        std::copy_n(bytes, 64, bytes + 64 + 128);
        return 0;
    };
    // The service: answers what `answer` makes of the 64 bytes in the report it was sent.
    const auto collect = [&](const std::function<Bytes(const ReportData&)>& answer) {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        std::thread service{[&answer, end = ends[1]] {
            Bytes asked(4 + 16 + 8 + 1024);
            const auto got = ::recv(end, asked.data(), asked.size(), MSG_WAITALL);
            ReportData carried{};
            if (got == static_cast<ssize_t>(asked.size()) && asked[2] == 4 && asked[3] == 24)
                std::copy_n(asked.begin() + 28 + 128, 64, carried.begin());
            const Bytes message = answer(carried);
            ::send(end, message.data(), message.size(), MSG_NOSIGNAL);
            ::close(end);
        }};
        HardwareEvidenceProvider provider{
            "tdx", collectors, {.call = driver, .connect = [&] { return ends[0]; }}};
        auto evidence = provider.collect(data, now);
        service.join();
        return evidence;
    };
    const auto answered = [](const Bytes& quote, std::uint32_t error, std::uint32_t type) {
        Bytes out;
        const std::size_t size = 24 + quote.size();
        for (int shift = 24; shift >= 0; shift -= 8)
            out.push_back(static_cast<std::uint8_t>(size >> shift));
        for (const auto& [value, bytes] : {std::pair<std::size_t, int>{1, 2},
                                           {1, 2},
                                           {type, 4},
                                           {size, 4},
                                           {error, 4},
                                           {0, 4},
                                           {quote.size(), 4}})
            made::append_little(out, value, static_cast<std::size_t>(bytes));
        out.insert(out.end(), quote.begin(), quote.end());
        return out;
    };
    const auto evidence =
        collect([&](const ReportData& asked) { return answered(make_quote(asked), 0, 1); });
    REQUIRE(evidence);
    attestation::Policy policy;
    policy.tdx = made::make_tdx().policy;
    const auto verdict = judged(*evidence, data, policy);
    CHECK(verdict.status == attestation::Status::unknown);  // only its collateral is missing
    CHECK(verdict.first_failure() == nullptr);

    struct Row {
        ErrorCode code;
        const char* words;
        std::function<Bytes(const ReportData&)> answer;
    };
    const Row rows[] = {
        {ErrorCode::node_unavailable, "hung up", [](const ReportData&) { return Bytes{}; }},
        {ErrorCode::node_unavailable, "hung up",
         [](const ReportData&) {
             return Bytes{0, 0, 1};
         }},
        {ErrorCode::internal_error, "announces", [](const ReportData&) { return Bytes(4, 0xFF); }},
        {ErrorCode::internal_error, "not understood",
         [](const ReportData&) { return Bytes{0, 0, 0, 2, 1, 0}; }},
        {ErrorCode::internal_error, "error 69634",
         [&](const ReportData&) { return answered({}, 0x11002, 1); }},
        {ErrorCode::internal_error, "not understood",
         [&](const ReportData& asked) { return answered(make_quote(asked), 0, 3); }},
        {ErrorCode::internal_error, "another length",
         [&](const ReportData& asked) {
             Bytes message = answered(make_quote(asked), 0, 1);
             message[4 + 16] = 1;  // a selected id that is not there
             return message;
         }},
        {ErrorCode::internal_error, "another question",
         [&](const ReportData&) { return answered(make_quote(data_of(8)), 0, 1); }},
    };
    for (const Row& row : rows) {
        const auto refused = collect(row.answer);
        REQUIRE_FALSE(refused);
        INFO(refused.error().detail);
        CHECK(refused.error().code == row.code);
        CHECK(refused.error().detail.find(row.words) != std::string::npos);
    }
    HardwareEvidenceProvider alone{"tdx", collectors, {.call = driver, .connect = [] {
                                                           errno = ECONNRESET;
                                                           return -1;
                                                       }}};
    CHECK(alone.collect(data, now).error().code == ErrorCode::node_unavailable);
}

TEST_CASE("files that nobody would accept are named, not sent") {
    const ReportData data = data_of(7);
    const test::ScratchDirectory scratch;
    const auto kernel = tdx_kernel();
    const auto refused = [&](CollectorSettings collectors) {
        HardwareEvidenceProvider provider{"tdx", collectors, {.files = kernel}};
        const auto evidence = provider.collect(data, now);
        REQUIRE_FALSE(evidence);
        CHECK(evidence.error().detail.find(scratch.path()) != std::string::npos);
        return evidence.error().code;
    };
    CollectorSettings collectors = collectors_at(*kernel);
    collectors.event_log_file = put(scratch, "log.json", "{}");
    CHECK(refused(collectors) == ErrorCode::malformed_request);
    collectors.event_log_file = put(scratch, "log.json", std::string((1 << 20) + 1, ' '));
    CHECK(refused(collectors) == ErrorCode::body_too_large);
    collectors.event_log_file.clear();
    collectors.collateral_files = {put(scratch, "collateral.json", R"({"sgx":{}})")};
    CHECK(refused(collectors) == ErrorCode::malformed_request);

    collectors.collateral_files.clear();
    collectors.event_log_file = put(scratch, "log.json", "[]");
    HardwareEvidenceProvider provider{"tdx", collectors, {.files = kernel}};
    const auto evidence = provider.collect(data, now);
    REQUIRE(evidence);
    const auto bundle = attestation::read_bundle(evidence->bytes);
    REQUIRE(bundle);
    CHECK(std::get<attestation::TdxPart>(bundle->cpu).event_log == "[]");
}

TEST_CASE("the firmware's event log goes along where it says what the quote holds") {
    const ReportData data = data_of(7);
    const test::ScratchDirectory scratch;
    const auto log = made::FirmwareLogMaker{}.make();
    const auto whole = attestation::parse_firmware_log(log);
    REQUIRE(whole);
    const auto kernel = std::make_shared<test::FakeKernel>();
    kernel->answer = [&](const ReportData& asked) {
        return made::make_tdx([&](made::TdxParts& parts) {
                   parts.report.report_data = asked;
                   const auto registers = attestation::replay(whole->events);
                   std::copy_n(registers.begin(), 3, parts.report.rtmr.begin());
               })
            .quote;
    };
    const auto sent = [&](const std::string& content) {
        CollectorSettings collectors = collectors_at(*kernel);
        collectors.firmware_log_file =
            content.empty() ? scratch.path() + "/none" : put(scratch, "CCEL", content);
        HardwareEvidenceProvider provider{"tdx", collectors, {.files = kernel}};
        const auto evidence = provider.collect(data, now);
        REQUIRE(evidence);
        const auto bundle = attestation::read_bundle(evidence->bytes);
        REQUIRE(bundle);
        return std::get<attestation::TdxPart>(bundle->cpu).firmware_log;
    };
    const std::string area{as_text(log)};
    CHECK(sent(area) == Bytes(log.begin(), log.begin() + static_cast<long>(whole->used_bytes)));
    // It explains, and proves nothing more: where it does not fit, evidence goes without it.
    CHECK(sent("").empty());
    CHECK(sent("junk").empty());
    CHECK(sent(area + std::string(attestation::firmware_log_bytes_max, '\xFF')).empty());
    made::FirmwareLogMaker other;
    other.events.pop_back();
    other.events.pop_back();
    CHECK(sent(std::string{as_text(other.make())}).empty());
}

TEST_CASE("doctor makes evidence and says what a verifier would") {
    const made::GpuMaker maker;
    const auto kernel = tdx_kernel();
    Gpus gpus;
    gpus.add(maker);
    attestation::Policy policy;
    policy.nvidia = maker.policy;
    policy.tdx = made::make_tdx().policy;
    const test::ScratchDirectory scratch;
    CollectorSettings collectors = collectors_at(*kernel);
    const auto examined = [&] {
        HardwareEvidenceProvider provider{"tdx+gpu-cc", collectors, {.files = kernel}};
        return examine_evidence(provider, policy, now);
    };
    auto checks = examined();
    CHECK(health_of(checks, "evidence.collect") == Health::pass);
    CHECK(health_of(checks, "evidence.verdict") == Health::warn);
    CHECK(checks[1].found.find("cpu_") != std::string::npos);
    CHECK(checks[1].found.find("gpu_place") == std::string::npos);

    attestation::Bundle collateral;
    collateral.tdx = made::make_tdx().collateral;
    collateral.nvidia = {maker.manifests(), maker.ocsp_responses(), {}};
    collectors.collateral_files = {put(scratch, "c.json", collateral_document(collateral))};
    checks = examined();
    CHECK(health_of(checks, "evidence.verdict") == Health::pass);
    CHECK(checks[1].found.find("UpToDate") != std::string::npos);

    policy.tdx = {};  // Intel's own root: the tests' is refused
    CHECK(health_of(examined(), "evidence.verdict") == Health::fail);
    collectors.tsm_directory += "-none";
    checks = examined();
    REQUIRE(checks.size() == 1);
    CHECK(checks[0].health == Health::fail);
    CHECK(checks[0].remedy.find("6.7") != std::string::npos);
}

TEST_CASE("doctor asks the driver for version, mode, readiness and VBIOS") {
    struct Row {
        const char* check;
        Health health;
        std::function<void(FakeMachine&)> spoil;
    };
    const Row rows[] = {
        {"gpu.library", Health::pass, [](FakeMachine&) {}},
        {"gpu.driver", Health::pass, [](FakeMachine&) {}},
        {"gpu.mode", Health::pass, [](FakeMachine&) {}},
        {"gpu.ready", Health::pass, [](FakeMachine&) {}},
        {"gpu.vbios", Health::pass, [](FakeMachine&) {}},
        {"gpu.library", Health::fail, [](FakeMachine& m) { m.refuses["nvmlInit_v2"] = 9; }},
        {"gpu.driver", Health::fail, [](FakeMachine& m) { m.driver_version = "535.104.05"; }},
        {"gpu.driver", Health::fail,
         [](FakeMachine& m) { m.refuses["nvmlSystemGetDriverVersion"] = 1; }},
        {"gpu.mode", Health::fail, [](FakeMachine& m) { m.feature = 0; }},
        {"gpu.mode", Health::fail, [](FakeMachine& m) { m.developer_tools = 1; }},
        {"gpu.mode", Health::fail,
         [](FakeMachine& m) { m.refuses["nvmlSystemGetConfComputeGpusReadyState"] = 3; }},
        {"gpu.ready", Health::warn, [](FakeMachine& m) { m.ready = 0; }},
        {"gpu.vbios", Health::fail, [](FakeMachine& m) { m.gpus.clear(); }},
        {"gpu.vbios", Health::fail,
         [](FakeMachine& m) { m.gpus[0].vbios_version = std::string(200, '9'); }},
    };
    for (const Row& row : rows) {
        INFO(row.check << " " << to_text(row.health));
        Gpus gpus;
        gpus.machine.gpus.resize(1);
        row.spoil(gpus.machine);
        const auto checks = examine_gpus(COCOON_FAKE_NVML);
        CHECK(health_of(checks, row.check) == row.health);
        for (const Check& check : checks)
            CHECK(check.remedy.empty() == (check.health == Health::pass));
    }
    CHECK(health_of(examine_gpus("/nonexistent/none.so"), "gpu.library") == Health::fail);
}

TEST_CASE("doctor says which vendor cannot be reached") {
    const test::EngineThread anyone;
    const auto checks = examine_collateral({anyone.url() + "/nothing", "http://127.0.0.1:1/"});
    REQUIRE(checks.size() == 2);
    CHECK(checks[0].health == Health::pass);
    CHECK(checks[1].health == Health::warn);
    CHECK_FALSE(checks[1].remedy.empty());
    CHECK(collateral_urls("simulated").empty());
    CHECK(collateral_urls("tdx").size() == 1);
    CHECK(collateral_urls("snp+gpu-cc").size() == 3);
}
