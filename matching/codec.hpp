// The binary form of events, answers and entities, derived from COCOON_FIELDS: varints (zigzag where
// signed), length-prefixed strings and lists, variants by index. The Writer encodes answers, db/
// encodes journal rows. Any thread. Decoders are strict: every byte used, every bound checked, one
// format version; bad bytes are an Error, never a throw.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "matching/commands.hpp"
#include "matching/events.hpp"
#include "matching/journal.hpp"

namespace cocoon::matching {

constexpr std::uint8_t codec_version = 1;

// The body of a journal row: version byte, count, events.
std::string encode_events(const std::vector<Event>& events);
Result<std::vector<Event>> decode_events(std::string_view bytes);

// An answer kept with its idempotency key. Explanations and the keyset document are left out: the
// Writer fills the keyset in again from the node when the answer is replayed.
std::string encode_reply(const Reply& reply);
Result<Reply> decode_reply(std::string_view bytes);

std::string encode_postings(const std::vector<Posting>& postings);
Result<std::vector<Posting>> decode_postings(std::string_view bytes);
std::string encode_counters(const Counters& counters);
Result<Counters> decode_counters(std::string_view bytes);

}  // namespace cocoon::matching
