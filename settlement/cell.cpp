#include "settlement/cell.hpp"

#include <algorithm>
#include <bit>

namespace cocoon::settlement::ton {
namespace {

constexpr std::size_t hash_bytes = 32;
constexpr std::size_t depth_bytes = 2;
constexpr std::size_t level_max = cell_levels - 1;

std::uint8_t mask_below(std::uint8_t mask, std::size_t level) {
    return mask & static_cast<std::uint8_t>((1u << level) - 1);
}

std::size_t hashes_in(std::uint8_t mask) { return static_cast<std::size_t>(std::popcount(mask)); }

std::uint16_t depth_at(ByteView data, std::size_t offset) {
    return static_cast<std::uint16_t>(data[offset] << 8 | data[offset + 1]);
}

Hash hash_in(ByteView data, std::size_t offset) {
    Hash out{};
    std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return out;
}

// Levels above the highest are the highest's.
std::size_t capped(std::size_t level) { return std::min(level, level_max); }

}  // namespace

Result<CellRef> Cell::make(ByteView data, std::size_t bits, std::span<const CellRef> refs,
                           bool exotic) {
    if (bits > cell_bits_max || refs.size() > cell_refs_max)
        return refuse(ErrorCode::malformed_request, "a cell with too many bits or references");
    ENSURE(data.size() * 8 >= bits);
    const auto cell = std::make_shared<Cell>(Private{});
    cell->bits_ = static_cast<std::uint16_t>(bits);
    std::copy_n(data.begin(), (bits + 7) / 8, cell->data_.begin());
    if (bits % 8 != 0) cell->data_[bits / 8] &= static_cast<std::uint8_t>(0xFF00u >> bits % 8);
    cell->refs_count_ = static_cast<std::uint8_t>(refs.size());
    std::copy(refs.begin(), refs.end(), cell->refs_.begin());
    const char* wrong = exotic ? cell->check_exotic() : nullptr;
    if (!wrong) wrong = cell->compute_depths();
    if (wrong) return refuse(ErrorCode::malformed_request, wrong);
    cell->compute_hashes();
    return CellRef{cell};
}

const CellRef& Cell::empty() {
    static const CellRef cell = make({}, 0, {}).value();
    return cell;
}

const char* Cell::check_exotic() {
    if (bits_ < 8) return "an exotic cell without a kind";
    kind_ = static_cast<Kind>(data_[0]);
    switch (kind_) {
        case Kind::pruned_branch: return check_pruned_branch();
        case Kind::library:
            return refs_count_ == 0 && bits_ == 8 * (1 + hash_bytes) ? nullptr
                                                                     : "a malformed library cell";
        case Kind::merkle_proof: return check_merkle(1);
        case Kind::merkle_update: return check_merkle(2);
        case Kind::ordinary: break;
    }
    return "an exotic cell of an unknown kind";
}

const char* Cell::check_pruned_branch() {
    level_mask_ = data_[1];
    const std::size_t size = 2 + hashes_in(level_mask_) * (hash_bytes + depth_bytes);
    if (level_mask_ == 0 || level_mask_ > 7 || refs_count_ != 0 || bits_ != 8 * size)
        return "a malformed pruned branch";
    return nullptr;
}

// A Merkle cell repeats the level-0 hashes and depths of its children: all hashes, then all depths.
const char* Cell::check_merkle(std::size_t children) {
    if (refs_count_ != children || bits_ != 8 * (1 + children * (hash_bytes + depth_bytes)))
        return "a malformed Merkle cell";
    for (std::size_t i = 0; i < children; ++i)
        if (hash_in(data_, 1 + i * hash_bytes) != refs_[i]->hash(0) ||
            depth_at(data_, 1 + children * hash_bytes + i * depth_bytes) != refs_[i]->depth(0))
            return "a Merkle cell that does not match its children";
    return nullptr;
}

// Also the level mask of all but pruned branches, which carry their own.
const char* Cell::compute_depths() {
    if (kind_ == Kind::pruned_branch) {
        const std::size_t depths = 2 + hashes_in(level_mask_) * hash_bytes;
        for (std::size_t level = level_max; level-- > 0;)
            depths_[level] =
                level_mask_ >> level & 1
                    ? depth_at(data_,
                               depths + hashes_in(mask_below(level_mask_, level)) * depth_bytes)
                    : depths_[level + 1];
    }
    for (const CellRef& child : refs()) {
        level_mask_ |= static_cast<std::uint8_t>(child->level_mask() >> (is_merkle() ? 1 : 0));
        for (std::size_t level = 0; level < cell_levels; ++level) {
            const std::uint16_t below = child->depth(capped(level + (is_merkle() ? 1 : 0)));
            depths_[level] = std::max<std::uint16_t>(depths_[level], below + 1);
        }
    }
    const bool deep = *std::max_element(depths_.begin(), depths_.end()) > cell_depth_max;
    return deep ? "a tree of cells that is too deep" : nullptr;
}

void Cell::compute_hashes() {
    const Hash* lower = nullptr;
    std::size_t filled = 0;
    for (std::size_t level = 0; level < cell_levels; ++level) {
        const bool own = level == level_max || (level_mask_ >> level & 1);
        if (!own) continue;
        const Hash hash = hash_at(level, lower);
        for (; filled <= level; ++filled) hashes_[filled] = hash;
        lower = &hashes_[level];
    }
}

// A hash above a lower one covers that instead of the data; a pruned branch carries its lower ones.
Hash Cell::hash_at(std::size_t level, const Hash* lower) const {
    if (kind_ == Kind::pruned_branch) {
        if (level != level_max)
            return hash_in(data_, 2 + hashes_in(mask_below(level_mask_, level)) * hash_bytes);
        lower = nullptr;
    }
    const auto head = descriptors(mask_below(level_mask_, level));
    Bytes text{head.begin(), head.end()};
    text.reserve(2 + 128 + cell_refs_max * (hash_bytes + depth_bytes));
    if (lower) {
        text.insert(text.end(), lower->begin(), lower->end());
    } else {
        const Bytes data = tagged_data();
        text.insert(text.end(), data.begin(), data.end());
    }
    const std::size_t below = is_merkle() ? capped(level + 1) : level;
    for (const CellRef& child : refs()) {
        text.push_back(static_cast<std::uint8_t>(child->depth(below) >> 8));
        text.push_back(static_cast<std::uint8_t>(child->depth(below)));
    }
    for (const CellRef& child : refs())
        text.insert(text.end(), child->hash(below).begin(), child->hash(below).end());
    return sha256(text);
}

std::array<std::uint8_t, 2> Cell::descriptors(std::uint8_t mask) const {
    return {static_cast<std::uint8_t>(refs_count_ + (is_exotic() ? 8 : 0) + 32 * mask),
            static_cast<std::uint8_t>(bits_ / 8 + (bits_ + 7) / 8)};
}

Bytes Cell::tagged_data() const {
    Bytes out{data().begin(), data().end()};
    if (bits_ % 8 != 0) out.back() |= static_cast<std::uint8_t>(0x80u >> bits_ % 8);
    return out;
}

}  // namespace cocoon::settlement::ton
