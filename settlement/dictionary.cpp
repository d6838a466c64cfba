#include "settlement/dictionary.hpp"

#include <bit>

namespace cocoon::settlement::ton {
namespace {

class DictionaryReader {
public:
    explicit DictionaryReader(std::size_t entries_max) : entries_max_{entries_max} {}

    // At most 64 calls deep: every fork uses one bit of the key.
    Result<void> read(const CellRef& cell, std::uint64_t prefix, std::size_t key_bits) {
        Slice slice{cell};
        std::size_t label_bits = 0;
        const std::uint64_t label = read_label(slice, key_bits, label_bits);
        if (!slice.good())
            return refuse(ErrorCode::malformed_request, "dictionary: a malformed label");
        // The shift is split, because shifting by all 64 bits is undefined.
        prefix = label_bits == 0 ? prefix : (prefix << (label_bits - 1) << 1) | label;
        key_bits -= label_bits;
        if (key_bits == 0) return add(prefix, slice);
        if (slice.refs_left() != 2 || slice.bits_left() != 0)
            return refuse(ErrorCode::malformed_request, "dictionary: a malformed fork");
        const CellRef left = slice.ref();
        if (const auto done = read(left, prefix << 1, key_bits - 1); !done) return done;
        return read(slice.ref(), prefix << 1 | 1, key_bits - 1);
    }

    std::vector<DictionaryEntry> entries;

private:
    Result<void> add(std::uint64_t key, const Slice& value) {
        if (entries.size() >= entries_max_)
            return refuse(ErrorCode::body_too_large, "dictionary: too many entries");
        entries.push_back({key, value});
        return {};
    }

    // HmLabel: the three spellings of at most `bits_max` bits.
    static std::uint64_t read_label(Slice& slice, std::size_t bits_max, std::size_t& bits) {
        const auto length_bits = static_cast<std::size_t>(std::bit_width(bits_max));
        if (!slice.bit()) {  // hml_short: the length in unary
            while (slice.bit()) ++bits;
        } else if (!slice.bit()) {  // hml_long
            bits = slice.number(length_bits);
        } else {  // hml_same: one bit, repeated
            const bool ones = slice.bit();
            bits = slice.number(length_bits);
            if (bits > bits_max) slice.fail();
            return ones && bits > 0 && slice.good() ? ~std::uint64_t{0} >> (64 - bits) : 0;
        }
        if (bits > bits_max) slice.fail();
        return slice.good() ? slice.number(bits) : 0;
    }

    const std::size_t entries_max_;
};

}  // namespace

Result<std::vector<DictionaryEntry>> read_dictionary(const CellRef& root, std::size_t key_bits,
                                                     std::size_t entries_max) {
    ENSURE(key_bits >= 1 && key_bits <= 64);
    if (!root) return std::vector<DictionaryEntry>{};
    DictionaryReader reader{entries_max};
    if (const auto done = reader.read(root, 0, key_bits); !done) return done.error();
    return std::move(reader.entries);
}

}  // namespace cocoon::settlement::ton
