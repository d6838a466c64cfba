#include "db/columns.hpp"

namespace cocoon::db {

std::string_view sql_name(matching::Tier tier) { return matching::tier_name(tier); }

// 32 bytes stand for `prefix` and 64 hex digits. Anything else is "text:" and itself, padded by a
// NUL (which no text of ours has) should it happen to be 32 bytes long.
std::string pack_hash(std::string_view text, std::string_view prefix) {
    if (text.starts_with(prefix) && text.size() == prefix.size() + 64)
        if (const auto bytes = from_hex(text.substr(prefix.size())))
            return std::string{as_text(*bytes)};
    std::string packed = "text:" + std::string{text};
    if (packed.size() == 32) packed.push_back('\0');
    return packed;
}

std::string unpack_hash(std::string_view packed, std::string_view prefix) {
    if (packed.size() == 32) return std::string{prefix} + to_hex(as_bytes(packed));
    packed.remove_prefix(std::min<std::size_t>(5, packed.size()));
    if (packed.ends_with('\0')) packed.remove_suffix(1);
    return std::string{packed};
}

namespace {
constexpr std::string_view raw_marker = "\x01hex:";
}

bool storable(std::string_view text) {
    return text.find('\0') == text.npos && !text.starts_with(raw_marker) && is_utf8(text);
}

std::string pack_text(std::string_view text) {
    return storable(text) ? std::string{text} : std::string{raw_marker} + to_hex(as_bytes(text));
}

std::string unpack_text(std::string_view packed) {
    if (!packed.starts_with(raw_marker)) return std::string{packed};
    const auto bytes = from_hex(packed.substr(raw_marker.size()));
    if (!bytes) throw Failure{"a packed text is not hex", "22000"};
    return std::string{as_text(*bytes)};
}

std::string array_literal(const std::vector<std::int64_t>& values) {
    std::string literal{"{"};
    for (const std::int64_t value : values) {
        if (literal.size() > 1) literal.push_back(',');
        literal += std::to_string(value);
    }
    return literal + "}";
}

std::string array_literal(std::span<const std::string> values) {
    std::string literal{"{"};
    for (const std::string& value : values) {
        if (literal.size() > 1) literal.push_back(',');
        literal.push_back('"');
        for (const char character : pack_text(value)) {
            if (character == '"' || character == '\\') literal.push_back('\\');
            literal.push_back(character);
        }
        literal.push_back('"');
    }
    return literal + "}";
}

std::string column_list(const std::vector<Column>& columns, std::string_view table) {
    std::string list;
    for (const Column& column : columns) {
        if (!list.empty()) list += ", ";
        if (!table.empty()) list += std::string{table} + ".";
        list += '"' + column.name + '"';
    }
    return list;
}

std::string insert_sql(std::string_view table, const std::vector<Column>& columns) {
    static constexpr const char* types[] = {"bigint[]", "boolean[]", "text[]", "bytea[]"};
    std::string values, arrays;
    for (std::size_t index = 0; index < columns.size(); ++index) {
        const Column& column = columns[index];
        if (index) values += ", ", arrays += ", ";
        values += "u.\"" + column.name + '"';
        if (!column.cast.empty()) values += "::" + column.cast;
        arrays += "$" + std::to_string(index + 1) + "::" + types[static_cast<int>(column.type)];
    }
    return "insert into " + std::string{table} + " (" + column_list(columns) + ")\nselect " +
           values + "\nfrom unnest(" + arrays + ") as u(" + column_list(columns) + ")";
}

std::string upsert_sql(std::string_view table, const std::vector<Column>& columns) {
    std::string keys, changes;
    for (const Column& column : columns) {
        const std::string quoted = '"' + column.name + '"';
        if (column.key) {
            keys += (keys.empty() ? "" : ", ") + quoted;
        } else {
            changes += (changes.empty() ? "" : ", ") + quoted + " = excluded." + quoted;
        }
    }
    return insert_sql(table, columns) + "\non conflict (" + keys + ") do " +
           (changes.empty() ? "nothing" : "update set " + changes);
}

std::vector<ArrayBuilder> arrays_for(const std::vector<Column>& columns) {
    std::vector<ArrayBuilder> arrays;
    for (const Column& column : columns) arrays.emplace_back(column.type);
    return arrays;
}

Parameters parameters_of(std::vector<ArrayBuilder>& arrays) {
    Parameters parameters;
    for (ArrayBuilder& array : arrays) parameters.add_encoded(array.finish());
    return parameters;
}

}  // namespace cocoon::db
