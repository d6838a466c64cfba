#include "node/sev_guest.hpp"

#include <fcntl.h>
#include <linux/sev-guest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "attestation/reader.hpp"
#include "attestation/snp_report.hpp"

namespace cocoon::node {
namespace {

constexpr std::size_t table_bytes = 16 << 10;  // the most the kernel passes on; whole pages
constexpr std::size_t response_reserved_bytes = 24;

// MSG_REPORT_RSP (AMD 56860, table 25): status, size, reserved, the report.
Result<Bytes> report_of(const snp_report_resp& response) {
    attestation::Reader in{ByteView{response.data, sizeof response.data}};
    const auto status = in.little<std::uint32_t>();
    const auto size = in.little<std::uint32_t>();
    in.skip(response_reserved_bytes);
    if (status != 0)
        return refuse(ErrorCode::internal_error,
                      "the firmware refused the report, status " + std::to_string(status));
    if (size != attestation::snp_report_bytes)
        return refuse(ErrorCode::internal_error,
                      "the report has " + std::to_string(size) + " bytes");
    const ByteView report = in.take(size);
    return Bytes{report.begin(), report.end()};
}

}  // namespace

SevGuest::SevGuest(std::string device, DeviceCall call)
    : device_{std::move(device)}, call_{std::move(call)} {}

Result<CpuReport> SevGuest::report(const attestation::ReportData& report_data) {
    const Descriptor file{::open(device_.c_str(), O_RDWR | O_CLOEXEC)};
    if (!file.open())
        return refuse(errno == ENOENT ? ErrorCode::not_found : ErrorCode::internal_error,
                      "cannot open " + device_ + ": " + std::strerror(errno));
    // The kernel writes zeros where the host has no certificates.
    std::vector<std::uint8_t> table(table_bytes);
    snp_ext_report_req request{};
    std::copy(report_data.begin(), report_data.end(), request.data.user_data);
    request.certs_address = reinterpret_cast<std::uintptr_t>(table.data());
    request.certs_len = table_bytes;
    snp_report_resp response{};
    snp_guest_request_ioctl exchange{};
    exchange.msg_version = 1;
    exchange.req_data = reinterpret_cast<std::uintptr_t>(&request);
    exchange.resp_data = reinterpret_cast<std::uintptr_t>(&response);
    if (call_(file.number(), SNP_GET_EXT_REPORT, &exchange) != 0)
        return refuse(ErrorCode::internal_error,
                      device_ + " gives no report: " + std::strerror(errno) + " (firmware " +
                          std::to_string(exchange.fw_error) + ", host " +
                          std::to_string(exchange.vmm_error) + ")");
    auto report = report_of(response);
    if (!report) return report.error();
    return CpuReport{"sev_guest", *std::move(report), std::move(table)};
}

}  // namespace cocoon::node
