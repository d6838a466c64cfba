#include "node/tsm.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "node/device.hpp"
#include "node/files.hpp"
#include "sealing/signing.hpp"

namespace cocoon::node {
namespace {

Error broken(const std::string& what, const std::string& path) {
    const int cause = errno;
    return refuse(cause == ENOENT ? ErrorCode::not_found : ErrorCode::internal_error,
                  what + " " + path + ": " + std::strerror(cause));
}

std::string trimmed(const Bytes& bytes) {
    std::string text{as_text(bytes)};
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

}  // namespace

Result<void> TsmFiles::make_directory(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) != 0) return broken("cannot make", path);
    return {};
}

void TsmFiles::remove_directory(const std::string& path) { ::rmdir(path.c_str()); }

Result<void> TsmFiles::write(const std::string& path, ByteView bytes) {
    // The kernel takes a binary attribute when it is closed, and close() hides what it thinks of
    // it: the generation tells.
    const Descriptor file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (!file.open()) return broken("cannot open", path);
    if (::write(file.number(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
        return broken("cannot write", path);
    return {};
}

Result<Bytes> TsmFiles::read(const std::string& path, std::size_t bytes_max) {
    const auto content = read_file(path, bytes_max, false);
    if (!content) return content.error();
    return Bytes{content->begin(), content->end()};
}

Tsm::Tsm(std::string directory, TsmFiles& files)
    : directory_{std::move(directory)}, files_{files} {}

Result<CpuReport> Tsm::report(const attestation::ReportData& report_data) {
    // A name nobody else has: another process in the same directory could change what we ask for.
    const std::string own = directory_ + "/cocoon-" + to_hex(sealing::random_bytes(8));
    if (auto made = files_.make_directory(own); !made) return made.error();
    auto report = report_in(own, report_data);
    files_.remove_directory(own);
    return report;
}

Result<std::uint64_t> Tsm::generation(const std::string& directory) {
    const auto text = files_.read(directory + "/generation", 64);
    if (!text) return text.error();
    const std::string digits = trimmed(*text);
    std::uint64_t value = 0;
    const auto end = digits.data() + digits.size();
    if (const auto read = std::from_chars(digits.data(), end, value);
        read.ec != std::errc{} || read.ptr != end)
        return refuse(ErrorCode::internal_error, "the kernel's generation is no number");
    return value;
}

Result<CpuReport> Tsm::report_in(const std::string& directory,
                                 const attestation::ReportData& report_data) {
    const auto provider = files_.read(directory + "/provider", 64);
    if (!provider) return provider.error();
    const auto before = generation(directory);
    if (!before) return before.error();
    if (auto written = files_.write(directory + "/inblob", report_data); !written)
        return written.error();
    auto report = files_.read(directory + "/outblob", tsm_blob_bytes_max);
    if (!report) return report.error();
    auto table = files_.read(directory + "/auxblob", tsm_blob_bytes_max);
    // Platforms without such a thing do not show the file.
    if (!table && table.error().code != ErrorCode::not_found) return table.error();
    const auto after = generation(directory);
    if (!after) return after.error();
    if (*after != *before + 1)
        return refuse(ErrorCode::wrong_state, "the kernel's report generation went from " +
                                                  std::to_string(*before) + " to " +
                                                  std::to_string(*after) +
                                                  ": the report may answer another question");
    if (report->empty()) return refuse(ErrorCode::internal_error, "the report is empty");
    return CpuReport{trimmed(*provider), *std::move(report), table ? *std::move(table) : Bytes{}};
}

}  // namespace cocoon::node
