#include "db/project.hpp"

#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "db/columns.hpp"
#include "db/rows.hpp"
#include "matching/codec.hpp"

namespace cocoon::db {
namespace {

using matching::Batch;
using matching::Entry;

// ---- Nouns: the last value of each wins
// -----------------------------------------------------------

template <class Noun>
struct Table {
    const std::vector<Column> columns = columns_of<Noun>();
    const Statement upsert;
    explicit Table(const std::string& name)
        : upsert{"project_" + name, upsert_sql(name, columns)} {}
};

// The two tables that grow with every request. The event that made a row tells that it is new:
// copied rows look for no conflict, and the log has them by the page.
template <class Noun>
struct GrowingTable : Table<Noun> {
    const std::string name;
    explicit GrowingTable(const std::string& table) : Table<Noun>{table}, name{table} {}
};

const Table<matching::Account> accounts{"accounts"};
const Table<matching::ApiKey> keys{"api_keys"};
const Table<matching::Enrolment> enrolments{"enrolments"};
const Table<matching::Node> nodes{"nodes"};
const Table<matching::Market> markets{"markets"};
const Table<matching::Offer> offers{"offers"};
const GrowingTable<matching::Request> requests{"requests"};
const GrowingTable<matching::Job> jobs{"jobs"};
const Table<matching::Deposit> deposits{"deposits"};
const Table<matching::Payout> payouts{"payouts"};
const Table<matching::Webhook> webhooks{"webhooks"};
const Table<matching::Measurement> measurements{"measurements"};
const Table<matching::Platform> platforms{"platforms"};
const Table<matching::Denial> denials{"denials"};

const Statement drop_enrolments{"project_enrolments_ended",
                                "delete from enrolments where token_hash = any($1::bytea[])"};
const Statement drop_webhooks{"project_webhooks_removed",
                              "delete from webhooks where id = any($1::bigint[])"};
const Statement drop_denials{"project_denials_ended",
                             "delete from denials where identity = any($1::text[])"};
const Statement move_cursor{
    "project_cursor",
    "update projection set sequence = $1::bigint, counters = $2::bytea, "
    "fee_basis_points = coalesce($3::bigint, fee_basis_points), "
    "approved_tiers = coalesce($5::bigint, approved_tiers), "
    "probation_jobs = coalesce($6::bigint, probation_jobs), "
    "payouts_paused = coalesce($7::boolean, payouts_paused) where sequence = $4::bigint"};

using Batches = std::span<const Batch* const>;

std::uint64_t identity(const auto& noun) { return noun.id.value; }
std::string identity(const matching::Platform& platform) { return platform.identity; }
std::string identity(const matching::Enrolment& enrolment) {
    return std::string{as_text(enrolment.token_hash)};
}

// The newest value of each noun that the batches changed, by ascending id: that touches pages in
// order, and two writers could never deadlock.
template <class Noun>
std::vector<const Noun*> newest(Batches batches, std::vector<Noun> matching::Changes::*list) {
    std::size_t total = 0;
    for (const Batch* batch : batches) total += (batch->changes.*list).size();
    std::unordered_map<decltype(identity(std::declval<Noun>())), const Noun*> found;
    found.reserve(total);
    for (std::size_t index = batches.size(); index-- > 0;) {
        const std::vector<Noun>& nouns = batches[index]->changes.*list;
        for (auto noun = nouns.rbegin(); noun != nouns.rend(); ++noun)
            found.try_emplace(identity(*noun), &*noun);
    }
    std::vector<const Noun*> ordered;
    ordered.reserve(found.size());
    for (const auto& [id, noun] : found) ordered.push_back(noun);
    std::ranges::sort(ordered, {}, [](const Noun* noun) { return identity(*noun); });
    return ordered;
}

template <class Noun>
std::vector<ArrayBuilder> rows_of(const Table<Noun>& table, std::span<const Noun* const> nouns) {
    std::vector<ArrayBuilder> arrays = arrays_for(table.columns);
    for (const Noun* noun : nouns) {
        ColumnWriter writer{arrays};
        columns(writer, *noun);
    }
    return arrays;
}

template <class Noun>
std::uint64_t update_rows(Connection& connection, const Table<Noun>& table,
                          std::span<const Noun* const> nouns) {
    if (nouns.empty()) return 0;
    std::vector<ArrayBuilder> rows = rows_of(table, nouns);
    connection.run(table.upsert, parameters_of(rows));
    return nouns.size();
}

template <class Noun>
std::uint64_t write_nouns(Connection& connection, const Table<Noun>& table, Batches batches,
                          std::vector<Noun> matching::Changes::*list) {
    return update_rows<Noun>(connection, table, newest(batches, list));
}

using Made = std::unordered_set<std::uint64_t>;  // ids of what the entries behind the cursor made

template <class Noun>
std::uint64_t write_nouns(Connection& connection, const GrowingTable<Noun>& table, Batches batches,
                          std::vector<Noun> matching::Changes::*list, const Made& made) {
    std::vector<const Noun*> nouns = newest(batches, list);
    const auto known = std::stable_partition(nouns.begin(), nouns.end(), [&](const Noun* noun) {
        return made.contains(noun->id.value);
    });
    connection.copy(table.name, column_list(table.columns),
                    rows_of<Noun>(table, {nouns.begin(), known}));
    update_rows<Noun>(connection, table, {known, nouns.end()});
    return nouns.size();
}

// A denial may end and begin again: the last word of each identity counts.
std::uint64_t write_denials(Connection& connection, Batches batches) {
    std::map<std::string, const matching::Denial*> last;
    for (const Batch* batch : batches) {
        for (const matching::Denial& denial : batch->changes.denials)
            last[denial.identity] = &denial;
        for (const std::string& ended : batch->changes.denials_ended) last[ended] = nullptr;
    }
    std::vector<const matching::Denial*> denied;
    ArrayBuilder ended{ArrayBuilder::Type::text};
    for (const auto& [identity, denial] : last)
        if (denial != nullptr)
            denied.push_back(denial);
        else
            ended.add_raw(pack_text(identity));
    if (ended.size()) connection.run(drop_denials, Parameters{}.add_encoded(ended.finish()));
    return update_rows<matching::Denial>(connection, denials, denied);
}

std::uint64_t write_all_nouns(Connection& connection, Batches batches, const Made& requests_made,
                              const Made& jobs_made) {
    using matching::Changes;
    std::uint64_t rows = 0;
    rows += write_nouns(connection, accounts, batches, &Changes::accounts);
    rows += write_nouns(connection, keys, batches, &Changes::keys);
    rows += write_nouns(connection, enrolments, batches, &Changes::enrolments);
    rows += write_nouns(connection, nodes, batches, &Changes::nodes);
    rows += write_nouns(connection, markets, batches, &Changes::markets);
    rows += write_nouns(connection, offers, batches, &Changes::offers);
    rows += write_nouns(connection, requests, batches, &Changes::requests, requests_made);
    rows += write_nouns(connection, jobs, batches, &Changes::jobs, jobs_made);
    rows += write_nouns(connection, deposits, batches, &Changes::deposits);
    rows += write_nouns(connection, payouts, batches, &Changes::payouts);
    rows += write_nouns(connection, webhooks, batches, &Changes::webhooks);
    rows += write_nouns(connection, measurements, batches, &Changes::measurements);
    rows += write_nouns(connection, platforms, batches, &Changes::platforms);
    rows += write_denials(connection, batches);
    ArrayBuilder ended{ArrayBuilder::Type::bytea}, removed{ArrayBuilder::Type::bigint};
    for (const Batch* batch : batches) {
        for (const matching::Digest& hash : batch->changes.enrolments_ended)
            ended.add_raw(as_text(hash));
        for (const WebhookId id : batch->changes.webhooks_removed)
            removed.add(static_cast<std::int64_t>(id.value));
    }
    if (ended.size()) connection.run(drop_enrolments, Parameters{}.add_encoded(ended.finish()));
    if (removed.size()) connection.run(drop_webhooks, Parameters{}.add_encoded(removed.finish()));
    return rows;
}

// ---- Lines: one row per happening
// ------------------------------------------------------------------

struct PostingLine {
    AccountId from;
    std::uint64_t sequence = 0, ordinal = 0;
    Instant at;
    matching::Bucket from_bucket{};
    AccountId to;
    matching::Bucket to_bucket{};
    Nano amount;
    JobId job;
};
template <class V>
void columns(V& v, const PostingLine& line) {
    v.key("from", line.from);
    v.key("sequence", line.sequence);
    v.key("ordinal", line.ordinal);
    v.required("at", line.at);
    v.required("from_bucket", line.from_bucket);
    v.required("to", line.to);
    v.required("to_bucket", line.to_bucket);
    v.required("amount_nano", line.amount);
    v.optional("job", line.job);
}

struct EvidenceLine {
    const matching::NodeAttested& event;
    std::uint64_t sequence = 0;
    Instant at;
};
template <class V>
void columns(V& v, const EvidenceLine& line) {
    v.key("node", line.event.node);
    v.key("sequence", line.sequence);
    v.required("at", line.at);
    v.required("tier", line.event.tier);
    v.optional("measurement", line.event.measurement);
    detail::hash_column(v, "keyset_digest", line.event.keyset_digest, detail::keyset_prefix);
    v.required("keyset_document", line.event.keyset_document);
    detail::hash_column(v, "evidence_hash", line.event.evidence_hash);
    v.raw("evidence", line.event.evidence);
    v.required("verdict", line.event.verdict);
    v.required("valid_until", line.event.valid_until);
}

struct ReceiptLine {
    const matching::ReceiptStored& event;
    Instant at;
};
template <class V>
void columns(V& v, const ReceiptLine& line) {
    v.key("job", line.event.job);
    v.key("counter", line.event.counter);
    v.required("at", line.at);
    detail::hash_column(v, "receipt_hash", line.event.receipt_hash);
    v.required("document", line.event.document);
}

struct AuditLine {
    const matching::Audited& event;
    std::uint64_t sequence = 0, ordinal = 0;
    Instant at;
};
template <class V>
void columns(V& v, const AuditLine& line) {
    v.key("sequence", line.sequence);
    v.key("ordinal", line.ordinal);
    v.required("at", line.at);
    v.required("actor", line.event.actor);
    v.required("action", line.event.action);
    v.optional("target", line.event.target);
    v.optional("before", line.event.before);
    v.optional("after", line.event.after);
    v.optional("note", line.event.note);
}

// A table of lines and the rows gathered for it. All are new, unless `upsert` is there to write
// them.
template <class Line>
class Lines {
public:
    Lines(const char* table, const std::vector<Column>& described,
          const Statement* upsert = nullptr)
        : table_{table}, described_{described}, upsert_{upsert}, arrays_{arrays_for(described)} {}
    void add(const Line& line) {
        ColumnWriter writer{arrays_};
        columns(writer, line);
        ++count_;
    }
    std::uint64_t write(Connection& connection) {
        if (!upsert_)
            connection.copy(table_, column_list(described_), arrays_);
        else if (count_)
            connection.run(*upsert_, parameters_of(arrays_));
        return count_;
    }

private:
    const char* table_;
    const std::vector<Column>& described_;
    const Statement* upsert_;
    std::vector<ArrayBuilder> arrays_;
    std::uint64_t count_ = 0;
};

template <class Line>
std::vector<Column> line_columns(const Line& line) {
    Describer describer;
    columns(describer, line);
    return describer.columns;
}

const matching::NodeAttested no_evidence{};
const matching::ReceiptStored no_receipt{};
const matching::Audited no_audit{};
const std::vector<Column> posting_columns = line_columns(PostingLine{});
const std::vector<Column> evidence_columns = line_columns(EvidenceLine{no_evidence, 0, {}});
const std::vector<Column> receipt_columns = line_columns(ReceiptLine{no_receipt, {}});
const std::vector<Column> audit_columns = line_columns(AuditLine{no_audit, 0, 0, {}});
const Statement add_receipts{"project_receipts", upsert_sql("receipts", receipt_columns)};

// ---- Market data: sums per minute and hour
// ---------------------------------------------------------

const Statement add_candles{
    "project_candles",
    "insert into candles (market, minute, open, high, low, close, volume, count) "
    "select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], "
    "$6::bigint[], "
    "$7::bigint[], $8::bigint[]) on conflict (market, minute) do update set "
    "high = greatest(candles.high, excluded.high), low = least(candles.low, excluded.low), "
    "close = excluded.close, volume = candles.volume + excluded.volume, count = candles.count + "
    "excluded.count"};
const Statement add_prices{
    "project_prices",
    "insert into price_histogram (market, hour, unit_price, count) "
    "select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) "
    "on conflict (market, hour, unit_price) do update set count = price_histogram.count + "
    "excluded.count"};
const Statement add_demand{
    "project_demand",
    "insert into demand (market, hour, placed, matched, unmatched, wanted, unmet) "
    "select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], "
    "$6::bigint[], "
    "$7::bigint[]) on conflict (market, hour) do update set placed = demand.placed + "
    "excluded.placed, "
    "matched = demand.matched + excluded.matched, unmatched = demand.unmatched + "
    "excluded.unmatched, "
    "wanted = demand.wanted + excluded.wanted, unmet = demand.unmet + excluded.unmet"};

class MarketData {
public:
    void matched(const matching::Job& job, Instant at) {
        const std::int64_t price = unit_price(job.price, job.quantity).value;
        const std::int64_t amount = volume(job.quantity);
        const auto [place, first] = candles_.try_emplace({job.market.value, at.us / minutes(1).us},
                                                         Candle{price, price, price, price, 0, 0});
        Candle& candle = place->second;
        candle.high = std::max(candle.high, price);
        candle.low = std::min(candle.low, price);
        candle.close = price;
        candle.volume = added(candle.volume, amount);
        candle.count += 1;
        prices_[{job.market.value, at.us / hours(1).us, price}] += 1;
        if (job.attempt == 1) demand_[{job.market.value, at.us / hours(1).us}].matched += 1;
    }
    void placed(const matching::Request& request, Instant at) {
        if (request.alternatives.empty()) return;
        Demand& demand = demand_of(request, at);
        demand.placed += 1;
        demand.wanted = added(demand.wanted, volume(request.quantity));
    }
    void unmatched(const matching::Request& request, Instant at) {
        if (request.alternatives.empty()) return;
        Demand& demand = demand_of(request, at);
        demand.unmatched += 1;
        demand.unmet = added(demand.unmet, volume(request.quantity));
    }

    std::uint64_t write(Connection& connection) const {
        const auto run = [&](const Statement& statement, const auto& rows, auto&& values_of,
                             std::size_t width) {
            if (rows.empty()) return;
            std::vector<ArrayBuilder> arrays(width, ArrayBuilder{ArrayBuilder::Type::bigint});
            for (const auto& row : rows) {
                std::size_t column = 0;
                for (const std::int64_t value : values_of(row)) arrays[column++].add(value);
            }
            connection.run(statement, parameters_of(arrays));
        };
        using List = std::vector<std::int64_t>;
        const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
        run(
            add_candles, candles_,
            [&](const auto& row) {
                const Candle& c = row.second;
                return List{number(row.first.first),
                            row.first.second,
                            c.open,
                            c.high,
                            c.low,
                            c.close,
                            c.volume,
                            c.count};
            },
            8);
        run(
            add_prices, prices_,
            [&](const auto& row) {
                return List{number(std::get<0>(row.first)), std::get<1>(row.first),
                            std::get<2>(row.first), row.second};
            },
            4);
        run(
            add_demand, demand_,
            [&](const auto& row) {
                const Demand& d = row.second;
                return List{number(row.first.first),
                            row.first.second,
                            d.placed,
                            d.matched,
                            d.unmatched,
                            d.wanted,
                            d.unmet};
            },
            7);
        return candles_.size() + prices_.size() + demand_.size();
    }

private:
    struct Candle {
        std::int64_t open, high, low, close, volume, count;
    };
    struct Demand {
        std::int64_t placed = 0, matched = 0, unmatched = 0, wanted = 0, unmet = 0;
    };
    using MarketTime = std::pair<std::uint64_t, std::int64_t>;

    // One hour of one market cannot hold that many tokens; a limit is still better than an
    // overflow.
    static std::int64_t added(std::int64_t sum, std::int64_t more) {
        constexpr std::int64_t most = INT64_MAX / 1'000'000;
        return std::min(most, sum + std::min(most - sum, more));
    }
    Demand& demand_of(const matching::Request& request, Instant at) {
        return demand_[{request.alternatives.front().market.value, at.us / hours(1).us}];
    }

    std::map<MarketTime, Candle> candles_;
    std::map<std::tuple<std::uint64_t, std::int64_t, std::int64_t>, std::int64_t> prices_;
    std::map<MarketTime, Demand> demand_;
};

// ---- Events that leave lines
// ------------------------------------------------------------------------

struct Gathered {
    Lines<PostingLine> postings{"postings", posting_columns};
    Lines<EvidenceLine> evidence{"evidence", evidence_columns};
    Lines<ReceiptLine> receipts{"receipts", receipt_columns, &add_receipts};
    Lines<AuditLine> audit{"audit", audit_columns};
    MarketData market_data;
    Made requests, jobs;

    std::uint64_t write(Connection& connection) {
        return postings.write(connection) + evidence.write(connection) +
               receipts.write(connection) + audit.write(connection) + market_data.write(connection);
    }
};

void gather_event(
    Gathered& gathered, const matching::Event& event, const Entry& entry, std::uint64_t ordinal,
    const std::unordered_map<std::uint64_t, const matching::Request*>& requests_by_id) {
    if (const auto* reserved = std::get_if<matching::JobReserved>(&event)) {
        gathered.jobs.insert(reserved->job.id.value);
        gathered.market_data.matched(reserved->job, entry.at);
    } else if (const auto* placed = std::get_if<matching::RequestPlaced>(&event)) {
        gathered.requests.insert(placed->request.id.value);
        gathered.market_data.placed(placed->request, entry.at);
    } else if (const auto* ended = std::get_if<matching::RequestEnded>(&event)) {
        const bool unmet = ended->state == matching::RequestState::unmatched ||
                           ended->state == matching::RequestState::expired;
        const auto request =
            unmet ? requests_by_id.find(ended->request.value) : requests_by_id.end();
        if (request != requests_by_id.end() && request->second->attempts == 0)
            gathered.market_data.unmatched(*request->second, entry.at);
    } else if (const auto* receipt = std::get_if<matching::ReceiptStored>(&event)) {
        gathered.receipts.add({*receipt, entry.at});
    } else if (const auto* attested = std::get_if<matching::NodeAttested>(&event)) {
        gathered.evidence.add({*attested, entry.sequence, entry.at});
    } else if (const auto* audited = std::get_if<matching::Audited>(&event)) {
        gathered.audit.add({*audited, entry.sequence, ordinal, entry.at});
    }
}

void gather(Gathered& gathered, Batches batches, std::uint64_t cursor) {
    std::unordered_map<std::uint64_t, const matching::Request*> requests_by_id;
    for (const Batch* batch : batches)
        for (const matching::Request& request : batch->changes.requests)
            requests_by_id[request.id.value] = &request;
    for (const Batch* batch : batches)
        for (const Entry& entry : batch->entries) {
            if (entry.sequence <= cursor) continue;
            cursor = entry.sequence;  // batches may overlap: each entry once
            std::uint64_t ordinal = 0;
            for (const matching::Posting& posting : entry.postings)
                gathered.postings.add({posting.from, entry.sequence, ordinal++, entry.at,
                                       posting.from_bucket, posting.to, posting.to_bucket,
                                       posting.amount, posting.job});
            ordinal = 0;
            for (const matching::Event& event : entry.events)
                gather_event(gathered, event, entry, ordinal++, requests_by_id);
        }
}

}  // namespace

Nano unit_price(const matching::PriceVector& price, const matching::QuantityVector& quantity) {
    const std::int64_t tokens =
        quantity.prompt + quantity.cached + quantity.completion + quantity.reasoning;
    if (tokens > 0) {
        __extension__ typedef __int128 Wide;
        // nano per million tokens, weighted by the request's own mix, and its per-request price
        // spread over it
        const Wide sum = static_cast<Wide>(price.prompt.value) * quantity.prompt +
                         static_cast<Wide>(price.cached.value) * quantity.cached +
                         static_cast<Wide>(price.completion.value) * quantity.completion +
                         static_cast<Wide>(price.reasoning.value) * quantity.reasoning +
                         static_cast<Wide>(price.request.value) * quantity.requests * 1'000'000;
        const Wide each = sum / tokens;
        return {each > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(each)};
    }
    return quantity.gpu_seconds > 0 ? price.gpu_second : price.request;
}

std::int64_t volume(const matching::QuantityVector& quantity) {
    const std::int64_t tokens =
        quantity.prompt + quantity.cached + quantity.completion + quantity.reasoning;
    if (tokens > 0) return tokens;
    return quantity.gpu_seconds > 0 ? quantity.gpu_seconds : quantity.requests;
}

Projected project(Connection& connection, std::span<const Batch* const> batches,
                  std::uint64_t cursor) {
    const Batch& last = *batches.back();
    int fee = -1;
    std::optional<matching::TrustRule> rule;
    std::optional<bool> paused;
    for (const Batch* batch : batches) {
        if (batch->changes.fee_basis_points >= 0) fee = batch->changes.fee_basis_points;
        if (batch->changes.trust_rule) rule = batch->changes.trust_rule;
        if (batch->changes.payouts_paused) paused = batch->changes.payouts_paused;
    }
    Parameters parameters;
    parameters.add(static_cast<std::int64_t>(last.last()))
        .add_bytes(as_bytes(matching::encode_counters(last.changes.counters)));
    fee < 0 ? parameters.add_null() : parameters.add(std::int64_t{fee});
    parameters.add(static_cast<std::int64_t>(cursor));
    rule ? parameters.add(std::int64_t{rule->approved_tiers}) : parameters.add_null();
    rule ? parameters.add(std::int64_t{rule->probation_jobs}) : parameters.add_null();
    paused ? parameters.add(*paused) : parameters.add_null();
    // The cursor first: its row lock keeps a second projector waiting until this one is done.
    if (connection.run(move_cursor, parameters).affected() != 1) throw CursorMoved{};

    Gathered gathered;
    gather(gathered, batches, cursor);
    const std::uint64_t nouns =
        write_all_nouns(connection, batches, gathered.requests, gathered.jobs);
    return {.sequence = last.last(), .rows = nouns + gathered.write(connection)};
}

}  // namespace cocoon::db
