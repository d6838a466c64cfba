#include "db/outbox.hpp"

#include "db/columns.hpp"
#include "db/connection.hpp"

namespace cocoon::db {

template <class V>
void columns(V& v, typename V::template Of<Delivery>& d) {
    v.key("webhook", d.webhook);
    v.key("sequence", d.key.sequence);
    v.key("ordinal", d.key.ordinal);
    v.required("attempts", d.attempts);
    v.optional("next_attempt_at", d.next_attempt_at);
    v.optional("ended_at", d.ended_at);
    v.optional("status", d.status);
    v.optional("failure", d.failure);
}

namespace {

const std::vector<Column> delivery_columns = columns_of<Delivery>();
const std::string select_deliveries =
    "select " + column_list(delivery_columns) + " from webhook_deliveries ";

const Statement read_outbox{"read_outbox", "select sequence from outbox"};
const Statement move_outbox{"move_outbox",
                            "update outbox set sequence = $1::bigint where sequence = $2::bigint"};
const Statement put_deliveries{"put_deliveries",
                               upsert_sql("webhook_deliveries", delivery_columns)};
// `waiting`: the webhooks that have anything to do at all, one look into the index for each.
const Statement due_deliveries{
    "due_deliveries",
    "with recursive waiting (webhook) as ("
    "(select webhook from webhook_deliveries where next_attempt_at is not null "
    "order by webhook limit 1) "
    "union all "
    "select (select d.webhook from webhook_deliveries d "
    "where d.next_attempt_at is not null and d.webhook > w.webhook order by d.webhook limit 1) "
    "from waiting w where w.webhook is not null) "
    "select d.*, coalesce(k.account, 0) from waiting w "
    "left join webhooks k on k.id = w.webhook "
    "cross join lateral (" +
        select_deliveries +
        "where webhook_deliveries.webhook = w.webhook and next_attempt_at <= $1::bigint "
        "order by next_attempt_at, sequence, ordinal limit $3::bigint) d "
        "where coalesce(k.account, 0) <> all ($4::bigint[]) "
        "order by row_number() over (partition by d.webhook "
        "order by d.next_attempt_at, d.sequence, d.ordinal), d.next_attempt_at, d.webhook "
        "limit $2::bigint"};
const Statement record_delivery{
    "record_delivery",
    "update webhook_deliveries set attempts = $4::bigint, next_attempt_at = $5::bigint, "
    "ended_at = $6::bigint, status = $7::bigint, failure = $8::text "
    "where webhook = $1::bigint and sequence = $2::bigint and ordinal = $3::bigint"};
const Statement recent_deliveries{"recent_deliveries",
                                  select_deliveries +
                                      "where webhook = $1::bigint "
                                      "order by sequence desc, ordinal desc limit $2::bigint"};
const Statement redeliver_failed{
    "redeliver_failed",
    "update webhook_deliveries set next_attempt_at = $4::bigint, ended_at = null, attempts = 0 "
    "where webhook = $1::bigint and (sequence, ordinal) >= ($2::bigint, $3::bigint) "
    "and (ended_at is null or failure is not null)"};
const Statement forget_deliveries{
    "forget_deliveries",
    "delete from webhook_deliveries where ctid = any (array(select ctid from webhook_deliveries "
    "where ended_at < $1::bigint order by ended_at limit $2::bigint))"};

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }
void add_instant(Parameters& parameters, Instant at) {
    at.us ? parameters.add(at.us) : parameters.add_null();
}

}  // namespace

std::uint64_t Outbox::cursor() {
    Pool::Lease lease = pool_.take();
    return static_cast<std::uint64_t>(lease->run(read_outbox).integer(0, 0));
}

bool Outbox::advance(std::uint64_t from, std::uint64_t to, std::span<const Delivery> deliveries) {
    Pool::Lease lease = pool_.take();
    Transaction transaction{*lease};
    if (lease->run(move_outbox, Parameters{}.add(number(to)).add(number(from))).affected() != 1)
        return false;
    if (!deliveries.empty()) {
        std::vector<ArrayBuilder> arrays = arrays_for(delivery_columns);
        for (const Delivery& delivery : deliveries) {
            ColumnWriter writer{arrays};
            columns(writer, delivery);
        }
        lease->run(put_deliveries, parameters_of(arrays));
    }
    transaction.commit();
    return true;
}

std::vector<Delivery> Outbox::due(const Due& asked) {
    ArrayBuilder passed_over{ArrayBuilder::Type::bigint};
    for (const AccountId account : asked.passed_over) passed_over.add(number(account.value));
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(due_deliveries, Parameters{}
                                                     .add(asked.now.us)
                                                     .add(std::int64_t{asked.rows_max})
                                                     .add(std::int64_t{asked.webhook_rows_max})
                                                     .add_encoded(passed_over.finish()));
    std::vector<Delivery> due = read_all<Delivery>(rows);
    for (std::size_t row = 0; row < due.size(); ++row) {
        const std::int64_t account = rows.integer(row, delivery_columns.size());
        due[row].account = AccountId{static_cast<std::uint64_t>(account)};
    }
    return due;
}

void Outbox::record(const Delivery& delivery) {
    Parameters parameters;
    parameters.add(number(delivery.webhook.value))
        .add(number(delivery.key.sequence))
        .add(std::int64_t{delivery.key.ordinal})
        .add(std::int64_t{delivery.attempts});
    add_instant(parameters, delivery.next_attempt_at);
    add_instant(parameters, delivery.ended_at);
    delivery.status ? parameters.add(std::int64_t{delivery.status}) : parameters.add_null();
    delivery.failure.empty() ? parameters.add_null()
                             : parameters.add_text(pack_text(delivery.failure));
    Pool::Lease lease = pool_.take();
    lease->run(record_delivery, parameters);
}

std::vector<Delivery> Outbox::recent(WebhookId webhook, std::uint32_t rows_max) {
    Pool::Lease lease = pool_.take();
    return read_all<Delivery>(lease->run(
        recent_deliveries, Parameters{}.add(number(webhook.value)).add(std::int64_t{rows_max})));
}

std::uint64_t Outbox::redeliver(WebhookId webhook, EntryKey since, Instant now) {
    Pool::Lease lease = pool_.take();
    return lease
        ->run(redeliver_failed, Parameters{}
                                    .add(number(webhook.value))
                                    .add(number(since.sequence))
                                    .add(std::int64_t{since.ordinal})
                                    .add(now.us))
        .affected();
}

std::uint64_t Outbox::forget(Instant before, std::uint32_t rows_max) {
    Pool::Lease lease = pool_.take();
    return lease->run(forget_deliveries, Parameters{}.add(before.us).add(std::int64_t{rows_max}))
        .affected();
}

}  // namespace cocoon::db
