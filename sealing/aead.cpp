#include "sealing/aead.hpp"

#include <algorithm>
#include <array>

#include "core/ensure.hpp"
#include "sealing/openssl.hpp"

namespace cocoon::sealing {
namespace {

constexpr std::size_t update_bytes_max = 1u << 30;  // EVP counts in int

const EVP_CIPHER* algorithm_of(Aead aead) {
    static EVP_CIPHER* const aes_128 = EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr);
    static EVP_CIPHER* const aes_256 = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    static EVP_CIPHER* const chacha = EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr);
    const EVP_CIPHER* const found = aead == Aead::aes_128_gcm   ? aes_128
                                    : aead == Aead::aes_256_gcm ? aes_256
                                                                : chacha;
    openssl_check(found != nullptr, "AEAD");
    return found;
}

}  // namespace

std::optional<Aead> find_aead(std::uint16_t id) {
    switch (static_cast<Aead>(id)) {
        case Aead::aes_128_gcm:
        case Aead::aes_256_gcm:
        case Aead::chacha20_poly1305:
        case Aead::export_only: return static_cast<Aead>(id);
    }
    return std::nullopt;
}

std::size_t aead_key_bytes(Aead aead) {
    switch (aead) {
        case Aead::aes_128_gcm: return 16;
        case Aead::aes_256_gcm:
        case Aead::chacha20_poly1305: return 32;
        case Aead::export_only: break;
    }
    return 0;
}

void AeadCipher::Free::operator()(evp_cipher_ctx_st* context) const noexcept {
    EVP_CIPHER_CTX_free(context);
}

AeadCipher::AeadCipher(Aead aead, ByteView key) : aead_{aead}, key_{key} {
    ENSURE(aead != Aead::export_only && key.size() == aead_key_bytes(aead));
}

AeadCipher::Handle AeadCipher::make(bool sealing) const {
    Handle context{EVP_CIPHER_CTX_new()};
    openssl_check(
        context && EVP_CipherInit_ex2(context.get(), algorithm_of(aead_), key_.view().data(),
                                      nullptr, sealing ? 1 : 0, nullptr) == 1,
        "AEAD key");
    return context;
}

void AeadCipher::seal_to(Bytes& out, ByteView nonce, ByteView aad, ByteView plaintext) {
    ENSURE(nonce.size() == aead_nonce_bytes && aad.size() <= update_bytes_max);
    if (!sealer_) sealer_ = make(true);
    EVP_CIPHER_CTX* const context = sealer_.get();
    openssl_check(EVP_EncryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1,
                  "AEAD nonce");
    int count = 0;
    if (!aad.empty())
        openssl_check(EVP_EncryptUpdate(context, nullptr, &count, aad.data(),
                                        static_cast<int>(aad.size())) == 1,
                      "AEAD associated data");
    const std::size_t start = out.size();
    out.resize(start + plaintext.size() + aead_tag_bytes);
    std::uint8_t* write = out.data() + start;
    while (!plaintext.empty()) {
        const std::size_t size = std::min(plaintext.size(), update_bytes_max);
        openssl_check(EVP_EncryptUpdate(context, write, &count, plaintext.data(),
                                        static_cast<int>(size)) == 1,
                      "AEAD sealing");
        write += count;
        plaintext = plaintext.subspan(size);
    }
    openssl_check(
        EVP_EncryptFinal_ex(context, write, &count) == 1 &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, aead_tag_bytes, write) == 1,
        "AEAD tag");
}

bool AeadCipher::open_to(Bytes& out, ByteView nonce, ByteView aad, ByteView ciphertext) {
    ENSURE(nonce.size() == aead_nonce_bytes && aad.size() <= update_bytes_max);
    if (ciphertext.size() < aead_tag_bytes) return false;
    if (!opener_) opener_ = make(false);
    EVP_CIPHER_CTX* const context = opener_.get();
    std::array<std::uint8_t, aead_tag_bytes> tag{};
    std::copy(ciphertext.end() - aead_tag_bytes, ciphertext.end(), tag.begin());
    ByteView rest = ciphertext.first(ciphertext.size() - aead_tag_bytes);
    openssl_check(
        EVP_DecryptInit_ex2(context, nullptr, nullptr, nonce.data(), nullptr) == 1 &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, aead_tag_bytes, tag.data()) == 1,
        "AEAD nonce");
    int count = 0;
    if (!aad.empty())
        openssl_check(EVP_DecryptUpdate(context, nullptr, &count, aad.data(),
                                        static_cast<int>(aad.size())) == 1,
                      "AEAD associated data");
    const std::size_t start = out.size();
    // One spare byte: Final wants a place to write even though an AEAD writes nothing there.
    out.resize(start + rest.size() + 1);
    std::uint8_t* write = out.data() + start;
    bool opened = true;
    while (opened && !rest.empty()) {
        const std::size_t size = std::min(rest.size(), update_bytes_max);
        opened =
            EVP_DecryptUpdate(context, write, &count, rest.data(), static_cast<int>(size)) == 1;
        write += count;
        rest = rest.subspan(size);
    }
    opened = opened && EVP_DecryptFinal_ex(context, write, &count) == 1;
    if (!opened) wipe(std::span{out}.subspan(start));  // plaintext of a forged message is nobody's
    out.resize(opened ? out.size() - 1 : start);
    return opened;
}

}  // namespace cocoon::sealing
