// Nodes: enrolment, evidence, presence, draining, suspension, retirement.
#include "matching/engine_task.hpp"

namespace cocoon::matching {

Reply Engine::Task::operator()(const IssueEnrolment& command) {
    const AccountRecord* record = state_.accounts.find(command.provider);
    if (record == nullptr) return refuse(ErrorCode::not_found);
    const Account& account = record->account;
    if (account.kind != AccountKind::provider)
        return refuse(ErrorCode::forbidden, "Only providers enrol nodes.");
    if (account.frozen) return refuse(ErrorCode::account_frozen);
    if (command.lifetime.us <= 0 || command.lifetime > days(30))
        return invalid("/lifetime", "At most 30 days.");
    if (state_.enrolments.contains(command.token_hash)) return refuse(ErrorCode::already_exists);
    const auto working = std::count_if(record->nodes.begin(), record->nodes.end(),
                                       [](const NodeRecord* node) { return !node->node.retired; });
    if (record->enrolments + static_cast<std::size_t>(working) >= limits::nodes_per_provider_max)
        return refuse(ErrorCode::limit_reached,
                      "The account has as many nodes and open tokens as it may have.");
    emit(EnrolmentIssued{{command.token_hash, command.provider, at_ + command.lifetime}});
    return Answer{Done{}};
}

Reply Engine::Task::operator()(const EnrolNode& command) {
    const auto found = state_.enrolments.find(command.token_hash);
    if (found == state_.enrolments.end() || found->second.expires_at <= at_)
        return refuse(ErrorCode::not_found, "The enrolment token is unknown, used or expired.");
    const AccountId provider = found->second.provider;
    const AccountRecord& record = *state_.accounts.find(provider);
    if (record.account.frozen) return refuse(ErrorCode::account_frozen);
    if (command.node.name.empty() || command.node.name.size() > limits::name_bytes_max)
        return invalid("/name", "Between 1 and 128 bytes.");
    if (state_.key_by_secret(command.credential.secret_hash) != nullptr)
        return refuse(ErrorCode::already_exists, "This secret is in use.");
    Node node;
    node.id = NodeId{state_.counters.node};
    node.provider = provider;
    node.name = command.node.name;
    node.region = command.node.region;
    node.country = command.node.country;
    node.gpu_model = command.node.gpu_model;
    node.gpu_count = command.node.gpu_count;
    node.hardware = command.node.hardware;
    node.enrolled_at = at_;
    node.reliability_permille = reliability_start_permille;
    ApiKey key = command.credential;
    key.id = KeyId{state_.counters.key};
    key.account = provider;
    key.node = node.id;
    key.scopes = scope_node;
    key.created_at = at_;
    const NodeAnswer answer{node.id, key.id};
    emit(NodeEnrolled{std::move(node), command.token_hash});
    emit(EnrolmentEnded{command.token_hash});
    emit(KeyCreated{std::move(key)});
    return Answer{answer};
}

// The CPU or GPU that another node shows in evidence that still holds, or nothing.
const Platform* Engine::Task::held_by_another(const SubmitVerdict& command) const {
    for (const std::string& identity : command.identities) {
        const auto found = state_.platforms.find(identity);
        if (found == state_.platforms.end() || found->second.node == command.node) continue;
        const Node& holder = state_.nodes.find(found->second.node)->node;
        // A node that shows other hardware by now has let go of what it showed before.
        const bool shows = std::find(holder.identities.begin(), holder.identities.end(),
                                     identity) != holder.identities.end();
        if (shows && !holder.retired && holder.evidence_valid_until > at_) return &found->second;
    }
    return nullptr;
}

Reply Engine::Task::operator()(const SubmitVerdict& command) {
    NodeRecord* record = state_.nodes.find(command.node);
    if (record == nullptr) return refuse(ErrorCode::not_found);
    if (record->node.retired) return refuse(ErrorCode::wrong_state, "The node is retired.");
    if (command.valid_until <= at_)
        return refuse(ErrorCode::verdict_refused, "The evidence has already ended.");
    if (command.registers.size() > limits::registers_max ||
        command.identities.size() > limits::identities_max ||
        !std::is_sorted(command.registers.begin(), command.registers.end()))
        return refuse(ErrorCode::verdict_refused,
                      "The evidence shows more registers or devices than a node may have.");
    const Node& enrolled = record->node;
    const bool with_gpus = command.tier == Tier::tdx_gpu_cc || command.tier == Tier::snp_gpu_cc;
    if (with_gpus && command.gpus < enrolled.gpu_count)
        return Error{ErrorCode::verdict_refused,
                     "The evidence shows fewer GPUs than the node has.",
                     {{"/evidence", "gpu_count: " + std::to_string(command.gpus) + " of the " +
                                        std::to_string(enrolled.gpu_count) +
                                        " GPUs are shown that the node was enrolled with; show "
                                        "all of them, or enrol it with as many as it has"}}};
    if (const Platform* held = held_by_another(command)) {
        const Node& holder = state_.nodes.find(held->node)->node;
        return refuse(ErrorCode::platform_in_use,
                      held->identity + " is shown by " + holder.id.text() + " until " +
                          holder.evidence_valid_until.text() +
                          ". Retire that node, or wait until its evidence has ended.");
    }
    const bool is_real = (real_tiers & tier_bit(command.tier)) != 0;
    emit(NodeAttested{command.node, command.tier, command.measurement, command.registers,
                      command.identities, command.keyset_digest, command.keyset_document,
                      command.evidence_hash, command.evidence, command.verdict, command.valid_until,
                      is_real ? state_.trust_rule.probation_jobs : 0, command.collateral_until,
                      command.collateral_first});
    judge_standing({record});
    offers_of(*record);
    const Node& node = record->node;
    return Answer{VerdictAnswer{node.standing, node.measurement_id, node.standing_reason,
                                node.probation_jobs_left}};
}

Reply Engine::Task::operator()(const DoubtEvidence& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    NodeRecord* record = state_.nodes.find(command.node);
    if (record == nullptr) return refuse(ErrorCode::not_found);
    const Node& node = record->node;
    if (node.retired || node.evidence_hash != command.evidence_hash ||
        node.evidence_valid_until <= at_)
        return refuse(ErrorCode::wrong_state, "The evidence is not the node's any more.");
    if (command.grace.us <= 0) {
        emit(EvidenceEnded{command.node, command.reason});
        return Answer{Done{}};
    }
    // The grace began with the first doubt.
    if ((node.evidence_notices & notice_doubt) != 0) return Answer{Done{}};
    const Instant ends_at = std::min(node.evidence_valid_until, at_ + command.grace);
    emit(EvidenceDoubted{command.node, ends_at, command.reason});
    return Answer{Done{}};
}

void Engine::Task::due_evidence(const Timer& timer) {
    const NodeRecord* record = state_.nodes.find({timer.id});
    if (record == nullptr) return;
    const Node& node = record->node;
    const Instant due = evidence_due(node);
    if (due.us == 0 || due > at_) return;  // attested anew: it has a later timer
    if (node.evidence_valid_until <= at_) {
        const bool doubted = (node.evidence_notices & notice_doubt) != 0;
        return emit(EvidenceEnded{node.id, doubted ? "out_of_date" : "expired"});
    }
    NoticeSet of_collateral = 0;
    for (const auto& [notice, ahead] : collateral_notices)
        if (node.collateral_until.us != 0 && node.collateral_until - ahead <= at_)
            of_collateral |= notice;
    // Whoever was not told in time is told once, of the nearest.
    const bool news = (of_collateral & ~node.evidence_notices) != 0;
    const bool hour = node.evidence_valid_until - evidence_notice_ahead <= at_ &&
                      (node.evidence_notices & notice_hour) == 0;
    if (hour) emit(EvidenceExpiring{node.id, notice_hour, node.evidence_valid_until, {}});
    if (news)
        emit(
            EvidenceExpiring{node.id, of_collateral, node.collateral_until, node.collateral_first});
}

Reply Engine::Task::operator()(const SetNodePresence& command) {
    NodeRecord* record = state_.nodes.find(command.node);
    if (record == nullptr) return refuse(ErrorCode::not_found);
    if (record->node.connected == command.connected) return Answer{Done{}};
    emit(NodePresence{command.node, command.connected});
    offers_of(*record);
    return Answer{Done{}};
}

Reply Engine::Task::operator()(const DrainNode& command) {
    NodeRecord* record = state_.nodes.find(command.node);
    if (record == nullptr || record->node.provider != command.provider)
        return refuse(ErrorCode::not_found);
    if (record->node.draining == command.draining) return Answer{Done{}};
    emit(NodeDrained{command.node, command.draining});
    offers_of(*record);
    return Answer{Done{}};
}

Reply Engine::Task::operator()(const RetireNode& command) {
    NodeRecord* record = state_.nodes.find(command.node);
    if (record == nullptr || record->node.provider != command.provider)
        return refuse(ErrorCode::not_found);
    if (record->node.retired) return Answer{Done{}};
    emit(NodeRetired{command.node});
    const std::vector<OfferRecord*> offers = record->offers;
    for (const OfferRecord* offer : offers)
        emit(OfferEnded{offer->offer.id, OfferState::cancelled});
    std::vector<KeyAmended> ended;
    state_.keys.for_each([&](const KeyRecord& one) {
        const ApiKey& key = one.key;
        if (key.node == command.node && !key.revoked)
            ended.push_back({key.id, key.name, key.cap_total, key.cap_day, key.expires_at, true});
    });
    for (KeyAmended& key : ended) emit(std::move(key));
    give_up_reserved(*record, "node_retired");
    return Answer{Done{}};
}

Reply Engine::Task::operator()(const SuspendNode& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    NodeRecord* record = state_.nodes.find(command.node);
    if (record == nullptr) return refuse(ErrorCode::not_found);
    if (record->node.suspended == command.suspended) return Answer{Done{}};
    const std::string reason = command.suspended ? command.reason : std::string{};
    emit(NodeSuspended{command.node, command.suspended, reason});
    audit(command.suspended ? "suspend_node" : "restore_node", command.node.text(),
          command.suspended ? "active" : "suspended", command.suspended ? "suspended" : "active",
          command.reason);
    offers_of(*record);
    return Answer{Done{}};
}

}  // namespace cocoon::matching
