#include "server/health.hpp"

#include "api/json_writer.hpp"
#include "db/reader.hpp"

namespace cocoon::server {
namespace {

constexpr Duration commit_patience = seconds(5);
constexpr Duration projection_patience = seconds(10);

struct Check {
    std::string_view name;
    bool passed = false;
    std::string detail;
};

api::Response report(const std::vector<Check>& checks) {
    api::Response response;
    api::JsonWriter out;
    bool all = true;
    for (const Check& check : checks) all = all && check.passed;
    out.open_object();
    out.text("status", all ? "ready" : "not_ready");
    out.open_array("checks");
    for (const Check& check : checks) {
        out.open_object();
        out.text("name", check.name);
        out.boolean("passed", check.passed);
        out.text("detail", check.detail);
        out.close_object();
    }
    out.close_array();
    out.close_object();
    response.status = all ? 200 : 503;
    response.body = out.take();
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

void sample_nodes(std::vector<Sample>& samples, const NodeCounts& nodes) {
    for (std::size_t tier = 0; tier < matching::tier_count; ++tier)
        for (std::size_t standing = 0; standing < NodeCounts::standing_count; ++standing)
            samples.push_back(
                {"cocoon_nodes", "gauge", "Connected nodes whose evidence holds",
                 "tier=\"" + std::string{matching::tier_name(static_cast<matching::Tier>(tier))} +
                     "\",standing=\"" +
                     std::string{matching::name_of(static_cast<matching::Standing>(standing))} +
                     "\"",
                 static_cast<std::int64_t>(nodes.attested[tier][standing])});
    samples.push_back({"cocoon_nodes_unattested", "gauge",
                       "Connected nodes without evidence that holds", "",
                       static_cast<std::int64_t>(nodes.unattested)});
    samples.push_back({"cocoon_nodes_evidence_ending", "gauge",
                       "Connected nodes whose evidence ends within the hour: they should renew it",
                       "", static_cast<std::int64_t>(nodes.evidence_ending)});
    samples.push_back({"cocoon_nodes_collateral_ending", "gauge",
                       "Connected nodes whose evidence rests on a certificate or list that ends "
                       "within seven days: an alarm",
                       "", static_cast<std::int64_t>(nodes.collateral_ending)});
}

}  // namespace

void Health::live(Incoming& in) const {
    api::Response response;
    response.body = R"({"status":"alive"})";
    response.headers.emplace_back("Cache-Control", "no-store");
    in.respond(std::move(response));
}

void Health::ready(std::shared_ptr<Incoming> in) const {
    std::vector<Check> checks;
    checks.push_back({"accepting", !draining_, draining_ ? "the process is shutting down" : ""});
    const Instant since = doors_.lane.committing_since();
    const bool stuck = since.us != 0 && doors_.clock.now() - since > commit_patience;
    checks.push_back(
        {"journal", !stuck, stuck ? "a commit has been under way since " + since.text() : ""});
    const auto lag = doors_.projector.lag();
    const bool behind = lag.oldest > projection_patience;
    checks.push_back({"projector", !behind, std::to_string(lag.entries) + " entries behind"});
    const auto shared = std::make_shared<std::vector<Check>>(std::move(checks));
    const bool taken = doors_.workers.submit([this, in, shared] {
        Check database{"database", true, ""};
        try {
            const db::Reader reader{doors_.pool};
            database.detail = "sequence " + std::to_string(reader.as_of());
        } catch (const std::exception&) {
            database.passed = false;
            database.detail = "a read failed";
        }
        shared->push_back(std::move(database));
        in->respond(report(*shared));
    });
    if (taken) return;
    shared->push_back({"workers", false, "all are busy"});
    in->respond(report(*shared));
}

void Health::metrics(Incoming& in) const {
    std::vector<Sample> samples;
    const auto sample = [&](std::string_view name, std::string_view type, std::string_view help,
                            std::string labels, std::int64_t value, bool seconds = false) {
        samples.push_back({name, type, help, std::move(labels), value, seconds});
    };
    const Instant now = doors_.clock.now();
    sample("cocoon_uptime_seconds", "gauge", "Since the process started", "",
           (now - started_at_).us, true);
    const auto lag = doors_.projector.lag();
    sample("cocoon_projector_lag_entries", "gauge", "Journal entries not yet in the tables", "",
           static_cast<std::int64_t>(lag.entries));
    sample("cocoon_projector_lag_seconds", "gauge", "Age of the oldest of them", "", lag.oldest.us,
           true);
    sample("cocoon_projector_rows_total", "counter", "Rows written by the projector", "",
           static_cast<std::int64_t>(lag.rows_written));
    sample_nodes(samples, doors_.directory.count_nodes(now));
    for (const auto state : {matching::JobState::reserved, matching::JobState::running}) {
        sample("cocoon_jobs_open", "gauge", "Open jobs by state",
               "state=\"" + std::string{matching::name_of(state)} + "\"",
               static_cast<std::int64_t>(doors_.directory.open_jobs(state)));
    }
    const Instant oldest = doors_.directory.oldest_hold();
    sample("cocoon_holds_oldest_seconds", "gauge", "Age of the oldest open hold", "",
           oldest.us == 0 ? 0 : (now - oldest).us, true);
    sample("cocoon_db_connections_in_use", "gauge", "Read connections at work", "",
           static_cast<std::int64_t>(doors_.pool.in_use()));
    sample("cocoon_db_connections_max", "gauge", "Read connections there may be", "",
           static_cast<std::int64_t>(doors_.pool.connections_max()));
    sample("cocoon_workers_busy", "gauge", "Worker threads at work", "",
           static_cast<std::int64_t>(doors_.workers.busy()));
    sample("cocoon_workers_queued", "gauge", "Calls waiting for a worker", "",
           static_cast<std::int64_t>(doors_.workers.queued()));
    const auto timings = db::statement_timings();
    for (const auto& timing : timings) {
        sample("cocoon_db_statement_calls_total", "counter", "Calls of each named statement",
               "statement=\"" + timing.name + "\"", static_cast<std::int64_t>(timing.calls));
    }
    for (const auto& timing : timings) {
        sample("cocoon_db_statement_seconds_total", "counter", "Time in each named statement",
               "statement=\"" + timing.name + "\"",
               static_cast<std::int64_t>(timing.microseconds_total), true);
    }
    for (const auto& timing : timings) {
        sample("cocoon_db_statement_failures_total", "counter", "Failures of each named statement",
               "statement=\"" + timing.name + "\"", static_cast<std::int64_t>(timing.failures));
    }
    api::Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = render_metrics(doors_.metrics, samples);
    response.headers.emplace_back("Cache-Control", "no-store");
    in.respond(std::move(response));
}

}  // namespace cocoon::server
