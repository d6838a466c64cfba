// The snapshot itself, and what is asked of accounts, keys and their money.
#include "db/reader_parts.hpp"
#include "matching/codec.hpp"

namespace cocoon::db {

using namespace matching;

namespace {

const Statement begin_reading{"read_cursor",
                              "select sequence, coalesce(fee_basis_points, 500) from projection"};
const Statement find_credential{
    "read_credential", "select " + listed<ApiKey>() +
                           ", a.kind, a.frozen from api_keys t "
                           "join accounts a on a.id = t.account where t.secret_hash = $1::bytea"};
const Statement find_account{
    "read_account", "select " + listed<Account>() + " from accounts t where id = $1::bigint"};
const Statement list_accounts{
    "list_accounts",
    "select " + listed<Account>() +
        " from accounts t where id < $1::bigint and "
        "($2::text is null or kind = $2::text::account_kind) order by id desc limit $3::bigint"};
const Statement list_keys{"list_keys",
                          "select " + listed<ApiKey>() +
                              " from api_keys t where account = $1::bigint "
                              "and ($2::bigint is null or id = $2::bigint) order by id"};
const Statement list_postings{
    "list_postings",
    "select p.sequence, p.ordinal, p.at, p.\"from\", p.from_bucket, p.\"to\", p.to_bucket, "
    "p.amount_nano, p.job, "
    "j.receipt_hash from ("
    "(select * from postings where \"from\" = $1::bigint and (sequence, ordinal) > ($2::bigint, "
    "$3::bigint) "
    "and sequence > $4::bigint and sequence <= $5::bigint order by sequence, ordinal limit "
    "$6::bigint) union all "
    "(select * from postings where \"to\" = $1::bigint and \"to\" <> \"from\" "
    "and (sequence, ordinal) > ($2::bigint, $3::bigint) and sequence > $4::bigint and sequence <= "
    "$5::bigint "
    "order by sequence, ordinal limit $6::bigint)) p "
    "left join jobs j on p.\"to\" <> p.\"from\" and j.account = p.\"from\" and j.id = p.job "
    "order by p.sequence, p.ordinal limit $6::bigint"};
const Statement list_deposits{
    "list_deposits",
    "select " + listed<Deposit>() +
        " from deposits t where id < $2::bigint "
        "and ($1::bigint is null or account = $1::bigint) order by id desc limit $3::bigint"};
const Statement list_payouts{
    "list_payouts",
    "select " + listed<Payout>() +
        " from payouts t where id < $2::bigint "
        "and ($1::bigint is null or account = $1::bigint) order by id desc limit $3::bigint"};
const Statement list_payouts_in{
    "list_payouts_in",
    "select " + listed<Payout>() +
        " from payouts t where id < $2::bigint and "
        "($1::text is null or state = $1::text::payout_state) order by id desc limit $3::bigint"};
const Statement sum_earned{
    "sum_earned",
    "select coalesce(sum(amount_nano) filter (where state = 'paid'), 0)::bigint, "
    "coalesce(sum(amount_nano) filter (where settled_at is null), 0)::bigint "
    "from payouts where account = $1::bigint and source = 'earned'"};
const Statement read_moment{"read_moment", "select counters from projection"};
const Statement any_webhook_there{
    "any_webhook", "select exists (select from webhooks where not coalesce(disabled, false))"};
const Statement list_webhooks{"list_webhooks",
                              "select " + listed<Webhook>() +
                                  " from webhooks t "
                                  "where ($1::bigint is null or account = $1::bigint) order by id"};

// A key that came by rotation is shown with the caps and sums that count for it.
void fill_from(const ApiKey& purse, ApiKey& key) {
    key.cap_total = purse.cap_total;
    key.cap_day = purse.cap_day;
    key.spent_total = purse.spent_total;
    key.spent_day = purse.spent_day;
    key.day = purse.day;
    key.held = purse.held;
}

StatementLine statement_line(const Rows& rows, std::size_t row) {
    return {.key = {unsigned_at(rows, row, 0), static_cast<std::uint32_t>(rows.integer(row, 1))},
            .at = {rows.integer(row, 2)},
            .posting = {.from = {unsigned_at(rows, row, 3)},
                        .from_bucket = enum_from_sql<Bucket>(rows.text(row, 4)),
                        .to = {unsigned_at(rows, row, 5)},
                        .to_bucket = enum_from_sql<Bucket>(rows.text(row, 6)),
                        .amount = {rows.integer(row, 7)},
                        .job = {rows.null(row, 8) ? 0 : unsigned_at(rows, row, 8)}},
            .receipt_hash = hash_or_empty(rows, row, 9)};
}

}  // namespace

Reader::Reader(Pool& pool) {
    try {
        held_ = std::make_unique<Held>(pool.take());
    } catch (const ConnectionLost&) {
        // An idle connection may have died with the server's last restart; a fresh one decides.
        held_ = std::make_unique<Held>(pool.take());
    }
    const Rows cursor = held_->run(begin_reading);
    as_of_ = unsigned_at(cursor, 0, 0);
    fee_basis_points_ = static_cast<int>(cursor.integer(0, 1));
}

Reader::Reader(Reader&&) noexcept = default;
Reader::~Reader() = default;

std::optional<Credential> Reader::credential(const Digest& secret_hash) {
    const Rows rows = held_->run(find_credential, Parameters{}.add_bytes(secret_hash));
    if (rows.empty()) return std::nullopt;
    const std::size_t next = width<ApiKey>();
    return Credential{.key = read_row<ApiKey>(rows, 0),
                      .kind = enum_from_sql<AccountKind>(rows.text(0, next)),
                      .frozen = rows.boolean(0, next + 1)};
}

std::optional<Account> Reader::account(AccountId account) {
    return first_of(
        nouns_of<Account>(held_->run(find_account, Parameters{}.add(number(account.value))), 1));
}

Listed<Account> Reader::accounts(std::optional<AccountKind> kind, PageBefore page) {
    Parameters parameters;
    parameters.add(below(page));
    add_optional(parameters, kind);
    parameters.add(std::int64_t{page.rows_max} + 1);
    return nouns_of<Account>(held_->run(list_accounts, parameters), page.rows_max);
}

std::vector<ApiKey> Reader::keys(AccountId account) {
    std::vector<ApiKey> keys =
        read_all<ApiKey>(held_->run(list_keys, Parameters{}.add(number(account.value)).add_null()));
    // In the order of ids, and a purse is older than what came from it.
    for (ApiKey& key : keys) {
        if (!key.purse) continue;
        const auto purse = std::ranges::lower_bound(keys, key.purse, {}, &ApiKey::id);
        if (purse != keys.end() && purse->id == key.purse) fill_from(*purse, key);
    }
    return keys;
}

std::optional<ApiKey> Reader::key(AccountId account, KeyId key) {
    const auto read = [&](KeyId id) {
        return first_of(nouns_of<ApiKey>(
            held_->run(list_keys, Parameters{}.add(number(account.value)).add(number(id.value))),
            1));
    };
    std::optional<ApiKey> found = read(key);
    if (!found || !found->purse) return found;
    if (const std::optional<ApiKey> purse = read(found->purse)) fill_from(*purse, *found);
    return found;
}

Listed<StatementLine> Reader::statement(AccountId account, Instant from, Instant to, EntryKey after,
                                        std::uint32_t rows_max) {
    const std::uint64_t first = from.us == 0 ? 0 : sequence_before(*held_->lease, from, as_of_);
    const std::uint64_t last = to.us == 0 ? as_of_ : sequence_before(*held_->lease, to, as_of_);
    const Rows rows = held_->run(list_postings, Parameters{}
                                                    .add(number(account.value))
                                                    .add(number(after.sequence))
                                                    .add(std::int64_t{after.ordinal})
                                                    .add(number(first))
                                                    .add(number(last))
                                                    .add(std::int64_t{rows_max} + 1));
    return page_of<StatementLine>(rows, rows_max, statement_line);
}

Listed<Deposit> Reader::deposits(AccountId account, PageBefore page) {
    Parameters parameters;
    add_optional(parameters, account);
    parameters.add(below(page)).add(std::int64_t{page.rows_max} + 1);
    return nouns_of<Deposit>(held_->run(list_deposits, parameters), page.rows_max);
}

Listed<Payout> Reader::payouts(AccountId account, PageBefore page) {
    Parameters parameters;
    add_optional(parameters, account);
    parameters.add(below(page)).add(std::int64_t{page.rows_max} + 1);
    return nouns_of<Payout>(held_->run(list_payouts, parameters), page.rows_max);
}

Listed<Payout> Reader::payouts_in(std::optional<PayoutState> state, PageBefore page) {
    Parameters parameters;
    add_optional(parameters, state);
    parameters.add(below(page)).add(std::int64_t{page.rows_max} + 1);
    return nouns_of<Payout>(held_->run(list_payouts_in, parameters), page.rows_max);
}

EarnedSums Reader::earned_sums(AccountId account) {
    const Rows sums = held_->run(sum_earned, Parameters{}.add(number(account.value)));
    const Rows stored = held_->run(read_moment);
    Counters counters;
    if (!stored.null(0, 0)) {
        const auto decoded = decode_counters(stored.text(0, 0));
        if (!decoded) throw Failure{"the projections' counters cannot be read", "XX001"};
        counters = *decoded;
    }
    return {Nano{sums.integer(0, 0)}, Nano{sums.integer(0, 1)}, counters.last_at};
}

bool Reader::any_webhook() { return held_->run(any_webhook_there).boolean(0, 0); }

std::vector<Webhook> Reader::webhooks(AccountId account) {
    Parameters parameters;
    add_optional(parameters, account);
    return read_all<Webhook>(held_->run(list_webhooks, parameters));
}

}  // namespace cocoon::db
