// Keys, their files, signatures and hashes.
#include "sealing/signing.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::sealing;

namespace {

// A folder of this test's own, gone afterwards.
struct Folder {
    std::filesystem::path path;
    Folder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "sealing_keys_XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string file(const char* name) const { return (path / name).string(); }
};

template <class Key>
void check_files() {
    const Folder folder;
    const std::string path = folder.file("key");
    CHECK(Key::load(path).error().code == ErrorCode::not_found);
    const Key made = Key::load_or_generate(path).value();
    struct stat about {};
    REQUIRE(::stat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777) == 0600);
    CHECK(about.st_size == 32);
    CHECK(Key::load(path)->public_key() == made.public_key());
    CHECK(Key::load_or_generate(path)->public_key() == made.public_key());
    CHECK(Key::generate().save(path).error().code == ErrorCode::already_exists);
    CHECK(Key::load(path)->public_key() == made.public_key());
    CHECK(std::distance(std::filesystem::directory_iterator{folder.path}, {}) ==
          1);  // no drafts left
    for (const mode_t mode : {0640, 0604, 0660, 0620, 0601}) {
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        CHECK(Key::load(path).error().code == ErrorCode::forbidden);
        CHECK(Key::load_or_generate(path).error().code == ErrorCode::forbidden);
    }
    for (const std::size_t size : {0, 31, 33}) {
        const std::string other = folder.file("short") + std::to_string(size);
        std::ofstream{other} << std::string(size, 'x');
        REQUIRE(::chmod(other.c_str(), 0600) == 0);
        CHECK(Key::load(other).error().code == ErrorCode::malformed_request);
    }
    CHECK_FALSE(Key::load(folder.path.string()));
    CHECK_THROWS(Key::generate().save(folder.file("missing/key")));
}

}  // namespace

TEST_CASE("key files are private, whole and never replaced") {
    check_files<SigningKey>();
    check_files<SealingKey>();
}

TEST_CASE("the first test of RFC 8032 holds") {
    const auto key =
        SigningKey::from_seed(
            *from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
            .value();
    CHECK(to_hex(key.public_key()) ==
          "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    CHECK(to_hex(key.sign({})) ==
          "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e3970"
          "1cf9b46b"
          "d25bf5f0595bbe24655141438e7a100b");
    CHECK(to_hex(key.seed().view()) ==
          "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    CHECK_FALSE(SigningKey::from_seed(Bytes(31)));
}

TEST_CASE("a signature is good for one key, one message and one spelling") {
    const SigningKey key = SigningKey::generate();
    const Signature signature = key.sign(as_bytes("message"));
    CHECK(verify_signature(key.public_key(), as_bytes("message"), signature));
    CHECK_FALSE(verify_signature(key.public_key(), as_bytes("messagf"), signature));
    CHECK_FALSE(
        verify_signature(SigningKey::generate().public_key(), as_bytes("message"), signature));
    for (std::size_t bit = 0; bit < signature.size() * 8; ++bit) {
        Signature flipped = signature;
        flipped[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        CHECK_FALSE(verify_signature(key.public_key(), as_bytes("message"), flipped));
    }
    CHECK_FALSE(
        verify_signature(key.public_key(), as_bytes("message"), ByteView{signature}.first(63)));
    CHECK_FALSE(verify_signature(key.public_key(), as_bytes("message"), {}));
}

TEST_CASE("a key of small order verifies nothing") {
    // With the neutral element as key, R = neutral and S = 0 satisfies the equation for any
    // message.
    PublicKey neutral{};
    neutral[0] = 1;
    Signature forged{};
    forged[0] = 1;
    CHECK_FALSE(verify_signature(neutral, as_bytes("anything"), forged));
    CHECK_FALSE(verify_signature(PublicKey{}, as_bytes("anything"), forged));
}

TEST_CASE("X25519 agrees from both sides and refuses zero") {
    const auto alice = SealingKey::from_private(
        *from_hex("77076d0a7318a57d3c16c17251b26645c6c2f6b3e0ebc9e0b6e7d3b9b4b2c1f0"));
    REQUIRE(alice);
    const SealingKey bob = SealingKey::generate();
    CHECK(to_hex(alice->exchange(bob.public_key())->view()) ==
          to_hex(bob.exchange(alice->public_key())->view()));
    CHECK_FALSE(bob.exchange(PublicKey{}));
    CHECK_FALSE(bob.exchange(Bytes(31)));
    CHECK_FALSE(SealingKey::from_private(Bytes(33)));
}

TEST_CASE("one key serves many threads at once") {
    const SigningKey key = SigningKey::generate();
    const SealingKey sealing = SealingKey::generate();
    const SealingKey peer = SealingKey::generate();
    const std::string shared = to_hex(sealing.exchange(peer.public_key())->view());
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            for (int round = 0; round < 50; ++round) {
                const std::string text = std::to_string(i * 1000 + round);
                const Signature signature = key.sign(as_bytes(text));
                right += verify_signature(key.public_key(), as_bytes(text), signature);
                right += to_hex(sealing.exchange(peer.public_key())->view()) == shared;
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(right == 400);
}

TEST_CASE("a hash of pieces is the hash of the whole, again and again") {
    Sha256 hash;
    CHECK(digest_text(hash.finish()) ==
          "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (int round = 0; round < 2; ++round) {
        for (const char* piece : {"a", "", "bc"}) hash.update(as_bytes(piece));
        CHECK(hash.finish() == sha256(as_bytes("abc")));
    }
    const Digest digest = sha256(as_bytes("abc"));
    CHECK(parse_digest_text(digest_text(digest)) == digest);
    for (const std::string& text :
         {std::string{}, std::string{"sha256:"}, "sha256:" + std::string(63, 'a'),
          "sha256:" + std::string(65, 'a'), "sha256:" + std::string(64, 'A'),
          "SHA256:" + std::string(64, 'a'), std::string(64, 'a')})
        CHECK_FALSE(parse_digest_text(text));
    CHECK(random_bytes(32) != random_bytes(32));
}
