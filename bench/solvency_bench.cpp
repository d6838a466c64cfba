// What a proof of solvency costs: the tree over N accounts, one account's proof out of it, and the
// client's check of that. Once a minute the first, on a background thread; the others per call.
#include <chrono>
#include <cstdio>
#include <vector>

#include "sealing/signing.hpp"
#include "settlement/merkle_sum.hpp"

using namespace cocoon;
using namespace cocoon::settlement;

namespace {

template <class Work>
double seconds_of(Work&& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void measure(std::uint64_t count) {
    std::vector<Liability> owed;
    for (std::uint64_t i = 0; i < count; ++i)
        owed.push_back({i + 2, sealing::sha256(as_bytes(std::to_string(i))),
                        Nano{static_cast<std::int64_t>(i * 997 % 1'000'000'007)}});
    Result<MerkleSum> tree = MerkleSum::build({});
    const double built = seconds_of([&] { tree = MerkleSum::build(owed); });
    constexpr std::uint64_t proofs = 10'000;
    std::vector<SumProof> made;
    const double proven = seconds_of([&] {
        for (std::uint64_t i = 0; i < proofs; ++i)
            made.push_back(tree->proof(2 + i * 7919 % count).value());
    });
    std::uint64_t good = 0;
    const double checked = seconds_of([&] {
        for (const SumProof& proof : made) good += root_of(proof).value() == tree->root();
    });
    std::printf("%9llu accounts: tree %7.1f ms, proof %5.2f us, check %6.2f us, path %zu, %s\n",
                static_cast<unsigned long long>(count), built * 1e3, proven / proofs * 1e6,
                checked / proofs * 1e6, made.front().path.size(),
                good == proofs ? "all lead to the root" : "WRONG");
}

}  // namespace

int main() {
    for (const std::uint64_t count : {1'000, 10'000, 100'000, 1'000'000}) measure(count);
}
