// The Merkle-sum tree of liabilities: every leaf proves itself at every size, no changed byte of a
// proof leads to the same root, and no sum is negative or wraps.
#include "settlement/merkle_sum.hpp"

#include <random>

#include "core/encoding.hpp"
#include "core/limits.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::settlement;

namespace {

std::vector<Liability> liabilities(std::size_t count, std::uint32_t seed) {
    std::mt19937_64 random{seed};
    std::vector<Liability> made(count);
    for (std::size_t i = 0; i < count; ++i) {
        made[i].account = 2 + i * 3;
        for (auto& byte : made[i].salt) byte = static_cast<std::uint8_t>(random());
        made[i].amount = Nano{static_cast<std::int64_t>(random() % 1'000'000'000)};
    }
    return made;
}

ErrorCode code_of(const Result<MerkleSum>& tree) { return tree.error().code; }
ErrorCode code_of(const Result<SumNode>& root) { return root.error().code; }

// Whether the proof still leads to `root`.
bool holds(const SumProof& proof, const SumNode& root) {
    const auto found = root_of(proof);
    return found && *found == root;
}

// Every value that differs from `proof` in one byte, or in one step of its shape.
std::vector<SumProof> tampered(const SumProof& proof) {
    std::vector<SumProof> made;
    const auto with = [&](auto change) {
        SumProof copy = proof;
        change(copy);
        made.push_back(std::move(copy));
    };
    for (std::size_t i = 0; i < 32; ++i) with([i](SumProof& p) { p.leaf.salt[i] ^= 1; });
    for (int bit = 0; bit < 63; bit += 7) {
        with([bit](SumProof& p) { p.leaf.amount.value ^= std::int64_t{1} << bit; });
        with([bit](SumProof& p) { p.leaf.account ^= std::uint64_t{1} << bit; });
        for (std::size_t level = 0; level < proof.path.size(); ++level)
            with([=](SumProof& p) { p.path[level].sum.value ^= std::int64_t{1} << bit; });
    }
    for (std::size_t level = 0; level < proof.path.size(); ++level) {
        for (std::size_t i = 0; i < 32; ++i)
            with([=](SumProof& p) { p.path[level].hash[i] ^= 0x80; });
        with([=](SumProof& p) { p.path.erase(p.path.begin() + static_cast<int>(level)); });
        with([=](SumProof& p) { p.path[level].sum = -p.path[level].sum - Nano{1}; });
        if (level > 0) with([=](SumProof& p) { std::swap(p.path[level], p.path[level - 1]); });
        // What a liar would do: hide a neighbour's liability, or move it to another node.
        with([=](SumProof& p) { p.path[level].sum = Nano{}; });
    }
    with([](SumProof& p) { p.path.push_back({}); });
    with([](SumProof& p) { p.index = p.leaves; });
    return made;
}

}  // namespace

TEST_CASE("every leaf proves itself, whatever the number of leaves") {
    for (const std::size_t count : {1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 33, 100, 257}) {
        const auto owed = liabilities(count, static_cast<std::uint32_t>(count));
        const auto tree = MerkleSum::build(owed);
        REQUIRE(tree);
        CHECK(tree->leaves() == count);
        Nano sum;
        for (const Liability& liability : owed) {
            sum += liability.amount;
            const auto proof = tree->proof(liability.account);
            REQUIRE(proof);
            CHECK(proof->leaf == liability);
            CHECK(holds(*proof, tree->root()));
            CHECK(proof->path.size() <= sum_path_max);
        }
        CHECK(tree->root().sum == sum);
        CHECK(tree->proof(1).error().code == ErrorCode::not_found);
        CHECK(tree->proof(2 + count * 3).error().code == ErrorCode::not_found);
    }
}

TEST_CASE("the tree is that of its definition: recorded roots") {
    // Of no leaves: SHA-256 of the node label. Of one: the leaf itself.
    const auto none = MerkleSum::build({});
    REQUIRE(none);
    CHECK(none->root().sum == Nano{});
    CHECK(to_hex(none->root().hash) ==
          "5fa8c7c03b6726c802cb128ac89679e8f76b73d29563565e20f33fd18f99e89f");
    Liability one{7, {}, Nano{258}};
    one.salt.fill(0xAB);
    CHECK(to_hex(leaf_of(one).hash) ==
          "dddbd2fbce528a288fe30d13180cb28144315e920f1990a014db08de6456f855");
    CHECK(MerkleSum::build({one})->root() == leaf_of(one));
    Liability two{8, {}, Nano{1}};
    CHECK(to_hex(MerkleSum::build({one, two})->root().hash) ==
          "16a4ccb0a42b399c0f0f72e55af86b10b004ed404180eb0282343cb4c48d9124");
    CHECK(MerkleSum::build({one, two})->root() == MerkleSum::build({two, one})->root());
}

TEST_CASE("no changed byte of a proof leads to the same root") {
    for (const std::size_t count : {1, 2, 3, 6, 21}) {
        const auto owed = liabilities(count, 77);
        const auto tree = MerkleSum::build(owed);
        REQUIRE(tree);
        for (const Liability& liability : owed) {
            const SumProof proof = *tree->proof(liability.account);
            for (const SumProof& lie : tampered(proof)) {
                if (lie == proof) continue;  // a neighbour who is owed nothing
                CHECK_FALSE(holds(lie, tree->root()));
            }
            // Another place among the leaves is another path.
            for (std::uint64_t index = 0; index < count; ++index) {
                SumProof moved = proof;
                moved.index = index;
                CHECK(holds(moved, tree->root()) == (index == proof.index));
            }
        }
    }
}

TEST_CASE("amounts that no honest tree has are refused") {
    constexpr std::int64_t most = INT64_MAX;
    CHECK(code_of(MerkleSum::build({{2, {}, Nano{-1}}})) == ErrorCode::invalid_body);
    CHECK(code_of(MerkleSum::build({{2, {}, Nano{1}}, {2, {1}, Nano{1}}})) ==
          ErrorCode::invalid_body);
    CHECK(code_of(MerkleSum::build({{2, {}, Nano{most}}, {3, {}, Nano{1}}})) ==
          ErrorCode::arithmetic_overflow);
    CHECK(code_of(MerkleSum::build({{2, {}, Nano{most}}, {3, {}, Nano{}}, {4, {}, Nano{1}}})) ==
          ErrorCode::arithmetic_overflow);
    CHECK(MerkleSum::build({{2, {}, Nano{most}}, {3, {}, Nano{}}})->root().sum == Nano{most});

    const Liability mine{2, {}, Nano{1}};
    CHECK(code_of(root_of({{2, {}, Nano{-1}}, 0, 1, {}})) == ErrorCode::malformed_request);
    CHECK(code_of(root_of({mine, 0, 2, {{{}, Nano{-1}}}})) == ErrorCode::malformed_request);
    CHECK(code_of(root_of({mine, 0, 2, {{{}, Nano{most}}}})) == ErrorCode::malformed_request);
    CHECK(code_of(root_of({mine, 0, 0, {}})) == ErrorCode::malformed_request);
    CHECK(code_of(root_of({mine, 0, 2, {}})) == ErrorCode::malformed_request);
    CHECK(code_of(root_of({mine, 0, 1, {{}}})) == ErrorCode::malformed_request);
    CHECK(root_of({mine, 0, 2, {{{}, Nano{most - 1}}}})->sum == Nano{most});
    // As many leaves as can be said: 64 neighbours, and the work is bounded by them.
    SumProof deep{mine, 0, UINT64_MAX, std::vector<SumNode>(sum_path_max)};
    CHECK(root_of(deep)->sum == Nano{1});
}
