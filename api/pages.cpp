#include "api/pages.hpp"

#include "api/respond.hpp"

namespace cocoon::api {

Page::Page(const Call& call, const Context& context, QueryReader& query, std::string_view route)
    : call_{call}, context_{context}, route_{route} {
    const auto limit = query.maybe_integer("limit", {1, limits::page_rows_max});
    limit_given_ = limit.has_value();
    rows_max_ = static_cast<std::uint32_t>(limit.value_or(limits::page_rows_default));
    cursor_ = query.maybe_text("cursor", {1, 512});
}

Result<void> Page::begin(QueryReader& query, std::string filter) {
    filter_ = std::move(filter);
    if (cursor_) {
        const auto position =
            read_cursor(context_, call_.principal.account, route_, filter_, *cursor_);
        if (position)
            after_ = *position;
        else
            query.refuse("cursor", "is not a cursor of this list");
    }
    return query.finish();
}

std::string Page::next(Position last) const {
    return make_cursor(context_, call_.principal.account, route_, filter_, last);
}

Header Page::link(Position last) const {
    std::string target = "?";  // relative to the request itself (RFC 3986 §5.2.2)
    std::string_view rest = call_.query;
    while (!rest.empty()) {  // the same query with another cursor
        const std::size_t end = rest.find('&');
        const std::string_view part = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        if (!part.empty() && !part.starts_with("cursor=")) target.append(part).append("&");
    }
    return {"Link", '<' + target + "cursor=" + next(last) + ">; rel=\"next\""};
}

Response Page::finish(JsonWriter& out, bool more, Position last, std::uint64_t as_of) const {
    out.close_array();
    out.boolean("has_more", more);
    if (more)
        out.text("next_cursor", next(last));
    else
        out.null("next_cursor");
    out.decimal("as_of", as_of);
    out.close_object();
    Response response = json_response(200, out.take());
    if (more) response.headers.push_back(link(last));
    return response;
}

}  // namespace cocoon::api
