// One call of an SDK, from its body to the last byte of its answer: inspect, order (or a session's
// slot), verify the node, seal, exchange, forward as it arrives. Runs on one worker thread and
// blocks there; the SDK's hang-up stops it at once. Knows nodes only through sealed exchanges.
#pragma once

#include <memory>

#include "client/exchange.hpp"
#include "client/market_api.hpp"
#include "client/openai.hpp"
#include "client/receipts.hpp"
#include "client/sessions.hpp"
#include "client/trust.hpp"
#include "net/http_server.hpp"

namespace cocoon::client {

// What all calls share. Outlives every call.
struct CallServices {
    const Config& config;
    const Clock& clock;
    MarketApi& market;
    TrustStore& trust;
    SessionPool& sessions;
    ReceiptKeeper& receipts;
};

// Answers `exchange`, whatever happens.
//
// What is tried again (at most calls.attempts_max times, with growing pauses and jitter, a market's
// Retry-After honoured up to retry_pause_max):
//   the order           when the market could not be reached, answered 429, or failed to store it:
//                       the Idempotency-Key makes the second one the first one
//   the whole call      when the market refused the exchange before the node answered (rematched,
//                       reservation expired or superseded, node away), or could not be reached at
//                       all
// Not tried again: anything after the first byte of the answer, and an exchange whose fate is
// unknown; a node may have worked, and the work would be paid twice.
void serve_call(const CallServices& services, Endpoint endpoint,
                std::shared_ptr<net::Exchange> exchange);

constexpr Duration retry_pause_max = seconds(2);

}  // namespace cocoon::client
