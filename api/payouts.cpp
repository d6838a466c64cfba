// Money in and out: payouts, deposits, and the development chain's faucet.
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/wire_accounts.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::array<std::string_view, 2> payout_sources{"earned", "available"};
constexpr TextRule memo_rule{1, 128};
constexpr TextRule note_rule{1, 1024};
constexpr std::array<std::string_view, 2> hold_states{"open", "credited"};

}  // namespace

Result<PendingCommand> request_payout(const Call& call, const Context&) {
    FieldReader in{call.body};
    ObjectReader root = in.root();
    RequestPayout payout;
    payout.account = call.principal.account;
    payout.amount = root.money("amount_nano", {1, limits::amount_nano_max});
    payout.source = root.choice("source", payout_sources) == 0 ? Bucket::earned : Bucket::available;
    if (auto done = in.finish(); !done) return done.error();
    PendingCommand pending;
    pending.command = payout;
    pending.render = [](const Answer& answer, bool) {
        JsonWriter out;
        out.open_object();
        write_payout_members(out, answer_as<PayoutAnswer>(answer).payout);
        out.close_object();
        return json_response(201, out.take());
    };
    return pending;
}

Result<Response> list_payouts(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    Page page{call, context, query, "/v1/payouts"};
    if (auto begun = page.begin(query); !begun) return begun.error();
    const auto payouts = reader.payouts(viewer(call), {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const Payout& payout : payouts.rows) {
        out.open_object();
        write_payout_members(out, payout);
        out.close_object();
    }
    const std::uint64_t last = payouts.rows.empty() ? 0 : payouts.rows.back().id.value;
    return page.finish(out, payouts.more, {last, 0}, reader.as_of());
}

Result<Response> list_deposits(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    Page page{call, context, query, "/v1/deposits"};
    if (auto begun = page.begin(query); !begun) return begun.error();
    const auto deposits = reader.deposits(viewer(call), {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const Deposit& deposit : deposits.rows) {
        out.open_object();
        write_deposit_members(out, deposit);
        out.close_object();
    }
    const std::uint64_t last = deposits.rows.empty() ? 0 : deposits.rows.back().id.value;
    return page.finish(out, deposits.more, {last, 0}, reader.as_of());
}

Result<Response> list_held_deposits(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    const auto state = query.maybe_choice("state", hold_states);
    Page page{call, context, query, "/v1/admin/held-deposits"};
    if (auto begun = page.begin(query, state ? std::string{hold_states[*state]} : ""); !begun)
        return begun.error();
    const auto open = state ? std::optional{*state == 0} : std::nullopt;
    const auto held = reader.holds(open, {page.after().major, page.rows_max()});
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const db::HoldRow& hold : held.rows) {
        out.open_object();
        out.id("id", hold.id);
        out.text("reference", hold.reference);
        out.text("source", hold.source);
        out.text("memo", hold.memo);
        out.text("reason", hold.reason);
        out.money("amount_nano", hold.amount);
        out.instant("at", hold.at);
        out.id_or_null("credited_to", hold.credited_to);
        out.close_object();
    }
    const std::uint64_t last = held.rows.empty() ? 0 : held.rows.back().id.value;
    return page.finish(out, held.more, {last, 0}, reader.as_of());
}

Result<PendingCommand> credit_held_deposit(const Call& call, const Context& context) {
    const auto id = captured_id<settlement::HoldId>(call);
    if (!id) return id.error();
    FieldReader in{call.body};
    ObjectReader root = in.root();
    CreditHeldDeposit credit;
    credit.account = root.id<AccountId>("account");
    credit.note = root.text("note", note_rule);
    if (auto done = in.finish(); !done) return done.error();
    auto held = context.held_transfer(*id);
    if (!held) return refuse(ErrorCode::not_found, "No such transfer came in.");
    credit.amount = held->amount;
    credit.reference = std::move(held->reference);
    PendingCommand pending;
    pending.command = std::move(credit);
    pending.render = [](const Answer& answer, bool) {
        JsonWriter out;
        out.open_object();
        write_deposit_members(out, answer_as<DepositAnswer>(answer).deposit);
        out.close_object();
        return json_response(201, out.take());
    };
    return pending;
}

Result<Response> faucet(const Call& call, const Context& context) {
    if (!context.development_deposit)
        return refuse(ErrorCode::not_found, "This market has no development chain.");
    FieldReader in{call.body};
    ObjectReader root = in.root();
    const std::string memo = root.text("memo", memo_rule);
    const Nano amount = root.money("amount_nano", {1, limits::amount_nano_max});
    if (auto done = in.finish(); !done) return done.error();
    const auto reference = context.development_deposit(memo, amount);
    if (!reference) return reference.error();
    JsonWriter out;
    out.open_object();
    out.text("reference", *reference);
    out.close_object();
    return json_response(202, out.take());
}

}  // namespace cocoon::api
