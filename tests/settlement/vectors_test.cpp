// The vectors beside this file, made with other people's implementation, through the program that
// users run; and those that live outside the repository.
#include <unistd.h>
#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/catch.hpp"
#include "tests/run_program.hpp"

namespace {

using Run = cocoon::test::ProgramRun;

Run run_vectors(const std::filesystem::path& directory) {
    return cocoon::test::run_program("ton_vectors", directory);
}

}  // namespace

TEST_CASE("the vectors made with the TypeScript libraries pass") {
    const Run run = run_vectors(COCOON_SOURCE_DIR "/tests/settlement/vectors");
    INFO(run.output);
    CHECK(run.status == 0);
    CHECK(run.output.find(" passed, 0 failed\n") != std::string::npos);
}

TEST_CASE("the shared vectors pass") {
    const std::string directory = COCOON_SOURCE_DIR "/../shared/vectors/ton";
    if (!std::filesystem::exists(directory)) {
        std::printf("SKIPPED: no vectors at %s\n", directory.c_str());
        return;
    }
    const Run run = run_vectors(directory);
    INFO(run.output);
    CHECK(run.status == 0);
}

TEST_CASE("broken files, wrong answers and unknown kinds fail without a crash") {
    const auto root =
        std::filesystem::temp_directory_path() / ("ton_vectors_" + std::to_string(::getpid()));
    std::filesystem::create_directories(root);
    CHECK(run_vectors(root.string()).output.find("0 passed, 0 failed\n") != std::string::npos);
    const auto write = [&](const char* path, const char* text) {
        FILE* file = std::fopen((root / path).c_str(), "w");
        REQUIRE(file != nullptr);
        std::fputs(text, file);
        std::fclose(file);
    };
    write("broken.json", "[{");
    write("cells.json", R"({"cases": [
        {"id": "wrong-hash", "boc": "b5ee9c7201010101000200000004", "hash": "00"},
        {"id": "nothing"}, 7, {"boc": 5}, {"boc": "not base64!"}]})");
    write("addresses.json", R"([{"text": "nonsense"}, {"text": null}])");
    write("wallets.json", R"([{}, {"kind": "v9"}, {"kind": "v4r2", "seed": "00"}])");
    write("ton_proof.json", R"([{"proof": {}, "policy": {}}, {"proof": 1, "policy": 2}])");
    write("future.json", R"({"later": [{}]})");
    const Run odd = run_vectors(root.string());
    INFO(odd.output);
    CHECK(odd.status == 1);
    CHECK(odd.output.find("0 passed, 14 failed\n") != std::string::npos);
    std::filesystem::remove_all(root);
}
