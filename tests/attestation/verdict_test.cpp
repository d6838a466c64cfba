// The verdict's one entry and the simulated tier: each check has a row that makes it fail.
#include "attestation/simulated.hpp"
#include "attestation/policy.hpp"
#include "attestation/verdict.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

const Instant now = *Instant::parse("2026-11-22T12:00:00Z");

ReportData data_of(std::uint8_t value) {
    ReportData data{};
    data[0] = value;
    return data;
}

SimulatedReport report_at(Instant issued_at) {
    return {std::string(96, 'a'), "sim-1", data_of(7), issued_at};
}

Policy simulated_policy() {
    Policy policy;
    policy.simulated_enabled = true;
    return policy;
}

Verdict judged(const Evidence& evidence, const Policy& policy, Instant at = now) {
    return verify(evidence, data_of(7), policy, at).value();
}

}  // namespace

TEST_CASE("simulated evidence is proven only under a policy that enables it") {
    const Evidence evidence = make_simulated_evidence(report_at(now - minutes(1))).value();
    const Verdict verdict = judged(evidence, simulated_policy());
    CHECK(verdict.proven());
    CHECK(verdict.tier == "simulated");
    CHECK(verdict.measurement == std::string(96, 'a'));
    CHECK(verdict.platform_id == "sim-1");
    CHECK(verdict.valid_until == now - minutes(1) + hours(24));
    CHECK(verdict.first_failure() == nullptr);

    const Verdict refused = judged(evidence, Policy{});
    CHECK(refused.status == Status::refuted);
    CHECK(refused.first_failure()->code == "simulated_enabled");
    CHECK(refused.valid_until == Instant{});
}

TEST_CASE("each check of simulated evidence refuses on its own") {
    const auto make = [](Instant issued_at) {
        return make_simulated_evidence(report_at(issued_at)).value();
    };
    const Evidence good = make(now);
    Evidence flipped = good;
    flipped.bytes[20] ^= 3;  // inside the measurement: another, still valid, hex digit
    Evidence unsigned_report = good;
    unsigned_report.bytes.back() ^= 1;
    Evidence trailing = good;
    trailing.bytes.push_back(0);
    Evidence other_magic = good;
    other_magic.bytes[7] = '2';
    Policy other_tiers = simulated_policy();
    other_tiers.accepted_tiers = {"tdx"};
    Policy other_measurement = simulated_policy();
    other_measurement.accepted_measurements = {std::string(96, 'b')};
    struct Row {
        const char* code;
        Evidence evidence;
        Policy policy;
    };
    const Row rows[] = {
        {"tier_accepted", good, other_tiers},
        {"simulated_enabled", good, Policy{}},
        {"simulated_format", other_magic, simulated_policy()},
        {"simulated_format", {"simulated", {}}, simulated_policy()},
        {"simulated_trailing_bytes", trailing, simulated_policy()},
        {"simulated_signature", flipped, simulated_policy()},
        {"simulated_signature", unsigned_report, simulated_policy()},
        {"not_from_future", make(now + minutes(6)), simulated_policy()},
        {"age", make(now - hours(24)), simulated_policy()},
        {"measurement", good, other_measurement},
    };
    for (const Row& row : rows) {
        INFO(row.code);
        const Verdict verdict = judged(row.evidence, row.policy);
        CHECK(verdict.status == Status::refuted);
        REQUIRE(verdict.first_failure() != nullptr);
        CHECK(verdict.first_failure()->code == row.code);
        CHECK(verdict.valid_until == Instant{});
    }
    const Verdict other_data = verify(good, data_of(8), simulated_policy(), now).value();
    CHECK(other_data.first_failure()->code == "report_data");
    CHECK(judged(make(now + minutes(5)), simulated_policy()).proven());
    CHECK(judged(make(now - hours(24) + seconds(1)), simulated_policy()).proven());
}

TEST_CASE("every cut and every flipped bit of simulated evidence is refused") {
    const Evidence good = make_simulated_evidence(report_at(now)).value();
    for (std::size_t size = 0; size < good.bytes.size(); ++size) {
        Evidence cut = good;
        cut.bytes.resize(size);
        CHECK_FALSE(judged(cut, simulated_policy()).proven());
    }
    for (std::size_t bit = 0; bit < good.bytes.size() * 8; ++bit) {
        Evidence flipped = good;
        flipped.bytes[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        const Verdict verdict = judged(flipped, simulated_policy());
        CHECK_FALSE(verdict.proven());
        CHECK(verdict.measurement.empty());
    }
}

TEST_CASE("evidence of a kind without a verifier is unknown, never proven") {
    Policy policy = simulated_policy();
    const Verdict verdict = judged({"sgx", {1, 2, 3}}, policy);
    CHECK(verdict.status == Status::unknown);
    CHECK_FALSE(verdict.proven());
    CHECK(verdict.valid_until == Instant{});
    CHECK(judged({"t\n\"dx", {}}, policy).tier == "t?\"dx");
    CHECK(judged({std::string(1000, 'x'), {}}, policy).tier.size() == 64);
}

TEST_CASE("what waiting mends, and what newer collateral mends, is told from what nothing mends") {
    const struct {
        std::vector<std::string> failed;
        bool out_of_date, old_collateral;
    } rows[] = {
        {{}, false, false},
        {{"cpu_tcb_status"}, true, false},
        {{"cpu_tcb_info_rollback"}, true, true},
        {{"cpu_tcb_info_current", "cpu_pck_crl_rollback"}, false, true},
        {{"cpu_tcb_status", "cpu_root_crl_current"}, false, false},
        {{"gpu_0_revocation_expired", "gpu_15_vbios_manifest_revocation_expired"}, false, true},
        {{"gpu_0_driver_version_min", "cpu_revocation_rollback"}, true, false},
        {{"cpu_tcb_info_current", "cpu_pck_revocation"}, false, false},
        {{"gpu_0_certificate_revoked"}, false, false},
        {{"tcb_status"}, false, false},
        {{"report_data", "cpu_tcb_status"}, false, false},
    };
    for (const auto& row : rows) {
        Verdict verdict;
        verdict.reasons.push_back({"cpu_quote_signature", Outcome::passed, {}});
        for (const std::string& code : row.failed)
            verdict.reasons.push_back({code, Outcome::failed, {}});
        INFO((row.failed.empty() ? "nothing" : row.failed.front()));
        CHECK(only_out_of_date(verdict) == row.out_of_date);
        CHECK(only_old_collateral(verdict) == row.old_collateral);
    }
}

TEST_CASE("oversized evidence is refused before it is read") {
    const Evidence huge{"simulated", Bytes(evidence_bytes_max + 1)};
    const auto refused = verify(huge, data_of(7), simulated_policy(), now);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::body_too_large);
    CHECK(verify({"simulated", Bytes(evidence_bytes_max)}, data_of(7), simulated_policy(), now));
}

TEST_CASE("a simulated report is made only from fields inside their limits") {
    struct Row {
        std::string measurement, platform_id;
        Instant issued_at;
        bool made;
    };
    const Row rows[] = {
        {std::string(96, '0'), "a", now, true},
        {std::string(95, '0'), "a", now, false},
        {std::string(96, 'G'), "a", now, false},
        {std::string(96, 'A'), "a", now, false},
        {std::string(96, '0'), "", now, false},
        {std::string(96, '0'), "A", now, false},
        {std::string(96, '0'), std::string(64, 'a'), now, true},
        {std::string(96, '0'), std::string(65, 'a'), now, false},
        {std::string(96, '0'), "a", Instant{}, false},
        {std::string(96, '0'), "a", Instant{-1'000'000}, false},
    };
    for (const Row& row : rows) {
        INFO(row.measurement << " " << row.platform_id << " " << row.issued_at.us);
        CHECK(make_simulated_evidence({row.measurement, row.platform_id, {}, row.issued_at})
                  .has_value() == row.made);
    }
}
