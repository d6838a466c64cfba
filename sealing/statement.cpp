#include "sealing/statement.hpp"

#include <algorithm>
#include <optional>

#include "core/encoding.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::sealing {
namespace {

constexpr std::string_view purpose = "aci.report_data.v1";

// `data` as the specification writes it: "data:<content type>;base64,<bytes>".
std::optional<Bytes> decode_data_uri(std::string_view data) {
    constexpr std::string_view scheme = "data:";
    constexpr std::string_view encoding = ";base64,";
    const std::size_t split = data.find(encoding);
    if (!data.starts_with(scheme) || split == std::string_view::npos) return std::nullopt;
    return from_base64(data.substr(split + encoding.size()));
}

// An abbreviated record, as lists have them, carries no data and cannot be checked here.
bool evidence_fits(const Json& session) {
    const Json* evidence = session.find("evidence");
    const Json* data = evidence ? evidence->find("data") : nullptr;
    if (!data) return true;
    const auto bytes = data->text() ? decode_data_uri(*data->text()) : std::nullopt;
    return bytes && evidence->text_at("digest") == digest_text(sha256(*bytes));
}

}  // namespace

std::string make_nonce() { return to_hex(random_bytes(32)); }

bool is_nonce(std::string_view text) { return parse_hex_32(text).has_value(); }

Result<std::string> attestation_statement(std::string_view keyset_digest,
                                          std::optional<std::string_view> nonce) {
    if (!parse_digest_text(keyset_digest))
        return refuse(ErrorCode::malformed_request,
                      "a keyset digest is sha256: and 64 lower-case hex characters");
    if (nonce && !is_nonce(*nonce))
        return refuse(ErrorCode::malformed_request, "a nonce is 64 lower-case hex characters");
    return Json::object({{"keyset_digest", keyset_digest},
                         {"nonce", nonce ? Json{*nonce} : Json{}},
                         {"purpose", purpose}})
        .canonical();
}

Result<ReportData> report_data_for(std::string_view keyset_digest,
                                   std::optional<std::string_view> nonce) {
    const Result<std::string> statement = attestation_statement(keyset_digest, nonce);
    if (!statement) return statement.error();
    const Digest digest = sha256(as_bytes(*statement));
    ReportData out{};
    std::copy(digest.begin(), digest.end(), out.begin());
    return out;
}

Result<std::string> session_id(std::string_view document) {
    const Result<Json> parsed = Json::parse(document);
    if (!parsed) return parsed.error();
    if (parsed->text_at("api_version") != "aci/1")
        return refuse(ErrorCode::malformed_request, "this is no session of aci/1");
    if (!evidence_fits(*parsed))
        return refuse(ErrorCode::malformed_request, "the evidence does not hash to its digest");
    return to_hex(sha256(as_bytes(parsed->canonical())));
}

}  // namespace cocoon::sealing
