// The JSON that node and market exchange: prices, quantities, terms, relay control frames. Called
// by relay, exchange and market_api; pure functions on plain values. Strict where the meaning is
// money; unknown frame types are no error. Must not know sockets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/encoding.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/receipt.hpp"

namespace cocoon::node {

// `malformed_request` for anything but an object of known names with decimal strings >= 0.
Result<sealing::ReceiptPrices> parse_price(const sealing::Json* value);
sealing::Json price_json(const sealing::ReceiptPrices& price);
// The same with integers; absent = 0.
Result<sealing::ReceiptUsage> parse_quantity(const sealing::Json* value);
sealing::Json quantity_json(const sealing::ReceiptUsage& quantity);

// Whether `usage` fits into `bound`: prompt and output side, requests, GPU-seconds.
bool fits(const sealing::ReceiptUsage& usage, const sealing::ReceiptUsage& bound);

// `usage` cut to `bound`: a node bills nothing beyond what was reserved, whatever its engine did,
// and the market refuses receipts that try.
sealing::ReceiptUsage cut_to(sealing::ReceiptUsage usage, const sealing::ReceiptUsage& bound);

// A sealed exchange as the market announces it.
struct OpenFrame {
    std::uint64_t stream = 0;
    std::string job, request, market, build;
    std::uint64_t fencing_token = 0;
    std::string terms;  // the bytes the client bound; checked by check_terms
    sealing::ReceiptPrices price;
    sealing::ReceiptUsage quantity;
    bool session = false;
};

// What the client and the node both bind.
struct Terms {
    sealing::ReceiptUsage quantity;
    Instant expires_at;
};
// Reads open.terms and compares every part with the frame: canonical, complete, nothing unknown,
// same job, market, fencing token and price, quantity within the job's, not expired at `at`.
// Errors: malformed_request, wrong_state (they differ), reservation_expired.
Result<Terms> check_terms(const OpenFrame& open, Instant at);

struct WelcomeFrame {
    std::string node, market_key;
    std::uint64_t window_bytes = 0;
};
struct DrainFrame {};
struct AttestFrame {};
struct ReceiptAckFrame {
    std::string job;
    std::uint64_t counter = 0;
    std::string refused, detail;  // why it will not be paid; empty: it is
};
// Running jobs of which the market has neither an exchange nor a receipt.
struct ReceiptsWantedFrame {
    std::vector<std::string> jobs;
};
struct AciAttestFrame {  // somebody wants our ACI report over their own nonce
    std::uint64_t ticket = 0;
    std::optional<std::string> nonce;
};
struct UnknownFrame {};
using ControlFrame = std::variant<WelcomeFrame, DrainFrame, AttestFrame, AciAttestFrame, OpenFrame,
                                  ReceiptAckFrame, ReceiptsWantedFrame, UnknownFrame>;

Result<ControlFrame> parse_control(std::string_view text);

std::string hello_frame();
struct FailedFrame {
    std::uint64_t stream = 0;
    std::string code;  // a wire name of the refusals' list
    std::string detail;
    bool started = false;
    std::string receipt;  // canonical document, may be empty
};
std::string failed_frame(const FailedFrame& frame);
std::string aci_failed_frame(std::uint64_t ticket, const std::string& detail);
std::string receipt_frame(const std::string& job, const std::string& receipt);
// There is no receipt of this job and there never will be: nobody need wait for it.
std::string no_receipt_frame(const std::string& job);

enum class FrameType : std::uint8_t {
    request_data = 0x01,
    request_end = 0x02,
    response_data = 0x11,
    response_end = 0x12,
    credit = 0x20,
    cancel = 0x21,
};
constexpr std::size_t frame_header_bytes = 9;  // type, stream id (big endian)
std::string binary_frame(FrameType type, std::uint64_t stream, std::string_view payload);
std::string credit_frame(std::uint64_t stream, std::uint32_t bytes);

struct BinaryFrame {
    FrameType type{};
    std::uint64_t stream = 0;
    std::string_view payload;
    std::uint32_t credit = 0;  // only for credit
};
// `malformed_request`: too short, an unknown type, a credit that is not 4 bytes, a cancel with
// payload.
Result<BinaryFrame> parse_binary(std::string_view bytes);

}  // namespace cocoon::node
