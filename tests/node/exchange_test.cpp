#include "tests/catch.hpp"

#include <sys/stat.h>

#include <fstream>

#include "net/worker_pool.hpp"
#include "node/files.hpp"
#include "node/metering.hpp"
#include "sealing/receipt.hpp"
#include "tests/node/helpers.hpp"

using namespace cocoon;
using namespace cocoon::node;
using node::test::Ask;
using sealing::Json;

namespace {

// Takes what an exchange sends; stops taking after `takes` pieces, if that is not negative.
class Collector final : public Outlet {
public:
    bool send_sealed(ByteView bytes) override {
        if (takes == 0) {
            token.cancel();
            return false;
        }
        if (takes > 0) --takes;
        sealed.insert(sealed.end(), bytes.begin(), bytes.end());
        return true;
    }
    void send_end(const std::string& document) override {
        receipt = document;
        ++ends;
    }
    void send_failed(const FailedFrame& frame) override {
        failed = frame;
        ++ends;
    }
    bool cancelled() const override { return token.cancelled(); }

    net::CancelToken token;
    int takes = -1;
    int ends = 0;
    Bytes sealed;
    std::string receipt;
    std::optional<FailedFrame> failed;
};

class FixedClock final : public Clock {
public:
    Instant now() const override { return at; }
    Instant at{1'800'000'000'000'000};
};

struct Bench {
    explicit Bench(demo::Options options = {})
        : engine_thread{std::move(options)},
          settings{test::settings_for(engine_thread.url(), scratch.path(), "http://127.0.0.1:1")},
          keyring{sealing::SigningKey::generate(), "node_4"},
          receipts{scratch.path() + "/receipts"},
          engine{*Engine::open(settings.engine, 4)},
          parts{settings, "node_4", keyring, replays, receipts, *engine, clock} {
        REQUIRE(receipts.load(clock.at));
        rotate();
    }
    void rotate() {
        keys = *keyring.make(clock.at, hours(12));
        keyring.adopt(keys);
    }
    test::SealedAsk seal(const Ask& ask) { return test::seal(ask, keys->gateway.config); }
    void serve(const test::SealedAsk& sealed, Collector& outlet) {
        serve_exchange(parts, sealed.open, sealed.bytes, outlet, outlet.token);
    }
    sealing::JobReceipt verified(const std::string& document) {
        const auto verdict = sealing::verify_job_receipt(document, keys->keyset);
        REQUIRE(verdict);
        return *verdict.receipt().job;
    }

    test::ScratchDirectory scratch;
    test::EngineThread engine_thread;
    Settings settings;
    FixedClock clock;
    Keyring keyring;
    ReplayMemory replays;
    ReceiptBook receipts;
    std::unique_ptr<Engine> engine;
    ExchangeParts parts;
    std::shared_ptr<const KeysetKeys> keys;
};

std::string streaming(const std::string& extra = {}) {
    return R"({"model":"demo-small","stream":true,"messages":[{"role":"user","content":"Hello there"}])" +
           extra + "}";
}

}  // namespace

TEST_CASE("a sealed request is answered, and its receipt says what anybody can check") {
    struct Row {
        const char* why;
        std::string path;
        std::string body;
        bool usage_chunk;
        bool streamed;
    };
    const Row rows[] = {
        {"whole chat", "/v1/chat/completions", Ask{}.body, false, false},
        {"stream", "/v1/chat/completions", streaming(), false, true},
        {"stream with usage", "/v1/chat/completions",
         streaming(R"(,"stream_options":{"include_usage":true})"), true, true},
        {"text", "/v1/completions", R"({"model":"demo-small","prompt":"Once"})", false, false},
        {"embeddings", "/v1/embeddings", R"({"model":"demo-small","input":"some words"})", false,
         false},
    };
    for (const bool continuous : {true, false}) {
        Bench bench;
        bench.settings.engine.continuous_usage = continuous;
        std::uint64_t job = 10;
        for (const Row& row : rows) {
            INFO(row.why << (continuous ? ", running usage" : ""));
            Ask ask;
            ask.job = ask.cocoon_job = "job_" + std::to_string(++job);
            ask.path = row.path;
            ask.body = row.body;
            const auto sealed = bench.seal(ask);
            Collector outlet;
            bench.serve(sealed, outlet);
            REQUIRE(outlet.ends == 1);
            REQUIRE(!outlet.failed);
            const auto answer = test::unseal(*sealed.opener, outlet.sealed);
            REQUIRE(answer);
            CHECK(answer->status == 200);
            const std::string text{as_text(answer->content)};
            CHECK((text.find("\"usage\"") != std::string::npos) ==
                  (!row.streamed || row.usage_chunk));
            if (row.streamed) CHECK(text.ends_with("data: [DONE]\n\n"));
            const auto receipt = bench.verified(outlet.receipt);
            CHECK(receipt.job == ask.job);
            CHECK(receipt.receipt_id == ask.job);
            CHECK(receipt.request == "req_3");
            CHECK(receipt.node == "node_4");
            CHECK(receipt.market == "inference:demo-small");
            CHECK(receipt.endpoint == row.path);
            CHECK(receipt.prices == ask.price);
            CHECK(receipt.status == sealing::ReceiptStatus::completed);
            CHECK(receipt.sealed_request_sha256 == sealing::sha256(sealed.bytes));
            CHECK(receipt.sealed_response_sha256 == sealing::sha256(outlet.sealed));
            CHECK(receipt.usage.requests == 1);
            CHECK(receipt.usage.prompt > 0);
            CHECK((receipt.usage.completion > 0) == (row.path != "/v1/embeddings"));
            CHECK(receipt.cost == *cost_of(receipt.prices, receipt.usage));
        }
        CHECK(bench.receipts.pending_count() == std::size(rows));
        CHECK(bench.replays.entries() == std::size(rows));
    }
}

TEST_CASE("what the engine gets: the bound, the model's name, everything else untouched") {
    InferenceRules rules;
    rules.job = "job_9";
    rules.model = "m";
    rules.build = "b1";
    rules.engine_model = "engine/m";
    rules.quantity = {100, 0, 60, 40, 1, 0};
    const auto ask = [&](const std::string& path, const std::string& body,
                         const std::string& job = "job_9", const std::string& method = "POST") {
        sealing::bhttp::Request request;
        request.method = method;
        request.path = path;
        request.fields = {{"cocoon-job", job}};
        return prepare(request, as_bytes(body), rules);
    };
    const std::string usage =
        R"("stream_options":{"include_usage":true,"continuous_usage_stats":true})";
    struct Good {
        const char* path;
        std::string body;
        std::string sent;
    };
    const Good good[] = {
        {"/v1/chat/completions", R"({"model":"m","x":{"y":1.50}})",
         R"({"model":"engine/m","x":{"y":1.50},"max_tokens":100})"},
        {"/v1/chat/completions", R"({"model":"m@b1","max_tokens":100})",
         R"({"model":"engine/m","max_tokens":100})"},
        {"/v1/chat/completions", R"({"model":"m","max_completion_tokens":7})",
         R"({"model":"engine/m","max_completion_tokens":7})"},
        {"/v1/chat/completions", R"({"model":"m","n":4})",
         R"({"model":"engine/m","n":4,"max_tokens":25})"},
        {"/v1/chat/completions", R"({"model":"m","max_tokens":null,"stream":true})",
         R"({"model":"engine/m","max_tokens":100,"stream":true,)" + usage + "}"},
        {"/v1/chat/completions",
         R"({"model":"m","max_tokens":1,"stream":true,"stream_options":{"chunk_include_usage":false}})",
         R"({"model":"engine/m","max_tokens":1,"stream":true,"stream_options":{"chunk_include_usage":false,"include_usage":true,"continuous_usage_stats":true}})"},
        {"/v1/completions", R"({"model":"m","prompt":"x"})",
         R"({"model":"engine/m","prompt":"x","max_tokens":16})"},
        {"/v1/completions", R"({"model":"m","prompt":["x","y"],"max_tokens":50})",
         R"({"model":"engine/m","prompt":["x","y"],"max_tokens":50})"},
        {"/v1/completions", R"({"model":"m","prompt":[1,2,3],"max_tokens":100})",
         R"({"model":"engine/m","prompt":[1,2,3],"max_tokens":100})"},
        {"/v1/embeddings", R"({"model":"m","input":"x"})", R"({"model":"engine/m","input":"x"})"},
    };
    for (const Good& row : good) {
        INFO(row.body);
        const auto prepared = ask(row.path, row.body);
        REQUIRE(std::holds_alternative<EngineRequest>(prepared));
        CHECK(std::get<EngineRequest>(prepared).body == row.sent);
    }
    struct Bad {
        const char* path;
        std::string body;
        int status;
        const char* code;
    };
    const Bad bad[] = {
        {"/v1/models", "{}", 404, "unknown_url"},
        {"/v1/chat/completions?x=1", R"({"model":"m"})", 404, "unknown_url"},
        {"/v1/chat/completions", "{", 400, "invalid_json"},
        {"/v1/chat/completions", "[]", 400, "invalid_json"},
        {"/v1/chat/completions", R"({"model":"m","model":"m"})", 400, "invalid_json"},
        {"/v1/chat/completions", R"({"model":"other"})", 404, "model_not_found"},
        {"/v1/chat/completions", "{}", 404, "model_not_found"},
        {"/v1/chat/completions", R"({"model":"m","max_tokens":101})", 400, "quantity_exceeded"},
        {"/v1/chat/completions", R"({"model":"m","max_tokens":1,"max_completion_tokens":101})", 400,
         "quantity_exceeded"},
        {"/v1/chat/completions", R"({"model":"m","n_predict":-1})", 400, "invalid_value"},
        {"/v1/chat/completions", R"({"model":"m","max_new_tokens":500})", 400, "quantity_exceeded"},
        {"/v1/chat/completions", R"({"model":"m","max_tokens":"9"})", 400, "invalid_value"},
        {"/v1/chat/completions", R"({"model":"m","n":0})", 400, "invalid_value"},
        {"/v1/chat/completions", R"({"model":"m","n":101})", 400, "quantity_exceeded"},
        {"/v1/completions", R"({"model":"m","prompt":["x","y"],"max_tokens":51})", 400,
         "quantity_exceeded"},
        {"/v1/chat/completions", R"({"model":"m","stream":1})", 400, "invalid_value"},
        {"/v1/chat/completions", R"({"model":"m","stream":true,"stream_options":[]})", 400,
         "invalid_value"},
        {"/v1/chat/completions",
         R"({"model":"m","messages":[{"role":"user","content":")" + std::string(6401, 'x') +
             R"("}]})",
         400, "quantity_exceeded"},
        {"/v1/embeddings",
         R"({"model":"m","input":[)" +
             [] {
                 std::string many = "1";
                 for (int i = 0; i < 100; ++i) many += ",1";
                 return many;
             }() +
             "]}",
         400, "quantity_exceeded"},
    };
    for (const Bad& row : bad) {
        INFO(row.path << " " << row.body.substr(0, 200));
        const auto prepared = ask(row.path, row.body);
        REQUIRE(std::holds_alternative<InferenceRefusal>(prepared));
        CHECK(std::get<InferenceRefusal>(prepared).status == row.status);
        CHECK(std::get<InferenceRefusal>(prepared).code == row.code);
        CHECK(Json::parse(std::get<InferenceRefusal>(prepared).body()));
    }
    CHECK(
        std::get<InferenceRefusal>(ask("/v1/chat/completions", R"({"model":"m"})", "job_8")).code ==
        "wrong_job");
    CHECK(
        std::get<InferenceRefusal>(ask("/v1/chat/completions", R"({"model":"m"})", "job_9", "GET"))
            .status == 405);
}

TEST_CASE("refusals of the node and the engine's 400 reach the client sealed, and cost nothing") {
    Bench bench;
    struct Row {
        std::string body;
        int status;
        const char* code;
    };
    const Row rows[] = {
        {R"({"model":"other"})", 404, "model_not_found"},
        {R"({"model":"demo-small","messages":[]})", 400, "invalid_value"},
        {R"({"model":"demo-small","stream":true,"messages":[]})", 400, "invalid_value"}};
    std::uint64_t job = 1;
    for (const Row& row : rows) {
        Ask ask;
        ask.job = ask.cocoon_job = "job_" + std::to_string(job++);
        ask.body = row.body;
        const auto sealed = bench.seal(ask);
        Collector outlet;
        bench.serve(sealed, outlet);
        REQUIRE(!outlet.receipt.empty());
        const auto answer = test::unseal(*sealed.opener, outlet.sealed);
        REQUIRE(answer);
        CHECK(answer->status == row.status);
        CHECK(Json::parse(as_text(answer->content))->find("error")->text_at("code") == row.code);
        const auto receipt = bench.verified(outlet.receipt);
        CHECK(receipt.status == sealing::ReceiptStatus::failed);
        CHECK(receipt.cost == Nano{0});
        CHECK(receipt.usage == sealing::ReceiptUsage{});
    }
}

TEST_CASE("terms, keys and replays are checked before the engine hears anything") {
    Bench bench;
    struct Row {
        const char* why;
        Ask ask;
        const char* code;
    };
    Ask other_market;
    other_market.terms_override = test::terms_of(Ask{}, "inference:other");
    Ask other_job;
    Ask as_job_8;
    as_job_8.job = "job_8";
    other_job.terms_override = test::terms_of(as_job_8);
    Ask other_price;
    Ask cheap;
    cheap.price.prompt = 1;
    other_price.terms_override = test::terms_of(cheap);
    Ask more;
    Ask greedy;
    greedy.quantity.completion = 501;
    more.terms_override = test::terms_of(greedy);
    Ask fenced;
    Ask older;
    older.fencing_token = 4;
    fenced.terms_override = test::terms_of(older);
    Ask spaced;
    spaced.terms_override = " " + test::terms_of(Ask{});
    Ask widened;
    widened.terms_override = test::terms_of(Ask{});
    widened.terms_override.insert(1, R"("a":1,)");
    Ask expired;
    expired.expires_at = Instant{1'700'000'000'000'000};
    const Row rows[] = {{"market", other_market, "wrong_state"},
                        {"job", other_job, "wrong_state"},
                        {"price", other_price, "wrong_state"},
                        {"quantity", more, "wrong_state"},
                        {"fencing", fenced, "stale_fencing_token"},
                        {"canonical", spaced, "malformed_request"},
                        {"unknown member", widened, "malformed_request"},
                        {"expired", expired, "reservation_expired"}};
    for (const Row& row : rows) {
        INFO(row.why);
        Collector outlet;
        bench.serve(bench.seal(row.ask), outlet);
        REQUIRE(outlet.failed);
        CHECK(outlet.failed->code == row.code);
        CHECK(!outlet.failed->started);
        CHECK(outlet.failed->receipt.empty());
    }
    // Terms that pass every comparison but were not the ones sealed: the keys differ.
    Ask shifted;
    Ask later;
    later.expires_at = Instant{4'102'444'801'000'000};
    shifted.terms_override = test::terms_of(later);
    Collector unopened;
    bench.serve(bench.seal(shifted), unopened);
    REQUIRE(unopened.failed);
    CHECK(unopened.failed->code == "sealed_message_invalid");
    // Keys of a former life.
    auto former = test::seal(Ask{}, bench.keys->gateway.config);
    former.bytes[0] = static_cast<std::uint8_t>(former.bytes[0] + 77);
    Collector unknown;
    bench.serve(former, unknown);
    REQUIRE(unknown.failed);
    CHECK(unknown.failed->code == "node_unavailable");
    // A truncated request.
    auto cut = bench.seal(Ask{});
    cut.bytes.pop_back();
    Collector truncated;
    bench.serve(cut, truncated);
    REQUIRE(truncated.failed);
    CHECK(truncated.sealed.empty());
    CHECK(bench.receipts.pending_count() == 0);
}

TEST_CASE("a sealed request is answered once, in a session too") {
    Bench bench;
    Ask ask;
    ask.session = true;
    const auto sealed = bench.seal(ask);
    Collector first;
    bench.serve(sealed, first);
    CHECK(!first.failed);
    Collector again;
    bench.serve(sealed, again);
    REQUIRE(again.failed);
    CHECK(again.failed->code == "sealed_message_invalid");
    // A job that is no session is answered once for each reservation, however it is sealed.
    Ask single;
    single.job = single.cocoon_job = "job_11";
    Collector once;
    bench.serve(bench.seal(single), once);
    CHECK(!once.failed);
    Collector twice;
    bench.serve(bench.seal(single), twice);
    REQUIRE(twice.failed);
    CHECK(twice.failed->code == "wrong_state");
    single.fencing_token = 6;
    Collector rematched;
    bench.serve(bench.seal(single), rematched);
    CHECK(!rematched.failed);
    single.fencing_token = 5;
    Collector stale;
    bench.serve(bench.seal(single), stale);
    REQUIRE(stale.failed);
    CHECK(stale.failed->code == "stale_fencing_token");
}

TEST_CASE("the memory of requests is bounded and is emptied with the keysets") {
    ReplayMemory memory{2};
    sealing::PublicKey key{};
    CHECK(memory.admit(key, "a"));
    CHECK(memory.admit(key, "b"));
    CHECK(memory.admit(key, "a").error().code == ErrorCode::sealed_message_invalid);
    key[0] = 1;
    CHECK(memory.admit(key, "a").error().code == ErrorCode::overloaded);
    memory.forget_keysets_except({"a"});
    CHECK(memory.entries() == 1);
    CHECK(memory.admit(key, "a"));
    CHECK(memory.admit_job("job_1", 1, false, Instant{10}));
    CHECK(memory.admit_job("job_2", 1, false, Instant{20}));
    CHECK(memory.admit_job("job_3", 1, false, Instant{30}).error().code == ErrorCode::overloaded);
    memory.forget_jobs(Instant{15});
    CHECK(memory.admit_job("job_3", 1, false, Instant{30}));
}

TEST_CASE("old keys open until they end, and receipts are signed for the keyset that was used") {
    Bench bench;
    const auto old = bench.keys;
    const auto sealed = bench.seal(Ask{});
    bench.rotate();
    Collector outlet;
    bench.serve(sealed, outlet);
    REQUIRE(!outlet.receipt.empty());
    CHECK(sealing::verify_job_receipt(outlet.receipt, old->keyset));
    CHECK(!sealing::verify_job_receipt(outlet.receipt, bench.keys->keyset));
    Ask later;
    later.job = later.cocoon_job = "job_12";
    const auto late = test::seal(later, old->gateway.config);
    bench.clock.at = bench.clock.at + hours(12);
    bench.rotate();
    Collector refused;
    bench.serve(late, refused);
    REQUIRE(refused.failed);
    CHECK(refused.failed->code == "node_unavailable");
    bench.keyring.forget_ended(bench.clock.at);
    CHECK(bench.keyring.openers(bench.clock.at).size() == 1);
}

TEST_CASE(
    "an engine that fails: before output the job is free to go elsewhere, after it a partial "
    "receipt") {
    for (const bool stream : {true, false}) {
        demo::Options options;
        options.fail_after = 0;
        Bench bench{options};
        Ask ask;
        if (stream) ask.body = streaming();
        Collector outlet;
        bench.serve(bench.seal(ask), outlet);
        REQUIRE(outlet.failed);
        CHECK(outlet.failed->code == "upstream_failed");
        CHECK(!outlet.failed->started);
        CHECK(outlet.failed->receipt.empty());
        CHECK(outlet.sealed.empty());
    }
    for (const bool continuous : {true, false}) {
        demo::Options options;
        options.fail_after = 5;  // the role and four words
        Bench bench{options};
        bench.settings.engine.continuous_usage = continuous;
        Ask ask;
        ask.body = streaming();
        const auto sealed = bench.seal(ask);
        Collector outlet;
        bench.serve(sealed, outlet);
        REQUIRE(outlet.failed);
        CHECK(outlet.failed->started);
        const auto answer = test::unseal(*sealed.opener, outlet.sealed);
        REQUIRE(!answer);  // never a short answer
        CHECK(answer.error().code == ErrorCode::stream_truncated);
        const auto receipt = bench.verified(outlet.failed->receipt);
        CHECK(receipt.status == sealing::ReceiptStatus::partial);
        CHECK(receipt.sealed_response_sha256 == sealing::sha256(outlet.sealed));
        CHECK(receipt.usage.completion == 4);
        CHECK((receipt.usage.prompt > 0) == continuous);  // only what can be shown
        CHECK(receipt.cost == *cost_of(receipt.prices, receipt.usage));
    }
    Bench bench;
    bench.settings.offers[0].market = "inference:elsewhere";
    Collector moved;
    bench.serve(bench.seal(Ask{}), moved);
    REQUIRE(moved.failed);
    CHECK(moved.failed->code == "node_unavailable");
}

TEST_CASE("a cancelled exchange stops the engine and bills what was taken") {
    demo::Options options;
    options.token_delay = milliseconds(1);
    Bench bench{options};
    Ask ask;
    ask.quantity.completion = 30'000;
    ask.body =
        R"({"model":"demo-small","stream":true,"messages":[{"role":"user","content":"write 30000 words"}]})";
    const auto sealed = bench.seal(ask);
    Collector outlet;
    outlet.takes = 4;
    bench.serve(sealed, outlet);
    REQUIRE(outlet.failed);
    CHECK(outlet.failed->started);
    const auto receipt = bench.verified(outlet.failed->receipt);
    CHECK(receipt.status == sealing::ReceiptStatus::partial);
    CHECK(receipt.sealed_response_sha256 == sealing::sha256(outlet.sealed));
    CHECK(receipt.usage.completion > 0);
    CHECK(receipt.usage.completion < 100);
    CHECK(test::eventually([&] { return bench.engine_thread.hang_ups() == 1; }));
}

TEST_CASE("usage beyond the reservation is not billed") {
    Bench bench;
    Ask ask;
    ask.quantity = {5, 0, 500,
                    0, 1, 0};  // the prompt takes more, and the engine only says so afterwards
    Collector outlet;
    bench.serve(bench.seal(ask), outlet);
    const auto receipt = bench.verified(outlet.receipt);
    CHECK(receipt.usage.prompt == 5);
    CHECK(fits(receipt.usage, ask.quantity));
}

TEST_CASE("a session's receipts count up and add up, also across a restart") {
    Bench bench;
    sealing::ReceiptUsage sum;
    Nano cost;
    for (std::uint64_t n = 1; n <= 4; ++n) {
        Ask ask;
        ask.session = true;
        Collector outlet;
        if (n == 3) {  // another process finds what this one left
            ReceiptBook reopened{bench.scratch.path() + "/receipts"};
            REQUIRE(reopened.load(bench.clock.at));
            CHECK(reopened.pending_count() == 2);
            ExchangeParts parts{bench.settings, "node_4",      bench.keyring, bench.replays,
                                reopened,       *bench.engine, bench.clock};
            const auto sealed = bench.seal(ask);
            serve_exchange(parts, sealed.open, sealed.bytes, outlet, outlet.token);
            REQUIRE(bench.receipts.load(bench.clock.at));
        } else {
            bench.serve(bench.seal(ask), outlet);
        }
        const auto receipt = bench.verified(outlet.receipt);
        CHECK(receipt.session_counter == n);
        CHECK(receipt.receipt_id == "job_9." + std::to_string(n));
        sum = sum_of(sum, receipt.usage);
        cost += receipt.cost;
        CHECK(receipt.cumulative_usage == sum);
        CHECK(receipt.cumulative_cost == cost);
    }
    bench.receipts.make_durable();
    bench.receipts.acknowledge("job_9", 3);
    const auto left = bench.receipts.pending(Instant{INT64_MAX});
    REQUIRE(left.size() == 1);
    CHECK(left[0].counter == 4);
    bench.receipts.acknowledge("job_9", 4);
    bench.receipts.forget_sessions(Instant{INT64_MAX});
    CHECK(std::distance(std::filesystem::directory_iterator{bench.scratch.path() + "/receipts"},
                        {}) == 0);
}

TEST_CASE("receipts are kept until acknowledged; damaged files are left alone") {
    Bench bench;
    Collector outlet;
    bench.serve(bench.seal(Ask{}), outlet);
    const std::string directory = bench.scratch.path() + "/receipts";
    REQUIRE(replace_file(directory + "/job_1.0.receipt", "not json", false));
    REQUIRE(replace_file(directory + "/off_1.0.receipt", "{}", false));
    REQUIRE(replace_file(directory + "/job_2.session", "{}", false));
    REQUIRE(replace_file(directory + "/job_9.0.receipt.1.1.new", "{", false));
    ReceiptBook reopened{directory};
    REQUIRE(reopened.load(bench.clock.at));
    const auto pending = reopened.pending(Instant{INT64_MAX});
    REQUIRE(pending.size() == 1);
    CHECK(pending[0].document == outlet.receipt);
    CHECK(reopened.pending(Instant{0}).empty());
    reopened.acknowledge("job_9", 0);
    CHECK(reopened.pending_count() == 0);
    ReceiptBook third{directory};
    REQUIRE(third.load(bench.clock.at));
    CHECK(third.pending_count() == 0);
}

TEST_CASE("nothing of a prompt or an answer reaches the disk") {
    Bench bench;
    Ask ask;
    ask.body =
        R"({"model":"demo-small","messages":[{"role":"user","content":"xyzzy-secret-prompt"}]})";
    Collector outlet;
    bench.serve(bench.seal(ask), outlet);
    REQUIRE(!outlet.receipt.empty());
    CHECK(outlet.receipt.find("xyzzy") == std::string::npos);
    for (const auto& entry : std::filesystem::recursive_directory_iterator{bench.scratch.path()}) {
        if (!entry.is_regular_file()) continue;
        const auto content =
            read_file(entry.path().string(), 1 << 20, true);  // private, each of them
        REQUIRE(content);
        CHECK(content->find("xyzzy") == std::string::npos);
        CHECK(content->find("demo engine") == std::string::npos);
    }
}
