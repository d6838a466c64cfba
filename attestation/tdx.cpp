#include "attestation/tdx.hpp"

#include <algorithm>

#include "attestation/checklist.hpp"
#include "attestation/tdx_tcb.hpp"

namespace cocoon::attestation {
namespace {

using Chain = std::vector<Certificate>;

// What all steps of one verification see.
struct Context {
    const TdxQuote& quote;
    const TdxCollateral& collateral;
    const TdxPolicy& policy;
    Instant at;
    Checklist& list;
    TdxResult& result;
    Instant valid_until{INT64_MAX};

    void ends(Instant end) { valid_until = std::min(valid_until, end); }
};

bool contains(const std::vector<std::string>& all, std::string_view one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

bool has_role(const Certificate& certificate, std::string_view role) {
    return certificate.common_name().find(role) != std::string::npos;
}

template <std::size_t size>
bool masked_equal(const std::array<std::uint8_t, size>& found,
                  const std::array<std::uint8_t, size>& mask,
                  const std::array<std::uint8_t, size>& wanted) {
    for (std::size_t i = 0; i < size; ++i)
        if ((found[i] & mask[i]) != wanted[i]) return false;
    return true;
}

template <std::size_t size>
bool is_zero(const std::array<std::uint8_t, size>& bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

// ---- Chains and revocation lists ----------------------------------------------------------------

// Reasons begin with `prefix`. Whether the chain holds; whatever it is, the steps behind it run.
bool check_holds(Context& context, const Chain& chain, const std::string& prefix,
                 std::size_t count) {
    ChainRules rules;
    rules.pins = context.policy.pins;
    rules.count_min = rules.count_max = count;
    const auto faults = check_chain(chain, rules, context.at);
    for (const ChainFault& fault : faults)
        context.list.fail(prefix + std::string{fault.code}, fault.text);
    context.ends(chain_not_after(chain));
    return faults.empty() && context.list.check(prefix + "chain", true,
                                                "the chain ends at a pinned Intel root key", {});
}

struct PckChain {
    Chain certificates;
    bool genuine = false;

    const Certificate& leaf() const { return certificates.front(); }
    // Of a chain that is too short, whatever stands in their place.
    const Certificate& authority() const {
        return certificates[std::min<std::size_t>(1, certificates.size() - 1)];
    }
    const Certificate& root() const { return certificates.back(); }
};

PckAuthority authority_of(const PckChain& chain) {
    return has_role(chain.authority(), "SGX PCK Processor CA") ? PckAuthority::processor
                                                               : PckAuthority::platform;
}

std::optional<PckChain> read_pck_chain(Context& context) {
    auto certificates = certificates_from_pem(context.quote.pck_chain);
    if (!certificates) {
        context.list.fail("pck_chain_format", certificates.error().detail);
        return std::nullopt;
    }
    PckChain chain{std::move(*certificates), false};
    const bool holds = check_holds(context, chain.certificates, "pck_", 3);
    const bool roles = has_role(chain.leaf(), "SGX PCK Certificate") &&
                       (has_role(chain.authority(), "SGX PCK Platform CA") ||
                        has_role(chain.authority(), "SGX PCK Processor CA")) &&
                       has_role(chain.root(), "SGX Root CA");
    context.list.check("pck_role", roles, "each certificate of the PCK chain has its own role",
                       "the PCK chain's certificates were issued for another purpose");
    chain.genuine = holds && roles;
    const auto identity = read_pck_identity(chain.leaf());
    const bool readable = context.list.check("pck_extension", identity.has_value(),
                                             "the PCK certificate identifies the processor",
                                             identity ? std::string{} : identity.error().detail);
    if (readable) context.result.pck = *identity;
    return chain;
}

// The list if it can be read. Reasons begin with `prefix`: "root_crl" or "pck_crl".
std::optional<RevocationList> read_revocation_list(Context& context, const std::string& prefix,
                                                   ByteView der, const Certificate& issuer,
                                                   Instant issued_min, Instant& issued) {
    Checklist& list = context.list;
    if (der.empty()) {
        list.missing(prefix, "the revocation list is not at hand; fetch it");
        return std::nullopt;
    }
    auto revoked = RevocationList::from_der(der);
    if (!revoked) {
        list.fail(prefix + "_format", revoked.error().detail);
        return std::nullopt;
    }
    const std::string begins = revoked->this_update().text(), ends = revoked->next_update().text();
    const bool named = list.check(prefix + "_issuer", revoked->names_issuer(issuer),
                                  "the list is this authority's",
                                  "the list is not that of " + issuer.common_name());
    const bool signature =
        list.check(prefix + "_signature",
                   issuer.may_sign_revocation_lists() && revoked->signed_by(issuer.public_key()),
                   "the authority signed the list", "the authority did not sign the list");
    list.check(prefix + "_issued", revoked->this_update() <= context.at,
               "the list was issued " + begins, "the list is issued only at " + begins);
    list.check(prefix + "_current", context.at <= revoked->next_update(),
               "the list holds until " + ends, "the list ended at " + ends + "; fetch it anew");
    list.check(prefix + "_rollback", revoked->this_update() >= issued_min, "no newer list was seen",
               "a list newer than " + begins + " was seen before");
    context.ends(revoked->next_update());
    if (named && signature) issued = revoked->this_update();
    return std::move(*revoked);
}

void check_not_revoked(Context& context, const std::string& code,
                       const std::optional<RevocationList>& revoked,
                       const Certificate& certificate) {
    if (!revoked) return;  // noted where the list was read
    context.list.check(code, !revoked->revokes(certificate),
                       certificate.common_name() + " is not revoked",
                       certificate.common_name() + " " + certificate.serial() + " is revoked");
}

// ---- Signed collateral --------------------------------------------------------------------------

// Whether Intel's TCB signing key signed `text`. Reasons begin with `prefix`.
bool check_signed(Context& context, const std::string& prefix, std::string_view text,
                  ByteView signature, std::string_view issuer_chain,
                  const std::optional<RevocationList>& root_crl) {
    Checklist& list = context.list;
    if (text.empty() || signature.empty() || issuer_chain.empty()) {
        list.missing(prefix,
                     "this collateral, its signature or its chain is not at hand; fetch it");
        return false;
    }
    const auto chain = certificates_from_pem(issuer_chain);
    if (!chain) {
        list.fail(prefix + "_signer_format", chain.error().detail);
        return false;
    }
    const Certificate& signer = chain->front();
    const bool holds = check_holds(context, *chain, prefix + "_signer_", 2);
    const bool role = list.check(prefix + "_signer_role", has_role(signer, "SGX TCB Signing"),
                                 "the signer is Intel's TCB signing certificate",
                                 "the signer, " + signer.common_name() + ", has another role");
    check_not_revoked(context, prefix + "_signer_revocation", root_crl, signer);
    const bool right =
        list.check(prefix + "_signature",
                   signer.public_key().verify_ecdsa(Hash::sha256, as_bytes(text), signature),
                   "the signature holds over the bytes as served", "the signature does not hold");
    return holds && role && right;
}

// Dates and number, which TCB info and QE identity have in common.
template <class Signed>
void check_current(Context& context, const std::string& prefix, const Signed& it) {
    Checklist& list = context.list;
    const std::string begins = it.issue_date.text(), ends = it.next_update.text();
    list.check(prefix + "_issued", it.issue_date <= context.at, "issued " + begins,
               "issued only at " + begins);
    list.check(prefix + "_current", context.at <= it.next_update, "holds until " + ends,
               "ended at " + ends + "; fetch it anew");
    const std::string number = std::to_string(it.evaluation_number);
    list.check(prefix + "_rollback", it.evaluation_number >= context.policy.evaluation_number_min,
               "evaluation data number " + number,
               "evaluation data number " + number + " is older than " +
                   std::to_string(context.policy.evaluation_number_min) + ", asked for or seen");
    context.ends(it.next_update);
}

std::optional<TcbInfo> read_tcb_info(Context& context, const std::optional<RevocationList>& root) {
    const TdxCollateral& from = context.collateral;
    const bool genuine = check_signed(context, "tcb_info", from.tcb_info, from.tcb_info_signature,
                                      from.tcb_info_issuer_chain, root);
    if (from.tcb_info.empty()) return std::nullopt;
    auto info = parse_tcb_info(from.tcb_info);
    if (!info) {
        context.list.fail("tcb_info_format", info.error().detail);
        return std::nullopt;
    }
    check_current(context, "tcb_info", *info);
    if (const auto& pck = context.result.pck) {
        context.list.check("tcb_info_fmspc", info->fmspc == pck->fmspc,
                           "the TCB info is of this platform's family",
                           "the TCB info is of family " + to_hex(info->fmspc) +
                               ", the platform of " + to_hex(pck->fmspc));
        context.list.check("tcb_info_pce_id", info->pce_id == pck->pce_id,
                           "the TCB info is of this provisioning enclave",
                           "the TCB info is of another provisioning enclave");
    }
    if (!genuine) return std::nullopt;
    context.result.evaluation_number = info->evaluation_number;
    return std::move(*info);
}

std::optional<QeIdentity> read_qe_identity(Context& context,
                                           const std::optional<RevocationList>& root) {
    const TdxCollateral& from = context.collateral;
    const bool genuine =
        check_signed(context, "qe_identity", from.qe_identity, from.qe_identity_signature,
                     from.qe_identity_issuer_chain, root);
    if (from.qe_identity.empty()) return std::nullopt;
    auto identity = parse_qe_identity(from.qe_identity);
    if (!identity) {
        context.list.fail("qe_identity_format", identity.error().detail);
        return std::nullopt;
    }
    check_current(context, "qe_identity", *identity);
    return genuine ? std::optional{std::move(*identity)} : std::nullopt;
}

// ---- The quote itself ---------------------------------------------------------------------------

// PCK key -> QE report -> attestation key -> quote. Whether all three hold.
bool check_signatures(Context& context, const Certificate& pck) {
    const TdxQuote& quote = context.quote;
    Checklist& list = context.list;
    const bool report =
        list.check("qe_report_signature",
                   pck.public_key().verify_ecdsa(Hash::sha256, quote.qe_report_bytes,
                                                 quote.qe_report_signature),
                   "the PCK key signed the quoting enclave's report",
                   "the PCK key did not sign the quoting enclave's report");
    Bytes bound{quote.attestation_key.begin(), quote.attestation_key.end()};
    bound.insert(bound.end(), quote.qe_auth_data.begin(), quote.qe_auth_data.end());
    ReportData wanted{};
    const Digest256 hash = sha256(bound);
    std::copy(hash.begin(), hash.end(), wanted.begin());
    const bool data = list.check("qe_report_data", quote.qe_report.report_data == wanted,
                                 "the quoting enclave's report commits to the attestation key",
                                 "the quoting enclave's report commits to another attestation key");
    const auto key = PublicKey::from_point(Curve::p256, quote.attestation_key);
    const bool signature = list.check(
        "quote_signature",
        key && key->verify_ecdsa(Hash::sha256, quote.signed_bytes, quote.signature),
        "the attestation key signed the quote", "the attestation key did not sign the quote");
    return report && data && signature;
}

void check_quoting_enclave(Context& context, const QeIdentity& identity) {
    const QeReport& report = context.quote.qe_report;
    Checklist& list = context.list;
    list.check("qe_misc_select",
               masked_equal(report.misc_select, identity.misc_select_mask, identity.misc_select),
               "the quoting enclave's MISCSELECT is right", "its MISCSELECT is not Intel's");
    list.check("qe_attributes",
               masked_equal(report.attributes, identity.attributes_mask, identity.attributes),
               "the quoting enclave's attributes are right, not debugged",
               "the quoting enclave runs under debug or with other attributes than Intel's");
    list.check("qe_mr_signer", report.mr_signer == identity.mr_signer,
               "Intel signed the quoting enclave", "another signed the quoting enclave");
    list.check("qe_isv_prod_id", report.isv_prod_id == identity.isv_prod_id,
               "the enclave is the TD quoting enclave", "the enclave is another product");
}

void check_module(Context& context, const TcbEvaluation& tcb) {
    const TdReport& report = context.quote.report;
    Checklist& list = context.list;
    const std::string version = std::to_string(report.tee_tcb_svn[1]);
    if (!list.check("tdx_module_identity", tcb.module != nullptr,
                    "the TDX module's version " + version + " is known",
                    "the TCB info knows no TDX module of version " + version))
        return;
    list.check("tdx_module_signer", report.mr_signer_seam == tcb.module->mr_signer,
               "Intel signed the TDX module", "another signed the TDX module");
    list.check("tdx_module_attributes",
               is_zero(report.seam_attributes) &&
                   masked_equal(report.seam_attributes, tcb.module->attributes_mask,
                                tcb.module->attributes),
               "the TDX module is a production module", "the TDX module is under debug or another");
    if (tcb.module_has_levels)
        list.check("tdx_module_tcb_level", tcb.module_level != nullptr,
                   "the TDX module's version is one that Intel lists",
                   "the TDX module is older than all that Intel lists; update it");
}

void check_tcb(Context& context, const TcbInfo& info, const QeIdentity& identity,
               const PckIdentity& pck) {
    const TdReport& report = context.quote.report;
    Checklist& list = context.list;
    const TcbEvaluation tcb =
        evaluate_tcb(info, identity, pck, report, context.quote.qe_report.isv_svn);
    list.check("qe_tcb_level", tcb.qe_level != nullptr,
               "the quoting enclave's version is one that Intel lists",
               "the quoting enclave is older than all that Intel lists; update it");
    check_module(context, tcb);
    list.check(
        "tcb_level", tcb.platform_level != nullptr,
        "the platform's versions are a level that Intel lists",
        "the platform's versions are below all levels that Intel lists; update its firmware");
    if (!tcb.current_module_known)
        list.fail("tdx_current_module", "the TCB info does not know the TDX module that runs now");
    TdxResult& result = context.result;
    const auto status_of = [](const auto* level) {
        return level ? std::optional{level->status} : std::nullopt;
    };
    result.platform_tcb_status = status_of(tcb.platform_level);
    result.tdx_module_status = status_of(tcb.module_level);
    result.qe_tcb_status = status_of(tcb.qe_level);
    result.tcb_status = tcb.status;
    result.advisory_ids = tcb.advisory_ids;
    if (tcb.platform_level) result.platform_tcb_date = tcb.platform_level->date;
    if (tcb.status)
        list.check("tcb_revocation", *tcb.status != TcbStatus::revoked,
                   "the status is " + std::string{to_text(*tcb.status)},
                   "Intel has revoked these versions: their keys are no longer trusted");
}

// ---- Policy -------------------------------------------------------------------------------------

struct AttributeName {
    std::uint64_t bits;
    const char* code;
    const char* good;
    const char* bad;
};
constexpr AttributeName attribute_names[] = {
    {td_attribute::debug, "debug", "the TD is not under debug",
     "the TD is under debug: its host can read and change it"},
    {td_attribute::sept_ve_disable, "sept_ve_disable_off", "the host cannot inject #VE",
     "SEPT_VE_DISABLE is not as asked for: without it the host can inject #VE"},
    {td_attribute::migratable, "migratable", "the TD cannot be migrated", "the TD can be migrated"},
    {td_attribute::perfmon, "perfmon", "performance counters are closed",
     "performance counters are open: a side channel"},
    {td_attribute::pks, "pks", "PKS is as asked for", "PKS is not as asked for"},
    {td_attribute::key_locker, "key_locker", "Key Locker is as asked for",
     "Key Locker is not as asked for"},
};

void judge_attributes(Checklist& list, const TdxPolicy& policy, std::uint64_t attributes) {
    const std::uint64_t wrong = (attributes ^ policy.attributes_required) & ~policy.attributes_free;
    std::uint64_t named = 0;
    for (const AttributeName& each : attribute_names) {
        list.check(each.code, (wrong & each.bits) == 0, each.good, each.bad);
        named |= each.bits;
    }
    list.check("unknown_attributes", (wrong & ~named) == 0, "no attribute is set that is not known",
               "the TD has attributes that the policy does not know");
}

// Whether the advisories of an accepted status are all tolerated; the verdict ends with the first.
bool advisories_tolerated(Context& context) {
    bool all = true;
    for (const std::string& id : context.result.advisory_ids) {
        const auto& known = context.policy.advisories_tolerated;
        const auto found =
            std::find_if(known.begin(), known.end(),
                         [&](const ToleratedAdvisory& each) { return each.id == id; });
        if (found == known.end() || found->until < context.at)
            all = false;
        else
            context.ends(found->until);
    }
    return all;
}

void judge_tcb(Context& context, Checklist& list) {
    const TdxPolicy& policy = context.policy;
    const TdxResult& result = context.result;
    if (!result.tcb_status) return;
    const std::string name{to_text(*result.tcb_status)};
    std::string advisories;
    for (const std::string& id : result.advisory_ids) advisories += " " + id;
    const auto& accepted = policy.tcb_statuses;
    const bool status = list.check(
        "tcb_status",
        std::find(accepted.begin(), accepted.end(), *result.tcb_status) != accepted.end(),
        "the status " + name + " is accepted",
        "the status " + name +
            " is not accepted; advisories:" + (advisories.empty() ? " none" : advisories));
    if (status && *result.tcb_status != TcbStatus::up_to_date)
        list.check("advisories_tolerated", advisories_tolerated(context),
                   "every advisory is tolerated", "not every advisory is tolerated:" + advisories);
    const bool denied =
        std::any_of(result.advisory_ids.begin(), result.advisory_ids.end(),
                    [&](const std::string& id) { return contains(policy.advisories_denied, id); });
    list.check("advisories_denied", !denied, "no advisory is denied",
               "an advisory is denied, among:" + advisories);
    if (result.platform_tcb_date)
        list.check("tcb_date", *result.platform_tcb_date >= policy.tcb_date_min,
                   "the platform's level is recent enough",
                   "the platform's level is of " + result.platform_tcb_date->text());
}

void judge_platform(Checklist& list, const TdxPolicy& policy, const TdxResult& result) {
    list.check("fmspc", !contains(policy.fmspc_denied, result.fmspc), "the family is not denied",
               "the family " + result.fmspc + " is denied");
    list.check("platform", !contains(policy.platforms_denied, result.platform_id),
               "the platform is not denied", "the platform is denied");
    list.check("pck_serial", !contains(policy.pck_serials_denied, result.pck_serial),
               "the PCK certificate is not denied", "the PCK certificate is denied");
}

std::vector<Reason> judge_policy(Context& context) {
    const TdxPolicy& policy = context.policy;
    const TdReport& report = context.quote.report;
    Checklist list;
    const auto& versions = policy.quote_versions;
    list.check("quote_version",
               std::find(versions.begin(), versions.end(), context.quote.version) != versions.end(),
               "the quote's version is accepted", "the quote's version is not accepted");
    judge_tcb(context, list);
    judge_attributes(list, policy, report.td_attributes);
    list.check("xfam",
               policy.xfam.empty() || std::find(policy.xfam.begin(), policy.xfam.end(),
                                                report.xfam) != policy.xfam.end(),
               "the extended features are accepted", "the extended features are not accepted");
    list.check("mr_seam",
               policy.mr_seam.empty() || contains(policy.mr_seam, to_hex(report.mr_seam)),
               "the TDX module is accepted", "this build of the TDX module is not accepted");
    list.check(
        "service_td",
        is_zero(report.mr_service_td) || contains(policy.service_tds, to_hex(report.mr_service_td)),
        "no unknown service TD is bound", "a service TD is bound that is not accepted");
    judge_platform(list, policy, context.result);
    return list.take_reasons();
}

// ---- All of it ----------------------------------------------------------------------------------

void identify(TdxResult& result, const TdxQuote& quote, const Certificate& pck) {
    result.report = quote.report;
    result.pck_serial = pck.serial();
    result.quote_hash = to_hex(sha256(quote.signed_bytes));
    if (!result.pck) return;
    result.fmspc = to_hex(result.pck->fmspc);
    result.platform_id = to_hex(sha256(result.pck->ppid));
}

void verify_parsed(Context& context) {
    TdxResult& result = context.result;
    const auto chain = read_pck_chain(context);
    if (!chain) return;
    const TdxCollateral& from = context.collateral;
    const auto root_crl =
        read_revocation_list(context, "root_crl", from.root_ca_crl, chain->root(),
                             context.policy.root_crl_issued_min, result.root_crl_issued);
    const PckAuthority authority = authority_of(*chain);
    result.pck_authority = authority;
    const auto pck_crl =
        read_revocation_list(context, "pck_crl", from.pck_crl, chain->authority(),
                             context.policy.pck_crl_issued_min[static_cast<std::size_t>(authority)],
                             result.pck_crl_issued);
    check_not_revoked(context, "pck_ca_revocation", root_crl, chain->authority());
    check_not_revoked(context, "pck_revocation", pck_crl, chain->leaf());
    const auto info = read_tcb_info(context, root_crl);
    const auto identity = read_qe_identity(context, root_crl);
    const bool genuine = check_signatures(context, chain->leaf()) && chain->genuine;
    if (identity) check_quoting_enclave(context, *identity);
    if (genuine && info && identity && result.pck)
        check_tcb(context, *info, *identity, *result.pck);
    else
        context.list.missing("tcb_level", "not judged: something that it rests on is not right");
    if (!genuine) {
        result.pck.reset();
        return;
    }
    identify(result, context.quote, chain->leaf());
    result.policy_reasons = judge_policy(context);
}

}  // namespace

bool TdxResult::acceptable() const {
    return status == Status::proven &&
           std::all_of(policy_reasons.begin(), policy_reasons.end(),
                       [](const Reason& reason) { return reason.outcome == Outcome::passed; });
}

TdxResult verify_tdx(ByteView bytes, const TdxCollateral& collateral, const TdxPolicy& policy,
                     Instant at) {
    TdxResult result;
    Checklist list;
    const auto quote = parse_tdx_quote(bytes);
    if (list.check("quote_format", quote.has_value(), "the quote is well-formed",
                   quote ? std::string{} : quote.error().detail)) {
        Context context{*quote, collateral, policy, at, list, result};
        verify_parsed(context);
        if (list.status() == Status::proven) result.valid_until = context.valid_until;
    }
    result.status = list.status();
    result.reasons = list.take_reasons();
    return result;
}

}  // namespace cocoon::attestation
