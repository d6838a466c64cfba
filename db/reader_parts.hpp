// What the files of db::Reader share: its snapshot, and how rows become structs. For db/reader*.cpp
// only. Runs on a worker thread; knows no table.
#pragma once

#include <algorithm>
#include <unordered_map>

#include "db/columns.hpp"
#include "db/connection.hpp"
#include "db/load.hpp"
#include "db/reader.hpp"

namespace cocoon::db {

struct Reader::Held {
    Pool::Lease lease;
    Transaction transaction;
    explicit Held(Pool::Lease&& taken)
        : lease{std::move(taken)}, transaction{*lease, Transaction::Kind::read_only_snapshot} {}
    Rows run(const Statement& statement, const Parameters& parameters = {}) {
        return lease->run(statement, parameters);
    }
    std::unordered_map<std::uint64_t, std::pair<AccountId, AccountId>> owners(
        const Statement& statement, std::vector<std::int64_t>& ids);
    void assign_owners(std::vector<FeedEvent>& events);
};

template <class Noun>
std::string listed(std::string_view table = "t") {
    return column_list(columns_of<Noun>(), table);
}

template <class Noun>
std::size_t width() {
    static const std::size_t count = columns_of<Noun>().size();
    return count;
}

inline std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

// "Below" for pages that begin at the newest.
inline std::int64_t below(const PageBefore& page) {
    return page.before == 0 || page.before > INT64_MAX ? INT64_MAX
                                                       : static_cast<std::int64_t>(page.before);
}

template <class Tag>
void add_optional(Parameters& parameters, Id<Tag> id) {
    id ? parameters.add(number(id.value)) : parameters.add_null();
}

template <class Enum>
void add_optional(Parameters& parameters, std::optional<Enum> value) {
    value ? parameters.add_text(sql_name(*value)) : parameters.add_null();
}

inline std::uint64_t unsigned_at(const Rows& rows, std::size_t row, std::size_t column) {
    return static_cast<std::uint64_t>(rows.integer(row, column));
}

// The statements ask for one row more than wanted, which only says that there is more.
template <class Row, class Read>
Listed<Row> page_of(const Rows& rows, std::uint32_t rows_max, Read&& read) {
    Listed<Row> list;
    list.more = rows.size() > rows_max;
    const std::size_t count = std::min<std::size_t>(rows.size(), rows_max);
    list.rows.reserve(count);
    for (std::size_t row = 0; row < count; ++row) list.rows.push_back(read(rows, row));
    return list;
}

template <class Noun>
Listed<Noun> nouns_of(const Rows& rows, std::uint32_t rows_max) {
    return page_of<Noun>(rows, rows_max,
                         [](const Rows& all, std::size_t row) { return read_row<Noun>(all, row); });
}

template <class Row>
std::optional<Row> first_of(Listed<Row> list) {
    if (list.rows.empty()) return std::nullopt;
    return std::move(list.rows.front());
}

inline std::string text_or_empty(const Rows& rows, std::size_t row, std::size_t column) {
    return rows.null(row, column) ? std::string{} : unpack_text(rows.text(row, column));
}

inline std::string hash_or_empty(const Rows& rows, std::size_t row, std::size_t column,
                                 std::string_view prefix = {}) {
    return rows.null(row, column) ? std::string{} : unpack_hash(rows.text(row, column), prefix);
}

}  // namespace cocoon::db
