// Two journals, one suite: what the Writer may rely on holds for PostgreSQL as for the simulator.
#include "tests/db/market.hpp"
#include "tests/matching/sim_journal.hpp"

using namespace cocoon;
using namespace cocoon::db;
using namespace cocoon::db::test;

namespace {

struct OnPostgres {
    Database database;
    std::unique_ptr<Projector> projector;
    std::unique_ptr<PgJournal> journal_;
    OnPostgres() { reopen(); }
    matching::Journal& journal() { return *journal_; }
    void reopen() {  // as after a crash: what was not projected is not
        journal_.reset();
        projector = std::make_unique<Projector>(database.options());
        journal_ = std::make_unique<PgJournal>(database.options(),
                                               [this](const SharedBatch& batch, bool replayed) {
                                                   projector->enqueue(batch, replayed);
                                               });
        while (!journal_->elect()) {
        }
    }
    void project() {
        while (projector->step(Duration{0})) {
        }
    }
};

struct InMemory {
    SimJournal sim;
    matching::Journal& journal() { return sim; }
    void reopen() {}
    void project() { sim.project(SIZE_MAX); }
};

OpenAccount opening(std::uint64_t number) {
    OpenAccount open;
    open.name = "developer " + std::to_string(number);
    open.deposit_memo = "memo" + std::to_string(number);
    open.first_key.secret_hash = digest(number);
    open.first_key.scopes = scope_read | scope_work;
    return open;
}

std::vector<Answered> step(Writer& writer, Command command, std::string idempotency_key,
                           std::int64_t at) {
    const Envelope envelope{
        {}, {}, ~ScopeSet{0}, std::move(idempotency_key), digest(7), std::move(command)};
    return writer.step(std::span{&envelope, 1}, Instant{at});
}

}  // namespace

TEMPLATE_TEST_CASE(
    "journal conformance: what is answered is there after a restart, projected or not", "",
    OnPostgres, InMemory) {
    TestType kept;
    std::string hash;
    std::uint64_t sequence = 0;
    for (std::uint64_t number = 1; number <= 12; ++number) {
        Writer writer{kept.journal()};
        if (number > 1) {
            CHECK(writer.state().hash().text() == hash);
            CHECK(writer.state().counters.sequence == sequence);
        }
        const auto at = static_cast<std::int64_t>(number) * 1'000'000;
        const auto opened = step(writer, opening(number), "open" + std::to_string(number), at);
        REQUIRE(opened[0].reply);
        CHECK_FALSE(opened[0].replayed);
        CHECK(step(writer, CreditDeposit{"memo1", {5}, "ref" + std::to_string(number)}, {}, at)[0]
                  .reply);
        hash = writer.state().hash().text();
        sequence = writer.state().counters.sequence;
        CHECK(sequence == number * 2);
        CHECK(kept.journal().last_sequence() == sequence);
        if (number % 3 == 0) kept.project();
        kept.reopen();
    }
    Writer writer{kept.journal()};
    const auto again = step(writer, opening(1), "open1", 13'000'000);
    REQUIRE(again[0].reply);
    CHECK(again[0].replayed);
    CHECK(std::get<AccountAnswer>(*again[0].reply).account == AccountId{2});
    CHECK(kept.journal().last_sequence() == sequence);
}

TEMPLATE_TEST_CASE(
    "journal conformance: a batch that does not continue is not stored and changes nothing", "",
    OnPostgres, InMemory) {
    TestType kept;
    Writer writer{kept.journal()};
    const Envelope envelope{{}, {}, ~ScopeSet{0}, {}, {}, opening(1)};
    Pending first = writer.prepare(std::span{&envelope, 1}, Instant{1});
    CHECK(writer.commit(first.batch) == Journal::Outcome::stored);
    CHECK(writer.commit(first.batch) == Journal::Outcome::not_stored);
    Batch ahead = first.batch;
    ahead.previous = 7;
    CHECK(writer.commit(ahead) == Journal::Outcome::not_stored);
    CHECK(kept.journal().last_sequence() == 1);
    CHECK(writer.settle(std::move(first), Journal::Outcome::stored)[0].reply);
    CHECK(kept.journal().load()->hash().text() == writer.state().hash().text());
}

// The same commands give the same rows: the state from PostgreSQL is the state from memory.
TEST_CASE("journal conformance: both journals load the same state") {
    OnPostgres postgres;
    InMemory memory;
    Writer one{postgres.journal()}, two{memory.journal()};
    for (std::uint64_t number = 1; number <= 30; ++number) {
        const auto at = static_cast<std::int64_t>(number) * 1'000;
        for (Writer* writer : {&one, &two}) {
            REQUIRE(step(*writer, opening(number), "key" + std::to_string(number), at)[0].reply);
            REQUIRE(step(*writer,
                         CreditDeposit{
                             "memo" + std::to_string(number / 2 + 1), {9}, std::to_string(number)},
                         {}, at)[0]
                        .reply);
        }
        if (number % 7 == 0) {
            postgres.project();
            memory.project();
        }
    }
    CHECK(postgres.journal().load()->hash().text() == memory.journal().load()->hash().text());
    CHECK(postgres.journal().load()->hash().text() == one.state().hash().text());
}
