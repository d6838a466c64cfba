// What toncenter answers, read strictly; and which of several endpoints is asked next.
#include "server/toncenter_codec.hpp"

#include "server/failover.hpp"
#include "server/ton_parts.hpp"
#include "server/bootstrap.hpp"
#include "tests/catch.hpp"

#include <sys/stat.h>
#include <unistd.h>

using namespace cocoon;
using namespace cocoon::server;
namespace ton = cocoon::settlement::ton;

namespace {

const std::string hash_text = to_base64(Bytes(32, 7));

std::string account(const std::string& members) {
    return R"({"ok":true,"result":{)" + members + "}}";
}
const std::string account_members =
    R"("balance":"5","state":"active","sync_utime":1700000000,)"
    R"("block_id":{"seqno":77},"last_transaction_id":{"lt":"9","hash":")" +
    hash_text + R"("})";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("an account's view is read, with numbers as numbers or as text") {
    for (const std::string balance : {R"("5")", "5"}) {
        const auto view =
            toncenter::read_account(account(replaced(account_members, R"("5")", balance)));
        REQUIRE(view);
        CHECK(view->seqno == 77);
        CHECK(view->balance == Nano{5});
        CHECK(view->at.unix_seconds() == 1'700'000'000);
        CHECK(view->status == ton::AccountStatus::active);
        CHECK(view->last.lt == 9);
        CHECK(view->last.hash[31] == 7);
    }
    const auto none = toncenter::read_account(
        account(replaced(replaced(account_members, R"("lt":"9")", R"("lt":"0")"), R"("5")", "-1")));
    REQUIRE(none);
    CHECK(none->last == ton::TransactionId{});
    CHECK(none->balance == Nano{});
}

TEST_CASE("a view that lacks something, or says it in another way, is refused") {
    const std::pair<const char*, const char*> wrong[] = {
        {R"("5")", "5.0"},
        {R"("5")", R"("5 ")"},
        {R"("5")", R"("-2")"},
        {R"("5")", "null"},
        {R"("5")", "9223372036854775808"},
        {R"("active")", R"("Active")"},
        {R"("active")", "1"},
        {"1700000000", "-1"},
        {"1700000000", "4294967296"},
        {"{\"seqno\":77}", "{}"},
        {"{\"seqno\":77}", "[]"},
        {"77", R"("x")"},
        {R"("lt":"9")", R"("lt":"18446744073709551616")"},
        {R"("lt":"9")", R"("lt":"9","lt":"9")"},
        {R"("hash":")", R"("hash":"=)"},
    };
    for (const auto& [from, to] : wrong) {
        CAPTURE(from, to);
        const auto view = toncenter::read_account(account(replaced(account_members, from, to)));
        REQUIRE_FALSE(view);
        CHECK(view.error().code == ErrorCode::malformed_request);
    }
    for (const std::string text :
         {"", "{}", "[]", "null", R"({"ok":true})", R"({"ok":1,"result":{}})"})
        CHECK_FALSE(toncenter::read_account(text));
}

TEST_CASE("a provider's refusal is told in its words, without what breaks a log line") {
    const auto refused = toncenter::read_account(
        "{\"ok\":false,\"error\":\"Ratelimit\\nexceed \xC3\xA4\",\"code\":429}");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::upstream_failed);
    CHECK(refused.error().detail == "Ratelimit exceed   ");
}

TEST_CASE("what became of a message") {
    struct Row {
        int status;
        const char* answer;
        std::optional<ErrorCode> refused;
        const char* detail;
    };
    const auto row = GENERATE(
        Row{200, R"({"ok":true,"result":{"@type":"ok"}})", std::nullopt, ""},
        Row{200, R"({"message_hash":"x","message_hash_norm":"y"})", std::nullopt, ""},
        Row{200, R"({"ok":false,"error":"no"})", ErrorCode::upstream_failed,
            "answered 200 to a message"},
        Row{200, "<html>", ErrorCode::malformed_request, "the answer has no JSON object"},
        Row{500, "inbound external message rejected by transaction AB:\\nexitcode=36, steps=1",
            ErrorCode::wrong_state, "exit code 36"},
        Row{500, "exitcode=-14 and more", ErrorCode::wrong_state, "exit code -14"},
        Row{500, "exitcode=99999999999999", ErrorCode::upstream_failed,
            "answered 500 to a message"},
        Row{504, "LITE_SERVER_NETWORK timeout", ErrorCode::upstream_failed,
            "answered 504 to a message"});
    CAPTURE(row.answer);
    const auto sent = toncenter::read_sent(row.status, row.answer);
    REQUIRE(sent.has_value() == !row.refused);
    if (!row.refused) return;
    CHECK(sent.error().code == *row.refused);
    CHECK(sent.error().detail == row.detail);
}

TEST_CASE("a provider that fails is left alone, longer each time, for that method only") {
    Failover failover{3, 2};
    Instant now{1'000'000'000};
    using Order = std::vector<std::size_t>;
    CHECK(failover.candidates(0, now) == Order{0, 1, 2});
    failover.failed(0, 0, now, 0);
    CHECK(failover.candidates(0, now) == Order{1, 2});
    CHECK(failover.candidates(1, now) == Order{0, 1, 2});
    failover.succeeded(2, 0);
    CHECK(failover.candidates(0, now) == Order{2, 1});  // who answered last is asked first
    now = now + milliseconds(500);
    CHECK(failover.candidates(0, now) == Order{2, 1, 0});  // back, but last
    failover.failed(0, 0, now, 0);
    now = now + milliseconds(999);
    CHECK(failover.candidates(0, now) == Order{2, 1});
    failover.failed(1, 0, now, 0, seconds(30));  // it asked for that
    failover.failed(2, 0, now, 250'000);         // and chance
    CHECK(failover.candidates(0, now).empty());
    CHECK(failover.next_at(0) == now + milliseconds(1));
    CHECK(failover.candidates(0, now + milliseconds(749)) == Order{0});
    CHECK(failover.candidates(0, now + milliseconds(750)) == Order{2, 0});
    CHECK(failover.candidates(0, now + seconds(30)) == Order{2, 0, 1});
    failover.prefer(1, 0);
    failover.succeeded(1, 0);
    CHECK(failover.candidates(0, now + seconds(30)).front() == 1);
    CHECK(failover_pause(1) == milliseconds(500));
    CHECK(failover_pause(8) == minutes(1));
    CHECK(failover_pause(4'000'000'000) == minutes(1));
}

TEST_CASE("the wallet's key is read from a file that only we can read") {
    const std::string file = "/tmp/cocoon_wallet_" + std::to_string(::getpid());
    ::unlink(file.c_str());
    CHECK_THROWS(wallet_key(file, false));
    const auto made = wallet_key(file, true);
    struct stat facts {};
    REQUIRE(::stat(file.c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777) == 0600);
    CHECK(wallet_key(file, false).public_key() == made.public_key());
    ::chmod(file.c_str(), 0640);
    CHECK_THROWS(wallet_key(file, false));
    for (const std::string& content :
         {std::string{}, std::string{"00"}, std::string{"word word"}, std::string(66, 'a')}) {
        write_secret_file(file, content);
        CHECK_THROWS(wallet_key(file, true));
    }
    ::unlink(file.c_str());
}

TEST_CASE("endpoints and their keys are paired") {
    const std::string file = "/tmp/cocoon_endpoints_" + std::to_string(::getpid());
    write_secret_file(file, "https://b.example/ secret-b\n");
    const auto endpoints = ton_endpoints("https://a.example/,https://b.example", file);
    REQUIRE(endpoints.size() == 2);
    CHECK(endpoints[0].url == "https://a.example");
    CHECK(endpoints[0].key.empty());
    CHECK(endpoints[1].key == "secret-b");
    CHECK_THROWS(ton_endpoints("https://a.example", file));
    CHECK_THROWS(ton_endpoints("a.example", ""));
    CHECK_THROWS(ton_endpoints("", ""));
    ::unlink(file.c_str());
}
