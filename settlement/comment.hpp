// Text comments of transfers: 32 zero bits and UTF-8, continued in the first reference of each cell
// ("snake" form; TEP-64 and the wallets' common use). Memos of deposits and names of payouts travel
// in them. Any thread. It must not know what a comment means.
#pragma once

#include <optional>
#include <string>

#include "settlement/slice.hpp"

namespace cocoon::settlement::ton {

constexpr std::size_t comment_bytes_max = 1024;  // longer ones are nobody's memo and are not read

// REQUIRES: at most comment_bytes_max bytes.
CellRef text_comment(std::string_view text);
// The comment in a message's body; nothing if it is none, is longer than `bytes_max`, has no whole
// bytes or is not UTF-8.
std::optional<std::string> read_comment(const CellRef& body,
                                        std::size_t bytes_max = comment_bytes_max);

}  // namespace cocoon::settlement::ton
