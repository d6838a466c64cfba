// Reads one JSON object field by field and collects every problem with its path, so that a person
// mends a settings file once. Unknown names are refused in finish(). Called by config.cpp; plain
// values, no I/O. Knows nothing of what the fields mean.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "core/money.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::client {

class FieldReader {
public:
    // `value` and `problems` must outlive the reader. `path` is the object's JSON pointer ("" =
    // root).
    FieldReader(const sealing::Json& value, std::string path, std::vector<FieldError>& problems);

    bool has(std::string_view name) const;  // present and not null
    // Each leaves `into` as it is when the field is absent or null.
    void text(std::string_view name, std::string& into, std::size_t bytes_max = 4096);
    void integer(std::string_view name, std::int64_t& into, std::int64_t least, std::int64_t most);
    // A decimal string: money is never a JSON number.
    void money(std::string_view name, Nano& into, Nano least, Nano most);
    void texts(std::string_view name, std::vector<std::string>& into, std::size_t items_max,
               std::size_t bytes_max = 128);
    // The object of that name, or nullptr when absent or of another kind (a problem is noted).
    const sealing::Json* object(std::string_view name);

    void problem(std::string_view name, std::string message);
    std::string path_of(std::string_view name) const { return path_ + "/" + std::string{name}; }
    // Refuses every name that was never asked for.
    void finish();

private:
    const sealing::Json* take(std::string_view name);

    const sealing::Json& value_;
    std::string path_;
    std::vector<FieldError>& problems_;
    std::vector<std::string> known_;
};

}  // namespace cocoon::client
