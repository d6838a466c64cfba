// The binary form of events, answers and entities, derived from COCOON_FIELDS: varints (zigzag
// where signed), length-prefixed strings and lists, variants by index. The Writer encodes answers,
// db/ encodes journal rows. Any thread. Decoders are strict: every byte used, every bound checked,
// one format version; bad bytes are an Error, never a throw.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "matching/commands.hpp"
#include "matching/events.hpp"
#include "matching/journal.hpp"

namespace cocoon::matching {

constexpr std::uint8_t codec_version = 1;

// The body of a journal row: version byte, count, entries. The sequence and the instant of the
// first are the row's; REQUIRES: sequences without a gap. What entries and their answers repeat is
// spelled alike, so that the row compresses well.
std::string encode_entries(std::span<const Entry> entries);
// `first` and `at`: of the first of them.
Result<std::vector<Entry>> decode_entries(std::string_view bytes, std::uint64_t first, Instant at);

// An answer kept with its idempotency key. Explanations and the keyset document are left out: the
// Writer fills the keyset in again from the node when the answer is replayed.
std::string encode_reply(const Reply& reply);
Result<Reply> decode_reply(std::string_view bytes);

std::string encode_counters(const Counters& counters);
Result<Counters> decode_counters(std::string_view bytes);

}  // namespace cocoon::matching
