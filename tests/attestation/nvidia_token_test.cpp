// Answers of an attestation service that the test plays: everything right is proven, each thing
// that is wrong is refused under its own code.
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

NvidiaTokenResult judged(const GpuMaker& gpu, Instant at = gpu_made_at) {
    return verify_nvidia_answer(gpu.answer_text(), parse_nvidia_key_set(gpu.key_set()).value(),
                                GpuMaker::nonce(), gpu.token_policy, at);
}

std::string with(std::string text, std::string_view old, std::string_view fresh) {
    const std::size_t at = text.find(old);
    if (at == std::string::npos) throw std::runtime_error{"no " + std::string{old} + " here"};
    return text.replace(at, old.size(), fresh);
}

}  // namespace

TEST_CASE("an answer of the attestation service is proven") {
    const GpuMaker gpu;
    const NvidiaTokenResult result = judged(gpu);
    INFO(text_of(result.reasons));
    REQUIRE(result.status == Status::proven);
    CHECK(result.acceptable());
    CHECK(result.overall == "true");
    CHECK(result.claims_version == "3.0");
    REQUIRE(result.devices.size() == 2);
    CHECK(result.devices[0].name == "GPU-1");
    CHECK(result.devices[0].leaf_serial == "01");
    CHECK(result.devices[1].product == "GH100 A01 GSP BROM");
    CHECK(result.valid_until == gpu_made_at + seconds(3540));
    CHECK(result.not_proven.size() == 4);
}

TEST_CASE("the end of a token is exclusive, its beginning inclusive") {
    const GpuMaker gpu;
    CHECK(judged(gpu, gpu_made_at + seconds(3539)).status == Status::proven);
    CHECK(judged(gpu, gpu_made_at + seconds(3540)).status == Status::refuted);
    CHECK(judged(gpu, gpu_made_at - seconds(60)).status == Status::proven);
    CHECK(judged(gpu, gpu_made_at - seconds(61)).status == Status::refuted);
}

TEST_CASE("each thing that is wrong with an answer has its own code") {
    struct Row {
        const char* code;
        std::function<void(GpuMaker&)> spoil;
    };
    const auto overall = [](GpuMaker& gpu) -> TokenParts& { return gpu.answer.overall; };
    const auto device = [](GpuMaker& gpu) -> TokenParts& { return gpu.answer.devices["GPU-2"]; };
    const Row rows[] = {
        {"token_algorithm",
         [&](GpuMaker& gpu) { overall(gpu).header = R"({"alg":"none","kid":"kid-1"})"; }},
        {"token_algorithm",
         [&](GpuMaker& gpu) { device(gpu).header = R"({"alg":"HS384","kid":"kid-1"})"; }},
        {"token_algorithm",
         [&](GpuMaker& gpu) { device(gpu).header = R"({"alg":"es384","kid":"kid-1"})"; }},
        {"token_algorithm", [&](GpuMaker& gpu) { device(gpu).header = R"({"kid":"kid-1"})"; }},
        {"token_key",
         [&](GpuMaker& gpu) { overall(gpu).header = R"({"alg":"ES384","kid":"kid-2"})"; }},
        {"token_key", [&](GpuMaker& gpu) { device(gpu).header = R"({"alg":"ES384"})"; }},
        {"token_format",
         [&](GpuMaker& gpu) {
             device(gpu).header = R"({"alg":"ES384","kid":"kid-1","crit":["b64"]})";
         }},
        {"token_format",
         [&](GpuMaker& gpu) { device(gpu).header = R"({"alg":"ES384","alg":"none"})"; }},
        {"token_format", [&](GpuMaker& gpu) { device(gpu).header = "[]"; }},
        {"token_issuer",
         [&](GpuMaker& gpu) {
             overall(gpu).claims["iss"] = "\"https://nras.attestation.nvidia.com.evil\"";
         }},
        {"token_issuer", [&](GpuMaker& gpu) { device(gpu).claims.erase("iss"); }},
        {"token_expired", [&](GpuMaker& gpu) { device(gpu).claims["exp"] = "1"; }},
        {"token_expired", [&](GpuMaker& gpu) { device(gpu).claims.erase("exp"); }},
        {"token_expired", [&](GpuMaker& gpu) { device(gpu).claims["exp"] = "\"9999999999\""; }},
        {"token_expired",
         [&](GpuMaker& gpu) { device(gpu).claims["exp"] = "-9223372036854775808"; }},
        {"token_not_yet_valid", [&](GpuMaker& gpu) { device(gpu).claims.erase("nbf"); }},
        {"token_not_yet_valid",
         [&](GpuMaker& gpu) { overall(gpu).claims["nbf"] = "9223372036854775807"; }},
        {"token_nonce", [&](GpuMaker& gpu) { overall(gpu).claims["eat_nonce"] = "\"00\""; }},
        {"token_nonce", [&](GpuMaker& gpu) { device(gpu).claims.erase("eat_nonce"); }},
        {"token_overall",
         [&](GpuMaker& gpu) { overall(gpu).claims.erase("x-nvidia-overall-att-result"); }},
        {"token_overall", [&](GpuMaker& gpu) { overall(gpu).claims["submods"] = "[]"; }},
        {"token_overall",
         [&](GpuMaker& gpu) {
             overall(gpu).claims["submods"] = R"({"GPU-1":["DIGEST",["SHA-1","00"]]})";
         }},
        {"token_devices", [](GpuMaker& gpu) { gpu.answer.devices.clear(); }},
        {"token_devices",
         [](GpuMaker& gpu) {
             gpu.answer.edit_tokens = [](std::map<std::string, std::string>& all) {
                 all.erase("GPU-1");
             };
         }},
        {"token_devices",
         [](GpuMaker& gpu) {
             gpu.answer.edit_tokens = [](std::map<std::string, std::string>& all) {
                 all["GPU-3"] = all["GPU-1"];
             };
         }},
        {"token_digest",
         [](GpuMaker& gpu) {
             gpu.answer.edit_tokens = [](std::map<std::string, std::string>& all) {
                 all["GPU-1"] = all["GPU-2"];
             };
         }},
        {"token_format",
         [](GpuMaker& gpu) { gpu.answer.devices["GPU 3"] = gpu.answer.devices["GPU-1"]; }},
        {"token_key_certificate",
         [](GpuMaker& gpu) { gpu.token_policy.service_pins = NvidiaTokenPolicy{}.service_pins; }},
        {"token_key_certificate",
         [](GpuMaker& gpu) { gpu.service.links[0].parts.not_after = gpu_made_at - seconds(1); }},
        {"token_key_certificate",
         [](GpuMaker& gpu) { gpu.service.links[1].parts.not_before = gpu_made_at + seconds(1); }},
        {"token_key_certificate",
         [](GpuMaker& gpu) { gpu.service.links[1].parts.basic_constraints = "critical,CA:FALSE"; }},
        {"token_key_certificate",
         [](GpuMaker& gpu) { gpu.service.links[0].parts.key_usage = "critical,keyAgreement"; }},
    };
    for (const Row& row : rows) {
        GpuMaker gpu;
        row.spoil(gpu);
        const NvidiaTokenResult result = judged(gpu);
        INFO(row.code << " at row " << &row - rows << "\n" << text_of(result.reasons));
        CHECK(result.status == Status::refuted);
        CHECK(has(result.reasons, row.code, Outcome::failed));
        CHECK(result.valid_until == Instant{});
        CHECK(result.devices.empty());
        CHECK(result.not_proven.size() == 4);
    }
}

TEST_CASE("a service's answer can be genuine and bad") {
    struct Row {
        const char* code;
        std::function<void(GpuMaker&)> spoil;
    };
    const auto claim = [](const char* name, const char* value) {
        return [=](GpuMaker& gpu) { gpu.answer.devices["GPU-2"].claims[name] = value; };
    };
    const Row rows[] = {
        {"overall_result",
         [](GpuMaker& gpu) { gpu.answer.overall.claims["x-nvidia-overall-att-result"] = "false"; }},
        {"overall_result",
         [](GpuMaker& gpu) {
             gpu.answer.overall.claims["x-nvidia-overall-att-result"] = "\"true\"";
         }},
        {"overall_result",
         [](GpuMaker& gpu) { gpu.answer.overall.claims["x-nvidia-overall-att-result"] = "1"; }},
        {"device_claims", claim("measres", "\"fail\"")},
        {"device_claims", claim("measres", "true")},
        {"device_claims", claim("secboot", "\"true\"")},
        {"device_claims", claim("secboot", "false")},
        {"device_claims", claim("dbgstat", "\"enabled\"")},
        {"device_claims", claim("x-nvidia-gpu-attestation-report-nonce-match", "false")},
        {"device_claims", claim("x-nvidia-gpu-attestation-report-signature-verified", "false")},
        {"device_duplicate", claim("ueid", "\"1\"")},
        {"product_accepted", [](GpuMaker& gpu) { gpu.token_policy.products = {"GB100"}; }},
        {"product_accepted", [](GpuMaker& gpu) { gpu.token_policy.products = {"GH10"}; }},
        {"version_denied", [](GpuMaker& gpu) { gpu.token_policy.denied_versions = {"570.86"}; }},
        {"device_denied", [](GpuMaker& gpu) { gpu.token_policy.denied_devices = {"02"}; }},
    };
    for (const Row& row : rows) {
        GpuMaker gpu;
        row.spoil(gpu);
        const NvidiaTokenResult result = judged(gpu);
        INFO(row.code << " at row " << &row - rows << "\n" << text_of(result.policy_reasons));
        CHECK(result.status == Status::proven);
        CHECK_FALSE(result.acceptable());
        CHECK(has(result.policy_reasons, row.code, Outcome::failed));
    }
    GpuMaker gpu;
    gpu.token_policy.products = {"GB100", "GH100"};
    CHECK(judged(gpu).acceptable());
}

TEST_CASE("a key set is believed if its authority is pinned or the caller fetched it itself") {
    GpuMaker gpu;
    const std::string whole = gpu.key_set();
    const std::string bare = whole.substr(0, whole.find(",\"x5c\"")) + "}]}";
    const auto judge = [&](const std::string& key_set) {
        return verify_nvidia_answer(gpu.answer_text(), parse_nvidia_key_set(key_set).value(),
                                    GpuMaker::nonce(), gpu.token_policy, gpu_made_at);
    };
    CHECK(judge(whole).acceptable());
    CHECK(has(judge(bare).reasons, "token_key_certificate", Outcome::failed));
    gpu.token_policy.key_set_trusted = true;
    CHECK(judge(bare).acceptable());
    const GpuMaker other;  // another key under the same id
    CHECK(has(judge(other.key_set()).reasons, "token_signature", Outcome::failed));
}

TEST_CASE("what is no key set or no answer is refused") {
    const std::string good = GpuMaker{}.key_set();
    const std::string one = good.substr(9, good.size() - 11);
    for (const std::string& text :
         {std::string{}, std::string{"{}"}, std::string{"[]"},
          R"({"keys":[)" + one + "," + one + "]}", with(good, "\"kid\":\"kid-1\",", ""),
          with(good, "\"x\":\"", "\"x\":\"AAAA"), with(good, "\"x5c\":[\"", "\"x5c\":[\"!"),
          good + std::string(nvidia_key_set_bytes_max, ' ')}) {
        INFO(text.substr(0, 60));
        CHECK_FALSE(parse_nvidia_key_set(text).has_value());
    }
    CHECK(parse_nvidia_key_set(with(good, "P-384", "P-256")).value().keys.empty());
    for (const std::string& text :
         {std::string{}, std::string{"[]"}, std::string{R"({"JWT":"a"})"},
          std::string{R"([["JWT","a.b.c"]])"}, std::string{R"([["JWT","a.b.c"],[]])"},
          std::string{R"([["JWS","a.b.c"],{}])"}, std::string{R"([["JWT","a.b"],{}])"},
          std::string{R"([["JWT","e30.e30.AA.AA"],{}])"}, std::string(200'000, '[')}) {
        const auto result = verify_nvidia_answer(text, {}, {}, {}, gpu_made_at);
        CHECK(result.status == Status::refuted);
        CHECK(has(result.reasons, "token_format", Outcome::failed));
    }
}

// COCOON_LONG takes all of them.
TEST_CASE("a service's answer with a byte flipped is never proven") {
    const char* wanted = std::getenv("COCOON_LONG");
    const bool all = wanted && *wanted;
    const std::uint32_t seed = std::random_device{}();
    std::printf("nvidia token mutation seed %u%s\n", seed, all ? ", every byte" : "");
    std::mt19937 chance{seed};
    const GpuMaker gpu;
    const NvidiaKeySet keys = parse_nvidia_key_set(gpu.key_set()).value();
    std::string text = gpu.answer_text();
    const auto verdict = [&] {
        return verify_nvidia_answer(text, keys, GpuMaker::nonce(), gpu.token_policy, gpu_made_at);
    };
    REQUIRE(verdict().acceptable());
    for (char& byte : text) {
        if (!all && chance() % 8 != 0) continue;
        const char before = byte;
        byte = static_cast<char>(before ^ (1 << chance() % 8));
        INFO("byte " << &byte - text.data() << " seed " << seed);
        CHECK(verdict().status == Status::refuted);
        byte = before;
    }
}
