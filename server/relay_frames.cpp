#include "server/relay_frames.hpp"

#include <array>
#include <charconv>

#include "core/limits.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::server {
namespace {

using sealing::Json;

constexpr std::array<std::pair<std::string_view, Nano matching::PriceVector::*>, 6> price_members{{
    {"prompt_nano_per_mtok", &matching::PriceVector::prompt},
    {"cached_nano_per_mtok", &matching::PriceVector::cached},
    {"completion_nano_per_mtok", &matching::PriceVector::completion},
    {"reasoning_nano_per_mtok", &matching::PriceVector::reasoning},
    {"request_nano", &matching::PriceVector::request},
    {"gpu_second_nano", &matching::PriceVector::gpu_second},
}};
constexpr std::array<std::pair<std::string_view, std::int64_t matching::QuantityVector::*>, 6>
    quantity_members{{
        {"prompt_tokens", &matching::QuantityVector::prompt},
        {"cached_tokens", &matching::QuantityVector::cached},
        {"completion_tokens", &matching::QuantityVector::completion},
        {"reasoning_tokens", &matching::QuantityVector::reasoning},
        {"requests", &matching::QuantityVector::requests},
        {"gpu_seconds", &matching::QuantityVector::gpu_seconds},
    }};

Json to_json(const matching::PriceVector& price) {
    Json object = Json::object();
    for (const auto& [name, member] : price_members)
        object.set(std::string{name}, (price.*member).text());
    return object;
}

Json to_json(const matching::QuantityVector& quantity) {
    Json object = Json::object();
    for (const auto& [name, member] : quantity_members)
        object.set(std::string{name}, quantity.*member);
    return object;
}

std::optional<std::uint64_t> decimal(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || failure != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    return value;
}

std::uint64_t big_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
}

void put_big_endian(std::string& out, std::uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(value >> shift & 0xff));
}

Error bad_control(std::string detail) {
    return refuse(ErrorCode::malformed_request, std::move(detail));
}
Error bad_terms(std::string why) {
    return Error{ErrorCode::invalid_body, "", {{"Cocoon-Terms:", std::move(why)}}};
}

Result<Control> parse_failed(const Json& object) {
    Failed failed;
    const auto stream = decimal(object.text_at("stream").value_or(""));
    if (!stream) return bad_control("`failed` without a stream");
    failed.stream = *stream;
    failed.code = std::string{object.text_at("code").value_or("upstream_failed")}.substr(0, 64);
    failed.detail = std::string{object.text_at("detail").value_or("")}.substr(0, 256);
    failed.started = object.boolean_at("started").value_or(false);
    const Json* receipt = object.find("receipt");
    if (receipt != nullptr && receipt->is_object()) failed.receipt = receipt->serialize();
    return Control{std::move(failed)};
}

template <class Vector, class Members, class Read>
bool read_members(const Json* object, Vector& vector, const Members& members, const Read& read) {
    if (object == nullptr || !object->is_object()) return false;
    std::size_t known = 0;
    for (const auto& [name, member] : members) {
        const Json* value = object->find(name);
        if (value == nullptr) continue;  // absent is zero
        if (!read(*value, vector.*member)) return false;
        ++known;
    }
    return known == object->members().size();
}

}  // namespace

std::optional<Frame> parse_frame(std::string_view message) {
    if (message.size() < frame_header_bytes) return std::nullopt;
    switch (static_cast<FrameType>(message[0])) {
        case FrameType::request_data:
        case FrameType::request_end:
        case FrameType::response_data:
        case FrameType::response_end:
        case FrameType::credit:
        case FrameType::cancel: break;
        default: return std::nullopt;
    }
    return Frame{static_cast<FrameType>(message[0]), big_endian(message.substr(1, 8)),
                 message.substr(frame_header_bytes)};
}

std::string make_frame(FrameType type, std::uint64_t stream, std::string_view payload) {
    std::string message;
    message.reserve(frame_header_bytes + payload.size());
    message.push_back(static_cast<char>(type));
    put_big_endian(message, stream, 8);
    message.append(payload);
    return message;
}

std::string make_credit(std::uint64_t stream, std::uint32_t bytes) {
    std::string payload;
    put_big_endian(payload, bytes, 4);
    return make_frame(FrameType::credit, stream, payload);
}

std::optional<std::uint32_t> parse_credit(std::string_view payload) {
    if (payload.size() != 4) return std::nullopt;
    const auto bytes = static_cast<std::uint32_t>(big_endian(payload));
    if (bytes == 0) return std::nullopt;
    return bytes;
}

Result<Control> parse_control(std::string_view message) {
    sealing::JsonLimits json_limits;
    json_limits.bytes_max = limits::relay_frame_bytes_max;
    json_limits.depth_max = 32;
    json_limits.values_max = 4'096;
    const auto parsed = Json::parse(message, json_limits);
    if (!parsed || !parsed->is_object())
        return bad_control("a control message must be a JSON object");
    const auto type = parsed->text_at("type");
    if (!type) return bad_control("a control message must have a type");
    if (*type == "hello") {
        const auto protocol = parsed->integer_at("protocol");
        if (!protocol) return bad_control("`hello` without a protocol");
        return Control{
            Hello{*protocol, std::string{parsed->text_at("program").value_or("")}.substr(0, 128)}};
    }
    if (*type == "failed") return parse_failed(*parsed);
    if (*type == "receipt") {
        const auto job = JobId::parse(parsed->text_at("job").value_or(""));
        const Json* receipt = parsed->find("receipt");
        if (!job || receipt == nullptr || !receipt->is_object())
            return bad_control("`receipt` without job or receipt");
        return Control{LateReceipt{*job, receipt->serialize()}};
    }
    if (*type == "no_receipt") {
        const auto job = JobId::parse(parsed->text_at("job").value_or(""));
        if (!job) return bad_control("`no_receipt` without a job");
        return Control{NoReceipt{*job}};
    }
    if (*type == "aci_failed") {
        const auto ticket = decimal(parsed->text_at("ticket").value_or(""));
        if (!ticket) return bad_control("`aci_failed` without a ticket");
        return Control{
            AciFailed{*ticket, std::string{parsed->text_at("detail").value_or("")}.substr(0, 256)}};
    }
    return Control{Unknown{std::string{type->substr(0, 64)}}};
}

std::string welcome_message(NodeId node, std::string_view market_key, std::size_t window_bytes) {
    return Json::object({{"type", "welcome"},
                         {"node", node.text()},
                         {"market_key", market_key},
                         {"window_bytes", static_cast<std::int64_t>(window_bytes)}})
        .serialize();
}

std::string drain_message() { return R"({"type":"drain"})"; }
std::string attest_message() { return R"({"type":"attest"})"; }

std::string aci_attest_message(std::uint64_t ticket, const std::optional<std::string>& nonce) {
    return Json::object({{"type", "aci_attest"},
                         {"ticket", std::to_string(ticket)},
                         {"nonce", nonce ? Json{*nonce} : Json{}}})
        .serialize();
}

std::string open_message(std::uint64_t stream, const matching::Job& job, std::string_view market,
                         std::string_view terms, std::string_view request_id) {
    return Json::object({{"type", "open"},
                         {"stream", std::to_string(stream)},
                         {"job", job.id.text()},
                         {"request", job.request.text()},
                         {"fencing_token", std::to_string(job.fencing_token)},
                         {"market", market},
                         {"build", job.build},
                         {"session", job.session},
                         {"price", to_json(job.price)},
                         {"quantity", to_json(job.quantity)},
                         {"expires_at", job.expires_at.text()},
                         {"terms", terms},
                         {"request_id", request_id}})
        .serialize();
}

std::string receipt_ack_message(JobId job, std::uint64_t counter) {
    return Json::object(
               {{"type", "receipt_ack"}, {"job", job.text()}, {"counter", std::to_string(counter)}})
        .serialize();
}

std::string receipts_wanted_message(std::span<const JobId> jobs) {
    Json list = Json::array();
    for (const JobId job : jobs) list.push(job.text());
    return Json::object({{"type", "receipts_wanted"}, {"jobs", std::move(list)}}).serialize();
}

// An older node takes it for the acknowledgement that it is, too: it stops sending the receipt.
std::string receipt_refused_message(JobId job, std::uint64_t counter, const Error& why) {
    return Json::object({{"type", "receipt_ack"},
                         {"job", job.text()},
                         {"counter", std::to_string(counter)},
                         {"refused", describe(why.code).name},
                         {"detail", why.detail}})
        .serialize();
}

Result<Terms> parse_terms(std::string_view bytes) {
    sealing::JsonLimits json_limits;
    json_limits.bytes_max = terms_bytes_max;
    json_limits.depth_max = 4;
    json_limits.values_max = 64;
    const auto parsed = Json::parse(bytes, json_limits);
    if (!parsed || !parsed->is_object()) return bad_terms("must be a JSON object");
    if (parsed->canonical() != bytes) return bad_terms("must be canonical JSON (RFC 8785)");
    Terms terms;
    const auto job = JobId::parse(parsed->text_at("job").value_or(""));
    const auto token = decimal(parsed->text_at("fencing_token").value_or(""));
    const auto market = parsed->text_at("market");
    const auto expires_at = Instant::parse(parsed->text_at("expires_at").value_or(""));
    if (parsed->integer_at("version") != 1) return bad_terms("/version must be 1");
    if (!job || !token || !market || !expires_at)
        return bad_terms("job, fencing_token, market or expires_at is missing");
    if (parsed->members().size() != 7) return bad_terms("has unknown members");
    const auto read_price = [](const Json& value, Nano& into) {
        const auto amount = Nano::parse(value.text().value_or(""));
        if (!amount || amount->value < 0) return false;
        into = *amount;
        return true;
    };
    const auto read_count = [](const Json& value, std::int64_t& into) {
        const auto count = value.integer();
        if (!count || *count < 0) return false;
        into = *count;
        return true;
    };
    if (!read_members(parsed->find("price"), terms.price, price_members, read_price))
        return bad_terms("/price is wrong");
    if (!read_members(parsed->find("quantity"), terms.quantity, quantity_members, read_count)) {
        return bad_terms("/quantity is wrong");
    }
    terms.job = *job;
    terms.fencing_token = *token;
    terms.market = std::string{*market};
    terms.expires_at = *expires_at;
    return terms;
}

}  // namespace cocoon::server
