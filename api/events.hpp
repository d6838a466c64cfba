// Events as subscribers see them: their names and JSON, the same for SSE and webhooks. Called by
// server/'s feeds and webhook worker, any thread; pure functions. Holds no secret: keys without
// hashes, receipts by hash, evidence by hash.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/wire_requests.hpp"
#include "db/rows.hpp"

namespace cocoon::api {

// All names that may be subscribed to, "job.ended" and so on.
std::span<const std::string_view> event_names();
// Empty for what is never told to accounts (enrolment tokens, the audit log).
std::string_view event_name(const matching::Event& event);

// "1042.0": sequence and ordinal; SSE ids are the sequence alone.
std::string event_id(db::EntryKey key);
// {"type":…, "id":…, "at":…, "data":{…}}. REQUIRES: event_name() is not empty.
std::string event_json(const db::FeedEvent& event, const MarketNames& market);

}  // namespace cocoon::api
