// What a password and a code from an authenticator app are to us: a slow hash (scrypt, RFC 7914), a
// time-based code (RFC 6238), and the code's secret as it may lie in a table. Pure functions; any
// thread, but a hash costs 32 MiB and some 80 ms. Must not know accounts, tables or HTTP.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/encoding.hpp"
#include "core/ids.hpp"
#include "core/time.hpp"
#include "sealing/secret.hpp"

namespace cocoon::api {

// The keys of the sign-in, each derived from a secret of the server that is in no table: what is
// stored can be tried offline only by who has that, too.
struct LoginKeys {
    sealing::Secret pepper;  // joins every password
    sealing::Secret codes;   // seals the secrets of the codes
};
LoginKeys login_keys(std::string_view server_secret);

// "scrypt$15$8$1$salt$hash", salt and hash in base64url: the cost travels with the hash, so that it
// can be raised. `salt`: 16 random bytes. A failing OpenSSL throws.
std::string hash_password(const LoginKeys& keys, std::string_view password, ByteView salt);
// Whether `password` is the one that was hashed. For an empty or broken `stored` it takes as long
// and says no.
bool is_password(const LoginKeys& keys, std::string_view password, std::string_view stored);

constexpr std::size_t code_secret_bytes = 20;  // as RFC 4226 recommends for HMAC-SHA-1
constexpr Duration code_step = seconds(30);
constexpr std::string_view code_issuer = "Cocoon Market";  // as authenticator apps show it

// The six digits of a step (RFC 4226, 5.3). Steps are counted from the epoch.
std::string code_at(ByteView secret, std::uint64_t step);
// The step whose code this is, one to each side of now allowed for clocks that differ. Each step's
// code is good once: the caller remembers the newest that was used.
std::optional<std::uint64_t> step_of(ByteView secret, std::string_view code, Instant now);
// What an authenticator app reads: otpauth://totp/issuer:name?secret=…
std::string otpauth_url(std::string_view issuer, std::string_view name, ByteView secret);
std::string to_base32(ByteView bytes);  // RFC 4648, without padding

// The secret bound to its account, AES-256-GCM: nonce, ciphertext, tag. `nonce`: 12 random bytes.
Bytes seal_code_secret(const LoginKeys& keys, AccountId account, ByteView nonce, ByteView secret);
std::optional<sealing::Secret> open_code_secret(const LoginKeys& keys, AccountId account,
                                                ByteView sealed);

}  // namespace cocoon::api
