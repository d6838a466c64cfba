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
