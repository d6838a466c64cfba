#include "server/payout_switch.hpp"

#include "api/field_reader.hpp"
#include "core/encoding.hpp"
#include "db/journal.hpp"
#include "matching/writer.hpp"
#include "net/http_client.hpp"
#include "sealing/canonical_json.hpp"
#include "server/bootstrap.hpp"

namespace cocoon::server {
namespace {

constexpr std::size_t note_bytes_max = 1'024;  // as over HTTP

Result<void> ask_running_market(const Config& config, bool paused, const std::string& note) {
    std::string key = read_secret_file(config.admin_token_file);
    while (!key.empty() && key.back() == '\n') key.pop_back();
    net::ClientRequest request;
    request.method = "POST";
    request.url = config.own_url() + "/v1/admin/settlement:" + (paused ? "pause" : "resume");
    request.headers.add("Authorization", "Bearer " + key);
    request.headers.add("Content-Type", "application/json");
    request.body = sealing::Json::object({{"note", note}}).serialize();
    request.total_timeout = seconds(30);
    net::HttpClient client;
    const auto answer = client.send(request);
    if (!answer) return answer.error();
    if (answer->status == 204) return {};
    return refuse(ErrorCode::upstream_failed, "the market at " + config.own_url() + " answered " +
                                                  std::to_string(answer->status) + ": " +
                                                  answer->body.substr(0, 1'024));
}

}  // namespace

Result<void> switch_payouts(const Config& config, bool paused, const std::string& note) {
    // It is kept in the journal for ever and must fit into a table's text.
    if (note.empty() || note.size() > note_bytes_max || !is_utf8(note) || !api::is_printable(note))
        return refuse(ErrorCode::invalid_body,
                      "the note must be printable UTF-8 of at most 1024 bytes");
    db::ConnectOptions options;
    options.url = config.database_url;
    // The next start brings the projections up to what is written here.
    db::PgJournal journal{options, [](const matching::SharedBatch&, bool) {}};
    if (!journal.elect()) return ask_running_market(config, paused, note);
    matching::Writer writer{journal};
    std::vector<matching::Envelope> envelopes(1);
    envelopes[0].command = matching::PausePayouts{paused, note};
    const auto answers = writer.step(envelopes, SystemClock{}.now());
    if (!answers[0].reply) return answers[0].reply.error();
    return {};
}

}  // namespace cocoon::server
