// The server's parts that stand alone: settings, rates, frames, terms, webhooks' signatures,
// metrics.
#include "core/limits.hpp"
#include "core/sign_in_limits.hpp"
#include "server/admission.hpp"
#include "server/config.hpp"
#include "server/metrics.hpp"
#include "server/own_pages.hpp"
#include "server/rate.hpp"
#include "server/relay.hpp"
#include "server/relay_frames.hpp"
#include "server/webhooks.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::server;

namespace {
constexpr Instant start{1'700'000'000'000'000};
const Environment database{{"DATABASE_URL", "postgresql://u:hunter2@h/d"}};
Environment with(std::string name, std::string value) {
    Environment environment = database;
    environment.emplace_back(std::move(name), std::move(value));
    return environment;
}
}  // namespace

TEST_CASE("settings have defaults, and every wrong one is named") {
    const auto plain = read_config(database);
    REQUIRE(plain);
    CHECK(plain->listen_address == "127.0.0.1");
    CHECK(plain->listen_port == 8080);
    CHECK(plain->fee_basis_points == 500);
    CHECK_FALSE(plain->simulated_allowed());
    const struct {
        const char* name;
        const char* value;
    } wrong[] = {
        {"MARKET_LISTEN", "8080"},
        {"MARKET_LISTEN", "::1:80"},
        {"MARKET_LISTEN", "a:70000"},
        {"MARKET_LISTEN", "a:-1"},
        {"MARKET_LISTENN", "x"},
        {"MARKET_", ""},
        {"MARKET_FEE_BASIS_POINTS", "10001"},
        {"MARKET_FEE_BASIS_POINTS", "5e2"},
        {"MARKET_FEE_BASIS_POINTS", ""},
        {"MARKET_SIMULATED_TIER", "yes"},
        {"MARKET_APPROVED_TIERS", "tdx,sgx"},
        {"MARKET_APPROVED_TIERS", ""},
        {"MARKET_PROBATION_JOBS", "-1"},
        {"MARKET_CHAIN", "tonne"},
        {"MARKET_TON_NETWORK", "moon"},
        {"MARKET_TON_NETWORK", "2147483648"},
        {"MARKET_TON_CALLS_PER_SECOND", "0"},
        {"MARKET_WORKERS", "0"},
        {"MARKET_PUBLIC_URL", "market.example"},
        {"MARKET_COLLATERAL_TDX_URL", "file:///etc/hosts"},
        {"MARKET_COLLATERAL_TDX_ROOT_LIST_URL", "root.der"},
        {"MARKET_COLLATERAL_SNP_URL", "kds.example"},
        {"MARKET_COLLATERAL_RIM_URL", "//rim.example"},
        {"MARKET_COLLATERAL_OCSP_URL", "ocsp"},
        {"MARKET_TLS_KEY", "only.pem"},
        {"MARKET_BATCH_COMMANDS_MAX", "5000"},
        {"DATABASE_URL", ""},
    };
    for (const auto& row : wrong) {
        CAPTURE(row.name, row.value);
        const auto config = read_config(with(row.name, row.value));
        REQUIRE_FALSE(config);
        REQUIRE_FALSE(config.error().fields.empty());
        CHECK(config.error().fields[0].path == row.name);
    }
    CHECK_FALSE(read_config({}));  // DATABASE_URL has no default
}

TEST_CASE("addresses with and without brackets") {
    CHECK(read_config(with("MARKET_LISTEN", "[::1]:99"))->listen_address == "::1");
    CHECK(read_config(database)->collateral_tdx_url.empty());  // no vendor is asked unasked
    CHECK(read_config(with("MARKET_COLLATERAL_SNP_URL", "https://kds.example//"))
              ->collateral_snp_url == "https://kds.example");
    CHECK(read_config(with("MARKET_LISTEN", "0.0.0.0:0"))->listen_port == 0);
}

TEST_CASE("a secret is never described") {
    const auto lines = describe_config(with("MARKET_COIN_NAME", "GRAM"));
    REQUIRE(lines.size() == 2);
    for (const auto& line : lines) CHECK(line.find("hunter2") == std::string::npos);
    const auto broken = read_config({{"MARKET_WORKERS", "x"}});
    REQUIRE_FALSE(broken);
    CHECK(config_help().find("MARKET_LISTEN") != std::string::npos);
}

TEST_CASE("a bucket gives its burst, refuses, and fills again") {
    RateTable table{{3, seconds(60)}};
    for (int left = 2; left >= 0; --left) {
        const auto answer = table.take(7, start);
        CHECK(answer.allowed);
        CHECK(answer.remaining == left);
    }
    const auto refused = table.take(7, start);
    CHECK_FALSE(refused.allowed);
    CHECK(refused.retry_after == seconds(20));
    CHECK(table.take(8, start).allowed);  // another caller
    CHECK_FALSE(table.take(7, start + seconds(19)).allowed);
    CHECK(table.take(7, start + seconds(20)).allowed);
    CHECK_FALSE(table.take(7, start + seconds(20)).allowed);
    CHECK(table.look(7, start + minutes(5)).remaining == 3);
}

TEST_CASE("a full table slows the rest together instead of growing") {
    RateTable table{{1, seconds(60)}, 1'024};
    for (std::uint64_t caller = 0; caller < 5'000; ++caller) table.take(caller, start);
    CHECK(table.entries() <= 1'024);
    CHECK_FALSE(table.take(99'999, start).allowed);
    CHECK(table.take(99'999, start + minutes(2)).allowed);  // quiet buckets were dropped
}

TEST_CASE("addresses share buckets as people share addresses") {
    CHECK(address_bucket("192.0.2.1") != address_bucket("192.0.2.2"));
    CHECK(address_bucket("192.0.2.1") == address_bucket("::ffff:192.0.2.1"));
    CHECK(address_bucket("2001:db8:1:2::1") == address_bucket("2001:db8:1:2:ffff::9"));
    CHECK(address_bucket("2001:db8:1:2::1") != address_bucket("2001:db8:1:3::1"));
    CHECK(address_bucket("nonsense") == 0);
}

TEST_CASE("frames survive the way there and back, and nothing else is a frame") {
    const std::string message = make_frame(FrameType::response_data, 0x0102030405060708ull, "abc");
    CHECK(message.substr(0, 9) == std::string("\x11\x01\x02\x03\x04\x05\x06\x07\x08", 9));
    const auto frame = parse_frame(message);
    REQUIRE(frame);
    CHECK(frame->stream == 0x0102030405060708ull);
    CHECK(frame->payload == "abc");
    CHECK(parse_credit(parse_frame(make_credit(1, 70'000))->payload) == 70'000u);
    for (const std::string& bad : {std::string{}, std::string(8, '\x01'), std::string(9, '\x00'),
                                   std::string(9, '\x13'), std::string(9, '\xff')}) {
        CHECK_FALSE(parse_frame(bad));
    }
    for (const std::string& bad :
         {std::string{}, std::string(3, '\x01'), std::string(4, '\0'), std::string(5, '\x01')}) {
        CHECK_FALSE(parse_credit(bad));
    }
}

TEST_CASE("control messages: known ones need their members, unknown ones are only named") {
    const auto hello = parse_control(R"({"type":"hello","protocol":1,"program":"x","later":[1]})");
    REQUIRE(hello);
    CHECK(std::get<Hello>(*hello).program == "x");
    const auto failed = parse_control(
        R"({"type":"failed","stream":"7","code":"overloaded","started":true,"receipt":{"a":1}})");
    REQUIRE(failed);
    CHECK(std::get<Failed>(*failed).stream == 7);
    CHECK(std::get<Failed>(*failed).receipt == R"({"a":1})");
    CHECK(std::get<LateReceipt>(*parse_control(R"({"type":"receipt","job":"job_9","receipt":{}})"))
              .job == JobId{9});
    CHECK(std::get<Unknown>(*parse_control(R"({"type":"telemetry"})")).type == "telemetry");
    for (const std::string bad :
         {"", "[]", "{}", "nonsense", R"({"type":1})", R"({"type":"hello"})",
          R"({"type":"failed","stream":7})", R"({"type":"failed","stream":"-1"})",
          R"({"type":"failed","stream":"01"})", R"({"type":"receipt","job":"req_1","receipt":{}})",
          R"({"type":"receipt","job":"job_1"})",
          R"({"type":"hello","type":"hello","protocol":1})"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_control(bad));
    }
}

TEST_CASE("terms are canonical and complete, or refused") {
    const std::string good =
        R"({"expires_at":"2026-11-22T18:00:00.000000Z","fencing_token":"12","job":"job_9","market":"inference:x",)"
        R"("price":{"prompt_nano_per_mtok":"5"},"quantity":{"completion_tokens":7},"version":1})";
    const auto terms = parse_terms(good);
    REQUIRE(terms);
    CHECK(terms->job == JobId{9});
    CHECK(terms->fencing_token == 12);
    CHECK(terms->price.prompt == Nano{5});
    CHECK(terms->quantity.completion == 7);
    const auto changed = [&](std::string from, std::string to) {
        std::string text = good;
        text.replace(text.find(from), from.size(), to);
        return text;
    };
    for (const std::string& bad :
         {std::string{}, std::string{"{}"}, good + " ", changed("\"12\"", "12"),
          changed("\"12\"", "\"012\""), changed("job_9", "req_9"), changed("\"5\"", "5"),
          changed("\"5\"", "\"-5\""), changed(":7", ":7.5"), changed(":7", ":-7"),
          changed("completion_tokens", "tokens"), changed(":1}", ":2}"),
          changed(",\"version\"", ",\"more\":1,\"version\""),
          changed("{\"expires", "{\"aa\":1,\"expires"), changed("2026-11", "2026-13")}) {
        CAPTURE(bad);
        const auto refused = parse_terms(bad);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().fields.at(0).path == "Cocoon-Terms:");
    }
}

TEST_CASE("the final chunk is found wherever the bytes are cut") {
    std::string message(16, 'n');                                  // nonce
    message += std::string("\x05", 1) + "AAAAA";                   // one-byte length
    message += std::string("\x40\x46", 2) + std::string(70, 'B');  // two bytes: 70
    message += std::string("\x80\x00\x00\x01", 4) + "C";           // four bytes: 1
    const std::size_t final_at = message.size() + 1;
    message += std::string("\x00", 1) + "final chunk";
    for (std::size_t piece = 1; piece <= message.size(); ++piece) {
        FinalChunkFinder finder{16};
        std::string passed, held;
        for (std::size_t at = 0; at < message.size(); at += piece) {
            const std::string_view bytes = std::string_view{message}.substr(at, piece);
            const std::size_t count = finder.feed(bytes);
            CHECK((held.empty() || count == 0));
            passed += bytes.substr(0, count);
            held += bytes.substr(count);
        }
        CHECK(finder.found());
        CHECK(passed == message.substr(0, final_at));
        CHECK(held == "final chunk");
    }
    FinalChunkFinder cut{16};
    cut.feed(std::string_view{message}.substr(0, final_at - 1));
    CHECK_FALSE(cut.found());
}

TEST_CASE("webhooks are signed as Standard Webhooks say") {
    // The example that the specification's own libraries test.
    CHECK(webhook_signature(
              "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
              R"({"test": 2432232314})") == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    for (const std::string bad : {"", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
        CHECK(webhook_signature(bad, "a", 1, "b").empty());
}

TEST_CASE("webhooks go to public addresses only") {
    for (const std::string good :
         {"8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"})
        CHECK(is_public_address(good));
    for (const std::string bad : {"127.0.0.1",
                                  "10.1.2.3",
                                  "172.16.0.1",
                                  "172.31.255.255",
                                  "192.168.1.1",
                                  "169.254.169.254",
                                  "100.64.0.1",
                                  "0.0.0.0",
                                  "224.0.0.1",
                                  "255.255.255.255",
                                  "::1",
                                  "::",
                                  "fe80::1",
                                  "fc00::1",
                                  "fd12::1",
                                  "ff02::1",
                                  "::ffff:10.0.0.1",
                                  "::ffff:127.0.0.1",
                                  "2002:7f00:1::",
                                  "2001:db8::1",
                                  "x",
                                  ""}) {
        CAPTURE(bad);
        CHECK_FALSE(is_public_address(bad));
    }
    CHECK(is_loopback_address("127.0.0.9"));
    CHECK_FALSE(is_loopback_address("10.0.0.1"));
}

TEST_CASE("retries go on for more than a day, with jitter, and then end") {
    Duration least, most;
    std::uint32_t attempts = 1;
    for (; retry_pause(attempts, 0); ++attempts) {
        CHECK(*retry_pause(attempts, 0) < *retry_pause(attempts, 999));
        least = least + *retry_pause(attempts, 0);
        most = most + *retry_pause(attempts, 999);
    }
    CHECK(least > hours(24));
    CHECK(most < hours(48));
    CHECK(attempts == 12);
    CHECK_FALSE(retry_pause(0, 0));
}

TEST_CASE("metrics are text that Prometheus reads: sums fit and buckets grow") {
    Metrics metrics;
    metrics.http_responses[2].add(3);
    metrics.lane_commit_seconds.observe(Duration{300});
    metrics.lane_commit_seconds.observe(seconds(100));
    const std::string text =
        render_metrics(metrics, {{"cocoon_nodes", "gauge", "Nodes", "tier=\"tdx\"", 4, false},
                                 {"cocoon_nodes", "gauge", "Nodes", "tier=\"snp\"", 1, false}});
    CHECK(text.find("cocoon_http_responses_total{status=\"2xx\"} 3\n") != std::string::npos);
    CHECK(text.find("cocoon_lane_commit_seconds_bucket{le=\"0.000200\"} 0\n") != std::string::npos);
    CHECK(text.find("cocoon_lane_commit_seconds_bucket{le=\"0.000500\"} 1\n") != std::string::npos);
    CHECK(text.find("cocoon_lane_commit_seconds_bucket{le=\"+Inf\"} 2\n") != std::string::npos);
    CHECK(text.find("cocoon_lane_commit_seconds_sum 100.000300\n") != std::string::npos);
    CHECK(text.find(
              "# TYPE cocoon_nodes gauge\ncocoon_nodes{tier=\"tdx\"} 4\ncocoon_nodes{tier=\"snp\"} "
              "1\n") != std::string::npos);
}

TEST_CASE("verdicts are counted by tier, status and reason, and no peer's word is a label") {
    using attestation::Outcome;
    using attestation::Status;
    Metrics metrics;
    attestation::Verdict verdict;
    verdict.tier = "tdx+gpu-cc";
    verdict.status = Status::proven;
    verdict.reasons = {{"gpu_place", Outcome::not_checked, {}}};
    metrics.evidence.note(verdict);
    verdict.status = Status::refuted;
    verdict.reasons.push_back({"gpu_0_nonce", Outcome::failed, {}});
    verdict.reasons.push_back({"gpu_7_nonce", Outcome::failed, {}});
    verdict.reasons.push_back({"cpu_root_crl", Outcome::not_checked, {}});
    metrics.evidence.note(verdict);
    verdict.tier = "sgx\"} 7\n";
    verdict.status = Status::unknown;
    metrics.evidence.note(verdict);
    const std::string text = render_metrics(metrics, {});
    for (const char* line : {"verdicts_total{tier=\"tdx+gpu-cc\",status=\"proven\"} 1\n",
                             "verdicts_total{tier=\"tdx+gpu-cc\",status=\"refuted\"} 1\n",
                             "verdicts_total{tier=\"other\",status=\"unknown\"} 1\n",
                             "reasons_total{reason=\"gpu_nonce\",outcome=\"failed\"} 1\n",
                             "reasons_total{reason=\"cpu_root_crl\",outcome=\"not_checked\"} 1\n"})
        CHECK(text.find("cocoon_evidence_" + std::string{line}) != std::string::npos);
    CHECK(text.find("sgx") == std::string::npos);
    CHECK(text.find("gpu_place") == std::string::npos);
    // However many codes there may come to be, so many series and no more.
    verdict.status = Status::refuted;
    for (int i = 0; i < 1'000; ++i) {
        verdict.reasons = {{"code_" + std::to_string(i), Outcome::failed, {}}};
        metrics.evidence.note(verdict);
    }
    const auto reasons = metrics.evidence.reasons();
    CHECK(reasons.size() == EvidenceTally::kinds_max + 1);
    CHECK(reasons.at(std::pair{std::string{"other"}, std::string_view{"failed"}}) ==
          1'000 - (EvidenceTally::kinds_max - 2));
}

TEST_CASE("connected nodes are counted by tier and standing, and what of them nears its end") {
    Directory directory;
    matching::Batch batch;
    const auto node = [&](std::uint64_t id, Duration evidence, Duration collateral) {
        matching::Node& made = batch.changes.nodes.emplace_back();
        made.id = NodeId{id};
        made.connected = true;
        made.tier = matching::Tier::tdx;
        made.evidence_valid_until = start + evidence;
        if (collateral.us != 0) made.collateral_until = start + collateral;
        return &made;
    };
    node(1, hours(2), days(8));
    node(2, hours(1), days(7));
    node(3, hours(2), {})->standing = matching::Standing::measurement_revoked;
    node(4, {}, days(1));
    node(5, hours(2), {})->connected = false;
    directory.apply(batch, start);
    const NodeCounts counts = directory.count_nodes(start);
    const auto& tdx = counts.attested[static_cast<std::size_t>(matching::Tier::tdx)];
    CHECK(tdx[static_cast<std::size_t>(matching::Standing::good)] == 2);
    CHECK(tdx[static_cast<std::size_t>(matching::Standing::measurement_revoked)] == 1);
    CHECK(counts.unattested == 1);
    CHECK(counts.evidence_ending == 1);
    CHECK(counts.collateral_ending == 1);
}

TEST_CASE("sign-ups have a rate per address and one of all") {
    Directory directory;
    AdmissionOptions options;
    options.sign_ups.limit = 2;
    options.sign_ups_of_all.limit = 5;
    Admission admission{directory, options};
    const auto sign_up = [&](const std::string& address, Instant at) {
        return admission.sign_up(address, at);
    };
    CHECK_FALSE(sign_up("192.0.2.1", start));
    CHECK_FALSE(sign_up("192.0.2.1", start));
    const auto refused = sign_up("192.0.2.1", start);
    REQUIRE(refused);
    CHECK(refused->code == ErrorCode::rate_limited);
    CHECK(refused->retry_after_seconds == 1'800);  // two an hour
    // One /64 is one address.
    CHECK_FALSE(sign_up("2001:db8::1", start));
    CHECK_FALSE(sign_up("2001:db8::2", start));
    CHECK(sign_up("2001:db8::3", start));
    // Five in all.
    CHECK_FALSE(sign_up("192.0.2.3", start));
    const auto all = sign_up("192.0.2.4", start);
    REQUIRE(all);
    CHECK(all->retry_after_seconds == 720);
    CHECK_FALSE(sign_up("192.0.2.4", start + seconds(720)));
    CHECK_FALSE(sign_up("192.0.2.1", start + seconds(1'800)));
}

TEST_CASE("admission knows keys from memory, and forgets none of their ends") {
    Directory directory;
    const std::string secret = "ck_" + std::string(43, 'A'),
                      other = "ck_" + std::string(42, 'B') + "A";
    matching::Batch batch;
    matching::Account account;
    account.id = AccountId{5};
    matching::ApiKey key;
    key.id = KeyId{3};
    key.account = account.id;
    key.scopes = matching::scope_read;
    key.secret_hash = sealing::sha256(as_bytes(secret));
    key.expires_at = start + hours(1);
    batch.changes.accounts = {account};
    batch.changes.keys = {key};
    directory.apply(batch, start);
    AdmissionOptions options;
    options.failed_credentials.limit = 2;
    options.proxy_addresses = {"10.0.0.1"};
    Admission admission{directory, options};
    const auto call = [&](std::string authorization, Instant at,
                          std::string address = "192.0.2.1") {
        net::RequestHead head;
        head.remote_address = std::move(address);
        if (!authorization.empty()) head.headers.add("Authorization", std::move(authorization));
        return admission.admit(head, at);
    };
    CHECK(call("Bearer " + secret, start).principal.account == account.id);
    CHECK(call("bearer " + secret, start).principal.key == key.id);
    CHECK(call("", start).policy_name == "address");
    CHECK(call("Bearer " + secret, start + hours(1)).refused->code == ErrorCode::key_expired);
    batch.changes.keys[0].revoked = true;
    directory.apply(batch, start);
    CHECK(call("Bearer " + secret, start, "192.0.2.9").refused->code == ErrorCode::key_revoked);
    for (const std::string bad : {"Basic x", "Bearer", "Bearer x"})
        CHECK(call(bad, start, "192.0.2.2").refused.has_value());
    // guessing is slow
    CHECK(call("Bearer " + other, start, "192.0.2.2").refused->code == ErrorCode::rate_limited);
    CHECK(call("Bearer " + other, start, "192.0.2.3").refused->code == ErrorCode::unauthenticated);
    net::RequestHead proxied;
    proxied.remote_address = "10.0.0.1";
    proxied.headers.add("X-Forwarded-For", "6.6.6.6, 192.0.2.77");
    CHECK(admission.address_of(proxied) == "192.0.2.77");
    proxied.remote_address = "10.0.0.2";
    CHECK(admission.address_of(proxied) == "10.0.0.2");
}

TEST_CASE("what our own pages send is told from what other sites make a browser send") {
    const struct {
        const char *header, *site, *origin, *host;
        bool secure, change, read;
    } rows[] = {
        {"1", "same-origin", "https://market.example", "market.example", true, true, true},
        {"1", "same-origin", nullptr, "market.example", true, true, true},
        {"1", nullptr, "https://market.example", nullptr, true, true, true},
        {"1", nullptr, "http://127.0.0.1:8080", "127.0.0.1:8080", false, true, true},
        {"1", nullptr, nullptr, "market.example", true, false, true},
        {nullptr, "same-origin", "https://market.example", "market.example", true, false, true},
        {"0", "same-origin", "https://market.example", "market.example", true, false, true},
        {"1", "same-site", "https://market.example", "market.example", true, false, false},
        {"1", "cross-site", "https://market.example", "market.example", true, false, false},
        {"1", "none", nullptr, "market.example", true, false, true},
        {"1", "same-origin", "https://evil.example", "market.example", true, false, false},
        {"1", nullptr, "https://market.example.evil.example", "market.example", true, false, false},
        {"1", nullptr, "http://market.example", "market.example", true, false, false},
        {"1", nullptr, "null", "market.example", true, false, false},
        {"1", nullptr, "https://", "", true, false, false},
    };
    for (const auto& row : rows) {
        net::RequestHead head;
        head.secure = row.secure;
        if (row.header) head.headers.add("X-Session", row.header);
        if (row.site) head.headers.add("Sec-Fetch-Site", row.site);
        if (row.origin) head.headers.add("Origin", row.origin);
        if (row.host) head.headers.add("Host", row.host);
        INFO((row.site ? row.site : "-") << ' ' << (row.origin ? row.origin : "-"));
        CHECK(from_own_pages(head, "https://market.example") == row.change);
        CHECK(may_be_own_pages(head, "https://market.example") == row.read);
    }
}

TEST_CASE("a cookie is found whole, and two of its name are none") {
    const std::tuple<std::vector<std::string>, std::string> rows[] = {
        {{"session=x"}, "x"},
        {{"a=1; session=x; b=2"}, "x"},
        {{"a=1;session=x"}, "x"},
        {{"a=1", "session=x"}, "x"},
        {{"session=x=y"}, "x=y"},
        {{"session=x; session=y"}, ""},
        {{"session=x", "session=x"}, ""},
        {{"xsession=x"}, ""},
        {{"Session=x"}, ""},
        {{"session"}, ""},
        {{";;=;"}, ""},
        {{""}, ""},
        {std::vector<std::string>{}, ""},
    };
    for (const auto& [lines, expected] : rows) {
        net::Headers headers;
        for (const std::string& line : lines) headers.add("Cookie", line);
        CHECK(cookie_of(headers, "session") == expected);
    }
}

TEST_CASE("admission knows a session by its cookie, renews it while used, and not for ever") {
    Directory directory;
    const std::string secret = "cs_" + std::string(43, 'A');
    const Duration idle = seconds(limits::operator_session_idle_seconds);
    const Duration whole = seconds(limits::operator_session_seconds);
    matching::Batch batch;
    matching::Account account;
    account.id = AccountId{5};
    account.kind = matching::AccountKind::admin;
    matching::ApiKey key;
    key.id = KeyId{3};
    key.account = account.id;
    key.scopes = matching::scope_read;
    key.secret_hash = sealing::sha256(as_bytes(secret));
    key.created_at = start;
    key.expires_at = start + idle;
    batch.changes.accounts = {account};
    batch.changes.keys = {key};
    directory.apply(batch, start);
    AdmissionOptions options;
    options.own_origin = "https://market.example";
    options.session_cookie = "__Host-session";
    Admission admission{directory, options};
    const auto call = [&](std::string cookie, Instant at, std::string site = "same-origin",
                          std::string authorization = {}) {
        net::RequestHead head;
        head.remote_address = "192.0.2.1";
        if (!cookie.empty()) head.headers.add("Cookie", std::move(cookie));
        if (!site.empty()) head.headers.add("Sec-Fetch-Site", std::move(site));
        if (!authorization.empty()) head.headers.add("Authorization", std::move(authorization));
        return admission.admit(head, at);
    };
    const std::string cookie = "__Host-session=" + secret;
    const Admitted known = call(cookie, start);
    CHECK(known.principal.account == account.id);
    CHECK(known.principal.session);
    CHECK(known.policy_name == "key");
    CHECK(known.renew_until.us == 0);
    // No credential, and no failure either.
    for (const auto& [bad, site, authorization] :
         std::vector<std::tuple<std::string, std::string, std::string>>{
             {"session=" + secret, "same-origin", ""},
             {"__Host-session=ck_" + std::string(43, 'A'), "same-origin", ""},
             {"__Host-session=", "same-origin", ""},
             {cookie + "; " + cookie, "same-origin", ""},
             {cookie, "cross-site", ""},
             {cookie, "same-site", ""}}) {
        const Admitted nobody = call(bad, start, site, authorization);
        CHECK_FALSE(nobody.principal.account);
        CHECK_FALSE(nobody.refused);
    }
    CHECK(call("", start, "", "Bearer " + secret).refused->code == ErrorCode::unauthenticated);
    // What is asked for explicitly counts, not what comes along.
    CHECK(call(cookie, start, "same-origin", "Bearer ck_" + std::string(43, 'B')).refused);

    const Instant used = start + idle - minutes(1);
    const Admitted renewed = call(cookie, used);
    CHECK(renewed.renew_until == used + idle);
    CHECK(call(cookie, used + seconds(1)).renew_until.us == 0);  // it is asked for already
    CHECK(call(cookie, used + seconds(30)).renew_until == used + seconds(30) + idle);
    CHECK_FALSE(call(cookie, start + idle).principal.account);  // and was not stored
    batch.changes.keys[0].expires_at = start + days(365);
    directory.apply(batch, start);
    CHECK(call(cookie, start + whole - seconds(1)).principal.account);
    CHECK(call(cookie, start + whole - seconds(1)).renew_until.us == 0);
    CHECK_FALSE(call(cookie, start + whole).principal.account);
    batch.changes.keys[0].expires_at = start + whole - minutes(10);
    directory.apply(batch, start);
    CHECK(call(cookie, start + whole - minutes(15)).renew_until == start + whole);
    batch.changes.keys[0].revoked = true;
    directory.apply(batch, start);
    CHECK_FALSE(call(cookie, start).principal.account);
}
