// The recorded cases, through the program that users run. They live outside the repository.
#include <cstdio>
#include <filesystem>
#include <string>
#include <unistd.h>

#include "tests/catch.hpp"
#include "tests/run_program.hpp"

namespace {

using Run = cocoon::test::ProgramRun;

Run run_vectors(const std::filesystem::path& directory) {
    return cocoon::test::run_program("attestation_vectors", directory);
}

}  // namespace

TEST_CASE("vectors: all recorded evidence is judged as recorded") {
    const std::filesystem::path directory = COCOON_SOURCE_DIR "/../shared/vectors";
    if (!std::filesystem::exists(directory / "tdx")) {
        WARN("SKIPPED: no vectors at " << directory);
        return;
    }
    const Run run = run_vectors(directory);
    INFO(run.output);
    CHECK(run.status == 0);
    CHECK(run.output.find(" passed, 0 failed\n") != std::string::npos);
}

TEST_CASE("vectors: a folder without cases, broken files and strange cases fail without a crash") {
    const auto root = std::filesystem::temp_directory_path() /
                      ("attestation_vectors_" + std::to_string(::getpid()));
    std::filesystem::create_directories(root / "empty");
    const Run empty = run_vectors(root / "empty");
    CHECK(empty.status == 1);
    CHECK(empty.output.find("\n0 passed, 0 failed\n") != std::string::npos);
    for (const char* kind : {"tdx", "snp", "nvidia", "binding", "rtmr"}) {
        for (const char* cases :
             {"", "{}", "[1, null, \"x\", {}]",
              R"([{"id":"a","quote":"../../../../etc/passwd","collateral":"none","time":"x"}])",
              R"([{"id":7,"quote":7,"report":7,"evidence":7,"kind":7,"expect":7,"time":{}}])"}) {
            std::filesystem::create_directories(root / kind / kind);
            FILE* file = std::fopen((root / kind / kind / "cases.json").c_str(), "w");
            REQUIRE(file != nullptr);
            std::fputs(cases, file);
            std::fclose(file);
            const Run run = run_vectors(root / kind);
            INFO(kind << ": " << cases << "\n" << run.output);
            CHECK(run.status == 1);
            CHECK(run.output.find("\n0 passed, ") != std::string::npos);
        }
    }
    std::filesystem::remove_all(root);
}
