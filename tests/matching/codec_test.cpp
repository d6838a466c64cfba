#include "matching/codec.hpp"

#include <random>

#include "matching/search.hpp"
#include "tests/catch.hpp"
#include "tests/matching/simulation.hpp"

namespace cocoon::matching {
namespace {

// Real rows of a simulated journal: every kind of event that a run produces.
std::vector<Entry> rows() {
    Simulation world{4711};
    for (int i = 0; i < 60; ++i) world.step();
    std::vector<Entry> found;
    for (std::uint64_t sequence = 1; sequence <= world.entries(); ++sequence)
        found.push_back(world.entry(sequence));
    return found;
}

bool same(const Entry& one, const Entry& other) {
    return one.sequence == other.sequence && one.at == other.at && one.actor == other.actor &&
           one.idempotency_key == other.idempotency_key && one.input_hash == other.input_hash &&
           one.events == other.events && one.answer == other.answer &&
           one.postings == other.postings;
}

std::string encoded(const Entry& entry) { return encode_entries(std::span{&entry, 1}); }

}  // namespace

TEST_CASE("entries come back as they were, and only from exactly their bytes") {
    std::set<std::size_t> kinds;
    for (const Entry& entry : rows()) {
        const std::string bytes = encoded(entry);
        const auto back = decode_entries(bytes, entry.sequence, entry.at);
        REQUIRE(back.has_value());
        REQUIRE(back->size() == 1);
        CHECK(same(back->front(), entry));
        CHECK(encode_entries(*back) == bytes);
        for (const Event& event : entry.events) kinds.insert(event.index());
        CHECK_FALSE(decode_entries(bytes + '\0', entry.sequence, entry.at).has_value());
        CHECK_FALSE(decode_entries(bytes.substr(0, bytes.size() - 1), entry.sequence, entry.at)
                        .has_value());
        if (entry.answer.empty()) continue;
        const auto reply = decode_reply(entry.answer);
        REQUIRE(reply.has_value());
        CHECK(encode_reply(*reply) == entry.answer);
    }
    CHECK(kinds.size() >= 20);
}

TEST_CASE("entries that follow one another share a row") {
    std::vector<Entry> together = rows();
    for (Entry& entry : together) entry.at = {static_cast<std::int64_t>(7 + entry.sequence / 3)};
    REQUIRE(together.size() > 50);
    for (const std::size_t size : {std::size_t{0}, std::size_t{2}, together.size() - 1}) {
        const std::span<const Entry> some = std::span{together}.subspan(1, size);
        const auto back =
            decode_entries(encode_entries(some), 2, {7});  // the second entry's instant
        REQUIRE(back.has_value());
        CHECK(std::ranges::equal(*back, some, same));
    }
}

TEST_CASE("bytes that are not ours are refused without harm") {
    std::mt19937_64 random{20261122};
    std::size_t refused = 0;
    const std::vector<Entry> real = rows();
    for (int i = 0; i < 40'000; ++i) {
        std::string bytes;
        if (i % 2 == 0) {  // noise
            bytes.resize(random() % 64);
            for (char& c : bytes) c = static_cast<char>(random());
            if (!bytes.empty() && i % 4 == 0) bytes[0] = static_cast<char>(codec_version);
        } else {  // a real row with a few bytes changed, or cut
            const Entry& entry = real[random() % real.size()];
            bytes = i % 4 == 1 || entry.answer.empty() ? encoded(entry) : entry.answer;
            for (int changes = 1 + static_cast<int>(random() % 3); changes > 0; --changes)
                bytes[random() % bytes.size()] = static_cast<char>(random());
            if (random() % 4 == 0) bytes.resize(random() % bytes.size());
        }
        const auto entries = decode_entries(bytes, 1, {});
        if (entries) CHECK(encode_entries(*entries) == bytes);  // one spelling for each value
        const auto reply = decode_reply(bytes);
        if (reply) CHECK(encode_reply(*reply) == bytes);
        if (!entries && !reply) ++refused;
    }
    CHECK(refused > 20'000);
}

TEST_CASE("counts in damaged rows never make the decoder reserve what they claim") {
    std::string bytes{static_cast<char>(codec_version)};
    bytes += "\xff\xff\xff\xff\xff\xff\xff\xff\x01";  // 2^64 - 1 entries
    CHECK_FALSE(decode_entries(bytes, 1, {}).has_value());
    CHECK_FALSE(decode_entries("", 1, {}).has_value());
    CHECK_FALSE(decode_reply("").has_value());
    std::string other{static_cast<char>(codec_version + 1)};
    CHECK_FALSE(decode_entries(other + std::string(1, '\0'), 1, {}).has_value());
}

TEST_CASE("cost is exact: one rounding, up, through 128 bits") {
    struct Row {
        PriceVector price;
        QuantityVector quantity;
        std::int64_t expected, most;
    };
    const Row table[] = {
        {{{100}, {}, {200}, {}, {}, {}}, {1'000'000, 0, 1'000'000, 0, 0, 0}, 300, 300},
        {{{1}, {}, {1}, {}, {}, {}}, {1, 0, 1, 0, 0, 0}, 1, 1},
        {{{999'999}, {}, {}, {}, {}, {}}, {1, 0, 0, 0, 0, 0}, 1, 1},
        {{{1'000'001}, {}, {}, {}, {}, {}}, {1, 0, 0, 0, 0, 0}, 2, 2},
        {{{100}, {10}, {200}, {400}, {7}, {}},
         {1'000'000, 1'000'000, 1'000'000, 1'000'000, 3, 0},
         731,
         1021},
        {{{}, {}, {}, {}, {}, {5}}, {0, 0, 0, 0, 0, 3'600}, 18'000, 18'000},
        {{}, {1, 1, 1, 1, 1, 1}, 0, 0},
    };
    for (const Row& row : table) {
        CHECK(cost(row.price, row.quantity).value().value == row.expected);
        CHECK(cost_max(row.price, row.quantity).value().value == row.most);
    }
    const PriceVector dear{{1'000'000'000'000'000}, {}, {}, {}, {}, {}};
    CHECK(cost(dear, {9'000'000'000, 0, 0, 0, 0, 0}).value().value == 9'000'000'000'000'000'000);
    CHECK(cost(dear, {10'000'000'000, 0, 0, 0, 0, 0}).error().code ==
          ErrorCode::arithmetic_overflow);
    CHECK(cost_max(dear, {1'000'000'000'000, 0, 0, 0, 0, 0}).error().code ==
          ErrorCode::arithmetic_overflow);
}

TEST_CASE("a week's windows open and close on the minute") {
    const Instant monday = *Instant::parse("2026-11-23T00:00:00Z");
    const std::vector<Window> windows{{60, 120}, {10'000, 10'080}};
    CHECK_FALSE(window_open(windows, monday));
    CHECK(window_open(windows, monday + minutes(60)));
    CHECK(window_open(windows, monday + minutes(119) + seconds(59)));
    CHECK_FALSE(window_open(windows, monday + minutes(120)));
    CHECK(window_open(windows, monday + minutes(10'079)));
    CHECK_FALSE(window_open(windows, monday + minutes(10'080)));
    CHECK(window_open({}, monday));
    CHECK(next_window_edge(windows, monday + seconds(30)) == monday + minutes(60));
    CHECK(next_window_edge(windows, monday + minutes(60)) == monday + minutes(120));
    CHECK(next_window_edge(windows, monday + minutes(10'001)) == monday + minutes(10'080));
    CHECK(next_window_edge({}, monday) == std::nullopt);
}

TEST_CASE("simulated worlds keep every promise") {
    for (const std::uint64_t seed : {1ull, 2ull, 3ull, 20'261'122ull}) {
        INFO("seed " << seed);
        Simulation world{seed};
        for (int i = 0; i < 150; ++i) REQUIRE_NOTHROW(world.step());
        REQUIRE_NOTHROW(world.verify_genesis());
        CHECK(world.commands() > 200);
        CHECK(world.faults() > 5);
    }
}

}  // namespace cocoon::matching
