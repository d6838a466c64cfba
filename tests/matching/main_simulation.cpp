// simulation [--seed N] [--steps M] [--seconds S]: seeded worlds, one after another, until the time
// is up (or one world of M steps). Prints the seed of a world that breaks and exits with 1.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/matching/simulation.hpp"

namespace {

std::uint64_t number(const char* text) { return std::strtoull(text, nullptr, 10); }

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seed = std::random_device{}(), steps = 400, seconds = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--seed") == 0)
            seed = number(argv[i + 1]);
        else if (std::strcmp(argv[i], "--steps") == 0)
            steps = number(argv[i + 1]);
        else if (std::strcmp(argv[i], "--seconds") == 0)
            seconds = number(argv[i + 1]);
        else
            return std::fprintf(stderr, "usage: simulation [--seed N] [--steps M] [--seconds S]\n"),
                   2;
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
    std::uint64_t worlds = 0, commands = 0, matches = 0, faults = 0, replays = 0, refused = 0;
    do {
        std::uint64_t step = 0;
        try {
            cocoon::matching::Simulation world{seed};
            for (; step < steps; ++step) world.step();
            world.verify_genesis();
            commands += world.commands();
            matches += world.matches();
            faults += world.faults();
            replays += world.replays();
            refused += world.refused();
        } catch (const std::exception& failure) {
            std::printf("FAILED seed %llu step %llu: %s\n", static_cast<unsigned long long>(seed),
                        static_cast<unsigned long long>(step), failure.what());
            return 1;
        }
        ++worlds;
        ++seed;
    } while (std::chrono::steady_clock::now() < end);
    std::printf(
        "%llu worlds, %llu commands (%llu refused), %llu matches, %llu faults, %llu replays: all "
        "invariants held\n",
        static_cast<unsigned long long>(worlds), static_cast<unsigned long long>(commands),
        static_cast<unsigned long long>(refused), static_cast<unsigned long long>(matches),
        static_cast<unsigned long long>(faults), static_cast<unsigned long long>(replays));
    return 0;
}
