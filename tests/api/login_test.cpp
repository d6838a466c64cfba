// Passwords, codes and who may try how often; the cookie and its secret. Known answers from RFC
// 6238 (Appendix B, the last six of eight digits), RFC 4648 (10), and Python's hashlib.scrypt.
#include "api/login.hpp"

#include "api/login_guard.hpp"
#include "api/secrets.hpp"
#include "api/session.hpp"
#include "api/used_once.hpp"
#include "tests/api/support.hpp"

using namespace cocoon;
using namespace cocoon::api;

namespace {

const LoginKeys& keys() {
    static const LoginKeys made = login_keys(std::string(32, 's'));
    return made;
}
const std::string rfc_secret = "12345678901234567890";
Instant at(std::int64_t unix_seconds) { return Instant{unix_seconds * 1'000'000}; }

}  // namespace

TEST_CASE("a password is hashed as scrypt says, with the server's own secret") {
    Bytes salt(16);
    for (std::size_t i = 0; i < salt.size(); ++i) salt[i] = static_cast<std::uint8_t>(i);
    const std::string stored = hash_password(keys(), "correct horse battery", salt);
    CHECK(stored ==
          "scrypt$15$8$1$AAECAwQFBgcICQoLDA0ODw$-q6OFRsdogZipAWwQRXGNbTUrL6LoFxHF_j03kyBk7o");
    CHECK(is_password(keys(), "correct horse battery", stored));
    CHECK_FALSE(is_password(keys(), "correct horse batterz", stored));
    CHECK_FALSE(is_password(keys(), "", stored));
    CHECK_FALSE(is_password(login_keys("another server"), "correct horse battery", stored));
    std::string broken = stored;
    broken.back() = broken.back() == 'A' ? 'B' : 'A';
    for (const std::string& other : {std::string{}, broken, stored.substr(1), stored + "A",
                                     "scrypt$14" + stored.substr(9), stored.substr(0, 36)})
        CHECK_FALSE(is_password(keys(), "correct horse battery", other));
}

TEST_CASE("codes are those of RFC 6238, a step to each side") {
    const std::pair<std::int64_t, const char*> known[] = {
        {59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
        {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
    for (const auto& [when, code] : known) {
        INFO(when);
        const auto step = static_cast<std::uint64_t>(when / 30);
        CHECK(code_at(as_bytes(rfc_secret), step) == code);
        CHECK(step_of(as_bytes(rfc_secret), code, at(when)) == step);
        CHECK(step_of(as_bytes(rfc_secret), code, at(when - when % 30 - 30)) == step);
        CHECK(step_of(as_bytes(rfc_secret), code, at(when - when % 30 + 59)) == step);
        if (when > 90)  // before that is before the epoch
            CHECK_FALSE(step_of(as_bytes(rfc_secret), code, at(when - when % 30 - 31)));
        CHECK_FALSE(step_of(as_bytes(rfc_secret), code, at(when - when % 30 + 60)));
    }
    for (const char* wrong : {"", "28708", "2870820", "28708a", "      "})
        CHECK_FALSE(step_of(as_bytes(rfc_secret), wrong, at(59)));
}

TEST_CASE("an authenticator app gets a link that no name can bend") {
    const std::pair<std::string, std::string> letters[] = {{"", ""},
                                                           {"f", "MY"},
                                                           {"fo", "MZXQ"},
                                                           {"foo", "MZXW6"},
                                                           {"foob", "MZXW6YQ"},
                                                           {"fooba", "MZXW6YTB"},
                                                           {"foobar", "MZXW6YTBOI"}};
    for (const auto& [plain, text] : letters) CHECK(to_base32(as_bytes(plain)) == text);
    CHECK(otpauth_url("Cocoon Market", "a?secret=B&x=:/", as_bytes(rfc_secret)) ==
          "otpauth://totp/Cocoon%20Market:a%3Fsecret%3DB%26x%3D%3A%2F"
          "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Cocoon%20Market"
          "&algorithm=SHA1&digits=6&period=30");
}

TEST_CASE("a code's secret opens for its account and this server alone") {
    const Bytes nonce(12, 7);
    const Bytes sealed = seal_code_secret(keys(), AccountId{7}, nonce, as_bytes(rfc_secret));
    CHECK(as_text(sealed).find("12345") == std::string_view::npos);
    const auto opened = open_code_secret(keys(), AccountId{7}, sealed);
    REQUIRE(opened);
    CHECK(as_text(opened->view()) == rfc_secret);
    CHECK_FALSE(open_code_secret(keys(), AccountId{8}, sealed));
    CHECK_FALSE(open_code_secret(login_keys("another"), AccountId{7}, sealed));
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        Bytes bent = sealed;
        bent[i] ^= 1;
        CHECK_FALSE(open_code_secret(keys(), AccountId{7}, bent));
    }
    for (const std::size_t size : {0u, 12u, 27u})
        CHECK_FALSE(open_code_secret(keys(), AccountId{7}, ByteView{sealed}.first(size)));
}

TEST_CASE("wrong attempts wait, longer each time, by account and by address") {
    LoginGuard guard;
    Instant now = at(1'795'000'000);
    const auto wait = [&](const char* account, std::uint64_t address) {
        const auto free = guard.begin(account, address, now);
        if (free) return std::int64_t{0};
        CHECK(free.error().code == ErrorCode::login_locked);
        return free.error().retry_after_seconds;
    };
    for (int i = 0; i < limits::login_attempts_free; ++i) CHECK(wait("ada", 1) == 0);
    // From anywhere, and every time a little longer; what is locked is not counted.
    for (const std::int64_t expected : {15, 30, 60, 120, 240, 480, 900, 900}) {
        CHECK(wait("ada", 2) == expected);
        CHECK(wait("ada", 3) == expected);
        CHECK(wait("bob", 4) == 0);
        guard.forgive("bob", 4);
        now = now + seconds(expected);
        CHECK(wait("ada", 2) == 0);
    }
    now = now + seconds(900);
    CHECK(wait("ada", 5) == 0);
    guard.forgive("ada", 5);
    CHECK(wait("ada", 6) == 0);  // free again
    // One address, ever new accounts.
    for (int i = 0; i < limits::login_attempts_free_address; ++i)
        CHECK(wait(("x" + std::to_string(i)).c_str(), 9) == 0);
    CHECK(wait("somebody else", 9) == 15);
    CHECK(wait("somebody else", 10) == 0);
    now = now + seconds(15);
    // An own account does not wash the address clean.
    CHECK(wait("own", 9) == 0);
    guard.forgive("own", 9);
    CHECK(wait("y", 9) == 0);
    CHECK(wait("z", 9) == 30);
    // A quiet day is forgotten.
    now = now + seconds(limits::login_memory_seconds);
    CHECK(wait("z", 9) == 0);
    CHECK(wait("z", 9) == 0);
}

TEST_CASE("more subjects than are remembered are slowed as one") {
    LoginGuard guard{LoginLimits{5, 20, 4}};
    Instant now = at(1'795'000'000);
    int locked = 0;
    for (int i = 0; i < 40; ++i)
        locked += !guard.begin("name" + std::to_string(i), static_cast<std::uint64_t>(i), now);
    CHECK(locked > 20);
    now = now + seconds(2 * limits::login_memory_seconds);
    CHECK(guard.begin("late", 99, now));
}

TEST_CASE("who must wait fills no memory, and strangers cannot make an owner wait at home") {
    LoginGuard guard{LoginLimits{5, 20, 50}};
    Instant now = at(1'795'000'000);
    // One address with ever new names: locked after twenty, and not remembered after that.
    int refused = 0;
    for (int i = 0; i < 5'000; ++i) refused += !guard.begin("n" + std::to_string(i), 1, now);
    CHECK(refused == 5'000 - 20);
    for (std::uint64_t other = 10; other < 20; ++other) {
        CHECK(guard.begin("somebody", other, now));
        guard.forgive("somebody", other);
    }
    // The owner was right at 30 once; now strangers guess from elsewhere until all others wait.
    CHECK(guard.begin("ada", 30, now));
    guard.forgive("ada", 30);
    for (std::uint64_t i = 0; i < 6; ++i) (void)guard.begin("ada", 40 + i, now);
    CHECK_FALSE(guard.begin("ada", 50, now));
    CHECK(guard.begin("ada", 30, now));
    // Which is no free guess for whoever sits there.
    for (int i = 0; i < 5; ++i) (void)guard.begin("ada", 30, now);
    CHECK_FALSE(guard.begin("ada", 30, now));
}

TEST_CASE("a text is used once, while it lasts, and never for want of memory") {
    UsedOnce used{2};
    const Instant now = at(1'795'000'000), later = now + seconds(60);
    CHECK(used.take("a", later, now));
    CHECK_FALSE(used.take("a", later, now));
    CHECK_FALSE(used.take("ended", now, now));
    CHECK(used.take("b", later, now));
    CHECK_FALSE(used.take("c", later + seconds(60), now));  // full
    CHECK(used.take("c", later + seconds(60), later));
    CHECK_FALSE(used.take("a", later, later));
}

TEST_CASE("a wallet challenge is ours, of this process, and ends") {
    Context context = test_context();
    context.process_tag = "proc";
    const auto [route, call] = call_of(Method::get, "/version");
    const WalletChallenge made = make_wallet_challenge(context, call);
    CHECK(made.expires_at == call.at + seconds(limits::wallet_challenge_seconds));
    CHECK(read_wallet_challenge(context, made.payload) == made.expires_at);
    for (std::size_t i = 0; i < made.payload.size(); ++i) {
        std::string bent = made.payload;
        bent[i] = bent[i] == 'A' ? 'Q' : 'A';
        CHECK_FALSE(read_wallet_challenge(context, bent));
    }
    CHECK_FALSE(read_wallet_challenge(context, ""));
    Context restarted = context;
    restarted.process_tag = "next";
    CHECK_FALSE(read_wallet_challenge(restarted, made.payload));
    Context other = context;
    other.secret = std::string(32, 'x');
    CHECK_FALSE(read_wallet_challenge(other, made.payload));
}

TEST_CASE("a session's secret and a key's are not each other's") {
    const std::string letters(43, 'A');
    CHECK(session_hash("cs_" + letters));
    CHECK_FALSE(session_hash("ck_" + letters));
    CHECK_FALSE(session_hash("cs_" + letters + "A"));
    CHECK_FALSE(session_hash("cs_" + std::string(43, '!')));
    CHECK_FALSE(credential_hash("cs_" + letters));
    CHECK(credential_hash("ck_" + letters));
}

TEST_CASE("the cookie says what browsers need to keep it ours") {
    CHECK(session_cookie(true, "cs_x", hours(1)) ==
          "__Host-session=cs_x; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600; Secure");
    CHECK(session_cookie(false, "cs_x", hours(1)) ==
          "session=cs_x; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600");
    CHECK(session_cookie(true, "", hours(1)) ==
          "__Host-session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0; Secure");
}

TEST_CASE("a session lasts while it is used, and not for ever") {
    using matching::AccountKind;
    const Instant opened = at(1'795'000'000);
    for (const AccountKind kind : {AccountKind::developer, AccountKind::provider,
                                   AccountKind::admin, AccountKind::auditor}) {
        const SessionLife life = session_life(kind);
        CHECK(session_end(kind, opened, opened) == opened + life.idle);
        CHECK(session_end(kind, opened, opened + minutes(5)) == opened + minutes(5) + life.idle);
        CHECK(session_end(kind, opened, opened + life.whole) == opened + life.whole);
        CHECK((session_scopes(kind) & (matching::scope_work | matching::scope_node)) == 0);
    }
    CHECK(session_life(AccountKind::admin).idle < session_life(AccountKind::developer).idle);
}
