// Reads the chain's dictionaries (TL-B `HashmapE n X` and `Hashmap n X`, block.tlb): binary tries
// whose edges carry labels. Called for the out-messages of a transaction, prices and replay marks;
// any thread. Reading only: nothing we send needs one written. It must not know what the values
// are.
#pragma once

#include <vector>

#include "settlement/slice.hpp"

namespace cocoon::settlement::ton {

struct DictionaryEntry {
    std::uint64_t key = 0;
    Slice value;
};

// All entries by ascending key. `root` is null for an empty dictionary.
// malformed_request: labels that overrun the key, forks with anything but two branches and no
// value, exotic cells. body_too_large: more than `entries_max` entries. REQUIRES: 1 <= key_bits
// <= 64.
Result<std::vector<DictionaryEntry>> read_dictionary(const CellRef& root, std::size_t key_bits,
                                                     std::size_t entries_max);

}  // namespace cocoon::settlement::ton
