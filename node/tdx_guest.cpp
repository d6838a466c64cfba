#include "node/tdx_guest.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <linux/vm_sockets.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "attestation/reader.hpp"
#include "attestation/tdx_quote.hpp"

namespace cocoon::node {
namespace {

// linux/tdx-guest.h, which older systems do not have.
struct ReportRequest {  // tdx_report_req
    std::array<std::uint8_t, 64> report_data{};
    std::array<std::uint8_t, 1024> report{};
};
constexpr unsigned long get_report = _IOWR('T', 1, ReportRequest);  // TDX_CMD_GET_REPORT0

// qgs_msg_lib.h: a header {major, minor, type, size, error}, little-endian, then the body; on a
// stream each message stands behind its length, big-endian.
constexpr std::uint16_t major_version = 1;
constexpr std::uint32_t quote_request = 0, quote_response = 1;
constexpr std::uint32_t header_bytes = 16;
constexpr time_t answer_seconds_max = 30;

void put_little(Bytes& out, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}

Bytes request_of(ByteView report) {
    const std::uint64_t size = header_bytes + 8 + report.size();
    Bytes out;
    for (int shift = 24; shift >= 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(size >> shift));
    put_little(out, major_version, 2);
    put_little(out, 0, 2);  // minor
    put_little(out, quote_request, 4);
    put_little(out, size, 4);
    put_little(out, 0, 4);  // error
    put_little(out, report.size(), 4);
    put_little(out, 0, 4);  // no list of key ids
    out.insert(out.end(), report.begin(), report.end());
    return out;
}

Error silent() {
    const int cause = errno;
    const bool late = cause == EAGAIN || cause == EWOULDBLOCK;
    return refuse(ErrorCode::node_unavailable,
                  std::string{"the host's quote generation service does not answer: "} +
                      (late         ? "too late"
                       : cause == 0 ? "it hung up"
                                    : std::strerror(cause)));
}

Result<Bytes> receive(int stream, std::size_t size) {
    Bytes out(size);
    for (std::size_t at = 0; at < size;) {
        errno = 0;
        const auto got = ::recv(stream, out.data() + at, size - at, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return silent();
        at += static_cast<std::size_t>(got);
    }
    return out;
}

Result<void> send_all(int stream, ByteView bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(stream, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return silent();
        bytes = bytes.subspan(static_cast<std::size_t>(sent));
    }
    return {};
}

Result<Bytes> quote_of(ByteView message) {
    attestation::Reader in{message};
    const auto major = in.little<std::uint16_t>();
    in.skip(2);
    const auto type = in.little<std::uint32_t>();
    const auto size = in.little<std::uint32_t>();
    const auto error = in.little<std::uint32_t>();
    if (!in.ok() || major != major_version || type != quote_response || size != message.size())
        return refuse(ErrorCode::internal_error,
                      "the quote generation service's answer is not understood");
    if (error != 0)
        return refuse(ErrorCode::internal_error,
                      "the quote generation service refuses with error " + std::to_string(error));
    const auto id_bytes = in.little<std::uint32_t>();
    const auto quote_bytes = in.little<std::uint32_t>();
    in.skip(id_bytes);
    const ByteView quote = in.take(quote_bytes);
    if (!in.finished())
        return refuse(ErrorCode::internal_error,
                      "the quote generation service's answer has another length than it says");
    return Bytes{quote.begin(), quote.end()};
}

int connect_to_host() {
    const int stream = ::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (stream < 0) return stream;
    sockaddr_vm host{};
    host.svm_family = AF_VSOCK;
    host.svm_cid = VMADDR_CID_HOST;
    host.svm_port = TdxGuest::quote_port;
    if (::connect(stream, reinterpret_cast<const sockaddr*>(&host), sizeof host) == 0)
        return stream;
    const int cause = errno;
    ::close(stream);
    errno = cause;
    return -1;
}

}  // namespace

TdxGuest::TdxGuest(std::string device, DeviceCall call, Connect connect)
    : device_{std::move(device)},
      call_{std::move(call)},
      connect_{connect ? std::move(connect) : connect_to_host} {}

Result<Bytes> TdxGuest::local_report(const attestation::ReportData& report_data) {
    const Descriptor file{::open(device_.c_str(), O_RDWR | O_CLOEXEC)};
    if (!file.open())
        return refuse(errno == ENOENT ? ErrorCode::not_found : ErrorCode::internal_error,
                      "cannot open " + device_ + ": " + std::strerror(errno));
    ReportRequest request;
    request.report_data = report_data;
    if (call_(file.number(), get_report, &request) != 0)
        return refuse(ErrorCode::internal_error,
                      device_ + " gives no report: " + std::strerror(errno));
    return Bytes{request.report.begin(), request.report.end()};
}

Result<CpuReport> TdxGuest::report(const attestation::ReportData& report_data) {
    const auto local = local_report(report_data);
    if (!local) return local.error();
    const Descriptor stream{connect_()};
    if (!stream.open()) return silent();
    const timeval patience{answer_seconds_max, 0};
    for (const int direction : {SO_RCVTIMEO, SO_SNDTIMEO})
        ::setsockopt(stream.number(), SOL_SOCKET, direction, &patience, sizeof patience);
    if (auto sent = send_all(stream.number(), request_of(*local)); !sent) return sent.error();
    const auto length = receive(stream.number(), 4);
    if (!length) return length.error();
    const auto size = attestation::Reader{*length}.big<std::uint32_t>();
    if (size > attestation::tdx_quote_bytes_max)
        return refuse(ErrorCode::internal_error,
                      "the quote generation service announces " + std::to_string(size) + " bytes");
    const auto message = receive(stream.number(), size);
    if (!message) return message.error();
    auto quote = quote_of(*message);
    if (!quote) return quote.error();
    return CpuReport{"tdx_guest", *std::move(quote), {}};
}

}  // namespace cocoon::node
