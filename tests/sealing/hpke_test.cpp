// HPKE beyond the published vectors: every suite and mode against itself, and every refusal.
#include "sealing/hpke.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::sealing;
using namespace cocoon::sealing::hpke;

namespace {

const Bytes info = random_bytes(20);
const Bytes psk = random_bytes(32);
const Bytes psk_id = random_bytes(5);
constexpr Aead sealing_aeads[] = {Aead::aes_128_gcm, Aead::aes_256_gcm, Aead::chacha20_poly1305};

bool same(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

struct Pair {
    Context sender, receiver;
};
Pair make_pair(Aead aead, Mode mode = Mode::base) {
    const SealingKey receiver = SealingKey::generate();
    const SealingKey sender = SealingKey::generate();
    const bool with_psk = mode == Mode::psk || mode == Mode::auth_psk;
    const bool with_sender = mode == Mode::auth || mode == Mode::auth_psk;
    const PreSharedKey key = with_psk ? PreSharedKey{psk, psk_id} : PreSharedKey{};
    SenderOptions options{mode, info, key, with_sender ? &sender : nullptr, nullptr};
    Sender made = setup_sender(aead, receiver.public_key(), options).value();
    ReceiverOptions other{mode, info, key, with_sender ? &sender.public_key() : nullptr};
    Context context = setup_receiver(aead, receiver, made.encapsulated_key, other).value();
    return {std::move(made.context), std::move(context)};
}

}  // namespace

TEST_CASE("every suite and mode opens what it sealed, in order only") {
    for (const Aead aead : sealing_aeads)
        for (const Mode mode : {Mode::base, Mode::psk, Mode::auth, Mode::auth_psk}) {
            Pair pair = make_pair(aead, mode);
            const Bytes aad = random_bytes(9);
            for (const std::size_t size :
                 {std::size_t{0}, std::size_t{1}, std::size_t{16}, std::size_t{100'000}}) {
                const Bytes plaintext = random_bytes(size);
                const Bytes sealed = pair.sender.seal(aad, plaintext).value();
                CHECK(sealed.size() == size + aead_tag_bytes);
                CHECK_FALSE(pair.receiver.open({}, sealed));  // uses up no sequence number
                CHECK(pair.receiver.open(aad, sealed).value() == plaintext);
                CHECK_FALSE(pair.receiver.open(aad, sealed));  // a replay
            }
            CHECK(same(pair.sender.export_secret(as_bytes("x"), 40)->view(),
                       pair.receiver.export_secret(as_bytes("x"), 40)->view()));
            CHECK_FALSE(same(pair.sender.export_secret(as_bytes("x"), 40)->view(),
                             pair.receiver.export_secret(as_bytes("y"), 40)->view()));
        }
}

TEST_CASE("every flipped bit of a sealed message is refused and leaves nothing behind") {
    for (const Aead aead : sealing_aeads) {
        Pair pair = make_pair(aead);
        const Bytes sealed = pair.sender.seal({}, as_bytes("hello")).value();
        for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
            Bytes flipped = sealed;
            flipped[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
            Bytes out{1, 2};
            CHECK_FALSE(pair.receiver.open_to(out, {}, flipped));
            CHECK(out == Bytes{1, 2});
        }
        for (std::size_t size = 0; size < sealed.size(); ++size)
            CHECK_FALSE(pair.receiver.open({}, ByteView{sealed}.first(size)));
        CHECK(pair.receiver.open({}, sealed));
    }
}

TEST_CASE("modes and keys that do not belong together are refused") {
    const SealingKey receiver = SealingKey::generate();
    const SealingKey sender = SealingKey::generate();
    struct Row {
        Mode mode;
        PreSharedKey key;
        bool sender;
    };
    const Row rows[] = {
        {Mode::base, {psk, psk_id}, false},
        {Mode::base, {}, true},
        {Mode::psk, {}, false},
        {Mode::psk, {psk, {}}, false},
        {Mode::psk, {{}, psk_id}, false},
        {Mode::auth, {}, false},
        {Mode::auth, {psk, psk_id}, true},
        {Mode::auth_psk, {}, true},
        {Mode::auth_psk, {psk, psk_id}, false},
        {static_cast<Mode>(4), {}, false},
    };
    for (const Row& row : rows) {
        INFO(static_cast<int>(row.mode));
        SenderOptions options{row.mode, info, row.key, row.sender ? &sender : nullptr, nullptr};
        CHECK_FALSE(setup_sender(Aead::aes_128_gcm, receiver.public_key(), options));
        ReceiverOptions other{row.mode, info, row.key, row.sender ? &sender.public_key() : nullptr};
        CHECK_FALSE(setup_receiver(Aead::aes_128_gcm, receiver, sender.public_key(), other));
    }
}

TEST_CASE("a key exchange that gives zero is refused on both sides") {
    PublicKey zero{};
    PublicKey one{};
    one[0] = 1;
    for (const PublicKey& key : {zero, one}) {
        CHECK_FALSE(setup_sender(Aead::aes_128_gcm, key, {}));
        CHECK_FALSE(setup_receiver(Aead::aes_128_gcm, SealingKey::generate(), key, {}));
    }
    CHECK_FALSE(setup_receiver(Aead::aes_128_gcm, SealingKey::generate(), Bytes(31), {}));
    CHECK_FALSE(setup_receiver(Aead::aes_128_gcm, SealingKey::generate(), Bytes(33), {}));
    CHECK_FALSE(derive_key_pair(Bytes(31)));
}

TEST_CASE("sequence numbers run out instead of wrapping, and never go back") {
    Pair pair = make_pair(Aead::aes_128_gcm);
    REQUIRE(pair.sender.skip_to(UINT64_MAX - 1));
    REQUIRE(pair.receiver.skip_to(UINT64_MAX - 1));
    const Bytes last = pair.sender.seal({}, as_bytes("last")).value();
    CHECK(pair.receiver.open({}, last));
    const auto over = pair.sender.seal({}, as_bytes("over"));
    REQUIRE_FALSE(over);
    CHECK(over.error().code == ErrorCode::limit_reached);
    CHECK_FALSE(pair.receiver.open({}, last));
    CHECK_FALSE(pair.sender.skip_to(3));
}

TEST_CASE("an export-only context exports and does nothing else; exports are bounded") {
    Pair pair = make_pair(Aead::export_only);
    CHECK_FALSE(pair.sender.seal({}, {}));
    CHECK_FALSE(pair.receiver.open({}, Bytes(16)));
    CHECK(pair.sender.export_secret({}, export_bytes_max));
    CHECK_FALSE(pair.sender.export_secret({}, export_bytes_max + 1));
    CHECK_FALSE(pair.sender.export_secret({}, 0));
}

TEST_CASE("a secret is empty after it was moved from") {
    Secret first{as_bytes("secret")};
    Secret second = std::move(first);
    CHECK(first.size() == 0);
    CHECK(as_text(second.view()) == "secret");
    Secret third{as_bytes("other")};
    third = std::move(second);
    CHECK(second.size() == 0);
    CHECK(as_text(third.view()) == "secret");
    CHECK(as_text(third.copy().view()) == "secret");
    CHECK(equal_in_constant_time(third.view(), as_bytes("secret")));
    CHECK_FALSE(equal_in_constant_time(third.view(), as_bytes("secreT")));
    CHECK_FALSE(equal_in_constant_time(third.view(), as_bytes("secre")));
}
