#include "db/logins.hpp"

#include <algorithm>

#include "db/connection.hpp"
#include "db/reader.hpp"

namespace cocoon::db {
namespace {

constexpr std::string_view unique_violation = "23505";

const Statement find_login{"find_login",
                           "select account, name, password_hash, code_secret from logins "
                           "where account = $1::bigint or name = $2::text"};
const Statement store_login{
    "store_login",
    "insert into logins (account, name, password_hash, code_secret, changed_at) "
    "values ($1::bigint, $2::text, $3::text, $4::bytea, $5::bigint) "
    "on conflict (account) do update set name = excluded.name, "
    "password_hash = excluded.password_hash, code_secret = excluded.code_secret, code_step = 0, "
    "changed_at = excluded.changed_at"};
const Statement use_login_code{"use_login_code",
                               "update logins set code_step = $2::bigint "
                               "where account = $1::bigint and code_step < $2::bigint"};
// The newest first; an account has few that are not revoked.
const Statement find_sessions{
    "find_sessions",
    "select id from api_keys where account = $1::bigint and not revoked and "
    "starts_with(shown, $2::text) order by id desc limit 128"};
const Statement find_wallet{
    "find_wallet", "select account, address, proven_at from wallets where account = $1::bigint"};
const Statement find_wallet_at{
    "find_wallet_at", "select account, address, proven_at from wallets where address = $1::text"};
const Statement store_wallet{
    "store_wallet",
    "insert into wallets (account, address, proven_at) values ($1::bigint, $2::text, $3::bigint) "
    "on conflict (account) do update set address = excluded.address, "
    "proven_at = excluded.proven_at"};

std::int64_t number(AccountId id) { return static_cast<std::int64_t>(id.value); }

AccountId account_in(const Rows& rows, std::size_t row, std::size_t column) {
    return AccountId{static_cast<std::uint64_t>(rows.integer(row, column))};
}

std::optional<Wallet> wallet_of(const Rows& rows) {
    if (rows.empty()) return std::nullopt;
    return Wallet{account_in(rows, 0, 0), std::string{rows.text(0, 1)},
                  Instant{rows.integer(0, 2)}};
}

// False when a row of that name or address is another account's.
bool stored(Pool& pool, const Statement& statement, const Parameters& parameters) {
    Pool::Lease lease = pool.take();
    try {
        lease->run(statement, parameters);
        return true;
    } catch (const Failure& failure) {
        if (failure.sqlstate != unique_violation) throw;
        return false;
    }
}

}  // namespace

std::optional<Login> Logins::find(std::string_view typed) {
    const auto id = AccountId::parse(typed);
    Pool::Lease lease = pool_.take();
    const Rows rows =
        lease->run(find_login, Parameters{}.add(id ? number(*id) : 0).add_text(id ? "" : typed));
    if (rows.empty()) return std::nullopt;
    Login login{
        account_in(rows, 0, 0), std::string{rows.text(0, 1)}, std::string{rows.text(0, 2)}, {}};
    if (!rows.null(0, 3)) {
        const ByteView sealed = rows.bytes(0, 3);
        login.code_secret.assign(sealed.begin(), sealed.end());
    }
    return login;
}

bool Logins::store(const Login& login, Instant at) {
    Parameters parameters;
    parameters.add(number(login.account)).add_text(login.name).add_text(login.password_hash);
    login.code_secret.empty() ? parameters.add_null() : parameters.add_bytes(login.code_secret);
    return stored(pool_, store_login, parameters.add(at.us));
}

bool Logins::use_code(AccountId account, std::uint64_t step) {
    Pool::Lease lease = pool_.take();
    return lease
               ->run(use_login_code,
                     Parameters{}.add(number(account)).add(static_cast<std::int64_t>(step)))
               .affected() == 1;
}

std::optional<matching::Account> Logins::person(AccountId account) {
    Reader reader{pool_};
    return reader.account(account);
}

std::vector<KeyId> Logins::sessions(AccountId account, std::string_view shown_prefix) {
    Pool::Lease lease = pool_.take();
    const Rows rows =
        lease->run(find_sessions, Parameters{}.add(number(account)).add_text(shown_prefix));
    std::vector<KeyId> sessions;
    for (std::size_t row = 0; row < rows.size(); ++row)
        sessions.push_back(KeyId{static_cast<std::uint64_t>(rows.integer(row, 0))});
    return sessions;
}

std::optional<Wallet> Logins::wallet(AccountId account) {
    Pool::Lease lease = pool_.take();
    return wallet_of(lease->run(find_wallet, Parameters{}.add(number(account))));
}

std::optional<Wallet> Logins::wallet_at(std::string_view address) {
    Pool::Lease lease = pool_.take();
    return wallet_of(lease->run(find_wallet_at, Parameters{}.add_text(address)));
}

bool Logins::store(const Wallet& wallet) {
    return stored(
        pool_, store_wallet,
        Parameters{}.add(number(wallet.account)).add_text(wallet.address).add(wallet.proven_at.us));
}

}  // namespace cocoon::db
