#include "api/wire_accounts.hpp"

#include <array>

#include "api/wire_vectors.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::api {
namespace {

using namespace matching;

constexpr std::array<std::string_view, 3> cpu_tees{"none", "tdx", "sev-snp"};
constexpr std::int64_t daily_max = 1'000'000'000'000;

// Members are written in the order of RFC 8785 (by name), so that the text is canonical as it is.
std::string read_developer_profile(ObjectReader& in) {
    JsonWriter out;
    out.open_object();
    if (const auto contact = in.maybe_text("contact")) out.text("contact", *contact);
    out.integer("daily_requests", in.integer("daily_requests", {0, daily_max}));
    out.integer("input_tokens_average",
                in.integer("input_tokens_average", {0, limits::tokens_max}));
    const bool given = in.has("models");
    const auto models = in.maybe_texts("models", limits::list_items_max);
    if (!given || (models && models->empty())) in.refuse("models", "must name at least one model");
    write_texts(out, "models", models.value_or(std::vector<std::string>{}));
    out.integer("output_tokens_average",
                in.integer("output_tokens_average", {0, limits::tokens_max}));
    out.close_object();
    return out.take();
}

std::string read_provider_profile(ObjectReader& in) {
    JsonWriter out;
    out.open_object();
    out.integer("bandwidth_mbps", in.integer("bandwidth_mbps", {0, 100'000'000}));
    if (const auto contact = in.maybe_text("contact")) out.text("contact", *contact);
    out.text("cpu_tee", cpu_tees[in.choice("cpu_tee", cpu_tees)]);
    out.integer("disk_gib", in.integer("disk_gib", {0, 1'000'000'000}));
    out.integer("gpu_count", in.integer("gpu_count", {0, 1'000'000}));
    out.text("gpu_model", in.text("gpu_model"));
    out.integer("hours_available", in.integer("hours_available", {0, 24}));
    out.integer("ram_gib", in.integer("ram_gib", {0, 1'000'000}));
    out.text("region", in.text("region", region_rule));
    out.integer("vram_gib", in.integer("vram_gib", {0, 1'000'000}));
    out.close_object();
    return out.take();
}

}  // namespace

std::string read_profile(ObjectReader in, AccountKind kind) {
    if (!in.exists()) return "{}";
    std::string profile =
        kind == AccountKind::provider ? read_provider_profile(in) : read_developer_profile(in);
    if (profile.size() > limits::profile_bytes_max)
        in.refuse_whole("must have at most " + std::to_string(limits::profile_bytes_max) +
                        " bytes");
    return profile;
}

void write_stored_json(JsonWriter& out, std::string_view name, const std::string& json) {
    const auto parsed = sealing::Json::parse(json);
    out.raw(name, parsed && parsed->is_object() ? std::string_view{json} : "{}");
}

void write_account_members(JsonWriter& out, const Account& account) {
    out.id("id", account.id);
    out.text("kind", name_of(account.kind));
    out.text("name", account.name);
    write_stored_json(out, "profile", account.profile);
    out.text_or_null("payout_address", account.payout_address);
    out.text("deposit_memo", account.deposit_memo);
    out.boolean("frozen", account.frozen);
    out.integer("open_requests", account.open_requests);
    out.instant("opened_at", account.opened_at);
}

void write_key_members(JsonWriter& out, const ApiKey& key) {
    const auto cap = [&](std::string_view name, Nano amount) {
        if (amount.value > 0)
            out.money(name, amount);
        else
            out.null(name);
    };
    out.id("id", key.id);
    out.text("name", key.name);
    out.text("shown", key.shown);
    write_scopes(out, "scopes", key.scopes);
    out.id_or_null("node", key.node);
    out.instant("created_at", key.created_at);
    out.instant_or_null("expires_at", key.expires_at);
    out.boolean("revoked", key.revoked);
    cap("cap_total_nano", key.cap_total);
    cap("cap_day_nano", key.cap_day);
    out.money("spent_total_nano", key.spent_total);
    out.money("spent_day_nano", key.spent_day);
    out.money("held_nano", key.held);
}

void write_payout_members(JsonWriter& out, const Payout& payout) {
    out.id("id", payout.id);
    out.money("amount_nano", payout.amount);
    out.text("source", name_of(payout.source));
    out.text("address", payout.address);
    out.text("state", name_of(payout.state));
    out.text_or_null("reference", payout.reference);
    out.instant("requested_at", payout.requested_at);
    out.instant_or_null("settled_at", payout.settled_at);
    out.integer("approvals", static_cast<std::int64_t>(payout.approvers.size()));
    out.text_or_null("reason", payout.reason);
}

void write_deposit_members(JsonWriter& out, const Deposit& deposit) {
    out.id("id", deposit.id);
    out.money("amount_nano", deposit.amount);
    out.text("reference", deposit.reference);
    out.instant("at", deposit.at);
}

std::vector<StatementEntry> entries_of(const db::StatementLine& line, AccountId account) {
    const Posting& posting = line.posting;
    const auto counterpart = [&](AccountId other) -> std::string_view {
        return other == account ? "self" : other == house ? "market" : "account";
    };
    std::vector<StatementEntry> entries;
    if (posting.from == account)
        entries.push_back(
            {posting.from_bucket, -posting.amount, counterpart(posting.to), posting.to_bucket});
    if (posting.to == account)
        entries.push_back(
            {posting.to_bucket, posting.amount, counterpart(posting.from), posting.from_bucket});
    return entries;
}

void write_statement_entry(JsonWriter& out, const db::StatementLine& line,
                           const StatementEntry& entry) {
    out.open_object();
    out.decimal("sequence", line.key.sequence);
    out.integer("ordinal", line.key.ordinal);
    out.instant("at", line.at);
    out.text("bucket", name_of(entry.bucket));
    out.money("amount_nano", entry.amount);
    out.text("counterpart", entry.counterpart);
    out.text("counterpart_bucket", name_of(entry.counterpart_bucket));
    out.id_or_null("job", line.posting.job);
    out.text_or_null("receipt_hash", line.receipt_hash);
    out.close_object();
}

std::string statement_csv_header() {
    return "sequence,ordinal,at,bucket,amount_nano,counterpart,counterpart_bucket,job,receipt_"
           "hash\r\n";
}

// Every column is a number, an enumerator, an id or hex: nothing needs quotes (RFC 4180).
std::string statement_csv_row(const db::StatementLine& line, const StatementEntry& entry) {
    std::string row = std::to_string(line.key.sequence) + ',' + std::to_string(line.key.ordinal) +
                      ',' + line.at.text();
    row.append(",").append(name_of(entry.bucket)).append(",").append(entry.amount.text());
    row.append(",").append(entry.counterpart).append(",").append(name_of(entry.counterpart_bucket));
    row.append(",")
        .append(line.posting.job ? line.posting.job.text() : "")
        .append(",")
        .append(line.receipt_hash);
    return row + "\r\n";
}

}  // namespace cocoon::api
