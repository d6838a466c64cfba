// Sign-in against a real market: what opens a session, what it may do, what ends it, and what a
// stranger learns from an answer.
#include "api/session.hpp"
#include "settlement/boc.hpp"
#include "settlement/ton_proof.hpp"
#include "settlement/wallet.hpp"
#include "tests/api/house.hpp"

using namespace cocoon;
using namespace cocoon::api;
using namespace cocoon::api::test;
namespace ton = cocoon::settlement::ton;

namespace {

const std::string password = "correct horse battery";

std::string header_of(const Heard& heard, std::string_view name) {
    for (const auto& [key, value] : heard.headers)
        if (key == name) return value;
    return {};
}

std::string secret_of(const Heard& heard) {
    const std::string cookie = header_of(heard, "Set-Cookie");
    const std::size_t from = cookie.find('=') + 1;
    return cookie.substr(from, cookie.find(';') - from);
}

// As admission sees the cookie's bearer.
std::optional<Principal> bearer(House& house, const std::string& secret) {
    const auto hash = session_hash(secret);
    if (!hash) return std::nullopt;
    house.market.project();
    db::Reader reader{house.pool};
    const auto credential = reader.credential(*hash);
    if (!credential || credential->key.revoked) return std::nullopt;
    Principal who = person(credential->key.account, credential->kind, credential->key.scopes,
                           credential->key.id);
    who.session = true;
    return who;
}

std::string code_now(House& house, const std::string& base32) {
    static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    Bytes secret;
    std::uint32_t waiting = 0;
    int bits = 0;
    for (const char c : base32) {
        waiting = waiting << 5 | static_cast<std::uint32_t>(letters.find(c));
        if ((bits += 5) >= 8) secret.push_back(static_cast<std::uint8_t>(waiting >> (bits -= 8)));
    }
    return code_at(secret, static_cast<std::uint64_t>(house.market.now.us / code_step.us));
}

struct Admin {
    Principal who;
    std::string code_secret;
};

// An admin with an API key, who then sets a password.
Admin admin_of(House& house, const std::string& name) {
    OpenAccount open;
    open.kind = AccountKind::admin;
    open.name = "root";
    open.deposit_memo = "memo-" + name;
    open.first_key.scopes = session_scopes(AccountKind::admin);
    open.first_key.secret_hash = sealing::sha256(as_bytes(name));
    const auto opened = house.market.must<AccountAnswer>(open);
    const Principal who =
        person(opened.account, AccountKind::admin, open.first_key.scopes, opened.key);
    const Heard set =
        house.call(Method::put, "/v1/account/login", who, {{"name", name}, {"password", password}});
    REQUIRE(set.status == 200);
    return {who, set.body["code_secret"].get<std::string>()};
}

// A wallet v4r2 that signs what TON Connect asks of it.
struct TestWallet {
    explicit TestWallet(std::string_view seed)
        : key{*ton::SigningKey::from_seed(as_bytes(seed.substr(0, 32)))},
          state{ton::wallet_state(ton::WalletKind::v4r2, key.public_key(),
                                  ton::default_wallet_id(ton::WalletKind::v4r2))},
          address{state.address().raw()} {}

    json proof(const std::string& payload, const std::string& domain, Instant at) const {
        ton::TonProof made;
        made.domain = domain;
        made.timestamp = static_cast<std::uint64_t>(at.unix_seconds());
        made.payload = payload;
        const ton::Hash hash = ton::ton_proof_hash(made, state.address());
        return {{"address", address},
                {"network", -239},
                {"public_key", to_hex(key.public_key())},
                {"state_init", to_base64(ton::write_boc(state.cell()))},
                {"timestamp", made.timestamp},
                {"domain", domain},
                {"domain_bytes", domain.size()},
                {"payload", payload},
                {"signature", to_base64(key.sign(hash))}};
    }

    ton::SigningKey key;
    ton::StateInit state;
    std::string address;
};

Heard sign_in(House& house, const json& body, const Principal& who = {}) {
    return house.call(Method::post, "/v1/session", who, body);
}

}  // namespace

TEST_CASE("a developer signs in by password, and out") {
    House house;
    const auto [work, manager] = sign_up(house, "developer");
    CHECK(house.get("/v1/account/login", manager).body["name"].is_null());
    const Heard set = house.call(Method::put, "/v1/account/login", manager,
                                 {{"name", "ada"}, {"password", password}, {"code", false}});
    REQUIRE(set.status == 200);
    CHECK(set.body["code_url"].is_null());
    CHECK(house.get("/v1/account/login", manager).body["name"] == "ada");

    house.market.project();
    for (const std::string& typed : {std::string{"ada"}, std::string{"ADA"}, work.account.text()}) {
        const Heard opened = sign_in(house, {{"account", typed}, {"password", password}});
        REQUIRE(opened.status == 201);
        CHECK(opened.body["account"]["id"] == work.account.text());
        CHECK(opened.body["scopes"] == json::array({"read", "manage"}));
        CHECK(opened.text.find("cs_") == std::string::npos);
        CHECK(header_of(opened, "Cache-Control") == "private, no-store");
    }
    const Heard opened = sign_in(house, {{"account", "ada"}, {"password", password}});
    const auto session = bearer(house, secret_of(opened));
    REQUIRE(session);
    CHECK(session->account == work.account);
    CHECK(house.get("/v1/account", *session).status == 200);
    const Heard read = house.get("/v1/session", *session);
    CHECK(read.body["account"] == opened.body["account"]);
    // Work takes a key that no browser holds; to change the sign-in, a key as well.
    CHECK(house.post("/v1/requests", *session, json::object()).status == 403);
    CHECK(house
              .call(Method::put, "/v1/account/login", *session,
                    {{"name", "eve"}, {"password", password}})
              .status == 403);
    CHECK(house.get("/v1/session", manager).status == 404);
    CHECK(house.call(Method::remove, "/v1/session", manager).status == 404);

    const Heard closed = house.call(Method::remove, "/v1/session", *session);
    CHECK(closed.status == 204);
    CHECK(header_of(closed, "Set-Cookie") ==
          "session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    CHECK_FALSE(bearer(house, secret_of(opened)));
}

TEST_CASE("every wrong sign-in is answered alike") {
    House house;
    const auto [work, manager] = sign_up(house, "developer");
    house.call(Method::put, "/v1/account/login", manager,
               {{"name", "ada"}, {"password", password}});
    house.market.project();
    std::set<std::string> answers;
    for (const json& body :
         {json{{"account", "ada"}, {"password", password}},                      // no code
          json{{"account", "ada"}, {"password", password}, {"code", "000000"}},  // a wrong one
          json{{"account", "ada"}, {"password", "wrong"}, {"code", "000000"}},
          json{{"account", "nobody"}, {"password", password}, {"code", "000000"}},
          json{{"account", "acc_999"}, {"password", password}},
          json{{"account", "' or 1=1 --"}, {"password", password}}}) {
        const Heard refused = sign_in(house, body);
        CHECK(refused.status == 401);
        CHECK(header_of(refused, "Set-Cookie").empty());
        answers.insert(refused.text);
    }
    CHECK(answers.size() == 1);
    for (const json& body : {json::object(), json{{"account", "ada"}},
                             json{{"account", "ada"}, {"password", password}, {"code", 123456}},
                             json{{"account", "ada"}, {"password", password}, {"more", 1}}})
        CHECK(sign_in(house, body).status == 422);
}

TEST_CASE("an operator has a code, each is good once, and the audit log knows") {
    House house;
    const Admin admin = admin_of(house, "root");
    house.market.project();
    CHECK(house
              .call(Method::put, "/v1/account/login", admin.who,
                    {{"name", "root"}, {"password", password}, {"code", false}})
              .status == 422);
    const auto attempt = [&] {
        return json{{"account", "root"},
                    {"password", password},
                    {"code", code_now(house, admin.code_secret)}};
    };
    const json first = attempt();
    // A wrong password does not use the code up.
    json wrong = first;
    wrong["password"] = "a wrong password";
    CHECK(sign_in(house, wrong).status == 401);
    REQUIRE(house.noted.size() == 1);
    CHECK(house.noted[0].account == admin.who.account);
    CHECK(house.noted[0].action == "sign_in_refused");
    const Heard opened = sign_in(house, first);
    REQUIRE(opened.status == 201);
    CHECK(sign_in(house, first).status == 401);
    house.market.now = house.market.now + code_step * 2;
    const Heard again = sign_in(house, attempt());
    CHECK(again.status == 201);
    const auto session = bearer(house, secret_of(opened));
    REQUIRE(session);
    const Heard audit = house.get("/v1/admin/audit", *session);
    REQUIRE(audit.status == 200);
    std::multiset<std::string> actions;
    for (const json& line : audit.body["items"]) actions.insert(line["action"]);
    CHECK(actions.count("sign_in") == 2);
    CHECK(actions.count("set_login") == 1);
    // A key opens no session of an operator: that would be a way around the code.
    CHECK(sign_in(house, json::object(), admin.who).status == 403);

    // A new password ends every session.
    CHECK(house
              .call(Method::put, "/v1/account/login", admin.who,
                    {{"name", "root"}, {"password", "another long one"}})
              .status == 200);
    CHECK_FALSE(bearer(house, secret_of(opened)));
    CHECK_FALSE(bearer(house, secret_of(again)));
    CHECK(sign_in(house, attempt()).status == 401);
}

TEST_CASE("a key is exchanged for a session that may do no more") {
    House house;
    const auto [work, manager] = sign_up(house, "provider");
    house.market.project();
    const Heard by_manager = sign_in(house, json::object(), manager);
    REQUIRE(by_manager.status == 201);
    CHECK(by_manager.body["scopes"] == json::array({"read", "offer", "manage"}));
    const Heard by_work = sign_in(house, json::object(), work);
    CHECK(by_work.body["scopes"] == json::array({"read", "offer"}));
    const auto [buyer, unused] = sign_up(house, "developer");
    house.market.project();
    CHECK(sign_in(house, json::object(), buyer).body["scopes"] == json::array({"read"}));
    // A session begets no session: not without what opened it.
    const auto session = bearer(house, secret_of(by_manager));
    REQUIRE(session);
    CHECK(sign_in(house, json::object(), *session).status == 422);
}

TEST_CASE("a sign-in replaces the browser's session, and the oldest beyond the limit") {
    House house;
    const auto [work, manager] = sign_up(house, "provider");
    house.market.project();
    std::vector<std::string> secrets;
    for (std::size_t i = 0; i < limits::sessions_per_account_max + 2; ++i) {
        secrets.push_back(secret_of(sign_in(house, json::object(), manager)));
        house.market.project();
    }
    std::size_t live = 0;
    for (const std::string& secret : secrets) live += bearer(house, secret).has_value();
    CHECK(live == limits::sessions_per_account_max);
    CHECK_FALSE(bearer(house, secrets.front()));
    CHECK(std::set<std::string>(secrets.begin(), secrets.end()).size() == secrets.size());

    house.call(Method::put, "/v1/account/login", manager,
               {{"name", "house"}, {"password", password}, {"code", false}});
    const Heard opened = sign_in(house, {{"account", "house"}, {"password", password}});
    const auto session = bearer(house, secret_of(opened));
    REQUIRE(session);
    const Heard next = sign_in(house, {{"account", "house"}, {"password", password}}, *session);
    CHECK(next.status == 201);
    CHECK_FALSE(bearer(house, secret_of(opened)));
    CHECK(bearer(house, secret_of(next)));
}

TEST_CASE("guessing is locked out, for who exists and who does not, and opens again") {
    House house;
    const auto [work, manager] = sign_up(house, "developer");
    house.call(Method::put, "/v1/account/login", manager,
               {{"name", "ada"}, {"password", password}, {"code", false}});
    house.market.project();
    for (const std::string name : {"ada", "nobody"}) {
        for (int i = 0; i < limits::login_attempts_free; ++i)
            CHECK(sign_in(house, {{"account", name}, {"password", "wrong"}}).status == 401);
        // The right password does not help any more, or it could be guessed on.
        const Heard locked = sign_in(house, {{"account", name}, {"password", password}});
        CHECK(locked.status == 429);
        CHECK(header_of(locked, "Retry-After") == "15");
    }
    house.market.now = house.market.now + seconds(limits::login_wait_seconds_first);
    CHECK(sign_in(house, {{"account", "ada"}, {"password", password}}).status == 201);
    CHECK(sign_in(house, {{"account", "ada"}, {"password", "wrong"}}).status == 401);
}

TEST_CASE("a wallet signs in once it is proven, and no proof is good twice or elsewhere") {
    House house;
    house.context.wallet_domain = "market.example";
    const auto [work, manager] = sign_up(house, "provider");
    house.market.project();
    const TestWallet wallet{"a seed of thirty-two octets, mine"},
        stranger{"another seed of thirty-two oct.."};
    const auto payload = [&] {
        const Heard made = house.post("/v1/session/wallet-challenges", Principal{});
        REQUIRE(made.status == 201);
        CHECK(made.body["domain"] == "market.example");
        return made.body["payload"].get<std::string>();
    };
    const auto proof = [&](const TestWallet& whose) {
        return json{{"wallet", whose.proof(payload(), "market.example", house.market.now)}};
    };
    const auto set = [&](const Principal& who, const json& body) {
        return house.call(Method::put, "/v1/account/wallet", who, body);
    };
    CHECK(sign_in(house, proof(wallet)).status == 401);  // nobody's yet
    CHECK(set(manager, proof(wallet)).status == 204);
    const Heard read = house.get("/v1/account/wallet", manager);
    CHECK(read.body["address"] == wallet.address);
    CHECK(read.body["receives_payouts"] == false);
    const Heard opened = sign_in(house, proof(wallet));
    REQUIRE(opened.status == 201);
    CHECK(opened.body["account"]["id"] == work.account.text());
    CHECK(bearer(house, secret_of(opened)));
    CHECK(sign_in(house, proof(stranger)).status == 401);

    json used = proof(wallet);
    CHECK(sign_in(house, used).status == 201);
    CHECK(sign_in(house, used).status == 401);  // a replay
    const auto refused = [&](const char* what, json body) {
        INFO(what);
        const Heard heard = sign_in(house, body);
        CHECK(heard.status == 401);
        CHECK(heard.body["code"] == "wallet_proof_refused");
    };
    const auto changed = [&](const char* member, const json& value) {
        json body = proof(wallet);
        body["wallet"][member] = value;
        return body;
    };
    refused("another site's",
            {{"wallet", wallet.proof(payload(), "evil.example", house.market.now)}});
    refused("another site's, renamed", [&] {
        json body{{"wallet", wallet.proof(payload(), "evil.example14", house.market.now)}};
        body["wallet"]["domain"] = "market.example";
        return body;
    }());
    refused(
        "an old one",
        {{"wallet", wallet.proof(payload(), "market.example", house.market.now - minutes(16))}});
    refused("a payload that is not ours",
            {{"wallet", wallet.proof(std::string(54, 'A'), "market.example", house.market.now)}});
    refused("somebody else's address", changed("address", stranger.address));
    refused("somebody else's key", changed("public_key", to_hex(stranger.key.public_key())));
    refused("another network's", changed("network", -3));
    refused("another signature", changed("signature", to_base64(Bytes(64, 1))));
    json late = proof(wallet);
    house.market.now = house.market.now + seconds(limits::wallet_challenge_seconds) + seconds(1);
    refused("an expired payload", late);

    // A wallet is one account's, and a session binds none.
    const auto [other, other_manager] = sign_up(house, "provider");
    CHECK(set(other_manager, proof(wallet)).status == 409);
    const auto session = bearer(house, secret_of(opened));
    REQUIRE(session);
    CHECK(set(*session, proof(wallet)).status == 403);
    json payouts = proof(wallet);
    payouts["receives_payouts"] = true;
    CHECK(set(manager, payouts).status == 422);  // this market's chain has other addresses
    house.context.payout_address = [](const std::string& address) -> Result<std::string> {
        return "normal " + address;
    };
    payouts = proof(wallet);
    payouts["receives_payouts"] = true;
    CHECK(set(manager, payouts).status == 204);
    CHECK(house.get("/v1/account/wallet", manager).body["receives_payouts"] == true);
    CHECK(house.get("/v1/account", manager).body["payout_address"] == "normal " + wallet.address);

    // Who operates the market needs more than a wallet.
    const Admin admin = admin_of(house, "root");
    house.market.project();
    CHECK(set(admin.who, proof(stranger)).status == 204);
    CHECK(sign_in(house, proof(stranger)).status == 403);
}

TEST_CASE("names and passwords of a sign-in have their rules") {
    House house;
    const auto [work, manager] = sign_up(house, "developer");
    const std::pair<json, std::string> rows[] = {
        {{{"name", "ab"}, {"password", password}}, "/name"},
        {{{"name", "Ada"}, {"password", password}}, "/name"},
        {{{"name", "a b c"}, {"password", password}}, "/name"},
        {{{"name", "acc_1"}, {"password", password}}, "/name"},
        {{{"name", std::string(65, 'a')}, {"password", password}}, "/name"},
        {{{"name", "ada"}, {"password", "short"}}, "/password"},
        {{{"name", "ada"}, {"password", std::string(257, 'a')}}, "/password"},
        {{{"name", "ada"}}, "/password"},
        {{{"name", "ada"}, {"password", password}, {"code", "yes"}}, "/code"}};
    for (const auto& [body, path] : rows) {
        const Heard refused = house.call(Method::put, "/v1/account/login", manager, body);
        CHECK(refused.status == 422);
        CHECK(refused.body["errors"][0]["path"] == path);
    }
    CHECK(house
              .call(Method::put, "/v1/account/login", manager,
                    {{"name", "ada"}, {"password", password}})
              .status == 200);
    const auto [other, other_manager] = sign_up(house, "developer");
    CHECK(house
              .call(Method::put, "/v1/account/login", other_manager,
                    {{"name", "ada"}, {"password", password}})
              .status == 409);
}

TEST_CASE("no secret of a sign-in is in the journal or the tables") {
    House house;
    const Admin admin = admin_of(house, "root");
    house.market.project();
    const Heard opened = sign_in(house, {{"account", "root"},
                                         {"password", password},
                                         {"code", code_now(house, admin.code_secret)}});
    REQUIRE(opened.status == 201);
    house.market.project();
    for (const std::string& secret : {password, admin.code_secret, secret_of(opened)}) {
        for (const char* table : {"journal", "api_keys", "audit", "logins"})
            for (const std::string& spelled : {secret, to_hex(as_bytes(secret))})
                CHECK(house.database.number("select count(*) from " + std::string{table} +
                                            " t where t::text like '%" + spelled + "%'") == 0);
    }
}
