// Webhooks: where events are delivered to. Delivery itself is server/'s worker.
#include "api/events.hpp"
#include "api/handlers.hpp"
#include "api/respond.hpp"
#include "api/secrets.hpp"
#include "api/wire_vectors.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

// Scheme, host, optional port, path; no user, no fragment. Where the host really is gets checked
// after name resolution, when a delivery is made.
bool is_http_url(std::string_view url) {
    const std::size_t scheme = url.find("://");
    if (scheme == std::string_view::npos) return false;
    if (url.find_first_of(" \"<>\\^`{|}#") != std::string_view::npos) return false;
    for (const char c : url)
        if (c <= ' ' || c >= 0x7F) return false;
    const std::string_view rest = url.substr(scheme + 3);
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
    return !authority.empty() && authority.front() != ':' &&
           authority.find('@') == std::string_view::npos;
}
const TextRule url_rule{1, 1024, is_http_url, "an absolute URL without user and fragment"};

}  // namespace

Result<Response> list_webhooks(const Call& call, db::Reader& reader, const Context&) {
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    for (const Webhook& webhook : reader.webhooks(call.principal.account)) {
        out.open_object();
        out.id("id", webhook.id);
        out.text("url", webhook.url);
        write_texts(out, "events", webhook.events);
        out.boolean("disabled", webhook.disabled);
        out.close_object();
    }
    out.close_array();
    out.close_object();
    return json_response(200, out.take());
}

Result<PendingCommand> create_webhook(const Call& call, const Context& context) {
    FieldReader in{call.body};
    ObjectReader root = in.root();
    PutWebhook put;
    put.webhook.account = call.principal.account;
    put.webhook.url = root.text("url", url_rule);
    const bool plain = context.webhooks_plain_allowed && put.webhook.url.starts_with("http://");
    if (!put.webhook.url.empty() && !put.webhook.url.starts_with("https://") && !plain)
        root.refuse("url", "must begin with https://");
    const auto events = root.maybe_choices("events", event_names());
    for (const std::size_t index : events.value_or(std::vector<std::size_t>{}))
        put.webhook.events.emplace_back(event_names()[index]);
    if (auto done = in.finish(); !done) return done.error();
    put.webhook.secret = fresh_webhook_secret(call);
    PendingCommand pending;
    pending.render = [webhook = put.webhook](const Answer& answer, bool replayed) {
        JsonWriter out;
        out.open_object();
        out.id("id", answer_as<WebhookAnswer>(answer).webhook);
        out.text("url", webhook.url);
        write_texts(out, "events", webhook.events);
        out.text_or_null("secret", replayed ? std::string_view{} : webhook.secret);
        out.close_object();
        return json_response(201, out.take());
    };
    pending.command = std::move(put);
    return pending;
}

Result<PendingCommand> remove_webhook(const Call& call, const Context&) {
    const auto id = captured_id<WebhookId>(call);
    if (!id) return id.error();
    if (auto empty = no_body(call); !empty) return empty.error();
    PendingCommand pending;
    pending.command = RemoveWebhook{call.principal.account, *id};
    pending.render = done_without_content;
    return pending;
}

Result<Response> redeliver(const Call& call, db::Reader& reader, const Context& context) {
    const auto id = captured_id<WebhookId>(call);
    if (!id) return id.error();
    FieldReader in{call.body, true};
    const std::uint64_t since = in.root().maybe_decimal("since").value_or(0);
    if (auto done = in.finish(); !done) return done.error();
    for (const Webhook& webhook : reader.webhooks(call.principal.account)) {
        if (webhook.id != *id) continue;
        JsonWriter out;
        out.open_object();
        out.integer("deliveries", static_cast<std::int64_t>(context.redeliver(*id, since)));
        out.close_object();
        return json_response(202, out.take());
    }
    return refuse(ErrorCode::not_found);
}

}  // namespace cocoon::api
