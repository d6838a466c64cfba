#include "sealing/signing.hpp"

#include <fcntl.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "sealing/openssl.hpp"

namespace cocoon::sealing {
namespace {

struct FreeKey {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
struct FreeDigest {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
struct FreeExchange {
    void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
};

std::shared_ptr<EVP_PKEY> private_key_of(int type, ByteView seed) {
    EVP_PKEY* key = EVP_PKEY_new_raw_private_key(type, nullptr, seed.data(), seed.size());
    openssl_check(key != nullptr, "private key");
    return {key, FreeKey{}};
}

PublicKey public_part(const EVP_PKEY* key) {
    PublicKey out{};
    std::size_t size = out.size();
    openssl_check(EVP_PKEY_get_raw_public_key(key, out.data(), &size) == 1 && size == out.size(),
                  "public key");
    return out;
}

Secret private_part(const EVP_PKEY* key) {
    Secret out{seed_bytes};
    std::size_t size = out.size();
    openssl_check(
        EVP_PKEY_get_raw_private_key(key, out.writable().data(), &size) == 1 && size == out.size(),
        "private key");
    return out;
}

class File {
public:
    explicit File(int descriptor) : descriptor_{descriptor} {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    int get() const { return descriptor_; }

private:
    int descriptor_;
};

[[noreturn]] void file_failed(const std::string& path) {
    throw std::system_error{errno, std::generic_category(), path};
}

Result<Secret> read_seed(const std::string& path) {
    const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    if (file.get() < 0) {
        if (errno == ENOENT) return refuse(ErrorCode::not_found, "no key file " + path);
        if (errno == EACCES) return refuse(ErrorCode::forbidden, "may not read key file " + path);
        file_failed(path);
    }
    struct stat about {};
    if (::fstat(file.get(), &about) != 0) file_failed(path);
    if (!S_ISREG(about.st_mode))
        return refuse(ErrorCode::malformed_request, path + " is not a regular file");
    if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return refuse(ErrorCode::forbidden,
                      path + " can be read by others; give it mode 0600 or make a new key");
    if (about.st_size != static_cast<off_t>(seed_bytes))
        return refuse(ErrorCode::malformed_request, path + " does not hold 32 bytes");
    Secret seed{seed_bytes};
    std::size_t have = 0;
    while (have < seed.size()) {
        const ssize_t count = ::read(file.get(), seed.writable().data() + have, seed.size() - have);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) file_failed(path);
        if (count == 0) return refuse(ErrorCode::malformed_request, path + " was cut short");
        have += static_cast<std::size_t>(count);
    }
    return seed;
}

// Written whole under another name and then linked, so a crash never leaves half a key behind and
// an existing key is never replaced.
Result<void> write_seed(const std::string& path, const Secret& seed) {
    const std::string draft = path + "." + to_hex(random_bytes(8)) + ".new";
    {
        const File file{::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
        if (file.get() < 0) file_failed(draft);
        std::size_t have = 0;
        while (have < seed.size()) {
            const ssize_t count =
                ::write(file.get(), seed.view().data() + have, seed.size() - have);
            if (count < 0 && errno == EINTR) continue;
            if (count < 0) file_failed(draft);
            have += static_cast<std::size_t>(count);
        }
        if (::fsync(file.get()) != 0) file_failed(draft);
    }
    const int linked = ::link(draft.c_str(), path.c_str());
    const int link_error = errno;
    ::unlink(draft.c_str());
    if (linked == 0) return {};
    errno = link_error;
    if (errno == EEXIST) return refuse(ErrorCode::already_exists, path + " exists already");
    file_failed(path);
}

template <class Key>
Result<Key> load_or_make(const std::string& path) {
    Result<Key> loaded = Key::load(path);
    if (loaded || loaded.error().code != ErrorCode::not_found) return loaded;
    Key made = Key::generate();
    if (const Result<void> saved = made.save(path); !saved) {
        // Another process was faster: its key is the one that stays.
        if (saved.error().code == ErrorCode::already_exists) return Key::load(path);
        return saved.error();
    }
    return made;
}

// The encodings of the eight points of small order on edwards25519, canonical or not, without the
// sign bit (its value is compared masked).
bool has_small_order(const PublicKey& key) {
    static constexpr std::array<std::string_view, 7> low_order{
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    PublicKey masked = key;
    masked.back() &= 0x7f;
    const std::string text = to_hex(masked);
    return std::find(low_order.begin(), low_order.end(), text) != low_order.end();
}

}  // namespace

const EVP_MD* sha256_algorithm() {
    static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    openssl_check(algorithm != nullptr, "SHA256");
    return algorithm;
}

void fill_random(std::span<std::uint8_t> out) {
    while (!out.empty()) {
        const std::size_t count = std::min<std::size_t>(out.size(), 1 << 20);
        openssl_check(RAND_bytes(out.data(), static_cast<int>(count)) == 1, "random generator");
        out = out.subspan(count);
    }
}

Bytes random_bytes(std::size_t count) {
    Bytes out(count);
    fill_random(out);
    return out;
}

Digest sha256(ByteView bytes) {
    Digest out{};
    openssl_check(EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, sha256_algorithm(),
                             nullptr) == 1,
                  "SHA256");
    return out;
}

std::string digest_text(const Digest& digest) { return "sha256:" + to_hex(digest); }

std::optional<std::array<std::uint8_t, 32>> parse_hex_32(std::string_view text) {
    if (text.size() != 64) return std::nullopt;
    const std::optional<Bytes> bytes = from_hex(text);
    if (!bytes) return std::nullopt;
    std::array<std::uint8_t, 32> out{};
    std::copy(bytes->begin(), bytes->end(), out.begin());
    return out;
}

std::optional<Digest> parse_digest_text(std::string_view text) {
    constexpr std::string_view prefix = "sha256:";
    if (!text.starts_with(prefix)) return std::nullopt;
    return parse_hex_32(text.substr(prefix.size()));
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const noexcept { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_{EVP_MD_CTX_new()} {
    openssl_check(context_ && EVP_DigestInit_ex2(context_.get(), sha256_algorithm(), nullptr) == 1,
                  "SHA256");
}

void Sha256::update(ByteView bytes) {
    openssl_check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "SHA256");
}

Digest Sha256::finish() {
    Digest out{};
    openssl_check(EVP_DigestFinal_ex(context_.get(), out.data(), nullptr) == 1 &&
                      EVP_DigestInit_ex2(context_.get(), sha256_algorithm(), nullptr) == 1,
                  "SHA256");
    return out;
}

SigningKey SigningKey::generate() {
    Secret seed{seed_bytes};
    fill_random(seed.writable());
    return from_seed(seed.view()).value();
}

Result<SigningKey> SigningKey::from_seed(ByteView seed) {
    if (seed.size() != seed_bytes)
        return refuse(ErrorCode::malformed_request, "an Ed25519 seed has 32 bytes");
    SigningKey made;
    made.key_ = private_key_of(EVP_PKEY_ED25519, seed);
    made.public_key_ = public_part(made.key_.get());
    return made;
}

Result<SigningKey> SigningKey::load(const std::string& path) {
    const Result<Secret> seed = read_seed(path);
    if (!seed) return seed.error();
    return from_seed(seed->view());
}

Result<SigningKey> SigningKey::load_or_generate(const std::string& path) {
    return load_or_make<SigningKey>(path);
}

Result<void> SigningKey::save(const std::string& path) const { return write_seed(path, seed()); }

Secret SigningKey::seed() const { return private_part(key_.get()); }

Signature SigningKey::sign(ByteView message) const {
    const std::unique_ptr<EVP_MD_CTX, FreeDigest> context{EVP_MD_CTX_new()};
    Signature out{};
    std::size_t size = out.size();
    openssl_check(
        context && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
            EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) == 1 &&
            size == out.size(),
        "Ed25519 signing");
    return out;
}

bool verify_signature(const PublicKey& key, ByteView message, ByteView signature) {
    if (signature.size() != signature_bytes || has_small_order(key)) return false;
    const std::unique_ptr<EVP_PKEY, FreeKey> public_key{
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, key.data(), key.size())};
    if (!public_key) return false;
    const std::unique_ptr<EVP_MD_CTX, FreeDigest> context{EVP_MD_CTX_new()};
    openssl_check(context != nullptr, "Ed25519 verification");
    if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, public_key.get()) != 1)
        return false;
    return EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                            message.size()) == 1;
}

SealingKey SealingKey::generate() {
    Secret seed{seed_bytes};
    fill_random(seed.writable());
    return from_private(seed.view()).value();
}

Result<SealingKey> SealingKey::from_private(ByteView private_key) {
    if (private_key.size() != seed_bytes)
        return refuse(ErrorCode::malformed_request, "an X25519 private key has 32 bytes");
    SealingKey made;
    made.key_ = private_key_of(EVP_PKEY_X25519, private_key);
    made.public_key_ = public_part(made.key_.get());
    return made;
}

Result<SealingKey> SealingKey::load(const std::string& path) {
    const Result<Secret> seed = read_seed(path);
    if (!seed) return seed.error();
    return from_private(seed->view());
}

Result<SealingKey> SealingKey::load_or_generate(const std::string& path) {
    return load_or_make<SealingKey>(path);
}

Result<void> SealingKey::save(const std::string& path) const {
    return write_seed(path, private_key());
}

Secret SealingKey::private_key() const { return private_part(key_.get()); }

Result<Secret> SealingKey::exchange(ByteView peer) const {
    const auto refused = [] {
        return refuse(ErrorCode::sealed_message_invalid, "the encapsulated key is not acceptable");
    };
    if (peer.size() != 32) return refused();
    const std::unique_ptr<EVP_PKEY, FreeKey> public_key{
        EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, peer.data(), peer.size())};
    openssl_check(public_key != nullptr, "X25519 public key");
    const std::unique_ptr<EVP_PKEY_CTX, FreeExchange> context{
        EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr)};
    openssl_check(context && EVP_PKEY_derive_init(context.get()) == 1, "X25519");
    if (EVP_PKEY_derive_set_peer(context.get(), public_key.get()) != 1) return refused();
    Secret shared{32};
    std::size_t size = shared.size();
    // OpenSSL itself fails on an all-zero result; the comparison does not rely on that.
    if (EVP_PKEY_derive(context.get(), shared.writable().data(), &size) != 1) return refused();
    static constexpr std::array<std::uint8_t, 32> zero{};
    if (size != shared.size() || equal_in_constant_time(shared.view(), zero)) return refused();
    return shared;
}

}  // namespace cocoon::sealing
