// What readers answer about a market with something of everything, tenancy, pages; and the outbox.
#include "db/outbox.hpp"
#include "tests/db/market.hpp"

using namespace cocoon;
using namespace cocoon::db;
using namespace cocoon::db::test;

namespace {

// Every row of a list, page by page.
template <class Row, class Ask, class Key>
std::vector<Row> all_pages(Ask&& ask, Key&& key, std::uint32_t rows_max) {
    std::vector<Row> rows;
    PageBefore page{.before = 0, .rows_max = rows_max};
    while (true) {
        Listed<Row> listed = ask(page);
        CHECK(listed.rows.size() <= rows_max);
        CHECK((listed.more ? listed.rows.size() == rows_max : true));
        for (Row& row : listed.rows) rows.push_back(std::move(row));
        if (!listed.more) return rows;
        page.before = key(rows.back());
    }
}

}  // namespace

TEST_CASE("reader: every table as the state has it") {
    Database database;
    TestMarket market{database};
    market.furnish();
    market.live_a_little();
    market.project();
    const State& state = market.writer->state();
    ConnectOptions options = database.options();
    options.role = reader_role(options);
    CHECK(options.role == "cocoon_reader");
    Pool pool{options, 2};
    Reader reader{pool};
    CHECK(reader.as_of() == state.counters.sequence);
    CHECK(reader.fee_basis_points() == 250);

    CHECK(reader.account(market.developer) == state.accounts.find(market.developer)->account);
    CHECK(reader.account(house)->balances == state.accounts.find(house)->account.balances);
    CHECK_FALSE(reader.account({999}));
    CHECK(reader.accounts(AccountKind::provider, {}).rows.size() == 1);
    CHECK(reader.accounts(std::nullopt, {}).rows.size() == 3);
    const auto keys = reader.keys(market.developer);
    REQUIRE(keys.size() == 1);
    CHECK(keys[0] == state.keys.find(market.key)->key);
    CHECK_FALSE(reader.key(market.provider, market.key));
    const auto credential = reader.credential(keys[0].secret_hash);
    REQUIRE(credential);
    CHECK(credential->key == keys[0]);
    CHECK(credential->kind == AccountKind::developer);
    CHECK_FALSE(reader.credential(digest(77)));

    CHECK(reader.node(market.node) == state.nodes.find(market.node)->node);
    CHECK(reader.nodes({.provider = market.provider, .matchable_at = market.now}, {}).rows.size() ==
          1);
    CHECK(reader.nodes({.provider = {}, .matchable_at = market.now + days(31)}, {}).rows.empty());
    CHECK(reader.nodes({.provider = market.developer, .matchable_at = {}}, {}).rows.empty());
    const auto evidence = reader.evidence(market.node);
    REQUIRE(evidence);
    CHECK(evidence->evidence == std::string("\0\1\xff binary", 10));
    CHECK(evidence->keyset_digest == "sha256:" + std::string(64, 'b'));
    CHECK(reader.evidence(market.node, std::string(64, 'c')));
    CHECK_FALSE(reader.evidence(market.node, std::string(64, 'e')));
    const auto offer = reader.offer(market.offer);
    REQUIRE(offer);
    CHECK(offer->offer == state.offers.find(market.offer)->offer);
    CHECK(offer->market == "inference:llama");
    CHECK(offer->node_connected);
    for (const OfferFilter& filter : {OfferFilter{}, OfferFilter{.provider = market.provider},
                                      OfferFilter{.market = {1}, .state = OfferState::active},
                                      OfferFilter{.node = market.node}})
        CHECK(reader.offers(filter, {}).rows.size() == 1);
    CHECK(reader.offers({.state = OfferState::expired}, {}).rows.empty());

    const auto listed = [&](const MeasurementFilter& filter, PageBefore page = {}) {
        return reader.measurements(filter, market.now, page);
    };
    const auto measurements = listed({});
    REQUIRE(measurements.rows.size() == 3);
    for (const MeasurementRow& row : measurements.rows) {
        const Measurement& measurement = row.measurement;
        CHECK(measurement == state.measurements.at(measurement.id));
        CHECK(reader.measurement(measurement.id, market.now)->measurement == measurement);
        const auto same_state = listed({.state = measurement.state});
        REQUIRE(same_state.rows.size() == 1);
        CHECK(same_state.rows[0].measurement == measurement);
        // Machines that show all of its registers, by evidence that holds.
        const Node shown = *reader.node(market.node);
        const bool shows =
            std::includes(shown.registers.begin(), shown.registers.end(),
                          measurement.registers.begin(), measurement.registers.end());
        CHECK(row.nodes == (shows ? 1 : 0));
        CHECK(row.nodes_connected == row.nodes);
        CHECK(reader.measurement(measurement.id, market.now + days(31))->nodes == 0);
        const auto decisions = reader.decisions(measurement.id);
        CHECK(decisions.empty() == (measurement.state == MeasurementState::pending));
        if (!decisions.empty()) {
            CHECK(decisions.front().from == "pending");
            CHECK(decisions.back().to == name_of(measurement.state));
            CHECK(decisions.back().reason == measurement.reason);
            CHECK(decisions.back().at == measurement.decided_at);
        }
        const std::string& first = measurement.registers.front();
        const auto by_value = listed({.value = first.substr(first.find(':') + 1)});
        CHECK(std::any_of(by_value.rows.begin(), by_value.rows.end(),
                          [&](const auto& found) { return found.measurement == measurement; }));
        CHECK(listed({.kind = first.substr(0, first.find('.'))}).rows.size() >= 1);
        CHECK(listed({.submitter = measurement.submitter}).rows.size() >= 1);
    }
    CHECK(listed({.kind = "none"}).rows.empty());
    CHECK(listed({.value = "none"}).rows.empty());
    CHECK(listed({.submitter = {99}}).rows.empty());
    const auto newest = listed({}, {.before = 0, .rows_max = 2});
    CHECK(newest.more);
    CHECK(listed({}, {newest.rows.back().measurement.id.value, 2}).rows.size() == 1);
    CHECK_FALSE(reader.measurement({99}, market.now));
    const MeasurementId entry = reader.node(market.node)->measurement_id;
    CHECK(reader.nodes({.measurement = {99}}, {}).rows.empty());
    if (entry) CHECK(reader.nodes({.measurement = entry}, {}).rows.size() == 1);
    const auto denials = reader.denials({});
    REQUIRE(denials.rows.size() == 1);
    CHECK(denials.rows[0] == state.denials.at("fmspc:07"));

    CHECK(reader.deposits(market.developer, {}).rows.size() == 1);
    CHECK(reader.deposits(market.provider, {}).rows.empty());
    CHECK(reader.payouts(market.provider, {}).rows.at(0).amount.value == 1'000'000);
    CHECK(reader.payouts({}, {}).rows.size() == 1);
    const auto hooks = reader.webhooks(market.developer);
    REQUIRE(hooks.size() == 1);
    CHECK(hooks[0] == state.webhooks.begin()->second);
    CHECK(reader.audit({}, 2).rows.size() == 2);
    CHECK(reader.audit({}, 2).more);
    CHECK(reader.audit({}, 100).rows.back().action == "set_fee");

    std::int64_t sum = 0;
    for (const LedgerLine& line : reader.ledger()) sum += line.amount.value;
    CHECK(sum == 0);
    const Overview overview = reader.overview(market.now);
    CHECK(overview.developers == 1);
    CHECK(overview.nodes_attested == 1);
    CHECK(overview.jobs_open == 2);
    CHECK(overview.requests_resting == 1);
    CHECK(overview.slots_used == 2);
    CHECK(overview.payouts_open == 1);
    // A SELECT-only role on top of the read-only transaction.
    Pool::Lease lease = pool.take();
    CHECK_THROWS_AS(lease->execute("update accounts set name = 'x'"), Failure);
}

TEST_CASE("reader: requests and jobs belong to their account, page by page") {
    Database database;
    TestMarket market{database};
    market.furnish();
    std::vector<JobId> jobs;
    for (int count = 0; count < 23; ++count) jobs.push_back(market.matched().job->id);
    market.complete(*market.matched().job);
    PlaceRequest waiting = market.request(TimeInForce::rest);
    waiting.request.cap_total = {1};
    waiting.request.constraints.regions = {"mars, {deep}", "\"quoted\\\"", "NULL"};
    waiting.request.cap_price.completion = {0};
    const RequestId resting = market.must<RequestAnswer>(waiting, market.developer).request.id;
    market.project();
    const State& state = market.writer->state();
    Pool pool{database.options(), 1};
    Reader reader{pool};

    const auto found = reader.request(market.developer, resting);
    REQUIRE(found);
    CHECK(found->request == state.requests.find(resting)->request);
    CHECK(found->markets == std::vector<std::string>{"inference:llama"});
    for (const std::uint32_t rows_max : {1u, 7u, 100u}) {
        const auto mine = all_pages<JobRow>(
            [&](PageBefore page) { return reader.jobs(market.developer, {}, page); },
            [](const JobRow& row) { return row.job.id.value; }, rows_max);
        REQUIRE(mine.size() == 24);
        for (const JobRow& row : mine) CHECK(row.job == state.jobs.find(row.job.id)->job);
    }
    CHECK(reader.jobs(market.provider, {}, {}).rows.size() == 24);
    CHECK(reader.jobs({}, {}, {}).rows.size() == 24);
    CHECK(reader.jobs({999}, {}, {}).rows.empty());
    CHECK(reader.jobs(market.developer, {.state = JobState::completed}, {}).rows.size() == 1);
    CHECK(reader.jobs(market.provider, {.node = market.node, .market = {1}}, {}).rows.size() == 24);
    CHECK(reader.job(market.developer, jobs[0]));
    CHECK(reader.job(market.provider, jobs[0]));
    CHECK(reader.job({}, jobs[0]));
    CHECK_FALSE(reader.job({999}, jobs[0]));
    CHECK(reader.requests(market.developer, {}, {}).rows.size() == 25);
    CHECK(reader.requests(market.developer, {.state = RequestState::resting}, {}).rows.size() == 1);
    CHECK(reader.requests({}, {.market = {1}}, {}).rows.size() == 25);
    CHECK(reader.requests({}, {.market = {2}}, {}).rows.empty());
    CHECK(reader.requests(market.provider, {}, {}).rows.empty());
    CHECK_FALSE(reader.request(market.provider, resting));
    CHECK(reader.request({}, resting));
    const auto receipt = reader.receipt(JobId{24});
    REQUIRE(receipt);
    CHECK(receipt->document == "{\"receipt\":true}");
    CHECK(receipt->receipt_hash == std::string(64, 'd'));
    CHECK_FALSE(reader.receipt(JobId{24}, 5));

    // The statement: lines of both sides, in order, in pages, by instants.
    std::vector<StatementLine> lines;
    EntryKey after;
    while (true) {
        auto page = reader.statement(market.developer, {}, {}, after, 10);
        for (StatementLine& line : page.rows) lines.push_back(std::move(line));
        if (!page.more) break;
        after = lines.back().key;
    }
    std::int64_t available = 0;
    for (const StatementLine& line : lines) {
        if (line.posting.to == market.developer && line.posting.to_bucket == Bucket::available)
            available += line.posting.amount.value;
        if (line.posting.from == market.developer && line.posting.from_bucket == Bucket::available)
            available -= line.posting.amount.value;
    }
    CHECK(available == state.accounts.find(market.developer)->account.balances[0].value);
    CHECK(std::ranges::is_sorted(lines, {}, &StatementLine::key));
    CHECK(std::ranges::count(lines, std::string(64, 'd'), &StatementLine::receipt_hash) >= 1);
    const Instant cut = lines[5].at;
    CHECK(reader.statement(market.developer, {}, cut, {}, 100).rows.size() == 5);
    CHECK(reader.statement(market.developer, cut, {}, {}, 100).rows.size() == lines.size() - 5);
    CHECK(reader.statement(market.provider, {}, {}, {}, 100).rows.size() == 1);
}

TEST_CASE("reader: market data") {
    Database database;
    TestMarket market{database};
    market.furnish();
    for (int count = 0; count < 10; ++count) market.matched();
    PlaceRequest dear = market.request();
    dear.request.cap_total = {1};
    market.send(dear, market.developer, "unmatched");
    market.project();
    Pool pool{database.options(), 1};
    Reader reader{pool};
    const auto markets = reader.markets();
    REQUIRE(markets.size() == 1);
    CHECK(markets[0].offers == 1);
    CHECK(markets[0].slots_used == 10);
    CHECK(markets[0].tiers == tier_bit(Tier::tdx_gpu_cc));
    CHECK(markets[0].best_price ==
          PriceVector{{1'000'000'000}, {500'000'000}, {2'000'000'000}, {2'000'000'000}, {100}, {}});
    // 1000 prompt at 1e9, 500 completion at 2e9 per million, 100 per request: over 1500 tokens.
    const Nano price{(1'000LL * 1'000'000'000 + 500LL * 2'000'000'000 + 100 * 1'000'000) / 1'500};
    CHECK(markets[0].last_unit_price == price);
    CHECK(reader.market("inference:llama"));
    CHECK_FALSE(reader.market("inference:llama' or ''='"));
    const MarketId id = markets[0].market.id;
    const auto trades = reader.trades(id, {.before = 0, .rows_max = 4});
    CHECK(trades.more);
    CHECK(trades.rows.at(0).number > trades.rows.at(3).number);
    CHECK(trades.rows.at(0).unit_price == price);
    const Instant from = market.now - hours(1), to = market.now + hours(1);
    for (const Duration interval : {minutes(1), hours(1), days(1)}) {
        std::int64_t count = 0, volume_sum = 0;
        for (const CandleRow& candle : reader.candles(id, interval, from, to)) {
            count += candle.count;
            volume_sum += candle.volume;
            CHECK(candle.from.us % interval.us == 0);
            CHECK(candle.open == price);
            CHECK(candle.low == price);
        }
        CHECK(count == 10);
        CHECK(volume_sum == 15'000);
    }
    CHECK(reader.percentiles(id, from, to).count == 10);
    CHECK(reader.percentiles(id, from, to).p50 == price);
    CHECK(reader.percentiles({9}, from, to).count == 0);
    DemandRow sum;
    for (const DemandRow& row : reader.demand(id, from, to)) {
        sum.placed += row.placed;
        sum.matched += row.matched;
        sum.unmatched += row.unmatched;
        sum.wanted += row.wanted;
        sum.unmet += row.unmet;
    }
    CHECK(sum.matched == 10);
    CHECK(sum.placed - sum.unmatched == 10);
    CHECK(sum.wanted - sum.unmet == 15'000);
    database.execute(
        "insert into price_histogram select 9, 0, p, 1 from generate_series(1, 100) p");
    Reader later{[&]() -> Pool& {
        static Pool other{database.options(), 1};
        return other;
    }()};
    const PercentileRow hundred = later.percentiles({9}, {0}, {1});
    CHECK(hundred.p10.value == 10);
    CHECK(hundred.p50.value == 50);
    CHECK(hundred.p90.value == 90);
}

TEST_CASE("reader: sums of ended jobs by day, market, node and key, for buyer and seller") {
    Database database;
    TestMarket market{database};
    market.furnish();
    market.live_a_little();
    market.project();
    Pool pool{database.options(), 1};
    Reader reader{pool};
    const Instant from = market.now - hours(1), to = market.now + hours(1);
    Nano captured;
    market.writer->state().jobs.for_each(
        [&](const auto& entry) { captured.value += entry.job.captured.value; });
    const struct {
        UsageGroup group;
        std::string name;
    } groups[] = {
        {UsageGroup::day, "2026-09-21"},
        {UsageGroup::market, "inference:llama"},
        {UsageGroup::node, std::to_string(market.node.value)},
        {UsageGroup::key, std::to_string(market.key.value)},
    };
    for (const auto& [group, name] : groups) {
        CAPTURE(name);
        const auto bought = reader.usage_bought(market.developer, group, from, to);
        const auto sold = reader.usage_sold(market.provider, group, from, to);
        REQUIRE(bought.size() == 1);
        REQUIRE(sold.size() == 1);
        CHECK(bought[0].name == name);
        CHECK(sold[0].name == name);
        CHECK(bought[0].jobs == 3);  // the open one is in no sum
        CHECK(bought[0].completed == 3);
        CHECK(bought[0].usage == QuantityVector{.prompt = 2'700, .completion = 300, .requests = 3});
        CHECK(bought[0].captured == captured);
        CHECK(sold[0].captured == captured);
        CHECK(sold[0].fee == bought[0].fee);
        CHECK(reader.usage_sold(market.developer, group, from, to).empty());
        CHECK(reader.usage_bought(market.provider, group, from, to).empty());
        CHECK(reader.usage_bought(market.developer, group, to, to + hours(1)).empty());
    }
}

TEST_CASE("reader: the network by tier, region and GPU") {
    Database database;
    TestMarket market{database};
    market.furnish();
    market.project();
    Pool pool{database.options(), 1};
    Reader reader{pool};
    const auto now = reader.network(market.now);
    REQUIRE(now.size() == 1);
    CHECK(now[0].tier == Tier::tdx_gpu_cc);
    CHECK(now[0].region == "eu-west");
    CHECK(now[0].gpu_model == "H100");
    CHECK(now[0].nodes == 1);
    CHECK(now[0].available == 1);
    CHECK(now[0].gpus_available == 8);
    const auto later = reader.network(market.now + days(31));  // the evidence has ended
    REQUIRE(later.size() == 1);
    CHECK(later[0].available == 0);
    CHECK(later[0].gpus == 8);
    CHECK(later[0].gpus_available == 0);
    const struct {
        NodeFilter filter;
        std::size_t nodes;
    } rows[] = {
        {{.tier = Tier::tdx_gpu_cc}, 1},
        {{.tier = Tier::snp}, 0},
        {{.region = "eu-west"}, 1},
        {{.region = "eu-west' or ''='"}, 0},
        {{.tier = Tier::tdx_gpu_cc, .region = "us-east"}, 0},
    };
    for (const auto& row : rows) CHECK(reader.nodes(row.filter, {}).rows.size() == row.nodes);
}

TEST_CASE("reader: the feed names the accounts of each event and keeps tenants apart") {
    Database database;
    TestMarket market{database};
    market.furnish();
    market.live_a_little();
    market.project();
    Pool pool{database.options(), 2};
    Reader reader{pool};
    const Feed everything = reader.feed({}, 0, 10'000);
    CHECK_FALSE(everything.more);
    CHECK(everything.scanned_to == reader.as_of());
    std::size_t developers = 0;
    for (const FeedEvent& event : everything.events) {
        if (std::holds_alternative<JobEnded>(event.event)) {
            CHECK(event.account == market.developer);
            CHECK(event.provider == market.provider);
        }
        if (std::holds_alternative<NodePresence>(event.event))
            CHECK(event.provider == market.provider);
        developers +=
            event.account == market.developer || event.provider == market.developer ? 1 : 0;
        CHECK(reader.event_at(event.key)->event.index() == event.event.index());
    }
    CHECK(reader.feed(market.developer, 0, 10'000).events.size() == developers);
    CHECK(reader.feed({999}, 0, 10'000).events.empty());
    CHECK_FALSE(reader.event_at({reader.as_of() + 1, 0}));
    CHECK_FALSE(reader.event_at({1, 99}));
    Feed part = reader.feed(market.developer, 0, 3);
    std::size_t total = part.events.size();
    while (part.more) {
        part = reader.feed(market.developer, part.scanned_to, 3);
        total += part.events.size();
    }
    CHECK(total == developers);
}

TEST_CASE("outbox: deliveries move with the cursor, come due, are tried, given up and sent again") {
    Database database;
    Pool pool{database.options(), 2};
    Outbox outbox{pool};
    CHECK(outbox.cursor() == 0);
    const Instant now{1'000'000};
    const Delivery one{.account = {},
                       .webhook = {1},
                       .key = {4, 0},
                       .attempts = 0,
                       .next_attempt_at = now,
                       .ended_at = {},
                       .status = 0,
                       .failure = {}};
    Delivery two = one;
    two.key.ordinal = 1;
    two.next_attempt_at = now + seconds(1);
    const Delivery both[] = {one, two};
    CHECK(outbox.advance(0, 5, both));
    CHECK_FALSE(outbox.advance(0, 5, both));
    CHECK(outbox.cursor() == 5);
    const auto due = [&](Instant at) { return outbox.due({at, 10, 10, {}}); };
    REQUIRE(due(now).size() == 1);
    Delivery tried = due(now)[0];
    tried.attempts = 1;
    tried.status = 503;
    tried.failure = "HTTP 503";
    tried.next_attempt_at = now + minutes(1);
    outbox.record(tried);
    CHECK(due(now).empty());
    tried.attempts = 2;
    tried.next_attempt_at = {};
    tried.ended_at = now + seconds(9);
    outbox.record(tried);  // given up
    CHECK(due(now + days(1)).size() == 1);
    two.ended_at = now;
    two.next_attempt_at = {};
    two.status = 200;
    outbox.record(two);
    CHECK(due(now + days(1)).empty());
    const auto recent = outbox.recent({1}, 10);
    REQUIRE(recent.size() == 2);
    CHECK(recent[0].status == 200);
    CHECK(recent[1].failure == "HTTP 503");
    CHECK(outbox.redeliver({1}, {}, now) == 1);
    CHECK(due(now).size() == 1);
    CHECK(outbox.forget(now, 10) == 0);
    CHECK(outbox.forget(now + days(1), 10) == 1);  // only what has ended
    CHECK(outbox.recent({1}, 10).size() == 1);
}

TEST_CASE(
    "outbox: the due of each webhook come in turn, and ended ones are forgotten oldest first") {
    Database database;
    TestMarket market{database};
    market.furnish();
    const auto webhook = [&](AccountId account) {
        const Webhook wanted{.id = {},
                             .account = account,
                             .url = "https://example.org",
                             .secret = "whsec",
                             .events = {}};
        return market.must<WebhookAnswer>(PutWebhook{wanted}).webhook;
    };
    const WebhookId busy = webhook(market.developer), quiet = webhook(market.provider), gone{99};
    market.project();
    Pool pool{database.options(), 2};
    Outbox outbox{pool};
    const Instant now{1'000'000'000};
    std::vector<Delivery> all;
    const auto add = [&](WebhookId id, std::uint32_t ordinal, Instant at) {
        Delivery delivery;
        delivery.webhook = id;
        delivery.key = {4, ordinal};
        delivery.next_attempt_at = at;
        all.push_back(delivery);
    };
    for (std::uint32_t i = 0; i < 5; ++i) add(busy, i, now - seconds(60 - i));
    for (std::uint32_t i = 0; i < 2; ++i) add(quiet, i, now - seconds(2 - i));
    add(gone, 0, now);
    add(gone, 1, now + seconds(1));
    REQUIRE(outbox.advance(0, 5, all));

    const auto names = [&](std::uint32_t rows, std::uint32_t each, std::vector<AccountId> passed) {
        std::string text;
        for (const Delivery& delivery : outbox.due({now, rows, each, std::move(passed)})) {
            text += delivery.webhook == busy ? 'b' : delivery.webhook == quiet ? 'q' : 'g';
            text += std::to_string(delivery.key.ordinal) + ' ';
            const AccountId owner = delivery.webhook == busy    ? market.developer
                                    : delivery.webhook == quiet ? market.provider
                                                                : AccountId{};
            CHECK(delivery.account == owner);
        }
        return text;
    };
    CHECK(names(100, 100, {}) == "b0 q0 g0 b1 q1 b2 b3 b4 ");
    CHECK(names(100, 2, {}) == "b0 q0 g0 b1 q1 ");
    CHECK(names(2, 100, {}) == "b0 q0 ");
    CHECK(names(100, 1, {market.developer}) == "q0 g0 ");
    CHECK(names(100, 1, {market.developer, market.provider, AccountId{}}) == "");

    for (std::uint32_t i = 0; i < 5; ++i) {
        all[i].next_attempt_at = {};
        all[i].ended_at = now + seconds(i);
        outbox.record(all[i]);
    }
    CHECK(outbox.forget(now + seconds(4), 3) == 3);
    CHECK(outbox.forget(now + seconds(4), 3) == 1);
    CHECK(outbox.forget(now + seconds(4), 3) == 0);
    REQUIRE(outbox.recent(busy, 10).size() == 1);
    CHECK(outbox.recent(busy, 10)[0].key.ordinal == 4);
}
