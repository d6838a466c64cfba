// Receipts: what a node says it did, signed with a key of its keyset (ACI receipt, RFC 8785 and
// Ed25519) with our `market.job` event, and the market's cosignature around it. Called by node
// (build, sign), market (verify, cosign), client and auditors (verify offline). Pure functions on
// plain values; verifying does not check that the cost follows from price and usage: callers
// compare with cost_of. The market sees receipts, so hashes are of sealed bytes, never of
// plaintext.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/money.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "sealing/keyset.hpp"
#include "sealing/signing.hpp"

namespace cocoon::sealing {

constexpr std::string_view aci_version = "aci/1";
constexpr std::string_view job_event_type = "market.job";
constexpr std::size_t receipt_bytes_max = 64 << 10;
constexpr std::size_t receipt_events_max = 64;

// nanoTON: four per million tokens, then each.
struct ReceiptPrices {
    std::int64_t prompt = 0;
    std::int64_t cached = 0;
    std::int64_t completion = 0;
    std::int64_t reasoning = 0;
    std::int64_t request = 0;
    std::int64_t gpu_second = 0;
    bool operator==(const ReceiptPrices&) const = default;
};

// Disjoint quantities: a cached prompt token is not also a prompt token.
struct ReceiptUsage {
    std::int64_t prompt = 0;
    std::int64_t cached = 0;
    std::int64_t completion = 0;
    std::int64_t reasoning = 0;
    std::int64_t requests = 0;
    std::int64_t gpu_seconds = 0;
    bool operator==(const ReceiptUsage&) const = default;
};

enum class ReceiptStatus { completed, partial, failed };
std::string_view to_text(ReceiptStatus status);

// ceil((tokens x price per million) + requests x price + gpu_seconds x price), one rounding at the
// end: what node and client compute. The market's own is matching::cost, and every receipt compares
// the two. `arithmetic_overflow` beyond int64; `malformed_request` if a number is negative.
Result<Nano> cost_of(const ReceiptPrices& price, const ReceiptUsage& usage);

struct JobReceipt {
    std::string receipt_id;
    std::string job;      // "job_1"
    std::string request;  // "req_1"
    std::string node;     // "node_1"
    std::string market;   // "inference:<model>"
    std::string model;    // ACI's `model`
    std::string build;    // may be empty
    std::string chat_id;  // ACI's `chat_id`: the engine's id of the answer; may be empty
    ReceiptPrices prices;
    ReceiptUsage usage;
    Nano cost;
    Digest sealed_request_sha256{};
    Digest sealed_response_sha256{};
    ReceiptStatus status = ReceiptStatus::completed;
    // Sessions: the n-th exchange, and sums over exchanges 1..n. 0: not a session (sums ignored).
    std::uint64_t session_counter = 0;
    ReceiptUsage cumulative_usage;
    Nano cumulative_cost;
    std::string endpoint;  // "/v1/chat/completions"
    std::string method;    // "POST"
    Instant served_at;     // whole seconds
    bool operator==(const JobReceipt&) const = default;
};

// The signed document, canonical. `malformed_request` if a field is outside its limits.
Result<std::string> sign_receipt(const JobReceipt& receipt, const Keyset& keyset,
                                 std::string_view key_id, const SigningKey& key);

// Why a receipt does not verify; the wire name is the enumerator's.
enum class ReceiptFault {
    malformed,  // not JSON, a missing or wrong field, over a limit
    wrong_api_version,
    wrong_keyset,          // names another keyset digest
    unknown_key,           // key_id is not an Ed25519 key of the keyset
    bad_signature_format,  // not 128 lower-case hex characters
    bad_signature,
    wrong_event_order,  // the first event is not request.received
    no_job_event,       // no market.job event, or more than one
    bad_job_event,
    hash_mismatch,  // the job event and the ACI events disagree about the sealed bytes
    bad_cosignature,
    wrong_market_key,
};
std::string_view to_text(ReceiptFault fault);

struct VerifiedReceipt {
    std::string document;  // canonical, with the signature
    std::string digest;    // "sha256:<hex>" of `document`: what the money posting carries
    std::string receipt_id;
    std::string key_id;
    std::optional<JobReceipt> job;  // when a market.job event is there
};

// Result-like, with a typed reason beside the Error (whose code is always `receipt_invalid`).
struct ReceiptRefusal {
    ReceiptFault fault;
    std::string detail;
    Error error() const;
};
class ReceiptVerdict {
public:
    ReceiptVerdict(VerifiedReceipt receipt) : receipt_{std::move(receipt)} {}
    ReceiptVerdict(ReceiptRefusal refusal) : refusal_{std::move(refusal)} {}
    explicit operator bool() const { return receipt_.has_value(); }
    // REQUIRES: verified.
    const VerifiedReceipt& receipt() const {
        ENSURE(receipt_);
        return *receipt_;
    }
    // REQUIRES: refused.
    const ReceiptRefusal& refusal() const {
        ENSURE(refusal_);
        return *refusal_;
    }

private:
    std::optional<VerifiedReceipt> receipt_;
    std::optional<ReceiptRefusal> refusal_;
};

// Any ACI receipt in any JSON spelling; a market.job event is optional but must be right if there.
ReceiptVerdict verify_receipt(std::string_view document, const Keyset& keyset);
// A receipt of ours: also requires the event.
ReceiptVerdict verify_job_receipt(std::string_view document, const Keyset& keyset);

// ---- The market's cosignature -------------------------------------------------------------------

// {"cosignature": {key_id, public_key, signature}, "receipt": <the signed receipt>}, canonical. The
// signature is Ed25519 over "cocoon-market/receipt-cosignature/v1" || 0x00 || canonical receipt.
// REQUIRES of the caller: the receipt was verified.
Result<std::string> cosign_receipt(std::string_view receipt_document,
                                   std::string_view market_key_id, const SigningKey& market_key);
// The same for a receipt that is canonical already, as VerifiedReceipt::document is.
std::string cosign_canonical(std::string_view receipt, std::string_view market_key_id,
                             const SigningKey& market_key);
// Checks the envelope: the market's signature by `market_key` and the node's by `keyset`.
ReceiptVerdict verify_cosigned(std::string_view envelope, const Keyset& keyset,
                               const PublicKey& market_key);
// The receipt inside an envelope, canonical, unchecked: to find out which keyset it needs.
Result<std::string> receipt_of_envelope(std::string_view envelope);

}  // namespace cocoon::sealing
