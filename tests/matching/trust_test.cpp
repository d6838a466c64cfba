// The register's and the deny-list's limits, who may decide, and which entry speaks for a machine.
#include <functional>

#include "core/limits.hpp"
#include "matching/engine.hpp"
#include "tests/catch.hpp"

namespace cocoon::matching {
namespace {

constexpr Instant monday{1'795'000'000'000'000};
const Actor market{};
const Actor developer{AccountId{2}, {}, scope_manage};

struct Desk {
    State state;
    Engine engine{state};
    Happened happened;

    Desk() {
        for (const std::uint8_t number : {1, 2}) {
            OpenAccount open;
            open.name = "someone";
            open.deposit_memo = "memo" + std::to_string(number);
            open.first_key.secret_hash[0] = number;
            open.first_key.scopes = scope_manage;
            REQUIRE(ask(open));
        }
    }
    Reply ask(Command command, const Actor& actor = market) {
        happened.clear();
        return engine.apply(command, actor, monday, happened);
    }
    std::string told(Command command, const Actor& actor = market) {
        const Reply reply = ask(std::move(command), actor);
        if (!reply) CHECK(happened.events.empty());
        return reply ? "ok" : std::string{describe(reply.error().code).name};
    }
};

SubmitMeasurement submission(const Registers& registers, AccountId by = {2}) {
    SubmitMeasurement submit;
    submit.measurement.submitter = by;
    submit.measurement.name = "image";
    submit.measurement.version = "1";
    submit.measurement.source = "https://example.org";
    submit.measurement.registers = registers;
    return submit;
}

Registers numbered(std::uint32_t count) {
    std::vector<std::string> registers;
    for (std::uint32_t i = 0; i < count; ++i) registers.push_back("tdx.r" + std::to_string(i));
    return registers;
}

}  // namespace

TEST_CASE("an entry of the register is bounded in every part") {
    Desk desk;
    const auto changed = [&](const std::function<void(Measurement&)>& change) {
        SubmitMeasurement submit = submission({"tdx.mrtd:00"});
        change(submit.measurement);
        return desk.told(submit);
    };
    using M = Measurement;
    const std::string bad = "invalid_body";
    CHECK(changed([](M& m) { m.name.clear(); }) == bad);
    CHECK(changed([](M& m) { m.name.assign(limits::name_bytes_max + 1, 'n'); }) == bad);
    CHECK(changed([](M& m) { m.version.clear(); }) == bad);
    CHECK(changed([](M& m) { m.source = "http://example.org"; }) == bad);
    CHECK(changed([](M& m) { m.source.append(limits::source_bytes_max, 'x'); }) == bad);
    CHECK(changed([](M& m) { m.notes.assign(limits::notes_bytes_max + 1, 'n'); }) == bad);
    CHECK(changed([](M& m) { m.registers = {}; }) == bad);
    CHECK(changed([](M& m) { m.registers = {"b", "a"}; }) == bad);
    CHECK(changed([](M& m) { m.registers = {"a", "a"}; }) == bad);
    CHECK(changed([](M& m) { m.registers = numbered(limits::registers_max + 1); }) == bad);
    CHECK(changed([](M& m) { m.registers = {std::string(limits::identity_bytes_max + 1, 'r')}; }) ==
          bad);
    CHECK(changed([](M& m) { m.submitter = AccountId{99}; }) == "not_found");
    CHECK(changed([](M& m) { m.registers = numbered(limits::registers_max); }) == "ok");
}

TEST_CASE("an account submits so many measurements and no more") {
    Desk desk;
    for (std::uint32_t i = 0; i < limits::measurements_per_account_max; ++i)
        REQUIRE(desk.ask(submission({"tdx.mrtd:" + std::to_string(i)})));
    CHECK(desk.told(submission({"tdx.mrtd:more"})) == "limit_reached");
    CHECK(desk.told(submission({"tdx.mrtd:more"}, AccountId{3})) == "ok");
    CHECK(desk.told(submission({"tdx.mrtd:7"}, AccountId{3})) == "already_exists");
}

TEST_CASE("only the operator decides, with a reason") {
    Desk desk;
    REQUIRE(desk.ask(submission({"tdx.mrtd:00"})));
    const DecideMeasurement approve{{1}, MeasurementState::approved, "rebuilt"};
    CHECK(desk.told(approve, developer) == "forbidden");
    CHECK(desk.told(DenyIdentity{"cpu:1", "x"}, developer) == "forbidden");
    CHECK(desk.told(LiftDenial{{1}, "x"}, developer) == "forbidden");
    CHECK(desk.told(SetTrustRule{{}, "x"}, developer) == "forbidden");
    CHECK(desk.told(DecideMeasurement{{1}, MeasurementState::approved, ""}) == "invalid_body");
    CHECK(desk.told(DecideMeasurement{{1}, MeasurementState::pending, "x"}) == "invalid_body");
    CHECK(desk.told(DecideMeasurement{{2}, MeasurementState::revoked, "x"}) == "not_found");
    CHECK(desk.told(approve) == "ok");
    CHECK(desk.happened.events.size() == 2);  // the decision and its line in the audit log
    CHECK(desk.told(approve) == "ok");
    CHECK(desk.happened.events.empty());
    CHECK(desk.told(SetTrustRule{{0, limits::probation_jobs_max + 1}, "x"}) == "invalid_body");
    CHECK(desk.told(SetTrustRule{{1u << tier_count, 0}, "x"}) == "invalid_body");
}

TEST_CASE("the deny-list is bounded and each identity stands there once") {
    Desk desk;
    CHECK(desk.told(DenyIdentity{"", "x"}) == "invalid_body");
    CHECK(desk.told(DenyIdentity{std::string(limits::identity_bytes_max + 1, 'c'), "x"}) ==
          "invalid_body");
    CHECK(desk.told(DenyIdentity{"cpu:0", ""}) == "invalid_body");
    for (std::uint32_t i = 0; i < limits::denials_max; ++i)
        REQUIRE(desk.ask(DenyIdentity{"cpu:" + std::to_string(i), "x"}));
    CHECK(desk.told(DenyIdentity{"cpu:7", "x"}) == "already_exists");
    CHECK(desk.told(DenyIdentity{"cpu:more", "x"}) == "limit_reached");
    CHECK(desk.told(LiftDenial{{8}, ""}) == "invalid_body");
    CHECK(desk.told(LiftDenial{{8}, "mended"}) == "ok");
    CHECK(desk.told(LiftDenial{{8}, "mended"}) == "not_found");
    CHECK(desk.told(DenyIdentity{"cpu:more", "x"}) == "ok");
}

TEST_CASE("of the entries that speak for a machine, the gravest does; the newest of the same") {
    Desk desk;
    const Registers machine{"tdx.mrtd:1", "tdx.rtmr0:2", "tdx.rtmr1:3"};
    const auto speaks = [&] {
        const Measurement* found = desk.state.measurement_for(machine);
        return found == nullptr ? 0 : found->id.value;
    };
    const auto decide = [&](std::uint64_t id, MeasurementState state) {
        REQUIRE(desk.ask(DecideMeasurement{{id}, state, "x"}));
    };
    CHECK(speaks() == 0);
    REQUIRE(desk.ask(submission({"tdx.mrtd:1", "tdx.rtmr0:9"})));  // 1: of another machine
    CHECK(speaks() == 0);
    REQUIRE(desk.ask(submission({"tdx.mrtd:1", "tdx.rtmr1:3"})));  // 2
    REQUIRE(desk.ask(submission({"tdx.mrtd:1"})));                 // 3
    CHECK(speaks() == 2);
    decide(3, MeasurementState::approved);
    CHECK(speaks() == 3);
    decide(2, MeasurementState::revoked);
    CHECK(speaks() == 2);
    REQUIRE(desk.ask(submission({"tdx.mrtd:1", "tdx.rtmr1:3"})));  // 4: the same again
    CHECK(speaks() == 2);
    decide(4, MeasurementState::approved);
    CHECK(speaks() == 3);  // 4 took the place of 2; both left are approved
    decide(3, MeasurementState::revoked);
    CHECK(speaks() == 3);
}

}  // namespace cocoon::matching
