// Receipts as the client keeps and checks them: the signed receipt with the market's cosignature,
// the evidence of the node that signed it, and the hashes of the sealed messages. A bundle is
// checked offline by anyone (`cocoon-client verify`). Checking is pure; the keeper writes files
// from one background thread. No plaintext and no secret is ever in a bundle.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/market_api.hpp"
#include "client/trust.hpp"
#include "net/worker_pool.hpp"
#include "sealing/receipt.hpp"

namespace cocoon::client {

constexpr std::size_t bundle_bytes_max = 2 << 20;

// What is known of an exchange beside what the receipt says of itself.
struct ReceiptBundle {
    std::string envelope;  // {"cosignature": ..., "receipt": ...}, or the receipt alone
    std::string keyset_document;
    std::optional<NodeEvidence> evidence;
    std::optional<sealing::PublicKey> market_key;
    bool market_key_pinned = false;  // from the reader's own settings, not from the bundle
    std::optional<sealing::Digest> sealed_request_sha256, sealed_response_sha256;
    std::optional<Prices> price;      // the job's, as agreed before
    std::optional<Quantities> usage;  // as the answer said
};

std::string bundle_document(const ReceiptBundle& bundle);
// A bundle, an envelope or a bare receipt. `malformed_request`.
Result<ReceiptBundle> parse_bundle(std::string_view document);

struct ReceiptCheck {
    enum class Outcome { passed, failed, skipped };
    std::string name;  // "node_signature", stable
    Outcome outcome;
    std::string text;  // for people
};
std::string_view to_text(ReceiptCheck::Outcome outcome);

struct ReceiptReport {
    std::vector<ReceiptCheck> checks;
    std::optional<sealing::JobReceipt> job;
    std::string digest;  // "sha256:<hex>" of the signed receipt; empty unless it verified
    bool valid() const;  // no check failed, and the node's signature passed
};

// Checks, in order: node_signature, market_cosignature, cost, sealed_request, sealed_response,
// agreed_price, reported_usage, evidence (of the keyset, at the time the receipt was made).
ReceiptReport check_receipt(const ReceiptBundle& bundle, const attestation::Policy& policy);

// Checks and keeps the receipt of each answer, behind the caller's back; asks the market for it
// when it did not come with the answer.
class ReceiptKeeper {
public:
    // Keeps nothing when the settings name no directory; makes the directory otherwise.
    explicit ReceiptKeeper(MarketApi& market);
    ~ReceiptKeeper() { stop(); }
    void stop();  // finishes what is queued

    struct Answered {
        Job job;
        std::shared_ptr<const TrustedNode> node;
        std::string receipt;   // "job_9" or "job_9.3"
        std::string envelope;  // empty: ask the market
        sealing::Digest sealed_request_sha256, sealed_response_sha256;
        std::optional<Quantities> usage;
        bool whole = true;  // false: the answer was cut, a receipt may not exist
    };
    // Never blocks; when too many wait, the receipt is not kept (the market keeps it, too).
    void keep(Answered answered);

private:
    void check(const Answered& answered);
    std::optional<ReceiptBundle> bundle_of(const Answered& answered);
    void store(const std::string& name, const std::string& document);
    void forget_oldest();
    std::optional<sealing::PublicKey> market_key();

    MarketApi& market_;
    std::mutex mutex_;
    std::optional<sealing::PublicKey> market_key_;  // fetched once, unless pinned
    std::vector<std::string> kept_;                 // file names, oldest first; background thread
    net::WorkerPool pool_;
};

// Where the receipt of that id is kept: directory/job_9.json.
std::string receipt_path(const Config& config, std::string_view receipt);
// Whether it is a receipt id: "job_9" or "job_9.3".
bool is_receipt_id(std::string_view text);

}  // namespace cocoon::client
