#include "settlement/boc.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <vector>

namespace cocoon::settlement::ton {
namespace {

constexpr std::uint32_t magic_generic = 0xB5EE9C72;
constexpr std::uint32_t magic_indexed = 0x68FF65F3;
constexpr std::uint32_t magic_indexed_crc = 0xACC3A728;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0u);
        table[i] = crc;
    }
    return table;
}

// CRC-32C (Castagnoli, RFC 3720 §12.1).
std::uint32_t crc32c(ByteView bytes) {
    static constexpr auto table = make_crc_table();
    std::uint32_t crc = ~0u;
    for (const std::uint8_t byte : bytes) crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF];
    return ~crc;
}

std::uint64_t big_endian(ByteView bytes) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes) value = value << 8 | byte;
    return value;
}

Error malformed(const char* why) {
    return refuse(ErrorCode::malformed_request, std::string{"bag of cells: "} + why);
}

struct Header {
    bool has_index = false, has_crc = false, has_cache_bits = false;
    std::size_t ref_bytes = 0, offset_bytes = 0;  // sizes of a cell's number and of an offset
    std::size_t cells = 0, root = 0, data_bytes = 0;
    ByteView index;
};

// One cell as it lies in the bag, before it is made.
struct Entry {
    ByteView data;    // with the completion tag
    ByteView hashes;  // stored beside it, to be checked; usually none
    std::array<std::uint32_t, cell_refs_max> refs{};
    std::uint8_t refs_count = 0, level_mask = 0;
    bool exotic = false, whole_bytes = false;
    std::size_t end = 0;  // offset after it, within the cells' data
};

class BocReader {
public:
    BocReader(ByteView bytes, const BocLimits& limits)
        : rest_{bytes}, all_{bytes}, limits_{limits} {}

    Result<CellRef> read() {
        if (all_.size() > limits_.bytes_max)
            return refuse(ErrorCode::body_too_large, "bag of cells: too many bytes");
        for (const auto step :
             {&BocReader::read_header, &BocReader::read_counts, &BocReader::read_entries,
              &BocReader::check_references, &BocReader::check_index})
            if (const char* wrong = (this->*step)()) return malformed(wrong);
        return make_cells();
    }

private:
    // The next `count` bytes, or too_short_ is set.
    ByteView take(std::size_t count) {
        if (count > rest_.size()) {
            too_short_ = true;
            return {};
        }
        const ByteView taken = rest_.first(count);
        rest_ = rest_.subspan(count);
        return taken;
    }

    const char* read_header() {
        const std::uint64_t magic = big_endian(take(4));
        const std::uint64_t flags = big_endian(take(1));
        header_.offset_bytes = big_endian(take(1));
        if (too_short_) return "shorter than its header";
        if (magic == magic_generic) {
            header_.has_index = flags & 0x80;
            header_.has_crc = flags & 0x40;
            header_.has_cache_bits = flags & 0x20;
            if (flags & 0x18) return "reserved flags";
        } else if (magic == magic_indexed || magic == magic_indexed_crc) {
            header_.has_index = true;
            header_.has_crc = magic == magic_indexed_crc;
            if (flags & 0xF8) return "reserved flags";
        } else {
            return "unknown magic number";
        }
        if (header_.has_cache_bits && !header_.has_index) return "cache bits without an index";
        header_.ref_bytes = flags & 7;
        if (header_.ref_bytes < 1 || header_.ref_bytes > 4)
            return "references of an impossible size";
        if (header_.offset_bytes < 1 || header_.offset_bytes > 8)
            return "offsets of an impossible size";
        lists_roots_ = magic == magic_generic;
        return nullptr;
    }

    // Every size is held against the bytes at hand before anything is allocated.
    const char* read_counts() {
        const std::uint64_t cells = big_endian(take(header_.ref_bytes));
        const std::uint64_t roots = big_endian(take(header_.ref_bytes));
        const std::uint64_t absent = big_endian(take(header_.ref_bytes));
        const std::uint64_t data_bytes = big_endian(take(header_.offset_bytes));
        if (too_short_) return "shorter than its header";
        if (cells == 0 || cells > limits_.cells_max) return "no cells or too many";
        if (roots != 1) return "not exactly one root";
        if (absent != 0) return "absent cells";
        if (data_bytes > cells << 10 || data_bytes > all_.size())
            return "more data than cells can hold";
        if (data_bytes < cells * (2 + header_.ref_bytes) - header_.ref_bytes)
            return "too little data for its cells";
        header_.cells = cells;
        header_.data_bytes = data_bytes;
        if (lists_roots_) header_.root = big_endian(take(header_.ref_bytes));
        if (header_.has_index) header_.index = take(header_.cells * header_.offset_bytes);
        if (too_short_) return "shorter than its index";
        if (header_.root >= header_.cells) return "a root that does not exist";
        if (rest_.size() != header_.data_bytes + (header_.has_crc ? 4 : 0))
            return "bytes missing or left over";
        if (header_.has_crc) {
            const std::uint32_t crc = crc32c(all_.first(all_.size() - 4));
            const ByteView stored = all_.last(4);
            for (std::size_t i = 0; i < 4; ++i)
                if (stored[i] != (crc >> 8 * i & 0xFF)) return "wrong checksum";
        }
        rest_ = rest_.first(header_.data_bytes);
        return nullptr;
    }

    const char* read_entries() {
        entries_.reserve(header_.cells);
        for (std::size_t i = 0; i < header_.cells; ++i) {
            Entry entry;
            const ByteView head = take(2);
            if (too_short_) return "a cell that is cut short";
            entry.refs_count = head[0] & 7;
            entry.exotic = head[0] & 8;
            entry.level_mask = head[0] >> 5;
            entry.whole_bytes = head[1] % 2 == 0;
            if (entry.refs_count > cell_refs_max) return "a cell with too many references";
            const auto levels = static_cast<std::size_t>(__builtin_popcount(entry.level_mask)) + 1;
            if (head[0] & 16) entry.hashes = take(levels * 34);
            entry.data = take((head[1] + 1u) / 2);
            for (std::size_t k = 0; k < entry.refs_count; ++k) {
                const std::uint64_t ref = big_endian(take(header_.ref_bytes));
                if (ref <= i && !too_short_) return "a reference that does not point forward";
                if (ref >= header_.cells) return "a reference to a cell that does not exist";
                entry.refs[k] = static_cast<std::uint32_t>(ref);
            }
            if (too_short_) return "a cell that is cut short";
            entry.end = header_.data_bytes - rest_.size();
            entries_.push_back(entry);
        }
        return rest_.empty() ? nullptr : "data after the last cell";
    }

    // Counts how often each cell is referred to, by cells or as the root.
    const char* check_references() {
        uses_.assign(header_.cells, 0);
        ++uses_[header_.root];
        for (const Entry& entry : entries_)
            for (std::size_t k = 0; k < entry.refs_count; ++k) ++uses_[entry.refs[k]];
        const bool all_used = std::find(uses_.begin(), uses_.end(), 0u) == uses_.end();
        return all_used ? nullptr : "a cell that nothing refers to";
    }

    const char* check_index() {
        if (!header_.has_index) return nullptr;
        for (std::size_t i = 0; i < header_.cells; ++i) {
            std::uint64_t offset =
                big_endian(header_.index.subspan(i * header_.offset_bytes, header_.offset_bytes));
            if (header_.has_cache_bits) {
                if ((offset & 1) != (uses_[i] > 1)) return "a wrong cache bit";
                offset >>= 1;
            }
            if (offset != entries_[i].end) return "an index that does not match";
        }
        return nullptr;
    }

    Result<CellRef> make_cells() {
        std::vector<CellRef> made(header_.cells);
        for (std::size_t i = header_.cells; i-- > 0;) {
            std::array<CellRef, cell_refs_max> refs;
            for (std::size_t k = 0; k < entries_[i].refs_count; ++k)
                refs[k] = made[entries_[i].refs[k]];
            Result<CellRef> cell = make_cell(entries_[i], {refs.data(), entries_[i].refs_count});
            if (!cell) return cell.error();
            if ((*cell)->depth() > limits_.depth_max) return malformed("too deep");
            made[i] = std::move(*cell);
        }
        CellRef root = made[header_.root];
        if (!limits_.any_level && root->level_mask() != 0) return malformed("an incomplete root");
        return root;
    }

    static Result<CellRef> make_cell(const Entry& entry, std::span<const CellRef> refs) {
        std::size_t bits = entry.data.size() * 8;
        if (!entry.whole_bytes) {
            const std::uint8_t last = entry.data.back();
            if ((last & 0x7F) == 0)
                return malformed("a cell with a missing or overlong completion tag");
            bits -= static_cast<std::size_t>(__builtin_ctz(last)) + 1;
        }
        const Result<CellRef> cell = Cell::make(entry.data, bits, refs, entry.exotic);
        if (!cell) return malformed(cell.error().detail.c_str());
        if ((*cell)->level_mask() != entry.level_mask) return malformed("a wrong level");
        if (!entry.hashes.empty() && !hashes_match(**cell, entry.hashes))
            return malformed("a stored hash or depth that is wrong");
        return cell;
    }

    static bool hashes_match(const Cell& cell, ByteView stored) {
        std::vector<std::size_t> levels;
        for (std::size_t level = 0; level + 1 < cell_levels; ++level)
            if (cell.level_mask() >> level & 1) levels.push_back(level);
        levels.push_back(cell_levels - 1);
        for (std::size_t i = 0; i < levels.size(); ++i) {
            const Hash& hash = cell.hash(levels[i]);
            if (!std::equal(hash.begin(), hash.end(),
                            stored.begin() + static_cast<std::ptrdiff_t>(i * 32)))
                return false;
            if (big_endian(stored.subspan(levels.size() * 32 + i * 2, 2)) != cell.depth(levels[i]))
                return false;
        }
        return true;
    }

    ByteView rest_;
    const ByteView all_;
    const BocLimits& limits_;
    Header header_;
    bool too_short_ = false;
    bool lists_roots_ = true;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> uses_;
};

// The distinct cells below and with `root`, each before all it refers to. Walks by hash, because a
// few cells can spell very many paths.
class Order {
public:
    explicit Order(const CellRef& root) {
        visit(root);
        std::reverse(cells.begin(), cells.end());
        for (std::size_t i = 0; i < cells.size(); ++i) number[cells[i]->hash()] = i;
    }
    std::vector<CellRef> cells;
    std::map<Hash, std::size_t> number;

private:
    // At most cell_depth_max calls deep.
    void visit(const CellRef& cell) {
        if (!number.emplace(cell->hash(), 0).second) return;
        for (std::size_t i = cell->refs().size(); i-- > 0;) visit(cell->refs()[i]);
        cells.push_back(cell);
    }
};

std::size_t bytes_for(std::size_t value) {
    std::size_t bytes = 1;
    while (value >> (8 * bytes)) ++bytes;
    return bytes;
}

void append(Bytes& out, std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = bytes; i-- > 0;)
        out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

}  // namespace

Result<CellRef> parse_boc(ByteView bytes, const BocLimits& limits) {
    return BocReader{bytes, limits}.read();
}

Bytes write_boc(const CellRef& root) {
    const Order order{root};
    const std::size_t ref_bytes = bytes_for(order.cells.size());
    Bytes data;
    for (const CellRef& cell : order.cells) {
        const auto head = cell->descriptors();
        const Bytes content = cell->tagged_data();
        data.insert(data.end(), head.begin(), head.end());
        data.insert(data.end(), content.begin(), content.end());
        for (const CellRef& ref : cell->refs())
            append(data, order.number.find(ref->hash())->second, ref_bytes);
    }
    Bytes out;
    out.reserve(data.size() + 32);
    const std::size_t offset_bytes = bytes_for(data.size());
    append(out, magic_generic, 4);
    append(out, 0x40 | ref_bytes, 1);
    append(out, offset_bytes, 1);
    append(out, order.cells.size(), ref_bytes);
    append(out, 1, ref_bytes);  // roots
    append(out, 0, ref_bytes);  // absent cells
    append(out, data.size(), offset_bytes);
    append(out, 0, ref_bytes);  // the root is the first cell
    out.insert(out.end(), data.begin(), data.end());
    const std::uint32_t crc = crc32c(out);
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(crc >> 8 * i));
    return out;
}

}  // namespace cocoon::settlement::ton
