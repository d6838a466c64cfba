#include "attestation/tdx_collateral.hpp"

#include <algorithm>

#include "attestation/json.hpp"

namespace cocoon::attestation {
namespace {

struct StatusName {
    TcbStatus status;
    std::string_view name;
};
constexpr StatusName status_names[] = {
    {TcbStatus::up_to_date, "UpToDate"},
    {TcbStatus::sw_hardening_needed, "SWHardeningNeeded"},
    {TcbStatus::configuration_needed, "ConfigurationNeeded"},
    {TcbStatus::configuration_and_sw_hardening_needed, "ConfigurationAndSWHardeningNeeded"},
    {TcbStatus::td_relaunch_advised, "TDRelaunchAdvised"},
    {TcbStatus::td_relaunch_advised_configuration_needed, "TDRelaunchAdvisedConfigurationNeeded"},
    {TcbStatus::out_of_date, "OutOfDate"},
    {TcbStatus::out_of_date_configuration_needed, "OutOfDateConfigurationNeeded"},
    {TcbStatus::revoked, "Revoked"},
};

Error malformed(std::string why) { return refuse(ErrorCode::malformed_request, std::move(why)); }

// Reads members and remembers the first that is not there or not as it should be.
class Members {
public:
    explicit Members(const Json& object, std::string& fault) : object_{object}, fault_{fault} {}

    std::string text(std::string_view name) {
        auto found = text_at(object_, name);
        if (!found) note(name);
        return found ? std::move(*found) : std::string{};
    }
    std::uint32_t number(std::string_view name, std::int64_t max) {
        const auto found = integer_at(object_, name);
        if (!found || *found < 0 || *found > max) note(name);
        return static_cast<std::uint32_t>(found.value_or(0));
    }
    Instant instant(std::string_view name) {
        const auto found = Instant::parse(text(name));
        if (!found) note(name);
        return found.value_or(Instant{});
    }
    // Hex of exactly `size` octets; Intel writes it in either case.
    template <std::size_t size>
    std::array<std::uint8_t, size> octets(std::string_view name) {
        std::string hex = text(name);
        std::transform(hex.begin(), hex.end(), hex.begin(),
                       [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
        const auto bytes = from_hex(hex);
        std::array<std::uint8_t, size> out{};
        if (bytes && bytes->size() == size)
            std::copy(bytes->begin(), bytes->end(), out.begin());
        else
            note(name);
        return out;
    }
    const Json& list(std::string_view name, std::size_t max) {
        static const Json empty = Json::array();
        const Json* found = array_at(object_, name);
        if (!found || found->size() > max) note(name);
        return found && found->size() <= max ? *found : empty;
    }
    const Json& object(std::string_view name) {
        static const Json empty = Json::object();
        const Json* found = member(object_, name);
        if (!found || !found->is_object()) note(name);
        return found ? *found : empty;
    }
    bool has(std::string_view name) const { return member(object_, name) != nullptr; }
    Members inside(const Json& value) const { return Members{value, fault_}; }
    void note(std::string_view name) {
        if (fault_.empty()) fault_ = name;
    }

private:
    const Json& object_;
    std::string& fault_;
};

// Levels are never "relaunch advised" (that follows from several), and a module or an enclave is up
// to date, out of date or revoked: how anything else would converge is not defined.
TcbStatus read_status(Members& in, bool platform) {
    const auto status = tcb_status_of(in.text("tcbStatus"));
    const bool known =
        status &&
        (platform ? *status != TcbStatus::td_relaunch_advised &&
                        *status != TcbStatus::td_relaunch_advised_configuration_needed
                  : *status == TcbStatus::up_to_date || *status == TcbStatus::out_of_date ||
                        *status == TcbStatus::revoked);
    if (!known) in.note("tcbStatus");
    return status.value_or(TcbStatus::revoked);
}

std::vector<std::string> read_advisories(Members& in) {
    std::vector<std::string> out;
    if (!in.has("advisoryIDs")) return out;
    for (const Json& id : in.list("advisoryIDs", tcb_levels_max)) {
        if (id.is_string())
            out.push_back(id.get<std::string>());
        else
            in.note("advisoryIDs");
    }
    return out;
}

Svn16 read_components(Members& in, std::string_view name) {
    Svn16 out{};
    const Json& components = in.list(name, out.size());
    if (components.size() != out.size()) in.note(name);
    for (std::size_t i = 0; i < components.size(); ++i)
        out[i] = static_cast<std::uint8_t>(in.inside(components[i]).number("svn", 0xFF));
    return out;
}

TcbLevel read_level(Members in) {
    TcbLevel level;
    Members tcb = in.inside(in.object("tcb"));
    level.sgx = read_components(tcb, "sgxtcbcomponents");
    level.tdx = read_components(tcb, "tdxtcbcomponents");
    level.pce_svn = static_cast<std::uint16_t>(tcb.number("pcesvn", 0xFFFF));
    level.status = read_status(in, true);
    level.date = in.instant("tcbDate");
    level.advisory_ids = read_advisories(in);
    return level;
}

std::vector<IsvLevel> read_isv_levels(Members& in) {
    std::vector<IsvLevel> levels;
    for (const Json& each : in.list("tcbLevels", tcb_levels_max)) {
        Members from = in.inside(each);
        Members tcb = from.inside(from.object("tcb"));
        IsvLevel& level = levels.emplace_back();
        level.isv_svn = static_cast<std::uint16_t>(tcb.number("isvsvn", 0xFFFF));
        level.status = read_status(from, false);
        level.date = from.instant("tcbDate");
        level.advisory_ids = read_advisories(from);
    }
    return levels;
}

TdxModule read_module(Members in) {
    TdxModule module;
    module.mr_signer = in.octets<48>("mrsigner");
    module.attributes = in.octets<8>("attributes");
    module.attributes_mask = in.octets<8>("attributesMask");
    return module;
}

void read_module_identities(Members& in, TcbInfo& info) {
    if (!in.has("tdxModuleIdentities")) return;
    for (const Json& each : in.list("tdxModuleIdentities", tcb_levels_max)) {
        Members from = in.inside(each);
        TdxModuleIdentity& identity = info.module_identities.emplace_back();
        identity.id = from.text("id");
        std::transform(identity.id.begin(), identity.id.end(), identity.id.begin(),
                       [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
        identity.module = read_module(from);
        identity.levels = read_isv_levels(from);
    }
}

// One table for both directions: a member, and where it stands.
struct TextMember {
    const char* name;
    std::string TdxCollateral::*field;
};
struct HexMember {
    const char* name;
    Bytes TdxCollateral::*field;
};
constexpr TextMember text_members[] = {
    {"tcb_info", &TdxCollateral::tcb_info},
    {"tcb_info_issuer_chain", &TdxCollateral::tcb_info_issuer_chain},
    {"qe_identity", &TdxCollateral::qe_identity},
    {"qe_identity_issuer_chain", &TdxCollateral::qe_identity_issuer_chain},
    {"pck_crl_issuer_chain", &TdxCollateral::pck_crl_issuer_chain},
};
constexpr HexMember hex_members[] = {
    {"tcb_info_signature", &TdxCollateral::tcb_info_signature},
    {"qe_identity_signature", &TdxCollateral::qe_identity_signature},
    {"root_ca_crl", &TdxCollateral::root_ca_crl},
    {"pck_crl", &TdxCollateral::pck_crl},
};

// Takes a member that is known; false if its value is not what it should be.
bool store(TdxCollateral& collateral, const std::string& name, const Json& value) {
    for (const TextMember& each : text_members)
        if (name == each.name) {
            if (value.is_string()) collateral.*each.field = value.get<std::string>();
            return value.is_string();
        }
    for (const HexMember& each : hex_members)
        if (name == each.name) {
            auto bytes = value.is_string() ? from_hex(value.get<std::string>()) : std::nullopt;
            if (bytes) collateral.*each.field = std::move(*bytes);
            return bytes.has_value();
        }
    return true;
}

}  // namespace

std::string_view to_text(TcbStatus status) {
    for (const StatusName& each : status_names)
        if (each.status == status) return each.name;
    return "Revoked";
}

std::optional<TcbStatus> tcb_status_of(std::string_view text) {
    for (const StatusName& each : status_names)
        if (each.name == text) return each.status;
    return std::nullopt;
}

Result<TdxCollateral> read_tdx_collateral(std::string_view json) {
    const auto document = parse_json(json, tdx_collateral_bytes_max);
    if (!document) return document.error();
    if (!document->is_object()) return malformed("the collateral is not a JSON object");
    TdxCollateral collateral;
    for (const auto& [name, value] : document->items())
        if (!store(collateral, name, value))
            return malformed("the collateral's " + name + " is not text or not lower-case hex");
    return collateral;
}

std::string write_tdx_collateral(const TdxCollateral& collateral) {
    Json document = Json::object();
    for (const TextMember& each : text_members)
        if (!(collateral.*each.field).empty()) document[each.name] = collateral.*each.field;
    for (const HexMember& each : hex_members)
        if (!(collateral.*each.field).empty()) document[each.name] = to_hex(collateral.*each.field);
    // Bytes that are not UTF-8 are replaced, not thrown at: no signature holds over them anyway.
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<TcbInfo> parse_tcb_info(std::string_view json) {
    const auto document = parse_json(json, tcb_info_bytes_max);
    if (!document) return document.error();
    if (text_at(*document, "id") != "TDX" || integer_at(*document, "version") != 3)
        return malformed("the TCB info is not TDX's, version 3");
    std::string fault;
    Members in{*document, fault};
    TcbInfo info;
    if (in.number("tcbType", 0xFFFF) != 0) in.note("tcbType");  // another way to compare
    info.issue_date = in.instant("issueDate");
    info.next_update = in.instant("nextUpdate");
    info.fmspc = in.octets<6>("fmspc");
    info.pce_id = in.octets<2>("pceId");
    info.evaluation_number = in.number("tcbEvaluationDataNumber", UINT32_MAX);
    info.module = read_module(in.inside(in.object("tdxModule")));
    read_module_identities(in, info);
    for (const Json& level : in.list("tcbLevels", tcb_levels_max))
        info.levels.push_back(read_level(in.inside(level)));
    if (!fault.empty()) return malformed("the TCB info's " + fault + " is missing or wrong");
    return info;
}

Result<QeIdentity> parse_qe_identity(std::string_view json) {
    const auto document = parse_json(json, tcb_info_bytes_max);
    if (!document) return document.error();
    const auto version = integer_at(*document, "version");
    if (text_at(*document, "id") != "TD_QE" || (version != 2 && version != 3))
        return malformed("the enclave identity is not the TD quoting enclave's, version 2 or 3");
    std::string fault;
    Members in{*document, fault};
    QeIdentity identity;
    identity.issue_date = in.instant("issueDate");
    identity.next_update = in.instant("nextUpdate");
    identity.evaluation_number = in.number("tcbEvaluationDataNumber", UINT32_MAX);
    identity.misc_select = in.octets<4>("miscselect");
    identity.misc_select_mask = in.octets<4>("miscselectMask");
    identity.attributes = in.octets<16>("attributes");
    identity.attributes_mask = in.octets<16>("attributesMask");
    identity.mr_signer = in.octets<32>("mrsigner");
    identity.isv_prod_id = static_cast<std::uint16_t>(in.number("isvprodid", 0xFFFF));
    identity.levels = read_isv_levels(in);
    if (!fault.empty()) return malformed("the QE identity's " + fault + " is missing or wrong");
    return identity;
}

}  // namespace cocoon::attestation
