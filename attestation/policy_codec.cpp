// A policy as a JSON document. Each part's members are described once, by describe(); a reader and
// a writer walk the same description, so that what is written is what is read.
#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstdio>
#include <limits>
#include <set>

#include "attestation/json.hpp"
#include "attestation/policy.hpp"

namespace cocoon::attestation {
namespace {

using Document = nlohmann::ordered_json;  // members in the order of the description

// A place in the document, and where its faults go.
struct Where {
    std::string path;
    std::vector<FieldError>& errors;

    Where at(const std::string& name) const { return {path + "/" + name, errors}; }
    void refuse(std::string message) const { errors.push_back({path, std::move(message)}); }
};

// ---- Values -------------------------------------------------------------------------------------

struct Flag {
    void read(const Json& json, bool& value, const Where& where) const {
        if (!json.is_boolean()) return where.refuse("must be true or false");
        value = json.get<bool>();
    }
    Document write(bool value) const { return value; }
};

template <std::integral T>
struct Whole {
    T min = 0;
    T max = std::numeric_limits<T>::max();

    void read(const Json& json, T& value, const Where& where) const {
        const bool fits = json.is_number_integer() && json >= min && json <= max;
        if (!fits)
            return where.refuse("must be a whole number from " + std::to_string(min) + " to " +
                                std::to_string(max));
        value = json.get<T>();
    }
    Document write(T value) const { return value; }
};

// Bits, as hex: a JSON number of 64 bits is not exact for every reader.
struct Bits {
    void read(const Json& json, std::uint64_t& value, const Where& where) const {
        const std::string text = json.is_string() ? json.get<std::string>() : "";
        const char* end = text.data() + text.size();
        std::uint64_t bits = 0;
        const bool opens = text.starts_with("0x") && text.size() > 2;
        const auto [stop, failure] =
            std::from_chars(text.data() + (opens ? 2 : 0), end, bits, opens ? 16 : 10);
        if (!opens || failure != std::errc{} || stop != end)
            return where.refuse("must be bits in hex, such as \"0x10000000\"");
        value = bits;
    }
    Document write(std::uint64_t value) const {
        char text[24];
        std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
        return text;
    }
};

struct Seconds {
    static constexpr std::int64_t max = 10 * 366 * 86'400;

    void read(const Json& json, Duration& value, const Where& where) const {
        std::int64_t count = 0;
        const std::size_t before = where.errors.size();
        Whole<std::int64_t>{0, max}.read(json, count, where);
        if (where.errors.size() == before) value = seconds(count);
    }
    Document write(Duration value) const { return value.seconds(); }
};

// An instant, or null where the policy has none.
struct Time {
    void read(const Json& json, Instant& value, const Where& where) const {
        if (json.is_null()) {
            value = {};
            return;
        }
        const auto read = json.is_string() ? Instant::parse(json.get<std::string>()) : std::nullopt;
        if (!read) return where.refuse("must be a time, such as \"2026-11-22T00:00:00Z\", or null");
        value = *read;
    }
    Document write(Instant value) const {
        return value == Instant{} ? Document{} : Document(value.text());
    }
};

struct Text {
    bool (*valid)(std::string_view);
    const char* rule;

    void read(const Json& json, std::string& value, const Where& where) const {
        const std::string text = json.is_string() ? json.get<std::string>() : "";
        if (!json.is_string() || !valid(text)) return where.refuse(rule);
        value = text;
    }
    Document write(const std::string& value) const { return value; }
};

template <class T>
struct Named {
    std::optional<T> (*from)(std::string_view);
    const char* rule;

    void read(const Json& json, T& value, const Where& where) const {
        const auto read = json.is_string() ? from(json.get<std::string>()) : std::nullopt;
        if (!read) return where.refuse(rule);
        value = *read;
    }
    Document write(T value) const { return to_text(value); }
};

template <class Item>
struct List {
    Item item;

    template <class T>
    void read(const Json& json, std::vector<T>& value, const Where& where) const {
        if (!json.is_array() || json.size() > policy_list_items_max)
            return where.refuse("must be a list of at most " +
                                std::to_string(policy_list_items_max));
        std::vector<T> items(json.size());
        for (std::size_t i = 0; i < items.size(); ++i)
            item.read(json[i], items[i], where.at(std::to_string(i)));
        value = std::move(items);
    }
    template <class T>
    Document write(const std::vector<T>& value) const {
        Document out = Document::array();
        for (const T& each : value) out.push_back(item.write(each));
        return out;
    }
};

template <class Item>
List(Item) -> List<Item>;  // clang 14 does not deduce aggregates

// ---- Objects ------------------------------------------------------------------------------------

class ObjectReader {
public:
    ObjectReader(const Json& json, const Where& where) : json_{json}, where_{where} {}

    // A member that may be absent: its value then stands as it was.
    template <class T, class Kind>
    void operator()(const char* name, T& value, const Kind& kind) {
        known_.insert(name);
        if (const Json* found = member(json_, name)) kind.read(*found, value, where_.at(name));
    }
    template <class T, class Kind>
    void required(const char* name, T& value, const Kind& kind) {
        if (!member(json_, name)) where_.at(name).refuse("is missing");
        (*this)(name, value, kind);
    }
    void refuse_unknown() const {
        for (const auto& [name, value] : json_.items())
            if (!known_.contains(name)) where_.at(name).refuse("is not a member of a policy");
    }

private:
    const Json& json_;
    const Where& where_;
    std::set<std::string> known_;
};

struct ObjectWriter {
    Document out = Document::object();

    template <class T, class Kind>
    void operator()(const char* name, T& value, const Kind& kind) {
        out[name] = kind.write(value);
    }
    template <class T, class Kind>
    void required(const char* name, T& value, const Kind& kind) {
        (*this)(name, value, kind);
    }
};

// A value with a describe().
struct Object {
    template <class T>
    void read(const Json& json, T& value, const Where& where) const {
        if (!json.is_object()) return where.refuse("must be an object");
        ObjectReader reader{json, where};
        describe(reader, value);
        reader.refuse_unknown();
    }
    template <class T>
    Document write(T value) const {
        ObjectWriter writer;
        describe(writer, value);
        return std::move(writer.out);
    }
};

// ---- What a policy's values look like -----------------------------------------------------------

template <std::size_t bytes_min, std::size_t bytes_max = bytes_min>
bool is_hex(std::string_view text) {
    return text.size() >= 2 * bytes_min && text.size() <= 2 * bytes_max &&
           from_hex(text).has_value();
}

bool is_tier(std::string_view text) {
    return std::find(all_tiers.begin(), all_tiers.end(), text) != all_tiers.end();
}

bool is_word(std::string_view text) {
    return !text.empty() && text.size() <= 128 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

bool is_word_or_empty(std::string_view text) { return text.empty() || is_word(text); }

bool is_number_or_empty(std::string_view text) { return text.empty() || is_hex<20>(text); }

std::optional<NvidiaMode> nvidia_mode_from(std::string_view text) {
    for (const NvidiaMode mode : {NvidiaMode::single_passthrough, NvidiaMode::multi_passthrough,
                                  NvidiaMode::protected_pcie})
        if (to_text(mode) == text) return mode;
    return std::nullopt;
}

constexpr Text digest_256{is_hex<32>, "must be 64 lower-case hex digits"};
constexpr Text digest_384{is_hex<48>, "must be 96 lower-case hex digits"};
constexpr Text measurement{is_hex<32, 64>, "must be 64 to 128 lower-case hex digits"};
constexpr Text family{is_hex<6>, "must be 12 lower-case hex digits"};
constexpr Text serial{is_hex<1, 20>, "must be 2 to 40 lower-case hex digits"};
constexpr Text list_number{is_number_or_empty, "must be 40 lower-case hex digits or empty"};
constexpr Text word{is_word, "must be 1 to 128 printable characters without space"};
constexpr Text word_or_empty{is_word_or_empty,
                             "must be at most 128 printable characters without space"};
constexpr Text tier{is_tier, "must be a tier: tdx+gpu-cc, snp+gpu-cc, tdx, snp or simulated"};
constexpr Named<TcbStatus> tcb_status{tcb_status_of, "must be one of Intel's TCB statuses"};
constexpr Named<SnpProduct> snp_product{snp_product_from, "must be Milan, Genoa or Turin"};
constexpr Named<NvidiaMode> nvidia_mode{
    nvidia_mode_from, "must be single_passthrough, multi_passthrough or protected_pcie"};

// ---- The description ----------------------------------------------------------------------------

template <class Visitor>
void describe(Visitor& visit, ToleratedAdvisory& advisory) {
    visit.required("id", advisory.id, word);
    visit.required("until", advisory.until, Time{});
}

template <class Visitor>
void describe(Visitor& visit, TdxPolicy& policy) {
    visit("pins", policy.pins, List{digest_256});
    visit("evaluation_number_min", policy.evaluation_number_min, Whole<std::uint32_t>{});
    visit("root_crl_issued_min", policy.root_crl_issued_min, Time{});
    visit("pck_processor_crl_issued_min", policy.pck_crl_issued_min[0], Time{});
    visit("pck_platform_crl_issued_min", policy.pck_crl_issued_min[1], Time{});
    visit("quote_versions", policy.quote_versions, List{Whole<std::uint16_t>{4, 5}});
    visit("tcb_statuses", policy.tcb_statuses, List{tcb_status});
    visit("advisories_tolerated", policy.advisories_tolerated, List{Object{}});
    visit("advisories_denied", policy.advisories_denied, List{word});
    visit("tcb_date_min", policy.tcb_date_min, Time{});
    visit("attributes_required", policy.attributes_required, Bits{});
    visit("attributes_free", policy.attributes_free, Bits{});
    visit("xfam", policy.xfam, List{Bits{}});
    visit("mr_seam", policy.mr_seam, List{digest_384});
    visit("service_tds", policy.service_tds, List{digest_384});
    visit("fmspc_denied", policy.fmspc_denied, List{family});
    visit("platforms_denied", policy.platforms_denied, List{digest_256});
    visit("pck_serials_denied", policy.pck_serials_denied, List{serial});
}

template <class Visitor>
void describe(Visitor& visit, SnpRoot& root) {
    visit.required("product", root.product, snp_product);
    visit.required("spki_sha256", root.spki_sha256, digest_256);
    visit("revocation_number_min", root.revocation_number_min, list_number);
}

template <class Visitor>
void describe(Visitor& visit, SnpTcb& tcb) {
    const Whole<std::uint8_t> version;
    visit("fmc", tcb.fmc, version);
    visit.required("bootloader", tcb.bootloader, version);
    visit.required("tee", tcb.tee, version);
    visit.required("snp", tcb.snp, version);
    visit.required("microcode", tcb.microcode, version);
}

template <class Visitor>
void describe(Visitor& visit, SnpTcbMinimum& minimum) {
    visit.required("product", minimum.product, snp_product);
    visit.required("tcb", minimum.tcb, Object{});
}

template <class Visitor>
void describe(Visitor& visit, SnpPolicy& policy) {
    visit("roots", policy.roots, List{Object{}});
    visit("products", policy.products, List{snp_product});
    visit("tcb_minimums", policy.tcb_minimums, List{Object{}});
    visit("revocation_required", policy.revocation_required, Flag{});
    visit("report_version_min", policy.report_version_min, Whole<std::uint32_t>{2, 5});
    visit("vlek_allowed", policy.vlek_allowed, Flag{});
    visit("debug_allowed", policy.debug_allowed, Flag{});
    visit("migration_allowed", policy.migration_allowed, Flag{});
    visit("smt_allowed", policy.smt_allowed, Flag{});
    visit("vmpl_max", policy.vmpl_max, Whole<std::uint32_t>{0, 3});
    visit("abi_major_min", policy.abi_major_min, Whole<std::uint8_t>{});
    visit("abi_minor_min", policy.abi_minor_min, Whole<std::uint8_t>{});
    visit("guest_policy_mask", policy.guest_policy_mask, Bits{});
    visit("guest_policy_value", policy.guest_policy_value, Bits{});
    visit("platform_info_mask", policy.platform_info_mask, Bits{});
    visit("platform_info_value", policy.platform_info_value, Bits{});
    visit("mitigations_required", policy.mitigations_required, Bits{});
    visit("id_key_digests", policy.id_key_digests, List{digest_384});
    visit("author_key_digests", policy.author_key_digests, List{digest_384});
    visit("host_data", policy.host_data, List{digest_256});
    visit("platforms_denied", policy.platforms_denied, List{digest_256});
}

template <class Visitor>
void describe(Visitor& visit, NvidiaPolicy& policy) {
    visit("device_roots", policy.device_roots, List{digest_256});
    visit("manifest_roots", policy.manifest_roots, List{digest_256});
    visit("manifests_required", policy.manifests_required, Flag{});
    visit("revocation_required", policy.revocation_required, Flag{});
    visit("leaf_revocation_required", policy.leaf_revocation_required, Flag{});
    visit("revocation_stale_seconds_max", policy.revocation_stale_max, Seconds{});
    visit("products", policy.products, List{word});
    visit("firmware_id_required", policy.firmware_id_required, Flag{});
    visit("driver_version_min", policy.driver_version_min, word_or_empty);
    visit("denied_versions", policy.denied_versions, List{word});
    visit("denied_devices", policy.denied_devices, List{word});
    visit("modes", policy.modes, List{nvidia_mode});
    visit("switches_required", policy.switches_required, Flag{});
}

template <class Visitor>
void describe(Visitor& visit, NvidiaTokenPolicy& policy) {
    visit("issuer", policy.issuer, word);
    visit("service_pins", policy.service_pins, List{digest_256});
    visit("key_set_trusted", policy.key_set_trusted, Flag{});
    visit("products", policy.products, List{word});
    visit("denied_versions", policy.denied_versions, List{word});
    visit("denied_devices", policy.denied_devices, List{word});
}

// The whole document: the policy and which edition of it this is.
struct Edition {
    std::int64_t version = policy_version;
    Policy policy;
};

template <class Visitor>
void describe(Visitor& visit, Edition& edition) {
    Policy& policy = edition.policy;
    visit.required("version", edition.version, Whole<std::int64_t>{policy_version, policy_version});
    visit("tiers", policy.accepted_tiers, List{tier});
    visit("simulated_enabled", policy.simulated_enabled, Flag{});
    visit("measurements", policy.accepted_measurements, List{measurement});
    visit("evidence_age_seconds_max", policy.age_max, Seconds{});
    visit("clock_skew_seconds_max", policy.clock_skew_max, Seconds{});
    visit("outdated_grace_seconds", policy.outdated_grace, Seconds{});
    visit("tdx", policy.tdx, Object{});
    visit("snp", policy.snp, Object{});
    visit("nvidia", policy.nvidia, Object{});
    visit("nvidia_service", policy.nvidia_service, Object{});
}

// Bits that are wanted and masked away would refuse everything without a word.
void check_masks(const SnpPolicy& policy, const Where& where) {
    if (policy.guest_policy_value & ~policy.guest_policy_mask)
        where.at("guest_policy_value").refuse("has bits that guest_policy_mask has not");
    if (policy.platform_info_value & ~policy.platform_info_mask)
        where.at("platform_info_value").refuse("has bits that platform_info_mask has not");
}

}  // namespace

Result<Policy> parse_policy(std::string_view json) {
    const auto document = parse_json(json, policy_bytes_max);
    if (!document) return document.error();
    std::vector<FieldError> errors;
    Edition edition;
    const Where top{"", errors};
    Object{}.read(*document, edition, top);
    if (errors.empty()) check_masks(edition.policy.snp, top.at("snp"));
    if (!errors.empty())
        return Error{ErrorCode::invalid_body, "The policy has invalid members.", std::move(errors)};
    return std::move(edition.policy);
}

std::string policy_document(const Policy& policy) {
    return Object{}.write(Edition{policy_version, policy}).dump(2) + "\n";
}

}  // namespace cocoon::attestation
