// What handlers need beyond the call itself: settings and a few doors to parts that live in
// server/. Filled once at start by server/app.cpp (tests: from literals) and then shared read-only
// by all worker threads, so every function in it must be callable from any thread. No Asio, no SQL,
// no JSON.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "attestation/policy.hpp"
#include "core/encoding.hpp"
#include "core/ids.hpp"
#include "core/limits.hpp"
#include "core/money.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "settlement/hold.hpp"

namespace cocoon::db {
class Logins;
}
namespace cocoon::matching {
struct MarketsView;
struct NoteLogin;
}  // namespace cocoon::matching
namespace cocoon::sealing {
struct EarningsStatement;
}

namespace cocoon::api {

// Evidence with the collateral to judge it by, and in people's words what could not be had and why.
struct CompletedEvidence {
    Bytes bytes;
    std::vector<std::string> missing;
    bool vendor_down = false;  // some of it may be had later
};

struct ChannelMarket;  // api/channels.hpp
class LoginGuard;
class UsedChallenges;
struct SolvencyProof;
class UsedOnce;
struct LoginKeys;

struct Context {
    std::string program_version = "0.1.0";
    std::string build;       // commit or empty
    std::string public_url;  // without a trailing slash; webhook docs, problem types, evidence_url
    std::string coin_name = "TON";
    int fee_basis_points = 0;        // as configured at start; shown by /version
    bool simulated_allowed = false;  // else a body that names the simulated tier is refused

    bool webhooks_plain_allowed = false;  // http:// too: development only

    std::string deposit_address;  // of the market's wallet; empty: deposits are not open
    // A link that wallets open with address and memo filled in; empty: there is none.
    std::function<std::string(const std::string& memo)> deposit_link = [](const std::string&) {
        return std::string{};
    };
    Nano deposit_minimum{1};
    Nano payout_minimum{1};
    std::string market_key_id;      // the key that cosigns receipts
    std::string market_public_key;  // 64 hex characters

    std::string secret;  // 32 random bytes, kept across restarts: cursors and challenges
    // What evidence is accepted, with minimums as high as the newest collateral seen; whether the
    // simulated tier is enabled is said above, whatever the policy says.
    std::function<attestation::Policy()> evidence_policy = [] { return attestation::Policy{}; };
    // Each verdict on submitted evidence, for whoever counts them.
    std::function<void(const attestation::Verdict&)> judged = [](const attestation::Verdict&) {};
    std::function<void(const attestation::CollateralSeen&)> collateral_seen =
        [](const attestation::CollateralSeen&) {};
    // Puts collateral that evidence lacks beside it, for the node that submits it. May wait for
    // other services: only routes that say so (Route::waits) may call it.
    std::function<CompletedEvidence(NodeId node, Bytes evidence)> complete_evidence =
        [](NodeId, Bytes evidence) {
            return CompletedEvidence{std::move(evidence), {}};
        };
    Duration challenge_lifetime = minutes(5);
    // 4 random bytes of this process: challenges of the one before are not good any more.
    std::string process_tag = std::string(4, '\0');
    std::shared_ptr<UsedChallenges> used_challenges;  // never null where evidence is submitted
    Duration enrolment_lifetime = hours(24);

    // ---- Sign-in. The first four are never null where it is served.
    db::Logins* logins = nullptr;
    std::shared_ptr<const LoginKeys> login_keys;
    std::shared_ptr<LoginGuard> login_guard;
    std::shared_ptr<UsedOnce> used_wallet_challenges;
    // Writes it into the books without waiting for them, and whether or not that succeeds.
    std::function<void(const matching::NoteLogin&)> note_login = [](const matching::NoteLogin&) {};
    bool secure_cookies = false;         // the pages come over TLS, here or before us
    std::string wallet_domain;           // the site that wallets show and sign for
    std::int32_t wallet_network = -239;  // the chain whose wallets may sign in: its global_id

    // The newest snapshot of all markets (matching/views.hpp). Never null, never blocks.
    std::function<std::shared_ptr<const matching::MarketsView>()> views;
    // A transfer on hold, or that once was. Asks the database: only routes that wait may call it.
    std::function<std::optional<settlement::HeldTransfer>(settlement::HoldId)> held_transfer =
        [](settlement::HoldId) { return std::nullopt; };
    // Whether `address` is an address that payouts can go to; returns it in normal form.
    std::function<Result<std::string>(const std::string& address)> payout_address;
    // Null: this market takes no payment channels.
    std::shared_ptr<const ChannelMarket> channels;
    // The newest proof of what the market owes. Never null, never blocks.
    std::function<std::shared_ptr<const SolvencyProof>()> solvency;
    // Signs with the market's key; the envelope.
    std::function<std::string(const sealing::EarningsStatement&)> sign_earnings;
    // Only with the development chain: makes a real deposit there and returns its reference.
    std::function<Result<std::string>(const std::string& memo, Nano amount)> development_deposit;
    // db::Outbox::redeliver for a webhook whose owner was checked; called on a worker thread.
    std::function<std::uint64_t(WebhookId webhook, std::uint64_t since_sequence)> redeliver;
};

}  // namespace cocoon::api
