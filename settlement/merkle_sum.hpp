// A Merkle-sum tree over what the market owes: its root commits to every account's amount and to
// their sum, and a leaf with its path proves to its owner that the sum counts it, showing nobody
// else's name. Built by server/solvency on a background thread, proofs read by any thread, checked
// offline by cocoon-client. Pure: it must not know JSON, signatures or where the amounts come from.
//
//   leaf  SHA-256("cocoon-market/liability/v1" 00 ‖ account ‖ salt ‖ amount)
//   node  SHA-256("cocoon-market/liability-sum/v1" 00 ‖ left hash ‖ left sum ‖ right hash ‖ right
//   sum)
//
// Numbers are 8 bytes, big-endian. A node commits to the sums of both children: where only their
// total is committed, a liar may hide liabilities (Hu, Zhang, Guo, 2019). A node without a
// neighbour rises unchanged. Leaves stand in the order of their hashes, so that with new salts
// everybody has other neighbours: a path shows one other leaf's amount.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/money.hpp"
#include "core/result.hpp"

namespace cocoon::settlement {

using SumHash = std::array<std::uint8_t, 32>;
constexpr std::size_t sum_path_max = 64;

struct Liability {
    std::uint64_t account = 0;
    SumHash salt{};  // only its owner is told
    Nano amount;     // >= 0
    bool operator==(const Liability&) const = default;
};

struct SumNode {
    SumHash hash{};
    Nano sum;
    bool operator==(const SumNode&) const = default;
};

// Leaf `index` of `leaves`, and its neighbours from the bottom up; a level where the node has none
// is left out.
struct SumProof {
    Liability leaf;
    std::uint64_t index = 0, leaves = 0;
    std::vector<SumNode> path;
    bool operator==(const SumProof&) const = default;
};

SumNode leaf_of(const Liability& liability);
// The root that the proof leads to; it proves something only if that is a root one believes.
// malformed_request: it is no path, a sum is negative, or the sums overflow.
Result<SumNode> root_of(const SumProof& proof);

class MerkleSum {
public:
    // invalid_body: an amount is negative, or an account is there twice. arithmetic_overflow: the
    // sum is beyond int64.
    static Result<MerkleSum> build(std::vector<Liability> liabilities);

    // Of no leaves: the hash of the node label, and nothing.
    const SumNode& root() const { return levels_.back().front(); }
    std::size_t leaves() const { return liabilities_.size(); }
    // not_found: the account is not in it.
    Result<SumProof> proof(std::uint64_t account) const;

private:
    MerkleSum() = default;
    std::vector<Liability> liabilities_;                              // as the leaves stand
    std::vector<std::pair<std::uint64_t, std::uint64_t>> positions_;  // account, index; ascending
    std::vector<std::vector<SumNode>> levels_;                        // leaves first, root last
};

}  // namespace cocoon::settlement
