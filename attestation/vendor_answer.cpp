#include "attestation/vendor_answer.hpp"

#include "attestation/json.hpp"

namespace cocoon::attestation {
namespace {

Error malformed(const char* why) { return refuse(ErrorCode::malformed_request, why); }

// The text of a member of the outermost object, as it stands in `json`; a parser would write it
// anew, and a signature is over these very bytes. REQUIRES: `json` is a JSON object.
std::string_view raw_member(std::string_view json, std::string_view name) {
    const std::string quoted = "\"" + std::string{name} + "\"";
    std::size_t depth = 0, key_from = 0, value_from = 0;
    bool in_text = false, wanted = false;
    for (std::size_t i = 0; i < json.size(); ++i) {
        const char c = json[i];
        if (in_text) {
            if (c == '\\') ++i;
            in_text = c != '"';
            if (!in_text && depth == 1 && value_from == 0)
                wanted = json.substr(key_from, i + 1 - key_from) == quoted;
            continue;
        }
        const bool ends = depth == 1 && (c == ',' || c == '}');
        if (ends && wanted && value_from != 0) return json.substr(value_from, i - value_from);
        if (ends) value_from = 0, wanted = false;
        if (c == ':' && depth == 1 && value_from == 0) value_from = i + 1;
        if (c == '"') in_text = true, key_from = i;
        if (c == '{' || c == '[') ++depth;
        if (c == '}' || c == ']') --depth;
    }
    return {};
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    const std::size_t from = text.find_first_not_of(blanks);
    if (from == std::string_view::npos) return {};
    return text.substr(from, text.find_last_not_of(blanks) + 1 - from);
}

std::string lower_case(std::string_view text) {
    std::string out{text};
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    return out;
}

}  // namespace

Result<SignedText> read_signed_text(std::string_view answer, std::string_view name) {
    const auto document = parse_json(answer, vendor_answer_bytes_max);
    if (!document) return document.error();
    const Json* object = member(*document, name);
    if (!object || !object->is_object()) return malformed("the answer lacks the signed object");
    const auto signature = from_hex(lower_case(text_at(*document, "signature").value_or("")));
    if (!signature || signature->size() != 64) return malformed("the answer lacks its signature");
    // A name that is written with escapes is a member to the parser and none to the reader of text.
    const std::string_view text = trimmed(raw_member(answer, name));
    if (text.empty()) return malformed("the signed object is not named in plain letters");
    return SignedText{std::string{text}, *signature};
}

Result<std::string> read_issuer_chain(std::string_view header) {
    std::string chain;
    for (std::size_t i = 0; i < header.size(); ++i) {
        if (header[i] != '%') {
            chain += header[i];
            continue;
        }
        const auto byte = from_hex(lower_case(header.substr(i + 1, 2)));
        if (!byte || byte->size() != 1) return malformed("the issuer chain is not percent-encoded");
        chain += static_cast<char>(byte->front());
        i += 2;
    }
    if (const auto read = certificates_from_pem(chain); !read) return read.error();
    return chain;
}

Result<RevocationList> read_served_list(std::string_view body) {
    if (body.size() > vendor_answer_bytes_max) return malformed("the list is too long");
    const auto decoded = from_hex(lower_case(trimmed(body)));
    return RevocationList::from_der(decoded ? ByteView{*decoded} : as_bytes(body));
}

Result<Bytes> read_served_manifest(std::string_view answer) {
    const auto document = parse_json(answer, vendor_answer_bytes_max);
    if (!document) return document.error();
    auto manifest = from_base64(text_at(*document, "rim").value_or(""));
    if (!manifest || manifest->empty()) return malformed("the answer holds no manifest");
    return *std::move(manifest);
}

}  // namespace cocoon::attestation
