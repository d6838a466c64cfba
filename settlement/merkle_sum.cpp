#include "settlement/merkle_sum.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>

#include "settlement/crypto.hpp"

namespace cocoon::settlement {
namespace {

// With the byte 0 that ends them.
constexpr std::string_view leaf_label{"cocoon-market/liability/v1", 27};
constexpr std::string_view node_label{"cocoon-market/liability-sum/v1", 31};
static_assert(leaf_label.back() == '\0' && node_label.back() == '\0');

// What is hashed, in one piece: both forms are short.
class Preimage {
public:
    explicit Preimage(std::string_view label) { put(as_bytes(label)); }
    Preimage& put(ByteView bytes) {
        std::copy(bytes.begin(), bytes.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
        size_ += bytes.size();
        return *this;
    }
    Preimage& number(std::uint64_t value) {
        for (int shift = 56; shift >= 0; shift -= 8)
            bytes_[size_++] = static_cast<std::uint8_t>(value >> shift);
        return *this;
    }
    Preimage& node(const SumNode& node) {
        return put(node.hash).number(static_cast<std::uint64_t>(node.sum.value));
    }
    SumHash hash() const { return ton::sha256({bytes_.data(), size_}); }

private:
    std::array<std::uint8_t, 128> bytes_{};  // the longest: 31 + 2 * (32 + 8)
    std::size_t size_ = 0;
};

// Nothing: the sum does not fit. REQUIRES: neither is negative.
std::optional<SumNode> above(const SumNode& left, const SumNode& right) {
    if (left.sum.value > std::numeric_limits<std::int64_t>::max() - right.sum.value)
        return std::nullopt;
    return SumNode{Preimage{node_label}.node(left).node(right).hash(), left.sum + right.sum};
}

Error malformed(const char* why) { return refuse(ErrorCode::malformed_request, why); }

}  // namespace

SumNode leaf_of(const Liability& liability) {
    Preimage preimage{leaf_label};
    preimage.number(liability.account).put(liability.salt);
    preimage.number(static_cast<std::uint64_t>(liability.amount.value));
    return {preimage.hash(), liability.amount};
}

Result<SumNode> root_of(const SumProof& proof) {
    if (proof.index >= proof.leaves) return malformed("the leaf is not among the leaves");
    if (proof.leaf.amount.value < 0) return malformed("the amount is negative");
    SumNode node = leaf_of(proof.leaf);
    auto neighbour = proof.path.begin();
    std::uint64_t index = proof.index;
    for (std::uint64_t width = proof.leaves; width > 1; width = width / 2 + width % 2) {
        const bool alone = index % 2 == 0 && index + 1 == width;
        if (!alone) {
            if (neighbour == proof.path.end()) return malformed("the path is too short");
            if (neighbour->sum.value < 0) return malformed("a sum is negative");
            const auto parent = index % 2 == 0 ? above(node, *neighbour) : above(*neighbour, node);
            if (!parent) return malformed("the sums overflow");
            node = *parent;
            ++neighbour;
        }
        index /= 2;
    }
    if (neighbour != proof.path.end()) return malformed("the path is too long");
    return node;
}

Result<MerkleSum> MerkleSum::build(std::vector<Liability> liabilities) {
    std::vector<std::pair<SumNode, std::size_t>> leaves;
    leaves.reserve(liabilities.size());
    for (const Liability& liability : liabilities) {
        if (liability.amount.value < 0)
            return refuse(ErrorCode::invalid_body, "A liability is not negative.");
        leaves.emplace_back(leaf_of(liability), leaves.size());
    }
    std::sort(leaves.begin(), leaves.end(),
              [](const auto& a, const auto& b) { return a.first.hash < b.first.hash; });
    MerkleSum tree;
    tree.liabilities_.reserve(leaves.size());
    tree.positions_.reserve(leaves.size());
    std::vector<SumNode> level;
    level.reserve(leaves.size());
    for (const auto& [leaf, place] : leaves) {
        tree.positions_.emplace_back(liabilities[place].account, level.size());
        tree.liabilities_.push_back(liabilities[place]);
        level.push_back(leaf);
    }
    std::sort(tree.positions_.begin(), tree.positions_.end());
    const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
    if (std::adjacent_find(tree.positions_.begin(), tree.positions_.end(), same) !=
        tree.positions_.end())
        return refuse(ErrorCode::invalid_body, "An account is there twice.");
    if (level.empty()) level.push_back({Preimage{node_label}.hash(), Nano{}});
    while (level.size() > 1) {
        std::vector<SumNode> higher;
        higher.reserve(level.size() / 2 + 1);
        for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
            const auto parent = above(level[i], level[i + 1]);
            if (!parent)
                return refuse(ErrorCode::arithmetic_overflow, "The liabilities' sum is too large.");
            higher.push_back(*parent);
        }
        if (level.size() % 2 == 1) higher.push_back(level.back());
        tree.levels_.push_back(std::move(level));
        level = std::move(higher);
    }
    tree.levels_.push_back(std::move(level));
    return tree;
}

Result<SumProof> MerkleSum::proof(std::uint64_t account) const {
    const auto found =
        std::lower_bound(positions_.begin(), positions_.end(), std::pair{account, std::uint64_t{}});
    if (found == positions_.end() || found->first != account)
        return refuse(ErrorCode::not_found, "The account was opened after this snapshot.");
    SumProof proof{liabilities_[found->second], found->second, liabilities_.size(), {}};
    std::uint64_t index = proof.index;
    for (const std::vector<SumNode>& level : levels_) {
        const std::uint64_t neighbour = index ^ 1;
        if (neighbour < level.size()) proof.path.push_back(level[neighbour]);
        index /= 2;
    }
    return proof;
}

}  // namespace cocoon::settlement
