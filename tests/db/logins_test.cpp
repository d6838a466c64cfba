// What people sign in with: found by both handles, names and wallets belong to one account, and a
// code's step is used once, whoever asks.
#include "db/logins.hpp"

#include <atomic>
#include <thread>

#include "tests/db/market.hpp"

using namespace cocoon;
using namespace cocoon::db;

TEST_CASE("logins: found by id and by name, replaced whole, names belong to one") {
    test::Database database;
    Pool pool{database.options(), 2};
    Logins logins{pool};
    const Instant at{1'795'000'000'000'000};
    const Login ada{AccountId{7}, "ada", "hash", Bytes{1, 2, 0, 3}};
    CHECK_FALSE(logins.find("ada"));
    CHECK(logins.store(ada, at));
    for (const char* typed : {"ada", "acc_7"}) {
        INFO(typed);
        const auto found = logins.find(typed);
        REQUIRE(found);
        CHECK(found->account == ada.account);
        CHECK(found->name == "ada");
        CHECK(found->password_hash == "hash");
        CHECK(found->code_secret == ada.code_secret);
    }
    for (const char* typed : {"", "acc_8", "acc_0", "acc_07", "Ada", "ada' or '1'='1", "7"})
        CHECK_FALSE(logins.find(typed));
    CHECK_FALSE(logins.store(Login{AccountId{8}, "ada", "other", {}}, at));
    CHECK_FALSE(logins.find("acc_8"));
    CHECK(logins.find("ada")->password_hash == "hash");
    CHECK(logins.store(Login{AccountId{7}, "lovelace", "newer", {}}, at));
    CHECK_FALSE(logins.find("ada"));
    CHECK(logins.find("lovelace")->code_secret.empty());
    CHECK(logins.store(Login{AccountId{8}, "ada", "other", {}}, at));
}

TEST_CASE("logins: each step of a code is used once, and steps only rise") {
    test::Database database;
    Pool pool{database.options(), 4};
    Logins logins{pool};
    CHECK_FALSE(logins.use_code(AccountId{7}, 1));  // no login
    logins.store(Login{AccountId{7}, "ada", "hash", Bytes{1}}, Instant{1});
    const std::pair<std::uint64_t, bool> steps[] = {{100, true}, {100, false}, {99, false},
                                                    {101, true}, {100, false}, {102, true}};
    for (const auto& [step, first] : steps) CHECK(logins.use_code(AccountId{7}, step) == first);
    std::atomic<int> passed{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i)
        callers.emplace_back([&] { passed += Logins{pool}.use_code(AccountId{7}, 200); });
    for (std::thread& caller : callers) caller.join();
    CHECK(passed == 1);
}

TEST_CASE("logins: a wallet is one account's, an account has one wallet") {
    test::Database database;
    Pool pool{database.options(), 2};
    Logins logins{pool};
    const std::string first = "0:" + std::string(64, 'a'), second = "0:" + std::string(64, 'b');
    CHECK(logins.store(Wallet{AccountId{7}, first, Instant{5}}));
    CHECK(logins.wallet(AccountId{7})->address == first);
    CHECK(logins.wallet_at(first)->account == AccountId{7});
    CHECK(logins.wallet_at(first)->proven_at == Instant{5});
    CHECK_FALSE(logins.store(Wallet{AccountId{8}, first, Instant{6}}));
    CHECK_FALSE(logins.wallet(AccountId{8}));
    CHECK(logins.store(Wallet{AccountId{7}, second, Instant{7}}));
    CHECK_FALSE(logins.wallet_at(first));
    CHECK(logins.store(Wallet{AccountId{8}, first, Instant{8}}));
}
