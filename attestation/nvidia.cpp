#include "attestation/nvidia.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "attestation/checklist.hpp"
#include "attestation/nvidia_claims.hpp"

namespace cocoon::attestation {
namespace {

constexpr Instant endless{INT64_MAX};
constexpr std::size_t pdi_bytes = 8;  // a device's identity on the switch fabric

bool contains(const std::vector<std::string>& list, const std::string& wanted) {
    return std::find(list.begin(), list.end(), wanted) != list.end();
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// Versions are hexadecimal for VBIOSes, and both cases are in use.
bool same_version(std::string_view a, std::string_view b) {
    return !a.empty() && std::equal(a.begin(), a.end(), b.begin(), b.end(),
                                    [](char x, char y) { return lower(x) == lower(y); });
}

// Decimal parts between dots, as drivers are numbered; nothing for any other text.
std::optional<std::vector<unsigned>> version_parts(std::string_view text) {
    std::vector<unsigned> parts;
    while (parts.size() < 8) {
        unsigned part = 0;
        const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), part);
        if (failure != std::errc{}) return std::nullopt;
        parts.push_back(part);
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (text.empty()) return parts;
        if (text.front() != '.') return std::nullopt;
        text.remove_prefix(1);
    }
    return std::nullopt;
}

// ---- Chains -------------------------------------------------------------------------------------

bool judge_chain(Checklist& list, std::span<const Certificate> chain,
                 const std::vector<std::string>& pins, Instant at) {
    ChainRules rules;
    rules.pins = pins;
    const auto faults = check_chain(chain, rules, at);
    for (const ChainFault& fault : faults) list.fail(fault.code, fault.text);
    if (!faults.empty()) return false;
    return list.check("certificate_chain", true,
                      "the certificates lead to a pinned root: " + chain.back().subject(), {});
}

RevocationRules revocation_rules(const NvidiaPolicy& policy, std::size_t required_from) {
    RevocationRules rules;
    rules.required = policy.revocation_required;
    rules.required_from = required_from;
    rules.stale_max = policy.revocation_stale_max;
    return rules;
}

// ---- Manifests ----------------------------------------------------------------------------------

struct JudgedManifest {
    Checklist list;
    Instant until = endless;
};

JudgedManifest judge_manifest(const NvidiaManifest& manifest,
                              const RevocationCollateral& revocation, const NvidiaPolicy& policy,
                              Instant at) {
    JudgedManifest out;
    const auto& chain = manifest.signed_xml.certificates();
    const bool trusted = judge_chain(out.list, chain, policy.manifest_roots, at);
    const auto fault = manifest.signed_xml.check(chain.front());
    if (out.list.check("digest", fault != SignedXml::Fault::digest,
                       "the signed digest is the whole manifest's",
                       "the manifest was changed after it was signed"))
        out.list.check("signature", fault == SignedXml::Fault::none,
                       "the manifest's signer made the signature",
                       "the signature is not the manifest signer's");
    if (!trusted || fault != SignedXml::Fault::none) return out;
    out.until = std::min(chain_not_after(chain), judge_revocation(out.list, "", chain, revocation,
                                                                  revocation_rules(policy, 0), at));
    return out;
}

// The collateral of one call, and what was found about its manifests so far: eight GPUs of a node
// share two of them, and a signature is judged once.
class Materials {
public:
    Materials(const NvidiaCollateral& collateral, const NvidiaPolicy& policy, Instant at)
        : collateral{collateral}, policy{policy}, at{at} {}

    const JudgedManifest& judged(const NvidiaManifest& manifest) {
        const auto found = judged_.find(&manifest);
        if (found != judged_.end()) return found->second;
        return judged_
            .emplace(&manifest, judge_manifest(manifest, collateral.revocation, policy, at))
            .first->second;
    }

    const NvidiaCollateral& collateral;
    const NvidiaPolicy& policy;
    const Instant at;

private:
    std::map<const NvidiaManifest*, JudgedManifest> judged_;
};

// The manifest for this version of this product. There may be several (boards of one chip have
// their own); the best is one that is genuine and that the report matches.
const NvidiaManifest* choose_manifest(Materials& materials, const NvidiaResult& device,
                                      const std::string& version) {
    const NvidiaManifest* best = nullptr;
    int best_rank = -1;
    for (const NvidiaManifest& manifest : materials.collateral.manifests) {
        if (manifest.product != device.identity.product || !same_version(manifest.version, version))
            continue;
        const Status status = materials.judged(manifest).list.status();
        const NvidiaManifest* alone = &manifest;
        const bool matches = compare_measurements(*device.report, {&alone, 1}).mismatched.empty();
        const int rank = (status == Status::proven    ? 4
                          : status == Status::unknown ? 2
                                                      : 0) +
                         matches;
        if (rank > best_rank) best = &manifest, best_rank = rank;
    }
    return best;
}

// Notes what is known about the manifest for `version`; nothing if there is none that is genuine.
const NvidiaManifest* judge_manifest_of(Checklist& list, Materials& materials, NvidiaResult& device,
                                        const std::string& kind, const std::string& version) {
    const NvidiaManifest* chosen = choose_manifest(materials, device, version);
    const std::string prefix = kind + "_manifest_";
    if (!chosen) {
        const std::string why =
            "there is no manifest for " + kind + " " +
            (version.empty() ? "of unknown version" : version) + " of " +
            (device.identity.product.empty() ? "an unknown product" : device.identity.product);
        materials.policy.manifests_required ? list.missing(prefix + "missing", why)
                                            : list.skipped(prefix + "missing", why);
        return nullptr;
    }
    const JudgedManifest& judged = materials.judged(*chosen);
    list.adopt(prefix, judged.list);
    device.valid_until = std::min(device.valid_until, judged.until);
    return judged.list.status() == Status::refuted ? nullptr : chosen;
}

std::string indices_text(const std::vector<std::uint16_t>& indices) {
    std::string text;
    for (const std::uint16_t index : indices)
        text += (text.empty() ? "" : ", ") + std::to_string(index);
    return text;
}

void judge_measurements(Checklist& list, Materials& materials, NvidiaResult& device) {
    std::vector<const NvidiaManifest*> manifests;
    const auto add = [&](const char* kind, const std::string& version) {
        if (const auto* found = judge_manifest_of(list, materials, device, kind, version))
            manifests.push_back(found);
    };
    if (!device.identity.is_switch) add("driver", device.driver_version);
    add("vbios", device.vbios_version);
    const bool complete = manifests.size() == (device.identity.is_switch ? 1 : 2);
    if (manifests.empty()) return;
    device.comparison = compare_measurements(*device.report, manifests);
    const NvidiaComparison& found = device.comparison;
    if (!found.mismatched.empty())
        list.fail("measurements",
                  "the measurements " + indices_text(found.mismatched) +
                      " are not the manifests': reset the GPU, then the host, and install the "
                      "vendor's driver and VBIOS anew");
    if (!complete) return;  // what matches so far is not all there is to match
    list.check(
        "measurement_contested", found.contested.empty(), "no measurement is in two manifests",
        "driver and VBIOS manifest both list the measurements " + indices_text(found.contested));
    if (found.mismatched.empty())
        list.check("measurements", true,
                   "all " + std::to_string(found.golden.size()) +
                       " measurements that the manifests list match",
                   {});
}

// ---- The report ---------------------------------------------------------------------------------

void judge_firmware(Checklist& list, const Certificate& leaf, NvidiaResult& device) {
    const Bytes* reported = device.report->field(NvidiaField::firmware_id);
    if (!reported)
        return list.skipped("firmware_id",
                            "the report names no firmware to compare with the "
                            "certificate (old drivers and switches do not)");
    const auto certified = nvidia_firmware_id(leaf);
    device.firmware_id_checked =
        certified && *certified &&
        std::equal(reported->begin(), reported->end(), (*certified)->begin(), (*certified)->end());
    list.check("firmware_id", device.firmware_id_checked,
               "the certificate is for the firmware that made the report",
               "the certificate is for other firmware than the report names");
}

void judge_policy(const NvidiaPolicy& policy, NvidiaResult& device) {
    Checklist list;
    const NvidiaIdentity& identity = device.identity;
    if (!policy.products.empty())
        list.check("product_accepted", contains(policy.products, identity.product),
                   "the policy accepts " + identity.product,
                   "the policy does not accept the product " + identity.product);
    if (policy.firmware_id_required)
        list.check("firmware_id_present", device.firmware_id_checked,
                   "the report names its firmware",
                   "the report does not name its firmware; install a newer driver");
    if (!policy.driver_version_min.empty() && !identity.is_switch) {
        const auto found = version_parts(device.driver_version);
        const auto wanted = version_parts(policy.driver_version_min);
        list.check(
            "driver_version_min", found && wanted && *found >= *wanted,
            "the driver is recent enough",
            "the driver " + device.driver_version + " is older than " + policy.driver_version_min);
    }
    const bool denied = std::any_of(policy.denied_versions.begin(), policy.denied_versions.end(),
                                    [&](const std::string& one) {
                                        return same_version(one, device.driver_version) ||
                                               same_version(one, device.vbios_version);
                                    });
    list.check("version_denied", !denied, "driver and VBIOS are not denied",
               "the policy denies this driver or VBIOS version");
    list.check("device_denied",
               !contains(policy.denied_devices, identity.platform_id()) &&
                   !contains(policy.denied_devices, identity.leaf_serial),
               "the device is not denied", "the policy denies this device");
    if (!policy.modes.empty() && !identity.is_switch) {
        const auto mode = device.report->mode();
        list.check("mode_accepted",
                   mode && std::find(policy.modes.begin(), policy.modes.end(), *mode) !=
                               policy.modes.end(),
                   "the policy accepts the way the GPU is given to the guest",
                   "the policy does not accept the way the GPU is given to the guest");
    }
    device.policy_reasons = list.take_reasons();
}

// Everything about a report whose lengths fit and whose certificates can be read.
void verify_signed(Checklist& list, Materials& materials, NvidiaReport report,
                   std::span<const Certificate> chain, const NvidiaNonce& nonce,
                   NvidiaResult& out) {
    const bool trusted = judge_chain(list, chain, materials.policy.device_roots, materials.at);
    const bool is_signed = list.check("report_signature",
                                      chain.front().public_key().verify_ecdsa(
                                          Hash::sha384, report.signed_bytes, report.signature),
                                      "the device's key signed the report",
                                      "the signature is not the device key's over this report");
    list.check("nonce", report.nonce == nonce, "the report answers this challenge",
               "the report answers another challenge; make it anew for the current nonce");
    if (!trusted || !is_signed) return;
    out.identity = nvidia_identity(chain.front());
    out.driver_version = report.driver_version();
    out.vbios_version = report.vbios_version();
    out.report = std::move(report);
    for (const Certificate& certificate : chain) out.certificates.push_back(certificate.subject());
    judge_firmware(list, chain.front(), out);
    const std::size_t required_from = materials.policy.leaf_revocation_required ? 0 : 1;
    out.valid_until =
        std::min(chain_not_after(chain),
                 judge_revocation(list, "", chain, materials.collateral.revocation,
                                  revocation_rules(materials.policy, required_from), materials.at));
    judge_measurements(list, materials, out);
    judge_policy(materials.policy, out);
}

NvidiaResult verify_device(Materials& materials, const NvidiaEvidence& evidence,
                           const NvidiaNonce& nonce) {
    NvidiaResult out;
    Checklist list;
    auto report = parse_nvidia_report(evidence.report);
    const bool formed = list.check("report_format", report.has_value(), "the report is well-formed",
                                   report ? "" : report.error().detail);
    const bool bounded = evidence.certificates.size() <= nvidia_chain_bytes_max;
    const auto chain = bounded ? certificates_from_pem(evidence.certificates)
                               : refuse(ErrorCode::body_too_large, "the certificates are too long");
    const bool readable =
        list.check("certificate_format", chain.has_value(), "the certificates are well-formed",
                   chain ? "" : chain.error().detail);
    if (formed && readable) verify_signed(list, materials, std::move(*report), *chain, nonce, out);
    out.status = list.status();
    if (out.status != Status::proven) out.valid_until = {};
    out.reasons = list.take_reasons();
    out.not_proven = nvidia_claims_not_proven();
    return out;
}

// ---- A node's devices ---------------------------------------------------------------------------

// The switches that a GPU says its links go to, or a switch itself: identities that are not zero.
// A GPU writes each with its last byte first.
std::set<Bytes> switch_identities(const NvidiaResult& device) {
    std::set<Bytes> out;
    const Bytes* field = device.report->field(NvidiaField::switch_pdi);
    if (!field) return out;
    for (std::size_t at = 0; at + pdi_bytes <= field->size(); at += pdi_bytes) {
        const auto begin = field->begin() + static_cast<std::ptrdiff_t>(at);
        Bytes one{begin, begin + pdi_bytes};
        if (!device.identity.is_switch) std::reverse(one.begin(), one.end());
        if (std::any_of(one.begin(), one.end(), [](auto byte) { return byte != 0; }))
            out.insert(std::move(one));
    }
    return out;
}

// Protected PCIe: the traffic between GPUs is in the clear on the fabric, so every switch on it has
// to prove itself, and all GPUs have to be on the same fabric.
void judge_switches(Checklist& list, const std::vector<NvidiaResult>& devices) {
    std::set<Bytes> shown;
    std::set<std::set<Bytes>> fabrics;
    bool protected_pcie = false;
    for (const NvidiaResult& device : devices) {
        if (!device.report) continue;
        const std::set<Bytes> found = switch_identities(device);
        if (device.identity.is_switch) {
            shown.insert(found.begin(), found.end());
        } else if (device.report->mode() == NvidiaMode::protected_pcie) {
            protected_pcie = true;
            fabrics.insert(found);
        }
    }
    if (!protected_pcie) return;
    list.check(
        "switches_present", fabrics.size() == 1 && !shown.empty() && *fabrics.begin() == shown,
        "the evidence holds exactly the switches that the GPUs are connected to",
        "GPUs in protected PCIe mode are connected to other switches than the evidence holds");
}

bool no_failure(const std::vector<Reason>& reasons) {
    return std::none_of(reasons.begin(), reasons.end(),
                        [](const Reason& reason) { return reason.outcome == Outcome::failed; });
}

}  // namespace

bool NvidiaResult::acceptable() const {
    return status == Status::proven && no_failure(policy_reasons);
}

bool NvidiaNodeResult::acceptable() const {
    return status == Status::proven && no_failure(policy_reasons) &&
           std::all_of(devices.begin(), devices.end(),
                       [](const NvidiaResult& device) { return device.acceptable(); });
}

Result<NvidiaCollateral> read_nvidia_collateral(std::span<const Bytes> manifests,
                                                std::span<const Bytes> ocsp_responses,
                                                std::span<const Bytes> revocation_lists) {
    const std::size_t chains_max = (nvidia_devices_max + nvidia_manifests_max) * certificates_max;
    if (manifests.size() > nvidia_manifests_max || ocsp_responses.size() > chains_max ||
        revocation_lists.size() > nvidia_manifests_max)
        return refuse(ErrorCode::body_too_large, "there are too many pieces of collateral");
    NvidiaCollateral out;
    for (const Bytes& bytes : manifests) {
        auto manifest = parse_nvidia_manifest(bytes);
        if (!manifest) return manifest.error();
        out.manifests.push_back(std::move(*manifest));
    }
    for (const Bytes& bytes : ocsp_responses) {
        auto response = OcspResponse::from_der(bytes);
        if (!response) return response.error();
        out.revocation.responses.push_back(std::move(*response));
    }
    for (const Bytes& bytes : revocation_lists) {
        auto read = RevocationList::from_der(bytes);
        if (!read) return read.error();
        out.revocation.lists.push_back(std::move(*read));
    }
    return out;
}

NvidiaResult verify_nvidia(const NvidiaEvidence& evidence, const NvidiaNonce& nonce,
                           const NvidiaCollateral& collateral, const NvidiaPolicy& policy,
                           Instant at) {
    Materials materials{collateral, policy, at};
    return verify_device(materials, evidence, nonce);
}

ManifestResult verify_nvidia_manifest(const NvidiaManifest& manifest,
                                      const RevocationCollateral& revocation,
                                      const NvidiaPolicy& policy, Instant at) {
    JudgedManifest judged = judge_manifest(manifest, revocation, policy, at);
    ManifestResult out;
    out.status = judged.list.status();
    if (out.status == Status::proven) out.valid_until = judged.until;
    out.reasons = judged.list.take_reasons();
    return out;
}

NvidiaNodeResult verify_nvidia_node(std::span<const NvidiaEvidence> evidence,
                                    const NvidiaNonce& nonce, const NvidiaCollateral& collateral,
                                    const NvidiaPolicy& policy, Instant at) {
    NvidiaNodeResult out;
    Checklist list;
    if (list.check("device_count", !evidence.empty() && evidence.size() <= nvidia_devices_max,
                   "the evidence holds " + std::to_string(evidence.size()) + " devices",
                   "the evidence holds no device, or too many")) {
        Materials materials{collateral, policy, at};
        std::set<std::string> devices, leaves;
        bool unique = true;
        out.valid_until = endless;
        for (const NvidiaEvidence& one : evidence) {
            out.devices.push_back(verify_device(materials, one, nonce));
            const NvidiaResult& device = out.devices.back();
            out.valid_until = std::min(out.valid_until, device.valid_until);
            if (!device.report) continue;
            unique = devices.insert(device.identity.platform_id()).second && unique;
            unique = leaves.insert(device.identity.leaf_serial).second && unique;
            if (!unique) break;  // refuted: the same report 32 times over is only work
        }
        list.check("device_duplicate", unique, "every report is of another device",
                   "two reports are of the same device");
        const bool gpu = std::any_of(
            out.devices.begin(), out.devices.end(),
            [](const auto& device) { return device.report && !device.identity.is_switch; });
        list.check("gpu_present", gpu, "there is a GPU among the devices",
                   "none of the devices is known to be a GPU");
        Checklist accepted;
        if (policy.switches_required) judge_switches(accepted, out.devices);
        out.policy_reasons = accepted.take_reasons();
    }
    out.status = list.status();
    for (const NvidiaResult& device : out.devices) {
        if (device.status == Status::refuted) out.status = Status::refuted;
        if (device.status == Status::unknown && out.status == Status::proven)
            out.status = Status::unknown;
    }
    if (out.status != Status::proven) out.valid_until = {};
    out.reasons = list.take_reasons();
    return out;
}

}  // namespace cocoon::attestation
