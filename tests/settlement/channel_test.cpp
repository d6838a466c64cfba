// The payment channel: its formats, what the payee accepts, and one whole life on the real virtual
// machine with messages made here.
#include "settlement/channel.hpp"
#include "settlement/highload_wallet.hpp"
#include "settlement/wallet.hpp"
#include "tests/settlement/plan.hpp"

using namespace cocoon;
using namespace cocoon::settlement::ton;
using namespace cocoon::sandbox;

namespace {

constexpr Network network{20'261'122};  // the development chain's
constexpr std::int64_t coin = 1'000'000'000;
constexpr std::uint32_t day = 86'400;

const SigningKey payer_key = key_of(1), payee_key = key_of(2), session_key = key_of(3);

ChannelTerms terms_of(const Address& payer, const Address& payee, std::uint64_t salt = 1) {
    ChannelTerms terms;
    terms.payer_key = session_key.public_key();
    terms.payee_key = payee_key.public_key();
    terms.payer = payer;
    terms.payee = payee;
    terms.challenge_seconds = day;
    terms.cap = Nano{100 * coin};
    terms.salt = salt;
    return terms;
}

Address address_of(std::uint8_t byte) {
    Address address;
    address.id.fill(byte);
    return address;
}

SignedVoucher promise(const Address& channel, std::int64_t amount,
                      const SigningKey& key = session_key, Network where = network) {
    SignedVoucher made{{where, channel, Nano{amount}, 1}, {}};
    made.signature = sign(key, made.voucher);
    return made;
}

template <class Value>
ErrorCode code_of(const Result<Value>& result) {
    REQUIRE(!result);
    return result.error().code;
}

ChannelNotice notice_of(ChannelStage stage, std::int64_t deposited, std::int64_t claimed = 0) {
    ChannelNotice notice;
    notice.status = {stage, Nano{deposited}, Nano{claimed}, stage == ChannelStage::open ? 0 : 1u};
    return notice;
}

}  // namespace

TEST_CASE("a channel's cells are read back as they were written, and nothing else is") {
    ChannelData data{terms_of(address_of(1), address_of(2)), {}};
    data.status = {ChannelStage::closing, Nano{7}, Nano{3}, 1'795'000'000};
    CHECK(ChannelData::parse(data.cell()).value() == data);
    const Agreement agreement{network, address_of(3), Nano{5}, 1'795'000'000};
    CHECK(Agreement::parse(agreement.cell()).value() == agreement);
    const Voucher voucher{network, address_of(3), Nano{5}, 1};
    CHECK(!Agreement::parse(voucher.cell()));
    CHECK(!Voucher::parse(agreement.cell()));
    for (const CellRef& other : {Cell::empty(), voucher.cell(), agreement.cell()}) {
        CHECK(!ChannelData::parse(other));
        CHECK(!ChannelNotice::parse(other));
    }
    data.status.claimed = Nano{8};  // more than was deposited
    CHECK(!ChannelData::parse(data.cell()));
    const auto notice = [](unsigned stage, int paid, int deposited, int claimed) {
        return ChannelNotice::parse(Builder{}
                                        .number(0x43686E31, 32)
                                        .number(9, 64)
                                        .number(stage, 2)
                                        .coins(Nano{paid})
                                        .coins(Nano{deposited})
                                        .coins(Nano{claimed})
                                        .number(0, 32)
                                        .cell());
    };
    CHECK(notice(0, 1, 3, 2)->paid == Nano{1});
    CHECK(!notice(3, 1, 3, 2));  // no such stage
    CHECK(!notice(0, 1, 1, 2));
    CHECK(!notice(0, 3, 3, 2));
}

TEST_CASE("an agreement is for one network, one channel, one total and one time") {
    const Agreement agreement{network, address_of(3), Nano{5}, 1'795'000'000};
    const Signature signature = sign(payee_key, agreement);
    CHECK(verify(payee_key.public_key(), agreement, signature));
    CHECK(!verify(payer_key.public_key(), agreement, signature));
    Agreement others[] = {agreement, agreement, agreement, agreement, agreement};
    others[0].network = Network::mainnet;
    others[1].channel.id[0] ^= 1;
    others[2].amount = Nano{6};
    others[3].valid_until += 1;
    others[4].amount = Nano{-5};
    for (std::size_t i = 0; i < 4; ++i)
        CHECK(!verify(payee_key.public_key(), others[i], signature));
    CHECK(!verify(payee_key.public_key(), others[4], signature));
}

TEST_CASE("a registration names one account and one channel") {
    const Bytes message = registration_message("acct_1", address_of(3));
    CHECK(message != registration_message("acct_2", address_of(3)));
    CHECK(message != registration_message("acct_1", address_of(4)));
    CHECK(!is_bounced_claim(Cell::empty()));
    CHECK(!is_bounced_claim(start_close_body(1)));
}

TEST_CASE("the market takes promises only from channels that can pay it") {
    const ChannelPayee payee{payee_key.public_key(), address_of(2)};
    const ChannelTerms good = terms_of(address_of(1), payee.wallet);
    CHECK(check_terms(good, payee));
    const auto refused = [&](auto&& change) {
        ChannelTerms terms = good;
        change(terms);
        return code_of(check_terms(terms, payee)) == ErrorCode::invalid_body;
    };
    CHECK(refused([](ChannelTerms& terms) { terms.payee = address_of(9); }));
    CHECK(refused([](ChannelTerms& terms) { terms.payee_key = payer_key.public_key(); }));
    CHECK(refused([](ChannelTerms& terms) { terms.payer_key = {}; }));
    CHECK(refused([](ChannelTerms& terms) { terms.payer_key = {1}; }));
    CHECK(refused([](ChannelTerms& terms) { terms.payer_key = terms.payee_key; }));
    CHECK(refused([](ChannelTerms& terms) { terms.payer = terms.payee; }));
    CHECK(refused([](ChannelTerms& terms) { terms.payer.workchain = -1; }));
    CHECK(refused([](ChannelTerms& terms) { terms.challenge_seconds = day - 1; }));
    CHECK(refused([](ChannelTerms& terms) { terms.challenge_seconds = 30 * day + 1; }));
    CHECK(refused([](ChannelTerms& terms) { terms.cap = Nano{100 * coin + 1}; }));
    CHECK(refused([](ChannelTerms& terms) { terms.cap = Nano{}; }));
    // Each part of the terms makes another channel of it.
    ChannelTerms other = good;
    other.salt = 2;
    CHECK(channel_state(other).address() != channel_state(good).address());
}

TEST_CASE("the payee takes what grows, what is covered and what the payer signed") {
    const ChannelTerms terms = terms_of(address_of(1), address_of(2));
    PayeeChannel channel{terms, network};
    const Address& at = channel.address();
    CHECK(code_of(channel.accept(promise(at, 1))) == ErrorCode::insufficient_funds);
    REQUIRE(channel.take(notice_of(ChannelStage::open, 100)));
    CHECK(channel.accept(promise(at, 40)).value() == Nano{40});
    CHECK(channel.accept(promise(at, 40)).value() == Nano{0});  // again
    CHECK(channel.accept(promise(at, 30)).value() == Nano{0});  // an older one, late
    CHECK(channel.promised() == Nano{40});
    CHECK(channel.accept(promise(at, 100)).value() == Nano{60});
    CHECK(code_of(channel.accept(promise(at, 101))) == ErrorCode::insufficient_funds);
    struct Row {
        const char* what;
        SignedVoucher voucher;
    };
    SignedVoucher forged = promise(at, 50);
    forged.signature[0] ^= 1;
    SignedVoucher raised = promise(at, 50);
    raised.voucher.amount = Nano{99};
    for (const Row& row : {Row{"another key", promise(at, 50, payer_key)},
                           Row{"another network", promise(at, 50, session_key, Network::mainnet)},
                           Row{"another channel", promise(address_of(7), 50)},
                           Row{"a forged signature", forged}, Row{"a raised amount", raised},
                           Row{"a negative amount", {{network, at, Nano{-1}, 1}, {}}}}) {
        CAPTURE(row.what);
        CHECK(code_of(channel.accept(row.voucher)) == ErrorCode::malformed_request);
    }
    // What the chain says comes late, twice and in any order.
    REQUIRE(channel.take(notice_of(ChannelStage::closing, 150, 100)));
    REQUIRE(channel.take(notice_of(ChannelStage::open, 120, 40)));
    CHECK(channel.status() == ChannelStatus{ChannelStage::closing, Nano{150}, Nano{100}, 1});
    CHECK(code_of(channel.accept(promise(at, 110))) == ErrorCode::wrong_state);
    CHECK(channel.accept(promise(at, 100)).value() == Nano{0});
    CHECK(code_of(channel.take(notice_of(ChannelStage::closed, 150, 101))) ==
          ErrorCode::wrong_state);
    CHECK(channel.claimable() == Nano{0});
    // A new process begins where the old one was.
    const PayeeChannel restored{terms, network, channel.status(), channel.best()};
    CHECK(restored.promised() == Nano{100});
    CHECK(restored.status() == channel.status());
}

namespace {

// Two people with wallets of their own, and as many channels between them as are asked for.
struct Parties {
    const WalletKind kind = WalletKind::v4r2;
    const std::uint32_t id = default_wallet_id(kind);
    const StateInit payer_state = wallet_state(kind, payer_key.public_key(), id);
    const Address payer = payer_state.address();
    const HighloadWallet payee{payee_key, 3600};
    std::uint32_t sequence = 0, query = 0, now = genesis;
    Plan plan;
    const Prices prices;

    Parties() : prices{start(plan)} {
        plan.fund(payer, 100 * coin);
        plan.fund(payee.address(), 100 * coin);
    }

    void at(std::uint32_t seconds) { plan.now(now = seconds); }
    ChannelTerms channel(std::uint64_t salt) const {
        return terms_of(payer, payee.address(), salt);
    }
    Address where(std::uint64_t salt) const { return channel_state(channel(salt)).address(); }

    std::size_t payer_sends(const Transfer& transfer) {
        const OutAction action{internal_message(transfer), usual_mode};
        const std::uint32_t number = sequence++;
        const CellRef body =
            sign_transfer(kind, payer_key, {id, number, now + 600}, std::span{&action, 1}).value();
        return plan.send(
            external_message(payer, number == 0 ? std::optional{payer_state} : std::nullopt, body));
    }
    std::size_t payer_opens(std::uint64_t salt, std::int64_t deposit) {
        Transfer transfer = to(salt, top_up_body(salt));
        transfer.value = Nano{deposit} + channel_message_cost + channel_reserve;
        transfer.init = channel_state(channel(salt));
        return payer_sends(transfer);
    }
    std::size_t payee_sends(const std::vector<Transfer>& transfers) {
        std::vector<OutAction> actions;
        for (const Transfer& transfer : transfers)
            actions.push_back({internal_message(transfer), usual_mode});
        const std::uint32_t number = query++;
        return plan.send(
            payee.batch({number, now - 30, number == 0}, actions, Nano{50'000'000}).value());
    }
    Transfer to(std::uint64_t salt, CellRef body) const {
        Transfer transfer;
        transfer.to = where(salt);
        transfer.value = Nano{coin / 20};
        transfer.bounce = true;
        transfer.body = std::move(body);
        return transfer;
    }
    Transfer claim(std::uint64_t salt, std::int64_t total, const SignedVoucher& voucher) const {
        Transfer transfer = to(salt, claim_body(salt, Nano{total}, voucher));
        transfer.value = channel_claim_value;
        return transfer;
    }

private:
    static Prices start(Plan& plan) {
        plan.now(genesis);
        return Prices{plan};
    }
};

// The transaction of `account` among those of one step, and what channels told the payee there.
const Transaction& of(const Outcome& outcome, const Address& account) {
    for (const Transaction& transaction : outcome.transactions)
        if (transaction.account == account.id &&
            transaction.in_message->kind == Message::Kind::internal)
            return transaction;
    FAIL("the account has no transaction here");
    throw std::logic_error{"unreachable"};
}

std::vector<ChannelNotice> notices(const Outcome& outcome, const Address& payee,
                                   const Address& channel) {
    std::vector<ChannelNotice> found;
    for (const Transaction& transaction : outcome.transactions) {
        const Message& message = *transaction.in_message;
        if (transaction.account != payee.id || message.source != channel || message.bounced)
            continue;
        CHECK(received(transaction) == message.value);  // it stays, whatever the wallet made of it
        found.push_back(ChannelNotice::parse(message.body).value());
        CHECK(message.value >= found.back().paid);
    }
    return found;
}

}  // namespace

TEST_CASE("a channel opens, pays, is challenged and closes on the real virtual machine") {
    if (!is_installed()) return;
    Parties parties;
    const Address at = parties.where(1);
    const Address payee = parties.payee.address();
    const auto opened = parties.payer_opens(1, 10 * coin);
    const auto fresh = parties.plan.data(at);
    const auto before_claim = parties.plan.account(at);
    parties.at(genesis + day);
    const auto claimed =
        parties.payee_sends({parties.claim(1, 3 * coin, promise(at, 4 * coin)),
                             parties.claim(1, 4 * coin, promise(at, 4 * coin, payer_key)),
                             parties.claim(1, 3 * coin, promise(at, 4 * coin))});
    const auto partly = parties.plan.data(at);
    const auto started = parties.payer_sends(parties.to(1, start_close_body(2)));
    const std::uint32_t close_at = genesis + 2 * day;
    const auto early = parties.payer_sends(parties.to(1, finish_close_body(3)));
    parties.at(close_at - 100);
    const auto late_claim =
        parties.payee_sends({parties.claim(1, 4 * coin, promise(at, 4 * coin))});
    parties.at(close_at);
    const auto finished = parties.payer_sends(parties.to(1, finish_close_body(4)));
    const auto too_late = parties.payee_sends({parties.claim(1, 5 * coin, promise(at, 5 * coin))});
    const auto tomb = parties.plan.data(at);
    const auto empty = parties.plan.account(at);
    const Chain chain{parties.plan, parties.prices};
    const auto& outcomes = chain.outcomes;

    PayeeChannel view{parties.channel(1), network};
    REQUIRE(notices(outcomes[opened], payee, at).size() == 1);
    REQUIRE(view.take(notices(outcomes[opened], payee, at)[0]));
    CHECK(view.status() == ChannelStatus{ChannelStage::open, Nano{10 * coin}, Nano{}, 0});
    CHECK(ChannelData::parse(outcomes[fresh].cell).value() ==
          ChannelData{parties.channel(1), view.status()});
    REQUIRE(view.accept(promise(at, 4 * coin)));

    // One batch of three: the claim, one with a forged signature, and the first again.
    const auto paid = notices(outcomes[claimed], payee, at);
    REQUIRE(paid.size() == 1);
    std::size_t came_back = 0;
    for (const Transaction& transaction : outcomes[claimed].transactions)
        came_back +=
            transaction.in_message->bounced && is_bounced_claim(transaction.in_message->body);
    CHECK(came_back == 2);
    CHECK(paid[0].paid == Nano{3 * coin});
    CHECK(paid[0].query == 1);
    REQUIRE(view.take(paid[0]));
    CHECK(view.claimable() == Nano{coin});
    CHECK(ChannelData::parse(outcomes[partly].cell)->status == view.status());
    check_fees(chain, of(outcomes[claimed], at), outcomes[before_claim].account);

    REQUIRE(view.take(notices(outcomes[started], payee, at).at(0)));
    CHECK(view.status().stage == ChannelStage::closing);
    CHECK(view.status().close_at == close_at);
    CHECK(notices(outcomes[early], payee, at).empty());
    CHECK(of(outcomes[early], at).description->compute.exit_code == 101);
    CHECK(notices(outcomes[late_claim], payee, at).at(0).paid == Nano{coin});
    REQUIRE(view.take(notices(outcomes[late_claim], payee, at).at(0)));
    REQUIRE(view.take(notices(outcomes[finished], payee, at).at(0)));
    CHECK(view.status().stage == ChannelStage::closed);
    CHECK(of(outcomes[too_late], at).description->compute.exit_code == 102);
    CHECK(ChannelData::parse(outcomes[tomb].cell)->status == view.status());
    CHECK(outcomes[empty].account.balance == Nano{});
    // The payer has all but what was claimed and what the chain took.
    const Message& refund = of(outcomes[finished], at).out_messages.at(1);
    CHECK(refund.destination == parties.payer);
    CHECK(refund.value > Nano{6 * coin});
}

TEST_CASE("fifty channels are claimed in one batch, and both sides close one at once") {
    if (!is_installed()) return;
    constexpr std::uint64_t channels = 50;
    Parties parties;
    std::vector<std::size_t> opened;
    for (std::uint64_t salt = 1; salt <= channels; ++salt)
        opened.push_back(parties.payer_opens(salt, coin));
    std::vector<Transfer> claims;
    for (std::uint64_t salt = 1; salt <= channels; ++salt) {
        const auto amount = static_cast<std::int64_t>(salt) * 1'000'000;
        claims.push_back(parties.claim(salt, amount, promise(parties.where(salt), amount)));
    }
    const auto before = parties.plan.account(parties.payee.address());
    const auto claimed = parties.payee_sends(claims);
    const auto after = parties.plan.account(parties.payee.address());
    const Agreement agreement{network, parties.where(2), Nano{coin / 2}, genesis + day};
    const auto closed = parties.payer_sends(
        parties.to(2, close_together_body(9, agreement, sign(session_key, agreement),
                                          sign(payee_key, agreement))));
    const auto forged = parties.payer_sends(
        parties.to(3, close_together_body(9, agreement, sign(session_key, agreement),
                                          sign(payee_key, agreement))));
    const Chain chain{parties.plan, parties.prices};
    const auto& outcomes = chain.outcomes;

    Nano paid;
    for (std::uint64_t salt = 1; salt <= channels; ++salt) {
        CAPTURE(salt);
        REQUIRE(notices(outcomes[opened[salt - 1]], parties.payee.address(), parties.where(salt))
                    .size() == 1);
        const auto told = notices(outcomes[claimed], parties.payee.address(), parties.where(salt));
        REQUIRE(told.size() == 1);
        CHECK(told[0].query == salt);
        CHECK(told[0].paid == Nano{static_cast<std::int64_t>(salt) * 1'000'000});
        paid += told[0].paid;
    }
    const Nano gained = outcomes[after].account.balance - outcomes[before].account.balance;
    const Nano cost = paid - gained;
    CHECK(cost > Nano{});
    CHECK(cost.value / static_cast<std::int64_t>(channels) < 1'000'000);  // a claim, with all fees
    const auto end = notices(outcomes[closed], parties.payee.address(), parties.where(2)).at(0);
    CHECK(end.paid == Nano{coin / 2 - 2'000'000});
    CHECK(end.status.stage == ChannelStage::closed);
    CHECK(of(outcomes[forged], parties.where(3)).description->compute.exit_code == 103);
}
