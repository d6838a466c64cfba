// What is owed, provably, and the operator's hand on money that leaves: approvals, the pause
// switch, signed statements, the proof of solvency.
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/solvency.hpp"
#include "api/wire_accounts.hpp"
#include "sealing/market_statement.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr TextRule note_rule{1, 1024};
constexpr auto payout_states = std::to_array<std::string_view>(
    {"queued", "sent", "paid", "returned", "awaiting_approval", "rejected"});

Result<std::string> read_text(const Call& call, const char* name) {
    FieldReader in{call.body};
    std::string text = in.root().text(name, note_rule);
    if (auto done = in.finish(); !done) return done.error();
    return text;
}

Result<PendingCommand> set_payouts_paused(const Call& call, bool paused) {
    auto note = read_text(call, "note");
    if (!note) return note.error();
    PendingCommand pending;
    pending.command = PausePayouts{paused, std::move(*note)};
    pending.render = done_without_content;
    return pending;
}

// As an admin sees it: whose it is, and who said yes.
void write_overseen_payout(JsonWriter& out, const Payout& payout) {
    out.open_object();
    out.id("account", payout.account);
    write_payout_members(out, payout);
    out.open_array("approvers");
    for (const AccountId admin : payout.approvers) out.item(admin);
    out.close_array();
    out.close_object();
}

PendingCommand deciding(Command command) {
    PendingCommand pending;
    pending.command = std::move(command);
    pending.render = [](const Answer& answer, bool) {
        JsonWriter out;
        write_overseen_payout(out, answer_as<PayoutAnswer>(answer).payout);
        return json_response(200, out.take());
    };
    return pending;
}

void write_hash(JsonWriter& out, const char* name, const settlement::SumHash& hash) {
    out.text(name, to_hex(hash));
}

Response signed_response(std::string body) {
    Response response = json_response(200, std::move(body));
    // Whoever keeps one has the newest of its moment; a cache must not hand out an older one.
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

}  // namespace

Result<Response> list_payouts_overseen(const Call& call, db::Reader& reader,
                                       const Context& context) {
    QueryReader query{call.query};
    const auto chosen = query.maybe_choice("state", payout_states);
    const auto state = chosen ? std::optional{static_cast<PayoutState>(*chosen)} : std::nullopt;
    Page page{call, context, query, "/v1/admin/payouts"};
    if (auto begun = page.begin(query, state ? std::string{name_of(*state)} : ""); !begun)
        return begun.error();
    const auto payouts = reader.payouts_in(state, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const Payout& payout : payouts.rows) write_overseen_payout(out, payout);
    const std::uint64_t last = payouts.rows.empty() ? 0 : payouts.rows.back().id.value;
    return page.finish(out, payouts.more, {last, 0}, reader.as_of());
}

Result<PendingCommand> approve_payout(const Call& call, const Context&) {
    const auto id = captured_id<PayoutId>(call);
    if (!id) return id.error();
    auto note = read_text(call, "note");
    if (!note) return note.error();
    return deciding(ApprovePayout{*id, std::move(*note)});
}

Result<PendingCommand> reject_payout(const Call& call, const Context&) {
    const auto id = captured_id<PayoutId>(call);
    if (!id) return id.error();
    auto reason = read_text(call, "reason");
    if (!reason) return reason.error();
    return deciding(RejectPayout{*id, std::move(*reason)});
}

Result<PendingCommand> pause_payouts(const Call& call, const Context&) {
    return set_payouts_paused(call, true);
}
Result<PendingCommand> resume_payouts(const Call& call, const Context&) {
    return set_payouts_paused(call, false);
}

Result<Response> read_solvency(const Call&, const Context& context) {
    return signed_response(context.solvency()->statement);
}

Result<Response> read_account_proof(const Call& call, const Context& context) {
    const auto newest = context.solvency();
    const auto proof = newest->tree.proof(call.principal.account.value);
    if (!proof) return proof.error();
    JsonWriter out;
    out.open_object();
    out.raw("solvency", newest->statement);
    out.open_object("leaf");
    out.id("account", call.principal.account);
    write_hash(out, "salt", proof->leaf.salt);
    out.money("amount_nano", proof->leaf.amount);
    out.close_object();
    out.decimal("index", proof->index);
    out.open_array("path");
    for (const settlement::SumNode& node : proof->path) {
        out.open_object();
        write_hash(out, "hash", node.hash);
        out.money("sum_nano", node.sum);
        out.close_object();
    }
    out.close_array();
    out.close_object();
    return signed_response(out.take());
}

Result<Response> read_signed_statement(const Call& call, db::Reader& reader,
                                       const Context& context) {
    const auto account = reader.account(call.principal.account);
    if (!account) return refuse(ErrorCode::not_found);
    const db::EarnedSums sums = reader.earned_sums(account->id);
    sealing::EarningsStatement statement;
    statement.account = account->id.text();
    statement.payout_address = account->payout_address;
    statement.counter = reader.as_of();
    statement.at = sums.at;
    // All that was ever earned is still there, in a payout, or paid.
    statement.earned =
        account->balances[static_cast<std::size_t>(Bucket::earned)] + sums.paying + sums.paid;
    statement.paid = sums.paid;
    statement.paying = sums.paying;
    return signed_response(context.sign_earnings(statement));
}

}  // namespace cocoon::api
