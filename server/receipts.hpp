// Whether a node's receipt is right for the exchange it closes, and the market's cosignature under
// it.
// Pure and CPU-heavy (two signatures, JSON): runs on worker threads. Knows no socket and no lane.
#pragma once

#include <optional>
#include <string>

#include "matching/types.hpp"
#include "sealing/receipt.hpp"

namespace cocoon::server {

// What the market itself knows about the exchange.
struct ReceiptExpectation {
    matching::Job job;
    std::string market;
    matching::QuantityVector bounds;              // of this exchange
    std::optional<sealing::Digest> request_hash;  // absent: not known any more (late receipts)
    std::optional<sealing::Digest> response_hash;
};

struct CheckedReceipt {
    std::string hash;                // hex SHA-256 of the receipt: what the money posting carries
    std::string cosigned;            // the envelope that is stored and handed out
    matching::QuantityVector usage;  // of this exchange
    matching::QuantityVector cumulative;  // of the session up to `counter`
    std::uint64_t counter = 0;            // 0: not a session
    sealing::ReceiptStatus status = sealing::ReceiptStatus::completed;
};

struct MarketSigner {
    std::string key_id;
    sealing::SigningKey key;
};

// receipt_invalid with the first thing that is wrong.
Result<CheckedReceipt> check_receipt(std::string_view document, const sealing::Keyset& keyset,
                                     const ReceiptExpectation& expected,
                                     const MarketSigner& signer);

}  // namespace cocoon::server
