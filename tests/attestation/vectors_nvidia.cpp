// nvidia/cases.json: device reports with their chains, signed manifests, a report against
// manifests, and answers of the remote attestation service. `verdict` is whether all signatures
// hold; that no manifest and no revocation answer comes with a report is allowed by the policy used
// here.
#include <algorithm>
#include <set>

#include "attestation/nvidia.hpp"
#include "attestation/nvidia_token.hpp"
#include "tests/attestation/vectors.hpp"

namespace cocoon::attestation::vectors {
namespace {

namespace fs = std::filesystem;

NvidiaPolicy policy_of(const fs::path& folder, const Json& test) {
    NvidiaPolicy policy;
    policy.manifests_required = false;
    policy.revocation_required = false;
    const std::string anchor = test.value("trust_anchor", "nvidia");
    if (anchor == "nvidia") return policy;
    const auto root = Certificate::from_pem(read_text(folder / anchor));
    expect(root.has_value(), "the trust anchor is no certificate: " + anchor);
    policy.device_roots = policy.manifest_roots = {root->public_key().spki_sha256()};
    return policy;
}

NvidiaNonce nonce_of(const Json& test) {
    const Bytes bytes = hex_bytes(test.at("expected_nonce"));
    NvidiaNonce nonce{};
    expect(bytes.size() == nonce.size(), "the nonce has another size");
    std::copy(bytes.begin(), bytes.end(), nonce.begin());
    return nonce;
}

std::string failures_of(const std::vector<Reason>& reasons) {
    std::string text;
    for (const Reason& reason : reasons)
        if (reason.outcome == Outcome::failed) text += " [" + reason.code + "] " + reason.text;
    return text.empty() ? " nothing failed" : text;
}

void expect_verdict(const Json& expected, bool verified, const std::vector<Reason>& reasons) {
    const std::string recorded = expected.value("verdict", "");
    const std::string found = verified ? "verified" : "reject";
    if (recorded == "either") return;
    expect(found == recorded, "verdict " + found + ", recorded is " + recorded + " (" +
                                  expected.value("reason", "") + "):" + failures_of(reasons));
}

// Compares every member that the case records and `found` has; a member that `found` lacks fails.
void expect_members(const Json& found, const Json& recorded, const std::string& where) {
    for (const auto& [name, value] : recorded.items()) {
        expect(found.contains(name), where + name + " is not found");
        expect(found[name] == value, where + name + " is " + found[name].dump().substr(0, 200) +
                                         ", recorded is " + value.dump().substr(0, 200));
    }
}

// ---- spdm ---------------------------------------------------------------------------------------

struct OpaqueName {
    NvidiaField field;
    const char* name;
    bool text;
};
constexpr OpaqueName opaque_names[] = {
    {NvidiaField::driver_version, "driver_version", true},
    {NvidiaField::gpu_info, "gpu_info", false},
    {NvidiaField::vbios_version, "vbios_version", false},
    {NvidiaField::nvdec0_status, "nvdec0_status", false},
    {NvidiaField::measurement_counts, "msrscnt", false},
    {NvidiaField::protection_info, "cprinfo", false},
    {NvidiaField::board_id, "board_id", false},
    {NvidiaField::chip_sku, "chip_sku", true},
    {NvidiaField::chip_sku_mod, "chip_sku_mod", true},
    {NvidiaField::project, "project", true},
    {NvidiaField::project_sku, "project_sku", true},
    {NvidiaField::project_sku_mod, "project_sku_mod", true},
    {NvidiaField::firmware_id, "fwid", false},
    {NvidiaField::protected_pcie_status, "protected_pcie_status", false},
    {NvidiaField::switch_pdi, "switch_pdi", false},
    {NvidiaField::floorswept_ports, "floorswept_ports", false},
    {NvidiaField::position_id, "position_id", false},
    {NvidiaField::lock_switch_status, "lock_switch_status", false},
    {NvidiaField::gpu_link_connections, "gpu_link_conn", false},
    {NvidiaField::system_enable_status, "sys_enable_status", false},
    {NvidiaField::opaque_data_version, "opaque_data_version", false},
    {NvidiaField::chip_info, "chip_info", false},
    {NvidiaField::feature_flag, "feature_flag", false},
};

Json fields_of(const NvidiaReport& report) {
    Json measurements = Json::object(), opaque = Json::object();
    for (const auto& [index, value] : report.measurements)
        measurements[std::to_string(index)] = to_hex(value);
    for (const auto& [type, value] : report.opaque) {
        const auto* known = std::find_if(
            std::begin(opaque_names), std::end(opaque_names),
            [&](const OpaqueName& row) { return static_cast<std::uint16_t>(row.field) == type; });
        if (known == std::end(opaque_names))
            opaque[std::to_string(type)] = to_hex(value);
        else
            opaque[known->name] = known->text ? report.text(known->field) : to_hex(value);
    }
    return {{"nonce", to_hex(report.nonce)},
            {"number_of_blocks", report.measurements.size()},
            {"measurement_record_len", report.record_bytes},
            {"opaque_len", report.opaque_bytes},
            {"report_len", report.signed_bytes.size() + report.signature.size()},
            {"signed_len", report.signed_bytes.size()},
            {"measurements", measurements},
            {"opaque", opaque}};
}

std::string without_leading_zeros(const std::string& hex) {
    return hex.substr(std::min(hex.find_first_not_of('0'), hex.size()));
}

void run_spdm(const fs::path& folder, const Json& test) {
    const NvidiaEvidence evidence{read_file(folder / test.at("report").get<std::string>()),
                                  read_text(folder / test.at("chain").get<std::string>())};
    const NvidiaResult result = verify_nvidia(evidence, nonce_of(test), {}, policy_of(folder, test),
                                              instant_of(test.at("time")));
    const Json& expected = test.at("expect");
    expect_verdict(expected, result.status == Status::proven, result.reasons);
    if (result.status != Status::proven) return;
    const auto text_or_null = [](const std::string& text) {
        return text.empty() ? Json{} : Json(text);
    };
    Json found{{"driver_version", text_or_null(result.driver_version)},
               {"vbios_version", text_or_null(result.vbios_version)},
               {"fwid_checked", result.firmware_id_checked},
               {"chain", result.certificates},
               {"leaf_serial", without_leading_zeros(result.identity.leaf_serial)}};
    Json recorded = expected;
    recorded.erase("verdict");
    if (recorded.contains("leaf_serial"))
        recorded["leaf_serial"] = without_leading_zeros(recorded["leaf_serial"]);
    if (recorded.contains("fields")) {
        expect_members(fields_of(*result.report), recorded["fields"], "field ");
        recorded.erase("fields");
    }
    expect_members(found, recorded, "");
}

// ---- rim and measurements -----------------------------------------------------------------------

void run_manifest(const fs::path& folder, const Json& test) {
    const auto manifest =
        parse_nvidia_manifest(read_file(folder / test.at("rim").get<std::string>()));
    Json recorded = test.at("expect");
    if (!manifest) {
        expect_verdict(recorded, false, {{"format", Outcome::failed, manifest.error().detail}});
        expect(!recorded.contains("version"),
               "the manifest is not read: " + manifest.error().detail);
        return;
    }
    const ManifestResult result =
        verify_nvidia_manifest(*manifest, {}, policy_of(folder, test), instant_of(test.at("time")));
    expect_verdict(recorded, result.status == Status::proven, result.reasons);
    Json measurements = Json::object(), active = Json::array();
    for (const auto& [index, alternatives] : manifest->measurements) {
        active.push_back(index);
        for (const auto& value : alternatives)
            measurements[std::to_string(index)].push_back(to_hex(value));
    }
    recorded.erase("verdict");
    recorded.erase("reason");
    expect_members({{"version", manifest->version},
                    {"product", manifest->product},
                    {"tag_id", manifest->tag_id},
                    {"active_indices", active},
                    {"measurements", measurements}},
                   recorded, "");
}

void run_measurements(const fs::path& folder, const Json& test) {
    const auto report =
        parse_nvidia_report(read_file(folder / test.at("report").get<std::string>()));
    expect(report.has_value(), "the report cannot be read");
    std::vector<NvidiaManifest> manifests;
    for (const Json& name : test.at("rims")) {
        auto manifest = parse_nvidia_manifest(read_file(folder / name.get<std::string>()));
        expect(manifest.has_value(), "a manifest cannot be read");
        manifests.push_back(std::move(*manifest));
    }
    std::vector<const NvidiaManifest*> all;
    for (const NvidiaManifest& manifest : manifests) all.push_back(&manifest);
    const NvidiaComparison found = compare_measurements(*report, all);
    const Bytes* nvdec0 = report->field(NvidiaField::nvdec0_status);
    const bool match = found.mismatched.empty() && found.contested.empty();
    expect_members({{"verdict", match ? "match" : "mismatch"},
                    {"mismatched_indices", found.mismatched},
                    {"golden_indices", found.golden},
                    {"nvdec0_status", nvdec0 ? Json(to_hex(*nvdec0)) : Json{}}},
                   test.at("expect"), "");
}

// ---- nras ---------------------------------------------------------------------------------------

Json device_claims(const NvidiaTokenDevice& device) {
    Json found{{"hwmodel", device.product},
               {"ueid", device.ueid},
               {"oemid", device.manufacturer},
               {"measres", device.measurements},
               {"dbgstat", device.debug},
               {"x-nvidia-gpu-driver-version", device.driver_version},
               {"x-nvidia-gpu-vbios-version", device.vbios_version}};
    const auto flag = [&](const char* name, const std::optional<bool>& value) {
        if (value) found[name] = *value;
    };
    flag("secboot", device.secure_boot);
    flag("x-nvidia-gpu-attestation-report-nonce-match", device.nonce_matches);
    flag("x-nvidia-gpu-attestation-report-signature-verified", device.signature_right);
    return found;
}

void run_answer(const fs::path& folder, const Json& test) {
    const auto keys = parse_nvidia_key_set(read_text(folder / test.at("jwks").get<std::string>()));
    expect(keys.has_value(), "the key set cannot be read");
    NvidiaTokenPolicy policy;
    policy.issuer = test.value("issuer", policy.issuer);
    policy.key_set_trusted = true;  // a case's key set is what its verifier fetched
    const NvidiaTokenResult result =
        verify_nvidia_answer(read_text(folder / test.at("token").get<std::string>()), *keys,
                             nonce_of(test), policy, instant_of(test.at("time")));
    const Json& expected = test.at("expect");
    expect_verdict(expected, result.status == Status::proven, result.reasons);
    if (result.status != Status::proven) return;
    Json devices = Json::object();
    for (const NvidiaTokenDevice& device : result.devices) {
        devices[device.name] = device_claims(device);
        if (expected.contains("devices") && expected["devices"].contains(device.name))
            expect_members(devices[device.name], expected["devices"][device.name],
                           device.name + " ");
    }
    if (expected.contains("devices"))
        expect(devices.size() == expected["devices"].size(), "there are other devices");
    std::set<std::string> violations;
    for (const Reason& reason : result.policy_reasons)
        if (reason.outcome == Outcome::failed) violations.insert(reason.code);
    Json recorded = expected;
    recorded.erase("verdict");
    recorded.erase("devices");
    if (recorded.contains("policy_violations"))
        recorded["policy_violations"] = recorded["policy_violations"].get<std::set<std::string>>();
    expect_members({{"overall", Json::parse(result.overall, nullptr, false)},
                    {"claims_version", result.claims_version},
                    {"default_policy", result.acceptable() ? "accept" : "refuse"},
                    {"policy_violations", violations}},
                   recorded, "");
}

}  // namespace

void run_nvidia(const fs::path& folder, Tally& tally) {
    for (const Json& test : read_cases(folder, tally))
        tally.run("nvidia " + test.value("id", "?"), [&] {
            const std::string kind = test.value("kind", "");
            if (kind == "spdm") return run_spdm(folder, test);
            if (kind == "rim") return run_manifest(folder, test);
            if (kind == "measurements") return run_measurements(folder, test);
            if (kind == "nras") return run_answer(folder, test);
            throw CaseFailed{"this kind has no runner: " + kind};
        });
}

}  // namespace cocoon::attestation::vectors
