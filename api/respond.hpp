// What handlers share on their way to a Response: problems with more members, ETags, and the checks
// of request headers. Called by api/*.cpp only; any thread; knows no resource.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "api/http.hpp"
#include "api/json_writer.hpp"
#include "core/result.hpp"

namespace cocoon::api {

// The members of a problem (RFC 9457) into an open object.
void write_problem(JsonWriter& out, const Error& error, std::string_view request_id);
// problem() with extension members.
Response problem_with(const Error& error, std::string_view request_id,
                      const std::function<void(JsonWriter&)>& more);
Response json_response(int status, std::string body);
Response no_content();

std::string etag_of(std::uint64_t version);
// The version that If-Match asks for; 0 for "*". precondition_required without the header,
// precondition_failed for a tag that cannot match, invalid_body for no tag at all.
Result<std::uint64_t> if_match(const Call& call);
// Adds the ETag; 304 when a GET's If-None-Match names it.
Response with_etag(const Call& call, Response response, std::uint64_t version);

}  // namespace cocoon::api
