// Durable placed-and-matched requests per second: Writer, PgJournal and Projector on PostgreSQL,
// without HTTP; WAL per request with the projections included, and how far the projector fell
// behind. One round for each empty line on standard input, so that the caller can alternate it with
// an anchor; at the end of input the books are checked.
//   yes '' | head -5 | COCOON_BENCH_DATABASE_URL=postgresql://… journal_bench [requests per batch]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "core/log.hpp"
#include "db/connection.hpp"
#include "db/journal.hpp"
#include "db/migrate.hpp"
#include "db/projector.hpp"
#include "db/replay.hpp"
#include "matching/writer.hpp"

using namespace cocoon;
using namespace cocoon::db;
using namespace cocoon::matching;
using Monotonic = std::chrono::steady_clock;

namespace {

constexpr int developers = 10'000, offers = 64, round_seconds = 4;
constexpr const char* market_database = "cocoon_journal_bench";

std::string url() {
    const char* text = std::getenv("COCOON_BENCH_DATABASE_URL");
    if (!text) {
        std::fprintf(
            stderr,
            "COCOON_BENCH_DATABASE_URL must name a PostgreSQL in which databases may be created\n");
        std::exit(2);
    }
    return text;
}

ConnectOptions options_for(const std::string& database) {
    ConnectOptions options;
    options.url = url();
    options.database = database;
    options.statement_milliseconds = 0;
    return options;
}

Digest digest(std::uint64_t number) {
    Digest value{};
    for (int index = 0; index < 8; ++index)
        value[index] = static_cast<std::uint8_t>(number >> (8 * index));
    return value;
}

struct Customer {
    AccountId account;
    KeyId key;
};

class Bench {
public:
    Bench()
        : projector_{options_for(market_database)},
          journal_{options_for(market_database), [this](const SharedBatch& batch, bool replayed) {
                       projector_.enqueue(batch, replayed);
                   }} {
        if (!journal_.elect()) std::exit(2);
        writer_ = std::make_unique<Writer>(journal_);
        projecting_ = std::thread{[this] {
            while (!ending_) {
                projector_.step(milliseconds(50));
                lag_us_max_ = std::max(lag_us_max_.load(), projector_.lag().oldest.us);
            }
        }};
        furnish();
    }
    ~Bench() {
        ending_ = true;
        projector_.stop();
        projecting_.join();
    }

    struct Figures {
        double per_second, wal_bytes, lag_ms, drain_ms;
        std::string wal_from, wal_to;  // for pg_waldump --stats=record
    };

    // Batches as a lane makes them: the next is prepared while this one commits.
    Figures run(std::size_t batch_requests) {
        drain();
        lag_us_max_ = 0;
        Connection observer{options_for(market_database)};
        const std::string position =
            "select at::text, (at - '0/0')::bigint from pg_current_wal_insert_lsn() at";
        const Rows wal_before = observer.query(position);
        const auto began = Monotonic::now(), end = began + std::chrono::seconds{round_seconds};
        std::size_t placed = 0;
        Pending pending = writer_->prepare(requests(batch_requests), now());
        while (Monotonic::now() < end) {
            auto committed =
                std::async(std::launch::async, [&] { return writer_->commit(std::move(pending.batch)); });
            Pending next = writer_->prepare(requests(batch_requests), now());
            const Journal::Outcome outcome = committed.get();
            for (const Answered& answered : writer_->settle(std::move(pending), outcome)) {
                if (!answered.reply || !std::get<RequestAnswer>(*answered.reply).job) {
                    std::fprintf(
                        stderr, "a request did not match after %zu: %s\n", placed,
                        answered.reply ? "no offer" : answered.reply.error().detail.c_str());
                    std::exit(1);
                }
                ++placed;
            }
            pending = std::move(next);
        }
        const Journal::Outcome outcome = writer_->commit(std::move(pending.batch));
        placed += writer_->settle(std::move(pending), outcome).size();
        const auto committed = Monotonic::now();
        drain();
        const auto drained = Monotonic::now();
        const double spent = std::chrono::duration<double>(committed - began).count();
        const Rows wal_after = observer.query(position);
        const std::int64_t wal = wal_after.integer(0, 1) - wal_before.integer(0, 1);
        release();
        return {static_cast<double>(placed) / spent,
                static_cast<double>(wal) / static_cast<double>(placed),
                static_cast<double>(lag_us_max_) / 1000,
                std::chrono::duration<double, std::milli>(drained - committed).count(),
                std::string{wal_before.text(0, 0)},
                std::string{wal_after.text(0, 0)}};
    }

private:
    Instant now() { return at_ = at_ + microseconds(500); }
    Answered send(Command command) {
        const Envelope envelope{{}, {}, ~ScopeSet{0}, {}, {}, std::move(command)};
        Answered answered = writer_->step(std::span{&envelope, 1}, now()).front();
        if (!answered.reply) {
            std::fprintf(stderr, "refused: %s\n", answered.reply.error().detail.c_str());
            std::exit(1);
        }
        return answered;
    }
    void drain() { projector_.wait_for(writer_->state().counters.sequence, minutes(5)); }
    // Every job expires at once, outside the measured time, and its slot and money come back.
    void release() {
        at_ = at_ + seconds(1'000);
        for (int count = 0; count < 2'000; ++count) {
            const Envelope tick{{}, {}, ~ScopeSet{0}, {}, {}, Tick{}};
            writer_->step(std::span{&tick, 1}, now());
            if (!writer_->next_due() || *writer_->next_due() > at_) break;
        }
        drain();
    }
    std::vector<Envelope> requests(std::size_t count) {
        std::vector<Envelope> envelopes(count);
        for (Envelope& envelope : envelopes) {
            const Customer& developer = accounts_[next_++ * 7919 % accounts_.size()];
            PlaceRequest place{.request = {}, .alternatives = {{"inference:llama", ""}}};
            place.request.account = developer.account;
            place.request.key = developer.key;
            place.request.quantity = {.prompt = 1'000,
                                      .cached = 0,
                                      .completion = 500,
                                      .reasoning = 0,
                                      .requests = 1,
                                      .gpu_seconds = 0};
            place.request.job_duration = seconds(300);
            envelope = {
                developer.account,       developer.key,
                scope_work | scope_read, "key-" + std::to_string(next_) + "-0123456789abcdef",
                digest(next_),           std::move(place)};
        }
        return envelopes;
    }
    void furnish() {
        std::uint64_t secret = 0;
        const auto open = [&](AccountKind kind, ScopeSet scopes) {
            OpenAccount command;
            command.kind = kind;
            command.name = "bench";
            command.deposit_memo = "memo" + std::to_string(++secret);
            command.first_key.secret_hash = digest(secret << 32);
            command.first_key.scopes = scopes;
            return command;
        };
        const auto provider =
            std::get<AccountAnswer>(
                *send(open(AccountKind::provider, scope_read | scope_offer)).reply)
                .account;
        for (int base = 0; base < developers; base += 100) {
            std::vector<Envelope> envelopes;
            for (int count = 0; count < 100; ++count)
                envelopes.push_back({{},
                                     {},
                                     ~ScopeSet{0},
                                     {},
                                     {},
                                     open(AccountKind::developer, scope_work | scope_read)});
            std::vector<Envelope> deposits;
            for (const Answered& answered : writer_->step(envelopes, now())) {
                const AccountAnswer account = std::get<AccountAnswer>(*answered.reply);
                accounts_.push_back({account.account, account.key});
                const std::string& memo =
                    writer_->state().accounts.find(account.account)->account.deposit_memo;
                deposits.push_back({{},
                                    {},
                                    ~ScopeSet{0},
                                    {},
                                    {},
                                    CreditDeposit{memo,
                                                  {100'000'000'000'000},
                                                  "ref" + std::to_string(account.account.value)}});
            }
            writer_->step(deposits, now());
        }
        send(IssueEnrolment{provider, digest(1), hours(1)});
        EnrolNode enrol;
        enrol.token_hash = digest(1);
        enrol.node.name = "bench";
        enrol.credential.secret_hash = digest(2);
        const NodeId node = std::get<NodeAnswer>(*send(enrol).reply).node;
        SubmitVerdict verdict;
        verdict.node = node;
        verdict.tier = Tier::tdx_gpu_cc;
        verdict.keyset_digest = "sha256:" + std::string(64, 'a');
        verdict.evidence_hash = std::string(64, 'b');
        verdict.valid_until = at_ + days(300);
        send(verdict);
        send(SetNodePresence{node, true});
        for (int count = 0; count < offers; ++count) {
            PlaceOffer place;
            place.market = "inference:llama";
            place.offer.provider = provider;
            place.offer.node = node;
            place.offer.price = {{1'000'000'000}, {}, {2'000'000'000}, {}, {}, {}};
            place.offer.slots = 4'096;
            send(place);
        }
        drain();
    }

    Projector projector_;
    PgJournal journal_;
    std::unique_ptr<Writer> writer_;
    std::thread projecting_;
    std::atomic<bool> ending_{false};
    std::atomic<std::int64_t> lag_us_max_{0};
    std::vector<Customer> accounts_;
    std::uint64_t next_ = 0;
    Instant at_{1'790'000'000'000'000};
};

}  // namespace

int main(int count, char** arguments) {
    const std::size_t size =
        count > 1 ? static_cast<std::size_t>(std::max(1, std::atoi(arguments[1]))) : 100;
    log::set_level(log::Level::error);
    Connection admin{options_for({})};
    admin.execute(std::string{"drop database if exists "} + market_database + " with (force)");
    admin.execute(std::string{"create database "} + market_database);
    if (!migrate(options_for(market_database))) return 2;
    {
        Bench bench;
        bench.run(size);  // warm-up, discarded
        std::printf("durable placed-and-matched requests, batches of %zu, %d accounts\n", size,
                    developers);
        std::fflush(stdout);
        while (std::getchar() == '\n') {
            const Bench::Figures figures = bench.run(size);
            std::printf(
                "round: %.0f requests/s, WAL %.0f B/request, projector behind at most %.0f ms, "
                "done %.0f ms after the last commit, WAL from %s to %s\n",
                figures.per_second, figures.wal_bytes, figures.lag_ms, figures.drain_ms,
                figures.wal_from.c_str(), figures.wal_to.c_str());
            std::fflush(stdout);
        }
    }
    const std::size_t problems = check_books(options_for(market_database)).size();
    const ReplayReport report = rebuild_and_compare(options_for(market_database));
    std::printf("books: %zu problems; replay of %llu entries: %zu tables differ\n", problems,
                static_cast<unsigned long long>(report.entries), report.differences.size());
    return problems || !report.differences.empty() ? 1 : 0;
}
