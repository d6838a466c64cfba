// Messages made here, executed by the real virtual machine (settlement/devchain, npm), and what it
// did read back here: accepted, refused when replayed, and paid for to the nanoton as our formulae
// say.
#include "settlement/comment.hpp"
#include "settlement/highload_wallet.hpp"
#include "settlement/wallet.hpp"
#include "tests/settlement/plan.hpp"

using namespace cocoon;
using namespace cocoon::settlement::ton;
using namespace cocoon::sandbox;

namespace {

std::vector<OutAction> payments(std::size_t count) {
    std::vector<OutAction> actions;
    for (std::size_t i = 0; i < count; ++i) {
        Transfer transfer;
        transfer.to.id.fill(static_cast<std::uint8_t>(i + 1));
        transfer.to.id[0] = 0xAA;
        transfer.value = Nano{1'000'000 + static_cast<std::int64_t>(i)};
        // Every third comment is longer than fits into the message itself.
        transfer.body =
            text_comment("pay_" + std::to_string(i) + std::string(i % 3 == 2 ? 150 : 0, '.'));
        actions.push_back({internal_message(transfer), usual_mode});
    }
    return actions;
}

Nano sum_of(const std::vector<OutAction>& actions) {
    Nano sum;
    for (const OutAction& action : actions)
        sum += Message::parse(action.message, true).value().value;
    return sum;
}

void check_payments(const Transaction& transaction, const std::vector<OutAction>& actions) {
    REQUIRE(transaction.out_messages.size() == actions.size());
    for (std::size_t i = 0; i < actions.size(); ++i) {
        const Message wanted = Message::parse(actions[i].message, true).value();
        const Message& sent = transaction.out_messages[i];
        CHECK(sent.destination == wanted.destination);
        CHECK(sent.value == wanted.value);
        CHECK(sent.body->hash() == wanted.body->hash());
    }
}

}  // namespace

TEST_CASE("wallets deploy, pay, and refuse replays, stale and forged messages") {
    if (!is_installed()) return;
    struct Row {
        WalletKind kind;
        std::size_t payments;
        int replayed, expired, forged;  // exit codes
    };
    const auto row =
        GENERATE(Row{WalletKind::v3r2, 4, 33, 35, 35}, Row{WalletKind::v4r2, 4, 33, 36, 35},
                 Row{WalletKind::v5r1, 255, 133, 136, 135});
    const SigningKey key = key_of(1);
    const std::uint32_t id = default_wallet_id(row.kind);
    const StateInit state = wallet_state(row.kind, key.public_key(), id);
    const Address address = state.address();
    const auto message = [&](const SigningKey& signer, std::uint32_t sequence, std::uint32_t until,
                             const std::vector<OutAction>& actions) {
        const CellRef body =
            sign_transfer(row.kind, signer, {id, sequence, until}, actions).value();
        return external_message(address, sequence == 0 ? std::optional{state} : std::nullopt, body);
    };
    const auto first = payments(1), second = payments(row.payments);
    Plan plan;
    plan.now(genesis);
    const Prices prices{plan};
    plan.fund(address, 5'000'000'000);
    plan.now(genesis + 1000);
    const auto funded = plan.account(address);
    const auto deployed = plan.send(message(key, 0, genesis + 2000, first));
    const auto rested = plan.account(address);
    plan.now(genesis + 900'000);
    const auto expired = plan.send(message(key, 1, genesis + 899'999, second));
    const auto forged = plan.send(message(key_of(2), 1, genesis + 901'000, second));
    const auto paid = plan.send(message(key, 1, genesis + 901'000, second));
    const auto replayed = plan.send(message(key, 1, genesis + 901'000, second));
    const auto ended = plan.account(address);
    const Chain chain{plan, prices};

    REQUIRE(chain.outcomes[deployed].accepted);
    const Transaction& deployment = chain.outcomes[deployed].transactions.at(0);
    CHECK(deployment.status_after == AccountStatus::active);
    check_payments(deployment, first);
    check_fees(chain, deployment, chain.outcomes[funded].account);
    REQUIRE(chain.outcomes[paid].accepted);
    const Transaction& payment = chain.outcomes[paid].transactions.at(0);
    check_payments(payment, second);
    check_fees(chain, payment, chain.outcomes[rested].account);
    CHECK(payment.previous_hash == deployment.hash);
    CHECK(payment.previous_lt == deployment.lt);
    CHECK(chain.outcomes[expired].exit_code == row.expired);
    CHECK(chain.outcomes[forged].exit_code == row.forged);
    CHECK(chain.outcomes[replayed].exit_code == row.replayed);
    CHECK(chain.outcomes[ended].account.status == "active");
}

TEST_CASE("highload batches of 1, 10, 100 and 200 pay once, at the price we computed") {
    if (!is_installed()) return;
    constexpr std::uint32_t timeout = 3600;
    const HighloadWallet wallet{key_of(3), timeout};
    const Nano own_value{50'000'000};
    const std::vector<std::size_t> sizes{1, 10, 100, 200, highload_actions_max};
    const std::vector<std::uint32_t> queries{0, 1, 1022, 1023, highload_queries - 1};

    Plan plan;
    plan.now(genesis);
    const Prices prices{plan};
    plan.fund(wallet.address(), 50'000'000'000);
    std::vector<CellRef> messages;
    std::vector<std::size_t> before, sent, replayed, after;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const std::uint32_t now = genesis + 100'000 * static_cast<std::uint32_t>(i + 1);
        plan.now(now);
        messages.push_back(
            wallet.batch({queries[i], now - 30, i == 0}, payments(sizes[i]), own_value).value());
        before.push_back(plan.account(wallet.address()));
        sent.push_back(plan.send(messages.back()));
        after.push_back(plan.account(wallet.address()));
        replayed.push_back(plan.send(messages.back()));
    }
    const std::uint32_t end = genesis + 600'000;
    plan.now(end);
    const auto stale = plan.send(wallet.batch({50, end - timeout}, payments(1), own_value).value());
    const auto early = plan.send(wallet.batch({50, end + 1}, payments(1), own_value).value());
    const HighloadWallet forger{key_of(4), timeout};
    const auto forged = plan.send(external_message(
        wallet.address(), std::nullopt,
        Message::parse(forger.batch({50, end - 30}, payments(1), own_value).value()).value().body));
    // The very edge of the time a message is good for.
    const auto edge =
        plan.send(wallet.batch({50, end - timeout + 1}, payments(1), own_value).value());
    const Chain chain{plan, prices};

    for (std::size_t i = 0; i < sizes.size(); ++i) {
        CAPTURE(sizes[i]);
        REQUIRE(chain.outcomes[sent[i]].accepted);
        CHECK(chain.outcomes[replayed[i]].exit_code == 36);
        const auto& transactions = chain.outcomes[sent[i]].transactions;
        REQUIRE(transactions.size() == 2 + sizes[i]);
        const AccountLine& account = chain.outcomes[before[i]].account;
        check_fees(chain, transactions[0], account);
        check_fees(chain, transactions[1], {{}, {}, transactions[1].now, {}});  // just paid
        const auto actions = payments(sizes[i]);
        check_payments(transactions[1], actions);
        const auto batch = HighloadBatch::parse(transactions[1].in_message->body).value();
        CHECK(batch.query() == queries[i]);
        const auto request = HighloadRequest::parse(*transactions[0].in_message).value();
        CHECK(request.query == queries[i]);
        // Balance before and after, against one formula for the whole batch.
        const std::uint64_t first_gas = transactions[0].description->compute.gas_used;
        const std::uint64_t second_gas = transactions[1].description->compute.gas_used;
        CHECK(second_gas == highload_self_gas);
        CHECK(first_gas <= highload_gas_max);
        const Nano fee =
            highload_batch_fee(messages[i], chain.gas, chain.forward, first_gas, second_gas)
                .value();
        const Nano storage =
            chain.storage.fee(account.used, account.last_paid, transactions[0].now);
        const Nano spent = account.balance - chain.outcomes[after[i]].account.balance;
        CHECK(spent.value == (fee + storage + sum_of(actions)).value);
        CHECK(fee <= highload_batch_fee(messages[i], chain.gas, chain.forward).value());
    }
    CHECK(chain.outcomes[stale].exit_code == 35);
    CHECK(chain.outcomes[early].exit_code == 35);
    CHECK(chain.outcomes[forged].exit_code == 33);
    CHECK(chain.outcomes[edge].accepted);
}
