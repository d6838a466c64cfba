#include "sealing/receipt.hpp"

#include <algorithm>
#include <array>

#include "core/encoding.hpp"
#include "core/ids.hpp"
#include "core/limits.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/decimal.hpp"

namespace cocoon::sealing {
namespace {

constexpr JsonLimits receipt_limits{receipt_bytes_max, 16, 4'000};
constexpr std::size_t text_bytes_max = 256;
constexpr std::int64_t unix_seconds_max = 253'402'300'799;  // the end of the year 9999
constexpr std::string_view cosignature_label = "cocoon-market/receipt-cosignature/v1";
constexpr std::string_view received_type = "request.received";
constexpr std::string_view returned_type = "response.returned";
constexpr std::string_view job_event_version = "1";

// ---- One table for each group of numbers, used by writer and reader -----------------------------

template <class Struct>
struct NumberField {
    const char* name;
    std::int64_t Struct::*member;
    std::int64_t max;
};

constexpr std::array<NumberField<ReceiptPrices>, 6> price_fields{{
    {"price_prompt_nano_per_mtok", &ReceiptPrices::prompt, limits::price_nano_max},
    {"price_cached_nano_per_mtok", &ReceiptPrices::cached, limits::price_nano_max},
    {"price_completion_nano_per_mtok", &ReceiptPrices::completion, limits::price_nano_max},
    {"price_reasoning_nano_per_mtok", &ReceiptPrices::reasoning, limits::price_nano_max},
    {"price_request_nano", &ReceiptPrices::request, limits::price_nano_max},
    {"price_gpu_second_nano", &ReceiptPrices::gpu_second, limits::price_nano_max},
}};

// The names get "usage_" or "cumulative_" before them.
constexpr std::array<NumberField<ReceiptUsage>, 6> usage_fields{{
    {"prompt_tokens", &ReceiptUsage::prompt, limits::tokens_max},
    {"cached_tokens", &ReceiptUsage::cached, limits::tokens_max},
    {"completion_tokens", &ReceiptUsage::completion, limits::tokens_max},
    {"reasoning_tokens", &ReceiptUsage::reasoning, limits::tokens_max},
    {"requests", &ReceiptUsage::requests, limits::tokens_max},
    {"gpu_seconds", &ReceiptUsage::gpu_seconds, limits::gpu_seconds_max},
}};

struct TextField {
    const char* name;
    std::string JobReceipt::*member;
    bool (*acceptable)(std::string_view text);
};

bool short_text(std::string_view text) { return !text.empty() && text.size() <= text_bytes_max; }
bool short_or_empty(std::string_view text) { return text.size() <= text_bytes_max; }
template <class IdType>
bool is_id(std::string_view text) {
    return IdType::parse(text).has_value();
}

constexpr std::array<TextField, 5> job_text_fields{{
    {"job", &JobReceipt::job, is_id<JobId>},
    {"request", &JobReceipt::request, is_id<RequestId>},
    {"node", &JobReceipt::node, is_id<NodeId>},
    {"market", &JobReceipt::market, short_text},
    {"build", &JobReceipt::build, short_or_empty},
}};

constexpr std::array<TextField, 3> document_text_fields{{
    {"receipt_id", &JobReceipt::receipt_id, short_text},
    {"endpoint", &JobReceipt::endpoint, short_text},
    {"method", &JobReceipt::method, short_text},
}};

// ACI writes null for what is not known; our structs hold an empty text.
constexpr std::array<TextField, 2> nullable_text_fields{{
    {"model", &JobReceipt::model, short_or_empty},
    {"chat_id", &JobReceipt::chat_id, short_or_empty},
}};

// ---- The market.job event -----------------------------------------------------------------------

void write_usage(Json& event, const char* prefix, const ReceiptUsage& usage) {
    for (const auto& field : usage_fields)
        event.set(std::string{prefix} + field.name, std::to_string(usage.*field.member));
}

bool read_usage(const Json& event, const char* prefix, ReceiptUsage& usage) {
    for (const auto& field : usage_fields) {
        const auto number = decimal(event.text_at(std::string{prefix} + field.name), field.max);
        if (!number) return false;
        usage.*field.member = *number;
    }
    return true;
}

Json job_event(const JobReceipt& receipt) {
    Json event = Json::object({{"type", job_event_type}, {"version", job_event_version}});
    for (const TextField& field : job_text_fields) event.set(field.name, receipt.*field.member);
    for (const auto& field : price_fields)
        event.set(field.name, std::to_string(receipt.prices.*field.member));
    write_usage(event, "usage_", receipt.usage);
    event.set("cost_nano", receipt.cost.text());
    event.set("sealed_request_sha256", to_hex(receipt.sealed_request_sha256));
    event.set("sealed_response_sha256", to_hex(receipt.sealed_response_sha256));
    event.set("status", to_text(receipt.status));
    event.set("session_counter", std::to_string(receipt.session_counter));
    if (receipt.session_counter != 0) {
        write_usage(event, "cumulative_", receipt.cumulative_usage);
        event.set("cumulative_cost_nano", receipt.cumulative_cost.text());
    }
    return event;
}

std::optional<ReceiptStatus> parse_status(std::string_view text) {
    for (const ReceiptStatus status :
         {ReceiptStatus::completed, ReceiptStatus::partial, ReceiptStatus::failed})
        if (to_text(status) == text) return status;
    return std::nullopt;
}

// The name of the first field that is wrong, or nothing.
std::optional<std::string> read_job_event(const Json& event, JobReceipt& receipt) {
    if (event.text_at("version") != job_event_version) return "version";
    for (const TextField& field : job_text_fields) {
        const auto text = event.text_at(field.name);
        if (!text || !field.acceptable(*text)) return field.name;
        receipt.*field.member = *text;
    }
    for (const auto& field : price_fields) {
        const auto number = decimal(event.text_at(field.name), field.max);
        if (!number) return field.name;
        receipt.prices.*field.member = *number;
    }
    if (!read_usage(event, "usage_", receipt.usage)) return "usage";
    const auto cost = decimal(event.text_at("cost_nano"), limits::amount_nano_max);
    if (!cost) return "cost_nano";
    receipt.cost = Nano{*cost};
    const auto request = parse_hex_32(event.text_at("sealed_request_sha256").value_or(""));
    const auto response = parse_hex_32(event.text_at("sealed_response_sha256").value_or(""));
    if (!request || !response) return "sealed hashes";
    receipt.sealed_request_sha256 = *request;
    receipt.sealed_response_sha256 = *response;
    const auto status = parse_status(event.text_at("status").value_or(""));
    if (!status) return "status";
    receipt.status = *status;
    const auto counter = decimal_64(event.text_at("session_counter"));
    if (!counter) return "session_counter";
    receipt.session_counter = *counter;
    if (*counter == 0) return std::nullopt;
    if (!read_usage(event, "cumulative_", receipt.cumulative_usage)) return "cumulative usage";
    const auto total = decimal(event.text_at("cumulative_cost_nano"), limits::amount_nano_max);
    if (!total) return "cumulative_cost_nano";
    receipt.cumulative_cost = Nano{*total};
    return std::nullopt;
}

// ---- The document around it ---------------------------------------------------------------------

Json receipt_document(const JobReceipt& receipt, const Keyset& keyset, std::string_view key_id) {
    Json document = Json::object({{"api_version", aci_version},
                                  {"key_id", key_id},
                                  {"workload_keyset_digest", keyset.digest},
                                  {"served_at", receipt.served_at.unix_seconds()}});
    for (const TextField& field : document_text_fields)
        document.set(field.name, receipt.*field.member);
    for (const TextField& field : nullable_text_fields) {
        const std::string& text = receipt.*field.member;
        document.set(field.name, text.empty() ? Json{} : Json{text});
    }
    // Our transport extension's rule for protected bodies (aci.md §7.4): hashes are of the sealed
    // bytes, because the market stores receipts and a hash of a short prompt gives the prompt away.
    Json events = Json::array();
    events.push(Json::object(
        {{"type", received_type}, {"body_hash", digest_text(receipt.sealed_request_sha256)}}));
    events.push(job_event(receipt));
    events.push(Json::object(
        {{"type", returned_type}, {"body_hash", digest_text(receipt.sealed_response_sha256)}}));
    document.set("event_log", std::move(events));
    return document;
}

ReceiptRefusal fault(ReceiptFault kind, std::string detail) { return {kind, std::move(detail)}; }

// ACI's own fields; fills what JobReceipt shares with them.
std::optional<ReceiptRefusal> read_document(const Json& document, JobReceipt& receipt) {
    const auto malformed = [](const std::string& name) {
        return fault(ReceiptFault::malformed, name + " is missing or not as it should be");
    };
    for (const TextField& field : document_text_fields) {
        const auto text = document.text_at(field.name);
        if (!text || !field.acceptable(*text)) return malformed(field.name);
        receipt.*field.member = *text;
    }
    for (const TextField& field : nullable_text_fields) {
        const Json* found = document.find(field.name);
        if (!found || found->is_null()) continue;
        const auto text = found->text();
        if (!text || !field.acceptable(*text)) return malformed(field.name);
        receipt.*field.member = *text;
    }
    const auto served_at = document.integer_at("served_at");
    if (!served_at || *served_at < 0 || *served_at > unix_seconds_max)
        return malformed("served_at");
    receipt.served_at = Instant{} + seconds(*served_at);
    return std::nullopt;
}

std::optional<ReceiptRefusal> check_signature(const Json& document, const Keyset& keyset) {
    if (document.text_at("api_version") != aci_version)
        return fault(ReceiptFault::wrong_api_version, "api_version is not aci/1");
    if (document.text_at("workload_keyset_digest") != keyset.digest)
        return fault(ReceiptFault::wrong_keyset, "the receipt names another keyset");
    const auto key_id = document.text_at("key_id");
    const ReceiptKey* key = key_id ? keyset.find_receipt_key(*key_id) : nullptr;
    if (!key) return fault(ReceiptFault::unknown_key, "key_id is not an ed25519 key of the keyset");
    const auto text = document.text_at("signature");
    const auto signature = text ? from_hex(*text) : std::nullopt;
    if (!signature || signature->size() != signature_bytes)
        return fault(ReceiptFault::bad_signature_format,
                     "signature is not 128 lower-case hex characters");
    Json unsigned_document = document;
    unsigned_document.erase("signature");
    if (!verify_signature(key->public_key, as_bytes(unsigned_document.canonical()), *signature))
        return fault(ReceiptFault::bad_signature,
                     "the signature is not the key's over this document");
    return std::nullopt;
}

struct Events {
    const Json* job = nullptr;
    std::optional<Digest> received;
    std::optional<Digest> returned;
};

std::optional<ReceiptRefusal> read_events(const Json& document, Events& events) {
    const Json* log = document.find("event_log");
    if (!log || !log->is_array() || log->items().size() > receipt_events_max)
        return fault(ReceiptFault::malformed, "event_log is not a list of at most 64 events");
    if (log->items().empty() || log->items().front().text_at("type") != received_type)
        return fault(ReceiptFault::wrong_event_order, "the first event is not request.received");
    for (const Json& event : log->items()) {
        const auto type = event.text_at("type");
        if (!type) return fault(ReceiptFault::malformed, "an event has no type");
        if (*type == job_event_type) {
            if (events.job)
                return fault(ReceiptFault::no_job_event, "there are two market.job events");
            events.job = &event;
        }
        if (*type != received_type && *type != returned_type && *type != "request.forwarded")
            continue;
        const auto hash = parse_digest_text(event.text_at("body_hash").value_or(""));
        if (!hash) return fault(ReceiptFault::malformed, std::string{*type} + " has no body_hash");
        std::optional<Digest>& place = *type == received_type ? events.received : events.returned;
        if (*type == "request.forwarded") continue;
        if (place) return fault(ReceiptFault::malformed, std::string{*type} + " occurs twice");
        place = *hash;
    }
    return std::nullopt;
}

std::optional<ReceiptRefusal> read_job(const Events& events, JobReceipt& receipt) {
    if (const auto wrong = read_job_event(*events.job, receipt))
        return fault(ReceiptFault::bad_job_event,
                     "market.job: " + *wrong + " is missing or not acceptable");
    // What we write back must be what was there: so no unknown member hides in the event.
    if (job_event(receipt) != *events.job)
        return fault(ReceiptFault::bad_job_event,
                     "market.job has a member that does not belong there");
    if (events.received != receipt.sealed_request_sha256 ||
        events.returned != receipt.sealed_response_sha256)
        return fault(ReceiptFault::hash_mismatch,
                     "market.job and the ACI events name different bytes");
    return std::nullopt;
}

// Everything but the signature.
std::optional<ReceiptRefusal> read_receipt(const Json& document, bool needs_job,
                                           std::optional<JobReceipt>& job,
                                           std::string& receipt_id) {
    JobReceipt receipt;
    if (auto refused = read_document(document, receipt)) return refused;
    Events events;
    if (auto refused = read_events(document, events)) return refused;
    if (needs_job && !events.job)
        return fault(ReceiptFault::no_job_event, "there is no market.job event");
    if (events.job)
        if (auto refused = read_job(events, receipt)) return refused;
    receipt_id = receipt.receipt_id;
    if (events.job) job = std::move(receipt);
    return std::nullopt;
}

ReceiptVerdict verify(const Json& document, const Keyset& keyset, bool needs_job) {
    if (!document.is_object())
        return fault(ReceiptFault::malformed, "the receipt is not an object");
    if (const auto refused = check_signature(document, keyset)) return *refused;
    VerifiedReceipt verified;
    if (const auto refused = read_receipt(document, needs_job, verified.job, verified.receipt_id))
        return *refused;
    verified.document = document.canonical();
    verified.digest = digest_text(sha256(as_bytes(verified.document)));
    verified.key_id = document.text_at("key_id").value_or("");
    return verified;
}

ReceiptVerdict verify_text(std::string_view text, const Keyset& keyset, bool needs_job) {
    const Result<Json> document = Json::parse(text, receipt_limits);
    if (!document) return fault(ReceiptFault::malformed, document.error().detail);
    return verify(*document, keyset, needs_job);
}

Bytes cosigned_bytes(std::string_view canonical_receipt) {
    Bytes out{cosignature_label.begin(), cosignature_label.end()};
    out.push_back(0);
    out.insert(out.end(), canonical_receipt.begin(), canonical_receipt.end());
    return out;
}

}  // namespace

Result<Nano> cost_of(const ReceiptPrices& price, const ReceiptUsage& usage) {
    __extension__ using Wide = __int128;
    constexpr Wide million = 1'000'000;
    for (const std::int64_t number :
         {price.prompt, price.cached, price.completion, price.reasoning, price.request,
          price.gpu_second, usage.prompt, usage.cached, usage.completion, usage.reasoning,
          usage.requests, usage.gpu_seconds})
        if (number < 0)
            return refuse(ErrorCode::malformed_request, "prices and usage cannot be negative");
    // At most six products of two int64: below 2^129 only in theory, so each side is bounded first.
    Wide sum = 0;
    const auto add = [&sum](std::int64_t count, std::int64_t each, Wide scale) {
        const Wide product = static_cast<Wide>(count) * each;
        Wide scaled = 0;
        return !__builtin_mul_overflow(product, scale, &scaled) &&
               !__builtin_add_overflow(sum, scaled, &sum);
    };
    const bool fits = add(usage.prompt, price.prompt, 1) && add(usage.cached, price.cached, 1) &&
                      add(usage.completion, price.completion, 1) &&
                      add(usage.reasoning, price.reasoning, 1) &&
                      add(usage.requests, price.request, million) &&
                      add(usage.gpu_seconds, price.gpu_second, million);
    const Wide rounded = fits ? sum / million + (sum % million != 0 ? 1 : 0) : 0;
    if (!fits || rounded > INT64_MAX)
        return refuse(ErrorCode::arithmetic_overflow, "the cost exceeds 64 bits");
    return Nano{static_cast<std::int64_t>(rounded)};
}

std::string_view to_text(ReceiptStatus status) {
    switch (status) {
        case ReceiptStatus::completed: return "completed";
        case ReceiptStatus::partial: return "partial";
        case ReceiptStatus::failed: break;
    }
    return "failed";
}

std::string_view to_text(ReceiptFault kind) {
    switch (kind) {
        case ReceiptFault::malformed: return "malformed";
        case ReceiptFault::wrong_api_version: return "wrong_api_version";
        case ReceiptFault::wrong_keyset: return "wrong_keyset";
        case ReceiptFault::unknown_key: return "unknown_key";
        case ReceiptFault::bad_signature_format: return "bad_signature_format";
        case ReceiptFault::bad_signature: return "bad_signature";
        case ReceiptFault::wrong_event_order: return "wrong_event_order";
        case ReceiptFault::no_job_event: return "no_job_event";
        case ReceiptFault::bad_job_event: return "bad_job_event";
        case ReceiptFault::hash_mismatch: return "hash_mismatch";
        case ReceiptFault::bad_cosignature: return "bad_cosignature";
        case ReceiptFault::wrong_market_key: break;
    }
    return "wrong_market_key";
}

Error ReceiptRefusal::error() const {
    return refuse(ErrorCode::receipt_invalid, std::string{to_text(fault)} + ": " + detail);
}

Result<std::string> sign_receipt(const JobReceipt& receipt, const Keyset& keyset,
                                 std::string_view key_id, const SigningKey& key) {
    const ReceiptKey* entry = keyset.find_receipt_key(key_id);
    if (!entry || entry->public_key != key.public_key())
        return refuse(ErrorCode::malformed_request, "the keyset does not list this receipt key");
    Json document = receipt_document(receipt, keyset, key_id);
    const std::string canonical = document.canonical();
    if (!is_utf8(canonical))
        return refuse(ErrorCode::malformed_request, "a receipt's text is not UTF-8");
    // A node must never sign what the market would not take.
    std::optional<JobReceipt> job;
    std::string receipt_id;
    if (const auto refused = read_receipt(document, true, job, receipt_id))
        return refuse(ErrorCode::malformed_request, refused->detail);
    document.set("signature", to_hex(key.sign(as_bytes(canonical))));
    std::string signed_document = document.canonical();
    if (signed_document.size() > receipt_bytes_max)
        return refuse(ErrorCode::malformed_request, "the receipt is over its size limit");
    return signed_document;
}

ReceiptVerdict verify_receipt(std::string_view document, const Keyset& keyset) {
    return verify_text(document, keyset, false);
}

ReceiptVerdict verify_job_receipt(std::string_view document, const Keyset& keyset) {
    return verify_text(document, keyset, true);
}

Result<std::string> cosign_receipt(std::string_view receipt_document_text,
                                   std::string_view market_key_id, const SigningKey& market_key) {
    const Result<Json> receipt = Json::parse(receipt_document_text, receipt_limits);
    if (!receipt) return receipt.error();
    return cosign_canonical(receipt->canonical(), market_key_id, market_key);
}

std::string cosign_canonical(std::string_view receipt, std::string_view market_key_id,
                             const SigningKey& market_key) {
    const Signature signature = market_key.sign(cosigned_bytes(receipt));
    const Json cosignature = Json::object({{"key_id", market_key_id},
                                           {"public_key", to_hex(market_key.public_key())},
                                           {"signature", to_hex(signature)}});
    // The two names are in canonical order already.
    return R"({"cosignature":)" + cosignature.canonical() + R"(,"receipt":)" +
           std::string{receipt} + "}";
}

ReceiptVerdict verify_cosigned(std::string_view envelope, const Keyset& keyset,
                               const PublicKey& market_key) {
    const Result<Json> parsed = Json::parse(envelope, receipt_limits);
    if (!parsed) return fault(ReceiptFault::malformed, parsed.error().detail);
    const Json* receipt = parsed->find("receipt");
    const Json* cosignature = parsed->find("cosignature");
    if (!receipt || !cosignature || parsed->members().size() != 2)
        return fault(ReceiptFault::malformed, "the envelope is not {cosignature, receipt}");
    if (cosignature->text_at("public_key") != to_hex(market_key))
        return fault(ReceiptFault::wrong_market_key,
                     "the cosignature is by another key than the market's");
    const auto signature = from_hex(cosignature->text_at("signature").value_or(""));
    const Bytes message = cosigned_bytes(receipt->canonical());
    if (!signature || !verify_signature(market_key, message, *signature))
        return fault(ReceiptFault::bad_cosignature, "the market's signature does not verify");
    return verify(*receipt, keyset, true);
}

Result<std::string> receipt_of_envelope(std::string_view envelope) {
    const Result<Json> parsed = Json::parse(envelope, receipt_limits);
    if (!parsed) return parsed.error();
    const Json* receipt = parsed->find("receipt");
    if (!receipt || !receipt->is_object())
        return refuse(ErrorCode::malformed_request, "the envelope holds no receipt");
    return receipt->canonical();
}

}  // namespace cocoon::sealing
