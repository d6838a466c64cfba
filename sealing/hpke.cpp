#include "sealing/hpke.hpp"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <algorithm>
#include <limits>

#include "core/ensure.hpp"
#include "sealing/openssl.hpp"

namespace cocoon::sealing::hpke {
namespace {

constexpr std::string_view version_label = "HPKE-v1";
constexpr std::size_t hash_bytes = 32;

Error refused(const char* why) { return refuse(ErrorCode::sealed_message_invalid, why); }

Secret derive(int mode, ByteView key, ByteView salt, ByteView info, std::size_t length) {
    static EVP_KDF* const algorithm = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
    openssl_check(algorithm != nullptr, "HKDF");
    struct Free {
        void operator()(EVP_KDF_CTX* context) const noexcept { EVP_KDF_CTX_free(context); }
    };
    const std::unique_ptr<EVP_KDF_CTX, Free> context{EVP_KDF_CTX_new(algorithm)};
    openssl_check(context != nullptr, "HKDF");
    const auto octets = [](const char* name, ByteView bytes) {
        return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()),
                                                 bytes.size());
    };
    char digest[] = "SHA256";
    std::array<OSSL_PARAM, 6> parameters{};
    std::size_t count = 0;
    parameters[count++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
    parameters[count++] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    parameters[count++] = octets(OSSL_KDF_PARAM_KEY, key);
    if (!salt.empty()) parameters[count++] = octets(OSSL_KDF_PARAM_SALT, salt);
    if (!info.empty()) parameters[count++] = octets(OSSL_KDF_PARAM_INFO, info);
    parameters[count] = OSSL_PARAM_construct_end();
    Secret out{length};
    openssl_check(
        EVP_KDF_derive(context.get(), out.writable().data(), length, parameters.data()) == 1,
        "HKDF");
    return out;
}

void append(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void append(Bytes& out, std::string_view text) { append(out, as_bytes(text)); }
void append_16(Bytes& out, std::size_t number) {
    out.push_back(static_cast<std::uint8_t>(number >> 8));
    out.push_back(static_cast<std::uint8_t>(number));
}

// suite_id of RFC 9180 §4.1 (KEM) and §5.1 (HPKE).
Bytes kem_suite() {
    Bytes suite;
    append(suite, "KEM");
    append_16(suite, kem_x25519_hkdf_sha256);
    return suite;
}
Bytes hpke_suite(Aead aead) {
    Bytes suite;
    append(suite, "HPKE");
    append_16(suite, kem_x25519_hkdf_sha256);
    append_16(suite, kdf_hkdf_sha256);
    append_16(suite, static_cast<std::uint16_t>(aead));
    return suite;
}

// RFC 9180 §4, LabeledExtract and LabeledExpand.
Secret labeled_extract(ByteView suite, ByteView salt, std::string_view label, ByteView ikm) {
    Bytes labeled;
    labeled.reserve(version_label.size() + suite.size() + label.size() +
                    ikm.size());  // never regrown
    append(labeled, version_label);
    append(labeled, suite);
    append(labeled, label);
    append(labeled, ikm);
    Secret out = hkdf_extract(salt, labeled);
    wipe(labeled);
    return out;
}
Secret labeled_expand(ByteView suite, ByteView prk, std::string_view label, ByteView info,
                      std::size_t length) {
    Bytes labeled;
    append_16(labeled, length);
    append(labeled, version_label);
    append(labeled, suite);
    append(labeled, label);
    append(labeled, info);
    return hkdf_expand(prk, labeled, length);
}

// RFC 9180 §4.1: the KEM's shared secret from the Diffie-Hellman result(s).
Secret kem_shared_secret(const Secret& exchanged, ByteView kem_context) {
    const Bytes suite = kem_suite();
    const Secret eae_prk = labeled_extract(suite, {}, "eae_prk", exchanged.view());
    return labeled_expand(suite, eae_prk.view(), "shared_secret", kem_context, hash_bytes);
}

Secret joined(const Secret& a, const Secret& b) {
    Secret out{a.size() + b.size()};
    const auto end = std::copy(a.view().begin(), a.view().end(), out.writable().begin());
    std::copy(b.view().begin(), b.view().end(), end);
    return out;
}

bool is_auth(Mode mode) { return mode == Mode::auth || mode == Mode::auth_psk; }
bool is_psk(Mode mode) { return mode == Mode::psk || mode == Mode::auth_psk; }

// RFC 9180 §5.1, VerifyPSKInputs, and the same rule for the sender's key.
Result<void> check_inputs(Mode mode, const PreSharedKey& psk, bool has_sender) {
    if (mode > Mode::auth_psk) return refused("unknown HPKE mode");
    if (psk.secret.empty() != psk.id.empty()) return refused("a pre-shared key needs its id");
    if (is_psk(mode) == psk.secret.empty())
        return refused("the pre-shared key does not fit the mode");
    if (is_auth(mode) != has_sender) return refused("the sender's key does not fit the mode");
    return {};
}

}  // namespace

Secret hkdf_extract(ByteView salt, ByteView input_key_material) {
    ENSURE(!input_key_material.empty());
    return derive(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, input_key_material, salt, {}, hash_bytes);
}

Secret hkdf_expand(ByteView pseudorandom_key, ByteView info, std::size_t length) {
    ENSURE(length > 0 && length <= export_bytes_max);
    return derive(EVP_KDF_HKDF_MODE_EXPAND_ONLY, pseudorandom_key, {}, info, length);
}

// KeySchedule of RFC 9180 §5.1.
struct KeySchedule {
    static Context run(Aead aead, Mode mode, const Secret& shared, ByteView info,
                       const PreSharedKey& psk) {
        const Bytes suite = hpke_suite(aead);
        Bytes schedule{static_cast<std::uint8_t>(mode)};
        append(schedule, labeled_extract(suite, {}, "psk_id_hash", psk.id).view());
        append(schedule, labeled_extract(suite, {}, "info_hash", info).view());
        const Secret secret = labeled_extract(suite, shared.view(), "secret", psk.secret);

        Context context;
        context.aead_id_ = static_cast<std::uint16_t>(aead);
        context.exporter_secret_ =
            labeled_expand(suite, secret.view(), "exp", schedule, hash_bytes);
        if (aead == Aead::export_only) return context;
        const Secret key =
            labeled_expand(suite, secret.view(), "key", schedule, aead_key_bytes(aead));
        const Secret nonce =
            labeled_expand(suite, secret.view(), "base_nonce", schedule, aead_nonce_bytes);
        context.cipher_.emplace(aead, key.view());
        std::copy(nonce.view().begin(), nonce.view().end(), context.base_nonce_.begin());
        return context;
    }
};

Result<std::array<std::uint8_t, aead_nonce_bytes>> Context::next_nonce() const {
    if (!cipher_) return refused("this context only exports secrets");
    // Our counter has 64 bits where the nonce has 96, so it is the counter that runs out.
    if (sequence_ == std::numeric_limits<std::uint64_t>::max())
        return refuse(ErrorCode::limit_reached, "the message sequence is used up");
    std::array<std::uint8_t, aead_nonce_bytes> nonce = base_nonce_;
    for (std::size_t i = 0; i < sizeof sequence_; ++i)
        nonce[aead_nonce_bytes - 1 - i] ^= static_cast<std::uint8_t>(sequence_ >> (8 * i));
    return nonce;
}

Result<void> Context::seal_to(Bytes& out, ByteView aad, ByteView plaintext) {
    const auto nonce = next_nonce();
    if (!nonce) return nonce.error();
    cipher_->seal_to(out, *nonce, aad, plaintext);
    ++sequence_;
    return {};
}

Result<void> Context::open_to(Bytes& out, ByteView aad, ByteView ciphertext) {
    const auto nonce = next_nonce();
    if (!nonce) return nonce.error();
    if (!cipher_->open_to(out, *nonce, aad, ciphertext))
        return refused("the message does not open");
    ++sequence_;
    return {};
}

Result<Bytes> Context::seal(ByteView aad, ByteView plaintext) {
    Bytes out;
    if (const Result<void> sealed = seal_to(out, aad, plaintext); !sealed) return sealed.error();
    return out;
}

Result<Bytes> Context::open(ByteView aad, ByteView ciphertext) {
    Bytes out;
    if (const Result<void> opened = open_to(out, aad, ciphertext); !opened) return opened.error();
    return out;
}

Result<Secret> Context::export_secret(ByteView exporter_context, std::size_t length) const {
    if (length == 0 || length > export_bytes_max) return refused("an export has 1 to 8160 bytes");
    return labeled_expand(hpke_suite(static_cast<Aead>(aead_id_)), exporter_secret_.view(), "sec",
                          exporter_context, length);
}

Result<void> Context::skip_to(std::uint64_t sequence) {
    if (sequence < sequence_) return refused("a sequence number is used once");
    sequence_ = sequence;
    return {};
}

Result<Sender> setup_sender(Aead aead, const PublicKey& receiver, const SenderOptions& options) {
    if (const auto fits = check_inputs(options.mode, options.psk, options.sender != nullptr); !fits)
        return fits.error();
    const SealingKey ephemeral = options.ephemeral ? *options.ephemeral : SealingKey::generate();
    Result<Secret> exchanged = ephemeral.exchange(receiver);
    if (!exchanged) return exchanged.error();
    Bytes kem_context;
    append(kem_context, ephemeral.public_key());
    append(kem_context, receiver);
    if (options.sender) {
        const Result<Secret> second = options.sender->exchange(receiver);
        if (!second) return second.error();
        *exchanged = joined(*exchanged, *second);
        append(kem_context, options.sender->public_key());
    }
    const Secret shared = kem_shared_secret(*exchanged, kem_context);
    return Sender{ephemeral.public_key(),
                  KeySchedule::run(aead, options.mode, shared, options.info, options.psk)};
}

Result<Context> setup_receiver(Aead aead, const SealingKey& receiver, ByteView encapsulated_key,
                               const ReceiverOptions& options) {
    if (const auto fits = check_inputs(options.mode, options.psk, options.sender != nullptr); !fits)
        return fits.error();
    Result<Secret> exchanged = receiver.exchange(encapsulated_key);
    if (!exchanged) return exchanged.error();
    Bytes kem_context;
    append(kem_context, encapsulated_key);
    append(kem_context, receiver.public_key());
    if (options.sender) {
        const Result<Secret> second = receiver.exchange(*options.sender);
        if (!second) return second.error();
        *exchanged = joined(*exchanged, *second);
        append(kem_context, *options.sender);
    }
    const Secret shared = kem_shared_secret(*exchanged, kem_context);
    return KeySchedule::run(aead, options.mode, shared, options.info, options.psk);
}

Result<SealingKey> derive_key_pair(ByteView input_key_material) {
    if (input_key_material.size() < 32) return refused("key material has at least 32 bytes");
    const Bytes suite = kem_suite();
    const Secret prk = labeled_extract(suite, {}, "dkp_prk", input_key_material);
    return SealingKey::from_private(labeled_expand(suite, prk.view(), "sk", {}, 32).view());
}

}  // namespace cocoon::sealing::hpke
