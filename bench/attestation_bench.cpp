// What judging one node's evidence costs, on one core: whole verdicts, from bytes to the last
// reason, over evidence of the tests' own PKI. The tests' RSA keys have 2048 bits, AMD's 4096: a
// verdict over AMD's own takes two more of such verifications' time (about 0.05 ms each). The
// anchors are single raw signature checks. Prints one JSON object: microseconds, medians of rounds.
#include <functional>

#include "bench/http_peer.hpp"
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/snp_maker.hpp"
#include "tests/attestation/tdx_maker.hpp"

namespace {

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;
using bench::give_up;
using bench::now_ns;

constexpr int rounds = 7;

struct Figure {
    const char* name;
    int repeats;
    std::function<bool()> call;
    std::vector<double> microseconds{};

    void round() {
        const std::int64_t begin = now_ns();
        for (int i = 0; i < repeats; ++i)
            if (!call()) give_up(name);
        microseconds.push_back(static_cast<double>(now_ns() - begin) / 1e3 / repeats);
    }
    double median() {
        std::sort(microseconds.begin(), microseconds.end());
        return microseconds[microseconds.size() / 2];
    }
};

// One raw signature check.
std::function<bool()> anchor(KeyKind kind) {
    const Key key{kind};
    const bool small = kind == KeyKind::p256;
    const auto known = PublicKey::from_point(small ? Curve::p256 : Curve::p384, key.point());
    const Bytes message(632, 1), signature = key.sign_raw(message);
    const Hash hash = small ? Hash::sha256 : Hash::sha384;
    return [=] { return known->verify_ecdsa(hash, message, signature); };
}

// One GPU's evidence, manifests and revocation answers, parsed once as a node's eight share them.
struct Gpu {
    GpuMaker maker;
    NvidiaEvidence evidence = maker.evidence();
    std::vector<Bytes> manifests = maker.manifests(), responses = maker.ocsp_responses();
    NvidiaCollateral collateral = maker.collateral();
    std::string answer = maker.answer_text();
    NvidiaKeySet keys = parse_nvidia_key_set(maker.key_set()).value();

    bool verdict() const {
        return verify_nvidia(evidence, GpuMaker::nonce(), collateral, maker.policy, gpu_made_at)
            .acceptable();
    }
    bool read_collateral() const {
        return read_nvidia_collateral(manifests, responses, {}).has_value();
    }
    bool token_verdict() const {
        return verify_nvidia_answer(answer, keys, GpuMaker::nonce(), maker.token_policy,
                                    gpu_made_at)
            .acceptable();
    }
};

}  // namespace

int main() {
    const TdxEvidence tdx = make_tdx();
    const SnpEvidence snp = make_snp();
    const Gpu gpu;
    std::vector<Figure> figures{
        {"anchor_p256_verify", 200, anchor(KeyKind::p256)},
        {"anchor_p384_verify", 50, anchor(KeyKind::p384)},
        {"tdx_verdict", 40,
         [&] {
             return verify_tdx(tdx.quote, tdx.collateral, tdx.policy, tdx_made_at).acceptable();
         }},
        {"snp_verdict", 40,
         [&] {
             return verify_snp(snp.report, snp.collateral, snp.policy, snp_made_at).acceptable();
         }},
        {"gpu_collateral_read", 20, [&] { return gpu.read_collateral(); }},
        {"gpu_verdict", 20, [&] { return gpu.verdict(); }},
        {"gpu_token_verdict", 20, [&] { return gpu.token_verdict(); }},
    };
    for (Figure& figure : figures) figure.round();
    for (Figure& figure : figures) figure.microseconds.clear();
    for (int round = 0; round < rounds; ++round)
        for (Figure& figure : figures) figure.round();
    std::printf("{");
    for (Figure& figure : figures)
        std::printf("%s\"%s\": %.2f", &figure == &figures.front() ? "" : ", ", figure.name,
                    figure.median());
    std::printf("}\n");
    return 0;
}
