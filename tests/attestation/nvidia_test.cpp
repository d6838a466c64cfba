// NVIDIA reports under the test's own roots: everything right is proven, and each thing that is
// wrong is refused under its own code.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/reasons.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

const Reason* failure(const std::vector<Reason>& reasons) {
    for (const Reason& reason : reasons)
        if (reason.outcome == Outcome::failed) return &reason;
    return nullptr;
}

NvidiaResult judged(const GpuMaker& gpu) {
    return verify_nvidia(gpu.evidence(), GpuMaker::nonce(), gpu.collateral(), gpu.policy,
                         gpu_made_at);
}

}  // namespace

TEST_CASE("a report with chain, manifests and revocation answers is proven") {
    const GpuMaker gpu;
    const NvidiaResult result = judged(gpu);
    INFO(text_of(result.reasons));
    REQUIRE(result.status == Status::proven);
    CHECK(result.acceptable());
    CHECK(failure(result.policy_reasons) == nullptr);
    CHECK(result.driver_version == "570.86");
    CHECK(result.vbios_version == "96.00.A5.00.01");
    CHECK(result.firmware_id_checked);
    CHECK(result.identity.product == "GH100");
    CHECK(result.identity.leaf_serial == "0b");
    CHECK(result.identity.platform_id() == "nvidia-GH100-48B02D0000000001");
    CHECK(result.certificates.front() == "CN=GH100 A01 GSP FMC LF");
    CHECK(result.report->mode() == NvidiaMode::single_passthrough);
    CHECK(result.comparison.golden.size() == 40);
    CHECK(result.valid_until == gpu_made_at + hours(23));  // the answers about revocation end first
}

TEST_CASE("what no report proves stands beside every verdict, proven or not") {
    const GpuMaker gpu;
    for (const NvidiaResult& result : {judged(gpu), verify_nvidia({}, {}, {}, {}, gpu_made_at)}) {
        REQUIRE(result.not_proven.size() == 4);
        for (const char* code : {"gpu_place", "gpu_mode", "gpu_workload", "gpu_uniqueness"})
            CHECK(has(result.not_proven, code, Outcome::not_checked));
    }
}

TEST_CASE("both generations' firmware extension is read") {
    GpuMaker gpu;
    gpu.device.links[0].parts.extensions[0] = {"2.23.133.5.4.1.1", tcb_info(firmware_digest())};
    CHECK(judged(gpu).acceptable());
}

TEST_CASE("each thing that is wrong with evidence has its own code") {
    struct Row {
        const char* code;
        std::function<void(GpuMaker&)> spoil;
    };
    const auto leaf = [](GpuMaker& gpu) -> CertificateParts& { return gpu.device.links[0].parts; };
    const auto flip = [](std::string& text, std::string_view at) {
        char& c = text[text.find(at) + at.size()];
        c = c == '0' ? '1' : '0';
    };
    const Row rows[] = {
        {"nonce", [](GpuMaker& gpu) { gpu.report.nonce[0] ^= 1; }},
        {"report_format", [](GpuMaker& gpu) { gpu.report.trailing = {0}; }},
        {"report_format", [](GpuMaker& gpu) { gpu.report.request_head = hex("12e001ff"); }},
        {"report_format", [](GpuMaker& gpu) { gpu.report.request_head = hex("11e000ff"); }},
        {"report_format", [](GpuMaker& gpu) { gpu.report.request_head = hex("11e00101"); }},
        {"report_format", [](GpuMaker& gpu) { gpu.report.response_head = hex("117f0000"); }},
        {"report_format", [](GpuMaker& gpu) { gpu.report.measurements[41] = Bytes(32, 1); }},
        {"report_format", [](GpuMaker& gpu) { gpu.report.measurements[0] = Bytes(48, 1); }},
        {"report_format",
         [](GpuMaker& gpu) { gpu.report.opaque.push_back(gpu.report.opaque.front()); }},
        {"root_not_pinned", [](GpuMaker& gpu) { gpu.policy.device_roots = {gpu.signer.pin()}; }},
        {"root_not_pinned",
         [](GpuMaker& gpu) { gpu.policy.device_roots = NvidiaPolicy{}.device_roots; }},
        {"certificate_expired",
         [&](GpuMaker& gpu) { leaf(gpu).not_after = gpu_made_at - seconds(1); }},
        {"certificate_not_yet_valid",
         [&](GpuMaker& gpu) { leaf(gpu).not_before = gpu_made_at + seconds(1); }},
        {"key_usage", [&](GpuMaker& gpu) { leaf(gpu).key_usage = "critical,keyAgreement"; }},
        {"key_usage",
         [](GpuMaker& gpu) { gpu.device.links[1].parts.key_usage = "critical,digitalSignature"; }},
        {"leaf_is_a_ca", [&](GpuMaker& gpu) { leaf(gpu).basic_constraints = "critical,CA:TRUE"; }},
        {"not_a_ca",
         [](GpuMaker& gpu) { gpu.device.links[1].parts.basic_constraints = "critical,CA:FALSE"; }},
        {"path_length",
         [](GpuMaker& gpu) {
             gpu.device.links[2].parts.basic_constraints = "critical,CA:TRUE,pathlen:0";
         }},
        {"firmware_id", [](GpuMaker& gpu) { gpu.report.field(NvidiaField::firmware_id)[7] ^= 1; }},
        {"firmware_id",
         [](GpuMaker& gpu) { gpu.report.field(NvidiaField::firmware_id).pop_back(); }},
        {"firmware_id", [&](GpuMaker& gpu) { leaf(gpu).extensions[0].second = hex("3000"); }},
        {"firmware_id",
         [&](GpuMaker& gpu) {
             leaf(gpu).extensions.push_back({"2.23.133.5.4.1.1", tcb_info(Bytes(48, 7))});
         }},
        {"measurements", [](GpuMaker& gpu) { gpu.report.measurements[3][0] ^= 1; }},
        {"measurements", [](GpuMaker& gpu) { gpu.report.measurements.erase(30); }},
        {"measurement_contested", [](GpuMaker& gpu) { gpu.vbios.golden[25].active = true; }},
        {"driver_manifest_digest",
         [&](GpuMaker& gpu) {
             gpu.driver.edit = [&](std::string& text) { flip(text, "Hash0=\""); };
         }},
        {"vbios_manifest_digest",
         [](GpuMaker& gpu) {
             gpu.vbios.edit = [](std::string& text) {
                 text.replace(text.find("active=\"True\""), 13, "active=\"False\"");
             };
         }},
        {"driver_manifest_signature",
         [&](GpuMaker& gpu) {
             gpu.driver.edit = [&](std::string& text) { flip(text, "<ds:SignatureValue>"); };
         }},
        {"driver_manifest_root_not_pinned",
         [](GpuMaker& gpu) { gpu.policy.manifest_roots = {gpu.device.pin()}; }},
        {"vbios_manifest_certificate_expired",
         [](GpuMaker& gpu) { gpu.signer.links[0].parts.not_after = gpu_made_at - seconds(1); }},
        {"driver_manifest_key_usage",
         [](GpuMaker& gpu) { gpu.signer.links[0].parts.key_usage = "critical,keyAgreement"; }},
    };
    for (const Row& row : rows) {
        GpuMaker gpu;
        row.spoil(gpu);
        const NvidiaResult result = judged(gpu);
        INFO(row.code << " at row " << &row - rows << "\n" << text_of(result.reasons));
        CHECK(result.status == Status::refuted);
        CHECK(has(result.reasons, row.code, Outcome::failed));
        CHECK(result.valid_until == Instant{});
        CHECK_FALSE(result.acceptable());
    }
}

TEST_CASE("a chain in another order, with another member or from another device is refused") {
    const GpuMaker gpu, other;
    const auto made = gpu.device.make(), others = other.device.make();
    const NvidiaCollateral collateral = gpu.collateral();
    struct Row {
        const char* code;
        std::vector<Bytes> chain;
    };
    const Row rows[] = {
        {"root_not_pinned", {made[3], made[2], made[1], made[0]}},
        {"chain_order", {made[0], made[2], made[1], made[3]}},
        {"chain_order", {made[0], made[1], made[3]}},
        {"root_not_pinned", {made[0], made[1], made[2]}},
        {"certificate_signature", {others[0], made[1], made[2], made[3]}},
        {"chain_short", {made[0]}},
        {"report_signature", {made[1], made[2], made[3]}},
        {"leaf_is_a_ca", {made[1], made[2], made[3]}},
    };
    for (const Row& row : rows) {
        NvidiaEvidence evidence = gpu.evidence();
        evidence.certificates.clear();
        for (const Bytes& der : row.chain) evidence.certificates += pem_of(der);
        const NvidiaResult result =
            verify_nvidia(evidence, GpuMaker::nonce(), collateral, gpu.policy, gpu_made_at);
        INFO(row.code << " at row " << &row - rows << "\n" << text_of(result.reasons));
        CHECK(result.status == Status::refuted);
        CHECK(has(result.reasons, row.code, Outcome::failed));
        CHECK_FALSE(result.report.has_value());
    }
    for (const std::string& text :
         {std::string{}, std::string{"-----BEGIN"}, std::string(20'000, 'A')}) {
        const NvidiaResult result = verify_nvidia({gpu.evidence().report, text}, GpuMaker::nonce(),
                                                  collateral, gpu.policy, gpu_made_at);
        CHECK(result.status == Status::refuted);
        CHECK(has(result.reasons, "certificate_format", Outcome::failed));
    }
}

TEST_CASE("missing collateral leaves the status unknown, neither proven nor refuted") {
    const GpuMaker gpu;
    struct Row {
        const char* code;
        std::function<void(NvidiaCollateral&)> remove;
    };
    const Row rows[] = {
        {"driver_manifest_missing", [](auto& all) { all.manifests.erase(all.manifests.begin()); }},
        {"vbios_manifest_missing", [](auto& all) { all.manifests.pop_back(); }},
        {"revocation_missing", [](auto& all) { all.revocation = {}; }},
        {"driver_manifest_revocation_missing",
         [](auto& all) { all.revocation.responses.pop_back(); }},
        {"driver_manifest_missing", [](auto& all) { all.manifests[0].product = "GB100"; }},
        {"driver_manifest_missing", [](auto& all) { all.manifests[0].version = "570.87"; }},
    };
    for (const Row& row : rows) {
        NvidiaCollateral collateral = gpu.collateral();
        row.remove(collateral);
        const NvidiaResult result =
            verify_nvidia(gpu.evidence(), GpuMaker::nonce(), collateral, gpu.policy, gpu_made_at);
        INFO(row.code << "\n" << text_of(result.reasons));
        CHECK(result.status == Status::unknown);
        CHECK(has(result.reasons, row.code, Outcome::not_checked));
        CHECK(result.valid_until == Instant{});
        CHECK_FALSE(result.acceptable());
        CHECK_FALSE(has(result.reasons, "measurements", Outcome::failed));
    }
    // One manifest is enough to refute, and never enough to prove.
    GpuMaker changed;
    changed.report.measurements[3][0] ^= 1;  // the VBIOS manifest's
    NvidiaCollateral half = changed.collateral();
    half.manifests.erase(half.manifests.begin());
    const NvidiaResult refuted =
        verify_nvidia(changed.evidence(), GpuMaker::nonce(), half, changed.policy, gpu_made_at);
    CHECK(refuted.status == Status::refuted);
    CHECK(has(refuted.reasons, "measurements", Outcome::failed));
    NvidiaPolicy lenient = gpu.policy;
    lenient.manifests_required = lenient.revocation_required = false;
    const NvidiaResult result =
        verify_nvidia(gpu.evidence(), GpuMaker::nonce(), {}, lenient, gpu_made_at);
    CHECK(result.status == Status::proven);
    CHECK(has(result.reasons, "driver_manifest_missing", Outcome::not_checked));
    CHECK(result.valid_until == gpu_keys_until);
}

TEST_CASE("of several manifests for one version the genuine one that matches is taken") {
    GpuMaker gpu;
    GpuMaker other_board;
    other_board.signer = gpu.signer;
    other_board.vbios.golden[4].values = {Bytes(48, 0x77)};
    GpuMaker forger;  // of other roots
    NvidiaCollateral collateral = gpu.collateral();
    const auto add = [&](const GpuMaker& maker) {
        const auto theirs = maker.manifests();
        collateral.manifests.insert(collateral.manifests.begin(),
                                    parse_nvidia_manifest(theirs[1]).value());
    };
    add(other_board);
    add(forger);
    const NvidiaResult result =
        verify_nvidia(gpu.evidence(), GpuMaker::nonce(), collateral, gpu.policy, gpu_made_at);
    INFO(text_of(result.reasons));
    CHECK(result.acceptable());
    gpu.report.measurements[5] = Bytes(48, 0x55);  // neither board's
    CHECK(has(verify_nvidia(gpu.evidence(), GpuMaker::nonce(), collateral, gpu.policy, gpu_made_at)
                  .reasons,
              "measurements", Outcome::failed));
}

TEST_CASE("the video decoder's measurement counts only where the decoder is enabled") {
    GpuMaker gpu;
    gpu.report.measurements[36] = Bytes(48, 0x99);  // index 35 from zero
    CHECK(judged(gpu).acceptable());
    gpu.report.field(NvidiaField::nvdec0_status) = hex("aa");
    CHECK(judged(gpu).comparison.mismatched == std::vector<std::uint16_t>{35});
    gpu.report.erase(NvidiaField::nvdec0_status);
    CHECK(judged(gpu).status == Status::refuted);
}

TEST_CASE("each knob of the policy refuses on its own, and says nothing about being genuine") {
    struct Row {
        const char* code;
        std::function<void(GpuMaker&)> turn;
        bool accepted = false;
    };
    const Row rows[] = {
        {"product_accepted", [](GpuMaker& gpu) { gpu.policy.products = {"GB100"}; }},
        {"product_accepted",
         [](GpuMaker& gpu) {
             gpu.policy.products = {"GB100", "GH100"};
         },
         true},
        {"firmware_id_present",
         [](GpuMaker& gpu) {
             gpu.policy.firmware_id_required = true;
             gpu.report.erase(NvidiaField::firmware_id);
         }},
        {"driver_version_min", [](GpuMaker& gpu) { gpu.policy.driver_version_min = "570.86.1"; }},
        {"driver_version_min", [](GpuMaker& gpu) { gpu.policy.driver_version_min = "1000"; }},
        {"driver_version_min", [](GpuMaker& gpu) { gpu.policy.driver_version_min = "570.86"; },
         true},
        {"driver_version_min", [](GpuMaker& gpu) { gpu.policy.driver_version_min = "99.9.9"; },
         true},
        {"version_denied", [](GpuMaker& gpu) { gpu.policy.denied_versions = {"570.86"}; }},
        {"version_denied", [](GpuMaker& gpu) { gpu.policy.denied_versions = {"96.00.a5.00.01"}; }},
        {"device_denied",
         [](GpuMaker& gpu) { gpu.policy.denied_devices = {"nvidia-GH100-48B02D0000000001"}; }},
        {"device_denied", [](GpuMaker& gpu) { gpu.policy.denied_devices = {"0b"}; }},
        {"mode_accepted", [](GpuMaker& gpu) { gpu.policy.modes = {NvidiaMode::protected_pcie}; }},
        {"mode_accepted",
         [](GpuMaker& gpu) { gpu.policy.modes = {NvidiaMode::single_passthrough}; }, true},
        {"mode_accepted",
         [](GpuMaker& gpu) {
             gpu.policy.modes = {NvidiaMode::single_passthrough};
             gpu.report.erase(NvidiaField::feature_flag);
         }},
    };
    for (const Row& row : rows) {
        GpuMaker gpu;
        row.turn(gpu);
        const NvidiaResult result = judged(gpu);
        INFO(row.code << " at row " << &row - rows << "\n" << text_of(result.policy_reasons));
        CHECK(result.status == Status::proven);
        CHECK(result.acceptable() == row.accepted);
        CHECK(
            has(result.policy_reasons, row.code, row.accepted ? Outcome::passed : Outcome::failed));
    }
}

TEST_CASE("the policy that stands by default pins NVIDIA's roots") {
    const NvidiaPolicy policy;
    CHECK(policy.device_roots ==
          std::vector<std::string>{
              "a90c4eb5acfd3e3d03a25db6a26b84f720ad0503196c627c21ddd48dd85b06a4"});
    CHECK(policy.manifest_roots ==
          std::vector<std::string>{
              "dec1dc316477aa851eebdf51327ae9f864bc8d89254657ed1e7eb9168af1e1a3"});
    CHECK(policy.manifests_required);
    CHECK(policy.revocation_required);
}

TEST_CASE("a node's devices: all judged, none twice") {
    const GpuMaker first;
    GpuMaker second{"48B02D0000000002"};
    second.device.links[1] = first.device.links[1];  // one test PKI for both
    second.device.links[2] = first.device.links[2];
    second.device.links[3] = first.device.links[3];
    second.device.links[0].parts.serial = 15;
    NvidiaPolicy policy = first.policy;
    const NvidiaCollateral collateral = first.collateral();
    const auto node = [&](std::vector<NvidiaEvidence> evidence) {
        return verify_nvidia_node(evidence, GpuMaker::nonce(), collateral, policy, gpu_made_at);
    };
    const NvidiaNodeResult both = node({first.evidence(), second.evidence()});
    CHECK(both.acceptable());
    CHECK(both.devices.size() == 2);
    CHECK(both.valid_until == gpu_made_at + hours(23));
    CHECK(node({}).status == Status::refuted);
    CHECK(has(node({}).reasons, "device_count", Outcome::failed));
    const NvidiaNodeResult twice = node({first.evidence(), second.evidence(), first.evidence()});
    CHECK(twice.status == Status::refuted);
    CHECK(has(twice.reasons, "device_duplicate", Outcome::failed));
    NvidiaEvidence old = second.evidence();
    old.report[10] ^= 1;
    CHECK(node({first.evidence(), old}).status == Status::refuted);
    CHECK(node(std::vector<NvidiaEvidence>(nvidia_devices_max + 1)).devices.empty());
}

TEST_CASE("GPUs in protected PCIe mode come with the switches they are connected to") {
    const Bytes fabric = hex("0102030405060708"), written_by_gpu = hex("0807060504030201");
    GpuMaker gpu;
    gpu.report.field(NvidiaField::feature_flag) = hex("0200");
    gpu.report.field(NvidiaField::switch_pdi) =
        joined({written_by_gpu, Bytes(8, 0), written_by_gpu});
    GpuMaker nvswitch;
    nvswitch.signer = gpu.signer;
    nvswitch.device.links[1] = gpu.device.links[1];
    nvswitch.device.links[2] = gpu.device.links[2];
    nvswitch.device.links[3] = gpu.device.links[3];
    nvswitch.device.links[0].parts.serial = 16;
    nvswitch.device.links[0].parts.common_name = "LS_10 A01 FSP FMC LF";
    nvswitch.device.links[0].parts.extensions = {{"2.5.29.17", device_name("NVIDIA:LS_10:48B0")}};
    nvswitch.report.opaque = {{NvidiaField::vbios_version, Bytes{'9', '6', '.', '1'}},
                              {NvidiaField::switch_pdi, fabric}};
    nvswitch.vbios.version = "96.1";
    nvswitch.vbios.product = "LS10";
    for (GoldenParts& one : nvswitch.vbios.golden) one.active = true;
    NvidiaCollateral collateral = gpu.collateral();
    collateral.manifests.push_back(parse_nvidia_manifest(nvswitch.manifests()[1]).value());
    collateral.revocation.responses.push_back(
        OcspResponse::from_der(nvswitch.ocsp(nvswitch.device, 0, {})).value());
    const auto node = [&](std::vector<NvidiaEvidence> evidence) {
        return verify_nvidia_node(evidence, GpuMaker::nonce(), collateral, gpu.policy, gpu_made_at);
    };
    const NvidiaNodeResult whole = node({gpu.evidence(), nvswitch.evidence()});
    INFO(text_of(whole.devices[1].reasons) << text_of(whole.policy_reasons));
    CHECK(whole.acceptable());
    CHECK(whole.devices[1].identity.is_switch);
    CHECK(has(whole.policy_reasons, "switches_present", Outcome::passed));
    const NvidiaNodeResult alone = node({gpu.evidence()});
    CHECK(alone.status == Status::proven);
    CHECK_FALSE(alone.acceptable());
    CHECK(has(alone.policy_reasons, "switches_present", Outcome::failed));
    nvswitch.report.field(NvidiaField::switch_pdi) = hex("ff02030405060708");
    CHECK_FALSE(node({gpu.evidence(), nvswitch.evidence()}).acceptable());
    const NvidiaNodeResult no_gpu = node({nvswitch.evidence()});
    CHECK(no_gpu.devices[0].acceptable());
    CHECK(no_gpu.status == Status::refuted);
    CHECK(has(no_gpu.reasons, "gpu_present", Outcome::failed));
    gpu.policy.switches_required = false;
    CHECK(node({gpu.evidence()}).acceptable());
}

TEST_CASE("the manifest service's names for what a report needs") {
    GpuMaker gpu;
    const auto text = [](std::string_view value) { return Bytes(value.begin(), value.end()); };
    gpu.report.field(NvidiaField::project) = text("1010");
    gpu.report.field(NvidiaField::project_sku) = text("0200");
    gpu.report.field(NvidiaField::chip_sku) = text("882");
    NvidiaIdentity identity = nvidia_identity(certificate_of(gpu.device.make()[0]));
    const auto names = [&] {
        return nvidia_manifest_names(parse_nvidia_report(gpu.evidence().report).value(), identity);
    };
    CHECK(names() == std::vector<std::string>{"NV_GPU_DRIVER_GH100_570.86",
                                              "NV_GPU_VBIOS_1010_0200_882_9600A50001"});
    identity.product = "GB100";
    CHECK(names()[0] == "NV_GPU_CC_DRIVER_GB100_570.86");
    identity.is_switch = true;
    CHECK(names() == std::vector<std::string>{"NV_SWITCH_BIOS_5612_0002_890_9600A50001"});
    identity.is_switch = false;
    gpu.report.field(NvidiaField::driver_version) = text("../570");
    gpu.report.erase(NvidiaField::project);
    CHECK(names().empty());
}

// COCOON_LONG takes all of them.
TEST_CASE("GPU evidence with a byte flipped is never proven") {
    const char* wanted = std::getenv("COCOON_LONG");
    const bool all = wanted && *wanted;
    const std::uint32_t seed = std::random_device{}();
    std::printf("nvidia mutation seed %u%s\n", seed, all ? ", every byte" : "");
    std::mt19937 chance{seed};
    GpuMaker gpu;
    gpu.policy.manifests_required = gpu.policy.revocation_required = false;
    const NvidiaEvidence good = gpu.evidence();
    const auto verdict = [&](const NvidiaEvidence& evidence) {
        return verify_nvidia(evidence, GpuMaker::nonce(), {}, gpu.policy, gpu_made_at);
    };
    REQUIRE(verdict(good).acceptable());
    NvidiaEvidence evidence = good;
    for (std::size_t i = 0; i < evidence.report.size(); ++i) {
        if (!all && chance() % 16 != 0) continue;
        const auto flip = static_cast<std::uint8_t>(1u << chance() % 8);
        evidence.report[i] ^= flip;
        INFO("report byte " << i << " flip " << int{flip} << " seed " << seed);
        CHECK(verdict(evidence).status == Status::refuted);
        evidence.report[i] ^= flip;
    }
    const auto certificates = certificates_from_pem(good.certificates).value();
    for (std::size_t i = 0; i < evidence.certificates.size(); ++i) {
        if (!all && chance() % 16 != 0) continue;
        const char before = evidence.certificates[i];
        evidence.certificates[i] = static_cast<char>(before ^ (1 << chance() % 8));
        INFO("certificate byte " << i << " seed " << seed);
        if (verdict(evidence).status == Status::proven) {  // only if it still says the same
            const auto read = certificates_from_pem(evidence.certificates).value();
            for (std::size_t at = 0; at < read.size(); ++at)
                CHECK(read[at].der() == certificates[at].der());
        }
        evidence.certificates[i] = before;
    }
}

TEST_CASE("a manifest with a byte flipped is refused, or says the same") {
    const char* wanted = std::getenv("COCOON_LONG");
    const bool all = wanted && *wanted;
    const std::uint32_t seed = std::random_device{}();
    std::printf("nvidia manifest mutation seed %u%s\n", seed, all ? ", every byte" : "");
    std::mt19937 chance{seed};
    GpuMaker gpu;
    gpu.policy.revocation_required = false;
    Bytes document = gpu.manifests()[0];
    const NvidiaManifest good = parse_nvidia_manifest(document).value();
    int proven = 0;
    for (std::size_t i = 0; i < document.size(); ++i) {
        if (!all && chance() % 16 != 0) continue;
        const auto flip = static_cast<std::uint8_t>(1u << chance() % 8);
        document[i] ^= flip;
        INFO("byte " << i << " flip " << int{flip} << " seed " << seed);
        const auto read = parse_nvidia_manifest(document);
        document[i] ^= flip;
        if (!read) continue;
        if (verify_nvidia_manifest(*read, {}, gpu.policy, gpu_made_at).status != Status::proven)
            continue;
        ++proven;  // white space inside a tag
        CHECK(read->measurements == good.measurements);
        CHECK(read->version == good.version);
        CHECK(read->product == good.product);
        CHECK(read->tag_id == good.tag_id);
    }
    std::printf("    %d flips changed nothing that is said\n", proven);
    CHECK(
        verify_nvidia_manifest(parse_nvidia_manifest(document).value(), {}, gpu.policy, gpu_made_at)
            .status == Status::proven);
}
