#include "attestation/tdx_tcb.hpp"

#include <algorithm>
#include <set>

namespace cocoon::attestation {
namespace {

// Places in TEE_TCB_SVN and in the TDX components of a level.
constexpr std::size_t module_svn = 0, module_version = 1, loader_svn = 2;

bool reaches(const Svn16& have, const Svn16& want, std::size_t from = 0) {
    return std::equal(have.begin() + static_cast<std::ptrdiff_t>(from), have.end(),
                      want.begin() + static_cast<std::ptrdiff_t>(from),
                      [](std::uint8_t a, std::uint8_t b) { return a >= b; });
}

const IsvLevel* find_level(const std::vector<IsvLevel>& levels, std::uint16_t isv_svn) {
    const auto found = std::find_if(levels.begin(), levels.end(), [&](const IsvLevel& level) {
        return level.isv_svn <= isv_svn;
    });
    return found == levels.end() ? nullptr : &*found;
}

const TdxModuleIdentity* find_module(const TcbInfo& info, std::uint8_t version) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    const std::string id{'T', 'D', 'X', '_', digits[version >> 4], digits[version & 15]};
    const auto& all = info.module_identities;
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const TdxModuleIdentity& each) { return each.id == id; });
    return found == all.end() ? nullptr : &*found;
}

void find_platform_level(const TcbInfo& info, const PckIdentity& pck, const Svn16& tee_tcb_svn,
                         TcbEvaluation& out) {
    // From module version 1 on, module and version are judged by the module's own identity.
    const std::size_t from = tee_tcb_svn[module_version] > 0 ? loader_svn : module_svn;
    for (const TcbLevel& level : info.levels) {
        if (!reaches(pck.components, level.sgx) || pck.pce_svn < level.pce_svn) continue;
        if (!out.sgx_level) out.sgx_level = &level;
        if (!reaches(tee_tcb_svn, level.tdx, from)) continue;
        out.platform_level = &level;
        return;
    }
}

void find_module_level(const TcbInfo& info, const Svn16& tee_tcb_svn, TcbEvaluation& out) {
    out.module_has_levels = tee_tcb_svn[module_version] > 0;
    if (!out.module_has_levels) {
        out.module = &info.module;
    } else if (const TdxModuleIdentity* identity = find_module(info, tee_tcb_svn[module_version])) {
        out.module = &identity->module;
        out.module_level = find_level(identity->levels, tee_tcb_svn[module_svn]);
    }
}

bool needs_configuration(TcbStatus status) {
    return status == TcbStatus::configuration_needed ||
           status == TcbStatus::configuration_and_sw_hardening_needed ||
           status == TcbStatus::out_of_date_configuration_needed;
}

bool is_out_of_date(TcbStatus status) {
    return status == TcbStatus::out_of_date ||
           status == TcbStatus::out_of_date_configuration_needed;
}

// Whether only the module under which the TD was launched holds the status back.
bool relaunch_may_help(TcbStatus so_far, const TcbEvaluation& parts) {
    const TcbStatus qe = parts.qe_level->status;
    const TcbStatus sgx = parts.sgx_level->status;
    return is_out_of_date(so_far) && qe != TcbStatus::out_of_date && qe != TcbStatus::revoked &&
           !is_out_of_date(sgx) && sgx != TcbStatus::revoked && parts.module_level &&
           parts.module_level->status == TcbStatus::out_of_date;
}

// The relaunch rule: the TD was launched under an old module that has been updated since.
TcbStatus consider_relaunch(TcbStatus so_far, const TcbInfo& info, const Svn16& current,
                            TcbEvaluation& parts) {
    if (!relaunch_may_help(so_far, parts)) return so_far;
    const TcbLevel& newest = info.levels.front();
    std::uint16_t wanted = newest.tdx[module_svn];
    if (current[module_version] > 0) {
        const TdxModuleIdentity* identity = find_module(info, current[module_version]);
        parts.current_module_known = identity && !identity->levels.empty();
        if (!parts.current_module_known) return so_far;
        wanted = identity->levels.front().isv_svn;
    }
    if (current[module_svn] < wanted || current[loader_svn] < newest.tdx[loader_svn]) return so_far;
    return needs_configuration(so_far) || needs_configuration(parts.sgx_level->status)
               ? TcbStatus::td_relaunch_advised_configuration_needed
               : TcbStatus::td_relaunch_advised;
}

std::vector<std::string> advisories_of(const TcbEvaluation& parts) {
    std::set<std::string> all;
    const auto add = [&](const auto* level) {
        if (level) all.insert(level->advisory_ids.begin(), level->advisory_ids.end());
    };
    add(parts.platform_level);
    add(parts.module_level);
    add(parts.qe_level);
    return {all.begin(), all.end()};
}

}  // namespace

TcbStatus converge(TcbStatus platform, TcbStatus part) {
    if (part == TcbStatus::revoked) return TcbStatus::revoked;
    if (part != TcbStatus::out_of_date) return platform;
    switch (platform) {
        case TcbStatus::up_to_date:
        case TcbStatus::sw_hardening_needed: return TcbStatus::out_of_date;
        case TcbStatus::configuration_needed:
        case TcbStatus::configuration_and_sw_hardening_needed:
            return TcbStatus::out_of_date_configuration_needed;
        default: return platform;
    }
}

TcbEvaluation evaluate_tcb(const TcbInfo& info, const QeIdentity& qe_identity,
                           const PckIdentity& pck, const TdReport& report,
                           std::uint16_t qe_isv_svn) {
    TcbEvaluation out;
    out.qe_level = find_level(qe_identity.levels, qe_isv_svn);
    find_module_level(info, report.tee_tcb_svn, out);
    find_platform_level(info, pck, report.tee_tcb_svn, out);
    out.advisory_ids = advisories_of(out);
    const bool module_judged = out.module && (!out.module_has_levels || out.module_level);
    if (!out.qe_level || !out.platform_level || !module_judged) return out;
    TcbStatus status = out.platform_level->status;
    if (out.module_level) status = converge(status, out.module_level->status);
    if (report.version_1_5 && status != TcbStatus::revoked)
        status = consider_relaunch(status, info, report.tee_tcb_svn_2, out);
    if (out.current_module_known) out.status = converge(status, out.qe_level->status);
    return out;
}

}  // namespace cocoon::attestation
