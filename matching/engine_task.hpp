// One command at work: the state, who asks, when, and what has happened so far. Split over
// engine_*.cpp by noun. Internal to the engine.
#pragma once

#include "core/limits.hpp"
#include "matching/engine.hpp"
#include "matching/search.hpp"

namespace cocoon::matching {

class Engine::Task {
public:
    // Looks at up to `allowance` resting requests.
    Task(Engine& engine, const Actor& actor, Instant at, Happened& happened, std::size_t allowance)
        : engine_{engine},
          state_{engine.state_},
          rules_{engine.rules_},
          actor_{actor},
          at_{at},
          happened_{happened},
          freed_{engine.freed_},
          allowance_{allowance} {}

    // engine_accounts.cpp
    Reply operator()(const OpenAccount&);
    Reply operator()(const AmendAccount&);
    Reply operator()(const CreateKey&);
    Reply operator()(const AmendKey&);
    Reply operator()(const RotateKey&);
    Reply operator()(const RevokeKey&);
    Reply operator()(const NoteLogin&);
    Reply operator()(const PutWebhook&);
    Reply operator()(const RemoveWebhook&);
    // engine_nodes.cpp
    Reply operator()(const IssueEnrolment&);
    Reply operator()(const EnrolNode&);
    Reply operator()(const SubmitVerdict&);
    Reply operator()(const DoubtEvidence&);
    Reply operator()(const SetNodePresence&);
    Reply operator()(const DrainNode&);
    Reply operator()(const RetireNode&);
    Reply operator()(const SuspendNode&);
    // engine_trust.cpp
    Reply operator()(const SubmitMeasurement&);
    Reply operator()(const DecideMeasurement&);
    Reply operator()(const DenyIdentity&);
    Reply operator()(const LiftDenial&);
    Reply operator()(const SetTrustRule&);
    // engine_offers.cpp
    Reply operator()(const PlaceOffer&);
    Reply operator()(const AmendOffer&);
    Reply operator()(const CancelOffer&);
    Reply operator()(const PauseMarket&);
    // engine_requests.cpp
    Reply operator()(const PlaceRequest&);
    Reply operator()(const PlaceRequests&);
    Reply operator()(const AmendRequest&);
    Reply operator()(const CancelRequest&);
    Reply operator()(const Explain&);
    Reply operator()(const WhatIf&);
    // engine_jobs.cpp
    Reply operator()(const StartJob&);
    Reply operator()(const CompleteJob&);
    Reply operator()(const FailJob&);
    Reply operator()(const CaptureUsage&);
    Reply operator()(const RenewJob&);
    Reply operator()(const CancelJob&);
    Reply operator()(const CloseSession&);
    // engine_money.cpp
    Reply operator()(const CreditDeposit&);
    Reply operator()(const CreditHeldDeposit&);
    Reply operator()(const RequestPayout&);
    Reply operator()(const AdvancePayouts&);
    Reply operator()(const ApprovePayout&);
    Reply operator()(const RejectPayout&);
    Reply operator()(const PausePayouts&);
    Reply operator()(const FreezeAccount&);
    Reply operator()(const SetFee&);
    // (engine_jobs.cpp)
    Reply operator()(const Tick&);

    // Gives what the command freed (slots, money) to resting requests until nothing fits any more
    // or the allowance is used up. Then match_postponed(), of Ticks, goes on.
    void match_resting();
    void match_postponed();

private:
    void revoke(std::span<const KeyId> keys);  // engine_accounts.cpp

    // ---- recording
    // Events are large: they are built where they stay, in `happened_`. The draft of a command that
    // is then refused is taken back by drop(); only the newest may be a draft.
    template <class T>
    T& draft() {
        return std::get<T>(happened_.events.emplace_back(std::in_place_type<T>));
    }
    void drop() { happened_.events.pop_back(); }
    void emit_draft();
    template <class T>
    void emit(T&& event) {
        happened_.events.emplace_back(std::in_place_type<std::remove_cvref_t<T>>,
                                      std::forward<T>(event));
        emit_draft();
    }
    void audit(std::string action, std::string target, std::string before, std::string after,
               std::string note);

    // ---- matching (engine_requests.cpp)
    std::optional<Error> place(const PlaceRequest& command, RequestAnswer& answer);
    std::optional<Error> prepare(const PlaceRequest& command, Request& request) const;
    Error unaffordable(const Request& request) const;
    void reserve(const Request& request, const Choice& choice);
    // Matches a resting request if it can be; marks it when only money is missing.
    bool try_match(RequestRecord& record);
    void serve_resting(OfferRecord& offer);
    void walk(OfferRecord& offer, BidLink* bid, Book::Turn turn);
    bool may_look();  // at one more resting request
    bool retry_starved(AccountId account);
    bool consider(RequestRecord& record, const BidLink& bid, const OfferRecord& offer);
    void fill(RequestAnswer& answer, const RequestRecord& record) const;
    Reply reply_with(const RequestRecord& record) const;

    // ---- money (engine_money.cpp)
    Reply credit(const Account& account, Nano amount, const std::string& reference);

    // ---- jobs (engine_jobs.cpp)
    Result<JobRecord*> open_job(JobId id, std::uint64_t fencing_token,
                                const std::string& receipt_hash = {}) const;
    void end_job(JobRecord& record, JobEnded ended);
    void slots_came(const OfferRecord& offer, std::uint32_t slots);
    void reputation_rose(NodeRecord& node, std::uint32_t before);
    void end_request(RequestId id, RequestState state, std::string reason);
    // After a job is lost: the request waits again without that node, is matched at once if
    // possible, or ends.
    void rest_again(RequestId id, NodeId lost, std::string reason);
    void cancel_job(JobRecord& record);

    // ---- money (engine_money.cpp)
    // One that waits for approval, if the actor may decide on it.
    Result<const Payout*> payout_to_decide(PayoutId id) const;

    // ---- trust (engine_trust.cpp)
    // Looks anew at what the nodes show; where that changes what one is good for, says so, and
    // takes it out or lets it back in.
    void judge_standing(const std::vector<NodeRecord*>& nodes);
    template <class Of>
    std::vector<NodeRecord*> nodes_that(Of&& of);
    // Jobs of the node that have not begun go to others, through no fault of its own.
    void give_up_reserved(NodeRecord& node, const std::string& reason);

    // ---- ticks (engine_jobs.cpp)
    void due(const Timer& timer);
    void due_job(const Timer& timer);
    void due_node(const Timer& timer);
    void due_enrolments();
    void due_evidence(const Timer& timer);  // engine_nodes.cpp

    const Platform* held_by_another(const SubmitVerdict& command) const;
    bool is_operator() const { return !actor_.account || (actor_.scopes & scope_admin) != 0; }
    void offers_of(NodeRecord& node);  // all of them may match again

    Engine& engine_;
    State& state_;
    const Rules& rules_;
    const Actor& actor_;
    const Instant at_;
    Happened& happened_;
    Freed& freed_;
    std::size_t allowance_;
};

inline bool open(JobState state) {
    return state == JobState::reserved || state == JobState::running;
}
inline bool listed(OfferState state) {
    return state == OfferState::active || state == OfferState::paused;
}
inline bool open(RequestState state) {
    return state == RequestState::resting || state == RequestState::matched;
}

inline Error invalid(std::string path, std::string message) {
    Error error = refuse(ErrorCode::invalid_body);
    error.fields.push_back({std::move(path), std::move(message)});
    return error;
}

}  // namespace cocoon::matching
