#include "settlement/comment.hpp"

namespace cocoon::settlement::ton {
namespace {

constexpr std::size_t cell_bytes_max = cell_bits_max / 8;
constexpr std::size_t opcode_bytes = 4;

}  // namespace

CellRef text_comment(std::string_view text) {
    ENSURE(text.size() <= comment_bytes_max);
    // The tail is made first: 123 bytes belong to the first cell, 127 to each further one.
    constexpr std::size_t first_bytes = cell_bytes_max - opcode_bytes;
    CellRef tail;
    while (text.size() > first_bytes) {
        const std::size_t count = (text.size() - first_bytes - 1) % cell_bytes_max + 1;
        Builder piece;
        piece.bytes(as_bytes(text.substr(text.size() - count)));
        if (tail) piece.ref(tail);
        tail = piece.cell();
        text.remove_suffix(count);
    }
    Builder first;
    first.number(0, 8 * opcode_bytes).bytes(as_bytes(text));
    if (tail) first.ref(tail);
    return first.cell();
}

std::optional<std::string> read_comment(const CellRef& body, std::size_t bytes_max) {
    Slice slice{body};
    if (slice.number(8 * opcode_bytes) != 0 || !slice.good()) return std::nullopt;
    std::string text;
    for (;;) {
        if (slice.bits_left() % 8 != 0 || slice.refs_left() > 1) return std::nullopt;
        text += as_text(slice.bytes(slice.bits_left() / 8));
        if (text.size() > bytes_max) return std::nullopt;
        if (slice.refs_left() == 0) break;
        slice = Slice{slice.ref()};
        // An empty link would let a chain of a thousand cells pass as a short comment.
        if (!slice.good() || slice.bits_left() == 0) return std::nullopt;
    }
    if (!is_utf8(text)) return std::nullopt;
    return text;
}

}  // namespace cocoon::settlement::ton
