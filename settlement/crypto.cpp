#include "settlement/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace cocoon::settlement::ton {
namespace {

void check(bool succeeded, const char* what) {
    if (!succeeded) throw std::runtime_error{std::string{"OpenSSL failed: "} + what};
}

struct FreeContext {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

struct FreeKey {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};

// Fetched once: the implicit fetch of OpenSSL 3.0 costs more than the hash of a cell.
const EVP_MD* algorithm(const char* name) {
    const EVP_MD* const found = EVP_MD_fetch(nullptr, name, nullptr);
    check(found != nullptr, name);
    return found;
}

}  // namespace

Hash sha256(ByteView bytes) {
    static const EVP_MD* const sha = algorithm("SHA256");
    Hash out{};
    check(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, sha, nullptr) == 1, "SHA256");
    return out;
}

std::array<std::uint8_t, 64> hmac_sha512(ByteView key, ByteView message) {
    std::array<std::uint8_t, 64> out{};
    unsigned size = out.size();
    check(HMAC(EVP_sha512(), key.data(), static_cast<int>(key.size()), message.data(),
               message.size(), out.data(), &size) != nullptr,
          "HMAC");
    return out;
}

std::array<std::uint8_t, 64> pbkdf2_sha512(ByteView password, std::string_view salt, int rounds) {
    std::array<std::uint8_t, 64> out{};
    check(PKCS5_PBKDF2_HMAC(reinterpret_cast<const char*>(password.data()),
                            static_cast<int>(password.size()), as_bytes(salt).data(),
                            static_cast<int>(salt.size()), rounds, EVP_sha512(),
                            static_cast<int>(out.size()), out.data()) == 1,
          "PBKDF2");
    return out;
}

void wipe(std::span<std::uint8_t> bytes) noexcept { OPENSSL_cleanse(bytes.data(), bytes.size()); }

Result<SigningKey> SigningKey::from_seed(ByteView seed) {
    if (seed.size() != 32)
        return refuse(ErrorCode::malformed_request, "an Ed25519 seed has 32 bytes");
    SigningKey made;
    made.key_ = {EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()),
                 FreeKey{}};
    std::size_t size = made.public_key_.size();
    check(made.key_ &&
              EVP_PKEY_get_raw_public_key(made.key_.get(), made.public_key_.data(), &size) == 1,
          "Ed25519 key");
    return made;
}

Signature SigningKey::sign(ByteView message) const {
    const Context context{EVP_MD_CTX_new()};
    Signature out{};
    std::size_t size = out.size();
    check(context &&
              EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
              EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) == 1,
          "Ed25519 signing");
    return out;
}

bool is_weak_key(const PublicKey& key) {
    // The y coordinates of the eight points of small order, canonical or not (the sign bit is
    // masked).
    static constexpr std::array<std::string_view, 7> small_order{
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    PublicKey masked = key;
    masked.back() &= 0x7F;
    return std::find(small_order.begin(), small_order.end(), to_hex(masked)) != small_order.end();
}

bool verify_signature(const PublicKey& key, ByteView message, const Signature& signature) {
    if (is_weak_key(key)) return false;
    const std::unique_ptr<EVP_PKEY, FreeKey> public_key{
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size())};
    const Context context{EVP_MD_CTX_new()};
    check(public_key && context, "Ed25519 verification");
    return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, public_key.get()) == 1 &&
           EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                            message.size()) == 1;
}

}  // namespace cocoon::settlement::ton
