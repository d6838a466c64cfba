#include "settlement/dev_chain.hpp"

#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::settlement;

namespace {

struct TestClock final : Clock {
    Instant at{1'700'000'000'000'000};
    Instant now() const override { return at; }
};

struct TempFile {
    std::string path = "/tmp/cocoon_dev_chain_" + std::to_string(::getpid()) + ".txt";
    TempFile() { std::remove(path.c_str()); }
    ~TempFile() { std::remove(path.c_str()); }
};

// What is final after `cursor`.
EntryPage entries_after(DevChain& chain, const Cursor& cursor, std::size_t count_max = 10) {
    return chain.entries(cursor, chain.head()->position, count_max).value();
}

std::vector<PayoutRow> two_rows() { return {{7, "dev:alice", Nano{5}}, {8, "dev:bob", Nano{9}}}; }

}  // namespace

TEST_CASE("a deposit is handed out once it is final, in order, and again from an older cursor") {
    TestClock clock;
    TempFile file;
    DevChain chain{{.file = file.path}, clock};
    const auto first = chain.faucet("memo-1", Nano{2'000'000});
    REQUIRE(first);
    REQUIRE(chain.faucet("memo-2", Nano{3'000'000}));
    CHECK(entries_after(chain, {}).entries.empty());  // not final yet
    CHECK(chain.head()->balance == Nano{});
    clock.at = clock.at + seconds(2);
    CHECK(chain.head()->balance == Nano{5'000'000});
    const auto page = entries_after(chain, {}, 1);
    REQUIRE(page.entries.size() == 1);
    CHECK(page.entries[0].kind == Entry::Kind::deposit);
    CHECK(page.entries[0].memo == "memo-1");
    CHECK(page.entries[0].in == Nano{2'000'000});
    CHECK(page.entries[0].reference == *first);
    const auto rest = entries_after(chain, page.next);
    REQUIRE(rest.entries.size() == 1);
    CHECK(rest.entries[0].memo == "memo-2");
    CHECK(rest.next == chain.head()->position);
    CHECK(entries_after(chain, rest.next).entries.empty());
    CHECK(entries_after(chain, rest.next).next == rest.next);
    CHECK(entries_after(chain, {}).entries.size() == 2);
}

TEST_CASE("a cursor of another history is refused") {
    TestClock clock;
    TempFile file;
    DevChain chain{{.file = file.path}, clock};
    REQUIRE(chain.faucet("m", Nano{1}));
    const Cursor foreign[] = {{1, "00"}, {2, ""}, {~0ull, "ff"}};
    for (const Cursor& cursor : foreign) {
        const auto page = chain.entries(cursor, {}, 10);
        REQUIRE_FALSE(page);
        CHECK(page.error().code == ErrorCode::wrong_state);
    }
}

TEST_CASE("a batch is executed once however often and through whatever faults it is sent") {
    TestClock clock;
    TempFile file;
    // Each row: what the first sends meet. 'b' fails before, 'a' fails after, '.' works.
    for (const std::string faults : {".", "b.", "a.", "ba.", "bbbaaa..", "a"}) {
        std::remove(file.path.c_str());
        std::size_t send = 0;
        DevChainOptions options{.file = file.path};
        options.fail_before = [&] { return send < faults.size() && faults[send] == 'b'; };
        options.fail_after = [&] { return send < faults.size() && faults[send] == 'a'; };
        DevChain chain{options, clock};
        const auto batch = chain.build(1, two_rows());
        REQUIRE(batch);
        for (; send < faults.size(); ++send) {
            CHECK(chain.submit(*batch).has_value() == (faults[send] == '.'));
        }
        CAPTURE(faults);
        CHECK(entries_after(chain, {}).entries.empty());  // not final yet
        clock.at = clock.at + seconds(3);
        const auto page = entries_after(chain, {});
        REQUIRE(page.entries.size() == 1);
        const Entry& entry = page.entries[0];
        CHECK(entry.kind == Entry::Kind::executed);
        CHECK(entry.batch == batch->key);
        CHECK(entry.out == Nano{14});
        REQUIRE(entry.sent.size() == 2);
        for (std::size_t i = 0; i < 2; ++i) CHECK(chain.pays(batch->rows[i], entry.sent[i]));
        CHECK_FALSE(chain.pays(batch->rows[0], entry.sent[1]));
        CHECK(chain.paid_to("dev:alice") == Nano{5});
        CHECK(chain.paid_to("dev:bob") == Nano{9});
    }
}

TEST_CASE("a batch never sent expires for certain, and is refused afterwards") {
    TestClock clock;
    TempFile file;
    DevChain chain{{.file = file.path, .batch_lifetime = seconds(10)}, clock};
    const auto batch = chain.build(1, two_rows());
    clock.at = clock.at + seconds(11);
    CHECK(chain.head()->at < batch->expires_at);  // past, but not finally past
    clock.at = clock.at + seconds(2);
    CHECK(chain.head()->at >= batch->expires_at);
    const auto sent = chain.submit(*batch);
    REQUIRE_FALSE(sent);
    CHECK(sent.error().code == ErrorCode::deadline_exceeded);
    CHECK(chain.paid_to("dev:alice") == Nano{0});
}

TEST_CASE("a restart keeps the history, and a batch sent before it is not executed again") {
    TestClock clock;
    TempFile file;
    PayoutBatch batch;
    {
        DevChain chain{{.file = file.path}, clock};
        REQUIRE(chain.faucet("memo", Nano{44}));
        batch = *chain.build(1, two_rows());
        REQUIRE(chain.submit(batch));
    }
    std::ofstream{file.path, std::ios::app} << "4 0 in 99 unfinished";  // a crash while writing
    clock.at = clock.at + seconds(5);
    DevChain chain{{.file = file.path}, clock};
    REQUIRE(chain.submit(batch));
    CHECK(chain.paid_to("dev:bob") == Nano{9});
    const auto page = entries_after(chain, {});
    REQUIRE(page.entries.size() == 2);
    CHECK(page.entries[1].batch == batch.key);
}

TEST_CASE("an edited history is noticed") {
    TestClock clock;
    TempFile file;
    {
        DevChain chain{{.file = file.path}, clock};
        REQUIRE(chain.faucet("memo", Nano{44}));
    }
    std::string content;
    {
        std::ifstream in{file.path};
        content.assign(std::istreambuf_iterator<char>{in}, {});
    }
    content.replace(content.find(" in 44 "), 8, " in 45 ");
    std::ofstream{file.path, std::ios::trunc} << content;
    CHECK_THROWS_AS(DevChain({.file = file.path}, clock), std::runtime_error);
}

TEST_CASE("addresses and faucet amounts are checked") {
    TestClock clock;
    TempFile file;
    DevChain chain{{.file = file.path}, clock};
    for (const std::string good :
         {"dev:alice", "EQCxE6mUtQJKFnGfaROTKOt1lZbDiiX1kCixRv7Nw2Id_sDs"}) {
        CHECK(chain.normal_address(good).has_value());
    }
    for (const std::string bad : {"", "ab", "with space", "new\nline", "\xc3\xa4\xc3\xa4"}) {
        CHECK_FALSE(chain.normal_address(bad).has_value());
    }
    CHECK_FALSE(chain.normal_address(std::string(129, 'a')).has_value());
    CHECK_FALSE(chain.faucet("m", Nano{0}).has_value());
    CHECK_FALSE(chain.faucet("m", Nano{-1}).has_value());
    CHECK_FALSE(chain.faucet("tab\t", Nano{1}).has_value());
    CHECK_FALSE(chain.faucet(std::string(129, 'm'), Nano{1}).has_value());
}
