// Aligned text for people in a terminal. Called by the programs' commands; pure.
#pragma once

#include <string>
#include <vector>

namespace cocoon {

// Columns whose cells all look like numbers are aligned right. Control characters in cells, which
// may come from a stranger's offer, are shown as '?', so that no cell can steer the terminal.
class Table {
public:
    explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {
        columns_ = rows_.size();
    }
    // REQUIRES: as many cells as the header has.
    void add(std::vector<std::string> cells);
    // Without rows: the header only.
    std::string text() const;

private:
    std::vector<std::string> rows_;  // header and rows, one after the other
    std::size_t columns_ = 0;
};

// `text` without control characters.
std::string printable(const std::string& text);

}  // namespace cocoon
