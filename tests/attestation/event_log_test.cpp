// Event logs: replay against figures computed elsewhere, lies that only one of the two checks sees,
// and shapes that are no log.
#include <functional>

#include "attestation/event_log.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;

namespace {

MeasuredEvent runtime_event(std::string name, Bytes payload) {
    MeasuredEvent event{runtime_register, 0x08000001, {}, std::move(name), std::move(payload)};
    event.digest = runtime_digest(event);
    return event;
}

MeasuredEvent firmware_event(std::uint8_t index, std::uint8_t what) {
    MeasuredEvent event{index, 4, {}, "", {what}};
    event.digest.fill(what);
    return event;
}

std::vector<MeasuredEvent> good_log() {
    return {firmware_event(0, 1),
            firmware_event(1, 2),
            firmware_event(0, 3),
            firmware_event(2, 4),
            runtime_event("app-id", {7}),
            runtime_event("compose-hash", {1, 2}),
            runtime_event("system-ready", {})};
}

std::string failed(const std::vector<MeasuredEvent>& events, const Registers& rtmrs) {
    std::string out;
    for (const Reason& reason : check_event_log(events, rtmrs))
        if (reason.outcome == Outcome::failed) out += (out.empty() ? "" : " ") + reason.code;
    return out;
}

std::string json_of(const std::vector<MeasuredEvent>& events) {
    std::string out;
    for (const MeasuredEvent& event : events)
        out += (out.empty() ? "[" : ",") + std::string{R"({"imr":)"} + std::to_string(event.index) +
               R"(,"event_type":)" + std::to_string(event.type) + R"(,"digest":")" +
               to_hex(event.digest) + R"(","event":")" + event.name + R"(","event_payload":")" +
               to_hex(event.payload) + R"("})";
    return out + "]";
}

}  // namespace

TEST_CASE("digests and registers are those that another implementation computes") {
    const MeasuredEvent event = runtime_event("compose-hash", {1, 2});
    CHECK(to_hex(event.digest) ==
          "5258179ddcea5249e1dbf009172433194ccb108235e0ea8c9003545d885c6585"
          "25d07401e54e3fbda3b92a02ace60f32");
    CHECK(to_hex(replay(std::vector{event, event})[3]) ==
          "06418e47d7472c69c1dad148bb3ae7eea283488ba0bbefe4102057110266b7b2"
          "c1c3f921665b6d309877fa421c1ac450");
    CHECK(replay({}) == Registers{});
}

TEST_CASE("a log that is whole replays and reads back from its JSON") {
    const auto log = good_log();
    CHECK(failed(log, replay(log)).empty());
    const auto read = parse_event_log(json_of(log));
    REQUIRE(read.has_value());
    CHECK(*read == log);
    const MeasuredEvent* compose = find_runtime_event(log, "compose-hash");
    REQUIRE(compose != nullptr);
    CHECK(compose->payload == Bytes{1, 2});
    CHECK(find_runtime_event(log, "no-such") == nullptr);
}

TEST_CASE("each lie in a log is found") {
    struct Row {
        const char* codes;
        std::function<void(std::vector<MeasuredEvent>&)> edit;
    };
    using Log = std::vector<MeasuredEvent>;
    const Row rows[] = {
        {"rtmr0", [](Log& log) { log.erase(log.begin()); }},
        {"rtmr0", [](Log& log) { std::swap(log[0], log[2]); }},
        {"rtmr1", [](Log& log) { log[1].digest[0] ^= 1; }},
        {"rtmr0 rtmr2", [](Log& log) { log[3].index = 0; }},
        {"rtmr3", [](Log& log) { log.pop_back(); }},
        {"rtmr3", [](Log& log) { log.push_back(runtime_event("later", {})); }},
        {"event_payloads", [](Log& log) { log[5].payload = {9}; }},
        {"event_payloads", [](Log& log) { log[5].name = "compose"; }},
        {"event_payloads", [](Log& log) { log[5].type = 1; }},
        // Nobody asks what firmware events measured: their payload is no proof of anything.
        {"", [](Log& log) { log[0].payload = {9}; }},
    };
    for (const Row& row : rows) {
        auto log = good_log();
        const Registers rtmrs = replay(log);
        row.edit(log);
        CHECK(failed(log, rtmrs) == row.codes);
    }
}

TEST_CASE("a name cannot be stretched over the payload, nor an event named twice") {
    // "app-id" with payload ":x" and "app-id:" with payload "x" have one digest.
    std::vector<MeasuredEvent> log{runtime_event("app-id", {':', 'x'})};
    const Registers rtmrs = replay(log);
    log[0].name = "app-id:";
    log[0].payload = {'x'};
    CHECK(runtime_digest(log[0]) == log[0].digest);
    CHECK(failed(log, rtmrs) == "event_payloads");

    auto twice = good_log();
    twice.push_back(runtime_event("compose-hash", {8}));
    CHECK(find_runtime_event(twice, "compose-hash") == nullptr);
    auto firmware = good_log();
    firmware[0].name = "compose-hash";
    CHECK(find_runtime_event(firmware, "compose-hash") == &firmware[5]);
}

TEST_CASE("what is no event log is refused") {
    const std::string digest(96, 'a');
    const auto event = [&](const std::string& imr, const std::string& type, const std::string& hash,
                           const std::string& payload) {
        return R"([{"imr":)" + imr + R"(,"event_type":)" + type + R"(,"digest":")" + hash +
               R"(","event":"e","event_payload":")" + payload + R"("}])";
    };
    CHECK(parse_event_log(event("3", "1", digest, "00")).has_value());
    CHECK(parse_event_log("[]").has_value());
    for (const std::string& text :
         {std::string{}, std::string{"{}"}, std::string{"[1]"}, std::string{"[{}]"},
          event("4", "1", digest, ""), event("-1", "1", digest, ""), event("1.0", "1", digest, ""),
          event("\"1\"", "1", digest, ""), event("1", "4294967296", digest, ""),
          event("1", "-1", digest, ""), event("1", "1", digest + "aa", ""),
          event("1", "1", digest.substr(2), ""), event("1", "1", digest, "0"),
          event("1", "1", digest, "AA"), event("1,\"imr\":1", "1", digest, ""),
          event("1", "1", digest, "") + "x", std::string(event_log_bytes_max + 1, ' ')}) {
        INFO(text.substr(0, 200));
        CHECK_FALSE(parse_event_log(text).has_value());
    }
    std::string full = "[";
    for (std::size_t i = 0; i <= event_log_events_max; ++i)
        full += R"({"imr":0,"event_type":1,"digest":")" + digest +
                R"(","event":"","event_payload":""},)";
    full.back() = ']';
    CHECK_FALSE(parse_event_log(full).has_value());
    full.erase(1, full.find('{', 2) - 1);
    CHECK(parse_event_log(full).has_value());
}
