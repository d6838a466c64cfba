// JSON of requests, jobs and explanations: the hottest bodies of the market. Called by requests.cpp
// and jobs.cpp, and by server/ through routes.hpp; pure functions.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/context.hpp"
#include "api/field_reader.hpp"
#include "api/json_writer.hpp"
#include "matching/commands.hpp"

namespace cocoon::api {

// One request body, complete. `account`, `key` and `at` come from the call.
matching::PlaceRequest read_place_request(ObjectReader in, const Context& context,
                                          AccountId account, KeyId key, Instant at);
// Everything but whose it is.
matching::AmendRequest read_amend_request(ObjectReader in, const Context& context, Instant at);

// Names of markets by id, for rendering.
using MarketNames = std::function<std::string(MarketId)>;
// From the newest snapshot at each question; an unknown market is "". Keeps a reference to
// `context`.
MarketNames names_from_views(const Context& context);
// The names that a request was placed with, which the lane resolved in the same order; asks no
// snapshot. Keeps references to both arguments, as names_of_row does.
MarketNames names_of_request(const std::vector<matching::NamedAlternative>& named,
                             const matching::Request& request);
// The names that a row of the tables carries, in the order of the alternatives.
MarketNames names_of_row(const std::vector<std::string>& names, const matching::Request& request);

// An object's members, after its opening brace.
void write_request_members(JsonWriter& out, const matching::Request& request,
                           const MarketNames& market);
void write_job_members(JsonWriter& out, const matching::Job& job, std::string_view market);
void write_job_node(JsonWriter& out, std::string_view name, const matching::Job& job,
                    matching::Tier tier, const std::string* keyset_document);
void write_explanation(JsonWriter& out, std::string_view name,
                       const matching::Explanation& explanation);
// "request", "job", "node", "explanation" as far as there are.
void write_request_answer(JsonWriter& out, const matching::RequestAnswer& answer,
                          const MarketNames& market);

}  // namespace cocoon::api
