#include "api/login.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <stdexcept>

#include "api/secrets.hpp"
#include "sealing/aead.hpp"
#include "sealing/signing.hpp"

namespace cocoon::api {
namespace {

constexpr std::string_view hash_kind = "scrypt$15$8$1$";
constexpr std::uint64_t scrypt_n = 1 << 15, scrypt_r = 8, scrypt_p = 1;
constexpr std::uint64_t scrypt_memory_bytes_max = 64u << 20;  // N·r·128 and some
constexpr std::size_t salt_bytes = 16, hash_bytes = 32;
constexpr std::size_t salt_letters = 22, hash_letters = 43;

Bytes scrypt(const LoginKeys& keys, std::string_view password, ByteView salt) {
    const std::string peppered = mac(as_text(keys.pepper.view()), password);
    Bytes hash(hash_bytes);
    if (EVP_PBE_scrypt(peppered.data(), peppered.size(), salt.data(), salt.size(), scrypt_n,
                       scrypt_r, scrypt_p, scrypt_memory_bytes_max, hash.data(), hash.size()) != 1)
        throw std::runtime_error{"scrypt failed"};
    return hash;
}

struct Stored {
    Bytes salt, hash;
};

std::optional<Stored> parsed(std::string_view stored) {
    if (!stored.starts_with(hash_kind)) return std::nullopt;
    stored.remove_prefix(hash_kind.size());
    if (stored.size() != salt_letters + 1 + hash_letters || stored[salt_letters] != '$')
        return std::nullopt;
    auto salt = from_base64url(stored.substr(0, salt_letters));
    auto hash = from_base64url(stored.substr(salt_letters + 1));
    if (!salt || !hash) return std::nullopt;
    return Stored{std::move(*salt), std::move(*hash)};
}

// So that no name of an account can move where the secret stands.
std::string percent_encoded(std::string_view text) {
    static constexpr std::string_view plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    static constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (plain.find(c) != std::string_view::npos)
            out += c;
        else
            out.append("%").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
    }
    return out;
}

}  // namespace

LoginKeys login_keys(std::string_view server_secret) {
    return {sealing::Secret{as_bytes(mac(server_secret, "cocoon-market/login-pepper/v1"))},
            sealing::Secret{as_bytes(mac(server_secret, "cocoon-market/login-codes/v1"))}};
}

std::string hash_password(const LoginKeys& keys, std::string_view password, ByteView salt) {
    return std::string{hash_kind} + to_base64url(salt) + '$' +
           to_base64url(scrypt(keys, password, salt));
}

bool is_password(const LoginKeys& keys, std::string_view password, std::string_view stored) {
    const std::optional<Stored> known = parsed(stored);
    const Bytes salt = known ? known->salt : Bytes(salt_bytes);
    const Bytes hash = scrypt(keys, password, salt);
    return sealing::equal_in_constant_time(hash, known ? known->hash : Bytes(hash_bytes)) &&
           known.has_value();
}

std::string code_at(ByteView secret, std::uint64_t step) {
    std::array<unsigned char, 8> counter{};
    for (std::size_t i = 0; i < counter.size(); ++i)
        counter[i] = static_cast<unsigned char>(step >> (8 * (7 - i)));
    std::array<unsigned char, 20> digest{};
    unsigned int size = 0;
    if (!HMAC(EVP_sha1(), secret.data(), static_cast<int>(secret.size()), counter.data(),
              counter.size(), digest.data(), &size) ||
        size != digest.size())
        throw std::runtime_error{"HMAC-SHA-1 failed"};
    const std::size_t at = digest.back() & 15u;
    std::uint32_t number = digest[at] & 0x7Fu;
    for (std::size_t i = 1; i < 4; ++i) number = number << 8 | digest[at + i];
    std::string digits = std::to_string(number % 1'000'000);
    return std::string(6 - digits.size(), '0') + digits;
}

std::optional<std::uint64_t> step_of(ByteView secret, std::string_view code, Instant now) {
    const auto current = static_cast<std::uint64_t>(now.us / code_step.us);
    std::optional<std::uint64_t> found;
    for (const std::uint64_t step : {current - 1, current, current + 1})
        if (sealing::equal_in_constant_time(as_bytes(code_at(secret, step)), as_bytes(code)))
            found = step;
    return found;
}

std::string to_base32(ByteView bytes) {
    static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    std::string out;
    std::uint32_t waiting = 0;
    int bits = 0;
    for (const std::uint8_t byte : bytes) {
        waiting = waiting << 8 | byte;
        for (bits += 8; bits >= 5; bits -= 5) out += letters[waiting >> (bits - 5) & 31];
    }
    if (bits > 0) out += letters[waiting << (5 - bits) & 31];
    return out;
}

std::string otpauth_url(std::string_view issuer, std::string_view name, ByteView secret) {
    return "otpauth://totp/" + percent_encoded(issuer) + ':' + percent_encoded(name) +
           "?secret=" + to_base32(secret) + "&issuer=" + percent_encoded(issuer) +
           "&algorithm=SHA1&digits=6&period=30";
}

Bytes seal_code_secret(const LoginKeys& keys, AccountId account, ByteView nonce, ByteView secret) {
    sealing::AeadCipher cipher{sealing::Aead::aes_256_gcm, keys.codes.view()};
    Bytes sealed{nonce.begin(), nonce.end()};
    cipher.seal_to(sealed, nonce, as_bytes(account.text()), secret);
    return sealed;
}

std::optional<sealing::Secret> open_code_secret(const LoginKeys& keys, AccountId account,
                                                ByteView sealed) {
    if (sealed.size() < sealing::aead_nonce_bytes + sealing::aead_tag_bytes) return std::nullopt;
    sealing::AeadCipher cipher{sealing::Aead::aes_256_gcm, keys.codes.view()};
    Bytes plain;
    if (!cipher.open_to(plain, sealed.first(sealing::aead_nonce_bytes), as_bytes(account.text()),
                        sealed.subspan(sealing::aead_nonce_bytes)))
        return std::nullopt;
    sealing::Secret secret{ByteView{plain}};
    sealing::wipe(plain);
    return secret;
}

}  // namespace cocoon::api
