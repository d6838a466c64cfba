#include "attestation/snp.hpp"

#include <algorithm>
#include <span>

#include "attestation/checklist.hpp"
#include "attestation/der.hpp"
#include "attestation/revocation.hpp"

namespace cocoon::attestation {
namespace {

constexpr std::uint32_t version_first = 2;
constexpr std::uint32_t version_last = 5;
constexpr std::uint32_t version_with_cpuid = 3;
constexpr std::uint32_t version_with_mitigations = 5;
constexpr std::uint32_t ecdsa_p384_sha384 = 1;
constexpr std::uint8_t signed_by_vcek = 0;
constexpr std::uint8_t signed_by_vlek = 1;
constexpr std::size_t scalar_bytes = 48;

// ---- AMD's certificate extensions (57230, table 8) ----------------------------------------------

constexpr const char* product_name_oid = "1.3.6.1.4.1.3704.1.2";
constexpr const char* hardware_id_oid = "1.3.6.1.4.1.3704.1.4";
constexpr const char* cloud_oid = "1.3.6.1.4.1.3704.1.5";

// The last arc of the extension under tcb_oid that certifies byte i of REPORTED_TCB. Those of arcs
// 4 to 7 have no meaning so far and may be absent.
constexpr const char* tcb_oid = "1.3.6.1.4.1.3704.1.3.";
using TcbArcs = std::array<int, 8>;
constexpr TcbArcs milan_genoa_arcs{1, 2, 4, 5, 6, 7, 3, 8};
constexpr TcbArcs turin_arcs{9, 1, 2, 3, 5, 6, 7, 8};
constexpr bool tcb_reserved(int arc) { return arc >= 4 && arc <= 7; }

// The value of the one element that `der` is, if it has this tag.
std::optional<ByteView> only_der(ByteView der, std::uint8_t tag) {
    Reader reader{der};
    const auto value = take_der(reader, tag);
    return reader.finished() ? value : std::nullopt;
}

// A DER INTEGER of 0 to 255.
std::optional<std::uint8_t> der_byte(ByteView der) {
    const auto value = only_der(der, der::integer);
    if (!value) return std::nullopt;
    if (value->size() == 1 && (*value)[0] < 0x80) return (*value)[0];
    if (value->size() == 2 && (*value)[0] == 0 && (*value)[1] >= 0x80) return (*value)[1];
    return std::nullopt;
}

std::string text_extension(const Certificate& certificate, const char* oid) {
    const auto extension = certificate.extension(oid);
    const auto contents = extension ? only_der(*extension, der::ia5_string) : std::nullopt;
    const bool printable =
        contents && std::all_of(contents->begin(), contents->end(),
                                [](std::uint8_t byte) { return byte >= 0x20 && byte < 0x7F; });
    return printable ? std::string{as_text(*contents)} : std::string{};
}

// Raw octets as AMD issues them, or the same inside an OCTET STRING; empty if there is none.
Bytes hardware_id(const Certificate& certificate) {
    const auto extension = certificate.extension(hardware_id_oid);
    if (!extension) return {};
    if (extension->size() == 8 || extension->size() == 64) return *extension;
    const auto contents = only_der(*extension, der::octet_string);
    return contents ? Bytes{contents->begin(), contents->end()} : Bytes{};
}

bool names_product(std::string_view name, SnpProduct product) {
    const std::string_view line = name.substr(0, name.find('-'));
    if (product == SnpProduct::genoa && (line == "Bergamo" || line == "Siena")) return true;
    return line == to_text(product);
}

// ---- Chain --------------------------------------------------------------------------------------

using Chain = std::vector<Certificate>;  // key, signer, root

std::optional<Chain> read_chain(const SnpCollateral& collateral, Checklist& list) {
    struct Source {
        const Bytes& der;
        const char* what;
    };
    const Source sources[] = {{collateral.key_certificate, "VCEK or VLEK"},
                              {collateral.signer_certificate, "ASK or ASVK"},
                              {collateral.root_certificate, "ARK"}};
    Chain chain;
    bool missing = false;
    for (const auto& [der, what] : sources) {
        if (der.empty()) {
            missing = true;
            list.missing("certificate_chain", std::string{"the "} + what +
                                                  " certificate is missing; attach it or fetch it");
            continue;
        }
        auto certificate = Certificate::from_der(der);
        if (!certificate) {
            list.fail("certificate_format", std::string{what} + ": " + certificate.error().detail);
            return std::nullopt;
        }
        chain.push_back(std::move(*certificate));
    }
    if (missing) return std::nullopt;
    return chain;
}

bool check_chain_holds(const Chain& chain, const SnpPolicy& policy, Instant at, Checklist& list) {
    ChainRules rules;
    for (const SnpRoot& root : policy.roots) rules.pins.push_back(root.spki_sha256);
    const auto faults = check_chain(chain, rules, at);
    for (const ChainFault& fault : faults) list.fail(fault.code, fault.text);
    return faults.empty() &&
           list.check("certificate_chain", true, "the chain ends at a pinned AMD root key", {});
}

const SnpRoot* root_of(const Chain& chain, const SnpPolicy& policy) {
    for (const SnpRoot& root : policy.roots)
        if (root.spki_sha256 == chain[2].public_key().spki_sha256()) return &root;
    return nullptr;
}

// The root key signs both keys of chips and keys of clouds: which one this is, names say.
bool check_roles(const Chain& chain, SnpProduct product, bool vlek, Checklist& list) {
    const std::string name{to_text(product)};
    const bool right = chain[0].common_name() == (vlek ? "SEV-VLEK" : "SEV-VCEK") &&
                       chain[1].common_name() == (vlek ? "SEV-VLEK-" : "SEV-") + name &&
                       chain[2].common_name() == "ARK-" + name;
    return list.check("certificate_role", right, "each certificate has its own role",
                      "the names of the certificates are not those of a " + name +
                          (vlek ? " VLEK chain" : " VCEK chain"));
}

// A chip's or cloud's key is replaced by firmware updates and revoked by none: AMD's list names
// revoked signers.
void check_revocation(const Chain& chain, const SnpRoot& root, const SnpCollateral& collateral,
                      const SnpPolicy& policy, Instant at, Checklist& list, SnpResult& result) {
    RevocationCollateral at_hand;
    if (!collateral.revocation_list.empty()) {
        auto read = RevocationList::from_der(collateral.revocation_list);
        if (!read) return list.fail("revocation_format", read.error().detail);
        if (read->names_issuer(chain[2])) at_hand.lists.push_back(std::move(*read));
    }
    RevocationRules rules;
    rules.required = policy.revocation_required;
    Checklist revocation;
    const Instant until =
        judge_revocation(revocation, "", std::span{chain}.subspan(1), at_hand, rules, at);
    for (const RevocationList& revoked : at_hand.lists)
        revocation.check("revocation_rollback", revoked.number() >= root.revocation_number_min,
                         "no newer revocation list has been seen",
                         "a newer revocation list has been seen; fetch it anew");
    // Never the number of a forged list: it would become the minimum.
    if (!at_hand.lists.empty() && revocation.status() == Status::proven)
        result.revocation_number = at_hand.lists[0].number();
    result.valid_until = std::min(result.valid_until, until);
    list.adopt("", revocation);
}

// ---- Report -------------------------------------------------------------------------------------

bool check_header(const SnpReport& report, Checklist& list) {
    const bool known_version = report.version >= version_first && report.version <= version_last;
    list.check("report_version", known_version, "the report's version is known",
               "the report has version " + std::to_string(report.version) + "; 2 to 5 are known");
    list.check("signature_algorithm", report.signature_algorithm == ecdsa_p384_sha384,
               "the report is signed by ECDSA P-384 with SHA-384",
               "the report names another signature algorithm");
    const bool is_signed =
        report.signing_key == signed_by_vcek || report.signing_key == signed_by_vlek;
    list.check("signing_key", is_signed, "a VCEK or VLEK signed the report",
               "no known key signed the report");
    return list.status() != Status::refuted;
}

// r || s, big-endian; empty if one is longer than a scalar.
Bytes signature_of(const SnpReport& report) {
    Bytes signature;
    for (const auto& component : {report.r, report.s}) {
        if (std::any_of(component.begin() + scalar_bytes, component.end(),
                        [](std::uint8_t byte) { return byte != 0; }))
            return {};
        signature.insert(signature.end(), component.rend() - scalar_bytes, component.rend());
    }
    return signature;
}

void check_product(const SnpReport& report, const Chain& chain, SnpProduct product,
                   Checklist& list) {
    const std::string chain_product{to_text(product)};
    const auto cpu = snp_product_of(report.cpuid_family, report.cpuid_model);
    const bool cpu_agrees = report.version < version_with_cpuid || cpu == product;
    const bool name_agrees = names_product(text_extension(chain[0], product_name_oid), product);
    list.check("product", cpu_agrees && name_agrees,
               "processor, certificate and chain are of the product " + chain_product,
               "processor or certificate are of another product than the chain: " + chain_product);
}

void check_reported_tcb(const SnpReport& report, const Chain& chain, SnpProduct product,
                        Checklist& list) {
    const TcbArcs& arcs = product == SnpProduct::turin ? turin_arcs : milan_genoa_arcs;
    bool agrees = true;
    for (std::size_t i = 0; i < arcs.size(); ++i) {
        const auto extension = chain[0].extension(tcb_oid + std::to_string(arcs[i]));
        if (!extension && tcb_reserved(arcs[i])) continue;
        const auto certified = extension ? der_byte(*extension) : std::nullopt;
        agrees = agrees && certified == report.reported_tcb[i];
    }
    list.check("reported_tcb", agrees, "the key was derived from the firmware that is reported",
               "the report claims other firmware than the key's certificate; fetch the "
               "certificate for the reported firmware");
}

// The chip's id, as long as its product has it; empty when it is masked.
ByteView chip_of(const SnpReport& report, SnpProduct product) {
    const ByteView id = ByteView{report.chip_id}.first(product == SnpProduct::turin ? 8 : 64);
    const bool masked = std::all_of(id.begin(), id.end(), [](auto byte) { return byte == 0; });
    return masked ? ByteView{} : id;
}

// A stable id of somebody's machine: only its hash is shown and stored.
std::string platform_of(const SnpReport& report, SnpProduct product) {
    const ByteView chip = chip_of(report, product);
    return chip.empty() ? std::string{} : to_hex(sha256(chip));
}

void check_chip(const SnpReport& report, const Chain& chain, SnpProduct product, bool vlek,
                Checklist& list) {
    if (vlek) {
        list.check("chip_id", !text_extension(chain[0], cloud_oid).empty(),
                   "the key is a cloud's and names no chip", "the VLEK names no cloud");
        return;
    }
    const Bytes certified = hardware_id(chain[0]);
    const ByteView chip = chip_of(report, product);
    const bool agrees =
        !chip.empty() && std::equal(certified.begin(), certified.end(), chip.begin(), chip.end());
    list.check("chip_id", agrees, "the report is from the chip that the certificate names",
               "the report is from another chip than the certificate names, or hides its chip");
}

// ---- Policy -------------------------------------------------------------------------------------

bool accepts(const std::vector<std::string>& accepted, ByteView value) {
    return accepted.empty() ||
           std::find(accepted.begin(), accepted.end(), to_hex(value)) != accepted.end();
}

void judge_guest_policy(const SnpReport& report, const SnpPolicy& policy, Checklist& list) {
    const SnpGuestPolicy& guest = report.policy;
    list.check("debug", policy.debug_allowed || !guest.debug(), "the guest is closed to debugging",
               "the guest may be debugged: its host can read its memory");
    list.check("migrate_ma", policy.migration_allowed || !guest.migrate_ma(),
               "the guest has no migration agent",
               "a migration agent may move the guest and its memory to another machine");
    list.check("smt", policy.smt_allowed || !guest.smt(), "the policy on SMT holds",
               "the guest may run on a machine with SMT, which this policy refuses");
    const bool abi = std::pair{guest.abi_major(), guest.abi_minor()} >=
                     std::pair{policy.abi_major_min, policy.abi_minor_min};
    list.check("abi", abi, "the guest insists on a firmware interface that is new enough",
               "the guest admits an older firmware interface than this policy");
    const bool bits = (guest.bits & policy.guest_policy_mask) == policy.guest_policy_value;
    list.check("guest_policy", bits, "the guest policy's other bits are as wanted",
               "the guest policy's bits under the mask are not as wanted");
    list.check("vmpl", report.vmpl <= policy.vmpl_max, "the report is from a trusted level",
               "the report is from VMPL " + std::to_string(report.vmpl) + ", at most " +
                   std::to_string(policy.vmpl_max) + " is accepted");
}

void judge_platform(const SnpReport& report, SnpProduct product, bool vlek, const SnpPolicy& policy,
                    Checklist& list) {
    const auto& products = policy.products;
    const std::string name{to_text(product)};
    list.check("product_accepted",
               std::find(products.begin(), products.end(), product) != products.end(),
               "the product " + name + " is accepted", "the product " + name + " is not accepted");
    list.check("report_version_min", report.version >= policy.report_version_min,
               "the report's version is new enough",
               "the report's version is too old; update the firmware");
    list.check("vlek", !vlek || policy.vlek_allowed, "the kind of key is accepted",
               "the key is a cloud's (VLEK) and this policy wants a chip's (VCEK)");
    const auto info = report.platform_info & policy.platform_info_mask;
    list.check("platform_info", info == policy.platform_info_value,
               "the platform's settings are as wanted",
               "the platform's settings under the mask are not as wanted");
    const bool mitigated = report.version >= version_with_mitigations
                               ? !(policy.mitigations_required & ~report.current_mitigations)
                               : policy.mitigations_required == 0;
    list.check("mitigations", mitigated, "the mitigations wanted are in place",
               "mitigations wanted are not in place; update the firmware");
}

void judge_firmware(const SnpReport& report, SnpProduct product, const SnpPolicy& policy,
                    Checklist& list) {
    const auto found =
        std::find_if(policy.tcb_minimums.begin(), policy.tcb_minimums.end(),
                     [&](const SnpTcbMinimum& minimum) { return minimum.product == product; });
    const SnpTcb minimum = found == policy.tcb_minimums.end() ? SnpTcb{} : found->tcb;
    const auto judge = [&](const char* code, const char* what, const SnpTcbVersion& version) {
        const SnpTcb tcb = snp_tcb(version, product);
        list.check(code, tcb.covers(minimum), std::string{what} + " firmware is new enough",
                   std::string{what} + " firmware (" + tcb.text() + ") is below the minimum (" +
                       minimum.text() + "); update it and start the guest anew");
    };
    judge("reported_tcb_minimum", "the reported", report.reported_tcb);
    // Committed below the minimum: the host can go back to firmware that is refused.
    judge("committed_tcb_minimum", "the committed", report.committed_tcb);
    // Launched below the minimum: what was refused had the guest's memory in its hands.
    judge("launch_tcb_minimum", "the launching", report.launch_tcb);
}

std::vector<Reason> judge_policy(const SnpResult& result, const SnpPolicy& policy) {
    const SnpReport& report = *result.report;
    Checklist list;
    judge_platform(report, *result.product, result.vlek, policy, list);
    judge_guest_policy(report, policy, list);
    judge_firmware(report, *result.product, policy, list);
    list.check("id_key", accepts(policy.id_key_digests, report.id_key_digest),
               "the signer of the guest's identity is accepted",
               "this policy does not list the signer of the guest's identity");
    list.check("author_key", accepts(policy.author_key_digests, report.author_key_digest),
               "the author key is accepted", "this policy does not list the author key");
    list.check("host_data", accepts(policy.host_data, report.host_data),
               "the host's data is accepted", "this policy does not list the host's data");
    const auto& denied = policy.platforms_denied;
    list.check("platform",
               std::find(denied.begin(), denied.end(), result.platform_id) == denied.end(),
               "the platform is not on the deny-list", "the platform is on the deny-list");
    return list.take_reasons();
}

// Everything that needs a chain. Fills the claims of `result` once they are AMD's.
void verify_signed(ByteView bytes, const SnpReport& report, const Chain& chain,
                   const SnpCollateral& collateral, const SnpPolicy& policy, Instant at,
                   Checklist& list, SnpResult& result) {
    const bool holds = check_chain_holds(chain, policy, at, list);
    const bool genuine =
        list.check("report_signature",
                   chain[0].public_key().verify_ecdsa(Hash::sha384, bytes.first(snp_signed_bytes),
                                                      signature_of(report)),
                   "the certificate's key signed the report",
                   "the signature is not the certificate's key's over this report");
    const SnpRoot* root = root_of(chain, policy);
    if (!holds || !root) return;
    const SnpProduct product = root->product;
    const bool vlek = report.signing_key == signed_by_vlek;
    result.valid_until = chain_not_after(chain);
    check_revocation(chain, *root, collateral, policy, at, list, result);
    if (!check_roles(chain, product, vlek, list) || !genuine) return;
    check_product(report, chain, product, list);
    check_reported_tcb(report, chain, product, list);
    check_chip(report, chain, product, vlek, list);
    result.report = report;
    result.product = product;
    result.vlek = vlek;
    result.product_name = text_extension(chain[0], product_name_oid);
    result.cloud = text_extension(chain[0], cloud_oid);
    result.platform_id = platform_of(report, product);
    result.policy_reasons = judge_policy(result, policy);
}

}  // namespace

std::vector<SnpRoot> snp_production_roots() {
    return {
        {SnpProduct::milan, "9f056bee44377e29308cb5ffa895bdfb62d18881fa6bed8d6f075b0204089cb9"},
        {SnpProduct::genoa, "429a69c9422aa258ee4d8db5fcda9c6470ef15f8cd5a9cebd6cbc7d90b863831"},
        {SnpProduct::turin, "4f125410563a2ab9a50356f9243f6fe0b6f73de98603f53f90339c70e9d7ad08"}};
}

bool SnpResult::acceptable() const {
    return status == Status::proven &&
           std::all_of(policy_reasons.begin(), policy_reasons.end(),
                       [](const Reason& reason) { return reason.outcome != Outcome::failed; });
}

SnpResult verify_snp(ByteView bytes, const SnpCollateral& collateral, const SnpPolicy& policy,
                     Instant at) {
    SnpResult result;
    Checklist list;
    const auto report = parse_snp_report(bytes);
    const bool formed = report && report->tail_is_zero;
    list.check("report_format", formed, "the report is well-formed",
               report ? "bytes that nobody signed follow the signature" : report.error().detail);
    if (formed && check_header(*report, list))
        if (const auto chain = read_chain(collateral, list))
            verify_signed(bytes, *report, *chain, collateral, policy, at, list, result);
    result.status = list.status();
    if (result.status != Status::proven) result.valid_until = {};
    result.reasons = list.take_reasons();
    return result;
}

}  // namespace cocoon::attestation
