#include "attestation/nvidia_manifest.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace cocoon::attestation {
namespace {

constexpr std::string_view swid_space = "http://standards.iso.org/iso/19770/-2/2015/schema.xsd";
constexpr std::string_view hash_space = "http://www.w3.org/2001/04/xmlenc#sha384";
constexpr std::uint16_t index_max = 254;  // SPDM indices are one octet, from 1
constexpr std::uint16_t alternatives_max = 32;
constexpr std::uint16_t nvdec0_index = 35;
constexpr std::size_t name_bytes_max = 128;
// Switches' reports name no board; there is one (project, SKU and chip SKU of the LS10).
constexpr std::string_view switch_board = "5612_0002_890";

Error malformed(const char* why) { return refuse(ErrorCode::malformed_request, why); }

// A plain decimal number as the manifests write it: no sign, no leading zero.
std::optional<std::uint16_t> number_at(const XmlElement& element, std::string_view name) {
    const std::string* text = element.attribute(name);
    if (!text || text->empty() || (text->size() > 1 && text->front() == '0')) return std::nullopt;
    std::uint16_t value = 0;
    const char* end = text->data() + text->size();
    const auto [read, failure] = std::from_chars(text->data(), end, value);
    if (failure != std::errc{} || read != end) return std::nullopt;
    return value;
}

std::optional<NvidiaMeasurement> digest_of(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c | 0x20) : c; });
    const auto bytes = from_hex(text);
    if (!bytes || bytes->size() != nvidia_measurement_bytes) return std::nullopt;
    NvidiaMeasurement out{};
    std::copy(bytes->begin(), bytes->end(), out.begin());
    return out;
}

// Hash0 to Hash<count - 1>, and no other attribute of their namespace.
std::optional<std::vector<NvidiaMeasurement>> alternatives_of(const XmlElement& resource) {
    const auto count = number_at(resource, "alternatives");
    if (!count || *count == 0 || *count > alternatives_max) return std::nullopt;
    const auto hashes =
        std::count_if(resource.attributes.begin(), resource.attributes.end(),
                      [](const XmlAttribute& at) { return at.space == hash_space; });
    if (hashes != *count) return std::nullopt;
    std::vector<NvidiaMeasurement> out;
    for (std::uint16_t i = 0; i < *count; ++i) {
        const std::string* text = resource.attribute("Hash" + std::to_string(i), hash_space);
        const auto digest = text ? digest_of(*text) : std::nullopt;
        if (!digest) return std::nullopt;
        out.push_back(*digest);
    }
    return out;
}

bool has_value(const XmlElement& element, std::string_view name, std::string_view value) {
    const std::string* found = element.attribute(name);
    return found && *found == value;
}

Result<void> read_payload(const XmlElement& payload, NvidiaManifest& out) {
    std::vector<bool> seen(index_max + 1);
    for (const XmlElement& resource : payload.children) {
        if (!resource.is(swid_space, "Resource") || !has_value(resource, "type", "Measurement"))
            return malformed("the manifest's payload holds something else than measurements");
        const auto index = number_at(resource, "index");
        if (!index || *index > index_max || seen[*index])
            return malformed("a measurement's index is missing, too large or occurs twice");
        seen[*index] = true;
        const bool active = has_value(resource, "active", "True");
        auto alternatives = alternatives_of(resource);
        if (!has_value(resource, "size", "48") || !alternatives ||
            (!active && !has_value(resource, "active", "False")))
            return malformed("a measurement of the manifest is not complete");
        if (active) out.measurements.emplace(*index, std::move(*alternatives));
    }
    return {};
}

// The only child of that name, or nullptr.
const XmlElement* only_child(const XmlElement& element, std::string_view name) {
    const XmlElement* found = nullptr;
    for (const XmlElement& child : element.children) {
        if (!child.is(swid_space, name)) continue;
        if (found) return nullptr;
        found = &child;
    }
    return found;
}

// A short printable name, or nothing.
std::optional<std::string> name_at(const XmlElement& element, std::string_view name) {
    const std::string* text = element.attribute(name);
    const auto printable = [](char c) { return c >= 0x20 && c < 0x7F; };
    if (!text || text->empty() || text->size() > name_bytes_max ||
        !std::all_of(text->begin(), text->end(), printable))
        return std::nullopt;
    return *text;
}

// Names become parts of addresses.
bool is_name_part(const std::string& text) {
    return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
               c == '.' || c == '_';
    });
}

}  // namespace

Result<NvidiaManifest> parse_nvidia_manifest(ByteView document) {
    auto xml = SignedXml::parse(document);
    if (!xml) return xml.error();
    const XmlElement& root = xml->root();
    if (!root.is(swid_space, "SoftwareIdentity"))
        return malformed("the document is not a software identity tag");
    const XmlElement* meta = only_child(root, "Meta");
    const XmlElement* payload = only_child(root, "Payload");
    if (!meta || !payload)
        return malformed("the manifest has not one Meta and one Payload element");
    const auto version = name_at(*meta, "colloquialVersion");
    const auto product = name_at(*meta, "product");
    const auto tag_id = name_at(root, "tagId");
    if (!version || !product || !tag_id)
        return malformed("the manifest does not say what it is for");
    NvidiaManifest out{*version, *product, *tag_id, {}, *xml};
    if (const auto read = read_payload(*payload, out); !read) return read.error();
    if (out.measurements.empty()) return malformed("the manifest lists no measurement");
    return out;
}

std::vector<std::string> nvidia_manifest_names(const NvidiaReport& report,
                                               const NvidiaIdentity& identity) {
    std::vector<std::string> out;
    const auto add = [&](const std::vector<std::string>& parts) {
        std::string name;
        for (const std::string& part : parts) {
            if (!is_name_part(part)) return;
            name += (name.empty() ? "" : "_") + part;
        }
        out.push_back(std::move(name));
    };
    std::string vbios = report.vbios_version();
    std::erase(vbios, '.');
    if (identity.is_switch) {
        add({"NV_SWITCH_BIOS", std::string{switch_board}, vbios});
        return out;
    }
    add({identity.product == "GH100" ? "NV_GPU_DRIVER" : "NV_GPU_CC_DRIVER", identity.product,
         report.driver_version()});
    add({"NV_GPU_VBIOS", report.text(NvidiaField::project), report.text(NvidiaField::project_sku),
         report.text(NvidiaField::chip_sku), vbios});
    return out;
}

NvidiaComparison compare_measurements(const NvidiaReport& report,
                                      std::span<const NvidiaManifest* const> manifests) {
    std::map<std::uint16_t, std::vector<const std::vector<NvidiaMeasurement>*>> golden;
    for (const NvidiaManifest* manifest : manifests)
        for (const auto& [index, accepted] : manifest->measurements)
            golden[index].push_back(&accepted);
    NvidiaComparison out;
    for (const auto& [index, lists] : golden) {
        out.golden.push_back(index);
        if (lists.size() > 1) out.contested.push_back(index);
        if (index == nvdec0_index && report.nvdec0_disabled()) continue;
        const auto measured = report.measurements.find(static_cast<std::uint8_t>(index + 1));
        const bool right = std::all_of(lists.begin(), lists.end(), [&](const auto* accepted) {
            return measured != report.measurements.end() &&
                   std::find(accepted->begin(), accepted->end(), measured->second) !=
                       accepted->end();
        });
        if (!right) out.mismatched.push_back(index);
    }
    return out;
}

}  // namespace cocoon::attestation
