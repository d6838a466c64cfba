#include "attestation/snp_report.hpp"

#include <algorithm>

#include "attestation/reader.hpp"

namespace cocoon::attestation {
namespace {

SnpFirmware read_firmware(Reader& reader) {
    SnpFirmware firmware;
    firmware.build = reader.little<std::uint8_t>();
    firmware.minor = reader.little<std::uint8_t>();
    firmware.major = reader.little<std::uint8_t>();
    reader.skip(1);
    return firmware;
}

}  // namespace

std::string_view to_text(SnpProduct product) {
    switch (product) {
        case SnpProduct::milan: return "Milan";
        case SnpProduct::genoa: return "Genoa";
        case SnpProduct::turin: break;
    }
    return "Turin";
}

std::optional<SnpProduct> snp_product_from(std::string_view text) {
    for (const SnpProduct product : {SnpProduct::milan, SnpProduct::genoa, SnpProduct::turin})
        if (to_text(product) == text) return product;
    return std::nullopt;
}

std::optional<SnpProduct> snp_product_of(std::uint8_t family, std::uint8_t model) {
    if (family == 0x19 && model <= 0x0F) return SnpProduct::milan;
    if (family == 0x19 && model >= 0x10 && model <= 0x1F) return SnpProduct::genoa;
    if (family == 0x19 && model >= 0xA0 && model <= 0xAF) return SnpProduct::genoa;
    if (family == 0x1A && model <= 0x11) return SnpProduct::turin;
    return std::nullopt;
}

bool SnpTcb::covers(const SnpTcb& other) const {
    return fmc >= other.fmc && bootloader >= other.bootloader && tee >= other.tee &&
           snp >= other.snp && microcode >= other.microcode;
}

std::string SnpTcb::text() const {
    return (fmc ? "fmc " + std::to_string(fmc) + ", " : "") + "bootloader " +
           std::to_string(bootloader) + ", tee " + std::to_string(tee) + ", snp " +
           std::to_string(snp) + ", microcode " + std::to_string(microcode);
}

SnpTcb snp_tcb(const SnpTcbVersion& version, SnpProduct product) {
    if (product == SnpProduct::turin)
        return {version[0], version[1], version[2], version[3], version[7]};
    return {0, version[0], version[1], version[6], version[7]};
}

std::string SnpFirmware::text() const {
    return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(build);
}

Result<SnpReport> parse_snp_report(ByteView bytes) {
    if (bytes.size() != snp_report_bytes)
        return refuse(ErrorCode::malformed_request,
                      "an SEV-SNP report has " + std::to_string(snp_report_bytes) +
                          " bytes, this " + std::to_string(bytes.size()));
    Reader reader{bytes};
    SnpReport report;
    report.version = reader.little<std::uint32_t>();
    report.guest_svn = reader.little<std::uint32_t>();
    report.policy.bits = reader.little<std::uint64_t>();
    report.family_id = reader.array<16>();
    report.image_id = reader.array<16>();
    report.vmpl = reader.little<std::uint32_t>();
    report.signature_algorithm = reader.little<std::uint32_t>();
    report.current_tcb = reader.array<8>();
    report.platform_info = reader.little<std::uint64_t>();
    const auto flags = reader.little<std::uint32_t>();
    report.author_key_enabled = flags & 1;
    report.chip_key_masked = flags >> 1 & 1;
    report.signing_key = flags >> 2 & 7;
    reader.skip(4);
    report.report_data = reader.array<64>();
    report.measurement = reader.array<48>();
    report.host_data = reader.array<32>();
    report.id_key_digest = reader.array<48>();
    report.author_key_digest = reader.array<48>();
    report.report_id = reader.array<32>();
    report.migration_agent_report_id = reader.array<32>();
    report.reported_tcb = reader.array<8>();
    report.cpuid_family = reader.little<std::uint8_t>();
    report.cpuid_model = reader.little<std::uint8_t>();
    report.cpuid_stepping = reader.little<std::uint8_t>();
    reader.skip(21);
    report.chip_id = reader.array<64>();
    report.committed_tcb = reader.array<8>();
    report.current_firmware = read_firmware(reader);
    report.committed_firmware = read_firmware(reader);
    report.launch_tcb = reader.array<8>();
    report.launch_mitigations = reader.little<std::uint64_t>();
    report.current_mitigations = reader.little<std::uint64_t>();
    reader.skip(152);
    report.r = reader.array<snp_component_bytes>();
    report.s = reader.array<snp_component_bytes>();
    const ByteView tail = reader.take_rest();
    report.tail_is_zero = std::all_of(tail.begin(), tail.end(), [](auto byte) { return !byte; });
    if (!reader.finished()) return refuse(ErrorCode::malformed_request, "the report is too short");
    return report;
}

}  // namespace cocoon::attestation
