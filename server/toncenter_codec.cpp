#include "server/toncenter_codec.hpp"

#include <algorithm>
#include <charconv>

#include "attestation/json.hpp"

namespace cocoon::server::toncenter {
namespace {

using attestation::Json;
using attestation::member;
using attestation::text_at;
namespace ton = settlement::ton;

constexpr std::size_t words_bytes_max = 120;  // of a provider's refusal
constexpr std::size_t transactions_max = 1000;

Error malformed(const char* what) {
    return refuse(ErrorCode::malformed_request, std::string{"the answer has no "} + what);
}

// A provider's words, cut and without what does not belong in a log line.
std::string words_of(std::string_view text) {
    std::string words{text.substr(0, words_bytes_max)};
    std::replace_if(
        words.begin(), words.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c >= 0x7F || c < 0; }, ' ');
    return words;
}

// The result of a v2 envelope.
Result<Json> result_of(std::string_view answer) {
    auto document = attestation::parse_json(answer, answer_bytes_max);
    if (!document) return document.error();
    const Json* ok = member(*document, "ok");
    const bool has_result = member(*document, "result") != nullptr;
    if (!ok || !ok->is_boolean()) return malformed("ok");
    if (!ok->get<bool>())
        return refuse(ErrorCode::upstream_failed,
                      words_of(text_at(*document, "error").value_or("no reason given")));
    if (!has_result) return malformed("result");
    return Json(std::move((*document)["result"]));
}

template <class Integer>
std::optional<Integer> integer_in(std::string_view text) {
    Integer value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// A number, or its decimal text: the two servers behind the API differ in that.
template <class Integer>
std::optional<Integer> integer_at(const Json& object, std::string_view name) {
    if (const auto text = text_at(object, name)) return integer_in<Integer>(*text);
    const auto number = attestation::integer_at(object, name);
    if (!number || !std::in_range<Integer>(*number)) return std::nullopt;
    return static_cast<Integer>(*number);
}

std::optional<ton::TransactionId> id_at(const Json& object, std::string_view name) {
    const Json* id = member(object, name);
    if (!id) return std::nullopt;
    const auto lt = integer_at<std::uint64_t>(*id, "lt");
    const auto hash = text_at(*id, "hash");
    const auto bytes = hash ? from_base64(*hash) : std::nullopt;
    ton::TransactionId read;
    if (!lt || !bytes || bytes->size() != read.hash.size()) return std::nullopt;
    read.lt = *lt;
    std::copy(bytes->begin(), bytes->end(), read.hash.begin());
    if (read.lt == 0) read.hash = {};
    return read;
}

std::optional<ton::AccountStatus> status_at(const Json& object) {
    const auto state = text_at(object, "state");
    if (state == "active") return ton::AccountStatus::active;
    if (state == "uninitialized") return ton::AccountStatus::uninitialised;
    if (state == "frozen") return ton::AccountStatus::frozen;
    return std::nullopt;
}

// The only thing ever taken from a refusal's free text.
std::optional<int> exit_code_in(std::string_view text) {
    constexpr std::string_view mark = "exitcode=";
    const std::size_t at = text.find(mark);
    if (at == std::string_view::npos) return std::nullopt;
    text = text.substr(at + mark.size());
    return integer_in<int>(text.substr(0, text.find_first_not_of("-0123456789")));
}

}  // namespace

Result<ton::AccountView> read_account(std::string_view answer) {
    const auto result = result_of(answer);
    if (!result) return result.error();
    const Json* block = member(*result, "block_id");
    const auto seqno = block ? integer_at<std::uint32_t>(*block, "seqno") : std::nullopt;
    const auto at = integer_at<std::uint32_t>(*result, "sync_utime");
    const auto balance = integer_at<std::int64_t>(*result, "balance");
    const auto status = status_at(*result);
    const auto last = id_at(*result, "last_transaction_id");
    if (!seqno) return malformed("block_id.seqno");
    if (!at) return malformed("sync_utime");
    if (!balance || *balance < -1) return malformed("balance");
    if (!status) return malformed("state");
    if (!last) return malformed("last_transaction_id");
    // The older server says -1 where there is no account.
    const Nano coins{std::max<std::int64_t>(*balance, 0)};
    return ton::AccountView{*seqno, Instant{std::int64_t{*at} * 1'000'000}, coins, *status, *last};
}

Result<std::vector<ton::RawTransaction>> read_transactions(std::string_view answer) {
    const auto result = result_of(answer);
    if (!result) return result.error();
    if (!result->is_array() || result->size() > transactions_max)
        return malformed("list of transactions");
    std::vector<ton::RawTransaction> transactions;
    for (const Json& item : *result) {
        const auto id = id_at(item, "transaction_id");
        const auto data = text_at(item, "data");
        auto boc = data ? from_base64(*data) : std::nullopt;
        if (!id) return malformed("transaction_id");
        if (!boc) return malformed("data");
        transactions.push_back({*id, std::move(*boc)});
    }
    return transactions;
}

Result<ton::CellRef> read_parameter(std::string_view answer) {
    const auto result = result_of(answer);
    if (!result) return result.error();
    const Json* config = member(*result, "config");
    const auto text = config ? text_at(*config, "bytes") : std::nullopt;
    const auto boc = text ? from_base64(*text) : std::nullopt;
    if (!boc) return malformed("config.bytes");
    return ton::parse_boc(*boc);
}

std::string send_request(ByteView message) { return R"({"boc":")" + to_base64(message) + R"("})"; }

Result<void> read_sent(int status, std::string_view answer) {
    if (status == 200) {
        const auto document = attestation::parse_json(answer, answer_bytes_max);
        if (!document || !document->is_object()) return malformed("JSON object");
        // v3 has no `ok`; v2 may say 200 and no.
        const Json* ok = member(*document, "ok");
        if (!ok || (ok->is_boolean() && ok->get<bool>())) return {};
    }
    if (const auto exit_code = exit_code_in(answer))
        return refuse(ErrorCode::wrong_state, "exit code " + std::to_string(*exit_code));
    return refuse(ErrorCode::upstream_failed,
                  "answered " + std::to_string(status) + " to a message");
}

}  // namespace cocoon::server::toncenter
