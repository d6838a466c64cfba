#include "node/wire.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/ids.hpp"
#include "core/limits.hpp"
#include "sealing/statement.hpp"

namespace cocoon::node {
namespace {

using sealing::Json;
using sealing::ReceiptPrices;
using sealing::ReceiptUsage;

struct PriceName {
    const char* name;
    std::int64_t ReceiptPrices::*member;
};
constexpr std::array<PriceName, 6> price_names = {{
    {"prompt_nano_per_mtok", &ReceiptPrices::prompt},
    {"cached_nano_per_mtok", &ReceiptPrices::cached},
    {"completion_nano_per_mtok", &ReceiptPrices::completion},
    {"reasoning_nano_per_mtok", &ReceiptPrices::reasoning},
    {"request_nano", &ReceiptPrices::request},
    {"gpu_second_nano", &ReceiptPrices::gpu_second},
}};
struct QuantityName {
    const char* name;
    std::int64_t ReceiptUsage::*member;
};
constexpr std::array<QuantityName, 6> quantity_names = {{
    {"prompt_tokens", &ReceiptUsage::prompt},
    {"cached_tokens", &ReceiptUsage::cached},
    {"completion_tokens", &ReceiptUsage::completion},
    {"reasoning_tokens", &ReceiptUsage::reasoning},
    {"requests", &ReceiptUsage::requests},
    {"gpu_seconds", &ReceiptUsage::gpu_seconds},
}};

Error malformed(std::string detail) {
    return refuse(ErrorCode::malformed_request, std::move(detail));
}

template <class Table>
bool knows(const Table& table, std::string_view name) {
    for (const auto& row : table)
        if (row.name == name) return true;
    return false;
}

// A decimal string, or a plain integer.
std::optional<std::uint64_t> number_at(const Json& object, std::string_view name) {
    if (const auto text = object.text_at(name)) {
        std::uint64_t value = 0;
        const auto [end, failure] =
            std::from_chars(text->data(), text->data() + text->size(), value);
        const bool plain =
            failure == std::errc{} && end == text->data() + text->size() && !text->empty();
        return plain && (text->size() == 1 || text->front() != '0') ? std::optional{value}
                                                                    : std::nullopt;
    }
    const auto value = object.integer_at(name);
    return value && *value >= 0 ? std::optional{static_cast<std::uint64_t>(*value)} : std::nullopt;
}

std::string text_or_empty(const Json& object, std::string_view name) {
    return std::string{object.text_at(name).value_or("")};
}

Result<ControlFrame> parse_open(const Json& frame) {
    OpenFrame open;
    const auto stream = number_at(frame, "stream");
    const auto fencing = number_at(frame, "fencing_token");
    open.job = text_or_empty(frame, "job");
    open.request = text_or_empty(frame, "request");
    open.market = text_or_empty(frame, "market");
    open.build = text_or_empty(frame, "build");
    open.terms = text_or_empty(frame, "terms");
    open.session = frame.boolean_at("session").value_or(false);
    if (!stream || !fencing || !JobId::parse(open.job) || !RequestId::parse(open.request) ||
        open.market.empty())
        return malformed("an open frame lacks stream, job, request, market or fencing_token");
    open.stream = *stream;
    open.fencing_token = *fencing;
    const auto price = parse_price(frame.find("price"));
    if (!price) return price.error();
    const auto quantity = parse_quantity(frame.find("quantity"));
    if (!quantity) return quantity.error();
    open.price = *price;
    open.quantity = *quantity;
    return ControlFrame{std::move(open)};
}

}  // namespace

Result<ReceiptPrices> parse_price(const Json* value) {
    if (value == nullptr || !value->is_object()) return malformed("a price must be an object");
    ReceiptPrices price;
    for (const auto& [name, member] : value->members())
        if (!knows(price_names, name)) return malformed("a price has an unknown part");
    for (const PriceName& row : price_names) {
        const Json* given = value->find(row.name);
        if (given == nullptr || given->is_null()) continue;
        const auto nano = given->text() ? Nano::parse(*given->text()) : std::nullopt;
        if (!nano || nano->value < 0 || nano->value > limits::price_nano_max)
            return malformed(std::string{row.name} + " must be a decimal string");
        price.*row.member = nano->value;
    }
    return price;
}

Json price_json(const ReceiptPrices& price) {
    Json object = Json::object();
    for (const PriceName& row : price_names)
        object.set(row.name, std::to_string(price.*row.member));
    return object;
}

Result<ReceiptUsage> parse_quantity(const Json* value) {
    if (value == nullptr || !value->is_object()) return malformed("a quantity must be an object");
    ReceiptUsage quantity;
    for (const auto& [name, member] : value->members())
        if (!knows(quantity_names, name)) return malformed("a quantity has an unknown part");
    for (const QuantityName& row : quantity_names) {
        const Json* given = value->find(row.name);
        if (given == nullptr || given->is_null()) continue;
        const auto count = given->integer();
        if (!count || *count < 0 || *count > limits::tokens_max)
            return malformed(std::string{row.name} + " must be an integer >= 0");
        quantity.*row.member = *count;
    }
    return quantity;
}

Json quantity_json(const ReceiptUsage& quantity) {
    Json object = Json::object();
    for (const QuantityName& row : quantity_names) object.set(row.name, Json{quantity.*row.member});
    return object;
}

bool fits(const ReceiptUsage& usage, const ReceiptUsage& bound) {
    return usage.prompt + usage.cached <= bound.prompt + bound.cached &&
           usage.completion + usage.reasoning <= bound.completion + bound.reasoning &&
           usage.requests <= bound.requests && usage.gpu_seconds <= bound.gpu_seconds;
}

ReceiptUsage cut_to(ReceiptUsage usage, const ReceiptUsage& bound) {
    const std::int64_t prompt_side = bound.prompt + bound.cached;
    const std::int64_t output_side = bound.completion + bound.reasoning;
    usage.cached = std::min(usage.cached, prompt_side);
    usage.prompt = std::min(usage.prompt, prompt_side - usage.cached);
    usage.reasoning = std::min(usage.reasoning, output_side);
    usage.completion = std::min(usage.completion, output_side - usage.reasoning);
    usage.requests = std::min(usage.requests, bound.requests);
    usage.gpu_seconds = std::min(usage.gpu_seconds, bound.gpu_seconds);
    return usage;
}

Result<Terms> check_terms(const OpenFrame& open, Instant at) {
    const auto document = Json::parse(open.terms, {.bytes_max = 16 << 10});
    if (!document || !document->is_object() || document->canonical() != open.terms)
        return malformed("the terms are not canonical JSON");
    static constexpr std::array<std::string_view, 7> names = {
        "version", "job", "market", "fencing_token", "quantity", "price", "expires_at"};
    if (document->members().size() != names.size())
        return malformed("the terms lack something or hold too much");
    for (const std::string_view name : names)
        if (document->find(name) == nullptr)
            return malformed("the terms lack " + std::string{name});
    if (document->integer_at("version") != 1) return malformed("the terms are of another version");
    const auto price = parse_price(document->find("price"));
    if (!price) return price.error();
    const auto quantity = parse_quantity(document->find("quantity"));
    if (!quantity) return quantity.error();
    const auto expires_text = document->text_at("expires_at");
    const auto expires_at = expires_text ? Instant::parse(*expires_text) : std::nullopt;
    if (!expires_at) return malformed("the terms' expires_at is no instant");
    const Error differs =
        refuse(ErrorCode::wrong_state, "the client's terms are not those of the reservation");
    if (document->text_at("job") != open.job || document->text_at("market") != open.market)
        return differs;
    if (document->text_at("fencing_token") != std::to_string(open.fencing_token))
        return refuse(ErrorCode::stale_fencing_token,
                      "the client's terms name another fencing token");
    if (*price != open.price || !fits(*quantity, open.quantity)) return differs;
    if (at >= *expires_at)
        return refuse(ErrorCode::reservation_expired, "the reservation has expired");
    return Terms{*quantity, *expires_at};
}

Result<ControlFrame> parse_control(std::string_view text) {
    const auto frame = Json::parse(text);
    if (!frame || !frame->is_object()) return malformed("a control frame is no JSON object");
    const auto type = frame->text_at("type");
    if (!type) return malformed("a control frame has no type");
    if (*type == "open") return parse_open(*frame);
    if (*type == "drain") return ControlFrame{DrainFrame{}};
    if (*type == "attest") return ControlFrame{AttestFrame{}};
    if (*type == "welcome") {
        const auto window = number_at(*frame, "window_bytes");
        if (!window || *window == 0 || *window > (1u << 30))
            return malformed("welcome without a sensible window_bytes");
        return ControlFrame{WelcomeFrame{text_or_empty(*frame, "node"),
                                         text_or_empty(*frame, "market_key"), *window}};
    }
    if (*type == "receipt_ack") {
        const auto counter = number_at(*frame, "counter");
        ReceiptAckFrame ack{text_or_empty(*frame, "job"), counter.value_or(0),
                            text_or_empty(*frame, "refused"), text_or_empty(*frame, "detail")};
        if (!JobId::parse(ack.job) || !counter)
            return malformed("receipt_ack without job or counter");
        return ControlFrame{std::move(ack)};
    }
    if (*type == "receipts_wanted") {
        const Json* jobs = frame->find("jobs");
        if (jobs == nullptr || !jobs->is_array()) return malformed("receipts_wanted without jobs");
        ReceiptsWantedFrame wanted;
        for (const Json& job : jobs->items()) {
            wanted.jobs.emplace_back(job.text().value_or(""));
            if (!JobId::parse(wanted.jobs.back()))
                return malformed("receipts_wanted names what is no job");
        }
        return ControlFrame{std::move(wanted)};
    }
    if (*type == "aci_attest") {
        const auto ticket = number_at(*frame, "ticket");
        const auto nonce = frame->text_at("nonce");
        if (!ticket || (nonce && !sealing::is_nonce(*nonce)))
            return malformed("aci_attest without a ticket, or with a nonce that is none");
        AciAttestFrame asked{*ticket, {}};
        if (nonce) asked.nonce = std::string{*nonce};
        return ControlFrame{std::move(asked)};
    }
    return ControlFrame{UnknownFrame{}};
}

std::string hello_frame() {
    return Json::object({{"type", "hello"}, {"protocol", 1}, {"program", "cocoon-node 0.1.0"}})
        .serialize();
}

std::string failed_frame(const FailedFrame& frame) {
    std::string text = Json::object({{"type", "failed"},
                                     {"stream", std::to_string(frame.stream)},
                                     {"code", frame.code},
                                     {"detail", frame.detail},
                                     {"started", frame.started}})
                           .serialize();
    if (frame.receipt.empty()) return text;
    text.pop_back();
    return text + R"(,"receipt":)" + frame.receipt + "}";  // the signed bytes as they are
}

std::string aci_failed_frame(std::uint64_t ticket, const std::string& detail) {
    return Json::object(
               {{"type", "aci_failed"}, {"ticket", std::to_string(ticket)}, {"detail", detail}})
        .serialize();
}

std::string receipt_frame(const std::string& job, const std::string& receipt) {
    return R"({"type":"receipt","job":)" + Json{job}.serialize() + R"(,"receipt":)" + receipt + "}";
}

std::string no_receipt_frame(const std::string& job) {
    return Json::object({{"type", "no_receipt"}, {"job", job}}).serialize();
}

std::string binary_frame(FrameType type, std::uint64_t stream, std::string_view payload) {
    std::string frame;
    frame.reserve(frame_header_bytes + payload.size());
    frame += static_cast<char>(type);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(stream >> shift);
    frame += payload;
    return frame;
}

std::string credit_frame(std::uint64_t stream, std::uint32_t bytes) {
    std::string payload;
    for (int shift = 24; shift >= 0; shift -= 8) payload += static_cast<char>(bytes >> shift);
    return binary_frame(FrameType::credit, stream, payload);
}

Result<BinaryFrame> parse_binary(std::string_view bytes) {
    if (bytes.size() < frame_header_bytes) return malformed("a binary frame is too short");
    BinaryFrame frame;
    frame.type = static_cast<FrameType>(bytes.front());
    for (std::size_t i = 1; i < frame_header_bytes; ++i)
        frame.stream = frame.stream << 8 | static_cast<std::uint8_t>(bytes[i]);
    frame.payload = bytes.substr(frame_header_bytes);
    switch (frame.type) {
        case FrameType::request_data:
        case FrameType::request_end:
        case FrameType::response_data:
        case FrameType::response_end: return frame;
        case FrameType::cancel:
            if (!frame.payload.empty()) return malformed("a cancel carries nothing");
            return frame;
        case FrameType::credit:
            if (frame.payload.size() != 4) return malformed("a credit is four bytes");
            for (const char byte : frame.payload)
                frame.credit = frame.credit << 8 | static_cast<std::uint8_t>(byte);
            return frame;
    }
    return malformed("a binary frame of unknown type");
}

}  // namespace cocoon::node
