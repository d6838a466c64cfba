// What the runners of attestation_vectors share: the tally, and reading cases and files. One runner
// a kind, in vectors_<kind>.cpp. A case that lacks what its check needs fails that case only.
#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/encoding.hpp"
#include "core/time.hpp"

namespace cocoon::attestation::vectors {

using Json = nlohmann::json;

// Why a case failed; thrown by checks, caught by Tally::run.
struct CaseFailed {
    std::string why;
};

inline void expect(bool holds, std::string why) {
    if (!holds) throw CaseFailed{std::move(why)};
}

inline void expect_equal(const std::string& found, const std::string& wanted,
                         const std::string& what) {
    if (found != wanted) throw CaseFailed{what + " is " + found + ", recorded is " + wanted};
}

class Tally {
public:
    // Runs one check. Whatever it throws is that case's failure.
    void run(const std::string& name, const std::function<void()>& check);
    void fail(const std::string& name, const std::string& why);
    int passed() const { return passed_; }
    int failed() const { return failed_; }

private:
    int passed_ = 0;
    int failed_ = 0;
};

Bytes read_file(const std::filesystem::path& path);  // throws CaseFailed if it cannot be read
std::string read_text(const std::filesystem::path& path);
Json read_json(const std::filesystem::path& path);  // throws CaseFailed
Bytes hex_bytes(const Json& text);                  // throws CaseFailed
Instant instant_of(const Json& unix_seconds);       // throws CaseFailed

// The array in folder/cases.json; a folder without a readable one counts as one failure.
std::vector<Json> read_cases(const std::filesystem::path& folder, Tally& tally);

void run_tdx(const std::filesystem::path& folder, Tally& tally);
void run_snp(const std::filesystem::path& folder, Tally& tally);
void run_nvidia(const std::filesystem::path& folder, Tally& tally);
void run_binding(const std::filesystem::path& folder, Tally& tally);
void run_rtmr(const std::filesystem::path& folder, Tally& tally);

}  // namespace cocoon::attestation::vectors
