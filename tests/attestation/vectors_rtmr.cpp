// rtmr/cases.json: an event log and the quote whose RTMRs it must replay to.
#include "attestation/event_log.hpp"
#include "attestation/tdx_quote.hpp"
#include "tests/attestation/vectors.hpp"

namespace cocoon::attestation::vectors {
namespace {

namespace fs = std::filesystem;

void expect_member(const Json& wanted, const char* name, const Json& found) {
    if (wanted.contains(name)) expect_equal(found.dump(), wanted[name].dump(), name);
}

void run_case(const fs::path& folder, const Json& test) {
    const Bytes quote_bytes = read_file(folder / test.at("quote").get<std::string>());
    const auto quote = parse_tdx_quote(quote_bytes);
    expect(quote.has_value(), "the quote cannot be read");
    const auto events =
        parse_event_log(read_text(folder / test.at("event_log").get<std::string>()));
    expect(events.has_value(), "the event log cannot be read");
    const Registers rtmrs = quote->report.rtmr;
    const auto reasons = check_event_log(*events, rtmrs);
    expect(reasons.size() == rtmrs.size() + 1, "another number of checks");

    Json registers = Json::array(), matches = Json::array(), digests = Json::array();
    for (std::size_t i = 0; i < rtmrs.size(); ++i) {
        registers.push_back(to_hex(rtmrs[i]));
        matches.push_back(reasons[i].outcome == Outcome::passed);
    }
    for (const MeasuredEvent& event : *events)
        if (event.index == runtime_register)
            digests.push_back(runtime_digest(event) == event.digest);
    const MeasuredEvent* compose = find_runtime_event(*events, "compose-hash");

    const Json& wanted = test.at("expect");
    expect_member(wanted, "rtmr", registers);
    expect_member(wanted, "replay_matches", matches);
    expect_member(wanted, "rtmr3_event_digests_ok", digests);
    expect_member(wanted, "payload_digest_ok", reasons.back().outcome == Outcome::passed);
    expect_member(wanted, "compose_hash_event", compose ? Json(to_hex(compose->payload)) : Json{});
}

}  // namespace

void run_rtmr(const fs::path& folder, Tally& tally) {
    for (const Json& test : read_cases(folder, tally))
        tally.run("rtmr " + test.value("id", "?"), [&] { run_case(folder, test); });
}

}  // namespace cocoon::attestation::vectors
