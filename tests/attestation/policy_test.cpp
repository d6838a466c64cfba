// The policy as a document: written and read back, every member refused when it is of another
// kind, and minimums that only rise.
#include "attestation/policy.hpp"

#include <functional>
#include <nlohmann/json.hpp>

#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using Json = nlohmann::json;

namespace {

// Differs from Policy{} in every member.
Policy other_policy() {
    Policy policy;
    policy.accepted_tiers = {"tdx+gpu-cc", "simulated"};
    policy.simulated_enabled = true;
    policy.accepted_measurements = {std::string(96, 'a'), std::string(64, 'b')};
    policy.age_max = minutes(30);
    policy.clock_skew_max = seconds(1);
    policy.outdated_grace = hours(3);
    const std::string digest_256(64, '1'), digest_384(96, '2');
    const Instant then = *Instant::parse("2026-02-03T04:05:06.000007Z");
    TdxPolicy& tdx = policy.tdx;
    tdx = {{digest_256},
           19,
           then,
           {then + days(1), then + days(3)},
           {5},
           {TcbStatus::sw_hardening_needed},
           {{"INTEL-SA-00001", then}},
           {"INTEL-SA-00002"},
           then + days(2),
           1ull << 63,
           0x8000000000000001,
           {0xE7},
           {digest_384},
           {digest_384},
           {"00806f050000"},
           {digest_256},
           {"0102"}};
    SnpPolicy& snp = policy.snp;
    snp.roots = {{SnpProduct::turin, digest_256, std::string(40, '3')}};
    snp.products = {SnpProduct::milan};
    snp.tcb_minimums = {{SnpProduct::turin, {1, 2, 3, 4, 255}}};
    snp.revocation_required = snp.smt_allowed = false;
    snp.vlek_allowed = snp.debug_allowed = snp.migration_allowed = true;
    snp.report_version_min = 3;
    snp.vmpl_max = 3;
    snp.abi_major_min = 1;
    snp.abi_minor_min = 55;
    snp.guest_policy_mask = snp.guest_policy_value = 1 << 20;
    snp.platform_info_mask = snp.platform_info_value = 1 << 5;
    snp.mitigations_required = 3;
    snp.id_key_digests = snp.author_key_digests = {digest_384};
    snp.host_data = snp.platforms_denied = {digest_256};
    NvidiaPolicy& gpu = policy.nvidia;
    gpu.device_roots = gpu.manifest_roots = {digest_256};
    gpu.manifests_required = gpu.revocation_required = gpu.switches_required = false;
    gpu.leaf_revocation_required = gpu.firmware_id_required = true;
    gpu.revocation_stale_max = hours(2);
    gpu.products = {"GH100"};
    gpu.driver_version_min = "570.86.10";
    gpu.denied_versions = {"545.00"};
    gpu.denied_devices = {"nvidia-1"};
    gpu.modes = {NvidiaMode::single_passthrough, NvidiaMode::protected_pcie};
    policy.nvidia_service = {"https://example.org", {digest_256}, true, {"GB100"}, {"1"}, {"2"}};
    return policy;
}

std::string document(const Json& json) { return json.dump(); }

Json sample() { return Json::parse(policy_document(other_policy())); }

// Every place in the document that holds no object.
void each_leaf(const Json& json, const std::string& path,
               const std::function<void(const std::string&)>& call) {
    if (!json.is_object()) return call(path);
    for (const auto& [name, value] : json.items()) each_leaf(value, path + "/" + name, call);
}

}  // namespace

TEST_CASE("a policy reads back as it was written, and an empty one stands by default") {
    CHECK(parse_policy(policy_document({})).value() == Policy{});
    CHECK(parse_policy(policy_document(other_policy())).value() == other_policy());
    CHECK(parse_policy(R"({"version": 1})").value() == Policy{});
    CHECK(parse_policy(R"({"version": 1, "snp": {"products": ["Milan"]}})").value().snp.products ==
          std::vector{SnpProduct::milan});

    // No member is left out of the document: one that was, would be in both alike.
    const Json ours = sample();
    const Json standing = Json::parse(policy_document({}));
    each_leaf(standing, "", [&](const std::string& path) {
        INFO(path);
        if (path != "/version")
            CHECK(ours.at(Json::json_pointer{path}) != standing.at(Json::json_pointer{path}));
    });
}

TEST_CASE("every member of another kind is refused by its path") {
    int members = 0;
    each_leaf(sample(), "", [&](const std::string& path) {
        ++members;
        Json json = sample();
        json[Json::json_pointer{path}] = Json::array({Json::object()});  // none is such a list
        const auto policy = parse_policy(document(json));
        INFO(path);
        REQUIRE_FALSE(policy.has_value());
        CHECK(policy.error().code == ErrorCode::invalid_body);
        REQUIRE_FALSE(policy.error().fields.empty());
        CHECK(policy.error().fields[0].path.starts_with(path));
    });
    CHECK(members > 50);
}

TEST_CASE("each value out of its bounds is refused, all of them at once") {
    struct Row {
        const char* path;
        Json value;
        const char* fault = nullptr;  // where it is reported, if elsewhere
    };
    const Row rows[] = {
        {"/version", 2},
        {"/version", "1"},
        {"/tiers/0", "sgx"},
        {"/measurements/0", "AB"},
        {"/measurements/0", std::string(96, 'A')},
        {"/evidence_age_seconds_max", -1},
        {"/evidence_age_seconds_max", 1.0},
        {"/evidence_age_seconds_max", 316224001},
        {"/tdx/tcb_statuses/0", "uptodate"},
        {"/tdx/attributes_required", 1},
        {"/tdx/attributes_required", "10"},
        {"/tdx/attributes_required", "0x"},
        {"/tdx/attributes_required", "0x10000000000000000"},
        {"/tdx/attributes_required", "0x-1"},
        {"/tdx/quote_versions/0", 3},
        {"/tdx/evaluation_number_min", 4294967296},
        {"/tdx/tcb_date_min", "yesterday"},
        {"/tdx/fmspc_denied/0", "00806F050000"},
        {"/tdx/unknown", 1},
        {"/snp/roots/0/product", "Rome"},
        {"/snp/roots/0/spki_sha256", ""},
        {"/snp/tcb_minimums/0/tcb/snp", 256},
        {"/snp/guest_policy_value", "0x1", "/snp/guest_policy_value"},
        {"/snp/vmpl_max", 4},
        {"/nvidia/modes/0", "open"},
        {"/nvidia/driver_version_min", "5 7"},
        {"/nvidia_service/issuer", ""},
        {"/more", Json::object()},
    };
    for (const Row& row : rows) {
        Json json = sample();
        json[Json::json_pointer{row.path}] = row.value;
        const auto policy = parse_policy(document(json));
        INFO(row.path << " = " << row.value.dump());
        REQUIRE_FALSE(policy.has_value());
        REQUIRE(policy.error().fields.size() == 1);
        CHECK(policy.error().fields[0].path == (row.fault ? row.fault : row.path));
    }
    Json several = sample();
    several["tiers"] = 1;
    several["snp"]["roots"] = Json::array({{{"product", "Genoa"}}});
    several["tdx"]["advisories_tolerated"] = Json::array({{{"id", "x"}}});
    const auto refused = parse_policy(document(several));
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().fields ==
          std::vector<FieldError>{{"/tiers", "must be a list of at most 4096"},
                                  {"/tdx/advisories_tolerated/0/until", "is missing"},
                                  {"/snp/roots/0/spki_sha256", "is missing"}});
}

TEST_CASE("what is no policy at all is refused") {
    for (const std::string& text :
         {std::string{}, std::string{"[]"}, std::string{"{}"}, std::string{"null"},
          std::string{R"({"version":1,"version":1})"}, std::string{R"({"version":1)"},
          std::string(policy_bytes_max + 1, ' ')}) {
        INFO(text.substr(0, 40));
        CHECK_FALSE(parse_policy(text).has_value());
    }
    Json json = sample();
    json["measurements"] = Json::array();
    for (std::size_t i = 0; i < policy_list_items_max; ++i)
        json["measurements"].push_back(std::string(64, 'a'));
    CHECK(parse_policy(document(json)).has_value());
    json["measurements"].push_back(std::string(64, 'a'));
    CHECK_FALSE(parse_policy(document(json)).has_value());
}

TEST_CASE("minimums rise to what was seen and never sink") {
    TdxResult tdx;
    tdx.evaluation_number = 18;
    tdx.root_crl_issued = Instant{} + days(10);
    tdx.pck_crl_issued = Instant{} + days(20);
    tdx.pck_authority = PckAuthority::platform;
    SnpResult snp;
    snp.product = SnpProduct::turin;
    snp.revocation_number = std::string(39, '0') + "9";
    CollateralSeen seen;
    seen.note(tdx);
    seen.note(snp);
    seen.note(TdxResult{});  // proves nothing, moves nothing
    seen.note(SnpResult{});
    tdx.evaluation_number = 17;
    seen.note(tdx);

    const Policy raised = against_rollback(Policy{}, seen);
    CHECK(raised.tdx.evaluation_number_min == 18);
    CHECK(raised.tdx.root_crl_issued_min == Instant{} + days(10));
    CHECK(raised.tdx.pck_crl_issued_min[1] == Instant{} + days(20));
    CHECK(raised.tdx.pck_crl_issued_min[0] == Instant{});
    CHECK(raised.snp.roots[0].revocation_number_min.empty());
    CHECK(raised.snp.roots[2].product == SnpProduct::turin);
    CHECK(raised.snp.roots[2].revocation_number_min == snp.revocation_number);

    Policy strict;
    strict.tdx.evaluation_number_min = 21;
    strict.snp.roots[2].revocation_number_min = std::string(39, '0') + "a";
    CHECK(against_rollback(strict, seen).tdx.evaluation_number_min == 21);
    CHECK(against_rollback(strict, seen).snp.roots[2].revocation_number_min.back() == 'a');
}
