// Trust beyond a proven verdict: the register of measurements, the deny-list, the operator's rule,
// and what the three say of each node.
#include "matching/engine_task.hpp"

namespace cocoon::matching {
namespace {

bool holds(const List<std::string>& list, const std::string& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
}

std::optional<Error> bad_registers(const Registers& registers) {
    if (registers.empty() || registers.size() > limits::registers_max)
        return invalid("/registers", "Between 1 and 8.");
    for (std::size_t i = 0; i < registers.size(); ++i) {
        if (registers[i].empty() || registers[i].size() > limits::identity_bytes_max)
            return invalid("/registers", "Each is at most 160 bytes.");
        if (i > 0 && registers[i] <= registers[i - 1])
            return invalid("/registers", "Ascending, each once.");
    }
    return std::nullopt;
}

std::optional<Error> bad_measurement(const Measurement& measurement) {
    if (measurement.name.empty() || measurement.name.size() > limits::name_bytes_max)
        return invalid("/name", "Between 1 and 128 bytes.");
    if (measurement.version.empty() || measurement.version.size() > limits::name_bytes_max)
        return invalid("/version", "Between 1 and 128 bytes.");
    if (!measurement.source.starts_with("https://") ||
        measurement.source.size() > limits::source_bytes_max)
        return invalid("/source", "An https link of at most 512 bytes.");
    if (measurement.notes.size() > limits::notes_bytes_max)
        return invalid("/notes", "At most 4096 bytes.");
    return bad_registers(measurement.registers);
}

// What is said of a node, without its evidence: that is judged elsewhere.
NodeStanding standing_of(const State& state, const Node& node) {
    NodeStanding found{node.id, {}, Standing::good, {}};
    const Measurement* measurement = state.measurement_for(node.registers);
    if (measurement != nullptr) found.measurement = measurement->id;
    for (const std::string& identity : node.identities)
        if (const auto denial = state.denials.find(identity); denial != state.denials.end()) {
            found.standing = Standing::platform_denied;
            found.reason = denial->second.identity + ": " + denial->second.reason;
            return found;
        }
    if (measurement != nullptr && measurement->state == MeasurementState::revoked) {
        found.standing = Standing::measurement_revoked;
        found.reason = measurement->reason;
        return found;
    }
    const bool approved =
        measurement != nullptr && measurement->state == MeasurementState::approved;
    if (!approved && (state.trust_rule.approved_tiers & tier_bit(node.tier)) != 0)
        found.standing = Standing::measurement_pending;
    return found;
}

}  // namespace

void Engine::Task::judge_standing(const std::vector<NodeRecord*>& nodes) {
    std::vector<NodeRecord*> out;
    for (NodeRecord* record : nodes) {
        const Node& node = record->node;
        if (node.evidence_valid_until.us == 0) continue;  // shows nothing yet
        NodeStanding found = standing_of(state_, node);
        if (found.standing == node.standing && found.measurement == node.measurement_id &&
            found.reason == node.standing_reason)
            continue;
        const bool falls = found.standing > Standing::measurement_pending;
        emit(std::move(found));
        if (falls)
            out.push_back(record);
        else
            offers_of(*record);
    }
    // Only now, so that no job moves to a node that falls with its own.
    for (NodeRecord* record : out)
        give_up_reserved(*record, std::string{name_of(record->node.standing)});
}

template <class Of>
std::vector<NodeRecord*> Engine::Task::nodes_that(Of&& of) {
    std::vector<NodeRecord*> found;
    state_.nodes.for_each([&](NodeRecord& record) {
        if (of(record.node)) found.push_back(&record);
    });
    return found;
}

void Engine::Task::give_up_reserved(NodeRecord& node, const std::string& reason) {
    std::vector<JobId> reserved;
    for (const JobRecord* record : node.jobs)
        if (record->job.state == JobState::reserved) reserved.push_back(record->job.id);
    for (const JobId id : reserved) {
        JobRecord& record = *state_.jobs.find(id);
        const RequestId request = record.job.request;
        JobEnded ended;
        ended.job = id;
        ended.state = JobState::failed;
        ended.reason = reason;
        end_job(record, std::move(ended));
        rest_again(request, NodeId{}, reason);
    }
}

// ---- The register -----------------------------------------------------------------------------

Reply Engine::Task::operator()(const SubmitMeasurement& command) {
    const AccountRecord* account = state_.accounts.find(command.measurement.submitter);
    if (account == nullptr || account->account.id == house) return refuse(ErrorCode::not_found);
    if (account->account.frozen) return refuse(ErrorCode::account_frozen);
    if (auto error = bad_measurement(command.measurement)) return *error;
    if (account->measurements >= limits::measurements_per_account_max)
        return refuse(ErrorCode::limit_reached,
                      "The account has submitted as many measurements as it may.");
    if (state_.measurements.size() >= limits::measurements_max)
        return refuse(ErrorCode::limit_reached, "The register is full.");
    // What was revoked may be submitted anew; it stays revoked until the new entry is approved.
    for (const MeasurementId id : state_.measurements_with(command.measurement.registers)) {
        const Measurement& known = state_.measurements.find(id)->second;
        if (known.state != MeasurementState::revoked)
            return refuse(ErrorCode::already_exists, "These registers are " + id.text() + ", " +
                                                         std::string{name_of(known.state)} + ".");
    }
    Measurement measurement = command.measurement;
    measurement.id = MeasurementId{state_.counters.measurement};
    measurement.state = MeasurementState::pending;
    measurement.reason.clear();
    measurement.submitted_at = at_;
    measurement.decided_at = Instant{};
    Reply reply{Answer{MeasurementAnswer{measurement}}};
    const std::string anchor = measurement.registers.front();
    emit(MeasurementSubmitted{std::move(measurement)});
    judge_standing(nodes_that([&](const Node& node) { return holds(node.registers, anchor); }));
    return reply;
}

Reply Engine::Task::operator()(const DecideMeasurement& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    const auto found = state_.measurements.find(command.measurement);
    if (found == state_.measurements.end()) return refuse(ErrorCode::not_found);
    if (command.state == MeasurementState::pending)
        return invalid("/state", "Approve it or revoke it.");
    if (command.reason.empty()) return invalid("/reason", "Say why.");
    const Measurement& measurement = found->second;
    const MeasurementState before = measurement.state;
    if (before == command.state) return Answer{MeasurementAnswer{measurement}};
    emit(MeasurementDecided{command.measurement, command.state, command.reason});
    const bool approved = command.state == MeasurementState::approved;
    audit(approved ? "approve_measurement" : "revoke_measurement", command.measurement.text(),
          std::string{name_of(before)}, std::string{name_of(command.state)}, command.reason);
    // Every machine that an entry speaks for shows each of its registers.
    const std::string& anchor = measurement.registers.front();
    judge_standing(nodes_that([&](const Node& node) { return holds(node.registers, anchor); }));
    return Answer{MeasurementAnswer{measurement}};
}

// ---- The deny-list and the rule ---------------------------------------------------------------

Reply Engine::Task::operator()(const DenyIdentity& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    if (command.identity.empty() || command.identity.size() > limits::identity_bytes_max)
        return invalid("/identity", "Between 1 and 160 bytes.");
    if (command.reason.empty()) return invalid("/reason", "Say why.");
    if (const auto known = state_.denials.find(command.identity); known != state_.denials.end())
        return refuse(ErrorCode::already_exists,
                      "It is denied as " + known->second.id.text() + ".");
    if (state_.denials.size() >= limits::denials_max)
        return refuse(ErrorCode::limit_reached, "The list is full.");
    const Denial denial{DenialId{state_.counters.denial}, command.identity, command.reason, at_};
    emit(IdentityDenied{denial});
    audit("deny_identity", command.identity, "allowed", "denied", command.reason);
    judge_standing(
        nodes_that([&](const Node& node) { return holds(node.identities, command.identity); }));
    return Answer{DenialAnswer{denial}};
}

Reply Engine::Task::operator()(const LiftDenial& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    if (command.reason.empty()) return invalid("/reason", "Say why.");
    const auto found =
        std::find_if(state_.denials.begin(), state_.denials.end(),
                     [&](const auto& denial) { return denial.second.id == command.denial; });
    if (found == state_.denials.end()) return refuse(ErrorCode::not_found);
    const std::string identity = found->first;
    emit(DenialLifted{identity});
    audit("lift_denial", identity, "denied", "allowed", command.reason);
    judge_standing(nodes_that([&](const Node& node) { return holds(node.identities, identity); }));
    return Answer{Done{}};
}

Reply Engine::Task::operator()(const SetTrustRule& command) {
    if (!is_operator()) return refuse(ErrorCode::forbidden);
    if (command.rule.probation_jobs > limits::probation_jobs_max)
        return invalid("/probation_jobs", "At most 10000.");
    if (command.rule.approved_tiers >= 1u << tier_count)
        return invalid("/approved_tiers", "There is no such tier.");
    if (command.rule == state_.trust_rule) return Answer{Done{}};
    const auto told = [](const TrustRule& rule) {
        std::string tiers;
        for (std::size_t i = 0; i < tier_count; ++i)
            if ((rule.approved_tiers >> i & 1) != 0)
                tiers += (tiers.empty() ? "" : ",") + std::string{tier_name(static_cast<Tier>(i))};
        return "approved " + (tiers.empty() ? "none" : tiers) + ", probation " +
               std::to_string(rule.probation_jobs);
    };
    const std::string before = told(state_.trust_rule);
    emit(TrustRuleChanged{command.rule});
    audit("set_trust_rule", "trust", before, told(command.rule), command.note);
    judge_standing(nodes_that([](const Node&) { return true; }));
    return Answer{Done{}};
}

}  // namespace cocoon::matching
