// sealing_vectors DIR: runs every case under DIR/hpke, DIR/ohttp and DIR/aci against this build's
// sealing library and closes with "N passed, N failed". Exit status: 0 all passed, 1 otherwise.
// Files are told apart by what their cases hold, so other folders of the same layout run too; keys
// that a case has and we do not know are ignored, keys that it lacks fail that case only.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/encoding.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/hpke.hpp"
#include "sealing/keyset.hpp"
#include "sealing/ohttp.hpp"
#include "sealing/receipt.hpp"
#include "sealing/statement.hpp"
#include "sealing/varint.hpp"

namespace {

using namespace cocoon;
using namespace cocoon::sealing;

// Why a case failed; thrown by the checks and caught where cases are counted.
struct CaseFailed {
    std::string why;
};

void expect(bool holds, std::string why) {
    if (!holds) throw CaseFailed{std::move(why)};
}

template <class T>
T take(Result<T> result, const char* what) {
    if (!result) throw CaseFailed{std::string{what} + " was refused: " + result.error().detail};
    return std::move(*result);
}

Bytes hex_at(const Json& test, const char* name) {
    const auto text = test.text_at(name);
    expect(text.has_value(), std::string{"the case has no text "} + name);
    auto bytes = from_hex(*text);
    expect(bytes.has_value(), std::string{"the case's "} + name + " is not hex");
    return std::move(*bytes);
}

Bytes hex_or_empty(const Json& test, const char* name) {
    const Json* found = test.find(name);
    return found && !found->is_null() ? hex_at(test, name) : Bytes{};
}

bool has(const Json& test, const char* name) {
    const Json* found = test.find(name);
    return found && !found->is_null();
}

std::int64_t integer_at(const Json& test, const char* name) {
    const auto number = test.integer_at(name);
    expect(number.has_value(), std::string{"the case has no number "} + name);
    return *number;
}

SealingKey key_at(const Json& test, const char* name) {
    return take(SealingKey::from_private(hex_at(test, name)), name);
}

PublicKey public_key_of(const Bytes& bytes) {
    expect(bytes.size() == 32, "a public key has not 32 bytes");
    PublicKey out{};
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
}

bool same(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

// ---- hpke ---------------------------------------------------------------------------------------

std::optional<Aead> suite_of(const Json& test) {
    if (integer_at(test, "kem_id") != hpke::kem_x25519_hkdf_sha256) return std::nullopt;
    if (integer_at(test, "kdf_id") != hpke::kdf_hkdf_sha256) return std::nullopt;
    const std::int64_t aead = integer_at(test, "aead_id");
    return aead < 0 || aead > 0xFFFF ? std::nullopt : find_aead(static_cast<std::uint16_t>(aead));
}

// What a vector gives to both sides, kept alive while views point into it.
struct HpkeInputs {
    hpke::Mode mode;
    Bytes info, psk, psk_id;
    std::optional<SealingKey> sender;
    std::optional<PublicKey> sender_public;

    explicit HpkeInputs(const Json& test)
        : mode{static_cast<hpke::Mode>(integer_at(test, "mode"))},
          info{hex_or_empty(test, "info")},
          psk{hex_or_empty(test, "psk")},
          psk_id{hex_or_empty(test, "psk_id")} {
        if (has(test, "skSm")) sender = key_at(test, "skSm");
        if (has(test, "pkSm")) sender_public = public_key_of(hex_at(test, "pkSm"));
        if (!sender_public && sender) sender_public = sender->public_key();
    }
    hpke::ReceiverOptions receiver() const {
        return {mode, info, {psk, psk_id}, sender_public ? &*sender_public : nullptr};
    }
};

void check_derivation(const Json& test, const char* material, const char* private_key,
                      const char* public_key) {
    if (!has(test, material)) return;
    const SealingKey derived = take(hpke::derive_key_pair(hex_at(test, material)), material);
    expect(same(derived.private_key().view(), hex_at(test, private_key)),
           "another private key is derived");
    if (has(test, public_key))
        expect(same(derived.public_key(), hex_at(test, public_key)),
               "another public key is derived");
}

void check_encryptions(const Json& test, hpke::Context& sender, hpke::Context& receiver) {
    const Json* listed = test.find("encryptions");
    std::vector<const Json*> order;
    if (listed)
        for (const Json& encryption : listed->items()) order.push_back(&encryption);
    std::stable_sort(order.begin(), order.end(), [](const Json* a, const Json* b) {
        return a->integer_at("seq").value_or(0) < b->integer_at("seq").value_or(0);
    });
    std::int64_t position = 0;
    for (const Json* encryption : order) {
        const std::int64_t sequence = encryption->integer_at("seq").value_or(position);
        position = sequence + 1;
        const std::string at = " at sequence " + std::to_string(sequence);
        const Bytes aad = hex_or_empty(*encryption, "aad");
        const Bytes plaintext = hex_or_empty(*encryption, "pt");
        const Bytes ciphertext = hex_at(*encryption, "ct");
        take(sender.skip_to(static_cast<std::uint64_t>(sequence)).has_value()
                 ? Result<bool>{true}
                 : Result<bool>{refuse(ErrorCode::limit_reached)},
             "sequence");
        expect(receiver.skip_to(static_cast<std::uint64_t>(sequence)).has_value(), "sequence");
        expect(same(take(sender.seal(aad, plaintext), "sealing"), ciphertext),
               "another ciphertext" + at);
        expect(same(take(receiver.open(aad, ciphertext), "opening"), plaintext),
               "another plaintext" + at);
    }
}

void run_hpke_vector(const Json& test) {
    const auto aead = suite_of(test);
    expect(aead.has_value(), "the suite is not supported");
    const HpkeInputs inputs{test};
    check_derivation(test, "ikmE", "skEm", "pkEm");
    check_derivation(test, "ikmR", "skRm", "pkRm");
    check_derivation(test, "ikmS", "skSm", "pkSm");
    const SealingKey ephemeral = key_at(test, "skEm");
    const SealingKey receiver_key = key_at(test, "skRm");
    hpke::SenderOptions options{inputs.mode,
                                inputs.info,
                                {inputs.psk, inputs.psk_id},
                                inputs.sender ? &*inputs.sender : nullptr,
                                &ephemeral};
    hpke::Sender sender =
        take(hpke::setup_sender(*aead, receiver_key.public_key(), options), "sender set-up");
    const Bytes enc = hex_at(test, "enc");
    expect(same(sender.encapsulated_key, enc), "another encapsulated key");
    hpke::Context receiver =
        take(hpke::setup_receiver(*aead, receiver_key, enc, inputs.receiver()), "receiver set-up");
    if (*aead == Aead::export_only)
        expect(!sender.context.seal({}, {}) && !receiver.open({}, Bytes(16)),
               "an export-only context sealed");
    else
        check_encryptions(test, sender.context, receiver);
    const Json* exports = test.find("exports");
    if (!exports) return;
    for (const Json& wanted : exports->items()) {
        const Bytes context = hex_or_empty(wanted, "exporter_context");
        const auto length = static_cast<std::size_t>(integer_at(wanted, "L"));
        const Bytes value = hex_at(wanted, "exported_value");
        for (hpke::Context* side : {&sender.context, &receiver})
            expect(same(take(side->export_secret(context, length), "export").view(), value),
                   "another export");
    }
}

Result<Bytes> open_hpke(const Json& test) {
    const auto aead = suite_of(test);
    if (!aead) return refuse(ErrorCode::sealed_message_invalid, "the suite is not supported");
    const HpkeInputs inputs{test};
    auto context = hpke::setup_receiver(*aead, key_at(test, "skRm"), hex_or_empty(test, "enc"),
                                        inputs.receiver());
    if (!context) return context.error();
    const std::int64_t sequence = test.integer_at("seq").value_or(0);
    if (const auto at = context->skip_to(static_cast<std::uint64_t>(sequence)); !at)
        return at.error();
    return context->open(hex_or_empty(test, "aad"), hex_or_empty(test, "ct"));
}

void run_hpke_opening(const Json& test) {
    const Result<Bytes> opened = open_hpke(test);
    if (test.text_at("expect") == "ok") {
        expect(opened.has_value(), "it does not open");
        if (has(test, "pt"))
            expect(same(*opened, hex_at(test, "pt")), "it opens to something else");
    } else {
        expect(!opened.has_value(), "it opens and must not");
    }
}

// ---- ohttp --------------------------------------------------------------------------------------

// One exchange through either variant, with the same questions to both.
struct Exchange {
    ohttp::GatewayKey gateway;
    std::optional<SealingKey> ephemeral;
    Aead aead;
    Bytes response_nonce;

    explicit Exchange(const Json& test)
        : gateway{take(ohttp::parse_key_config(hex_at(test, "key_config")), "key_config"),
                  key_at(test, "skR")},
          aead{gateway.config.preferred().value_or(Aead::aes_128_gcm)},
          response_nonce{hex_or_empty(test, "response_nonce")} {
        if (has(test, "skE")) ephemeral = key_at(test, "skE");
        if (const auto id = test.integer_at("aead_id")) {
            const auto found = find_aead(static_cast<std::uint16_t>(*id));
            expect(found.has_value(), "the AEAD is not supported");
            aead = *found;
        }
        // The examples of the specifications have no separate nonce: it opens the response.
        if (response_nonce.empty() && has(test, "enc_response")) {
            const Bytes response = hex_at(test, "enc_response");
            const std::size_t size = std::max(aead_nonce_bytes, aead_key_bytes(aead));
            response_nonce.assign(
                response.begin(),
                response.begin() + static_cast<std::ptrdiff_t>(std::min(size, response.size())));
        }
    }
    ohttp::ClientOptions client() const { return {{}, aead, ephemeral ? &*ephemeral : nullptr}; }
};

void run_single(const Json& test, std::string_view expected) {
    const Exchange exchange{test};
    const auto opened =
        ohttp::GatewayRequest::open({&exchange.gateway, 1}, hex_at(test, "enc_request"));
    if (expected == "request_fail") return expect(!opened, "the gateway opens it and must not");
    expect(opened.has_value(), "the gateway refuses it");
    const Bytes request = hex_at(test, "request_bhttp");
    expect(same(opened->request(), request), "the gateway opens something else");
    expect(exchange.ephemeral.has_value(), "the case has no skE");
    const auto client = take(
        ohttp::ClientRequest::seal(exchange.gateway.config, request, exchange.client()), "sealing");
    expect(same(client.sealed(), hex_at(test, "enc_request")), "the client seals another request");
    if (!has(test, "enc_response")) return;
    const Bytes sealed = hex_at(test, "enc_response");
    const Result<Bytes> response = client.open_response(sealed);
    if (expected == "response_fail") return expect(!response, "the client opens it and must not");
    expect(response.has_value(), "the client refuses the response");
    const Bytes plain = hex_at(test, "response_bhttp");
    expect(same(*response, plain), "the client opens something else");
    expect(same(take(opened->seal_response(plain, exchange.response_nonce), "response"), sealed),
           "the gateway seals another response");
}

// Feeds `sealed` in pieces of `step` bytes and ends the stream.
template <class Opener>
Result<Bytes> open_stream(Opener& opener, ByteView sealed, std::size_t step) {
    Bytes out;
    while (!sealed.empty()) {
        const ByteView piece = sealed.first(std::min(step, sealed.size()));
        sealed = sealed.subspan(piece.size());
        const Result<Bytes> plain = opener.feed(piece);
        if (!plain) return plain.error();
        out.insert(out.end(), plain->begin(), plain->end());
    }
    const Result<Bytes> last = opener.finish();
    if (!last) return last.error();
    out.insert(out.end(), last->begin(), last->end());
    return out;
}

// Sizes of the plaintext chunks of a sealed stream, the final one last. REQUIRES: it opens.
std::vector<std::size_t> chunk_sizes(ByteView framed) {
    std::vector<std::size_t> sizes;
    while (const auto length = read_varint(framed)) {
        framed = framed.subspan(length->size);
        if (length->value == 0) {
            sizes.push_back(framed.size() - aead_tag_bytes);
            return sizes;
        }
        sizes.push_back(length->value - aead_tag_bytes);
        framed = framed.subspan(length->value);
    }
    return sizes;
}

// Seals `plain` in the very chunks that `framed` has; nothing when a chunk is larger than we send.
template <class Sealer>
std::optional<Bytes> seal_like(Sealer& sealer, ByteView plain, ByteView framed) {
    const std::vector<std::size_t> sizes = chunk_sizes(framed);
    if (sizes.empty() ||
        *std::max_element(sizes.begin(), sizes.end()) > ohttp::sealed_chunk_bytes_default)
        return std::nullopt;
    Bytes out;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const ByteView piece = plain.first(sizes[i]);
        plain = plain.subspan(sizes[i]);
        const Bytes sealed =
            take(i + 1 < sizes.size() ? sealer.seal(piece) : sealer.finish(piece), "chunk");
        out.insert(out.end(), sealed.begin(), sealed.end());
    }
    return out;
}

constexpr std::size_t request_prefix_bytes =
    ohttp::request_header_bytes + hpke::encapsulated_key_bytes;

void run_chunked_in_steps(const Json& test, std::string_view expected, std::size_t step) {
    const Exchange exchange{test};
    const Bytes sealed = hex_at(test, "enc_request");
    ohttp::ChunkedRequestOpener opener{{exchange.gateway}, {}};
    const Result<Bytes> opened = open_stream(opener, sealed, step);
    if (expected == "request_fail") return expect(!opened, "the gateway opens it and must not");
    expect(opened.has_value(), "the gateway refuses it");
    const Bytes request = hex_at(test, "request_bhttp");
    expect(same(*opened, request), "the gateway opens something else");
    expect(exchange.ephemeral.has_value(), "the case has no skE");
    auto client = take(
        ohttp::ChunkedRequestSealer::start(exchange.gateway.config, exchange.client()), "sealing");
    auto response_opener = client.response_opener();
    const auto resealed =
        seal_like(client, request, ByteView{sealed}.subspan(request_prefix_bytes));
    if (resealed) expect(same(*resealed, sealed), "the client seals another request");
    if (!has(test, "enc_response")) return;
    const Bytes sealed_response = hex_at(test, "enc_response");
    const Result<Bytes> response = open_stream(response_opener, sealed_response, step);
    if (expected == "response_fail") return expect(!response, "the client opens it and must not");
    expect(response.has_value(), "the client refuses the response");
    const Bytes plain = hex_at(test, "response_bhttp");
    expect(same(*response, plain), "the client opens something else");
    auto sealer = take(opener.response_sealer(exchange.response_nonce), "response");
    const auto answered =
        seal_like(sealer, plain, ByteView{sealed_response}.subspan(exchange.response_nonce.size()));
    if (answered) expect(same(*answered, sealed_response), "the gateway seals another response");
}

void run_exchange(const Json& test) {
    const std::string_view expected = test.text_at("expect").value_or("ok");
    // A gateway without usable keys refuses everything.
    if (expected == "request_fail" && !ohttp::parse_key_config(hex_at(test, "key_config"))) return;
    const std::string_view info = test.text_at("info").value_or("");
    const bool chunked = test.text_at("kind") == "chunked" || has(test, "chunk_nonces") ||
                         info.find(to_hex(as_bytes("chunked"))) != std::string_view::npos;
    if (!chunked) return run_single(test, expected);
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20})
        run_chunked_in_steps(test, expected, step);
}

void run_key_list(const Json& test) {
    const auto configs = ohttp::parse_key_list(hex_at(test, "ohttp_keys"));
    if (test.text_at("expect") != "ok")
        return expect(!configs, "the list is taken and must not be");
    expect(configs.has_value(), "the list is refused");
    const Json* ids = test.find("key_ids");
    if (!ids) return;
    expect(ids->items().size() == configs->size(), "another number of configurations");
    for (std::size_t i = 0; i < configs->size(); ++i)
        expect(ids->items()[i].integer() == (*configs)[i].key_id, "other key ids");
}

// ---- aci ----------------------------------------------------------------------------------------

bool wanted(const Json& test) { return test.text_at("expect").value_or("ok") == "ok"; }

// A document stands in a case as text, or as the JSON value itself.
std::string document_at(const Json& test, const char* name) {
    const Json* found = test.find(name);
    expect(found != nullptr, std::string{"the case has no "} + name);
    const auto text = found->text();
    return text ? std::string{*text} : found->serialize();
}

void run_keyset(const Json& test) {
    const auto keyset = parse_keyset(document_at(test, "document"));
    if (!wanted(test)) return expect(!keyset, "the keyset is taken and must not be");
    expect(keyset.has_value(), keyset ? "" : "the keyset is refused: " + keyset.error().detail);
    if (has(test, "jcs")) expect(keyset->document == test.text_at("jcs"), "another canonical form");
    if (has(test, "digest")) expect(keyset->digest == test.text_at("digest"), "another digest");
}

void run_statement(const Json& test) {
    const auto digest = test.text_at("keyset_digest");
    const Json* nonce = test.find("nonce");
    const bool typed = digest && (!nonce || nonce->is_null() || nonce->text());
    std::optional<std::string_view> nonce_text;
    if (nonce) nonce_text = nonce->text();
    const auto statement =
        typed ? attestation_statement(*digest, nonce_text)
              : Result<std::string>{refuse(ErrorCode::malformed_request, "not text")};
    if (!wanted(test)) return expect(!statement, "the statement is made and must not be");
    expect(statement.has_value(), "the statement is refused");
    if (has(test, "statement"))
        expect(*statement == test.text_at("statement"), "another statement");
    const ReportData data = take(report_data_for(*digest, nonce_text), "report data");
    Bytes slot = hex_at(test, "report_data");
    expect(slot.size() <= data.size(), "the report data is too long");
    slot.resize(data.size());
    expect(same(data, slot), "other report data");
}

void run_session(const Json& test) {
    const auto id = session_id(document_at(test, "document"));
    if (!wanted(test))
        return expect(!id || *id != test.text_at("session_id"),
                      "the session is taken, must not be");
    expect(id.has_value() && *id == test.text_at("session_id"), "another session id");
}

void run_receipt(const Json& test) {
    const auto keyset = parse_keyset(document_at(test, "keyset"));
    if (!keyset) return expect(!wanted(test), "the keyset is refused: " + keyset.error().detail);
    const ReceiptVerdict verdict = verify_receipt(document_at(test, "document"), *keyset);
    if (!wanted(test)) return expect(!verdict, "the receipt verifies and must not");
    if (!verdict)
        throw CaseFailed{"the receipt does not verify: " + verdict.refusal().error().detail};
}

// ---- Counting -----------------------------------------------------------------------------------

struct Tally {
    int passed = 0;
    int failed = 0;

    void run(const std::string& id, const Json& test, void (*check)(const Json&)) {
        std::string why;
        try {
            check(test);
            ++passed;
            return;
        } catch (const CaseFailed& failure) {
            if (test.text_at("expect") == "either") {  // both answers are fine, a crash is not
                ++passed;
                return;
            }
            why = failure.why;
        } catch (const std::exception& failure) {
            why = std::string{"exception: "} + failure.what();
        }
        ++failed;
        const std::string_view what =
            test.text_at("what") ? *test.text_at("what") : test.text_at("why").value_or("");
        std::printf("FAILED %s%s%s%s: %s\n", id.c_str(), what.empty() ? "" : " (",
                    std::string{what}.c_str(), what.empty() ? "" : ")", why.c_str());
    }
};

using Check = void (*)(const Json&);

Check check_for(const std::string& folder, const Json& test) {
    if (folder == "hpke")
        return test.find("encryptions") || test.find("exports") ? run_hpke_vector
               : test.find("ct")                                ? run_hpke_opening
                                                                : nullptr;
    if (folder == "ohttp")
        return test.find("ohttp_keys")    ? run_key_list
               : test.find("enc_request") ? run_exchange
                                          : nullptr;
    return nullptr;
}

Check check_for_section(std::string_view name) {
    if (name == "keysets") return run_keyset;
    if (name == "statements") return run_statement;
    if (name == "sessions") return run_session;
    if (name == "receipts") return run_receipt;
    return nullptr;
}

std::string id_of(const Json& test, const std::string& fallback) {
    return test.text_at("id") ? std::string{*test.text_at("id")} : fallback;
}

void run_document(const std::string& folder, const std::string& name, const Json& document,
                  Tally& tally) {
    const int before = tally.passed + tally.failed;
    const auto run_one = [&](const Json& test, const std::string& fallback, Check check) {
        if (check) tally.run(name + " " + id_of(test, fallback), test, check);
    };
    if (folder == "aci") {
        for (const auto& [section, cases] : document.members())
            for (std::size_t i = 0; i < cases.items().size(); ++i)
                run_one(cases.items()[i], section + "[" + std::to_string(i) + "]",
                        check_for_section(section));
    } else if (document.is_array()) {
        for (std::size_t i = 0; i < document.items().size(); ++i)
            run_one(document.items()[i], "[" + std::to_string(i) + "]",
                    check_for(folder, document.items()[i]));
    } else if (const Json* cases = document.find("cases")) {
        run_document(folder, name, *cases, tally);
        return;
    } else {
        run_one(document, "", check_for(folder, document));
    }
    if (tally.passed + tally.failed == before)
        std::printf("note: no case of ours in %s\n", name.c_str());
}

void run_file(const std::string& folder, const std::filesystem::path& path, Tally& tally) {
    const std::string name = folder + "/" + path.filename().string();
    std::ifstream file{path, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    const Result<Json> document = Json::parse(text, {256u << 20, 64, 10'000'000});
    if (!document) {
        ++tally.failed;
        std::printf("FAILED %s: %s\n", name.c_str(), document.error().detail.c_str());
        return;
    }
    run_document(folder, name, *document, tally);
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) {
        std::fprintf(stderr, "usage: sealing_vectors DIR\nDIR holds any of hpke/ ohttp/ aci/\n");
        return 1;
    }
    Tally tally;
    bool found = false;
    for (const std::string folder : {"hpke", "ohttp", "aci"}) {
        const std::filesystem::path directory = std::filesystem::path{arguments[1]} / folder;
        std::error_code failure;
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator{directory, failure})
            if (entry.path().extension() == ".json") files.push_back(entry.path());
        if (failure) continue;
        found = true;
        std::sort(files.begin(), files.end());
        for (const auto& file : files) run_file(folder, file, tally);
    }
    if (!found) std::fprintf(stderr, "%s holds none of hpke/ ohttp/ aci/\n", arguments[1]);
    std::printf("%d passed, %d failed\n", tally.passed, tally.failed);
    return found && tally.failed == 0 && tally.passed > 0 ? 0 : 1;
}
