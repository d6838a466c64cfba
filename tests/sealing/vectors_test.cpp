// The published vectors, through the program that users run. They live outside the repository.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <unistd.h>

#include "tests/catch.hpp"
#include "tests/run_program.hpp"

namespace {

using Run = cocoon::test::ProgramRun;

Run run_vectors(const std::filesystem::path& directory) {
    return cocoon::test::run_program("sealing_vectors", directory);
}

}  // namespace

TEST_CASE("all shared vectors pass") {
    const std::string directory = COCOON_SOURCE_DIR "/../shared/vectors";
    if (!std::filesystem::exists(directory + "/hpke")) {
        WARN("SKIPPED: no vectors at " << directory);
        return;
    }
    const Run run = run_vectors(directory);
    INFO(run.output);
    CHECK(run.status == 0);
    CHECK(run.output.find(" passed, 0 failed\n") != std::string::npos);
}

TEST_CASE("a folder without vectors, broken files and strange cases fail without a crash") {
    const auto root =
        std::filesystem::temp_directory_path() / ("sealing_vectors_" + std::to_string(::getpid()));
    std::filesystem::create_directories(root / "empty");
    std::filesystem::create_directories(root / "odd/hpke");
    std::filesystem::create_directories(root / "odd/ohttp");
    std::filesystem::create_directories(root / "odd/aci");
    const auto write = [&](const char* path, const char* text) {
        FILE* file = std::fopen((root / path).c_str(), "w");
        REQUIRE(file != nullptr);
        std::fputs(text, file);
        std::fclose(file);
    };
    write("odd/hpke/broken.json", "[{");
    write("odd/hpke/odd.json",
          R"([1, null, {"ct": 5}, {"encryptions": 7, "mode": "x"}, {"future": 1}])");
    write("odd/ohttp/odd.json", R"([{"enc_request": ""}, {"ohttp_keys": "zz", "expect": "ok"}])");
    write("odd/aci/cases.json",
          R"({"keysets": [{}], "receipts": [{"document": "", "keyset": 3}], "later": [{}]})");
    const Run empty = run_vectors((root / "empty").string());
    CHECK(empty.status == 1);
    CHECK(empty.output.find("holds none of") != std::string::npos);
    const Run odd = run_vectors((root / "odd").string());
    CHECK(odd.status == 1);
    CHECK(odd.output.find("0 passed, 7 failed\n") != std::string::npos);
    std::filesystem::remove_all(root);
}
