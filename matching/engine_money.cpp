// Money from and to the chain, and what the operator decides.
#include "matching/engine_task.hpp"

namespace cocoon::matching {

Reply Engine::Task::credit(const Account& account, Nano amount, const std::string& reference) {
    if (amount.value <= 0) return invalid("/amount", "More than nothing.");
    if (reference.empty()) return invalid("/reference", "A deposit names its transaction.");
    // Everything in the books together never exceeds the coin's supply, so that no sum inside
    // overflows.
    const Nano owed =
        -state_.accounts.find(house)->account.balances[static_cast<std::size_t>(Bucket::chain)];
    if (amount.value > limits::amount_nano_max - owed.value)
        return refuse(ErrorCode::arithmetic_overflow, "The deposit exceeds the coin's supply.");
    Deposit deposit{DepositId{state_.counters.deposit}, account.id, amount, reference, at_};
    DepositAnswer answer{deposit, false};
    emit(DepositCredited{std::move(deposit)});
    return Answer{std::move(answer)};
}

Reply Engine::Task::operator()(const CreditDeposit& command) {
    const AccountRecord* record = state_.account_by_memo(command.memo);
    if (record == nullptr) return refuse(ErrorCode::not_found, "No account has this deposit memo.");
    if (const auto known = state_.deposits.find(command.reference); known != state_.deposits.end())
        return Answer{DepositAnswer{
            {known->second, record->account.id, command.amount, command.reference, at_}, true}};
    return credit(record->account, command.amount, command.reference);
}

Reply Engine::Task::operator()(const CreditHeldDeposit& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    const AccountRecord* record = state_.accounts.find(command.account);
    // Nothing leaves the house again.
    if (record == nullptr || command.account == house)
        return refuse(ErrorCode::not_found, "There is no such account.");
    if (state_.deposit_known(command.reference))
        return refuse(ErrorCode::already_exists, "This transfer was credited before.");
    Reply reply = credit(record->account, command.amount, command.reference);
    if (reply)
        audit("credit_held_deposit", command.reference, "on hold",
              record->account.id.text() + ' ' + command.amount.text(), command.note);
    return reply;
}

Reply Engine::Task::operator()(const RequestPayout& command) {
    const AccountRecord* record = state_.accounts.find(command.account);
    if (record == nullptr) return refuse(ErrorCode::not_found);
    const Account& account = record->account;
    if (account.frozen) return refuse(ErrorCode::account_frozen);
    const bool from_fees = command.source == Bucket::fees && account.id == house && is_operator();
    if (command.source != Bucket::earned && command.source != Bucket::available && !from_fees)
        return invalid("/source", "\"earned\" or \"available\".");
    if (command.amount.value <= 0) return invalid("/amount_nano", "More than nothing.");
    if (command.amount < rules_.payout_min)
        return refuse(ErrorCode::payout_too_small,
                      "A payout is at least " + rules_.payout_min.text() + " nano.");
    if (account.payout_address.empty())
        return refuse(ErrorCode::wrong_state, "The account has no payout address.");
    if (command.amount > account.balances[static_cast<std::size_t>(command.source)])
        return refuse(ErrorCode::insufficient_funds);
    if (record->open_payouts >= rules_.open_payouts_per_account_max)
        return refuse(ErrorCode::limit_reached,
                      "The account has as many open payouts as it may have; wait for one to end.");
    Payout payout;
    payout.id = PayoutId{state_.counters.payout};
    payout.account = account.id;
    payout.source = command.source;
    payout.amount = command.amount;
    payout.address = account.payout_address;
    payout.requested_at = at_;
    const Nano large = rules_.payout_approval_min;
    if (large.value > 0 && payout.amount >= large) payout.state = PayoutState::awaiting_approval;
    PayoutAnswer answer{payout};
    emit(PayoutRequested{std::move(payout)});
    return Answer{std::move(answer)};
}

// All or none, and harmless when repeated: the chain adapter may have to ask twice.
Reply Engine::Task::operator()(const AdvancePayouts& command) {
    using enum PayoutState;
    std::vector<PayoutId> moving;
    for (const PayoutId id : command.payouts) {
        const auto found = state_.payouts.find(id);
        if (found == state_.payouts.end()) return refuse(ErrorCode::not_found, id.text());
        const PayoutState from = found->second.state;
        if (from == command.state || std::find(moving.begin(), moving.end(), id) != moving.end())
            continue;
        if (from == awaiting_approval) return refuse(ErrorCode::approval_required, id.text());
        const bool ends = command.state == paid || command.state == returned;
        const bool allowed =
            (from == queued && (ends || command.state == sent)) || (from == sent && ends);
        if (!allowed) return refuse(ErrorCode::wrong_state, id.text());
        moving.push_back(id);
    }
    for (const PayoutId id : moving) emit(PayoutAdvanced{id, command.state, command.reference});
    return Answer{Done{}};
}

Result<const Payout*> Engine::Task::payout_to_decide(PayoutId id) const {
    if (!actor_.account || !is_operator())
        return refuse(ErrorCode::forbidden, "A payout is decided by an admin.");
    const auto found = state_.payouts.find(id);
    if (found == state_.payouts.end()) return refuse(ErrorCode::not_found);
    if (found->second.state != PayoutState::awaiting_approval)
        return refuse(ErrorCode::wrong_state,
                      "The payout is " + std::string{name_of(found->second.state)} + '.');
    return &found->second;
}

Reply Engine::Task::operator()(const ApprovePayout& command) {
    const auto found = payout_to_decide(command.payout);
    if (!found) return found.error();
    const Payout& payout = **found;
    const AccountId admin = actor_.account;
    if (payout.account == admin)
        return refuse(ErrorCode::own_approval, "Nobody approves a payout of their own.");
    if (std::find(payout.approvers.begin(), payout.approvers.end(), admin) !=
        payout.approvers.end())
        return refuse(ErrorCode::own_approval, "You have approved it; another admin has to.");
    if (state_.accounts.find(payout.account)->account.frozen)
        return refuse(ErrorCode::account_frozen);
    const auto told = [&] {
        return std::string{name_of(payout.state)} + ", " + std::to_string(payout.approvers.size()) +
               " of " + std::to_string(payout_approvals);
    };
    const std::string before = told();
    const bool enough = payout.approvers.size() + 1 >= payout_approvals;
    emit(PayoutApproved{payout.id, admin,
                        enough ? PayoutState::queued : PayoutState::awaiting_approval});
    audit("approve_payout", payout.id.text(), before, told(), command.note);
    return Answer{PayoutAnswer{payout}};
}

Reply Engine::Task::operator()(const RejectPayout& command) {
    const auto found = payout_to_decide(command.payout);
    if (!found) return found.error();
    const Payout& payout = **found;
    const std::string before{name_of(payout.state)};
    emit(PayoutRejected{payout.id, actor_.account, command.reason});
    audit("reject_payout", payout.id.text(), before, std::string{name_of(payout.state)},
          command.reason);
    return Answer{PayoutAnswer{payout}};
}

Reply Engine::Task::operator()(const PausePayouts& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    if (state_.payouts_paused == command.paused) return Answer{Done{}};
    const auto told = [&] { return std::string{state_.payouts_paused ? "paused" : "running"}; };
    const std::string before = told();
    emit(PayoutsPaused{command.paused});
    audit(command.paused ? "pause_payouts" : "resume_payouts", "payouts", before, told(),
          command.note);
    return Answer{Done{}};
}

Reply Engine::Task::operator()(const FreezeAccount& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    AccountRecord* record = state_.accounts.find(command.account);
    if (record == nullptr || command.account == house) return refuse(ErrorCode::not_found);
    const Account& account = record->account;
    if (account.frozen == command.frozen) return Answer{Done{}};
    emit(AccountAmended{account.id, account.name, account.profile, account.payout_address,
                        command.frozen});
    audit(command.frozen ? "freeze_account" : "unfreeze_account", command.account.text(),
          command.frozen ? "active" : "frozen", command.frozen ? "frozen" : "active", command.note);
    freed_.funded.push_back(command.account);
    for (NodeRecord* node : record->nodes) offers_of(*node);
    return Answer{Done{}};
}

Reply Engine::Task::operator()(const SetFee& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    if (command.basis_points < 0 || command.basis_points > 10'000)
        return invalid("/basis_points", "Between 0 and 10000.");
    const int before = state_.fee_basis_points;
    if (before == command.basis_points) return Answer{Done{}};
    emit(FeeChanged{command.basis_points});
    audit("set_fee", "market", std::to_string(before), std::to_string(command.basis_points),
          command.note);
    return Answer{Done{}};
}

}  // namespace cocoon::matching
