// The bag of cells: how a tree of cells travels as bytes (TL-B `BagOfCells` of the reference node's
// crypto/tl/boc.tlb). Called wherever bytes come in or go out; any thread. Reading is strict and
// bounded: what the reference node refuses is refused here, and besides bytes after the bag, cells
// that nothing refers to, absent cells and reserved flags. It must not know what the cells mean.
#pragma once

#include "settlement/cell.hpp"

namespace cocoon::settlement::ton {

struct BocLimits {
    std::size_t bytes_max = 1 << 20;
    std::size_t cells_max = 1 << 14;
    std::uint16_t depth_max = cell_depth_max;
    bool any_level = false;  // false: the root must be complete (level 0), as the chain demands
};

// What one message may be (reference node, `SizeLimitsConfig`).
constexpr BocLimits message_boc_limits{65'535, 8'192, 512};

// The one root in `bytes`. malformed_request says what is wrong, body_too_large which limit is
// passed.
Result<CellRef> parse_boc(ByteView bytes, const BocLimits& limits = {});

// One root, each distinct cell once, with a CRC-32C and without an index.
Bytes write_boc(const CellRef& root);

}  // namespace cocoon::settlement::ton
