#include "db/settlement.hpp"

#include <algorithm>

#include "db/connection.hpp"

namespace cocoon::db {
namespace {

using settlement::Entry;

const Statement read_chain_cursor{"read_chain_cursor", "select lt, hash from chain_cursor"};
const Statement move_chain_cursor{
    "move_chain_cursor",
    "update chain_cursor set lt = $1::bigint, hash = $2::text where lt <= $1::bigint"};
// What was noted before (a cursor set back shows it again) is not added to the totals again.
const Statement note_chain_entries{
    "note_chain_entries",
    "with new as (insert into chain_entries (lt, hash, at, kind, in_nano, out_nano, fees_nano) "
    "select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bigint[], "
    "$6::bigint[], $7::bigint[]) on conflict (lt) do nothing "
    "returning kind, in_nano, out_nano, fees_nano) "
    "insert into chain_totals as t (kind, in_nano, out_nano, fees_nano) "
    "select kind, sum(in_nano)::bigint, sum(out_nano)::bigint, sum(fees_nano)::bigint from new "
    "group by kind on conflict (kind) do update set in_nano = t.in_nano + excluded.in_nano, "
    "out_nano = t.out_nano + excluded.out_nano, fees_nano = t.fees_nano + excluded.fees_nano"};
const Statement sum_chain_entries{"sum_chain_entries",
                                  "select kind, in_nano, out_nano, fees_nano from chain_totals"};
const Statement hold_transfer{
    "hold_transfer",
    "insert into chain_holds (reference, source, memo, amount_nano, at, reason) "
    "values ($1::text, $2::text, $3::text, $4::bigint, $5::bigint, $6::text) on "
    "conflict do nothing"};
const Statement sum_holds{"sum_holds",
                          "select count(*), coalesce(sum(amount_nano), 0)::bigint "
                          "from chain_holds h where not exists "
                          "(select from deposits d where d.reference = h.reference)"};
const Statement find_hold{
    "find_hold", "select reference, amount_nano from chain_holds where number = $1::bigint"};
const Statement find_payout_memo{"find_payout_memo",
                                 "select a.deposit_memo from payouts p join accounts a "
                                 "on a.id = p.account where p.id = $1::bigint"};
const Statement next_batch{"next_payout_batch",
                           "select coalesce(max(number), 0) + 1 from payout_batches"};
const Statement store_batch{
    "store_payout_batch",
    "insert into payout_batches (number, key, expires_at, cost_nano, message, message_hash, "
    "payouts, addresses, amounts_nano) "
    "values ($1::bigint, $2::text, $3::bigint, $4::bigint, $5::bytea, $6::text, $7::bigint[], "
    "$8::text[], $9::bigint[])"};
const Statement claim_payouts{
    "claim_payouts",
    "insert into payout_claims (payout, batch) select unnest($1::bigint[]), $2::bigint"};
const Statement release_payouts{
    "release_payouts",
    "delete from payout_claims where batch = $1::bigint and not payout = any($2::bigint[])"};
const std::string batch_columns =
    "select number, key, expires_at, cost_nano, message, message_hash, payouts, addresses, "
    "amounts_nano, phase from payout_batches ";
const Statement list_open_batches{
    "list_open_payout_batches",
    batch_columns + "where phase in ('open', 'accepted') order by number"};
const Statement find_batch{"find_payout_batch", batch_columns + "where key = $1::text"};
const Statement end_batch{"end_payout_batch",
                          "update payout_batches set phase = $2::text where number = $1::bigint "
                          "and phase in ('open', 'accepted')"};
const Statement sum_owed{"sum_owed",
                         "select coalesce(-sum(chain_nano), 0)::bigint from accounts "
                         "where chain_nano <> 0"};
const Statement read_liabilities_sequence{"read_liabilities_sequence",
                                          "select sequence from projection"};
const Statement list_liabilities{
    "list_liabilities",
    "select id, available_nano + held_nano + earned_nano + paying_nano from accounts "
    "where id <> $1::bigint order by id"};
const Statement store_reconciliation{
    "store_reconciliation",
    "insert into chain_reconciliation (at, lt, balance_nano, owed_nano, held_nano, "
    "operator_nano, fees_nano, moving_nano, difference_nano) values ($1::bigint, $2::bigint, "
    "$3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::bigint) "
    "on conflict (one) do update set at = excluded.at, lt = excluded.lt, "
    "balance_nano = excluded.balance_nano, owed_nano = excluded.owed_nano, "
    "held_nano = excluded.held_nano, operator_nano = excluded.operator_nano, "
    "fees_nano = excluded.fees_nano, moving_nano = excluded.moving_nano, "
    "difference_nano = excluded.difference_nano"};

constexpr std::string_view unique_violation = "23505";
constexpr std::string_view phases[] = {"open", "accepted", "executed", "refused", "expired"};

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

StoredBatch batch_at(const Rows& rows, std::size_t i) {
    StoredBatch stored;
    settlement::PayoutBatch& batch = stored.batch;
    batch.number = static_cast<std::uint64_t>(rows.integer(i, 0));
    batch.key = std::string{rows.text(i, 1)};
    batch.expires_at = Instant{rows.integer(i, 2)};
    batch.cost = Nano{rows.integer(i, 3)};
    batch.message = std::string{as_text(rows.bytes(i, 4))};
    batch.message_hash = std::string{rows.text(i, 5)};
    const auto payouts = rows.integers(i, 6);
    const auto addresses = rows.texts(i, 7);
    const auto amounts = rows.integers(i, 8);
    for (std::size_t row = 0;
         row < payouts.size() && row < addresses.size() && row < amounts.size(); ++row) {
        batch.rows.push_back(
            {static_cast<std::uint64_t>(payouts[row]), addresses[row], Nano{amounts[row]}});
    }
    const auto phase = std::find(std::begin(phases), std::end(phases), rows.text(i, 9));
    stored.phase = static_cast<BatchPhase>(phase - std::begin(phases));
    return stored;
}

std::string numbers_of(std::span<const std::uint64_t> values) {
    ArrayBuilder array{ArrayBuilder::Type::bigint};
    for (const std::uint64_t value : values) array.add(number(value));
    return array.finish();
}

}  // namespace

settlement::Cursor Settlement::cursor() {
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(read_chain_cursor);
    return {static_cast<std::uint64_t>(rows.integer(0, 0)), std::string{rows.text(0, 1)}};
}

void Settlement::take(std::span<const Entry> entries, const settlement::Cursor& next) {
    using Type = ArrayBuilder::Type;
    ArrayBuilder lts{Type::bigint}, hashes{Type::text}, times{Type::bigint}, kinds{Type::text},
        ins{Type::bigint}, outs{Type::bigint}, fees{Type::bigint};
    for (const Entry& entry : entries) {
        lts.add(number(entry.position.lt));
        hashes.add_raw(entry.position.hash);
        times.add(entry.at.us);
        kinds.add_raw(name_of(entry.kind));
        ins.add(entry.in.value);
        outs.add(entry.out.value);
        fees.add(entry.fees.value);
    }
    Parameters parameters;
    for (ArrayBuilder* array : {&lts, &hashes, &times, &kinds, &ins, &outs, &fees})
        parameters.add_encoded(array->finish());
    Pool::Lease lease = pool_.take();
    Transaction transaction{*lease};
    lease->run(note_chain_entries, parameters);
    lease->run(move_chain_cursor, Parameters{}.add(number(next.lt)).add_text(next.hash));
    transaction.commit();
}

void Settlement::hold(const Entry& entry, const std::string& reason) {
    Pool::Lease lease = pool_.take();
    Parameters parameters;
    parameters.add_text(entry.reference).add_text(entry.source).add_text(entry.memo);
    parameters.add(entry.in.value).add(entry.at.us).add_text(reason);
    lease->run(hold_transfer, parameters);
}

std::uint64_t Settlement::holds() {
    Pool::Lease lease = pool_.take();
    return static_cast<std::uint64_t>(lease->run(sum_holds).integer(0, 0));
}

std::optional<settlement::HeldTransfer> Settlement::held(settlement::HoldId hold) {
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(find_hold, Parameters{}.add(number(hold.value)));
    if (rows.empty()) return std::nullopt;
    return settlement::HeldTransfer{std::string{rows.text(0, 0)}, Nano{rows.integer(0, 1)}};
}

std::optional<std::string> Settlement::memo_of_payout(std::uint64_t payout) {
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(find_payout_memo, Parameters{}.add(number(payout)));
    if (rows.empty()) return std::nullopt;
    return std::string{rows.text(0, 0)};
}

std::uint64_t Settlement::next_batch_number() {
    Pool::Lease lease = pool_.take();
    return static_cast<std::uint64_t>(lease->run(next_batch).integer(0, 0));
}

bool Settlement::store(const settlement::PayoutBatch& batch) {
    std::vector<std::uint64_t> payouts;
    ArrayBuilder addresses{ArrayBuilder::Type::text}, amounts{ArrayBuilder::Type::bigint};
    for (const settlement::PayoutRow& row : batch.rows) {
        payouts.push_back(row.payout);
        addresses.add_raw(row.address);
        amounts.add(row.amount.value);
    }
    Parameters parameters;
    parameters.add(number(batch.number)).add_text(batch.key).add(batch.expires_at.us);
    parameters.add(batch.cost.value).add_bytes(as_bytes(batch.message));
    parameters.add_text(batch.message_hash).add_encoded(numbers_of(payouts));
    parameters.add_encoded(addresses.finish()).add_encoded(amounts.finish());
    Pool::Lease lease = pool_.take();
    Transaction transaction{*lease};
    try {
        lease->run(store_batch, parameters);
        lease->run(claim_payouts,
                   Parameters{}.add_encoded(numbers_of(payouts)).add(number(batch.number)));
    } catch (const Failure& failure) {
        if (failure.sqlstate == unique_violation) return false;
        throw;
    }
    transaction.commit();
    return true;
}

std::vector<StoredBatch> Settlement::open_batches() {
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(list_open_batches);
    std::vector<StoredBatch> batches;
    for (std::size_t i = 0; i < rows.size(); ++i) batches.push_back(batch_at(rows, i));
    return batches;
}

std::optional<StoredBatch> Settlement::batch_by_key(const std::string& key) {
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(find_batch, Parameters{}.add_text(key));
    if (rows.empty()) return std::nullopt;
    return batch_at(rows, 0);
}

void Settlement::accept(std::uint64_t batch) {
    Pool::Lease lease = pool_.take();
    lease->run(end_batch, Parameters{}.add(number(batch)).add_text("accepted"));
}

void Settlement::close(std::uint64_t batch, BatchPhase end, std::span<const std::uint64_t> paid) {
    Pool::Lease lease = pool_.take();
    Transaction transaction{*lease};
    Parameters parameters;
    parameters.add(number(batch)).add_text(phases[static_cast<std::size_t>(end)]);
    // Ended before: its payouts may be another batch's by now.
    if (lease->run(end_batch, parameters).affected() > 0) {
        lease->run(release_payouts, Parameters{}.add(number(batch)).add_encoded(numbers_of(paid)));
    }
    transaction.commit();
}

Reconciliation Settlement::totals() {
    using Kind = Entry::Kind;
    Reconciliation sums;
    Pool::Lease lease = pool_.take();
    Transaction snapshot{*lease, Transaction::Kind::read_only_snapshot};
    const Rows cursor = lease->run(read_chain_cursor);
    sums.lt = static_cast<std::uint64_t>(cursor.integer(0, 0));
    sums.held = Nano{lease->run(sum_holds).integer(0, 1)};
    sums.owed = Nano{lease->run(sum_owed).integer(0, 0)};
    const Rows rows = lease->run(sum_chain_entries);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto is = [&](Kind kind) { return rows.text(i, 0) == name_of(kind); };
        const Nano in{rows.integer(i, 1)}, out{rows.integer(i, 2)};
        sums.fees += Nano{rows.integer(i, 3)};
        // Deposits and bounces are owed or held, what batches pay is owed no more.
        const bool for_books = is(Kind::deposit) || is(Kind::bounced);
        if (is(Kind::accepted)) sums.moving += out;
        if (is(Kind::executed)) sums.moving -= in;
        if (!for_books && !is(Kind::executed)) sums.operator_funds += in;
        if (!is(Kind::accepted) && !is(Kind::executed)) sums.operator_funds -= out;
    }
    return sums;
}

Liabilities Settlement::liabilities() {
    Pool::Lease lease = pool_.take();
    Transaction snapshot{*lease, Transaction::Kind::read_only_snapshot};
    Liabilities found;
    found.sequence =
        static_cast<std::uint64_t>(lease->run(read_liabilities_sequence).integer(0, 0));
    found.on_hold = Nano{lease->run(sum_holds).integer(0, 1)};
    const Rows rows = lease->run(list_liabilities, Parameters{}.add(number(matching::house.value)));
    found.accounts.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
        found.accounts.emplace_back(static_cast<std::uint64_t>(rows.integer(i, 0)),
                                    Nano{rows.integer(i, 1)});
    return found;
}

void Settlement::store(const Reconciliation& found) {
    Parameters parameters;
    parameters.add(found.at.us).add(number(found.lt)).add(found.balance.value);
    parameters.add(found.owed.value).add(found.held.value).add(found.operator_funds.value);
    parameters.add(found.fees.value).add(found.moving.value).add(found.difference.value);
    Pool::Lease lease = pool_.take();
    lease->run(store_reconciliation, parameters);
}

}  // namespace cocoon::db
