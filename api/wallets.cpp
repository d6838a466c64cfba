// The wallet of an account: proven by its key, good for signing in and, where its owner wants, the
// address that payouts go to.
#include "api/handlers.hpp"
#include "api/respond.hpp"
#include "api/secrets.hpp"
#include "api/session.hpp"
#include "api/wallet_proof.hpp"
#include "db/logins.hpp"

namespace cocoon::api {

using namespace matching;

Result<Response> challenge_wallet(const Call& call, const Context& context) {
    if (auto empty = no_body(call); !empty) return empty.error();
    const WalletChallenge challenge = make_wallet_challenge(context, call);
    JsonWriter out;
    out.open_object();
    out.text("payload", challenge.payload);
    out.text("domain", context.wallet_domain);
    out.integer("network", context.wallet_network);
    out.instant("expires_at", challenge.expires_at);
    out.close_object();
    return json_response(201, out.take());
}

Result<Response> read_wallet(const Call& call, db::Reader& reader, const Context& context) {
    const auto account = reader.account(call.principal.account);
    if (!account) return refuse(ErrorCode::not_found);
    const auto wallet = context.logins->wallet(call.principal.account);
    const auto normal = wallet ? context.payout_address(wallet->address)
                               : Result<std::string>{refuse(ErrorCode::not_found)};
    JsonWriter out;
    out.open_object();
    out.text_or_null("address", wallet ? wallet->address : "");
    out.instant_or_null("proven_at", wallet ? wallet->proven_at : Instant{});
    out.boolean("receives_payouts", normal && *normal == account->payout_address);
    out.decimal("as_of", reader.as_of());
    out.close_object();
    return json_response(200, out.take());
}

Result<PendingCommand> set_wallet(const Call& call, const Context& context) {
    if (call.principal.session)
        return refuse(ErrorCode::forbidden,
                      "A sign-in is set with an API key, so that who borrows a browser cannot.");
    FieldReader in{call.body};
    ObjectReader root = in.root();
    const settlement::ton::TonProof proof = read_wallet_proof(root.object("wallet"));
    const bool payouts = root.maybe_boolean("receives_payouts").value_or(false);
    if (auto done = in.finish(); !done) return done.error();
    const auto address = proven_wallet(proof, call, context);
    if (!address) return address.error();
    PendingCommand pending;
    if (payouts) {
        auto normal = context.payout_address(address->raw());
        if (!normal) return normal.error();
        AmendAccount amend;
        amend.account = call.principal.account;
        amend.payout_address = std::move(*normal);
        pending.command = std::move(amend);
    } else {
        // Who signed in with the wallet before is not signed in any more.
        const auto before = context.logins->wallet(call.principal.account);
        std::vector<KeyId> ending;
        if (before && before->address != address->raw())
            ending = context.logins->sessions(call.principal.account, session_prefix);
        pending.command =
            NoteLogin{call.principal.account, "set_wallet", std::move(ending), address->raw()};
    }
    if (!context.logins->store(db::Wallet{call.principal.account, address->raw(), call.at}))
        return refuse(ErrorCode::already_exists, "This wallet is another account's.");
    pending.render = done_without_content;
    return pending;
}

}  // namespace cocoon::api
