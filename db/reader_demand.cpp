// What is asked of demand: requests, jobs, receipts.
#include "db/reader_parts.hpp"
#include "matching/codec.hpp"

namespace cocoon::db {

using namespace matching;

namespace {

constexpr std::int64_t auditor_ids_max = 20'000;

const Statement read_counters{"read_counters",
                              "select coalesce(counters, ''::bytea) from projection"};
const std::string select_requests =
    "select " + listed<Request>() +
    ", array(select coalesce(m.name, '') from unnest(t.markets) with ordinality "
    "u(id, place) left join markets m on m.id = u.id order by u.place) from requests t ";
const Statement list_requests{
    "list_requests",
    select_requests +
        "where account = $1::bigint and id < $2::bigint "
        "and ($3::text is null or state = $3::text::request_state) "
        "and ($4::bigint is null or $4::bigint = any(markets)) order by id desc limit $5::bigint"};
const Statement list_all_requests{
    "list_all_requests",
    select_requests +
        "where id < $1::bigint and id >= $2::bigint "
        "and ($3::text is null or state = $3::text::request_state) "
        "and ($4::bigint is null or $4::bigint = any(markets)) order by id desc limit $5::bigint"};
const Statement find_request{"read_request",
                             select_requests + "where account = $1::bigint and id = $2::bigint"};
const Statement find_any_request{"read_any_request", select_requests + "where id = $1::bigint"};
const std::string job_extras = ", m.name, n.tier, n.name ";
const std::string job_joins = " join markets m on m.id = t.market join nodes n on n.id = t.node ";
const std::string job_filters =
    " and ($3::text is null or state = $3::text::job_state) and ($4::bigint is null or request = "
    "$4::bigint) "
    "and ($5::bigint is null or node = $5::bigint) and ($6::bigint is null or market = "
    "$6::bigint) ";
const Statement list_jobs{"list_jobs",
                          "select " + listed<Job>() + job_extras +
                              "from ("
                              "(select * from jobs where account = $1::bigint and id < $2::bigint" +
                              job_filters +
                              "order by id desc limit $7::bigint) union all "
                              "(select * from jobs where provider = $1::bigint and account <> "
                              "$1::bigint and id < $2::bigint" +
                              job_filters + "order by id desc limit $7::bigint)) t" + job_joins +
                              "order by t.id desc limit $7::bigint"};
const Statement list_all_jobs{"list_all_jobs", "select " + listed<Job>() + job_extras +
                                                   "from (select * from jobs where id < $2::bigint "
                                                   "and id >= $1::bigint" +
                                                   job_filters +
                                                   "order by id desc limit $7::bigint) t" +
                                                   job_joins + "order by t.id desc"};
const Statement find_job{
    "read_job", "select " + listed<Job>() + job_extras +
                    "from ("
                    "(select * from jobs where account = $1::bigint and id = $2::bigint) union all "
                    "(select * from jobs where provider = $1::bigint and account <> $1::bigint and "
                    "id = $2::bigint)) t" +
                    job_joins};
const Statement find_any_job{
    "read_any_job",
    "select " + listed<Job>() + job_extras + "from jobs t" + job_joins + "where t.id = $1::bigint"};
const Statement find_receipt{
    "read_receipt",
    "select job, counter, at, receipt_hash, document from receipts where job = $1::bigint "
    "and ($2::bigint is null or counter = $2::bigint) order by counter desc limit 1"};

RequestRow request_row(const Rows& rows, std::size_t row) {
    return {.request = read_row<Request>(rows, row), .markets = rows.texts(row, width<Request>())};
}

JobRow job_row(const Rows& rows, std::size_t row) {
    const std::size_t next = width<Job>();
    return {.job = read_row<Job>(rows, row),
            .market = text_or_empty(rows, row, next),
            .tier = enum_from_sql<Tier>(rows.text(row, next + 1)),
            .node_name = text_or_empty(rows, row, next + 2)};
}

std::optional<ReceiptRow> receipt_of(const Rows& rows) {
    if (rows.empty()) return std::nullopt;
    return ReceiptRow{.job = {unsigned_at(rows, 0, 0)},
                      .counter = unsigned_at(rows, 0, 1),
                      .at = {rows.integer(0, 2)},
                      .receipt_hash = hash_or_empty(rows, 0, 3),
                      .document = text_or_empty(rows, 0, 4)};
}

}  // namespace

// No request or job has a greater id.
std::int64_t Reader::newest_id() {
    const Rows rows = held_->run(read_counters);
    const auto counters = decode_counters(rows.text(0, 0));
    return counters ? number(std::max(counters->request, counters->job)) : 0;
}

Listed<RequestRow> Reader::requests(AccountId account, const RequestFilter& filter,
                                    PageBefore page) {
    Parameters parameters;
    if (account) {
        parameters.add(number(account.value)).add(below(page));
    } else {
        const std::int64_t end = std::min(below(page), newest_id() + 1);
        parameters.add(end).add(end - auditor_ids_max);
    }
    add_optional(parameters, filter.state);
    add_optional(parameters, filter.market);
    parameters.add(std::int64_t{page.rows_max} + 1);
    return page_of<RequestRow>(held_->run(account ? list_requests : list_all_requests, parameters),
                               page.rows_max, request_row);
}

std::optional<RequestRow> Reader::request(AccountId account, RequestId request) {
    Parameters parameters;
    if (account) parameters.add(number(account.value));
    parameters.add(number(request.value));
    return first_of(page_of<RequestRow>(
        held_->run(account ? find_request : find_any_request, parameters), 1, request_row));
}

Listed<JobRow> Reader::jobs(AccountId account, const JobFilter& filter, PageBefore page) {
    Parameters parameters;
    if (account) {
        parameters.add(number(account.value)).add(below(page));
    } else {
        const std::int64_t end = std::min(below(page), newest_id() + 1);
        parameters.add(end - auditor_ids_max).add(end);
    }
    add_optional(parameters, filter.state);
    add_optional(parameters, filter.request);
    add_optional(parameters, filter.node);
    add_optional(parameters, filter.market);
    parameters.add(std::int64_t{page.rows_max} + 1);
    return page_of<JobRow>(held_->run(account ? list_jobs : list_all_jobs, parameters),
                           page.rows_max, job_row);
}

std::optional<JobRow> Reader::job(AccountId account, JobId job) {
    Parameters parameters;
    if (account) parameters.add(number(account.value));
    parameters.add(number(job.value));
    return first_of(
        page_of<JobRow>(held_->run(account ? find_job : find_any_job, parameters), 1, job_row));
}

std::optional<ReceiptRow> Reader::receipt(JobId job) {
    return receipt_of(held_->run(find_receipt, Parameters{}.add(number(job.value)).add_null()));
}

std::optional<ReceiptRow> Reader::receipt(JobId job, std::uint64_t counter) {
    return receipt_of(
        held_->run(find_receipt, Parameters{}.add(number(job.value)).add(number(counter))));
}

}  // namespace cocoon::db
