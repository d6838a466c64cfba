// What judging one node's evidence costs, on one core: whole verdicts, from the bytes as they are
// submitted to the last reason, over evidence of the tests' own PKI with keys of the vendors' kinds
// and sizes. Beside each verdict, round by round, stands its anchor: OpenSSL verifying as many
// signatures of the same kinds and nothing else (X509_verify of one certificate each). Prints one
// JSON object: for each figure its microseconds and its anchor's, a number a round.
#include <functional>

#include "attestation/binding.hpp"
#include "attestation/bundle.hpp"
#include "attestation/policy.hpp"
#include "bench/figure.hpp"
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/snp_maker.hpp"
#include "tests/attestation/tdx_maker.hpp"

namespace {

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;
using bench::Figure;
using bench::give_up;

constexpr int rounds = 9;
constexpr int gpus_of_a_node = 8;

// ---- Anchors ------------------------------------------------------------------------------------

// Signatures of each kind that one verdict rests on.
struct Signatures {
    int p256 = 0, p384 = 0, rsa_4096 = 0;
};

// One certificate and who signed it.
struct Signed {
    Certificate certificate, issuer;

    static Signed by(KeyKind kind) {
        ChainMaker chain;
        chain.links = {chain_link("leaf", 1, false), chain_link("root", 2, true)};
        chain.links[1].key = Key{kind};
        const auto made = chain.make();
        return {certificate_of(made[0]), certificate_of(made[1])};
    }
    void verify(int count) const {
        for (int i = 0; i < count; ++i)
            if (!certificate.signed_by(issuer.public_key())) give_up("anchor");
    }
};

std::function<void()> raw(const Signatures& count) {
    static const Signed p256 = Signed::by(KeyKind::p256), p384 = Signed::by(KeyKind::p384),
                        rsa_4096 = Signed::by(KeyKind::rsa_4096);
    return [count] {
        p256.verify(count.p256);
        p384.verify(count.p384);
        rsa_4096.verify(count.rsa_4096);
    };
}

// ---- Verdicts -----------------------------------------------------------------------------------

ReportData report_data() {
    ReportData data;
    data.fill(7);
    return data;
}

struct Submitted {
    Evidence evidence;
    Policy policy;

    Submitted(std::string tier, const Bundle& bundle, Policy accepted)
        : policy{std::move(accepted)} {
        const std::string text = write_bundle(bundle);
        evidence = {std::move(tier), {text.begin(), text.end()}};
    }
    std::function<void()> verdict() const {
        return [*this] {
            const auto found = verify(evidence, report_data(), policy, tdx_made_at);
            if (!found || !found->proven()) give_up(evidence.tier);
        };
    }
};

void put_tdx(Bundle& bundle, Policy& policy, std::uint16_t version) {
    const TdxEvidence made = make_tdx([version](TdxParts& parts) {
        parts.version = version;
        parts.report.version_1_5 = version == 5;
        parts.report.report_data = report_data();
    });
    bundle.cpu = TdxPart{made.quote, {}};
    bundle.tdx = made.collateral;
    policy.tdx = made.policy;
}

Submitted tdx(std::uint16_t version) {
    Bundle bundle;
    Policy policy;
    put_tdx(bundle, policy, version);
    return {"tdx", bundle, policy};
}

Submitted snp() {
    SnpKeys::get(KeyKind::rsa_4096);  // as AMD's authorities have
    SnpShape shape;
    shape.edit_report = [](Bytes& report) { std::fill_n(report.begin() + 0x50, 64, 7); };
    const SnpEvidence made = make_snp(shape);
    Bundle bundle;
    bundle.cpu = SnpPart{made.report};
    bundle.snp = made.collateral;
    Policy policy;
    policy.snp = made.policy;
    return {"snp", bundle, policy};
}

// One GPU's report with everything to judge it by, all of it read anew each time.
struct Gpu {
    GpuMaker maker;
    NvidiaEvidence evidence = maker.evidence();
    std::vector<Bytes> manifests = maker.manifests(), responses = maker.ocsp_responses();

    void verdict() const {
        const auto collateral = read_nvidia_collateral(manifests, responses, {});
        const std::span<const NvidiaEvidence> devices{&evidence, 1};
        if (!collateral ||
            !verify_nvidia_node(devices, GpuMaker::nonce(), *collateral, maker.policy, gpu_made_at)
                 .acceptable())
            give_up("gpu");
    }
};

// NVIDIA's own verdict on two GPUs: three tokens, and the key set with the key's certificate.
struct Tokens {
    GpuMaker maker;
    std::string answer = maker.answer_text(), key_set = maker.key_set();

    void verdict() const {
        const auto keys = parse_nvidia_key_set(key_set);
        if (!keys ||
            !verify_nvidia_answer(answer, *keys, GpuMaker::nonce(), maker.token_policy, gpu_made_at)
                 .acceptable())
            give_up("token");
    }
};

// A TD and eight GPUs of one batch: their leaves differ, their authorities and manifests do not.
Submitted whole_node() {
    Bundle bundle;
    Policy policy;
    put_tdx(bundle, policy, 4);
    GpuMaker gpu;
    gpu.report.nonce = gpu_nonce(report_data());
    bundle.nvidia = {gpu.manifests(), {}, {}};
    for (std::size_t i = 1; i + 1 < gpu.device.links.size(); ++i)
        bundle.nvidia.ocsp_responses.push_back(gpu.ocsp(gpu.device, i, {}));
    for (std::size_t i = 0; i + 1 < gpu.signer.links.size(); ++i)
        bundle.nvidia.ocsp_responses.push_back(gpu.ocsp(gpu.signer, i, {}));
    for (int i = 0; i < gpus_of_a_node; ++i) {
        auto& leaf = gpu.device.links[0];
        leaf.key = Key{KeyKind::p384};
        leaf.parts.serial = 100 + i;
        leaf.parts.extensions[1].second = device_name("NVIDIA:GH100:A" + std::to_string(i));
        bundle.gpus.push_back(gpu.evidence());
        bundle.nvidia.ocsp_responses.push_back(gpu.ocsp(gpu.device, 0, {}));
    }
    policy.nvidia = gpu.policy;
    return {"tdx+gpu-cc", bundle, policy};
}

// ---- The program --------------------------------------------------------------------------------

struct Pair {
    Figure verdict, anchor;

    Pair(const char* name, int repeats, std::function<void()> call, const Signatures& count)
        : verdict{name, repeats, std::move(call)}, anchor{name, repeats, raw(count)} {}
    void round() {
        verdict.round();
        anchor.round();
    }
};

void print(const std::vector<double>& values) {
    std::printf("[");
    for (std::size_t i = 0; i < values.size(); ++i)
        std::printf("%s%.2f", i == 0 ? "" : ", ", values[i]);
    std::printf("]");
}

// What a verdict on one TDX quote verifies: three certificates of the PCK's chain, two lists, QE
// report and quote, and twice (TCB info, QE identity) the signer's, the root's and the object's.
constexpr Signatures of_tdx{.p256 = 13};
// VCEK, ASK, ARK and AMD's list; then the report.
constexpr Signatures of_snp{.p384 = 1, .rsa_4096 = 4};
// Two manifests: chain of three, two answers about it with their responder's certificate, the XML.
constexpr int of_manifests = 2 * (3 + 2 * 2 + 1);
// A device: chain of four, three answers with their responder's certificate, the report.
constexpr int of_device = 4 + 3 * 2 + 1;

}  // namespace

int main() {
    const Gpu gpu;
    const Tokens tokens;
    Pair pairs[] = {
        {"tdx_v4", 40, tdx(4).verdict(), of_tdx},
        {"tdx_v5", 40, tdx(5).verdict(), of_tdx},
        {"snp", 40, snp().verdict(), of_snp},
        {"gpu_report", 10, [&] { gpu.verdict(); }, {.p384 = of_device + of_manifests}},
        {"gpu_token", 40, [&] { tokens.verdict(); }, {.p384 = 3 + 1}},
        {"node_of_8_gpus",
         2,
         whole_node().verdict(),
         {.p256 = of_tdx.p256, .p384 = gpus_of_a_node * of_device + of_manifests}},
    };
    for (Pair& pair : pairs) pair.round();
    for (Pair& pair : pairs) pair.verdict.microseconds.clear(), pair.anchor.microseconds.clear();
    for (int round = 0; round < rounds; ++round)
        for (Pair& pair : pairs) pair.round();
    std::printf("{");
    for (Pair& pair : pairs) {
        std::printf("%s\"%s\": {\"verdict\": ", &pair == pairs ? "" : ", ", pair.verdict.name);
        print(pair.verdict.microseconds);
        std::printf(", \"anchor\": ");
        print(pair.anchor.microseconds);
        std::printf("}");
    }
    std::printf("}\n");
    return 0;
}
