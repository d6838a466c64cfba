// The relay's words on the wire: binary frames and control messages between market and node, and
// the clear terms of a sealed exchange. Pure functions on text, called by relay.cpp and tests. A
// frame is one WebSocket message: 1 byte type, 8 bytes stream (big endian), payload. Control is
// JSON {"type": …}. Knows no socket and decides nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "core/result.hpp"
#include "core/time.hpp"
#include "matching/types.hpp"

namespace cocoon::server {

constexpr std::size_t frame_header_bytes = 9;
constexpr std::size_t terms_bytes_max = 8 << 10;
constexpr std::size_t receipts_wanted_jobs_max = 1'000;  // in one message

enum class FrameType : std::uint8_t {
    request_data = 0x01,   // market -> node: sealed request bytes
    request_end = 0x02,    // market -> node
    response_data = 0x11,  // node -> market: sealed response bytes
    response_end = 0x12,   // node -> market: payload is the signed receipt
    credit = 0x20,         // both: payload u32 big endian, bytes the sender is ready to take more
    cancel = 0x21,         // market -> node: stop
};

struct Frame {
    FrameType type = FrameType::request_data;
    std::uint64_t stream = 0;
    std::string_view payload;  // into the message given
};

// Nothing if shorter than the header or of an unknown type.
std::optional<Frame> parse_frame(std::string_view message);
std::string make_frame(FrameType type, std::uint64_t stream, std::string_view payload = {});
std::string make_credit(std::uint64_t stream, std::uint32_t bytes);
// The payload of a credit frame: exactly four bytes, not zero.
std::optional<std::uint32_t> parse_credit(std::string_view payload);

// ---- Control, node -> market -------------------------------------------------------------------

struct Hello {
    std::int64_t protocol = 0;
    std::string program;
};
struct Failed {
    std::uint64_t stream = 0;
    std::string code, detail;
    bool started = false;
    std::string receipt;  // JSON text of the partial receipt; empty: none
};
struct LateReceipt {
    JobId job;
    std::string receipt;
};  // JSON text
// The answer to `receipts_wanted`, for each job of which there is no receipt and never will be.
struct NoReceipt {
    JobId job;
};
struct AciFailed {
    std::uint64_t ticket = 0;
    std::string detail;
};
struct Unknown {
    std::string type;
};  // of a newer protocol: ignored
using Control = std::variant<Hello, Failed, LateReceipt, NoReceipt, AciFailed, Unknown>;

// malformed_request unless it is an object with a "type" and, for a known type, its members.
Result<Control> parse_control(std::string_view message);

// ---- Control, market -> node -------------------------------------------------------------------

std::string welcome_message(NodeId node, std::string_view market_key, std::size_t window_bytes);
std::string drain_message();
std::string attest_message();
// The node is to make evidence over this nonce and post its ACI report under the ticket.
std::string aci_attest_message(std::uint64_t ticket, const std::optional<std::string>& nonce);
// `terms`: the bytes of the client's terms, as they are.
std::string open_message(std::uint64_t stream, const matching::Job& job, std::string_view market,
                         std::string_view terms, std::string_view request_id);
std::string receipt_ack_message(JobId job, std::uint64_t counter);
// The receipt will never be paid: the node is told why and may forget it.
std::string receipt_refused_message(JobId job, std::uint64_t counter, const Error& why);
// Jobs whose exchange no longer passes here and that are still running in the books. REQUIRES: at
// most receipts_wanted_jobs_max.
std::string receipts_wanted_message(std::span<const JobId> jobs);

// ---- Terms -------------------------------------------------------------------------------------

struct Terms {
    JobId job;
    std::string market;
    std::uint64_t fencing_token = 0;
    matching::QuantityVector quantity;  // bounds of this exchange
    matching::PriceVector price;
    Instant expires_at;
};
// The bytes must be canonical JSON (RFC 8785) with exactly the members of the contract; else
// invalid_body naming "Cocoon-Terms:".
Result<Terms> parse_terms(std::string_view bytes);

}  // namespace cocoon::server
