#include "attestation/simulated.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>

#include "attestation/policy.hpp"

namespace cocoon::attestation {
namespace {

constexpr std::string_view magic = "CCNSIMv1";
constexpr std::size_t signature_bytes = 64;
constexpr std::size_t measurement_characters = 96;
constexpr std::size_t platform_id_characters_max = 64;
constexpr std::int64_t unix_seconds_max = 253'402'300'799;  // the end of the year 9999

struct FreeKey {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
struct FreeDigest {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

void check(bool succeeded) {
    if (!succeeded) throw std::runtime_error{"OpenSSL failed: simulation key"};
}

EVP_PKEY* simulation_key() {
    static const std::unique_ptr<EVP_PKEY, FreeKey> key = [] {
        std::array<std::uint8_t, 32> seed{};
        check(EVP_Digest(simulation_key_text.data(), simulation_key_text.size(), seed.data(),
                         nullptr, EVP_sha256(), nullptr) == 1);
        EVP_PKEY* made =
            EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size());
        check(made != nullptr);
        return std::unique_ptr<EVP_PKEY, FreeKey>{made};
    }();
    return key.get();
}

void append_sign(Bytes& report) {
    const std::unique_ptr<EVP_MD_CTX, FreeDigest> context{EVP_MD_CTX_new()};
    std::array<std::uint8_t, signature_bytes> signature{};
    std::size_t size = signature.size();
    check(context &&
          EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, simulation_key()) == 1 &&
          EVP_DigestSign(context.get(), signature.data(), &size, report.data(), report.size()) ==
              1);
    report.insert(report.end(), signature.begin(), signature.end());
}

bool signature_right(ByteView signed_bytes, ByteView signature) {
    const std::unique_ptr<EVP_MD_CTX, FreeDigest> context{EVP_MD_CTX_new()};
    check(context &&
          EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, simulation_key()) == 1);
    return EVP_DigestVerify(context.get(), signature.data(), signature.size(), signed_bytes.data(),
                            signed_bytes.size()) == 1;
}

bool is_measurement(std::string_view text) {
    return text.size() == measurement_characters && from_hex(text).has_value();
}

bool is_platform_id(std::string_view text) {
    return !text.empty() && text.size() <= platform_id_characters_max &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                      c == '-';
           });
}

bool is_time(std::int64_t unix_seconds) {
    return unix_seconds > 0 && unix_seconds <= unix_seconds_max;
}

void append_text(Bytes& out, std::string_view text) {
    out.push_back(static_cast<std::uint8_t>(text.size() >> 8));
    out.push_back(static_cast<std::uint8_t>(text.size()));
    out.insert(out.end(), text.begin(), text.end());
}

// Takes from the front of `bytes`; nothing if there are too few.
std::optional<ByteView> take(ByteView& bytes, std::size_t count) {
    if (bytes.size() < count) return std::nullopt;
    const ByteView taken = bytes.first(count);
    bytes = bytes.subspan(count);
    return taken;
}

std::optional<std::string> take_text(ByteView& bytes) {
    const auto length = take(bytes, 2);
    if (!length) return std::nullopt;
    const auto text = take(bytes, static_cast<std::size_t>((*length)[0] << 8 | (*length)[1]));
    if (!text) return std::nullopt;
    return std::string{as_text(*text)};
}

struct Parsed {
    SimulatedReport report;
    ByteView signed_bytes;
    ByteView signature;
    std::size_t trailing_bytes = 0;
};

std::optional<Parsed> parse(ByteView bytes) {
    ByteView rest = bytes;
    const auto opening = take(rest, magic.size());
    if (!opening || as_text(*opening) != magic) return std::nullopt;
    const auto measurement = take_text(rest);
    const auto platform_id = take_text(rest);
    if (!measurement || !platform_id || !is_measurement(*measurement) ||
        !is_platform_id(*platform_id))
        return std::nullopt;
    Parsed parsed;
    parsed.report.measurement = *measurement;
    parsed.report.platform_id = *platform_id;
    const auto report_data = take(rest, parsed.report.report_data.size());
    const auto issued_at = take(rest, 8);
    if (!report_data || !issued_at) return std::nullopt;
    std::copy(report_data->begin(), report_data->end(), parsed.report.report_data.begin());
    std::uint64_t unix_seconds = 0;
    for (const std::uint8_t byte : *issued_at) unix_seconds = unix_seconds << 8 | byte;
    if (unix_seconds > static_cast<std::uint64_t>(unix_seconds_max) || unix_seconds == 0)
        return std::nullopt;
    parsed.report.issued_at = Instant{} + seconds(static_cast<std::int64_t>(unix_seconds));
    parsed.signed_bytes = bytes.first(bytes.size() - rest.size());
    const auto signature = take(rest, signature_bytes);
    if (!signature) return std::nullopt;
    parsed.signature = *signature;
    parsed.trailing_bytes = rest.size();
    return parsed;
}

// Adds one reason: passed or failed with its own words.
void judge(Verdict& verdict, const char* code, bool passed, const char* good, const char* bad) {
    verdict.reasons.push_back(
        {code, passed ? Outcome::passed : Outcome::failed, passed ? good : bad});
}

void judge_report(Verdict& verdict, const Parsed& parsed, const ReportData& expected,
                  const Policy& policy, Instant at) {
    const SimulatedReport& report = parsed.report;
    judge(verdict, "report_data", report.report_data == expected,
          "the evidence binds this node's keys and this challenge",
          "the evidence binds other keys or another challenge; make it anew for the current nonce");
    judge(verdict, "not_from_future", report.issued_at <= at + policy.clock_skew_max,
          "the evidence is not from the future",
          "the evidence is from the future; set the node's clock");
    judge(verdict, "age", at < report.issued_at + policy.age_max, "the evidence is fresh",
          "the evidence is older than the policy allows; make it anew");
    const auto& accepted = policy.accepted_measurements;
    const bool known =
        std::find(accepted.begin(), accepted.end(), report.measurement) != accepted.end();
    judge(verdict, "measurement", accepted.empty() || known, "the measurement is acceptable",
          "the policy does not list this measurement");
}

}  // namespace

Result<Evidence> make_simulated_evidence(const SimulatedReport& report) {
    const auto refused = [](const char* why) { return refuse(ErrorCode::malformed_request, why); };
    if (!is_measurement(report.measurement))
        return refused("a measurement is 96 lower-case hex characters");
    if (!is_platform_id(report.platform_id))
        return refused("a platform id is 1 to 64 of a-z 0-9 . _ -");
    if (!is_time(report.issued_at.unix_seconds()))
        return refused("the time of issue is out of range");
    Bytes bytes{magic.begin(), magic.end()};
    append_text(bytes, report.measurement);
    append_text(bytes, report.platform_id);
    bytes.insert(bytes.end(), report.report_data.begin(), report.report_data.end());
    const auto unix_seconds = static_cast<std::uint64_t>(report.issued_at.unix_seconds());
    for (int shift = 56; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<std::uint8_t>(unix_seconds >> shift));
    append_sign(bytes);
    return Evidence{std::string{simulated_tier}, std::move(bytes)};
}

Verdict verify_simulated(const Evidence& evidence, const ReportData& expected_report_data,
                         const Policy& policy, Instant at) {
    Verdict verdict;
    verdict.tier = simulated_tier;
    judge(verdict, "simulated_enabled", policy.simulated_enabled,
          "the policy enables simulated evidence, which proves nothing about hardware",
          "simulated evidence proves nothing about hardware and the policy does not enable it");
    const std::optional<Parsed> parsed = parse(evidence.bytes);
    judge(verdict, "simulated_format", parsed.has_value(), "the report is well-formed",
          "the report is not a simulated report of version 1");
    if (parsed) {
        judge(verdict, "simulated_trailing_bytes", parsed->trailing_bytes == 0,
              "nothing follows the report", "bytes follow the report");
        const bool right = signature_right(parsed->signed_bytes, parsed->signature);
        judge(verdict, "simulated_signature", right, "the public simulation key signed the report",
              "the signature is not the simulation key's over this report");
        if (right) {
            verdict.measurement = parsed->report.measurement;
            verdict.registers = {"simulated.measurement:" + verdict.measurement};
            verdict.platform_id = parsed->report.platform_id;
            judge_report(verdict, *parsed, expected_report_data, policy, at);
            verdict.valid_until = parsed->report.issued_at + policy.age_max;
        }
    }
    verdict.status = verdict.first_failure() ? Status::refuted : Status::proven;
    return verdict;
}

}  // namespace cocoon::attestation
