// Runs a program that is built beside the test program, as a person would. For tests only.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/catch.hpp"

namespace cocoon::test {

struct ProgramRun {
    int status;
    std::string output;  // of both streams
};

inline ProgramRun run_program(const std::string& name, const std::filesystem::path& argument) {
    const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / name;
    const std::string command = "'" + program.string() + "' '" + argument.string() + "' 2>&1";
    FILE* pipe = ::popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    ProgramRun run{};
    char buffer[4096];
    while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe))
        run.output.append(buffer, count);
    run.status = WEXITSTATUS(::pclose(pipe));
    return run;
}

}  // namespace cocoon::test
