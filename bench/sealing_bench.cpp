// What the cryptography of one exchange costs, on one core: sealing and opening a request (both
// ends' X25519), sealing and opening one chunk of a stream, signing and verifying a receipt. Its
// anchors are OpenSSL's own primitives, in the same rounds. Prints one JSON object: microseconds,
// medians of rounds.
#include <openssl/evp.h>

#include <memory>

#include "bench/figure.hpp"
#include "core/encoding.hpp"
#include "sealing/keyset.hpp"
#include "sealing/ohttp.hpp"
#include "sealing/receipt.hpp"

namespace {

using namespace cocoon;
using namespace cocoon::sealing;
using bench::Figure;
using bench::give_up;
using bench::now_ns;

constexpr int rounds = 7;
constexpr std::size_t request_bytes = 2'048;
constexpr std::size_t chunk_bytes = 200;

template <class Value>
Value must(Result<Value> result) {
    if (!result)
        give_up(std::string{describe(result.error().code).name} + ": " + result.error().detail);
    return *std::move(result);
}

struct World {
    SealingKey sealing_key = SealingKey::generate();
    SigningKey receipt_key = SigningKey::generate();
    SigningKey market_key = SigningKey::generate();
    ohttp::KeyConfig config = ohttp::make_key_config(1, sealing_key.public_key());
    Keyset keyset;
    Bytes request = Bytes(request_bytes, 0x41), chunk = Bytes(chunk_bytes, 0x42), sealed;
    JobReceipt receipt;
    std::string document, cosigned;

    World() {
        Keyset parts;
        parts.receipt_keys.push_back({"receipt-1", receipt_key.public_key()});
        parts.sealing_keys.push_back({"ohttp-1", config});
        parts.not_after = Instant{4'000'000'000LL * 1'000'000};
        keyset = must(build_keyset(std::move(parts)));
        sealed = seal();
        receipt.receipt_id = receipt.job = "job_1";
        receipt.request = "req_1";
        receipt.node = "node_1";
        receipt.market = "inference:bench";
        receipt.model = "bench";
        receipt.usage.completion = 100;
        receipt.endpoint = "/v1/chat/completions";
        receipt.method = "POST";
        receipt.served_at = Instant{1'800'000'000LL * 1'000'000};
        document = sign();
        cosigned = must(cosign_receipt(document, "market-1", market_key));
    }

    Bytes seal() const {
        auto sealer = must(ohttp::ChunkedRequestSealer::start(config));
        Bytes bytes = must(sealer.seal(request));
        const Bytes last = must(sealer.finish());
        bytes.insert(bytes.end(), last.begin(), last.end());
        return bytes;
    }
    ohttp::ChunkedRequestOpener open() const {
        ohttp::ChunkedRequestOpener opener{{{config, sealing_key}}, {}};
        must(opener.feed(sealed));
        must(opener.finish());
        return opener;
    }
    std::string sign() const {
        return must(sign_receipt(receipt, keyset, "receipt-1", receipt_key));
    }
    void verify() const {
        if (!verify_job_receipt(document, keyset)) give_up("the receipt does not verify");
    }
    // Market and node at once, as one exchange pays it: sign, verify, cosign.
    void whole_receipt() const {
        const std::string made = sign();
        const auto verdict = verify_job_receipt(made, keyset);
        if (!verdict) give_up("the receipt does not verify");
        must(cosign_receipt(verdict.receipt().document, "market-1", market_key));
    }
};

// One AES-128-GCM seal and open of a chunk with a ready context: what a chunk cannot cost less
// than.
void bare_aead(const Bytes& chunk) {
    static const std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context{
        EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free};
    static const std::uint8_t key[16] = {1}, nonce[12] = {2};
    std::uint8_t sealed[chunk_bytes], tag[16], opened[chunk_bytes];
    int length = 0;
    static const bool ready =
        EVP_EncryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, key, nonce) == 1;
    EVP_CipherInit_ex(context.get(), nullptr, nullptr, nullptr, nonce, 1);
    EVP_CipherUpdate(context.get(), sealed, &length, chunk.data(), static_cast<int>(chunk.size()));
    EVP_CipherFinal_ex(context.get(), sealed + length, &length);
    EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, 16, tag);
    EVP_CipherInit_ex(context.get(), nullptr, nullptr, nullptr, nonce, 0);
    EVP_CipherUpdate(context.get(), opened, &length, sealed, static_cast<int>(chunk.size()));
    EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, 16, tag);
    if (!ready || EVP_CipherFinal_ex(context.get(), opened + length, &length) != 1)
        give_up("bare AEAD");
}

}  // namespace

int main() {
    const World world;
    // The streams of chunk figures run on: a context has 2^64 sequence numbers.
    auto client = must(ohttp::ChunkedRequestSealer::start(world.config));
    ohttp::ChunkedRequestOpener gateway{{{world.config, world.sealing_key}}, {}};
    must(gateway.feed(must(client.seal(world.request))));
    auto sealer = must(gateway.response_sealer());
    auto opener = client.response_opener({.total_bytes_max = std::size_t{1} << 40});
    const Bytes peer{world.sealing_key.public_key().begin(), world.sealing_key.public_key().end()};
    const SealingKey other = SealingKey::generate();
    Signature signature = world.receipt_key.sign(as_bytes(world.document));

    std::vector<Figure> figures{
        {"anchor_x25519", 400, [&] { must(other.exchange(peer)); }},
        {"anchor_aes_gcm_chunk_seal_open", 20'000, [&] { bare_aead(world.chunk); }},
        {"anchor_ed25519_sign", 400,
         [&] { signature = world.receipt_key.sign(as_bytes(world.document)); }},
        {"anchor_ed25519_verify", 200,
         [&] {
             if (!verify_signature(world.receipt_key.public_key(), as_bytes(world.document),
                                   signature))
                 give_up("signature");
         }},
        {"request_seal", 200, [&] { world.seal(); }},
        {"request_open", 200, [&] { world.open(); }},
        {"chunk_seal_open", 5'000, [&] { must(opener.feed(must(sealer.seal(world.chunk)))); }},
        {"receipt_sign", 200, [&] { world.sign(); }},
        {"receipt_verify", 200, [&] { world.verify(); }},
        {"receipt_sign_verify_cosign", 100, [&] { world.whole_receipt(); }},
    };
    for (Figure& figure : figures) figure.call();
    for (int round = 0; round < rounds; ++round)
        for (Figure& figure : figures) figure.round();
    std::printf("{");
    for (Figure& figure : figures)
        std::printf("%s\"%s\": %.2f", &figure == &figures.front() ? "" : ", ", figure.name,
                    figure.median());
    std::printf("}\n");
    return 0;
}
