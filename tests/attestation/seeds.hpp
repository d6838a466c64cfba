// Saves a seed for a fuzzer under tests/fuzz/corpus/. Called by the hidden tests that make them:
// attestation_test "[.seeds]". Hidden, because every run makes other keys.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "core/encoding.hpp"
#include "tests/catch.hpp"

namespace cocoon::attestation::test {

inline void save_seed(const std::string& fuzzer, const std::string& name, ByteView bytes) {
    const std::filesystem::path folder =
        std::filesystem::path{COCOON_SOURCE_DIR} / "tests/fuzz/corpus" / fuzzer;
    std::filesystem::create_directories(folder);
    std::ofstream file{folder / name, std::ios::binary};
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    REQUIRE(file.good());
}

}  // namespace cocoon::attestation::test
