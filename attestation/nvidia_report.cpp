#include "attestation/nvidia_report.hpp"

#include <algorithm>

#include "attestation/reader.hpp"

namespace cocoon::attestation {
namespace {

constexpr std::uint8_t spdm_version = 0x11;
constexpr std::uint8_t get_measurements = 0xE0;
constexpr std::uint8_t measurements_response = 0x60;
constexpr std::uint8_t signature_wanted = 0x01;
constexpr std::uint8_t all_measurements = 0xFF;
constexpr std::uint8_t dmtf_specification = 0x01;
constexpr std::uint8_t raw_bit_stream = 0x80;  // DSP0274, table 45: the value is not a digest
constexpr std::size_t block_header_bytes = 3;
constexpr std::size_t packed_version_bytes = 8;
constexpr std::uint8_t disabled_code = 0x55;
constexpr std::uint8_t enabled_code = 0xAA;
constexpr std::size_t opaque_fields_max = 64;

Error malformed(const char* why) { return refuse(ErrorCode::malformed_request, why); }

std::size_t little_24(Reader& in) {
    const std::size_t low = in.little<std::uint16_t>();
    return low | static_cast<std::size_t>(in.little<std::uint8_t>()) << 16;
}

Result<void> read_request(Reader& in, NvidiaReport& report) {
    const auto version = in.little<std::uint8_t>();
    const auto code = in.little<std::uint8_t>();
    const auto attributes = in.little<std::uint8_t>();
    const auto operation = in.little<std::uint8_t>();
    report.nonce = in.array<32>();
    in.skip(1);  // slot of the certificate chain
    if (!in.ok() || version != spdm_version || code != get_measurements)
        return malformed("the report does not begin with an SPDM 1.1 GET_MEASUREMENTS request");
    if (attributes != signature_wanted || operation != all_measurements)
        return malformed("the request did not ask for all measurements with a signature");
    return {};
}

// DSP0274, tables 43 to 45: index, specification, size, then the DMTF type, size and value.
Result<void> read_measurements(ByteView record, std::size_t count, NvidiaReport& report) {
    Reader in{record};
    for (std::size_t i = 0; i < count; ++i) {
        const auto index = in.little<std::uint8_t>();
        const auto specification = in.little<std::uint8_t>();
        const auto size = in.little<std::uint16_t>();
        const auto type = in.little<std::uint8_t>();
        const auto value_size = in.little<std::uint16_t>();
        const auto value = in.array<nvidia_measurement_bytes>();
        if (!in.ok() || specification != dmtf_specification || (type & raw_bit_stream) != 0 ||
            value_size != nvidia_measurement_bytes || size != block_header_bytes + value_size)
            return malformed("a measurement block is not a SHA-384 digest that fits its record");
        if (index == 0 || !report.measurements.emplace(index, value).second)
            return malformed("a measurement index is zero or occurs twice");
    }
    if (!in.finished())
        return malformed("the measurement record has another length than its blocks");
    return {};
}

Result<void> read_opaque(ByteView bytes, NvidiaReport& report) {
    Reader in{bytes};
    while (in.ok() && in.left() > 0) {
        const auto type = in.little<std::uint16_t>();
        const auto size = in.little<std::uint16_t>();
        const ByteView value = in.take(size);
        if (!in.ok()) break;
        if (report.opaque.size() == opaque_fields_max)
            return malformed("there are too many opaque fields");
        if (!report.opaque.emplace(type, Bytes{value.begin(), value.end()}).second)
            return malformed("an opaque field occurs twice");
    }
    if (!in.ok()) return malformed("an opaque field is longer than the opaque data");
    return {};
}

}  // namespace

std::string_view to_text(NvidiaMode mode) {
    switch (mode) {
        case NvidiaMode::single_passthrough: return "single_passthrough";
        case NvidiaMode::multi_passthrough: return "multi_passthrough";
        case NvidiaMode::protected_pcie: break;
    }
    return "protected_pcie";
}

const Bytes* NvidiaReport::field(NvidiaField field) const {
    const auto found = opaque.find(static_cast<std::uint16_t>(field));
    return found == opaque.end() ? nullptr : &found->second;
}

std::string NvidiaReport::text(NvidiaField name) const {
    const Bytes* found = field(name);
    if (!found) return {};
    const auto last =
        std::find_if(found->rbegin(), found->rend(), [](auto byte) { return byte != 0; });
    std::string out{found->begin(), last.base()};
    const bool printable =
        std::all_of(out.begin(), out.end(), [](char c) { return c > 0x20 && c < 0x7F; });
    return printable ? out : std::string{};
}

std::string NvidiaReport::vbios_version() const {
    const Bytes* found = field(NvidiaField::vbios_version);
    if (!found || found->size() != packed_version_bytes) return text(NvidiaField::vbios_version);
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const std::size_t at : {3, 2, 1, 0, 4}) {
        if (!out.empty()) out += '.';
        out += digits[(*found)[at] >> 4];
        out += digits[(*found)[at] & 15];
    }
    return out;
}

bool NvidiaReport::nvdec0_disabled() const {
    const Bytes* found = field(NvidiaField::nvdec0_status);
    return found && *found == Bytes{disabled_code};
}

std::optional<NvidiaMode> NvidiaReport::mode() const {
    const Bytes* found = field(NvidiaField::feature_flag);
    const Bytes* older = field(NvidiaField::protected_pcie_status);
    if (!found && older && *older == Bytes{enabled_code}) return NvidiaMode::protected_pcie;
    if (!found || found->size() != 2 || (*found)[1] != 0 || (*found)[0] > 2) return std::nullopt;
    return static_cast<NvidiaMode>((*found)[0]);
}

Result<NvidiaReport> parse_nvidia_report(ByteView bytes) {
    if (bytes.size() > nvidia_report_bytes_max)
        return malformed("the report is over its size limit");
    Reader in{bytes};
    NvidiaReport report;
    if (const auto request = read_request(in, report); !request) return request.error();
    const auto version = in.little<std::uint8_t>();
    const auto code = in.little<std::uint8_t>();
    in.skip(2);  // parameters: number of indices when none was asked for, slot
    const std::size_t count = in.little<std::uint8_t>();
    report.record_bytes = little_24(in);
    const ByteView record = in.take(report.record_bytes);
    in.skip(32);  // the responder's nonce
    report.opaque_bytes = in.little<std::uint16_t>();
    const ByteView opaque = in.take(report.opaque_bytes);
    const std::size_t signed_size = bytes.size() - in.left();
    const ByteView signature = in.take(nvidia_signature_bytes);
    if (!in.finished()) return malformed("the report's lengths do not end at its last byte");
    if (version != spdm_version || code != measurements_response)
        return malformed("the request is not followed by an SPDM 1.1 MEASUREMENTS response");
    if (const auto read = read_measurements(record, count, report); !read) return read.error();
    if (const auto read = read_opaque(opaque, report); !read) return read.error();
    report.signed_bytes.assign(bytes.begin(),
                               bytes.begin() + static_cast<std::ptrdiff_t>(signed_size));
    report.signature.assign(signature.begin(), signature.end());
    return report;
}

}  // namespace cocoon::attestation
