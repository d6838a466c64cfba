// The cell, the chain's only container: at most 1,023 bits and four references to other cells,
// named by the hash of its representation (TON Blockchain whitepaper §1.1, TVM paper §3.1). Made by
// Builder and by the bag-of-cells reader, read through Slice. Immutable, so shared freely between
// threads. Exotic cells are recognised, checked and hashed, and never looked into. It must not know
// what a cell's bits mean.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "core/encoding.hpp"
#include "core/result.hpp"
#include "settlement/crypto.hpp"

namespace cocoon::settlement::ton {

constexpr std::size_t cell_bits_max = 1023;
constexpr std::size_t cell_refs_max = 4;
constexpr std::uint16_t cell_depth_max = 1024;
constexpr std::size_t cell_levels = 4;  // 0 to 3; an ordinary tree of ordinary cells is of level 0

class Cell;
using CellRef = std::shared_ptr<const Cell>;  // null only where a field says so

class Cell {
    struct Private {};  // only make() makes cells

public:
    enum class Kind : std::uint8_t {
        ordinary = 0xFF,
        pruned_branch = 1,
        library = 2,
        merkle_proof = 3,
        merkle_update = 4,
    };

    // malformed_request: over the limits of bits, references or depth, or an exotic cell that the
    // reference node refuses (unknown kind, wrong size, hashes that are not its children's).
    // REQUIRES: `data` holds at least `bits` bits; no reference is null.
    static Result<CellRef> make(ByteView data, std::size_t bits, std::span<const CellRef> refs,
                                bool exotic = false);
    // An ordinary cell without bits and references.
    static const CellRef& empty();

    explicit Cell(Private) {}

    Kind kind() const { return kind_; }
    bool is_exotic() const { return kind_ != Kind::ordinary; }
    std::size_t bits() const { return bits_; }
    // Whole bytes; the unused bits of the last one are zero.
    ByteView data() const { return ByteView{data_}.first((bits_ + 7) / 8); }
    std::span<const CellRef> refs() const { return std::span{refs_}.first(refs_count_); }
    // Bit i-1 is set when the cell has a hash of its own at level i.
    std::uint8_t level_mask() const { return level_mask_; }
    // Of the representation; a lower level is what the cell is once its pruned branches are filled
    // in.
    const Hash& hash(std::size_t level = cell_levels - 1) const { return hashes_[level]; }
    std::uint16_t depth(std::size_t level = cell_levels - 1) const { return depths_[level]; }

    // The first two bytes of its serialised form, and the data with its completion tag.
    std::array<std::uint8_t, 2> descriptors() const { return descriptors(level_mask_); }
    Bytes tagged_data() const;

private:
    const char* check_exotic();
    const char* check_pruned_branch();
    const char* check_merkle(std::size_t children);
    const char* compute_depths();
    void compute_hashes();
    Hash hash_at(std::size_t level, const Hash* lower) const;
    std::array<std::uint8_t, 2> descriptors(std::uint8_t mask) const;
    bool is_merkle() const { return kind_ == Kind::merkle_proof || kind_ == Kind::merkle_update; }

    Kind kind_ = Kind::ordinary;
    std::uint8_t level_mask_ = 0;
    std::uint8_t refs_count_ = 0;
    std::uint16_t bits_ = 0;
    std::array<std::uint8_t, 128> data_{};
    std::array<CellRef, cell_refs_max> refs_{};
    std::array<std::uint16_t, cell_levels> depths_{};
    std::array<Hash, cell_levels> hashes_{};
};

}  // namespace cocoon::settlement::ton
