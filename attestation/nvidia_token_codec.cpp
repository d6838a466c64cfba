#include "attestation/nvidia_token_codec.hpp"

#include <algorithm>

#include "attestation/json.hpp"

namespace cocoon::attestation {
namespace {

constexpr std::size_t key_id_bytes_max = 256;
constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t text_bytes_max = 256;
constexpr std::size_t key_certificates_max = 4;

Error malformed(const char* why) { return refuse(ErrorCode::malformed_request, why); }

// Printable and short, as every text claim that is shown or compared is; empty otherwise.
std::string short_text_at(const Json& object, std::string_view name) {
    const auto text = text_at(object, name);
    const auto printable = [](char c) { return c >= 0x20 && c < 0x7F; };
    if (!text || text->size() > text_bytes_max ||
        !std::all_of(text->begin(), text->end(), printable))
        return {};
    return *text;
}

std::optional<bool> flag_at(const Json& object, std::string_view name) {
    const Json* found = member(object, name);
    return found && found->is_boolean() ? std::optional{found->get<bool>()} : std::nullopt;
}

bool is_name(const std::string& text) {
    return !text.empty() && text.size() <= name_bytes_max &&
           std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                      c == '-' || c == '_' || c == '.';
           });
}

// A JWK's coordinates: exactly 48 bytes each.
std::optional<PublicKey> point_of(const Json& key) {
    Bytes point;
    for (const char* name : {"x", "y"}) {
        const auto text = text_at(key, name);
        const auto bytes = text ? from_base64url(*text) : std::nullopt;
        if (!bytes || bytes->size() != 48) return std::nullopt;
        point.insert(point.end(), bytes->begin(), bytes->end());
    }
    auto read = PublicKey::from_point(Curve::p384, point);
    return read ? std::optional{std::move(*read)} : std::nullopt;
}

std::optional<std::vector<Bytes>> certificates_of(const Json& key) {
    const Json* listed = member(key, "x5c");
    std::vector<Bytes> out;
    if (!listed) return out;
    if (!listed->is_array() || listed->size() > key_certificates_max) return std::nullopt;
    for (const Json& one : *listed) {
        auto der = one.is_string() ? from_base64(one.get_ref<const std::string&>()) : std::nullopt;
        if (!der) return std::nullopt;
        out.push_back(std::move(*der));
    }
    return out;
}

// {"GPU-0": ["DIGEST", ["SHA-256", hex]], ...}
std::optional<std::map<std::string, Digest256>> digests_of(const Json* submods) {
    if (!submods || !submods->is_object() || submods->size() > nvidia_token_devices_max)
        return std::nullopt;
    std::map<std::string, Digest256> out;
    for (const auto& [name, value] : submods->items()) {
        if (!is_name(name) || !value.is_array() || value.size() != 2 || value[0] != "DIGEST" ||
            !value[1].is_array() || value[1].size() != 2 || value[1][0] != "SHA-256" ||
            !value[1][1].is_string())
            return std::nullopt;
        const auto digest = from_hex(value[1][1].get_ref<const std::string&>());
        Digest256 bytes{};
        if (!digest || digest->size() != bytes.size()) return std::nullopt;
        std::copy(digest->begin(), digest->end(), bytes.begin());
        out.emplace(name, bytes);
    }
    return out;
}

// A certificate's serial number, which the service writes in decimal, as lower-case hex.
std::string hex_of_decimal(std::string_view decimal) {
    Bytes number;  // lowest byte first
    if (decimal.empty() || decimal.size() > 64) return {};
    for (const char digit : decimal) {
        if (digit < '0' || digit > '9') return {};
        unsigned carry = static_cast<unsigned>(digit - '0');
        for (std::uint8_t& byte : number) {
            carry += byte * 10u;
            byte = static_cast<std::uint8_t>(carry);
            carry >>= 8;
        }
        if (carry) number.push_back(static_cast<std::uint8_t>(carry));
    }
    std::reverse(number.begin(), number.end());
    return number.empty() ? "00" : to_hex(number);
}

NvidiaTokenDevice device_of(const Json& claims) {
    NvidiaTokenDevice out;
    out.product = short_text_at(claims, "hwmodel");
    out.ueid = short_text_at(claims, "ueid");
    out.manufacturer = short_text_at(claims, "oemid");
    out.driver_version = short_text_at(claims, "x-nvidia-gpu-driver-version");
    out.vbios_version = short_text_at(claims, "x-nvidia-gpu-vbios-version");
    out.measurements = short_text_at(claims, "measres");
    out.debug = short_text_at(claims, "dbgstat");
    out.secure_boot = flag_at(claims, "secboot");
    out.nonce_matches = flag_at(claims, "x-nvidia-gpu-attestation-report-nonce-match");
    out.signature_right = flag_at(claims, "x-nvidia-gpu-attestation-report-signature-verified");
    out.leaf_serial = hex_of_decimal(out.ueid);
    return out;
}

Result<Json> object_of(std::string_view base64url) {
    const auto bytes = from_base64url(base64url);
    if (!bytes) return malformed("a part of a token is not base64url");
    auto document = parse_json(as_text(*bytes), nvidia_answer_bytes_max);
    if (!document || !document->is_object())
        return malformed("a part of a token is not a JSON object");
    return document;
}

}  // namespace

Result<NvidiaKeySet> parse_nvidia_key_set(std::string_view json) {
    const auto document = parse_json(json, nvidia_key_set_bytes_max);
    if (!document) return document.error();
    const Json* listed = array_at(*document, "keys");
    if (!listed || listed->size() > nvidia_keys_max)
        return malformed("the document is not a key set, or holds too many keys");
    NvidiaKeySet out;
    for (const Json& key : *listed) {
        const auto id = text_at(key, "kid");
        if (!id || id->empty() || id->size() > key_id_bytes_max)
            return malformed("a key of the set has no id");
        if (text_at(key, "kty") != "EC" || text_at(key, "crv") != "P-384") continue;
        const auto algorithm = text_at(key, "alg");
        const auto use = text_at(key, "use");
        if ((algorithm && *algorithm != "ES384") || (use && *use != "sig")) continue;
        auto point = point_of(key);
        auto certificates = certificates_of(key);
        if (!point || !certificates) return malformed("a key of the set cannot be read");
        if (!out.keys.emplace(*id, NvidiaKeySet::Key{std::move(*point), std::move(*certificates)})
                 .second)
            return malformed("a key id occurs twice in the set");
    }
    return out;
}

Result<NvidiaAnswer> parse_nvidia_answer(std::string_view json) {
    const auto document = parse_json(json, nvidia_answer_bytes_max);
    if (!document) return document.error();
    const auto refused = [] {
        return malformed("the answer is not a pair of an overall token and device tokens");
    };
    if (!document->is_array() || document->size() != 2) return refused();
    const Json& pair = (*document)[0];
    const Json& devices = (*document)[1];
    if (!pair.is_array() || pair.size() != 2 || pair[0] != "JWT" || !pair[1].is_string() ||
        !devices.is_object() || devices.size() > nvidia_token_devices_max)
        return refused();
    NvidiaAnswer out;
    out.overall = pair[1].get<std::string>();
    for (const auto& [name, token] : devices.items()) {
        if (!is_name(name) || !token.is_string()) return refused();
        out.devices.emplace(name, token.get<std::string>());
    }
    return out;
}

Result<NvidiaToken> parse_nvidia_token(std::string_view compact) {
    const std::size_t first = compact.find('.');
    const std::size_t second = first == compact.npos ? first : compact.find('.', first + 1);
    if (second == compact.npos || compact.find('.', second + 1) != compact.npos)
        return malformed("a token has not three parts");
    const auto header = object_of(compact.substr(0, first));
    if (!header) return header.error();
    const auto claims = object_of(compact.substr(first + 1, second - first - 1));
    if (!claims) return claims.error();
    auto signature = from_base64url(compact.substr(second + 1));
    if (!signature) return malformed("a token's signature is not base64url");
    // RFC 7515, 4.1.11: whoever does not understand a critical header parameter must refuse.
    if (header->contains("crit")) return malformed("a token has critical header parameters");
    NvidiaToken out;
    out.algorithm = text_at(*header, "alg").value_or("");
    out.key_id = text_at(*header, "kid").value_or("");
    out.signed_text = compact.substr(0, second);
    out.signature = std::move(*signature);
    out.issuer = text_at(*claims, "iss");
    out.nonce = text_at(*claims, "eat_nonce");
    out.not_before = integer_at(*claims, "nbf");
    out.expires = integer_at(*claims, "exp");
    if (const Json* overall = member(*claims, "x-nvidia-overall-att-result"))
        out.overall = overall->dump().substr(0, text_bytes_max);
    out.claims_version = short_text_at(*claims, "x-nvidia-ver");
    out.digests = digests_of(member(*claims, "submods"));
    out.device = device_of(*claims);
    return out;
}

}  // namespace cocoon::attestation
