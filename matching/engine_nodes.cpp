// Nodes: enrolment, evidence, presence, draining, suspension.
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
    if (record->enrolments + record->nodes.size() >= limits::nodes_per_provider_max)
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

Reply Engine::Task::operator()(const SubmitVerdict& command) {
    NodeRecord* record = state_.nodes.find(command.node);
    if (record == nullptr) return refuse(ErrorCode::not_found);
    if (command.valid_until <= at_)
        return refuse(ErrorCode::verdict_refused, "The evidence has already ended.");
    emit(NodeAttested{command.node, command.tier, command.measurement, command.platform,
                      command.keyset_digest, command.keyset_document, command.evidence_hash,
                      command.evidence, command.verdict, command.valid_until});
    offers_of(*record);
    return Answer{Done{}};
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
