// Whole bundles under a PKI of the tests' own: what each tier proves, and that no part of one
// node's evidence can stand in for another's, an older one's or none at all.
#include "attestation/binding.hpp"
#include "attestation/bundle.hpp"
#include "attestation/platform.hpp"
#include "attestation/policy.hpp"
#include "tests/attestation/firmware_log_maker.hpp"
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/snp_maker.hpp"
#include "tests/attestation/tdx_maker.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

const Instant now = tdx_made_at;

ReportData data_of(std::uint8_t value) {
    ReportData data;
    data.fill(value);
    return data;
}

// A node: its CPU's and its GPU's evidence for one challenge, the policy that its makers suit.
struct Node {
    Bundle bundle;
    Policy policy;
};

void add_gpu(Node& node, const ReportData& data, const std::string& serial = "48B02D0000000001") {
    GpuMaker gpu{serial};
    gpu.report.nonce = gpu_nonce(data);
    node.bundle.gpus = {gpu.evidence()};
    node.bundle.nvidia = {gpu.manifests(), gpu.ocsp_responses(), {}};
    node.policy.nvidia = gpu.policy;
}

Node tdx_node(const ReportData& data, const EditTdx& edit = {}) {
    auto made = make_tdx([&](TdxParts& parts) {
        parts.report.report_data = data;
        if (edit) edit(parts);
    });
    Node node;
    node.bundle.cpu = TdxPart{made.quote, {}};
    node.bundle.tdx = made.collateral;
    node.policy.tdx = made.policy;
    return node;
}

Node snp_node(const ReportData& data) {
    SnpShape shape;
    shape.edit_report = [&](Bytes& report) {
        std::copy(data.begin(), data.end(), report.begin() + 0x50);
    };
    const auto made = make_snp(shape);
    Node node;
    node.bundle.cpu = SnpPart{made.report};
    node.bundle.snp = made.collateral;
    node.policy.snp = made.policy;
    return node;
}

Verdict judged(const Node& node, const std::string& tier, const ReportData& expected,
               Instant at = now) {
    const std::string document = write_bundle(node.bundle);
    return verify({tier, Bytes{document.begin(), document.end()}}, expected, node.policy, at)
        .value();
}

std::string failed(const Verdict& verdict) {
    std::string out;
    for (const Reason& reason : verdict.reasons)
        if (reason.outcome == Outcome::failed) out += (out.empty() ? "" : " ") + reason.code;
    return out;
}

const Reason* find(const Verdict& verdict, std::string_view code) {
    for (const Reason& reason : verdict.reasons)
        if (reason.code == code) return &reason;
    return nullptr;
}

}  // namespace

TEST_CASE("each tier of real hardware is proven by its own evidence") {
    const ReportData data = data_of(7);
    for (const std::string tier : {"tdx", "tdx+gpu-cc", "snp", "snp+gpu-cc"}) {
        Node node = tier.starts_with("tdx") ? tdx_node(data) : snp_node(data);
        const bool gpu = tier.ends_with("+gpu-cc");
        if (gpu) add_gpu(node, data);
        const Verdict verdict = judged(node, tier, data);
        INFO(tier << ": " << failed(verdict));
        REQUIRE(verdict.proven());
        CHECK(verdict.tier == tier);
        CHECK(verdict.measurement.size() == 96);
        CHECK(verdict.platform_id.size() == 64);
        CHECK(verdict.valid_until > now);
        CHECK(verdict.valid_until <= now + node.policy.age_max);
        CHECK(verdict.devices.size() == (gpu ? 1 : 0));
        // What no evidence proves is said, and changes nothing.
        const Reason* claim = find(verdict, "gpu_place");
        CHECK((claim != nullptr) == gpu);
        if (claim) CHECK(claim->outcome == Outcome::not_checked);
        if (tier.starts_with("tdx")) {
            CHECK(verdict.tcb_status == "UpToDate");
            CHECK(verdict.seen.tdx_evaluation_number == 20);
        } else {
            CHECK(verdict.measurement.starts_with("c3c3"));
        }
    }
}

TEST_CASE("evidence of another node, of an old challenge, swapped or missing: each its own code") {
    const ReportData data = data_of(7), other = data_of(8);
    struct Row {
        const char* codes;
        const char* tier;
        std::function<Node()> make;
    };
    const Row rows[] = {
        {"report_data", "tdx", [&] { return tdx_node(other); }},
        {"report_data", "snp", [&] { return snp_node(other); }},
        {"cpu_kind", "snp", [&] { return tdx_node(data); }},
        {"cpu_kind", "tdx+gpu-cc", [&] { return snp_node(data); }},
        {"gpu_evidence", "tdx+gpu-cc", [&] { return tdx_node(data); }},
        {"gpu_evidence", "tdx",
         [&] {
             Node node = tdx_node(data);
             add_gpu(node, data);
             return node;
         }},
        // The GPU of another node, or this one's of an older challenge: its nonce is another.
        {"gpu_0_nonce", "tdx+gpu-cc",
         [&] {
             Node node = tdx_node(data);
             add_gpu(node, other);
             return node;
         }},
        // One GPU shown twice.
        {"gpu_device_duplicate", "tdx+gpu-cc",
         [&] {
             Node node = tdx_node(data);
             add_gpu(node, data);
             node.bundle.gpus.push_back(node.bundle.gpus[0]);
             return node;
         }},
        {"cpu_debug", "tdx",
         [&] { return tdx_node(data, [](TdxParts& parts) { parts.report.td_attributes |= 1; }); }},
        {"measurement", "tdx",
         [&] {
             Node node = tdx_node(data);
             node.policy.accepted_measurements = {std::string(96, 'a')};
             return node;
         }},
        {"event_log", "tdx",
         [&] {
             Node node = tdx_node(data);
             std::get<TdxPart>(node.bundle.cpu).event_log = R"([{"imr":9}])";
             return node;
         }},
        {"firmware_log", "tdx",
         [&] {
             Node node = tdx_node(data);
             std::get<TdxPart>(node.bundle.cpu).firmware_log = {1, 2, 3};
             return node;
         }},
        {"cpu_firmware_log_rtmr0 cpu_firmware_log_rtmr1 cpu_firmware_log_rtmr2", "tdx",
         [&] {
             Node node = tdx_node(data);  // its registers are another firmware's
             std::get<TdxPart>(node.bundle.cpu).firmware_log = FirmwareLogMaker{}.make();
             return node;
         }},
    };
    for (const Row& row : rows) {
        const Verdict verdict = judged(row.make(), row.tier, data);
        INFO(row.tier);
        CHECK(failed(verdict) == row.codes);
        CHECK(verdict.status == Status::refuted);
        CHECK(verdict.valid_until == Instant{});
    }
}

TEST_CASE("without collateral nothing is refuted and nothing is proven") {
    const ReportData data = data_of(7);
    const auto unknown = [&](Node node, const std::string& tier) {
        const Verdict verdict = judged(node, tier, data);
        INFO(tier << ": " << failed(verdict));
        CHECK(verdict.status == Status::unknown);
        CHECK(verdict.first_failure() == nullptr);
        CHECK(verdict.valid_until == Instant{});
    };
    Node tdx = tdx_node(data);
    tdx.bundle.tdx = {};
    unknown(tdx, "tdx");
    Node snp = snp_node(data);
    snp.bundle.snp.revocation_list.clear();
    unknown(snp, "snp");
    Node gpu = tdx_node(data);
    add_gpu(gpu, data);
    gpu.bundle.nvidia.manifests.clear();
    unknown(gpu, "tdx+gpu-cc");
    gpu = tdx_node(data);
    add_gpu(gpu, data);
    gpu.bundle.nvidia.ocsp_responses.clear();
    unknown(gpu, "tdx+gpu-cc");
}

TEST_CASE("the vendor's own judgement may stand for the GPU's reports") {
    const ReportData data = data_of(7);
    Node node = tdx_node(data);
    GpuMaker gpu;
    const std::string nonce = "\"" + to_hex(gpu_nonce(data)) + "\"";
    gpu.answer.overall.claims["eat_nonce"] = nonce;
    for (auto& [name, token] : gpu.answer.devices) token.claims["eat_nonce"] = nonce;
    node.bundle.gpu_service = {gpu.answer_text(), gpu.key_set()};
    node.policy.nvidia_service = gpu.token_policy;
    const Verdict verdict = judged(node, "tdx+gpu-cc", data);
    INFO(failed(verdict));
    CHECK(verdict.proven());
    CHECK(verdict.devices ==
          std::vector<std::string>{"nvidia-certificate-01", "nvidia-certificate-02"});
    CHECK(verdict.gpus == 2);
    const Verdict replayed = [&] {
        Node old = tdx_node(data_of(8));
        old.bundle.gpu_service = node.bundle.gpu_service;
        old.policy = node.policy;
        return judged(old, "tdx+gpu-cc", data_of(8));
    }();
    // In the overall token and in each device's.
    CHECK(failed(replayed) ==
          "gpu_service_token_nonce gpu_service_token_nonce gpu_service_token_nonce");
}

TEST_CASE("what a verdict has seen keeps older collateral out") {
    const ReportData data = data_of(7);
    Node node = tdx_node(data);
    CollateralSeen seen = judged(node, "tdx", data).seen;
    node.policy = against_rollback(node.policy, seen);
    CHECK(judged(node, "tdx", data).proven());
    seen.tdx_evaluation_number = 21;
    node.policy = against_rollback(node.policy, seen);
    CHECK(failed(judged(node, "tdx", data)).find("rollback") != std::string::npos);
}

TEST_CASE("a firmware's log that replays to the quote's registers is part of the proof") {
    const ReportData data = data_of(7);
    const Bytes log = FirmwareLogMaker{}.make();
    Node node = tdx_node(data, [&](TdxParts& parts) {
        const Registers registers = replay(parse_firmware_log(log)->events);
        std::copy_n(registers.begin(), 3, parts.report.rtmr.begin());
    });
    std::get<TdxPart>(node.bundle.cpu).firmware_log = log;
    const Verdict verdict = judged(node, "tdx", data);
    INFO(failed(verdict));
    REQUIRE(verdict.proven());
    REQUIRE(find(verdict, "cpu_firmware_log_rtmr2") != nullptr);
    CHECK(find(verdict, "cpu_firmware_log_rtmr2")->outcome == Outcome::passed);
}

TEST_CASE("a bundle reads back as it was written, and only in its one shape") {
    const ReportData data = data_of(7);
    Node node = tdx_node(data);
    add_gpu(node, data);
    std::get<TdxPart>(node.bundle.cpu).event_log = "[]";
    std::get<TdxPart>(node.bundle.cpu).firmware_log = {1, 2, 3};
    const std::string document = write_bundle(node.bundle);
    const auto read = read_bundle(as_bytes(document));
    REQUIRE(read);
    CHECK(write_bundle(*read) == document);
    CHECK(read->tdx == node.bundle.tdx);
    CHECK(read->cpu == node.bundle.cpu);
    CHECK(read->nvidia == node.bundle.nvidia);
    const Node snp = snp_node(data);
    CHECK(write_bundle(*read_bundle(as_bytes(write_bundle(snp.bundle)))) ==
          write_bundle(snp.bundle));

    const char* refused[] = {
        "",
        "[]",
        "{}",
        R"({"version":2,"cpu":{"kind":"snp","report":""}})",
        R"({"version":1,"cpu":{"kind":"sgx","report":""}})",
        R"({"version":1,"cpu":{"kind":"snp"}})",
        R"({"version":1,"cpu":{"kind":"tdx"}})",
        R"({"version":1,"cpu":{"kind":"snp","report":"!"}})",
        R"({"version":1,"cpu":{"kind":"snp","report":"","more":1}})",
        R"({"version":1,"cpu":{"kind":"snp","report":""},"more":1})",
        R"({"version":1,"version":1,"cpu":{"kind":"snp","report":""}})",
        R"({"version":1,"cpu":{"kind":"snp","report":""},"gpus":{}})",
        R"({"version":1,"cpu":{"kind":"snp","report":""},"gpus":[{}]})",
        R"({"version":1,"cpu":{"kind":"snp","report":""},"gpu_service":{"answer":""}})",
        R"({"version":1,"cpu":{"kind":"snp","report":""},"collateral":{"sgx":{}}})",
        R"({"version":1,"cpu":{"kind":"snp","report":""},"collateral":{"snp":[]}})",
        R"({"version":1,"cpu":{"kind":"tdx","quote":"","event_log":7}})",
    };
    for (const char* text : refused) {
        INFO(text);
        const auto result = read_bundle(as_bytes(std::string_view{text}));
        REQUIRE_FALSE(result);
        CHECK(result.error().code == ErrorCode::malformed_request);
        CHECK_FALSE(result.error().detail.empty());
    }
    std::string many = R"({"version":1,"cpu":{"kind":"snp","report":""},"gpus":[)";
    for (std::size_t i = 0; i <= nvidia_devices_max; ++i)
        many += std::string{i ? "," : ""} + R"({"report":"","certificates":""})";
    CHECK_FALSE(read_bundle(as_bytes(many + "]}")));
    // Through the one entry it is a refuted verdict, not an error.
    const auto verdict = verify({"tdx", Bytes{'{'}}, data, Policy{}, now).value();
    CHECK(failed(verdict) == "bundle");
}

TEST_CASE("a GPU is one device, whether it shows itself or NVIDIA's service vouches for it") {
    const ReportData data = data_of(7);
    Node reporting = tdx_node(data);
    add_gpu(reporting, data);
    const Verdict reported = judged(reporting, "tdx+gpu-cc", data);
    REQUIRE(reported.proven());
    CHECK(reported.gpus == 1);
    CHECK(reported.devices == std::vector<std::string>{"nvidia-GH100-48B02D0000000001"});
    Node vouched = tdx_node(data);
    GpuMaker gpu;
    const std::string nonce = "\"" + to_hex(gpu_nonce(data)) + "\"";
    gpu.answer.devices.erase("GPU-2");
    gpu.answer.devices["GPU-1"].claims["ueid"] = "\"11\"";  // the leaf's serial, in decimal
    gpu.answer.overall.claims["eat_nonce"] = nonce;
    gpu.answer.devices["GPU-1"].claims["eat_nonce"] = nonce;
    vouched.bundle.gpu_service = {gpu.answer_text(), gpu.key_set()};
    vouched.policy.nvidia_service = gpu.token_policy;
    const Verdict told = judged(vouched, "tdx+gpu-cc", data);
    REQUIRE(told.proven());
    CHECK(told.devices == reported.device_certificates);
}
