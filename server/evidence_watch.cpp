#include "server/evidence_watch.hpp"

#include <chrono>

#include "api/wire_supply.hpp"
#include "core/log.hpp"
#include "sealing/statement.hpp"

namespace cocoon::server {
namespace {

constexpr std::uint32_t page_rows = 200;
constexpr std::size_t reason_bytes_max = 400;

std::string reason_of(const attestation::Verdict& verdict) {
    const attestation::Reason* found = verdict.first_failure();
    if (found == nullptr) return "the evidence is refuted";
    return (found->code + ": " + found->text).substr(0, reason_bytes_max);
}

}  // namespace

EvidenceWatch::EvidenceWatch(EvidenceWatchDoors doors, EvidenceWatchOptions options)
    : doors_{std::move(doors)}, options_{options} {}

EvidenceWatch::~EvidenceWatch() { stop(); }

void EvidenceWatch::start() {
    thread_ = std::thread{[this] {
        while (true) {
            try {
                round();
            } catch (const std::exception& failure) {
                log::warning("evidence_watch_failed", {{"why", failure.what()}});
            }
            std::unique_lock lock{mutex_};
            if (wake_.wait_for(lock, std::chrono::microseconds{options_.round_interval.us},
                               [this] { return stopping_; }))
                return;
        }
    }};
}

void EvidenceWatch::stop() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

bool EvidenceWatch::stopping() {
    const std::lock_guard lock{mutex_};
    return stopping_;
}

void EvidenceWatch::round() {
    const Instant now = doors_.clock.now();
    for (const matching::Node& node : nodes_due(now)) {
        if (stopping()) return;
        check(node);
    }
    std::erase_if(checked_, [&](const auto& entry) {
        return entry.second.at + options_.check_interval * 2 < now;
    });
}

// Nodes that are there and rely on evidence which was not looked at lately.
std::vector<matching::Node> EvidenceWatch::nodes_due(Instant now) {
    std::vector<matching::Node> due;
    db::PageBefore page{0, page_rows};
    for (bool more = true; more && !stopping();) {
        db::Reader reader{doors_.pool};
        auto nodes = reader.nodes({}, page);
        more = nodes.more && !nodes.rows.empty();
        if (more) page.before = nodes.rows.back().id.value;
        for (matching::Node& node : nodes.rows) {
            const auto found = checked_.find(node.id);
            const bool lately = found != checked_.end() &&
                                found->second.evidence_hash == node.evidence_hash &&
                                now < found->second.at + options_.check_interval;
            if (!lately && node.connected && node.tier != matching::Tier::simulated &&
                node.evidence_valid_until > now)
                due.push_back(std::move(node));
        }
    }
    return due;
}

void EvidenceWatch::check(const matching::Node& node) {
    std::optional<db::EvidenceRow> row;
    {
        db::Reader reader{doors_.pool};
        row = reader.evidence(node.id, node.evidence_hash);
    }
    if (!row) return;
    const auto nonce = api::nonce_in(row->verdict);
    const auto expected = sealing::report_data_for(row->keyset_digest, nonce);
    if (!nonce || !expected) return;
    const api::CompletedEvidence completed =
        doors_.refresh(node.id, {row->evidence.begin(), row->evidence.end()});
    const attestation::Policy policy = doors_.policy();
    const auto verdict =
        attestation::verify({std::string{matching::tier_name(row->tier)}, completed.bytes},
                            *expected, policy, doors_.clock.now());
    if (!verdict) {
        // So full that no newer collateral fits beside it: what cannot be judged does not stand.
        const auto reply = doors_.ask(
            matching::DoubtEvidence{node.id, node.evidence_hash, {}, verdict.error().detail});
        if (reply && *reply) doors_.metrics.evidence_doubts.add();
        return;
    }
    doors_.metrics.evidence_checks.add();
    doors_.metrics.evidence.note(*verdict);
    checked_[node.id] = {node.evidence_hash, doors_.clock.now()};
    if (verdict->proven()) return doors_.seen(verdict->seen);
    // Collateral that ended, or is older than was seen, and cannot be had now: the evidence was
    // judged with what held then, and its own end is near enough. No vendor that is down excuses
    // what another one has revoked.
    const bool open = completed.vendor_down && attestation::only_old_collateral(*verdict);
    if (verdict->status == attestation::Status::unknown || open)
        return doors_.metrics.evidence_unknown.add();
    doubt(node, *verdict, policy);
}

void EvidenceWatch::doubt(const matching::Node& node, const attestation::Verdict& verdict,
                          const attestation::Policy& policy) {
    const bool outdated = attestation::only_out_of_date(verdict);
    // All that is wrong is the machine's age: the collateral that says so is genuine.
    if (outdated) doors_.seen(verdict.seen);
    const Duration grace = outdated ? policy.outdated_grace : Duration{};
    const std::string reason = reason_of(verdict);
    const auto reply =
        doors_.ask(matching::DoubtEvidence{node.id, node.evidence_hash, grace, reason});
    // Attested anew meanwhile: then there is nothing to doubt. Else the next round comes back.
    const bool settled = reply && (*reply || !describe(reply->error().code).retryable);
    if (!settled) {
        checked_.erase(node.id);
        return;
    }
    doors_.metrics.evidence_doubts.add();
    log::warning("evidence_doubted",
                 {{"node", node.id.text()}, {"grace_seconds", grace.seconds()}, {"why", reason}});
}

}  // namespace cocoon::server
