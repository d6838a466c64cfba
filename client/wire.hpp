// The market's words as the client uses them: prices, quantities, the job and node of a match; and
// the exact cost formula, by which the client checks every bill. Plain values, pure functions. What
// the market says is a peer's data: everything is parsed strictly, nothing is trusted for being
// there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.hpp"
#include "core/money.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/receipt.hpp"

namespace cocoon::client {

// nanoTON per million tokens (four sorts), per request, per GPU-second; and disjoint counts.
using Prices = sealing::ReceiptPrices;
using Quantities = sealing::ReceiptUsage;

// One row for each dimension, so that no list of six can forget one.
struct Dimension {
    std::string_view name;           // for people: "prompt"
    std::string_view price_name;     // "prompt_nano_per_mtok"
    std::string_view quantity_name;  // "prompt_tokens"
    std::int64_t Prices::*price;
    std::int64_t Quantities::*quantity;
    std::int64_t divisor;  // 10^6 for tokens
};
constexpr Dimension dimensions[] = {
    {"prompt", "prompt_nano_per_mtok", "prompt_tokens", &Prices::prompt, &Quantities::prompt,
     1'000'000},
    {"cached", "cached_nano_per_mtok", "cached_tokens", &Prices::cached, &Quantities::cached,
     1'000'000},
    {"completion", "completion_nano_per_mtok", "completion_tokens", &Prices::completion,
     &Quantities::completion, 1'000'000},
    {"reasoning", "reasoning_nano_per_mtok", "reasoning_tokens", &Prices::reasoning,
     &Quantities::reasoning, 1'000'000},
    {"request", "request_nano", "requests", &Prices::request, &Quantities::requests, 1},
    {"gpu_second", "gpu_second_nano", "gpu_seconds", &Prices::gpu_second, &Quantities::gpu_seconds,
     1},
};

// The most any usage within `quantity` can cost: each side at the dearer of its two prices. This is
// what the market holds.
Result<Nano> cost_bound(const Prices& price, const Quantities& quantity);

sealing::Json prices_json(const Prices& price);             // decimal strings, all six
sealing::Json quantities_json(const Quantities& quantity);  // integers, all six
// Absent members are zero; `upstream_failed` when one is malformed or out of limits.
Result<Prices> parse_prices(const sealing::Json& value);
Result<Quantities> parse_quantities(const sealing::Json& value);

// A match: what the client must know to seal, and to check what it is asked to pay.
struct Job {
    JobId id;
    std::string request;  // "req_1"
    NodeId node;
    std::string market;  // "inference:<model>"
    std::string build;
    bool session = false;
    Prices price;
    Quantities quantity;  // bound of the whole job
    Quantities usage;     // captured so far
    Nano hold;
    std::string state;
    std::string fencing_token;  // decimal
    std::string keyset_digest;
    std::string evidence_hash;
    std::string expires_at;  // as the market wrote it: the terms repeat it to the byte
    Instant expires;
    std::uint64_t counter = 0;
};
struct NodeTicket {
    NodeId id;
    std::string tier;  // as the market claims; the verdict is the client's own
};
struct Match {
    Job job;
    NodeTicket node;
};

Result<Job> parse_job(const sealing::Json& value);
// {"job": {...}, "node": {...}} anywhere in an answer; `upstream_failed` if either is malformed.
Result<Match> parse_match(const sealing::Json& answer);

// The clear metadata of one exchange, RFC 8785: what the market checks and the seal binds.
std::string terms_document(const Job& job, const Quantities& bound);

// Percent-encodes everything outside RFC 3986's unreserved characters; and back (nothing if
// malformed).
std::string percent_encode(std::string_view text);
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace cocoon::client
