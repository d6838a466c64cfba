// The newest proof of what the market owes, as its routes hand it out. Made by server/solvency,
// shared read-only by all worker threads; it must not know where the figures come from.
#pragma once

#include <string>

#include "settlement/merkle_sum.hpp"

namespace cocoon::api {

struct SolvencyProof {
    std::string statement;  // signed (sealing/market_statement), canonical JSON
    settlement::MerkleSum tree;
};

}  // namespace cocoon::api
