// Lists as pages: limit and cursor in, items with next_cursor and Link out. Called by query
// handlers; one call on one thread.
#pragma once

#include <string>
#include <string_view>

#include "api/context.hpp"
#include "api/field_reader.hpp"
#include "api/http.hpp"
#include "api/json_writer.hpp"
#include "api/secrets.hpp"

namespace cocoon::api {

class Page {
public:
    // Reads limit and cursor; `route` is the pattern. Call begin() after the handler's own
    // parameters.
    Page(const Call& call, const Context& context, QueryReader& query, std::string_view route);

    // Checks the cursor against the filter, then the whole query. invalid_body.
    Result<void> begin(QueryReader& query, std::string filter = {});

    std::uint32_t rows_max() const { return rows_max_; }
    bool limit_given() const { return limit_given_; }
    Position after() const { return after_; }

    // {"items":[ … written so far …]} is open: closes the list, adds has_more, next_cursor and
    // as_of.
    Response finish(JsonWriter& out, bool more, Position last, std::uint64_t as_of) const;
    // `Link: <…>; rel="next"` for the page after `last`.
    Header link(Position last) const;

private:
    std::string next(Position last) const;

    const Call& call_;
    const Context& context_;
    std::string_view route_;
    std::string filter_;
    std::optional<std::string> cursor_;
    std::uint32_t rows_max_ = limits::page_rows_default;
    bool limit_given_ = false;
    Position after_;
};

}  // namespace cocoon::api
