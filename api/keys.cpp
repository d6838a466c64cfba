// API keys: made, capped, rotated, revoked. A secret is in exactly one answer.
#include <algorithm>

#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/secrets.hpp"
#include "api/wire_accounts.hpp"
#include "api/wire_vectors.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::int64_t overlap_seconds_max = 7 * 86'400;
constexpr std::int64_t overlap_seconds_default = 86'400;

// What a person of that kind may put into a key. Node keys come from enrolment alone.
ScopeSet grantable(AccountKind kind) {
    switch (kind) {
        case AccountKind::developer: return scope_read | scope_work | scope_manage;
        case AccountKind::provider: return scope_read | scope_offer | scope_manage;
        case AccountKind::admin: return scope_read | scope_manage | scope_admin | scope_audit;
        case AccountKind::auditor: return scope_read | scope_audit;
        case AccountKind::house: return 0;
    }
    return 0;
}

ScopeSet read_scopes(ObjectReader& root, AccountKind kind) {
    const bool given = root.has("scopes");
    const auto named = root.maybe_choices("scopes", scope_names());
    ScopeSet scopes = 0;
    if (!given || (named && named->empty())) root.refuse("scopes", "must name at least one scope");
    for (std::size_t i = 0; named && i < named->size(); ++i) {
        const ScopeSet bit = ScopeSet{1} << (*named)[i];
        if (!(grantable(kind) & bit))
            root.refuse_item("scopes", i, "cannot be given to a key of this account");
        scopes |= bit;
    }
    if ((scopes & scope_manage) && (scopes & scope_work))
        root.refuse("scopes", "cannot hold both manage and work");
    return scopes;
}

std::optional<Instant> read_expiry(ObjectReader& root, Instant at) {
    const auto expires_at = root.maybe_instant("expires_at");
    if (expires_at && *expires_at <= at) root.refuse("expires_at", "must be in the future");
    return expires_at;
}

}  // namespace

Result<Response> list_keys(const Call& call, db::Reader& reader, const Context& context) {
    QueryReader query{call.query};
    Page page{call, context, query, "/v1/keys"};
    if (auto begun = page.begin(query); !begun) return begun.error();
    std::vector<ApiKey> keys = reader.keys(call.principal.account);
    std::sort(keys.begin(), keys.end(),
              [](const ApiKey& a, const ApiKey& b) { return a.id > b.id; });
    JsonWriter out;
    out.open_object();
    out.open_array("items");
    Position last;
    std::uint32_t rows = 0;
    bool more = false;
    for (const ApiKey& key : keys) {
        if (page.after().major != 0 && key.id.value >= page.after().major) continue;
        if (rows == page.rows_max()) {
            more = true;
            break;
        }
        out.open_object();
        write_key_members(out, key);
        out.close_object();
        last.major = key.id.value;
        ++rows;
    }
    return page.finish(out, more, last, reader.as_of());
}

Result<PendingCommand> create_key(const Call& call, const Context&) {
    FieldReader in{call.body};
    ObjectReader root = in.root();
    CreateKey create;
    create.key.account = call.principal.account;
    create.key.name = root.text("name");
    create.key.scopes = read_scopes(root, call.principal.kind);
    create.key.cap_total = root.maybe_money("cap_total_nano").value_or(Nano{});
    create.key.cap_day = root.maybe_money("cap_day_nano").value_or(Nano{});
    create.key.expires_at = read_expiry(root, call.at).value_or(Instant{});
    if (auto done = in.finish(); !done) return done.error();
    if (call.principal.session && (create.key.scopes & (scope_manage | scope_admin)) != 0)
        return refuse(ErrorCode::forbidden, "A key that manages is made with such a key.");
    const FreshSecret secret = fresh_secret(call, "ck_", "key");
    create.key.secret_hash = secret.hash;
    create.key.shown = secret.shown;
    PendingCommand pending;
    pending.render = [key = create.key, secret](const Answer& answer, bool replayed) {
        JsonWriter out;
        out.open_object();
        out.id("id", answer_as<KeyAnswer>(answer).key);
        out.text("name", key.name);
        write_scopes(out, "scopes", key.scopes);
        out.text_or_null("secret", replayed ? std::string_view{} : secret.text);
        out.text_or_null("shown", replayed ? std::string_view{} : secret.shown);
        out.close_object();
        return json_response(201, out.take());
    };
    pending.command = std::move(create);
    return pending;
}

Result<PendingCommand> amend_key(const Call& call, const Context&) {
    const auto id = captured_id<KeyId>(call);
    if (!id) return id.error();
    FieldReader in{call.body};
    ObjectReader root = in.root();
    AmendKey amend;
    amend.account = call.principal.account;
    amend.key = *id;
    amend.name = root.maybe_text("name");
    amend.cap_total = root.maybe_money("cap_total_nano");
    amend.cap_day = root.maybe_money("cap_day_nano");
    amend.expires_at = read_expiry(root, call.at);
    if (!root.has("name") && !root.has("cap_total_nano") && !root.has("cap_day_nano") &&
        !root.has("expires_at"))
        root.refuse_whole("must change something");
    if (auto done = in.finish(); !done) return done.error();
    PendingCommand pending;
    pending.command = std::move(amend);
    pending.render = [](const Answer& answer, bool) {
        answer_as<KeyAnswer>(answer);
        return no_content();
    };
    return pending;
}

Result<PendingCommand> rotate_key(const Call& call, const Context&) {
    const auto id = captured_id<KeyId>(call);
    if (!id) return id.error();
    FieldReader in{call.body, true};
    ObjectReader root = in.root();
    const std::int64_t overlap = root.maybe_integer("overlap_seconds", {0, overlap_seconds_max})
                                     .value_or(overlap_seconds_default);
    if (auto done = in.finish(); !done) return done.error();
    const FreshSecret secret = fresh_secret(call, "ck_", "key");
    PendingCommand pending;
    pending.command =
        RotateKey{call.principal.account, *id, secret.hash, secret.shown, seconds(overlap)};
    pending.render = [secret](const Answer& answer, bool replayed) {
        JsonWriter out;
        out.open_object();
        out.id("id", answer_as<KeyAnswer>(answer).key);
        out.text_or_null("secret", replayed ? std::string_view{} : secret.text);
        out.text_or_null("shown", replayed ? std::string_view{} : secret.shown);
        out.close_object();
        return json_response(201, out.take());
    };
    return pending;
}

Result<PendingCommand> revoke_key(const Call& call, const Context&) {
    const auto id = captured_id<KeyId>(call);
    if (!id) return id.error();
    if (auto empty = no_body(call); !empty) return empty.error();
    PendingCommand pending;
    pending.command = RevokeKey{call.principal.account, *id};
    pending.render = done_without_content;
    return pending;
}

}  // namespace cocoon::api
