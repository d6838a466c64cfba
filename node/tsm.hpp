// The CPU's own proof, as Linux gives it to a confidential guest: configfs-tsm for TDX and SEV-SNP
// (Linux 6.7, Documentation/ABI/testing/configfs-tsm). Called by the evidence provider and doctor,
// blocking, one call at a time. Must not know what the report data binds nor what a report means.
#pragma once

#include <string>

#include "attestation/verdict.hpp"

namespace cocoon::node {

// What a machine's CPU answered, unread.
struct CpuReport {
    std::string provider;  // the format of `report`: "tdx_guest" or "sev_guest"
    Bytes report;
    Bytes certificate_table;  // SEV-SNP: what the host holds for its chip (snp_table.hpp), or empty
};

constexpr std::size_t tsm_blob_bytes_max = 64 << 10;  // the kernel's own bound is half of it

// The four things that are done to the kernel's tree: a test stands between these and a directory,
// and does what the kernel does. Errors are `not_found` for what is not there, `internal_error`
// with errno's words, and read_file()'s.
class TsmFiles {
public:
    virtual ~TsmFiles() = default;
    virtual Result<void> make_directory(const std::string& path);
    virtual void remove_directory(const std::string& path);
    // One write, and the close that makes the kernel take it.
    virtual Result<void> write(const std::string& path, ByteView bytes);
    virtual Result<Bytes> read(const std::string& path, std::size_t bytes_max);
};

class Tsm {
public:
    static constexpr const char* usual_directory = "/sys/kernel/config/tsm/report";

    explicit Tsm(std::string directory, TsmFiles& files);

    // In a directory of its own, which is gone afterwards. `not_found` without configfs-tsm or a
    // machine behind it; `wrong_state` if somebody else wrote into the directory meanwhile;
    // `internal_error` with the kernel's reason when it or the platform refuses.
    Result<CpuReport> report(const attestation::ReportData& report_data);

private:
    Result<CpuReport> report_in(const std::string& directory,
                                const attestation::ReportData& report_data);
    Result<std::uint64_t> generation(const std::string& directory);

    const std::string directory_;
    TsmFiles& files_;
};

}  // namespace cocoon::node
