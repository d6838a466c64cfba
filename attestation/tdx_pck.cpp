#include "attestation/tdx_pck.hpp"

#include <algorithm>
#include <map>

#include "attestation/der.hpp"

namespace cocoon::attestation {
namespace {

constexpr std::string_view sgx_extension = "1.2.840.113741.1.13.1";
constexpr std::array<std::uint8_t, 9> sgx_oid = {0x2A, 0x86, 0x48, 0x86, 0xF8,
                                                 0x4D, 0x01, 0x0D, 0x01};
constexpr std::uint8_t tag_boolean = 0x01, tag_enumerated = 0x0A;

// The last arc of `oid` if it is directly below `parent`.
std::optional<std::uint8_t> arc_below(ByteView oid, ByteView parent) {
    if (oid.size() != parent.size() + 1 || !std::equal(parent.begin(), parent.end(), oid.begin()) ||
        oid.back() >= 0x80)
        return std::nullopt;
    return oid.back();
}

using Parts = std::map<std::uint8_t, DerElement>;  // by last arc

// SEQUENCE OF SEQUENCE {OID, value}; nothing if it is anything else or an OID comes twice.
std::optional<Parts> read_parts(ByteView content, ByteView parent) {
    Parts parts;
    for (Reader in{content}; in.left() > 0;) {
        const auto pair = take_der(in, der::sequence);
        if (!pair) return std::nullopt;
        Reader inside{*pair};
        const auto oid = take_der(inside, der::object_identifier);
        const auto value = oid ? take_der(inside) : std::nullopt;
        if (!value || !inside.finished()) return std::nullopt;
        if (const auto arc = arc_below(*oid, parent))
            if (!parts.emplace(*arc, *value).second) return std::nullopt;
    }
    return parts;
}

const DerElement* find(const Parts& parts, std::uint8_t arc, std::uint8_t tag) {
    const auto found = parts.find(arc);
    return found == parts.end() || found->second.tag != tag ? nullptr : &found->second;
}

template <std::size_t size>
bool read_octets(const Parts& parts, std::uint8_t arc, std::array<std::uint8_t, size>& out) {
    const DerElement* found = find(parts, arc, der::octet_string);
    if (!found || found->value.size() != size) return false;
    std::copy(found->value.begin(), found->value.end(), out.begin());
    return true;
}

// A non-negative number in its shortest form, up to `max`.
std::optional<std::uint32_t> read_number(const Parts& parts, std::uint8_t arc, std::uint8_t tag,
                                         std::uint32_t max) {
    const DerElement* found = find(parts, arc, tag);
    if (!found || found->value.empty() || found->value.size() > 3 || found->value[0] >= 0x80)
        return std::nullopt;
    if (found->value.size() > 1 && found->value[0] == 0 && found->value[1] < 0x80)
        return std::nullopt;
    std::uint32_t value = 0;
    for (const std::uint8_t byte : found->value) value = value << 8 | byte;
    return value > max ? std::nullopt : std::optional{value};
}

bool read_flag(const Parts& parts, std::uint8_t arc, std::optional<bool>& out) {
    if (!parts.contains(arc)) return true;
    const DerElement* found = find(parts, arc, tag_boolean);
    if (!found || found->value.size() != 1) return false;
    const std::uint8_t value = found->value[0];
    out = value != 0;
    return value == 0x00 || value == 0xFF;
}

Bytes below(std::uint8_t arc) {
    Bytes oid{sgx_oid.begin(), sgx_oid.end()};
    oid.push_back(arc);
    return oid;
}

// The TCB, arc 2: component SVNs 1 to 16, PCE SVN 17, CPU SVN 18.
bool read_tcb(const Parts& parts, PckIdentity& out) {
    const DerElement* tcb = find(parts, 2, der::sequence);
    const auto inside = tcb ? read_parts(tcb->value, below(2)) : std::nullopt;
    if (!inside) return false;
    for (std::size_t i = 0; i < out.components.size(); ++i) {
        const auto svn = read_number(*inside, static_cast<std::uint8_t>(i + 1), der::integer, 0xFF);
        if (!svn) return false;
        out.components[i] = static_cast<std::uint8_t>(*svn);
    }
    const auto pce_svn = read_number(*inside, 17, der::integer, 0xFFFF);
    out.pce_svn = static_cast<std::uint16_t>(pce_svn.value_or(0));
    return pce_svn && read_octets(*inside, 18, out.cpu_svn);
}

// Arcs 6 and 7: platform instance and configuration, if they are there.
bool read_platform(const Parts& parts, PckIdentity& out) {
    if (parts.contains(6) && !read_octets(parts, 6, out.platform_instance_id.emplace()))
        return false;
    if (!parts.contains(7)) return true;
    const DerElement* configuration = find(parts, 7, der::sequence);
    const auto inside = configuration ? read_parts(configuration->value, below(7)) : std::nullopt;
    return inside && read_flag(*inside, 1, out.dynamic_platform) &&
           read_flag(*inside, 2, out.cached_keys) && read_flag(*inside, 3, out.smt_enabled);
}

}  // namespace

Result<PckIdentity> read_pck_identity(const Certificate& certificate) {
    const auto refused = [](const char* why) { return refuse(ErrorCode::malformed_request, why); };
    const auto extension = certificate.extension(sgx_extension);
    if (!extension) return refused("the PCK certificate has no SGX extension");
    Reader in{*extension};
    const auto whole = take_der(in, der::sequence);
    const auto parts = whole && in.finished() ? read_parts(*whole, sgx_oid) : std::nullopt;
    PckIdentity out;
    if (!parts || !read_octets(*parts, 1, out.ppid) || !read_tcb(*parts, out) ||
        !read_octets(*parts, 3, out.pce_id) || !read_octets(*parts, 4, out.fmspc) ||
        !read_platform(*parts, out))
        return refused("the PCK certificate's SGX extension cannot be read");
    const auto sgx_type = read_number(*parts, 5, tag_enumerated, 0xFF);
    if (!sgx_type) return refused("the PCK certificate does not say which kind of SGX it is for");
    out.sgx_type = *sgx_type;
    return out;
}

}  // namespace cocoon::attestation
