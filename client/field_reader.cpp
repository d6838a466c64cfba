#include "client/field_reader.hpp"

#include <algorithm>

namespace cocoon::client {

using sealing::Json;

FieldReader::FieldReader(const Json& value, std::string path, std::vector<FieldError>& problems)
    : value_{value}, path_{std::move(path)}, problems_{problems} {
    if (!value_.is_object())
        problems_.push_back({path_.empty() ? "/" : path_, "must be an object"});
}

bool FieldReader::has(std::string_view name) const {
    const Json* found = value_.find(name);
    return found && !found->is_null();
}

const Json* FieldReader::take(std::string_view name) {
    known_.emplace_back(name);
    const Json* found = value_.find(name);
    return found && !found->is_null() ? found : nullptr;
}

void FieldReader::problem(std::string_view name, std::string message) {
    problems_.push_back({path_of(name), std::move(message)});
}

void FieldReader::text(std::string_view name, std::string& into, std::size_t bytes_max) {
    const Json* found = take(name);
    if (!found) return;
    const auto text = found->text();
    if (!text) return problem(name, "must be a string");
    if (text->empty()) return problem(name, "must not be empty");
    if (text->size() > bytes_max)
        return problem(name, "is longer than " + std::to_string(bytes_max) + " bytes");
    into = *text;
}

void FieldReader::integer(std::string_view name, std::int64_t& into, std::int64_t least,
                          std::int64_t most) {
    const Json* found = take(name);
    if (!found) return;
    const auto number = found->integer();
    if (!number || *number < least || *number > most)
        return problem(name, "must be a whole number from " + std::to_string(least) + " to " +
                                 std::to_string(most));
    into = *number;
}

void FieldReader::money(std::string_view name, Nano& into, Nano least, Nano most) {
    const Json* found = take(name);
    if (!found) return;
    const auto text = found->text();
    const auto amount = text ? Nano::parse(*text) : std::nullopt;
    if (!amount || *amount < least || *amount > most)
        return problem(
            name, "must be a decimal string of nano from " + least.text() + " to " + most.text());
    into = *amount;
}

void FieldReader::texts(std::string_view name, std::vector<std::string>& into,
                        std::size_t items_max, std::size_t bytes_max) {
    const Json* found = take(name);
    if (!found) return;
    if (!found->is_array()) return problem(name, "must be an array of strings");
    if (found->items().size() > items_max)
        return problem(name, "has more than " + std::to_string(items_max) + " items");
    std::vector<std::string> read;
    for (std::size_t i = 0; i < found->items().size(); ++i) {
        const auto text = found->items()[i].text();
        if (!text || text->empty() || text->size() > bytes_max)
            problem(std::string{name} + "/" + std::to_string(i),
                    "must be a string of 1 to " + std::to_string(bytes_max) + " bytes");
        else if (std::find(read.begin(), read.end(), *text) != read.end())
            problem(std::string{name} + "/" + std::to_string(i), "is there twice");
        else
            read.emplace_back(*text);
    }
    into = std::move(read);
}

const Json* FieldReader::object(std::string_view name) {
    const Json* found = take(name);
    if (!found) return nullptr;
    if (found->is_object()) return found;
    problem(name, "must be an object");
    return nullptr;
}

void FieldReader::finish() {
    for (const auto& [name, value] : value_.members())
        if (std::find(known_.begin(), known_.end(), name) == known_.end())
            problem(name, "is not a known field");
}

}  // namespace cocoon::client
