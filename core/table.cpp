#include "core/table.hpp"

#include <algorithm>

#include "core/ensure.hpp"

namespace cocoon {
namespace {

// Characters, not bytes: continuation bytes of UTF-8 take no room.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

bool is_numeric(const std::string& text) {
    return text == "-" ||
           (!text.empty() && text.find_first_not_of("0123456789.-%") == std::string::npos);
}

}  // namespace

std::string printable(const std::string& text) {
    std::string result = text;
    for (char& c : result)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return result;
}

void Table::add(std::vector<std::string> cells) {
    ENSURE(cells.size() == columns_);
    for (std::string& cell : cells) rows_.push_back(printable(cell));
}

std::string Table::text() const {
    std::vector<std::size_t> widths(columns_);
    std::vector<bool> right(columns_, rows_.size() > columns_);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        widths[i % columns_] = std::max(widths[i % columns_], width_of(rows_[i]));
        if (i >= columns_ && !is_numeric(rows_[i])) right[i % columns_] = false;
    }
    std::string text;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        const std::size_t column = i % columns_;
        const std::string padding(widths[column] - width_of(rows_[i]), ' ');
        text += right[column] ? padding + rows_[i] : rows_[i] + padding;
        if (column + 1 < columns_) {
            text += "  ";
            continue;
        }
        text.erase(text.find_last_not_of(' ') + 1);
        text += '\n';
    }
    return text;
}

}  // namespace cocoon
