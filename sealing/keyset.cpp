#include "sealing/keyset.hpp"

#include <algorithm>

#include "core/encoding.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::sealing {
namespace {

constexpr JsonLimits keyset_limits{64 << 10, 8, 2'000};
constexpr std::size_t entries_max = 64;
constexpr std::size_t text_bytes_max = 512;
constexpr std::int64_t unix_seconds_max = 253'402'300'799;  // the end of the year 9999

Error refused(std::string why) {
    return refuse(ErrorCode::malformed_request, "keyset: " + std::move(why));
}

bool short_text(std::string_view text) { return !text.empty() && text.size() <= text_bytes_max; }

// The array of that name; absent counts as empty unless `required`.
Result<const Json::Array*> entries_of(const Json& document, const char* name, bool required) {
    static const Json::Array none;
    const Json* found = document.find(name);
    if (!found && !required) return &none;
    if (!found || !found->is_array()) return refused(std::string{name} + " is not a list");
    if (found->items().size() > entries_max) return refused(std::string{name} + " is too long");
    return &found->items();
}

struct Entry {
    std::string_view key_id;
    std::string_view algorithm;
    std::string_view public_key;
};

Result<Entry> read_entry(const Json& entry, const char* name) {
    const auto key_id = entry.text_at("key_id");
    const auto algorithm = entry.text_at("algo");
    const auto public_key = entry.text_at("public_key");
    if (!key_id || !algorithm || !public_key || !short_text(*key_id))
        return refused(std::string{name} + " has an entry without key_id, algo and public_key");
    return Entry{*key_id, *algorithm, *public_key};
}

Result<void> read_receipt_keys(const Json& document, Keyset& keyset) {
    constexpr const char* name = "receipt_signing_keys";
    const auto entries = entries_of(document, name, true);
    if (!entries) return entries.error();
    for (const Json& item : **entries) {
        const Result<Entry> entry = read_entry(item, name);
        if (!entry) return entry.error();
        if (entry->algorithm != receipt_algorithm) continue;
        const auto key = parse_hex_32(entry->public_key);
        if (!key) return refused("an ed25519 key is not 64 lower-case hex characters");
        if (keyset.find_receipt_key(entry->key_id)) return refused("a receipt key id occurs twice");
        keyset.receipt_keys.push_back({std::string{entry->key_id}, *key});
    }
    return {};
}

Result<void> read_sealing_keys(const Json& document, Keyset& keyset) {
    constexpr const char* name = "e2ee_public_keys";
    const auto entries = entries_of(document, name, false);
    if (!entries) return entries.error();
    for (const Json& item : **entries) {
        const Result<Entry> entry = read_entry(item, name);
        if (!entry) return entry.error();
        if (entry->algorithm != ohttp_algorithm) continue;
        const std::optional<Bytes> encoded = from_hex(entry->public_key);
        if (!encoded) return refused("an OHTTP key configuration is not lower-case hex");
        Result<ohttp::KeyConfig> config = ohttp::parse_key_config(*encoded);
        if (!config) return refused(config.error().detail);
        for (const SealingKeyEntry& other : keyset.sealing_keys)
            if (other.key_id == entry->key_id || other.config.key_id == config->key_id)
                return refused("a sealing key id occurs twice");
        keyset.sealing_keys.push_back({std::string{entry->key_id}, std::move(*config)});
    }
    return {};
}

Result<void> read_tls_keys(const Json& document, Keyset& keyset) {
    constexpr const char* name = "tls_public_keys";
    const auto entries = entries_of(document, name, false);
    if (!entries) return entries.error();
    for (const Json& item : **entries) {
        const auto spki = item.text_at("spki_sha256");
        const auto digest = spki ? parse_hex_32(*spki) : std::nullopt;
        if (!digest) return refused("a TLS key has no spki_sha256 of 64 lower-case hex characters");
        TlsKey key{{}, *digest};
        if (const Json* domain = item.find("domain"); domain && !domain->is_null()) {
            const auto text = domain->text();
            if (!text || !short_text(*text))
                return refused("a TLS key's domain is not a short text");
            key.domain = *text;
        }
        keyset.tls_keys.push_back(std::move(key));
    }
    return {};
}

}  // namespace

const ReceiptKey* Keyset::find_receipt_key(std::string_view key_id) const {
    const auto found = std::find_if(receipt_keys.begin(), receipt_keys.end(),
                                    [&](const ReceiptKey& key) { return key.key_id == key_id; });
    return found == receipt_keys.end() ? nullptr : &*found;
}

Result<Keyset> parse_keyset(std::string_view document) {
    const Result<Json> parsed = Json::parse(document, keyset_limits);
    if (!parsed) return parsed.error();
    if (!parsed->is_object()) return refused("not an object");
    Keyset keyset;
    if (const Json* subject = parsed->find("subject"); subject && !subject->is_null()) {
        const auto text = subject->text();
        if (!text || text->size() > text_bytes_max)
            return refused("subject is not a short text or null");
        keyset.subject = std::string{*text};
    }
    const auto not_after = parsed->integer_at("not_after");
    if (!not_after || *not_after <= 0 || *not_after > unix_seconds_max)
        return refused("not_after is not a time in Unix seconds");
    keyset.not_after = Instant{} + seconds(*not_after);
    for (const auto read : {read_receipt_keys, read_sealing_keys, read_tls_keys})
        if (const Result<void> done = read(*parsed, keyset); !done) return done.error();
    keyset.document = parsed->canonical();
    keyset.digest = digest_text(sha256(as_bytes(keyset.document)));
    return keyset;
}

Result<Keyset> build_keyset(Keyset parts) {
    Json receipt_keys = Json::array();
    for (const ReceiptKey& key : parts.receipt_keys)
        receipt_keys.push(Json::object({{"algo", receipt_algorithm},
                                        {"key_id", key.key_id},
                                        {"public_key", to_hex(key.public_key)}}));
    Json sealing_keys = Json::array();
    for (const SealingKeyEntry& key : parts.sealing_keys)
        sealing_keys.push(Json::object({{"algo", ohttp_algorithm},
                                        {"key_id", key.key_id},
                                        {"public_key", to_hex(ohttp::encode(key.config))}}));
    Json tls_keys = Json::array();
    for (const TlsKey& key : parts.tls_keys) {
        Json entry = Json::object({{"spki_sha256", to_hex(key.spki_sha256)}});
        if (!key.domain.empty()) entry.set("domain", key.domain);
        tls_keys.push(std::move(entry));
    }
    Json document = Json::object();
    document.set("subject", parts.subject ? Json{*parts.subject} : Json{});
    document.set("not_after", parts.not_after.unix_seconds());
    document.set("receipt_signing_keys", std::move(receipt_keys));
    document.set("e2ee_public_keys", std::move(sealing_keys));
    document.set("tls_public_keys", std::move(tls_keys));
    // Read back, so that what we publish is what every reader accepts.
    return parse_keyset(document.canonical());
}

}  // namespace cocoon::sealing
