// The attestation report of AMD SEV-SNP as fields (AMD 56860, "SEV Secure Nested Paging Firmware
// ABI", table 23; versions 2 to 5). Called by snp.cpp and by people's reports. Plain values, any
// thread. Must not know certificates or policy: nothing here says that a report is genuine.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/encoding.hpp"
#include "core/result.hpp"

namespace cocoon::attestation {

constexpr std::size_t snp_report_bytes = 1184;
constexpr std::size_t snp_signed_bytes = 0x2A0;  // the signature is over all before it
constexpr std::size_t snp_component_bytes = 72;  // r and s, little-endian, zero-extended

enum class SnpProduct : std::uint8_t { milan, genoa, turin };  // Genoa: also Bergamo and Siena
std::string_view to_text(SnpProduct product);
std::optional<SnpProduct> snp_product_from(std::string_view text);

// The product with this CPUID family and model, if it is one of ours.
std::optional<SnpProduct> snp_product_of(std::uint8_t family, std::uint8_t model);

// TCB_VERSION as it stands in the report, byte 0 first. What a byte means depends on the product.
using SnpTcbVersion = std::array<std::uint8_t, 8>;

// Security versions of the platform's firmware parts.
struct SnpTcb {
    std::uint8_t fmc = 0;  // Turin only
    std::uint8_t bootloader = 0;
    std::uint8_t tee = 0;
    std::uint8_t snp = 0;
    std::uint8_t microcode = 0;

    bool operator==(const SnpTcb&) const = default;
    // Every part is at least the other's: a partial order.
    bool covers(const SnpTcb& other) const;
    std::string text() const;  // for people: "bootloader 4, tee 0, snp 24, microcode 219"
};
SnpTcb snp_tcb(const SnpTcbVersion& version, SnpProduct product);

// The guest policy that the owner of the guest fixed at launch and the firmware enforces.
struct SnpGuestPolicy {
    std::uint64_t bits = 0;

    std::uint8_t abi_minor() const { return static_cast<std::uint8_t>(bits); }
    std::uint8_t abi_major() const { return static_cast<std::uint8_t>(bits >> 8); }
    bool smt() const { return bits >> 16 & 1; }
    bool migrate_ma() const { return bits >> 18 & 1; }
    bool debug() const { return bits >> 19 & 1; }
    bool single_socket() const { return bits >> 20 & 1; }
};

struct SnpFirmware {
    std::uint8_t major = 0;
    std::uint8_t minor = 0;
    std::uint8_t build = 0;
    std::string text() const;  // "1.55.29"
};

struct SnpReport {
    std::uint32_t version = 0;
    std::uint32_t guest_svn = 0;
    SnpGuestPolicy policy;
    std::array<std::uint8_t, 16> family_id{};
    std::array<std::uint8_t, 16> image_id{};
    std::uint32_t vmpl = 0;
    std::uint32_t signature_algorithm = 0;
    SnpTcbVersion current_tcb{};
    std::uint64_t platform_info = 0;
    bool author_key_enabled = false;
    bool chip_key_masked = false;
    std::uint8_t signing_key = 0;  // 0 VCEK, 1 VLEK, 7 none; others are not defined
    std::array<std::uint8_t, 64> report_data{};
    std::array<std::uint8_t, 48> measurement{};
    std::array<std::uint8_t, 32> host_data{};
    std::array<std::uint8_t, 48> id_key_digest{};
    std::array<std::uint8_t, 48> author_key_digest{};
    std::array<std::uint8_t, 32> report_id{};
    std::array<std::uint8_t, 32> migration_agent_report_id{};
    SnpTcbVersion reported_tcb{};   // the one that the signing key is derived from
    std::uint8_t cpuid_family = 0;  // the three are zero before version 3
    std::uint8_t cpuid_model = 0;
    std::uint8_t cpuid_stepping = 0;
    std::array<std::uint8_t, 64> chip_id{};  // zero when masked
    SnpTcbVersion committed_tcb{};           // below it the host cannot go back
    SnpFirmware current_firmware;
    SnpFirmware committed_firmware;
    SnpTcbVersion launch_tcb{};
    std::uint64_t launch_mitigations = 0;  // version 5
    std::uint64_t current_mitigations = 0;
    std::array<std::uint8_t, snp_component_bytes> r{};
    std::array<std::uint8_t, snp_component_bytes> s{};
    bool tail_is_zero = false;  // the unsigned bytes after the signature
};

// The fields of a report of any version; `malformed_request` unless it is snp_report_bytes long.
Result<SnpReport> parse_snp_report(ByteView report);

}  // namespace cocoon::attestation
