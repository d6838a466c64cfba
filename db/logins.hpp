// How people sign in: names, hashes of passwords, sealed secrets of codes, proven wallets. Its own
// short transactions on the pool. Called by the sign-in (api/sessions.cpp) on worker threads; any
// thread. It stores what it is given and must not know how passwords are checked.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/encoding.hpp"
#include "core/ids.hpp"
#include "core/time.hpp"
#include "db/pool.hpp"
#include "matching/types.hpp"

namespace cocoon::db {

struct Login {
    AccountId account;
    std::string name;           // lower case, the market's only one
    std::string password_hash;  // as api/login.hpp writes it
    Bytes code_secret;          // sealed; empty: no code is asked
};

struct Wallet {
    AccountId account;
    std::string address;  // raw
    Instant proven_at;
};

class Logins {
public:
    explicit Logins(Pool& pool) : pool_{pool} {}

    // By the account's id or by the login's name, whichever `typed` is.
    std::optional<Login> find(std::string_view typed);
    // Replaces the account's login. False, and nothing is stored: the name is somebody else's.
    bool store(const Login& login, Instant at);
    // Whether the code of this step is used now and for the first time; steps only rise.
    bool use_code(AccountId account, std::uint64_t step);

    // Who signs in, as the tables know them.
    std::optional<matching::Account> person(AccountId account);
    // The account's keys that show this prefix and are not revoked, newest first.
    std::vector<KeyId> sessions(AccountId account, std::string_view shown_prefix);

    std::optional<Wallet> wallet(AccountId account);
    std::optional<Wallet> wallet_at(std::string_view address);
    // Replaces the account's wallet. False: it is somebody else's.
    bool store(const Wallet& wallet);

private:
    Pool& pool_;
};

}  // namespace cocoon::db
