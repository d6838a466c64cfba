// Operation: what the operator sees and does. Every action carries a note for the audit log.
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/wire_accounts.hpp"
#include "api/wire_vectors.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr TextRule note_rule{1, 1024};
constexpr std::array<std::string_view, 4> account_kinds{"developer", "provider", "admin",
                                                        "auditor"};

std::optional<AccountKind> read_kind(QueryReader& query) {
    const auto kind = query.maybe_choice("kind", account_kinds);
    // The enumeration begins with the house, which is nobody's application.
    return kind ? std::optional{static_cast<AccountKind>(*kind + 1)} : std::nullopt;
}

Result<std::string> read_note(const Call& call) {
    FieldReader in{call.body};
    std::string note = in.root().text("note", note_rule);
    if (auto done = in.finish(); !done) return done.error();
    return note;
}

PendingCommand audited(Command command) {
    PendingCommand pending;
    pending.command = std::move(command);
    pending.render = done_without_content;
    return pending;
}

Result<PendingCommand> set_frozen(const Call& call, bool frozen) {
    const auto id = captured_id<AccountId>(call);
    if (!id) return id.error();
    auto note = read_note(call);
    if (!note) return note.error();
    return audited(FreezeAccount{*id, frozen, std::move(*note)});
}

Result<PendingCommand> set_suspended(const Call& call, bool suspended) {
    const auto id = captured_id<NodeId>(call);
    if (!id) return id.error();
    auto note = read_note(call);
    if (!note) return note.error();
    return audited(SuspendNode{*id, suspended, std::move(*note)});
}

Result<PendingCommand> set_paused(const Call& call, bool paused) {
    if (call.captured.empty()) return refuse(ErrorCode::unknown_market);
    auto note = read_note(call);
    if (!note) return note.error();
    return audited(PauseMarket{call.captured.front(), paused, std::move(*note)});
}

}  // namespace

Result<Response> read_overview(const Call& call, db::Reader& reader, const Context&) {
    const db::Overview overview = reader.overview(call.at);
    JsonWriter out;
    out.open_object();
    out.integer("developers", overview.developers);
    out.integer("providers", overview.providers);
    out.integer("accounts_frozen", overview.accounts_frozen);
    out.integer("nodes", overview.nodes);
    out.integer("nodes_connected", overview.nodes_connected);
    out.integer("nodes_suspended", overview.nodes_suspended);
    out.integer("nodes_attested", overview.nodes_attested);
    out.integer("markets", overview.markets);
    out.integer("offers_active", overview.offers_active);
    out.integer("slots", overview.slots);
    out.integer("slots_used", overview.slots_used);
    out.integer("requests_resting", overview.requests_resting);
    out.integer("jobs_open", overview.jobs_open);
    out.integer("payouts_open", overview.payouts_open);
    out.integer("fee_basis_points", reader.fee_basis_points());
    out.decimal("sequence", overview.journal_sequence);
    out.decimal("as_of", reader.as_of());
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> list_accounts(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    const auto kind = read_kind(query);
    Page page{call, context, query, "/v1/admin/accounts"};
    if (auto begun = page.begin(query, kind ? std::string{name_of(*kind)} : ""); !begun)
        return begun.error();
    const auto accounts = reader.accounts(kind, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const Account& account : accounts.rows) {
        out.open_object();
        write_account_members(out, account);
        out.open_object("balance");
        for (std::size_t i = 0; i < bucket_count; ++i)
            out.money(std::string{name_of(static_cast<Bucket>(i))} + "_nano", account.balances[i]);
        out.close_object();
        out.close_object();
    }
    const std::uint64_t last = accounts.rows.empty() ? 0 : accounts.rows.back().id.value;
    return page.finish(out, accounts.more, {last, 0}, reader.as_of());
}

Result<Response> list_applications(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    const auto kind = read_kind(query);
    Page page{call, context, query, "/v1/admin/applications"};
    if (auto begun = page.begin(query, kind ? std::string{name_of(*kind)} : ""); !begun)
        return begun.error();
    const auto accounts = reader.accounts(kind, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const Account& account : accounts.rows) {
        // Those who never filled a form in are no applicants.
        if (account.kind != AccountKind::developer && account.kind != AccountKind::provider)
            continue;
        out.open_object();
        out.id("account", account.id);
        out.text("kind", name_of(account.kind));
        out.text("name", account.name);
        write_stored_json(out, "profile", account.profile);
        out.instant("opened_at", account.opened_at);
        out.close_object();
    }
    const std::uint64_t last = accounts.rows.empty() ? 0 : accounts.rows.back().id.value;
    return page.finish(out, accounts.more, {last, 0}, reader.as_of());
}

Result<Response> list_audit(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    Page page{call, context, query, "/v1/admin/audit"};
    if (auto begun = page.begin(query); !begun) return begun.error();
    const auto rows = reader.audit({page.after().major, page.after().minor}, page.rows_max());
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    Position last;
    for (const db::AuditRow& row : rows.rows) {
        out.open_object();
        out.decimal("sequence", row.key.sequence);
        out.instant("at", row.at);
        out.id_or_null("actor", row.actor);
        out.text("action", row.action);
        out.text("target", row.target);
        out.text("before", row.before);
        out.text("after", row.after);
        out.text("note", row.note);
        out.close_object();
        last = {row.key.sequence, row.key.ordinal};
    }
    return page.finish(out, rows.more, last, reader.as_of());
}

Result<Response> read_ledger(const Call&, db::Reader& reader, const Context&) {
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    Nano total;
    for (const db::LedgerLine& line : reader.ledger()) {
        out.open_object();
        out.text("bucket", name_of(line.bucket));
        out.integer("accounts", line.accounts);
        out.money("amount_nano", line.amount);
        out.close_object();
        total += line.amount;
    }
    out.close_array();
    out.money("total_nano", total);
    out.decimal("as_of", reader.as_of());
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> read_settlement(const Call&, db::Reader& reader, const Context&) {
    const db::SettlementRow settlement = reader.settlement();
    JsonWriter out;
    out.open_object();
    if (const auto& found = settlement.reconciliation) {
        out.open_object("reconciliation");
        out.instant("at", found->at);
        out.money("wallet_nano", found->balance);
        out.money("owed_nano", found->owed);
        out.money("held_nano", found->held);
        out.money("operator_nano", found->operator_funds);
        out.money("fees_nano", found->fees);
        out.money("moving_nano", found->moving);
        out.money("cover_nano", found->cover());
        out.money("difference_nano", found->difference);
        out.close_object();
    } else {
        out.null("reconciliation");
    }
    out.open_array("batches");
    for (const db::OpenBatchRow& batch : settlement.batches) {
        out.open_object();
        out.decimal("number", batch.number);
        out.text("phase", batch.accepted ? "accepted" : "open");
        out.integer("payouts", batch.payouts);
        out.money("cost_nano", batch.cost);
        out.instant("expires_at", batch.expires_at);
        out.text("message_hash", batch.message_hash);
        out.close_object();
    }
    out.close_array();
    out.boolean("payouts_paused", settlement.payouts_paused);
    out.integer("holds", settlement.holds);
    out.decimal("as_of", reader.as_of());
    out.close_object();
    return json_response(200, out.take());
}

Result<PendingCommand> freeze_account(const Call& call, const Context&) {
    return set_frozen(call, true);
}
Result<PendingCommand> unfreeze_account(const Call& call, const Context&) {
    return set_frozen(call, false);
}
Result<PendingCommand> suspend_node(const Call& call, const Context&) {
    return set_suspended(call, true);
}
Result<PendingCommand> restore_node(const Call& call, const Context&) {
    return set_suspended(call, false);
}
Result<PendingCommand> pause_market(const Call& call, const Context&) {
    return set_paused(call, true);
}
Result<PendingCommand> resume_market(const Call& call, const Context&) {
    return set_paused(call, false);
}

Result<PendingCommand> set_fee(const Call& call, const Context&) {
    FieldReader in{call.body};
    ObjectReader root = in.root();
    SetFee set;
    set.basis_points = static_cast<int>(root.integer("basis_points", {0, 10'000}));
    set.note = root.text("note", note_rule);
    if (auto done = in.finish(); !done) return done.error();
    return audited(std::move(set));
}

}  // namespace cocoon::api
