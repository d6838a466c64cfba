#include "db/settlement.hpp"

#include "db/connection.hpp"

namespace cocoon::db {
namespace {

const Statement read_chain_cursor{"read_chain_cursor", "select lt, hash from chain_cursor"};
const Statement move_chain_cursor{
    "move_chain_cursor",
    "update chain_cursor set lt = $1::bigint, hash = $2::text where lt <= $1::bigint"};
const Statement hold_transfer{
    "hold_transfer",
    "insert into chain_holds (reference, source, memo, amount_nano, at, reason) "
    "values ($1::text, $2::text, $3::text, $4::bigint, $5::bigint, $6::text) on "
    "conflict do nothing"};
const Statement count_holds{"count_holds", "select count(*) from chain_holds"};
const Statement next_batch{"next_payout_batch",
                           "select coalesce(max(number), 0) + 1 from payout_batches"};
const Statement store_batch{
    "store_payout_batch",
    "insert into payout_batches (number, expires_at, message, message_hash, payouts, addresses, "
    "amounts_nano) "
    "values ($1::bigint, $2::bigint, $3::bytea, $4::text, $5::bigint[], $6::text[], $7::bigint[])"};
const Statement list_open_batches{
    "list_open_payout_batches",
    "select number, expires_at, message, message_hash, payouts, addresses, amounts_nano "
    "from payout_batches where phase = 'open' order by number"};
const Statement close_batch{"close_payout_batch",
                            "update payout_batches set phase = $2::text where number = $1::bigint"};

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

}  // namespace

settlement::Cursor Settlement::cursor() {
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(read_chain_cursor);
    return {static_cast<std::uint64_t>(rows.integer(0, 0)), std::string{rows.text(0, 1)}};
}

void Settlement::move_cursor(const settlement::Cursor& to) {
    Pool::Lease lease = pool_.take();
    lease->run(move_chain_cursor, Parameters{}.add(number(to.lt)).add_text(to.hash));
}

void Settlement::hold(const settlement::Transfer& transfer, const std::string& reason) {
    Pool::Lease lease = pool_.take();
    Parameters parameters;
    parameters.add_text(transfer.reference).add_text(transfer.source).add_text(transfer.memo);
    parameters.add(transfer.amount.value).add(transfer.at.us).add_text(reason);
    lease->run(hold_transfer, parameters);
}

std::uint64_t Settlement::holds() {
    Pool::Lease lease = pool_.take();
    return static_cast<std::uint64_t>(lease->run(count_holds).integer(0, 0));
}

std::uint64_t Settlement::next_batch_number() {
    Pool::Lease lease = pool_.take();
    return static_cast<std::uint64_t>(lease->run(next_batch).integer(0, 0));
}

void Settlement::store(const settlement::PayoutBatch& batch) {
    ArrayBuilder payouts{ArrayBuilder::Type::bigint}, addresses{ArrayBuilder::Type::text},
        amounts{ArrayBuilder::Type::bigint};
    for (const settlement::PayoutRow& row : batch.rows) {
        payouts.add(number(row.payout));
        addresses.add_raw(row.address);
        amounts.add(row.amount.value);
    }
    Parameters parameters;
    parameters.add(number(batch.number))
        .add(batch.expires_at.us)
        .add_bytes(as_bytes(batch.message));
    parameters.add_text(batch.message_hash).add_encoded(payouts.finish());
    parameters.add_encoded(addresses.finish()).add_encoded(amounts.finish());
    Pool::Lease lease = pool_.take();
    lease->run(store_batch, parameters);
}

std::vector<settlement::PayoutBatch> Settlement::open_batches() {
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(list_open_batches);
    std::vector<settlement::PayoutBatch> batches(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        settlement::PayoutBatch& batch = batches[i];
        batch.number = static_cast<std::uint64_t>(rows.integer(i, 0));
        batch.expires_at = Instant{rows.integer(i, 1)};
        batch.message = std::string{as_text(rows.bytes(i, 2))};
        batch.message_hash = std::string{rows.text(i, 3)};
        const auto payouts = rows.integers(i, 4);
        const auto addresses = rows.texts(i, 5);
        const auto amounts = rows.integers(i, 6);
        for (std::size_t row = 0;
             row < payouts.size() && row < addresses.size() && row < amounts.size(); ++row) {
            batch.rows.push_back(
                {static_cast<std::uint64_t>(payouts[row]), addresses[row], Nano{amounts[row]}});
        }
    }
    return batches;
}

void Settlement::close(std::uint64_t batch, bool executed) {
    Pool::Lease lease = pool_.take();
    lease->run(close_batch,
               Parameters{}.add(number(batch)).add_text(executed ? "executed" : "expired"));
}

}  // namespace cocoon::db
