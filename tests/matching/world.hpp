// A small market in memory for tests: a developer with money, a provider with one node, and a
// writer over a journal that can fail. One thread; the clock stands still unless a test moves it.
#pragma once

#include <memory>

#include "matching/writer.hpp"
#include "tests/matching/sim_journal.hpp"

namespace cocoon::matching {

inline constexpr Instant monday{1'795'000'000'000'000};

struct World {
    SimJournal journal;
    Rules rules;
    std::unique_ptr<Writer> owned;
    AccountId developer, provider;
    KeyId work, offers, manage;
    NodeId node;
    KeyId node_key;
    std::uint16_t digests = 0;
    Instant now = monday;

    Digest digest() {
        Digest made{};
        made[0] = static_cast<std::uint8_t>(++digests);
        made[31] = static_cast<std::uint8_t>(digests >> 8);
        return made;
    }
    Answered ask(Command command, std::string key = {}, std::uint8_t body = 0,
                 KeyId actor_key = {}) {
        Envelope envelope;
        envelope.actor = key.empty() && !actor_key ? AccountId{} : developer;
        envelope.key = actor_key;
        envelope.idempotency_key = std::move(key);
        envelope.input_hash[0] = body;
        envelope.command = std::move(command);
        return owned->step(std::vector<Envelope>{envelope}, now).at(0);
    }
    // Ticks as long as one is due; how many.
    int tick() {
        int ticks = 0;
        for (; owned->next_due() && *owned->next_due() <= now; ++ticks) ask(Tick{});
        return ticks;
    }
    template <class T>
    T must(Command command) {
        return std::get<T>(ask(std::move(command)).reply.value());
    }

    OpenAccount account(AccountKind kind, ScopeSet second) {
        OpenAccount command;
        command.kind = kind;
        command.name = "someone";
        command.deposit_memo = "memo" + std::to_string(digests);
        command.first_key.secret_hash = digest();
        command.first_key.scopes = scope_manage | scope_read;
        command.second_key.emplace();
        command.second_key->secret_hash = digest();
        command.second_key->scopes = second;
        return command;
    }
    explicit World(Rules with = {}) : rules{with} {
        owned = std::make_unique<Writer>(journal, rules);
        const OpenAccount buyer = account(AccountKind::developer, scope_work);
        const auto first = must<AccountAnswer>(buyer);
        developer = first.account, manage = first.key, work = first.second_key;
        const auto second = must<AccountAnswer>(account(AccountKind::provider, scope_offer));
        provider = second.account, offers = second.second_key;
        must<DepositAnswer>(CreditDeposit{buyer.deposit_memo, Nano{1'000'000}, "tx"});
        node = enrol();
    }
    NodeId enrol() {
        const Digest token = digest();
        must<Done>(IssueEnrolment{provider, token, hours(1)});
        EnrolNode command;
        command.token_hash = token;
        command.node.name = "node";
        command.node.region = "eu";
        command.credential.secret_hash = digest();
        const auto answer = must<NodeAnswer>(command);
        node_key = answer.key;
        SubmitVerdict verdict;
        verdict.node = answer.node;
        verdict.tier = Tier::tdx;
        verdict.keyset_digest = "sha256:1";
        verdict.keyset_document = "{\"keys\":1}";
        verdict.valid_until = monday + days(7);
        must<VerdictAnswer>(verdict);
        must<Done>(SetNodePresence{answer.node, true});
        return answer.node;
    }
    PlaceOffer offer(std::int64_t price = 100) {
        PlaceOffer command;
        command.offer.provider = provider;
        command.offer.node = node;
        command.offer.price.prompt = command.offer.price.completion = Nano{price};
        command.market = "inference:m";
        return command;
    }
    PlaceRequest request() {
        PlaceRequest command;
        command.request.account = developer;
        command.request.key = work;
        command.request.quantity = {1'000'000, 0, 1'000'000, 0, 1, 0};
        command.alternatives = {{"inference:m", ""}};
        return command;
    }
};

inline ErrorCode code_of(const Answered& answered) { return answered.reply.error().code; }

}  // namespace cocoon::matching
