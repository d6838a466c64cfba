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
    v.optional("delivered_at", d.delivered_at);
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
const Statement due_deliveries{"due_deliveries",
                               select_deliveries +
                                   "where next_attempt_at <= $1::bigint "
                                   "order by next_attempt_at, sequence, ordinal limit $2::bigint"};
const Statement record_delivery{
    "record_delivery",
    "update webhook_deliveries set attempts = $4::bigint, next_attempt_at = $5::bigint, "
    "delivered_at = $6::bigint, status = $7::bigint, failure = $8::text "
    "where webhook = $1::bigint and sequence = $2::bigint and ordinal = $3::bigint"};
const Statement recent_deliveries{"recent_deliveries",
                                  select_deliveries +
                                      "where webhook = $1::bigint "
                                      "order by sequence desc, ordinal desc limit $2::bigint"};
const Statement redeliver_failed{
    "redeliver_failed",
    "update webhook_deliveries set next_attempt_at = $4::bigint, attempts = 0 "
    "where webhook = $1::bigint and (sequence, ordinal) >= ($2::bigint, $3::bigint) "
    "and delivered_at is null"};
const Statement forget_deliveries{
    "forget_deliveries",
    "delete from webhook_deliveries where sequence < $1::bigint and next_attempt_at is null"};

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

std::vector<Delivery> Outbox::due(Instant now, std::uint32_t rows_max) {
    Pool::Lease lease = pool_.take();
    return read_all<Delivery>(
        lease->run(due_deliveries, Parameters{}.add(now.us).add(std::int64_t{rows_max})));
}

void Outbox::record(const Delivery& delivery) {
    Parameters parameters;
    parameters.add(number(delivery.webhook.value))
        .add(number(delivery.key.sequence))
        .add(std::int64_t{delivery.key.ordinal})
        .add(std::int64_t{delivery.attempts});
    add_instant(parameters, delivery.next_attempt_at);
    add_instant(parameters, delivery.delivered_at);
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

std::uint64_t Outbox::forget(std::uint64_t before_sequence) {
    Pool::Lease lease = pool_.take();
    return lease->run(forget_deliveries, Parameters{}.add(number(before_sequence))).affected();
}

}  // namespace cocoon::db
