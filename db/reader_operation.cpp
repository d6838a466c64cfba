// What an operator asks: settlement, deposits on hold, the audit log.
#include "db/reader_parts.hpp"

namespace cocoon::db {

using namespace matching;

namespace {

const Statement read_reconciliation{
    "read_reconciliation",
    "select at, lt, balance_nano, owed_nano, held_nano, operator_nano, fees_nano, moving_nano, "
    "difference_nano from chain_reconciliation"};
const Statement read_holds{"read_holds",
                           "select count(*), coalesce(sum(amount_nano), 0)::bigint "
                           "from chain_holds h where not exists "
                           "(select from deposits d where d.reference = h.reference)"};
const Statement read_paused{"read_paused", "select payouts_paused from projection"};
const Statement read_open_batches{
    "read_open_batches",
    "select number, phase = 'accepted', cardinality(payouts), cost_nano, expires_at, message_hash "
    "from payout_batches where phase in ('open', 'accepted') order by number"};
const Statement list_holds{
    "list_holds",
    "select h.number, h.reference, h.source, h.memo, h.reason, h.amount_nano, h.at, d.account "
    "from chain_holds h left join deposits d on d.reference = h.reference "
    "where h.number < $1::bigint and ($2::boolean is null or (d.id is null) = $2::boolean) "
    "order by h.number desc limit $3::bigint"};
const Statement list_audit{
    "list_audit",
    "select sequence, ordinal, at, actor, action, target, before, after, note from audit "
    "where (sequence, ordinal) < ($1::bigint, $2::bigint) "
    "order by sequence desc, ordinal desc limit $3::bigint"};

}  // namespace

SettlementRow Reader::settlement() {
    SettlementRow settlement;
    const Rows found = held_->run(read_reconciliation);
    if (!found.empty()) {
        const auto money = [&](std::size_t column) { return Nano{found.integer(0, column)}; };
        settlement.reconciliation = Reconciliation{.at = {found.integer(0, 0)},
                                                   .lt = unsigned_at(found, 0, 1),
                                                   .balance = money(2),
                                                   .owed = money(3),
                                                   .held = money(4),
                                                   .operator_funds = money(5),
                                                   .fees = money(6),
                                                   .moving = money(7),
                                                   .difference = money(8)};
    }
    const Rows sums = held_->run(read_holds);
    settlement.holds = sums.integer(0, 0);
    settlement.held = Nano{sums.integer(0, 1)};
    settlement.payouts_paused = held_->run(read_paused).boolean(0, 0);
    const Rows batches = held_->run(read_open_batches);
    for (std::size_t row = 0; row < batches.size(); ++row) {
        settlement.batches.push_back({unsigned_at(batches, row, 0), batches.boolean(row, 1),
                                      batches.integer(row, 2), Nano{batches.integer(row, 3)},
                                      Instant{batches.integer(row, 4)},
                                      std::string{batches.text(row, 5)}});
    }
    return settlement;
}

Listed<HoldRow> Reader::holds(std::optional<bool> open, PageBefore page) {
    Parameters parameters;
    parameters.add(below(page));
    open ? parameters.add(*open) : parameters.add_null();
    parameters.add(std::int64_t{page.rows_max} + 1);
    const Rows rows = held_->run(list_holds, parameters);
    return page_of<HoldRow>(rows, page.rows_max, [](const Rows& all, std::size_t row) {
        return HoldRow{.id = {unsigned_at(all, row, 0)},
                       .reference = std::string{all.text(row, 1)},
                       .source = std::string{all.text(row, 2)},
                       .memo = std::string{all.text(row, 3)},
                       .reason = std::string{all.text(row, 4)},
                       .amount = {all.integer(row, 5)},
                       .at = {all.integer(row, 6)},
                       .credited_to = {all.null(row, 7) ? 0 : unsigned_at(all, row, 7)}};
    });
}

Listed<AuditRow> Reader::audit(EntryKey before, std::uint32_t rows_max) {
    if (before == EntryKey{}) before.sequence = static_cast<std::uint64_t>(INT64_MAX);
    const Rows rows = held_->run(list_audit, Parameters{}
                                                 .add(number(before.sequence))
                                                 .add(std::int64_t{before.ordinal})
                                                 .add(std::int64_t{rows_max} + 1));
    return page_of<AuditRow>(rows, rows_max, [](const Rows& all, std::size_t row) {
        return AuditRow{
            .key = {unsigned_at(all, row, 0), static_cast<std::uint32_t>(all.integer(row, 1))},
            .at = {all.integer(row, 2)},
            .actor = {unsigned_at(all, row, 3)},
            .action = text_or_empty(all, row, 4),
            .target = text_or_empty(all, row, 5),
            .before = text_or_empty(all, row, 6),
            .after = text_or_empty(all, row, 7),
            .note = text_or_empty(all, row, 8)};
    });
}

}  // namespace cocoon::db
