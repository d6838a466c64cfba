// Accounts: sign-up with two keys, profile, balance, statement.
#include "api/handlers.hpp"
#include "api/pages.hpp"
#include "api/respond.hpp"
#include "api/secrets.hpp"
#include "api/wire_accounts.hpp"
#include "api/wire_vectors.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::array<std::string_view, 2> sign_up_kinds{"developer", "provider"};
constexpr std::size_t csv_rows_max = 10'000;
constexpr TextRule address_rule{1, 128};

std::optional<std::string> read_payout_address(ObjectReader& in, const Context& context) {
    const auto address = in.maybe_text("payout_address", address_rule);
    if (!address) return std::nullopt;
    auto normal = context.payout_address(*address);
    if (normal) return std::move(*normal);
    in.refuse("payout_address", "is not an address of this chain");
    return std::nullopt;
}

ApiKey first_key(std::string name, ScopeSet scopes, const FreshSecret& secret) {
    ApiKey key;
    key.name = std::move(name);
    key.scopes = scopes;
    key.secret_hash = secret.hash;
    key.shown = secret.shown;
    return key;
}

void write_first_key(JsonWriter& out, std::string_view member, KeyId id, const ApiKey& key,
                     std::string_view secret) {
    out.open_object(member);
    out.id("id", id);
    out.text("name", key.name);
    write_scopes(out, "scopes", key.scopes);
    out.text_or_null("secret", secret);
    out.text_or_null("shown", secret.empty() ? std::string_view{} : std::string_view{key.shown});
    out.close_object();
}

}  // namespace

Result<PendingCommand> open_account(const Call& call, const Context& context) {
    FieldReader in{call.body};
    ObjectReader root = in.root();
    OpenAccount open;
    const bool provider = root.choice("kind", sign_up_kinds) == 1;
    open.kind = provider ? AccountKind::provider : AccountKind::developer;
    open.name = root.text("name");
    open.payout_address = read_payout_address(root, context).value_or(std::string{});
    // Without a readable kind the form cannot be judged; it is then only marked as read.
    open.profile = read_profile(root.object("profile"), open.kind);
    if (auto done = in.finish(); !done) return done.error();

    const FreshSecret management = fresh_secret(call, "ck_", "management_key");
    const FreshSecret work = fresh_secret(call, "ck_", "work_key");
    open.deposit_memo = fresh_memo(call);
    open.first_key = first_key("management", scope_read | scope_manage, management);
    open.second_key = first_key("work", scope_read | (provider ? scope_offer : scope_work), work);

    PendingCommand pending;
    pending.render = [open, management = management.text, work = work.text](const Answer& answer,
                                                                            bool replayed) {
        const AccountAnswer& opened = answer_as<AccountAnswer>(answer);
        JsonWriter out;
        out.open_object();
        out.open_object("account");
        out.id("id", opened.account);
        out.text("kind", name_of(open.kind));
        out.text("name", open.name);
        out.close_object();
        write_first_key(out, "management_key", opened.key, open.first_key,
                        replayed ? std::string{} : management);
        write_first_key(out, "work_key", opened.second_key, *open.second_key,
                        replayed ? std::string{} : work);
        // A replay has new chance of its own, so it cannot know the memo of the first answer.
        out.text_or_null("deposit_memo", replayed ? std::string{} : open.deposit_memo);
        out.close_object();
        return json_response(201, out.take());
    };
    pending.command = std::move(open);
    return pending;
}

Result<Response> read_account(const Call& call, db::Reader& reader, const Context&) {
    const auto account = reader.account(call.principal.account);
    if (!account) return refuse(ErrorCode::not_found);
    JsonWriter out;
    out.open_object();
    write_account_members(out, *account);
    out.close_object();
    return json_response(200, out.take());
}

Result<PendingCommand> amend_account(const Call& call, const Context& context) {
    FieldReader in{call.body};
    ObjectReader root = in.root();
    AmendAccount amend;
    amend.account = call.principal.account;
    amend.name = root.maybe_text("name");
    amend.payout_address = read_payout_address(root, context);
    if (ObjectReader form = root.maybe_object("profile"); form.exists())
        amend.profile = read_profile(form, call.principal.kind);
    if (!root.has("name") && !root.has("payout_address") && !root.has("profile"))
        root.refuse_whole("must change something");
    if (auto done = in.finish(); !done) return done.error();
    PendingCommand pending;
    pending.command = std::move(amend);
    pending.render = done_without_content;
    return pending;
}

Result<Response> read_balance(const Call& call, db::Reader& reader, const Context&) {
    const auto account = reader.account(call.principal.account);
    if (!account) return refuse(ErrorCode::not_found);
    const auto balance = [&](Bucket bucket) {
        return account->balances[static_cast<std::size_t>(bucket)];
    };
    JsonWriter out;
    out.open_object();
    out.money("available_nano", balance(Bucket::available));
    out.money("held_nano", balance(Bucket::held));
    out.money("earned_nano", balance(Bucket::earned));
    out.money("paying_nano", balance(Bucket::paying));
    out.decimal("as_of", reader.as_of());
    out.close_object();
    return json_response(200, out.take());
}

Result<Response> read_statement(const Call& call, db::Reader& reader, const Context& context) {
    static constexpr std::array<std::string_view, 2> formats{"json", "csv"};
    QueryReader query{call.query};
    const Instant from = query.maybe_instant("from").value_or(Instant{});
    const Instant to = query.maybe_instant("to").value_or(Instant{});
    if (to.us != 0 && to <= from) query.refuse("to", "must be after from");
    const bool csv = query.maybe_choice("format", formats).value_or(0) == 1;
    Page page{call, context, query, "/v1/account/statement"};
    if (auto begun = page.begin(query, from.text() + ' ' + to.text()); !begun) return begun.error();

    const AccountId account = call.principal.account;
    db::EntryKey after{page.after().major, page.after().minor};
    JsonWriter out;
    std::string text = statement_csv_header();
    out.open_object();
    out.open_array("items");
    bool more = false;
    // A CSV without limit is for a spreadsheet: many pages of the same snapshot in one answer.
    const std::size_t rows_max = csv && !page.limit_given() ? csv_rows_max : page.rows_max();
    for (std::size_t rows = 0; rows < rows_max;) {
        const auto wanted =
            static_cast<std::uint32_t>(std::min<std::size_t>(rows_max - rows, 1000));
        const auto lines = reader.statement(account, from, to, after, wanted);
        for (const db::StatementLine& line : lines.rows) {
            after = line.key;
            for (const StatementEntry& entry : entries_of(line, account)) {
                if (csv)
                    text += statement_csv_row(line, entry);
                else
                    write_statement_entry(out, line, entry);
            }
        }
        more = lines.more;
        rows += lines.rows.size();
        if (!more || lines.rows.empty()) break;
    }
    const Position last{after.sequence, after.ordinal};
    if (!csv) return page.finish(out, more, last, reader.as_of());
    Response response = json_response(200, std::move(text));
    response.content_type = "text/csv; charset=utf-8";
    response.headers.emplace_back("Content-Disposition", "attachment; filename=\"statement.csv\"");
    if (more) response.headers.push_back(page.link(last));
    return response;
}

Result<Response> read_deposit_instructions(const Call& call, db::Reader& reader,
                                           const Context& context) {
    const auto account = reader.account(call.principal.account);
    if (!account) return refuse(ErrorCode::not_found);
    JsonWriter out;
    out.open_object();
    out.text("memo", account->deposit_memo);
    out.text_or_null("address", context.deposit_address);
    out.text_or_null("link", context.deposit_link(account->deposit_memo));
    out.text("coin", context.coin_name);
    out.money("minimum_nano", context.deposit_minimum);
    out.money("payout_minimum_nano", context.payout_minimum);
    out.close_object();
    return json_response(200, out.take());
}

}  // namespace cocoon::api
