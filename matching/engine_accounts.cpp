// Accounts, keys and webhooks.
#include <algorithm>

#include "matching/engine_task.hpp"

namespace cocoon::matching {
namespace {

ScopeSet allowed_scopes(AccountKind kind) {
    switch (kind) {
        case AccountKind::developer: return scope_read | scope_work | scope_manage;
        case AccountKind::provider: return scope_read | scope_offer | scope_manage;
        case AccountKind::admin: return scope_read | scope_manage | scope_admin | scope_audit;
        case AccountKind::auditor: return scope_read | scope_manage | scope_audit;
        case AccountKind::house: return 0;
    }
    return 0;
}

std::optional<Error> refused(const State& state, const ApiKey& key, AccountKind kind, Instant at) {
    if (key.scopes == 0 || (key.scopes & ~allowed_scopes(kind)) != 0)
        return invalid("/scopes", "These scopes are not for this kind of account.");
    if ((key.scopes & scope_manage) != 0 && (key.scopes & scope_work) != 0)
        return invalid("/scopes",
                       "A key that manages the account cannot place work; make two keys.");
    if (key.cap_total.value < 0 || key.cap_day.value < 0)
        return invalid("/caps", "A cap is not negative.");
    if (key.expires_at.us != 0 && key.expires_at <= at)
        return invalid("/expires_at", "Lies in the past.");
    if (state.key_by_secret(key.secret_hash) != nullptr)
        return refuse(ErrorCode::already_exists, "This secret is in use.");
    return std::nullopt;
}

ApiKey fresh_key(const State& state, ApiKey key, AccountId account, Instant at) {
    key.id = KeyId{state.counters.key};
    key.account = account;
    key.created_at = at;
    key.revoked = false;
    key.spent_total = key.spent_day = key.held = Nano{};
    key.day = 0;
    key.purse = KeyId{};
    return key;
}

// Accounts of those who run the market, or watch who does.
bool operates(AccountKind kind) {
    return kind == AccountKind::admin || kind == AccountKind::auditor;
}

// Those of `keys` that are the account's and not revoked yet, each once.
std::vector<KeyId> live_of(const State& state, AccountId account, std::span<const KeyId> keys) {
    std::vector<KeyId> live;
    for (const KeyId id : keys) {
        const KeyRecord* record = state.keys.find(id);
        if (record != nullptr && record->key.account == account && !record->key.revoked &&
            std::find(live.begin(), live.end(), id) == live.end())
            live.push_back(id);
    }
    return live;
}

// As the sign-in names what it shows of a session's secret (api/session.hpp).
bool is_session(const ApiKey& key) { return key.shown.starts_with("cs_"); }

KeyAmended amendment_of(const ApiKey& key) {
    return {key.id, key.name, key.cap_total, key.cap_day, key.expires_at, key.revoked};
}

}  // namespace

Reply Engine::Task::operator()(const OpenAccount& command) {
    const bool public_kind =
        command.kind == AccountKind::developer || command.kind == AccountKind::provider;
    if (command.kind == AccountKind::house || (!public_kind && !is_operator()))
        return refuse(ErrorCode::forbidden, "Accounts of this kind are opened by the operator.");
    if (command.name.empty() || command.name.size() > limits::name_bytes_max)
        return invalid("/name", "Between 1 and 128 bytes.");
    if (command.profile.size() > limits::profile_bytes_max)
        return invalid("/profile", "Too large.");
    if (command.deposit_memo.empty() || state_.account_by_memo(command.deposit_memo) != nullptr)
        return refuse(ErrorCode::already_exists, "The deposit memo is in use.");
    if (auto error = refused(state_, command.first_key, command.kind, at_)) return *error;
    if (command.second_key) {
        if (auto error = refused(state_, *command.second_key, command.kind, at_)) return *error;
        if (command.second_key->secret_hash == command.first_key.secret_hash)
            return refuse(ErrorCode::already_exists, "Two keys need two secrets.");
    }
    Account account;
    account.id = AccountId{state_.counters.account};
    account.kind = command.kind;
    account.name = command.name;
    account.profile = command.profile;
    account.payout_address = command.payout_address;
    account.deposit_memo = command.deposit_memo;
    account.opened_at = at_;
    AccountAnswer answer{account.id, {}, {}};
    emit(AccountOpened{std::move(account)});
    ApiKey first = fresh_key(state_, command.first_key, answer.account, at_);
    answer.key = first.id;
    emit(KeyCreated{std::move(first)});
    if (command.second_key) {
        ApiKey second = fresh_key(state_, *command.second_key, answer.account, at_);
        answer.second_key = second.id;
        emit(KeyCreated{std::move(second)});
    }
    return Answer{answer};
}

Reply Engine::Task::operator()(const AmendAccount& command) {
    const AccountRecord* record = state_.accounts.find(command.account);
    if (record == nullptr || command.account == house) return refuse(ErrorCode::not_found);
    if (command.name && (command.name->empty() || command.name->size() > limits::name_bytes_max))
        return invalid("/name", "Between 1 and 128 bytes.");
    if (command.profile && command.profile->size() > limits::profile_bytes_max)
        return invalid("/profile", "Too large.");
    const Account& account = record->account;
    // By its name an admin is known to those who opened it: two names could be one person's.
    if (account.kind == AccountKind::admin && command.name && *command.name != account.name)
        return refuse(ErrorCode::forbidden, "An admin keeps the name it was opened with.");
    emit(AccountAmended{account.id, command.name.value_or(account.name),
                        command.profile.value_or(account.profile),
                        command.payout_address.value_or(account.payout_address), account.frozen});
    return Answer{Done{}};
}

Reply Engine::Task::operator()(const CreateKey& command) {
    const AccountRecord* record = state_.accounts.find(command.key.account);
    if (record == nullptr || record->account.id == house) return refuse(ErrorCode::not_found);
    if (auto error = refused(state_, command.key, record->account.kind, at_)) return *error;
    const std::vector<KeyId> ending = live_of(state_, record->account.id, command.replaces);
    if (record->live_keys >= limits::keys_per_account_max + ending.size())
        return refuse(ErrorCode::limit_reached, "The account has as many keys as it may have.");
    ApiKey key = fresh_key(state_, command.key, record->account.id, at_);
    key.node = NodeId{};
    const KeyAnswer answer{key.id};
    revoke(ending);
    emit(KeyCreated{std::move(key)});
    if (!command.sign_in.empty() && operates(record->account.kind))
        audit("sign_in", record->account.id.text(), "", answer.key.text(), command.sign_in);
    return Answer{answer};
}

Reply Engine::Task::operator()(const AmendKey& command) {
    const KeyRecord* record = state_.keys.find(command.key);
    if (record == nullptr || record->key.account != command.account)
        return refuse(ErrorCode::not_found);
    if (record->key.revoked) return refuse(ErrorCode::wrong_state, "The key is revoked.");
    // The market itself, which names no key, renews one that is used.
    if (actor_.key && command.expires_at && is_session(record->key))
        return refuse(ErrorCode::wrong_state, "A session ends by itself.");
    KeyAmended amended = amendment_of(record->key);
    if (command.name) amended.name = *command.name;
    if (command.cap_total) amended.cap_total = *command.cap_total;
    if (command.cap_day) amended.cap_day = *command.cap_day;
    if (command.expires_at) amended.expires_at = *command.expires_at;
    if (amended.cap_total.value < 0 || amended.cap_day.value < 0)
        return invalid("/caps", "A cap is not negative.");
    if (amended.name.size() > limits::name_bytes_max) return invalid("/name", "At most 128 bytes.");
    const Nano cap_total = amended.cap_total, cap_day = amended.cap_day;
    emit(std::move(amended));
    if (const KeyId purse = record->key.purse; purse && (command.cap_total || command.cap_day)) {
        KeyAmended shared = amendment_of(state_.keys.find(purse)->key);
        if (command.cap_total) shared.cap_total = cap_total;
        if (command.cap_day) shared.cap_day = cap_day;
        emit(std::move(shared));
    }
    freed_.funded.push_back(command.account);
    return Answer{KeyAnswer{command.key}};
}

Reply Engine::Task::operator()(const RotateKey& command) {
    const KeyRecord* record = state_.keys.find(command.key);
    if (record == nullptr || record->key.account != command.account)
        return refuse(ErrorCode::not_found);
    const ApiKey& old = record->key;
    if (old.revoked || (old.expires_at.us != 0 && old.expires_at <= at_))
        return refuse(ErrorCode::wrong_state, "The key is no longer valid.");
    // What a session makes would outlive it, and could set another sign-in.
    const KeyRecord* caller = state_.keys.find(actor_.key);
    const bool by_session = caller != nullptr && is_session(caller->key);
    if (is_session(old) || (by_session && (old.scopes & (scope_manage | scope_admin)) != 0))
        return refuse(ErrorCode::forbidden, "A key that manages is rotated with such a key.");
    if (command.overlap.us < 0 || command.overlap > days(30))
        return invalid("/overlap_seconds", "At most 30 days.");
    if (state_.key_by_secret(command.secret_hash) != nullptr)
        return refuse(ErrorCode::already_exists, "This secret is in use.");
    if (state_.accounts.find(command.account)->live_keys >= limits::keys_per_account_max)
        return refuse(ErrorCode::limit_reached, "The account has as many keys as it may have.");
    ApiKey next = fresh_key(state_, old, old.account, at_);
    next.purse = old.purse ? old.purse : old.id;  // what was spent counts on
    next.secret_hash = command.secret_hash;
    next.shown = command.shown;
    KeyAmended ending = amendment_of(old);
    const Instant end = at_ + command.overlap;
    if (ending.expires_at.us == 0 || ending.expires_at > end) ending.expires_at = end;
    const KeyAnswer answer{next.id};
    emit(KeyCreated{std::move(next)});
    emit(std::move(ending));
    return Answer{answer};
}

Reply Engine::Task::operator()(const RevokeKey& command) {
    const KeyRecord* record = state_.keys.find(command.key);
    if (record == nullptr || record->key.account != command.account)
        return refuse(ErrorCode::not_found);
    if (record->key.revoked) return Answer{Done{}};
    KeyAmended amended = amendment_of(record->key);
    amended.revoked = true;
    emit(std::move(amended));
    return Answer{Done{}};
}

Reply Engine::Task::operator()(const NoteLogin& command) {
    const AccountRecord* record = state_.accounts.find(command.account);
    if (record == nullptr || record->account.id == house) return refuse(ErrorCode::not_found);
    revoke(live_of(state_, command.account, command.revokes));
    if (operates(record->account.kind))
        audit(command.action, command.account.text(), "", "", command.note);
    return Answer{Done{}};
}

void Engine::Task::revoke(std::span<const KeyId> keys) {
    for (const KeyId id : keys) {
        KeyAmended amended = amendment_of(state_.keys.find(id)->key);
        amended.revoked = true;
        emit(std::move(amended));
    }
}

Reply Engine::Task::operator()(const PutWebhook& command) {
    Webhook webhook = command.webhook;
    const AccountRecord* record = state_.accounts.find(webhook.account);
    if (record == nullptr) return refuse(ErrorCode::not_found);
    if (webhook.id) {
        const auto found = state_.webhooks.find(webhook.id);
        if (found == state_.webhooks.end() || found->second.account != webhook.account)
            return refuse(ErrorCode::not_found);
    } else {
        if (record->webhooks >= limits::webhooks_per_account_max)
            return refuse(ErrorCode::limit_reached,
                          "The account has as many webhooks as it may have.");
        webhook.id = WebhookId{state_.counters.webhook};
    }
    const WebhookAnswer answer{webhook.id};
    emit(WebhookPut{std::move(webhook)});
    return Answer{answer};
}

Reply Engine::Task::operator()(const RemoveWebhook& command) {
    const auto found = state_.webhooks.find(command.webhook);
    if (found == state_.webhooks.end() || found->second.account != command.account)
        return refuse(ErrorCode::not_found);
    emit(WebhookRemoved{command.webhook});
    return Answer{Done{}};
}

}  // namespace cocoon::matching
