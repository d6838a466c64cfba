#include "attestation/nvidia_identity.hpp"

#include <algorithm>

#include "attestation/der.hpp"

namespace cocoon::attestation {
namespace {

constexpr std::string_view alternative_names = "2.5.29.17";
constexpr std::string_view dice_composite_device = "2.23.133.5.4.1";  // Hopper
constexpr std::string_view dice_tcb_info = "2.23.133.5.4.1.1";        // Blackwell
constexpr std::string_view device_info_oid = "2b06010401831c821201";  // 1.3.6.1.4.1.412.274.1, hex
constexpr std::string_view sha384_oid = "608648016503040202";         // 2.16.840.1.101.3.4.2.2, hex
constexpr std::uint8_t fwids = 6;                                     // DiceTcbInfo's member
// FWID in the composite extension's last bytes: SEQUENCE, SHA-384's OID, OCTET STRING of 48.
constexpr std::size_t fwid_element_bytes = 2 + 11 + 2 + nvidia_measurement_bytes;

Error unreadable() {
    return refuse(ErrorCode::malformed_request,
                  "the certificate's firmware extension cannot be read");
}

// SEQUENCE { hashAlg, digest } where the algorithm is SHA-384.
std::optional<NvidiaMeasurement> fwid_of(Reader& in) {
    const auto element = take_der(in, der::sequence);
    if (!element) return std::nullopt;
    Reader inside{*element};
    const auto algorithm = take_der(inside, der::object_identifier);
    const auto digest = take_der(inside, der::octet_string);
    if (!algorithm || to_hex(*algorithm) != sha384_oid || !digest || !inside.finished() ||
        digest->size() != nvidia_measurement_bytes)
        return std::nullopt;
    NvidiaMeasurement out{};
    std::copy(digest->begin(), digest->end(), out.begin());
    return out;
}

// Hopper's structure differs between firmware generations before its last element, the FWID.
std::optional<NvidiaMeasurement> composite_fwid(ByteView extension) {
    if (extension.size() < fwid_element_bytes) return std::nullopt;
    Reader in{extension.last(fwid_element_bytes)};
    return fwid_of(in);
}

// DiceTcbInfo: the first of its firmware digests is of the layer that the certificate is for.
std::optional<NvidiaMeasurement> tcb_info_fwid(ByteView extension) {
    Reader in{extension};
    const auto info = take_der(in, der::sequence);
    if (!info || !in.finished()) return std::nullopt;
    Reader members{*info};
    while (members.left() > 0) {
        const auto element = take_der(members);
        if (!element) return std::nullopt;
        if (element->tag != der::context_constructed(fwids)) continue;
        Reader list{element->value};
        return fwid_of(list);
    }
    return std::nullopt;
}

// The UTF8String of DMTF's device information among the alternative names: "NVIDIA:GH100:48B0...".
std::string device_info(const Certificate& leaf) {
    const auto extension = leaf.extension(alternative_names);
    if (!extension) return {};
    Reader in{*extension};
    const auto names = take_der(in, der::sequence);
    if (!names) return {};
    Reader each{*names};
    while (each.left() > 0) {
        const auto name = take_der(each);
        if (!name) return {};
        if (name->tag != der::context_constructed(0)) continue;  // otherName
        Reader other{name->value};
        const auto type = take_der(other, der::object_identifier);
        const auto value = take_der(other, der::context_constructed(0));
        if (!type || !value || to_hex(*type) != device_info_oid) continue;
        Reader text{*value};
        const auto found = take_der(text, der::utf8_string);
        return found ? std::string{as_text(*found)} : std::string{};
    }
    return {};
}

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_';
    });
}

}  // namespace

std::string NvidiaIdentity::platform_id() const {
    return device.empty() ? certificate_id() : "nvidia-" + product + "-" + device;
}

std::string NvidiaIdentity::certificate_id() const { return "nvidia-certificate-" + leaf_serial; }

NvidiaIdentity nvidia_identity(const Certificate& leaf) {
    NvidiaIdentity out;
    out.leaf_serial = leaf.serial();
    const std::string info = device_info(leaf);
    const std::size_t first = info.find(':');
    const std::size_t second = first == std::string::npos ? first : info.find(':', first + 1);
    if (second != std::string::npos && info.substr(0, first) == "NVIDIA") {
        const std::string product = info.substr(first + 1, second - first - 1);
        const std::string device = info.substr(second + 1);
        if (is_name(product) && is_name(device)) out.product = product, out.device = device;
    }
    if (out.product.empty()) {
        const std::string& name = leaf.common_name();  // "GH100 A01 GSP FMC LF"
        const std::string first_word = name.substr(0, name.find(' '));
        if (is_name(first_word) && first_word.size() < name.size()) out.product = first_word;
    }
    std::erase(out.product, '_');  // "LS_10" in certificates, "LS10" in manifests
    out.is_switch = out.product.starts_with("LS");
    return out;
}

Result<std::optional<NvidiaMeasurement>> nvidia_firmware_id(const Certificate& leaf) {
    const auto composite = leaf.extension(dice_composite_device);
    const auto tcb_info = leaf.extension(dice_tcb_info);
    if (!composite && !tcb_info) return std::optional<NvidiaMeasurement>{};
    const auto first = composite ? composite_fwid(*composite) : std::nullopt;
    const auto second = tcb_info ? tcb_info_fwid(*tcb_info) : std::nullopt;
    if ((composite && !first) || (tcb_info && !second)) return unreadable();
    if (first && second && *first != *second) return unreadable();
    return first ? first : second;
}

}  // namespace cocoon::attestation
