#include "client/money_proofs.hpp"

#include <algorithm>

#include "core/limits.hpp"
#include "sealing/market_statement.hpp"
#include "settlement/merkle_sum.hpp"

namespace cocoon::client {
namespace {

using sealing::Json;
using Outcome = ReceiptCheck::Outcome;

constexpr std::string_view signature_check = "market_signature";

void note(MoneyReport& report, std::string_view name, bool passed, std::string text) {
    report.checks.push_back(
        {std::string{name}, passed ? Outcome::passed : Outcome::failed, std::move(text)});
}
void skip(MoneyReport& report, std::string_view name, std::string text) {
    report.checks.push_back({std::string{name}, Outcome::skipped, std::move(text)});
}

// The signed statement of `envelope`, or nothing and a failed check.
template <class Statement>
std::optional<Statement> signed_statement(MoneyReport& report, const Json& envelope,
                                          const std::optional<sealing::PublicKey>& market_key,
                                          Result<Statement> (*verify)(const Json&,
                                                                      const sealing::PublicKey&)) {
    const auto key = market_key ? market_key : sealing::key_of_statement(envelope);
    if (!key) {
        note(report, signature_check, false, "this is no signed statement");
        return std::nullopt;
    }
    const auto found = verify(envelope, *key);
    if (!found) {
        note(report, signature_check, false, found.error().detail);
        return std::nullopt;
    }
    note(report, signature_check, true,
         market_key ? "signed with the given market key"
                    : "signed with the key it names, " + to_hex(*key) +
                          ": compare it with GET /v1/market-key, or give --market-key");
    return *found;
}

std::optional<std::uint64_t> number_at(const Json& object, const char* name) {
    const auto number = Nano::parse(object.text_at(name).value_or(""));
    if (!number || number->value < 0) return std::nullopt;
    return static_cast<std::uint64_t>(number->value);
}

std::optional<Nano> money_at(const Json& object, const char* name) {
    const auto number = number_at(object, name);
    if (!number || *number > limits::amount_nano_max) return std::nullopt;
    return Nano{static_cast<std::int64_t>(*number)};
}

// The proof in an answer of GET /v1/account/proof, less the number of leaves, which is signed.
std::optional<settlement::SumProof> read_proof(const Json& document) {
    const Json* leaf = document.find("leaf");
    const Json* path = document.find("path");
    if (!leaf || !path || path->items().size() > settlement::sum_path_max) return std::nullopt;
    const auto account = AccountId::parse(leaf->text_at("account").value_or(""));
    const auto salt = sealing::parse_hex_32(leaf->text_at("salt").value_or(""));
    const auto amount = money_at(*leaf, "amount_nano");
    const auto index = number_at(document, "index");
    if (!account || !salt || !amount || !index) return std::nullopt;
    settlement::SumProof proof{{account->value, *salt, *amount}, *index, 0, {}};
    for (const Json& node : path->items()) {
        const auto hash = sealing::parse_hex_32(node.text_at("hash").value_or(""));
        const auto sum = money_at(node, "sum_nano");
        if (!hash || !sum) return std::nullopt;
        proof.path.push_back({*hash, *sum});
    }
    return proof;
}

void check_leaf(MoneyReport& report, const Json& document,
                const sealing::SolvencyStatement& statement) {
    constexpr std::string_view name = "own_leaf";
    if (!document.find("leaf")) return skip(report, name, "no account's leaf is given");
    auto proof = read_proof(document);
    if (!proof) return note(report, name, false, "the leaf or its path is malformed");
    proof->leaves = statement.accounts;
    const AccountId account{proof->leaf.account};
    report.facts.set("account", account.text());
    report.facts.set("amount_nano", proof->leaf.amount.text());
    const auto root = settlement::root_of(*proof);
    if (!root) return note(report, name, false, root.error().detail);
    const bool leads = *root == settlement::SumNode{statement.root, statement.liabilities};
    note(report, name, leads,
         leads ? "the signed sum counts " + proof->leaf.amount.text() + " nano owed to " +
                     account.text()
               : "the path does not lead to the signed root and sum");
}

void check_wallet(MoneyReport& report, const sealing::SolvencyStatement& statement) {
    constexpr std::string_view name = "wallet";
    report.certain = statement.wallet.has_value();
    if (!statement.wallet)
        return skip(report, name, "the market could not see the chain: nobody knows what it holds");
    const auto& wallet = *statement.wallet;
    report.facts.set("wallet", wallet.address);
    report.facts.set("balance_nano", wallet.balance.text());
    // Differences of what is at most the coin's supply: neither side can overflow.
    const bool covered = statement.liabilities - wallet.moving <= wallet.balance - wallet.on_hold;
    note(report, name, covered,
         wallet.address + " is said to hold " + wallet.balance.text() + " nano (" +
             wallet.on_hold.text() + " of them on hold, " + wallet.moving.text() +
             " on their way back) at " + wallet.at.text() +
             ": any explorer of the chain shows its balance");
}

}  // namespace

bool MoneyReport::valid() const {
    return !checks.empty() &&
           std::none_of(checks.begin(), checks.end(),
                        [](const ReceiptCheck& check) { return check.outcome == Outcome::failed; });
}

MoneyReport check_solvency(const Json& document,
                           const std::optional<sealing::PublicKey>& market_key) {
    MoneyReport report;
    const Json* inner = document.find("solvency");
    const auto statement = signed_statement<sealing::SolvencyStatement>(
        report, inner ? *inner : document, market_key, &sealing::verify_solvency);
    if (!statement) return report;
    report.facts.set("sequence", std::to_string(statement->sequence));
    report.facts.set("at", statement->at.text());
    report.facts.set("accounts", std::to_string(statement->accounts));
    report.facts.set("liabilities_nano", statement->liabilities.text());
    check_leaf(report, document, *statement);
    check_wallet(report, *statement);
    return report;
}

MoneyReport check_earnings(const Json& document, const std::optional<Json>& older,
                           const std::optional<sealing::PublicKey>& market_key) {
    MoneyReport report;
    const auto statement = signed_statement<sealing::EarningsStatement>(
        report, document, market_key, &sealing::verify_earnings);
    if (!statement) return report;
    report.facts.set("account", statement->account);
    report.facts.set("payout_address", statement->payout_address);
    report.facts.set("counter", std::to_string(statement->counter));
    report.facts.set("at", statement->at.text());
    report.facts.set("earned_nano", statement->earned.text());
    report.facts.set("paid_nano", statement->paid.text());
    report.facts.set("owed_nano", statement->owed().text());
    note(report, "sums", statement->paying <= statement->owed(),
         "earned " + statement->earned.text() + ", paid " + statement->paid.text() +
             ", on its way " + statement->paying.text());
    if (!older) {
        skip(report, "older", "no older statement is given");
        return report;
    }
    // The same key as the newer one's, whoever gave it.
    MoneyReport of_older;
    const auto key = market_key ? market_key : sealing::key_of_statement(document);
    const auto before = signed_statement<sealing::EarningsStatement>(of_older, *older, key,
                                                                     &sealing::verify_earnings);
    if (!before) {
        note(report, "older", false, "the older one: " + of_older.checks.back().text);
        return report;
    }
    const bool grew = before->account == statement->account &&
                      before->counter <= statement->counter &&
                      before->earned <= statement->earned && before->paid <= statement->paid;
    const bool same_state = before->counter != statement->counter || *before == *statement;
    note(report, "older", grew && same_state,
         grew && same_state ? "nothing fell since " + before->at.text()
                            : "it is no later word on the same account");
    return report;
}

}  // namespace cocoon::client
