// All handlers by resource, as routes.cpp lists them. A command handler turns a call into a
// command, a query handler reads one snapshot and renders it, a view answers from memory. Plain
// functions, any worker thread, nothing waits. `context` outlives every PendingCommand made from
// it.
#pragma once

#include <stdexcept>

#include "api/routes.hpp"
#include "db/reader.hpp"

namespace cocoon::api {

#define COCOON_COMMAND(name) Result<PendingCommand> name(const Call& call, const Context& context);
#define COCOON_QUERY(name) \
    Result<Response> name(const Call& call, db::Reader& reader, const Context& context);
#define COCOON_VIEW(name) Result<Response> name(const Call& call, const Context& context);

// accounts.cpp
COCOON_COMMAND(open_account)
COCOON_QUERY(read_account)
COCOON_COMMAND(amend_account)
COCOON_QUERY(read_balance)
COCOON_QUERY(read_statement)
COCOON_QUERY(read_deposit_instructions)
// sessions.cpp
COCOON_COMMAND(open_session)
COCOON_QUERY(read_session)
COCOON_COMMAND(close_session)
COCOON_COMMAND(set_login)
COCOON_QUERY(read_login)
// wallets.cpp
COCOON_VIEW(challenge_wallet)
COCOON_QUERY(read_wallet)
COCOON_COMMAND(set_wallet)
// summaries.cpp
COCOON_QUERY(read_usage)
COCOON_QUERY(read_network)
COCOON_QUERY(list_network_nodes)
// keys.cpp
COCOON_QUERY(list_keys)
COCOON_COMMAND(create_key)
COCOON_COMMAND(amend_key)
COCOON_COMMAND(rotate_key)
COCOON_COMMAND(revoke_key)
// nodes.cpp
COCOON_COMMAND(issue_enrolment)
COCOON_COMMAND(enrol_node)
COCOON_QUERY(list_nodes)
COCOON_QUERY(read_node)
COCOON_QUERY(read_evidence)
COCOON_COMMAND(submit_evidence)
COCOON_VIEW(challenge_node)
COCOON_COMMAND(drain_node)
COCOON_COMMAND(resume_node)
COCOON_COMMAND(retire_node)
// measurements.cpp
COCOON_COMMAND(submit_measurement)
COCOON_QUERY(list_measurements)
COCOON_QUERY(read_measurement)
COCOON_COMMAND(approve_measurement)
COCOON_COMMAND(revoke_measurement)
COCOON_QUERY(list_denials)
COCOON_COMMAND(deny_identity)
COCOON_COMMAND(lift_denial)
// offers.cpp
COCOON_QUERY(list_offers)
COCOON_COMMAND(place_offer)
COCOON_QUERY(read_offer)
COCOON_COMMAND(amend_offer)
COCOON_COMMAND(cancel_offer)
// requests.cpp
COCOON_QUERY(list_requests)
COCOON_COMMAND(place_request)
COCOON_COMMAND(place_requests)
COCOON_COMMAND(what_if)
COCOON_QUERY(read_request)
COCOON_COMMAND(amend_request)
COCOON_COMMAND(cancel_request)
COCOON_COMMAND(explain_request)
// jobs.cpp
COCOON_QUERY(list_jobs)
COCOON_QUERY(read_job)
COCOON_COMMAND(cancel_job)
COCOON_QUERY(read_receipt)
COCOON_QUERY(read_aci_receipt)
COCOON_COMMAND(renew_job)
// markets.cpp
COCOON_QUERY(list_models)
COCOON_QUERY(list_markets)
COCOON_QUERY(read_market)
COCOON_VIEW(read_book)
COCOON_QUERY(read_ticker)
COCOON_QUERY(list_trades)
COCOON_QUERY(list_candles)
COCOON_QUERY(read_prices)
COCOON_QUERY(read_demand)
// channels.cpp
COCOON_VIEW(list_channels)
COCOON_VIEW(open_channel)
COCOON_VIEW(take_voucher)
// payouts.cpp
COCOON_COMMAND(request_payout)
COCOON_QUERY(list_payouts)
COCOON_QUERY(list_deposits)
COCOON_QUERY(list_held_deposits)
COCOON_COMMAND(credit_held_deposit)
COCOON_VIEW(faucet)
// settlement.cpp
COCOON_QUERY(list_payouts_overseen)
COCOON_COMMAND(approve_payout)
COCOON_COMMAND(reject_payout)
COCOON_COMMAND(pause_payouts)
COCOON_COMMAND(resume_payouts)
COCOON_VIEW(read_solvency)
COCOON_VIEW(read_account_proof)
COCOON_QUERY(read_signed_statement)
// webhooks.cpp
COCOON_QUERY(list_webhooks)
COCOON_COMMAND(create_webhook)
COCOON_COMMAND(remove_webhook)
COCOON_QUERY(redeliver)
// admin.cpp
COCOON_QUERY(read_overview)
COCOON_QUERY(list_accounts)
COCOON_QUERY(list_applications)
COCOON_QUERY(list_audit)
COCOON_QUERY(read_ledger)
COCOON_QUERY(read_settlement)
COCOON_COMMAND(freeze_account)
COCOON_COMMAND(unfreeze_account)
COCOON_COMMAND(suspend_node)
COCOON_COMMAND(restore_node)
COCOON_COMMAND(pause_market)
COCOON_COMMAND(resume_market)
COCOON_COMMAND(set_fee)
// meta.cpp
COCOON_VIEW(read_market_key)
COCOON_VIEW(read_version)
COCOON_VIEW(openapi_yaml)
COCOON_VIEW(openapi_json)
COCOON_VIEW(docs_page)
COCOON_VIEW(docs_script)
COCOON_VIEW(docs_style)

#undef COCOON_COMMAND
#undef COCOON_QUERY
#undef COCOON_VIEW

// The first capture as an id; an id of another kind names nothing here, so: not_found.
template <class AnyId>
Result<AnyId> captured_id(const Call& call) {
    const auto id = call.captured.empty() ? std::nullopt : AnyId::parse(call.captured.front());
    if (!id) return refuse(ErrorCode::not_found);
    return *id;
}

// The answer as the kind the command gives. Another kind is a broken program, not a refusal.
template <class Kind>
const Kind& answer_as(const matching::Answer& answer) {
    const Kind* kind = std::get_if<Kind>(&answer);
    if (!kind) throw std::logic_error{"the lane answered another kind than the command has"};
    return *kind;
}

// Whose rows a list shows: none (all of them) for auditors and admins, else the caller's own. Never
// none by accident: a caller without account gets one that owns nothing.
AccountId viewer(const Call& call);

// A command whose body must be empty (or {}).
Result<void> no_body(const Call& call);
// The render of commands that answer Done.
Response done_without_content(const matching::Answer& answer, bool replayed);

}  // namespace cocoon::api
