#include "server/metrics.hpp"

#include <algorithm>

namespace cocoon::server {
namespace {

std::string decimal_seconds(std::uint64_t us) {
    std::string fraction = std::to_string(us % 1'000'000);
    return std::to_string(us / 1'000'000) + "." + std::string(6 - fraction.size(), '0') + fraction;
}

void head(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
    out.append("# HELP ")
        .append(name)
        .append(" ")
        .append(help)
        .append("\n# TYPE ")
        .append(name)
        .append(" ");
    out.append(type).append("\n");
}

void line(std::string& out, std::string_view name, std::string_view labels,
          std::string_view value) {
    out.append(name);
    if (!labels.empty()) out.append("{").append(labels).append("}");
    out.append(" ").append(value).append("\n");
}

void histogram(std::string& out, std::string_view name, std::string_view help,
               const Histogram& data, bool times) {
    head(out, name, "histogram", help);
    const std::string bucket = std::string{name} + "_bucket";
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < Histogram::bucket_count; ++i) {
        below += data.in_bucket(i);
        const auto bound = static_cast<std::uint64_t>(data.bounds()[i]);
        line(out, bucket, "le=\"" + (times ? decimal_seconds(bound) : std::to_string(bound)) + "\"",
             std::to_string(below));
    }
    // Counted apart from the buckets; a scrape in between must still be monotonic.
    const std::uint64_t count = std::max(data.count(), below);
    line(out, bucket, "le=\"+Inf\"", std::to_string(count));
    line(out, std::string{name} + "_sum", "",
         times ? decimal_seconds(data.sum()) : std::to_string(data.sum()));
    line(out, std::string{name} + "_count", "", std::to_string(count));
}

struct NamedCounter {
    std::string_view name, help;
    Counter Metrics::*member;
};
struct NamedGauge {
    std::string_view name, help;
    Gauge Metrics::*member;
};
struct NamedHistogram {
    std::string_view name, help;
    Histogram Metrics::*member;
    bool times;
};

constexpr NamedCounter counters[] = {
    {"cocoon_http_rate_limited_total", "Requests answered 429", &Metrics::http_rate_limited},
    {"cocoon_http_unauthenticated_total", "Requests with a wrong credential",
     &Metrics::http_unauthenticated},
    {"cocoon_lane_commands_total", "Commands applied", &Metrics::lane_commands},
    {"cocoon_lane_overloaded_total", "Commands refused because the inbox was full",
     &Metrics::lane_refused_overloaded},
    {"cocoon_lane_batches_total", "Batches committed", &Metrics::lane_batches},
    {"cocoon_lane_not_stored_total", "Batches that were not stored", &Metrics::lane_not_stored},
    {"cocoon_lane_in_doubt_total", "Commits whose outcome had to be read back",
     &Metrics::lane_in_doubt},
    {"cocoon_requests_placed_total", "Requests placed", &Metrics::requests_placed},
    {"cocoon_matches_total", "Requests matched", &Metrics::matches},
    {"cocoon_nodes_lost_total", "Matched requests whose node was lost", &Metrics::nodes_lost},
    {"cocoon_deposits_credited_total", "Deposits credited", &Metrics::deposits_credited},
    {"cocoon_payouts_requested_total", "Payouts requested", &Metrics::payouts_requested},
    {"cocoon_captured_nano_total", "nanoTON captured from developers", &Metrics::captured_nano},
    {"cocoon_fees_nano_total", "nanoTON of it that are the market's fee", &Metrics::fees_nano},
    {"cocoon_relay_request_bytes_total", "Sealed request bytes relayed",
     &Metrics::relay_request_bytes},
    {"cocoon_relay_response_bytes_total", "Sealed response bytes relayed",
     &Metrics::relay_response_bytes},
    {"cocoon_relay_response_chunks_total", "Response frames relayed",
     &Metrics::relay_response_chunks},
    {"cocoon_relay_streams_total", "Exchanges opened on a node", &Metrics::relay_streams_opened},
    {"cocoon_relay_receipts_refused_total", "Receipts that did not verify",
     &Metrics::relay_receipts_refused},
    {"cocoon_relay_receipts_missing_total", "Jobs whose node came back without their receipt",
     &Metrics::relay_receipts_missing},
    {"cocoon_relay_node_losses_total", "Node connections that ended with exchanges open",
     &Metrics::relay_nodes_lost},
    {"cocoon_relay_client_hang_ups_total", "Clients that left before their answer was complete",
     &Metrics::relay_client_hang_ups},
    {"cocoon_relay_rematched_total", "Exchanges answered 409 job_rematched",
     &Metrics::relay_rematched},
    {"cocoon_feed_events_total", "Events sent to feed subscribers", &Metrics::feed_events},
    {"cocoon_feed_gaps_total", "Gaps told to feed subscribers", &Metrics::feed_gaps},
    {"cocoon_webhook_deliveries_total", "Webhooks delivered", &Metrics::webhook_deliveries},
    {"cocoon_webhook_failures_total", "Webhook attempts that failed", &Metrics::webhook_failures},
    {"cocoon_collateral_fetches_total", "Calls to collateral services",
     &Metrics::collateral_fetches},
    {"cocoon_collateral_failures_total", "Calls to collateral services that brought nothing",
     &Metrics::collateral_failures},
    {"cocoon_collateral_hits_total", "Collateral used from memory", &Metrics::collateral_hits},
    {"cocoon_collateral_stale_total",
     "Collateral used past half of its life because it could not be "
     "fetched anew",
     &Metrics::collateral_stale},
    {"cocoon_evidence_checks_total", "Stored evidence judged anew with the newest collateral",
     &Metrics::evidence_checks},
    {"cocoon_evidence_unknown_total",
     "Of it: what could not be judged because collateral cannot be had",
     &Metrics::evidence_unknown},
    {"cocoon_evidence_doubts_total", "Of it: what newer collateral or policy refuses",
     &Metrics::evidence_doubts},
    {"cocoon_aci_reports_total", "Nodes' ACI reports passed on", &Metrics::aci_reports},
    {"cocoon_settlement_deposits_total", "Transfers taken from the chain",
     &Metrics::settlement_deposits},
    {"cocoon_settlement_payouts_paid_total", "Payouts paid on the chain",
     &Metrics::settlement_payouts_paid},
    {"cocoon_settlement_payouts_returned_total", "Payouts returned to their accounts",
     &Metrics::settlement_payouts_returned},
    {"cocoon_settlement_failures_total", "Rounds in which the chain or the database failed",
     &Metrics::settlement_failures},
    {"cocoon_settlement_bounces_total", "Payouts that their addresses sent back",
     &Metrics::settlement_bounces},
    {"cocoon_settlement_batches_expired_total", "Payout batches that the chain never took",
     &Metrics::settlement_batches_expired},
    {"cocoon_settlement_unknown_batches_total",
     "Batches of the wallet that this database did not make or had given up: look at once",
     &Metrics::settlement_unknown_batches},
    {"cocoon_chain_calls_total", "Calls to the chain's endpoints", &Metrics::chain_calls},
    {"cocoon_chain_endpoint_failures_total",
     "Calls to the chain's endpoints that failed, or whose answers did not verify",
     &Metrics::chain_endpoint_failures},
    {"cocoon_chain_price_changes_total", "Times that the chain's prices were found changed",
     &Metrics::chain_price_changes},
};
constexpr NamedGauge gauges[] = {
    {"cocoon_lane_inbox_commands", "Commands waiting for the lane", &Metrics::lane_inbox_commands},
    {"cocoon_remembered_answers", "Answers kept for their Idempotency-Keys",
     &Metrics::remembered_answers},
    {"cocoon_remembered_bytes", "Bytes of memory that they take", &Metrics::remembered_bytes},
    {"cocoon_relay_nodes", "Nodes connected to the relay", &Metrics::relay_nodes},
    {"cocoon_relay_streams", "Exchanges open", &Metrics::relay_streams},
    {"cocoon_relay_streams_blocked", "Exchanges whose request waits for a full node connection",
     &Metrics::relay_streams_blocked},
    {"cocoon_feed_subscribers", "Open event streams", &Metrics::feed_subscribers},
    {"cocoon_collateral_pieces", "Names of collateral in memory", &Metrics::collateral_pieces},
    {"cocoon_collateral_bytes", "Bytes of collateral in memory", &Metrics::collateral_bytes},
    {"cocoon_collateral_ending_pieces",
     "Collateral in memory that ends within seven days and could not be replaced: an alarm",
     &Metrics::collateral_ending_pieces},
    {"cocoon_settlement_deposits_on_hold", "Transfers whose memo names no account",
     &Metrics::settlement_deposits_on_hold},
    {"cocoon_settlement_wallet_short", "1 while payouts wait because the wallet holds too little",
     &Metrics::settlement_wallet_short},
    {"cocoon_settlement_payouts_paused", "1 while an operator has stopped payouts",
     &Metrics::settlement_payouts_paused},
    {"cocoon_settlement_wallet_nano", "nanoTON in the wallet at the newest reconciliation",
     &Metrics::settlement_wallet_nano},
    {"cocoon_settlement_owed_nano", "nanoTON that the books owe to all accounts then",
     &Metrics::settlement_owed_nano},
    {"cocoon_settlement_cover_nano", "nanoTON of it that are the operator's; below 0: too little",
     &Metrics::settlement_cover_nano},
    {"cocoon_settlement_difference_nano", "nanoTON between books and chain; not 0: look at once",
     &Metrics::settlement_difference_nano},
    {"cocoon_settlement_reconciled_at_seconds", "When books and chain were last compared",
     &Metrics::settlement_reconciled_at_seconds},
    {"cocoon_solvency_accounts", "Leaves of the newest proof of solvency",
     &Metrics::solvency_accounts},
    {"cocoon_solvency_liabilities_nano", "nanoTON that it says are owed",
     &Metrics::solvency_liabilities_nano},
    {"cocoon_solvency_proven_at_seconds", "When it was made", &Metrics::solvency_proven_at_seconds},
    {"cocoon_books_balanced", "1 if the newest check of the books found nothing",
     &Metrics::books_balanced},
};
constexpr NamedHistogram histograms[] = {
    {"cocoon_http_request_seconds", "From a request's arrival to its answer",
     &Metrics::http_request_seconds, true},
    {"cocoon_lane_batch_commands", "Commands per batch", &Metrics::lane_batch_commands, false},
    {"cocoon_lane_commit_seconds", "One durable commit", &Metrics::lane_commit_seconds, true},
    {"cocoon_solvency_build_seconds", "Making one proof of solvency, with its reading",
     &Metrics::solvency_build_seconds, true},
    {"cocoon_relay_first_output_seconds", "From opening an exchange to its first response byte",
     &Metrics::relay_first_output_seconds, true},
};

std::size_t unmatched_index(std::string_view reason) {
    const auto found = std::find(unmatched_reasons.begin(), unmatched_reasons.end(), reason);
    return found == unmatched_reasons.end()
               ? unmatched_reasons.size() - 1
               : static_cast<std::size_t>(found - unmatched_reasons.begin());
}

}  // namespace

void Histogram::observe(std::int64_t value) {
    const auto found = std::lower_bound(bounds_.begin(), bounds_.end(), value);
    if (found != bounds_.end())
        counts_[static_cast<std::size_t>(found - bounds_.begin())].fetch_add(
            1, std::memory_order_relaxed);
    count_.fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(static_cast<std::uint64_t>(std::max<std::int64_t>(0, value)),
                   std::memory_order_relaxed);
}

void Metrics::count(const matching::Event& event) {
    using namespace matching;
    if (std::holds_alternative<RequestPlaced>(event)) return requests_placed.add();
    if (std::holds_alternative<JobReserved>(event)) return matches.add();
    if (const auto* rested = std::get_if<RequestRested>(&event)) {
        if (rested->node_lost) nodes_lost.add();
        return;
    }
    if (const auto* ended = std::get_if<RequestEnded>(&event)) {
        if (ended->state == RequestState::unmatched)
            requests_unmatched[unmatched_index(ended->reason)].add();
        return;
    }
    if (const auto* captured = std::get_if<UsageCaptured>(&event)) {
        captured_nano.add(static_cast<std::uint64_t>(captured->amount.value));
        return fees_nano.add(static_cast<std::uint64_t>(captured->fee.value));
    }
    if (const auto* ended = std::get_if<JobEnded>(&event)) {
        jobs_ended[static_cast<std::size_t>(ended->state)].add();
        captured_nano.add(static_cast<std::uint64_t>(ended->amount.value));
        return fees_nano.add(static_cast<std::uint64_t>(ended->fee.value));
    }
    if (std::holds_alternative<DepositCredited>(event)) return deposits_credited.add();
    if (std::holds_alternative<PayoutRequested>(event)) payouts_requested.add();
}

namespace {

void render_evidence(std::string& out, const EvidenceTally& evidence) {
    using attestation::Status;
    head(out, "cocoon_evidence_verdicts_total", "counter",
         "Verdicts on evidence, submitted or judged anew, by tier");
    for (std::size_t tier = 0; tier < EvidenceTally::tier_count; ++tier)
        for (const Status status : {Status::proven, Status::refuted, Status::unknown})
            line(out, "cocoon_evidence_verdicts_total",
                 "tier=\"" + std::string{EvidenceTally::tier_name(tier)} + "\",status=\"" +
                     std::string{to_text(status)} + "\"",
                 std::to_string(evidence.verdicts(tier, status)));
    head(out, "cocoon_evidence_reasons_total", "counter",
         "Verdicts that were not proven, by what failed or could not be checked");
    for (const auto& [label, count] : evidence.reasons())
        line(out, "cocoon_evidence_reasons_total",
             "reason=\"" + label.first + "\",outcome=\"" + std::string{label.second} + "\"",
             std::to_string(count));
}

}  // namespace

std::string render_metrics(const Metrics& metrics, const std::vector<Sample>& samples) {
    std::string out;
    out.reserve(16 << 10);
    head(out, "cocoon_http_responses_total", "counter", "Answers by status class");
    for (std::size_t i = 1; i < metrics.http_responses.size(); ++i) {
        line(out, "cocoon_http_responses_total", "status=\"" + std::to_string(i) + "xx\"",
             std::to_string(metrics.http_responses[i].value()));
    }
    head(out, "cocoon_jobs_ended_total", "counter", "Jobs by how they ended");
    for (const auto state : {matching::JobState::completed, matching::JobState::failed,
                             matching::JobState::cancelled, matching::JobState::expired}) {
        line(out, "cocoon_jobs_ended_total",
             "state=\"" + std::string{matching::name_of(state)} + "\"",
             std::to_string(metrics.jobs_ended[static_cast<std::size_t>(state)].value()));
    }
    head(out, "cocoon_requests_unmatched_total", "counter",
         "Immediate requests that found no offer, by reason");
    for (std::size_t i = 0; i < unmatched_reasons.size(); ++i) {
        line(out, "cocoon_requests_unmatched_total",
             "reason=\"" + std::string{unmatched_reasons[i]} + "\"",
             std::to_string(metrics.requests_unmatched[i].value()));
    }
    for (const NamedCounter& row : counters) {
        head(out, row.name, "counter", row.help);
        line(out, row.name, "", std::to_string((metrics.*row.member).value()));
    }
    for (const NamedGauge& row : gauges) {
        head(out, row.name, "gauge", row.help);
        line(out, row.name, "", std::to_string((metrics.*row.member).value()));
    }
    render_evidence(out, metrics.evidence);
    for (const NamedHistogram& row : histograms)
        histogram(out, row.name, row.help, metrics.*row.member, row.times);
    std::string_view previous;
    for (const Sample& sample : samples) {
        if (sample.name != previous) head(out, sample.name, sample.type, sample.help);
        previous = sample.name;
        line(out, sample.name, sample.labels,
             sample.seconds_from_us ? decimal_seconds(static_cast<std::uint64_t>(
                                          std::max<std::int64_t>(0, sample.value)))
                                    : std::to_string(sample.value));
    }
    return out;
}

}  // namespace cocoon::server
